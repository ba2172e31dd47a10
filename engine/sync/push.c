/* SPDX-License-Identifier: Apache-2.0
 *
 * Sizes uploads. Called by syncer.c around each exchange. Invariant: the pace stays within its
 * bounds, and a changeset that is larger than the pace still goes up, alone.
 */
#include "engine/sync/push.h"

#include <assert.h>

#define GROWTH_MAX 16 /* from one request to the next, whatever the clock says */

/* See the header. */
void dk_push_begin(struct push_pace *pace)
{
    pace->bytes = PUSH_FIRST_BYTES;
}

/* Within the bounds of a pace. */
static size_t bounded(size_t bytes)
{
    if (bytes < PUSH_LEAST_BYTES) {
        return PUSH_LEAST_BYTES;
    }
    return bytes > PUSH_MOST_BYTES ? PUSH_MOST_BYTES : bytes;
}

/* See the header. The time is that of the whole round trip, so that a slow server slows uploads
 * too. A request that was not full says little about the line: it only ever makes the pace grow. */
void dk_push_learn(struct push_pace *pace, size_t bytes, int64_t elapsed_ms)
{
    if (bytes == 0) {
        return;
    }
    uint64_t elapsed = elapsed_ms > 0 ? (uint64_t)elapsed_ms : 1;
    uint64_t fitting = (uint64_t)bytes * PUSH_TARGET_MS / elapsed;
    uint64_t most = (uint64_t)pace->bytes * GROWTH_MAX;
    if (fitting > most) {
        fitting = most;
    }
    if (fitting > PUSH_MOST_BYTES) {
        fitting = PUSH_MOST_BYTES;
    }
    bool full = bytes >= pace->bytes / 2;
    if (full || fitting > pace->bytes) {
        pace->bytes = bounded((size_t)fitting);
    }
}

/* See the header. Never above the first size again, and half of that after another failure. */
void dk_push_failed(struct push_pace *pace)
{
    pace->bytes = pace->bytes > PUSH_FIRST_BYTES ? PUSH_FIRST_BYTES : bounded(pace->bytes / 2);
}

/* See the header. */
bool dk_push_shrink(struct push_pace *pace, size_t bytes)
{
    size_t before = bytes < pace->bytes ? bytes : pace->bytes;
    if (before <= PUSH_LEAST_BYTES) {
        return false;
    }
    pace->bytes = bounded(before / 2);
    return true;
}

/* See the header. */
daybook_status dk_push_collect(const struct push_pace *pace, struct store *store,
                               struct buffer *bodies, struct store_batch *batch)
{
    assert(pace->bytes >= PUSH_LEAST_BYTES && pace->bytes <= PUSH_MOST_BYTES);
    dk_buffer_reset(bodies);
    *batch = (struct store_batch){0};
    daybook_status status =
        dk_store_collect(store, 0, pace->bytes, LIMIT_CHANGESETS, bodies, batch);
    return status != DAYBOOK_OK ? status : bodies->status;
}
