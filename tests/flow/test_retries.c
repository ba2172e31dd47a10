/* SPDX-License-Identifier: Apache-2.0
 *
 * Conflict case X27: a reply is lost and the client sends again. The stored verdict comes, whatever
 * it was, and each changeset has one effect, in every pattern of losses and through a restart.
 */
#include "engine/protocol/limits.h"
#include "tests/support/company.h"

#include <daybook/daybook.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct company company;
static struct rep *wang, *li;
static char shop[DAYBOOK_ID_SIZE], gone[DAYBOOK_ID_SIZE];

/* Two reps of a territory, a shop, and a customer that Li has deleted and Wang has not seen gone.
 */
static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    wang = company_hire(&company, "wang", "rep", "East");
    li = company_hire(&company, "li", "rep", "East");
    rep_put(wang, "customer", "{\"name\":\"shop\"}", shop);
    rep_put(wang, "customer", "{\"name\":\"gone\"}", gone);
    company_settle(&company);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

/* ---- the verdict itself */

#define VERDICT_TEXT 600

/* The last verdict as JSON, without the mark that it is a repeat; *duplicate tells of that. */
static void take_verdict(struct client *client, char out[VERDICT_TEXT], bool *duplicate)
{
    cJSON *row = cJSON_GetArrayItem(dk_tree_member(client->reply, "verdicts"), 0);
    cJSON *details = cJSON_GetArrayItem(row, 3);
    assert_non_null(row);
    *duplicate = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(details, "duplicate"));
    cJSON_DeleteItemFromObjectCaseSensitive(details, "duplicate");
    if (cJSON_IsObject(details) && details->child == NULL) {
        cJSON_DeleteItemFromArray(row, 3);
    }
    assert_true(cJSON_PrintPreallocated(row, out, VERDICT_TEXT, false));
}

/* Sends the changes, again, and again after the server was killed: the same verdict comes. */
static void expect_same_verdict(struct client *client, const char *kind, const char *changes,
                                int64_t schema)
{
    char id[CLIENT_ID_SIZE], first[VERDICT_TEXT], again[VERDICT_TEXT];
    bool duplicate;
    client_new_id(id);
    struct client_changeset changeset = {changes, id, client->next_seq++, schema, 0};
    assert_string_equal(client_push_as(client, changeset), kind);
    take_verdict(client, first, &duplicate);
    assert_false(duplicate);
    int64_t head = server_int(&company.server, "SELECT head FROM org");
    for (int i = 0; i < 3; i++) {
        if (i == 1) {
            server_kill(&company.server);
            server_start(&company.server);
        }
        assert_string_equal(client_push_as(client, changeset), kind);
        take_verdict(client, again, &duplicate);
        assert_true(duplicate);
        assert_string_equal(again, first);
    }
    assert_int_equal(server_int(&company.server, "SELECT head FROM org"), head);
}

static void test_retries__any_verdict_comes_again(void **state)
{
    struct client client;
    char record[CLIENT_ID_SIZE], order[CLIENT_ID_SIZE], place[CLIENT_ID_SIZE];
    char lines[2][CLIENT_ID_SIZE], tea[CLIENT_ID_SIZE], changes[1500];
    (void)state;
    client_init(&client, &company.server);
    client_enrol(&client, "wang");
    client_new_id(record);
    client_id(shop, place);
    client_id(TEA, tea);
    (void)snprintf(changes, sizeof changes,
                   "[{\"entity\":\"visit\",\"op\":\"new\",\"fields\":[\"customer_id\"],"
                   "\"rows\":[[0,\"%s\",\"%s\"]]}]",
                   record, place);
    expect_same_verdict(&client, "accepted", changes, 0);
    /* Merged: Li's change is later by its stamp and has not been seen. */
    rep_patch(li, "customer", shop, "{\"name\":\"of Li\"}");
    rep_sync(li);
    (void)snprintf(changes, sizeof changes,
                   "[{\"entity\":\"customer\",\"op\":\"set\",\"fields\":[\"name\"],"
                   "\"rows\":[[1,\"%s\",\"of the client\"]]}]",
                   place);
    expect_same_verdict(&client, "merged", changes, 0);
    /* Rejected, with all details. */
    (void)snprintf(changes, sizeof changes,
                   "[{\"entity\":\"customer\",\"op\":\"set\",\"fields\":[\"name\"],"
                   "\"rows\":[[1,\"%s\",null]]}]",
                   place);
    expect_same_verdict(&client, "rejected", changes, 0);
    /* Accepted, and held: the same product twice. */
    client_new_id(order);
    client_new_id(lines[0]);
    client_new_id(lines[1]);
    (void)snprintf(changes, sizeof changes,
                   "[{\"entity\":\"sales_order\",\"op\":\"new\",\"fields\":[\"customer_id\","
                   "\"cur\"],\"rows\":[[0,\"%s\",\"%s\",\"CNY\"]]},{\"entity\":\"order_line\","
                   "\"op\":\"new\",\"fields\":[\"order_id\",\"product_id\",\"qty\",\"price_e4\"],"
                   "\"rows\":[[0,\"%s\",\"%s\",\"%s\",\"1000\",\"10000\"],"
                   "[0,\"%s\",\"%s\",\"%s\",\"1000\",\"10000\"]]}]",
                   order, place, lines[0], order, tea, lines[1], order, tea);
    expect_same_verdict(&client, "accepted", changes, 0);
    assert_int_equal(server_int(&company.server, "SELECT count(*) FROM hold"), 1);
    /* Quarantined: of a schema that this server does not have. */
    client_new_id(record);
    (void)snprintf(changes, sizeof changes,
                   "[{\"entity\":\"survey_of_tomorrow\",\"op\":\"new\",\"fields\":[\"score\"],"
                   "\"rows\":[[0,\"%s\",4]]}]",
                   record);
    expect_same_verdict(&client, "quarantined", changes, SCHEMA_VERSION + 1);
    assert_int_equal(server_int(&company.server, "SELECT count(*) FROM quarantine"), 1);
    client_clear(&client);
    company_settle(&company);
}

/* ---- with engines */

enum { STEPS = 4 };

/* One transaction of Wang's, of each kind of outcome. */
static void step(int number)
{
    char order[DAYBOOK_ID_SIZE];
    switch (number) {
    case 0: rep_patch(wang, "customer", shop, "{\"name\":\"of Wang\",\"kind\":\"store\"}"); break;
    case 1:
        rep_putf(wang, "visit", NULL, "{\"customer_id\":\"%s\",\"feedback\":\"accepted\"}", shop);
        break;
    case 2:
        rep_putf(wang, "visit", NULL, "{\"customer_id\":\"%s\",\"feedback\":\"rejected\"}", gone);
        break;
    default:
        rep_putf(wang, "sales_order", order, "{\"customer_id\":\"%s\",\"cur\":\"CNY\"}", shop);
        for (int i = 0; i < 2; i++) {
            rep_putf(wang, "order_line", NULL,
                     "{\"order_id\":\"%s\",\"product_id\":\"" TEA "\",\"qty\":1000,\"price_e4\":1}",
                     order);
        }
    }
}

/* Whose name of the shop stands is a matter of their clocks; the other one is in the conflict log.
 * Wang's transactions go up one by one; those whose bit is set lose their reply, once or twice, and
 * Li works in between. In the end nothing shows which. */
static void test_retries__no_pattern_of_losses_shows(void **state)
{
    (void)state;
    for (int pattern = 0; pattern < 1 << STEPS; pattern++) {
        tear_down(NULL);
        set_up(NULL);
        rep_delete(li, "customer", gone);
        rep_sync(li);
        rep_patch(wang, "customer", shop, "{\"channel\":\"direct\"}");
        rep_patch(li, "customer", shop, "{\"name\":\"of Li\"}");
        rep_sync(li);
        for (int i = 0; i < STEPS; i++) {
            step(i);
            if ((pattern >> i & 1) != 0) {
                tap_lose_replies(&wang->tap, 1 + i % 2);
                device_sync_expect(&wang->device, DAYBOOK_OFFLINE);
                rep_patch(li, "customer", shop, "{\"industry\":\"retail\"}");
                rep_sync(li);
                if (i % 2 == 1) {
                    device_sync_expect(&wang->device, DAYBOOK_OFFLINE);
                }
            }
            rep_sync(wang);
        }
        company_settle(&company);
        assert_string_equal(server_text(&company.server,
                                        "SELECT (SELECT count(*) FROM visit) || ' ' ||"
                                        " (SELECT count(*) FROM sales_order) || ' ' ||"
                                        " (SELECT count(*) FROM order_line) || ' ' ||"
                                        " (SELECT count(*) FROM hold) || ' ' ||"
                                        " (SELECT count(*) FROM field_conflict) || ' ' ||"
                                        " (SELECT kind || channel FROM customer)"),
                            "1 1 2 1 1 storedirect");
        assert_int_equal(
            rep_count(wang, "SELECT count(*) FROM inbox WHERE kind = 'rejected'", NULL), 1);
        assert_int_equal(
            server_int(&company.server, "SELECT count(*) FROM decision WHERE position = 0"), 1);
        assert_int_equal(device_status(&wang->device).unsettled, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_retries__any_verdict_comes_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_retries__no_pattern_of_losses_shows, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("retries", tests, NULL, NULL);
}
