/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns one SQLite connection and the statements prepared on it. Called by the device's store and by
 * the server's. Invariants: each slot is prepared once per connection; a statement that returned
 * the end or an error is reset; `problem` tells of the failure seen last. The connection is used by
 * one thread at a time, so SQLite's own locks are off.
 */
#include "engine/base/database.h"

#include "engine/base/memory.h"
#include "engine/base/text.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define STATEMENTS_MAX 1024
#define STATEMENTS_STEP 32 /* the array grows by this many */
#define CACHE_KIB_DEFAULT 2048

/* The statements that open prepares itself, at the front of the array. */
enum own_statement { OWN_BEGIN, OWN_COMMIT, OWN_ROLLBACK, OWN_COUNT };

struct statement {
    sqlite3_stmt *handle;
    struct database *database;
    int bind_result; /* the first failure of binding since the last reset */
    bool active;     /* stepped, and neither ended nor reset */
    bool bound;      /* has bindings that dk_statement must clear */
};

/* ---- status ---- */

/* Whether the disk refused for want of room; SQLite keeps errno of the call that failed. */
static bool disk_is_full(sqlite3 *handle)
{
    int error = handle == NULL ? 0 : sqlite3_system_errno(handle);
    return error == ENOSPC || error == EDQUOT;
}

/* The table of the header; extended codes that tell more than their primary code come first. */
static daybook_status map_result(sqlite3 *handle, int result)
{
    if (result == SQLITE_IOERR_NOMEM) {
        return DAYBOOK_NO_MEMORY;
    }
    switch (result & 0xFF) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return DAYBOOK_OK;
    case SQLITE_FULL: return DAYBOOK_DISK_FULL;
    case SQLITE_NOMEM: return DAYBOOK_NO_MEMORY;
    case SQLITE_CORRUPT: return DAYBOOK_CORRUPT;
    case SQLITE_NOTADB: return DAYBOOK_NOT_A_STORE;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return DAYBOOK_BUSY;
    case SQLITE_INTERRUPT: return DAYBOOK_INTERRUPTED;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM: return DAYBOOK_CANNOT_OPEN;
    case SQLITE_IOERR: return disk_is_full(handle) ? DAYBOOK_DISK_FULL : DAYBOOK_IO;
    case SQLITE_TOOBIG: return DAYBOOK_TOO_LARGE;
    default: return DAYBOOK_INTERNAL;
    }
}

/* The text is the handle's where it speaks of this result, else the result's own; cut where it is
 * long. */
daybook_status dk_database_status(struct database *database, int result)
{
    daybook_status status = map_result(database->handle, result);
    if (status != DAYBOOK_OK) {
        sqlite3 *handle = database->handle;
        bool own = handle != NULL && (sqlite3_errcode(handle) & 0xFF) == (result & 0xFF);
        const char *text = own ? sqlite3_errmsg(handle) : sqlite3_errstr(result);
        (void)dk_text_format(database->problem, sizeof database->problem, "%s (%d)", text, result);
    }
    return status;
}

/* Keeps a text of ours for a failure that SQLite did not report. */
static daybook_status refuse(struct database *database, daybook_status status, const char *problem)
{
    (void)dk_text_format(database->problem, sizeof database->problem, "%s", problem);
    return status;
}

/* ---- open and close ---- */

/* Settings of the connection that are switches of the library. */
static daybook_status set_switches(struct database *database,
                                   const struct database_options *options)
{
    static const struct {
        int name;
        int value;
    } switches[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},
        {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
        {SQLITE_DBCONFIG_DQS_DML, 0}, /* "x" is an identifier or an error, never a text */
        {SQLITE_DBCONFIG_DQS_DDL, 0},
    };
    for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++) {
        int result = sqlite3_db_config(database->handle, switches[i].name, switches[i].value, NULL);
        if (result != SQLITE_OK) {
            return dk_database_status(database, result);
        }
    }
    return dk_database_status(database, sqlite3_busy_timeout(database->handle, options->busy_ms));
}

/* Settings that are pragmas. The first that reads the file finds one that is no database. */
static daybook_status set_pragmas(struct database *database, const struct database_options *options)
{
    char sql[256];
    int cache_kib = options->cache_kib > 0 ? options->cache_kib : CACHE_KIB_DEFAULT;
    bool fits = dk_text_format(sql, sizeof sql,
                               "PRAGMA temp_store = MEMORY;"
                               "PRAGMA foreign_keys = OFF;"
                               "PRAGMA mmap_size = 0;"
                               "PRAGMA cache_size = -%d;"
                               "PRAGMA secure_delete = OFF;"
                               "PRAGMA synchronous = %s;",
                               cache_kib, options->sync_full ? "FULL" : "NORMAL");
    if (!fits) {
        return refuse(database, DAYBOOK_INTERNAL, "the settings do not fit their text");
    }
    return dk_database_run(database, sql);
}

/* Switches a writer's file to WAL and checks the answer, since SQLite keeps the old mode silently
 * where it cannot. Databases in memory have no WAL and need none. */
static daybook_status set_journal(struct database *database)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(database->handle, "PRAGMA main.journal_mode = WAL", -1,
                                    &statement, NULL);
    if (result == SQLITE_OK) {
        result = sqlite3_step(statement);
    }
    daybook_status status = dk_database_status(database, result);
    if (result == SQLITE_ROW) {
        const char *mode = (const char *)sqlite3_column_text(statement, 0);
        if (mode == NULL || (strcmp(mode, "wal") != 0 && strcmp(mode, "memory") != 0)) {
            status = refuse(database, DAYBOOK_CANNOT_OPEN, "the file cannot be switched to WAL");
        }
    }
    (void)sqlite3_finalize(statement);
    return status;
}

/* Makes SQLite read the file now, so that a missing or foreign one is found at open and not at the
 * first query. */
static daybook_status check_file(struct database *database, const struct database_options *options)
{
    bool writer = options->mode == DATABASE_WRITER;
    if (writer && sqlite3_db_readonly(database->handle, "main") != 0) {
        return refuse(database, DAYBOOK_CANNOT_OPEN, "the file is not writable");
    }
    daybook_status status = writer ? set_journal(database) : DAYBOOK_OK;
    if (status == DAYBOOK_OK) {
        status = dk_database_run(database, "SELECT 1 FROM sqlite_schema LIMIT 1");
    }
    return status;
}

/* Prepares the statements that transactions need, so that a rollback works when nothing else
 * does. */
static daybook_status prepare_own(struct database *database)
{
    static const char *const sql[OWN_COUNT] = {"BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"};
    for (int i = 0; i < OWN_COUNT; i++) {
        struct statement *slot = NULL;
        daybook_status status = DAYBOOK_OK;
        if (dk_statement(database, &slot, sql[i], &status) == NULL) {
            return status;
        }
        assert(database->statements[i] == slot);
    }
    return DAYBOOK_OK;
}

/* What a connection to work with has beyond its switches. */
static daybook_status set_up(struct database *database, const struct database_options *options)
{
    daybook_status status = set_pragmas(database, options);
    if (status == DAYBOOK_OK) {
        status = check_file(database, options);
    }
    return status == DAYBOOK_OK ? prepare_own(database) : status;
}

/* It can only come too late, and then nothing but speed is lost. */
void dk_database_own_process(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

/* See the header. `problem` keeps the text after a failure. */
daybook_status dk_database_open(struct database *database, const char *path,
                                const struct database_options *options)
{
    memset(database, 0, sizeof *database);
    int flags = options->mode == DATABASE_WRITER ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                                                 : SQLITE_OPEN_READONLY;
    flags |= SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int result = sqlite3_open_v2(path, &database->handle, flags, options->vfs);
    daybook_status status = dk_database_status(database, result);
    if (status == DAYBOOK_OK) {
        status = set_switches(database, options);
    }
    if (status == DAYBOOK_OK && options->mode != DATABASE_LOOK) {
        status = set_up(database, options);
    }
    if (status != DAYBOOK_OK) {
        dk_database_close(database);
    }
    return status;
}

/* Slots that point to the statements dangle from here on. `problem` stays readable. */
void dk_database_close(struct database *database)
{
    for (int i = 0; i < database->statement_count; i++) {
        (void)sqlite3_finalize(database->statements[i]->handle);
        dk_memory_free(database->statements[i]);
    }
    dk_memory_free(database->statements);
    database->statements = NULL;
    database->statement_count = 0;
    assert(database->handle == NULL || sqlite3_next_stmt(database->handle, NULL) == NULL);
    (void)sqlite3_close_v2(database->handle);
    database->handle = NULL;
}

/* ---- whole statements ---- */

/* Not for hot paths: prepared anew each time. */
daybook_status dk_database_run(struct database *database, const char *sql)
{
    return dk_database_status(database, sqlite3_exec(database->handle, sql, NULL, NULL, NULL));
}

/* Prepared anew each time, too. */
daybook_status dk_database_number(struct database *database, const char *sql, int64_t *number)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL);
    if (result == SQLITE_OK) {
        result = sqlite3_step(statement);
        *number = result == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    }
    daybook_status status = dk_database_status(database, result);
    (void)sqlite3_finalize(statement);
    return status;
}

/* Steps one of the statements that open has prepared. */
static daybook_status run_own(struct database *database, enum own_statement which)
{
    return dk_step_done(database->statements[which]);
}

/* Takes the write lock at once, so that a later write cannot fail for want of it. A begin that is
 * broken off may have begun. */
daybook_status dk_database_begin(struct database *database)
{
    bool begun = sqlite3_get_autocommit(database->handle) == 0;
    daybook_status status = run_own(database, OWN_BEGIN);
    if (status != DAYBOOK_OK && !begun) {
        dk_database_rollback(database);
    }
    return status;
}

/* Whatever goes wrong, no transaction is open afterwards; the status is that of the commit. */
daybook_status dk_database_commit(struct database *database)
{
    daybook_status status = run_own(database, OWN_COMMIT);
    if (status != DAYBOOK_OK) {
        dk_database_rollback(database);
    }
    return status;
}

/* SQLite may have rolled back by itself (disk full, no memory). `problem` goes on telling why one
 * rolls back. */
void dk_database_rollback(struct database *database)
{
    if (database->handle == NULL || sqlite3_get_autocommit(database->handle) != 0) {
        return;
    }
    (void)run_own(database, OWN_ROLLBACK);
}

/* The pragma takes effect while it is prepared, so it cannot be a cached statement. */
daybook_status dk_database_synchronous(struct database *database, bool full)
{
    return dk_database_run(database,
                           full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
}

/* Of the last INSERT, UPDATE or DELETE. */
int dk_database_changes(struct database *database)
{
    return sqlite3_changes(database->handle);
}

/* Of all of them; what was rolled back counts too. */
int64_t dk_database_writes(struct database *database)
{
    return sqlite3_total_changes(database->handle);
}

/* ---- statements ---- */

/* Makes room for one more pointer. */
static daybook_status grow_statements(struct database *database)
{
    int count = database->statement_count;
    if (count == STATEMENTS_MAX) {
        return refuse(database, DAYBOOK_INTERNAL, "too many prepared statements");
    }
    if (count % STATEMENTS_STEP != 0) {
        return DAYBOOK_OK;
    }
    size_t size = (size_t)(count + STATEMENTS_STEP) * sizeof(struct statement *);
    struct statement **statements = dk_memory_resize(database->statements, size);
    if (statements == NULL) {
        return refuse(database, DAYBOOK_NO_MEMORY, "no memory for a statement");
    }
    database->statements = statements;
    return DAYBOOK_OK;
}

/* Prepares and adds a statement; NULL on failure with *status set and nothing kept. */
static struct statement *prepare(struct database *database, const char *sql, daybook_status *status)
{
    *status = grow_statements(database);
    if (*status != DAYBOOK_OK) {
        return NULL;
    }
    struct statement *statement = dk_memory_new(1, sizeof *statement);
    if (statement == NULL) {
        *status = refuse(database, DAYBOOK_NO_MEMORY, "no memory for a statement");
        return NULL;
    }
    int result = sqlite3_prepare_v3(database->handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                    &statement->handle, NULL);
    *status = dk_database_status(database, result);
    if (*status == DAYBOOK_OK && statement->handle == NULL) {
        *status = refuse(database, DAYBOOK_INTERNAL, "an empty statement");
    }
    if (*status != DAYBOOK_OK) {
        dk_memory_free(statement);
        return NULL;
    }
    statement->database = database;
    database->statements[database->statement_count++] = statement;
    return statement;
}

/* The usual call finds the slot filled and the statement reset, and only clears what was bound. */
struct statement *dk_statement(struct database *database, struct statement **slot, const char *sql,
                               daybook_status *status)
{
    struct statement *statement = *slot;
    if (statement == NULL) {
        statement = prepare(database, sql, status);
        *slot = statement;
        return statement;
    }
    assert(statement->database == database);
    if (statement->active) {
        dk_reset(statement);
    }
    if (statement->bound) {
        (void)sqlite3_clear_bindings(statement->handle);
        statement->bound = false;
    }
    statement->bind_result = SQLITE_OK;
    *status = DAYBOOK_OK;
    return statement;
}

/* Keeps the first failure of a chain of binds. */
static inline void keep(struct statement *statement, int result)
{
    statement->bound = true;
    if (result != SQLITE_OK && statement->bind_result == SQLITE_OK) {
        statement->bind_result = result;
    }
}

/* See the header. */
void dk_bind_int(struct statement *statement, int position, int64_t number)
{
    keep(statement, sqlite3_bind_int64(statement->handle, position, number));
}

/* The length is SQLite's to refuse (TOO_LARGE). */
void dk_bind_text(struct statement *statement, int position, const char *text, size_t length)
{
    keep(statement, sqlite3_bind_text64(statement->handle, position, text, length, SQLITE_STATIC,
                                        SQLITE_UTF8));
}

/* A length of 0 with a pointer binds an empty blob. */
void dk_bind_blob(struct statement *statement, int position, const void *bytes, size_t length)
{
    keep(statement, sqlite3_bind_blob64(statement->handle, position, bytes, length, SQLITE_STATIC));
}

/* As 16 bytes, borrowed like a blob. */
void dk_bind_id(struct statement *statement, int position, const struct id *id)
{
    dk_bind_blob(statement, position, id == NULL ? NULL : id->bytes, ID_SIZE);
}

/* See the header. */
void dk_bind_null(struct statement *statement, int position)
{
    keep(statement, sqlite3_bind_null(statement->handle, position));
}

/* Ends a step that failed: keeps the text before reset can change it. */
static daybook_status fail_step(struct statement *statement, int result)
{
    daybook_status status = dk_database_status(statement->database, result);
    dk_reset(statement);
    return status == DAYBOOK_OK ? DAYBOOK_INTERNAL : status;
}

/* A failed bind is reported instead of running the statement. */
daybook_status dk_step(struct statement *statement, bool *row)
{
    *row = false;
    if (statement->bind_result != SQLITE_OK) {
        return fail_step(statement, statement->bind_result);
    }
    int result = sqlite3_step(statement->handle);
    if (result == SQLITE_ROW) {
        statement->active = true;
        *row = true;
        return DAYBOOK_OK;
    }
    if (result == SQLITE_DONE) {
        statement->active = false;
        (void)sqlite3_reset(statement->handle);
        return DAYBOOK_OK;
    }
    return fail_step(statement, result);
}

/* A row where none is expected is a defect of the caller's SQL. */
daybook_status dk_step_done(struct statement *statement)
{
    bool row = false;
    daybook_status status = dk_step(statement, &row);
    if (row) {
        dk_reset(statement);
        return refuse(statement->database, DAYBOOK_INTERNAL, "a row where none is expected");
    }
    return status;
}

/* Bindings stay until they are bound again or dk_statement clears them; a failure of binding is
 * forgotten. */
void dk_reset(struct statement *statement)
{
    (void)sqlite3_reset(statement->handle);
    statement->active = false;
    statement->bind_result = SQLITE_OK;
}

/* ---- columns ---- */

/* See the header. */
bool dk_column_is_null(struct statement *statement, int column)
{
    return sqlite3_column_type(statement->handle, column) == SQLITE_NULL;
}

/* See the header. */
int64_t dk_column_int(struct statement *statement, int column)
{
    return sqlite3_column_int64(statement->handle, column);
}

/* NULL also where memory is used up: then the next step fails. length may be NULL; a NUL stands
 * behind the text. */
const char *dk_column_text(struct statement *statement, int column, size_t *length)
{
    const unsigned char *text = sqlite3_column_text(statement->handle, column);
    if (length != NULL) {
        *length = text == NULL ? 0 : (size_t)sqlite3_column_bytes(statement->handle, column);
    }
    return (const char *)text;
}

/* An empty blob is "", not NULL, so that it is told from SQL NULL. length may be NULL. */
const void *dk_column_blob(struct statement *statement, int column, size_t *length)
{
    const void *bytes = sqlite3_column_blob(statement->handle, column);
    size_t size = (size_t)sqlite3_column_bytes(statement->handle, column);
    if (length != NULL) {
        *length = size;
    }
    if (bytes == NULL && size == 0 && !dk_column_is_null(statement, column)) {
        return "";
    }
    return bytes;
}

/* *id is unchanged on false. */
bool dk_column_id(struct statement *statement, int column, struct id *id)
{
    if (sqlite3_column_type(statement->handle, column) != SQLITE_BLOB ||
        sqlite3_column_bytes(statement->handle, column) != ID_SIZE) {
        return false;
    }
    const void *bytes = sqlite3_column_blob(statement->handle, column);
    if (bytes == NULL) {
        return false;
    }
    memcpy(id->bytes, bytes, ID_SIZE);
    return true;
}
