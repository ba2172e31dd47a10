/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what is taken out of the inbox to be written anew: values that lost against somebody else's.
 * Called by dk_store_inbox_changes. Invariant: the fields of a group come back together, as they
 * were merged.
 */
#include "engine/store/inside.h"

#include "engine/base/text.h"

#include <string.h>

#define LOST_MAX (2 * LIMIT_FIELDS) /* values of one record that one changeset lost */

/* One value that lost, as the inbox has it; texts in the arena. */
struct lost {
    int64_t item;
    const char *entity, *record_id, *field;
    struct value mine; /* JSON; VALUE_NULL: no value */
    struct value rest; /* what else its group lost, a JSON object; VALUE_NULL: nothing */
};

struct lost_list {
    struct lost rows[LOST_MAX];
    int count;
};

/* A column's text in the arena; "" where it is NULL. NULL: no memory. */
static const char *copy_column(struct statement *statement, int column, struct arena *arena)
{
    size_t length = 0;
    const char *text = dk_column_text(statement, column, &length);
    return dk_arena_copy(arena, text == NULL ? "" : text, length);
}

/* A column's JSON in the arena; VALUE_NULL where there is none. */
static struct value copy_json(struct statement *statement, int column, struct arena *arena)
{
    size_t length = 0;
    struct value value = {.kind = VALUE_NULL};
    const char *text = dk_column_text(statement, column, &length);
    if (text != NULL) {
        value = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)length};
        value.text = dk_arena_copy(arena, text, length);
    }
    return value;
}

/* Reads the row that the statement stands on. */
static daybook_status read_lost(struct statement *statement, struct arena *arena, struct lost *lost)
{
    lost->item = dk_column_int(statement, 0);
    lost->entity = copy_column(statement, 1, arena);
    lost->record_id = copy_column(statement, 2, arena);
    lost->field = copy_column(statement, 3, arena);
    lost->mine = copy_json(statement, 4, arena);
    lost->rest = copy_json(statement, 5, arena);
    return arena->failed ? DAYBOOK_NO_MEMORY : DAYBOOK_OK;
}

/* The item and all that the same record lost by the same decision, the item first. */
static daybook_status load_lost(struct store *store, int64_t item, struct arena *arena,
                                struct lost_list *list)
{
    daybook_status status;
    bool row;
    struct statement *load = dk_statement(
        &store->database, &store->slots.inbox_lost,
        "SELECT i.item, i.entity, i.record_id, i.field, i.mine, c.lost_rest"
        " FROM inbox_item me JOIN inbox_item i"
        " ON i.changeset = me.changeset AND i.kind = me.kind AND i.entity = me.entity"
        " AND i.record_id = me.record_id LEFT JOIN r_field_conflict c ON c.id = i.subject"
        " WHERE me.item = ?1 AND me.kind = 'superseded'"
        " ORDER BY i.item <> ?1, i.item",
        &status);
    list->count = 0;
    if (load == NULL) {
        return status;
    }
    dk_bind_int(load, 1, item);
    while ((status = dk_step(load, &row)) == DAYBOOK_OK && row && list->count < LOST_MAX) {
        status = read_lost(load, arena, &list->rows[list->count++]);
        if (status != DAYBOOK_OK) {
            break;
        }
    }
    dk_reset(load);
    return status;
}

/* {"key":mine}, null where there was none, as the change of a map. */
static bool key_change(const struct lost *lost, const char *key, struct arena *arena,
                       struct value *change)
{
    struct buffer out;
    dk_buffer_init(&out, LIMIT_TEXT_BYTES);
    dk_buffer_append_char(&out, '{');
    dk_json_write_string(&out, key, strlen(key));
    dk_buffer_append_char(&out, ':');
    if (lost->mine.kind == VALUE_TEXT) {
        dk_buffer_append(&out, lost->mine.text, lost->mine.length);
    } else {
        dk_buffer_append_text(&out, "null");
    }
    dk_buffer_append_char(&out, '}');
    *change = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)out.length};
    change->text = dk_arena_copy(arena, out.bytes, out.length);
    bool fine = out.status == DAYBOOK_OK && change->text != NULL;
    dk_buffer_clear(&out);
    return fine;
}

/* The value of a field out of its JSON. A set that lost some elements says so as a change. */
static daybook_status field_value(const struct field *field, const struct lost *lost,
                                  struct arena *arena, struct value *value)
{
    struct json_reader json;
    struct refusal refusal;
    *value = (struct value){.kind = VALUE_NULL};
    if (lost->mine.kind == VALUE_NULL) {
        return DAYBOOK_OK;
    }
    char *copy = dk_arena_copy(arena, lost->mine.text, lost->mine.length);
    if (copy == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    if (field->type == FIELD_SET && copy[0] == '{') {
        *value = (struct value){.kind = VALUE_TEXT, .length = lost->mine.length};
        value->text = copy;
        return DAYBOOK_OK;
    }
    dk_json_open(&json, copy, lost->mine.length);
    bool read = dk_value_read_app(&json, field, arena, value, &refusal);
    return read ? DAYBOOK_OK : arena->failed ? DAYBOOK_NO_MEMORY : DAYBOOK_INVALID;
}

/* One field of the group that the item's field belongs to; others are left out. */
static daybook_status add_field(struct change *change, uint64_t mask, const struct lost *lost,
                                struct arena *arena)
{
    int number = dk_entity_field(change->entity, lost->field, strlen(lost->field), -1);
    if (number < 0 || (mask >> number & 1) == 0) {
        return DAYBOOK_OK;
    }
    struct field_value *value = &change->values[change->value_count];
    *value = (struct field_value){.field = number};
    daybook_status status =
        field_value(&change->entity->fields[number], lost, arena, &value->value);
    change->value_count += status == DAYBOOK_OK ? 1 : 0;
    return status;
}

/* What else the group lost: it comes back as it was, whatever stands by now. */
static daybook_status add_rest(struct change *change, uint64_t mask, const struct lost *first,
                               struct arena *arena)
{
    const char *name, *raw;
    size_t cursor = 0, name_length, raw_length;
    daybook_status status = DAYBOOK_OK;
    while (status == DAYBOOK_OK && change->value_count < LOST_MAX &&
           dk_map_next(&first->rest, &cursor, &name, &name_length, &raw, &raw_length)) {
        struct lost rest = {.field = dk_arena_copy(arena, name, name_length)};
        rest.mine = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)raw_length};
        rest.mine.text = raw;
        status = rest.field == NULL ? DAYBOOK_NO_MEMORY : add_field(change, mask, &rest, arena);
    }
    return status;
}

/* The fields that come back, and their items. */
static daybook_status add_fields(const struct lost_list *list, struct arena *arena,
                                 struct change *change, int64_t *items, int *item_count)
{
    static const char custom[] = "custom.";
    const struct lost *first = &list->rows[0];
    const struct entity *entity = change->entity;
    if (strncmp(first->field, custom, sizeof custom - 1) == 0) {
        change->values[0] = (struct field_value){.field = FIELD_CUSTOM};
        change->value_count = 1;
        return key_change(first, first->field + sizeof custom - 1, arena, &change->values[0].value)
                   ? DAYBOOK_OK
                   : DAYBOOK_NO_MEMORY;
    }
    int number = dk_entity_field(entity, first->field, strlen(first->field), -1);
    if (number < 0 || !dk_field_is_sent(&entity->fields[number])) {
        return DAYBOOK_INVALID; /* of a newer schema, or the server's */
    }
    uint64_t mask = dk_field_group_mask(entity, number);
    daybook_status status = DAYBOOK_OK;
    for (int i = 0; i < list->count && status == DAYBOOK_OK; i++) {
        int before = change->value_count;
        status = add_field(change, mask, &list->rows[i], arena);
        if (i > 0 && change->value_count > before) {
            items[(*item_count)++] = list->rows[i].item;
        }
    }
    return status == DAYBOOK_OK ? add_rest(change, mask, first, arena) : status;
}

/* See inside.h. */
daybook_status dk_inbox_lost_change(struct store *store, int64_t item, struct arena *arena,
                                    struct change *change, int64_t **items, int *item_count)
{
    struct lost_list *list = dk_arena_new(arena, sizeof *list);
    *items = dk_arena_new(arena, LOST_MAX * sizeof **items);
    change->values = dk_arena_new(arena, LOST_MAX * sizeof *change->values);
    if (list == NULL || *items == NULL || change->values == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    daybook_status status = load_lost(store, item, arena, list);
    if (status != DAYBOOK_OK || list->count == 0) {
        return status == DAYBOOK_OK ? DAYBOOK_NOT_FOUND : status;
    }
    const struct lost *first = &list->rows[0];
    change->op = BLOCK_SET;
    change->seen = -1;
    change->entity = dk_entity_by_name(first->entity, strlen(first->entity));
    if (change->entity == NULL ||
        !dk_id_from_text(first->record_id, strlen(first->record_id), &change->id)) {
        return DAYBOOK_INVALID;
    }
    (*items)[0] = first->item;
    *item_count = 1;
    if (strcmp(first->field, "*") == 0) {
        /* What loses as a whole is a delete, or values against a state in which content stands. */
        change->op = BLOCK_DELETE;
        return dk_text_equal(first->mine.text, first->mine.length, "\"delete\"") ? DAYBOOK_OK
                                                                                 : DAYBOOK_INVALID;
    }
    return add_fields(list, arena, change, *items, item_count);
}
