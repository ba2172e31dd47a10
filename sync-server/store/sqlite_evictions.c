/* SPDX-License-Identifier: Apache-2.0
 *
 * Which records left which buckets, and where in the log. Written by the decider beside the log row
 * that says so, looked up by workers for each page. Invariant: a record that is evicted in a log
 * row is here, under the row's bucket and position.
 */
#include "sync-server/store/sqlite.h"

/* See store.h. EXISTS: it left the bucket at this position already. */
daybook_status srv_sqlite_add_eviction(struct srv_store *store, int64_t org, int64_t bucket,
                                       const struct id *record, int64_t position)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.add_eviction,
        "INSERT INTO eviction(org, bucket, position, record) VALUES(?1, ?2, ?3, ?4)", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_int(statement, 2, bucket);
    dk_bind_int(statement, 3, position);
    dk_bind_id(statement, 4, record);
    return srv_sqlite_run(sqlite, statement);
}

/* See store.h. One look-up per bucket. */
daybook_status srv_sqlite_any_left(struct srv_store *store, int64_t org, const int64_t *buckets,
                                   int bucket_count, int64_t after, int64_t upto, bool *any)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status = DAYBOOK_OK;
    for (int i = 0; i < bucket_count && status == DAYBOOK_OK && !*any; i++) {
        struct statement *statement =
            srv_sqlite_statement(sqlite, &sqlite->statements.any_left,
                                 "SELECT 1 FROM eviction WHERE org = ?1 AND bucket = ?2"
                                 " AND position > ?3 AND position <= ?4 LIMIT 1",
                                 &status);
        if (statement == NULL) {
            return status;
        }
        dk_bind_int(statement, 1, org);
        dk_bind_int(statement, 2, buckets[i]);
        dk_bind_int(statement, 3, after);
        dk_bind_int(statement, 4, upto);
        status = srv_sqlite_step(sqlite, statement, any);
        dk_reset(statement);
    }
    return status;
}

/* See store.h. */
daybook_status srv_sqlite_has_left(struct srv_store *store, int64_t org, const struct id *record,
                                   int64_t after, int64_t upto, bool *left)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.has_left,
        "SELECT 1 FROM eviction INDEXED BY eviction_by_record WHERE org = ?1 AND record = ?2"
        " AND position > ?3 AND position <= ?4 LIMIT 1",
        &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_id(statement, 2, record);
    dk_bind_int(statement, 3, after);
    dk_bind_int(statement, 4, upto);
    status = srv_sqlite_step(sqlite, statement, left);
    dk_reset(statement);
    return status;
}
