/* SPDX-License-Identifier: Apache-2.0
 *
 * One visit that a rep recorded on several devices, as several records: which are one, what the one
 * that stays has of the others, and that later work on those goes to it; in every order of arrival.
 */
#include "tests/unit/decide_world.h"

#define MINUTE_MS INT64_C(60000)
#define DEVICES 3

static const int orders[][DEVICES] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                      {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
#define ORDERS (sizeof orders / sizeof orders[0])

/* Devices of li. */
struct hands {
    struct device tablet, watch;
    struct device *all[DEVICES];
};

static void give_devices(struct world *world, struct hands *hands)
{
    make_device(world, &hands->tablet, &world->li.author.account.user);
    make_device(world, &hands->watch, &world->li.author.account.user);
    hands->all[0] = &world->li;
    hands->all[1] = &hands->tablet;
    hands->all[2] = &hands->watch;
}

/* Into the changeset being built. */
static struct id add_visit(struct world *world, const struct id *customer, int64_t checkin_ms)
{
    struct id visit = make_record(world, ENTITY_VISIT);
    put_id(world, VISIT_CUSTOMER_ID, customer);
    put_int(world, VISIT_CHECKIN_TS, checkin_ms);
    return visit;
}

static struct id add_action(struct world *world, const struct id *visit, const char *note)
{
    struct id action = make_record(world, ENTITY_VISIT_ACTION);
    put_id(world, VISIT_ACTION_VISIT_ID, visit);
    put_text(world, VISIT_ACTION_KIND, "stock_count");
    put_text(world, VISIT_ACTION_NOTE, note);
    return action;
}

/* `into` zero: nowhere. */
static void expect_reference(struct world *world, int entity, const struct id *id, int field,
                             const struct id *into)
{
    struct value value = value_of(world, entity, id, field);
    assert_int_equal(value.kind, into == NULL ? VALUE_NULL : VALUE_ID);
    if (into != NULL) {
        assert_memory_equal(&value.id, into, sizeof value.id);
    }
}

/* What each of three devices records of one visit: the last one came first and has no more than its
 * check-in. */
static const struct part {
    int64_t checkin_min, checkout_min, stamp_min; /* 0: none */
    const char *feedback, *participants, *outcome, *status, *custom, *note;
} parts[DEVICES] = {
    {5, 30, 41, "sold tea", "[\"Li\"]", NULL, "completed", "{\"door\":\"left\",\"floor\":1}", "p"},
    {9, 45, 46, "sold all", "[\"Wang\"]", "[\"order\"]", "in_progress", "{\"door\":\"right\"}",
     "t"},
    {2, 0, 3, NULL, NULL, NULL, NULL, NULL, "w"},
};

/* A scene of three twins. */
struct scene {
    struct id customer, visits[DEVICES], actions[DEVICES];
    int64_t start_ms;
};

static struct verdict send_part(struct world *world, struct scene *scene, struct hands *hands,
                                int n)
{
    const struct part *part = &parts[n];
    struct id visit =
        add_visit(world, &scene->customer, scene->start_ms + part->checkin_min * MINUTE_MS);
    const struct {
        int field;
        const char *text;
    } texts[] = {{VISIT_FEEDBACK, part->feedback},
                 {VISIT_PARTICIPANTS, part->participants},
                 {VISIT_OUTCOME, part->outcome},
                 {VISIT_STATUS, part->status},
                 {FIELD_CUSTOM, part->custom}};
    put_int(world, VISIT_CHECKIN_TZ, n);
    if (part->checkout_min > 0) {
        put_int(world, VISIT_CHECKOUT_TS, scene->start_ms + part->checkout_min * MINUTE_MS);
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].text != NULL) {
            put_text(world, texts[i].field, texts[i].text);
        }
    }
    scene->visits[n] = visit;
    scene->actions[n] = add_action(world, &visit, part->note);
    world->hlc_ms = scene->start_ms + part->stamp_min * MINUTE_MS;
    return send_changeset(world, hands->all[n]);
}

/* The one visit, as everybody is sent it. */
static void check_scene(struct world *world, const struct scene *scene, int64_t before)
{
    const struct id *stays = &scene->visits[2];
    expect_int(world, ENTITY_VISIT, stays, VISIT_CHECKIN_TS,
               scene->start_ms + parts[2].checkin_min * MINUTE_MS);
    expect_int(world, ENTITY_VISIT, stays, VISIT_CHECKIN_TZ, 2);
    expect_int(world, ENTITY_VISIT, stays, VISIT_CHECKOUT_TS,
               scene->start_ms + parts[1].checkout_min * MINUTE_MS);
    expect_text(world, ENTITY_VISIT, stays, VISIT_FEEDBACK, "sold all");
    expect_text(world, ENTITY_VISIT, stays, VISIT_PARTICIPANTS, "[\"Li\",\"Wang\"]");
    expect_text(world, ENTITY_VISIT, stays, VISIT_OUTCOME, "[\"order\"]");
    expect_text(world, ENTITY_VISIT, stays, VISIT_STATUS, "completed");
    expect_text(world, ENTITY_VISIT, stays, FIELD_CUSTOM, "{\"door\":\"right\",\"floor\":1}");
    expect_reference(world, ENTITY_VISIT, stays, VISIT_REDIRECT_TO, NULL);
    const char *page = pull_all(world, &world->wang, before);
    for (int n = 0; n < DEVICES; n++) {
        expect_reference(world, ENTITY_VISIT_ACTION, &scene->actions[n], VISIT_ACTION_VISIT_ID,
                         stays);
        if (n != 2) {
            char checkin[32];
            expect_reference(world, ENTITY_VISIT, &scene->visits[n], VISIT_REDIRECT_TO, stays);
            (void)snprintf(checkin, sizeof checkin, "\"%lld\"",
                           (long long)(scene->start_ms + parts[n].checkin_min * MINUTE_MS));
            expect_in(page, "\"checkin_ts\"");
            expect_in(page, checkin);
        }
    }
    expect_in(page, "\"\\\"sold tea\\\"\"");
    expect_in(page, "\"status\",\"\\\"completed\\\"\",\"\\\"in_progress\\\"\"");
    expect_in(page, "\"custom.door\",\"\\\"right\\\"\",\"\\\"left\\\"\"");
}

/* Given one visit on three devices of a rep, when they come in each order, then there is one visit:
 * the earliest check-in and the latest check-out, sets united, of texts the later one, all actions;
 * what loses is kept. Whoever sends a record that goes is told. */
static void test_decide_twins__become_one_in_any_order(void **state)
{
    struct world *world = *state;
    struct hands hands;
    give_devices(world, &hands);
    for (size_t order = 0; order < ORDERS; order++) {
        struct scene scene = {.customer = make_customer(world, &world->li, "shop"),
                              .start_ms = world->now_ms - 100 * MINUTE_MS};
        int64_t before = world->org.head;
        bool first_came = false;
        for (int i = 0; i < DEVICES; i++) {
            int n = orders[order][i];
            struct verdict verdict = send_part(world, &scene, &hands, n);
            assert_int_equal(verdict.kind, i == 0 ? VERDICT_ACCEPTED : VERDICT_MERGED);
            first_came = first_came || n == 2;
            bool goes = i > 0 && n != 2 && (first_came || n == 1);
            assert_int_equal(verdict.remapped, goes);
            if (goes) {
                assert_memory_equal(&verdict.record, &scene.visits[n], sizeof verdict.record);
            }
        }
        check_scene(world, &scene, before);
    }
}

/* Given check-ins of which each is close to the next, and the last not to the first, when they come
 * in each order, then they are one visit all the same. */
static void test_decide_twins__a_chain_is_one_in_any_order(void **state)
{
    struct world *world = *state;
    struct hands hands;
    give_devices(world, &hands);
    for (size_t order = 0; order < ORDERS; order++) {
        struct id customer = make_customer(world, &world->li, "shop"), visits[DEVICES];
        for (int i = 0; i < DEVICES; i++) {
            int n = orders[order][i];
            visits[n] = add_visit(world, &customer, world->now_ms - (400 - 90 * n) * MINUTE_MS);
            (void)send_changeset(world, hands.all[n]);
        }
        for (int n = 0; n < DEVICES; n++) {
            expect_reference(world, ENTITY_VISIT, &visits[n], VISIT_REDIRECT_TO,
                             n == 0 ? NULL : &visits[0]);
        }
    }
}

/* Given a visit on a phone and on a tablet, when the tablet goes on with its own before or after
 * the phone's comes, not knowing of that, then all of it is the phone's visit's. */
static void test_decide_twins__later_work_goes_along(void **state)
{
    struct world *world = *state;
    struct hands hands;
    give_devices(world, &hands);
    for (int order = 0; order < 3; order++) {
        struct id customer = make_customer(world, &world->li, "shop");
        int64_t start_ms = world->now_ms - 60 * MINUTE_MS;
        struct id mine, action, twin = add_visit(world, &customer, start_ms + 5 * MINUTE_MS);
        put_text(world, VISIT_FEEDBACK, "first");
        put_text(world, VISIT_STATUS, "in_progress");
        int64_t seen = accept(world, &hands.tablet);
        for (int step = 0; step < 3; step++) {
            if (step == order) {
                mine = add_visit(world, &customer, start_ms);
                put_text(world, VISIT_FEEDBACK, "phone");
                put_text(world, VISIT_STATUS, "in_progress");
                world->hlc_ms = start_ms;
                (void)merge(world, &world->li);
                continue;
            }
            bool again = step == 2 || (step == 1 && order == 2);
            edit_record(world, ENTITY_VISIT, &twin, seen);
            put_text(world, VISIT_STATUS, again ? "completed" : "abandoned");
            put_text(world, VISIT_FEEDBACK, again ? "last" : "then");
            if (again) {
                action = add_action(world, &twin, "counted");
            }
            struct verdict verdict = send_changeset(world, &hands.tablet);
            assert_int_not_equal(verdict.kind, VERDICT_REJECTED);
            assert_int_equal(verdict.remapped, step > order);
        }
        expect_reference(world, ENTITY_VISIT, &twin, VISIT_REDIRECT_TO, &mine);
        expect_text(world, ENTITY_VISIT, &mine, VISIT_FEEDBACK, "last");
        expect_text(world, ENTITY_VISIT, &mine, VISIT_STATUS, "completed");
        expect_reference(world, ENTITY_VISIT_ACTION, &action, VISIT_ACTION_VISIT_ID, &mine);
    }
}

enum unlike { TWINS, PLANNED, OTHER_REP, SAME_DEVICE, FAR, CALLED_OFF, DOUBTFUL, GONE };

/* One that is unlike the other in one way; whichever comes first. */
static void put_unlike(struct world *world, const struct id *customer, enum unlike unlike,
                       struct hands *hands, struct id *visit)
{
    int64_t checkin_ms = world->now_ms - (unlike == FAR ? 160 : 40) * MINUTE_MS;
    checkin_ms = unlike == DOUBTFUL ? world->now_ms + 30 * MINUTE_MS : checkin_ms;
    *visit = add_visit(world, customer, checkin_ms);
    if (unlike == PLANNED) {
        put_int(world, VISIT_PLAN_DAY, 20261126);
    }
    if (unlike == CALLED_OFF) {
        put_text(world, VISIT_STATUS, "cancelled");
    }
    (void)send_changeset(world, unlike == OTHER_REP     ? &world->wang
                                : unlike == SAME_DEVICE ? &world->li
                                                        : &hands->tablet);
    if (unlike == GONE) {
        delete_record(world, ENTITY_VISIT, visit, world->org.head);
        (void)accept(world, &hands->tablet);
    }
}

/* Given two visits, when one was planned, or is another rep's, of the same device, two hours later,
 * called off, of a doubtful clock, or deleted, then they stay two, whichever comes first;
 * without any of that they are one. */
static void test_decide_twins__others_stay_two(void **state)
{
    struct world *world = *state;
    struct hands hands;
    give_devices(world, &hands);
    for (int unlike = TWINS; unlike <= GONE; unlike++) {
        for (int first = 0; first < 2; first++) {
            struct id customer = make_customer(world, &world->li, "shop"), visit, other;
            if (first == 0) {
                put_unlike(world, &customer, (enum unlike)unlike, &hands, &other);
            }
            visit = add_visit(world, &customer, world->now_ms - 39 * MINUTE_MS);
            put_text(world, VISIT_STATUS, "in_progress");
            struct verdict verdict = send_changeset(world, &world->li);
            assert_int_equal(verdict.kind,
                             unlike == TWINS && first == 0 ? VERDICT_MERGED : VERDICT_ACCEPTED);
            if (first == 1 && unlike != GONE) {
                put_unlike(world, &customer, (enum unlike)unlike, &hands, &other);
            }
            expect_reference(world, ENTITY_VISIT, &visit, VISIT_REDIRECT_TO,
                             unlike == TWINS ? &other : NULL);
        }
    }
}

/* Given two visits that became one, when the rep deletes the one that stays without having seen
 * that, then it stays. */
static void test_decide_twins__a_delete_that_saw_one_loses(void **state)
{
    struct world *world = *state;
    struct hands hands;
    give_devices(world, &hands);
    struct id customer = make_customer(world, &world->li, "shop");
    struct id stays = add_visit(world, &customer, world->now_ms - 40 * MINUTE_MS);
    int64_t seen = accept(world, &world->li);
    struct id goes = add_visit(world, &customer, world->now_ms - 30 * MINUTE_MS);
    struct id action = add_action(world, &goes, "counted");
    (void)merge(world, &hands.tablet);
    delete_record(world, ENTITY_VISIT, &stays, seen);
    (void)merge(world, &world->li);
    assert_true(is_live(world, ENTITY_VISIT, &stays));
    assert_true(is_live(world, ENTITY_VISIT_ACTION, &action));
}

/* Given two visits that became one, when the rep deletes the one that went, and its device goes on
 * with it, not knowing, then that goes to the one that stays, and nobody gets the other one back.
 */
static void test_decide_twins__what_is_deleted_stays_deleted(void **state)
{
    struct world *world = *state;
    struct hands hands;
    give_devices(world, &hands);
    struct id customer = make_customer(world, &world->li, "shop");
    struct id goes = add_visit(world, &customer, world->now_ms - 30 * MINUTE_MS);
    int64_t seen = accept(world, &hands.tablet);
    struct id stays = add_visit(world, &customer, world->now_ms - 40 * MINUTE_MS);
    (void)merge(world, &world->li);
    delete_record(world, ENTITY_VISIT, &goes, world->org.head);
    int64_t before = accept(world, &world->li);
    edit_record(world, ENTITY_VISIT, &goes, seen);
    put_text(world, VISIT_FEEDBACK, "wants tea");
    assert_true(send_changeset(world, &hands.tablet).remapped);
    expect_text(world, ENTITY_VISIT, &stays, VISIT_FEEDBACK, "wants tea");
    assert_false(is_live(world, ENTITY_VISIT, &goes));
    /* its author's device, which would take the change for a revival, is told once more */
    char deleted[100];
    (void)snprintf(deleted, sizeof deleted,
                   "{\"entity\":\"visit\",\"op\":\"delete\",\"rows\":[[%lld,\"%s\"]]}",
                   (long long)world->org.head, wire(world, &goes));
    expect_in(pull_all(world, &hands.tablet, before), deleted);
}

/* Given two visits that are one, when somebody who has seen the one judges it, before or after the
 * other comes, then the one visit is judged. */
static void test_decide_twins__what_is_judged_in_any_order(void **state)
{
    static const char *const judgements[] = {"verified", "rejected"};
    static const char acts[][4] = {"WVM", "WMV", "VWM"}; /* both made, and the one judged */
    struct world *world = *state;
    struct hands hands;
    give_devices(world, &hands);
    for (int n = 0; n < 12; n++) {
        struct id customer = make_customer(world, &world->li, "shop"), judged, other;
        const char *judgement = judgements[n % 2];
        bool stays = n / 2 % 2 == 0;
        int64_t seen = 0;
        for (const char *act = acts[n / 4]; *act != '\0'; act++) {
            int64_t ago = *act == 'W' ? 40 : stays ? 39 : 41;
            if (*act == 'M') {
                edit_record(world, ENTITY_VISIT, &judged, seen);
                put_text(world, VISIT_STATUS, judgement);
                assert_int_not_equal(send_changeset(world, &world->office).kind, VERDICT_REJECTED);
                continue;
            }
            struct id visit = add_visit(world, &customer, world->now_ms - ago * MINUTE_MS);
            put_text(world, VISIT_STATUS, "completed");
            (void)send_changeset(world, *act == 'W' ? &world->li : &hands.tablet);
            judged = *act == 'W' ? visit : judged;
            other = *act == 'V' ? visit : other;
            seen = *act == 'W' ? world->org.head : seen;
        }
        const struct id *one = stays ? &judged : &other;
        expect_reference(world, ENTITY_VISIT, stays ? &other : &judged, VISIT_REDIRECT_TO, one);
        expect_text(world, ENTITY_VISIT, one, VISIT_STATUS, judgement);
        expect_reference(world, ENTITY_VISIT, one, VISIT_REDIRECT_TO, NULL);
    }
}

/* Given a plan's visit and an ad hoc one, when the plan is dropped, then they are one. */
static void test_decide_twins__a_plan_that_is_dropped(void **state)
{
    struct world *world = *state;
    struct hands hands;
    give_devices(world, &hands);
    struct id customer = make_customer(world, &world->li, "shop");
    struct id planned = add_visit(world, &customer, world->now_ms - 40 * MINUTE_MS);
    put_int(world, VISIT_PLAN_DAY, 20261126);
    (void)accept(world, &world->li);
    struct id other = add_visit(world, &customer, world->now_ms - 30 * MINUTE_MS);
    (void)accept(world, &hands.tablet);
    edit_record(world, ENTITY_VISIT, &planned, world->org.head);
    put_null(world, VISIT_PLAN_DAY);
    (void)merge(world, &world->li);
    expect_reference(world, ENTITY_VISIT, &other, VISIT_REDIRECT_TO, &planned);
}

/* Each device makes the visit, with or without somebody who took part, then adds them or takes them
 * away; the acts of all devices in the order of `acts`, the n-th of which is that device's next.
 * Returns whether they took part in the one visit. */
static bool run_participants(struct world *world, struct hands *hands, int combination,
                             const int acts[2 * DEVICES])
{
    struct id customer = make_customer(world, &world->wang, "shop"), visits[DEVICES];
    world->now_ms += 1000 * MINUTE_MS; /* a trail of its own */
    int64_t start_ms = world->now_ms - 60 * MINUTE_MS;
    bool made[DEVICES] = {false};
    for (int i = 0; i < 2 * DEVICES; i++) {
        int n = acts[i], what = combination >> 2 * n;
        if (!made[n]) {
            visits[n] = add_visit(world, &customer, start_ms + (n + 1) * MINUTE_MS);
            if ((what & 1) != 0) {
                put_text(world, VISIT_PARTICIPANTS, "[\"Li\"]");
            }
        } else {
            edit_record(world, ENTITY_VISIT, &visits[n], 0); /* before it heard of the others */
            put_text(world, VISIT_PARTICIPANTS,
                     (what & 2) != 0 ? "{\"add\":[\"Li\"]}" : "{\"remove\":[\"Li\"]}");
        }
        world->hlc_ms = start_ms + (n + (made[n] ? 10 : 1)) * MINUTE_MS;
        struct verdict verdict = send_changeset(world, hands->all[n]);
        assert_true(verdict.kind == VERDICT_ACCEPTED || verdict.kind == VERDICT_MERGED);
        made[n] = true;
    }
    return value_of(world, ENTITY_VISIT, &visits[0], VISIT_PARTICIPANTS).kind != VALUE_NULL;
}

/* Given one visit on three devices, on each of which somebody is added to it or taken away, when
 * all that comes in each order, then every order ends the same. */
static void test_decide_twins__sets_join_in_any_order(void **state)
{
    struct world *world = *state;
    static const int in_turn[2 * DEVICES] = {0, 0, 1, 1, 2, 2};
    struct hands hands;
    uint32_t random = 1;
    give_devices(world, &hands);
    hold_transaction(world);
    for (int combination = 0; combination < 64; combination++) {
        bool first = run_participants(world, &hands, combination, in_turn);
        for (int times = 0; times < 30; times++) {
            int acts[2 * DEVICES];
            memcpy(acts, in_turn, sizeof acts);
            for (int i = 2 * DEVICES - 1; i > 0; i--) {
                random = random * 1664525 + 1013904223;
                int other = (int)((random >> 16) % (uint32_t)(i + 1)), act = acts[i];
                acts[i] = acts[other];
                acts[other] = act;
            }
            if (run_participants(world, &hands, combination, acts) != first) {
                fail_msg("combination %d, order %d%d%d%d%d%d: not %d", combination, acts[0],
                         acts[1], acts[2], acts[3], acts[4], acts[5], first);
            }
        }
    }
    let_go(world);
}

/* Who else records a visit of a rep's beside the rep. */
static void check_stranger(struct world *world, struct device *stranger)
{
    for (int order = 0; order < 2; order++) {
        struct id customer = make_customer(world, &world->li, "shop"), visits[2];
        for (int i = 0; i < 2; i++) {
            int n = i ^ order;
            visits[n] = add_visit(world, &customer, world->now_ms - (40 - 5 * n) * MINUTE_MS);
            put_id(world, VISIT_REP_ID, &world->li.author.account.user);
            (void)accept(world, n == 0 ? stranger : &world->li);
        }
        expect_reference(world, ENTITY_VISIT, &visits[0], VISIT_REDIRECT_TO, NULL);
        expect_reference(world, ENTITY_VISIT, &visits[1], VISIT_REDIRECT_TO, NULL);
    }
}

/* Given a visit of a rep with two devices, when another rep, the office or an import records one of
 * that rep's beside it, in either order, then they are two: only what the rep's own devices made
 * becomes one. */
static void test_decide_twins__of_others_stay_two(void **state)
{
    struct world *world = *state;
    struct hands hands;
    give_devices(world, &hands);
    check_stranger(world, &world->wang);
    check_stranger(world, &world->office);
    check_stranger(world, &world->server);
}

/* Given a chain of visits of which two are at another customer, when that turns out to be this one
 * and both move in one changeset, then all are one visit. */
static void test_decide_twins__that_move_together(void **state)
{
    struct world *world = *state;
    struct hands hands;
    give_devices(world, &hands);
    for (size_t order = 0; order < ORDERS; order++) {
        struct id here = make_customer(world, &world->li, "shop"), visits[DEVICES];
        struct id there = make_customer(world, &world->li, "shop, too");
        for (int n = 0; n < DEVICES; n++) {
            visits[n] = add_visit(world, n == orders[order][0] ? &here : &there,
                                  world->now_ms - (400 - 90 * n) * MINUTE_MS);
            (void)send_changeset(world, hands.all[n == 2 ? 0 : n]);
        }
        edit_record(world, ENTITY_CUSTOMER, &there, world->org.head);
        put_id(world, CUSTOMER_REDIRECT_TO, &here);
        (void)send_changeset(world, &world->server);
        for (int i = 1; i < DEVICES; i++) {
            edit_record(world, ENTITY_VISIT, &visits[orders[order][i]], world->org.head);
            put_id(world, VISIT_CUSTOMER_ID, &here);
        }
        (void)merge(world, &world->server);
        for (int n = 0; n < DEVICES; n++) {
            expect_reference(world, ENTITY_VISIT, &visits[n], VISIT_REDIRECT_TO,
                             n == 0 ? NULL : &visits[0]);
        }
    }
}

/* Given a customer with many visits, when as many of another device come in one changeset, then it
 * is decided within a bound that does not hold them all with each other: each is read once. */
static void test_decide_twins__many_at_once(void **state)
{
    enum { VISITS = 400 };
    static struct id visits[2][VISITS];
    struct world *world = *state;
    struct hands hands;
    give_devices(world, &hands);
    struct id customer = make_customer(world, &world->li, "shop");
    int64_t start_ms = world->now_ms - VISITS * 180 * MINUTE_MS;
    const struct log log = {NULL, NULL, 0};
    srv_decide_free(world->decide);
    world->decide = srv_decide_new(world->store, &log, (size_t)24 * 1024 * 1024);
    assert_non_null(world->decide);
    for (int device = 0; device < 2; device++) {
        for (int n = 0; n < VISITS; n++) {
            visits[device][n] =
                add_visit(world, &customer, start_ms + (180 * n + 10 * device) * MINUTE_MS);
        }
        struct verdict verdict = send_changeset(world, hands.all[device]);
        assert_int_equal(verdict.kind, device == 0 ? VERDICT_ACCEPTED : VERDICT_MERGED);
    }
    for (int n = 0; n < VISITS; n++) {
        expect_reference(world, ENTITY_VISIT, &visits[0][n], VISIT_REDIRECT_TO, NULL);
        expect_reference(world, ENTITY_VISIT, &visits[1][n], VISIT_REDIRECT_TO, &visits[0][n]);
    }
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_decide_twins__##name, setup_world, teardown_world)

/* Given a visit that became another one, which a manager had rejected and reopened, when the
 * manager takes a step of the one that went, not knowing of that, then it is judged from its first
 * state and the manager's own steps; "no state" is none that a step leads to, whatever was seen. */
static void test_decide_twins__step_of_one_that_became_another(void **state)
{
    static const struct {
        const char *to, *becomes; /* NULL: no state; refused */
    } cases[] = {
        {NULL, NULL}, {"in_progress", NULL}, {"completed", "completed"}, {"verified", "verified"}};
    struct world *world = *state;
    struct device tablet, boss;
    make_device(world, &tablet, &world->li.author.account.user);
    make_user(world, &boss, "boss", "manager", NULL);
    boss.author.scope = world->office.author.scope; /* sees the east too */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct id customer = make_customer(world, &world->li, "shop"), visits[2];
        for (int n = 0; n < 2; n++) {
            visits[n] = make_record(world, ENTITY_VISIT);
            put_id(world, VISIT_CUSTOMER_ID, &customer);
            put_int(world, VISIT_CHECKIN_TS, world->now_ms - (100 - 10 * n) * INT64_C(60000));
            put_text(world, VISIT_STATUS, "completed");
            (void)send_changeset(world, n == 0 ? &world->li : &tablet);
            for (int step = 0; step < 2 && n == 0; step++) {
                edit_record(world, ENTITY_VISIT, &visits[0], world->org.head);
                put_text(world, VISIT_STATUS, step == 0 ? "rejected" : "completed");
                (void)accept(world, step == 0 ? &world->office : &boss);
            }
        }
        assert_int_equal(value_of(world, ENTITY_VISIT, &visits[1], VISIT_REDIRECT_TO).kind,
                         VALUE_ID);
        edit_record(world, ENTITY_VISIT, &visits[1], 0);
        if (cases[i].to == NULL) {
            put_null(world, VISIT_STATUS);
        } else {
            put_text(world, VISIT_STATUS, cases[i].to);
        }
        if (cases[i].becomes == NULL) {
            reject(world, &boss, REJECT_TRANSITION, "status", "step");
        } else {
            (void)send_changeset(world, &boss);
            expect_text(world, ENTITY_VISIT, &visits[0], VISIT_STATUS, cases[i].becomes);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(become_one_in_any_order),
        TEST(a_chain_is_one_in_any_order),
        TEST(later_work_goes_along),
        TEST(others_stay_two),
        TEST(a_delete_that_saw_one_loses),
        TEST(what_is_deleted_stays_deleted),
        TEST(a_plan_that_is_dropped),
        TEST(what_is_judged_in_any_order),
        TEST(sets_join_in_any_order),
        TEST(of_others_stay_two),
        TEST(that_move_together),
        TEST(many_at_once),
        TEST(step_of_one_that_became_another),
    };
    return cmocka_run_group_tests_name("decide_twins", tests, NULL, NULL);
}
