/* SPDX-License-Identifier: Apache-2.0
 *
 * The door of the inner half: opens and closes store, decider and workers; takes calls and commands
 * in. Called by the outer half. Invariants:
 * 1. Every call that was submitted is answered once. 2. One process has the data folder. 3. After
 * close no thread of ours runs.
 */
#include "sync-server/inside.h"

#include "engine/base/text.h"
#include "sync-server/commands.h"
#include "sync-server/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REPLY_ARENA_BYTES_MAX ((size_t)96 * 1024 * 1024)
#define ROWS_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define SUMS_BYTES_MAX ((size_t)LIMIT_BUCKETS * 48)
#define ANSWER_BYTES_MAX ((size_t)8 * 1024 * 1024)
#define COMMAND_TEXT_ROOM 4096 /* what a command that changes something says is shorter */

/* ---- opening */

/* Opens the writer and what the decider needs. */
static daybook_status open_decider(struct service *service, const struct service_options *options,
                                   char *problem, size_t size)
{
    struct decider *decider = &service->decider;
    struct srv_store_options store = {
        .folder = options->data_folder, .writer = true, .log = options->log};
    decider->service = service;
    dk_arena_init(&decider->arena, REPLY_ARENA_BYTES_MAX);
    daybook_status status = srv_store_open_sqlite(&store, &decider->store, problem, size);
    if (status != DAYBOOK_OK) {
        return status;
    }
    decider->decide = srv_decide_new(decider->store, &service->log, 0);
    decider->codec = dk_frame_new();
    status = decider->decide == NULL || decider->codec == NULL ? DAYBOOK_NO_MEMORY
                                                               : srv_decider_load(decider);
    if (status != DAYBOOK_OK) {
        (void)dk_text_format(problem, size, "the organisations cannot be read, status %d",
                             (int)status);
    }
    return status;
}

/* Opens one worker's reader and buffers. */
static daybook_status open_worker(struct service *service, struct worker *worker,
                                  const struct service_options *options, char *problem, size_t size)
{
    struct srv_store_options store = {
        .folder = options->data_folder, .writer = false, .log = options->log};
    worker->service = service;
    dk_arena_init(&worker->arena, REPLY_ARENA_BYTES_MAX);
    dk_buffer_init(&worker->log, LIMIT_REPLY_EXPANDED);
    dk_buffer_init(&worker->pages, LIMIT_REPLY_EXPANDED);
    dk_buffer_init(&worker->json, LIMIT_REPLY_EXPANDED);
    dk_buffer_init(&worker->rows, ROWS_BYTES_MAX);
    dk_buffer_init(&worker->sums, SUMS_BYTES_MAX);
    dk_buffer_init(&worker->contents, SUMS_BYTES_MAX);
    worker->codec = dk_frame_new();
    if (worker->codec == NULL) {
        (void)dk_text_format(problem, size, "out of memory");
        return DAYBOOK_NO_MEMORY;
    }
    return srv_store_open_sqlite(&store, &worker->reader, problem, size);
}

/* Starts the threads; those that run are counted, so that close joins them. */
static daybook_status start_threads(struct service *service, int wanted,
                                    const struct service_options *options, char *problem,
                                    size_t size)
{
    if (pthread_create(&service->decider.thread, NULL, srv_decider_run, &service->decider) != 0) {
        (void)dk_text_format(problem, size, "cannot start a thread");
        return DAYBOOK_NO_MEMORY;
    }
    service->decider_runs = true;
    for (int i = 0; i < wanted; i++) {
        struct worker *worker = &service->workers[i];
        daybook_status status = open_worker(service, worker, options, problem, size);
        if (status == DAYBOOK_OK &&
            pthread_create(&worker->thread, NULL, srv_worker_run, worker) != 0) {
            (void)dk_text_format(problem, size, "cannot start a thread");
            status = DAYBOOK_NO_MEMORY;
        }
        if (status != DAYBOOK_OK) {
            srv_store_close(worker->reader);
            dk_frame_free(worker->codec);
            return status;
        }
        service->worker_count++;
    }
    return DAYBOOK_OK;
}

/* Makes the struct with its lock and queues; NULL: no memory. */
static struct service *make_service(const struct service_options *options, int workers)
{
    struct service *service = dk_memory_new(1, sizeof *service);
    if (service == NULL) {
        return NULL;
    }
    service->log = options->log;
    /* A larger page could meet a changeset with which it no longer fits into a reply. */
    bool asked = options->page_bytes > 0 && options->page_bytes < LIMIT_PAGE_BYTES;
    service->page_bytes = asked ? options->page_bytes : LIMIT_PAGE_BYTES;
    service->oldest_schema = options->oldest_schema;
    service->classes = options->classes;
    if (service->classes.recent_days == 0) {
        service->classes = (struct class_rule){CLASS_OPEN_DAYS, CLASS_RECENT_DAYS, CLASS_LAST};
    }
    srv_snapshot_cache_open(&service->snapshots, (size_t)options->snapshot_cache_mib * 1024 * 1024);
    service->log_days = options->log_days;
    service->log_positions = options->log_positions;
    service->lock_file = -1;
    service->workers = dk_memory_new((size_t)workers, sizeof *service->workers);
    service->backups = options->backups;
    service->data_folder = dk_memory_copy_text(options->data_folder, strlen(options->data_folder));
    service->public_url =
        options->public_url == NULL
            ? NULL
            : dk_memory_copy_text(options->public_url, strlen(options->public_url));
    service->ca_pin = options->ca_pin == NULL
                          ? NULL
                          : dk_memory_copy_text(options->ca_pin, strlen(options->ca_pin));
    srv_queue_init(&service->work_queue);
    srv_queue_init(&service->decide_queue);
    service->tasks_end = &service->tasks;
    pthread_mutex_init(&service->lock, NULL);
    pthread_cond_init(&service->work, NULL);
    pthread_cond_init(&service->decide, NULL);
    pthread_cond_init(&service->rest, NULL);
    return service;
}

/* See the header. */
daybook_status srv_service_open(const struct service_options *options, struct service **out,
                                char *problem, size_t problem_size)
{
    int workers = options->worker_threads > 0 ? options->worker_threads : WORKERS_DEFAULT;
    workers = workers > WORKERS_MAX ? WORKERS_MAX : workers;
    *out = NULL;
    struct service *service = make_service(options, workers);
    if (service == NULL || service->workers == NULL || service->data_folder == NULL) {
        srv_service_close(service);
        (void)dk_text_format(problem, problem_size, "out of memory");
        return DAYBOOK_NO_MEMORY;
    }
    daybook_status status =
        srv_folder_lock(options->data_folder, &service->lock_file, problem, problem_size);
    if (status == DAYBOOK_OK) {
        status = open_decider(service, options, problem, problem_size);
    }
    if (status == DAYBOOK_OK) {
        status = start_threads(service, workers, options, problem, problem_size);
    }
    if (status != DAYBOOK_OK) {
        srv_service_close(service);
        return status;
    }
    *out = service;
    return DAYBOOK_OK;
}

/* ---- closing */

/* Until nothing is under way; with the lock. */
static void wait_for_rest(struct service *service)
{
    while (service->jobs > 0) {
        pthread_cond_wait(&service->rest, &service->lock);
    }
}

/* See the header. */
void srv_service_rest(struct service *service)
{
    pthread_mutex_lock(&service->lock);
    wait_for_rest(service);
    pthread_mutex_unlock(&service->lock);
}

/* Waits until all that was accepted is answered, then ends the threads. */
static void stop_threads(struct service *service)
{
    pthread_mutex_lock(&service->lock);
    service->closing = true;
    wait_for_rest(service);
    service->stopping = true;
    pthread_cond_broadcast(&service->work);
    pthread_cond_broadcast(&service->decide);
    pthread_mutex_unlock(&service->lock);
    for (int i = 0; i < service->worker_count; i++) {
        (void)pthread_join(service->workers[i].thread, NULL);
    }
    if (service->decider_runs) {
        (void)pthread_join(service->decider.thread, NULL);
    }
}

/* See the header. */
void srv_service_close(struct service *service)
{
    if (service == NULL) {
        return;
    }
    stop_threads(service);
    for (int i = 0; i < service->worker_count; i++) {
        struct worker *worker = &service->workers[i];
        srv_store_close(worker->reader);
        dk_frame_free(worker->codec);
        dk_arena_clear(&worker->arena);
        dk_buffer_clear(&worker->log);
        dk_buffer_clear(&worker->pages);
        dk_buffer_clear(&worker->json);
        dk_buffer_clear(&worker->rows);
        dk_buffer_clear(&worker->sums);
        dk_buffer_clear(&worker->contents);
    }
    /* The writer last: it checkpoints when nobody reads. */
    srv_decide_free(service->decider.decide);
    dk_frame_free(service->decider.codec);
    srv_store_close(service->decider.store);
    srv_decider_forget(&service->decider);
    dk_arena_clear(&service->decider.arena);
    if (service->lock_file >= 0) {
        (void)close(service->lock_file);
    }
    srv_snapshot_cache_close(&service->snapshots);
    pthread_cond_destroy(&service->work);
    pthread_cond_destroy(&service->decide);
    pthread_cond_destroy(&service->rest);
    pthread_mutex_destroy(&service->lock);
    dk_memory_free(service->workers);
    dk_memory_free(service->data_folder);
    dk_memory_free(service->public_url);
    dk_memory_free(service->ca_pin);
    dk_memory_free(service);
}

/* ---- calls */

static const struct endpoint *const endpoints[] = {&srv_endpoint_sync, &srv_endpoint_fetch,
                                                   &srv_endpoint_enrol, &srv_endpoint_lease};

/* Answers a call that became no job, with the plain body that the outer half uses for its own
 * refusals. */
static void refuse_call(const struct service_call *call, int http_status, const char *code,
                        int64_t retry_after_ms)
{
    char text[80];
    struct service_answer answer = {.http_status = http_status, .retry_after_ms = retry_after_ms};
    dk_memory_free(call->body);
    (void)dk_text_format(text, sizeof text, "{\"error\":\"%s\"}", code);
    answer.body = dk_memory_copy_text(text, strlen(text));
    if (answer.body != NULL) {
        answer.body_size = strlen(text);
        answer.content_type = "application/json";
    }
    call->done(call->context, &answer);
}

/* The endpoint of a call; NULL with the status that says why not. */
static const struct endpoint *find_endpoint(const struct service_call *call, int *http_status)
{
    *http_status = 404;
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
        if (strcmp(endpoints[i]->path, call->path) == 0) {
            *http_status = strcmp(endpoints[i]->method, call->method) == 0 ? 0 : 405;
            return *http_status == 0 ? endpoints[i] : NULL;
        }
    }
    return NULL;
}

/* GET /v1/health needs no store. */
static bool answer_health(struct service *service, const struct service_call *call)
{
    static const char text[] = "{\"status\":\"ok\"}";
    if (strcmp(call->path, "/v1/health") != 0) {
        return false;
    }
    pthread_mutex_lock(&service->lock);
    bool closing = service->closing;
    pthread_mutex_unlock(&service->lock);
    if (strcmp(call->method, "GET") != 0 || closing) {
        refuse_call(call, closing ? 503 : 405, closing ? "BUSY" : "METHOD",
                    closing ? BUSY_RETRY_MS : -1);
        return true;
    }
    dk_memory_free(call->body);
    struct service_answer answer = {
        .http_status = 200, .retry_after_ms = -1, .content_type = "application/json"};
    answer.body = dk_memory_copy_text(text, sizeof text - 1);
    answer.body_size = answer.body == NULL ? 0 : sizeof text - 1;
    call->done(call->context, &answer);
    return true;
}

/* See the header. */
void srv_service_submit(struct service *service, const struct service_call *call)
{
    int http_status;
    if (answer_health(service, call)) {
        return;
    }
    const struct endpoint *endpoint = find_endpoint(call, &http_status);
    if (endpoint == NULL) {
        refuse_call(call, http_status, http_status == 405 ? "METHOD" : "NOT_FOUND", -1);
        return;
    }
    struct job *job = srv_job_new(service, call, endpoint);
    if (job == NULL) {
        refuse_call(call, 503, "BUSY", BUSY_RETRY_MS);
        return;
    }
    pthread_mutex_lock(&service->lock);
    bool taken = !service->closing && service->jobs < JOBS_MAX;
    if (taken) {
        service->jobs++;
        srv_queue_push(&service->work_queue, job);
        pthread_cond_signal(&service->work);
    }
    pthread_mutex_unlock(&service->lock);
    if (!taken) {
        srv_job_drop(job);
        refuse_call(call, 503, "BUSY", BUSY_RETRY_MS);
    }
}

/* ---- commands */

static const struct {
    const char *name;
    daybook_status (*run)(struct command_run *run);
} commands[] = {{"init", srv_command_init},
                {"user add", srv_command_user_add},
                {"device list", srv_command_device_list},
                {"device revoke", srv_command_device_revoke},
                {"quarantine list", srv_command_quarantine_list},
                {"quarantine show", srv_command_quarantine_show},
                {"quarantine release", srv_command_quarantine_release},
                {"quarantine reject", srv_command_quarantine_reject},
                {"customer merge", srv_command_customer_merge},
                {"hold list", srv_command_hold_list},
                {"hold clear", srv_command_hold_clear},
                {"enrol", srv_command_enrol},
                {"import", srv_command_import},
                {"user change", srv_command_user_change},
                {"customer reassign", srv_command_customer_reassign},
                {"classify", srv_command_classify},
                {"compact", srv_command_compact},
                {"backup", srv_command_backup}};

/* Runs the parsed command. */
static daybook_status run_command(struct command_run *run)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (run->line->command != NULL && strcmp(run->line->command->name, commands[i].name) == 0) {
            return commands[i].run(run);
        }
    }
    (void)dk_text_format(run->problem, sizeof run->problem,
                         "the server does not do this by itself");
    return DAYBOOK_INVALID;
}

/* Puts what went wrong in the place of the answer. */
static void write_problem(struct command_run *run, daybook_status status, bool json)
{
    if (run->problem[0] == '\0') {
        (void)dk_text_format(run->problem, sizeof run->problem, "it failed with status %d",
                             (int)status);
    }
    dk_buffer_reset(&run->out);
    if (json) {
        dk_buffer_append_text(&run->out, "{\"error\":");
        dk_json_write_string(&run->out, run->problem, strlen(run->problem));
        dk_buffer_append_text(&run->out, "}\n");
    } else {
        dk_buffer_append_text(&run->out, run->problem);
        dk_buffer_append_char(&run->out, '\n');
    }
}

/* See the header. */
daybook_status srv_service_command(struct service *service, int argc, const char *const *argv,
                                   bool json, char **text)
{
    struct command_line line;
    struct command_run run = {.service = service, .line = &line};
    size_t length;
    dk_buffer_init(&run.out, ANSWER_BYTES_MAX);
    daybook_status status = srv_command_parse(argc, argv, &line, run.problem, sizeof run.problem);
    /* What a command has done it can also say: the room for that comes first. */
    (void)dk_buffer_reserve(&run.out, COMMAND_TEXT_ROOM);
    if (status == DAYBOOK_OK) {
        status = run.out.status;
    }
    if (status == DAYBOOK_OK) {
        json = line.json = line.json || json;
        status = run_command(&run);
    }
    if (status == DAYBOOK_OK) {
        status = run.out.status;
    }
    if (status != DAYBOOK_OK) {
        write_problem(&run, status, json);
    }
    dk_buffer_append_char(&run.out, '\0');
    *text = dk_buffer_take(&run.out, &length);
    dk_buffer_clear(&run.out);
    return *text == NULL ? DAYBOOK_NO_MEMORY : status;
}
