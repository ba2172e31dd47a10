/* SPDX-License-Identifier: Apache-2.0
 *
 * Which records left which buckets, and where in the log. Written by the decider beside the log row
 * that says so, read by workers for each page. Invariant: a record that is evicted in a log row is
 * here, under the row's bucket and position.
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

/* A list of ids in an arena that grows. */
struct id_list {
    struct id *ids;
    int count, capacity;
};

/* Adds the evictions of the bucket that is bound to the statement. */
static daybook_status read_bucket(struct sqlite_store *sqlite, struct statement *statement,
                                  struct arena *arena, struct id_list *list)
{
    bool row = false;
    daybook_status status = srv_sqlite_step(sqlite, statement, &row);
    while (status == DAYBOOK_OK && row) {
        list->ids =
            srv_sqlite_grow(arena, list->ids, list->count, &list->capacity, sizeof *list->ids);
        if (list->ids == NULL) {
            status = DAYBOOK_NO_MEMORY;
        } else if (!dk_column_id(statement, 0, &list->ids[list->count])) {
            status = DAYBOOK_CORRUPT;
        } else {
            list->count++;
            status = srv_sqlite_step(sqlite, statement, &row);
        }
    }
    dk_reset(statement);
    return status;
}

/* See store.h. One look-up per bucket: most have none behind a device's position. */
daybook_status srv_sqlite_evictions(struct srv_store *store, int64_t org, const int64_t *buckets,
                                    int bucket_count, int64_t after, int64_t upto,
                                    struct arena *arena, struct id **records, int *count)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    struct id_list list = {NULL, 0, 0};
    daybook_status status = DAYBOOK_OK;
    for (int i = 0; i < bucket_count && status == DAYBOOK_OK; i++) {
        struct statement *statement =
            srv_sqlite_statement(sqlite, &sqlite->statements.evictions,
                                 "SELECT record FROM eviction WHERE org = ?1 AND bucket = ?2"
                                 " AND position > ?3 AND position <= ?4",
                                 &status);
        if (statement == NULL) {
            return status;
        }
        dk_bind_int(statement, 1, org);
        dk_bind_int(statement, 2, buckets[i]);
        dk_bind_int(statement, 3, after);
        dk_bind_int(statement, 4, upto);
        status = read_bucket(sqlite, statement, arena, &list);
    }
    if (status == DAYBOOK_OK) {
        *records = list.ids;
        *count = list.count;
    }
    return status;
}
