/* SPDX-License-Identifier: Apache-2.0
 *
 * Merging: what is a conflict, and who wins by which policy. That the winner does not depend on who
 * came first is test_merge_laws.c's.
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
    struct merge_side there = {.stamp = {20, 1000, 2}, .values = stored};
    struct merge_side here = {.stamp = {0, time, 1}, .values = incoming};
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
        if (policy == POLICY_MIN || policy == POLICY_MAX) {
            continue; /* the best of all, whoever saw what */
        }
        assert_int_equal(merge((enum merge_policy)policy, &ninety, &hundred, 1, 20), MERGE_APPLY);
        assert_int_equal(merge((enum merge_policy)policy, &ninety, &nothing, 1, 21), MERGE_APPLY);
    }
}

static void test_merge__the_same_device_is_never_in_conflict_with_itself(void **state)
{
    (void)state;
    struct merge_side there = {.stamp = {20, 1000, 1}, .values = &ninety};
    struct merge_side here = {.stamp = {0, 1, 1}, .values = &hundred};
    assert_int_equal(dk_merge(POLICY_LATEST, &there, &here, 1, 0), MERGE_APPLY);
    assert_int_equal(dk_merge(POLICY_STATE, &there, &here, 1, 0), MERGE_APPLY);
}

static void test_merge__a_field_never_written_is_no_conflict(void **state)
{
    (void)state;
    struct merge_side there = {.stamp = {0, 0, 0}, .values = &nothing};
    struct merge_side here = {.stamp = {0, 1, 1}, .values = &hundred};
    assert_int_equal(dk_merge(POLICY_LATEST, &there, &here, 1, 0), MERGE_APPLY);
}

static void test_merge__latest_takes_the_higher_stamp_then_the_higher_device(void **state)
{
    (void)state;
    assert_int_equal(merge(POLICY_LATEST, &ninety, &hundred, 1001, 19), MERGE_WINS);
    assert_int_equal(merge(POLICY_LATEST, &ninety, &hundred, 999, 19), MERGE_LOSES);
    assert_int_equal(merge(POLICY_LATEST, &ninety, &hundred, 1000, 19),
                     MERGE_LOSES); /* device 1 < 2 */
    struct merge_side there = {.stamp = {20, 1000, 2}, .values = &ninety};
    struct merge_side here = {.stamp = {0, 1000, 3}, .values = &hundred};
    assert_int_equal(dk_merge(POLICY_LATEST, &there, &here, 1, 19), MERGE_WINS);
}

static void test_merge__the_winner_does_not_depend_on_who_came_first(void **state)
{
    (void)state;
    static const hlc times[] = {0, 1, 999, 1000, 1001, INT64_MAX};
    for (size_t i = 0; i < COUNT(times); i++) {
        for (size_t j = 0; j < COUNT(times); j++) {
            struct merge_side a_first = {.stamp = {20, times[i], 1}, .values = &ninety};
            struct merge_side b_second = {.stamp = {0, times[j], 2}, .values = &hundred};
            struct merge_side b_first = {.stamp = {20, times[j], 2}, .values = &hundred};
            struct merge_side a_second = {.stamp = {0, times[i], 1}, .values = &ninety};
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
    struct merge_side there = {.stamp = {20, 1000, 2}, .values = stored};
    struct merge_side here = {.stamp = {0, 1001, 1}, .values = incoming};
    assert_int_equal(dk_merge(POLICY_LATEST, &there, &here, 2, 19), MERGE_WINS);
    here.stamp.time = 999;
    assert_int_equal(dk_merge(POLICY_LATEST, &there, &here, 2, 19), MERGE_LOSES);
    /* one field that differs is enough */
    here.values = half;
    assert_int_equal(dk_merge(POLICY_LATEST, &there, &here, 2, 19), MERGE_LOSES);
    here.values = stored;
    assert_int_equal(dk_merge(POLICY_LATEST, &there, &here, 2, 19), MERGE_SAME);
}

static void test_merge__min_and_max_keep_the_best_whoever_saw_what(void **state)
{
    (void)state;
    for (int seen = 19; seen <= 20; seen++) {
        enum merge_result better = seen == 20 ? MERGE_APPLY : MERGE_WINS;
        assert_int_equal(merge(POLICY_MIN, &ninety, &hundred, 2000, seen), MERGE_LOSES);
        assert_int_equal(merge(POLICY_MAX, &ninety, &hundred, 1, seen), better);
        assert_int_equal(merge(POLICY_MIN, &hundred, &ninety, 1, seen), better);
        assert_int_equal(merge(POLICY_MAX, &hundred, &ninety, 2000, seen), MERGE_LOSES);
        /* no value is never the best */
        assert_int_equal(merge(POLICY_MIN, &ninety, &nothing, 2000, seen), MERGE_LOSES);
        assert_int_equal(merge(POLICY_MAX, &nothing, &ninety, 1, seen), better);
    }
}

static void test_merge__equally_good_groups_go_by_the_stamp(void **state)
{
    (void)state;
    struct value stored[] = {ninety, ninety};
    struct value incoming[] = {ninety, hundred};
    struct merge_side there = {.stamp = {20, 1000, 2}, .values = stored};
    struct merge_side here = {.stamp = {0, 999, 1}, .values = incoming};
    assert_int_equal(dk_merge(POLICY_MIN, &there, &here, 2, 19), MERGE_LOSES);
    assert_int_equal(dk_merge(POLICY_MAX, &there, &here, 2, 20), MERGE_APPLY);
    here.stamp.time = 1001;
    assert_int_equal(dk_merge(POLICY_MIN, &there, &here, 2, 19), MERGE_WINS);
}

static void test_merge__a_doubtful_clock_yields_to_any_other(void **state)
{
    (void)state;
    struct merge_side there = {.stamp = {20, 1000, 2}, .values = &ninety, .doubtful = true};
    struct merge_side here = {.stamp = {0, 1, 1}, .values = &hundred};
    assert_int_equal(dk_merge(POLICY_MIN, &there, &here, 1, 19), MERGE_WINS);
    assert_int_equal(dk_merge(POLICY_MIN, &here, &there, 1, 0), MERGE_LOSES);
    here.values = &nothing;
    assert_int_equal(dk_merge(POLICY_MIN, &there, &here, 1, 20), MERGE_LOSES);
    here.values = &hundred;
    here.doubtful = true;
    assert_int_equal(dk_merge(POLICY_MIN, &there, &here, 1, 19), MERGE_LOSES);
}

/* What becomes of an element with these stamps when device 1 adds or removes it. */
static enum merge_result change_element(bool there, uint32_t stored_device, bool add, int64_t seen)
{
    const struct stamp incoming = {21, 1, 1};
    struct merge_element element = {.there = there, .count = 1};
    element.stamps[0] = (struct stamp){20, 1000, stored_device};
    enum merge_result result = dk_merge_element(&element, add, &incoming, seen);
    assert_int_equal(element.there, add || (there && result == MERGE_LOSES));
    return result;
}

static void test_merge__an_addition_stands_against_a_removal_that_had_not_seen_it(void **state)
{
    (void)state;
    assert_int_equal(change_element(true, 2, false, 19), MERGE_LOSES);
    assert_int_equal(change_element(true, 2, false, 20), MERGE_APPLY);
    assert_int_equal(change_element(true, 1, false, 0), MERGE_APPLY);
    assert_int_equal(change_element(true, 0, false, 19), MERGE_LOSES);
    assert_int_equal(change_element(false, 2, true, 19), MERGE_WINS);
    assert_int_equal(change_element(false, 2, true, 20), MERGE_APPLY);
    assert_int_equal(change_element(true, 2, true, 0), MERGE_SAME);
    assert_int_equal(change_element(false, 2, false, 0), MERGE_SAME);
}

static void test_merge__all_additions_must_have_been_seen(void **state)
{
    (void)state;
    struct merge_element element = {.there = false};
    struct stamp stamp = {0, 5, 0};
    for (uint32_t device = 1; device <= 2 * MERGE_ADDITIONS_MAX; device++) {
        stamp = (struct stamp){10 + device, 5, device};
        (void)dk_merge_element(&element, true, &stamp, 0);
    }
    assert_int_equal(element.count, MERGE_ADDITIONS_MAX);
    /* the first ones have become one, of nobody: the first device alone cannot remove its own */
    struct stamp removal = {40, 6, 1};
    assert_int_equal(dk_merge_element(&element, false, &removal, 10), MERGE_LOSES);
    assert_int_equal(dk_merge_element(&element, false, &removal, stamp.position - 1), MERGE_LOSES);
    assert_int_equal(dk_merge_element(&element, false, &removal, stamp.position), MERGE_APPLY);
    assert_false(element.there);
}

static void test_merge__what_the_server_computes_is_no_conflict(void **state)
{
    (void)state;
    assert_int_equal(merge(POLICY_SERVER, &ninety, &hundred, 1, 0), MERGE_APPLY);
}

static void test_merge__policies_without_a_rule_refuse_and_never_guess(void **state)
{
    (void)state;
    static const enum merge_policy policies[] = {POLICY_IMMUTABLE, POLICY_SET, POLICY_GROW,
                                                 POLICY_STATE, POLICY_DERIVED};
    for (size_t i = 0; i < COUNT(policies); i++) {
        assert_int_equal(merge(policies[i], &ninety, &hundred, 1, 19), MERGE_REFUSED);
        assert_int_equal(merge(policies[i], &ninety, &hundred, 1001, 19), MERGE_REFUSED);
        assert_int_equal(merge(policies[i], &nothing, &hundred, 1001, 0), MERGE_REFUSED);
    }
}

/* Two records become one: MIN and MAX go by the value, a trusted clock first, all else and what is
 * equally good by the stamps, also where one device wrote both. */
static void test_merge__of_two_records_one_side_stands(void **state)
{
    static const struct {
        enum merge_policy policy;
        const struct value *a, *b;
        bool a_doubtful;
        bool earlier, later; /* whether `a` stands where its stamp is the earlier, the later */
    } cases[] = {
        {POLICY_LATEST, &ninety, &hundred, false, false, true},
        {POLICY_LATEST, &nothing, &hundred, false, false, true},
        {POLICY_MIN, &ninety, &hundred, false, true, true},
        {POLICY_MIN, &hundred, &ninety, false, false, false},
        {POLICY_MIN, &ninety, &hundred, true, false, false},
        {POLICY_MIN, &ninety, &ninety, false, false, true},
        {POLICY_MIN, &nothing, &ninety, false, false, false},
        {POLICY_MAX, &ninety, &hundred, false, false, false},
        {POLICY_MAX, &hundred, &ninety, false, true, true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (int later = 0; later < 2; later++) {
            struct merge_side a = {.stamp = {20, later ? 1001 : 999, 1}, .values = cases[i].a};
            struct merge_side b = {.stamp = {21, 1000, 1}, .values = cases[i].b};
            a.doubtful = cases[i].a_doubtful;
            bool stands = later ? cases[i].later : cases[i].earlier;
            assert_int_equal(dk_merge_stands(cases[i].policy, &a, &b), stands);
            assert_int_equal(dk_merge_stands(cases[i].policy, &b, &a), !stands);
        }
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
        cmocka_unit_test(test_merge__min_and_max_keep_the_best_whoever_saw_what),
        cmocka_unit_test(test_merge__equally_good_groups_go_by_the_stamp),
        cmocka_unit_test(test_merge__a_doubtful_clock_yields_to_any_other),
        cmocka_unit_test(test_merge__an_addition_stands_against_a_removal_that_had_not_seen_it),
        cmocka_unit_test(test_merge__all_additions_must_have_been_seen),
        cmocka_unit_test(test_merge__of_two_records_one_side_stands),
        cmocka_unit_test(test_merge__what_the_server_computes_is_no_conflict),
        cmocka_unit_test(test_merge__policies_without_a_rule_refuse_and_never_guess),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
