/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what this device reckons of visits that count (visit.effective): the server's rule over what
 * the device shows. Called when a transaction that touched visits ends, and by the API. Invariants:
 * 1. A visit shows this device's reckoning exactly where changes are pending that it is judged by,
 * else what the server has said. 2. The reckoning is part of the overlay alone: the base keeps the
 * server's word, and nothing of it goes up.
 */
#include "engine/store/visits.h"

#include <stdlib.h>
#include <string.h>

/* A visit that is to be reckoned. */
struct due {
    struct id id;
    int64_t time_ms;
};
struct due_list {
    struct due *items; /* in the store's arena */
    int count, capacity;
};

/* See visits.h. */
int64_t dk_visits_time(const struct record *visit)
{
    const struct value *time = &visit->values[VISIT_CHECKIN_TS];
    return time->kind == VALUE_INT ? time->integer : 0;
}

/* True where the value says that a visit counts. */
static bool is_yes(const struct value *effective)
{
    return effective->kind == VALUE_INT && effective->integer != 0;
}

/* ---- the rule, over what the device shows */

/* Whether the visit is its rep's own record, or was planned by somebody who may plan for reps. */
static daybook_status is_trusted(struct store *store, const struct record *visit,
                                 struct arena *arena, bool *trusted)
{
    struct sales_reader reader = dk_records_reader(store);
    const struct value *maker = &visit->values[FIELD_CREATED_BY];
    struct record user;
    bool found;
    *trusted = true;
    if (maker->kind != VALUE_ID || dk_value_equal(maker, &visit->values[VISIT_REP_ID])) {
        return DAYBOOK_OK;
    }
    daybook_status status =
        reader.get(reader.context, ENTITY_USER, &maker->id, arena, &user, &found);
    const struct value *role = &user.values[USER_ROLE];
    *trusted = status != DAYBOOK_OK || !found || role->kind != VALUE_TEXT ||
               role->length != strlen("rep") || memcmp(role->text, "rep", role->length) != 0;
    return status;
}

/* The visit of the same rep that was right before, within SALES_WAY_MS of `from`; *found false:
 * none. */
static daybook_status load_before(struct store *store, const struct record *from,
                                  const struct record *at, struct arena *arena,
                                  struct stored *before, bool *found)
{
    daybook_status status;
    struct id id;
    struct statement *select =
        dk_statement(&store->database, &store->slots.visit_before,
                     "SELECT id FROM r_visit INDEXED BY r_visit_by_time WHERE rep_id=?1"
                     " AND checkin_ts BETWEEN ?4 AND ?2"
                     " AND (checkin_ts,id)<(?2,?3) ORDER BY checkin_ts DESC,id DESC LIMIT 1",
                     &status);
    *found = false;
    if (select == NULL) {
        return status;
    }
    dk_bind_id(select, 1, &from->values[VISIT_REP_ID].id);
    dk_bind_int(select, 2, dk_visits_time(at));
    dk_bind_id(select, 3, &at->id);
    dk_bind_int(select, 4, dk_visits_time(from) - SALES_WAY_MS);
    status = dk_step(select, found);
    if (status != DAYBOOK_OK || !*found) {
        return status;
    }
    bool fine = dk_column_id(select, 0, &id);
    dk_reset(select);
    return fine ? dk_records_load(store, dk_entity(ENTITY_VISIT), &id, arena, before, found)
                : DAYBOOK_CORRUPT;
}

/* The one before it in its rep's trail; NULL: none near. */
static daybook_status trail_before(struct store *store, const struct record *visit,
                                   struct arena *arena, const struct record **before)
{
    const struct record *at = visit;
    daybook_status status = DAYBOOK_OK;
    bool found = true, is = false;
    while (status == DAYBOOK_OK && found && !is) {
        struct stored *stored = dk_arena_new(arena, sizeof *stored);
        status = stored == NULL ? DAYBOOK_NO_MEMORY
                                : load_before(store, visit, at, arena, stored, &found);
        if (status == DAYBOOK_OK && found) {
            at = &stored->record;
            is = dk_visit_is_trace(at);
            status = is ? is_trusted(store, at, arena, &is) : DAYBOOK_OK;
        }
    }
    *before = is ? at : NULL;
    return status;
}

/* Whether the rep cannot have come to the visit, which is one of the trail, in time. */
static daybook_status is_too_fast(struct store *store, const struct record *visit,
                                  struct arena *arena, bool *too_fast)
{
    const struct record *run[SALES_RUN_MAX] = {visit};
    int count = 1;
    bool reached = visit->values[VISIT_REP_ID].kind != VALUE_ID;
    daybook_status status = DAYBOOK_OK;
    while (status == DAYBOOK_OK && !reached) {
        const struct record *before;
        status = trail_before(store, run[count - 1], arena, &before);
        reached = count == SALES_RUN_MAX || dk_visit_is_reached(run[count - 1], before);
        if (status == DAYBOOK_OK && !reached) {
            run[count++] = before;
        }
    }
    *too_fast = status == DAYBOOK_OK && dk_visit_is_too_fast(run, count);
    return status;
}

/* Whether another visit of the same rep and customer that counts was close before. */
static daybook_status has_twin(struct store *store, const struct record *visit, bool *has)
{
    daybook_status status;
    struct statement *select =
        dk_statement(&store->database, &store->slots.visit_twin,
                     "SELECT 1 FROM r_visit INDEXED BY r_visit_by_time WHERE rep_id=?1"
                     " AND checkin_ts BETWEEN ?4+1 AND ?2"
                     " AND (checkin_ts,id)<(?2,?3) AND customer_id=?5 AND effective=1 LIMIT 1",
                     &status);
    *has = false;
    if (select == NULL) {
        return status;
    }
    if (visit->values[VISIT_REP_ID].kind != VALUE_ID) {
        return DAYBOOK_OK;
    }
    dk_bind_id(select, 1, &visit->values[VISIT_REP_ID].id);
    dk_bind_int(select, 2, dk_visits_time(visit));
    dk_bind_id(select, 3, &visit->id);
    dk_bind_int(select, 4, dk_visits_time(visit) - SALES_TWIN_MS);
    dk_bind_id(select, 5, &visit->values[VISIT_CUSTOMER_ID].id);
    status = dk_step(select, has);
    dk_reset(select);
    return status;
}

/* What speaks against a visit, as far as this device knows. */
static daybook_status find_flaw(struct store *store, const struct record *visit,
                                struct arena *arena, enum visit_flaw *flaw)
{
    struct sales_reader reader = dk_records_reader(store);
    bool is;
    daybook_status status = dk_visit_flaw(&reader, visit, arena, flaw);
    if (status == DAYBOOK_OK && *flaw == FLAW_NONE) {
        status = is_trusted(store, visit, arena, &is);
        *flaw = is ? FLAW_NONE : FLAW_COLLEAGUE;
    }
    if (status == DAYBOOK_OK && *flaw == FLAW_NONE) {
        status = is_too_fast(store, visit, arena, &is);
        *flaw = is ? FLAW_TOO_FAST : FLAW_NONE;
    }
    if (status == DAYBOOK_OK && *flaw == FLAW_NONE) {
        status = has_twin(store, visit, &is);
        *flaw = is ? FLAW_TWIN : FLAW_NONE;
    }
    return status;
}

/* Whether changes are pending that a visit is judged by: of its own, or actions. */
static daybook_status is_open(struct store *store, const struct holding *holding,
                              struct arena *arena, bool *open)
{
    const struct entity *action = dk_entity(ENTITY_VISIT_ACTION);
    struct id *ids;
    int count;
    *open = holding->is_pending &&
            (holding->base_state != BASE_HELD || (holding->touched & dk_visit_facts()) != 0);
    if (*open) {
        return DAYBOOK_OK;
    }
    daybook_status status = dk_records_children(store, action, &holding->id, arena, &ids, &count);
    for (int i = 0; status == DAYBOOK_OK && i < count && !*open; i++) {
        struct stored stored;
        bool found;
        status = dk_records_load(store, action, &ids[i], arena, &stored, &found);
        *open = status == DAYBOOK_OK && found && stored.version < 0;
    }
    return status;
}

/* ---- what the visits show */

/* Puts another value into the overlay of a visit that is pending. */
static daybook_status show(struct store *store, struct holding *holding, const struct value *value)
{
    struct record record = holding->row.record;
    const uint64_t field = (uint64_t)1 << VISIT_EFFECTIVE;
    daybook_status status = DAYBOOK_OK;
    if (!holding->is_implied) {
        status = dk_pending_extend(store, holding, &record, field);
        if (status == DAYBOOK_OK) {
            status = dk_pending_write(store, holding, true);
        }
    }
    record.values[VISIT_EFFECTIVE] = *value;
    store->changed |= dk_store_bit(ENTITY_VISIT);
    return status == DAYBOOK_OK ? dk_records_update(store, &record, field, holding->row.version, 0)
                                : status;
}

/* Reckons one visit; the server's word stays as it is said where the reckoning agrees. *shown:
 * where it shows something else now, how; else its record has no entity. */
static daybook_status reckon(struct store *store, const struct id *id, struct record *shown)
{
    struct holding holding;
    struct base base;
    struct value value;
    enum visit_flaw flaw;
    bool open = false;
    struct arena *arena = &store->work;
    shown->entity = NULL;
    dk_arena_reset(arena);
    daybook_status status = dk_pending_load(store, dk_entity(ENTITY_VISIT), id, arena, &holding);
    if (status != DAYBOOK_OK || !holding.has_row || !holding.is_pending) {
        return status;
    }
    status = dk_pending_base(&holding, arena, &base);
    if (status == DAYBOOK_OK) {
        status = is_open(store, &holding, arena, &open);
    }
    value = base.record.values[VISIT_EFFECTIVE];
    if (status == DAYBOOK_OK && open) {
        status = find_flaw(store, &holding.row.record, arena, &flaw);
        bool counts = status == DAYBOOK_OK && flaw == FLAW_NONE;
        if (counts != is_yes(&value)) {
            value = (struct value){.kind = counts ? VALUE_INT : VALUE_NULL, .integer = counts};
        }
    }
    if (status != DAYBOOK_OK ||
        dk_value_equal(&value, &holding.row.record.values[VISIT_EFFECTIVE])) {
        return status;
    }
    *shown = holding.row.record;
    return show(store, &holding, &value);
}

/* Adds a visit to the list. */
static daybook_status add_due(struct store *store, struct due_list *list, const struct id *id,
                              int64_t time_ms)
{
    struct due *items =
        dk_arena_grow(&store->arena, list->items, list->count, &list->capacity, sizeof *items);
    if (items == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    list->items = items;
    list->items[list->count++] = (struct due){*id, time_ms};
    return DAYBOOK_OK;
}

/* Adds the visits that the statement yields, id and check-in. */
static daybook_status add_rows(struct store *store, struct statement *select, struct due_list *list)
{
    daybook_status status;
    bool row;
    while ((status = dk_step(select, &row)) == DAYBOOK_OK && row) {
        struct id id;
        status = dk_column_id(select, 0, &id) ? add_due(store, list, &id, dk_column_int(select, 1))
                                              : DAYBOOK_CORRUPT;
        if (status != DAYBOOK_OK) {
            dk_reset(select);
            return status;
        }
    }
    return status;
}

/* Adds all that is pending. */
static daybook_status add_all(struct store *store, struct due_list *list)
{
    daybook_status status;
    struct statement *select =
        dk_statement(&store->database, &store->slots.visit_pending,
                     "SELECT id,checkin_ts FROM r_visit WHERE version<0", &status);
    return select == NULL ? status : add_rows(store, select, list);
}

/* See visits.h. */
daybook_status dk_visits_note_time(struct store *store, struct touched *touched, int64_t time_ms,
                                   const struct id *visit)
{
    if (time_ms == 0) {
        return DAYBOOK_OK;
    }
    struct visit_time *times = dk_arena_grow(&store->arena, touched->times, touched->time_count,
                                             &touched->time_capacity, sizeof *times);
    if (times == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    struct visit_time *time = &times[touched->time_count++];
    touched->times = times;
    *time = (struct visit_time){.time_ms = time_ms};
    if (visit != NULL) {
        time->visit = *visit;
    }
    return DAYBOOK_OK;
}

/* See visits.h. */
daybook_status dk_visits_note(struct store *store, struct touched *touched,
                              const struct record *visit, bool is)
{
    return dk_visits_note_time(store, touched, dk_visits_time(visit), is ? &visit->id : NULL);
}

/* See visits.h. */
uint64_t dk_visits_judge(void)
{
    return dk_visit_facts() | (uint64_t)1 << VISIT_REP_ID | (uint64_t)1 << VISIT_CUSTOMER_ID |
           (uint64_t)1 << VISIT_EFFECTIVE;
}

/* Adds a visit that was touched, and, unless they are noted, the time from which on others are
 * judged by it. */
static daybook_status add_touched(struct store *store, const struct id *id, struct due_list *list,
                                  struct touched *touched)
{
    daybook_status status;
    bool found = false;
    struct statement *select =
        dk_statement(&store->database, &store->slots.visit_touched,
                     "SELECT checkin_ts,version<0 FROM r_visit WHERE id=?1", &status);
    if (select == NULL) {
        return status;
    }
    dk_bind_id(select, 1, id);
    status = dk_step(select, &found);
    if (status != DAYBOOK_OK || !found) {
        return status;
    }
    int64_t time_ms = dk_column_int(select, 0);
    bool pending = dk_column_int(select, 1) != 0;
    dk_reset(select);
    if (pending) {
        status = add_due(store, list, id, time_ms);
    }
    return status == DAYBOOK_OK && !touched->noted
               ? dk_visits_note_time(store, touched, time_ms, id)
               : status;
}

/* By time and visit, for qsort. */
static int compare_times(const void *a, const void *b)
{
    const struct visit_time *left = a, *right = b;
    return left->time_ms != right->time_ms ? (left->time_ms > right->time_ms ? 1 : -1)
                                           : dk_id_compare(&left->visit, &right->visit);
}

/* Whether there are other visits than these, from the first to the last and `reach` behind: often
 * there are none yet, and the index alone tells. */
static daybook_status has_others(struct store *store, const struct visit_time *first,
                                 const struct visit_time *last, int64_t reach, bool *has)
{
    daybook_status status;
    int64_t count = 0;
    bool row, known = true;
    for (const struct visit_time *time = first; time <= last; time++) {
        known = known && !dk_id_is_zero(&time->visit);
        count += time == first || compare_times(time - 1, time) != 0;
    }
    *has = true;
    if (!known) {
        return DAYBOOK_OK;
    }
    struct statement *select =
        dk_statement(&store->database, &store->slots.visit_count,
                     "SELECT count(*) FROM r_visit INDEXED BY r_visit_by_time"
                     " WHERE checkin_ts BETWEEN ?1 AND ?2",
                     &status);
    if (select == NULL) {
        return status;
    }
    dk_bind_int(select, 1, first->time_ms);
    dk_bind_int(select, 2, last->time_ms + reach);
    status = dk_step(select, &row);
    if (status == DAYBOOK_OK && row) {
        *has = dk_column_int(select, 0) > count;
        dk_reset(select);
    }
    return status;
}

/* Adds the visits behind the times that are judged by what is there and may count: of the others
 * the server's word stands, or they show already that they do not. Those of other reps are judged
 * anew in vain. */
static daybook_status look_behind(struct store *store, const struct visit_time *first,
                                  const struct visit_time *last, struct due_list *list)
{
    const int64_t reach = 2 * SALES_WAY_MS;
    bool others;
    daybook_status status = has_others(store, first, last, reach, &others);
    if (status != DAYBOOK_OK || !others) {
        return status;
    }
    struct statement *select =
        dk_statement(&store->database, &store->slots.visit_behind,
                     "SELECT id,checkin_ts FROM r_visit INDEXED BY r_visit_by_time"
                     " WHERE checkin_ts BETWEEN ?1 AND ?2 AND status IN('completed','verified')"
                     " AND version<0",
                     &status);
    if (select == NULL) {
        return status;
    }
    dk_bind_int(select, 1, first->time_ms);
    dk_bind_int(select, 2, last->time_ms + reach);
    return add_rows(store, select, list);
}

/* Looks behind all times: behind those near each other together. */
static daybook_status add_behind(struct store *store, struct touched *touched,
                                 struct due_list *list)
{
    const struct visit_time *times = touched->times;
    int count = touched->time_count;
    daybook_status status = DAYBOOK_OK;
    if (count > 1) {
        qsort(touched->times, (size_t)count, sizeof *times, compare_times);
    }
    for (int i = 0, first = 0; i < count && status == DAYBOOK_OK; i++) {
        if (i + 1 == count || times[i + 1].time_ms > times[i].time_ms + 2 * SALES_WAY_MS) {
            status = look_behind(store, &times[first], &times[i], list);
            first = i + 1;
        }
    }
    return status;
}

/* By check-in and id: the earlier ones are found to count first. For qsort. */
static int compare_due(const void *a, const void *b)
{
    const struct due *left = a, *right = b;
    return left->time_ms != right->time_ms
               ? (left->time_ms > right->time_ms) - (left->time_ms < right->time_ms)
               : dk_id_compare(&left->id, &right->id);
}

/* Adds those that may be twins of a visit that counts now, or does not any more, to the rest of the
 * list. */
static daybook_status add_twins(struct store *store, const struct record *visit,
                                struct due_list *list, int rest)
{
    daybook_status status;
    struct statement *select = dk_statement(
        &store->database, &store->slots.visit_twins,
        "SELECT id,checkin_ts FROM r_visit INDEXED BY r_visit_by_time WHERE rep_id=?1"
        " AND checkin_ts BETWEEN ?2 AND ?3"
        " AND (checkin_ts,id)>(?2,?4) AND customer_id=?5 AND status IN('completed','verified')"
        " AND version<0",
        &status);
    int before = list->count;
    if (select == NULL) {
        return status;
    }
    dk_bind_id(select, 1, &visit->values[VISIT_REP_ID].id);
    dk_bind_int(select, 2, dk_visits_time(visit));
    dk_bind_int(select, 3, dk_visits_time(visit) + SALES_TWIN_MS);
    dk_bind_id(select, 4, &visit->id);
    dk_bind_id(select, 5, &visit->values[VISIT_CUSTOMER_ID].id);
    status = add_rows(store, select, list);
    if (list->count > before) {
        qsort(list->items + rest, (size_t)(list->count - rest), sizeof *list->items, compare_due);
    }
    return status;
}

/* See visits.h. */
daybook_status dk_visits_reckon(struct store *store, struct touched *visits)
{
    struct due_list list = {NULL, 0, 0};
    daybook_status status = DAYBOOK_OK;
    for (int i = 0; visits != NULL && i < visits->count && status == DAYBOOK_OK; i++) {
        status = add_touched(store, &visits->items[i].id, &list, visits);
    }
    if (status == DAYBOOK_OK) {
        status = visits == NULL ? add_all(store, &list) : add_behind(store, visits, &list);
    }
    if (list.count > 1) {
        qsort(list.items, (size_t)list.count, sizeof *list.items, compare_due);
    }
    for (int i = 0; i < list.count && status == DAYBOOK_OK; i++) {
        struct record shown;
        if (i > 0 && dk_id_compare(&list.items[i - 1].id, &list.items[i].id) == 0) {
            continue;
        }
        status = reckon(store, &list.items[i].id, &shown);
        if (status == DAYBOOK_OK && shown.entity != NULL) {
            status = add_twins(store, &shown, &list, i + 1);
        }
    }
    return status;
}

/* ---- why */

/* See store.h. */
daybook_status dk_store_visit_counts(struct store *store, const struct id *id, struct arena *arena,
                                     struct store_visit *visit)
{
    struct holding holding;
    *visit = (struct store_visit){.flaw = FLAW_NONE};
    (void)pthread_mutex_lock(&store->lock);
    daybook_status status = dk_pending_load(store, dk_entity(ENTITY_VISIT), id, arena, &holding);
    visit->found = status == DAYBOOK_OK && holding.has_row;
    if (visit->found) {
        status = is_open(store, &holding, arena, &visit->provisional);
    }
    bool shown = visit->found && is_yes(&holding.row.record.values[VISIT_EFFECTIVE]);
    if (status == DAYBOOK_OK && visit->found && (visit->provisional || !shown)) {
        status = find_flaw(store, &holding.row.record, arena, &visit->flaw);
    }
    (void)pthread_mutex_unlock(&store->lock);
    visit->counts = visit->provisional ? visit->flaw == FLAW_NONE : shown;
    return status;
}
