/* SPDX-License-Identifier: Apache-2.0
 *
 * STATE fields in the decider: steps by role and from what their author saw; races that end the
 * same in all orders of arrival, from a table and at random; what loses is noted; requests.
 */
#include "tests/unit/paper_world.h"

#include "engine/sales/machines.h"

enum { LI, WANG, BOSS, OFFICE, SERVER, PEOPLE };

static struct device boss;

static int set_up(void **state)
{
    (void)setup_world(state);
    struct world *world = *state;
    make_user(world, &boss, "boss", "manager", NULL);
    boss.author.scope = world->office.author.scope; /* sees the east too */
    return 0;
}

static struct device *person(struct world *world, int who)
{
    struct device *people[PEOPLE] = {&world->li, &world->wang, &boss, &world->office,
                                     &world->server};
    return people[who];
}

static int status_field(int entity)
{
    return dk_machine_field(dk_entity(entity));
}

/* The change's step; a lost opportunity says why. */
static void put_state(struct world *world, int entity, const char *to)
{
    put_text(world, status_field(entity), to);
    if (strcmp(to, "lost") == 0) {
        put_text(world, OPPORTUNITY_LOST_REASON, "price");
    }
}

/* A record in its first state, made by li and brought to `start` by the server. */
static struct id make_subject(struct world *world, int entity, const char *start)
{
    struct id customer = make_customer(world, &world->li, "shop");
    struct id id = make_record(world, entity);
    switch (entity) {
    case ENTITY_OPPORTUNITY:
        put_id(world, OPPORTUNITY_CUSTOMER_ID, &customer);
        put_text(world, OPPORTUNITY_SUBJECT, "deal");
        break;
    case ENTITY_VISIT: put_id(world, VISIT_CUSTOMER_ID, &customer); break;
    case ENTITY_QUOTE:
        put_id(world, QUOTE_CUSTOMER_ID, &customer);
        put_text(world, QUOTE_CUR, "CNY");
        break;
    default:
        put_id(world, SALES_ORDER_CUSTOMER_ID, &customer);
        put_text(world, SALES_ORDER_CUR, "CNY");
        break;
    }
    (void)accept(world, &world->li);
    if (start != NULL) {
        edit_record(world, entity, &id, world->org.head);
        put_state(world, entity, start);
        (void)accept(world, &world->server);
    }
    return id;
}

/* How many conflict entries behind a position say that this state lost: the value behind another.
 */
static int count_lost(struct world *world, int64_t after, const char *lost)
{
    char text[60];
    int count = 0;
    (void)snprintf(text, sizeof text, "\\\"\",\"\\\"%s\\\"\"", lost);
    const char *page = pull_all(world, &world->office, after);
    for (const char *at = strstr(page, text); at != NULL; at = strstr(at + 1, text)) {
        count++;
    }
    return count;
}

/* ---- races that end the same, whoever comes first */

struct race {
    int entity;
    const char *start;
    struct {
        int who;
        const char *to; /* NULL: none */
    } steps[3];
    const char *result;
};

static const struct race races[] = {
    {ENTITY_VISIT, NULL, {{LI, "in_progress"}, {BOSS, "cancelled"}}, "in_progress"},
    {ENTITY_VISIT, NULL, {{LI, "completed"}, {SERVER, "missed"}}, "completed"},
    {ENTITY_VISIT,
     NULL,
     {{LI, "cancelled"}, {SERVER, "missed"}, {WANG, "in_progress"}},
     "in_progress"},
    {ENTITY_VISIT, "in_progress", {{LI, "completed"}, {SERVER, "abandoned"}}, "completed"},
    {ENTITY_VISIT, "completed", {{BOSS, "rejected"}, {OFFICE, "verified"}}, "verified"},
    {ENTITY_OPPORTUNITY, NULL, {{LI, "won"}, {WANG, "lost"}}, "won"},
    {ENTITY_OPPORTUNITY, NULL, {{LI, "lost"}, {BOSS, "invalid"}}, "lost"},
    {ENTITY_OPPORTUNITY, "suspended", {{BOSS, "tracking"}, {LI, "won"}}, "won"},
    {ENTITY_OPPORTUNITY, "suspended", {{BOSS, "tracking"}, {LI, "lost"}}, "lost"},
    {ENTITY_OPPORTUNITY, "suspended", {{BOSS, "tracking"}, {LI, "lost"}, {WANG, "won"}}, "won"},
    {ENTITY_QUOTE, NULL, {{LI, "sent"}, {BOSS, "withdrawn"}}, "sent"},
    {ENTITY_QUOTE, "pending_approval", {{LI, "withdrawn"}, {BOSS, "approved"}}, "withdrawn"},
    {ENTITY_QUOTE, "sent", {{LI, "accepted"}, {WANG, "declined"}}, "accepted"},
    {ENTITY_QUOTE, "sent", {{LI, "accepted"}, {SERVER, "expired"}}, "accepted"},
    {ENTITY_QUOTE,
     "sent",
     {{LI, "declined"}, {SERVER, "superseded"}, {WANG, "accepted"}},
     "accepted"},
    {ENTITY_SALES_ORDER, "submitted", {{OFFICE, "confirmed"}, {BOSS, "cancelled"}}, "cancelled"},
    {ENTITY_SALES_ORDER, "submitted", {{OFFICE, "rejected"}, {BOSS, "cancelled"}}, "cancelled"},
    {ENTITY_SALES_ORDER, "confirmed", {{OFFICE, "picking"}, {BOSS, "cancelled"}}, "cancelled"},
    {ENTITY_SALES_ORDER, "part_shipped", {{OFFICE, "shipped"}, {BOSS, "short_closed"}}, "shipped"},
};
#define RACES (sizeof races / sizeof races[0])

static int step_count(const struct race *race)
{
    int count = 0;
    while (count < 3 && race->steps[count].to != NULL) {
        count++;
    }
    return count;
}

/* The race, once, in this order of arrival. */
static void run_race(struct world *world, const struct race *race, const int order[3])
{
    struct id id = make_subject(world, race->entity, race->start);
    int64_t seen = world->org.head;
    int count = step_count(race);
    for (int i = 0; i < count; i++) {
        int step = order[i];
        struct device *author = person(world, race->steps[step].who);
        edit_record(world, race->entity, &id, seen);
        put_state(world, race->entity, race->steps[step].to);
        struct verdict verdict = send_changeset(world, author);
        if (verdict.kind != VERDICT_ACCEPTED && verdict.kind != VERDICT_MERGED) {
            fail_msg("%s: %s %s", race->steps[step].to, dk_reject_name(verdict.code), verdict.rule);
        }
        assert_int_equal(verdict.kind == VERDICT_MERGED, i > 0);
    }
    expect_text(world, race->entity, &id, status_field(race->entity), race->result);
    for (int i = 0; i < count; i++) {
        /* What was given and does not stand lost once; the winner may have won twice. */
        bool stands = strcmp(race->steps[i].to, race->result) == 0;
        int lost = count_lost(world, seen, race->steps[i].to);
        if (stands ? lost != 0 : lost < (count == 2 ? 1 : 0)) {
            fail_msg("%s, %s: %d entries", race->result, race->steps[i].to, lost);
        }
    }
}

static void test_decide_state__races_end_the_same_in_every_order(void **state)
{
    static const int orders[6][3] = {{0, 1, 2}, {1, 0, 2}, {0, 2, 1},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct world *world = *state;
    for (size_t i = 0; i < RACES; i++) {
        bool three = step_count(&races[i]) == 3;
        for (int order = 0; order < (three ? 6 : 2); order++) {
            run_race(world, &races[i], orders[order]);
        }
    }
}

/* ---- from what the author saw */

static void test_decide_state__step_is_judged_from_what_its_author_saw(void **state)
{
    struct world *world = *state;
    struct id id = make_subject(world, ENTITY_SALES_ORDER, NULL);
    int64_t draft = world->org.head;
    edit_record(world, ENTITY_SALES_ORDER, &id, draft);
    put_state(world, ENTITY_SALES_ORDER, "submitted");
    int64_t submitted = accept(world, &world->li);
    /* The office may confirm what it saw submitted, not what it saw as a draft. */
    edit_record(world, ENTITY_SALES_ORDER, &id, draft);
    put_state(world, ENTITY_SALES_ORDER, "confirmed");
    reject(world, &world->office, REJECT_TRANSITION, "status", "role");
    edit_record(world, ENTITY_SALES_ORDER, &id, submitted);
    put_state(world, ENTITY_SALES_ORDER, "confirmed");
    (void)accept(world, &world->office);
    /* Li knows of her own steps whatever version she names. */
    edit_record(world, ENTITY_SALES_ORDER, &id, draft);
    put_state(world, ENTITY_SALES_ORDER, "draft");
    reject(world, &world->li, REJECT_TRANSITION, "status", "step");
    expect_text(world, ENTITY_SALES_ORDER, &id, SALES_ORDER_STATUS, "confirmed");
}

/* Naming the state that was seen is no step: the present one stands, the author learns it, and what
 * was named is in the conflict log. */
static void test_decide_state__same_state_again_is_no_step(void **state)
{
    struct world *world = *state;
    struct id id = make_subject(world, ENTITY_VISIT, NULL);
    int64_t seen = world->org.head;
    edit_record(world, ENTITY_VISIT, &id, seen);
    put_state(world, ENTITY_VISIT, "in_progress");
    (void)accept(world, &world->li);
    int64_t before = world->org.head;
    edit_record(world, ENTITY_VISIT, &id, seen);
    put_state(world, ENTITY_VISIT, "planned");
    (void)merge(world, &world->wang);
    expect_text(world, ENTITY_VISIT, &id, VISIT_STATUS, "in_progress");
    expect_in(pull_all(world, &world->wang, before), "in_progress");
    assert_int_equal(count_lost(world, before, "planned"), 1);
    /* Two who do the same need no entry. */
    edit_record(world, ENTITY_VISIT, &id, seen);
    put_state(world, ENTITY_VISIT, "in_progress");
    (void)accept(world, &world->wang);
}

static const struct {
    int entity;
    const char *from;
    int who;
    const char *to, *rule;
} illegal[] = {
    {ENTITY_VISIT, NULL, LI, "verified", "role"},
    {ENTITY_VISIT, "completed", LI, "planned", "step"},
    {ENTITY_VISIT, "cancelled", LI, "in_progress", "check_in"},
    {ENTITY_VISIT, "rejected", LI, "completed", "role"},
    {ENTITY_VISIT, NULL, LI, "missed", "role"},
    {ENTITY_OPPORTUNITY, NULL, LI, "invalid", "role"},
    {ENTITY_OPPORTUNITY, "lost", LI, "tracking", "role"},
    {ENTITY_OPPORTUNITY, "lost", LI, "won", "step"},
    {ENTITY_OPPORTUNITY, "won", BOSS, "suspended", "step"},
    {ENTITY_QUOTE, NULL, LI, "approved", "role"},
    {ENTITY_QUOTE, "sent", LI, "draft", "step"},
    {ENTITY_QUOTE, "sent", BOSS, "superseded", "role"},
    {ENTITY_QUOTE, "rejected", LI, "sent", "step"},
    {ENTITY_SALES_ORDER, NULL, LI, "confirmed", "role"},
    {ENTITY_SALES_ORDER, "submitted", LI, "shipped", "van_sale"},
    {ENTITY_SALES_ORDER, "confirmed", LI, "cancelled", "role"},
    {ENTITY_SALES_ORDER, "cancelled", OFFICE, "confirmed", "step"},
    {ENTITY_SALES_ORDER, "cancelled", SERVER, "submitted", "step"},
};

static void test_decide_state__what_the_machine_does_not_have_is_refused(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < sizeof illegal / sizeof illegal[0]; i++) {
        struct id id = make_subject(world, illegal[i].entity, illegal[i].from);
        edit_record(world, illegal[i].entity, &id, world->org.head);
        put_state(world, illegal[i].entity, illegal[i].to);
        reject(world, person(world, illegal[i].who), REJECT_TRANSITION, "status", illegal[i].rule);
    }
    struct id id = make_subject(world, ENTITY_VISIT, NULL);
    edit_record(world, ENTITY_VISIT, &id, world->org.head);
    put_null(world, VISIT_STATUS);
    reject(world, &world->li, REJECT_TRANSITION, "status", "step");
}

static void test_decide_state__record_begins_where_its_maker_can_bring_it(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "shop");
    struct id visit = make_record(world, ENTITY_VISIT);
    put_id(world, VISIT_CUSTOMER_ID, &customer);
    put_text(world, VISIT_STATUS, "completed");
    (void)accept(world, &world->li);
    expect_text(world, ENTITY_VISIT, &visit, VISIT_STATUS, "completed");
    (void)make_record(world, ENTITY_VISIT);
    put_id(world, VISIT_CUSTOMER_ID, &customer);
    put_text(world, VISIT_STATUS, "verified");
    reject(world, &world->li, REJECT_TRANSITION, "status", "role");
    (void)make_record(world, ENTITY_VISIT);
    put_id(world, VISIT_CUSTOMER_ID, &customer);
    put_text(world, VISIT_STATUS, "verified");
    (void)accept(world, &boss);
    (void)make_record(world, ENTITY_SALES_ORDER);
    put_id(world, SALES_ORDER_CUSTOMER_ID, &customer);
    put_text(world, SALES_ORDER_CUR, "CNY");
    put_text(world, SALES_ORDER_STATUS, "closed");
    (void)accept(world, &world->server);
}

/* A check-in of the same change lets a cancelled visit go on. */
static void test_decide_state__need_is_met_by_the_merged_record(void **state)
{
    struct world *world = *state;
    struct id id = make_subject(world, ENTITY_VISIT, "cancelled");
    edit_record(world, ENTITY_VISIT, &id, world->org.head);
    put_state(world, ENTITY_VISIT, "in_progress");
    static const int others[] = {VISIT_CHECKIN_TZ, VISIT_CHECKIN_LAT, VISIT_CHECKIN_LON,
                                 VISIT_CHECKIN_ACC, VISIT_CHECKIN_MOCK};
    put_int(world, VISIT_CHECKIN_TS, WORLD_NOW_MS);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        put_null(world, others[i]);
    }
    (void)accept(world, &world->li);
    expect_text(world, ENTITY_VISIT, &id, VISIT_STATUS, "in_progress");
}

/* ---- requests */

/* The office confirms, the rep, who saw it submitted, cancels: by now only others may, so the rep
 * asks. */
static void test_decide_state__cancel_that_comes_too_late_is_a_request(void **state)
{
    struct world *world = *state;
    struct id id = make_subject(world, ENTITY_SALES_ORDER, "submitted");
    int64_t seen = world->org.head;
    edit_record(world, ENTITY_SALES_ORDER, &id, seen);
    put_state(world, ENTITY_SALES_ORDER, "confirmed");
    int64_t confirmed = accept(world, &world->office);
    edit_record(world, ENTITY_SALES_ORDER, &id, seen);
    put_state(world, ENTITY_SALES_ORDER, "cancelled");
    put_text(world, SALES_ORDER_NOTE, "shop is closing");
    (void)merge(world, &world->li);
    expect_text(world, ENTITY_SALES_ORDER, &id, SALES_ORDER_STATUS, "confirmed");
    /* The content of a confirmed order stands; what the rep wrote is in the conflict log. */
    expect_text(world, ENTITY_SALES_ORDER, &id, SALES_ORDER_NOTE, NULL);
    expect_in(pull_all(world, &world->office, confirmed), "shop is closing");
    struct value asked = value_of(world, ENTITY_SALES_ORDER, &id, SALES_ORDER_CANCEL_REQ);
    char user[ID_TEXT_SIZE], changeset[ID_TEXT_SIZE];
    dk_id_to_text(&world->li.author.account.user, user);
    dk_id_to_text(&world->last_changeset, changeset);
    assert_int_equal(asked.kind, VALUE_TEXT);
    const char *text = dk_arena_copy(&world->arena, asked.text, asked.length);
    expect_in(text, user);
    expect_in(text, changeset);
    /* Li's own device learns both, and what became of its cancel. */
    const char *own = pull_all(world, &world->li, confirmed);
    expect_in(own, "\"confirmed\"");
    expect_in(own, user);
    assert_int_equal(count_lost(world, confirmed, "cancelled"), 1);
    /* The manager grants it. */
    edit_record(world, ENTITY_SALES_ORDER, &id, world->org.head);
    put_state(world, ENTITY_SALES_ORDER, "cancelled");
    (void)accept(world, &boss);
    expect_text(world, ENTITY_SALES_ORDER, &id, SALES_ORDER_STATUS, "cancelled");
}

/* The rep's cancel comes first: then the office confirms what is cancelled, and loses. */
static void test_decide_state__cancel_in_time_stands(void **state)
{
    struct world *world = *state;
    struct id id = make_subject(world, ENTITY_SALES_ORDER, "submitted");
    int64_t seen = world->org.head;
    edit_record(world, ENTITY_SALES_ORDER, &id, seen);
    put_state(world, ENTITY_SALES_ORDER, "cancelled");
    (void)accept(world, &world->li);
    edit_record(world, ENTITY_SALES_ORDER, &id, seen);
    put_state(world, ENTITY_SALES_ORDER, "confirmed");
    (void)merge(world, &world->office);
    expect_text(world, ENTITY_SALES_ORDER, &id, SALES_ORDER_STATUS, "cancelled");
    assert_int_equal(count_lost(world, seen, "confirmed"), 1);
}

/* ---- against a delete */

static void test_decide_state__step_wins_against_a_delete_in_both_orders(void **state)
{
    struct world *world = *state;
    for (int first = 0; first < 2; first++) {
        struct id id = make_subject(world, ENTITY_OPPORTUNITY, NULL);
        int64_t seen = world->org.head;
        for (int i = 0; i < 2; i++) {
            if ((i == 0) == (first == 0)) {
                delete_record(world, ENTITY_OPPORTUNITY, &id, seen);
                struct verdict verdict = send_changeset(world, &world->li);
                assert_int_equal(verdict.kind, i == 0 ? VERDICT_ACCEPTED : VERDICT_MERGED);
            } else {
                edit_record(world, ENTITY_OPPORTUNITY, &id, seen);
                put_state(world, ENTITY_OPPORTUNITY, "won");
                struct verdict verdict = send_changeset(world, &world->wang);
                assert_int_equal(verdict.kind, i == 0 ? VERDICT_ACCEPTED : VERDICT_MERGED);
            }
        }
        assert_true(is_live(world, ENTITY_OPPORTUNITY, &id));
        expect_text(world, ENTITY_OPPORTUNITY, &id, OPPORTUNITY_STATUS, "won");
    }
}

/* A step that lost is somebody's work too: a delete that had seen only the winner does not take the
 * record away. */
static void test_decide_state__step_that_lost_counts_against_a_delete(void **state)
{
    struct world *world = *state;
    struct id id = make_subject(world, ENTITY_OPPORTUNITY, NULL);
    int64_t seen = world->org.head;
    edit_record(world, ENTITY_OPPORTUNITY, &id, seen);
    put_state(world, ENTITY_OPPORTUNITY, "won");
    int64_t won = accept(world, &world->li);
    edit_record(world, ENTITY_OPPORTUNITY, &id, seen);
    put_state(world, ENTITY_OPPORTUNITY, "suspended");
    (void)merge(world, &world->wang);
    delete_record(world, ENTITY_OPPORTUNITY, &id, won);
    (void)merge(world, &boss);
    assert_true(is_live(world, ENTITY_OPPORTUNITY, &id));
}

/* ---- at random, through the decider */

#define HISTORIES 60
#define SHUFFLES 50
#define STEPS 3

/* What each of three devices does, one after the other, all from the same beginning. */
struct history {
    int entity;
    int who[3];
    const char *to[3][STEPS];
};

static uint64_t chance = 88172645463325252U;

static int draw(int bound)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return (int)(chance % (uint64_t)bound);
}

/* Legal chains of steps, by role. */
static void make_history(struct history *history)
{
    static const int entities[] = {ENTITY_VISIT, ENTITY_OPPORTUNITY, ENTITY_QUOTE};
    memset(history, 0, sizeof *history);
    history->entity = entities[draw(3)];
    const struct entity *entity = dk_entity(history->entity);
    const struct field *field = &entity->fields[dk_machine_field(entity)];
    struct record record = {.entity = entity};
    for (int device = 0; device < 3; device++) {
        static const char *const roles[] = {"rep", "rep", "manager"};
        int from = 0;
        history->who[device] = device;
        for (int i = 0; i < STEPS; i++) {
            const char *rule;
            int to = draw(11);
            for (int choice = 0; choice <= to; choice++) {
                to = field->choices[choice] == NULL ? draw(choice) : to;
            }
            if (to != from && dk_machine_step(&record, from, to, dk_machine_roles(roles[device]), 0,
                                              &rule) != MACHINE_REFUSED) {
                history->to[device][i] = field->choices[to];
                from = to;
            }
        }
    }
}

/* Plays the history in a random order of arrival; each device's own order stays. */
static const char *play(struct world *world, const struct history *history)
{
    struct id id = make_subject(world, history->entity, NULL);
    int64_t seen = world->org.head;
    int next[3] = {0, 0, 0};
    for (int left = 3 * STEPS; left > 0;) {
        int device = draw(3);
        if (next[device] == STEPS) {
            continue;
        }
        const char *to = history->to[device][next[device]++];
        left--;
        if (to != NULL) {
            edit_record(world, history->entity, &id, seen);
            put_state(world, history->entity, to);
            struct verdict verdict = send_changeset(world, person(world, history->who[device]));
            assert_true(verdict.kind == VERDICT_ACCEPTED || verdict.kind == VERDICT_MERGED);
        }
    }
    struct value value = value_of(world, history->entity, &id, status_field(history->entity));
    return dk_arena_copy(&world->arena, value.text, value.length);
}

static void test_decide_state__random_histories_end_the_same_in_every_order(void **state)
{
    struct world *world = *state;
    struct history history;
    for (int i = 0; i < HISTORIES; i++) {
        make_history(&history);
        hold_transaction(world);
        const char *result = play(world, &history);
        for (int shuffle = 0; shuffle < SHUFFLES; shuffle++) {
            assert_string_equal(play(world, &history), result);
        }
        let_go(world);
    }
    print_message("%d histories, %d orders each\n", HISTORIES, SHUFFLES + 1);
}

/* Given a deal that one has won, when others who had not seen it step elsewhere, then each entry of
 * the conflict log says whose the state is, and not who stepped last. */
static void test_decide_state__a_note_says_whose_the_state_is(void **state)
{
    static const struct {
        int who;
        const char *to;
    } losers[] = {{BOSS, "invalid"}, {WANG, "lost"}};
    struct world *world = *state;
    struct id id = make_subject(world, ENTITY_OPPORTUNITY, NULL);
    int64_t base = world->org.head;
    edit_record(world, ENTITY_OPPORTUNITY, &id, base);
    put_state(world, ENTITY_OPPORTUNITY, "won");
    (void)accept(world, &world->li);
    for (size_t i = 0; i < sizeof losers / sizeof losers[0]; i++) {
        char entry[80];
        struct device *loser = person(world, losers[i].who);
        int64_t before = world->org.head;
        edit_record(world, ENTITY_OPPORTUNITY, &id, base);
        put_state(world, ENTITY_OPPORTUNITY, losers[i].to);
        (void)merge(world, loser);
        (void)snprintf(entry, sizeof entry, "\"\\\"won\\\"\",\"\\\"%s\\\"\",%u,%u,", losers[i].to,
                       world->li.author.device_no, loser->author.device_no);
        expect_in(pull_all(world, &world->office, before), entry);
    }
}

/* Given a deal that was brought to a state again after it was opened again, or won after somebody
 * opened it again in vain, when a step comes that has no effect, then it lost to whose the state
 * is. */
static void test_decide_state__a_note_of_a_deal_opened_again(void **state)
{
    struct world *world = *state;
    static struct device zhao;
    make_user(world, &zhao, "zhao", "rep", NULL);
    zhao.author.scope = world->li.author.scope;
    const struct {
        struct device *who;
        const char *to;
        bool saw_all;
    } stories[][5] = {{{&boss, "won", false},
                       {&boss, "tracking", true},
                       {&world->li, "won", true},
                       {&world->wang, "won", false},
                       {&zhao, "lost", false}},
                      {{&boss, "invalid", false},
                       {&boss, "tracking", true},
                       {&world->li, "won", true},
                       {&world->wang, "lost", false},
                       {&zhao, "lost", false}}};
    for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++) {
        struct id id = make_subject(world, ENTITY_OPPORTUNITY, NULL);
        int64_t base = world->org.head;
        char entry[80];
        for (int n = 0; n < 5; n++) {
            edit_record(world, ENTITY_OPPORTUNITY, &id,
                        stories[i][n].saw_all ? world->org.head : base);
            put_state(world, ENTITY_OPPORTUNITY, stories[i][n].to);
            assert_true(send_changeset(world, stories[i][n].who).position > 0);
        }
        (void)snprintf(entry, sizeof entry, "\"\\\"won\\\"\",\"\\\"lost\\\"\",%u,%u,",
                       world->li.author.device_no, zhao.author.device_no);
        expect_in(pull_all(world, &world->office, world->org.head - 1), entry);
    }
}

/* Given a record from before its machine, when its first state is said, then it has that. */
static void test_decide_state__a_state_that_is_missing_can_be_said(void **state)
{
    struct world *world = *state;
    struct id deal = make_subject(world, ENTITY_OPPORTUNITY, "tracking");
    take_value(world, ENTITY_OPPORTUNITY, &deal, OPPORTUNITY_STATUS);
    edit_record(world, ENTITY_OPPORTUNITY, &deal, world->org.head);
    put_state(world, ENTITY_OPPORTUNITY, "tracking");
    (void)accept(world, &world->li);
    expect_text(world, ENTITY_OPPORTUNITY, &deal, OPPORTUNITY_STATUS, "tracking");
}

int main(void)
{
#define STATE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, teardown_world)
    const struct CMUnitTest tests[] = {
        STATE_TEST(test_decide_state__races_end_the_same_in_every_order),
        STATE_TEST(test_decide_state__step_is_judged_from_what_its_author_saw),
        STATE_TEST(test_decide_state__same_state_again_is_no_step),
        STATE_TEST(test_decide_state__what_the_machine_does_not_have_is_refused),
        STATE_TEST(test_decide_state__record_begins_where_its_maker_can_bring_it),
        STATE_TEST(test_decide_state__need_is_met_by_the_merged_record),
        STATE_TEST(test_decide_state__cancel_that_comes_too_late_is_a_request),
        STATE_TEST(test_decide_state__cancel_in_time_stands),
        STATE_TEST(test_decide_state__step_wins_against_a_delete_in_both_orders),
        STATE_TEST(test_decide_state__step_that_lost_counts_against_a_delete),
        STATE_TEST(test_decide_state__a_note_says_whose_the_state_is),
        STATE_TEST(test_decide_state__a_note_of_a_deal_opened_again),
        STATE_TEST(test_decide_state__a_state_that_is_missing_can_be_said),
        STATE_TEST(test_decide_state__random_histories_end_the_same_in_every_order),
    };
    return cmocka_run_group_tests_name("decide_state", tests, NULL, NULL);
}
