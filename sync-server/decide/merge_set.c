/* SPDX-License-Identifier: Apache-2.0
 *
 * What merges element by element: fields under SET and GROW. Called by merge.c. An addition stands
 * against a removal that had not seen it; what only grows has no removals. Invariants: an element
 * that was changed after the record was made has a stamp of its own, also after it was removed, and
 * all others have the field's; what only grows says of each element who added it.
 */
#include "engine/base/text.h"
#include "sync-server/decide/redirect.h"
#include "sync-server/decide/work.h"

#include <string.h>

/* One field of one change. */
struct set_merge {
    struct decision *decision;
    struct work *work;
    int number;
    const struct field *field;
    struct stamp stamp; /* incoming */
    int64_t seen;
    bool differs; /* what stands is not as the author made it */
};

/* See the header. */
size_t srv_element_key(char key[LIMIT_LABEL_BYTES + LIMIT_SET_ELEMENT_BYTES + 1], const char *field,
                       const struct element *element)
{
    size_t head = strlen(field);
    memcpy(key, field, head);
    key[head] = '.';
    memcpy(key + head + 1, element->text, element->length);
    return head + 1 + element->length;
}

/* See the header. */
void srv_element_load(const struct srv_record *row, int field, const char *key, size_t length,
                      bool there, struct merge_element *element)
{
    element->there = there;
    element->count = 0;
    for (int i = 0; i < row->key_stamp_count && element->count < MERGE_ADDITIONS_MAX; i++) {
        if (srv_key_stamp_is(&row->key_stamps[i], key, length)) {
            element->stamps[element->count++] = row->key_stamps[i].stamp;
        }
    }
    if (there && element->count == 0) {
        element->stamps[element->count++] = row->stamps[field];
    }
}

/* True where `stamp` is of an addition that has come from the record that was named, when the two
 * became one or later, and that the change's author had seen there. */
static bool had_seen(const struct set_merge *merge, const struct merge_element *named,
                     const struct stamp *stamp)
{
    const struct decision *decision = merge->decision;
    int64_t seen = srv_work_seen(decision, decision->from->change);
    int64_t came = srv_redirect_came(decision, decision->from);
    for (int i = 0; i < named->count; i++) {
        const struct stamp *base = &named->stamps[i];
        bool same = (base->device_no | DECIDE_OTHER_RECORD) == stamp->device_no &&
                    base->time == stamp->time &&
                    (stamp->position == came || stamp->position == base->position);
        if (same && dk_merge_known(base, merge->stamp.device_no, seen)) {
            return true;
        }
    }
    return false;
}

/* The change was led here from another record: of the additions its author had seen those that
 * have come from there. An addition is kept there, too, for the next such change. */
static enum merge_result merge_led(struct set_merge *merge, const char *key, size_t length,
                                   bool add, struct merge_element *element)
{
    struct srv_record *row = &merge->decision->from->row;
    struct merge_element named;
    struct stamp stamp = merge->stamp;
    int left = 0;
    srv_element_load(row, merge->number, key, length, true, &named);
    for (int i = 0; i < element->count; i++) {
        if (!element->there || !had_seen(merge, &named, &element->stamps[i])) {
            element->stamps[left++] = element->stamps[i];
        }
    }
    element->count = left;
    if (add) {
        (void)dk_merge_element(&named, true, &stamp,
                               srv_work_seen(merge->decision, merge->decision->from->change));
        if (!srv_key_stamps_put(merge->decision, row, key, length, named.stamps, named.count)) {
            return MERGE_REFUSED;
        }
    }
    stamp.device_no |= DECIDE_OTHER_RECORD;
    return dk_merge_unseen(element, add, &stamp);
}

/* Notes an addition and a removal of which only the addition takes effect: the change's own is the
 * one or the other. */
static bool note(struct set_merge *merge, const struct element *element, bool add, uint32_t theirs)
{
    uint32_t mine = merge->stamp.device_no;
    merge->differs = merge->differs || !add;
    return srv_decide_note_element(merge->decision, merge->work, merge->field, element->text,
                                   element->length, add ? mine : theirs, add ? theirs : mine);
}

/* Decides one element and keeps its stamps. A removal that leaves no stamp leaves a trace. */
static bool judge(void *context, const struct element *element, bool there, bool add, bool *applies)
{
    struct set_merge *merge = context;
    struct merge_element state;
    char key[LIMIT_LABEL_BYTES + LIMIT_SET_ELEMENT_BYTES + 1];
    size_t length = srv_element_key(key, merge->field->name, element);
    srv_element_load(&merge->work->row, merge->number, key, length, there, &state);
    uint32_t remover = state.count > 0 ? state.stamps[0].device_no : 0;
    enum merge_result result = merge->decision->from == NULL
                                   ? dk_merge_element(&state, add, &merge->stamp, merge->seen)
                                   : merge_led(merge, key, length, add, &state);
    if (result == MERGE_REFUSED) {
        return false;
    }
    *applies = result == MERGE_APPLY || result == MERGE_WINS;
    bool kept = srv_key_stamps_put(merge->decision, &merge->work->row, key, length, state.stamps,
                                   state.count) &&
                (add || *applies || srv_merge_trace(merge->decision, merge->work, &merge->stamp));
    if (!kept || (result != MERGE_WINS && result != MERGE_LOSES)) {
        return kept;
    }
    return note(merge, element, add, add ? remover : state.stamps[0].device_no);
}

/* ---- sets that only grow */

/* What a change adds to one. */
struct signing {
    struct decision *decision;
    struct work *work;
    const struct field *field;
    char user[ID_TEXT_SIZE]; /* who adds it */
    struct buffer *out;      /* {"add":[… */
    bool differs;
};

/* Writes an element that is added with its author in front, unless that is there or the server
 * itself adds it. What is in the set already stays; a removal is refused, for such a set loses
 * nothing. */
static bool sign(void *context, const struct element *element, bool there, bool add, bool *applies)
{
    struct signing *signing = context;
    const struct record *record = &signing->work->row.record;
    const size_t head = ID_TEXT_SIZE; /* the id and a space */
    char text[LIMIT_SET_ELEMENT_BYTES + 1];
    *applies = false;
    if (!add) {
        return srv_decision_reject(signing->decision, REJECT_POLICY, record->entity, &record->id,
                                   signing->field->name, "grow");
    }
    bool is_signed = signing->decision->author->is_server ||
                     (element->length > head && element->text[head - 1] == ' ' &&
                      memcmp(element->text, signing->user, head - 1) == 0);
    size_t length = is_signed ? element->length : head + element->length;
    if (length > LIMIT_SET_ELEMENT_BYTES) {
        return srv_decision_reject(signing->decision, REJECT_LIMIT, record->entity, &record->id,
                                   signing->field->name, "length");
    }
    if (!there) {
        (void)dk_text_format(text, sizeof text, is_signed ? "%s%.*s" : "%s %.*s",
                             is_signed ? "" : signing->user, (int)element->length, element->text);
        dk_buffer_append_text(signing->out, signing->out->length > 8 ? "," : "");
        dk_json_write_string(signing->out, text, length);
        signing->differs = signing->differs || !is_signed;
    }
    return true;
}

/* Gives what a change adds to the field with its authors, as a change. */
static bool sign_elements(struct decision *decision, struct work *work, int field,
                          const struct value *change, struct value *result)
{
    const struct record *record = &work->row.record;
    struct signing signing = {.decision = decision,
                              .work = work,
                              .field = &record->entity->fields[field],
                              .out = &decision->decide->text};
    struct value ignored;
    dk_id_to_text(&decision->author->account.user, signing.user);
    dk_buffer_reset(signing.out);
    dk_buffer_append_text(signing.out, "{\"add\":[");
    if (!dk_set_merge(&record->values[field], change, sign, &signing, decision->arena, &ignored)) {
        return decision->verdict->kind != VERDICT_REJECTED && srv_decision_out_of_memory(decision);
    }
    dk_buffer_append_text(signing.out, "]}");
    if (signing.out->status != DAYBOOK_OK) {
        return srv_decision_fail(decision, signing.out->status);
    }
    work->own |= signing.differs ? (uint64_t)1 << field : 0;
    *result = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)signing.out->length};
    result->text = dk_arena_copy(decision->arena, signing.out->bytes, signing.out->length);
    return result->text != NULL || srv_decision_out_of_memory(decision);
}

/* See the header. */
bool srv_begin_elements(struct decision *decision, struct work *work, int field,
                        const struct value *whole)
{
    struct value *value = &work->row.record.values[field], change;
    return sign_elements(decision, work, field, whole, &change) &&
           (dk_set_apply(value, &change, decision->arena, value) ||
            srv_decision_out_of_memory(decision));
}

/* See the header. */
bool srv_merge_elements(struct decision *decision, struct work *work, int field,
                        const struct value *change)
{
    struct record *record = &work->row.record;
    const struct field *definition = &record->entity->fields[field];
    struct set_merge merge = {
        .decision = decision,
        .work = work,
        .number = field,
        .field = definition,
        .stamp = {decision->position, decision->time, decision->author->device_no},
        .seen = srv_work_seen(decision, work->change)};
    struct value wanted = *change, result;
    if (definition->policy == POLICY_GROW &&
        !sign_elements(decision, work, field, change, &wanted)) {
        return false;
    }
    if (!dk_set_merge(&record->values[field], &wanted, judge, &merge, decision->arena, &result)) {
        if (decision->status != DAYBOOK_OK || decision->verdict->kind == VERDICT_REJECTED) {
            return false;
        }
        return decision->arena->failed
                   ? srv_decision_out_of_memory(decision)
                   : srv_decision_reject(decision, REJECT_LIMIT, record->entity, &record->id,
                                         definition->name, "elements");
    }
    if (!dk_value_equal(&record->values[field], &result)) {
        record->values[field] = result;
        work->changed |= (uint64_t)1 << field;
    }
    if (merge.differs) {
        work->own |= (uint64_t)1 << field;
    }
    return true;
}
