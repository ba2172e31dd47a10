/* SPDX-License-Identifier: Apache-2.0
 *
 * The hybrid clock: always forward, never far ahead, and no number from outside makes it wrap.
 */
#include "engine/protocol/stamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW INT64_C(1730968140000)

static void test_stamp__ticks_ascend_also_when_the_clock_stands_or_goes_back(void **state)
{
    (void)state;
    struct hlc_clock clock = {0, 0};
    hlc first = dk_hlc_tick(&clock, NOW);
    assert_true(first == (hlc)NOW << 16);
    /* when time stands still, then the counter goes on */
    assert_true(dk_hlc_tick(&clock, NOW) == first + 1);
    /* when it goes back */
    assert_true(dk_hlc_tick(&clock, NOW - 3600000) == first + 2);
    /* when it goes on */
    assert_true(dk_hlc_tick(&clock, NOW + 1) == (hlc)(NOW + 1) << 16);
    assert_int_equal(dk_hlc_ms(clock.last), NOW + 1);
}

static void test_stamp__a_full_counter_carries_into_the_milliseconds(void **state)
{
    (void)state;
    struct hlc_clock clock = {((hlc)NOW << 16) + 0xFFFF, 0};
    assert_true(dk_hlc_tick(&clock, NOW) == (hlc)(NOW + 1) << 16);
}

static void test_stamp__a_round_trip_gives_the_offset_of_its_middle(void **state)
{
    (void)state;
    struct hlc_clock clock = {0, 0};
    /* given a device that is an hour behind, and a reply after 400 ms */
    dk_hlc_learn(&clock, NOW, NOW + 400, NOW + 3600200);
    assert_int_equal(clock.offset_ms, 3600000);
    assert_int_equal(dk_hlc_ms(dk_hlc_tick(&clock, NOW + 500)), NOW + 3600500);
}

static void test_stamp__a_clock_that_ran_ahead_is_set_back(void **state)
{
    (void)state;
    struct hlc_clock clock = {(hlc)(NOW + 86400000) << 16, 0};
    dk_hlc_learn(&clock, NOW, NOW, NOW);
    assert_true(clock.last == (hlc)NOW << 16);
    assert_true(dk_hlc_tick(&clock, NOW) == ((hlc)NOW << 16) + 1);
    /* up to a second ahead is normal and stays */
    clock.last = (hlc)(NOW + 1000) << 16;
    dk_hlc_learn(&clock, NOW, NOW, NOW);
    assert_true(clock.last == (hlc)(NOW + 1000) << 16);
    clock.last = (hlc)(NOW + 1001) << 16;
    dk_hlc_learn(&clock, NOW, NOW, NOW);
    assert_true(clock.last == (hlc)NOW << 16);
}

static void test_stamp__a_wall_clock_set_back_during_the_trip_counts_from_receipt(void **state)
{
    (void)state;
    struct hlc_clock clock = {0, 0};
    dk_hlc_learn(&clock, NOW, NOW - 3600000, NOW + 100);
    assert_int_equal(clock.offset_ms, 3600100);
}

static void test_stamp__only_what_is_far_ahead_is_clamped(void **state)
{
    (void)state;
    bool clamped = true;
    hlc allowed = ((hlc)(NOW + STAMP_AHEAD_MAX_MS) << 16) + 0xFFFF;
    assert_true(dk_hlc_clamp(allowed, NOW, &clamped) == allowed);
    assert_false(clamped);
    assert_true(dk_hlc_clamp(allowed + 1, NOW, &clamped) == (hlc)NOW << 16);
    assert_true(clamped);
    /* what is long ago stays */
    assert_true(dk_hlc_clamp(5, NOW, &clamped) == 5);
    assert_false(clamped);
}

static void test_stamp__order_is_time_then_device(void **state)
{
    (void)state;
    assert_true(dk_stamp_compare(1, 9, 2, 1) < 0);
    assert_true(dk_stamp_compare(2, 1, 1, 9) > 0);
    assert_true(dk_stamp_compare(2, 1, 2, 2) < 0);
    assert_true(dk_stamp_compare(2, 3, 2, 2) > 0);
    assert_int_equal(dk_stamp_compare(2, 2, 2, 2), 0);
    assert_true(dk_stamp_compare(UINT64_MAX, 0, 1, UINT32_MAX) > 0);
}

static void test_stamp__true_time_counts_back_by_the_steady_clock(void **state)
{
    (void)state;
    int64_t true_ms = -1;
    assert_true(dk_true_time(1000000, 500000, 200000, &true_ms));
    assert_int_equal(true_ms, 700000);
    assert_true(dk_true_time(1000000, 500000, 500000, &true_ms));
    assert_int_equal(true_ms, 1000000);
    assert_true(dk_true_time(1000000, 1000000, 0, &true_ms));
    assert_int_equal(true_ms, 0);
    /* an act lies neither ahead of now nor before 1970 */
    true_ms = -1;
    assert_false(dk_true_time(1000000, 500000, 500001, &true_ms));
    assert_false(dk_true_time(1000000, 1000001, 0, &true_ms));
    assert_false(dk_true_time(-1, 0, 0, &true_ms));
    assert_int_equal(true_ms, -1);
}

static void test_stamp__no_number_makes_it_wrap(void **state)
{
    (void)state;
    static const int64_t extremes[] = {INT64_MIN, INT64_MIN + 1, -1,       0, 1,
                                       NOW,       INT64_MAX - 1, INT64_MAX};
    enum { N = sizeof extremes / sizeof extremes[0] };
    for (int a = 0; a < N; a++) {
        for (int b = 0; b < N; b++) {
            for (int c = 0; c < N; c++) {
                struct hlc_clock clock = {(hlc)NOW << 16, 0};
                bool clamped;
                dk_hlc_learn(&clock, extremes[a], extremes[b], extremes[c]);
                hlc before = clock.last;
                hlc tick = dk_hlc_tick(&clock, extremes[a]);
                /* then stamps stay in 63 bits and above the last */
                assert_true(tick <= INT64_MAX);
                assert_true(tick > before || before == INT64_MAX);
                assert_true(dk_hlc_clamp(tick, extremes[c], &clamped) <= INT64_MAX);
                int64_t true_ms = 0;
                bool known = dk_true_time(extremes[a], extremes[b], extremes[c], &true_ms);
                assert_true(!known || (true_ms >= 0 && true_ms <= extremes[a]));
            }
        }
    }
}

static void test_stamp__at_the_end_of_time_it_stands_still(void **state)
{
    (void)state;
    struct hlc_clock clock = {INT64_MAX, 0};
    assert_true(dk_hlc_tick(&clock, INT64_MAX) == INT64_MAX);
    clock = (struct hlc_clock){0, 0};
    assert_int_equal(dk_hlc_ms(dk_hlc_tick(&clock, INT64_MAX)), (INT64_C(1) << 47) - 1);
    clock = (struct hlc_clock){0, 0};
    assert_int_equal(dk_hlc_ms(dk_hlc_tick(&clock, -5)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stamp__ticks_ascend_also_when_the_clock_stands_or_goes_back),
        cmocka_unit_test(test_stamp__a_full_counter_carries_into_the_milliseconds),
        cmocka_unit_test(test_stamp__a_round_trip_gives_the_offset_of_its_middle),
        cmocka_unit_test(test_stamp__a_clock_that_ran_ahead_is_set_back),
        cmocka_unit_test(test_stamp__a_wall_clock_set_back_during_the_trip_counts_from_receipt),
        cmocka_unit_test(test_stamp__only_what_is_far_ahead_is_clamped),
        cmocka_unit_test(test_stamp__order_is_time_then_device),
        cmocka_unit_test(test_stamp__true_time_counts_back_by_the_steady_clock),
        cmocka_unit_test(test_stamp__no_number_makes_it_wrap),
        cmocka_unit_test(test_stamp__at_the_end_of_time_it_stands_still),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
