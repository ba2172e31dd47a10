/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 and random bytes by OpenSSL: digests of changesets, tokens and codes, derived ids. Called
 * by accounts, decide and the commands. Invariant: on failure nothing is in `hash` that could be
 * taken for a digest.
 */
#include "sync-server/hash.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <assert.h>
#include <limits.h>
#include <string.h>

/* See the header. */
bool srv_hash(const void *bytes, size_t length, uint8_t hash[HASH_SIZE])
{
    unsigned size = 0;
    if (EVP_Digest(length == 0 ? "" : bytes, length, hash, &size, EVP_sha256(), NULL) == 1 &&
        size == HASH_SIZE) {
        return true;
    }
    memset(hash, 0, HASH_SIZE);
    return false;
}

/* Feeds one part behind its length. */
static bool feed(EVP_MD_CTX *context, const struct hash_part *part)
{
    uint8_t head[8];
    uint64_t length = part->length;
    for (int i = 7; i >= 0; i--) {
        head[i] = (uint8_t)length;
        length >>= 8;
    }
    return EVP_DigestUpdate(context, head, sizeof head) == 1 &&
           (part->length == 0 || EVP_DigestUpdate(context, part->bytes, part->length) == 1);
}

/* See the header. */
bool srv_hash_parts(const struct hash_part *parts, int count, uint8_t hash[HASH_SIZE])
{
    assert(count >= 0 && count <= HASH_PARTS_MAX);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned size = 0;
    bool fine = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;
    for (int i = 0; fine && i < count; i++) {
        fine = feed(context, &parts[i]);
    }
    fine = fine && EVP_DigestFinal_ex(context, hash, &size) == 1 && size == HASH_SIZE;
    EVP_MD_CTX_free(context);
    if (!fine) {
        memset(hash, 0, HASH_SIZE);
    }
    return fine;
}

/* See the header. */
bool srv_random(void *bytes, size_t length)
{
    return length <= INT_MAX && RAND_bytes(bytes, (int)length) == 1;
}
