/* SPDX-License-Identifier: Apache-2.0
 *
 * The buffer: its maximum on both sides, the sticky status, and who owns the bytes.
 */
#include "engine/base/buffer.h"
#include "engine/base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_buffer__appends_make_one_text(void **state)
{
    (void)state;
    struct buffer buffer;
    dk_buffer_init(&buffer, 1000);
    assert_string_equal(dk_buffer_text(&buffer), "");
    dk_buffer_append(&buffer, NULL, 0);
    dk_buffer_append_text(&buffer, "visit ");
    dk_buffer_append_char(&buffer, '#');
    dk_buffer_append_int(&buffer, INT64_MIN);
    dk_buffer_append(&buffer, "\0x", 2);
    assert_int_equal(buffer.status, DAYBOOK_OK);
    assert_memory_equal(dk_buffer_text(&buffer), "visit #-9223372036854775808\0x", 30);
    assert_int_equal(buffer.length, 29);
    dk_buffer_clear(&buffer);
    assert_null(buffer.bytes);
}

static void test_buffer__the_maximum_holds_on_both_sides(void **state)
{
    (void)state;
    for (size_t size_max = 0; size_max < 300; size_max += 1 + size_max / 3) {
        struct buffer buffer;
        /* given a buffer that is filled byte by byte to its maximum */
        dk_buffer_init(&buffer, size_max);
        for (size_t i = 0; i < size_max; i++) {
            dk_buffer_append_char(&buffer, 'a');
        }
        assert_int_equal(buffer.status, DAYBOOK_OK);
        assert_int_equal(buffer.length, size_max);
        assert_int_equal(strlen(dk_buffer_text(&buffer)), size_max);
        assert_true(buffer.capacity <= size_max);
        /* when one byte more is appended, then it is refused, and so is everything after it */
        dk_buffer_append_char(&buffer, 'b');
        assert_int_equal(buffer.status, DAYBOOK_TOO_LARGE);
        assert_int_equal(buffer.length, size_max);
        assert_string_equal(dk_buffer_text(&buffer), "");
        assert_null(dk_buffer_reserve(&buffer, 0));
        /* until it is reset */
        dk_buffer_reset(&buffer);
        dk_buffer_append(&buffer, "", size_max == 0 ? 0 : 1);
        assert_int_equal(buffer.status, DAYBOOK_OK);
        dk_buffer_clear(&buffer);
    }
}

static void test_buffer__a_piece_that_does_not_fit_is_not_cut(void **state)
{
    (void)state;
    struct buffer buffer;
    dk_buffer_init(&buffer, 10);
    dk_buffer_append_text(&buffer, "1234567");
    dk_buffer_append_text(&buffer, "abcd");
    dk_buffer_append_text(&buffer, "x");
    assert_int_equal(buffer.status, DAYBOOK_TOO_LARGE);
    assert_int_equal(buffer.length, 7);
    /* a number takes no more room than its digits */
    dk_buffer_reset(&buffer);
    dk_buffer_append_int(&buffer, -123456789);
    assert_int_equal(buffer.status, DAYBOOK_OK);
    assert_string_equal(dk_buffer_text(&buffer), "-123456789");
    dk_buffer_clear(&buffer);
}

static void test_buffer__absurd_sizes_fail_without_wrapping(void **state)
{
    (void)state;
    struct buffer buffer;
    dk_buffer_init(&buffer, SIZE_MAX);
    dk_buffer_append_text(&buffer, "12345");
    assert_null(dk_buffer_reserve(&buffer, SIZE_MAX));
    assert_int_equal(buffer.status, DAYBOOK_TOO_LARGE);
    dk_buffer_reset(&buffer);
    assert_null(dk_buffer_reserve(&buffer, MEMORY_MAX));
    assert_int_equal(buffer.status, DAYBOOK_NO_MEMORY);
    dk_buffer_reset(&buffer);
    /* the memory of before is still there */
    dk_buffer_append_text(&buffer, "abc");
    assert_string_equal(dk_buffer_text(&buffer), "abc");
    dk_buffer_clear(&buffer);
}

static void test_buffer__reserved_room_is_counted_when_advanced(void **state)
{
    (void)state;
    struct buffer buffer;
    dk_buffer_init(&buffer, 100000);
    for (int i = 0; i < 1000; i++) {
        char *room = dk_buffer_reserve(&buffer, 50);
        assert_non_null(room);
        memset(room, '?', 50);
        dk_buffer_advance(&buffer, (size_t)snprintf(room, 50, "%d,", i));
    }
    assert_int_equal(buffer.length, 10 * 2 + 90 * 3 + 900 * 4);
    assert_memory_equal(buffer.bytes + buffer.length - 8, "998,999,", 8);
    dk_buffer_clear(&buffer);
}

static void test_buffer__taken_bytes_are_the_callers(void **state)
{
    (void)state;
    struct buffer buffer;
    size_t length = 99;
    dk_buffer_init(&buffer, 8);
    assert_null(dk_buffer_take(&buffer, &length));
    assert_int_equal(length, 0);
    dk_buffer_append_text(&buffer, "12345678");
    char *bytes = dk_buffer_take(&buffer, &length);
    assert_string_equal(bytes, "12345678");
    assert_int_equal(length, 8);
    /* the buffer starts again with the same maximum */
    assert_int_equal(buffer.length, 0);
    assert_int_equal(buffer.size_max, 8);
    dk_buffer_append_text(&buffer, "x");
    assert_string_equal(dk_buffer_text(&buffer), "x");
    assert_string_equal(bytes, "12345678");
    dk_memory_free(bytes);
    /* half a text is not handed out */
    dk_buffer_append_text(&buffer, "too long");
    assert_null(dk_buffer_take(&buffer, &length));
    assert_int_equal(length, 0);
    assert_int_equal(buffer.status, DAYBOOK_OK);
    dk_buffer_clear(&buffer);
    dk_buffer_clear(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffer__appends_make_one_text),
        cmocka_unit_test(test_buffer__the_maximum_holds_on_both_sides),
        cmocka_unit_test(test_buffer__a_piece_that_does_not_fit_is_not_cut),
        cmocka_unit_test(test_buffer__absurd_sizes_fail_without_wrapping),
        cmocka_unit_test(test_buffer__reserved_room_is_counted_when_advanced),
        cmocka_unit_test(test_buffer__taken_bytes_are_the_callers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
