/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the joining of JSON objects member by member: fields of newer schemas that a record carries
 * along, and two changes of one map. Called by apply, upgrade and the inbox. Invariant: members
 * keep their raw text and their order; a new value of a name stands once.
 */
#include "engine/store/inside.h"

#include <string.h>

/* Whether one of the values of unknown fields has this name. */
static bool names(const struct field_value *values, int count, const char *name, size_t length)
{
    for (int i = 0; i < count; i++) {
        if (values[i].field < 0 && values[i].name_length == length &&
            memcmp(values[i].name, name, length) == 0) {
            return true;
        }
    }
    return false;
}

/* Appends "name":raw to the object under way. */
static void append_member(struct buffer *out, const char *name, size_t name_length, const char *raw,
                          size_t raw_length)
{
    if (out->length > 1) {
        dk_buffer_append_char(out, ',');
    }
    dk_json_write_string(out, name, name_length);
    dk_buffer_append_char(out, ':');
    dk_buffer_append(out, raw, raw_length);
}

/* Copies the members that the values do not name. `extra` was written by this function, so damage
 * is the file's. */
static bool append_kept(struct buffer *out, const struct value *extra,
                        const struct field_value *values, int count, struct arena *arena)
{
    if (extra == NULL || extra->kind != VALUE_TEXT) {
        return true;
    }
    struct json_reader json;
    enum json_type type;
    char *copy = dk_arena_copy(arena, extra->text, extra->length);
    if (copy == NULL) {
        return false;
    }
    dk_json_open(&json, copy, extra->length);
    if (dk_json_next(&json) != JSON_OBJECT) {
        return false;
    }
    while ((type = dk_json_key(&json)) == JSON_STRING) {
        const char *key = json.text, *raw;
        size_t key_length = json.length, raw_length;
        if (!dk_json_skip(&json, &raw, &raw_length)) {
            return false;
        }
        if (!names(values, count, key, key_length)) {
            append_member(out, key, key_length, raw, raw_length);
        }
    }
    return type == JSON_END;
}

/* `keep_null`: a null stays as a member instead of taking one away. */
static daybook_status join_members(const struct value *extra, const struct field_value *values,
                                   int count, bool keep_null, struct arena *arena,
                                   struct value *result)
{
    struct buffer out;
    daybook_status status = DAYBOOK_OK;
    dk_buffer_init(&out, LIMIT_REPLY_EXPANDED);
    dk_buffer_append_char(&out, '{');
    if (!append_kept(&out, extra, values, count, arena)) {
        status = arena->failed ? DAYBOOK_NO_MEMORY : DAYBOOK_CORRUPT;
        goto end;
    }
    for (int i = 0; i < count; i++) {
        const struct value *raw = &values[i].value;
        bool is_null = raw->length == 4 && memcmp(raw->text, "null", 4) == 0;
        if (values[i].field < 0 && (keep_null || !is_null)) {
            append_member(&out, values[i].name, values[i].name_length, raw->text, raw->length);
        }
    }
    dk_buffer_append_char(&out, '}');
    status = out.status;
    memset(result, 0, sizeof *result);
    if (status == DAYBOOK_OK && out.length > 2) {
        result->kind = VALUE_TEXT;
        result->length = (uint32_t)out.length;
        result->text = dk_arena_copy(arena, out.bytes, out.length);
        status = result->text == NULL ? DAYBOOK_NO_MEMORY : DAYBOOK_OK;
    }

end:
    dk_buffer_clear(&out);
    return status;
}

/* null takes a member away; an object without members is NULL. */
daybook_status dk_records_extra(const struct value *extra, const struct field_value *values,
                                int count, struct arena *arena, struct value *result)
{
    return join_members(extra, values, count, false, arena, result);
}

daybook_status dk_records_join(const struct value *change, const struct field_value *values,
                               int count, struct arena *arena, struct value *result)
{
    return join_members(change, values, count, true, arena, result);
}
