/* SPDX-License-Identifier: Apache-2.0
 *
 * Merging: what is a conflict, who wins by which policy, and that the winner does not depend on who
 * came first.
 */
#include "engine/protocol/merge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct value ninety = {.kind = VALUE_INT, .integer = 90};
static const struct value hundred = {.kind = VALUE_INT, .integer = 100};
static const struct value nothing = {.kind = VALUE_NULL};

/* Stored by device 2 at position 20, time 1000; incoming from device 1 with this time and `seen`.
 */
static enum merge_result merge(enum merge_policy policy, const struct value *stored,
                               const struct value *incoming, hlc time, int64_t seen)
{
    struct merge_side there = {{20, 1000, 2}, stored};
    struct merge_side here = {{0, time, 1}, incoming};
    return dk_merge(policy, &there, &here, 1, seen);
}

static void test_merge__equal_values_are_no_conflict_under_any_policy(void **state)
{
    (void)state;
    for (int policy = POLICY_LATEST; policy <= POLICY_DERIVED; policy++) {
        assert_int_equal(merge((enum merge_policy)policy, &ninety, &ninety, 5, 0), MERGE_SAME);
        assert_int_equal(merge((enum merge_policy)policy, &nothing, &nothing, 5, 20), MERGE_SAME);
    }
}

static void test_merge__what_was_seen_is_replaced_whatever_the_clocks_say(void **state)
{
    (void)state;
    for (int policy = POLICY_LATEST; policy <= POLICY_GROW; policy++) {
        assert_int_equal(merge((enum merge_policy)policy, &ninety, &hundred, 1, 20), MERGE_APPLY);
        assert_int_equal(merge((enum merge_policy)policy, &ninety, &nothing, 1, 21), MERGE_APPLY);
    }
}

static void test_merge__the_same_device_is_never_in_conflict_with_itself(void **state)
{
    (void)state;
    struct merge_side there = {{20, 1000, 1}, &ninety};
    struct merge_side here = {{0, 1, 1}, &hundred};
    assert_int_equal(dk_merge(POLICY_LATEST, &there, &here, 1, 0), MERGE_APPLY);
    assert_int_equal(dk_merge(POLICY_STATE, &there, &here, 1, 0), MERGE_APPLY);
}

static void test_merge__a_field_never_written_is_no_conflict(void **state)
{
    (void)state;
    struct merge_side there = {{0, 0, 0}, &nothing};
    struct merge_side here = {{0, 1, 1}, &hundred};
    assert_int_equal(dk_merge(POLICY_LATEST, &there, &here, 1, 0), MERGE_APPLY);
}

static void test_merge__latest_takes_the_higher_stamp_then_the_higher_device(void **state)
{
    (void)state;
    assert_int_equal(merge(POLICY_LATEST, &ninety, &hundred, 1001, 19), MERGE_WINS);
    assert_int_equal(merge(POLICY_LATEST, &ninety, &hundred, 999, 19), MERGE_LOSES);
    assert_int_equal(merge(POLICY_LATEST, &ninety, &hundred, 1000, 19),
                     MERGE_LOSES); /* device 1 < 2 */
    struct merge_side there = {{20, 1000, 2}, &ninety};
    struct merge_side here = {{0, 1000, 3}, &hundred};
    assert_int_equal(dk_merge(POLICY_LATEST, &there, &here, 1, 19), MERGE_WINS);
}

static void test_merge__the_winner_does_not_depend_on_who_came_first(void **state)
{
    (void)state;
    static const hlc times[] = {0, 1, 999, 1000, 1001, INT64_MAX};
    for (size_t i = 0; i < COUNT(times); i++) {
        for (size_t j = 0; j < COUNT(times); j++) {
            struct merge_side a_first = {{20, times[i], 1}, &ninety},
                              b_second = {{0, times[j], 2}, &hundred};
            struct merge_side b_first = {{20, times[j], 2}, &hundred},
                              a_second = {{0, times[i], 1}, &ninety};
            bool b_stands = dk_merge(POLICY_LATEST, &a_first, &b_second, 1, 0) == MERGE_WINS;
            bool b_stood = dk_merge(POLICY_LATEST, &b_first, &a_second, 1, 0) == MERGE_LOSES;
            assert_int_equal(b_stands, b_stood);
        }
    }
}

static void test_merge__a_group_stands_or_falls_as_one(void **state)
{
    (void)state;
    static const struct value eur = {.kind = VALUE_TEXT, .length = 3, .text = "EUR"};
    static const struct value usd = {.kind = VALUE_TEXT, .length = 3, .text = "USD"};
    struct value stored[] = {ninety, eur};
    struct value incoming[] = {hundred, usd};
    struct value half[] = {ninety, usd};
    struct merge_side there = {{20, 1000, 2}, stored};
    struct merge_side here = {{0, 1001, 1}, incoming};
    assert_int_equal(dk_merge(POLICY_LATEST, &there, &here, 2, 19), MERGE_WINS);
    here.stamp.time = 999;
    assert_int_equal(dk_merge(POLICY_LATEST, &there, &here, 2, 19), MERGE_LOSES);
    /* one field that differs is enough */
    here.values = half;
    assert_int_equal(dk_merge(POLICY_LATEST, &there, &here, 2, 19), MERGE_LOSES);
    here.values = stored;
    assert_int_equal(dk_merge(POLICY_LATEST, &there, &here, 2, 19), MERGE_SAME);
}

static void test_merge__what_grows_is_no_conflict(void **state)
{
    (void)state;
    assert_int_equal(merge(POLICY_GROW, &ninety, &hundred, 1, 0), MERGE_APPLY);
    assert_int_equal(merge(POLICY_SERVER, &ninety, &hundred, 1, 0), MERGE_APPLY);
}

static void test_merge__policies_without_a_rule_refuse_and_never_guess(void **state)
{
    (void)state;
    static const enum merge_policy policies[] = {POLICY_IMMUTABLE, POLICY_PROPOSE, POLICY_MIN,
                                                 POLICY_MAX,       POLICY_SET,     POLICY_STATE,
                                                 POLICY_DERIVED};
    for (size_t i = 0; i < COUNT(policies); i++) {
        assert_int_equal(merge(policies[i], &ninety, &hundred, 1, 19), MERGE_REFUSED);
        assert_int_equal(merge(policies[i], &ninety, &hundred, 1001, 19), MERGE_REFUSED);
        assert_int_equal(merge(policies[i], &nothing, &hundred, 1001, 0), MERGE_REFUSED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge__equal_values_are_no_conflict_under_any_policy),
        cmocka_unit_test(test_merge__what_was_seen_is_replaced_whatever_the_clocks_say),
        cmocka_unit_test(test_merge__the_same_device_is_never_in_conflict_with_itself),
        cmocka_unit_test(test_merge__a_field_never_written_is_no_conflict),
        cmocka_unit_test(test_merge__latest_takes_the_higher_stamp_then_the_higher_device),
        cmocka_unit_test(test_merge__the_winner_does_not_depend_on_who_came_first),
        cmocka_unit_test(test_merge__a_group_stands_or_falls_as_one),
        cmocka_unit_test(test_merge__what_grows_is_no_conflict),
        cmocka_unit_test(test_merge__policies_without_a_rule_refuse_and_never_guess),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
