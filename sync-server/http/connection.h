/* SPDX-License-Identifier: Apache-2.0
 *
 * One TLS connection: requests one after the other, each with its deadline. All calls on its loop's
 * thread.
 */
#ifndef DAYBOOK_SERVER_HTTP_CONNECTION_H
#define DAYBOOK_SERVER_HTTP_CONNECTION_H

#include "sync-server/http/loop.h"

struct connection;

/* Begins the TLS handshake on a socket that has passed the gate. Owns both from now on; a failure
 * closes them. */
void srv_connection_open(struct loop *loop, int socket);
/* The service's answer to an exchange of this connection arrives. The answer's body is taken over.
 */
void srv_connection_answer(struct connection *connection, struct service_answer *answer);
/* Closes it if it waits for a request; else it will close after its reply. */
void srv_connection_drain(struct connection *connection);
/* Closes it now and frees it. */
void srv_connection_close(struct connection *connection);
/* The next one of its loop; NULL: the last. */
struct connection *srv_connection_next(const struct connection *connection);

#endif
