/* SPDX-License-Identifier: Apache-2.0
 *
 * The result codes: names, texts and classes from the one list.
 */
#include <daybook/daybook.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_api_status__numbers_are_those_of_the_abi(void **state)
{
    (void)state;
    /* these are never changed, so they are written down a second time */
    assert_int_equal(DAYBOOK_OK, 0);
    assert_int_equal(DAYBOOK_MISUSE, 1);
    assert_int_equal(DAYBOOK_BUSY, 18);
    assert_int_equal(DAYBOOK_OFFLINE, 30);
    assert_int_equal(DAYBOOK_DIVERGED, 44);
    assert_int_equal(DAYBOOK_SIGN_IN, 50);
    assert_int_equal(DAYBOOK_UPGRADE_NEEDED, 60);
    assert_int_equal(DAYBOOK_DISK_FULL, 70);
    assert_int_equal(DAYBOOK_INTERNAL, 84);
}

static void test_api_status__every_code_has_name_text_and_class(void **state)
{
    (void)state;
#define CHECK(name, number, class_, text_)                                                         \
    assert_string_equal(daybook_status_name(DAYBOOK_##name), #name);                               \
    assert_string_equal(daybook_status_text(DAYBOOK_##name), text_);                               \
    assert_int_equal(daybook_status_class(DAYBOOK_##name), DAYBOOK_CLASS_##class_);                \
    assert_true(strlen(text_) > 5 && strlen(text_) < 100);
    DAYBOOK_STATUS_LIST(CHECK)
#undef CHECK
}

static void test_api_status__other_numbers_are_told_too(void **state)
{
    (void)state;
    assert_string_equal(daybook_status_name((daybook_status)9999), "UNKNOWN");
    assert_true(strlen(daybook_status_text((daybook_status)9999)) > 0);
    assert_int_equal(daybook_status_class((daybook_status)9999), DAYBOOK_CLASS_BROKEN);
}

static void test_api_status__version(void **state)
{
    (void)state;
    assert_string_equal(daybook_version(), DAYBOOK_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_api_status__numbers_are_those_of_the_abi),
        cmocka_unit_test(test_api_status__every_code_has_name_text_and_class),
        cmocka_unit_test(test_api_status__other_numbers_are_told_too),
        cmocka_unit_test(test_api_status__version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
