/* SPDX-License-Identifier: Apache-2.0
 *
 * What somebody is told of a record that has left their scope: that it did, and nothing of what has
 * become of it since, whatever their changeset says that it had seen.
 */
#include "tests/unit/history_world.h"

#define SEEN_ALL ((int64_t)1 << 40)

/* What an altered client sends of an order, one kind at a time. */
enum probe {
    PROBE_NOTE,
    PROBE_STEP,
    PROBE_GROUP,
    PROBE_LINE,
    PROBE_NEW_LINE,
    PROBE_DELETE,
    PROBES
};

struct scene {
    struct id customer, order, line, product;
};

/* Into the changeset being built. */
static struct id add_order_line(struct world *world, const struct scene *scene)
{
    struct id line = make_record(world, ENTITY_ORDER_LINE);
    put_id(world, ORDER_LINE_ORDER_ID, &scene->order);
    put_id(world, ORDER_LINE_PRODUCT_ID, &scene->product);
    put_int(world, ORDER_LINE_QTY, 1000);
    put_int(world, ORDER_LINE_PRICE_E4, 100000);
    return line;
}

static void make_scene(struct world *world, struct scene *scene, const char *code)
{
    scene->product = make_product(world, code);
    scene->customer = make_customer(world, &world->li, "C");
    scene->order = make_record(world, ENTITY_SALES_ORDER);
    put_id(world, SALES_ORDER_CUSTOMER_ID, &scene->customer);
    put_text(world, SALES_ORDER_CUR, "EUR");
    put_text(world, SALES_ORDER_STATUS, "submitted");
    scene->line = add_order_line(world, scene);
    (void)accept(world, &world->li);
}

/* Sends one kind, together with a customer without a name, so that nothing of it is applied. */
static struct verdict send_probe(struct world *world, const struct scene *scene, enum probe probe)
{
    switch (probe) {
    case PROBE_NOTE:
        edit_record(world, ENTITY_SALES_ORDER, &scene->order, SEEN_ALL);
        put_text(world, SALES_ORDER_NOTE, "probe");
        break;
    case PROBE_STEP:
        edit_record(world, ENTITY_SALES_ORDER, &scene->order, SEEN_ALL);
        put_text(world, SALES_ORDER_STATUS, "cancelled");
        break;
    case PROBE_GROUP:
        edit_record(world, ENTITY_SALES_ORDER, &scene->order, 0);
        put_text(world, SALES_ORDER_SHIP_CITY, "probe");
        break;
    case PROBE_LINE:
        edit_record(world, ENTITY_ORDER_LINE, &scene->line, SEEN_ALL);
        put_text(world, ORDER_LINE_SORT_KEY, "probe");
        break;
    case PROBE_NEW_LINE:
        (void)add_order_line(world, scene);
        world->changes[world->count - 1].seen = SEEN_ALL;
        break;
    case PROBE_DELETE: delete_record(world, ENTITY_ORDER_LINE, &scene->line, SEEN_ALL); break;
    case PROBES: fail();
    }
    (void)make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_CHANNEL, "probe");
    world->hlc_ms = BEFORE_MS;
    struct verdict verdict = send_changeset(world, &world->li);
    assert_int_equal(verdict.kind, VERDICT_REJECTED);
    return verdict;
}

/* What others do to the order once it has left. */
static void go_on(struct world *world, const struct scene *scene)
{
    edit_record(world, ENTITY_SALES_ORDER, &scene->order, world->org.head);
    put_text(world, SALES_ORDER_SHIP_CITY, "elsewhere");
    put_text(world, SALES_ORDER_NOTE, "theirs");
    put_text(world, SALES_ORDER_STATUS, "confirmed");
    (void)accept(world, &world->office);
}

/* Each kind gets one answer, whatever the order has become. */
static void check_scene(struct world *world, const struct scene *scene)
{
    struct verdict before[PROBES];
    for (int probe = 0; probe < PROBES; probe++) {
        before[probe] = send_probe(world, scene, (enum probe)probe);
    }
    go_on(world, scene);
    for (int probe = 0; probe < PROBES; probe++) {
        struct verdict after = send_probe(world, scene, (enum probe)probe);
        if (after.code != before[probe].code || strcmp(after.rule, before[probe].rule) != 0 ||
            strcmp(after.field, before[probe].field) != 0 ||
            strcmp(after.entity, before[probe].entity) != 0) {
            fail_msg("probe %d: %s %s %s %s, but %s %s %s %s before", probe,
                     dk_reject_name(after.code), after.entity, after.field, after.rule,
                     dk_reject_name(before[probe].code), before[probe].entity, before[probe].field,
                     before[probe].rule);
        }
    }
}

/* Given an order whose customer goes to another territory, when its old rep sends changes as if all
 * of its future had been seen, then the errors are the same whatever has become of it. */
static void test_decide_past__errors_say_nothing_of_what_has_left(void **state)
{
    struct world *world = *state;
    struct scene scene;
    make_scene(world, &scene, "TEA");
    (void)move_customer(world, &scene.customer, WEST, MOVE_MS);
    check_scene(world, &scene);
}

/* The same where it is the rep who goes; and where the rep's team did, for who had led it. */
static void test_decide_past__nor_to_who_has_left(void **state)
{
    struct world *world = *state;
    struct scene scene;
    make_scene(world, &scene, "TEA");
    change_user(world, &world->li, &world->territories[WEST], NULL, NULL, MOVE_MS);
    check_scene(world, &scene);
}

static void test_decide_past__nor_to_whose_team_has_left(void **state)
{
    static const struct id nobody;
    struct world *world = *state;
    struct scene scene;
    make_scene(world, &scene, "TEA");
    change_user(world, &world->li, &world->territories[WEST], "manager", NULL, WORLD_NOW_MS);
    change_user(world, &world->wang, NULL, NULL, &world->li.author.account.user, WORLD_NOW_MS);
    change_user(world, &world->wang, NULL, NULL, &nobody, MOVE_MS);
    sign_in(world, &world->li);
    check_scene(world, &scene);
}

/* Given an order of which only others know, when somebody who never saw it adds a line to it, then
 * the answer is that for an order that is not there, and nobody is told. */
static void test_decide_past__strangers_add_no_lines(void **state)
{
    struct world *world = *state;
    for (int confirmed = 0; confirmed < 3; confirmed++) {
        struct scene scene;
        make_scene(world, &scene, confirmed == 0 ? "A" : confirmed == 1 ? "B" : "C");
        if (confirmed == 1) {
            go_on(world, &scene);
        } else if (confirmed == 2) {
            scene.order = new_id(world);
        }
        for (int forged = 0; forged < 2; forged++) {
            (void)add_order_line(world, &scene);
            world->changes[world->count - 1].seen = forged ? SEEN_ALL : 0;
            reject(world, &world->tom, REJECT_REF_MISSING, "order_id", "");
        }
    }
}

/* Given a note that the new rep has written, when the old rep's of before the move comes and says
 * that it was based on that, then the later one stands, and the other is in the conflict log. */
static void test_decide_past__later_work_is_not_replaced(void **state)
{
    struct world *world = *state;
    struct scene scene;
    make_scene(world, &scene, "TEA");
    (void)move_customer(world, &scene.customer, WEST, MOVE_MS);
    edit_record(world, ENTITY_SALES_ORDER, &scene.order, world->org.head);
    put_text(world, SALES_ORDER_NOTE, "theirs");
    (void)accept(world, &world->tom);
    edit_record(world, ENTITY_SALES_ORDER, &scene.order, SEEN_ALL);
    put_text(world, SALES_ORDER_NOTE, "mine");
    world->hlc_ms = BEFORE_MS;
    (void)merge(world, &world->li);
    expect_text(world, ENTITY_SALES_ORDER, &scene.order, SALES_ORDER_NOTE, "theirs");
}

/* Given more records that have left the scope behind a device's position than a page has room for,
 * when it reads on, then it gets its page, with what is still in its scope, and nothing of what is
 * not. */
static void test_decide_past__however_many_have_left(void **state)
{
    enum { LEFT = 30000 };
    struct world *world = *state;
    int64_t before = world->org.head, bucket;
    char label[SCOPE_LABEL_SIZE];
    struct id stays = make_customer(world, &world->li, "it stays");
    struct id goes = make_customer(world, &world->li, "it goes");
    (void)move_customer(world, &goes, WEST, MOVE_MS);
    srv_scope_territory_label(&world->territories[EAST], label);
    assert_int_equal(srv_store_begin(world->store), DAYBOOK_OK);
    assert_int_equal(srv_store_bucket(world->store, world->org.org, label, &bucket), DAYBOOK_OK);
    for (int i = 0; i < LEFT; i++) {
        struct id id = new_id(world);
        assert_int_equal(
            srv_store_add_eviction(world->store, world->org.org, bucket, &id, world->org.head),
            DAYBOOK_OK);
    }
    assert_int_equal(srv_store_commit(world->store), DAYBOOK_OK);
    struct arena arena = world->arena;
    dk_arena_init(&world->arena, LEFT * sizeof(struct id) / 2);
    const char *page = pull_all(world, &world->wang, before);
    expect_in(page, wire(world, &stays));
    expect_in(page, "it stays");
    expect_not_in(page, "it goes");
    expect_in(page, "\"op\":\"evict\"");
    dk_arena_clear(&world->arena);
    world->arena = arena;
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_decide_past__##name, setup_world, teardown_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(errors_say_nothing_of_what_has_left), TEST(nor_to_who_has_left),
        TEST(nor_to_whose_team_has_left),          TEST(strangers_add_no_lines),
        TEST(later_work_is_not_replaced),          TEST(however_many_have_left),
    };
    return cmocka_run_group_tests_name("decide_past", tests, NULL, NULL);
}
