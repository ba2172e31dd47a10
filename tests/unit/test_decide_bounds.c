/* SPDX-License-Identifier: Apache-2.0
 *
 * What the largest changesets cost: as many changes as there may be are decided within the
 * decision's memory, whatever they are, and no ids that a sender chooses make records hard to find.
 * Steps are counted, not timed.
 */
#include "tests/unit/decide_world.h"

#include "sync-server/decide/work.h"
#include "sync-server/store/sqlite.h"

/* A quote without lines, into the changeset being built. */
static void add_sent_quote(struct world *world, const struct id *customer)
{
    (void)add_quote(world, customer);
    put_text(world, QUOTE_STATUS, "sent");
}

/* An order with two lines of one product, which is held. */
static void add_held_order(struct world *world, const struct id *customer, const struct id *product)
{
    struct id order = make_record(world, ENTITY_SALES_ORDER);
    put_id(world, SALES_ORDER_CUSTOMER_ID, customer);
    put_text(world, SALES_ORDER_CUR, "CNY");
    for (int i = 0; i < 2; i++) {
        (void)make_record(world, ENTITY_ORDER_LINE);
        put_id(world, ORDER_LINE_ORDER_ID, &order);
        put_id(world, ORDER_LINE_PRODUCT_ID, product);
        put_int(world, ORDER_LINE_QTY, 1000);
        put_int(world, ORDER_LINE_PRICE_E4, 100000);
    }
}

/* Given a changeset of as many changes as there may be, in documents of which each has its lines
 * looked at, when it is decided, then it is accepted: what a document takes does not grow with the
 * changeset. */
static void test_decide_bounds__the_largest_changesets_fit(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "Test");
    struct id product = make_product(world, "P");
    for (int i = 0; i < LIMIT_CHANGESET_CHANGES; i++) {
        add_sent_quote(world, &customer);
    }
    (void)accept(world, &world->li);
    for (int i = 0; i < LIMIT_CHANGESET_CHANGES / 3; i++) {
        add_held_order(world, &customer, &product);
    }
    (void)accept(world, &world->li);
}

/* The most records of a decision's that share one slot. */
static int longest_slot(const struct decision *decision)
{
    int longest = 0;
    for (size_t i = 0; i < decision->slot_count; i++) {
        int length = 0;
        for (const struct work *work = decision->by_id[i]; work != NULL; work = work->same_slot) {
            length++;
        }
        longest = length > longest ? length : longest;
    }
    return longest;
}

/* Given ids that differ in two bytes only, whichever they are, when records of these ids are drawn
 * into a decision, then few share a slot: to find one takes as long as ever. */
static void test_decide_bounds__no_ids_fill_one_slot(void **state)
{
    struct world *world = *state;
    const int count = 2000;
    for (int byte = 0; byte < ID_SIZE - 1; byte++) {
        struct changeset changeset = {.change_count = count};
        struct decide_input input = {.changeset = changeset};
        struct verdict verdict = {.kind = VERDICT_ACCEPTED};
        struct decision decision = {.decide = world->decide,
                                    .store = world->store,
                                    .arena = &world->arena,
                                    .org = &world->org,
                                    .author = &world->li.author,
                                    .input = &input,
                                    .verdict = &verdict};
        assert_true(srv_works_init(&decision));
        for (int i = 0; i < count; i++) {
            struct id id = {{0x01, 0x92}};
            id.bytes[byte] = (uint8_t)(i >> 8);
            id.bytes[byte + 1] = (uint8_t)i;
            assert_non_null(srv_work_load(&decision, dk_entity(ENTITY_CUSTOMER), &id));
        }
        assert_in_range(longest_slot(&decision), 1, 12);
    }
}

static int count_step(void *context)
{
    ++*(int *)context;
    return 0;
}

/* SQLite's steps for one more changeset of li's, who is disabled, so that it has to wait. */
static int steps_to_wait(struct world *world)
{
    sqlite3 *handle = srv_sqlite(world->store)->database.handle;
    int steps = 0;
    (void)make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_NAME, "C");
    sqlite3_progress_handler(handle, 1, count_step, &steps);
    assert_int_equal(send_changeset(world, &world->li).kind, VERDICT_QUARANTINED);
    sqlite3_progress_handler(handle, 0, NULL, NULL);
    return steps;
}

/* Given a user whose work has to wait, when a request brings very many changesets, then what waits
 * already is not counted anew for each. */
static void test_decide_bounds__what_waits_is_counted_once(void **state)
{
    struct world *world = *state;
    int steps = 0;
    world->li.author.account.disabled = true;
    hold_transaction(world);
    for (int i = 0; i < 4; i++) {
        steps = steps_to_wait(world);
    }
    for (int i = 0; i < 1000; i++) {
        (void)steps_to_wait(world);
    }
    assert_in_range(steps_to_wait(world), 1, steps + steps / 2);
    let_go(world);
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_decide_bounds__##name, setup_world, teardown_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_largest_changesets_fit),
        TEST(no_ids_fill_one_slot),
        TEST(what_waits_is_counted_once),
    };
    return cmocka_run_group_tests_name("decide_bounds", tests, NULL, NULL);
}
