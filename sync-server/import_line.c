/* SPDX-License-Identifier: Apache-2.0
 *
 * One line of an import file: a record as JSON in the app's form, {"entity":"product","id":"<uuid>"
 * or "key":"…", fields}. Pure. Called by the import command. Invariant: a value that is accepted
 * here fits its field.
 *
 * Numbers of 64 bit may be strings of decimals or whole numbers; ids are UUID text, or {"key":"…"}
 * for a record that an import names by its key; a set is an array, `custom` an object of scalars;
 * null empties a field.
 */
#include "sync-server/inside.h"

#include "engine/base/text.h"

#include <string.h>

#define KEY_BYTES_MAX 200
#define LINE_DEPTH_MAX 6
#define LINE_NODES_MAX 5000

/* What is wrong, in the words of the line's author. */
struct complaint {
    char *text;
    size_t size;
};

/* Puts "what name: why" into the complaint, a long name cut; returns false. */
static bool complain(const struct complaint *complaint, const char *what, const char *name,
                     size_t length, const char *why)
{
    (void)dk_text_format(complaint->text, complaint->size, "%s %.*s: %s", what,
                         (int)(length > 60 ? 60 : length), name, why);
    return false;
}

/* The object {"key":"…"} in the place of an id; the reader has entered it. */
static bool read_reference(struct json_reader *json, struct arena *arena, struct import_row *row,
                           int field)
{
    struct import_key *reference = dk_arena_new(arena, sizeof *reference);
    if (reference == NULL || dk_json_key(json) != JSON_STRING ||
        !dk_text_equal(json->text, json->length, "key") || dk_json_next(json) != JSON_STRING ||
        json->length == 0 || json->length > KEY_BYTES_MAX) {
        return false;
    }
    reference->field = field;
    reference->key = dk_arena_copy(arena, json->text, json->length);
    reference->length = json->length;
    reference->next = row->references;
    row->references = reference;
    return reference->key != NULL && dk_json_key(json) == JSON_END;
}

/* A scalar of the field's type in the app's form; range and length are checked by
 * dk_value_check. */
static bool read_scalar(struct json_reader *json, enum json_type type, const struct field *field,
                        struct arena *arena, struct value *value)
{
    switch (field->type) {
    case FIELD_TEXT:
    case FIELD_CHOICE:
    case FIELD_CURRENCY:
        value->kind = VALUE_TEXT;
        value->length = (uint32_t)json->length;
        value->text = type == JSON_STRING ? dk_arena_copy(arena, json->text, json->length) : NULL;
        return value->text != NULL;
    case FIELD_BOOL:
        value->kind = VALUE_INT;
        value->integer = type == JSON_TRUE;
        return type == JSON_TRUE || type == JSON_FALSE;
    case FIELD_ID:
        value->kind = VALUE_ID;
        return type == JSON_STRING && dk_id_from_text(json->text, json->length, &value->id);
    default: break;
    }
    bool wide = field->type == FIELD_MONEY || field->type == FIELD_PRICE ||
                field->type == FIELD_QUANTITY || field->type == FIELD_TIME;
    value->kind = VALUE_INT;
    value->integer = json->integer;
    return type == JSON_INTEGER || (wide && type == JSON_STRING &&
                                    dk_text_to_int64(json->text, json->length, &value->integer));
}

/* One field's value. */
static bool read_field(struct json_reader *json, struct arena *arena, struct import_row *row,
                       int number, const struct complaint *complaint)
{
    const struct field *field = &row->entity->fields[number];
    struct value *value = &row->values[number];
    struct refusal refusal = {REJECT_NONE, NULL, NULL};
    bool fine = true;
    if (field->policy == POLICY_DERIVED) {
        return complain(complaint, "field", field->name, strlen(field->name), "it is computed");
    }
    row->present |= (uint64_t)1 << number;
    if (field->type == FIELD_SET || field->type == FIELD_MAP) {
        fine = dk_value_read(json, field, arena, value, &refusal);
    } else {
        enum json_type type = dk_json_next(json);
        if (type == JSON_OBJECT && field->type == FIELD_ID) {
            fine = read_reference(json, arena, row, number);
        } else if (type != JSON_NULL) {
            fine = read_scalar(json, type, field, arena, value) &&
                   dk_value_check(field, value, &refusal);
        }
    }
    const char *why = refusal.rule != NULL ? refusal.rule : "the value has another type";
    arena->failed = arena->failed || refusal.code == REJECT_INTERNAL;
    return fine || complain(complaint, "field", field->name, strlen(field->name), why);
}

/* Finds "entity" first, wherever it stands, so that the fields can be read in any order. */
static bool read_entity(char *text, size_t length, struct import_row *row,
                        const struct complaint *complaint)
{
    struct json_reader json;
    dk_json_open(&json, text, length);
    json.any_number = true;
    if (dk_json_next(&json) != JSON_OBJECT) {
        return complain(complaint, "the line", "", 0, "it is no JSON object");
    }
    while (dk_json_key(&json) == JSON_STRING) {
        const char *raw;
        size_t raw_length;
        bool entity = dk_text_equal(json.text, json.length, "entity");
        if (!dk_json_skip(&json, &raw, &raw_length)) {
            break;
        }
        if (entity) {
            bool string = raw_length > 2 && raw[0] == '"';
            row->entity = string ? dk_entity_by_name(raw + 1, raw_length - 2) : NULL;
            return row->entity != NULL ||
                   complain(complaint, "entity", raw, raw_length, "there is none of this name");
        }
    }
    return complain(complaint, "the line", "", 0, "it has no entity");
}

/* "id" and "key". */
static bool read_name(struct json_reader *json, bool is_id, struct arena *arena,
                      struct import_row *row, const struct complaint *complaint)
{
    if (dk_json_next(json) != JSON_STRING || json->length == 0 || json->length > KEY_BYTES_MAX) {
        return complain(complaint, "member", is_id ? "id" : "key", 3,
                        "it is a text of 1 to 200 bytes");
    }
    if (is_id) {
        row->has_id = dk_id_from_text(json->text, json->length, &row->id);
        return row->has_id || complain(complaint, "member", "id", 2, "it is no UUID");
    }
    row->key = dk_arena_copy(arena, json->text, json->length);
    row->key_length = json->length;
    row->has_key = row->key != NULL;
    return row->has_key;
}

/* See the header. */
bool srv_import_line(char *text, size_t length, struct arena *arena, struct import_row *row,
                     char *problem, size_t problem_size)
{
    const struct complaint complaint = {problem, problem_size};
    const char *why;
    size_t offset;
    struct json_reader json;
    enum json_type type;
    int hint = 0;
    memset(row, 0, sizeof *row);
    if (!dk_json_check(text, length, LINE_DEPTH_MAX, LINE_NODES_MAX, &why, &offset)) {
        arena->failed = arena->failed || why == dk_json_no_memory;
        (void)dk_text_format(problem, problem_size, "it is not strict JSON, at byte %zu: %s",
                             offset, why);
        return false;
    }
    if (!read_entity(text, length, row, &complaint)) {
        return false;
    }
    dk_json_open(&json, text, length);
    (void)dk_json_next(&json);
    while ((type = dk_json_key(&json)) == JSON_STRING) {
        bool is_id = dk_text_equal(json.text, json.length, "id");
        bool fine;
        if (dk_text_equal(json.text, json.length, "entity")) {
            fine = dk_json_skip(&json, NULL, NULL);
        } else if (is_id || dk_text_equal(json.text, json.length, "key")) {
            fine = read_name(&json, is_id, arena, row, &complaint);
        } else {
            hint = dk_entity_field(row->entity, json.text, json.length, hint);
            if (hint < 0) {
                return complain(&complaint, "field", json.text, json.length,
                                "the entity has none of this name");
            }
            fine = read_field(&json, arena, row, hint, &complaint);
        }
        if (!fine) {
            return false;
        }
    }
    return (type == JSON_END && !arena->failed) ||
           complain(&complaint, "the line", "", 0, "it cannot be read");
}
