/* SPDX-License-Identifier: Apache-2.0
 *
 * power_device STORE: opens a store with the engine that it is linked with, over a disk that loses
 * power at operation POWER_AT (a write, truncation, sync or deletion; 0: never) of the environment,
 * with all that was not synced, or with POWER_SEED what chance says. Prints whether it was
 * cut, and the number of operations. With POWER_FAIL, "point fault sticky", that operation fails
 * instead, by the numbers of power_fail_at; prints how opening ended, how many operations failed,
 * and the number of points. For tests of updates.
 */
#include "tests/support/power.h"

#include <daybook/daybook.h>

#include <stdio.h>
#include <stdlib.h>

/* A number of the environment; 0: none. */
static unsigned long number_of(const char *name)
{
    const char *text = getenv(name);
    return text == NULL ? 0 : strtoul(text, NULL, 10);
}

/* Plans what POWER_FAIL says. */
static bool plan_failure(struct power *power)
{
    const char *text = getenv("POWER_FAIL");
    int point, fault, sticky;
    if (text == NULL || sscanf(text, "%d %d %d", &point, &fault, &sticky) != 3) {
        return false;
    }
    power_fail_at(power, point, (enum power_fault)fault, sticky != 0);
    return true;
}

int main(int argc, char **argv)
{
    daybook_options options = DAYBOOK_OPTIONS_INIT;
    daybook_error error = DAYBOOK_ERROR_INIT;
    daybook *engine = NULL;
    if (argc < 2) {
        return 2;
    }
    struct power *power = power_new();
    options.path = argv[1];
    options.vfs = power_name(power);
    power_cut_at(power, (int)number_of("POWER_AT"), number_of("POWER_SEED"));
    bool fails = plan_failure(power);
    daybook_status status = daybook_open(&options, &engine, &error);
    if (fails) {
        daybook_close(&engine);
        (void)printf("%s %d %d\n", daybook_status_name(status), power_struck(power),
                     power_points(power));
        power_free(power);
        return 0;
    }
    if (status != DAYBOOK_OK) {
        (void)printf("%s: %s\n", daybook_status_name(status), error.text);
        return 1;
    }
    (void)printf("%s %d\n", power_is_cut(power) ? "cut" : "whole", power_operations(power));
    daybook_close(&engine);
    power_free(power);
    return 0;
}
