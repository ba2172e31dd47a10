/* SPDX-License-Identifier: Apache-2.0
 *
 * Every function of daybook.h called from within the callback of a watch and of the inbox, on a
 * thread that commits, on one that syncs, and on the sync thread: each answers as daybook.h says
 * and none waits for the callback it is in.
 */
#include "tests/unit/api_world.h"

#include <stdatomic.h>
#include <time.h>

#define HEADER DAYBOOK_SOURCE_DIR "/engine/include/daybook/daybook.h"
#define NOWHERE "0193f000-0000-7000-8000-00000000dead"

struct inside {
    struct world *world;
    bool on_thread; /* it is the sync thread that calls back */
    bool done;      /* the calls are made once */
    daybook_watch *other;
    char customer[DAYBOOK_ID_SIZE];
    int64_t item; /* a rejected one */
    atomic_bool entered, release, left;
    daybook_status started;
};

/* One group of calls. What is expected to be OK ends the test where it is not. */
typedef void calls(struct inside *inside, daybook *engine, daybook_error *error);

static void plain(struct inside *inside, daybook *engine, daybook_error *error)
{
    int64_t count = 0;
    int32_t day = 0;
    char *json = NULL;
    (void)device_status(&inside->world->device);
    assert_string_equal(daybook_version(), DAYBOOK_VERSION);
    assert_string_equal(daybook_status_name(DAYBOOK_OK), "OK");
    assert_non_null(daybook_status_text(DAYBOOK_BUSY));
    (void)daybook_status_class(DAYBOOK_BUSY);
    assert_int_equal(daybook_pending_count(engine, &count), DAYBOOK_OK);
    assert_int_equal(daybook_business_day(engine, 0, &day), DAYBOOK_OK);
    device_must(daybook_query_json(engine, "SELECT 1", NULL, &json, error), error);
    daybook_free(json);
    assert_int_equal(daybook_expected_holds(engine, "sales_order", NOWHERE, &json),
                     DAYBOOK_NOT_FOUND);
    assert_int_equal(daybook_clear_hold(engine, NOWHERE, NULL, error), DAYBOOK_NOT_FOUND);
    assert_int_equal(daybook_forget(engine, NOWHERE), DAYBOOK_NOT_FOUND);
}

static void writing(struct inside *inside, daybook *engine, daybook_error *error)
{
    daybook_transaction *transaction = NULL;
    daybook_record *record = NULL;
    const char *text = NULL;
    int64_t number = 0;
    bool is_null = false;
    char id[DAYBOOK_ID_SIZE];
    assert_int_equal(daybook_begin(engine, &transaction), DAYBOOK_OK);
    assert_int_equal(daybook_put(transaction, "customer", NULL, DAYBOOK_NEW, &record), DAYBOOK_OK);
    assert_int_equal(daybook_set_text(record, "name", "inside"), DAYBOOK_OK);
    assert_int_equal(daybook_set_int(record, "lat_e7", 1), DAYBOOK_OK);
    assert_int_equal(daybook_set_bool(record, "name", true), DAYBOOK_WRONG_TYPE);
    assert_int_equal(daybook_set_id(record, "name", NOWHERE), DAYBOOK_WRONG_TYPE);
    assert_int_equal(daybook_set_null(record, "lat_e7"), DAYBOOK_OK);
    assert_int_equal(daybook_set_add(record, "tags", "a"), DAYBOOK_OK);
    assert_int_equal(daybook_set_remove(record, "tags", "a"), DAYBOOK_OK);
    assert_int_equal(daybook_set_custom(record, "k", "1"), DAYBOOK_OK);
    device_must(
        daybook_put_json(transaction, "customer", NULL, DAYBOOK_NEW, "{\"name\":\"j\"}", id, error),
        error);
    device_must(daybook_patch_json(transaction, "customer", inside->customer, DAYBOOK_ANY_VERSION,
                                   "{\"kind\":\"k\"}", error),
                error);
    assert_int_equal(
        daybook_patch(transaction, "customer", inside->customer, DAYBOOK_ANY_VERSION, &record),
        DAYBOOK_OK);
    assert_int_equal(daybook_read(transaction, "customer", inside->customer, &record), DAYBOOK_OK);
    assert_string_equal(daybook_record_id(record), inside->customer);
    assert_true(daybook_record_version(record) >= 0);
    assert_int_equal(daybook_get_text(record, "kind", &text), DAYBOOK_OK);
    assert_int_equal(daybook_get_int(record, "lat_e7", &number, &is_null), DAYBOOK_OK);
    assert_int_equal(daybook_delete(transaction, "customer", id, DAYBOOK_ANY_VERSION), DAYBOOK_OK);
    daybook_transaction_error(transaction, error);
    device_must(daybook_commit(transaction, error), error);
    daybook_end(&transaction);
}

static void reading(struct inside *inside, daybook *engine, daybook_error *error)
{
    daybook_query *query = NULL;
    daybook_visit_count count = DAYBOOK_VISIT_COUNT_INIT;
    bool row = false;
    (void)inside;
    assert_int_equal(daybook_visit_counts(engine, NOWHERE, &count), DAYBOOK_NOT_FOUND);
    device_must(daybook_query_open(engine, "SELECT ?1, ?2, ?3, ?4", &query, error), error);
    assert_int_equal(daybook_bind_text(query, 1, "text"), DAYBOOK_OK);
    assert_int_equal(daybook_bind_int(query, 2, 2), DAYBOOK_OK);
    assert_int_equal(daybook_bind_id(query, 3, NOWHERE), DAYBOOK_OK);
    assert_int_equal(daybook_bind_null(query, 4), DAYBOOK_OK);
    assert_int_equal(daybook_step(query, &row), DAYBOOK_OK);
    assert_int_equal(daybook_column_count(query), 4);
    assert_non_null(daybook_column_name(query, 0));
    assert_string_equal(daybook_column_text(query, 0), "text");
    assert_int_equal(daybook_column_int(query, 1), 2);
    assert_true(daybook_column_is_null(query, 3));
    assert_int_equal(daybook_query_reset(query), DAYBOOK_OK);
    daybook_query_error(query, error);
    daybook_query_close(&query);
}

static void unseen(void *context)
{
    (void)context;
}

static void unseen_items(void *context, int64_t after)
{
    (void)context, (void)after;
}

static void watching(struct inside *inside, daybook *engine, daybook_error *error)
{
    daybook_watch *watch = NULL;
    daybook_watch_close(&inside->other);
    device_must(daybook_watch_open(engine, "SELECT 1 FROM visit", unseen, NULL, &watch, error),
                error);
    daybook_watch_close(&watch);
    assert_int_equal(daybook_inbox_watch(engine, unseen_items, NULL, &watch), DAYBOOK_OK);
    daybook_watch_close(&watch);
}

static void inbox(struct inside *inside, daybook *engine, daybook_error *error)
{
    daybook_transaction *transaction = NULL;
    assert_int_equal(daybook_inbox_use_theirs(engine, inside->item), DAYBOOK_INVALID);
    device_must(daybook_inbox_reopen(engine, inside->item, &transaction, error), error);
    daybook_end(&transaction);
    device_must(daybook_inbox_keep_mine(engine, inside->item, error), error);
    assert_int_equal(daybook_inbox_discard(engine, inside->item), DAYBOOK_NOT_FOUND);
}

static void syncing(struct inside *inside, daybook *engine, daybook_error *error)
{
    daybook_options options = inside->world->device.options;
    daybook *again = NULL;
    assert_int_equal(daybook_open(&options, &again, error), DAYBOOK_BUSY);
    assert_int_equal(daybook_enrol(engine, SCRIPT_CODE, NULL, error), DAYBOOK_BUSY);
    assert_int_equal(daybook_fetch(engine, "visit", NOWHERE, error), DAYBOOK_BUSY);
    assert_int_equal(daybook_verify(engine), DAYBOOK_OK);
    assert_int_equal(daybook_wake(engine), DAYBOOK_OK);
    daybook_stop(engine);
    again = engine;
    daybook_close(&again);
    assert_ptr_equal(again, engine);
    daybook_status status = daybook_start(engine, 0);
    assert_int_equal(status, inside->on_thread ? DAYBOOK_BUSY : DAYBOOK_OK);
    assert_int_equal(daybook_sync(engine, 0, error), DAYBOOK_BUSY);
}

static const struct {
    const char *names; /* of what it calls */
    calls *run;
} GROUPS[] = {
    {"version status_name status_text status_class pending_count business_day query_json free "
     "expected_holds clear_hold forget get_status",
     plain},
    {"begin put set_text set_int set_bool set_id set_null set_add set_remove set_custom put_json "
     "patch_json patch read record_id record_version get_text get_int delete transaction_error "
     "commit end",
     writing},
    {"query_open bind_text bind_int bind_id bind_null step column_count column_name column_text "
     "column_int column_is_null query_reset query_error query_close visit_counts",
     reading},
    {"watch_close watch_open inbox_watch", watching},
    {"inbox_use_theirs inbox_reopen inbox_keep_mine inbox_discard", inbox},
    {"open enrol fetch verify wake stop close start sync", syncing},
};

/* Whether the name is a word of a group's. */
static bool is_called(const char *name, size_t length)
{
    for (size_t i = 0; i < COUNT(GROUPS); i++) {
        const char *at = GROUPS[i].names;
        for (; *at != '\0'; at += strspn(at, " ")) {
            size_t word = strcspn(at, " ");
            if (word == length && strncmp(at, name, length) == 0) {
                return true;
            }
            at += word;
        }
    }
    return false;
}

static void test_api_callbacks__no_function_is_left_out(void **state)
{
    static char text[200000];
    FILE *file = fopen(HEADER, "r");
    int found = 0;
    (void)state;
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    for (char *at = strstr(text, "DAYBOOK_API "); at != NULL; at = strstr(at + 1, "DAYBOOK_API ")) {
        char *name = strstr(at, "daybook_");
        while (name != NULL && name[strspn(name, "abcdefghijklmnopqrstuvwxyz_")] != '(') {
            name = strstr(name + 1, "daybook_");
        }
        assert_non_null(name);
        name += strlen("daybook_");
        size_t length = strcspn(name, "(");
        found++;
        if (!is_called(name, length)) {
            fail_msg("daybook_%.*s is not called within a callback", (int)length, name);
        }
    }
    assert_true(found > 50);
}

static void call_all(void *context)
{
    struct inside *inside = context;
    daybook_error error = DAYBOOK_ERROR_INIT;
    if (inside->done) {
        return;
    }
    inside->done = true;
    for (size_t i = 0; i < COUNT(GROUPS); i++) {
        GROUPS[i].run(inside, inside->world->engine, &error);
    }
    atomic_store(&inside->left, true);
}

static void call_all_for_items(void *context, int64_t after)
{
    struct inside *inside = context;
    (void)after;
    inside->item = device_int(&inside->world->device, "SELECT max(item) FROM inbox");
    call_all(context);
}

/* Waits until the flag is set by another thread. */
static void await(atomic_bool *flag)
{
    const struct timespec pause = {0, 1000000};
    while (!atomic_load(flag)) {
        (void)nanosleep(&pause, NULL);
    }
}

/* Enrolled, a customer in step, an item in the inbox, and the next changeset will be rejected. */
static void prepare(struct world *world, struct inside *inside)
{
    inside->world = world;
    device_enrol(&world->device, SCRIPT_CODE);
    device_customer(&world->device, "Wu", inside->customer);
    device_sync(&world->device);
    script_reject(&world->script, 2, REJECT_RULE, "kind", "test");
    device_patch_text(&world->device, "customer", inside->customer, "kind", "refused");
    device_sync(&world->device);
    inside->item = device_int(&world->device, "SELECT item FROM inbox");
    script_reject(&world->script, 3, REJECT_RULE, "prefs", "test");
    device_must(daybook_watch_open(world->engine, "SELECT 1 FROM visit", unseen, NULL,
                                   &inside->other, NULL),
                NULL);
}

/* The engine works as before, once it has verified, which the scripted server has no sums for. */
static void goes_on(struct world *world, daybook_watch **watch)
{
    daybook_stop(world->engine);
    daybook_watch_close(watch);
    (void)daybook_sync(world->engine, 0, NULL);
    device_sync(&world->device);
    assert_int_equal(device_status(&world->device).pending, 0);
}

static void test_api_callbacks__within_a_commit(void **state)
{
    struct world *world = *state;
    struct inside inside = {0};
    daybook_watch *watch = NULL;
    prepare(world, &inside);
    device_must(daybook_watch_open(world->engine, "SELECT 1 FROM customer", call_all, &inside,
                                   &watch, NULL),
                NULL);
    device_customer(&world->device, "Li", NULL);
    assert_true(inside.done);
    goes_on(world, &watch);
}

static void test_api_callbacks__within_a_sync_of_the_inbox(void **state)
{
    struct world *world = *state;
    struct inside inside = {0};
    daybook_watch *watch = NULL;
    prepare(world, &inside);
    assert_int_equal(daybook_inbox_watch(world->engine, call_all_for_items, &inside, &watch),
                     DAYBOOK_OK);
    device_patch_text(&world->device, "customer", inside.customer, "prefs", "refused too");
    device_sync_expect(&world->device, DAYBOOK_BAD_REPLY); /* after the reply that calls back */
    assert_non_null(strstr(world->device.error.text, "contents could not be compared"));
    assert_true(inside.done);
    goes_on(world, &watch);
}

static void test_api_callbacks__within_the_sync_thread(void **state)
{
    struct world *world = *state;
    struct inside inside = {.on_thread = true};
    daybook_watch *watch = NULL;
    prepare(world, &inside);
    (void)script_add_customer(&world->script, "somebody else's");
    device_must(daybook_watch_open(world->engine, "SELECT 1 FROM customer", call_all, &inside,
                                   &watch, NULL),
                NULL);
    device_must(daybook_start(world->engine, 0), NULL);
    await(&inside.left);
    goes_on(world, &watch);
}

/* Starts the thread when another has begun to stop it. */
static void start_late(void *context)
{
    struct inside *inside = context;
    if (!atomic_exchange(&inside->entered, true)) {
        await(&inside->release);
        /* the stop has begun when the status says that nothing runs */
        while (device_status(&inside->world->device).running) {
        }
        inside->started = daybook_start(inside->world->engine, 0);
        atomic_store(&inside->left, true);
    }
}

static void test_api_callbacks__a_start_while_another_thread_stops(void **state)
{
    struct world *world = *state;
    struct inside inside = {0};
    daybook_watch *watch = NULL;
    prepare(world, &inside);
    (void)script_add_customer(&world->script, "somebody else's");
    device_must(daybook_watch_open(world->engine, "SELECT 1 FROM customer", start_late, &inside,
                                   &watch, NULL),
                NULL);
    device_must(daybook_start(world->engine, 0), NULL);
    await(&inside.entered);
    atomic_store(&inside.release, true);
    daybook_stop(world->engine);
    assert_true(atomic_load(&inside.left));
    assert_int_equal(inside.started, DAYBOOK_BUSY);
    daybook_watch_close(&watch);
    daybook_watch_close(&inside.other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(test_api_callbacks__no_function_is_left_out),
        API_TEST(test_api_callbacks__within_a_commit),
        API_TEST(test_api_callbacks__within_a_sync_of_the_inbox),
        API_TEST(test_api_callbacks__within_the_sync_thread),
        API_TEST(test_api_callbacks__a_start_while_another_thread_stops),
    };
    return cmocka_run_group_tests_name("api callbacks", tests, NULL, NULL);
}
