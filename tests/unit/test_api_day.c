/* SPDX-License-Identifier: Apache-2.0
 *
 * daybook_business_day: by UTC as long as the device knows no organisation, then by its record; and
 * what it refuses.
 */
#include "tests/unit/api_world.h"

#include "tests/support/script_server.h"

#define EVENING_MS INT64_C(1792881000000)  /* 2026-10-24 22:30 UTC */
#define TOMORROW_MS INT64_C(1792967400000) /* a day later */

static int32_t day_of(struct world *world, int64_t ms)
{
    int32_t day = 0;
    device_must(daybook_business_day(world->engine, ms, &day), NULL);
    return day;
}

/* The server writes these fields of the organisation's record, and the device reads them. */
static void tell(struct world *world, const char *op, const char *fields, const char *values)
{
    char text[ID_WIRE_LENGTH + 1] = "";
    pthread_mutex_lock(&world->script.lock);
    struct script_entry *entry = script_append(&world->script);
    entry->block = malloc(600);
    assert_non_null(entry->block);
    dk_id_to_wire(&SCRIPT_ORGANISATION, text);
    (void)snprintf(entry->block, 600,
                   "{\"entity\":\"organisation\",\"op\":\"%s\",\"bucket\":1,\"fields\":[%s],"
                   "\"rows\":[[%lld,\"%s\",%s]]}",
                   op, fields, (long long)world->script.head, text, values);
    pthread_mutex_unlock(&world->script.lock);
    device_sync(&world->device);
}

/* Given a device that knows no organisation, then one with minutes, then one with offsets, when it
 * is asked for days, then each holds in its turn, in summer and winter. */
static void test_api_day__by_what_the_device_has(void **state)
{
    struct world *world = *state;
    assert_int_equal(day_of(world, EVENING_MS), 20261024);
    device_enrol(&world->device, SCRIPT_CODE);
    assert_int_equal(day_of(world, EVENING_MS), 20261024);
    tell(world, "new", "\"name\",\"cur\",\"tz_min\"", "\"Morning Foods\",\"EUR\",480");
    assert_int_equal(day_of(world, EVENING_MS), 20261025);
    assert_int_equal(day_of(world, TOMORROW_MS), 20261026);
    tell(world, "set", "\"zone\",\"zone_offsets\"",
         "\"Europe/Berlin\",\"[[1774746000000,120],[1792890000000,60]]\"");
    assert_int_equal(day_of(world, EVENING_MS), 20261025);
    assert_int_equal(day_of(world, TOMORROW_MS), 20261025);
    assert_int_equal(day_of(world, -1), 19700101);
    /* A later engine's list may have another form. */
    tell(world, "set", "\"zone_offsets\"", "\"{}\"");
    assert_int_equal(day_of(world, TOMORROW_MS), 20261026);
    tell(world, "set", "\"tz_min\"", "null");
    assert_int_equal(day_of(world, TOMORROW_MS), 20261025);
}

/* Given moments outside of the years that a day can name, and missing arguments, when it is asked,
 * then it says so, and gives no day. */
static void test_api_day__what_it_refuses(void **state)
{
    struct world *world = *state;
    static const int64_t moments[] = {INT64_MIN, INT64_C(-62135596800001), INT64_C(253402300800000),
                                      INT64_MAX};
    for (size_t i = 0; i < COUNT(moments); i++) {
        int32_t day = 7;
        assert_int_equal(daybook_business_day(world->engine, moments[i], &day), DAYBOOK_INVALID);
        assert_int_equal(day, 0);
    }
    assert_int_equal(day_of(world, moments[1] + 1), 10101);
    assert_int_equal(day_of(world, moments[2] - 1), 99991231);
    int32_t day = 7;
    assert_int_equal(daybook_business_day(NULL, 0, &day), DAYBOOK_MISUSE);
    assert_int_equal(day, 0);
    assert_int_equal(daybook_business_day(world->engine, 0, NULL), DAYBOOK_MISUSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(test_api_day__by_what_the_device_has),
        API_TEST(test_api_day__what_it_refuses),
    };
    return cmocka_run_group_tests_name("api_day", tests, NULL, NULL);
}
