/* SPDX-License-Identifier: Apache-2.0
 *
 * Records as wholes: deletes against concurrent edits, documents with their children (one level, as
 * the entity table has it), tombstones that come back. Part of the third step of the decision.
 * Invariant: an edit that the deleting side had not seen is never lost, in either order of arrival.
 */
#include "sync-server/decide/redirect.h"
#include "sync-server/decide/work.h"

#include <string.h>

#define CHILD_PAGE 500 /* tombstones of children read at once */

/* True where people give the field: what the server says or derives is nobody's edit. */
static bool is_given(const struct field *field)
{
    return field->policy != POLICY_SERVER && field->policy != POLICY_DERIVED;
}

/* See the header. */
struct stamp srv_latest_other(const struct srv_record *row, uint32_t device_no)
{
    struct stamp latest = {0, 0, 0};
    for (int i = 0; i < row->record.entity->field_count; i++) {
        const struct stamp *stamp = &row->stamps[i];
        bool given = is_given(&row->record.entity->fields[i]);
        if (given && stamp->device_no != device_no && stamp->position > latest.position) {
            latest = *stamp;
        }
    }
    for (int i = 0; i < row->key_stamp_count; i++) {
        const struct stamp *stamp = &row->key_stamps[i].stamp;
        if (stamp->device_no != device_no && stamp->position > latest.position) {
            latest = *stamp;
        }
    }
    for (int i = 0; i < row->state_op_count; i++) {
        const struct state_op *op = &row->state_ops[i];
        if (op->device_no != device_no && op->position > latest.position) {
            latest = (struct stamp){.position = op->position, .device_no = op->device_no};
        }
    }
    return latest;
}

/* See the header. */
bool srv_note_delete(struct decision *decision, const struct work *work, uint32_t editor,
                     uint32_t deleter)
{
    static const char kept[] = "\"edit\"", lost[] = "\"delete\"";
    struct value kept_text = {.kind = VALUE_TEXT, .length = sizeof kept - 1, .text = kept};
    struct value lost_text = {.kind = VALUE_TEXT, .length = sizeof lost - 1, .text = lost};
    decision->merged = true;
    return srv_decide_note(decision, work, "*", 1, &kept_text, editor, &lost_text, deleter);
}

/* ---- revival */

/* See the header. */
void srv_revive_row(struct work *work)
{
    work->row.deleted = false;
    work->row.deletion = (struct stamp){0, 0, 0};
    work->revived = true;
    work->own_whole = true;
    work->effect = EFFECT_WHOLE;
}

/* Draws in the children of one entity that were deleted from a position on up to another. */
static bool adopt_deleted(struct decision *decision, const struct work *document,
                          const struct entity *entity, int64_t position, int64_t upto)
{
    struct id after = {{0}};
    struct srv_record *rows;
    int count;
    do {
        daybook_status status = srv_store_related(
            decision->store, decision->org->org, entity, entity->parent_field,
            &document->row.record.id, &after, CHILD_PAGE, true, decision->arena, &rows, &count);
        if (status != DAYBOOK_OK) {
            return srv_decision_fail(decision, status);
        }
        for (int i = 0; i < count; i++) {
            after = rows[i].record.id;
            bool meant = rows[i].deleted && rows[i].deletion.position >= position &&
                         rows[i].deletion.position <= upto;
            if (meant && srv_work_adopt(decision, &rows[i]) == NULL) {
                return false;
            }
        }
    } while (count == CHILD_PAGE);
    return true;
}

/* See the header. */
bool srv_decide_adopt_deleted(struct decision *decision, const struct work *document,
                              int64_t position, int64_t upto)
{
    const struct entity *child;
    for (int n = 0; (child = dk_entity_child(document->row.record.entity->kind, n)) != NULL; n++) {
        if (!adopt_deleted(decision, document, child, position, upto)) {
            return false;
        }
    }
    return true;
}

/* Brings back a child that was deleted together with its document. A delete of the author's own
 * that had not seen the latest edit of it loses against that; any other keeps it away. */
static bool revive_child(struct decision *decision, struct work *child)
{
    struct stamp latest = {0, 0, 0};
    if (child->change != NULL && child->change->op == BLOCK_DELETE) {
        latest = srv_latest_other(&child->row, decision->author->device_no);
        if (latest.position <= srv_work_seen(decision, child->change)) {
            return true;
        }
        child->dropped = true;
    }
    srv_revive_row(child);
    if (!srv_redirect_revived(decision, child)) {
        return false;
    }
    return !child->dropped ||
           srv_note_delete(decision, child, latest.device_no, decision->author->device_no);
}

/* Brings back the children that were deleted together with their document. */
static bool revive_children(struct decision *decision, const struct work *document,
                            int64_t deleted_at)
{
    const struct id *id = &document->row.record.id;
    for (struct work *work = srv_work_children(decision, id); work != NULL;
         work = work->same_parent_slot) {
        const struct id *parent = srv_work_parent(work);
        bool meant = parent != NULL && dk_id_compare(parent, id) == 0 && work->found &&
                     work->row.deleted && work->row.deletion.position == deleted_at;
        if (meant && !revive_child(decision, work)) {
            return false;
        }
    }
    return true;
}

/* Revives a tombstone and what was deleted with it. */
static bool revive(struct decision *decision, struct work *work)
{
    struct stamp deletion = work->row.deletion;
    srv_revive_row(work);
    return srv_redirect_revived(decision, work) &&
           srv_note_delete(decision, work, decision->author->device_no, deletion.device_no) &&
           srv_decide_adopt_deleted(decision, work, deletion.position, deletion.position) &&
           revive_children(decision, work, deletion.position);
}

/* See the header. */
bool srv_decide_revive(struct decision *decision, struct work *work)
{
    const struct stamp *deletion = &work->row.deletion;
    bool had_seen = deletion->device_no == decision->author->device_no ||
                    deletion->position <= srv_work_seen(decision, work->change);
    return had_seen ? srv_decide_missing(decision, work, NULL, work) : revive(decision, work);
}

/* See the header. */
bool srv_decide_revive_parents(struct decision *decision)
{
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        const struct id *parent = srv_work_parent(work);
        if (parent == NULL || work->change == NULL || work->change->op == BLOCK_DELETE ||
            dk_change_is_sight(work->change)) {
            continue;
        }
        const struct entity *entity = work->row.record.entity;
        struct work *document =
            srv_work_load(decision, dk_entity(entity->fields[entity->parent_field].target), parent);
        if (document == NULL) {
            return false;
        }
        bool concurrent = document->found && document->row.deleted &&
                          document->effect == EFFECT_NONE &&
                          document->row.deletion.device_no != decision->author->device_no;
        if (!concurrent) {
            continue;
        }
        /* What the author may not see, nor might then, stays away; the check of references says so.
         */
        bool visible = srv_decide_sees(decision, document->old_bucket);
        if ((!visible && !srv_decide_saw(decision, document, &visible)) ||
            (visible && !revive(decision, document))) {
            return false;
        }
    }
    return true;
}

/* ---- deletes */

/* See the header. */
void srv_delete_row(struct decision *decision, struct work *work)
{
    work->row.deleted = true;
    work->row.deletion = srv_merge_stamp(decision, &(struct stamp){0, 0, 0}, false);
    work->effect = EFFECT_DELETE;
}

/* The author's delete does not happen: the author gets the record back. */
static void drop_delete(struct work *work)
{
    work->dropped = true;
    work->own_whole = true;
    work->effect = EFFECT_SET;
}

/* See the header. */
bool srv_decide_adopt_children(struct decision *decision, const struct work *document)
{
    const struct entity *child;
    for (int n = 0; (child = dk_entity_child(document->row.record.entity->kind, n)) != NULL; n++) {
        struct srv_record *rows;
        int count;
        daybook_status status =
            srv_store_children(decision->store, decision->org->org, child, &document->row.record.id,
                               decision->arena, &rows, &count);
        if (status != DAYBOOK_OK) {
            return srv_decision_fail(decision, status);
        }
        for (int i = 0; i < count; i++) {
            if (srv_work_adopt(decision, &rows[i]) == NULL) {
                return false;
            }
        }
    }
    return true;
}

/* True where the work is a child row of the document that the store has, live or not. */
static bool is_stored(const struct work *work, const struct work *document)
{
    const struct id *parent = srv_work_parent(work);
    const struct entity *entity = work->row.record.entity;
    return parent != NULL && work->found &&
           entity->fields[entity->parent_field].target == (int)document->row.record.entity->kind &&
           dk_id_compare(parent, &document->row.record.id) == 0;
}

/* The same of a live one. */
static bool is_stored_child(const struct work *work, const struct work *document)
{
    return is_stored(work, document) && !work->row.deleted;
}

/* Up to where the author knew a child that the changeset does not name. A device names all children
 * that it shows, so it did not show this one, whatever it had seen of the document: its page may
 * have been on the way. Children of a kind that it does not know count by the document. */
static int64_t seen_unnamed(struct decision *decision, const struct work *document,
                            const struct work *child)
{
    const struct entity *entity = child->row.record.entity;
    bool knows = entity->fields[entity->parent_field].since <= decision->input->changeset.schema;
    return decision->author->is_server || !knows ? srv_work_seen(decision, document->change) : 0;
}

/* The latest edit of the document or a child that the author had not seen; position 0: none. Of a
 * child that is gone by now, too, where the author names it, and so had not seen its delete: what
 * counts does not depend on which delete comes first. Of one that is not named nothing is known. */
static struct stamp unseen_edit(struct decision *decision, const struct work *document)
{
    uint32_t mine = decision->author->device_no;
    int64_t seen = srv_work_seen(decision, document->change);
    struct stamp unseen = {0, 0, 0};
    struct stamp latest = srv_latest_other(&document->row, mine);
    if (latest.position > seen) {
        unseen = latest;
    }
    for (const struct work *work = srv_work_children(decision, &document->row.record.id);
         work != NULL; work = work->same_parent_slot) {
        if (!is_stored(work, document) || (work->row.deleted && work->change == NULL)) {
            continue;
        }
        latest = srv_latest_other(&work->row, mine);
        int64_t bound = work->change == NULL ? seen_unnamed(decision, document, work)
                                             : srv_work_seen(decision, work->change);
        if (latest.position > bound && latest.position > unseen.position) {
            unseen = latest;
        }
    }
    return unseen;
}

/* A child stays with its document; where it was edited itself, that is noted, too. */
static bool spare_child(struct decision *decision, struct work *child)
{
    uint32_t mine = decision->author->device_no;
    struct stamp latest = srv_latest_other(&child->row, mine);
    drop_delete(child);
    return latest.position <= srv_work_seen(decision, child->change) ||
           srv_note_delete(decision, child, latest.device_no, mine);
}

/* Deletes a document with all its children, or, against an unseen edit, nothing of it. */
static bool delete_document(struct decision *decision, struct work *document)
{
    if (!srv_decide_adopt_children(decision, document)) {
        return false;
    }
    struct stamp edit = unseen_edit(decision, document);
    for (struct work *work = srv_work_children(decision, &document->row.record.id); work != NULL;
         work = work->same_parent_slot) {
        if (!is_stored_child(work, document)) {
            continue;
        }
        if (edit.position == 0) {
            srv_delete_row(decision, work);
        } else if (work->change != NULL && work->change->op == BLOCK_DELETE &&
                   !spare_child(decision, work)) {
            return false;
        }
    }
    if (edit.position == 0) {
        srv_delete_row(decision, document);
        return true;
    }
    drop_delete(document);
    return srv_note_delete(decision, document, edit.device_no, decision->author->device_no);
}

/* Deletes a record without children, against its own edits only. */
static bool delete_single(struct decision *decision, struct work *work)
{
    struct stamp latest = srv_latest_other(&work->row, decision->author->device_no);
    if (latest.position <= srv_work_seen(decision, work->change)) {
        srv_delete_row(decision, work);
        return true;
    }
    drop_delete(work);
    return srv_note_delete(decision, work, latest.device_no, decision->author->device_no);
}

/* A child that went with its document is deleted on its own as well: then it stays away when the
 * document comes back, as where its own delete came first. One that had not seen the latest edit of
 * the child loses here too. */
static void delete_alone(struct decision *decision, struct work *child)
{
    const struct entity *entity = child->row.record.entity;
    struct stamp latest = srv_latest_other(&child->row, decision->author->device_no);
    if (latest.position > srv_work_seen(decision, child->change)) {
        return;
    }
    const struct work *document = srv_work_find(
        decision, dk_entity(entity->fields[entity->parent_field].target), srv_work_parent(child));
    if (document != NULL && document->change != NULL && document->change->op == BLOCK_DELETE) {
        return; /* it is deleted with its document once more */
    }
    child->row.deletion = srv_merge_stamp(decision, &child->row.deletion, false);
    child->effect = EFFECT_STORED;
}

/* See the header. */
bool srv_decide_deletes(struct decision *decision)
{
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        if (work->change != NULL && work->change->op == BLOCK_DELETE && work->found &&
            work->row.deleted && work->effect == EFFECT_NONE && srv_work_parent(work) != NULL) {
            delete_alone(decision, work);
        }
    }
    for (int documents = 1; documents >= 0; documents--) {
        for (struct work *work = decision->works; work != NULL; work = work->next) {
            /* A proposal about it that the same changeset accepts may have taken effect. */
            bool untouched = work->effect == EFFECT_NONE || work->effect == EFFECT_SET;
            bool waits = work->change != NULL && work->change->op == BLOCK_DELETE && untouched &&
                         !work->dropped && !work->row.deleted;
            bool document = dk_entity_child(work->row.record.entity->kind, 0) != NULL;
            if (!waits || document != (documents == 1)) {
                continue;
            }
            if (!(document ? delete_document(decision, work) : delete_single(decision, work))) {
                return false;
            }
        }
    }
    return true;
}
