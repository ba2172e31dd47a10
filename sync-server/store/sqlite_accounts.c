/* SPDX-License-Identifier: Apache-2.0
 *
 * Organisations, what access decisions need of users, and enrolment codes. The decider writes them,
 * workers read them. Invariant: an enrolment code is in its table exactly until it is used or found
 * expired, so no code is good twice.
 */
#include "sync-server/store/sqlite.h"

#include <string.h>

#define DROP_CODES_MAX 100 /* expired codes that one use of a code clears away */

/* ---- organisations ---- */

/* Its number is the next free one; EXISTS where the id is known. */
daybook_status srv_sqlite_add_organisation(struct srv_store *store, const struct id *id,
                                           int64_t *org)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.add_organisation,
                             "INSERT INTO org(id, head, floor) VALUES(?1, 0, 0)", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_id(statement, 1, id);
    status = srv_sqlite_run(sqlite, statement);
    if (status == DAYBOOK_OK) {
        *org = sqlite3_last_insert_rowid(sqlite->database.handle);
    }
    return status;
}

/* All, by number. */
daybook_status srv_sqlite_organisations(struct srv_store *store, struct arena *arena,
                                        struct srv_organisation **rows, int *count)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    struct srv_organisation *list = NULL;
    int used = 0;
    int capacity = 0;
    bool row = false;
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.organisations,
                             "SELECT org, id, head FROM org ORDER BY org", &status);
    if (statement == NULL) {
        return status;
    }
    status = srv_sqlite_step(sqlite, statement, &row);
    while (status == DAYBOOK_OK && row) {
        list = dk_arena_grow(arena, list, used, &capacity, sizeof *list);
        if (list == NULL) {
            status = DAYBOOK_NO_MEMORY;
            break;
        }
        list[used].org = dk_column_int(statement, 0);
        list[used].head = dk_column_int(statement, 2);
        if (!dk_column_id(statement, 1, &list[used].id)) {
            status = DAYBOOK_CORRUPT;
            break;
        }
        used++;
        status = srv_sqlite_step(sqlite, statement, &row);
    }
    dk_reset(statement);
    if (status == DAYBOOK_OK) {
        *rows = list;
        *count = used;
    }
    return status;
}

/* NOT_FOUND where there is no such organisation. */
daybook_status srv_sqlite_set_head(struct srv_store *store, int64_t org, int64_t head)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.set_head, "UPDATE org SET head = ?2 WHERE org = ?1", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_int(statement, 2, head);
    status = srv_sqlite_run(sqlite, statement);
    if (status == DAYBOOK_OK && dk_database_changes(&sqlite->database) == 0) {
        return DAYBOOK_NOT_FOUND;
    }
    return status;
}

/* NOT_FOUND likewise. */
daybook_status srv_sqlite_get_head(struct srv_store *store, int64_t org, int64_t *head)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    bool row = false;
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.get_head, "SELECT head FROM org WHERE org = ?1", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    status = srv_sqlite_step(sqlite, statement, &row);
    if (status == DAYBOOK_OK && row) {
        *head = dk_column_int(statement, 0);
        dk_reset(statement);
    }
    return status == DAYBOOK_OK && !row ? DAYBOOK_NOT_FOUND : status;
}

/* ---- users ---- */

/* Inserts or replaces. */
daybook_status srv_sqlite_put_account(struct srv_store *store, const struct srv_account *account)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.put_account,
                             "INSERT OR REPLACE INTO user_access(user_id, org, role, territory,"
                             " manager, disabled, since_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_id(statement, 1, &account->user);
    dk_bind_int(statement, 2, account->org);
    dk_bind_text(statement, 3, account->role, strlen(account->role));
    dk_bind_id(statement, 4, dk_id_is_zero(&account->territory) ? NULL : &account->territory);
    dk_bind_id(statement, 5, dk_id_is_zero(&account->manager) ? NULL : &account->manager);
    dk_bind_int(statement, 6, account->disabled ? 1 : 0);
    dk_bind_int(statement, 7, account->since_ms);
    return srv_sqlite_run(sqlite, statement);
}

/* The login is a field of the live app_user records. */
daybook_status srv_sqlite_find_login(struct srv_store *store, int64_t org, const char *login,
                                     struct id *user, bool *found)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    bool row = false;
    int matches = 0;
    struct id first = {{0}};
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.find_login,
                             "SELECT id FROM s_app_user WHERE login = ?1 AND deleted = 0"
                             " AND (?2 = 0 OR org = ?2) LIMIT 2",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_text(statement, 1, login, strlen(login));
    dk_bind_int(statement, 2, org);
    status = srv_sqlite_step(sqlite, statement, &row);
    while (status == DAYBOOK_OK && row) {
        if (++matches == 1 && !dk_column_id(statement, 0, &first)) {
            status = DAYBOOK_CORRUPT;
            break;
        }
        status = srv_sqlite_step(sqlite, statement, &row);
    }
    dk_reset(statement);
    if (status == DAYBOOK_OK && matches == 1) {
        *user = first;
        *found = true;
    }
    return status;
}

/* ---- enrolment codes ---- */

/* EXISTS where the hash is there already. */
daybook_status srv_sqlite_add_code(struct srv_store *store, const uint8_t code_hash[SRV_HASH_SIZE],
                                   int64_t org, const struct id *user, int64_t expires_ms)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.add_code,
        "INSERT INTO enrol_code(hash, org, user_id, expires_ms) VALUES(?1, ?2, ?3, ?4)", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_blob(statement, 1, code_hash, SRV_HASH_SIZE);
    dk_bind_int(statement, 2, org);
    dk_bind_id(statement, 3, user);
    dk_bind_int(statement, 4, expires_ms);
    return srv_sqlite_run(sqlite, statement);
}

/* Removes codes that have expired, a bounded number. */
static daybook_status drop_codes(struct sqlite_store *sqlite, int64_t now_ms)
{
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.drop_codes,
                             "DELETE FROM enrol_code WHERE hash IN (SELECT hash FROM enrol_code"
                             " WHERE expires_ms <= ?1 LIMIT ?2)",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, now_ms);
    dk_bind_int(statement, 2, DROP_CODES_MAX);
    return srv_sqlite_run(sqlite, statement);
}

/* Expired codes go first, so what the delete returns is good. */
daybook_status srv_sqlite_take_code(struct srv_store *store, const uint8_t code_hash[SRV_HASH_SIZE],
                                    int64_t now_ms, int64_t *org, struct id *user, bool *found)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    bool row = false;
    int64_t code_org = 0;
    struct id code_user = {{0}};
    daybook_status status = drop_codes(sqlite, now_ms);
    if (status != DAYBOOK_OK) {
        return status;
    }
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.take_code,
                             "DELETE FROM enrol_code WHERE hash = ?1 AND expires_ms > ?2"
                             " RETURNING org, user_id",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_blob(statement, 1, code_hash, SRV_HASH_SIZE);
    dk_bind_int(statement, 2, now_ms);
    status = srv_sqlite_step(sqlite, statement, &row);
    if (status != DAYBOOK_OK || !row) {
        return status;
    }
    code_org = dk_column_int(statement, 0);
    bool valid = dk_column_id(statement, 1, &code_user);
    status = srv_sqlite_run(sqlite, statement); /* to the end: the delete is complete only there */
    if (status == DAYBOOK_OK && !valid) {
        status = DAYBOOK_CORRUPT;
    }
    if (status == DAYBOOK_OK) {
        *org = code_org;
        *user = code_user;
        *found = true;
    }
    return status;
}
