/* SPDX-License-Identifier: Apache-2.0
 *
 * The decider: the one thread that owns the writer's connection. It takes what is queued into one
 * transaction, commits it, and only then gives the jobs on to be answered. Commands run here too,
 * each in a transaction of its own. Invariants: 1. What is in memory (heads) is what is committed
 * whenever no transaction is open. 2. No answer leaves before its commit is durable.
 */
#include "sync-server/inside.h"

#include <assert.h>
#include <string.h>

/* ---- organisations and authors */

/* See the header. */
daybook_status srv_decider_load(struct decider *decider)
{
    struct srv_organisation *rows;
    int count;
    dk_arena_reset(&decider->arena);
    daybook_status status = srv_store_organisations(decider->store, &decider->arena, &rows, &count);
    if (status != DAYBOOK_OK) {
        return status;
    }
    struct decide_org *orgs = dk_memory_new((size_t)count + 1, sizeof *orgs);
    if (orgs == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    for (int i = 0; i < count; i++) {
        orgs[i] = (struct decide_org){.org = rows[i].org,
                                      .id = rows[i].id,
                                      .head = rows[i].head,
                                      .stored_head = rows[i].head};
    }
    srv_decider_forget(decider);
    decider->orgs = orgs;
    decider->org_count = count;
    return DAYBOOK_OK;
}

/* See the header. */
void srv_decider_forget(struct decider *decider)
{
    for (int i = 0; i < decider->org_count; i++) {
        dk_memory_free(decider->orgs[i].sums);
    }
    dk_memory_free(decider->orgs);
    decider->orgs = NULL;
    decider->org_count = 0;
}

/* See the header. */
struct decide_org *srv_decider_org(struct decider *decider, int64_t org)
{
    for (int i = 0; i < decider->org_count; i++) {
        if (decider->orgs[i].org == org) {
            return &decider->orgs[i];
        }
    }
    return NULL;
}

/* See the header. */
daybook_status srv_decider_author(struct decider *decider, const struct caller *caller,
                                  struct arena *arena, struct decide_author *author)
{
    memset(author, 0, sizeof *author);
    author->account = caller->account;
    author->device_no = caller->device.device_no;
    author->decided = caller->device.decided;
    daybook_status status =
        srv_store_has_quarantine(decider->store, author->device_no, &author->has_quarantine);
    return status == DAYBOOK_OK ? srv_scope_rights(decider->store, &author->account, SCOPE_NOW,
                                                   arena, &author->scope)
                                : status;
}

/* See the header. */
daybook_status srv_decider_server(struct decider *decider, const struct decide_org *org,
                                  struct arena *arena, struct decide_author *author)
{
    struct caller caller;
    daybook_status status = srv_server_device(decider->store, org->org, arena, &caller);
    if (status == DAYBOOK_OK) {
        status = srv_decider_author(decider, &caller, arena, author);
    }
    author->is_server = true;
    return status;
}

/* ---- groups */

/* Undoes the transaction and what memory knew of it. When even reading fails, nothing can be
 * decided until it works again: no organisation. */
static void undo(struct decider *decider)
{
    srv_store_rollback(decider->store);
    if (srv_decider_load(decider) != DAYBOOK_OK) {
        srv_decider_forget(decider);
    }
}

/* Stores what has moved, and commits. */
static daybook_status commit(struct decider *decider)
{
    daybook_status status = DAYBOOK_OK;
    for (int i = 0; i < decider->org_count && status == DAYBOOK_OK; i++) {
        status = srv_decide_finish(decider->decide, &decider->orgs[i]);
    }
    return status == DAYBOOK_OK ? srv_store_commit(decider->store) : status;
}

/* Decides all jobs of a list in one transaction. On failure nothing of it is done. *committing: it
 * was the commit that failed. */
static daybook_status run_group(struct decider *decider, struct job *jobs, bool savepoints,
                                bool *committing)
{
    daybook_status status = decider->org_count == 0 ? srv_decider_load(decider) : DAYBOOK_OK;
    *committing = false;
    srv_decide_use_savepoints(decider->decide, savepoints);
    if (status == DAYBOOK_OK) {
        status = srv_store_begin(decider->store);
    }
    for (struct job *job = jobs; job != NULL && status == DAYBOOK_OK; job = job->next) {
        dk_arena_reset(&decider->arena);
        job->http_status = 0;
        status = job->endpoint->decide(decider, job);
    }
    if (status == DAYBOOK_OK) {
        *committing = true;
        status = commit(decider);
    }
    srv_decide_use_savepoints(decider->decide, true);
    if (status != DAYBOOK_OK) {
        dk_log(&decider->service->log, savepoints || *committing ? LOG_ERROR : LOG_INFO,
               "group failed status=%d commit=%d", (int)status, (int)*committing);
        undo(decider);
    }
    return status;
}

/* Gives the jobs of a list on to be answered; after a failure with that. */
static void pass_on(struct decider *decider, struct job *jobs, daybook_status status)
{
    while (jobs != NULL) {
        struct job *job = jobs;
        jobs = job->next;
        job->decided = true;
        if (status != DAYBOOK_OK) {
            (void)srv_job_fail_status(job, status);
        }
        srv_to_workers(decider->service, job);
    }
}

/* Whether the disk is what failed: then no other way of deciding does better, and each would load
 * it again. */
static bool is_of_disk(daybook_status status)
{
    return status == DAYBOOK_DISK_FULL || status == DAYBOOK_IO || status == DAYBOOK_CANNOT_OPEN;
}

/* Decides a group: without savepoints, which is enough for nearly all; where that fails, with them;
 * and when one of its jobs makes it fail even so, each alone, so that it does not take the others
 * with it. */
static void decide_group(struct decider *decider, struct job *jobs)
{
    bool committing;
    daybook_status status = run_group(decider, jobs, false, &committing);
    if (status != DAYBOOK_OK && !committing && !is_of_disk(status)) {
        status = run_group(decider, jobs, true, &committing);
    }
    if (status == DAYBOOK_OK || committing || is_of_disk(status) || jobs->next == NULL) {
        pass_on(decider, jobs, status);
        return;
    }
    while (jobs != NULL) {
        struct job *job = jobs;
        jobs = job->next;
        job->next = NULL;
        status = run_group(decider, job, true, &committing);
        pass_on(decider, job, status);
    }
}

/* Takes what is queued, up to the bounds of a group and at least one. The lock is held. */
static struct job *take_group(struct queue *queue)
{
    struct job *first = NULL;
    struct job **end = &first;
    int64_t bytes = 0;
    int changesets = 0;
    while (queue->count > 0) {
        struct job *next = queue->first;
        bool fits = changesets + next->weight <= GROUP_CHANGESETS_MAX &&
                    bytes + (int64_t)next->text.length <= GROUP_BYTES_MAX;
        if (first != NULL && !fits) {
            break;
        }
        next = srv_queue_pop(queue);
        bytes += (int64_t)next->text.length;
        changesets += next->weight;
        *end = next;
        end = &next->next;
    }
    return first;
}

/* ---- tasks */

/* Runs a command's work in a transaction. */
static void run_task(struct decider *decider, struct task *task)
{
    struct service *service = decider->service;
    daybook_status status = srv_decider_load(decider);
    if (status == DAYBOOK_OK) {
        status = srv_store_begin(decider->store);
    }
    if (status == DAYBOOK_OK) {
        status = task->run(decider, task->context);
        if (status == DAYBOOK_OK) {
            status = commit(decider);
        }
        if (status != DAYBOOK_OK) {
            undo(decider);
        }
    }
    pthread_mutex_lock(&service->lock);
    task->status = status;
    task->finished = true;
    pthread_cond_broadcast(&service->rest);
    pthread_mutex_unlock(&service->lock);
}

/* See the header. */
daybook_status srv_run_task(struct service *service,
                            daybook_status (*run)(struct decider *decider, void *context),
                            void *context)
{
    struct task task = {.run = run, .context = context};
    pthread_mutex_lock(&service->lock);
    if (service->closing) {
        pthread_mutex_unlock(&service->lock);
        return DAYBOOK_MISUSE;
    }
    service->jobs++; /* close waits for it */
    *service->tasks_end = &task;
    service->tasks_end = &task.next;
    pthread_cond_signal(&service->decide);
    while (!task.finished) {
        pthread_cond_wait(&service->rest, &service->lock);
    }
    service->jobs--;
    pthread_cond_broadcast(&service->rest);
    pthread_mutex_unlock(&service->lock);
    return task.status;
}

/* ---- the thread */

/* See the header. */
void *srv_decider_run(void *argument)
{
    struct decider *decider = argument;
    struct service *service = decider->service;
    for (;;) {
        pthread_mutex_lock(&service->lock);
        while (service->decide_queue.count == 0 && service->tasks == NULL && !service->stopping) {
            pthread_cond_wait(&service->decide, &service->lock);
        }
        struct task *task = service->tasks;
        if (task != NULL) {
            service->tasks = task->next;
            if (task->next == NULL) {
                service->tasks_end = &service->tasks;
            }
        }
        struct job *jobs = take_group(&service->decide_queue);
        pthread_mutex_unlock(&service->lock);
        if (task == NULL && jobs == NULL) {
            return NULL;
        }
        if (task != NULL) {
            run_task(decider, task);
        }
        if (jobs != NULL) {
            decide_group(decider, jobs);
        }
    }
}
