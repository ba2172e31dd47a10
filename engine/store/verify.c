/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the comparison of what every record says with the server: version and content sums of each
 * bucket, reckoned from the rows. Called by the syncer, between two replies. Invariants: the base
 * does not move while it runs, because only replies move it; commits go on meanwhile, since the
 * rows are read through a connection of its own, in one snapshot.
 */
#include "engine/store/inside.h"

#include "engine/base/memory.h"
#include "engine/base/text.h"

#include <string.h>

/* One bucket: what the server says, and what was reckoned here. */
struct verified {
    int64_t bucket;
    uint64_t their_versions, their_contents;
    uint64_t versions, contents;
};

struct verify {
    struct store *reader;  /* the file, seen through another connection */
    struct verified *rows; /* by bucket, ascending */
    int count;
    struct buffer scratch;
};

/* The bucket's row; NULL: it is not in scope. */
static struct verified *find(struct verify *verify, int64_t bucket)
{
    int low = 0, high = verify->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (verify->rows[middle].bucket < bucket) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < verify->count && verify->rows[low].bucket == bucket ? &verify->rows[low] : NULL;
}

/* Reads [[bucket,"sum"],…] into one member of the rows; the first array makes the rows. */
static daybook_status read_sums(struct verify *verify, const struct span *span, bool contents)
{
    struct json_reader json;
    enum json_type type;
    int number = 0;
    if (span->bytes == NULL) {
        return DAYBOOK_BAD_REPLY;
    }
    dk_json_open(&json, span->bytes, span->length);
    type = dk_json_next(&json) == JSON_ARRAY ? dk_json_next(&json) : JSON_ERROR;
    for (; type == JSON_ARRAY && number < LIMIT_BUCKETS; type = dk_json_next(&json)) {
        int64_t bucket;
        uint64_t sum;
        struct verified *row = &verify->rows[number];
        if (!dk_sums_read_row(&json, &bucket, &sum) ||
            (contents && (number >= verify->count || row->bucket != bucket)) ||
            (!contents && number > 0 && row[-1].bucket >= bucket)) {
            return DAYBOOK_BAD_REPLY;
        }
        if (contents) {
            row->their_contents = sum;
        } else {
            *row = (struct verified){.bucket = bucket, .their_versions = sum};
            verify->count = number + 1;
        }
        number++;
    }
    return type == JSON_END && number == verify->count ? DAYBOOK_OK : DAYBOOK_BAD_REPLY;
}

/* Adds one record's base. */
static daybook_status add_record(struct verify *verify, const struct entity *entity,
                                 const struct id *id)
{
    struct store *reader = verify->reader;
    struct holding holding;
    struct base base;
    dk_arena_reset(&reader->work);
    daybook_status status = dk_pending_load(reader, entity, id, &reader->work, &holding);
    if (status == DAYBOOK_OK) {
        status = dk_pending_base(&holding, &reader->work, &base);
    }
    struct verified *row =
        status == DAYBOOK_OK && base.state == BASE_HELD ? find(verify, base.bucket) : NULL;
    if (row == NULL) {
        return status;
    }
    uint64_t term = dk_sum_version(entity->name, strlen(entity->name), id, base.version);
    row->versions = dk_sum_add(row->versions, term);
    base.record.entity = entity;
    base.record.id = *id;
    return dk_sum_content(&base.record, &verify->scratch, &row->contents);
}

/* Adds the records whose ids a query yields, with the number of their entity before them. */
static daybook_status add_all(struct verify *verify, const char *sql)
{
    struct store *reader = verify->reader;
    sqlite3_stmt *ids = NULL;
    daybook_status status = DAYBOOK_OK;
    int result = sqlite3_prepare_v2(reader->database.handle, sql, -1, &ids, NULL);
    while (result == SQLITE_OK || result == SQLITE_ROW) {
        struct id id;
        result = sqlite3_step(ids);
        if (result != SQLITE_ROW) {
            break;
        }
        int kind = dk_schema_kind(reader, sqlite3_column_int64(ids, 0));
        if (kind < 0 || sqlite3_column_bytes(ids, 1) != ID_SIZE) {
            status = DAYBOOK_CORRUPT;
            break;
        }
        memcpy(id.bytes, sqlite3_column_blob(ids, 1), ID_SIZE);
        status = add_record(verify, dk_entity(kind), &id);
        if (status != DAYBOOK_OK) {
            break;
        }
    }
    if (status == DAYBOOK_OK) {
        status = dk_database_status(&reader->database, result);
    }
    (void)sqlite3_finalize(ids);
    return status;
}

/* Adds the records of entities that are not known. */
static daybook_status add_raw(struct verify *verify)
{
    struct store *reader = verify->reader;
    struct statement *slot = NULL;
    daybook_status status;
    bool more;
    struct statement *raw = dk_statement(
        &reader->database, &slot, "SELECT entity,id,version,bucket,body FROM raw_record", &status);
    while (raw != NULL && (status = dk_step(raw, &more)) == DAYBOOK_OK && more) {
        struct id id;
        size_t length, body_length;
        const char *entity = dk_column_text(raw, 0, &length);
        const char *body = dk_column_text(raw, 4, &body_length);
        struct value extra = {.kind = VALUE_TEXT, .length = (uint32_t)body_length, .text = body};
        struct verified *row = find(verify, dk_column_int(raw, 3));
        if (entity == NULL || body == NULL || !dk_column_id(raw, 1, &id)) {
            dk_reset(raw);
            return DAYBOOK_CORRUPT;
        }
        if (row == NULL) {
            continue;
        }
        row->versions =
            dk_sum_add(row->versions, dk_sum_version(entity, length, &id, dk_column_int(raw, 2)));
        status = dk_sum_extra(entity, length, &id, &extra, &row->contents);
        if (status != DAYBOOK_OK) {
            dk_reset(raw);
            return status;
        }
    }
    return status;
}

/* Reckons the sums of all buckets in one snapshot. */
static daybook_status reckon(struct verify *verify)
{
    struct store *reader = verify->reader;
    daybook_status status = dk_database_run(&reader->database, "BEGIN");
    for (int kind = 0; kind < ENTITY_COUNT && status == DAYBOOK_OK; kind++) {
        char sql[100];
        (void)dk_text_format(sql, sizeof sql, "SELECT %d,id FROM r_%s", reader->facts[kind].number,
                             dk_entity(kind)->name);
        status = add_all(verify, sql);
    }
    if (status == DAYBOOK_OK) {
        status = add_all(verify, "SELECT entity,id FROM hidden");
    }
    return status == DAYBOOK_OK ? add_raw(verify) : status;
}

/* A store struct over a connection that only reads. NULL: no memory. */
static struct store *open_reader(struct store *store, daybook_status *status)
{
    struct store *reader = dk_memory_new(1, sizeof *reader);
    struct database_options how = {
        .mode = DATABASE_READER, .vfs = store->options.vfs, .busy_ms = 10000};
    *status = DAYBOOK_NO_MEMORY;
    if (reader == NULL) {
        return NULL;
    }
    memcpy(reader->facts, store->facts, sizeof reader->facts);
    reader->memory.hidden_rows = 1; /* those without a row are looked for */
    dk_arena_init(&reader->work, STORE_ARENA_MAX);
    *status = dk_database_open(&reader->database, store->options.path, &how);
    return reader;
}

/* Frees what open_reader made. */
static void close_reader(struct store *reader)
{
    if (reader != NULL) {
        dk_database_close(&reader->database);
        dk_arena_clear(&reader->work);
        dk_memory_free(reader);
    }
}

/* Begins the buckets that differ anew, and sets right what was kept of the others. */
static daybook_status repair(struct store *store, const struct verify *verify, int *diverged)
{
    daybook_status status = dk_store_begin(store);
    if (status != DAYBOOK_OK) {
        return status;
    }
    for (int i = 0; i < verify->count && status == DAYBOOK_OK; i++) {
        const struct verified *row = &verify->rows[i];
        if (row->versions == row->their_versions && row->contents == row->their_contents) {
            continue;
        }
        dk_log(&store->options.log, LOG_ERROR, "store: bucket %lld differs from the server's: %s",
               (long long)row->bucket,
               row->versions == row->their_versions ? "contents" : "versions");
        (*diverged)++;
        status = dk_diverged_repair(store, row->bucket);
    }
    if (status == DAYBOOK_OK && *diverged > 0) {
        store->changed |= STORE_CHANGED_SYNC;
        status = dk_store_write_meta(store);
    }
    return dk_store_end(store, status);
}

daybook_status dk_store_verify(struct store *store, const struct sync_reply *reply, int *diverged)
{
    struct verify verify = {.rows = dk_memory_new(LIMIT_BUCKETS, sizeof *verify.rows)};
    daybook_status status = DAYBOOK_NO_MEMORY;
    *diverged = 0;
    dk_buffer_init(&verify.scratch, LIMIT_REPLY_EXPANDED);
    if (verify.rows != NULL) {
        status = read_sums(&verify, &reply->sums, false);
    }
    if (status == DAYBOOK_OK) {
        status = read_sums(&verify, &reply->contents, true);
    }
    if (status == DAYBOOK_OK) {
        verify.reader = open_reader(store, &status);
    }
    if (status == DAYBOOK_OK) {
        status = reckon(&verify);
    }
    close_reader(verify.reader);
    if (status == DAYBOOK_OK) {
        status = repair(store, &verify, diverged);
    }
    dk_buffer_clear(&verify.scratch);
    dk_memory_free(verify.rows);
    return status;
}
