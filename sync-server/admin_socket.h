/* SPDX-License-Identifier: Apache-2.0
 *
 * The admin socket: commands of the command line reach a running server through admin.sock in its
 * data folder (mode 0600, the peer's user is checked). One request per connection: one line
 * {"command":["user","add",...],"json":false}; one line as reply,
 * {"ok":true,"text":...} or {"ok":false,"error":...}.
 */
#ifndef DAYBOOK_SERVER_ADMIN_SOCKET_H
#define DAYBOOK_SERVER_ADMIN_SOCKET_H

#include "engine/base/log.h"
#include "sync-server/service.h"

#include <daybook/status.h>

#include <stdbool.h>
#include <stddef.h>

#define ADMIN_REQUEST_BYTES_MAX (64 * 1024)
#define ADMIN_REPLY_BYTES_MAX (16 * 1024 * 1024)

struct admin_socket;

/* Listens and starts the thread that answers, one request after the other. The caller holds the
 * folder's lock. */
daybook_status srv_admin_open(const char *folder, struct service *service, const struct log *log,
                              struct admin_socket **out, char *problem, size_t problem_size);
/* Finishes the command under way, joins, removes the socket. NULL is fine. */
void srv_admin_close(struct admin_socket *admin);

/* The client's side. OK: the running server answered; *ok and *text (the caller's, dk_memory_free)
 * are its answer. NOT_FOUND: no server runs on this folder. Else `problem` says what went wrong on
 * the way. */
daybook_status srv_admin_call(const char *folder, int argc, const char *const *argv, bool json,
                              bool *ok, char **text, char *problem, size_t problem_size);
/* Whether a server runs on this folder. */
bool srv_admin_is_running(const char *folder);

#endif
