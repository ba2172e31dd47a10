/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 and random bytes of the server's inner half, by OpenSSL. No state of ours; any thread.
 */
#ifndef DAYBOOK_SERVER_HASH_H
#define DAYBOOK_SERVER_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_SIZE 32     /* bytes of SHA-256 */
#define HASH_PARTS_MAX 8 /* parts of one srv_hash_parts */

struct hash_part {
    const void *bytes; /* may be NULL where length is 0 */
    size_t length;
};

/* SHA-256 of one text; false where OpenSSL fails (memory). */
bool srv_hash(const void *bytes, size_t length, uint8_t hash[HASH_SIZE]);
/* SHA-256 over parts, each behind its length in 8 bytes (big-endian), so that no two lists of parts
 * are the same text. */
bool srv_hash_parts(const struct hash_part *parts, int count, uint8_t hash[HASH_SIZE]);
/* Cryptographically strong bytes; false where the generator fails. */
bool srv_random(void *bytes, size_t length);

#endif
