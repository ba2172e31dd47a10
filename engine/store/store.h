/* SPDX-License-Identifier: Apache-2.0
 *
 * The device's truth: one SQLite file, the only SQL of the engine. Record and outbox entry are
 * written in one transaction; a reply of the server (verdicts, log page, new position) is applied
 * in one transaction.
 *
 * Invariants, checked by dk_store_check (tests call it after each step):
 *  1. A record without a pending row has the base's values, and its version is the base version.
 *  2. A pending row (entity, id) exists exactly for the records that an outbox changeset without
 * rejection touches; its `touched` mask is the union of their fields, seq_first and seq_last their
 * range, seen the smallest `seen`; the record's row (if any) is base + those changes, and its
 * version is that `seen`.
 *  3. Outbox seqs ascend without twins; next_seq is above all that were ever given out.
 *  4. DERIVED fields equal what dk_sales_derive computes.
 *  5. A stale row is of a bucket that waits for pages; state.loading counts the buckets whose
 * snapshot is not complete.
 *  6. The version sum of each bucket held is that of the bases in it.
 *
 * Threads: every function may be called from any thread; each takes the store's lock for its short
 * transaction. Nothing waits on the network or an observer under it.
 */
#ifndef DAYBOOK_STORE_H
#define DAYBOOK_STORE_H

#include "engine/base/database.h"
#include "engine/base/log.h"
#include "engine/protocol/message.h"
#include "engine/sales/sales.h"

#include <daybook/platform.h>

#define FETCHED_DAYS 30 /* how long a fetched document is kept */

struct store;

struct store_options {
    const char *path;
    const char *vfs;
    bool relaxed;
    int cache_kib;
    const daybook_platform *platform; /* copied */
    struct log log;
    /* After a commit, off the lock: bit n of entities = entity_kind n was touched; bit 63 = outbox,
     * inbox or sync state. */
    void (*changed)(void *context, uint64_t entities);
    void *context;
};

#define STORE_CHANGED_SYNC ((uint64_t)1 << 63)

/* `problem` gets a text for the developer (the owner's pid for BUSY …). */
daybook_status dk_store_open(const struct store_options *options, struct store **store,
                             char *problem, size_t problem_size);
void dk_store_close(struct store *store); /* readers must be closed before */

/* ---- who we are and where we stand */

struct store_state {
    struct id instance;
    uint32_t device_no; /* 0: not enrolled */
    char token[64];     /* "" : not enrolled */
    struct id organisation, user, territory;
    char role[32];
    uint64_t epoch;
    int64_t position, head, safe_position;
    int64_t next_seq;
    int64_t settled;    /* all seq up to here are settled, or undone */
    int64_t pending;    /* outbox changesets without a verdict */
    int64_t unsettled;  /* outbox changesets with a verdict */
    int64_t inbox;      /* open items */
    int64_t inbox_last; /* number of the newest one */
    int64_t loading;    /* buckets whose snapshot is under way */
    int64_t oldest_pending_ms;
    int64_t last_synced_ms;
    int64_t verified_ms; /* wall clock: what every record says was compared last; 0: no sync yet */
    struct hlc_clock clock;
};

/* The present epoch of the server's log. Waits for nobody. */
uint64_t dk_store_epoch(const struct store *store);
/* A consistent copy. */
void dk_store_state(struct store *store, struct store_state *state);
daybook_status dk_store_enrolled(struct store *store, const struct enrol_reply *reply);
/* This file is a copy of another (409 DIVERGED, or a marker for a changeset that it does not have):
 * a new instance with the leased number; all changesets in the outbox, also those that are settled
 * and kept, are numbered from 1 in order (ids stay) and go up again; position 0, all rows stale,
 * all buckets loading. */
daybook_status dk_store_new_instance(struct store *store, const struct id *instance,
                                     uint32_t device_no);
daybook_status dk_store_learn_clock(struct store *store, int64_t sent_ms, int64_t received_ms,
                                    int64_t server_ms);
daybook_status dk_store_synced(struct store *store, int64_t wall_ms);   /* a complete sync ended */
daybook_status dk_store_verified(struct store *store, int64_t wall_ms); /* contents were compared */

/* ---- local reads and writes */

/* The record as the user sees it (overlay). record->version is what a patch names. Texts in the
 * arena. */
daybook_status dk_store_read(struct store *store, const struct entity *entity, const struct id *id,
                             struct arena *arena, struct record *record, bool *found);

/* The holds that the rules say the record deserves as it is seen here: what the server will say, as
 * far as this device knows. Texts in the arena. */
daybook_status dk_store_holds(struct store *store, const struct entity *entity, const struct id *id,
                              struct arena *arena, struct sales_hold holds[SALES_HOLDS_MAX],
                              int *count, bool *found);

/* Whether a visit counts, and what speaks against it, as far as this device knows. */
struct store_visit {
    bool found;
    bool counts;
    bool provisional; /* changes are pending that it is judged by */
    enum visit_flaw flaw;
};
daybook_status dk_store_visit_counts(struct store *store, const struct id *id, struct arena *arena,
                                     struct store_visit *visit);

struct store_failure { /* of a commit */
    const struct entity *entity;
    struct id id;
    struct refusal refusal; /* code 0: no rule, see the status */
};

/* Writes one transaction: for each change, in order, load, check version (`seen` -1: blind), merge
 * on the overlay, fill, check; expand deletes to children; derive; then records, pending rows and
 * one outbox entry, all or nothing. changes[i].seen is replaced by what goes up. Values are
 * borrowed. `epoch`: the present one when the transaction began; a version that was read before it
 * ended counts as far as the present log has it. NOT_FOUND, EXISTS, BAD_VERSION, REQUIRED, RULE,
 * READONLY, TOO_LARGE with *failure; DISK_FULL, IO … `discard_items`: inbox items that this commit
 * takes away. */
daybook_status dk_store_commit(struct store *store, struct change *changes, int count,
                               uint64_t epoch, const int64_t *discard_items, int discard_count,
                               struct store_failure *failure);
/* A fresh record id. */
daybook_status dk_store_new_id(struct store *store, struct id *id);

/* ---- the road up */

struct store_batch {
    int count;
    int64_t first_seq, last_seq; /* 0: none */
};
/* Appends the bodies of undecided changesets with seq > after as a JSON array, at most max_bytes
 * (at least one), max_count, and the first gap. With the relaxed option, makes them durable first
 * (sync.md 3.4). */
daybook_status dk_store_collect(struct store *store, int64_t after, size_t max_bytes, int max_count,
                                struct buffer *out, struct store_batch *batch);
/* Changesets that are in quarantine, as far as this store knows, count as undecided and go up
 * again: the answer is the verdict that they have by now. */
daybook_status dk_store_ask_again(struct store *store);
/* Array of the bucket numbers held. */
daybook_status dk_store_write_scope(struct store *store, struct buffer *out);
/* Array of where the pages of buckets go on, [bucket] or [bucket,"entity","id"]; nothing at all
 * where no bucket waits for one. */
daybook_status dk_store_write_loading(struct store *store, struct buffer *out);
/* Begins the snapshot of one bucket of the scope anew: its rows become stale, and what pages and
 * log do not bring goes when they are in. Pending changes stay. NOT_FOUND: not in the scope. */
daybook_status dk_store_reload(struct store *store, int64_t bucket);

/* ---- the road down */

struct store_applied {
    int verdicts, rejected, rows, conflicts;
    int pages;    /* that were taken */
    bool differs; /* the scope's version sum is not the server's: ask for those of the buckets */
    int diverged; /* buckets that were found to differ: their rows are stale, to be read anew */
    int repaired; /* buckets that were found to differ earlier, and agree now */
    bool copy_detected; /* a marker or verdict is of a changeset that this file never sent, or sent
                           another one as: nothing was applied; take a new instance */
};
/* One transaction: scope and evictions, verdicts, pages, log rows, position. BAD_REPLY (with
 * problem) leaves everything as it was. */
daybook_status dk_store_apply(struct store *store, struct sync_reply *reply, struct arena *arena,
                              struct store_applied *applied, const char **problem);

/* Compares what every record says with the sums and contents of a reply that was just applied; the
 * buckets that differ begin to load anew. By the syncer alone, before it applies another reply.
 * BAD_REPLY: the reply has no such sums. */
daybook_status dk_store_verify(struct store *store, const struct sync_reply *reply, int *diverged);

/* ---- inbox */
daybook_status dk_store_inbox_discard(struct store *store, int64_t item);
/* The changes of a rejected item and its chain, in order, or the one that brings a superseded
 * item's value back (`seen` -1: based on what stands when it is staged), texts in the arena; and
 * the items that a commit of them takes away. NOT_FOUND: no such item, or one that holds no change.
 */
daybook_status dk_store_inbox_changes(struct store *store, int64_t item, struct arena *arena,
                                      struct change **changes, int *count, int64_t **items,
                                      int *item_count);

/* Takes an item away that only informs. INVALID: it holds a rejected change. NOT_FOUND. */
daybook_status dk_store_inbox_acknowledge(struct store *store, int64_t item);
/* The highest number that an item has had since the store was opened, or has. */
int64_t dk_store_inbox_last(struct store *store);

/* ---- readers */

/* A read-only connection with an authorizer that allows SELECT over the documented views (and the
 * functions they need) only. `used` (may be NULL) collects the entities read while preparing (bits
 * as in `changed`). */
daybook_status dk_store_reader_open(struct store *store, struct database *reader, uint64_t *used);
void dk_store_reader_close(struct store *store, struct database *reader);

/* Tests: verifies the invariants; false with a text. */
bool dk_store_check(struct store *store, char *problem, size_t problem_size);

/* ---- documents that are fetched one by one */

/* Keeps a document with its child rows, an array of blocks of whole records, in the place of what
 * was fetched of it before; documents older than FETCHED_DAYS go. NOT_FOUND: no rows; what was
 * there before is gone. BAD_REPLY: damaged, or not this document. */
daybook_status dk_store_fetched_put(struct store *store, const struct entity *entity,
                                    const struct id *document, struct span *rows);
/* Whether this is a document, or a child row of one, that was fetched. */
daybook_status dk_store_fetched_has(struct store *store, const struct entity *entity,
                                    const struct id *id, bool *fetched);
/* NOT_FOUND. */
daybook_status dk_store_fetched_forget(struct store *store, const struct id *document);

#endif
