/* SPDX-License-Identifier: Apache-2.0
 *
 * The workers: a pool of threads, each with a reader's connection of its own, that parse calls and
 * build replies, and where nobody waits, the page that a device will want next. Invariant: a worker
 * never waits for the decider; a job that has to be decided is put before it and comes back later.
 */
#include "sync-server/inside.h"

/* See the header. */
void srv_to_workers(struct service *service, struct job *job)
{
    pthread_mutex_lock(&service->lock);
    srv_queue_push(&service->work_queue, job);
    pthread_cond_signal(&service->work);
    pthread_mutex_unlock(&service->lock);
}

/* Puts a parsed job before the decider. */
static void to_decider(struct service *service, struct job *job)
{
    pthread_mutex_lock(&service->lock);
    srv_queue_push(&service->decide_queue, job);
    pthread_cond_signal(&service->decide);
    pthread_mutex_unlock(&service->lock);
}

/* The next job, or NULL when the service stops and nothing is left. */
static struct job *next_job(struct service *service)
{
    pthread_mutex_lock(&service->lock);
    while (service->work_queue.count == 0 && !service->stopping) {
        pthread_cond_wait(&service->work, &service->lock);
    }
    struct job *job = srv_queue_pop(&service->work_queue);
    pthread_mutex_unlock(&service->lock);
    return job;
}

/* One call less is under way. */
static void count_done(struct service *service)
{
    pthread_mutex_lock(&service->lock);
    service->jobs--;
    if (service->jobs == 0) {
        pthread_cond_broadcast(&service->rest);
    }
    pthread_mutex_unlock(&service->lock);
}

/* One step of a job. Reading ahead is part of the last one. */
static void work(struct worker *worker, struct job *job)
{
    enum job_way way = WAY_REPLY;
    if (!job->decided) {
        way = job->endpoint->parse(worker, job);
    }
    if (way == WAY_DECIDER) {
        to_decider(worker->service, job);
        return;
    }
    if (job->http_status == 0) {
        job->endpoint->reply(worker, job);
    } else {
        srv_job_answer(worker, job, NULL, NULL);
    }
    srv_job_finish(job);
    if (worker->ahead.place.bucket > 0) {
        srv_snapshot_read_ahead(worker);
        worker->ahead.place.bucket = 0;
    }
    count_done(worker->service);
}

/* See the header. */
void *srv_worker_run(void *argument)
{
    struct worker *worker = argument;
    struct job *job;
    while ((job = next_job(worker->service)) != NULL) {
        work(worker, job);
        dk_arena_reset(&worker->arena);
    }
    return NULL;
}
