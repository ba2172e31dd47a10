/* SPDX-License-Identifier: Apache-2.0
 *
 * May they: entities and fields of the server, scope of the records touched and named, as it is or
 * as it was when the changeset was made. Second step of the decision, and again after merging for
 * references. Invariant: what is out of scope and what does not exist give the same answer.
 */
#include "sync-server/decide/redirect.h"
#include "sync-server/decide/work.h"

/* See the header. */
bool srv_decide_sees(const struct decision *decision, int64_t bucket)
{
    return decision->author->is_server || srv_scope_has_root(&decision->author->scope, bucket);
}

/* What a changeset that was not applied has to do with a record, as it counts for this one. */
static bool find_claim(struct decision *decision, const struct id *record, struct srv_claim *claim,
                       bool *found)
{
    daybook_status status = srv_store_find_claim(decision->store, decision->org->org, record,
                                                 decision->author->device_no,
                                                 decision->input->changeset.seq, claim, found);
    return status == DAYBOOK_OK || srv_decision_fail(decision, status);
}

/* Whether the creation of a record that is not there was rejected or quarantined: then the verdict
 * says so, with the changeset that was first. */
static bool answer_depends(struct decision *decision, const struct work *work, const char *field,
                           const struct id *missing)
{
    struct srv_claim claim;
    bool found;
    if (!find_claim(decision, missing, &claim, &found)) {
        return true;
    }
    if (found) {
        decision->verdict->cause = claim.changeset;
        (void)srv_decision_reject(decision, REJECT_DEPENDS, work->row.record.entity,
                                  &work->row.record.id, field, NULL);
        if (claim.waits) {
            decision->verdict->kind = VERDICT_QUARANTINED;
        }
    }
    return found;
}

/* See the header. */
bool srv_decide_missing(struct decision *decision, const struct work *work, const char *field,
                        const struct work *named)
{
    const struct record *record = &work->row.record;
    /* Where the record is there, out of scope or deleted, how it came to be says nothing. */
    if (!named->found && answer_depends(decision, work, field, &named->row.record.id)) {
        return false;
    }
    return srv_decision_reject(decision, REJECT_REF_MISSING, record->entity, &record->id, field,
                               NULL);
}

/* What may be written at all, whoever stands in the store. */
static bool check_change(struct decision *decision, const struct change *change)
{
    const struct entity *entity = change->entity;
    bool shared = entity->writer == WRITER_BOTH && change->op == BLOCK_SET;
    if (entity->writer != WRITER_DEVICE && !shared && !decision->author->is_server) {
        return srv_decision_reject(decision, REJECT_READONLY, entity, &change->id, NULL, "entity");
    }
    if (entity->growth == GROWTH_APPEND && change->op != BLOCK_NEW) {
        return srv_decision_reject(decision, REJECT_READONLY, entity, &change->id, NULL, "append");
    }
    for (int i = 0; i < change->value_count; i++) {
        if (change->values[i].field < 0) {
            continue;
        }
        const struct field *field = &entity->fields[change->values[i].field];
        if (field->policy == POLICY_DERIVED) {
            return srv_decision_reject(decision, REJECT_READONLY, entity, &change->id, field->name,
                                       "derived");
        }
        if (field->policy == POLICY_SERVER && !decision->author->is_server) {
            return srv_decision_reject(decision, REJECT_READONLY, entity, &change->id, field->name,
                                       "server");
        }
    }
    return true;
}

/* A record that a quarantined changeset of this instance touches waits behind it. */
static bool check_quarantine(struct decision *decision, const struct change *change)
{
    struct srv_claim claim;
    bool found;
    if (!find_claim(decision, &change->id, &claim, &found)) {
        return false;
    }
    if (!found || !claim.before) {
        return true;
    }
    decision->verdict->cause = claim.changeset;
    (void)srv_decision_reject(decision, REJECT_DEPENDS, change->entity, &change->id, NULL, NULL);
    decision->verdict->kind = VERDICT_QUARANTINED;
    return false;
}

/* Makes a record of the changeset out of a work that the store does not have. Ids that rules derive
 * can be computed by anybody: whoever took that of a quote's next revision first would get what
 * others do to the quote, so devices make none of that kind. */
static bool begin_new(struct decision *decision, struct work *work)
{
    const struct record *record = &work->row.record;
    if (dk_id_is_derived(&record->id) && !decision->author->is_server) {
        return srv_decision_reject(decision, REJECT_READONLY, record->entity, &record->id, NULL,
                                   "id");
    }
    if (work->found) {
        return srv_decision_reject(decision, REJECT_EXISTS, record->entity, &record->id, NULL,
                                   NULL);
    }
    work->effect = EFFECT_NEW;
    return true;
}

/* The ids of the records of one entity that a changeset makes. */
struct new_ids {
    struct id first, last;
    int count;
};

/* Finds the entities of which the store has no record between the new ids of the changeset: one
 * look instead of one per record. The usual case, for ids are made in the order of time. *absent: a
 * mask of 1 << kind. */
static bool find_absent(struct decision *decision, uint64_t *absent)
{
    const struct changeset *changeset = &decision->input->changeset;
    struct new_ids news[ENTITY_COUNT] = {{.count = 0}};
    *absent = 0;
    for (int i = 0; i < changeset->change_count; i++) {
        const struct change *change = &changeset->changes[i];
        struct new_ids *ids = &news[change->entity->kind];
        if (change->op != BLOCK_NEW) {
            continue;
        }
        if (ids->count == 0 || dk_id_compare(&change->id, &ids->first) < 0) {
            ids->first = change->id;
        }
        if (ids->count == 0 || dk_id_compare(&change->id, &ids->last) > 0) {
            ids->last = change->id;
        }
        ids->count++;
    }
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        bool any;
        if (news[kind].count < 2) {
            continue;
        }
        daybook_status status =
            srv_store_any_id(decision->store, decision->org->org, dk_entity(kind),
                             &news[kind].first, &news[kind].last, &any);
        if (status != DAYBOOK_OK) {
            return srv_decision_fail(decision, status);
        }
        *absent |= any ? 0 : (uint64_t)1 << kind;
    }
    return true;
}

/* Draws in one change's record and checks that the author may see it. `absent`: see find_absent. */
static bool attach(struct decision *decision, const struct change *change, uint64_t absent)
{
    if (!check_change(decision, change) ||
        (decision->author->has_quarantine && !check_quarantine(decision, change)) ||
        !srv_redirect_references(decision, &change)) {
        return false;
    }
    bool made = change->op == BLOCK_NEW && (absent >> change->entity->kind & 1) != 0;
    struct work *work = made ? srv_work_make(decision, change->entity, &change->id)
                             : srv_work_load(decision, change->entity, &change->id);
    if (work == NULL) {
        return false;
    }
    if (work->change != NULL) {
        return srv_decision_reject(decision, REJECT_SCHEMA, change->entity, &change->id, NULL,
                                   "twice");
    }
    work->change = change;
    if (change->op == BLOCK_NEW) {
        return begin_new(decision, work);
    }
    bool visible = work->found && srv_decide_sees(decision, work->row.bucket);
    if (!visible && work->found && !srv_decide_saw(decision, work, &visible)) {
        return false;
    }
    if (!visible) {
        if (dk_change_is_sight(change)) {
            work->change = NULL;
            return true;
        }
        return srv_decide_missing(decision, work, NULL, work);
    }
    return srv_decide_change_past(decision, work) &&
           (change->entity->kind != ENTITY_HOLD || srv_decide_may_clear(decision, work)) &&
           srv_redirect_change(decision, work);
}

/* See the header. */
bool srv_decide_attach(struct decision *decision)
{
    const struct changeset *changeset = &decision->input->changeset;
    uint64_t absent;
    if (!find_absent(decision, &absent)) {
        return false;
    }
    for (int i = 0; i < changeset->change_count; i++) {
        if (!attach(decision, &changeset->changes[i], absent)) {
            return false;
        }
    }
    return true;
}

/* See the header. */
bool srv_decide_reference(struct decision *decision, const struct work *work,
                          const struct field *field, const struct value *value)
{
    if (field->type != FIELD_ID || field->target < 0 || value->kind != VALUE_ID) {
        return true;
    }
    const struct id *target = &value->id;
    struct work *named = srv_work_load(decision, dk_entity(field->target), target);
    if (named == NULL) {
        return false;
    }
    bool live = srv_work_is_live(named);
    bool fine =
        live && (named->effect == EFFECT_NEW || srv_decide_sees(decision, named->old_bucket));
    if (live && !fine && !srv_decide_saw(decision, named, &fine)) {
        return false;
    }
    return fine || srv_decide_missing(decision, work, field->name, named);
}

/* See the header. */
bool srv_decide_references(struct decision *decision)
{
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        const struct change *change = work->change;
        if (change == NULL || change->op == BLOCK_DELETE) {
            continue;
        }
        for (int i = 0; i < change->value_count; i++) {
            const struct field_value *value = &change->values[i];
            const struct field *field =
                value->field < 0 ? NULL : &change->entity->fields[value->field];
            if (field != NULL && !srv_decide_reference(decision, work, field, &value->value)) {
                return false;
            }
        }
    }
    return true;
}
