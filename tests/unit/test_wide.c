/* SPDX-License-Identifier: Apache-2.0
 *
 * Wide arithmetic: products and quotients that were computed elsewhere, the laws between them,
 * rounding half away from zero, and each overflow on both sides.
 */
#include "engine/base/wide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* A fixed sequence that looks random, with many small and many large numbers. */
static uint64_t next_number(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    uint64_t number = *seed ^ *seed >> 29;
    return number >> (*seed >> 58);
}

static void test_wide__products_are_exact(void **state)
{
    (void)state;
    static const struct {
        uint64_t a, b, high, low;
    } golden[] = {
        {0, UINT64_MAX, 0, 0},
        {1, UINT64_MAX, 0, UINT64_MAX},
        {UINT64_MAX, UINT64_MAX, 0xFFFFFFFFFFFFFFFE, 1},
        {0xFFFFFFFF, 0xFFFFFFFF, 0, 0xFFFFFFFE00000001},
        {0x100000000, 0x100000000, 1, 0},
        {0xFFFFFFFF00000000, 0xFFFFFFFF, 0xFFFFFFFE, 0x100000000},
        {0x123456789ABCDEF0, 0xFEDCBA9876543210, 0x121FA00AD77D7422, 0x236D88FE5618CF00},
        {0xDEADBEEFCAFEBABE, 0x0123456789ABCDEF, 0x00FD5BDEEEB2A01D, 0x7EB689F4EA447D62},
    };
    for (size_t i = 0; i < COUNT(golden); i++) {
        struct wide product = dk_wide_multiply(golden[i].a, golden[i].b);
        assert_true(product.high == golden[i].high && product.low == golden[i].low);
        product = dk_wide_multiply(golden[i].b, golden[i].a);
        assert_true(product.high == golden[i].high && product.low == golden[i].low);
    }
}

static void test_wide__division_undoes_multiplication(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (int i = 0; i < 200000; i++) {
        /* given quotient * divisor + remainder with remainder < divisor */
        uint64_t divisor = next_number(&seed) | 1;
        uint64_t expected = next_number(&seed);
        uint64_t rest = next_number(&seed) % divisor;
        struct wide wide = dk_wide_multiply(expected, divisor);
        wide.low += rest;
        wide.high += wide.low < rest;
        /* when it is divided, then both come back */
        uint64_t quotient = 0;
        uint64_t remainder = 0;
        assert_true(dk_wide_divide(wide, divisor, &quotient, &remainder));
        assert_true(quotient == expected);
        assert_true(remainder == rest);
    }
}

static void test_wide__quotients_past_64_bits_are_refused(void **state)
{
    (void)state;
    uint64_t quotient = 0;
    uint64_t remainder = 0;
    static const uint64_t divisors[] = {1, 2, 3, 0x8000000000000000, UINT64_MAX};
    for (size_t i = 0; i < COUNT(divisors); i++) {
        struct wide largest = {divisors[i] - 1, UINT64_MAX};
        assert_true(dk_wide_divide(largest, divisors[i], &quotient, &remainder));
        assert_true(quotient == UINT64_MAX);
        assert_true(remainder == divisors[i] - 1);
        struct wide too_large = {divisors[i], 0};
        assert_false(dk_wide_divide(too_large, divisors[i], &quotient, &remainder));
    }
}

static void test_wide__scaling_stops_at_128_bits(void **state)
{
    (void)state;
    struct wide product;
    struct wide largest = {UINT64_MAX, UINT64_MAX};
    assert_true(dk_wide_scale(largest, 1, &product));
    assert_true(product.high == UINT64_MAX && product.low == UINT64_MAX);
    assert_false(dk_wide_scale(largest, 2, &product));
    assert_true(dk_wide_scale(largest, 0, &product));
    assert_true(product.high == 0 && product.low == 0);
    /* (2^128 - 1) / 3 * 3 fits, and one more does not */
    struct wide third = {0x5555555555555555, 0x5555555555555555};
    assert_true(dk_wide_scale(third, 3, &product));
    assert_true(product.high == UINT64_MAX && product.low == UINT64_MAX);
    third.low++;
    assert_false(dk_wide_scale(third, 3, &product));
    /* the carry of the lower half reaches the upper */
    struct wide one_one = {1, 1};
    assert_true(dk_wide_scale(one_one, UINT64_MAX, &product));
    assert_true(product.high == UINT64_MAX && product.low == UINT64_MAX);
    struct wide carries = {1, UINT64_MAX};
    assert_true(dk_wide_scale(carries, 3, &product));
    assert_true(product.high == 5 && product.low == UINT64_MAX - 2);
    assert_false(dk_wide_scale(carries, UINT64_MAX, &product));
}

static void test_wide__ratios_round_half_away_from_zero(void **state)
{
    (void)state;
    static const struct {
        int64_t a, b, divisor, result;
    } golden[] = {
        {0, 5, 3, 0},
        {1, 1, 2, 1},
        {-1, 1, 2, -1},
        {1, -1, 2, -1},
        {-1, -1, 2, 1},
        {1, 1, 3, 0},
        {-1, 1, 3, 0},
        {2, 1, 3, 1},
        {-2, 1, 3, -1},
        {3, 1, 2, 2},
        {5, 1, 2, 3},
        {-5, 1, 2, -3},
        {499, 1, 1000, 0},
        {500, 1, 1000, 1},
        {-499, 1, 1000, 0},
        {-500, 1, 1000, -1},
        {19999, 1900, 10000, 3800},         /* 199.99 at 19 % */
        {123450000, 2500, 10000000, 30863}, /* 12345.0000 x 2.500, half a cent up */
        {-123450000, 2500, 10000000, -30863},
        {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX},
        {INT64_MIN, INT64_MAX, INT64_MAX, INT64_MIN},
        {INT64_MIN, 1, 1, INT64_MIN},
        {INT64_MIN, -1, 2, INT64_C(0x4000000000000000)},
        {INT64_MAX, 1, 2, INT64_C(0x4000000000000000)},
        {INT64_MAX, 2, 3, INT64_C(6148914691236517205)},
    };
    for (size_t i = 0; i < COUNT(golden); i++) {
        int64_t result = 99;
        assert_true(dk_wide_ratio(golden[i].a, golden[i].b, golden[i].divisor, &result));
        assert_true(result == golden[i].result);
        assert_true(dk_wide_ratio(golden[i].b, golden[i].a, golden[i].divisor, &result));
        assert_true(result == golden[i].result);
    }
}

static void test_wide__ratios_past_int64_are_refused(void **state)
{
    (void)state;
    static const struct {
        int64_t a, b, divisor;
    } refused[] = {
        {INT64_MIN, -1, 1},
        {INT64_MAX, 2, 1},
        {INT64_MIN, 2, 1},
        {INT64_MIN, INT64_MIN, 1},
        {INT64_MAX, INT64_MAX, 2},
        {INT64_MIN, INT64_MIN, INT64_MAX},
        {INT64_C(4611686018427387904), 2, 1}, /* 2^63: one more than INT64_MAX */
    };
    for (size_t i = 0; i < COUNT(refused); i++) {
        int64_t result = 99;
        assert_false(dk_wide_ratio(refused[i].a, refused[i].b, refused[i].divisor, &result));
        assert_true(result == 99);
    }
    /* -2^63 is the last that fits; -(2^63 - 1/2) rounds to it, and overflows without the sign */
    int64_t result = 0;
    assert_true(dk_wide_ratio(INT64_C(4611686018427387904), -2, 1, &result));
    assert_true(result == INT64_MIN);
    assert_true(dk_wide_ratio(INT64_C(-6148914691236517205), 3, 2, &result));
    assert_true(result == INT64_MIN);
    assert_false(dk_wide_ratio(INT64_C(6148914691236517205), 3, 2, &result));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wide__products_are_exact),
        cmocka_unit_test(test_wide__division_undoes_multiplication),
        cmocka_unit_test(test_wide__quotients_past_64_bits_are_refused),
        cmocka_unit_test(test_wide__scaling_stops_at_128_bits),
        cmocka_unit_test(test_wide__ratios_round_half_away_from_zero),
        cmocka_unit_test(test_wide__ratios_past_int64_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
