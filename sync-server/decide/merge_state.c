/* SPDX-License-Identifier: Apache-2.0
 *
 * The STATE field of each changed record: a step of its machine becomes an operation of the state
 * register. Called by merge.c behind the record's other fields, which a step may need. Invariants:
 * a step was legal from what its author saw, and its author's to take; the state is what the set of
 * operations says, whoever came first; what loses is noted.
 */
#include "engine/base/text.h"
#include "engine/sales/machines.h"
#include "sync-server/decide/work.h"

#include <assert.h>
#include <string.h>

/* The step under way. */
struct step {
    struct work *work;
    int field;
    struct state_op ops[STATE_OPS_MAX + 1];
    int count;
    struct state_view before, seen; /* of all operations; of the author's */
    int rank;                       /* wanted */
};

/* See the header. */
int srv_state_ops(const struct srv_record *row, int field, struct state_op *ops)
{
    const struct stamp *stamp = &row->stamps[field];
    int rank = dk_machine_rank(&row->record.entity->fields[field], &row->record.values[field]);
    if (row->state_op_count > 0) {
        memcpy(ops, row->state_ops, (size_t)row->state_op_count * sizeof *ops);
        return row->state_op_count;
    }
    ops[0] = (struct state_op){.position = stamp->position,
                               .device_no = stamp->device_no,
                               .rank = (uint8_t)(rank < 0 ? 0 : rank),
                               .peak = -1};
    return 1;
}

/* The value of a rank. */
static struct value state_value(const struct field *field, int rank)
{
    struct value value = {.kind = VALUE_TEXT, .length = (uint32_t)strlen(field->choices[rank])};
    value.text = field->choices[rank];
    return value;
}

/* REJECTED(TRANSITION), for the state field. */
static bool refuse(struct decision *decision, const struct step *step, const char *rule)
{
    const struct record *record = &step->work->row.record;
    return srv_decision_reject(decision, REJECT_TRANSITION, record->entity, &record->id,
                               record->entity->fields[step->field].name, rule);
}

/* Notes that one state lost against another. */
static bool note(struct decision *decision, const struct step *step, int kept, uint32_t kept_device,
                 int lost, uint32_t lost_device)
{
    const struct field *field = &step->work->row.record.entity->fields[step->field];
    struct value kept_value = state_value(field, kept), lost_value = state_value(field, lost);
    decision->merged = true;
    return srv_decide_note_field(decision, step->work, step->field, &kept_value, kept_device,
                                 &lost_value, lost_device, &(struct value){.kind = VALUE_NULL});
}

/* Whose the state is: of the last operation of its epoch that led to it. The field's stamp is of
 * the last one that was made at all. */
static uint32_t holder(const struct step *step, struct state_view view)
{
    uint32_t device_no = step->work->row.stamps[step->field].device_no;
    int64_t latest = 0;
    for (int i = 0; i < step->count; i++) {
        const struct state_op *op = &step->ops[i];
        /* Upward operations of epochs that are void count for the last valid one. */
        bool counts = op->epoch == view.epoch || (op->epoch > view.epoch && op->peak < 0);
        if (counts && op->rank == view.rank && op->position > latest) {
            latest = op->position;
            device_no = op->device_no;
        }
    }
    return device_no;
}

/* Puts the register and the state that follows from it. */
static bool put(struct decision *decision, const struct step *step)
{
    struct srv_record *row = &step->work->row;
    const struct field *field = &row->record.entity->fields[step->field];
    struct value value = state_value(field, dk_state_value(step->ops, step->count).rank);
    size_t size = (size_t)step->count * sizeof *step->ops;
    row->state_ops = dk_arena_new(decision->arena, size);
    if (row->state_ops == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    memcpy(row->state_ops, step->ops, size);
    row->state_op_count = step->count;
    row->stamps[step->field] = srv_merge_stamp(decision, &row->stamps[step->field], true);
    if (!dk_value_equal(&value, &row->record.values[step->field])) {
        row->record.values[step->field] = value;
        step->work->changed |= (uint64_t)1 << step->field;
        if (!step->work->stepped && step->work->effect != EFFECT_NEW) {
            step->work->old_rank = step->before.rank;
        }
        step->work->stepped = true;
        step->work->was_frozen =
            dk_machine_freeze(row->record.entity, step->before.rank, MACHINE_NONE) != FREEZE_NOT;
    }
    return true;
}

/* Takes the step: another operation in the register. */
static bool take(struct decision *decision, struct step *step, bool downward)
{
    uint32_t before = holder(step, step->before);
    struct state_op op = dk_state_step(step->seen, step->rank, downward, decision->position,
                                       decision->author->device_no);
    step->count = dk_state_add(step->ops, step->count, &op);
    if (step->count < 0) {
        const struct record *record = &step->work->row.record;
        return srv_decision_reject(decision, REJECT_LIMIT, record->entity, &record->id,
                                   record->entity->fields[step->field].name, "steps");
    }
    step->work->taken_from = step->seen.rank;
    step->work->taken = step->rank;
    if (!put(decision, step)) {
        return false;
    }
    struct state_view after = dk_state_value(step->ops, step->count);
    uint32_t mine = decision->author->device_no;
    bool concurrent =
        step->before.rank != step->seen.rank || step->before.epoch != step->seen.epoch;
    if (after.rank != step->rank) {
        step->work->own |= (uint64_t)1 << step->field;
        return note(decision, step, after.rank, holder(step, after), step->rank, mine);
    }
    return !concurrent || step->before.rank == after.rank ||
           note(decision, step, after.rank, mine, step->before.rank, before);
}

/* The step was right when it was taken, but by now it is for others to take: it becomes a request,
 * an element "user changeset" of the set that only grows, and the state stands. */
static bool ask(struct decision *decision, const struct step *step)
{
    char user[ID_TEXT_SIZE], changeset[ID_TEXT_SIZE], text[ID_TEXT_SIZE * 2 + 20];
    struct srv_record *row = &step->work->row;
    const struct entity *entity = row->record.entity;
    int field = 0;
    while (entity->fields[field].policy != POLICY_GROW) {
        field++;
        assert(field < entity->field_count);
    }
    dk_id_to_text(&decision->author->account.user, user);
    dk_id_to_text(&decision->input->changeset.id, changeset);
    (void)dk_text_format(text, sizeof text, "{\"add\":[\"%s %s\"]}", user, changeset);
    struct value change = {.kind = VALUE_TEXT, .length = (uint32_t)strlen(text), .text = text};
    if (!dk_set_apply(&row->record.values[field], &change, decision->arena,
                      &row->record.values[field])) {
        return decision->arena->failed
                   ? srv_decision_out_of_memory(decision)
                   : srv_decision_reject(decision, REJECT_LIMIT, entity, &row->record.id,
                                         entity->fields[field].name, "elements");
    }
    uint64_t both = (uint64_t)1 << field | (uint64_t)1 << step->field;
    row->stamps[field] = srv_merge_stamp(decision, &row->stamps[field], true);
    step->work->changed |= (uint64_t)1 << field;
    step->work->own |= both;
    return note(decision, step, step->before.rank, holder(step, step->before), step->rank,
                decision->author->device_no);
}

/* Who says what is already has worked on the record, as with any other field: a delete that had not
 * seen it loses. */
static bool leave_trace(struct decision *decision, struct work *work)
{
    const struct stamp stamp = {decision->position, decision->time, decision->author->device_no};
    return srv_merge_trace(decision, work, &stamp);
}

/* What the machine says to the change, from what the author saw. */
static bool decide_step(struct decision *decision, struct step *step)
{
    const char *rule;
    struct work *work = step->work;
    unsigned barred = 0;
    if (step->rank != step->seen.rank && !srv_decide_barred(decision, work, &barred)) {
        return false;
    }
    switch (dk_machine_step(&work->row.record, step->seen.rank, step->rank, decision->roles, barred,
                            &rule)) {
    case MACHINE_STAYS:
        /* No step from what it had seen, as far as the server can tell: the instance before this
         * one may have settled more, which is not sent again. The state stands, and what was wanted
         * is told. */
        if (!leave_trace(decision, work)) {
            return false;
        }
        if (step->before.rank == step->rank) { /* said where there was none, it stands */
            return work->row.record.values[step->field].kind != VALUE_NULL || put(decision, step);
        }
        work->own |= (uint64_t)1 << step->field;
        return note(decision, step, step->before.rank, holder(step, step->before), step->rank,
                    decision->author->device_no);
    case MACHINE_STEP_UP:
        return step->before.rank != step->seen.rank &&
                       dk_machine_asks(work->row.record.entity, step->before.rank, step->rank,
                                       decision->roles)
                   ? ask(decision, step)
                   : take(decision, step, false);
    case MACHINE_STEP_DOWN: return take(decision, step, true);
    case MACHINE_REFUSED: break;
    }
    return refuse(decision, step, rule);
}

/* What the author of a change that was led to another record saw: of the record that it names, and
 * of what was led here before only the author's own steps. */
static struct state_view seen_led(const struct decision *decision, const struct step *step)
{
    struct state_op ops[2 * (STATE_OPS_MAX + 1)];
    uint32_t mine = decision->author->device_no;
    int64_t seen = srv_work_seen(decision, decision->from->change);
    int count = srv_state_ops(&decision->from->row, step->field, ops);
    for (int i = 0; i < step->count; i++) {
        if (step->ops[i].device_no == mine) {
            ops[count] = step->ops[i];
            ops[count++].position = INT64_MAX; /* never the first of all: that is of `from` */
        }
    }
    return dk_state_seen(ops, count, seen, mine);
}

/* See the header. */
bool srv_merge_state(struct decision *decision, struct work *work, int field,
                     const struct value *value)
{
    struct step step = {.work = work, .field = field};
    step.rank = dk_machine_rank(&work->row.record.entity->fields[field], value);
    if (step.rank < 0) {
        return refuse(decision, &step, "step"); /* nothing leads to no state */
    }
    step.count = srv_state_ops(&work->row, field, step.ops);
    step.before = dk_state_value(step.ops, step.count);
    step.seen = dk_state_seen(step.ops, step.count, srv_work_seen(decision, work->change),
                              decision->author->device_no);
    if (decision->from != NULL) {
        step.seen = seen_led(decision, &step);
    }
    return decide_step(decision, &step);
}

/* See the header. The step that made `into` is the first of all, which everybody has seen; what
 * comes from the other record nobody has seen here. */
bool srv_join_state(struct decision *decision, const struct work *from, struct work *into,
                    int field)
{
    struct state_op theirs[STATE_OPS_MAX + 1];
    struct step step = {.work = into, .field = field};
    int count = srv_state_ops(&from->row, field, theirs);
    int other = dk_state_value(theirs, count).rank;
    uint32_t here = into->row.stamps[field].device_no, there = from->row.stamps[field].device_no;
    step.count = srv_state_ops(&into->row, field, step.ops);
    step.before = dk_state_value(step.ops, step.count);
    if (into->effect == EFFECT_NEW) {
        step.ops[0].position = decision->position - 1;
    }
    for (int i = 0; i < count; i++) {
        theirs[i].position = decision->position;
        step.count = dk_state_add(step.ops, step.count, &theirs[i]);
        if (step.count < 0) {
            return srv_decision_reject(decision, REJECT_LIMIT, into->row.record.entity,
                                       &into->row.record.id,
                                       into->row.record.entity->fields[field].name, "steps");
        }
    }
    int after = dk_state_value(step.ops, step.count).rank;
    return (step.before.rank == after ||
            note(decision, &step, after, there, step.before.rank, here)) &&
           (other == after || note(decision, &step, after, here, other, there)) &&
           put(decision, &step);
}

/* The rank that a row names; -1: none. */
static int given_rank(const struct field *field, const struct srv_given *given)
{
    for (int rank = 0; given->value != NULL && field->choices[rank] != NULL; rank++) {
        size_t length = strlen(field->choices[rank]);
        if (given->value_length == length + 2 &&
            memcmp(given->value + 1, field->choices[rank], length) == 0) {
            return rank;
        }
    }
    return -1;
}

/* Takes one step that was given before, if the machine had it. False: the decision has failed. */
static bool take_given(struct decision *decision, struct step *step, const struct srv_given *given,
                       uint32_t *holder)
{
    const char *rule;
    const struct record *record = &step->work->row.record;
    uint32_t device_no = given->stamp.device_no, before = *holder;
    step->before = dk_state_value(step->ops, step->count);
    step->seen = dk_state_seen(step->ops, step->count, given->seen, device_no);
    enum machine_answer answer = dk_machine_step(record, given->makes ? 0 : step->seen.rank,
                                                 step->rank, given->roles, 0, &rule);
    if (given->makes && answer != MACHINE_REFUSED) {
        step->ops[0].rank = (uint8_t)step->rank; /* it began there */
    } else if (answer == MACHINE_STEP_UP || answer == MACHINE_STEP_DOWN) {
        struct state_op op = dk_state_step(step->seen, step->rank, answer == MACHINE_STEP_DOWN,
                                           given->stamp.position, device_no);
        int count = dk_state_add(step->ops, step->count, &op);
        step->count = count < 0 ? step->count : count;
    }
    int after = dk_state_value(step->ops, step->count).rank;
    *holder = after == step->rank && after != step->before.rank ? device_no : before;
    if (after != step->rank) {
        return note(decision, step, after, *holder, step->rank, device_no);
    }
    bool concurrent =
        step->before.rank != step->seen.rank || step->before.epoch != step->seen.epoch;
    return given->makes || !concurrent || step->before.rank == after ||
           note(decision, step, after, device_no, step->before.rank, before);
}

/* See the header. Without any the record is in its first state. */
bool srv_merge_given_states(struct decision *decision, struct work *work, int field,
                            const struct srv_given *rows, int count)
{
    const struct stamp *made = &work->row.stamps[FIELD_CREATED_TS];
    struct step step = {.work = work, .field = field, .count = 1};
    uint32_t holder = made->device_no;
    step.ops[0] = (struct state_op){.position = made->position, .device_no = holder, .peak = -1};
    for (int i = 0; i < count; i++) {
        step.rank = given_rank(&work->row.record.entity->fields[field], &rows[i]);
        if (step.rank >= 0 && !take_given(decision, &step, &rows[i], &holder)) {
            return false;
        }
    }
    int first = step.ops[0].rank;
    step.before = (struct state_view){.rank = first};
    if (!put(decision, &step)) {
        return false;
    }
    work->old_rank = first;
    work->stepped = dk_state_value(step.ops, step.count).rank != first;
    return true;
}

/* See the header. */
bool srv_step_by_rule(struct decision *decision, struct work *work, int rank)
{
    struct step step = {.work = work, .field = dk_machine_field(work->row.record.entity)};
    step.rank = rank;
    step.count = srv_state_ops(&work->row, step.field, step.ops);
    step.before = step.seen = dk_state_value(step.ops, step.count);
    struct state_op op = dk_state_step(step.seen, rank, false, decision->position, 0);
    step.count = dk_state_add(step.ops, step.count, &op);
    if (step.count < 0) {
        return true; /* the register is full: the step is given up, not the author's work */
    }
    work->own |= (uint64_t)1 << step.field;
    work->effect = work->effect == EFFECT_NONE ? EFFECT_SET : work->effect;
    return put(decision, &step);
}

/* See the header. */
bool srv_merge_first_state(struct decision *decision, struct work *work)
{
    const struct record *record = &work->row.record;
    struct step step = {.work = work, .field = dk_machine_field(record->entity)};
    const char *rule;
    int rank = dk_machine_state(record);
    return rank < 0 ||
           dk_machine_step(record, 0, rank, decision->roles, 0, &rule) != MACHINE_REFUSED ||
           refuse(decision, &step, rule);
}
