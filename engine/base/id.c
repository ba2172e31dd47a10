/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns nothing but the maker's two numbers. Called wherever a record is made or an id is written or
 * read. Invariant: of two ids from one maker the later compares greater, whatever the clock does,
 * up to the year 10889.
 */
#include "engine/base/id.h"

#include "engine/base/text.h"

#include <string.h>

#define TIME_MAX_MS INT64_C(0xFFFFFFFFFFFF) /* 48 bits */
#define COUNTER_MAX 0x0FFF

/* Puts version and variant into their places (RFC 9562, section 4). */
static void mark(struct id *id, unsigned version)
{
    id->bytes[6] = (uint8_t)(version << 4 | (id->bytes[6] & 0x0F));
    id->bytes[8] = (uint8_t)(0x80 | (id->bytes[8] & 0x3F));
}

/* A new millisecond starts the counter in the lower half of its range, at a random place; a full
 * counter borrows the next millisecond. Clocks outside of 48 bits are taken as the nearest end. Two
 * random bytes start the counter, eight fill the id. */
struct id dk_id_make(struct id_maker *maker, int64_t now_ms, const uint8_t random[10])
{
    uint16_t start = (uint16_t)((random[0] << 8 | random[1]) & (COUNTER_MAX >> 1));
    int64_t time_ms = now_ms > TIME_MAX_MS ? TIME_MAX_MS : now_ms;
    if (time_ms > maker->last_ms) {
        maker->last_ms = time_ms;
        maker->counter = start;
    } else if (maker->counter < COUNTER_MAX) {
        maker->counter++;
    } else if (maker->last_ms < TIME_MAX_MS) {
        maker->last_ms++;
        maker->counter = start;
    }
    struct id id;
    for (int i = 0; i < 6; i++) {
        id.bytes[i] = (uint8_t)((uint64_t)maker->last_ms >> (40 - 8 * i));
    }
    id.bytes[6] = (uint8_t)(maker->counter >> 8);
    id.bytes[7] = (uint8_t)maker->counter;
    memcpy(id.bytes + 8, random + 2, 8);
    mark(&id, 7);
    return id;
}

/* The same hash always gives the same id. */
struct id dk_id_from_hash(const uint8_t hash[16])
{
    struct id id;
    memcpy(id.bytes, hash, ID_SIZE);
    mark(&id, 8);
    return id;
}

/* The version stands in the upper half of byte 6. */
bool dk_id_is_derived(const struct id *id)
{
    return id->bytes[6] >> 4 == 8;
}

/* Below, equal or above 0, byte by byte: the order of SQLite's blobs and of the texts. */
int dk_id_compare(const struct id *a, const struct id *b)
{
    return memcmp(a->bytes, b->bytes, ID_SIZE);
}

/* The nil id, which names no record. */
bool dk_id_is_zero(const struct id *id)
{
    static const uint8_t zero[ID_SIZE] = {0};
    return memcmp(id->bytes, zero, ID_SIZE) == 0;
}

/* Lower case, NUL at the end. */
void dk_id_to_text(const struct id *id, char out[ID_TEXT_SIZE])
{
    char hex[2 * ID_SIZE + 1];
    dk_text_to_hex(id->bytes, ID_SIZE, hex);
    char *next = out;
    for (int i = 0; i < 2 * ID_SIZE; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20) {
            *next++ = '-';
        }
        *next++ = hex[i];
    }
    *next = '\0';
}

/* Checks the four dashes, drops them and reads the rest as hex. *id is unspecified on failure. */
bool dk_id_from_text(const char *text, size_t length, struct id *id)
{
    if (length != ID_TEXT_SIZE - 1) {
        return false;
    }
    char hex[2 * ID_SIZE];
    size_t count = 0;
    for (size_t i = 0; i < length; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash && text[i] != '-') {
            return false;
        }
        if (!dash) {
            hex[count++] = text[i];
        }
    }
    return dk_text_from_hex(hex, sizeof hex, id->bytes, ID_SIZE);
}

/* 22 digits of base64url. */
void dk_id_to_wire(const struct id *id, char out[ID_WIRE_LENGTH])
{
    (void)dk_text_to_base64url(id->bytes, ID_SIZE, out);
}

/* Strict and canonical, so that one id has one wire form. *id is unspecified on failure. */
bool dk_id_from_wire(const char *text, size_t length, struct id *id)
{
    return dk_text_from_base64url(text, length, id->bytes, ID_SIZE);
}
