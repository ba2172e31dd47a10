/* SPDX-License-Identifier: Apache-2.0
 *
 * The comparison that all flow tests end with can fail: it sees one value, one row more or less,
 * one bucket, one step behind, one record that is not settled.
 */
#include "tests/support/company.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <sqlite3.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct company company;
static struct rep *wang;
static struct device copy; /* of Wang's store, to be spoilt */

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    wang = company_hire(&company, "wang", "rep", "East");
    rep_quote(wang, "shop", NULL, NULL, NULL);
    company_settle(&company);
    device_init(&copy, NULL, NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    device_clear(&copy);
    company_close(&company);
    return 0;
}

/* A fresh copy, spoilt by this. What the comparison says of it. */
static int64_t compare_after(const char *sql)
{
    sqlite3 *database = NULL;
    const struct replica replica = {
        .store = copy.path, .server = company.server.database, .login = "wang"};
    device_close(&wang->device);
    device_copy(&wang->device, &copy);
    device_open(&wang->device);
    assert_int_equal(sqlite3_open(copy.path, &database), SQLITE_OK);
    int result = sqlite3_exec(database, sql, NULL, NULL, NULL);
    if (result != SQLITE_OK) {
        print_error("%s: %s\n", sql, sqlite3_errmsg(database));
    }
    assert_int_equal(result, SQLITE_OK);
    assert_true(sql[0] == '\0' || sqlite3_changes(database) > 0);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    return replica_compare(&replica);
}

static void test_replica__any_difference_is_seen(void **state)
{
    static const char *const spoilers[] = {
        "UPDATE r_customer SET name = name || ' '",
        "UPDATE r_customer SET kind = ''",
        "UPDATE r_quote SET total = total + 1",
        "UPDATE r_quote_line SET version = version + 1",
        "UPDATE r_quote_line SET disc_bp = NULL",
        "UPDATE r_quote_line SET qty = '24000.5'",
        "UPDATE r_app_user SET created_dev = 7",
        "DELETE FROM r_quote_line",
        "DELETE FROM r_price",
        ("INSERT INTO r_customer(id, version, bucket, name) SELECT randomblob(16), version, bucket,"
         " 'one more' FROM r_customer"),
        "DELETE FROM scope WHERE bucket = (SELECT max(bucket) FROM scope)",
        "INSERT INTO scope(bucket, label, loading, until) VALUES(99, 'territory:99', 0, 0)",
        "UPDATE meta SET position = position - 1",
    };
    (void)state;
    int64_t rows = compare_after("");
    /* Organisation, territory, user, customer, quote, line, two products, a price: at least. */
    assert_true(rows >= 9);
    for (size_t i = 0; i < sizeof spoilers / sizeof spoilers[0]; i++) {
        if (compare_after(spoilers[i]) >= 0) {
            print_error("not seen: %s\n", spoilers[i]);
            fail();
        }
    }
    assert_int_equal(compare_after(""), rows);
}

static void test_replica__unsettled_work_is_seen(void **state)
{
    const struct replica replica = {
        .store = wang->device.path, .server = company.server.database, .login = "wang"};
    (void)state;
    assert_true(replica_compare(&replica) > 0);
    rep_put(wang, "customer", "{\"name\":\"pending\"}", NULL);
    assert_int_equal(replica_compare(&replica), -1);
    company_settle(&company);
    assert_true(replica_compare(&replica) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replica__any_difference_is_seen),
        cmocka_unit_test(test_replica__unsettled_work_is_seen),
    };
    return cmocka_run_group_tests_name("replica", tests, set_up, tear_down);
}
