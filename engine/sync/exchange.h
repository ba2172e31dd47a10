/* SPDX-License-Identifier: Apache-2.0
 *
 * One message up and one down: encode, compress, the transport's hook, classify the answer, expand,
 * decode. Owns the connection and the buffers, which it reuses. Nothing here knows the store;
 * whatever does not end in DAYBOOK_OK has changed nothing.
 */
#ifndef DAYBOOK_SYNC_EXCHANGE_H
#define DAYBOOK_SYNC_EXCHANGE_H

#include "engine/base/frame.h"
#include "engine/protocol/message.h"

#include <daybook/platform.h>

#include <pthread.h>

#define EXCHANGE_URL_MAX 600 /* bytes, server and path */

struct exchange_options {
    const daybook_platform *platform; /* outlives the exchanger */
    const char *server_url;           /* without a slash at its end; copied, like all text here */
    const char *ca_file;              /* NULL: the system's */
    const char *const *pins;          /* NULL-terminated; NULL: none */
};

/* What is known about the exchange that ended last. */
struct exchange_report {
    int http_status;              /* 0: no answer */
    char code[32];                /* of the server's error_reply, or "" */
    char detail[200];             /* for developers, or "" */
    int64_t seq;                  /* GAP: the first seq expected */
    int64_t retry_after_ms;       /* -1: none */
    int64_t sent_ms, received_ms; /* wall clock; their difference is that of the steady clock */
    int64_t elapsed_ms;           /* steady clock */
    size_t bytes_up, bytes_down;  /* bodies as sent */
};

struct exchanger;

/* NULL: no memory. No connection is made yet. */
struct exchanger *dk_exchange_new(const struct exchange_options *options);
void dk_exchange_free(struct exchanger *exchanger);

/* From any thread: ends a running exchange soon, and all later ones at once, with
 * DAYBOOK_INTERRUPTED. */
void dk_exchange_interrupt(struct exchanger *exchanger);
/* Exchanges are possible again. No exchange may be running. */
void dk_exchange_resume(struct exchanger *exchanger);

/* What is sent where, and what is expected back. */
struct exchange_call {
    const char *path;  /* "/v1/sync" */
    const char *token; /* NULL: none */
    const struct message_table *request_table, *reply_table;
    const void *request;
    void *reply; /* its texts are in the arena, its spans in the exchanger's memory until the next
                    exchange */
    struct arena *arena; /* not reset here */
    int64_t timeout_ms;
};

/* One exchange; one thread at a time. OK: *reply is whole. Else *report says more:
 * the transport's OFFLINE, TIMEOUT, UNTRUSTED, INTERRUPTED, BAD_REPLY, NO_MEMORY; TOO_LARGE: the
 * request is too large for the protocol or for this server; NOT_DAYBOOK: something else answered;
 * BAD_REPLY: damaged; SIGN_IN, BAD_CODE, UPGRADE_NEEDED, DIVERGED, SERVER_BUSY, SERVER_ERROR: the
 * server says so, GAP is SERVER_ERROR with report->code "GAP". */
daybook_status dk_exchange(struct exchanger *exchanger, const struct exchange_call *call,
                           struct exchange_report *report);

#endif
