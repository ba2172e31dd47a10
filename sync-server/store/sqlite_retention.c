/* SPDX-License-Identifier: Apache-2.0
 *
 * How far back the log reaches, and what is cut off below. Called by workers for each reply, and by
 * the decider when it compacts. Invariant: nothing at or below the floor is needed by a device at
 * or above it.
 */
#include "sync-server/store/sqlite.h"

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
