/* SPDX-License-Identifier: Apache-2.0
 *
 * What was given for fields before the server knew them, judged once it does: by LATEST it went
 * into the record, though the field may be one that people propose values for, a state, or none of
 * people's business. Between the third and the fourth step of the decision, for changesets by which
 * the server converts its records. Invariants: 1. The record ends as if the server had known the
 * field all along, as far as it is known who gave what. 2. A value that does not come to stand is a
 * proposal or in the conflict log. 3. Of what is judged nothing is kept.
 */
#include "engine/sales/machines.h"
#include "sync-server/decide/work.h"

#include <string.h>

/* A value that is being judged, and what it stands against. */
struct candidate {
    struct value value;
    struct stamp stamp; /* position 0: nobody's */
};

/* The value of a row. One of another type, which no engine writes, is none. */
static bool read_value(struct decision *decision, const struct field *field,
                       const struct srv_given *given, struct value *value)
{
    struct json_reader json;
    struct refusal refusal = {REJECT_NONE, NULL, NULL};
    *value = (struct value){.kind = VALUE_NULL};
    if (given->value == NULL) {
        return true;
    }
    char *copy = dk_arena_copy(decision->arena, given->value, given->value_length);
    if (copy == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    dk_json_open(&json, copy, given->value_length);
    if (!dk_value_read_decided(&json, field, decision->arena, value, &refusal)) {
        *value = (struct value){.kind = VALUE_NULL};
    }
    return !decision->arena->failed || srv_decision_out_of_memory(decision);
}

/* What becomes of a candidate against what stands, by LATEST. */
static enum merge_result judge(const struct candidate *stands, const struct candidate *candidate,
                               int64_t seen)
{
    struct merge_side stored = {.stamp = stands->stamp, .values = &stands->value};
    struct merge_side incoming = {.stamp = candidate->stamp, .values = &candidate->value};
    return dk_merge(POLICY_LATEST, &stored, &incoming, 1, seen);
}

/* A candidate takes the place of what stands, where it wins or says the same later. Who had seen
 * what stands is later than that, whatever the clocks said. */
static void replace(struct candidate *stands, const struct candidate *candidate,
                    enum merge_result result, int64_t seen)
{
    struct candidate next = *candidate;
    bool later = dk_stamp_compare(next.stamp.time, next.stamp.device_no, stands->stamp.time,
                                  stands->stamp.device_no) > 0;
    if (!later && dk_merge_known(&stands->stamp, next.stamp.device_no, seen)) {
        next.stamp.time = stands->stamp.time + 1;
        later = true;
    }
    if (result == MERGE_APPLY || result == MERGE_WINS || (result == MERGE_SAME && later)) {
        *stands = next;
    }
}

/* Notes which of two lost. */
static bool note(struct decision *decision, const struct work *work, const struct field *field,
                 const struct candidate *kept, const struct candidate *lost)
{
    struct value kept_text, lost_text;
    return srv_value_text(decision, field, &kept->value, &kept_text) &&
           srv_value_text(decision, field, &lost->value, &lost_text) &&
           srv_decide_note(decision, work, field->name, strlen(field->name), &kept_text,
                           kept->stamp.device_no, &lost_text, lost->stamp.device_no);
}

/* Makes one value a proposal, as of when it was given. */
static bool propose(struct decision *decision, struct work *work, int field,
                    const struct srv_given *given, const struct candidate *stands,
                    const struct candidate *candidate)
{
    const struct id *changeset =
        dk_id_is_zero(&given->changeset) ? &decision->input->changeset.id : &given->changeset;
    struct proposer proposer = {changeset, &given->user, &given->stamp};
    struct work *proposal =
        srv_make_proposal(decision, work, field, &proposer, &stands->value, &candidate->value);
    if (proposal == NULL) {
        return false;
    }
    struct value *values = proposal->row.record.values;
    values[FIELD_CREATED_TS] =
        (struct value){.kind = VALUE_INT, .integer = dk_hlc_ms(given->stamp.time)};
    values[FIELD_CREATED_DEV] =
        (struct value){.kind = VALUE_INT, .integer = (int64_t)given->stamp.device_no};
    values[FIELD_CREATED_BY] = values[PROPOSAL_BY];
    return true;
}

/* PROPOSE: what was given with the record, or by somebody with the right to decide, stands, by
 * LATEST; all else is proposed. What lost when the server knew no better has been noted then. */
static bool judge_proposed(struct decision *decision, struct work *work, int field,
                           const struct srv_given *rows, int count)
{
    const struct field *definition = &work->row.record.entity->fields[field];
    const unsigned deciding = MACHINE_M | MACHINE_B | MACHINE_Y;
    struct candidate stands = {.stamp = {0}}, latest = stands;
    for (int i = 0; i < count; i++) {
        struct candidate candidate = {.stamp = rows[i].stamp};
        if (!read_value(decision, definition, &rows[i], &candidate.value)) {
            return false;
        }
        enum merge_result result = judge(&stands, &candidate, rows[i].seen);
        bool decides = rows[i].makes || (rows[i].roles & deciding) != 0;
        enum merge_result result_then = judge(&latest, &candidate, rows[i].seen);
        bool noted = dk_value_equal(&stands.value, &latest.value) && result_then == result;
        if (!decides && result != MERGE_SAME &&
            !propose(decision, work, field, &rows[i], &stands, &candidate)) {
            return false;
        }
        if (decides && !noted && result == MERGE_WINS &&
            !note(decision, work, definition, &candidate, &stands)) {
            return false;
        }
        if (decides && !noted && result == MERGE_LOSES &&
            !note(decision, work, definition, &stands, &candidate)) {
            return false;
        }
        replace(&latest, &candidate, result_then, rows[i].seen);
        if (decides) {
            replace(&stands, &candidate, result, rows[i].seen);
        } else if (!srv_merge_trace(decision, work, &candidate.stamp)) {
            return false;
        }
    }
    if (!dk_value_equal(&work->row.record.values[field], &stands.value)) {
        work->row.record.values[field] = stands.value;
        work->changed |= (uint64_t)1 << field;
    }
    work->row.stamps[field] = stands.stamp;
    return true;
}

/* Nobody had the field to give: it has no value, which is said under its name, for whoever does not
 * know better keeps what was sent. */
static bool tell_gone(struct decision *decision, struct work *work, const struct field *field)
{
    struct work_extra *extra = dk_arena_new(decision->arena, sizeof *extra);
    if (extra == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    *extra = (struct work_extra){.name = field->name,
                                 .length = (uint32_t)strlen(field->name),
                                 .changed = true,
                                 .next = work->extra};
    work->extra = extra;
    return true;
}

/* The rows of one field, by position. NULL: no memory. */
static struct srv_given *rows_of(struct decision *decision, const struct field *field,
                                 const struct srv_given *rows, int count, int *found)
{
    struct srv_given *list = dk_arena_new(decision->arena, (size_t)(count + 1) * sizeof *list);
    *found = 0;
    for (int i = 0; i < count && list != NULL; i++) {
        if (rows[i].name_length == strlen(field->name) &&
            memcmp(rows[i].name, field->name, rows[i].name_length) == 0) {
            list[(*found)++] = rows[i];
        }
    }
    if (list == NULL) {
        (void)srv_decision_out_of_memory(decision);
    }
    return list;
}

/* One field; a state that nobody gave is the first one. */
static bool judge_field(struct decision *decision, struct work *work, int field,
                        const struct srv_given *all, int all_count)
{
    const struct record *record = &work->row.record;
    const struct field *definition = &record->entity->fields[field];
    int count;
    const struct srv_given *rows = rows_of(decision, definition, all, all_count, &count);
    bool fine = rows != NULL;
    switch (definition->policy) {
    case POLICY_PROPOSE:
        fine = fine && (count == 0 || judge_proposed(decision, work, field, rows, count));
        break;
    case POLICY_STATE:
        fine = fine && ((count == 0 && record->values[field].kind != VALUE_NULL) ||
                        srv_merge_given_states(decision, work, field, rows, count));
        break;
    case POLICY_SERVER:
    case POLICY_DERIVED:
        fine = fine && (count == 0 || tell_gone(decision, work, definition));
        break;
    default: break;
    }
    if (fine && count > 0) {
        daybook_status status = srv_store_remove_given(
            decision->store, decision->org->org, record->entity, &record->id, definition->name);
        fine = status == DAYBOOK_OK || srv_decision_fail(decision, status);
    }
    return fine;
}

/* See the header. */
bool srv_decide_given(struct decision *decision)
{
    struct work *last = NULL;
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        last = work; /* proposals come behind it */
    }
    for (struct work *work = decision->works; decision->input->converts && work != NULL;
         work = work == last ? NULL : work->next) {
        struct srv_given *rows = NULL;
        int count = 0;
        if (work->change == NULL || !srv_work_is_live(work)) {
            continue;
        }
        daybook_status status =
            srv_store_given(decision->store, decision->org->org, work->row.record.entity,
                            &work->row.record.id, decision->arena, &rows, &count);
        if (status != DAYBOOK_OK) {
            return srv_decision_fail(decision, status);
        }
        for (int field = 0; field < work->row.record.entity->field_count; field++) {
            if (!judge_field(decision, work, field, rows, count)) {
                return false;
            }
        }
    }
    return true;
}
