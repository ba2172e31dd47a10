/* SPDX-License-Identifier: Apache-2.0
 *
 * Scalar values: every type is read, written and checked; what does not fit is refused with its
 * rule and passed over whole; damage stays damage. (Sets and maps: test_collection.c.)
 */
#include "engine/protocol/value.h"
#include "engine/protocol/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *const colours[] = {"red", "green", NULL};
static const struct field fields[] = {
    [FIELD_TEXT] = {.name = "text", .type = FIELD_TEXT, .limit = 5, .target = -1},
    [FIELD_CHOICE] = {.name = "choice", .type = FIELD_CHOICE, .choices = colours, .target = -1},
    [FIELD_CURRENCY] = {.name = "cur", .type = FIELD_CURRENCY, .target = -1},
    [FIELD_INT] = {.name = "int", .type = FIELD_INT, .target = -1},
    [FIELD_RATE] = {.name = "rate", .type = FIELD_RATE, .limit = 10000, .target = -1},
    [FIELD_DAY] = {.name = "day", .type = FIELD_DAY, .target = -1},
    [FIELD_E7] = {.name = "e7", .type = FIELD_E7, .limit = 900000000, .target = -1},
    [FIELD_BOOL] = {.name = "bool", .type = FIELD_BOOL, .target = -1},
    [FIELD_MONEY] = {.name = "money", .type = FIELD_MONEY, .target = -1},
    [FIELD_PRICE] = {.name = "price", .type = FIELD_PRICE, .target = -1},
    [FIELD_QUANTITY] = {.name = "qty", .type = FIELD_QUANTITY, .target = -1},
    [FIELD_TIME] = {.name = "time", .type = FIELD_TIME, .target = -1},
    [FIELD_ID] = {.name = "id", .type = FIELD_ID, .target = ENTITY_VISIT},
    [FIELD_SET] = {.name = "set", .type = FIELD_SET, .target = -1},
    [FIELD_MAP] = {.name = "map", .type = FIELD_MAP, .target = -1},
};

/* Reads `json` as the second element of an array whose third is 7, so that it shows where the
 * reader stands afterwards. The bytes have their own size, so that reading past them shows. 1:
 * read, 0: refused, -1: damaged. */
static int read_value(enum field_type type, const char *json, struct arena *arena,
                      struct value *value, struct refusal *refusal, char **bytes)
{
    struct json_reader reader;
    size_t length = strlen(json) + 7;
    *bytes = malloc(length + 1);
    assert_non_null(*bytes);
    memcpy(*bytes, "[1,", 3);
    memcpy(*bytes + 3, json, strlen(json));
    memcpy(*bytes + 3 + strlen(json), " ,7]", 5);
    *refusal = (struct refusal){0, NULL, NULL};
    dk_json_open(&reader, *bytes, length);
    assert_int_equal(dk_json_next(&reader), JSON_ARRAY);
    assert_int_equal(dk_json_next(&reader), JSON_INTEGER);
    bool fine = dk_value_read(&reader, &fields[type], arena, value, refusal);
    if (reader.problem != NULL) {
        assert_false(fine);
        return -1;
    }
    assert_int_equal(fine, refusal->code == 0);
    if (dk_json_next(&reader) == JSON_ERROR) {
        return -1; /* what stands behind a word is seen with the next element */
    }
    assert_int_equal(reader.integer, 7);
    assert_int_equal(dk_json_next(&reader), JSON_END);
    return fine ? 1 : 0;
}

/* The value is read, checked, and written as it was. */
static void assert_round_trip(enum field_type type, const char *json)
{
    struct arena arena;
    struct value value, copy;
    struct refusal refusal;
    struct buffer out;
    char *bytes;
    dk_arena_init(&arena, 1 << 20);
    dk_buffer_init(&out, 1 << 20);
    if (read_value(type, json, &arena, &value, &refusal, &bytes) != 1) {
        fail_msg("%s is not read as %s: %s", json, fields[type].name, refusal.rule);
    }
    assert_true(dk_value_check(&fields[type], &value, &refusal));
    copy = dk_value_copy(&value, &arena);
    assert_true(dk_value_equal(&value, &copy));
    dk_value_write(&out, &fields[type], &copy);
    assert_string_equal(dk_buffer_text(&out), json);
    free(bytes);
    dk_buffer_clear(&out);
    dk_arena_clear(&arena);
}

/* The value is refused with this rule, and the reader is behind it. */
static void assert_refused(enum field_type type, const char *json, const char *rule)
{
    struct arena arena;
    struct value value;
    struct refusal refusal;
    char *bytes;
    dk_arena_init(&arena, 1 << 20);
    int result = read_value(type, json, &arena, &value, &refusal, &bytes);
    if (result != 0 || strcmp(refusal.rule, rule) != 0) {
        fail_msg("%s as %s: result %d, rule %s, not %s", json, fields[type].name, result,
                 refusal.rule == NULL ? "none" : refusal.rule, rule);
    }
    assert_int_equal(refusal.code, REJECT_SCHEMA);
    assert_string_equal(refusal.field, fields[type].name);
    free(bytes);
    dk_arena_clear(&arena);
}

/* The value is damage. */
static void assert_damaged(enum field_type type, const char *json)
{
    struct arena arena;
    struct value value;
    struct refusal refusal;
    char *bytes;
    dk_arena_init(&arena, 1 << 20);
    if (read_value(type, json, &arena, &value, &refusal, &bytes) != -1) {
        fail_msg("%s as %s is not seen as damage", json, fields[type].name);
    }
    free(bytes);
    dk_arena_clear(&arena);
}

static void test_value__every_type_makes_the_round_trip(void **state)
{
    (void)state;
    static const struct {
        enum field_type type;
        const char *json;
    } values[] = {
        {FIELD_TEXT, "\"\""},
        {FIELD_TEXT, "\"a\\\"b\\n\""},
        {FIELD_TEXT, "\"拜访客户们\""},
        {FIELD_TEXT, "\"😀😀😀😀😀\""},
        {FIELD_CHOICE, "\"green\""},
        {FIELD_CURRENCY, "\"CNY\""},
        {FIELD_INT, "0"},
        {FIELD_INT, "2147483647"},
        {FIELD_INT, "-2147483648"},
        {FIELD_RATE, "-10000"},
        {FIELD_DAY, "20240229"},
        {FIELD_DAY, "10101"},
        {FIELD_DAY, "99991231"},
        {FIELD_DAY, "20000229"},
        {FIELD_E7, "-900000000"},
        {FIELD_BOOL, "true"},
        {FIELD_BOOL, "false"},
        {FIELD_MONEY, "\"9223372036854775807\""},
        {FIELD_MONEY, "\"-9223372036854775808\""},
        {FIELD_PRICE, "\"123456\""},
        {FIELD_QUANTITY, "\"-500\""},
        {FIELD_TIME, "\"0\""},
        {FIELD_TIME, "\"140737488355327\""},
        {FIELD_ID, "\"AZKfbDoAcACAAAAAAAAACQ\""},
    };
    for (size_t i = 0; i < COUNT(values); i++) {
        assert_round_trip(values[i].type, values[i].json);
    }
    for (int type = FIELD_TEXT; type <= FIELD_MAP; type++) {
        assert_round_trip((enum field_type)type, "null");
    }
}

static void test_value__what_does_not_fit_is_refused_and_passed_over(void **state)
{
    (void)state;
    static const struct {
        enum field_type type;
        const char *json, *rule;
    } values[] = {
        {FIELD_TEXT, "\"sixsix\"", "length"},
        {FIELD_TEXT, "\"拜访客户们六\"", "length"},
        {FIELD_TEXT, "7", "type"},
        {FIELD_TEXT, "true", "type"},
        {FIELD_TEXT, "[\"a\",[{}]]", "type"},
        {FIELD_TEXT, "{\"a\":{\"b\":[1.5]}}", "type"},
        {FIELD_TEXT, "1.5", "type"},
        {FIELD_CHOICE, "\"Red\"", "choice"},
        {FIELD_CHOICE, "\"\"", "choice"},
        {FIELD_CHOICE, "\"re\"", "choice"},
        {FIELD_CURRENCY, "\"cny\"", "currency"},
        {FIELD_CURRENCY, "\"CN\"", "currency"},
        {FIELD_CURRENCY, "\"CNYX\"", "currency"},
        {FIELD_CURRENCY, "\"CN1\"", "currency"},
        {FIELD_INT, "2147483648", "range"},
        {FIELD_INT, "-2147483649", "range"},
        {FIELD_INT, "\"1\"", "type"},
        {FIELD_INT, "1.0", "type"},
        {FIELD_INT, "1e3", "type"},
        {FIELD_INT, "99999999999999999999", "range"},
        {FIELD_INT, "false", "type"},
        {FIELD_RATE, "10001", "range"},
        {FIELD_RATE, "-10001", "range"},
        {FIELD_DAY, "20230229", "day"},
        {FIELD_DAY, "19000229", "day"},
        {FIELD_DAY, "20240431", "day"},
        {FIELD_DAY, "20241301", "day"},
        {FIELD_DAY, "20240001", "day"},
        {FIELD_DAY, "20240100", "day"},
        {FIELD_DAY, "0", "day"},
        {FIELD_DAY, "-20240101", "day"},
        {FIELD_DAY, "100000101", "day"},
        {FIELD_E7, "900000001", "range"},
        {FIELD_BOOL, "1", "type"},
        {FIELD_BOOL, "\"true\"", "type"},
        {FIELD_MONEY, "5", "type"},
        {FIELD_MONEY, "\"\"", "type"},
        {FIELD_MONEY, "\"5.0\"", "type"},
        {FIELD_MONEY, "\"+5\"", "type"},
        {FIELD_MONEY, "\"05\"", "type"},
        {FIELD_MONEY, "\"-0\"", "type"},
        {FIELD_MONEY, "\"9223372036854775808\"", "type"},
        {FIELD_MONEY, "\" 5\"", "type"},
        {FIELD_TIME, "\"-1\"", "range"},
        {FIELD_TIME, "\"140737488355328\"", "range"},
        {FIELD_ID, "\"AZKfbDoAcACAAAAAAAAACR\"", "id"},
        {FIELD_ID, "\"AZKfbDoAcACAAAAAAAAAC\"", "id"},
        {FIELD_ID, "\"01929f6c-3a00-7000-8000-000000000009\"", "id"},
        {FIELD_ID, "\"AAAAAAAAAAAAAAAAAAAAAA\"", "id"},
        {FIELD_ID, "7", "type"},
    };
    for (size_t i = 0; i < COUNT(values); i++) {
        assert_refused(values[i].type, values[i].json, values[i].rule);
    }
}

static void test_value__damage_is_not_a_refusal(void **state)
{
    (void)state;
    static const struct {
        enum field_type type;
        const char *json;
    } values[] = {
        {FIELD_TEXT, "\"a"},      {FIELD_TEXT, "\"\\ud800\""}, {FIELD_TEXT, "\"\\u0000\""},
        {FIELD_TEXT, "\"\x01\""}, {FIELD_TEXT, "\"\xff\""},    {FIELD_INT, "01"},
        {FIELD_INT, "-"},         {FIELD_BOOL, "truth"},       {FIELD_TEXT, "nul"},
        {FIELD_TEXT, "[1"},       {FIELD_TEXT, "{\"a\"}"},     {FIELD_INT, "]"},
        {FIELD_TEXT, ""},         {FIELD_TEXT, "'a'"},
    };
    for (size_t i = 0; i < COUNT(values); i++) {
        assert_damaged(values[i].type, values[i].json);
    }
}

static void test_value__a_value_from_the_app_is_checked_like_one_from_the_wire(void **state)
{
    (void)state;
    static const struct id zero;
    struct refusal refusal = {0, NULL, NULL};
    struct value bad_utf8 = {.kind = VALUE_TEXT, .length = 2, .text = "\xc3("};
    struct value with_nul = {.kind = VALUE_TEXT, .length = 3, .text = "a\0b"};
    struct value integer = {.kind = VALUE_INT, .integer = 2};
    struct value id = {.kind = VALUE_ID, .id = zero};
    assert_false(dk_value_check(&fields[FIELD_TEXT], &bad_utf8, &refusal));
    assert_string_equal(refusal.rule, "utf8");
    assert_false(dk_value_check(&fields[FIELD_TEXT], &with_nul, &refusal));
    assert_string_equal(refusal.rule, "utf8");
    assert_false(dk_value_check(&fields[FIELD_TEXT], &integer, &refusal));
    assert_string_equal(refusal.rule, "type");
    assert_false(dk_value_check(&fields[FIELD_MONEY], &with_nul, &refusal));
    assert_string_equal(refusal.rule, "type");
    assert_false(dk_value_check(&fields[FIELD_BOOL], &integer, &refusal));
    assert_string_equal(refusal.rule, "range");
    assert_false(dk_value_check(&fields[FIELD_ID], &id, &refusal));
    assert_string_equal(refusal.rule, "id");
    struct value set = {.kind = VALUE_TEXT, .length = 9, .text = "[\"b\",\"a\"]"};
    assert_false(dk_value_check(&fields[FIELD_SET], &set, &refusal));
    assert_string_equal(refusal.rule, "set");
    assert_true(dk_value_check(&fields[FIELD_INT], &integer, &refusal));
}

static void test_value__a_text_without_a_limit_of_its_own_has_the_common_one(void **state)
{
    (void)state;
    struct field field = {.name = "text", .type = FIELD_TEXT, .target = -1};
    struct refusal refusal = {0, NULL, NULL};
    char *text = malloc(LIMIT_TEXT_BYTES + 1);
    assert_non_null(text);
    memset(text, 'x', LIMIT_TEXT_BYTES + 1);
    struct value value = {.kind = VALUE_TEXT, .length = LIMIT_TEXT_BYTES, .text = text};
    assert_true(dk_value_check(&field, &value, &refusal));
    value.length++;
    assert_false(dk_value_check(&field, &value, &refusal));
    assert_string_equal(refusal.rule, "length");
    free(text);
}

static void test_value__equality_is_of_kind_and_content(void **state)
{
    (void)state;
    struct value null = {.kind = VALUE_NULL}, zero = {.kind = VALUE_INT, .integer = 0};
    struct value one = {.kind = VALUE_INT, .integer = 1},
                 empty = {.kind = VALUE_TEXT, .length = 0, .text = NULL};
    struct value text = {.kind = VALUE_TEXT, .length = 1, .text = "a"};
    struct value other = {.kind = VALUE_TEXT, .length = 1, .text = "b"};
    struct value longer = {.kind = VALUE_TEXT, .length = 2, .text = "ab"};
    assert_true(dk_value_equal(&null, &null));
    assert_false(dk_value_equal(&null, &zero));
    assert_false(dk_value_equal(&null, &empty));
    assert_false(dk_value_equal(&zero, &one));
    assert_true(dk_value_equal(&empty, &empty));
    assert_false(dk_value_equal(&text, &other));
    assert_false(dk_value_equal(&text, &longer));
    /* whatever stands behind a null */
    struct value dirty = {.kind = VALUE_NULL, .length = 9, .integer = 5};
    assert_true(dk_value_equal(&null, &dirty));
}

static void test_value__a_copy_without_memory_says_so(void **state)
{
    (void)state;
    struct arena arena;
    struct value text = {.kind = VALUE_TEXT, .length = 100, .text = "x"};
    dk_arena_init(&arena, 16);
    struct value copy = dk_value_copy(&text, &arena);
    assert_true(arena.failed);
    assert_int_equal(copy.length, 0);
    dk_arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value__every_type_makes_the_round_trip),
        cmocka_unit_test(test_value__what_does_not_fit_is_refused_and_passed_over),
        cmocka_unit_test(test_value__damage_is_not_a_refusal),
        cmocka_unit_test(test_value__a_value_from_the_app_is_checked_like_one_from_the_wire),
        cmocka_unit_test(test_value__a_text_without_a_limit_of_its_own_has_the_common_one),
        cmocka_unit_test(test_value__equality_is_of_kind_and_content),
        cmocka_unit_test(test_value__a_copy_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
