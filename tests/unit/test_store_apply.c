/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's log on the device: rows, order, versions, what moves underneath pending changes, and
 * replies that are refused whole.
 */
#include "tests/support/desk.h"

#include "engine/base/text.h"

#include <stdarg.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

/* A customer as the log tells it. */
static void customer_row(struct desk *desk, enum block_op op, int64_t position, const struct id *id,
                         const char *name)
{
    desk_row(desk, op, ENTITY_CUSTOMER, 2, position, id);
    desk_text(desk, CUSTOMER_NAME, name);
}

static struct id known_customer(struct desk *desk, int64_t position, const char *name)
{
    struct id id = desk_id(desk);
    customer_row(desk, BLOCK_NEW, position, &id, name);
    desk_apply(desk, position);
    return id;
}

static void patch(struct desk *desk, const struct id *id, int64_t seen, int field, const char *text)
{
    desk_set(desk, ENTITY_CUSTOMER, id, seen);
    desk_text(desk, field, text);
    desk_commit(desk);
}

static void test_store_apply__rows_make_change_and_delete_records(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id a = desk_id(&desk), b = desk_id(&desk);
    customer_row(&desk, BLOCK_NEW, 1, &a, "A");
    desk_text(&desk, CUSTOMER_TAGS, "[\"gold\"]");
    desk_text(&desk, FIELD_CUSTOM, "{\"colour\":\"red\",\"floor\":2}");
    customer_row(&desk, BLOCK_NEW, 1, &b, "B");
    desk_row(&desk, BLOCK_SET, ENTITY_CUSTOMER, 3, 2, &a);
    desk_text(&desk, CUSTOMER_NAME, "Aa");
    desk_text(&desk, FIELD_CUSTOM, "{\"colour\":null,\"size\":9}");
    desk_row(&desk, BLOCK_SET, ENTITY_CUSTOMER, 2, 3, &b);
    desk_row(&desk, BLOCK_DELETE, ENTITY_CUSTOMER, 2, 4, &b);
    desk.changed = 0;
    desk_apply_upto(&desk, 4, 9);
    assert_true(desk.changed == ((uint64_t)1 << ENTITY_CUSTOMER | STORE_CHANGED_SYNC));
    assert_int_equal(desk.applied.rows, 5);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &a, CUSTOMER_NAME, "Aa");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &a, CUSTOMER_NORM_NAME, "aa");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &a, CUSTOMER_TAGS, "[\"gold\"]");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &a, FIELD_CUSTOM, "{\"floor\":2,\"size\":9}");
    desk_expect_version(&desk, ENTITY_CUSTOMER, &a, 2);
    assert_int_equal(desk_number(&desk, "SELECT bucket FROM r_customer"), 3);
    assert_false(desk_has(&desk, ENTITY_CUSTOMER, &b));
    struct store_state now = desk_state(&desk);
    assert_int_equal(now.position, 4);
    assert_int_equal(now.head, 9);
    assert_int_equal(now.safe_position, 9);
    desk_clear(&desk);
}

static void test_store_apply__a_set_for_a_record_that_is_not_held_is_skipped(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = desk_id(&desk);
    customer_row(&desk, BLOCK_SET, 1, &id, "A");
    desk_row(&desk, BLOCK_DELETE, ENTITY_CUSTOMER, 2, 2, &id);
    desk_row(&desk, BLOCK_EVICT, ENTITY_CUSTOMER, 2, 3, &id);
    desk_apply(&desk, 3);
    assert_false(desk_has(&desk, ENTITY_CUSTOMER, &id));
    desk_clear(&desk);
}

static void test_store_apply__entries_at_or_below_the_version_are_skipped(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = desk_id(&desk);
    /* given a page that was read at 8 by a device at 1 */
    desk_scope(&desk, "[[2,\"north\"]]");
    desk_apply_upto(&desk, 1, 9);
    desk_row(&desk, BLOCK_NEW, ENTITY_CUSTOMER, 0, 8, &id);
    desk_text(&desk, CUSTOMER_NAME, "new");
    desk_page(&desk, 2, 8, NULL, NULL);
    desk_apply_upto(&desk, 1, 9);
    desk_expect_version(&desk, ENTITY_CUSTOMER, &id, 8);
    /* when the log is read up to there, and on */
    customer_row(&desk, BLOCK_NEW, 2, &id, "old");
    customer_row(&desk, BLOCK_SET, 5, &id, "older");
    desk_row(&desk, BLOCK_SET, ENTITY_CUSTOMER, 2, 8, &id);
    desk_text(&desk, CUSTOMER_NAME, "same position");
    customer_row(&desk, BLOCK_SET, 9, &id, "newest");
    desk_apply(&desk, 9);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "newest");
    desk_expect_version(&desk, ENTITY_CUSTOMER, &id, 9);
    desk_clear(&desk);
}

static void test_store_apply__unknown_fields_and_entities_are_kept(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = desk_id(&desk);
    customer_row(&desk, BLOCK_NEW, 1, &id, "A");
    desk_unknown(&desk, "segment", "\"A\"");
    desk_unknown(&desk, "scores", "[1,2.5e3,{\"a\":null}]");
    desk_apply(&desk, 1);
    desk_row(&desk, BLOCK_SET, ENTITY_CUSTOMER, 2, 2, &id);
    desk_unknown(&desk, "segment", "\"B\"");
    desk_unknown(&desk, "scores", "null");
    desk_unknown(&desk, "mood", "7");
    desk_apply(&desk, 2);
    assert_string_equal(desk_sql(&desk, "SELECT extra FROM r_customer"),
                        "{\"segment\":\"B\",\"mood\":7}");
    desk_raw_log(
        &desk,
        "[{\"entity\":\"spaceship\",\"op\":\"new\",\"bucket\":2,\"fields\":[\"name\",\"crew\"],"
        "\"rows\":[[3,\"AZKfbDoAcACAAAAAAAAAFA\",\"Beagle\",74]]},"
        "{\"entity\":\"spaceship\",\"op\":\"set\",\"bucket\":3,\"fields\":[\"crew\"],"
        "\"rows\":[[4,\"AZKfbDoAcACAAAAAAAAAFA\",73],[4,\"AZKfbDoAcACAAAAAAAAAFQ\",1]]}]");
    desk_apply(&desk, 4);
    assert_string_equal(desk_sql(&desk, "SELECT body||version||bucket FROM raw_record"),
                        "{\"name\":\"Beagle\",\"crew\":73}43");
    desk_raw_log(&desk, "[{\"entity\":\"spaceship\",\"op\":\"evict\",\"bucket\":3,"
                        "\"rows\":[[5,\"AZKfbDoAcACAAAAAAAAAFA\"]]}]");
    desk_apply(&desk, 5);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM raw_record"), 0);
    desk_clear(&desk);
}

static void test_store_apply__the_base_moves_under_a_pending_change(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = known_customer(&desk, 3, "A");
    patch(&desk, &id, 3, CUSTOMER_NAME, "mine");
    /* when somebody else changes the same field and another one */
    customer_row(&desk, BLOCK_SET, 4, &id, "theirs");
    desk_text(&desk, CUSTOMER_INDUSTRY, "bakery");
    desk_apply(&desk, 4);
    /* then mine is shown, the other field is theirs, and reads yield the version that I had seen */
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "mine");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_INDUSTRY, "bakery");
    desk_expect_version(&desk, ENTITY_CUSTOMER, &id, 3);
    /* and a rejection brings theirs out */
    desk_send(&desk);
    desk_rejected(&desk, 1, REJECT_RULE, NULL);
    desk_apply(&desk, 4);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "theirs");
    desk_expect_version(&desk, ENTITY_CUSTOMER, &id, 4);
    desk_clear(&desk);
}

static void test_store_apply__sets_and_maps_are_base_plus_operations(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = desk_id(&desk);
    customer_row(&desk, BLOCK_NEW, 1, &id, "A");
    desk_text(&desk, CUSTOMER_TAGS, "[\"a\",\"b\"]");
    desk_text(&desk, FIELD_CUSTOM, "{\"k\":1}");
    desk_apply(&desk, 1);
    desk_set(&desk, ENTITY_CUSTOMER, &id, 1);
    desk_text(&desk, CUSTOMER_TAGS, "{\"add\":[\"c\"],\"remove\":[\"a\"]}");
    desk_text(&desk, FIELD_CUSTOM, "{\"mine\":true}");
    desk_commit(&desk);
    desk_row(&desk, BLOCK_SET, ENTITY_CUSTOMER, 2, 2, &id);
    desk_text(&desk, CUSTOMER_TAGS, "[\"a\",\"b\",\"d\"]");
    desk_text(&desk, FIELD_CUSTOM, "{\"k\":null,\"theirs\":2}");
    desk_apply(&desk, 2);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_TAGS, "[\"b\",\"c\",\"d\"]");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, FIELD_CUSTOM, "{\"mine\":true,\"theirs\":2}");
    desk_send(&desk);
    desk_rejected(&desk, 1, REJECT_POLICY, NULL);
    desk_apply(&desk, 2);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_TAGS, "[\"a\",\"b\",\"d\"]");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, FIELD_CUSTOM, "{\"theirs\":2}");
    desk_clear(&desk);
}

static void test_store_apply__an_edit_revives_what_somebody_deleted(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = known_customer(&desk, 3, "A");
    patch(&desk, &id, 3, CUSTOMER_INDUSTRY, "bakery");
    desk_row(&desk, BLOCK_DELETE, ENTITY_CUSTOMER, 2, 4, &id);
    desk_apply(&desk, 4);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "A");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_INDUSTRY, "bakery");
    /* when the server agrees, the whole record comes behind the marker */
    desk_own(&desk, 5, 1, 2);
    customer_row(&desk, BLOCK_NEW, 5, &id, "A");
    desk_text(&desk, CUSTOMER_INDUSTRY, "bakery");
    desk_text(&desk, CUSTOMER_CHANNEL, "web");
    desk_apply(&desk, 5);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_CHANNEL, "web");
    desk_expect_version(&desk, ENTITY_CUSTOMER, &id, 5);
    desk_clear(&desk);
}

static void test_store_apply__a_rejected_edit_of_a_deleted_record_is_gone(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = known_customer(&desk, 3, "A");
    patch(&desk, &id, 3, CUSTOMER_INDUSTRY, "bakery");
    desk_send(&desk);
    desk_row(&desk, BLOCK_DELETE, ENTITY_CUSTOMER, 2, 4, &id);
    desk_apply(&desk, 4);
    desk_rejected(&desk, 1, REJECT_RULE, NULL);
    desk_apply(&desk, 4);
    assert_false(desk_has(&desk, ENTITY_CUSTOMER, &id));
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM pending"), 0);
    desk_clear(&desk);
}

static void test_store_apply__an_eviction_takes_the_base_and_leaves_the_work(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = known_customer(&desk, 3, "A");
    struct id other = known_customer(&desk, 4, "B");
    patch(&desk, &id, 3, CUSTOMER_INDUSTRY, "bakery");
    desk_row(&desk, BLOCK_EVICT, ENTITY_CUSTOMER, 2, 5, &id);
    desk_row(&desk, BLOCK_EVICT, ENTITY_CUSTOMER, 2, 5, &other);
    desk_apply(&desk, 5);
    assert_false(desk_has(&desk, ENTITY_CUSTOMER, &id));
    assert_false(desk_has(&desk, ENTITY_CUSTOMER, &other));
    /* not a byte of the base is left, and the change is still to be sent */
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM pending WHERE base IS NULL"), 1);
    assert_int_equal(desk_state(&desk).pending, 1);
    assert_string_equal(desk_sql(&desk, "SELECT state FROM sync_state"), "local");
    desk_send(&desk);
    /* when it is accepted out of our sight, nothing comes back */
    desk_own(&desk, 6, 1, 0);
    desk_apply(&desk, 6);
    assert_false(desk_has(&desk, ENTITY_CUSTOMER, &id));
    desk_clear(&desk);
}

static void
test_store_apply__a_move_between_two_buckets_that_are_seen_keeps_the_record(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = known_customer(&desk, 3, "A");
    for (int order = 0; order < 2; order++) {
        int64_t position = 4 + order;
        int64_t old = 2 + order, new = 3 + order;
        if (order == 0) {
            desk_row(&desk, BLOCK_EVICT, ENTITY_CUSTOMER, old, position, &id);
        }
        desk_row(&desk, BLOCK_NEW, ENTITY_CUSTOMER, new, position, &id);
        desk_text(&desk, CUSTOMER_NAME, "moved");
        if (order == 1) {
            desk_row(&desk, BLOCK_EVICT, ENTITY_CUSTOMER, old, position, &id);
        }
        desk_apply(&desk, position);
        desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "moved");
        assert_int_equal(desk_number(&desk, "SELECT bucket FROM r_customer"), new);
    }
    desk_clear(&desk);
}

static void test_store_apply__totals_follow_what_the_log_brings(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id customer = known_customer(&desk, 1, "A");
    struct id id = desk_id(&desk), product = desk_fixed_id(0x77);
    struct id lines[2] = {desk_id(&desk), desk_id(&desk)};
    for (int i = 0; i < 2; i++) {
        desk_row(&desk, BLOCK_NEW, ENTITY_QUOTE_LINE, 2, 2, &lines[i]);
        desk_ref(&desk, QUOTE_LINE_QUOTE_ID, &id);
        desk_ref(&desk, QUOTE_LINE_PRODUCT_ID, &product);
        desk_int(&desk, QUOTE_LINE_QTY, 1000);
        desk_int(&desk, QUOTE_LINE_PRICE_E4, 100000);
    }
    desk_row(&desk, BLOCK_NEW, ENTITY_QUOTE, 2, 2, &id);
    desk_ref(&desk, QUOTE_CUSTOMER_ID, &customer);
    desk_text(&desk, QUOTE_CUR, "JPY");
    desk_apply(&desk, 2);
    desk_expect_int(&desk, ENTITY_QUOTE_LINE, &lines[0], QUOTE_LINE_AMOUNT, 10);
    desk_expect_int(&desk, ENTITY_QUOTE, &id, QUOTE_TOTAL, 20);
    desk_row(&desk, BLOCK_SET, ENTITY_QUOTE_LINE, 2, 3, &lines[0]);
    desk_int(&desk, QUOTE_LINE_QTY, 3000);
    desk_apply(&desk, 3);
    desk_expect_int(&desk, ENTITY_QUOTE, &id, QUOTE_TOTAL, 40);
    desk_row(&desk, BLOCK_DELETE, ENTITY_QUOTE_LINE, 2, 4, &lines[1]);
    desk_apply(&desk, 4);
    desk_expect_int(&desk, ENTITY_QUOTE, &id, QUOTE_TOTAL, 30);
    /* an own line on top, and its undo */
    struct id mine = desk_id(&desk);
    desk_new(&desk, ENTITY_QUOTE_LINE, &mine);
    desk_ref(&desk, QUOTE_LINE_QUOTE_ID, &id);
    desk_ref(&desk, QUOTE_LINE_PRODUCT_ID, &product);
    desk_int(&desk, QUOTE_LINE_QTY, 1000);
    desk_int(&desk, QUOTE_LINE_PRICE_E4, 50000);
    desk_commit(&desk);
    desk_expect_int(&desk, ENTITY_QUOTE, &id, QUOTE_TOTAL, 35);
    desk_send(&desk);
    desk_rejected(&desk, 1, REJECT_RULE, NULL);
    desk_apply(&desk, 4);
    desk_expect_int(&desk, ENTITY_QUOTE, &id, QUOTE_TOTAL, 30);
    desk_clear(&desk);
}

static void test_store_apply__a_lost_value_is_told_once(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    desk_scope(&desk, "[[2,\"north\"]]");
    struct id customer = known_customer(&desk, 3, "A"), instance = desk_fixed_id(0x99);
    char text[ID_TEXT_SIZE];
    dk_id_to_text(&customer, text);
    struct id conflict = desk_id(&desk), others = desk_id(&desk);
    desk_page(&desk, 2, 3, NULL, NULL);
    desk_apply(&desk, 3);
    /* its number may be one that the store had when the value was given */
    assert_int_equal(dk_store_new_instance(desk.store, &instance, 8), DAYBOOK_OK);
    desk_enrol(&desk, 9);
    desk_reset(&desk, DESK_EPOCH, 3);
    desk_page(&desk, 2, 3, NULL, NULL);
    desk_apply(&desk, 3);
    /* once in the log, and again on a page of a snapshot that was begun anew */
    for (int round = 0; round < 2; round++) {
        desk_row(&desk, BLOCK_NEW, ENTITY_CONFLICT, 2, 4, &conflict);
        desk_text(&desk, CONFLICT_ENTITY, "customer");
        desk_ref(&desk, CONFLICT_RECORD, &customer);
        desk_text(&desk, CONFLICT_FIELD, "name");
        desk_text(&desk, CONFLICT_KEPT, "\"theirs\"");
        desk_text(&desk, CONFLICT_LOST, "\"mine\"");
        desk_int(&desk, CONFLICT_KEPT_DEV, 9);
        desk_int(&desk, CONFLICT_LOST_DEV, 5);
        desk_text(&desk, CONFLICT_CHANGESET, text);
        desk_row(&desk, BLOCK_NEW, ENTITY_CONFLICT, 2, 4, &others);
        desk_text(&desk, CONFLICT_ENTITY, "customer");
        desk_int(&desk, CONFLICT_LOST_DEV, 6);
        if (round == 1) {
            desk_page(&desk, 2, 4, NULL, NULL);
        }
        desk_apply(&desk, 4);
        assert_int_equal(desk.applied.conflicts, round == 0 ? 1 : 0);
        assert_int_equal(desk_number(&desk, "SELECT count(*) FROM field_conflict"), 2);
        desk_reset(&desk, DESK_EPOCH, 4);
    }
    for (int device = 8; device <= 9; device++) {
        struct id lost = desk_id(&desk);
        desk_row(&desk, BLOCK_NEW, ENTITY_CONFLICT, 2, 5, &lost);
        desk_text(&desk, CONFLICT_FIELD, "prefs");
        desk_int(&desk, CONFLICT_LOST_DEV, device);
    }
    desk_apply(&desk, 5);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM inbox WHERE field='prefs'"), 2);
    assert_int_equal(desk_state(&desk).inbox, 3);
    assert_string_equal(
        desk_sql(&desk, "SELECT kind||entity||field||mine||theirs||(record_id=changeset) FROM inbox"
                        " WHERE field='name'"),
        "supersededcustomername\"mine\"\"theirs\"1");
    desk_clear(&desk);
}

/* ---- damaged replies */

static const char *const bad_logs[] = {
    "[{\"entity\":\"customer\",\"op\":\"new\"",
    "[{\"entity\":\"customer\",\"op\":\"new\",\"fields\":[\"name\"],\"rows\":[[11,"
    "\"AZKfbDoAcACAAAAAAAAAFA\"]]}]",
    "[{\"entity\":\"customer\",\"op\":\"new\",\"fields\":[\"name\"],\"rows\":[[11,"
    "\"AZKfbDoAcACAAAAAAAAAFA\",7]]}]",
    "[{\"entity\":\"customer\",\"op\":\"new\",\"fields\":[\"name\"],\"rows\":[[11,\"nothing\","
    "\"x\"]]}]",
    "[{\"entity\":\"customer\",\"op\":\"new\",\"fields\":[],\"rows\":[[12,"
    "\"AZKfbDoAcACAAAAAAAAAFA\"],"
    "[11,\"AZKfbDoAcACAAAAAAAAAFQ\"]]}]",
    "[{\"entity\":\"customer\",\"op\":\"delete\",\"rows\":[[10,\"AZKfbDoAcACAAAAAAAAAFA\"]]}]",
    "[{\"entity\":\"customer\",\"op\":\"delete\",\"rows\":[[13,\"AZKfbDoAcACAAAAAAAAAFA\"]]}]",
    "[{\"entity\":\"spaceship\",\"op\":\"new\",\"fields\":[\"a\"],\"rows\":[[11,"
    "\"AZKfbDoAcACAAAAAAAAAFA\"]]}]",
    "[{\"op\":\"own\",\"rows\":[[11,\"AZKfbDoAcACAAAAAAAAAFA\",0,1]]}]",
    "{}",
};
static const char *const bad_scopes[] = {"[[1,\"a\"],[1,\"b\"]]",
                                         "[[0,\"a\"]]",
                                         "[[\"1\",\"a\"]]",
                                         "[[1,2]]",
                                         "[[1,\"a\",3]]",
                                         "[[1]]",
                                         "[1]",
                                         "{}",
                                         "[[1,\"a\"]",
                                         "[[1,\"a\"]]]"};
/* The last bracket of pages and of verdicts is the desk's. */
static const char *const bad_pages[] = {
    "{}",
    "[7",
    "[{\"bucket\":0,\"head\":12,\"rows\":[]}",
    "[{\"bucket\":1,\"head\":0,\"rows\":[]}",
    "[{\"bucket\":1,\"rows\":[]}",
    "[{\"bucket\":1,\"head\":12}",
    "[{\"bucket\":1,\"head\":12,\"rows\":{}}",
    "[{\"bucket\":1,\"head\":12,\"rows\":[],\"rows\":[]}",
    "[{\"bucket\":1,\"head\":12,\"next\":7,\"rows\":[]}",
    "[{\"bucket\":1,\"head\":12,\"next\":[7],\"rows\":[]}",
    "[{\"bucket\":1,\"head\":12,\"next\":[\"customer\",\"x\"],\"rows\":[]}",
    "[{\"bucket\":1,\"head\":12,\"rows\":[],\"next\":[\"customer\",\"AZKfbDoAcACAAAAAAAAAFA\"]}",
    "[{\"bucket\":1,\"head\":12,\"next\":[\"x\",\"AZKfbDoAcACAAAAAAAAAFA\",1],\"rows\":[]}",
    "[{\"bucket\":1,\"head\":12,\"next\":[\"\",\"AZKfbDoAcACAAAAAAAAAFA\"],\"rows\":[]}",
};
static const char *const bad_verdicts[] = {
    "{}",
    "[7",
    "[[]",
    "[[0,\"accepted\",11]",
    "[[1,\"fine\",11]",
    "[[1,\"accepted\",0]",
    "[[1,\"accepted\",13]",
    "[[1,\"rejected\",0,{\"code\":7}]",
    "[[1,\"accepted\",11,7]",
};
static const struct {
    int64_t position, head, safe;
    uint64_t epoch;
} bad_numbers[] = {{9, 12, 1, 0},   {12, 11, 1, 0}, {12, 12, 13, 0},
                   {12, 12, 1, 99}, {-1, 12, 1, 0}, {12, 12, 1, UINT64_MAX}};
#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* The reply that has been put together is refused. */
static void refuse(struct desk *desk, int64_t position, int64_t head, const char *text)
{
    if (desk_try_apply(desk, position, head) != DAYBOOK_BAD_REPLY) {
        fail_msg("%s is taken", text);
    }
    assert_non_null(desk->reply_problem);
    desk_check(desk);
}

static void test_store_apply__damaged_and_contradicting_replies_change_nothing(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = known_customer(&desk, 10, "A");
    patch(&desk, &id, 10, CUSTOMER_NAME, "B");
    desk_send(&desk);
    struct store_state before = desk_state(&desk);
    for (size_t i = 0; i < COUNT(bad_logs); i++) {
        desk_raw_log(&desk, bad_logs[i]);
        refuse(&desk, 12, 12, bad_logs[i]);
    }
    for (size_t i = 0; i < COUNT(bad_numbers); i++) {
        desk.reply.safe_position = bad_numbers[i].safe;
        desk.reply.epoch = bad_numbers[i].epoch;
        refuse(&desk, bad_numbers[i].position, bad_numbers[i].head, "numbers");
    }
    desk.reply.reset = true;
    desk_raw_log(&desk, "[]");
    refuse(&desk, 12, 12, "a reset with a log");
    for (size_t i = 0; i < COUNT(bad_scopes); i++) {
        desk_scope(&desk, bad_scopes[i]);
        refuse(&desk, 12, 12, bad_scopes[i]);
    }
    for (size_t i = 0; i < COUNT(bad_pages); i++) {
        dk_buffer_append_text(&desk.pages, bad_pages[i]);
        refuse(&desk, 12, 12, bad_pages[i]);
    }
    for (size_t i = 0; i < COUNT(bad_verdicts); i++) {
        dk_buffer_append_text(&desk.verdicts, bad_verdicts[i]);
        refuse(&desk, 12, 12, bad_verdicts[i]);
    }
    struct store_state after = desk_state(&desk);
    assert_memory_equal(&before, &after, sizeof before);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "B");
    desk_check(&desk);
    desk_clear(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_apply__rows_make_change_and_delete_records),
        cmocka_unit_test(test_store_apply__a_set_for_a_record_that_is_not_held_is_skipped),
        cmocka_unit_test(test_store_apply__entries_at_or_below_the_version_are_skipped),
        cmocka_unit_test(test_store_apply__unknown_fields_and_entities_are_kept),
        cmocka_unit_test(test_store_apply__the_base_moves_under_a_pending_change),
        cmocka_unit_test(test_store_apply__sets_and_maps_are_base_plus_operations),
        cmocka_unit_test(test_store_apply__an_edit_revives_what_somebody_deleted),
        cmocka_unit_test(test_store_apply__a_rejected_edit_of_a_deleted_record_is_gone),
        cmocka_unit_test(test_store_apply__an_eviction_takes_the_base_and_leaves_the_work),
        cmocka_unit_test(
            test_store_apply__a_move_between_two_buckets_that_are_seen_keeps_the_record),
        cmocka_unit_test(test_store_apply__totals_follow_what_the_log_brings),
        cmocka_unit_test(test_store_apply__a_lost_value_is_told_once),
        cmocka_unit_test(test_store_apply__damaged_and_contradicting_replies_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
