/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns no memory: walks the caller's bytes. Called by the wire codec, the outbox and the gate
 * before cJSON. Invariants: begin <= next <= end; problem is set exactly when an error was
 * returned, and then next is the offending byte; no byte is changed but those of a string that has
 * been read, and raw skipping changes none.
 */
#include "engine/base/json.h"

#include "engine/base/text.h"
#include "engine/base/utf8.h"

#include <assert.h>
#include <string.h>

#define INTEGER_MAX ((INT64_C(1) << 53) - 1)

/* How a value is read: for the caller, or only passed over. */
enum json_mode { MODE_READ, MODE_RAW };

/* Sets the sticky error at the byte `at`; the first one stays. */
static enum json_type fail_at(struct json_reader *reader, char *at, const char *problem)
{
    if (reader->problem == NULL) {
        reader->next = at;
        reader->problem = problem;
    }
    return JSON_ERROR;
}

/* A reader at the first byte. Nothing is read yet, so an empty text fails at the first value. */
void dk_json_open(struct json_reader *reader, char *bytes, size_t length)
{
    memset(reader, 0, sizeof *reader);
    reader->next = bytes;
    reader->begin = bytes;
    reader->end = length == 0 ? bytes : bytes + length;
}

/* See the header. */
bool dk_json_fail(struct json_reader *reader, const char *problem)
{
    (void)fail_at(reader, reader->next, problem);
    return false;
}

/* See the header. */
size_t dk_json_offset(const struct json_reader *reader)
{
    return reader->next == reader->begin ? 0 : (size_t)(reader->next - reader->begin);
}

/* Moves next over white space; the usual text has none, so the first test decides. */
static inline void skip_space(struct json_reader *reader)
{
    while (reader->next < reader->end && (unsigned char)*reader->next <= ' ') {
        char c = *reader->next;
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
            return;
        }
        reader->next++;
    }
}

/* Whether the innermost open container is an object; depth > 0. */
static inline bool in_object(const struct json_reader *reader)
{
    return (reader->is_object >> (reader->depth - 1) & 1) != 0;
}

/* Moves over bytes that stand for themselves in a string: ASCII without control characters, quote
 * and backslash, and well-formed UTF-8. Returns the first other byte (which is above 0x7F only
 * where it is malformed), or end. */
static inline char *scan_plain(char *next, const char *end)
{
    for (;;) {
        while (end - next >= 8) {
            uint64_t word = dk_utf8_load(next);
            uint64_t marks = (word - 0x20 * UTF8_ONES) | ((word ^ 0x22 * UTF8_ONES) - UTF8_ONES) |
                             ((word ^ 0x5C * UTF8_ONES) - UTF8_ONES) | word;
            marks &= UTF8_HIGHS;
            if (marks != 0) {
                next += dk_utf8_first(marks);
                break;
            }
            next += 8;
        }
        while (next < end && (unsigned char)*next >= 0x20 && (unsigned char)*next < 0x80 &&
               *next != '"' && *next != '\\') {
            next++;
        }
        if (next == end || (unsigned char)*next < 0x80) {
            return next;
        }
        do {
            size_t step = dk_utf8_sequence(next, end);
            if (step == 0) {
                return next;
            }
            next += step;
        } while (next < end && (unsigned char)*next >= 0x80);
    }
}

/* Four hex digits as a number, or -1. */
static int32_t read_hex4(const char *next, const char *end)
{
    uint8_t bytes[2];
    if (end - next < 4 || !dk_text_from_hex(next, 4, bytes, 2)) {
        return -1;
    }
    return (int32_t)bytes[0] << 8 | bytes[1];
}

/* The UTF-8 form of a code point that is no surrogate and not 0; returns its length. */
static size_t encode(uint32_t point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t length = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (point & 0x3F));
        point >>= 6;
    }
    static const uint8_t leads[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    out[0] = (char)(leads[length] | point);
    return length;
}

/* The escape at *next, which is a backslash: moves *next behind it, writes at most 4 bytes, returns
 * how many; 0 with the sticky error set. Surrogates come in pairs or not at all. */
static size_t read_escape(struct json_reader *reader, char **next, char out[4])
{
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    char *at = *next;
    const char *name = NULL;
    if (reader->end - at >= 2 && at[1] != '\0') {
        name = strchr(names, at[1]);
    }
    if (name != NULL) {
        out[0] = values[name - names];
        *next = at + 2;
        return 1;
    }
    int32_t unit = reader->end - at >= 2 && at[1] == 'u' ? read_hex4(at + 2, reader->end) : -1;
    if (unit <= 0) {
        (void)fail_at(reader, at, unit == 0 ? "NUL in a string" : "a malformed escape in a string");
        return 0;
    }
    at += 6;
    uint32_t point = (uint32_t)unit;
    if (unit >= 0xD800 && unit <= 0xDFFF) {
        int32_t low = reader->end - at >= 6 && at[0] == '\\' && at[1] == 'u'
                          ? read_hex4(at + 2, reader->end)
                          : -1;
        if (unit >= 0xDC00 || low < 0xDC00 || low > 0xDFFF) {
            (void)fail_at(reader, *next, "half of a surrogate pair in a string");
            return 0;
        }
        point = 0x10000 + ((point - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
        at += 6;
    }
    *next = at;
    return encode(point, out);
}

/* The rest of a string from its first byte that is not plain: unescapes in place (text never grows
 * by that), or in MODE_RAW only checks. */
static enum json_type read_string_slowly(struct json_reader *reader, char *next,
                                         enum json_mode mode)
{
    char *write = next;
    while (next < reader->end && *next != '"') {
        char bytes[4];
        if (*next != '\\') {
            return fail_at(reader, next,
                           (unsigned char)*next < 0x20 ? "a raw control character in a string"
                                                       : "malformed UTF-8 in a string");
        }
        size_t count = read_escape(reader, &next, bytes);
        if (count == 0) {
            return JSON_ERROR;
        }
        char *run = next;
        next = scan_plain(next, reader->end);
        if (mode != MODE_RAW) {
            memcpy(write, bytes, count);
            memmove(write + count, run, (size_t)(next - run));
            write += count + (size_t)(next - run);
        }
    }
    if (next == reader->end) {
        return fail_at(reader, next, "the text ends in a string");
    }
    reader->length = (size_t)(write - reader->text);
    reader->next = next + 1;
    return JSON_STRING;
}

/* The string whose opening quote is at next. Without an escape its bytes are borrowed as they
 * are. */
static inline enum json_type read_string(struct json_reader *reader, enum json_mode mode)
{
    char *begin = reader->next + 1;
    char *next = scan_plain(begin, reader->end);
    reader->text = begin;
    if (next == reader->end || *next != '"') {
        return read_string_slowly(reader, next, mode);
    }
    reader->length = (size_t)(next - begin);
    reader->next = next + 1;
    return JSON_STRING;
}

/* Moves over decimal digits; returns how many. */
static size_t skip_digits(char **next, const char *end)
{
    char *begin = *next;
    while (*next < end && **next >= '0' && **next <= '9') {
        (*next)++;
    }
    return (size_t)(*next - begin);
}

/* Moves over a number of any form that RFC 8259 allows. */
static enum json_type skip_number(struct json_reader *reader)
{
    char *next = reader->next + (*reader->next == '-' ? 1 : 0);
    char *first = next;
    size_t digits = skip_digits(&next, reader->end);
    if (digits == 0 || (digits > 1 && *first == '0')) {
        return fail_at(reader, first,
                       digits == 0 ? "a digit is expected" : "a number with a leading zero");
    }
    if (next < reader->end && *next == '.') {
        next++;
        if (skip_digits(&next, reader->end) == 0) {
            return fail_at(reader, next, "a digit is expected");
        }
    }
    if (next < reader->end && (*next == 'e' || *next == 'E')) {
        next++;
        next += next < reader->end && (*next == '+' || *next == '-') ? 1 : 0;
        if (skip_digits(&next, reader->end) == 0) {
            return fail_at(reader, next, "a digit is expected");
        }
    }
    reader->next = next;
    return JSON_INTEGER;
}

/* A whole number within +-(2^53 - 1) in its only form: no leading zero, no fraction, no exponent,
 * no -0. */
static enum json_type read_integer(struct json_reader *reader)
{
    bool negative = *reader->next == '-';
    char *first = reader->next + (negative ? 1 : 0);
    char *next = first;
    int64_t value = 0;
    while (next < reader->end && *next >= '0' && *next <= '9') {
        value = value * 10 + (*next - '0');
        if (value > INTEGER_MAX) {
            return fail_at(reader, reader->next, "a number beyond 2^53 - 1");
        }
        next++;
    }
    if (next == first) {
        return fail_at(reader, first, "a digit is expected");
    }
    if (*first == '0' && next - first > 1) {
        return fail_at(reader, first, "a number with a leading zero");
    }
    if (next < reader->end && (*next == '.' || *next == 'e' || *next == 'E')) {
        return fail_at(reader, next, "a whole number without exponent is expected");
    }
    if (negative && value == 0) {
        return fail_at(reader, first, "-0 is not a whole number");
    }
    reader->integer = negative ? -value : value;
    reader->next = next;
    return JSON_INTEGER;
}

/* One of the three words. What stands behind it is checked with the next element. */
static enum json_type read_word(struct json_reader *reader, const char *word, enum json_type type)
{
    size_t length = strlen(word);
    if ((size_t)(reader->end - reader->next) < length || memcmp(reader->next, word, length) != 0) {
        return fail_at(reader, reader->next, "a value is expected");
    }
    reader->next += length;
    return type;
}

/* Opens the array or object whose bracket is at next. */
static enum json_type enter(struct json_reader *reader, bool object)
{
    if (reader->depth == JSON_DEPTH_MAX) {
        return fail_at(reader, reader->next, "nested too deeply");
    }
    uint32_t bit = UINT32_C(1) << reader->depth;
    reader->is_object = object ? reader->is_object | bit : reader->is_object & ~bit;
    reader->has_items &= ~bit;
    reader->depth++;
    reader->next++;
    return object ? JSON_OBJECT : JSON_ARRAY;
}

/* The value at next, after white space. */
static inline enum json_type read_value(struct json_reader *reader, enum json_mode mode)
{
    skip_space(reader);
    if (reader->next == reader->end) {
        return fail_at(reader, reader->next, "the text ends where a value is expected");
    }
    char c = *reader->next;
    if (c == '"') {
        return read_string(reader, mode);
    }
    if ((c >= '0' && c <= '9') || c == '-') {
        return mode == MODE_READ && !reader->any_number ? read_integer(reader)
                                                        : skip_number(reader);
    }
    switch (c) {
    case '[': return enter(reader, false);
    case '{': return enter(reader, true);
    case 'n': return read_word(reader, "null", JSON_NULL);
    case 't': return read_word(reader, "true", JSON_TRUE);
    case 'f': return read_word(reader, "false", JSON_FALSE);
    case '\xEF': return fail_at(reader, reader->next, "a byte order mark");
    default: return fail_at(reader, reader->next, "a value is expected");
    }
}

/* What stands before an element of the innermost container: the closing bracket (JSON_END, the
 * container is left), or the comma, except before the first (JSON_NULL: go on), or an error. depth
 * > 0. */
static inline enum json_type read_separator(struct json_reader *reader, char close)
{
    uint32_t bit = UINT32_C(1) << (reader->depth - 1);
    skip_space(reader);
    if (reader->next == reader->end) {
        return fail_at(reader, reader->next, "the text ends in an array or object");
    }
    if (*reader->next == close) {
        reader->next++;
        reader->depth--;
        return JSON_END;
    }
    if ((reader->has_items & bit) == 0) {
        reader->has_items |= bit;
        return JSON_NULL;
    }
    if (*reader->next != ',') {
        return fail_at(reader, reader->next, "a comma or the closing bracket is expected");
    }
    reader->next++;
    return JSON_NULL;
}

/* What stands before a value: in an array the separator, at the top nothing, in an object the key,
 * which read_key has taken with its colon. JSON_NULL, JSON_END or JSON_ERROR. */
static inline enum json_type read_before_value(struct json_reader *reader)
{
    if (reader->problem != NULL) {
        return JSON_ERROR;
    }
    if (reader->depth == 0) {
        return reader->next == reader->begin
                   ? JSON_NULL
                   : fail_at(reader, reader->next, "one value is expected, and nothing behind it");
    }
    if (in_object(reader)) {
        assert(reader->next[-1] == ':'); /* dk_json_key comes first */
        return JSON_NULL;
    }
    return read_separator(reader, ']');
}

/* The next key of the innermost object with its colon; JSON_STRING, JSON_END or JSON_ERROR. */
static inline enum json_type read_key(struct json_reader *reader, enum json_mode mode)
{
    if (reader->problem != NULL) {
        return JSON_ERROR;
    }
    assert(reader->depth > 0 && in_object(reader));
    enum json_type type = read_separator(reader, '}');
    if (type != JSON_NULL) {
        return type;
    }
    skip_space(reader);
    if (reader->next == reader->end || *reader->next != '"') {
        return fail_at(reader, reader->next, "a key is expected");
    }
    if (read_string(reader, mode) == JSON_ERROR) {
        return JSON_ERROR;
    }
    skip_space(reader);
    if (reader->next == reader->end || *reader->next != ':') {
        return fail_at(reader, reader->next, "a colon is expected");
    }
    reader->next++;
    return JSON_STRING;
}

/* See the header. */
enum json_type dk_json_next(struct json_reader *reader)
{
    enum json_type type = read_before_value(reader);
    return type == JSON_NULL ? read_value(reader, MODE_READ) : type;
}

/* See the header. */
enum json_type dk_json_key(struct json_reader *reader)
{
    return read_key(reader, MODE_READ);
}

/* Walks until the depth is back where it was; strings and numbers are checked, not converted. At
 * the end of an array there is no value to skip, which is an error. */
bool dk_json_skip(struct json_reader *reader, const char **raw, size_t *raw_length)
{
    int depth = reader->depth;
    enum json_type type = read_before_value(reader);
    if (type != JSON_NULL) {
        return type == JSON_END ? dk_json_fail(reader, "a value is expected") : false;
    }
    skip_space(reader);
    const char *begin = reader->next;
    type = read_value(reader, MODE_RAW);
    while (type != JSON_ERROR && reader->depth > depth) {
        type = in_object(reader) ? read_key(reader, MODE_RAW) : read_before_value(reader);
        if (type != JSON_END && type != JSON_ERROR) {
            type = read_value(reader, MODE_RAW);
        }
    }
    if (type == JSON_ERROR) {
        return false;
    }
    if (raw != NULL) {
        *raw = begin;
    }
    if (raw_length != NULL) {
        *raw_length = (size_t)(reader->next - begin);
    }
    return true;
}

/* Refuses an open container, a text without a value, and anything but white space behind the
 * value. */
bool dk_json_finish(struct json_reader *reader)
{
    if (reader->problem != NULL) {
        return false;
    }
    if (reader->depth > 0 || reader->next == reader->begin) {
        return dk_json_fail(reader, "the value is not complete");
    }
    skip_space(reader);
    return reader->next == reader->end || dk_json_fail(reader, "bytes behind the value");
}
