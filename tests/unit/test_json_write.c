/* SPDX-License-Identifier: Apache-2.0
 *
 * The JSON writer: what it writes the strict reader reads back, at each place of a word, in a
 * buffer of just its size.
 */
#include "engine/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Writes the text as JSON and reads it back. */
static void round_trip(const char *text, size_t length)
{
    struct buffer out;
    struct json_reader reader;
    dk_buffer_init(&out, 10000);
    dk_json_write_string(&out, text, length);
    assert_int_equal(out.status, DAYBOOK_OK);
    size_t written = out.length;
    char *copy = malloc(written);
    assert_non_null(copy);
    memcpy(copy, out.bytes, written);
    dk_json_open(&reader, copy, written);
    assert_int_equal(dk_json_next(&reader), JSON_STRING);
    assert_int_equal(reader.length, length);
    assert_memory_equal(reader.text, text, length);
    assert_true(dk_json_finish(&reader));
    free(copy);
    dk_buffer_clear(&out);
    /* it fits a buffer of just its size, and none smaller */
    dk_buffer_init(&out, written);
    dk_json_write_string(&out, text, length);
    assert_int_equal(out.status, DAYBOOK_OK);
    dk_buffer_clear(&out);
    dk_buffer_init(&out, written - 1);
    dk_json_write_string(&out, text, length);
    assert_int_equal(out.status, DAYBOOK_TOO_LARGE);
    dk_buffer_clear(&out);
}

static void test_json_write__what_is_written_is_read_back(void **state)
{
    (void)state;
    round_trip("", 0);
    for (int c = 1; c < 128; c++) {
        for (size_t before = 0; before < 18; before++) {
            char text[40];
            memset(text, 'x', sizeof text);
            text[before] = (char)c;
            round_trip(text, before + 1);
            round_trip(text, before + 9);
            text[before + 1] = (char)c;
            round_trip(text, before + 2);
        }
    }
    const char *notes = "拜访 \"客户\" 😀\nGrüße\\aus Köln\t\x01\x1f\x7f, zweite Zeile "
                        "第二行";
    for (size_t i = 0; i <= strlen(notes); i++) {
        if (i == strlen(notes) || ((unsigned char)notes[i] & 0xC0) != 0x80) {
            round_trip(notes, i);
            round_trip(notes + i, strlen(notes) - i);
        }
    }
}

static void test_json_write__the_written_form_is_fixed(void **state)
{
    (void)state;
    struct buffer out;
    dk_buffer_init(&out, 1000);
    dk_json_write_string(&out, "a\"\\/\b\f\n\r\t\x01\x1f\x7f拜", 15);
    dk_buffer_append_char(&out, ',');
    dk_json_write_int64(&out, INT64_MIN);
    dk_buffer_append_char(&out, ',');
    dk_json_write_int64(&out, INT64_MAX);
    assert_string_equal(dk_buffer_text(&out), "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f拜\","
                                              "\"-9223372036854775808\",\"9223372036854775807\"");
    dk_buffer_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_write__what_is_written_is_read_back),
        cmocka_unit_test(test_json_write__the_written_form_is_fixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
