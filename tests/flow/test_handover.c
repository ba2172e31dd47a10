/* SPDX-License-Identifier: Apache-2.0
 *
 * What changes hands while its people are offline (X7): customers that are reassigned, reps who are
 * sent elsewhere, teams and roles that change, records whose root changes, users who are disabled;
 * each with work under way on both sides. What was recorded before the change is kept, what is
 * recorded after it is refused and stays in the inbox, and nothing of what others write comes down
 * to who has lost it.
 */
#include "tests/support/company.h"
#include "tests/support/deal.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define AGO_MS 5000
#define LATER_MS 3000

/* In every text that somebody writes who has gained a record; another one in each test. */
static char canary[32];

static struct company company;
static struct rep *wang, *zhao, *boss, *office;

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    wang = company_hire(&company, "wang", "rep", "East");
    zhao = company_hire(&company, "zhao", "rep", "South");
    boss = company_hire(&company, "boss", "manager", NULL);
    office = company_hire(&company, "office", "back_office", NULL);
    return 0;
}

static int new_canary(void **state)
{
    static int number;
    (void)state;
    (void)snprintf(canary, sizeof canary, "kanarienvogel-%d", ++number);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

/* Of the machine, steady. */
static int64_t now_ms(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The steady clock places an act no better than its request travels: what is recorded before a
 * change was recorded some time ago. Behind it the clock is the machine's again. */
static void works_long_before(struct rep *rep, struct deal *deal)
{
    tap_set_ago(&rep->tap, AGO_MS);
    deal_old_rep_works(rep, deal);
    tap_set_ago(&rep->tap, 0);
}

/* The values of who comes later are later, however well the devices know the time. */
static void works_later(struct rep *rep, const struct deal *deal)
{
    tap_set_ahead(&rep->tap, LATER_MS);
    deal_new_rep_works(rep, deal, canary);
    tap_set_ahead(&rep->tap, 0);
}

/* What is recorded from now on was recorded half-way from the change at `change_ms` to now: behind
 * that, and before what changes next. */
static void record_since(struct rep *rep, int64_t change_ms)
{
    tap_set_ago(&rep->tap, (now_ms() - change_ms) / 2);
}

/* ---- a draft order changes hands */

/* What the records are in the end, whoever came first. */
static void deal_is_whole(const struct deal *deal)
{
    assert_field(zhao, "sales_order", deal->order, "note", canary);
    assert_field(zhao, "sales_order", deal->order, "deliver_by", "20270101");
    assert_field(zhao, "sales_order", deal->order, "total", "22000");
    assert_field(zhao, "sales_order", deal->fresh, "total", "7000");
    assert_field(zhao, "visit", deal->visit, "feedback", "old rep");
    assert_field(zhao, "customer", deal->shop, "prefs", canary);
    assert_int_equal(rep_count(zhao,
                               "SELECT count(*) FROM visit v JOIN app_user u ON u.id = v.created_by"
                               " WHERE v.id = ?1 AND u.login = 'wang'",
                               deal->visit),
                     1);
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM customer WHERE id = ?1", deal->shop), 0);
    assert_int_equal(
        rep_count(wang, "SELECT count(*) FROM sales_order WHERE customer_id = ?1", deal->shop), 0);
    assert_int_equal(
        rep_count(wang, "SELECT count(*) FROM visit WHERE customer_id = ?1", deal->shop), 0);
}

/* W: Wang, who was offline, syncs; M: the customer is reassigned; Z: Zhao gets it, works on it
 * offline and syncs, S: sends that. */
static void test_handover__a_draft_order_in_every_order_of_arrival(void **state)
{
    static const char *const orders[] = {"WMZS", "MWZS", "MZWS", "MZSW"};
    (void)state;
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        struct deal deal;
        deal_make(wang, &deal);
        tap_forget(&wang->tap);
        works_long_before(wang, &deal);
        for (const char *step = orders[i]; *step != '\0'; step++) {
            switch (*step) {
            case 'W': rep_sync(wang); break;
            case 'M': company_reassign(&company, deal.shop, "South"); break;
            case 'Z':
                rep_sync(zhao);
                works_later(zhao, &deal);
                break;
            default: rep_sync(zhao); break;
            }
        }
        company_settle(&company);
        deal_is_whole(&deal);
        assert_false(tap_has_received(&wang->tap, canary));
        bool late = orders[i][0] == 'M';
        /* Each of the seven was kept; the order that Wang made is below the customer that moved. */
        assert_int_equal(rep_take_inbox(wang, "moved", ""), late ? 7 : 0);
        /* Both of Wang's values that lost are known where the record is. */
        char sql[200];
        (void)snprintf(sql, sizeof sql,
                       "SELECT count(*) FROM field_conflict WHERE record_id IN ('%s', '%s')"
                       " AND lost = '\"old rep\"'",
                       deal.order, deal.shop);
        bool concurrent = strchr(orders[i], 'W') > strchr(orders[i], 'Z');
        assert_int_equal(rep_count(zhao, sql, NULL), concurrent ? 2 : 0);
    }
}

/* The item tells which record left, and when; the same sent again after a lost reply tells it
 * once. */
static void test_handover__the_old_rep_is_told(void **state)
{
    struct deal deal;
    char later[DAYBOOK_ID_SIZE];
    (void)state;
    deal_make(wang, &deal);
    tap_set_ago(&wang->tap, AGO_MS);
    rep_putf(wang, "visit", deal.visit, "{\"customer_id\":\"%s\",\"feedback\":\"before\"}",
             deal.shop);
    tap_set_ago(&wang->tap, 0);
    company_reassign(&company, deal.shop, "South");
    rep_putf(wang, "visit", later, "{\"customer_id\":\"%s\",\"feedback\":\"after\"}", deal.shop);
    tap_lose_replies(&wang->tap, 1);
    device_sync_expect(&wang->device, DAYBOOK_OFFLINE);
    company_settle(&company);
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM inbox", NULL), 2);
    assert_string_equal(device_text(&wang->device,
                                    "SELECT entity FROM inbox WHERE kind = 'moved'"
                                    " AND CAST(theirs AS INTEGER) BETWEEN created_ms - 600000"
                                    " AND created_ms"),
                        "customer");
    assert_string_equal(
        device_text(&wang->device, "SELECT record_id FROM inbox WHERE kind = 'moved'"), deal.shop);
    /* What was recorded after the move is in the inbox, whole. */
    assert_string_equal(
        device_text(&wang->device, "SELECT code FROM inbox WHERE kind = 'rejected'"),
        "REF_MISSING");
    assert_int_equal(device_int(&wang->device, "SELECT count(*) FROM inbox WHERE"
                                               " kind = 'rejected' AND body LIKE '%after%'"),
                     1);
    assert_field(zhao, "visit", deal.visit, "feedback", "before");
    assert_field(zhao, "visit", later, "feedback", "");
    assert_int_equal(device_status(&wang->device).pending, 0);
    (void)rep_take_inbox(wang, "moved", "");
}

/* ---- every other change of scope, with work under way on both sides */

/* Whoever has lost sight of the customer: nothing of it is left there, the work was kept. */
static void has_lost(struct rep *rep, const struct deal *deal, int64_t moved)
{
    assert_int_equal(rep_count(rep, "SELECT count(*) FROM customer WHERE id = ?1", deal->shop), 0);
    assert_int_equal(
        rep_count(rep, "SELECT count(*) FROM sales_order WHERE customer_id = ?1", deal->shop), 0);
    assert_int_equal(rep_take_inbox(rep, "moved", ""), moved);
    assert_int_equal(device_status(&rep->device).pending, 0);
    assert_false(tap_has_received(&rep->tap, canary));
}

/* A rep is sent to another territory, with a customer made before that nobody has heard of. */
static void test_handover__a_rep_is_sent_to_another_territory(void **state)
{
    struct deal deal;
    char early[DAYBOOK_ID_SIZE], late[DAYBOOK_ID_SIZE], south[DAYBOOK_ID_SIZE];
    (void)state;
    struct rep *sun = company_hire(&company, "sun", "rep", "East");
    deal_make(sun, &deal);
    company_settle(&company);
    tap_forget(&sun->tap);
    works_long_before(sun, &deal);
    tap_set_ago(&sun->tap, AGO_MS);
    rep_put(sun, "customer", "{\"name\":\"early\"}", early);
    tap_set_ago(&sun->tap, 0);
    company_change_user(&company, "sun", "\"territory_id\":{\"key\":\"South\"}");
    works_later(wang, &deal);
    rep_put(zhao, "customer", "{\"name\":\"in the South\"}", south);
    rep_sync(zhao);
    rep_put(sun, "customer", "{\"name\":\"late\"}", late);
    rep_sync(sun);
    rep_sync(wang);
    company_settle(&company);
    has_lost(sun, &deal, 8);
    assert_field(wang, "sales_order", deal.order, "total", "22000");
    assert_field(wang, "visit", deal.visit, "feedback", "old rep");
    assert_field(wang, "customer", early, "name", "early");
    assert_field(zhao, "customer", late, "name", "late");
    assert_field(sun, "customer", late, "name", "late");
    assert_field(sun, "customer", south, "name", "in the South");
    assert_field(sun, "customer", early, "name", "");
    sun->left = true;
}

/* A manager's team changes, and then the manager's role. */
static void test_handover__a_manager_loses_a_member_and_the_role(void **state)
{
    struct deal deal;
    char first[DAYBOOK_ID_SIZE], second[DAYBOOK_ID_SIZE];
    (void)state;
    deal_make(zhao, &deal);
    company_change_user(&company, "zhao", "\"manager_id\":{\"key\":\"boss\"}");
    int64_t change_ms = now_ms();
    company_settle(&company);
    assert_field(boss, "customer", deal.shop, "name", "shop");
    tap_forget(&boss->tap);
    record_since(boss, change_ms);
    deal_old_rep_works(boss, &deal);
    tap_set_ago(&boss->tap, 0);
    company_change_user(&company, "zhao", "\"manager_id\":null");
    works_later(zhao, &deal);
    rep_sync(zhao);
    rep_sync(boss);
    company_settle(&company);
    has_lost(boss, &deal, 7);
    assert_field(zhao, "sales_order", deal.order, "total", "22000");
    assert_field(zhao, "visit", deal.visit, "feedback", "old rep");

    company_change_user(&company, "zhao", "\"manager_id\":{\"key\":\"boss\"}");
    change_ms = now_ms();
    company_settle(&company);
    assert_field(boss, "customer", deal.shop, "name", "shop");
    record_since(boss, change_ms);
    rep_putf(boss, "visit", first, "{\"customer_id\":\"%s\"}", deal.shop);
    tap_set_ago(&boss->tap, 0);
    rep_putf(zhao, "visit", second, "{\"customer_id\":\"%s\"}", deal.shop);
    tap_forget(&boss->tap);
    company_change_user(&company, "boss", "\"user_role\":\"rep\"");
    rep_patchf(zhao, "customer", deal.shop, "{\"prefs\":\"%s again\"}", canary);
    company_settle(&company);
    has_lost(boss, &deal, 1);
    assert_int_equal(rep_count(zhao, "SELECT count(*) FROM visit WHERE id = ?1", first), 1);
    company_change_user(&company, "boss", "\"user_role\":\"manager\"");
    company_change_user(&company, "zhao", "\"manager_id\":null");
}

/* The office hangs a contact on a customer elsewhere. */
static void test_handover__a_record_gets_another_root(void **state)
{
    char east[DAYBOOK_ID_SIZE], south[DAYBOOK_ID_SIZE], anna[DAYBOOK_ID_SIZE];
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"east\"}", east);
    rep_putf(zhao, "customer", south, "{\"name\":\"%s\"}", canary);
    rep_putf(wang, "contact", anna, "{\"customer_id\":\"%s\",\"name\":\"Anna\"}", east);
    company_settle(&company);
    tap_forget(&wang->tap);
    tap_set_ago(&wang->tap, AGO_MS);
    rep_patch(wang, "contact", anna, "{\"phone\":\"+861\"}");
    tap_set_ago(&wang->tap, 0);
    rep_patchf(office, "contact", anna, "{\"customer_id\":\"%s\"}", south);
    rep_sync(office);
    rep_sync(zhao);
    rep_patchf(zhao, "contact", anna, "{\"title\":\"%s\"}", canary);
    company_settle(&company);
    assert_field(zhao, "contact", anna, "phone", "+861");
    assert_field(zhao, "contact", anna, "title", canary);
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM contact WHERE id = ?1", anna), 0);
    assert_int_equal(rep_take_inbox(wang, "moved", anna), 1);
    assert_false(tap_has_received(&wang->tap, canary));
}

/* A customer is taken out of all territories: only the back office has it then. */
static void test_handover__a_customer_loses_its_territory(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct deal deal;
        char line[200];
        deal_make(wang, &deal);
        company_settle(&company);
        tap_forget(&wang->tap);
        works_long_before(wang, &deal);
        works_later(office, &deal);
        (void)snprintf(line, sizeof line,
                       "{\"entity\":\"customer\",\"id\":\"%s\",\"territory_id\":null}\n",
                       deal.shop);
        if (late == 0) {
            rep_sync(wang);
        }
        server_import(&company.server, line);
        rep_sync(office);
        company_settle(&company);
        has_lost(wang, &deal, late == 0 ? 0 : DEAL_WORKS);
        assert_field(office, "sales_order", deal.order, "note", canary);
        assert_field(office, "sales_order", deal.order, "total", "22000");
        assert_field(office, "sales_order", deal.fresh, "total", "7000");
        assert_field(office, "visit", deal.visit, "feedback", "old rep");
        assert_field(office, "customer", deal.shop, "prefs", canary);
    }
}

/* A customer turns out to be one that another rep has in another territory: what the old rep
 * recorded is the other's, whoever comes first. */
static void test_handover__a_customer_is_joined_with_one_elsewhere(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct deal deal;
        char twin[DAYBOOK_ID_SIZE];
        deal_make(wang, &deal);
        rep_put(zhao, "customer", "{\"name\":\"shop\",\"prefs\":\"old\"}", twin);
        company_settle(&company);
        tap_forget(&wang->tap);
        works_long_before(wang, &deal);
        tap_set_ahead(&zhao->tap, LATER_MS);
        rep_patchf(zhao, "customer", twin, "{\"prefs\":\"%s\"}", canary);
        tap_set_ahead(&zhao->tap, 0);
        if (late == 0) {
            rep_sync(wang);
        }
        company_reassign(&company, deal.shop, "South");
        server_must(&company.server, (const char *[]){"customer", "merge", deal.shop, twin, NULL});
        rep_sync(zhao);
        company_settle(&company);
        assert_field(zhao, "customer", twin, "prefs", canary);
        assert_field(zhao, "sales_order", deal.order, "customer_id", twin);
        assert_field(zhao, "sales_order", deal.order, "note", "old rep");
        assert_field(zhao, "sales_order", deal.order, "total", "6000");
        assert_field(zhao, "sales_order", deal.fresh, "customer_id", twin);
        assert_field(zhao, "sales_order", deal.fresh, "total", "7000");
        assert_field(zhao, "visit", deal.visit, "feedback", "old rep");
        assert_int_equal(rep_count(zhao,
                                   "SELECT count(*) FROM field_conflict WHERE record_id = ?1 AND"
                                   " lost = '\"old rep\"'",
                                   twin),
                         1);
        assert_int_equal(
            rep_count(wang, "SELECT count(*) FROM sales_order WHERE id = ?1", deal.order), 0);
        assert_int_equal(rep_count(wang, "SELECT count(*) FROM visit WHERE id = ?1", deal.visit),
                         0);
        assert_int_equal(
            rep_count(wang, "SELECT count(*) FROM inbox WHERE kind = 'rejected'", NULL), 0);
        assert_int_equal(device_status(&wang->device).pending, 0);
        assert_false(tap_has_received(&wang->tap, canary));
        (void)rep_take_inbox(wang, "moved", "");
    }
}

/* A territory is gained and lost again before the device hears of it, and once more after it has
 * heard; work of the time between stands. */
static void test_handover__a_bucket_is_gained_and_lost_again(void **state)
{
    char south[DAYBOOK_ID_SIZE], mine[DAYBOOK_ID_SIZE], visit[DAYBOOK_ID_SIZE];
    (void)state;
    struct rep *qian = company_hire(&company, "qian", "rep", "East");
    rep_put(zhao, "customer", "{\"name\":\"south\"}", south);
    company_settle(&company);
    tap_set_ago(&qian->tap, AGO_MS);
    rep_put(qian, "customer", "{\"name\":\"pending\"}", mine);
    tap_set_ago(&qian->tap, 0);
    company_change_user(&company, "qian", "\"territory_id\":{\"key\":\"South\"}");
    company_change_user(&company, "qian", "\"territory_id\":{\"key\":\"East\"}");
    company_settle(&company);
    assert_field(qian, "customer", mine, "name", "pending");
    assert_field(wang, "customer", mine, "name", "pending");
    assert_int_equal(rep_take_inbox(qian, "moved", ""), 0);

    company_change_user(&company, "qian", "\"territory_id\":{\"key\":\"South\"}");
    int64_t change_ms = now_ms();
    company_settle(&company);
    assert_field(qian, "customer", south, "name", "south");
    record_since(qian, change_ms);
    rep_putf(qian, "visit", visit, "{\"customer_id\":\"%s\",\"feedback\":\"seen\"}", south);
    tap_set_ago(&qian->tap, 0);
    company_change_user(&company, "qian", "\"territory_id\":{\"key\":\"East\"}");
    rep_patchf(zhao, "customer", south, "{\"prefs\":\"%s\"}", canary);
    rep_sync(zhao);
    tap_forget(&qian->tap);
    company_settle(&company);
    assert_field(zhao, "visit", visit, "feedback", "seen");
    assert_int_equal(rep_count(qian, "SELECT count(*) FROM customer WHERE id = ?1", south), 0);
    assert_int_equal(rep_take_inbox(qian, "moved", south), 1);
    assert_false(tap_has_received(&qian->tap, canary));
    qian->left = true;
}

/* A disabled user may still hand in what is on the device, and reads nothing: what the device held
 * is taken away, what it has not sent is kept for an operator. */
static void test_handover__a_disabled_user_hands_in_and_reads_nothing(void **state)
{
    char shop[DAYBOOK_ID_SIZE], visit[DAYBOOK_ID_SIZE];
    (void)state;
    struct rep *wu = company_hire(&company, "wu", "rep", "East");
    rep_put(wu, "customer", "{\"name\":\"wu's\"}", shop);
    company_settle(&company);
    rep_putf(wu, "visit", visit, "{\"customer_id\":\"%s\",\"feedback\":\"the last\"}", shop);
    company_change_user(&company, "wu", "\"disabled\":true");
    rep_putf(wang, "customer", NULL, "{\"name\":\"%s\"}", canary);
    rep_patchf(wang, "customer", shop, "{\"prefs\":\"%s\"}", canary);
    rep_sync(wang);
    tap_forget(&wu->tap);
    rep_sync(wu);
    assert_int_equal(rep_count(wu, "SELECT count(*) FROM buckets", NULL), 0);
    assert_int_equal(rep_count(wu, "SELECT count(*) FROM customer", NULL), 0);
    assert_int_equal(rep_count(wu, "SELECT count(*) FROM product", NULL), 0);
    assert_true(tap_has_received(&wu->tap, "\"quarantined\""));
    assert_false(tap_has_received(&wu->tap, canary));
    assert_false(tap_has_received(&wu->tap, "\"log\""));
    assert_int_equal(server_int(&company.server, "SELECT count(*) FROM quarantine"), 1);
    /* Not for those who begin again with nothing, either. */
    rep_put(wu, "customer", "{\"name\":\"still there\"}", NULL);
    rep_sync(wu);
    assert_int_equal(server_int(&company.server, "SELECT count(*) FROM quarantine"), 2);
    /* When they may again, all comes back. */
    company_change_user(&company, "wu", "\"disabled\":false");
    rep_sync(wu);
    assert_field(wu, "customer", shop, "prefs", canary);
    wu->left = true;
    company_settle(&company);
}

/* Given visits that a rep recorded before the customer changed hands, when the reply to them is
 * lost and the next request has no room for the last, then the marker of that settles it, and the
 * rep is told of all of them all the same. */
static void test_handover__is_told_by_the_marker_where_the_verdict_was_lost(void **state)
{
    char shop[DAYBOOK_ID_SIZE], visit[DAYBOOK_ID_SIZE], wire[CLIENT_ID_SIZE];
    char text[12001];
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"shop\"}", shop);
    company_settle(&company);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    tap_set_ago(&wang->tap, AGO_MS);
    for (int i = 0; i < 3; i++) {
        rep_putf(wang, "visit", visit, "{\"customer_id\":\"%s\",\"custom\":{\"a\":\"%s\"}}", shop,
                 text);
    }
    tap_set_ago(&wang->tap, 0);
    client_id(visit, wire);
    company_reassign(&company, shop, "South");
    tap_forget(&wang->tap);
    tap_lose_replies(&wang->tap, 1);
    assert_int_equal(daybook_sync(wang->device.engine, 0, &wang->device.error), DAYBOOK_OFFLINE);
    assert_true(tap_has_sent(&wang->tap, wire));
    tap_forget(&wang->tap);
    rep_sync(wang);
    assert_false(tap_has_sent(&wang->tap, wire));
    company_settle(&company);
    assert_int_equal(rep_take_inbox(wang, "moved", shop), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_handover__a_draft_order_in_every_order_of_arrival, new_canary),
        cmocka_unit_test_setup(test_handover__the_old_rep_is_told, new_canary),
        cmocka_unit_test(test_handover__is_told_by_the_marker_where_the_verdict_was_lost),
        cmocka_unit_test_setup(test_handover__a_rep_is_sent_to_another_territory, new_canary),
        cmocka_unit_test_setup(test_handover__a_manager_loses_a_member_and_the_role, new_canary),
        cmocka_unit_test_setup(test_handover__a_record_gets_another_root, new_canary),
        cmocka_unit_test_setup(test_handover__a_customer_loses_its_territory, new_canary),
        cmocka_unit_test_setup(test_handover__a_customer_is_joined_with_one_elsewhere, new_canary),
        cmocka_unit_test_setup(test_handover__a_bucket_is_gained_and_lost_again, new_canary),
        cmocka_unit_test_setup(test_handover__a_disabled_user_hands_in_and_reads_nothing,
                               new_canary),
    };
    return cmocka_run_group_tests_name("handover", tests, set_up, tear_down);
}
