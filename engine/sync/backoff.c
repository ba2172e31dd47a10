/* SPDX-License-Identifier: Apache-2.0
 *
 * Computes the delay before the next try. Called by the worker after each run that failed.
 * Invariant: the delay is at least what the server asked for (up to its bound), and two devices
 * that failed together do not come back together.
 */
#include "engine/sync/backoff.h"

#include <assert.h>
#include <stdbool.h>

#define DOUBLINGS_MAX 16 /* BACKOFF_BASE_MS << 16 is far above the cap */

/* See the header. */
void dk_backoff_reset(struct backoff *backoff)
{
    backoff->failures = 0;
    backoff->retry_at_ms = 0;
}

/* A number in low .. high from 64 random bits; the bias of the remainder does not matter here. */
static int64_t pick(int64_t low, int64_t high, uint64_t random)
{
    assert(low <= high);
    return low + (int64_t)(random % (uint64_t)(high - low + 1));
}

/* Whether the engine cannot mend it by trying: signing in, upgrading, a broken store. */
static bool needs_person(daybook_status status)
{
    enum daybook_class class = DAYBOOK_CLASS_OK;
    switch (status) {
#define STATUS_CASE(name, number, class_, text)                                                    \
    case DAYBOOK_##name: class = DAYBOOK_CLASS_##class_; break;
        DAYBOOK_STATUS_LIST(STATUS_CASE)
#undef STATUS_CASE
    }
    return class == DAYBOOK_CLASS_SIGN_IN || class == DAYBOOK_CLASS_UPGRADE ||
           class == DAYBOOK_CLASS_BROKEN;
}

/* See the header. The ceiling doubles with each failure in a row; the delay is anywhere below it.
 * On top of a server's wish comes up to as much again, at most half a minute, so that all whom it
 * sent away do not return at once. */
int64_t dk_backoff_fail(struct backoff *backoff, int64_t now_ms, daybook_status status,
                        int64_t retry_after_ms, uint64_t random)
{
    assert(status != DAYBOOK_OK);
    int doublings = backoff->failures < DOUBLINGS_MAX ? backoff->failures : DOUBLINGS_MAX;
    int64_t ceiling = (int64_t)BACKOFF_BASE_MS << doublings;
    ceiling = ceiling < BACKOFF_CAP_MS ? ceiling : BACKOFF_CAP_MS;
    int64_t delay = needs_person(status) ? pick(BACKOFF_CAP_MS / 2, BACKOFF_CAP_MS, random)
                                         : pick(BACKOFF_FLOOR_MS, ceiling, random);
    if (retry_after_ms >= 0) {
        int64_t wish = retry_after_ms < BACKOFF_RETRY_AFTER_MAX_MS ? retry_after_ms
                                                                   : BACKOFF_RETRY_AFTER_MAX_MS;
        int64_t asked = wish + pick(0, wish < 30000 ? wish : 30000, random);
        delay = delay > asked ? delay : asked;
    }
    if (backoff->failures < DOUBLINGS_MAX) {
        backoff->failures++;
    }
    backoff->retry_at_ms = now_ms + delay;
    return delay;
}
