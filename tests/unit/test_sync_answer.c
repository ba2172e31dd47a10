/* SPDX-License-Identifier: Apache-2.0
 *
 * What an HTTP answer means: who may tell a device what.
 */
#include "engine/sync/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_sync_answer__media_types(void **state)
{
    (void)state;
    assert_int_equal(dk_answer_body("application/vnd.daybook+zstd"), ANSWER_DAYBOOK);
    assert_int_equal(dk_answer_body("Application/VND.Daybook+ZSTD; v=1"), ANSWER_DAYBOOK);
    assert_int_equal(dk_answer_body("application/json"), ANSWER_JSON);
    assert_int_equal(dk_answer_body("application/vnd.daybook+zstdx"), ANSWER_FOREIGN);
    assert_int_equal(dk_answer_body("application/vnd.daybook"), ANSWER_FOREIGN);
    assert_int_equal(dk_answer_body("text/html; charset=utf-8"), ANSWER_FOREIGN);
    assert_int_equal(dk_answer_body(""), ANSWER_FOREIGN);
    assert_int_equal(dk_answer_body(NULL), ANSWER_FOREIGN);
}

static void test_sync_answer__frames_are_known_by_their_magic(void **state)
{
    (void)state;
    static const char frame[] = {0x28, (char)0xB5, 0x2F, (char)0xFD, 0x20};
    for (size_t length = 1; length <= sizeof frame; length++) {
        assert_true(dk_answer_is_frame(frame, length));
    }
    assert_false(dk_answer_is_frame("<html>", 6));
    assert_false(dk_answer_is_frame("{}", 2));
}

static void test_sync_answer__the_servers_own_codes_decide(void **state)
{
    (void)state;
    static const struct {
        int http_status;
        const char *code;
        daybook_status status;
    } cases[] = {
        {401, "SIGN_IN", DAYBOOK_SIGN_IN},
        {403, "BAD_CODE", DAYBOOK_BAD_CODE},
        {409, "DIVERGED", DAYBOOK_DIVERGED},
        {409, "GAP", DAYBOOK_SERVER_ERROR},
        {413, "TOO_LARGE", DAYBOOK_TOO_LARGE},
        {426, "UPGRADE_NEEDED", DAYBOOK_UPGRADE_NEEDED},
        {400, "BAD_REQUEST", DAYBOOK_SERVER_ERROR},
        {408, "TIMEOUT", DAYBOOK_TIMEOUT},
        {500, "INTERNAL", DAYBOOK_SERVER_ERROR},
        {503, "BUSY", DAYBOOK_SERVER_BUSY},
        {429, "BUSY", DAYBOOK_SERVER_BUSY},
        {404, "NOT_FOUND", DAYBOOK_NOT_DAYBOOK},
        {405, "METHOD", DAYBOOK_NOT_DAYBOOK},
        /* codes of a newer server: its status speaks */
        {401, "TOKEN_EXPIRED", DAYBOOK_SIGN_IN},
        {403, "LOCKED", DAYBOOK_SIGN_IN},
        {426, "NEWER", DAYBOOK_UPGRADE_NEEDED},
        {413, "HUGE", DAYBOOK_TOO_LARGE},
        {507, "DISK", DAYBOOK_SERVER_ERROR},
        {418, "TEAPOT", DAYBOOK_SERVER_ERROR},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(dk_answer_status(cases[i].http_status, cases[i].code), cases[i].status);
    }
}

static void test_sync_answer__strangers_can_only_make_a_device_wait(void **state)
{
    (void)state;
    /* given: any status from somebody whose body is not the server's */
    for (int http_status = 100; http_status < 600; http_status++) {
        daybook_status status = dk_answer_status(http_status, NULL);
        /* then: never signed out, never diverged, never upgraded, never too large */
        if (http_status == 429 || http_status == 503) {
            assert_int_equal(status, DAYBOOK_SERVER_BUSY);
        } else if (http_status >= 500) {
            assert_int_equal(status, DAYBOOK_SERVER_ERROR);
        } else {
            assert_int_equal(status, http_status == 408 ? DAYBOOK_TIMEOUT : DAYBOOK_NOT_DAYBOOK);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sync_answer__media_types),
        cmocka_unit_test(test_sync_answer__frames_are_known_by_their_magic),
        cmocka_unit_test(test_sync_answer__the_servers_own_codes_decide),
        cmocka_unit_test(test_sync_answer__strangers_can_only_make_a_device_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
