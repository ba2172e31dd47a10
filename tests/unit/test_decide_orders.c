/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders in the decider: confirmed and cancelled while others change them, in all orders of
 * arrival; holds that keep an order from being confirmed; nothing that was given is lost.
 */
#include "tests/unit/decide_world.h"

static struct device boss;

static int set_up(void **state)
{
    (void)setup_world(state);
    struct world *world = *state;
    make_user(world, &boss, "boss", "manager", NULL);
    boss.author.scope = world->office.author.scope;
    return 0;
}

struct order {
    struct id customer, product, id, line;
    int64_t seen;
};

static struct id add_order_line(struct world *world, const struct order *order, int64_t qty)
{
    struct id id = make_record(world, ENTITY_ORDER_LINE);
    put_id(world, ORDER_LINE_ORDER_ID, &order->id);
    put_id(world, ORDER_LINE_PRODUCT_ID, &order->product);
    put_int(world, ORDER_LINE_QTY, qty);
    put_int(world, ORDER_LINE_PRICE_E4, 100000);
    return id;
}

static struct order make_order(struct world *world)
{
    struct order order = {.customer = make_customer(world, &world->li, "shop")};
    static int number;
    char code[20];
    (void)snprintf(code, sizeof code, "O%d", ++number);
    order.product = make_product(world, code);
    order.id = make_record(world, ENTITY_SALES_ORDER);
    put_id(world, SALES_ORDER_CUSTOMER_ID, &order.customer);
    put_text(world, SALES_ORDER_CUR, "CNY");
    put_text(world, SALES_ORDER_STATUS, "submitted");
    put_text(world, SALES_ORDER_NOTE, "first");
    order.line = add_order_line(world, &order, 1000);
    order.seen = accept(world, &world->li);
    return order;
}

static struct verdict step_order(struct world *world, struct device *who, const struct order *order,
                                 int64_t seen, const char *to)
{
    edit_record(world, ENTITY_SALES_ORDER, &order->id, seen);
    put_text(world, SALES_ORDER_STATUS, to);
    return send_changeset(world, who);
}

static void test_decide_orders__order_is_not_confirmed_while_held(void **state)
{
    struct world *world = *state;
    struct order order = make_order(world);
    (void)add_order_line(world, &order, 3000); /* a twin: held */
    int64_t held = accept(world, &world->li);
    edit_record(world, ENTITY_SALES_ORDER, &order.id, held);
    put_text(world, SALES_ORDER_STATUS, "confirmed");
    reject(world, &world->office, REJECT_TRANSITION, "status", "held");
    /* Nor past it. */
    edit_record(world, ENTITY_SALES_ORDER, &order.id, held);
    put_text(world, SALES_ORDER_STATUS, "picking");
    reject(world, &world->office, REJECT_TRANSITION, "status", "held");
}

/* X16: headquarters cancel while the rep edits. The order is cancelled and has the rep's values,
 * which are in the conflict log as well, in both orders. */
static void test_decide_orders__cancel_against_edits_in_every_order(void **state)
{
    struct world *world = *state;
    for (int first = 0; first < 6; first++) {
        static const int orders[6][3] = {{0, 1, 2}, {1, 0, 2}, {2, 1, 0},
                                         {0, 2, 1}, {1, 2, 0}, {2, 0, 1}};
        struct order order = make_order(world);
        for (int i = 0; i < 3; i++) {
            struct verdict verdict;
            if (orders[first][i] == 0) {
                verdict = step_order(world, &boss, &order, order.seen, "cancelled");
            } else if (orders[first][i] == 1) {
                verdict = step_order(world, &world->office, &order, order.seen, "confirmed");
            } else {
                edit_record(world, ENTITY_SALES_ORDER, &order.id, order.seen);
                put_text(world, SALES_ORDER_NOTE, "by wang");
                verdict = send_changeset(world, &world->wang);
            }
            assert_true(verdict.kind == VERDICT_ACCEPTED || verdict.kind == VERDICT_MERGED);
        }
        expect_text(world, ENTITY_SALES_ORDER, &order.id, SALES_ORDER_STATUS, "cancelled");
        expect_in(pull_all(world, &world->office, order.seen), "{\\\"note\\\":\\\"by wang\\\"}");
    }
}

static void test_decide_orders__cancelled_order_is_not_revived(void **state)
{
    struct world *world = *state;
    struct order order = make_order(world);
    struct verdict verdict = step_order(world, &boss, &order, order.seen, "cancelled");
    assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
    delete_record(world, ENTITY_SALES_ORDER, &order.id, order.seen);
    delete_record(world, ENTITY_ORDER_LINE, &order.line, order.seen);
    (void)merge(world, &world->wang);
    expect_text(world, ENTITY_SALES_ORDER, &order.id, SALES_ORDER_STATUS, "cancelled");
    assert_true(is_live(world, ENTITY_ORDER_LINE, &order.line));
    delete_record(world, ENTITY_SALES_ORDER, &order.id, world->org.head);
    reject(world, &world->wang, REJECT_RULE, "", "frozen");
}

/* What a rep does to an order that was confirmed meanwhile goes to the conflict log, whole. */
static void test_decide_orders__edits_of_a_confirmed_order_are_kept_aside(void **state)
{
    struct world *world = *state;
    struct order order = make_order(world);
    struct verdict verdict = step_order(world, &world->office, &order, order.seen, "confirmed");
    assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
    int64_t confirmed = world->org.head;
    edit_record(world, ENTITY_SALES_ORDER, &order.id, order.seen);
    put_text(world, SALES_ORDER_NOTE, "by wang");
    edit_record(world, ENTITY_ORDER_LINE, &order.line, order.seen);
    put_int(world, ORDER_LINE_QTY, 9000);
    put_null(world, ORDER_LINE_UOM);
    struct id added = add_order_line(world, &order, 4000);
    (void)merge(world, &world->wang);
    expect_text(world, ENTITY_SALES_ORDER, &order.id, SALES_ORDER_NOTE, "first");
    expect_int(world, ENTITY_ORDER_LINE, &order.line, ORDER_LINE_QTY, 1000);
    assert_false(is_live(world, ENTITY_ORDER_LINE, &added));
    const char *page = pull_all(world, &world->office, confirmed);
    expect_in(page, "by wang");
    expect_in(page, "9000");
    expect_in(page, "4000");
    expect_in(pull_all(world, &world->wang, confirmed), "\"first\"");
    /* Its line is not deleted either; the office may change it. */
    delete_record(world, ENTITY_ORDER_LINE, &order.line, order.seen);
    (void)merge(world, &world->wang);
    assert_true(is_live(world, ENTITY_ORDER_LINE, &order.line));
    edit_record(world, ENTITY_SALES_ORDER, &order.id, world->org.head);
    put_text(world, SALES_ORDER_NOTE, "by the office");
    (void)accept(world, &world->office);
    edit_record(world, ENTITY_SALES_ORDER, &order.id, world->org.head);
    put_text(world, SALES_ORDER_NOTE, "again");
    reject(world, &world->wang, REJECT_RULE, "note", "frozen");
}

/* The office confirms what it has not seen: it stands, held. */
static void test_decide_orders__confirming_unseen_edits_is_held(void **state)
{
    struct world *world = *state;
    struct order order = make_order(world);
    edit_record(world, ENTITY_SALES_ORDER, &order.id, order.seen);
    put_text(world, SALES_ORDER_NOTE, "by wang");
    int64_t edited = accept(world, &world->wang);
    struct verdict verdict = step_order(world, &world->office, &order, order.seen, "confirmed");
    assert_int_equal(verdict.kind, VERDICT_MERGED);
    expect_text(world, ENTITY_SALES_ORDER, &order.id, SALES_ORDER_STATUS, "confirmed");
    expect_in(pull_all(world, &world->office, edited), "\"REV_STALE\"");
}

/* The same where all that it has not seen is a field of a newer schema. */
static void test_decide_orders__confirming_unseen_newer_fields_is_held(void **state)
{
    struct world *world = *state;
    struct order order = make_order(world);
    edit_record(world, ENTITY_SALES_ORDER, &order.id, order.seen);
    put_extra(world, "colour", "\"red\"");
    int64_t edited = accept(world, &world->wang);
    struct verdict verdict = step_order(world, &world->office, &order, order.seen, "confirmed");
    assert_int_equal(verdict.kind, VERDICT_MERGED);
    const char *page = pull_all(world, &world->office, edited);
    expect_in(page, "\"REV_STALE\"");
    expect_in(page, "{\\\"colour\\\":\\\"red\\\"}");
}

/* Given an order that was confirmed meanwhile, when a rep adds two lines, deletes one of them again
 * and changes the other, then neither comes to be, for nobody, and what they were to be is kept. */
static void test_decide_orders__lines_that_did_not_come_to_be_stay_away(void **state)
{
    struct world *world = *state;
    struct order order = make_order(world);
    (void)step_order(world, &world->office, &order, order.seen, "confirmed");
    struct id dropped = add_order_line(world, &order, 3000);
    struct id changed = add_order_line(world, &order, 4000);
    int64_t refused = merge(world, &world->wang);
    delete_record(world, ENTITY_ORDER_LINE, &dropped, 0);
    (void)accept(world, &world->wang);
    edit_record(world, ENTITY_ORDER_LINE, &changed, 0);
    put_int(world, ORDER_LINE_QTY, 8000);
    put_null(world, ORDER_LINE_UOM);
    (void)merge(world, &world->wang);
    assert_false(is_live(world, ENTITY_ORDER_LINE, &dropped));
    assert_false(is_live(world, ENTITY_ORDER_LINE, &changed));
    expect_in(pull_all(world, &world->office, refused), "{\\\"qty\\\":\\\"8000\\\"");
    const char *page = pull_all(world, &world->wang, refused);
    expect_in(page, "\"entity\":\"order_line\",\"op\":\"delete\"");
    expect_not_in(page, "\"entity\":\"order_line\",\"op\":\"new\"");
}

/* Given a line that the office deleted before it confirmed the order, or the manager before
 * cancelling it, when a rep who had seen neither changes the line, then the first stays away, the
 * second comes back; what the rep gave is in the conflict log in both cases. */
static void test_decide_orders__edits_of_a_deleted_line_are_kept_aside(void **state)
{
    struct world *world = *state;
    for (int cancel = 0; cancel < 2; cancel++) {
        struct order order = make_order(world);
        delete_record(world, ENTITY_ORDER_LINE, &order.line, order.seen);
        (void)accept(world, &world->office);
        (void)(cancel == 1
                   ? step_order(world, &boss, &order, world->org.head, "cancelled")
                   : step_order(world, &world->office, &order, world->org.head, "confirmed"));
        int64_t before = world->org.head;
        edit_record(world, ENTITY_ORDER_LINE, &order.line, order.seen);
        put_int(world, ORDER_LINE_QTY, 9000);
        put_null(world, ORDER_LINE_UOM);
        (void)merge(world, &world->wang);
        assert_int_equal(is_live(world, ENTITY_ORDER_LINE, &order.line), cancel == 1);
        expect_in(pull_all(world, &world->office, before), "{\\\"qty\\\":\\\"9000\\\"");
        const char *op = cancel == 1 ? "\"entity\":\"order_line\",\"op\":\"new\""
                                     : "\"entity\":\"order_line\",\"op\":\"delete\"";
        expect_in(pull_all(world, &world->wang, before), op);
    }
}

/* ---- what was seen of the lines */

static int64_t edit_line(struct world *world, struct device *who, const struct order *order,
                         int64_t qty)
{
    edit_record(world, ENTITY_ORDER_LINE, &order->line, order->seen);
    put_int(world, ORDER_LINE_QTY, qty);
    put_null(world, ORDER_LINE_UOM);
    return accept(world, who);
}

/* Given a line that somebody has changed, which leaves the order's version as it is, when the
 * office confirms the order, then only a line that it does not name, or names as it was before, was
 * not seen. */
static void test_decide_orders__a_line_was_seen_as_it_is_named(void **state)
{
    struct world *world = *state;
    enum { NOT_NAMED, NAMED_BEFORE, NAMED, CASES };
    for (int what = 0; what < CASES; what++) {
        struct order order = make_order(world);
        int64_t edited = edit_line(world, &world->li, &order, 3000);
        edit_record(world, ENTITY_SALES_ORDER, &order.id, order.seen);
        put_text(world, SALES_ORDER_STATUS, "confirmed");
        if (what != NOT_NAMED) {
            edit_record(world, ENTITY_ORDER_LINE, &order.line, what == NAMED ? edited : order.seen);
        }
        struct verdict verdict = send_changeset(world, &world->office);
        assert_int_equal(verdict.kind, what == NAMED ? VERDICT_ACCEPTED : VERDICT_MERGED);
        const char *page = pull_all(world, &world->li, edited);
        assert_int_equal(strstr(page, "\"REV_STALE\"") == NULL, what == NAMED);
        expect_int(world, ENTITY_ORDER_LINE, &order.line, ORDER_LINE_QTY, 3000);
        assert_int_equal(version_of(world, ENTITY_ORDER_LINE, &order.line),
                         what == NOT_NAMED ? edited : verdict.position);
    }
}

/* Given a line that somebody has deleted, when the office, which still saw it, confirms the order,
 * then it stays deleted, and that is noted and held. A name of what is not there is nothing. */
static void test_decide_orders__naming_a_line_does_not_bring_it_back(void **state)
{
    struct world *world = *state;
    struct order order = make_order(world);
    delete_record(world, ENTITY_ORDER_LINE, &order.line, order.seen);
    int64_t deleted = accept(world, &world->li);
    struct id none = new_id(world);
    edit_record(world, ENTITY_SALES_ORDER, &order.id, order.seen);
    put_text(world, SALES_ORDER_STATUS, "confirmed");
    edit_record(world, ENTITY_ORDER_LINE, &order.line, order.seen);
    edit_record(world, ENTITY_ORDER_LINE, &none, order.seen);
    (void)merge(world, &world->office);
    assert_false(is_live(world, ENTITY_ORDER_LINE, &order.line));
    expect_text(world, ENTITY_SALES_ORDER, &order.id, SALES_ORDER_STATUS, "confirmed");
    const char *page = pull_all(world, &world->li, deleted);
    expect_in(page, "\"REV_STALE\"");
    expect_in(page, "\"order_line.");
    expect_not_in(page, "\"order_line\",\"op\"");
}

/* Given a line with a field of a newer schema, when it does not come to be because the order was
 * confirmed, then that field is in the conflict log with the others. */
static void test_decide_orders__newer_fields_of_a_refused_line_are_kept(void **state)
{
    struct world *world = *state;
    struct order order = make_order(world);
    int64_t confirmed = step_order(world, &world->office, &order, order.seen, "confirmed").position;
    (void)add_order_line(world, &order, 4000);
    put_extra(world, "shade", "[1,{\"dark\":true}]");
    (void)merge(world, &world->li);
    const char *page = pull_all(world, &world->office, confirmed);
    expect_in(page, "\\\"qty\\\":\\\"4000\\\"");
    expect_in(page, "\\\"shade\\\":[1,{\\\"dark\\\":true}]");
}

int main(void)
{
#define ORDER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, teardown_world)
    const struct CMUnitTest tests[] = {
        ORDER_TEST(test_decide_orders__order_is_not_confirmed_while_held),
        ORDER_TEST(test_decide_orders__cancel_against_edits_in_every_order),
        ORDER_TEST(test_decide_orders__cancelled_order_is_not_revived),
        ORDER_TEST(test_decide_orders__edits_of_a_confirmed_order_are_kept_aside),
        ORDER_TEST(test_decide_orders__confirming_unseen_edits_is_held),
        ORDER_TEST(test_decide_orders__confirming_unseen_newer_fields_is_held),
        ORDER_TEST(test_decide_orders__lines_that_did_not_come_to_be_stay_away),
        ORDER_TEST(test_decide_orders__edits_of_a_deleted_line_are_kept_aside),
        ORDER_TEST(test_decide_orders__a_line_was_seen_as_it_is_named),
        ORDER_TEST(test_decide_orders__naming_a_line_does_not_bring_it_back),
        ORDER_TEST(test_decide_orders__newer_fields_of_a_refused_line_are_kept),
    };
    return cmocka_run_group_tests_name("decide_orders", tests, NULL, NULL);
}
