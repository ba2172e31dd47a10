/* SPDX-License-Identifier: Apache-2.0
 *
 * Where records were and what users were, for changesets that were made before something moved.
 * Written by the decider when a record changes its root and when a user's place does; read only for
 * a changeset that names what is out of its author's present scope. Invariants: 1. A record's rows
 * say every root that it left, so the first row after a time names the root of that time. 2. A
 * user's rows are every state that the account had, the first of them from the beginning of time.
 */
#include "sync-server/store/sqlite.h"

#include <string.h>

/* ---- records ---- */

/* See store.h. EXISTS: the record left another root at this position already. */
daybook_status srv_sqlite_add_placement(struct srv_store *store, int64_t org,
                                        const struct id *record,
                                        const struct srv_placement *placement)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.add_placement,
                             "INSERT INTO placement(org, record, position, bucket, left_ms)"
                             " VALUES(?1, ?2, ?3, ?4, ?5)",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_id(statement, 2, record);
    dk_bind_int(statement, 3, placement->position);
    dk_bind_int(statement, 4, placement->bucket);
    dk_bind_int(statement, 5, placement->left_ms);
    return srv_sqlite_run(sqlite, statement);
}

/* See store.h. In the order of positions, because the server's clock may have been set back. */
daybook_status srv_sqlite_placed_at(struct srv_store *store, int64_t org, const struct id *record,
                                    int64_t time_ms, struct srv_placement *placement, bool *found)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.placed_at,
                             "SELECT bucket, left_ms, position FROM placement WHERE org = ?1 AND "
                             "record = ?2 AND left_ms > ?3"
                             " ORDER BY position LIMIT 1",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_id(statement, 2, record);
    dk_bind_int(statement, 3, time_ms);
    status = srv_sqlite_step(sqlite, statement, found);
    if (status == DAYBOOK_OK && *found) {
        placement->bucket = dk_column_int(statement, 0);
        placement->left_ms = dk_column_int(statement, 1);
        placement->position = dk_column_int(statement, 2);
    }
    dk_reset(statement);
    return status;
}

/* See store.h. */
daybook_status srv_sqlite_inherit_placements(struct srv_store *store, int64_t org,
                                             const struct id *from, const struct id *record,
                                             int64_t time_ms)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.inherit_placements,
        "INSERT OR IGNORE INTO placement(org, record, position, bucket, left_ms)"
        " SELECT org, ?3, position, bucket, left_ms FROM placement"
        " WHERE org = ?1 AND record = ?2 AND left_ms > ?4",
        &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_id(statement, 2, from);
    dk_bind_id(statement, 3, record);
    dk_bind_int(statement, 4, time_ms);
    return srv_sqlite_run(sqlite, statement);
}

/* ---- users ---- */

/* See store.h. */
daybook_status srv_sqlite_add_account_state(struct srv_store *store, int64_t position,
                                            const struct srv_account *account)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.add_account_state,
        "INSERT OR REPLACE INTO account_state(org, user_id, position, since_ms, role, territory,"
        " manager, disabled) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, account->org);
    dk_bind_id(statement, 2, &account->user);
    dk_bind_int(statement, 3, position);
    dk_bind_int(statement, 4, account->since_ms);
    dk_bind_text(statement, 5, account->role, strlen(account->role));
    dk_bind_id(statement, 6, dk_id_is_zero(&account->territory) ? NULL : &account->territory);
    dk_bind_id(statement, 7, dk_id_is_zero(&account->manager) ? NULL : &account->manager);
    dk_bind_int(statement, 8, account->disabled ? 1 : 0);
    return srv_sqlite_run(sqlite, statement);
}

/* One row user_id, org, role, territory, manager, disabled, since_ms. */
static daybook_status read_account(struct statement *statement, struct srv_account *account)
{
    size_t length = 0;
    const char *role = dk_column_text(statement, 2, &length);
    memset(account, 0, sizeof *account);
    account->org = dk_column_int(statement, 1);
    account->disabled = dk_column_int(statement, 5) != 0;
    account->since_ms = dk_column_int(statement, 6);
    bool fits =
        role != NULL && length < sizeof account->role &&
        dk_column_id(statement, 0, &account->user) &&
        (dk_column_is_null(statement, 3) || dk_column_id(statement, 3, &account->territory)) &&
        (dk_column_is_null(statement, 4) || dk_column_id(statement, 4, &account->manager));
    if (!fits) {
        return DAYBOOK_CORRUPT;
    }
    memcpy(account->role, role, length);
    return DAYBOOK_OK;
}

/* See store.h: what the user is now. */
daybook_status srv_sqlite_get_account(struct srv_store *store, const struct id *user,
                                      struct srv_account *account, bool *found)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.get_account,
                             "SELECT user_id, org, role, territory, manager, disabled, since_ms"
                             " FROM user_access WHERE user_id = ?1",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_id(statement, 1, user);
    status = srv_sqlite_step(sqlite, statement, found);
    if (status == DAYBOOK_OK && *found) {
        status = read_account(statement, account);
    }
    dk_reset(statement);
    return status;
}

/* See store.h. */
daybook_status srv_sqlite_account_moved(struct srv_store *store, int64_t org, const struct id *user,
                                        int64_t time_ms, int64_t *position, bool *found)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.account_moved,
        "SELECT position FROM account_state WHERE org = ?1 AND user_id = coalesce(?2, user_id)"
        " AND since_ms > ?3 ORDER BY position LIMIT 1",
        &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_id(statement, 2, user);
    dk_bind_int(statement, 3, time_ms);
    status = srv_sqlite_step(sqlite, statement, found);
    if (status == DAYBOOK_OK && *found) {
        *position = dk_column_int(statement, 0);
    }
    dk_reset(statement);
    return status;
}

/* See store.h: what the user was then. */
daybook_status srv_sqlite_account_at(struct srv_store *store, int64_t org, const struct id *user,
                                     int64_t time_ms, struct srv_account *account, bool *found)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.account_at,
        "SELECT user_id, org, role, territory, manager, disabled, since_ms"
        " FROM account_state WHERE org = ?1 AND user_id = ?2 AND since_ms <= ?3"
        " ORDER BY position DESC LIMIT 1",
        &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_id(statement, 2, user);
    dk_bind_int(statement, 3, time_ms);
    status = srv_sqlite_step(sqlite, statement, found);
    if (status == DAYBOOK_OK && *found) {
        status = read_account(statement, account);
    }
    dk_reset(statement);
    return status;
}

/* See store.h. */
daybook_status srv_sqlite_reports_at(struct srv_store *store, int64_t org, const struct id *manager,
                                     int64_t time_ms, int limit, struct arena *arena,
                                     struct srv_account **rows, int *count)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    struct srv_account *list = NULL;
    int used = 0, capacity = 0;
    bool row = false;
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.reports_at,
        "SELECT user_id, org, role, territory, manager, disabled, since_ms FROM account_state s"
        " WHERE org = ?1 AND manager = ?2 AND since_ms <= ?3 AND NOT EXISTS("
        "SELECT 1 FROM account_state n WHERE n.org = s.org AND n.user_id = s.user_id"
        " AND n.position > s.position AND n.since_ms <= ?3) ORDER BY user_id LIMIT ?4",
        &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_id(statement, 2, manager);
    dk_bind_int(statement, 3, time_ms);
    dk_bind_int(statement, 4, limit);
    status = srv_sqlite_step(sqlite, statement, &row);
    while (status == DAYBOOK_OK && row) {
        list = dk_arena_grow(arena, list, used, &capacity, sizeof *list);
        status = list == NULL ? DAYBOOK_NO_MEMORY : read_account(statement, &list[used]);
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
