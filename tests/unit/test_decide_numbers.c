/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose document numbers are whose to give, in the decider.
 */
#include "tests/unit/decide_world.h"

#include "engine/sales/number.h"

static void give(struct world *world, const struct id *customer, const char *number)
{
    (void)make_record(world, ENTITY_VISIT);
    put_id(world, VISIT_CUSTOMER_ID, customer);
    put_text(world, VISIT_DOC_NO, number);
}

static const char *number_of(struct world *world, uint32_t device_no, int64_t counter)
{
    char text[NUMBER_SIZE];
    size_t length = dk_number_write(ENTITY_VISIT, device_no, counter, text);
    return dk_arena_copy(&world->arena, text, length);
}

/* Given numbers of another device, taken and free, when an app gives them, then it learns the same
 * of both; its own device's, and such that look like nobody's, it may give. */
static void test_decide_numbers__a_device_gives_only_its_own(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "shop");
    uint32_t li = world->li.author.device_no;
    give(world, &customer, number_of(world, li, 1));
    (void)accept(world, &world->li);
    for (int counter = 1; counter <= 2; counter++) {
        give(world, &customer, number_of(world, li, counter));
        reject(world, &world->wang, REJECT_RULE, "doc_no", "device");
        give(world, &customer, number_of(world, 4711, counter));
        reject(world, &world->wang, REJECT_RULE, "doc_no", "device");
    }
    static const char *const others[] = {"VI-0000-000001", "VI-0000L-000001", "VI-0000002-000001",
                                         "VI-00002-1",     "QU-00002-000001", "my own 7"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        give(world, &customer, others[i]);
        (void)accept(world, &world->wang);
    }
    /* Who imports may bring them. */
    give(world, &customer, number_of(world, li, 77));
    (void)accept(world, &world->server);
}

/* Given a device that had another number before, or was enrolled anew, when what it made then
 * arrives, then that keeps its number. */
static void test_decide_numbers__a_device_keeps_those_that_it_had(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "shop"), instance = new_id(world);
    uint32_t before = world->li.author.device_no, after = 0;
    struct srv_device *rows;
    int count;
    int64_t device = 0;
    assert_int_equal(
        srv_store_list_devices(world->store, world->org.org, &world->arena, &rows, &count),
        DAYBOOK_OK);
    for (int i = 0; i < count; i++) {
        device = rows[i].device_no == before ? rows[i].device : device;
    }
    assert_int_equal(srv_store_begin(world->store), DAYBOOK_OK);
    assert_int_equal(srv_store_lease(world->store, device, &instance, &after), DAYBOOK_OK);
    assert_int_equal(srv_store_commit(world->store), DAYBOOK_OK);
    assert_int_not_equal(after, before);
    world->li.author.device_no = after;
    world->li.author.decided = 0;
    give(world, &customer, number_of(world, before, 5));
    (void)accept(world, &world->li);
    give(world, &customer, number_of(world, after, 1));
    (void)accept(world, &world->li);
    struct device again;
    make_device(world, &again, &world->li.author.account.user);
    give(world, &customer, number_of(world, after, 2));
    (void)accept(world, &again);
}

/* Given a colleague's quote, when somebody makes its next revision, then that may have its number.
 */
static void test_decide_numbers__a_revision_may_have_its_quotes(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "shop");
    char number[NUMBER_SIZE];
    (void)dk_number_write(ENTITY_QUOTE, world->li.author.device_no, 1, number);
    struct id quote = add_quote(world, &customer);
    put_text(world, QUOTE_DOC_NO, number);
    (void)accept(world, &world->li);
    for (int revision = 0; revision < 2; revision++) {
        (void)add_quote(world, &customer);
        put_text(world, QUOTE_DOC_NO, number);
        put_int(world, QUOTE_REV, 2);
        if (revision == 0) {
            reject(world, &world->wang, REJECT_RULE, "doc_no", "device");
        } else {
            put_id(world, QUOTE_REVISION_OF, &quote);
            (void)accept(world, &world->wang);
        }
    }
}

int main(void)
{
#define NUMBERS_TEST(name)                                                                         \
    cmocka_unit_test_setup_teardown(test_decide_numbers__##name, setup_world, teardown_world)
    const struct CMUnitTest tests[] = {
        NUMBERS_TEST(a_device_gives_only_its_own),
        NUMBERS_TEST(a_device_keeps_those_that_it_had),
        NUMBERS_TEST(a_revision_may_have_its_quotes),
    };
    return cmocka_run_group_tests_name("decide_numbers", tests, NULL, NULL);
}
