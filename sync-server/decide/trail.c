/* SPDX-License-Identifier: Apache-2.0
 *
 * The trail of a rep: the visits that show for sure where that one was, by check-in (ids break
 * ties), as they will be after this decision. Called where visits are found to count. Invariant:
 * what is done to one visit reaches those behind it up to the first that the rep can have come to
 * from the one right before it, which as a rule is the next or the one after it.
 */
#include "sync-server/decide/work.h"

#include <stdlib.h>
#include <string.h>

#define TRAIL_PAGE 4

/* On the way along a trail, in one direction. */
struct walk {
    struct decision *decision;
    bool before;
    struct arena arena;          /* of what is read from the store */
    const struct record *at;     /* where it stands, first where it began */
    int next_work;               /* of decision->trail, next in this direction */
    struct srv_visit_range next; /* of those that are only stored */
    struct srv_record *rows;     /* read, but not passed yet */
    int row_count, row;
    bool ended; /* the store has no more within SALES_WAY_MS */
};

/* See the header. */
int64_t srv_visit_time(const struct record *visit)
{
    const struct value *time = &visit->values[VISIT_CHECKIN_TS];
    return time->kind == VALUE_INT ? time->integer : 0;
}

/* See the header. */
int srv_visit_order(const struct record *a, const struct record *b)
{
    int64_t one = srv_visit_time(a), other = srv_visit_time(b);
    return one != other ? (one > other) - (one < other) : dk_id_compare(&a->id, &b->id);
}

/* See the header. */
bool srv_visit_is_trusted(struct decision *decision, const struct record *visit, bool *trusted)
{
    const struct value *maker = &visit->values[FIELD_CREATED_BY];
    const struct value *made = &visit->values[FIELD_CREATED_TS];
    struct srv_account account;
    bool found = false;
    *trusted = true;
    if (maker->kind != VALUE_ID || made->kind != VALUE_INT ||
        dk_value_equal(maker, &visit->values[VISIT_REP_ID])) {
        return true;
    }
    daybook_status status = srv_store_account_at(decision->store, decision->org->org, &maker->id,
                                                 made->integer, &account, &found);
    *trusted = !found || strcmp(account.role, "rep") != 0;
    return status == DAYBOOK_OK || srv_decision_fail(decision, status);
}

/* Whether the visit is part of its rep's trail: nobody makes another's. */
static bool is_in_trail(struct decision *decision, const struct record *visit, bool *is)
{
    *is = dk_visit_is_trace(visit);
    return !*is || srv_visit_is_trusted(decision, visit, is);
}

/* ---- those of this decision */

/* By rep, check-in and id. */
static int order_in_trails(const struct record *a, const struct record *b)
{
    int order = dk_id_compare(&a->values[VISIT_REP_ID].id, &b->values[VISIT_REP_ID].id);
    return order != 0 ? order : srv_visit_order(a, b);
}

/* The same, for qsort. */
static int compare_works(const void *a, const void *b)
{
    return order_in_trails(&(*(struct work *const *)a)->row.record,
                           &(*(struct work *const *)b)->row.record);
}

/* See the header. */
bool srv_trail_begin(struct decision *decision)
{
    int room = 0, count = 0;
    for (const struct work *work = decision->works; work != NULL; work = work->next) {
        room += work->renewed;
    }
    decision->trail = dk_arena_new(decision->arena, (size_t)room * sizeof *decision->trail);
    if (room > 0 && decision->trail == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        bool is = work->renewed && srv_work_is_live(work);
        work->traced = work->renewed;
        if (is && !is_in_trail(decision, &work->row.record, &is)) {
            return false;
        }
        if (is) {
            decision->trail[count++] = work;
        }
    }
    decision->trail_count = count;
    if (count > 1) {
        qsort(decision->trail, (size_t)count, sizeof *decision->trail, compare_works);
    }
    return true;
}

/* ---- a walk */

/* How far apart two visits are. */
static int64_t apart_ms(const struct record *a, const struct record *b)
{
    return llabs(srv_visit_time(a) - srv_visit_time(b));
}

/* Begins at a visit, which need not be part of the trail. */
static void begin_walk(struct walk *walk, struct decision *decision, const struct record *from,
                       bool before)
{
    int low = 0, high = decision->trail_count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (order_in_trails(&decision->trail[middle]->row.record, from) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *walk = (struct walk){.decision = decision, .before = before, .at = from};
    dk_arena_init(&walk->arena, decision->decide->memory_max);
    walk->next_work = before ? low - 1 : low;
    walk->next = (struct srv_visit_range){.rep = from->values[VISIT_REP_ID].id,
                                          .id = from->id,
                                          .time_ms = srv_visit_time(from),
                                          .before = before,
                                          .limit = TRAIL_PAGE};
    walk->ended = from->values[VISIT_REP_ID].kind != VALUE_ID;
}

/* The next visit of this decision; NULL: none. */
static const struct record *peek_work(struct walk *walk)
{
    const struct decision *decision = walk->decision;
    const struct value *rep = &walk->at->values[VISIT_REP_ID];
    while (walk->next_work >= 0 && walk->next_work < decision->trail_count) {
        const struct record *visit = &decision->trail[walk->next_work]->row.record;
        if (!dk_value_equal(&visit->values[VISIT_REP_ID], rep)) {
            return NULL;
        }
        if (srv_visit_order(visit, walk->at) != 0) {
            return visit;
        }
        walk->next_work += walk->before ? -1 : 1; /* where the walk began */
    }
    return NULL;
}

/* Reads the next page. */
static bool read_page(struct walk *walk)
{
    struct decision *decision = walk->decision;
    struct srv_visit_range *next = &walk->next;
    next->until_ms = next->time_ms + (walk->before ? -SALES_WAY_MS : SALES_WAY_MS);
    daybook_status status = srv_store_visits_from(decision->store, decision->org->org, next,
                                                  &walk->arena, &walk->rows, &walk->row_count);
    if (status != DAYBOOK_OK) {
        return srv_decision_fail(decision, status);
    }
    walk->row = 0;
    walk->ended = walk->row_count == 0;
    if (walk->row_count > 0) {
        const struct record *last = &walk->rows[walk->row_count - 1].record;
        next->id = last->id;
        next->time_ms = srv_visit_time(last);
    }
    return true;
}

/* The next visit that is only stored; NULL: none near. */
static bool peek_stored(struct walk *walk, const struct record **visit)
{
    const struct decision *decision = walk->decision;
    bool is = false;
    *visit = NULL;
    while (!is) {
        if (walk->row == walk->row_count) {
            if (walk->ended ||
                llabs(walk->next.time_ms - srv_visit_time(walk->at)) > SALES_WAY_MS) {
                return true;
            }
            if (!read_page(walk)) {
                return false;
            }
            continue;
        }
        const struct record *row = &walk->rows[walk->row].record;
        const struct work *work = srv_work_find(decision, row->entity, &row->id);
        is = work == NULL || !work->traced;
        if (is && !is_in_trail(walk->decision, row, &is)) {
            return false;
        }
        walk->row += is ? 0 : 1;
        *visit = is ? row : NULL;
    }
    return true;
}

/* The next visit of the trail; NULL: none within SALES_WAY_MS. It lives as long as the walk. */
static bool walk_on(struct walk *walk, const struct record **visit)
{
    const struct record *work = peek_work(walk), *stored;
    if (!peek_stored(walk, &stored)) {
        return false;
    }
    int order = work == NULL || stored == NULL ? 0 : srv_visit_order(work, stored);
    bool is_work = work != NULL && (stored == NULL || (walk->before ? order > 0 : order < 0));
    *visit = is_work ? work : stored;
    if (*visit == NULL || apart_ms(*visit, walk->at) > SALES_WAY_MS) {
        *visit = NULL;
        return true;
    }
    if (is_work) {
        walk->next_work += walk->before ? -1 : 1;
    } else {
        walk->row++;
    }
    walk->at = *visit;
    return true;
}

/* See the header. */
bool srv_trail_is_too_fast(struct decision *decision, const struct record *visit, bool *too_fast)
{
    const struct record *run[SALES_RUN_MAX] = {visit};
    struct walk walk;
    int count = 1;
    bool fine = true, reached = false;
    begin_walk(&walk, decision, visit, true);
    while (fine && !reached) {
        const struct record *before;
        fine = walk_on(&walk, &before);
        reached = !fine || count == SALES_RUN_MAX || dk_visit_is_reached(run[count - 1], before);
        if (!reached) {
            run[count++] = before;
        }
    }
    *too_fast = fine && dk_visit_is_too_fast(run, count);
    dk_arena_clear(&walk.arena);
    return fine;
}

/* A visit comes behind one that is another now: what counts is found anew where that may be
 * otherwise. */
static bool look_again(struct decision *decision, const struct record *visit)
{
    const struct value *effective = &visit->values[VISIT_EFFECTIVE];
    const struct work *work = srv_work_find(decision, visit->entity, &visit->id);
    bool was = effective->kind == VALUE_INT && effective->integer != 0, too_fast;
    if ((work != NULL && work->renewed) || !dk_visit_may_count(visit)) {
        return true;
    }
    if (!srv_trail_is_too_fast(decision, visit, &too_fast)) {
        return false;
    }
    if (was != too_fast) {
        return true;
    }
    struct work *found = srv_work_load(decision, visit->entity, &visit->id);
    if (found == NULL) {
        return false;
    }
    found->marked = found->renewed = true;
    return true;
}

/* True where this decision does not change where the visit lies in the trail. */
static bool is_as_before(const struct decision *decision, const struct record *visit)
{
    const struct work *work = srv_work_find(decision, visit->entity, &visit->id);
    return work == NULL || !work->traced;
}

/* True where those behind the visit are looked at for its own sake. */
static bool leads(const struct decision *decision, const struct record *visit)
{
    const struct work *work = srv_work_find(decision, visit->entity, &visit->id);
    return work != NULL && work->leads;
}

/* See the header. */
bool srv_trail_look_behind(struct decision *decision, const struct record *place)
{
    struct walk walk;
    const struct record *before = NULL, *visit;
    bool fine = true, as_ever = false;
    begin_walk(&walk, decision, place, false);
    for (int i = 0; i < SALES_RUN_MAX && fine && !as_ever; i++, before = visit) {
        fine = walk_on(&walk, &visit);
        if (!fine || visit == NULL || leads(decision, visit)) {
            break;
        }
        as_ever = before != NULL && is_as_before(decision, before) &&
                  is_as_before(decision, visit) && dk_visit_is_reached(visit, before);
        fine = as_ever || look_again(decision, visit);
    }
    dk_arena_clear(&walk.arena);
    return fine;
}
