/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's time and chance in a program that has a laboratory: it asks the system for both, and
 * these functions stand before the system's. Included by the test's own file, before all others and
 * once in a program; no part of the library of helpers, since every program would get them then.
 * While no laboratory is open the time is the system's.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_LAB_SYSTEM_H
#define DAYBOOK_TESTS_SUPPORT_LAB_SYSTEM_H

#define _DEFAULT_SOURCE /* syscall */

#include "tests/support/lab.h"

#include <openssl/rand.h>
#include <sqlite3.h>

#include <limits.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_int_least64_t lab_true_ms;
static atomic_uint_least64_t lab_chance_state;

int64_t lab_now_ms(void)
{
    return atomic_load(&lab_true_ms);
}

void lab_set_now_ms(int64_t now_ms)
{
    atomic_store(&lab_true_ms, now_ms);
}

void lab_set_chance(uint64_t seed)
{
    atomic_store(&lab_chance_state, seed | 1);
}

/* Also for modules. */
__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *time)
{
    int64_t now_ms = lab_now_ms();
    if (clock != CLOCK_REALTIME || now_ms == 0) {
        return (int)syscall(SYS_clock_gettime, clock, time);
    }
    time->tv_sec = (time_t)(now_ms / 1000);
    time->tv_nsec = (long)(now_ms % 1000) * 1000000;
    return 0;
}

/* SQLite's chance makes epochs and the log's salt. The first file that a process opens sets it
 * back, in case the process is a fork. */
void lab_seed_sqlite(uint64_t seed)
{
    sqlite3 *database = NULL;
    (void)sqlite3_open_v2("/dev/null", &database, SQLITE_OPEN_READONLY, NULL);
    (void)sqlite3_close(database);
    (void)sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, (int)(seed % INT_MAX) + 1, NULL);
    sqlite3_randomness(0, NULL);
}

__attribute__((visibility("default"))) int RAND_bytes(unsigned char *bytes, int length)
{
    uint64_t state = atomic_load(&lab_chance_state);
    for (int i = 0; i < length; i++) {
        bytes[i] = (unsigned char)(lab_next(&state) >> 16);
    }
    atomic_store(&lab_chance_state, state);
    return 1;
}

#endif
