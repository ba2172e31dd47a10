/* SPDX-License-Identifier: Apache-2.0
 *
 * Holds: what makes and withdraws them, who clears them, that two who clear at a time come out the
 * same in each order; and that holds and conflict entries go where their record goes.
 */
#include "tests/unit/decide_world.h"

struct order {
    struct id customer, id, product;
};

/* Into the changeset being built. */
static struct id add_order_line(struct world *world, const struct order *order,
                                const struct id *product, int64_t qty)
{
    struct id id = make_record(world, ENTITY_ORDER_LINE);
    put_id(world, ORDER_LINE_ORDER_ID, &order->id);
    put_id(world, ORDER_LINE_PRODUCT_ID, product);
    put_int(world, ORDER_LINE_QTY, qty);
    put_int(world, ORDER_LINE_PRICE_E4, 100000);
    return id;
}

static struct order make_order(struct world *world)
{
    struct order order = {.product = make_product(world, "tea")};
    order.customer = make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_NAME, "Corner shop");
    order.id = make_record(world, ENTITY_SALES_ORDER);
    put_id(world, SALES_ORDER_CUSTOMER_ID, &order.customer);
    put_text(world, SALES_ORDER_CUR, "CNY");
    (void)accept(world, &world->li);
    return order;
}

/* The holds on a record, in the world's arena. */
static int holds_on(struct world *world, const struct id *record, struct srv_record **rows)
{
    struct id after = {{0}};
    int count;
    assert_int_equal(srv_store_related(world->store, world->org.org, dk_entity(ENTITY_HOLD),
                                       HOLD_RECORD, record, &after, 100, false, &world->arena, rows,
                                       &count),
                     DAYBOOK_OK);
    return count;
}

/* A text as a string, in the world's arena. */
static const char *value_text(struct world *world, const struct value *value)
{
    assert_int_equal(value->kind, VALUE_TEXT);
    return dk_arena_copy(&world->arena, value->text, value->length);
}

static bool is_cleared(const struct srv_record *hold)
{
    const struct value *cleared = &hold->record.values[HOLD_CLEARED];
    return cleared->kind == VALUE_INT && cleared->integer == 1;
}

/* The one hold that stands on the record; fails where there is none or another. */
static struct id standing(struct world *world, const struct id *record)
{
    struct srv_record *rows;
    struct id id = {{0}};
    int count = holds_on(world, record, &rows), found = 0;
    for (int i = 0; i < count; i++) {
        if (!is_cleared(&rows[i])) {
            id = rows[i].record.id;
            found++;
        }
    }
    assert_int_equal(found, 1);
    return id;
}

static int count_standing(struct world *world, const struct id *record)
{
    struct srv_record *rows;
    int count = holds_on(world, record, &rows), found = 0;
    for (int i = 0; i < count; i++) {
        found += is_cleared(&rows[i]) ? 0 : 1;
    }
    return found;
}

/* Into the changeset being built: the hold cleared in this user's name. */
static void put_clearing(struct world *world, const struct id *hold, int64_t seen,
                         const struct id *user, const char *note)
{
    edit_record(world, ENTITY_HOLD, hold, seen);
    put_int(world, HOLD_CLEARED, 1);
    put_id(world, HOLD_CLEARED_BY, user);
    put_int(world, HOLD_CLEARED_TS, world->now_ms);
    put_text(world, HOLD_NOTE, note);
}

/* An order that li and wang each give a line of the same product. */
static struct order make_twins(struct world *world)
{
    struct order order = make_order(world);
    (void)add_order_line(world, &order, &order.product, 1000);
    (void)accept(world, &world->li);
    (void)add_order_line(world, &order, &order.product, 2000);
    (void)accept(world, &world->wang);
    return order;
}

/* Given an order with a line, when somebody else adds one of the same product, then it is accepted,
 * a hold stands on the order, and both devices are sent it. */
static void test_decide_hold__a_product_twice_holds_the_order(void **state)
{
    struct world *world = *state;
    struct order order = make_order(world);
    struct srv_record *rows;
    (void)add_order_line(world, &order, &order.product, 1000);
    int64_t first = accept(world, &world->li);
    assert_int_equal(count_standing(world, &order.id), 0);
    struct id second = add_order_line(world, &order, &order.product, 2000);
    int64_t position = accept(world, &world->wang);
    assert_int_equal(holds_on(world, &order.id, &rows), 1);
    const struct value *values = rows[0].record.values;
    assert_memory_equal(values[HOLD_ENTITY].text, "sales_order", values[HOLD_ENTITY].length);
    assert_memory_equal(values[HOLD_CODE].text, "DUP_LINE", values[HOLD_CODE].length);
    assert_memory_equal(values[HOLD_ROLE].text, "back_office", values[HOLD_ROLE].length);
    assert_memory_equal(&values[FIELD_CREATED_BY].id, &world->wang.author.account.user, ID_SIZE);
    char text[ID_TEXT_SIZE];
    dk_id_to_text(&second, text);
    expect_in(value_text(world, &values[HOLD_DETAIL]), text);
    assert_int_equal(rows[0].record.version, position);
    expect_in(pull_all(world, &world->li, first), "\"entity\":\"hold\"");
    expect_in(pull_all(world, &world->wang, first), "\"entity\":\"hold\"");
    expect_not_in(pull_all(world, &world->tom, first), "hold");
}

/* Given a hold for twins, when one line goes, then the hold is withdrawn; a return is no twin. */
static void test_decide_hold__a_hold_goes_with_its_reason(void **state)
{
    struct world *world = *state;
    struct order order = make_order(world);
    struct srv_record *rows;
    (void)add_order_line(world, &order, &order.product, 1000);
    (void)add_order_line(world, &order, &order.product, -1000);
    (void)accept(world, &world->li);
    assert_int_equal(holds_on(world, &order.id, &rows), 0);
    struct id twin = add_order_line(world, &order, &order.product, 3000);
    int64_t seen = accept(world, &world->li);
    (void)standing(world, &order.id);
    delete_record(world, ENTITY_ORDER_LINE, &twin, seen);
    (void)accept(world, &world->li);
    assert_int_equal(count_standing(world, &order.id), 0);
    assert_int_equal(holds_on(world, &order.id, &rows), 1);
    assert_int_equal(rows[0].record.values[HOLD_CLEARED_BY].kind, VALUE_NULL);
}

/* Given a hold, when its role clears it, then it is cleared with who, when and why; other lines do
 * not put it back, another twin does. */
static void test_decide_hold__what_a_person_cleared_stays_cleared(void **state)
{
    struct world *world = *state;
    struct order order = make_twins(world);
    struct id hold = standing(world, &order.id);
    const struct id *user = &world->office.author.account.user;
    put_clearing(world, &hold, world->org.head, user, "both are meant");
    (void)accept(world, &world->office);
    assert_int_equal(count_standing(world, &order.id), 0);
    expect_text(world, ENTITY_HOLD, &hold, HOLD_NOTE, "both are meant");
    expect_int(world, ENTITY_HOLD, &hold, HOLD_CLEARED_TS, world->now_ms);
    struct id other = make_product(world, "milk");
    (void)add_order_line(world, &order, &other, 1000);
    (void)accept(world, &world->li);
    assert_int_equal(count_standing(world, &order.id), 0);
    (void)add_order_line(world, &order, &order.product, 5000);
    (void)accept(world, &world->li);
    assert_int_equal(count_standing(world, &order.id), 1);
}

/* Into a changeset of its own: the quantity of a line. */
static void set_qty(struct world *world, const struct id *line, int64_t qty)
{
    edit_record(world, ENTITY_ORDER_LINE, line, world->org.head);
    put_int(world, ORDER_LINE_QTY, qty);
    put_null(world, ORDER_LINE_UOM);
    (void)accept(world, &world->li);
}

/* Given twins that are twins no more and then again, then what was withdrawn stands again as
 * another hold; what somebody cleared does not. */
static void test_decide_hold__what_was_withdrawn_comes_back(void **state)
{
    struct world *world = *state;
    for (int by_office = 0; by_office < 2; by_office++) {
        struct order order = make_order(world);
        struct srv_record *rows;
        (void)add_order_line(world, &order, &order.product, 1000);
        struct id twin = add_order_line(world, &order, &order.product, 5000);
        (void)accept(world, &world->li);
        struct id first = standing(world, &order.id);
        if (by_office == 1) {
            put_clearing(world, &first, world->org.head, &world->office.author.account.user, "ok");
            (void)accept(world, &world->office);
        }
        for (int round = 1; round < 3; round++) {
            set_qty(world, &twin, -5000);
            assert_int_equal(count_standing(world, &order.id), 0);
            set_qty(world, &twin, 5000);
            assert_int_equal(count_standing(world, &order.id), by_office == 1 ? 0 : 1);
            assert_int_equal(holds_on(world, &order.id, &rows), by_office == 1 ? 1 : round + 1);
        }
    }
}

/* The table of those who may not. */
static void test_decide_hold__nobody_else_clears_it(void **state)
{
    struct world *world = *state;
    struct order order = make_twins(world);
    struct id hold = standing(world, &order.id);
    const struct id *office = &world->office.author.account.user;
    int64_t head = world->org.head;
    put_clearing(world, &hold, head, &world->li.author.account.user, "mine");
    reject(world, &world->li, REJECT_AUTH, "", "role");
    put_clearing(world, &hold, head, office, "as the office");
    reject(world, &world->li, REJECT_AUTH, "", "role");
    put_clearing(world, &hold, head, &world->li.author.account.user, "for li");
    reject(world, &world->office, REJECT_AUTH, "cleared_by", "self");
    edit_record(world, ENTITY_HOLD, &hold, head);
    put_int(world, HOLD_CLEARED, 0);
    reject(world, &world->office, REJECT_RULE, "cleared", "cleared");
    edit_record(world, ENTITY_HOLD, &hold, head);
    put_text(world, HOLD_NOTE, "only a note");
    reject(world, &world->office, REJECT_RULE, "cleared", "cleared");
    edit_record(world, ENTITY_HOLD, &hold, head);
    put_text(world, HOLD_CODE, "OTHER");
    reject(world, &world->office, REJECT_READONLY, "code", "server");
    delete_record(world, ENTITY_HOLD, &hold, head);
    reject(world, &world->office, REJECT_READONLY, "", "entity");
    (void)make_record(world, ENTITY_HOLD);
    reject(world, &world->office, REJECT_READONLY, "", "entity");
    put_clearing(world, &hold, head, &world->tom.author.account.user, "out of scope");
    reject(world, &world->tom, REJECT_REF_MISSING, "", "");
    assert_int_equal(count_standing(world, &order.id), 1);
}

/* Given one of the back office who becomes a rep, when they clear a hold with a date of before,
 * then that is refused: the role is needed still. */
static void test_decide_hold__who_lost_the_role_clears_nothing(void **state)
{
    struct world *world = *state;
    struct order order = make_twins(world);
    struct id hold = standing(world, &order.id);
    struct decide_author *author = &world->office.author;
    int64_t before_ms = world->now_ms;
    bool found;
    world->now_ms += 5000;
    edit_record(world, ENTITY_USER, &author->account.user, world->org.head);
    put_text(world, USER_ROLE, "rep");
    put_id(world, USER_TERRITORY_ID, &world->territories[EAST]);
    (void)accept(world, &world->server);
    assert_int_equal(
        srv_store_get_account(world->store, &author->account.user, &author->account, &found),
        DAYBOOK_OK);
    put_clearing(world, &hold, world->org.head, &author->account.user, "as I was");
    world->hlc_ms = before_ms;
    reject(world, &world->office, REJECT_AUTH, "", "role");
    assert_int_equal(count_standing(world, &order.id), 1);
}

/* Given two who clear a hold without knowing of each other, then the later by the clock stands in
 * both orders of arrival, and what the other said is kept. */
static void test_decide_hold__two_clear_at_a_time(void **state)
{
    struct world *world = *state;
    struct device second;
    const struct id *user = &world->office.author.account.user;
    make_device(world, &second, user);
    for (int round = 0; round < 2; round++) {
        struct order order = make_twins(world);
        struct id hold = standing(world, &order.id);
        int64_t seen = world->org.head;
        for (int i = 0; i < 2; i++) {
            bool later = (i == 0) == (round == 0);
            put_clearing(world, &hold, seen, user, later ? "later" : "earlier");
            world->hlc_ms = world->now_ms + (later ? 2000 : 1000);
            (void)(i == 0 ? accept(world, &second) : merge(world, &world->office));
        }
        expect_text(world, ENTITY_HOLD, &hold, HOLD_NOTE, "later");
        struct srv_record *rows;
        struct id after = {{0}};
        int count;
        assert_int_equal(srv_store_related(world->store, world->org.org, dk_entity(ENTITY_CONFLICT),
                                           CONFLICT_RECORD, &hold, &after, 10, false, &world->arena,
                                           &rows, &count),
                         DAYBOOK_OK);
        assert_int_equal(count, 1);
        assert_memory_equal(rows[0].record.values[CONFLICT_LOST].text, "\"earlier\"", 9);
    }
}

/* Given an order with a hold, and a conflict entry of it, when its customer moves to another
 * territory, then they go along: old readers lose them, new ones get them whole. */
static void test_decide_hold__holds_and_conflicts_follow_their_record(void **state)
{
    struct world *world = *state;
    struct order order = make_twins(world);
    struct id hold = standing(world, &order.id);
    int64_t seen = world->org.head;
    for (int i = 0; i < 2; i++) {
        edit_record(world, ENTITY_SALES_ORDER, &order.id, seen);
        put_text(world, SALES_ORDER_NOTE, i == 0 ? "first" : "second");
        world->now_ms += 1000;
        (void)(i == 0 ? accept(world, &world->li) : merge(world, &world->wang));
    }
    int64_t before = world->org.head;
    edit_record(world, ENTITY_CUSTOMER, &order.customer, before);
    put_id(world, CUSTOMER_TERRITORY_ID, &world->territories[WEST]);
    (void)accept(world, &world->server);
    struct srv_record moved, customer;
    assert_true(read_row(world, ENTITY_HOLD, &hold, &moved));
    assert_true(read_row(world, ENTITY_CUSTOMER, &order.customer, &customer));
    assert_int_equal(moved.bucket, customer.bucket);
    const char *page = pull_all(world, &world->tom, before);
    expect_in(page, "\"entity\":\"hold\",\"op\":\"new\"");
    expect_in(page, "\"entity\":\"field_conflict\",\"op\":\"new\"");
    expect_in(page, "\\\"first\\\"");
    page = pull_all(world, &world->li, before);
    expect_in(page, "\"entity\":\"hold\",\"op\":\"evict\"");
    expect_in(page, "\"entity\":\"field_conflict\",\"op\":\"evict\"");
    expect_not_in(page, "first");
    /* From the beginning, nothing of it is left for those who see the old territory only. */
    expect_not_in(pull_all(world, &world->li, 0), "DUP_LINE");
    put_clearing(world, &hold, world->org.head, &world->office.author.account.user, "fine");
    (void)accept(world, &world->office);
}

/* Holds of the same lines are the same whoever came first. */
static void test_decide_hold__every_order_of_arrival(void **state)
{
    struct world *world = *state;
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int round = 0; round < 6; round++) {
        struct order order = make_order(world);
        struct id milk = make_product(world, "milk");
        for (int i = 0; i < 3; i++) {
            int which = orders[round][i];
            struct device *device = which == 0   ? &world->li
                                    : which == 1 ? &world->wang
                                                 : &world->office;
            (void)add_order_line(world, &order, which == 2 ? &milk : &order.product, 1000);
            (void)add_order_line(world, &order, which == 0 ? &milk : &order.product, 2000);
            (void)accept(world, device);
        }
        struct srv_record *rows;
        int count = holds_on(world, &order.id, &rows);
        int teas = 0, milks = 0;
        for (int i = 0; i < count; i++) {
            const char *detail = value_text(world, &rows[i].record.values[HOLD_DETAIL]);
            char tea[ID_TEXT_SIZE];
            dk_id_to_text(&order.product, tea);
            bool is_tea = strstr(detail, tea) != NULL;
            if (!is_cleared(&rows[i])) {
                teas += is_tea ? 1 : 0;
                milks += is_tea ? 0 : 1;
                expect_in(detail, is_tea ? "\"count\":4" : "\"count\":2");
            }
        }
        assert_int_equal(teas, 1);
        assert_int_equal(milks, 1);
    }
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_decide_hold__##name, setup_world, teardown_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_product_twice_holds_the_order),
        TEST(a_hold_goes_with_its_reason),
        TEST(what_a_person_cleared_stays_cleared),
        TEST(what_was_withdrawn_comes_back),
        TEST(nobody_else_clears_it),
        TEST(who_lost_the_role_clears_nothing),
        TEST(two_clear_at_a_time),
        TEST(holds_and_conflicts_follow_their_record),
        TEST(every_order_of_arrival),
    };
    return cmocka_run_group_tests_name("decide_hold", tests, NULL, NULL);
}
