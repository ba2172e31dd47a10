/* SPDX-License-Identifier: Apache-2.0
 *
 * Fields, groups, keys and sets under concurrent changes, policy by policy: the table below is
 * walked for each field, with the second author having seen the first or not, and stamped earlier
 * or later.
 */
#include "tests/unit/decide_world.h"

/* One field, or group, of an entity whose record is made by li; then li and wang each change it. */
struct policy_case {
    const char *name;
    int entity;
    int field;          /* of the value compared */
    const char *first;  /* li's value: text, or a number */
    const char *second; /* wang's */
    bool number;
    const char *stored;      /* what stands when wang's is put on li's; NULL: as `second` */
    enum reject_code unseen; /* answer to a change that had not seen li's; NONE: LATEST decides */
    enum reject_code seen;   /* answer to one that had */
};

static const struct policy_case policy_cases[] = {
    {"LATEST text", ENTITY_CUSTOMER, CUSTOMER_INDUSTRY, "a", "b", false, NULL, REJECT_NONE,
     REJECT_NONE},
    {"LATEST number", ENTITY_CUSTOMER, CUSTOMER_POTENTIAL_BP, "10", "20", true, NULL, REJECT_NONE,
     REJECT_NONE},
    {"SET", ENTITY_CUSTOMER, CUSTOMER_TAGS, "{\"add\":[\"a\"]}", "{\"add\":[\"b\"]}", false,
     "[\"a\",\"b\"]", REJECT_NONE, REJECT_NONE},
    {"IMMUTABLE", ENTITY_VISIT, VISIT_KIND, "VI-1", "VI-2", false, NULL, REJECT_IMMUTABLE,
     REJECT_IMMUTABLE},
    {"GROW", ENTITY_SALES_ORDER, SALES_ORDER_CANCEL_REQ, "{\"add\":[\"a\"]}", "{\"add\":[\"b\"]}",
     false, "[\"a\",\"b\"]", REJECT_NONE, REJECT_NONE},
};
#define POLICY_CASES (sizeof policy_cases / sizeof policy_cases[0])

static void put_case(struct world *world, const struct policy_case *given, const char *text)
{
    if (given->number) {
        put_int(world, given->field, strtol(text, NULL, 10));
    } else {
        put_text(world, given->field, text);
    }
}

/* A record of the case's entity, with a customer where it needs one. */
static struct id make_subject(struct world *world, const struct policy_case *given)
{
    struct id customer = make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_NAME, given->name);
    if (given->entity == ENTITY_CUSTOMER) {
        return customer;
    }
    struct id id = make_record(world, given->entity);
    put_id(world, given->entity == ENTITY_VISIT ? VISIT_CUSTOMER_ID : SALES_ORDER_CUSTOMER_ID,
           &customer);
    if (given->entity == ENTITY_SALES_ORDER) {
        put_text(world, SALES_ORDER_CUR, "CNY");
    }
    return id;
}

static bool is_immutable(const struct policy_case *given)
{
    return dk_entity(given->entity)->fields[given->field].policy == POLICY_IMMUTABLE;
}

/* The elements of a set that only grows are these behind their authors: "user text". */
static void expect_grown(struct world *world, const struct policy_case *given, const struct id *id,
                         const char *text)
{
    struct value value = value_of(world, given->entity, id, given->field);
    assert_int_equal(value.kind, VALUE_TEXT);
    char *bare = dk_arena_copy(&world->arena, value.text, value.length), *end = bare;
    for (uint32_t i = 0; i < value.length; i++) {
        *end++ = value.text[i];
        bool begins = value.text[i] == '"' && value.text[i - 1] != 'a' && value.text[i - 1] != 'b';
        i += begins ? ID_TEXT_SIZE : 0;
    }
    *end = '\0';
    assert_string_equal(bare, text);
}

static void expect_case(struct world *world, const struct policy_case *given, const struct id *id,
                        const char *text)
{
    if (given->number) {
        expect_int(world, given->entity, id, given->field, strtol(text, NULL, 10));
    } else if (dk_entity(given->entity)->fields[given->field].policy == POLICY_GROW) {
        expect_grown(world, given, id, text);
    } else {
        expect_text(world, given->entity, id, given->field, text);
    }
}

/* The record with li's value in it: set at creation where it is immutable, else by a change. *base
 * is the version before that. */
static struct id make_first(struct world *world, const struct policy_case *given, int64_t *base)
{
    struct id id = make_subject(world, given);
    if (is_immutable(given)) {
        put_case(world, given, given->first);
    }
    *base = accept(world, &world->li);
    if (!is_immutable(given)) {
        edit_record(world, given->entity, &id, *base);
        put_case(world, given, given->first);
        world->now_ms += 1000;
        (void)accept(world, &world->li);
    }
    return id;
}

/* Given li's value, when wang changes it having seen it, then wang's stands, whatever the clocks
 * say. */
static void test_decide_merge__a_change_that_saw_the_value_applies(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < POLICY_CASES; i++) {
        const struct policy_case *given = &policy_cases[i];
        int64_t base;
        struct id id = make_first(world, given, &base);
        edit_record(world, given->entity, &id, world->org.head);
        put_case(world, given, given->second);
        world->hlc_ms = world->now_ms - 3600000; /* a slow clock */
        if (given->seen != REJECT_NONE) {
            reject(world, &world->wang, given->seen,
                   dk_entity(given->entity)->fields[given->field].name, "");
            continue;
        }
        (void)accept(world, &world->wang);
        expect_case(world, given, &id, given->stored != NULL ? given->stored : given->second);
    }
}

/* Given li's value, when wang changes it without having seen it, then the policy decides: later, or
 * earlier, or refused. */
static void test_decide_merge__a_concurrent_change_goes_by_the_policy(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < POLICY_CASES * 2; i++) {
        const struct policy_case *given = &policy_cases[i / 2];
        const char *field = dk_entity(given->entity)->fields[given->field].name;
        bool later = i % 2 == 0;
        int64_t base;
        struct id id = make_first(world, given, &base);
        edit_record(world, given->entity, &id, base);
        put_case(world, given, given->second);
        world->hlc_ms = world->now_ms + (later ? 1000 : -10000);
        if (given->unseen != REJECT_NONE) {
            reject(world, &world->wang, given->unseen, field, "");
            expect_case(world, given, &id, given->first);
        } else if (given->stored != NULL) {
            (void)accept(world, &world->wang);
            expect_case(world, given, &id, given->stored);
        } else {
            (void)merge(world, &world->wang);
            expect_case(world, given, &id, later ? given->second : given->first);
        }
    }
}

/* Given li's value, when wang writes the same without having seen it, then nothing is in
 * conflict. */
static void test_decide_merge__the_same_value_twice_is_no_conflict(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < POLICY_CASES; i++) {
        const struct policy_case *given = &policy_cases[i];
        int64_t base;
        struct id id = make_first(world, given, &base);
        edit_record(world, given->entity, &id, base);
        put_case(world, given, given->first);
        int64_t position = accept(world, &world->wang);
        assert_int_equal(version_of(world, given->entity, &id), position);
    }
}

/* Given a record, when two change different fields of it without having seen each other, then both
 * stand. */
static void test_decide_merge__different_fields_both_stand(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < POLICY_CASES; i++) {
        const struct policy_case *given = &policy_cases[i];
        int64_t base;
        int other = given->entity == ENTITY_CUSTOMER ? CUSTOMER_PREFS
                    : given->entity == ENTITY_VISIT  ? VISIT_FEEDBACK
                                                     : SALES_ORDER_NOTE;
        struct id id = make_first(world, given, &base);
        edit_record(world, given->entity, &id, base);
        put_text(world, other, "other");
        (void)accept(world, &world->wang);
        expect_text(world, given->entity, &id, other, "other");
        expect_case(world, given, &id,
                    strcmp(given->first, "{\"add\":[\"a\"]}") == 0 ? "[\"a\"]" : given->first);
    }
}

/* Given an opportunity of 100 CNY, when li makes it 90 EUR and wang 130 CNY, then it is the one or
 * the other, never 130 EUR, in either order of arrival, and the other is in the conflict log, field
 * by field. */
static void test_decide_merge__a_group_is_one_unit(void **state)
{
    struct world *world = *state;
    for (int order = 0; order < 2; order++) {
        struct id customer = make_customer(world, &world->li, "C");
        struct id id = make_record(world, ENTITY_OPPORTUNITY);
        put_text(world, OPPORTUNITY_SUBJECT, "deal");
        put_id(world, OPPORTUNITY_CUSTOMER_ID, &customer);
        put_int(world, OPPORTUNITY_AMOUNT, 10000);
        put_text(world, OPPORTUNITY_CUR, "CNY");
        int64_t base = accept(world, &world->li);
        for (int turn = 0; turn < 2; turn++) {
            bool euro = (turn == 0) == (order == 0);
            edit_record(world, ENTITY_OPPORTUNITY, &id, base);
            put_int(world, OPPORTUNITY_AMOUNT, euro ? 9000 : 13000);
            put_text(world, OPPORTUNITY_CUR, euro ? "EUR" : "CNY");
            world->hlc_ms = world->now_ms + (euro ? 5000 : 9000);
            struct verdict verdict = send_changeset(world, euro ? &world->li : &world->wang);
            assert_int_equal(verdict.kind, turn == 1 ? VERDICT_MERGED : VERDICT_ACCEPTED);
        }
        expect_int(world, ENTITY_OPPORTUNITY, &id, OPPORTUNITY_AMOUNT, 13000);
        expect_text(world, ENTITY_OPPORTUNITY, &id, OPPORTUNITY_CUR, "CNY");
        const char *page = pull_all(world, &world->office, world->org.head - 1);
        expect_in(page, "\"field_conflict\",\"op\":\"new\"");
        expect_in(page, "\"amount\"");
        expect_in(page, "\"\\\"9000\\\"\"");
        expect_in(page, "\"\\\"EUR\\\"\"");
        /* each entry has the rest of what lost, so that it can be had back from any of them */
        expect_in(page, "\"{\\\"amount\\\":\\\"9000\\\"}\"");
        expect_in(page, "\"{\\\"cur\\\":\\\"EUR\\\"}\"");
    }
}

/* Given a group that somebody else changed, when a change carries only a part of it, then it is
 * refused; without that it applies. */
static void test_decide_merge__a_part_of_a_group_only_without_conflict(void **state)
{
    struct world *world = *state;
    struct id id = make_customer(world, &world->li, "C");
    int64_t base = world->org.head;
    edit_record(world, ENTITY_CUSTOMER, &id, base);
    put_text(world, CUSTOMER_CITY, "上海");
    int64_t seen = accept(world, &world->li);
    edit_record(world, ENTITY_CUSTOMER, &id, base);
    put_text(world, CUSTOMER_STREET, "人民路");
    reject(world, &world->wang, REJECT_SCHEMA, "address_region", "group");
    edit_record(world, ENTITY_CUSTOMER, &id, seen);
    put_text(world, CUSTOMER_STREET, "人民路");
    (void)accept(world, &world->wang);
    expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_CITY, "上海");
    expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_STREET, "人民路");
}

/* Given three edits of one field, of which the second had seen the first, when they arrive in any
 * order that keeps each device's own, then the same value stands. */
static void test_decide_merge__the_result_does_not_depend_on_the_order_of_arrival(void **state)
{
    struct world *world = *state;
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {2, 0, 1}};
    static const int offsets[] = {5000, 3000, 4000}; /* the second one's clock is slow */
    struct device *authors[] = {&world->li, &world->wang, &world->office};
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        struct id id = make_customer(world, &world->li, "C");
        int64_t base = world->org.head;
        int64_t first = 0;
        for (int turn = 0; turn < 3; turn++) {
            static const char *const texts[] = {"first", "second", "third"};
            int which = orders[i][turn];
            edit_record(world, ENTITY_CUSTOMER, &id, which == 1 ? first : base);
            put_text(world, CUSTOMER_PREFS, texts[which]);
            world->hlc_ms = world->now_ms + offsets[which];
            struct verdict verdict = send_changeset(world, authors[which]);
            assert_true(verdict.position > 0);
            first = which == 0 ? verdict.position : first;
        }
        expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_PREFS, "second");
    }
}

/* Given three edits that had not seen each other, two of them with the same value, when they arrive
 * in any order, then the same value stands: writing what is there already counts with its stamp. */
static void test_decide_merge__the_same_value_later_counts(void **state)
{
    struct world *world = *state;
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    static const int offsets[] = {1000, 3000, 2000};
    static const char *const texts[] = {"five", "five", "seven"};
    struct device *authors[] = {&world->li, &world->wang, &world->office};
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        struct id id = make_record(world, ENTITY_CUSTOMER);
        put_text(world, CUSTOMER_NAME, "C");
        put_text(world, FIELD_CUSTOM, "{\"size\":\"one\"}");
        put_id(world, CUSTOMER_TERRITORY_ID, &world->territories[EAST]);
        int64_t base = accept(world, &world->server);
        for (int turn = 0; turn < 3; turn++) {
            int which = orders[i][turn];
            edit_record(world, ENTITY_CUSTOMER, &id, base);
            put_text(world, CUSTOMER_PREFS, texts[which]);
            put_text(world, FIELD_CUSTOM,
                     which == 2 ? "{\"size\":\"seven\"}" : "{\"size\":\"five\"}");
            world->hlc_ms = world->now_ms + offsets[which];
            assert_true(send_changeset(world, authors[which]).position > 0);
        }
        expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_PREFS, "five");
        expect_text(world, ENTITY_CUSTOMER, &id, FIELD_CUSTOM, "{\"size\":\"five\"}");
    }
}

/* Given a map, when two put different keys, take one away and put the same one, then keys merge one
 * by one, and the loser of a key is noted. */
static void test_decide_merge__keys_of_a_map_merge_one_by_one(void **state)
{
    struct world *world = *state;
    struct id id = make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_NAME, "C");
    put_text(world, FIELD_CUSTOM, "{\"a\":1,\"gone\":true}");
    int64_t base = accept(world, &world->li);
    edit_record(world, ENTITY_CUSTOMER, &id, base);
    put_text(world, FIELD_CUSTOM, "{\"b\":2,\"gone\":null,\"same\":\"li\"}");
    world->hlc_ms = world->now_ms + 9000;
    (void)accept(world, &world->li);
    edit_record(world, ENTITY_CUSTOMER, &id, base);
    put_text(world, FIELD_CUSTOM, "{\"c\":3,\"gone\":false,\"same\":\"wang\"}");
    int64_t position = merge(world, &world->wang);
    expect_text(world, ENTITY_CUSTOMER, &id, FIELD_CUSTOM,
                "{\"a\":1,\"b\":2,\"c\":3,\"same\":\"li\"}");
    /* li gets only the key that is new, wang what stands in place of the lost ones. */
    const char *page = pull_all(world, &world->li, position - 1);
    expect_in(page, "{\"c\":3}");
    expect_in(page, "custom.same");
    page = pull_all(world, &world->wang, position - 1);
    expect_in(page, "{\"gone\":null,\"same\":\"li\"}");
    expect_in(page, "\"field_conflict\",\"op\":\"new\"");
}

/* Given fields of a newer schema, when they are sent, merged and taken away, then they are kept,
 * travel on whole and by change. */
static void test_decide_merge__fields_of_a_newer_schema_are_kept(void **state)
{
    struct world *world = *state;
    struct id id = make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_NAME, "C");
    put_extra(world, "pronoun", "\"she\"");
    put_extra(world, "scores", "[1,2.5e3,{\"a\":null}]");
    int64_t base = accept(world, &world->li);
    const char *page = pull_all(world, &world->wang, base - 1);
    expect_in(page, "\"pronoun\",\"scores\"]");
    expect_in(page, "\"she\",[1,2.5e3,{\"a\":null}]]");
    edit_record(world, ENTITY_CUSTOMER, &id, base);
    put_extra(world, "pronoun", "null");
    (void)accept(world, &world->li);
    edit_record(world, ENTITY_CUSTOMER, &id, base);
    put_extra(world, "pronoun", "\"they\"");
    world->hlc_ms = world->now_ms + 1000;
    int64_t position = merge(world, &world->wang);
    page = pull_all(world, &world->li, position - 1);
    expect_in(page, "\"set\",\"fields\":[\"pronoun\"]");
    expect_in(page, "extra.pronoun");
    edit_record(world, ENTITY_CUSTOMER, &id, position);
    put_extra(world, "numbers", "{\"add\":[\"x\"]}");
    /* What cannot be kept waits for a server that can read it. */
    struct verdict verdict = send_changeset(world, &world->li);
    assert_int_equal(verdict.kind, VERDICT_QUARANTINED);
    assert_int_equal(verdict.code, REJECT_SCHEMA);
    assert_string_equal(verdict.rule, "newer");
}

/* Given li's value, when wang's loses, then wang's marker brings the value that stands, and the
 * conflict entry is stored once. */
static void test_decide_merge__the_loser_learns_what_stands(void **state)
{
    struct world *world = *state;
    struct id id = make_customer(world, &world->li, "C");
    int64_t base = world->org.head;
    edit_record(world, ENTITY_CUSTOMER, &id, base);
    put_text(world, CUSTOMER_PREFS, "li's");
    world->hlc_ms = world->now_ms + 1000;
    (void)accept(world, &world->li);
    edit_record(world, ENTITY_CUSTOMER, &id, base);
    put_text(world, CUSTOMER_PREFS, "wang's");
    put_text(world, CUSTOMER_INDUSTRY, "retail");
    int64_t position = merge(world, &world->wang);
    const char *page = pull_all(world, &world->wang, position - 1);
    expect_in(page, "\"set\",\"fields\":[\"prefs\"]");
    expect_in(page, "li's");
    expect_not_in(page, "retail");
    page = pull_all(world, &world->li, position - 1);
    expect_in(page, "\"fields\":[\"industry\"]");
    expect_in(page, "wang's"); /* in the conflict entry */
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_decide_merge__##name, setup_world, teardown_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_change_that_saw_the_value_applies),
        TEST(a_concurrent_change_goes_by_the_policy),
        TEST(the_same_value_twice_is_no_conflict),
        TEST(different_fields_both_stand),
        TEST(a_group_is_one_unit),
        TEST(a_part_of_a_group_only_without_conflict),
        TEST(the_result_does_not_depend_on_the_order_of_arrival),
        TEST(the_same_value_later_counts),
        TEST(keys_of_a_map_merge_one_by_one),
        TEST(fields_of_a_newer_schema_are_kept),
        TEST(the_loser_learns_what_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
