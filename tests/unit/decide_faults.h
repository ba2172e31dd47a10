/* SPDX-License-Identifier: Apache-2.0
 *
 * Decisions that fail in the middle: before a test's decision is made, the same is tried with a
 * slice of memory that fails, or a statement that is broken off, and undone. So each test of the
 * decider is one of its failures, too: none may be passed over, and the decision behind it must be
 * what it would have been.
 *
 *   DAYBOOK_DECIDE_FAULTS=n  so many for each decision, without end; else one for each of the first
 */
#ifndef DAYBOOK_TESTS_DECIDE_FAULTS_H
#define DAYBOOK_TESTS_DECIDE_FAULTS_H

#include "sync-server/inside.h"
#include "sync-server/store/sqlite.h"
#include "tests/support/fault_place.h"
#include "tests/unit/faulty_arena.h"

#include <daybook/daybook.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define FAULTS_FIRST 300 /* decisions */
#define FAULT_SLICES 12  /* the failing one is below 2^n */
#define FAULT_OPERATIONS 15

static uint64_t fault_random = 1;
static long fault_decisions;
static long fault_left; /* operations of SQLite's machine until it is broken off */

static int fault_break(void *context)
{
    (void)context;
    return fault_left > 0 && --fault_left == 0;
}

/* One failure, in a transaction that is rolled back. */
static void fault_once(struct decide *decide, struct srv_store *store, struct decide_org *org,
                       const struct decide_author *author, const struct decide_input *input,
                       int64_t now_ms)
{
    struct verdict verdict;
    enum decide_answer answer;
    struct decide_author present = *author;
    int64_t head = org->head;
    sqlite3 *handle = srv_sqlite(store)->database.handle;
    bool for_good = fault_place(&fault_random, 1) == 1;
    bool is_sql = fault_place(&fault_random, 4) > 2;
    bool savepoints = fault_place(&fault_random, 1) == 1;
    srv_decide_use_savepoints(decide, savepoints);
    assert_int_equal(srv_store_begin(store), DAYBOOK_OK);
    if (is_sql) {
        fault_left = fault_place(&fault_random, FAULT_OPERATIONS);
        sqlite3_progress_handler(handle, 1, fault_break, NULL);
    } else {
        arena_plan(fault_place(&fault_random, FAULT_SLICES), for_good);
    }
    daybook_status status = srv_decide(decide, org, &present, input, now_ms, &verdict, &answer);
    bool struck = is_sql ? fault_left == 0 : arena_struck;
    sqlite3_progress_handler(handle, 0, NULL, NULL);
    arena_plan(0, false);
    srv_store_rollback(store);
    srv_decide_use_savepoints(decide, true);
    org->head = head;
    org->sum_count = 0;
    daybook_status wanted = !struck ? DAYBOOK_OK : is_sql ? DAYBOOK_INTERRUPTED : DAYBOOK_NO_MEMORY;
    /* Without savepoints what is refused behind its first write makes the transaction fail. */
    bool refused = !struck && !savepoints && status == DAYBOOK_INTERNAL;
    if (status != wanted && !refused) {
        fail_msg("a failure of %s%s: %s", is_sql ? "a statement" : "memory",
                 struck ? "" : " (none)", daybook_status_name(status));
    }
}

/* Before a decision, outside of a transaction. */
static void decide_with_faults(struct decide *decide, struct srv_store *store,
                               struct decide_org *org, const struct decide_author *author,
                               const struct decide_input *input, int64_t now_ms)
{
    const char *text = getenv("DAYBOOK_DECIDE_FAULTS");
    long count = text != NULL ? strtol(text, NULL, 10) : ++fault_decisions <= FAULTS_FIRST;
    for (long i = 0; i < count; i++) {
        fault_once(decide, store, org, author, input, now_ms);
    }
}

#endif
