/* SPDX-License-Identifier: Apache-2.0
 *
 * Two devices change one record without knowing of each other. What both have in the end, what the
 * conflict log keeps and whose inbox tells of it, in both orders of arrival and for both orders of
 * the clocks.
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

#define LATER_MS 3000 /* more than any delay of the test; the engine forgets it at its next sync   \
                       */

static struct company company;
static struct rep *wang, *li;

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    wang = company_hire(&company, "wang", "rep", "East");
    li = company_hire(&company, "li", "rep", "East");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

/* Forgets the inboxes of earlier stories. */
static int clean_inboxes(void **state)
{
    (void)state;
    for (int i = 0; i < company.count; i++) {
        struct device *device = &company.reps[i].device;
        int64_t item;
        while ((item = device_int(device, "SELECT item FROM inbox LIMIT 1")) >= 0) {
            device_must(daybook_inbox_discard(device->engine, item), NULL);
        }
    }
    return 0;
}

/* Both patch the record as they see it; `later` by a clock that is ahead. Then `first` syncs, then
 * the other, then everybody until nothing is left. */
static void race(const char *entity, const char *id, struct rep *earlier, const char *early_json,
                 struct rep *later, const char *late_json, struct rep *first)
{
    rep_patch(earlier, entity, id, early_json);
    tap_set_ahead(&later->tap, LATER_MS);
    rep_patch(later, entity, id, late_json);
    tap_set_ahead(&later->tap, 0);
    rep_sync(first);
    rep_sync(first == earlier ? later : earlier);
    company_settle(&company);
}

static void both_see(const char *entity, const char *id, const char *field, const char *value)
{
    assert_field(wang, entity, id, field, value);
    assert_field(li, entity, id, field, value);
    assert_string_equal(company_field(&company, entity, id, field), value);
}

/* How many conflicts the log has about a field of a record; `lost` NULL: whatever lost. */
static int64_t conflicts(const char *id, const char *field, const char *lost)
{
    char sql[400];
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM field_conflict WHERE record_id = '%s'"
                   " AND field_name = '%s' AND (%d OR lost = '%s')",
                   id, field, lost == NULL ? 1 : 0, lost == NULL ? "" : lost);
    return server_int(&company.server, sql);
}

static int64_t inbox(struct rep *rep)
{
    return device_int(&rep->device, "SELECT count(*) FROM inbox");
}

static void new_quote(char quote[DAYBOOK_ID_SIZE])
{
    rep_quote(wang, "好邻居", NULL, quote, NULL);
    company_settle(&company);
}

static void test_conflicts__different_fields_are_both_kept(void **state)
{
    char quote[DAYBOOK_ID_SIZE];
    (void)state;
    new_quote(quote);
    race("quote", quote, wang, "{\"valid_to\":20261231}", li, "{\"header_disc_bp\":200}", wang);
    both_see("quote", quote, "valid_to", "20261231");
    both_see("quote", quote, "header_disc_bp", "200");
    /* 28,148 less 2 %. */
    both_see("quote", quote, "total", "27585");
    race("quote", quote, wang, "{\"note\":\"wang\"}", li, "{\"price_list_ver\":7}", li);
    both_see("quote", quote, "note", "wang");
    both_see("quote", quote, "price_list_ver", "7");
    assert_int_equal(server_int(&company.server, "SELECT count(*) FROM field_conflict"), 0);
    assert_int_equal(inbox(wang) + inbox(li), 0);
}

/* The later value stands; the earlier one is in the conflict log and in its author's inbox. */
static void same_field(struct rep *earlier, struct rep *later, struct rep *first)
{
    char quote[DAYBOOK_ID_SIZE];
    struct device *loser = &earlier->device;
    (void)clean_inboxes(NULL);
    new_quote(quote);
    race("quote", quote, earlier, "{\"note\":\"the earlier\"}", later, "{\"note\":\"the later\"}",
         first);
    both_see("quote", quote, "note", "the later");
    assert_int_equal(conflicts(quote, "note", "\"the earlier\""), 1);
    assert_int_equal(conflicts(quote, "note", NULL), 1);
    assert_int_equal(inbox(later), 0);
    assert_int_equal(inbox(earlier), 1);
    assert_string_equal(device_text(loser, "SELECT kind FROM inbox"), "superseded");
    assert_string_equal(device_text(loser, "SELECT entity FROM inbox"), "quote");
    assert_string_equal(device_text(loser, "SELECT record_id FROM inbox"), quote);
    assert_string_equal(device_text(loser, "SELECT field FROM inbox"), "note");
    assert_non_null(strstr(device_text(loser, "SELECT mine FROM inbox"), "the earlier"));
    assert_non_null(strstr(device_text(loser, "SELECT theirs FROM inbox"), "the later"));
    assert_int_equal(device_status(loser).inbox, 1);
}

static void test_conflicts__same_field_keeps_the_later_whoever_arrives_first(void **state)
{
    (void)state;
    same_field(wang, li, wang);
    same_field(wang, li, li);
    same_field(li, wang, wang);
    same_field(li, wang, li);
}

static void test_conflicts__equal_values_are_no_conflict(void **state)
{
    char quote[DAYBOOK_ID_SIZE];
    (void)state;
    new_quote(quote);
    race("quote", quote, wang, "{\"note\":\"agreed\"}", li, "{\"note\":\"agreed\"}", li);
    both_see("quote", quote, "note", "agreed");
    assert_int_equal(conflicts(quote, "note", NULL), 0);
    assert_int_equal(inbox(wang) + inbox(li), 0);
}

/* USD 100 becomes EUR 90 here and USD 130 there, and never EUR 130. */
static void money(struct rep *euro, struct rep *dollar, bool euro_later, struct rep *first)
{
    char shop[DAYBOOK_ID_SIZE], deal[DAYBOOK_ID_SIZE];
    static const char euro_90[] = "{\"amount\":9000,\"cur\":\"EUR\"}";
    static const char dollar_130[] = "{\"amount\":13000}";
    rep_put(wang, "customer", "{\"name\":\"Hotel\"}", shop);
    rep_putf(wang, "opportunity", deal,
             "{\"subject\":\"Shelf\",\"customer_id\":\"%s\",\"amount\":10000,\"cur\":\"USD\"}",
             shop);
    company_settle(&company);
    race("opportunity", deal, euro_later ? dollar : euro, euro_later ? dollar_130 : euro_90,
         euro_later ? euro : dollar, euro_later ? euro_90 : dollar_130, first);
    both_see("opportunity", deal, "amount", euro_later ? "9000" : "13000");
    both_see("opportunity", deal, "cur", euro_later ? "EUR" : "USD");
    assert_int_equal(conflicts(deal, "amount", euro_later ? "\"13000\"" : "\"9000\""), 1);
    assert_int_equal(conflicts(deal, "cur", euro_later ? "\"USD\"" : "\"EUR\""), 1);
}

static void test_conflicts__amount_and_currency_are_one_value(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        money((i & 1) != 0 ? wang : li, (i & 1) != 0 ? li : wang, (i & 2) != 0,
              (i & 4) != 0 ? wang : li);
    }
}

static void test_conflicts__group_and_other_fields_of_one_record(void **state)
{
    char quote[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
    (void)state;
    rep_quote(wang, "好邻居", NULL, quote, line);
    company_settle(&company);
    /* Price here, quantity there: two groups of one line, both stand. */
    race("quote_line", line, wang, "{\"disc_bp\":0}", li, "{\"qty\":10000}", li);
    both_see("quote_line", line, "disc_bp", "0");
    both_see("quote_line", line, "qty", "10000");
    both_see("quote_line", line, "price_e4", "123456");
    both_see("quote_line", line, "amount", "12346");
    both_see("quote", quote, "total", "12346");
}

static void test_conflicts__own_keys_merge_one_by_one(void **state)
{
    char shop[DAYBOOK_ID_SIZE];
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"Kiosk\",\"custom\":{\"a\":1,\"b\":\"x\",\"c\":true}}",
            shop);
    company_settle(&company);
    race("customer", shop, wang, "{\"custom\":{\"a\":2,\"d\":\"wang\"}}", li,
         "{\"custom\":{\"b\":null,\"e\":\"li\"}}", li);
    both_see("customer", shop, "custom", "{\"a\":2,\"c\":true,\"d\":\"wang\",\"e\":\"li\"}");
    assert_int_equal(inbox(wang) + inbox(li), 0);

    /* The same key: the later one. */
    race("customer", shop, wang, "{\"custom\":{\"a\":3,\"f\":1}}", li, "{\"custom\":{\"a\":4}}",
         li);
    both_see("customer", shop, "custom",
             "{\"a\":4,\"c\":true,\"d\":\"wang\",\"e\":\"li\",\"f\":1}");
    assert_int_equal(inbox(wang), 1);
    assert_int_equal(inbox(li), 0);
}

/* Li opens a form at version 1. Wang's value comes to Li's device while the form is open. */
static void stale_form(bool li_later)
{
    char quote[DAYBOOK_ID_SIZE];
    (void)clean_inboxes(NULL);
    new_quote(quote);
    int64_t shown = device_version(&li->device, "quote", quote);
    tap_set_ahead(&wang->tap, li_later ? 0 : LATER_MS);
    rep_patch(wang, "quote", quote, "{\"note\":\"by wang\",\"valid_to\":20261231}");
    tap_set_ahead(&wang->tap, 0);
    company_settle(&company);
    assert_field(li, "quote", quote, "note", "by wang");
    assert_true(device_version(&li->device, "quote", quote) > shown);

    rep_patch_at(li, "quote", quote, shown, "{\"note\":\"by li\"}");
    assert_field(li, "quote", quote, "note", "by li");
    assert_field(li, "quote", quote, "valid_to", "20261231");
    company_settle(&company);
    both_see("quote", quote, "note", li_later ? "by li" : "by wang");
    both_see("quote", quote, "valid_to", "20261231");
    assert_int_equal(conflicts(quote, "note", li_later ? "\"by wang\"" : "\"by li\""), 1);
    assert_int_equal(inbox(li_later ? wang : li), 1);
    assert_int_equal(inbox(li_later ? li : wang), 0);
}

static void test_conflicts__form_saved_over_a_newer_value_is_a_conflict(void **state)
{
    (void)state;
    stale_form(true);
    stale_form(false);
}

static void test_conflicts__value_that_was_seen_is_replaced_without_a_conflict(void **state)
{
    char quote[DAYBOOK_ID_SIZE];
    (void)state;
    new_quote(quote);
    /* Wang's clock is ahead; Li has seen the value, so hers is later whatever the clocks say. */
    tap_set_ahead(&wang->tap, LATER_MS);
    rep_patch(wang, "quote", quote, "{\"note\":\"by wang\"}");
    tap_set_ahead(&wang->tap, 0);
    company_settle(&company);
    rep_patch(li, "quote", quote, "{\"note\":\"by li\"}");
    company_settle(&company);
    both_see("quote", quote, "note", "by li");
    assert_int_equal(conflicts(quote, "note", NULL), 0);
    assert_int_equal(inbox(wang) + inbox(li), 0);
}

static void test_conflicts__blind_write_replaces_what_is_there(void **state)
{
    char quote[DAYBOOK_ID_SIZE];
    (void)state;
    new_quote(quote);
    rep_patch(wang, "quote", quote, "{\"note\":\"by wang\"}");
    company_settle(&company);
    rep_patch_at(li, "quote", quote, DAYBOOK_ANY_VERSION, "{\"note\":\"blind\"}");
    company_settle(&company);
    both_see("quote", quote, "note", "blind");
    assert_int_equal(conflicts(quote, "note", NULL), 0);
    /* Blind means what is there on this device: what it does not have yet is still a conflict. */
    rep_patch(wang, "quote", quote, "{\"note\":\"not on li's device\"}");
    tap_set_ahead(&li->tap, LATER_MS);
    rep_patch_at(li, "quote", quote, DAYBOOK_ANY_VERSION, "{\"note\":\"blind again\"}");
    tap_set_ahead(&li->tap, 0);
    rep_sync(wang);
    company_settle(&company);
    both_see("quote", quote, "note", "blind again");
    assert_int_equal(conflicts(quote, "note", NULL), 1);
}

static void test_conflicts__version_that_never_was_is_refused(void **state)
{
    char quote[DAYBOOK_ID_SIZE];
    (void)state;
    new_quote(quote);
    int64_t version = device_version(&li->device, "quote", quote);
    assert_int_equal(rep_try_patch(li, "quote", quote, version + 1000000, "{\"note\":\"x\"}"),
                     DAYBOOK_BAD_VERSION);
    assert_field(li, "quote", quote, "note", "first");
    assert_int_equal(device_status(&li->device).pending, 0);
}

/* Changes of a device to one record, one after the other, are its own history, not conflicts. */
static void test_conflicts__chain_of_own_changes_stands_against_one_of_others(void **state)
{
    char quote[DAYBOOK_ID_SIZE];
    (void)state;
    new_quote(quote);
    rep_patch(li, "quote", quote, "{\"note\":\"li 1\"}");
    rep_patch(li, "quote", quote, "{\"note\":\"li 2\"}");
    rep_patch(wang, "quote", quote, "{\"note\":\"wang\"}");
    rep_sync(wang);
    tap_set_ahead(&li->tap, LATER_MS);
    rep_patch(li, "quote", quote, "{\"note\":\"li 3\"}");
    tap_set_ahead(&li->tap, 0);
    company_settle(&company);
    both_see("quote", quote, "note", "li 3");
    assert_int_equal(inbox(wang), 1);
    assert_string_equal(company_field(&company, "quote", quote, "note"), "li 3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_conflicts__different_fields_are_both_kept, clean_inboxes),
        cmocka_unit_test_setup(test_conflicts__same_field_keeps_the_later_whoever_arrives_first,
                               clean_inboxes),
        cmocka_unit_test_setup(test_conflicts__equal_values_are_no_conflict, clean_inboxes),
        cmocka_unit_test_setup(test_conflicts__amount_and_currency_are_one_value, clean_inboxes),
        cmocka_unit_test_setup(test_conflicts__group_and_other_fields_of_one_record, clean_inboxes),
        cmocka_unit_test_setup(test_conflicts__own_keys_merge_one_by_one, clean_inboxes),
        cmocka_unit_test_setup(test_conflicts__form_saved_over_a_newer_value_is_a_conflict,
                               clean_inboxes),
        cmocka_unit_test_setup(test_conflicts__value_that_was_seen_is_replaced_without_a_conflict,
                               clean_inboxes),
        cmocka_unit_test_setup(test_conflicts__blind_write_replaces_what_is_there, clean_inboxes),
        cmocka_unit_test_setup(test_conflicts__version_that_never_was_is_refused, clean_inboxes),
        cmocka_unit_test_setup(test_conflicts__chain_of_own_changes_stands_against_one_of_others,
                               clean_inboxes),
    };
    return cmocka_run_group_tests_name("conflicts", tests, set_up, tear_down);
}
