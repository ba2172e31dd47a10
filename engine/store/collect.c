/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the road up as far as the store goes: which bodies go into the next request, and what must
 * be on the disk before they leave. Called by the syncer. Invariant: a number that was given out
 * here is never given to another changeset, also after a power loss.
 */
#include "engine/store/inside.h"

/* Raises sent_seq in the file. With the relaxed option this commit waits for the disk, and so for
 * all commits before it (they are in the same log); with the other one it need not, because the
 * changesets are on the disk already, and what would be lost is only which of them count as
 * "sending". */
static daybook_status note_sent(struct store *store, int64_t seq)
{
    daybook_status status = dk_database_synchronous(&store->database, store->options.relaxed);
    if (status != DAYBOOK_OK) {
        return status;
    }
    status = dk_database_begin(&store->database);
    if (status == DAYBOOK_OK) {
        struct statement *note = dk_statement(&store->database, &store->slots.meta_sent,
                                              "UPDATE meta SET sent_seq=?", &status);
        if (note != NULL) {
            dk_bind_int(note, 1, seq);
            status = dk_step_done(note);
        }
        if (status == DAYBOOK_OK) {
            status = dk_database_commit(&store->database);
        } else {
            dk_database_rollback(&store->database);
        }
    }
    daybook_status restored = dk_database_synchronous(&store->database, !store->options.relaxed);
    if (status == DAYBOOK_OK) {
        store->memory.sent_seq = seq;
        store->changed |= STORE_CHANGED_SYNC;
    }
    return status != DAYBOOK_OK ? status : restored;
}

/* Appends the bodies as a JSON array; see dk_store_collect. A request has no gap: a changeset whose
 * verdict was lost may stand alone where those behind it were settled by their markers. */
static daybook_status append_bodies(struct store *store, int64_t after, size_t max_bytes,
                                    int max_count, struct buffer *out, struct store_batch *batch)
{
    daybook_status status;
    bool row;
    size_t taken = 0;
    struct statement *collect = dk_statement(
        &store->database, &store->slots.outbox_collect,
        "SELECT seq,size,body FROM outbox WHERE seq>? AND verdict=0 ORDER BY seq", &status);
    if (collect == NULL) {
        return status;
    }
    dk_bind_int(collect, 1, after);
    dk_buffer_append_char(out, '[');
    while ((status = dk_step(collect, &row)) == DAYBOOK_OK && row) {
        size_t size = (size_t)dk_column_int(collect, 1);
        if (batch->count == max_count || (batch->count > 0 && taken + size + 1 > max_bytes)) {
            break;
        }
        int64_t seq = dk_column_int(collect, 0);
        if (batch->count > 0 && seq != batch->last_seq + 1) {
            break;
        }
        const char *body;
        status = dk_body_read(store, collect, 1, 2, &body, &size);
        if (status != DAYBOOK_OK) {
            break;
        }
        dk_buffer_append_text(out, batch->count == 0 ? "" : ",");
        dk_buffer_append(out, body, size);
        taken += size + 1;
        batch->count++;
        batch->first_seq = batch->first_seq == 0 ? seq : batch->first_seq;
        batch->last_seq = seq;
    }
    dk_reset(collect);
    dk_buffer_append_char(out, ']');
    return status != DAYBOOK_OK ? status : out->status;
}

daybook_status dk_store_collect(struct store *store, int64_t after, size_t max_bytes, int max_count,
                                struct buffer *out, struct store_batch *batch)
{
    *batch = (struct store_batch){0, 0, 0};
    (void)pthread_mutex_lock(&store->lock);
    store->changed = 0;
    daybook_status status = append_bodies(store, after, max_bytes, max_count, out, batch);
    if (status == DAYBOOK_OK && batch->last_seq > store->memory.sent_seq) {
        status = note_sent(store, batch->last_seq);
    }
    uint64_t changed = store->changed;
    (void)pthread_mutex_unlock(&store->lock);
    if (status != DAYBOOK_OK) {
        *batch = (struct store_batch){0, 0, 0};
    }
    if (changed != 0 && store->options.changed != NULL) {
        store->options.changed(store->options.context, changed);
    }
    return status;
}

daybook_status dk_store_ask_again(struct store *store)
{
    struct outbox_row *rows;
    int count = 0;
    daybook_status status = dk_store_begin(store);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (store->memory.state.unsettled > 0) {
        status = dk_outbox_list(store, &store->arena, &rows, &count);
    }
    for (int i = 0; i < count && status == DAYBOOK_OK; i++) {
        if (rows[i].verdict == OUTBOX_QUARANTINED) {
            store->changed |= STORE_CHANGED_SYNC;
            status = dk_outbox_note(store, rows[i].seq, rows[i].verdict, OUTBOX_NONE, 0);
        }
    }
    return dk_store_end(store, status == DAYBOOK_OK ? dk_outbox_refresh(store) : status);
}

daybook_status dk_store_write_scope(struct store *store, struct buffer *out)
{
    daybook_status status;
    bool row;
    const char *separator = "[";
    (void)pthread_mutex_lock(&store->lock);
    struct statement *load = dk_statement(&store->database, &store->slots.scope_load,
                                          "SELECT bucket FROM scope ORDER BY bucket", &status);
    while (load != NULL && (status = dk_step(load, &row)) == DAYBOOK_OK && row) {
        dk_buffer_append_text(out, separator);
        dk_buffer_append_int(out, dk_column_int(load, 0));
        separator = ",";
    }
    (void)pthread_mutex_unlock(&store->lock);
    dk_buffer_append_text(out, *separator == '[' ? "[]" : "]");
    return status != DAYBOOK_OK ? status : out->status;
}
