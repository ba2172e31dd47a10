/* SPDX-License-Identifier: Apache-2.0
 *
 * What the listener's tests share: a service that only echoes, at once, later or when told to; a
 * listener with real TLS on a free loopback port; and a plain OpenSSL client that can misbehave.
 * Only these tests link this double of the service.
 */
#ifndef DAYBOOK_TESTS_LISTENER_WORLD_H
#define DAYBOOK_TESTS_LISTENER_WORLD_H

#include "engine/base/memory.h"
#include "sync-server/certificate.h"
#include "sync-server/folder.h"
#include "sync-server/http/listener.h"
#include "sync-server/http/request.h"
#include "sync-server/http/tls.h"
#include "sync-server/service.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define HELD_MAX 256

enum echo_mode { ECHO_AT_ONCE, ECHO_FROM_THREAD, ECHO_WHEN_TOLD };

/* The double: it answers 200 with the request's body, or `reply_size` bytes where that is set. */
struct service {
    pthread_mutex_t mutex;
    enum echo_mode mode;
    size_t reply_size;
    int submitted;
    char token[256];
    char path[256];
    struct service_call held[HELD_MAX];
    int held_count;
    pthread_t threads[HELD_MAX];
    int thread_count;
};

/* The answer of one call. */
static inline void echo(const struct service_call *call, size_t reply_size)
{
    struct service_answer answer = {.http_status = 200,
                                    .content_type = "application/vnd.daybook+zstd",
                                    .retry_after_ms = -1,
                                    .body = call->body,
                                    .body_size = call->body_size};
    if (reply_size > 0) {
        dk_memory_free(call->body);
        answer.body = dk_memory_new(1, reply_size);
        answer.body_size = reply_size;
        memset(answer.body, 'r', reply_size);
    }
    call->done(call->context, &answer);
}

static inline void *echo_later(void *context)
{
    struct service_call *call = context;
    const struct timespec pause = {.tv_nsec = 2000000};
    (void)nanosleep(&pause, NULL);
    echo(call, 0);
    free(call);
    return NULL;
}

void srv_service_submit(struct service *service, const struct service_call *call)
{
    (void)pthread_mutex_lock(&service->mutex);
    service->submitted++;
    (void)snprintf(service->token, sizeof(service->token), "%s",
                   call->token != NULL ? call->token : "");
    (void)snprintf(service->path, sizeof(service->path), "%s %s", call->method, call->path);
    enum echo_mode mode = service->mode;
    size_t reply_size = service->reply_size;
    if (mode == ECHO_WHEN_TOLD) {
        service->held[service->held_count++] = *call;
    }
    if (mode == ECHO_FROM_THREAD) {
        struct service_call *copy = malloc(sizeof(*copy));
        *copy = *call;
        (void)pthread_create(&service->threads[service->thread_count++], NULL, echo_later, copy);
    }
    (void)pthread_mutex_unlock(&service->mutex);
    if (mode == ECHO_AT_ONCE) {
        echo(call, reply_size);
    }
}

/* Answers all calls that are held. */
static inline void service_release(struct service *service)
{
    (void)pthread_mutex_lock(&service->mutex);
    int count = service->held_count;
    service->held_count = 0;
    (void)pthread_mutex_unlock(&service->mutex);
    for (int i = 0; i < count; i++) {
        echo(&service->held[i], 0);
    }
}

static inline int service_submitted(struct service *service)
{
    (void)pthread_mutex_lock(&service->mutex);
    int submitted = service->submitted;
    (void)pthread_mutex_unlock(&service->mutex);
    return submitted;
}

/* A server in a folder of its own. */
struct world {
    char folder[64];
    struct service service;
    struct listener *listener;
    SSL_CTX *tls;
    SSL_CTX *client; /* trusts the folder's CA */
    int port;
    bool stopped;
};

static inline int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline void sleep_ms(int64_t wait_ms)
{
    struct timespec wait = {.tv_sec = (time_t)(wait_ms / 1000),
                            .tv_nsec = (long)(wait_ms % 1000) * 1000000};
    (void)nanosleep(&wait, NULL);
}

/* Opens and starts a server with these limits. */
static inline void world_open(struct world *world, const struct http_limits *limits, int loops,
                              bool allow_tls12)
{
    char problem[512];
    char path[FOLDER_PATH_BYTES_MAX];
    bool made = false;
    memset(world, 0, sizeof(*world));
    (void)snprintf(world->folder, sizeof(world->folder), "test_listener-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    assert_int_equal(pthread_mutex_init(&world->service.mutex, NULL), 0);
    assert_int_equal(srv_certificate_ensure(world->folder, "", (int64_t)time(NULL), &made, problem,
                                            sizeof(problem)),
                     DAYBOOK_OK);
    assert_int_equal(
        srv_tls_open(world->folder, allow_tls12, &world->tls, problem, sizeof(problem)),
        DAYBOOK_OK);
    struct listener_options options = {
        .host = "127.0.0.1", .port = 0, .loops = loops, .limits = *limits};
    assert_int_equal(srv_listener_open(&options, &world->listener, problem, sizeof(problem)),
                     DAYBOOK_OK);
    world->port = srv_listener_port(world->listener);
    assert_true(world->port > 0);
    assert_int_equal(
        srv_listener_start(world->listener, world->tls, &world->service, problem, sizeof(problem)),
        DAYBOOK_OK);
    world->client = SSL_CTX_new(TLS_client_method());
    (void)srv_folder_path(world->folder, "ca.crt", path);
    assert_int_equal(SSL_CTX_load_verify_locations(world->client, path, NULL), 1);
    SSL_CTX_set_verify(world->client, SSL_VERIFY_PEER, NULL);
}

/* Stops, answers what is held, frees, and checks that nothing was left behind. */
static inline void world_close(struct world *world)
{
    static const char *const files[] = {"ca.key", "ca.crt", "server.key", "server.crt"};
    char path[FOLDER_PATH_BYTES_MAX];
    if (!world->stopped) {
        srv_listener_stop(world->listener, 200);
    }
    service_release(&world->service);
    for (int i = 0; i < world->service.thread_count; i++) {
        (void)pthread_join(world->service.threads[i], NULL);
    }
    assert_int_equal(srv_gate_connections(srv_listener_gate(world->listener)), 0);
    assert_int_equal(srv_gate_bytes(srv_listener_gate(world->listener)), 0);
    srv_listener_free(world->listener);
    SSL_CTX_free(world->tls);
    SSL_CTX_free(world->client);
    (void)pthread_mutex_destroy(&world->service.mutex);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void)srv_folder_path(world->folder, files[i], path);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(world->folder), 0);
}

/* One client connection. */
struct client {
    int socket;
    SSL *ssl;
};

/* A TCP connection with 5 s patience. */
static inline int tcp_connect(int port, int receive_buffer)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 5};
    int on = 1;
    int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(file >= 0);
    (void)setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(file, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    (void)setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (receive_buffer > 0) {
        (void)setsockopt(file, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    }
    if (connect(file, (struct sockaddr *)&address, sizeof(address)) != 0) {
        (void)close(file);
        return -1;
    }
    return file;
}

/* Connects and shakes hands, verifying certificate and name; false where that fails. */
static inline bool client_open(struct client *client, struct world *world, int receive_buffer)
{
    client->ssl = NULL;
    client->socket = tcp_connect(world->port, receive_buffer);
    if (client->socket < 0) {
        return false;
    }
    client->ssl = SSL_new(world->client);
    SSL_set1_host(client->ssl, "localhost");
    SSL_set_fd(client->ssl, client->socket);
    bool open = SSL_connect(client->ssl) == 1;
    ERR_clear_error();
    return open;
}

enum goodbye { GOODBYE_CLEAN, GOODBYE_FIN, GOODBYE_RESET };

static inline void client_close(struct client *client, enum goodbye goodbye)
{
    if (client->ssl != NULL && goodbye == GOODBYE_CLEAN) {
        (void)SSL_shutdown(client->ssl);
    }
    if (client->socket >= 0 && goodbye == GOODBYE_RESET) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(client->socket, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    SSL_free(client->ssl);
    ERR_clear_error();
    if (client->socket >= 0) {
        (void)close(client->socket);
    }
    client->ssl = NULL;
    client->socket = -1;
}

/* Writes all; false where the server has closed. */
static inline bool client_write(struct client *client, const char *bytes, size_t length)
{
    while (length > 0) {
        int written = SSL_write(client->ssl, bytes, length > 65536 ? 65536 : (int)length);
        ERR_clear_error();
        if (written <= 0) {
            return false;
        }
        bytes += written;
        length -= (size_t)written;
    }
    return true;
}

/* One reply: its status, or 0 at the end of the stream, -1 where the stream broke (also after 5 s
 * of silence). */
struct reply {
    int status;
    char head[1024];
    char *body; /* free() */
    size_t body_size;
};

static inline int client_read_byte(struct client *client, char *byte)
{
    int got = SSL_read(client->ssl, byte, 1);
    if (got == 1) {
        return 1;
    }
    int error = SSL_get_error(client->ssl, got);
    ERR_clear_error();
    return error == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static inline int client_read(struct client *client, struct reply *reply)
{
    size_t used = 0;
    memset(reply, 0, sizeof(*reply));
    while (used < 4 || memcmp(reply->head + used - 4, "\r\n\r\n", 4) != 0) {
        assert_true(used < sizeof(reply->head) - 1);
        int got = client_read_byte(client, &reply->head[used]);
        if (got != 1) {
            return got == 0 && used == 0 ? 0 : -1;
        }
        used++;
    }
    assert_int_equal(sscanf(reply->head, "HTTP/1.1 %d ", &reply->status), 1);
    const char *length = strstr(reply->head, "Content-Length: ");
    if (length != NULL) {
        reply->body_size = (size_t)strtoull(length + 16, NULL, 10);
    }
    reply->body = malloc(reply->body_size + 1);
    for (size_t got_all = 0; got_all < reply->body_size;) {
        size_t left = reply->body_size - got_all;
        int got = SSL_read(client->ssl, reply->body + got_all, left > 65536 ? 65536 : (int)left);
        if (got <= 0) {
            ERR_clear_error();
            return -1;
        }
        got_all += (size_t)got;
    }
    reply->body[reply->body_size] = '\0';
    return reply->status;
}

/* Reads one reply and expects this status and, where not NULL, this text in the head. */
static inline void expect_reply(struct client *client, int status, const char *in_head)
{
    struct reply reply;
    assert_int_equal(client_read(client, &reply), status);
    if (in_head != NULL && strstr(reply.head, in_head) == NULL) {
        print_error("%s\n", reply.head);
        fail();
    }
    free(reply.body);
}

/* Expects that the server closes the stream, in whatever way, without another reply. */
static inline void expect_end(struct client *client)
{
    struct reply reply;
    int64_t begin_ms = now_ms();
    int status = client_read(client, &reply);
    assert_true(status <= 0);
    assert_true(now_ms() - begin_ms < 4500); /* closed by the server, not our patience */
    free(reply.body);
}

/* Expects that the server says goodbye properly: TLS close_notify, no reset that could take a reply
 * with it. */
static inline void expect_goodbye(struct client *client)
{
    struct reply reply;
    assert_int_equal(client_read(client, &reply), 0);
}

/* Sends bytes and the client's own goodbye in one TCP segment, then closes the sending side. */
static inline void client_write_and_say_goodbye(struct client *client, const char *bytes,
                                                size_t length)
{
    char *segment = NULL;
    BIO *memory = BIO_new(BIO_s_mem());
    SSL_set0_wbio(client->ssl, memory);
    assert_true(client_write(client, bytes, length));
    (void)SSL_shutdown(client->ssl);
    long size = BIO_get_mem_data(memory, &segment);
    assert_int_equal(send(client->socket, segment, (size_t)size, MSG_NOSIGNAL), size);
    (void)shutdown(client->socket, SHUT_WR);
}

/* Waits until the server holds no more than so many connections. */
static inline void wait_for_connections(struct world *world, int count)
{
    int64_t until_ms = now_ms() + 5000;
    while (srv_gate_connections(srv_listener_gate(world->listener)) > count &&
           now_ms() < until_ms) {
        sleep_ms(2);
    }
    assert_true(srv_gate_connections(srv_listener_gate(world->listener)) <= count);
}

/* Waits until the service has been given so many calls. */
static inline void wait_for_submitted(struct world *world, int count)
{
    int64_t until_ms = now_ms() + 5000;
    while (service_submitted(&world->service) < count && now_ms() < until_ms) {
        sleep_ms(2);
    }
    assert_int_equal(service_submitted(&world->service), count);
}

/* Short deadlines, so that tests of them take a moment only. */
static inline struct http_limits quick_limits(void)
{
    struct http_limits limits = srv_http_limits_default();
    limits.connections_max = 512;
    limits.head_ms = 400;
    limits.transfer_ms = 400;
    limits.transfer_bytes_per_s = 1024 * 1024;
    limits.idle_ms = 400;
    limits.answer_ms = 400;
    limits.linger_ms = 300;
    return limits;
}

#define SYNC_HEAD "POST /v1/sync HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer abc\r\n"
#define HEALTH "GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"

#endif
