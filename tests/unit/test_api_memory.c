/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that fails: a story of the whole API is told again and again, and each time another
 * allocation of the engine or of SQLite fails, once or from then on. Every call ends with a named
 * status, what said OK is there, what did not is not, and the store opens again. This file brings
 * its own dk_memory functions, which the linker takes instead of the library's.
 */
#include "engine/base/database.h"
#include "engine/base/memory.h"
#include "tests/support/device.h"
#include "tests/support/script.h"

#include <daybook/daybook.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
    struct script script;
    struct device device;
};

/* ---- memory that fails */

static atomic_long calls;     /* since the story began */
static atomic_bool of_sqlite; /* SQLite's allocations count, not the engine's */
static sqlite3_mem_methods real_memory;
static atomic_long fails_at; /* this call fails; 0: none */
static atomic_bool for_good; /* and all after it */
static atomic_bool spared;   /* the scripted server is at work, whose memory is good */

/* Whether this allocation fails. */
static bool strikes(bool sqlite)
{
    if (atomic_load(&spared) || atomic_load(&of_sqlite) != sqlite) {
        return false;
    }
    long now = atomic_fetch_add(&calls, 1) + 1;
    long at = atomic_load(&fails_at);
    return at != 0 && (now == at || (now > at && atomic_load(&for_good)));
}

void *dk_memory_new(size_t count, size_t size)
{
    return strikes(false) ? NULL : calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);
}

void *dk_memory_resize(void *block, size_t size)
{
    return strikes(false) ? NULL : realloc(block, size == 0 ? 1 : size);
}

char *dk_memory_copy_text(const char *text, size_t length)
{
    char *copy = strikes(false) ? NULL : malloc(length + 1);
    if (copy != NULL) {
        memcpy(copy, text == NULL ? "" : text, length);
        copy[length] = '\0';
    }
    return copy;
}

void dk_memory_free(void *block)
{
    free(block);
}

static void *sqlite_malloc(int size)
{
    return strikes(true) ? NULL : real_memory.xMalloc(size);
}

static void *sqlite_realloc(void *block, int size)
{
    return strikes(true) ? NULL : real_memory.xRealloc(block, size);
}

/* Before SQLite is used for the first time. */
static int replace_sqlite_memory(void **state)
{
    (void)state;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory) != SQLITE_OK) {
        return -1;
    }
    sqlite3_mem_methods faulty = real_memory;
    faulty.xMalloc = sqlite_malloc;
    faulty.xRealloc = sqlite_realloc;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &faulty) == SQLITE_OK ? 0 : -1;
}

/* The script's exchange, in its own memory. */
static daybook_status spared_exchange(void *context, void *connection,
                                      const struct daybook_request *request,
                                      struct daybook_reply *reply)
{
    atomic_store(&spared, true);
    daybook_status status = script_exchange(context, connection, request, reply);
    atomic_store(&spared, false);
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
            print_error("allocation %ld: %s\n", (long)atomic_load(&fails_at),
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
    atomic_store(&calls, 0);
    atomic_store(&for_good, sticky);
    atomic_store(&fails_at, fail_at);
    struct outcome outcome = tell(&world);
    *count = atomic_load(&calls);
    atomic_store(&fails_at, 0);
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
    for (long at = 1; at <= count; at++) {
        long ignored;
        told_of += tell_and_check(at, false, &ignored) > 0;
    }
    /* nearly all are told of; the others are caches that can do without */
    assert_true(told_of > count * 9 / 10);
}

static void test_api_memory__sqlites_allocations_fail(void **state)
{
    (void)state;
    long count = 0;
    atomic_store(&of_sqlite, true);
    assert_int_equal(tell_and_check(0, false, &count), 0);
    assert_true(count > 500);
    /* a hundred of them, spread over the story, in turns once and for good */
    for (long at = 1; at <= count; at += count / 100) {
        long ignored;
        (void)tell_and_check(at, at % 2 == 0, &ignored);
    }
    atomic_store(&of_sqlite, false);
}

static void test_api_memory__each_allocation_fails_for_good(void **state)
{
    (void)state;
    long count = 0;
    assert_int_equal(tell_and_check(0, false, &count), 0);
    for (long at = 1; at <= count; at++) {
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
    return cmocka_run_group_tests(tests, replace_sqlite_memory, NULL);
}
