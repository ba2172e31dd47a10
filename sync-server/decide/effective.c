/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of a rep's visits to one customer count (visit.effective): those that count by themselves,
 * but of several within two hours the earliest only, so that one visit recorded twice counts once.
 * Behind the rules that fill and check. Invariant: what is effective follows from the visits as
 * they stand, not from the order in which they came.
 */
#include "sync-server/decide/work.h"

#include <string.h>

#define AROUND_MS ((int64_t)24 * 60 * 60 * 1000) /* visits further away are left as they are */
#define VISITS_MAX 500                           /* of one rep around one time */
#define VISIT_PAGE 200

/* The visits of one rep to one customer around a time, by check-in. */
struct visits {
    struct id customer, rep;
    int64_t from_ms, to_ms;
    struct work *works[VISITS_MAX];
    int count;
};

/* The first check-in; 0: none. */
static int64_t checkin_ms(const struct record *visit)
{
    const struct value *time = &visit->values[VISIT_CHECKIN_TS];
    return time->kind == VALUE_INT ? time->integer : 0;
}

/* True where the visit is said to be effective. */
static bool is_effective(const struct record *visit)
{
    const struct value *value = &visit->values[VISIT_EFFECTIVE];
    return value->kind == VALUE_INT && value->integer != 0;
}

/* Whether a visit is one of those looked for. */
static bool belongs(const struct visits *visits, const struct record *visit)
{
    const struct value *customer = &visit->values[VISIT_CUSTOMER_ID];
    const struct value *rep = &visit->values[VISIT_REP_ID];
    int64_t time_ms = checkin_ms(visit);
    return customer->kind == VALUE_ID && dk_id_compare(&customer->id, &visits->customer) == 0 &&
           rep->kind == VALUE_ID && dk_id_compare(&rep->id, &visits->rep) == 0 &&
           dk_visit_may_count(visit) && time_ms >= visits->from_ms && time_ms <= visits->to_ms;
}

/* Puts a visit into its place; ids break ties. More than there is room for are left as they are. */
static void insert(struct visits *visits, struct work *work)
{
    int at = visits->count;
    if (at == VISITS_MAX) {
        return;
    }
    for (; at > 0; at--) {
        const struct work *before = visits->works[at - 1];
        int64_t difference = checkin_ms(&before->row.record) - checkin_ms(&work->row.record);
        if (difference < 0 ||
            (difference == 0 && dk_id_compare(&before->row.record.id, &work->row.record.id) < 0)) {
            break;
        }
        visits->works[at] = visits->works[at - 1];
    }
    visits->works[at] = work;
    visits->count++;
}

/* Collects them, as they will be; those of the store are drawn in. */
static bool collect(struct decision *decision, struct visits *visits)
{
    const struct entity *entity = dk_entity(ENTITY_VISIT);
    struct id after = {{0}};
    struct srv_record *rows;
    int count = VISIT_PAGE;
    while (count == VISIT_PAGE) {
        daybook_status status = srv_store_related(
            decision->store, decision->org->org, entity, VISIT_CUSTOMER_ID, &visits->customer,
            &after, VISIT_PAGE, false, decision->arena, &rows, &count);
        if (status != DAYBOOK_OK) {
            return srv_decision_fail(decision, status);
        }
        for (int i = 0; i < count; i++) {
            after = rows[i].record.id;
            if (belongs(visits, &rows[i].record) && srv_work_adopt(decision, &rows[i]) == NULL) {
                return false;
            }
        }
    }
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        if (work->row.record.entity == entity && srv_work_is_live(work) &&
            belongs(visits, &work->row.record)) {
            insert(visits, work);
        }
    }
    return true;
}

/* Sets the field where it is another; what never counted has no value. */
static void put(struct decision *decision, struct work *visit, bool effective)
{
    if (is_effective(&visit->row.record) == effective) {
        return;
    }
    struct stamp *stamp = &visit->row.stamps[VISIT_EFFECTIVE];
    visit->row.record.values[VISIT_EFFECTIVE] =
        (struct value){.kind = VALUE_INT, .integer = effective};
    *stamp = srv_merge_stamp(decision, stamp, true);
    visit->changed |= (uint64_t)1 << VISIT_EFFECTIVE;
    visit->own |= (uint64_t)1 << VISIT_EFFECTIVE;
    visit->effect = visit->effect == EFFECT_NONE ? EFFECT_SET : visit->effect;
}

/* From the earliest on: each that counts by itself, unless an effective one is close before it. One
 * that was effective and is not touched now counts still, whatever has become of its customer. */
static bool judge_all(struct decision *decision, const struct visits *visits)
{
    const struct work *last = NULL;
    for (int i = 0; i < visits->count; i++) {
        struct work *work = visits->works[i];
        const struct record *visit = &work->row.record;
        bool close =
            last != NULL && checkin_ms(visit) - checkin_ms(&last->row.record) < SALES_TWIN_MS;
        bool counts = !close && work->effect == EFFECT_NONE && is_effective(visit);
        if (!close && !counts) {
            daybook_status status =
                dk_visit_counts(&decision->reader, visit, decision->arena, &counts);
            if (status != DAYBOOK_OK) {
                return srv_decision_fail(decision, status);
            }
        }
        put(decision, work, counts);
        last = counts ? work : last;
    }
    return true;
}

/* One visit that this changeset touches. One that does not count and did not before leaves the
 * others as they are. */
static bool judge(struct decision *decision, struct work *work)
{
    const struct record *visit = &work->row.record;
    const struct value *rep = &visit->values[VISIT_REP_ID];
    bool live = srv_work_is_live(work), counts = false;
    if (rep->kind != VALUE_ID || visit->values[VISIT_CUSTOMER_ID].kind != VALUE_ID) {
        return true;
    }
    daybook_status status =
        live ? dk_visit_counts(&decision->reader, visit, decision->arena, &counts) : DAYBOOK_OK;
    if (status != DAYBOOK_OK) {
        return srv_decision_fail(decision, status);
    }
    if (!counts && !is_effective(visit)) {
        return true;
    }
    if (live && !counts) {
        put(decision, work, false);
    }
    struct visits *visits = dk_arena_new(decision->arena, sizeof *visits);
    if (visits == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    *visits = (struct visits){.customer = visit->values[VISIT_CUSTOMER_ID].id,
                              .rep = rep->id,
                              .from_ms = checkin_ms(visit) - AROUND_MS,
                              .to_ms = checkin_ms(visit) + AROUND_MS};
    return collect(decision, visits) && judge_all(decision, visits);
}

/* See the header. */
bool srv_decide_effective(struct decision *decision)
{
    const struct work *last = NULL; /* what is drawn in here needs no look */
    for (const struct work *work = decision->works; work != NULL; work = work->next) {
        last = work;
    }
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        const struct record *record = &work->row.record;
        struct work *visit = record->entity->kind == ENTITY_VISIT ? work : NULL;
        bool touched = work->effect != EFFECT_NONE && work->effect != EFFECT_STORED;
        if (touched && record->entity->kind == ENTITY_VISIT_ACTION &&
            srv_work_parent(work) != NULL) {
            visit = srv_work_load(decision, dk_entity(ENTITY_VISIT), srv_work_parent(work));
            if (visit == NULL) {
                return false;
            }
        }
        if (touched && visit != NULL && !judge(decision, visit)) {
            return false;
        }
        if (work == last) {
            break;
        }
    }
    return true;
}
