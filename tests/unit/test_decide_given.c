/* SPDX-License-Identifier: Apache-2.0
 *
 * What was given for fields before the server knew them, judged when it does: the record ends as
 * one to which the same was done while the field was known, whoever did what in whichever order and
 * had seen what; of what is not known of the authors the safe thing is made.
 */
#include "engine/sales/machines.h"
#include "tests/unit/decide_world.h"

#define TWINS_ROUNDS 300
#define ACTS_MAX 8

static struct device boss;

static int set_up(void **state)
{
    (void)setup_world(state);
    struct world *world = *state;
    make_user(world, &boss, "boss", "manager", NULL);
    boss.author.scope = world->office.author.scope;
    return 0;
}

/* Keeps what was given for a field, as the decider does while it does not know that. */
static void keep(struct world *world, int entity, const struct id *record,
                 const struct srv_given *given)
{
    bool alone = !world->held;
    if (alone) {
        hold_transaction(world);
    }
    assert_int_equal(
        srv_store_add_given(world->store, world->org.org, dk_entity(entity), record, given),
        DAYBOOK_OK);
    if (alone) {
        let_go(world);
    }
}

/* The same of this device's user, for a text. */
static void give(struct world *world, int entity, const struct id *record, const char *name,
                 const struct device *device, struct stamp stamp, int64_t seen, const char *text)
{
    char raw[80];
    (void)snprintf(raw, sizeof raw, "\"%s\"", text);
    struct srv_given given = {.name = name,
                              .name_length = strlen(name),
                              .value = raw,
                              .value_length = strlen(raw),
                              .stamp = stamp,
                              .seen = seen,
                              .user = device->author.account.user,
                              .roles = dk_machine_roles(device->author.account.role),
                              .changeset = new_id(world)};
    keep(world, entity, record, &given);
}

/* The server converts one record, and has nothing left to judge of it. */
static struct verdict convert(struct world *world, int entity, const struct id *record)
{
    struct verdict verdict;
    struct srv_given *rows;
    int count;
    struct change change = {.op = BLOCK_SET,
                            .entity = dk_entity(entity),
                            .id = *record,
                            .seen = version_of(world, entity, record)};
    struct decide_input input = {.changeset = {.id = new_id(world),
                                               .seq = world->server.author.decided + 1,
                                               .epoch = srv_store_epoch(world->store),
                                               .time = (hlc)world->now_ms << 16,
                                               .schema = SCHEMA_VERSION,
                                               .change_count = 1,
                                               .changes = &change},
                                 .converts = true};
    assert_int_equal(decide_input(world, &world->server, &input, &verdict), DECIDE_VERDICT);
    assert_int_equal(srv_store_given(world->store, world->org.org, dk_entity(entity), record,
                                     &world->arena, &rows, &count),
                     DAYBOOK_OK);
    assert_int_equal(count, 0);
    return verdict;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void append_value(char *out, size_t size, const struct value *value)
{
    int length = value->kind == VALUE_TEXT ? (int)value->length : 0;
    (void)snprintf(out + strlen(out), size - strlen(out), "%.*s|", length,
                   length > 0 ? value->text : "");
}

/* The proposals about a record, each as "base|proposed|status|device", sorted. */
static const char *proposals(struct world *world, const struct id *record)
{
    struct srv_record *rows;
    int count;
    const struct id none = {{0}};
    static char lines[ACTS_MAX][200], all[sizeof lines];
    assert_int_equal(srv_store_related(world->store, world->org.org, dk_entity(ENTITY_PROPOSAL),
                                       PROPOSAL_RECORD, record, &none, ACTS_MAX, false,
                                       &world->arena, &rows, &count),
                     DAYBOOK_OK);
    for (int i = 0; i < count; i++) {
        const struct value *values = rows[i].record.values;
        char *line = lines[i];
        line[0] = '\0';
        append_value(line, sizeof lines[0], &values[PROPOSAL_BASE]);
        append_value(line, sizeof lines[0], &values[PROPOSAL_PROPOSED]);
        append_value(line, sizeof lines[0], &values[PROPOSAL_STATUS]);
        (void)snprintf(line + strlen(line), 20, "%lld ",
                       (long long)values[PROPOSAL_DEVICE].integer);
    }
    qsort(lines, (size_t)count, sizeof lines[0], compare_texts);
    all[0] = '\0';
    for (int i = 0; i < count; i++) {
        (void)snprintf(all + strlen(all), sizeof all - strlen(all), "%s", lines[i]);
    }
    return dk_arena_copy(&world->arena, all, strlen(all));
}

/* A number below `below` out of a small generator, so that a failure repeats. */
static int pick(uint64_t *random, int below)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int)((*random >> 33) % (uint64_t)below);
}

/* ---- twins: one has the field while things are done to it, the other gets them afterwards */

struct twins {
    int entity, field;
    const char *name;
    struct id known, later;
    int64_t made;
    int64_t positions[ACTS_MAX + 1]; /* that somebody may have seen */
    int count;
};

/* One act on the record that is known; what was accepted is kept for the other. */
static void act(struct world *world, struct twins *twins, struct device *device, uint64_t *random,
                const char *text)
{
    int64_t seen = twins->positions[pick(random, twins->count)];
    int64_t time_ms = world->now_ms - 1000 + pick(random, 1000);
    edit_record(world, twins->entity, &twins->known, seen);
    put_text(world, twins->field, text);
    world->hlc_ms = time_ms;
    struct verdict verdict = send_changeset(world, device);
    if (verdict.position == 0) {
        assert_int_equal(verdict.code, REJECT_TRANSITION);
        return;
    }
    struct stamp stamp = {verdict.position, (hlc)time_ms << 16, device->author.device_no};
    give(world, twins->entity, &twins->later, twins->name, device, stamp, seen, text);
    twins->positions[twins->count++] = verdict.position;
}

static void make_twins(struct world *world, struct twins *twins)
{
    struct id customer = {{0}};
    if (twins->entity == ENTITY_OPPORTUNITY) {
        customer = make_customer(world, &world->li, "shop");
    }
    for (int i = 0; i < 2; i++) {
        struct id id = make_record(world, twins->entity);
        if (twins->entity == ENTITY_OPPORTUNITY) {
            put_id(world, OPPORTUNITY_CUSTOMER_ID, &customer);
            put_text(world, OPPORTUNITY_SUBJECT, "deal");
            put_text(world, OPPORTUNITY_LOST_REASON, "price");
        } else {
            put_text(world, CUSTOMER_NAME, "C");
        }
        *(i == 0 ? &twins->known : &twins->later) = id;
    }
    twins->made = accept(world, &world->li);
    twins->positions[0] = twins->made;
    twins->count = 1;
}

/* Given what reps, a manager and the office said of a field, each having seen whatever, when it is
 * judged afterwards, then value and proposals are those of a record whose field was known. */
static void test_decide_given__values_end_as_if_the_field_had_been_known(void **state)
{
    static const char *const texts[] = {"1", "2", "3"};
    struct world *world = *state;
    struct device *const devices[] = {&world->li, &world->wang, &boss, &world->office};
    for (uint64_t round = 1; round <= TWINS_ROUNDS; round++) {
        struct twins twins = {
            .entity = ENTITY_CUSTOMER, .field = CUSTOMER_TAX_NO, .name = "tax_no"};
        uint64_t random = round;
        hold_transaction(world);
        make_twins(world, &twins);
        for (int acts = 2 + pick(&random, ACTS_MAX - 2); acts > 0; acts--) {
            act(world, &twins, devices[pick(&random, 4)], &random, texts[pick(&random, 3)]);
        }
        (void)convert(world, twins.entity, &twins.later);
        let_go(world);
        struct value known = value_of(world, twins.entity, &twins.known, twins.field);
        struct value later = value_of(world, twins.entity, &twins.later, twins.field);
        if (!dk_value_equal(&known, &later) ||
            strcmp(proposals(world, &twins.known), proposals(world, &twins.later)) != 0) {
            fail_msg("round %d: known \"%.*s\" %s\nlater \"%.*s\" %s", (int)round,
                     (int)known.length, known.text, proposals(world, &twins.known),
                     (int)later.length, later.text, proposals(world, &twins.later));
        }
    }
}

/* The same of a state: the register is that of a record whose machine was known. */
static void test_decide_given__states_end_as_if_the_machine_had_been_known(void **state)
{
    static const char *const texts[] = {"tracking", "suspended", "invalid", "lost", "won"};
    struct world *world = *state;
    struct device *const devices[] = {&world->li, &world->wang, &boss};
    for (uint64_t round = 1; round <= TWINS_ROUNDS; round++) {
        struct twins twins = {
            .entity = ENTITY_OPPORTUNITY, .field = OPPORTUNITY_STATUS, .name = "status"};
        struct srv_record known, later;
        uint64_t random = round;
        hold_transaction(world);
        make_twins(world, &twins);
        for (int acts = 2 + pick(&random, ACTS_MAX - 2); acts > 0; acts--) {
            act(world, &twins, devices[pick(&random, 3)], &random, texts[pick(&random, 5)]);
        }
        (void)convert(world, twins.entity, &twins.later);
        let_go(world);
        assert_true(read_row(world, twins.entity, &twins.known, &known));
        assert_true(read_row(world, twins.entity, &twins.later, &later));
        struct state_view a = dk_state_value(known.state_ops, known.state_op_count);
        struct state_view b = dk_state_value(later.state_ops, later.state_op_count);
        bool same =
            dk_value_equal(&known.record.values[twins.field], &later.record.values[twins.field]) &&
            (known.state_op_count == 0 || (a.epoch == b.epoch && a.rank == b.rank));
        if (!same) {
            fail_msg("round %d: known %d in epoch %d, later %d in epoch %d", (int)round, a.rank,
                     a.epoch, b.rank, b.epoch);
        }
    }
}

/* ---- what is not known, and what is not right */

/* A customer of li's, whose tax number the record has by LATEST though it is not known. */
static struct id make_guessed(struct world *world, int64_t *made)
{
    struct id id = make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_NAME, "C");
    put_text(world, CUSTOMER_TAX_NO, "2");
    *made = accept(world, &world->li);
    return id;
}

/* Given a value of which nobody knows who gave it after the record was made, then the record does
 * not have it, and it is a proposal of nobody's; what came with the record stands. */
static void test_decide_given__of_an_unknown_author_a_proposal_is_made(void **state)
{
    struct world *world = *state;
    int64_t made;
    for (int with = 0; with < 2; with++) {
        struct id id = make_guessed(world, &made);
        struct srv_given given = {.name = "tax_no",
                                  .name_length = 6,
                                  .value = "\"2\"",
                                  .value_length = 3,
                                  .stamp = {made + (with == 0), 1, 77},
                                  .makes = with == 1};
        keep(world, ENTITY_CUSTOMER, &id, &given);
        int64_t converted = convert(world, ENTITY_CUSTOMER, &id).position;
        expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_TAX_NO, with == 1 ? "2" : NULL);
        assert_string_equal(proposals(world, &id), with == 1 ? "" : "|\"2\"|open|77 ");
        const char *page = pull_all(world, &world->wang, converted - 1);
        assert_int_equal(strstr(page, "tax_no") != NULL, with == 0);
    }
}

/* Given values of the manager's and the office's that had not seen each other, with a rep's between
 * them, then which of the two lost is noted where the server saw only the rep's; not once more
 * where the rep had said what stood, for then it was noted when the office's came. */
static void test_decide_given__what_lost_unseen_is_noted_once(void **state)
{
    static const char *const reps[] = {"6", "5"};
    struct world *world = *state;
    for (int i = 0; i < 2; i++) {
        int64_t made;
        struct id id = make_guessed(world, &made);
        const struct stamp first = {made + 1, 10 << 16, boss.author.device_no};
        const struct stamp second = {made + 2, 20 << 16, world->li.author.device_no};
        const struct stamp third = {made + 3, 30 << 16, world->office.author.device_no};
        world->org.head = made + 3;
        give(world, ENTITY_CUSTOMER, &id, "tax_no", &boss, first, made, "5");
        give(world, ENTITY_CUSTOMER, &id, "tax_no", &world->li, second, made + 1, reps[i]);
        give(world, ENTITY_CUSTOMER, &id, "tax_no", &world->office, third, made, "7");
        int64_t converted = convert(world, ENTITY_CUSTOMER, &id).position;
        expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_TAX_NO, "7");
        const char *page = pull_all(world, &world->wang, converted - 1);
        if (i == 0) {
            expect_in(page, "\"\\\"7\\\"\",\"\\\"5\\\"\"");
        } else {
            expect_not_in(page, "\"field_conflict\"");
        }
    }
}

/* Given a step that the machine does not have, or that is not its author's to take, then the state
 * stands, and what was wanted is in the conflict log. */
static void test_decide_given__a_step_that_is_none_is_noted(void **state)
{
    struct world *world = *state;
    struct twins twins = {.entity = ENTITY_OPPORTUNITY, .field = OPPORTUNITY_STATUS};
    make_twins(world, &twins);
    const struct stamp won = {twins.made + 1, 10 << 16, world->li.author.device_no};
    const struct stamp back = {twins.made + 2, 20 << 16, world->li.author.device_no};
    world->org.head = twins.made + 2;
    give(world, twins.entity, &twins.later, "status", &world->li, won, twins.made, "won");
    give(world, twins.entity, &twins.later, "status", &world->li, back, twins.made + 1, "tracking");
    int64_t converted = convert(world, twins.entity, &twins.later).position;
    expect_text(world, twins.entity, &twins.later, OPPORTUNITY_STATUS, "won");
    const char *page = pull_all(world, &world->wang, converted - 1);
    expect_in(page, "\"\\\"won\\\"\",\"\\\"tracking\\\"\"");
    expect_in(page, "\"REQUIRED\""); /* what follows from the step does */
}

/* Given what a stranger sent for fields that are the server's or derived, then all are told that
 * they have no value. */
static void test_decide_given__what_is_nobodys_is_told_to_be_gone(void **state)
{
    struct world *world = *state;
    int64_t made;
    struct id id = make_guessed(world, &made);
    const struct stamp stamp = {made, 1, world->li.author.device_no};
    give(world, ENTITY_CUSTOMER, &id, "health", &world->li, stamp, made, "x");
    give(world, ENTITY_CUSTOMER, &id, "norm_name", &world->li, stamp, made, "x");
    int64_t converted = convert(world, ENTITY_CUSTOMER, &id).position;
    const char *page = pull_all(world, &world->wang, converted - 1);
    expect_in(page, "\"health\"");
    expect_in(page, "\"norm_name\"");
    expect_in(page, "null,null");
    expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_NORM_NAME, "c");
}

int main(void)
{
#define GIVEN_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, teardown_world)
    const struct CMUnitTest tests[] = {
        GIVEN_TEST(test_decide_given__values_end_as_if_the_field_had_been_known),
        GIVEN_TEST(test_decide_given__states_end_as_if_the_machine_had_been_known),
        GIVEN_TEST(test_decide_given__of_an_unknown_author_a_proposal_is_made),
        GIVEN_TEST(test_decide_given__what_lost_unseen_is_noted_once),
        GIVEN_TEST(test_decide_given__a_step_that_is_none_is_noted),
        GIVEN_TEST(test_decide_given__what_is_nobodys_is_told_to_be_gone),
    };
    return cmocka_run_group_tests_name("decide_given", tests, NULL, NULL);
}
