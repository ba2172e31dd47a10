/* SPDX-License-Identifier: Apache-2.0
 *
 * The log: appended by the decider, read by workers through cursors that merge buckets by position.
 * A log key is lane * 2^41 + position, so one bucket's rows lie together in position order. A
 * cursor is a heap of lanes; those with a statement stand on their next row, the others are parked:
 * they know only the position of their next row, and get a statement when it is their turn.
 * Invariants: the heap's top has the smallest (position, bucket); every lane that is not parked
 * holds a slot of the connection, at most slot_max of them per cursor; no more slots are promised
 * to cursors than there are.
 */
#include "sync-server/store/sqlite.h"

#include "engine/base/memory.h"

#include <assert.h>
#include <string.h>

#define POSITION_BITS SQLITE_POSITION_BITS
#define POSITION_MAX (((int64_t)1 << POSITION_BITS) - 1)
#define LANE_MAX (((int64_t)1 << (62 - POSITION_BITS)) - 1)

enum log_column { LOG_KEY, LOG_DEVICE_NO, LOG_TIME_MS, LOG_BODY, LOG_OWN };

/* One bucket of a cursor. */
struct lane {
    int64_t bucket;
    int64_t first_key; /* of position 0 in this lane */
    int64_t position;  /* of the next row */
    int slot;          /* of the connection's log statements; -1: parked */
};

struct sqlite_cursor {
    struct srv_log_cursor base; /* first: the two are cast into each other */
    int64_t upto;
    bool delivered; /* the top's row has been handed out and must be left first */
    int slot_count; /* held by lanes */
    int slot_max;
    int victim; /* where the search for a lane to park goes on */
    int count;
    struct lane heap[]; /* smallest first */
};

/* EXISTS: there is a row of this bucket and position. NOT_FOUND: no such bucket. */
daybook_status srv_sqlite_append_log(struct srv_store *store, int64_t org,
                                     const struct srv_log_row *row)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    int64_t lane = 0;
    bool found = false;
    daybook_status status = srv_sqlite_lane(sqlite, org, row->bucket, &lane, &found);
    if (status != DAYBOOK_OK || !found) {
        return status == DAYBOOK_OK ? DAYBOOK_NOT_FOUND : status;
    }
    if (row->position > POSITION_MAX || lane > LANE_MAX) {
        return DAYBOOK_TOO_LARGE;
    }
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.append_log,
                             "INSERT INTO log(key, device_no, time_ms, body, own)"
                             " VALUES(?1, ?2, ?3, ?4, ?5)",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, (lane << POSITION_BITS) + row->position);
    dk_bind_int(statement, 2, row->device_no);
    dk_bind_int(statement, 3, row->time_ms);
    dk_bind_blob(statement, 4, row->body_size == 0 ? "" : row->body, row->body_size);
    dk_bind_blob(statement, 5, row->own_size == 0 ? NULL : row->own, row->own_size);
    return srv_sqlite_run(sqlite, statement);
}

/* ---- heap ---- */

/* The order of rows: by position, within one position by bucket. */
static bool is_before(const struct lane *a, const struct lane *b)
{
    return a->position != b->position ? a->position < b->position : a->bucket < b->bucket;
}

/* Moves the lane at `at` down to its place. */
static void sift_down(struct sqlite_cursor *cursor, int at)
{
    struct lane lane = cursor->heap[at];
    for (;;) {
        int child = 2 * at + 1;
        if (child >= cursor->count) {
            break;
        }
        if (child + 1 < cursor->count &&
            is_before(&cursor->heap[child + 1], &cursor->heap[child])) {
            child++;
        }
        if (!is_before(&cursor->heap[child], &lane)) {
            break;
        }
        cursor->heap[at] = cursor->heap[child];
        at = child;
    }
    cursor->heap[at] = lane;
}

/* ---- slots ---- */

/* The connection of a cursor. */
static struct sqlite_store *store_of(const struct sqlite_cursor *cursor)
{
    return srv_sqlite(cursor->base.store);
}

/* Gives the lane's statement back. */
static void park(struct sqlite_cursor *cursor, struct lane *lane)
{
    struct sqlite_lane_slot *slot = &store_of(cursor)->lanes[lane->slot];
    dk_reset(slot->statement);
    slot->lent = false;
    lane->slot = -1;
    cursor->slot_count--;
}

/* Parks some lane other than the top, taking turns, so that one has a slot to spare. */
static void park_another(struct sqlite_cursor *cursor)
{
    for (int i = 0; i < cursor->count; i++) {
        cursor->victim = cursor->victim + 1 < cursor->count ? cursor->victim + 1 : 1;
        if (cursor->victim < cursor->count && cursor->heap[cursor->victim].slot >= 0) {
            park(cursor, &cursor->heap[cursor->victim]);
            return;
        }
    }
}

/* A slot that is not lent, or -1. */
static int free_slot(const struct sqlite_store *sqlite)
{
    for (int i = 0; i < SQLITE_LANES; i++) {
        if (!sqlite->lanes[i].lent) {
            return i;
        }
    }
    return -1;
}

/* Half of the slots that no cursor has been promised, at least one: so several cursors can be open
 * at once. 0: all are promised. */
static int slot_share(const struct sqlite_store *sqlite)
{
    int left = SQLITE_LANES - sqlite->lanes_promised;
    return left > 1 ? left / 2 : left;
}

/* Steps a lane that has a statement: *row false at its end, where the statement is given back. */
static daybook_status step_lane(struct sqlite_cursor *cursor, struct lane *lane, bool *row)
{
    struct sqlite_store *sqlite = store_of(cursor);
    struct statement *statement = sqlite->lanes[lane->slot].statement;
    daybook_status status = srv_sqlite_step(sqlite, statement, row);
    if (status == DAYBOOK_OK && *row) {
        lane->position = dk_column_int(statement, LOG_KEY) - lane->first_key;
    } else {
        park(cursor, lane);
    }
    return status;
}

/* Gives the lane a statement on its first row at or after lane->position; *row false: it has none.
 */
static daybook_status wake(struct sqlite_cursor *cursor, struct lane *lane, bool *row)
{
    struct sqlite_store *sqlite = store_of(cursor);
    *row = false;
    int at = free_slot(sqlite);
    if (at < 0) {
        return DAYBOOK_BUSY;
    }
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->lanes[at].statement,
                             "SELECT key, device_no, time_ms, body, own FROM log"
                             " WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, lane->first_key + lane->position);
    dk_bind_int(statement, 2, lane->first_key + cursor->upto);
    sqlite->lanes[at].lent = true;
    lane->slot = at;
    cursor->slot_count++;
    return step_lane(cursor, lane, row);
}

/* ---- cursor ---- */

/* Adds a bucket to a cursor that is being opened: woken once to learn its first position, parked
 * again where slots are short, left out where it has no row. A bucket of another organisation, or
 * none, has no rows either. */
static daybook_status add_lane(struct sqlite_cursor *cursor, int64_t org, int64_t bucket,
                               int64_t after)
{
    int64_t number = 0;
    bool row = false;
    daybook_status status = srv_sqlite_lane(store_of(cursor), org, bucket, &number, &row);
    if (status != DAYBOOK_OK || !row) {
        return status;
    }
    struct lane *lane = &cursor->heap[cursor->count];
    *lane = (struct lane){
        .bucket = bucket, .first_key = number << POSITION_BITS, .position = after + 1, .slot = -1};
    status = wake(cursor, lane, &row);
    if (status == DAYBOOK_OK && row) {
        cursor->count++;
        if (cursor->slot_count == cursor->slot_max) {
            park(cursor, lane);
        }
    }
    return status;
}

/* See store.h. BUSY: too many cursors are open on this connection. */
daybook_status srv_sqlite_log_open(struct srv_store *store, int64_t org, const int64_t *buckets,
                                   int bucket_count, int64_t after, int64_t upto,
                                   struct srv_log_cursor **out)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    size_t size = sizeof(struct sqlite_cursor) + (size_t)bucket_count * sizeof(struct lane);
    daybook_status status = DAYBOOK_OK;
    struct sqlite_cursor *cursor = dk_memory_new(1, size);
    if (cursor == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    cursor->base.store = store;
    after = after < 0 ? 0 : after;
    cursor->upto = upto > POSITION_MAX ? POSITION_MAX : upto;
    cursor->slot_max = slot_share(sqlite);
    sqlite->lanes_promised += cursor->slot_max;
    if (cursor->slot_max == 0) {
        status = DAYBOOK_BUSY;
    }
    for (int i = 0; i < bucket_count && after < cursor->upto && status == DAYBOOK_OK; i++) {
        status = add_lane(cursor, org, buckets[i], after);
    }
    if (status != DAYBOOK_OK) {
        srv_sqlite_log_close(&cursor->base);
        return status;
    }
    for (int at = cursor->count / 2 - 1; at >= 0; at--) {
        sift_down(cursor, at);
    }
    *out = &cursor->base;
    return DAYBOOK_OK;
}

/* Leaves the row handed out before: steps the top and moves it to its place, or takes it out. */
static daybook_status leave_top(struct sqlite_cursor *cursor)
{
    bool row = false;
    daybook_status status = step_lane(cursor, &cursor->heap[0], &row);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (!row) {
        cursor->heap[0] = cursor->heap[--cursor->count];
    }
    if (cursor->count > 0) {
        sift_down(cursor, 0);
    }
    return DAYBOOK_OK;
}

/* Wakes the top where it is parked. Its row is there still: the cursor reads one snapshot, or rows
 * that are only ever added. */
static daybook_status wake_top(struct sqlite_cursor *cursor)
{
    bool row = false;
    if (cursor->heap[0].slot >= 0) {
        return DAYBOOK_OK;
    }
    if (cursor->slot_count == cursor->slot_max) {
        park_another(cursor);
    }
    int64_t expected = cursor->heap[0].position;
    daybook_status status = wake(cursor, &cursor->heap[0], &row);
    if (status == DAYBOOK_OK && (!row || cursor->heap[0].position != expected)) {
        status = DAYBOOK_CORRUPT;
    }
    return status;
}

/* See store.h. After a failure the cursor can only be closed. */
daybook_status srv_sqlite_log_next(struct srv_log_cursor *base, struct srv_log_row *row,
                                   bool *found)
{
    struct sqlite_cursor *cursor = (struct sqlite_cursor *)base;
    daybook_status status = DAYBOOK_OK;
    *found = false;
    if (cursor->delivered) {
        cursor->delivered = false;
        status = leave_top(cursor);
    }
    if (status != DAYBOOK_OK || cursor->count == 0) {
        return status;
    }
    status = wake_top(cursor);
    if (status != DAYBOOK_OK) {
        return status;
    }
    const struct lane *top = &cursor->heap[0];
    struct statement *statement = store_of(cursor)->lanes[top->slot].statement;
    row->position = top->position;
    row->bucket = top->bucket;
    row->device_no = (uint32_t)dk_column_int(statement, LOG_DEVICE_NO);
    row->time_ms = dk_column_int(statement, LOG_TIME_MS);
    row->body = dk_column_blob(statement, LOG_BODY, &row->body_size);
    row->own = dk_column_blob(statement, LOG_OWN, &row->own_size);
    if (row->body == NULL) {
        return DAYBOOK_NO_MEMORY; /* the column is NOT NULL: SQLite had no memory for it */
    }
    cursor->delivered = true;
    *found = true;
    return DAYBOOK_OK;
}

/* Gives all statements back. */
void srv_sqlite_log_close(struct srv_log_cursor *base)
{
    struct sqlite_cursor *cursor = (struct sqlite_cursor *)base;
    for (int i = 0; i < cursor->count; i++) {
        if (cursor->heap[i].slot >= 0) {
            park(cursor, &cursor->heap[i]);
        }
    }
    assert(cursor->slot_count == 0);
    store_of(cursor)->lanes_promised -= cursor->slot_max;
    dk_memory_free(cursor);
}
