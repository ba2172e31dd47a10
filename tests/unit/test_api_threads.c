/* SPDX-License-Identifier: Apache-2.0
 *
 * Many threads on one engine: writers, readers, watches and the sync thread at once, and a close in
 * the middle of it. Meant for the thread sanitizer; the counts must be right anywhere.
 */
#include "tests/unit/api_world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { WRITERS = 3, READERS = 2, COMMITS = 60 };

struct shared {
    struct world *world;
    atomic_int committed, told, rows;
    atomic_bool stop;
};

static void told(void *context)
{
    struct shared *shared = context;
    atomic_fetch_add(&shared->told, 1);
}

static void pause_ms(long ms)
{
    const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

/* Commits customers until told to stop or the engine is closed. */
static void *write_records(void *argument)
{
    struct shared *shared = argument;
    for (int i = 0; i < COMMITS && !atomic_load(&shared->stop); i++) {
        daybook_transaction *transaction = NULL;
        daybook_record *record = NULL;
        if (daybook_begin(shared->world->engine, &transaction) != DAYBOOK_OK) {
            break;
        }
        daybook_status status = daybook_put(transaction, "customer", NULL, DAYBOOK_NEW, &record);
        if (status == DAYBOOK_OK) {
            status = daybook_set_text(record, "name", "from a thread");
        }
        if (status == DAYBOOK_OK) {
            status = daybook_commit(transaction, NULL);
        }
        daybook_end(&transaction);
        if (status != DAYBOOK_OK) {
            assert_int_equal(status, DAYBOOK_MISUSE); /* closed */
            break;
        }
        atomic_fetch_add(&shared->committed, 1);
    }
    return NULL;
}

/* Counts rows and opens and closes watches meanwhile; never sees half a transaction. */
static void *read_records(void *argument)
{
    struct shared *shared = argument;
    while (!atomic_load(&shared->stop)) {
        daybook_query *query = NULL;
        daybook_watch *watch = NULL;
        bool row = true;
        if (daybook_query_open(shared->world->engine, "SELECT name FROM customer", &query, NULL) !=
            DAYBOOK_OK) {
            break;
        }
        (void)daybook_watch_open(shared->world->engine, "SELECT * FROM customer", told, shared,
                                 &watch, NULL);
        while (daybook_step(query, &row) == DAYBOOK_OK && row) {
            const char *name = daybook_column_text(query, 0);
            if (name != NULL) {
                assert_string_equal(name, "from a thread");
            }
            atomic_fetch_add(&shared->rows, 1);
        }
        daybook_watch_close(&watch);
        daybook_query_close(&query);
    }
    return NULL;
}

static void test_api_threads__all_at_once(void **state)
{
    struct world *world = *state;
    struct shared shared = {.world = world};
    pthread_t writers[WRITERS], readers[READERS];
    daybook_watch *watch = NULL;
    device_enrol(&world->device, SCRIPT_CODE);
    device_must(
        daybook_watch_open(world->engine, "SELECT * FROM customer", told, &shared, &watch, NULL),
        NULL);
    assert_int_equal(daybook_start(world->engine, 0), DAYBOOK_OK);
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_create(&writers[i], NULL, write_records, &shared), 0);
    }
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_records, &shared), 0);
    }
    for (int i = 0; i < 20; i++) {
        (void)device_status(&world->device);
        daybook_wake(world->engine);
        script_pass(&world->script, 100);
        pause_ms(2);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(writers[i], NULL), 0);
    }
    atomic_store(&shared.stop, true);
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(readers[i], NULL), 0);
    }
    daybook_stop(world->engine);
    device_sync(&world->device);
    assert_int_equal(shared.committed, WRITERS * COMMITS);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM customer"),
                     WRITERS * COMMITS);
    assert_int_equal(device_status(&world->device).pending, 0);
    assert_int_equal(world->script.head, WRITERS * COMMITS);
    assert_true(shared.told > 0);
    daybook_watch_close(&watch);
}

static void test_api_threads__transactions_outlive_the_close(void **state)
{
    struct world *world = *state;
    device_enrol(&world->device, SCRIPT_CODE);
    assert_int_equal(daybook_start(world->engine, 0), DAYBOOK_OK);
    /* given: transactions begun before the close; each holds the engine */
    daybook_transaction *transactions[WRITERS] = {NULL};
    daybook_record *record = NULL;
    for (int i = 0; i < WRITERS; i++) {
        device_must(daybook_begin(world->engine, &transactions[i]), NULL);
        device_must(daybook_put(transactions[i], "customer", NULL, DAYBOOK_NEW, &record), NULL);
        device_must(daybook_set_text(record, "name", "from a thread"), NULL);
    }
    pause_ms(5);
    device_close(&world->device);
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(daybook_commit(transactions[i], NULL), DAYBOOK_MISUSE);
        daybook_end(&transactions[i]);
    }
    device_open(&world->device);
    world->engine = world->device.engine;
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM customer"), 0);
}

/* Commits its own transaction, which may meet the close. */
static void *commit_one(void *argument)
{
    daybook_transaction *transaction = argument;
    daybook_status status = daybook_commit(transaction, NULL);
    assert_true(status == DAYBOOK_OK || status == DAYBOOK_MISUSE);
    daybook_end(&transaction);
    return status == DAYBOOK_OK ? argument : NULL;
}

static void test_api_threads__commits_that_meet_the_close(void **state)
{
    struct world *world = *state;
    for (int round = 0; round < 20; round++) {
        pthread_t threads[WRITERS];
        int done = 0;
        int64_t before = device_int(&world->device, "SELECT count(*) FROM customer");
        for (int i = 0; i < WRITERS; i++) {
            daybook_transaction *transaction = NULL;
            daybook_record *record = NULL;
            device_must(daybook_begin(world->device.engine, &transaction), NULL);
            device_must(daybook_put(transaction, "customer", NULL, DAYBOOK_NEW, &record), NULL);
            device_must(daybook_set_text(record, "name", "from a thread"), NULL);
            assert_int_equal(pthread_create(&threads[i], NULL, commit_one, transaction), 0);
        }
        device_close(&world->device);
        for (int i = 0; i < WRITERS; i++) {
            void *result;
            assert_int_equal(pthread_join(threads[i], &result), 0);
            done += result != NULL;
        }
        /* then: what said OK is there, and nothing else */
        device_open(&world->device);
        assert_int_equal(device_int(&world->device, "SELECT count(*) FROM customer"),
                         before + done);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(test_api_threads__all_at_once),
        API_TEST(test_api_threads__transactions_outlive_the_close),
        API_TEST(test_api_threads__commits_that_meet_the_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
