/* SPDX-License-Identifier: Apache-2.0
 *
 * The event loop's thread and its mailbox. Called by the listener (sockets, stop) and by the
 * service's threads (answers). Invariants: 1. `connections` and everything they hold are touched by
 * the loop's thread only. 2. an exchange is freed once, by the loop's thread, after its answer
 * came. 3. the mailbox is under `mutex`; waking is by libevent.
 */
#include "sync-server/http/loop.h"

#include "engine/base/memory.h"
#include "sync-server/http/connection.h"

#include <event2/event.h>

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

struct parcel { /* a socket on its way to the loop */
    int socket;
    struct parcel *next;
};

struct loop {
    const struct loop_shared *shared;
    struct event_base *base;
    struct event *wake;
    pthread_t thread;
    bool started;
    struct connection_list connections;
    bool draining; /* the loop's thread only */

    pthread_mutex_t mutex; /* over all below */
    struct parcel *parcels;
    struct exchange *answers; /* newest first */
    bool drain_wanted;
    bool cut_wanted;
    bool end_wanted;
};

/* Drains or closes every connection; `visit` may free the one it is given. */
static void visit_connections(struct loop *loop, void (*visit)(struct connection *connection))
{
    struct connection *next = loop->connections.first;
    while (next != NULL) {
        struct connection *each = next;
        next = srv_connection_next(each);
        visit(each);
    }
}

/* Gives each answer to its connection, or frees it where the client left. */
static void take_answers(struct exchange *answers)
{
    while (answers != NULL) {
        struct exchange *exchange = answers;
        answers = exchange->next;
        if (exchange->connection != NULL) {
            srv_connection_answer(exchange->connection, &exchange->answer);
        } else {
            dk_memory_free(exchange->answer.body);
        }
        dk_memory_free(exchange);
    }
}

/* Opens the sockets that came; where the loop is being cut they are closed right after. */
static void take_parcels(struct loop *loop, struct parcel *parcels)
{
    while (parcels != NULL) {
        struct parcel *parcel = parcels;
        parcels = parcel->next;
        srv_connection_open(loop, parcel->socket);
        dk_memory_free(parcel);
    }
}

/* Empties the mailbox; runs on the loop's thread whenever somebody woke it. */
static void on_wake(evutil_socket_t socket, short what, void *context)
{
    struct loop *loop = context;
    (void)socket;
    (void)what;
    (void)pthread_mutex_lock(&loop->mutex);
    struct parcel *parcels = loop->parcels;
    struct exchange *answers = loop->answers;
    bool drain = loop->drain_wanted;
    bool cut = loop->cut_wanted;
    bool end = loop->end_wanted;
    loop->parcels = NULL;
    loop->answers = NULL;
    loop->drain_wanted = false;
    (void)pthread_mutex_unlock(&loop->mutex);

    take_parcels(loop, parcels);
    take_answers(answers);
    if (drain) {
        loop->draining = true;
        visit_connections(loop, srv_connection_drain);
    }
    if (cut || end) {
        visit_connections(loop, srv_connection_close);
    }
    if (end) {
        (void)event_base_loopbreak(loop->base);
    }
}

/* The thread. */
static void *run(void *context)
{
    struct loop *loop = context;
    (void)event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

struct loop *srv_loop_new(const struct loop_shared *shared)
{
    struct loop *loop = dk_memory_new(1, sizeof(*loop));
    if (loop == NULL) {
        return NULL;
    }
    loop->shared = shared;
    if (pthread_mutex_init(&loop->mutex, NULL) != 0) {
        goto free_loop;
    }
    loop->base = event_base_new();
    if (loop->base == NULL) {
        goto free_mutex;
    }
    loop->wake = event_new(loop->base, -1, EV_PERSIST, on_wake, loop);
    if (loop->wake == NULL) {
        goto free_base;
    }
    return loop;
free_base:
    event_base_free(loop->base);
free_mutex:
    (void)pthread_mutex_destroy(&loop->mutex);
free_loop:
    dk_memory_free(loop);
    return NULL;
}

bool srv_loop_start(struct loop *loop)
{
    loop->started = pthread_create(&loop->thread, NULL, run, loop) == 0;
    return loop->started;
}

bool srv_loop_give(struct loop *loop, int socket)
{
    struct parcel *parcel = dk_memory_new(1, sizeof(*parcel));
    if (parcel == NULL) {
        return false;
    }
    parcel->socket = socket;
    (void)pthread_mutex_lock(&loop->mutex);
    parcel->next = loop->parcels;
    loop->parcels = parcel;
    (void)pthread_mutex_unlock(&loop->mutex);
    event_active(loop->wake, 0, 0);
    return true;
}

void srv_loop_answer(void *context, const struct service_answer *answer)
{
    struct exchange *exchange = context;
    struct loop *loop = exchange->loop;
    exchange->answer = *answer;
    (void)pthread_mutex_lock(&loop->mutex);
    exchange->next = loop->answers;
    loop->answers = exchange;
    (void)pthread_mutex_unlock(&loop->mutex);
    event_active(loop->wake, 0, 0);
}

/* Sets one wish and wakes the loop. */
static void want(struct loop *loop, bool *wish)
{
    (void)pthread_mutex_lock(&loop->mutex);
    *wish = true;
    (void)pthread_mutex_unlock(&loop->mutex);
    event_active(loop->wake, 0, 0);
}

void srv_loop_drain(struct loop *loop)
{
    want(loop, &loop->drain_wanted);
}

void srv_loop_cut(struct loop *loop)
{
    want(loop, &loop->cut_wanted);
}

void srv_loop_free(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    if (loop->started) {
        want(loop, &loop->end_wanted);
        (void)pthread_join(loop->thread, NULL);
    }
    /* Answers that came between the last wake and the end. */
    take_answers(loop->answers);
    assert(loop->parcels == NULL && loop->connections.first == NULL);
    event_free(loop->wake);
    event_base_free(loop->base);
    (void)pthread_mutex_destroy(&loop->mutex);
    dk_memory_free(loop);
}

struct event_base *srv_loop_base(struct loop *loop)
{
    return loop->base;
}

const struct loop_shared *srv_loop_shared(const struct loop *loop)
{
    return loop->shared;
}

struct connection_list *srv_loop_connections(struct loop *loop)
{
    return &loop->connections;
}

bool srv_loop_is_draining(const struct loop *loop)
{
    return loop->draining;
}
