/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the road down: one reply of the server becomes one transaction, with the new position.
 * Called by the syncer. Invariant: a reply that is damaged, that contradicts itself or what is
 * known changes nothing.
 *
 * Order within the transaction: reset, scope and evictions, verdicts, snapshot pages, log rows,
 * which buckets are complete, verdicts whose place in the log is still to come, derived fields,
 * position. See apply_scope.c, apply_verdict.c, apply_page.c, apply_log.c, apply_own.c, loading.c,
 * stale.c.
 */
#include "engine/store/inside.h"

#include <string.h>

daybook_status dk_apply_bad(struct apply *apply, const char *problem)
{
    apply->problem = problem;
    return DAYBOOK_BAD_REPLY;
}

/* Entries at or below the version are in it already, but for the corrections that stand beside an
 * own marker. */
bool dk_apply_is_news(const struct apply *apply, int64_t position, int64_t version)
{
    return position > version || (position == version && position == apply->own_position);
}

/* What the reply's numbers must keep. */
static daybook_status check_numbers(struct apply *apply)
{
    const struct sync_reply *reply = apply->reply;
    const struct store_state *state = &apply->store->memory.state;
    if (!dk_epoch_is_valid(reply->epoch)) {
        return dk_apply_bad(apply, "epoch is out of range");
    }
    if (reply->position < 0 || reply->head < reply->position || reply->safe_position < 0 ||
        reply->safe_position > reply->head) {
        return dk_apply_bad(apply, "position, head and safe_position are out of order");
    }
    if (reply->reset) {
        return reply->pages.bytes != NULL || reply->log.bytes != NULL
                   ? dk_apply_bad(apply, "a reply that resets the position brings rows")
                   : DAYBOOK_OK;
    }
    if (reply->position < state->position) {
        return dk_apply_bad(apply, "position goes back");
    }
    if (state->epoch != 0 && state->epoch != reply->epoch) {
        return dk_apply_bad(apply, "another epoch without reset");
    }
    return DAYBOOK_OK;
}

/* A snapshot of the whole scope begins, with the log from the new position on: because the log that
 * this device would have to read is not there any more, or the positions known so far are those of
 * another one. */
static daybook_status apply_reset(struct apply *apply)
{
    struct store_state *state = &apply->store->memory.state;
    const struct sync_reply *reply = apply->reply;
    bool other_log =
        (state->epoch != 0 && state->epoch != reply->epoch) || state->position > reply->head;
    daybook_status status = DAYBOOK_OK;
    if (reply->reset) {
        status = other_log
                     ? dk_stale_epoch(apply->store, reply->epoch, reply->shared, &apply->touched)
                     : dk_stale_rows(apply->store);
        state->position = reply->position;
    }
    state->epoch = reply->epoch;
    apply->start = state->position;
    return status;
}

/* At the head, and with nothing loading, the version sums must be the server's. */
static daybook_status compare(struct apply *apply)
{
    struct store *store = apply->store;
    const struct sync_reply *reply = apply->reply;
    uint64_t sum = 0;
    if (reply->sum == 0 || reply->position != reply->head || reply->more ||
        store->memory.state.loading > 0) {
        return DAYBOOK_OK;
    }
    daybook_status status = dk_sums_write(store);
    if (status == DAYBOOK_OK) {
        status = dk_sums_scope(store, &sum);
    }
    if (status != DAYBOOK_OK || sum == reply->sum) {
        return status == DAYBOOK_OK ? dk_diverged_none(apply) : status;
    }
    apply->applied->differs = true;
    return reply->sums.bytes != NULL ? dk_apply_divergence(apply) : DAYBOOK_OK;
}

/* Position and all that goes with it, when everything else is in place. */
static daybook_status finish(struct apply *apply)
{
    struct store *store = apply->store;
    struct store_state *state = &store->memory.state;
    const struct sync_reply *reply = apply->reply;
    state->position = reply->position;
    state->head = reply->head;
    state->safe_position = reply->safe_position;
    daybook_status status = dk_touched_derive(store, &apply->touched, true);
    if (status == DAYBOOK_OK && (store->changed & dk_store_bit(ENTITY_HOLD)) != 0) {
        status = dk_inbox_drop_holds(store);
    }
    if (status == DAYBOOK_OK) {
        status = compare(apply);
    }
    if (status == DAYBOOK_OK) {
        status = dk_outbox_purge(store);
    }
    if (status == DAYBOOK_OK) {
        status = dk_outbox_refresh(store);
    }
    if (status == DAYBOOK_OK) {
        store->changed |= STORE_CHANGED_SYNC;
        status = dk_store_write_meta(store);
    }
    return status;
}

/* The steps of one reply, in their order, up to the first that fails. */
static daybook_status run(struct apply *apply)
{
    static daybook_status (*const steps[])(struct apply *) = {
        check_numbers,  apply_reset,  dk_apply_scope,  dk_apply_verdicts,
        dk_apply_pages, dk_apply_log, dk_apply_loaded, dk_apply_verdicts_late,
        finish,
    };
    daybook_status status = DAYBOOK_OK;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && status == DAYBOOK_OK; i++) {
        status = steps[i](apply);
    }
    return status;
}

/* A copy is no failure of the call: nothing was applied, and the syncer knows what to do. */
daybook_status dk_store_apply(struct store *store, struct sync_reply *reply, struct arena *arena,
                              struct store_applied *applied, const char **problem)
{
    struct apply apply = {.store = store, .reply = reply, .applied = applied, .arena = arena};
    memset(applied, 0, sizeof *applied);
    *problem = NULL;
    daybook_status status = dk_store_begin(store);
    if (status != DAYBOOK_OK) {
        return status;
    }
    status = run(&apply);
    if (status == DAYBOOK_TOO_LARGE) {
        status = dk_apply_bad(&apply, "what it makes of a record is past a limit");
    }
    status = dk_store_end(store, status);
    if (status == DAYBOOK_OK) {
        return DAYBOOK_OK;
    }
    bool copy_detected = applied->copy_detected;
    memset(applied, 0, sizeof *applied);
    applied->copy_detected = copy_detected && status == DAYBOOK_DIVERGED;
    if (status == DAYBOOK_BAD_REPLY) {
        *problem = apply.problem == NULL ? "the reply cannot be applied" : apply.problem;
    }
    return applied->copy_detected ? DAYBOOK_OK : status;
}
