/* SPDX-License-Identifier: Apache-2.0
 *
 * The hooks of the default platform that are not the transport: clocks, boot id, random bytes,
 * threads.
 */
#include <daybook/posix.h>

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void test_posix__every_required_hook_is_there(void **state)
{
    (void)state;
    const daybook_platform *platform = daybook_posix_platform();
    assert_int_equal(platform->size, sizeof(daybook_platform));
    assert_non_null(platform->wall_ms);
    assert_non_null(platform->steady_ms);
    assert_non_null(platform->boot_id);
    assert_non_null(platform->random);
    assert_non_null(platform->transport_open);
    assert_non_null(platform->transport_exchange);
    assert_non_null(platform->transport_interrupt);
    assert_non_null(platform->transport_close);
    assert_non_null(platform->thread_start);
    assert_non_null(platform->thread_join);
}

static void test_posix__wall_clock_is_the_systems(void **state)
{
    (void)state;
    const daybook_platform *platform = daybook_posix_platform();
    int64_t before_ms = (int64_t)time(NULL) * 1000;
    int64_t now_ms = platform->wall_ms(platform->context);
    int64_t after_ms = ((int64_t)time(NULL) + 1) * 1000;
    assert_true(before_ms - 1000 <= now_ms && now_ms <= after_ms);
}

static void test_posix__steady_clock_goes_forward_in_milliseconds(void **state)
{
    (void)state;
    const daybook_platform *platform = daybook_posix_platform();
    int64_t before_ms = platform->steady_ms(platform->context);
    (void)nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    int64_t passed_ms = platform->steady_ms(platform->context) - before_ms;
    assert_in_range(passed_ms, 49, 5000);
}

static void test_posix__boot_id_stays_within_a_boot(void **state)
{
    (void)state;
    const daybook_platform *platform = daybook_posix_platform();
    uint64_t id = platform->boot_id(platform->context);
    assert_true(id == platform->boot_id(platform->context));
    assert_int_equal(id != 0, access("/proc/sys/kernel/random/boot_id", R_OK) == 0);
}

static void test_posix__random_fills_every_byte_and_no_more(void **state)
{
    (void)state;
    const daybook_platform *platform = daybook_posix_platform();
    unsigned char seen[66] = {0};
    /* A byte that stays 0 in 64 draws would be a byte that is not filled. */
    for (int draw = 0; draw < 64; draw++) {
        unsigned char bytes[66] = {0};
        assert_true(platform->random(platform->context, bytes + 1, 64));
        for (size_t i = 0; i < sizeof(bytes); i++) {
            seen[i] |= bytes[i];
        }
    }
    assert_int_equal(seen[0], 0);
    assert_int_equal(seen[65], 0);
    for (size_t i = 1; i < 65; i++) {
        assert_int_not_equal(seen[i], 0);
    }
    assert_true(platform->random(platform->context, seen, 0));
}

/* What the thread of the test below saw. */
struct thread_work {
    int done;
    int blocked; /* SIGTERM is blocked in it */
    pthread_t id;
};

static void work(void *argument)
{
    struct thread_work *seen = argument;
    sigset_t mask;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    seen->blocked = sigismember(&mask, SIGTERM);
    seen->id = pthread_self();
    seen->done = 1;
}

static void test_posix__thread_runs_elsewhere_and_takes_no_signals(void **state)
{
    (void)state;
    const daybook_platform *platform = daybook_posix_platform();
    struct thread_work seen = {0};
    void *thread = NULL;
    assert_true(platform->thread_start(platform->context, work, &seen, &thread));
    assert_non_null(thread);
    platform->thread_join(platform->context, thread);
    assert_int_equal(seen.done, 1);
    assert_int_equal(seen.blocked, 1);
    assert_false(pthread_equal(seen.id, pthread_self()));

    /* The starter's own signals are as before. */
    sigset_t mask;
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    assert_int_equal(sigismember(&mask, SIGTERM), 0);
    platform->thread_join(platform->context, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_posix__every_required_hook_is_there),
        cmocka_unit_test(test_posix__wall_clock_is_the_systems),
        cmocka_unit_test(test_posix__steady_clock_goes_forward_in_milliseconds),
        cmocka_unit_test(test_posix__boot_id_stays_within_a_boot),
        cmocka_unit_test(test_posix__random_fills_every_byte_and_no_more),
        cmocka_unit_test(test_posix__thread_runs_elsewhere_and_takes_no_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
