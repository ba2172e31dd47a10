/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of engine/store share, and nobody else includes: the store itself, the tables'
 * shape, and the calls between the files. The schema is described at the top of schema.c.
 *
 * Every function here runs under the store's lock; those that write run inside its one open
 * transaction. The texts that they hand out live in the arena that they are given.
 */
#ifndef DAYBOOK_STORE_INSIDE_H
#define DAYBOOK_STORE_INSIDE_H

#include "engine/store/store.h"

#include "engine/base/frame.h"
#include "engine/protocol/sum.h"

#include <pthread.h>
#include <stdatomic.h>

#define STORE_ARENA_MAX ((size_t)128 * 1024 * 1024) /* bytes that one transaction may need */
#define STORE_UPDATES 128             /* update statements kept, one per set of columns */
#define STORE_DECODED 16              /* changesets kept decoded within a transaction */
#define BODY_PLAIN_MAX ((size_t)4096) /* bytes; longer bodies lie in the file compressed */
#define SUM_SLOTS 8192                /* buckets whose sums one transaction may move, twice */
#define STORE_RANDOM 640              /* bytes fetched from the platform at a time */

/* outbox.verdict; the numbers are stored */
enum outbox_verdict {
    OUTBOX_NONE = 0,        /* not decided, as far as this device knows */
    OUTBOX_ACCEPTED = 1,    /* waits for its place in the log */
    OUTBOX_MERGED = 2,      /* the same */
    OUTBOX_QUARANTINED = 3, /* the server has it, and will decide later */
    OUTBOX_SETTLED = 9 /* its effect is in the base; kept until the server's backup covers it */
};

/* pending.base_state; the numbers are stored */
enum base_state {
    BASE_ABSENT = 0, /* not decided yet, or out of scope: no values */
    BASE_HELD = 1,
    BASE_DELETED = 2 /* deleted by somebody, values as before: an own change would revive it */
};

/* A bit per column of a record's table that is no field. Field n has bit n. */
#define COLUMN_EXTRA ((uint64_t)1 << 61)
#define COLUMN_BUCKET ((uint64_t)1 << 62)
#define ALL_FIELDS UINT64_MAX

/* What follows from the entity table, computed at open. */
struct entity_facts {
    int number;        /* in the store's file: table entity_number */
    uint64_t server;   /* fields of the server */
    uint64_t derived;  /* DERIVED fields */
    uint64_t gathered; /* SET and MAP fields, whose changes are operations */
    uint64_t required_columns;
    bool is_document;   /* has child rows */
    bool derives;       /* it, its document or its lines have DERIVED fields; or a visit's */
    bool derives_alone; /* has DERIVED fields that follow from the record itself */
};

struct entity_statements {
    struct statement *insert, *replace, *load, *remove, *children, *adopt, *orphans, *bereft;
};

/* Which rows an update may touch. */
enum update_guard {
    GUARD_NONE,
    GUARD_LOG, /* decided, not stale, of at most this version */
    GUARD_MADE /* of exactly this version */
};

struct update_statement {
    int kind;
    uint64_t columns;
    enum update_guard guard;
    struct statement *statement;
};

struct decoded {
    int64_t seq; /* 0: free */
    uint64_t used;
    int pins; /* somebody walks over it: it stays */
    struct arena arena;
    struct changeset changeset;
    struct change **sorted; /* by entity and id */
};

/* What the transaction under way has changed of the buckets' version sums; see sums.c. */
struct sum_slot {
    int64_t bucket; /* 0: free */
    uint64_t difference;
    struct sum_slot *next; /* of those in use */
};
struct sums {
    struct sum_slot *slots, *first; /* SUM_SLOTS, NULL until one is needed; those in use */
    int used;
    /* Of the row that an update changed; of a visit also its check-in, and whether it counted. */
    int64_t old_version, old_bucket, old_time_ms;
    bool old_counted, failed;
};

/* What memory holds of the file; brought back where a transaction fails. */
struct number_range {   /* document numbers of one entity */
    uint32_t device_no; /* under which they are given out; 0: not loaded */
    int64_t last, reserved;
};
struct store_memory {
    struct store_state state;
    int64_t pending_rows; /* of table pending */
    int64_t hidden_rows;  /* of table hidden */
    int64_t next_slot;    /* of table pending */
    int64_t kept;         /* settled changesets in the outbox */
    int64_t sent_seq;     /* highest seq that was ever collected */
    uint64_t stale_epoch; /* of the versions of stale rows, or earlier; 0: the present one */
    bool stale;           /* there may be stale rows */
    int64_t former_shared, former_position; /* versions between may be of an epoch that ended */
    struct number_range numbers[ENTITY_COUNT];
    int64_t paging;   /* buckets that wait for pages */
    int64_t repaired; /* buckets that were repaired, and have not agreed since */
    bool meta_dirty;  /* clock or last_synced_ms differ from the file */
};

struct store {
    pthread_mutex_t lock;
    struct database database;
    struct store_memory memory, saved;
    atomic_uint_least64_t epoch;  /* of the last transaction, for a look without the lock */
    struct store_options options; /* path, vfs: owned copies */
    daybook_platform platform;
    int lock_file;
    int64_t synced_written_ms;
    uint64_t boot; /* boot id, below 2^63; it cannot change while this process lives */
    struct id_maker ids;
    uint8_t random[STORE_RANDOM];
    size_t random_left;
    struct arena arena;        /* for one transaction */
    struct arena work;         /* for one record within it */
    struct arena row_arena;    /* what the reader of a log page makes for one row */
    struct frame_codec *codec; /* NULL until a body is long */
    struct sums sums;
    struct buffer packed; /* a body as it lies in the file, or out of it */
    struct buffer body;   /* the changeset under way */
    struct buffer text;   /* base values and other short JSON */
    uint64_t changed;     /* bits for options.changed */
    struct entity_facts facts[ENTITY_COUNT];
    struct entity_statements entities[ENTITY_COUNT];
    struct update_statement updates[STORE_UPDATES];
    int update_count;
    struct decoded decoded[STORE_DECODED];
    uint64_t decoded_clock;
    struct { /* one slot per SQL literal, named by file */
        struct statement *meta_load, *meta_write, *meta_sent;
        struct statement *scope_load, *scope_held, *scope_add, *scope_drop, *scope_sum, *scope_sums,
            *scope_bucket;
        struct statement *loading_count, *loading_find, *loading_advance, *loading_list;
        struct statement *outbox_add, *outbox_body, *outbox_texts, *outbox_collect, *outbox_find,
            *outbox_find_id, *outbox_note, *outbox_remove, *outbox_settle, *outbox_purge,
            *outbox_first_open, *outbox_oldest, *outbox_seqs, *outbox_due, *outbox_list,
            *outbox_renumber, *outbox_count, *outbox_kept;
        struct statement *pending_load, *pending_find, *pending_add, *pending_put, *pending_remove,
            *hidden_add, *hidden_remove, *pending_list, *pending_bucket, *pending_first,
            *pending_last, *pending_stale, *pending_stale_mark;
        struct statement *raw_load, *raw_put, *raw_remove, *raw_bucket, *raw_stale, *raw_list,
            *raw_clear, *fetched_add, *fetched_has, *fetched_remove, *fetched_old, *fetched_below,
            *past_epoch, *former_device, *visit_touched, *visit_count;
        struct statement *visit_before, *visit_twin, *visit_twins, *visit_pending, *visit_behind;
        struct statement *number_load, *number_save, *number_rewrite;
        struct statement *inbox_add, *inbox_by_changeset, *inbox_remove, *inbox_root, *inbox_chain,
            *inbox_promote, *inbox_first, *inbox_hang, *inbox_adopt, *inbox_count, *inbox_lost,
            *inbox_others, *inbox_kind, *inbox_told;
    } slots;
};

/* ---- store.c */

/* Opens the one transaction of a call: lock, BEGIN, and memory saved. The caller ends it with
 * dk_store_end. */
daybook_status dk_store_begin(struct store *store);
/* Commits where status is OK, else rolls back and brings memory back; unlocks; tells the observer.
 * Returns the outcome. */
daybook_status dk_store_end(struct store *store, daybook_status status);
daybook_status dk_store_write_meta(struct store *store);
daybook_status dk_store_random_id(struct store *store, struct id *id);
int64_t dk_store_wall_ms(struct store *store);
uint64_t dk_store_bit(int kind);

/* ---- lock.c */
daybook_status dk_lock_take(const char *path, bool needed, int *file, char *problem,
                            size_t problem_size);
void dk_lock_release(int file);

/* ---- schema.c */
daybook_status dk_schema_open(struct store *store, char *problem, size_t problem_size);
bool dk_schema_is_foreign(int64_t application, int64_t tables);
void dk_schema_facts(struct store *store);
/* Kind of an entity number of this file, or -1. */
int dk_schema_kind(const struct store *store, int64_t number);

/* ---- upgrade.c */
/* Carries the rows of an older schema over to this one: what was unknown then has columns now. */
daybook_status dk_upgrade_run(struct store *store, int64_t schema);

/* ---- identity.c */
/* Whether the number is or was this store's. */
daybook_status dk_identity_is_own(struct store *store, int64_t device_no, bool *own);

/* ---- records.c */

/* A row's version where something is pending: the record was made here by this changeset, and
 * nothing else is pending for it (odd); or table pending has a row for it in this slot (even). So
 * the usual row of an app needs no other row beside it, and the others are found by number. */
static inline int64_t dk_version_made(int64_t seq)
{
    return -(2 * seq + 1);
}
static inline int64_t dk_version_pending(int64_t slot)
{
    return -(2 * slot);
}
static inline bool dk_version_is_made(int64_t version)
{
    return version < 0 && version % 2 != 0;
}

/* A row as it stands. bucket < 0: stale, of bucket ~bucket. record.version is what reads yield, but
 * for rows with a slot in pending: see dk_pending_load. */
struct stored {
    int64_t version;
    int64_t bucket;
    struct record record;
};

daybook_status dk_records_load(struct store *store, const struct entity *entity,
                               const struct id *id, struct arena *arena, struct stored *stored,
                               bool *found);
/* *inserted false: a row with this id was there, and nothing was written. */
daybook_status dk_records_insert(struct store *store, const struct record *record, int64_t version,
                                 int64_t bucket, bool *inserted);
/* The same, straight from a log row. */
daybook_status dk_records_insert_row(struct store *store, const struct entity *entity,
                                     const struct row *row, int64_t bucket, bool *inserted);
daybook_status dk_records_replace(struct store *store, const struct record *record, int64_t version,
                                  int64_t bucket);
/* Sets version and the columns named. bucket 0 with COLUMN_BUCKET is refused by assertion. */
daybook_status dk_records_update(struct store *store, const struct record *record, uint64_t columns,
                                 int64_t version, int64_t bucket);
/* The same from values, where the row is there, not stale, decided, and its version is at most
 * upto; *done tells. */
daybook_status dk_records_update_guarded(struct store *store, const struct record *record,
                                         uint64_t columns, int64_t version, int64_t upto,
                                         int64_t bucket, bool *done);
/* The same for a record that changeset seq made and nothing has touched since; *done tells whether
 * there is one. */
daybook_status dk_records_update_made(struct store *store, const struct record *record,
                                      uint64_t columns, int64_t version, int64_t bucket,
                                      int64_t seq, bool *done);
daybook_status dk_records_remove(struct store *store, const struct entity *entity,
                                 const struct id *id);
/* Ids of the child rows, in the arena. */
daybook_status dk_records_children(struct store *store, const struct entity *entity,
                                   const struct id *parent, struct arena *arena, struct id **ids,
                                   int *count);
struct sales_reader dk_records_reader(struct store *store);
/* Puts the value of a change or log row into a record: sets and maps are applied, everything else
 * assigned. TOO_LARGE where a set or map would pass its limit: it stays as it was. */
daybook_status dk_records_assign(struct record *record, const struct field_value *value,
                                 struct arena *arena);
/* All of a change, on another base than its own. What does not fit any more does not count. */
daybook_status dk_records_replay(struct record *record, const struct change *change,
                                 struct arena *arena);
/* Mask of the known fields of these values. */
uint64_t dk_records_mask(const struct field_value *values, int count);
/* extra.c: {"a":1} with members of unknown names of these values put over it; NULL extra: none yet.
 */
daybook_status dk_records_extra(const struct value *extra, const struct field_value *values,
                                int count, struct arena *arena, struct value *result);
/* The same for two changes of a map: null is kept, since it says that a key goes. */
daybook_status dk_records_join(const struct value *change, const struct field_value *values,
                               int count, struct arena *arena, struct value *result);
void dk_records_empty(struct record *record, const struct entity *entity, const struct id *id);

/* ---- derive.c: records whose DERIVED fields must be looked at before the transaction ends */
struct touched_record {
    const struct entity *entity;
    struct id id;
};
struct touched {
    struct touched_record *items; /* in the store's arena */
    int count, capacity;
    struct visit_time *times; /* the same; see visits.h */
    int time_count, time_capacity;
    bool noted; /* times has them all; else visits above that are there are some */
};
daybook_status dk_touch(struct store *store, struct touched *touched, const struct entity *entity,
                        const struct id *id);
/* A record whose values change, with the document that they name. */
daybook_status dk_touch_record(struct store *store, struct touched *touched,
                               const struct record *record);
daybook_status dk_touch_any(struct store *store, struct touched *touched,
                            const struct entity *entity, const struct id *id);
/* Recomputes them, their documents and their lines, and writes what differs. `lenient`: amounts
 * that cannot be computed stay: what the server has decided is applied whatever it is. */
daybook_status dk_touched_derive(struct store *store, struct touched *touched, bool lenient);

/* ---- number.c */

/* Gives a change that makes a document a number, where it has none and the device has one. */
daybook_status dk_number_give(struct store *store, struct change *change, struct arena *arena,
                              bool *given);
/* Gives numbers to the documents that were made before the device had one. Nothing of them can have
 * been sent. */
daybook_status dk_number_all(struct store *store);
/* At the end of a transaction: what it has given out is given out for good. */
daybook_status dk_number_reserve(struct store *store);
/* Whether numbers are reserved that were not given out. */
bool dk_number_is_reserved(const struct store *store);
/* At the close: these are free again. */
daybook_status dk_number_return(struct store *store);

/* ---- forms.c */

/* Sets and maps go up whole where the record is new, and as a difference where it changes; the app
 * may have given either. `before` and `after`: the record without and with the change. */
daybook_status dk_forms_settle(struct store *store, struct change *change,
                               const struct record *before, const struct record *after);
/* A change to one field of a group carries the group: adds the others as they stand. */
daybook_status dk_forms_carry_groups(struct store *store, struct change *change,
                                     const struct record *after);

/* ---- outbox.c */
struct outbox_row {
    int64_t seq;
    struct id id;
    enum outbox_verdict verdict;
    int64_t position;
    bool only_makes; /* all its changes make records */
};
struct outbox_change { /* one change of the outbox, its texts in the arena that was given */
    int64_t seq;
    hlc time;
    struct change change;
};

daybook_status dk_outbox_add(struct store *store, const struct changeset *changeset,
                             const struct buffer *made, const struct buffer *body, int64_t now_ms);
/* Walks a `made` blob; false at its end. */
bool dk_outbox_next_made(const struct store *store, const struct value *made, size_t *cursor,
                         const struct entity **entity, struct id *id);
daybook_status dk_outbox_find(struct store *store, int64_t seq, struct outbox_row *row,
                              bool *found);
daybook_status dk_outbox_find_id(struct store *store, const struct id *id, struct outbox_row *row,
                                 bool *found);
/* The changeset decoded; borrowed until another call decodes one or the transaction ends. */
daybook_status dk_outbox_decode(struct store *store, int64_t seq, const struct decoded **decoded);
/* The same, and it stays until unpinned, whatever else is decoded. */
daybook_status dk_outbox_pin(struct store *store, int64_t seq, struct decoded **decoded);
void dk_outbox_unpin(struct decoded *decoded);
/* Forgets decoded changesets. */
void dk_outbox_forget(struct store *store);
/* The body as it stands, in the arena; `made` too. */
daybook_status dk_outbox_texts(struct store *store, int64_t seq, struct arena *arena,
                               struct value *made, struct value *body);
/* Accepted changesets whose place is at or before the position, in the store's arena. */
daybook_status dk_outbox_due(struct store *store, int64_t position, struct outbox_row **rows,
                             int *count);
/* Removes settled changesets that the server's backup covers. */
daybook_status dk_outbox_purge(struct store *store);
/* All changesets from seq on, in the arena. */
daybook_status dk_outbox_list(struct store *store, struct arena *arena, struct outbox_row **rows,
                              int *count);
/* All changes of the record in outbox changesets from first to last that are not settled, by seq;
 * `seen` of each as a position of the present epoch. */
daybook_status dk_outbox_changes(struct store *store, const struct entity *entity,
                                 const struct id *id, int64_t first, int64_t last,
                                 struct arena *arena, struct outbox_change **changes, int *count);
daybook_status dk_outbox_note(struct store *store, int64_t seq, enum outbox_verdict from,
                              enum outbox_verdict verdict, int64_t position);
daybook_status dk_outbox_remove(struct store *store, int64_t seq, enum outbox_verdict from);
/* settled and oldest_pending_ms of the state, from the table. */
daybook_status dk_outbox_refresh(struct store *store);

/* ---- body.c */

/* Binds the body as it shall lie in the file. Borrowed until the next body is bound or read. */
void dk_body_bind(struct store *store, struct statement *statement, int position,
                  const struct buffer *body);
/* The text of a body out of a row with its size. */
daybook_status dk_body_read(struct store *store, struct statement *statement, int size_column,
                            int body_column, const char **text, size_t *length);

/* ---- pending.c */

/* All that the store has about one record. */
struct holding {
    const struct entity *entity;
    struct id id;
    bool has_row;
    struct stored row; /* the overlay, where has_row */
    bool is_pending;
    bool is_implied; /* by the row's version alone */
    bool is_hidden;  /* table hidden has it */
    int64_t slot;    /* in table pending; 0: none */
    int64_t first, last, seen;
    enum base_state base_state;
    int64_t base_version;
    int64_t base_bucket; /* < 0: stale */
    uint64_t touched;    /* fields whose base is in base_text */
    struct value base_text;
};

struct base {
    enum base_state state;
    int64_t version;
    int64_t bucket;
    struct record record;
};

daybook_status dk_pending_load(struct store *store, const struct entity *entity,
                               const struct id *id, struct arena *arena, struct holding *holding);
/* The same where the caller has just found, or not found, the row. */
daybook_status dk_pending_load_beside(struct store *store, struct arena *arena,
                                      struct holding *holding);
/* The record as the server has it, out of row and base values. */
daybook_status dk_pending_base(const struct holding *holding, struct arena *arena,
                               struct base *base);
/* Writes the row in pending, in a new slot where there is none yet, and hidden as `visible` says.
 */
daybook_status dk_pending_write(struct store *store, struct holding *holding, bool visible);
/* Adds the base values of fields that were not touched before, out of the row as it was. */
daybook_status dk_pending_extend(struct store *store, struct holding *holding,
                                 const struct record *before, uint64_t fields);
daybook_status dk_pending_remove(struct store *store, const struct holding *holding);
/* Base values of these fields of a record as JSON, in store->text. */
daybook_status dk_pending_base_text(struct store *store, const struct record *base, uint64_t fields,
                                    bool whole);
/* Writes base with the outbox's changes from first to last on top as the record's new state: row
 * and pending row, or neither. */
daybook_status dk_pending_rebuild(struct store *store, const struct holding *old,
                                  const struct base *base, struct touched *touched);

/* ---- sums.c */
struct sum_key {
    const char *entity;
    size_t length;
    const struct id *id;
};
/* Makes the SQL functions base_moves and visit_moves known to the writer. */
daybook_status dk_sums_open(struct store *store);
/* A record's base moves; a bucket of 0 or below is none. A failure is told by dk_sums_write. */
void dk_sums_move(struct store *store, const struct sum_key *key, int64_t old_version,
                  int64_t old_bucket, int64_t version, int64_t bucket);
/* The same from what is held to a new base; bucket 0: to none. */
void dk_sums_base(struct store *store, const struct holding *old, int64_t version, int64_t bucket);
/* One [bucket,"sum"] of a reply, whose bracket was entered. */
bool dk_sums_read_row(struct json_reader *json, int64_t *bucket, uint64_t *sum);
/* Adds what was gathered to table scope. dk_store_end does. */
daybook_status dk_sums_write(struct store *store);
/* Forgets what was gathered; the transaction is rolled back. */
void dk_sums_forget(struct store *store);
/* All rows are stale now: no bucket has anything. */
daybook_status dk_sums_clear(struct store *store);
/* The sum of the scope: of its buckets with their sums. */
daybook_status dk_sums_scope(struct store *store, uint64_t *sum);
/* All sums anew, from the rows. */
daybook_status dk_sums_reckon(struct store *store);

/* ---- inbox.c */
struct inbox_item {
    const char *kind;
    const char *code;
    const char *entity, *record_id, *field, *rule;
    const char *mine, *theirs, *rest;
    size_t mine_length, theirs_length, rest_length;
    const struct id *changeset, *cause;
    const struct id *subject; /* the record of the server's that it tells of; NULL: none */
    const char *body;
    size_t body_length;
};
/* Adds an item; one whose cause is a changeset in the inbox joins that one's chain. What only
 * informs is passed over where the same was told before. */
daybook_status dk_inbox_add(struct store *store, const struct inbox_item *item);
/* Takes away an item, or a member of a chain. What still hangs from it becomes an item. */
daybook_status dk_inbox_remove(struct store *store, int64_t item, bool *found);
/* Takes away what tells of holds that do not stand here any more. */
daybook_status dk_inbox_drop_holds(struct store *store);

/* inbox_lost.c: the change that writes anew what a superseded item says was lost, with `seen` -1,
 * and the items that tell of its fields, `item` first. NOT_FOUND: no such item. INVALID: it cannot
 * be written by this engine. */
daybook_status dk_inbox_lost_change(struct store *store, int64_t item, struct arena *arena,
                                    struct change *change, int64_t **items, int *item_count);

/* ---- fetched.c, inside a transaction */
/* Whether this is a document, or a child row of one, that was fetched. */
daybook_status dk_fetched_has(struct store *store, const struct entity *entity, const struct id *id,
                              bool *fetched);
/* All fetched documents go: what they belonged to may be out of scope. */
daybook_status dk_fetched_drop_all(struct store *store);
/* Those go that hang from this record. */
daybook_status dk_fetched_drop_below(struct store *store, const struct id *root);
/* The same for the customers that a condition of our own making selects. */
daybook_status dk_fetched_drop_where(struct store *store, const char *condition);

/* ---- apply.c and its parts */
struct apply {
    struct store *store;
    struct sync_reply *reply;
    struct store_applied *applied;
    const char *problem;  /* set with BAD_REPLY */
    struct arena *arena;  /* the caller's, for texts of problem */
    int64_t start;        /* position before the page */
    int64_t own_position; /* of the marker met last */
    bool bucket_ended;    /* the last page of some bucket was taken */
    struct touched touched;
    struct verdict *verdicts; /* in the store's arena */
    int verdict_count;
};
/* BAD_REPLY, with a static text. */
daybook_status dk_apply_bad(struct apply *apply, const char *problem);
/* Whether an entry at this position is news for a base of this version. */
bool dk_apply_is_news(const struct apply *apply, int64_t position, int64_t version);
/* apply_scope.c */
daybook_status dk_apply_scope(struct apply *apply);
/* Evicts the stale rows that no page will bring any more. */
daybook_status dk_apply_drop_stale(struct apply *apply);
/* Removes the base of a record: evicted, or gone while it was stale. */
daybook_status dk_apply_evict(struct apply *apply, const struct entity *entity, const struct id *id,
                              int64_t position);
/* raw.c */
daybook_status dk_raw_apply(struct apply *apply, const struct block *block, const struct row *row);
/* apply_verdict.c */
daybook_status dk_apply_verdicts(struct apply *apply);
daybook_status dk_apply_verdicts_late(struct apply *apply);
/* apply_tell.c */
/* True for entities whose rows the inbox may have to be told of. */
bool dk_apply_tells(const struct entity *entity);
/* Tells the inbox of a row of theirs; `inserted`: it was not held before. */
daybook_status dk_apply_tell(struct apply *apply, const struct record *record, bool inserted);
/* The same for a row that was changed, as it stands now. */
daybook_status dk_apply_tell_stored(struct apply *apply, const struct entity *entity,
                                    const struct id *id);
/* apply_own.c */
daybook_status dk_apply_own(struct apply *apply, const struct row *row);
daybook_status dk_apply_settle(struct apply *apply, const struct outbox_row *outbox,
                               int64_t position, int64_t bucket);
/* diverged.c */
/* Begins a bucket anew that is not what the server has. */
daybook_status dk_diverged_repair(struct store *store, int64_t bucket);
/* The scope's sum is the server's: whatever was repaired is right. */
daybook_status dk_diverged_none(struct apply *apply);
/* Compares the sums of the buckets one by one; the rows of those that differ become stale, and are
 * read anew. */
daybook_status dk_apply_divergence(struct apply *apply);
/* stale.c */
/* The rows held become stale: kept, and to be replaced by whole rows. All buckets are loading. */
daybook_status dk_stale_rows(struct store *store);
/* The same for the rows of one bucket, which the caller marks as loading. */
daybook_status dk_stale_bucket(struct store *store, int64_t bucket);
/* The log of the positions known so far is no more: rows are stale, and what was decided above the
 * last position that the new log shares with it goes up again. */
daybook_status dk_stale_epoch(struct store *store, uint64_t epoch, int64_t shared,
                              struct touched *touched);
/* A changeset that has a verdict is undecided again. */
daybook_status dk_stale_reopen(struct store *store, const struct outbox_row *row,
                               struct touched *touched);
/* Lowers a position of an earlier epoch to the last one that the present log shares with it; one of
 * the present epoch stays. */
daybook_status dk_stale_seen(struct store *store, uint64_t epoch, int64_t *seen);
/* apply_log.c */
daybook_status dk_apply_log(struct apply *apply);
/* Whole records of one bucket out of a page of its snapshot, read at this head: the array of blocks
 * that is the next value of `json`, which stands behind it afterwards. Each row is read once. */
daybook_status dk_apply_rows(struct apply *apply, struct json_reader *json, int64_t bucket,
                             int64_t head);
/* apply_page.c */
daybook_status dk_apply_pages(struct apply *apply);

/* ---- loading.c */
/* A place in the order of a bucket's pages. */
struct page_key {
    const char *entity; /* NULL: none */
    size_t entity_length;
    struct id id;
};
/* Counts the buckets that are loading, or under repair, from the table into memory. */
daybook_status dk_loading_count(struct store *store);
/* Every bucket of the scope begins to load from its first page. */
daybook_status dk_loading_all(struct store *store);
/* One bucket begins anew: its rows become stale, and what pages and log do not bring goes when they
 * are in. Pending changes stay. NOT_FOUND: not in the scope. */
daybook_status dk_loading_begin(struct store *store, int64_t bucket);
/* Where the bucket's next page begins; *found false: it waits for none. */
daybook_status dk_loading_find(struct store *store, int64_t bucket, struct arena *arena,
                               struct page_key *after, bool *found);
/* A page of this head was taken, and the next one begins here; without entity it was the last. */
daybook_status dk_loading_advance(struct store *store, int64_t bucket, const struct page_key *next,
                                  int64_t head);
/* After the log: which buckets are complete now. */
daybook_status dk_apply_loaded(struct apply *apply);

#endif
