/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the sync thread and its timetable. Called by the API's start, stop, wake and commit.
 * Invariants: nothing but the steady clock is asked while the lock is held, so a commit never waits
 * for the network; a wake that comes during a run makes another.
 */
#include "engine/sync/worker.h"

#include "engine/base/memory.h"
#include "engine/sync/backoff.h"
#include "engine/sync/wait.h"

#include <stdbool.h>

struct worker {
    struct worker_options options;
    void *thread;

    struct wait wait; /* its lock guards what follows */
    bool stopping;
    bool woken;            /* run at once */
    bool network_lost;     /* the last look found none */
    int64_t nudged_at_ms;  /* first commit since the last run began; 0: none */
    int64_t planned_at_ms; /* next run without any cause */
    struct backoff backoff;
};

/* Milliseconds of the platform's steady clock. */
static int64_t now_ms(const struct worker *worker)
{
    const daybook_platform *platform = worker->options.platform;
    return platform->steady_ms(platform->context);
}

/* When the next run is due by the timetable. Lock held. */
static int64_t due_at(const struct worker *worker)
{
    if (worker->woken) {
        return 0;
    }
    if (worker->backoff.retry_at_ms != 0) {
        return worker->backoff.retry_at_ms;
    }
    if (worker->nudged_at_ms != 0) {
        int64_t nudged = worker->nudged_at_ms + WORKER_DEBOUNCE_MS;
        return nudged < worker->planned_at_ms ? nudged : worker->planned_at_ms;
    }
    return worker->planned_at_ms;
}

/* Asks the platform for the network, off the lock. Its return counts as a wake. False: there is
 * none. */
static bool look_for_network(struct worker *worker)
{
    const daybook_platform *platform = worker->options.platform;
    if (platform->network_up == NULL) {
        return true;
    }
    dk_wait_unlock(&worker->wait);
    bool up = platform->network_up(platform->context);
    dk_wait_lock(&worker->wait);
    if (up && worker->network_lost) {
        worker->woken = true;
    }
    worker->network_lost = !up;
    return up;
}

/* Waits until a run is due. Lock held. False: stopping. A clock that is read before the lock was
 * left is at worst a little early. */
static bool wait_until_due(struct worker *worker)
{
    while (!worker->stopping) {
        bool up = look_for_network(worker);
        int64_t left = due_at(worker) - now_ms(worker);
        if (worker->stopping) {
            break;
        }
        if (up && left <= 0) {
            return true;
        }
        bool look = worker->options.platform->network_up != NULL;
        int64_t longest = look ? WORKER_LOOK_MS : WORKER_WAIT_MAX_MS;
        dk_wait_for_signal(&worker->wait, up && left < longest ? left : longest);
    }
    return false;
}

/* 64 random bits for the jitter; where the platform has none the clock must do. */
static uint64_t jitter(const struct worker *worker, int64_t now)
{
    const daybook_platform *platform = worker->options.platform;
    uint64_t random;
    return platform->random(platform->context, &random, sizeof random)
               ? random
               : (uint64_t)now * UINT64_C(0x9E3779B97F4A7C15);
}

/* Plans what follows a run. Lock held. One that got somewhere before the line failed is the first
 * of a new row of failures: else a long catch-up over a bad line, every part of which arrives,
 * would wait longer each time. A server that has trouble is given the time. */
static void plan(struct worker *worker, daybook_status status, const struct sync_failure *failure,
                 int64_t now, uint64_t random)
{
    worker->planned_at_ms = now + worker->options.interval_ms;
    bool line = status == DAYBOOK_OFFLINE || status == DAYBOOK_TIMEOUT;
    if (status == DAYBOOK_OK || (line && failure->progressed)) {
        dk_backoff_reset(&worker->backoff);
    }
    if (status != DAYBOOK_OK && !worker->stopping) {
        int64_t delay =
            dk_backoff_fail(&worker->backoff, now, status, failure->retry_after_ms, random);
        dk_log(&worker->options.log, LOG_INFO, "sync: status %d, next try in %lld ms", (int)status,
               (long long)delay);
    }
}

/* The thread. */
static void work(void *argument)
{
    struct worker *worker = argument;
    dk_wait_lock(&worker->wait);
    while (wait_until_due(worker)) {
        struct sync_failure failure;
        worker->woken = false;
        worker->nudged_at_ms = 0;
        dk_wait_unlock(&worker->wait);
        daybook_status status = dk_syncer_run(worker->options.syncer, 0, true, &failure);
        int64_t now = now_ms(worker);
        uint64_t random = jitter(worker, now);
        dk_wait_lock(&worker->wait);
        plan(worker, status, &failure, now, random);
    }
    dk_wait_unlock(&worker->wait);
}

/* See the header. */
daybook_status dk_worker_start(const struct worker_options *options, struct worker **out)
{
    const daybook_platform *platform = options->platform;
    struct worker *worker = dk_memory_new(1, sizeof *worker);
    *out = NULL;
    if (worker == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    worker->options = *options;
    if (worker->options.interval_ms <= 0) {
        worker->options.interval_ms = WORKER_INTERVAL_MS;
    }
    worker->woken = true;
    dk_wait_init(&worker->wait);
    if (!platform->thread_start(platform->context, work, worker, &worker->thread)) {
        dk_wait_clear(&worker->wait);
        dk_memory_free(worker);
        return DAYBOOK_NO_MEMORY;
    }
    *out = worker;
    return DAYBOOK_OK;
}

/* See the header. The syncer can be used again afterwards. */
void dk_worker_stop(struct worker *worker)
{
    const daybook_platform *platform = worker->options.platform;
    dk_wait_lock(&worker->wait);
    worker->stopping = true;
    dk_wait_signal(&worker->wait);
    dk_wait_unlock(&worker->wait);
    dk_syncer_interrupt(worker->options.syncer);
    platform->thread_join(platform->context, worker->thread);
    dk_syncer_resume(worker->options.syncer);
    dk_wait_clear(&worker->wait);
    dk_memory_free(worker);
}

/* See the header. The thread is roused for the first commit after a run, and where it is overdue
 * without knowing, as after a sleep of the machine; not for every commit while it has to wait. */
void dk_worker_nudge(struct worker *worker)
{
    int64_t now = now_ms(worker);
    dk_wait_lock(&worker->wait);
    bool first = worker->nudged_at_ms == 0;
    if (first) {
        worker->nudged_at_ms = now > 0 ? now : 1;
    }
    if (first || due_at(worker) <= now) {
        dk_wait_signal(&worker->wait);
    }
    dk_wait_unlock(&worker->wait);
}

/* See the header. */
void dk_worker_wake(struct worker *worker)
{
    dk_wait_lock(&worker->wait);
    worker->woken = true;
    dk_backoff_reset(&worker->backoff);
    dk_wait_signal(&worker->wait);
    dk_wait_unlock(&worker->wait);
}

/* See the header. */
int64_t dk_worker_retry_in(struct worker *worker)
{
    int64_t now = now_ms(worker);
    dk_wait_lock(&worker->wait);
    int64_t left = due_at(worker) - now;
    dk_wait_unlock(&worker->wait);
    return left > 0 ? left : 1;
}
