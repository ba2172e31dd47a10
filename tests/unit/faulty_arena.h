/* SPDX-License-Identifier: Apache-2.0
 *
 * Arenas each of whose slices is a block of its own, so that any of them can fail when it is told
 * to, and a sanitizer sees where one ends: the dk_arena functions, which the linker takes instead
 * of the library's. For one file of a program, and one thread.
 */
#ifndef DAYBOOK_TESTS_FAULTY_ARENA_H
#define DAYBOOK_TESTS_FAULTY_ARENA_H

#include "engine/base/arena.h"
#include "engine/base/memory.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_GROW_FIRST 8 /* elements */

static long arena_calls;    /* slices since it was planned */
static long arena_fails_at; /* this one fails; 0: none */
static bool arena_for_good; /* and all behind it */
static bool arena_struck;   /* one has failed */

/* From now on the n-th slice fails, 0: none. */
static void arena_plan(long fails_at, bool for_good)
{
    arena_calls = 0;
    arena_fails_at = fails_at;
    arena_for_good = for_good;
    arena_struck = false;
}

struct arena_chunk { /* one slice */
    struct arena_chunk *next;
    alignas(max_align_t) char data[];
};

void dk_arena_init(struct arena *arena, size_t size_max)
{
    *arena = (struct arena){.size_max = size_max};
}

static bool arena_strikes(void)
{
    arena_calls++;
    bool strikes = arena_fails_at != 0 && (arena_calls == arena_fails_at ||
                                           (arena_for_good && arena_calls > arena_fails_at));
    arena_struck = arena_struck || strikes;
    return strikes;
}

void *dk_arena_new(struct arena *arena, size_t size)
{
    size_t step = alignof(max_align_t);
    if (arena->failed) {
        return NULL;
    }
    size_t rounded = size == 0 ? step : (size + step - 1) / step * step;
    if (size > MEMORY_MAX || rounded > arena->size_max - arena->used) {
        arena->failed = arena->full = true;
        return NULL;
    }
    struct arena_chunk *chunk = arena_strikes() ? NULL : calloc(1, sizeof *chunk + size);
    if (chunk == NULL) {
        arena->failed = true;
        return NULL;
    }
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    arena->used += rounded;
    return chunk->data;
}

void *dk_arena_grow(struct arena *arena, void *items, int count, int *capacity, size_t size)
{
    if (count < *capacity) {
        return items;
    }
    int wanted = *capacity == 0 ? ARENA_GROW_FIRST : *capacity * 2;
    void *grown = dk_arena_new(arena, (size_t)wanted * size);
    if (grown != NULL && count > 0) {
        memcpy(grown, items, (size_t)count * size);
    }
    *capacity = grown != NULL ? wanted : *capacity;
    return grown;
}

char *dk_arena_copy(struct arena *arena, const char *bytes, size_t length)
{
    if (length == SIZE_MAX) {
        arena->failed = true;
        return NULL;
    }
    char *copy = dk_arena_new(arena, length + 1);
    if (copy != NULL && length > 0) {
        memcpy(copy, bytes, length);
    }
    return copy;
}

void dk_arena_reset(struct arena *arena)
{
    while (arena->chunks != NULL) {
        struct arena_chunk *next = arena->chunks->next;
        free(arena->chunks);
        arena->chunks = next;
    }
    arena->used = 0;
    arena->failed = arena->full = false;
}

void dk_arena_clear(struct arena *arena)
{
    dk_arena_reset(arena);
}

#endif
