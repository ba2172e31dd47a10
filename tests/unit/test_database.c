/* SPDX-License-Identifier: Apache-2.0
 *
 * The database as it works: settings as promised, values that come back, statements prepared once,
 * sticky binding, transactions.
 */
#include "tests/unit/database_fixture.h"

#include <string.h>

static void test_database__a_writer_is_set_as_promised(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = open_with_table(fixture);
    struct statement *slot = NULL;
    daybook_status status = DAYBOOK_OK;
    bool row = false;
    size_t length = 0;
    struct statement *mode = dk_statement(database, &slot, "PRAGMA journal_mode", &status);
    assert_int_equal(dk_step(mode, &row), DAYBOOK_OK);
    assert_string_equal(dk_column_text(mode, 0, &length), "wal");
    dk_reset(mode);
    assert_int_equal(query(database, "PRAGMA synchronous"), 2);
    assert_int_equal(query(database, "PRAGMA foreign_keys"), 0);
    assert_int_equal(query(database, "PRAGMA temp_store"), 2);
    assert_int_equal(query(database, "PRAGMA trusted_schema"), 0);
    assert_int_equal(query(database, "PRAGMA secure_delete"), 0);
    assert_int_equal(query(database, "PRAGMA cache_size"), -2048);
    /* defensive: the schema cannot be written as a table; strictly quoted: "x" is no text */
    assert_int_equal(dk_database_run(database, "PRAGMA writable_schema = ON"), DAYBOOK_OK);
    assert_int_equal(dk_database_run(database, "DELETE FROM sqlite_schema"), DAYBOOK_INTERNAL);
    assert_int_equal(dk_database_run(database, "SELECT \"nonsense\""), DAYBOOK_INTERNAL);
    assert_non_null(strstr(database->problem, "nonsense"));
    /* the relaxed option, there and back */
    assert_int_equal(dk_database_synchronous(database, false), DAYBOOK_OK);
    assert_int_equal(query(database, "PRAGMA synchronous /* again */"), 1);
    assert_int_equal(dk_database_synchronous(database, true), DAYBOOK_OK);
    assert_int_equal(query(database, "PRAGMA synchronous /* and again */"), 2);
    dk_database_close(database);
    /* the other values of the options */
    const struct database_options relaxed = {.mode = DATABASE_WRITER, .cache_kib = 512};
    assert_int_equal(dk_database_open(database, fixture->path, &relaxed), DAYBOOK_OK);
    assert_int_equal(query(database, "PRAGMA synchronous"), 1);
    assert_int_equal(query(database, "PRAGMA cache_size"), -512);
}

static void test_database__values_come_back(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = open_with_table(fixture);
    struct statement *slots[2] = {NULL, NULL};
    daybook_status status = DAYBOOK_OK;
    const struct id id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
    struct statement *insert =
        dk_statement(database, &slots[0],
                     "INSERT INTO visit (id, n, note, bytes) VALUES (?1, ?2, ?3, ?4)", &status);
    assert_non_null(insert);
    dk_bind_id(insert, 1, &id);
    dk_bind_int(insert, 2, INT64_MIN);
    dk_bind_text(insert, 3, "拜访xxx", strlen("拜访"));
    dk_bind_blob(insert, 4, "", 0);
    assert_int_equal(dk_step_done(insert), DAYBOOK_OK);
    assert_int_equal(dk_database_changes(database), 1);
    /* asked for again, the statement has forgotten what was bound */
    insert = dk_statement(database, &slots[0], "", &status);
    dk_bind_int(insert, 2, 7);
    dk_bind_text(insert, 3, NULL, 0);
    dk_bind_id(insert, 1, NULL);
    assert_int_equal(dk_step_done(insert), DAYBOOK_OK);

    struct statement *select = dk_statement(
        database, &slots[1], "SELECT id, n, note, bytes FROM visit ORDER BY n", &status);
    bool row = false;
    size_t length = 99;
    struct id read;
    assert_int_equal(dk_step(select, &row), DAYBOOK_OK);
    assert_true(row);
    assert_true(dk_column_id(select, 0, &read));
    assert_int_equal(dk_id_compare(&id, &read), 0);
    assert_true(dk_column_int(select, 1) == INT64_MIN);
    assert_string_equal(dk_column_text(select, 2, &length), "拜访");
    assert_int_equal(length, strlen("拜访"));
    assert_false(dk_column_is_null(select, 3));
    assert_non_null(dk_column_blob(select, 3, &length));
    assert_int_equal(length, 0);
    assert_false(dk_column_id(select, 3, &read));
    assert_int_equal(dk_step(select, &row), DAYBOOK_OK);
    assert_true(row);
    assert_int_equal(dk_column_int(select, 1), 7);
    for (int column = 0; column < 4; column++) {
        assert_int_equal(dk_column_is_null(select, column), column != 1);
    }
    length = 99;
    assert_null(dk_column_text(select, 2, &length));
    assert_int_equal(length, 0);
    assert_null(dk_column_blob(select, 3, &length));
    assert_false(dk_column_id(select, 0, &read));
    assert_int_equal(dk_step(select, &row), DAYBOOK_OK);
    assert_false(row);
    /* it has reset itself: a step begins again */
    assert_int_equal(dk_step(select, &row), DAYBOOK_OK);
    assert_true(row);
}

static void test_database__a_statement_is_prepared_once(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = open_with_table(fixture);
    struct statement *slot = NULL;
    daybook_status status = DAYBOOK_INTERNAL;
    int count = database->statement_count;
    struct statement *first = dk_statement(database, &slot, "SELECT ?1", &status);
    assert_int_equal(status, DAYBOOK_OK);
    assert_ptr_equal(first, slot);
    for (int i = 0; i < 100; i++) {
        bool row = false;
        status = DAYBOOK_INTERNAL;
        /* given a statement left in the middle, when it is asked for, then it comes reset and
         * unbound */
        assert_ptr_equal(dk_statement(database, &slot, "SELECT ?1", &status), first);
        assert_int_equal(status, DAYBOOK_OK);
        assert_int_equal(dk_step(first, &row), DAYBOOK_OK);
        assert_true(row);
        assert_true(dk_column_is_null(first, 0));
        dk_reset(first);
        dk_bind_int(first, 1, 5);
        assert_int_equal(dk_step(first, &row), DAYBOOK_OK);
        assert_int_equal(dk_column_int(first, 0), 5);
    }
    assert_int_equal(database->statement_count, count + 1);
    int handles = 0;
    sqlite3_stmt *handle = NULL;
    while ((handle = sqlite3_next_stmt(database->handle, handle)) != NULL) {
        handles++;
    }
    assert_int_equal(handles, database->statement_count);
}

static void test_database__statements_are_bounded_on_both_sides(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = open_with_table(fixture);
    daybook_status status = DAYBOOK_OK;
    while (database->statement_count < 1024) {
        struct statement *slot = NULL;
        assert_non_null(dk_statement(database, &slot, "SELECT 1", &status));
    }
    struct statement *slot = NULL;
    assert_null(dk_statement(database, &slot, "SELECT 1", &status));
    assert_null(slot);
    assert_int_equal(status, DAYBOOK_INTERNAL);
    /* what was prepared before still works, and so do transactions */
    assert_int_equal(dk_database_begin(database), DAYBOOK_OK);
    assert_int_equal(dk_database_commit(database), DAYBOOK_OK);
}

static void test_database__bad_sql_fills_no_slot(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = open_with_table(fixture);
    static const char *const refused[] = {"", "-- only a comment", "SELEC 1", "SELECT nowhere",
                                          "SELECT 1 FROM nothing"};
    int count = database->statement_count;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct statement *slot = NULL;
        daybook_status status = DAYBOOK_OK;
        database->problem[0] = '\0';
        assert_null(dk_statement(database, &slot, refused[i], &status));
        assert_null(slot);
        assert_int_equal(status, DAYBOOK_INTERNAL);
        assert_true(strlen(database->problem) > 0);
    }
    assert_int_equal(database->statement_count, count);
}

static void test_database__a_failed_bind_is_told_by_the_step(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = open_with_table(fixture);
    struct statement *slot = NULL;
    daybook_status status = DAYBOOK_OK;
    char note[101];
    memset(note, 'n', sizeof note);
    (void)sqlite3_limit(database->handle, SQLITE_LIMIT_LENGTH, 100);
    const char *sql = "INSERT INTO visit (id, note) VALUES (?1, ?2)";
    /* one byte too many: nothing is written, whatever is bound afterwards */
    struct statement *insert = dk_statement(database, &slot, sql, &status);
    dk_bind_text(insert, 2, note, 101);
    dk_bind_blob(insert, 1, "a", 1);
    assert_int_equal(dk_step_done(insert), DAYBOOK_TOO_LARGE);
    assert_int_equal(query(database, "SELECT count(*) FROM visit"), 0);
    /* the failure is told once; a position that is not there is a defect */
    insert = dk_statement(database, &slot, sql, &status);
    dk_bind_text(insert, 2, note, 60);
    dk_bind_int(insert, 3, 1);
    assert_int_equal(dk_step_done(insert), DAYBOOK_INTERNAL);
    insert = dk_statement(database, &slot, sql, &status);
    dk_bind_text(insert, 2, note, 60);
    assert_int_equal(dk_step_done(insert), DAYBOOK_OK);
    /* a row where none is expected, too */
    struct statement *select = NULL;
    assert_int_equal(dk_step_done(dk_statement(database, &select, "SELECT 1", &status)),
                     DAYBOOK_INTERNAL);
}

static void test_database__a_failed_step_leaves_the_statement_ready(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = open_with_table(fixture);
    struct statement *slot = NULL;
    daybook_status status = DAYBOOK_OK;
    struct statement *insert =
        dk_statement(database, &slot, "INSERT INTO visit (id) VALUES (?1)", &status);
    dk_bind_blob(insert, 1, "a", 1);
    assert_int_equal(dk_step_done(insert), DAYBOOK_OK);
    dk_bind_blob(insert, 1, "a", 1);
    assert_int_equal(dk_step_done(insert), DAYBOOK_INTERNAL);
    assert_non_null(strstr(database->problem, "UNIQUE"));
    dk_bind_blob(insert, 1, "b", 1);
    assert_int_equal(dk_step_done(insert), DAYBOOK_OK);
    assert_int_equal(query(database, "SELECT count(*) FROM visit"), 2);
}

static void test_database__transactions_are_all_or_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = open_with_table(fixture);
    dk_database_rollback(database); /* none open: nothing happens */
    assert_int_equal(dk_database_begin(database), DAYBOOK_OK);
    assert_int_equal(dk_database_begin(database), DAYBOOK_INTERNAL);
    assert_int_equal(dk_database_run(database, "INSERT INTO visit (n) VALUES (1)"), DAYBOOK_OK);
    dk_database_rollback(database);
    assert_int_equal(query(database, "SELECT count(*) FROM visit"), 0);
    assert_int_equal(dk_database_begin(database), DAYBOOK_OK);
    assert_int_equal(dk_database_run(database, "INSERT INTO visit (n) VALUES (1), (2)"),
                     DAYBOOK_OK);
    assert_int_equal(dk_database_changes(database), 2);
    assert_int_equal(dk_database_commit(database), DAYBOOK_OK);
    assert_int_equal(query(database, "SELECT count(*) FROM visit /* after */"), 2);
    /* without a transaction there is nothing to commit */
    assert_int_equal(dk_database_commit(database), DAYBOOK_INTERNAL);
    /* a commit that is refused leaves no transaction open, and the reason can be read */
    assert_int_equal(dk_database_run(database,
                                     "CREATE TABLE parent (a PRIMARY KEY); CREATE TABLE child "
                                     "(a REFERENCES parent DEFERRABLE INITIALLY DEFERRED);"
                                     "PRAGMA foreign_keys = ON"),
                     DAYBOOK_OK);
    assert_int_equal(dk_database_begin(database), DAYBOOK_OK);
    assert_int_equal(dk_database_run(database, "INSERT INTO child VALUES (1)"), DAYBOOK_OK);
    assert_int_equal(dk_database_commit(database), DAYBOOK_INTERNAL);
    assert_non_null(strstr(database->problem, "FOREIGN KEY"));
    assert_int_equal(sqlite3_get_autocommit(database->handle), 1);
    assert_int_equal(query(database, "SELECT count(*) FROM child"), 0);
}

static void test_database__a_reader_sees_and_cannot_write(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = open_with_table(fixture);
    struct database other;
    assert_int_equal(dk_database_run(database, "INSERT INTO visit (n) VALUES (1)"), DAYBOOK_OK);
    assert_int_equal(dk_database_open(&other, fixture->path, &reader), DAYBOOK_OK);
    assert_int_equal(query(&other, "SELECT count(*) FROM visit"), 1);
    assert_int_equal(dk_database_run(&other, "INSERT INTO visit (n) VALUES (2)"),
                     DAYBOOK_CANNOT_OPEN);
    assert_int_equal(dk_database_run(&other, "DROP TABLE visit"), DAYBOOK_CANNOT_OPEN);
    assert_int_equal(query(&other, "PRAGMA mmap_size"), 0);
    dk_database_close(&other);
    dk_database_close(&other);
}

#define WITH_FOLDER(name) cmocka_unit_test_setup_teardown(test_database__##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(a_writer_is_set_as_promised),
        WITH_FOLDER(values_come_back),
        WITH_FOLDER(a_statement_is_prepared_once),
        WITH_FOLDER(statements_are_bounded_on_both_sides),
        WITH_FOLDER(bad_sql_fills_no_slot),
        WITH_FOLDER(a_failed_bind_is_told_by_the_step),
        WITH_FOLDER(a_failed_step_leaves_the_statement_ready),
        WITH_FOLDER(transactions_are_all_or_nothing),
        WITH_FOLDER(a_reader_sees_and_cannot_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
