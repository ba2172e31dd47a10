/* SPDX-License-Identifier: Apache-2.0
 *
 * The sync thread: what makes it run, what makes it wait, and that stopping it is prompt. The
 * engine's clock is the test's; only the thread's waiting is real, and short.
 */
#include "tests/unit/api_world.h"

#include <time.h>

/* Enrolled. */
static int set_up_enrolled(void **state)
{
    if (set_up(state) != 0) {
        return -1;
    }
    struct world *world = *state;
    device_enrol(&world->device, SCRIPT_CODE);
    return 0;
}

#define WORKER_TEST(test) cmocka_unit_test_setup_teardown(test, set_up_enrolled, tear_down)

static void pause_ms(long ms)
{
    const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

static int64_t real_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int exchanges(struct world *world)
{
    return script_seen(&world->script).exchanges;
}

/* Waits, at most 10 s, until so many exchanges have been made. */
static void wait_for(struct world *world, int count)
{
    int64_t end = real_ms() + 10000;
    while (exchanges(world) < count && real_ms() < end) {
        pause_ms(1);
    }
    assert_true(exchanges(world) >= count);
}

/* Waits until the run that made the exchange has been planned for: the status shows what is next.
 */
static int64_t wait_for_plan(struct world *world, daybook_status blocked)
{
    int64_t end = real_ms() + 10000;
    daybook_sync_status status = device_status(&world->device);
    while ((status.blocked != blocked || status.retry_in_ms <= 1) && real_ms() < end) {
        pause_ms(1);
        status = device_status(&world->device);
    }
    assert_int_equal(status.blocked, blocked);
    return status.retry_in_ms;
}

/* Waits, at most 10 s, until nothing is pending any more: an exchange counts as made before its
 * reply has been applied. */
static void wait_until_sent(struct world *world)
{
    int64_t end = real_ms() + 10000;
    while (device_status(&world->device).pending != 0 && real_ms() < end) {
        pause_ms(1);
    }
    assert_int_equal(device_status(&world->device).pending, 0);
}

static void test_sync_worker__it_syncs_at_once_and_after_commits(void **state)
{
    struct world *world = *state;
    char id[DAYBOOK_ID_SIZE];
    assert_int_equal(daybook_start(world->engine, 0), DAYBOOK_OK);
    assert_true(device_status(&world->device).running);
    wait_for(world, 2); /* the enrolment, and this */
    assert_in_range(wait_for_plan(world, DAYBOOK_OK), 59000, 60000);
    /* when: something is committed, and 50 ms pass on the engine's clock */
    device_customer(&world->device, "mine", id);
    assert_in_range(device_status(&world->device).retry_in_ms, 1, 50);
    script_pass(&world->script, 60);
    daybook_wake(world->engine);
    wait_for(world, 3);
    wait_until_sent(world);
    daybook_stop(world->engine);
    assert_false(device_status(&world->device).running);
    assert_int_equal(device_status(&world->device).retry_in_ms, 0);
}

static void test_sync_worker__commits_are_gathered(void **state)
{
    struct world *world = *state;
    /* given: an engine on the system's own clock, so that the 50 ms are real */
    struct timespec now;
    assert_int_equal(daybook_start(world->engine, 0), DAYBOOK_OK);
    wait_for(world, 2);
    (void)wait_for_plan(world, DAYBOOK_OK);
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    for (int i = 0; i < 20; i++) {
        device_customer(&world->device, "mine", NULL);
    }
    /* then: nothing goes up before the clock has moved by 50 ms */
    pause_ms(120);
    assert_int_equal(exchanges(world), 2);
    script_pass(&world->script, 49);
    pause_ms(60);
    assert_int_equal(exchanges(world), 2);
    script_pass(&world->script, 1);
    wait_for(world, 3);
    (void)wait_for_plan(world, DAYBOOK_OK);
    assert_int_equal(script_seen(&world->script).changesets, 20);
    daybook_stop(world->engine);
}

static void test_sync_worker__the_foreground_is_busy_meanwhile(void **state)
{
    struct world *world = *state;
    daybook_error error = DAYBOOK_ERROR_INIT;
    assert_int_equal(daybook_start(world->engine, 0), DAYBOOK_OK);
    assert_int_equal(daybook_start(world->engine, 0), DAYBOOK_BUSY);
    assert_int_equal(daybook_sync(world->engine, 0, &error), DAYBOOK_BUSY);
    daybook_stop(world->engine);
    daybook_stop(world->engine);
    device_sync(&world->device);
    assert_int_equal(daybook_start(world->engine, -1), DAYBOOK_INVALID);
    assert_int_equal(daybook_wake(world->engine), DAYBOOK_OK);
}

static void test_sync_worker__failures_back_off_and_a_wake_forgets_them(void **state)
{
    struct world *world = *state;
    script_always(&world->script,
                  (struct script_fault){.trouble = SCRIPT_FAIL, .status = DAYBOOK_OFFLINE});
    assert_int_equal(daybook_start(world->engine, 0), DAYBOOK_OK);
    /* when: it fails again and again, and each time the clock passes what it waits for */
    for (int failure = 0; failure < 12; failure++) {
        wait_for(world, 2 + failure);
        int64_t left = wait_for_plan(world, DAYBOOK_OFFLINE);
        int64_t ceiling = 1000 << failure;
        assert_in_range(left, 1, ceiling < 300000 ? ceiling : 300000);
        /* commits do not shorten the wait */
        device_customer(&world->device, "mine", NULL);
        pause_ms(5);
        assert_int_equal(exchanges(world), 2 + failure);
        if (failure < 11) {
            /* the thread looks at the clock when something is committed */
            script_pass(&world->script, left + 1);
            device_customer(&world->device, "mine too", NULL);
        }
    }
    /* then: "sync now" does not wait */
    script_always(&world->script, (struct script_fault){.trouble = SCRIPT_NONE});
    daybook_wake(world->engine);
    wait_for(world, 14);
    wait_until_sent(world);
    daybook_stop(world->engine);
}

/* A run that got somewhere before it failed does not wait as if nothing worked: on a bad line a
 * long catch-up is many such runs. */
static void test_sync_worker__who_gets_somewhere_backs_off_from_the_start(void **state)
{
    struct world *world = *state;
    world->script.page_entries = 1;
    for (int i = 0; i < 10; i++) {
        (void)script_add_customer(&world->script, "theirs");
        script_plan(&world->script, (struct script_fault){.trouble = SCRIPT_NONE});
        script_plan(&world->script,
                    (struct script_fault){.trouble = SCRIPT_FAIL, .status = DAYBOOK_OFFLINE});
    }
    assert_int_equal(daybook_start(world->engine, 0), DAYBOOK_OK);
    for (int failure = 0; failure < 8; failure++) {
        wait_for(world, 3 + 2 * failure);
        int64_t left = wait_for_plan(world, DAYBOOK_OFFLINE);
        assert_int_equal(device_status(&world->device).position, failure + 1);
        assert_in_range(left, 1, 1000);
        script_pass(&world->script, left + 1);
        device_customer(&world->device, "mine", NULL);
    }
    daybook_stop(world->engine);
}

/* A server that fails again and again is asked less and less, though each run gets something. */
static void test_sync_worker__a_server_in_trouble_is_given_time(void **state)
{
    struct world *world = *state;
    int64_t longest = 0;
    world->script.page_entries = 1;
    for (int i = 0; i < 12; i++) {
        (void)script_add_customer(&world->script, "theirs");
        script_plan(&world->script, (struct script_fault){.trouble = SCRIPT_NONE});
        script_plan(&world->script, (struct script_fault){.trouble = SCRIPT_ERROR,
                                                          .http_status = 500,
                                                          .code = "INTERNAL",
                                                          .retry_after_ms = -1});
    }
    assert_int_equal(daybook_start(world->engine, 0), DAYBOOK_OK);
    for (int failure = 0; failure < 10; failure++) {
        wait_for(world, 3 + 2 * failure);
        int64_t left = wait_for_plan(world, DAYBOOK_SERVER_ERROR);
        longest = left > longest ? left : longest;
        script_pass(&world->script, left + 1);
        device_customer(&world->device, "mine", NULL);
    }
    assert_true(longest > 1000);
    daybook_stop(world->engine);
}

static void test_sync_worker__retry_after_is_kept(void **state)
{
    struct world *world = *state;
    script_plan(&world->script, (struct script_fault){.trouble = SCRIPT_ERROR,
                                                      .http_status = 503,
                                                      .code = "BUSY",
                                                      .retry_after_ms = 90000});
    assert_int_equal(daybook_start(world->engine, 0), DAYBOOK_OK);
    wait_for(world, 2);
    assert_in_range(wait_for_plan(world, DAYBOOK_SERVER_BUSY), 90000, 120000);
    daybook_stop(world->engine);
}

static void test_sync_worker__the_network_coming_back_is_a_wake(void **state)
{
    struct world *world = *state;
    script_plan(&world->script,
                (struct script_fault){.trouble = SCRIPT_FAIL, .status = DAYBOOK_OFFLINE});
    assert_int_equal(daybook_start(world->engine, 0), DAYBOOK_OK);
    wait_for(world, 2);
    (void)wait_for_plan(world, DAYBOOK_OFFLINE);
    /* given: the system says that there is no network; the thread sees it with the next commit */
    script_set_network(&world->script, false);
    device_customer(&world->device, "mine", NULL);
    pause_ms(50);
    script_pass(&world->script, 400000);
    daybook_wake(world->engine);
    pause_ms(50);
    assert_int_equal(exchanges(world), 2);
    /* when: it is back, and looked for within 5 s */
    script_set_network(&world->script, true);
    wait_for(world, 3);
    wait_until_sent(world);
    daybook_stop(world->engine);
}

static void test_sync_worker__stop_interrupts_a_running_exchange(void **state)
{
    struct world *world = *state;
    script_plan(&world->script, (struct script_fault){.trouble = SCRIPT_STALL});
    assert_int_equal(daybook_start(world->engine, 0), DAYBOOK_OK);
    wait_for(world, 2);
    int64_t before = real_ms();
    daybook_stop(world->engine);
    assert_true(real_ms() - before < 1000);
    /* and afterwards everything works as before */
    device_sync(&world->device);
    assert_int_equal(script_seen(&world->script).connections_open, 1);
    script_plan(&world->script, (struct script_fault){.trouble = SCRIPT_STALL});
    assert_int_equal(daybook_start(world->engine, 0), DAYBOOK_OK);
    wait_for(world, 4);
    before = real_ms();
    device_close(&world->device);
    assert_true(real_ms() - before < 1000);
    assert_int_equal(script_seen(&world->script).connections_open, 0);
}

static void test_sync_worker__an_enrolment_wakes_it(void **state)
{
    struct world *world = *state;
    daybook_error error = DAYBOOK_ERROR_INIT;
    char id[DAYBOOK_ID_SIZE];
    device_customer(&world->device, "recorded before", id);
    assert_int_equal(daybook_start(world->engine, 0), DAYBOOK_OK);
    /* not enrolled: it asks nobody, and waits for a person */
    assert_in_range(wait_for_plan(world, DAYBOOK_SIGN_IN), 149000, 300000);
    assert_int_equal(exchanges(world), 0);
    device_must(daybook_enrol(world->engine, SCRIPT_CODE, "phone", &error), &error);
    wait_for(world, 2);
    wait_until_sent(world);
    daybook_stop(world->engine);
}

static void test_sync_worker__a_platform_without_threads_has_none(void **state)
{
    struct world *world = *state;
    daybook_platform platform = world->script.platform;
    device_close(&world->device);
    platform.thread_start = NULL;
    platform.thread_join = NULL;
    world->device.options.platform = &platform;
    device_open(&world->device);
    assert_int_equal(daybook_start(world->device.engine, 0), DAYBOOK_MISUSE);
    device_sync(&world->device);
}

static void test_sync_worker__it_runs_on_its_interval(void **state)
{
    struct world *world = *state;
    assert_int_equal(daybook_start(world->engine, 5000), DAYBOOK_OK);
    wait_for(world, 2);
    assert_in_range(wait_for_plan(world, DAYBOOK_OK), 4900, 5000);
    script_pass(&world->script, 5000);
    /* the thread looks at the clock at the latest after the 5 s that it waits in real time */
    wait_for(world, 3);
    daybook_stop(world->engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORKER_TEST(test_sync_worker__it_syncs_at_once_and_after_commits),
        WORKER_TEST(test_sync_worker__commits_are_gathered),
        WORKER_TEST(test_sync_worker__the_foreground_is_busy_meanwhile),
        WORKER_TEST(test_sync_worker__failures_back_off_and_a_wake_forgets_them),
        WORKER_TEST(test_sync_worker__who_gets_somewhere_backs_off_from_the_start),
        WORKER_TEST(test_sync_worker__a_server_in_trouble_is_given_time),
        WORKER_TEST(test_sync_worker__retry_after_is_kept),
        WORKER_TEST(test_sync_worker__the_network_coming_back_is_a_wake),
        WORKER_TEST(test_sync_worker__stop_interrupts_a_running_exchange),
        API_TEST(test_sync_worker__an_enrolment_wakes_it),
        WORKER_TEST(test_sync_worker__a_platform_without_threads_has_none),
        WORKER_TEST(test_sync_worker__it_runs_on_its_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
