/* SPDX-License-Identifier: Apache-2.0
 *
 * Puts an accepted changeset into the store: record rows, log rows, what the server projects from
 * records (accounts, buckets); and the decision itself, accepted or not. Last step of the decision.
 * Invariant: all of it is in the caller's transaction.
 */
#include "sync-server/accounts/accounts.h"
#include "sync-server/decide/work.h"

#include <string.h>

/* What else follows from a record of the organisation's own entities. */
static bool project(struct decision *decision, const struct work *work)
{
    const struct record *record = &work->row.record;
    char label[SCOPE_LABEL_SIZE];
    int64_t bucket;
    if (record->entity->kind == ENTITY_USER) {
        daybook_status status = srv_account_project(decision->store, decision->org->org, record,
                                                    work->row.deleted, decision->now_ms);
        return status == DAYBOOK_OK || srv_decision_fail(decision, status);
    }
    if (record->entity->kind == ENTITY_TERRITORY) {
        srv_scope_territory_label(&record->id, label);
        return srv_decide_bucket(decision, label, &bucket);
    }
    return true;
}

/* Keeps what the changeset gave fields that are not known yet. */
static bool keep_given(struct decision *decision, const struct work *work)
{
    const struct record *record = &work->row.record;
    for (const struct work_extra *extra = work->extra; extra != NULL; extra = extra->next) {
        const struct srv_given given = {
            .name = extra->name,
            .name_length = extra->length,
            .value = extra->value.kind == VALUE_NULL ? NULL : extra->value.text,
            .value_length = extra->value.length,
            .stamp = {decision->position, decision->time, decision->author->device_no},
            .seen = extra->seen,
            .makes = work->effect == EFFECT_NEW,
            .user = decision->author->account.user,
            .roles = decision->roles,
            .changeset = decision->input->changeset.id};
        daybook_status status = !extra->given
                                    ? DAYBOOK_OK
                                    : srv_store_add_given(decision->store, decision->org->org,
                                                          record->entity, &record->id, &given);
        if (status != DAYBOOK_OK) {
            return srv_decision_fail(decision, status);
        }
    }
    return true;
}

/* New records of one entity that go into the store together. */
struct new_rows {
    const struct srv_record *rows[64];
    size_t count;
};

/* Stores the new records that wait. */
static bool flush(struct decision *decision, struct new_rows *waiting)
{
    daybook_status status =
        srv_store_put_new(decision->store, decision->org->org, waiting->rows, (int)waiting->count);
    waiting->count = 0;
    return status == DAYBOOK_OK || srv_decision_fail(decision, status);
}

/* Lets a new record wait, as long as there is room and its entity is that of the others. */
static bool put_new(struct decision *decision, struct new_rows *waiting,
                    const struct srv_record *row)
{
    bool full = waiting->count == sizeof waiting->rows / sizeof waiting->rows[0];
    bool other = waiting->count > 0 && waiting->rows[0]->record.entity != row->record.entity;
    if ((full || other) && !flush(decision, waiting)) {
        return false;
    }
    waiting->rows[waiting->count++] = row;
    return true;
}

/* Stores a record that is there. */
static bool replace(struct decision *decision, const struct srv_record *row)
{
    daybook_status status = srv_store_put(decision->store, decision->org->org, row, true);
    return status == DAYBOOK_OK || srv_decision_fail(decision, status);
}

/* Stores one record, or lets it wait. */
static bool put(struct decision *decision, struct new_rows *waiting, struct work *work)
{
    if (work->effect == EFFECT_NONE) {
        return true;
    }
    if (work->effect != EFFECT_STORED) {
        work->row.record.version = decision->position;
    }
    if (!srv_totals_count(decision, work)) {
        return false;
    }
    srv_work_turn_back(decision, &work->row);
    bool fine =
        work->found ? replace(decision, &work->row) : put_new(decision, waiting, &work->row);
    return fine && (work->effect == EFFECT_STORED ||
                    (keep_given(decision, work) && project(decision, work)));
}

/* Stores the log rows that srv_decide_entries made. Where there are several, nobody is served as
 * their author: a marker names one bucket, and what lies in the others may be out of scope when it
 * is read. */
static bool append_log(struct decision *decision)
{
    const struct decide *decide = decision->decide;
    uint32_t author = decide->entry_count == 1 ? decision->author->device_no : 0;
    for (int i = 0; i < decide->entry_count; i++) {
        const struct entry *entry = &decide->entries[i];
        struct srv_log_row row = {.position = decision->position,
                                  .bucket = entry->bucket,
                                  .device_no = author,
                                  .time_ms = decision->now_ms,
                                  .body = entry->body.bytes,
                                  .body_size = entry->body.length,
                                  .own = entry->own.bytes,
                                  .own_size = entry->own.length};
        daybook_status status = srv_store_append_log(decision->store, decision->org->org, &row);
        if (status != DAYBOOK_OK) {
            return srv_decision_fail(decision, status);
        }
    }
    return true;
}

/* See the header. */
bool srv_decide_write(struct decision *decision)
{
    struct new_rows waiting = {.count = 0};
    if (!srv_decide_entries(decision)) {
        return false;
    }
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        if (!put(decision, &waiting, work)) {
            return false;
        }
    }
    return flush(decision, &waiting) && append_log(decision);
}

/* Whether a changeset that was not applied would have made the record of a change, and nobody else
 * has. */
static bool would_make(const struct decision *decision, const struct change *change)
{
    const struct work *work =
        decision->by_id == NULL ? NULL : srv_work_find(decision, change->entity, &change->id);
    return change->op == BLOCK_NEW && (work == NULL || !work->found);
}

/* Remembers that a record has to do with the changeset, which was not applied. */
static daybook_status claim(struct decision *decision, const struct id *record, bool makes)
{
    const struct changeset *changeset = &decision->input->changeset;
    bool waits = decision->verdict->kind == VERDICT_QUARANTINED;
    return srv_store_add_claim(decision->store, decision->org->org, record, &changeset->id,
                               decision->author->device_no, waits ? changeset->seq : 0, makes);
}

/* Remembers which records are not there for a changeset that was not applied, and, where it is
 * quarantined, any others that wait for it. */
static daybook_status remember(struct decision *decision)
{
    const struct decide_input *input = decision->input;
    const struct changeset *changeset = &input->changeset;
    bool waits = decision->verdict->kind == VERDICT_QUARANTINED;
    daybook_status status = DAYBOOK_OK;
    for (int i = 0;
         input->refusal.code == REJECT_NONE && i < changeset->change_count && status == DAYBOOK_OK;
         i++) {
        bool makes = would_make(decision, &changeset->changes[i]);
        if (makes || waits) {
            status = claim(decision, &changeset->changes[i].id, makes);
        }
    }
    for (int i = 0; i < input->made_count && status == DAYBOOK_OK; i++) {
        status = claim(decision, &input->made[i], true);
    }
    return status;
}

/* Keeps the text of a quarantined changeset for the operator, and of its request what tells when it
 * was made. */
static daybook_status keep_text(struct decision *decision)
{
    const struct decide_input *input = decision->input;
    struct decide_author *author = decision->author;
    struct srv_quarantined row = {.device_no = author->device_no,
                                  .seq = input->changeset.seq,
                                  .changeset = input->changeset.id,
                                  .user = author->account.user,
                                  .why = dk_reject_name(decision->verdict->code),
                                  .received_ms = author->received_ms == 0 ? decision->now_ms
                                                                          : author->received_ms,
                                  .boot = author->boot,
                                  .steady_ms = author->steady_ms};
    daybook_status status = input->text == NULL
                                ? DAYBOOK_INTERNAL
                                : input->text(input->context, &row.body, &row.length);
    if (status != DAYBOOK_OK) {
        return status;
    }
    dk_log(&decision->decide->log, LOG_ERROR, "quarantined device=%u seq=%lld code=%s",
           (unsigned)row.device_no, (long long)row.seq, row.why);
    author->waiting++;
    author->waiting_bytes += (int64_t)row.length;
    return srv_store_add_quarantine(decision->store, decision->org->org, &row);
}

/* See the header. What waits is measured once for all changesets of an author, since there may be
 * as many of both as the limits allow. */
daybook_status srv_decide_is_full(struct decision *decision, bool *full)
{
    struct decide_author *author = decision->author;
    const char *bytes;
    size_t length;
    daybook_status status = DAYBOOK_OK;
    *full = false;
    if (decision->verdict->kind != VERDICT_QUARANTINED || decision->input->text == NULL) {
        return DAYBOOK_OK;
    }
    if (!author->measured) {
        status =
            srv_store_measure_quarantine(decision->store, decision->org->org, &author->account.user,
                                         &author->waiting, &author->waiting_bytes);
        author->measured = status == DAYBOOK_OK;
    }
    if (status == DAYBOOK_OK) {
        status = decision->input->text(decision->input->context, &bytes, &length);
    }
    *full =
        status == DAYBOOK_OK && (author->waiting >= LIMIT_QUARANTINED ||
                                 author->waiting_bytes + (int64_t)length > LIMIT_QUARANTINE_BYTES);
    return status;
}

/* What becomes of the text: kept where the changeset is to wait, forgotten where it has waited. */
static daybook_status settle_text(struct decision *decision)
{
    const struct verdict *verdict = decision->verdict;
    bool waits = verdict->kind == VERDICT_QUARANTINED;
    if (decision->waited) {
        return srv_store_end_quarantine(decision->store, decision->org->org,
                                        &decision->input->changeset.id,
                                        waits ? dk_reject_name(verdict->code) : NULL);
    }
    return waits ? keep_text(decision) : DAYBOOK_OK;
}

/* See the header. */
daybook_status srv_decide_record(struct decision *decision)
{
    struct verdict *verdict = decision->verdict;
    struct buffer *text = &decision->decide->text;
    struct srv_decision row = {.device_no = decision->author->device_no,
                               .seq = decision->input->changeset.seq,
                               .changeset = decision->input->changeset.id,
                               .position = verdict->position};
    memcpy(row.digest, decision->input->digest, sizeof row.digest);
    daybook_status status = settle_text(decision);
    bool applied = verdict->kind == VERDICT_ACCEPTED || verdict->kind == VERDICT_MERGED;
    if (status == DAYBOOK_OK && !applied) {
        status = remember(decision);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    dk_buffer_reset(text);
    dk_verdict_write(text, verdict);
    if (text->status != DAYBOOK_OK) {
        return text->status;
    }
    row.verdict = text->bytes;
    row.verdict_length = text->length;
    return decision->waited ? srv_store_replace_verdict(decision->store, decision->org->org, &row)
                            : srv_store_add_decision(decision->store, decision->org->org, &row);
}

/* See the header. */
daybook_status srv_decide_forget(struct decision *decision)
{
    return srv_store_remove_claims(decision->store, decision->org->org,
                                   &decision->input->changeset.id);
}
