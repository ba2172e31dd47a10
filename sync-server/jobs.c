/* SPDX-License-Identifier: Apache-2.0
 *
 * One call as a job: made from what was submitted, expanded, decoded, answered, freed. Used by the
 * service, the workers and the decider. Invariant: each job is answered exactly once, in
 * srv_job_finish.
 */
#include "sync-server/inside.h"

#include "engine/base/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define CONTENT_FRAME "application/vnd.daybook+zstd"
#define FRAME_LEVEL 3

/* See the header. */
int64_t srv_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* See the header. */
struct job *srv_job_new(struct service *service, const struct service_call *call,
                        const struct endpoint *endpoint)
{
    struct job *job = dk_memory_new(1, sizeof *job);
    if (job == NULL) {
        return NULL;
    }
    if (call->token != NULL) {
        job->token = dk_memory_copy_text(call->token, strnlen(call->token, LIMIT_LABEL_BYTES + 1));
        if (job->token == NULL) {
            dk_memory_free(job);
            return NULL;
        }
    }
    job->service = service;
    job->endpoint = endpoint;
    job->body = call->body;
    job->body_size = call->body_size;
    job->done = call->done;
    job->context = call->context;
    job->retry_after_ms = -1;
    job->answer.retry_after_ms = -1;
    dk_arena_init(&job->arena, JOB_ARENA_BYTES_MAX);
    dk_buffer_init(&job->text, LIMIT_REQUEST_EXPANDED);
    dk_buffer_init(&job->again, LIMIT_REQUEST_EXPANDED);
    return job;
}

/* See the header. */
void srv_job_drop(struct job *job)
{
    if (job->endpoint == &srv_endpoint_sync) {
        dk_buffer_clear(&job->sync.verdicts);
    }
    if (job->token != NULL) {
        memset(job->token, 0, strlen(job->token));
    }
    dk_memory_free(job->token);
    dk_buffer_clear(&job->text);
    dk_buffer_clear(&job->again);
    dk_arena_clear(&job->arena);
    dk_memory_free(job);
}

/* See the header. */
void srv_job_finish(struct job *job)
{
    struct service *service = job->service;
    int64_t bytes = job->bytes;
    assert(job->answer.http_status != 0);
    job->done(job->context, &job->answer);
    dk_memory_free(job->body);
    srv_job_drop(job);
    pthread_mutex_lock(&service->lock);
    service->bytes -= bytes;
    pthread_mutex_unlock(&service->lock);
}

/* See the header. */
bool srv_job_charge(struct job *job, int64_t bytes)
{
    struct service *service = job->service;
    pthread_mutex_lock(&service->lock);
    bool fits = service->bytes + bytes <= JOBS_BYTES_MAX;
    if (fits) {
        service->bytes += bytes;
        job->bytes += bytes;
    }
    pthread_mutex_unlock(&service->lock);
    if (!fits) {
        job->retry_after_ms = BUSY_RETRY_MS;
        (void)srv_job_fail(job, 503, "BUSY", "too much is under way");
    }
    return fits;
}

/* See the header. */
enum job_way srv_job_fail(struct job *job, int http_status, const char *code, const char *format,
                          ...)
{
    va_list arguments;
    /* What memory did not suffice to read is no fault of the request's. */
    if (http_status == 400 && job->arena.failed && !job->arena.full) {
        return srv_job_fail_status(job, DAYBOOK_NO_MEMORY);
    }
    va_start(arguments, format);
    (void)vsnprintf(job->detail, sizeof job->detail, format, arguments);
    va_end(arguments);
    job->http_status = http_status;
    job->code = code;
    return WAY_DONE;
}

/* See the header. */
enum job_way srv_job_fail_status(struct job *job, daybook_status status)
{
    switch (status) {
    case DAYBOOK_SIGN_IN: return srv_job_fail(job, 401, "SIGN_IN", "the token is not accepted");
    case DAYBOOK_BAD_CODE:
        return srv_job_fail(job, 403, "BAD_CODE", "the enrolment code is unknown, used or expired");
    case DAYBOOK_DIVERGED:
        return srv_job_fail(job, 409, "DIVERGED", "the device has no such instance");
    case DAYBOOK_DISK_FULL:
    case DAYBOOK_NO_MEMORY:
    case DAYBOOK_BUSY:
    case DAYBOOK_IO:
    case DAYBOOK_INTERRUPTED:
        job->retry_after_ms = BUSY_RETRY_MS;
        return srv_job_fail(job, 503, "BUSY", "the server cannot do it now");
    default: return srv_job_fail(job, 500, "INTERNAL", "the server failed, status %d", (int)status);
    }
}

/* See the header. */
bool srv_job_expand(struct job *job, struct frame_codec *codec)
{
    daybook_status status = dk_frame_expand(codec, job->body, job->body_size, &job->text);
    switch (status) {
    case DAYBOOK_OK: return srv_job_charge(job, (int64_t)job->text.length * 4);
    case DAYBOOK_BAD_REPLY:
        (void)srv_job_fail(job, 400, "BAD_REQUEST", "the body is not one zstd frame");
        return false;
    case DAYBOOK_TOO_LARGE:
        (void)srv_job_fail(job, 413, "TOO_LARGE", "the body expands to more than the limit");
        return false;
    default: (void)srv_job_fail_status(job, status); return false;
    }
}

/* See the header. */
daybook_status srv_job_original(struct job *job, struct frame_codec *codec, const char **text)
{
    daybook_status status = DAYBOOK_OK;
    if (job->again.length == 0) {
        status = dk_frame_expand(codec, job->body, job->body_size, &job->again);
    }
    *text = job->again.bytes;
    return status;
}

/* See the header. */
bool srv_job_decode(struct job *job, const struct message_table *table, void *message)
{
    const char *problem;
    bool decoded =
        dk_message_decode(table, job->text.bytes, job->text.length, message, &job->arena, &problem);
    assert(table->members[0].offset == 0 && table->members[0].type == MESSAGE_INT);
    int64_t protocol = *(const int64_t *)message;
    if (protocol != 0 && protocol != PROTOCOL_VERSION) {
        (void)srv_job_fail(job, 426, "UPGRADE_NEEDED", "this server speaks protocol %d",
                           PROTOCOL_VERSION);
        return false;
    }
    if (!decoded) {
        (void)srv_job_fail(job, 400, "BAD_REQUEST", "%s: %s", table->name,
                           problem == NULL ? "" : problem);
    }
    return decoded;
}

/* Compresses the JSON of a message into the answer's body. */
static daybook_status take_body(struct worker *worker, struct job *job)
{
    struct buffer frame;
    daybook_status status = worker->json.status;
    dk_buffer_init(&frame, LIMIT_REPLY_BYTES);
    if (status == DAYBOOK_OK) {
        status = dk_frame_compress(worker->codec, worker->json.bytes, worker->json.length,
                                   FRAME_LEVEL, &frame);
    }
    if (status == DAYBOOK_OK) {
        job->answer.body = dk_buffer_take(&frame, &job->answer.body_size);
        job->answer.content_type = CONTENT_FRAME;
    }
    dk_buffer_clear(&frame);
    return status;
}

/* The error of a job as a message; without memory for it, the status alone has to do. */
static void answer_error(struct worker *worker, struct job *job)
{
    struct error_reply error = {.code = job->code, .detail = job->detail, .seq = job->seq};
    dk_buffer_reset(&worker->json);
    dk_message_encode(&worker->json, &dk_error_reply_table, &error);
    job->answer.http_status = job->http_status;
    job->answer.retry_after_ms = job->retry_after_ms;
    (void)take_body(worker, job);
}

/* See the header. */
void srv_job_answer(struct worker *worker, struct job *job, const struct message_table *table,
                    const void *message)
{
    if (job->http_status == 0) {
        dk_buffer_reset(&worker->json);
        dk_message_encode(&worker->json, table, message);
        daybook_status status = take_body(worker, job);
        if (status == DAYBOOK_OK) {
            job->answer.http_status = 200;
            return;
        }
        (void)srv_job_fail_status(job, status);
    }
    answer_error(worker, job);
}

/* See the header. */
void srv_queue_init(struct queue *queue)
{
    queue->first = NULL;
    queue->end = &queue->first;
    queue->count = 0;
}

/* See the header. */
void srv_queue_push(struct queue *queue, struct job *job)
{
    job->next = NULL;
    *queue->end = job;
    queue->end = &job->next;
    queue->count++;
}

/* See the header. */
struct job *srv_queue_pop(struct queue *queue)
{
    struct job *job = queue->first;
    if (job == NULL) {
        return NULL;
    }
    queue->first = job->next;
    if (queue->first == NULL) {
        queue->end = &queue->first;
    }
    queue->count--;
    job->next = NULL;
    return job;
}
