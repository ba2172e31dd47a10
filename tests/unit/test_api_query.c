/* SPDX-License-Identifier: Apache-2.0
 *
 * Queries: what SQL may do, bindings, rows, and snapshots that are held for too long.
 */
#include "tests/unit/api_world.h"

static daybook_query *open_query(struct world *world, const char *sql)
{
    daybook_query *query = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    device_must(daybook_query_open(world->engine, sql, &query, &error), &error);
    return query;
}

static bool next(daybook_query *query)
{
    bool row = false;
    device_must(daybook_step(query, &row), NULL);
    return row;
}

static void test_api_query__rows_columns_and_their_names(void **state)
{
    struct world *world = *state;
    char id[DAYBOOK_ID_SIZE];
    device_customer(&world->device, "吴记", id);
    daybook_query *query =
        open_query(world, "SELECT id, id_key, name, kind, 5 AS five FROM customer");
    assert_int_equal(daybook_column_count(query), 5);
    assert_string_equal(daybook_column_name(query, 4), "five");
    assert_null(daybook_column_name(query, 5));
    assert_null(daybook_column_name(query, -1));
    assert_null(daybook_column_text(query, 0)); /* before the first row */
    assert_true(next(query));
    assert_string_equal(daybook_column_text(query, 0), id);
    assert_string_equal(daybook_column_text(query, 1), id); /* 16 bytes read as a UUID */
    assert_string_equal(daybook_column_text(query, 2), "吴记");
    assert_null(daybook_column_text(query, 3));
    assert_true(daybook_column_is_null(query, 3));
    assert_false(daybook_column_is_null(query, 4));
    assert_int_equal(daybook_column_int(query, 4), 5);
    assert_string_equal(daybook_column_text(query, 4), "5");
    assert_int_equal(daybook_column_int(query, 3), 0);
    assert_int_equal(daybook_column_int(query, 9), 0);
    assert_null(daybook_column_text(query, -1));
    /* the same text again is the same pointer */
    assert_ptr_equal(daybook_column_text(query, 2), daybook_column_text(query, 2));
    assert_false(next(query));
    assert_null(daybook_column_text(query, 0));
    /* and from the start once more */
    assert_true(next(query));
    daybook_query_close(&query);
}

static void test_api_query__bindings(void **state)
{
    struct world *world = *state;
    char first[DAYBOOK_ID_SIZE], second[DAYBOOK_ID_SIZE];
    bool row;
    device_customer(&world->device, "Wu", first);
    device_customer(&world->device, "Li", second);
    daybook_query *query = open_query(
        world, "SELECT name FROM customer WHERE id_key = ?1 AND name <> ?2 AND ?3 IS NULL");
    device_must(daybook_bind_id(query, 1, first), NULL);
    device_must(daybook_bind_text(query, 2, "Zhao"), NULL);
    device_must(daybook_bind_null(query, 3), NULL);
    assert_true(next(query));
    assert_string_equal(daybook_column_text(query, 0), "Wu");
    /* a binding in the middle is misuse, after a reset it is fine; the others are kept */
    assert_int_equal(daybook_bind_id(query, 1, second), DAYBOOK_MISUSE);
    device_must(daybook_query_reset(query), NULL);
    device_must(daybook_bind_id(query, 1, second), NULL);
    assert_true(next(query));
    assert_string_equal(daybook_column_text(query, 0), "Li");
    device_must(daybook_query_reset(query), NULL);
    assert_int_equal(daybook_bind_int(query, 4, 1), DAYBOOK_INVALID);
    assert_int_equal(daybook_bind_int(query, 0, 1), DAYBOOK_INVALID);
    assert_int_equal(daybook_bind_text(query, 2, "\xC3"), DAYBOOK_NOT_UTF8);
    assert_int_equal(daybook_bind_id(query, 1, "no id"), DAYBOOK_INVALID);
    assert_int_equal(daybook_bind_id(query, 1, NULL), DAYBOOK_MISUSE);
    device_must(daybook_bind_text(query, 2, NULL), NULL);
    assert_int_equal(daybook_step(query, NULL), DAYBOOK_MISUSE);
    device_must(daybook_step(query, &row), NULL);
    daybook_query_close(&query);
}

static void test_api_query__only_reading_documented_views_is_allowed(void **state)
{
    struct world *world = *state;
    static const char *const bad[] = {
        "",
        "   -- nothing",
        "SELEC 1",
        "SELECT * FROM nowhere",
        "SELECT nothing FROM customer",
        "SELECT 1; SELECT 2",
        "DELETE FROM customer",
        "INSERT INTO customer(id) VALUES ('x')",
        "UPDATE customer SET name = 'x'",
        "CREATE TABLE t(x)",
        "CREATE TEMP TABLE t(x)",
        "DROP VIEW customer",
        "ATTACH 'other' AS other",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA user_version",
        "VACUUM",
        "BEGIN",
        "EXPLAIN SELECT 1",
        "SELECT token FROM meta",
        "SELECT instance FROM meta",
        "SELECT * FROM outbox",
        "SELECT * FROM r_customer",
        "SELECT sql FROM sqlite_schema",
        "SELECT load_extension('x')",
        "SELECT name FROM (SELECT token AS name FROM meta)",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        daybook_query *query = NULL;
        daybook_error error = DAYBOOK_ERROR_INIT;
        daybook_status status = daybook_query_open(world->engine, bad[i], &query, &error);
        if (status != DAYBOOK_BAD_SQL) {
            print_error("%s: %s\n", bad[i], daybook_status_name(status));
        }
        assert_int_equal(status, DAYBOOK_BAD_SQL);
        assert_int_equal(error.status, DAYBOOK_BAD_SQL);
        assert_true(strlen(error.text) > 0);
        assert_null(query);
    }
    daybook_error error = DAYBOOK_ERROR_INIT;
    daybook_query *query = NULL;
    assert_int_equal(
        daybook_query_open(world->engine, "SELECT nothing FROM customer", &query, &error),
        DAYBOOK_BAD_SQL);
    assert_non_null(strstr(error.text, "nothing"));
    assert_int_equal(daybook_query_open(world->engine, "SELECT '\xC3'", &query, &error),
                     DAYBOOK_NOT_UTF8);
}

static void test_api_query__what_sql_can_do(void **state)
{
    struct world *world = *state;
    static const char *const good[] = {
        "SELECT count(*) FROM customer;",
        "SELECT count(*) FROM visit v JOIN customer c ON c.id_key = v.customer_id_key -- all",
        "WITH n AS (SELECT name FROM customer) SELECT count(*), max(name) FROM n",
        "SELECT item, kind, code, entity, record_id, field, rule, mine, theirs FROM inbox",
        "SELECT changeset, cause, created_ms, chain, body FROM inbox",
        "SELECT entity, id, id_key, state, seq FROM sync_state",
        "SELECT bucket, label FROM buckets",
        "SELECT j.value FROM customer c, json_each(c.tags) j",
        "SELECT sum(total) FROM quote GROUP BY cur HAVING sum(total) > 0 ORDER BY 1 LIMIT 5",
        "VALUES (1), (2)",
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        daybook_query *query = open_query(world, good[i]);
        while (next(query)) {
        }
        daybook_query_close(&query);
    }
}

static void test_api_query__a_failure_in_the_middle_is_told(void **state)
{
    struct world *world = *state;
    daybook_query *query = open_query(world, "SELECT abs(-9223372036854775808)");
    daybook_error error = DAYBOOK_ERROR_INIT;
    bool row = true;
    assert_int_equal(daybook_step(query, &row), DAYBOOK_BAD_SQL);
    assert_false(row);
    daybook_query_error(query, &error);
    assert_int_equal(error.status, DAYBOOK_BAD_SQL);
    assert_non_null(strstr(error.text, "overflow"));
    daybook_query_close(&query);
}

static void test_api_query__rows_come_from_one_snapshot(void **state)
{
    struct world *world = *state;
    char id[DAYBOOK_ID_SIZE];
    for (int i = 0; i < 3; i++) {
        device_customer(&world->device, "before", id);
    }
    daybook_query *query = open_query(world, "SELECT name FROM customer");
    assert_true(next(query));
    device_customer(&world->device, "after", id);
    device_patch_text(&world->device, "customer", id, "name", "after that");
    int rows = 1;
    while (next(query)) {
        assert_string_equal(daybook_column_text(query, 0), "before");
        rows++;
    }
    assert_int_equal(rows, 3);
    daybook_query_close(&query);
}

static void test_api_query__a_snapshot_held_too_long_is_taken_by_the_next_commit(void **state)
{
    struct world *world = *state;
    char id[DAYBOOK_ID_SIZE];
    bool row;
    daybook_error error = DAYBOOK_ERROR_INIT;
    device_customer(&world->device, "first", id);
    device_customer(&world->device, "second", id);
    daybook_query *query = open_query(world, "SELECT name, 7 AS n, NULL AS none FROM customer "
                                             "ORDER BY id");
    assert_true(next(query));
    const char *text = daybook_column_text(query, 0);
    /* given: the app looks at the row for 10 s, which is allowed */
    script_pass(&world->script, 10000);
    device_customer(&world->device, "third", id);
    assert_string_equal(text, "first");
    /* when: it does so for longer, and somebody commits */
    script_pass(&world->script, 2);
    device_customer(&world->device, "fourth", id);
    /* then: the row is still there, also the columns not looked at before */
    assert_string_equal(text, "first");
    assert_ptr_equal(daybook_column_text(query, 0), text);
    assert_int_equal(daybook_column_int(query, 1), 7);
    assert_string_equal(daybook_column_text(query, 1), "7");
    assert_true(daybook_column_is_null(query, 2));
    assert_null(daybook_column_text(query, 2));
    /* and the next one is not */
    assert_int_equal(daybook_step(query, &row), DAYBOOK_INTERRUPTED);
    assert_false(row);
    daybook_query_error(query, &error);
    assert_true(error.retryable);
    assert_int_equal(daybook_step(query, &row), DAYBOOK_INTERRUPTED);
    device_must(daybook_query_reset(query), NULL);
    int rows = 0;
    while (next(query)) {
        rows++;
    }
    assert_int_equal(rows, 4);
    daybook_query_close(&query);
}

static void test_api_query__a_snapshot_held_too_long_ends_at_the_next_step(void **state)
{
    struct world *world = *state;
    bool row;
    daybook_query *query = open_query(world, "VALUES (1), (2)");
    assert_true(next(query));
    script_pass(&world->script, 10001);
    assert_int_equal(daybook_step(query, &row), DAYBOOK_INTERRUPTED);
    /* the step after begins anew: nothing had been taken by somebody else */
    assert_true(next(query));
    assert_int_equal(daybook_column_int(query, 0), 1);
    daybook_query_close(&query);
}

/* The steady clock of a platform that races. */
static int64_t racing_ms(void *context)
{
    struct script *script = context;
    script_pass(script, 500);
    return script_steady_ms(script);
}

static void test_api_query__a_step_that_runs_too_long_is_interrupted(void **state)
{
    struct world *world = *state;
    daybook_platform platform = world->script.platform;
    bool row;
    device_close(&world->device);
    platform.steady_ms = racing_ms;
    world->device.options.platform = &platform;
    device_open(&world->device);
    world->engine = world->device.engine;
    daybook_query *query = open_query(
        world,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n");
    assert_int_equal(daybook_step(query, &row), DAYBOOK_INTERRUPTED);
    daybook_query_close(&query);
}

static void test_api_query__too_many_are_busy(void **state)
{
    struct world *world = *state;
    daybook_query *queries[65] = {NULL};
    daybook_error error = DAYBOOK_ERROR_INIT;
    for (int i = 0; i < 64; i++) {
        queries[i] = open_query(world, "SELECT 1");
    }
    assert_int_equal(daybook_query_open(world->engine, "SELECT 1", &queries[64], &error),
                     DAYBOOK_BUSY);
    daybook_query_close(&queries[10]);
    queries[64] = open_query(world, "SELECT 1");
    for (int i = 0; i < 65; i++) {
        daybook_query_close(&queries[i]);
    }
    /* and many one after the other */
    for (int i = 0; i < 300; i++) {
        daybook_query *query = open_query(world, "SELECT 1");
        assert_true(next(query));
        daybook_query_close(&query);
    }
}

static void test_api_query__per_record_state(void **state)
{
    struct world *world = *state;
    char id[DAYBOOK_ID_SIZE];
    device_customer(&world->device, "Wu", id);
    assert_string_equal(
        device_text_of(&world->device, "SELECT state FROM sync_state WHERE id = ?1", id), "local");
    device_enrol(&world->device, SCRIPT_CODE);
    device_sync(&world->device);
    assert_string_equal(
        device_text_of(&world->device, "SELECT state FROM sync_state WHERE id = ?1", id), "");
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM buckets"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(test_api_query__rows_columns_and_their_names),
        API_TEST(test_api_query__bindings),
        API_TEST(test_api_query__only_reading_documented_views_is_allowed),
        API_TEST(test_api_query__what_sql_can_do),
        API_TEST(test_api_query__a_failure_in_the_middle_is_told),
        API_TEST(test_api_query__rows_come_from_one_snapshot),
        API_TEST(test_api_query__a_snapshot_held_too_long_is_taken_by_the_next_commit),
        API_TEST(test_api_query__a_snapshot_held_too_long_ends_at_the_next_step),
        API_TEST(test_api_query__a_step_that_runs_too_long_is_interrupted),
        API_TEST(test_api_query__too_many_are_busy),
        API_TEST(test_api_query__per_record_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
