/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of one connection: handshake, head, body, answer, reply, and again, or linger and close.
 * Called by its loop. Invariants: 1. one timer, set when a phase begins and never moved by
 * progress: a slow sender or reader is cut off however steadily it drips. 2. reading is off from
 * the end of a request to the end of its reply, so a client can make us hold one request at
 * most. 3. after a refusal nothing more is read as a request. 4. `exchange` is set in PHASE_ANSWER
 * only.
 *
 * The buffers' callbacks are deferred: none runs inside of a call of ours, so only callbacks of
 * ours free the connection.
 */
#include "sync-server/http/connection.h"

#include "engine/base/memory.h"
#include "sync-server/http/reply.h"
#include "sync-server/http/request.h"
#include "sync-server/http/router.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <assert.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BODY_STEP_BYTES ((size_t)16 * 1024) /* a body's first room; doubled as it comes */
#define REPLY_COPY_BYTES_MAX                                                                       \
    ((size_t)14 * 1024)       /* copied behind its head, to leave as one TLS record */
#define REFUSED_RETRY_MS 1000 /* when a limit of ours is reached */

enum phase {
    PHASE_HANDSHAKE, /* TLS; its deadline covers the first head too */
    PHASE_HEAD,      /* bytes of a request's head have come, or the first is awaited */
    PHASE_BODY,
    PHASE_ANSWER, /* the service has it */
    PHASE_REPLY,  /* being written */
    PHASE_IDLE,   /* between requests */
    PHASE_LINGER  /* said goodbye; reads and forgets until the client is gone */
};

struct connection {
    struct loop *loop;
    struct connection *next;
    struct connection *previous;
    struct bufferevent *stream; /* owns the socket and the SSL */
    struct event *timer;
    struct http_request *request; /* from the first byte of a head to its submission, else NULL */
    char *body;                   /* owned until submission */
    size_t body_size;             /* bytes announced */
    size_t body_length;           /* bytes come */
    size_t body_capacity;
    int64_t charged; /* bytes that the gate has counted for us */
    struct exchange *exchange;
    struct gate_device device;
    enum phase phase;
    bool close; /* after this reply */
};

/* The limits that all connections share. */
static const struct http_limits *limits_of(const struct connection *connection)
{
    return srv_gate_limits(srv_loop_shared(connection->loop)->gate);
}

/* Begins a phase that has to end within so many milliseconds from now. */
static void enter_phase(struct connection *connection, enum phase phase, int64_t within_ms)
{
    struct timeval within = {.tv_sec = (time_t)(within_ms / 1000),
                             .tv_usec = (suseconds_t)(within_ms % 1000) * 1000};
    connection->phase = phase;
    (void)event_add(connection->timer, &within);
}

/* The time that so many bytes may take to come or go. */
static int64_t transfer_ms(const struct connection *connection, size_t size)
{
    const struct http_limits *limits = limits_of(connection);
    return limits->transfer_ms + (int64_t)size * 1000 / limits->transfer_bytes_per_s;
}

/* Gives the request's memory and what the gate counted for it back. */
static void forget_request(struct connection *connection)
{
    dk_memory_free(connection->request);
    dk_memory_free(connection->body);
    connection->request = NULL;
    connection->body = NULL;
    connection->body_size = 0;
    connection->body_length = 0;
    connection->body_capacity = 0;
    if (connection->charged > 0) {
        srv_gate_release(srv_loop_shared(connection->loop)->gate, connection->charged);
    }
    connection->charged = 0;
}

void srv_connection_close(struct connection *connection)
{
    struct connection_list *list = srv_loop_connections(connection->loop);
    struct gate *gate = srv_loop_shared(connection->loop)->gate;
    if (connection->exchange != NULL) {
        connection->exchange->connection = NULL; /* its answer will find nobody */
    }
    forget_request(connection);
    if (connection->next != NULL) {
        connection->next->previous = connection->previous;
    }
    if (connection->previous != NULL) {
        connection->previous->next = connection->next;
    } else {
        list->first = connection->next;
    }
    bufferevent_free(connection->stream);
    event_free(connection->timer);
    srv_gate_leave(gate, &connection->device);
    dk_memory_free(connection);
}

struct connection *srv_connection_next(const struct connection *connection)
{
    return connection->next;
}

/* Sends TLS's close_notify, as far as the socket takes it at once. */
static void say_goodbye(struct connection *connection)
{
    (void)SSL_shutdown(bufferevent_openssl_get_ssl(connection->stream));
    ERR_clear_error();
}

/* Says goodbye and gives the client a moment to read the reply: closing at once, with bytes of its
 * unread, would reset the connection and might take the reply with it. */
static void begin_linger(struct connection *connection)
{
    say_goodbye(connection);
    (void)shutdown(bufferevent_getfd(connection->stream), SHUT_WR);
    enter_phase(connection, PHASE_LINGER, limits_of(connection)->linger_ms);
    (void)bufferevent_enable(connection->stream, EV_READ);
}

/* Frees the reply's body when its last byte was written or the connection is gone. */
static void free_reply_body(const void *bytes, size_t length, void *body)
{
    (void)bytes;
    (void)length;
    dk_memory_free(body);
}

/* Adds the body behind its head; takes it over in any case. Small ones are copied, so that both
 * leave as one TLS record and one packet. */
static bool add_reply_body(struct evbuffer *out, char *body, size_t size)
{
    if (size > REPLY_COPY_BYTES_MAX &&
        evbuffer_add_reference(out, body, size, free_reply_body, body) == 0) {
        return true;
    }
    bool fine = size <= REPLY_COPY_BYTES_MAX && (size == 0 || evbuffer_add(out, body, size) == 0);
    dk_memory_free(body);
    return fine;
}

/* Queues head and body as one write; takes the body over. False without memory. */
static bool queue_reply(struct connection *connection, const struct http_reply *reply, char *body)
{
    char head[HTTP_REPLY_HEAD_BYTES_MAX];
    size_t length = srv_http_reply_head(reply, head);
    struct evbuffer *out = evbuffer_new();
    if (out == NULL) {
        dk_memory_free(body);
        return false;
    }
    size_t first_piece = length + (reply->body_size <= REPLY_COPY_BYTES_MAX ? reply->body_size : 0);
    bool fine = evbuffer_expand(out, first_piece) == 0 && evbuffer_add(out, head, length) == 0;
    fine = add_reply_body(out, body, reply->body_size) && fine;
    fine = fine && bufferevent_write_buffer(connection->stream, out) == 0;
    evbuffer_free(out);
    return fine;
}

/* Writes a reply and takes its body over. */
static void send_reply(struct connection *connection, struct http_reply *reply, char *body)
{
    bool draining = srv_loop_is_draining(connection->loop);
    connection->close = connection->close || draining;
    reply->close = connection->close;
    reply->now_s = (int64_t)time(NULL);
    forget_request(connection);
    int64_t size = (int64_t)reply->body_size;
    if (size > 0 && !srv_gate_charge(srv_loop_shared(connection->loop)->gate, size)) {
        /* Too much is on its way to slow readers: this one comes back later. */
        dk_memory_free(body);
        body = NULL;
        reply->status = 503;
        reply->content_type = NULL;
        reply->body_size = 0;
        reply->retry_after_ms = REFUSED_RETRY_MS;
    } else {
        connection->charged = size;
    }
    enter_phase(connection, PHASE_REPLY, transfer_ms(connection, reply->body_size));
    if (!queue_reply(connection, reply, body)) {
        connection->close = true;
        enter_phase(connection, PHASE_REPLY, 0);
    }
}

/* Answers with a refusal and reads nothing more as a request. */
static void refuse(struct connection *connection, const struct http_refusal *refusal,
                   int64_t retry_after_ms)
{
    char text[HTTP_REFUSAL_BYTES_MAX];
    size_t length = srv_http_refusal_body(refusal->code, refusal->text, text);
    char *body = dk_memory_copy_text(text, length);
    struct http_reply reply = {.status = refusal->status,
                               .content_type = body != NULL ? "application/json" : NULL,
                               .allow = refusal->allow,
                               .body_size = body != NULL ? length : 0,
                               .retry_after_ms = retry_after_ms};
    dk_log(&srv_loop_shared(connection->loop)->log, LOG_DEBUG, "http refused %d", refusal->status);
    connection->close = true;
    (void)bufferevent_disable(connection->stream, EV_READ);
    send_reply(connection, &reply, body);
}

/* Refuses because a limit of ours is reached. */
static void refuse_busy(struct connection *connection, int status, const char *text)
{
    struct http_refusal refusal = {.status = status, .code = "BUSY", .text = text, .allow = NULL};
    refuse(connection, &refusal, REFUSED_RETRY_MS);
}

/* Hands the complete request to the service. */
static void submit(struct connection *connection)
{
    const struct loop_shared *shared = srv_loop_shared(connection->loop);
    struct exchange *exchange = dk_memory_new(1, sizeof(*exchange));
    if (exchange == NULL) {
        refuse_busy(connection, 503, "no memory");
        return;
    }
    exchange->loop = connection->loop;
    exchange->connection = connection;
    connection->exchange = exchange;
    (void)bufferevent_disable(connection->stream, EV_READ);
    enter_phase(connection, PHASE_ANSWER, limits_of(connection)->answer_ms);
    struct service_call call = {.method = connection->request->method,
                                .path = connection->request->target,
                                .token = connection->request->token,
                                .body = connection->body,
                                .body_size = connection->body_length,
                                .done = srv_loop_answer,
                                .context = exchange};
    connection->body = NULL;
    /* The answer comes through the loop's mailbox, so it cannot arrive before this function has
     * returned. */
    srv_service_submit(shared->service, &call);
    dk_memory_free(connection->request);
    connection->request = NULL;
}

void srv_connection_answer(struct connection *connection, struct service_answer *answer)
{
    assert(connection->phase == PHASE_ANSWER);
    struct http_reply reply = {.status = answer->http_status,
                               .content_type = answer->content_type,
                               .body_size = answer->body_size,
                               .retry_after_ms = answer->retry_after_ms};
    connection->exchange = NULL;
    send_reply(connection, &reply, answer->body);
    answer->body = NULL;
}

/* Makes room for more of the body, doubling up to what was announced: memory follows what came, not
 * what was promised. False without memory, or where all bodies together have too much of it. */
static bool grow_body(struct connection *connection)
{
    size_t capacity = connection->body_capacity * 2;
    if (capacity < BODY_STEP_BYTES) {
        capacity = BODY_STEP_BYTES;
    }
    if (capacity > connection->body_size) {
        capacity = connection->body_size;
    }
    int64_t more = (int64_t)(capacity - connection->body_capacity);
    if (!srv_gate_charge(srv_loop_shared(connection->loop)->gate, more)) {
        return false;
    }
    connection->charged += more;
    char *body = dk_memory_resize(connection->body, capacity);
    if (body == NULL) {
        return false;
    }
    connection->body = body;
    connection->body_capacity = capacity;
    return true;
}

/* Moves what came into the body, up to its end; submits it when it is whole. */
static void read_body(struct connection *connection)
{
    struct evbuffer *input = bufferevent_get_input(connection->stream);
    while (connection->body_length < connection->body_size && evbuffer_get_length(input) > 0) {
        if (connection->body_length == connection->body_capacity && !grow_body(connection)) {
            refuse_busy(connection, 503, "too many requests are under way");
            return;
        }
        int taken = evbuffer_remove(input, connection->body + connection->body_length,
                                    connection->body_capacity - connection->body_length);
        assert(taken > 0);
        connection->body_length += (size_t)taken;
    }
    if (connection->body_length == connection->body_size) {
        submit(connection);
    }
}

/* The head is complete: checks all that it shows, then goes on to the body. */
static void begin_body(struct connection *connection)
{
    struct http_request *request = connection->request;
    struct gate *gate = srv_loop_shared(connection->loop)->gate;
    struct http_refusal refusal;
    if (srv_http_route(request, &refusal) == NULL) {
        refuse(connection, &refusal, -1);
        return;
    }
    if (request->token != NULL &&
        !srv_gate_enter_device(gate, &connection->device, request->token)) {
        refuse_busy(connection, 429, "the device has too many connections");
        return;
    }
    connection->body_size = (size_t)request->content_length;
    connection->close = request->close;
    if (request->expects_continue &&
        evbuffer_get_length(bufferevent_get_input(connection->stream)) == 0) {
        (void)bufferevent_write(connection->stream, HTTP_CONTINUE, strlen(HTTP_CONTINUE));
    }
    enter_phase(connection, PHASE_BODY, transfer_ms(connection, connection->body_size));
    read_body(connection);
}

/* Feeds what came to the head's reader until the head ends or nothing is left. */
static void read_head(struct connection *connection)
{
    struct evbuffer *input = bufferevent_get_input(connection->stream);
    struct evbuffer_iovec piece;
    if (connection->request == NULL) {
        if (evbuffer_get_length(input) == 0) {
            return;
        }
        connection->request = dk_memory_new(1, sizeof(*connection->request));
        if (connection->request == NULL) {
            refuse_busy(connection, 503, "no memory");
            return;
        }
        srv_http_request_init(connection->request);
    }
    struct http_request *request = connection->request;
    while (request->progress == HTTP_MORE && evbuffer_peek(input, -1, NULL, &piece, 1) > 0 &&
           piece.iov_len > 0) {
        size_t taken = 0;
        (void)srv_http_request_feed(request, piece.iov_base, piece.iov_len, &taken);
        (void)evbuffer_drain(input, taken);
    }
    if (request->progress == HTTP_REFUSED) {
        const struct http_refusal refusal = {.status = request->refusal,
                                             .code = request->refusal == 413 ? "TOO_LARGE"
                                                                             : "BAD_REQUEST",
                                             .text = request->problem,
                                             .allow = NULL};
        refuse(connection, &refusal, -1);
    } else if (request->progress == HTTP_HEAD) {
        begin_body(connection);
    }
}

/* Bytes came. */
static void on_read(struct bufferevent *stream, void *context)
{
    struct connection *connection = context;
    struct evbuffer *input = bufferevent_get_input(stream);
    switch (connection->phase) {
    case PHASE_IDLE:
        if (evbuffer_get_length(input) == 0) {
            return;
        }
        enter_phase(connection, PHASE_HEAD, limits_of(connection)->head_ms);
        read_head(connection);
        break;
    case PHASE_HEAD: read_head(connection); break;
    case PHASE_BODY: read_body(connection); break;
    case PHASE_LINGER: (void)evbuffer_drain(input, evbuffer_get_length(input)); break;
    case PHASE_HANDSHAKE:
    case PHASE_ANSWER:
    case PHASE_REPLY: break; /* kept until the reply is out */
    }
}

/* All that was queued has left: the reply is out, or "100 Continue" is. */
static void on_written(struct bufferevent *stream, void *context)
{
    struct connection *connection = context;
    if (connection->phase != PHASE_REPLY ||
        evbuffer_get_length(bufferevent_get_output(stream)) > 0) {
        return;
    }
    forget_request(connection);
    if (connection->close || srv_loop_is_draining(connection->loop)) {
        begin_linger(connection);
        return;
    }
    enter_phase(connection, PHASE_IDLE, limits_of(connection)->idle_ms);
    (void)bufferevent_enable(stream, EV_READ);
    on_read(stream, connection); /* what the client sent ahead */
}

/* The handshake is done, or the stream has ended. */
static void on_event(struct bufferevent *stream, short what, void *context)
{
    struct connection *connection = context;
    if ((what & BEV_EVENT_CONNECTED) != 0) {
        connection->phase = PHASE_HEAD; /* under the handshake's deadline */
        return;
    }
    bool clean = (what & BEV_EVENT_EOF) != 0;
    if (clean && (connection->phase == PHASE_ANSWER || connection->phase == PHASE_REPLY)) {
        /* Reading is off now, but a goodbye may have come with the request: the client has said all
         * and still listens. */
        connection->close = true;
        (void)bufferevent_enable(stream, EV_WRITE);
        return;
    }
    if (clean) {
        say_goodbye(connection);
    }
    srv_connection_close(connection);
}

/* The phase's deadline has passed. */
static void on_deadline(evutil_socket_t socket, short what, void *context)
{
    struct connection *connection = context;
    (void)socket;
    (void)what;
    dk_log(&srv_loop_shared(connection->loop)->log, LOG_DEBUG, "http deadline in phase %d",
           (int)connection->phase);
    if (connection->phase == PHASE_ANSWER) {
        connection->exchange->connection = NULL;
        connection->exchange = NULL;
        refuse_busy(connection, 503, "the answer takes too long");
        return;
    }
    if (connection->phase == PHASE_BODY ||
        (connection->phase == PHASE_HEAD && connection->request != NULL)) {
        const struct http_refusal late = {
            .status = 408, .code = "TIMEOUT", .text = "the request came too slowly", .allow = NULL};
        refuse(connection, &late, -1);
        return;
    }
    srv_connection_close(connection);
}

void srv_connection_drain(struct connection *connection)
{
    bool waits = connection->phase == PHASE_IDLE || connection->phase == PHASE_HANDSHAKE ||
                 (connection->phase == PHASE_HEAD && connection->request == NULL);
    if (waits) {
        srv_connection_close(connection);
    } else {
        connection->close = true;
    }
}

/* The TLS stream over the socket, which it owns from now on; NULL: the socket is closed. */
static struct bufferevent *open_stream(struct loop *loop, int socket)
{
    const struct loop_shared *shared = srv_loop_shared(loop);
    SSL_CTX *tls = shared->tls(shared->tls_context);
    SSL *ssl = SSL_new(tls);
    SSL_CTX_free(tls);
    if (ssl == NULL) {
        ERR_clear_error();
        (void)close(socket);
        return NULL;
    }
    struct bufferevent *stream =
        bufferevent_openssl_socket_new(srv_loop_base(loop), socket, ssl, BUFFEREVENT_SSL_ACCEPTING,
                                       BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    return stream; /* where it is NULL, libevent has freed the SSL and closed the socket */
}

void srv_connection_open(struct loop *loop, int socket)
{
    struct connection_list *list = srv_loop_connections(loop);
    struct gate *gate = srv_loop_shared(loop)->gate;
    struct gate_device nobody = {.known = false};
    struct connection *connection = dk_memory_new(1, sizeof(*connection));
    if (connection == NULL) {
        (void)close(socket);
        srv_gate_leave(gate, &nobody);
        return;
    }
    connection->loop = loop;
    connection->timer = evtimer_new(srv_loop_base(loop), on_deadline, connection);
    connection->stream = open_stream(loop, socket);
    if (connection->timer == NULL || connection->stream == NULL) {
        if (connection->timer != NULL) {
            event_free(connection->timer);
        }
        if (connection->stream != NULL) {
            bufferevent_free(connection->stream);
        }
        dk_memory_free(connection);
        srv_gate_leave(gate, &nobody);
        return;
    }
    connection->next = list->first;
    if (list->first != NULL) {
        list->first->previous = connection;
    }
    list->first = connection;
    bufferevent_setcb(connection->stream, on_read, on_written, on_event, connection);
    enter_phase(connection, PHASE_HANDSHAKE, limits_of(connection)->head_ms);
    (void)bufferevent_enable(connection->stream, EV_READ | EV_WRITE);
}
