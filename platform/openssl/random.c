/* SPDX-License-Identifier: Apache-2.0
 *
 * Strong random bytes from OpenSSL's generator, which seeds itself from the system and reseeds
 * after a fork. Called for identifiers and secrets; on failure the caller must not go on with what
 * the buffer holds.
 */
#include "platform/openssl/random.h"

#include <limits.h>

#include <openssl/rand.h>

/* See random.h. RAND_bytes counts in int, so that longer requests are filled piece by piece. */
bool dk_openssl_random(void *context, void *bytes, size_t length)
{
    (void)context;
    unsigned char *next = bytes;
    while (length > 0) {
        int piece = length > INT_MAX ? INT_MAX : (int)length;
        if (RAND_bytes(next, piece) != 1) {
            return false;
        }
        next += piece;
        length -= (size_t)piece;
    }
    return true;
}
