/* SPDX-License-Identifier: Apache-2.0
 *
 * The version sums of buckets. Written by the decider with the records that move them, read by
 * workers for each reply that reaches the head. Invariant: a sum stays below 2^62, so that adding
 * two never leaves SQLite's integers.
 */
#include "sync-server/store/sqlite.h"

/* See store.h. */
daybook_status srv_sqlite_add_sum(struct srv_store *store, int64_t org, int64_t bucket,
                                  uint64_t difference)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.add_sum,
                             "UPDATE bucket SET version_sum = (version_sum + ?3) &"
                             " 4611686018427387903 WHERE org = ?1 AND bucket = ?2",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_int(statement, 2, bucket);
    dk_bind_int(statement, 3, (int64_t)difference);
    return srv_sqlite_run(sqlite, statement);
}

/* See store.h. */
daybook_status srv_sqlite_get_sum(struct srv_store *store, int64_t org, int64_t bucket,
                                  uint64_t *sum)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    bool row = false;
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.get_sum,
        "SELECT version_sum FROM bucket WHERE org = ?1 AND bucket = ?2", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_int(statement, 2, bucket);
    status = srv_sqlite_step(sqlite, statement, &row);
    if (status == DAYBOOK_OK && row) {
        *sum = (uint64_t)dk_column_int(statement, 0);
        dk_reset(statement);
    }
    return status;
}
