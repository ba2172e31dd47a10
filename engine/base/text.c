/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns nothing: pure functions over bytes, called from all layers. Invariant: what a strict reader
 * here accepts, the writer beside it would have written (numbers, base64url), so every value has
 * one text.
 */
#include "engine/base/text.h"

#include "engine/base/utf8.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Eight plain bytes per step; a byte that is not plain must begin a sequence, and NUL is
 * refused. */
bool dk_text_is_utf8(const char *text, size_t length)
{
    if (length == 0) {
        return true;
    }
    const char *end = text + length;
    while (text < end) {
        if (end - text >= 8) {
            uint64_t word = dk_utf8_load(text);
            uint64_t marks = ((word - UTF8_ONES) | word) & UTF8_HIGHS; /* NUL, or not ASCII */
            if (marks == 0) {
                text += 8;
                continue;
            }
            text += dk_utf8_first(marks);
        }
        if (*text == '\0') {
            return false;
        }
        size_t step = (unsigned char)*text < 0x80 ? 1 : dk_utf8_sequence(text, end);
        if (step == 0) {
            return false;
        }
        text += step;
    }
    return true;
}

/* Counts the bytes that do not continue a sequence. */
size_t dk_text_code_points(const char *text, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++) {
        count += ((unsigned char)text[i] & 0xC0) != 0x80;
    }
    return count;
}

/* Collects at most 19 digits, which fit uint64, then checks the sign's own limit. */
bool dk_text_to_int64(const char *text, size_t length, int64_t *number)
{
    bool negative = length > 0 && text[0] == '-';
    size_t first = negative ? 1 : 0;
    size_t digits = length - first;
    if (digits == 0 || digits > 19 || (text[first] == '0' && (digits > 1 || negative))) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = first; i < length; i++) {
        unsigned digit = (unsigned)(unsigned char)text[i] - '0';
        if (digit > 9) {
            return false;
        }
        value = value * 10 + digit;
    }
    if (value > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    if (negative) {
        *number = -(int64_t)(value - 1) - 1; /* value >= 1; INT64_MIN has no positive twin */
    } else {
        *number = (int64_t)value;
    }
    return true;
}

/* Digits are made from the last to the first in a scratch, then copied. */
size_t dk_text_from_int64(int64_t number, char out[21])
{
    char digits[20];
    size_t count = 0;
    uint64_t value = number < 0 ? ~(uint64_t)number + 1 : (uint64_t)number;
    do {
        digits[sizeof digits - ++count] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    if (number < 0) {
        digits[sizeof digits - ++count] = '-';
    }
    memcpy(out, digits + sizeof digits - count, count);
    out[count] = '\0';
    return count;
}

/* Two digits per byte and a NUL. */
void dk_text_to_hex(const uint8_t *bytes, size_t length, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 0x0F];
    }
    out[2 * length] = '\0';
}

/* 0..15, or -1 for anything but a hex digit of either case. */
static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* out is unspecified on failure. */
bool dk_text_from_hex(const char *hex, size_t hex_length, uint8_t *out, size_t length)
{
    if (hex_length % 2 != 0 || hex_length / 2 != length) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        int high = hex_value(hex[2 * i]);
        int low = hex_value(hex[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* Three bytes make four digits; a rest of one or two bytes makes two or three. */
size_t dk_text_to_base64url(const uint8_t *bytes, size_t length, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *begin = out;
    size_t i = 0;
    for (; length - i >= 3; i += 3) {
        uint32_t group = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | bytes[i + 2];
        *out++ = digits[group >> 18];
        *out++ = digits[group >> 12 & 0x3F];
        *out++ = digits[group >> 6 & 0x3F];
        *out++ = digits[group & 0x3F];
    }
    if (length - i > 0) {
        uint32_t second = length - i == 2 ? bytes[i + 1] : 0;
        uint32_t group = (uint32_t)bytes[i] << 16 | second << 8;
        *out++ = digits[group >> 18];
        *out++ = digits[group >> 12 & 0x3F];
        if (length - i == 2) {
            *out++ = digits[group >> 6 & 0x3F];
        }
    }
    return (size_t)(out - begin);
}

/* What a base64url digit is worth, plus one; 0 for every other byte. */
static const uint8_t base64url_values[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['-'] = 63, ['_'] = 64,
};

/* Collects `count` (2..4) digits into the upper bits of 24; false where one of them is none. */
static bool base64url_group(const char *text, size_t count, uint32_t *group)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        uint32_t value = i < count ? base64url_values[(unsigned char)text[i]] : 1;
        if (value == 0) {
            return false;
        }
        bits = bits << 6 | (value - 1);
    }
    *group = bits;
    return true;
}

/* The length decides the number of digits, so no third form exists; spare bits of the last digit
 * must be zero. */
bool dk_text_from_base64url(const char *text, size_t text_length, uint8_t *out, size_t length)
{
    size_t rest = length % 3;
    uint32_t group = 0;
    if (text_length / 4 != length / 3 || text_length % 4 != (rest == 0 ? 0 : rest + 1)) {
        return false;
    }
    for (; length >= 3; length -= 3, text += 4) {
        if (!base64url_group(text, 4, &group)) {
            return false;
        }
        *out++ = (uint8_t)(group >> 16);
        *out++ = (uint8_t)(group >> 8);
        *out++ = (uint8_t)group;
    }
    if (rest == 0) {
        return true;
    }
    if (!base64url_group(text, rest + 1, &group)) {
        return false;
    }
    *out++ = (uint8_t)(group >> 16);
    if (rest == 2) {
        *out++ = (uint8_t)(group >> 8);
    }
    return (group & (rest == 2 ? 0xFFU : 0xFFFFU)) == 0;
}

/* size counts the NUL and is at least 1. An encoding error counts as too small, with an empty
 * text. */
bool dk_text_format(char *out, size_t size, const char *format, ...)
{
    assert(size > 0);
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(out, size, format, arguments);
    va_end(arguments);
    if (length < 0) {
        out[0] = '\0';
        return false;
    }
    return (size_t)length < size;
}

/* a is counted, b ends with NUL. */
bool dk_text_equal(const char *a, size_t a_length, const char *b)
{
    return strlen(b) == a_length && (a_length == 0 || memcmp(a, b, a_length) == 0);
}
