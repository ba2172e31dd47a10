/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns who this store is: enrolment, and the new instance that a copied file takes. Called by the
 * syncer. Invariant: what the rules derive from the author (created_by, created_dev) is that of
 * whoever the server will take for the author of what is not decided yet.
 */
#include "engine/store/inside.h"

#include "engine/base/text.h"

#include <stdlib.h>
#include <string.h>

/* Lets the rules fill the records that an undecided changeset has made once more, for the present
 * author. */
static daybook_status stamp_made(struct store *store, int64_t seq, struct touched *touched)
{
    struct value made;
    const struct entity *entity;
    struct id id;
    size_t cursor = 0;
    daybook_status status = dk_outbox_texts(store, seq, &store->arena, &made, NULL);
    while (status == DAYBOOK_OK && dk_outbox_next_made(store, &made, &cursor, &entity, &id)) {
        struct holding holding;
        struct base base;
        dk_arena_reset(&store->work);
        status = entity == NULL ? DAYBOOK_CORRUPT
                                : dk_pending_load(store, entity, &id, &store->work, &holding);
        if (status == DAYBOOK_OK) {
            status = dk_pending_base(&holding, &store->work, &base);
        }
        if (status == DAYBOOK_OK && holding.has_row && base.state == BASE_ABSENT) {
            status = dk_pending_rebuild(store, &holding, &base, touched);
        }
    }
    return status;
}

/* The same for all changesets that are not settled, and what is derived from it. */
static daybook_status stamp_all(struct store *store)
{
    struct touched touched = {NULL, 0, 0};
    struct outbox_row *rows;
    int count;
    daybook_status status = dk_outbox_list(store, &store->arena, &rows, &count);
    for (int i = 0; status == DAYBOOK_OK && i < count; i++) {
        status = rows[i].verdict == OUTBOX_SETTLED ? DAYBOOK_OK
                                                   : stamp_made(store, rows[i].seq, &touched);
    }
    return status == DAYBOOK_OK ? dk_touched_derive(store, &touched, true) : status;
}

/* Puts what the server said into memory; false where it does not fit. */
static bool take_reply(struct store_state *state, const struct enrol_reply *reply)
{
    const char *role = reply->role == NULL ? "" : reply->role;
    if (reply->token == NULL || reply->token[0] == '\0' || reply->device_no < 1 ||
        reply->device_no > INT32_MAX) {
        return false;
    }
    state->device_no = (uint32_t)reply->device_no;
    state->organisation = reply->organisation;
    state->user = reply->user;
    state->territory = reply->territory;
    state->epoch = state->epoch == 0 ? reply->epoch : state->epoch;
    return dk_text_format(state->token, sizeof state->token, "%s", reply->token) &&
           dk_text_format(state->role, sizeof state->role, "%s", role);
}

daybook_status dk_store_enrolled(struct store *store, const struct enrol_reply *reply)
{
    daybook_status status = dk_store_begin(store);
    if (status != DAYBOOK_OK) {
        return status;
    }
    bool first = store->memory.state.device_no == 0;
    status = take_reply(&store->memory.state, reply) ? DAYBOOK_OK : DAYBOOK_BAD_REPLY;
    if (status == DAYBOOK_OK && first) {
        status = dk_number_all(store);
    }
    if (status == DAYBOOK_OK) {
        status = stamp_all(store);
    }
    if (status == DAYBOOK_OK) {
        store->changed |= STORE_CHANGED_SYNC;
        status = dk_store_write_meta(store);
    }
    return dk_store_end(store, status);
}

/* ---- a new instance */

/* The body with another number. Commit writes id and seq first: {"id":"…22…","seq":7,… */
static daybook_status renumber_body(struct store *store, const struct value *body, int64_t seq)
{
    static const char before[] = "\"seq\":";
    struct changeset header;
    struct buffer *out = &store->body;
    const char *at = body->length < 64 ? NULL : strstr(body->text, before);
    dk_buffer_reset(out);
    if (at == NULL || at - body->text > 64) {
        return DAYBOOK_CORRUPT;
    }
    at += sizeof before - 1;
    dk_buffer_append(out, body->text, (size_t)(at - body->text));
    dk_buffer_append_int(out, seq);
    while (*at >= '0' && *at <= '9') {
        at++;
    }
    dk_buffer_append(out, at, (size_t)(body->text + body->length - at));
    if (out->status != DAYBOOK_OK) {
        return out->status;
    }
    bool fine = dk_changeset_peek(out->bytes, out->length, &header) && header.seq == seq;
    return fine ? DAYBOOK_OK : DAYBOOK_CORRUPT;
}

/* Everything that names the old number names the new one. Numbers go down and are taken in
 * ascending order, so none is in use. */
static daybook_status renumber(struct store *store, int64_t old, int64_t new)
{
    struct value made, body;
    const struct entity *entity;
    struct id id;
    size_t cursor = 0;
    char sql[512];
    daybook_status status = dk_outbox_texts(store, old, &store->work, &made, &body);
    if (status == DAYBOOK_OK) {
        status = renumber_body(store, &body, new);
    }
    struct statement *statement =
        status != DAYBOOK_OK
            ? NULL
            : dk_statement(&store->database, &store->slots.outbox_renumber,
                           "UPDATE outbox SET seq=?,size=?,body=? WHERE seq=?", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, new);
    dk_bind_int(statement, 2, (int64_t)store->body.length);
    dk_body_bind(store, statement, 3, &store->body);
    dk_bind_int(statement, 4, old);
    status = dk_step_done(statement);
    (void)dk_text_format(sql, sizeof sql,
                         "UPDATE pending SET seq_first=%lld WHERE seq_first=%lld;"
                         "UPDATE pending SET seq_last=%lld WHERE seq_last=%lld",
                         (long long)new, (long long)old, (long long)new, (long long)old);
    if (status == DAYBOOK_OK) {
        status = dk_database_run(&store->database, sql);
    }
    while (status == DAYBOOK_OK && dk_outbox_next_made(store, &made, &cursor, &entity, &id)) {
        struct record record;
        bool done;
        if (entity == NULL) {
            return DAYBOOK_CORRUPT;
        }
        dk_records_empty(&record, entity, &id);
        status = dk_records_update_made(store, &record, 0, dk_version_made(new), 0, old, &done);
    }
    return status;
}

/* Settled changesets stay behind: the server has them, and this instance did not send them. All
 * others go up again. */
static daybook_status renumber_all(struct store *store)
{
    struct outbox_row *rows;
    int count;
    int64_t next = 1;
    daybook_status status = dk_outbox_list(store, &store->arena, &rows, &count);
    for (int i = 0; status == DAYBOOK_OK && i < count; i++) {
        dk_arena_reset(&store->work);
        if (rows[i].verdict == OUTBOX_SETTLED) {
            status = dk_outbox_remove(store, rows[i].seq, rows[i].verdict);
            continue;
        }
        status = dk_outbox_note(store, rows[i].seq, rows[i].verdict, OUTBOX_NONE, 0);
        if (status == DAYBOOK_OK && rows[i].seq != next) {
            status = renumber(store, rows[i].seq, next);
        }
        next++;
    }
    store->memory.state.next_seq = next;
    return status;
}

/* One transaction; the observer hears of it, since the states of all records may change. */
daybook_status dk_store_new_instance(struct store *store, const struct id *instance,
                                     uint32_t device_no)
{
    daybook_status status = dk_store_begin(store);
    if (status != DAYBOOK_OK) {
        return status;
    }
    struct store_state *state = &store->memory.state;
    state->instance = *instance;
    state->device_no = device_no;
    state->position = 0;
    state->settled = 0;
    store->memory.sent_seq = 0;
    store->changed = UINT64_MAX;
    status = renumber_all(store);
    if (status == DAYBOOK_OK) {
        status = stamp_all(store);
    }
    if (status == DAYBOOK_OK) {
        status = dk_stale_rows(store);
    }
    if (status == DAYBOOK_OK) {
        status = dk_outbox_refresh(store);
    }
    if (status == DAYBOOK_OK) {
        status = dk_store_write_meta(store);
    }
    return dk_store_end(store, status);
}
