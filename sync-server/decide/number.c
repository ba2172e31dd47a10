/* SPDX-License-Identifier: Apache-2.0
 *
 * Document numbers at the server: no two documents of a kind have the same. Devices make numbers
 * that cannot clash, unless a file was restored or copied and goes on counting from where it was;
 * then the document that comes second gets its device's number behind the one it had. A step of the
 * decision, once the records are merged. Invariant: tombstones count, no number is used again.
 */
#include "engine/sales/number.h"
#include "sync-server/decide/work.h"

#include <string.h>

/* Whether a stored document has this number; *taken tells. */
static bool is_taken(struct decision *decision, const struct work *work, int field,
                     const struct value *number, bool *taken)
{
    const struct record *record = &work->row.record;
    struct srv_record *rows;
    int count = 0;
    *taken = false;
    daybook_status status = srv_store_numbered(decision->store, decision->org->org, record->entity,
                                               field, number, decision->arena, &rows, &count);
    if (status != DAYBOOK_OK) {
        return srv_decision_fail(decision, status);
    }
    for (int i = 0; i < count; i++) {
        *taken = *taken || dk_number_clashes(&rows[i].record, record);
    }
    return true;
}

/* Whether an earlier new document of this changeset has the same number. */
static bool is_twin(const struct decision *decision, const struct work *work, int field)
{
    const struct value *number = &work->row.record.values[field];
    for (const struct work *other = decision->works; other != work; other = other->next) {
        if (other->effect == EFFECT_NEW &&
            dk_number_clashes(&other->row.record, &work->row.record) &&
            dk_value_equal(&other->row.record.values[field], number)) {
            return true;
        }
    }
    return false;
}

/* Gives a document whose number is taken another one, and keeps the first in the conflict log.
 * *number becomes the new one. NULL kind: it cannot be. */
static bool number_again(struct decision *decision, struct work *work, int field)
{
    struct record *record = &work->row.record;
    const struct value before = record->values[field];
    const struct field *definition = &record->entity->fields[field];
    struct value kept, lost;
    char text[NUMBER_SIZE];
    size_t length =
        dk_number_is_ours(record->entity->kind, before.text, before.length)
            ? dk_number_again(before.text, before.length, decision->author->device_no, text)
            : 0;
    if (length == 0) {
        return srv_decision_reject(decision, REJECT_EXISTS, record->entity, &record->id,
                                   definition->name, "unique");
    }
    struct value number = {.kind = VALUE_TEXT, .length = (uint32_t)length};
    number.text = dk_arena_copy(decision->arena, text, length);
    if (number.text == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    record->values[field] = number;
    work->own |= (uint64_t)1 << field;
    decision->merged = true;
    return srv_value_text(decision, definition, &number, &kept) &&
           srv_value_text(decision, definition, &before, &lost) &&
           srv_decide_note(decision, work, definition->name, strlen(definition->name), &kept,
                           decision->author->device_no, &lost, decision->author->device_no);
}

/* A new document: its number, or the one that it gets instead, is nobody else's. */
static bool check_number(struct decision *decision, struct work *work, int field, bool twin)
{
    struct record *record = &work->row.record;
    bool taken = false;
    if (!is_taken(decision, work, field, &record->values[field], &taken)) {
        return false;
    }
    if (!taken && !twin) {
        return true;
    }
    if (!number_again(decision, work, field) ||
        !is_taken(decision, work, field, &record->values[field], &taken)) {
        return false;
    }
    return (!taken && !is_twin(decision, work, field)) ||
           srv_decision_reject(decision, REJECT_EXISTS, record->entity, &record->id,
                               record->entity->fields[field].name, "unique");
}

/* < 0, 0, > 0 by bytes, the shorter first. */
static int compare(const struct value *a, const struct value *b)
{
    if (a->length != b->length) {
        return a->length < b->length ? -1 : 1;
    }
    return a->length == 0 ? 0 : memcmp(a->text, b->text, a->length);
}

/* See the header. Engines count upwards, so that a number above all before it in the changeset
 * needs no look for a twin. */
bool srv_decide_numbers(struct decision *decision)
{
    const struct value *highest[ENTITY_COUNT] = {NULL};
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        int kind = work->row.record.entity->kind;
        int field = dk_number_field(kind);
        if (work->effect != EFFECT_NEW || field < 0 ||
            work->row.record.values[field].kind != VALUE_TEXT) {
            continue;
        }
        const struct value *number = &work->row.record.values[field];
        bool above = highest[kind] == NULL || compare(number, highest[kind]) > 0;
        if (!check_number(decision, work, field, !above && is_twin(decision, work, field))) {
            return false;
        }
        highest[kind] = above ? number : highest[kind];
    }
    return true;
}
