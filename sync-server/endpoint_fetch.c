/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /v1/fetch: one document with its child rows, as it is now, whatever class it is in. Called
 * by the workers; nothing is written. Invariant: what does not exist, what is deleted, what is no
 * document and what has a root out of the user's scope give the same answer, without rows.
 */
#include "sync-server/inside.h"

#include <string.h>

/* Reads the request; the device must be signed in. */
static enum job_way parse_fetch(struct worker *worker, struct job *job)
{
    struct caller caller;
    struct fetch_request *request = &job->fetch;
    daybook_status status = srv_sign_in(worker->reader, job->token, &caller);
    if (status != DAYBOOK_OK) {
        return srv_job_fail_status(job, status);
    }
    if (!srv_job_expand(job, worker->codec) ||
        !srv_job_decode(job, &dk_fetch_request_table, request)) {
        return WAY_DONE;
    }
    if (dk_id_is_zero(&request->record)) {
        return srv_job_fail(job, 400, "BAD_REQUEST", "member \"record\" is no id");
    }
    return WAY_REPLY;
}

/* Writes the document's child rows of every kind. */
static daybook_status write_children(struct worker *worker, int64_t org,
                                     const struct record *document, struct snapshot_rows *rows)
{
    const struct entity *child;
    daybook_status status = DAYBOOK_OK;
    for (int n = 0;
         status == DAYBOOK_OK && (child = dk_entity_child(document->entity->kind, n)) != NULL;
         n++) {
        struct srv_record *children;
        int count;
        status = srv_store_children(worker->reader, org, child, &document->id, &worker->arena,
                                    &children, &count);
        for (int i = 0; status == DAYBOOK_OK && i < count; i++) {
            status = srv_snapshot_row(rows, &children[i].record);
        }
    }
    return status;
}

/* Reads the document in the snapshot that is open; nothing where it is not for the caller. */
static daybook_status read_document(struct worker *worker, const struct job *job)
{
    const struct fetch_request *request = &job->fetch;
    const struct entity *entity = dk_entity_by_name(request->entity, strlen(request->entity));
    struct snapshot_rows rows;
    struct caller caller;
    struct scope scope;
    struct srv_record row;
    bool found = false;
    daybook_status status = srv_sign_in(worker->reader, job->token, &caller);
    if (status == DAYBOOK_OK) {
        status =
            srv_scope_rights(worker->reader, &caller.account, SCOPE_NOW, &worker->arena, &scope);
    }
    if (status == DAYBOOK_OK && entity != NULL && srv_class_applies(entity)) {
        status = srv_store_get(worker->reader, caller.account.org, entity, &request->record,
                               &worker->arena, &row, &found);
    }
    if (status != DAYBOOK_OK || !found || row.deleted || !srv_scope_has_root(&scope, row.bucket)) {
        return status;
    }
    srv_snapshot_begin(&rows, &worker->log);
    status = srv_snapshot_row(&rows, &row.record);
    if (status == DAYBOOK_OK) {
        status = write_children(worker, caller.account.org, &row.record, &rows);
    }
    srv_snapshot_end(&rows);
    return status == DAYBOOK_OK ? worker->log.status : status;
}

/* The rows, read in one snapshot, as a fetch_reply. */
static void reply_fetch(struct worker *worker, struct job *job)
{
    struct fetch_reply reply = {.protocol = PROTOCOL_VERSION};
    dk_buffer_reset(&worker->log);
    daybook_status status = srv_store_begin_read(worker->reader);
    if (status == DAYBOOK_OK) {
        status = read_document(worker, job);
        srv_store_end_read(worker->reader);
    }
    if (status != DAYBOOK_OK) {
        (void)srv_job_fail_status(job, status);
    }
    reply.server_ms = srv_now_ms();
    reply.rows = (struct span){.bytes = worker->log.length == 0 ? NULL : worker->log.bytes,
                               .length = worker->log.length};
    srv_job_answer(worker, job, &dk_fetch_reply_table, &reply);
}

/* What only reads is never given to the decider. */
static daybook_status decide_fetch(struct decider *decider, struct job *job)
{
    (void)decider;
    (void)job;
    return DAYBOOK_INTERNAL;
}

const struct endpoint srv_endpoint_fetch = {"POST", "/v1/fetch", parse_fetch, decide_fetch,
                                            reply_fetch};
