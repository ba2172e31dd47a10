/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines that work, but badly: far away, narrow, so narrow that nothing gets through in time, or
 * each of these in turn. What can be done over them is done; what cannot ends in time with an error
 * that says so, loses nothing, and is done over a better line.
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

static struct company company;
static struct rep *wang; /* on a clean line */
static struct rep *li;   /* behind the proxy */
static struct proxy *proxy;
static char proxy_url[64];
static char shop[DAYBOOK_ID_SIZE];

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    proxy = company_pair_behind(&company, &wang, &li, proxy_url);
    rep_put(wang, "customer", "{\"name\":\"好邻居\"}", shop);
    company_settle(&company);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    proxy_stop(proxy);
    return 0;
}

/* Opens the device anew, so that the next connection is a fresh one. */
static void reopen(int64_t timeout_ms)
{
    device_close(&li->device);
    li->device.options.timeout_ms = timeout_ms;
    device_open(&li->device);
}

static void visits(struct rep *rep, const char *feedback, int count)
{
    for (int i = 0; i < count; i++) {
        rep_putf(rep, "visit", NULL, "{\"customer_id\":\"%s\",\"feedback\":\"%s %d\"}", shop,
                 feedback, i);
    }
}

/* So many visits that Li has to send, and as many that wait for Li; the next line is a fresh one.
 */
static void work(const char *up, const char *down, int count)
{
    visits(li, up, count);
    visits(wang, down, count);
    rep_sync(wang);
    reopen(0);
}

static int64_t ms_since(const struct timespec *begin)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - begin->tv_sec) * 1000 + (now.tv_nsec - begin->tv_nsec) / 1000000;
}

/* Over a clean line both have the same, and the server has each visit once. */
static void mends(const char *feedback, int64_t count)
{
    char sql[200];
    proxy_make_plan(proxy, PROXY_PLAN_CLEAN);
    reopen(0);
    company_settle(&company);
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM visit WHERE feedback LIKE '%s%%'",
                   feedback);
    assert_int_equal(server_int(&company.server, sql), count);
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(DISTINCT feedback) FROM visit WHERE feedback LIKE '%s%%'",
                   feedback);
    assert_int_equal(server_int(&company.server, sql), count);
}

/* Half a second each way, as over a satellite. */
static void test_lines__far_away(void **state)
{
    struct timespec begin;
    (void)state;
    work("far up", "far down", 20);
    proxy_slow(proxy, 0, 500);
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    rep_sync(li);
    assert_true(ms_since(&begin) >= 3 * 500); /* it was far: a handshake, and more */
    assert_int_equal(device_status(&li->device).pending, 0);
    assert_int_equal(
        device_int(&li->device, "SELECT count(*) FROM visit WHERE feedback LIKE 'far down%'"), 20);
    mends("far", 40);
}

/* Ten kilobytes a second: a day's work goes through. */
static void test_lines__narrow(void **state)
{
    (void)state;
    work("narrow up", "narrow down", 100);
    proxy_slow(proxy, 10000, 0);
    rep_sync(li);
    assert_int_equal(device_status(&li->device).pending, 0);
    assert_true(proxy_look(proxy).up > 0 && proxy_look(proxy).ends == 0);
    mends("narrow", 200);
}

/* 64 bytes a second: a handshake alone would take minutes. */
static void test_lines__nothing_gets_through_in_time(void **state)
{
    struct timespec begin;
    (void)state;
    visits(li, "drops", 3);
    reopen(2000);
    proxy_slow(proxy, 64, 0);
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    device_sync_expect(&li->device, DAYBOOK_TIMEOUT);
    assert_true(ms_since(&begin) < 30000);
    assert_int_equal(device_status(&li->device).pending, 3);
    /* a budget ends it too, and says that */
    reopen(0);
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    assert_int_equal(daybook_sync(li->device.engine, 1000, NULL), DAYBOOK_INTERRUPTED);
    assert_true(ms_since(&begin) < 30000);
    mends("drops", 3);
}

/* The line becomes narrow while a request is on its way: what was sent before stays sent. */
static void test_lines__narrow_in_the_middle(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        char feedback[32];
        (void)snprintf(feedback, sizeof feedback, "middle %d", round);
        proxy_make_plan(proxy, PROXY_PLAN_CLEAN);
        reopen(1500);
        rep_sync(li); /* the connection stands */
        visits(li, feedback, 5);
        proxy_slow(proxy, 64, 0);
        device_sync_expect(&li->device, DAYBOOK_TIMEOUT);
    }
    mends("middle", 15);
}

/* Far, narrow and cut, as in a lift: at last it is through. */
static void test_lines__each_in_turn(void **state)
{
    static const struct {
        struct proxy_plan plan;
        int bytes_per_s, delay_ms;
    } lines[] = {
        {{-1, -1, PROXY_CLOSE}, 0, 300}, {{700, -1, PROXY_RESET}, 0, 0},
        {{-1, 400, PROXY_STALL}, 0, 0},  {{-1, -1, PROXY_CLOSE}, 3000, 50},
        {{0, 0, PROXY_CLOSE}, 0, 0},     {{-1, 900, PROXY_HALF_CLOSE}, 20000, 0},
    };
    const size_t count = sizeof lines / sizeof lines[0];
    (void)state;
    for (size_t i = 0; i < 2 * count; i++) {
        char feedback[32];
        (void)snprintf(feedback, sizeof feedback, "turn %02zu", i);
        visits(li, feedback, 2);
        reopen(1000);
        proxy_make_plan(proxy, lines[i * 5 % count].plan);
        proxy_slow(proxy, lines[i * 5 % count].bytes_per_s, lines[i * 5 % count].delay_ms);
        enum daybook_class kind = daybook_status_class(daybook_sync(li->device.engine, 0, NULL));
        assert_true(kind == DAYBOOK_CLASS_OK || kind == DAYBOOK_CLASS_OFFLINE);
    }
    mends("turn", 2 * 2 * (int64_t)count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines__far_away),
        cmocka_unit_test(test_lines__narrow),
        cmocka_unit_test(test_lines__nothing_gets_through_in_time),
        cmocka_unit_test(test_lines__narrow_in_the_middle),
        cmocka_unit_test(test_lines__each_in_turn),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
