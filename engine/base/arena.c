/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns a list of chunks and hands out slices of the newest. Called where one message or one call
 * needs many allocations that end together. Invariants: `used` is the sum of all slices handed out,
 * rounded up to the alignment, and never passes size_max; only the first chunk of the list is
 * carved further.
 */
#include "engine/base/arena.h"

#include "engine/base/memory.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#define GROW_FIRST 8                   /* elements */
#define CHUNK_FIRST ((size_t)4 * 1024) /* bytes */
#define CHUNK_LAST ((size_t)256 * 1024)

struct arena_chunk {
    struct arena_chunk *next; /* older */
    size_t size;              /* bytes of data */
    size_t used;
    alignas(max_align_t) char data[];
};

/* An empty arena that owns no memory yet. */
void dk_arena_init(struct arena *arena, size_t size_max)
{
    memset(arena, 0, sizeof *arena);
    arena->size_max = size_max;
}

/* Sizes double from one chunk to the next, so that the number of chunks stays logarithmic. */
static size_t next_chunk_size(const struct arena *arena)
{
    if (arena->chunks == NULL) {
        return CHUNK_FIRST;
    }
    size_t size = arena->chunks->size * 2;
    if (size < CHUNK_FIRST) {
        return CHUNK_FIRST;
    }
    return size > CHUNK_LAST ? CHUNK_LAST : size;
}

/* Adds a chunk for `size` bytes. A slice that is large beside the usual chunk gets one of its own,
 * put behind the first, so that the rest of the first is not wasted. NULL: no memory. */
static struct arena_chunk *add_chunk(struct arena *arena, size_t size)
{
    size_t usual = next_chunk_size(arena);
    bool alone = size > usual / 4;
    size_t data_size = alone ? size : usual;
    struct arena_chunk *chunk = dk_memory_resize(NULL, sizeof *chunk + data_size);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->size = data_size;
    chunk->used = 0;
    if (alone && arena->chunks != NULL) {
        chunk->next = arena->chunks->next;
        arena->chunks->next = chunk;
    } else {
        chunk->next = arena->chunks;
        arena->chunks = chunk;
    }
    return chunk;
}

/* A slice with unspecified content: checks the bound, carves the first chunk or adds one. NULL sets
 * `failed`, at the bound `full` too. */
static char *take(struct arena *arena, size_t size)
{
    size_t step = alignof(max_align_t);
    if (arena->failed) {
        return NULL;
    }
    if (size > MEMORY_MAX) {
        goto full;
    }
    size_t rounded = (size == 0) ? step : (size + step - 1) / step * step;
    if (arena->used > arena->size_max || rounded > arena->size_max - arena->used) {
        goto full;
    }
    struct arena_chunk *chunk = arena->chunks;
    if (chunk == NULL || rounded > chunk->size - chunk->used) {
        chunk = add_chunk(arena, rounded);
        if (chunk == NULL) {
            arena->failed = true;
            return NULL;
        }
    }
    char *slice = chunk->data + chunk->used;
    chunk->used += rounded;
    arena->used += rounded;
    return slice;

full:
    arena->failed = arena->full = true;
    return NULL;
}

/* See take; zeroed here, because kept chunks hold old bytes. */
void *dk_arena_new(struct arena *arena, size_t size)
{
    char *slice = take(arena, size);
    if (slice != NULL) {
        memset(slice, 0, size);
    }
    return slice;
}

/* The old array stays in the arena, so the sum is less than twice the last. */
void *dk_arena_grow(struct arena *arena, void *items, int count, int *capacity, size_t size)
{
    if (count < *capacity) {
        return items;
    }
    int wanted = *capacity == 0 ? GROW_FIRST : *capacity * 2;
    void *grown = dk_arena_new(arena, (size_t)wanted * size);
    if (grown != NULL && count > 0) {
        memcpy(grown, items, (size_t)count * size);
    }
    if (grown != NULL) {
        *capacity = wanted;
    }
    return grown;
}

/* `bytes` may be NULL where length is 0. */
char *dk_arena_copy(struct arena *arena, const char *bytes, size_t length)
{
    if (length == SIZE_MAX) {
        arena->failed = true;
        return NULL;
    }
    char *slice = take(arena, length + 1);
    if (slice == NULL) {
        return NULL;
    }
    if (length > 0) {
        memcpy(slice, bytes, length);
    }
    slice[length] = '\0';
    return slice;
}

/* Frees all chunks but the largest, and forgets a failure. */
void dk_arena_reset(struct arena *arena)
{
    struct arena_chunk *largest = NULL;
    struct arena_chunk *chunk = arena->chunks;
    while (chunk != NULL) {
        struct arena_chunk *next = chunk->next;
        if (largest == NULL || chunk->size > largest->size) {
            dk_memory_free(largest);
            largest = chunk;
        } else {
            dk_memory_free(chunk);
        }
        chunk = next;
    }
    if (largest != NULL) {
        largest->next = NULL;
        largest->used = 0;
    }
    arena->chunks = largest;
    arena->used = 0;
    arena->failed = arena->full = false;
}

/* Frees all chunks. The bound stays. */
void dk_arena_clear(struct arena *arena)
{
    dk_arena_reset(arena);
    dk_memory_free(arena->chunks);
    arena->chunks = NULL;
}
