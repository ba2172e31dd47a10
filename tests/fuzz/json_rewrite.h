/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads a JSON text with the pull reader and writes it again without what means nothing: white
 * space, and the choice of escapes. Numbers stay as they are written.
 */
#ifndef DAYBOOK_TESTS_FUZZ_JSON_REWRITE_H
#define DAYBOOK_TESTS_FUZZ_JSON_REWRITE_H

#include "engine/base/json.h"

/* The number that was read last, as it stands in the text: it ends where the reader is. */
static inline void json_rewrite_number(const struct json_reader *reader, const char *from,
                                       struct buffer *out)
{
    while (from < reader->next && *from != '-' && (*from < '0' || *from > '9')) {
        from++;
    }
    dk_buffer_append(out, from, (size_t)(reader->next - from));
}

/* The next element of whatever is open, or the end of that. False: an error. */
static inline bool json_rewrite_step(struct json_reader *reader, bool *first, struct buffer *out)
{
    bool object = reader->depth > 0 && (reader->is_object >> (reader->depth - 1) & 1) != 0;
    const char *from = reader->next;
    enum json_type type = object ? dk_json_key(reader) : JSON_NULL;
    if (object && type == JSON_STRING) {
        dk_buffer_append_text(out, *first ? "" : ",");
        dk_json_write_string(out, reader->text, reader->length);
        dk_buffer_append_char(out, ':');
        from = reader->next;
    }
    if (type != JSON_END && type != JSON_ERROR) {
        type = dk_json_next(reader);
        dk_buffer_append_text(out, object || *first || type == JSON_END ? "" : ",");
    }
    *first = type == JSON_ARRAY || type == JSON_OBJECT;
    switch (type) {
    case JSON_END: dk_buffer_append_char(out, object ? '}' : ']'); break;
    case JSON_NULL: dk_buffer_append_text(out, "null"); break;
    case JSON_FALSE: dk_buffer_append_text(out, "false"); break;
    case JSON_TRUE: dk_buffer_append_text(out, "true"); break;
    case JSON_INTEGER: json_rewrite_number(reader, from, out); break;
    case JSON_STRING: dk_json_write_string(out, reader->text, reader->length); break;
    case JSON_ARRAY: dk_buffer_append_char(out, '['); break;
    case JSON_OBJECT: dk_buffer_append_char(out, '{'); break;
    case JSON_ERROR: return false;
    }
    return true;
}

/* Writes to the bytes, which the reader unescapes. False: they are no JSON. */
static inline bool json_rewrite(char *bytes, size_t size, struct buffer *out)
{
    struct json_reader reader;
    bool first = true, good;
    dk_json_open(&reader, bytes, size);
    reader.any_number = true;
    do {
        good = json_rewrite_step(&reader, &first, out);
    } while (good && reader.depth > 0);
    return good && dk_json_finish(&reader);
}

#endif
