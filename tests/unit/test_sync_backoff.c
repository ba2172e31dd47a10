/* SPDX-License-Identifier: Apache-2.0
 *
 * The delay before the next try, with a clock that the test moves.
 */
#include "engine/sync/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

/* A generator whose numbers differ in each test run step; the seed is fixed. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void test_sync_backoff__ceiling_doubles_up_to_the_cap(void **state)
{
    (void)state;
    static const int64_t ceilings[] = {1000,  2000,   4000,   8000,   16000,  32000,
                                       64000, 128000, 256000, 300000, 300000, 300000};
    /* given: a random number that picks the ceiling (the highest remainder) */
    for (size_t n = 0; n < sizeof ceilings / sizeof ceilings[0]; n++) {
        struct backoff backoff = {0};
        int64_t delay = 0;
        /* when: the (n + 1)-th failure in a row comes at virtual time 5,000 */
        for (size_t i = 0; i <= n; i++) {
            uint64_t highest = (uint64_t)(ceilings[i] - BACKOFF_FLOOR_MS);
            delay = dk_backoff_fail(&backoff, 5000, DAYBOOK_OFFLINE, -1, highest);
        }
        /* then: it waits for exactly the ceiling */
        assert_int_equal(delay, ceilings[n]);
        assert_int_equal(backoff.retry_at_ms, 5000 + ceilings[n]);
    }
}

static void test_sync_backoff__jitter_is_full(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    int64_t low = BACKOFF_CAP_MS;
    int64_t high = 0;
    int64_t sum = 0;
    /* given: many devices that failed nine times, so that their ceiling is 256 s */
    for (int device = 0; device < 2000; device++) {
        struct backoff backoff = {.failures = 8};
        int64_t delay =
            dk_backoff_fail(&backoff, 0, DAYBOOK_TIMEOUT, -1, next_random(&random) >> 11);
        low = delay < low ? delay : low;
        high = delay > high ? delay : high;
        sum += delay;
    }
    /* then: their delays are spread over all of it */
    assert_in_range(low, BACKOFF_FLOOR_MS, 3000);
    assert_in_range(high, 253000, 256000);
    assert_in_range(sum / 2000, 120000, 136000);
}

static void test_sync_backoff__success_forgets(void **state)
{
    (void)state;
    struct backoff backoff = {0};
    for (int i = 0; i < 20; i++) {
        (void)dk_backoff_fail(&backoff, 0, DAYBOOK_OFFLINE, -1, 12345);
    }
    dk_backoff_reset(&backoff);
    assert_int_equal(backoff.retry_at_ms, 0);
    /* then: the next failure is a first one */
    assert_in_range(dk_backoff_fail(&backoff, 0, DAYBOOK_OFFLINE, -1, UINT64_MAX), BACKOFF_FLOOR_MS,
                    BACKOFF_BASE_MS);
}

static void test_sync_backoff__retry_after_is_honoured(void **state)
{
    (void)state;
    uint64_t random = 7;
    for (int i = 0; i < 1000; i++) {
        struct backoff backoff = {0};
        /* when: the server asks for 20 s */
        int64_t delay =
            dk_backoff_fail(&backoff, 0, DAYBOOK_SERVER_BUSY, 20000, next_random(&random) >> 9);
        /* then: never earlier, and not all at the same moment */
        assert_in_range(delay, 20000, 40000);
    }
    /* a short wish does not shorten our own backoff */
    struct backoff backoff = {.failures = 8};
    assert_true(dk_backoff_fail(&backoff, 0, DAYBOOK_SERVER_BUSY, 0, 255900) > 250000);
    /* an absurd one is bounded */
    backoff = (struct backoff){0};
    assert_in_range(dk_backoff_fail(&backoff, 0, DAYBOOK_SERVER_BUSY, INT64_MAX, 1),
                    BACKOFF_RETRY_AFTER_MAX_MS, BACKOFF_RETRY_AFTER_MAX_MS + 30000);
}

static void test_sync_backoff__what_needs_a_person_waits_about_the_cap(void **state)
{
    (void)state;
    static const daybook_status persons[] = {DAYBOOK_SIGN_IN, DAYBOOK_UNTRUSTED,
                                             DAYBOOK_UPGRADE_NEEDED, DAYBOOK_CORRUPT};
    static const daybook_status passing[] = {DAYBOOK_OFFLINE,     DAYBOOK_NOT_DAYBOOK,
                                             DAYBOOK_SERVER_BUSY, DAYBOOK_BAD_REPLY,
                                             DAYBOOK_INTERRUPTED, DAYBOOK_DISK_FULL};
    for (size_t i = 0; i < sizeof persons / sizeof persons[0]; i++) {
        struct backoff backoff = {0};
        assert_in_range(dk_backoff_fail(&backoff, 0, persons[i], -1, 99), BACKOFF_CAP_MS / 2,
                        BACKOFF_CAP_MS);
    }
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++) {
        struct backoff backoff = {0};
        assert_in_range(dk_backoff_fail(&backoff, 0, passing[i], -1, 99), BACKOFF_FLOOR_MS,
                        BACKOFF_BASE_MS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sync_backoff__ceiling_doubles_up_to_the_cap),
        cmocka_unit_test(test_sync_backoff__jitter_is_full),
        cmocka_unit_test(test_sync_backoff__success_forgets),
        cmocka_unit_test(test_sync_backoff__retry_after_is_honoured),
        cmocka_unit_test(test_sync_backoff__what_needs_a_person_waits_about_the_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
