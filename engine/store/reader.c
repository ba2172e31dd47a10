/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what an app's SQL may see: read-only connections with an authorizer. Called by the API.
 * Invariants: a query reads the documented views and nothing else, token and bodies of the outbox
 * least of all; it changes nothing, opens no other file and leaves no setting behind.
 */
#include "engine/store/inside.h"

#include "engine/base/memory.h"

#include <string.h>

#define READER_CACHE_KIB 2048
#define READER_BUSY_MS 2000

/* Columns of tables that views read, beside the records'. Whatever is not here is denied, also
 * within a view: SQLite names the innermost view or common table expression, and the latter's name
 * is the query's to choose. */
static const struct {
    const char *table, *column;
} open_columns[] = {
    {"outbox", "seq"},         {"outbox", "verdict"},   {"outbox", "made"},
    {"pending", "slot"},       {"pending", "seen"},     {"pending", "entity"},
    {"pending", "id"},         {"pending", "seq_last"}, {"entity_number", "number"},
    {"entity_number", "name"}, {"meta", "sent_seq"},    {"scope", "bucket"},
    {"scope", "label"},        {"scope", "loading"},
};

/* Views that are no entities. */
static const char *const sync_views[] = {"sync_state", "inbox", "buckets", "fetched"};

/* SQLite's names do not mind the case of ASCII letters. */
static bool same(const char *a, const char *b)
{
    return sqlite3_stricmp(a, b) == 0;
}

/* The entity whose view has this name, or NULL. */
static const struct entity *entity_named(const char *name)
{
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        if (same(dk_entity(kind)->name, name)) {
            return dk_entity(kind);
        }
    }
    return NULL;
}

/* Whether this is one of the documented views that are no entities. */
static bool is_sync_view(const char *name)
{
    for (size_t i = 0; i < sizeof sync_views / sizeof sync_views[0]; i++) {
        if (same(sync_views[i], name)) {
            return true;
        }
    }
    return false;
}

/* Reads that a documented view makes on its tables. */
static bool may_view_read(const char *table, const char *column)
{
    if (strncmp(table, "r_", 2) == 0 && entity_named(table + 2) != NULL) {
        return true;
    }
    if (same(table, "inbox_item") || same(table, "fetched_record")) {
        return true;
    }
    for (size_t i = 0; i < sizeof open_columns / sizeof open_columns[0]; i++) {
        bool named = same(open_columns[i].table, table);
        if (named && same(open_columns[i].column, column)) {
            return true;
        }
    }
    return false;
}

/* Notes what a query reads, for watches. */
static void note(uint64_t *used, const char *table)
{
    const struct entity *entity = entity_named(table);
    if (used == NULL) {
        return;
    }
    if (entity != NULL) {
        *used |= dk_store_bit((int)entity->kind);
    } else if (is_sync_view(table)) {
        *used |= STORE_CHANGED_SYNC;
    }
}

/* One column of one table; `view` is the view that reads it, NULL: the query itself. */
static int authorize_read(uint64_t *used, const char *table, const char *column, const char *view)
{
    if (table == NULL || column == NULL) {
        return SQLITE_DENY;
    }
    bool documented = entity_named(table) != NULL || is_sync_view(table);
    if (documented || same(table, "json_each") || same(table, "json_tree")) {
        note(used, table);
        return SQLITE_OK;
    }
    if (column[0] == '\0') {
        /* Rows are counted and no column is read. SQLite then names no view, and calls a common
         * table expression a table; how many rows there are is no secret. */
        note(used, strncmp(table, "r_", 2) == 0 ? table + 2 : sync_views[0]);
        return SQLITE_OK;
    }
    bool in_view =
        view != NULL && (entity_named(view) != NULL || is_sync_view(view) || same(view, "made") ||
                         same(view, "touched") || same(view, "chunk") || same(view, "open"));
    if (!in_view || !may_view_read(table, column)) {
        return SQLITE_DENY;
    }
    note(used, view);
    return SQLITE_OK;
}

/* Called by SQLite while a statement is prepared. */
static int authorize(void *context, int action, const char *first, const char *second,
                     const char *database, const char *view)
{
    (void)database;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE: return SQLITE_OK;
    case SQLITE_READ: return authorize_read(context, first, second, view);
    case SQLITE_FUNCTION:
        return second != NULL && !same(second, "load_extension") ? SQLITE_OK : SQLITE_DENY;
    default: return SQLITE_DENY;
    }
}

/* Path and VFS do not change while the store is open, so no lock is needed. */
daybook_status dk_store_reader_open(struct store *store, struct database *reader, uint64_t *used)
{
    struct database_options how = {.mode = DATABASE_READER,
                                   .cache_kib = READER_CACHE_KIB,
                                   .busy_ms = READER_BUSY_MS,
                                   .vfs = store->options.vfs};
    daybook_status status = dk_database_open(reader, store->options.path, &how);
    if (status != DAYBOOK_OK) {
        return status;
    }
    /* The functions that are tables make themselves known at their first use, which the authorizer
     * would take for a change of the schema. */
    status = dk_database_run(reader, "SELECT 1 FROM json_each('[]'), json_tree('[]')");
    if (status == DAYBOOK_OK) {
        status =
            dk_database_status(reader, sqlite3_set_authorizer(reader->handle, authorize, used));
    }
    if (status != DAYBOOK_OK) {
        dk_database_close(reader);
    }
    return status;
}

void dk_store_reader_close(struct store *store, struct database *reader)
{
    (void)store;
    dk_database_close(reader);
}
