/* SPDX-License-Identifier: Apache-2.0
 *
 * Work on records that became one with another, which was deleted since, and which compaction has
 * taken away: refused, and so kept for its author, as work on a forgotten record is.
 */
#include "tests/unit/decide_world.h"

#define DAY_MS INT64_C(86400000)

/* Takes everything away that is deleted. */
static void forget_deleted(struct world *world)
{
    int64_t removed = 1;
    assert_int_equal(srv_store_begin(world->store), DAYBOOK_OK);
    assert_int_equal(srv_store_raise_floor(world->store, world->org.org, world->org.head),
                     DAYBOOK_OK);
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
    edit_record(world, ENTITY_CUSTOMER, &from, seen);
    put_id(world, CUSTOMER_REDIRECT_TO, &into);
    (void)accept(world, &world->server);
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

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_decide_forgotten__##name, setup_world, teardown_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_customer_led_to_it),
        TEST(a_visit_led_to_it),
    };
    return cmocka_run_group_tests_name("decide_forgotten", tests, NULL, NULL);
}
