/* SPDX-License-Identifier: Apache-2.0
 *
 * The sync thread: runs the syncer after commits, on an interval and when woken, with backoff after
 * failures.
 */
#ifndef DAYBOOK_SYNC_WORKER_H
#define DAYBOOK_SYNC_WORKER_H

#include "engine/sync/syncer.h"

#define WORKER_DEBOUNCE_MS 50    /* commits in quick succession make one run */
#define WORKER_INTERVAL_MS 60000 /* where the app gives none */
#define WORKER_LOOK_MS 5000      /* while there is no network, it is looked for so often */
#define WORKER_WAIT_MAX_MS                                                                         \
    30000 /* no wait is longer: the system's timers may stand still while the machine sleeps */

struct worker;

struct worker_options {
    const daybook_platform *platform; /* thread hooks set; outlives the worker */
    struct syncer *syncer;            /* outlives the worker */
    struct log log;
    int64_t interval_ms; /* 0: WORKER_INTERVAL_MS */
};

/* Starts the thread, which syncs at once. NO_MEMORY where the system gives none. */
daybook_status dk_worker_start(const struct worker_options *options, struct worker **worker);
/* Interrupts what runs, joins the thread and frees. Not from the thread itself. */
void dk_worker_stop(struct worker *worker);
/* Something was committed: syncs soon, unless it waits after a failure. Any thread, never blocks.
 */
void dk_worker_nudge(struct worker *worker);
/* Forgets the backoff and syncs at once. Any thread, never blocks. */
void dk_worker_wake(struct worker *worker);
/* Milliseconds until the next try that is planned, at least 1. */
int64_t dk_worker_retry_in(struct worker *worker);

#endif
