/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns table fetched_record: documents that this device does not hold and that somebody wanted to
 * see, one by one, with their child rows, as JSON of the app's form. Called by the syncer, which
 * fetches, by the API, which forgets, and by apply, when something leaves the scope. Invariants:
 * what is here is nobody's base: no bucket, sum, rule or pending change knows of it; what may be
 * out of scope is gone.
 */
#include "engine/store/inside.h"

#include "engine/base/text.h"

#include <string.h>

#define DAY_MS INT64_C(86400000)

/* A document under way: its rows, all in the store's arena. */
struct document {
    struct store *store;
    struct record *records; /* the document first */
    int count, capacity;
};

/* ---- deriving: rules that see the document alone */

/* One of the document's records; see struct sales_reader. */
static daybook_status get_record(void *context, int entity, const struct id *id,
                                 struct arena *arena, struct record *record, bool *found)
{
    const struct document *document = context;
    (void)arena;
    *found = false;
    for (int i = 0; i < document->count && !*found; i++) {
        const struct record *other = &document->records[i];
        *found = other->entity->kind == entity && dk_id_compare(&other->id, id) == 0;
        if (*found) {
            *record = *other;
        }
    }
    return DAYBOOK_OK;
}

/* The child rows of one kind, which came in the order of ids. */
static daybook_status get_children(void *context, int entity, const struct id *parent,
                                   struct arena *arena, struct record **records, int *count)
{
    const struct document *document = context;
    *count = 0;
    *records = dk_arena_new(arena, (size_t)document->count * sizeof **records);
    if (*records == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    for (int i = 1; i < document->count; i++) {
        const struct record *record = &document->records[i];
        if (record->entity->kind == entity &&
            dk_id_compare(&record->values[record->entity->parent_field].id, parent) == 0) {
            (*records)[(*count)++] = *record;
        }
    }
    return DAYBOOK_OK;
}

/* Computes what does not travel: of lines first, then of the document. */
static daybook_status derive(struct document *document)
{
    struct sales_reader reader = {document, get_record, get_children};
    daybook_status status = DAYBOOK_OK;
    for (int i = document->count - 1; i >= 0 && status == DAYBOOK_OK; i--) {
        uint64_t changed = 0;
        status = dk_sales_derive(&reader, &document->records[i], &document->store->arena, &changed);
    }
    return status;
}

/* ---- reading */

/* Room for one more record. */
static struct record *add_record(struct document *document)
{
    struct record *records = dk_arena_grow(&document->store->arena, document->records,
                                           document->count, &document->capacity, sizeof *records);
    if (records == NULL) {
        return NULL;
    }
    document->records = records;
    return &document->records[document->count++];
}

/* Whether a row belongs into the answer: the document first, then child rows of it. */
static bool belongs(const struct document *document, const struct entity *entity,
                    const struct id *id, const struct record *record)
{
    if (document->count == 1) {
        return record->entity == entity && dk_id_compare(&record->id, id) == 0;
    }
    int parent = record->entity->parent_field;
    return parent >= 0 && record->entity->fields[parent].target == entity->kind &&
           record->values[parent].kind == VALUE_ID &&
           dk_id_compare(&record->values[parent].id, id) == 0;
}

/* All rows into the arena. Those of entities that this engine does not know are left out. */
static daybook_status read_rows(struct document *document, const struct entity *entity,
                                const struct id *id, struct span *rows)
{
    struct store *store = document->store;
    struct block_reader reader;
    struct row row;
    bool new_block;
    int result;
    daybook_status status = DAYBOOK_OK;
    dk_block_open(&reader, rows->bytes, rows->length, &store->arena);
    reader.decided = true;
    while (status == DAYBOOK_OK && (result = dk_block_next(&reader, &row, &new_block)) == 1) {
        if (reader.block.entity == NULL) {
            continue;
        }
        struct record *record = add_record(document);
        if (record == NULL) {
            return DAYBOOK_NO_MEMORY;
        }
        dk_records_empty(record, reader.block.entity, &row.id);
        record->version = row.number;
        for (int i = 0; i < row.value_count && status == DAYBOOK_OK; i++) {
            status = dk_records_assign(record, &row.values[i], &store->arena);
        }
        if (status == DAYBOOK_OK &&
            (reader.block.op != BLOCK_NEW || !belongs(document, entity, id, record))) {
            return DAYBOOK_BAD_REPLY;
        }
    }
    if (status == DAYBOOK_OK && (result != 0 || document->count == 0)) {
        return store->arena.failed ? DAYBOOK_NO_MEMORY : DAYBOOK_BAD_REPLY;
    }
    return status;
}

/* ---- writing */

/* The record's fields that have a value, as the app writes them: ids as UUID text, numbers of 64
 * bit as strings. */
static void write_body(struct buffer *out, const struct record *record)
{
    const char *separator = "{\"";
    for (int i = 0; i < record->entity->field_count; i++) {
        const struct value *value = &record->values[i];
        if (value->kind == VALUE_NULL) {
            continue;
        }
        dk_buffer_append_text(out, separator);
        dk_buffer_append_text(out, record->entity->fields[i].name);
        dk_buffer_append_text(out, "\":");
        dk_value_write_app(out, &record->entity->fields[i], value);
        separator = ",\"";
    }
    dk_buffer_append_text(out, separator[0] == '{' ? "{}" : "}");
}

/* Inserts one record of the document. */
static daybook_status insert(struct document *document, const struct record *record,
                             struct buffer *body)
{
    struct store *store = document->store;
    const struct record *first = &document->records[0];
    const struct value *root =
        first->entity->root == ROOT_RECORD ? &first->values[first->entity->root_field] : NULL;
    daybook_status status;
    struct statement *add =
        dk_statement(&store->database, &store->slots.fetched_add,
                     "INSERT INTO fetched_record(document,entity,id,root,version,fetched_ms,body)"
                     " VALUES(?,?,?,?,?,?,?)",
                     &status);
    if (add == NULL) {
        return status;
    }
    dk_buffer_reset(body);
    write_body(body, record);
    if (body->status != DAYBOOK_OK) {
        return body->status;
    }
    dk_bind_id(add, 1, &first->id);
    dk_bind_text(add, 2, record->entity->name, strlen(record->entity->name));
    dk_bind_id(add, 3, &record->id);
    dk_bind_id(add, 4, root != NULL && root->kind == VALUE_ID ? &root->id : NULL);
    dk_bind_int(add, 5, record->version);
    dk_bind_int(add, 6, dk_store_wall_ms(store));
    dk_bind_text(add, 7, body->bytes, body->length);
    return dk_step_done(add);
}

/* Deletes by one id; the SQL names it ?1. */
static daybook_status delete_by(struct store *store, struct statement **slot, const char *sql,
                                const struct id *id)
{
    daybook_status status;
    struct statement *remove = dk_statement(&store->database, slot, sql, &status);
    if (remove == NULL) {
        return status;
    }
    dk_bind_id(remove, 1, id);
    status = dk_step_done(remove);
    if (status == DAYBOOK_OK && dk_database_changes(&store->database) > 0) {
        store->changed |= STORE_CHANGED_SYNC;
    }
    return status;
}

/* One document, with its child rows. */
static daybook_status drop_document(struct store *store, const struct id *document)
{
    return delete_by(store, &store->slots.fetched_remove,
                     "DELETE FROM fetched_record WHERE document=?1", document);
}

/* What was fetched so long ago that it is no use any more, or by a clock that is ahead. */
static daybook_status drop_old(struct store *store)
{
    int64_t now_ms = dk_store_wall_ms(store);
    daybook_status status;
    struct statement *remove =
        dk_statement(&store->database, &store->slots.fetched_old,
                     "DELETE FROM fetched_record WHERE fetched_ms NOT BETWEEN ?1 AND ?2", &status);
    if (remove == NULL) {
        return status;
    }
    dk_bind_int(remove, 1, now_ms - FETCHED_DAYS * DAY_MS);
    dk_bind_int(remove, 2, now_ms + DAY_MS);
    return dk_step_done(remove);
}

daybook_status dk_fetched_drop_all(struct store *store)
{
    store->changed |= STORE_CHANGED_SYNC;
    return dk_database_run(&store->database, "DELETE FROM fetched_record");
}

daybook_status dk_fetched_drop_below(struct store *store, const struct id *root)
{
    return delete_by(store, &store->slots.fetched_below, "DELETE FROM fetched_record WHERE root=?1",
                     root);
}

daybook_status dk_fetched_drop_where(struct store *store, const char *condition)
{
    char sql[240];
    if (!dk_text_format(sql, sizeof sql,
                        "DELETE FROM fetched_record WHERE root IN"
                        " (SELECT id FROM r_customer WHERE %s)",
                        condition)) {
        return DAYBOOK_INTERNAL;
    }
    daybook_status status = dk_database_run(&store->database, sql);
    if (status == DAYBOOK_OK && dk_database_changes(&store->database) > 0) {
        store->changed |= STORE_CHANGED_SYNC;
    }
    return status;
}

daybook_status dk_fetched_has(struct store *store, const struct entity *entity, const struct id *id,
                              bool *fetched)
{
    daybook_status status;
    struct statement *find =
        dk_statement(&store->database, &store->slots.fetched_has,
                     "SELECT 1 FROM fetched_record WHERE entity=? AND id=?", &status);
    *fetched = false;
    if (find == NULL) {
        return status;
    }
    dk_bind_text(find, 1, entity->name, strlen(entity->name));
    dk_bind_id(find, 2, id);
    status = dk_step(find, fetched);
    dk_reset(find);
    return status;
}

/* ---- from outside */

/* The steps of a put, inside of its transaction. */
static daybook_status put(struct store *store, const struct entity *entity, const struct id *id,
                          struct span *rows)
{
    struct document document = {.store = store};
    struct buffer body;
    daybook_status status = drop_old(store);
    if (status == DAYBOOK_OK) {
        status = drop_document(store, id);
    }
    if (status == DAYBOOK_OK) {
        status = rows->bytes == NULL ? DAYBOOK_OK : read_rows(&document, entity, id, rows);
    }
    if (status == DAYBOOK_OK) {
        status = derive(&document);
    }
    dk_buffer_init(&body, LIMIT_REPLY_EXPANDED);
    for (int i = 0; i < document.count && status == DAYBOOK_OK; i++) {
        status = insert(&document, &document.records[i], &body);
    }
    dk_buffer_clear(&body);
    store->changed |= STORE_CHANGED_SYNC;
    return status;
}

daybook_status dk_store_fetched_put(struct store *store, const struct entity *entity,
                                    const struct id *document, struct span *rows)
{
    daybook_status status = dk_store_begin(store);
    if (status != DAYBOOK_OK) {
        return status;
    }
    status = dk_store_end(store, put(store, entity, document, rows));
    return status == DAYBOOK_OK && rows->bytes == NULL ? DAYBOOK_NOT_FOUND : status;
}

daybook_status dk_store_fetched_has(struct store *store, const struct entity *entity,
                                    const struct id *id, bool *fetched)
{
    (void)pthread_mutex_lock(&store->lock);
    daybook_status status = dk_fetched_has(store, entity, id, fetched);
    (void)pthread_mutex_unlock(&store->lock);
    return status;
}

daybook_status dk_store_fetched_forget(struct store *store, const struct id *document)
{
    daybook_status status = dk_store_begin(store);
    if (status != DAYBOOK_OK) {
        return status;
    }
    status = drop_document(store, document);
    if (status == DAYBOOK_OK && dk_database_changes(&store->database) == 0) {
        status = DAYBOOK_NOT_FOUND;
    }
    return dk_store_end(store, status);
}
