/* SPDX-License-Identifier: Apache-2.0
 *
 * Record ids: UUIDv7 (RFC 9562), 16 bytes, made on the device, final. Monotonic within one maker:
 * the 12 bits of rand_a count within a millisecond (method 1 of RFC 9562 section 6.2), so ids sort
 * as they were made.
 */
#ifndef DAYBOOK_BASE_ID_H
#define DAYBOOK_BASE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ID_SIZE 16
#define ID_TEXT_SIZE 37   /* 8-4-4-4-12 and NUL */
#define ID_WIRE_LENGTH 22 /* base64url, no NUL */

struct id {
    uint8_t bytes[ID_SIZE];
};

/* The state of one maker; zero at first. Not thread-safe: the owner locks. */
struct id_maker {
    int64_t last_ms;
    uint16_t counter;
};

/* The next id from wall time and 10 random bytes. Goes on counting when the clock stands still or
 * goes back. */
struct id dk_id_make(struct id_maker *maker, int64_t now_ms, const uint8_t random[10]);
/* From a hash (first 16 bytes), version 8 and variant bits set: ids that a rule derives. */
struct id dk_id_from_hash(const uint8_t hash[16]);
/* True for an id of version 8, as those from a hash are. */
bool dk_id_is_derived(const struct id *id);
int dk_id_compare(const struct id *a, const struct id *b);
bool dk_id_is_zero(const struct id *id);
void dk_id_to_text(const struct id *id, char out[ID_TEXT_SIZE]);
/* Strict 8-4-4-4-12, either case of hex; any version. */
bool dk_id_from_text(const char *text, size_t length, struct id *id);
void dk_id_to_wire(const struct id *id, char out[ID_WIRE_LENGTH]); /* no NUL */
bool dk_id_from_wire(const char *text, size_t length, struct id *id);

#endif
