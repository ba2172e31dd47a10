/* SPDX-License-Identifier: Apache-2.0
 *
 * A growing byte buffer that cannot exist without a maximum. Appends are sticky: the first that
 * fails (memory, or `size_max` passed) sets `status`, the following do nothing, and the caller
 * checks `status` once at the end.
 */
#ifndef DAYBOOK_BASE_BUFFER_H
#define DAYBOOK_BASE_BUFFER_H

#include <daybook/status.h>

#include <stddef.h>
#include <stdint.h>

struct buffer {
    char *bytes;   /* owned; NULL while capacity is 0 */
    size_t length; /* bytes in use */
    size_t capacity;
    size_t size_max;       /* length never passes this */
    daybook_status status; /* OK, NO_MEMORY, or TOO_LARGE where size_max was reached */
};

void dk_buffer_init(struct buffer *buffer, size_t size_max);
void dk_buffer_append(struct buffer *buffer, const void *bytes, size_t length);
void dk_buffer_append_text(struct buffer *buffer, const char *text);
void dk_buffer_append_char(struct buffer *buffer, char c);
void dk_buffer_append_int(struct buffer *buffer, int64_t number); /* decimal */
/* Makes room for `length` more bytes and returns where to write them; call dk_buffer_advance
 * afterwards. */
char *dk_buffer_reserve(struct buffer *buffer, size_t length);
void dk_buffer_advance(struct buffer *buffer, size_t length);
/* Length 0, status OK; keeps the memory. */
void dk_buffer_reset(struct buffer *buffer);
/* The text so far with a NUL behind it (not counted in length); "" where empty or failed. Borrowed
 * until the next append. */
const char *dk_buffer_text(struct buffer *buffer);
/* The bytes become the caller's (dk_memory_free); the buffer is empty afterwards. */
char *dk_buffer_take(struct buffer *buffer, size_t *length);
void dk_buffer_clear(struct buffer *buffer);

#endif
