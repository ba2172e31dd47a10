/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON: each malformed text is refused by all three ways of reading (pull, skip, gate) at the right
 * byte; good ones are read as they should; each cut of a good one is refused. All texts are
 * read from copies of just their size, so that a sanitizer sees each byte read behind them.
 */
#include "engine/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define NODES_MAX 1000

/* How the pull reader and the gate differ on a text. */
enum verdict {
    BOTH,  /* refused by both at the same byte */
    EARLY, /* refused by both; by dk_json_next where the number ceases to be an integer */
    PULL,  /* refused by dk_json_next only: a number that is valid, but not an integer of ours */
    GATE,  /* refused by dk_json_check only: a duplicate key */
};

struct bad {
    const char *text;
    size_t length;
    size_t offset; /* of the first byte that is wrong */
    enum verdict verdict;
};

#define BAD(text, offset, verdict)              \
    {                                           \
        text, sizeof(text) - 1, offset, verdict \
    }

static const struct bad bad_texts[] = {
    /* nothing, or more than one value */
    BAD("", 0, BOTH),
    BAD("  \n", 3, BOTH),
    BAD("1 2", 2, BOTH),
    BAD("[1]]", 3, BOTH),
    BAD("{} x", 3, BOTH),
    BAD("[]\0", 2, BOTH),
    BAD("null\v", 4, BOTH),
    BAD("nullnull", 4, BOTH),
    /* no value */
    BAD("\xEF\xBB\xBF[]", 0, BOTH),
    BAD("nul", 0, BOTH),
    BAD("True", 0, BOTH),
    BAD("NaN", 0, BOTH),
    BAD("Infinity", 0, BOTH),
    BAD("'a'", 0, BOTH),
    BAD("\0", 0, BOTH),
    BAD("/**/1", 0, BOTH),
    BAD("\f1", 0, BOTH),
    BAD("\xC2\xA0", 0, BOTH),
    /* brackets, commas, colons */
    BAD("[", 1, BOTH),
    BAD("]", 0, BOTH),
    BAD("[1", 2, BOTH),
    BAD("[1,", 3, BOTH),
    BAD("[1,]", 3, BOTH),
    BAD("[,1]", 1, BOTH),
    BAD("[1,,2]", 3, BOTH),
    BAD("[1 2]", 3, BOTH),
    BAD("[1}", 2, BOTH),
    BAD("[1:2]", 2, BOTH),
    BAD("{", 1, BOTH),
    BAD("}", 0, BOTH),
    BAD("{]", 1, BOTH),
    BAD("{,}", 1, BOTH),
    BAD("{\"a\"", 4, BOTH),
    BAD("{\"a\"}", 4, BOTH),
    BAD("{\"a\":", 5, BOTH),
    BAD("{\"a\":}", 5, BOTH),
    BAD("{\"a\" 1}", 5, BOTH),
    BAD("{\"a\",1}", 4, BOTH),
    BAD("{\"a\":1", 6, BOTH),
    BAD("{\"a\":1,", 7, BOTH),
    BAD("{\"a\":1,}", 7, BOTH),
    BAD("{\"a\":1 \"b\":2}", 7, BOTH),
    BAD("{\"a\":1]", 6, BOTH),
    BAD("{a:1}", 1, BOTH),
    BAD("{1:1}", 1, BOTH),
    BAD("{null:1}", 1, BOTH),
    BAD("{\"a\"::1}", 5, BOTH),
    BAD("[\"a\":1]", 4, BOTH),
    /* numbers */
    BAD("01", 0, BOTH),
    BAD("[-01]", 2, BOTH),
    BAD("00", 0, BOTH),
    BAD("-", 1, BOTH),
    BAD("[-]", 2, BOTH),
    BAD("+1", 0, BOTH),
    BAD(".5", 0, BOTH),
    BAD("0x10", 1, BOTH),
    BAD("1_000", 1, BOTH),
    BAD("1.", 2, EARLY),
    BAD("[1.]", 3, EARLY),
    BAD("1.e3", 2, EARLY),
    BAD("1e", 2, EARLY),
    BAD("1e+", 3, EARLY),
    BAD("1e+x", 3, EARLY),
    BAD("1.5.5", 3, EARLY),
    BAD("--1", 1, BOTH),
    BAD("-a", 1, BOTH),
    BAD("1.5", 1, PULL),
    BAD("[1e3]", 2, PULL),
    BAD("1E3", 1, PULL),
    BAD("[-0]", 2, PULL),
    BAD("9007199254740992", 0, PULL),
    BAD("-9007199254740992", 0, PULL),
    BAD("9223372036854775808", 0, PULL),
    BAD("[99999999999999999999999999]", 1, PULL),
    /* strings */
    BAD("\"", 1, BOTH),
    BAD("\"abc", 4, BOTH),
    BAD("\"abcdefgh", 9, BOTH),
    BAD("\"\n\"", 1, BOTH),
    BAD("\"abcdefg\x1F\"", 8, BOTH),
    BAD("\"ab\0cd\"", 3, BOTH),
    BAD("\"\t\"", 1, BOTH),
    BAD("\"\\", 1, BOTH),
    BAD("\"\\\"", 3, BOTH),
    BAD("\"\\a\"", 1, BOTH),
    BAD("\"\\'\"", 1, BOTH),
    BAD("\"\\x41\"", 1, BOTH),
    BAD("\"\\0\"", 1, BOTH),
    BAD("\"\\\0\"", 1, BOTH),
    BAD("\"\\U0041\"", 1, BOTH),
    BAD("\"\\u\"", 1, BOTH),
    BAD("\"\\u004\"", 1, BOTH),
    BAD("\"\\u004g\"", 1, BOTH),
    BAD("\"\\u00", 1, BOTH),
    BAD("\"\\u+041\"", 1, BOTH),
    BAD("\"\\u0000\"", 1, BOTH),
    BAD("\"ab\\u0000cd\"", 3, BOTH),
    BAD("\"\\ud800\"", 1, BOTH),
    BAD("\"\\udfff\"", 1, BOTH),
    BAD("\"\\udc00\\ud800\"", 1, BOTH),
    BAD("\"\\ud800\\ud800\"", 1, BOTH),
    BAD("\"\\udc00\\udc00\"", 1, BOTH),
    BAD("\"\\udfff\\ude00\"", 1, BOTH),
    BAD("\"\\ud800x\"", 1, BOTH),
    BAD("\"\\ud83d\\n\"", 1, BOTH),
    BAD("\"\\ud83d\\u0041\"", 1, BOTH),
    BAD("\"\\ud83d\\ude0\"", 1, BOTH),
    BAD("\"\x80\"", 1, BOTH),
    BAD("\"ab\xC3(\"", 3, BOTH),
    BAD("\"\xC0\x80\"", 1, BOTH),
    BAD("\"\xED\xA0\x80\"", 1, BOTH),
    BAD("\"\xF4\x90\x80\x80\"", 1, BOTH),
    BAD("\"\xE6\x8B\"", 1, BOTH),
    BAD("\"\\n\xFF\"", 3, BOTH),
    BAD("{\"a\\u0000\":1}", 3, BOTH),
    BAD("{\"\xFF\":1}", 2, BOTH),
    /* duplicate keys: at the second key's text */
    BAD("{\"a\":1,\"a\":2}", 8, GATE),
    BAD("{\"a\":1,\"b\":2,\"\\u0061\":2}", 14, GATE),
    BAD("{\"\":1,\"\":2}", 7, GATE),
    BAD("[{\"x\":{\"k\":1,\"l\":[{}],\"k\":3}}]", 23, GATE),
    BAD("{\"\\/\":1,\"/\":2}", 9, GATE),
};

static const char *const good_texts[] = {
    "0",
    " [ ] ",
    "\t{\r\n}\n",
    "[1,-1,9007199254740991,-9007199254740991,10,0]",
    "[true,false,null,[],{},\"\"]",
    "{\"a\":{\"a\":{\"a\":[{\"a\":1},{\"a\":2}]}},\"A\":1,\"aa\":2,\"\":3}",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\\u00e9\\u62dc\\uD83D\\uDE00\\uffff\\u007f\"",
    "\"\x7F\xEF\xBF\xBF\xEF\xBB\xBF 拜访 😀 é\"",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
};

/* A copy of exactly length bytes (at least one, so that it has an address). */
static char *copy_of(const char *text, size_t length)
{
    char *copy = malloc(length == 0 ? 1 : length);
    assert_non_null(copy);
    memcpy(copy, text, length);
    return copy;
}

/* Pulls all elements; true where the whole text is good. */
static bool pull_all(struct json_reader *reader)
{
    do {
        int depth = reader->depth;
        bool object = depth > 0 && (reader->is_object >> (depth - 1) & 1) != 0;
        if (object) {
            enum json_type type = dk_json_key(reader);
            if (type == JSON_ERROR) {
                return false;
            }
            if (type == JSON_END) {
                assert_int_equal(reader->depth, depth - 1);
                continue;
            }
            assert_int_equal(type, JSON_STRING);
        }
        if (dk_json_next(reader) == JSON_ERROR) {
            return false;
        }
    } while (reader->depth > 0);
    return dk_json_finish(reader);
}

/* Pulls the text; on failure *offset is where. The error must stick. */
static bool pull_text(const char *text, size_t length, size_t *offset)
{
    struct json_reader reader;
    char *copy = copy_of(text, length);
    dk_json_open(&reader, copy, length);
    bool valid = pull_all(&reader);
    *offset = dk_json_offset(&reader);
    assert_int_equal(valid, reader.problem == NULL);
    if (!valid) {
        const char *problem = reader.problem;
        assert_int_equal(dk_json_next(&reader), JSON_ERROR);
        assert_false(dk_json_skip(&reader, NULL, NULL));
        assert_false(dk_json_finish(&reader));
        assert_false(dk_json_fail(&reader, "later"));
        assert_ptr_equal(reader.problem, problem);
        assert_int_equal(dk_json_offset(&reader), *offset);
    }
    free(copy);
    return valid;
}

/* Skips the text as one value; it must not be changed by that. */
static bool skip_all(const char *text, size_t length, size_t *offset)
{
    struct json_reader reader;
    char *copy = copy_of(text, length);
    dk_json_open(&reader, copy, length);
    bool valid = dk_json_skip(&reader, NULL, NULL) && dk_json_finish(&reader);
    *offset = dk_json_offset(&reader);
    assert_memory_equal(copy, text, length);
    free(copy);
    return valid;
}

/* The gate on a copy. */
static bool check_all(const char *text, size_t length, size_t *offset)
{
    const char *problem = NULL;
    char *copy = copy_of(text, length);
    bool valid = dk_json_check(copy, length, JSON_DEPTH_MAX, NODES_MAX, &problem, offset);
    assert_int_equal(valid, problem == NULL);
    assert_memory_equal(copy, text, length);
    free(copy);
    return valid;
}

static void test_json__malformed_texts_are_refused_at_the_right_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_texts); i++) {
        const struct bad *bad = &bad_texts[i];
        size_t offset = 0;
        bool pulled = pull_text(bad->text, bad->length, &offset);
        bool early = bad->verdict == EARLY && offset > 0 && offset < bad->offset;
        if (pulled != (bad->verdict == GATE) || (!pulled && !early && offset != bad->offset)) {
            fail_msg("pull: %s: %d at %zu", bad->text, pulled, offset);
        }
        bool skipped = skip_all(bad->text, bad->length, &offset);
        bool skips = bad->verdict == PULL || bad->verdict == GATE;
        if (skipped != skips || (!skipped && offset != bad->offset)) {
            fail_msg("skip: %s: %d at %zu", bad->text, skipped, offset);
        }
        bool checked = check_all(bad->text, bad->length, &offset);
        if (checked != (bad->verdict == PULL) || (!checked && offset != bad->offset)) {
            fail_msg("check: %s: %d at %zu", bad->text, checked, offset);
        }
    }
}

static void test_json__good_texts_are_taken_and_their_cuts_are_not(void **state)
{
    (void)state;
    size_t offset = 0;
    for (size_t i = 0; i < COUNT(good_texts); i++) {
        const char *text = good_texts[i];
        size_t length = strlen(text);
        assert_true(pull_text(text, length, &offset));
        assert_int_equal(offset, length);
        assert_true(skip_all(text, length, &offset));
        assert_true(check_all(text, length, &offset));
        /* white space at the end does not count; all else that is cut off is missed */
        while (strchr(" \n", text[length - 1]) != NULL) {
            length--;
        }
        while (length-- > 0) {
            assert_false(pull_text(text, length, &offset));
            assert_true(offset <= length);
            assert_false(skip_all(text, length, &offset));
            assert_false(check_all(text, length, &offset));
        }
    }
}

static void test_json__changed_bytes_never_lead_astray(void **state)
{
    (void)state;
    /* given good texts in which one byte after the other takes each value */
    for (size_t i = 0; i < COUNT(good_texts); i++) {
        char text[100];
        size_t length = strlen(good_texts[i]);
        assert_true(length < sizeof text);
        for (size_t place = 0; place < length; place++) {
            for (int value = 0; value < 256; value++) {
                size_t offset = 0;
                memcpy(text, good_texts[i], length);
                text[place] = (char)value;
                /* when they are read, then what pulls is valid for the others, but for duplicate
                 * keys */
                bool pulled = pull_text(text, length, &offset);
                bool skipped = skip_all(text, length, &offset);
                bool checked = check_all(text, length, &offset);
                assert_true(skipped || (!pulled && !checked));
            }
        }
    }
}

static void test_json__rows_are_read_value_by_value(void **state)
{
    (void)state;
    char text[] = "{\"rows\":[[\"AZAWPYaUc5uupZZsJvitkQ\",\"note \\u62dc\\n\",-42,null,true],[]],"
                  "\"more\" : false , \"later\":{\"x\":[1.5e3,\"\\n\"]}}";
    struct json_reader reader;
    dk_json_open(&reader, text, sizeof text - 1);
    assert_int_equal(dk_json_next(&reader), JSON_OBJECT);
    assert_int_equal(dk_json_key(&reader), JSON_STRING);
    assert_memory_equal(reader.text, "rows", reader.length);
    assert_int_equal(dk_json_next(&reader), JSON_ARRAY);
    assert_int_equal(dk_json_next(&reader), JSON_ARRAY);
    assert_int_equal(dk_json_next(&reader), JSON_STRING);
    assert_int_equal(reader.length, 22);
    const char *borrowed = reader.text;
    assert_int_equal(dk_json_next(&reader), JSON_STRING);
    assert_int_equal(reader.length, strlen("note 拜\n"));
    assert_memory_equal(reader.text, "note 拜\n", reader.length);
    assert_int_equal(dk_json_next(&reader), JSON_INTEGER);
    assert_int_equal(reader.integer, -42);
    assert_int_equal(dk_json_next(&reader), JSON_NULL);
    assert_int_equal(dk_json_next(&reader), JSON_TRUE);
    assert_int_equal(dk_json_next(&reader), JSON_END);
    assert_int_equal(dk_json_next(&reader), JSON_ARRAY);
    assert_int_equal(dk_json_next(&reader), JSON_END);
    assert_int_equal(dk_json_next(&reader), JSON_END);
    assert_int_equal(dk_json_key(&reader), JSON_STRING);
    assert_int_equal(dk_json_next(&reader), JSON_FALSE);
    /* what is not known is kept as it stands */
    const char *raw = NULL;
    size_t raw_length = 0;
    assert_int_equal(dk_json_key(&reader), JSON_STRING);
    assert_true(dk_json_skip(&reader, &raw, &raw_length));
    assert_int_equal(raw_length, strlen("{\"x\":[1.5e3,\"\\n\"]}"));
    assert_memory_equal(raw, "{\"x\":[1.5e3,\"\\n\"]}", raw_length);
    assert_int_equal(dk_json_key(&reader), JSON_END);
    assert_true(dk_json_finish(&reader));
    assert_memory_equal(borrowed, "AZAWPYaUc5uupZZsJvitkQ", 22);
}

static void test_json__skipping_goes_element_by_element(void **state)
{
    (void)state;
    char text[] = "[ {\"a\" : [1]} , -1.5E-3,\"\\\"]\"]";
    static const char *const expected[] = {"{\"a\" : [1]}", "-1.5E-3", "\"\\\"]\""};
    struct json_reader reader;
    dk_json_open(&reader, text, sizeof text - 1);
    assert_int_equal(dk_json_next(&reader), JSON_ARRAY);
    for (size_t i = 0; i < COUNT(expected); i++) {
        const char *raw = NULL;
        size_t length = 0;
        assert_true(dk_json_skip(&reader, &raw, &length));
        assert_int_equal(length, strlen(expected[i]));
        assert_memory_equal(raw, expected[i], length);
    }
    assert_int_equal(dk_json_next(&reader), JSON_END);
    assert_true(dk_json_finish(&reader));
    /* at the end of an array there is nothing to skip */
    char empty[] = "[]";
    dk_json_open(&reader, empty, 2);
    assert_int_equal(dk_json_next(&reader), JSON_ARRAY);
    assert_false(dk_json_skip(&reader, NULL, NULL));
    assert_non_null(reader.problem);
}

static void test_json__an_open_container_is_not_finished(void **state)
{
    (void)state;
    struct json_reader reader;
    char text[] = "[1]";
    dk_json_open(&reader, text, 3);
    assert_int_equal(dk_json_next(&reader), JSON_ARRAY);
    assert_false(dk_json_finish(&reader));
    dk_json_open(&reader, text, 3);
    assert_false(dk_json_finish(&reader));
    dk_json_open(&reader, NULL, 0);
    assert_int_equal(dk_json_next(&reader), JSON_ERROR);
    assert_int_equal(dk_json_offset(&reader), 0);
    /* an error from outside sticks as well */
    dk_json_open(&reader, text, 3);
    assert_false(dk_json_fail(&reader, "a wrong type"));
    assert_int_equal(dk_json_next(&reader), JSON_ERROR);
    assert_string_equal(reader.problem, "a wrong type");
}

/* Writes `depth` nested arrays or objects; returns the length. */
static size_t nest(char *out, int depth, bool objects)
{
    size_t length = 0;
    for (int i = 0; i < depth; i++) {
        const char *open = objects ? (i + 1 < depth ? "{\"a\":" : "{") : "[";
        memcpy(out + length, open, strlen(open));
        length += strlen(open);
    }
    memset(out + length, objects ? '}' : ']', (size_t)depth);
    return length + (size_t)depth;
}

static void test_json__depth_is_bounded_on_both_sides(void **state)
{
    (void)state;
    size_t offset = 0;
    const char *problem = NULL;
    for (int objects = 0; objects < 2; objects++) {
        char text[600000];
        size_t length = nest(text, JSON_DEPTH_MAX, objects != 0);
        assert_true(pull_text(text, length, &offset));
        assert_true(skip_all(text, length, &offset));
        assert_true(check_all(text, length, &offset));
        static const int depths[] = {JSON_DEPTH_MAX + 1, JSON_DEPTH_MAX * 2, 100000};
        for (size_t i = 0; i < COUNT(depths); i++) {
            length = nest(text, depths[i], objects != 0);
            assert_false(pull_text(text, length, &offset));
            assert_false(skip_all(text, length, &offset));
            assert_false(check_all(text, length, &offset));
            assert_int_equal(offset, JSON_DEPTH_MAX * (objects != 0 ? 5 : 1));
        }
        /* the gate takes a smaller limit */
        length = nest(text, 3, objects != 0);
        assert_true(dk_json_check(text, length, 3, 9, &problem, &offset));
        assert_false(dk_json_check(text, length, 2, 9, &problem, &offset));
        assert_string_equal(problem, "nested too deeply");
    }
    /* depth is what is open, not what was */
    assert_true(check_all("[[[]],[[]],{\"a\":[]}]", 20, &offset));
}

static void test_json__values_are_counted_on_both_sides(void **state)
{
    (void)state;
    const char *text = "{\"a\":[1,2,{}],\"b\":null}"; /* six values */
    const char *problem = NULL;
    size_t offset = 0;
    assert_true(dk_json_check(text, strlen(text), 32, 6, &problem, &offset));
    assert_false(dk_json_check(text, strlen(text), 32, 5, &problem, &offset));
    assert_string_equal(problem, "too many values");
    assert_true(dk_json_check("1", 1, 0, 1, &problem, &offset));
    assert_false(dk_json_check("1", 1, 0, 0, &problem, &offset));
    assert_false(dk_json_check("[]", 2, 0, 1, &problem, &offset));
}

static void test_json__the_gate_takes_numbers_of_63_bytes(void **state)
{
    (void)state;
    char text[80];
    const char *problem = NULL;
    size_t offset = 0;
    memset(text, '7', sizeof text);
    assert_true(dk_json_check(text, 63, 32, 9, &problem, &offset));
    assert_false(dk_json_check(text, 64, 32, 9, &problem, &offset));
    assert_string_equal(problem, "a number of more than 63 characters");
    /* spaces and the comma before it do not count */
    memcpy(text, "[1 ,  ", 6);
    text[6 + 63] = ']';
    assert_true(dk_json_check(text, 6 + 63 + 1, 32, 9, &problem, &offset));
    text[6 + 63] = '7';
    text[6 + 64] = ']';
    assert_false(dk_json_check(text, 6 + 64 + 1, 32, 9, &problem, &offset));
    assert_int_equal(offset, 6);
}

static void test_json__many_keys_are_compared_by_bytes(void **state)
{
    (void)state;
    struct buffer text;
    const char *problem = NULL;
    size_t offset = 0;
    dk_buffer_init(&text, 1 << 20);
    dk_buffer_append_char(&text, '{');
    for (int i = 0; i < 20000; i++) {
        dk_buffer_append_text(&text, "\"field_");
        dk_buffer_append_int(&text, i);
        dk_buffer_append_text(&text, "\":{\"field_0\":1},");
    }
    size_t length = text.length;
    dk_buffer_append_text(&text, "\"Field_77\":1}");
    assert_true(dk_json_check(text.bytes, text.length, 32, 100000, &problem, &offset));
    text.bytes[length + 1] = 'f';
    assert_false(dk_json_check(text.bytes, text.length, 32, 100000, &problem, &offset));
    assert_int_equal(offset, length + 1);
    dk_buffer_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json__malformed_texts_are_refused_at_the_right_byte),
        cmocka_unit_test(test_json__good_texts_are_taken_and_their_cuts_are_not),
        cmocka_unit_test(test_json__changed_bytes_never_lead_astray),
        cmocka_unit_test(test_json__rows_are_read_value_by_value),
        cmocka_unit_test(test_json__skipping_goes_element_by_element),
        cmocka_unit_test(test_json__an_open_container_is_not_finished),
        cmocka_unit_test(test_json__depth_is_bounded_on_both_sides),
        cmocka_unit_test(test_json__values_are_counted_on_both_sides),
        cmocka_unit_test(test_json__the_gate_takes_numbers_of_63_bytes),
        cmocka_unit_test(test_json__many_keys_are_compared_by_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
