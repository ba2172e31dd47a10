/* SPDX-License-Identifier: Apache-2.0
 *
 * POSIX condition variables that wait by CLOCK_MONOTONIC. Called by worker.c. A system without that
 * clock for condition variables gets another file here. Invariant: setting the system's time makes
 * no wait longer or shorter.
 */
#include "engine/sync/wait.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

/* What fails here is a defect: the arguments are ours. */
static void must(int result)
{
    assert(result == 0);
    (void)result;
}

/* See the header. */
void dk_wait_init(struct wait *wait)
{
    pthread_condattr_t attributes;
    must(pthread_mutex_init(&wait->lock, NULL));
    must(pthread_condattr_init(&attributes));
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));
    must(pthread_cond_init(&wait->signal, &attributes));
    must(pthread_condattr_destroy(&attributes));
}

/* See the header. Nobody waits and nobody holds the lock. */
void dk_wait_clear(struct wait *wait)
{
    must(pthread_cond_destroy(&wait->signal));
    must(pthread_mutex_destroy(&wait->lock));
}

/* See the header. */
void dk_wait_lock(struct wait *wait)
{
    must(pthread_mutex_lock(&wait->lock));
}

/* See the header. */
void dk_wait_unlock(struct wait *wait)
{
    must(pthread_mutex_unlock(&wait->lock));
}

/* See the header. */
void dk_wait_signal(struct wait *wait)
{
    must(pthread_cond_broadcast(&wait->signal));
}

/* See the header. */
void dk_wait_for_signal(struct wait *wait, int64_t wait_ms)
{
    struct timespec until;
    assert(wait_ms >= 0);
    must(clock_gettime(CLOCK_MONOTONIC, &until));
    until.tv_sec += (time_t)(wait_ms / 1000);
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int result = pthread_cond_timedwait(&wait->signal, &wait->lock, &until);
    assert(result == 0 || result == ETIMEDOUT);
    (void)result;
}
