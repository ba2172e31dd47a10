/* SPDX-License-Identifier: Apache-2.0
 *
 * Records that were found to be one, customers or visits: redirect_to of the one names the other.
 * What names the first is about the other from then on, and what changes it changes the other. Part
 * of the second and third step of the decision. Invariants: 1. It does not matter whether a change
 * comes before or after the two become one. 2. A reference that follows a redirect is the same
 * reference as before: it takes no new stamp.
 */
#include "sync-server/decide/redirect.h"

#include <string.h>

#define REDIRECT_PAGE 200 /* records read at once */

/* See the header. */
struct work *srv_redirect_target(struct decision *decision, struct work *work)
{
    int field = dk_sales_redirect_field(work->row.record.entity);
    for (int steps = 0; field >= 0 && steps < LIMIT_REDIRECTS; steps++) {
        const struct value *next = &work->row.record.values[field];
        if (next->kind != VALUE_ID) {
            break;
        }
        work = srv_work_load(decision, work->row.record.entity, &next->id);
        if (work == NULL) {
            return NULL;
        }
    }
    return work;
}

/* See the header. */
int64_t srv_redirect_came(const struct decision *decision, const struct work *work)
{
    const struct entity *entity = work->row.record.entity;
    int field = dk_sales_redirect_field(entity);
    int64_t came = 0;
    for (int steps = 0; work != NULL && steps < LIMIT_REDIRECTS; steps++) {
        const struct value *next = &work->row.record.values[field];
        if (next->kind != VALUE_ID) {
            break;
        }
        int64_t position = work->row.stamps[field].position;
        came = position > came ? position : came;
        work = srv_work_find(decision, entity, &next->id);
    }
    return came;
}

/* See the header. */
bool srv_redirect_lead_on(struct decision *decision, struct work *named, struct work *target)
{
    bool saw = srv_decide_sees(decision, named->row.bucket);
    if (srv_decide_sees(decision, target->row.bucket)) {
        return true;
    }
    if (!saw && !srv_decide_saw(decision, named, &saw)) {
        return false;
    }
    if (saw && !target->past) {
        target->past = true;
        target->past_as = named;
    }
    return true;
}

/* Whether a field names records that may have been redirected, and follows that. */
static bool follows(const struct entity *entity, int field)
{
    int target = field < 0 ? -1 : entity->fields[field].target;
    return target >= 0 && dk_sales_redirect_field(dk_entity(target)) >= 0 &&
           field != dk_sales_redirect_field(entity);
}

/* See the header. The first such one is named. */
void srv_redirect_tell(struct decision *decision, const struct work *from)
{
    struct verdict *verdict = decision->verdict;
    if (!verdict->remapped && verdict->moved_ms == 0) {
        srv_verdict_name(verdict, from->row.record.entity, &from->row.record.id);
    }
    verdict->remapped = true;
}

/* A copy that can be changed: the input may be decided once more, after a rollback. */
static struct change *copy_change(struct decision *decision, const struct change *change)
{
    struct change *copy = dk_arena_new(decision->arena, sizeof *copy);
    size_t size = (size_t)change->value_count * sizeof *change->values;
    if (copy != NULL) {
        *copy = *change;
        copy->values = dk_arena_new(decision->arena, size + 1);
    }
    if (copy == NULL || copy->values == NULL) {
        (void)srv_decision_out_of_memory(decision);
        return NULL;
    }
    if (size > 0) {
        memcpy(copy->values, change->values, size);
    }
    return copy;
}

/* See the header. */
bool srv_redirect_references(struct decision *decision, const struct change **change)
{
    struct change *copy = NULL;
    for (int i = 0; i < (*change)->value_count; i++) {
        const struct field_value *value = &(*change)->values[i];
        if (!follows((*change)->entity, value->field) || value->value.kind != VALUE_ID) {
            continue;
        }
        const struct entity *entity = dk_entity((*change)->entity->fields[value->field].target);
        struct work *named = srv_work_load(decision, entity, &value->value.id);
        struct work *target = named == NULL ? NULL : srv_redirect_target(decision, named);
        if (target == NULL) {
            return false;
        }
        if (target == named) {
            continue;
        }
        copy = copy != NULL ? copy : copy_change(decision, *change);
        if (copy == NULL || !srv_redirect_lead_on(decision, named, target)) {
            return false;
        }
        copy->values[i].value.id = target->row.record.id;
        copy->added |= (uint64_t)1 << value->field; /* the author learns it behind the marker */
        srv_redirect_tell(decision, named);
    }
    *change = copy != NULL ? copy : *change;
    return true;
}

/* See the header. The reference is as it was, so it keeps its stamp. Children go along with their
 * visit, deleted or not (twin.c). */
bool srv_redirect_revived(struct decision *decision, struct work *work)
{
    const struct entity *entity = work->row.record.entity;
    for (int field = 0; field < entity->field_count; field++) {
        struct value *value = &work->row.record.values[field];
        if (!follows(entity, field) || field == entity->parent_field || value->kind != VALUE_ID) {
            continue;
        }
        struct work *named =
            srv_work_load(decision, dk_entity(entity->fields[field].target), &value->id);
        struct work *target = named == NULL ? NULL : srv_redirect_target(decision, named);
        if (target == NULL) {
            return false;
        }
        if (target != named) {
            value->id = target->row.record.id;
            work->changed |= (uint64_t)1 << field;
        }
    }
    return true;
}

/* A change of a record beside the one that its work has. */
struct work_change {
    struct work *work;
    struct work *from; /* the record that its author had before the eyes */
    const struct change *change;
    struct work_change *next;
};

/* Keeps a change for srv_redirect_late, behind those that the changeset has before it. */
static bool add_late(struct decision *decision, struct work *work, struct work *from,
                     const struct change *change)
{
    struct work_change *late = dk_arena_new(decision->arena, sizeof *late);
    if (late == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    *late = (struct work_change){work, from, change, NULL};
    struct work_change **end = decision->late == NULL ? &decision->late : decision->late_end;
    *end = late;
    decision->late_end = &late->next;
    return true;
}

/* See the header. Nothing of the other record was before the author's eyes but what has come to
 * it from this one, so its own values are compared by their stamps. The author gets both whole;
 * of this one, where it is deleted, the delete once more, for its device would take the change for
 * a revival. */
bool srv_redirect_change(struct decision *decision, struct work *work)
{
    if (dk_sales_redirect_field(work->row.record.entity) < 0 || work->change->op != BLOCK_SET ||
        decision->author->is_server) {
        return true;
    }
    struct work *target = srv_redirect_target(decision, work);
    if (target == NULL || target == work) {
        return target != NULL;
    }
    bool there = target->found && !target->row.deleted;
    if (!there && dk_change_is_sight(work->change)) {
        return true; /* who has only looked brings nothing back */
    }
    if (!target->found) { /* deleted, and forgotten since */
        return srv_decide_missing(decision, work, NULL, target);
    }
    struct change *copy = copy_change(decision, work->change);
    if (copy == NULL) {
        return false;
    }
    copy->id = target->row.record.id;
    copy->seen = 0;
    if (!srv_redirect_lead_on(decision, work, target)) {
        return false;
    }
    work->remapped = true;
    work->effect = work->row.deleted ? EFFECT_DELETE : EFFECT_SET;
    target->effect = EFFECT_SET;
    work->own_whole = target->own_whole = true;
    srv_redirect_tell(decision, work);
    return add_late(decision, target, work, copy);
}

/* See the header. */
void srv_redirect_seen(const struct decision *decision, const struct stamp *base,
                       const struct stamp *stored, hlc *time, int64_t *seen)
{
    uint32_t mine = decision->author->device_no;
    if (!dk_merge_known(base, mine, srv_work_seen(decision, decision->from->change))) {
        return;
    }
    *time = srv_merge_stamp(decision, base, true).time;
    if (base->time == stored->time && base->device_no == stored->device_no) {
        *seen = stored->position;
    }
}

/* See the header. */
enum merge_result srv_redirect_result(const struct decision *decision, const struct stamp *stored,
                                      enum merge_result result)
{
    bool same_changeset = decision->from != NULL && stored->position == decision->position;
    return same_changeset && result == MERGE_APPLY ? MERGE_WINS : result;
}

/* See the header. */
bool srv_redirect_late(struct decision *decision)
{
    for (struct work_change *late = decision->late; late != NULL; late = late->next) {
        const struct change *own = late->work->change;
        late->work->change = late->change;
        decision->from = late->from;
        bool merged = (!late->work->row.deleted || srv_decide_revive(decision, late->work)) &&
                      srv_merge_set(decision, late->work);
        late->work->change = own != NULL ? own : late->change;
        decision->from = NULL;
        if (!merged) {
            return false;
        }
    }
    return true;
}

/* See the header. */
bool srv_redirect_renames(struct decision *decision, struct work *work, int field,
                          const struct value *sent, bool *renames)
{
    const struct value *stored = &work->row.record.values[field];
    *renames = false;
    if (!follows(work->row.record.entity, field) || stored->kind != VALUE_ID ||
        sent->kind != VALUE_ID || dk_value_equal(stored, sent)) {
        return true;
    }
    const struct entity *entity = dk_entity(work->row.record.entity->fields[field].target);
    struct work *named = srv_work_load(decision, entity, &stored->id);
    struct work *target = named == NULL ? NULL : srv_redirect_target(decision, named);
    if (target == NULL) {
        return false;
    }
    *renames = dk_id_compare(&target->row.record.id, &sent->id) == 0;
    if (*renames) {
        work->row.record.values[field] = *sent;
        work->changed |= (uint64_t)1 << field;
    }
    return true;
}

/* ---- two customers become one */

/* Refuses a redirect for this reason. */
static bool refuse(struct decision *decision, const struct work *from, const char *rule)
{
    const struct record *record = &from->row.record;
    return srv_decision_reject(decision, REJECT_RULE, record->entity, &record->id, "redirect_to",
                               rule);
}

/* True where the customer is redirected to this one. */
static bool leads_to(const struct record *customer, const struct id *id)
{
    const struct value *to = &customer->values[CUSTOMER_REDIRECT_TO];
    return to->kind == VALUE_ID && dk_id_compare(&to->id, id) == 0;
}

static bool measure_tail(struct decision *decision, const struct id *id, int most, int *steps);

/* One customer that leads to another: its own tail is a step shorter than that one's. */
static bool lengthen_tail(struct decision *decision, const struct id *id, int most, int *steps)
{
    int further = 0;
    if (most > 1 && !measure_tail(decision, id, most - 1, &further)) {
        return false;
    }
    *steps = further + 1 > *steps ? further + 1 : *steps;
    return true;
}

/* The steps of the longest row of redirects that ends at a customer, deleted ones included; no more
 * than `most` are counted. */
static bool measure_tail(struct decision *decision, const struct id *id, int most, int *steps)
{
    const struct entity *entity = dk_entity(ENTITY_CUSTOMER);
    struct id after = {{0}};
    struct srv_record *rows;
    int count = REDIRECT_PAGE;
    *steps = 0;
    for (const struct named *at = srv_works_named(decision, id); at != NULL && *steps < most;
         at = srv_named_next(at)) {
        const struct record *record = &at->work->row.record;
        if (record->entity == entity && leads_to(record, id) &&
            !lengthen_tail(decision, &record->id, most, steps)) {
            return false;
        }
    }
    while (count == REDIRECT_PAGE && *steps < most) {
        daybook_status status =
            srv_store_related(decision->store, decision->org->org, entity, CUSTOMER_REDIRECT_TO, id,
                              &after, REDIRECT_PAGE, true, decision->arena, &rows, &count);
        if (status != DAYBOOK_OK) {
            return srv_decision_fail(decision, status);
        }
        for (int i = 0; i < count && *steps < most; i++) {
            after = rows[i].record.id;
            if (srv_work_find(decision, entity, &after) == NULL &&
                !lengthen_tail(decision, &after, most, steps)) {
                return false;
            }
        }
    }
    return true;
}

/* Refuses a redirect that leads nowhere or back to where it began; one that is new also where a row
 * of redirects would be longer than whoever looks for its end goes. */
static bool check_redirect(struct decision *decision, struct work *from, bool is_new,
                           struct work **into)
{
    int steps = 0, behind = 0;
    struct work *next = from;
    while (steps <= LIMIT_REDIRECTS &&
           next->row.record.values[CUSTOMER_REDIRECT_TO].kind == VALUE_ID) {
        next = srv_work_load(decision, from->row.record.entity,
                             &next->row.record.values[CUSTOMER_REDIRECT_TO].id);
        if (next == NULL) {
            return false;
        }
        if (next == from) {
            return refuse(decision, from, "cycle");
        }
        if (!srv_work_is_live(next)) {
            return srv_decide_missing(decision, from, "redirect_to", next);
        }
        steps++;
    }
    int left = LIMIT_REDIRECTS - steps;
    if (is_new && left >= 0 && !measure_tail(decision, &from->row.record.id, left + 1, &behind)) {
        return false;
    }
    *into = next;
    return behind <= left || refuse(decision, from, "steps");
}

/* See the header. */
void srv_redirect_along(struct decision *decision, struct work *from, const struct work *into)
{
    static const int fields[] = {CUSTOMER_OWNER_ID, CUSTOMER_TERRITORY_ID};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        int field = fields[i];
        struct value *value = &from->row.record.values[field];
        if (!dk_value_equal(value, &into->row.record.values[field])) {
            *value = into->row.record.values[field];
            from->row.stamps[field] = srv_merge_stamp(decision, &from->row.stamps[field], true);
            from->changed |= (uint64_t)1 << field;
        }
    }
}

/* See the header. */
bool srv_redirect_join(struct decision *decision)
{
    if (!decision->author->is_server) {
        return true;
    }
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        static const uint64_t moving = (uint64_t)1 << CUSTOMER_REDIRECT_TO |
                                       (uint64_t)1 << CUSTOMER_OWNER_ID |
                                       (uint64_t)1 << CUSTOMER_TERRITORY_ID;
        struct work *into = NULL;
        bool redirected = work->row.record.entity->kind == ENTITY_CUSTOMER && work->found &&
                          (work->changed & moving) != 0 &&
                          work->row.record.values[CUSTOMER_REDIRECT_TO].kind == VALUE_ID;
        bool now = (work->changed >> CUSTOMER_REDIRECT_TO & 1) != 0;
        if (!redirected) {
            continue;
        }
        if (!check_redirect(decision, work, now, &into) ||
            (now && !srv_join(decision, work, into))) {
            return false;
        }
        srv_redirect_along(decision, work, into);
    }
    return true;
}
