/* SPDX-License-Identifier: Apache-2.0
 *
 * Work that leads to records which were deleted, and which compaction has taken away since.
 */
#include "tests/unit/paper_world.h"

#define DAY_MS INT64_C(86400000)

static void redirect(struct world *world, const struct id *from, const struct id *into)
{
    edit_record(world, ENTITY_CUSTOMER, from, world->org.head);
    put_id(world, CUSTOMER_REDIRECT_TO, into);
    (void)accept(world, &world->server);
}

/* Nothing of the log is needed any more. */
static void raise_floor(struct world *world)
{
    assert_int_equal(srv_store_begin(world->store), DAYBOOK_OK);
    assert_int_equal(srv_store_raise_floor(world->store, world->org.org, world->org.head),
                     DAYBOOK_OK);
}

/* Takes everything away that is deleted. */
static void forget_deleted(struct world *world)
{
    int64_t removed = 1;
    raise_floor(world);
    while (removed > 0) {
        assert_int_equal(srv_store_cut(world->store, world->org.org, 1000, &removed), DAYBOOK_OK);
    }
    assert_int_equal(srv_store_commit(world->store), DAYBOOK_OK);
}

/* Given a customer that became another, which was deleted and is forgotten, when a rep changes the
 * first, deletes it, or records something of it, then the changes and what is new are refused. */
static void test_decide_forgotten__a_customer_led_to_it(void **state)
{
    struct world *world = *state;
    struct id from = make_customer(world, &world->li, "first");
    struct id into = make_customer(world, &world->li, "second");
    int64_t seen = world->org.head;
    redirect(world, &from, &into);
    delete_record(world, ENTITY_CUSTOMER, &into, world->org.head);
    (void)accept(world, &world->li);
    forget_deleted(world);
    edit_record(world, ENTITY_CUSTOMER, &from, seen);
    put_text(world, CUSTOMER_NAME, "third");
    reject(world, &world->wang, REJECT_REF_MISSING, "", "");
    (void)make_record(world, ENTITY_VISIT);
    put_id(world, VISIT_CUSTOMER_ID, &from);
    reject(world, &world->wang, REJECT_REF_MISSING, "customer_id", "");
    delete_record(world, ENTITY_CUSTOMER, &from, world->org.head);
    (void)accept(world, &world->wang);
}

/* The same of a visit that was recorded on two devices. */
static void test_decide_forgotten__a_visit_led_to_it(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "customer");
    struct device tablet;
    struct id visits[2];
    make_device(world, &tablet, &world->li.author.account.user);
    for (int i = 0; i < 2; i++) {
        visits[i] = make_record(world, ENTITY_VISIT);
        put_id(world, VISIT_CUSTOMER_ID, &customer);
        put_int(world, VISIT_CHECKIN_TS, DAY_MS);
        (void)send_changeset(world, i == 0 ? &world->li : &tablet);
    }
    struct value redirect = value_of(world, ENTITY_VISIT, &visits[0], VISIT_REDIRECT_TO);
    int from = redirect.kind == VALUE_ID ? 0 : 1;
    redirect = value_of(world, ENTITY_VISIT, &visits[from], VISIT_REDIRECT_TO);
    assert_memory_equal(&redirect.id, &visits[1 - from], sizeof redirect.id);
    int64_t seen = world->org.head;
    delete_record(world, ENTITY_VISIT, &visits[1 - from], seen);
    (void)accept(world, &world->li);
    forget_deleted(world);
    edit_record(world, ENTITY_VISIT, &visits[from], seen);
    put_text(world, VISIT_FEEDBACK, "later");
    reject(world, &world->li, REJECT_REF_MISSING, "", "");
}

/* Given a customer that became another, and that one a third, when the second is deleted and what
 * is deleted is forgotten, then work on the first goes to the third all the same. */
static void test_decide_forgotten__a_row_of_redirects_holds(void **state)
{
    struct world *world = *state;
    struct id row[3];
    for (int i = 0; i < 3; i++) {
        row[i] = make_customer(world, &world->li, "one of three");
    }
    int64_t seen = world->org.head;
    redirect(world, &row[0], &row[1]);
    redirect(world, &row[1], &row[2]);
    delete_record(world, ENTITY_CUSTOMER, &row[1], world->org.head);
    (void)accept(world, &world->li);
    forget_deleted(world);
    edit_record(world, ENTITY_CUSTOMER, &row[0], seen);
    put_text(world, CUSTOMER_NAME, "later");
    assert_true(send_changeset(world, &world->wang).remapped);
    expect_text(world, ENTITY_CUSTOMER, &row[2], CUSTOMER_NAME, "later");
    struct id visit = make_record(world, ENTITY_VISIT);
    put_id(world, VISIT_CUSTOMER_ID, &row[0]);
    assert_true(send_changeset(world, &world->wang).remapped);
    struct value customer = value_of(world, ENTITY_VISIT, &visit, VISIT_CUSTOMER_ID);
    assert_memory_equal(&customer.id, &row[2], sizeof row[2]);
}

/* Given a customer that became another, which was deleted, when somebody looks at the first and
 * changes a third in one transaction, then the third is changed and the second stays deleted,
 * forgotten or not; to make the second anew and change the first at once is refused. */
static void test_decide_forgotten__who_looks_brings_nothing_back(void **state)
{
    struct world *world = *state;
    struct id from = make_customer(world, &world->li, "first");
    struct id into = make_customer(world, &world->li, "second");
    struct id other = make_customer(world, &world->li, "third");
    int64_t seen = world->org.head;
    redirect(world, &from, &into);
    delete_record(world, ENTITY_CUSTOMER, &into, world->org.head);
    (void)accept(world, &world->li);
    for (int forgotten = 0; forgotten < 2; forgotten++) {
        edit_record(world, ENTITY_CUSTOMER, &from, seen);
        edit_record(world, ENTITY_CUSTOMER, &other, world->org.head);
        put_text(world, CUSTOMER_NAME, forgotten == 0 ? "later" : "latest");
        (void)accept(world, &world->wang);
        assert_false(is_live(world, ENTITY_CUSTOMER, &into));
        forget_deleted(world);
    }
    expect_text(world, ENTITY_CUSTOMER, &other, CUSTOMER_NAME, "latest");
    change_record(world, BLOCK_NEW, ENTITY_CUSTOMER, &into, 0);
    put_text(world, CUSTOMER_NAME, "again");
    edit_record(world, ENTITY_CUSTOMER, &from, seen);
    put_text(world, CUSTOMER_NAME, "later");
    reject(world, &world->wang, REJECT_REF_MISSING, "", "");
}

/* Given a visit to a customer that is forgotten, when one deletes the visit and another, unaware of
 * that, changes it, then it is there again, as with a customer that is only deleted. */
static void test_decide_forgotten__an_edit_beats_a_delete_without_the_root(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "customer");
    struct id visit = make_record(world, ENTITY_VISIT);
    put_id(world, VISIT_CUSTOMER_ID, &customer);
    (void)accept(world, &world->li);
    delete_record(world, ENTITY_CUSTOMER, &customer, world->org.head);
    (void)accept(world, &world->li);
    forget_deleted(world);
    int64_t seen = world->org.head;
    delete_record(world, ENTITY_VISIT, &visit, seen);
    (void)accept(world, &world->li);
    edit_record(world, ENTITY_VISIT, &visit, seen);
    put_text(world, VISIT_FEEDBACK, "there");
    (void)merge(world, &world->wang);
    expect_text(world, ENTITY_VISIT, &visit, VISIT_FEEDBACK, "there");
}

/* Given a quote that was deleted with its line, and of which compaction has taken away only the
 * quote itself, when somebody changes the line, unaware of that, then he is refused, as when both
 * are forgotten. */
static void test_decide_forgotten__a_line_does_not_come_back_alone(void **state)
{
    struct world *world = *state;
    struct paper paper = make_paper(world);
    int64_t removed = 0, seen = world->org.head;
    delete_record(world, ENTITY_QUOTE, &paper.quote, seen);
    for (int i = 0; i < 2; i++) {
        delete_record(world, ENTITY_QUOTE_LINE, &paper.lines[i], seen);
    }
    (void)accept(world, &world->li);
    struct srv_record row;
    raise_floor(world);
    while (read_row(world, ENTITY_QUOTE, &paper.quote, &row)) {
        assert_int_equal(srv_store_cut(world->store, world->org.org, 1, &removed), DAYBOOK_OK);
    }
    assert_int_equal(srv_store_commit(world->store), DAYBOOK_OK);
    for (int forgotten = 0; forgotten < 2; forgotten++) {
        assert_int_equal(read_row(world, ENTITY_QUOTE_LINE, &paper.lines[1], &row), forgotten == 0);
        edit_record(world, ENTITY_QUOTE_LINE, &paper.lines[1], seen);
        put_qty(world, 7000);
        reject(world, &world->wang, REJECT_REF_MISSING, forgotten == 0 ? "quote_id" : "", "");
        forget_deleted(world);
    }
}

/* Given an order that is held, and is deleted and forgotten, when the office looks at it and clears
 * its hold, or clears it alone, then the hold is cleared. */
static void test_decide_forgotten__a_hold_outlives_its_order(void **state)
{
    struct world *world = *state;
    for (int alone = 0; alone < 2; alone++) {
        struct id product = make_product(world, "tea");
        struct id customer = make_customer(world, &world->li, "customer");
        struct id order = make_record(world, ENTITY_SALES_ORDER);
        struct id after = {{0}};
        struct srv_record *holds;
        int count;
        put_id(world, SALES_ORDER_CUSTOMER_ID, &customer);
        put_text(world, SALES_ORDER_CUR, "CNY");
        for (int i = 0; i < 2; i++) {
            (void)make_record(world, ENTITY_ORDER_LINE);
            put_id(world, ORDER_LINE_ORDER_ID, &order);
            put_id(world, ORDER_LINE_PRODUCT_ID, &product);
            put_int(world, ORDER_LINE_QTY, 1000);
            put_int(world, ORDER_LINE_PRICE_E4, 100000);
        }
        (void)accept(world, &world->li);
        int64_t seen = world->org.head;
        assert_int_equal(srv_store_related(world->store, world->org.org, dk_entity(ENTITY_HOLD),
                                           HOLD_RECORD, &order, &after, 10, false, &world->arena,
                                           &holds, &count),
                         DAYBOOK_OK);
        assert_int_equal(count, 1);
        struct id hold = holds[0].record.id;
        delete_record(world, ENTITY_SALES_ORDER, &order, seen);
        (void)accept(world, &world->li);
        forget_deleted(world);
        if (alone == 0) {
            edit_record(world, ENTITY_SALES_ORDER, &order, seen);
        }
        edit_record(world, ENTITY_HOLD, &hold, world->org.head);
        put_int(world, HOLD_CLEARED, 1);
        put_id(world, HOLD_CLEARED_BY, &world->office.author.account.user);
        put_int(world, HOLD_CLEARED_TS, world->now_ms);
        put_text(world, HOLD_NOTE, "gone");
        (void)accept(world, &world->office);
        assert_int_equal(value_of(world, ENTITY_HOLD, &hold, HOLD_CLEARED).integer, 1);
    }
}

/* Given a line that was added to a quote that had been sent, unseen, and so stands in its next
 * revision, when what was left of it in the quote is forgotten and it is sent as new once more,
 * then that is refused, as long before. */
static void test_decide_forgotten__a_line_is_not_added_twice(void **state)
{
    struct world *world = *state;
    struct paper paper = make_paper(world);
    struct srv_record fork;
    send_quote(world, &paper, copy_text(world, &paper));
    (void)accept(world, &world->li);
    struct id line = add_line(world, &paper.quote, &paper.product, 3000);
    (void)merge(world, &world->wang);
    assert_true(find_fork(world, &paper, &fork));
    for (int forgotten = 0; forgotten < 2; forgotten++) {
        change_record(world, BLOCK_NEW, ENTITY_QUOTE_LINE, &line, 0);
        put_id(world, QUOTE_LINE_QUOTE_ID, &paper.quote);
        put_id(world, QUOTE_LINE_PRODUCT_ID, &paper.product);
        put_int(world, QUOTE_LINE_QTY, 3000);
        put_int(world, QUOTE_LINE_PRICE_E4, 100000);
        reject(world, &world->wang, REJECT_EXISTS, "", "");
        forget_deleted(world);
    }
    assert_string_equal(quantities(world, &fork.record.id), "1000 2000 3000");
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_decide_forgotten__##name, setup_world, teardown_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_customer_led_to_it),
        TEST(a_visit_led_to_it),
        TEST(a_row_of_redirects_holds),
        TEST(who_looks_brings_nothing_back),
        TEST(an_edit_beats_a_delete_without_the_root),
        TEST(a_line_does_not_come_back_alone),
        TEST(a_hold_outlives_its_order),
        TEST(a_line_is_not_added_twice),
    };
    return cmocka_run_group_tests_name("decide_forgotten", tests, NULL, NULL);
}
