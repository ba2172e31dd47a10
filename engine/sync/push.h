/* SPDX-License-Identifier: Apache-2.0
 *
 * The road up: which changesets go into the next request, and how many bytes of them the line
 * carries.
 */
#ifndef DAYBOOK_SYNC_PUSH_H
#define DAYBOOK_SYNC_PUSH_H

#include "engine/store/store.h"

#define PUSH_FIRST_BYTES ((size_t)32 * 1024) /* bodies of a first request */
#define PUSH_LEAST_BYTES ((size_t)4 * 1024)
#define PUSH_MOST_BYTES                                                                            \
    ((size_t)3584 *                                                                                \
     1024) /* with its envelope it stays below LIMIT_REQUEST_BYTES, compressed or not */
#define PUSH_KEPT_MS 600000  /* what is known about the line is forgotten after this */
#define PUSH_TARGET_MS 10000 /* an upload should take about so long */

/* How much the next request may carry. */
struct push_pace {
    size_t bytes; /* of bodies, before compression */
};

void dk_push_begin(struct push_pace *pace);
/* Learns from an exchange that carried `bytes` of bodies up in elapsed_ms: the next is sized to
 * PUSH_TARGET_MS at that rate. */
void dk_push_learn(struct push_pace *pace, size_t bytes, int64_t elapsed_ms);
/* The exchange failed on its way: the next is small. */
void dk_push_failed(struct push_pace *pace);
/* The server takes less than `bytes`. False: less than that cannot be sent. */
bool dk_push_shrink(struct push_pace *pace, size_t bytes);

/* Fills `bodies` (reset first) with the undecided changesets that are next, as a JSON array. */
daybook_status dk_push_collect(const struct push_pace *pace, struct store *store,
                               struct buffer *bodies, struct store_batch *batch);

#endif
