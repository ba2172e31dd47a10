/* SPDX-License-Identifier: Apache-2.0
 *
 * Filling error structs: whole UTF-8 within the bounds, whatever the texts are.
 */
#include "engine/api/error.h"

#include "engine/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_api_error__all_members_are_filled(void **state)
{
    (void)state;
    daybook_error error = DAYBOOK_ERROR_INIT;
    assert_int_equal(
        dk_error_set(&error, DAYBOOK_SERVER_BUSY, "visit", "feedback", "range", "some words"),
        DAYBOOK_SERVER_BUSY);
    assert_int_equal(error.status, DAYBOOK_SERVER_BUSY);
    assert_true(error.retryable);
    assert_string_equal(error.entity, "visit");
    assert_string_equal(error.field, "feedback");
    assert_string_equal(error.rule, "range");
    assert_string_equal(error.text, "some words");
    /* and emptied by the next one, which words itself */
    (void)dk_error_text(&error, DAYBOOK_MISUSE, NULL);
    assert_false(error.retryable);
    assert_string_equal(error.entity, "");
    assert_string_equal(error.text, daybook_status_text(DAYBOOK_MISUSE));
}

static void test_api_error__long_texts_are_cut_between_code_points(void **state)
{
    (void)state;
    char text[600];
    /* given: three-byte code points behind 0, 1 or 2 bytes */
    for (size_t shift = 0; shift < 3; shift++) {
        daybook_error error = DAYBOOK_ERROR_INIT;
        memset(text, 'x', shift);
        for (size_t i = shift; i + 3 < sizeof text; i += 3) {
            memcpy(text + i, "\xE8\xB4\xA7", 4);
        }
        (void)dk_error_set(&error, DAYBOOK_INVALID, text, text, text, text);
        assert_true(dk_text_is_utf8(error.entity, strlen(error.entity)));
        assert_true(dk_text_is_utf8(error.field, strlen(error.field)));
        assert_true(dk_text_is_utf8(error.rule, strlen(error.rule)));
        assert_true(dk_text_is_utf8(error.text, strlen(error.text)));
        assert_in_range(strlen(error.text), 253, 255);
        assert_in_range(strlen(error.rule), 29, 31);
    }
}

static void test_api_error__bytes_that_are_no_utf8_do_not_get_through(void **state)
{
    (void)state;
    daybook_error error = DAYBOOK_ERROR_INIT;
    (void)dk_error_set(&error, DAYBOOK_UNKNOWN_ENTITY, "vi\xFFsit and more", "\xC3", "a\xE8\xB4",
                       NULL);
    assert_string_equal(error.entity, "vi?sit and more");
    assert_true(dk_text_is_utf8(error.field, strlen(error.field)));
    assert_string_equal(error.rule, "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_api_error__all_members_are_filled),
        cmocka_unit_test(test_api_error__long_texts_are_cut_between_code_points),
        cmocka_unit_test(test_api_error__bytes_that_are_no_utf8_do_not_get_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
