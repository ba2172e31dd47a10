/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening and closing: options that are wrong, stores that are not, and handles that outlive their
 * engine.
 */
#include "tests/unit/api_world.h"

#include <daybook/posix.h>

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

/* Expects that these options are refused and the option is named. */
static void refuses(const daybook_options *options, const char *field)
{
    daybook *engine = (daybook *)1;
    daybook_error error = DAYBOOK_ERROR_INIT;
    assert_int_equal(daybook_open(options, &engine, &error), DAYBOOK_INVALID);
    assert_null(engine);
    assert_int_equal(error.status, DAYBOOK_INVALID);
    assert_string_equal(error.field, field);
    assert_false(error.retryable);
    assert_true(strlen(error.text) > 0);
}

static void test_api_open__wrong_options_are_named(void **state)
{
    struct world *world = *state;
    daybook_options good = world->device.options;
    daybook_options bad;
    bad = good, bad.path = NULL, refuses(&bad, "path");
    bad = good, bad.path = "", refuses(&bad, "path");
    bad = good, bad.size = 8, refuses(&bad, "size");
    bad = good, bad.size = 0, refuses(&bad, "size");
    static const char *const urls[] = {"http://host",    "https://",       "host",
                                       "https://a/b",    "https://u@host", "https://host?x",
                                       "https://host\n", "https://ho st",  "ftp://host",
                                       "https://host#x", "HTTPS://host",   ""};
    for (size_t i = 0; i < COUNT(urls); i++) {
        bad = good, bad.server_url = urls[i], refuses(&bad, "server_url");
    }
    static const char *const pins[][2] = {
        {"sha1//AAAA", NULL},
        {"sha256//short=", NULL},
        {"sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA!", NULL}};
    for (size_t i = 0; i < COUNT(pins); i++) {
        bad = good, bad.pins = pins[i], refuses(&bad, "pins");
    }
    bad = good, bad.ca_file = "", refuses(&bad, "ca_file");
    bad = good, bad.cache_kib = -1, refuses(&bad, "cache_kib");
    bad = good, bad.page_bytes = -1, refuses(&bad, "page_bytes");
    bad = good, bad.timeout_ms = -1, refuses(&bad, "timeout_ms");
}

static void test_api_open__a_platform_without_a_required_hook_is_refused(void **state)
{
    struct world *world = *state;
    daybook_platform platform = world->script.platform;
    daybook_options options = world->device.options;
    options.platform = &platform;
    platform.wall_ms = NULL;
    refuses(&options, "platform.wall_ms");
    platform = world->script.platform;
    platform.random = NULL;
    refuses(&options, "platform.random");
    platform = world->script.platform;
    platform.transport_exchange = NULL;
    refuses(&options, "platform.transport_exchange");
    platform = world->script.platform;
    platform.thread_join = NULL;
    refuses(&options, "platform.thread_join");
    platform = world->script.platform;
    platform.size = 8;
    refuses(&options, "platform");
}

static void test_api_open__structs_of_a_newer_app_are_fine_where_the_rest_is_empty(void **state)
{
    struct world *world = *state;
    struct {
        daybook_options options;
        int64_t new_option;
    } newer = {.options = world->device.options};
    daybook *engine = NULL;
    device_close(&world->device);
    newer.options.size = sizeof newer;
    assert_int_equal(daybook_open(&newer.options, &engine, NULL), DAYBOOK_OK);
    daybook_close(&engine);
    newer.new_option = 1;
    refuses(&newer.options, "size");
}

static void test_api_open__null_arguments_are_misuse(void **state)
{
    struct world *world = *state;
    daybook *engine = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    assert_int_equal(daybook_open(NULL, &engine, &error), DAYBOOK_MISUSE);
    assert_int_equal(error.status, DAYBOOK_MISUSE);
    assert_int_equal(daybook_open(&world->device.options, NULL, NULL), DAYBOOK_MISUSE);
    daybook_close(NULL);
    daybook_close(&engine);
}

static void test_api_open__the_default_platform_is_used(void **state)
{
    struct world *world = *state;
    device_close(&world->device);
    world->device.options.platform = NULL;
    device_open(&world->device);
    char id[DAYBOOK_ID_SIZE];
    device_customer(&world->device, "Wu", id);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM customer"), 1);
}

static void test_api_open__a_store_that_is_open_is_busy(void **state)
{
    struct world *world = *state;
    daybook *second = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    char pid[32];
    assert_int_equal(daybook_open(&world->device.options, &second, &error), DAYBOOK_BUSY);
    assert_null(second);
    (void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
    assert_non_null(strstr(error.text, pid));
    /* and free again afterwards */
    device_close(&world->device);
    device_open(&world->device);
}

static void test_api_open__what_is_no_store_is_refused_and_left_alone(void **state)
{
    struct world *world = *state;
    daybook *engine = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    static const char text[] = "This is a shopping list, and no database at all. Milk, eggs.";
    char back[sizeof text] = "";
    device_close(&world->device);
    device_clear(&world->device);
    device_init(&world->device, &world->script.platform, NULL, NULL);
    FILE *file = fopen(world->device.path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, sizeof text, file), sizeof text);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(daybook_open(&world->device.options, &engine, &error), DAYBOOK_NOT_A_STORE);
    assert_null(engine);
    assert_int_equal(error.status, DAYBOOK_NOT_A_STORE);
    file = fopen(world->device.path, "rb");
    assert_int_equal(fread(back, 1, sizeof back, file), sizeof text);
    (void)fclose(file);
    assert_memory_equal(back, text, sizeof text);
}

static void test_api_open__a_folder_that_is_not_there_cannot_be_opened(void **state)
{
    struct world *world = *state;
    daybook *engine = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    char path[400];
    daybook_options options = world->device.options;
    (void)snprintf(path, sizeof path, "%s/none/store", world->device.folder);
    options.path = path;
    assert_int_equal(daybook_open(&options, &engine, &error), DAYBOOK_CANNOT_OPEN);
    assert_true(strlen(error.text) > 0);
}

static void test_api_open__children_that_outlive_the_engine_say_misuse(void **state)
{
    struct world *world = *state;
    daybook_transaction *transaction = NULL;
    daybook_record *record = NULL;
    daybook_query *query = NULL;
    daybook_watch *watch = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    bool row;
    /* given: a transaction, a query that stands on a row, a watch */
    device_must(daybook_begin(world->engine, &transaction), NULL);
    device_must(daybook_put(transaction, "customer", NULL, DAYBOOK_NEW, &record), NULL);
    device_must(daybook_query_open(world->engine, "SELECT 1 AS one", &query, NULL), NULL);
    device_must(daybook_step(query, &row), NULL);
    assert_true(row);
    device_must(
        daybook_watch_open(world->engine, "SELECT * FROM customer", free, NULL, &watch, NULL),
        NULL);
    /* when: the engine is closed */
    device_close(&world->device);
    /* then: each call on them is a named error, and ending them is fine */
    assert_int_equal(daybook_set_text(record, "name", "x"), DAYBOOK_MISUSE);
    assert_int_equal(daybook_commit(transaction, &error), DAYBOOK_MISUSE);
    assert_int_equal(error.status, DAYBOOK_MISUSE);
    assert_non_null(strstr(error.text, "closed"));
    assert_int_equal(daybook_read(transaction, "customer", daybook_record_id(record), &record),
                     DAYBOOK_MISUSE);
    assert_int_equal(daybook_step(query, &row), DAYBOOK_MISUSE);
    assert_int_equal(daybook_bind_int(query, 1, 1), DAYBOOK_MISUSE);
    assert_int_equal(daybook_query_reset(query), DAYBOOK_MISUSE);
    assert_null(daybook_column_text(query, 0));
    assert_null(daybook_column_name(query, 0));
    assert_true(daybook_column_is_null(query, 0));
    assert_int_equal(daybook_column_int(query, 0), 0);
    daybook_watch_close(&watch);
    daybook_query_close(&query);
    daybook_end(&transaction);
    assert_null(watch);
    assert_null(query);
    assert_null(transaction);
}

static void test_api_open__null_handles_are_misuse_everywhere(void **state)
{
    (void)state;
    daybook_transaction *transaction;
    daybook_record *record;
    daybook_query *query;
    daybook_watch *watch;
    daybook_error error = DAYBOOK_ERROR_INIT;
    daybook_sync_status status = DAYBOOK_SYNC_STATUS_INIT;
    const char *text;
    char *json;
    int64_t number;
    bool row;
    assert_int_equal(daybook_begin(NULL, &transaction), DAYBOOK_MISUSE);
    assert_int_equal(daybook_put(NULL, "visit", NULL, 0, &record), DAYBOOK_MISUSE);
    assert_int_equal(daybook_patch(NULL, "visit", NULL, 0, &record), DAYBOOK_MISUSE);
    assert_int_equal(daybook_delete(NULL, "visit", NULL, 0), DAYBOOK_MISUSE);
    assert_int_equal(daybook_set_text(NULL, "a", "b"), DAYBOOK_MISUSE);
    assert_int_equal(daybook_set_int(NULL, "a", 1), DAYBOOK_MISUSE);
    assert_int_equal(daybook_set_bool(NULL, "a", true), DAYBOOK_MISUSE);
    assert_int_equal(daybook_set_id(NULL, "a", "b"), DAYBOOK_MISUSE);
    assert_int_equal(daybook_set_null(NULL, "a"), DAYBOOK_MISUSE);
    assert_int_equal(daybook_set_add(NULL, "a", "b"), DAYBOOK_MISUSE);
    assert_int_equal(daybook_set_remove(NULL, "a", "b"), DAYBOOK_MISUSE);
    assert_int_equal(daybook_set_custom(NULL, "a", "1"), DAYBOOK_MISUSE);
    assert_int_equal(daybook_put_json(NULL, "visit", NULL, 0, "{}", NULL, &error), DAYBOOK_MISUSE);
    assert_int_equal(daybook_patch_json(NULL, "visit", NULL, 0, "{}", &error), DAYBOOK_MISUSE);
    assert_int_equal(daybook_read(NULL, "visit", "x", &record), DAYBOOK_MISUSE);
    assert_null(daybook_record_id(NULL));
    assert_int_equal(daybook_record_version(NULL), 0);
    assert_int_equal(daybook_get_text(NULL, "a", &text), DAYBOOK_MISUSE);
    assert_int_equal(daybook_get_int(NULL, "a", &number, NULL), DAYBOOK_MISUSE);
    assert_int_equal(daybook_commit(NULL, &error), DAYBOOK_MISUSE);
    daybook_transaction_error(NULL, &error);
    assert_int_equal(error.status, DAYBOOK_MISUSE);
    daybook_end(NULL);
    assert_int_equal(daybook_query_open(NULL, "SELECT 1", &query, &error), DAYBOOK_MISUSE);
    assert_int_equal(daybook_bind_text(NULL, 1, "a"), DAYBOOK_MISUSE);
    assert_int_equal(daybook_bind_int(NULL, 1, 1), DAYBOOK_MISUSE);
    assert_int_equal(daybook_bind_id(NULL, 1, "a"), DAYBOOK_MISUSE);
    assert_int_equal(daybook_bind_null(NULL, 1), DAYBOOK_MISUSE);
    assert_int_equal(daybook_step(NULL, &row), DAYBOOK_MISUSE);
    assert_int_equal(daybook_query_reset(NULL), DAYBOOK_MISUSE);
    assert_int_equal(daybook_column_count(NULL), 0);
    assert_null(daybook_column_name(NULL, 0));
    assert_true(daybook_column_is_null(NULL, 0));
    assert_int_equal(daybook_column_int(NULL, 0), 0);
    assert_null(daybook_column_text(NULL, 0));
    daybook_query_error(NULL, &error);
    daybook_query_close(NULL);
    assert_int_equal(daybook_query_json(NULL, "SELECT 1", NULL, &json, &error), DAYBOOK_MISUSE);
    daybook_free(NULL);
    assert_int_equal(daybook_watch_open(NULL, "SELECT 1", free, NULL, &watch, &error),
                     DAYBOOK_MISUSE);
    daybook_watch_close(NULL);
    assert_int_equal(daybook_enrol(NULL, "code", NULL, &error), DAYBOOK_MISUSE);
    assert_int_equal(daybook_sync(NULL, 0, &error), DAYBOOK_MISUSE);
    assert_int_equal(daybook_start(NULL, 0), DAYBOOK_MISUSE);
    assert_int_equal(daybook_wake(NULL), DAYBOOK_MISUSE);
    daybook_stop(NULL);
    assert_int_equal(daybook_get_status(NULL, &status), DAYBOOK_MISUSE);
    assert_int_equal(daybook_pending_count(NULL, &number), DAYBOOK_MISUSE);
    assert_int_equal(daybook_inbox_discard(NULL, 1), DAYBOOK_MISUSE);
    assert_int_equal(daybook_inbox_reopen(NULL, 1, &transaction, &error), DAYBOOK_MISUSE);
}

static void test_api_open__an_error_struct_of_another_size_is_left_alone(void **state)
{
    struct world *world = *state;
    daybook *engine = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    (void)world;
    error.size = 8;
    (void)snprintf(error.text, sizeof error.text, "untouched");
    assert_int_equal(daybook_open(NULL, &engine, &error), DAYBOOK_MISUSE);
    assert_string_equal(error.text, "untouched");
    assert_int_equal(error.size, 8);
}

struct asker {
    daybook *engine;
    atomic_bool is_open;
    int64_t calls;
};

/* Reads the status until the engine says that it is closed. */
static void *ask_status(void *argument)
{
    struct asker *asker = argument;
    daybook_sync_status status = DAYBOOK_SYNC_STATUS_INIT;
    daybook_query *query = NULL;
    bool row;
    if (daybook_query_open(asker->engine,
                           "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
                           "FROM n) SELECT count(*) FROM n",
                           &query, NULL) == DAYBOOK_OK) {
        atomic_store(&asker->is_open, true);
        /* never ends by itself */
        daybook_status result = daybook_step(query, &row);
        assert_true(result == DAYBOOK_INTERRUPTED || result == DAYBOOK_MISUSE);
        asker->calls++;
    }
    daybook_query_close(&query);
    (void)status;
    return NULL;
}

static void test_api_open__close_ends_a_query_that_runs(void **state)
{
    struct world *world = *state;
    pthread_t thread;
    struct asker asker = {.engine = world->engine};
    assert_int_equal(pthread_create(&thread, NULL, ask_status, &asker), 0);
    const struct timespec pause = {0, 30 * 1000 * 1000};
    do {
        (void)nanosleep(&pause, NULL);
    } while (!atomic_load(&asker.is_open));
    device_close(&world->device);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(asker.calls, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(test_api_open__wrong_options_are_named),
        API_TEST(test_api_open__a_platform_without_a_required_hook_is_refused),
        API_TEST(test_api_open__structs_of_a_newer_app_are_fine_where_the_rest_is_empty),
        API_TEST(test_api_open__null_arguments_are_misuse),
        API_TEST(test_api_open__the_default_platform_is_used),
        API_TEST(test_api_open__a_store_that_is_open_is_busy),
        API_TEST(test_api_open__what_is_no_store_is_refused_and_left_alone),
        API_TEST(test_api_open__a_folder_that_is_not_there_cannot_be_opened),
        API_TEST(test_api_open__children_that_outlive_the_engine_say_misuse),
        API_TEST(test_api_open__null_handles_are_misuse_everywhere),
        API_TEST(test_api_open__an_error_struct_of_another_size_is_left_alone),
        API_TEST(test_api_open__close_ends_a_query_that_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
