/* SPDX-License-Identifier: Apache-2.0
 *
 * How large the next request and the next page are, on lines of every kind.
 */
#include "engine/sync/pull.h"
#include "engine/sync/push.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_sync_pace__uploads_begin_small(void **state)
{
    (void)state;
    struct push_pace pace;
    dk_push_begin(&pace);
    assert_int_equal(pace.bytes, 32 * 1024);
}

static void test_sync_pace__uploads_grow_to_ten_seconds(void **state)
{
    (void)state;
    struct push_pace pace;
    dk_push_begin(&pace);
    /* given: a line of 20 KB/s */
    for (int round = 0; round < 6; round++) {
        dk_push_learn(&pace, pace.bytes, (int64_t)(pace.bytes / 20));
    }
    /* then: requests are about 200 KB */
    assert_in_range(pace.bytes, 195000, 205000);
    /* a fast line meets the bound */
    for (int round = 0; round < 6; round++) {
        dk_push_learn(&pace, pace.bytes, 1);
    }
    assert_int_equal(pace.bytes, PUSH_MOST_BYTES);
    /* a line that becomes slow makes them small at once */
    dk_push_learn(&pace, pace.bytes, 3600 * 1000);
    assert_in_range(pace.bytes, PUSH_LEAST_BYTES, 16 * 1024);
}

static void test_sync_pace__a_small_request_says_little(void **state)
{
    (void)state;
    struct push_pace pace;
    dk_push_begin(&pace);
    /* when: 300 bytes take 200 ms, which is latency, not the line's rate */
    dk_push_learn(&pace, 300, 200);
    /* then: the next request may be as large as before */
    assert_int_equal(pace.bytes, PUSH_FIRST_BYTES);
    dk_push_learn(&pace, 0, 5000);
    assert_int_equal(pace.bytes, PUSH_FIRST_BYTES);
}

static void test_sync_pace__failures_shrink_uploads(void **state)
{
    (void)state;
    struct push_pace pace = {.bytes = PUSH_MOST_BYTES};
    dk_push_failed(&pace);
    assert_int_equal(pace.bytes, PUSH_FIRST_BYTES);
    for (int i = 0; i < 10; i++) {
        dk_push_failed(&pace);
    }
    assert_int_equal(pace.bytes, PUSH_LEAST_BYTES);
}

static void test_sync_pace__refused_requests_are_halved_to_the_end(void **state)
{
    (void)state;
    struct push_pace pace = {.bytes = PUSH_MOST_BYTES};
    size_t sent = 400000;
    int halvings = 0;
    while (dk_push_shrink(&pace, sent)) {
        assert_true(pace.bytes < sent);
        sent = pace.bytes;
        halvings++;
    }
    assert_int_equal(sent, PUSH_LEAST_BYTES);
    assert_in_range(halvings, 6, 8);
}

static void test_sync_pace__pages_shrink_on_slow_lines_and_recover(void **state)
{
    (void)state;
    struct pull_pace pace;
    dk_pull_begin(&pace, 0);
    assert_int_equal(dk_pull_page_bytes(&pace), 0);
    /* a page that takes long, and one that never comes */
    dk_pull_learn(&pace, 30000);
    assert_int_equal(dk_pull_page_bytes(&pace), LIMIT_PAGE_BYTES / 2);
    dk_pull_failed(&pace);
    assert_int_equal(dk_pull_page_bytes(&pace), LIMIT_PAGE_BYTES / 8);
    for (int i = 0; i < 10; i++) {
        dk_pull_failed(&pace);
    }
    assert_int_equal(dk_pull_page_bytes(&pace), PULL_LEAST_BYTES);
    /* neither fast nor slow: stays */
    dk_pull_learn(&pace, 10000);
    assert_int_equal(dk_pull_page_bytes(&pace), PULL_LEAST_BYTES);
    for (int i = 0; i < 10; i++) {
        dk_pull_learn(&pace, 100);
    }
    assert_int_equal(dk_pull_page_bytes(&pace), 0);
}

static void test_sync_pace__the_apps_page_size_is_the_most(void **state)
{
    (void)state;
    struct pull_pace pace;
    dk_pull_begin(&pace, 65536);
    assert_int_equal(dk_pull_page_bytes(&pace), 65536);
    dk_pull_failed(&pace);
    assert_int_equal(dk_pull_page_bytes(&pace), 16384);
    dk_pull_learn(&pace, 10);
    dk_pull_learn(&pace, 10);
    dk_pull_learn(&pace, 10);
    assert_int_equal(dk_pull_page_bytes(&pace), 65536);
    /* one below the least stays what the app said */
    dk_pull_begin(&pace, 1000);
    dk_pull_failed(&pace);
    assert_int_equal(dk_pull_page_bytes(&pace), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sync_pace__uploads_begin_small),
        cmocka_unit_test(test_sync_pace__uploads_grow_to_ten_seconds),
        cmocka_unit_test(test_sync_pace__a_small_request_says_little),
        cmocka_unit_test(test_sync_pace__failures_shrink_uploads),
        cmocka_unit_test(test_sync_pace__refused_requests_are_halved_to_the_end),
        cmocka_unit_test(test_sync_pace__pages_shrink_on_slow_lines_and_recover),
        cmocka_unit_test(test_sync_pace__the_apps_page_size_is_the_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
