/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of one sync run share: the syncer itself, and the calls between syncer.c (the
 * loop), repair.c and enrol.c.
 */
#ifndef DAYBOOK_SYNC_RUN_H
#define DAYBOOK_SYNC_RUN_H

#include "engine/sync/pull.h"
#include "engine/sync/push.h"
#include "engine/sync/syncer.h"

#include <stdatomic.h>

#define SYNC_ARENA_MAX                                                                             \
    ((size_t)96 * 1024 * 1024) /* bytes: a decoded reply and what applying it needs */

struct syncer {
    struct syncer_options options;
    struct exchanger *exchanger;
    atomic_bool interrupted;

    pthread_mutex_t run_lock; /* held by a run or an enrolment; guards what follows */
    struct arena arena;       /* of one exchange */
    struct buffer bodies;     /* changesets of the next request */
    struct buffer scope, loading;
    struct push_pace push;
    int64_t paced_ms; /* steady clock: when the pace was learnt last */
    struct pull_pace pull;
    struct id lease;    /* new instance that is being leased; zero: none */
    atomic_bool verify; /* a run that reaches the head compares contents; set by any thread */
    int64_t unreported; /* buckets that differed, and that the server has not been told of */
    bool token_refused; /* the last word on the token was SIGN_IN; a new enrolment is due */

    pthread_mutex_t status_lock; /* guards status; never held while something is called */
    struct syncer_status status;
};

/* One run under way. */
struct sync_run {
    struct syncer *syncer;
    int64_t deadline_ms; /* steady clock; 0: none */
    int rounds, repairs, resets, shrinks;
    bool pull_only;     /* the next request carries no changesets */
    bool differs;       /* the next request asks for the sums of the buckets */
    bool contents;      /* and those of what the records say */
    int diverged;       /* buckets that are being read anew; once in a run */
    bool progressed;    /* a reply brought something that lasts */
    bool done;          /* nothing undecided, and at the head */
    size_t sent_bytes;  /* bodies in the last request */
    int sent_count;     /* changesets in it */
    int64_t sent_first; /* their first seq */
    struct sync_failure *failure;
    struct exchange_report report; /* of the last exchange */
};

/* One exchange for the syncer: fills in token and time-out, counts it, notes a failure. */
daybook_status dk_sync_exchange(struct syncer *syncer, struct exchange_call *call,
                                int64_t deadline_ms, struct exchange_report *report,
                                struct sync_failure *failure);
/* After a round that failed: OK where the cause has been mended and the run goes on; else the
 * status to end with. */
daybook_status dk_sync_repair(struct sync_run *run, daybook_status status);
/* This store is a copy: leases a number for a new instance and takes it. */
daybook_status dk_sync_new_instance(struct sync_run *run);
/* Milliseconds of the steady clock. */
int64_t dk_sync_now(const struct syncer *syncer);

#endif
