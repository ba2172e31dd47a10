/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns nothing: appends JSON strings to the caller's buffer. Called for each field of each row that
 * is sent, so the common string, without an escape, is one pass. Invariant: what is written is what
 * the strict reader of json.c takes.
 */
#include "engine/base/json.h"

#include "engine/base/text.h"
#include "engine/base/utf8.h"

#include <string.h>

/* Appends the escape of a byte that may not stand for itself. */
static void write_escape(struct buffer *out, char c)
{
    static const char values[] = "\"\\\b\f\n\r\t";
    static const char names[] = "\"\\bfnrt";
    char escape[7] = "\\u00";
    const char *value = c == '\0' ? NULL : strchr(values, c);
    if (value != NULL) {
        escape[1] = names[value - values];
        dk_buffer_append(out, escape, 2);
        return;
    }
    uint8_t byte = (uint8_t)c;
    dk_text_to_hex(&byte, 1, escape + 4);
    dk_buffer_append(out, escape, 6);
}

/* text is valid UTF-8 without NUL, as dk_text_is_utf8 says; all of it above 0x7F passes as it is.
 * Copies plain runs into room for the whole, of which the least that this string can take is
 * reserved. */
void dk_json_write_string(struct buffer *out, const char *text, size_t length)
{
    const char *end = length == 0 ? text : text + length;
    dk_buffer_append_char(out, '"');
    while (text < end) {
        char *room = dk_buffer_reserve(out, (size_t)(end - text));
        if (room == NULL) {
            return;
        }
        const char *run = text;
        while (end - text >= 8) {
            uint64_t word = dk_utf8_load(text);
            uint64_t marks = (word - 0x20 * UTF8_ONES) | ((word ^ 0x22 * UTF8_ONES) - UTF8_ONES) |
                             ((word ^ 0x5C * UTF8_ONES) - UTF8_ONES);
            marks &= ~word & UTF8_HIGHS;
            if (marks != 0) {
                text += dk_utf8_first(marks);
                break;
            }
            text += 8;
        }
        while (text < end && (unsigned char)*text >= 0x20 && *text != '"' && *text != '\\') {
            text++;
        }
        memcpy(room, run, (size_t)(text - run));
        dk_buffer_advance(out, (size_t)(text - run));
        if (text < end) {
            write_escape(out, *text++);
        }
    }
    dk_buffer_append_char(out, '"');
}

/* int64 values travel as strings, because most readers keep numbers as doubles. */
void dk_json_write_int64(struct buffer *out, int64_t number)
{
    char digits[23] = "\"";
    size_t length = dk_text_from_int64(number, digits + 1);
    digits[length + 1] = '"';
    dk_buffer_append(out, digits, length + 2);
}
