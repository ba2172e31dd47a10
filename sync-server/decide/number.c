/* SPDX-License-Identifier: Apache-2.0
 *
 * Document numbers at the server: no two documents of a kind have the same, and no two revisions of
 * a quote. Devices make numbers that cannot clash, unless a file was restored or copied and goes on
 * counting from where it was; then the document that comes second gets its device's number behind
 * the one it had. A step of the decision, once the records are merged. Invariants: tombstones
 * count, as long as they are kept, so no number is used again; nobody gives a number of somebody
 * else's device.
 */
#include "engine/sales/number.h"
#include "sync-server/decide/work.h"

#include <string.h>

#define FAMILY_PAGE 200 /* revisions read at once */

/* ---- revisions of quotes */

/* The other revisions of a quote, as far as they were looked at. */
struct family {
    const struct id *origin, *quote;
    int64_t wanted, highest;
    bool taken; /* one of them is the revision that is wanted */
};

/* Looks at a quote that may be one of the family. */
static void look_at(struct family *family, const struct record *quote)
{
    const struct value *of = &quote->values[QUOTE_REVISION_OF], *rev = &quote->values[QUOTE_REV];
    int64_t number = rev->kind == VALUE_INT ? rev->integer : 1;
    bool member = dk_id_compare(&quote->id, family->origin) == 0 ||
                  (of->kind == VALUE_ID && dk_id_compare(&of->id, family->origin) == 0);
    if (member && dk_id_compare(&quote->id, family->quote) != 0) {
        family->taken = family->taken || number == family->wanted;
        family->highest = number > family->highest ? number : family->highest;
    }
}

/* See the header. */
bool srv_decide_revision(struct decision *decision, const struct work *quote,
                         const struct id *origin, int64_t *rev)
{
    const struct record *record = &quote->row.record;
    const struct field *definition = &record->entity->fields[QUOTE_REV];
    struct family family = {.origin = origin, .quote = &record->id, .wanted = *rev};
    struct id after = {{0}};
    struct srv_record *rows;
    int count;
    const struct work *first = srv_work_load(decision, record->entity, origin);
    if (first == NULL) {
        return false;
    }
    look_at(&family, &first->row.record);
    for (const struct named *at = srv_works_named(decision, origin); at != NULL;
         at = srv_named_next(at)) {
        if (at->work->row.record.entity == record->entity) {
            look_at(&family, &at->work->row.record);
        }
    }
    do {
        daybook_status status = srv_store_related(
            decision->store, decision->org->org, record->entity, QUOTE_REVISION_OF, origin, &after,
            FAMILY_PAGE, true, decision->arena, &rows, &count);
        if (status != DAYBOOK_OK) {
            return srv_decision_fail(decision, status);
        }
        for (int i = 0; i < count; i++) {
            after = rows[i].record.id;
            look_at(&family, &rows[i].record);
        }
    } while (count == FAMILY_PAGE);
    *rev = *rev != 0 && !family.taken ? *rev : family.highest + 1;
    return *rev <= definition->limit || srv_decision_reject(decision, REJECT_LIMIT, record->entity,
                                                            &record->id, definition->name, "range");
}

/* A revision that its author makes is one of the first quote's, and no other is the same. */
static bool check_revision(struct decision *decision, struct work *work)
{
    struct value *values = work->row.record.values;
    const struct field *definition = &work->row.record.entity->fields[QUOTE_REV];
    if (work->row.record.entity->kind != ENTITY_QUOTE || work->about != NULL ||
        values[QUOTE_REVISION_OF].kind != VALUE_ID) {
        return true;
    }
    const struct work *named =
        srv_work_load(decision, work->row.record.entity, &values[QUOTE_REVISION_OF].id);
    if (named == NULL) {
        return false;
    }
    if (named->row.record.values[QUOTE_REVISION_OF].kind == VALUE_ID) {
        values[QUOTE_REVISION_OF] = named->row.record.values[QUOTE_REVISION_OF];
        work->own |= (uint64_t)1 << QUOTE_REVISION_OF;
        if (!srv_work_name_fields(decision, work, (uint64_t)1 << QUOTE_REVISION_OF)) {
            return false;
        }
    }
    const struct value before = values[QUOTE_REV];
    int64_t rev = before.kind == VALUE_INT ? before.integer : 0;
    if (!srv_decide_revision(decision, work, &values[QUOTE_REVISION_OF].id, &rev)) {
        return false;
    }
    if (before.kind == VALUE_INT && rev == before.integer) {
        return true;
    }
    struct value kept, lost;
    values[QUOTE_REV] = (struct value){.kind = VALUE_INT, .integer = rev};
    work->row.stamps[QUOTE_REV] = srv_merge_stamp(decision, &work->row.stamps[QUOTE_REV], true);
    work->own |= (uint64_t)1 << QUOTE_REV;
    if (before.kind != VALUE_INT) {
        return true;
    }
    decision->merged = true;
    return srv_value_text(decision, definition, &values[QUOTE_REV], &kept) &&
           srv_value_text(decision, definition, &before, &lost) &&
           srv_decide_note(decision, work, definition->name, strlen(definition->name), &kept,
                           decision->author->device_no, &lost, decision->author->device_no);
}

/* ---- numbers of documents */

/* A number that has the form of a device's is for that device's user to give, who may have enrolled
 * anew since; a revision may have its quote's. Others are refused before they are looked up: the
 * answer must not tell which there are. */
static bool check_giver(struct decision *decision, const struct work *work, int field)
{
    const struct record *record = &work->row.record;
    const struct value *number = &record->values[field];
    uint32_t device_no, mine = decision->author->device_no;
    bool owns = false;
    if (decision->author->is_server || work->about != NULL ||
        !dk_number_is_ours(record->entity->kind, number->text, number->length, &device_no) ||
        device_no == mine) {
        return true;
    }
    daybook_status status = srv_store_owns_number(decision->store, mine, device_no, &owns);
    if (status != DAYBOOK_OK) {
        return srv_decision_fail(decision, status);
    }
    if (!owns && record->entity->kind == ENTITY_QUOTE &&
        record->values[QUOTE_REVISION_OF].kind == VALUE_ID) {
        const struct work *first =
            srv_work_load(decision, record->entity, &record->values[QUOTE_REVISION_OF].id);
        if (first == NULL) {
            return false;
        }
        owns = dk_value_equal(&first->row.record.values[field], number);
    }
    return owns || srv_decision_reject(decision, REJECT_RULE, record->entity, &record->id,
                                       record->entity->fields[field].name, "device");
}

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

/* What a number is entered under among the works of a decision. */
static bool number_key(struct decision *decision, const struct value *number, struct id *key)
{
    uint8_t hash[HASH_SIZE];
    if (!srv_hash(number->text, number->length, hash)) {
        return srv_decision_out_of_memory(decision);
    }
    memcpy(key->bytes, hash, ID_SIZE);
    return true;
}

/* Whether an earlier new document of this changeset has the same number; where not, this one has it
 * for later ones. */
static bool is_twin(struct decision *decision, struct work *work, int field, bool *twin)
{
    const struct value *number = &work->row.record.values[field];
    struct id key;
    *twin = false;
    if (!number_key(decision, number, &key)) {
        return false;
    }
    for (const struct named *at = srv_works_named(decision, &key); at != NULL && !*twin;
         at = srv_named_next(at)) {
        const struct record *other = &at->work->row.record;
        *twin = dk_number_clashes(other, &work->row.record) &&
                dk_value_equal(&other->values[field], number);
    }
    return *twin || srv_work_name(decision, work, &key);
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
    uint32_t device_no;
    size_t length =
        dk_number_is_ours(record->entity->kind, before.text, before.length, &device_no)
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
static bool check_number(struct decision *decision, struct work *work, int field)
{
    struct record *record = &work->row.record;
    bool taken, twin;
    if (!is_taken(decision, work, field, &record->values[field], &taken) ||
        !is_twin(decision, work, field, &twin)) {
        return false;
    }
    if (!taken && !twin) {
        return true;
    }
    if (!number_again(decision, work, field) ||
        !is_taken(decision, work, field, &record->values[field], &taken) ||
        !is_twin(decision, work, field, &twin)) {
        return false;
    }
    return (!taken && !twin) ||
           srv_decision_reject(decision, REJECT_EXISTS, record->entity, &record->id,
                               record->entity->fields[field].name, "unique");
}

/* The numbers of one kind of document that a changeset brings, as the store orders them. */
struct brought {
    const struct value *first, *last; /* NULL: none */
    bool free; /* each is above the one before, and none that is stored lies between them */
};

/* < 0, 0, > 0 by bytes. */
static int compare(const struct value *a, const struct value *b)
{
    uint32_t shorter = a->length < b->length ? a->length : b->length;
    int order = shorter == 0 ? 0 : memcmp(a->text, b->text, shorter);
    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

/* The number of a new document, or NULL. */
static const struct value *new_number(const struct work *work)
{
    int field = dk_number_field(work->row.record.entity->kind);
    const struct value *number = field < 0 ? NULL : &work->row.record.values[field];
    return number != NULL && work->effect == EFFECT_NEW && number->kind == VALUE_TEXT ? number
                                                                                      : NULL;
}

/* Finds the kinds of which all numbers are free. The usual case, for a device counts upwards: one
 * look for each kind instead of two for each document. */
static bool find_free(struct decision *decision, struct brought numbers[ENTITY_COUNT])
{
    for (const struct work *work = decision->works; work != NULL; work = work->next) {
        struct brought *kind = &numbers[work->row.record.entity->kind];
        const struct value *number = new_number(work);
        if (number != NULL) {
            kind->free = kind->first == NULL || (kind->free && compare(number, kind->last) > 0);
            kind->first = kind->first == NULL ? number : kind->first;
            kind->last = number;
        }
    }
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        struct brought *brought = &numbers[kind];
        bool any;
        if (!brought->free) {
            continue;
        }
        daybook_status status =
            srv_store_any_number(decision->store, decision->org->org, dk_entity(kind),
                                 dk_number_field(kind), brought->first, brought->last, &any);
        if (status != DAYBOOK_OK) {
            return srv_decision_fail(decision, status);
        }
        brought->free = !any;
    }
    return true;
}

/* See the header. */
bool srv_decide_numbers(struct decision *decision)
{
    struct brought numbers[ENTITY_COUNT] = {{.first = NULL}};
    if (!find_free(decision, numbers)) {
        return false;
    }
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        int kind = work->row.record.entity->kind;
        int field = dk_number_field(kind);
        if (work->effect != EFFECT_NEW || field < 0) {
            continue;
        }
        if (!check_revision(decision, work)) {
            return false;
        }
        if (new_number(work) != NULL &&
            (!check_giver(decision, work, field) ||
             (!numbers[kind].free && !check_number(decision, work, field)))) {
            return false;
        }
    }
    return true;
}
