/* SPDX-License-Identifier: Apache-2.0
 *
 * The epoch of the store, those before it, how far backups cover the log, and the schema that the
 * records have been converted to. A copy that takes the
 * place of its original is a prefix of the original's log, so what an earlier epoch called a
 * position still means the same up to the head that the copy had. Called at open, by a restore, and
 * by decisions on changesets of an earlier epoch. Invariant: an epoch is never taken twice, and one
 * that ended stays in `lineage`.
 */
#include "sync-server/store/sqlite.h"

#define NUMBERS_SKIPPED INT64_C(100000)
#define NUMBERS_RANDOM UINT64_C(900000)

/* See sqlite.h. */
uint64_t srv_sqlite_make_epoch(void)
{
    uint64_t epoch = 0;
    do {
        sqlite3_randomness((int)sizeof epoch, &epoch);
        epoch &= INT64_MAX;
    } while (epoch == 0);
    return epoch;
}

/* Runs a statement without parameters. */
static daybook_status run(struct sqlite_store *sqlite, struct statement **slot, const char *sql)
{
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(sqlite, slot, sql, &status);
    return statement == NULL ? status : srv_sqlite_run(sqlite, statement);
}

/* Leaves out device numbers. The row is there once a number has been given: before, nobody has made
 * anything. */
static daybook_status skip_numbers(struct sqlite_store *sqlite, int64_t number, uint64_t random)
{
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.skip_numbers,
                             "UPDATE sqlite_sequence SET seq = max(seq, ?1) + ?2"
                             " WHERE name = 'device_instance'",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, number);
    dk_bind_int(statement, 2, NUMBERS_SKIPPED + (int64_t)(random % NUMBERS_RANDOM));
    return srv_sqlite_run(sqlite, statement);
}

/* See store.h. */
daybook_status srv_sqlite_new_epoch(struct srv_store *store, int64_t number)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    uint64_t epoch = srv_sqlite_make_epoch();
    daybook_status status;
    status = run(sqlite, &sqlite->statements.end_epoch,
                 "INSERT INTO lineage(epoch, org, head)"
                 " SELECT (SELECT value FROM meta WHERE name = 'epoch'), org, head FROM org");
    if (status == DAYBOOK_OK) {
        status = run(sqlite, &sqlite->statements.cover_all, "UPDATE org SET backup_head = head");
    }
    if (status == DAYBOOK_OK) {
        status = skip_numbers(sqlite, number, srv_sqlite_make_epoch());
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.set_epoch,
                             "UPDATE meta SET value = ?1 WHERE name = 'epoch'", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, (int64_t)epoch);
    status = srv_sqlite_run(sqlite, statement);
    if (status == DAYBOOK_OK) {
        sqlite->epoch = epoch;
    }
    return status;
}

/* See store.h. */
daybook_status srv_sqlite_get_converted(struct srv_store *store, int64_t *schema)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    bool row = false;
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.get_converted,
                             "SELECT value FROM meta WHERE name = 'converted'", &status);
    if (statement == NULL) {
        return status;
    }
    status = srv_sqlite_step(sqlite, statement, &row);
    *schema = status == DAYBOOK_OK && row ? dk_column_int(statement, 0) : 0;
    dk_reset(statement);
    return status == DAYBOOK_OK && !row ? DAYBOOK_CORRUPT : status;
}

/* See store.h. */
daybook_status srv_sqlite_set_converted(struct srv_store *store, int64_t schema)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.set_converted,
                             "UPDATE meta SET value = ?1 WHERE name = 'converted'", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, schema);
    return srv_sqlite_run(sqlite, statement);
}

/* See store.h. */
daybook_status srv_sqlite_epoch_end(struct srv_store *store, int64_t org, uint64_t epoch,
                                    int64_t *head)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    bool row = false;
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.epoch_end,
                             "SELECT head FROM lineage WHERE epoch = ?1 AND org = ?2", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, (int64_t)epoch);
    dk_bind_int(statement, 2, org);
    status = srv_sqlite_step(sqlite, statement, &row);
    if (status == DAYBOOK_OK && row) {
        *head = dk_column_int(statement, 0);
        dk_reset(statement);
    }
    return status;
}

/* See store.h. */
daybook_status srv_sqlite_set_backup(struct srv_store *store, int64_t org, int64_t head)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.set_backup,
                             "UPDATE org SET backup_head = ?2 WHERE org = ?1", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_int(statement, 2, head);
    status = srv_sqlite_run(sqlite, statement);
    bool none = status == DAYBOOK_OK && dk_database_changes(&sqlite->database) == 0;
    return none ? DAYBOOK_NOT_FOUND : status;
}

/* See store.h. */
daybook_status srv_sqlite_get_backup(struct srv_store *store, int64_t org, int64_t *head, bool *any)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    bool row = false;
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.get_backup,
                             "SELECT backup_head FROM org WHERE org = ?1", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    status = srv_sqlite_step(sqlite, statement, &row);
    if (status != DAYBOOK_OK || !row) {
        return status == DAYBOOK_OK ? DAYBOOK_NOT_FOUND : status;
    }
    *any = !dk_column_is_null(statement, 0);
    *head = dk_column_int(statement, 0);
    dk_reset(statement);
    return DAYBOOK_OK;
}
