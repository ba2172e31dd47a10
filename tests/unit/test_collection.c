/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets and maps: one canonical text for one content, changes that lead from any value to any other,
 * limits, and nothing lost when memory runs out.
 */
#include "engine/protocol/collection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct field set_field = {
    .name = "tags", .type = FIELD_SET, .policy = POLICY_SET, .target = -1};
static const struct field map_field = {.name = "custom", .type = FIELD_MAP, .target = -1};

/* A NUL-terminated text as a value; NULL: no value. */
static struct value text(const char *json)
{
    struct value value = {.kind = json == NULL ? VALUE_NULL : VALUE_TEXT};
    value.length = json == NULL ? 0 : (uint32_t)strlen(json);
    value.text = json;
    return value;
}

/* The value has this text; NULL: none. */
static void assert_text(const struct value *value, const char *json)
{
    if (json == NULL) {
        assert_int_equal(value->kind, VALUE_NULL);
        return;
    }
    assert_int_equal(value->kind, VALUE_TEXT);
    if (value->length != strlen(json) || memcmp(value->text, json, value->length) != 0) {
        fail_msg("%.*s is not %s", (int)value->length, value->text, json);
    }
}

/* Reads JSON in a form; true with *value, or false with *refusal. */
static bool read_json(const struct field *field, enum collection_form form, const char *json,
                      struct arena *arena, struct value *value, struct refusal *refusal)
{
    *refusal = (struct refusal){0, NULL, NULL};
    return dk_collection_read(field, form, json, strlen(json), arena, value, refusal);
}

static void test_collection__one_content_has_one_text(void **state)
{
    (void)state;
    static const struct {
        const struct field *field;
        enum collection_form form;
        const char *json, *canonical;
    } cases[] = {
        {&set_field, COLLECTION_WHOLE, "[ \"b\" , \"a\",\"b\" ]", "[\"a\",\"b\"]"},
        {&set_field, COLLECTION_WHOLE, "[\"\\u0062\",\"\\u4e2d\",\"a\\/\"]",
         "[\"a/\",\"b\",\"中\"]"},
        {&set_field, COLLECTION_WHOLE, "[\"ab\",\"a\",\"B\"]", "[\"B\",\"a\",\"ab\"]"},
        {&set_field, COLLECTION_WHOLE, "[]", NULL},
        {&set_field, COLLECTION_CHANGE, "[\"b\",\"a\"]", "[\"a\",\"b\"]"},
        {&set_field, COLLECTION_CHANGE, "{\"remove\":[\"z\",\"y\"],\"add\":[\"b\",\"a\"]}",
         "{\"add\":[\"a\",\"b\"],\"remove\":[\"y\",\"z\"]}"},
        {&set_field, COLLECTION_CHANGE, "{\"remove\":[\"z\"]}", "{\"remove\":[\"z\"]}"},
        {&set_field, COLLECTION_CHANGE, "{\"add\":[]}", "{}"},
        {&map_field, COLLECTION_WHOLE, "{ \"b\" : 2 , \"a\" : \"x\\u0041\" }",
         "{\"a\":\"xA\",\"b\":2}"},
        {&map_field, COLLECTION_WHOLE, "{\"t\":true,\"f\":false,\"n\":-9007199254740991}",
         "{\"f\":false,\"n\":-9007199254740991,\"t\":true}"},
        {&map_field, COLLECTION_WHOLE, "{}", NULL},
        {&map_field, COLLECTION_CHANGE, "{\"b\":null,\"a\":\"\\n\"}", "{\"a\":\"\\n\",\"b\":null}"},
        {&map_field, COLLECTION_CHANGE, "{}", "{}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena;
        struct value value;
        struct refusal refusal;
        dk_arena_init(&arena, 1 << 20);
        assert_true(
            read_json(cases[i].field, cases[i].form, cases[i].json, &arena, &value, &refusal));
        assert_text(&value, cases[i].canonical);
        dk_arena_clear(&arena);
    }
}

static void test_collection__what_is_none_is_refused_with_its_rule(void **state)
{
    (void)state;
    static const struct {
        const struct field *field;
        enum collection_form form;
        const char *json, *rule;
    } cases[] = {
        {&set_field, COLLECTION_WHOLE, "{\"add\":[\"a\"]}", "set"},
        {&set_field, COLLECTION_WHOLE, "[1]", "set"},
        {&set_field, COLLECTION_WHOLE, "[\"\"]", "set"},
        {&set_field, COLLECTION_WHOLE, "[[\"a\"]]", "set"},
        {&set_field, COLLECTION_WHOLE, "[\"a\",null]", "set"},
        {&set_field, COLLECTION_WHOLE, "[1.5]", "set"},
        {&set_field, COLLECTION_CHANGE, "{\"add\":[\"a\"],\"remove\":[\"a\"]}", "set"},
        {&set_field, COLLECTION_CHANGE, "{\"plus\":[\"a\"]}", "set"},
        {&set_field, COLLECTION_CHANGE, "{\"add\":[\"a\"],\"add\":[\"b\"]}", "set"},
        {&set_field, COLLECTION_CHANGE, "{\"add\":\"a\"}", "set"},
        {&map_field, COLLECTION_WHOLE, "[\"a\"]", "map"},
        {&map_field, COLLECTION_WHOLE, "{\"a\":null}", "map"},
        {&map_field, COLLECTION_WHOLE, "{\"a\":1.5}", "map"},
        {&map_field, COLLECTION_WHOLE, "{\"a\":1e2}", "map"},
        {&map_field, COLLECTION_WHOLE, "{\"a\":9007199254740992}", "map"},
        {&map_field, COLLECTION_WHOLE, "{\"a\":-0}", "map"},
        {&map_field, COLLECTION_WHOLE, "{\"a\":[]}", "map"},
        {&map_field, COLLECTION_WHOLE, "{\"a\":{}}", "map"},
        {&map_field, COLLECTION_CHANGE, "{\"a\":1,\"\\u0061\":2}", "map"},
        {&map_field, COLLECTION_WHOLE, "{\"\":1}", "key"},
        {&map_field, COLLECTION_WHOLE, "{\"a\\\"b\":1}", "key"},
        {&map_field, COLLECTION_WHOLE, "{\"a\\\\b\":1}", "key"},
        {&map_field, COLLECTION_WHOLE, "{\"a\\nb\":1}", "key"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena;
        struct value value;
        struct refusal refusal;
        dk_arena_init(&arena, 1 << 20);
        if (read_json(cases[i].field, cases[i].form, cases[i].json, &arena, &value, &refusal)) {
            fail_msg("%s is read", cases[i].json);
        }
        assert_string_equal(refusal.rule, cases[i].rule);
        assert_int_equal(refusal.code, REJECT_SCHEMA);
        assert_string_equal(refusal.field, cases[i].field->name);
        dk_arena_clear(&arena);
    }
}

/* `count` elements or keys of `size` bytes: ["0001xx…",…] or {"0001xx…":1,…}. The caller frees. */
static char *many(bool is_map, int count, int size)
{
    size_t room = (size_t)count * ((size_t)size + 8) + 8;
    char *json = malloc(room);
    assert_non_null(json);
    size_t used = 0;
    json[used++] = is_map ? '{' : '[';
    for (int i = 0; i < count; i++) {
        char text_[300];
        memset(text_, 'x', sizeof text_);
        (void)snprintf(text_, sizeof text_, "%04d", i);
        text_[4] = 'x';
        used += (size_t)snprintf(json + used, room - used, "%s\"%.*s\"%s", i == 0 ? "" : ",", size,
                                 text_, is_map ? ":1" : "");
    }
    json[used++] = is_map ? '}' : ']';
    json[used] = '\0';
    return json;
}

/* Reads so many elements of such a size; the rule of the refusal, or "fine". */
static const char *read_many(const struct field *field, int count, int size)
{
    struct arena arena;
    struct value value;
    struct refusal refusal;
    char *json = many(field->type == FIELD_MAP, count, size);
    dk_arena_init(&arena, 1 << 24);
    bool fine = read_json(field, COLLECTION_WHOLE, json, &arena, &value, &refusal);
    /* what is read passes the check for values of apps, too */
    assert_true(!fine || dk_collection_check(field, value.text, value.length, &refusal));
    dk_arena_clear(&arena);
    free(json);
    return fine ? "fine" : refusal.rule;
}

static void test_collection__limits_are_kept(void **state)
{
    (void)state;
    assert_string_equal(read_many(&set_field, LIMIT_SET_ELEMENTS, 10), "fine");
    assert_string_equal(read_many(&set_field, LIMIT_SET_ELEMENTS + 1, 10), "elements");
    assert_string_equal(read_many(&set_field, 3, LIMIT_SET_ELEMENT_BYTES), "fine");
    assert_string_equal(read_many(&set_field, 3, LIMIT_SET_ELEMENT_BYTES + 1), "length");
    assert_string_equal(read_many(&map_field, LIMIT_CUSTOM_KEYS, 10), "fine");
    assert_string_equal(read_many(&map_field, LIMIT_CUSTOM_KEYS + 1, 10), "keys");
    assert_string_equal(read_many(&map_field, 3, LIMIT_CUSTOM_KEY_BYTES), "fine");
    assert_string_equal(read_many(&map_field, 3, LIMIT_CUSTOM_KEY_BYTES + 1), "key");
}

/* A map of one key whose canonical text has this length. */
static bool map_of_length_is_read(size_t length)
{
    struct arena arena;
    struct value value;
    struct refusal refusal;
    char *json = malloc(length + 1);
    assert_non_null(json);
    memset(json, 'x', length);
    memcpy(json, "{\"a\":\"", 6);
    memcpy(json + length - 2, "\"}", 3);
    dk_arena_init(&arena, 1 << 20);
    bool fine = read_json(&map_field, COLLECTION_WHOLE, json, &arena, &value, &refusal);
    assert_true(fine || (refusal.code == REJECT_LIMIT && strcmp(refusal.rule, "bytes") == 0));
    dk_arena_clear(&arena);
    free(json);
    return fine;
}

static void test_collection__a_map_has_a_size(void **state)
{
    (void)state;
    assert_true(map_of_length_is_read(LIMIT_CUSTOM_BYTES));
    assert_false(map_of_length_is_read(LIMIT_CUSTOM_BYTES + 1));
}

static void test_collection__only_canonical_text_passes_the_check(void **state)
{
    (void)state;
    static const struct {
        const struct field *field;
        const char *json;
        bool fine;
    } cases[] = {
        {&set_field, "[\"a\",\"b\"]", true},
        {&set_field, "[\"b\",\"a\"]", false},
        {&set_field, "[\"a\", \"b\"]", false},
        {&set_field, "[\"a\",\"a\"]", false},
        {&set_field, "[]", false},
        {&set_field, "[\"a\"", false},
        {&set_field, "[\"a\"]x", false},
        {&set_field, "[\"\\u0061\"]", false},
        {&set_field, "", false},
        {&map_field, "{\"a\":1}", true},
        {&map_field, "{\"b\":1,\"a\":1}", false},
        {&map_field, "{}", false},
        {&map_field, "{\"a\":null}", false},
        {&map_field, "{\"a\":1,\"a\":1}", false},
        {&map_field, "{\"a\":01}", false},
        {&map_field, "x", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct refusal refusal = {0, NULL, NULL};
        bool fine =
            dk_collection_check(cases[i].field, cases[i].json, strlen(cases[i].json), &refusal);
        if (fine != cases[i].fine) {
            fail_msg("%s: %d", cases[i].json, fine);
        }
        assert_int_equal(fine, refusal.code == 0);
    }
}

static void test_collection__changes_apply_to_sets(void **state)
{
    (void)state;
    static const struct {
        const char *stored, *change, *result;
    } cases[] = {
        {NULL, "{\"add\":[\"b\",\"a\"]}", "[\"a\",\"b\"]"},
        {"[\"a\",\"c\"]", "{\"add\":[\"b\"],\"remove\":[\"c\"]}", "[\"a\",\"b\"]"},
        {"[\"a\"]", "{\"remove\":[\"a\",\"z\"]}", NULL},
        {"[\"a\"]", "{\"add\":[\"a\"]}", "[\"a\"]"},
        {"[\"a\"]", "{}", "[\"a\"]"},
        {"[\"a\"]", "[\"x\"]", "[\"x\"]"}, /* a whole set replaces */
        {"[\"a\"]", NULL, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena;
        struct value stored = text(cases[i].stored), change = text(cases[i].change), result;
        dk_arena_init(&arena, 1 << 20);
        assert_true(dk_set_apply(&stored, &change, &arena, &result));
        assert_text(&result, cases[i].result);
        dk_arena_clear(&arena);
    }
}

static void test_collection__changes_apply_to_maps(void **state)
{
    (void)state;
    static const struct {
        const char *stored, *change, *result;
    } cases[] = {
        {NULL, "{\"b\":1,\"a\":\"x\"}", "{\"a\":\"x\",\"b\":1}"},
        {"{\"a\":1,\"b\":2}", "{\"a\":null,\"c\":true}", "{\"b\":2,\"c\":true}"},
        {"{\"a\":1}", "{\"a\":\"1\"}", "{\"a\":\"1\"}"},
        {"{\"a\":1}", "{\"a\":null,\"z\":null}", NULL},
        {"{\"a\":1}", "{}", "{\"a\":1}"},
        {"{\"a\":1}", NULL, "{\"a\":1}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena;
        struct value stored = text(cases[i].stored), change = text(cases[i].change), result;
        dk_arena_init(&arena, 1 << 20);
        assert_true(dk_map_apply(&stored, &change, &arena, &result));
        assert_text(&result, cases[i].result);
        dk_arena_clear(&arena);
    }
}

static void test_collection__a_change_past_a_limit_does_not_apply(void **state)
{
    (void)state;
    struct arena arena;
    struct value result;
    char *full_set = many(false, LIMIT_SET_ELEMENTS, 10),
         *full_map = many(true, LIMIT_CUSTOM_KEYS, 10);
    struct value set = text(full_set), map = text(full_map);
    struct value add = text("{\"add\":[\"zz\"]}"),
                 swap = text("{\"add\":[\"zz\"],\"remove\":[\"0000xxxxxx\"]}");
    struct value put = text("{\"zz\":1}"), exchange = text("{\"0000xxxxxx\":null,\"zz\":1}");
    dk_arena_init(&arena, 1 << 20);
    assert_false(dk_set_apply(&set, &add, &arena, &result));
    assert_true(dk_set_apply(&set, &swap, &arena, &result));
    assert_false(dk_map_apply(&map, &put, &arena, &result));
    assert_true(dk_map_apply(&map, &exchange, &arena, &result));
    assert_false(arena.failed);
    dk_arena_clear(&arena);
    free(full_set);
    free(full_map);
}

static void test_collection__what_was_said_goes_along(void **state)
{
    (void)state;
    static const struct {
        bool is_set;
        const char *change, *said, *to, *result;
    } cases[] = {
        {true, "{}", "{\"add\":[\"a\"]}", "[\"a\"]", "{\"add\":[\"a\"]}"},
        {true, "{\"add\":[\"b\"]}", "{\"add\":[\"a\"],\"remove\":[\"c\"]}", "[\"a\",\"b\"]",
         "{\"add\":[\"a\",\"b\"],\"remove\":[\"c\"]}"},
        {true, "{}", "{\"add\":[\"a\"]}", NULL, "{\"remove\":[\"a\"]}"},
        {true, "{}", "{\"remove\":[\"a\"]}", "[\"a\"]", "{\"add\":[\"a\"]}"},
        {false, "{}", "{\"a\":1}", "{\"a\":1}", "{\"a\":1}"},
        {false, "{\"b\":2}", "{\"a\":1,\"c\":null}", "{\"a\":3,\"b\":2}",
         "{\"a\":3,\"b\":2,\"c\":null}"},
        {false, "{}", "{\"a\":1}", NULL, "{\"a\":null}"},
        {false, "{}", "{\"a\":null}", "{\"a\":\"x\"}", "{\"a\":\"x\"}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena;
        struct value change = text(cases[i].change), said = text(cases[i].said), result;
        struct value to = text(cases[i].to);
        dk_arena_init(&arena, 1 << 20);
        assert_true(cases[i].is_set ? dk_set_insist(&change, &said, &to, &arena, &result)
                                    : dk_map_insist(&change, &said, &to, &arena, &result));
        assert_text(&result, cases[i].result);
        dk_arena_clear(&arena);
    }
}

static void test_collection__a_difference_leads_from_one_to_the_other(void **state)
{
    (void)state;
    static const char *const sets[] = {
        NULL, "[\"a\"]", "[\"b\"]", "[\"a\",\"b\",\"c\"]", "[\"a\",\"中\"]", "[\"c\",\"d\"]"};
    static const char *const maps[] = {NULL,
                                       "{\"a\":1}",
                                       "{\"a\":\"1\"}",
                                       "{\"a\":true,\"b\":false}",
                                       "{\"b\":-1,\"c\":\"x\\ny\"}",
                                       "{\"a\":2,\"b\":2,\"c\":2}"};
    for (size_t i = 0; i < COUNT(sets); i++) {
        for (size_t j = 0; j < COUNT(sets); j++) {
            struct arena arena;
            struct value from = text(sets[i]), to = text(sets[j]), change, result;
            dk_arena_init(&arena, 1 << 20);
            assert_true(dk_set_difference(&from, &to, &arena, &change));
            assert_true(dk_set_apply(&from, &change, &arena, &result));
            assert_text(&result, sets[j]);
            assert_true((i == j) == (change.length == 2));
            from = text(maps[i]);
            to = text(maps[j]);
            assert_true(dk_map_difference(&from, &to, &arena, &change));
            assert_true(dk_map_apply(&from, &change, &arena, &result));
            assert_text(&result, maps[j]);
            assert_true((i == j) == (change.length == 2));
            dk_arena_clear(&arena);
        }
    }
}

static void test_collection__the_keys_of_a_map_are_walked(void **state)
{
    (void)state;
    struct value map = text("{\"a\":1,\"b\":\"x,}\\\"{\",\"c\":{\"d\":[1,\"]\"]},\"e\":null}");
    static const char *const expected[][2] = {
        {"a", "1"}, {"b", "\"x,}\\\"{\""}, {"c", "{\"d\":[1,\"]\"]}"}, {"e", "null"}};
    const char *key, *raw;
    size_t key_length, raw_length, cursor = 0;
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_true(dk_map_next(&map, &cursor, &key, &key_length, &raw, &raw_length));
        assert_int_equal(key_length, strlen(expected[i][0]));
        assert_memory_equal(key, expected[i][0], key_length);
        assert_int_equal(raw_length, strlen(expected[i][1]));
        assert_memory_equal(raw, expected[i][1], raw_length);
    }
    assert_false(dk_map_next(&map, &cursor, &key, &key_length, &raw, &raw_length));
    struct value none = text(NULL), empty = text("{}");
    cursor = 0;
    assert_false(dk_map_next(&none, &cursor, &key, &key_length, &raw, &raw_length));
    cursor = 0;
    assert_false(dk_map_next(&empty, &cursor, &key, &key_length, &raw, &raw_length));
}

static void test_collection__without_memory_nothing_comes_out(void **state)
{
    (void)state;
    struct value set = text("[\"a\"]"), sets = text("[\"a\",\"b\"]");
    struct value map = text("{\"a\":1}"), maps = text("{\"b\":1}");
    static const char *const expected[] = {"{\"add\":[\"b\"]}", "[\"a\",\"b\"]",
                                           "{\"a\":null,\"b\":1}", "{\"b\":1}"};
    for (int call = 0; call < 4; call++) {
        bool done = false;
        for (size_t size = 0; !done; size += 16) {
            struct arena arena;
            struct value step = text(call < 2 ? expected[0] : expected[2]), result = text(NULL);
            dk_arena_init(&arena, size);
            done = call == 0   ? dk_set_difference(&set, &sets, &arena, &result)
                   : call == 1 ? dk_set_apply(&set, &step, &arena, &result)
                   : call == 2 ? dk_map_difference(&map, &maps, &arena, &result)
                               : dk_map_apply(&map, &step, &arena, &result);
            assert_true(done != arena.failed);
            assert_text(&result, done ? expected[call] : NULL);
            dk_arena_clear(&arena);
            assert_true(size < 10000);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_collection__one_content_has_one_text),
        cmocka_unit_test(test_collection__what_is_none_is_refused_with_its_rule),
        cmocka_unit_test(test_collection__limits_are_kept),
        cmocka_unit_test(test_collection__a_map_has_a_size),
        cmocka_unit_test(test_collection__only_canonical_text_passes_the_check),
        cmocka_unit_test(test_collection__changes_apply_to_sets),
        cmocka_unit_test(test_collection__changes_apply_to_maps),
        cmocka_unit_test(test_collection__a_change_past_a_limit_does_not_apply),
        cmocka_unit_test(test_collection__what_was_said_goes_along),
        cmocka_unit_test(test_collection__a_difference_leads_from_one_to_the_other),
        cmocka_unit_test(test_collection__the_keys_of_a_map_are_walked),
        cmocka_unit_test(test_collection__without_memory_nothing_comes_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
