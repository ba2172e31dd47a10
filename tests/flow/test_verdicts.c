/* SPDX-License-Identifier: Apache-2.0
 *
 * Every verdict that lets a changeset take effect, with every kind of change behind it.
 */
#include "tests/flow/verdict_stories.h"

STORIES(accepted, ACCEPTED)
STORIES(merged_and_lost, LOST)
STORIES(merged_and_won, WON)
STORIES(duplicate, DUPLICATE)
STORIES(held, HELD)
STORIES(clamped, CLOCK)
STORIES(remapped, REMAPPED)
STORIES(moved, MOVED)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts__accepted),
        cmocka_unit_test(test_verdicts__merged_and_lost),
        cmocka_unit_test(test_verdicts__merged_and_won),
        cmocka_unit_test(test_verdicts__duplicate),
        cmocka_unit_test(test_verdicts__held),
        cmocka_unit_test(test_verdicts__clamped),
        cmocka_unit_test(test_verdicts__remapped),
        cmocka_unit_test(test_verdicts__moved),
    };
    return cmocka_run_group_tests_name("verdicts", tests, set_up, tear_down);
}
