/* SPDX-License-Identifier: Apache-2.0
 *
 * Stands in front of the C library's fsync and fdatasync: SQLite, where it is a shared library,
 * finds these first.
 */
#define _GNU_SOURCE /* syscall */

#include "tests/bench/disk.h"

#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_int slow_ms;

void disk_slow(int ms)
{
    atomic_store(&slow_ms, ms);
}

static void wait_for_disk(void)
{
    int ms = atomic_load(&slow_ms);
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    if (ms > 0) {
        (void)nanosleep(&pause, NULL);
    }
}

__attribute__((visibility("default"))) int fsync(int file)
{
    wait_for_disk();
    return (int)syscall(SYS_fsync, file);
}

__attribute__((visibility("default"))) int fdatasync(int file)
{
    wait_for_disk();
    return (int)syscall(SYS_fdatasync, file);
}
