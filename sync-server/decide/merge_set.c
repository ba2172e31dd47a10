/* SPDX-License-Identifier: Apache-2.0
 *
 * What merges element by element: fields under SET and GROW. Called by merge.c. An addition stands
 * against a removal that had not seen it; what only grows has no removals. Invariant: an element
 * that was changed after the record was made has a stamp of its own, also after it was removed; all
 * others have the field's.
 */
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

/* What is known of an element: the stamps of its own or, where it is there, the field's. */
static void load_element(const struct set_merge *merge, const char *key, size_t length, bool there,
                         struct merge_element *element)
{
    const struct srv_record *row = &merge->work->row;
    element->there = there;
    element->count = 0;
    for (int i = 0; i < row->key_stamp_count && element->count < MERGE_ADDITIONS_MAX; i++) {
        if (srv_key_stamp_is(&row->key_stamps[i], key, length)) {
            element->stamps[element->count++] = row->key_stamps[i].stamp;
        }
    }
    if (there && element->count == 0) {
        element->stamps[element->count++] = row->stamps[merge->number];
    }
}

/* The change was led here: drops the additions that came with the customer that its author knew. */
static void drop_led(const struct set_merge *merge, const char *key, size_t length,
                     struct merge_element *element)
{
    const struct srv_record *from = &merge->decision->from->row;
    int left = 0;
    for (int i = 0; i < element->count; i++) {
        const struct stamp *stamp = &element->stamps[i];
        hlc time = merge->stamp.time;
        int64_t seen = merge->seen;
        bool any = false;
        for (int n = 0; n < from->key_stamp_count; n++) {
            if (srv_key_stamp_is(&from->key_stamps[n], key, length)) {
                any = true;
                srv_redirect_seen(merge->decision, &from->key_stamps[n].stamp, stamp, &time, &seen);
            }
        }
        if (!any) {
            srv_redirect_seen(merge->decision, &from->stamps[merge->number], stamp, &time, &seen);
        }
        if (seen < stamp->position) {
            element->stamps[left++] = *stamp;
        }
    }
    element->count = left;
}

/* A set that only grows loses nothing. */
static bool refuse_removal(const struct set_merge *merge)
{
    const struct record *record = &merge->work->row.record;
    return srv_decision_reject(merge->decision, REJECT_POLICY, record->entity, &record->id,
                               merge->field->name, "grow");
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
    if (!add && merge->field->policy == POLICY_GROW) {
        return refuse_removal(merge);
    }
    load_element(merge, key, length, there, &state);
    if (merge->decision->from != NULL) {
        drop_led(merge, key, length, &state);
    }
    uint32_t remover = state.count > 0 ? state.stamps[0].device_no : 0;
    enum merge_result result = dk_merge_element(&state, add, &merge->stamp, merge->seen);
    *applies = result == MERGE_APPLY || result == MERGE_WINS;
    bool kept = srv_key_stamps_put(merge->decision, &merge->work->row, key, length, state.stamps,
                                   state.count) &&
                (add || *applies || srv_merge_trace(merge->decision, merge->work, &merge->stamp));
    if (!kept || (result != MERGE_WINS && result != MERGE_LOSES)) {
        return kept;
    }
    return note(merge, element, add, add ? remover : state.stamps[0].device_no);
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
    struct value result;
    if (!dk_set_merge(&record->values[field], change, judge, &merge, decision->arena, &result)) {
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
