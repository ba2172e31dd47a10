/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the API share: a device with a scripted server, opened and, where a test wants
 * it, enrolled. Included once by each of their files.
 */
#ifndef DAYBOOK_UNIT_API_WORLD_H
#define DAYBOOK_UNIT_API_WORLD_H

#include "tests/support/device.h"
#include "tests/support/script.h"

#include <daybook/daybook.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct world {
    struct script script;
    struct device device;
    daybook *engine; /* of the device, for short */
};

/* A device that was opened, not enrolled. */
static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    if (world == NULL) {
        return -1;
    }
    script_init(&world->script);
    device_init(&world->device, &world->script.platform, "https://script.test", NULL);
    device_open(&world->device);
    world->engine = world->device.engine;
    *state = world;
    return 0;
}

/* Closes and removes everything. */
static int tear_down(void **state)
{
    struct world *world = *state;
    device_clear(&world->device);
    script_clear(&world->script);
    free(world);
    return 0;
}

#define API_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
