/* SPDX-License-Identifier: Apache-2.0
 *
 * Conflict case X18: document numbers without a server. A number is there at once, offline, and is
 * never given out again, whatever crashes, is rejected or was copied.
 */
#include "tests/support/company.h"
#include "tests/support/power.h"

#include <daybook/daybook.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct company company;
static struct power *power;
static struct rep *wang, *li;
static char shop[DAYBOOK_ID_SIZE];

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    power = power_new();
    company_pair(&company, &wang, &li, shop);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    power_free(power);
    return 0;
}

/* The document's number, in a text of its own. */
static const char *number(struct rep *rep, const char *entity, const char *id, char out[40])
{
    (void)snprintf(out, 40, "%s", rep_field(rep, entity, id, "doc_no"));
    return out;
}

/* What the server has, that no number stands twice, and that every document has one. */
static void check_unique(int64_t documents)
{
    static const char *const entities[] = {"opportunity", "visit", "quote", "sales_order"};
    int64_t numbers = 0;
    for (size_t i = 0; i < 4; i++) {
        char sql[200];
        (void)snprintf(sql, sizeof sql, "SELECT count(DISTINCT doc_no) FROM %s", entities[i]);
        int64_t distinct = server_int(&company.server, sql);
        (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", entities[i]);
        assert_int_equal(distinct, server_int(&company.server, sql));
        numbers += distinct;
    }
    assert_int_equal(numbers, documents);
}

/* Each kind counts for itself, under the device's number, before anything is sent. */
static void test_numbers__are_there_at_once(void **state)
{
    static const char *const documents[][3] = {
        {"opportunity", ",\"subject\":\"S\"", "OP"},
        {"visit", "", "VI"},
        {"quote", ",\"cur\":\"CNY\"", "QU"},
        {"sales_order", ",\"cur\":\"CNY\"", "SO"},
    };
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    (void)state;
    struct rep *const reps[] = {wang, li};
    for (int r = 0; r < 2; r++) {
        char sql[] = "SELECT device_no FROM device WHERE device = 0";
        sql[sizeof sql - 2] = (char)('0' + (r == 0 ? 2 : 3)); /* the first is the server's own */
        int64_t device_no = server_int(&company.server, sql);
        assert_in_range(device_no, 1, 31);
        for (size_t i = 0; i < 4; i++) {
            for (int n = 1; n <= 2; n++) {
                char id[DAYBOOK_ID_SIZE], text[40], wanted[40];
                rep_putf(reps[r], documents[i][0], id, "{\"customer_id\":\"%s\"%s}", shop,
                         documents[i][1]);
                (void)snprintf(wanted, sizeof wanted, "%s-0000%c-00000%d", documents[i][2],
                               digits[device_no], n);
                assert_string_equal(number(reps[r], documents[i][0], id, text), wanted);
            }
        }
    }
    company_settle(&company);
    check_unique(16);
    /* What the app gives itself stays. */
    char id[DAYBOOK_ID_SIZE];
    rep_putf(wang, "visit", id, "{\"customer_id\":\"%s\",\"doc_no\":\"my own 7\"}", shop);
    assert_field(wang, "visit", id, "doc_no", "my own 7");
    company_settle(&company);
    check_unique(17);
}

/* What three devices, two of them the same rep's, give offline is what the documents have in the
 * end, whoever comes first. */
static void test_numbers__stay_in_every_order_of_arrival(void **state)
{
    struct rep *const people[] = {wang, li, company_second_device(&company, wang)};
    (void)state;
    for (int i = 0; i < ARRIVAL_ORDERS; i++) {
        char visits[3][DAYBOOK_ID_SIZE], orders[3][DAYBOOK_ID_SIZE], given[3][2][40];
        for (int k = 0; k < 3; k++) {
            rep_visit(people[k], shop, "offline", visits[k]);
            rep_putf(people[k], "sales_order", orders[k],
                     "{\"customer_id\":\"%s\",\"cur\":\"CNY\"}", shop);
            (void)number(people[k], "visit", visits[k], given[k][0]);
            (void)number(people[k], "sales_order", orders[k], given[k][1]);
        }
        for (int k = 0; k < 3; k++) {
            rep_sync(people[arrival_orders[i][k]]);
        }
        company_settle(&company);
        for (int k = 0; k < 3; k++) {
            assert_string_equal(company_field(&company, "visit", visits[k], "doc_no"), given[k][0]);
            assert_string_equal(company_field(&company, "sales_order", orders[k], "doc_no"),
                                given[k][1]);
        }
        check_unique((int64_t)6 * (i + 1));
    }
}

/* Power goes after each commit; a number that was shown does not come again. */
static void test_numbers__are_not_given_out_again_after_a_crash(void **state)
{
    char last[40] = "";
    (void)state;
    struct rep *rep = company_add_device(&company, "wang");
    rep->device.options.vfs = power_name(power);
    rep_begin(rep);
    for (int i = 0; i < 40; i++) {
        char id[DAYBOOK_ID_SIZE], text[40];
        rep_visit(rep, shop, "before the crash", id);
        (void)number(rep, "visit", id, text);
        assert_true(strcmp(text, last) > 0);
        memcpy(last, text, sizeof last);
        if (i % 3 == 0) {
            power_cut(power, (uint64_t)i);
            device_close(&rep->device);
            power_return(power);
            device_open(&rep->device);
        } else if (i % 3 == 1) {
            device_close(&rep->device);
            device_open(&rep->device);
        }
    }
    company_settle(&company);
    check_unique(40);
    device_clear(&rep->device);
    tap_clear(&rep->tap);
    company.count--;
}

/* What is rejected keeps its number; the next document has the next one. */
static void test_numbers__are_not_given_back_by_a_rejection(void **state)
{
    char gone[DAYBOOK_ID_SIZE], rejected[DAYBOOK_ID_SIZE], next[DAYBOOK_ID_SIZE];
    char first[40], second[40];
    (void)state;
    rep_put(li, "customer", "{\"name\":\"gone\"}", gone);
    company_settle(&company);
    rep_delete(li, "customer", gone);
    rep_sync(li);
    rep_putf(wang, "visit", rejected, "{\"customer_id\":\"%s\"}", gone);
    (void)number(wang, "visit", rejected, first);
    rep_sync(wang);
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM inbox WHERE kind = 'rejected'", NULL),
                     1);
    rep_visit(wang, shop, "next", next);
    assert_true(strcmp(number(wang, "visit", next, second), first) > 0);
    company_settle(&company);
    check_unique(1);
}

/* Documents that were made before the device had a number get theirs with it. */
static void test_numbers__come_with_the_first_sign_in(void **state)
{
    char early[DAYBOOK_ID_SIZE], customer[DAYBOOK_ID_SIZE], text[40];
    (void)state;
    struct rep *rep = company_add(&company, "zhao", "rep", "East");
    device_open(&rep->device);
    rep_put(rep, "customer", "{\"name\":\"early shop\"}", customer);
    rep_putf(rep, "visit", early, "{\"customer_id\":\"%s\",\"feedback\":\"early\"}", customer);
    rep_patch(rep, "visit", early, "{\"feedback\":\"early, edited\"}");
    assert_field(rep, "visit", early, "doc_no", "");
    char code[64];
    server_code(&company.server, "zhao", code);
    device_enrol(&rep->device, code);
    assert_memory_equal(number(rep, "visit", early, text), "VI-", 3);
    assert_field(rep, "visit", early, "feedback", "early, edited");
    device_sync(&rep->device);
    company_settle(&company);
    assert_string_equal(company_field(&company, "visit", early, "doc_no"), text);
    check_unique(1);
}

/* A restored file counts on from where it was, and its copy too, until the server tells them apart:
 * both documents are there, with different numbers, and the rep is told of the change. Whoever
 * comes first keeps the number. */
static void copies_at_work(bool copy_first)
{
    char mine[DAYBOOK_ID_SIZE], theirs[DAYBOOK_ID_SIZE], later[DAYBOOK_ID_SIZE];
    char before[40], after[48];
    rep_visit(wang, shop, "before the copy", NULL);
    rep_sync(wang);
    struct rep *copy = company_copy(&company, wang);
    device_open(&copy->device);
    rep_visit(wang, shop, "original", mine);
    rep_visit(copy, shop, "copy", theirs);
    (void)number(wang, "visit", mine, before);
    assert_string_equal(number(copy, "visit", theirs, after), before);
    struct rep *const order[] = {copy_first ? copy : wang, copy_first ? wang : copy};
    rep_sync(order[0]);
    rep_sync(order[1]);
    rep_visit(order[1], shop, "with a number of its own", later);
    company_settle(&company);
    check_unique(4);
    const char *second = copy_first ? mine : theirs;
    assert_string_equal(company_field(&company, "visit", copy_first ? theirs : mine, "doc_no"),
                        before);
    (void)snprintf(after, sizeof after, "%s", company_field(&company, "visit", second, "doc_no"));
    assert_memory_equal(after, before, strlen(before));
    assert_int_equal(strlen(after), strlen(before) + 6); /* -0000N, the device that came second */
    assert_field(order[1], "visit", second, "doc_no", after);
    assert_int_equal(rep_count(order[1], "SELECT count(*) FROM inbox WHERE field = 'doc_no'", NULL),
                     1);
    assert_string_equal(server_text(&company.server, "SELECT lost FROM field_conflict"
                                                     " WHERE field_name = 'doc_no'"),
                        (snprintf(after, sizeof after, "\"%s\"", before), after));
    assert_memory_not_equal(number(copy, "visit", later, after), before, 8);
    device_close(&copy->device);
    copy->left = true;
}

static void test_numbers__of_copies_stay_unique_original_first(void **state)
{
    (void)state;
    copies_at_work(false);
}

static void test_numbers__of_copies_stay_unique_copy_first(void **state)
{
    (void)state;
    copies_at_work(true);
}

/* Numbers that an app makes itself are its own business, but none stands twice. */
static void test_numbers__of_an_app_may_not_clash(void **state)
{
    (void)state;
    rep_putf(wang, "quote", NULL, "{\"customer_id\":\"%s\",\"cur\":\"CNY\",\"doc_no\":\"Q 1\"}",
             shop);
    rep_sync(wang);
    rep_putf(li, "quote", NULL, "{\"customer_id\":\"%s\",\"cur\":\"CNY\",\"doc_no\":\"Q 1\"}",
             shop);
    rep_sync(li);
    assert_int_equal(rep_count(li,
                               "SELECT count(*) FROM inbox WHERE kind = 'rejected' AND"
                               " code = 'EXISTS' AND field = 'doc_no' AND rule = 'unique'",
                               NULL),
                     1);
    /* Another revision of the quote has the same number. */
    rep_putf(li, "quote", NULL,
             "{\"customer_id\":\"%s\",\"cur\":\"CNY\",\"doc_no\":\"Q 1\",\"rev\":2}", shop);
    company_settle(&company);
    assert_int_equal(server_int(&company.server, "SELECT count(*) FROM quote"), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_numbers__##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(are_there_at_once),
        TEST(stay_in_every_order_of_arrival),
        TEST(are_not_given_out_again_after_a_crash),
        TEST(are_not_given_back_by_a_rejection),
        TEST(come_with_the_first_sign_in),
        TEST(of_copies_stay_unique_original_first),
        TEST(of_copies_stay_unique_copy_first),
        TEST(of_an_app_may_not_clash),
    };
    return cmocka_run_group_tests_name("numbers", tests, NULL, NULL);
}
