/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that fails: a story of the whole API is told again and again, and each time another
 * allocation of the engine or of SQLite fails, once or from then on. Every call ends with a named
 * status, what said OK is there, what did not is not, and the store opens again.
 */
#include "tests/support/device.h"
#include "tests/support/script.h"
#include "tests/unit/faulty_memory.h"

#include <daybook/daybook.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Sanitizers take longer: there each so many-th fails, from another one on in each test. */
#if defined(DAYBOOK_SANITIZED)
#define STEP 3
#else
#define STEP 1
#endif

struct world {
    struct script script;
    struct device device;
};

/* The script's exchange, in its own memory. */
static daybook_status spared_exchange(void *context, void *connection,
                                      const struct daybook_request *request,
                                      struct daybook_reply *reply)
{
    memory_spared = true;
    daybook_status status = script_exchange(context, connection, request, reply);
    memory_spared = false;
    return status;
}

/* ---- the story */

/* What the story's calls said. */
struct outcome {
    struct world *world;
    int committed; /* commits that said OK */
    int failed;    /* calls that did not */
};

/* Notes a status: no failure but that of memory is allowed, nor one that follows from it. */
static bool fine(struct outcome *outcome, daybook_status status)
{
    if (status != DAYBOOK_OK) {
        if (status != DAYBOOK_NO_MEMORY) {
            print_error("allocation %ld: %s\n", (long)atomic_load(&memory_fails_at),
                        daybook_status_name(status));
        }
        assert_int_equal(status, DAYBOOK_NO_MEMORY);
        outcome->failed++;
    }
    return status == DAYBOOK_OK;
}

static void told(void *context)
{
    (void)context;
}

/* A customer with all kinds of fields, and a visit given as JSON. */
static void write_something(struct outcome *outcome, daybook *engine, char *id)
{
    daybook_transaction *transaction = NULL;
    daybook_record *record = NULL;
    const char *text;
    char json[200];
    if (!fine(outcome, daybook_begin(engine, &transaction))) {
        return;
    }
    if (fine(outcome, daybook_put(transaction, "customer", NULL, DAYBOOK_NEW, &record))) {
        bool named = fine(outcome, daybook_set_text(record, "name", "Wu"));
        (void)fine(outcome, daybook_set_int(record, "potential_bp", 500));
        (void)fine(outcome, daybook_set_add(record, "tags", "gold"));
        (void)fine(outcome, daybook_set_custom(record, "vip", "true"));
        (void)fine(outcome, daybook_get_text(record, "tags", &text));
        memcpy(id, daybook_record_id(record), DAYBOOK_ID_SIZE);
        (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\",\"feedback\":\"fine\"}", id);
        (void)fine(outcome,
                   daybook_put_json(transaction, "visit", NULL, DAYBOOK_NEW, json, NULL, NULL));
        if (named && fine(outcome, daybook_commit(transaction, NULL))) {
            outcome->committed++;
        } else {
            id[0] = '\0';
        }
    }
    daybook_end(&transaction);
}

/* Changes the customer and reads it through the transaction. */
static void patch_something(struct outcome *outcome, daybook *engine, const char *id)
{
    daybook_transaction *transaction = NULL;
    daybook_record *record = NULL;
    if (!fine(outcome, daybook_begin(engine, &transaction))) {
        return;
    }
    if (fine(outcome, daybook_patch(transaction, "customer", id, DAYBOOK_ANY_VERSION, &record)) &&
        fine(outcome, daybook_set_text(record, "kind", "shop"))) {
        (void)fine(outcome, daybook_set_add(record, "tags", "north"));
        (void)fine(outcome, daybook_read(transaction, "customer", id, &record));
        if (fine(outcome, daybook_commit(transaction, NULL))) {
            outcome->committed++;
        }
    }
    daybook_end(&transaction);
}

/* Queries in both forms, and a watch. */
static void read_something(struct outcome *outcome, daybook *engine)
{
    daybook_query *query = NULL;
    daybook_watch *watch = NULL;
    char *json = NULL;
    bool row = false;
    if (fine(outcome,
             daybook_query_open(engine, "SELECT name, id_key FROM customer WHERE name = ?1", &query,
                                NULL)) &&
        fine(outcome, daybook_bind_text(query, 1, "Wu")) &&
        fine(outcome, daybook_step(query, &row)) && row) {
        (void)daybook_column_text(query, 0);
        (void)daybook_column_text(query, 1);
        (void)fine(outcome, daybook_step(query, &row));
    }
    daybook_query_close(&query);
    (void)fine(outcome, daybook_query_json(engine, "SELECT * FROM visit WHERE doc_no IS ?1",
                                           "[null]", &json, NULL));
    daybook_free(json);
    (void)fine(outcome,
               daybook_watch_open(engine, "SELECT * FROM inbox", told, NULL, &watch, NULL));
    daybook_watch_close(&watch);
}

/* The whole story on a fresh store, with memory as it is planned. */
static struct outcome tell(struct world *world)
{
    struct outcome outcome = {.world = world};
    daybook *engine = NULL;
    char id[DAYBOOK_ID_SIZE] = "";
    if (fine(&outcome, daybook_open(&world->device.options, &engine, NULL))) {
        write_something(&outcome, engine, id);
        if (id[0] != '\0') {
            patch_something(&outcome, engine, id);
        }
        read_something(&outcome, engine);
        if (fine(&outcome, daybook_enrol(engine, SCRIPT_CODE, "test", NULL))) {
            (void)fine(&outcome, daybook_sync(engine, 0, NULL));
        }
    }
    daybook_close(&engine);
    return outcome;
}

/* Tells the story on a world of its own; then, with good memory, the store must be whole. Returns
 * how many calls failed; *count: allocations. */
static int tell_and_check(long fail_at, bool sticky, long *count)
{
    struct world world;
    memset(&world, 0, sizeof world);
    script_init(&world.script);
    world.script.platform.transport_exchange = spared_exchange;
    device_init(&world.device, &world.script.platform, "https://script.test", NULL);
    world.device.options.relaxed = true;
    memory_plan(fail_at, sticky);
    struct outcome outcome = tell(&world);
    *count = atomic_load(&memory_calls);
    memory_plan(0, false);
    device_open(&world.device);
    if (!device_status(&world.device).enrolled) {
        device_enrol(&world.device, SCRIPT_CODE);
    }
    device_sync(&world.device);
    assert_int_equal(device_status(&world.device).pending, 0);
    assert_int_equal(world.script.head, outcome.committed);
    assert_int_equal(device_int(&world.device, "SELECT count(*) FROM customer"),
                     outcome.committed > 0 ? 1 : 0);
    assert_int_equal(device_int(&world.device, "SELECT count(*) FROM customer WHERE kind = 'shop'"),
                     outcome.committed == 2 ? 1 : 0);
    device_clear(&world.device);
    script_clear(&world.script);
    return outcome.failed;
}

static void test_api_memory__each_allocation_fails_once(void **state)
{
    (void)state;
    long count = 0;
    assert_int_equal(tell_and_check(0, false, &count), 0);
    assert_true(count > 50);
    int told_of = 0;
    for (long at = 1; at <= count; at += STEP) {
        long ignored;
        told_of += tell_and_check(at, false, &ignored) > 0;
    }
    /* nearly all are told of; the others are caches that can do without */
    assert_true(told_of > count / STEP * 9 / 10);
}

static void test_api_memory__sqlites_allocations_fail(void **state)
{
    (void)state;
    long count = 0;
    atomic_store(&memory_of_sqlite, true);
    assert_int_equal(tell_and_check(0, false, &count), 0);
    assert_true(count > 500);
    /* a hundred of them, spread over the story, in turns once and for good */
    for (long at = 1; at <= count; at += count / 100) {
        long ignored;
        (void)tell_and_check(at, at % 2 == 0, &ignored);
    }
    atomic_store(&memory_of_sqlite, false);
}

static void test_api_memory__each_allocation_fails_for_good(void **state)
{
    (void)state;
    long count = 0;
    assert_int_equal(tell_and_check(0, false, &count), 0);
    for (long at = STEP; at <= count; at += STEP) {
        long ignored;
        assert_true(tell_and_check(at, true, &ignored) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_api_memory__each_allocation_fails_once),
        cmocka_unit_test(test_api_memory__each_allocation_fails_for_good),
        cmocka_unit_test(test_api_memory__sqlites_allocations_fail),
    };
    /* hundreds of stores: in memory where the system offers that */
    if (access("/dev/shm", W_OK) == 0) {
        (void)setenv("TMPDIR", "/dev/shm", 1);
    }
    return cmocka_run_group_tests(tests, memory_replace_sqlites, NULL);
}
