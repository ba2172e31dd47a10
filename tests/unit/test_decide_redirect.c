/* SPDX-License-Identifier: Apache-2.0
 *
 * Redirects of customers in the decision: chains and circles, references that follow without a new
 * stamp.
 */
#include "tests/unit/decide_world.h"

static void put_redirect(struct world *world, const struct id *from, const struct id *into)
{
    edit_record(world, ENTITY_CUSTOMER, from, world->org.head);
    put_id(world, CUSTOMER_REDIRECT_TO, into);
}

static void expect_customer(struct world *world, int entity, const struct id *id, int field,
                            const struct id *customer)
{
    struct value value = value_of(world, entity, id, field);
    assert_int_equal(value.kind, VALUE_ID);
    assert_memory_equal(&value.id, customer, sizeof value.id);
}

/* Given redirects in a row, when a visit names the first, then it is the last one's, and the author
 * is told; a circle, and a row of more than eight, is refused. */
static void test_decide_redirect__chains_end_and_circles_are_refused(void **state)
{
    struct world *world = *state;
    struct id row[12];
    for (int i = 0; i < 12; i++) {
        row[i] = make_customer(world, &world->li, "one of many");
    }
    for (int i = 0; i < 8; i++) {
        put_redirect(world, &row[i], &row[i + 1]);
        (void)accept(world, &world->server);
    }
    struct id visit = make_record(world, ENTITY_VISIT);
    put_id(world, VISIT_CUSTOMER_ID, &row[0]);
    struct verdict verdict = send_changeset(world, &world->wang);
    assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
    assert_true(verdict.remapped);
    assert_memory_equal(&verdict.record, &row[0], sizeof row[0]);
    expect_customer(world, ENTITY_VISIT, &visit, VISIT_CUSTOMER_ID, &row[8]);
    put_redirect(world, &row[8], &row[3]);
    reject(world, &world->server, REJECT_RULE, "redirect_to", "cycle");
    put_redirect(world, &row[9], &row[9]);
    reject(world, &world->server, REJECT_RULE, "redirect_to", "cycle");
    put_redirect(world, &row[11], &row[0]);
    reject(world, &world->server, REJECT_RULE, "redirect_to", "cycle");
    put_redirect(world, &row[9], &row[8]);
    (void)accept(world, &world->server);
    /* Devices cannot redirect. */
    put_redirect(world, &row[10], &row[9]);
    reject(world, &world->li, REJECT_READONLY, "redirect_to", "server");
}

/* Given a contact of a customer that becomes another, when its rep has given it to a third one
 * meanwhile, then the third one has it, whichever came first. */
static void test_decide_redirect__a_reference_keeps_its_stamp(void **state)
{
    struct world *world = *state;
    for (int first = 0; first < 2; first++) {
        struct id from = make_customer(world, &world->li, "from");
        struct id into = make_customer(world, &world->li, "into");
        struct id third = make_customer(world, &world->li, "third");
        struct id contact = make_record(world, ENTITY_CONTACT);
        put_id(world, CONTACT_CUSTOMER_ID, &from);
        put_text(world, CONTACT_NAME, "Anna");
        int64_t seen = accept(world, &world->li);
        int64_t then = world->now_ms + 1000;
        put_redirect(world, &from, &into);
        world->now_ms += 5000;
        (void)accept(world, &world->server);
        for (int i = 0; i < 2; i++) {
            if ((i == 0) == (first == 0)) {
                struct srv_record row;
                assert_true(read_row(world, ENTITY_CONTACT, &contact, &row));
                if (dk_id_compare(&row.record.values[CONTACT_CUSTOMER_ID].id, &from) == 0) {
                    edit_record(world, ENTITY_CONTACT, &contact, world->org.head);
                    put_id(world, CONTACT_CUSTOMER_ID, &into);
                    (void)accept(world, &world->server);
                }
            } else {
                edit_record(world, ENTITY_CONTACT, &contact, seen);
                put_id(world, CONTACT_CUSTOMER_ID, &third);
                world->hlc_ms = then;
                (void)accept(world, &world->wang);
            }
        }
        expect_customer(world, ENTITY_CONTACT, &contact, CONTACT_CUSTOMER_ID, &third);
    }
}

/* Given two customers that became one, when a changeset that had not seen later names of either
 * names both, then both names that lost are kept, each in an entry of its own. */
static void test_decide_redirect__what_loses_twice_is_kept_twice(void **state)
{
    struct world *world = *state;
    struct id from = make_customer(world, &world->li, "from");
    struct id into = make_customer(world, &world->li, "into");
    int64_t seen = world->org.head;
    edit_record(world, ENTITY_CUSTOMER, &into, seen);
    put_text(world, CUSTOMER_NAME, "the one");
    world->hlc_ms = world->now_ms + 5000;
    (void)accept(world, &world->li);
    put_redirect(world, &from, &into);
    world->now_ms += 9000;
    int64_t before = accept(world, &world->server);
    edit_record(world, ENTITY_CUSTOMER, &into, seen);
    put_text(world, CUSTOMER_NAME, "one name");
    edit_record(world, ENTITY_CUSTOMER, &from, seen);
    put_text(world, CUSTOMER_NAME, "other name");
    world->hlc_ms = WORLD_NOW_MS + 1000;
    (void)merge(world, &world->wang);
    expect_text(world, ENTITY_CUSTOMER, &into, CUSTOMER_NAME, "the one");
    const char *page = pull_all(world, &world->office, before);
    expect_in(page, "one name");
    expect_in(page, "other name");
}

/* A customer's own keys at a time, by a rep. */
static void set_custom(struct world *world, const struct id *id, int64_t ms, const char *keys)
{
    edit_record(world, ENTITY_CUSTOMER, id, world->org.head);
    put_text(world, FIELD_CUSTOM, keys);
    world->hlc_ms = world->now_ms + ms;
    (void)accept(world, &world->li);
}

/* Given two customers whose own keys differ, when they become one, then of each key the later side
 * stands, a removal, too; what loses is kept, and who sees the customer is sent what changed. */
static void test_decide_redirect__keys_join_by_their_stamps(void **state)
{
    struct world *world = *state;
    struct id from = make_customer(world, &world->li, "from");
    struct id into = make_customer(world, &world->li, "into");
    set_custom(world, &from, 1000, "{\"door\":\"left\",\"gone\":\"x\",\"only\":\"f\"}");
    set_custom(world, &into, 2000, "{\"door\":\"right\",\"floor\":5,\"gone\":\"y\"}");
    set_custom(world, &from, 3000, "{\"floor\":3,\"gone\":null}");
    put_redirect(world, &from, &into);
    world->now_ms += 9000;
    int64_t before = world->org.head;
    (void)send_changeset(world, &world->server);
    expect_text(world, ENTITY_CUSTOMER, &into, FIELD_CUSTOM,
                "{\"door\":\"right\",\"floor\":3,\"only\":\"f\"}");
    const char *page = pull_all(world, &world->wang, before);
    expect_in(page, "\"custom.floor\",\"3\",\"5\"");
    expect_in(page, "\"custom.door\",\"\\\"right\\\"\",\"\\\"left\\\"\"");
    expect_in(page, "\"custom.gone\",\"\\\"y\\\"\"");
    expect_in(page, "{\"floor\":3,\"gone\":null,\"only\":\"f\"}");
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_decide_redirect__##name, setup_world, teardown_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(chains_end_and_circles_are_refused),
        TEST(a_reference_keeps_its_stamp),
        TEST(what_loses_twice_is_kept_twice),
        TEST(keys_join_by_their_stamps),
    };
    return cmocka_run_group_tests_name("decide_redirect", tests, NULL, NULL);
}
