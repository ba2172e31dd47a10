/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what happens when a snapshot of rows that are held begins, because their positions mean
 * nothing any more (this file is a copy, the server's log is another one), the log behind them is
 * gone, or they are in doubt. Called by apply, for a new instance and to load a bucket anew.
 * Invariants: rows stay readable and pending changes stay on top; a stale row takes no partial
 * change; what may be lost with the old log is in the outbox again; no position of an earlier epoch
 * is taken for one of the present.
 */
#include "engine/store/inside.h"

#include "engine/base/text.h"

#include <string.h>

/* Stale is a row's bucket turned into its complement. Rows that were made here and are not decided
 * have none; where something is pending, its row in table pending tells. `which` is a condition of
 * our own making. */
static daybook_status mark_rows(struct store *store, const char *which)
{
    daybook_status status = DAYBOOK_OK;
    char sql[240];
    int64_t before = dk_database_writes(&store->database);
    for (int kind = 0; kind < ENTITY_COUNT && status == DAYBOOK_OK; kind++) {
        (void)dk_text_format(sql, sizeof sql,
                             "UPDATE r_%s SET bucket=~bucket WHERE %s AND version>=0",
                             dk_entity(kind)->name, which);
        status = dk_database_run(&store->database, sql);
    }
    (void)dk_text_format(sql, sizeof sql,
                         "UPDATE pending SET bucket=~bucket WHERE %s AND base_state<>0;"
                         "UPDATE raw_record SET bucket=~bucket WHERE %s",
                         which, which);
    status = status == DAYBOOK_OK ? dk_database_run(&store->database, sql) : status;
    store->memory.stale = store->memory.stale || dk_database_writes(&store->database) > before;
    return status;
}

daybook_status dk_stale_rows(struct store *store)
{
    daybook_status status = mark_rows(store, "bucket>=0");
    status = status == DAYBOOK_OK ? dk_sums_clear(store) : status;
    return status == DAYBOOK_OK ? dk_loading_all(store) : status;
}

daybook_status dk_stale_bucket(struct store *store, int64_t bucket)
{
    char which[40], sql[80];
    (void)dk_text_format(which, sizeof which, "bucket=%lld", (long long)bucket);
    (void)dk_text_format(sql, sizeof sql, "UPDATE scope SET sum=0 WHERE bucket=%lld",
                         (long long)bucket);
    daybook_status status = mark_rows(store, which);
    return status == DAYBOOK_OK ? dk_database_run(&store->database, sql) : status;
}

/* Makes one change of a changeset that goes up again pending, on top of the base as it is. A record
 * that it made has no base. */
static daybook_status reopen_change(struct store *store, int64_t seq, const struct change *change,
                                    struct touched *touched)
{
    struct holding holding;
    struct base base;
    dk_arena_reset(&store->work);
    daybook_status status =
        dk_pending_load(store, change->entity, &change->id, &store->work, &holding);
    if (status == DAYBOOK_OK) {
        status = dk_pending_base(&holding, &store->work, &base);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (change->op == BLOCK_NEW) {
        base = (struct base){.state = BASE_ABSENT};
        dk_records_empty(&base.record, change->entity, &change->id);
    }
    holding.first = holding.is_pending && holding.first < seq ? holding.first : seq;
    holding.last = holding.is_pending && holding.last > seq ? holding.last : seq;
    return dk_pending_rebuild(store, &holding, &base, touched);
}

/* A settled one is pending again, on top of the base as it is. */
daybook_status dk_stale_reopen(struct store *store, const struct outbox_row *row,
                               struct touched *touched)
{
    struct decoded *decoded;
    daybook_status status = dk_outbox_note(store, row->seq, row->verdict, OUTBOX_NONE, 0);
    if (status != DAYBOOK_OK || row->verdict != OUTBOX_SETTLED) {
        return status;
    }
    status = dk_outbox_pin(store, row->seq, &decoded);
    if (status != DAYBOOK_OK) {
        return status;
    }
    for (int i = 0; i < decoded->changeset.change_count && status == DAYBOOK_OK; i++) {
        status = reopen_change(store, row->seq, &decoded->changeset.changes[i], touched);
    }
    dk_outbox_unpin(decoded);
    return status;
}

/* ---- positions of earlier epochs */

/* With an epoch of which nothing is known the log has nothing in common. */
daybook_status dk_stale_seen(struct store *store, uint64_t epoch, int64_t *seen)
{
    daybook_status status;
    bool row;
    int64_t shared = 0;
    if (epoch == store->memory.state.epoch || *seen == 0) {
        return DAYBOOK_OK;
    }
    struct statement *find = dk_statement(&store->database, &store->slots.past_epoch,
                                          "SELECT shared FROM past_epoch WHERE epoch=?", &status);
    if (find == NULL) {
        return status;
    }
    dk_bind_int(find, 1, (int64_t)epoch);
    status = dk_step(find, &row);
    if (status == DAYBOOK_OK && row) {
        shared = dk_column_int(find, 0);
        dk_reset(find);
    }
    *seen = *seen < shared ? *seen : shared;
    return status;
}

/* The present epoch ends, and has the log up to `shared` in common with the next one; so have those
 * before it, as far as they had it in common with this one. What is pending had seen no more. */
static daybook_status end_epoch(struct store *store, int64_t shared)
{
    char sql[320];
    (void)dk_text_format(sql, sizeof sql,
                         "INSERT OR REPLACE INTO past_epoch(epoch,shared) VALUES(%lld,%lld);"
                         "UPDATE past_epoch SET shared=min(shared,%lld);"
                         "UPDATE pending SET seen=min(seen,%lld)",
                         (long long)store->memory.state.epoch, (long long)shared, (long long)shared,
                         (long long)shared);
    return dk_database_run(&store->database, sql);
}

daybook_status dk_stale_epoch(struct store *store, uint64_t epoch, int64_t shared,
                              struct touched *touched)
{
    struct store_state *state = &store->memory.state;
    struct outbox_row *rows;
    int count;
    daybook_status status = dk_fetched_drop_all(store);
    if (status == DAYBOOK_OK) {
        status = dk_stale_rows(store);
    }
    if (status == DAYBOOK_OK && epoch != state->epoch) {
        status = end_epoch(store, shared);
    }
    if (store->memory.former_position == 0 || shared < store->memory.former_shared) {
        store->memory.former_shared = shared;
    }
    if (state->head > store->memory.former_position) {
        store->memory.former_position = state->head;
    }
    if (store->memory.stale && store->memory.stale_epoch == 0) {
        store->memory.stale_epoch = state->epoch;
    }
    state->epoch = epoch;
    if (status == DAYBOOK_OK) {
        status = dk_outbox_list(store, &store->arena, &rows, &count);
    }
    for (int i = 0; status == DAYBOOK_OK && i < count; i++) {
        bool lost = rows[i].position == 0 || rows[i].position > shared;
        if (rows[i].verdict != OUTBOX_NONE && lost) {
            status = dk_stale_reopen(store, &rows[i], touched);
        }
    }
    state->settled = 0; /* as far as the outbox says: see dk_outbox_refresh */
    state->position = 0;
    return status;
}
