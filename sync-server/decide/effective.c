/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of a rep's visits to one customer count (visit.effective): those that count by themselves,
 * and to which the rep can have come in time, but of several within two hours the earliest only, so
 * that one visit recorded twice counts once. Behind the rules that fill and check. Invariants: 1.
 * What is effective follows from the visits as they stand, not from the order in which they came.
 * 2. A visit is judged by itself when something of it changes that it is judged by, or of the
 * visits before it, not when its customer or its place in the store does. 3. What is done to one
 * visit reaches the next two of its rep and, of these, another as far as two hours go from each to
 * the next.
 */
#include "engine/sales/machines.h"
#include "sync-server/decide/work.h"

#include <stdlib.h>

#define AROUND_MS ((int64_t)24 * 60 * 60 * 1000) /* visits further behind are left as they are */

/* A time around which other visits may count from now on. */
struct mark {
    struct id customer, rep;
    int64_t time_ms;
    struct work *visit; /* has check-in then; NULL: had it, or is gone */
};

/* A visit that may count: of the decision, or only stored. */
struct candidate {
    struct srv_record *row;
    struct work *work; /* NULL: only stored */
};

/* The visits of one rep to one customer around some marks, by check-in. */
struct visits {
    const struct mark *marks; /* by time */
    int mark_count;
    struct candidate *list;
    int count;
};

/* True where the visit is said to be effective. */
static bool is_effective(const struct record *visit)
{
    const struct value *value = &visit->values[VISIT_EFFECTIVE];
    return value->kind == VALUE_INT && value->integer != 0;
}

/* Sets the field where it is another; what does not count has no value, whether it once did or not.
 */
static void put(struct decision *decision, struct work *visit, bool effective)
{
    if (is_effective(&visit->row.record) == effective) {
        return;
    }
    struct stamp *stamp = &visit->row.stamps[VISIT_EFFECTIVE];
    visit->row.record.values[VISIT_EFFECTIVE] =
        (struct value){.kind = effective ? VALUE_INT : VALUE_NULL, .integer = effective};
    *stamp = srv_merge_stamp(decision, stamp, true);
    visit->changed |= (uint64_t)1 << VISIT_EFFECTIVE;
    visit->own |= (uint64_t)1 << VISIT_EFFECTIVE;
    visit->effect = visit->effect == EFFECT_NONE ? EFFECT_SET : visit->effect;
}

/* Whether a visit counts by itself, and its rep can have come to it. */
static bool count_alone(struct decision *decision, const struct record *visit, bool *counts)
{
    enum visit_flaw flaw;
    bool trusted = false, too_fast = false;
    daybook_status status = dk_visit_flaw(&decision->reader, visit, decision->arena, &flaw);
    *counts = false;
    if (status != DAYBOOK_OK) {
        return srv_decision_fail(decision, status);
    }
    if (flaw != FLAW_NONE) {
        return true;
    }
    bool fine = srv_visit_is_trusted(decision, visit, &trusted) &&
                (!trusted || srv_trail_is_too_fast(decision, visit, &too_fast));
    *counts = fine && trusted && !too_fast;
    return fine;
}

/* ---- what is to be judged */

/* True where the visit has come or goes, or something of these fields has changed. */
static bool has_changed(const struct work *visit, uint64_t fields)
{
    return visit->effect == EFFECT_NEW || visit->effect == EFFECT_DELETE || visit->revived ||
           (visit->changed & fields) != 0;
}

/* True where it says something else of where its rep was. */
static bool is_elsewhere(const struct work *visit)
{
    uint64_t fields = dk_visit_facts() & ~((uint64_t)1 << VISIT_FEEDBACK);
    if (visit->stepped &&
        dk_visit_same_way(visit->old_rank, dk_machine_state(&visit->row.record))) {
        fields &= ~((uint64_t)1 << VISIT_STATUS);
    }
    return has_changed(visit, fields);
}

/* True where the action has come to its visit, or goes. */
static bool is_other_action(const struct work *action)
{
    return action->effect != EFFECT_SET || action->revived ||
           (action->changed >> VISIT_ACTION_VISIT_ID & 1) != 0;
}

/* Marks a visit as renewed, or as one that has come to another customer; an action that comes or
 * goes renews its visit. *any: one is marked. */
static bool look_at(struct decision *decision, struct work *work, bool *any)
{
    const struct id *parent = srv_work_parent(work);
    int kind = (int)work->row.record.entity->kind;
    bool written = work->effect != EFFECT_NONE && work->effect != EFFECT_STORED;
    if (!written || (kind != ENTITY_VISIT && (kind != ENTITY_VISIT_ACTION || parent == NULL))) {
        return true;
    }
    bool renewed =
        kind == ENTITY_VISIT ? has_changed(work, dk_visit_facts()) : is_other_action(work);
    bool moved = kind == ENTITY_VISIT && (work->changed >> VISIT_CUSTOMER_ID & 1) != 0;
    if (!renewed && !moved) {
        return true;
    }
    struct work *found =
        kind == ENTITY_VISIT ? work : srv_work_load(decision, dk_entity(ENTITY_VISIT), parent);
    if (found == NULL) {
        return false;
    }
    found->marked = *any = true;
    found->renewed = found->renewed || renewed;
    return true;
}

/* The check-in that a visit had before; *time_ms is left where it has that still, or is new. */
static bool read_old_time(struct decision *decision, const struct work *visit, int64_t *time_ms)
{
    struct srv_record old;
    bool found;
    if (!visit->found || (visit->changed >> VISIT_CHECKIN_TS & 1) == 0) {
        return true;
    }
    daybook_status status =
        srv_store_get(decision->store, decision->org->org, visit->row.record.entity,
                      &visit->row.record.id, decision->arena, &old, &found);
    *time_ms = status == DAYBOOK_OK ? srv_visit_time(&old.record) : *time_ms;
    return status == DAYBOOK_OK || srv_decision_fail(decision, status);
}

/* Looks behind a visit that is renewed, and behind where it was. */
static bool look_behind(struct decision *decision, const struct work *visit)
{
    struct record place = visit->row.record;
    int64_t time_ms = srv_visit_time(&place);
    if (!read_old_time(decision, visit, &time_ms) || !srv_trail_look_behind(decision, &place)) {
        return false;
    }
    if (time_ms == srv_visit_time(&place)) {
        return true;
    }
    place.values[VISIT_CHECKIN_TS].integer = time_ms;
    return srv_trail_look_behind(decision, &place);
}

/* Adds the check-in that a visit had before, which somebody else's earlier one has replaced. */
static bool add_old_mark(struct decision *decision, struct work *visit, struct mark *marks,
                         int *count)
{
    struct mark mark = marks[*count - 1];
    int64_t time_ms = mark.time_ms;
    if (!read_old_time(decision, visit, &mark.time_ms)) {
        return false;
    }
    if (mark.time_ms != time_ms) {
        mark.visit = NULL;
        marks[(*count)++] = mark;
    }
    return true;
}

/* Adds what one visit marks: at most two times. One that does not count and did not before leaves
 * the others as they are. */
static bool add_marks(struct decision *decision, struct work *visit, struct mark *marks, int *count)
{
    const struct record *record = &visit->row.record;
    const struct value *rep = &record->values[VISIT_REP_ID];
    const struct value *customer = &record->values[VISIT_CUSTOMER_ID];
    bool live = srv_work_is_live(visit), was = is_effective(record);
    if (rep->kind != VALUE_ID || customer->kind != VALUE_ID) {
        return true;
    }
    if (live && visit->renewed && !count_alone(decision, record, &visit->counts)) {
        return false;
    }
    bool may_count = visit->renewed ? visit->counts : live && dk_visit_may_count(record);
    if (!may_count && !was) {
        return true;
    }
    if (live && !may_count) {
        put(decision, visit, false);
    }
    marks[(*count)++] = (struct mark){.customer = customer->id,
                                      .rep = rep->id,
                                      .time_ms = srv_visit_time(record),
                                      .visit = may_count ? visit : NULL};
    return !was || add_old_mark(decision, visit, marks, count);
}

/* ---- the visits around */

/* By customer, rep and time. */
static int compare_marks(const void *a, const void *b)
{
    const struct mark *one = a, *other = b;
    int order = dk_id_compare(&one->customer, &other->customer);
    order = order != 0 ? order : dk_id_compare(&one->rep, &other->rep);
    return order != 0 ? order : (one->time_ms > other->time_ms) - (one->time_ms < other->time_ms);
}

/* By check-in, for qsort. */
static int compare_candidates(const void *a, const void *b)
{
    return srv_visit_order(&((const struct candidate *)a)->row->record,
                           &((const struct candidate *)b)->row->record);
}

/* Collects the visits that may count, as they will be: those that are marked, and of the stored
 * ones those that are not. */
static bool collect(struct decision *decision, struct visits *visits)
{
    const struct mark *first = visits->marks, *last = first + visits->mark_count - 1;
    struct srv_record *rows;
    int count;
    daybook_status status = srv_store_visits(
        decision->store, decision->org->org, &first->customer, &first->rep,
        first->time_ms - SALES_TWIN_MS, last->time_ms + AROUND_MS, decision->arena, &rows, &count);
    if (status != DAYBOOK_OK) {
        return srv_decision_fail(decision, status);
    }
    size_t room = (size_t)count + (size_t)visits->mark_count;
    visits->list = dk_arena_new(decision->arena, room * sizeof *visits->list);
    if (visits->list == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    for (int i = 0; i < count; i++) {
        struct work *work = srv_work_find(decision, rows[i].record.entity, &rows[i].record.id);
        struct srv_record *row = work == NULL ? &rows[i] : &work->row;
        bool marked = work != NULL && (work->marked || !srv_work_is_live(work));
        if (!marked && dk_visit_may_count(&row->record)) {
            visits->list[visits->count++] = (struct candidate){row, work};
        }
    }
    for (int i = 0; i < visits->mark_count; i++) {
        struct work *work = visits->marks[i].visit;
        if (work != NULL) {
            visits->list[visits->count++] = (struct candidate){&work->row, work};
        }
    }
    qsort(visits->list, (size_t)visits->count, sizeof *visits->list, compare_candidates);
    return true;
}

/* Judges one visit that something has happened before, less than two hours ago. `close`: so has an
 * effective one. One that was effective and is not renewed counts by itself still, whatever has
 * become of its customer. */
static bool judge(struct decision *decision, struct candidate *candidate, bool close)
{
    const struct record *visit = &candidate->row->record;
    bool renewed = candidate->work != NULL && candidate->work->renewed;
    bool counts = !close && (renewed ? candidate->work->counts : is_effective(visit));
    if (!close && !renewed && !counts && !count_alone(decision, visit, &counts)) {
        return false;
    }
    if (counts == is_effective(visit)) {
        return true;
    }
    if (candidate->work == NULL) {
        candidate->work = srv_work_adopt(decision, candidate->row);
        if (candidate->work == NULL) {
            return false;
        }
        candidate->row = &candidate->work->row;
    }
    put(decision, candidate->work, counts);
    return true;
}

/* From the earliest on: each that counts by itself, unless an effective one is close before it.
 * Those are judged that come less than two hours behind a mark, or behind one that is another
 * now. */
static bool judge_all(struct decision *decision, struct visits *visits)
{
    const struct candidate *last = NULL; /* effective */
    const int64_t long_ago_ms = visits->marks->time_ms - AROUND_MS;
    int64_t moved_ms = long_ago_ms;
    int mark = 0;
    for (int i = 0; i < visits->count; i++) {
        struct candidate *candidate = &visits->list[i];
        int64_t time_ms = srv_visit_time(&candidate->row->record);
        bool was = is_effective(&candidate->row->record);
        bool close = last != NULL && time_ms - srv_visit_time(&last->row->record) < SALES_TWIN_MS;
        while (mark < visits->mark_count && visits->marks[mark].time_ms <= time_ms) {
            moved_ms = visits->marks[mark++].time_ms;
        }
        if (time_ms - moved_ms < SALES_TWIN_MS && !judge(decision, candidate, close)) {
            return false;
        }
        bool is = is_effective(&candidate->row->record);
        last = is ? candidate : last;
        moved_ms = is != was ? time_ms : moved_ms;
    }
    return true;
}

/* Judges around all marks: those of one rep and customer together, because each time costs a look
 * at all visits of the customer. */
static bool judge_marks(struct decision *decision, struct mark *marks, int count)
{
    qsort(marks, (size_t)count, sizeof *marks, compare_marks);
    for (int from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count; to++) {
            if (dk_id_compare(&marks[from].customer, &marks[to].customer) != 0 ||
                dk_id_compare(&marks[from].rep, &marks[to].rep) != 0) {
                break;
            }
        }
        struct visits visits = {.marks = &marks[from], .mark_count = to - from};
        if (!collect(decision, &visits) || !judge_all(decision, &visits)) {
            return false;
        }
    }
    return true;
}

/* The visits that this decision renews, where they may be in other places now, and those behind
 * them. */
static bool follow_trails(struct decision *decision)
{
    if (!srv_trail_begin(decision)) {
        return false;
    }
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        const struct record *visit = &work->row.record;
        work->leads = work->traced && is_elsewhere(work) &&
                      (work->effect != EFFECT_NEW || dk_visit_is_trace(visit));
    }
    for (const struct work *work = decision->works; work != NULL; work = work->next) {
        if (work->leads && !look_behind(decision, work)) {
            return false;
        }
    }
    return true;
}

/* The times of all visits that are marked. */
static bool collect_marks(struct decision *decision, struct mark **marks, int *count)
{
    int marked = 0;
    for (const struct work *work = decision->works; work != NULL; work = work->next) {
        marked += work->marked;
    }
    *marks = dk_arena_new(decision->arena, ((size_t)marked * 2 + 1) * sizeof **marks);
    if (*marks == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        if (work->marked && !add_marks(decision, work, *marks, count)) {
            return false;
        }
    }
    return true;
}

/* See the header. What is drawn in here needs no look. */
bool srv_decide_effective(struct decision *decision)
{
    const int work_count = decision->work_count;
    struct work *work = decision->works;
    struct mark *marks;
    bool any = false;
    int count = 0;
    for (int i = 0; i < work_count; i++, work = work->next) {
        if (!look_at(decision, work, &any)) {
            return false;
        }
    }
    if (!any) {
        return true;
    }
    return follow_trails(decision) && collect_marks(decision, &marks, &count) &&
           (count == 0 || judge_marks(decision, marks, count));
}
