/* SPDX-License-Identifier: Apache-2.0
 *
 * See desk.h: the calls that change a store. Each is broken off first, at some operation of
 * SQLite's machine, has done nothing then, and is made again. DAYBOOK_STORE_FAULTS=n: up to n
 * times.
 */
#include "tests/support/desk.h"

#include "engine/store/inside.h"
#include "tests/support/fault_place.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#define PLACES 14 /* operations are below 2^n */

static _Thread_local uint64_t chance = 1;
static _Thread_local long left; /* operations until it is broken off */

/* A transaction is being undone, which nothing breaks off but a disk, or there is none: what ends
 * it has been done. */
static bool is_spared(sqlite3 *handle)
{
    sqlite3_stmt *statement = sqlite3_next_stmt(handle, NULL);
    while (statement != NULL && (sqlite3_stmt_busy(statement) == 0 ||
                                 strncmp(sqlite3_sql(statement), "ROLLBACK", 8) != 0)) {
        statement = sqlite3_next_stmt(handle, statement);
    }
    return statement != NULL || sqlite3_get_autocommit(handle) != 0;
}

static int break_off(void *handle)
{
    if (left == 1 && is_spared(handle)) {
        return 0;
    }
    return left > 0 && --left == 0;
}

/* True where the call was broken off; else it has come to its end with *status. */
static bool is_broken(struct desk *desk, daybook_status (*call)(struct desk *desk),
                      daybook_status *status)
{
    struct store_state before = desk_state(desk), after;
    sqlite3 *handle = desk->store->database.handle;
    left = fault_place(&chance, PLACES);
    sqlite3_progress_handler(handle, 1, break_off, handle);
    *status = call(desk);
    sqlite3_progress_handler(handle, 0, NULL, NULL);
    if (left > 0) {
        return false;
    }
    assert_int_equal(*status, DAYBOOK_INTERRUPTED);
    after = desk_state(desk);
    assert_memory_equal(&before, &after, sizeof before);
    desk_check(desk);
    return true;
}

static daybook_status call_broken(struct desk *desk, daybook_status (*call)(struct desk *desk))
{
    const char *text = getenv("DAYBOOK_STORE_FAULTS");
    daybook_status status;
    for (long count = text == NULL ? 1 : strtol(text, NULL, 10); count > 0; count--) {
        if (!is_broken(desk, call, &status)) {
            return status;
        }
    }
    return call(desk);
}

/* What had been seen is settled in the draft. */
static daybook_status commit(struct desk *desk)
{
    static _Thread_local int64_t seen[DESK_CHANGES];
    for (int i = 0; i < desk->change_count; i++) {
        seen[i] = desk->changes[i].seen;
    }
    daybook_status status = dk_store_commit(desk->store, desk->changes, desk->change_count,
                                            dk_store_epoch(desk->store), NULL, 0, &desk->failure);
    for (int i = 0; i < desk->change_count && status == DAYBOOK_INTERRUPTED; i++) {
        desk->changes[i].seen = seen[i];
    }
    return status;
}

daybook_status desk_call_commit(struct desk *desk)
{
    return desk->whole ? commit(desk) : call_broken(desk, commit);
}

/* A copy, for it is read in place. */
static struct span copy_span(struct desk *desk, const struct buffer *buffer)
{
    struct span span = {NULL, buffer->length};
    if (buffer->length > 0) {
        span.bytes = dk_arena_copy(&desk->arena, buffer->bytes, buffer->length);
        assert_non_null(span.bytes);
    }
    return span;
}

static daybook_status apply(struct desk *desk)
{
    struct sync_reply *reply = &desk->reply;
    reply->log = copy_span(desk, &desk->log);
    reply->verdicts = copy_span(desk, &desk->verdicts);
    reply->scope = copy_span(desk, &desk->scope);
    reply->pages = copy_span(desk, &desk->pages);
    return dk_store_apply(desk->store, reply, &desk->arena, &desk->applied, &desk->reply_problem);
}

daybook_status desk_call_apply(struct desk *desk)
{
    return call_broken(desk, apply);
}
