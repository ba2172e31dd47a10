/* SPDX-License-Identifier: Apache-2.0
 *
 * Text: every code point and every malformed form of UTF-8 at every place of a word, numbers at the
 * ends of int64, hex and base64url in their one form.
 */
#include "engine/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The check on a copy of just that size, so that a sanitizer sees any byte read behind it. */
static bool is_utf8(const char *text, size_t length)
{
    char *copy = malloc(length + 1);
    assert_non_null(copy);
    char *begin = copy + 1; /* at an odd address */
    memcpy(begin, text, length);
    bool valid = dk_text_is_utf8(begin, length);
    free(copy);
    return valid;
}

/* The text between two ASCII runs whose lengths put it at every place of a word. */
static bool is_utf8_anywhere(const char *text, size_t length, bool expected)
{
    for (size_t before = 0; before < 17; before++) {
        for (size_t after = 0; after < 10; after += 9) {
            char padded[64];
            memset(padded, 'a', sizeof padded);
            memcpy(padded + before, text, length);
            if (is_utf8(padded, before + length + after) != expected) {
                return false;
            }
        }
    }
    return true;
}

static void test_text__well_formed_utf8_is_taken(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "a",
        "\x7F",
        "\xC2\x80",
        "\xDF\xBF",
        "\xE0\xA0\x80",
        "\xED\x9F\xBF",
        "\xEE\x80\x80",
        "\xEF\xBF\xBF",
        "\xEF\xBB\xBF",
        "\xF0\x90\x80\x80",
        "\xF4\x8F\xBF\xBF",
        "拜访客户",
        "Grüße 😀",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_true(is_utf8_anywhere(texts[i], strlen(texts[i]), true));
    }
    assert_true(dk_text_is_utf8(NULL, 0));
    assert_int_equal(dk_text_code_points("拜访 a😀", strlen("拜访 a😀")), 5);
    assert_int_equal(dk_text_code_points("", 0), 0);
}

static void test_text__malformed_utf8_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\x80",
        "\xBF",
        "\xC0\x80",
        "\xC1\xBF",
        "\xC2",
        "\xC2\x41",
        "\xC2\xC2",
        "\xDF\x7F",
        "\xE0\x9F\xBF",
        "\xE0\x80\x80",
        "\xE2\x82",
        "\xE2\x82\x41",
        "\xE2\x41\x82",
        "\xED\xA0\x80",
        "\xED\xBF\xBF",
        "\xF0\x8F\xBF\xBF",
        "\xF0\x90\x80",
        "\xF0\x90\x80\x41",
        "\xF0\x90\x41\x80",
        "\xF0\x41\x80\x80",
        "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80",
        "\xF8\x88\x80\x80\x80",
        "\xFE",
        "\xFF",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_true(is_utf8_anywhere(texts[i], strlen(texts[i]), false));
    }
    assert_true(is_utf8_anywhere("\0", 1, false));
}

static void test_text__each_code_point_is_taken_as_it_should(void **state)
{
    (void)state;
    for (uint32_t point = 1; point < 0x110100; point++) {
        char bytes[4];
        size_t length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
        uint32_t rest = point;
        for (size_t i = length; i-- > 1; rest >>= 6) {
            bytes[i] = (char)(0x80 | (rest & 0x3F));
        }
        static const uint32_t leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
        bytes[0] = (char)(leads[length] | rest);
        bool surrogate = point >= 0xD800 && point <= 0xDFFF;
        assert_int_equal(dk_text_is_utf8(bytes, length), !surrogate && point <= 0x10FFFF);
        if (length > 1) {
            assert_false(dk_text_is_utf8(bytes, length - 1));
        }
    }
}

static void test_text__integers_have_one_form(void **state)
{
    (void)state;
    static const int64_t numbers[] = {
        0, 1, -1, 9, 10, -10, 1234567890123, INT64_MAX, INT64_MIN, INT64_MAX - 1, INT64_MIN + 1};
    for (size_t i = 0; i < COUNT(numbers); i++) {
        char text[21];
        char expected[32];
        int64_t read = 99;
        (void)snprintf(expected, sizeof expected, "%lld", (long long)numbers[i]);
        assert_int_equal(dk_text_from_int64(numbers[i], text), strlen(expected));
        assert_string_equal(text, expected);
        assert_true(dk_text_to_int64(text, strlen(text), &read));
        assert_true(read == numbers[i]);
    }
    static const char *const refused[] = {
        "",
        "-",
        "+1",
        "01",
        "-01",
        "-0",
        "00",
        " 1",
        "1 ",
        "1.0",
        "1e3",
        "0x1",
        "--1",
        "1-",
        "１",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "10000000000000000000",
        "99999999999999999999",
        "-99999999999999999999",
    };
    for (size_t i = 0; i < COUNT(refused); i++) {
        int64_t read = 99;
        assert_false(dk_text_to_int64(refused[i], strlen(refused[i]), &read));
        assert_true(read == 99);
    }
    int64_t read = 0;
    assert_false(dk_text_to_int64("1\0", 2, &read));
}

static void test_text__hex_goes_both_ways(void **state)
{
    (void)state;
    uint8_t bytes[256];
    uint8_t read[256];
    char hex[513];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)i;
    }
    dk_text_to_hex(bytes, sizeof bytes, hex);
    assert_int_equal(strlen(hex), 512);
    assert_memory_equal(hex + 2 * 0xAB, "abacad", 6);
    assert_true(dk_text_from_hex(hex, 512, read, 256));
    assert_memory_equal(read, bytes, 256);
    assert_true(dk_text_from_hex("aBCd", 4, read, 2));
    assert_memory_equal(read, "\xAB\xCD", 2);
    assert_true(dk_text_from_hex("", 0, read, 0));
    assert_false(dk_text_from_hex("abc", 3, read, 1));
    assert_false(dk_text_from_hex("abcd", 4, read, 1));
    assert_false(dk_text_from_hex("ab", 2, read, 2));
    for (int c = 0; c < 256; c++) {
        char pair[2] = {'0', (char)c};
        bool digit = c != 0 && strchr("0123456789abcdefABCDEF", c) != NULL;
        assert_int_equal(dk_text_from_hex(pair, 2, read, 1), digit);
    }
}

static void test_text__base64url_goes_both_ways(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        const char *text;
    } golden[] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xFB\xFF\xBF", "-_-_"},
    };
    char text[100];
    uint8_t read[70];
    for (size_t i = 0; i < COUNT(golden); i++) {
        size_t length = strlen(golden[i].bytes);
        size_t written = dk_text_to_base64url((const uint8_t *)golden[i].bytes, length, text);
        assert_int_equal(written, strlen(golden[i].text));
        assert_memory_equal(text, golden[i].text, written);
        assert_true(dk_text_from_base64url(text, written, read, length));
        assert_memory_equal(read, golden[i].bytes, length);
    }
    for (size_t length = 0; length < sizeof read; length++) {
        uint8_t bytes[70];
        for (size_t i = 0; i < length; i++) {
            bytes[i] = (uint8_t)(i * 37 + length);
        }
        size_t written = dk_text_to_base64url(bytes, length, text);
        assert_int_equal(written, (length * 4 + 2) / 3);
        assert_true(dk_text_from_base64url(text, written, read, length));
        assert_memory_equal(read, bytes, length);
        assert_false(dk_text_from_base64url(text, written, read, length + 1));
        assert_false(dk_text_from_base64url(text, written + 1, read, length));
    }
}

static void test_text__base64url_has_one_form(void **state)
{
    (void)state;
    static const char *const refused[] = {"Zh",    "Zm9",  "Zg==", "Zm8=",  "Z",
                                          "Zm9vY", "Zm+v", "Zm/v", "Zm 9v", "Zm9v\n"};
    uint8_t read[8];
    for (size_t i = 0; i < COUNT(refused); i++) {
        for (size_t length = 0; length < sizeof read; length++) {
            assert_false(dk_text_from_base64url(refused[i], strlen(refused[i]), read, length));
        }
    }
    /* all 64 digits are good, all other bytes are not, at each of the four places */
    for (int c = 0; c < 256; c++) {
        bool digit = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_';
        for (int place = 0; place < 4; place++) {
            char text[4] = {'A', 'A', 'A', 'A'};
            text[place] = (char)c;
            assert_int_equal(dk_text_from_base64url(text, 4, read, 3), digit);
        }
    }
}

static void test_text__format_never_cuts_silently(void **state)
{
    (void)state;
    char out[6];
    assert_true(dk_text_format(out, sizeof out, "%d", 12345));
    assert_string_equal(out, "12345");
    assert_false(dk_text_format(out, sizeof out, "%d", 123456));
    assert_string_equal(out, "12345");
    assert_false(dk_text_format(out, 1, "x"));
    assert_string_equal(out, "");
    assert_true(dk_text_equal("visit", 5, "visit"));
    assert_true(dk_text_equal("visits", 5, "visit"));
    assert_true(dk_text_equal(NULL, 0, ""));
    assert_false(dk_text_equal("visit", 5, "visi"));
    assert_false(dk_text_equal("visit", 4, "visit"));
    assert_false(dk_text_equal("Visit", 5, "visit"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text__well_formed_utf8_is_taken),
        cmocka_unit_test(test_text__malformed_utf8_is_refused),
        cmocka_unit_test(test_text__each_code_point_is_taken_as_it_should),
        cmocka_unit_test(test_text__integers_have_one_form),
        cmocka_unit_test(test_text__hex_goes_both_ways),
        cmocka_unit_test(test_text__base64url_goes_both_ways),
        cmocka_unit_test(test_text__base64url_has_one_form),
        cmocka_unit_test(test_text__format_never_cuts_silently),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
