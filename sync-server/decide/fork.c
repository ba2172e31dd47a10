/* SPDX-License-Identifier: Apache-2.0
 *
 * Revisions of quotes that the server makes: what is done to a quote that was sent, by somebody who
 * did not know, becomes the next revision, a draft. Called by freeze.c. Invariants: 1. What was
 * sent stays as its sender had it, whoever came first: an edit that arrived before the sending,
 * unseen by the sender, is parted off. 2. Ids follow from the quote that was sent, so that all who
 * edited it meet in one draft, in any order of arrival. 3. Where two sent it, the first stands, and
 * what the other had sent otherwise is noted.
 */
#include "engine/protocol/convert.h"
#include "engine/sales/machines.h"
#include "sync-server/decide/work.h"

#include <stdio.h>
#include <string.h>

/* The id that a record of the revision has: that of the quote, or of a child of it. */
static bool fork_id(struct decision *decision, const struct id *document, const struct id *child,
                    struct id *id)
{
    uint8_t hash[HASH_SIZE];
    const struct hash_part parts[] = {
        {"revision", 8}, {document->bytes, ID_SIZE}, {child->bytes, ID_SIZE}};
    if (!srv_hash_parts(parts, (int)(sizeof parts / sizeof parts[0]), hash)) {
        return srv_decision_fail(decision, DAYBOOK_NO_MEMORY);
    }
    *id = dk_id_from_hash(hash);
    return true;
}

/* The work of the record that stands for `from` in the revision; NULL: the decision has failed. */
static struct work *twin_of(struct decision *decision, const struct work *document,
                            const struct work *from)
{
    struct id id;
    if (!fork_id(decision, &document->row.record.id, &from->row.record.id, &id)) {
        return NULL;
    }
    return srv_work_load(decision, from->row.record.entity, &id);
}

/* Makes `to` a new record with the content of `from`, who made it and wrote what included, so that
 * it is merged with as `from` would be. */
static bool copy_record(struct decision *decision, const struct work *document,
                        const struct work *from, struct work *to)
{
    struct id id = to->row.record.id;
    const struct entity *entity = from->row.record.entity;
    to->row.record = from->row.record;
    to->row.record.id = id;
    to->row.record.version = 0;
    memcpy(to->row.stamps, from->row.stamps, sizeof to->row.stamps);
    if (from->row.key_stamp_count > 0) {
        size_t size = (size_t)from->row.key_stamp_count * sizeof *from->row.key_stamps;
        to->row.key_stamps = dk_arena_new(decision->arena, size);
        if (to->row.key_stamps == NULL) {
            return srv_decision_out_of_memory(decision);
        }
        memcpy(to->row.key_stamps, from->row.key_stamps, size);
        to->row.key_stamp_count = from->row.key_stamp_count;
    }
    for (int field = 0; field < entity->field_count; field++) {
        if (entity->fields[field].policy == POLICY_DERIVED) {
            to->row.record.values[field] = (struct value){.kind = VALUE_NULL};
        }
    }
    to->about = document;
    to->effect = EFFECT_NEW;
    to->own_whole = true;
    return srv_work_name_fields(decision, to, UINT64_MAX);
}

/* Copies a child into the revision. */
static bool copy_child(struct decision *decision, const struct work *document,
                       const struct work *fork, const struct work *from, struct work *to)
{
    int parent = from->row.record.entity->parent_field;
    if (!copy_record(decision, document, from, to)) {
        return false;
    }
    to->row.record.values[parent] = (struct value){.kind = VALUE_ID, .id = fork->row.record.id};
    srv_work_link_parent(decision, to);
    return true;
}

/* Copies all live children of the document. */
static bool copy_children(struct decision *decision, struct work *document, const struct work *fork)
{
    const struct id *id = &document->row.record.id;
    if (!srv_decide_adopt_children(decision, document)) {
        return false;
    }
    for (struct work *child = srv_work_children(decision, id); child != NULL;
         child = child->same_parent_slot) {
        const struct id *parent = srv_work_parent(child);
        if (dk_id_compare(parent, id) != 0 || !srv_work_is_live(child)) {
            continue;
        }
        struct work *twin = twin_of(decision, document, child);
        if (twin == NULL ||
            (!srv_work_exists(twin) && !copy_child(decision, document, fork, child, twin))) {
            return false;
        }
    }
    return true;
}

/* Notes on what was sent that what a device did to it is in another revision, once for each: so its
 * user sees "saved as revision 2, not sent". */
static bool note_fork(struct decision *decision, const struct work *document,
                      const struct work *fork, uint32_t device)
{
    static const char sent[] = "\"sent\"";
    char text[100], id[ID_TEXT_SIZE];
    struct value kept = {.kind = VALUE_TEXT, .length = sizeof sent - 1, .text = sent};
    dk_id_to_text(&fork->row.record.id, id);
    int length = snprintf(text, sizeof text, "{\"id\":\"%s\",\"rev\":%lld}", id,
                          (long long)fork->row.record.values[QUOTE_REV].integer);
    struct value lost = {.kind = VALUE_TEXT, .length = (uint32_t)length};
    lost.text = dk_arena_copy(decision->arena, text, (size_t)length);
    if (lost.text == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    decision->merged = true;
    return srv_decide_note(decision, document, "revision", 8, &kept,
                           document->row.stamps[QUOTE_STATUS].device_no, &lost, device);
}

/* The revision's header: a draft of the next number that is free. */
static bool begin_revision(struct decision *decision, const struct work *document,
                           struct work *fork)
{
    static const char draft[] = "draft";
    const struct value *origin = &document->row.record.values[QUOTE_REVISION_OF];
    struct value *values = fork->row.record.values;
    if (!copy_record(decision, document, document, fork)) {
        return false;
    }
    values[QUOTE_STATUS] = (struct value){.kind = VALUE_TEXT, .length = sizeof draft - 1};
    values[QUOTE_STATUS].text = draft;
    fork->row.stamps[QUOTE_STATUS] = srv_merge_stamp(decision, &(struct stamp){0, 0, 0}, false);
    values[QUOTE_SENT_HASH] = (struct value){.kind = VALUE_NULL};
    values[QUOTE_REVISION_OF] =
        origin->kind == VALUE_ID ? *origin
                                 : (struct value){.kind = VALUE_ID, .id = document->row.record.id};
    values[QUOTE_REV].integer++;
    return srv_work_name_fields(decision, fork, (uint64_t)1 << QUOTE_REVISION_OF) &&
           srv_decide_revision(decision, fork, &values[QUOTE_REVISION_OF].id,
                               &values[QUOTE_REV].integer);
}

/* The next revision of a quote, as it is or, with all content, made now. NULL: failed. */
static struct work *fork_of(struct decision *decision, struct work *document)
{
    struct work *fork = twin_of(decision, document, document);
    if (fork == NULL || srv_work_exists(fork)) {
        return fork;
    }
    bool made = begin_revision(decision, document, fork) && copy_children(decision, document, fork);
    return made ? fork : NULL;
}

/* ---- edits that come behind the sending */

/* Gives the twin the change that was meant for the record in the document that was sent. */
static bool redirect(struct decision *decision, struct work *twin, const struct change *content)
{
    const struct record *record = &twin->row.record;
    struct change *change = dk_arena_new(decision->arena, sizeof *change);
    if (change == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    if (twin->change != NULL) {
        /* Who changes the revision has seen that there is one. */
        return srv_decision_reject(decision, REJECT_RULE, record->entity, &record->id, NULL,
                                   "frozen");
    }
    *change = *content;
    change->id = record->id;
    twin->change = change;
    twin->own_whole = true;
    return true;
}

/* A child that was added to what was sent is added to the revision. */
static bool redirect_new(struct decision *decision, struct work *work, const struct work *document,
                         const struct work *fork, struct work *twin)
{
    struct change content = *work->change;
    size_t size = ((size_t)content.value_count + 1) * sizeof *content.values;
    if (twin->found) { /* it came before, and compaction has taken away what that left here */
        return srv_decision_reject(decision, REJECT_EXISTS, content.entity, &content.id, NULL,
                                   NULL);
    }
    struct field_value *values = dk_arena_new(decision->arena, size);
    if (values == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    memcpy(values, content.values, (size_t)content.value_count * sizeof *values);
    for (int i = 0; i < content.value_count; i++) {
        if (values[i].field == content.entity->parent_field) {
            values[i].value = (struct value){.kind = VALUE_ID, .id = fork->row.record.id};
        }
    }
    content.values = values;
    twin->effect = EFFECT_NEW;
    srv_refuse_child(decision, work, document);
    return redirect(decision, twin, &content);
}

/* A child that was deleted from what was sent is deleted from the revision; one that is only being
 * copied there does not come to be, unless somebody else has changed it unseen. */
static bool redirect_delete(struct decision *decision, struct work *work, struct work *twin)
{
    struct change content = *work->change;
    int64_t seen = srv_work_seen(decision, work->change);
    struct stamp latest = srv_latest_other(&work->row, decision->author->device_no);
    srv_leave_deleted(work);
    if (work->change != NULL) {
        srv_refuse_delete(work);
    }
    if (twin->found && !twin->row.deleted) {
        return redirect(decision, twin, &content);
    }
    if (twin->effect != EFFECT_NEW) {
        return true;
    }
    if (latest.position > seen) {
        return srv_note_delete(decision, twin, latest.device_no, decision->author->device_no);
    }
    twin->effect = EFFECT_NONE;
    twin->row.deleted = true;
    return true;
}

/* A child whose values were changed. */
static bool redirect_set(struct decision *decision, struct work *work, struct work *document,
                         const struct work *fork, struct work *twin)
{
    struct change content = *work->change;
    if (!srv_split_content(decision, work, &content)) {
        return false;
    }
    bool there = srv_work_exists(twin) || copy_child(decision, document, fork, work, twin);
    twin->row.deleted = twin->found && twin->row.deleted;
    srv_leave_deleted(work);
    return there && redirect(decision, twin, &content);
}

/* See the header. */
bool srv_decide_fork(struct decision *decision, struct work *work, struct work *document)
{
    struct change content = *work->change;
    struct work *fork = fork_of(decision, document);
    if (fork == NULL || !note_fork(decision, document, fork, decision->author->device_no)) {
        return false;
    }
    if (work == document) {
        return srv_split_content(decision, work, &content) && redirect(decision, fork, &content);
    }
    struct work *twin = twin_of(decision, document, work);
    if (twin == NULL) {
        return false;
    }
    switch (work->change->op) {
    case BLOCK_NEW: return redirect_new(decision, work, document, fork, twin);
    case BLOCK_DELETE: return redirect_delete(decision, work, twin);
    default: return redirect_set(decision, work, document, fork, twin);
    }
}

/* ---- edits that came before the sending, unseen */

/* Reads the copy of what was sent: the quote and its children, as changes that make them. */
static bool read_copy(struct decision *decision, const struct work *document,
                      struct changeset *copy)
{
    struct refusal refusal;
    struct change refused;
    const char *problem;
    const struct value *text = &document->sent_copy;
    const struct record *record = &document->row.record;
    char *bytes = dk_arena_copy(decision->arena, text->text, text->length);
    if (bytes == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    bool fine = dk_changeset_decode(bytes, text->length, decision->arena, copy, &refusal, &refused,
                                    &problem) &&
                copy->change_count > 0 && copy->changes[0].entity == record->entity &&
                dk_id_compare(&copy->changes[0].id, &record->id) == 0;
    for (int i = 0; fine && i < copy->change_count; i++) {
        const struct entity *entity = copy->changes[i].entity;
        bool child = entity->parent_field >= 0 &&
                     entity->fields[entity->parent_field].target == (int)record->entity->kind;
        fine = copy->changes[i].op == BLOCK_NEW && (i == 0 || child);
    }
    copy->schema = decision->input->changeset.schema;
    fine = fine && dk_convert(copy, decision->arena);
    if (decision->arena->failed) {
        return srv_decision_out_of_memory(decision);
    }
    return fine || srv_decision_reject(decision, REJECT_SCHEMA, record->entity, &record->id,
                                       "sent_copy", "copy");
}

/* The value of a field in the copy. */
static struct value copied(const struct change *copy, int field)
{
    const struct value *value = dk_change_value(copy, field);
    return value != NULL ? *value : (struct value){.kind = VALUE_NULL};
}

/* The position up to which the sender of a document knew a record of it. */
static int64_t sender_seen(const struct decision *decision, const struct work *document,
                           const struct work *work)
{
    return srv_work_seen(decision, work->change != NULL ? work->change : document->change);
}

/* Whether a field of content is another than in the copy, whose value is *value. What the sender's
 * schema does not know, its copy may lack though the sender had it: of that the stamp tells. */
static bool field_differs(const struct decision *decision, const struct work *document,
                          const struct work *work, int field, struct value *value)
{
    const struct field *definition = &work->row.record.entity->fields[field];
    const struct stamp *stamp = &work->row.stamps[field];
    *value = copied(work->copy, field);
    if (!dk_machine_is_content(definition) ||
        dk_value_equal(value, &work->row.record.values[field])) {
        return false;
    }
    return definition->since <= decision->input->changeset.schema ||
           (stamp->position > sender_seen(decision, document, work) &&
            stamp->device_no != decision->author->device_no);
}

/* The next field of a newer schema that somebody gave unseen by the sender, and that is another in
 * the copy: *now as it stands, *before as the copy has it, VALUE_NULL: not. */
static bool next_extra(const struct decision *decision, const struct work *document,
                       const struct work *work, int *cursor, struct field_value *now,
                       struct value *before)
{
    int64_t seen = sender_seen(decision, document, work);
    while (srv_extra_next_unseen(decision, work, seen, cursor, now)) {
        *before = (struct value){.kind = VALUE_NULL};
        for (int i = 0; i < work->copy->value_count; i++) {
            const struct field_value *copied = &work->copy->values[i];
            if (copied->field < 0 && copied->name_length == now->name_length &&
                memcmp(copied->name, now->name, now->name_length) == 0) {
                *before = copied->value;
            }
        }
        bool gone = now->value.length == 4 && memcmp(now->value.text, "null", 4) == 0;
        if (before->kind == VALUE_NULL ? !gone : !dk_value_equal(before, &now->value)) {
            return true;
        }
    }
    return false;
}

/* Whether the content of a record is another than in its copy. */
static bool differs(const struct decision *decision, const struct work *document,
                    const struct work *work)
{
    struct field_value extra;
    struct value value;
    int cursor = 0;
    for (int field = 0; field < work->row.record.entity->field_count; field++) {
        if (field_differs(decision, document, work, field, &value)) {
            return true;
        }
    }
    return next_extra(decision, document, work, &cursor, &extra, &value);
}

/* Finds the works of the copy, so that their `copy` is what was sent of them. A child that is
 * another document's is as one that does not exist. */
static bool find_copied(struct decision *decision, struct work *document,
                        const struct changeset *copy)
{
    document->copy = &copy->changes[0];
    for (int i = 1; i < copy->change_count; i++) {
        const struct change *change = &copy->changes[i];
        struct work *work = srv_work_load(decision, change->entity, &change->id);
        if (work == NULL) {
            return false;
        }
        const struct id *parent = srv_work_parent(work);
        if (parent == NULL || dk_id_compare(parent, &document->row.record.id) != 0) {
            return srv_decide_missing(decision, document, "sent_copy", work);
        }
        work->copy = change;
    }
    return true;
}

/* The next of the document (behind NULL) and its children, so far as they are works. */
static struct work *next_part(const struct decision *decision, struct work *document,
                              const struct work *after)
{
    const struct id *id = &document->row.record.id;
    struct work *work = after == NULL       ? document
                        : after == document ? srv_work_children(decision, id)
                                            : after->same_parent_slot;
    while (work != NULL && work != document && dk_id_compare(srv_work_parent(work), id) != 0) {
        work = work->same_parent_slot;
    }
    return work;
}

/* Whether the document or a child of it is not as it was sent; *device: who wrote it so. */
static bool is_parted(const struct decision *decision, const struct work *document,
                      const struct work *work, uint32_t *device)
{
    bool live = srv_work_is_live(work);
    *device = live ? srv_latest_other(&work->row, decision->author->device_no).device_no
                   : work->row.deletion.device_no;
    return work->copy == NULL ? live : !live || differs(decision, document, work);
}

/* The record is content again that everybody gets whole: of a map, keys may go that no single
 * change has named. */
static void give_whole(struct work *work)
{
    work->own_whole = true;
    work->effect = work->effect == EFFECT_NEW ? EFFECT_NEW : EFFECT_WHOLE;
}

/* Puts the content of a record back to what was sent. */
static bool put_back(struct decision *decision, const struct work *document, struct work *work)
{
    struct record *record = &work->row.record;
    struct field_value extra;
    struct value value;
    int cursor = 0;
    while (next_extra(decision, document, work, &cursor, &extra, &value)) {
        if (!srv_extra_put_back(decision, work, extra.name, extra.name_length, &value)) {
            return false;
        }
        give_whole(work);
    }
    for (int field = 0; field < record->entity->field_count; field++) {
        const struct field *definition = &record->entity->fields[field];
        if (!field_differs(decision, document, work, field, &value)) {
            continue;
        }
        if (!srv_decide_reference(decision, work, definition, &value) ||
            (definition->type == FIELD_MAP && !srv_stamp_keys(decision, work, field, &value))) {
            return false;
        }
        record->values[field] = value;
        work->row.stamps[field] = srv_merge_stamp(decision, &work->row.stamps[field], true);
        work->changed |= (uint64_t)1 << field;
        give_whole(work);
    }
    return srv_work_name_fields(decision, work, work->changed);
}

/* Puts the document and its children back: those that were not sent go, those that were come back.
 */
static bool put_all_back(struct decision *decision, struct work *document)
{
    for (struct work *work = NULL; (work = next_part(decision, document, work)) != NULL;) {
        bool live = srv_work_is_live(work);
        if (work->copy == NULL && live) {
            srv_delete_row(decision, work);
        } else if (work->copy != NULL) {
            if (!live) {
                srv_revive_row(work);
            }
            if (!put_back(decision, document, work)) {
                return false;
            }
        }
    }
    return true;
}

/* See the header. */
bool srv_decide_part(struct decision *decision, struct work *document)
{
    struct changeset copy;
    uint32_t device;
    bool parted = false;
    if (document->sent_copy.kind != VALUE_TEXT || document->was_frozen) {
        return true;
    }
    if (!read_copy(decision, document, &copy) || !srv_decide_adopt_children(decision, document) ||
        !find_copied(decision, document, &copy)) {
        return false;
    }
    for (struct work *work = NULL; (work = next_part(decision, document, work)) != NULL;) {
        parted = parted || is_parted(decision, document, work, &device);
    }
    if (!parted) {
        return true;
    }
    struct work *fork = fork_of(decision, document);
    if (fork == NULL || fork->found) {
        return fork != NULL;
    }
    for (struct work *work = NULL; (work = next_part(decision, document, work)) != NULL;) {
        if (is_parted(decision, document, work, &device) &&
            !note_fork(decision, document, fork, device)) {
            return false;
        }
    }
    return put_all_back(decision, document);
}

/* ---- sent by two */

/* The values of the copy that are other than what stands; a record that is not there has none. */
static int other_values(const struct decision *decision, const struct work *document,
                        const struct work *work, struct field_value values[LIMIT_FIELDS])
{
    static const char null_text[] = "null";
    const struct entity *entity = work->row.record.entity;
    bool live = srv_work_is_live(work);
    struct value value;
    int count = 0, cursor = 0;
    for (int field = 0; field < entity->field_count; field++) {
        bool other = field_differs(decision, document, work, field, &value);
        if (!live) {
            other = dk_machine_is_content(&entity->fields[field]) && value.kind != VALUE_NULL;
        }
        if (other) {
            values[count++] = (struct field_value){.field = field, .value = value};
        }
    }
    while (live && count < LIMIT_FIELDS &&
           next_extra(decision, document, work, &cursor, &values[count], &value)) {
        if (value.kind == VALUE_NULL) {
            value = (struct value){
                .kind = VALUE_TEXT, .length = sizeof null_text - 1, .text = null_text};
        }
        values[count++].value = value;
    }
    return count;
}

/* See the header. */
bool srv_decide_sent_before(struct decision *decision, struct work *document)
{
    struct changeset copy;
    struct field_value values[LIMIT_FIELDS];
    uint32_t mine = decision->author->device_no;
    if (!read_copy(decision, document, &copy) || !srv_decide_adopt_children(decision, document) ||
        !find_copied(decision, document, &copy)) {
        return false;
    }
    for (int i = 0; i < copy.change_count; i++) {
        const struct change *change = &copy.changes[i];
        struct work *work = srv_work_find(decision, change->entity, &change->id);
        int count = other_values(decision, document, work, values);
        if ((count > 0 || !srv_work_is_live(work)) &&
            !srv_note_standing(decision, work, document, values, count, mine)) {
            return false;
        }
    }
    for (struct work *work = NULL; (work = next_part(decision, document, work)) != NULL;) {
        if (work->copy == NULL && srv_work_is_live(work) &&
            !srv_note_standing(decision, work, document, NULL, 0, mine)) {
            return false;
        }
    }
    return true;
}
