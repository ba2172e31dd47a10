/* SPDX-License-Identifier: Apache-2.0
 *
 * The straight road of a decision: a record made, read back, sent to others, marked for its author.
 */
#include "tests/unit/decide_world.h"

/* Given a rep's new customer, when it is decided, then it is stored with owner, territory and
 * position, others in the territory get it whole, the author a marker with what the server filled
 * in. */
static void test_decide_basic__a_new_customer_reaches_those_who_see_it(void **state)
{
    struct world *world = *state;
    int64_t before = world->org.head;
    struct id id = make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_NAME, "晨光 Foods");
    put_text(world, FIELD_CUSTOM, "{\"floor\":3}");
    int64_t position = accept(world, &world->li);
    assert_int_equal(position, before + 1);
    expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "晨光 Foods");
    expect_text(world, ENTITY_CUSTOMER, &id, FIELD_CUSTOM, "{\"floor\":3}");
    assert_int_equal(version_of(world, ENTITY_CUSTOMER, &id), position);
    const char *page = pull_all(world, &world->wang, before);
    expect_in(page, "\"entity\":\"customer\",\"op\":\"new\"");
    expect_in(page, "晨光 Foods");
    expect_in(page, wire(world, &world->li.author.account.user));
    page = pull_all(world, &world->tom, before);
    assert_string_equal(page, "");
    assert_int_equal(world->position, world->org.head);
    page = pull_all(world, &world->li, before);
    expect_in(page, "{\"op\":\"own\",\"rows\":[[");
    expect_in(page, wire(world, &world->last_changeset));
    expect_in(page, "\"op\":\"set\"");
    expect_in(page, "owner_id");
    expect_not_in(page, "created_ts");
    expect_not_in(page, "晨光 Foods");
}

/* Given a customer of one rep, when another edits it, then the author gets the field that changed
 * and nothing else. */
static void test_decide_basic__an_edit_travels_as_the_field_that_changed(void **state)
{
    struct world *world = *state;
    struct id id = make_customer(world, &world->li, "A");
    int64_t position = world->org.head;
    edit_record(world, ENTITY_CUSTOMER, &id, position);
    put_text(world, CUSTOMER_INDUSTRY, "retail");
    put_text(world, FIELD_CUSTOM, "{\"colour\":\"red\"}");
    (void)accept(world, &world->wang);
    const char *page = pull_all(world, &world->li, position);
    expect_in(page, "\"fields\":[\"custom\",\"industry\"]");
    expect_in(page, "{\"colour\":\"red\"},\"retail\"]");
    page = pull_all(world, &world->wang, position);
    expect_in(page, "\"op\":\"own\"");
    expect_not_in(page, "retail");
    expect_not_in(page, "\"op\":\"set\"");
    assert_int_equal(version_of(world, ENTITY_CUSTOMER, &id), position + 1);
}

/* Given an id as rules derive them, when a device makes a record with it, then that is refused; the
 * server may. Else whoever computed the id of a quote's next revision could lie in wait there. */
static void test_decide_basic__derived_ids_are_the_servers(void **state)
{
    struct world *world = *state;
    uint8_t hash[HASH_SIZE] = {1, 2, 3};
    struct id id = dk_id_from_hash(hash);
    change_record(world, BLOCK_NEW, ENTITY_CUSTOMER, &id, 0);
    put_text(world, CUSTOMER_NAME, "C");
    reject(world, &world->li, REJECT_READONLY, "", "id");
    assert_false(is_live(world, ENTITY_CUSTOMER, &id));
    change_record(world, BLOCK_NEW, ENTITY_CUSTOMER, &id, 0);
    put_text(world, CUSTOMER_NAME, "C");
    (void)accept(world, &world->server);
    edit_record(world, ENTITY_CUSTOMER, &id, world->org.head);
    put_text(world, CUSTOMER_NAME, "D");
    (void)accept(world, &world->office);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_decide_basic__a_new_customer_reaches_those_who_see_it,
                                        setup_world, teardown_world),
        cmocka_unit_test_setup_teardown(test_decide_basic__derived_ids_are_the_servers, setup_world,
                                        teardown_world),
        cmocka_unit_test_setup_teardown(
            test_decide_basic__an_edit_travels_as_the_field_that_changed, setup_world,
            teardown_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
