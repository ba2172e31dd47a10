/* SPDX-License-Identifier: Apache-2.0
 *
 * Arithmetic of money: line amounts, included tax, exact splits. Integers only, exact or refused:
 * every function returns false where a result would pass int64. Amounts are minor units of a
 * currency, quantities x 1000, prices major units x 10^4, rates basis points (10,000 = 100 %).
 * "Half up" means away from zero, so returns mirror sales.
 */
#ifndef DAYBOOK_SALES_MONEY_H
#define DAYBOOK_SALES_MONEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MONEY_BP 10000 /* 100 % */

/* One part of a split. */
struct money_share {
    int64_t weight;
    int64_t part;       /* result */
    uint64_t remainder; /* scratch */
};

/* Digits behind the point of a currency's minor unit by ISO 4217; 2 for those that the list does
 * not name. */
int dk_money_exponent(const char *cur, size_t length);

/* The amount of one line: half_up(qty_milli * price_e4 * (10000 - disc_bp) / (1000 * 10^(4 -
 * exponent) * 10000)). disc_bp is 0 to 10000. */
bool dk_money_line_amount(int64_t qty_milli, int64_t price_e4, int64_t disc_bp, int exponent,
                          int64_t *amount);

/* The tax that is in an amount: half_up(amount * tax_bp / (10000 + tax_bp)); net = amount - tax.
 * tax_bp >= 0. */
bool dk_money_included_tax(int64_t amount, int64_t tax_bp, int64_t *tax);

/* half_up(amount * rate_bp / 10000) */
bool dk_money_rate(int64_t amount, int64_t rate_bp, int64_t *part);

/* Splits `total` by weights so that the parts sum to it exactly: floor(total * weight / sum of
 * weights), and what is left goes, one unit each, to the largest remainders, ties to the lower
 * index. Weights may be negative (a return among sales) as long as their sum is not zero; a total
 * of 0 always splits. */
bool dk_money_split(int64_t total, struct money_share *shares, int count);

#endif
