/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the version sums of the buckets held: column sum of table scope. Called wherever the base of
 * a record moves. Invariant: at each commit, a bucket's sum is that of the records in it whose base
 * is held and not stale, with their base versions; those of unknown entities count too.
 *
 * Within a transaction the differences are gathered in memory, so that a row costs no statement
 * more, and the end of the transaction adds them. A bucket that is not in scope has no sum.
 */
#include "engine/store/inside.h"

#include "engine/base/memory.h"
#include "engine/base/text.h"

#include <string.h>

/* The slot of a bucket in the table of differences; NULL: the table is full, or no memory. */
static struct sum_slot *find_slot(struct store *store, int64_t bucket)
{
    struct sums *sums = &store->sums;
    if (sums->slots == NULL) {
        sums->slots = dk_memory_new(SUM_SLOTS, sizeof *sums->slots);
        if (sums->slots == NULL) {
            return NULL;
        }
    }
    uint64_t start = (uint64_t)bucket * UINT64_C(0x9E3779B97F4A7C15) >> 51;
    for (uint64_t i = 0; i < SUM_SLOTS; i++) {
        struct sum_slot *slot = &sums->slots[(start + i) % SUM_SLOTS];
        if (slot->bucket == bucket) {
            return slot;
        }
        if (slot->bucket == 0 && sums->used < SUM_SLOTS / 2) {
            *slot = (struct sum_slot){.bucket = bucket, .next = sums->first};
            sums->first = slot;
            sums->used++;
            return slot;
        }
        if (slot->bucket == 0) {
            return NULL;
        }
    }
    return NULL;
}

/* Adds a difference to a bucket's; a failure is told by dk_sums_write. */
static void add(struct store *store, int64_t bucket, uint64_t difference)
{
    struct sum_slot *slot = find_slot(store, bucket);
    if (slot == NULL && store->sums.slots != NULL) {
        daybook_status status = dk_sums_write(store);
        slot = status == DAYBOOK_OK ? find_slot(store, bucket) : NULL;
    }
    if (slot == NULL) {
        store->sums.failed = true;
        return;
    }
    slot->difference = dk_sum_add(slot->difference, difference);
}

void dk_sums_move(struct store *store, const struct sum_key *key, int64_t old_version,
                  int64_t old_bucket, int64_t version, int64_t bucket)
{
    if (old_bucket > 0) {
        uint64_t old = dk_sum_version(key->entity, key->length, key->id, old_version);
        add(store, old_bucket, dk_sum_subtract(0, old));
    }
    if (bucket > 0) {
        add(store, bucket, dk_sum_version(key->entity, key->length, key->id, version));
    }
}

/* Absent and deleted bases are in no bucket. */
void dk_sums_base(struct store *store, const struct holding *old, int64_t version, int64_t bucket)
{
    struct sum_key key = {old->entity->name, strlen(old->entity->name), &old->id};
    int64_t old_bucket = old->base_state == BASE_HELD ? old->base_bucket : 0;
    if (old_bucket != bucket || old->base_version != version) {
        dk_sums_move(store, &key, old->base_version, old_bucket, version, bucket);
    }
}

/* Forgets the differences gathered so far. */
void dk_sums_forget(struct store *store)
{
    struct sums *sums = &store->sums;
    while (sums->first != NULL) {
        struct sum_slot *slot = sums->first;
        sums->first = slot->next;
        *slot = (struct sum_slot){.bucket = 0};
    }
    sums->used = 0;
    sums->failed = false;
}

daybook_status dk_sums_write(struct store *store)
{
    struct sums *sums = &store->sums;
    daybook_status status = sums->failed ? DAYBOOK_NO_MEMORY : DAYBOOK_OK;
    for (const struct sum_slot *slot = sums->first; slot != NULL && status == DAYBOOK_OK;
         slot = slot->next) {
        if (slot->difference == 0) {
            continue;
        }
        struct statement *update = dk_statement(
            &store->database, &store->slots.scope_sum,
            "UPDATE scope SET sum=(sum+?1)&4611686018427387903 WHERE bucket=?2", &status);
        if (update != NULL) {
            dk_bind_int(update, 1, (int64_t)slot->difference);
            dk_bind_int(update, 2, slot->bucket);
            status = dk_step_done(update);
        }
    }
    dk_sums_forget(store);
    return status;
}

/* What was gathered in this transaction counts no more either. */
daybook_status dk_sums_clear(struct store *store)
{
    dk_sums_forget(store);
    return dk_database_run(&store->database, "UPDATE scope SET sum=0");
}

daybook_status dk_sums_scope(struct store *store, uint64_t *sum)
{
    daybook_status status;
    bool row;
    struct statement *load = dk_statement(&store->database, &store->slots.scope_sums,
                                          "SELECT bucket,sum FROM scope", &status);
    *sum = 0;
    while (load != NULL && (status = dk_step(load, &row)) == DAYBOOK_OK && row) {
        uint64_t versions = (uint64_t)dk_column_int(load, 1);
        *sum = dk_sum_add(*sum, dk_sum_bucket(dk_column_int(load, 0), versions));
    }
    return status;
}

/* ---- what the statement of an update tells of the row that it changes */

/* SQL: base_moves(new version, version, bucket) is the new version, and keeps the other two. */
static void base_moves(sqlite3_context *context, int count, sqlite3_value **values)
{
    struct sums *sums = sqlite3_user_data(context);
    (void)count;
    sums->old_version = sqlite3_value_int64(values[1]);
    sums->old_bucket = sqlite3_value_int64(values[2]);
    sqlite3_result_int64(context, sqlite3_value_int64(values[0]));
}

/* SQL: visit_moves(new version, version, bucket, check-in, effective) keeps these two as well. */
static void visit_moves(sqlite3_context *context, int count, sqlite3_value **values)
{
    struct sums *sums = sqlite3_user_data(context);
    base_moves(context, count, values);
    sums->old_time_ms = sqlite3_value_int64(values[3]);
    sums->old_counted = sqlite3_value_int64(values[4]) != 0;
}

daybook_status dk_sums_open(struct store *store)
{
    const int flags = SQLITE_UTF8 | SQLITE_DIRECTONLY;
    sqlite3 *handle = store->database.handle;
    int result = sqlite3_create_function_v2(handle, "base_moves", 3, flags, &store->sums,
                                            base_moves, NULL, NULL, NULL);
    if (result == SQLITE_OK) {
        result = sqlite3_create_function_v2(handle, "visit_moves", 5, flags, &store->sums,
                                            visit_moves, NULL, NULL, NULL);
    }
    return dk_database_status(&store->database, result);
}

/* ---- reckoned anew from the rows */

/* Adds one record's term to its bucket, as a difference. */
static void add_held(struct store *store, const char *entity, size_t length, const struct id *id,
                     int64_t version, int64_t bucket)
{
    struct sum_key key = {entity, length, id};
    dk_sums_move(store, &key, 0, 0, version, bucket);
}

/* Adds all rows of a query for (entity name, id, version, bucket). */
static daybook_status add_rows(struct store *store, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(store->database.handle, sql, -1, &statement, NULL);
    while (result == SQLITE_OK || result == SQLITE_ROW) {
        struct id id;
        result = sqlite3_step(statement);
        if (result != SQLITE_ROW) {
            break;
        }
        const char *entity = (const char *)sqlite3_column_text(statement, 0);
        const void *bytes = sqlite3_column_blob(statement, 1);
        if (entity == NULL || sqlite3_column_bytes(statement, 1) != ID_SIZE) {
            result = SQLITE_CORRUPT;
            break;
        }
        memcpy(id.bytes, bytes, ID_SIZE);
        add_held(store, entity, strlen(entity), &id, sqlite3_column_int64(statement, 2),
                 sqlite3_column_int64(statement, 3));
    }
    daybook_status status = dk_database_status(&store->database, result);
    (void)sqlite3_finalize(statement);
    return status;
}

daybook_status dk_sums_reckon(struct store *store)
{
    daybook_status status = dk_sums_clear(store);
    for (int kind = 0; kind < ENTITY_COUNT && status == DAYBOOK_OK; kind++) {
        char sql[200];
        (void)dk_text_format(
            sql, sizeof sql,
            "SELECT '%s',id,version,bucket FROM r_%s WHERE version>=0 AND bucket>0",
            dk_entity(kind)->name, dk_entity(kind)->name);
        status = add_rows(store, sql);
    }
    if (status == DAYBOOK_OK) {
        status = add_rows(store, "SELECT n.name,id,base_version,bucket FROM pending p"
                                 " JOIN entity_number n ON n.number=p.entity"
                                 " WHERE base_state=1 AND bucket>0");
    }
    if (status == DAYBOOK_OK) {
        status = add_rows(store, "SELECT entity,id,version,bucket FROM raw_record WHERE bucket>0");
    }
    return status == DAYBOOK_OK ? dk_sums_write(store) : status;
}
