/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of a log row's body: varint header number, varint length of the tail, the tail. Written
 * by the decider, walked by the page builder. Invariant: a body is parts end to end and nothing
 * else, so a row's bodies can be joined by joining their bytes.
 */
#include "sync-server/store/store.h"

#include "sync-server/store/varint.h"

#include <assert.h>

/* Appends one part; a failure sticks to the buffer. */
void srv_log_part_append(struct buffer *body, int64_t header, const char *tail, size_t tail_length)
{
    assert(header > 0);
    uint8_t numbers[2 * VARINT_MAX];
    size_t length = srv_varint_write(numbers, (uint64_t)header);
    length += srv_varint_write(numbers + length, tail_length);
    dk_buffer_append(body, numbers, length);
    dk_buffer_append(body, tail, tail_length);
}

/* See the header: the tail is borrowed from `body`; damage leaves *cursor where the damaged part
 * begins. */
bool srv_log_part_next(const void *body, size_t body_size, size_t *cursor, int64_t *header,
                       const char **tail, size_t *tail_length)
{
    const uint8_t *bytes = body;
    size_t at = *cursor;
    uint64_t number = 0;
    uint64_t length = 0;
    if (at >= body_size || !srv_varint_read(bytes, body_size, &at, &number) ||
        !srv_varint_read(bytes, body_size, &at, &length)) {
        return false;
    }
    if (number == 0 || number > INT64_MAX || length > body_size - at) {
        return false;
    }
    *header = (int64_t)number;
    *tail = (const char *)bytes + at;
    *tail_length = (size_t)length;
    *cursor = at + (size_t)length;
    return true;
}
