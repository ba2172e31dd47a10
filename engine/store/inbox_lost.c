/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what is taken out of the inbox to be written anew: values that lost against somebody else's.
 * Called by dk_store_inbox_changes. Invariant: the fields of a group come back together, as they
 * were merged, whichever of their items are here.
 */
#include "engine/store/inside.h"

#include "engine/base/text.h"

#include <string.h>

#define LOST_MAX (2 * LIMIT_FIELDS) /* values of one record that one changeset lost */

/* One value that lost, as its item tells of it; texts in the arena. */
struct lost {
    int64_t item; /* 0: none, it is of another one's rest */
    const char *field;
    struct value mine; /* JSON; VALUE_NULL: no value */
    struct value rest; /* what else its group lost, a JSON object; VALUE_NULL: nothing */
};

/* What comes back, and the items that tell of it. */
struct regained {
    struct arena *arena;
    struct change *change;
    struct lost lost; /* what the item tells of */
    uint64_t mask;    /* the group of its field */
    int64_t *items;
    int item_count;
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

/* What an item tells of, of the row that the statement stands on: field, mine and rest from
 * `column` on. */
static struct lost read_lost(struct statement *statement, int column, int64_t item,
                             struct arena *arena)
{
    return (struct lost){item, copy_column(statement, column, arena),
                         copy_json(statement, column + 1, arena),
                         copy_json(statement, column + 2, arena)};
}

/* Reads the item, and begins the change with the record that it tells of. */
static daybook_status load_item(struct store *store, int64_t item, struct regained *regained)
{
    struct arena *arena = regained->arena;
    struct change *change = regained->change;
    const char *entity, *record_id;
    daybook_status status;
    bool row;
    struct statement *load =
        dk_statement(&store->database, &store->slots.inbox_lost,
                     "SELECT entity, record_id, field, mine, rest FROM inbox_item"
                     " WHERE item=? AND kind='superseded'",
                     &status);
    if (load == NULL) {
        return status;
    }
    dk_bind_int(load, 1, item);
    status = dk_step(load, &row);
    if (status != DAYBOOK_OK || !row) {
        return status == DAYBOOK_OK ? DAYBOOK_NOT_FOUND : status;
    }
    entity = copy_column(load, 0, arena);
    record_id = copy_column(load, 1, arena);
    regained->lost = read_lost(load, 2, item, arena);
    dk_reset(load);
    if (arena->failed) {
        return DAYBOOK_NO_MEMORY;
    }
    change->op = BLOCK_SET;
    change->seen = -1;
    change->entity = dk_entity_by_name(entity, strlen(entity));
    bool known =
        change->entity != NULL && dk_id_from_text(record_id, strlen(record_id), &change->id);
    return known ? DAYBOOK_OK : DAYBOOK_INVALID;
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

/* The number of a field of the group that comes back; -1: it is none. */
static int number_of(const struct regained *regained, const char *name)
{
    int number = dk_entity_field(regained->change->entity, name, strlen(name), -1);
    return number >= 0 && (regained->mask >> number & 1) != 0 ? number : -1;
}

/* Adds a value of the group. */
static daybook_status add_value(struct regained *regained, const struct lost *lost)
{
    struct change *change = regained->change;
    int number = number_of(regained, lost->field);
    if (number < 0 || change->value_count == LOST_MAX) {
        return DAYBOOK_OK;
    }
    struct field_value *value = &change->values[change->value_count];
    *value = (struct field_value){.field = number};
    daybook_status status =
        field_value(&change->entity->fields[number], lost, regained->arena, &value->value);
    change->value_count += status == DAYBOOK_OK ? 1 : 0;
    return status;
}

/* What an item tells of, with all else that its group lost: as it was, whatever stands by now. */
static daybook_status add_all(struct regained *regained, const struct lost *told)
{
    const char *name, *raw;
    size_t cursor = 0, name_length, raw_length;
    daybook_status status = add_value(regained, told);
    while (status == DAYBOOK_OK &&
           dk_map_next(&told->rest, &cursor, &name, &name_length, &raw, &raw_length)) {
        struct lost lost = {.field = dk_arena_copy(regained->arena, name, name_length)};
        lost.mine = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)raw_length};
        lost.mine.text = raw;
        status = lost.field == NULL ? DAYBOOK_NO_MEMORY : add_value(regained, &lost);
    }
    return status;
}

/* Whether all of the group comes back that devices send: filled from what stands it would be
 * nobody's. */
static bool is_whole(const struct regained *regained)
{
    const struct change *change = regained->change;
    uint64_t missing = regained->mask & ~dk_records_mask(change->values, change->value_count);
    for (int field = 0; field < change->entity->field_count; field++) {
        if ((missing >> field & 1) != 0 && dk_field_is_sent(&change->entity->fields[field])) {
            return false;
        }
    }
    return true;
}

/* Whether another item of the group tells of the very values that come back, and not of another
 * loss by the same changeset. */
static daybook_status is_same_loss(const struct regained *regained, const struct lost *other,
                                   bool *same)
{
    const struct change *change = regained->change;
    struct change others = {.entity = change->entity};
    struct regained loss = {.arena = regained->arena, .change = &others, .mask = regained->mask};
    others.values = dk_arena_new(regained->arena, LOST_MAX * sizeof *others.values);
    if (others.values == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    daybook_status status = add_all(&loss, other);
    *same = status == DAYBOOK_OK;
    for (int i = 0; i < change->value_count && *same; i++) {
        *same = false;
        for (int j = 0; j < others.value_count && !*same; j++) {
            *same = others.values[j].field == change->values[i].field &&
                    dk_value_equal(&others.values[j].value, &change->values[i].value);
        }
    }
    return status == DAYBOOK_INVALID ? DAYBOOK_OK : status;
}

/* Another item of the same changeset and record: it goes with this one where it tells of the same
 * loss. A set has an item for each element, and they come back together. */
static daybook_status add_other(struct regained *regained, const struct lost *other)
{
    bool same = true;
    int number = number_of(regained, other->field);
    if (number < 0) {
        return DAYBOOK_OK;
    }
    daybook_status status = regained->change->entity->fields[number].type == FIELD_SET
                                ? add_value(regained, other)
                                : is_same_loss(regained, other, &same);
    if (status == DAYBOOK_OK && same) {
        regained->items[regained->item_count++] = other->item;
    }
    return status;
}

/* The other items. */
static daybook_status add_others(struct store *store, struct regained *regained)
{
    daybook_status status;
    bool row;
    struct statement *load = dk_statement(
        &store->database, &store->slots.inbox_others,
        "SELECT i.item, i.field, i.mine, i.rest FROM inbox_item me JOIN inbox_item i"
        " ON i.changeset=me.changeset AND i.kind=me.kind AND i.entity=me.entity"
        " AND i.record_id=me.record_id AND i.item<>me.item WHERE me.item=? ORDER BY i.item",
        &status);
    if (load == NULL) {
        return status;
    }
    dk_bind_int(load, 1, regained->lost.item);
    while ((status = dk_step(load, &row)) == DAYBOOK_OK && row && regained->item_count < LOST_MAX) {
        struct lost other = read_lost(load, 1, dk_column_int(load, 0), regained->arena);
        status = regained->arena->failed ? DAYBOOK_NO_MEMORY : add_other(regained, &other);
        if (status != DAYBOOK_OK) {
            break;
        }
    }
    dk_reset(load);
    return status;
}

/* The field of the item, with its group. */
static daybook_status add_group(struct store *store, struct regained *regained)
{
    const struct entity *entity = regained->change->entity;
    const struct lost *lost = &regained->lost;
    int number = dk_entity_field(entity, lost->field, strlen(lost->field), -1);
    if (number < 0 || !dk_field_is_sent(&entity->fields[number])) {
        return DAYBOOK_INVALID; /* of a newer schema, or the server's */
    }
    regained->mask = dk_field_group_mask(entity, number);
    daybook_status status = add_all(regained, lost);
    if (status == DAYBOOK_OK && !is_whole(regained)) {
        status = DAYBOOK_INVALID; /* of a server that says less */
    }
    return status == DAYBOOK_OK ? add_others(store, regained) : status;
}

/* The key of a map that the item tells of; the rest of its name is the key. */
static daybook_status add_key(struct regained *regained, const char *key)
{
    struct change *change = regained->change;
    change->values[0] = (struct field_value){.field = FIELD_CUSTOM};
    change->value_count = 1;
    bool fine = key_change(&regained->lost, key, regained->arena, &change->values[0].value);
    return fine ? DAYBOOK_OK : DAYBOOK_NO_MEMORY;
}

/* See inside.h. */
daybook_status dk_inbox_lost_change(struct store *store, int64_t item, struct arena *arena,
                                    struct change *change, int64_t **items, int *item_count)
{
    static const char custom[] = "custom.";
    struct regained regained = {.arena = arena, .change = change, .item_count = 1};
    regained.items = dk_arena_new(arena, LOST_MAX * sizeof **items);
    change->values = dk_arena_new(arena, LOST_MAX * sizeof *change->values);
    if (regained.items == NULL || change->values == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    regained.items[0] = item;
    daybook_status status = load_item(store, item, &regained);
    if (status != DAYBOOK_OK) {
        return status;
    }
    const char *field = regained.lost.field;
    if (strcmp(field, "*") == 0) {
        /* What loses as a whole is a delete, or values against a state in which content stands. */
        const struct value *mine = &regained.lost.mine;
        change->op = BLOCK_DELETE;
        status =
            dk_text_equal(mine->text, mine->length, "\"delete\"") ? DAYBOOK_OK : DAYBOOK_INVALID;
    } else if (strncmp(field, custom, sizeof custom - 1) == 0) {
        status = add_key(&regained, field + sizeof custom - 1);
    } else {
        status = add_group(store, &regained);
    }
    *items = regained.items;
    *item_count = regained.item_count;
    return status;
}
