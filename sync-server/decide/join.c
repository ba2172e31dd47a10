/* SPDX-License-Identifier: Apache-2.0
 *
 * Two records that become one: the values of the one that goes are put into the one that stays, as
 * if all had been given to that one. Called where a customer is redirected and where visits turn
 * out to be one. Invariants: 1. What stands follows from the values and their stamps alone, not
 * from which of the records had come first. 2. What loses is noted, about the one that stays. 3.
 * The one that goes keeps all its values.
 */
#include "sync-server/decide/work.h"

#include <string.h>

static const char custom_prefix[] = "custom."; /* of the names of the app's own keys */

/* The latest stamp of a group's fields. */
static struct stamp latest_of(const struct srv_record *row, uint64_t mask)
{
    struct stamp latest = {0, 0, 0};
    for (int field = 0; field < row->record.entity->field_count; field++) {
        const struct stamp *stamp = &row->stamps[field];
        if ((mask >> field & 1) != 0 &&
            dk_stamp_compare(stamp->time, stamp->device_no, latest.time, latest.device_no) > 0) {
            latest = *stamp;
        }
    }
    return latest;
}

/* One side of a field or group that begins with `first`. Of MIN and MAX the group's field of the
 * server says that the clock is doubtful. */
static struct merge_side side_of(const struct srv_record *row, int first, uint64_t mask)
{
    struct merge_side side = {.stamp = latest_of(row, mask), .values = &row->record.values[first]};
    for (int field = first + 1; field < row->record.entity->field_count; field++) {
        bool flag =
            (mask >> field & 1) != 0 && row->record.entity->fields[field].policy == POLICY_SERVER;
        side.doubtful = side.doubtful || (flag && row->record.values[field].kind != VALUE_NULL);
    }
    return side;
}

/* Notes what lost of a field or group: what somebody had given, and where it is otherwise now. */
static bool note_unit(struct decision *decision, const struct work *into, uint64_t mask,
                      const struct value *kept, uint32_t kept_device, const struct value *lost,
                      uint32_t lost_device)
{
    const struct entity *entity = into->row.record.entity;
    struct value rest;
    bool fine = true;
    for (int field = 0; field < entity->field_count && fine; field++) {
        bool typed =
            lost[field].kind != VALUE_NULL && entity->fields[field].policy != POLICY_SERVER;
        if ((mask >> field & 1) != 0 && typed && !dk_value_equal(&kept[field], &lost[field])) {
            fine = srv_lost_rest(decision, entity, mask, field, lost, &rest) &&
                   srv_decide_note_field(decision, into, field, &kept[field], kept_device,
                                         &lost[field], lost_device, &rest);
        }
    }
    return fine;
}

/* One field or group that begins with `first`: the better side stands whole. Its stamp stays, at
 * this position. What the server had said of a value goes with it. */
static bool join_unit(struct decision *decision, const struct work *from, struct work *into,
                      int first, uint64_t mask)
{
    const struct entity *entity = into->row.record.entity;
    struct merge_side here = side_of(&into->row, first, mask);
    struct merge_side there = side_of(&from->row, first, mask);
    struct value *values = into->row.record.values;
    const struct value *others = from->row.record.values;
    uint32_t mine = here.stamp.device_no, theirs = there.stamp.device_no;
    if (!dk_merge_stands(entity->fields[first].policy, &there, &here)) {
        return note_unit(decision, into, mask, values, mine, others, theirs);
    }
    if (!note_unit(decision, into, mask, others, theirs, values, mine)) {
        return false;
    }
    for (int field = first; field < entity->field_count; field++) {
        if ((mask >> field & 1) == 0) {
            continue;
        }
        into->row.stamps[field] = (struct stamp){decision->position, there.stamp.time, theirs};
        if (!dk_value_equal(&values[field], &others[field])) {
            values[field] = others[field];
            into->changed |= (uint64_t)1 << field;
        }
    }
    return true;
}

/* One set into another. */
struct set_join {
    struct decision *decision;
    const struct work *from;
    struct work *into;
    int field;
};

/* An element is there by all that had been added to either record, and nobody who has the one that
 * stays before the eyes has seen what was added to the other. */
static bool join_element(void *context, const struct element *element, bool there, bool add,
                         bool *applies)
{
    const struct set_join *join = context;
    struct srv_record *into = &join->into->row;
    char key[LIMIT_LABEL_BYTES + LIMIT_SET_ELEMENT_BYTES + 1];
    size_t length = srv_element_key(key, into->record.entity->fields[join->field].name, element);
    struct merge_element ours, theirs;
    srv_element_load(into, join->field, key, length, there, &ours);
    srv_element_load(&join->from->row, join->field, key, length, true, &theirs);
    for (int i = 0; i < theirs.count; i++) {
        struct stamp stamp = {join->decision->position, theirs.stamps[i].time,
                              theirs.stamps[i].device_no | DECIDE_OTHER_RECORD};
        (void)dk_merge_unseen(&ours, true, &stamp);
    }
    *applies = add && !there;
    return srv_key_stamps_put(join->decision, into, key, length, ours.stamps, ours.count);
}

/* The union of two sets. */
static bool join_set(struct decision *decision, const struct work *from, struct work *into,
                     int field)
{
    const struct value *other = &from->row.record.values[field];
    struct value *value = &into->row.record.values[field], joined, change;
    if (other->kind != VALUE_TEXT) {
        return true;
    }
    struct buffer *text = &decision->decide->text;
    dk_buffer_reset(text);
    dk_buffer_append_text(text, "{\"add\":");
    dk_buffer_append(text, other->text, other->length);
    dk_buffer_append_char(text, '}');
    change = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)text->length};
    change.text = dk_arena_copy(decision->arena, text->bytes, text->length);
    if (text->status != DAYBOOK_OK || change.text == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    struct set_join join = {decision, from, into, field};
    if (!dk_set_merge(value, &change, join_element, &join, decision->arena, &joined)) {
        const struct record *record = &into->row.record;
        return decision->status != DAYBOOK_OK ? false
               : decision->arena->failed
                   ? srv_decision_out_of_memory(decision)
                   : srv_decision_reject(decision, REJECT_LIMIT, record->entity, &record->id,
                                         record->entity->fields[field].name, "elements");
    }
    into->changed |= dk_value_equal(value, &joined) ? 0 : (uint64_t)1 << field;
    *value = joined;
    return true;
}

/* One key of the app's own, there or removed: the later side stands, and against a key that has no
 * stamp any more one that is there. What changes is added to *changes. */
static bool join_key(struct decision *decision, const struct work *from, struct work *into,
                     const char *name, size_t length, struct value *changes)
{
    static const struct value removed = {.kind = VALUE_TEXT, .length = 4, .text = "null"};
    const char *key = name + sizeof custom_prefix - 1;
    size_t key_length = length - (sizeof custom_prefix - 1);
    struct value other = srv_extra_get(&from->row.record.values[FIELD_CUSTOM], key, key_length);
    struct value value = srv_extra_get(&into->row.record.values[FIELD_CUSTOM], key, key_length);
    struct stamp theirs = srv_key_stamp_get(&from->row, name, length);
    struct stamp mine = srv_key_stamp_get(&into->row, name, length);
    int order = dk_stamp_compare(theirs.time, theirs.device_no, mine.time, mine.device_no);
    bool wins = order > 0 || (order == 0 && value.kind == VALUE_NULL);
    const struct value *lost = wins ? &value : &other;
    bool differs = !dk_value_equal(&value, &other);
    if (differs && lost->kind != VALUE_NULL &&
        !srv_decide_note(decision, into, name, length, wins ? &other : &value,
                         wins ? theirs.device_no : mine.device_no, lost,
                         wins ? mine.device_no : theirs.device_no)) {
        return false;
    }
    theirs.position = decision->position;
    if (wins && !srv_key_stamp_put(decision, &into->row, name, length, &theirs)) {
        return false;
    }
    const struct value *put = other.kind == VALUE_NULL ? &removed : &other;
    return !wins || !differs || srv_extra_put(changes, key, key_length, put, decision->arena) ||
           srv_decision_out_of_memory(decision);
}

/* Decides each key that the record that goes has, or had. */
static bool join_keys(struct decision *decision, const struct work *from, struct work *into,
                      struct value *changes)
{
    const struct value *other = &from->row.record.values[FIELD_CUSTOM];
    const size_t head = sizeof custom_prefix - 1;
    const char *key, *raw;
    size_t cursor = 0, key_length, raw_length;
    while (dk_map_next(other, &cursor, &key, &key_length, &raw, &raw_length)) {
        char name[sizeof custom_prefix + LIMIT_CUSTOM_KEY_BYTES];
        if (key_length > LIMIT_CUSTOM_KEY_BYTES) {
            continue;
        }
        memcpy(name, custom_prefix, head);
        memcpy(name + head, key, key_length);
        if (!join_key(decision, from, into, name, head + key_length, changes)) {
            return false;
        }
    }
    for (int i = 0; i < from->row.key_stamp_count; i++) {
        const struct srv_key_stamp *stamp = &from->row.key_stamps[i];
        bool removed =
            stamp->key_length > head && memcmp(stamp->key, custom_prefix, head) == 0 &&
            srv_extra_get(other, stamp->key + head, stamp->key_length - head).kind == VALUE_NULL;
        if (removed && !join_key(decision, from, into, stamp->key, stamp->key_length, changes)) {
            return false;
        }
    }
    return true;
}

/* The app's own keys, one by one. The log gets those that changed: a key that went is not in the
 * map any more. */
static bool join_custom(struct decision *decision, const struct work *from, struct work *into)
{
    struct value *value = &into->row.record.values[FIELD_CUSTOM];
    struct value changes = {.kind = VALUE_NULL};
    if (!join_keys(decision, from, into, &changes)) {
        return false;
    }
    if (changes.kind == VALUE_NULL) {
        return true;
    }
    if (!dk_map_apply(value, &changes, decision->arena, value)) {
        const struct record *record = &into->row.record;
        return decision->arena->failed
                   ? srv_decision_out_of_memory(decision)
                   : srv_decision_reject(decision, REJECT_LIMIT, record->entity, &record->id,
                                         record->entity->fields[FIELD_CUSTOM].name, "keys");
    }
    into->changed |= (uint64_t)1 << FIELD_CUSTOM;
    return srv_map_remember(decision, into, FIELD_CUSTOM, &changes,
                            &(struct value){.kind = VALUE_NULL});
}

/* A field that neither stamps nor elements decide: what is missing is taken over. */
static void join_missing(const struct decision *decision, const struct work *from,
                         struct work *into, int field)
{
    struct value *value = &into->row.record.values[field];
    const struct value *other = &from->row.record.values[field];
    if (value->kind == VALUE_NULL && other->kind != VALUE_NULL) {
        *value = *other;
        into->row.stamps[field] = from->row.stamps[field];
        into->row.stamps[field].position = decision->position;
        into->changed |= (uint64_t)1 << field;
    }
}

/* See the header. */
bool srv_join(struct decision *decision, const struct work *from, struct work *into)
{
    const struct entity *entity = into->row.record.entity;
    uint64_t done = 0;
    bool fine = join_custom(decision, from, into);
    for (int field = FIELD_COMMON_COUNT; field < entity->field_count && fine; field++) {
        uint64_t mask = dk_field_group_mask(entity, field);
        if ((done >> field & 1) != 0) {
            continue;
        }
        done |= mask;
        switch (entity->fields[field].policy) {
        case POLICY_LATEST:
        case POLICY_MIN:
        case POLICY_MAX: fine = join_unit(decision, from, into, field, mask); break;
        case POLICY_STATE: fine = srv_join_state(decision, from, into, field); break;
        case POLICY_SET: fine = join_set(decision, from, into, field); break;
        case POLICY_PROPOSE: join_missing(decision, from, into, field); break;
        default: break;
        }
    }
    into->effect = into->effect == EFFECT_NONE ? EFFECT_SET : into->effect;
    return fine;
}
