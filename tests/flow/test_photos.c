/* SPDX-License-Identifier: Apache-2.0
 *
 * Conflict case X28, records: what is known of a photo comes with its visit, before it or after it,
 * and no fate of the visit loses it. (The picture's bytes have a lane of their own, which is not
 * there yet; a record names them by their hash, so they may come at any time.)
 */
#include "tests/support/company.h"

#include <daybook/daybook.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HASH "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

static struct company company;
static struct rep *phone, *tablet, *li; /* the first two are Wang's */
static char shop[DAYBOOK_ID_SIZE];

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    phone = company_hire(&company, "wang", "rep", "East");
    tablet = company_second_device(&company, phone);
    li = company_hire(&company, "li", "rep", "East");
    rep_put(phone, "customer", "{\"name\":\"shop\"}", shop);
    company_settle(&company);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

static void visit(struct rep *rep, const char *customer, char *id)
{
    rep_putf(rep, "visit", id, "{\"customer_id\":\"%s\"}", customer);
}

static void photo(struct rep *rep, const char *of_visit, const char *note, char *id)
{
    rep_putf(rep, "photo", id,
             "{\"visit_id\":\"%s\",\"sha256\":\"" HASH "\",\"media_type\":\"image/jpeg\","
             "\"size_bytes\":204800,\"width_px\":1600,\"height_px\":1200,"
             "\"taken_ts\":\"1795226400000\",\"note\":\"%s\"}",
             of_visit, note);
}

/* The photo is at the server, whole, and with everybody. */
static void expect_photo(const char *id, const char *note)
{
    company_settle(&company);
    assert_string_equal(company_field(&company, "photo", id, "note"), note);
    assert_string_equal(company_field(&company, "photo", id, "sha256"), HASH);
    assert_string_equal(company_field(&company, "photo", id, "size_bytes"), "204800");
    assert_field(li, "photo", id, "note", note);
}

/* Takes the one rejected item of the inbox out again, with this patch of one of its records. */
static void reopen(struct rep *rep, const char *entity, const char *id, const char *json)
{
    daybook_transaction *transaction = NULL;
    int64_t item = rep_count(rep, "SELECT item FROM inbox WHERE kind = 'rejected'", NULL);
    device_must(daybook_inbox_reopen(rep->device.engine, item, &transaction, &rep->device.error),
                &rep->device.error);
    device_must(
        daybook_patch_json(transaction, entity, id, DAYBOOK_ANY_VERSION, json, &rep->device.error),
        &rep->device.error);
    device_must(daybook_commit(transaction, &rep->device.error), &rep->device.error);
    daybook_end(&transaction);
}

/* A record that has no visit, no hash or no kind is not made at all. */
static void test_photos__an_orphan_is_refused_where_it_is_made(void **state)
{
    (void)state;
    assert_int_equal(
        rep_try_put(phone, "photo", "{\"sha256\":\"" HASH "\",\"media_type\":\"image/jpeg\"}"),
        DAYBOOK_REQUIRED);
    assert_string_equal(phone->device.error.field, "visit_id");
    char id[DAYBOOK_ID_SIZE], json[300];
    visit(phone, shop, id);
    (void)snprintf(json, sizeof json,
                   "{\"visit_id\":\"%s\",\"sha256\":\"XYZ\",\"media_type\":\"image/jpeg\"}", id);
    assert_int_equal(rep_try_put(phone, "photo", json), DAYBOOK_RULE);
    assert_string_equal(phone->device.error.rule, "hash");
}

/* Made with its visit, after it, and twice of the same picture by two devices: all are there. */
static void test_photos__come_with_or_after_their_visit(void **state)
{
    char id[DAYBOOK_ID_SIZE], first[DAYBOOK_ID_SIZE], second[DAYBOOK_ID_SIZE];
    char third[DAYBOOK_ID_SIZE];
    (void)state;
    visit(phone, shop, id);
    photo(phone, id, "before the visit is sent", first);
    rep_sync(phone);
    photo(phone, id, "after the visit was sent", second);
    rep_sync(tablet);
    photo(tablet, id, "the same picture", third);
    expect_photo(first, "before the visit is sent");
    expect_photo(second, "after the visit was sent");
    expect_photo(third, "the same picture");
}

/* The tablet knows the visit's id before the server does. The record waits in its inbox, whole, and
 * goes up when the visit is there. */
static void test_photos__that_come_before_their_visit_wait(void **state)
{
    char id[DAYBOOK_ID_SIZE], early[DAYBOOK_ID_SIZE];
    (void)state;
    visit(phone, shop, id);
    photo(tablet, id, "early", early);
    rep_sync(tablet);
    assert_string_equal(device_text(&tablet->device, "SELECT code || field FROM inbox"),
                        "REF_MISSINGvisit_id");
    rep_sync(phone);
    rep_sync(tablet);
    reopen(tablet, "photo", early, "{\"note\":\"early, and sent again\"}");
    expect_photo(early, "early, and sent again");
    assert_int_equal(rep_count(tablet, "SELECT count(*) FROM inbox", NULL), 0);
}

/* The visit is rejected: the photo, made later, hangs from it in the inbox, and both go again. */
static void test_photos__of_a_rejected_visit_are_kept_with_it(void **state)
{
    char gone[DAYBOOK_ID_SIZE], id[DAYBOOK_ID_SIZE], first[DAYBOOK_ID_SIZE],
        second[DAYBOOK_ID_SIZE];
    char json[100];
    (void)state;
    rep_put(li, "customer", "{\"name\":\"gone\"}", gone);
    company_settle(&company);
    rep_delete(li, "customer", gone);
    rep_sync(li);
    visit(phone, gone, id);
    photo(phone, id, "first", first);
    photo(phone, id, "second", second);
    rep_sync(phone);
    assert_string_equal(device_text(&phone->device, "SELECT code || chain FROM inbox"),
                        "REF_MISSING2");
    assert_field(phone, "photo", first, "note", "");
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\"}", shop);
    reopen(phone, "visit", id, json);
    expect_photo(first, "first");
    expect_photo(second, "second");
    assert_int_equal(rep_count(phone, "SELECT count(*) FROM inbox", NULL), 0);
}

/* Li deletes the visit while Wang, offline, adds a photo to it on the phone and edits the note of
 * another on the tablet: the visit is there with both, whoever comes first. */
static void test_photos__bring_a_deleted_visit_back_in_every_order(void **state)
{
    struct rep *const people[] = {phone, tablet, li};
    (void)state;
    for (int i = 0; i < ARRIVAL_ORDERS; i++) {
        char id[DAYBOOK_ID_SIZE], old[DAYBOOK_ID_SIZE], added[DAYBOOK_ID_SIZE], sql[200];
        visit(phone, shop, id);
        photo(phone, id, "old", old);
        company_settle(&company);
        photo(phone, id, "added", added);
        rep_patch(tablet, "photo", old, "{\"note\":\"edited\"}");
        rep_delete(li, "visit", id);
        for (int k = 0; k < 3; k++) {
            rep_sync(people[arrival_orders[i][k]]);
        }
        expect_photo(added, "added");
        expect_photo(old, "edited");
        assert_field(li, "visit", id, "customer_id", shop);
        (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM photo WHERE visit_id = '%s'", id);
        assert_int_equal(server_int(&company.server, sql), 2);
        for (int k = 0; k < 3; k++) {
            assert_int_equal(
                rep_count(people[k], "SELECT count(*) FROM inbox WHERE kind = 'rejected'", NULL),
                0);
        }
    }
}

/* The same picture of one visit by three devices, two of which are the same rep's: three records,
 * whoever comes first, with one hash. */
static void test_photos__of_one_picture_are_kept_in_every_order(void **state)
{
    struct rep *const people[] = {phone, tablet, li};
    (void)state;
    for (int i = 0; i < ARRIVAL_ORDERS; i++) {
        char id[DAYBOOK_ID_SIZE], photos[3][DAYBOOK_ID_SIZE], note[20];
        visit(phone, shop, id);
        company_settle(&company);
        for (int k = 0; k < 3; k++) {
            (void)snprintf(note, sizeof note, "by %d", k);
            photo(people[k], id, note, photos[k]);
        }
        for (int k = 0; k < 3; k++) {
            rep_sync(people[arrival_orders[i][k]]);
        }
        for (int k = 0; k < 3; k++) {
            (void)snprintf(note, sizeof note, "by %d", k);
            expect_photo(photos[k], note);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_photos__##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_orphan_is_refused_where_it_is_made),
        TEST(come_with_or_after_their_visit),
        TEST(that_come_before_their_visit_wait),
        TEST(of_a_rejected_visit_are_kept_with_it),
        TEST(bring_a_deleted_visit_back_in_every_order),
        TEST(of_one_picture_are_kept_in_every_order),
    };
    return cmocka_run_group_tests_name("photos", tests, NULL, NULL);
}
