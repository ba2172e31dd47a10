/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns local deletes: of one record, and of a document with its lines. Called by write.c.
 * Invariant: a line that goes with its document has one change in the changeset, whatever the
 * transaction has done to it before.
 */
#include "engine/store/write.h"

#include <string.h>

/* Takes the row away and keeps all of the base, for an undo. */
static daybook_status hide(struct write *write, const struct change *change,
                           struct holding *holding)
{
    struct store *store = write->store;
    struct base base;
    daybook_status status = dk_pending_base(holding, &store->work, &base);
    if (status != DAYBOOK_OK) {
        return status;
    }
    dk_write_extend(write, change, holding);
    holding->touched = ALL_FIELDS & ~store->facts[change->entity->kind].derived;
    if (base.state != BASE_ABSENT) {
        status = dk_pending_base_text(store, &base.record, holding->touched, true);
        holding->base_text =
            (struct value){.kind = VALUE_TEXT, .length = (uint32_t)store->text.length};
        holding->base_text.text = store->text.bytes;
    }
    if (status == DAYBOOK_OK) {
        status = dk_pending_write(store, holding, false);
    }
    if (status == DAYBOOK_OK) {
        status = dk_records_remove(store, change->entity, &change->id);
    }
    return status == DAYBOOK_OK
               ? dk_write_touch(write, change, &holding->row.record, &holding->row.record)
               : status;
}

/* The change of a record that this transaction has already written, or NULL. */
struct change *dk_write_find(struct write *write, const struct entity *entity, const struct id *id)
{
    for (int i = 0; i < write->changeset.change_count; i++) {
        struct change *change = &write->changeset.changes[i];
        if (change->entity == entity && dk_id_compare(&change->id, id) == 0) {
            return change;
        }
    }
    return NULL;
}

/* A line whose document is deleted after this very transaction has made or changed it: one that was
 * made is forgotten, for a changed one the delete takes the change's place. */
static daybook_status delete_written(struct write *write, struct change *written)
{
    struct holding holding;
    struct store *store = write->store;
    daybook_status status =
        dk_pending_load(store, written->entity, &written->id, &store->work, &holding);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (written->op == BLOCK_SET) {
        written->op = BLOCK_DELETE;
        written->value_count = 0;
        return hide(write, written, &holding);
    }
    struct changeset *changeset = &write->changeset;
    struct change *end = changeset->changes + changeset->change_count;
    status = dk_records_remove(store, written->entity, &written->id);
    memmove(written, written + 1, (size_t)(end - written - 1) * sizeof *written);
    changeset->change_count--;
    return status;
}

static daybook_status delete_children(struct write *write, const struct change *document);

/* A delete that the app asked for, or that follows from one of the document. *seen is what goes up.
 */
daybook_status dk_write_delete(struct write *write, struct change *change, int64_t *seen)
{
    struct holding holding;
    struct change kept = *change; /* the array moves when children are added */
    daybook_status status = dk_write_load_seen(write, change, &holding);
    if (status == DAYBOOK_OK) {
        *seen = change->seen;
        status = dk_write_check_frozen(write, change, &holding.row.record, ALL_FIELDS);
    }
    if (status == DAYBOOK_OK) {
        status = hide(write, change, &holding);
    }
    return status == DAYBOOK_OK ? delete_children(write, &kept) : status;
}

/* Deletes the lines of a document, as they are seen here. */
static daybook_status delete_children(struct write *write, const struct change *document)
{
    struct store *store = write->store;
    const struct entity *child;
    for (int n = 0; (child = dk_entity_child((int)document->entity->kind, n)) != NULL; n++) {
        struct id *ids;
        int count;
        daybook_status status =
            dk_records_children(store, child, &document->id, &store->arena, &ids, &count);
        for (int i = 0; i < count && status == DAYBOOK_OK; i++) {
            struct change change = {.op = BLOCK_DELETE, .entity = child, .id = ids[i]};
            struct holding holding;
            struct change *written = dk_write_find(write, child, &ids[i]);
            int64_t seen;
            write->cascaded = true;
            dk_arena_reset(&store->work);
            if (written != NULL) {
                status = delete_written(write, written);
                continue;
            }
            status = dk_pending_load(store, child, &ids[i], &store->work, &holding);
            if (status == DAYBOOK_OK) {
                change.seen = holding.row.record.version; /* as it is shown */
                status = dk_write_add_change(write, &change, &written);
            }
            if (status == DAYBOOK_OK) {
                status = dk_write_delete(write, written, &seen);
            }
        }
        if (status != DAYBOOK_OK) {
            return status;
        }
    }
    return DAYBOOK_OK;
}
