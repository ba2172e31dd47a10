/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the shape of the store's file: makes it, checks it at open, and brings an older one up.
 * Called by store.c only. The tables:
 *
 * - r_<entity>: a record as the user sees it, base plus pending changes. version is the base's
 * where nothing is pending; below 0 it says what is, see dk_version_made and dk_version_pending.
 * bucket below 0: stale, of bucket ~bucket; 0: not known yet. extra: fields of newer schemas.
 * - outbox: one row per changeset, in the order of seq. body goes up as it stands. made: 17 bytes
 *   per record that it makes, entity number (1) and id (16); others: number of its other changes.
 * - pending: records that unsettled changesets touch, but for those whose version says all. base:
 *   JSON of the base values of the fields in `touched`; of all fields where there is no row.
 * - scope: the buckets held, with their version sums; see sums.c, diverged.c.
 * - hidden: the slots in pending of records that have no row.
 * - raw_record: rows of entities that this schema does not know, as JSON objects.
 * - meta: one row, who this store is and where it stands. entity_number: short stable numbers.
 * - past_epoch: epochs that ended, each with the last position that the present log shares with it.
 * - scope: the buckets held, and how far the snapshot of each has come, see loading.c.
 * - fetched_record: documents that were fetched one by one, with their child rows; no base, no
 * overlay.
 * - doc_number: how many document numbers were given out, or are reserved.
 * - inbox_item: rejected changesets (root: the item whose chain it is in), and what the server's
 *   records tell (subject: the conflict entry or hold). inbox_told: these subjects, and changesets,
 * of which something was told, so that what comes again is not told again.
 * - former_device: the device numbers that this store had before its present one.
 *
 * Views (the documented ones): one per entity, sync_state, inbox, buckets. They use nothing but
 * SQLite's built-in functions, so that the sqlite3 shell reads them. PRAGMA application_id says
 * that the file is a store, user_version which layout and schema it has.
 */
#include "engine/store/inside.h"

#include "engine/base/text.h"

#include <string.h>

#define APPLICATION_ID 1145195083 /* "DBKK" */
#define LAYOUT 4                  /* of tables and indexes, but for the records' columns */
#define SCHEMAS_PER_LAYOUT 100000 /* user_version = LAYOUT * this + SCHEMA_VERSION */
#define SQL_MAX (512 * 1024)
#define ENTITY_NUMBER_MAX 255 /* one byte in outbox.made */

static const char tables_sql[] =
    "CREATE TABLE meta(one INTEGER PRIMARY KEY CHECK(one=1), instance BLOB NOT NULL,"
    " device_no INTEGER NOT NULL, token TEXT NOT NULL, organisation BLOB, user_id BLOB, territory "
    "BLOB,"
    " role TEXT NOT NULL, epoch INTEGER NOT NULL, stale_epoch INTEGER NOT NULL, stale INTEGER NOT "
    "NULL,"
    " position INTEGER NOT NULL, head INTEGER NOT NULL, safe_position INTEGER NOT NULL,"
    " next_seq INTEGER NOT NULL, settled INTEGER NOT NULL, sent_seq INTEGER NOT NULL,"
    " stamp INTEGER NOT NULL, stamp_seq INTEGER NOT NULL, offset_ms INTEGER NOT NULL,"
    " synced_ms INTEGER NOT NULL, verified_ms INTEGER NOT NULL);"
    "CREATE TABLE scope(bucket INTEGER PRIMARY KEY, label TEXT NOT NULL, loading INTEGER NOT NULL,"
    " after_entity TEXT, after_id BLOB, until INTEGER NOT NULL, sum INTEGER NOT NULL DEFAULT 0,"
    " repaired_ms INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE past_epoch(epoch INTEGER PRIMARY KEY, shared INTEGER NOT NULL);"
    "CREATE TABLE entity_number(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE outbox(seq INTEGER PRIMARY KEY, id BLOB NOT NULL, verdict INTEGER NOT NULL,"
    " position INTEGER NOT NULL, made_ms INTEGER NOT NULL, stamp INTEGER NOT NULL,"
    " others INTEGER NOT NULL, size INTEGER NOT NULL, made BLOB, body TEXT NOT NULL);"
    "CREATE TABLE pending(slot INTEGER PRIMARY KEY, entity INTEGER NOT NULL, id BLOB NOT NULL,"
    " seq_first INTEGER NOT NULL,"
    " seq_last INTEGER NOT NULL, seen INTEGER NOT NULL, base_state INTEGER NOT NULL,"
    " base_version INTEGER NOT NULL, bucket INTEGER NOT NULL, touched INTEGER NOT NULL, base TEXT);"
    "CREATE TABLE hidden(entity INTEGER NOT NULL, id BLOB NOT NULL, slot INTEGER NOT NULL,"
    " PRIMARY KEY(entity, id)) WITHOUT ROWID;"
    "CREATE TABLE raw_record(entity TEXT NOT NULL, id BLOB NOT NULL, version INTEGER NOT NULL,"
    " bucket INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY(entity, id)) WITHOUT ROWID;"
    "CREATE TABLE fetched_record(document BLOB NOT NULL, entity TEXT NOT NULL, id BLOB NOT NULL,"
    " root BLOB, version INTEGER NOT NULL, fetched_ms INTEGER NOT NULL, body TEXT NOT NULL,"
    " PRIMARY KEY(document, entity, id)) WITHOUT ROWID;"
    "CREATE TABLE former_device(device_no INTEGER PRIMARY KEY);"
    "CREATE TABLE doc_number(device_no INTEGER NOT NULL, entity INTEGER NOT NULL,"
    " last INTEGER NOT NULL, PRIMARY KEY(device_no, entity)) WITHOUT ROWID;"
    "CREATE TABLE inbox_item(item INTEGER PRIMARY KEY AUTOINCREMENT, root INTEGER, kind TEXT NOT "
    "NULL,"
    " code TEXT NOT NULL, entity TEXT, record_id TEXT, field TEXT, rule TEXT, mine TEXT, theirs "
    "TEXT,"
    " changeset BLOB, cause BLOB, created_ms INTEGER NOT NULL, body TEXT, subject BLOB UNIQUE,"
    " rest TEXT);"
    "CREATE TABLE inbox_told(subject BLOB NOT NULL, kind TEXT NOT NULL,"
    " PRIMARY KEY(subject, kind)) WITHOUT ROWID;"
    "CREATE INDEX inbox_root ON inbox_item(root) WHERE root IS NOT NULL;"
    "CREATE INDEX inbox_changeset ON inbox_item(changeset);";

/* ---- facts */

/* Whether the entity, its document or one of its lines has DERIVED fields; or is a visit, of which
 * this device reckons whether it counts. */
static bool family_derives(const struct store *store, const struct entity *entity)
{
    const struct entity *child;
    if (entity->kind == ENTITY_VISIT || entity->kind == ENTITY_VISIT_ACTION) {
        return true;
    }
    if (store->facts[entity->kind].derived != 0) {
        return true;
    }
    if (entity->parent_field >= 0 &&
        store->facts[entity->fields[entity->parent_field].target].derived != 0) {
        return true;
    }
    for (int n = 0; (child = dk_entity_child((int)entity->kind, n)) != NULL; n++) {
        if (store->facts[child->kind].derived != 0) {
            return true;
        }
    }
    return false;
}

/* Masks first, since families look at each other. */
void dk_schema_facts(struct store *store)
{
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        const struct entity *entity = dk_entity(kind);
        struct entity_facts *facts = &store->facts[kind];
        for (int i = 0; i < entity->field_count; i++) {
            const struct field *field = &entity->fields[i];
            uint64_t bit = (uint64_t)1 << i;
            facts->server |= field->policy == POLICY_SERVER ? bit : 0;
            facts->derived |= field->policy == POLICY_DERIVED ? bit : 0;
            facts->gathered |= field->type == FIELD_SET || field->type == FIELD_MAP ? bit : 0;
        }
        facts->is_document = dk_entity_child(kind, 0) != NULL;
    }
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        const struct entity *entity = dk_entity(kind);
        struct entity_facts *facts = &store->facts[kind];
        facts->derives = family_derives(store, entity);
        facts->derives_alone =
            facts->derived != 0 && !facts->is_document && entity->parent_field < 0;
    }
}

int dk_schema_kind(const struct store *store, int64_t number)
{
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        if (store->facts[kind].number == number) {
            return kind;
        }
    }
    return -1;
}

/* ---- SQL of entities */

/* The column type of a field. */
static const char *sql_type(enum field_type type)
{
    switch (type) {
    case FIELD_ID: return "BLOB";
    case FIELD_TEXT:
    case FIELD_CHOICE:
    case FIELD_CURRENCY:
    case FIELD_SET:
    case FIELD_MAP: return "TEXT";
    default: return "INTEGER";
    }
}

/* The entity's table and the index over the field that names its root; of visits, that over
 * the time of check-in: what a rep's visits are judged by lies near. Without the rep in it a row
 * that the server completes leaves it alone. */
static void write_table(struct buffer *sql, const struct entity *entity)
{
    dk_buffer_append_text(sql, "CREATE TABLE IF NOT EXISTS r_");
    dk_buffer_append_text(sql, entity->name);
    dk_buffer_append_text(
        sql, "(id BLOB PRIMARY KEY NOT NULL, version INTEGER NOT NULL, bucket INTEGER NOT NULL");
    for (int i = 0; i < entity->field_count; i++) {
        dk_buffer_append_char(sql, ',');
        dk_buffer_append_text(sql, entity->fields[i].name);
        dk_buffer_append_char(sql, ' ');
        dk_buffer_append_text(sql, sql_type(entity->fields[i].type));
    }
    dk_buffer_append_text(sql, ", extra TEXT) WITHOUT ROWID;");
    if (entity->root_field >= 0) {
        const char *field = entity->fields[entity->root_field].name;
        dk_buffer_append_text(sql, "CREATE INDEX IF NOT EXISTS r_");
        dk_buffer_append_text(sql, entity->name);
        dk_buffer_append_text(sql, "_by_");
        dk_buffer_append_text(sql, field);
        dk_buffer_append_text(sql, " ON r_");
        dk_buffer_append_text(sql, entity->name);
        dk_buffer_append_char(sql, '(');
        dk_buffer_append_text(sql, field);
        dk_buffer_append_text(sql, ");");
    }
    if (entity->kind == ENTITY_VISIT) {
        dk_buffer_append_text(sql, "DROP INDEX IF EXISTS r_visit_by_rep;"
                                   "CREATE INDEX IF NOT EXISTS r_visit_by_time"
                                   " ON r_visit(checkin_ts) WHERE checkin_ts IS NOT NULL;");
    }
}

/* A 16-byte column as UUID text; hex(NULL) is '', which the CASE keeps NULL. */
static void write_uuid(struct buffer *sql, const char *column)
{
    static const struct {
        const char *from, *length;
    } parts[] = {{"1", "8"}, {"9", "4"}, {"13", "4"}, {"17", "4"}, {"21", "12"}};
    dk_buffer_append_text(sql, "CASE WHEN ");
    dk_buffer_append_text(sql, column);
    dk_buffer_append_text(sql, " IS NOT NULL THEN lower(");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        dk_buffer_append_text(sql, i == 0 ? "substr(hex(" : "||'-'||substr(hex(");
        dk_buffer_append_text(sql, column);
        dk_buffer_append_text(sql, "),");
        dk_buffer_append_text(sql, parts[i].from);
        dk_buffer_append_char(sql, ',');
        dk_buffer_append_text(sql, parts[i].length);
        dk_buffer_append_char(sql, ')');
    }
    dk_buffer_append_text(sql, ") END");
}

/* id, version, all fields in the table's order, then the keys of all id columns. */
static void write_view(struct buffer *sql, const struct entity *entity)
{
    dk_buffer_append_text(sql, "CREATE VIEW ");
    dk_buffer_append_text(sql, entity->name);
    dk_buffer_append_text(sql, " AS SELECT ");
    write_uuid(sql, "id");
    dk_buffer_append_text(sql, " AS id, CASE WHEN version>=0 THEN version WHEN version%2<>0"
                               " THEN 0 ELSE (SELECT seen FROM pending WHERE slot=-version/2) END"
                               " AS version");
    for (int i = 0; i < entity->field_count; i++) {
        const struct field *field = &entity->fields[i];
        dk_buffer_append_text(sql, ", ");
        if (field->type == FIELD_ID) {
            write_uuid(sql, field->name);
            dk_buffer_append_text(sql, " AS ");
        }
        dk_buffer_append_text(sql, field->name);
    }
    dk_buffer_append_text(sql, ", id AS id_key");
    for (int i = 0; i < entity->field_count; i++) {
        if (entity->fields[i].type == FIELD_ID) {
            dk_buffer_append_text(sql, ", ");
            dk_buffer_append_text(sql, entity->fields[i].name);
            dk_buffer_append_text(sql, " AS ");
            dk_buffer_append_text(sql, entity->fields[i].name);
            dk_buffer_append_text(sql, "_key");
        }
    }
    dk_buffer_append_text(sql, " FROM r_");
    dk_buffer_append_text(sql, entity->name);
    dk_buffer_append_char(sql, ';');
}

/* The state of every record that is not settled: those in pending by their last changeset, and
 * those that changesets have made, out of outbox.made, 17 bytes each; of both the later counts. The
 * blob is cut into chunks first, so that a long one is not copied once per record. Records that are
 * settled and on which a hold stands follow. */
static void write_sync_state(struct buffer *sql)
{
    dk_buffer_append_text(
        sql,
        "CREATE VIEW sync_state AS WITH RECURSIVE"
        " chunk(seq,verdict,part,rest) AS (SELECT seq,verdict,substr(made,1,1700),substr(made,1701)"
        " FROM outbox WHERE made IS NOT NULL AND verdict<9 UNION ALL"
        " SELECT seq,verdict,substr(rest,1,1700),substr(rest,1701) FROM chunk WHERE "
        "length(rest)>0),"
        " made(seq,verdict,number,id_key,rest) AS (SELECT seq,verdict,hex(substr(part,1,1)),"
        "substr(part,2,16),substr(part,18) FROM chunk UNION ALL SELECT seq,verdict,"
        "hex(substr(rest,1,1)),substr(rest,2,16),substr(rest,18) FROM made WHERE length(rest)>0),"
        " touched(number,id_key,seq,verdict) AS (SELECT p.entity,p.id,p.seq_last,o.verdict"
        " FROM pending p JOIN outbox o ON o.seq=p.seq_last"
        " UNION ALL SELECT n.number,m.id_key,m.seq,m.verdict FROM made m"
        " JOIN entity_number n ON m.number=printf('%02X',n.number)),"
        " open(number,id_key,seq,verdict) AS (SELECT number,id_key,max(seq),verdict FROM touched"
        " GROUP BY number,id_key)"
        " SELECT n.name AS entity, ");
    write_uuid(sql, "id_key");
    dk_buffer_append_text(
        sql, " AS id, id_key, CASE WHEN verdict=3 THEN 'quarantined' WHEN verdict>0 THEN 'accepted'"
             " WHEN seq<=(SELECT sent_seq FROM meta) THEN 'sending' ELSE 'local' END AS state, seq"
             " FROM open JOIN entity_number n ON n.number=open.number"
             " UNION ALL SELECT h.entity_name, ");
    write_uuid(sql, "h.record_id");
    dk_buffer_append_text(sql,
                          ", h.record_id, 'held', NULL FROM (SELECT DISTINCT entity_name, record_id"
                          " FROM r_hold WHERE coalesce(cleared,0)=0) h WHERE NOT EXISTS"
                          " (SELECT 1 FROM open JOIN entity_number n ON n.number=open.number"
                          " WHERE open.id_key=h.record_id AND n.name=h.entity_name);");
}

/* All documented views. */
static void write_views(struct buffer *sql)
{
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        write_view(sql, dk_entity(kind));
    }
    write_sync_state(sql);
    dk_buffer_append_text(sql, "CREATE VIEW inbox AS SELECT item, kind, code, entity, record_id, "
                               "field, rule, mine, rest, theirs, ");
    write_uuid(sql, "changeset");
    dk_buffer_append_text(sql, " AS changeset, ");
    write_uuid(sql, "cause");
    dk_buffer_append_text(
        sql, " AS cause, created_ms,"
             " (SELECT count(*) FROM inbox_item c WHERE c.root=i.item) AS chain, body, ");
    write_uuid(sql, "subject");
    dk_buffer_append_text(sql, " AS subject"
                               " FROM inbox_item i WHERE root IS NULL;"
                               "CREATE VIEW buckets AS SELECT bucket, label, loading<>0 AS loading"
                               " FROM scope;"
                               "CREATE VIEW fetched AS SELECT entity, ");
    write_uuid(sql, "id");
    dk_buffer_append_text(sql, " AS id, id AS id_key, ");
    write_uuid(sql, "document");
    dk_buffer_append_text(sql, " AS document, version, fetched_ms, body FROM fetched_record;");
}

/* ---- making and upgrading */

/* Reads the numbers of the entities in this file; *missing tells whether one has none yet. */
static daybook_status read_numbers(struct store *store, bool *missing)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(store->database.handle, "SELECT number,name FROM entity_number",
                                    -1, &statement, NULL);
    while (result == SQLITE_OK || result == SQLITE_ROW) {
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW) {
            const char *name = (const char *)sqlite3_column_text(statement, 1);
            const struct entity *entity =
                name == NULL ? NULL : dk_entity_by_name(name, strlen(name));
            if (entity != NULL) {
                store->facts[entity->kind].number = sqlite3_column_int(statement, 0);
            }
        }
    }
    (void)sqlite3_finalize(statement);
    *missing = false;
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        int number = store->facts[kind].number;
        *missing = *missing || number == 0;
        if (number < 0 || number > ENTITY_NUMBER_MAX) {
            return DAYBOOK_CORRUPT;
        }
    }
    return dk_database_status(&store->database, result);
}

/* Gives numbers to the entities that have none. */
static daybook_status number_entities(struct store *store)
{
    bool missing;
    daybook_status status = read_numbers(store, &missing);
    for (int kind = 0; kind < ENTITY_COUNT && status == DAYBOOK_OK; kind++) {
        char sql[256];
        if (store->facts[kind].number == 0) {
            (void)dk_text_format(sql, sizeof sql, "INSERT INTO entity_number(name) VALUES('%s')",
                                 dk_entity(kind)->name);
            status = dk_database_run(&store->database, sql);
        }
    }
    if (status == DAYBOOK_OK && missing) {
        status = read_numbers(store, &missing);
    }
    return status;
}

/* Removes all views, so that those of the present schema can be made. */
static daybook_status drop_views(struct store *store)
{
    struct buffer sql;
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(store->database.handle,
                                    "SELECT name FROM sqlite_schema WHERE type='view'", -1,
                                    &statement, NULL);
    dk_buffer_init(&sql, SQL_MAX);
    while (result == SQLITE_OK || result == SQLITE_ROW) {
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW) {
            const unsigned char *name = sqlite3_column_text(statement, 0);
            dk_buffer_append_text(&sql, "DROP VIEW \"");
            dk_buffer_append_text(&sql, name == NULL ? "" : (const char *)name);
            dk_buffer_append_text(&sql, "\";");
        }
    }
    daybook_status status = dk_database_status(&store->database, result);
    (void)sqlite3_finalize(statement);
    if (status == DAYBOOK_OK) {
        status = sql.status == DAYBOOK_OK ? dk_database_run(&store->database, dk_buffer_text(&sql))
                                          : sql.status;
    }
    dk_buffer_clear(&sql);
    return status;
}

/* The table lacks it. */
static daybook_status add_column(struct store *store, const char *table, const char *column,
                                 const char *type)
{
    char sql[512];
    (void)dk_text_format(sql, sizeof sql, "ALTER TABLE %s ADD COLUMN %s %s", table, column, type);
    return dk_database_run(&store->database, sql);
}

/* Sets a bit for each of the entity's fields that the table has a column for. */
static daybook_status read_columns(struct store *store, const struct entity *entity,
                                   const char *table, uint64_t *there)
{
    char sql[512];
    sqlite3_stmt *statement = NULL;
    (void)dk_text_format(sql, sizeof sql, "SELECT name FROM pragma_table_info('%s')", table);
    int result = sqlite3_prepare_v2(store->database.handle, sql, -1, &statement, NULL);
    *there = 0;
    while (result == SQLITE_OK || result == SQLITE_ROW) {
        result = sqlite3_step(statement);
        const char *name =
            result == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
        int field = name == NULL ? -1 : dk_entity_field(entity, name, strlen(name), 0);
        *there |= field < 0 ? 0 : UINT64_C(1) << field;
    }
    daybook_status status = dk_database_status(&store->database, result);
    (void)sqlite3_finalize(statement);
    return status;
}

/* Adds the columns that the table of an older schema lacks. */
static daybook_status add_columns(struct store *store, const struct entity *entity)
{
    char table[sizeof "r_" + LIMIT_LABEL_BYTES];
    uint64_t there;
    (void)dk_text_format(table, sizeof table, "r_%s", entity->name);
    daybook_status status = read_columns(store, entity, table, &there);
    for (int i = 0; i < entity->field_count && status == DAYBOOK_OK; i++) {
        const struct field *field = &entity->fields[i];
        if ((there >> i & 1) == 0) {
            status = add_column(store, table, field->name, sql_type(field->type));
        }
    }
    return status;
}

/* Tables and views of the present schema, beside what is there. */
static daybook_status make_entities(struct store *store)
{
    struct buffer sql;
    dk_buffer_init(&sql, SQL_MAX);
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        write_table(&sql, dk_entity(kind));
    }
    daybook_status status = sql.status;
    if (status == DAYBOOK_OK) {
        status = dk_database_run(&store->database, dk_buffer_text(&sql));
    }
    for (int kind = 0; kind < ENTITY_COUNT && status == DAYBOOK_OK; kind++) {
        status = add_columns(store, dk_entity(kind));
    }
    int64_t rest = 0;
    if (status == DAYBOOK_OK) {
        status = dk_database_number(
            &store->database,
            "SELECT count(*) FROM pragma_table_info('inbox_item') WHERE name='rest'", &rest);
    }
    if (status == DAYBOOK_OK && rest == 0) {
        status = add_column(store, "inbox_item", "rest", "TEXT");
    }
    if (status == DAYBOOK_OK) {
        status = drop_views(store);
    }
    dk_buffer_reset(&sql);
    write_views(&sql);
    if (status == DAYBOOK_OK) {
        status = sql.status == DAYBOOK_OK ? dk_database_run(&store->database, dk_buffer_text(&sql))
                                          : sql.status;
    }
    dk_buffer_clear(&sql);
    return status;
}

/* Marks the file as a store of this layout and schema. */
static daybook_status set_version(struct store *store)
{
    char sql[128];
    (void)dk_text_format(sql, sizeof sql, "PRAGMA application_id=%d; PRAGMA user_version=%d",
                         APPLICATION_ID, LAYOUT * SCHEMAS_PER_LAYOUT + SCHEMA_VERSION);
    return dk_database_run(&store->database, sql);
}

/* The first row of meta, with an instance number of its own. */
static daybook_status make_meta(struct store *store)
{
    char instance[2 * ID_SIZE + 1];
    char sql[256];
    struct id id;
    daybook_status status = dk_store_random_id(store, &id);
    if (status != DAYBOOK_OK) {
        return status;
    }
    dk_text_to_hex(id.bytes, ID_SIZE, instance);
    (void)dk_text_format(
        sql, sizeof sql,
        "INSERT INTO meta VALUES(1,x'%s',0,'',NULL,NULL,NULL,'',0,0,0,0,0,0,1,0,0,0,1,0,0,0)",
        instance);
    return dk_database_run(&store->database, sql);
}

/* Makes everything, or upgrades it from an older schema, in one transaction. */
static daybook_status bring_up(struct store *store, bool fresh, int64_t schema)
{
    daybook_status status = dk_database_begin(&store->database);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (fresh) {
        status = dk_database_run(&store->database, tables_sql);
        if (status == DAYBOOK_OK) {
            status = make_meta(store);
        }
    }
    if (status == DAYBOOK_OK) {
        status = make_entities(store);
    }
    if (status == DAYBOOK_OK) {
        status = number_entities(store);
    }
    if (status == DAYBOOK_OK && !fresh) {
        status = dk_upgrade_run(store, schema);
    }
    if (status == DAYBOOK_OK) {
        status = set_version(store);
    }
    if (status == DAYBOOK_OK) {
        return dk_database_commit(&store->database);
    }
    dk_database_rollback(&store->database);
    return status;
}

/* A database with tables that does not carry our mark. */
bool dk_schema_is_foreign(int64_t application, int64_t tables)
{
    return application != APPLICATION_ID && (application != 0 || tables > 0);
}

daybook_status dk_schema_open(struct store *store, char *problem, size_t problem_size)
{
    int64_t application = 0, version = 0, tables = 0;
    daybook_status status =
        dk_database_number(&store->database, "PRAGMA application_id", &application);
    if (status == DAYBOOK_OK) {
        status = dk_database_number(&store->database, "PRAGMA user_version", &version);
    }
    if (status == DAYBOOK_OK) {
        status =
            dk_database_number(&store->database, "SELECT count(*) FROM sqlite_schema", &tables);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    bool fresh = application == 0 && tables == 0;
    if (dk_schema_is_foreign(application, tables)) {
        (void)dk_text_format(problem, problem_size,
                             "the file is a database, but not a Daybook store");
        return DAYBOOK_NOT_A_STORE;
    }
    if (version > LAYOUT * SCHEMAS_PER_LAYOUT + SCHEMA_VERSION) {
        (void)dk_text_format(problem, problem_size,
                             "the store has version %lld, this engine knows %d", (long long)version,
                             LAYOUT * SCHEMAS_PER_LAYOUT + SCHEMA_VERSION);
        return DAYBOOK_NEWER_STORE;
    }
    bool missing = false;
    if (!fresh && version == LAYOUT * SCHEMAS_PER_LAYOUT + SCHEMA_VERSION) {
        status = read_numbers(store, &missing);
        if (status != DAYBOOK_OK || !missing) {
            return status;
        }
    }
    return bring_up(store, fresh, version % SCHEMAS_PER_LAYOUT);
}
