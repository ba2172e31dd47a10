/* SPDX-License-Identifier: Apache-2.0
 *
 * An arena: many small allocations that end together, such as those of one decoded message.
 * Bounded: past `size_max` bytes it returns NULL. Sticky: after one NULL `failed` stays set, so
 * that a chain is checked once.
 */
#ifndef DAYBOOK_BASE_ARENA_H
#define DAYBOOK_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    size_t used;                /* bytes handed out */
    size_t size_max;            /* bytes */
    bool failed;
    bool full; /* failed at the bound, not for want of memory */
};

void dk_arena_init(struct arena *arena, size_t size_max);
/* Zeroed, aligned for any type; NULL when memory or the bound is used up. */
void *dk_arena_new(struct arena *arena, size_t size);
/* A NUL-terminated copy of length bytes. */
char *dk_arena_copy(struct arena *arena, const char *bytes, size_t length);
/* Room for one more element of an array in an arena: the array, moved to one of twice the size
 * where it was full, or NULL. */
void *dk_arena_grow(struct arena *arena, void *items, int count, int *capacity, size_t size);
/* Everything handed out becomes invalid; the largest chunk is kept for reuse. */
void dk_arena_reset(struct arena *arena);
/* Frees all. The arena may be used again after init. */
void dk_arena_clear(struct arena *arena);

#endif
