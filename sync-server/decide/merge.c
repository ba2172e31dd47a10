/* SPDX-License-Identifier: Apache-2.0
 *
 * The fields of each change against what stands, by the policy of the entity table. Third step of
 * the decision. Invariant: a group's fields always come from one side; what loses under LATEST is
 * noted, and what has no rule for a concurrent change is refused.
 */
#include "sync-server/decide/work.h"

#include <string.h>

/* The fields of one group, both sides. */
struct unit {
    int fields[LIMIT_FIELDS];
    int count;
    struct value stored[LIMIT_FIELDS], incoming[LIMIT_FIELDS];
    struct stamp stamp; /* the latest of the stored ones */
    bool partial;       /* the change does not carry all of the group */
};

/* See the header. */
struct stamp srv_merge_stamp(const struct decision *decision, const struct stamp *stored, bool seen)
{
    struct stamp stamp = {decision->position, decision->time, decision->author->device_no};
    /* What is based on a value is later than it, whatever the clocks said: then no third change can
     * come between them in one order of arrival and not in another. */
    if (seen &&
        dk_stamp_compare(stamp.time, stamp.device_no, stored->time, stored->device_no) <= 0) {
        stamp.time = stored->time + 1;
    }
    return stamp;
}

/* True where the author had seen the stored value, or wrote it. */
static bool had_seen(const struct decision *decision, const struct stamp *stored, int64_t seen)
{
    return stored->position <= seen || stored->device_no == decision->author->device_no;
}

/* See the header. */
bool srv_value_text(struct decision *decision, const struct field *field, const struct value *value,
                    struct value *text)
{
    *text = (struct value){.kind = VALUE_NULL};
    if (value->kind == VALUE_NULL) {
        return true;
    }
    struct buffer *out = &decision->decide->text;
    dk_buffer_reset(out);
    dk_value_write(out, field, value);
    if (out->status != DAYBOOK_OK) {
        return srv_decision_fail(decision, out->status);
    }
    text->text = dk_arena_copy(decision->arena, out->bytes, out->length);
    if (text->text == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    text->kind = VALUE_TEXT;
    text->length = (uint32_t)out->length;
    return true;
}

/* Notes what lost, field by field of the unit; fields that are equal on both sides lost nothing. */
static bool note_unit(struct decision *decision, const struct work *work, const struct unit *unit,
                      bool wins)
{
    const struct entity *entity = work->row.record.entity;
    for (int i = 0; i < unit->count; i++) {
        const struct field *field = &entity->fields[unit->fields[i]];
        struct value stored, incoming;
        if (dk_value_equal(&unit->stored[i], &unit->incoming[i])) {
            continue;
        }
        if (!srv_value_text(decision, field, &unit->stored[i], &stored) ||
            !srv_value_text(decision, field, &unit->incoming[i], &incoming)) {
            return false;
        }
        uint32_t mine = decision->author->device_no;
        uint32_t theirs = unit->stamp.device_no;
        if (!srv_decide_note(decision, work, field->name, strlen(field->name),
                             wins ? &incoming : &stored, wins ? mine : theirs,
                             wins ? &stored : &incoming, wins ? theirs : mine)) {
            return false;
        }
    }
    decision->merged = true;
    return true;
}

/* Puts the incoming values; `seen`: the author knew what they replace. */
static void apply_unit(struct decision *decision, struct work *work, const struct unit *unit,
                       bool seen)
{
    for (int i = 0; i < unit->count; i++) {
        int field = unit->fields[i];
        if (!dk_value_equal(&unit->stored[i], &unit->incoming[i])) {
            work->row.record.values[field] = unit->incoming[i];
            work->changed |= (uint64_t)1 << field;
        }
        work->row.stamps[field] = srv_merge_stamp(decision, &unit->stamp, seen);
    }
}

/* Both sides wrote the same: the later stamp stands, so that the result does not depend on who came
 * first. */
static void restamp_unit(struct decision *decision, struct work *work, const struct unit *unit,
                         bool seen)
{
    struct stamp stamp = srv_merge_stamp(decision, &unit->stamp, seen);
    if (dk_stamp_compare(stamp.time, stamp.device_no, unit->stamp.time, unit->stamp.device_no) >
        0) {
        for (int i = 0; i < unit->count; i++) {
            work->row.stamps[unit->fields[i]] = stamp;
        }
    }
}

/* IMMUTABLE refuses any other value, also without a conflict; all other policies are dk_merge's. */
static enum merge_result merge_sides(enum merge_policy policy, const struct merge_side *stored,
                                     const struct merge_side *incoming, int count, int64_t seen)
{
    enum merge_result result = dk_merge(policy, stored, incoming, count, seen);
    return policy == POLICY_IMMUTABLE && result != MERGE_SAME ? MERGE_REFUSED : result;
}

/* Decides one unit and puts the result into the work. */
static bool merge_unit(struct decision *decision, struct work *work, const struct unit *unit)
{
    const struct entity *entity = work->row.record.entity;
    const struct field *field = &entity->fields[unit->fields[0]];
    int64_t seen = srv_work_seen(decision, work->change);
    struct merge_side stored = {unit->stamp, unit->stored};
    struct merge_side incoming = {{decision->position, decision->time, decision->author->device_no},
                                  unit->incoming};
    enum merge_result result = merge_sides(field->policy, &stored, &incoming, unit->count, seen);
    bool known = had_seen(decision, &unit->stamp, seen);
    if (unit->partial && !known && result != MERGE_SAME) {
        return srv_decision_reject(decision, REJECT_SCHEMA, entity, &work->row.record.id,
                                   field->name, "group");
    }
    switch (result) {
    case MERGE_SAME: restamp_unit(decision, work, unit, known); return true;
    case MERGE_APPLY: apply_unit(decision, work, unit, true); return true;
    case MERGE_WINS:
        apply_unit(decision, work, unit, false);
        return note_unit(decision, work, unit, true);
    case MERGE_LOSES:
        for (int i = 0; i < unit->count; i++) {
            work->own |= (uint64_t)1 << unit->fields[i];
        }
        return note_unit(decision, work, unit, false);
    default: break;
    }
    enum reject_code code = field->policy == POLICY_IMMUTABLE ? REJECT_IMMUTABLE : REJECT_POLICY;
    return srv_decision_reject(decision, code, entity, &work->row.record.id, field->name, NULL);
}

/* True where a change of a set takes elements away. Its text is canonical: a quotation mark within
 * an element has a backslash. */
static bool removes(const struct value *change)
{
    static const char first[] = "{\"remove\":", second[] = "],\"remove\":";
    if (change->length >= sizeof first - 1 && memcmp(change->text, first, sizeof first - 1) == 0) {
        return true;
    }
    for (size_t i = 0; i + sizeof second - 1 <= change->length; i++) {
        if (memcmp(change->text + i, second, sizeof second - 1) == 0) {
            return true;
        }
    }
    return false;
}

/* The value that a field would have: for a set, the stored one with the change applied. */
static bool incoming_value(struct decision *decision, struct work *work, int number,
                           const struct value *sent, struct value *value)
{
    const struct entity *entity = work->row.record.entity;
    const struct field *field = &entity->fields[number];
    if (field->type != FIELD_SET || sent->kind != VALUE_TEXT || sent->length == 0 ||
        sent->text[0] != '{') {
        *value = *sent;
        return true;
    }
    if (field->policy == POLICY_GROW && removes(sent)) {
        return srv_decision_reject(decision, REJECT_POLICY, entity, &work->row.record.id,
                                   field->name, "grow");
    }
    if (dk_set_apply(&work->row.record.values[number], sent, decision->arena, value)) {
        return true;
    }
    return decision->arena->failed
               ? srv_decision_out_of_memory(decision)
               : srv_decision_reject(decision, REJECT_LIMIT, entity, &work->row.record.id,
                                     field->name, "elements");
}

/* Collects the group of a field: both sides' values, missing ones as they are stored, and the
 * latest stamp. */
static bool collect_unit(struct decision *decision, struct work *work, uint64_t mask,
                         const struct value *const sent[LIMIT_FIELDS], struct unit *unit)
{
    const struct entity *entity = work->row.record.entity;
    unit->count = 0;
    unit->partial = false;
    unit->stamp = (struct stamp){0, 0, 0};
    for (int field = 0; field < entity->field_count; field++) {
        if ((mask >> field & 1) == 0) {
            continue;
        }
        const struct stamp *stamp = &work->row.stamps[field];
        struct value *incoming = &unit->incoming[unit->count];
        unit->fields[unit->count] = field;
        unit->stored[unit->count] = work->row.record.values[field];
        *incoming = work->row.record.values[field];
        if (stamp->position > unit->stamp.position || unit->count == 0) {
            unit->stamp = *stamp;
        }
        if (sent[field] == NULL) {
            unit->partial = true;
        } else if (!incoming_value(decision, work, field, sent[field], incoming)) {
            return false;
        }
        unit->count++;
    }
    return true;
}

/* See the header. */
bool srv_merge_set(struct decision *decision, struct work *work)
{
    const struct entity *entity = work->row.record.entity;
    const struct value *sent[LIMIT_FIELDS] = {NULL};
    uint64_t done = 0;
    int state = -1;
    struct unit unit;
    work->own |= work->change->added;
    for (int i = 0; i < work->change->value_count; i++) {
        const struct field_value *value = &work->change->values[i];
        if (value->field >= 0) {
            sent[value->field] = &value->value;
        } else if (!srv_merge_extra(decision, work, value)) {
            return false;
        }
    }
    for (int field = 0; field < entity->field_count; field++) {
        bool renames = false;
        if (sent[field] == NULL || (done >> field & 1) != 0) {
            continue;
        }
        if (decision->author->is_server &&
            !srv_redirect_renames(decision, work, field, sent[field], &renames)) {
            return false;
        }
        if (renames) {
            continue;
        }
        if (entity->fields[field].type == FIELD_MAP) {
            if (!srv_merge_map(decision, work, field, sent[field])) {
                return false;
            }
            continue;
        }
        if (entity->fields[field].policy == POLICY_STATE) {
            state = field;
            continue;
        }
        uint64_t mask = dk_field_group_mask(entity, field);
        done |= mask;
        if (!collect_unit(decision, work, mask, sent, &unit) ||
            !merge_unit(decision, work, &unit)) {
            return false;
        }
    }
    if (work->effect == EFFECT_NONE) {
        work->effect = EFFECT_SET;
    }
    /* Last: a step may need what the other fields say. */
    return state < 0 || srv_merge_state(decision, work, state, sent[state]);
}

/* A record that is being made: its values are what was sent. */
static bool merge_new(struct decision *decision, struct work *work)
{
    struct srv_record *row = &work->row;
    struct stamp stamp = srv_merge_stamp(decision, &(struct stamp){0, 0, 0}, false);
    work->own |= work->change->added;
    for (int i = 0; i < work->change->value_count; i++) {
        const struct field_value *value = &work->change->values[i];
        bool fine = true;
        if (value->field < 0) {
            fine = srv_merge_extra(decision, work, value);
        } else if (row->record.entity->fields[value->field].type == FIELD_MAP) {
            fine = srv_merge_map(decision, work, value->field, &value->value);
        } else if (value->value.kind != VALUE_NULL) {
            fine = incoming_value(decision, work, value->field, &value->value,
                                  &row->record.values[value->field]);
            row->stamps[value->field] = stamp;
        }
        if (!fine) {
            return false;
        }
    }
    srv_work_link_parent(decision, work);
    return srv_merge_first_state(decision, work);
}

/* See the header. */
bool srv_decide_merge(struct decision *decision)
{
    /* Deletes and revivals draw in further works behind these; they carry no change to merge. */
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        bool fine = true;
        if (work->change == NULL || work->change->op == BLOCK_DELETE || work->remapped) {
            continue;
        }
        if (work->change->op == BLOCK_NEW) {
            fine = merge_new(decision, work);
        } else {
            fine = (!work->row.deleted || srv_decide_revive(decision, work)) &&
                   srv_merge_set(decision, work);
        }
        if (!fine) {
            return false;
        }
    }
    return srv_redirect_late(decision) && srv_redirect_join(decision);
}
