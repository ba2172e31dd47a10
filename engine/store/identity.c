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
    struct touched touched = {.count = 0};
    struct outbox_row *rows;
    int count;
    daybook_status status = dk_outbox_list(store, &store->arena, &rows, &count);
    for (int i = 0; status == DAYBOOK_OK && i < count; i++) {
        status = rows[i].verdict == OUTBOX_SETTLED ? DAYBOOK_OK
                                                   : stamp_made(store, rows[i].seq, &touched);
    }
    return status == DAYBOOK_OK ? dk_touched_derive(store, &touched, true) : status;
}

/* ---- device numbers */

/* The number that the server gives to this store from now on; the one before is remembered. */
static daybook_status take_number(struct store *store, uint32_t device_no)
{
    struct store_state *state = &store->memory.state;
    uint32_t former = state->device_no;
    char sql[100];
    state->device_no = device_no;
    (void)dk_text_format(sql, sizeof sql,
                         "INSERT OR IGNORE INTO former_device(device_no) VALUES(%u)", former);
    return former == 0 || former == device_no ? DAYBOOK_OK : dk_database_run(&store->database, sql);
}

daybook_status dk_identity_is_own(struct store *store, int64_t device_no, bool *own)
{
    daybook_status status;
    *own = device_no == (int64_t)store->memory.state.device_no;
    if (*own) {
        return DAYBOOK_OK;
    }
    struct statement *find = dk_statement(&store->database, &store->slots.former_device,
                                          "SELECT 1 FROM former_device WHERE device_no=?", &status);
    if (find == NULL) {
        return status;
    }
    dk_bind_int(find, 1, device_no);
    status = dk_step(find, own);
    dk_reset(find);
    return status;
}

/* ---- enrolment */

/* Puts what the server said into memory, but for the number; false where it does not fit. */
static bool take_reply(struct store_state *state, const struct enrol_reply *reply)
{
    const char *role = reply->role == NULL ? "" : reply->role;
    if (reply->token == NULL || reply->token[0] == '\0' || reply->device_no < 1 ||
        reply->device_no > INT32_MAX) {
        return false;
    }
    state->organisation = reply->organisation;
    state->user = reply->user;
    state->territory = reply->territory;
    state->epoch = state->epoch == 0 ? reply->epoch : state->epoch;
    return dk_text_format(state->token, sizeof state->token, "%s", reply->token) &&
           dk_text_format(state->role, sizeof state->role, "%s", role);
}

/* Sets how commits from now on wait for the disk. */
static daybook_status wait_for_disk(struct store *store, bool wait)
{
    (void)pthread_mutex_lock(&store->lock);
    daybook_status status = dk_database_synchronous(&store->database, wait);
    (void)pthread_mutex_unlock(&store->lock);
    return status;
}

/* Writes what the server said. */
static daybook_status write_reply(struct store *store, const struct enrol_reply *reply)
{
    daybook_status status = dk_store_begin(store);
    if (status != DAYBOOK_OK) {
        return status;
    }
    bool first = store->memory.state.device_no == 0;
    status = take_reply(&store->memory.state, reply)
                 ? take_number(store, (uint32_t)reply->device_no)
                 : DAYBOOK_BAD_REPLY;
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

/* Waits for the disk also with the relaxed option: a code is good for one enrolment. */
daybook_status dk_store_enrolled(struct store *store, const struct enrol_reply *reply)
{
    daybook_status status = wait_for_disk(store, true);
    if (status != DAYBOOK_OK) {
        return status;
    }
    status = write_reply(store, reply);
    daybook_status restored = wait_for_disk(store, !store->options.relaxed);
    return status != DAYBOOK_OK ? status : restored;
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

/* All go up again under new numbers, also those that are settled and kept: the server may lose them
 * yet, and would take their old numbers for those of others. */
static daybook_status renumber_all(struct store *store)
{
    struct outbox_row *rows;
    struct touched touched = {.count = 0};
    int count;
    daybook_status status = dk_outbox_list(store, &store->arena, &rows, &count);
    for (int i = 0; status == DAYBOOK_OK && i < count; i++) {
        status = dk_stale_reopen(store, &rows[i], &touched);
    }
    dk_outbox_forget(store); /* they are known by their numbers */
    for (int i = 0; status == DAYBOOK_OK && i < count; i++) {
        dk_arena_reset(&store->work);
        status = rows[i].seq == i + 1 ? DAYBOOK_OK : renumber(store, rows[i].seq, i + 1);
    }
    store->memory.state.next_seq = count + 1;
    return status == DAYBOOK_OK ? dk_touched_derive(store, &touched, true) : status;
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
    state->position = 0;
    state->settled = 0;
    store->memory.sent_seq = 0;
    store->changed = UINT64_MAX;
    status = take_number(store, device_no);
    if (status == DAYBOOK_OK) {
        status = dk_stale_rows(store);
    }
    if (status == DAYBOOK_OK) {
        status = renumber_all(store);
    }
    if (status == DAYBOOK_OK) {
        status = stamp_all(store);
    }
    if (status == DAYBOOK_OK) {
        status = dk_outbox_refresh(store);
    }
    if (status == DAYBOOK_OK) {
        status = dk_store_write_meta(store);
    }
    return dk_store_end(store, status);
}
