/* SPDX-License-Identifier: Apache-2.0
 *
 * The state register: one result for one set of operations, whatever the order, with repeats and in
 * any batches; the rules of domain races; and that what is dropped is never missed.
 */
#include "engine/protocol/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHUFFLES 24000
#define OPS 24
#define DEVICES 5

static uint64_t chance = 1;

/* 0 to bound - 1. */
static int draw(int bound)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return (int)(chance % (uint64_t)bound);
}

static struct state_op up(int64_t position, int epoch, int rank)
{
    return (struct state_op){position, (uint32_t)position, (uint16_t)epoch, (uint8_t)rank, -1};
}

static struct state_op down(int64_t position, int epoch, int rank, int peak)
{
    return (struct state_op){position, (uint32_t)position, (uint16_t)epoch, (uint8_t)rank,
                             (int8_t)peak};
}

static void expect(struct state_view view, int epoch, int rank)
{
    if (view.epoch != epoch || view.rank != rank) {
        fail_msg("epoch %d rank %d, expected %d %d", view.epoch, view.rank, epoch, rank);
    }
}

static void test_state__highest_rank_of_an_epoch_stands(void **state)
{
    (void)state;
    struct state_op ops[] = {up(1, 0, 0), up(2, 0, 3), up(3, 0, 1)};
    expect(dk_state_value(ops, 0), 0, -1);
    expect(dk_state_value(ops, 1), 0, 0);
    expect(dk_state_value(ops, 3), 0, 3);
}

/* Suspended, resumed by somebody who saw that: tracking. With a "won" that the resume had not seen,
 * won; and a "lost" in the epoch that the void resume opened counts, below "won". */
static void test_state__reopening_needs_to_have_seen_the_peak(void **state)
{
    (void)state;
    struct state_op ops[] = {up(1, 0, 0), up(2, 0, 1), down(3, 1, 0, 1), up(4, 1, 3), up(5, 0, 4)};
    expect(dk_state_value(ops, 3), 1, 0);
    expect(dk_state_value(ops, 4), 1, 3);
    expect(dk_state_value(ops, 5), 0, 4);
    /* Void because of "invalid" (2): what was done upwards in the void epoch counts below. */
    ops[4] = up(5, 0, 2);
    expect(dk_state_value(ops, 5), 0, 3);
}

static void test_state__two_openers_count_if_one_saw_the_peak(void **state)
{
    (void)state;
    struct state_op ops[] = {up(1, 0, 0),      up(2, 0, 3), down(3, 1, 0, 1),
                             down(4, 1, 0, 3), up(5, 1, 1), down(6, 2, 0, 1)};
    expect(dk_state_value(ops, 3), 0, 3);
    expect(dk_state_value(ops, 4), 1, 0);
    expect(dk_state_value(ops, 6), 2, 0);
}

static void test_state__author_sees_up_to_a_position_and_its_own(void **state)
{
    (void)state;
    struct state_op ops[] = {up(10, 0, 0), up(20, 0, 1), up(30, 0, 3)};
    expect(dk_state_seen(ops, 3, 0, 99), 0, 0); /* the record's beginning at least */
    expect(dk_state_seen(ops, 3, 10, 99), 0, 0);
    expect(dk_state_seen(ops, 3, 25, 99), 0, 1);
    expect(dk_state_seen(ops, 3, 10, 30), 0, 3);
    expect(dk_state_seen(ops, 3, 30, 99), 0, 3);
}

/* A random history: devices that have seen up to somewhere take steps from what they saw. */
static int make_history(struct state_op *ops)
{
    int count = 0;
    ops[count++] = (struct state_op){1, (uint32_t)draw(DEVICES), 0, 0, -1};
    while (count < OPS) {
        uint32_t device = (uint32_t)draw(DEVICES);
        int64_t position = count + 1;
        struct state_view seen = dk_state_seen(ops, count, draw(count + 1), device);
        int rank = draw(8);
        if (rank == seen.rank) {
            continue;
        }
        ops[count] = dk_state_step(seen, rank, rank < seen.rank, position, device);
        count++;
    }
    return count;
}

static void shuffle(struct state_op *ops, int count)
{
    for (int i = count - 1; i > 0; i--) {
        int at = draw(i + 1);
        struct state_op kept = ops[i];
        ops[i] = ops[at];
        ops[at] = kept;
    }
}

/* Adds all of a shuffled list, some of them again, dropping on the way what dk_state_add drops. */
static int add_all(const struct state_op *from, int count, struct state_op *ops)
{
    int kept = 0;
    for (int i = 0; i < count; i++) {
        kept = dk_state_add(ops, kept, &from[i]);
        if (draw(4) == 0) {
            kept = dk_state_add(ops, kept, &from[draw(i + 1)]);
        }
        assert_true(kept > 0);
    }
    return kept;
}

static void same(struct state_view a, struct state_view b)
{
    expect(a, b.epoch, b.rank);
}

static void test_state__any_order_repeats_and_batches_give_one_result(void **state)
{
    struct state_op ops[OPS], mixed[OPS], kept[STATE_OPS_MAX + 1], merged[STATE_OPS_MAX + 1];
    int64_t reopened = 0, dropped = 0;
    (void)state;
    for (int run = 0; run < SHUFFLES; run++) {
        int count = make_history(ops);
        struct state_view value = dk_state_value(ops, count);
        reopened += value.epoch > 0;
        memcpy(mixed, ops, sizeof mixed);
        shuffle(mixed, count);
        same(dk_state_value(mixed, count), value);
        int left = add_all(mixed, count, kept);
        dropped += count - left;
        same(dk_state_value(kept, left), value);
        /* In two batches, folded apart and then together. */
        int split = 1 + draw(count - 1);
        int first = add_all(mixed, split, kept);
        int second = add_all(mixed + split, count - split, merged);
        for (int i = 0; i < first; i++) {
            second = dk_state_add(merged, second, &kept[i]);
        }
        same(dk_state_value(merged, second), value);
    }
    print_message("%d shuffles, %lld reopened, %lld operations dropped\n", SHUFFLES,
                  (long long)reopened, (long long)dropped);
    assert_true(reopened > SHUFFLES / 20);
    assert_true(dropped > SHUFFLES / 2);
}

/* Whatever comes later, and whatever any author had seen: the register that dropped operations
 * answers as the whole set does. */
static void test_state__what_is_dropped_is_never_missed(void **state)
{
    struct state_op ops[OPS], kept[STATE_OPS_MAX + 1];
    (void)state;
    for (int run = 0; run < SHUFFLES / 4; run++) {
        int count = make_history(ops);
        int left = 0;
        for (int i = 0; i < count; i++) {
            left = dk_state_add(kept, left, &ops[i]);
            for (uint32_t device = 0; device <= DEVICES; device++) {
                int64_t seen = draw(count + 1);
                same(dk_state_seen(kept, left, seen, device),
                     dk_state_seen(ops, i + 1, seen, device));
            }
        }
    }
}

/* Two devices that go on and on: the register is bounded by ranks and devices, not by steps. */
static void test_state__register_stays_small(void **state)
{
    struct state_op kept[STATE_OPS_MAX + 1];
    int count = 0;
    (void)state;
    for (int i = 1; i <= 5000; i++) {
        struct state_op op = {i, (uint32_t)(i % 7), 0, (uint8_t)(i % 11), -1};
        count = dk_state_add(kept, count, &op);
        assert_in_range(count, 1, 11 + 7 + 1);
    }
    expect(dk_state_value(kept, count), 0, 10);
}

static void test_state__register_that_is_full_takes_no_more(void **state)
{
    struct state_op kept[STATE_OPS_MAX + 1];
    int count = 0;
    (void)state;
    for (int i = 0; i < STATE_OPS_MAX; i++) {
        struct state_op op = {i + 1, (uint32_t)i, (uint16_t)i, 1, (int8_t)(i == 0 ? -1 : 1)};
        count = dk_state_add(kept, count, &op);
        assert_int_equal(count, i + 1);
    }
    expect(dk_state_value(kept, count), STATE_OPS_MAX - 1, 1);
    struct state_op more = up(1000, 0, 5);
    assert_int_equal(dk_state_add(kept, count, &more), -1);
    more = down(1001, STATE_EPOCH_MAX + 1, 0, 1);
    assert_int_equal(dk_state_add(kept, 1, &more), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state__highest_rank_of_an_epoch_stands),
        cmocka_unit_test(test_state__reopening_needs_to_have_seen_the_peak),
        cmocka_unit_test(test_state__two_openers_count_if_one_saw_the_peak),
        cmocka_unit_test(test_state__author_sees_up_to_a_position_and_its_own),
        cmocka_unit_test(test_state__any_order_repeats_and_batches_give_one_result),
        cmocka_unit_test(test_state__what_is_dropped_is_never_missed),
        cmocka_unit_test(test_state__register_stays_small),
        cmocka_unit_test(test_state__register_that_is_full_takes_no_more),
    };
    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
