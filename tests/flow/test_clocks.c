/* SPDX-License-Identifier: Apache-2.0
 *
 * Devices whose clocks are years ahead or behind, jump, or stand still: all that they record is
 * accepted, in its order, and nothing is blocked for the years that a clock was wrong.
 */
#include "tests/support/company.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define YEAR_MS (INT64_C(365) * 24 * 3600 * 1000)
#define ACCEPTABLE_MS 120000 /* between a clock of the test and the server's */

static struct company company;
static struct rep *wang, *li; /* Li's clocks are the test's */
static char shop[DAYBOOK_ID_SIZE];

/* Li's clocks. */
static struct {
    int64_t ahead_ms; /* of the wall clock */
    int64_t wall_ms;  /* where it stands; 0: it goes */
    bool steady_stands;
} clocks;

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t li_wall_ms(void *context)
{
    (void)context;
    int64_t wall_ms = clocks.wall_ms != 0 ? clocks.wall_ms : now_ms() + clocks.ahead_ms;
    return wall_ms > 0 ? wall_ms : 0;
}

static int64_t li_steady_ms(void *context)
{
    struct timespec now;
    (void)context;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return clocks.steady_stands ? 5000 : (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    wang = company_hire(&company, "wang", "rep", "East");
    li = company_add(&company, "li", "rep", "East");
    li->tap.platform.wall_ms = li_wall_ms;
    li->tap.platform.steady_ms = li_steady_ms;
    rep_begin(li);
    rep_put(wang, "customer", "{\"name\":\"shop\"}", shop);
    company_settle(&company);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

/* Lets Li record two visits and a change of the first, offline, and sync. */
static void work(const char *name, char *visit)
{
    rep_putf(li, "visit", visit, "{\"customer_id\":\"%s\",\"feedback\":\"%s 1\"}", shop, name);
    rep_putf(li, "visit", NULL, "{\"customer_id\":\"%s\",\"feedback\":\"%s 2\"}", shop, name);
    rep_patchf(li, "visit", visit, "{\"feedback\":\"%s 3\"}", name);
}

/* Everything was accepted, in the order in which it was recorded. */
static void expect_accepted(const char *name, const char *visit)
{
    char wanted[60], sql[200];
    company_settle(&company);
    (void)snprintf(wanted, sizeof wanted, "%s 3", name);
    assert_field(wang, "visit", visit, "feedback", wanted);
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM visit WHERE feedback = '%s 2'", name);
    assert_int_equal(rep_count(wang, sql, NULL), 1);
    assert_int_equal(rep_count(li, "SELECT count(*) FROM inbox WHERE kind = 'rejected'", NULL), 0);
    assert_int_equal(server_int(&company.server, "SELECT count(*) FROM decision AS a JOIN decision"
                                                 " AS b ON b.device_no = a.device_no AND"
                                                 " b.seq > a.seq AND b.position < a.position AND"
                                                 " b.position > 0"),
                     0);
}

static int64_t created_ms(const char *visit)
{
    char sql[120];
    (void)snprintf(sql, sizeof sql, "SELECT created_ts FROM visit WHERE id = '%s'", visit);
    return server_int(&company.server, sql);
}

/* Given a clock that jumps ten years ahead, or far back, between two syncs, when the device records
 * and syncs, then all is accepted, and stamps from the future count as received now. */
static void test_clocks__ten_years_ahead_and_back_to_1970(void **state)
{
    static const struct {
        const char *name;
        int64_t ahead_ms;
        bool is_now; /* what the time of creation comes to */
    } cases[] = {
        {"ahead", 10 * YEAR_MS, true},
        {"behind", -10 * YEAR_MS, false},
        {"1970", -100 * YEAR_MS, false},
        {"right", 0, true}, /* with the offset that was learnt in 1970 */
        {"still right", 0, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char visit[DAYBOOK_ID_SIZE];
        clocks.ahead_ms = cases[i].ahead_ms;
        work(cases[i].name, visit);
        int64_t before_ms = now_ms();
        rep_sync(li);
        if (cases[i].is_now) {
            assert_in_range(created_ms(visit), before_ms - ACCEPTABLE_MS, now_ms() + ACCEPTABLE_MS);
        }
        expect_accepted(cases[i].name, visit);
        /* The device has learnt: what comes next is stamped with corrected time. */
        int64_t offset_ms = device_status(&li->device).clock_offset_ms;
        if (cases[i].ahead_ms > -50 * YEAR_MS) {
            assert_in_range(offset_ms + cases[i].ahead_ms + ACCEPTABLE_MS, 0, 2 * ACCEPTABLE_MS);
        }
        work("corrected", visit);
        rep_sync(li);
        assert_in_range(created_ms(visit), before_ms - ACCEPTABLE_MS, now_ms() + ACCEPTABLE_MS);
        company_settle(&company);
    }
}

/* Given a value stamped ten years ahead, when somebody whose clock is right changes it after that,
 * or at the same time and a little later, then the later value stands. */
static void test_clocks__a_bad_stamp_blocks_nobody(void **state)
{
    char visit[DAYBOOK_ID_SIZE];
    (void)state;
    clocks.ahead_ms = 0;
    rep_sync(li);
    rep_putf(wang, "visit", visit, "{\"customer_id\":\"%s\",\"feedback\":\"0\"}", shop);
    company_settle(&company);
    clocks.ahead_ms = 10 * YEAR_MS;
    rep_patch(li, "visit", visit, "{\"feedback\":\"of 2036\"}");
    rep_sync(li);
    rep_patch(wang, "visit", visit, "{\"feedback\":\"of today\"}"); /* has not seen Li's */
    company_settle(&company);
    assert_field(li, "visit", visit, "feedback", "of today");
    rep_patch(li, "visit", visit, "{\"feedback\":\"li again\"}");
    company_settle(&company);
    assert_field(wang, "visit", visit, "feedback", "li again");
    rep_patch(wang, "visit", visit, "{\"feedback\":\"wang again\"}");
    company_settle(&company);
    assert_field(li, "visit", visit, "feedback", "wang again");
    clocks.ahead_ms = 0;
    rep_sync(li);
}

/* Given a clock that is set back between two commits, or stands still, and a steady clock that
 * stands still, when the device records and syncs, then the order of its work is kept. */
static void test_clocks__set_back_between_commits_and_standing_still(void **state)
{
    char visit[DAYBOOK_ID_SIZE];
    (void)state;
    rep_putf(li, "visit", visit, "{\"customer_id\":\"%s\",\"feedback\":\"first\"}", shop);
    for (int i = 1; i <= 5; i++) {
        clocks.ahead_ms = -i * YEAR_MS;
        rep_patchf(li, "visit", visit, "{\"feedback\":\"set back %d\"}", i);
    }
    rep_sync(li);
    company_settle(&company);
    assert_field(wang, "visit", visit, "feedback", "set back 5");
    clocks.ahead_ms = 0;
    clocks.wall_ms = now_ms();
    work("frozen", visit);
    expect_accepted("frozen", visit);
    clocks.steady_stands = true;
    work("steady stands", visit);
    expect_accepted("steady stands", visit);
    clocks.wall_ms = 0;
    clocks.steady_stands = false;
    work("all goes", visit);
    expect_accepted("all goes", visit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clocks__ten_years_ahead_and_back_to_1970),
        cmocka_unit_test(test_clocks__a_bad_stamp_blocks_nobody),
        cmocka_unit_test(test_clocks__set_back_between_commits_and_standing_still),
    };
    return cmocka_run_group_tests_name("clocks", tests, set_up, tear_down);
}
