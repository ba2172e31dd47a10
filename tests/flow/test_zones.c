/* SPDX-License-Identifier: Apache-2.0
 *
 * The business day between a real server and real devices: the server puts the zone's offsets into
 * the organisation's record, and a device, whose own zone is another and which reads no time-zone
 * data, says the organisation's day on both sides of a change of the clocks.
 */
#include "tests/support/company.h"

#include <daybook/daybook.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#define HOUR_S 3600
#define DAY_S 86400

static struct company company;

/* A company in Berlin. */
static int set_up(void **state)
{
    static const char *const init[] = {"init", "--name", "Morning Foods", "--currency",
                                       "EUR",  "--zone", "Europe/Berlin", NULL};
    struct stat there;
    (void)state;
    if (stat("/usr/share/zoneinfo/Europe/Berlin", &there) != 0) {
        (void)printf("this machine has no time-zone data\n");
        exit(77);
    }
    assert_int_equal(setenv("TZ", "XYZ9", 1), 0);
    memset(&company, 0, sizeof company);
    server_init(&company.server);
    server_must(&company.server, init);
    server_start(&company.server);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

/* Midnight UTC of the last Sunday of next October, when winter begins at one o'clock: reckoned by
 * the calendar. */
static time_t last_sunday(void)
{
    struct tm civil;
    time_t day = time(NULL) / DAY_S * DAY_S;
    time_t sunday = 0;
    for (; sunday == 0 || civil.tm_mon == 9; day += DAY_S) {
        assert_non_null(gmtime_r(&day, &civil));
        if (civil.tm_mon == 9 && civil.tm_wday == 0) {
            sunday = day;
        }
    }
    return sunday;
}

/* A day as the calendar has it, UTC. */
static int32_t utc_day(time_t moment_s)
{
    struct tm civil;
    assert_non_null(gmtime_r(&moment_s, &civil));
    return (civil.tm_year + 1900) * 10000 + (civil.tm_mon + 1) * 100 + civil.tm_mday;
}

static int32_t day_of(struct rep *rep, time_t moment_s)
{
    int32_t day = 0;
    device_must(daybook_business_day(rep->device.engine, (int64_t)moment_s * 1000, &day), NULL);
    return day;
}

/* Given a company in Berlin, when a device is asked for days about the end of summer time, before
 * it has enrolled and when it is in step, then it is UTC's at first, and then Berlin's. */
static void test_zones__device_says_the_organisations_day(void **state)
{
    (void)state;
    time_t sunday = last_sunday();
    struct rep *li = company_add(&company, "li", "rep", "East");
    device_open(&li->device);
    assert_int_equal(day_of(li, sunday - HOUR_S), utc_day(sunday - HOUR_S));
    device_close(&li->device);
    rep_begin(li);
    company_settle(&company);
    /* Summer: midnight is at 22:00 UTC. */
    assert_int_equal(day_of(li, sunday - 2 * HOUR_S - 1), utc_day(sunday - 1));
    assert_int_equal(day_of(li, sunday - 2 * HOUR_S), utc_day(sunday));
    /* The clocks go back at one; the day has 25 hours. */
    assert_int_equal(day_of(li, sunday + HOUR_S), utc_day(sunday));
    assert_int_equal(day_of(li, sunday + 23 * HOUR_S - 1), utc_day(sunday));
    assert_int_equal(day_of(li, sunday + 23 * HOUR_S), utc_day(sunday + DAY_S));
    assert_string_equal(device_text(&li->device, "SELECT zone FROM organisation"), "Europe/Berlin");
}

/* Given a device in step, when the operator moves the company to another zone, then the device
 * learns of it with its next sync; without a zone the day is UTC's. */
static void test_zones__another_zone_reaches_the_device(void **state)
{
    (void)state;
    char line[300], organisation[DAYBOOK_ID_SIZE];
    time_t sunday = last_sunday();
    struct rep *wang = company_hire(&company, "wang", "rep", "East");
    assert_int_equal(day_of(wang, sunday + 22 * HOUR_S), utc_day(sunday));
    (void)snprintf(organisation, sizeof organisation, "%s",
                   device_text(&wang->device, "SELECT id FROM organisation"));
    (void)snprintf(line, sizeof line,
                   "{\"entity\":\"organisation\",\"id\":\"%s\",\"zone\":\"Asia/Shanghai\"}\n",
                   organisation);
    server_import(&company.server, line);
    rep_sync(wang);
    assert_int_equal(day_of(wang, sunday + 16 * HOUR_S - 1), utc_day(sunday));
    assert_int_equal(day_of(wang, sunday + 16 * HOUR_S), utc_day(sunday + DAY_S));
    (void)snprintf(line, sizeof line, "{\"entity\":\"organisation\",\"id\":\"%s\",\"zone\":null}\n",
                   organisation);
    server_import(&company.server, line);
    rep_sync(wang);
    assert_int_equal(day_of(wang, sunday + 24 * HOUR_S - 1), utc_day(sunday));
    assert_int_equal(day_of(wang, sunday + 24 * HOUR_S), utc_day(sunday + DAY_S));
    company_settle(&company);
}

/* Given a name that is none, when init is told it, then it fails, says which, and makes nothing. */
static void test_zones__init_names_a_zone_that_is_not_there(void **state)
{
    (void)state;
    static const char *const init[] = {"init", "--zone", "Europe/Nowhere", NULL};
    static const char *const again[] = {"init", "--zone", "Europe/Berlin", NULL};
    struct server server;
    char out[2000];
    server_init(&server);
    assert_int_not_equal(server_run(&server, out, sizeof out, init), 0);
    assert_non_null(strstr(out, "there is no time zone Europe/Nowhere"));
    server_must(&server, again);
    server_clear(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zones__device_says_the_organisations_day),
        cmocka_unit_test(test_zones__another_zone_reaches_the_device),
        cmocka_unit_test(test_zones__init_names_a_zone_that_is_not_there),
    };
    return cmocka_run_group_tests_name("zones", tests, set_up, tear_down);
}
