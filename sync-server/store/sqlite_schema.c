/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the schema of the server's file: makes it in an empty one, adds what a newer entity table
 * brings, refuses files of others and of newer servers. Runs once, at open, in one transaction.
 * Invariant: the columns of s_<entity> behind `extra` are the entity's fields in the table's order;
 * stamps count on it, so new fields stand at the end of their entity.
 *
 *   meta             epoch: random number of this store; converted: the schema that all records
 *                    have been converted to
 *   lineage          epochs that ended, and the heads that this file had then
 *   org              organisations, the heads of their logs, up to where these may be cut, and how
 *                    far a backup covers them
 *   bucket           labels of buckets; lane: store-wide number, high part of log keys;
 *                    version_sum: of the live records in it
 *   user_access      what access decisions need of a user, as they are now
 *   account_state    the same since when: every state that a user was in
 *   placement        roots that a record has left, and when
 *   device           one row per enrolled device; device_no: its present instance
 *   device_instance  every instance ever leased; verdicts up to `dropped` are gone; divergences:
 *                    buckets that it found to differ from ours, and mended
 *   enrol_code       one-time codes not yet used
 *   decision         one row per changeset ever decided; position 0: rejected
 *   inherited        positions of changesets that an instance has sent again, and under which
 *                    (`former`) they were decided
 *   claim            records that a changeset which was not applied would have made or, while it
 *                    waits, touches; kind: 0 it was rejected (the last of an instance, seq 0), 1 it
 *                    waits and touches it, 2 it waits and would make it
 *   quarantine       bodies of changesets that wait for an operator; ended: their devices are to
 *                    be told how
 *   header           headers of log parts
 *   given            what changesets gave fields that are not known yet
 *   eviction         records that left a bucket, and where in the log
 *   log              lane * 2^41 + position -> what a changeset did in a bucket
 *   s_<entity>       records and tombstones; <entity>: view of live records
 *
 * The log's key is one number because a body may have any size: a table WITHOUT ROWID keeps
 * whole rows in its inner nodes too (twice the bytes and three times the time for rows of 1,500
 * bytes), and a second index costs a look-up per row read.
 */
#include "sync-server/store/sqlite.h"

#include "engine/base/text.h"
#include "engine/sales/number.h"

#include <string.h>

#define APPLICATION_ID 1145196115 /* "DBSS" */
#define LAYOUT 3                  /* of the tables below; the entity table has its own number */
#define USER_VERSION (LAYOUT * 10000 + SCHEMA_VERSION)
#define SQL_SIZE_MAX ((size_t)256 * 1024)

static const char fixed_tables[] =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE lineage(epoch INTEGER NOT NULL, org INTEGER NOT NULL, head INTEGER NOT NULL,"
    " PRIMARY KEY(epoch, org)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE org(org INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE,"
    " head INTEGER NOT NULL, floor INTEGER NOT NULL, backup_head INTEGER) STRICT;"
    "CREATE TABLE bucket(lane INTEGER PRIMARY KEY, org INTEGER NOT NULL, bucket INTEGER NOT NULL,"
    " label TEXT NOT NULL, version_sum INTEGER NOT NULL DEFAULT 0, UNIQUE(org, bucket),"
    " UNIQUE(org, label)) STRICT;"
    "CREATE TABLE user_access(user_id BLOB PRIMARY KEY, org INTEGER NOT NULL, role TEXT NOT NULL,"
    " territory BLOB, manager BLOB, disabled INTEGER NOT NULL,"
    " since_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE account_state(org INTEGER NOT NULL, user_id BLOB NOT NULL,"
    " position INTEGER NOT NULL, since_ms INTEGER NOT NULL, role TEXT NOT NULL, territory BLOB,"
    " manager BLOB, disabled INTEGER NOT NULL,"
    " PRIMARY KEY(org, user_id, position)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX account_state_by_manager ON account_state(org, manager)"
    " WHERE manager IS NOT NULL;"
    "CREATE TABLE placement(org INTEGER NOT NULL, record BLOB NOT NULL,"
    " position INTEGER NOT NULL, bucket INTEGER NOT NULL, left_ms INTEGER NOT NULL,"
    " PRIMARY KEY(org, record, position)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE device(device INTEGER PRIMARY KEY, org INTEGER NOT NULL, user_id BLOB NOT NULL,"
    " name TEXT NOT NULL, revoked INTEGER NOT NULL, enrolled_ms INTEGER NOT NULL,"
    " token_hash BLOB NOT NULL UNIQUE, device_no INTEGER NOT NULL) STRICT;"
    "CREATE INDEX device_by_user ON device(user_id);"
    "CREATE TABLE device_instance(device_no INTEGER PRIMARY KEY AUTOINCREMENT,"
    " device INTEGER NOT NULL, instance BLOB NOT NULL, decided INTEGER NOT NULL,"
    " settled INTEGER NOT NULL, dropped INTEGER NOT NULL, divergences INTEGER NOT NULL,"
    " seen_ms INTEGER NOT NULL,"
    " UNIQUE(device, instance)) STRICT;"
    "CREATE TABLE enrol_code(hash BLOB PRIMARY KEY, org INTEGER NOT NULL, user_id BLOB NOT NULL,"
    " expires_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE decision(device_no INTEGER NOT NULL, seq INTEGER NOT NULL, org INTEGER NOT NULL,"
    " changeset BLOB NOT NULL, digest BLOB NOT NULL, position INTEGER NOT NULL, verdict TEXT,"
    " PRIMARY KEY(device_no, seq), UNIQUE(org, changeset)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE inherited(device_no INTEGER NOT NULL, position INTEGER NOT NULL,"
    " former INTEGER NOT NULL, PRIMARY KEY(device_no, position)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE claim(org INTEGER NOT NULL, record BLOB NOT NULL, kind INTEGER NOT NULL,"
    " device_no INTEGER NOT NULL, seq INTEGER NOT NULL, changeset BLOB NOT NULL,"
    " PRIMARY KEY(org, record, kind, device_no, seq)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX claim_by_changeset ON claim(org, changeset);"
    "CREATE TABLE quarantine(device_no INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " org INTEGER NOT NULL, changeset BLOB NOT NULL, user_id BLOB NOT NULL, why TEXT NOT NULL,"
    " received_ms INTEGER NOT NULL, boot INTEGER NOT NULL, steady_ms INTEGER NOT NULL,"
    " ended INTEGER NOT NULL, size INTEGER NOT NULL, body TEXT NOT NULL, UNIQUE(device_no, seq),"
    " UNIQUE(org, changeset)) STRICT;"
    "CREATE INDEX quarantine_by_user ON quarantine(org, user_id, size) WHERE ended = 0;"
    "CREATE TABLE given(org INTEGER NOT NULL, entity TEXT NOT NULL, record BLOB NOT NULL,"
    " position INTEGER NOT NULL, name TEXT NOT NULL, time INTEGER NOT NULL,"
    " device_no INTEGER NOT NULL, seen INTEGER NOT NULL, makes INTEGER NOT NULL,"
    " user_id BLOB NOT NULL, roles INTEGER NOT NULL, changeset BLOB NOT NULL, value TEXT,"
    " PRIMARY KEY(org, entity, record, position, name)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE eviction(org INTEGER NOT NULL, bucket INTEGER NOT NULL,"
    " position INTEGER NOT NULL, record BLOB NOT NULL,"
    " PRIMARY KEY(org, bucket, position, record)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE header(number INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;"
    "CREATE TABLE log(key INTEGER PRIMARY KEY, device_no INTEGER NOT NULL,"
    " time_ms INTEGER NOT NULL, body BLOB NOT NULL, own BLOB) STRICT;";

/* Of these tables, what a store of an earlier layout may lack. */
static const char fixed_indexes[] =
    "CREATE INDEX IF NOT EXISTS eviction_by_record ON eviction(org, record, position);";

/* ---- entities ---- */

/* Type of a field's column. */
static const char *column_type(const struct field *field)
{
    switch (field->type) {
    case FIELD_TEXT:
    case FIELD_CHOICE:
    case FIELD_CURRENCY:
    case FIELD_SET:
    case FIELD_MAP: return "TEXT";
    case FIELD_ID: return "BLOB";
    case FIELD_INT:
    case FIELD_RATE:
    case FIELD_DAY:
    case FIELD_E7:
    case FIELD_BOOL:
    case FIELD_MONEY:
    case FIELD_PRICE:
    case FIELD_QUANTITY:
    case FIELD_TIME: return "INTEGER";
    }
    return "BLOB";
}

/* Appends up to three texts; NULL ends early. */
static void append(struct buffer *sql, const char *a, const char *b, const char *c)
{
    dk_buffer_append_text(sql, a);
    if (b != NULL) {
        dk_buffer_append_text(sql, b);
        if (c != NULL) {
            dk_buffer_append_text(sql, c);
        }
    }
}

/* Appends the UUID text of an id column, NULL for NULL, under a name. */
static void append_id_text(struct buffer *sql, const char *column, const char *name)
{
    static const struct {
        const char *start, *length;
    } parts[] = {{"1", "8"}, {"9", "4"}, {"13", "4"}, {"17", "4"}, {"21", "12"}};
    append(sql, "CASE WHEN ", column, " IS NOT NULL THEN lower(");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        append(sql, i == 0 ? "substr(hex(" : "||'-'||substr(hex(", column, "),");
        append(sql, parts[i].start, ",", parts[i].length);
        dk_buffer_append_char(sql, ')');
    }
    append(sql, ") END AS ", name, NULL);
}

/* Whether a record hangs from what the field names: it goes where that goes. */
static bool hangs_by(const struct entity *entity, int field)
{
    return field == entity->root_field || field == entity->parent_field;
}

/* What hangs from a record; numbers of documents; and what rules look for. */
bool srv_sqlite_is_indexed(const struct entity *entity, int field)
{
    static const struct {
        int entity, field;
    } others[] = {{ENTITY_USER, USER_MANAGER_ID},       {ENTITY_CUSTOMER, CUSTOMER_REDIRECT_TO},
                  {ENTITY_VISIT, VISIT_REDIRECT_TO},    {ENTITY_QUOTE, QUOTE_REVISION_OF},
                  {ENTITY_QUOTE, QUOTE_OPPORTUNITY_ID}, {ENTITY_SALES_ORDER, SALES_ORDER_QUOTE_ID}};
    bool indexed = hangs_by(entity, field) || field == dk_number_field(entity->kind);
    for (size_t i = 0; i < sizeof others / sizeof others[0] && !indexed; i++) {
        indexed = (int)entity->kind == others[i].entity && field == others[i].field;
    }
    return indexed;
}

/* See sqlite.h. Visits are also found by rep and time. */
bool srv_sqlite_is_in_index(const struct entity *entity, int field)
{
    bool by_time =
        entity->kind == ENTITY_VISIT && (field == VISIT_REP_ID || field == VISIT_CHECKIN_TS);
    return by_time || srv_sqlite_is_indexed(entity, field);
}

/* Appends the statement that makes an entity's table. */
static void append_table(struct buffer *sql, const struct entity *entity)
{
    append(sql, "CREATE TABLE s_", entity->name,
           "(org INTEGER NOT NULL, id BLOB NOT NULL, version INTEGER NOT NULL,"
           " bucket INTEGER NOT NULL, deleted INTEGER NOT NULL, stamps BLOB NOT NULL, extra TEXT");
    for (int field = 0; field < entity->field_count; field++) {
        append(sql, ", ", entity->fields[field].name, " ");
        append(sql, column_type(&entity->fields[field]), NULL, NULL);
    }
    append(sql, ", PRIMARY KEY(org, id)) STRICT, WITHOUT ROWID;", NULL, NULL);
}

/* Appends the statements that make the indexes which the entity lacks. */
static void append_indexes(struct buffer *sql, const struct entity *entity)
{
    for (int field = 0; field < entity->field_count; field++) {
        if (srv_sqlite_is_indexed(entity, field)) {
            append(sql, "CREATE INDEX IF NOT EXISTS s_", entity->name, "_by_");
            append(sql, entity->fields[field].name, " ON s_", entity->name);
            append(sql, "(org, ", entity->fields[field].name, ")");
            if (!hangs_by(entity, field)) {
                append(sql, " WHERE ", entity->fields[field].name, " IS NOT NULL");
            }
            append(sql, ";", NULL, NULL);
        }
    }
    append(sql, "CREATE INDEX IF NOT EXISTS s_", entity->name, "_by_bucket ON s_");
    append(sql, entity->name, "(org, bucket);", NULL);
    append(sql, "CREATE INDEX IF NOT EXISTS s_", entity->name, "_deleted ON s_");
    append(sql, entity->name, "(org, version) WHERE deleted = 1;", NULL);
    if (entity->kind == ENTITY_VISIT) {
        append(sql, "CREATE INDEX IF NOT EXISTS s_visit_by_rep ON s_visit",
               "(org, rep_id, checkin_ts) WHERE checkin_ts IS NOT NULL;", NULL);
    }
    if (entity->kind == ENTITY_USER) {
        append(sql, "CREATE INDEX IF NOT EXISTS s_app_user_by_login ON s_app_user(login);", NULL,
               NULL);
    }
}

/* Appends the statements that make the documented view anew: id, version, fields, keys of ids, org
 * and bucket. */
static void append_view(struct buffer *sql, const struct entity *entity)
{
    append(sql, "DROP VIEW IF EXISTS ", entity->name, ";CREATE VIEW ");
    append(sql, entity->name, " AS SELECT ", NULL);
    append_id_text(sql, "id", "id");
    append(sql, ", version", NULL, NULL);
    for (int i = 0; i < entity->field_count; i++) {
        const struct field *field = &entity->fields[i];
        append(sql, ", ", NULL, NULL);
        if (field->type == FIELD_ID) {
            append_id_text(sql, field->name, field->name);
        } else {
            append(sql, field->name, NULL, NULL);
        }
    }
    append(sql, ", id AS id_key", NULL, NULL);
    for (int i = 0; i < entity->field_count; i++) {
        const struct field *field = &entity->fields[i];
        if (field->type == FIELD_ID) {
            append(sql, ", ", field->name, " AS ");
            append(sql, field->name, "_key", NULL);
        }
    }
    append(sql, ", org, bucket FROM s_", entity->name, " WHERE deleted = 0;");
}

/* Runs the SQL of a buffer and empties it. */
static daybook_status run_buffer(struct sqlite_store *sqlite, struct buffer *sql)
{
    daybook_status status = sql->status;
    if (status == DAYBOOK_OK && sql->length > 0) {
        status = dk_database_run(&sqlite->database, dk_buffer_text(sql));
    }
    dk_buffer_reset(sql);
    return status;
}

/* Compares the columns of an entity's table with its fields: *present counts the fields that are
 * there, in order. A column that is another than the field at its place is CORRUPT. -1: no table.
 */
static daybook_status count_columns(struct sqlite_store *sqlite, struct statement **slot,
                                    const struct entity *entity, int *present)
{
    char table[LIMIT_LABEL_BYTES];
    bool row = false;
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, slot, "SELECT cid, name FROM pragma_table_info(?1) ORDER BY cid", &status);
    if (statement == NULL) {
        return status;
    }
    (void)dk_text_format(table, sizeof table, "s_%s", entity->name);
    dk_bind_text(statement, 1, table, strlen(table));
    int column = 0;
    *present = -1;
    status = srv_sqlite_step(sqlite, statement, &row);
    for (; status == DAYBOOK_OK && row; column++) {
        static const char *const fixed[] = {"org",     "id",     "version", "bucket",
                                            "deleted", "stamps", "extra"};
        int first = (int)(sizeof fixed / sizeof fixed[0]);
        int field = column - first;
        size_t length = 0;
        const char *name = dk_column_text(statement, 1, &length);
        const char *expected = field < 0                     ? fixed[column]
                               : field < entity->field_count ? entity->fields[field].name
                                                             : "";
        if (name == NULL || !dk_text_equal(name, length, expected)) {
            dk_reset(statement);
            return DAYBOOK_CORRUPT;
        }
        *present = field < 0 ? 0 : field + 1;
        status = srv_sqlite_step(sqlite, statement, &row);
    }
    return status;
}

/* Makes the entity's table, or adds the columns that it lacks and fills them from what was kept for
 * them; *changed where it did. */
static daybook_status bring_up(struct sqlite_store *sqlite, struct statement **slot,
                               const struct entity *entity, struct buffer *sql, bool *changed)
{
    int present = 0;
    daybook_status status = count_columns(sqlite, slot, entity, &present);
    if (status != DAYBOOK_OK || present == entity->field_count) {
        return status;
    }
    *changed = true;
    if (present < 0) {
        append_table(sql, entity);
    }
    for (int field = present; present >= 0 && field < entity->field_count; field++) {
        append(sql, "ALTER TABLE s_", entity->name, " ADD COLUMN ");
        append(sql, entity->fields[field].name, " ", column_type(&entity->fields[field]));
        append(sql, ";", NULL, NULL);
    }
    status = run_buffer(sqlite, sql);
    return status == DAYBOOK_OK && present >= 0 ? srv_sqlite_adopt(sqlite, entity) : status;
}

/* Tables, indexes and views of all entities. Views are made anew, and indexes completed, when any
 * table or the number changed. */
static daybook_status bring_up_entities(struct sqlite_store *sqlite, bool changed,
                                        const char **which)
{
    struct buffer sql;
    struct statement *columns = NULL;
    daybook_status status = DAYBOOK_OK;
    dk_buffer_init(&sql, SQL_SIZE_MAX);
    for (int kind = 0; kind < ENTITY_COUNT && status == DAYBOOK_OK; kind++) {
        *which = dk_entity(kind)->name;
        status = bring_up(sqlite, &columns, dk_entity(kind), &sql, &changed);
    }
    for (int kind = 0; kind < ENTITY_COUNT && status == DAYBOOK_OK && changed; kind++) {
        *which = dk_entity(kind)->name;
        append_indexes(&sql, dk_entity(kind));
        append_view(&sql, dk_entity(kind));
        status = run_buffer(sqlite, &sql);
    }
    dk_buffer_clear(&sql);
    return status;
}

/* ---- the file ---- */

/* One number of a query without parameters. No row: 0. */
static daybook_status read_number(struct sqlite_store *sqlite, const char *sql, int64_t *number)
{
    struct statement *slot = NULL;
    daybook_status status;
    bool row = false;
    struct statement *statement = srv_sqlite_statement(sqlite, &slot, sql, &status);
    *number = 0;
    if (statement == NULL) {
        return status;
    }
    status = srv_sqlite_step(sqlite, statement, &row);
    if (status == DAYBOOK_OK && row) {
        *number = dk_column_int(statement, 0);
        dk_reset(statement);
    }
    return status;
}

/* See sqlite.h. */
daybook_status srv_sqlite_check_file(struct sqlite_store *sqlite, int64_t *version, char *problem,
                                     size_t problem_size)
{
    int64_t application = 0;
    int64_t tables = 0;
    daybook_status status =
        read_number(sqlite, "SELECT application_id FROM pragma_application_id", &application);
    if (status == DAYBOOK_OK) {
        status = read_number(sqlite, "SELECT user_version FROM pragma_user_version", version);
    }
    if (status == DAYBOOK_OK) {
        status = read_number(sqlite, "SELECT count(*) FROM sqlite_schema", &tables);
    }
    if (status != DAYBOOK_OK) {
        (void)dk_text_format(problem, problem_size, "server.db: %s", sqlite->database.problem);
        return status;
    }
    if (application == 0 && *version == 0 && tables == 0) {
        return DAYBOOK_OK;
    }
    if (application != APPLICATION_ID) {
        (void)dk_text_format(problem, problem_size, "server.db is a database of something else");
        return DAYBOOK_NOT_A_STORE;
    }
    if (*version > USER_VERSION) {
        (void)dk_text_format(problem, problem_size,
                             "server.db has schema %d; this server knows up to %d", (int)*version,
                             USER_VERSION);
        return DAYBOOK_NEWER_STORE;
    }
    return DAYBOOK_OK;
}

/* The fixed tables and the epoch. */
static daybook_status create(struct sqlite_store *sqlite)
{
    char sql[200];
    daybook_status status = dk_database_run(&sqlite->database, fixed_tables);
    if (status != DAYBOOK_OK) {
        return status;
    }
    (void)dk_text_format(sql, sizeof sql,
                         "INSERT INTO meta(name, value) VALUES('epoch', %lld), ('converted', %d);"
                         "PRAGMA application_id = %d",
                         (long long)srv_sqlite_make_epoch(), SCHEMA_VERSION, APPLICATION_ID);
    return dk_database_run(&sqlite->database, sql);
}

/* The writer's part, in one transaction. `version` is 0 in an empty file. */
static daybook_status write_schema(struct sqlite_store *sqlite, int64_t version, char *problem,
                                   size_t problem_size)
{
    char sql[64];
    const char *which = "";
    daybook_status status = dk_database_begin(&sqlite->database);
    if (status == DAYBOOK_OK && version == 0) {
        status = create(sqlite);
    }
    if (status == DAYBOOK_OK && version != USER_VERSION) {
        status = dk_database_run(&sqlite->database, fixed_indexes);
    }
    if (status == DAYBOOK_OK) {
        status = bring_up_entities(sqlite, version != USER_VERSION, &which);
    }
    if (status == DAYBOOK_OK && version != USER_VERSION) {
        (void)dk_text_format(sql, sizeof sql, "PRAGMA user_version = %d", USER_VERSION);
        status = dk_database_run(&sqlite->database, sql);
    }
    if (status == DAYBOOK_OK) {
        status = dk_database_commit(&sqlite->database);
    }
    if (status == DAYBOOK_CORRUPT) {
        (void)dk_text_format(problem, problem_size,
                             "server.db: the columns of %s are not its fields in their order",
                             which);
    } else if (status != DAYBOOK_OK) {
        (void)dk_text_format(problem, problem_size, "server.db: %s: %s", which,
                             sqlite->database.problem);
    }
    dk_database_rollback(&sqlite->database);
    return status;
}

/* See sqlite.h. A reader takes the file as its writer has left it, which is of the same version. */
daybook_status srv_sqlite_schema(struct sqlite_store *sqlite, bool writer, char *problem,
                                 size_t problem_size)
{
    int64_t version = 0;
    int64_t epoch = 0;
    daybook_status status = srv_sqlite_check_file(sqlite, &version, problem, problem_size);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (writer) {
        status = write_schema(sqlite, version, problem, problem_size);
    } else if (version != USER_VERSION) {
        (void)dk_text_format(problem, problem_size,
                             "server.db has not been opened by a writer yet");
        status = DAYBOOK_NOT_A_STORE;
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    status = read_number(sqlite, "SELECT value FROM meta WHERE name = 'epoch'", &epoch);
    if (status == DAYBOOK_OK && epoch <= 0) {
        status = DAYBOOK_CORRUPT;
    }
    if (status != DAYBOOK_OK) {
        (void)dk_text_format(problem, problem_size, "server.db: its epoch cannot be read");
    }
    sqlite->epoch = (uint64_t)epoch;
    return status;
}
