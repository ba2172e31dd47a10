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

/* Given a device and a counter, then their number has so many digits at least, and says the device.
 */
static void test_decide_numbers__have_one_form(void **state)
{
    static const struct {
        int entity;
        uint32_t device_no;
        int64_t counter;
        const char *text;
    } cases[] = {{ENTITY_SALES_ORDER, 83, 123, "SO-0002K-000123"},
                 {ENTITY_VISIT, 1, 1, "VI-00001-000001"},
                 {ENTITY_VISIT, 31, 9999, "VI-0000Z-009999"},
                 {ENTITY_QUOTE, 32, 99999, "QU-00010-099999"},
                 {ENTITY_QUOTE, 32, 100000, "QU-00010-100000"},
                 {ENTITY_OPPORTUNITY, UINT32_MAX, 1000000, "OP-3ZZZZZZ-1000000"},
                 {ENTITY_VISIT, UINT32_MAX, LIMIT_NUMBER, "VI-3ZZZZZZ-9007199254740991"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[NUMBER_SIZE];
        uint32_t device_no;
        size_t length =
            dk_number_write(cases[i].entity, cases[i].device_no, cases[i].counter, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(length, strlen(text));
        assert_true(dk_number_is_ours(cases[i].entity, text, length, &device_no));
        assert_int_equal(device_no, cases[i].device_no);
    }
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

/* Gives a document and returns its id. */
static struct id give_known(struct world *world, const struct id *customer, const char *number)
{
    struct id id = make_record(world, ENTITY_VISIT);
    put_id(world, VISIT_CUSTOMER_ID, customer);
    put_text(world, VISIT_DOC_NO, number);
    return id;
}

/* Given a restored file that counts anew, when several of its documents come at once, then those
 * whose number is taken get another, and only those, though other numbers lie between theirs. */
static void test_decide_numbers__of_many_only_the_taken_ones_change(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "shop"), ids[3];
    uint32_t li = world->li.author.device_no;
    char again[NUMBER_SIZE];
    give(world, &customer, number_of(world, li, 2));
    (void)accept(world, &world->li);
    for (int i = 0; i < 2; i++) {
        ids[i] = give_known(world, &customer, number_of(world, li, 1 + 2 * i));
    }
    (void)accept(world, &world->li);
    expect_text(world, ENTITY_VISIT, &ids[0], VISIT_DOC_NO, number_of(world, li, 1));
    expect_text(world, ENTITY_VISIT, &ids[1], VISIT_DOC_NO, number_of(world, li, 3));
    for (int i = 0; i < 3; i++) {
        ids[i] = give_known(world, &customer, number_of(world, li, 3 + i));
    }
    (void)merge(world, &world->li);
    const char *third = number_of(world, li, 3);
    (void)dk_number_again(third, strlen(third), li, again);
    expect_text(world, ENTITY_VISIT, &ids[0], VISIT_DOC_NO, again);
    expect_text(world, ENTITY_VISIT, &ids[1], VISIT_DOC_NO, number_of(world, li, 4));
    expect_text(world, ENTITY_VISIT, &ids[2], VISIT_DOC_NO, number_of(world, li, 5));
}

/* Given a taken number, when the document that gets another for it comes before one that has just
 * that, then they do not end with the same. */
static void test_decide_numbers__another_number_is_nobodys_in_the_changeset(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "shop");
    uint32_t li = world->li.author.device_no;
    const char *taken = number_of(world, li, 1);
    char again[NUMBER_SIZE], before[NUMBER_SIZE];
    (void)dk_number_again(taken, strlen(taken), li, again);
    (void)dk_number_again(taken, strlen(taken), 0, before);
    give(world, &customer, taken);
    (void)accept(world, &world->li);
    give(world, &customer, before);
    give(world, &customer, taken);
    give(world, &customer, again);
    reject(world, &world->li, REJECT_EXISTS, "doc_no", "unique");
}

int main(void)
{
#define NUMBERS_TEST(name)                                                                         \
    cmocka_unit_test_setup_teardown(test_decide_numbers__##name, setup_world, teardown_world)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decide_numbers__have_one_form),
        NUMBERS_TEST(a_device_gives_only_its_own),
        NUMBERS_TEST(a_device_keeps_those_that_it_had),
        NUMBERS_TEST(a_revision_may_have_its_quotes),
        NUMBERS_TEST(of_many_only_the_taken_ones_change),
        NUMBERS_TEST(another_number_is_nobodys_in_the_changeset),
    };
    return cmocka_run_group_tests_name("decide_numbers", tests, NULL, NULL);
}
