/* SPDX-License-Identifier: Apache-2.0
 *
 * Arithmetic of money, used by document.c on both ends. Owns nothing. Invariant: no floating point
 * and no wrapping; parts of a split sum to the whole.
 */
#include "engine/sales/money.h"

#include "engine/base/wide.h"

#include <assert.h>
#include <string.h>

/* ISO 4217 currencies whose exponent is not 2. */
static const char exponent_0[][4] = {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG",
                                     "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"};
static const char exponent_3[][4] = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"};
static const char exponent_4[][4] = {"CLF", "UYW"};

/* True where the three letters are in the list. */
static bool is_listed(const char (*list)[4], size_t count, const char *cur)
{
    for (size_t i = 0; i < count; i++) {
        if (memcmp(list[i], cur, 3) == 0) {
            return true;
        }
    }
    return false;
}

int dk_money_exponent(const char *cur, size_t length)
{
    if (length != 3) {
        return 2;
    }
    if (is_listed(exponent_0, sizeof exponent_0 / sizeof exponent_0[0], cur)) {
        return 0;
    }
    if (is_listed(exponent_3, sizeof exponent_3 / sizeof exponent_3[0], cur)) {
        return 3;
    }
    return is_listed(exponent_4, sizeof exponent_4 / sizeof exponent_4[0], cur) ? 4 : 2;
}

/* |number|, also of INT64_MIN. */
static uint64_t magnitude(int64_t number)
{
    return number < 0 ? ~(uint64_t)number + 1 : (uint64_t)number;
}

/* The signed number of this magnitude; false where it passes int64. */
static bool with_sign(uint64_t size, bool negative, int64_t *number)
{
    if (size > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    *number = negative && size > 0 ? -(int64_t)(size - 1) - 1 : (int64_t)size;
    return true;
}

/* Three factors and one division in 128 bits, rounded once. */
bool dk_money_line_amount(int64_t qty_milli, int64_t price_e4, int64_t disc_bp, int exponent,
                          int64_t *amount)
{
    static const uint64_t powers[] = {1, 10, 100, 1000, 10000};
    assert(disc_bp >= 0 && disc_bp <= MONEY_BP && exponent >= 0 && exponent <= 4);
    uint64_t divisor = 1000 * powers[4 - exponent] * MONEY_BP;
    struct wide product;
    uint64_t size;
    uint64_t rest;
    if (!dk_wide_scale(dk_wide_multiply(magnitude(qty_milli), magnitude(price_e4)),
                       (uint64_t)(MONEY_BP - disc_bp), &product) ||
        !dk_wide_divide(product, divisor, &size, &rest)) {
        return false;
    }
    if (rest >= divisor - rest) {
        if (size == UINT64_MAX) {
            return false;
        }
        size++;
    }
    return with_sign(size, (qty_milli < 0) != (price_e4 < 0), amount);
}

bool dk_money_included_tax(int64_t amount, int64_t tax_bp, int64_t *tax)
{
    assert(tax_bp >= 0);
    return dk_wide_ratio(amount, tax_bp, MONEY_BP + tax_bp, tax);
}

bool dk_money_rate(int64_t amount, int64_t rate_bp, int64_t *part)
{
    return dk_wide_ratio(amount, rate_bp, MONEY_BP, part);
}

/* The sum of the weights; false where it passes int64. */
static bool sum_weights(const struct money_share *shares, int count, int64_t *sum)
{
    *sum = 0;
    for (int i = 0; i < count; i++) {
        int64_t weight = shares[i].weight;
        if (weight > 0 ? *sum > INT64_MAX - weight : *sum < INT64_MIN - weight) {
            return false;
        }
        *sum += weight;
    }
    return true;
}

/* floor(total * weight / whole) and the remainder, 0 <= remainder < whole, for total >= 0; negative
 * weights floor away from zero. */
static bool floor_share(uint64_t total, bool negative_weight, uint64_t weight, uint64_t whole,
                        struct money_share *share)
{
    uint64_t size;
    if (!dk_wide_divide(dk_wide_multiply(total, weight), whole, &size, &share->remainder)) {
        return false;
    }
    if (size > INT64_MAX) {
        return false;
    }
    if (negative_weight && share->remainder > 0) {
        size++;
        share->remainder = whole - share->remainder;
    }
    return with_sign(size, negative_weight, &share->part);
}

/* Gives one unit each to the largest remainders, the lower index first. Fewer units are left than
 * shares have remainders. */
static void give_rest(uint64_t left, struct money_share *shares, int count)
{
    for (; left > 0; left--) {
        int best = 0;
        for (int i = 1; i < count; i++) {
            if (shares[i].remainder > shares[best].remainder) {
                best = i;
            }
        }
        shares[best].remainder = 0;
        shares[best].part++;
    }
}

/* Works with total >= 0 and turns the parts round for a negative one, so that both mirror each
 * other. */
bool dk_money_split(int64_t total, struct money_share *shares, int count)
{
    int64_t sum;
    for (int i = 0; i < count; i++) {
        shares[i].part = 0;
    }
    if (total == 0) {
        return true;
    }
    if (!sum_weights(shares, count, &sum) || sum == 0) {
        return false;
    }
    uint64_t left = magnitude(total);
    for (int i = 0; i < count; i++) {
        bool negative = (shares[i].weight < 0) != (sum < 0);
        if (!floor_share(magnitude(total), negative, magnitude(shares[i].weight), magnitude(sum),
                         &shares[i])) {
            return false;
        }
        left -= (uint64_t)shares[i].part; /* modulo 2^64; the end is below count */
    }
    give_rest(left, shares, count);
    for (int i = 0; total < 0 && i < count; i++) {
        if (shares[i].part == INT64_MIN) {
            return false;
        }
        shares[i].part = -shares[i].part;
    }
    return true;
}
