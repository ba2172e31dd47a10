/* SPDX-License-Identifier: Apache-2.0
 *
 * Settling: own changesets take effect at their place in the log, and the server's corrections
 * follow.
 */
#include "tests/support/desk.h"

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

static void test_store_settle__an_own_value_is_not_overwritten_by_older_entries(void **state)
{
    struct desk desk;
    (void)state;
    /* given pages of one entry, and other people's older entries still to come */
    desk_begin(&desk);
    struct id id = known_customer(&desk, 3, "A");
    patch(&desk, &id, 3, CUSTOMER_NAME, "mine");
    desk_send(&desk);
    desk_accepted(&desk, 1, 6);
    customer_row(&desk, BLOCK_SET, 4, &id, "older 1");
    desk_apply_upto(&desk, 4, 7);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "mine");
    assert_int_equal(desk_state(&desk).unsettled, 1);
    assert_string_equal(desk_sql(&desk, "SELECT state FROM sync_state"), "accepted");
    customer_row(&desk, BLOCK_SET, 5, &id, "older 2");
    desk_apply_upto(&desk, 5, 7);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "mine");
    desk_own(&desk, 6, 1, 2);
    desk_apply_upto(&desk, 6, 7);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "mine");
    desk_expect_version(&desk, ENTITY_CUSTOMER, &id, 6);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM sync_state"), 0);
    assert_int_equal(desk_state(&desk).settled, 1);
    customer_row(&desk, BLOCK_SET, 7, &id, "newer");
    desk_apply(&desk, 7);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "newer");
    desk_clear(&desk);
}

static void test_store_settle__a_marker_alone_settles_and_its_rows_correct(void **state)
{
    struct desk desk;
    (void)state;
    /* given a made record and a lost verdict */
    desk_begin(&desk);
    struct id customer = known_customer(&desk, 3, "A");
    struct id id = desk_id(&desk);
    desk_new(&desk, ENTITY_VISIT, &id);
    desk_ref(&desk, VISIT_CUSTOMER_ID, &customer);
    desk_text(&desk, VISIT_FEEDBACK, "mine");
    desk_commit(&desk);
    desk_expect_text(&desk, ENTITY_VISIT, &id, VISIT_STATUS, "planned");
    patch(&desk, &customer, 3, CUSTOMER_NAME, "B");
    desk_send(&desk);
    /* when the log brings the markers with what the server decided otherwise */
    desk_own(&desk, 4, 1, 2);
    desk_row(&desk, BLOCK_SET, ENTITY_VISIT, 2, 4, &id);
    desk_text(&desk, VISIT_STATUS, "in_progress");
    desk_int(&desk, VISIT_EFFECTIVE, 1);
    desk_own(&desk, 5, 2, 2);
    desk_row(&desk, BLOCK_SET, ENTITY_CUSTOMER, 2, 5, &customer);
    desk_text(&desk, CUSTOMER_NAME, "theirs wins");
    desk_apply(&desk, 5);
    desk_expect_text(&desk, ENTITY_VISIT, &id, VISIT_FEEDBACK, "mine");
    desk_expect_text(&desk, ENTITY_VISIT, &id, VISIT_STATUS, "in_progress");
    desk_expect_int(&desk, ENTITY_VISIT, &id, VISIT_EFFECTIVE, 1);
    desk_expect_int(&desk, ENTITY_VISIT, &id, FIELD_CREATED_DEV, 5);
    desk_expect_version(&desk, ENTITY_VISIT, &id, 4);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &customer, CUSTOMER_NAME, "theirs wins");
    assert_int_equal(desk_number(&desk, "SELECT bucket FROM r_visit"), 2);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM outbox"), 0);
    /* a replayed marker and a late verdict say nothing new */
    desk_accepted(&desk, 1, 4);
    desk_apply(&desk, 5);
    desk_clear(&desk);
}

static void test_store_settle__provisional_values_of_the_server_go_with_the_marker(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = desk_customer(&desk, "A");
    assert_string_not_equal(desk_sql(&desk, "SELECT territory_id FROM customer"), "");
    desk_send(&desk);
    desk_own(&desk, 1, 1, 2);
    desk_row(&desk, BLOCK_SET, ENTITY_CUSTOMER, 2, 1, &id);
    struct id owner = desk_fixed_id(0x44);
    desk_ref(&desk, CUSTOMER_OWNER_ID, &owner);
    desk_apply(&desk, 1);
    assert_string_equal(desk_sql(&desk, "SELECT territory_id FROM customer"), "");
    assert_string_equal(desk_sql(&desk, "SELECT owner_id FROM customer"),
                        "44444444-4444-4444-4444-444444444444");
    assert_string_equal(desk_sql(&desk, "SELECT created_by FROM customer"),
                        "a2a2a2a2-a2a2-a2a2-a2a2-a2a2a2a2a2a2");
    desk_clear(&desk);
}

static void test_store_settle__a_marker_with_later_changes_pending_keeps_them_on_top(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = desk_customer(&desk, "A");
    patch(&desk, &id, 0, CUSTOMER_NAME, "B");
    patch(&desk, &id, 0, CUSTOMER_INDUSTRY, "bakery");
    desk_send(&desk);
    desk_own(&desk, 1, 1, 2);
    desk_row(&desk, BLOCK_SET, ENTITY_CUSTOMER, 2, 1, &id);
    desk_text(&desk, CUSTOMER_TIER, "gold");
    desk_apply(&desk, 1);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "B");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_TIER, "gold");
    desk_expect_version(&desk, ENTITY_CUSTOMER, &id, 0);
    assert_string_equal(
        desk_sql(&desk, "SELECT seq_first||'-'||seq_last||' '||base_version FROM pending"),
        "2-3 1");
    desk_own(&desk, 2, 2, 2);
    desk_apply(&desk, 2);
    desk_own(&desk, 3, 3, 2);
    desk_apply(&desk, 3);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "B");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_INDUSTRY, "bakery");
    desk_expect_version(&desk, ENTITY_CUSTOMER, &id, 3);
    desk_clear(&desk);
}

static void test_store_settle__a_marker_of_another_file_changes_nothing(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = desk_customer(&desk, "A");
    struct id foreign = desk_fixed_id(0x66), news = desk_id(&desk);
    for (int64_t seq = 1; seq <= 2;
         seq++) { /* a number of ours with another id, and one never given */
        customer_row(&desk, BLOCK_NEW, 3, &news, "news");
        desk_own_id(&desk, 4, seq, &foreign, 2);
        assert_int_equal(desk_try_apply(&desk, 4, 4), DAYBOOK_OK);
        assert_true(desk.applied.copy_detected);
        assert_int_equal(desk.applied.rows, 0);
        assert_false(desk_has(&desk, ENTITY_CUSTOMER, &news));
        assert_int_equal(desk_state(&desk).position, 0);
        desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "A");
        desk_check(&desk);
    }
    desk_clear(&desk);
}

static void test_store_settle__a_changeset_over_several_buckets_comes_whole(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id north = desk_id(&desk), south = desk_id(&desk);
    desk_row(&desk, BLOCK_NEW, ENTITY_CUSTOMER, 2, 1, &north);
    desk_text(&desk, CUSTOMER_NAME, "N");
    desk_row(&desk, BLOCK_NEW, ENTITY_CUSTOMER, 3, 1, &south);
    desk_text(&desk, CUSTOMER_NAME, "S");
    desk_apply(&desk, 1);
    struct id visits[2] = {desk_id(&desk), desk_id(&desk)};
    for (int i = 0; i < 2; i++) {
        desk_new(&desk, ENTITY_VISIT, &visits[i]);
        desk_ref(&desk, VISIT_CUSTOMER_ID, i == 0 ? &north : &south);
    }
    desk_commit(&desk);
    /* given a marker that names no bucket, because there are two */
    desk_send(&desk);
    desk_own(&desk, 2, 1, 0);
    for (int i = 0; i < 2; i++) { /* what everybody gets follows */
        desk_row(&desk, BLOCK_NEW, ENTITY_VISIT, 2 + i, 2, &visits[i]);
        desk_ref(&desk, VISIT_CUSTOMER_ID, i == 0 ? &north : &south);
        desk_text(&desk, VISIT_STATUS, "planned");
    }
    desk_apply(&desk, 2);
    desk_expect_version(&desk, ENTITY_VISIT, &visits[1], 2);
    assert_string_equal(desk_sql(&desk,
                                 "SELECT group_concat(bucket) FROM (SELECT v.bucket FROM r_visit v"
                                 " ORDER BY v.id)"),
                        "2,3");
    desk_clear(&desk);
}

/* Given an edit of a record that somebody else deleted before, when its marker names no bucket,
 * then the record is where this device does not see it: it has left with its customer meanwhile.
 * Where it is in scope, it comes whole behind the marker. */
static void test_store_settle__a_marker_without_a_bucket_revives_nothing(void **state)
{
    struct desk desk;
    (void)state;
    for (int seen = 0; seen < 2; seen++) {
        desk_begin(&desk);
        struct id id = known_customer(&desk, 3, "A");
        patch(&desk, &id, 3, CUSTOMER_NAME, "mine");
        desk_send(&desk);
        desk_row(&desk, BLOCK_DELETE, ENTITY_CUSTOMER, 0, 4, &id);
        desk_apply(&desk, 4);
        assert_true(desk_has(&desk, ENTITY_CUSTOMER, &id));
        desk_own(&desk, 5, 1, 0);
        if (seen == 1) {
            customer_row(&desk, BLOCK_NEW, 5, &id, "mine");
        }
        desk_apply(&desk, 5);
        assert_int_equal(desk_has(&desk, ENTITY_CUSTOMER, &id), seen);
        assert_int_equal(desk_number(&desk, "SELECT count(*) FROM sync_state"), 0);
        desk_check(&desk);
        desk_clear(&desk);
    }
}

/* Given an edit of a record that somebody else deleted before, which brings it back in another
 * bucket, because it belongs to another customer now, then it lies there, and goes with that
 * bucket's. */
static void test_store_settle__what_is_revived_lies_in_the_bucket_of_the_marker(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id north = known_customer(&desk, 3, "A"), south = desk_id(&desk);
    struct id contact = desk_id(&desk);
    desk_row(&desk, BLOCK_NEW, ENTITY_CUSTOMER, 3, 4, &south);
    desk_text(&desk, CUSTOMER_NAME, "B");
    desk_row(&desk, BLOCK_NEW, ENTITY_CONTACT, 2, 4, &contact);
    desk_ref(&desk, CONTACT_CUSTOMER_ID, &north);
    desk_text(&desk, CONTACT_NAME, "Li");
    desk_apply(&desk, 4);
    desk_set(&desk, ENTITY_CONTACT, &contact, 4);
    desk_ref(&desk, CONTACT_CUSTOMER_ID, &south);
    desk_commit(&desk);
    desk_send(&desk);
    desk_row(&desk, BLOCK_DELETE, ENTITY_CONTACT, 0, 5, &contact);
    desk_apply(&desk, 5);
    desk_own(&desk, 6, 1, 3);
    desk_apply(&desk, 6);
    assert_int_equal(desk_number(&desk, "SELECT bucket FROM r_contact"), 3);
    desk_check(&desk);
    desk_row(&desk, BLOCK_EVICT, ENTITY_CONTACT, 3, 7, &contact);
    desk_apply(&desk, 7);
    assert_false(desk_has(&desk, ENTITY_CONTACT, &contact));
    desk_check(&desk);
    desk_clear(&desk);
}

/* Given a line that was made here and is gone by its place in the log, when that is heard, then the
 * document adds up without it. */
static void test_store_settle__a_document_without_a_line_that_is_gone_adds_up(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id customer = known_customer(&desk, 3, "A"), quote = desk_id(&desk);
    struct id line = desk_id(&desk);
    desk_row(&desk, BLOCK_NEW, ENTITY_QUOTE, 2, 4, &quote);
    desk_ref(&desk, QUOTE_CUSTOMER_ID, &customer);
    desk_text(&desk, QUOTE_CUR, "CNY");
    desk_apply(&desk, 4);
    desk_new(&desk, ENTITY_QUOTE_LINE, &line);
    desk_ref(&desk, QUOTE_LINE_QUOTE_ID, &quote);
    desk_ref(&desk, QUOTE_LINE_PRODUCT_ID, &customer);
    desk_int(&desk, QUOTE_LINE_QTY, 1000);
    desk_int(&desk, QUOTE_LINE_PRICE_E4, 1000);
    desk_commit(&desk);
    desk_expect_int(&desk, ENTITY_QUOTE, &quote, QUOTE_TOTAL, 10);
    desk_send(&desk);
    desk_apply(&desk, 6); /* 5 made the line, 6 deleted it: nothing to tell */
    desk_accepted(&desk, 1, 5);
    desk_apply(&desk, 6);
    assert_false(desk_has(&desk, ENTITY_QUOTE_LINE, &line));
    desk_expect_int(&desk, ENTITY_QUOTE, &quote, QUOTE_TOTAL, 0);
    desk_clear(&desk);
}

static void test_store_settle__settled_changesets_wait_for_the_backup(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    (void)desk_customer(&desk, "A");
    (void)desk_customer(&desk, "B");
    desk_send(&desk);
    desk_own(&desk, 1, 1, 2);
    desk_own(&desk, 2, 2, 2);
    desk.reply.safe_position = 1;
    desk_apply(&desk, 2);
    assert_int_equal(desk_number(&desk, "SELECT seq FROM outbox"), 2);
    struct store_state now = desk_state(&desk);
    assert_int_equal(now.pending + now.unsettled, 0);
    assert_int_equal(now.settled, 2);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM sync_state"), 0);
    desk_close(&desk);
    desk_open(&desk);
    desk_check(&desk);
    desk_apply(&desk, 2);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM outbox"), 0);
    desk_clear(&desk);
}

static void test_store_settle__newer_values_of_others_stay_where_the_marker_comes_late(void **state)
{
    struct desk desk;
    (void)state;
    /* given an accepted change whose place the store has passed with whole rows, and a newer entry
     */
    desk_begin(&desk);
    struct id id = known_customer(&desk, 1, "A");
    patch(&desk, &id, 1, CUSTOMER_NAME, "mine");
    desk_send(&desk);
    customer_row(&desk, BLOCK_NEW, 4, &id, "mine");
    customer_row(&desk, BLOCK_SET, 5, &id, "newer");
    desk_apply(&desk, 5);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "mine");
    /* when the verdict says where it stands */
    desk_accepted(&desk, 1, 4);
    desk_apply(&desk, 5);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "newer");
    desk_expect_version(&desk, ENTITY_CUSTOMER, &id, 5);
    desk_clear(&desk);
}

static void test_store_settle__what_the_rules_filled_goes_where_the_server_did_not(void **state)
{
    struct desk desk;
    (void)state;
    /* given a line without a tax rate, whose product comes to be known */
    desk_begin(&desk);
    struct id customer = known_customer(&desk, 1, "A");
    struct id quote = desk_id(&desk), line = desk_id(&desk), product = desk_id(&desk);
    desk_row(&desk, BLOCK_NEW, ENTITY_QUOTE, 2, 2, &quote);
    desk_ref(&desk, QUOTE_CUSTOMER_ID, &customer);
    desk_text(&desk, QUOTE_CUR, "CNY");
    desk_row(&desk, BLOCK_NEW, ENTITY_QUOTE_LINE, 2, 2, &line);
    desk_ref(&desk, QUOTE_LINE_QUOTE_ID, &quote);
    desk_ref(&desk, QUOTE_LINE_PRODUCT_ID, &product);
    desk_int(&desk, QUOTE_LINE_QTY, 1000);
    desk_int(&desk, QUOTE_LINE_PRICE_E4, 1130000);
    desk_row(&desk, BLOCK_NEW, ENTITY_PRODUCT, 1, 3, &product);
    desk_text(&desk, PRODUCT_NAME, "Flour");
    desk_int(&desk, PRODUCT_TAX_BP, 1300);
    desk_apply(&desk, 3);
    /* when a change of another field fills the rate provisionally */
    desk_set(&desk, ENTITY_QUOTE_LINE, &line, 2);
    desk_text(&desk, QUOTE_LINE_SORT_KEY, "b");
    desk_commit(&desk);
    desk_expect_int(&desk, ENTITY_QUOTE_LINE, &line, QUOTE_LINE_TAX_BP, 1300);
    desk_expect_int(&desk, ENTITY_QUOTE, &quote, QUOTE_TAX, 1300);
    desk_send(&desk);
    /* then it is the server that says whether it stays */
    desk_own(&desk, 4, 1, 2);
    desk_apply(&desk, 4);
    desk_expect_null(&desk, ENTITY_QUOTE_LINE, &line, QUOTE_LINE_TAX_BP);
    desk_expect_text(&desk, ENTITY_QUOTE_LINE, &line, QUOTE_LINE_SORT_KEY, "b");
    desk_expect_int(&desk, ENTITY_QUOTE, &quote, QUOTE_TAX, 0);
    desk_clear(&desk);
}

static void test_store_settle__an_own_move_between_buckets_keeps_the_record(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = known_customer(&desk, 1, "A");
    patch(&desk, &id, 1, CUSTOMER_NAME, "B");
    desk_send(&desk);
    desk_own(&desk, 2, 1, 3);
    desk_row(&desk, BLOCK_NEW, ENTITY_CUSTOMER, 3, 2, &id);
    desk_text(&desk, CUSTOMER_NAME, "B");
    desk_row(&desk, BLOCK_EVICT, ENTITY_CUSTOMER, 2, 2, &id);
    desk_apply(&desk, 2);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "B");
    assert_int_equal(desk_number(&desk, "SELECT bucket FROM r_customer"), 3);
    desk_clear(&desk);
}

/* Rows of the log with more sets of columns than statements are kept for. */
static void bring_many_shapes(struct desk *desk, const struct id *customer, int64_t position)
{
    for (int mask = 1; mask < 200; mask++) {
        desk_row(desk, BLOCK_SET, ENTITY_CUSTOMER, 2, position + mask, customer);
        desk_shape(desk, mask, "shape");
        desk_apply(desk, position + mask);
    }
}

/* A visit of half an hour at the customer's door, in a transaction of its own. */
static struct id visit_at(struct desk *desk, const struct id *customer, int64_t checkin_ms)
{
    struct id id = desk_id(desk);
    desk_new(desk, ENTITY_VISIT, &id);
    desk_ref(desk, VISIT_CUSTOMER_ID, customer);
    desk_text(desk, VISIT_STATUS, "completed");
    desk_text(desk, VISIT_FEEDBACK, "as agreed, more in spring");
    desk_int(desk, VISIT_CHECKIN_TS, checkin_ms);
    desk_int(desk, VISIT_CHECKIN_LAT, 312000000);
    desk_int(desk, VISIT_CHECKIN_LON, 1214000000);
    desk_int(desk, VISIT_CHECKIN_ACC, 5);
    desk_int(desk, VISIT_CHECKOUT_TS, checkin_ms + 1800000);
    desk_commit(desk);
    return id;
}

/* A twin of a visit that counts, while both are pending. The server's word on the first is that it
 * does not count; or somebody else has it begin three days before. Either way the second counts. */
static void judge_twin(bool many_shapes, bool moves)
{
    const int64_t noon = INT64_C(1767225600000);
    struct desk desk;
    desk_begin(&desk);
    struct id customer = desk_id(&desk);
    customer_row(&desk, BLOCK_NEW, 3, &customer, "A");
    desk_int(&desk, CUSTOMER_LAT, 312000000);
    desk_int(&desk, CUSTOMER_LON, 1214000000);
    desk_apply(&desk, 3);
    if (many_shapes) {
        bring_many_shapes(&desk, &customer, 3);
    }
    int64_t position = many_shapes ? 203 : 4;
    struct id first = visit_at(&desk, &customer, noon);
    struct id second = visit_at(&desk, &customer, noon + 3600000);
    desk_expect_int(&desk, ENTITY_VISIT, &first, VISIT_EFFECTIVE, 1);
    desk_expect_null(&desk, ENTITY_VISIT, &second, VISIT_EFFECTIVE);
    desk_send(&desk);
    desk_own(&desk, position, 1, 2);
    if (moves) {
        desk_row(&desk, BLOCK_SET, ENTITY_VISIT, 2, position, &first);
        desk_int(&desk, VISIT_EFFECTIVE, 1);
        desk_apply(&desk, position++);
        desk_expect_null(&desk, ENTITY_VISIT, &second, VISIT_EFFECTIVE);
        desk_row(&desk, BLOCK_SET, ENTITY_VISIT, 2, position, &first);
        desk_int(&desk, VISIT_CHECKIN_TS, noon - INT64_C(3) * 86400000);
    }
    desk_apply(&desk, position);
    desk_expect_int(&desk, ENTITY_VISIT, &second, VISIT_EFFECTIVE, 1);
    desk_check(&desk);
    desk_clear(&desk);
}

static void test_store_settle__a_twin_is_judged_anew(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        judge_twin((i & 1) != 0, (i & 2) != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_settle__an_own_value_is_not_overwritten_by_older_entries),
        cmocka_unit_test(test_store_settle__a_marker_alone_settles_and_its_rows_correct),
        cmocka_unit_test(test_store_settle__provisional_values_of_the_server_go_with_the_marker),
        cmocka_unit_test(test_store_settle__a_marker_with_later_changes_pending_keeps_them_on_top),
        cmocka_unit_test(test_store_settle__a_marker_of_another_file_changes_nothing),
        cmocka_unit_test(test_store_settle__a_changeset_over_several_buckets_comes_whole),
        cmocka_unit_test(test_store_settle__a_marker_without_a_bucket_revives_nothing),
        cmocka_unit_test(test_store_settle__what_is_revived_lies_in_the_bucket_of_the_marker),
        cmocka_unit_test(test_store_settle__a_document_without_a_line_that_is_gone_adds_up),
        cmocka_unit_test(test_store_settle__settled_changesets_wait_for_the_backup),
        cmocka_unit_test(
            test_store_settle__newer_values_of_others_stay_where_the_marker_comes_late),
        cmocka_unit_test(test_store_settle__what_the_rules_filled_goes_where_the_server_did_not),
        cmocka_unit_test(test_store_settle__an_own_move_between_buckets_keeps_the_record),
        cmocka_unit_test(test_store_settle__a_twin_is_judged_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
