/* SPDX-License-Identifier: Apache-2.0
 *
 * A POSIX system about which nothing more is known: the monotonic clock, and no boot identifier.
 */
#include "platform/posix/system.h"

#include <assert.h>
#include <time.h>

/* See system.h. On Apple's systems this clock counts sleep; elsewhere it may not, and the engine
 * then sees less time pass than did, which only delays it. */
int64_t dk_posix_steady_ms(void *context)
{
    (void)context;
    struct timespec now;
    int result = clock_gettime(CLOCK_MONOTONIC, &now);
    assert(result == 0);
    (void)result;
    return (int64_t)now.tv_sec * 1000 + (int64_t)now.tv_nsec / 1000000;
}

/* See system.h: not known here. */
uint64_t dk_posix_boot_id(void *context)
{
    (void)context;
    return 0;
}
