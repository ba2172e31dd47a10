/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns one growing block of bytes. Called by every encoder and by all that reads from a socket or
 * file. Invariants: length <= capacity <= size_max; where bytes is not NULL it has capacity + 1
 * bytes, so that a NUL always fits behind the content; once status is not OK, length does not
 * change until reset.
 */
#include "engine/base/buffer.h"

#include "engine/base/memory.h"
#include "engine/base/text.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#define CAPACITY_FIRST 64 /* bytes */

/* An empty buffer that owns no memory yet. */
void dk_buffer_init(struct buffer *buffer, size_t size_max)
{
    memset(buffer, 0, sizeof *buffer);
    buffer->size_max = size_max;
}

/* Makes room for `length` more bytes by doubling, never past size_max or MEMORY_MAX. False sets
 * status. */
static bool grow(struct buffer *buffer, size_t length)
{
    if (length > buffer->size_max - buffer->length) {
        buffer->status = DAYBOOK_TOO_LARGE;
        return false;
    }
    size_t needed = buffer->length + length;
    size_t capacity = buffer->capacity < CAPACITY_FIRST / 2 ? CAPACITY_FIRST : buffer->capacity;
    capacity = capacity > MEMORY_MAX / 2 ? MEMORY_MAX - 1 : capacity * 2;
    capacity = capacity < needed ? needed : capacity;
    capacity = capacity > buffer->size_max ? buffer->size_max : capacity;
    char *bytes = NULL;
    if (capacity < MEMORY_MAX) {
        bytes = dk_memory_resize(buffer->bytes, capacity + 1);
    }
    if (bytes == NULL) {
        buffer->status = DAYBOOK_NO_MEMORY;
        return false;
    }
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

/* NULL where the buffer has failed or now fails. The memory behind the pointer is not
 * initialised. */
char *dk_buffer_reserve(struct buffer *buffer, size_t length)
{
    if (buffer->status != DAYBOOK_OK) {
        return NULL;
    }
    if (buffer->bytes == NULL || length > buffer->capacity - buffer->length) {
        if (!grow(buffer, length)) {
            return NULL;
        }
    }
    return buffer->bytes + buffer->length;
}

/* The caller has written `length` bytes into the room that it reserved. */
void dk_buffer_advance(struct buffer *buffer, size_t length)
{
    assert(buffer->status == DAYBOOK_OK && length <= buffer->capacity - buffer->length);
    buffer->length += length;
}

/* All of `bytes` or nothing. `bytes` may be NULL where length is 0, and may not lie in this
 * buffer. */
void dk_buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
    if (length == 0) {
        return;
    }
    char *room = dk_buffer_reserve(buffer, length);
    if (room != NULL) {
        memcpy(room, bytes, length);
        buffer->length += length;
    }
}

/* A NUL-terminated text without its NUL. */
void dk_buffer_append_text(struct buffer *buffer, const char *text)
{
    dk_buffer_append(buffer, text, strlen(text));
}

/* One byte. */
void dk_buffer_append_char(struct buffer *buffer, char c)
{
    char *room = dk_buffer_reserve(buffer, 1);
    if (room != NULL) {
        *room = c;
        buffer->length++;
    }
}

/* Formatted aside first, so that a number that just fits is not refused for want of the room of the
 * longest. */
void dk_buffer_append_int(struct buffer *buffer, int64_t number)
{
    char digits[21];
    dk_buffer_append(buffer, digits, dk_text_from_int64(number, digits));
}

/* Ready for the next text in the same memory. */
void dk_buffer_reset(struct buffer *buffer)
{
    buffer->length = 0;
    buffer->status = DAYBOOK_OK;
}

/* The NUL always fits: see the invariants. */
const char *dk_buffer_text(struct buffer *buffer)
{
    if (buffer->bytes == NULL || buffer->status != DAYBOOK_OK) {
        return "";
    }
    buffer->bytes[buffer->length] = '\0';
    return buffer->bytes;
}

/* NULL and length 0 where nothing was ever reserved or the buffer has failed; a NUL stands behind
 * the bytes. */
char *dk_buffer_take(struct buffer *buffer, size_t *length)
{
    if (buffer->status != DAYBOOK_OK) {
        dk_buffer_clear(buffer);
    }
    char *bytes = buffer->bytes;
    *length = buffer->length;
    if (bytes != NULL) {
        bytes[buffer->length] = '\0';
    }
    dk_buffer_init(buffer, buffer->size_max);
    return bytes;
}

/* Frees the memory; the buffer may be used again with the same maximum. */
void dk_buffer_clear(struct buffer *buffer)
{
    dk_memory_free(buffer->bytes);
    dk_buffer_init(buffer, buffer->size_max);
}
