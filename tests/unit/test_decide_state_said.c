/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps that are sent again to a restored server, which has not got back yet what they went out
 * from: the state that they lead to stands there already. In whatever order steps come again,
 * nothing that somebody did is lost without a word.
 */
#include "tests/unit/decide_world.h"

#define OTHER_EPOCH 77 /* of the server before it was restored */

static struct id make_deal(struct world *world)
{
    struct id customer = make_customer(world, &world->li, "shop");
    struct id id = make_record(world, ENTITY_OPPORTUNITY);
    put_id(world, OPPORTUNITY_CUSTOMER_ID, &customer);
    put_text(world, OPPORTUNITY_SUBJECT, "deal");
    (void)accept(world, &world->li);
    return id;
}

/* A version of it was seen; the change may be merged. */
static void say(struct world *world, struct device *who, const struct id *id, int64_t seen,
                const char *state)
{
    edit_record(world, ENTITY_OPPORTUNITY, id, seen);
    put_text(world, OPPORTUNITY_STATUS, state);
    if (strcmp(state, "lost") == 0) {
        put_text(world, OPPORTUNITY_LOST_REASON, "price");
    }
    assert_true(send_changeset(world, who).position > 0);
}

/* The conflict entries behind a position that have `words`. */
static int count_entries(struct world *world, int64_t after, const char *words)
{
    int count = 0;
    const char *page = pull_all(world, &world->office, after);
    for (const char *at = strstr(page, words); at != NULL; at = strstr(at + 1, words)) {
        count++;
    }
    return count;
}

/* Given a deal that one has opened again and another one loses, neither knowing of the other, when
 * a restored server gets both in either order, then it is lost, and one entry tells the first, with
 * the same words. */
static void test_decide_state_said__both_orders_tell_the_same(void **state)
{
    struct world *world = *state;
    char entry[80];
    (void)snprintf(entry, sizeof entry, "\"\\\"lost\\\"\",\"\\\"tracking\\\"\",%u,%u,",
                   world->li.author.device_no, world->wang.author.device_no);
    for (int order = 0; order < 2; order++) {
        struct id id = make_deal(world);
        int64_t seen = world->org.head;
        for (int n = 0; n < 2; n++) {
            bool opens = n == order;
            world->epoch = OTHER_EPOCH;
            say(world, opens ? &world->wang : &world->li, &id, seen, opens ? "tracking" : "lost");
        }
        expect_text(world, ENTITY_OPPORTUNITY, &id, OPPORTUNITY_STATUS, "lost");
        assert_int_equal(count_entries(world, seen, entry), 1);
        assert_int_equal(count_entries(world, seen, "\"field_conflict\",\"op\":\"new\""), 1);
    }
}

/* Given a deal that was opened again so, when somebody steps on who knows of it, or who did it,
 * then nothing is lost; nor where no server was restored: there it was no step. */
static void test_decide_state_said__who_knows_of_it_is_told_nothing(void **state)
{
    struct world *world = *state;
    struct id id = make_deal(world);
    int64_t seen = world->org.head;
    world->epoch = OTHER_EPOCH;
    say(world, &world->wang, &id, seen, "tracking");
    say(world, &world->li, &id, world->org.head, "suspended");
    say(world, &world->li, &id, world->org.head, "won");
    assert_int_equal(count_entries(world, seen, "field_conflict"), 0);
    id = make_deal(world);
    seen = world->org.head;
    world->epoch = OTHER_EPOCH;
    say(world, &world->li, &id, seen, "tracking");
    say(world, &world->li, &id, seen, "lost");
    assert_int_equal(count_entries(world, seen, "field_conflict"), 0);
    id = make_deal(world);
    seen = world->org.head;
    say(world, &world->wang, &id, seen, "tracking");
    say(world, &world->li, &id, seen, "lost");
    assert_int_equal(count_entries(world, seen, "field_conflict"), 0);
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_decide_state_said__##name, setup_world, teardown_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_orders_tell_the_same),
        TEST(who_knows_of_it_is_told_nothing),
    };
    return cmocka_run_group_tests_name("decide_state_said", tests, NULL, NULL);
}
