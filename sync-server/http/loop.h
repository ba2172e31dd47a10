/* SPDX-License-Identifier: Apache-2.0
 *
 * One event loop with its thread, and what other threads may hand to it: accepted sockets and the
 * service's answers. Everything about a connection happens on its loop's thread; other threads only
 * append to the two lists and wake the loop.
 */
#ifndef DAYBOOK_SERVER_HTTP_LOOP_H
#define DAYBOOK_SERVER_HTTP_LOOP_H

#include "engine/base/log.h"
#include "sync-server/http/gate.h"
#include "sync-server/service.h"

#include <openssl/types.h>

#include <stdbool.h>

struct connection;
struct event_base;
struct loop;

/* What all loops of a listener share; it outlives them. */
struct loop_shared {
    struct gate *gate;
    struct log log;
    struct service *service;
    SSL_CTX *(*tls)(
        void *context); /* the present context, a reference for the caller; any thread */
    void *tls_context;
};

/* One call of the service under way. It belongs to the loop, not to the connection: when the client
 * leaves, the connection lets go of it, and the answer finds nobody. */
struct exchange {
    struct loop *loop;
    struct connection *connection; /* NULL: left; the loop's thread only */
    struct service_answer answer;  /* set by srv_loop_answer */
    struct exchange *next;         /* in the loop's list of answers */
};

/* The connections of a loop; the loop's thread only. */
struct connection_list {
    struct connection *first;
};

struct loop *srv_loop_new(const struct loop_shared *shared); /* NULL: no memory or no event base */
/* Starts the thread. */
bool srv_loop_start(struct loop *loop);
/* Hands over a socket that has passed the gate; the loop owns both from now on. Any thread. False:
 * no memory, the caller keeps them. */
bool srv_loop_give(struct loop *loop, int socket);
/* `done` of service_call, with an exchange as context: any thread, also the loop's own, before
 * submit returns. */
void srv_loop_answer(void *exchange, const struct service_answer *answer);
/* No further requests: connections that wait for one are closed, the others after their reply. Any
 * thread. */
void srv_loop_drain(struct loop *loop);
/* Closes what is left. Any thread. The loop goes on, to take answers. */
void srv_loop_cut(struct loop *loop);
/* Ends the thread and frees all. No call of the service may be under way any more. NULL is fine. */
void srv_loop_free(struct loop *loop);

/* For connections, on the loop's thread. */
struct event_base *srv_loop_base(struct loop *loop);
const struct loop_shared *srv_loop_shared(const struct loop *loop);
struct connection_list *srv_loop_connections(struct loop *loop);
bool srv_loop_is_draining(const struct loop *loop);

#endif
