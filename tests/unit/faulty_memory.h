/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that fails when it is told to: the dk_memory functions, which the linker takes instead of
 * the library's, and SQLite's. For one file of a program.
 */
#ifndef DAYBOOK_TESTS_FAULTY_MEMORY_H
#define DAYBOOK_TESTS_FAULTY_MEMORY_H

#include "engine/base/database.h"
#include "engine/base/memory.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

static atomic_long memory_calls;         /* since it was planned */
static atomic_bool memory_of_sqlite;     /* SQLite's allocations count, not our own */
static atomic_long memory_fails_at;      /* this call fails; 0: none */
static atomic_bool memory_for_good;      /* and all after it */
static _Thread_local bool memory_spared; /* what this thread allocates does not count */
static sqlite3_mem_methods memory_real;

/* Whether this allocation fails. */
static bool memory_strikes(bool sqlite)
{
    if (memory_spared || atomic_load(&memory_of_sqlite) != sqlite) {
        return false;
    }
    long now = atomic_fetch_add(&memory_calls, 1) + 1;
    long at = atomic_load(&memory_fails_at);
    return at != 0 && (now == at || (now > at && atomic_load(&memory_for_good)));
}

void *dk_memory_new(size_t count, size_t size)
{
    return memory_strikes(false) ? NULL : calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);
}

void *dk_memory_resize(void *block, size_t size)
{
    return memory_strikes(false) ? NULL : realloc(block, size == 0 ? 1 : size);
}

char *dk_memory_copy_text(const char *text, size_t length)
{
    char *copy = memory_strikes(false) ? NULL : malloc(length + 1);
    if (copy != NULL) {
        memcpy(copy, text == NULL ? "" : text, length);
        copy[length] = '\0';
    }
    return copy;
}

void dk_memory_free(void *block)
{
    free(block);
}

static void *memory_sqlite_malloc(int size)
{
    return memory_strikes(true) ? NULL : memory_real.xMalloc(size);
}

static void *memory_sqlite_realloc(void *block, int size)
{
    return memory_strikes(true) ? NULL : memory_real.xRealloc(block, size);
}

/* Before SQLite is used for the first time; a group's set-up. */
static int memory_replace_sqlites(void **state)
{
    (void)state;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory_real) != SQLITE_OK) {
        return -1;
    }
    sqlite3_mem_methods faulty = memory_real;
    faulty.xMalloc = memory_sqlite_malloc;
    faulty.xRealloc = memory_sqlite_realloc;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &faulty) == SQLITE_OK ? 0 : -1;
}

/* From now on the n-th allocation fails, 0: none; counts from 0 again. */
static void memory_plan(long fails_at, bool for_good)
{
    atomic_store(&memory_fails_at, 0);
    atomic_store(&memory_calls, 0);
    atomic_store(&memory_for_good, for_good);
    atomic_store(&memory_fails_at, fails_at);
}

#endif
