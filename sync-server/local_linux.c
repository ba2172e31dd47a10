/* SPDX-License-Identifier: Apache-2.0
 *
 * Unix sockets on Linux. Called by the admin socket and its client.
 * Invariant: a socket is reached through its folder's descriptor, so the length of the folder's
 * path does not matter.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* struct ucred */
#endif

#include "sync-server/local.h"

#include "engine/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 16

/* The address of folder/name by the folder's descriptor, which stays open as long as the address is
 * used; -1 with errno set. */
static int make_address(const char *folder, const char *name, struct sockaddr_un *address)
{
    int file = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) {
        return -1;
    }
    address->sun_family = AF_UNIX;
    if (!dk_text_format(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", file,
                        name)) {
        (void)close(file);
        errno = ENAMETOOLONG;
        return -1;
    }
    return file;
}

int srv_local_listen(const char *folder, const char *name)
{
    struct sockaddr_un address = {0};
    int directory = make_address(folder, name, &address);
    if (directory < 0) {
        return -1;
    }
    int result = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int error = errno;
    if (result >= 0) {
        (void)unlinkat(directory, name, 0);
        /* The mode is set before the name appears, so that there is no moment at which others could
         * connect. */
        if (fchmod(result, 0600) != 0 ||
            bind(result, (struct sockaddr *)&address, sizeof(address)) != 0 ||
            fchmodat(directory, name, 0600, 0) != 0 || listen(result, BACKLOG) != 0) {
            error = errno;
            (void)close(result);
            result = -1;
        }
    }
    (void)close(directory);
    errno = error;
    return result;
}

int srv_local_connect(const char *folder, const char *name)
{
    struct sockaddr_un address = {0};
    int directory = make_address(folder, name, &address);
    if (directory < 0) {
        return -1;
    }
    int result = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int error = errno;
    if (result >= 0 && connect(result, (struct sockaddr *)&address, sizeof(address)) != 0) {
        error = errno;
        (void)close(result);
        result = -1;
    }
    (void)close(directory);
    errno = error;
    return result;
}

bool srv_local_peer_is_us(int socket)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 ||
        length != sizeof(peer)) {
        return false;
    }
    return peer.uid == geteuid() || peer.uid == 0;
}
