/* SPDX-License-Identifier: Apache-2.0
 *
 * The sums that tell whether two replicas are the same: numbers that another program has worked
 * out, and what they depend on.
 */
#include "engine/protocol/sum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NAMED(text) (text), sizeof(text) - 1

static const struct id CUSTOMER = {
    {0x01, 0x92, 0x9f, 0x6c, 0x3a, 0x00, 0x70, 0x00, 0x80, 0, 0, 0, 0, 0, 0, 0x09}};
static const struct id VISIT = {
    {0x01, 0x92, 0x9f, 0x6c, 0x3a, 0x00, 0x70, 0x00, 0x80, 0, 0, 0, 0, 0, 0, 0x0a}};

static void test_sum__the_examples_of_the_protocol(void **state)
{
    (void)state;
    static const struct id nothing = {{0}};
    uint64_t customer = dk_sum_version(NAMED("customer"), &CUSTOMER, 821);
    uint64_t visit = dk_sum_version(NAMED("visit"), &VISIT, 818);
    uint64_t sum = dk_sum_add(customer, visit);
    assert_true(customer == UINT64_C(2651606934869158615));
    assert_true(visit == UINT64_C(1385684327315717972));
    assert_true(sum == UINT64_C(4037291262184876587));
    assert_true(dk_sum_bucket(1, 0) == UINT64_C(1227844342346046657));
    assert_true(dk_sum_bucket(2, sum) == UINT64_C(1753382049166173547));
    assert_true(dk_sum_version(NAMED("x"), &nothing, 0) == UINT64_C(898975291802829126));
    assert_true(dk_sum_version(NAMED("quote"), &CUSTOMER, LIMIT_NUMBER) ==
                UINT64_C(4073992689596432860));
}

static void test_sum__what_comes_and_goes_leaves_nothing(void **state)
{
    (void)state;
    uint64_t sum = 0;
    uint64_t terms[100];
    for (int i = 0; i < 100; i++) {
        terms[i] = dk_sum_version(NAMED("visit"), &VISIT, i);
        sum = dk_sum_add(sum, terms[i]);
        assert_true(sum <= SUM_MASK);
    }
    /* in another order */
    for (int i = 0; i < 100; i++) {
        sum = dk_sum_subtract(sum, terms[(i * 37) % 100]);
        assert_true(sum <= SUM_MASK);
    }
    assert_true(sum == 0);
}

/* Given a record with values of several kinds, a NULL, a DERIVED one and unknown fields, then its
 * content sum is that of the fields that travel, by name, and the same for a program that knows
 * none of them. */
static void test_sum__contents_go_by_name_and_value(void **state)
{
    (void)state;
    struct record record = {.entity = dk_entity(ENTITY_CUSTOMER), .id = CUSTOMER};
    struct buffer scratch;
    uint64_t known = 0, unknown = 0, other = 0;
    dk_buffer_init(&scratch, 4096);
    record.values[CUSTOMER_NAME] =
        (struct value){.kind = VALUE_TEXT, .length = 7, .text = "He & Co"};
    record.values[CUSTOMER_TAGS] =
        (struct value){.kind = VALUE_TEXT, .length = 16, .text = "[\"gold\",\"north\"]"};
    assert_int_equal(dk_sum_content(&record, &scratch, &known), DAYBOOK_OK);
    assert_true(known == UINT64_C(1710904937087745427));
    static const char text[] = "{\"tags\":[\"gold\",\"north\"],\"gone\":null,\"name\":\"He & Co\"}";
    struct value extra = {.kind = VALUE_TEXT, .length = sizeof text - 1, .text = text};
    assert_int_equal(dk_sum_extra(NAMED("customer"), &CUSTOMER, &extra, &unknown), DAYBOOK_OK);
    assert_true(unknown == known);
    /* derived values do not count, every other one does */
    record.values[CUSTOMER_NORM_NAME] = record.values[CUSTOMER_NAME];
    assert_int_equal(dk_sum_content(&record, &scratch, &other), DAYBOOK_OK);
    assert_true(other == known);
    other = 0;
    record.values[CUSTOMER_PREFS] = record.values[CUSTOMER_NAME];
    assert_int_equal(dk_sum_content(&record, &scratch, &other), DAYBOOK_OK);
    assert_true(other != known);
    extra.length--;
    assert_int_equal(dk_sum_extra(NAMED("customer"), &CUSTOMER, &extra, &unknown), DAYBOOK_CORRUPT);
    dk_buffer_clear(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum__the_examples_of_the_protocol),
        cmocka_unit_test(test_sum__what_comes_and_goes_leaves_nothing),
        cmocka_unit_test(test_sum__contents_go_by_name_and_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
