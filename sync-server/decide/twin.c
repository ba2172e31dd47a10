/* SPDX-License-Identifier: Apache-2.0
 *
 * One visit that a rep recorded on two devices, as two records, without a plan (twins): the one
 * with the earliest check-in gets what the others have, and they are redirected to it. Behind the
 * rules that fill and check. Invariants: 1. Which visits are one follows from the visits as they
 * were recorded: each is one with those that are close to it and, through these, with those that
 * are close to them. 2. The one that stays is the earliest, so each keeps the check-in by which it
 * was recognised. 3. No redirect leads over two steps.
 */
#include "sync-server/decide/work.h"

#include <string.h>

#define TWIN_PAGE 200

/* The device numbers of the rep's devices other than the one that recorded a visit. */
struct others {
    uint32_t *numbers;
    int count;
};

/* Whether a visit that is what it is now may have twins that it had not before. */
static bool is_concerned(const struct work *work)
{
    static const uint64_t fields = (uint64_t)1 << VISIT_CUSTOMER_ID |
                                   (uint64_t)1 << VISIT_PLAN_DAY | (uint64_t)1 << VISIT_STATUS |
                                   (uint64_t)1 << VISIT_CHECKIN_TS |
                                   (uint64_t)1 << VISIT_CHECKIN_SUSPECT;
    const struct record *visit = &work->row.record;
    bool other =
        work->effect == EFFECT_NEW || work->effect == EFFECT_WHOLE || (work->changed & fields) != 0;
    return visit->entity->kind == ENTITY_VISIT && other && srv_work_is_live(work) &&
           visit->values[VISIT_REDIRECT_TO].kind == VALUE_NULL && dk_visit_is_ad_hoc(visit) &&
           dk_visit_may_join(visit) && visit->values[FIELD_CREATED_DEV].kind == VALUE_INT;
}

/* Whether one of the others recorded the visit. */
static bool is_by_other(const struct others *others, const struct record *visit)
{
    const struct value *device = &visit->values[FIELD_CREATED_DEV];
    bool found = false;
    for (int i = 0; i < others->count && device->kind == VALUE_INT && !found; i++) {
        found = device->integer == (int64_t)others->numbers[i];
    }
    return found;
}

/* Draws in the visits of the store that are twins of this one, redirected ones too. */
static bool adopt_twins(struct decision *decision, const struct record *visit,
                        const struct others *others)
{
    struct id after = {{0}};
    struct srv_record *rows;
    int count;
    do {
        daybook_status status =
            srv_store_related(decision->store, decision->org->org, visit->entity, VISIT_CUSTOMER_ID,
                              &visit->values[VISIT_CUSTOMER_ID].id, &after, TWIN_PAGE, false,
                              decision->arena, &rows, &count);
        if (status != DAYBOOK_OK) {
            return srv_decision_fail(decision, status);
        }
        for (int i = 0; i < count; i++) {
            after = rows[i].record.id;
            if (dk_visit_is_twin(visit, &rows[i].record) && is_by_other(others, &rows[i].record) &&
                srv_work_adopt(decision, &rows[i]) == NULL) {
                return false;
            }
        }
    } while (count == TWIN_PAGE);
    return true;
}

/* Draws in what names the record in this field, tombstones too where there may be any. */
static bool adopt_related(struct decision *decision, const struct entity *entity, int field,
                          const struct id *id, bool tombstones)
{
    struct id after = {{0}};
    struct srv_record *rows;
    int count;
    do {
        daybook_status status =
            srv_store_related(decision->store, decision->org->org, entity, field, id, &after,
                              TWIN_PAGE, tombstones, decision->arena, &rows, &count);
        if (status != DAYBOOK_OK) {
            return srv_decision_fail(decision, status);
        }
        for (int i = 0; i < count; i++) {
            after = rows[i].record.id;
            if (srv_work_adopt(decision, &rows[i]) == NULL) {
                return false;
            }
        }
    } while (count == TWIN_PAGE);
    return true;
}

/* What was recorded below the visit that goes is below the one that stays. The reference is as it
 * was, so it keeps its stamp. */
static bool move_children(struct decision *decision, const struct work *from, struct work *into)
{
    const struct id *id = &from->row.record.id;
    const struct entity *entity;
    for (int n = 0; (entity = dk_entity_child(ENTITY_VISIT, n)) != NULL; n++) {
        if (!adopt_related(decision, entity, entity->parent_field, id, true)) {
            return false;
        }
    }
    for (struct work *work = srv_work_children(decision, id), *next; work != NULL; work = next) {
        const struct id *parent = srv_work_parent(work);
        next = work->same_parent_slot;
        if (parent == NULL || dk_id_compare(parent, id) != 0) {
            continue;
        }
        uint64_t field = (uint64_t)1 << work->row.record.entity->parent_field;
        srv_work_move(decision, work, &into->row.record.id);
        work->changed |= field;
        work->own |= field;
        if (work->effect == EFFECT_NONE) {
            work->effect = work->row.deleted ? EFFECT_STORED : EFFECT_SET;
        }
        into->grows = into->grows || !work->row.deleted;
    }
    return true;
}

/* Redirects a visit. */
static void redirect(struct decision *decision, struct work *from, const struct work *into)
{
    struct stamp *stamp = &from->row.stamps[VISIT_REDIRECT_TO];
    from->row.record.values[VISIT_REDIRECT_TO] =
        (struct value){.kind = VALUE_ID, .id = into->row.record.id};
    *stamp = srv_merge_stamp(decision, stamp, true);
    from->changed |= (uint64_t)1 << VISIT_REDIRECT_TO;
    from->own |= (uint64_t)1 << VISIT_REDIRECT_TO;
    from->effect = from->effect == EFFECT_NONE ? EFFECT_SET : from->effect;
}

/* Those that had become the visit that goes become the one that stays. */
static bool lead_on(struct decision *decision, const struct work *from, const struct work *into)
{
    const struct record *gone = &from->row.record;
    if (!adopt_related(decision, gone->entity, VISIT_REDIRECT_TO, &gone->id, false)) {
        return false;
    }
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        const struct value *to = &work->row.record.values[VISIT_REDIRECT_TO];
        if (work->row.record.entity == gone->entity && srv_work_is_live(work) &&
            to->kind == VALUE_ID && dk_id_compare(&to->id, &gone->id) == 0) {
            redirect(decision, work, into);
        }
    }
    return true;
}

/* True where `a` stays and `b` goes. */
static bool is_before(const struct record *a, const struct record *b)
{
    int64_t a_ms = a->values[VISIT_CHECKIN_TS].integer;
    int64_t b_ms = b->values[VISIT_CHECKIN_TS].integer;
    return a_ms != b_ms ? a_ms < b_ms : dk_id_compare(&a->id, &b->id) < 0;
}

/* Two visits become one; *root, which is one of them, is the one that stays from now on. The author
 * is told where a record of this changeset goes. */
static bool join(struct decision *decision, struct work **root, struct work *other)
{
    bool first = is_before(&(*root)->row.record, &other->row.record);
    struct work *into = first ? *root : other, *from = first ? other : *root;
    *root = into;
    decision->merged = true;
    from->own_whole = into->own_whole = true;
    if (from->change != NULL) {
        srv_redirect_tell(decision, from);
    }
    if (!lead_on(decision, from, into) || !move_children(decision, from, into) ||
        !srv_join(decision, from, into)) {
        return false;
    }
    redirect(decision, from, into);
    return true;
}

/* One visit that this changeset makes or changes. The reps who have one device have no twins. */
static bool judge(struct decision *decision, struct work *visit)
{
    const struct record *record = &visit->row.record;
    uint32_t mine = (uint32_t)record->values[FIELD_CREATED_DEV].integer;
    struct others others;
    daybook_status status =
        srv_store_other_numbers(decision->store, &record->values[VISIT_REP_ID].id, mine,
                                decision->arena, &others.numbers, &others.count);
    if (status != DAYBOOK_OK) {
        return srv_decision_fail(decision, status);
    }
    if (others.count == 0) {
        return true;
    }
    if (!adopt_twins(decision, record, &others)) {
        return false;
    }
    struct work *root = visit;
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        const struct record *twin = &work->row.record;
        if (twin->entity != record->entity || !srv_work_is_live(work) ||
            !dk_visit_is_twin(record, twin) || !is_by_other(&others, twin)) {
            continue;
        }
        struct work *other = srv_redirect_target(decision, work);
        if (other == NULL) {
            return false;
        }
        if (other != root && srv_work_is_live(other) && dk_visit_may_join(&other->row.record) &&
            !join(decision, &root, other)) {
            return false;
        }
    }
    return true;
}

/* See the header. What is drawn in here needs no look. */
bool srv_decide_twins(struct decision *decision)
{
    const struct work *last = NULL;
    for (const struct work *work = decision->works; work != NULL; work = work->next) {
        last = work;
    }
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        if (is_concerned(work) && !judge(decision, work)) {
            return false;
        }
        if (work == last) {
            break;
        }
    }
    return last == NULL || srv_decide_fill(decision, last);
}
