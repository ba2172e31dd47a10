/* SPDX-License-Identifier: Apache-2.0
 *
 * A lock whose holder can wait for a signal for a number of milliseconds, by a clock that nobody
 * sets. The one place of the engine that asks the system for such a clock.
 */
#ifndef DAYBOOK_SYNC_WAIT_H
#define DAYBOOK_SYNC_WAIT_H

#include <pthread.h>
#include <stdint.h>

struct wait {
    pthread_mutex_t lock;
    pthread_cond_t signal;
};

void dk_wait_init(struct wait *wait);
void dk_wait_clear(struct wait *wait);
void dk_wait_lock(struct wait *wait);
void dk_wait_unlock(struct wait *wait);
/* Wakes whoever waits. The lock is held. */
void dk_wait_signal(struct wait *wait);
/* Leaves the lock, waits for a signal, at most wait_ms, and takes it again. May end early. */
void dk_wait_for_signal(struct wait *wait, int64_t wait_ms);

#endif
