/* SPDX-License-Identifier: Apache-2.0
 *
 * The inner step of every UTF-8 check, and eight bytes at a time for the plain ones. Inline,
 * because text.c and json.c spend their time here; included by nobody else.
 */
#ifndef DAYBOOK_BASE_UTF8_H
#define DAYBOOK_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define UTF8_ONES 0x0101010101010101ULL
#define UTF8_HIGHS 0x8080808080808080ULL

/* Eight bytes as a number whose lowest byte is the first; compilers make one load of it, on any
 * byte order. */
static inline uint64_t dk_utf8_load(const char *text)
{
    const unsigned char *b = (const unsigned char *)text;
    return (uint64_t)b[0] | (uint64_t)b[1] << 8 | (uint64_t)b[2] << 16 | (uint64_t)b[3] << 24 |
           (uint64_t)b[4] << 32 | (uint64_t)b[5] << 40 | (uint64_t)b[6] << 48 |
           (uint64_t)b[7] << 56;
}

/* Index 0..7 of the lowest byte whose high bit is set in `marks`; marks holds high bits only, and
 * at least one. The product moves the byte of the constant that names the index to the top. */
static inline size_t dk_utf8_first(uint64_t marks)
{
    uint64_t lowest = (marks & (~marks + 1)) >> 7;
    return (size_t)((lowest * 0x0001020304050607ULL) >> 56);
}

/* Bytes (2..4) of the well-formed sequence of several bytes that begins at text, or 0 where there
 * is none: no overlong form, no surrogate, nothing past U+10FFFF, not cut by end. text < end and
 * *text >= 0x80. */
static inline size_t dk_utf8_sequence(const char *text, const char *end)
{
    const unsigned char *b = (const unsigned char *)text;
    size_t room = (size_t)(end - text);
    uint32_t lead = b[0];
    if (lead >= 0xE0 && lead < 0xF0) { /* first: Chinese text is nothing else */
        if (room < 3 || (b[1] & 0xC0) != 0x80 || (b[2] & 0xC0) != 0x80) {
            return 0;
        }
        uint32_t point = (lead & 0x0FU) << 12 | (b[1] & 0x3FU) << 6 | (b[2] & 0x3FU);
        return point >= 0x800 && (point & 0xF800U) != 0xD800U ? 3 : 0;
    }
    if (lead < 0xE0) {
        return lead >= 0xC2 && room >= 2 && (b[1] & 0xC0) == 0x80 ? 2 : 0;
    }
    if (lead > 0xF4 || room < 4 || (b[1] & 0xC0) != 0x80 || (b[2] & 0xC0) != 0x80 ||
        (b[3] & 0xC0) != 0x80) {
        return 0;
    }
    uint32_t high = (lead & 0x07U) << 6 | (b[1] & 0x3FU); /* the code point's bits from 12 on */
    return high >= 0x10 && high <= 0x10F ? 4 : 0;
}

#endif
