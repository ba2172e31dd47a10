/* SPDX-License-Identifier: Apache-2.0
 *
 * Variable-length numbers as the stored forms use them: little-endian base 128, the high bit of a
 * byte says that another follows, no needless bytes, so each number has one form.
 */
#ifndef DAYBOOK_SERVER_STORE_VARINT_H
#define DAYBOOK_SERVER_STORE_VARINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VARINT_MAX 10 /* bytes of the longest */

/* Writes `number` to `out` and returns the bytes used, 1 to VARINT_MAX. */
static inline size_t srv_varint_write(uint8_t out[VARINT_MAX], uint64_t number)
{
    size_t length = 0;
    while (number >= 0x80) {
        out[length++] = (uint8_t)(number | 0x80);
        number >>= 7;
    }
    out[length++] = (uint8_t)number;
    return length;
}

/* Reads a number at *cursor and moves behind it. False, with *cursor unchanged, where the bytes end
 * early, do not fit 64 bits or are not the shortest form. */
static inline bool srv_varint_read(const uint8_t *bytes, size_t size, size_t *cursor,
                                   uint64_t *number)
{
    uint64_t result = 0;
    size_t at = *cursor;
    for (unsigned shift = 0; shift < 70 && at < size; shift += 7) {
        uint8_t byte = bytes[at++];
        if (shift == 63 && byte > 1) {
            return false;
        }
        result |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            if (byte == 0 && shift > 0) {
                return false;
            }
            *number = result;
            *cursor = at;
            return true;
        }
    }
    return false;
}

#endif
