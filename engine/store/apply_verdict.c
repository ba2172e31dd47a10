/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what a verdict does to the outbox: a rejection is undone at once and goes to the inbox; an
 * acceptance waits for its place in the log; a quarantine is noted. Called by apply. Invariant: a
 * verdict never changes base values, and one that has been seen before changes nothing.
 */
#include "engine/store/inside.h"

#include "engine/base/text.h"

#include <string.h>

/* ---- rejection */

/* The item that tells the person: the whole body, and which record and field it was about. */
static daybook_status add_item(struct apply *apply, const struct verdict *verdict,
                               const struct outbox_row *row, const struct decoded *decoded)
{
    struct store *store = apply->store;
    struct value body;
    char record_id[ID_TEXT_SIZE] = "";
    const struct changeset *changeset = &decoded->changeset;
    const char *entity = verdict->entity;
    daybook_status status = dk_outbox_texts(store, row->seq, &store->arena, NULL, &body);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (!dk_id_is_zero(&verdict->record)) {
        dk_id_to_text(&verdict->record, record_id);
    } else if (changeset->change_count > 0) {
        dk_id_to_text(&changeset->changes[0].id, record_id);
        entity = changeset->changes[0].entity->name;
    }
    struct inbox_item item = {.kind = "rejected",
                              .code = dk_reject_name(verdict->code),
                              .entity = entity,
                              .record_id = record_id,
                              .field = verdict->field,
                              .rule = verdict->rule,
                              .changeset = &row->id,
                              .cause = verdict->code == REJECT_DEPENDS ? &verdict->cause : NULL,
                              .body = body.text,
                              .body_length = body.length};
    return dk_inbox_add(store, &item);
}

/* Brings one record of the changeset, which the outbox no longer has, back to what it is without
 * it. */
static daybook_status undo_change(struct apply *apply, const struct change *change)
{
    struct store *store = apply->store;
    struct holding holding;
    struct base base;
    dk_arena_reset(&store->work);
    daybook_status status =
        dk_pending_load(store, change->entity, &change->id, &store->work, &holding);
    if (status != DAYBOOK_OK || !holding.is_pending) {
        return status;
    }
    status = dk_pending_base(&holding, &store->work, &base);
    return status == DAYBOOK_OK ? dk_pending_rebuild(store, &holding, &base, &apply->touched)
                                : status;
}

/* Undoes a rejected changeset: item first, then out of the outbox, then record by record. */
static daybook_status reject(struct apply *apply, const struct verdict *verdict,
                             const struct outbox_row *row)
{
    struct store *store = apply->store;
    struct decoded *decoded;
    daybook_status status = dk_outbox_pin(store, row->seq, &decoded);
    if (status != DAYBOOK_OK) {
        return status;
    }
    status = add_item(apply, verdict, row, decoded);
    if (status == DAYBOOK_OK) {
        status = dk_outbox_remove(store, row->seq, row->verdict);
    }
    for (int i = 0; i < decoded->changeset.change_count && status == DAYBOOK_OK; i++) {
        status = undo_change(apply, &decoded->changeset.changes[i]);
    }
    dk_outbox_unpin(decoded);
    apply->applied->rejected++;
    return status;
}

/* ---- verdicts in general */

/* Tells that what was recorded was kept although its record belongs to others by now, who alone see
 * it from here on; and since when, as milliseconds in `theirs`. */
static daybook_status add_moved(struct apply *apply, const struct verdict *verdict,
                                const struct outbox_row *row)
{
    char record_id[ID_TEXT_SIZE], since[24];
    dk_id_to_text(&verdict->record, record_id);
    (void)dk_text_format(since, sizeof since, "%lld", (long long)verdict->moved_ms);
    struct inbox_item item = {.kind = "moved",
                              .code = "",
                              .entity = verdict->entity,
                              .record_id = record_id,
                              .theirs = since,
                              .theirs_length = strlen(since),
                              .changeset = &row->id};
    return dk_inbox_add(apply->store, &item);
}

/* Tells that what was recorded about a record went to the one that it has become, which its
 * redirect_to names. */
static daybook_status add_remapped(struct apply *apply, const struct verdict *verdict,
                                   const struct outbox_row *row)
{
    char record_id[ID_TEXT_SIZE];
    dk_id_to_text(&verdict->record, record_id);
    struct inbox_item item = {.kind = "remapped",
                              .code = "",
                              .entity = verdict->entity,
                              .record_id = record_id,
                              .changeset = &row->id};
    return dk_inbox_add(apply->store, &item);
}

/* Only what was sent can have a verdict; what this file has not sent a copy of it has. */
static daybook_status check_verdict(struct apply *apply, const struct verdict *verdict)
{
    bool placed = verdict->kind == VERDICT_ACCEPTED || verdict->kind == VERDICT_MERGED;
    if (verdict->seq < 1) {
        return dk_apply_bad(apply, "a verdict without a number");
    }
    if (verdict->seq > apply->store->memory.sent_seq) {
        apply->applied->copy_detected = true;
        return DAYBOOK_DIVERGED;
    }
    if (verdict->kind == VERDICT_NONE) {
        return dk_apply_bad(apply, "a verdict of no kind");
    }
    if (placed && (verdict->position < 1 || verdict->position > apply->reply->head)) {
        return dk_apply_bad(apply, "a verdict's position is not in the log");
    }
    return DAYBOOK_OK;
}

/* All rows into the arena. */
static daybook_status read_verdicts(struct apply *apply)
{
    struct json_reader json;
    struct verdict verdict;
    int capacity = 0, result;
    if (apply->reply->verdicts.bytes == NULL) {
        return DAYBOOK_OK;
    }
    dk_json_open(&json, apply->reply->verdicts.bytes, apply->reply->verdicts.length);
    if (dk_json_next(&json) != JSON_ARRAY) {
        return dk_apply_bad(apply, "verdicts are no array");
    }
    while ((result = dk_verdict_read(&json, &verdict)) == 1) {
        daybook_status status = check_verdict(apply, &verdict);
        if (status != DAYBOOK_OK) {
            return status;
        }
        if (apply->verdict_count == capacity) {
            capacity = capacity == 0 ? 32 : capacity * 2;
            struct verdict *grown =
                dk_arena_new(&apply->store->arena, (size_t)capacity * sizeof *grown);
            if (grown == NULL) {
                return DAYBOOK_NO_MEMORY;
            }
            if (apply->verdict_count > 0) {
                memcpy(grown, apply->verdicts, (size_t)apply->verdict_count * sizeof *grown);
            }
            apply->verdicts = grown;
        }
        apply->verdicts[apply->verdict_count++] = verdict;
    }
    if (result != 0 || !dk_json_finish(&json)) {
        return dk_apply_bad(apply, json.problem == NULL ? "verdicts are damaged" : json.problem);
    }
    return DAYBOOK_OK;
}

/* Whether the changeset has a place in the log. */
static bool is_placed(enum outbox_verdict verdict)
{
    return verdict == OUTBOX_ACCEPTED || verdict == OUTBOX_MERGED;
}

/* What one verdict does before the log is read. Acceptances whose place is still to come stay in
 * the array for later; all others leave it as VERDICT_NONE. */
static daybook_status take_verdict(struct apply *apply, struct verdict *verdict)
{
    struct store *store = apply->store;
    struct outbox_row row;
    bool found;
    enum verdict_kind kind = verdict->kind;
    daybook_status status = dk_outbox_find(store, verdict->seq, &row, &found);
    if (status != DAYBOOK_OK) {
        return status;
    }
    verdict->kind = VERDICT_NONE;
    if (!found || row.verdict == OUTBOX_SETTLED) {
        return DAYBOOK_OK; /* heard before */
    }
    store->changed |= STORE_CHANGED_SYNC;
    bool elsewhere = kind == VERDICT_REJECTED || kind == VERDICT_QUARANTINED ||
                     row.position != verdict->position;
    if (is_placed(row.verdict)) {
        /* Otherwise decided it is another changeset of that number, of a copy of this file. */
        apply->applied->copy_detected = elsewhere;
        return elsewhere ? DAYBOOK_DIVERGED : DAYBOOK_OK;
    }
    if (kind == VERDICT_REJECTED || kind == VERDICT_QUARANTINED) {
        if (kind == VERDICT_REJECTED) {
            return reject(apply, verdict, &row);
        }
        return row.verdict == OUTBOX_QUARANTINED
                   ? DAYBOOK_OK
                   : dk_outbox_note(store, row.seq, row.verdict, OUTBOX_QUARANTINED, 0);
    }
    if (verdict->remapped) {
        status = add_remapped(apply, verdict, &row);
        if (status != DAYBOOK_OK) {
            return status;
        }
    }
    if (verdict->moved_ms > 0) {
        status = add_moved(apply, verdict, &row);
        if (status != DAYBOOK_OK) {
            return status;
        }
    }
    if (verdict->position <= apply->start && store->memory.state.loading == 0) {
        return dk_apply_settle(apply, &row, verdict->position, 0);
    }
    verdict->kind = kind;
    return DAYBOOK_OK;
}

daybook_status dk_apply_verdicts(struct apply *apply)
{
    daybook_status status = read_verdicts(apply);
    for (int i = 0; i < apply->verdict_count && status == DAYBOOK_OK; i++) {
        apply->applied->verdicts++;
        status = take_verdict(apply, &apply->verdicts[i]);
    }
    return status;
}

/* Settles what waits for a place that the log has passed. A marker does that at its place; there is
 * none where the changeset was decided for an earlier instance of this store, and then its rows
 * came as everybody gets them. While a snapshot is under way, its effect may be on a page that is
 * still to come. */
static daybook_status settle_passed(struct apply *apply)
{
    struct store *store = apply->store;
    struct outbox_row *rows;
    int count = 0;
    daybook_status status = store->memory.state.loading > 0
                                ? DAYBOOK_OK
                                : dk_outbox_due(store, apply->reply->position, &rows, &count);
    for (int i = 0; status == DAYBOOK_OK && i < count; i++) {
        status = dk_apply_settle(apply, &rows[i], rows[i].position, 0);
    }
    return status;
}

/* After the log: acceptances that no marker of this page has settled are noted. */
daybook_status dk_apply_verdicts_late(struct apply *apply)
{
    struct store *store = apply->store;
    daybook_status status = DAYBOOK_OK;
    for (int i = 0; i < apply->verdict_count && status == DAYBOOK_OK; i++) {
        const struct verdict *verdict = &apply->verdicts[i];
        struct outbox_row row;
        bool found;
        if (verdict->kind == VERDICT_NONE) {
            continue;
        }
        status = dk_outbox_find(store, verdict->seq, &row, &found);
        if (status == DAYBOOK_OK && found && row.verdict != OUTBOX_SETTLED) {
            status =
                dk_outbox_note(store, row.seq, row.verdict,
                               verdict->kind == VERDICT_MERGED ? OUTBOX_MERGED : OUTBOX_ACCEPTED,
                               verdict->position);
        }
    }
    return status == DAYBOOK_OK ? settle_passed(apply) : status;
}
