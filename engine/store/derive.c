/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the list of records that a transaction touched and whose DERIVED fields may follow. Called
 * by commit and apply before they end. Invariant: afterwards the DERIVED fields of every record
 * named, of its document and of that document's lines equal what dk_sales_derive computes (lines
 * first, because documents add them up), and visits show what visits.c reckons.
 */
#include "engine/store/visits.h"

#include <stdlib.h>
#include <string.h>

/* Adds a record; only a twin of the last is passed over, the others are sorted out later. */
daybook_status dk_touch_any(struct store *store, struct touched *touched,
                            const struct entity *entity, const struct id *id)
{
    if (touched->count > 0 && touched->items[touched->count - 1].entity == entity &&
        dk_id_compare(&touched->items[touched->count - 1].id, id) == 0) {
        return DAYBOOK_OK;
    }
    struct touched_record *items = dk_arena_grow(&store->arena, touched->items, touched->count,
                                                 &touched->capacity, sizeof *items);
    if (items == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    touched->items = items;
    touched->items[touched->count++] = (struct touched_record){entity, *id};
    return DAYBOOK_OK;
}

/* The same for what may have to be derived: entities without DERIVED fields around them are passed
 * over. */
daybook_status dk_touch(struct store *store, struct touched *touched, const struct entity *entity,
                        const struct id *id)
{
    return store->facts[entity->kind].derives ? dk_touch_any(store, touched, entity, id)
                                              : DAYBOOK_OK;
}

/* Also tells the observer that its entity has changed. A visit is remembered as it was before:
 * others were judged by it there. */
daybook_status dk_touch_record(struct store *store, struct touched *touched,
                               const struct record *record)
{
    const struct entity *entity = record->entity;
    store->changed |= dk_store_bit((int)entity->kind);
    daybook_status status = dk_touch(store, touched, entity, &record->id);
    if (status == DAYBOOK_OK && entity->kind == ENTITY_VISIT) {
        status = dk_visits_note(store, touched, record, false);
    }
    if (status != DAYBOOK_OK || entity->parent_field < 0 ||
        record->values[entity->parent_field].kind != VALUE_ID) {
        return status;
    }
    return dk_touch(store, touched, dk_entity(entity->fields[entity->parent_field].target),
                    &record->values[entity->parent_field].id);
}

/* By entity and id, for qsort. */
static int compare_touched(const void *a, const void *b)
{
    const struct touched_record *left = a, *right = b;
    if (left->entity != right->entity) {
        return left->entity->kind < right->entity->kind ? -1 : 1;
    }
    return dk_id_compare(&left->id, &right->id);
}

/* Sorts the list and drops twins. */
static void sort_out(struct touched *touched)
{
    int kept = 0;
    if (touched->count == 0) {
        return;
    }
    qsort(touched->items, (size_t)touched->count, sizeof *touched->items, compare_touched);
    for (int i = 1; i < touched->count; i++) {
        if (compare_touched(&touched->items[kept], &touched->items[i]) != 0) {
            touched->items[++kept] = touched->items[i];
        }
    }
    touched->count = kept + 1;
}

/* Derives one record and writes the columns that differ. Its document, if it is a line, is added to
 * `documents`. */
static daybook_status derive_one(struct store *store, const struct touched_record *item,
                                 struct touched *documents, bool lenient)
{
    const struct entity *entity = item->entity;
    struct sales_reader reader = dk_records_reader(store);
    struct stored stored;
    uint64_t changed = 0;
    bool found;
    dk_arena_reset(&store->work);
    daybook_status status =
        dk_records_load(store, entity, &item->id, &store->work, &stored, &found);
    if (status != DAYBOOK_OK || !found) {
        return status;
    }
    if (documents != NULL && entity->parent_field >= 0) {
        const struct value *parent = &stored.record.values[entity->parent_field];
        if (parent->kind == VALUE_ID) {
            status = dk_touch(store, documents,
                              dk_entity(entity->fields[entity->parent_field].target), &parent->id);
        }
    }
    if (status == DAYBOOK_OK && store->facts[entity->kind].derived != 0) {
        status = dk_sales_derive(&reader, &stored.record, &store->work, &changed);
        if (status == DAYBOOK_OUT_OF_RANGE && lenient) {
            changed = 0;
            status = DAYBOOK_OK;
        }
    }
    if (status == DAYBOOK_OK && changed != 0) {
        store->changed |= dk_store_bit((int)entity->kind);
        status = dk_records_update(store, &stored.record, changed, stored.version, 0);
    }
    return status;
}

/* Adds the lines of a document that was touched itself: they may follow from it. */
static daybook_status touch_lines(struct store *store, struct touched *lines,
                                  const struct touched_record *document)
{
    const struct entity *child;
    daybook_status status = DAYBOOK_OK;
    for (int n = 0; (child = dk_entity_child((int)document->entity->kind, n)) != NULL; n++) {
        struct id *ids;
        int count;
        if (store->facts[child->kind].derived == 0) {
            continue;
        }
        status = dk_records_children(store, child, &document->id, &store->arena, &ids, &count);
        for (int i = 0; i < count && status == DAYBOOK_OK; i++) {
            status = dk_touch(store, lines, child, &ids[i]);
        }
        if (status != DAYBOOK_OK) {
            return status;
        }
    }
    return status;
}

/* True for a visit or what hangs from one. */
static bool is_of_visit(const struct entity *entity)
{
    return entity->kind == ENTITY_VISIT || entity->kind == ENTITY_VISIT_ACTION;
}

/* Documents: visits are reckoned, in the order of their check-ins. */
static daybook_status derive_documents(struct store *store, struct touched *documents, bool lenient)
{
    struct touched visits = {.times = documents->times,
                             .time_count = documents->time_count,
                             .time_capacity = documents->time_capacity,
                             .noted = documents->noted};
    daybook_status status = DAYBOOK_OK;
    sort_out(documents);
    for (int i = 0; i < documents->count && status == DAYBOOK_OK; i++) {
        const struct touched_record *item = &documents->items[i];
        status = is_of_visit(item->entity) ? dk_touch(store, &visits, item->entity, &item->id)
                                           : derive_one(store, item, NULL, lenient);
    }
    bool any = visits.count > 0 || visits.time_count > 0;
    return status == DAYBOOK_OK && any ? dk_visits_reckon(store, &visits) : status;
}

/* Three rounds: what is neither, then lines, then documents. Where nothing is pending the server's
 * word on visits stands. */
daybook_status dk_touched_derive(struct store *store, struct touched *touched, bool lenient)
{
    const struct store_state *state = &store->memory.state;
    struct touched lines = {.count = 0}, documents = {.count = 0};
    bool settled = lenient && state->pending == 0 && state->unsettled == 0;
    if (!settled) {
        documents.times = touched->times;
        documents.time_count = touched->time_count;
        documents.time_capacity = touched->time_capacity;
        documents.noted = touched->noted;
    }
    daybook_status status = DAYBOOK_OK;
    sort_out(touched);
    for (int i = 0; i < touched->count && status == DAYBOOK_OK; i++) {
        const struct touched_record *item = &touched->items[i];
        const struct entity_facts *facts = &store->facts[item->entity->kind];
        if (settled && is_of_visit(item->entity)) {
            continue;
        }
        if (facts->is_document) {
            status = dk_touch(store, &documents, item->entity, &item->id);
            if (status == DAYBOOK_OK) {
                status = touch_lines(store, &lines, item);
            }
        } else if (item->entity->parent_field >= 0) {
            status = dk_touch(store, &lines, item->entity, &item->id);
        } else {
            status = derive_one(store, item, NULL, lenient);
        }
    }
    sort_out(&lines);
    for (int i = 0; i < lines.count && status == DAYBOOK_OK; i++) {
        status = derive_one(store, &lines.items[i], &documents, lenient);
    }
    return status == DAYBOOK_OK ? derive_documents(store, &documents, lenient) : status;
}
