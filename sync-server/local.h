/* SPDX-License-Identifier: Apache-2.0
 *
 * Unix sockets of the data folder: the parts that differ between systems. This is Linux; another
 * system is another file behind this header.
 */
#ifndef DAYBOOK_SERVER_LOCAL_H
#define DAYBOOK_SERVER_LOCAL_H

#include <stdbool.h>
#include <stddef.h>

/* Binds (mode 0600) and listens on folder/name, replacing what a dead process left there; -1 with
 * errno set. The caller holds the folder's lock, so that nobody alive listens there. Works for
 * paths longer than a socket address. */
int srv_local_listen(const char *folder, const char *name);
/* Connects; -1 with errno set (ENOENT or ECONNREFUSED: nobody listens). */
int srv_local_connect(const char *folder, const char *name);
/* Whether the peer of a connected socket runs as our user or as root. */
bool srv_local_peer_is_us(int socket);

#endif
