/* SPDX-License-Identifier: Apache-2.0
 *
 * The business day: dates out of moments, against the C library's calendar, and the organisation's
 * offset at a moment, also where its list is not there or no list.
 */
#include "engine/sales/day.h"

#include "tests/unit/sales_world.h"

#include <time.h>

/* Berlin in 2026, from the beginning of the year. */
#define BERLIN "[[1767225600000,60],[1774746000000,120],[1792890000000,60]]"

static void test_day__is_the_calendars(void **state)
{
    (void)state;
    static const struct {
        int64_t ms, offset_min, day;
    } cases[] = {
        {0, 0, 19700101},
        {-1, 0, 19691231},
        {0, -1, 19691231},
        {-1, 1, 19700101},
        {INT64_C(1709164799999), 0, 20240228}, /* a leap year's February */
        {INT64_C(1709164800000), 0, 20240229},
        {INT64_C(1709251200000), 0, 20240301},
        {INT64_C(-62135596800000), 0, 10101},
        {INT64_C(253402300799999), 0, 99991231},
        {INT64_C(253402300799999), 1, 100000101},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        assert_int_equal(dk_day_at(cases[i].ms, cases[i].offset_min), cases[i].day);
    }
    for (time_t s = -2208988800; s < 4102444800; s += 40009) { /* 1900 to 2100 */
        struct tm civil;
        assert_non_null(gmtime_r(&s, &civil));
        assert_int_equal(dk_day_at((int64_t)s * 1000, 0),
                         (civil.tm_year + 1900) * 10000 + (civil.tm_mon + 1) * 100 + civil.tm_mday);
    }
    assert_true(dk_day_at(INT64_MAX, DAY_OFFSET_MAX) > 99991231);
    assert_true(dk_day_at(INT64_MIN, -DAY_OFFSET_MAX) < 10101);
}

/* Given offsets, when they are asked for about a switch, before the first and behind the last, then
 * that one holds which is nearest. */
static void test_day__offset_of_the_moment(void **state)
{
    (void)state;
    static const struct {
        int64_t ms, minutes, day;
    } cases[] = {
        {0, 60, 19700101},
        {INT64_C(1767225600000), 60, 20260101},
        {INT64_C(1774745999999), 60, 20260329},
        {INT64_C(1774746000000), 120, 20260329},
        {INT64_C(1792881000000), 120, 20261025}, /* 22:30 UTC of the 24th: 0:30 */
        {INT64_C(1792889999999), 120, 20261025},
        {INT64_C(1792890000000), 60, 20261025},
        {INT64_C(1792967400000), 60, 20261025}, /* 22:30 UTC of the 25th: 23:30 */
        {INT64_C(1792969200000), 60, 20261026},
        {INT64_C(4102444800000), 60, 21000101},
    };
    struct record organisation = {.entity = dk_entity(ENTITY_ORGANISATION)};
    organisation.values[ORGANISATION_ZONE_OFFSETS] = text_value(BERLIN);
    organisation.values[ORGANISATION_TZ_MIN] = int_value(-300);
    for (int i = 0; i < COUNT(cases); i++) {
        int64_t minutes = dk_day_offset_min(&organisation, cases[i].ms);
        assert_int_equal(minutes, cases[i].minutes);
        assert_int_equal(dk_day_at(cases[i].ms, minutes), cases[i].day);
    }
}

/* Given texts that are no list, when they are checked, then they are refused by field and rule; and
 * where one is read all the same, then `tz_min` holds, else UTC. */
static void test_day__damaged_offsets(void **state)
{
    (void)state;
    static const char *const damaged[] = {
        "",
        "x",
        "[]",
        "{}",
        "[1,2]",
        "[[]]",
        "[[1]]",
        "[[1,2,3]]",
        "[[1,2]",
        "[[1,2]]]",
        "[[1,2]] []",
        "[[\"1\",2]]",
        "[[1,null]]",
        "[[1,2.5]]",
        "[[1,901]]",
        "[[1,-901]]",
        "[[1,2],[1,3]]",
        "[[2,2],[1,3]]",
        "[[1,2],3]",
        "[[9007199254740993,2]]",
    };
    char large[DAY_OFFSETS_BYTES_MAX + 2];
    struct record organisation = {.entity = dk_entity(ENTITY_ORGANISATION)};
    struct value *offsets = &organisation.values[ORGANISATION_ZONE_OFFSETS];
    struct refusal refusal;
    organisation.values[ORGANISATION_NAME] = text_value("Morning Foods");
    organisation.values[ORGANISATION_CUR] = text_value("EUR");
    organisation.values[ORGANISATION_ZONE] = text_value("Europe/Berlin");
    organisation.values[ORGANISATION_TZ_MIN] = int_value(480);
    memset(large, ' ', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    memcpy(large, "[[1,2]]", 7);
    for (int i = 0; i <= COUNT(damaged); i++) {
        *offsets = text_value(i == COUNT(damaged) ? large : damaged[i]);
        assert_false(dk_day_offsets_valid(offsets->text, offsets->length));
        assert_int_equal(dk_day_offset_min(&organisation, 5), 480);
        assert_false(dk_sales_check(&organisation, UINT64_MAX, &refusal));
        assert_int_equal(refusal.code, REJECT_RULE);
        assert_string_equal(refusal.field, "zone_offsets");
        assert_string_equal(refusal.rule, "offsets");
    }
    offsets->length--; /* the largest that there may be */
    assert_true(dk_day_offsets_valid(offsets->text, offsets->length));
    *offsets = text_value(BERLIN);
    assert_true(dk_sales_check(&organisation, UINT64_MAX, &refusal));
    organisation.values[ORGANISATION_ZONE] = (struct value){0};
    assert_false(dk_sales_check(&organisation, UINT64_MAX, &refusal));
    assert_string_equal(refusal.field, "zone");
    assert_string_equal(refusal.rule, "pair");
    *offsets = (struct value){0};
    assert_true(dk_sales_check(&organisation, UINT64_MAX, &refusal));
    assert_int_equal(dk_day_offset_min(&organisation, 5), 480);
    organisation.values[ORGANISATION_TZ_MIN] = (struct value){0};
    assert_int_equal(dk_day_offset_min(&organisation, 5), 0);
    assert_int_equal(dk_day_offset_min(NULL, 5), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_day__is_the_calendars),
        cmocka_unit_test(test_day__offset_of_the_moment),
        cmocka_unit_test(test_day__damaged_offsets),
    };
    return cmocka_run_group_tests_name("day", tests, NULL, NULL);
}
