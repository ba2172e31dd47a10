/* SPDX-License-Identifier: Apache-2.0
 *
 * The inbox's acts: dropping an item, acknowledging one, writing anew what was rejected or lost;
 * and clearing holds. Called by apps. Invariant: an item goes away only with a discard, an
 * acknowledgement, or in the very commit that writes its changes anew.
 */
#include "engine/api/staged.h"

#include <string.h>

/* See daybook.h. */
daybook_status daybook_inbox_discard(daybook *engine, int64_t item)
{
    if (engine == NULL || !dk_engine_enter(engine)) {
        return DAYBOOK_MISUSE;
    }
    daybook_status status = dk_store_inbox_discard(engine->store, item);
    dk_watch_deliver(engine);
    dk_engine_leave(engine);
    return status;
}

/* Stages what a patch did to a set or map, and remembers it: what shows now may go, while the
 * server restores what it lost. */
static daybook_status stage_again(struct daybook_record *record, const struct field_value *value)
{
    struct said *said = dk_arena_new(&record->transaction->arena, sizeof *said);
    if (said == NULL) {
        return dk_stage_no_memory(record->transaction);
    }
    *said = (struct said){value->field, value->value, record->said};
    record->said = said;
    return dk_stage_apply(record, value->field, &value->value);
}

/* Stages one value of a change: a set or map of a patch is applied to what is there, all else is
 * whole. */
static daybook_status stage_value(struct daybook_record *record, enum block_op op,
                                  const struct field_value *value)
{
    if (value->field < 0) {
        return DAYBOOK_OK; /* a field that this engine does not know was never made here */
    }
    enum field_type type = record->entity->fields[value->field].type;
    if ((type == FIELD_SET || type == FIELD_MAP) && op == BLOCK_SET &&
        value->value.kind == VALUE_TEXT && value->value.length > 0 && value->value.text[0] == '{') {
        return stage_again(record, value);
    }
    struct value *slot = dk_stage_slot(record, value->field);
    if (slot == NULL) {
        return dk_stage_no_memory(record->transaction);
    }
    *slot = value->value;
    record->has_collections = record->has_collections || type == FIELD_SET || type == FIELD_MAP;
    return DAYBOOK_OK;
}

/* The staged record for a change: the one there is, or a new one with what the store shows beneath.
 */
static daybook_status find_or_add(struct daybook_transaction *transaction,
                                  const struct change *change, struct daybook_record **record)
{
    const struct record *base = NULL;
    enum stage_kind kind = change->op == BLOCK_NEW ? STAGE_NEW : STAGE_SET;
    *record = dk_stage_find(transaction, change->entity, &change->id);
    if (*record != NULL) {
        return DAYBOOK_OK;
    }
    daybook_status status = DAYBOOK_OK;
    if (kind == STAGE_SET) {
        status = dk_stage_load(transaction, change->entity, &change->id, &base);
    }
    if (status == DAYBOOK_OK && kind == STAGE_SET && change->seen < 0 && base == NULL) {
        status = dk_stage_missing(transaction, change->entity, &change->id);
    }
    if (status == DAYBOOK_OK) {
        status = dk_stage_add(transaction, change->entity, &change->id, kind, record);
    }
    if (status == DAYBOOK_OK) {
        (*record)->base = base;
        (*record)->seen = kind == STAGE_NEW ? 0 : change->seen;
        if (change->seen < 0 && base != NULL) {
            (*record)->seen = base->version; /* what is there now has been seen */
        }
    }
    return status;
}

/* Whether the record is a line that is not here any more, and a document of its kind is deleted:
 * then it has gone already as it would have gone now. */
static bool went_before(const struct daybook_record *record)
{
    int parent = record->entity->parent_field;
    if (parent < 0 || record->base != NULL) {
        return false;
    }
    for (const struct daybook_record *other = record->transaction->first; other != NULL;
         other = other->next) {
        if (other->kind == STAGE_DELETE &&
            (int)other->entity->kind == record->entity->fields[parent].target) {
            return true;
        }
    }
    return false;
}

/* Stages one change on top of those before it. */
static daybook_status stage_change(struct daybook_transaction *transaction,
                                   const struct change *change)
{
    struct daybook_record *record = NULL;
    daybook_status status = find_or_add(transaction, change, &record);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (change->op == BLOCK_DELETE) {
        if (record->kind == STAGE_NEW || went_before(record)) {
            dk_stage_drop(record);
        } else {
            record->kind = STAGE_DELETE;
        }
        return DAYBOOK_OK;
    }
    if (record->kind == STAGE_DELETE) {
        record->kind = STAGE_SET; /* an edit after a delete, in a later changeset of the chain */
    }
    for (int i = 0; i < change->value_count && status == DAYBOOK_OK; i++) {
        const struct field_value *value = &change->values[i];
        /* What the engine had added, it adds again. */
        if (value->field < 0 || dk_field_is_sent(&change->entity->fields[value->field])) {
            status = stage_value(record, change->op, value);
        }
    }
    return status;
}

/* Loads the item and its chain into the transaction. */
static daybook_status reopen(struct daybook_transaction *transaction, int64_t item)
{
    struct change *changes = NULL;
    int count = 0;
    daybook_status status =
        dk_store_inbox_changes(transaction->engine->store, item, &transaction->arena, &changes,
                               &count, &transaction->items, &transaction->item_count);
    if (status != DAYBOOK_OK) {
        return dk_stage_fail(transaction, status, NULL, NULL, NULL, NULL);
    }
    for (int i = 0; i < count && status == DAYBOOK_OK; i++) {
        status = stage_change(transaction, &changes[i]);
    }
    return status;
}

/* See daybook.h. */
daybook_status daybook_inbox_reopen(daybook *engine, int64_t item, daybook_transaction **out,
                                    daybook_error *error)
{
    daybook_transaction *transaction = NULL;
    if (out != NULL) {
        *out = NULL;
    }
    if (engine == NULL || out == NULL || !dk_engine_enter(engine)) {
        return dk_error_text(error, DAYBOOK_MISUSE, NULL);
    }
    daybook_status status = daybook_begin(engine, &transaction);
    if (status != DAYBOOK_OK) {
        (void)dk_error_text(error, status, NULL);
    } else {
        status = reopen(transaction, item);
        if (status == DAYBOOK_OK) {
            *out = transaction;
        } else {
            dk_error_copy(error, &transaction->error);
            daybook_end(&transaction);
        }
    }
    dk_engine_leave(engine);
    return status;
}

/* See daybook.h. */
daybook_status daybook_inbox_keep_mine(daybook *engine, int64_t item, daybook_error *error)
{
    daybook_transaction *transaction = NULL;
    daybook_status status = daybook_inbox_reopen(engine, item, &transaction, error);
    if (status == DAYBOOK_OK) {
        status = daybook_commit(transaction, error);
    }
    daybook_end(&transaction);
    return status;
}

/* See daybook.h. */
daybook_status daybook_inbox_use_theirs(daybook *engine, int64_t item)
{
    if (engine == NULL || !dk_engine_enter(engine)) {
        return DAYBOOK_MISUSE;
    }
    daybook_status status = dk_store_inbox_acknowledge(engine->store, item);
    dk_watch_deliver(engine);
    dk_engine_leave(engine);
    return status;
}
