/* SPDX-License-Identifier: Apache-2.0
 *
 * Setters of sets and of the custom map. Called by apps and by record_json.c. Invariant: what is
 * staged is the whole set or map that the record shall have, in canonical form; the commit makes
 * the change out of it that leads there from what the store showed.
 */
#include "engine/api/staged.h"

#include "engine/base/text.h"
#include "engine/protocol/verdict.h"

#include <string.h>

#define CHANGE_TEXT_MAX ((size_t)LIMIT_CUSTOM_BYTES * 2) /* one element or key as JSON */

/* See staged.h. A false without a failed arena means that the result has too many elements, keys or
 * bytes. */
daybook_status dk_stage_apply(struct daybook_record *record, int field, const struct value *change)
{
    struct daybook_transaction *transaction = record->transaction;
    const struct field *info = &record->entity->fields[field];
    daybook_status status = dk_stage_need_base(record);
    if (status != DAYBOOK_OK) {
        return status;
    }
    struct value present = dk_stage_effective(record, field);
    struct value result;
    bool fine = info->type == FIELD_SET
                    ? dk_set_apply(&present, change, &transaction->arena, &result)
                    : dk_map_apply(&present, change, &transaction->arena, &result);
    if (transaction->arena.failed) {
        return dk_stage_no_memory(transaction);
    }
    if (!fine) {
        return dk_stage_fail(transaction, DAYBOOK_TOO_LARGE, record->entity, info->name,
                             info->type == FIELD_SET ? "elements" : "keys", NULL);
    }
    struct value *slot = dk_stage_slot(record, field);
    if (slot == NULL) {
        return dk_stage_no_memory(transaction);
    }
    *slot = result;
    record->has_collections = true;
    return DAYBOOK_OK;
}

/* Reads JSON as a whole value of the field, checked and canonical. */
static daybook_status read_whole(struct daybook_record *record, int field, const char *json,
                                 size_t length, struct value *value)
{
    struct daybook_transaction *transaction = record->transaction;
    const struct field *info = &record->entity->fields[field];
    struct refusal refusal = {0};
    struct json_reader reader;
    char *copy = dk_arena_copy(&transaction->arena, json, length);
    if (copy == NULL) {
        return dk_stage_no_memory(transaction);
    }
    dk_json_open(&reader, copy, length);
    if (dk_value_read(&reader, info, &transaction->arena, value, &refusal)) {
        return DAYBOOK_OK;
    }
    if (transaction->arena.failed) {
        return dk_stage_no_memory(transaction);
    }
    if (reader.problem != NULL) {
        return dk_stage_fail(transaction, DAYBOOK_BAD_JSON, record->entity, info->name, NULL,
                             reader.problem);
    }
    return dk_stage_refused(record, &refusal);
}

/* See staged.h. */
daybook_status dk_stage_whole(struct daybook_record *record, int field, const char *json,
                              size_t length)
{
    struct value value;
    const struct field *info = &record->entity->fields[field];
    daybook_status status = read_whole(record, field, json, length, &value);
    if (status == DAYBOOK_OK) {
        status = dk_stage_need_base(record);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (info->policy == POLICY_GROW && record->base != NULL &&
        record->base->values[field].kind != VALUE_NULL) {
        return dk_stage_fail(record->transaction, DAYBOOK_READONLY, record->entity, info->name,
                             "grow", "add single elements to a set that only grows");
    }
    struct value *slot = dk_stage_slot(record, field);
    if (slot == NULL) {
        return dk_stage_no_memory(record->transaction);
    }
    *slot = value;
    record->has_collections = true;
    return DAYBOOK_OK;
}

/* Checks one element and stages {"add":[element]} or {"remove":[element]}. */
static daybook_status change_element(struct daybook_record *record, const char *name,
                                     const char *element, const char *how)
{
    int field;
    struct value whole;
    if (record == NULL || element == NULL) {
        return DAYBOOK_MISUSE;
    }
    struct daybook_transaction *transaction = record->transaction;
    daybook_status status = dk_stage_field(record, name, &field);
    if (status != DAYBOOK_OK) {
        return status;
    }
    struct refusal refusal = {0, record->entity->fields[field].name, NULL};
    size_t length = strnlen(element, LIMIT_SET_ELEMENT_BYTES + 1);
    if (record->entity->fields[field].type != FIELD_SET) {
        refusal.rule = "type";
    } else if (length > LIMIT_SET_ELEMENT_BYTES) {
        refusal.rule = "length";
    } else if (!dk_text_is_utf8(element, length)) {
        refusal.rule = "utf8";
    }
    if (refusal.rule != NULL) {
        return dk_stage_refused(record, &refusal);
    }
    struct buffer text;
    dk_buffer_init(&text, CHANGE_TEXT_MAX);
    dk_buffer_append_char(&text, '[');
    dk_json_write_string(&text, element, length);
    dk_buffer_append_char(&text, ']');
    status = text.status != DAYBOOK_OK ? dk_stage_no_memory(transaction)
                                       : read_whole(record, field, text.bytes, text.length, &whole);
    dk_buffer_reset(&text);
    if (status == DAYBOOK_OK) {
        dk_buffer_append_text(&text, "{\"");
        dk_buffer_append_text(&text, how);
        dk_buffer_append_text(&text, "\":");
        dk_buffer_append(&text, whole.text, whole.length);
        dk_buffer_append_char(&text, '}');
        struct value change = {
            .kind = VALUE_TEXT, .length = (uint32_t)text.length, .text = text.bytes};
        status = text.status != DAYBOOK_OK ? dk_stage_no_memory(transaction)
                                           : dk_stage_apply(record, field, &change);
    }
    dk_buffer_clear(&text);
    return status;
}

/* See daybook.h. */
daybook_status daybook_set_add(daybook_record *record, const char *field, const char *element)
{
    return change_element(record, field, element, "add");
}

/* See daybook.h. From a set that only grows nothing is removed, except what this transaction added
 * to a new record. */
daybook_status daybook_set_remove(daybook_record *record, const char *name, const char *element)
{
    int field;
    if (record == NULL || element == NULL) {
        return DAYBOOK_MISUSE;
    }
    daybook_status status = dk_stage_field(record, name, &field);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (record->entity->fields[field].policy == POLICY_GROW && record->kind != STAGE_NEW) {
        return dk_stage_fail(record->transaction, DAYBOOK_READONLY, record->entity, name, "grow",
                             NULL);
    }
    return change_element(record, name, element, "remove");
}

/* See staged.h. A key that is put is first read as a whole map of its own, for the limits and the
 * form; null only removes, but its key is checked in the same way. */
daybook_status dk_stage_key(struct daybook_record *record, int field, const char *key,
                            size_t key_length, const char *json, size_t json_length)
{
    struct daybook_transaction *transaction = record->transaction;
    struct value change = {.kind = VALUE_NULL};
    bool removes = dk_text_equal(json, json_length, "null");
    struct buffer text;
    dk_buffer_init(&text, CHANGE_TEXT_MAX);
    dk_buffer_append_char(&text, '{');
    dk_json_write_string(&text, key, key_length);
    dk_buffer_append_char(&text, ':');
    dk_buffer_append(&text, removes ? "true" : json, removes ? 4 : json_length);
    dk_buffer_append_char(&text, '}');
    daybook_status status = DAYBOOK_OK;
    if (text.status != DAYBOOK_OK) {
        struct refusal refusal = {0, record->entity->fields[field].name,
                                  text.status == DAYBOOK_TOO_LARGE ? "bytes" : "memory"};
        status = dk_stage_refused(record, &refusal);
    } else {
        status = read_whole(record, field, text.bytes, text.length, &change);
    }
    if (status == DAYBOOK_OK && removes) {
        dk_buffer_reset(&text);
        dk_buffer_append_char(&text, '{');
        dk_json_write_string(&text, key, key_length);
        dk_buffer_append_text(&text, ":null}");
        change =
            (struct value){.kind = VALUE_TEXT, .length = (uint32_t)text.length, .text = text.bytes};
        status = text.status == DAYBOOK_OK ? DAYBOOK_OK : dk_stage_no_memory(transaction);
    }
    if (status == DAYBOOK_OK) {
        status = dk_stage_apply(record, field, &change);
    }
    dk_buffer_clear(&text);
    return status;
}

/* See daybook.h. */
daybook_status daybook_set_custom(daybook_record *record, const char *key, const char *json)
{
    int field;
    const char *problem = NULL;
    size_t offset = 0;
    if (record == NULL || key == NULL || json == NULL) {
        return DAYBOOK_MISUSE;
    }
    daybook_status status = dk_stage_field(record, "custom", &field);
    if (status != DAYBOOK_OK) {
        return status;
    }
    struct refusal refusal = {0, "custom", NULL};
    size_t key_length = strnlen(key, LIMIT_CUSTOM_KEY_BYTES + 1);
    size_t json_length = strnlen(json, LIMIT_CUSTOM_BYTES + 1);
    if (key_length > LIMIT_CUSTOM_KEY_BYTES) {
        refusal.rule = "key";
    } else if (!dk_text_is_utf8(key, key_length)) {
        refusal.rule = "utf8";
    } else if (json_length > LIMIT_CUSTOM_BYTES) {
        refusal.rule = "bytes";
    }
    if (refusal.rule != NULL) {
        return dk_stage_refused(record, &refusal);
    }
    size_t blank = strspn(json, " \t\r\n");
    bool scalar = json[blank] != '{' && json[blank] != '[';
    if (!scalar) {
        problem = "text, a whole number, true, false or null is expected";
    }
    if (!scalar || !dk_json_check(json, json_length, 1, 1, &problem, &offset)) {
        return dk_stage_fail(record->transaction,
                             problem == dk_json_no_memory ? DAYBOOK_NO_MEMORY : DAYBOOK_BAD_JSON,
                             record->entity, "custom", NULL, problem);
    }
    while (json_length > 0 && strchr(" \t\r\n", json[json_length - 1]) != NULL) {
        json_length--;
    }
    return dk_stage_key(record, field, key, key_length, json + blank, json_length - blank);
}
