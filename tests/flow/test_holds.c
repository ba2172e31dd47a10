/* SPDX-License-Identifier: Apache-2.0
 *
 * Holds between real devices: an order that two reps give the same product is applied and held, its
 * authors are told, everybody sees it, and only the role that the hold names lets it go.
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
static struct rep *wang, *li, *tom, *office;

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    wang = company_hire(&company, "wang", "rep", "East");
    li = company_hire(&company, "li", "rep", "East");
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

static void add_line(struct rep *rep, const char *order, const char *product, char *id)
{
    rep_putf(rep, "order_line", id,
             "{\"order_id\":\"%s\",\"product_id\":\"%s\",\"qty\":1000,\"price_e4\":10000}", order,
             product);
}

/* An order that both have, without lines. */
static void new_order(char shop[DAYBOOK_ID_SIZE], char order[DAYBOOK_ID_SIZE])
{
    rep_put(wang, "customer", "{\"name\":\"好邻居\"}", shop);
    rep_putf(wang, "sales_order", order, "{\"customer_id\":\"%s\",\"cur\":\"CNY\"}", shop);
    company_settle(&company);
}

static const char *state_of(struct rep *rep, const char *id)
{
    return device_text_of(&rep->device, "SELECT state FROM sync_state WHERE id = ?1", id);
}

/* What a device knows of holds on a record: how many stand. */
static int64_t standing(struct rep *rep, const char *id)
{
    return rep_count(
        rep, "SELECT count(*) FROM hold WHERE record_id = ?1 AND coalesce(cleared, 0) = 0", id);
}

/* Given an order without lines, when two reps offline give it the same product, then both lines
 * stand, the order is held for all who see it, in both orders of arrival. */
static void lines_on_both_sides(struct rep *first, struct rep *second)
{
    char shop[DAYBOOK_ID_SIZE], order[DAYBOOK_ID_SIZE], hold[DAYBOOK_ID_SIZE];
    new_order(shop, order);
    add_line(first, order, TEA, NULL);
    add_line(second, order, TEA, NULL);
    add_line(second, order, COOKIE, NULL);
    rep_sync(first);
    rep_sync(second);
    company_settle(&company);
    for (int i = 0; i < company.count; i++) {
        struct rep *rep = &company.reps[i];
        bool sees = rep != tom;
        assert_int_equal(standing(rep, order), sees ? 1 : 0);
        assert_string_equal(state_of(rep, order), sees ? "held" : "");
    }
    assert_int_equal(rep_count(first, "SELECT count(*) FROM order_line WHERE order_id = ?1", order),
                     3);
    /* The one whose line made it a twin is told; the order goes on all the same. */
    struct device *told = &second->device;
    assert_int_equal(device_int(&first->device, "SELECT count(*) FROM inbox"), 0);
    assert_int_equal(device_int(told, "SELECT count(*) FROM inbox"), 1);
    assert_string_equal(device_text(told, "SELECT kind || ' ' || code FROM inbox"),
                        "held DUP_LINE");
    assert_string_equal(device_text(told, "SELECT record_id FROM inbox"), order);
    assert_non_null(strstr(device_text(told, "SELECT theirs FROM inbox"), TEA));
    assert_int_equal(device_status(told).inbox, 1);
    rep_patch(first, "sales_order", order, "{\"note\":\"for Friday\"}");
    assert_string_equal(state_of(first, order), "local");
    company_settle(&company);
    assert_string_equal(state_of(first, order), "held");

    /* A rep cannot let it go: it is refused, kept, and undone. */
    (void)snprintf(hold, sizeof hold, "%s",
                   device_text_of(told, "SELECT id FROM hold WHERE record_id = ?1", order));
    char user[DAYBOOK_ID_SIZE];
    (void)snprintf(user, sizeof user, "%s",
                   device_text(told, "SELECT created_by FROM hold LIMIT 1"));
    rep_patchf(second, "hold", hold,
               "{\"cleared\":true,\"cleared_by\":\"%s\",\"cleared_ts\":\"1\"}", user);
    rep_sync(second);
    assert_string_equal(device_text(told, "SELECT code FROM inbox WHERE kind = 'rejected'"),
                        "AUTH");
    assert_int_equal(standing(second, order), 1);
    device_must(daybook_inbox_discard(
                    told->engine, device_int(told, "SELECT item FROM inbox WHERE kind='rejected'")),
                NULL);

    /* The back office can; the item of the author goes with it. */
    (void)snprintf(user, sizeof user, "%s",
                   device_text(&office->device, "SELECT id FROM app_user WHERE login = 'office'"));
    rep_patchf(office, "hold", hold,
               "{\"cleared\":true,\"cleared_by\":\"%s\",\"cleared_ts\":\"1795000000000\","
               "\"note\":\"both are meant\"}",
               user);
    company_settle(&company);
    assert_int_equal(standing(wang, order) + standing(li, order), 0);
    assert_string_equal(state_of(wang, order), "");
    assert_field(second, "hold", hold, "note", "both are meant");
    assert_int_equal(device_int(told, "SELECT count(*) FROM inbox"), 0);
    assert_int_equal(device_status(told).inbox, 0);
}

static void test_holds__a_product_twice_holds_the_order(void **state)
{
    (void)state;
    lines_on_both_sides(wang, li);
    lines_on_both_sides(li, wang);
}

/* Devices cannot make a hold or take one away. */
static void test_holds__are_the_servers(void **state)
{
    (void)state;
    assert_int_equal(rep_try_put(wang, "hold", "{\"note\":\"x\"}"), DAYBOOK_READONLY);
    char shop[DAYBOOK_ID_SIZE], order[DAYBOOK_ID_SIZE], hold[DAYBOOK_ID_SIZE];
    new_order(shop, order);
    add_line(wang, order, TEA, NULL);
    add_line(wang, order, TEA, NULL);
    company_settle(&company);
    (void)snprintf(
        hold, sizeof hold, "%s",
        device_text_of(&wang->device, "SELECT id FROM hold WHERE record_id = ?1", order));
    daybook_transaction *transaction = NULL;
    device_must(daybook_begin(wang->device.engine, &transaction), NULL);
    daybook_status status =
        daybook_delete(transaction, "hold", hold, device_version(&wang->device, "hold", hold));
    if (status == DAYBOOK_OK) {
        status = daybook_commit(transaction, NULL);
    }
    daybook_end(&transaction);
    assert_int_equal(status, DAYBOOK_READONLY);
    assert_int_equal(rep_try_patch(wang, "hold", hold, device_version(&wang->device, "hold", hold),
                                   "{\"code\":\"OTHER\"}"),
                     DAYBOOK_READONLY);
    assert_int_equal(standing(wang, order), 1);
}

/* The operator sees and clears holds too, in somebody's name. */
static void test_holds__an_operator_clears_one(void **state)
{
    char shop[DAYBOOK_ID_SIZE], order[DAYBOOK_ID_SIZE], hold[DAYBOOK_ID_SIZE], out[4000];
    (void)state;
    new_order(shop, order);
    add_line(wang, order, TEA, NULL);
    add_line(wang, order, TEA, NULL);
    company_settle(&company);
    (void)snprintf(
        hold, sizeof hold, "%s",
        device_text_of(&wang->device, "SELECT id FROM hold WHERE record_id = ?1", order));
    assert_int_equal(
        server_run(&company.server, out, sizeof out, (const char *[]){"hold", "list", NULL}), 0);
    assert_non_null(strstr(out, hold));
    assert_non_null(strstr(out, order));
    assert_non_null(strstr(out, "DUP_LINE"));
    static const char *const refused[] = {"nobody", "office"};
    for (int i = 0; i < 2; i++) {
        int code = server_run(&company.server, out, sizeof out,
                              (const char *[]){"hold", "clear", hold, "--by", refused[i], "--note",
                                               "by telephone", NULL});
        assert_int_equal(code == 0, i == 1);
    }
    assert_int_not_equal(
        server_run(&company.server, out, sizeof out, (const char *[]){"hold", "clear", hold, NULL}),
        0);
    assert_non_null(strstr(out, "--by LOGIN is missing"));
    assert_int_not_equal(
        server_run(&company.server, out, sizeof out,
                   (const char *[]){"hold", "clear", hold, "--by", "office", NULL}),
        0);
    assert_non_null(strstr(out, "no such hold stands"));
    company_settle(&company);
    assert_int_equal(standing(wang, order), 0);
    assert_field(wang, "hold", hold, "note", "by telephone");
    assert_string_equal(
        device_text(&wang->device, "SELECT login FROM app_user u JOIN hold h"
                                   " ON h.cleared_by_key = u.id_key WHERE h.note = 'by telephone'"),
        "office");
}

/* Lets the customer and all that hangs from it belong to another territory. */
static void reassign(const char *customer, const char *territory)
{
    company_reassign(&company, customer, territory);
    company_settle(&company);
}

/* Given a hold that somebody is told of, when the same one lets it go, then the item stays until
 * that is settled; when the hold leaves the scope, the item goes with it, and comes back with it,
 * unless it was acknowledged. */
static void test_holds__the_item_stands_as_long_as_the_hold(void **state)
{
    char shop[DAYBOOK_ID_SIZE], order[DAYBOOK_ID_SIZE], hold[DAYBOOK_ID_SIZE];
    struct device *device = &office->device;
    (void)state;
    new_order(shop, order);
    add_line(office, order, TEA, NULL);
    add_line(office, order, TEA, NULL);
    company_settle(&company);
    assert_int_equal(device_status(device).inbox, 1);
    (void)snprintf(hold, sizeof hold, "%s", device_text(device, "SELECT subject FROM inbox"));
    device_must(daybook_clear_hold(device->engine, hold, NULL, &device->error), &device->error);
    assert_int_equal(device_status(device).inbox, 1);
    company_settle(&company);
    assert_int_equal(standing(office, order), 0);
    assert_int_equal(device_status(device).inbox, 0);

    device = &li->device;
    int64_t before = device_status(device).inbox;
    add_line(li, order, COOKIE, NULL);
    add_line(li, order, COOKIE, NULL);
    company_settle(&company);
    assert_int_equal(device_status(device).inbox, before + 1);
    reassign(shop, "South");
    assert_int_equal(device_status(device).inbox, before);
    reassign(shop, "East");
    assert_int_equal(device_status(device).inbox, before + 1);
    device_must(
        daybook_inbox_use_theirs(device->engine, device_int(device, "SELECT max(item) FROM inbox")),
        NULL);
    reassign(shop, "South");
    reassign(shop, "East");
    assert_int_equal(standing(li, order), 1);
    assert_int_equal(device_status(device).inbox, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holds__a_product_twice_holds_the_order),
        cmocka_unit_test(test_holds__are_the_servers),
        cmocka_unit_test(test_holds__the_item_stands_as_long_as_the_hold),
        cmocka_unit_test(test_holds__an_operator_clears_one),
    };
    return cmocka_run_group_tests_name("holds", tests, set_up, tear_down);
}
