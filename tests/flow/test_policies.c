/* SPDX-License-Identifier: Apache-2.0
 *
 * What the policies of the entity table refuse and let through: writes that the device itself
 * refuses, equal changes, sets that only grow. Concurrent changes are test_merge_table.c's.
 */
#include "tests/support/company.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct company company;
static struct rep *wang, *li;
static char shop[DAYBOOK_ID_SIZE];

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    wang = company_hire(&company, "wang", "rep", "East");
    li = company_hire(&company, "li", "rep", "East");
    rep_put(wang, "customer", "{\"name\":\"shop\"}", shop);
    company_settle(&company);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

/* A visit with one of everything, that both have. */
static void new_visit(char visit[DAYBOOK_ID_SIZE])
{
    rep_putf(wang, "visit", visit,
             "{\"customer_id\":\"%s\",\"kind\":\"routine\",\"checkin_ts\":1795226400000,"
             "\"checkout_ts\":1795228200000,\"outcome\":[\"a\",\"b\"]}",
             shop);
    company_settle(&company);
}

/* ---- refused by the device */

/* The patch is refused with this status and names this field, and nothing is left of it. */
static void refused_here(const char *entity, const char *id, const char *json,
                         daybook_status status, const char *field)
{
    int64_t pending = device_status(&li->device).pending;
    int64_t version = device_version(&li->device, entity, id);
    daybook_status got = rep_try_patch(li, entity, id, version, json);
    if (got != status) {
        print_error("%s %s: %s, expected %s\n", entity, json, daybook_status_name(got),
                    daybook_status_name(status));
    }
    assert_int_equal(got, status);
    assert_string_equal(li->device.error.entity, entity);
    assert_string_equal(li->device.error.field, field);
    assert_int_equal(device_status(&li->device).pending, pending);
}

static void test_policies__device_refuses_what_is_not_its_to_write(void **state)
{
    char visit[DAYBOOK_ID_SIZE], quote[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
    (void)state;
    new_visit(visit);
    rep_quote(wang, "quotes", NULL, quote, line);
    company_settle(&company);
    /* IMMUTABLE, SERVER, DERIVED, the common fields. */
    refused_here("visit", visit, "{\"kind\":\"other\"}", DAYBOOK_READONLY, "kind");
    refused_here("quote", quote, "{\"cur\":\"EUR\"}", DAYBOOK_READONLY, "cur");
    refused_here("visit", visit, "{\"effective\":true}", DAYBOOK_READONLY, "effective");
    refused_here("customer", shop, "{\"tier\":\"A\"}", DAYBOOK_READONLY, "tier");
    refused_here("quote", quote, "{\"total\":1}", DAYBOOK_READONLY, "total");
    refused_here("quote_line", line, "{\"amount\":1}", DAYBOOK_READONLY, "amount");
    refused_here("customer", shop, "{\"norm_name\":\"x\"}", DAYBOOK_READONLY, "norm_name");
    refused_here("visit", visit, "{\"created_by\":null}", DAYBOOK_READONLY, "created_by");
    /* The same value as it has is no change. */
    rep_patch(li, "visit", visit, "{\"kind\":\"routine\"}");
    assert_int_equal(rep_try_put(li, "product", "{\"code\":\"X\"}"), DAYBOOK_READONLY);
    assert_int_equal(rep_try_put(li, "field_conflict", "{}"), DAYBOOK_READONLY);
    company_settle(&company);
}

static void test_policies__device_refuses_bad_values(void **state)
{
    static const struct {
        const char *json;
        daybook_status status;
        const char *field;
    } cases[] = {
        {"{\"nonsense\":1}", DAYBOOK_UNKNOWN_FIELD, "nonsense"},
        {"{\"name\":1}", DAYBOOK_WRONG_TYPE, "name"},
        {"{\"lat_e7\":900000001,\"lon_e7\":0}", DAYBOOK_OUT_OF_RANGE, "lat_e7"},
        {"{\"phone_e164\":\"+86 0123456789 0123456789\"}", DAYBOOK_TOO_LONG, "phone_e164"},
        {"{\"status\":\"nonsense\"}", DAYBOOK_INVALID, "status"},
        {"{\"name\":null}", DAYBOOK_REQUIRED, "name"},
        {"{\"lat_e7\":1}", DAYBOOK_RULE, "lon_e7"},
        {"{\"name\":\"a\",\"name\":\"b\"}", DAYBOOK_BAD_JSON, ""},
        {"{\"name\":\"a\"} ", DAYBOOK_OK, ""},
        {"{\"name\":\"a\"}x", DAYBOOK_BAD_JSON, ""},
        {"{\"name\":\"\\u0000\"}", DAYBOOK_BAD_JSON, ""},
        {"{\"name\":\"\xff\"}", DAYBOOK_BAD_JSON, ""},
        {"\xef\xbb\xbf{\"name\":\"a\"}", DAYBOOK_BAD_JSON, ""},
        {"{\"lat_e7\":01}", DAYBOOK_BAD_JSON, ""},
        {"{\"custom\":{\"a\":9007199254740993}}", DAYBOOK_INVALID, "custom"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t version = device_version(&li->device, "customer", shop);
        daybook_status status = rep_try_patch(li, "customer", shop, version, cases[i].json);
        if (status != cases[i].status) {
            print_error("%s: %s (%s %s)\n", cases[i].json, daybook_status_name(status),
                        li->device.error.field, li->device.error.text);
        }
        assert_int_equal(status, cases[i].status);
        if (status != DAYBOOK_OK) {
            assert_string_equal(li->device.error.field, cases[i].field);
        }
    }
    assert_int_equal(rep_try_put(li, "nonsense", "{}"), DAYBOOK_UNKNOWN_ENTITY);
    assert_field(li, "customer", shop, "name", "a");
    company_settle(&company);
}

static void test_policies__equal_changes_of_such_fields_are_no_conflict(void **state)
{
    char visit[DAYBOOK_ID_SIZE];
    (void)state;
    new_visit(visit);
    rep_patch(wang, "visit", visit, "{\"status\":\"completed\",\"outcome\":[\"z\"]}");
    rep_patch(li, "visit", visit, "{\"status\":\"completed\",\"outcome\":[\"z\"]}");
    company_settle(&company);
    assert_field(wang, "visit", visit, "status", "completed");
    assert_field(li, "visit", visit, "outcome", "[\"z\"]");
    assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox"), 0);
}

/* The id of a user. */
static const char *user_of(const char *login)
{
    static char id[DAYBOOK_ID_SIZE];
    (void)snprintf(
        id, sizeof id, "%s",
        device_text_of(&wang->device, "SELECT id FROM app_user WHERE login = ?1", login));
    return id;
}

/* Puts one element into an order's set that only grows. */
static void add_element(struct rep *rep, const char *order, const char *element)
{
    daybook_transaction *transaction = NULL;
    daybook_record *record = NULL;
    int64_t version = device_version(&rep->device, "sales_order", order);
    device_must(daybook_begin(rep->device.engine, &transaction), NULL);
    device_must(daybook_patch(transaction, "sales_order", order, version, &record), NULL);
    device_must(daybook_set_add(record, "cancel_req", element), NULL);
    device_must(daybook_commit(transaction, &rep->device.error), &rep->device.error);
    daybook_end(&transaction);
}

/* Everybody has these elements, each with the login of its author in front. */
static void all_have(const char *order, const char *expected)
{
    static const char sql[] = "SELECT group_concat(text, ', ') FROM (SELECT u.login || ' ' ||"
                              " substr(e.value, 38) AS text FROM sales_order o,"
                              " json_each(o.cancel_req) e, app_user u"
                              " WHERE o.id = ?1 AND u.id = substr(e.value, 1, 36) ORDER BY text)";
    assert_string_equal(device_text_of(&wang->device, sql, order), expected);
    assert_string_equal(device_text_of(&li->device, sql, order), expected);
}

/* Given a set that only grows, when two add to it, one of them in the other's name, then both
 * additions are there, each as its author's. */
static void test_policies__sets_that_only_grow_unite(void **state)
{
    char order[DAYBOOK_ID_SIZE], forged[60], own[120];
    (void)state;
    (void)snprintf(forged, sizeof forged, "%s forged", user_of("wang"));
    (void)snprintf(own, sizeof own, "%s own", user_of("li"));
    rep_putf(wang, "sales_order", order,
             "{\"customer_id\":\"%s\",\"cur\":\"CNY\",\"cancel_req\":[\"a\"]}", shop);
    company_settle(&company);
    add_element(wang, order, "w");
    add_element(li, order, "l");
    add_element(li, order, forged);
    add_element(li, order, own);
    company_settle(&company);
    (void)snprintf(own, sizeof own, "li %s, li l, li own, wang a, wang w", forged);
    all_have(order, own);
    assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox"), 0);
    refused_here("sales_order", order, "{\"cancel_req\":[\"l\"]}", DAYBOOK_READONLY, "cancel_req");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policies__device_refuses_what_is_not_its_to_write),
        cmocka_unit_test(test_policies__device_refuses_bad_values),
        cmocka_unit_test(test_policies__equal_changes_of_such_fields_are_no_conflict),
        cmocka_unit_test(test_policies__sets_that_only_grow_unite),
    };
    return cmocka_run_group_tests_name("policies", tests, set_up, tear_down);
}
