/* SPDX-License-Identifier: Apache-2.0
 *
 * Which records a transaction holds: a list in the order of staging and a hash table by (entity,
 * id). Called by transaction.c, getter.c, record_json.c and inbox.c. Invariant: see staged.h;
 * looking up and adding cost the same for the first and the ten thousandth record.
 */
#include "engine/api/staged.h"

#include "engine/base/memory.h"

#include <assert.h>
#include <string.h>

#define TABLE_FIRST ((size_t)64)
#define VALUES_FIRST 12

/* Ids end with random bits. */
static size_t place_of(const struct entity *entity, const struct id *id, size_t size)
{
    uint64_t bits;
    memcpy(&bits, id->bytes + 8, sizeof bits);
    bits = (bits ^ (uint64_t)entity->kind) * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(bits >> 32) & (size - 1);
}

/* Puts the record into the first free place. The table has room. */
static void put(struct daybook_record **table, size_t size, struct daybook_record *record)
{
    size_t place = place_of(record->entity, &record->id, size);
    while (table[place] != NULL) {
        place = (place + 1) & (size - 1);
    }
    table[place] = record;
}

/* Makes room for one more: never more than half full. Dropped records are left behind when it
 * grows. */
static bool make_room(struct daybook_transaction *transaction)
{
    if (transaction->table_used * 2 < transaction->table_size) {
        return true;
    }
    size_t size = transaction->table_size == 0 ? TABLE_FIRST : transaction->table_size * 2;
    struct daybook_record **table = dk_memory_new(size, sizeof(struct daybook_record *));
    if (table == NULL) {
        return false;
    }
    transaction->table_used = 0;
    for (size_t i = 0; i < transaction->table_size; i++) {
        struct daybook_record *record = transaction->table[i];
        if (record != NULL && record->kind != STAGE_DROPPED) {
            put(table, size, record);
            transaction->table_used++;
        }
    }
    dk_memory_free(transaction->table);
    transaction->table = table;
    transaction->table_size = size;
    return true;
}

/* See staged.h. */
struct daybook_record *dk_stage_find(struct daybook_transaction *transaction,
                                     const struct entity *entity, const struct id *id)
{
    if (transaction->table_size == 0) {
        return NULL;
    }
    size_t place = place_of(entity, id, transaction->table_size);
    struct daybook_record *record;
    while ((record = transaction->table[place]) != NULL) {
        if (record->entity == entity && record->kind != STAGE_DROPPED &&
            dk_id_compare(&record->id, id) == 0) {
            return record;
        }
        place = (place + 1) & (transaction->table_size - 1);
    }
    return NULL;
}

/* See staged.h. NULL: no memory. */
struct daybook_record *dk_stage_new_record(struct daybook_transaction *transaction,
                                           const struct entity *entity, const struct id *id)
{
    struct daybook_record *record = dk_arena_new(&transaction->arena, sizeof *record);
    if (record != NULL) {
        record->transaction = transaction;
        record->entity = entity;
        record->id = *id;
        dk_id_to_text(id, record->id_text);
    }
    return record;
}

/* See staged.h. */
daybook_status dk_stage_add(struct daybook_transaction *transaction, const struct entity *entity,
                            const struct id *id, enum stage_kind kind, struct daybook_record **out)
{
    if (transaction->count == LIMIT_CHANGESET_CHANGES) {
        return dk_stage_fail(transaction, DAYBOOK_TOO_LARGE, entity, NULL, "changes",
                             "the transaction has too many records");
    }
    struct daybook_record *record = dk_stage_new_record(transaction, entity, id);
    if (record != NULL && kind != STAGE_DELETE) {
        record->value_capacity = VALUES_FIRST;
        record->values = dk_arena_new(&transaction->arena, VALUES_FIRST * sizeof *record->values);
    }
    if (transaction->arena.failed || !make_room(transaction)) {
        return dk_stage_no_memory(transaction);
    }
    record->kind = kind;
    record->previous = transaction->last;
    if (transaction->last != NULL) {
        transaction->last->next = record;
    } else {
        transaction->first = record;
    }
    transaction->last = record;
    transaction->count++;
    put(transaction->table, transaction->table_size, record);
    transaction->table_used++;
    *out = record;
    return DAYBOOK_OK;
}

/* See staged.h. Its place in the table stays taken, so that look-ups walk over it. */
void dk_stage_drop(struct daybook_record *record)
{
    struct daybook_transaction *transaction = record->transaction;
    assert(record->kind != STAGE_DROPPED && record->kind != STAGE_READ);
    if (record->previous != NULL) {
        record->previous->next = record->next;
    } else {
        transaction->first = record->next;
    }
    if (record->next != NULL) {
        record->next->previous = record->previous;
    } else {
        transaction->last = record->previous;
    }
    record->next = NULL;
    record->previous = NULL;
    record->kind = STAGE_DROPPED;
    transaction->count--;
}

/* See staged.h. Lines of lines do not exist: the entity table has two levels. A line that cannot be
 * read is left for the commit to find. */
daybook_status dk_stage_drop_children(struct daybook_transaction *transaction,
                                      const struct entity *entity, const struct id *id)
{
    if (dk_entity_child((int)entity->kind, 0) == NULL) {
        return DAYBOOK_OK;
    }
    struct daybook_record *record = transaction->first;
    while (record != NULL) {
        struct daybook_record *next = record->next;
        int parent = record->entity->parent_field;
        if (parent >= 0 && record->entity->fields[parent].target == (int)entity->kind) {
            daybook_status status = dk_stage_need_base(record);
            if (status != DAYBOOK_OK && status != DAYBOOK_NOT_FOUND) {
                return status;
            }
            struct value value = dk_stage_effective(record, parent);
            if (value.kind == VALUE_ID && dk_id_compare(&value.id, id) == 0) {
                dk_stage_drop(record);
            }
        }
        record = next;
    }
    return DAYBOOK_OK;
}

/* See staged.h. */
daybook_status dk_stage_load(struct daybook_transaction *transaction, const struct entity *entity,
                             const struct id *id, const struct record **base)
{
    struct daybook *engine = transaction->engine;
    bool found = false;
    *base = NULL;
    struct record *record = dk_arena_new(&transaction->arena, sizeof *record);
    if (record == NULL) {
        return dk_stage_no_memory(transaction);
    }
    if (!dk_engine_enter(engine)) {
        return dk_stage_fail(transaction, DAYBOOK_MISUSE, NULL, NULL, NULL, "the engine is closed");
    }
    daybook_status status =
        dk_store_read(engine->store, entity, id, &transaction->arena, record, &found);
    dk_engine_leave(engine);
    if (status == DAYBOOK_OK && transaction->arena.failed) {
        return dk_stage_no_memory(transaction);
    }
    if (status != DAYBOOK_OK) {
        transaction->arena.failed = false;
        return dk_stage_fail(transaction, status, entity, NULL, NULL, NULL);
    }
    *base = found ? record : NULL;
    return DAYBOOK_OK;
}

/* See staged.h. */
daybook_status dk_stage_missing(struct daybook_transaction *transaction,
                                const struct entity *entity, const struct id *id)
{
    struct daybook *engine = transaction->engine;
    bool fetched = false;
    if (!dk_engine_enter(engine)) {
        return dk_stage_fail(transaction, DAYBOOK_MISUSE, NULL, NULL, NULL, "the engine is closed");
    }
    daybook_status status = dk_store_fetched_has(engine->store, entity, id, &fetched);
    dk_engine_leave(engine);
    if (status == DAYBOOK_OK) {
        status = fetched ? DAYBOOK_READONLY : DAYBOOK_NOT_FOUND;
    }
    return dk_stage_fail(transaction, status, entity, NULL, fetched ? "fetched" : NULL, NULL);
}

/* See staged.h. */
daybook_status dk_stage_need_base(struct daybook_record *record)
{
    const struct record *base = NULL;
    if (!record->unread) {
        return DAYBOOK_OK;
    }
    daybook_status status = dk_stage_load(record->transaction, record->entity, &record->id, &base);
    if (status == DAYBOOK_OK && base == NULL) {
        return dk_stage_missing(record->transaction, record->entity, &record->id);
    }
    if (status == DAYBOOK_OK) {
        record->base = base;
        record->unread = false;
    }
    return status;
}
