/* SPDX-License-Identifier: Apache-2.0
 *
 * One visit that a rep recorded on two devices, as two records, without a plan (twins): the one
 * with the earliest check-in gets what the others have, and they are redirected to it. Behind the
 * rules that fill and check. Invariants: 1. Which visits are one follows from the visits as they
 * were recorded: each is one with those that are close to it and, through these, with those that
 * are close to them. 2. The one that stays is the earliest, so each keeps the check-in by which it
 * was recognised. 3. No redirect leads over two steps.
 */
#include "sync-server/decide/redirect.h"
#include "sync-server/decide/work.h"

#include <stdlib.h>
#include <string.h>

#define TWIN_PAGE 200

/* A visit whose twins are looked for, and the device numbers of its rep's devices other than the
 * one that recorded it. */
struct judged {
    struct work *visit;
    uint32_t *others;
    int other_count;
};

/* Ad hoc visits of the decision in the order of customer, rep, check-in and id. */
struct visits {
    struct work **list;
    int count;
};

/* Whether a visit that is what it is now may have twins that it had not before. One that has become
 * another is among them: where its customer is found to be another one, it meets that one's visits.
 */
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
           dk_visit_is_ad_hoc(visit) && dk_visit_may_join(visit) &&
           visit->values[FIELD_CREATED_DEV].kind == VALUE_INT;
}

/* Whether another device of its rep recorded this visit. */
static bool is_by_other(const struct judged *judged, const struct record *visit)
{
    const struct value *device = &visit->values[FIELD_CREATED_DEV];
    bool found = false;
    for (int i = 0; i < judged->other_count && device->kind == VALUE_INT && !found; i++) {
        found = device->integer == (int64_t)judged->others[i];
    }
    return found;
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
static bool redirect(struct decision *decision, struct work *from, const struct work *into)
{
    const uint64_t field = (uint64_t)1 << VISIT_REDIRECT_TO;
    struct stamp *stamp = &from->row.stamps[VISIT_REDIRECT_TO];
    from->row.record.values[VISIT_REDIRECT_TO] =
        (struct value){.kind = VALUE_ID, .id = into->row.record.id};
    *stamp = srv_merge_stamp(decision, stamp, true);
    from->changed |= field;
    from->own |= field;
    from->effect = from->effect == EFFECT_NONE ? EFFECT_SET : from->effect;
    return srv_work_name_fields(decision, from, field);
}

/* Those that had become the visit that goes become the one that stays. */
static bool lead_on(struct decision *decision, const struct work *from, const struct work *into)
{
    const struct record *gone = &from->row.record;
    if (!adopt_related(decision, gone->entity, VISIT_REDIRECT_TO, &gone->id, false)) {
        return false;
    }
    for (const struct named *at = srv_works_named(decision, &gone->id); at != NULL;
         at = srv_named_next(at)) {
        const struct value *to = &at->work->row.record.values[VISIT_REDIRECT_TO];
        if (at->work->row.record.entity == gone->entity && srv_work_is_live(at->work) &&
            to->kind == VALUE_ID && dk_id_compare(&to->id, &gone->id) == 0 &&
            !redirect(decision, at->work, into)) {
            return false;
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
    return redirect(decision, from, into);
}

/* ---- which visits are looked at */

/* Of two ids in the same field. */
static int order_ids(const struct record *a, const struct record *b, int field)
{
    return dk_id_compare(&a->values[field].id, &b->values[field].id);
}

/* Of ad hoc visits, by customer and rep. */
static int order_pairs(const struct record *a, const struct record *b)
{
    int order = order_ids(a, b, VISIT_CUSTOMER_ID);
    return order != 0 ? order : order_ids(a, b, VISIT_REP_ID);
}

/* For qsort, of pointers to works: the order of struct visits. */
static int compare_visits(const void *a, const void *b)
{
    const struct record *left = &(*(struct work *const *)a)->row.record;
    const struct record *right = &(*(struct work *const *)b)->row.record;
    int order = order_pairs(left, right);
    return order != 0 ? order : srv_visit_order(left, right);
}

/* Puts the ad hoc visits of the decision in order. */
static bool sort_visits(struct decision *decision, struct visits *visits)
{
    *visits = (struct visits){NULL, 0};
    visits->list =
        dk_arena_new(decision->arena, ((size_t)decision->work_count + 1) * sizeof *visits->list);
    if (visits->list == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        if (work->row.record.entity->kind == ENTITY_VISIT && srv_work_is_live(work) &&
            dk_visit_is_ad_hoc(&work->row.record)) {
            visits->list[visits->count++] = work;
        }
    }
    if (visits->count > 1) {
        qsort(visits->list, (size_t)visits->count, sizeof *visits->list, compare_visits);
    }
    return true;
}

/* Collects the visits that this changeset makes or changes so that they may have twins. A rep with
 * one device has none, nor has what was recorded by somebody else. */
static bool collect_judged(struct decision *decision, struct judged *list, int *count)
{
    *count = 0;
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        const struct record *record = &work->row.record;
        struct judged *judged = &list[*count];
        if (!is_concerned(work)) {
            continue;
        }
        *judged = (struct judged){.visit = work};
        daybook_status status =
            srv_store_other_numbers(decision->store, &record->values[VISIT_REP_ID].id,
                                    (uint32_t)record->values[FIELD_CREATED_DEV].integer,
                                    decision->arena, &judged->others, &judged->other_count);
        if (status != DAYBOOK_OK) {
            return srv_decision_fail(decision, status);
        }
        *count += judged->other_count > 0;
    }
    return true;
}

/* For qsort, of struct judged. */
static int compare_judged(const void *a, const void *b)
{
    return compare_visits(&((const struct judged *)a)->visit, &((const struct judged *)b)->visit);
}

/* Draws in the visits of the store that are close to one of these, redirected ones too. Each is
 * read once, however many are close to it: `list` is put in order, and what lies close together is
 * one range. */
static bool draw_in(struct decision *decision, const struct judged *list, int count)
{
    const int64_t close_ms = SALES_TWIN_MS - 1;
    for (int i = 0, next; i < count; i = next) {
        const struct record *first = &list[i].visit->row.record;
        int64_t until_ms = srv_visit_time(first) + close_ms;
        struct srv_record *rows;
        int row_count;
        for (next = i + 1; next < count; next++) {
            const struct record *visit = &list[next].visit->row.record;
            if (order_pairs(first, visit) != 0 || srv_visit_time(visit) - close_ms > until_ms) {
                break;
            }
            until_ms = srv_visit_time(visit) + close_ms;
        }
        daybook_status status = srv_store_visits(
            decision->store, decision->org->org, &first->values[VISIT_CUSTOMER_ID].id,
            &first->values[VISIT_REP_ID].id, srv_visit_time(first) - close_ms, until_ms,
            decision->arena, &rows, &row_count);
        if (status != DAYBOOK_OK) {
            return srv_decision_fail(decision, status);
        }
        for (int row = 0; row < row_count; row++) {
            if (dk_visit_is_ad_hoc(&rows[row].record) &&
                srv_work_adopt(decision, &rows[row]) == NULL) {
                return false;
            }
        }
    }
    return true;
}

/* ---- the decision */

/* The place of the first visit that is not before this one. */
static int find_visit(const struct visits *visits, struct work *visit)
{
    int low = 0, high = visits->count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (compare_visits(&visits->list[middle], &visit) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* One visit, or what it has become, becomes one with those that are close to it. No check-in moves
 * by that, so the order stays. */
static bool judge(struct decision *decision, const struct judged *judged,
                  const struct visits *visits)
{
    const struct record *record = &judged->visit->row.record;
    struct work *root = srv_redirect_target(decision, judged->visit);
    if (root == NULL || !srv_work_is_live(root) || !dk_visit_may_join(&root->row.record)) {
        return root != NULL;
    }
    int at = find_visit(visits, judged->visit);
    while (at > 0 && dk_visit_is_twin(record, &visits->list[at - 1]->row.record)) {
        at--;
    }
    for (; at < visits->count; at++) {
        struct work *twin = visits->list[at];
        if (twin == judged->visit) {
            continue;
        }
        if (!dk_visit_is_twin(record, &twin->row.record)) {
            break;
        }
        if (!is_by_other(judged, &twin->row.record)) {
            continue;
        }
        struct work *other = srv_redirect_target(decision, twin);
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
    struct visits visits;
    int count = 0, concerned = 0;
    for (const struct work *work = decision->works; work != NULL; work = work->next) {
        last = work;
        concerned += is_concerned(work);
    }
    if (concerned == 0) {
        return true;
    }
    struct judged *list = dk_arena_new(decision->arena, (size_t)concerned * sizeof *list * 2);
    if (list == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    if (!collect_judged(decision, list, &count)) {
        return false;
    }
    if (count == 0) {
        return true;
    }
    /* Who sends is told of what comes first in the changeset, so only a copy is put in order. */
    struct judged *sorted = list + concerned;
    memcpy(sorted, list, (size_t)count * sizeof *list);
    qsort(sorted, (size_t)count, sizeof *sorted, compare_judged);
    if (!draw_in(decision, sorted, count) || !sort_visits(decision, &visits)) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        if (!judge(decision, &list[i], &visits)) {
            return false;
        }
    }
    return srv_decide_fill(decision, last);
}
