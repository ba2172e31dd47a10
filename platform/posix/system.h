/* SPDX-License-Identifier: Apache-2.0
 *
 * The POSIX hooks: clocks, boot id, threads. Called through the struct of daybook_posix_platform()
 * and by the transport. No state; any thread.
 */
#ifndef DAYBOOK_PLATFORM_POSIX_SYSTEM_H
#define DAYBOOK_PLATFORM_POSIX_SYSTEM_H

#include <stdbool.h>
#include <stdint.h>

/* Milliseconds since 1970-01-01 UTC. */
int64_t dk_posix_wall_ms(void *context);
/* Milliseconds of a clock that only goes forward and counts sleep; its start is any moment. */
int64_t dk_posix_steady_ms(void *context);
/* A number that differs between boots; 0: not known. */
uint64_t dk_posix_boot_id(void *context);

/* Starts a thread that runs work(argument), with all signals blocked so that they go to the app's
 * threads. *thread is a handle that dk_posix_thread_join frees. False when the system refuses or
 * memory is used up. */
bool dk_posix_thread_start(void *context, void (*work)(void *argument), void *argument,
                           void **thread);
/* Waits until the thread has ended and frees the handle. */
void dk_posix_thread_join(void *context, void *thread);

#endif
