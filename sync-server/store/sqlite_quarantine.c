/* SPDX-License-Identifier: Apache-2.0
 *
 * The quarantine: texts of changesets that wait for an operator, with all that a later decision
 * needs of the request that brought them. Written by the decider, read by it and by the workers.
 * Invariant: a row stays, without its text, from its end until its device has acknowledged how it
 * ended; so the device can be told.
 */
#include "sync-server/store/sqlite.h"

#include <string.h>

/* Columns of a waiting changeset, as read_waiting takes them. */
#define COLUMNS "device_no, seq, changeset, user_id, why, received_ms, boot, steady_ms"

/* EXISTS: the changeset, or this seq of the instance, is there already. */
daybook_status srv_sqlite_add_quarantine(struct srv_store *store, int64_t org,
                                         const struct srv_quarantined *row)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.add_quarantine,
                             "INSERT INTO quarantine(" COLUMNS ", org, body, size, ended)"
                             " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0)",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, row->device_no);
    dk_bind_int(statement, 2, row->seq);
    dk_bind_id(statement, 3, &row->changeset);
    dk_bind_id(statement, 4, &row->user);
    dk_bind_text(statement, 5, row->why, strlen(row->why));
    dk_bind_int(statement, 6, row->received_ms);
    dk_bind_int(statement, 7, (int64_t)row->boot);
    dk_bind_int(statement, 8, row->steady_ms);
    dk_bind_int(statement, 9, org);
    dk_bind_text(statement, 10, row->body, row->length);
    dk_bind_int(statement, 11, (int64_t)row->length);
    return srv_sqlite_run(sqlite, statement);
}

/* See store.h. */
daybook_status srv_sqlite_has_quarantine(struct srv_store *store, uint32_t device_no, bool *has)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.has_quarantine,
        "SELECT 1 FROM quarantine WHERE device_no = ?1 AND ended = 0 LIMIT 1", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, device_no);
    status = srv_sqlite_step(sqlite, statement, has);
    dk_reset(statement);
    return status;
}

/* See store.h. Out of an index of what waits. */
daybook_status srv_sqlite_measure_quarantine(struct srv_store *store, int64_t org,
                                             const struct id *user, int64_t *count, int64_t *size)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    bool row = false;
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.measure_quarantine,
                             "SELECT count(*), coalesce(sum(size), 0) FROM quarantine"
                             " WHERE org = ?1 AND user_id = ?2 AND ended = 0",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_id(statement, 2, user);
    status = srv_sqlite_step(sqlite, statement, &row);
    if (status == DAYBOOK_OK && row) {
        *count = dk_column_int(statement, 0);
        *size = dk_column_int(statement, 1);
    }
    dk_reset(statement);
    return status;
}

/* Reads the row that the statement stands on, without its text. */
static daybook_status read_waiting(struct statement *statement, struct arena *arena,
                                   struct srv_quarantined *row)
{
    size_t length = 0;
    memset(row, 0, sizeof *row);
    row->device_no = (uint32_t)dk_column_int(statement, 0);
    row->seq = dk_column_int(statement, 1);
    const char *why = dk_column_text(statement, 4, &length);
    row->why = why == NULL ? NULL : dk_arena_copy(arena, why, length);
    row->received_ms = dk_column_int(statement, 5);
    row->boot = (uint64_t)dk_column_int(statement, 6);
    row->steady_ms = dk_column_int(statement, 7);
    if (!dk_column_id(statement, 2, &row->changeset) || !dk_column_id(statement, 3, &row->user)) {
        return DAYBOOK_CORRUPT;
    }
    return row->why == NULL ? DAYBOOK_NO_MEMORY : DAYBOOK_OK;
}

/* See store.h. */
daybook_status srv_sqlite_list_quarantine(struct srv_store *store, int64_t org, uint32_t device_no,
                                          int64_t seq, int limit, struct arena *arena,
                                          struct srv_quarantined **rows, int *count)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    struct srv_quarantined *list = NULL;
    int used = 0;
    int capacity = 0;
    bool row = false;
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.list_quarantine,
                             "SELECT " COLUMNS " FROM quarantine WHERE (device_no, seq) > (?2, ?3)"
                             " AND org = ?1 AND ended = 0 ORDER BY device_no, seq LIMIT ?4",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_int(statement, 2, device_no);
    dk_bind_int(statement, 3, seq);
    dk_bind_int(statement, 4, limit);
    status = srv_sqlite_step(sqlite, statement, &row);
    while (status == DAYBOOK_OK && row) {
        list = dk_arena_grow(arena, list, used, &capacity, sizeof *list);
        status = list == NULL ? DAYBOOK_NO_MEMORY : read_waiting(statement, arena, &list[used]);
        if (status == DAYBOOK_OK) {
            used++;
            status = srv_sqlite_step(sqlite, statement, &row);
        }
    }
    dk_reset(statement);
    if (status == DAYBOOK_OK) {
        *rows = list;
        *count = used;
    }
    return status;
}

/* See store.h. */
daybook_status srv_sqlite_find_quarantine(struct srv_store *store, int64_t org,
                                          const struct id *changeset, struct arena *arena,
                                          struct srv_quarantined *found_row, bool *found)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    bool row = false;
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.find_quarantine,
                             "SELECT " COLUMNS ", body FROM quarantine"
                             " WHERE org = ?1 AND changeset = ?2 AND ended = 0",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_id(statement, 2, changeset);
    status = srv_sqlite_step(sqlite, statement, &row);
    if (status == DAYBOOK_OK && row) {
        status = read_waiting(statement, arena, found_row);
        const char *body = dk_column_text(statement, 8, &found_row->length);
        found_row->body = body == NULL ? NULL : dk_arena_copy(arena, body, found_row->length);
        *found = true;
        if (status == DAYBOOK_OK && found_row->body == NULL) {
            status = body == NULL ? DAYBOOK_CORRUPT : DAYBOOK_NO_MEMORY;
        }
    }
    dk_reset(statement);
    return status;
}

/* See store.h. */
daybook_status srv_sqlite_end_quarantine(struct srv_store *store, int64_t org,
                                         const struct id *changeset, const char *why)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.end_quarantine,
                             "UPDATE quarantine SET ended = ?3 IS NULL, why = coalesce(?3, why),"
                             " body = CASE WHEN ?3 IS NULL THEN '' ELSE body END"
                             " WHERE org = ?1 AND changeset = ?2",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_id(statement, 2, changeset);
    if (why != NULL) {
        dk_bind_text(statement, 3, why, strlen(why));
    }
    status = srv_sqlite_run(sqlite, statement);
    if (status == DAYBOOK_OK && dk_database_changes(&sqlite->database) == 0) {
        return DAYBOOK_NOT_FOUND;
    }
    return status;
}

/* See store.h. */
daybook_status srv_sqlite_ended_quarantine(struct srv_store *store, uint32_t device_no,
                                           int64_t settled, int limit, struct arena *arena,
                                           struct srv_decision **rows, int *count)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    struct srv_decision *list = NULL;
    int used = 0;
    int capacity = 0;
    bool row = false;
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.ended_quarantine,
        "SELECT q.seq, d.verdict FROM quarantine q JOIN decision d USING(device_no, seq)"
        " WHERE q.device_no = ?1 AND q.seq > ?2 AND q.ended = 1 AND d.verdict IS NOT NULL"
        " ORDER BY q.seq LIMIT ?3",
        &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, device_no);
    dk_bind_int(statement, 2, settled);
    dk_bind_int(statement, 3, limit);
    status = srv_sqlite_step(sqlite, statement, &row);
    while (status == DAYBOOK_OK && row) {
        list = dk_arena_grow(arena, list, used, &capacity, sizeof *list);
        if (list == NULL) {
            status = DAYBOOK_NO_MEMORY;
            break;
        }
        struct srv_decision *decision = &list[used];
        memset(decision, 0, sizeof *decision);
        decision->device_no = device_no;
        decision->seq = dk_column_int(statement, 0);
        const char *verdict = dk_column_text(statement, 1, &decision->verdict_length);
        decision->verdict = dk_arena_copy(arena, verdict, decision->verdict_length);
        used++;
        status = decision->verdict == NULL ? DAYBOOK_NO_MEMORY
                                           : srv_sqlite_step(sqlite, statement, &row);
    }
    dk_reset(statement);
    if (status == DAYBOOK_OK) {
        *rows = list;
        *count = used;
    }
    return status;
}

/* See sqlite.h. */
daybook_status srv_sqlite_drop_ended(struct sqlite_store *sqlite, uint32_t device_no, int64_t upto)
{
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.drop_ended,
        "DELETE FROM quarantine WHERE device_no = ?1 AND seq <= ?2 AND ended = 1", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, device_no);
    dk_bind_int(statement, 2, upto);
    return srv_sqlite_run(sqlite, statement);
}
