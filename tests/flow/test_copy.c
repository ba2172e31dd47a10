/* SPDX-License-Identifier: Apache-2.0
 *
 * Stores that were copied or restored from a phone's backup: the server sees it, the copy becomes
 * an instance of its own, and nothing that anybody typed is lost or comes twice.
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
    company_pair(&company, &wang, &li, shop);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

static int64_t instances(void)
{
    return server_int(&company.server, "SELECT count(*) FROM device_instance");
}

/* The backup is from before the last syncs; the phone that made them is gone. */
static void test_copy__restored_backup_loses_nothing_and_doubles_nothing(void **state)
{
    (void)state;
    rep_visit(li, shop, "pending in the backup", NULL);
    struct rep *copy = company_copy(&company, li);
    rep_visit(li, shop, "after the backup", NULL);
    rep_sync(li);
    assert_int_equal(company_visits(&company, "pending in the backup"), 1);
    rep_leave(li);

    int64_t before = instances();
    device_open(&copy->device);
    rep_visit(copy, shop, "on the restored phone", NULL);
    rep_sync(copy);
    assert_int_equal(instances(), before + 1);
    company_settle(&company);
    assert_int_equal(company_visits(&company, "pending in the backup"), 1);
    assert_int_equal(company_visits(&company, "after the backup"), 1);
    assert_int_equal(company_visits(&company, "on the restored phone"), 1);
    assert_int_equal(
        rep_count(copy, "SELECT count(*) FROM visit WHERE feedback = 'after the backup'", NULL), 1);
    /* The backup counted its documents on from where it was: its rep is told of another number. */
    assert_int_equal(rep_count(copy, "SELECT count(*) FROM inbox WHERE field = 'doc_no'", NULL), 1);
    assert_int_equal(rep_count(copy, "SELECT count(*) FROM inbox", NULL), 1);
    li = copy;
}

/* The phone had recorded something under a number that the restored one gives to something else;
 * then that one is copied, too, and both come. What the lost phone had recorded has a verdict of
 * its own to tell: the customer had moved. */
static void test_copy__a_copy_of_a_restored_phone(void **state)
{
    (void)state;
    char gone[DAYBOOK_ID_SIZE];
    (void)company_hire(&company, "tom", "rep", "South");
    struct rep *kim = company_add(&company, "kim", "rep", "East");
    kim->device.options.page_bytes = 1;
    rep_begin(kim);
    rep_put(kim, "customer", "{\"name\":\"soon tom's\"}", gone);
    rep_sync(kim);
    rep_visit(kim, shop, "in the first backup", NULL);
    struct rep *restored = company_copy(&company, kim);
    tap_set_ago(&kim->tap, 60000);
    rep_visit(kim, gone, "after the first backup", NULL);
    tap_set_ago(&kim->tap, 0);
    company_reassign(&company, gone, "South");
    (void)rep_exchange(kim); /* it does not come to say that it has settled this */
    rep_leave(kim);

    device_open(&restored->device);
    rep_visit(restored, shop, "on the phone of two", NULL);
    struct rep *copy = company_copy(&company, restored);
    copy->device.options.page_bytes = 1; /* a verdict before the marker that would show the copy */
    int64_t before = instances();
    rep_sync(restored);
    device_open(&copy->device);
    rep_sync(copy);
    assert_int_equal(instances(), before + 2);
    company_settle(&company);
    assert_int_equal(company_visits(&company, "in the first backup"), 1);
    assert_int_equal(company_visits(&company, "after the first backup"), 1);
    assert_int_equal(company_visits(&company, "on the phone of two"), 1);
}

/* Both go on with the token that they share: the one that comes second takes a new instance, once,
 * and then they live beside each other. */
static void test_copy__two_copies_at_work_lose_nothing(void **state)
{
    (void)state;
    struct rep *copy = company_copy(&company, wang);
    int64_t before = instances();
    device_open(&copy->device);
    rep_visit(wang, shop, "original 1", NULL);
    rep_visit(copy, shop, "copy 1", NULL);
    rep_sync(wang);
    rep_sync(copy);
    rep_visit(copy, shop, "copy 2", NULL);
    rep_visit(wang, shop, "original 2", NULL);
    rep_sync(copy);
    rep_sync(wang);
    assert_int_equal(instances(), before + 1);
    for (int i = 0; i < 5; i++) {
        rep_visit(i % 2 == 0 ? wang : copy, shop, "by turns", NULL);
        rep_sync(wang);
        rep_sync(copy);
    }
    assert_int_equal(instances(), before + 1);
    assert_int_equal(company_visits(&company, "by turns"), 5);
    assert_int_equal(server_int(&company.server, "SELECT count(*) - count(DISTINCT doc_no)"
                                                 " FROM visit WHERE doc_no IS NOT NULL"),
                     0);
    company_settle(&company);
    assert_int_equal(
        company_visits(&company, "original 1") + company_visits(&company, "original 2"), 2);
    assert_int_equal(company_visits(&company, "copy 1") + company_visits(&company, "copy 2"), 2);
    assert_int_equal(instances(), before + 1);
    rep_leave(copy);
}

/* The copy has nothing of its own to send; it sees markers of changesets that it never made. */
static void test_copy__copy_that_only_reads_notices_too(void **state)
{
    (void)state;
    struct rep *copy = company_copy(&company, wang);
    int64_t before = instances();
    rep_visit(wang, shop, "made by the original", NULL);
    rep_sync(wang);
    device_open(&copy->device);
    rep_sync(copy);
    assert_true(instances() > before);
    company_settle(&company);
    assert_int_equal(
        rep_count(copy, "SELECT count(*) FROM visit WHERE feedback = 'made by the original'", NULL),
        1);
    rep_leave(copy);
}

/* Pending changes of a record, its edits by others meanwhile, and a lost lease reply. */
static void test_copy__edits_and_a_lost_reply_in_between(void **state)
{
    char quote[DAYBOOK_ID_SIZE];
    (void)state;
    rep_putf(wang, "quote", quote, "{\"customer_id\":\"%s\",\"cur\":\"CNY\",\"note\":\"0\"}", shop);
    company_settle(&company);
    rep_patch(wang, "quote", quote, "{\"note\":\"pending\",\"valid_to\":20261231}");
    struct rep *copy = company_copy(&company, wang);
    rep_patch(wang, "quote", quote, "{\"header_disc_bp\":100}");
    rep_sync(wang);
    rep_leave(wang);
    rep_sync(li);
    rep_patch(li, "quote", quote, "{\"price_list_ver\":7}");
    rep_sync(li);

    device_open(&copy->device);
    rep_patch(copy, "quote", quote, "{\"note\":\"on the copy\"}");
    for (int i = 0; i < 4; i++) {
        tap_lose_replies(&copy->tap, 1);
        (void)daybook_sync(copy->device.engine, 0, &copy->device.error);
        tap_lose_replies(&copy->tap, 0);
        assert_field(copy, "quote", quote, "note", "on the copy");
        device_close(&copy->device);
        device_open(&copy->device);
    }
    company_settle(&company);
    assert_field(li, "quote", quote, "note", "on the copy");
    assert_field(li, "quote", quote, "valid_to", "20261231");
    assert_field(li, "quote", quote, "header_disc_bp", "100");
    assert_field(li, "quote", quote, "price_list_ver", "7");
    assert_int_equal(rep_count(copy, "SELECT count(*) FROM inbox WHERE kind = 'rejected'", NULL),
                     0);
    wang = copy;
}

/* A step that rests on one that the phone had sent before it was lost; nobody else has touched the
 * record, so there is nothing to tell. */
static void test_copy__steps_rest_on_what_the_lost_phone_had_sent(void **state)
{
    char chance[DAYBOOK_ID_SIZE];
    (void)state;
    rep_putf(wang, "opportunity", chance, "{\"customer_id\":\"%s\",\"subject\":\"deal\"}", shop);
    company_settle(&company);
    rep_patch(wang, "opportunity", chance, "{\"status\":\"suspended\",\"priority\":1}");
    struct rep *copy = company_copy(&company, wang);
    rep_sync(wang);
    rep_visit(wang, shop, "after the backup", NULL);
    rep_sync(wang);
    rep_leave(wang);
    device_open(&copy->device);
    rep_patch(copy, "opportunity", chance, "{\"status\":\"tracking\",\"priority\":2}");
    company_settle(&company);
    wang = copy;
    assert_field(li, "opportunity", chance, "status", "tracking");
    assert_field(li, "opportunity", chance, "priority", "2");
    assert_field(copy, "opportunity", chance, "status", "tracking");
    assert_int_equal(rep_count(copy,
                               "SELECT count(*) FROM field_conflict"
                               " WHERE record_id = ?1",
                               chance),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy__restored_backup_loses_nothing_and_doubles_nothing),
        cmocka_unit_test(test_copy__a_copy_of_a_restored_phone),
        cmocka_unit_test(test_copy__two_copies_at_work_lose_nothing),
        cmocka_unit_test(test_copy__copy_that_only_reads_notices_too),
        cmocka_unit_test(test_copy__edits_and_a_lost_reply_in_between),
        cmocka_unit_test(test_copy__steps_rest_on_what_the_lost_phone_had_sent),
    };
    return cmocka_run_group_tests_name("copy", tests, set_up, tear_down);
}
