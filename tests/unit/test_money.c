/* SPDX-License-Identifier: Apache-2.0
 *
 * Money: the golden numbers of the domain, rounding on both sides of zero, exact splits, and
 * refusal instead of wrapping.
 */
#include "engine/sales/money.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void test_money__exponents_are_those_of_iso_4217(void **state)
{
    (void)state;
    assert_int_equal(dk_money_exponent("CNY", 3), 2);
    assert_int_equal(dk_money_exponent("USD", 3), 2);
    assert_int_equal(dk_money_exponent("JPY", 3), 0);
    assert_int_equal(dk_money_exponent("KRW", 3), 0);
    assert_int_equal(dk_money_exponent("XPF", 3), 0);
    assert_int_equal(dk_money_exponent("KWD", 3), 3);
    assert_int_equal(dk_money_exponent("TND", 3), 3);
    assert_int_equal(dk_money_exponent("CLF", 3), 4);
    assert_int_equal(dk_money_exponent("ZZZ", 3), 2);
    assert_int_equal(dk_money_exponent("JP", 2), 2);
}

/* The amount of a line that fits. */
static int64_t line(int64_t qty, int64_t price, int64_t disc, int exponent)
{
    int64_t amount = 0;
    assert_true(dk_money_line_amount(qty, price, disc, exponent, &amount));
    return amount;
}

static void test_money__a_line_is_rounded_once_and_half_goes_away_from_zero(void **state)
{
    (void)state;
    /* 24 pieces at 12.3456 yuan, 5 % off */
    assert_int_equal(line(24000, 123456, 500, 2), 28148);
    assert_int_equal(line(-24000, 123456, 500, 2), -28148);
    /* exactly half a unit: 1 piece at 0.0050 */
    assert_int_equal(line(1000, 50, 0, 2), 1);
    assert_int_equal(line(-1000, 50, 0, 2), -1);
    assert_int_equal(line(1000, 49, 0, 2), 0);
    /* the same in yen, dinars and units of account: no "/ 100" anywhere */
    assert_int_equal(line(24000, 123456, 500, 0), 281);
    assert_int_equal(line(24000, 123456, 500, 3), 281480);
    assert_int_equal(line(24000, 123456, 500, 4), 2814797);
    assert_int_equal(line(1000, 10000, 10000, 2), 0);
    assert_int_equal(line(0, 123456, 0, 2), 0);
}

static void test_money__products_pass_64_bits_and_results_do_not(void **state)
{
    (void)state;
    int64_t amount;
    /* 10^9 pieces at 10^7: the product has 28 digits before it is divided */
    assert_int_equal(line(INT64_C(1000000000000), INT64_C(100000000000), 0, 2),
                     INT64_C(1000000000000000000));
    assert_false(dk_money_line_amount(INT64_MAX, INT64_MAX, 0, 2, &amount));
    assert_false(dk_money_line_amount(INT64_MIN, INT64_MIN, 0, 4, &amount));
    /* the last that fits, and the first that does not: 2^63 - 1 minor units of exponent 4, quantity
     * 1 */
    assert_int_equal(line(1000, INT64_MAX, 0, 4), INT64_MAX);
    assert_int_equal(line(-1000, INT64_MAX, 0, 4), -INT64_MAX);
    assert_int_equal(line(1000, INT64_MIN, 0, 4), INT64_MIN);
    assert_false(dk_money_line_amount(-1000, INT64_MIN, 0, 4, &amount));
    assert_false(dk_money_line_amount(1001, INT64_MAX, 0, 4, &amount));
}

static void test_money__tax_is_in_the_price(void **state)
{
    (void)state;
    int64_t tax;
    assert_true(dk_money_included_tax(28148, 1300, &tax));
    assert_int_equal(tax, 3238);
    assert_int_equal(28148 - tax, 24910);
    assert_true(dk_money_included_tax(-28148, 1300, &tax));
    assert_int_equal(tax, -3238);
    assert_true(dk_money_included_tax(28148, 0, &tax));
    assert_int_equal(tax, 0);
    assert_true(dk_money_included_tax(INT64_MAX, 10000, &tax));
    assert_int_equal(tax, INT64_MAX / 2 + 1);
}

static void test_money__rates_of_amounts_are_rounded(void **state)
{
    (void)state;
    int64_t part;
    assert_true(dk_money_rate(34147, 293, &part));
    assert_int_equal(part, 1001); /* 1000.5071 */
    assert_true(dk_money_rate(-150, 100, &part));
    assert_int_equal(part, -2);
    assert_true(dk_money_rate(INT64_MAX, 10000, &part));
    assert_int_equal(part, INT64_MAX);
}

/* The parts of a split by `count` weights are these, and sum to the total. */
static void assert_split(int64_t total, const int64_t *weights, const int64_t *parts, int count)
{
    struct money_share shares[16];
    int64_t sum = 0;
    for (int i = 0; i < count; i++) {
        shares[i] = (struct money_share){.weight = weights[i]};
    }
    assert_true(dk_money_split(total, shares, count));
    for (int i = 0; i < count; i++) {
        assert_int_equal(shares[i].part, parts[i]);
        sum += shares[i].part;
    }
    assert_int_equal(sum, total);
}

static void test_money__splits_give_the_rest_to_the_largest_remainders(void **state)
{
    (void)state;
    /* a header discount over three lines */
    assert_split(1000, (const int64_t[]){28148, 5000, 999}, (const int64_t[]){824, 147, 29}, 3);
    /* a quarter in three equal months: ties go to the first */
    assert_split(500000000, (const int64_t[]){1, 1, 1},
                 (const int64_t[]){166666667, 166666667, 166666666}, 3);
    /* by working days */
    assert_split(500000000, (const int64_t[]){22, 20, 21},
                 (const int64_t[]){174603174, 158730159, 166666667}, 3);
    /* a shortfall over two months */
    assert_split(45000000, (const int64_t[]){1, 1}, (const int64_t[]){22500000, 22500000}, 2);
    assert_split(1, (const int64_t[]){0, 5, 0}, (const int64_t[]){0, 1, 0}, 3);
    assert_split(7, (const int64_t[]){3}, (const int64_t[]){7}, 1);
}

static void test_money__returns_mirror_sales(void **state)
{
    (void)state;
    assert_split(-1000, (const int64_t[]){-28148, -5000, -999}, (const int64_t[]){-824, -147, -29},
                 3);
    assert_split(-500000000, (const int64_t[]){1, 1, 1},
                 (const int64_t[]){-166666667, -166666667, -166666666}, 3);
    /* a return among sales takes its share back */
    assert_split(90, (const int64_t[]){1000, -100}, (const int64_t[]){100, -10}, 2);
    assert_split(-90, (const int64_t[]){-1000, 100}, (const int64_t[]){-100, 10}, 2);
    /* also where it does not come out even: 14.29 and -4.29 */
    assert_split(10, (const int64_t[]){1000, -300}, (const int64_t[]){14, -4}, 2);
    assert_split(-10, (const int64_t[]){1000, -300}, (const int64_t[]){-14, 4}, 2);
}

static void test_money__what_cannot_be_split_is_refused(void **state)
{
    (void)state;
    struct money_share zero[] = {{.weight = 5}, {.weight = -5}};
    struct money_share huge[] = {{.weight = INT64_MAX}, {.weight = 1}};
    struct money_share steep[] = {{.weight = INT64_MAX}, {.weight = -INT64_MAX + 1}};
    assert_false(dk_money_split(10, zero, 2));
    assert_true(dk_money_split(0, zero, 2));
    assert_int_equal(zero[0].part, 0);
    assert_false(dk_money_split(10, huge, 2));
    assert_false(dk_money_split(10, NULL, 0));
    assert_true(dk_money_split(0, NULL, 0));
    assert_false(dk_money_split(INT64_MAX, steep, 2));
}

/* A small generator of its own, so that a failure repeats. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void test_money__random_splits_are_exact_and_fair(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252;
    for (int round = 0; round < 20000; round++) {
        struct money_share shares[8];
        int count = 1 + (int)(next_random(&seed) % 8);
        int64_t weights = 0, sum = 0;
        int64_t total = (int64_t)(next_random(&seed) % 2000000001) - 1000000000;
        for (int i = 0; i < count; i++) {
            shares[i] = (struct money_share){.weight = (int64_t)(next_random(&seed) % 1000000)};
            weights += shares[i].weight;
        }
        if (weights == 0) {
            continue;
        }
        assert_true(dk_money_split(total, shares, count));
        for (int i = 0; i < count; i++) {
            /* then no part is a whole unit away from its exact share */
            int64_t distance = shares[i].part * weights - total * shares[i].weight;
            assert_true(distance < weights && distance > -weights);
            sum += shares[i].part;
        }
        assert_int_equal(sum, total);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_money__exponents_are_those_of_iso_4217),
        cmocka_unit_test(test_money__a_line_is_rounded_once_and_half_goes_away_from_zero),
        cmocka_unit_test(test_money__products_pass_64_bits_and_results_do_not),
        cmocka_unit_test(test_money__tax_is_in_the_price),
        cmocka_unit_test(test_money__rates_of_amounts_are_rounded),
        cmocka_unit_test(test_money__splits_give_the_rest_to_the_largest_remainders),
        cmocka_unit_test(test_money__returns_mirror_sales),
        cmocka_unit_test(test_money__what_cannot_be_split_is_refused),
        cmocka_unit_test(test_money__random_splits_are_exact_and_fair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
