/* SPDX-License-Identifier: Apache-2.0
 *
 * Puts records and tombstones into their entity's table. Called by the decider when a changeset is
 * accepted. Invariant: a column with an index is written only where its value changes.
 */
#include "sync-server/store/sqlite.h"
#include "sync-server/store/stamps.h"

#include <assert.h>

/* Parameters of one row, before its fields. */
enum {
    BIND_ORG = 1,
    BIND_ID,
    BIND_VERSION,
    BIND_BUCKET,
    BIND_DELETED,
    BIND_STAMPS,
    BIND_EXTRA,
    BIND_FIELDS
};

/* ---- SQL from the entity table ---- */

/* Appends two texts. */
static void append(struct buffer *sql, const char *a, const char *b)
{
    dk_buffer_append_text(sql, a);
    dk_buffer_append_text(sql, b);
}

/* INSERT of some rows, each with the parameters of enum bind behind those of the row before. OR
 * FAIL: a statement of several rows would otherwise keep what it overwrites, to undo it by itself.
 */
static void append_insert(struct buffer *sql, const struct entity *entity, int rows)
{
    int columns = BIND_FIELDS - 1 + entity->field_count;
    append(sql, "INSERT OR FAIL INTO s_", entity->name);
    append(sql, "(org, id, version, bucket, deleted, stamps, extra", "");
    for (int i = 0; i < entity->field_count; i++) {
        append(sql, ", ", entity->fields[i].name);
    }
    append(sql, ") VALUES", "");
    for (int i = 0; i < rows * columns; i++) {
        append(sql, i % columns > 0 ? ", ?" : i == 0 ? "(?" : "), (?", "");
        dk_buffer_append_int(sql, i + 1);
    }
    append(sql, ")", "");
}

/* UPDATE with the same parameters, without the columns that have an index: SQLite writes the entry
 * of an index anew wherever its column is set, also to the same value, which costs two pages per
 * row. */
static void append_update(struct buffer *sql, const struct entity *entity, int field)
{
    (void)field;
    append(sql, "UPDATE s_", entity->name);
    append(sql, " SET version = ?3, deleted = ?5, stamps = ?6, extra = ?7", "");
    for (int i = 0; i < entity->field_count; i++) {
        if (!srv_sqlite_is_in_index(entity, i)) {
            append(sql, ", ", entity->fields[i].name);
            append(sql, " = ?", "");
            dk_buffer_append_int(sql, BIND_FIELDS + i);
        }
    }
    append(sql, " WHERE org = ?1 AND id = ?2", "");
}

/* UPDATE of one field that has an index, where it changes. */
static void append_move(struct buffer *sql, const struct entity *entity, int field)
{
    append(sql, "UPDATE s_", entity->name);
    append(sql, " SET ", entity->fields[field].name);
    append(sql, " = ?3 WHERE org = ?1 AND id = ?2 AND ", entity->fields[field].name);
    append(sql, " IS NOT ?3", "");
}

/* UPDATE of the bucket, where it changes. */
static void append_move_bucket(struct buffer *sql, const struct entity *entity, int field)
{
    (void)field;
    append(sql, "UPDATE s_", entity->name);
    append(sql, " SET bucket = ?3 WHERE org = ?1 AND id = ?2 AND bucket <> ?3", "");
}

/* ---- records ---- */

/* Sets the fields of an existing row that have an index. */
static daybook_status move_indexed(struct sqlite_store *sqlite, int64_t org,
                                   const struct srv_record *record)
{
    const struct entity *entity = record->record.entity;
    daybook_status status = DAYBOOK_OK;
    for (int i = 0; i < entity->field_count && status == DAYBOOK_OK; i++) {
        if (!srv_sqlite_is_in_index(entity, i)) {
            continue;
        }
        struct statement *statement = srv_sqlite_entity_statement(
            sqlite, &sqlite->entities[entity->kind].move[i], append_move, entity, i, &status);
        if (statement == NULL) {
            return status;
        }
        dk_bind_int(statement, 1, org);
        dk_bind_id(statement, 2, &record->record.id);
        srv_sqlite_bind_value(statement, 3, &record->record.values[i]);
        status = srv_sqlite_run(sqlite, statement);
    }
    return status;
}

/* Sets the bucket of an existing row, unless it was read with the same. */
static daybook_status move_bucket(struct sqlite_store *sqlite, int64_t org,
                                  const struct srv_record *record)
{
    const struct entity *entity = record->record.entity;
    daybook_status status;
    if (record->stored_bucket != 0 && record->stored_bucket == record->bucket) {
        return DAYBOOK_OK;
    }
    struct statement *statement =
        srv_sqlite_entity_statement(sqlite, &sqlite->entities[entity->kind].move_bucket,
                                    append_move_bucket, entity, -1, &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_id(statement, 2, &record->record.id);
    dk_bind_int(statement, 3, record->bucket);
    return srv_sqlite_run(sqlite, statement);
}

/* Binds a whole record, by enum bind, as one of the statement's rows. The update, which has one,
 * has no parameters for columns with an index. */
static void bind_record(struct statement *statement, int row, int64_t org,
                        const struct srv_record *record, const char *stamps, size_t stamps_length,
                        bool is_update)
{
    const struct entity *entity = record->record.entity;
    int before = row * (BIND_FIELDS - 1 + entity->field_count);
    dk_bind_int(statement, before + BIND_ORG, org);
    dk_bind_id(statement, before + BIND_ID, &record->record.id);
    dk_bind_int(statement, before + BIND_VERSION, record->record.version);
    if (!is_update) {
        dk_bind_int(statement, before + BIND_BUCKET, record->bucket);
    }
    dk_bind_int(statement, before + BIND_DELETED, record->deleted ? 1 : 0);
    dk_bind_blob(statement, before + BIND_STAMPS, stamps, stamps_length);
    srv_sqlite_bind_value(statement, before + BIND_EXTRA, &record->record.extra);
    for (int i = 0; i < entity->field_count; i++) {
        const struct value *value = &record->record.values[i];
        assert(value->kind == VALUE_NULL || value->kind == srv_sqlite_kind_of(&entity->fields[i]));
        if (!is_update || !srv_sqlite_is_in_index(entity, i)) {
            srv_sqlite_bind_value(statement, before + BIND_FIELDS + i, value);
        }
    }
}

/* UPDATE gives NOT_FOUND where there is no such row. */
static daybook_status update(struct sqlite_store *sqlite, int64_t org,
                             const struct srv_record *record)
{
    const struct entity *entity = record->record.entity;
    daybook_status status;
    dk_buffer_reset(&sqlite->stamps);
    status = srv_stamps_write(&sqlite->stamps, record);
    if (status != DAYBOOK_OK) {
        return status;
    }
    struct statement *statement = srv_sqlite_entity_statement(
        sqlite, &sqlite->entities[entity->kind].update, append_update, entity, -1, &status);
    if (statement == NULL) {
        return status;
    }
    bind_record(statement, 0, org, record, sqlite->stamps.bytes, sqlite->stamps.length, true);
    status = srv_sqlite_run(sqlite, statement);
    if (status == DAYBOOK_OK && dk_database_changes(&sqlite->database) == 0) {
        status = DAYBOOK_NOT_FOUND;
    }
    status = status == DAYBOOK_OK ? move_indexed(sqlite, org, record) : status;
    return status == DAYBOOK_OK ? move_bucket(sqlite, org, record) : status;
}

/* Inserts `rows` records of one entity with one statement; EXISTS where one is there. */
static daybook_status insert(struct sqlite_store *sqlite, int64_t org,
                             const struct srv_record *const *records, int rows)
{
    const struct entity *entity = records[0]->record.entity;
    struct sqlite_entity_statements *slots = &sqlite->entities[entity->kind];
    size_t ends[SQLITE_INSERT_ROWS + 1] = {0};
    daybook_status status = DAYBOOK_OK;
    dk_buffer_reset(&sqlite->stamps);
    for (int i = 0; i < rows && status == DAYBOOK_OK; i++) {
        status = srv_stamps_write(&sqlite->stamps, records[i]);
        ends[i + 1] = sqlite->stamps.length;
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    struct statement *statement =
        srv_sqlite_entity_statement(sqlite, rows == 1 ? &slots->insert : &slots->insert_rows,
                                    append_insert, entity, rows, &status);
    if (statement == NULL) {
        return status;
    }
    for (int i = 0; i < rows; i++) {
        assert(records[i]->record.entity == entity);
        bind_record(statement, i, org, records[i], sqlite->stamps.bytes + ends[i],
                    ends[i + 1] - ends[i], false);
    }
    return srv_sqlite_run(sqlite, statement);
}

/* See store.h. */
daybook_status srv_sqlite_put(struct srv_store *store, int64_t org, const struct srv_record *record,
                              bool existed)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    return existed ? update(sqlite, org, record) : insert(sqlite, org, &record, 1);
}

/* Several rows in one statement cost two thirds: its cursors stay open, near where the next row
 * goes. */
daybook_status srv_sqlite_put_new(struct srv_store *store, int64_t org,
                                  const struct srv_record *const *records, int count)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status = DAYBOOK_OK;
    for (int done = 0, rows; done < count && status == DAYBOOK_OK; done += rows) {
        rows = count - done >= SQLITE_INSERT_ROWS ? SQLITE_INSERT_ROWS : 1;
        status = insert(sqlite, org, records + done, rows);
    }
    return status;
}
