/* SPDX-License-Identifier: Apache-2.0
 *
 * Documents whose content stands: a quote that was sent, an order that was confirmed or cancelled.
 * Between the second and the third step of the decision, what is done to one by somebody who had
 * not seen that is led elsewhere before it is merged. Invariants: content that stands does not
 * change, but for somebody's whose right it is; nothing that was given is lost; what had seen the
 * state is refused.
 */
#include "engine/base/text.h"
#include "engine/sales/machines.h"
#include "sync-server/decide/work.h"

#include <string.h>

/* The document that a change touches, and how that stands. */
struct frozen {
    struct work *document;
    enum machine_freeze way;
    bool seen; /* so the author had seen it */
};

/* The document that a work is or belongs to. *document NULL: none that could stand. */
static bool find_document(struct decision *decision, struct work *work, struct work **document)
{
    const struct entity *entity = work->row.record.entity;
    *document = NULL;
    if (dk_machine_freezes(entity)) {
        *document = work;
        return true;
    }
    if (entity->parent_field < 0 ||
        !dk_machine_freezes(dk_entity(entity->fields[entity->parent_field].target))) {
        return true;
    }
    const struct value *parent = &work->row.record.values[entity->parent_field];
    for (int i = 0; work->change->op == BLOCK_NEW && i < work->change->value_count; i++) {
        if (work->change->values[i].field == entity->parent_field) {
            parent = &work->change->values[i].value;
        }
    }
    if (parent->kind != VALUE_ID) {
        return true;
    }
    *document = srv_work_load(decision, dk_entity(entity->fields[entity->parent_field].target),
                              &parent->id);
    return *document != NULL;
}

/* How the document of a change stands, now and as the author saw it. The position that the author
 * knew of a document is that of its own change, else, as far as it tells, that of the child's. One
 * that the author may not see is passed over: the check of references speaks of it. */
static bool look(struct decision *decision, struct work *work, struct frozen *frozen)
{
    struct state_op ops[STATE_OPS_MAX + 1];
    frozen->way = FREEZE_NOT;
    if (!find_document(decision, work, &frozen->document)) {
        return false;
    }
    struct work *document = frozen->document;
    if (document == NULL || !document->found || document->row.deleted) {
        return true;
    }
    bool visible = srv_decide_sees(decision, document->old_bucket);
    if (!visible && !srv_decide_saw(decision, document, &visible)) {
        return false;
    }
    if (!visible) {
        return true;
    }
    const struct entity *entity = document->row.record.entity;
    const struct change *change = document->change != NULL && document->change->op != BLOCK_NEW
                                      ? document->change
                                      : work->change;
    int count = srv_state_ops(&document->row, dk_machine_field(entity), ops);
    int64_t position = srv_work_seen(decision, change);
    if (document->past && document->past_seen < position) {
        position = document->past_seen;
    }
    struct state_view seen = dk_state_seen(ops, count, position, decision->author->device_no);
    frozen->way = dk_machine_freeze(entity, dk_state_value(ops, count).rank, decision->roles);
    frozen->seen = dk_machine_freeze(entity, seen.rank, decision->roles) != FREEZE_NOT;
    return true;
}

/* Whether a value of a change is content that would become another. */
static bool is_edit(const struct work *work, const struct field_value *value)
{
    const struct record *record = &work->row.record;
    return value->field >= 0 && dk_machine_is_content(&record->entity->fields[value->field]) &&
           !dk_value_equal(&value->value, &record->values[value->field]);
}

/* Whether a change gives a field of a newer schema another value. */
static bool edits_unknown(const struct work *work)
{
    const struct change *change = work->change;
    for (int i = 0; change->op == BLOCK_SET && i < change->value_count; i++) {
        const struct field_value *value = &change->values[i];
        const struct value *sent = &value->value;
        if (value->field >= 0) {
            continue;
        }
        struct value stored =
            srv_extra_get(&work->row.record.extra, value->name, value->name_length);
        bool null = sent->length == 4 && memcmp(sent->text, "null", 4) == 0;
        if (null ? stored.kind != VALUE_NULL : !dk_value_equal(&stored, sent)) {
            return true;
        }
    }
    return false;
}

/* The first edit of content in a change; NULL: there is none. A child that comes or goes is one by
 * itself. */
static const char *first_edit(const struct work *work)
{
    const struct change *change = work->change;
    if (change->op != BLOCK_SET) {
        return "";
    }
    for (int i = 0; i < change->value_count; i++) {
        if (is_edit(work, &change->values[i])) {
            return work->row.record.entity->fields[change->values[i].field].name;
        }
    }
    return NULL;
}

/* See the header. Of a map the author gets the whole: keys that it sent may not be there. */
bool srv_split_content(struct decision *decision, struct work *work, struct change *content)
{
    const struct change *change = work->change;
    const struct entity *entity = change->entity;
    struct change *rest = dk_arena_new(decision->arena, sizeof *rest);
    size_t size = ((size_t)change->value_count + 1) * sizeof *change->values;
    struct field_value *left = dk_arena_new(decision->arena, size);
    content->values = dk_arena_new(decision->arena, size);
    if (rest == NULL || left == NULL || content->values == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    *rest = *change;
    rest->values = left;
    rest->value_count = 0;
    content->value_count = 0;
    for (int i = 0; i < change->value_count; i++) {
        int field = change->values[i].field;
        if (field >= 0 && dk_machine_is_content(&entity->fields[field])) {
            content->values[content->value_count++] = change->values[i];
            work->own |= (uint64_t)1 << field;
            work->own_whole = work->own_whole || entity->fields[field].type == FIELD_MAP;
        } else {
            rest->values[rest->value_count++] = change->values[i];
        }
    }
    work->change = rest;
    return true;
}

/* ---- telling */

/* The name of the document's state, as JSON. */
static bool state_text(struct decision *decision, const struct work *document, struct value *text)
{
    const struct record *record = &document->row.record;
    int field = dk_machine_field(record->entity);
    return srv_value_text(decision, &record->entity->fields[field], &record->values[field], text);
}

/* {"note":"…"}: some values of a record, as JSON; those of newer schemas as they came. */
static bool values_text(struct decision *decision, const struct entity *entity,
                        const struct field_value *values, int count, struct value *text)
{
    struct buffer *out = &decision->decide->tail;
    dk_buffer_reset(out);
    dk_buffer_append_char(out, '{');
    for (int i = 0; i < count; i++) {
        const struct field *field = values[i].field < 0 ? NULL : &entity->fields[values[i].field];
        const char *name = field == NULL ? values[i].name : field->name;
        dk_buffer_append_text(out, out->length > 1 ? "," : "");
        dk_json_write_string(out, name, field == NULL ? values[i].name_length : strlen(name));
        dk_buffer_append_char(out, ':');
        if (field == NULL) {
            dk_buffer_append(out, values[i].value.text, values[i].value.length);
        } else {
            dk_value_write_app(out, field, &values[i].value);
        }
    }
    dk_buffer_append_char(out, '}');
    if (out->status != DAYBOOK_OK) {
        return srv_decision_fail(decision, out->status);
    }
    *text = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)out->length};
    text->text = dk_arena_copy(decision->arena, out->bytes, out->length);
    return text->text != NULL || srv_decision_out_of_memory(decision);
}

/* See the header. On the record ("*"), or, where it is a child that is not there, on the document
 * ("order_line.<its id>"). */
bool srv_note_standing(struct decision *decision, const struct work *work,
                       const struct work *document, const struct field_value *values, int count,
                       uint32_t lost_device)
{
    struct value kept, lost;
    char name[LIMIT_LABEL_BYTES] = "*", id[ID_TEXT_SIZE];
    const struct entity *entity = work->row.record.entity;
    bool gone = !srv_work_is_live(work) || (work->change != NULL && work->change->op == BLOCK_NEW);
    int field = dk_machine_field(document->row.record.entity);
    if (gone) {
        dk_id_to_text(&work->row.record.id, id);
        (void)dk_text_format(name, sizeof name, "%s.%s", entity->name, id);
    }
    decision->merged = true;
    return state_text(decision, document, &kept) &&
           values_text(decision, entity, values, count, &lost) &&
           srv_decide_note(decision, gone ? document : work, name, strlen(name), &kept,
                           document->row.stamps[field].device_no, &lost, lost_device);
}

/* ---- what is led elsewhere */

/* See the header. A tombstone, so that later changes of the author's to the child find where it
 * belonged. */
void srv_refuse_child(struct decision *decision, struct work *work, const struct work *document)
{
    const struct change *change = work->change;
    for (int i = 0; i < change->value_count; i++) {
        if (change->values[i].field >= 0 &&
            change->entity->fields[change->values[i].field].type != FIELD_MAP) {
            work->row.record.values[change->values[i].field] = change->values[i].value;
        }
    }
    work->change = NULL;
    srv_delete_row(decision, work);
    work->row.bucket = work->old_bucket = document->row.bucket;
    work->placed = work->relocated = true;
}

/* See the header. */
void srv_refuse_delete(struct work *work)
{
    work->dropped = true;
    work->own_whole = true;
    work->effect = EFFECT_SET;
}

/* See the header. The author's device, which would take its change for a revival, is told once
 * more. */
void srv_leave_deleted(struct work *work)
{
    if (work->row.deleted) {
        work->change = NULL;
        work->own = 0;
        work->effect = EFFECT_DELETE;
    }
}

/* LOSES, and the child is a tombstone already, the author's own or somebody else's: it stays one,
 * for the author, too. */
static bool lose_gone(struct decision *decision, struct work *work, const struct work *document)
{
    const struct change *change = work->change;
    if (change->op == BLOCK_SET &&
        !srv_note_standing(decision, work, document, change->values, change->value_count,
                           decision->author->device_no)) {
        return false;
    }
    srv_leave_deleted(work);
    return true;
}

/* LOSES: each value of the change to the conflict log. */
static bool lose(struct decision *decision, struct work *work, const struct work *document)
{
    struct change content = *work->change;
    if (work->row.deleted) {
        return lose_gone(decision, work, document);
    }
    if (work->change->op == BLOCK_NEW) {
        bool noted = srv_note_standing(decision, work, document, work->change->values,
                                       work->change->value_count, decision->author->device_no);
        srv_refuse_child(decision, work, document);
        return noted;
    }
    if (work->change->op == BLOCK_DELETE) {
        srv_refuse_delete(work);
        return srv_note_standing(decision, work, document, NULL, 0, decision->author->device_no);
    }
    return srv_split_content(decision, work, &content) &&
           srv_note_standing(decision, work, document, content.values, content.value_count,
                             decision->author->device_no);
}

/* TAKES: it is merged as any change, and noted as having come too late. */
static bool note_taken(struct decision *decision, struct work *work, const struct work *document)
{
    const struct change *change = work->change;
    return srv_note_standing(decision, work, document, change->values, change->value_count,
                             decision->author->device_no);
}

/* Takes the copy of what was sent off a change: it is looked at once and kept nowhere. */
static bool take_copy(struct decision *decision, struct work *work)
{
    const struct change *change = work->change;
    for (int i = 0; i < change->value_count; i++) {
        int field = change->values[i].field;
        if (field < 0 || (change->entity->fields[field].flags & FIELD_PASSING) == 0) {
            continue;
        }
        struct change *rest = dk_arena_new(decision->arena, sizeof *rest);
        size_t size = (size_t)change->value_count * sizeof *rest->values;
        struct field_value *values = dk_arena_new(decision->arena, size);
        if (rest == NULL || values == NULL) {
            return srv_decision_out_of_memory(decision);
        }
        memcpy(values, change->values, size);
        values[i] = values[change->value_count - 1];
        *rest = *change;
        rest->values = values;
        rest->value_count--;
        work->sent_copy = change->values[i].value;
        work->own |= (uint64_t)1 << field;
        work->change = rest;
        return true;
    }
    return true;
}

/* One change, whose document may stand. */
static bool freeze(struct decision *decision, struct work *work)
{
    struct frozen frozen;
    if (!look(decision, work, &frozen) || (work == frozen.document && !take_copy(decision, work))) {
        return false;
    }
    work->sent_before = work->sent_copy.kind == VALUE_TEXT && frozen.way != FREEZE_NOT;
    if ((frozen.way == FREEZE_FORKS || frozen.way == FREEZE_LOSES) && edits_unknown(work)) {
        /* Whether it is content, the newer schema knows: it waits for that. */
        return srv_decision_reject(decision, REJECT_SCHEMA, work->row.record.entity,
                                   &work->row.record.id, NULL, "newer");
    }
    const char *field = frozen.way == FREEZE_NOT ? NULL : first_edit(work);
    if (field == NULL) {
        return true;
    }
    if (frozen.seen) {
        const struct record *record = &work->row.record;
        return srv_decision_reject(decision, REJECT_RULE, record->entity, &record->id,
                                   field[0] == '\0' ? NULL : field, "frozen");
    }
    const struct change *whole = frozen.document->change;
    if (work->change->op == BLOCK_DELETE && whole != NULL && whole->op == BLOCK_DELETE) {
        return true; /* the step that brought the state is an edit that it had not seen */
    }
    switch (frozen.way) {
    case FREEZE_FORKS: return srv_decide_fork(decision, work, frozen.document);
    case FREEZE_LOSES: return lose(decision, work, frozen.document);
    case FREEZE_TAKES: return note_taken(decision, work, frozen.document);
    case FREEZE_NOT: break;
    }
    return true;
}

/* See the header. A change that was led to a fork is looked at in its turn: the fork may have been
 * sent, too. */
bool srv_decide_freeze(struct decision *decision)
{
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        if (work->change != NULL && !decision->input->converts && !freeze(decision, work)) {
            return false;
        }
    }
    return true;
}

/* ---- edits that came first, unseen by who brought the state */

/* The content of a record that another instance wrote above a position, as values; whatever is of
 * a newer schema counts as content. */
static int unseen_values(const struct decision *decision, const struct work *work, int64_t seen,
                         struct field_value *values, uint32_t *device)
{
    const struct entity *entity = work->row.record.entity;
    int count = 0;
    for (int field = 0; field < entity->field_count; field++) {
        const struct stamp *stamp = &work->row.stamps[field];
        if (dk_machine_is_content(&entity->fields[field]) && stamp->position > seen &&
            stamp->position < decision->position &&
            stamp->device_no != decision->author->device_no) {
            values[count++] =
                (struct field_value){.field = field, .value = work->row.record.values[field]};
            *device = stamp->device_no;
        }
    }
    int cursor = 0;
    while (count < LIMIT_FIELDS &&
           srv_extra_next_unseen(decision, work, seen, &cursor, &values[count])) {
        *device = work->row.key_stamps[cursor - 1].stamp.device_no;
        count++;
    }
    return count;
}

/* Notes what one record of the document got that the author of the state had not seen; *any: there
 * was something. The author had seen of a child what its own change says, and of one that is not
 * named what could be seen of the document. */
static bool note_unseen_of(struct decision *decision, struct work *work,
                           const struct work *document, bool *any)
{
    struct field_value values[LIMIT_FIELDS];
    const struct change *named = work->change != NULL ? work->change : document->change;
    int64_t seen = srv_work_seen(decision, named);
    const struct stamp *deletion = &work->row.deletion;
    uint32_t device = deletion->device_no;
    bool live = srv_work_is_live(work);
    int count = live ? unseen_values(decision, work, seen, values, &device) : 0;
    int parent = work->row.record.entity->parent_field;
    bool gone = !live && work->found && deletion->position > seen &&
                deletion->position < decision->position &&
                deletion->device_no != decision->author->device_no &&
                work->row.stamps[parent].position <= seen; /* else it was never seen */
    if (count == 0 && !gone) {
        return true;
    }
    *any = true;
    return srv_note_standing(decision, work, document, values, count, device);
}

/* Notes what the document and its children got that the author of the state had not seen, and which
 * children it has lost. */
static bool note_unseen(struct decision *decision, struct work *document, enum machine_freeze way)
{
    int64_t seen = srv_work_seen(decision, document->change);
    bool any = false;
    if (!srv_decide_adopt_children(decision, document) ||
        !srv_decide_adopt_deleted(decision, document, seen + 1, decision->position - 1) ||
        !note_unseen_of(decision, document, document, &any)) {
        return false;
    }
    for (struct work *work = srv_work_children(decision, &document->row.record.id); work != NULL;
         work = work->same_parent_slot) {
        if (dk_id_compare(srv_work_parent(work), &document->row.record.id) == 0 &&
            !note_unseen_of(decision, work, document, &any)) {
            return false;
        }
    }
    static const struct sales_hold hold = {"REV_STALE", "back_office", NULL, NULL};
    return !any || way != FREEZE_LOSES || srv_decide_hold(decision, document, &hold);
}

/* See the header. */
bool srv_decide_frozen(struct decision *decision)
{
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        if (work->sent_before && !srv_decide_sent_before(decision, work)) {
            return false;
        }
        bool stepped = work->change != NULL && work->change->op == BLOCK_SET && work->found &&
                       work->stepped && dk_machine_freezes(work->row.record.entity);
        if (!stepped || !srv_work_is_live(work)) {
            continue;
        }
        enum machine_freeze way = dk_machine_freeze(
            work->row.record.entity, dk_machine_state(&work->row.record), MACHINE_NONE);
        /* Content that stood before cannot have been changed unseen, but by those whose right it
         * is: of what they gave to a document that is cancelled, it is said. */
        bool stood = way == FREEZE_LOSES && work->was_frozen;
        bool fine = way == FREEZE_FORKS          ? srv_decide_part(decision, work)
                    : way == FREEZE_NOT || stood ? true
                                                 : note_unseen(decision, work, way);
        if (!fine) {
            return false;
        }
    }
    return true;
}
