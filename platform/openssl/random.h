/* SPDX-License-Identifier: Apache-2.0
 *
 * The random hook. No state of ours; any thread.
 */
#ifndef DAYBOOK_PLATFORM_OPENSSL_RANDOM_H
#define DAYBOOK_PLATFORM_OPENSSL_RANDOM_H

#include <stdbool.h>
#include <stddef.h>

/* Fills with cryptographically strong bytes; false when the generator is not seeded or fails. */
bool dk_openssl_random(void *context, void *bytes, size_t length);

#endif
