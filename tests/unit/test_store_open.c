/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening and closing: who owns a store, what a file must be, what a store remembers.
 */
#include "tests/support/desk.h"

#include "engine/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

static void write_file(const char *path, const char *text, size_t length)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *handle = NULL;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

static void test_store_open__a_new_file_becomes_a_store(void **state)
{
    struct desk desk;
    (void)state;
    desk_init(&desk);
    desk_open(&desk);
    struct store_state before = desk_state(&desk);
    assert_false(dk_id_is_zero(&before.instance));
    assert_int_equal(before.next_seq, 1);
    assert_int_equal(before.device_no, 0);
    assert_string_equal(before.token, "");
    assert_int_equal(before.pending, 0);
    desk_check(&desk);
    desk_clear(&desk);
}

static void test_store_open__what_it_knew_is_there_again(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id customer = desk_customer(&desk, "Wu & Sons");
    struct store_state before = desk_state(&desk);
    desk_close(&desk);
    desk_open(&desk);
    struct store_state after = desk_state(&desk);
    assert_memory_equal(&before.instance, &after.instance, sizeof before.instance);
    assert_string_equal(after.token, "a token");
    assert_string_equal(after.role, "rep");
    assert_int_equal(after.device_no, 5);
    assert_int_equal(after.epoch, DESK_EPOCH);
    assert_int_equal(after.next_seq, 2);
    assert_int_equal(after.pending, 1);
    assert_int_equal(after.oldest_pending_ms, before.oldest_pending_ms);
    assert_true(after.clock.last == before.clock.last);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &customer, CUSTOMER_NAME, "Wu & Sons");
    desk_check(&desk);
    desk_clear(&desk);
}

static void test_store_open__a_second_open_names_the_owner(void **state)
{
    struct desk desk;
    struct store *second;
    char pid[40];
    (void)state;
    desk_begin(&desk);
    assert_int_equal(dk_store_open(&desk.options, &second, desk.problem, sizeof desk.problem),
                     DAYBOOK_BUSY);
    assert_null(second);
    (void)dk_text_format(pid, sizeof pid, "process %lld", (long long)getpid());
    assert_non_null(strstr(desk.problem, pid));
    desk_clear(&desk);
}

static void
test_store_open__another_process_names_the_owner_and_its_end_frees_the_store(void **state)
{
    struct desk desk;
    int go[2], ready[2];
    char byte = 0;
    char pid[40];
    (void)state;
    desk_init(&desk);
    assert_int_equal(pipe(go) | pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        daybook_status status =
            dk_store_open(&desk.options, &desk.store, desk.problem, sizeof desk.problem);
        ssize_t moved = write(ready[1], &byte, 1);
        moved += read(go[0], &byte, 1);
        _exit(status == DAYBOOK_OK && moved == 2 ? 0 : 1); /* without closing, as if it crashed */
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    desk_open_expect(&desk, DAYBOOK_BUSY);
    (void)dk_text_format(pid, sizeof pid, "process %lld", (long long)child);
    assert_non_null(strstr(desk.problem, pid));
    assert_int_equal(write(go[1], &byte, 1), 1);
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    desk_open(&desk);
    desk_clear(&desk);
}

static void test_store_open__a_file_that_is_no_database_stays_as_it_is(void **state)
{
    struct desk desk;
    static const char text[] = "This is a letter, and not a database, however long it may be made. "
                               "This is a letter, and not a database, however long it may be made.";
    char after[sizeof text];
    (void)state;
    desk_init(&desk);
    write_file(desk.path, text, sizeof text);
    desk_open_expect(&desk, DAYBOOK_NOT_A_STORE);
    FILE *file = fopen(desk.path, "rb");
    assert_int_equal(fread(after, 1, sizeof after, file), sizeof after);
    (void)fclose(file);
    assert_memory_equal(after, text, sizeof text);
    desk_clear(&desk);
}

static void test_store_open__somebody_elses_database_stays_as_it_is(void **state)
{
    struct desk desk;
    (void)state;
    desk_init(&desk);
    run_sql(desk.path, "CREATE TABLE letters(text)");
    desk_open_expect(&desk, DAYBOOK_NOT_A_STORE);
    assert_non_null(strstr(desk.problem, "not a Daybook store"));
    assert_string_equal(desk_sql(&desk, "PRAGMA journal_mode"), "delete");
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM sqlite_schema"), 1);
    desk_clear(&desk);
}

/* A number that nothing can reckon with is named when the store is opened, not met later. */
static void test_store_open__a_damaged_count_is_corruption(void **state)
{
    static const char *const damages[][2] = {
        {"UPDATE meta SET epoch=-1", "UPDATE meta SET epoch=0"},
        {"UPDATE meta SET position=-1", "UPDATE meta SET position=0"},
        {"UPDATE meta SET next_seq=9223372036854775807", "UPDATE meta SET next_seq=2"},
        {"UPDATE meta SET stamp=-1", "UPDATE meta SET stamp=0"},
        {"UPDATE outbox SET seq=9223372036854775807", "UPDATE outbox SET seq=1"},
        {"UPDATE outbox SET seq=-9223372036854775807-1", "UPDATE outbox SET seq=1"},
    };
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    (void)desk_customer(&desk, "A");
    desk_close(&desk);
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        run_sql(desk.path, damages[i][0]);
        desk_open_expect(&desk, DAYBOOK_CORRUPT);
        assert_string_equal(desk.problem, "the file is damaged");
        run_sql(desk.path, damages[i][1]);
        desk_open(&desk);
        desk_close(&desk);
        desk.problem[0] = '\0';
    }
    /* a time that cannot be keeps nobody from his work */
    run_sql(desk.path, "UPDATE meta SET offset_ms=-9223372036854775807,"
                       "synced_ms=1795000000000000000");
    desk_open(&desk);
    desk_clear(&desk);
}

static void test_store_open__a_newer_store_is_left_alone(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    desk_close(&desk);
    int64_t version = desk_number(&desk, "PRAGMA user_version");
    char sql[64];
    (void)dk_text_format(sql, sizeof sql, "PRAGMA user_version=%lld", (long long)version + 1);
    run_sql(desk.path, sql);
    desk_open_expect(&desk, DAYBOOK_NEWER_STORE);
    (void)dk_text_format(sql, sizeof sql, "PRAGMA user_version=%lld", (long long)version);
    run_sql(desk.path, sql);
    desk_open(&desk);
    desk_clear(&desk);
}

/* A store of before items had what else a group lost gets the column when it is opened, and keeps
 * what it has. */
static void test_store_open__a_store_of_before(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    desk_close(&desk);
    int64_t version = desk_number(&desk, "PRAGMA user_version");
    run_sql(desk.path, "DROP VIEW inbox; ALTER TABLE inbox_item DROP COLUMN rest;"
                       "INSERT INTO inbox_item(kind,code,field,mine,created_ms)"
                       " VALUES('superseded','','name','\"mine\"',1);"
                       "PRAGMA user_version=300001");
    desk_open(&desk);
    assert_string_equal(desk_sql(&desk, "SELECT mine FROM inbox WHERE rest IS NULL"), "\"mine\"");
    assert_int_equal(desk_state(&desk).inbox, 1);
    assert_int_equal(desk_number(&desk, "PRAGMA user_version"), version);
    desk_check(&desk);
    desk_clear(&desk);
}

static void test_store_open__a_missing_or_closed_folder_is_named(void **state)
{
    struct desk desk;
    char path[400];
    (void)state;
    desk_init(&desk);
    (void)dk_text_format(path, sizeof path, "%s/no/such/store.db", desk.folder);
    desk.options.path = path;
    desk_open_expect(&desk, DAYBOOK_CANNOT_OPEN);
    assert_true(strlen(desk.problem) > 0);
    desk.options.path = desk.path;
    if (geteuid() != 0) { /* root may write anywhere */
        assert_int_equal(chmod(desk.folder, 0500), 0);
        desk_open_expect(&desk, DAYBOOK_CANNOT_OPEN);
        assert_int_equal(chmod(desk.folder, 0700), 0);
    }
    desk_open(&desk);
    desk_clear(&desk);
}

static void test_store_open__a_clock_set_back_stays_back(void **state)
{
    struct desk desk;
    (void)state;
    /* given a device whose clock ran an hour ahead when it wrote */
    desk_begin(&desk);
    int64_t right_ms = desk.now_ms;
    desk.now_ms += 3600000;
    (void)desk_customer(&desk, "A");
    /* when it learns the time */
    assert_int_equal(dk_store_learn_clock(desk.store, desk.now_ms, desk.now_ms, right_ms),
                     DAYBOOK_OK);
    /* then stamps go on from the right time, also after a restart with the old stamp still in the
     * outbox */
    desk_close(&desk);
    desk_open(&desk);
    struct store_state after = desk_state(&desk);
    assert_int_equal(after.clock.offset_ms, right_ms - desk.now_ms);
    assert_true(dk_hlc_ms(after.clock.last) <= right_ms + 1000);
    desk_clear(&desk);
}

static void test_store_open__entities_of_an_older_file_get_their_tables_and_columns(void **state)
{
    struct desk desk;
    (void)state;
    /* given a store of a schema that did not know products, nor the industry of customers */
    desk_begin(&desk);
    struct id customer = desk_id(&desk);
    desk_row(&desk, BLOCK_NEW, ENTITY_CUSTOMER, 2, 8, &customer);
    desk_text(&desk, CUSTOMER_NAME, "Wu");
    desk_apply(&desk, 8);
    desk_close(&desk);
    run_sql(desk.path,
            "DROP VIEW product; DROP TABLE r_product; DROP VIEW customer;"
            "ALTER TABLE r_customer DROP COLUMN industry;"
            "DELETE FROM entity_number WHERE name='product';"
            "UPDATE r_customer SET extra='{\"industry\":\"bakery\",\"mood\":7}';"
            "INSERT INTO raw_record VALUES('product',x'0102030405060708090a0b0c0d0e0f10',9,1,"
            "'{\"code\":\"P1\",\"name\":\"Flour\",\"shelf\":3}')");
    /* when this engine opens it */
    desk_open(&desk);
    /* then what was kept aside is in its place, and what is still unknown is kept */
    desk_expect_text(&desk, ENTITY_CUSTOMER, &customer, CUSTOMER_INDUSTRY, "bakery");
    assert_string_equal(desk_sql(&desk, "SELECT extra FROM r_customer"), "{\"mood\":7}");
    assert_string_equal(desk_sql(&desk, "SELECT name||version FROM product"), "Flour9");
    assert_string_equal(desk_sql(&desk, "SELECT extra FROM r_product"), "{\"shelf\":3}");
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM raw_record"), 0);
    desk_check(&desk);
    desk_clear(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_open__a_new_file_becomes_a_store),
        cmocka_unit_test(test_store_open__what_it_knew_is_there_again),
        cmocka_unit_test(test_store_open__a_second_open_names_the_owner),
        cmocka_unit_test(
            test_store_open__another_process_names_the_owner_and_its_end_frees_the_store),
        cmocka_unit_test(test_store_open__a_file_that_is_no_database_stays_as_it_is),
        cmocka_unit_test(test_store_open__somebody_elses_database_stays_as_it_is),
        cmocka_unit_test(test_store_open__a_damaged_count_is_corruption),
        cmocka_unit_test(test_store_open__a_newer_store_is_left_alone),
        cmocka_unit_test(test_store_open__a_store_of_before),
        cmocka_unit_test(test_store_open__a_missing_or_closed_folder_is_named),
        cmocka_unit_test(test_store_open__a_clock_set_back_stays_back),
        cmocka_unit_test(test_store_open__entities_of_an_older_file_get_their_tables_and_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
