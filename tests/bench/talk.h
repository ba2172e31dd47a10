/* SPDX-License-Identifier: Apache-2.0
 *
 * A device that is nothing but the protocol: no store, no fsync of its own, so that fifty of them
 * fit on one machine beside the server that they are to load. It speaks through the default
 * transport, over TLS, with the engine's codecs. One thread at a time each.
 */
#ifndef DAYBOOK_TESTS_BENCH_TALK_H
#define DAYBOOK_TESTS_BENCH_TALK_H

#include "tests/bench/server.h"

#include "engine/base/frame.h"
#include "engine/protocol/message.h"
#include "engine/protocol/stamp.h"

struct talk {
    const struct server *server;
    void *connection;
    struct frame_codec *codec;
    struct buffer body, scope, json, packed, expanded;
    struct arena arena; /* of one reply */
    char token[64];
    struct id instance;
    struct id_maker ids;
    struct hlc_clock clock;
    uint64_t epoch;
    int64_t position, settled, seq;
    struct id customer;
};

/* Enrols with the code and syncs to the head. */
void talk_open(struct talk *talk, const struct server *server, const char *code);
void talk_close(struct talk *talk);
/* Makes the customer that the visits go to. */
void talk_add_customer(struct talk *talk);
/* Sends the visits in one request, each in a changeset of its own; ends the run unless all are
 * "accepted". Returns the seconds of the exchange alone. */
double talk_add_visits(struct talk *talk, const struct visit *visits, int count);
/* The next request opens a connection of its own, as after a restart of the server. */
void talk_hang_up(struct talk *talk);

/* Counts the accepted changesets of a sync reply's frame; -1: it is none. */
int talk_count_accepted(struct frame_codec *codec, const void *frame, size_t length);

#endif
