/* SPDX-License-Identifier: Apache-2.0
 *
 * What Linux and Android have of their own: a clock that counts sleep, and an identifier of the
 * running boot.
 */
#include "platform/posix/system.h"

#include <assert.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

enum { BOOT_ID_LENGTH = 36 }; /* a UUID as text */

/* See system.h. CLOCK_BOOTTIME goes on while the machine sleeps; CLOCK_MONOTONIC would not. */
int64_t dk_posix_steady_ms(void *context)
{
    (void)context;
    struct timespec now;
    int result = clock_gettime(CLOCK_BOOTTIME, &now);
    assert(result == 0);
    (void)result;
    return (int64_t)now.tv_sec * 1000 + (int64_t)now.tv_nsec / 1000000;
}

/* See system.h. The kernel draws a random UUID at each boot; FNV-1a folds its text into 64 bits. 0
 * when the file is not there or not readable (some sandboxes), as the contract says. */
uint64_t dk_posix_boot_id(void *context)
{
    (void)context;
    char text[BOOT_ID_LENGTH];
    int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return 0;
    }
    ssize_t length = read(file, text, sizeof(text));
    (void)close(file);
    if (length != BOOT_ID_LENGTH) {
        return 0;
    }
    uint64_t hash = 0xcbf29ce484222325u;
    for (int i = 0; i < BOOT_ID_LENGTH; i++) {
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
    }
    return hash != 0 ? hash : 1;
}
