/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory: the one place that calls malloc. Sizes are bounded; a request past MEMORY_MAX fails like
 * a full heap.
 */
#ifndef DAYBOOK_BASE_MEMORY_H
#define DAYBOOK_BASE_MEMORY_H

#include <stddef.h>

/* No single allocation of Daybook is larger (bytes). */
#define MEMORY_MAX ((size_t)256 * 1024 * 1024)

/* A zeroed block of count * size bytes, or NULL. */
void *dk_memory_new(size_t count, size_t size);
/* The block grown or shrunk to size bytes, or NULL and the old block stays valid. New bytes are not
 * zeroed. */
void *dk_memory_resize(void *block, size_t size);
/* A NUL-terminated copy of length bytes, or NULL. */
char *dk_memory_copy_text(const char *text, size_t length);
/* NULL is fine. */
void dk_memory_free(void *block);

#endif
