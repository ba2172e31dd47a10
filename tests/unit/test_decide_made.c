/* SPDX-License-Identifier: Apache-2.0
 *
 * When a changeset was made and what its author knew: stamps of any clock, true time, and positions
 * of earlier epochs.
 */
#include "tests/unit/decide_world.h"

#include "sync-server/decide/work.h"

#define YEAR_MS (INT64_C(365) * 24 * 3600 * 1000)

/* What srv_decide_made finds for a changeset of this stamp, boot and steady clock, sent in a
 * request that was received at 1,000,000 with boot 7 and steady clock 500,000. */
static struct decision made(struct world *world, int64_t stamp_ms, uint64_t boot, int64_t steady_ms)
{
    static struct decide_input input; /* borrowed by what is returned */
    input = (struct decide_input){.changeset = {.epoch = srv_store_epoch(world->store),
                                                .time = (hlc)stamp_ms << 16,
                                                .boot = boot,
                                                .steady_ms = steady_ms}};
    struct decide_author *author = &world->li.author;
    author->boot = 7;
    author->steady_ms = 500000;
    author->received_ms = 1000000;
    struct decision decision = {.decide = world->decide,
                                .store = world->store,
                                .org = &world->org,
                                .author = author,
                                .input = &input,
                                .now_ms = 1000000};
    assert_int_equal(srv_decide_made(&decision), DAYBOOK_OK);
    return decision;
}

/* Given acts of this and of another boot, with clocks that are right, wrong or impossible, then
 * their true time is counted back where it can be, else it is the clamped stamp, and a guess is
 * marked as one. */
static void test_decide_made__true_time(void **state)
{
    struct world *world = *state;
    static const struct {
        int64_t stamp_ms;
        uint64_t boot;
        int64_t steady_ms;
        int64_t true_ms;
        bool suspect, clamped;
    } cases[] = {
        /* the same boot: whatever the stamp says */
        {700000, 7, 200000, 700000, false, false},
        {0, 7, 200000, 700000, false, false},
        {10 * YEAR_MS, 7, 200000, 700000, false, true},
        {1000000, 7, 500000, 1000000, false, false},
        /* a steady clock that stands */
        {700000, 7, 500000, 1000000, false, false},
        /* a steady clock that cannot be right: the stamp */
        {700000, 7, 500001, 700000, true, false},
        {700000, 7, INT64_MAX, 700000, true, false},
        {700000, 7, -600000, 700000, true, false},
        {700000, 7, INT64_MIN, 700000, true, false},
        /* another boot: the stamp, not far ahead of receipt */
        {600000, 8, 200000, 600000, false, false},
        {0, 8, 200000, 0, false, false},
        {1300000, 8, 200000, 1300000, false, false},
        {1300001, 8, 200000, 1000000, true, true},
        {(INT64_C(1) << 47) - 1, 8, INT64_MAX, 1000000, true, true},
        {600000, 0, 200000, 600000, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct decision decision =
            made(world, cases[i].stamp_ms, cases[i].boot, cases[i].steady_ms);
        if (decision.true_ms != cases[i].true_ms || decision.true_suspect != cases[i].suspect ||
            decision.clamped != cases[i].clamped) {
            fail_msg("case %zu: %lld %d %d", i, (long long)decision.true_ms, decision.true_suspect,
                     decision.clamped);
        }
    }
}

/* Given a request without a boot, when its changesets have none either, then that is no boot in
 * common. */
static void test_decide_made__no_boot_is_not_the_same_boot(void **state)
{
    struct world *world = *state;
    struct decision decision = made(world, 600000, 0, 200000);
    world->li.author.boot = 0;
    assert_int_equal(srv_decide_made(&decision), DAYBOOK_OK);
    assert_int_equal(decision.true_ms, 600000);
}

/* Given a stamp far in the future, when it arrives, then it counts as the time of receipt, the
 * verdict says so, and the author learns the time of creation. */
static void test_decide_made__a_stamp_from_the_future_is_clamped(void **state)
{
    struct world *world = *state;
    struct id id = make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_NAME, "C");
    world->hlc_ms = world->now_ms + 10 * YEAR_MS;
    struct verdict verdict = send_changeset(world, &world->li);
    assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
    assert_true(verdict.clock_suspect);
    expect_int(world, ENTITY_CUSTOMER, &id, FIELD_CREATED_TS, world->now_ms);
    expect_in(pull_all(world, &world->li, verdict.position - 1), "created_ts");
}

/* Given a value written with a clock that is ten years ahead, when somebody with a good clock edits
 * it at the same time a little later, then the good clock's value stands. */
static void test_decide_made__a_bad_stamp_does_not_win_for_years(void **state)
{
    struct world *world = *state;
    struct id id = make_customer(world, &world->li, "C");
    int64_t base = world->org.head;
    edit_record(world, ENTITY_CUSTOMER, &id, base);
    put_text(world, CUSTOMER_PREFS, "of 2036");
    world->hlc_ms = world->now_ms + 10 * YEAR_MS;
    (void)accept(world, &world->li);
    world->now_ms += 1000;
    edit_record(world, ENTITY_CUSTOMER, &id, base);
    put_text(world, CUSTOMER_PREFS, "of now");
    (void)merge(world, &world->wang);
    expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_PREFS, "of now");
}

/* Ends the epoch, as a restore does. */
static void end_epoch(struct world *world)
{
    struct log log = {NULL, NULL, 0};
    assert_int_equal(srv_store_begin(world->store), DAYBOOK_OK);
    assert_int_equal(srv_store_new_epoch(world->store, 0), DAYBOOK_OK);
    assert_int_equal(srv_store_commit(world->store), DAYBOOK_OK);
    srv_decide_free(world->decide);
    world->decide = srv_decide_new(world->store, &log, 0);
    assert_non_null(world->decide);
}

/* Given a store that was restored twice, when changes come that were made in earlier epochs, then
 * what their authors had seen counts up to the head of their epoch's end, and nothing of an epoch
 * that was never. */
static void test_decide_made__what_was_seen_in_an_earlier_epoch_counts_up_to_its_end(void **state)
{
    struct world *world = *state;
    struct id id = make_customer(world, &world->li, "C");
    uint64_t epochs[3];
    int64_t ends[3];
    for (int i = 0; i < 2; i++) {
        epochs[i] = srv_store_epoch(world->store);
        ends[i] = world->org.head;
        end_epoch(world);
        edit_record(world, ENTITY_CUSTOMER, &id, world->org.head);
        put_text(world, CUSTOMER_PREFS, "office");
        world->hlc_ms = world->now_ms + 1000 * (i + 1);
        (void)accept(world, &world->office);
    }
    epochs[2] = srv_store_epoch(world->store);
    ends[2] = world->org.head;
    for (int i = 0; i < 3; i++) {
        struct decision decision = made(world, 0, 0, 0);
        struct decide_input input = *decision.input;
        struct change change = {.seen = ends[2] + 100};
        decision.input = &input;
        input.changeset.epoch = epochs[i];
        assert_int_equal(srv_decide_made(&decision), DAYBOOK_OK);
        assert_int_equal(srv_work_seen(&decision, &change), ends[i]);
        change.seen = 1;
        assert_int_equal(srv_work_seen(&decision, &change), 1);
        input.changeset.epoch = epochs[i] ^ 1;
        assert_int_equal(srv_decide_made(&decision), DAYBOOK_OK);
        assert_int_equal(srv_work_seen(&decision, &change), 0);
    }
    /* Made in the first epoch, above its end: those entries are gone, so the office's value, which
     * has the same number, was not seen. */
    edit_record(world, ENTITY_CUSTOMER, &id, ends[2]);
    put_text(world, CUSTOMER_PREFS, "wang");
    world->epoch = epochs[0];
    (void)merge(world, &world->wang);
    expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_PREFS, "office");
    /* Below its end: seen. */
    id = make_customer(world, &world->li, "D");
    uint64_t epoch = srv_store_epoch(world->store);
    int64_t seen = world->org.head;
    end_epoch(world);
    edit_record(world, ENTITY_CUSTOMER, &id, seen);
    put_text(world, CUSTOMER_NAME, "D by wang");
    world->epoch = epoch;
    (void)accept(world, &world->wang);
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_decide_made__##name, setup_world, teardown_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(true_time),
        TEST(no_boot_is_not_the_same_boot),
        TEST(a_stamp_from_the_future_is_clamped),
        TEST(a_bad_stamp_does_not_win_for_years),
        TEST(what_was_seen_in_an_earlier_epoch_counts_up_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
