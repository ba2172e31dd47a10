/* SPDX-License-Identifier: Apache-2.0
 *
 * At which operation a call is to fail, where nobody knows how many it has.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_FAULT_PLACE_H
#define DAYBOOK_TESTS_SUPPORT_FAULT_PLACE_H

#include <stdint.h>

/* From 1 to 2^bits; half of them are below the root of that. Moves the random state on. */
static inline long fault_place(uint64_t *random, int bits)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    uint64_t most = UINT64_C(1) << (*random >> 33) % (unsigned)(bits + 1);
    return 1 + (long)((*random >> 20) % most);
}

#endif
