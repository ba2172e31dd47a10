/* SPDX-License-Identifier: Apache-2.0
 *
 * Visits to which their rep cannot have come in time: they do not count until a manager verifies
 * them, and which ones follows from the visits as they stand, in whatever order they came.
 */
#include "tests/unit/decide_world.h"

#define MINUTE_MS INT64_C(60000)
#define LAT_E7 312304160
#define LON_E7 1214737010
#define KM_NORTH_E7 89832 /* along a meridian */
#define VISITS_MAX 8

/* A visit at a shop so many kilometres north of the first one. */
struct sample {
    int64_t minute, km;
    int64_t left_km; /* where the rep checks out, ten minutes later; 0: no place */
    bool mock;
};

/* The time of minute 0, long enough ago for a week. */
static int64_t begin_ms(const struct world *world)
{
    return world->now_ms - 8 * 1440 * MINUTE_MS;
}

/* A customer so many kilometres north. */
static struct id make_shop(struct world *world, int64_t km)
{
    struct id customer = make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_NAME, "shop");
    put_int(world, CUSTOMER_LAT, LAT_E7 + km * KM_NORTH_E7);
    put_int(world, CUSTOMER_LON, LON_E7);
    (void)accept(world, &world->li);
    return customer;
}

/* Into the changeset being built. */
static struct id add_visit_in(struct world *world, const struct id *customer,
                              const struct sample *sample, const char *state)
{
    struct id visit = make_record(world, ENTITY_VISIT);
    put_id(world, VISIT_CUSTOMER_ID, customer);
    put_int(world, VISIT_PLAN_DAY, 20261120); /* planned visits are never one */
    put_text(world, VISIT_STATUS, state);
    put_int(world, VISIT_CHECKIN_TS, begin_ms(world) + sample->minute * MINUTE_MS);
    put_int(world, VISIT_CHECKIN_LAT, LAT_E7 + sample->km * KM_NORTH_E7);
    put_int(world, VISIT_CHECKIN_LON, LON_E7);
    put_int(world, VISIT_CHECKIN_ACC, 10);
    if (sample->mock) {
        put_int(world, VISIT_CHECKIN_MOCK, 1);
    }
    put_int(world, VISIT_CHECKOUT_TS, begin_ms(world) + (sample->minute + 10) * MINUTE_MS);
    if (sample->left_km != 0) {
        put_int(world, VISIT_CHECKOUT_LAT, LAT_E7 + sample->left_km * KM_NORTH_E7);
        put_int(world, VISIT_CHECKOUT_LON, LON_E7);
        put_int(world, VISIT_CHECKOUT_ACC, 10);
    }
    put_text(world, VISIT_FEEDBACK, "liked it");
    return visit;
}

static struct id add_visit(struct world *world, const struct id *customer,
                           const struct sample *sample)
{
    return add_visit_in(world, customer, sample, "completed");
}

/* A visit to a shop of its own. */
static struct id visit_by(struct world *world, struct device *device, const struct sample *sample)
{
    struct id customer = make_shop(world, sample->km);
    struct id visit = add_visit(world, &customer, sample);
    (void)accept(world, device);
    return visit;
}

static bool is_effective(struct world *world, const struct id *visit)
{
    struct value value = value_of(world, ENTITY_VISIT, visit, VISIT_EFFECTIVE);
    assert_true(value.kind == VALUE_NULL || value.integer == 1);
    return value.kind == VALUE_INT;
}

/* Checks several visits: "yn" says that the first is effective and the second is not. */
static void expect_all(struct world *world, const struct id *visits, const char *expected)
{
    char found[VISITS_MAX + 1] = "";
    for (size_t i = 0; i < strlen(expected); i++) {
        found[i] = is_effective(world, &visits[i]) ? 'y' : 'n';
    }
    assert_string_equal(found, expected);
}

/* All visits have gone, and time with them. */
static void forget_visits(struct world *world, const struct id *visits, int count)
{
    for (int i = 0; i < count; i++) {
        if (is_live(world, ENTITY_VISIT, &visits[i])) {
            delete_record(world, ENTITY_VISIT, &visits[i], world->org.head);
        }
    }
    (void)accept(world, &world->li);
}

/* What is too fast: 200 km/h, and the first 200 m are free. A second visit is judged by the first.
 */
static const struct {
    struct sample first, second;
    char expected[3];
} ways[] = {
    {{0, 0, 0, false}, {60, 200, 0, false}, "yy"},
    {{0, 0, 0, false}, {60, 201, 0, false}, "yn"},
    {{0, 0, 0, false}, {61, 201, 0, false}, "yy"},
    {{0, 0, 0, false}, {0, 0, 0, false}, "yy"}, /* two shops in one house */
    {{0, 0, 0, false}, {0, 1, 0, false}, "yn"}, /* with equal times the smaller id is first */
    {{0, 0, 190, false}, {60, 200, 0, false}, "yy"},
    {{0, 0, 1, false}, {60, 200, 0, false}, "yn"}, /* left at minute ten */
    {{0, 0, 900, false}, {5, 16, 0, false}, "yy"}, /* not left yet, as far as that one says */
    {{0, 0, 0, true}, {5, 500, 0, false}, "ny"},   /* an invented place says nothing of the way */
    {{0, 0, 0, false}, {1440, 4801, 0, false}, "yn"},
    {{0, 0, 0, false}, {1441, 4990, 0, false}, "yy"}, /* a day is enough for any way */
};

static void test_decide_trail__what_is_too_fast(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct id visits[2];
        visits[0] = visit_by(world, &world->li, &ways[i].first);
        visits[1] = visit_by(world, &world->li, &ways[i].second);
        expect_all(world, visits, ways[i].expected);
        forget_visits(world, visits, 2);
    }
}

/* Given a visit that was too fast, when a manager verifies it, then it counts, and the next one is
 * judged by it; when a manager rejects it, it says nothing of the way any more. */
static void test_decide_trail__a_manager_has_the_last_word(void **state)
{
    static const struct sample home = {0, 0, 0, false}, far = {30, 300, 0, false},
                               back = {60, 0, 0, false};
    struct world *world = *state;
    struct device manager;
    struct id visits[3];
    make_user(world, &manager, "boss", "manager", &world->territories[EAST]);
    visits[0] = visit_by(world, &world->li, &home);
    visits[1] = visit_by(world, &world->li, &far);
    visits[2] = visit_by(world, &world->li, &back);
    expect_all(world, visits, "yny");
    int64_t before = world->org.head;
    edit_record(world, ENTITY_VISIT, &visits[1], before);
    put_text(world, VISIT_STATUS, "verified");
    (void)accept(world, &manager);
    expect_all(world, visits, "yyn");
    expect_in(pull_all(world, &world->li, before), wire(world, &visits[2]));
    edit_record(world, ENTITY_VISIT, &visits[0], world->org.head);
    put_text(world, VISIT_STATUS, "rejected");
    (void)accept(world, &manager);
    expect_all(world, visits, "nyn");
    edit_record(world, ENTITY_VISIT, &visits[2], world->org.head);
    put_text(world, VISIT_STATUS, "verified");
    (void)accept(world, &manager);
    expect_all(world, visits, "nyy");
}

/* Given visits of a rep at home, when a colleague visits far away, or records a visit of theirs
 * there, then that says nothing of their way; the rep's own tablet does. */
static void test_decide_trail__one_rep_on_all_devices(void **state)
{
    static const struct sample home = {0, 0, 0, false}, far = {30, 300, 0, false};
    struct world *world = *state;
    struct device tablet;
    struct id visits[2], false_one, shop = make_shop(world, 300);
    make_device(world, &tablet, &world->li.author.account.user);
    visits[0] = visit_by(world, &world->wang, &home);
    false_one = add_visit(world, &shop, &home);
    put_id(world, VISIT_REP_ID, &world->li.author.account.user);
    (void)accept(world, &world->wang);
    visits[1] = visit_by(world, &world->li, &far);
    expect_all(world, visits, "yy");
    expect_all(world, &false_one, "n");
    visits[0] = visit_by(world, &tablet, &home);
    expect_all(world, visits, "yn");
}

/* The visits of a day, and which count: the one that lies off the way of the others does not. */
static const struct {
    struct sample samples[4];
    char expected[5];
} days[] = {
    {{{0, 0, 0, 0}, {20, 300, 0, 0}, {40, 1, 0, 0}, {60, 2, 0, 0}}, "ynyy"},
    {{{0, 300, 0, 0}, {20, 0, 0, 0}, {40, 1, 0, 0}, {60, 2, 0, 0}}, "ynyy"},
    {{{0, 0, 0, 0}, {20, 300, 0, 0}, {40, 301, 0, 0}, {60, 2, 0, 0}}, "ynyn"},
    {{{0, 0, 0, 0}, {20, 300, 0, 0}, {40, 1, 0, 0}, {60, 300, 0, 0}}, "ynyn"},
    {{{0, 0, 0, 0}, {20, 1, 0, 0}, {40, 2, 0, 0}, {60, 300, 0, 0}}, "yyyn"},
    {{{0, 0, 0, 0}, {20, 300, 0, 1}, {40, 1, 0, 0}, {60, 300, 0, 1}}, "ynyn"},
};

/* The k-th order of n things, k from 0 to n! - 1. */
static void make_order(int k, int n, int *order)
{
    for (int i = 0; i < n; i++) {
        order[i] = i;
    }
    for (int i = n - 1; i > 0; i--) {
        int at = k % (i + 1), kept = order[i];
        k /= i + 1;
        order[i] = order[at];
        order[at] = kept;
    }
}

static void test_decide_trail__in_any_order(void **state)
{
    struct world *world = *state;
    for (size_t day = 0; day < sizeof days / sizeof days[0]; day++) {
        for (int k = 0; k < 24; k++) {
            struct id visits[4];
            int order[4];
            make_order(k, 4, order);
            hold_transaction(world);
            for (int i = 0; i < 4; i++) {
                visits[order[i]] = visit_by(world, &world->li, &days[day].samples[order[i]]);
            }
            expect_all(world, visits, days[day].expected);
            forget_visits(world, visits, 4);
            let_go(world);
        }
    }
}

/* Given a day with a stray visit, when that is deleted, or one before it comes late, or its
 * check-in turns out to have been earlier, or one changeset brings all, then what follows is found
 * anew. */
static void test_decide_trail__what_changes_reaches_the_next(void **state)
{
    static const struct sample day[] = {
        {0, 0, 0, false}, {100, 0, 0, false}, {120, 300, 0, false}, {140, 600, 0, false}};
    static const struct sample late = {10, 200, 0, false};
    struct world *world = *state;
    struct id visits[5];
    for (int i = 0; i < 4; i++) {
        visits[i] = visit_by(world, &world->li, &day[i]);
    }
    expect_all(world, visits, "yynn");
    visits[4] = visit_by(world, &world->li, &late);
    expect_all(world, visits, "yynnn");
    delete_record(world, ENTITY_VISIT, &visits[0], world->org.head);
    delete_record(world, ENTITY_VISIT, &visits[1], world->org.head);
    (void)accept(world, &world->li);
    assert_true(is_effective(world, &visits[4]));
    assert_true(is_effective(world, &visits[2]));
    assert_false(is_effective(world, &visits[3]));
    edit_record(world, ENTITY_VISIT, &visits[2], world->org.head);
    put_int(world, VISIT_CHECKIN_TS, begin_ms(world) + 15 * MINUTE_MS);
    put_null(world, VISIT_CHECKIN_TZ);
    put_int(world, VISIT_CHECKIN_LAT, LAT_E7 + 300 * KM_NORTH_E7);
    put_int(world, VISIT_CHECKIN_LON, LON_E7);
    put_int(world, VISIT_CHECKIN_ACC, 10);
    put_null(world, VISIT_CHECKIN_MOCK);
    (void)accept(world, &world->wang);
    assert_false(is_effective(world, &visits[2]));
    assert_true(is_effective(world, &visits[3]));
}

/* ---- at random */

static uint32_t next_random(uint32_t *random, uint32_t below)
{
    *random = *random * UINT32_C(1664525) + UINT32_C(1013904223);
    return (*random >> 8) % below;
}

/* The way in kilometres is too long for the time between two check-ins. */
static bool is_too_long(const struct sample *from, const struct sample *to)
{
    int64_t metres = 1000 * (from->km > to->km ? from->km - to->km : to->km - from->km);
    return (metres - 200) * 60 > (to->minute - from->minute) * 200000;
}

/* Which visits count, found by looking at all that are there, from the first on. Times ascend. One
 * that is not completed yet does not, but shows the way. */
static void judge_all(const struct sample *samples, const bool *there, const bool *open,
                      bool *counts)
{
    const struct sample *before = NULL, *reached = NULL;
    for (int i = 0; i < VISITS_MAX; i++) {
        bool is = there[i] && !samples[i].mock;
        bool in_time = is && (before == NULL || !is_too_long(before, &samples[i]) ||
                              !is_too_long(reached, &samples[i]));
        counts[i] = in_time && !open[i];
        before = is ? &samples[i] : before;
        reached = in_time ? &samples[i] : reached;
    }
}

/* Completes one that has come before; false: there is nothing to complete. */
static bool complete(struct world *world, const struct id *visit, bool *open)
{
    if (!*open || !is_live(world, ENTITY_VISIT, visit)) {
        return false;
    }
    edit_record(world, ENTITY_VISIT, visit, world->org.head);
    put_text(world, VISIT_STATUS, "completed");
    *open = false;
    return true;
}

/* Given random days, when their visits come in random order, several in one changeset or alone,
 * some completed later, and some go again, then those count that should as they all stand. */
static void test_decide_trail__at_random(void **state)
{
    struct world *world = *state;
    uint32_t random = 7;
    int completed = 0;
    for (int round = 0; round < 120; round++) {
        struct sample samples[VISITS_MAX];
        struct id visits[VISITS_MAX], shops[VISITS_MAX];
        bool there[VISITS_MAX] = {false}, open[VISITS_MAX] = {false};
        bool named[VISITS_MAX] = {false}; /* completed by the changeset being built */
        int order[VISITS_MAX];
        hold_transaction(world);
        for (int i = 0; i < VISITS_MAX; i++) {
            samples[i] = (struct sample){.minute = 5 * i + (int64_t)next_random(&random, 5),
                                         .km = 9 * (int64_t)next_random(&random, 6),
                                         .mock = next_random(&random, 8) == 0};
            shops[i] = make_shop(world, samples[i].km);
        }
        make_order((int)next_random(&random, 40320), VISITS_MAX, order);
        for (int i = 0; i < VISITS_MAX; i++) {
            int n = order[i];
            open[n] = next_random(&random, 3) == 0;
            visits[n] =
                add_visit_in(world, &shops[n], &samples[n], open[n] ? "in_progress" : "completed");
            there[n] = true;
            int done = order[next_random(&random, (uint32_t)i + 1)];
            if (done != n && there[done] && complete(world, &visits[done], &open[done])) {
                named[done] = true;
                completed++;
            }
            int gone = order[next_random(&random, (uint32_t)i + 1)];
            if (gone != n && !named[gone] && there[gone] && next_random(&random, 4) == 0) {
                if (!is_live(world, ENTITY_VISIT, &visits[gone])) {
                    continue;
                }
                delete_record(world, ENTITY_VISIT, &visits[gone], world->org.head);
                there[gone] = false;
            } else if (next_random(&random, 3) == 0 && i + 1 < VISITS_MAX) {
                continue;
            }
            (void)accept(world, &world->li);
            memset(named, 0, sizeof named);
            bool counts[VISITS_MAX];
            judge_all(samples, there, open, counts);
            for (n = 0; n < VISITS_MAX; n++) {
                if (there[n] && is_effective(world, &visits[n]) != counts[n]) {
                    fail_msg("round %d, after %d, visit %d", round, i, n);
                }
            }
        }
        if (world->count > 0) {
            (void)accept(world, &world->li);
        }
        forget_visits(world, visits, VISITS_MAX);
        let_go(world);
    }
    assert_true(completed > 50);
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_decide_trail__##name, setup_world, teardown_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_too_fast), TEST(a_manager_has_the_last_word),   TEST(one_rep_on_all_devices),
        TEST(in_any_order),     TEST(what_changes_reaches_the_next), TEST(at_random),
    };
    return cmocka_run_group_tests_name("decide_trail", tests, NULL, NULL);
}
