/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads RssAnon from the process's status file, by a thread once a millisecond. Called by the
 * figure of memory. Invariant: the sampler takes no memory of its own while it runs.
 */
#include "tests/bench/memory.h"

#include "tests/bench/harness.h"

#include "engine/base/text.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SAMPLE_NS 1000000

long memory_anonymous(pid_t process)
{
    char text[4096], path[64];
    (void)dk_text_format(path, sizeof path, "/proc/%ld/status",
                         (long)(process == 0 ? getpid() : process));
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (length <= 0) {
        bench_fail("cannot read the status of the process");
    }
    (void)close(file);
    text[length] = '\0';
    const char *line = strstr(text, "RssAnon:");
    if (line == NULL) {
        bench_fail("this kernel does not tell RssAnon");
    }
    return strtol(line + strlen("RssAnon:"), NULL, 10);
}

/* The sampling thread. */
static void *sample(void *argument)
{
    struct memory_watch *watch = argument;
    const struct timespec pause = {.tv_nsec = SAMPLE_NS};
    while (!atomic_load(&watch->stop)) {
        long now = memory_anonymous(0);
        if (now > atomic_load(&watch->peak)) {
            atomic_store(&watch->peak, now);
        }
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

void memory_watch_start(struct memory_watch *watch)
{
    atomic_init(&watch->stop, false);
    atomic_init(&watch->peak, 0);
    if (pthread_create(&watch->thread, NULL, sample, watch) != 0) {
        bench_fail("cannot start a thread");
    }
}

long memory_watch_stop(struct memory_watch *watch)
{
    atomic_store(&watch->stop, true);
    (void)pthread_join(watch->thread, NULL);
    return atomic_load(&watch->peak);
}
