/* SPDX-License-Identifier: Apache-2.0
 *
 * The typed setters. Called by apps for every field that they write: the fast path. Invariant: a
 * value is staged only after name, right, type, range, length and UTF-8 have been checked, and a
 * failure stages nothing.
 */
#include "engine/api/staged.h"

#include "engine/base/text.h"

#include <assert.h>
#include <string.h>

/* ---- staged values */

/* Doubles the array of values, up to one per field. */
static bool grow(struct daybook_record *record)
{
    int capacity = record->value_capacity == 0 ? 8 : record->value_capacity * 2;
    if (capacity > record->entity->field_count) {
        capacity = record->entity->field_count;
    }
    struct field_value *values =
        dk_arena_new(&record->transaction->arena, (size_t)capacity * sizeof *values);
    if (values == NULL) {
        return false;
    }
    if (record->value_count > 0) {
        memcpy(values, record->values, (size_t)record->value_count * sizeof *values);
    }
    record->values = values;
    record->value_capacity = capacity;
    return true;
}

/* See staged.h. */
struct value *dk_stage_slot(struct daybook_record *record, int field)
{
    if (record->slots[field] == 0) {
        if (record->value_count == record->value_capacity && !grow(record)) {
            return NULL;
        }
        record->values[record->value_count].field = field;
        record->value_count++;
        record->slots[field] = (uint8_t)record->value_count;
    }
    if (record->texts != NULL) {
        record->texts[field] = NULL;
    }
    return &record->values[record->slots[field] - 1].value;
}

/* See staged.h. */
const struct value *dk_stage_value(const struct daybook_record *record, int field)
{
    return record->slots[field] == 0 ? NULL : &record->values[record->slots[field] - 1].value;
}

/* See staged.h. What a replacement does not set is empty, except what a device cannot set, and a
 * state, which has no way to nothing. */
struct value dk_stage_effective(const struct daybook_record *record, int field)
{
    const struct value *staged = dk_stage_value(record, field);
    const struct field *info = &record->entity->fields[field];
    bool cleared = record->kind == STAGE_REPLACE && dk_field_is_sent(info) &&
                   info->policy != POLICY_IMMUTABLE && info->policy != POLICY_STATE;
    if (staged != NULL) {
        return *staged;
    }
    return record->base == NULL || cleared ? (struct value){.kind = VALUE_NULL}
                                           : record->base->values[field];
}

/* ---- checks */

/* See staged.h. */
daybook_status dk_stage_field(struct daybook_record *record, const char *name, int *out)
{
    struct daybook_transaction *transaction = record->transaction;
    daybook_status status = dk_stage_check_open(transaction);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (name == NULL || record->kind >= STAGE_DELETE) {
        return dk_stage_fail(transaction, DAYBOOK_MISUSE, record->entity, name, NULL,
                             record->kind == STAGE_READ
                                 ? "a record that was read is changed through "
                                   "daybook_patch"
                                 : NULL);
    }
    int field = dk_entity_field(record->entity, name, strlen(name), record->hint);
    if (field < 0) {
        return dk_stage_fail(transaction, DAYBOOK_UNKNOWN_FIELD, record->entity, name, NULL, NULL);
    }
    record->hint = field;
    if (!dk_field_is_sent(&record->entity->fields[field])) {
        return dk_stage_fail(transaction, DAYBOOK_READONLY, record->entity, name, "server", NULL);
    }
    *out = field;
    return DAYBOOK_OK;
}

/* See staged.h: the rules that dk_value_check and the collections name. */
daybook_status dk_stage_refused(struct daybook_record *record, const struct refusal *refusal)
{
    static const struct {
        const char *rule;
        daybook_status status;
    } rules[] = {
        {"type", DAYBOOK_WRONG_TYPE},    {"utf8", DAYBOOK_NOT_UTF8},
        {"range", DAYBOOK_OUT_OF_RANGE}, {"day", DAYBOOK_OUT_OF_RANGE},
        {"length", DAYBOOK_TOO_LONG},    {"bytes", DAYBOOK_TOO_LONG},
        {"elements", DAYBOOK_TOO_LARGE}, {"keys", DAYBOOK_TOO_LARGE},
        {"memory", DAYBOOK_NO_MEMORY},
    };
    daybook_status status = DAYBOOK_INVALID; /* choice, currency, id, key, set, map */
    for (size_t i = 0; refusal->rule != NULL && i < sizeof rules / sizeof rules[0]; i++) {
        if (strcmp(refusal->rule, rules[i].rule) == 0) {
            status = rules[i].status;
        }
    }
    record->transaction->arena.failed = record->transaction->arena.full = false;
    return dk_stage_fail(record->transaction, status, record->entity, refusal->field, refusal->rule,
                         NULL);
}

/* Fields that are set at creation and never again: the value that is there already may be named.
 * *same tells that it is. */
static daybook_status check_immutable(struct daybook_record *record, int field,
                                      const struct value *value, bool *same)
{
    const struct field *info = &record->entity->fields[field];
    *same = false;
    if (info->policy != POLICY_IMMUTABLE || record->kind == STAGE_NEW) {
        return DAYBOOK_OK;
    }
    daybook_status status = dk_stage_need_base(record);
    if (status != DAYBOOK_OK) {
        return status;
    }
    struct value present = dk_stage_effective(record, field);
    if (!dk_value_equal(&present, value)) {
        return dk_stage_fail(record->transaction, DAYBOOK_READONLY, record->entity, info->name,
                             "immutable", NULL);
    }
    *same = true;
    return DAYBOOK_OK;
}

/* See staged.h. Not for sets and maps. */
daybook_status dk_stage_set(struct daybook_record *record, int field, const struct value *value)
{
    struct daybook_transaction *transaction = record->transaction;
    struct refusal refusal = {0};
    const char *text = value->text;
    bool same;
    if (!dk_value_check(&record->entity->fields[field], value, &refusal)) {
        return dk_stage_refused(record, &refusal);
    }
    daybook_status status = check_immutable(record, field, value, &same);
    if (status != DAYBOOK_OK || same) {
        return status;
    }
    if (value->kind == VALUE_TEXT) {
        text = dk_arena_copy(&transaction->arena, value->text, value->length);
    }
    struct value *slot = transaction->arena.failed ? NULL : dk_stage_slot(record, field);
    if (slot == NULL) {
        return dk_stage_no_memory(transaction);
    }
    *slot = *value;
    if (value->kind == VALUE_TEXT) {
        slot->text = text;
    }
    return DAYBOOK_OK;
}

/* See staged.h. What grows only cannot be emptied. */
daybook_status dk_stage_set_null(struct daybook_record *record, int field)
{
    const struct field *info = &record->entity->fields[field];
    const struct value empty = {.kind = VALUE_NULL};
    bool collection = info->type == FIELD_SET || info->type == FIELD_MAP;
    bool same;
    daybook_status status = check_immutable(record, field, &empty, &same);
    if (status != DAYBOOK_OK || same) {
        return status;
    }
    status = collection ? dk_stage_need_base(record) : DAYBOOK_OK;
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (info->policy == POLICY_GROW && record->base != NULL &&
        record->base->values[field].kind != VALUE_NULL) {
        return dk_stage_fail(record->transaction, DAYBOOK_READONLY, record->entity, info->name,
                             "grow", NULL);
    }
    struct value *slot = dk_stage_slot(record, field);
    if (slot == NULL) {
        return dk_stage_no_memory(record->transaction);
    }
    *slot = empty;
    record->has_collections = record->has_collections || collection;
    return DAYBOOK_OK;
}

/* ---- setters */

/* WRONG_TYPE, noted. */
static daybook_status wrong_type(struct daybook_record *record, int field)
{
    return dk_stage_fail(record->transaction, DAYBOOK_WRONG_TYPE, record->entity,
                         record->entity->fields[field].name, "type", NULL);
}

/* See daybook.h. */
daybook_status daybook_set_text(daybook_record *record, const char *name, const char *text)
{
    int field;
    if (record == NULL || text == NULL) {
        return DAYBOOK_MISUSE;
    }
    daybook_status status = dk_stage_field(record, name, &field);
    if (status != DAYBOOK_OK) {
        return status;
    }
    enum field_type type = record->entity->fields[field].type;
    if (type == FIELD_SET || type == FIELD_MAP) {
        return wrong_type(record, field);
    }
    size_t length = strlen(text);
    if (length > LIMIT_TEXT_BYTES) {
        struct refusal refusal = {0, record->entity->fields[field].name, "length"};
        return dk_stage_refused(record, &refusal);
    }
    struct value value = {.kind = VALUE_TEXT, .length = (uint32_t)length, .text = text};
    return dk_stage_set(record, field, &value);
}

/* See daybook.h. A bool is no number. */
daybook_status daybook_set_int(daybook_record *record, const char *name, int64_t number)
{
    int field;
    if (record == NULL) {
        return DAYBOOK_MISUSE;
    }
    daybook_status status = dk_stage_field(record, name, &field);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (record->entity->fields[field].type == FIELD_BOOL) {
        return wrong_type(record, field);
    }
    struct value value = {.kind = VALUE_INT, .integer = number};
    return dk_stage_set(record, field, &value);
}

/* See daybook.h. */
daybook_status daybook_set_bool(daybook_record *record, const char *name, bool truth)
{
    int field;
    if (record == NULL) {
        return DAYBOOK_MISUSE;
    }
    daybook_status status = dk_stage_field(record, name, &field);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (record->entity->fields[field].type != FIELD_BOOL) {
        return wrong_type(record, field);
    }
    struct value value = {.kind = VALUE_INT, .integer = truth ? 1 : 0};
    return dk_stage_set(record, field, &value);
}

/* See daybook.h. */
daybook_status daybook_set_id(daybook_record *record, const char *name, const char *text)
{
    int field;
    struct value value = {.kind = VALUE_ID};
    if (record == NULL || text == NULL) {
        return DAYBOOK_MISUSE;
    }
    daybook_status status = dk_stage_field(record, name, &field);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (record->entity->fields[field].type == FIELD_ID &&
        !dk_id_from_text(text, strnlen(text, ID_TEXT_SIZE), &value.id)) {
        return dk_stage_fail(record->transaction, DAYBOOK_INVALID, record->entity,
                             record->entity->fields[field].name, "id", NULL);
    }
    return dk_stage_set(record, field, &value);
}

/* See daybook.h. */
daybook_status daybook_set_null(daybook_record *record, const char *name)
{
    int field;
    if (record == NULL) {
        return DAYBOOK_MISUSE;
    }
    daybook_status status = dk_stage_field(record, name, &field);
    return status != DAYBOOK_OK ? status : dk_stage_set_null(record, field);
}
