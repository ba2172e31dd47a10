/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns table raw_record: records of entities that this engine does not know yet, kept as JSON
 * objects for the engine that will. Called by apply. Invariant: they follow the same order of
 * positions as all others.
 */
#include "engine/store/inside.h"

#include <string.h>

struct raw {
    bool found;
    int64_t version, bucket;
    struct value body;
};

/* The record's place in the version sums moves; bucket 0: it goes. */
static void move_sum(struct store *store, const struct block *block, const struct row *row,
                     const struct raw *old, int64_t bucket)
{
    struct sum_key key = {block->entity_name, block->entity_name_length, &row->id};
    dk_sums_move(store, &key, old->version, old->found ? old->bucket : 0, row->number, bucket);
}

/* Binds entity name and id from parameter `first` on. */
static void bind_key(struct statement *statement, int first, const struct block *block,
                     const struct row *row)
{
    dk_bind_text(statement, first, block->entity_name, block->entity_name_length);
    dk_bind_id(statement, first + 1, &row->id);
}

/* What is kept of the row's record; found false where nothing is. */
static daybook_status load(struct store *store, const struct block *block, const struct row *row,
                           struct raw *raw)
{
    daybook_status status;
    size_t length;
    struct statement *statement =
        dk_statement(&store->database, &store->slots.raw_load,
                     "SELECT version,bucket,body FROM raw_record WHERE entity=? AND id=?", &status);
    memset(raw, 0, sizeof *raw);
    if (statement == NULL) {
        return status;
    }
    bind_key(statement, 1, block, row);
    status = dk_step(statement, &raw->found);
    if (status != DAYBOOK_OK || !raw->found) {
        return status;
    }
    raw->version = dk_column_int(statement, 0);
    raw->bucket = dk_column_int(statement, 1);
    const char *text = dk_column_text(statement, 2, &length);
    raw->body = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)length};
    raw->body.text = text == NULL ? NULL : dk_arena_copy(&store->work, text, length);
    dk_reset(statement);
    return raw->body.text == NULL ? DAYBOOK_NO_MEMORY : DAYBOOK_OK;
}

/* The row's values under their names, on top of what is there. */
static daybook_status merge(struct store *store, const struct block *block, const struct row *row,
                            const struct value *old, struct value *body)
{
    struct json_reader json;
    struct field_value *values =
        dk_arena_new(&store->work, (size_t)block->column_count * sizeof *values);
    char *copy = dk_arena_copy(&store->work, row->raw, row->raw_length);
    if (values == NULL || copy == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    dk_json_open(&json, copy, row->raw_length);
    bool fine = dk_json_next(&json) == JSON_ARRAY && dk_json_skip(&json, NULL, NULL) &&
                dk_json_skip(&json, NULL, NULL);
    for (int i = 0; i < block->column_count && fine; i++) {
        const char *raw;
        size_t length;
        fine = dk_json_skip(&json, &raw, &length);
        if (fine) {
            values[i].field = -1;
            values[i].name = block->columns[i].name;
            values[i].name_length = block->columns[i].name_length;
            values[i].value = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)length};
            values[i].value.text = raw;
        }
    }
    if (!fine || dk_json_next(&json) != JSON_END) {
        return DAYBOOK_BAD_REPLY;
    }
    return dk_records_extra(old, values, block->column_count, &store->work, body);
}

/* Writes the record's object; one without members is {}. */
static daybook_status put(struct store *store, const struct block *block, const struct row *row,
                          int64_t bucket, const struct value *body)
{
    daybook_status status;
    struct statement *statement = dk_statement(
        &store->database, &store->slots.raw_put,
        "INSERT OR REPLACE INTO raw_record(entity,id,version,bucket,body) VALUES(?,?,?,?,?)",
        &status);
    if (statement == NULL) {
        return status;
    }
    bind_key(statement, 1, block, row);
    dk_bind_int(statement, 3, row->number);
    dk_bind_int(statement, 4, bucket);
    if (body->kind == VALUE_TEXT) {
        dk_bind_text(statement, 5, body->text, body->length);
    } else {
        dk_bind_text(statement, 5, "{}", 2);
    }
    return dk_step_done(statement);
}

/* Removes the record. */
static daybook_status drop(struct store *store, const struct block *block, const struct row *row)
{
    daybook_status status;
    struct statement *statement =
        dk_statement(&store->database, &store->slots.raw_remove,
                     "DELETE FROM raw_record WHERE entity=? AND id=?", &status);
    if (statement == NULL) {
        return status;
    }
    bind_key(statement, 1, block, row);
    return dk_step_done(statement);
}

/* As for known entities, but nothing can be pending for these. */
daybook_status dk_raw_apply(struct apply *apply, const struct block *block, const struct row *row)
{
    struct store *store = apply->store;
    struct raw raw;
    struct value body;
    bool whole = block->op == BLOCK_NEW;
    daybook_status status = load(store, block, row, &raw);
    if (status != DAYBOOK_OK) {
        return status;
    }
    bool stale = raw.found && raw.bucket < 0;
    bool news = !raw.found || stale || dk_apply_is_news(apply, row->number, raw.version);
    if (!news || (!whole && !raw.found) || (stale && block->op == BLOCK_SET)) {
        return DAYBOOK_OK;
    }
    if (block->op == BLOCK_DELETE || block->op == BLOCK_EVICT) {
        int64_t held = stale ? ~raw.bucket : raw.bucket;
        bool elsewhere =
            block->op == BLOCK_EVICT && block->bucket > 0 && held > 0 && held != block->bucket;
        if (elsewhere) {
            return DAYBOOK_OK;
        }
        move_sum(store, block, row, &raw, 0);
        return drop(store, block, row);
    }
    status = merge(store, block, row, whole ? NULL : &raw.body, &body);
    if (status == DAYBOOK_BAD_REPLY) {
        return dk_apply_bad(apply, "a row has another number of values than its block has fields");
    }
    int64_t bucket = block->bucket > 0 || whole ? block->bucket : raw.bucket;
    if (status != DAYBOOK_OK) {
        return status;
    }
    move_sum(store, block, row, &raw, bucket);
    return put(store, block, row, bucket, &body);
}
