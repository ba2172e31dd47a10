/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns nothing: pure integer arithmetic for money, prices and rates. Called by the sales rules of
 * both ends. Invariant: every result is exact or the function says false; nothing wraps silently.
 */
#include "engine/base/wide.h"

#include <assert.h>

/* Schoolbook multiplication with digits of 32 bits. The middle sum cannot overflow: (2^32-1)^2 + 2
 * (2^32-1) < 2^64. */
struct wide dk_wide_multiply(uint64_t a, uint64_t b)
{
    uint64_t a_low = (uint32_t)a;
    uint64_t a_high = a >> 32;
    uint64_t b_low = (uint32_t)b;
    uint64_t b_high = b >> 32;
    uint64_t low = a_low * b_low;
    uint64_t middle = a_high * b_low + (low >> 32);
    uint64_t other = a_low * b_high + (uint32_t)middle;
    struct wide product = {
        .high = a_high * b_high + (middle >> 32) + (other >> 32),
        .low = other << 32 | (uint32_t)low,
    };
    return product;
}

/* Multiplies both halves; the upper one must fit 64 bits together with the carry of the lower. */
bool dk_wide_scale(struct wide wide, uint64_t factor, struct wide *product)
{
    struct wide low = dk_wide_multiply(wide.low, factor);
    struct wide high = dk_wide_multiply(wide.high, factor);
    if (high.high != 0 || high.low > UINT64_MAX - low.high) {
        return false;
    }
    product->high = high.low + low.high;
    product->low = low.low;
    return true;
}

/* Long division bit by bit; the remainder stays below the divisor, so one bit may leave at its top
 * (`carry`). */
bool dk_wide_divide(struct wide wide, uint64_t divisor, uint64_t *quotient, uint64_t *remainder)
{
    assert(divisor > 0);
    if (wide.high >= divisor) {
        return false;
    }
    if (wide.high == 0) {
        *quotient = wide.low / divisor;
        *remainder = wide.low % divisor;
        return true;
    }
    uint64_t rest = wide.high;
    uint64_t low = wide.low; /* dividend bits leave at the top, quotient bits enter at the bottom */
    for (int i = 0; i < 64; i++) {
        uint64_t carry = rest >> 63;
        rest = rest << 1 | low >> 63;
        low <<= 1;
        if (carry != 0 || rest >= divisor) {
            rest -= divisor;
            low |= 1;
        }
    }
    *quotient = low;
    *remainder = rest;
    return true;
}

/* |number| also for INT64_MIN. */
static uint64_t magnitude(int64_t number)
{
    return number < 0 ? ~(uint64_t)number + 1 : (uint64_t)number;
}

/* Works on magnitudes and puts the sign back, which makes half round away from zero on both
 * sides. */
bool dk_wide_ratio(int64_t a, int64_t b, int64_t divisor, int64_t *result)
{
    assert(divisor > 0);
    uint64_t by = (uint64_t)divisor;
    uint64_t quotient = 0;
    uint64_t rest = 0;
    if (!dk_wide_divide(dk_wide_multiply(magnitude(a), magnitude(b)), by, &quotient, &rest)) {
        return false;
    }
    if (rest >= by - rest) {
        if (quotient == UINT64_MAX) {
            return false;
        }
        quotient++;
    }
    bool negative = (a < 0) != (b < 0) && quotient != 0;
    if (quotient > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    *result = negative ? -(int64_t)(quotient - 1) - 1 : (int64_t)quotient;
    return true;
}
