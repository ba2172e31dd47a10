/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns which buckets are in table scope and what leaves the store: lost buckets, single evictions,
 * and rows that are still stale when their bucket's pages are in. Called by apply. Invariant: an
 * eviction takes base values away and nothing that this device has changed and not yet heard about;
 * without its base such a change is seen in the outbox and inbox only.
 */
#include "engine/store/inside.h"

#include "engine/base/text.h"

#include <string.h>

/* ---- one record */

daybook_status dk_apply_evict(struct apply *apply, const struct entity *entity, const struct id *id,
                              int64_t position)
{
    struct store *store = apply->store;
    struct holding holding;
    struct base base = {.state = BASE_ABSENT, .version = position, .bucket = 0};
    daybook_status status =
        entity->root == ROOT_TERRITORY ? dk_fetched_drop_below(store, id) : DAYBOOK_OK;
    dk_arena_reset(&store->work);
    if (status == DAYBOOK_OK) {
        status = dk_pending_load(store, entity, id, &store->work, &holding);
    }
    if (status != DAYBOOK_OK || (!holding.has_row && !holding.is_pending)) {
        return status;
    }
    if (holding.is_pending) {
        dk_records_empty(&base.record, entity, id);
        return dk_pending_rebuild(store, &holding, &base, &apply->touched);
    }
    dk_sums_base(store, &holding, 0, 0);
    status = dk_touch_record(store, &apply->touched, &holding.row.record);
    return status == DAYBOOK_OK ? dk_records_remove(store, entity, id) : status;
}

/* ---- many */

/* Ids of rows of table pending that the SQL selects, by one number where it has a parameter. */
static daybook_status list_pending(struct store *store, struct statement **slot, const char *sql,
                                   int64_t number, struct touched *list)
{
    daybook_status status;
    bool row;
    struct statement *select = dk_statement(&store->database, slot, sql, &status);
    if (select == NULL) {
        return status;
    }
    dk_bind_int(select, 1, number);
    while ((status = dk_step(select, &row)) == DAYBOOK_OK && row) {
        struct id id;
        int kind = dk_schema_kind(store, dk_column_int(select, 0));
        if (kind < 0 || !dk_column_id(select, 1, &id)) {
            dk_reset(select);
            return DAYBOOK_CORRUPT;
        }
        status = dk_touch_any(store, list, dk_entity(kind), &id);
        if (status != DAYBOOK_OK) {
            dk_reset(select);
            return status;
        }
    }
    return status;
}

/* Evicts each record of the list. */
static daybook_status evict_all(struct apply *apply, const struct touched *list)
{
    daybook_status status = DAYBOOK_OK;
    for (int i = 0; i < list->count && status == DAYBOOK_OK; i++) {
        status = dk_apply_evict(apply, list->items[i].entity, &list->items[i].id, 0);
    }
    return status;
}

/* Removes the rows of all entities that the condition selects and nothing is pending for.
 * `condition` is of our own making. */
static daybook_status remove_rows(struct store *store, const char *condition)
{
    daybook_status status = DAYBOOK_OK;
    for (int kind = 0; kind < ENTITY_COUNT && status == DAYBOOK_OK; kind++) {
        char sql[200];
        if (!dk_text_format(sql, sizeof sql, "DELETE FROM r_%s WHERE %s AND version>=0",
                            dk_entity(kind)->name, condition)) {
            return DAYBOOK_INTERNAL;
        }
        status = dk_database_run(&store->database, sql);
        if (status == DAYBOOK_OK && dk_database_changes(&store->database) > 0) {
            store->changed |= dk_store_bit(kind);
        }
    }
    return status;
}

/* Adds the lines of one entity whose document is not there: they were made here, and nothing is
 * known of them but that. */
static daybook_status touch_orphans_of(struct apply *apply, const struct entity *entity,
                                       int64_t bucket)
{
    struct store *store = apply->store;
    struct statement **slot = &store->entities[entity->kind].orphans;
    const struct field *parent = &entity->fields[entity->parent_field];
    char sql[300];
    daybook_status status;
    bool row;
    (void)bucket;
    (void)dk_text_format(sql, sizeof sql,
                         "SELECT id FROM r_%s WHERE NOT EXISTS(SELECT 1 FROM r_%s p WHERE p.id=%s)",
                         entity->name, dk_entity(parent->target)->name, parent->name);
    struct statement *select = dk_statement(&store->database, slot, sql, &status);
    while (select != NULL && (status = dk_step(select, &row)) == DAYBOOK_OK && row) {
        struct id id;
        status = dk_column_id(select, 0, &id) ? dk_touch(store, &apply->touched, entity, &id)
                                              : DAYBOOK_CORRUPT;
        if (status != DAYBOOK_OK) {
            dk_reset(select);
            return status;
        }
    }
    return status;
}

/* Rows go without being looked at; what is derived from them has to be found: `touch` for each
 * entity of lines from which something is. `bucket`: the one that goes; 0: what is over. */
static daybook_status touch_lines(struct apply *apply, int64_t bucket,
                                  daybook_status (*touch)(struct apply *apply,
                                                          const struct entity *entity,
                                                          int64_t bucket))
{
    daybook_status status = DAYBOOK_OK;
    for (int kind = 0; kind < ENTITY_COUNT && status == DAYBOOK_OK; kind++) {
        const struct entity *entity = dk_entity(kind);
        if (entity->parent_field >= 0 && apply->store->facts[kind].derived != 0) {
            status = touch(apply, entity, bucket);
        }
    }
    return status;
}

/* Stale rows of buckets that wait for pages stay. */
#define IS_OVER "bucket<0 AND ~bucket NOT IN (SELECT bucket FROM scope WHERE loading=1)"

/* Adds the documents that are about to lose lines of one entity. */
static daybook_status touch_bereft_of(struct apply *apply, const struct entity *entity,
                                      int64_t bucket)
{
    struct store *store = apply->store;
    struct statement **slot = &store->entities[entity->kind].bereft;
    const struct field *parent = &entity->fields[entity->parent_field];
    char sql[300];
    daybook_status status;
    bool row;
    (void)dk_text_format(sql, sizeof sql,
                         "SELECT DISTINCT %s FROM r_%s WHERE (bucket IN (?1,~?1) OR"
                         " (?1=0 AND " IS_OVER ")) AND version>=0",
                         parent->name, entity->name);
    struct statement *select = dk_statement(&store->database, slot, sql, &status);
    if (select != NULL) {
        dk_bind_int(select, 1, bucket);
    }
    while (select != NULL && (status = dk_step(select, &row)) == DAYBOOK_OK && row) {
        struct id id;
        if (dk_column_id(select, 0, &id)) {
            status = dk_touch(store, &apply->touched, dk_entity(parent->target), &id);
        }
        if (status != DAYBOOK_OK) {
            dk_reset(select);
            return status;
        }
    }
    return status;
}

daybook_status dk_apply_drop_stale(struct apply *apply)
{
    struct store *store = apply->store;
    struct touched list = {.count = 0};
    daybook_status status = touch_lines(apply, 0, touch_bereft_of);
    if (status == DAYBOOK_OK) {
        status = dk_fetched_drop_where(store, IS_OVER);
    }
    if (status == DAYBOOK_OK) {
        status = remove_rows(store, IS_OVER);
    }
    if (status == DAYBOOK_OK) {
        status = dk_database_run(&store->database, "DELETE FROM raw_record WHERE " IS_OVER);
    }
    if (status == DAYBOOK_OK) {
        status = list_pending(store, &store->slots.pending_stale,
                              "SELECT entity,id FROM pending WHERE ?<0 AND " IS_OVER, -1, &list);
    }
    if (status == DAYBOOK_OK) {
        status = evict_all(apply, &list);
    }
    if (status == DAYBOOK_OK) {
        status = touch_lines(apply, 0, touch_orphans_of);
    }
    if (status == DAYBOOK_OK && store->memory.paging == 0) {
        store->memory.stale = false;
        store->memory.stale_epoch = 0;
    }
    return status;
}

/* Everything of one bucket goes; ~bucket is the same bucket's stale rows. */
static daybook_status lose_bucket(struct apply *apply, int64_t bucket)
{
    struct store *store = apply->store;
    struct touched list = {.count = 0};
    char sql[128];
    (void)dk_text_format(sql, sizeof sql, "bucket IN (%lld,%lld)", (long long)bucket,
                         (long long)~bucket);
    daybook_status status = touch_lines(apply, bucket, touch_bereft_of);
    if (status == DAYBOOK_OK) {
        status = remove_rows(store, sql);
    }
    (void)dk_text_format(sql, sizeof sql, "DELETE FROM raw_record WHERE bucket IN (%lld,%lld)",
                         (long long)bucket, (long long)~bucket);
    if (status == DAYBOOK_OK) {
        status = dk_database_run(&store->database, sql);
    }
    if (status == DAYBOOK_OK) {
        status =
            list_pending(store, &store->slots.pending_bucket,
                         "SELECT entity,id FROM pending WHERE bucket IN (?1,~?1)", bucket, &list);
    }
    return status == DAYBOOK_OK ? evict_all(apply, &list) : status;
}

/* ---- the scope itself */

struct scope_row {
    int64_t bucket;
    const char *label; /* borrowed from the reply */
    size_t length;
};

/* One [bucket,"label"], whose bracket was entered. */
static bool read_scope_row(struct json_reader *json, struct scope_row *row)
{
    if (dk_json_next(json) != JSON_INTEGER || json->integer < 1) {
        return false;
    }
    row->bucket = json->integer;
    if (dk_json_next(json) != JSON_STRING || json->length > LIMIT_LABEL_BYTES) {
        return false;
    }
    row->label = json->text;
    row->length = json->length;
    return dk_json_next(json) == JSON_END;
}

/* Reads the reply's scope into an array in the store's arena. */
static daybook_status read_scope(struct apply *apply, struct scope_row **rows, int *count)
{
    struct json_reader json;
    enum json_type type;
    *count = 0;
    *rows = dk_arena_new(&apply->store->arena, LIMIT_BUCKETS * sizeof **rows);
    if (*rows == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    dk_json_open(&json, apply->reply->scope.bytes, apply->reply->scope.length);
    if (dk_json_next(&json) != JSON_ARRAY) {
        return dk_apply_bad(apply, "scope is no array");
    }
    while ((type = dk_json_next(&json)) == JSON_ARRAY) {
        struct scope_row *row = &(*rows)[*count];
        if (*count == LIMIT_BUCKETS || !read_scope_row(&json, row)) {
            return dk_apply_bad(apply, "scope has a row that is none, or too many");
        }
        if (*count > 0 && row->bucket <= row[-1].bucket) {
            return dk_apply_bad(apply, "scope names a bucket twice, or does not ascend");
        }
        (*count)++;
    }
    if (type != JSON_END || !dk_json_finish(&json)) {
        return dk_apply_bad(apply, "scope is damaged");
    }
    return DAYBOOK_OK;
}

/* Whether the new scope, which ascends, has this bucket. */
static bool has_bucket(const struct scope_row *rows, int count, int64_t bucket)
{
    int low = 0, high = count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (rows[middle].bucket < bucket) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && rows[low].bucket == bucket;
}

/* Takes a bucket out of table scope. */
static daybook_status drop_from_scope(struct store *store, int64_t bucket)
{
    daybook_status status;
    struct statement *drop = dk_statement(&store->database, &store->slots.scope_drop,
                                          "DELETE FROM scope WHERE bucket=?", &status);
    if (drop == NULL) {
        return status;
    }
    dk_bind_int(drop, 1, bucket);
    return dk_step_done(drop);
}

/* Evicts the buckets that are held and not in the new scope. */
static daybook_status lose_buckets(struct apply *apply, const struct scope_row *rows, int count)
{
    struct store *store = apply->store;
    int64_t *lost = dk_arena_new(&store->arena, LIMIT_BUCKETS * sizeof *lost);
    int lost_count = 0;
    daybook_status status;
    bool row;
    if (lost == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    struct statement *held = dk_statement(&store->database, &store->slots.scope_held,
                                          "SELECT bucket FROM scope ORDER BY bucket", &status);
    while (held != NULL && (status = dk_step(held, &row)) == DAYBOOK_OK && row) {
        int64_t bucket = dk_column_int(held, 0);
        if (!has_bucket(rows, count, bucket) && lost_count < LIMIT_BUCKETS) {
            lost[lost_count++] = bucket;
        }
    }
    for (int i = 0; i < lost_count && status == DAYBOOK_OK; i++) {
        status = lose_bucket(apply, lost[i]);
        status = status == DAYBOOK_OK ? drop_from_scope(apply->store, lost[i]) : status;
    }
    if (status == DAYBOOK_OK && lost_count > 0) {
        status = dk_fetched_drop_all(store);
    }
    return status == DAYBOOK_OK && lost_count > 0 ? touch_lines(apply, 0, touch_orphans_of)
                                                  : status;
}

/* Brings table scope up to the new one, from which nothing was lost that is not evicted. A bucket
 * that was not held begins to load. */
static daybook_status store_scope(struct apply *apply, const struct scope_row *rows, int count)
{
    struct store *store = apply->store;
    daybook_status status;
    struct statement *add =
        dk_statement(&store->database, &store->slots.scope_add,
                     "INSERT INTO scope(bucket,label,loading,until) VALUES(?,?,1,0)"
                     " ON CONFLICT(bucket) DO UPDATE SET label=excluded.label",
                     &status);
    if (add == NULL) {
        return status;
    }
    for (int i = 0; i < count && status == DAYBOOK_OK; i++) {
        dk_bind_int(add, 1, rows[i].bucket);
        dk_bind_text(add, 2, rows[i].label, rows[i].length);
        status = dk_step_done(add);
    }
    return status == DAYBOOK_OK ? dk_loading_count(store) : status;
}

/* Without a scope member nothing changes. */
daybook_status dk_apply_scope(struct apply *apply)
{
    struct scope_row *rows;
    int count;
    if (apply->reply->scope.bytes == NULL) {
        return DAYBOOK_OK;
    }
    daybook_status status = read_scope(apply, &rows, &count);
    if (status == DAYBOOK_OK) {
        status = lose_buckets(apply, rows, count);
    }
    return status == DAYBOOK_OK ? store_scope(apply, rows, count) : status;
}
