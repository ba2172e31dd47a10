/* SPDX-License-Identifier: Apache-2.0
 *
 * When to try again after a failure: exponential with full jitter and a cap, never before the
 * server asked. Pure: time and randomness come from the caller, so that it is tested with a virtual
 * clock.
 */
#ifndef DAYBOOK_SYNC_BACKOFF_H
#define DAYBOOK_SYNC_BACKOFF_H

#include <daybook/status.h>

#include <stdint.h>

#define BACKOFF_FLOOR_MS 100  /* no delay is shorter */
#define BACKOFF_BASE_MS 1000  /* ceiling after the first failure */
#define BACKOFF_CAP_MS 300000 /* no ceiling is higher */
#define BACKOFF_RETRY_AFTER_MAX_MS                                                                 \
    3600000 /* a server that asks for more is asked again after this */

struct backoff {
    int failures;        /* in a row */
    int64_t retry_at_ms; /* steady clock; 0: no failure */
};

/* Forgets all failures. */
void dk_backoff_reset(struct backoff *backoff);
/* Notes a failure at now_ms (steady clock) and sets retry_at_ms. `retry_after_ms` is the server's
 * wish, -1 none. A status that only a person can mend waits about the cap at once. Returns the
 * delay in ms. */
int64_t dk_backoff_fail(struct backoff *backoff, int64_t now_ms, daybook_status status,
                        int64_t retry_after_ms, uint64_t random);

#endif
