/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory of texts with numbers: found both ways, undone like a stack, bounded.
 */
#include "sync-server/store/intern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ok(call) assert_int_equal((call), DAYBOOK_OK)

/* The text of a number: of every length from 0 on, some alike in their first bytes. */
static size_t text_of(int number, char text[64])
{
    int length = snprintf(text, 64, "%.*s%d", number % 40,
                          "{\"entity\":\"visit\",\"fields\":[\"name\",", number);
    return (size_t)length;
}

/* Asserts that the first `count` numbers are known, and those behind are not. */
static void assert_knows(const struct srv_intern *intern, int count, int others)
{
    for (int i = 0; i < count + others; i++) {
        char text[64];
        size_t length = text_of(i, text);
        int64_t number = -1;
        const char *found = NULL;
        size_t found_length = 0;
        int64_t scope = i % 3;
        assert_int_equal(srv_intern_number(intern, scope, text, length, &number), i < count);
        assert_int_equal(srv_intern_text(intern, scope, i, &found, &found_length), i < count);
        if (i < count) {
            assert_int_equal(number, i);
            assert_int_equal(found_length, length);
            assert_string_equal(found, text);
        }
        assert_false(srv_intern_number(intern, scope + 1, text, length, &number));
        assert_false(srv_intern_text(intern, scope + 1, i, &found, &found_length));
    }
}

/* Adds the numbers from intern->count up to `count`. */
static void add_up_to(struct srv_intern *intern, int count)
{
    for (int i = srv_intern_mark(intern); i < count; i++) {
        char text[64];
        size_t length = text_of(i, text);
        ok(srv_intern_add(intern, i % 3, i, text, length));
    }
}

static void test_server_intern__texts_and_numbers_find_each_other(void **state)
{
    (void)state;
    struct srv_intern intern;
    srv_intern_init(&intern, 42);
    assert_knows(&intern, 0, 10);
    add_up_to(&intern, 3000);
    assert_knows(&intern, 3000, 500);
    srv_intern_clear(&intern);
    assert_knows(&intern, 0, 10);
    add_up_to(&intern, 10); /* may be used again */
    assert_knows(&intern, 10, 10);
    srv_intern_clear(&intern);
}

static void test_server_intern__undoing_forgets_the_newest(void **state)
{
    (void)state;
    struct srv_intern intern;
    static const int marks[] = {1000, 999, 700, 65, 64, 63, 1, 0};
    srv_intern_init(&intern, 7);
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        add_up_to(&intern, 1000);
        srv_intern_undo(&intern, marks[i]);
        assert_knows(&intern, marks[i], 1000 - marks[i]);
        assert_int_equal(srv_intern_mark(&intern), marks[i]);
    }
    assert_int_equal(intern.bytes, 0);
    srv_intern_clear(&intern);
}

static void test_server_intern__an_undone_number_may_mean_another_text(void **state)
{
    (void)state;
    struct srv_intern intern;
    int64_t number = 0;
    const char *text = NULL;
    size_t length = 0;
    srv_intern_init(&intern, 7);
    ok(srv_intern_add(&intern, 0, 5, "first", 5));
    srv_intern_undo(&intern, 0);
    ok(srv_intern_add(&intern, 0, 5, "second", 6));
    assert_false(srv_intern_number(&intern, 0, "first", 5, &number));
    assert_true(srv_intern_text(&intern, 0, 5, &text, &length));
    assert_string_equal(text, "second");
    srv_intern_clear(&intern);
}

static void test_server_intern__texts_are_bytes(void **state)
{
    (void)state;
    struct srv_intern intern;
    int64_t number = 0;
    static const char zeros[16] = {0};
    srv_intern_init(&intern, 7);
    for (size_t length = 0; length <= sizeof zeros; length++) { /* differ by length only */
        ok(srv_intern_add(&intern, 0, (int64_t)length, zeros, length));
    }
    for (size_t length = 0; length <= sizeof zeros; length++) {
        assert_true(srv_intern_number(&intern, 0, zeros, length, &number));
        assert_int_equal(number, length);
    }
    srv_intern_clear(&intern);
}

static void test_server_intern__it_is_trimmed_when_it_is_full(void **state)
{
    (void)state;
    struct srv_intern intern;
    srv_intern_init(&intern, 7);
    add_up_to(&intern, INTERN_ENTRIES_MAX - 1);
    assert_false(srv_intern_is_full(&intern));
    srv_intern_trim(&intern);
    assert_int_equal(srv_intern_mark(&intern), INTERN_ENTRIES_MAX - 1);
    add_up_to(&intern, INTERN_ENTRIES_MAX);
    assert_true(srv_intern_is_full(&intern));
    assert_knows(&intern, INTERN_ENTRIES_MAX, 10);
    srv_intern_trim(&intern);
    assert_int_equal(srv_intern_mark(&intern), 0);
    assert_knows(&intern, 0, 10);

    char *large = calloc(1, INTERN_BYTES_MAX);
    assert_non_null(large);
    ok(srv_intern_add(&intern, 0, 1, large, INTERN_BYTES_MAX - 1));
    assert_false(srv_intern_is_full(&intern));
    ok(srv_intern_add(&intern, 0, 2, "x", 1));
    assert_true(srv_intern_is_full(&intern));
    free(large);
    srv_intern_clear(&intern);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_intern__texts_and_numbers_find_each_other),
        cmocka_unit_test(test_server_intern__undoing_forgets_the_newest),
        cmocka_unit_test(test_server_intern__an_undone_number_may_mean_another_text),
        cmocka_unit_test(test_server_intern__texts_are_bytes),
        cmocka_unit_test(test_server_intern__it_is_trimmed_when_it_is_full),
    };
    return cmocka_run_group_tests_name("server_intern", tests, NULL, NULL);
}
