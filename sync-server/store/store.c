/* SPDX-License-Identifier: Apache-2.0
 *
 * The store's functions for all backends: each checks what its caller guarantees (a writer writes,
 * inside of a transaction; savepoints do not nest) and calls the backend. Invariant: `phase` says
 * what the connection is in the middle of, also after a failure.
 */
#include "sync-server/store/store_operations.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

/* NULL is fine. Cursors are closed before; a transaction under way is rolled back. */
void srv_store_close(struct srv_store *store)
{
    if (store == NULL) {
        return;
    }
    assert(store->cursor_count == 0);
    if (srv_store_is_writing(store)) {
        srv_store_rollback(store);
    } else if (store->phase == STORE_READING) {
        srv_store_end_read(store);
    }
    store->operations->close(store);
}

/* ---- transactions ---- */

/* See the header. */
daybook_status srv_store_begin(struct srv_store *store)
{
    assert(store->writer && store->phase == STORE_IDLE);
    daybook_status status = store->operations->begin(store);
    if (status == DAYBOOK_OK) {
        store->phase = STORE_WRITING;
    }
    return status;
}

/* See the header. */
daybook_status srv_store_commit(struct srv_store *store)
{
    assert(store->phase == STORE_WRITING);
    store->phase = STORE_IDLE;
    return store->operations->commit(store);
}

/* Also with a savepoint open; without a transaction it does nothing. */
void srv_store_rollback(struct srv_store *store)
{
    assert(store->writer);
    if (srv_store_is_writing(store)) {
        store->phase = STORE_IDLE;
        store->operations->rollback(store);
    }
}

/* See the header. */
int64_t srv_store_writes(struct srv_store *store)
{
    return store->operations->writes(store);
}

/* See the header. */
daybook_status srv_store_savepoint(struct srv_store *store)
{
    assert(store->phase == STORE_WRITING);
    daybook_status status = store->operations->savepoint(store);
    if (status == DAYBOOK_OK) {
        store->phase = STORE_SAVEPOINT;
    }
    return status;
}

/* After a failure the savepoint is still open: the caller rolls back, to it or all. */
daybook_status srv_store_release(struct srv_store *store)
{
    assert(store->phase == STORE_SAVEPOINT);
    daybook_status status = store->operations->release(store);
    if (status == DAYBOOK_OK) {
        store->phase = STORE_WRITING;
    }
    return status;
}

/* After a failure only srv_store_rollback is left to do. */
daybook_status srv_store_rollback_to(struct srv_store *store)
{
    assert(store->phase == STORE_SAVEPOINT);
    daybook_status status = store->operations->rollback_to(store);
    if (status == DAYBOOK_OK) {
        store->phase = STORE_WRITING;
    }
    return status;
}

/* See the header. */
daybook_status srv_store_begin_read(struct srv_store *store)
{
    assert(store->phase == STORE_IDLE);
    daybook_status status = store->operations->begin_read(store);
    if (status == DAYBOOK_OK) {
        store->phase = STORE_READING;
    }
    return status;
}

/* Cursors are closed before. Without a read under way it does nothing. */
void srv_store_end_read(struct srv_store *store)
{
    if (store->phase == STORE_READING) {
        assert(store->cursor_count == 0);
        store->phase = STORE_IDLE;
        store->operations->end_read(store);
    }
}

/* ---- organisations, accounts, devices ---- */

/* See the header. */
daybook_status srv_store_add_organisation(struct srv_store *store, const struct id *id,
                                          int64_t *org)
{
    assert(srv_store_is_writing(store));
    return store->operations->add_organisation(store, id, org);
}

/* See the header. */
daybook_status srv_store_organisations(struct srv_store *store, struct arena *arena,
                                       struct srv_organisation **rows, int *count)
{
    *rows = NULL;
    *count = 0;
    return store->operations->organisations(store, arena, rows, count);
}

/* See the header. */
daybook_status srv_store_set_head(struct srv_store *store, int64_t org, int64_t head)
{
    assert(srv_store_is_writing(store) && head >= 0);
    return store->operations->set_head(store, org, head);
}

/* See the header. */
daybook_status srv_store_get_head(struct srv_store *store, int64_t org, int64_t *head)
{
    return store->operations->get_head(store, org, head);
}

/* See the header. */
daybook_status srv_store_put_account(struct srv_store *store, const struct srv_account *account)
{
    assert(srv_store_is_writing(store) &&
           memchr(account->role, '\0', sizeof account->role) != NULL);
    return store->operations->put_account(store, account);
}

/* See the header. */
daybook_status srv_store_get_account(struct srv_store *store, const struct id *user,
                                     struct srv_account *account, bool *found)
{
    *found = false;
    return store->operations->get_account(store, user, account, found);
}

/* See the header. */
daybook_status srv_store_find_login(struct srv_store *store, int64_t org, const char *login,
                                    struct id *user, bool *found)
{
    *found = false;
    return store->operations->find_login(store, org, login, user, found);
}

/* See the header. */
daybook_status srv_store_add_placement(struct srv_store *store, int64_t org,
                                       const struct id *record,
                                       const struct srv_placement *placement)
{
    assert(srv_store_is_writing(store));
    return store->operations->add_placement(store, org, record, placement);
}

/* See the header. */
daybook_status srv_store_placed_at(struct srv_store *store, int64_t org, const struct id *record,
                                   int64_t time_ms, struct srv_placement *placement, bool *found)
{
    *found = false;
    return store->operations->placed_at(store, org, record, time_ms, placement, found);
}

/* See the header. */
daybook_status srv_store_inherit_placements(struct srv_store *store, int64_t org,
                                            const struct id *from, const struct id *record,
                                            int64_t time_ms)
{
    assert(srv_store_is_writing(store));
    return store->operations->inherit_placements(store, org, from, record, time_ms);
}

/* See the header. */
daybook_status srv_store_add_account_state(struct srv_store *store, int64_t position,
                                           const struct srv_account *account)
{
    assert(srv_store_is_writing(store));
    return store->operations->add_account_state(store, position, account);
}

/* See the header. */
daybook_status srv_store_account_moved(struct srv_store *store, int64_t org, const struct id *user,
                                       int64_t time_ms, int64_t *position, bool *found)
{
    *found = false;
    return store->operations->account_moved(store, org, user, time_ms, position, found);
}

/* See the header. */
daybook_status srv_store_account_at(struct srv_store *store, int64_t org, const struct id *user,
                                    int64_t time_ms, struct srv_account *account, bool *found)
{
    *found = false;
    return store->operations->account_at(store, org, user, time_ms, account, found);
}

/* See the header. */
daybook_status srv_store_reports_at(struct srv_store *store, int64_t org, const struct id *manager,
                                    int64_t time_ms, int limit, struct arena *arena,
                                    struct srv_account **rows, int *count)
{
    *rows = NULL;
    *count = 0;
    return store->operations->reports_at(store, org, manager, time_ms, limit, arena, rows, count);
}

/* See the header. */
daybook_status srv_store_add_code(struct srv_store *store, const uint8_t code_hash[SRV_HASH_SIZE],
                                  int64_t org, const struct id *user, int64_t expires_ms)
{
    assert(srv_store_is_writing(store));
    return store->operations->add_code(store, code_hash, org, user, expires_ms);
}

/* See the header. */
daybook_status srv_store_take_code(struct srv_store *store, const uint8_t code_hash[SRV_HASH_SIZE],
                                   int64_t now_ms, int64_t *org, struct id *user, bool *found)
{
    assert(srv_store_is_writing(store));
    *found = false;
    return store->operations->take_code(store, code_hash, now_ms, org, user, found);
}

/* ---- decisions ---- */

/* See the header. */
daybook_status srv_store_add_decision(struct srv_store *store, int64_t org,
                                      const struct srv_decision *decision)
{
    assert(srv_store_is_writing(store) && decision->device_no != 0 && decision->seq > 0);
    return store->operations->add_decision(store, org, decision);
}

/* See the header. */
daybook_status srv_store_adopt_decision(struct srv_store *store, int64_t org,
                                        const struct id *changeset, uint32_t device_no, int64_t seq)
{
    assert(srv_store_is_writing(store) && device_no != 0 && seq > 0);
    return store->operations->adopt_decision(store, org, changeset, device_no, seq);
}

/* See the header. */
daybook_status srv_store_find_inherited(struct srv_store *store, uint32_t device_no,
                                        int64_t position, uint32_t *former)
{
    *former = 0;
    return store->operations->find_inherited(store, device_no, position, former);
}

/* See the header. */
daybook_status srv_store_find_decision(struct srv_store *store, int64_t org,
                                       const struct id *changeset, struct arena *arena,
                                       struct srv_decision *decision, bool *found)
{
    *found = false;
    return store->operations->find_decision(store, org, changeset, arena, decision, found);
}

/* See the header. */
daybook_status srv_store_has_seq(struct srv_store *store, uint32_t device_no, int64_t seq,
                                 bool *has)
{
    *has = false;
    return store->operations->has_seq(store, device_no, seq, has);
}

/* See the header. */
daybook_status srv_store_markers(struct srv_store *store, uint32_t device_no, int64_t settled,
                                 int64_t after, int64_t upto, struct arena *arena,
                                 struct srv_decision **rows, int *count)
{
    *rows = NULL;
    *count = 0;
    return store->operations->markers(store, device_no, settled, after, upto, arena, rows, count);
}

/* ---- records ---- */

/* See the header. */
daybook_status srv_store_get(struct srv_store *store, int64_t org, const struct entity *entity,
                             const struct id *id, struct arena *arena, struct srv_record *record,
                             bool *found)
{
    *found = false;
    return store->operations->get(store, org, entity, id, arena, record, found);
}

/* See the header. */
daybook_status srv_store_put(struct srv_store *store, int64_t org, const struct srv_record *record,
                             bool existed)
{
    assert(srv_store_is_writing(store));
    return store->operations->put(store, org, record, existed);
}

/* See the header. */
daybook_status srv_store_put_new(struct srv_store *store, int64_t org,
                                 const struct srv_record *const *records, int count)
{
    assert(srv_store_is_writing(store));
    return store->operations->put_new(store, org, records, count);
}

/* See the header. */
daybook_status srv_store_any_id(struct srv_store *store, int64_t org, const struct entity *entity,
                                const struct id *first, const struct id *last, bool *any)
{
    const struct value low = {.kind = VALUE_ID, .id = *first};
    const struct value high = {.kind = VALUE_ID, .id = *last};
    *any = false;
    return store->operations->any_between(store, org, entity, -1, &low, &high, any);
}

/* See the header. */
daybook_status srv_store_any_number(struct srv_store *store, int64_t org,
                                    const struct entity *entity, int field,
                                    const struct value *first, const struct value *last, bool *any)
{
    assert(first->kind == VALUE_TEXT && last->kind == VALUE_TEXT);
    *any = false;
    return store->operations->any_between(store, org, entity, field, first, last, any);
}

/* See the header. */
daybook_status srv_store_related(struct srv_store *store, int64_t org, const struct entity *entity,
                                 int field, const struct id *value, const struct id *after,
                                 int limit, bool tombstones, struct arena *arena,
                                 struct srv_record **rows, int *count)
{
    const struct value named = {.kind = VALUE_ID, .id = *value};
    assert(field >= 0 && field < entity->field_count && limit > 0);
    assert(entity->fields[field].type == FIELD_ID);
    *rows = NULL;
    *count = 0;
    return store->operations->related(store, org, entity, field, &named, after, limit, tombstones,
                                      arena, rows, count);
}

daybook_status srv_store_numbered(struct srv_store *store, int64_t org, const struct entity *entity,
                                  int field, const struct value *number, struct arena *arena,
                                  struct srv_record **rows, int *count)
{
    const struct id start = {{0}};
    assert(number->kind == VALUE_TEXT);
    *rows = NULL;
    *count = 0;
    return store->operations->related(store, org, entity, field, number, &start, NUMBERED_MAX, true,
                                      arena, rows, count);
}

/* All that name the parent; nobody has an id of zeros. */
daybook_status srv_store_children(struct srv_store *store, int64_t org, const struct entity *entity,
                                  const struct id *parent, struct arena *arena,
                                  struct srv_record **rows, int *count)
{
    const struct id start = {{0}};
    return srv_store_related(store, org, entity, entity->parent_field, parent, &start, INT_MAX,
                             false, arena, rows, count);
}

/* See the header. */
daybook_status srv_store_visits(struct srv_store *store, int64_t org, const struct id *customer,
                                const struct id *rep, int64_t from_ms, int64_t to_ms,
                                struct arena *arena, struct srv_record **rows, int *count)
{
    *rows = NULL;
    *count = 0;
    return store->operations->visits(store, org, customer, rep, from_ms, to_ms, arena, rows, count);
}

/* See the header. */
daybook_status srv_store_visits_from(struct srv_store *store, int64_t org,
                                     const struct srv_visit_range *range, struct arena *arena,
                                     struct srv_record **rows, int *count)
{
    *rows = NULL;
    *count = 0;
    return store->operations->visits_from(store, org, range, arena, rows, count);
}

/* See the header. */
daybook_status srv_store_list(struct srv_store *store, int64_t org, const struct entity *entity,
                              const struct id *after, int limit, struct arena *arena,
                              struct srv_record **rows, int *count)
{
    *rows = NULL;
    *count = 0;
    return store->operations->list(store, org, entity, after, limit, arena, rows, count);
}

/* See the header. */
daybook_status srv_store_bucket(struct srv_store *store, int64_t org, const char *label,
                                int64_t *bucket)
{
    assert(srv_store_is_writing(store) || !store->writer);
    return store->operations->bucket(store, org, label, bucket);
}

/* See the header. */
daybook_status srv_store_bucket_in(struct srv_store *store, int64_t org, int64_t bucket,
                                   enum srv_class class, int64_t *number)
{
    assert(srv_store_is_writing(store) && bucket > 0 && class < CLASS_COUNT);
    int64_t root = srv_bucket_root(bucket);
    if (class == CLASS_OPEN || bucket == root + (int64_t) class) {
        *number = root + (int64_t) class;
        return DAYBOOK_OK;
    }
    return store->operations->bucket_in(store, org, root, class, number);
}

/* See the header. */
daybook_status srv_store_buckets(struct srv_store *store, int64_t org, struct arena *arena,
                                 struct srv_bucket **rows, int *count)
{
    *rows = NULL;
    *count = 0;
    return store->operations->buckets(store, org, arena, rows, count);
}

/* See the header. */
daybook_status srv_store_find_bucket(struct srv_store *store, int64_t org, const char *root,
                                     enum srv_class class, struct arena *arena,
                                     struct srv_bucket *bucket)
{
    *bucket = (struct srv_bucket){0, NULL};
    return store->operations->find_bucket(store, org, root, class, arena, bucket);
}

/* See the header. */
daybook_status srv_store_next_bucket(struct srv_store *store, int64_t org, int64_t after,
                                     int64_t *bucket)
{
    *bucket = 0;
    return store->operations->next_bucket(store, org, after, bucket);
}

/* See the header. */
daybook_status srv_store_bucket_records(struct srv_store *store, int64_t org, int64_t bucket,
                                        const struct entity *entity, const struct id *after,
                                        srv_each_record each, void *context)
{
    return store->operations->bucket_records(store, org, bucket, entity, after, each, context);
}

/* See the header. */
daybook_status srv_store_add_sum(struct srv_store *store, int64_t org, int64_t bucket,
                                 uint64_t difference)
{
    assert(srv_store_is_writing(store));
    return store->operations->add_sum(store, org, bucket, difference);
}

/* See the header. */
daybook_status srv_store_get_sum(struct srv_store *store, int64_t org, int64_t bucket,
                                 uint64_t *sum)
{
    *sum = 0;
    return store->operations->get_sum(store, org, bucket, sum);
}

/* ---- log ---- */

/* See the header. */
daybook_status srv_store_get_floor(struct srv_store *store, int64_t org, int64_t *floor)
{
    *floor = 0;
    return store->operations->get_floor(store, org, floor);
}

/* See the header. */
daybook_status srv_store_raise_floor(struct srv_store *store, int64_t org, int64_t floor)
{
    assert(srv_store_is_writing(store) && floor >= 0);
    return store->operations->raise_floor(store, org, floor);
}

/* See the header. */
daybook_status srv_store_position_before(struct srv_store *store, int64_t org, int64_t time_ms,
                                         int64_t head, int64_t *position)
{
    return store->operations->position_before(store, org, time_ms, head, position);
}

/* See the header. */
daybook_status srv_store_cut(struct srv_store *store, int64_t org, int limit, int64_t *removed)
{
    assert(srv_store_is_writing(store) && limit > 0);
    *removed = 0;
    return store->operations->cut(store, org, limit, removed);
}

/* See the header. */
daybook_status srv_store_append_log(struct srv_store *store, int64_t org,
                                    const struct srv_log_row *row)
{
    assert(srv_store_is_writing(store) && row->position > 0);
    return store->operations->append_log(store, org, row);
}

/* See the header. */
daybook_status srv_store_add_eviction(struct srv_store *store, int64_t org, int64_t bucket,
                                      const struct id *record, int64_t position)
{
    assert(srv_store_is_writing(store) && position > 0);
    return store->operations->add_eviction(store, org, bucket, record, position);
}

/* See the header. */
daybook_status srv_store_any_left(struct srv_store *store, int64_t org, const int64_t *buckets,
                                  int bucket_count, int64_t after, int64_t upto, bool *any)
{
    *any = false;
    return store->operations->any_left(store, org, buckets, bucket_count, after, upto, any);
}

/* See the header. */
daybook_status srv_store_has_left(struct srv_store *store, int64_t org, const struct id *record,
                                  int64_t after, int64_t upto, bool *left)
{
    *left = false;
    return store->operations->has_left(store, org, record, after, upto, left);
}

/* See the header. */
daybook_status srv_store_log_open(struct srv_store *store, int64_t org, const int64_t *buckets,
                                  int bucket_count, int64_t after, int64_t upto,
                                  struct srv_log_cursor **cursor)
{
    assert(bucket_count >= 0 && bucket_count <= LIMIT_BUCKETS);
    *cursor = NULL;
    daybook_status status =
        store->operations->log_open(store, org, buckets, bucket_count, after, upto, cursor);
    if (status == DAYBOOK_OK) {
        store->cursor_count++;
    }
    return status;
}

/* See the header. */
daybook_status srv_store_log_next(struct srv_log_cursor *cursor, struct srv_log_row *row,
                                  bool *found)
{
    return cursor->store->operations->log_next(cursor, row, found);
}

/* NULL is fine. */
void srv_store_log_close(struct srv_log_cursor *cursor)
{
    if (cursor != NULL) {
        cursor->store->cursor_count--;
        cursor->store->operations->log_close(cursor);
    }
}

/* See the header. */
daybook_status srv_store_header(struct srv_store *store, const char *text, size_t length,
                                int64_t *number)
{
    assert(srv_store_is_writing(store) || !store->writer);
    return store->operations->header(store, text, length, number);
}

/* See the header. */
daybook_status srv_store_header_text(struct srv_store *store, int64_t number, const char **text,
                                     size_t *length)
{
    return store->operations->header_text(store, number, text, length);
}
