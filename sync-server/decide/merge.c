/* SPDX-License-Identifier: Apache-2.0
 *
 * The fields of each change against what stands, by the policy of the entity table. Third step of
 * the decision. Invariant: a group's fields always come from one side; what loses is noted, and
 * what has no rule for a concurrent change is refused.
 */
#include "sync-server/decide/redirect.h"
#include "sync-server/decide/work.h"

#include <string.h>

/* The fields of one group, both sides. */
struct unit {
    int fields[LIMIT_FIELDS];
    int count;
    struct value stored[LIMIT_FIELDS], incoming[LIMIT_FIELDS];
    struct stamp stamp; /* the latest of the stored ones */
    hlc time;           /* of the incoming ones */
    int64_t seen;       /* by the author of the incoming ones */
    bool partial;       /* the change does not carry all of the group */
    int doubt; /* MIN, MAX: which of the fields says that the clock is doubtful; -1: none */
};

/* See the header. */
struct stamp srv_merge_stamp(const struct decision *decision, const struct stamp *stored, bool seen)
{
    return srv_merge_stamp_at(decision, decision->time, stored, seen);
}

/* See the header. */
struct stamp srv_merge_stamp_at(const struct decision *decision, hlc time,
                                const struct stamp *stored, bool seen)
{
    struct stamp stamp = {decision->position, time, decision->author->device_no};
    /* What is based on a value is later than it, whatever the clocks said: then no third change can
     * come between them in one order of arrival and not in another. */
    if (seen &&
        dk_stamp_compare(stamp.time, stamp.device_no, stored->time, stored->device_no) <= 0) {
        stamp.time = stored->time + 1;
    }
    return stamp;
}

/* Of the first field of a MIN or MAX group: the group's field of the server, which says that the
 * clock that gave the first value is doubtful. -1: there is none. */
static int doubt_field(const struct entity *entity, int field)
{
    enum merge_policy policy = entity->fields[field].policy;
    uint64_t mask =
        policy == POLICY_MIN || policy == POLICY_MAX ? dk_field_group_mask(entity, field) : 0;
    if ((mask & (((uint64_t)1 << field) - 1)) != 0) {
        return -1;
    }
    for (int i = field; i < entity->field_count && mask >> i != 0; i++) {
        if ((mask >> i & 1) != 0 && entity->fields[i].policy == POLICY_SERVER) {
            return i;
        }
    }
    return -1;
}

/* The flag for a first value that comes now: true where the clocks of the changeset contradict each
 * other or ours, or the value is later than the changeset; else no value. */
static struct value doubt_of(const struct decision *decision, const struct value *first)
{
    bool ahead = first->integer > decision->true_ms + STAMP_AHEAD_MAX_MS;
    bool behind = dk_hlc_ms(decision->time) + STAMP_AHEAD_MAX_MS < decision->true_ms;
    bool doubtful = first->kind != VALUE_NULL &&
                    (decision->clamped || decision->true_suspect || ahead || behind);
    return (struct value){.kind = doubtful ? VALUE_INT : VALUE_NULL, .integer = doubtful};
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
    dk_value_write_app(out, field, value);
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

/* Notes what lost, field by field of the unit; fields that are equal on both sides lost nothing,
 * and a flag about two equal values is nobody's. */
static bool note_unit(struct decision *decision, const struct work *work, const struct unit *unit,
                      bool wins)
{
    const struct value *kept = wins ? unit->incoming : unit->stored;
    const struct value *lost = wins ? unit->stored : unit->incoming;
    uint32_t mine = decision->author->device_no, theirs = unit->stamp.device_no;
    bool same_first = dk_value_equal(&kept[0], &lost[0]);
    const struct entity *entity = work->row.record.entity;
    struct value values[LIMIT_FIELDS], rest;
    uint64_t mask = 0;
    for (int i = 0; i < unit->count; i++) {
        values[unit->fields[i]] = lost[i];
        mask |= (uint64_t)1 << unit->fields[i];
    }
    for (int i = 0; i < unit->count; i++) {
        bool tells = !dk_value_equal(&kept[i], &lost[i]) && !(same_first && i == unit->doubt);
        if (!tells) {
            continue;
        }
        if (!srv_lost_rest(decision, entity, mask, unit->fields[i], values, &rest) ||
            !srv_decide_note_field(decision, work, unit->fields[i], &kept[i], wins ? mine : theirs,
                                   &lost[i], wins ? theirs : mine, &rest)) {
            return false;
        }
    }
    decision->merged = true;
    return true;
}

/* Puts the incoming values; `seen`: the author knew what they replace. The author is told of the
 * flag that the server sets. */
static bool apply_unit(struct decision *decision, struct work *work, const struct unit *unit,
                       bool seen)
{
    uint64_t fields = 0;
    for (int i = 0; i < unit->count; i++) {
        int field = unit->fields[i];
        fields |= (uint64_t)1 << field;
        if (!dk_value_equal(&unit->stored[i], &unit->incoming[i])) {
            work->row.record.values[field] = unit->incoming[i];
            work->changed |= (uint64_t)1 << field;
        }
        work->row.stamps[field] = srv_merge_stamp_at(decision, unit->time, &unit->stamp, seen);
    }
    if (unit->doubt >= 0) {
        work->own |= work->changed & (uint64_t)1 << unit->fields[unit->doubt];
    }
    return srv_work_name_fields(decision, work, fields);
}

/* Both sides wrote the same: the later stamp stands, so that the result does not depend on who came
 * first. The other one, where its author had not seen this, leaves a trace. */
static bool restamp_unit(struct decision *decision, struct work *work, const struct unit *unit,
                         bool seen)
{
    struct stamp stamp = srv_merge_stamp_at(decision, unit->time, &unit->stamp, seen);
    bool later =
        dk_stamp_compare(stamp.time, stamp.device_no, unit->stamp.time, unit->stamp.device_no) > 0;
    for (int i = 0; later && i < unit->count; i++) {
        work->row.stamps[unit->fields[i]] = stamp;
    }
    return seen || srv_merge_trace(decision, work, later ? &unit->stamp : &stamp);
}

/* Who may only propose has given what stands already: that stays whose it is, though the record was
 * worked on. */
static bool leave_unit(struct decision *decision, struct work *work, const struct unit *unit)
{
    struct stamp stamp = srv_merge_stamp_at(decision, unit->time, &unit->stamp, false);
    return srv_merge_trace(decision, work, &stamp);
}

/* What the change wanted does not stand: its author is told what does. */
static bool keep_unit(struct decision *decision, struct work *work, const struct unit *unit)
{
    struct stamp stamp = srv_merge_stamp_at(decision, unit->time, &unit->stamp, false);
    for (int i = 0; i < unit->count; i++) {
        work->own |= (uint64_t)1 << unit->fields[i];
    }
    return note_unit(decision, work, unit, false) && srv_merge_trace(decision, work, &stamp);
}

/* IMMUTABLE refuses any other value, also without a conflict; all other policies are dk_merge's. */
static enum merge_result merge_sides(enum merge_policy policy, const struct merge_side *stored,
                                     const struct merge_side *incoming, int count, int64_t seen)
{
    enum merge_result result = dk_merge(policy, stored, incoming, count, seen);
    return policy == POLICY_IMMUTABLE && result != MERGE_SAME ? MERGE_REFUSED : result;
}

/* Puts the result of one unit's merge into the work. */
static bool put_result(struct decision *decision, struct work *work, const struct unit *unit,
                       enum merge_result result, bool known)
{
    const struct entity *entity = work->row.record.entity;
    const struct field *field = &entity->fields[unit->fields[0]];
    switch (result) {
    case MERGE_SAME: return restamp_unit(decision, work, unit, known);
    case MERGE_APPLY: return apply_unit(decision, work, unit, true);
    case MERGE_WINS:
        return apply_unit(decision, work, unit, false) && note_unit(decision, work, unit, true) &&
               srv_merge_trace(decision, work, &unit->stamp);
    case MERGE_LOSES: return keep_unit(decision, work, unit);
    case MERGE_REFUSED: break;
    }
    enum reject_code code = field->policy == POLICY_IMMUTABLE ? REJECT_IMMUTABLE : REJECT_POLICY;
    return srv_decision_reject(decision, code, entity, &work->row.record.id, field->name, NULL);
}

/* Decides one unit. */
static bool merge_unit(struct decision *decision, struct work *work, const struct unit *unit)
{
    const struct entity *entity = work->row.record.entity;
    const struct field *field = &entity->fields[unit->fields[0]];
    int doubt = unit->doubt;
    struct merge_side stored = {unit->stamp, unit->stored,
                                doubt >= 0 && unit->stored[doubt].kind != VALUE_NULL};
    struct merge_side incoming = {{decision->position, unit->time, decision->author->device_no},
                                  unit->incoming,
                                  doubt >= 0 && unit->incoming[doubt].kind != VALUE_NULL};
    enum merge_result result =
        merge_sides(field->policy, &stored, &incoming, unit->count, unit->seen);
    result = srv_redirect_result(decision, &unit->stamp, result);
    bool known = dk_merge_known(&unit->stamp, incoming.stamp.device_no, unit->seen);
    if (unit->partial && !known && result != MERGE_SAME) {
        return srv_decision_reject(decision, REJECT_SCHEMA, entity, &work->row.record.id,
                                   field->name, "group");
    }
    if (srv_decide_only_proposes(decision, field)) {
        return result == MERGE_SAME
                   ? leave_unit(decision, work, unit)
                   : srv_decide_propose(decision, work, unit->fields[0], &unit->incoming[0]);
    }
    return put_result(decision, work, unit, result, known);
}

/* Collects the group of a field: both sides' values, missing ones as they are stored, and the
 * latest stamp. A group's field of the server is about the first value and comes anew with it, also
 * with the same one where its author had not seen that: two clocks gave it. */
static void collect_unit(const struct decision *decision, const struct work *work, uint64_t mask,
                         const struct value *const sent[LIMIT_FIELDS], int64_t seen,
                         struct unit *unit)
{
    const struct entity *entity = work->row.record.entity;
    unit->count = 0;
    unit->partial = false;
    unit->doubt = -1;
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
        bool flag = entity->fields[field].policy == POLICY_SERVER && unit->count > 0;
        if (flag) {
            unit->doubt = unit->count;
        }
        if (sent[field] == NULL) {
            unit->partial = unit->partial || !flag;
        } else {
            *incoming = *sent[field];
        }
        unit->count++;
    }
    bool given = sent[unit->fields[0]] != NULL &&
                 (!dk_value_equal(&unit->stored[0], &unit->incoming[0]) ||
                  !dk_merge_known(&unit->stamp, decision->author->device_no, seen));
    if (unit->doubt >= 0 && sent[unit->fields[unit->doubt]] == NULL && given) {
        unit->incoming[unit->doubt] = doubt_of(decision, &unit->incoming[0]);
    }
}

/* When the unit's change counts as made, and what its author had seen. */
static void date_unit(const struct decision *decision, int64_t seen, struct unit *unit)
{
    unit->time = decision->time;
    unit->seen = seen;
    if (decision->from == NULL) {
        return;
    }
    struct stamp base = decision->from->row.stamps[unit->fields[0]];
    for (int i = 1; i < unit->count; i++) {
        const struct stamp *stamp = &decision->from->row.stamps[unit->fields[i]];
        base = stamp->position > base.position ? *stamp : base;
    }
    srv_redirect_seen(decision, &base, &unit->stamp, &unit->time, &unit->seen);
}

/* Merges what was sent of the fields that do not merge key by key or element by element, each with
 * its group. */
static bool merge_units(struct decision *decision, struct work *work,
                        const struct value *const sent[LIMIT_FIELDS])
{
    const struct entity *entity = work->row.record.entity;
    int64_t seen = srv_work_seen(decision, work->change);
    uint64_t done = 0;
    struct unit unit;
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
        uint64_t mask = dk_field_group_mask(entity, field);
        done |= mask;
        collect_unit(decision, work, mask, sent, seen, &unit);
        date_unit(decision, seen, &unit);
        if (!merge_unit(decision, work, &unit)) {
            return false;
        }
    }
    return true;
}

/* See the header. */
bool srv_merge_value(struct decision *decision, struct work *work, int field,
                     const struct value *value, int64_t seen)
{
    struct unit unit = {
        .fields = {field}, .count = 1, .time = decision->time, .seen = seen, .doubt = -1};
    unit.stored[0] = work->row.record.values[field];
    unit.incoming[0] = *value;
    unit.stamp = work->row.stamps[field];
    if (work->effect == EFFECT_NONE) {
        work->effect = EFFECT_SET;
    }
    work->own |= (uint64_t)1 << field; /* beside what the author's change of the record sent */
    return merge_unit(decision, work, &unit);
}

/* See the header. */
bool srv_merge_set(struct decision *decision, struct work *work)
{
    const struct entity *entity = work->row.record.entity;
    const struct value *sent[LIMIT_FIELDS] = {NULL};
    const struct value *state_sent = NULL;
    int state = -1;
    work->own |= work->change->added;
    for (int i = 0; i < work->change->value_count; i++) {
        const struct field_value *value = &work->change->values[i];
        bool fine = true;
        if (value->field < 0) {
            fine = srv_merge_extra(decision, work, value);
        } else if (entity->fields[value->field].type == FIELD_MAP) {
            fine = srv_merge_map(decision, work, value->field, &value->value);
        } else if (entity->fields[value->field].type == FIELD_SET) {
            fine = srv_merge_elements(decision, work, value->field, &value->value);
        } else if (entity->fields[value->field].policy == POLICY_STATE) {
            state = value->field;
            state_sent = &value->value;
        } else {
            sent[value->field] = &value->value;
        }
        if (!fine) {
            return false;
        }
    }
    if (work->effect == EFFECT_NONE) {
        work->effect = EFFECT_SET;
    }
    /* Last: a step may need what the other fields say. */
    return merge_units(decision, work, sent) &&
           (state < 0 || srv_merge_state(decision, work, state, state_sent));
}

/* Flags a new record's MIN or MAX group where its clock is doubtful. */
static void flag_doubt(struct decision *decision, struct work *work, int field)
{
    struct record *record = &work->row.record;
    int doubt = doubt_field(record->entity, field);
    if (doubt < 0) {
        return;
    }
    record->values[doubt] = doubt_of(decision, &record->values[field]);
    if (record->values[doubt].kind != VALUE_NULL) {
        work->row.stamps[doubt] = work->row.stamps[field];
        work->own |= (uint64_t)1 << doubt;
    }
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
            row->stamps[value->field] = stamp;
            if (row->record.entity->fields[value->field].policy == POLICY_GROW) {
                fine = srv_begin_elements(decision, work, value->field, &value->value);
            } else {
                row->record.values[value->field] = value->value;
                flag_doubt(decision, work, value->field);
            }
        }
        if (!fine) {
            return false;
        }
    }
    srv_work_link_parent(decision, work);
    return srv_work_name_fields(decision, work, UINT64_MAX) &&
           srv_merge_first_state(decision, work);
}

/* See the header. */
bool srv_decide_merge(struct decision *decision)
{
    /* Deletes and revivals draw in further works behind these; they carry no change to merge. */
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        bool fine = true;
        if (work->change == NULL || work->change->op == BLOCK_DELETE || work->remapped ||
            (work->row.deleted && dk_change_is_sight(work->change))) {
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
    return srv_decide_proposals(decision) && srv_redirect_late(decision) &&
           srv_redirect_join(decision);
}
