/* SPDX-License-Identifier: Apache-2.0
 *
 * 64 x 64 -> 128 bit multiplication and rounding division without __int128 (32-bit ARM has none).
 */
#ifndef DAYBOOK_BASE_WIDE_H
#define DAYBOOK_BASE_WIDE_H

#include <stdbool.h>
#include <stdint.h>

struct wide {
    uint64_t high;
    uint64_t low;
};

struct wide dk_wide_multiply(uint64_t a, uint64_t b);
/* wide * factor; false where the product passes 128 bits. */
bool dk_wide_scale(struct wide wide, uint64_t factor, struct wide *product);
/* Quotient and remainder by divisor > 0; false where the quotient passes 64 bits. */
bool dk_wide_divide(struct wide wide, uint64_t divisor, uint64_t *quotient, uint64_t *remainder);
/* round_half_up(a * b / divisor), "up" = away from zero; divisor > 0. False on overflow of
 * int64. */
bool dk_wide_ratio(int64_t a, int64_t b, int64_t divisor, int64_t *result);

#endif
