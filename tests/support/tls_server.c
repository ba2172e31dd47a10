/* SPDX-License-Identifier: Apache-2.0
 *
 * The test server. Its thread owns all sockets; the test talks to it through `play` and `seen`
 * under the lock, and ends it through a pipe that every wait watches. Nothing here waits longer
 * than the test lives.
 */
#include "tests/support/tls_server.h"

#include <openssl/err.h>

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char no_content[] = "HTTP/1.1 204 No Content\r\n\r\n";

struct tls_server {
    SSL_CTX *tls;
    int listener;
    int port;
    int stop_pipe[2]; /* [0] becomes readable when the server shall stop */
    pthread_t thread;
    pthread_mutex_t lock; /* guards play and seen */
    struct tls_play play;
    struct tls_seen seen;
};

/* One accepted connection; ssl is NULL while plain. */
struct peer {
    struct tls_server *server;
    int socket;
    SSL *ssl;
};

static struct tls_play current_play(struct tls_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    struct tls_play play = server->play;
    (void)pthread_mutex_unlock(&server->lock);
    return play;
}

/* Adds to one counter of what was seen. */
static void count(struct tls_server *server, int *counter)
{
    (void)pthread_mutex_lock(&server->lock);
    (*counter)++;
    (void)pthread_mutex_unlock(&server->lock);
}

/* Waits until the socket is readable; false when the server shall stop, or reset what is idle. */
static bool wait_readable(struct tls_server *server, int socket)
{
    enum { LOOK_MS = 10 }; /* at the play, which may have changed */
    struct pollfd watched[2] = {{.fd = server->stop_pipe[0], .events = POLLIN},
                                {.fd = socket, .events = POLLIN}};
    while (poll(watched, 2, LOOK_MS) <= 0) {
        if (socket != server->listener && current_play(server).reset_idle) {
            return false;
        }
    }
    return watched[0].revents == 0;
}

/* Waits until the other side has gone or the server shall stop, and throws away what comes. */
static void stall(const struct peer *peer)
{
    char waste[4096];
    while (wait_readable(peer->server, peer->socket)) {
        if (recv(peer->socket, waste, sizeof(waste), 0) <= 0) {
            return;
        }
    }
}

/* Reads what is there; 0 or less at the end of the connection or of the server. */
static int peer_read(const struct peer *peer, char *bytes, size_t size)
{
    if ((peer->ssl == NULL || SSL_pending(peer->ssl) == 0) &&
        !wait_readable(peer->server, peer->socket)) {
        return 0;
    }
    return peer->ssl != NULL ? SSL_read(peer->ssl, bytes, (int)size)
                             : (int)recv(peer->socket, bytes, size, 0);
}

/* Writes all bytes; false when the other side has gone. */
static bool peer_write(const struct peer *peer, const char *bytes, size_t size)
{
    while (size > 0) {
        int written = peer->ssl != NULL ? SSL_write(peer->ssl, bytes, (int)size)
                                        : (int)send(peer->socket, bytes, size, MSG_NOSIGNAL);
        if (written <= 0) {
            return false;
        }
        bytes += written;
        size -= (size_t)written;
    }
    return true;
}

/* The length of the body that a request header (NUL-terminated) announces. */
static size_t announced_length(const char *header)
{
    const char *at = strstr(header, "\r\nContent-Length:");
    return at != NULL ? strtoul(at + strlen("\r\nContent-Length:"), NULL, 10) : 0;
}

/* True when the bytes hold a whole request. */
static bool is_whole(const char *bytes, size_t size)
{
    const char *body = strstr(bytes, "\r\n\r\n");
    return body != NULL && size - (size_t)(body + 4 - bytes) >= announced_length(bytes);
}

/* Shows the test the bytes of the request; those beyond the room are only counted. */
static void show(struct tls_server *server, const char *bytes, size_t size, bool whole)
{
    (void)pthread_mutex_lock(&server->lock);
    size_t room = sizeof(server->seen.last) - 1;
    size_t shown = size < room ? size : room;
    memcpy(server->seen.last, bytes, shown);
    server->seen.last[shown] = '\0';
    server->seen.last_size = size;
    server->seen.requests += whole ? 1 : 0;
    (void)pthread_mutex_unlock(&server->lock);
}

/* Reads one request of at most 4 MiB; false when the connection ends first. */
static bool read_request(const struct peer *peer)
{
    enum { REQUEST_MAX = 4 * 1024 * 1024 };
    char *bytes = malloc(REQUEST_MAX + 1);
    size_t size = 0;
    bool whole = false;
    while (bytes != NULL && !whole && size < REQUEST_MAX) {
        int length = peer_read(peer, bytes + size, REQUEST_MAX - size);
        if (length <= 0 || current_play(peer->server).reset_upload) {
            break;
        }
        size += (size_t)length;
        bytes[size] = '\0';
        whole = current_play(peer->server).greet || is_whole(bytes, size);
    }
    if (size > 0) {
        show(peer->server, bytes, size, whole);
    }
    free(bytes);
    return whole;
}

/* Makes close() send a reset instead of a goodbye. */
static void close_abruptly(const struct peer *peer)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(peer->socket, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* Writes byte by byte; false when the other side has gone or the server shall stop. */
static bool drip(const struct peer *peer, const char *bytes, size_t size, int wait_ms)
{
    struct pollfd stop = {.fd = peer->server->stop_pipe[0], .events = POLLIN};
    for (size_t i = 0; i < size; i++) {
        if (poll(&stop, 1, wait_ms) != 0 || !peer_write(peer, bytes + i, 1)) {
            return false;
        }
    }
    return true;
}

/* Answers one request; false when the connection shall end. */
static bool answer(const struct peer *peer)
{
    struct tls_play play = current_play(peer->server);
    if (play.stall_reply) {
        stall(peer);
        return false;
    }
    const char *reply = play.reply != NULL ? play.reply : no_content;
    size_t size = play.reply != NULL ? play.reply_size : sizeof(no_content) - 1;
    bool cut = play.cut_at > 0 && play.cut_at < size;
    bool sent = play.drip_ms > 0 ? drip(peer, reply, size, play.drip_ms)
                                 : peer_write(peer, reply, cut ? play.cut_at : size);
    if (!sent) {
        return false;
    }
    if (play.stall_after) {
        stall(peer);
        return false;
    }
    return !cut && !play.close_after;
}

/* Does the TLS handshake; false when it fails. */
static bool shake_hands(struct peer *peer)
{
    struct tls_server *server = peer->server;
    int version = current_play(server).tls_version_max;
    peer->ssl = SSL_new(server->tls);
    if (peer->ssl == NULL || SSL_set_fd(peer->ssl, peer->socket) != 1 ||
        SSL_set_max_proto_version(peer->ssl, version) != 1 || SSL_accept(peer->ssl) != 1) {
        ERR_clear_error();
        return false;
    }
    count(server, &server->seen.handshakes);
    if (SSL_session_reused(peer->ssl) == 1) {
        count(server, &server->seen.resumed);
    }
    return true;
}

/* One connection from handshake to close. */
static void serve_peer(struct peer *peer)
{
    struct tls_play play = current_play(peer->server);
    if (play.stall_handshake) {
        stall(peer);
    } else if (!play.drop_handshake && (play.plain || shake_hands(peer))) {
        while (read_request(peer) && answer(peer)) {
            /* the next request on the same connection */
        }
        play = current_play(peer->server);
        if (peer->ssl != NULL && !play.abrupt && !play.reset_upload && !play.reset_idle) {
            (void)SSL_shutdown(peer->ssl);
        }
        /* A goodbye with unread bytes behind it would become a reset and could swallow the reply.
         */
        if (!play.abrupt && !play.reset_upload && !play.reset_idle &&
            shutdown(peer->socket, SHUT_WR) == 0) {
            stall(peer);
        }
    }
    if (play.abrupt || play.reset_upload || play.reset_idle) {
        close_abruptly(peer);
    }
    SSL_free(peer->ssl);
    (void)close(peer->socket);
    ERR_clear_error();
}

/* The server's thread. A broken pipe is an answer here, not a signal. */
static void *serve(void *pointer)
{
    struct tls_server *server = pointer;
    sigset_t pipe_signal;
    (void)sigemptyset(&pipe_signal);
    (void)sigaddset(&pipe_signal, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL);
    while (wait_readable(server, server->listener)) {
        struct peer peer = {.server = server, .socket = accept(server->listener, NULL, NULL)};
        if (peer.socket >= 0) {
            count(server, &server->seen.connections);
            serve_peer(&peer);
        }
    }
    return NULL;
}

/* Opens the listening socket on a free port of loopback. */
static void listen_somewhere(struct tls_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(server->listener >= 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(server->listener, 16), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &length), 0);
    server->port = ntohs(address.sin_port);
}

/* See tls_server.h. */
struct tls_server *tls_server_start(const struct certificate *own,
                                    const struct certificate *intermediate)
{
    struct tls_server *server = calloc(1, sizeof(*server));
    assert_non_null(server);
    server->tls = SSL_CTX_new(TLS_server_method());
    assert_non_null(server->tls);
    assert_int_equal(SSL_CTX_use_certificate(server->tls, own->x509), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server->tls, own->key), 1);
    if (intermediate != NULL) {
        assert_int_equal(SSL_CTX_add1_chain_cert(server->tls, intermediate->x509), 1);
    } else {
        /* Otherwise OpenSSL would look for more certificates to send. */
        (void)SSL_CTX_set_mode(server->tls, SSL_MODE_NO_AUTO_CHAIN);
    }
    assert_int_equal(SSL_CTX_set_session_id_context(server->tls, (const unsigned char *)"t", 1), 1);
    assert_int_equal(pthread_mutex_init(&server->lock, NULL), 0);
    assert_int_equal(pipe(server->stop_pipe), 0);
    listen_somewhere(server);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
    return server;
}

/* See tls_server.h. */
void tls_server_play(struct tls_server *server, const struct tls_play *play)
{
    (void)pthread_mutex_lock(&server->lock);
    server->play = *play;
    memset(&server->seen, 0, sizeof(server->seen));
    (void)pthread_mutex_unlock(&server->lock);
}

/* See tls_server.h. */
struct tls_seen tls_server_seen(struct tls_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    struct tls_seen seen = server->seen;
    (void)pthread_mutex_unlock(&server->lock);
    return seen;
}

/* See tls_server.h. */
int tls_server_port(const struct tls_server *server)
{
    return server->port;
}

/* See tls_server.h. */
void tls_server_stop(struct tls_server *server)
{
    if (server == NULL) {
        return;
    }
    assert_int_equal(write(server->stop_pipe[1], "x", 1), 1);
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    (void)close(server->listener);
    (void)close(server->stop_pipe[0]);
    (void)close(server->stop_pipe[1]);
    (void)pthread_mutex_destroy(&server->lock);
    SSL_CTX_free(server->tls);
    free(server);
}
