/* SPDX-License-Identifier: Apache-2.0
 *
 * Visits that count, on the device before the server has decided: the device's reckoning shows at
 * once, with a reason; it follows what the device shows, survives a restart, goes with what it came
 * from, never goes up, and leaves the server's word as it is.
 */
#include "tests/support/company.h"

#include <daybook/daybook.h>

#include <sqlite3.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define AT_SHOP "\"checkin_lat_e7\":312000000,\"checkin_lon_e7\":1214000000,\"checkin_acc_m\":10"

static struct company company;
static struct rep *wang, *li;
static char shop[DAYBOOK_ID_SIZE], other[DAYBOOK_ID_SIZE];

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    company_pair(&company, &wang, &li, other);
    rep_put(wang, "customer", "{\"name\":\"Shop\",\"lat_e7\":312000000,\"lon_e7\":1214000000}",
            shop);
    company_settle(&company);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

/* Wang's visit of the shop, at a minute of a day that is past; `members` begin with a comma. */
static void add_visit(int minute, const char *members, char id[DAYBOOK_ID_SIZE])
{
    const int64_t time_ms = INT64_C(1736841600000) + minute * INT64_C(60000);
    rep_putf(wang, "visit", id,
             "{\"customer_id\":\"%s\",\"plan_day\":20250114,\"checkin_ts\":\"%lld\"," AT_SHOP
             ",\"checkout_ts\":\"%lld\",\"status\":\"completed\"%s}",
             shop, (long long)time_ms, (long long)time_ms + 600000, members);
}

#define FEEDBACK ",\"feedback\":\"wants samples\""

/* What Wang's device says of a visit: "counts", or why not, with a ? behind it where it is
 * provisional; and whether the field says the same. */
static const char *said(const char *id)
{
    static char text[64];
    daybook_visit_count count = DAYBOOK_VISIT_COUNT_INIT;
    device_must(daybook_visit_counts(wang->device.engine, id, &count), NULL);
    (void)snprintf(text, sizeof text, "%s%s", count.counts ? "counts" : count.reason,
                   count.provisional ? "?" : "");
    return text;
}

#define assert_said(id, value)                                                                     \
    do {                                                                                           \
        assert_string_equal(said(id), value);                                                      \
        assert_field(wang, "visit", id, "effective", strncmp(value, "counts", 6) == 0 ? "1" : ""); \
    } while (false)

/* A change of Wang's that the server refuses whole, since it also names a customer that Li has
 * deleted: `write` writes the rest. */
static void refuse(const char *members, const char *visit)
{
    daybook_transaction *transaction = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    char json[200];
    rep_delete(li, "customer", other);
    rep_sync(li);
    device_must(daybook_begin(wang->device.engine, &transaction), NULL);
    device_must(
        daybook_patch_json(transaction, "visit", visit, DAYBOOK_ANY_VERSION, members, &error),
        &error);
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\",\"name\":\"Anna\"}", other);
    device_must(daybook_put_json(transaction, "contact", NULL, DAYBOOK_NEW, json, NULL, &error),
                &error);
    device_must(daybook_commit(transaction, &error), &error);
    daybook_end(&transaction);
}

static void test_visits__what_is_pending_is_reckoned(void **state)
{
    char first[DAYBOOK_ID_SIZE], twin[DAYBOOK_ID_SIZE], third[DAYBOOK_ID_SIZE];
    char action[DAYBOOK_ID_SIZE];
    (void)state;
    add_visit(60, "", first);
    assert_said(first, "no_result?");
    add_visit(120, FEEDBACK, twin);
    assert_said(twin, "counts?");
    rep_putf(wang, "visit_action", action, "{\"visit_id\":\"%s\",\"kind\":\"order\"}", first);
    assert_said(first, "counts?");
    assert_said(twin, "twin?"); /* it follows what comes before it */
    add_visit(200, FEEDBACK, third);
    assert_said(third, "counts?");
    device_close(&wang->device);
    device_open(&wang->device);
    assert_said(first, "counts?");
    assert_said(twin, "twin?");
    rep_delete(wang, "visit", first);
    assert_said(twin, "counts?");
    assert_said(third, "twin?");
    tap_forget(&wang->tap);
    company_settle(&company);
    assert_true(tap_has_sent(&wang->tap, "wants samples"));
    assert_false(tap_has_sent(&wang->tap, "effective"));
    assert_said(twin, "counts");
    assert_said(third, "twin");
    assert_field(li, "visit", twin, "effective", "1");
    assert_int_equal(device_int(&wang->device, "SELECT count(*) FROM inbox"), 0);
}

/* Given a visit that counts, when Wang takes its feedback away and the server refuses that, then it
 * counts again, by the server's word; the same the other way round. */
static void test_visits__what_is_undone_is_the_servers_word_again(void **state)
{
    char visit[DAYBOOK_ID_SIZE];
    (void)state;
    for (int counts = 0; counts <= 1; counts++) {
        const char *settled = counts == 1 ? "counts" : "no_result";
        add_visit(60 + 300 * counts, counts == 1 ? FEEDBACK : "", visit);
        company_settle(&company);
        assert_said(visit, settled);
        refuse(counts == 1 ? "{\"feedback\":null}" : "{\"feedback\":\"after all\"}", visit);
        assert_said(visit, counts == 1 ? "no_result?" : "counts?");
        rep_patch(wang, "visit", visit, "{\"outcome\":[\"price\"]}");
        rep_sync(wang);
        assert_int_equal(rep_take_inbox(wang, "rejected", ""), 1);
        company_settle(&company);
        assert_said(visit, settled);
        assert_field(wang, "visit", visit, "outcome", "[\"price\"]");
        rep_put(li, "customer", "{\"name\":\"Another\"}", other);
        company_settle(&company);
    }
}

/* Given a visit that counted before its customer moved, when Wang changes what it is not judged by,
 * then the server's word stands; when its feedback, then both find that it was too far away. */
static void test_visits__what_is_not_judged_anew_stays(void **state)
{
    char visit[DAYBOOK_ID_SIZE];
    (void)state;
    add_visit(60, FEEDBACK, visit);
    company_settle(&company);
    rep_patch(li, "customer", shop, "{\"lat_e7\":322000000}");
    company_settle(&company);
    rep_patch(wang, "visit", visit, "{\"outcome\":[\"price\"]}");
    assert_said(visit, "counts");
    rep_patch(wang, "visit", visit, "{\"feedback\":\"wants more\"}");
    assert_said(visit, "far?");
    rep_patch(li, "customer", shop, "{\"lat_e7\":312000000}");
    rep_sync(li);
    rep_sync(wang);
    assert_said(visit, "counts");
    company_settle(&company);
    assert_said(visit, "counts");
}

/* Given a visit that is too far from the one before it, when that one goes, then it counts, on the
 * device at once and on the server. */
static void test_visits__the_way_from_the_one_before(void **state)
{
    char first[DAYBOOK_ID_SIZE], second[DAYBOOK_ID_SIZE], far[DAYBOOK_ID_SIZE];
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"Far\",\"lat_e7\":322000000,\"lon_e7\":1214000000}", far);
    add_visit(60, FEEDBACK, first);
    rep_putf(wang, "visit", second,
             "{\"customer_id\":\"%s\",\"checkin_ts\":\"1736846400000\",\"status\":\"completed\","
             "\"checkin_lat_e7\":322000000,\"checkin_lon_e7\":1214000000,\"checkin_acc_m\":10,"
             "\"checkout_ts\":\"1736847000000\"" FEEDBACK "}",
             far); /* twenty minutes later */
    assert_said(first, "counts?");
    assert_said(second, "too_fast?");
    company_settle(&company);
    assert_said(second, "too_fast");
    rep_delete(wang, "visit", first);
    rep_patch(wang, "visit", second, "{\"feedback\":\"wants more\"}");
    assert_said(second, "counts?");
    company_settle(&company);
    assert_said(second, "counts");
}

/* Given a visit without a place that its manager has verified, when it is moved away or deleted,
 * then the one behind it is no twin any more, on the device at once. */
static void test_visits__a_twin_of_one_without_a_place(void **state)
{
    char first[DAYBOOK_ID_SIZE], twin[DAYBOOK_ID_SIZE];
    struct rep *boss = company_hire(&company, "boss", "manager", "East");
    (void)state;
    rep_putf(wang, "visit", first,
             "{\"customer_id\":\"%s\",\"checkin_ts\":\"1736845200000\","
             "\"checkout_ts\":\"1736845800000\",\"status\":\"completed\"" FEEDBACK "}",
             shop);
    company_settle(&company);
    assert_said(first, "no_place");
    rep_patch(boss, "visit", first, "{\"status\":\"verified\"}");
    company_settle(&company);
    assert_said(first, "counts");
    add_visit(120, FEEDBACK, twin);
    assert_said(twin, "twin?");
    rep_patch(wang, "visit", first, "{\"checkin_ts\":\"1736820000000\"}");
    assert_said(first, "counts?");
    assert_said(twin, "counts?");
    rep_patch(wang, "visit", first, "{\"checkin_ts\":\"1736845200000\"}");
    assert_said(twin, "twin?");
    rep_delete(wang, "visit", first);
    assert_said(twin, "counts?");
    company_settle(&company);
    assert_said(twin, "counts");
}

/* Given a visit of which everything is settled, when an action comes to it, then the device says so
 * at once when it is asked, and the field when the server has decided. */
static void test_visits__an_action_alone(void **state)
{
    char visit[DAYBOOK_ID_SIZE], action[DAYBOOK_ID_SIZE];
    (void)state;
    add_visit(60, "", visit);
    company_settle(&company);
    assert_said(visit, "no_result");
    rep_putf(wang, "visit_action", action, "{\"visit_id\":\"%s\",\"kind\":\"order\"}", visit);
    assert_string_equal(said(visit), "counts?");
    assert_field(wang, "visit", visit, "effective", "");
    company_settle(&company);
    assert_said(visit, "counts");
}

/* During each exchange Wang takes a visit's feedback away, or gives it back. */
static void write_meanwhile(void *context, int number, daybook_status status)
{
    const char *visit = context;
    (void)status;
    if (number <= 2) {
        rep_patch(wang, "visit", visit,
                  number == 1 ? "{\"feedback\":null}" : "{\"feedback\":\"after all\"}");
        assert_said(visit, number == 1 ? "no_result?" : "counts?");
    }
}

/* Given a reckoning that is other than the server's word, when the device compares what every
 * record says with the server, then they agree. */
static void test_visits__no_sum_has_it(void **state)
{
    char visit[DAYBOOK_ID_SIZE];
    (void)state;
    add_visit(60, FEEDBACK, visit);
    company_settle(&company);
    device_must(daybook_verify(wang->device.engine), NULL);
    tap_forget(&wang->tap);
    wang->tap.context = visit;
    wang->tap.exchanges = 0;
    wang->tap.after = write_meanwhile;
    rep_sync(wang);
    wang->tap.after = NULL;
    assert_true(tap_exchanges(&wang->tap) >= 2);
    assert_true(tap_has_received(&wang->tap, "\"contents\""));
    assert_int_equal(device_status(&wang->device).divergences, 0);
    company_settle(&company);
    assert_said(visit, "counts");
}

/* Runs SQL on Wang's store while it is closed. */
static void run_on_file(const char *sql)
{
    sqlite3 *database = NULL;
    assert_int_equal(sqlite3_open(wang->device.path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

/* Given a store as an engine leaves it that does not reckon, with a visit pending, when it is
 * opened, then the visit is reckoned. */
static void test_visits__a_store_of_before(void **state)
{
    char visit[DAYBOOK_ID_SIZE];
    (void)state;
    add_visit(60, FEEDBACK, visit);
    device_close(&wang->device);
    run_on_file("DROP INDEX r_visit_by_time; UPDATE r_visit SET effective=NULL;"
                "PRAGMA user_version=100001");
    device_open(&wang->device);
    assert_said(visit, "counts?");
    device_close(&wang->device);
    run_on_file(
        "DROP INDEX r_visit_by_time;"
        "CREATE INDEX r_visit_by_rep ON r_visit(rep_id,checkin_ts); PRAGMA user_version=200001");
    device_open(&wang->device);
    company_settle(&company);
    assert_said(visit, "counts");
}

static void test_visits__why_it_does_not_count(void **state)
{
    static const struct {
        const char *patch, *reason;
    } cases[] = {
        {"{\"checkin_mock\":true}", "mock?"},
        {"{\"checkin_acc_m\":101}", "vague?"},
        {"{\"checkin_acc_m\":null,\"checkin_lat_e7\":null,\"checkin_lon_e7\":null}", "no_place?"},
        {"{\"checkin_lat_e7\":312100000}", "far?"},
        {"{\"checkout_ts\":null}", "short?"},
        {"{\"feedback\":null}", "no_result?"},
        {"{\"outcome\":[\"price\"]}", "counts?"},
    };
    char visit[DAYBOOK_ID_SIZE], stranger[DAYBOOK_ID_SIZE];
    daybook_visit_count count = DAYBOOK_VISIT_COUNT_INIT, none = {.size = 0};
    daybook *engine = wang->device.engine;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        add_visit(60 + 200 * (int)i, FEEDBACK, visit);
        assert_said(visit, "counts?");
        rep_patch(wang, "visit", visit, cases[i].patch);
        assert_said(visit, cases[i].reason);
    }
    rep_putf(wang, "visit", stranger, "{\"customer_id\":\"%s\"}", shop);
    assert_said(stranger, "open?");
    (void)snprintf(stranger, sizeof stranger, "%s", shop);
    assert_int_equal(daybook_visit_counts(engine, stranger, &count), DAYBOOK_NOT_FOUND);
    assert_int_equal(daybook_visit_counts(engine, "x", &count), DAYBOOK_INVALID);
    assert_int_equal(daybook_visit_counts(engine, visit, &none), DAYBOOK_MISUSE);
    assert_int_equal(daybook_visit_counts(engine, visit, NULL), DAYBOOK_MISUSE);
    assert_int_equal(daybook_visit_counts(NULL, visit, &count), DAYBOOK_MISUSE);
    company_settle(&company);
    assert_said(visit, "counts");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_visits__##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_pending_is_reckoned),
        TEST(what_is_undone_is_the_servers_word_again),
        TEST(what_is_not_judged_anew_stays),
        TEST(an_action_alone),
        TEST(the_way_from_the_one_before),
        TEST(a_twin_of_one_without_a_place),
        TEST(no_sum_has_it),
        TEST(a_store_of_before),
        TEST(why_it_does_not_count),
    };
    return cmocka_run_group_tests_name("visits", tests, NULL, NULL);
}
