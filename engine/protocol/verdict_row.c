/* SPDX-License-Identifier: Apache-2.0
 *
 * Verdict rows, [seq,"kind",position] with an object of details behind where there is something to
 * say. Written by the decider, kept by it as they are, read by the device. Invariant: what is
 * written is read to the same; details of newer servers are skipped.
 */
#include "engine/protocol/message.h"

#include "engine/base/text.h"

#include <string.h>

/* Appends a member with a text value to the object under way. */
static void write_detail(struct buffer *out, const char **separator, const char *name,
                         const char *text, size_t length)
{
    if (length == 0) {
        return;
    }
    dk_buffer_append_text(out, *separator);
    dk_buffer_append_text(out, name);
    dk_buffer_append_text(out, "\":");
    dk_json_write_string(out, text, length);
    *separator = ",\"";
}

/* As write_detail, for an id; a zero id is left out. */
static void write_detail_id(struct buffer *out, const char **separator, const char *name,
                            const struct id *id)
{
    char text[ID_WIRE_LENGTH];
    if (!dk_id_is_zero(id)) {
        dk_id_to_wire(id, text);
        write_detail(out, separator, name, text, sizeof text);
    }
}

/* As write_detail, for a flag; false is left out. */
static void write_flag(struct buffer *out, const char **separator, const char *name, bool flag)
{
    if (flag) {
        dk_buffer_append_text(out, *separator);
        dk_buffer_append_text(out, name);
        dk_buffer_append_text(out, "\":true");
        *separator = ",\"";
    }
}

/* As write_detail, for a time; 0 is left out. */
static void write_time(struct buffer *out, const char **separator, const char *name, int64_t ms)
{
    if (ms != 0) {
        dk_buffer_append_text(out, *separator);
        dk_buffer_append_text(out, name);
        dk_buffer_append_text(out, "\":\"");
        dk_buffer_append_int(out, ms);
        dk_buffer_append_char(out, '"');
        *separator = ",\"";
    }
}

void dk_verdict_write(struct buffer *out, const struct verdict *verdict)
{
    const char *separator = ",{\"";
    const char *first = separator;
    dk_buffer_append_char(out, '[');
    dk_buffer_append_int(out, verdict->seq);
    dk_buffer_append_text(out, ",\"");
    dk_buffer_append_text(out, dk_verdict_name(verdict->kind));
    dk_buffer_append_text(out, "\",");
    dk_buffer_append_int(out, verdict->position);
    if (verdict->code != REJECT_NONE) {
        const char *code = dk_reject_name(verdict->code);
        write_detail(out, &separator, "code", code, strlen(code));
    }
    write_detail(out, &separator, "entity", verdict->entity, strlen(verdict->entity));
    write_detail_id(out, &separator, "record", &verdict->record);
    write_detail(out, &separator, "field", verdict->field, strlen(verdict->field));
    write_detail(out, &separator, "rule", verdict->rule, strlen(verdict->rule));
    write_detail_id(out, &separator, "cause", &verdict->cause);
#define WRITE_FLAG(member, name) write_flag(out, &separator, name, verdict->member);
    VERDICT_FLAG_LIST(WRITE_FLAG)
#undef WRITE_FLAG
    write_time(out, &separator, "moved", verdict->moved_ms);
    dk_buffer_append_text(out, separator == first ? "]" : "}]");
}

/* Copies the string to be read next into a fixed text, cut between code points where it is longer.
 */
static bool read_fixed(struct json_reader *json, char *out, size_t size)
{
    if (dk_json_next(json) != JSON_STRING) {
        return dk_json_fail(json, "a verdict's detail is no text");
    }
    size_t length = json->length;
    if (length >= size) {
        length = size - 1;
        while (length > 0 && ((unsigned char)json->text[length] & 0xC0) == 0x80) {
            length--;
        }
    }
    memcpy(out, json->text, length);
    out[length] = '\0';
    return true;
}

/* An id as the value of a detail. */
static bool read_detail_id(struct json_reader *json, struct id *id)
{
    return (dk_json_next(json) == JSON_STRING && dk_id_from_wire(json->text, json->length, id)) ||
           dk_json_fail(json, "a verdict's detail is no id");
}

/* A flag as the value of a detail. */
static bool read_flag(struct json_reader *json, bool *flag)
{
    enum json_type type = dk_json_next(json);
    *flag = type == JSON_TRUE;
    return type == JSON_TRUE || type == JSON_FALSE ||
           dk_json_fail(json, "a verdict's flag is neither true nor false");
}

/* A time as the value of a detail. */
static bool read_time(struct json_reader *json, int64_t *ms)
{
    return (dk_json_next(json) == JSON_STRING && dk_text_to_int64(json->text, json->length, ms) &&
            *ms > 0) ||
           dk_json_fail(json, "a verdict's detail is no time");
}

/* One member of a verdict's object, whose key was just read; unknown ones are skipped. */
static bool read_detail(struct json_reader *json, struct verdict *verdict)
{
    const char *key = json->text;
    size_t length = json->length;
    if (dk_text_equal(key, length, "code")) {
        if (dk_json_next(json) != JSON_STRING) {
            return dk_json_fail(json, "a verdict's code is no text");
        }
        verdict->code = dk_reject_by_name(json->text, json->length);
        return true;
    }
    if (dk_text_equal(key, length, "entity")) {
        return read_fixed(json, verdict->entity, sizeof verdict->entity);
    }
    if (dk_text_equal(key, length, "record")) {
        return read_detail_id(json, &verdict->record);
    }
    if (dk_text_equal(key, length, "field")) {
        return read_fixed(json, verdict->field, sizeof verdict->field);
    }
    if (dk_text_equal(key, length, "rule")) {
        return read_fixed(json, verdict->rule, sizeof verdict->rule);
    }
    if (dk_text_equal(key, length, "cause")) {
        return read_detail_id(json, &verdict->cause);
    }
#define READ_FLAG(member, name)                                                                    \
    if (dk_text_equal(key, length, name)) {                                                        \
        return read_flag(json, &verdict->member);                                                  \
    }
    VERDICT_FLAG_LIST(READ_FLAG)
#undef READ_FLAG
    if (dk_text_equal(key, length, "moved")) {
        return read_time(json, &verdict->moved_ms);
    }
    return dk_json_skip(json, NULL, NULL);
}

/* The three positional elements: seq, kind, position. */
static bool read_verdict_head(struct json_reader *json, struct verdict *verdict)
{
    if (dk_json_next(json) != JSON_INTEGER || json->integer < 1) {
        return dk_json_fail(json, "a verdict has no seq");
    }
    verdict->seq = json->integer;
    if (dk_json_next(json) != JSON_STRING) {
        return dk_json_fail(json, "a verdict has no kind");
    }
    verdict->kind = dk_verdict_by_name(json->text, json->length);
    if (verdict->kind == VERDICT_NONE) {
        return dk_json_fail(json, "a verdict of unknown kind");
    }
    if (dk_json_next(json) != JSON_INTEGER || json->integer < 0) {
        return dk_json_fail(json, "a verdict has no position");
    }
    verdict->position = json->integer;
    bool applied = verdict->kind == VERDICT_ACCEPTED || verdict->kind == VERDICT_MERGED;
    return applied == (verdict->position > 0) ||
           dk_json_fail(json, "a verdict's position does not fit its kind");
}

int dk_verdict_read(struct json_reader *reader, struct verdict *verdict)
{
    memset(verdict, 0, sizeof *verdict);
    enum json_type type = dk_json_next(reader);
    if (type == JSON_END) {
        return 0;
    }
    if (type != JSON_ARRAY) {
        (void)dk_json_fail(reader, "a verdict is no array");
        return -1;
    }
    if (!read_verdict_head(reader, verdict)) {
        return -1;
    }
    type = dk_json_next(reader);
    if (type == JSON_OBJECT) {
        while ((type = dk_json_key(reader)) == JSON_STRING) {
            if (!read_detail(reader, verdict)) {
                return -1;
            }
        }
        type = type == JSON_END ? dk_json_next(reader) : type;
    }
    if (type != JSON_END) {
        (void)dk_json_fail(reader, "a verdict has more elements than it should");
        return -1;
    }
    return 1;
}
