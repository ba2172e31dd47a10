/* SPDX-License-Identifier: Apache-2.0
 *
 * Every rejection that an app can meet, with every kind of change behind it.
 */
#include "tests/flow/verdict_stories.h"

STORIES(rejected_for_a_missing_record, MISSING)
STORIES(rejected_for_a_rule, RULE)
STORIES(rejected_for_a_right, AUTH)
STORIES(rejected_for_what_it_builds_on, DEPENDS)
STORIES(rejected_for_a_step, TRANSITION)
STORIES(rejected_for_a_limit, LIMIT)
STORIES(rejected_for_a_number, EXISTS)
STORIES(rejected_for_the_scope, SCOPE)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts__rejected_for_a_missing_record),
        cmocka_unit_test(test_verdicts__rejected_for_a_rule),
        cmocka_unit_test(test_verdicts__rejected_for_a_right),
        cmocka_unit_test(test_verdicts__rejected_for_what_it_builds_on),
        cmocka_unit_test(test_verdicts__rejected_for_a_step),
        cmocka_unit_test(test_verdicts__rejected_for_a_limit),
        cmocka_unit_test(test_verdicts__rejected_for_a_number),
        cmocka_unit_test(test_verdicts__rejected_for_the_scope),
    };
    return cmocka_run_group_tests_name("undone", tests, set_up, tear_down);
}
