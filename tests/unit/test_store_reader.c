/* SPDX-License-Identifier: Apache-2.0
 *
 * What an app's SQL sees: the documented views, and nothing else.
 */
#include "tests/support/desk.h"

#include "engine/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

/* A store with one customer of the server's, one visit of ours, and an inbox item. */
static void fill(struct desk *desk)
{
    desk_begin(desk);
    desk_scope(desk, "[[2,\"north\"]]");
    struct id customer = desk_fixed_id(0x11);
    desk_row(desk, BLOCK_NEW, ENTITY_CUSTOMER, 2, 3, &customer);
    desk_text(desk, CUSTOMER_NAME, "A");
    desk_apply(desk, 3);
    (void)desk_customer(desk, "rejected");
    desk_send(desk);
    desk_rejected(desk, 1, REJECT_RULE, NULL);
    desk_apply(desk, 3);
    struct id visit = desk_id(desk);
    desk_new(desk, ENTITY_VISIT, &visit);
    desk_ref(desk, VISIT_CUSTOMER_ID, &customer);
    desk_commit(desk);
}

/* Prepares and runs; the first column of the first row, or NULL where SQLite refuses. */
static const char *query(struct desk *desk, struct database *reader, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    const char *copy = NULL;
    if (sqlite3_prepare_v2(reader->handle, sql, -1, &statement, NULL) == SQLITE_OK) {
        int result = sqlite3_step(statement);
        if (result == SQLITE_ROW || result == SQLITE_DONE) {
            const char *text =
                result == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
            text = text == NULL ? "" : text;
            copy = dk_arena_copy(&desk->arena, text, strlen(text));
        }
    }
    (void)sqlite3_finalize(statement);
    return copy;
}

static void test_store_reader__views_show_records_with_ids_as_text_and_keys(void **state)
{
    struct desk desk;
    struct database reader;
    (void)state;
    fill(&desk);
    assert_int_equal(dk_store_reader_open(desk.store, &reader, NULL), DAYBOOK_OK);
    assert_string_equal(query(&desk, &reader, "SELECT id||' '||version||' '||name FROM customer"),
                        "11111111-1111-1111-1111-111111111111 3 A");
    assert_string_equal(query(&desk, &reader,
                              "SELECT v.version||' '||c.name||' '||v.customer_id FROM visit v"
                              " JOIN customer c ON c.id_key=v.customer_id_key"),
                        "0 A 11111111-1111-1111-1111-111111111111");
    assert_string_equal(
        query(&desk, &reader, "SELECT typeof(owner_id)||typeof(owner_id_key) FROM customer"),
        "nullnull");
    assert_string_equal(
        query(&desk, &reader,
              "SELECT s.state||s.seq FROM visit v JOIN sync_state s ON s.id_key=v.id_key"
              " AND s.entity='visit' WHERE s.id=v.id"),
        "local2");
    assert_string_equal(query(&desk, &reader, "SELECT label FROM buckets"), "north");
    assert_string_equal(query(&desk, &reader, "SELECT kind||code||chain FROM inbox"),
                        "rejectedRULE0");
    assert_string_equal(
        query(&desk, &reader,
              "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<3)"
              " SELECT sum(i)||(SELECT count(*) FROM customer) FROM n"),
        "61");
    assert_string_equal(query(&desk, &reader, "SELECT value FROM json_each('[7]')"), "7");
    dk_store_reader_close(desk.store, &reader);
    desk_clear(&desk);
}

static void test_store_reader__an_index_is_used_by_key(void **state)
{
    struct desk desk;
    struct database reader;
    (void)state;
    fill(&desk);
    assert_int_equal(dk_store_reader_open(desk.store, &reader, NULL), DAYBOOK_OK);
    sqlite3_stmt *statement = NULL;
    (void)sqlite3_set_authorizer(reader.handle, NULL, NULL); /* EXPLAIN is not for apps */
    assert_int_equal(
        sqlite3_prepare_v2(reader.handle,
                           "EXPLAIN QUERY PLAN SELECT id FROM visit WHERE customer_id_key=?", -1,
                           &statement, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_non_null(
        strstr((const char *)sqlite3_column_text(statement, 3), "INDEX r_visit_by_customer_id"));
    (void)sqlite3_finalize(statement);
    dk_store_reader_close(desk.store, &reader);
    desk_clear(&desk);
}

static void test_store_reader__nothing_else_is_read_and_nothing_is_written(void **state)
{
    static const char *const forbidden[] = {
        "SELECT token FROM meta",
        "SELECT body FROM outbox",
        "SELECT base FROM pending",
        "SELECT name FROM r_customer",
        "SELECT body FROM raw_record",
        "SELECT number FROM entity_number",
        "SELECT bucket FROM scope",
        "SELECT body FROM inbox_item",
        "SELECT name FROM sqlite_schema",
        "SELECT name FROM sqlite_master",
        "SELECT name FROM pragma_table_info('meta')",
        "WITH sync_state AS (SELECT token FROM meta) SELECT token FROM sync_state",
        "WITH customer AS (SELECT base FROM pending) SELECT base FROM customer",
        "WITH visit AS (SELECT body FROM outbox) SELECT body FROM visit",
        "SELECT (SELECT token FROM meta) FROM customer",
        "SELECT load_extension('x')",
        "INSERT INTO customer(id) VALUES('x')",
        "INSERT INTO r_customer(id,version,bucket) VALUES(x'00',1,1)",
        "UPDATE meta SET token='x'",
        "DELETE FROM outbox",
        "CREATE TABLE t(a)",
        "CREATE TEMP TABLE t(a)",
        "CREATE TEMP VIEW t AS SELECT 1",
        "DROP VIEW customer",
        "ATTACH ':memory:' AS other",
        "DETACH main",
        "PRAGMA journal_mode=DELETE",
        "PRAGMA user_version",
        "PRAGMA wal_checkpoint",
        "VACUUM",
        "VACUUM INTO '/dev/null'",
        "REINDEX",
        "ANALYZE",
        "BEGIN",
        "SAVEPOINT a",
        "COMMIT",
        "EXPLAIN DELETE FROM outbox",
    };
    struct desk desk;
    struct database reader;
    (void)state;
    fill(&desk);
    assert_int_equal(dk_store_reader_open(desk.store, &reader, NULL), DAYBOOK_OK);
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++) {
        if (query(&desk, &reader, forbidden[i]) != NULL) {
            print_error("allowed: %s\n", forbidden[i]);
            fail();
        }
    }
    dk_store_reader_close(desk.store, &reader);
    desk_check(&desk);
    desk_clear(&desk);
}

static void test_store_reader__preparing_tells_which_entities_are_read(void **state)
{
    struct desk desk;
    struct database reader;
    uint64_t used = 0;
    (void)state;
    fill(&desk);
    assert_int_equal(dk_store_reader_open(desk.store, &reader, &used), DAYBOOK_OK);
    assert_non_null(query(&desk, &reader, "SELECT 1"));
    assert_true(used == 0);
    assert_non_null(query(&desk, &reader, "SELECT count(*) FROM visit"));
    assert_true((used & (uint64_t)1 << ENTITY_VISIT) != 0);
    used = 0;
    assert_non_null(query(&desk, &reader, "SELECT count(*) FROM customer WHERE name='A'"));
    assert_true(used == (uint64_t)1 << ENTITY_CUSTOMER);
    used = 0;
    assert_non_null(query(&desk, &reader,
                          "SELECT 1 FROM Customer c WHERE EXISTS(SELECT 1 FROM quote q WHERE "
                          "q.customer_id_key=c.id_key)"));
    assert_true(used == ((uint64_t)1 << ENTITY_CUSTOMER | (uint64_t)1 << ENTITY_QUOTE));
    used = 0;
    assert_non_null(query(&desk, &reader, "SELECT state FROM sync_state"));
    assert_true(used == STORE_CHANGED_SYNC);
    used = 0;
    assert_non_null(query(&desk, &reader, "SELECT 1 FROM inbox"));
    assert_true(used == STORE_CHANGED_SYNC);
    dk_store_reader_close(desk.store, &reader);
    desk_clear(&desk);
}

static void test_store_reader__a_snapshot_stays_while_the_store_goes_on(void **state)
{
    struct desk desk;
    struct database reader;
    sqlite3_stmt *statement = NULL;
    (void)state;
    fill(&desk);
    assert_int_equal(dk_store_reader_open(desk.store, &reader, NULL), DAYBOOK_OK);
    (void)desk_customer(&desk, "B");
    assert_int_equal(sqlite3_prepare_v2(reader.handle, "SELECT name FROM customer ORDER BY name",
                                        -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    (void)desk_customer(&desk, "C");
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    (void)sqlite3_finalize(statement);
    assert_string_equal(query(&desk, &reader, "SELECT count(*) FROM customer"), "3");
    dk_store_reader_close(desk.store, &reader);
    desk_clear(&desk);
}

static void test_store_reader__the_state_of_many_records_is_listed_whole(void **state)
{
    struct desk desk;
    (void)state;
    /* given a changeset that made more records than fit one chunk of the view, some of them changed
     * since */
    desk_begin(&desk);
    struct id ids[350];
    for (int i = 0; i < 350; i++) {
        ids[i] = desk_id(&desk);
        desk_new(&desk, ENTITY_CUSTOMER, &ids[i]);
        desk_text(&desk, CUSTOMER_NAME, "A");
    }
    desk_commit(&desk);
    desk_set(&desk, ENTITY_CUSTOMER, &ids[3], 0);
    desk_text(&desk, CUSTOMER_NAME, "B");
    desk_delete(&desk, ENTITY_CUSTOMER, &ids[349], 0);
    desk_commit(&desk);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM sync_state"), 350);
    assert_int_equal(
        desk_number(&desk, "SELECT count(DISTINCT id) FROM sync_state WHERE length(id)=36"), 350);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM sync_state WHERE seq=2"), 2);
    assert_int_equal(
        desk_number(&desk,
                    "SELECT count(*) FROM customer c JOIN sync_state s ON s.id_key=c.id_key"),
        349);
    desk_clear(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_reader__views_show_records_with_ids_as_text_and_keys),
        cmocka_unit_test(test_store_reader__an_index_is_used_by_key),
        cmocka_unit_test(test_store_reader__nothing_else_is_read_and_nothing_is_written),
        cmocka_unit_test(test_store_reader__preparing_tells_which_entities_are_read),
        cmocka_unit_test(test_store_reader__a_snapshot_stays_while_the_store_goes_on),
        cmocka_unit_test(test_store_reader__the_state_of_many_records_is_listed_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
