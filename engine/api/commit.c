/* SPDX-License-Identifier: Apache-2.0
 *
 * From staged records to the changes that the store commits. Called by transaction.c. Invariant:
 * what is staged stays as it is, so that a commit that failed can be mended and made again.
 */
#include "engine/api/staged.h"

#include <assert.h>
#include <string.h>

/* What the base has in the field; NULL value where there is no base. */
static struct value base_value(const struct daybook_record *record, int field)
{
    return record->base == NULL ? (struct value){.kind = VALUE_NULL} : record->base->values[field];
}

/* The change of a set or map that leads from the base to `wanted`, with all that was said of it
 * before, as far as one change has room for that; *empty where it is nothing. */
static daybook_status collection_change(const struct daybook_record *record, int field,
                                        const struct value *wanted, struct value *change,
                                        bool *empty)
{
    struct arena *arena = &record->transaction->arena;
    const struct field *info = &record->entity->fields[field];
    struct value base = base_value(record, field);
    bool is_set = info->type == FIELD_SET;
    bool fine = is_set ? dk_set_difference(&base, wanted, arena, change)
                       : dk_map_difference(&base, wanted, arena, change);
    if (!fine && !arena->failed) {
        return dk_stage_fail(record->transaction, DAYBOOK_TOO_LARGE, record->entity, info->name,
                             is_set ? "elements" : "keys", NULL);
    }
    *empty = fine && dk_value_equal(&base, wanted);
    for (const struct said *said = record->said; said != NULL && !arena->failed;
         said = said->next) {
        struct value more;
        if (said->field == field &&
            (is_set ? dk_set_insist : dk_map_insist)(change, &said->change, wanted, arena, &more)) {
            *change = more;
            *empty = false;
        }
    }
    return arena->failed ? dk_stage_no_memory(record->transaction) : DAYBOOK_OK;
}

/* Adds what leads from the base to `wanted`. */
static daybook_status add_value(struct daybook_record *record, int field,
                                const struct value *wanted, struct field_value *values, int *count)
{
    const struct field *info = &record->entity->fields[field];
    struct value value = *wanted;
    bool empty = false;
    daybook_status status = DAYBOOK_OK;
    if (info->type == FIELD_SET || info->type == FIELD_MAP) {
        status = collection_change(record, field, wanted, &value, &empty);
    }
    if (status == DAYBOOK_OK && !empty) {
        values[(*count)++] = (struct field_value){.field = field, .value = value};
    }
    return status;
}

/* Whether the staged values are already as the store wants them: no collection, and in a new record
 * no empty one. */
static bool is_ready(const struct daybook_record *record)
{
    if (record->kind == STAGE_SET) {
        return !record->has_collections;
    }
    assert(record->kind == STAGE_NEW);
    for (int i = 0; i < record->value_count; i++) {
        if (record->values[i].value.kind == VALUE_NULL) {
            return false;
        }
    }
    return true;
}

/* The values of a new record: whole ones, the empty left out. */
static void new_values(const struct daybook_record *record, struct field_value *values, int *count)
{
    for (int i = 0; i < record->value_count; i++) {
        if (record->values[i].value.kind != VALUE_NULL) {
            values[*count] = record->values[i];
            (*count)++;
        }
    }
}

/* The values of a patch. */
static daybook_status set_values(struct daybook_record *record, struct field_value *values,
                                 int *count)
{
    daybook_status status = DAYBOOK_OK;
    for (int i = 0; i < record->value_count && status == DAYBOOK_OK; i++) {
        status =
            add_value(record, record->values[i].field, &record->values[i].value, values, count);
    }
    return status;
}

/* The values of a replacement: every field that a device may set and that shall be other than it
 * is. */
static daybook_status replace_values(struct daybook_record *record, struct field_value *values,
                                     int *count)
{
    daybook_status status = DAYBOOK_OK;
    for (int field = 0; field < record->entity->field_count && status == DAYBOOK_OK; field++) {
        const struct field *info = &record->entity->fields[field];
        if (!dk_field_is_sent(info) || info->policy == POLICY_IMMUTABLE) {
            continue;
        }
        struct value wanted = dk_stage_effective(record, field);
        struct value base = base_value(record, field);
        if (!dk_value_equal(&base, &wanted)) {
            status = add_value(record, field, &wanted, values, count);
        }
    }
    return status;
}

/* See staged.h. */
daybook_status dk_stage_to_change(struct daybook_record *record, struct change *change, bool *empty)
{
    struct daybook_transaction *transaction = record->transaction;
    *change = (struct change){
        .op = record->kind == STAGE_NEW      ? BLOCK_NEW
              : record->kind == STAGE_DELETE ? BLOCK_DELETE
                                             : BLOCK_SET,
        .entity = record->entity,
        .id = record->id,
        .seen = record->seen,
    };
    *empty = false;
    if (record->kind == STAGE_DELETE) {
        return DAYBOOK_OK;
    }
    if (record->kind != STAGE_REPLACE && is_ready(record)) {
        change->values = record->values;
        change->value_count = record->value_count;
    } else {
        change->values = dk_arena_new(&transaction->arena,
                                      (size_t)record->entity->field_count * sizeof *change->values);
        if (change->values == NULL) {
            return dk_stage_no_memory(transaction);
        }
        daybook_status status = DAYBOOK_OK;
        if (record->kind == STAGE_NEW) {
            new_values(record, change->values, &change->value_count);
        } else if (record->kind == STAGE_SET) {
            status = set_values(record, change->values, &change->value_count);
        } else {
            status = replace_values(record, change->values, &change->value_count);
        }
        if (status != DAYBOOK_OK) {
            return status;
        }
    }
    *empty = change->op == BLOCK_SET && change->value_count == 0;
    return DAYBOOK_OK;
}
