/* SPDX-License-Identifier: Apache-2.0
 *
 * Local transactions: records and outbox together, versions, groups, sets, rules, limits.
 */
#include "tests/support/desk.h"

#include "engine/base/text.h"
#include "engine/store/inside.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

/* A customer that the server has decided, at this version. */
static struct id known_customer(struct desk *desk, int64_t position, const char *name)
{
    struct id id = desk_id(desk);
    desk_row(desk, BLOCK_NEW, ENTITY_CUSTOMER, 2, position, &id);
    desk_text(desk, CUSTOMER_NAME, name);
    desk_apply(desk, position);
    return id;
}

/* The body of an outbox entry from its changes on. */
static const char *changes_of(struct desk *desk, int64_t seq)
{
    char sql[128];
    (void)dk_text_format(sql, sizeof sql,
                         "SELECT substr(body,instr(body,'\"changes\"')) FROM outbox WHERE seq=%lld",
                         (long long)seq);
    return desk_sql(desk, sql);
}

static void test_store_commit__record_and_outbox_stand_together(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = desk_id(&desk);
    desk_new(&desk, ENTITY_CUSTOMER, &id);
    desk_text(&desk, CUSTOMER_NAME, "Wu & Sons");
    desk_text(&desk, CUSTOMER_TAGS, "[\"gold\",\"north\"]");
    desk_text(&desk, FIELD_CUSTOM, "{\"floor\":3}");
    desk.told = 0;
    desk.changed = 0;
    desk_commit(&desk);
    /* the observer heard of it once */
    assert_int_equal(desk.told, 1);
    assert_true(desk.changed == ((uint64_t)1 << ENTITY_CUSTOMER | STORE_CHANGED_SYNC));
    /* the record shows what was given, and what the rules filled and derived */
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "Wu & Sons");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NORM_NAME, "wusons");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_TAGS, "[\"gold\",\"north\"]");
    desk_expect_int(&desk, ENTITY_CUSTOMER, &id, FIELD_CREATED_DEV, 5);
    desk_expect_version(&desk, ENTITY_CUSTOMER, &id, 0);
    assert_string_equal(desk_sql(&desk, "SELECT owner_id FROM customer"),
                        "a2a2a2a2-a2a2-a2a2-a2a2-a2a2a2a2a2a2");
    /* the outbox says exactly what was given */
    assert_non_null(strstr(changes_of(&desk, 1), "\"fields\":[\"name\",\"tags\",\"custom\"]"));
    assert_non_null(
        strstr(changes_of(&desk, 1), "\"Wu & Sons\",[\"gold\",\"north\"],{\"floor\":3}"));
    assert_string_equal(desk_sql(&desk, "SELECT entity||state||seq FROM sync_state"),
                        "customerlocal1");
    struct store_state now = desk_state(&desk);
    assert_int_equal(now.pending, 1);
    assert_int_equal(now.next_seq, 2);
    assert_int_equal(now.oldest_pending_ms, desk.now_ms);
    desk_check(&desk);
    desk_clear(&desk);
}

static void test_store_commit__an_id_is_taken_once(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id made = desk_customer(&desk, "A");
    struct id known = known_customer(&desk, 3, "B");
    struct id gone = known_customer(&desk, 4, "C");
    desk_delete(&desk, ENTITY_CUSTOMER, &gone, 4);
    desk_commit(&desk);
    const struct id *ids[] = {&made, &known, &gone};
    for (size_t i = 0; i < 3; i++) {
        desk_new(&desk, ENTITY_CUSTOMER, ids[i]);
        desk_text(&desk, CUSTOMER_NAME, "again");
        desk_commit_expect(&desk, DAYBOOK_EXISTS);
        assert_memory_equal(&desk.failure.id, ids[i], sizeof *ids[i]);
    }
    desk_expect_text(&desk, ENTITY_CUSTOMER, &made, CUSTOMER_NAME, "A");
    desk_check(&desk);
    desk_clear(&desk);
}

static void test_store_commit__a_failure_changes_nothing_at_all(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = known_customer(&desk, 3, "A");
    struct store_state before = desk_state(&desk);
    struct id visit = desk_id(&desk);
    desk.told = 0;
    /* given a transaction whose last change breaks a rule */
    desk_set(&desk, ENTITY_CUSTOMER, &id, 3);
    desk_text(&desk, CUSTOMER_INDUSTRY, "bakery");
    desk_new(&desk, ENTITY_VISIT, &visit);
    desk_commit_expect(&desk, DAYBOOK_REQUIRED);
    /* then it says which, and nothing of it is there */
    assert_ptr_equal(desk.failure.entity, dk_entity(ENTITY_VISIT));
    assert_string_equal(desk.failure.refusal.field, "customer_id");
    assert_int_equal(desk.told, 0);
    desk_expect_null(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_INDUSTRY);
    struct store_state after = desk_state(&desk);
    assert_int_equal(after.next_seq, before.next_seq);
    assert_int_equal(after.pending, 0);
    assert_true(after.clock.last == before.clock.last);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM pending"), 0);
    desk_check(&desk);
    desk_clear(&desk);
}

static void test_store_commit__a_patch_names_a_version_that_was_there(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = known_customer(&desk, 7, "A");
    static const int64_t bad[] = {8, 100, -2};
    for (size_t i = 0; i < 3; i++) {
        desk_set(&desk, ENTITY_CUSTOMER, &id, bad[i]);
        desk_text(&desk, CUSTOMER_INDUSTRY, "x");
        desk_commit_expect(&desk, DAYBOOK_BAD_VERSION);
    }
    desk_set(&desk, ENTITY_CUSTOMER, &id, 5); /* an older one is a form that was open for long */
    desk_text(&desk, CUSTOMER_INDUSTRY, "y");
    desk_commit(&desk);
    desk_expect_version(&desk, ENTITY_CUSTOMER, &id, 5);
    assert_non_null(strstr(changes_of(&desk, 1), "[[5,"));
    /* what is read now is the smallest that pending changes have seen; the base's was there too,
     * and a blind write is over it */
    desk_set(&desk, ENTITY_CUSTOMER, &id, 8);
    desk_text(&desk, CUSTOMER_INDUSTRY, "z");
    desk_commit_expect(&desk, DAYBOOK_BAD_VERSION);
    desk_set(&desk, ENTITY_CUSTOMER, &id, 7);
    desk_text(&desk, CUSTOMER_INDUSTRY, "z");
    desk_commit(&desk);
    assert_non_null(strstr(changes_of(&desk, 2), "[[7,"));
    desk_set(&desk, ENTITY_CUSTOMER, &id, -1);
    desk_text(&desk, CUSTOMER_INDUSTRY, "blind");
    desk_commit(&desk);
    assert_non_null(strstr(changes_of(&desk, 3), "[[7,"));
    desk_expect_version(&desk, ENTITY_CUSTOMER, &id, 5);
    desk_check(&desk);
    desk_clear(&desk);
}

static void test_store_commit__a_record_that_is_not_there_is_not_found(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = desk_id(&desk);
    desk_set(&desk, ENTITY_CUSTOMER, &id, -1);
    desk_text(&desk, CUSTOMER_NAME, "x");
    desk_commit_expect(&desk, DAYBOOK_NOT_FOUND);
    desk_delete(&desk, ENTITY_CUSTOMER, &id, -1);
    desk_commit_expect(&desk, DAYBOOK_NOT_FOUND);
    id = desk_customer(&desk, "A");
    desk_delete(&desk, ENTITY_CUSTOMER, &id, 0);
    desk_commit(&desk);
    assert_false(desk_has(&desk, ENTITY_CUSTOMER, &id));
    desk_set(&desk, ENTITY_CUSTOMER, &id, -1);
    desk_text(&desk, CUSTOMER_NAME, "x");
    desk_commit_expect(&desk, DAYBOOK_NOT_FOUND);
    desk_check(&desk);
    desk_clear(&desk);
}

static void test_store_commit__fields_of_others_are_readonly(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = desk_id(&desk);
    struct id user = desk_fixed_id(9);
    desk_new(&desk, ENTITY_PRODUCT, &id);
    desk_text(&desk, PRODUCT_CODE, "P");
    desk_commit_expect(&desk, DAYBOOK_READONLY);
    desk_new(&desk, ENTITY_CUSTOMER, &id);
    desk_text(&desk, CUSTOMER_NAME, "A");
    desk_ref(&desk, CUSTOMER_OWNER_ID, &user);
    desk_commit_expect(&desk, DAYBOOK_READONLY);
    assert_string_equal(desk.failure.refusal.field, "owner_id");
    struct id customer = desk_customer(&desk, "A");
    struct id visit = desk_id(&desk);
    desk_new(&desk, ENTITY_VISIT, &visit);
    desk_ref(&desk, VISIT_CUSTOMER_ID, &customer);
    desk_commit(&desk);
    desk_set(&desk, ENTITY_VISIT, &visit, 0);
    desk_ref(&desk, VISIT_CUSTOMER_ID, &id);
    desk_commit_expect(&desk, DAYBOOK_READONLY);
    assert_string_equal(desk.failure.refusal.field, "customer_id");
    desk_check(&desk);
    desk_clear(&desk);
}

static void test_store_commit__one_field_of_a_group_carries_the_group(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id customer = known_customer(&desk, 3, "A");
    struct id id = desk_id(&desk);
    desk_row(&desk, BLOCK_NEW, ENTITY_OPPORTUNITY, 2, 4, &id);
    desk_ref(&desk, OPPORTUNITY_CUSTOMER_ID, &customer);
    desk_text(&desk, OPPORTUNITY_SUBJECT, "oven");
    desk_int(&desk, OPPORTUNITY_AMOUNT, 9000);
    desk_text(&desk, OPPORTUNITY_CUR, "EUR");
    desk_apply(&desk, 4);
    desk_set(&desk, ENTITY_OPPORTUNITY, &id, 4);
    desk_int(&desk, OPPORTUNITY_AMOUNT, 13000);
    desk_commit(&desk);
    assert_non_null(strstr(changes_of(&desk, 1), "\"fields\":[\"amount\",\"cur\"]"));
    assert_non_null(strstr(changes_of(&desk, 1), "\"13000\",\"EUR\""));
    desk_check(&desk);
    desk_clear(&desk);
}

static void test_store_commit__sets_and_maps_go_up_as_differences(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = desk_id(&desk);
    desk_row(&desk, BLOCK_NEW, ENTITY_CUSTOMER, 2, 3, &id);
    desk_text(&desk, CUSTOMER_NAME, "A");
    desk_text(&desk, CUSTOMER_TAGS, "[\"gold\",\"new\"]");
    desk_text(&desk, FIELD_CUSTOM, "{\"colour\":\"red\",\"floor\":2}");
    desk_apply(&desk, 3);
    /* given whole, as differences, and as nothing */
    desk_set(&desk, ENTITY_CUSTOMER, &id, 3);
    desk_text(&desk, CUSTOMER_TAGS, "[\"gold\",\"north\"]");
    desk_text(&desk, FIELD_CUSTOM, "{\"colour\":null,\"floor\":3}");
    desk_commit(&desk);
    assert_non_null(strstr(changes_of(&desk, 1), "{\"add\":[\"north\"],\"remove\":[\"new\"]}"));
    assert_non_null(strstr(changes_of(&desk, 1), "{\"colour\":null,\"floor\":3}"));
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_TAGS, "[\"gold\",\"north\"]");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, FIELD_CUSTOM, "{\"floor\":3}");
    desk_check(&desk);
    desk_set(&desk, ENTITY_CUSTOMER, &id, 3);
    desk_text(&desk, CUSTOMER_TAGS, NULL);
    desk_commit(&desk);
    assert_non_null(strstr(changes_of(&desk, 2), "{\"remove\":[\"gold\",\"north\"]}"));
    desk_expect_null(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_TAGS);
    desk_check(&desk);
    desk_clear(&desk);
}

/* A quote with lines, committed in one transaction, lines first. */
static struct id quote(struct desk *desk, const struct id *customer, struct id *lines, int count)
{
    struct id id = desk_id(desk);
    struct id product = desk_fixed_id(0x77);
    for (int i = 0; i < count; i++) {
        lines[i] = desk_id(desk);
        desk_new(desk, ENTITY_QUOTE_LINE, &lines[i]);
        desk_ref(desk, QUOTE_LINE_QUOTE_ID, &id);
        desk_ref(desk, QUOTE_LINE_PRODUCT_ID, &product);
        desk_int(desk, QUOTE_LINE_QTY, 24000);
        desk_int(desk, QUOTE_LINE_PRICE_E4, 123456);
        desk_int(desk, QUOTE_LINE_DISC_BP, 500);
    }
    desk_new(desk, ENTITY_QUOTE, &id);
    desk_ref(desk, QUOTE_CUSTOMER_ID, customer);
    desk_text(desk, QUOTE_CUR, "CNY");
    desk_commit(desk);
    return id;
}

static void test_store_commit__totals_follow_from_lines_in_any_order(void **state)
{
    struct desk desk;
    struct id lines[3];
    (void)state;
    desk_begin(&desk);
    struct id customer = desk_customer(&desk, "A");
    struct id id = quote(&desk, &customer, lines, 3);
    desk_expect_int(&desk, ENTITY_QUOTE_LINE, &lines[0], QUOTE_LINE_AMOUNT, 28148);
    desk_expect_int(&desk, ENTITY_QUOTE, &id, QUOTE_TOTAL, 3 * 28148);
    desk_check(&desk);
    desk_set(&desk, ENTITY_QUOTE_LINE, &lines[1], 0);
    desk_int(&desk, QUOTE_LINE_QTY, 48000);
    desk_delete(&desk, ENTITY_QUOTE_LINE, &lines[2], 0);
    desk_commit(&desk);
    desk_expect_int(&desk, ENTITY_QUOTE, &id, QUOTE_TOTAL, 28148 + 56296);
    desk_check(&desk);
    desk_clear(&desk);
}

static void test_store_commit__a_document_takes_its_lines_with_it(void **state)
{
    struct desk desk;
    struct id lines[3];
    (void)state;
    desk_begin(&desk);
    struct id customer = desk_customer(&desk, "A");
    struct id id = quote(&desk, &customer, lines, 3);
    struct id fresh = desk_id(&desk);
    struct id product = desk_fixed_id(0x77);
    /* given a transaction that also changes one line, makes one, and deletes one by itself
     * afterwards */
    desk_set(&desk, ENTITY_QUOTE_LINE, &lines[0], 0);
    desk_int(&desk, QUOTE_LINE_QTY, 1000);
    desk_new(&desk, ENTITY_QUOTE_LINE, &fresh);
    desk_ref(&desk, QUOTE_LINE_QUOTE_ID, &id);
    desk_ref(&desk, QUOTE_LINE_PRODUCT_ID, &product);
    desk_int(&desk, QUOTE_LINE_QTY, 1000);
    desk_int(&desk, QUOTE_LINE_PRICE_E4, 10000);
    desk_delete(&desk, ENTITY_QUOTE, &id, 0);
    desk_delete(&desk, ENTITY_QUOTE_LINE, &lines[2], 0);
    desk_commit(&desk);
    /* then each line is deleted once, and the new one was never there */
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM quote_line"), 0);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM quote"), 0);
    const char *changes = changes_of(&desk, 3);
    assert_null(strstr(changes, "\"op\":\"set\""));
    assert_null(strstr(changes, "\"op\":\"new\""));
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM sync_state WHERE seq=3"), 4);
    desk_check(&desk);
    desk_clear(&desk);
}

static void test_store_commit__limits_refuse_the_whole_transaction(void **state)
{
    struct desk desk;
    struct id lines[LIMIT_CHILDREN];
    (void)state;
    desk_begin(&desk);
    struct id customer = desk_customer(&desk, "A");
    struct id id = quote(&desk, &customer, lines, LIMIT_CHILDREN);
    struct id product = desk_fixed_id(0x77);
    struct id more = desk_id(&desk);
    desk_new(&desk, ENTITY_QUOTE_LINE, &more);
    desk_ref(&desk, QUOTE_LINE_QUOTE_ID, &id);
    desk_ref(&desk, QUOTE_LINE_PRODUCT_ID, &product);
    desk_int(&desk, QUOTE_LINE_QTY, 1000);
    desk_int(&desk, QUOTE_LINE_PRICE_E4, 10000);
    desk_commit_expect(&desk, DAYBOOK_TOO_LARGE);
    assert_string_equal(desk.failure.refusal.rule, "children");
    /* and a body that is too large */
    char *note = malloc(200001);
    assert_non_null(note);
    memset(note, 'x', 200000);
    note[200000] = '\0';
    struct change *change;
    for (int i = 0; i < 22; i++) {
        struct id other = desk_id(&desk);
        desk_new(&desk, ENTITY_CUSTOMER, &other);
        change = &desk.changes[desk.change_count - 1];
        desk_text(&desk, CUSTOMER_NAME, "B");
        desk_text(&desk, CUSTOMER_PREFS, "");
        change->values[1].value.text = note;
        change->values[1].value.length = 200000;
    }
    desk_commit_expect(&desk, DAYBOOK_TOO_LARGE);
    free(note);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM customer"), 1);
    assert_int_equal(desk_state(&desk).next_seq, 3);
    desk_check(&desk);
    desk_clear(&desk);
}

static void test_store_commit__two_changes_of_one_record_are_misuse(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = known_customer(&desk, 3, "A");
    desk_set(&desk, ENTITY_CUSTOMER, &id, 3);
    desk_text(&desk, CUSTOMER_INDUSTRY, "x");
    desk_set(&desk, ENTITY_CUSTOMER, &id, 3);
    desk_text(&desk, CUSTOMER_CHANNEL, "y");
    desk_commit_expect(&desk, DAYBOOK_MISUSE);
    desk_check(&desk);
    desk_clear(&desk);
}

static void test_store_commit__base_values_are_kept_once_per_field(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = known_customer(&desk, 3, "A");
    for (int i = 0; i < 3; i++) {
        desk_set(&desk, ENTITY_CUSTOMER, &id, 3);
        desk_text(&desk, CUSTOMER_NAME, i == 0 ? "B" : i == 1 ? "C" : "D");
        desk_text(&desk, i == 2 ? CUSTOMER_CHANNEL : CUSTOMER_INDUSTRY, "x");
        desk_commit(&desk);
        desk_check(&desk);
    }
    assert_string_equal(desk_sql(&desk, "SELECT base FROM pending"),
                        "{\"name\":\"A\",\"industry\":null,\"channel\":null}");
    assert_string_equal(desk_sql(&desk, "SELECT seq_first||'-'||seq_last FROM pending"), "1-3");
    desk_clear(&desk);
}

static void test_store_commit__many_shapes_of_updates_stay_right(void **state)
{
    struct desk desk;
    (void)state;
    /* given more sets of columns than statements are kept for */
    desk_begin(&desk);
    struct id id = known_customer(&desk, 3, "A");
    for (int mask = 1; mask < 200; mask++) {
        char text[16];
        (void)dk_text_format(text, sizeof text, "v%d", mask);
        desk_set(&desk, ENTITY_CUSTOMER, &id, 3);
        desk_shape(&desk, mask, text);
        desk_commit(&desk);
    }
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_TYPE, "v199");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_PREFS, "v191");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_REGION, "v199");
    desk_check(&desk);
    desk_clear(&desk);
}

/* Counts what SQLite does, in hundreds of steps. */
static int count_steps(void *context)
{
    int *steps = context;
    ++*steps;
    return 0;
}

/* The steps of a transaction of so many visits of one rep, every five minutes; or of the feedback
 * of one of them afterwards. */
static int steps_of_visits(int count, bool of_feedback)
{
    struct desk desk;
    struct id visit;
    int steps = 0;
    desk_begin(&desk);
    struct id customer = desk_customer(&desk, "A");
    for (int i = 0; i < count; i++) {
        visit = desk_id(&desk);
        desk_new(&desk, ENTITY_VISIT, &visit);
        desk_ref(&desk, VISIT_CUSTOMER_ID, &customer);
        desk_text(&desk, VISIT_STATUS, of_feedback ? "completed" : "in_progress");
        desk_int(&desk, VISIT_CHECKIN_TS, INT64_C(1767225600000) - i * INT64_C(300000));
    }
    if (of_feedback) {
        desk_commit(&desk);
        desk_set(&desk, ENTITY_VISIT, &visit, 0);
        desk_text(&desk, VISIT_FEEDBACK, "as before");
    }
    desk.whole = true;
    sqlite3_progress_handler(desk.store->database.handle, 100, count_steps, &steps);
    desk_commit(&desk);
    sqlite3_progress_handler(desk.store->database.handle, 0, NULL, NULL);
    desk_clear(&desk);
    return steps;
}

static void test_store_commit__many_visits_cost_no_more_each_than_few(void **state)
{
    (void)state;
    int few = steps_of_visits(50, false), many = steps_of_visits(400, false);
    assert_true(few > 0);
    assert_in_range(many, 1, 10 * few); /* 8 times as many */
    few = steps_of_visits(50, true), many = steps_of_visits(400, true);
    assert_in_range(many, few, 2 * few + 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_commit__record_and_outbox_stand_together),
        cmocka_unit_test(test_store_commit__an_id_is_taken_once),
        cmocka_unit_test(test_store_commit__a_failure_changes_nothing_at_all),
        cmocka_unit_test(test_store_commit__a_patch_names_a_version_that_was_there),
        cmocka_unit_test(test_store_commit__a_record_that_is_not_there_is_not_found),
        cmocka_unit_test(test_store_commit__fields_of_others_are_readonly),
        cmocka_unit_test(test_store_commit__one_field_of_a_group_carries_the_group),
        cmocka_unit_test(test_store_commit__sets_and_maps_go_up_as_differences),
        cmocka_unit_test(test_store_commit__totals_follow_from_lines_in_any_order),
        cmocka_unit_test(test_store_commit__a_document_takes_its_lines_with_it),
        cmocka_unit_test(test_store_commit__limits_refuse_the_whole_transaction),
        cmocka_unit_test(test_store_commit__two_changes_of_one_record_are_misuse),
        cmocka_unit_test(test_store_commit__base_values_are_kept_once_per_field),
        cmocka_unit_test(test_store_commit__many_shapes_of_updates_stay_right),
        cmocka_unit_test(test_store_commit__many_visits_cost_no_more_each_than_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
