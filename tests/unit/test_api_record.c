/* SPDX-License-Identifier: Apache-2.0
 *
 * Typed setters and getters: each refusal by name, and nothing staged by it.
 */
#include "tests/unit/api_world.h"

#define SOME_ID "0192d5a0-0000-7000-8000-000000000001"

/* A transaction with a new record of this entity. */
static daybook_record *begin_record(struct world *world, const char *entity,
                                    daybook_transaction **transaction)
{
    daybook_record *record = NULL;
    device_must(daybook_begin(world->engine, transaction), NULL);
    device_must(daybook_put(*transaction, entity, NULL, DAYBOOK_NEW, &record), NULL);
    return record;
}

/* Expects that the call before has failed at this field for this rule. */
static void failed_at(daybook_transaction *transaction, daybook_status status, const char *entity,
                      const char *field, const char *rule)
{
    daybook_error error = DAYBOOK_ERROR_INIT;
    daybook_transaction_error(transaction, &error);
    assert_int_equal(error.status, status);
    assert_string_equal(error.entity, entity);
    assert_string_equal(error.field, field);
    assert_string_equal(error.rule, rule);
    assert_true(strlen(error.text) > 0);
    assert_false(error.retryable);
}

static void test_api_record__what_was_set_is_read_back(void **state)
{
    struct world *world = *state;
    daybook_transaction *transaction = NULL;
    daybook_record *visit = begin_record(world, "visit", &transaction);
    const char *text;
    int64_t number;
    bool is_null;
    device_must(daybook_set_text(visit, "feedback", "货架空了一半。"), NULL);
    device_must(daybook_set_int(visit, "plan_day", 20261121), NULL);
    device_must(daybook_set_int(visit, "checkin_ts", INT64_C(1730968000123)), NULL);
    device_must(daybook_set_bool(visit, "checkin_mock", true), NULL);
    device_must(daybook_set_id(visit, "customer_id", SOME_ID), NULL);
    device_must(daybook_get_text(visit, "feedback", &text), NULL);
    assert_string_equal(text, "货架空了一半。");
    device_must(daybook_get_int(visit, "plan_day", &number, &is_null), NULL);
    assert_int_equal(number, 20261121);
    assert_false(is_null);
    device_must(daybook_get_int(visit, "checkin_ts", &number, NULL), NULL);
    assert_int_equal(number, INT64_C(1730968000123));
    device_must(daybook_get_int(visit, "checkin_mock", &number, NULL), NULL);
    assert_int_equal(number, 1);
    device_must(daybook_get_text(visit, "customer_id", &text), NULL);
    assert_string_equal(text, SOME_ID);
    /* the same text again, and the text after another set */
    device_must(daybook_set_text(visit, "feedback", "再来"), NULL);
    device_must(daybook_get_text(visit, "feedback", &text), NULL);
    assert_string_equal(text, "再来");
    device_must(daybook_set_null(visit, "feedback"), NULL);
    device_must(daybook_get_text(visit, "feedback", &text), NULL);
    assert_null(text);
    device_must(daybook_get_int(visit, "checkout_ts", &number, &is_null), NULL);
    assert_true(is_null);
    assert_int_equal(number, 0);
    assert_int_equal(strlen(daybook_record_id(visit)), 36);
    assert_int_equal(daybook_record_version(visit), DAYBOOK_NEW);
    daybook_end(&transaction);
}

static void test_api_record__every_refusal_is_named(void **state)
{
    struct world *world = *state;
    daybook_transaction *transaction = NULL;
    daybook_record *visit = begin_record(world, "visit", &transaction);
    char long_text[4002 + 1];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';

    assert_int_equal(daybook_set_text(visit, "fedback", "x"), DAYBOOK_UNKNOWN_FIELD);
    failed_at(transaction, DAYBOOK_UNKNOWN_FIELD, "visit", "fedback", "");
    assert_int_equal(daybook_set_int(visit, "feedback", 1), DAYBOOK_WRONG_TYPE);
    failed_at(transaction, DAYBOOK_WRONG_TYPE, "visit", "feedback", "type");
    assert_int_equal(daybook_set_text(visit, "checkin_ts", "1"), DAYBOOK_WRONG_TYPE);
    assert_int_equal(daybook_set_text(visit, "participants", "x"), DAYBOOK_WRONG_TYPE);
    assert_int_equal(daybook_set_text(visit, "customer_id", SOME_ID), DAYBOOK_WRONG_TYPE);
    assert_int_equal(daybook_set_id(visit, "feedback", SOME_ID), DAYBOOK_WRONG_TYPE);
    assert_int_equal(daybook_set_int(visit, "checkin_mock", 1), DAYBOOK_WRONG_TYPE);
    assert_int_equal(daybook_set_bool(visit, "plan_day", true), DAYBOOK_WRONG_TYPE);
    assert_int_equal(daybook_set_add(visit, "feedback", "x"), DAYBOOK_WRONG_TYPE);
    assert_int_equal(daybook_set_int(visit, "plan_day", 20260230), DAYBOOK_OUT_OF_RANGE);
    failed_at(transaction, DAYBOOK_OUT_OF_RANGE, "visit", "plan_day", "day");
    assert_int_equal(daybook_set_int(visit, "checkin_lat_e7", 900000001), DAYBOOK_OUT_OF_RANGE);
    failed_at(transaction, DAYBOOK_OUT_OF_RANGE, "visit", "checkin_lat_e7", "range");
    assert_int_equal(daybook_set_int(visit, "checkin_acc_m", INT64_C(1) << 40),
                     DAYBOOK_OUT_OF_RANGE);
    assert_int_equal(daybook_set_text(visit, "feedback", long_text), DAYBOOK_TOO_LONG);
    failed_at(transaction, DAYBOOK_TOO_LONG, "visit", "feedback", "length");
    assert_int_equal(daybook_set_text(visit, "feedback", "a\xC3"), DAYBOOK_NOT_UTF8);
    failed_at(transaction, DAYBOOK_NOT_UTF8, "visit", "feedback", "utf8");
    assert_int_equal(daybook_set_text(visit, "feedback", "\xED\xA0\x80"), DAYBOOK_NOT_UTF8);
    assert_int_equal(daybook_set_text(visit, "status", "asleep"), DAYBOOK_INVALID);
    failed_at(transaction, DAYBOOK_INVALID, "visit", "status", "choice");
    assert_int_equal(daybook_set_id(visit, "customer_id", "0192"), DAYBOOK_INVALID);
    failed_at(transaction, DAYBOOK_INVALID, "visit", "customer_id", "id");
    assert_int_equal(daybook_set_bool(visit, "effective", true), DAYBOOK_READONLY);
    failed_at(transaction, DAYBOOK_READONLY, "visit", "effective", "server");
    assert_int_equal(daybook_set_int(visit, "created_ts", 1), DAYBOOK_READONLY);
    assert_int_equal(daybook_set_text(visit, NULL, "x"), DAYBOOK_MISUSE);
    assert_int_equal(daybook_set_text(visit, "feedback", NULL), DAYBOOK_MISUSE);

    /* then: nothing of all this was staged */
    const char *text;
    device_must(daybook_get_text(visit, "feedback", &text), NULL);
    assert_null(text);
    device_must(daybook_get_text(visit, "status", &text), NULL);
    assert_null(text);
    daybook_end(&transaction);
}

static void test_api_record__limits_from_both_sides(void **state)
{
    struct world *world = *state;
    daybook_transaction *transaction = NULL;
    daybook_record *visit = begin_record(world, "visit", &transaction);
    /* 4,000 code points of three bytes each */
    char text[4001 * 3 + 1];
    for (size_t i = 0; i < 4001; i++) {
        memcpy(text + 3 * i, "\xE8\xB4\xA7", 3);
    }
    text[4001 * 3] = '\0';
    assert_int_equal(daybook_set_text(visit, "feedback", text), DAYBOOK_TOO_LONG);
    text[4000 * 3] = '\0';
    assert_int_equal(daybook_set_text(visit, "feedback", text), DAYBOOK_OK);
    assert_int_equal(daybook_set_int(visit, "checkin_lat_e7", 900000000), DAYBOOK_OK);
    assert_int_equal(daybook_set_int(visit, "checkin_lat_e7", -900000000), DAYBOOK_OK);
    assert_int_equal(daybook_set_int(visit, "checkin_lat_e7", -900000001), DAYBOOK_OUT_OF_RANGE);
    int64_t number;
    device_must(daybook_get_int(visit, "checkin_lat_e7", &number, NULL), NULL);
    assert_int_equal(number, -900000000);
    daybook_end(&transaction);
    daybook_record *line = begin_record(world, "quote_line", &transaction);
    assert_int_equal(daybook_set_int(line, "price_e4", INT64_MAX), DAYBOOK_OK);
    assert_int_equal(daybook_set_int(line, "price_e4", INT64_MIN), DAYBOOK_OK);
    assert_int_equal(daybook_set_int(line, "disc_bp", 10000), DAYBOOK_OK);
    assert_int_equal(daybook_set_int(line, "disc_bp", 10001), DAYBOOK_OUT_OF_RANGE);
    daybook_end(&transaction);
}

static void test_api_record__sets_add_and_remove(void **state)
{
    struct world *world = *state;
    daybook_transaction *transaction = NULL;
    daybook_record *customer = begin_record(world, "customer", &transaction);
    const char *text;
    device_must(daybook_set_add(customer, "tags", "north"), NULL);
    device_must(daybook_set_add(customer, "tags", "gold"), NULL);
    device_must(daybook_set_add(customer, "tags", "gold"), NULL);
    device_must(daybook_set_remove(customer, "tags", "never there"), NULL);
    device_must(daybook_get_text(customer, "tags", &text), NULL);
    assert_string_equal(text, "[\"gold\",\"north\"]");
    device_must(daybook_set_remove(customer, "tags", "north"), NULL);
    device_must(daybook_set_add(customer, "tags", "quote \" and \\ back"), NULL);
    device_must(daybook_get_text(customer, "tags", &text), NULL);
    assert_string_equal(text, "[\"gold\",\"quote \\\" and \\\\ back\"]");
    device_must(daybook_set_null(customer, "tags"), NULL);
    device_must(daybook_get_text(customer, "tags", &text), NULL);
    assert_null(text);
    /* refusals */
    char element[300];
    memset(element, 'e', sizeof element);
    element[201] = '\0';
    assert_int_equal(daybook_set_add(customer, "tags", element), DAYBOOK_TOO_LONG);
    element[200] = '\0';
    assert_int_equal(daybook_set_add(customer, "tags", element), DAYBOOK_OK);
    assert_int_equal(daybook_set_add(customer, "tags", ""), DAYBOOK_INVALID);
    assert_int_equal(daybook_set_add(customer, "tags", "\xFF"), DAYBOOK_NOT_UTF8);
    for (int i = 0; i < 199; i++) {
        (void)snprintf(element, sizeof element, "e%d", i);
        device_must(daybook_set_add(customer, "tags", element), NULL);
    }
    assert_int_equal(daybook_set_add(customer, "tags", "one too many"), DAYBOOK_TOO_LARGE);
    failed_at(transaction, DAYBOOK_TOO_LARGE, "customer", "tags", "elements");
    daybook_end(&transaction);
}

static void test_api_record__custom_keys(void **state)
{
    struct world *world = *state;
    daybook_transaction *transaction = NULL;
    daybook_record *customer = begin_record(world, "customer", &transaction);
    const char *text;
    device_must(daybook_set_custom(customer, "vip", "true"), NULL);
    device_must(daybook_set_custom(customer, "floor", " 3 "), NULL);
    device_must(daybook_set_custom(customer, "note", "\"hi \\u4f60\""), NULL);
    device_must(daybook_set_custom(customer, "gone", "1"), NULL);
    device_must(daybook_set_custom(customer, "gone", "null"), NULL);
    device_must(daybook_set_custom(customer, "never", "null"), NULL);
    device_must(daybook_get_text(customer, "custom", &text), NULL);
    assert_string_equal(text, "{\"floor\":3,\"note\":\"hi 你\",\"vip\":true}");
    static const struct {
        const char *key, *json;
        daybook_status status;
    } cases[] = {
        {"k", "1,\"x\":2", DAYBOOK_BAD_JSON},
        {"k", "[1]", DAYBOOK_BAD_JSON},
        {"k", "{}", DAYBOOK_BAD_JSON},
        {"k", "", DAYBOOK_BAD_JSON},
        {"k", "nul", DAYBOOK_BAD_JSON},
        {"k", "01", DAYBOOK_BAD_JSON},
        {"k", "\"\\u0000\"", DAYBOOK_BAD_JSON},
        {"k", "1 2", DAYBOOK_BAD_JSON},
        {"", "1", DAYBOOK_INVALID},
        {"a\"b", "1", DAYBOOK_INVALID},
        {"a\nb", "1", DAYBOOK_INVALID},
        {"\xC0", "1", DAYBOOK_NOT_UTF8},
        {"k", "\"\xC3\"", DAYBOOK_BAD_JSON},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(daybook_set_custom(customer, cases[i].key, cases[i].json),
                         cases[i].status);
    }
    /* fractions and numbers beyond 2^53 are no stored data */
    assert_int_not_equal(daybook_set_custom(customer, "k", "1.5"), DAYBOOK_OK);
    assert_int_not_equal(daybook_set_custom(customer, "k", "9007199254740993"), DAYBOOK_OK);
    char key[80];
    memset(key, 'k', sizeof key);
    key[65] = '\0';
    assert_int_equal(daybook_set_custom(customer, key, "1"), DAYBOOK_INVALID);
    key[64] = '\0';
    assert_int_equal(daybook_set_custom(customer, key, "1"), DAYBOOK_OK);
    for (int i = 0; i < 96; i++) {
        (void)snprintf(key, sizeof key, "key%d", i);
        device_must(daybook_set_custom(customer, key, "false"), NULL);
    }
    assert_int_equal(daybook_set_custom(customer, "another", "1"), DAYBOOK_TOO_LARGE);
    daybook_end(&transaction);
}

static void test_api_record__getters_name_what_is_wrong(void **state)
{
    struct world *world = *state;
    daybook_transaction *transaction = NULL;
    daybook_record *visit = begin_record(world, "visit", &transaction);
    const char *text = "x";
    int64_t number = 5;
    assert_int_equal(daybook_get_text(visit, "nothing", &text), DAYBOOK_UNKNOWN_FIELD);
    assert_null(text);
    assert_int_equal(daybook_get_text(visit, "plan_day", &text), DAYBOOK_WRONG_TYPE);
    assert_int_equal(daybook_get_int(visit, "feedback", &number, NULL), DAYBOOK_WRONG_TYPE);
    assert_int_equal(number, 0);
    assert_int_equal(daybook_get_text(visit, NULL, &text), DAYBOOK_MISUSE);
    assert_int_equal(daybook_get_text(visit, "feedback", NULL), DAYBOOK_MISUSE);
    daybook_end(&transaction);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(test_api_record__what_was_set_is_read_back),
        API_TEST(test_api_record__every_refusal_is_named),
        API_TEST(test_api_record__limits_from_both_sides),
        API_TEST(test_api_record__sets_add_and_remove),
        API_TEST(test_api_record__custom_keys),
        API_TEST(test_api_record__getters_name_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
