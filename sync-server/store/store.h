/* SPDX-License-Identifier: Apache-2.0
 *
 * What the server keeps, as an interface: SQLite embedded is the default (sqlite*.c), PostgreSQL is
 * meant to follow with the same operations (store_operations.h). One struct srv_store is one
 * connection: the writer (the decider's, the only one) or a reader (one per worker thread), used by
 * one thread at a time. Readers are closed before the writer.
 *
 * Everything is per organisation (org: small number). Positions are dense per organisation: the
 * decider holds the head in memory, takes head + 1 for each accepted changeset, and stores it in
 * the same transaction.
 *
 * Whatever writes is called between srv_store_begin and srv_store_commit. Any call may fail with
 * NO_MEMORY, DISK_FULL, IO, CORRUPT; the comments name what else it may return. Out-parameters hold
 * their result only after OK. Texts and rows that are given an arena live in it.
 */
#ifndef DAYBOOK_SERVER_STORE_H
#define DAYBOOK_SERVER_STORE_H

#include "engine/base/arena.h"
#include "engine/base/log.h"
#include "engine/protocol/message.h"
#include "engine/protocol/stamp.h"
#include "engine/protocol/state.h"
#include "engine/protocol/value.h"

#include <daybook/status.h>

#define SRV_HASH_SIZE 32 /* SHA-256 */

/* ---- rows */

struct srv_organisation {
    int64_t org;
    struct id id; /* of its organisation record */
    int64_t head; /* last position given */
};

struct srv_account { /* what access decisions need of a user; the app_user record says the rest */
    struct id user;
    int64_t org;
    char role[32];       /* rep, manager, back_office, system */
    struct id territory; /* zero: none */
    struct id manager;   /* zero: none */
    bool disabled;
    int64_t since_ms; /* server time from which all of this holds; 0: always */
};

struct srv_placement { /* a root that a record was in */
    int64_t bucket;
    int64_t left_ms;  /* server time */
    int64_t position; /* of the changeset by which it left */
};

struct srv_device {
    int64_t device; /* row number; one physical device, one token */
    int64_t org;
    struct id user;
    char name[64];
    bool revoked;
    int64_t enrolled_ms, seen_ms;
    /* one instance of it: the one leased last, or the one that a request is of */
    struct id instance;
    uint32_t device_no;  /* never reused */
    int64_t decided;     /* highest seq decided */
    int64_t settled;     /* highest acknowledgement mark */
    int64_t divergences; /* buckets that it found to differ from the server's */
};

struct srv_decision {
    uint32_t device_no;
    int64_t seq;
    struct id changeset;
    uint8_t digest[SRV_HASH_SIZE]; /* SHA-256 of the body */
    int64_t position;              /* 0: rejected */
    const char *verdict; /* the row as JSON (dk_verdict_write); NULL: acknowledged and dropped */
    size_t verdict_length;
};

struct srv_claim { /* what a changeset that was not applied has to do with a record */
    struct id changeset;
    bool waits;  /* it is quarantined, not rejected */
    bool before; /* and the same instance sent it before the one that asks */
};

struct srv_quarantined { /* a changeset that waits for an operator */
    uint32_t device_no;
    int64_t seq;
    struct id changeset;
    struct id user;  /* the author */
    const char *why; /* a code of REJECTED */
    /* of the request that brought it: what a later decision needs to know when it was made */
    int64_t received_ms, steady_ms;
    uint64_t boot;
    const char *body; /* its text */
    size_t length;
};

/* Who wrote each field last; keys of custom and extra maps have stamps of their own. */
struct srv_key_stamp {
    const char *key; /* "custom.colour" or "extra.name"; in the arena */
    uint32_t key_length;
    struct stamp stamp;
};
struct srv_record {
    struct record record; /* values as stored; record.version = position of the last change */
    int64_t bucket;
    int64_t stored_bucket; /* the one that it was read with; 0: not read, or not known */
    bool deleted;          /* a tombstone: values are those before the delete */
    struct stamp deletion; /* who deleted it */
    struct stamp stamps[LIMIT_FIELDS];
    struct srv_key_stamp *key_stamps; /* arena */
    int key_stamp_count;
    struct state_op *state_ops; /* arena: the register of the entity's STATE field */
    int state_op_count;         /* 0: one operation, which the field's stamp and value tell */
};

/* What a changeset gave a field that the server does not know: kept beside what came of it by
 * LATEST, until the field's own policy can be asked. */
struct srv_given {
    const char *name;
    size_t name_length;
    const char *value; /* raw JSON; NULL: it was taken away */
    size_t value_length;
    struct stamp stamp;
    int64_t seen;        /* what the author knew of the record */
    bool makes;          /* with the record itself */
    struct id user;      /* the author; zero: not known */
    unsigned roles;      /* of the author, as in machines.h, whose numbers are kept; 0: not known */
    struct id changeset; /* zero: not known */
};

/* How far back the documents of a bucket lie: a root has a bucket for each, the open one first. */
enum srv_class { CLASS_OPEN, CLASS_RECENT, CLASS_ARCHIVE, CLASS_COUNT };

/* Numbers: roots count 1, 4, 7 … within the organisation; the two that follow one are its other
 * classes, which are there once something has been put into them. */
struct srv_bucket {
    int64_t bucket;
    const char *label;
};

/* The open bucket of the same root. */
static inline int64_t srv_bucket_root(int64_t bucket)
{
    return bucket - (bucket - 1) % CLASS_COUNT;
}

static inline enum srv_class srv_bucket_class(int64_t bucket)
{
    return (enum srv_class)((bucket - 1) % CLASS_COUNT);
}

/* One log row: what one changeset did in one bucket. body and own are sequences of parts; a part is
 * one row of a block for readers. */
struct srv_log_row {
    int64_t position;
    int64_t bucket;
    uint32_t device_no; /* of the author; 0: the body is for it too */
    int64_t time_ms;    /* server wall clock at the decision */
    const void *body;   /* for all others; see srv_log_part_append */
    size_t body_size;
    const void *own; /* for the author: what is not as it was sent; may be empty */
    size_t own_size;
};

/* ---- opening */

struct srv_store;

struct srv_store_options {
    const char *folder; /* holds server.db */
    bool writer;
    const char *vfs; /* tests; NULL: the default */
    struct log log;
};

/* The writer creates what is missing; a reader takes a store that its writer has opened.
 * CANNOT_OPEN (no folder, not writable), NOT_A_STORE, NEWER_STORE, INVALID (path too long) … with a
 * text. */
daybook_status srv_store_open_sqlite(const struct srv_store_options *options,
                                     struct srv_store **store, char *problem, size_t problem_size);
/* A consistent copy of the store's file `from`, which may be in use, as the new file `to`; checked
 * page by page, and on the disk when it returns OK. CORRUPT, NOT_A_STORE, NEWER_STORE, EXISTS,
 * DISK_FULL … with a text; nothing is left behind then. */
daybook_status srv_store_copy_sqlite(const char *from, const char *to, char *problem,
                                     size_t problem_size);
/* Rolls back what is open. NULL is fine. */
void srv_store_close(struct srv_store *store);
/* Random, never 0, < 2^63. */
uint64_t srv_store_epoch(struct srv_store *store);
/* Ends the epoch: this file is a copy that takes the place of the store it was made from. Notes the
 * head that each organisation has in it, which the copy covers; takes another epoch; and leaves out
 * device numbers: all up to `number`, which is known to have been given, then 100,000 that may have
 * been since, and a random step of less than 900,000 more, for another store may have begun from
 * the same copy. In a transaction; readers are opened after it. */
daybook_status srv_store_new_epoch(struct srv_store *store, int64_t number);
/* The highest device number that the store's file at this path has given; 0 where there is none, or
 * the file cannot be read. */
int64_t srv_store_last_number_sqlite(const char *path);
/* Up to which schema the records are converted (protocol/convert.h). Set in a transaction. */
daybook_status srv_store_get_converted(struct srv_store *store, int64_t *schema);
daybook_status srv_store_set_converted(struct srv_store *store, int64_t schema);
/* Keeps what was given; all that was given for a record, by position; forgets what was given for
 * one field of it; ids of records of an entity for which something was
 * given, behind `after`, in order. */
daybook_status srv_store_add_given(struct srv_store *store, int64_t org,
                                   const struct entity *entity, const struct id *record,
                                   const struct srv_given *given);
daybook_status srv_store_given(struct srv_store *store, int64_t org, const struct entity *entity,
                               const struct id *record, struct arena *arena,
                               struct srv_given **rows, int *count);
daybook_status srv_store_remove_given(struct srv_store *store, int64_t org,
                                      const struct entity *entity, const struct id *record,
                                      const char *name);
daybook_status srv_store_list_given(struct srv_store *store, int64_t org,
                                    const struct entity *entity, const struct id *after, int limit,
                                    struct arena *arena, struct id **ids, int *count);
/* The last position that an earlier epoch has in common with this one: a restored copy is a prefix
 * of the log that it was made from. 0: not an epoch of this store's past. */
daybook_status srv_store_epoch_end(struct srv_store *store, int64_t org, uint64_t epoch,
                                   int64_t *head);

/* ---- transactions of the writer
 *
 * A savepoint lies within a transaction; there is one at a time. When a disk is full the database
 * may give up a whole transaction by itself: then every call up to the commit returns that same
 * status, and the commit too. */
daybook_status srv_store_begin(struct srv_store *store);
/* Durable when it returns OK; on failure rolled back. */
daybook_status srv_store_commit(struct srv_store *store);
/* Also with a savepoint open; without a transaction it does nothing. */
void srv_store_rollback(struct srv_store *store);
/* How many rows this store has written since it was opened, those that were undone included: two
 * equal numbers mean that nothing was written in between. */
int64_t srv_store_writes(struct srv_store *store);
daybook_status srv_store_savepoint(struct srv_store *store);
daybook_status srv_store_release(struct srv_store *store);
/* Undoes to the savepoint and removes it. On failure srv_store_rollback is all that is left. */
daybook_status srv_store_rollback_to(struct srv_store *store);

/* ---- snapshots of a reader
 *
 * A reply is read between these two, from one committed state. */
daybook_status srv_store_begin_read(struct srv_store *store);
/* Cursors are closed before. Without a read under way it does nothing. */
void srv_store_end_read(struct srv_store *store);

/* ---- organisations */

/* EXISTS. */
daybook_status srv_store_add_organisation(struct srv_store *store, const struct id *id,
                                          int64_t *org);
/* By number. */
daybook_status srv_store_organisations(struct srv_store *store, struct arena *arena,
                                       struct srv_organisation **rows, int *count);
/* NOT_FOUND, both. */
daybook_status srv_store_set_head(struct srv_store *store, int64_t org, int64_t head);
daybook_status srv_store_get_head(struct srv_store *store, int64_t org, int64_t *head);
/* Up to where a backup covers the log; *any false: there has been none. NOT_FOUND, both. */
daybook_status srv_store_set_backup(struct srv_store *store, int64_t org, int64_t head);
daybook_status srv_store_get_backup(struct srv_store *store, int64_t org, int64_t *head, bool *any);

/* ---- accounts */

/* The accounts are a projection of the app_user records, kept by the decider in the same
 * transaction. Inserts or replaces. */
daybook_status srv_store_put_account(struct srv_store *store, const struct srv_account *account);
daybook_status srv_store_get_account(struct srv_store *store, const struct id *user,
                                     struct srv_account *account, bool *found);
/* The live app_user record with this login, found where there is exactly one. org 0: in any
 * organisation. */
daybook_status srv_store_find_login(struct srv_store *store, int64_t org, const char *login,
                                    struct id *user, bool *found);

/* ---- history: what was where, and who was what, before something moved */

/* The record has left a root. EXISTS. */
daybook_status srv_store_add_placement(struct srv_store *store, int64_t org,
                                       const struct id *record,
                                       const struct srv_placement *placement);
/* The root that the record was in at this time, and when it left it. *found false: it has not left
 * any since. */
daybook_status srv_store_placed_at(struct srv_store *store, int64_t org, const struct id *record,
                                   int64_t time_ms, struct srv_placement *placement, bool *found);
/* A record that was made at this time below another shares what that has left since. */
daybook_status srv_store_inherit_placements(struct srv_store *store, int64_t org,
                                            const struct id *from, const struct id *record,
                                            int64_t time_ms);
/* The account is so from the changeset of this position on. */
daybook_status srv_store_add_account_state(struct srv_store *store, int64_t position,
                                           const struct srv_account *account);
/* The first position behind which this account is another than at this time; user NULL: any one.
 * *found false: there is none. */
daybook_status srv_store_account_moved(struct srv_store *store, int64_t org, const struct id *user,
                                       int64_t time_ms, int64_t *position, bool *found);
/* The account as it was at this time. *found false: there was none. */
daybook_status srv_store_account_at(struct srv_store *store, int64_t org, const struct id *user,
                                    int64_t time_ms, struct srv_account *account, bool *found);
/* The accounts that reported to this manager at this time, as they were then; at most `limit`. */
daybook_status srv_store_reports_at(struct srv_store *store, int64_t org, const struct id *manager,
                                    int64_t time_ms, int limit, struct arena *arena,
                                    struct srv_account **rows, int *count);

/* ---- codes */

/* EXISTS. */
daybook_status srv_store_add_code(struct srv_store *store, const uint8_t code_hash[SRV_HASH_SIZE],
                                  int64_t org, const struct id *user, int64_t expires_ms);
/* Uses the code up: *found false where unknown, used, or expired at now_ms (expires_ms <= now_ms).
 * Expired codes are cleared away. */
daybook_status srv_store_take_code(struct srv_store *store, const uint8_t code_hash[SRV_HASH_SIZE],
                                   int64_t now_ms, int64_t *org, struct id *user, bool *found);

/* ---- devices */

/* Adds a device with its first instance; fills device->device and device->device_no (1, 2, 3 … over
 * all organisations). EXISTS: the token is known. */
daybook_status srv_store_add_device(struct srv_store *store, struct srv_device *device,
                                    const uint8_t token_hash[SRV_HASH_SIZE]);
/* Also one that is revoked. */
daybook_status srv_store_find_device(struct srv_store *store,
                                     const uint8_t token_hash[SRV_HASH_SIZE],
                                     struct srv_device *device, bool *found);
/* Puts another instance of the same device in the place of the present one; *found false: it has
 * none of this id. */
daybook_status srv_store_find_instance(struct srv_store *store, const struct id *instance,
                                       struct srv_device *device, bool *found);
/* Whether documents numbered by the device number `number` can be the work of the instance `mine`:
 * an instance of the same user has it, or a restore has forgotten who had. */
daybook_status srv_store_owns_number(struct srv_store *store, uint32_t mine, uint32_t number,
                                     bool *owns);
/* The device numbers that the user's devices have or had, but for the one that has `device_no`;
 * none where that is not known to be one of them. */
daybook_status srv_store_other_numbers(struct srv_store *store, const struct id *user,
                                       uint32_t device_no, struct arena *arena, uint32_t **numbers,
                                       int *count);
/* Gives the device another instance and device number; decided and settled start at 0. An instance
 * that the device has had before: its number and marks. NOT_FOUND: no such device. TOO_LARGE: all
 * device numbers (2^31 - 1) are used up. */
daybook_status srv_store_lease(struct srv_store *store, int64_t device, const struct id *instance,
                               uint32_t *device_no);
/* By row number, each with the instance that was seen last. org 0: of all organisations. */
daybook_status srv_store_list_devices(struct srv_store *store, int64_t org, struct arena *arena,
                                      struct srv_device **rows, int *count);
/* The device's token is not accepted any more. NOT_FOUND. */
daybook_status srv_store_revoke(struct srv_store *store, int64_t device);
/* decided and settled marks of an instance, and when it was seen. Drops verdicts up to `settled`,
 * at most 2,000 per call; what is left goes with the calls that follow. NOT_FOUND. */
daybook_status srv_store_mark_device(struct srv_store *store, uint32_t device_no, int64_t decided,
                                     int64_t settled, int64_t seen_ms);

/* Buckets of an instance that it found to differ. */
daybook_status srv_store_add_divergences(struct srv_store *store, uint32_t device_no,
                                         int64_t buckets);

/* ---- decisions */

/* EXISTS: the changeset of this organisation, or the seq of this instance, was decided before. */
daybook_status srv_store_add_decision(struct srv_store *store, int64_t org,
                                      const struct srv_decision *decision);
/* A changeset that an earlier instance had sent was sent again: its decision goes over to this seq
 * of the new instance, which gets its marker and, where it was applied, inherits its position.
 * NOT_FOUND, or EXISTS where this seq was decided before. */
daybook_status srv_store_adopt_decision(struct srv_store *store, int64_t org,
                                        const struct id *changeset, uint32_t device_no,
                                        int64_t seq);
/* The instance under which the changeset at a position was decided, where this one has inherited
 * it; 0: it has not. */
daybook_status srv_store_find_inherited(struct srv_store *store, uint32_t device_no,
                                        int64_t position, uint32_t *former);
/* Another verdict and position for a changeset that was decided: a quarantine has ended. NOT_FOUND.
 */
daybook_status srv_store_replace_verdict(struct srv_store *store, int64_t org,
                                         const struct srv_decision *decision);
daybook_status srv_store_find_decision(struct srv_store *store, int64_t org,
                                       const struct id *changeset, struct arena *arena,
                                       struct srv_decision *decision, bool *found);
/* Whether a decision is under this seq of the instance; one that was adopted is under another's. */
daybook_status srv_store_has_seq(struct srv_store *store, uint32_t device_no, int64_t seq,
                                 bool *has);
/* The instance's decisions with a position in (after, upto], seq > settled, by position: its
 * markers. The digest is left out, and the verdict where it says no more than the position. */
daybook_status srv_store_markers(struct srv_store *store, uint32_t device_no, int64_t settled,
                                 int64_t after, int64_t upto, struct arena *arena,
                                 struct srv_decision **rows, int *count);
/* The record has to do with a changeset of this instance that was not applied: one that waits under
 * this seq, and would make the record (`makes`) or touches it; or, seq 0, one that was rejected and
 * would have made it. Of those that an instance had rejected the last is kept. */
daybook_status srv_store_add_claim(struct srv_store *store, int64_t org, const struct id *record,
                                   const struct id *changeset, uint32_t device_no, int64_t seq,
                                   bool makes);
/* The claim on a record that counts for this changeset (instance and seq): of one that waits and
 * that this instance sent before it, else of any that waits, else of one that was rejected, its own
 * first. One that waits behind it in the same instance does not count, and of another instance only
 * one that would make the record: or two could wait for each other. */
daybook_status srv_store_find_claim(struct srv_store *store, int64_t org, const struct id *record,
                                    uint32_t device_no, int64_t seq, struct srv_claim *claim,
                                    bool *found);
/* No record has to do with the changeset any more. */
daybook_status srv_store_remove_claims(struct srv_store *store, int64_t org,
                                       const struct id *changeset);

/* ---- records */

/* *found false: never existed; a tombstone is found with deleted set. Values behind the entity's
 * last field are not touched. */
daybook_status srv_store_get(struct srv_store *store, int64_t org, const struct entity *entity,
                             const struct id *id, struct arena *arena, struct srv_record *record,
                             bool *found);
/* Inserts or replaces the row. `existed`: the caller has read it before (chooses INSERT or UPDATE;
 * EXISTS or NOT_FOUND where that is wrong). Values are of their fields' kinds. */
daybook_status srv_store_put(struct srv_store *store, int64_t org, const struct srv_record *record,
                             bool existed);
/* Inserts records of one entity that are not there, faster than one by one. EXISTS where one is;
 * then others of them may have been put, and the caller rolls back. */
daybook_status srv_store_put_new(struct srv_store *store, int64_t org,
                                 const struct srv_record *const *records, int count);
/* Whether there is any record, tombstones too, with an id from `first` to `last`, both included. */
daybook_status srv_store_any_id(struct srv_store *store, int64_t org, const struct entity *entity,
                                const struct id *first, const struct id *last, bool *any);
/* Whether there is any document, tombstones too, with a number in `field` from `first` to `last` by
 * their bytes, both included. */
daybook_status srv_store_any_number(struct srv_store *store, int64_t org,
                                    const struct entity *entity, int field,
                                    const struct value *first, const struct value *last, bool *any);
/* Live children by id order. */
daybook_status srv_store_children(struct srv_store *store, int64_t org, const struct entity *entity,
                                  const struct id *parent, struct arena *arena,
                                  struct srv_record **rows, int *count);
/* Records of `entity` whose ID field `field` names `value`, by id order, ids above `after` (zero:
 * from the start), at most `limit`. Tombstones (whose values are those before the delete) only with
 * `tombstones`. For root fields, parent fields and managers, which have an index. */
daybook_status srv_store_related(struct srv_store *store, int64_t org, const struct entity *entity,
                                 int field, const struct id *value, const struct id *after,
                                 int limit, bool tombstones, struct arena *arena,
                                 struct srv_record **rows, int *count);
/* The live visits of a rep to a customer with check-in in [from_ms, to_ms], in no order. */
daybook_status srv_store_visits(struct srv_store *store, int64_t org, const struct id *customer,
                                const struct id *rep, int64_t from_ms, int64_t to_ms,
                                struct arena *arena, struct srv_record **rows, int *count);
/* A place in the order of a rep's visits by check-in, then id, and how far to look from it. */
struct srv_visit_range {
    struct id rep, id;
    int64_t time_ms, until_ms;
    bool before; /* looks back */
    int limit;
};
/* The live visits behind or before that place, the nearest first. */
daybook_status srv_store_visits_from(struct srv_store *store, int64_t org,
                                     const struct srv_visit_range *range, struct arena *arena,
                                     struct srv_record **rows, int *count);
/* All live records of an entity, by id order, ids above `after`, at most `limit`: for an operator's
 * lists, not for decisions. */
daybook_status srv_store_list(struct srv_store *store, int64_t org, const struct entity *entity,
                              const struct id *after, int limit, struct arena *arena,
                              struct srv_record **rows, int *count);
/* Documents with this number in `field`, tombstones too, by id order, at most NUMBERED_MAX. */
#define NUMBERED_MAX 2000
daybook_status srv_store_numbered(struct srv_store *store, int64_t org, const struct entity *entity,
                                  int field, const struct value *number, struct arena *arena,
                                  struct srv_record **rows, int *count);
/* Bucket number of a root's label ("organisation", "territory:<uuid>", "user:<uuid>"), made where
 * missing; a reader makes none (NOT_FOUND). TOO_LARGE. */
daybook_status srv_store_bucket(struct srv_store *store, int64_t org, const char *label,
                                int64_t *bucket);
/* Writer: the bucket of another class of this bucket's root, made where missing; its label is the
 * root's with "/recent" or "/archive" behind. NOT_FOUND: no such root. */
daybook_status srv_store_bucket_in(struct srv_store *store, int64_t org, int64_t bucket,
                                   enum srv_class class, int64_t *number);
/* All buckets of the organisation, by number. */
daybook_status srv_store_buckets(struct srv_store *store, int64_t org, struct arena *arena,
                                 struct srv_bucket **rows, int *count);
/* The bucket of this class of a root, its label in the arena. Makes none: NOT_FOUND. */
daybook_status srv_store_find_bucket(struct srv_store *store, int64_t org, const char *root,
                                     enum srv_class class, struct arena *arena,
                                     struct srv_bucket *bucket);
/* The next bucket by number that is no archive; 0: none. */
daybook_status srv_store_next_bucket(struct srv_store *store, int64_t org, int64_t after,
                                     int64_t *bucket);

/* Live records of `entity` in a bucket, by id order, ids above `after` (zero: from the start):
 * calls `each` with one after the other until it sets *stop or fails. Stamps are not read; the
 * values are borrowed for the call, in which the store is not to be used. */
typedef daybook_status (*srv_each_record)(void *context, const struct record *record, bool *stop);
daybook_status srv_store_bucket_records(struct srv_store *store, int64_t org, int64_t bucket,
                                        const struct entity *entity, const struct id *after,
                                        srv_each_record each, void *context);
/* Adds to the bucket's version sum (engine/protocol/sum.h); a bucket that there is not: nothing. */
daybook_status srv_store_add_sum(struct srv_store *store, int64_t org, int64_t bucket,
                                 uint64_t difference);
/* 0 where there is no such bucket. */
daybook_status srv_store_get_sum(struct srv_store *store, int64_t org, int64_t bucket,
                                 uint64_t *sum);

/* ---- log */

/* Entries up to the floor may be gone: a device whose position is below it takes a snapshot. 0 in a
 * new organisation. It never goes back. NOT_FOUND. */
daybook_status srv_store_get_floor(struct srv_store *store, int64_t org, int64_t *floor);
daybook_status srv_store_raise_floor(struct srv_store *store, int64_t org, int64_t floor);
/* The last position whose entry, and all before it, was decided before this time; at most
 * `head`. */
daybook_status srv_store_position_before(struct srv_store *store, int64_t org, int64_t time_ms,
                                         int64_t head, int64_t *position);
/* Removes what stands at or below the floor: log rows, evictions, tombstones; at most about `limit`
 * of them, but no record that has become another. *removed 0: nothing is left. A document's
 * tombstone goes before those of its lines. */
daybook_status srv_store_cut(struct srv_store *store, int64_t org, int limit, int64_t *removed);
/* EXISTS: the bucket has a row of this position. NOT_FOUND: the organisation has no such bucket.
 * TOO_LARGE: position >= 2^41. */
daybook_status srv_store_append_log(struct srv_store *store, int64_t org,
                                    const struct srv_log_row *row);
/* A record left a bucket at this position, whose log row says so. What the log says of it before is
 * not for those who see that bucket only. */
daybook_status srv_store_add_eviction(struct srv_store *store, int64_t org, int64_t bucket,
                                      const struct id *record, int64_t position);
/* Whether any record left one of these buckets at a position in (after, upto]. */
daybook_status srv_store_any_left(struct srv_store *store, int64_t org, const int64_t *buckets,
                                  int bucket_count, int64_t after, int64_t upto, bool *any);
/* Whether this record left some bucket at a position in (after, upto]. */
daybook_status srv_store_has_left(struct srv_store *store, int64_t org, const struct id *record,
                                  int64_t after, int64_t upto, bool *left);
/* A merge over several buckets (none twice) by position, then bucket, streaming: rows with position
 * in (after, upto]. A bucket that the organisation does not have is empty. At most eight cursors
 * per connection, then BUSY. */
struct srv_log_cursor;
daybook_status srv_store_log_open(struct srv_store *store, int64_t org, const int64_t *buckets,
                                  int bucket_count, int64_t after, int64_t upto,
                                  struct srv_log_cursor **cursor);
/* The row is borrowed until the next call. *found false: end. After a failure: close. */
daybook_status srv_store_log_next(struct srv_log_cursor *cursor, struct srv_log_row *row,
                                  bool *found);
/* NULL is fine. */
void srv_store_log_close(struct srv_log_cursor *cursor);

/* Parts of a log row's body: (header number, row tail). The header is a block's header text
 * (dk_block_header), interned by number; the tail is the row behind its position
 * (dk_block_row_tail). The page builder writes "[" position tail.
 *
 * The number of a header, made where missing; a reader makes none (NOT_FOUND). TOO_LARGE past
 * 256 KiB. */
daybook_status srv_store_header(struct srv_store *store, const char *text, size_t length,
                                int64_t *number);
/* Cached; borrowed until the transaction or read that is under way ends. CORRUPT: no such number.
 */
daybook_status srv_store_header_text(struct srv_store *store, int64_t number, const char **text,
                                     size_t *length);
/* A failure sticks to the buffer. */
void srv_log_part_append(struct buffer *body, int64_t header, const char *tail, size_t tail_length);
/* The next part; *cursor is 0 at first. False at the end, and where the body is damaged: then
 * *cursor is less than body_size. The tail is borrowed from `body`. */
bool srv_log_part_next(const void *body, size_t body_size, size_t *cursor, int64_t *header,
                       const char **tail, size_t *tail_length);

/* ---- quarantine */

/* EXISTS: the changeset, or this seq of the instance, is there already. */
daybook_status srv_store_add_quarantine(struct srv_store *store, int64_t org,
                                        const struct srv_quarantined *row);
/* Whether any changeset of this instance waits. */
daybook_status srv_store_has_quarantine(struct srv_store *store, uint32_t device_no, bool *has);
/* How many changesets of a user wait, and the bytes of their texts. */
daybook_status srv_store_measure_quarantine(struct srv_store *store, int64_t org,
                                            const struct id *user, int64_t *count, int64_t *size);
/* The changesets that wait, without their texts, by instance and seq, at most `limit`: those behind
 * this instance and seq. */
daybook_status srv_store_list_quarantine(struct srv_store *store, int64_t org, uint32_t device_no,
                                         int64_t seq, int limit, struct arena *arena,
                                         struct srv_quarantined **rows, int *count);
/* One that waits, with its text. */
daybook_status srv_store_find_quarantine(struct srv_store *store, int64_t org,
                                         const struct id *changeset, struct arena *arena,
                                         struct srv_quarantined *row, bool *found);
/* It waits no more, and its text is forgotten; or, with `why`, it waits on, for another reason.
 * NOT_FOUND. */
daybook_status srv_store_end_quarantine(struct srv_store *store, int64_t org,
                                        const struct id *changeset, const char *why);
/* Verdicts (device_no, seq and the text as it was written) of those of an instance that have ended
 * and are above its acknowledgement mark, by seq. */
daybook_status srv_store_ended_quarantine(struct srv_store *store, uint32_t device_no,
                                          int64_t settled, int limit, struct arena *arena,
                                          struct srv_decision **rows, int *count);

/* ---- for tests and proofs
 *
 * Views `<entity>` over live records, readable by the sqlite3 shell, named and ordered like the
 * engine's: id and id fields as UUID text, version, fields, their x_key columns; then org and
 * bucket. The schema makes them. */

#endif
