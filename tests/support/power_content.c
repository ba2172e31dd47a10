/* SPDX-License-Identifier: Apache-2.0
 *
 * See power.h: what the files contain, for the process and on the disk, and what of it goes with
 * the power. Each file has a whole copy in memory, which outlives its handles like an operating
 * system's page cache, and a list of the writes since its last sync. A sync puts those into the
 * real file.
 */
#include "tests/support/power_inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FILE_BYTES_MAX ((sqlite3_int64)256 * 1024 * 1024)

/* ---- contents; all under the lock */

void power_grow(struct content *content, sqlite3_int64 size)
{
    assert_true(size <= FILE_BYTES_MAX);
    if (size > content->capacity) {
        sqlite3_int64 capacity = size * 2 + 65536;
        content->bytes = realloc(content->bytes, (size_t)capacity);
        assert_non_null(content->bytes);
        content->capacity = capacity;
    }
    if (size > content->size) {
        memset(content->bytes + content->size, 0, (size_t)(size - content->size));
        content->size = size;
    }
}

static void forget_unsynced(struct content *content)
{
    while (content->first != NULL) {
        struct unsynced *next = content->first->next;
        free(content->first->bytes);
        free(content->first);
        content->first = next;
    }
    content->end = &content->first;
}

void power_note(struct content *content, sqlite3_int64 offset, int length, const void *bytes)
{
    struct unsynced *write = calloc(1, sizeof *write);
    assert_non_null(write);
    write->offset = offset;
    write->length = length;
    if (length > 0) {
        write->bytes = malloc((size_t)length);
        assert_non_null(write->bytes);
        memcpy(write->bytes, bytes, (size_t)length);
    }
    *content->end = write;
    content->end = &write->next;
}

/* The next number of a small generator; never 0. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Puts the unsynced writes into the real file; with a seed each one by chance. */
int power_flush(struct content *content, sqlite3_file *below, uint64_t *seed)
{
    int result = SQLITE_OK;
    for (struct unsynced *write = content->first; write != NULL && result == SQLITE_OK;
         write = write->next) {
        if (seed != NULL && next_random(seed) % 2 == 0) {
            continue;
        }
        result = write->length < 0
                     ? below->pMethods->xTruncate(below, write->offset)
                     : below->pMethods->xWrite(below, write->bytes, write->length, write->offset);
    }
    forget_unsynced(content);
    return result;
}

/* The entry of a path, made where it is missing. */
struct content *power_find(struct power *power, const char *path, bool make)
{
    struct content *free_one = NULL;
    for (int i = 0; i < POWER_FILES_MAX; i++) {
        if (strcmp(power->contents[i].path, path) == 0) {
            return &power->contents[i];
        }
        if (power->contents[i].path[0] == '\0' && free_one == NULL) {
            free_one = &power->contents[i];
        }
    }
    if (!make) {
        return NULL;
    }
    assert_non_null(free_one);
    assert_true(strlen(path) < POWER_PATH_SIZE);
    (void)snprintf(free_one->path, POWER_PATH_SIZE, "%s", path);
    free_one->end = &free_one->first;
    return free_one;
}

void power_drop(struct content *content)
{
    forget_unsynced(content);
    free(content->bytes);
    memset(content, 0, sizeof *content);
}

void power_forget(struct content *content)
{
    forget_unsynced(content);
    content->size = 0;
    content->loaded = true;
    content->gone = true;
}

/* ---- losing power; all under the lock */

/* Opens the real file of a content for writing, and puts the unsynced into it, or a chance part. */
static void lose(struct power *power, struct content *content, uint64_t *seed)
{
    int out_flags;
    sqlite3_file *below = calloc(1, (size_t)power->below->szOsFile);
    assert_non_null(below);
    assert_int_equal(power->below->xOpen(power->below, content->path, below,
                                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_TEMP_JOURNAL,
                                         &out_flags),
                     SQLITE_OK);
    assert_int_equal(power_flush(content, below, seed), SQLITE_OK);
    (void)below->pMethods->xClose(below);
    free(below);
}

static void cut(struct power *power, enum power_loss loss, uint64_t seed)
{
    power->cut = true;
    for (int i = 0; i < POWER_FILES_MAX && loss != POWER_LOSES_ALL; i++) {
        if (power->contents[i].path[0] != '\0' && power->contents[i].first != NULL) {
            lose(power, &power->contents[i], loss == POWER_LOSES_SOME ? &seed : NULL);
        }
    }
}

void power_operation(struct power *power, struct content *content, const struct unsynced *write)
{
    if (++power->operations != power->cut_at || power->cut) {
        return;
    }
    if (power->cut_loss == POWER_TEARS && write != NULL && write->length > 1) {
        int part = 1 + (int)(power->cut_seed % (uint64_t)(write->length - 1));
        power_note(content, write->offset, part, write->bytes);
    }
    cut(power, power->cut_loss, power->cut_seed);
}

/* ---- what a test does to the disk */

void power_cut(struct power *power, uint64_t seed)
{
    pthread_mutex_lock(&power->lock);
    cut(power, seed == 0 ? POWER_LOSES_ALL : POWER_LOSES_SOME, seed);
    pthread_mutex_unlock(&power->lock);
}

void power_lose_at(struct power *power, int operation, enum power_loss loss, uint64_t seed)
{
    pthread_mutex_lock(&power->lock);
    power->cut_at = operation == 0 ? 0 : power->operations + operation;
    power->cut_loss = loss;
    power->cut_seed = seed;
    pthread_mutex_unlock(&power->lock);
}

void power_cut_at(struct power *power, int operation, uint64_t seed)
{
    power_lose_at(power, operation, seed == 0 ? POWER_LOSES_ALL : POWER_LOSES_SOME, seed);
}

bool power_is_cut(struct power *power)
{
    pthread_mutex_lock(&power->lock);
    bool is_cut = power->cut;
    pthread_mutex_unlock(&power->lock);
    return is_cut;
}

int power_operations(struct power *power)
{
    pthread_mutex_lock(&power->lock);
    int operations = power->operations;
    pthread_mutex_unlock(&power->lock);
    return operations;
}

void power_return(struct power *power)
{
    pthread_mutex_lock(&power->lock);
    for (int i = 0; i < POWER_FILES_MAX; i++) {
        if (power->contents[i].path[0] != '\0') {
            assert_int_equal(power->contents[i].handles, 0);
            power_drop(&power->contents[i]);
        }
    }
    power->cut = false;
    pthread_mutex_unlock(&power->lock);
}

void power_fill(struct power *power, int64_t bytes_left)
{
    pthread_mutex_lock(&power->lock);
    power->bytes_left = bytes_left;
    power->overflows = 0;
    pthread_mutex_unlock(&power->lock);
}

int power_overflows(struct power *power)
{
    pthread_mutex_lock(&power->lock);
    int overflows = power->overflows;
    pthread_mutex_unlock(&power->lock);
    return overflows;
}

int64_t power_syncs(struct power *power)
{
    pthread_mutex_lock(&power->lock);
    int64_t syncs = power->syncs;
    pthread_mutex_unlock(&power->lock);
    return syncs;
}
