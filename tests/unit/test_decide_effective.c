/* SPDX-License-Identifier: Apache-2.0
 *
 * Visits that count: what one needs to be effective, and that of several at one customer within two
 * hours one is, in whatever order they come.
 */
#include "tests/unit/decide_world.h"

#define MINUTE_MS INT64_C(60000)
#define LAT_E7 312304160
#define LON_E7 1214737010

/* A customer at a place. */
static struct id make_shop(struct world *world)
{
    struct id customer = make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_NAME, "shop");
    put_int(world, CUSTOMER_LAT, LAT_E7);
    put_int(world, CUSTOMER_LON, LON_E7);
    (void)accept(world, &world->li);
    return customer;
}

/* What a visit is like; all 0: one that counts but for a result. */
struct sample {
    const char *name;
    int64_t north_e7, east_e7; /* off the customer's place */
    int64_t accuracy_m;
    int64_t minutes; /* short of ten */
    bool mock, elsewhere, unfinished;
    const char *feedback, *action;
    bool effective;
};

/* Into the changeset being built, with check-in at this time. */
static struct id add_visit(struct world *world, const struct id *customer, int64_t time_ms,
                           const struct sample *sample)
{
    struct id visit = make_record(world, ENTITY_VISIT);
    put_id(world, VISIT_CUSTOMER_ID, customer);
    put_text(world, VISIT_STATUS, sample->unfinished ? "in_progress" : "completed");
    put_int(world, VISIT_CHECKIN_TS, time_ms);
    if (!sample->elsewhere) {
        put_int(world, VISIT_CHECKIN_LAT, LAT_E7 + sample->north_e7);
        put_int(world, VISIT_CHECKIN_LON, LON_E7 + sample->east_e7);
        put_int(world, VISIT_CHECKIN_ACC, 10 + sample->accuracy_m);
    }
    if (sample->mock) {
        put_int(world, VISIT_CHECKIN_MOCK, 1);
    }
    put_int(world, VISIT_CHECKOUT_TS, time_ms + (10 - sample->minutes) * MINUTE_MS);
    if (sample->feedback != NULL) {
        put_text(world, VISIT_FEEDBACK, sample->feedback);
    }
    if (sample->action != NULL) {
        (void)make_record(world, ENTITY_VISIT_ACTION);
        put_id(world, VISIT_ACTION_VISIT_ID, &visit);
        put_text(world, VISIT_ACTION_KIND, sample->action);
    }
    return visit;
}

static void expect_effective(struct world *world, const struct id *visit, bool effective)
{
    struct value value = value_of(world, ENTITY_VISIT, visit, VISIT_EFFECTIVE);
    assert_int_equal(value.kind, effective ? VALUE_INT : VALUE_NULL);
    assert_true(!effective || value.integer == 1);
}

/* One degree of latitude is 111,319 m: 200 m are 17,966 units, along the parallel of 31.23 degrees
 * 21,012. */
static const struct sample samples[] = {
    {.name = "feedback", .feedback = "liked it", .effective = true},
    {.name = "order", .action = "order", .effective = true},
    {.name = "stock count", .action = "stock_count", .effective = true},
    {.name = "no result", .action = "photo"},
    {.name = "unfinished", .feedback = "x", .unfinished = true},
    {.name = "five minutes", .feedback = "x", .minutes = 5, .effective = true},
    {.name = "short", .feedback = "x", .minutes = 6},
    {.name = "near", .feedback = "x", .north_e7 = 17900, .effective = true},
    {.name = "far", .feedback = "x", .north_e7 = -18000},
    {.name = "near east", .feedback = "x", .east_e7 = -20900, .effective = true},
    {.name = "far east", .feedback = "x", .east_e7 = 21200},
    {.name = "far aslant", .feedback = "x", .north_e7 = 14000, .east_e7 = 16000},
    {.name = "vague", .feedback = "x", .accuracy_m = 91},
    {.name = "mock", .feedback = "x", .mock = true},
    {.name = "no place", .feedback = "x", .elsewhere = true},
};

/* Given visits of all kinds, when they are recorded, then those are effective that were long
 * enough, at the customer, surely, and with a result; what a manager has verified needs no sure
 * place. */
static void test_decide_effective__what_it_takes(void **state)
{
    struct world *world = *state;
    struct device manager;
    make_user(world, &manager, "boss", "manager", &world->territories[EAST]);
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const struct sample *sample = &samples[i];
        struct id customer = make_shop(world);
        int64_t time_ms = world->now_ms - (30 + 1500 * (int64_t)i) * MINUTE_MS;
        struct id visit = add_visit(world, &customer, time_ms, sample);
        (void)accept(world, &world->li);
        struct value value = value_of(world, ENTITY_VISIT, &visit, VISIT_EFFECTIVE);
        if ((value.kind == VALUE_INT) != sample->effective) {
            fail_msg("%s", sample->name);
        }
        if (sample->unfinished) {
            continue;
        }
        edit_record(world, ENTITY_VISIT, &visit, world->org.head);
        put_text(world, VISIT_STATUS, "verified");
        (void)accept(world, &manager);
        bool bore_fruit = sample->feedback != NULL || sample->effective;
        expect_effective(world, &visit, bore_fruit && sample->minutes <= 5);
    }
}

/* Given a visit that comes without a result, when that follows, then it is effective, and everybody
 * is told; when it is taken away, or the visit is rejected, no more. */
static void test_decide_effective__it_follows_what_changes(void **state)
{
    static const struct sample bare = {.name = "bare"};
    struct world *world = *state;
    struct device manager;
    make_user(world, &manager, "boss", "manager", &world->territories[EAST]);
    struct id customer = make_shop(world);
    struct id visit = add_visit(world, &customer, world->now_ms - 30 * MINUTE_MS, &bare);
    (void)accept(world, &world->li);
    expect_effective(world, &visit, false);
    int64_t before = world->org.head;
    struct id action = make_record(world, ENTITY_VISIT_ACTION);
    put_id(world, VISIT_ACTION_VISIT_ID, &visit);
    put_text(world, VISIT_ACTION_KIND, "order");
    (void)accept(world, &world->li);
    expect_effective(world, &visit, true);
    expect_in(pull_all(world, &world->wang, before), "\"effective\"");
    expect_in(pull_all(world, &world->li, before), "\"effective\"");
    delete_record(world, ENTITY_VISIT_ACTION, &action, world->org.head);
    (void)accept(world, &world->li);
    expect_effective(world, &visit, false);
    edit_record(world, ENTITY_VISIT, &visit, world->org.head);
    put_text(world, VISIT_FEEDBACK, "after all");
    (void)accept(world, &world->li);
    expect_effective(world, &visit, true);
    edit_record(world, ENTITY_VISIT, &visit, world->org.head);
    put_text(world, VISIT_STATUS, "rejected");
    (void)accept(world, &manager);
    expect_effective(world, &visit, false);
}

/* Given three visits of one rep to one customer, an hour and a half apart, and one of another rep,
 * when they come in each order, then the first and the third are effective, and the other rep's;
 * when the first is deleted, the second is, and the third no more. */
static void test_decide_effective__twins_count_once_in_any_order(void **state)
{
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct world *world = *state;
    for (size_t order = 0; order < sizeof orders / sizeof orders[0]; order++) {
        struct id customer = make_shop(world), visits[3];
        int64_t first_ms = world->now_ms - 600 * MINUTE_MS;
        struct id other = add_visit(world, &customer, first_ms + MINUTE_MS, &samples[0]);
        (void)accept(world, &world->wang);
        for (int i = 0; i < 3; i++) {
            int n = orders[order][i];
            visits[n] = add_visit(world, &customer, first_ms + n * 90 * MINUTE_MS, &samples[0]);
            (void)accept(world, &world->li);
        }
        for (int n = 0; n < 3; n++) {
            expect_effective(world, &visits[n], n != 1);
        }
        expect_effective(world, &other, true);
        int64_t before = world->org.head;
        delete_record(world, ENTITY_VISIT, &visits[0], before);
        (void)accept(world, &world->li);
        expect_effective(world, &visits[1], true);
        expect_effective(world, &visits[2], false);
        expect_in(pull_all(world, &world->li, before), wire(world, &visits[1]));
    }
}

/* A visit of li's by feedback alone, in a changeset of its own. */
static struct id visit_at(struct world *world, const struct id *customer, int64_t time_ms)
{
    struct id visit = add_visit(world, customer, time_ms, &samples[0]);
    (void)accept(world, &world->li);
    return visit;
}

/* Given a visit that counts and its twin, when the rep comes at the same time the next day, then
 * the twin counts no more than before. */
static void test_decide_effective__a_day_later_twins_stay_twins(void **state)
{
    struct world *world = *state;
    struct id customer = make_shop(world);
    int64_t day_ms = world->now_ms - 3000 * MINUTE_MS;
    struct id first = visit_at(world, &customer, day_ms);
    struct id twin = visit_at(world, &customer, day_ms + 20 * MINUTE_MS);
    expect_effective(world, &twin, false);
    struct id next = visit_at(world, &customer, day_ms + (24 * 60 + 10) * MINUTE_MS);
    expect_effective(world, &first, true);
    expect_effective(world, &twin, false);
    expect_effective(world, &next, true);
}

/* Given visits that count, when their customer moves, and then something of them changes that they
 * are not judged by, or nothing, then they count; when the time does, they are judged anew. */
static void test_decide_effective__what_was_counted_stays(void **state)
{
    struct world *world = *state;
    struct id customer = make_shop(world);
    struct id visit = visit_at(world, &customer, world->now_ms - 60 * MINUTE_MS);
    edit_record(world, ENTITY_CUSTOMER, &customer, world->org.head);
    put_int(world, CUSTOMER_LAT, LAT_E7 + 1000000);
    put_int(world, CUSTOMER_LON, LON_E7);
    (void)accept(world, &world->li);
    edit_record(world, ENTITY_VISIT, &visit, world->org.head);
    (void)accept(world, &world->server);
    expect_effective(world, &visit, true);
    edit_record(world, ENTITY_VISIT, &visit, world->org.head);
    put_int(world, VISIT_PLAN_DAY, 20261119);
    (void)accept(world, &world->li);
    expect_effective(world, &visit, true);
    edit_record(world, ENTITY_VISIT, &visit, world->org.head);
    put_text(world, VISIT_FEEDBACK, "so far away");
    (void)accept(world, &world->li);
    expect_effective(world, &visit, false);
}

/* Given a visit whose twin does not count, when its check-in turns out to have been earlier, then
 * the twin counts, which is none any more; and what the check-in comes close to does not. */
static void test_decide_effective__an_earlier_checkin_frees_the_next(void **state)
{
    struct world *world = *state;
    struct id customer = make_shop(world);
    int64_t time_ms = world->now_ms - 900 * MINUTE_MS;
    struct id first = visit_at(world, &customer, time_ms);
    struct id second = visit_at(world, &customer, time_ms + 100 * MINUTE_MS);
    struct id third = visit_at(world, &customer, time_ms + 200 * MINUTE_MS);
    expect_effective(world, &second, false);
    expect_effective(world, &third, true);
    edit_record(world, ENTITY_VISIT, &first, world->org.head);
    put_int(world, VISIT_CHECKIN_TS, time_ms - 30 * MINUTE_MS);
    put_null(world, VISIT_CHECKIN_TZ);
    put_int(world, VISIT_CHECKIN_LAT, LAT_E7);
    put_int(world, VISIT_CHECKIN_LON, LON_E7);
    put_int(world, VISIT_CHECKIN_ACC, 10);
    put_null(world, VISIT_CHECKIN_MOCK);
    (void)accept(world, &world->wang);
    expect_effective(world, &first, true);
    expect_effective(world, &second, true);
    expect_effective(world, &third, false);
}

/* Given a visit that a colleague has recorded in a rep's name, a minute before the rep's own, then
 * it counts for nobody and the rep's does; one that a manager has planned counts when the rep has
 * made it. */
static void test_decide_effective__nobody_visits_in_a_colleagues_name(void **state)
{
    struct world *world = *state;
    struct device manager;
    make_user(world, &manager, "boss", "manager", &world->territories[EAST]);
    struct id customer = make_shop(world), other = make_shop(world);
    int64_t time_ms = world->now_ms - 60 * MINUTE_MS;
    struct id false_one = add_visit(world, &customer, time_ms - MINUTE_MS, &samples[0]);
    put_id(world, VISIT_REP_ID, &world->li.author.account.user);
    (void)accept(world, &world->wang);
    struct id own = visit_at(world, &customer, time_ms);
    expect_effective(world, &false_one, false);
    expect_effective(world, &own, true);
    static const struct sample planned = {.name = "planned", .feedback = "x", .unfinished = true};
    struct id visit = add_visit(world, &other, time_ms, &planned);
    put_id(world, VISIT_REP_ID, &world->li.author.account.user);
    (void)accept(world, &manager);
    edit_record(world, ENTITY_VISIT, &visit, world->org.head);
    put_text(world, VISIT_STATUS, "completed");
    (void)accept(world, &world->li);
    expect_effective(world, &visit, true);
}

/* Given a customer who was visited on many days, when a visit comes with very many actions, and
 * when all visits go to another customer at once, then the decision takes little memory; all count
 * that did, but for the twin of one of the other customer. */
static void test_decide_effective__many_visits_are_looked_at_once(void **state)
{
    enum { DAYS = 100, ACTIONS = 300 };
    struct world *world = *state;
    struct id customer = make_shop(world), other = make_shop(world), visits[DAYS];
    hold_transaction(world);
    for (int i = 0; i < DAYS; i++) {
        visits[i] = visit_at(world, &customer, world->now_ms - (i + 1) * 1440 * MINUTE_MS);
    }
    struct id before = visit_at(world, &other, world->now_ms - (10 * 1440 + 5) * MINUTE_MS);
    let_go(world);
    srv_decide_free(world->decide);
    struct log log = {NULL, NULL, 0};
    world->decide = srv_decide_new(world->store, &log, (size_t)8 * 1024 * 1024);
    struct id last = add_visit(world, &customer, world->now_ms - 60 * MINUTE_MS, &samples[0]);
    for (int i = 0; i < ACTIONS; i++) {
        (void)make_record(world, ENTITY_VISIT_ACTION);
        put_id(world, VISIT_ACTION_VISIT_ID, &last);
        put_text(world, VISIT_ACTION_KIND, "stock_count");
    }
    (void)accept(world, &world->li);
    expect_effective(world, &last, true);
    edit_record(world, ENTITY_CUSTOMER, &customer, world->org.head);
    put_id(world, CUSTOMER_REDIRECT_TO, &other);
    (void)accept(world, &world->server);
    for (int i = 0; i < DAYS; i++) {
        edit_record(world, ENTITY_VISIT, &visits[i], world->org.head);
        put_id(world, VISIT_CUSTOMER_ID, &other);
    }
    (void)accept(world, &world->server);
    expect_effective(world, &before, true);
    for (int i = 0; i < DAYS; i++) {
        expect_effective(world, &visits[i], i != 9);
    }
}

/* Given a visit that one deletes, when somebody else takes away an action of it, unseen, so that it
 * does not count any more, then it is gone in both orders: that it counted was the server's word.
 */
static void test_decide_effective__a_flag_is_no_edit_against_a_delete(void **state)
{
    static const struct sample bare = {.name = "bare"};
    struct world *world = *state;
    for (int order = 0; order < 2; order++) {
        struct id customer = make_shop(world);
        int64_t time_ms = world->now_ms - (30 + 300 * order) * MINUTE_MS;
        struct id visit = add_visit(world, &customer, time_ms, &bare);
        struct id action = make_record(world, ENTITY_VISIT_ACTION);
        put_id(world, VISIT_ACTION_VISIT_ID, &visit);
        put_text(world, VISIT_ACTION_KIND, "order");
        int64_t seen = accept(world, &world->li);
        expect_effective(world, &visit, true);
        for (int step = 0; step < 2; step++) {
            delete_record(world, ENTITY_VISIT_ACTION, &action, seen);
            if (step == order) {
                (void)accept(world, &world->wang);
            } else {
                delete_record(world, ENTITY_VISIT, &visit, seen);
                (void)accept(world, &world->li);
            }
        }
        assert_false(is_live(world, ENTITY_VISIT, &visit));
    }
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_decide_effective__##name, setup_world, teardown_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_it_takes),
        TEST(it_follows_what_changes),
        TEST(twins_count_once_in_any_order),
        TEST(a_day_later_twins_stay_twins),
        TEST(what_was_counted_stays),
        TEST(an_earlier_checkin_frees_the_next),
        TEST(nobody_visits_in_a_colleagues_name),
        TEST(a_flag_is_no_edit_against_a_delete),
        TEST(many_visits_are_looked_at_once),
    };
    return cmocka_run_group_tests_name("decide_effective", tests, NULL, NULL);
}
