/* SPDX-License-Identifier: Apache-2.0
 *
 * Trees: what cJSON would misread is refused before it, with the place named; integers only where
 * they are whole.
 */
#include "engine/base/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define SIZE_MAX_BYTES 1000

/* Parses a copy of just that size. */
static daybook_status parse(const char *text, size_t length, cJSON **tree, size_t *offset)
{
    const char *problem = NULL;
    char *copy = malloc(length == 0 ? 1 : length);
    assert_non_null(copy);
    memcpy(copy, text, length);
    daybook_status status = dk_tree_parse(copy, length, SIZE_MAX_BYTES, tree, &problem, offset);
    assert_int_equal(status == DAYBOOK_OK, problem == NULL);
    assert_int_equal(status == DAYBOOK_OK, *tree != NULL);
    free(copy);
    return status;
}

static void test_tree__a_record_is_read(void **state)
{
    (void)state;
    const char *text =
        "{\"name\":\"拜访 \\u00e9\",\"Name\":\"other\",\"count\":-3,\"custom\":{\"x\":[1]}}";
    cJSON *tree = NULL;
    size_t offset = 0;
    int64_t number = 0;
    assert_int_equal(parse(text, strlen(text), &tree, &offset), DAYBOOK_OK);
    assert_string_equal(dk_tree_text(tree, "name"), "拜访 é");
    assert_string_equal(dk_tree_text(tree, "Name"), "other");
    assert_null(dk_tree_text(tree, "NAME"));
    assert_null(dk_tree_text(tree, "count"));
    assert_true(dk_tree_integer(dk_tree_member(tree, "count"), &number));
    assert_int_equal(number, -3);
    assert_null(dk_tree_member(dk_tree_member(dk_tree_member(tree, "custom"), "x"), "y"));
    assert_null(dk_tree_member(NULL, "x"));
    assert_null(dk_tree_text(NULL, "x"));
    cJSON_Delete(tree);
}

static void test_tree__what_cjson_would_misread_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t length;
        size_t offset;
    } refused[] = {
        {"", 0, 0},
        {"{\"a\":1}x", 8, 7},             /* trailing bytes */
        {"{\"a\":1}\0", 8, 7},            /* a NUL behind */
        {"{\"a\":\"b\\u0000c\"}", 15, 7}, /* a text that would be cut */
        {"{\"a\":1,\"a\":2}", 13, 8},     /* the second of two */
        {"\xEF\xBB\xBF{}", 5, 0},         /* a byte order mark, which cJSON skips */
        {"{\"a\":01}", 8, 5},
        {"{\"a\":\"\x01\"}", 9, 6},
        {"{\"a\":\"\xC3\"}", 9, 6},
        {"[1,]", 4, 3},
        {"\x01[]", 3, 0}, /* which cJSON takes for a space */
    };
    for (size_t i = 0; i < COUNT(refused); i++) {
        cJSON *tree = NULL;
        size_t offset = 99;
        assert_int_equal(parse(refused[i].text, refused[i].length, &tree, &offset),
                         DAYBOOK_BAD_JSON);
        assert_int_equal(offset, refused[i].offset);
    }
}

static void test_tree__size_depth_and_nodes_are_bounded(void **state)
{
    (void)state;
    cJSON *tree = NULL;
    size_t offset = 0;
    char text[SIZE_MAX_BYTES + 1];
    /* a string of exactly the size is read, one byte more is not even looked at */
    memset(text, 'x', sizeof text);
    text[0] = '"';
    text[SIZE_MAX_BYTES - 1] = '"';
    assert_int_equal(parse(text, SIZE_MAX_BYTES, &tree, &offset), DAYBOOK_OK);
    cJSON_Delete(tree);
    assert_int_equal(parse(text, SIZE_MAX_BYTES + 1, &tree, &offset), DAYBOOK_TOO_LARGE);
    assert_int_equal(offset, SIZE_MAX_BYTES);
    /* depth 32 and 33 */
    memset(text, '[', 33);
    memset(text + 32, ']', 32);
    assert_int_equal(parse(text, 64, &tree, &offset), DAYBOOK_OK);
    cJSON_Delete(tree);
    memset(text, '[', 33);
    memset(text + 33, ']', 33);
    assert_int_equal(parse(text, 66, &tree, &offset), DAYBOOK_BAD_JSON);
    /* 100,000 values and one more: the array counts as one */
    size_t length = 2 * 100000;
    char *many = malloc(length + 1);
    const char *problem = NULL;
    assert_non_null(many);
    for (size_t i = 0; i < length; i += 2) {
        memcpy(many + i, "1,", 2);
    }
    many[0] = '[';
    many[1] = '1';
    many[2] = ',';
    size_t end = 2 + 2 * (100000 - 2); /* 99,999 numbers */
    for (size_t i = 3; i + 1 < end; i += 2) {
        memcpy(many + i, "1,", 2);
    }
    many[end - 1] = '1';
    many[end] = ']';
    assert_int_equal(dk_tree_parse(many, end + 1, length, &tree, &problem, &offset), DAYBOOK_OK);
    assert_int_equal(cJSON_GetArraySize(tree), 99999);
    cJSON_Delete(tree);
    memcpy(many + end, ",1]", 3);
    assert_int_equal(dk_tree_parse(many, end + 3, 2 * length, &tree, &problem, &offset),
                     DAYBOOK_BAD_JSON);
    assert_null(tree);
    free(many);
}

static void test_tree__integers_are_whole_and_within_2_53(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t number;
    } taken[] = {
        {"0", 0},
        {"-0", 0},
        {"1.0", 1},
        {"1e2", 100},
        {"9007199254740991", 9007199254740991},
        {"-9007199254740991", -9007199254740991},
    };
    static const char *const refused[] = {
        "1.5",
        "-0.1",
        "9007199254740992",
        "9007199254740993",
        "-9007199254740992",
        "1e16",
        "1e999",
        "-1e999",
        "1e-5",
        "\"1\"",
        "true",
        "null",
        "[]",
        "{}",
        "9223372036854775807",
    };
    cJSON *tree = NULL;
    size_t offset = 0;
    int64_t number = 99;
    for (size_t i = 0; i < COUNT(taken); i++) {
        assert_int_equal(parse(taken[i].text, strlen(taken[i].text), &tree, &offset), DAYBOOK_OK);
        assert_true(dk_tree_integer(tree, &number));
        assert_true(number == taken[i].number);
        cJSON_Delete(tree);
    }
    for (size_t i = 0; i < COUNT(refused); i++) {
        number = 99;
        assert_int_equal(parse(refused[i], strlen(refused[i]), &tree, &offset), DAYBOOK_OK);
        assert_false(dk_tree_integer(tree, &number));
        assert_int_equal(number, 99);
        cJSON_Delete(tree);
    }
    assert_false(dk_tree_integer(NULL, &number));
}

static void test_tree__a_number_is_long_but_not_too_long(void **state)
{
    (void)state;
    cJSON *tree = NULL;
    size_t offset = 0;
    char text[64];
    memset(text, '1', sizeof text);
    /* 63 digits are what cJSON can read; of more it would read a part */
    assert_int_equal(parse(text, 63, &tree, &offset), DAYBOOK_OK);
    cJSON_Delete(tree);
    assert_int_equal(parse(text, 64, &tree, &offset), DAYBOOK_BAD_JSON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree__a_record_is_read),
        cmocka_unit_test(test_tree__what_cjson_would_misread_is_refused),
        cmocka_unit_test(test_tree__size_depth_and_nodes_are_bounded),
        cmocka_unit_test(test_tree__integers_are_whole_and_within_2_53),
        cmocka_unit_test(test_tree__a_number_is_long_but_not_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
