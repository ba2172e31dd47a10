/* SPDX-License-Identifier: Apache-2.0
 *
 * Records and tombstones, one table per entity, columns from the entity table. The decider and
 * workers read them; sqlite_put.c writes them. Invariant: what is read equals what was put, for
 * every kind of value and stamp; a value of another kind than its field's is CORRUPT and never
 * passed on.
 */
#include "sync-server/store/sqlite.h"
#include "sync-server/store/stamps.h"

#include <string.h>

#define SQL_SIZE_MAX ((size_t)64 * 1024)
#define SHORT_MS ((int64_t)7 * 24 * 60 * 60 * 1000) /* srv_sqlite_visits */
/* Columns of a read record, before its fields. */
enum {
    COLUMN_ID,
    COLUMN_VERSION,
    COLUMN_BUCKET,
    COLUMN_DELETED,
    COLUMN_STAMPS,
    COLUMN_EXTRA,
    COLUMN_FIELDS
};
/* ---- SQL from the entity table ---- */

/* Appends two texts. */
static void append(struct buffer *sql, const char *a, const char *b)
{
    dk_buffer_append_text(sql, a);
    dk_buffer_append_text(sql, b);
}

/* SELECT of all columns as read_record takes them, without a condition. */
static void append_select(struct buffer *sql, const struct entity *entity)
{
    append(sql, "SELECT id, version, bucket, deleted, stamps, extra", "");
    for (int i = 0; i < entity->field_count; i++) {
        append(sql, ", ", entity->fields[i].name);
    }
    append(sql, " FROM s_", entity->name);
}

/* SELECT of one record. */
static void append_get(struct buffer *sql, const struct entity *entity, int field)
{
    (void)field;
    append_select(sql, entity);
    append(sql, " WHERE org = ?1 AND id = ?2", "");
}

/* SELECT of the records whose ID field, or number, is ?2. The index is named, because SQLite, which
 * knows nothing of the numbers of rows, takes the primary key's (org, id) for as good and would
 * read a whole organisation. */
static void append_related(struct buffer *sql, const struct entity *entity, int field)
{
    append_select(sql, entity);
    if (srv_sqlite_is_indexed(entity, field)) {
        append(sql, " INDEXED BY s_", entity->name);
        append(sql, "_by_", entity->fields[field].name);
    }
    append(sql, " WHERE org = ?1 AND ", entity->fields[field].name);
    append(sql, " = ?2 AND id > ?3 AND (deleted = 0 OR ?5) ORDER BY id LIMIT ?4", "");
}

/* SELECT of a rep's visits to a customer in a time, which may be long where many have moved at
 * once.
 */
static void append_visits(struct buffer *sql, const struct entity *entity, int field)
{
    append_select(sql, entity);
    append(sql, " INDEXED BY s_", entity->name);
    append(sql, "_by_", entity->fields[field].name);
    append(sql, " WHERE org = ?1 AND ", entity->fields[field].name);
    append(sql, " = ?2 AND deleted = 0 AND ", entity->fields[VISIT_REP_ID].name);
    append(sql, " = ?3 AND ", entity->fields[VISIT_CHECKIN_TS].name);
    append(sql, " BETWEEN ?4 AND ?5", "");
}

/* The same for a short time: of all customers few lie in it, of this one perhaps many outside. */
static void append_visits_in_short(struct buffer *sql, const struct entity *entity, int field)
{
    (void)field;
    append_select(sql, entity);
    append(sql, " INDEXED BY s_visit_by_rep WHERE org = ?1 AND customer_id = ?2 AND deleted = 0",
           " AND rep_id = ?3 AND checkin_ts BETWEEN ?4 AND ?5");
}

/* SELECT of a rep's visits from a place in their order on. */
static void append_visits_behind(struct buffer *sql, const struct entity *entity, int field)
{
    (void)field;
    append_select(sql, entity);
    append(sql, " INDEXED BY s_visit_by_rep WHERE org = ?1 AND rep_id = ?2 AND deleted = 0",
           " AND checkin_ts BETWEEN ?3 AND ?5 AND (checkin_ts, id) > (?3, ?4)"
           " ORDER BY checkin_ts, id LIMIT ?6");
}

/* The same, back. */
static void append_visits_before(struct buffer *sql, const struct entity *entity, int field)
{
    (void)field;
    append_select(sql, entity);
    append(sql, " INDEXED BY s_visit_by_rep WHERE org = ?1 AND rep_id = ?2 AND deleted = 0",
           " AND checkin_ts BETWEEN ?5 AND ?3 AND (checkin_ts, id) < (?3, ?4)"
           " ORDER BY checkin_ts DESC, id DESC LIMIT ?6");
}

/* SELECT of live records by id. */
static void append_list(struct buffer *sql, const struct entity *entity, int field)
{
    (void)field;
    append_select(sql, entity);
    append(sql, " WHERE org = ?1 AND id > ?2 AND deleted = 0 ORDER BY id LIMIT ?3", "");
}

/* SELECT of a row, if any, between two ids or, where a field is named, two numbers in it. */
static void append_any(struct buffer *sql, const struct entity *entity, int field)
{
    const char *column = field < 0 ? "id" : entity->fields[field].name;
    append(sql, "SELECT 1 FROM s_", entity->name);
    if (field >= 0) {
        append(sql, " INDEXED BY s_", entity->name);
        append(sql, "_by_", column);
    }
    append(sql, " WHERE org = ?1 AND ", column);
    append(sql, " >= ?2 AND ", column);
    append(sql, " <= ?3 LIMIT 1", "");
}

/* The bucket's records by id; the index is named for the reason given above. */
static void append_bucket(struct buffer *sql, const struct entity *entity, int field)
{
    (void)field;
    append_select(sql, entity);
    append(sql, " INDEXED BY s_", entity->name);
    append(sql, "_by_bucket WHERE org = ?1 AND bucket = ?2 AND id > ?3 AND deleted = 0 ORDER BY id",
           "");
}

/* See sqlite.h. */
struct statement *srv_sqlite_entity_statement(struct sqlite_store *sqlite, struct statement **slot,
                                              srv_sqlite_append_sql append_sql,
                                              const struct entity *entity, int number,
                                              daybook_status *status)
{
    if (*slot != NULL) {
        return srv_sqlite_statement(sqlite, slot, "", status);
    }
    struct statement *statement = NULL;
    struct buffer sql;
    dk_buffer_init(&sql, SQL_SIZE_MAX);
    append_sql(&sql, entity, number);
    *status = sql.status;
    if (*status == DAYBOOK_OK) {
        statement = srv_sqlite_statement(sqlite, slot, dk_buffer_text(&sql), status);
    }
    dk_buffer_clear(&sql);
    return statement;
}

/* ---- values ---- */

/* See sqlite.h. */
enum value_kind srv_sqlite_kind_of(const struct field *field)
{
    switch (field->type) {
    case FIELD_TEXT:
    case FIELD_CHOICE:
    case FIELD_CURRENCY:
    case FIELD_SET:
    case FIELD_MAP: return VALUE_TEXT;
    case FIELD_ID: return VALUE_ID;
    case FIELD_INT:
    case FIELD_RATE:
    case FIELD_DAY:
    case FIELD_E7:
    case FIELD_BOOL:
    case FIELD_MONEY:
    case FIELD_PRICE:
    case FIELD_QUANTITY:
    case FIELD_TIME: return VALUE_INT;
    }
    return VALUE_NULL;
}

/* See sqlite.h. */
void srv_sqlite_bind_value(struct statement *statement, int position, const struct value *value)
{
    switch (value->kind) {
    case VALUE_NULL: break;
    case VALUE_INT: dk_bind_int(statement, position, value->integer); break;
    case VALUE_TEXT:
        dk_bind_text(statement, position, value->length == 0 ? "" : value->text, value->length);
        break;
    case VALUE_ID: dk_bind_id(statement, position, &value->id); break;
    }
}

/* Reads a column that holds a value of this kind or NULL; text goes into the arena, or is borrowed
 * from the statement where that is NULL. That integers and texts are what they should be is the
 * STRICT table's promise. */
static daybook_status read_value(struct statement *statement, int column, enum value_kind kind,
                                 struct arena *arena, struct value *value)
{
    size_t length = 0;
    const char *text = NULL;
    value->kind = VALUE_NULL;
    value->length = 0;
    if (dk_column_is_null(statement, column)) {
        return DAYBOOK_OK;
    }
    switch (kind) {
    case VALUE_NULL: return DAYBOOK_CORRUPT;
    case VALUE_INT: value->integer = dk_column_int(statement, column); break;
    case VALUE_ID:
        if (!dk_column_id(statement, column, &value->id)) {
            return DAYBOOK_CORRUPT;
        }
        break;
    case VALUE_TEXT:
        text = dk_column_text(statement, column, &length);
        value->text = text == NULL || arena == NULL ? text : dk_arena_copy(arena, text, length);
        if (value->text == NULL) {
            return DAYBOOK_NO_MEMORY;
        }
        value->length = (uint32_t)length;
        break;
    }
    value->kind = kind;
    return DAYBOOK_OK;
}

/* ---- records ---- */

/* Reads the fields, and those of newer schemas. */
static daybook_status read_values(struct statement *statement, const struct entity *entity,
                                  struct arena *arena, struct record *record)
{
    daybook_status status = read_value(statement, COLUMN_EXTRA, VALUE_TEXT, arena, &record->extra);
    for (int i = 0; i < entity->field_count && status == DAYBOOK_OK; i++) {
        status = read_value(statement, COLUMN_FIELDS + i, srv_sqlite_kind_of(&entity->fields[i]),
                            arena, &record->values[i]);
    }
    return status;
}

/* Reads the row that the statement stands on. */
static daybook_status read_record(struct statement *statement, const struct entity *entity,
                                  struct arena *arena, struct srv_record *record)
{
    size_t length = 0;
    record->record.entity = entity;
    record->record.version = dk_column_int(statement, COLUMN_VERSION);
    record->bucket = dk_column_int(statement, COLUMN_BUCKET);
    record->stored_bucket = record->bucket;
    record->deleted = dk_column_int(statement, COLUMN_DELETED) != 0;
    const void *stamps = dk_column_blob(statement, COLUMN_STAMPS, &length);
    if (stamps == NULL || !dk_column_id(statement, COLUMN_ID, &record->record.id)) {
        return DAYBOOK_CORRUPT;
    }
    daybook_status status = srv_stamps_read(stamps, length, arena, record);
    return status == DAYBOOK_OK ? read_values(statement, entity, arena, &record->record) : status;
}

/* See store.h. */
daybook_status srv_sqlite_get(struct srv_store *store, int64_t org, const struct entity *entity,
                              const struct id *id, struct arena *arena, struct srv_record *record,
                              bool *found)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    bool row = false;
    daybook_status status;
    struct statement *statement = srv_sqlite_entity_statement(
        sqlite, &sqlite->entities[entity->kind].get, append_get, entity, -1, &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_id(statement, 2, id);
    status = srv_sqlite_step(sqlite, statement, &row);
    if (status == DAYBOOK_OK && row) {
        status = read_record(statement, entity, arena, record);
        *found = status == DAYBOOK_OK;
        dk_reset(statement);
    }
    return status;
}

/* See store.h. */
daybook_status srv_sqlite_any_between(struct srv_store *store, int64_t org,
                                      const struct entity *entity, int field,
                                      const struct value *first, const struct value *last,
                                      bool *any)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    struct sqlite_entity_statements *slots = &sqlite->entities[entity->kind];
    daybook_status status;
    struct statement *statement =
        srv_sqlite_entity_statement(sqlite, field < 0 ? &slots->any_id : &slots->any_number,
                                    append_any, entity, field, &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    srv_sqlite_bind_value(statement, 2, first);
    srv_sqlite_bind_value(statement, 3, last);
    status = srv_sqlite_step(sqlite, statement, any);
    dk_reset(statement);
    return status;
}

/* See store.h. */
daybook_status srv_sqlite_bucket_records(struct srv_store *store, int64_t org, int64_t bucket,
                                         const struct entity *entity, const struct id *after,
                                         srv_each_record each, void *context)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    struct record record;
    bool row = false, stop = false;
    daybook_status status;
    struct statement *statement = srv_sqlite_entity_statement(
        sqlite, &sqlite->entities[entity->kind].bucket, append_bucket, entity, -1, &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_int(statement, 2, bucket);
    dk_bind_id(statement, 3, after);
    record.entity = entity;
    status = srv_sqlite_step(sqlite, statement, &row);
    while (status == DAYBOOK_OK && row && !stop) {
        record.version = dk_column_int(statement, COLUMN_VERSION);
        status = dk_column_id(statement, COLUMN_ID, &record.id)
                     ? read_values(statement, entity, NULL, &record)
                     : DAYBOOK_CORRUPT;
        if (status == DAYBOOK_OK) {
            status = each(context, &record, &stop);
        }
        if (status == DAYBOOK_OK && !stop) {
            status = srv_sqlite_step(sqlite, statement, &row);
        }
    }
    dk_reset(statement);
    return status;
}

/* Reads all rows of a statement whose parameters are bound. */
static daybook_status read_rows(struct sqlite_store *sqlite, struct statement *statement,
                                const struct entity *entity, struct arena *arena,
                                struct srv_record **rows, int *count)
{
    struct srv_record *list = NULL;
    int used = 0;
    int capacity = 0;
    bool row = false;
    daybook_status status = srv_sqlite_step(sqlite, statement, &row);
    while (status == DAYBOOK_OK && row) {
        list = dk_arena_grow(arena, list, used, &capacity, sizeof *list);
        status =
            list == NULL ? DAYBOOK_NO_MEMORY : read_record(statement, entity, arena, &list[used]);
        if (status == DAYBOOK_OK) {
            used++;
            status = srv_sqlite_step(sqlite, statement, &row);
        }
    }
    dk_reset(statement);
    if (status == DAYBOOK_OK) {
        *rows = list;
        *count = used;
    }
    return status;
}

/* See store.h. */
daybook_status srv_sqlite_related(struct srv_store *store, int64_t org, const struct entity *entity,
                                  int field, const struct value *value, const struct id *after,
                                  int limit, bool tombstones, struct arena *arena,
                                  struct srv_record **rows, int *count)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement =
        srv_sqlite_entity_statement(sqlite, &sqlite->entities[entity->kind].related[field],
                                    append_related, entity, field, &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    srv_sqlite_bind_value(statement, 2, value);
    dk_bind_id(statement, 3, after);
    dk_bind_int(statement, 4, limit);
    dk_bind_int(statement, 5, tombstones ? 1 : 0);
    return read_rows(sqlite, statement, entity, arena, rows, count);
}

/* See store.h. */
daybook_status srv_sqlite_visits(struct srv_store *store, int64_t org, const struct id *customer,
                                 const struct id *rep, int64_t from_ms, int64_t to_ms,
                                 struct arena *arena, struct srv_record **rows, int *count)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    const struct entity *entity = dk_entity(ENTITY_VISIT);
    daybook_status status;
    struct statement *statement =
        to_ms - from_ms <= SHORT_MS
            ? srv_sqlite_entity_statement(sqlite, &sqlite->statements.visits_in_short,
                                          append_visits_in_short, entity, -1, &status)
            : srv_sqlite_entity_statement(sqlite, &sqlite->statements.visits, append_visits, entity,
                                          VISIT_CUSTOMER_ID, &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_id(statement, 2, customer);
    dk_bind_id(statement, 3, rep);
    dk_bind_int(statement, 4, from_ms);
    dk_bind_int(statement, 5, to_ms);
    return read_rows(sqlite, statement, entity, arena, rows, count);
}

/* See store.h. */
daybook_status srv_sqlite_visits_from(struct srv_store *store, int64_t org,
                                      const struct srv_visit_range *range, struct arena *arena,
                                      struct srv_record **rows, int *count)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    const struct entity *entity = dk_entity(ENTITY_VISIT);
    daybook_status status;
    struct statement *statement =
        range->before ? srv_sqlite_entity_statement(sqlite, &sqlite->statements.visits_before,
                                                    append_visits_before, entity, -1, &status)
                      : srv_sqlite_entity_statement(sqlite, &sqlite->statements.visits_behind,
                                                    append_visits_behind, entity, -1, &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_id(statement, 2, &range->rep);
    dk_bind_int(statement, 3, range->time_ms);
    dk_bind_id(statement, 4, &range->id);
    dk_bind_int(statement, 5, range->until_ms);
    dk_bind_int(statement, 6, range->limit);
    return read_rows(sqlite, statement, entity, arena, rows, count);
}

/* See store.h. */
daybook_status srv_sqlite_list(struct srv_store *store, int64_t org, const struct entity *entity,
                               const struct id *after, int limit, struct arena *arena,
                               struct srv_record **rows, int *count)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement = srv_sqlite_entity_statement(
        sqlite, &sqlite->entities[entity->kind].list, append_list, entity, -1, &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_id(statement, 2, after);
    dk_bind_int(statement, 3, limit);
    return read_rows(sqlite, statement, entity, arena, rows, count);
}
