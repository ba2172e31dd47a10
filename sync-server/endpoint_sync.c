/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /v1/sync: parse the request, decide its changesets, build the reply. Called by the workers
 * (parse, reply) and the decider. Invariant: what a request says about itself is checked against
 * the store twice, when it is parsed and again inside the deciding transaction.
 */
#include "sync-server/inside.h"

#include "engine/base/text.h"
#include "engine/protocol/convert.h"

#include <string.h>

/* Decisions that a device has not acknowledged are read with each of its replies. No client that
 * applies what it is sent comes near this. */
#define UNSETTLED_MAX 100000
#define FULL_RETRY_MS (10 * 60 * 1000) /* when to ask again whether the quarantine has room */

/* ---- parse */

/* Takes the instance that the request is of, and looks at the device's numbers against what the
 * store knows of it. False: the job has failed. */
static bool check_instance(struct srv_store *store, struct job *job, struct srv_device *device)
{
    const struct sync_request *request = &job->sync.request;
    daybook_status status = srv_take_instance(store, &request->instance, device);
    if (status != DAYBOOK_OK) {
        (void)srv_job_fail_status(job, status);
        return false;
    }
    /* A lease of before this server was restored may have come late, and the instance have got
     * another number. */
    bool other = request->device_no != 0 && request->device_no != (int64_t)device->device_no;
    if (other || request->settled < device->settled) {
        (void)srv_job_fail(job, 409, "DIVERGED",
                           other ? "the instance has another number"
                                 : "settled has gone backwards");
        return false;
    }
    return true;
}

/* Ranges of the members that the tables do not check. */
static bool check_request(struct job *job)
{
    const struct sync_request *request = &job->sync.request;
    const char *wrong = request->schema < 1                 ? "schema"
                        : dk_id_is_zero(&request->instance) ? "instance"
                        : request->position < 0             ? "position"
                        : request->settled < 0              ? "settled"
                        : request->page_bytes < 0           ? "page_bytes"
                        : request->diverged > LIMIT_BUCKETS ? "diverged"
                                                            : NULL;
    if (wrong != NULL) {
        (void)srv_job_fail(job, 400, "BAD_REQUEST", "member \"%s\" is out of range", wrong);
    }
    return wrong == NULL;
}

/* The text of a changeset for the quarantine: expanded once more, because decoding has written to
 * it. */
struct text_source {
    struct job *job;
    int number;
};

/* decide_input.text: on the decider's thread, with its codec. */
static daybook_status changeset_text(void *context, const char **bytes, size_t *length)
{
    struct text_source *source = context;
    const struct sync_job *sync = &source->job->sync;
    const char *text;
    daybook_status status =
        srv_job_original(source->job, source->job->service->decider.codec, &text);
    if (status == DAYBOOK_OK) {
        *bytes = text + sync->offsets[source->number];
        *length = sync->lengths[source->number];
    }
    return status;
}

/* Fills in what a refused changeset would have made: found in a list that has room for the most and
 * serves all of a request, for a request may have many that made little. */
static bool take_made(struct worker *worker, struct job *job, int number)
{
    struct sync_job *sync = &job->sync;
    struct decide_input *input = &sync->inputs[number];
    const char *text;
    if (sync->made == NULL) {
        sync->made = dk_arena_new(&job->arena, LIMIT_CHANGESET_CHANGES * sizeof *sync->made);
    }
    daybook_status status = srv_job_original(job, worker->codec, &text);
    char *copy = NULL;
    if (status == DAYBOOK_OK) {
        copy = dk_memory_copy_text(text + sync->offsets[number], sync->lengths[number]);
    }
    char *ids = NULL;
    if (sync->made != NULL && copy != NULL) {
        bool all = input->changeset.schema > SCHEMA_VERSION; /* it may be quarantined */
        srv_read_made(copy, sync->lengths[number], all, sync->made, &input->made_count);
        ids = dk_arena_copy(&job->arena, (const char *)sync->made,
                            (size_t)input->made_count * sizeof *sync->made);
    }
    dk_memory_free(copy);
    input->made = (const struct id *)(const void *)ids;
    return ids != NULL || srv_job_fail_status(job, DAYBOOK_NO_MEMORY);
}

/* Decodes the next changeset of the request, whose raw text was found. */
static bool take_changeset(struct worker *worker, struct job *job, int64_t *last_seq)
{
    struct sync_job *sync = &job->sync;
    int number = sync->count;
    char *raw = job->text.bytes + sync->offsets[number];
    size_t length = sync->lengths[number];
    struct decide_input *input = &sync->inputs[number];
    struct text_source *source = dk_arena_new(&job->arena, sizeof *source);
    const char *problem;
    if (source == NULL || !srv_decide_digest(raw, length, input->digest)) {
        (void)srv_job_fail_status(job, DAYBOOK_NO_MEMORY);
        return false;
    }
    *source = (struct text_source){job, number};
    input->text = changeset_text;
    input->context = source;
    bool decoded = dk_changeset_decode(raw, length, &job->arena, &input->changeset, &input->refusal,
                                       &input->refused, &problem);
    int64_t seq = input->changeset.seq;
    if (!decoded && problem != NULL) {
        if (job->arena.full) {
            (void)srv_job_fail(job, 413, "TOO_LARGE",
                               "changeset %lld and those before it take too much memory",
                               (long long)seq);
        } else {
            job->seq = seq;
            (void)srv_job_fail(job, 400, "BAD_REQUEST", "changeset %lld: %s", (long long)seq,
                               problem);
        }
        return false;
    }
    if ((*last_seq != 0 && seq != *last_seq + 1) || seq <= sync->request.settled) {
        (void)srv_job_fail(job, 400, "BAD_REQUEST", "seq %lld is not in order, or settled",
                           (long long)seq);
        return false;
    }
    *last_seq = seq;
    sync->count++;
    if (input->refusal.code != REJECT_NONE) {
        return take_made(worker, job, number);
    }
    if (!dk_convert(&input->changeset, &job->arena)) {
        (void)srv_job_fail_status(job, DAYBOOK_NO_MEMORY);
        return false;
    }
    return true;
}

/* Finds the texts of the changesets: offsets and lengths in the expanded body. How many there are;
 * -1: too many, or no array. */
static int find_changesets(struct job *job)
{
    struct sync_job *sync = &job->sync;
    const struct span *raw = &sync->request.changesets;
    struct json_reader json;
    int count = 0;
    dk_json_open(&json, raw->bytes, raw->length);
    json.any_number = true;
    if (dk_json_next(&json) != JSON_ARRAY) {
        return -1;
    }
    while (!srv_at_close(&json)) {
        const char *text;
        if (count == LIMIT_CHANGESETS || !dk_json_skip(&json, &text, &sync->lengths[count])) {
            return -1;
        }
        sync->offsets[count++] = (size_t)(text - job->text.bytes);
    }
    return count;
}

/* Walks the array of changesets; each is decoded in place. */
static bool take_changesets(struct worker *worker, struct job *job)
{
    struct sync_job *sync = &job->sync;
    int64_t last_seq = 0;
    if (sync->request.changesets.bytes == NULL) {
        return true;
    }
    sync->offsets = dk_arena_new(&job->arena, LIMIT_CHANGESETS * sizeof *sync->offsets);
    sync->lengths = dk_arena_new(&job->arena, LIMIT_CHANGESETS * sizeof *sync->lengths);
    if (job->arena.failed) {
        (void)srv_job_fail_status(job, DAYBOOK_NO_MEMORY);
        return false;
    }
    int count = find_changesets(job);
    if (count < 0) {
        (void)srv_job_fail(job, 400, "BAD_REQUEST", "changesets are no array, or too many");
        return false;
    }
    sync->inputs = dk_arena_new(&job->arena, ((size_t)count + 1) * sizeof *sync->inputs);
    if (job->arena.failed) {
        (void)srv_job_fail_status(job, DAYBOOK_NO_MEMORY);
        return false;
    }
    for (int i = 0; i < count; i++) {
        if (!take_changeset(worker, job, &last_seq)) {
            return false;
        }
    }
    return true;
}

/* Signs in, reads the request, decodes its changesets, and says whether the decider has to see it:
 * for changesets, a settled mark that has moved on, or a device not noted for long. */
static enum job_way parse_sync(struct worker *worker, struct job *job)
{
    struct caller caller;
    const char *problem = NULL;
    struct sync_job *sync = &job->sync;
    sync->received_ms = srv_now_ms();
    dk_buffer_init(&sync->verdicts, LIMIT_REPLY_EXPANDED);
    daybook_status status = srv_sign_in(worker->reader, job->token, &caller);
    if (status != DAYBOOK_OK) {
        return srv_job_fail_status(job, status);
    }
    if (!srv_job_expand(job, worker->codec) ||
        !srv_job_decode(job, &dk_sync_request_table, &sync->request) || !check_request(job) ||
        !check_instance(worker->reader, job, &caller.device)) {
        return WAY_DONE;
    }
    if (!srv_scope_read(&sync->request.scope, &job->arena, &sync->held, &sync->held_count,
                        &problem)) {
        return srv_job_fail(job, 400, "BAD_REQUEST", "%s", problem);
    }
    if (!srv_snapshot_read_places(&sync->request.loading, &job->arena, &sync->loading,
                                  &sync->loading_count, &problem)) {
        return srv_job_fail(job, 400, "BAD_REQUEST", "%s", problem);
    }
    if (!take_changesets(worker, job)) {
        return WAY_DONE;
    }
    job->weight = sync->count;
    /* What only reads need not wait for a commit, unless there is something to note. */
    int64_t settled = sync->request.settled < caller.device.decided ? sync->request.settled
                                                                    : caller.device.decided;
    bool note = settled > caller.device.settled || sync->request.diverged > 0 ||
                srv_now_ms() - caller.device.seen_ms > SEEN_INTERVAL_MS;
    return sync->count > 0 || note ? WAY_DECIDER : WAY_REPLY;
}

/* ---- decide */

/* A changeset that cannot be kept until it is decided: those before it have their verdicts, and the
 * device sends the rest again. Where it is the first, there is nothing to say but to come back. */
static void stop_at_full(struct decider *decider, struct job *job, uint32_t device_no)
{
    struct sync_job *sync = &job->sync;
    dk_log(&decider->service->log, LOG_ERROR, "quarantine full device=%u seq=%lld",
           (unsigned)device_no, (long long)sync->inputs[sync->answered].changeset.seq);
    if (sync->answered == 0) {
        job->retry_after_ms = FULL_RETRY_MS;
        (void)srv_job_fail(job, 503, "BUSY", "too much of this user's waits in quarantine");
    }
}

/* Decides the changesets one after the other; stops at one that cannot be answered with a
 * verdict. */
static daybook_status decide_changesets(struct decider *decider, struct job *job,
                                        struct decide_org *org, struct decide_author *author,
                                        int64_t now_ms)
{
    struct sync_job *sync = &job->sync;
    sync->answered = 0; /* it may be decided once more, after a rollback */
    for (int i = 0; i < sync->count; i++) {
        struct verdict verdict;
        enum decide_answer answer;
        daybook_status status =
            srv_decide(decider->decide, org, author, &sync->inputs[i], now_ms, &verdict, &answer);
        if (status != DAYBOOK_OK) {
            return status;
        }
        if (answer == DECIDE_GAP) {
            job->seq = author->decided + 1;
            (void)srv_job_fail(job, 409, "GAP", "seq %lld came, %lld is expected",
                               (long long)sync->inputs[i].changeset.seq, (long long)job->seq);
            return DAYBOOK_OK;
        }
        if (answer == DECIDE_FULL) {
            stop_at_full(decider, job, author->device_no);
            return sync->verdicts.status;
        }
        if (answer == DECIDE_DIVERGED) {
            (void)srv_job_fail(job, 409, "DIVERGED", "seq %lld was another changeset before",
                               (long long)sync->inputs[i].changeset.seq);
            return DAYBOOK_OK;
        }
        if (i > 0) {
            dk_buffer_append_char(&sync->verdicts, ',');
        }
        dk_verdict_write(&sync->verdicts, &verdict);
        sync->answered++;
    }
    return sync->verdicts.status;
}

/* The device has found buckets that are not what they should be. It mends itself; that it had to is
 * for the operator to know. */
static daybook_status note_divergence(struct decider *decider, const struct srv_device *device,
                                      int64_t buckets)
{
    dk_log(&decider->service->log, LOG_WARN, "diverged device=%lld instance=%u buckets=%lld",
           (long long)device->device, (unsigned)device->device_no, (long long)buckets);
    return srv_store_add_divergences(decider->store, device->device_no, buckets);
}

/* Looks at device and instance again, which may have changed since the request was parsed, decides
 * the changesets and keeps the device's marks. */
static daybook_status decide_sync(struct decider *decider, struct job *job)
{
    struct sync_job *sync = &job->sync;
    struct caller caller;
    struct decide_author author;
    int64_t now_ms = srv_now_ms();
    dk_buffer_reset(&sync->verdicts);
    daybook_status status = srv_sign_in(decider->store, job->token, &caller);
    if (status == DAYBOOK_SIGN_IN) {
        (void)srv_job_fail_status(job, status);
        return DAYBOOK_OK;
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (!check_instance(decider->store, job, &caller.device)) {
        return DAYBOOK_OK;
    }
    if (sync->count > 0 && caller.device.decided - sync->request.settled > UNSETTLED_MAX) {
        job->retry_after_ms = BUSY_RETRY_MS;
        (void)srv_job_fail(job, 503, "BUSY", "too many changesets are not settled");
        return DAYBOOK_OK;
    }
    struct decide_org *org = srv_decider_org(decider, caller.account.org);
    status = org == NULL ? DAYBOOK_INTERNAL
                         : srv_decider_author(decider, &caller, &decider->arena, &author);
    author.boot = sync->request.boot;
    author.steady_ms = sync->request.steady_ms;
    author.received_ms = sync->received_ms;
    if (status == DAYBOOK_OK) {
        status = decide_changesets(decider, job, org, &author, now_ms);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (sync->request.diverged > 0) {
        status = note_divergence(decider, &caller.device, sync->request.diverged);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    /* A device that was restored, or a server, may claim more than was decided here. */
    int64_t settled =
        sync->request.settled < author.decided ? sync->request.settled : author.decided;
    return srv_store_mark_device(decider->store, author.device_no, author.decided, settled, now_ms);
}

/* ---- reply */

/* Whether the device has to take a snapshot of its whole scope: it has nothing yet, its position is
 * of another log, or the log behind it is not there any more. */
static bool needs_reset(const struct worker *worker, const struct job *job, int64_t head,
                        int64_t floor)
{
    const struct sync_request *request = &job->sync.request;
    return request->epoch != srv_store_epoch(worker->reader) || request->position > head ||
           request->position < floor || (request->position == 0 && head > 0);
}

/* Verdicts of changesets that were quarantined before and are decided now, until the device has
 * acknowledged them; behind those of the request. */
static daybook_status add_ended(struct worker *worker, struct job *job, uint32_t device_no)
{
    struct srv_decision *rows;
    int count;
    daybook_status status =
        srv_store_ended_quarantine(worker->reader, device_no, job->sync.request.settled,
                                   LIMIT_CHANGESETS, &worker->arena, &rows, &count);
    for (int i = 0; i < count && status == DAYBOOK_OK; i++) {
        status = srv_page_verdict(&job->sync.verdicts, &rows[i]);
    }
    return status;
}

/* Up to where the log is safe: covered by the last backup, or all of it where there is none. */
static daybook_status read_safe(struct worker *worker, int64_t org, int64_t head, int64_t *safe)
{
    bool any = false;
    *safe = head;
    if (!worker->service->backups) {
        return DAYBOOK_OK;
    }
    daybook_status status = srv_store_get_backup(worker->reader, org, safe, &any);
    *safe = any && *safe < head ? *safe : head;
    return status;
}

/* Points a span at a buffer's text; an empty one is left out. */
static struct span span_of(struct buffer *buffer)
{
    return (struct span){.bytes = buffer->length == 0 ? NULL : buffer->bytes,
                         .length = buffer->length};
}

/* Log and pages, from where the device stands. */
static daybook_status read_pages(struct worker *worker, const struct job *job, struct page *page,
                                 struct sync_reply *reply)
{
    const struct sync_job *sync = &job->sync;
    bool more_pages = false;
    page->upto = srv_snapshot_upto(page, sync->loading, sync->loading_count);
    daybook_status status = srv_page_build(page, &reply->position);
    if (status == DAYBOOK_OK) {
        status = srv_snapshot_write(page, sync->loading, sync->loading_count, &worker->pages,
                                    &more_pages);
    }
    reply->more = reply->position < reply->head || more_pages ||
                  srv_scope_gains(page->scope, sync->held, sync->held_count);
    if (status == DAYBOOK_OK && !reply->more) {
        status = srv_sums_read(worker, &sync->request, page->org, page->scope, reply);
    }
    return status;
}

/* What a page is made from. */
static struct page page_of(struct worker *worker, const struct sync_request *request,
                           const struct caller *caller, const struct scope *scope, int64_t head)
{
    struct service *service = worker->service;
    bool smaller = request->page_bytes > 0 && request->page_bytes < service->page_bytes;
    return (struct page){.reader = worker->reader,
                         .org = caller->account.org,
                         .device_no = caller->device.device_no,
                         .settled = request->settled,
                         .after = request->position,
                         .head = head,
                         .page_bytes = smaller ? request->page_bytes : service->page_bytes,
                         .full_size = !smaller,
                         .cache = &service->snapshots,
                         .ahead = &worker->ahead,
                         .scope = scope,
                         .arena = &worker->arena,
                         .rows = &worker->rows,
                         .out = &worker->log};
}

/* What the caller reads. An operator has to know where that is more than a scope may be. */
static daybook_status read_scope(struct worker *worker, struct job *job,
                                 const struct caller *caller, struct scope *scope)
{
    daybook_status status =
        srv_scope_of(worker->reader, &caller->account, SCOPE_NOW, &worker->arena, scope);
    if (status == DAYBOOK_TOO_LARGE) {
        dk_log(&worker->service->log, LOG_ERROR,
               "a scope is too large device=%lld role=%s buckets=%d most=%d",
               (long long)caller->device.device, caller->account.role, scope->count, LIMIT_BUCKETS);
        (void)srv_job_fail(job, 500, "INTERNAL", "the user's scope has %d buckets, the most are %d",
                           scope->count, LIMIT_BUCKETS);
    }
    return status;
}

/* Who asks, and where the device stands against the log: scope, head, what of it is safe, and
 * whether the device has to begin again. */
static daybook_status read_place(struct worker *worker, struct job *job, struct caller *caller,
                                 struct scope *scope, int64_t *floor, struct sync_reply *reply)
{
    const struct sync_request *request = &job->sync.request;
    daybook_status status = srv_sign_in(worker->reader, job->token, caller);
    if (status != DAYBOOK_OK) {
        return status;
    }
    int64_t org = caller->account.org;
    status = srv_take_instance(worker->reader, &request->instance, &caller->device);
    if (status == DAYBOOK_OK) {
        status = read_scope(worker, job, caller, scope);
    }
    if (status == DAYBOOK_OK && request->leave_recent) {
        srv_scope_without(scope, CLASS_RECENT);
    }
    if (status == DAYBOOK_OK) {
        status = srv_store_get_head(worker->reader, org, &reply->head);
    }
    if (status == DAYBOOK_OK) {
        status = read_safe(worker, org, reply->head, &reply->safe_position);
    }
    if (status == DAYBOOK_OK) {
        status = srv_store_get_floor(worker->reader, org, floor);
    }
    reply->reset = status == DAYBOOK_OK && needs_reset(worker, job, reply->head, *floor);
    if (reply->reset && request->epoch != reply->epoch) {
        status = srv_store_epoch_end(worker->reader, org, request->epoch, &reply->shared);
    }
    return status;
}

/* Everything that is read, in the snapshot that is open. */
static daybook_status read_reply(struct worker *worker, struct job *job, struct sync_reply *reply,
                                 struct buffer *scope_text)
{
    const struct sync_request *request = &job->sync.request;
    struct caller caller;
    struct scope scope;
    int64_t floor = 0;
    daybook_status status = read_place(worker, job, &caller, &scope, &floor, reply);
    if (status == DAYBOOK_OK) {
        status = add_ended(worker, job, caller.device.device_no);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    /* After a reset the same numbers may be other buckets. */
    if (reply->reset || !srv_scope_equals(&scope, job->sync.held, job->sync.held_count)) {
        srv_scope_write(scope_text, &scope);
    }
    reply->upgrade = request->schema < worker->service->oldest_schema;
    struct page page = page_of(worker, request, &caller, &scope, reply->head);
    page.verdicts = &job->sync.verdicts;
    page.answered = job->sync.answered;
    page.answered_first = job->sync.count > 0 ? job->sync.inputs[0].changeset.seq : 0;
    if (reply->reset) {
        reply->more = !reply->upgrade;
        status = srv_snapshot_start(&page, floor, &reply->position);
    } else if (reply->upgrade) {
        reply->position = request->position; /* what it sends is decided all the same */
    } else {
        status = read_pages(worker, job, &page, reply);
    }
    return status == DAYBOOK_OK ? scope_text->status : status;
}

/* Reads everything in one snapshot and puts the reply together. */
static void reply_sync(struct worker *worker, struct job *job)
{
    struct sync_reply reply = {.protocol = PROTOCOL_VERSION,
                               .epoch = srv_store_epoch(worker->reader)};
    struct sync_job *sync = &job->sync;
    struct buffer scope_text, verdicts;
    dk_buffer_init(&scope_text, LIMIT_REPLY_EXPANDED);
    dk_buffer_init(&verdicts, LIMIT_REPLY_EXPANDED);
    dk_buffer_reset(&worker->log);
    dk_buffer_reset(&worker->pages);
    dk_buffer_reset(&worker->sums);
    dk_buffer_reset(&worker->contents);
    daybook_status status = srv_store_begin_read(worker->reader);
    if (status == DAYBOOK_OK) {
        status = read_reply(worker, job, &reply, &scope_text);
        srv_store_end_read(worker->reader);
    }
    if (sync->verdicts.length > 0) {
        dk_buffer_append_char(&verdicts, '[');
        dk_buffer_append(&verdicts, sync->verdicts.bytes, sync->verdicts.length);
        dk_buffer_append_char(&verdicts, ']');
    }
    if (status == DAYBOOK_OK) {
        status = verdicts.status;
    }
    if (status != DAYBOOK_OK && job->http_status == 0) {
        (void)srv_job_fail_status(job, status);
    }
    reply.server_ms = srv_now_ms();
    reply.sums = span_of(&worker->sums);
    reply.contents = span_of(&worker->contents);
    reply.scope = span_of(&scope_text);
    reply.verdicts = span_of(&verdicts);
    reply.pages = span_of(&worker->pages);
    reply.log = span_of(&worker->log);
    srv_job_answer(worker, job, &dk_sync_reply_table, &reply);
    dk_buffer_clear(&scope_text);
    dk_buffer_clear(&verdicts);
}

const struct endpoint srv_endpoint_sync = {"POST", "/v1/sync", parse_sync, decide_sync, reply_sync};
