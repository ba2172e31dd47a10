/* SPDX-License-Identifier: Apache-2.0
 *
 * What a device's store does after it has become another instance, because it was copied or
 * restored, rests on what it had sent under the earlier one: its author had seen that.
 */
#include "tests/unit/decide_world.h"

enum work { STEPS, NOTES, TAGS, KEYS, DELETES, WORKS };
enum place { BEFORE, BETWEEN, BEHIND, NOBODY, PLACES }; /* where somebody else's change arrives */
enum step { FIRST, SECOND, OTHER };

static const int entities[WORKS] = {ENTITY_OPPORTUNITY, ENTITY_CUSTOMER, ENTITY_CUSTOMER,
                                    ENTITY_CUSTOMER, ENTITY_CONTACT};
static const int fields[WORKS] = {OPPORTUNITY_STATUS, CUSTOMER_PREFS, CUSTOMER_TAGS, FIELD_CUSTOM,
                                  CONTACT_TITLE};

/* The record that is worked on. */
static struct id make_subject(struct world *world, enum work work)
{
    struct id customer = make_customer(world, &world->li, "shop");
    if (entities[work] == ENTITY_CUSTOMER) {
        return customer;
    }
    struct id id = make_record(world, entities[work]);
    if (work == STEPS) {
        put_id(world, OPPORTUNITY_CUSTOMER_ID, &customer);
        put_text(world, OPPORTUNITY_SUBJECT, "deal");
    } else {
        put_id(world, CONTACT_CUSTOMER_ID, &customer);
        put_text(world, CONTACT_NAME, "Wu");
    }
    (void)accept(world, &world->li);
    return id;
}

/* Builds one step, each made after the one before and based on the same version: the second is
 * li's, too. */
static void build(struct world *world, enum work work, enum step step, const struct id *id,
                  int64_t base)
{
    static const char *const values[WORKS][3] = {
        [STEPS] = {"suspended", "tracking", "suspended"},
        [NOTES] = {"one", "two", "other"},
        [TAGS] = {"{\"add\":[\"gold\"]}", "{\"remove\":[\"gold\"]}", "{\"add\":[\"north\"]}"},
        [KEYS] = {"{\"floor\":1}", "{\"floor\":null}", "{\"lift\":2}"},
        [DELETES] = {"Buyer", NULL, "Boss"}};
    if (values[work][step] == NULL) {
        delete_record(world, entities[work], id, base);
    } else {
        edit_record(world, entities[work], id, base);
        put_text(world, fields[work], values[work][step]);
    }
    world->hlc_ms = world->now_ms + (step == FIRST ? 0 : step == OTHER ? 10 : 20);
}

/* Sends the text once more, as the next changeset of a device. */
static struct verdict send_again(struct world *world, struct device *device)
{
    struct decide_input input;
    struct verdict verdict;
    decode_text(world, world->last_text, world->last_length, &input);
    input.changeset.seq = device->author.decided + 1;
    assert_int_equal(decide_input(world, device, &input, &verdict), DECIDE_VERDICT);
    assert_true(verdict.duplicate);
    return verdict;
}

/* Li's two changes and perhaps somebody else's, the second one by `second`, which has the first
 * from li's device. Writes what stands, and what was told, as a text. */
static void run(struct world *world, enum work work, enum place place, struct device *second,
                char *outcome, size_t size)
{
    static const char *const kinds[] = {
        [VERDICT_ACCEPTED] = "accepted", [VERDICT_MERGED] = "merged"};
    struct id id = make_subject(world, work);
    struct verdict told[3] = {{.kind = VERDICT_ACCEPTED}, {.kind = VERDICT_ACCEPTED}};
    struct srv_record row;
    int64_t base = world->org.head;
    for (int at = BEFORE; at <= BEHIND; at++) {
        if (at == (int)place) {
            build(world, work, OTHER, &id, base);
            told[OTHER] = send_changeset(world, &world->wang);
        }
        if (at == BEFORE) {
            build(world, work, FIRST, &id, base);
            told[FIRST] = send_changeset(world, &world->li);
            if (second != &world->li) {
                (void)send_again(world, second);
            }
        } else if (at == BETWEEN) {
            build(world, work, SECOND, &id, base);
            told[SECOND] = send_changeset(world, second);
        }
    }
    assert_true(read_row(world, entities[work], &id, &row));
    const struct value *value = &row.record.values[fields[work]];
    (void)snprintf(outcome, size, "%s %.*s %s %s %s", row.deleted ? "deleted" : "there",
                   value->kind == VALUE_TEXT ? (int)value->length : 0,
                   value->kind == VALUE_TEXT ? value->text : "", kinds[told[FIRST].kind],
                   kinds[told[SECOND].kind], place == NOBODY ? "" : kinds[told[OTHER].kind]);
}

/* Given two changes of one author, one on top of the other, when the second comes from a new
 * instance that has sent the first again, then, wherever somebody else's change comes, all is as if
 * it had come from the first. */
static void test_decide_copies__a_new_instance_has_seen_its_own_work(void **state)
{
    struct world *world = *state;
    char alone[200], copied[200];
    for (int work = 0; work < WORKS; work++) {
        for (int place = 0; place < PLACES; place++) {
            struct device copy;
            make_device(world, &copy, &world->li.author.account.user);
            run(world, (enum work)work, (enum place)place, &world->li, alone, sizeof alone);
            run(world, (enum work)work, (enum place)place, &copy, copied, sizeof copied);
            if (strcmp(alone, copied) != 0) {
                fail_msg("work %d, place %d: %s, but on a copy %s", work, place, alone, copied);
            }
        }
    }
}

/* Given a change that was sent again twice, by a copy and by a copy's copy, when all three go on,
 * then each had seen it, and its stamp stays the first one's. */
static void test_decide_copies__all_copies_had_seen_it(void **state)
{
    struct world *world = *state;
    struct device copies[2];
    struct srv_record row;
    struct id id = make_subject(world, NOTES);
    int64_t base = world->org.head;
    build(world, NOTES, FIRST, &id, base);
    int64_t position = accept(world, &world->li);
    for (int i = 0; i < 2; i++) {
        make_device(world, &copies[i], &world->li.author.account.user);
        (void)send_again(world, &copies[i]);
    }
    for (int i = 0; i < 2; i++) {
        edit_record(world, ENTITY_CUSTOMER, &id, base);
        put_text(world, CUSTOMER_NAME, i == 0 ? "a" : "b");
        (void)send_changeset(world, &copies[i]);
        assert_true(read_row(world, ENTITY_CUSTOMER, &id, &row));
        assert_int_equal(row.stamps[CUSTOMER_PREFS].device_no, world->li.author.device_no);
        assert_int_equal(row.stamps[CUSTOMER_PREFS].position, position);
    }
    build(world, NOTES, SECOND, &id, base);
    (void)accept(world, &copies[1]);
    /* It is nothing that the first one had seen. */
    build(world, NOTES, OTHER, &id, base);
    (void)merge(world, &world->li);
    expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_PREFS, "two");
}

/* Given a change that the original made after it was copied, when the copy works on the same
 * record, then it has not seen that change. */
static void test_decide_copies__what_was_not_sent_again_was_not_seen(void **state)
{
    struct world *world = *state;
    struct device copy;
    struct id id = make_subject(world, TAGS);
    int64_t base = world->org.head;
    make_device(world, &copy, &world->li.author.account.user);
    build(world, TAGS, FIRST, &id, base);
    (void)accept(world, &world->li);
    build(world, TAGS, SECOND, &id, base);
    (void)merge(world, &copy);
    expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_TAGS, "[\"gold\"]");
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_decide_copies__##name, setup_world, teardown_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_instance_has_seen_its_own_work),
        TEST(all_copies_had_seen_it),
        TEST(what_was_not_sent_again_was_not_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
