/* SPDX-License-Identifier: Apache-2.0
 *
 * One decision from beginning to end: the parent of the steps in this folder. Called by the
 * decider's thread for each changeset of a group, and for the server's own commands. Invariant:
 * whatever a step does, the store is left as if the decision had been made whole or not at all.
 */
#include "engine/sales/machines.h"
#include "sync-server/decide/work.h"

#include <assert.h>
#include <string.h>

#define MEMORY_DEFAULT ((size_t)256 * 1024 * 1024)
#define TEXT_BYTES_MAX ((size_t)2 * LIMIT_TEXT_BYTES * 6)

/* See the header. */
struct decide *srv_decide_new(struct srv_store *store, const struct log *log, size_t memory_max)
{
    struct decide *decide = dk_memory_new(1, sizeof *decide);
    if (decide == NULL) {
        return NULL;
    }
    if (!srv_random(decide->seeds, sizeof decide->seeds)) {
        dk_memory_free(decide);
        return NULL;
    }
    decide->store = store;
    decide->log = *log;
    decide->epoch = srv_store_epoch(store);
    decide->savepoints = true;
    decide->memory_max = memory_max == 0 ? MEMORY_DEFAULT : memory_max;
    dk_arena_init(&decide->arena, decide->memory_max);
    dk_buffer_init(&decide->header, LIMIT_TEXT_BYTES);
    dk_buffer_init(&decide->tail, DECIDE_ENTRY_BYTES_MAX);
    dk_buffer_init(&decide->text, TEXT_BYTES_MAX);
    return decide;
}

/* See the header. */
void srv_decide_free(struct decide *decide)
{
    if (decide == NULL) {
        return;
    }
    for (int i = 0; i < decide->entry_capacity; i++) {
        dk_buffer_clear(&decide->entries[i].body);
        dk_buffer_clear(&decide->entries[i].own);
    }
    dk_memory_free(decide->entries);
    dk_buffer_clear(&decide->header);
    dk_buffer_clear(&decide->tail);
    dk_buffer_clear(&decide->text);
    dk_arena_clear(&decide->arena);
    dk_memory_free(decide);
}

/* See the header. */
void srv_decide_use_savepoints(struct decide *decide, bool use)
{
    decide->savepoints = use;
}

/* See the header. */
bool srv_decide_digest(const char *text, size_t length, uint8_t digest[HASH_SIZE])
{
    static const char member[] = "\"changes\"";
    size_t from = 0;
    for (size_t i = 0; i + sizeof member - 1 <= length; i++) {
        if (text[i] == '"' && memcmp(text + i, member, sizeof member - 1) == 0) {
            from = i;
            break;
        }
    }
    return srv_hash(text + from, length - from, digest);
}

/* Everything that a decision needs, before its first step. */
static daybook_status begin(struct decision *decision)
{
    const struct changeset *changeset = &decision->input->changeset;
    const struct decide_author *author = decision->author;
    memset(decision->verdict, 0, sizeof *decision->verdict);
    decision->verdict->seq = changeset->seq;
    decision->status = DAYBOOK_OK;
    decision->position = decision->org->head + 1;
    daybook_status status = srv_decide_made(decision);
    decision->actor = (struct sales_actor){.user = author->account.user,
                                           .territory = author->account.territory,
                                           .device_no = author->device_no,
                                           .is_server = author->is_server,
                                           .time_ms = dk_hlc_ms(decision->time)};
    decision->roles = dk_machine_roles(author->is_server ? "system" : author->account.role);
    decision->reader = srv_work_reader(decision);
    return status;
}

/* What a disabled user hands in waits for an operator; what was surely recorded after the user was
 * disabled, by more than clocks may differ, is refused. */
static bool refuse_disabled(struct decision *decision)
{
    const struct id *user = &decision->author->account.user;
    struct srv_account then;
    bool found = false;
    daybook_status status =
        srv_store_account_at(decision->store, decision->org->org, user,
                             decision->true_ms - STAMP_AHEAD_MAX_MS, &then, &found);
    if (status != DAYBOOK_OK) {
        return srv_decision_fail(decision, status);
    }
    (void)srv_decision_reject(decision, REJECT_AUTH, NULL, NULL, NULL, "disabled");
    if (!found || !then.disabled) {
        decision->verdict->kind = VERDICT_QUARANTINED;
    }
    return false;
}

/* The steps, in order. True: accepted. */
static bool run_steps(struct decision *decision)
{
    const struct decide_input *input = decision->input;
    if (decision->refused != REJECT_NONE) {
        return srv_decision_reject(decision, decision->refused, NULL, NULL, NULL, "operator");
    }
    if (decision->author->account.disabled) {
        return refuse_disabled(decision);
    }
    if (input->refusal.code != REJECT_NONE) {
        const struct id *record = dk_id_is_zero(&input->refused.id) ? NULL : &input->refused.id;
        return srv_decision_reject(decision, (enum reject_code)input->refusal.code,
                                   input->refused.entity, record, input->refusal.field,
                                   input->refusal.rule);
    }
    return srv_works_init(decision) && srv_decide_author(decision) && srv_decide_attach(decision) &&
           srv_decide_freeze(decision) && srv_decide_merge(decision) &&
           srv_decide_given(decision) && srv_decide_revive_parents(decision) &&
           srv_decide_deletes(decision) && srv_decide_frozen(decision) &&
           srv_decide_references(decision) && srv_decide_numbers(decision) &&
           srv_decide_follow(decision) && srv_decide_holds(decision) &&
           srv_decide_fill(decision, NULL) && srv_decide_twins(decision) &&
           srv_decide_effective(decision) && srv_decide_place(decision) &&
           srv_decide_derive(decision) && srv_decide_write(decision);
}

/* Whether the group cannot go on after this failure: it lies in the machine, not in the
 * changeset. */
static bool is_fatal(daybook_status status)
{
    switch (status) {
    case DAYBOOK_DISK_FULL:
    case DAYBOOK_NO_MEMORY:
    case DAYBOOK_IO:
    case DAYBOOK_CORRUPT:
    case DAYBOOK_CANNOT_OPEN:
    case DAYBOOK_BUSY:
    case DAYBOOK_INTERRUPTED: return true;
    default: return false;
    }
}

/* What a newer schema may understand is not refused for good: it waits until this server has that
 * schema (invariant: nothing that an app could record is lost because the server is the older one).
 */
static void keep_for_newer(struct decision *decision)
{
    struct verdict *verdict = decision->verdict;
    bool newer = decision->input->changeset.schema > SCHEMA_VERSION;
    if (newer && decision->refused == REJECT_NONE && verdict->kind == VERDICT_REJECTED &&
        verdict->code == REJECT_SCHEMA) {
        verdict->kind = VERDICT_QUARANTINED;
    }
}

/* Undoes what the steps have written. Without a savepoint that takes the whole transaction. */
static daybook_status undo(struct decision *decision, int64_t writes)
{
    if (decision->decide->savepoints) {
        return srv_store_rollback_to(decision->store);
    }
    bool clean = srv_store_writes(decision->store) == writes;
    return clean                            ? DAYBOOK_OK
           : decision->status != DAYBOOK_OK ? decision->status
                                            : DAYBOOK_INTERNAL;
}

/* Runs the steps and sets the verdict. */
static daybook_status attempt(struct decision *decision)
{
    struct verdict *verdict = decision->verdict;
    int64_t writes = srv_store_writes(decision->store);
    bool savepoints = decision->decide->savepoints;
    daybook_status status = savepoints ? srv_store_savepoint(decision->store) : DAYBOOK_OK;
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (run_steps(decision)) {
        verdict->kind = decision->merged ? VERDICT_MERGED : VERDICT_ACCEPTED;
        verdict->position = decision->position;
        verdict->clock_suspect = decision->clamped;
        status = savepoints ? srv_store_release(decision->store) : DAYBOOK_OK;
        return status == DAYBOOK_OK ? srv_totals_keep(decision) : status;
    }
    status = undo(decision, writes);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (decision->status == DAYBOOK_OK) {
        assert(verdict->kind == VERDICT_REJECTED || verdict->kind == VERDICT_QUARANTINED);
        keep_for_newer(decision);
        return DAYBOOK_OK;
    }
    if (is_fatal(decision->status) || decision->author->is_server) {
        return decision->status;
    }
    dk_log(&decision->decide->log, LOG_ERROR, "decision failed device=%u seq=%lld status=%d",
           (unsigned)decision->author->device_no, (long long)decision->input->changeset.seq,
           (int)decision->status);
    memset(verdict, 0, sizeof *verdict);
    verdict->seq = decision->input->changeset.seq;
    verdict->kind = VERDICT_QUARANTINED;
    verdict->code = REJECT_INTERNAL;
    return DAYBOOK_OK;
}

/* Keeps what was decided under this seq, or that an earlier decision now belongs to it. */
static daybook_status keep(struct decision *decision, enum seen seen,
                           const struct srv_decision *before)
{
    switch (seen) {
    case SEEN_NEW: return srv_decide_record(decision);
    case SEEN_RESENT:
        return srv_store_adopt_decision(decision->store, decision->org->org, &before->changeset,
                                        decision->author->device_no,
                                        decision->input->changeset.seq);
    default: return DAYBOOK_OK;
    }
}

/* Decides a changeset whose seq is the author's next. *full: it is not decided, for it cannot be
 * kept until it is. */
static daybook_status decide_next(struct decision *decision, enum seen seen,
                                  const struct srv_decision *before, bool *full)
{
    *full = false;
    daybook_status status = seen == SEEN_NEW ? attempt(decision) : DAYBOOK_OK;
    if (status == DAYBOOK_OK && seen == SEEN_NEW) {
        status = srv_decide_is_full(decision, full);
    }
    if (status == DAYBOOK_OK && !*full) {
        status = keep(decision, seen, before);
    }
    if (status != DAYBOOK_OK || *full) {
        return status;
    }
    decision->author->decided = decision->input->changeset.seq;
    if (decision->verdict->kind == VERDICT_QUARANTINED) {
        decision->author->has_quarantine = true;
    }
    return DAYBOOK_OK;
}

/* See the header. */
daybook_status srv_decide(struct decide *decide, struct decide_org *org,
                          struct decide_author *author, const struct decide_input *input,
                          int64_t now_ms, struct verdict *verdict, enum decide_answer *answer)
{
    struct decision decision = {.decide = decide,
                                .store = decide->store,
                                .arena = &decide->arena,
                                .org = org,
                                .author = author,
                                .input = input,
                                .now_ms = now_ms,
                                .verdict = verdict};
    struct srv_decision before;
    enum seen seen = SEEN_NEW;
    dk_arena_reset(&decide->arena);
    daybook_status status = begin(&decision);
    if (status == DAYBOOK_OK) {
        status = srv_decide_seen(&decision, &seen, &before);
    }
    *answer = seen == SEEN_GAP        ? DECIDE_GAP
              : seen == SEEN_DIVERGED ? DECIDE_DIVERGED
                                      : DECIDE_VERDICT;
    bool next = input->changeset.seq == author->decided + 1;
    if (status == DAYBOOK_OK && *answer == DECIDE_VERDICT && next) {
        bool full;
        status = decide_next(&decision, seen, &before, &full);
        *answer = full ? DECIDE_FULL : DECIDE_VERDICT;
    }
    return status;
}

/* See the header. A changeset that has to wait on keeps its claims. */
daybook_status srv_decide_waiting(struct decide *decide, struct decide_org *org,
                                  struct decide_author *author, const struct decide_input *input,
                                  enum reject_code refused, int64_t now_ms, struct verdict *verdict)
{
    struct decision decision = {.decide = decide,
                                .store = decide->store,
                                .arena = &decide->arena,
                                .org = org,
                                .author = author,
                                .input = input,
                                .now_ms = now_ms,
                                .verdict = verdict,
                                .waited = true,
                                .refused = refused};
    dk_arena_reset(&decide->arena);
    daybook_status status = begin(&decision);
    if (status == DAYBOOK_OK) {
        status = srv_decide_forget(&decision);
    }
    if (status == DAYBOOK_OK) {
        status =
            srv_store_markers(decide->store, author->device_no, input->changeset.seq, 0, org->head,
                              &decide->arena, &decision.later, &decision.later_count);
    }
    if (status == DAYBOOK_OK) {
        status = attempt(&decision);
    }
    return status == DAYBOOK_OK ? srv_decide_record(&decision) : status;
}

/* See the header. */
daybook_status srv_decide_derive_anew(struct decide *decide, struct decide_org *org,
                                      struct decide_author *author, const struct srv_record *rows,
                                      int count, int64_t now_ms)
{
    static const struct decide_input nothing;
    struct verdict verdict;
    struct decision decision = {.decide = decide,
                                .store = decide->store,
                                .arena = &decide->arena,
                                .org = org,
                                .author = author,
                                .input = &nothing,
                                .now_ms = now_ms,
                                .verdict = &verdict};
    dk_arena_reset(&decide->arena);
    daybook_status status = begin(&decision);
    bool fine = status == DAYBOOK_OK && srv_works_init(&decision) &&
                srv_decide_mark_derived(&decision, rows, count) && srv_decide_derive(&decision) &&
                srv_decide_write(&decision);
    return fine || status != DAYBOOK_OK ? status : decision.status;
}
