/* SPDX-License-Identifier: Apache-2.0
 *
 * The anonymous memory of this process (RssAnon), and its peak while something runs.
 */
#ifndef DAYBOOK_TESTS_BENCH_MEMORY_H
#define DAYBOOK_TESTS_BENCH_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>

/* KiB now. */
long memory_anonymous(void);

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
