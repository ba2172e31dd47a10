/* SPDX-License-Identifier: Apache-2.0
 *
 * Conflict entries: what lost against what, about which record. Called by the steps that merge.
 * Invariants: the same decision always makes the same entries; none is dropped for another; an
 * entry of a group has all that the group lost.
 */
#include "sync-server/decide/work.h"

#include <string.h>

/* A text in the arena, as a value. */
static struct value text_value(struct arena *arena, const char *text, size_t length)
{
    return (struct value){
        .kind = VALUE_TEXT, .length = (uint32_t)length, .text = dk_arena_copy(arena, text, length)};
}

/* What the id of an entry follows from beside the changeset, so that the same decision always makes
 * the same entry. */
struct note_key {
    const struct work *about;
    const char *field;
    size_t field_length;
    const char *element; /* of a set; else NULL */
    size_t element_length;
    uint32_t again; /* entries of this decision that have the rest in common */
};

/* The entry's id. */
static bool note_id(struct decision *decision, const struct note_key *key, struct id *id)
{
    const struct record *record = &key->about->row.record;
    uint8_t hash[HASH_SIZE];
    const struct hash_part parts[] = {{decision->input->changeset.id.bytes, ID_SIZE},
                                      {record->entity->name, strlen(record->entity->name)},
                                      {record->id.bytes, ID_SIZE},
                                      {key->field, key->field_length},
                                      {key->element, key->element_length},
                                      {&key->again, sizeof key->again}};
    int count = key->again > 0 ? 6 : key->element == NULL ? 4 : 5;
    if (!srv_hash_parts(parts, count, hash)) {
        return srv_decision_fail(decision, DAYBOOK_NO_MEMORY);
    }
    *id = dk_id_from_hash(hash);
    return true;
}

/* The number of a stamp's device, as people see it. */
static struct value device_value(uint32_t device_no)
{
    return (struct value){.kind = VALUE_INT, .integer = (int64_t)(device_no & ~DECIDE_LATER_SELF)};
}

/* What lost against what. */
struct loss {
    const struct value *kept, *lost; /* JSON texts, NULL for none */
    uint32_t kept_device, lost_device;
    const struct value *rest; /* of the group of what lost */
};

/* Whether an entry of this decision says the same. */
static bool is_same_note(const struct work *entry, const struct loss *loss)
{
    const struct value *values = entry->row.record.values;
    return dk_value_equal(&values[CONFLICT_KEPT], loss->kept) &&
           dk_value_equal(&values[CONFLICT_LOST], loss->lost) &&
           dk_value_equal(&values[CONFLICT_LOST_REST], loss->rest) &&
           values[CONFLICT_LOST_DEV].integer == device_value(loss->lost_device).integer;
}

/* The work of a new entry. It is never one that says something else: what a decision notes twice of
 * a field makes two entries. NULL: the decision has failed. */
static struct work *new_note(struct decision *decision, struct note_key *key,
                             const struct loss *loss)
{
    struct id id;
    for (;; key->again++) {
        struct work *work = note_id(decision, key, &id)
                                ? srv_work_load(decision, dk_entity(ENTITY_CONFLICT), &id)
                                : NULL;
        if (work == NULL || work->effect != EFFECT_NEW || is_same_note(work, loss)) {
            return work;
        }
    }
}

/* Makes the entry. */
static bool add_note(struct decision *decision, struct note_key *key, const struct loss *loss)
{
    const struct record *record = &key->about->row.record;
    char text[ID_TEXT_SIZE];
    struct work *work = new_note(decision, key, loss);
    if (work == NULL) {
        return false;
    }
    struct value *values = work->row.record.values;
    work->effect = EFFECT_NEW;
    work->about = key->about;
    values[CONFLICT_ENTITY] =
        text_value(decision->arena, record->entity->name, strlen(record->entity->name));
    values[CONFLICT_RECORD] = (struct value){.kind = VALUE_ID, .id = record->id};
    values[CONFLICT_FIELD] = text_value(decision->arena, key->field, key->field_length);
    values[CONFLICT_KEPT] = *loss->kept;
    values[CONFLICT_LOST] = *loss->lost;
    values[CONFLICT_LOST_REST] = *loss->rest;
    values[CONFLICT_KEPT_DEV] = device_value(loss->kept_device);
    values[CONFLICT_LOST_DEV] = device_value(loss->lost_device);
    dk_id_to_text(&decision->input->changeset.id, text);
    values[CONFLICT_CHANGESET] = text_value(decision->arena, text, strlen(text));
    return !decision->arena->failed || srv_decision_out_of_memory(decision);
}

static const struct value no_rest = {.kind = VALUE_NULL};

/* See the header. */
bool srv_decide_note(struct decision *decision, const struct work *about, const char *field,
                     size_t field_length, const struct value *kept, uint32_t kept_device,
                     const struct value *lost, uint32_t lost_device)
{
    struct note_key key = {.about = about, .field = field, .field_length = field_length};
    return add_note(decision, &key, &(struct loss){kept, lost, kept_device, lost_device, &no_rest});
}

/* See the header. */
bool srv_decide_note_field(struct decision *decision, const struct work *about, int field,
                           const struct value *kept, uint32_t kept_device, const struct value *lost,
                           uint32_t lost_device, const struct value *rest)
{
    const struct field *info = &about->row.record.entity->fields[field];
    struct note_key key = {.about = about, .field = info->name, .field_length = strlen(info->name)};
    struct value kept_text, lost_text;
    return srv_value_text(decision, info, kept, &kept_text) &&
           srv_value_text(decision, info, lost, &lost_text) &&
           add_note(decision, &key,
                    &(struct loss){&kept_text, &lost_text, kept_device, lost_device, rest});
}

/* See the header. */
bool srv_lost_rest(struct decision *decision, const struct entity *entity, uint64_t mask, int field,
                   const struct value *values, struct value *rest)
{
    struct buffer *out = &decision->decide->text;
    *rest = no_rest;
    dk_buffer_reset(out);
    for (int other = 0; other < entity->field_count; other++) {
        const struct field *info = &entity->fields[other];
        if ((mask >> other & 1) == 0 || other == field || !dk_field_is_sent(info)) {
            continue;
        }
        dk_buffer_append_char(out, out->length == 0 ? '{' : ',');
        dk_json_write_string(out, info->name, strlen(info->name));
        dk_buffer_append_char(out, ':');
        dk_value_write_app(out, info, &values[other]);
    }
    if (out->length == 0) {
        return true;
    }
    dk_buffer_append_char(out, '}');
    if (out->status != DAYBOOK_OK) {
        return srv_decision_fail(decision, out->status);
    }
    *rest = text_value(decision->arena, out->bytes, out->length);
    return rest->text != NULL || srv_decision_out_of_memory(decision);
}

/* {"add":["gold"]} or {"remove":["gold"]} as a value. */
static bool element_change(struct decision *decision, const char *side, const char *element,
                           size_t length, struct value *change)
{
    struct buffer *out = &decision->decide->text;
    dk_buffer_reset(out);
    dk_buffer_append_text(out, side);
    dk_json_write_string(out, element, length);
    dk_buffer_append_text(out, "]}");
    if (out->status != DAYBOOK_OK) {
        return srv_decision_fail(decision, out->status);
    }
    *change = text_value(decision->arena, out->bytes, out->length);
    return change->text != NULL || srv_decision_out_of_memory(decision);
}

/* See the header. */
bool srv_decide_note_element(struct decision *decision, const struct work *about,
                             const struct field *field, const char *element, size_t length,
                             uint32_t adder, uint32_t remover)
{
    struct note_key key = {about, field->name, strlen(field->name), element, length, 0};
    struct value added, removed;
    decision->merged = true;
    return element_change(decision, "{\"add\":[", element, length, &added) &&
           element_change(decision, "{\"remove\":[", element, length, &removed) &&
           add_note(decision, &key, &(struct loss){&added, &removed, adder, remover, &no_rest});
}
