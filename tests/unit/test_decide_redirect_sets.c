/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of two customers that become one, while people add to it and take away from it.
 */
#include "tests/unit/decide_world.h"

#define TAG_OPS 4 /* on either of the two, gold is added or taken away */
enum { LI_ONCE, WANG_FIRST, WANG_THEN, BECOME_ONE, TAG_ACTS };

/* A customer and the one that it becomes. */
struct pair {
    struct id from, into;
    int64_t seen;
};

/* Two customers, of which either may have the tag. */
static struct pair make_tagged(struct world *world, int tagged)
{
    struct id ids[2];
    for (int i = 0; i < 2; i++) {
        ids[i] = make_record(world, ENTITY_CUSTOMER);
        put_text(world, CUSTOMER_NAME, i == 0 ? "from" : "into");
        if ((tagged >> i & 1) != 0) {
            put_text(world, CUSTOMER_TAGS, "[\"gold\"]");
        }
        (void)accept(world, &world->wang);
    }
    return (struct pair){ids[0], ids[1], world->org.head};
}

/* Does what three people have done, none knowing of the others, in this order of arrival; each of
 * wang's is made after the one before. Returns whether the one that stays has the tag. */
static bool run_tags(struct world *world, int tagged, const int ops[TAG_ACTS],
                     const int order[TAG_ACTS])
{
    struct pair pair = make_tagged(world, tagged);
    for (int i = 0; i < TAG_ACTS; i++) {
        int op = ops[order[i]];
        if (order[i] == BECOME_ONE) {
            edit_record(world, ENTITY_CUSTOMER, &pair.from, world->org.head);
            put_id(world, CUSTOMER_REDIRECT_TO, &pair.into);
            (void)send_changeset(world, &world->server);
            continue;
        }
        edit_record(world, ENTITY_CUSTOMER, op < 2 ? &pair.from : &pair.into, pair.seen);
        put_text(world, CUSTOMER_TAGS,
                 op % 2 == 0 ? "{\"add\":[\"gold\"]}" : "{\"remove\":[\"gold\"]}");
        world->hlc_ms = world->now_ms + 100 * (1 + order[i]);
        struct verdict verdict =
            send_changeset(world, order[i] == LI_ONCE ? &world->li : &world->wang);
        assert_true(verdict.kind == VERDICT_ACCEPTED || verdict.kind == VERDICT_MERGED);
    }
    return value_of(world, ENTITY_CUSTOMER, &pair.into, CUSTOMER_TAGS).kind != VALUE_NULL;
}

/* Given customers that have a tag or not, and people who add it to the one or the other or take it
 * away, when the two become one before, between or behind that, then every order ends the same. */
static void test_decide_redirect_sets__every_order_ends_the_same(void **state)
{
    struct world *world = *state;
    static const int orders[][TAG_ACTS] = {{0, 1, 2, 3}, {0, 1, 3, 2}, {0, 3, 1, 2}, {3, 0, 1, 2},
                                           {1, 0, 2, 3}, {1, 0, 3, 2}, {1, 3, 0, 2}, {3, 1, 0, 2},
                                           {1, 2, 0, 3}, {1, 2, 3, 0}, {1, 3, 2, 0}, {3, 1, 2, 0}};
    hold_transaction(world);
    for (int tagged = 0; tagged < 4; tagged++) {
        for (int combination = 0; combination < TAG_OPS * TAG_OPS * TAG_OPS; combination++) {
            int ops[TAG_ACTS] = {combination % TAG_OPS, combination / TAG_OPS % TAG_OPS,
                                 combination / TAG_OPS / TAG_OPS, 0};
            bool first = run_tags(world, tagged, ops, orders[0]);
            for (size_t i = 1; i < sizeof orders / sizeof orders[0]; i++) {
                if (run_tags(world, tagged, ops, orders[i]) != first) {
                    fail_msg("tagged %d, ops %d %d %d, order %zu: not %d", tagged, ops[0], ops[1],
                             ops[2], i, first);
                }
            }
        }
    }
    let_go(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_decide_redirect_sets__every_order_ends_the_same,
                                        setup_world, teardown_world),
    };
    return cmocka_run_group_tests_name("decide_redirect_sets", tests, NULL, NULL);
}
