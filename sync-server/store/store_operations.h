/* SPDX-License-Identifier: Apache-2.0
 *
 * What a backend of the store implements: one struct of operations, one per function of store.h.
 * store.c checks the caller (writer, transaction, savepoint) and calls through; a backend is a
 * constant table of these and an open function. Another backend is another file beside sqlite*.c.
 */
#ifndef DAYBOOK_SERVER_STORE_OPERATIONS_H
#define DAYBOOK_SERVER_STORE_OPERATIONS_H

#include "sync-server/store/store.h"

/* What the connection is in the middle of. */
enum srv_store_phase { STORE_IDLE, STORE_WRITING, STORE_SAVEPOINT, STORE_READING };

/* A backend's own struct begins with this one. */
struct srv_store {
    const struct srv_store_operations *operations;
    bool writer;
    enum srv_store_phase phase; /* kept by store.c alone */
    int cursor_count;           /* log cursors open */
};

/* A backend's cursor begins with this one. */
struct srv_log_cursor {
    struct srv_store *store;
};

struct srv_store_operations {
    void (*close)(struct srv_store *store);
    uint64_t (*epoch)(struct srv_store *store);
    daybook_status (*new_epoch)(struct srv_store *store, int64_t number);
    daybook_status (*get_converted)(struct srv_store *store, int64_t *schema);
    daybook_status (*set_converted)(struct srv_store *store, int64_t schema);
    daybook_status (*add_given)(struct srv_store *store, int64_t org, const struct entity *entity,
                                const struct id *record, const struct srv_given *given);
    daybook_status (*given)(struct srv_store *store, int64_t org, const struct entity *entity,
                            const struct id *record, struct arena *arena, struct srv_given **rows,
                            int *count);
    daybook_status (*remove_given)(struct srv_store *store, int64_t org,
                                   const struct entity *entity, const struct id *record,
                                   const char *name);
    daybook_status (*list_given)(struct srv_store *store, int64_t org, const struct entity *entity,
                                 const struct id *after, int limit, struct arena *arena,
                                 struct id **ids, int *count);
    daybook_status (*epoch_end)(struct srv_store *store, int64_t org, uint64_t epoch,
                                int64_t *head);

    daybook_status (*begin)(struct srv_store *store);
    /* No transaction is open afterwards, whatever it returns. */
    daybook_status (*commit)(struct srv_store *store);
    void (*rollback)(struct srv_store *store);
    int64_t (*writes)(struct srv_store *store);
    daybook_status (*savepoint)(struct srv_store *store);
    daybook_status (*release)(struct srv_store *store);
    daybook_status (*rollback_to)(struct srv_store *store);
    daybook_status (*begin_read)(struct srv_store *store);
    void (*end_read)(struct srv_store *store);

    daybook_status (*add_organisation)(struct srv_store *store, const struct id *id, int64_t *org);
    daybook_status (*organisations)(struct srv_store *store, struct arena *arena,
                                    struct srv_organisation **rows, int *count);
    daybook_status (*set_head)(struct srv_store *store, int64_t org, int64_t head);
    daybook_status (*get_head)(struct srv_store *store, int64_t org, int64_t *head);
    daybook_status (*set_backup)(struct srv_store *store, int64_t org, int64_t head);
    daybook_status (*get_backup)(struct srv_store *store, int64_t org, int64_t *head, bool *any);
    daybook_status (*put_account)(struct srv_store *store, const struct srv_account *account);
    daybook_status (*get_account)(struct srv_store *store, const struct id *user,
                                  struct srv_account *account, bool *found);
    daybook_status (*find_login)(struct srv_store *store, int64_t org, const char *login,
                                 struct id *user, bool *found);
    daybook_status (*add_placement)(struct srv_store *store, int64_t org, const struct id *record,
                                    const struct srv_placement *placement);
    daybook_status (*placed_at)(struct srv_store *store, int64_t org, const struct id *record,
                                int64_t time_ms, struct srv_placement *placement, bool *found);
    daybook_status (*inherit_placements)(struct srv_store *store, int64_t org,
                                         const struct id *from, const struct id *record,
                                         int64_t time_ms);
    daybook_status (*add_account_state)(struct srv_store *store, int64_t position,
                                        const struct srv_account *account);
    daybook_status (*account_moved)(struct srv_store *store, int64_t org, const struct id *user,
                                    int64_t time_ms, int64_t *position, bool *found);
    daybook_status (*account_at)(struct srv_store *store, int64_t org, const struct id *user,
                                 int64_t time_ms, struct srv_account *account, bool *found);
    daybook_status (*reports_at)(struct srv_store *store, int64_t org, const struct id *manager,
                                 int64_t time_ms, int limit, struct arena *arena,
                                 struct srv_account **rows, int *count);
    daybook_status (*add_code)(struct srv_store *store, const uint8_t code_hash[SRV_HASH_SIZE],
                               int64_t org, const struct id *user, int64_t expires_ms);
    daybook_status (*take_code)(struct srv_store *store, const uint8_t code_hash[SRV_HASH_SIZE],
                                int64_t now_ms, int64_t *org, struct id *user, bool *found);
    daybook_status (*add_device)(struct srv_store *store, struct srv_device *device,
                                 const uint8_t token_hash[SRV_HASH_SIZE]);
    daybook_status (*find_device)(struct srv_store *store, const uint8_t token_hash[SRV_HASH_SIZE],
                                  struct srv_device *device, bool *found);
    daybook_status (*find_instance)(struct srv_store *store, const struct id *instance,
                                    struct srv_device *device, bool *found);
    daybook_status (*owns_number)(struct srv_store *store, uint32_t mine, uint32_t number,
                                  bool *owns);
    daybook_status (*other_numbers)(struct srv_store *store, const struct id *user,
                                    uint32_t device_no, struct arena *arena, uint32_t **numbers,
                                    int *count);
    daybook_status (*lease)(struct srv_store *store, int64_t device, const struct id *instance,
                            uint32_t *device_no);
    daybook_status (*list_devices)(struct srv_store *store, int64_t org, struct arena *arena,
                                   struct srv_device **rows, int *count);
    daybook_status (*revoke)(struct srv_store *store, int64_t device);
    daybook_status (*mark_device)(struct srv_store *store, uint32_t device_no, int64_t decided,
                                  int64_t settled, int64_t seen_ms);
    daybook_status (*add_divergences)(struct srv_store *store, uint32_t device_no, int64_t buckets);

    daybook_status (*add_decision)(struct srv_store *store, int64_t org,
                                   const struct srv_decision *decision);
    daybook_status (*adopt_decision)(struct srv_store *store, int64_t org,
                                     const struct id *changeset, uint32_t device_no, int64_t seq);
    daybook_status (*find_inherited)(struct srv_store *store, uint32_t device_no, int64_t position,
                                     uint32_t *former);
    daybook_status (*find_decision)(struct srv_store *store, int64_t org,
                                    const struct id *changeset, struct arena *arena,
                                    struct srv_decision *decision, bool *found);
    daybook_status (*has_seq)(struct srv_store *store, uint32_t device_no, int64_t seq, bool *has);
    daybook_status (*markers)(struct srv_store *store, uint32_t device_no, int64_t settled,
                              int64_t after, int64_t upto, struct arena *arena,
                              struct srv_decision **rows, int *count);
    daybook_status (*add_claim)(struct srv_store *store, int64_t org, const struct id *record,
                                const struct id *changeset, uint32_t device_no, int64_t seq,
                                bool makes);
    daybook_status (*find_claim)(struct srv_store *store, int64_t org, const struct id *record,
                                 uint32_t device_no, int64_t seq, struct srv_claim *claim,
                                 bool *found);
    daybook_status (*remove_claims)(struct srv_store *store, int64_t org,
                                    const struct id *changeset);
    daybook_status (*replace_verdict)(struct srv_store *store, int64_t org,
                                      const struct srv_decision *decision);
    daybook_status (*add_quarantine)(struct srv_store *store, int64_t org,
                                     const struct srv_quarantined *row);
    daybook_status (*measure_quarantine)(struct srv_store *store, int64_t org,
                                         const struct id *user, int64_t *count, int64_t *size);
    daybook_status (*list_quarantine)(struct srv_store *store, int64_t org, uint32_t device_no,
                                      int64_t seq, int limit, struct arena *arena,
                                      struct srv_quarantined **rows, int *count);
    daybook_status (*find_quarantine)(struct srv_store *store, int64_t org,
                                      const struct id *changeset, struct arena *arena,
                                      struct srv_quarantined *row, bool *found);
    daybook_status (*end_quarantine)(struct srv_store *store, int64_t org,
                                     const struct id *changeset, const char *why);
    daybook_status (*ended_quarantine)(struct srv_store *store, uint32_t device_no, int64_t settled,
                                       int limit, struct arena *arena, struct srv_decision **rows,
                                       int *count);
    daybook_status (*has_quarantine)(struct srv_store *store, uint32_t device_no, bool *has);

    daybook_status (*get)(struct srv_store *store, int64_t org, const struct entity *entity,
                          const struct id *id, struct arena *arena, struct srv_record *record,
                          bool *found);
    daybook_status (*put)(struct srv_store *store, int64_t org, const struct srv_record *record,
                          bool existed);
    daybook_status (*put_new)(struct srv_store *store, int64_t org,
                              const struct srv_record *const *records, int count);
    daybook_status (*any_between)(struct srv_store *store, int64_t org, const struct entity *entity,
                                  int field, const struct value *first, const struct value *last,
                                  bool *any);
    daybook_status (*related)(struct srv_store *store, int64_t org, const struct entity *entity,
                              int field, const struct value *value, const struct id *after,
                              int limit, bool tombstones, struct arena *arena,
                              struct srv_record **rows, int *count);
    daybook_status (*visits)(struct srv_store *store, int64_t org, const struct id *customer,
                             const struct id *rep, int64_t from_ms, int64_t to_ms,
                             struct arena *arena, struct srv_record **rows, int *count);
    daybook_status (*visits_from)(struct srv_store *store, int64_t org,
                                  const struct srv_visit_range *range, struct arena *arena,
                                  struct srv_record **rows, int *count);
    daybook_status (*bucket_records)(struct srv_store *store, int64_t org, int64_t bucket,
                                     const struct entity *entity, const struct id *after,
                                     srv_each_record each, void *context);
    daybook_status (*get_floor)(struct srv_store *store, int64_t org, int64_t *floor);
    daybook_status (*raise_floor)(struct srv_store *store, int64_t org, int64_t floor);
    daybook_status (*list)(struct srv_store *store, int64_t org, const struct entity *entity,
                           const struct id *after, int limit, struct arena *arena,
                           struct srv_record **rows, int *count);
    daybook_status (*position_before)(struct srv_store *store, int64_t org, int64_t time_ms,
                                      int64_t head, int64_t *position);
    daybook_status (*cut)(struct srv_store *store, int64_t org, int limit, int64_t *removed);
    daybook_status (*bucket)(struct srv_store *store, int64_t org, const char *label,
                             int64_t *bucket);
    daybook_status (*bucket_in)(struct srv_store *store, int64_t org, int64_t root,
                                enum srv_class class, int64_t *number);
    daybook_status (*buckets)(struct srv_store *store, int64_t org, struct arena *arena,
                              struct srv_bucket **rows, int *count);
    daybook_status (*find_bucket)(struct srv_store *store, int64_t org, const char *root,
                                  enum srv_class class, struct arena *arena,
                                  struct srv_bucket *bucket);
    daybook_status (*next_bucket)(struct srv_store *store, int64_t org, int64_t after,
                                  int64_t *bucket);

    daybook_status (*add_sum)(struct srv_store *store, int64_t org, int64_t bucket,
                              uint64_t difference);
    daybook_status (*get_sum)(struct srv_store *store, int64_t org, int64_t bucket, uint64_t *sum);
    daybook_status (*append_log)(struct srv_store *store, int64_t org,
                                 const struct srv_log_row *row);
    daybook_status (*add_eviction)(struct srv_store *store, int64_t org, int64_t bucket,
                                   const struct id *record, int64_t position);
    daybook_status (*any_left)(struct srv_store *store, int64_t org, const int64_t *buckets,
                               int bucket_count, int64_t after, int64_t upto, bool *any);
    daybook_status (*has_left)(struct srv_store *store, int64_t org, const struct id *record,
                               int64_t after, int64_t upto, bool *left);
    daybook_status (*log_open)(struct srv_store *store, int64_t org, const int64_t *buckets,
                               int bucket_count, int64_t after, int64_t upto,
                               struct srv_log_cursor **cursor);
    daybook_status (*log_next)(struct srv_log_cursor *cursor, struct srv_log_row *row, bool *found);
    void (*log_close)(struct srv_log_cursor *cursor);
    daybook_status (*header)(struct srv_store *store, const char *text, size_t length,
                             int64_t *number);
    daybook_status (*header_text)(struct srv_store *store, int64_t number, const char **text,
                                  size_t *length);
};

/* Within a transaction that writes. */
static inline bool srv_store_is_writing(const struct srv_store *store)
{
    return store->phase == STORE_WRITING || store->phase == STORE_SAVEPOINT;
}

#endif
