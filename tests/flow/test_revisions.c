/* SPDX-License-Identifier: Apache-2.0
 *
 * Documents whose content stands, through real engines and the real server: a quote that is sent
 * while others edit it offline, and an order that headquarters cancel while the rep changes it; in
 * every order of arrival all replicas are equal, everything that was typed is somewhere, and
 * syncing again changes nothing.
 */
#include "tests/support/company.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct company company;
static struct rep *wang, *li, *boss, *office;

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    wang = company_hire(&company, "wang", "rep", "East");
    li = company_hire(&company, "li", "rep", "East");
    boss = company_hire(&company, "boss", "manager", "East");
    office = company_hire(&company, "office", "back_office", NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

static const int orders[6][3] = {{0, 1, 2}, {1, 0, 2}, {2, 1, 0}, {0, 2, 1}, {1, 2, 0}, {2, 0, 1}};

/* One number or text of the server's, with an id put into the query. */
static const char *server_of(const char *format, const char *id)
{
    char sql[400];
    (void)snprintf(sql, sizeof sql, format, id);
    return server_text(&company.server, sql);
}

/* The head of the log: it does not move where nothing changes. */
static int64_t head(void)
{
    return server_int(&company.server, "SELECT head FROM org");
}

static void arrive(const int order[3])
{
    struct rep *people[] = {wang, li, boss};
    for (int i = 0; i < 3; i++) {
        rep_sync(people[order[i]]);
    }
    company_settle(&company);
    int64_t before = head();
    company_settle(&company);
    assert_int_equal(head(), before);
}

static int64_t inbox_of(struct rep *rep, const char *field)
{
    char sql[200];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM inbox WHERE field = '%s'", field);
    return device_int(&rep->device, sql);
}

/* How many items tell that what was done to a quote is in this revision. */
static int64_t told_of(struct rep *rep, const char *quote, const char *fork)
{
    char sql[400];
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM inbox WHERE kind = 'revision' AND record_id = '%s'"
                   " AND mine = '{\"id\":\"%s\",\"rev\":2}' AND theirs = '\"sent\"'",
                   quote, fork);
    return device_int(&rep->device, sql);
}

/* ---- X4 */

static void test_revisions__quote_is_sent_while_others_edit_it(void **state)
{
    char quote[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE], added[DAYBOOK_ID_SIZE], fork[60];
    (void)state;
    for (int i = 0; i < 6; i++) {
        rep_quote(wang, "shop", NULL, quote, line);
        company_settle(&company);
        /* Wang still writes a line of the note and sends; Li changes note and quantity; the manager
         * adds a line. */
        rep_patch(wang, "quote", quote, "{\"note\":\"as sent\",\"status\":\"sent\"}");
        rep_patch(li, "quote", quote, "{\"valid_to\":20270131}");
        rep_patch(li, "quote_line", line, "{\"qty\":7000}");
        rep_putf(boss, "quote_line", added,
                 "{\"quote_id\":\"%s\",\"product_id\":\"" COOKIE
                 "\",\"qty\":1000,\"price_e4\":50000}",
                 quote);
        rep_patch(boss, "quote_line", added, "{\"qty\":2000}");
        arrive(orders[i]);

        assert_string_equal(company_field(&company, "quote", quote, "status"), "sent");
        assert_string_equal(company_field(&company, "quote", quote, "note"), "as sent");
        assert_string_equal(company_field(&company, "quote", quote, "valid_to"), "");
        assert_string_equal(company_field(&company, "quote", quote, "sent_copy"), "");
        assert_string_equal(
            server_of("SELECT count(*) || ' ' || sum(qty) FROM quote_line WHERE quote_id = '%s'",
                      quote),
            "1 24000");
        assert_string_equal(server_of("SELECT total FROM quote WHERE id = '%s'", quote), "28148");
        (void)snprintf(fork, sizeof fork, "%s",
                       server_of("SELECT id FROM quote WHERE revision_of = '%s'", quote));
        assert_string_equal(server_of("SELECT count(*) FROM quote WHERE revision_of = '%s'", quote),
                            "1");
        assert_string_equal(
            server_of("SELECT status || ' ' || rev || ' ' || note || ' ' || valid_to FROM quote"
                      " WHERE id = '%s'",
                      fork),
            "draft 2 as sent 20270131");
        assert_string_equal(
            server_of("SELECT count(*) || ' ' || sum(qty) FROM quote_line WHERE quote_id = '%s'",
                      fork),
            "2 9000");
        assert_field(li, "quote", fork, "valid_to", "20270131");
        assert_field(wang, "quote", fork, "status", "draft");
        /* Those who edited are told: saved as revision 2, not sent. */
        assert_true(told_of(li, quote, fork) > 0);
        assert_true(told_of(boss, quote, fork) > 0);
        assert_int_equal(told_of(wang, quote, fork), 0);
    }
}

/* Keys of the app's own that others gave to a quote, unseen by its sender, are on the revision
 * alone, on every device. */
static void test_revisions__keys_that_were_not_sent_go(void **state)
{
    char quote[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE], fork[60];
    (void)state;
    for (int first = 0; first < 2; first++) {
        rep_quote(wang, "shop", NULL, quote, line);
        rep_patch(wang, "quote", quote, "{\"custom\":{\"floor\":3,\"lift\":true}}");
        company_settle(&company);
        rep_patch(wang, "quote", quote, "{\"custom\":{\"door\":1},\"status\":\"sent\"}");
        rep_patch(li, "quote", quote,
                  "{\"custom\":{\"colour\":\"red\",\"floor\":4,\"lift\":null}}");
        rep_sync(first == 0 ? wang : li);
        rep_sync(first == 0 ? li : wang);
        company_settle(&company);
        for (int i = 0; i < 3; i++) {
            struct rep *people[] = {wang, li, boss};
            assert_field(people[i], "quote", quote, "custom",
                         "{\"door\":1,\"floor\":3,\"lift\":true}");
        }
        (void)snprintf(fork, sizeof fork, "%s",
                       server_of("SELECT id FROM quote WHERE revision_of = '%s'", quote));
        assert_field(boss, "quote", fork, "custom", "{\"colour\":\"red\",\"door\":1,\"floor\":4}");
    }
}

/* Two send one quote offline, each with a note: the first stands, and the other's is in the
 * conflict log and told. */
static void test_revisions__two_send_one_quote(void **state)
{
    char quote[DAYBOOK_ID_SIZE], sql[300];
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct rep *winner = first == 0 ? wang : li, *other = first == 0 ? li : wang;
        rep_quote(wang, "shop", NULL, quote, NULL);
        company_settle(&company);
        rep_patchf(wang, "quote", quote, "{\"note\":\"by wang %d\",\"status\":\"sent\"}", first);
        rep_patchf(li, "quote", quote, "{\"note\":\"by li %d\",\"status\":\"sent\"}", first);
        rep_sync(winner);
        rep_sync(other);
        company_settle(&company);
        assert_string_equal(company_field(&company, "quote", quote, "status"), "sent");
        assert_field(boss, "quote", quote, "note", first == 0 ? "by wang 0" : "by li 1");
        (void)snprintf(sql, sizeof sql,
                       "SELECT item FROM inbox WHERE record_id = '%s' AND mine = "
                       "'{\"note\":\"%s\"}' AND theirs = '\"sent\"'",
                       quote, first == 0 ? "by li 0" : "by wang 1");
        int64_t item = device_int(&other->device, sql);
        assert_true(item > 0);
        /* It can be read, and is no change of what stands. */
        assert_int_equal(daybook_inbox_keep_mine(other->device.engine, item, &other->device.error),
                         DAYBOOK_INVALID);
        assert_field(other, "quote", quote, "status", "sent");
        assert_int_equal(device_int(&other->device, sql), item);
    }
}

/* What the device shows as sent it does not let change; the revision goes on, and is sent in its
 * turn. */
static void test_revisions__device_refuses_what_it_shows_as_sent(void **state)
{
    char quote[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE], json[300];
    daybook_transaction *transaction = NULL;
    (void)state;
    rep_quote(wang, "shop", NULL, quote, line);
    rep_patch(wang, "quote", quote, "{\"status\":\"sent\"}");
    company_settle(&company);
    int64_t version = device_version(&li->device, "quote", quote);
    assert_int_equal(rep_try_patch(li, "quote", quote, version, "{\"note\":\"x\"}"), DAYBOOK_RULE);
    assert_string_equal(li->device.error.rule, "frozen");
    assert_string_equal(li->device.error.field, "note");
    version = device_version(&li->device, "quote_line", line);
    assert_int_equal(rep_try_patch(li, "quote_line", line, version, "{\"qty\":1000}"),
                     DAYBOOK_RULE);
    (void)snprintf(json, sizeof json,
                   "{\"quote_id\":\"%s\",\"product_id\":\"" COOKIE
                   "\",\"qty\":1000,\"price_e4\":50000}",
                   quote);
    assert_int_equal(rep_try_put(li, "quote_line", json), DAYBOOK_RULE);
    device_must(daybook_begin(li->device.engine, &transaction), NULL);
    device_must(daybook_delete(transaction, "quote", quote, DAYBOOK_ANY_VERSION), NULL);
    assert_int_equal(daybook_commit(transaction, &li->device.error), DAYBOOK_RULE);
    daybook_end(&transaction);
    assert_int_equal(
        rep_try_patch(li, "quote", quote, DAYBOOK_ANY_VERSION, "{\"sent_copy\":\"x\"}"),
        DAYBOOK_READONLY);
    assert_int_equal(device_status(&li->device).pending, 0);
    /* Its state may go on. */
    rep_patch(li, "quote", quote, "{\"status\":\"accepted\"}");
    company_settle(&company);
    assert_field(wang, "quote", quote, "status", "accepted");
}

/* Filled in and sent in one transaction; and made, filled and sent offline. */
static void test_revisions__one_transaction_fills_in_and_sends(void **state)
{
    char quote[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
    (void)state;
    for (int made_offline = 0; made_offline < 2; made_offline++) {
        daybook_transaction *transaction = NULL;
        rep_quote(wang, "shop", NULL, quote, line);
        if (made_offline == 0) {
            company_settle(&company);
        }
        device_must(daybook_begin(wang->device.engine, &transaction), NULL);
        device_must(daybook_patch_json(transaction, "quote", quote, DAYBOOK_ANY_VERSION,
                                       "{\"status\":\"sent\",\"note\":\"n\"}", &wang->device.error),
                    &wang->device.error);
        device_must(daybook_patch_json(transaction, "quote_line", line, DAYBOOK_ANY_VERSION,
                                       "{\"qty\":1000}", &wang->device.error),
                    &wang->device.error);
        device_must(daybook_commit(transaction, &wang->device.error), &wang->device.error);
        daybook_end(&transaction);
        company_settle(&company);
        assert_string_equal(company_field(&company, "quote", quote, "status"), "sent");
        assert_string_equal(company_field(&company, "quote_line", line, "qty"), "1000");
        assert_string_equal(server_of("SELECT count(*) FROM quote WHERE revision_of = '%s'", quote),
                            "0");
    }
}

/* Sending that is rejected is undone, and sends its copy anew when it is mended. */
static void test_revisions__newer_revision_supersedes(void **state)
{
    char quote[DAYBOOK_ID_SIZE], fork[60];
    (void)state;
    rep_quote(wang, "shop", NULL, quote, NULL);
    company_settle(&company);
    rep_patch(wang, "quote", quote, "{\"status\":\"sent\"}");
    rep_patch(li, "quote", quote, "{\"note\":\"better\"}");
    company_settle(&company);
    (void)snprintf(fork, sizeof fork, "%s",
                   server_of("SELECT id FROM quote WHERE revision_of = '%s'", quote));
    rep_patch(li, "quote", fork, "{\"status\":\"sent\"}");
    rep_patch(boss, "quote", quote, "{\"status\":\"accepted\"}");
    rep_sync(li);
    company_settle(&company);
    assert_string_equal(company_field(&company, "quote", quote, "status"), "accepted");
    assert_string_equal(server_of("SELECT code FROM hold WHERE record_id = '%s'", quote),
                        "REV_STALE");
    assert_field(wang, "quote", fork, "status", "sent");
}

/* An order of one line by Wang, which everybody has; `line` NULL: without one. */
static void submit_order(const char *shop, char order[DAYBOOK_ID_SIZE], char *line)
{
    rep_putf(wang, "sales_order", order,
             "{\"customer_id\":\"%s\",\"cur\":\"CNY\",\"status\":\"submitted\"}", shop);
    if (line != NULL) {
        rep_putf(wang, "order_line", line,
                 "{\"order_id\":\"%s\",\"product_id\":\"" TEA "\",\"qty\":1000,\"price_e4\":50000}",
                 order);
    }
    company_settle(&company);
}

/* ---- X16 */

static void test_revisions__order_is_cancelled_while_the_rep_changes_it(void **state)
{
    char shop[DAYBOOK_ID_SIZE], order[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"shop\"}", shop);
    for (int i = 0; i < 6; i++) {
        submit_order(shop, order, line);
        /* Headquarters cancel; Wang changes the order; Li adds a line. */
        rep_patch(boss, "sales_order", order, "{\"status\":\"cancelled\"}");
        rep_patch(wang, "sales_order", order, "{\"note\":\"by wang\"}");
        rep_patch(wang, "order_line", line, "{\"qty\":3000}");
        rep_putf(li, "order_line", NULL,
                 "{\"order_id\":\"%s\",\"product_id\":\"" COOKIE
                 "\",\"qty\":1000,\"price_e4\":70000}",
                 order);
        arrive(orders[i]);
        assert_field(li, "sales_order", order, "status", "cancelled");
        assert_string_equal(company_field(&company, "sales_order", order, "status"), "cancelled");
        assert_string_equal(company_field(&company, "sales_order", order, "note"), "by wang");
        assert_string_equal(company_field(&company, "order_line", line, "qty"), "3000");
        assert_string_equal(
            server_of("SELECT count(*) FROM order_line WHERE order_id = '%s'", order), "2");
        /* All of it is in the conflict log as well, so that it can go into a new order. */
        assert_string_equal(server_of("SELECT count(*) FROM field_conflict WHERE record_id = '%s'"
                                      " AND kept = '\"cancelled\"' AND lost LIKE '%%by wang%%'",
                                      order),
                            "1");
        assert_true(inbox_of(wang, "*") > 0);
        /* Nobody revives it. */
        int64_t version = device_version(&li->device, "sales_order", order);
        assert_int_equal(
            rep_try_patch(li, "sales_order", order, version, "{\"status\":\"submitted\"}"),
            DAYBOOK_RULE);
        assert_int_equal(rep_try_patch(li, "sales_order", order, version, "{\"note\":\"x\"}"),
                         DAYBOOK_RULE);
    }
}

/* Headquarters cancel while the office confirms. */
static void test_revisions__cancel_wins_against_the_confirmation(void **state)
{
    char shop[DAYBOOK_ID_SIZE], order[DAYBOOK_ID_SIZE];
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"shop\"}", shop);
    for (int first = 0; first < 2; first++) {
        submit_order(shop, order, NULL);
        rep_patch(boss, "sales_order", order, "{\"status\":\"cancelled\"}");
        rep_patch(office, "sales_order", order, "{\"status\":\"confirmed\"}");
        rep_patch(office, "sales_order", order, "{\"status\":\"picking\"}");
        rep_sync(first == 0 ? boss : office);
        rep_sync(first == 0 ? office : boss);
        company_settle(&company);
        assert_string_equal(company_field(&company, "sales_order", order, "status"), "cancelled");
        assert_field(office, "sales_order", order, "status", "cancelled");
    }
}

/* The rep's edits of an order that was confirmed meanwhile, on the device and after. */
static void test_revisions__confirmed_order_stands(void **state)
{
    char shop[DAYBOOK_ID_SIZE], order[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
    char added[DAYBOOK_ID_SIZE];
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"shop\"}", shop);
    submit_order(shop, order, line);
    rep_patch(office, "sales_order", order, "{\"status\":\"confirmed\"}");
    rep_sync(office);
    rep_patch(wang, "order_line", line, "{\"qty\":9000}");
    rep_putf(wang, "order_line", added,
             "{\"order_id\":\"%s\",\"product_id\":\"" COOKIE "\",\"qty\":1000,\"price_e4\":70000}",
             order);
    rep_patch(wang, "order_line", added, "{\"qty\":4000}");
    rep_delete(li, "order_line", line);
    company_settle(&company);
    assert_field(wang, "order_line", line, "qty", "1000");
    assert_field(li, "order_line", line, "qty", "1000");
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM order_line WHERE order_id = ?1", order),
                     1);
    assert_true(server_int(&company.server, "SELECT count(*) FROM field_conflict WHERE"
                                            " kept = '\"confirmed\"' AND lost LIKE '%9000%'") == 1);
    assert_true(server_int(&company.server,
                           "SELECT count(*) FROM field_conflict WHERE"
                           " kept = '\"confirmed\"' AND lost LIKE '%70000%'") == 1);
}

/* The office confirms an order whose line a rep had changed: where it has seen that, it is
 * confirmed and that is all, though the order itself is as it was; where it has not, it is held. */
static void test_revisions__what_the_office_saw_of_the_lines_is_known(void **state)
{
    char shop[DAYBOOK_ID_SIZE], order[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"shop\"}", shop);
    for (int saw = 0; saw < 2; saw++) {
        submit_order(shop, order, line);
        rep_patch(wang, "order_line", line, "{\"qty\":3000}");
        rep_sync(wang);
        if (saw == 1) {
            rep_sync(office);
        }
        rep_patch(office, "sales_order", order, "{\"status\":\"confirmed\"}");
        company_settle(&company);
        assert_string_equal(company_field(&company, "sales_order", order, "status"), "confirmed");
        assert_string_equal(company_field(&company, "order_line", line, "qty"), "3000");
        assert_string_equal(server_of("SELECT count(*) FROM hold WHERE record_id = '%s'", order),
                            saw == 1 ? "0" : "1");
        assert_string_equal(
            server_of("SELECT count(*) FROM field_conflict WHERE record_id = '%s'", line),
            saw == 1 ? "0" : "1");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_revisions__quote_is_sent_while_others_edit_it),
        cmocka_unit_test(test_revisions__keys_that_were_not_sent_go),
        cmocka_unit_test(test_revisions__two_send_one_quote),
        cmocka_unit_test(test_revisions__device_refuses_what_it_shows_as_sent),
        cmocka_unit_test(test_revisions__one_transaction_fills_in_and_sends),
        cmocka_unit_test(test_revisions__newer_revision_supersedes),
        cmocka_unit_test(test_revisions__order_is_cancelled_while_the_rep_changes_it),
        cmocka_unit_test(test_revisions__cancel_wins_against_the_confirmation),
        cmocka_unit_test(test_revisions__confirmed_order_stands),
        cmocka_unit_test(test_revisions__what_the_office_saw_of_the_lines_is_known),
    };
    return cmocka_run_group_tests_name("revisions", tests, set_up, tear_down);
}
