/* SPDX-License-Identifier: Apache-2.0
 *
 * What each test of the transport begins with: an authority in a PEM file, a server with a
 * certificate that it issued for 127.0.0.1, and a connection of the default platform that trusts
 * the authority.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_TRANSPORT_WORLD_H
#define DAYBOOK_TESTS_SUPPORT_TRANSPORT_WORLD_H

#include "tests/support/certificates.h"
#include "tests/support/tls_server.h"

#include <daybook/platform.h>

struct transport_world {
    struct certificate authority;
    struct certificate own; /* the server's */
    char folder[64];        /* for the PEM file */
    char ca_file[80];       /* the authority as PEM */
    char url[64];           /* of the server */
    struct tls_server *server;
    const daybook_platform *platform;
    void *connection;
    struct daybook_request request; /* a GET that works; tests change it */
    struct daybook_reply reply;     /* of the last exchange */
};

/* cmocka's set-up and tear-down of one test; *state is a struct transport_world. */
int transport_world_set_up(void **state);
int transport_world_tear_down(void **state);
/* Sends the request and keeps the reply. */
daybook_status transport_world_exchange(struct transport_world *world);
/* Replaces the server by one with this certificate; the connection stays. */
void transport_world_serve(struct transport_world *world, const struct certificate *own,
                           const struct certificate *intermediate);
/* Tells the server to answer with this text, and forgets what it has seen. */
void transport_world_answer(struct transport_world *world, const char *reply);
/* Closes the connection and opens another one. */
void transport_world_reconnect(struct transport_world *world);

#endif
