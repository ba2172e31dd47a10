/* SPDX-License-Identifier: Apache-2.0
 *
 * The listening socket, the acceptor's thread and the event loops: HTTPS in, calls of the service
 * out.
 */
#ifndef DAYBOOK_SERVER_HTTP_LISTENER_H
#define DAYBOOK_SERVER_HTTP_LISTENER_H

#include "engine/base/log.h"
#include "sync-server/http/gate.h"
#include "sync-server/service.h"

#include <daybook/status.h>

#include <openssl/types.h>

#include <stddef.h>
#include <stdint.h>

#define LISTENER_LOOPS_MAX 64

struct listener;

struct listener_options {
    const char *host; /* a name or address; borrowed for the call */
    int port;         /* 0: any free one */
    int loops;        /* event loops, 1 to LISTENER_LOOPS_MAX */
    struct http_limits limits;
    struct log log;
};

/* Binds the socket, so that the port is known and taken; nobody is answered yet. Ignores SIGPIPE in
 * the process. BUSY: the port is in use; `problem` names address and reason. */
daybook_status srv_listener_open(const struct listener_options *options, struct listener **out,
                                 char *problem, size_t problem_size);
int srv_listener_port(const struct listener *listener);
/* Begins to accept. The listener keeps a reference of the context; the service has to live until
 * after srv_listener_stop. */
daybook_status srv_listener_start(struct listener *listener, SSL_CTX *tls, struct service *service,
                                  char *problem, size_t problem_size);
/* New connections use this context from now on; it keeps a reference. Any thread. */
void srv_listener_set_tls(struct listener *listener, SSL_CTX *tls);
/* Stops accepting, closes idle connections, lets requests under way finish for at most `grace_ms`,
 * closes what is left. After it returns nothing is submitted to the service; answers may still
 * come. */
void srv_listener_stop(struct listener *listener, int64_t grace_ms);
/* After srv_listener_stop, when the service has answered all calls (srv_service_close). NULL is
 * fine. */
void srv_listener_free(struct listener *listener);

/* For tests and health: connections and bytes of bodies at this moment. */
struct gate *srv_listener_gate(struct listener *listener);

#endif
