/* SPDX-License-Identifier: Apache-2.0
 *
 * What waits for an operator and then takes effect or not, with every kind of change behind
 * it.
 */
#include "tests/flow/verdict_stories.h"

STORIES(quarantined_and_released, RELEASED)
STORIES(quarantined_and_turned_down, TURNED_DOWN)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts__quarantined_and_released),
        cmocka_unit_test(test_verdicts__quarantined_and_turned_down),
    };
    return cmocka_run_group_tests_name("waiting", tests, set_up, tear_down);
}
