/* SPDX-License-Identifier: Apache-2.0
 *
 * Takes fields out of a record's extra that the schema knows by now. Called when a store of an
 * older schema is opened, on the device and on the server. Invariant: both ends make the same of
 * the same text, so that replicas agree afterwards without a word on the wire.
 */
#include "engine/protocol/adopt.h"

#include <string.h>

/* Appends "name":raw to the object under way. */
static void append_member(struct buffer *out, const char *name, size_t name_length, const char *raw,
                          size_t raw_length)
{
    dk_buffer_append_char(out, out->length == 0 ? '{' : ',');
    dk_json_write_string(out, name, name_length);
    dk_buffer_append_char(out, ':');
    dk_buffer_append(out, raw, raw_length);
}

/* See the header. */
bool dk_adopt_is_ours(const struct field *field)
{
    return field->policy == POLICY_SERVER || field->policy == POLICY_DERIVED;
}

/* Whether a value is nobody's to have given: derived ones never travel. */
static bool goes(const struct field *field, bool sent)
{
    return field->policy == POLICY_DERIVED || (sent && dk_adopt_is_ours(field));
}

/* Reads the value of a known field. False: damage. */
static bool take_value(struct json_reader *json, struct record *record, bool sent, int field,
                       struct arena *arena)
{
    struct refusal refusal = {0, NULL, NULL};
    struct value *value = &record->values[field];
    if (goes(&record->entity->fields[field], sent)) {
        return dk_json_skip(json, NULL, NULL);
    }
    if (dk_value_read_decided(json, &record->entity->fields[field], arena, value, &refusal)) {
        return true;
    }
    *value = (struct value){.kind = VALUE_NULL};
    return refusal.code != 0 && !arena->failed;
}

/* Walks the members: known ones become values, the others go to `rest`. False: damage. */
static bool sort_members(struct json_reader *json, struct record *record, bool sent,
                         struct arena *arena, struct buffer *rest, uint64_t *moved)
{
    enum json_type type;
    if (dk_json_next(json) != JSON_OBJECT) {
        return false;
    }
    while ((type = dk_json_key(json)) == JSON_STRING) {
        const char *name = json->text, *raw;
        size_t length = json->length, raw_length;
        int field = dk_entity_field(record->entity, name, length, -1);
        if (field >= 0) {
            *moved |= (uint64_t)1 << field;
            if (!take_value(json, record, sent, field, arena)) {
                return false;
            }
        } else if (dk_json_skip(json, &raw, &raw_length)) {
            append_member(rest, name, length, raw, raw_length);
        } else {
            return false;
        }
    }
    return type == JSON_END;
}

bool dk_adopt_extra(struct record *record, bool sent, struct arena *arena, uint64_t *moved)
{
    struct json_reader json;
    struct buffer rest;
    *moved = 0;
    if (record->extra.kind != VALUE_TEXT) {
        return true;
    }
    char *copy = dk_arena_copy(arena, record->extra.text, record->extra.length);
    if (copy == NULL) {
        return false;
    }
    dk_buffer_init(&rest, (size_t)record->extra.length * 6 + 2);
    dk_json_open(&json, copy, record->extra.length);
    bool fine = sort_members(&json, record, sent, arena, &rest, moved);
    if (fine && *moved != 0) {
        record->extra = (struct value){.kind = VALUE_NULL};
        if (rest.length > 0) {
            dk_buffer_append_char(&rest, '}');
            record->extra.kind = VALUE_TEXT;
            record->extra.length = (uint32_t)rest.length;
            record->extra.text = dk_arena_copy(arena, rest.bytes, rest.length);
        }
        fine = rest.status == DAYBOOK_OK && !arena->failed;
    }
    dk_buffer_clear(&rest);
    return fine;
}
