/* SPDX-License-Identifier: Apache-2.0
 *
 * A server for tests of the transport: real sockets and real TLS on loopback in a thread of its
 * own, which answers each request with bytes that the test chose, or misbehaves as told. One
 * connection at a time.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_TLS_SERVER_H
#define DAYBOOK_TESTS_SUPPORT_TLS_SERVER_H

#include "tests/support/certificates.h"

#include <openssl/ssl.h>

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* What the server does with each connection and request. Copied at tls_server_play. */
struct tls_play {
    const char *reply;    /* bytes, borrowed; sent after each whole request */
    size_t reply_size;    /* bytes */
    size_t cut_at;        /* sends only so many bytes of each reply, then ends; 0: all of it */
    bool abrupt;          /* ends without TLS's goodbye, by a reset */
    bool close_after;     /* closes after each reply */
    bool stall_handshake; /* accepts and says nothing */
    bool drop_handshake;  /* accepts and closes */
    bool stall_reply;     /* reads the request and says nothing more */
    bool reset_upload;    /* resets when the first bytes of a request have come */
    bool plain;           /* speaks without TLS */
    bool greet;           /* plain: answers the first bytes, whatever they are */
    bool stall_after;     /* says nothing more after the reply */
    bool reset_idle;      /* resets a connection that waits for a request */
    int drip_ms;          /* waits so long before each byte of the reply; 0: none */
    int tls_version_max;  /* such as TLS1_2_VERSION; 0: any */
};

/* What happened so far. */
struct tls_seen {
    int connections;      /* accepted */
    int handshakes;       /* that ended well */
    int resumed;          /* of these by a session from before */
    int requests;         /* read whole */
    char last[64 * 1024]; /* the bytes of the last request, NUL-terminated; or of what came instead
                             of one */
    size_t last_size;     /* bytes */
};

struct tls_server;

/* Starts the server with this certificate and, if not NULL, an intermediate one that it sends
 * along. The certificates must outlive it. It answers "204 No Content" until it is told otherwise.
 */
struct tls_server *tls_server_start(const struct certificate *own,
                                    const struct certificate *intermediate);
/* Sets what happens with requests and connections from now on, and forgets what was seen. */
void tls_server_play(struct tls_server *server, const struct tls_play *play);
/* What was seen since then. */
struct tls_seen tls_server_seen(struct tls_server *server);
/* Port on 127.0.0.1. */
int tls_server_port(const struct tls_server *server);
/* Ends all connections and the thread, and frees; NULL is fine. */
void tls_server_stop(struct tls_server *server);

#endif
