/* SPDX-License-Identifier: Apache-2.0
 *
 * The road down: how large a page to ask for, whether a reply keeps the protocol, and its way into
 * the store.
 */
#ifndef DAYBOOK_SYNC_PULL_H
#define DAYBOOK_SYNC_PULL_H

#include "engine/store/store.h"
#include "engine/sync/exchange.h"

#define PULL_LEAST_BYTES ((int64_t)16 * 1024)
#define PULL_SLOW_MS 20000 /* a page that takes longer makes the next one smaller */
#define PULL_FAST_MS 5000  /* one that takes less may make it larger */

/* What the next page should have. */
struct pull_pace {
    int64_t wanted; /* the app's option; 0: the server's default */
    int64_t bytes;  /* present size; 0: as wanted */
};

void dk_pull_begin(struct pull_pace *pace, int64_t wanted);
/* For sync_request.page_bytes. */
int64_t dk_pull_page_bytes(const struct pull_pace *pace);
void dk_pull_learn(struct pull_pace *pace, int64_t elapsed_ms);
/* The exchange failed on its way: a smaller page may get through. */
void dk_pull_failed(struct pull_pace *pace);

/* Checks the reply's own members against the request, lets the store apply it in one transaction,
 * then learns the clock. BAD_REPLY (with *problem) or UPGRADE_NEEDED: nothing has changed. */
daybook_status dk_pull_apply(struct store *store, const struct sync_request *request,
                             struct sync_reply *reply, const struct exchange_report *report,
                             struct arena *arena, struct store_applied *applied,
                             const char **problem);

#endif
