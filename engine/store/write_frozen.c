/* SPDX-License-Identifier: Apache-2.0
 *
 * Documents whose content stands, on the device: refuses what would change one, and sends with the
 * step that makes it stand how the document looked here, or what was seen of its lines, so that the
 * server can tell what others have done to it meanwhile. Called by write.c and write_delete.c.
 * Invariant: what a document and its lines were before the transaction decides, so one transaction
 * may still fill in and send.
 */
#include "engine/store/write.h"

#include "engine/sales/machines.h"

#include <string.h>

/* True where the list has the record. */
static bool has(const struct touched *list, const struct entity *entity, const struct id *id)
{
    for (int i = 0; i < list->count; i++) {
        if (list->items[i].entity == entity && dk_id_compare(&list->items[i].id, id) == 0) {
            return true;
        }
    }
    return false;
}

/* The first content field of a mask; NULL: none. */
static const char *first_content(const struct entity *entity, uint64_t mask)
{
    for (int field = 0; field < entity->field_count; field++) {
        if ((mask >> field & 1) != 0 && dk_machine_is_content(&entity->fields[field])) {
            return entity->fields[field].name;
        }
    }
    return NULL;
}

/* Whether the content of a line's document stands; what it was found to be is kept for the next
 * line. */
static daybook_status look_at_parent(struct write *write, const struct entity *document,
                                     const struct id *id, bool *frozen)
{
    struct record record;
    bool found = false;
    if (write->looked_at == document && dk_id_compare(&write->looked_id, id) == 0) {
        *frozen = write->looked_frozen;
        return DAYBOOK_OK;
    }
    *frozen = false;
    if (!has(&write->stepped, document, id)) {
        daybook_status status = write->reader.get(write->reader.context, (int)document->kind, id,
                                                  &write->store->work, &record, &found);
        if (status != DAYBOOK_OK) {
            return status;
        }
        *frozen = found && dk_machine_freeze(document, dk_machine_state(&record), write->roles) !=
                               FREEZE_NOT;
    }
    write->looked_at = document;
    write->looked_id = *id;
    write->looked_frozen = *frozen;
    return DAYBOOK_OK;
}

daybook_status dk_write_check_frozen(struct write *write, const struct change *change,
                                     const struct record *before, uint64_t changed)
{
    const struct entity *entity = change->entity;
    const char *field = first_content(entity, changed);
    bool frozen = false;
    if (field == NULL) {
        return DAYBOOK_OK;
    }
    if (dk_machine_freezes(entity)) {
        int state = change->op == BLOCK_NEW ? 0 : dk_machine_state(before);
        frozen = dk_machine_freeze(entity, state, write->roles) != FREEZE_NOT;
    } else if (entity->parent_field >= 0 && before->values[entity->parent_field].kind == VALUE_ID) {
        const struct entity *document = dk_entity(entity->fields[entity->parent_field].target);
        if (dk_machine_freezes(document)) {
            daybook_status status =
                look_at_parent(write, document, &before->values[entity->parent_field].id, &frozen);
            if (status != DAYBOOK_OK) {
                return status;
            }
        }
    }
    return !frozen ? DAYBOOK_OK
                   : dk_write_fail(write, change, DAYBOOK_RULE, REJECT_RULE,
                                   change->op == BLOCK_SET ? field : NULL, "frozen");
}

daybook_status dk_write_note_step(struct write *write, const struct change *change, int from,
                                  const struct record *record)
{
    const struct entity *entity = change->entity;
    if (!dk_machine_freezes(entity)) {
        return DAYBOOK_OK;
    }
    if (change->op == BLOCK_NEW) { /* its lines follow, and need not look for it */
        write->looked_at = entity;
        write->looked_id = change->id;
        write->looked_frozen = false;
    }
    bool stands = dk_machine_freeze(entity, dk_machine_state(record), MACHINE_NONE) != FREEZE_NOT;
    bool stood = dk_machine_freeze(entity, from, MACHINE_NONE) != FREEZE_NOT;
    return stands && !stood ? dk_touch_any(write->store, &write->stepped, entity, &change->id)
                            : DAYBOOK_OK;
}

/* ---- the copy of what is sent */

/* Whether a field is in the copy: content, and what a server of the first schema cannot tell from
 * it. */
static bool is_copied(const struct field *field)
{
    bool may_seem = field->since > 1 && field->policy != POLICY_DERIVED;
    return dk_machine_is_content(field) || (may_seem && (field->flags & FIELD_PASSING) == 0);
}

/* Adds a record to the copy: its content as a change that makes it, with what is of a schema that
 * this engine does not know, for it may be content. */
static bool copy_record(struct arena *arena, const struct record *record, struct changeset *copy)
{
    const struct entity *entity = record->entity;
    struct change *change = &copy->changes[copy->change_count++];
    struct field_value extra = {.field = -1};
    const char *raw;
    size_t cursor = 0, name_length, length;
    *change = (struct change){.op = BLOCK_NEW, .entity = entity, .id = record->id};
    change->values = dk_arena_new(arena, LIMIT_FIELDS * sizeof *change->values);
    for (int field = 0; change->values != NULL && field < entity->field_count; field++) {
        if (is_copied(&entity->fields[field]) && record->values[field].kind != VALUE_NULL) {
            change->values[change->value_count++] =
                (struct field_value){.field = field, .value = record->values[field]};
        }
    }
    while (change->values != NULL && change->value_count < LIMIT_FIELDS &&
           dk_map_next(&record->extra, &cursor, &extra.name, &name_length, &raw, &length)) {
        extra.name_length = (uint32_t)name_length;
        extra.value = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)length, .text = raw};
        change->values[change->value_count++] = extra;
        copy->schema = SCHEMA_ANY;
    }
    return change->values != NULL;
}

/* The document and its lines, as they are seen here, as the text of a changeset that makes them; in
 * the store's buffer `body`. */
static daybook_status write_copy(struct write *write, const struct record *document)
{
    struct store *store = write->store;
    struct arena *arena = &store->work;
    const struct entity *child;
    struct changeset copy = {.id = document->id, .seq = 1, .schema = SCHEMA_VERSION};
    copy.changes = dk_arena_new(arena, (LIMIT_CHILDREN + 1) * sizeof *copy.changes);
    if (copy.changes == NULL || !copy_record(arena, document, &copy)) {
        return DAYBOOK_NO_MEMORY;
    }
    for (int n = 0; (child = dk_entity_child((int)document->entity->kind, n)) != NULL; n++) {
        struct record *lines;
        int count;
        daybook_status status = write->reader.children(write->reader.context, (int)child->kind,
                                                       &document->id, arena, &lines, &count);
        for (int i = 0; i < count && status == DAYBOOK_OK; i++) {
            if (copy.change_count > LIMIT_CHILDREN) {
                return DAYBOOK_TOO_LARGE;
            }
            status = copy_record(arena, &lines[i], &copy) ? DAYBOOK_OK : DAYBOOK_NO_MEMORY;
        }
        if (status != DAYBOOK_OK) {
            return status;
        }
    }
    dk_buffer_reset(&store->body);
    dk_changeset_encode(&store->body, &copy);
    return store->body.status;
}

/* Adds the copy to the change that sends a document. */
static daybook_status add_copy(struct write *write, struct change *change, int field)
{
    struct store *store = write->store;
    struct holding holding;
    dk_arena_reset(&store->work);
    daybook_status status =
        dk_pending_load(store, change->entity, &change->id, &store->work, &holding);
    if (status != DAYBOOK_OK || holding.base_state == BASE_ABSENT) {
        return status; /* nobody else has had it yet */
    }
    struct record record = holding.row.record;
    status = write_copy(write, &record);
    if (status != DAYBOOK_OK || store->body.length > (size_t)change->entity->fields[field].limit) {
        return status;
    }
    size_t size = ((size_t)change->value_count + 1) * sizeof *change->values;
    struct field_value *values = dk_arena_new(&store->arena, size);
    char *text = dk_arena_copy(&store->arena, store->body.bytes, store->body.length);
    if (values == NULL || text == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    memcpy(values, change->values, (size_t)change->value_count * sizeof *values);
    struct value value = {.kind = VALUE_TEXT, .length = (uint32_t)store->body.length};
    value.text = text;
    values[change->value_count] = (struct field_value){.field = field, .value = value};
    change->values = values;
    change->value_count++;
    record.values[field] = value;
    return dk_write_put(write, change, &holding, &record);
}

/* ---- what was seen of the lines */

/* Names a line that is shown in a later version than the one of its document that the step was
 * based on, without a value. Others need not be named: they were seen with the document. */
static daybook_status name_line(struct write *write, const struct entity *entity,
                                const struct id *id, int64_t seen)
{
    struct holding holding;
    struct change *added, change = {.op = BLOCK_SET, .entity = entity, .id = *id};
    dk_arena_reset(&write->store->work);
    daybook_status status =
        dk_pending_load(write->store, entity, id, &write->store->work, &holding);
    if (status != DAYBOOK_OK || !holding.has_row || holding.base_state == BASE_ABSENT) {
        return status;
    }
    change.seen = holding.row.record.version;
    status = dk_write_present_seen(write, &holding, &change.seen);
    if (status != DAYBOOK_OK || change.seen <= seen) {
        return status;
    }
    struct record record = holding.row.record;
    status = dk_write_add_change(write, &change, &added);
    return status == DAYBOOK_OK ? dk_write_put(write, added, &holding, &record) : status;
}

/* Names the lines of a document that the transaction does not change itself. */
static daybook_status name_lines(struct write *write, const struct entity *document,
                                 const struct id *id, int64_t seen)
{
    const struct entity *child;
    daybook_status status = DAYBOOK_OK;
    for (int n = 0; (child = dk_entity_child((int)document->kind, n)) != NULL; n++) {
        struct id *ids;
        int count;
        status = dk_records_children(write->store, child, id, &write->store->arena, &ids, &count);
        for (int i = 0; i < count && status == DAYBOOK_OK; i++) {
            if (dk_write_find(write, child, &ids[i]) == NULL) {
                status = name_line(write, child, &ids[i], seen);
            }
        }
        if (status != DAYBOOK_OK) {
            break;
        }
    }
    return status;
}

daybook_status dk_write_copies(struct write *write)
{
    daybook_status status = DAYBOOK_OK;
    for (int i = 0; i < write->stepped.count && status == DAYBOOK_OK; i++) {
        const struct touched_record *item = &write->stepped.items[i];
        struct change *change = dk_write_find(write, item->entity, &item->id);
        int field = 0;
        while (field < item->entity->field_count &&
               (item->entity->fields[field].flags & FIELD_PASSING) == 0) {
            field++;
        }
        if (change == NULL || change->op != BLOCK_SET) {
            continue;
        }
        status = field < item->entity->field_count
                     ? add_copy(write, change, field)
                     : name_lines(write, item->entity, &item->id, change->seen);
    }
    return status;
}
