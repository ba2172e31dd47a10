/* SPDX-License-Identifier: Apache-2.0
 *
 * The domain rules over the merged records: fields of the server, checks, derived columns, number
 * of children. Fourth step of the decision. Invariant: the same functions as on the device, and
 * only they, say what is right.
 */
#include "sync-server/decide/work.h"

#include <string.h>

/* What readers will see changed, or for the first time. */
static bool is_written(const struct work *work)
{
    return work->effect == EFFECT_NEW || work->effect == EFFECT_SET || work->effect == EFFECT_WHOLE;
}

/* Marks what a rule filled in: stamped as the author's, and for the author's device to learn, but
 * for what it derives itself from the changeset's header. */
static void mark_filled(struct decision *decision, struct work *work, const struct value *before)
{
    const struct record *record = &work->row.record;
    int author = dk_sales_author_field(record->entity);
    for (int i = 0; i < record->entity->field_count; i++) {
        if (dk_value_equal(&before[i], &record->values[i])) {
            continue;
        }
        bool follows = i == FIELD_CREATED_TS || i == FIELD_CREATED_BY || i == FIELD_CREATED_DEV;
        bool known = i == author || (follows && !decision->clamped);
        work->changed |= (uint64_t)1 << i;
        work->row.stamps[i] = srv_merge_stamp(decision, &work->row.stamps[i], true);
        if (!known) {
            work->own |= (uint64_t)1 << i;
        }
    }
}

/* A login names one user. */
static bool check_login(struct decision *decision, const struct work *work)
{
    const struct record *record = &work->row.record;
    const struct value *login = &record->values[USER_LOGIN];
    struct id user;
    bool found = false;
    if (record->entity->kind != ENTITY_USER || login->kind != VALUE_TEXT) {
        return true;
    }
    const char *text = dk_arena_copy(decision->arena, login->text, login->length);
    if (text == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    daybook_status status =
        srv_store_find_login(decision->store, decision->org->org, text, &user, &found);
    if (status != DAYBOOK_OK) {
        return srv_decision_fail(decision, status);
    }
    return !found || dk_id_compare(&user, &record->id) == 0 ||
           srv_decision_reject(decision, REJECT_EXISTS, record->entity, &record->id, "login",
                               "unique");
}

/* Fills and checks one record. */
static bool fill(struct decision *decision, struct work *work)
{
    struct record *record = &work->row.record;
    struct value before[LIMIT_FIELDS];
    struct refusal refusal = {REJECT_NONE, NULL, NULL};
    struct sales_actor actor = decision->actor;
    actor.is_server = actor.is_server || work->about != NULL;
    memcpy(before, record->values, sizeof before);
    daybook_status status = dk_sales_fill(&actor, &decision->reader, work->effect == EFFECT_NEW,
                                          record, decision->arena);
    if (status != DAYBOOK_OK) {
        return srv_decision_fail(decision, status);
    }
    mark_filled(decision, work, before);
    bool made = work->change != NULL && work->change->op == BLOCK_NEW; /* not copied from another */
    if (!dk_sales_check(record, made ? UINT64_MAX : work->changed, &refusal)) {
        return srv_decision_reject(decision, (enum reject_code)refusal.code, record->entity,
                                   &record->id, refusal.field, refusal.rule);
    }
    return check_login(decision, work);
}

/* See the header. */
bool srv_decide_fill(struct decision *decision, const struct work *last)
{
    for (struct work *work = last == NULL ? decision->works : last->next; work != NULL;
         work = work->next) {
        bool concerned = is_written(work) && !work->dropped &&
                         (work->change != NULL || work->about != NULL || work->changed != 0);
        if (concerned && !fill(decision, work)) {
            return false;
        }
    }
    return true;
}

/* ---- derived columns */

/* Marks what has to be derived: each written record, and the document of each child that comes,
 * changes or goes. */
static bool mark_derived(struct decision *decision)
{
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        const struct entity *entity = work->row.record.entity;
        const struct id *parent = srv_work_parent(work);
        if (!is_written(work) && work->effect != EFFECT_DELETE) {
            continue;
        }
        work->derive = work->derive || is_written(work);
        if (parent == NULL) {
            continue;
        }
        struct work *document =
            srv_work_load(decision, dk_entity(entity->fields[entity->parent_field].target), parent);
        if (document == NULL) {
            return false;
        }
        document->derive = document->derive || srv_work_is_live(document);
        document->grows = document->grows || work->effect == EFFECT_NEW || work->revived;
    }
    return true;
}

/* See the header. */
bool srv_decide_mark_derived(struct decision *decision, const struct srv_record *rows, int count)
{
    for (int i = 0; i < count; i++) {
        const struct record *record = &rows[i].record;
        struct work *work = srv_work_load(decision, record->entity, &record->id);
        if (work == NULL || !srv_decide_adopt_children(decision, work)) {
            return false;
        }
    }
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        work->derive = srv_work_is_live(work);
    }
    return true;
}

/* A document has at most LIMIT_CHILDREN rows of each kind. */
static bool check_children(struct decision *decision, const struct work *document)
{
    const struct record *record = &document->row.record;
    const struct entity *child;
    for (int n = 0; (child = dk_entity_child(record->entity->kind, n)) != NULL; n++) {
        struct record *records;
        int count;
        daybook_status status =
            decision->reader.children(decision->reader.context, (int)child->kind, &record->id,
                                      decision->arena, &records, &count);
        if (status != DAYBOOK_OK) {
            return srv_decision_fail(decision, status);
        }
        if (count > LIMIT_CHILDREN) {
            return srv_decision_reject(decision, REJECT_LIMIT, record->entity, &record->id, NULL,
                                       "children");
        }
    }
    return true;
}

/* Computes the derived columns of one record; where they change in one that is not written
 * otherwise, it is stored. */
static bool derive(struct decision *decision, struct work *work)
{
    uint64_t changed = 0;
    daybook_status status =
        dk_sales_derive(&decision->reader, &work->row.record, decision->arena, &changed);
    if (status != DAYBOOK_OK) {
        return srv_decision_fail(decision, status);
    }
    if (changed != 0 && work->effect == EFFECT_NONE) {
        work->effect = EFFECT_STORED;
    }
    return true;
}

/* See the header. */
bool srv_decide_derive(struct decision *decision)
{
    if (!mark_derived(decision)) {
        return false;
    }
    for (const struct work *work = decision->works; work != NULL; work = work->next) {
        if (work->grows && srv_work_is_live(work) && !check_children(decision, work)) {
            return false;
        }
    }
    /* Lines first: documents are computed from them. */
    for (int children = 1; children >= 0; children--) {
        for (struct work *work = decision->works; work != NULL; work = work->next) {
            bool child = work->row.record.entity->parent_field >= 0;
            if (work->derive && child == (children == 1) && !derive(decision, work)) {
                return false;
            }
        }
    }
    return true;
}
