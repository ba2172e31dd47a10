/* SPDX-License-Identifier: Apache-2.0
 *
 * Binds, accepts and hands sockets round to the loops; stops gracefully. Called by main.
 * Invariants: 1. every accepted socket has passed the gate before a loop gets it. 2. the acceptor
 * never spins: out of descriptors, it rests. 3. the loops live until the last answer has come.
 */
#include "sync-server/http/listener.h"

#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "sync-server/http/loop.h"

#include <event2/event.h>
#include <event2/listener.h>
#include <event2/thread.h>
#include <openssl/ssl.h>

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 1024
#define REST_MS 100 /* after accept has failed */

struct listener {
    int socket; /* -1: closed */
    int port;
    struct loop_shared shared;
    struct loop *loops[LISTENER_LOOPS_MAX];
    int loop_count;
    int next_loop; /* the acceptor's thread only */
    struct event_base *base;
    struct evconnlistener *acceptor;
    struct event *rest; /* ends a rest */
    struct event *stop; /* woken to end the acceptor's thread */
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex; /* over tls */
    SSL_CTX *tls;
};

/* The present context, a reference for the caller. */
static SSL_CTX *present_tls(void *context)
{
    struct listener *listener = context;
    (void)pthread_mutex_lock(&listener->mutex);
    SSL_CTX *tls = listener->tls;
    (void)SSL_CTX_up_ref(tls);
    (void)pthread_mutex_unlock(&listener->mutex);
    return tls;
}

void srv_listener_set_tls(struct listener *listener, SSL_CTX *tls)
{
    (void)SSL_CTX_up_ref(tls);
    (void)pthread_mutex_lock(&listener->mutex);
    SSL_CTX *before = listener->tls;
    listener->tls = tls;
    (void)pthread_mutex_unlock(&listener->mutex);
    SSL_CTX_free(before);
}

/* One socket was accepted: passes the gate and goes to the next loop, or is closed. */
static void on_accept(struct evconnlistener *acceptor, evutil_socket_t socket,
                      struct sockaddr *address, int address_length, void *context)
{
    struct listener *listener = context;
    struct gate_device nobody = {.known = false};
    int on = 1;
    (void)acceptor;
    (void)address;
    (void)address_length;
    if (!srv_gate_enter(listener->shared.gate)) {
        dk_log(&listener->shared.log, LOG_WARN, "http too many connections");
        (void)close(socket);
        return;
    }
    /* Without it each small reply waits for the client's delayed acknowledgement. */
    (void)setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct loop *loop = listener->loops[listener->next_loop];
    listener->next_loop = (listener->next_loop + 1) % listener->loop_count;
    if (!srv_loop_give(loop, socket)) {
        (void)close(socket);
        srv_gate_leave(listener->shared.gate, &nobody);
    }
}

/* accept failed, most likely out of descriptors: the connection stays in the backlog and would wake
 * us at once, again and again. */
static void on_accept_error(struct evconnlistener *acceptor, void *context)
{
    struct listener *listener = context;
    const struct timeval rest = {.tv_sec = 0, .tv_usec = REST_MS * 1000};
    dk_log(&listener->shared.log, LOG_WARN, "http accept failed %d", errno);
    (void)evconnlistener_disable(acceptor);
    (void)event_add(listener->rest, &rest);
}

/* The rest is over: accepts again. */
static void on_rest_over(evutil_socket_t socket, short what, void *context)
{
    struct listener *listener = context;
    (void)socket;
    (void)what;
    (void)evconnlistener_enable(listener->acceptor);
}

/* Ends the acceptor's thread, on that thread. */
static void on_stop(evutil_socket_t socket, short what, void *context)
{
    struct listener *listener = context;
    (void)socket;
    (void)what;
    (void)event_base_loopbreak(listener->base);
}

/* The acceptor's thread. */
static void *run(void *context)
{
    struct listener *listener = context;
    (void)event_base_loop(listener->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

/* Opens, binds and listens on one address; -1 with errno set. */
static int listen_at(const struct addrinfo *address)
{
    int on = 1;
    int off = 0;
    int file = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (file < 0) {
        return -1;
    }
    /* A restart may bind while connections of the last run still fade; two servers on one port stay
     * impossible. */
    (void)setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address->ai_family == AF_INET6) {
        (void)setsockopt(file, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    }
    if (bind(file, address->ai_addr, address->ai_addrlen) == 0 && listen(file, BACKLOG) == 0) {
        return file;
    }
    int error = errno;
    (void)close(file);
    errno = error;
    return -1;
}

/* The port a socket was bound to, or 0. */
static int bound_port(int file)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    char service[16];
    int64_t port = 0;
    if (getsockname(file, (struct sockaddr *)&address, &length) != 0 ||
        getnameinfo((struct sockaddr *)&address, length, NULL, 0, service, sizeof(service),
                    NI_NUMERICSERV) != 0 ||
        !dk_text_to_int64(service, strlen(service), &port)) {
        return 0;
    }
    return (int)port;
}

/* Binds the first address of the host that can be bound. */
static daybook_status bind_socket(struct listener *listener, const char *host, int port,
                                  char *problem, size_t problem_size)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *addresses = NULL;
    char service[16];
    (void)dk_text_format(service, sizeof(service), "%d", port);
    int result = getaddrinfo(host, service, &hints, &addresses);
    if (result != 0) {
        (void)dk_text_format(problem, problem_size, "cannot listen on %s:%d: %s", host, port,
                             gai_strerror(result));
        return DAYBOOK_INVALID;
    }
    int error = EADDRNOTAVAIL;
    for (struct addrinfo *each = addresses; each != NULL && listener->socket < 0;
         each = each->ai_next) {
        listener->socket = listen_at(each);
        error = errno;
    }
    freeaddrinfo(addresses);
    if (listener->socket < 0) {
        char reason[128] = "";
        (void)strerror_r(error, reason, sizeof(reason));
        (void)dk_text_format(problem, problem_size, "cannot listen on %s:%d: %s%s", host, port,
                             reason, error == EADDRINUSE ? "; another program uses this port" : "");
        return error == EADDRINUSE ? DAYBOOK_BUSY : DAYBOOK_CANNOT_OPEN;
    }
    listener->port = bound_port(listener->socket);
    return DAYBOOK_OK;
}

/* Makes gate, loops and the acceptor's base. */
static bool make_loops(struct listener *listener, const struct listener_options *options)
{
    listener->shared.gate = srv_gate_new(&options->limits);
    listener->base = event_base_new();
    if (listener->shared.gate == NULL || listener->base == NULL) {
        return false;
    }
    for (; listener->loop_count < options->loops; listener->loop_count++) {
        listener->loops[listener->loop_count] = srv_loop_new(&listener->shared);
        if (listener->loops[listener->loop_count] == NULL) {
            return false;
        }
    }
    listener->rest = evtimer_new(listener->base, on_rest_over, listener);
    listener->stop = event_new(listener->base, -1, EV_PERSIST, on_stop, listener);
    return listener->rest != NULL && listener->stop != NULL;
}

daybook_status srv_listener_open(const struct listener_options *options, struct listener **out,
                                 char *problem, size_t problem_size)
{
    assert(options->loops >= 1 && options->loops <= LISTENER_LOOPS_MAX);
    daybook_status status = DAYBOOK_NO_MEMORY;
    struct listener *listener = dk_memory_new(1, sizeof(*listener));
    *out = NULL;
    problem[0] = '\0';
    if (listener == NULL) {
        goto fail;
    }
    listener->socket = -1;
    listener->shared.log = options->log;
    listener->shared.tls = present_tls;
    listener->shared.tls_context = listener;
    if (pthread_mutex_init(&listener->mutex, NULL) != 0) {
        dk_memory_free(listener);
        listener = NULL;
        goto fail;
    }
    (void)signal(SIGPIPE,
                 SIG_IGN); /* a client that left is an error of its write, not the process's end */
    if (evthread_use_pthreads() != 0 || !make_loops(listener, options)) {
        goto fail;
    }
    status = bind_socket(listener, options->host, options->port, problem, problem_size);
    if (status != DAYBOOK_OK) {
        goto fail;
    }
    *out = listener;
    return DAYBOOK_OK;
fail:
    if (problem[0] == '\0') {
        (void)dk_text_format(problem, problem_size, "no memory for the listener");
    }
    srv_listener_free(listener);
    return status;
}

int srv_listener_port(const struct listener *listener)
{
    return listener->port;
}

struct gate *srv_listener_gate(struct listener *listener)
{
    return listener->shared.gate;
}

daybook_status srv_listener_start(struct listener *listener, SSL_CTX *tls, struct service *service,
                                  char *problem, size_t problem_size)
{
    assert(!listener->started);
    listener->shared.service = service;
    srv_listener_set_tls(listener, tls);
    listener->acceptor = evconnlistener_new(listener->base, on_accept, listener,
                                            LEV_OPT_CLOSE_ON_EXEC, 0, listener->socket);
    bool fine = listener->acceptor != NULL;
    if (fine) {
        evconnlistener_set_error_cb(listener->acceptor, on_accept_error);
    }
    for (int i = 0; fine && i < listener->loop_count; i++) {
        fine = srv_loop_start(listener->loops[i]);
    }
    if (fine) {
        fine = pthread_create(&listener->thread, NULL, run, listener) == 0;
    }
    if (!fine) {
        (void)dk_text_format(problem, problem_size, "cannot start the listener's threads");
        return DAYBOOK_NO_MEMORY;
    }
    listener->started = true;
    return DAYBOOK_OK;
}

void srv_listener_stop(struct listener *listener, int64_t grace_ms)
{
    if (listener->started) {
        event_active(listener->stop, 0, 0);
        (void)pthread_join(listener->thread, NULL);
        listener->started = false;
    }
    if (listener->acceptor != NULL) {
        evconnlistener_free(listener->acceptor);
        listener->acceptor = NULL;
    }
    if (listener->socket >= 0) {
        (void)close(listener->socket);
        listener->socket = -1;
    }
    for (int i = 0; i < listener->loop_count; i++) {
        srv_loop_drain(listener->loops[i]);
    }
    if (srv_gate_wait_empty(listener->shared.gate, grace_ms)) {
        return;
    }
    dk_log(&listener->shared.log, LOG_WARN, "http stop cuts %d connections",
           srv_gate_connections(listener->shared.gate));
    for (int i = 0; i < listener->loop_count; i++) {
        srv_loop_cut(listener->loops[i]);
    }
    /* The loops never block, so this is a matter of milliseconds; the bound is for a broken
     * machine. */
    if (!srv_gate_wait_empty(listener->shared.gate, 60000)) {
        dk_log(&listener->shared.log, LOG_ERROR, "http loops do not stop");
    }
}

void srv_listener_free(struct listener *listener)
{
    if (listener == NULL) {
        return;
    }
    assert(!listener->started);
    for (int i = 0; i < listener->loop_count; i++) {
        srv_loop_free(listener->loops[i]);
    }
    if (listener->acceptor != NULL) {
        evconnlistener_free(listener->acceptor);
    }
    if (listener->rest != NULL) {
        event_free(listener->rest);
    }
    if (listener->stop != NULL) {
        event_free(listener->stop);
    }
    if (listener->base != NULL) {
        event_base_free(listener->base);
    }
    if (listener->socket >= 0) {
        (void)close(listener->socket);
    }
    srv_gate_free(listener->shared.gate);
    SSL_CTX_free(listener->tls);
    (void)pthread_mutex_destroy(&listener->mutex);
    dk_memory_free(listener);
}
