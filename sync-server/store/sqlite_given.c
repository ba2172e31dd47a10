/* SPDX-License-Identifier: Apache-2.0
 *
 * What changesets gave fields that the server did not know, one row for each time: what a field's
 * own policy needs to know once the schema is learned, while the record has only what came of it by
 * LATEST. Written by the decider with the record, read when the server has learned a schema.
 * Invariant: of a field that the schema knows there are rows only until they are settled.
 */
#include "sync-server/store/sqlite.h"

#include <string.h>

/* See store.h. The same changeset may reach a record twice, by a redirect: the last counts. */
daybook_status srv_sqlite_add_given(struct srv_store *store, int64_t org,
                                    const struct entity *entity, const struct id *record,
                                    const struct srv_given *given)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.add_given,
        "INSERT OR REPLACE INTO given(org, entity, record, name, position, time, device_no, seen,"
        " makes, user_id, roles, changeset, value)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_text(statement, 2, entity->name, strlen(entity->name));
    dk_bind_id(statement, 3, record);
    dk_bind_text(statement, 4, given->name, given->name_length);
    dk_bind_int(statement, 5, given->stamp.position);
    dk_bind_int(statement, 6, (int64_t)given->stamp.time);
    dk_bind_int(statement, 7, given->stamp.device_no);
    dk_bind_int(statement, 8, given->seen);
    dk_bind_int(statement, 9, given->makes);
    dk_bind_id(statement, 10, &given->user);
    dk_bind_int(statement, 11, given->roles);
    dk_bind_id(statement, 12, &given->changeset);
    if (given->value != NULL) {
        dk_bind_text(statement, 13, given->value, given->value_length);
    }
    return srv_sqlite_run(sqlite, statement);
}

/* One row of the statement below. */
static daybook_status read_given(struct statement *statement, struct arena *arena,
                                 struct srv_given *given)
{
    memset(given, 0, sizeof *given);
    const char *name = dk_column_text(statement, 0, &given->name_length);
    given->stamp = (struct stamp){.position = dk_column_int(statement, 1),
                                  .time = (hlc)dk_column_int(statement, 2),
                                  .device_no = (uint32_t)dk_column_int(statement, 3)};
    given->seen = dk_column_int(statement, 4);
    given->makes = dk_column_int(statement, 5) != 0;
    given->roles = (unsigned)dk_column_int(statement, 7);
    if (name == NULL || !dk_column_id(statement, 6, &given->user) ||
        !dk_column_id(statement, 8, &given->changeset)) {
        return DAYBOOK_CORRUPT;
    }
    given->name = dk_arena_copy(arena, name, given->name_length);
    const char *value = dk_column_text(statement, 9, &given->value_length);
    given->value = value == NULL ? NULL : dk_arena_copy(arena, value, given->value_length);
    return arena->failed ? DAYBOOK_NO_MEMORY : DAYBOOK_OK;
}

/* See store.h. */
daybook_status srv_sqlite_given(struct srv_store *store, int64_t org, const struct entity *entity,
                                const struct id *record, struct arena *arena,
                                struct srv_given **rows, int *count)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    struct srv_given *list = NULL;
    int used = 0, capacity = 0;
    bool row = false;
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.given,
        "SELECT name, position, time, device_no, seen, makes, user_id, roles, changeset, value"
        " FROM given WHERE org = ?1 AND entity = ?2 AND record = ?3 ORDER BY position, name",
        &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_text(statement, 2, entity->name, strlen(entity->name));
    dk_bind_id(statement, 3, record);
    status = srv_sqlite_step(sqlite, statement, &row);
    while (status == DAYBOOK_OK && row) {
        list = dk_arena_grow(arena, list, used, &capacity, sizeof *list);
        status = list == NULL ? DAYBOOK_NO_MEMORY : read_given(statement, arena, &list[used]);
        used++;
        if (status == DAYBOOK_OK) {
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
daybook_status srv_sqlite_remove_given(struct srv_store *store, int64_t org,
                                       const struct entity *entity, const struct id *record,
                                       const char *name)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.remove_given,
                             "DELETE FROM given WHERE org = ?1 AND entity = ?2 AND record = ?3"
                             " AND name = ?4",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_text(statement, 2, entity->name, strlen(entity->name));
    dk_bind_id(statement, 3, record);
    dk_bind_text(statement, 4, name, strlen(name));
    return srv_sqlite_run(sqlite, statement);
}

/* See store.h. */
daybook_status srv_sqlite_list_given(struct srv_store *store, int64_t org,
                                     const struct entity *entity, const struct id *after, int limit,
                                     struct arena *arena, struct id **ids, int *count)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    struct id *list = dk_arena_new(arena, (size_t)limit * sizeof *list);
    bool row = false;
    int used = 0;
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.list_given,
        "SELECT DISTINCT record FROM given WHERE org = ?1 AND entity = ?2 AND record > ?3"
        " ORDER BY record LIMIT ?4",
        &status);
    if (statement == NULL || list == NULL) {
        return statement == NULL ? status : DAYBOOK_NO_MEMORY;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_text(statement, 2, entity->name, strlen(entity->name));
    dk_bind_id(statement, 3, after);
    dk_bind_int(statement, 4, limit);
    status = srv_sqlite_step(sqlite, statement, &row);
    while (status == DAYBOOK_OK && row) {
        status = dk_column_id(statement, 0, &list[used++]) ? DAYBOOK_OK : DAYBOOK_CORRUPT;
        if (status == DAYBOOK_OK) {
            status = srv_sqlite_step(sqlite, statement, &row);
        }
    }
    dk_reset(statement);
    *ids = list;
    *count = used;
    return status;
}
