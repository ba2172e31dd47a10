/* SPDX-License-Identifier: Apache-2.0
 *
 * The wall clock. It may jump either way; whoever needs time that only grows takes the steady
 * clock.
 */
#include "platform/posix/system.h"

#include <assert.h>
#include <time.h>

/* See system.h. CLOCK_REALTIME exists on every POSIX system, so that a failure is a defect. */
int64_t dk_posix_wall_ms(void *context)
{
    (void)context;
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    assert(result == 0);
    (void)result;
    return (int64_t)now.tv_sec * 1000 + (int64_t)now.tv_nsec / 1000000;
}
