/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading one record through a transaction, and the getters. Called by apps. Invariant: what is
 * shown is the store's record with what this transaction staged on top; fields that Daybook
 * computes follow at the commit.
 */
#include "engine/api/staged.h"

#include "engine/base/text.h"

#include <string.h>

/* True where the record is a line whose document this transaction deletes. */
static bool is_gone_with_document(struct daybook_transaction *transaction,
                                  const struct record *base)
{
    int field = base->entity->parent_field;
    if (field < 0 || base->values[field].kind != VALUE_ID) {
        return false;
    }
    const struct entity *parent = dk_entity(base->entity->fields[field].target);
    const struct daybook_record *staged =
        dk_stage_find(transaction, parent, &base->values[field].id);
    return staged != NULL && staged->kind == STAGE_DELETE;
}

/* A copy of a staged record as it is now: later setters do not change it. */
static daybook_status copy_staged(struct daybook_transaction *transaction,
                                  struct daybook_record *staged, struct daybook_record **out)
{
    daybook_status status = dk_stage_need_base(staged);
    if (status != DAYBOOK_OK) {
        return status;
    }
    struct record *shown = dk_arena_new(&transaction->arena, sizeof *shown);
    struct daybook_record *record = dk_stage_new_record(transaction, staged->entity, &staged->id);
    if (shown == NULL || record == NULL) {
        return dk_stage_no_memory(transaction);
    }
    shown->entity = staged->entity;
    shown->id = staged->id;
    shown->version = staged->base == NULL ? 0 : staged->base->version;
    for (int field = 0; field < staged->entity->field_count; field++) {
        shown->values[field] = dk_stage_effective(staged, field);
    }
    record->kind = STAGE_READ;
    record->base = shown;
    *out = record;
    return DAYBOOK_OK;
}

/* The store's record. */
static daybook_status read_stored(struct daybook_transaction *transaction,
                                  const struct entity *entity, const struct id *id,
                                  struct daybook_record **out)
{
    const struct record *base;
    daybook_status status = dk_stage_load(transaction, entity, id, &base);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (base == NULL || is_gone_with_document(transaction, base)) {
        return dk_stage_fail(transaction, DAYBOOK_NOT_FOUND, entity, NULL, NULL, NULL);
    }
    struct daybook_record *record = dk_stage_new_record(transaction, entity, id);
    if (record == NULL) {
        return dk_stage_no_memory(transaction);
    }
    record->kind = STAGE_READ;
    record->base = base;
    *out = record;
    return DAYBOOK_OK;
}

/* See daybook.h. */
daybook_status daybook_read(daybook_transaction *transaction, const char *name, const char *text,
                            daybook_record **record)
{
    struct id id;
    if (record != NULL) {
        *record = NULL;
    }
    if (transaction == NULL || record == NULL) {
        return DAYBOOK_MISUSE;
    }
    daybook_status status = dk_stage_check_open(transaction);
    if (status != DAYBOOK_OK) {
        return status;
    }
    const struct entity *entity = name == NULL ? NULL : dk_entity_by_name(name, strlen(name));
    if (entity == NULL) {
        return dk_error_set(&transaction->error, DAYBOOK_UNKNOWN_ENTITY, name, NULL, NULL, NULL);
    }
    if (text == NULL || !dk_id_from_text(text, strnlen(text, ID_TEXT_SIZE), &id)) {
        return dk_stage_fail(transaction, DAYBOOK_INVALID, entity, NULL, "id", "the id is no UUID");
    }
    struct daybook_record *staged = dk_stage_find(transaction, entity, &id);
    if (staged == NULL) {
        return read_stored(transaction, entity, &id, record);
    }
    if (staged->kind == STAGE_DELETE) {
        return dk_stage_fail(transaction, DAYBOOK_NOT_FOUND, entity, NULL, NULL, NULL);
    }
    return copy_staged(transaction, staged, record);
}

/* See daybook.h. */
const char *daybook_record_id(const daybook_record *record)
{
    return record == NULL ? NULL : record->id_text;
}

/* See daybook.h; DAYBOOK_NEW for one that this transaction makes, and for a patch the version that
 * it named where the store has not been asked. */
int64_t daybook_record_version(const daybook_record *record)
{
    if (record == NULL) {
        return DAYBOOK_NEW;
    }
    return record->base != NULL ? record->base->version : record->seen;
}

/* Looks a field up for a getter: any field may be read. */
static daybook_status find_field(struct daybook_record *record, const char *name, int *out)
{
    if (name == NULL || record->kind == STAGE_DELETE || record->kind == STAGE_DROPPED) {
        return dk_stage_fail(record->transaction, DAYBOOK_MISUSE, record->entity, name, NULL, NULL);
    }
    int field = dk_entity_field(record->entity, name, strlen(name), record->hint);
    if (field < 0) {
        return dk_stage_fail(record->transaction, DAYBOOK_UNKNOWN_FIELD, record->entity, name, NULL,
                             NULL);
    }
    record->hint = field;
    *out = field;
    return dk_stage_value(record, field) != NULL ? DAYBOOK_OK : dk_stage_need_base(record);
}

/* A NUL-terminated copy of a text or an id in the arena, kept until the field is set again. */
static const char *keep_text(struct daybook_record *record, int field, const struct value *value)
{
    struct arena *arena = &record->transaction->arena;
    char id[ID_TEXT_SIZE];
    if (record->texts == NULL) {
        record->texts =
            dk_arena_new(arena, (size_t)record->entity->field_count * sizeof *record->texts);
        if (record->texts == NULL) {
            return NULL;
        }
    }
    if (record->texts[field] == NULL && value->kind == VALUE_ID) {
        dk_id_to_text(&value->id, id);
        record->texts[field] = dk_arena_copy(arena, id, ID_TEXT_SIZE - 1);
    } else if (record->texts[field] == NULL) {
        record->texts[field] = dk_arena_copy(arena, value->text, value->length);
    }
    return record->texts[field];
}

/* See daybook.h. */
daybook_status daybook_get_text(daybook_record *record, const char *name, const char **text)
{
    int field;
    if (text != NULL) {
        *text = NULL;
    }
    if (record == NULL || text == NULL) {
        return DAYBOOK_MISUSE;
    }
    daybook_status status = find_field(record, name, &field);
    if (status != DAYBOOK_OK) {
        return status;
    }
    struct value value = dk_stage_effective(record, field);
    switch (record->entity->fields[field].type) {
    case FIELD_TEXT:
    case FIELD_CHOICE:
    case FIELD_CURRENCY:
    case FIELD_ID:
    case FIELD_SET:
    case FIELD_MAP: break;
    default:
        return dk_stage_fail(record->transaction, DAYBOOK_WRONG_TYPE, record->entity, name, "type",
                             NULL);
    }
    if (value.kind == VALUE_NULL) {
        return DAYBOOK_OK;
    }
    *text = keep_text(record, field, &value);
    return *text != NULL ? DAYBOOK_OK : dk_stage_no_memory(record->transaction);
}

/* See daybook.h; `is_null` may be NULL, and the number then is 0 for an empty field. */
daybook_status daybook_get_int(daybook_record *record, const char *name, int64_t *number,
                               bool *is_null)
{
    int field;
    if (number != NULL) {
        *number = 0;
    }
    if (is_null != NULL) {
        *is_null = true;
    }
    if (record == NULL || number == NULL) {
        return DAYBOOK_MISUSE;
    }
    daybook_status status = find_field(record, name, &field);
    if (status != DAYBOOK_OK) {
        return status;
    }
    switch (record->entity->fields[field].type) {
    case FIELD_TEXT:
    case FIELD_CHOICE:
    case FIELD_CURRENCY:
    case FIELD_ID:
    case FIELD_SET:
    case FIELD_MAP:
        return dk_stage_fail(record->transaction, DAYBOOK_WRONG_TYPE, record->entity, name, "type",
                             NULL);
    default: break;
    }
    struct value value = dk_stage_effective(record, field);
    if (value.kind == VALUE_INT) {
        *number = value.integer;
        if (is_null != NULL) {
            *is_null = false;
        }
    }
    return DAYBOOK_OK;
}
