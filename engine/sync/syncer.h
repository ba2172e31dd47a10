/* SPDX-License-Identifier: Apache-2.0
 *
 * One sync run: up with what is pending, down to the log's head, repairs where the server or the
 * store is a copy of what it was. The foreground call and the worker thread share one syncer; its
 * run lock makes them take turns.
 */
#ifndef DAYBOOK_SYNC_SYNCER_H
#define DAYBOOK_SYNC_SYNCER_H

#include "engine/base/log.h"
#include "engine/store/store.h"
#include "engine/sync/exchange.h"

#define SYNC_REPAIRS_MAX 4  /* of one run: new instances and gaps */
#define SYNC_SHRINKS_MAX 16 /* of one run: requests made smaller */
#define SYNC_RESETS_MAX 3   /* of one run: positions that went back, scopes that changed */
#define SYNC_VERIFY_MS (INT64_C(24) * 3600 * 1000) /* between two comparisons of contents */
#define SYNC_ROUNDS_MAX 100000                     /* of one run */

struct syncer_options {
    struct exchange_options exchange;
    struct store *store; /* outlives the syncer */
    struct log log;
    int64_t page_bytes; /* 0: the server's default */
    int64_t timeout_ms; /* of one exchange */
    bool leave_recent;  /* documents of class recent are not wanted */
    /* After each reply that was applied, on the thread that syncs, off all locks but the run lock.
     * NULL: none. */
    void (*applied)(void *context);
    void *context;
};

/* Why a run or an enrolment failed. */
struct sync_failure {
    int http_status;        /* 0: none */
    char code[32];          /* the server's, or "" */
    char detail[200];       /* for developers, or "" */
    int64_t retry_after_ms; /* -1: none */
    bool progressed;        /* the run got somewhere before it failed */
};

/* For a badge. */
struct syncer_status {
    bool connected; /* the last exchange succeeded */
    bool uploading, downloading;
    int64_t bytes_up, bytes_down, round_trips; /* bodies, since the syncer was made */
    int64_t divergences;    /* buckets that were not what the server has, likewise */
    int64_t repaired;       /* of these: that are again */
    daybook_status blocked; /* why the last run failed; OK where it did not */
};

struct syncer;

struct syncer *dk_syncer_new(const struct syncer_options *options); /* NULL: no memory */
void dk_syncer_free(struct syncer *syncer); /* nothing runs any more; NULL is fine */

/* Pushes what is pending and pulls until the head, or until budget_ms (0: none) is used up:
 * INTERRUPTED. `wait` false: BUSY where another run or enrolment is under way. */
daybook_status dk_syncer_run(struct syncer *syncer, int64_t budget_ms, bool wait,
                             struct sync_failure *failure);
/* The next run that reaches the head compares what every record says with the server; what differs
 * is loaded anew and counted. Any thread, also within a run. */
void dk_syncer_verify(struct syncer *syncer);
/* Trades a one-time code for a token. MISUSE: enrolled, and the server's last word on the token was
 * no refusal; BAD_CODE; INVALID: the code belongs to another user than the store; and what
 * dk_exchange gives. */
daybook_status dk_syncer_enrol(struct syncer *syncer, const char *code, const char *device_name,
                               struct sync_failure *failure);
/* Fetches one document with its child rows, as the server has it now, and keeps it beside the
 * records. NOT_FOUND: there is none for this user. Waits for a run that is under way. */
daybook_status dk_syncer_fetch(struct syncer *syncer, const struct entity *entity,
                               const struct id *document, struct sync_failure *failure);
/* From any thread: ends what runs soon with INTERRUPTED, and everything later at once, until
 * dk_syncer_resume. */
void dk_syncer_interrupt(struct syncer *syncer);
void dk_syncer_resume(struct syncer *syncer);
void dk_syncer_status(struct syncer *syncer, struct syncer_status *status);

#endif
