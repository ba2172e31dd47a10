/* SPDX-License-Identifier: Apache-2.0
 *
 * A platform for tests with real sockets: the default one with a tap on its transport. It keeps
 * what went over the wire, expanded, loses what the test says, calls the test around each exchange,
 * and has clocks that the test sets ahead or back.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_TAP_H
#define DAYBOOK_TESTS_SUPPORT_TAP_H

#include "engine/base/buffer.h"
#include "engine/base/frame.h"

#include <daybook/platform.h>
#include <daybook/posix.h>

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tap {
    daybook_platform platform; /* its context is the tap */
    pthread_mutex_t lock;      /* guards what follows */
    int64_t ahead_ms;          /* of the wall clock; may be negative */
    int64_t ago_ms;            /* so much younger is the steady clock */
    bool offline;              /* no exchange begins: OFFLINE */
    int allowed;               /* so many exchanges may begin before it is offline; -1: any */
    int lose_replies;          /* the next so many exchanges are done, and OFFLINE comes back */
    int exchanges;             /* that were begun, offline ones too */
    int losses;                /* replies that were lost */
    int connections;           /* open now */
    struct buffer up;          /* JSON of all requests, one behind the other with a line feed */
    struct buffer down;        /* JSON of all 200 answers, the same */
    struct frame_codec *codec;
    /* Called before each exchange, and after it with its status and its number, counted from 1, on
     * the thread that syncs; the tap is not locked. NULL: nobody. */
    void (*before)(void *context, int number);
    void (*after)(void *context, int number, daybook_status status);
    void *context;
};

void tap_init(struct tap *tap);
void tap_clear(struct tap *tap);
/* The wall clock is so far ahead of the machine's from now on. */
void tap_set_ahead(struct tap *tap, int64_t ahead_ms);
/* What is recorded from now on was recorded so long ago, by the steady clock; back to 0 before an
 * exchange. */
void tap_set_ago(struct tap *tap, int64_t ago_ms);
void tap_set_offline(struct tap *tap, bool offline);
/* After so many exchanges it is offline; -1: never. */
void tap_allow(struct tap *tap, int exchanges);
void tap_lose_replies(struct tap *tap, int count);
/* Forgets what was kept. */
void tap_forget(struct tap *tap);
/* Whether the text is in what came down, or went up. */
bool tap_has_received(struct tap *tap, const char *text);
bool tap_has_sent(struct tap *tap, const char *text);
int tap_exchanges(struct tap *tap);

#endif
