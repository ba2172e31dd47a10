/* SPDX-License-Identifier: Apache-2.0
 *
 * What SET and MAP values have in common: dispatch by type and form, the check, and small helpers
 * of set.c and map.c. Called by value.c.
 */
#include "engine/protocol/collection.h"

#include <string.h>

/* See collection.h. */
bool dk_fault(struct fault *fault, enum reject_code code, const char *rule)
{
    fault->code = code;
    fault->rule = rule;
    return false;
}

/* See collection.h. */
int dk_element_compare(const struct element *a, const struct element *b)
{
    size_t shorter = a->length < b->length ? a->length : b->length;
    int order = shorter == 0 ? 0 : memcmp(a->text, b->text, shorter);
    if (order != 0) {
        return order;
    }
    return a->length < b->length ? -1 : a->length > b->length;
}

/* See collection.h. */
const char *dk_collection_text(const struct value *value)
{
    return value->kind == VALUE_TEXT ? value->text : NULL;
}

/* See collection.h. */
bool dk_collection_is_object(const char *raw, size_t length)
{
    return length > 0 && raw[0] == '{';
}

/* See collection.h. */
bool dk_collection_open(struct json_reader *reader, struct arena *arena, const char *text,
                        size_t length, struct fault *fault)
{
    char *copy = dk_arena_copy(arena, text, length);
    if (copy == NULL) {
        return dk_fault(fault, REJECT_INTERNAL, "memory");
    }
    dk_json_open(reader, copy, length);
    return true;
}

/* See collection.h. */
bool dk_collection_finish(struct buffer *out, struct arena *arena, struct value *value,
                          struct fault *fault)
{
    bool fine = false;
    memset(value, 0, sizeof *value);
    if (out->status == DAYBOOK_TOO_LARGE) {
        (void)dk_fault(fault, REJECT_LIMIT, "bytes");
    } else if (out->status != DAYBOOK_OK) {
        arena->failed = true; /* so that whoever sees no fault can tell it from a limit */
        (void)dk_fault(fault, REJECT_INTERNAL, "memory");
    } else {
        const char *text = dk_arena_copy(arena, out->bytes, out->length);
        fine = text != NULL || dk_fault(fault, REJECT_INTERNAL, "memory");
        if (fine) {
            value->kind = VALUE_TEXT;
            value->length = (uint32_t)out->length;
            value->text = text;
        }
    }
    dk_buffer_clear(out);
    return fine;
}

/* Reads raw JSON of a SET or MAP field; dispatches by type and form. */
static bool read_any(const struct field *field, enum collection_form form, const char *raw,
                     size_t length, struct arena *arena, struct value *value, struct fault *fault)
{
    if (field->type == FIELD_MAP) {
        return dk_map_read(raw, length, form == COLLECTION_CHANGE, arena, value, fault);
    }
    if (form == COLLECTION_CHANGE && dk_collection_is_object(raw, length)) {
        return dk_set_read_change(raw, length, arena, value, fault);
    }
    return dk_set_read(raw, length, arena, value, fault);
}

bool dk_collection_read(const struct field *field, enum collection_form form, const char *raw,
                        size_t length, struct arena *arena, struct value *value,
                        struct refusal *refusal)
{
    struct fault fault = {REJECT_NONE, NULL};
    if (read_any(field, form, raw, length, arena, value, &fault)) {
        return true;
    }
    refusal->code = (int)fault.code;
    refusal->field = field->name;
    refusal->rule = fault.rule;
    return false;
}

/* Reads the text and compares what it would be written as. */
bool dk_collection_check(const struct field *field, const char *text, size_t length,
                         struct refusal *refusal)
{
    struct arena arena;
    struct value value;
    const char *problem = NULL;
    size_t offset;
    const char *rule = field->type == FIELD_SET ? "set" : "map";
    bool fine = false;
    dk_arena_init(&arena, 2 * SET_TEXT_MAX);
    if (length > SET_TEXT_MAX ||
        !dk_json_check(text, length, 3, LIMIT_SET_ELEMENTS * 4, &problem, &offset)) {
        *refusal = problem == dk_json_no_memory
                       ? (struct refusal){REJECT_INTERNAL, field->name, "memory"}
                       : (struct refusal){REJECT_SCHEMA, field->name, rule};
    } else if (dk_collection_read(field, COLLECTION_WHOLE, text, length, &arena, &value, refusal)) {
        fine = value.kind == VALUE_TEXT && value.length == length &&
               memcmp(value.text, text, length) == 0;
        if (!fine) {
            *refusal = (struct refusal){REJECT_SCHEMA, field->name, rule};
        }
    }
    dk_arena_clear(&arena);
    return fine;
}
