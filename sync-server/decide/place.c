/* SPDX-License-Identifier: Apache-2.0
 *
 * The bucket of each record, from its root and its class. Fifth step of the decision.
 * Invariants: 1. A record and all that hangs from it by root fields have one root, and below a
 * document also one class, tombstones too. 2. A document that somebody works on is open. 3. A
 * record that its maker could not see is not made. 4. Nobody draws a record that has left their
 * scope to another place.
 */
#include "sync-server/decide/redirect.h"
#include "sync-server/decide/work.h"
#include "sync-server/scope/class.h"

#include <assert.h>
#include <string.h>

#define DEPENDENT_PAGE 500

/* See the header. */
bool srv_decide_bucket(struct decision *decision, const char *label, int64_t *bucket)
{
    daybook_status status = srv_store_bucket(decision->store, decision->org->org, label, bucket);
    return status == DAYBOOK_OK || srv_decision_fail(decision, status);
}

/* The field that gives the bucket of a record with a territory of its own. */
static int territory_field(const struct entity *entity)
{
    static const char name[] = "territory_id";
    int field = dk_entity_field(entity, name, sizeof name - 1, -1);
    assert(field >= 0);
    return field;
}

/* The bucket of the territory named by an ID field. */
static bool place_by_territory(struct decision *decision, struct work *work,
                               const struct value *territory)
{
    char label[SCOPE_LABEL_SIZE];
    srv_scope_territory_label(territory->kind == VALUE_ID ? &territory->id : NULL, label);
    return srv_decide_bucket(decision, label, &work->row.bucket);
}

/* The bucket of the user named by an ID field, which is required. */
static bool place_by_user(struct decision *decision, struct work *work, const struct value *user)
{
    char label[SCOPE_LABEL_SIZE];
    assert(user->kind == VALUE_ID);
    srv_scope_user_label(&user->id, label);
    return srv_decide_bucket(decision, label, &work->row.bucket);
}

/* Moves a document that has its root's bucket into its class. */
static bool put_in_class(struct decision *decision, struct work *work)
{
    enum srv_class class = srv_bucket_class(work->old_bucket == 0 ? 1 : work->old_bucket);
    if (work->touched && !work->row.deleted) {
        class = decision->input->class;
    }
    daybook_status status = srv_store_bucket_in(decision->store, decision->org->org,
                                                work->row.bucket, class, &work->row.bucket);
    return status == DAYBOOK_OK || srv_decision_fail(decision, status);
}

static bool place(struct decision *decision, struct work *work, int depth);

/* The entity of the record that the root field names: of one kind always, or told by the record.
 * NULL: there is no such entity. */
static const struct entity *root_entity(const struct record *record)
{
    static const char name[] = "entity_name";
    const struct entity *entity = record->entity;
    int target = entity->fields[entity->root_field].target;
    if (target >= 0) {
        return dk_entity(target);
    }
    int field = dk_entity_field(entity, name, sizeof name - 1, entity->root_field - 2);
    assert(field >= 0);
    const struct value *value = &record->values[field];
    return value->kind == VALUE_TEXT ? dk_entity_by_name(value->text, value->length) : NULL;
}

/* What is put below a record that has moved since was put where that was then. Its author may go on
 * with a new one up to the moment at which the other left. */
static bool below_past(struct decision *decision, struct work *work, const struct work *root)
{
    const struct work *seen = root->past_as == NULL ? root : root->past_as;
    work->past = true;
    if (work->found) {
        return true;
    }
    daybook_status status =
        srv_store_inherit_placements(decision->store, decision->org->org, &seen->row.record.id,
                                     &work->row.record.id, decision->true_ms);
    return status == DAYBOOK_OK || srv_decision_fail(decision, status);
}

/* The bucket of the record that the root field names. */
static bool place_by_root(struct decision *decision, struct work *work, int depth)
{
    const struct record *record = &work->row.record;
    int field = record->entity->root_field;
    struct work *root = (struct work *)work->about;
    if (root == NULL && record->values[field].kind == VALUE_ID) {
        const struct entity *target = root_entity(record);
        const struct id *id = &record->values[field].id;
        bool same = work->found && (work->changed >> field & 1) == 0;
        if (target == NULL) {
            return srv_decision_reject(decision, REJECT_SCHEMA, record->entity, &record->id,
                                       "entity_name", "entity");
        }
        root = same ? srv_work_find(decision, target, id) : srv_work_load(decision, target, id);
        bool gone = root != NULL && !srv_work_exists(root);
        bool is_part = field == record->entity->parent_field; /* which goes with its document */
        if (root == NULL || (same && gone && !is_part)) {
            /* An unchanged root that this changeset does not concern, or a forgotten one: nothing
             * moves. */
            return same;
        }
        if (gone) {
            return srv_decide_missing(decision, work, record->entity->fields[field].name, root);
        }
    } else if (root == NULL) {
        return place_by_territory(decision, work, &(struct value){.kind = VALUE_NULL});
    }
    if (!place(decision, root, depth + 1)) {
        return false;
    }
    work->row.bucket = root->row.bucket;
    return !root->past || below_past(decision, work, root);
}

/* Computes row.bucket once. */
static bool place(struct decision *decision, struct work *work, int depth)
{
    const struct entity *entity = work->row.record.entity;
    bool placed = true;
    if (work->placed) {
        return true;
    }
    if (depth > DECIDE_ROOTS_MAX || !srv_work_exists(work)) {
        return srv_decision_fail(decision, DAYBOOK_INTERNAL); /* references were checked before */
    }
    switch (entity->root) {
    case ROOT_ORGANISATION:
        placed = srv_decide_bucket(decision, SCOPE_ORGANISATION, &work->row.bucket);
        break;
    case ROOT_TERRITORY:
        placed =
            place_by_territory(decision, work, &work->row.record.values[territory_field(entity)]);
        break;
    case ROOT_USER:
        placed = place_by_user(decision, work, &work->row.record.values[entity->root_field]);
        break;
    case ROOT_RECORD: placed = place_by_root(decision, work, depth); break;
    }
    if (placed && srv_class_applies(entity)) {
        placed = put_in_class(decision, work);
    }
    work->placed = placed;
    return placed;
}

static bool relocate(struct decision *decision, struct work *work, int depth);

/* All records of one entity that hang by this field from a record that has moved. */
static bool relocate_entity(struct decision *decision, const struct work *root,
                            const struct entity *entity, int field, int depth)
{
    struct id after = {{0}};
    struct srv_record *rows;
    int count;
    do {
        daybook_status status = srv_store_related(
            decision->store, decision->org->org, entity, field, &root->row.record.id, &after,
            DEPENDENT_PAGE, true, decision->arena, &rows, &count);
        if (status != DAYBOOK_OK) {
            return srv_decision_fail(decision, status);
        }
        for (int i = 0; i < count; i++) {
            after = rows[i].record.id;
            bool redirect = field != entity->root_field;
            if (!redirect && root_entity(&rows[i].record) != root->row.record.entity) {
                continue; /* of another entity, with the same id */
            }
            struct work *work = srv_work_adopt(decision, &rows[i]);
            if (work != NULL && redirect) {
                srv_redirect_along(decision, work, root);
            }
            /* A row of redirects is as long as customers were merged one after the other. */
            if (work == NULL || !relocate(decision, work, redirect ? depth : depth + 1)) {
                return false;
            }
        }
    } while (count == DEPENDENT_PAGE);
    return true;
}

/* Places a record; where it has moved, its dependents follow and readers get it whole. */
static bool relocate(struct decision *decision, struct work *work, int depth)
{
    if (work->relocated) {
        return true;
    }
    work->relocated = true;
    if (!place(decision, work, depth)) {
        return false;
    }
    if (!work->found || work->row.bucket == work->old_bucket) {
        return true;
    }
    if (!srv_decide_keep_placement(decision, work)) {
        return false;
    }
    if (work->row.deleted && work->effect == EFFECT_NONE) {
        work->effect = EFFECT_STORED;
    } else if (!work->row.deleted) {
        work->effect = EFFECT_WHOLE;
        work->own_whole = true;
    }
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        const struct entity *entity = dk_entity(kind);
        int target = entity->root == ROOT_RECORD ? entity->fields[entity->root_field].target : -1;
        bool depends = entity->root == ROOT_RECORD &&
                       (target < 0 || target == (int)work->row.record.entity->kind);
        if (depends && !relocate_entity(decision, work, entity, entity->root_field, depth)) {
            return false;
        }
    }
    return work->row.record.entity->kind != ENTITY_CUSTOMER ||
           relocate_entity(decision, work, work->row.record.entity, CUSTOMER_REDIRECT_TO, depth);
}

/* True where readers are told of the work. */
static bool is_written(const struct work *work)
{
    return work->effect != EFFECT_NONE && work->effect != EFFECT_STORED;
}

/* Marks the document that a written record is, or hangs from. What is not open is looked for; of
 * what is, the document is marked where it is at hand, for it stays where it is. */
static bool touch_document(struct decision *decision, struct work *work)
{
    bool closed = work->found && srv_bucket_class(work->old_bucket) != CLASS_OPEN;
    struct work *at = work;
    for (int depth = 0; depth < DECIDE_ROOTS_MAX && at != NULL; depth++) {
        const struct record *record = &at->row.record;
        const struct entity *target =
            record->entity->root == ROOT_RECORD ? root_entity(record) : NULL;
        if (srv_class_applies(record->entity)) {
            at->touched = srv_work_exists(at);
            return true;
        }
        if (target == NULL || record->values[record->entity->root_field].kind != VALUE_ID) {
            return true;
        }
        const struct id *id = &record->values[record->entity->root_field].id;
        at = closed ? srv_work_load(decision, target, id) : srv_work_find(decision, target, id);
        if (at == NULL && closed) {
            return false;
        }
    }
    return true;
}

/* The documents that the changeset is about. What the server notes beside it is about the same. */
static bool touch_documents(struct decision *decision)
{
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        if (is_written(work) && work->about == NULL && !touch_document(decision, work)) {
            return false;
        }
    }
    return true;
}

/* True where the changeset would take a record that its author does not see any more to another
 * root: into their present scope, it would show them what the record is now. What they saw of it in
 * the past lets them edit it where it is. */
static bool draws_away(const struct decision *decision, const struct work *work)
{
    return work->past && work->found &&
           srv_bucket_root(work->row.bucket) != srv_bucket_root(work->old_bucket) &&
           !srv_decide_sees(decision, work->old_bucket);
}

/* See the header. */
bool srv_decide_place(struct decision *decision)
{
    if (!touch_documents(decision)) {
        return false;
    }
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        const struct record *record = &work->row.record;
        if (!is_written(work) && !work->touched) {
            continue;
        }
        if (!relocate(decision, work, 0)) {
            return false;
        }
        if (draws_away(decision, work)) {
            return srv_decide_missing(decision, work, NULL, work);
        }
        bool made = work->change != NULL && work->row.bucket != work->old_bucket;
        bool sees = !made || work->past || srv_decide_sees(decision, work->row.bucket);
        if (!sees && !srv_decide_saw_bucket(decision, work, &sees)) {
            return false;
        }
        if (!sees) {
            return srv_decision_reject(decision, REJECT_SCOPE, record->entity, &record->id, NULL,
                                       NULL);
        }
    }
    return true;
}
