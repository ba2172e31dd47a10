/* SPDX-License-Identifier: Apache-2.0
 *
 * One document of the archive: whoever has its root in scope can fetch it, sees it apart from the
 * records, and loses it with the scope; for everybody else it does not exist.
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
static struct rep *wang, *tom, *office;

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    wang = company_hire(&company, "wang", "rep", "East");
    tom = company_hire(&company, "tom", "rep", "South");
    office = company_hire(&company, "office", "back_office", NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

/* An order of Wang's with two lines that nobody holds any more. */
static void archived_order(char shop[DAYBOOK_ID_SIZE], char order[DAYBOOK_ID_SIZE])
{
    const char *const classify[] = {"classify", "--open-days", "0", "--recent-days",
                                    "0",        "--last",      "0", NULL};
    rep_put(wang, "customer", "{\"name\":\"shop\"}", shop);
    rep_putf(wang, "sales_order", order,
             "{\"customer_id\":\"%s\",\"cur\":\"CNY\",\"note\":\"kanarienvogel\"}", shop);
    for (int i = 0; i < 2; i++) {
        rep_putf(wang, "order_line", NULL,
                 "{\"order_id\":\"%s\",\"product_id\":\"%s\",\"qty\":1000,\"uom\":\"box\","
                 "\"price_e4\":100000}",
                 order, i == 0 ? TEA : COOKIE);
    }
    rep_patch(wang, "sales_order", order, "{\"status\":\"cancelled\"}");
    company_settle(&company);
    server_must(&company.server, classify);
    company_settle(&company);
    assert_field(wang, "sales_order", order, "note", "");
}

static daybook_status fetch(struct rep *rep, const char *entity, const char *id)
{
    return daybook_fetch(rep->device.engine, entity, id, &rep->device.error);
}

static const char *fetched(struct rep *rep, const char *id, const char *field)
{
    char sql[200];
    (void)snprintf(sql, sizeof sql, "SELECT body->>'$.%s' FROM fetched WHERE id = ?1", field);
    return device_text_of(&rep->device, sql, id);
}

static void test_fetch__a_document_of_the_archive(void **state)
{
    char shop[DAYBOOK_ID_SIZE], order[DAYBOOK_ID_SIZE];
    (void)state;
    archived_order(shop, order);
    device_must(fetch(wang, "sales_order", order), &wang->device.error);
    assert_string_equal(fetched(wang, order, "note"), "kanarienvogel");
    assert_string_equal(fetched(wang, order, "customer_id"), shop);
    assert_string_equal(fetched(wang, order, "total"), "2000");
    assert_int_equal(rep_count(wang,
                               "SELECT count(*) FROM fetched WHERE document = ?1"
                               " AND entity = 'order_line' AND body->>'$.amount' = '1000'",
                               order),
                     2);
    assert_int_equal(rep_count(wang,
                               "SELECT count(*) FROM fetched WHERE id = ?1 AND"
                               " abs(fetched_ms - unixepoch() * 1000) < 600000",
                               order),
                     1);
    /* It is no record, and nothing that compares replicas minds it. */
    assert_field(wang, "sales_order", order, "note", "");
    company_settle(&company);
    /* Again: in the place of what was there. */
    device_must(fetch(wang, "sales_order", order), &wang->device.error);
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM fetched WHERE document = ?1", order), 3);
    device_must(fetch(office, "sales_order", order), &office->device.error);
    assert_string_equal(fetched(office, order, "note"), "kanarienvogel");
    device_must(daybook_forget(wang->device.engine, order), NULL);
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM fetched", NULL), 0);
    assert_int_equal(daybook_forget(wang->device.engine, order), DAYBOOK_NOT_FOUND);
    assert_int_equal(daybook_forget(wang->device.engine, "x"), DAYBOOK_INVALID);
}

/* The bytes that come down are the same for what is others' and for what is not there. */
static void test_fetch__what_is_out_of_scope_does_not_exist(void **state)
{
    char shop[DAYBOOK_ID_SIZE], order[DAYBOOK_ID_SIZE], json[200], wire[CLIENT_ID_SIZE];
    struct client client;
    (void)state;
    archived_order(shop, order);
    assert_int_equal(fetch(tom, "sales_order", order), DAYBOOK_NOT_FOUND);
    assert_int_equal(fetch(tom, "sales_order", TEA), DAYBOOK_NOT_FOUND);
    assert_int_equal(fetch(tom, "customer", shop), DAYBOOK_NOT_FOUND);
    assert_int_equal(fetch(wang, "customer", shop), DAYBOOK_NOT_FOUND); /* no document */
    assert_int_equal(fetch(tom, "nothing", order), DAYBOOK_INVALID);
    assert_int_equal(fetch(tom, "sales_order", "x"), DAYBOOK_INVALID);
    assert_int_equal(rep_count(tom, "SELECT count(*) FROM fetched", NULL), 0);
    assert_false(tap_has_received(&tom->tap, "kanarienvogel"));

    client_init(&client, &company.server);
    client_enrol(&client, "tom");
    size_t length = 0;
    for (int i = 0; i < 3; i++) {
        client_id(i == 0 ? order : i == 1 ? TEA : shop, wire);
        (void)snprintf(json, sizeof json, "{\"protocol\":1,\"entity\":\"%s\",\"record\":\"%s\"}",
                       i == 2 ? "unheard_of" : "sales_order", wire);
        assert_int_equal(client_post(&client, "/v1/fetch", json), 200);
        assert_null(strstr(dk_buffer_text(&client.text), "rows"));
        assert_true(length == 0 || length == client.text.length);
        length = client.text.length;
    }
    (void)client_post(&client, "/v1/fetch", "{\"protocol\":1,\"entity\":\"visit\"}");
    client_expect_error(&client, 400, "BAD_REQUEST");
    (void)client_post(
        &client, "/v1/fetch",
        "{\"protocol\":9,\"entity\":\"visit\",\"record\":\"AZKfbDoAcACAAAAAAAAABQ\"}");
    client_expect_error(&client, 426, "UPGRADE_NEEDED");
    (void)snprintf(client.token, sizeof client.token, "%s",
                   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    (void)client_post(
        &client, "/v1/fetch",
        "{\"protocol\":1,\"entity\":\"visit\",\"record\":\"AZKfbDoAcACAAAAAAAAABQ\"}");
    client_expect_error(&client, 401, "SIGN_IN");
    client_clear(&client);
}

/* What was fetched goes with the customer that it hangs from, and with the territory. */
static void test_fetch__what_leaves_the_scope_is_gone(void **state)
{
    char shop[DAYBOOK_ID_SIZE], order[DAYBOOK_ID_SIZE];
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        archived_order(shop, order);
        device_must(fetch(wang, "sales_order", order), &wang->device.error);
        const char *const reassign[] = {"customer", "reassign", shop, "--territory", "South", NULL};
        const char *const move[] = {"user", "change", "wang", "--territory", "South", NULL};
        const char *const back[] = {"user", "change", "wang", "--territory", "East", NULL};
        const char *const disable[] = {"user", "change", "wang", "--disabled", "yes", NULL};
        const char *const enable[] = {"user", "change", "wang", "--disabled", "no", NULL};
        server_must(&company.server, kind == 0 ? reassign : kind == 1 ? move : disable);
        rep_sync(wang);
        assert_int_equal(rep_count(wang, "SELECT count(*) FROM fetched", NULL), 0);
        assert_int_equal(fetch(wang, "sales_order", order), DAYBOOK_NOT_FOUND);
        if (kind == 0) {
            device_must(fetch(tom, "sales_order", order), &tom->device.error);
        }
        server_must(&company.server, kind == 2 ? enable : back);
        company_settle(&company);
    }
}

/* Given a visit of the archive that was fetched, when somebody changes or deletes it or its action,
 * then that is refused, in one word; an action more brings it back, and then it can be changed. */
static void test_fetch__what_was_fetched_is_read_only(void **state)
{
    char shop[DAYBOOK_ID_SIZE], visit[DAYBOOK_ID_SIZE], action[DAYBOOK_ID_SIZE];
    const char *const classify[] = {"classify", "--open-days", "0", "--recent-days",
                                    "0",        "--last",      "0", NULL};
    daybook_transaction *transaction = NULL;
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"shop\"}", shop);
    rep_putf(wang, "visit", visit, "{\"customer_id\":\"%s\",\"status\":\"cancelled\"}", shop);
    rep_putf(wang, "visit_action", action, "{\"visit_id\":\"%s\",\"kind\":\"photo\"}", visit);
    company_settle(&company);
    server_must(&company.server, classify);
    company_settle(&company);
    device_must(fetch(wang, "visit", visit), &wang->device.error);
    for (int child = 0; child < 2; child++) {
        const char *entity = child != 0 ? "visit_action" : "visit";
        const char *id = child != 0 ? action : visit;
        assert_int_equal(
            rep_try_patch(wang, entity, id, DAYBOOK_ANY_VERSION, "{\"custom\":{\"a\":1}}"),
            DAYBOOK_READONLY);
        assert_string_equal(wang->device.error.rule, "fetched");
        device_must(daybook_begin(wang->device.engine, &transaction), NULL);
        assert_int_equal(daybook_delete(transaction, entity, id, DAYBOOK_ANY_VERSION),
                         DAYBOOK_READONLY);
        daybook_end(&transaction);
    }
    assert_int_equal(device_status(&wang->device).pending, 0);
    rep_putf(wang, "visit_action", NULL, "{\"visit_id\":\"%s\",\"kind\":\"survey\"}", visit);
    company_settle(&company);
    rep_patch(wang, "visit", visit, "{\"feedback\":\"back\"}");
    company_settle(&company);
    assert_string_equal(company_field(&company, "visit", visit, "feedback"), "back");
    assert_int_equal(
        rep_count(wang, "SELECT count(*) FROM visit_action WHERE visit_id = ?1", visit), 2);
}

/* A failed fetch leaves what was fetched before. */
static void test_fetch__without_a_connection_it_says_so(void **state)
{
    char shop[DAYBOOK_ID_SIZE], order[DAYBOOK_ID_SIZE];
    (void)state;
    archived_order(shop, order);
    device_must(fetch(wang, "sales_order", order), &wang->device.error);
    tap_set_offline(&wang->tap, true);
    assert_int_equal(fetch(wang, "sales_order", order), DAYBOOK_OFFLINE);
    tap_set_offline(&wang->tap, false);
    /* What was there stays. */
    assert_string_equal(fetched(wang, order, "note"), "kanarienvogel");
    device_close(&wang->device);
    device_open(&wang->device);
    assert_string_equal(fetched(wang, order, "note"), "kanarienvogel");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fetch__a_document_of_the_archive),
        cmocka_unit_test(test_fetch__what_is_out_of_scope_does_not_exist),
        cmocka_unit_test(test_fetch__what_leaves_the_scope_is_gone),
        cmocka_unit_test(test_fetch__what_was_fetched_is_read_only),
        cmocka_unit_test(test_fetch__without_a_connection_it_says_so),
    };
    return cmocka_run_group_tests_name("fetch", tests, set_up, tear_down);
}
