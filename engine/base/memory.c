/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns nothing: passes requests for memory on to libc, after one bound. Called by everything else
 * of Daybook. Invariant: a NULL result always means "no memory", never "no bytes", because empty
 * blocks take one byte.
 */
#include "engine/base/memory.h"

#include <stdlib.h>
#include <string.h>

/* Refuses a product past MEMORY_MAX before it can overflow; calloc zeroes. The caller frees. */
void *dk_memory_new(size_t count, size_t size)
{
    if (size != 0 && count > MEMORY_MAX / size) {
        return NULL;
    }
    size_t total = count * size;
    return calloc(1, total == 0 ? 1 : total);
}

/* realloc with the same bound; a NULL block makes a new one. On failure the old block is
 * untouched. */
void *dk_memory_resize(void *block, size_t size)
{
    if (size > MEMORY_MAX) {
        return NULL;
    }
    return realloc(block, size == 0 ? 1 : size);
}

/* Copies length bytes, which may contain anything, and puts a NUL behind them. text may be NULL
 * where length is 0. */
char *dk_memory_copy_text(const char *text, size_t length)
{
    if (length >= MEMORY_MAX) {
        return NULL;
    }
    char *copy = malloc(length + 1);
    if (copy == NULL) {
        return NULL;
    }
    if (length > 0) {
        memcpy(copy, text, length);
    }
    copy[length] = '\0';
    return copy;
}

/* The counterpart of all three above. */
void dk_memory_free(void *block)
{
    free(block);
}
