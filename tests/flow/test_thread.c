/* SPDX-License-Identifier: Apache-2.0
 *
 * The sync thread with the real server: it brings what others did and tells who watches, comes up
 * again after the server was away, can be woken, and stops at once, also in the middle of an
 * exchange that stands still.
 */
#include "tests/support/company.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define WAIT_MS 20000 /* far more than anything here takes */

static struct company company;
static struct rep *wang, *li;
static struct proxy *proxy;
static char proxy_url[64];
static char shop[DAYBOOK_ID_SIZE];

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    proxy = company_pair_behind(&company, &wang, &li, proxy_url);
    rep_put(wang, "customer", "{\"name\":\"shop\",\"kind\":\"k0\"}", shop);
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

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_ms(int ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    (void)nanosleep(&pause, NULL);
}

/* Waits until the device shows the customer's kind like this. */
static void wait_for_kind(struct rep *rep, const char *kind)
{
    int64_t end_ms = now_ms() + WAIT_MS;
    while (now_ms() < end_ms) {
        if (strcmp(rep_field(rep, "customer", shop, "kind"), kind) == 0) {
            return;
        }
        pause_ms(5);
    }
    assert_field(rep, "customer", shop, "kind", kind);
}

/* Waits until the server has it. */
static void wait_for_server(const char *kind)
{
    int64_t end_ms = now_ms() + WAIT_MS;
    while (now_ms() < end_ms &&
           strcmp(company_field(&company, "customer", shop, "kind"), kind) != 0) {
        pause_ms(5);
    }
    assert_string_equal(company_field(&company, "customer", shop, "kind"), kind);
}

static void count_call(void *context)
{
    atomic_int *calls = context;
    atomic_fetch_add(calls, 1);
}

static void test_thread__synced_change_is_told_to_who_watches(void **state)
{
    static atomic_int calls;
    daybook_watch *watch = NULL;
    (void)state;
    atomic_store(&calls, 0);
    device_must(daybook_watch_open(li->device.engine, "SELECT kind FROM customer", count_call,
                                   &calls, &watch, &li->device.error),
                &li->device.error);
    rep_patch(wang, "customer", shop, "{\"kind\":\"watched\"}");
    rep_sync(wang);
    assert_int_equal(atomic_load(&calls), 0);
    rep_sync(li);
    assert_true(atomic_load(&calls) >= 1);
    /* A sync that brings nothing tells nothing; another table's news neither. */
    int before = atomic_load(&calls);
    rep_sync(li);
    rep_putf(wang, "visit", NULL, "{\"customer_id\":\"%s\"}", shop);
    rep_sync(wang);
    rep_sync(li);
    assert_int_equal(atomic_load(&calls), before);
    /* Own commits do, and after the close nothing does. */
    rep_patch(li, "customer", shop, "{\"kind\":\"own\"}");
    assert_true(atomic_load(&calls) > before);
    daybook_watch_close(&watch);
    before = atomic_load(&calls);
    rep_patch(li, "customer", shop, "{\"kind\":\"unwatched\"}");
    company_settle(&company);
    assert_int_equal(atomic_load(&calls), before);
}

static void test_thread__carries_both_ways_by_itself(void **state)
{
    static atomic_int calls;
    daybook_watch *watch = NULL;
    (void)state;
    device_must(daybook_start(li->device.engine, 50), NULL);
    assert_int_equal(daybook_start(li->device.engine, 50), DAYBOOK_BUSY);
    assert_int_equal(daybook_sync(li->device.engine, 0, NULL), DAYBOOK_BUSY);
    assert_true(device_status(&li->device).running);
    atomic_store(&calls, 0);
    device_must(daybook_watch_open(li->device.engine, "SELECT kind FROM customer", count_call,
                                   &calls, &watch, NULL),
                NULL);
    rep_patch(li, "customer", shop, "{\"kind\":\"up\"}");
    wait_for_server("up");
    rep_sync(wang);
    rep_patch(wang, "customer", shop, "{\"kind\":\"down\"}");
    rep_sync(wang);
    wait_for_kind(li, "down");
    for (int64_t end_ms = now_ms() + WAIT_MS; atomic_load(&calls) < 2 && now_ms() < end_ms;) {
        pause_ms(5);
    }
    assert_true(atomic_load(&calls) >= 2);
    daybook_stop(li->device.engine);
    assert_false(device_status(&li->device).running);
    daybook_watch_close(&watch);
    /* Stopped: nothing goes any more. */
    int exchanges = tap_exchanges(&li->tap);
    rep_patch(li, "customer", shop, "{\"kind\":\"stopped\"}");
    pause_ms(150);
    assert_int_equal(tap_exchanges(&li->tap), exchanges);
    daybook_stop(li->device.engine);
    company_settle(&company);
}

static void test_thread__backs_off_and_comes_back_when_woken(void **state)
{
    (void)state;
    device_must(daybook_start(li->device.engine, 50), NULL);
    server_kill(&company.server);
    rep_patch(li, "customer", shop, "{\"kind\":\"while it is away\"}");
    int64_t end_ms = now_ms() + WAIT_MS;
    while (device_status(&li->device).blocked == DAYBOOK_OK && now_ms() < end_ms) {
        pause_ms(5);
    }
    assert_int_equal(daybook_status_class(device_status(&li->device).blocked),
                     DAYBOOK_CLASS_OFFLINE);
    assert_false(device_status(&li->device).connected);
    server_start(&company.server);
    device_must(daybook_wake(li->device.engine), NULL);
    wait_for_server("while it is away");
    end_ms = now_ms() + WAIT_MS;
    while (device_status(&li->device).pending > 0 && now_ms() < end_ms) {
        pause_ms(5);
    }
    assert_int_equal(device_status(&li->device).pending, 0);
    daybook_stop(li->device.engine);
    assert_int_equal(device_status(&li->device).blocked, DAYBOOK_OK);
    company_settle(&company);
}

/* No byte comes back any more; stop and close do not wait for a time-out. */
static void test_thread__stop_interrupts_an_exchange_that_stands_still(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        proxy_make_plan(proxy, (struct proxy_plan){-1, 0, PROXY_STALL});
        rep_patchf(li, "customer", shop, "{\"kind\":\"stalled %d\"}", round);
        device_must(daybook_start(li->device.engine, 50), NULL);
        int64_t end_ms = now_ms() + WAIT_MS;
        while (proxy_look(proxy).ends == 0 && now_ms() < end_ms) {
            pause_ms(2);
        }
        assert_true(proxy_look(proxy).ends > 0);
        int64_t begun_ms = now_ms();
        if (round == 0) {
            daybook_stop(li->device.engine);
        } else {
            device_close(&li->device);
        }
        assert_true(now_ms() - begun_ms < WAIT_MS / 2);
        proxy_make_plan(proxy, PROXY_PLAN_CLEAN);
        if (round == 1) {
            device_open(&li->device);
        }
        rep_sync(li);
    }
    company_settle(&company);
    assert_field(wang, "customer", shop, "kind", "stalled 1");
}

/* Commits, reads and status from several threads while the sync thread runs. */
struct writer {
    struct rep *rep;
    int number;
    pthread_t thread;
};

#define WRITERS 3
#define WRITES 20

static void *write_visits(void *argument)
{
    struct writer *writer = argument;
    daybook *engine = writer->rep->device.engine;
    for (int i = 0; i < WRITES; i++) {
        char json[200];
        daybook_transaction *transaction = NULL;
        daybook_sync_status status = DAYBOOK_SYNC_STATUS_INIT;
        (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\",\"feedback\":\"thread %d %d\"}",
                       shop, writer->number, i);
        if (daybook_begin(engine, &transaction) != DAYBOOK_OK ||
            daybook_put_json(transaction, "visit", NULL, DAYBOOK_NEW, json, NULL, NULL) !=
                DAYBOOK_OK ||
            daybook_commit(transaction, NULL) != DAYBOOK_OK ||
            daybook_get_status(engine, &status) != DAYBOOK_OK) {
            writer->number = -1;
        }
        daybook_end(&transaction);
    }
    return NULL;
}

static void test_thread__many_threads_write_while_it_syncs(void **state)
{
    struct writer writers[WRITERS];
    (void)state;
    device_must(daybook_start(li->device.engine, 20), NULL);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.rep = li, .number = i};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_visits, &writers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        (void)pthread_join(writers[i].thread, NULL);
        assert_int_equal(writers[i].number, i);
    }
    int64_t end_ms = now_ms() + WAIT_MS;
    while (device_status(&li->device).pending > 0 && now_ms() < end_ms) {
        pause_ms(5);
    }
    daybook_stop(li->device.engine);
    company_settle(&company);
    assert_int_equal(
        rep_count(wang, "SELECT count(*) FROM visit WHERE feedback LIKE 'thread %'", NULL),
        WRITERS * WRITES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread__synced_change_is_told_to_who_watches),
        cmocka_unit_test(test_thread__carries_both_ways_by_itself),
        cmocka_unit_test(test_thread__backs_off_and_comes_back_when_woken),
        cmocka_unit_test(test_thread__stop_interrupts_an_exchange_that_stands_still),
        cmocka_unit_test(test_thread__many_threads_write_while_it_syncs),
    };
    return cmocka_run_group_tests_name("thread", tests, set_up, tear_down);
}
