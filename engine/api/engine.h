/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine as the files of engine/api share it: who is inside, who holds a reference, and the
 * lists of what must end with it.
 *
 * Life: daybook_open makes it with one reference; every transaction, query and watch holds one
 * more. daybook_close ends all work and closes the store; the struct itself goes with the last
 * reference, so calls on children that outlive the engine find out instead of crashing. Locks, in
 * the order in which they may be taken: lifecycle, gate, queries_lock, a query's lock, watch_lock.
 * None is held while the store, the network or a callback is waited for, except lifecycle (start,
 * stop and close take turns).
 */
#ifndef DAYBOOK_API_ENGINE_H
#define DAYBOOK_API_ENGINE_H

#include "engine/api/error.h"
#include "engine/base/log.h"
#include "engine/store/store.h"
#include "engine/sync/syncer.h"
#include "engine/sync/worker.h"

#include <daybook/daybook.h>

#include <pthread.h>
#include <stdatomic.h>

#define READERS_MAX 64     /* read-only connections at the same time, one per open query */
#define READERS_IDLE_MAX 8 /* of these kept for the next query */
#define WATCHES_MAX 1000
#define SNAPSHOT_MAX_MS 10000 /* no query holds its snapshot longer while others write */

struct reader {
    struct database database;
    uint64_t used; /* entities read by what was prepared since it was set to 0 */
    struct reader *next;
};

struct daybook {
    daybook_platform platform;
    struct log log;
    struct store *store;
    struct syncer *syncer; /* NULL: no server_url */

    pthread_mutex_t gate; /* guards users, references and closing */
    pthread_cond_t left;  /* users fell to 0 */
    int users;            /* calls that are inside */
    int references;       /* the handle, if not closed, and its children */
    bool closing;
    atomic_bool closed; /* as closing, for a look without the lock */

    pthread_mutex_t lifecycle;   /* start, stop, close; guards the change of `worker` */
    pthread_mutex_t worker_lock; /* guards `worker` for nudges; never held for long */
    struct worker *worker;       /* NULL: not running */

    pthread_mutex_t queries_lock; /* guards the next four */
    struct reader *idle_readers;
    int idle_count, reader_count; /* reader_count: idle and in use */
    struct daybook_query *queries;

    pthread_mutex_t watch_lock; /* guards what follows */
    pthread_cond_t watch_ended; /* a callback returned */
    struct daybook_watch *watches, *watches_last;
    struct daybook_watch *calling; /* whose callback runs */
    int watch_count;
    bool delivering, watches_ended;
    pthread_t deliverer; /* where delivering */
};

/* Every public call that uses the store goes in and out. False: the engine is closed or being
 * closed. */
bool dk_engine_enter(struct daybook *engine);
void dk_engine_leave(struct daybook *engine);
/* References of children. The last one frees the struct. */
void dk_engine_hold(struct daybook *engine);
void dk_engine_release(struct daybook *engine);
/* True once daybook_close has begun. */
bool dk_engine_is_closed(const struct daybook *engine);

/* ---- readers.c */

/* A connection of our own until it is given back. BUSY: READERS_MAX are out. */
daybook_status dk_reader_take(struct daybook *engine, struct reader **reader);
/* Kept for the next or closed. queries_lock is held by the caller. */
void dk_reader_give(struct daybook *engine, struct reader *reader);
void dk_readers_close(struct daybook *engine);
/* After a commit: ends snapshots that idle queries hold for too long. */
void dk_queries_expire(struct daybook *engine);
/* The engine closes: every query loses its statement and its reader. */
void dk_queries_detach(struct daybook *engine);

/* ---- watch.c */

/* Notes what a commit touched (bits as in store.h); calls nobody. Any thread. */
void dk_watch_note(struct daybook *engine, uint64_t entities);
/* Calls back for all that is noted, unless another thread does already. No lock may be held. */
void dk_watch_deliver(struct daybook *engine);
/* True where the caller runs inside a callback of this engine. */
bool dk_watch_is_inside(struct daybook *engine);
/* No callback runs any more after this, and none starts. */
void dk_watches_end(struct daybook *engine);

/* ---- sync.c */

/* A commit went through: tells the sync thread, then the watches. */
void dk_engine_committed(struct daybook *engine);

#endif
