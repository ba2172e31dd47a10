/* SPDX-License-Identifier: Apache-2.0
 *
 * The anonymous memory of a process (RssAnon), and its peak in this one while something runs.
 */
#ifndef DAYBOOK_TESTS_BENCH_MEMORY_H
#define DAYBOOK_TESTS_BENCH_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

/* KiB now; 0: of this process. */
long memory_anonymous(pid_t process);

/* Samples until it is stopped. */
struct memory_watch {
    pthread_t thread;
    atomic_bool stop;
    atomic_long peak; /* KiB */
};

void memory_watch_start(struct memory_watch *watch);
/* The peak in KiB since the start. */
long memory_watch_stop(struct memory_watch *watch);

#endif
