/* SPDX-License-Identifier: Apache-2.0
 *
 * Records given as JSON: strict, typed, all members or none; and query results as JSON.
 */
#include "tests/unit/api_world.h"

#define SOME_ID "0192d5a0-0000-7000-8000-000000000001"

static daybook_transaction *begin(struct world *world)
{
    daybook_transaction *transaction = NULL;
    device_must(daybook_begin(world->engine, &transaction), NULL);
    return transaction;
}

static void test_api_json__a_record_of_all_types(void **state)
{
    struct world *world = *state;
    daybook_transaction *transaction = begin(world);
    daybook_error error = DAYBOOK_ERROR_INIT;
    char id[DAYBOOK_ID_SIZE];
    static const char json[] =
        "{\"customer_id\":\"" SOME_ID "\",\"feedback\":\"货架 \\u7a7a\",\"plan_day\":20261121,"
        "\"checkin_ts\":\"1730968000123\",\"checkin_tz_min\":480,\"checkin_lat_e7\":312304000,"
        "\"checkin_lon_e7\":1214737000,\"checkin_acc_m\":8,\"checkin_mock\":false,"
        "\"participants\":[\"b\",\"a\"],\"custom\":{\"k\":\"v\",\"n\":1},\"doc_no\":null}";
    device_must(daybook_put_json(transaction, "visit", NULL, DAYBOOK_NEW, json, id, &error),
                &error);
    device_must(daybook_commit(transaction, &error), &error);
    daybook_end(&transaction);
    char *rows = NULL;
    device_must(daybook_query_json(world->engine,
                                   "SELECT id, feedback, plan_day, checkin_ts, checkin_lon_e7, "
                                   "checkin_mock, participants, custom, doc_no FROM visit",
                                   NULL, &rows, &error),
                &error);
    char expected[600];
    (void)snprintf(expected, sizeof expected,
                   "[{\"id\":\"%s\",\"feedback\":\"货架 空\",\"plan_day\":20261121,"
                   "\"checkin_ts\":1730968000123,\"checkin_lon_e7\":1214737000,\"checkin_mock\":0,"
                   "\"participants\":\"[\\\"a\\\",\\\"b\\\"]\","
                   "\"custom\":\"{\\\"k\\\":\\\"v\\\",\\\"n\\\":1}\",\"doc_no\":null}]",
                   id);
    assert_string_equal(rows, expected);
    daybook_free(rows);
}

static void test_api_json__what_is_not_strict_json_is_refused(void **state)
{
    struct world *world = *state;
    daybook_transaction *transaction = begin(world);
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "null",
        "\"text\"",
        "{\"name\":\"a\"} x",
        "{\"name\":\"a\",}",
        "{'name':'a'}",
        "{\"name\":\"a\",\"name\":\"b\"}",
        "{\"name\":\"a\\u0000b\"}",
        "{\"name\":\"a\tb\"}",
        "{\"name\":\"\xC3\"}",
        "{\"name\":\"\\ud800\"}",
        "\xEF\xBB\xBF{\"name\":\"a\"}",
        "{\"priority\":01}",
        "{\"priority\":1.}",
        "{\"priority\":+1}",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        daybook_error error = DAYBOOK_ERROR_INIT;
        daybook_status status =
            daybook_put_json(transaction, "customer", NULL, DAYBOOK_NEW, bad[i], NULL, &error);
        assert_int_equal(status, DAYBOOK_BAD_JSON);
        assert_int_equal(error.status, DAYBOOK_BAD_JSON);
        assert_non_null(strstr(error.text, "at byte"));
    }
    device_must(daybook_commit(transaction, NULL), NULL);
    daybook_end(&transaction);
    assert_int_equal(device_status(&world->device).pending, 0);
}

static void test_api_json__values_that_do_not_fit_are_named(void **state)
{
    struct world *world = *state;
    daybook_transaction *transaction = begin(world);
    static const struct {
        const char *entity, *json, *field;
        daybook_status status;
    } cases[] = {
        {"customer", "{\"nam\":\"a\"}", "nam", DAYBOOK_UNKNOWN_FIELD},
        {"customer", "{\"name\":1}", "name", DAYBOOK_WRONG_TYPE},
        {"customer", "{\"name\":true}", "name", DAYBOOK_WRONG_TYPE},
        {"customer", "{\"name\":[\"a\"]}", "name", DAYBOOK_WRONG_TYPE},
        {"customer", "{\"name\":{\"a\":1}}", "name", DAYBOOK_WRONG_TYPE},
        {"customer", "{\"tags\":\"a\"}", "tags", DAYBOOK_WRONG_TYPE},
        {"customer", "{\"tags\":{}}", "tags", DAYBOOK_WRONG_TYPE},
        {"customer", "{\"custom\":[]}", "custom", DAYBOOK_WRONG_TYPE},
        {"customer", "{\"tags\":[1]}", "tags", DAYBOOK_INVALID},
        {"customer", "{\"custom\":{\"a\":[1]}}", "custom", DAYBOOK_INVALID},
        {"customer", "{\"owner_id\":\"" SOME_ID "\"}", "owner_id", DAYBOOK_READONLY},
        {"customer", "{\"consent\":1}", "consent", DAYBOOK_WRONG_TYPE},
        {"customer", "{\"potential_bp\":1.5}", "potential_bp", DAYBOOK_WRONG_TYPE},
        {"customer", "{\"potential_bp\":\"5\"}", "potential_bp", DAYBOOK_WRONG_TYPE},
        {"customer", "{\"potential_bp\":3000000000}", "potential_bp", DAYBOOK_OUT_OF_RANGE},
        {"quote_line", "{\"qty\":9007199254740993}", "qty", DAYBOOK_OUT_OF_RANGE},
        {"quote_line", "{\"qty\":1e300}", "qty", DAYBOOK_OUT_OF_RANGE},
        {"quote_line", "{\"qty\":\"1.5\"}", "qty", DAYBOOK_WRONG_TYPE},
        {"quote_line", "{\"qty\":\"01\"}", "qty", DAYBOOK_WRONG_TYPE},
        {"quote_line", "{\"qty\":\"9223372036854775808\"}", "qty", DAYBOOK_WRONG_TYPE},
        {"quote_line", "{\"quote_id\":\"x\"}", "quote_id", DAYBOOK_INVALID},
        {"quote_line", "{\"amount\":5}", "amount", DAYBOOK_READONLY},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        daybook_error error = DAYBOOK_ERROR_INIT;
        assert_int_equal(daybook_put_json(transaction, cases[i].entity, NULL, DAYBOOK_NEW,
                                          cases[i].json, NULL, &error),
                         cases[i].status);
        assert_int_equal(error.status, cases[i].status);
        assert_string_equal(error.field, cases[i].field);
        assert_string_equal(error.entity, cases[i].entity);
    }
    /* int64 as a string and as a whole number, up to the last */
    device_must(daybook_put_json(transaction, "quote_line", NULL, DAYBOOK_NEW,
                                 "{\"qty\":9007199254740991,\"price_e4\":\"9223372036854775807\"}",
                                 NULL, NULL),
                NULL);
    daybook_end(&transaction);
}

static void test_api_json__all_members_or_none(void **state)
{
    struct world *world = *state;
    daybook_transaction *transaction = begin(world);
    daybook_record *record = NULL;
    const char *text;
    device_must(daybook_put(transaction, "customer", SOME_ID, DAYBOOK_NEW, &record), NULL);
    device_must(daybook_set_text(record, "name", "Wu"), NULL);
    /* when: the third member of a patch does not fit */
    assert_int_equal(daybook_patch_json(transaction, "customer", SOME_ID, DAYBOOK_ANY_VERSION,
                                        "{\"name\":\"Li\",\"kind\":\"shop\",\"consent\":\"maybe\"}",
                                        NULL),
                     DAYBOOK_WRONG_TYPE);
    /* then: the staged record is as before */
    device_must(daybook_get_text(record, "name", &text), NULL);
    assert_string_equal(text, "Wu");
    device_must(daybook_get_text(record, "kind", &text), NULL);
    assert_null(text);
    /* and one that was not staged before is not there */
    assert_int_equal(daybook_put_json(transaction, "customer", NULL, DAYBOOK_NEW,
                                      "{\"name\":\"Li\",\"consent\":\"maybe\"}", NULL, NULL),
                     DAYBOOK_WRONG_TYPE);
    device_must(daybook_commit(transaction, NULL), NULL);
    daybook_end(&transaction);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM customer"), 1);
}

static void test_api_json__a_patch_names_single_keys_of_custom(void **state)
{
    struct world *world = *state;
    daybook_error error = DAYBOOK_ERROR_INIT;
    daybook_transaction *transaction = begin(world);
    device_must(daybook_put_json(transaction, "customer", SOME_ID, DAYBOOK_NEW,
                                 "{\"name\":\"Wu\",\"custom\":{\"a\":1,\"b\":2},"
                                 "\"tags\":[\"x\",\"y\"]}",
                                 NULL, &error),
                &error);
    device_must(daybook_commit(transaction, &error), &error);
    daybook_end(&transaction);
    transaction = begin(world);
    device_must(daybook_patch_json(transaction, "customer", SOME_ID, DAYBOOK_ANY_VERSION,
                                   "{\"custom\":{\"b\":null,\"c\":3},\"tags\":[\"y\",\"z\"]}",
                                   &error),
                &error);
    device_must(daybook_commit(transaction, &error), &error);
    daybook_end(&transaction);
    assert_string_equal(device_text(&world->device, "SELECT custom FROM customer"),
                        "{\"a\":1,\"c\":3}");
    assert_string_equal(device_text(&world->device, "SELECT tags FROM customer"), "[\"y\",\"z\"]");
    /* a replacement has the whole map */
    transaction = begin(world);
    device_must(daybook_put_json(transaction, "customer", SOME_ID, DAYBOOK_ANY_VERSION,
                                 "{\"name\":\"Wu\",\"custom\":{\"d\":4}}", NULL, &error),
                &error);
    device_must(daybook_commit(transaction, &error), &error);
    daybook_end(&transaction);
    assert_string_equal(device_text(&world->device, "SELECT custom FROM customer"), "{\"d\":4}");
    assert_string_equal(device_text(&world->device, "SELECT tags FROM customer"), "");
}

static void test_api_json__query_results(void **state)
{
    struct world *world = *state;
    char *json = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    device_must(daybook_query_json(world->engine,
                                   "SELECT 1 AS a, 9007199254740991 AS b, 9007199254740992 AS c, "
                                   "1.5 AS d, 9e999 AS e, NULL AS f, 'q\"' AS g, "
                                   "x'0192d5a0000070008000000000000001' AS h, x'0aff' AS i",
                                   NULL, &json, &error),
                &error);
    assert_string_equal(
        json, "[{\"a\":1,\"b\":9007199254740991,\"c\":\"9007199254740992\",\"d\":1.5,"
              "\"e\":null,\"f\":null,\"g\":\"q\\\"\",\"h\":\"" SOME_ID "\",\"i\":\"0aff\"}]");
    daybook_free(json);
    device_must(daybook_query_json(world->engine, "SELECT ?1 AS a, ?2 AS b, ?3 AS c",
                                   "[\"x\", -5, null]", &json, &error),
                &error);
    assert_string_equal(json, "[{\"a\":\"x\",\"b\":-5,\"c\":null}]");
    daybook_free(json);
    device_must(daybook_query_json(world->engine, "SELECT id FROM customer", "[]", &json, &error),
                &error);
    assert_string_equal(json, "[]");
    daybook_free(json);
    static const struct {
        const char *parameters;
        daybook_status status;
    } bad[] = {
        {"[1,2]", DAYBOOK_INVALID},    {"{}", DAYBOOK_BAD_JSON},       {"[", DAYBOOK_BAD_JSON},
        {"[1.5]", DAYBOOK_WRONG_TYPE}, {"[true]", DAYBOOK_WRONG_TYPE}, {"[[]]", DAYBOOK_WRONG_TYPE},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        json = (char *)1;
        assert_int_equal(
            daybook_query_json(world->engine, "SELECT ?1", bad[i].parameters, &json, &error),
            bad[i].status);
        assert_int_equal(error.status, bad[i].status);
        assert_null(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(test_api_json__a_record_of_all_types),
        API_TEST(test_api_json__what_is_not_strict_json_is_refused),
        API_TEST(test_api_json__values_that_do_not_fit_are_named),
        API_TEST(test_api_json__all_members_or_none),
        API_TEST(test_api_json__a_patch_names_single_keys_of_custom),
        API_TEST(test_api_json__query_results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
