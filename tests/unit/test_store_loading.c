/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots on the device's side: which pages are taken, when a bucket is complete, and what
 * becomes of the device's own work meanwhile.
 */
#include "tests/support/desk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define NORTH 2

static void log_row(struct desk *desk, enum block_op op, int64_t position, const struct id *id,
                    const char *name)
{
    desk_row(desk, op, ENTITY_CUSTOMER, NORTH, position, id);
    if (op != BLOCK_DELETE) {
        desk_text(desk, CUSTOMER_NAME, name);
    }
}

/* A whole customer on a page under way. */
static void page_row(struct desk *desk, int64_t version, const struct id *id, const char *name)
{
    desk_row(desk, BLOCK_NEW, ENTITY_CUSTOMER, 0, version, id);
    desk_text(desk, CUSTOMER_NAME, name);
}

/* At position 5 of the log, with one bucket to load. */
static void begin(struct desk *desk)
{
    desk_begin(desk);
    desk_scope(desk, "[[2,\"north\"]]");
    desk_reset(desk, DESK_EPOCH, 5);
    assert_int_equal(desk_state(desk).loading, 1);
}

/* The same, loaded, with one customer of version 3. */
static struct id begin_loaded(struct desk *desk)
{
    begin(desk);
    struct id id = desk_id(desk);
    page_row(desk, 3, &id, "A");
    desk_page(desk, NORTH, 5, NULL, NULL);
    desk_apply(desk, 5);
    assert_int_equal(desk_state(desk).loading, 0);
    return id;
}

static const char *wanted(struct desk *desk)
{
    struct buffer out;
    dk_buffer_init(&out, 1000);
    assert_int_equal(dk_store_write_loading(desk->store, &out), DAYBOOK_OK);
    const char *copy = dk_arena_copy(&desk->arena, dk_buffer_text(&out), out.length);
    dk_buffer_clear(&out);
    return copy;
}

static void rename_customer(struct desk *desk, const struct id *id, int64_t seen, const char *name)
{
    desk_set(desk, ENTITY_CUSTOMER, id, seen);
    desk_text(desk, CUSTOMER_NAME, name);
    desk_commit(desk);
}

static void test_store_loading__a_page_is_taken_where_the_bucket_stands(void **state)
{
    struct desk desk;
    (void)state;
    begin(&desk);
    struct id a = desk_fixed_id(1), b = desk_fixed_id(2), c = desk_fixed_id(3);
    assert_string_equal(wanted(&desk), "[[2]]");
    /* not the first page; of a bucket that is not held */
    page_row(&desk, 3, &b, "B");
    desk_page(&desk, NORTH, 5, &a, NULL);
    page_row(&desk, 3, &c, "C");
    desk_page(&desk, 9, 5, NULL, NULL);
    desk_apply(&desk, 5);
    assert_int_equal(desk.applied.pages, 0);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM customer"), 0);
    /* the first, and at once the next */
    page_row(&desk, 3, &a, "A");
    desk_page(&desk, NORTH, 5, NULL, &a);
    page_row(&desk, 4, &b, "B");
    desk_page(&desk, NORTH, 5, &a, &b);
    desk_apply(&desk, 5);
    assert_int_equal(desk.applied.pages, 2);
    assert_string_equal(wanted(&desk), "[[2,\"customer\",\"AgICAgICAgICAgICAgICAg\"]]");
    /* it stands there also after a restart; the first page again is passed over */
    desk_close(&desk);
    desk_open(&desk);
    assert_int_equal(desk_state(&desk).loading, 1);
    page_row(&desk, 5, &a, "again");
    desk_page(&desk, NORTH, 5, NULL, NULL);
    desk_apply(&desk, 5);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &a, CUSTOMER_NAME, "A");
    page_row(&desk, 5, &c, "C");
    desk_page(&desk, NORTH, 5, &b, NULL);
    desk_apply(&desk, 5);
    assert_string_equal(wanted(&desk), "");
    assert_int_equal(desk_state(&desk).loading, 0);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM customer"), 3);
    desk_clear(&desk);
}

static void test_store_loading__pages_that_break_the_protocol(void **state)
{
    struct desk desk;
    (void)state;
    begin(&desk);
    struct id a = desk_fixed_id(1);
    /* read before the position that the device has; above the head */
    desk_page(&desk, NORTH, 4, NULL, NULL);
    desk_apply_expect(&desk, 5, DAYBOOK_BAD_REPLY);
    desk_page(&desk, NORTH, 6, NULL, NULL);
    desk_apply_expect(&desk, 5, DAYBOOK_BAD_REPLY);
    /* a version above the page's head; a row that is no whole record */
    page_row(&desk, 6, &a, "A");
    desk_page(&desk, NORTH, 5, NULL, NULL);
    desk_apply_expect(&desk, 6, DAYBOOK_BAD_REPLY);
    desk_row(&desk, BLOCK_SET, ENTITY_CUSTOMER, 0, 3, &a);
    desk_text(&desk, CUSTOMER_NAME, "A");
    desk_page(&desk, NORTH, 5, NULL, NULL);
    desk_apply_expect(&desk, 5, DAYBOOK_BAD_REPLY);
    /* beside a reset */
    desk.reply.reset = true;
    desk_page(&desk, NORTH, 5, NULL, NULL);
    desk_apply_expect(&desk, 5, DAYBOOK_BAD_REPLY);
    desk.reply.reset = true;
    log_row(&desk, BLOCK_NEW, 6, &a, "A");
    desk_apply_expect(&desk, 6, DAYBOOK_BAD_REPLY);
    /* a page that goes on where it began */
    page_row(&desk, 3, &a, "A");
    desk_page(&desk, NORTH, 5, NULL, &a);
    desk_apply(&desk, 5);
    desk_page(&desk, NORTH, 5, &a, &a);
    desk_apply_expect(&desk, 5, DAYBOOK_BAD_REPLY);
    static const char *const damaged[] = {
        "{}",
        "[1]",
        "[{}]",
        "[{\"bucket\":2}]",
        "[{\"bucket\":2,\"head\":\"5\"}]",
        "[{\"bucket\":2,\"head\":5,\"after\":[]}]",
        "[{\"bucket\":2,\"head\":5,\"after\":[\"customer\"]}]",
        "[{\"bucket\":2,\"head\":5,\"next\":[\"customer\",\"A\"]}]",
        "[{\"bucket\":2,\"head\":5,\"rows\":{}}]",
        "[{\"bucket\":2,\"head\":5,\"rows\":[],\"after\":[\"customer\",\"AQEBAQEBAQEBAQEBAQEBAQ\"]}"
        "]",
        "[{\"bucket\":2,\"head\":5,\"after\":[\"customer\",\"AQEBAQEBAQEBAQEBAQEBAQ\"],\"rows\":[]"
        ",\"a\":1}]",
        "[{\"bucket\":2,\"head\":5,\"after\":[\"customer\",\"AQEBAQEBAQEBAQEBAQEBAQ\"],\"rows\":{}}"
        "]",
        "[{\"bucket\":2,\"head\":5,\"after\":[\"customer\",\"AQEBAQEBAQEBAQEBAQEBAQ\"],\"rows\":[]"
        "x}]"};
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        dk_buffer_append(&desk.pages, damaged[i], strlen(damaged[i]) - 1);
        desk_apply_expect(&desk, 5, DAYBOOK_BAD_REPLY);
    }
    assert_int_equal(desk_state(&desk).position, 5);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM customer"), 1);
    desk_clear(&desk);
}

static void test_store_loading__it_ends_at_the_highest_head_of_its_pages(void **state)
{
    struct desk desk;
    (void)state;
    begin(&desk);
    struct id a = desk_fixed_id(1), b = desk_fixed_id(2), c = desk_fixed_id(3);
    page_row(&desk, 8, &a, "A");
    desk_page(&desk, NORTH, 9, NULL, &a);
    desk_apply_upto(&desk, 5, 9);
    page_row(&desk, 6, &b, "B");
    desk_page(&desk, NORTH, 7, &a, NULL); /* a page that was kept, of an older head */
    log_row(&desk, BLOCK_SET, 6, &b, "older");
    log_row(&desk, BLOCK_SET, 7, &a, "older");
    log_row(&desk, BLOCK_DELETE, 8, &b, "");
    desk_apply_upto(&desk, 8, 9);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &a, CUSTOMER_NAME, "A");
    assert_false(desk_has(&desk, ENTITY_CUSTOMER, &b));
    assert_string_equal(wanted(&desk), "");
    assert_int_equal(desk_state(&desk).loading, 1);
    log_row(&desk, BLOCK_NEW, 9, &c, "C");
    desk_apply(&desk, 9);
    assert_int_equal(desk_state(&desk).loading, 0);
    desk_clear(&desk);
}

/* The marker of a changeset whose record no page has brought yet. */
static void test_store_loading__own_work_stays_in_view_until_it_is_complete(void **state)
{
    struct desk desk;
    (void)state;
    struct id a = begin_loaded(&desk), b = desk_fixed_id(9);
    log_row(&desk, BLOCK_NEW, 6, &b, "B");
    desk_apply(&desk, 6);
    rename_customer(&desk, &a, 3, "mine");
    desk_send(&desk);
    assert_int_equal(dk_store_reload(desk.store, NORTH), DAYBOOK_OK);
    desk_check(&desk);
    desk_own(&desk, 7, 1, NORTH);
    desk_apply(&desk, 7);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &a, CUSTOMER_NAME, "mine");
    assert_int_equal(desk_state(&desk).pending, 0);
    assert_int_equal(desk_state(&desk).unsettled, 1);
    assert_int_equal(desk_state(&desk).settled, 0);
    /* the page brings it with what was decided of it since */
    page_row(&desk, 8, &a, "theirs, later");
    desk_page(&desk, NORTH, 8, NULL, &a);
    desk_apply_upto(&desk, 7, 8);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &a, CUSTOMER_NAME, "mine");
    assert_true(desk_has(&desk, ENTITY_CUSTOMER, &b));
    desk_page(&desk, NORTH, 8, &a, NULL);
    desk_apply_upto(&desk, 7, 8);
    assert_false(desk_has(&desk, ENTITY_CUSTOMER, &b));
    desk_apply(&desk, 8);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &a, CUSTOMER_NAME, "theirs, later");
    desk_expect_version(&desk, ENTITY_CUSTOMER, &a, 8);
    assert_int_equal(desk_state(&desk).settled, 1);
    desk_clear(&desk);
}

/* A verdict whose place the device has jumped over. */
static void test_store_loading__a_place_behind_the_reset_is_settled_at_the_end(void **state)
{
    struct desk desk;
    (void)state;
    struct id a = begin_loaded(&desk);
    rename_customer(&desk, &a, 3, "mine");
    struct id made = desk_customer(&desk, "made here");
    desk_send(&desk);
    desk_accepted(&desk, 1, 8);
    desk_accepted(&desk, 2, 9);
    desk_reset(&desk, DESK_EPOCH, 20);
    assert_int_equal(desk_state(&desk).unsettled, 2);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &a, CUSTOMER_NAME, "mine");
    page_row(&desk, 8, &a, "mine");
    desk_page(&desk, NORTH, 20, NULL, &a);
    desk_apply(&desk, 20);
    assert_int_equal(desk_state(&desk).unsettled, 2);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &made, CUSTOMER_NAME, "made here");
    page_row(&desk, 9, &made, "made here");
    desk_page(&desk, NORTH, 20, &a, NULL);
    desk_apply(&desk, 20);
    assert_int_equal(desk_state(&desk).unsettled, 0);
    assert_int_equal(desk_state(&desk).settled, 2);
    desk_expect_version(&desk, ENTITY_CUSTOMER, &a, 8);
    desk_expect_version(&desk, ENTITY_CUSTOMER, &made, 9);
    desk_clear(&desk);
}

/* Stale rows while they wait: what the log takes away is gone, what it changes waits for the page;
 * a rejection is undone at once. */
static void test_store_loading__what_happens_to_stale_rows(void **state)
{
    struct desk desk;
    (void)state;
    struct id a = begin_loaded(&desk), b = desk_fixed_id(8), c = desk_fixed_id(9);
    log_row(&desk, BLOCK_NEW, 6, &b, "B");
    log_row(&desk, BLOCK_NEW, 6, &c, "C");
    desk_apply(&desk, 6);
    rename_customer(&desk, &a, 3, "refused");
    desk_send(&desk);
    assert_int_equal(dk_store_reload(desk.store, NORTH), DAYBOOK_OK);
    assert_int_equal(dk_store_reload(desk.store, 77), DAYBOOK_NOT_FOUND);
    log_row(&desk, BLOCK_SET, 7, &a, "partial");
    log_row(&desk, BLOCK_DELETE, 8, &b, "");
    desk_row(&desk, BLOCK_EVICT, ENTITY_CUSTOMER, NORTH, 8, &c);
    desk_rejected(&desk, 1, REJECT_RULE, NULL);
    desk_apply(&desk, 8);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &a, CUSTOMER_NAME, "A");
    desk_expect_version(&desk, ENTITY_CUSTOMER, &a, 3);
    assert_false(desk_has(&desk, ENTITY_CUSTOMER, &b));
    assert_false(desk_has(&desk, ENTITY_CUSTOMER, &c));
    /* begun anew in the middle, and lost: what is left is the other bucket's */
    page_row(&desk, 7, &a, "partial");
    desk_page(&desk, NORTH, 8, NULL, &a);
    desk_apply(&desk, 8);
    assert_int_equal(dk_store_reload(desk.store, NORTH), DAYBOOK_OK);
    assert_string_equal(wanted(&desk), "[[2]]");
    desk_scope(&desk, "[[3,\"south\"]]");
    desk_apply(&desk, 8);
    assert_string_equal(wanted(&desk), "[[3]]");
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM r_customer"), 0);
    /* gained again, it loads from its first page */
    desk_scope(&desk, "[[2,\"north\"],[3,\"south\"]]");
    desk_apply(&desk, 8);
    assert_string_equal(wanted(&desk), "[[2],[3]]");
    assert_string_equal(desk_sql(&desk, "SELECT group_concat(label||loading) FROM buckets"),
                        "north1,south1");
    desk_clear(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_loading__a_page_is_taken_where_the_bucket_stands),
        cmocka_unit_test(test_store_loading__pages_that_break_the_protocol),
        cmocka_unit_test(test_store_loading__it_ends_at_the_highest_head_of_its_pages),
        cmocka_unit_test(test_store_loading__own_work_stays_in_view_until_it_is_complete),
        cmocka_unit_test(test_store_loading__a_place_behind_the_reset_is_settled_at_the_end),
        cmocka_unit_test(test_store_loading__what_happens_to_stale_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
