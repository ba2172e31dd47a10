/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON in three forms: a strict pull reader over bytes in memory (the wire and the outbox), a
 * streaming writer into a buffer, and, behind dk_json_check, the gate that any JSON from an app or
 * operator passes before cJSON may see it.
 *
 * The reader is strict RFC 8259 and more: valid UTF-8, no BOM, no NUL (also not as \u0000), no lone
 * surrogate, no raw control character, no leading zero, no trailing bytes, bounded depth. It does
 * not look for duplicate keys; whoever walks an object does (dk_json_check does for whole texts).
 * Numbers: integers only, up to +-(2^53 - 1), no fraction and no exponent, except through
 * dk_json_skip, which takes any valid number. Strings are unescaped IN PLACE: the input is mutable,
 * and a string is borrowed from it as long as it lives.
 */
#ifndef DAYBOOK_BASE_JSON_H
#define DAYBOOK_BASE_JSON_H

#include "engine/base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 32

enum json_type {
    JSON_END, /* no further element: the array or object has been closed by this call */
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_INTEGER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
    JSON_ERROR
};

struct json_reader {
    char *next; /* first byte not yet read */
    char *end;
    const char *begin;
    const char *problem; /* static text, set with JSON_ERROR, else NULL */
    int depth;           /* open arrays and objects */
    uint32_t is_object;  /* bit n: the container at depth n + 1 is an object */
    uint32_t has_items;  /* bit n: the container at depth n + 1 has had an element */
    /* the element read last */
    const char *text; /* JSON_STRING: unescaped, not NUL-terminated */
    size_t length;
    int64_t integer; /* JSON_INTEGER */
    bool any_number; /* set after open: numbers may have any valid form, and integer is not set */
};

void dk_json_open(struct json_reader *reader, char *bytes, size_t length);
/* The next element: at the top the one value; within an array the next one or JSON_END. JSON_ARRAY
 * and JSON_OBJECT enter. JSON_ERROR is sticky. Within an object call dk_json_key first, then
 * dk_json_next for its value. */
enum json_type dk_json_next(struct json_reader *reader);
/* In an object: JSON_STRING with the next key in text and length, JSON_END at its close, or
 * JSON_ERROR. */
enum json_type dk_json_key(struct json_reader *reader);
/* Skips the value that dk_json_next would read, whole; begin/length of its raw bytes are put out
 * where not NULL (they are not changed). False on error. */
bool dk_json_skip(struct json_reader *reader, const char **raw, size_t *raw_length);
/* After the top value: true where nothing but white space follows. */
bool dk_json_finish(struct json_reader *reader);
/* Sets the sticky error from outside (a value of the wrong type); returns false. */
bool dk_json_fail(struct json_reader *reader, const char *problem);
/* Byte offset of the first unread byte, for messages. */
size_t dk_json_offset(const struct json_reader *reader);

/* The writer appends to a buffer; commas are the caller's, by plain appends: the hot path is rows
 * of known shape. */
/* Quoted and escaped; the text is valid UTF-8. */
void dk_json_write_string(struct buffer *out, const char *text, size_t length);
/* Quoted decimal. */
void dk_json_write_int64(struct buffer *out, int64_t number);

/* *problem of dk_json_check is this very pointer where memory was used up. */
extern const char dk_json_no_memory[];

/* One strict whole text (any valid numbers): true, or false with problem and offset. `bytes` are
 * not changed. Rejects duplicate keys in any object (byte equality after unescaping), depth >
 * depth_max, nodes > nodes_max. */
bool dk_json_check(const char *bytes, size_t length, int depth_max, size_t nodes_max,
                   const char **problem, size_t *offset);

#endif
