/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of the SQLite backend, shared by the sqlite_*.c files and nobody else: the
 * connection's struct, and the few helpers that all verbs use. sqlite_open.c puts their functions
 * into one table.
 */
#ifndef DAYBOOK_SERVER_STORE_SQLITE_H
#define DAYBOOK_SERVER_STORE_SQLITE_H

#include "engine/base/buffer.h"
#include "engine/base/database.h"
#include "sync-server/store/intern.h"
#include "sync-server/store/store_operations.h"

/* A log key is lane * 2^41 + position. */
#define SQLITE_POSITION_BITS 41
#define SQLITE_LANES 128     /* log statements of one connection, shared by its cursors */
#define SQLITE_INSERT_ROWS 8 /* new records that one statement puts */

/* The kinds of text with numbers that a connection remembers. */
enum sqlite_intern {
    INTERN_HEADERS, /* headers of log parts; scope 0 */
    INTERN_BUCKETS, /* labels of buckets; scope: the organisation */
    INTERN_LANES,   /* the bucket's 8 bytes -> its lane; scope: the organisation */
    INTERN_COUNT
};

/* Statements whose SQL stands where they are used; see dk_statement. */
struct sqlite_statements {
    struct statement *savepoint, *release, *rollback_to, *begin_read, *end_read;
    struct statement *get_converted, *set_converted, *set_epoch, *end_epoch, *epoch_end, *cover_all,
        *skip_numbers, *set_backup, *get_backup;
    struct statement *add_given, *given, *remove_given, *list_given, *find_given;
    struct statement *add_organisation, *organisations, *set_head, *get_head;
    struct statement *put_account, *get_account, *find_login;
    struct statement *add_placement, *placed_at, *inherit_placements, *add_account_state,
        *account_moved, *account_at, *reports_at;
    struct statement *add_code, *take_code, *drop_codes;
    struct statement *add_device, *add_instance, *find_instance, *take_instance, *set_instance,
        *owns_number, *other_numbers, *find_device, *list_devices, *revoke, *find_dropped,
        *mark_device, *add_divergences;
    struct statement *add_sum, *get_sum;
    struct statement *add_decision, *adopt_decision, *inherit_decision, *find_inherited,
        *replace_verdict, *find_decision, *has_seq, *markers, *drop_verdicts;
    struct statement *add_claim, *find_claim, *remove_claims, *move_claims;
    struct statement *add_quarantine, *has_quarantine, *list_quarantine, *measure_quarantine,
        *find_quarantine, *end_quarantine, *ended_quarantine, *move_quarantine, *drop_ended;
    struct statement *find_bucket, *new_bucket, *add_bucket, *add_class, *find_lane;
    struct statement *buckets, *next_bucket;
    struct statement *append_log, *add_eviction, *any_left, *has_left;
    struct statement *get_floor, *raise_floor, *lanes_of, *log_time, *cut_log, *cut_evictions;
    struct statement *find_header, *add_header, *header_text, *visits, *visits_in_short,
        *visits_before, *visits_behind;
};

/* Statements of one entity; their SQL is made from the entity table. */
struct sqlite_entity_statements {
    struct statement *get, *insert, *insert_rows, *update, *move_bucket, *bucket, *list, *cut;
    struct statement *any_id, *any_number;
    struct statement *cut_given;
    struct statement *move[LIMIT_FIELDS];    /* by field with an index */
    struct statement *related[LIMIT_FIELDS]; /* by ID field */
};

/* A log statement, lent to one cursor at a time. */
struct sqlite_lane_slot {
    struct statement *statement;
    bool lent;
};

struct sqlite_store {
    struct srv_store base; /* first: the two are cast into each other */
    struct database database;
    struct log log;
    uint64_t epoch, begin_epoch; /* now; when the transaction under way began */
    daybook_status lost;         /* not OK: SQLite gave up the transaction under way by itself */
    struct sqlite_statements statements;
    struct sqlite_entity_statements entities[ENTITY_COUNT];
    struct sqlite_lane_slot lanes[SQLITE_LANES];
    int lanes_promised; /* to the cursors that are open */
    struct srv_intern interns[INTERN_COUNT];
    int begin_marks[INTERN_COUNT], savepoint_marks[INTERN_COUNT];
    struct buffer stamps; /* of the records being written */
};

static inline struct sqlite_store *srv_sqlite(struct srv_store *store)
{
    return (struct sqlite_store *)store;
}

/* ---- sqlite_open.c */

/* A cached statement, or NULL with *status. For writes of a transaction that SQLite has given up by
 * itself (disk full, no memory), it refuses with the status of that failure, so that nothing is
 * written outside of a transaction. */
struct statement *srv_sqlite_statement(struct sqlite_store *sqlite, struct statement **slot,
                                       const char *sql, daybook_status *status);
/* dk_step and dk_step_done; a failure is logged, and one of uniqueness is EXISTS. */
daybook_status srv_sqlite_step(struct sqlite_store *sqlite, struct statement *statement, bool *row);
daybook_status srv_sqlite_run(struct sqlite_store *sqlite, struct statement *statement);

/* ---- sqlite_schema.c */

/* Writer: makes the schema in an empty file, brings an older one up to date. Reader: checks only.
 * NOT_A_STORE, NEWER_STORE, CORRUPT with a text in `problem`. Sets sqlite->epoch. */
daybook_status srv_sqlite_schema(struct sqlite_store *sqlite, bool writer, char *problem,
                                 size_t problem_size);
/* sqlite_adopt.c: moves fields of the entity's records that were unknown before into their columns.
 */
daybook_status srv_sqlite_adopt(struct sqlite_store *sqlite, const struct entity *entity);
/* Checks whose file it is: *version 0 for an empty one, else that of a store that is not newer. */
daybook_status srv_sqlite_check_file(struct sqlite_store *sqlite, int64_t *version, char *problem,
                                     size_t problem_size);
/* Whether the field has an index, s_<entity>_by_<field>. */
bool srv_sqlite_is_indexed(const struct entity *entity, int field);

/* Whether the field is part of an index: it is written only where it changes. */
bool srv_sqlite_is_in_index(const struct entity *entity, int field);

/* ---- sqlite_epochs.c */
/* Random, 1 to 2^63 - 1. */
uint64_t srv_sqlite_make_epoch(void);
daybook_status srv_sqlite_new_epoch(struct srv_store *store, int64_t number);
daybook_status srv_sqlite_get_converted(struct srv_store *store, int64_t *schema);
daybook_status srv_sqlite_set_converted(struct srv_store *store, int64_t schema);
daybook_status srv_sqlite_epoch_end(struct srv_store *store, int64_t org, uint64_t epoch,
                                    int64_t *head);
daybook_status srv_sqlite_set_backup(struct srv_store *store, int64_t org, int64_t head);
daybook_status srv_sqlite_get_backup(struct srv_store *store, int64_t org, int64_t *head,
                                     bool *any);

/* ---- sqlite_accounts.c, sqlite_devices.c */
daybook_status srv_sqlite_add_organisation(struct srv_store *store, const struct id *id,
                                           int64_t *org);
daybook_status srv_sqlite_organisations(struct srv_store *store, struct arena *arena,
                                        struct srv_organisation **rows, int *count);
daybook_status srv_sqlite_set_head(struct srv_store *store, int64_t org, int64_t head);
daybook_status srv_sqlite_get_head(struct srv_store *store, int64_t org, int64_t *head);
daybook_status srv_sqlite_put_account(struct srv_store *store, const struct srv_account *account);
daybook_status srv_sqlite_get_account(struct srv_store *store, const struct id *user,
                                      struct srv_account *account, bool *found);
daybook_status srv_sqlite_find_login(struct srv_store *store, int64_t org, const char *login,
                                     struct id *user, bool *found);
daybook_status srv_sqlite_add_code(struct srv_store *store, const uint8_t code_hash[SRV_HASH_SIZE],
                                   int64_t org, const struct id *user, int64_t expires_ms);
daybook_status srv_sqlite_take_code(struct srv_store *store, const uint8_t code_hash[SRV_HASH_SIZE],
                                    int64_t now_ms, int64_t *org, struct id *user, bool *found);
daybook_status srv_sqlite_add_device(struct srv_store *store, struct srv_device *device,
                                     const uint8_t token_hash[SRV_HASH_SIZE]);
daybook_status srv_sqlite_find_device(struct srv_store *store,
                                      const uint8_t token_hash[SRV_HASH_SIZE],
                                      struct srv_device *device, bool *found);
daybook_status srv_sqlite_find_instance(struct srv_store *store, const struct id *instance,
                                        struct srv_device *device, bool *found);
daybook_status srv_sqlite_owns_number(struct srv_store *store, uint32_t mine, uint32_t number,
                                      bool *owns);
daybook_status srv_sqlite_other_numbers(struct srv_store *store, const struct id *user,
                                        uint32_t device_no, struct arena *arena, uint32_t **numbers,
                                        int *count);
daybook_status srv_sqlite_lease(struct srv_store *store, int64_t device, const struct id *instance,
                                uint32_t *device_no);
daybook_status srv_sqlite_list_devices(struct srv_store *store, int64_t org, struct arena *arena,
                                       struct srv_device **rows, int *count);
daybook_status srv_sqlite_revoke(struct srv_store *store, int64_t device);
daybook_status srv_sqlite_mark_device(struct srv_store *store, uint32_t device_no, int64_t decided,
                                      int64_t settled, int64_t seen_ms);

daybook_status srv_sqlite_add_divergences(struct srv_store *store, uint32_t device_no,
                                          int64_t buckets);

/* ---- sqlite_history.c */
/* sqlite_given.c */
daybook_status srv_sqlite_add_given(struct srv_store *store, int64_t org,
                                    const struct entity *entity, const struct id *record,
                                    const struct srv_given *given);
daybook_status srv_sqlite_given(struct srv_store *store, int64_t org, const struct entity *entity,
                                const struct id *record, struct arena *arena,
                                struct srv_given **rows, int *count);
daybook_status srv_sqlite_remove_given(struct srv_store *store, int64_t org,
                                       const struct entity *entity, const struct id *record,
                                       const char *name);
daybook_status srv_sqlite_list_given(struct srv_store *store, int64_t org,
                                     const struct entity *entity, const struct id *after, int limit,
                                     struct arena *arena, struct id **ids, int *count);
daybook_status srv_sqlite_add_placement(struct srv_store *store, int64_t org,
                                        const struct id *record,
                                        const struct srv_placement *placement);
daybook_status srv_sqlite_placed_at(struct srv_store *store, int64_t org, const struct id *record,
                                    int64_t time_ms, struct srv_placement *placement, bool *found);
daybook_status srv_sqlite_inherit_placements(struct srv_store *store, int64_t org,
                                             const struct id *from, const struct id *record,
                                             int64_t time_ms);
daybook_status srv_sqlite_add_account_state(struct srv_store *store, int64_t position,
                                            const struct srv_account *account);
daybook_status srv_sqlite_account_moved(struct srv_store *store, int64_t org, const struct id *user,
                                        int64_t time_ms, int64_t *position, bool *found);
daybook_status srv_sqlite_account_at(struct srv_store *store, int64_t org, const struct id *user,
                                     int64_t time_ms, struct srv_account *account, bool *found);
daybook_status srv_sqlite_reports_at(struct srv_store *store, int64_t org, const struct id *manager,
                                     int64_t time_ms, int limit, struct arena *arena,
                                     struct srv_account **rows, int *count);

/* ---- sqlite_decisions.c */
daybook_status srv_sqlite_add_decision(struct srv_store *store, int64_t org,
                                       const struct srv_decision *decision);
daybook_status srv_sqlite_adopt_decision(struct srv_store *store, int64_t org,
                                         const struct id *changeset, uint32_t device_no,
                                         int64_t seq);
daybook_status srv_sqlite_find_inherited(struct srv_store *store, uint32_t device_no,
                                         int64_t position, uint32_t *former);
daybook_status srv_sqlite_find_decision(struct srv_store *store, int64_t org,
                                        const struct id *changeset, struct arena *arena,
                                        struct srv_decision *decision, bool *found);
daybook_status srv_sqlite_has_seq(struct srv_store *store, uint32_t device_no, int64_t seq,
                                  bool *has);
daybook_status srv_sqlite_markers(struct srv_store *store, uint32_t device_no, int64_t settled,
                                  int64_t after, int64_t upto, struct arena *arena,
                                  struct srv_decision **rows, int *count);
/* Drops the verdicts of an instance's decisions with seq in (after, upto]. */
daybook_status srv_sqlite_drop_verdicts(struct sqlite_store *sqlite, uint32_t device_no,
                                        int64_t after, int64_t upto);
daybook_status srv_sqlite_add_claim(struct srv_store *store, int64_t org, const struct id *record,
                                    const struct id *changeset, uint32_t device_no, int64_t seq,
                                    bool makes);
daybook_status srv_sqlite_find_claim(struct srv_store *store, int64_t org, const struct id *record,
                                     uint32_t device_no, int64_t seq, struct srv_claim *claim,
                                     bool *found);
daybook_status srv_sqlite_remove_claims(struct srv_store *store, int64_t org,
                                        const struct id *changeset);
daybook_status srv_sqlite_replace_verdict(struct srv_store *store, int64_t org,
                                          const struct srv_decision *decision);

/* ---- sqlite_quarantine.c */
daybook_status srv_sqlite_add_quarantine(struct srv_store *store, int64_t org,
                                         const struct srv_quarantined *row);
daybook_status srv_sqlite_has_quarantine(struct srv_store *store, uint32_t device_no, bool *has);
daybook_status srv_sqlite_measure_quarantine(struct srv_store *store, int64_t org,
                                             const struct id *user, int64_t *count, int64_t *size);
daybook_status srv_sqlite_list_quarantine(struct srv_store *store, int64_t org, uint32_t device_no,
                                          int64_t seq, int limit, struct arena *arena,
                                          struct srv_quarantined **rows, int *count);
daybook_status srv_sqlite_find_quarantine(struct srv_store *store, int64_t org,
                                          const struct id *changeset, struct arena *arena,
                                          struct srv_quarantined *found_row, bool *found);
daybook_status srv_sqlite_end_quarantine(struct srv_store *store, int64_t org,
                                         const struct id *changeset, const char *why);
daybook_status srv_sqlite_ended_quarantine(struct srv_store *store, uint32_t device_no,
                                           int64_t settled, int limit, struct arena *arena,
                                           struct srv_decision **rows, int *count);
/* Forgets those that have ended, up to a seq that the instance has acknowledged. */
daybook_status srv_sqlite_drop_ended(struct sqlite_store *sqlite, uint32_t device_no, int64_t upto);

/* ---- sqlite_put.c */
daybook_status srv_sqlite_put(struct srv_store *store, int64_t org, const struct srv_record *record,
                              bool existed);
daybook_status srv_sqlite_put_new(struct srv_store *store, int64_t org,
                                  const struct srv_record *const *records, int count);

/* ---- sqlite_records.c */
/* Makes SQL for an entity, and for one of its fields or a number of rows. */
typedef void (*srv_sqlite_append_sql)(struct buffer *sql, const struct entity *entity, int number);
/* The statement of a slot; its SQL is made at the first use only. NULL with *status. */
struct statement *srv_sqlite_entity_statement(struct sqlite_store *sqlite, struct statement **slot,
                                              srv_sqlite_append_sql append_sql,
                                              const struct entity *entity, int number,
                                              daybook_status *status);
/* How a field's value is stored. */
enum value_kind srv_sqlite_kind_of(const struct field *field);
/* Binds a value; NULL is what an unbound parameter is anyway. */
void srv_sqlite_bind_value(struct statement *statement, int position, const struct value *value);
daybook_status srv_sqlite_get(struct srv_store *store, int64_t org, const struct entity *entity,
                              const struct id *id, struct arena *arena, struct srv_record *record,
                              bool *found);
daybook_status srv_sqlite_any_between(struct srv_store *store, int64_t org,
                                      const struct entity *entity, int field,
                                      const struct value *first, const struct value *last,
                                      bool *any);
daybook_status srv_sqlite_related(struct srv_store *store, int64_t org, const struct entity *entity,
                                  int field, const struct value *value, const struct id *after,
                                  int limit, bool tombstones, struct arena *arena,
                                  struct srv_record **rows, int *count);
daybook_status srv_sqlite_visits(struct srv_store *store, int64_t org, const struct id *customer,
                                 const struct id *rep, int64_t from_ms, int64_t to_ms,
                                 struct arena *arena, struct srv_record **rows, int *count);
daybook_status srv_sqlite_visits_from(struct srv_store *store, int64_t org,
                                      const struct srv_visit_range *range, struct arena *arena,
                                      struct srv_record **rows, int *count);
daybook_status srv_sqlite_list(struct srv_store *store, int64_t org, const struct entity *entity,
                               const struct id *after, int limit, struct arena *arena,
                               struct srv_record **rows, int *count);
daybook_status srv_sqlite_bucket_records(struct srv_store *store, int64_t org, int64_t bucket,
                                         const struct entity *entity, const struct id *after,
                                         srv_each_record each, void *context);

/* ---- sqlite_retention.c */
daybook_status srv_sqlite_get_floor(struct srv_store *store, int64_t org, int64_t *floor);
daybook_status srv_sqlite_raise_floor(struct srv_store *store, int64_t org, int64_t floor);
daybook_status srv_sqlite_position_before(struct srv_store *store, int64_t org, int64_t time_ms,
                                          int64_t head, int64_t *position);
daybook_status srv_sqlite_cut(struct srv_store *store, int64_t org, int limit, int64_t *removed);

/* ---- sqlite_texts.c: buckets and headers */
daybook_status srv_sqlite_bucket(struct srv_store *store, int64_t org, const char *label,
                                 int64_t *bucket);
daybook_status srv_sqlite_bucket_in(struct srv_store *store, int64_t org, int64_t root,
                                    enum srv_class class, int64_t *number);
daybook_status srv_sqlite_buckets(struct srv_store *store, int64_t org, struct arena *arena,
                                  struct srv_bucket **rows, int *count);
daybook_status srv_sqlite_find_bucket(struct srv_store *store, int64_t org, const char *root,
                                      enum srv_class class, struct arena *arena,
                                      struct srv_bucket *bucket);
daybook_status srv_sqlite_next_bucket(struct srv_store *store, int64_t org, int64_t after,
                                      int64_t *bucket);
/* The lane of a bucket, the high part of its log keys; *found false: no such bucket. */
daybook_status srv_sqlite_lane(struct sqlite_store *sqlite, int64_t org, int64_t bucket,
                               int64_t *lane, bool *found);
daybook_status srv_sqlite_header(struct srv_store *store, const char *text, size_t length,
                                 int64_t *number);
daybook_status srv_sqlite_header_text(struct srv_store *store, int64_t number, const char **text,
                                      size_t *length);

/* ---- sqlite_sums.c */
daybook_status srv_sqlite_add_sum(struct srv_store *store, int64_t org, int64_t bucket,
                                  uint64_t difference);
daybook_status srv_sqlite_get_sum(struct srv_store *store, int64_t org, int64_t bucket,
                                  uint64_t *sum);

/* ---- sqlite_evictions.c */
daybook_status srv_sqlite_add_eviction(struct srv_store *store, int64_t org, int64_t bucket,
                                       const struct id *record, int64_t position);
daybook_status srv_sqlite_any_left(struct srv_store *store, int64_t org, const int64_t *buckets,
                                   int bucket_count, int64_t after, int64_t upto, bool *any);
daybook_status srv_sqlite_has_left(struct srv_store *store, int64_t org, const struct id *record,
                                   int64_t after, int64_t upto, bool *left);

/* ---- sqlite_log.c */
daybook_status srv_sqlite_append_log(struct srv_store *store, int64_t org,
                                     const struct srv_log_row *row);
daybook_status srv_sqlite_log_open(struct srv_store *store, int64_t org, const int64_t *buckets,
                                   int bucket_count, int64_t after, int64_t upto,
                                   struct srv_log_cursor **cursor);
daybook_status srv_sqlite_log_next(struct srv_log_cursor *cursor, struct srv_log_row *row,
                                   bool *found);
void srv_sqlite_log_close(struct srv_log_cursor *cursor);

#endif
