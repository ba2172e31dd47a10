/* SPDX-License-Identifier: Apache-2.0
 *
 * Watches: who is called, when, and that nobody is after the close.
 */
#include "tests/unit/api_world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

struct counter { /* of calls */
    struct world *world;
    daybook_watch *watch;
    atomic_int calls;
    int budget; /* so many callbacks commit something themselves */
    atomic_bool blocked, release;
};

static void count(void *context)
{
    struct counter *counter = context;
    atomic_fetch_add(&counter->calls, 1);
}

static void pause_ms(long ms)
{
    const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

static daybook_watch *watch(struct world *world, const char *sql, void (*changed)(void *context),
                            struct counter *counter)
{
    daybook_error error = DAYBOOK_ERROR_INIT;
    counter->world = world;
    device_must(daybook_watch_open(world->engine, sql, changed, counter, &counter->watch, &error),
                &error);
    return counter->watch;
}

static void test_api_watch__only_what_the_query_reads_counts(void **state)
{
    struct world *world = *state;
    struct counter customers = {0}, visits = {0}, both = {0}, none = {0};
    char customer[DAYBOOK_ID_SIZE];
    daybook_watch *watches[] = {
        watch(world, "SELECT count(*) FROM customer", count, &customers),
        watch(world, "SELECT feedback FROM visit WHERE customer_id = '1'", count, &visits),
        watch(world, "SELECT c.name FROM visit v JOIN customer c ON c.id_key = v.customer_id_key",
              count, &both),
        watch(world, "SELECT 1", count, &none),
    };
    device_customer(&world->device, "Wu", customer);
    assert_int_equal(customers.calls, 1);
    assert_int_equal(visits.calls, 0);
    assert_int_equal(both.calls, 1);
    device_visit(&world->device, customer, "fine", NULL);
    assert_int_equal(customers.calls, 1);
    assert_int_equal(visits.calls, 1);
    assert_int_equal(both.calls, 2);
    assert_int_equal(none.calls, 0);
    for (size_t i = 0; i < COUNT(watches); i++) {
        daybook_watch_close(&watches[i]);
        assert_null(watches[i]);
    }
    device_customer(&world->device, "Li", customer);
    assert_int_equal(customers.calls, 1);
}

static void test_api_watch__rolled_back_and_failed_work_is_no_news(void **state)
{
    struct world *world = *state;
    struct counter counter = {0};
    daybook_transaction *transaction = NULL;
    daybook_record *record = NULL;
    (void)watch(world, "SELECT * FROM customer", count, &counter);
    device_must(daybook_begin(world->engine, &transaction), NULL);
    device_must(daybook_put(transaction, "customer", NULL, DAYBOOK_NEW, &record), NULL);
    assert_int_equal(daybook_commit(transaction, NULL), DAYBOOK_REQUIRED);
    daybook_end(&transaction);
    assert_int_equal(counter.calls, 0);
    daybook_watch_close(&counter.watch);
}

static void test_api_watch__what_a_sync_brings_is_news(void **state)
{
    struct world *world = *state;
    struct counter customers = {0}, states = {0};
    device_enrol(&world->device, SCRIPT_CODE);
    (void)watch(world, "SELECT name FROM customer", count, &customers);
    (void)watch(world, "SELECT state FROM sync_state", count, &states);
    (void)script_add_customer(&world->script, "somebody else's");
    device_sync(&world->device);
    assert_int_equal(customers.calls, 1);
    assert_true(states.calls >= 1);
    daybook_watch_close(&customers.watch);
    daybook_watch_close(&states.watch);
}

static void test_api_watch__bad_sql_is_refused(void **state)
{
    struct world *world = *state;
    daybook_watch *watch = (daybook_watch *)1;
    daybook_error error = DAYBOOK_ERROR_INIT;
    assert_int_equal(
        daybook_watch_open(world->engine, "SELECT * FROM outbox", count, NULL, &watch, &error),
        DAYBOOK_BAD_SQL);
    assert_null(watch);
    assert_true(strlen(error.text) > 0);
    assert_int_equal(daybook_watch_open(world->engine, "SELECT 1", NULL, NULL, &watch, &error),
                     DAYBOOK_MISUSE);
}

/* Commits another customer as long as the budget lasts; the second customer comes from inside the
 * callback of the first. */
static void commit_again(void *context)
{
    struct counter *counter = context;
    atomic_fetch_add(&counter->calls, 1);
    if (counter->budget > 0) {
        counter->budget--;
        device_customer(&counter->world->device, "from a callback", NULL);
    }
}

static void test_api_watch__a_callback_may_commit(void **state)
{
    struct world *world = *state;
    struct counter counter = {.budget = 50};
    (void)watch(world, "SELECT * FROM customer", commit_again, &counter);
    device_customer(&world->device, "first", NULL);
    /* then: each commit was told, one after the other, without nesting */
    assert_int_equal(counter.calls, 51);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM customer"), 51);
    daybook_watch_close(&counter.watch);
}

/* Tries what a callback must not do, then closes its own watch. */
static void close_inside(void *context)
{
    struct counter *counter = context;
    daybook *engine = counter->world->engine;
    atomic_fetch_add(&counter->calls, 1);
    daybook_close(&engine);
    assert_ptr_equal(engine, counter->world->engine);
    daybook_stop(engine);
    assert_int_equal(daybook_enrol(engine, "code", NULL, NULL), DAYBOOK_BUSY);
    daybook_watch_close(&counter->watch);
}

static void test_api_watch__a_callback_may_end_its_own_watch(void **state)
{
    struct world *world = *state;
    struct counter counter = {0};
    (void)watch(world, "SELECT * FROM customer", close_inside, &counter);
    device_customer(&world->device, "first", NULL);
    assert_int_equal(counter.calls, 1);
    assert_null(counter.watch);
    device_customer(&world->device, "second", NULL);
    assert_int_equal(counter.calls, 1);
}

/* Says that it runs and waits until it is released. */
static void block(void *context)
{
    struct counter *counter = context;
    atomic_store(&counter->blocked, true);
    while (!atomic_load(&counter->release)) {
        pause_ms(1);
    }
    atomic_fetch_add(&counter->calls, 1);
}

static void *commit_one(void *context)
{
    struct world *world = context;
    device_customer(&world->device, "from another thread", NULL);
    return NULL;
}

struct closer {
    struct counter *counter;
    atomic_bool done;
};

static void *close_watch(void *context)
{
    struct closer *closer = context;
    daybook_watch_close(&closer->counter->watch);
    /* the callback has ended before the close returned */
    assert_int_equal(closer->counter->calls, 1);
    atomic_store(&closer->done, true);
    return NULL;
}

static void test_api_watch__close_waits_for_a_callback_that_runs(void **state)
{
    struct world *world = *state;
    struct counter counter = {0};
    struct closer closer = {.counter = &counter};
    pthread_t committing, closing;
    (void)watch(world, "SELECT * FROM customer", block, &counter);
    assert_int_equal(pthread_create(&committing, NULL, commit_one, world), 0);
    while (!atomic_load(&counter.blocked)) {
        pause_ms(1);
    }
    assert_int_equal(pthread_create(&closing, NULL, close_watch, &closer), 0);
    pause_ms(30);
    assert_false(atomic_load(&closer.done));
    atomic_store(&counter.release, true);
    assert_int_equal(pthread_join(closing, NULL), 0);
    assert_int_equal(pthread_join(committing, NULL), 0);
    assert_true(atomic_load(&closer.done));
}

static void test_api_watch__a_slow_callback_makes_no_commit_wait(void **state)
{
    struct world *world = *state;
    struct counter slow = {0}, quick = {0};
    pthread_t committing;
    (void)watch(world, "SELECT * FROM customer", block, &slow);
    (void)watch(world, "SELECT * FROM customer", count, &quick);
    assert_int_equal(pthread_create(&committing, NULL, commit_one, world), 0);
    while (!atomic_load(&slow.blocked)) {
        pause_ms(1);
    }
    /* when: ten more commits come while the callback is stuck */
    for (int i = 0; i < 10; i++) {
        device_customer(&world->device, "meanwhile", NULL);
    }
    assert_int_equal(slow.calls, 0);
    atomic_store(&slow.release, true);
    assert_int_equal(pthread_join(committing, NULL), 0);
    /* then: they were told in one call more, and in one or two */
    assert_int_equal(slow.calls, 2);
    assert_in_range(quick.calls, 1, 2);
    daybook_watch_close(&slow.watch);
    daybook_watch_close(&quick.watch);
}

static void test_api_watch__the_engines_close_ends_all(void **state)
{
    struct world *world = *state;
    struct counter counter = {0};
    (void)watch(world, "SELECT * FROM customer", count, &counter);
    device_close(&world->device);
    daybook_watch_close(&counter.watch);
    assert_int_equal(counter.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(test_api_watch__only_what_the_query_reads_counts),
        API_TEST(test_api_watch__rolled_back_and_failed_work_is_no_news),
        API_TEST(test_api_watch__what_a_sync_brings_is_news),
        API_TEST(test_api_watch__bad_sql_is_refused),
        API_TEST(test_api_watch__a_callback_may_commit),
        API_TEST(test_api_watch__a_callback_may_end_its_own_watch),
        API_TEST(test_api_watch__close_waits_for_a_callback_that_runs),
        API_TEST(test_api_watch__a_slow_callback_makes_no_commit_wait),
        API_TEST(test_api_watch__the_engines_close_ends_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
