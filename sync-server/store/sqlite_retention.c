/* SPDX-License-Identifier: Apache-2.0
 *
 * How far back the log reaches, and what is cut off below. Called by workers for each reply, and by
 * the decider when it compacts. Invariant: nothing at or below the floor is needed by a device at
 * or above it.
 */
#include "sync-server/store/sqlite.h"

#include "engine/base/text.h"
#include "engine/sales/sales.h"

#define LANES_MAX 100000 /* of one organisation: buckets that ever were */

/* See store.h. */
daybook_status srv_sqlite_get_floor(struct srv_store *store, int64_t org, int64_t *floor)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    bool row = false;
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.get_floor, "SELECT floor FROM org WHERE org = ?1", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    status = srv_sqlite_step(sqlite, statement, &row);
    if (status == DAYBOOK_OK && row) {
        *floor = dk_column_int(statement, 0);
        dk_reset(statement);
    }
    return status == DAYBOOK_OK && !row ? DAYBOOK_NOT_FOUND : status;
}

/* See store.h. */
daybook_status srv_sqlite_raise_floor(struct srv_store *store, int64_t org, int64_t floor)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.raise_floor,
                             "UPDATE org SET floor = max(floor, ?2) WHERE org = ?1", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_int(statement, 2, floor);
    status = srv_sqlite_run(sqlite, statement);
    if (status == DAYBOOK_OK && dk_database_changes(&sqlite->database) == 0) {
        return DAYBOOK_NOT_FOUND;
    }
    return status;
}

/* ---- by time ---- */

/* The time of the lane's first row at or after a key, and that key; *found false: there is none up
 * to the last key. */
static daybook_status find_time(struct sqlite_store *sqlite, int64_t from, int64_t last,
                                int64_t *key, int64_t *time_ms, bool *found)
{
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.log_time,
                             "SELECT key, time_ms FROM log WHERE key BETWEEN ?1 AND ?2"
                             " ORDER BY key LIMIT 1",
                             &status);
    *found = false;
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, from);
    dk_bind_int(statement, 2, last);
    status = srv_sqlite_step(sqlite, statement, found);
    if (status == DAYBOOK_OK && *found) {
        *key = dk_column_int(statement, 0);
        *time_ms = dk_column_int(statement, 1);
        dk_reset(statement);
    }
    return status;
}

/* Lowers *position below the lane's first row that is not before the time: found by halving, since
 * times ascend with positions. */
static daybook_status look_in_lane(struct sqlite_store *sqlite, int64_t lane, int64_t time_limit_ms,
                                   int64_t *position)
{
    int64_t first = lane << SQLITE_POSITION_BITS;
    int64_t low = first + 1, high = first + *position + 1; /* the row sought is in [low, high) */
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int64_t key = 0, time_ms = 0;
        bool found;
        daybook_status status = find_time(sqlite, middle, high - 1, &key, &time_ms, &found);
        if (status != DAYBOOK_OK) {
            return status;
        }
        if (found && time_ms < time_limit_ms) {
            low = key + 1;
        } else if (found && key < high) {
            high = middle;
            *position = key - first - 1 < *position ? key - first - 1 : *position;
        } else {
            high = middle;
        }
    }
    return DAYBOOK_OK;
}

/* The lanes of an organisation, in memory of the caller's. */
static daybook_status list_lanes(struct sqlite_store *sqlite, int64_t org, struct arena *arena,
                                 int64_t **lanes, int *count)
{
    bool row = false;
    int capacity = 0;
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.lanes_of,
        "SELECT lane, bucket FROM bucket WHERE org = ?1 ORDER BY lane", &status);
    *lanes = NULL;
    *count = 0;
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    status = srv_sqlite_step(sqlite, statement, &row);
    while (status == DAYBOOK_OK && row && *count < 2 * LANES_MAX) {
        for (int column = 0; column < 2 && status == DAYBOOK_OK; column++) {
            *lanes = dk_arena_grow(arena, *lanes, *count, &capacity, sizeof **lanes);
            if (*lanes == NULL) {
                status = DAYBOOK_NO_MEMORY;
            } else {
                (*lanes)[(*count)++] = dk_column_int(statement, column);
            }
        }
        if (status == DAYBOOK_OK) {
            status = srv_sqlite_step(sqlite, statement, &row);
        }
    }
    dk_reset(statement);
    return status;
}

/* See store.h. */
daybook_status srv_sqlite_position_before(struct srv_store *store, int64_t org, int64_t time_ms,
                                          int64_t head, int64_t *position)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    struct arena arena;
    int64_t *lanes;
    int count;
    *position = head;
    dk_arena_init(&arena, 4 * LANES_MAX * sizeof *lanes + 65536);
    daybook_status status = list_lanes(sqlite, org, &arena, &lanes, &count);
    for (int i = 0; i < count && status == DAYBOOK_OK; i += 2) {
        status = look_in_lane(sqlite, lanes[i], time_ms, position);
    }
    dk_arena_clear(&arena);
    return status;
}

/* ---- cutting ---- */

/* Runs a DELETE whose parameters are bound, and counts. */
static daybook_status run_cut(struct sqlite_store *sqlite, struct statement *statement,
                              int64_t *removed)
{
    daybook_status status = srv_sqlite_run(sqlite, statement);
    if (status == DAYBOOK_OK) {
        *removed += dk_database_changes(&sqlite->database);
    }
    return status;
}

/* Log rows and evictions of one bucket. */
static daybook_status cut_bucket(struct sqlite_store *sqlite, int64_t org, int64_t lane,
                                 int64_t bucket, int64_t floor, int limit, int64_t *removed)
{
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.cut_log,
                             "DELETE FROM log WHERE key IN (SELECT key FROM log"
                             " WHERE key BETWEEN ?1 AND ?2 ORDER BY key LIMIT ?3)",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, lane << SQLITE_POSITION_BITS);
    dk_bind_int(statement, 2, (lane << SQLITE_POSITION_BITS) + floor);
    dk_bind_int(statement, 3, limit);
    status = run_cut(sqlite, statement, removed);
    if (status != DAYBOOK_OK || *removed >= limit) {
        return status;
    }
    statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.cut_evictions,
        "DELETE FROM eviction WHERE org = ?1 AND bucket = ?2 AND (position, record) IN"
        " (SELECT position, record FROM eviction WHERE org = ?1 AND bucket = ?2"
        " AND position <= ?3 ORDER BY position, record LIMIT ?4)",
        &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_int(statement, 2, bucket);
    dk_bind_int(statement, 3, floor);
    dk_bind_int(statement, 4, limit);
    return run_cut(sqlite, statement, removed);
}

/* Tombstones of one entity; not those that have become another record: what names them is led on.
 */
static daybook_status cut_entity(struct sqlite_store *sqlite, int64_t org,
                                 const struct entity *entity, int64_t floor, int limit,
                                 int64_t *removed)
{
    char sql[400];
    daybook_status status;
    int redirect = dk_sales_redirect_field(entity);
    (void)dk_text_format(sql, sizeof sql,
                         "DELETE FROM s_%s WHERE org = ?1 AND id IN (SELECT id FROM s_%s"
                         " INDEXED BY s_%s_deleted WHERE org = ?1 AND deleted = 1"
                         " AND version <= ?2%s%s%s LIMIT ?3)",
                         entity->name, entity->name, entity->name, redirect < 0 ? "" : " AND ",
                         redirect < 0 ? "" : entity->fields[redirect].name,
                         redirect < 0 ? "" : " IS NULL");
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->entities[entity->kind].cut, sql, &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_int(statement, 2, floor);
    dk_bind_int(statement, 3, limit);
    return run_cut(sqlite, statement, removed);
}

/* What was given for records that are no more. */
static daybook_status cut_given(struct sqlite_store *sqlite, int64_t org,
                                const struct entity *entity)
{
    char sql[200];
    daybook_status status;
    (void)dk_text_format(sql, sizeof sql,
                         "DELETE FROM given WHERE org = ?1 AND entity = '%s'"
                         " AND record NOT IN (SELECT id FROM s_%s WHERE org = ?1)",
                         entity->name, entity->name);
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->entities[entity->kind].cut_given, sql, &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    return srv_sqlite_run(sqlite, statement);
}

/* See store.h. Entities are in an order in which documents stand before their lines. */
daybook_status srv_sqlite_cut(struct srv_store *store, int64_t org, int limit, int64_t *removed)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    struct arena arena;
    int64_t *lanes;
    int64_t floor = 0;
    int count = 0;
    dk_arena_init(&arena, 4 * LANES_MAX * sizeof *lanes + 65536);
    daybook_status status = srv_sqlite_get_floor(store, org, &floor);
    if (status == DAYBOOK_OK) {
        status = list_lanes(sqlite, org, &arena, &lanes, &count);
    }
    for (int i = 0; i < count && status == DAYBOOK_OK && *removed < limit; i += 2) {
        status = cut_bucket(sqlite, org, lanes[i], lanes[i + 1], floor, limit, removed);
    }
    for (int kind = 0; kind < ENTITY_COUNT && status == DAYBOOK_OK && *removed < limit; kind++) {
        int64_t before = *removed;
        status = cut_entity(sqlite, org, dk_entity(kind), floor, limit, removed);
        if (status == DAYBOOK_OK && *removed > before) {
            status = cut_given(sqlite, org, dk_entity(kind));
        }
    }
    dk_arena_clear(&arena);
    return status;
}
