/* SPDX-License-Identifier: Apache-2.0
 *
 * What is the SQLite backend's own: files that cannot be opened, schemas of other servers, tables
 * that grow with the entity table, the documented views, indexes, and a disk that is full.
 */
#include "tests/unit/server_store_world.h"

#include "sync-server/store/sqlite.h"

#include <sys/stat.h>
#include <sys/wait.h>

#define NOBODY 65534

/* The world's file. */
static const char *file_of(const struct world *world, char path[300])
{
    (void)snprintf(path, 300, "%s/server.db", world->folder);
    return path;
}

/* Closes the store and runs SQL on its file. */
static void close_and_run(struct world *world, const char *sql)
{
    char path[300];
    sqlite3 *handle = NULL;
    srv_store_close(world->reader);
    srv_store_close(world->store);
    world->reader = NULL;
    world->store = NULL;
    assert_int_equal(sqlite3_open(file_of(world, path), &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

/* Opens the writer, which is refused with this status and a text that has `part` in it. */
static void assert_refused(struct world *world, daybook_status status, const char *part)
{
    char problem[300] = "";
    struct srv_store_options options = {.folder = world->folder, .writer = true};
    struct srv_store *store = world->store;
    assert_int_equal(srv_store_open_sqlite(&options, &store, problem, sizeof problem), status);
    assert_null(store);
    assert_non_null(strstr(problem, part));
}

/* The first column of the first row as text, in the world's arena. */
static const char *query(struct world *world, struct srv_store *store, const char *sql)
{
    struct statement *slot = NULL;
    daybook_status status = DAYBOOK_OK;
    size_t length = 0;
    bool row = false;
    struct database *database = &srv_sqlite(store)->database;
    struct statement *statement = dk_statement(database, &slot, sql, &status);
    if (statement == NULL) {
        fail_msg("%s: %s", sql, database->problem);
    }
    ok(dk_step(statement, &row));
    assert_true(row);
    const char *text = dk_column_text(statement, 0, &length);
    text = dk_arena_copy(&world->arena, text == NULL ? "NULL" : text, text == NULL ? 4 : length);
    dk_reset(statement);
    return text;
}

/* ---- opening */

static void test_server_store_sqlite__no_folder_cannot_be_opened(void **state)
{
    struct world *world = *state;
    struct srv_store *store = NULL;
    char problem[300] = "";
    char folder[5000];
    struct srv_store_options options = {.folder = folder, .writer = true};
    (void)snprintf(folder, sizeof folder, "%s/none", world->folder);
    assert_int_equal(srv_store_open_sqlite(&options, &store, problem, sizeof problem),
                     DAYBOOK_CANNOT_OPEN);
    assert_non_null(strstr(problem, "none/server.db"));
    memset(folder, 'x', sizeof folder - 1);
    folder[sizeof folder - 1] = '\0';
    assert_int_equal(srv_store_open_sqlite(&options, &store, problem, sizeof problem),
                     DAYBOOK_INVALID);
    assert_null(store);
}

static void test_server_store_sqlite__a_reader_makes_no_store(void **state)
{
    struct world *world = *state;
    struct srv_store *reader = NULL;
    char path[300];
    srv_store_close(world->store);
    world->store = NULL;
    assert_int_equal(unlink(file_of(world, path)), 0);
    assert_int_equal(world_open(world, false, &reader), DAYBOOK_CANNOT_OPEN);
    assert_null(reader);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_server_store_sqlite__a_read_only_folder_cannot_be_written(void **state)
{
    struct world *world = *state;
    int result = 0;
    close_and_run(world, "PRAGMA journal_mode = DELETE");
    assert_int_equal(chmod(world->folder, 0555), 0);
    pid_t child = fork();
    if (child == 0) { /* root may write everywhere: so as somebody else */
        struct srv_store *store = NULL;
        if (geteuid() == 0 && setuid(NOBODY) != 0) {
            _exit(100);
        }
        _exit((int)world_open(world, true, &store));
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(chmod(world->folder, 0755), 0);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), DAYBOOK_CANNOT_OPEN);
}

static void test_server_store_sqlite__other_files_are_left_alone(void **state)
{
    struct world *world = *state;
    char path[300];
    srv_store_close(world->store);
    world->store = NULL;
    FILE *file = fopen(file_of(world, path), "wb");
    assert_non_null(file);
    for (int i = 0; i < 2000; i++) {
        assert_true(fputs("this is not a database. ", file) >= 0);
    }
    assert_int_equal(fclose(file), 0);
    assert_refused(world, DAYBOOK_NOT_A_STORE, "server.db");
    assert_int_equal(unlink(path), 0);
    /* a database, but of something else */
    close_and_run(world, "CREATE TABLE recipe(name TEXT)");
    assert_refused(world, DAYBOOK_NOT_A_STORE, "something else");
    assert_int_equal(unlink(path), 0);
    close_and_run(world, "PRAGMA user_version = 10001");
    assert_refused(world, DAYBOOK_NOT_A_STORE, "something else");
}

static void test_server_store_sqlite__a_newer_schema_is_refused(void **state)
{
    struct world *world = *state;
    char sql[60];
    struct srv_store *reader = NULL;
    int newer = 30000 + SCHEMA_VERSION + 1;
    (void)snprintf(sql, sizeof sql, "PRAGMA user_version = %d", newer);
    close_and_run(world, sql);
    assert_refused(world, DAYBOOK_NEWER_STORE, "schema");
    assert_int_equal(world_open(world, false, &reader), DAYBOOK_NEWER_STORE);
    close_and_run(world, "PRAGMA user_version = 40000");
    assert_refused(world, DAYBOOK_NEWER_STORE, "schema");
}

static void test_server_store_sqlite__a_damaged_schema_is_named(void **state)
{
    struct world *world = *state;
    close_and_run(world, "DELETE FROM meta");
    assert_refused(world, DAYBOOK_CORRUPT, "epoch");
    close_and_run(world, "INSERT INTO meta VALUES('epoch', 5); DROP VIEW visit;"
                         "ALTER TABLE s_visit RENAME COLUMN feedback TO opinion");
    assert_refused(world, DAYBOOK_CORRUPT, "visit");
}

/* ---- an entity table that has grown */

static void test_server_store_sqlite__missing_fields_and_entities_are_added(void **state)
{
    struct world *world = *state;
    static struct srv_record record;
    const struct entity *user = dk_entity(ENTITY_USER);
    const char *last = user->fields[user->field_count - 1].name;
    struct id id = id_of(5);
    char sql[600];
    bool found = false;
    record.record.entity = user;
    record.record.id = id;
    record.record.version = 9;
    record.stamps[user->field_count - 1].position = 9;
    ok(srv_store_begin(world->store));
    ok(srv_store_put(world->store, world->org, &record, false));
    ok(srv_store_commit(world->store));
    /* as an older server has left it: without the last field, and without an entity */
    (void)snprintf(sql, sizeof sql,
                   "DROP VIEW app_user; DROP VIEW visit; DROP VIEW contact; DROP TABLE s_visit;"
                   "DROP INDEX s_contact_by_customer_id; DROP INDEX eviction_by_record; ALTER "
                   "TABLE s_app_user DROP COLUMN %s;"
                   "PRAGMA user_version = 10001",
                   last);
    close_and_run(world, sql);
    struct srv_store *early = NULL; /* a reader waits for its writer */
    assert_int_equal(world_open(world, false, &early), DAYBOOK_NOT_A_STORE);
    world_reopen(world);
    ok(srv_store_begin(world->store));
    ok(srv_store_get(world->store, world->org, user, &id, &world->arena, &record, &found));
    assert_true(found);
    assert_int_equal(record.record.version, 9);
    record.record.values[user->field_count - 1] = (struct value){.kind = VALUE_INT, .integer = 1};
    ok(srv_store_put(world->store, world->org, &record, true));
    memset(&record, 0, sizeof record);
    record.record.entity = dk_entity(ENTITY_VISIT);
    record.record.id = id;
    ok(srv_store_put(world->store, world->org, &record, false));
    ok(srv_store_commit(world->store));
    assert_string_equal(query(world, world->store, "SELECT count(*) FROM visit"), "1");
    assert_string_equal(query(world, world->store, "SELECT disabled FROM app_user"), "1");
    assert_string_equal(query(world, world->store,
                              "SELECT count(*) FROM sqlite_schema"
                              " WHERE name = 's_contact_by_customer_id'"),
                        "1");
    assert_string_equal(query(world, world->store,
                              "SELECT count(*) FROM sqlite_schema WHERE name = 's_visit_by_rep'"),
                        "1");
    ok(srv_store_has_left(world->store, world->org, &id, 0, 9, &found)); /* asks its index */
    assert_false(found);
    (void)snprintf(sql, sizeof sql, "%d", 30000 + SCHEMA_VERSION);
    assert_string_equal(query(world, world->store, "PRAGMA user_version"), sql);
}

/* ---- views */

static void test_server_store_sqlite__views_show_live_records_as_text(void **state)
{
    struct world *world = *state;
    static struct srv_record record;
    char text[ID_TEXT_SIZE];
    char sql[200];
    record.record.entity = dk_entity(ENTITY_VISIT);
    record.record.id = id_of(0x0123456789ABCDEF);
    record.record.version = 12;
    record.bucket = 3;
    record.record.values[VISIT_CUSTOMER_ID] = (struct value){.kind = VALUE_ID, .id = id_of(77)};
    record.record.values[VISIT_FEEDBACK] =
        (struct value){.kind = VALUE_TEXT, .length = 6, .text = "很好"};
    record.record.values[VISIT_CHECKIN_TS] = (struct value){.kind = VALUE_INT, .integer = 99};
    ok(srv_store_begin(world->store));
    ok(srv_store_put(world->store, world->org, &record, false));
    record.record.id = id_of(2);
    record.deleted = true;
    ok(srv_store_put(world->store, world->org, &record, false));
    ok(srv_store_commit(world->store));
    struct srv_store *reader = world_reader(world);
    assert_string_equal(query(world, reader, "SELECT count(*) FROM visit"), "1");
    struct id id = id_of(0x0123456789ABCDEF);
    dk_id_to_text(&id, text);
    assert_string_equal(query(world, reader, "SELECT id FROM visit"), text);
    id = id_of(77);
    dk_id_to_text(&id, text);
    assert_string_equal(query(world, reader, "SELECT customer_id FROM visit"), text);
    assert_string_equal(query(world, reader, "SELECT rep_id FROM visit"), "NULL");
    assert_string_equal(query(world, reader, "SELECT feedback FROM visit"), "很好");
    assert_string_equal(query(world, reader,
                              "SELECT version || ',' || bucket || ',' || "
                              "checkin_ts || ',' || length(id_key) FROM visit"),
                        "12,3,99,16");
    (void)snprintf(sql, sizeof sql, "SELECT org = %d FROM visit", (int)world->org);
    assert_string_equal(query(world, reader, sql), "1");
}

static void test_server_store_sqlite__views_have_the_documented_columns(void **state)
{
    struct world *world = *state;
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        const struct entity *entity = dk_entity(kind);
        struct buffer expected;
        char sql[200];
        dk_buffer_init(&expected, 10000);
        dk_buffer_append_text(&expected, "id,version");
        for (int i = 0; i < entity->field_count; i++) {
            dk_buffer_append_char(&expected, ',');
            dk_buffer_append_text(&expected, entity->fields[i].name);
        }
        dk_buffer_append_text(&expected, ",id_key");
        for (int i = 0; i < entity->field_count; i++) {
            if (entity->fields[i].type == FIELD_ID) {
                dk_buffer_append_char(&expected, ',');
                dk_buffer_append_text(&expected, entity->fields[i].name);
                dk_buffer_append_text(&expected, "_key");
            }
        }
        dk_buffer_append_text(&expected, ",org,bucket");
        (void)snprintf(sql, sizeof sql, "SELECT group_concat(name) FROM pragma_table_info('%s')",
                       entity->name);
        assert_string_equal(query(world, world->store, sql), dk_buffer_text(&expected));
        dk_buffer_clear(&expected);
    }
}

/* ---- plans */

/* Every statement that reads or changes single rows, with unknown ids. */
static void run_lookups(struct world *world)
{
    struct srv_store *store = world->store;
    uint8_t hash[SRV_HASH_SIZE];
    struct id id = id_of(5);
    static struct srv_record record;
    struct srv_record *records = NULL;
    struct srv_decision decision;
    struct srv_decision *decisions = NULL;
    struct srv_claim claim;
    struct srv_device device;
    struct srv_account account;
    struct srv_log_cursor *cursor = NULL;
    const struct value number = {.kind = VALUE_TEXT, .length = 1, .text = "1"};
    int64_t bucket = 0;
    int count = 0;
    bool found = false;
    ok(srv_store_begin(store));
    ok(srv_store_bucket(store, world->org, "organisation", &bucket));
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        const struct entity *entity = dk_entity(kind);
        ok(srv_store_get(store, world->org, entity, &id, &world->arena, &record, &found));
        ok(srv_store_any_id(store, world->org, entity, &id, &id, &found));
        record.record = (struct record){.entity = entity, .id = id};
        assert_int_equal(srv_store_put(store, world->org, &record, true), DAYBOOK_NOT_FOUND);
        for (int field = 0; field < entity->field_count; field++) {
            if (entity->fields[field].type == FIELD_TEXT && srv_sqlite_is_indexed(entity, field)) {
                ok(srv_store_numbered(store, world->org, entity, field, &number, &world->arena,
                                      &records, &count));
                ok(srv_store_any_number(store, world->org, entity, field, &number, &number,
                                        &found));
            } else if (srv_sqlite_is_indexed(entity, field)) {
                ok(srv_store_related(store, world->org, entity, field, &id, &id, 5, true,
                                     &world->arena, &records, &count));
            }
        }
    }
    for (int before = 0; before <= 1; before++) {
        struct srv_visit_range range = {id, id, 100, before ? 50 : 150, before == 1, 5};
        ok(srv_store_visits_from(store, world->org, &range, &world->arena, &records, &count));
    }
    ok(srv_store_find_decision(store, world->org, &id, &world->arena, &decision, &found));
    ok(srv_store_markers(store, 1, 0, 0, 9, &world->arena, &decisions, &count));
    ok(srv_store_find_claim(store, world->org, &id, 1, 1, &claim, &found));
    ok(srv_store_has_quarantine(store, 1, &found));
    ok(srv_store_measure_quarantine(store, world->org, &id, &bucket, &bucket));
    ok(srv_store_find_device(store, hash_of(1, hash), &device, &found));
    ok(srv_store_get_account(store, &id, &account, &found));
    ok(srv_store_find_login(store, world->org, "x", &id, &found));
    ok(srv_store_set_head(store, world->org, 0));
    assert_int_equal(srv_store_mark_device(store, 1, 0, 0, 0), DAYBOOK_NOT_FOUND);
    assert_int_equal(srv_store_adopt_decision(store, world->org, &id, 1, 1), DAYBOOK_NOT_FOUND);
    assert_int_equal(srv_store_revoke(store, 1), DAYBOOK_NOT_FOUND);
    assert_int_equal(srv_store_lease(store, 1, &id, &device.device_no), DAYBOOK_NOT_FOUND);
    ok(srv_store_log_open(store, world->org, &bucket, 1, 0, 100, &cursor));
    srv_store_log_close(cursor);
    srv_store_rollback(store);
}

/* The number of steps of a statement's plan that read a whole table, or as much as one: sort, or
 * search records of an organisation by another thing than three columns or their id. */
static int count_scans(sqlite3 *handle, const char *sql)
{
    sqlite3_stmt *plan = NULL;
    char *explain = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sql);
    int scans = 0;
    assert_non_null(explain);
    assert_int_equal(sqlite3_prepare_v2(handle, explain, -1, &plan, NULL), SQLITE_OK);
    while (sqlite3_step(plan) == SQLITE_ROW) {
        const char *step = (const char *)sqlite3_column_text(plan, 3);
        bool is_scan = strncmp(step, "SCAN", 4) == 0 && strcmp(step, "SCAN CONSTANT ROW") != 0;
        bool is_half = strstr(step, "(org=? AND id>?)") != NULL || strstr(step, "(org=?)") != NULL;
        bool is_record = strstr(step, "SEARCH s_") != NULL;
        scans += is_scan || (is_half && is_record) || strstr(step, "TEMP B-TREE") != NULL;
    }
    sqlite3_free(explain);
    assert_int_equal(sqlite3_finalize(plan), SQLITE_OK);
    return scans;
}

static void test_server_store_sqlite__no_lookup_reads_a_whole_table(void **state)
{
    struct world *world = *state;
    sqlite3 *handle = srv_sqlite(world->store)->database.handle;
    sqlite3_stmt *statement = NULL;
    int checked = 0;
    run_lookups(world);
    assert_int_equal(count_scans(handle, "SELECT * FROM s_visit WHERE feedback = 'x'"), 1);
    assert_int_equal(count_scans(handle, "SELECT * FROM log ORDER BY body"), 2);
    assert_int_equal(
        count_scans(handle, "SELECT * FROM s_visit WHERE org = 1 AND customer_id = 2 AND id > 3"),
        1); /* why the index is named */
    while ((statement = sqlite3_next_stmt(handle, statement)) != NULL) {
        const char *sql = sqlite3_sql(statement);
        if (strncmp(sql, "SELECT", 6) != 0 && strncmp(sql, "UPDATE", 6) != 0) {
            continue;
        }
        if (strstr(sql, "pragma_") != NULL || strstr(sql, "FROM sqlite_schema") != NULL) {
            continue; /* of opening */
        }
        if (count_scans(handle, sql) != 0) {
            fail_msg("reads a whole table: %s", sql);
        }
        checked++;
    }
    assert_true(checked > 2 * ENTITY_COUNT + 20);
}

/* ---- a disk that is full */

/* A log row of half a megabyte. */
static daybook_status append_large(struct world *world, int64_t position)
{
    static const char body[500000] = "";
    struct srv_log_row row = {
        .position = position, .bucket = 1, .body = body, .body_size = sizeof body};
    return srv_store_append_log(world->store, world->org, &row);
}

static void test_server_store_sqlite__a_full_disk_loses_the_whole_transaction(void **state)
{
    struct world *world = *state;
    struct database *database = &srv_sqlite(world->store)->database;
    struct id id = id_of(90);
    int64_t bucket = 0;
    int64_t head = -1;
    int64_t number = 0;
    struct statement *slot = NULL;
    daybook_status status = DAYBOOK_OK;
    bool row = false;
    ok(srv_store_begin(world->store));
    ok(srv_store_bucket(world->store, world->org, "organisation", &bucket));
    ok(append_large(world, 1));
    ok(srv_store_commit(world->store));
    struct statement *limit = dk_statement(database, &slot, "PRAGMA max_page_count = 400", &status);
    assert_non_null(limit);
    ok(dk_step(limit, &row));
    dk_reset(limit);

    ok(srv_store_begin(world->store));
    ok(srv_store_set_head(world->store, world->org, 55));
    ok(srv_store_header(world->store, "lost", 4, &number));
    ok(srv_store_savepoint(world->store));
    int64_t position = 2;
    do {
        status = append_large(world, position++);
    } while (status == DAYBOOK_OK && position < 100);
    assert_int_equal(status, DAYBOOK_DISK_FULL);
    /* SQLite has rolled back by itself: nothing may be written outside of a transaction */
    assert_int_equal(srv_store_rollback_to(world->store), DAYBOOK_DISK_FULL);
    assert_int_equal(srv_store_set_head(world->store, world->org, 56), DAYBOOK_DISK_FULL);
    assert_int_equal(srv_store_add_claim(world->store, world->org, &id, &id, 4, 0, true),
                     DAYBOOK_DISK_FULL);
    srv_store_rollback(world->store);
    ok(srv_store_get_head(world->store, world->org, &head));
    assert_int_equal(head, 0);

    ok(srv_store_begin(world->store)); /* a transaction that fits works again */
    ok(srv_store_set_head(world->store, world->org, 57));
    ok(srv_store_commit(world->store));
    ok(srv_store_get_head(world->store, world->org, &head));
    assert_int_equal(head, 57);
}

static void test_server_store_sqlite__a_lost_transaction_does_not_commit(void **state)
{
    struct world *world = *state;
    struct database *database = &srv_sqlite(world->store)->database;
    int64_t bucket = 0;
    int64_t head = -1;
    ok(srv_store_begin(world->store));
    ok(srv_store_bucket(world->store, world->org, "organisation", &bucket));
    ok(srv_store_commit(world->store));
    ok(dk_database_run(database, "PRAGMA max_page_count = 150"));
    ok(srv_store_begin(world->store));
    ok(srv_store_set_head(world->store, world->org, 55));
    assert_int_equal(append_large(world, 1), DAYBOOK_DISK_FULL);
    assert_int_equal(srv_store_commit(world->store), DAYBOOK_DISK_FULL);
    ok(srv_store_get_head(world->store, world->org, &head));
    assert_int_equal(head, 0);
}

/* A test of this backend only. */
#define sqlite_test(function)                                                                      \
    cmocka_unit_test_prestate_setup_teardown(function, world_set_up, world_tear_down,              \
                                             (void *)(uintptr_t)&store_backends[0])

int main(void)
{
    static const struct CMUnitTest tests[] = {
        sqlite_test(test_server_store_sqlite__no_folder_cannot_be_opened),
        sqlite_test(test_server_store_sqlite__a_reader_makes_no_store),
        sqlite_test(test_server_store_sqlite__a_read_only_folder_cannot_be_written),
        sqlite_test(test_server_store_sqlite__other_files_are_left_alone),
        sqlite_test(test_server_store_sqlite__a_newer_schema_is_refused),
        sqlite_test(test_server_store_sqlite__a_damaged_schema_is_named),
        sqlite_test(test_server_store_sqlite__missing_fields_and_entities_are_added),
        sqlite_test(test_server_store_sqlite__views_show_live_records_as_text),
        sqlite_test(test_server_store_sqlite__views_have_the_documented_columns),
        sqlite_test(test_server_store_sqlite__no_lookup_reads_a_whole_table),
        sqlite_test(test_server_store_sqlite__a_full_disk_loses_the_whole_transaction),
        sqlite_test(test_server_store_sqlite__a_lost_transaction_does_not_commit),
    };
    return cmocka_run_group_tests_name("server_store_sqlite", tests, NULL, NULL);
}
