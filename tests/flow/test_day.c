/* SPDX-License-Identifier: Apache-2.0
 *
 * A day of two reps of one territory and one of another, with an hour without a server: visits,
 * quotes, orders, and in the end every replica is what the server has.
 */
#include "tests/support/company.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct company company;

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

/* One transaction of a visit with two actions, as an app makes it with typed setters. */
static void record_visit(struct rep *rep, const char *customer, char visit[DAYBOOK_ID_SIZE])
{
    daybook_transaction *transaction = NULL;
    daybook_record *record = NULL;
    device_must(daybook_begin(rep->device.engine, &transaction), NULL);
    device_must(daybook_put(transaction, "visit", NULL, DAYBOOK_NEW, &record), NULL);
    memcpy(visit, daybook_record_id(record), DAYBOOK_ID_SIZE);
    device_must(daybook_set_id(record, "customer_id", customer), NULL);
    device_must(daybook_set_int(record, "checkin_ts", 1795226400000), NULL);
    device_must(daybook_set_int(record, "checkin_lat_e7", 312304000), NULL);
    device_must(daybook_set_int(record, "checkin_lon_e7", 1214737000), NULL);
    device_must(daybook_set_bool(record, "checkin_mock", false), NULL);
    device_must(daybook_set_text(record, "feedback", "货架缺货一半 \"half empty\"\n二十箱"), NULL);
    device_must(daybook_set_add(record, "outcome", "order"), NULL);
    device_must(daybook_set_custom(record, "shelf", "3"), NULL);
    for (int i = 0; i < 2; i++) {
        device_must(daybook_put(transaction, "visit_action", NULL, DAYBOOK_NEW, &record), NULL);
        device_must(daybook_set_id(record, "visit_id", visit), NULL);
        device_must(daybook_set_text(record, "kind", "stock_count"), NULL);
        device_must(daybook_set_int(record, "qty", 7000 - i * 9000), NULL);
    }
    device_must(daybook_commit(transaction, &rep->device.error), &rep->device.error);
    daybook_end(&transaction);
}

static void test_day__two_reps_and_a_stranger_end_with_what_the_server_has(void **state)
{
    char shop[DAYBOOK_ID_SIZE], quote[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
    char visit[DAYBOOK_ID_SIZE], order[DAYBOOK_ID_SIZE];
    (void)state;
    struct rep *wang = company_hire(&company, "wang", "rep", "East");
    struct rep *li = company_hire(&company, "li", "rep", "East");
    struct rep *tom = company_hire(&company, "tom", "rep", "South");
    struct rep *office = company_hire(&company, "office", "back_office", NULL);

    /* Morning, online: a customer with a quote, seen by the colleague and the office at once. */
    rep_quote(wang, "好邻居便利店（人民路）", shop, quote, line);
    rep_sync(wang);
    rep_sync(li);
    rep_sync(office);
    assert_field(li, "quote", quote, "total", "28148");
    assert_field(li, "quote", quote, "tax", "3238");
    assert_field(office, "customer", shop, "name", "好邻居便利店（人民路）");

    /* The server is away: everything goes on. */
    server_stop(&company.server);
    record_visit(li, shop, visit);
    rep_putf(wang, "sales_order", order, "{\"customer_id\":\"%s\",\"cur\":\"CNY\"}", shop);
    rep_putf(wang, "order_line", NULL,
             "{\"order_id\":\"%s\",\"product_id\":\"" COOKIE "\",\"qty\":20000,"
             "\"price_e4\":360000}",
             order);
    rep_put(tom, "customer", "{\"name\":\"Bäckerei Huber\"}", NULL);
    device_sync_expect(&li->device, DAYBOOK_OFFLINE);
    assert_int_equal(device_status(&li->device).pending, 1);
    assert_int_equal(device_status(&wang->device).pending, 2);
    assert_field(wang, "sales_order", order, "total", "72000");

    /* Evening: back. */
    server_start(&company.server);
    company_settle(&company);
    assert_int_equal(device_status(&li->device).pending, 0);
    assert_field(wang, "visit", visit, "feedback", "货架缺货一半 \"half empty\"\n二十箱");
    assert_field(wang, "visit", visit, "status", "planned");
    assert_field(office, "sales_order", order, "total", "72000");
    int64_t actions =
        rep_count(wang, "SELECT count(*) FROM visit_action WHERE visit_id = ?1", visit);
    assert_int_equal(actions, 2);

    /* The stranger has his own customer and none of theirs. */
    assert_int_equal(rep_count(tom, "SELECT count(*) FROM customer", NULL), 1);
    assert_int_equal(rep_count(tom, "SELECT count(*) FROM quote", NULL), 0);
    assert_int_equal(rep_count(office, "SELECT count(*) FROM customer", NULL), 2);
    for (int i = 0; i < company.count; i++) {
        assert_int_equal(rep_count(&company.reps[i], "SELECT count(*) FROM inbox", NULL), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_day__two_reps_and_a_stranger_end_with_what_the_server_has),
    };
    return cmocka_run_group_tests_name("day", tests, set_up, tear_down);
}
