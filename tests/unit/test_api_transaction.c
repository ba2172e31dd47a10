/* SPDX-License-Identifier: Apache-2.0
 *
 * Transactions: what put, patch and delete make of each other, and what a commit refuses.
 */
#include "tests/unit/api_world.h"

#define SOME_ID "0192d5a0-0000-7000-8000-000000000001"
#define OTHER_ID "0192d5a0-0000-7000-8000-000000000002"
#define SERVERS_ID "0192d5a0-0000-8000-8000-000000000002" /* of version 8 */

static daybook_transaction *begin(struct world *world)
{
    daybook_transaction *transaction = NULL;
    device_must(daybook_begin(world->engine, &transaction), NULL);
    return transaction;
}

static void commit(daybook_transaction *transaction)
{
    daybook_error error = DAYBOOK_ERROR_INIT;
    device_must(daybook_commit(transaction, &error), &error);
    daybook_end(&transaction);
}

/* The text of a field as a fresh transaction reads it; "" where empty. */
static const char *stored_text(struct world *world, const char *entity, const char *id,
                               const char *field)
{
    char sql[200];
    (void)snprintf(sql, sizeof sql, "SELECT %s FROM %s WHERE id = ?1", field, entity);
    return device_text_of(&world->device, sql, id);
}

static void test_api_transaction__nothing_is_seen_before_the_commit(void **state)
{
    struct world *world = *state;
    daybook_transaction *transaction = begin(world);
    daybook_record *record = NULL;
    device_must(daybook_put(transaction, "customer", NULL, DAYBOOK_NEW, &record), NULL);
    device_must(daybook_set_text(record, "name", "Wu"), NULL);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM customer"), 0);
    commit(transaction);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM customer"), 1);
    assert_int_equal(device_status(&world->device).pending, 1);
    /* and one that is ended leaves nothing */
    transaction = begin(world);
    device_must(daybook_put(transaction, "customer", NULL, DAYBOOK_NEW, &record), NULL);
    daybook_end(&transaction);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM customer"), 1);
}

static void test_api_transaction__reads_see_what_is_staged(void **state)
{
    struct world *world = *state;
    char id[DAYBOOK_ID_SIZE];
    const char *text;
    daybook_record *record = NULL;
    daybook_record *shown = NULL;
    device_customer(&world->device, "Wu", id);
    device_patch_text(&world->device, "customer", id, "kind", "shop");
    daybook_transaction *transaction = begin(world);
    device_must(daybook_patch(transaction, "customer", id, DAYBOOK_ANY_VERSION, &record), NULL);
    device_must(daybook_set_text(record, "name", "Wu & Sons"), NULL);
    device_must(daybook_read(transaction, "customer", id, &shown), NULL);
    device_must(daybook_get_text(shown, "name", &text), NULL);
    assert_string_equal(text, "Wu & Sons");
    device_must(daybook_get_text(shown, "kind", &text), NULL);
    assert_string_equal(text, "shop");
    /* what was shown stays, whatever is set later */
    device_must(daybook_set_text(record, "name", "Third"), NULL);
    device_must(daybook_get_text(shown, "name", &text), NULL);
    assert_string_equal(text, "Wu & Sons");
    assert_int_equal(daybook_set_text(shown, "name", "x"), DAYBOOK_MISUSE);
    daybook_end(&transaction);
    assert_string_equal(stored_text(world, "customer", id, "name"), "Wu");
}

static void test_api_transaction__put_then_patch_is_one_record(void **state)
{
    struct world *world = *state;
    daybook_transaction *transaction = begin(world);
    daybook_record *record = NULL;
    daybook_record *again = NULL;
    device_must(daybook_put(transaction, "customer", SOME_ID, DAYBOOK_NEW, &record), NULL);
    device_must(daybook_set_text(record, "name", "Wu"), NULL);
    device_must(daybook_patch(transaction, "customer", SOME_ID, DAYBOOK_NEW, &again), NULL);
    assert_ptr_equal(record, again);
    device_must(daybook_set_text(again, "kind", "shop"), NULL);
    commit(transaction);
    assert_string_equal(stored_text(world, "customer", SOME_ID, "name"), "Wu");
    assert_string_equal(stored_text(world, "customer", SOME_ID, "kind"), "shop");
    assert_int_equal(device_status(&world->device).pending, 1);
}

static void test_api_transaction__put_then_delete_leaves_no_trace(void **state)
{
    struct world *world = *state;
    daybook_transaction *transaction = begin(world);
    daybook_record *record = NULL;
    daybook_record *line = NULL;
    device_must(daybook_put(transaction, "quote", SOME_ID, DAYBOOK_NEW, &record), NULL);
    device_must(daybook_put(transaction, "quote_line", NULL, DAYBOOK_NEW, &line), NULL);
    device_must(daybook_set_id(line, "quote_id", SOME_ID), NULL);
    device_must(daybook_delete(transaction, "quote", SOME_ID, DAYBOOK_NEW), NULL);
    /* then: both are gone, and their handles say so */
    assert_int_equal(daybook_set_text(record, "note", "x"), DAYBOOK_MISUSE);
    assert_int_equal(daybook_set_int(line, "qty", 1), DAYBOOK_MISUSE);
    assert_int_equal(daybook_read(transaction, "quote", SOME_ID, &record), DAYBOOK_NOT_FOUND);
    commit(transaction);
    assert_int_equal(device_status(&world->device).pending, 0);
}

static void test_api_transaction__ids_are_not_used_again(void **state)
{
    struct world *world = *state;
    char id[DAYBOOK_ID_SIZE];
    daybook_record *record = NULL;
    device_customer(&world->device, "Wu", id);
    daybook_transaction *transaction = begin(world);
    assert_int_equal(daybook_put(transaction, "customer", id, DAYBOOK_NEW, &record),
                     DAYBOOK_EXISTS);
    assert_null(record);
    device_must(daybook_delete(transaction, "customer", id, DAYBOOK_ANY_VERSION), NULL);
    assert_int_equal(daybook_put(transaction, "customer", id, DAYBOOK_NEW, &record),
                     DAYBOOK_EXISTS);
    assert_int_equal(daybook_put(transaction, "customer", id, DAYBOOK_ANY_VERSION, &record),
                     DAYBOOK_NOT_FOUND);
    assert_int_equal(daybook_patch(transaction, "customer", id, DAYBOOK_ANY_VERSION, &record),
                     DAYBOOK_NOT_FOUND);
    assert_int_equal(daybook_delete(transaction, "customer", id, DAYBOOK_ANY_VERSION),
                     DAYBOOK_NOT_FOUND);
    assert_int_equal(daybook_put(transaction, "customer", SERVERS_ID, DAYBOOK_NEW, &record),
                     DAYBOOK_INVALID);
    device_must(daybook_put(transaction, "customer", OTHER_ID, DAYBOOK_NEW, &record), NULL);
    assert_int_equal(daybook_put(transaction, "customer", OTHER_ID, DAYBOOK_NEW, &record),
                     DAYBOOK_EXISTS);
    daybook_end(&transaction);
}

static void test_api_transaction__arguments_that_are_wrong(void **state)
{
    struct world *world = *state;
    daybook_transaction *transaction = begin(world);
    daybook_record *record = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    assert_int_equal(daybook_put(transaction, "custommer", NULL, 0, &record),
                     DAYBOOK_UNKNOWN_ENTITY);
    daybook_transaction_error(transaction, &error);
    assert_string_equal(error.entity, "custommer");
    assert_int_equal(daybook_put(transaction, NULL, NULL, 0, &record), DAYBOOK_UNKNOWN_ENTITY);
    assert_int_equal(daybook_put(transaction, "product", NULL, 0, &record), DAYBOOK_READONLY);
    assert_int_equal(daybook_put(transaction, "visit", "not an id", 0, &record), DAYBOOK_INVALID);
    assert_int_equal(
        daybook_put(transaction, "visit", "00000000-0000-0000-0000-000000000000", 0, &record),
        DAYBOOK_INVALID);
    assert_int_equal(daybook_put(transaction, "visit", SOME_ID, -2, &record), DAYBOOK_BAD_VERSION);
    assert_int_equal(daybook_put(transaction, "visit", NULL, 5, &record), DAYBOOK_MISUSE);
    assert_int_equal(daybook_put(transaction, "visit", SOME_ID, 5, &record), DAYBOOK_NOT_FOUND);
    assert_int_equal(daybook_delete(transaction, "visit", SOME_ID, 5), DAYBOOK_NOT_FOUND);
    assert_int_equal(daybook_delete(transaction, "visit", NULL, 5), DAYBOOK_MISUSE);
    assert_int_equal(daybook_read(transaction, "visit", "junk", &record), DAYBOOK_INVALID);
    assert_int_equal(daybook_put(transaction, "visit", NULL, 0, NULL), DAYBOOK_MISUSE);
    assert_null(record);
    /* then: nothing was staged by all this */
    commit(transaction);
    assert_int_equal(device_status(&world->device).pending, 0);
}

static void test_api_transaction__a_patch_of_what_is_not_there_can_be_taken_back(void **state)
{
    struct world *world = *state;
    daybook_transaction *transaction = begin(world);
    daybook_record *record = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    const char *text;
    char good[DAYBOOK_ID_SIZE];
    device_customer(&world->device, "Wu", good);
    device_must(daybook_patch(transaction, "customer", good, DAYBOOK_ANY_VERSION, &record), NULL);
    device_must(daybook_set_text(record, "kind", "shop"), NULL);
    device_must(daybook_patch(transaction, "customer", SOME_ID, 5, &record), NULL);
    assert_int_equal(daybook_record_version(record), 5);
    device_must(daybook_set_text(record, "kind", "ghost"), NULL);
    /* what has to know the record says that there is none */
    assert_int_equal(daybook_set_add(record, "tags", "x"), DAYBOOK_NOT_FOUND);
    assert_int_equal(daybook_get_text(record, "name", &text), DAYBOOK_NOT_FOUND);
    assert_int_equal(daybook_read(transaction, "customer", SOME_ID, &record), DAYBOOK_NOT_FOUND);
    assert_int_equal(daybook_commit(transaction, &error), DAYBOOK_NOT_FOUND);
    assert_non_null(strstr(error.text, SOME_ID));
    assert_string_equal(stored_text(world, "customer", good, "kind"), "");
    /* when: it is taken back, the rest goes through */
    assert_int_equal(daybook_delete(transaction, "customer", SOME_ID, 5), DAYBOOK_NOT_FOUND);
    commit(transaction);
    assert_string_equal(stored_text(world, "customer", good, "kind"), "shop");
}

static void test_api_transaction__commit_twice_is_misuse(void **state)
{
    struct world *world = *state;
    daybook_transaction *transaction = begin(world);
    daybook_record *record = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    device_must(daybook_put(transaction, "customer", NULL, DAYBOOK_NEW, &record), NULL);
    device_must(daybook_set_text(record, "name", "Wu"), NULL);
    device_must(daybook_commit(transaction, NULL), NULL);
    assert_int_equal(daybook_commit(transaction, &error), DAYBOOK_MISUSE);
    assert_non_null(strstr(error.text, "committed"));
    assert_int_equal(daybook_set_text(record, "name", "x"), DAYBOOK_MISUSE);
    assert_int_equal(daybook_put(transaction, "customer", NULL, 0, &record), DAYBOOK_MISUSE);
    daybook_end(&transaction);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM customer"), 1);
}

static void test_api_transaction__an_empty_commit_is_fine(void **state)
{
    struct world *world = *state;
    commit(begin(world));
    assert_int_equal(device_status(&world->device).pending, 0);
}

static void test_api_transaction__a_failed_commit_can_be_mended(void **state)
{
    struct world *world = *state;
    daybook_transaction *transaction = begin(world);
    daybook_record *good = NULL;
    daybook_record *bad = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    char id[DAYBOOK_ID_SIZE];
    device_must(daybook_put(transaction, "customer", NULL, DAYBOOK_NEW, &good), NULL);
    device_must(daybook_set_text(good, "name", "Wu"), NULL);
    device_must(daybook_set_add(good, "tags", "gold"), NULL);
    device_must(daybook_put(transaction, "customer", NULL, DAYBOOK_NEW, &bad), NULL);
    memcpy(id, daybook_record_id(bad), sizeof id);
    /* when: a required field has no value */
    assert_int_equal(daybook_commit(transaction, &error), DAYBOOK_REQUIRED);
    /* then: it is named, with the record, and nothing was written */
    assert_string_equal(error.entity, "customer");
    assert_string_equal(error.field, "name");
    assert_non_null(strstr(error.text, id));
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM customer"), 0);
    assert_int_equal(device_status(&world->device).pending, 0);
    /* when: it is mended */
    device_must(daybook_set_text(bad, "name", "Li"), NULL);
    commit(transaction);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM customer"), 2);
    assert_int_equal(
        device_int(&world->device, "SELECT count(*) FROM customer WHERE tags = '[\"gold\"]'"), 1);
}

static void test_api_transaction__a_replacement_empties_what_it_does_not_set(void **state)
{
    struct world *world = *state;
    char id[DAYBOOK_ID_SIZE];
    const char *text;
    daybook_record *record = NULL;
    device_customer(&world->device, "Wu", id);
    daybook_transaction *transaction = begin(world);
    device_must(daybook_patch(transaction, "customer", id, DAYBOOK_ANY_VERSION, &record), NULL);
    device_must(daybook_set_text(record, "kind", "shop"), NULL);
    device_must(daybook_set_text(record, "industry", "food"), NULL);
    device_must(daybook_set_add(record, "tags", "a"), NULL);
    device_must(daybook_set_add(record, "tags", "b"), NULL);
    device_must(daybook_set_custom(record, "x", "1"), NULL);
    commit(transaction);
    /* when: it is replaced with name, kind and one tag */
    transaction = begin(world);
    device_must(daybook_put(transaction, "customer", id, DAYBOOK_ANY_VERSION, &record), NULL);
    device_must(daybook_set_text(record, "name", "Wu"), NULL);
    device_must(daybook_set_text(record, "kind", "market"), NULL);
    device_must(daybook_set_add(record, "tags", "b"), NULL);
    device_must(daybook_get_text(record, "industry", &text), NULL);
    assert_null(text);
    commit(transaction);
    assert_string_equal(stored_text(world, "customer", id, "name"), "Wu");
    assert_string_equal(stored_text(world, "customer", id, "kind"), "market");
    assert_string_equal(stored_text(world, "customer", id, "industry"), "");
    assert_string_equal(stored_text(world, "customer", id, "tags"), "[\"b\"]");
    assert_string_equal(stored_text(world, "customer", id, "custom"), "");
}

static void test_api_transaction__later_calls_on_one_record_add_up(void **state)
{
    struct world *world = *state;
    char id[DAYBOOK_ID_SIZE];
    daybook_record *record = NULL;
    daybook_record *again = NULL;
    const char *text;
    device_customer(&world->device, "Wu", id);
    daybook_transaction *transaction = begin(world);
    device_must(daybook_patch(transaction, "customer", id, DAYBOOK_ANY_VERSION, &record), NULL);
    device_must(daybook_set_text(record, "kind", "shop"), NULL);
    device_must(daybook_set_text(record, "industry", "food"), NULL);
    /* a patch adds */
    device_must(daybook_patch(transaction, "customer", id, 0, &again), NULL);
    assert_ptr_equal(again, record);
    assert_int_equal(daybook_record_version(record), 0); /* the version named, not "any" */
    device_must(daybook_set_text(again, "channel", "direct"), NULL);
    /* a replacement begins anew */
    device_must(daybook_put(transaction, "customer", id, DAYBOOK_ANY_VERSION, &again), NULL);
    assert_ptr_equal(again, record);
    device_must(daybook_get_text(again, "industry", &text), NULL);
    assert_null(text);
    device_must(daybook_set_text(again, "name", "Li"), NULL);
    commit(transaction);
    assert_string_equal(stored_text(world, "customer", id, "name"), "Li");
    assert_string_equal(stored_text(world, "customer", id, "kind"), "");
    /* so does one of a record that is being made */
    transaction = begin(world);
    device_must(daybook_put(transaction, "customer", SOME_ID, DAYBOOK_NEW, &record), NULL);
    device_must(daybook_set_text(record, "kind", "shop"), NULL);
    device_must(daybook_put(transaction, "customer", SOME_ID, DAYBOOK_ANY_VERSION, &again), NULL);
    device_must(daybook_set_text(again, "name", "Zhao"), NULL);
    commit(transaction);
    assert_string_equal(stored_text(world, "customer", SOME_ID, "kind"), "");
    /* and a delete takes all of it */
    transaction = begin(world);
    device_must(daybook_patch(transaction, "customer", id, DAYBOOK_ANY_VERSION, &record), NULL);
    device_must(daybook_set_text(record, "kind", "shop"), NULL);
    device_must(daybook_delete(transaction, "customer", id, DAYBOOK_ANY_VERSION), NULL);
    assert_int_equal(daybook_set_text(record, "kind", "x"), DAYBOOK_MISUSE);
    assert_int_equal(daybook_get_text(record, "kind", &text), DAYBOOK_MISUSE);
    commit(transaction);
    assert_string_equal(stored_text(world, "customer", id, "name"), "");
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM customer"), 1);
}

static void test_api_transaction__a_record_with_all_its_fields(void **state)
{
    struct world *world = *state;
    static const char *const numbers[] = {"plan_day",        "checkin_ts",      "checkin_tz_min",
                                          "checkin_lat_e7",  "checkin_lon_e7",  "checkin_acc_m",
                                          "checkout_ts",     "checkout_tz_min", "checkout_lat_e7",
                                          "checkout_lon_e7", "checkout_acc_m"};
    char customer[DAYBOOK_ID_SIZE], visit[DAYBOOK_ID_SIZE];
    daybook_record *record = NULL;
    device_customer(&world->device, "Wu", customer);
    daybook_transaction *transaction = begin(world);
    device_must(daybook_put(transaction, "visit", NULL, DAYBOOK_NEW, &record), NULL);
    memcpy(visit, daybook_record_id(record), sizeof visit);
    device_must(daybook_set_id(record, "customer_id", customer), NULL);
    for (size_t i = 0; i < COUNT(numbers); i++) {
        device_must(daybook_set_int(record, numbers[i], i == 0 ? 20261121 : 400 + (int64_t)i),
                    NULL);
    }
    device_must(daybook_set_bool(record, "checkin_mock", false), NULL);
    device_must(daybook_set_bool(record, "checkout_mock", true), NULL);
    device_must(daybook_set_text(record, "doc_no", "V-1"), NULL);
    device_must(daybook_set_text(record, "kind", "routine"), NULL);
    device_must(daybook_set_text(record, "feedback", "fine"), NULL);
    device_must(daybook_set_text(record, "verified", "yes"), NULL);
    device_must(daybook_set_add(record, "outcome", "order"), NULL);
    commit(transaction);
    assert_string_equal(stored_text(world, "visit", visit, "checkout_acc_m"), "410");
    assert_string_equal(stored_text(world, "visit", visit, "verified || outcome || doc_no"),
                        "yes[\"order\"]V-1");
}

static void test_api_transaction__what_only_grows_does_not_shrink(void **state)
{
    struct world *world = *state;
    char customer[DAYBOOK_ID_SIZE], order[DAYBOOK_ID_SIZE];
    daybook_record *record = NULL;
    device_customer(&world->device, "Wu", customer);
    daybook_transaction *transaction = begin(world);
    device_must(daybook_put(transaction, "sales_order", NULL, DAYBOOK_NEW, &record), NULL);
    memcpy(order, daybook_record_id(record), sizeof order);
    device_must(daybook_set_id(record, "customer_id", customer), NULL);
    device_must(daybook_set_text(record, "cur", "CNY"), NULL);
    device_must(daybook_set_add(record, "cancel_req", "a"), NULL);
    device_must(daybook_set_add(record, "cancel_req", "typed wrongly"), NULL);
    device_must(daybook_set_remove(record, "cancel_req", "typed wrongly"), NULL);
    commit(transaction);
    transaction = begin(world);
    device_must(daybook_patch(transaction, "sales_order", order, DAYBOOK_ANY_VERSION, &record),
                NULL);
    assert_int_equal(daybook_set_remove(record, "cancel_req", "a"), DAYBOOK_READONLY);
    assert_int_equal(daybook_set_null(record, "cancel_req"), DAYBOOK_READONLY);
    assert_int_equal(daybook_patch_json(transaction, "sales_order", order, DAYBOOK_ANY_VERSION,
                                        "{\"cancel_req\":[\"b\"]}", NULL),
                     DAYBOOK_READONLY);
    device_must(daybook_set_add(record, "cancel_req", "b"), NULL);
    commit(transaction);
    assert_string_equal(stored_text(world, "sales_order", order, "cancel_req"), "[\"a\",\"b\"]");
}

static void test_api_transaction__what_is_set_at_creation_stays(void **state)
{
    struct world *world = *state;
    char customer[DAYBOOK_ID_SIZE], visit[DAYBOOK_ID_SIZE];
    daybook_record *record = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    device_customer(&world->device, "Wu", customer);
    device_visit(&world->device, customer, "first", visit);
    daybook_transaction *transaction = begin(world);
    device_must(daybook_patch(transaction, "visit", visit, DAYBOOK_ANY_VERSION, &record), NULL);
    assert_int_equal(daybook_set_id(record, "customer_id", OTHER_ID), DAYBOOK_READONLY);
    daybook_transaction_error(transaction, &error);
    assert_string_equal(error.rule, "immutable");
    assert_int_equal(daybook_set_null(record, "customer_id"), DAYBOOK_READONLY);
    /* naming the value that it has is fine, so that whole forms can be saved */
    assert_int_equal(daybook_set_id(record, "customer_id", customer), DAYBOOK_OK);
    daybook_end(&transaction);
    transaction = begin(world);
    device_must(daybook_put(transaction, "visit", visit, DAYBOOK_ANY_VERSION, &record), NULL);
    device_must(daybook_set_text(record, "feedback", "second"), NULL);
    commit(transaction);
    assert_string_equal(stored_text(world, "visit", visit, "customer_id"), customer);
    assert_string_equal(stored_text(world, "visit", visit, "feedback"), "second");
}

static void test_api_transaction__deleting_a_document_takes_its_lines(void **state)
{
    struct world *world = *state;
    char customer[DAYBOOK_ID_SIZE], quote[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
    daybook_record *record = NULL;
    device_customer(&world->device, "Wu", customer);
    device_quote(&world->device, customer, SOME_ID, 3, quote);
    (void)snprintf(line, sizeof line, "%s",
                   device_text(&world->device, "SELECT id FROM quote_line LIMIT 1"));
    daybook_transaction *transaction = begin(world);
    device_must(daybook_patch(transaction, "quote_line", line, DAYBOOK_ANY_VERSION, &record), NULL);
    device_must(daybook_set_int(record, "qty", 7000), NULL);
    device_must(daybook_delete(transaction, "quote", quote, DAYBOOK_ANY_VERSION), NULL);
    assert_int_equal(daybook_read(transaction, "quote_line", line, &record), DAYBOOK_NOT_FOUND);
    commit(transaction);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM quote"), 0);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM quote_line"), 0);
}

static void test_api_transaction__a_thousand_records_are_one_changeset(void **state)
{
    struct world *world = *state;
    daybook_transaction *transaction = begin(world);
    daybook_record *record = NULL;
    char name[40];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "customer %d", i);
        device_must(daybook_put(transaction, "customer", NULL, DAYBOOK_NEW, &record), NULL);
        device_must(daybook_set_text(record, "name", name), NULL);
    }
    commit(transaction);
    assert_int_equal(device_int(&world->device, "SELECT count(DISTINCT name) FROM customer"), 1000);
    assert_int_equal(device_status(&world->device).pending, 1);
}

static void test_api_transaction__too_many_records_are_refused(void **state)
{
    struct world *world = *state;
    daybook_transaction *transaction = begin(world);
    daybook_record *record = NULL;
    for (int i = 0; i < 10000; i++) {
        device_must(daybook_put(transaction, "contact", NULL, DAYBOOK_NEW, &record), NULL);
    }
    assert_int_equal(daybook_put(transaction, "contact", NULL, DAYBOOK_NEW, &record),
                     DAYBOOK_TOO_LARGE);
    daybook_end(&transaction);
}

static void test_api_transaction__a_changeset_that_is_too_large_is_refused_whole(void **state)
{
    struct world *world = *state;
    daybook_transaction *transaction = begin(world);
    daybook_record *record = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    char text[3601];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (int i = 0; i < 1300; i++) {
        device_must(daybook_put(transaction, "visit", NULL, DAYBOOK_NEW, &record), NULL);
        device_must(daybook_set_id(record, "customer_id", SOME_ID), NULL);
        device_must(daybook_set_text(record, "feedback", text), NULL);
    }
    assert_int_equal(daybook_commit(transaction, &error), DAYBOOK_TOO_LARGE);
    daybook_end(&transaction);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM visit"), 0);
    assert_int_equal(device_status(&world->device).pending, 0);
}

static void test_api_transaction__it_lives_on_in_the_file(void **state)
{
    struct world *world = *state;
    char id[DAYBOOK_ID_SIZE];
    device_customer(&world->device, "Wu", id);
    device_close(&world->device);
    device_open(&world->device);
    world->engine = world->device.engine;
    assert_string_equal(stored_text(world, "customer", id, "name"), "Wu");
    assert_int_equal(device_status(&world->device).pending, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(test_api_transaction__nothing_is_seen_before_the_commit),
        API_TEST(test_api_transaction__reads_see_what_is_staged),
        API_TEST(test_api_transaction__put_then_patch_is_one_record),
        API_TEST(test_api_transaction__put_then_delete_leaves_no_trace),
        API_TEST(test_api_transaction__ids_are_not_used_again),
        API_TEST(test_api_transaction__arguments_that_are_wrong),
        API_TEST(test_api_transaction__a_patch_of_what_is_not_there_can_be_taken_back),
        API_TEST(test_api_transaction__commit_twice_is_misuse),
        API_TEST(test_api_transaction__an_empty_commit_is_fine),
        API_TEST(test_api_transaction__a_failed_commit_can_be_mended),
        API_TEST(test_api_transaction__a_replacement_empties_what_it_does_not_set),
        API_TEST(test_api_transaction__later_calls_on_one_record_add_up),
        API_TEST(test_api_transaction__a_record_with_all_its_fields),
        API_TEST(test_api_transaction__what_only_grows_does_not_shrink),
        API_TEST(test_api_transaction__what_is_set_at_creation_stays),
        API_TEST(test_api_transaction__deleting_a_document_takes_its_lines),
        API_TEST(test_api_transaction__a_thousand_records_are_one_changeset),
        API_TEST(test_api_transaction__too_many_records_are_refused),
        API_TEST(test_api_transaction__a_changeset_that_is_too_large_is_refused_whole),
        API_TEST(test_api_transaction__it_lives_on_in_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
