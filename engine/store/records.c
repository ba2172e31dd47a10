/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the rows of the tables r_<entity>: loads, inserts, replaces, updates and removes them.
 * Called by everything in engine/store that touches a record. Invariant: one statement per entity
 * and purpose, and one per set of updated columns, each prepared once; table and column names come
 * from the entity table only.
 */
#include "engine/store/visits.h"

#include <assert.h>
#include <string.h>

#define SQL_MAX 8192 /* bytes of one statement over all columns of an entity */

enum { LOAD_VERSION, LOAD_BUCKET, LOAD_FIELDS };          /* columns of the load statement */
enum { PUT_ID = 1, PUT_VERSION, PUT_BUCKET, PUT_FIELDS }; /* parameters of insert and replace */

/* ---- statements */

/* The columns of all fields in the table's order, then extra. */
static void append_columns(struct buffer *sql, const struct entity *entity)
{
    for (int i = 0; i < entity->field_count; i++) {
        dk_buffer_append_text(sql, entity->fields[i].name);
        dk_buffer_append_char(sql, ',');
    }
    dk_buffer_append_text(sql, "extra");
}

/* INSERT with all columns; `or` says what happens where the id is there already. */
static void write_put(struct buffer *sql, const struct entity *entity, const char *or_what)
{
    dk_buffer_append_text(sql, "INSERT OR ");
    dk_buffer_append_text(sql, or_what);
    dk_buffer_append_text(sql, " INTO r_");
    dk_buffer_append_text(sql, entity->name);
    dk_buffer_append_text(sql, "(id,version,bucket,");
    append_columns(sql, entity);
    dk_buffer_append_text(sql, ") VALUES(?,?,?,?");
    for (int i = 0; i < entity->field_count; i++) {
        dk_buffer_append_text(sql, ",?");
    }
    dk_buffer_append_char(sql, ')');
}

/* INSERT that leaves a row with the same id alone. */
static void write_insert(struct buffer *sql, const struct entity *entity)
{
    write_put(sql, entity, "IGNORE");
}

/* INSERT that takes the place of a row with the same id. */
static void write_replace(struct buffer *sql, const struct entity *entity)
{
    write_put(sql, entity, "REPLACE");
}

/* SELECT of all columns by id, as the enum LOAD_ says. */
static void write_load(struct buffer *sql, const struct entity *entity)
{
    dk_buffer_append_text(sql, "SELECT version,bucket,");
    append_columns(sql, entity);
    dk_buffer_append_text(sql, " FROM r_");
    dk_buffer_append_text(sql, entity->name);
    dk_buffer_append_text(sql, " WHERE id=?");
}

/* DELETE by id. */
static void write_remove(struct buffer *sql, const struct entity *entity)
{
    dk_buffer_append_text(sql, "DELETE FROM r_");
    dk_buffer_append_text(sql, entity->name);
    dk_buffer_append_text(sql, " WHERE id=?");
}

/* SELECT of the ids of a document's lines, in their order. */
static void write_children(struct buffer *sql, const struct entity *entity)
{
    dk_buffer_append_text(sql, "SELECT id FROM r_");
    dk_buffer_append_text(sql, entity->name);
    dk_buffer_append_text(sql, " WHERE ");
    dk_buffer_append_text(sql, entity->fields[entity->parent_field].name);
    dk_buffer_append_text(sql, "=? ORDER BY id");
}

/* The entity's statement in this slot, built and prepared at its first use. */
static struct statement *entity_statement(struct store *store, struct statement **slot,
                                          void (*write)(struct buffer *, const struct entity *),
                                          const struct entity *entity, daybook_status *status)
{
    if (*slot != NULL) {
        return dk_statement(&store->database, slot, NULL, status);
    }
    struct statement *statement = NULL;
    struct buffer sql;
    dk_buffer_init(&sql, SQL_MAX);
    write(&sql, entity);
    *status = sql.status;
    if (sql.status == DAYBOOK_OK) {
        statement = dk_statement(&store->database, slot, dk_buffer_text(&sql), status);
    }
    dk_buffer_clear(&sql);
    return statement;
}

/* ---- values */

/* Binds a value as its kind says; text and ids are borrowed until the step. */
static void bind_value(struct statement *statement, int position, const struct value *value)
{
    switch (value->kind) {
    case VALUE_NULL: dk_bind_null(statement, position); break;
    case VALUE_INT: dk_bind_int(statement, position, value->integer); break;
    case VALUE_TEXT: dk_bind_text(statement, position, value->text, value->length); break;
    case VALUE_ID: dk_bind_id(statement, position, &value->id); break;
    }
}

/* Text of a column, copied. */
static struct value text_value(struct statement *statement, int column, struct arena *arena)
{
    struct value value = {.kind = VALUE_NULL};
    size_t length;
    const char *text = dk_column_text(statement, column, &length);
    if (text != NULL) {
        value.kind = VALUE_TEXT;
        value.length = (uint32_t)length;
        value.text = dk_arena_copy(arena, text, length);
    }
    return value;
}

/* A column as a value of the field. False: it holds another type than the field says. */
static bool column_value(struct statement *statement, int column, const struct field *field,
                         struct arena *arena, struct value *value)
{
    memset(value, 0, sizeof *value);
    if (dk_column_is_null(statement, column)) {
        return true;
    }
    switch (field->type) {
    case FIELD_ID: value->kind = VALUE_ID; return dk_column_id(statement, column, &value->id);
    case FIELD_TEXT:
    case FIELD_CHOICE:
    case FIELD_CURRENCY:
    case FIELD_SET:
    case FIELD_MAP: *value = text_value(statement, column, arena); return true;
    default:
        value->kind = VALUE_INT;
        value->integer = dk_column_int(statement, column);
        return true;
    }
}

/* A record without values. */
void dk_records_empty(struct record *record, const struct entity *entity, const struct id *id)
{
    record->entity = entity;
    record->id = *id;
    record->version = 0;
    memset(record->values, 0, (size_t)entity->field_count * sizeof record->values[0]);
    memset(&record->extra, 0, sizeof record->extra);
}

uint64_t dk_records_mask(const struct field_value *values, int count)
{
    uint64_t mask = 0;
    for (int i = 0; i < count; i++) {
        mask |= values[i].field < 0 ? 0 : (uint64_t)1 << values[i].field;
    }
    return mask;
}

/* The result is in the arena or borrowed from the value. */
daybook_status dk_records_assign(struct record *record, const struct field_value *value,
                                 struct arena *arena)
{
    if (value->field < 0) {
        return DAYBOOK_OK;
    }
    struct value *slot = &record->values[value->field];
    struct value stored = *slot;
    bool fine = true;
    switch (record->entity->fields[value->field].type) {
    case FIELD_SET: fine = dk_set_apply(&stored, &value->value, arena, slot); break;
    case FIELD_MAP: fine = dk_map_apply(&stored, &value->value, arena, slot); break;
    default: *slot = value->value; break;
    }
    if (!fine) {
        *slot = stored;
        return arena->failed ? DAYBOOK_NO_MEMORY : DAYBOOK_TOO_LARGE;
    }
    return DAYBOOK_OK;
}

daybook_status dk_records_replay(struct record *record, const struct change *change,
                                 struct arena *arena)
{
    for (int i = 0; i < change->value_count; i++) {
        daybook_status status = dk_records_assign(record, &change->values[i], arena);
        if (status != DAYBOOK_OK && status != DAYBOOK_TOO_LARGE) {
            return status;
        }
    }
    return DAYBOOK_OK;
}

/* ---- rows */

daybook_status dk_records_load(struct store *store, const struct entity *entity,
                               const struct id *id, struct arena *arena, struct stored *stored,
                               bool *found)
{
    daybook_status status;
    struct statement *load =
        entity_statement(store, &store->entities[entity->kind].load, write_load, entity, &status);
    *found = false;
    if (load == NULL) {
        return status;
    }
    dk_bind_id(load, 1, id);
    status = dk_step(load, found);
    if (status != DAYBOOK_OK || !*found) {
        return status;
    }
    struct record *record = &stored->record;
    bool fine = true;
    record->entity = entity;
    record->id = *id;
    stored->version = dk_column_int(load, LOAD_VERSION);
    stored->bucket = dk_column_int(load, LOAD_BUCKET);
    record->version = stored->version < 0 ? 0 : stored->version;
    for (int i = 0; i < entity->field_count; i++) {
        fine = column_value(load, LOAD_FIELDS + i, &entity->fields[i], arena, &record->values[i]) &&
               fine;
    }
    record->extra = text_value(load, LOAD_FIELDS + entity->field_count, arena);
    dk_reset(load);
    if (arena->failed) {
        return DAYBOOK_NO_MEMORY;
    }
    return fine ? DAYBOOK_OK : DAYBOOK_CORRUPT;
}

/* Binds all parameters of insert or replace. */
static void bind_put(struct statement *statement, const struct record *record, int64_t version,
                     int64_t bucket)
{
    const struct entity *entity = record->entity;
    dk_bind_id(statement, PUT_ID, &record->id);
    dk_bind_int(statement, PUT_VERSION, version);
    dk_bind_int(statement, PUT_BUCKET, bucket);
    for (int i = 0; i < entity->field_count; i++) {
        if (record->values[i].kind != VALUE_NULL) {
            bind_value(statement, PUT_FIELDS + i, &record->values[i]);
        }
    }
    bind_value(statement, PUT_FIELDS + entity->field_count, &record->extra);
}

daybook_status dk_records_insert(struct store *store, const struct record *record, int64_t version,
                                 int64_t bucket, bool *inserted)
{
    daybook_status status;
    const struct entity *entity = record->entity;
    struct statement *insert = entity_statement(store, &store->entities[entity->kind].insert,
                                                write_insert, entity, &status);
    if (insert == NULL) {
        return status;
    }
    bind_put(insert, record, version, bucket);
    status = dk_step_done(insert);
    *inserted = status == DAYBOOK_OK && dk_database_changes(&store->database) == 1;
    return status;
}

/* The hot path of a first sync: values are bound from the reply's bytes, where they lie. */
daybook_status dk_records_insert_row(struct store *store, const struct entity *entity,
                                     const struct row *row, int64_t bucket, bool *inserted)
{
    daybook_status status;
    struct statement *insert = entity_statement(store, &store->entities[entity->kind].insert,
                                                write_insert, entity, &status);
    if (insert == NULL) {
        return status;
    }
    dk_bind_id(insert, PUT_ID, &row->id);
    dk_bind_int(insert, PUT_VERSION, row->number);
    dk_bind_int(insert, PUT_BUCKET, bucket);
    for (int i = 0; i < row->value_count; i++) {
        if (row->values[i].field >= 0) {
            bind_value(insert, PUT_FIELDS + row->values[i].field, &row->values[i].value);
        }
    }
    status = dk_step_done(insert);
    *inserted = status == DAYBOOK_OK && dk_database_changes(&store->database) == 1;
    return status;
}

daybook_status dk_records_replace(struct store *store, const struct record *record, int64_t version,
                                  int64_t bucket)
{
    daybook_status status;
    const struct entity *entity = record->entity;
    struct statement *replace = entity_statement(store, &store->entities[entity->kind].replace,
                                                 write_replace, entity, &status);
    if (replace == NULL) {
        return status;
    }
    bind_put(replace, record, version, bucket);
    return dk_step_done(replace);
}

daybook_status dk_records_remove(struct store *store, const struct entity *entity,
                                 const struct id *id)
{
    daybook_status status;
    struct statement *statement = entity_statement(store, &store->entities[entity->kind].remove,
                                                   write_remove, entity, &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_id(statement, 1, id);
    return dk_step_done(statement);
}

/* ---- updates */

/* UPDATE of version and the columns, parameters in that order, then id, then what the guard
 * compares with. */
static void write_update(struct buffer *sql, const struct entity *entity, uint64_t columns,
                         enum update_guard guard)
{
    static const char *const guards[] = {
        [GUARD_NONE] = "",
        [GUARD_LOG] = " AND version BETWEEN 0 AND ? AND bucket>=0",
        [GUARD_MADE] = " AND version=?",
    };
    dk_buffer_append_text(sql, "UPDATE r_");
    dk_buffer_append_text(sql, entity->name);
    if (guard != GUARD_NONE && entity->kind == ENTITY_VISIT) {
        dk_buffer_append_text(sql,
                              " SET version=visit_moves(?,version,bucket,checkin_ts,effective)");
    } else {
        dk_buffer_append_text(sql, guard == GUARD_LOG ? " SET version=base_moves(?,version,bucket)"
                                                      : " SET version=?");
    }
    for (int i = 0; i < entity->field_count; i++) {
        if ((columns >> i & 1) != 0) {
            dk_buffer_append_char(sql, ',');
            dk_buffer_append_text(sql, entity->fields[i].name);
            dk_buffer_append_text(sql, "=?");
        }
    }
    dk_buffer_append_text(sql, (columns & COLUMN_EXTRA) != 0 ? ",extra=?" : "");
    dk_buffer_append_text(sql, (columns & COLUMN_BUCKET) != 0 ? ",bucket=?" : "");
    dk_buffer_append_text(sql, " WHERE id=?");
    dk_buffer_append_text(sql, guards[guard]);
}

/* The statement for these columns, or NULL: on failure with *status set, with *status OK where the
 * cache is full. */
static struct statement *update_statement(struct store *store, const struct entity *entity,
                                          uint64_t columns, enum update_guard guard,
                                          daybook_status *status)
{
    for (int i = 0; i < store->update_count; i++) {
        struct update_statement *update = &store->updates[i];
        if (update->columns == columns && update->kind == (int)entity->kind &&
            update->guard == guard) {
            return dk_statement(&store->database, &update->statement, NULL, status);
        }
    }
    *status = DAYBOOK_OK;
    if (store->update_count == STORE_UPDATES) {
        return NULL;
    }
    struct update_statement *update = &store->updates[store->update_count];
    struct buffer sql;
    dk_buffer_init(&sql, SQL_MAX);
    write_update(&sql, entity, columns, guard);
    *status = sql.status;
    *update = (struct update_statement){(int)entity->kind, columns, guard, NULL};
    if (sql.status == DAYBOOK_OK &&
        dk_statement(&store->database, &update->statement, dk_buffer_text(&sql), status) != NULL) {
        store->update_count++;
    }
    dk_buffer_clear(&sql);
    return update->statement;
}

/* What an update does, for the functions below. */
struct update {
    const struct record *record; /* id and the columns' values */
    uint64_t columns;
    int64_t version, bucket;
    enum update_guard guard;
    int64_t compare; /* with the version that the row has */
};

/* What base_moves and visit_moves keep of a row, where no statement calls them. */
static void keep_old(struct sums *sums, const struct stored *stored)
{
    const struct value *values = stored->record.values;
    sums->old_version = stored->version;
    sums->old_bucket = stored->bucket;
    if (stored->record.entity->kind == ENTITY_VISIT) {
        sums->old_time_ms = dk_visits_time(&stored->record);
        sums->old_counted = values[VISIT_EFFECTIVE].integer != 0;
    }
}

/* Where the cache of statements is full: the row as it stands with the columns put in, replaced
 * whole. */
static daybook_status update_whole(struct store *store, const struct update *update, bool *done)
{
    struct stored stored;
    const struct record *record = update->record;
    daybook_status status =
        dk_records_load(store, record->entity, &record->id, &store->work, &stored, done);
    if (status != DAYBOOK_OK || !*done) {
        return status;
    }
    if (update->guard == GUARD_LOG) {
        *done = stored.version >= 0 && stored.version <= update->compare && stored.bucket >= 0;
    } else if (update->guard == GUARD_MADE) {
        *done = stored.version == update->compare;
    }
    if (!*done) {
        return DAYBOOK_OK;
    }
    keep_old(&store->sums, &stored);
    for (int i = 0; i < record->entity->field_count; i++) {
        if ((update->columns >> i & 1) != 0) {
            stored.record.values[i] = record->values[i];
        }
    }
    if ((update->columns & COLUMN_EXTRA) != 0) {
        stored.record.extra = record->extra;
    }
    return dk_records_replace(store, &stored.record, update->version,
                              (update->columns & COLUMN_BUCKET) != 0 ? update->bucket
                                                                     : stored.bucket);
}

/* *done: a row was changed. */
static daybook_status run_update(struct store *store, const struct update *update, bool *done)
{
    daybook_status status;
    const struct record *record = update->record;
    struct statement *statement =
        update_statement(store, record->entity, update->columns, update->guard, &status);
    int position = 1;
    *done = false;
    if (statement == NULL) {
        return status != DAYBOOK_OK ? status : update_whole(store, update, done);
    }
    dk_bind_int(statement, position++, update->version);
    for (int i = 0; i < record->entity->field_count; i++) {
        if ((update->columns >> i & 1) != 0) {
            bind_value(statement, position++, &record->values[i]);
        }
    }
    if ((update->columns & COLUMN_EXTRA) != 0) {
        bind_value(statement, position++, &record->extra);
    }
    if ((update->columns & COLUMN_BUCKET) != 0) {
        dk_bind_int(statement, position++, update->bucket);
    }
    dk_bind_id(statement, position++, &record->id);
    if (update->guard != GUARD_NONE) {
        dk_bind_int(statement, position, update->compare);
    }
    status = dk_step_done(statement);
    *done = status == DAYBOOK_OK && dk_database_changes(&store->database) == 1;
    return status;
}

daybook_status dk_records_update(struct store *store, const struct record *record, uint64_t columns,
                                 int64_t version, int64_t bucket)
{
    bool done;
    struct update update = {record, columns, version, bucket, GUARD_NONE, 0};
    return run_update(store, &update, &done);
}

daybook_status dk_records_update_guarded(struct store *store, const struct record *record,
                                         uint64_t columns, int64_t version, int64_t upto,
                                         int64_t bucket, bool *done)
{
    struct update update = {record, columns, version, bucket, GUARD_LOG, upto};
    daybook_status status = run_update(store, &update, done);
    if (status == DAYBOOK_OK && *done) {
        int64_t old_bucket = store->sums.old_bucket;
        struct sum_key key = {record->entity->name, strlen(record->entity->name), &record->id};
        dk_sums_move(store, &key, store->sums.old_version, old_bucket, version,
                     (columns & COLUMN_BUCKET) != 0 ? bucket : old_bucket);
    }
    return status;
}

daybook_status dk_records_update_made(struct store *store, const struct record *record,
                                      uint64_t columns, int64_t version, int64_t bucket,
                                      int64_t seq, bool *done)
{
    struct update update = {record, columns, version, bucket, GUARD_MADE, dk_version_made(seq)};
    return run_update(store, &update, done);
}

/* ---- children, and how the rules see records */

daybook_status dk_records_children(struct store *store, const struct entity *entity,
                                   const struct id *parent, struct arena *arena, struct id **ids,
                                   int *count)
{
    daybook_status status;
    struct statement *statement = entity_statement(store, &store->entities[entity->kind].children,
                                                   write_children, entity, &status);
    int capacity = 0;
    bool row;
    *ids = NULL;
    *count = 0;
    if (statement == NULL) {
        return status;
    }
    dk_bind_id(statement, 1, parent);
    while ((status = dk_step(statement, &row)) == DAYBOOK_OK && row) {
        if (*count == capacity) {
            capacity = capacity == 0 ? 16 : capacity * 2;
            struct id *grown = dk_arena_new(arena, (size_t)capacity * sizeof *grown);
            if (grown == NULL) {
                dk_reset(statement);
                return DAYBOOK_NO_MEMORY;
            }
            if (*count > 0) {
                memcpy(grown, *ids, (size_t)*count * sizeof *grown);
            }
            *ids = grown;
        }
        if (!dk_column_id(statement, 0, &(*ids)[(*count)++])) {
            dk_reset(statement);
            return DAYBOOK_CORRUPT;
        }
    }
    return status;
}

/* struct sales_reader: one record of the overlay. */
static daybook_status reader_get(void *context, int entity, const struct id *id,
                                 struct arena *arena, struct record *record, bool *found)
{
    struct stored stored;
    daybook_status status = dk_records_load(context, dk_entity(entity), id, arena, &stored, found);
    if (status == DAYBOOK_OK && *found) {
        *record = stored.record;
    }
    return status;
}

/* struct sales_reader: the child rows of the overlay. */
static daybook_status reader_children(void *context, int entity, const struct id *parent,
                                      struct arena *arena, struct record **records, int *count)
{
    struct store *store = context;
    struct id *ids;
    struct stored stored;
    bool found;
    daybook_status status =
        dk_records_children(store, dk_entity(entity), parent, arena, &ids, count);
    if (status != DAYBOOK_OK) {
        return status;
    }
    *records = dk_arena_new(arena, (size_t)*count * sizeof **records);
    for (int i = 0; i < *count && status == DAYBOOK_OK && *records != NULL; i++) {
        status = dk_records_load(store, dk_entity(entity), &ids[i], arena, &stored, &found);
        (*records)[i] = stored.record;
    }
    return *records == NULL ? DAYBOOK_NO_MEMORY : status;
}

struct sales_reader dk_records_reader(struct store *store)
{
    return (struct sales_reader){store, reader_get, reader_children};
}
