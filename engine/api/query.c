/* SPDX-License-Identifier: Apache-2.0
 *
 * Queries: SQL of the app on a read-only connection of its own. Called by apps, by watch.c to learn
 * what a query reads and by query_json.c. Invariants: the statement is touched under the query's
 * lock only; a snapshot ends with the last row, a failure, a reset, or after SNAPSHOT_MAX_MS; what
 * a column gave stays valid until the next step, whatever others do meanwhile.
 */
#include "engine/api/query.h"

#include "engine/base/memory.h"
#include "engine/base/text.h"

#include <assert.h>
#include <string.h>

#define PROGRESS_STEPS 1000 /* virtual machine steps between two looks at the clock */

/* ---- preparing */

/* True where nothing but white space, semicolons and comments is left: one statement was all. */
static bool is_blank(const char *sql)
{
    while (*sql != '\0') {
        if (*sql == ' ' || *sql == '\n' || *sql == '\t' || *sql == '\r' || *sql == ';') {
            sql++;
        } else if (sql[0] == '-' && sql[1] == '-') {
            while (*sql != '\0' && *sql != '\n') {
                sql++;
            }
        } else {
            return false;
        }
    }
    return true;
}

/* Prepares one reading statement. BAD_SQL with the reason, NOT_UTF8, TOO_LARGE, NO_MEMORY … */
static daybook_status prepare(struct reader *reader, const char *sql, sqlite3_stmt **statement,
                              daybook_error *error)
{
    const char *tail = NULL;
    size_t length = strnlen(sql, QUERY_SQL_BYTES_MAX + 1);
    *statement = NULL;
    if (length > QUERY_SQL_BYTES_MAX) {
        return dk_error_text(error, DAYBOOK_TOO_LARGE, "the query is too long");
    }
    if (!dk_text_is_utf8(sql, length)) {
        return dk_error_text(error, DAYBOOK_NOT_UTF8, NULL);
    }
    int result =
        sqlite3_prepare_v2(reader->database.handle, sql, (int)length + 1, statement, &tail);
    if (result == SQLITE_OK && *statement != NULL && is_blank(tail) &&
        sqlite3_stmt_readonly(*statement) && sqlite3_stmt_isexplain(*statement) == 0) {
        return DAYBOOK_OK;
    }
    daybook_status status = dk_database_status(&reader->database, result);
    bool is_sql = result == SQLITE_OK || (result & 0xFF) == SQLITE_ERROR ||
                  (result & 0xFF) == SQLITE_AUTH || (result & 0xFF) == SQLITE_RANGE;
    const char *text = result != SQLITE_OK  ? sqlite3_errmsg(reader->database.handle)
                       : *statement == NULL ? "there is no statement"
                                            : "one SELECT is expected";
    (void)dk_error_text(error, is_sql ? DAYBOOK_BAD_SQL : status, text);
    sqlite3_finalize(*statement);
    *statement = NULL;
    return is_sql ? DAYBOOK_BAD_SQL : status;
}

/* See query.h. */
daybook_status dk_query_entities(struct daybook *engine, const char *sql, uint64_t *entities,
                                 daybook_error *error)
{
    struct reader *reader = NULL;
    sqlite3_stmt *statement;
    daybook_status status = dk_reader_take(engine, &reader);
    if (status != DAYBOOK_OK) {
        return dk_error_text(error, status, NULL);
    }
    status = prepare(reader, sql, &statement, error);
    *entities = reader->used;
    sqlite3_finalize(statement);
    pthread_mutex_lock(&engine->queries_lock);
    dk_reader_give(engine, reader);
    pthread_mutex_unlock(&engine->queries_lock);
    return status;
}

/* SQLite asks every PROGRESS_STEPS: non-zero ends the step, when the engine closes or the snapshot
 * is too old. */
static int look_at_clock(void *context)
{
    const struct daybook_query *query = context;
    const daybook_platform *platform = &query->engine->platform;
    return dk_engine_is_closed(query->engine) ||
           platform->steady_ms(platform->context) - query->began_ms > SNAPSHOT_MAX_MS;
}

/* Puts the query into the engine's list. */
static void link_query(struct daybook_query *query)
{
    struct daybook *engine = query->engine;
    pthread_mutex_lock(&engine->queries_lock);
    query->next = engine->queries;
    if (query->next != NULL) {
        query->next->previous = query;
    }
    engine->queries = query;
    pthread_mutex_unlock(&engine->queries_lock);
}

/* See query.h. The caller is inside the gate. */
daybook_status dk_query_new(struct daybook *engine, const char *sql, struct daybook_query **out,
                            daybook_error *error)
{
    struct daybook_query *query = dk_memory_new(1, sizeof *query);
    if (query == NULL) {
        return dk_error_text(error, DAYBOOK_NO_MEMORY, NULL);
    }
    daybook_status status = dk_reader_take(engine, &query->reader);
    if (status != DAYBOOK_OK) {
        (void)dk_error_text(error, status,
                            status == DAYBOOK_BUSY ? "too many queries are open" : NULL);
        goto free;
    }
    status = prepare(query->reader, sql, &query->statement, error);
    if (status != DAYBOOK_OK) {
        goto give;
    }
    query->engine = engine;
    query->column_count = sqlite3_column_count(query->statement);
    dk_arena_init(&query->arena, QUERY_TEXTS_MAX);
    dk_error_clear(&query->error);
    int result = pthread_mutex_init(&query->lock, NULL);
    assert(result == 0);
    (void)result;
    sqlite3_progress_handler(query->reader->database.handle, PROGRESS_STEPS, look_at_clock, query);
    dk_engine_hold(engine);
    link_query(query);
    *out = query;
    return DAYBOOK_OK;

give:
    pthread_mutex_lock(&engine->queries_lock);
    dk_reader_give(engine, query->reader);
    pthread_mutex_unlock(&engine->queries_lock);
free:
    dk_memory_free(query);
    return status;
}

/* See daybook.h. */
daybook_status daybook_query_open(daybook *engine, const char *sql, daybook_query **query,
                                  daybook_error *error)
{
    if (query != NULL) {
        *query = NULL;
    }
    if (engine == NULL || sql == NULL || query == NULL || !dk_engine_enter(engine)) {
        return dk_error_text(error, DAYBOOK_MISUSE, NULL);
    }
    daybook_status status = dk_query_new(engine, sql, query, error);
    dk_engine_leave(engine);
    return status;
}

/* See daybook.h. A query that the engine's close has detached is out of the list already. */
void daybook_query_close(daybook_query **handle)
{
    if (handle == NULL || *handle == NULL) {
        return;
    }
    struct daybook_query *query = *handle;
    struct daybook *engine = query->engine;
    *handle = NULL;
    pthread_mutex_lock(&engine->queries_lock);
    if (query->reader != NULL) {
        if (query->previous != NULL) {
            query->previous->next = query->next;
        } else {
            engine->queries = query->next;
        }
        if (query->next != NULL) {
            query->next->previous = query->previous;
        }
        sqlite3_finalize(query->statement);
        dk_reader_give(engine, query->reader);
    }
    pthread_mutex_unlock(&engine->queries_lock);
    pthread_mutex_destroy(&query->lock);
    dk_arena_clear(&query->arena);
    dk_memory_free(query);
    dk_engine_release(engine);
}

/* ---- binding and stepping */

/* Locks the query for its owner's call. False: NULL or detached, and not locked. */
static bool lock_query(struct daybook_query *query)
{
    if (query == NULL) {
        return false;
    }
    pthread_mutex_lock(&query->lock);
    if (query->statement != NULL && !dk_engine_is_closed(query->engine)) {
        return true;
    }
    pthread_mutex_unlock(&query->lock);
    return false;
}

/* Ends the snapshot and forgets the row. Lock held. */
static void end_snapshot(struct daybook_query *query)
{
    (void)sqlite3_reset(query->statement);
    query->active = false;
    query->has_row = false;
}

/* Locks the query for a binding: before the first step, at the end, or after a reset. False: it is
 * not locked. */
static bool lock_unstepped(struct daybook_query *query)
{
    if (!lock_query(query)) {
        return false;
    }
    if (!query->active) {
        return true;
    }
    (void)dk_error_text(&query->error, DAYBOOK_MISUSE,
                        "bind before the first step or after a reset");
    pthread_mutex_unlock(&query->lock);
    return false;
}

/* Unlocks after a binding; a position out of range is INVALID. */
static daybook_status bound(struct daybook_query *query, int result)
{
    daybook_status status = DAYBOOK_OK;
    if ((result & 0xFF) == SQLITE_RANGE) {
        status = dk_error_text(&query->error, DAYBOOK_INVALID, "the query has no such parameter");
    } else if (result != SQLITE_OK) {
        status = dk_error_text(&query->error, dk_database_status(&query->reader->database, result),
                               NULL);
    }
    pthread_mutex_unlock(&query->lock);
    return status;
}

/* See daybook.h; NULL text is SQL NULL. */
daybook_status daybook_bind_text(daybook_query *query, int position, const char *text)
{
    if (!lock_unstepped(query)) {
        return DAYBOOK_MISUSE;
    }
    if (text == NULL) {
        return bound(query, sqlite3_bind_null(query->statement, position));
    }
    size_t length = strlen(text);
    if (!dk_text_is_utf8(text, length)) {
        pthread_mutex_unlock(&query->lock);
        return dk_error_text(&query->error, DAYBOOK_NOT_UTF8, NULL);
    }
    return bound(query, sqlite3_bind_text64(query->statement, position, text, length,
                                            SQLITE_TRANSIENT, SQLITE_UTF8));
}

/* See daybook.h. */
daybook_status daybook_bind_int(daybook_query *query, int position, int64_t number)
{
    if (!lock_unstepped(query)) {
        return DAYBOOK_MISUSE;
    }
    return bound(query, sqlite3_bind_int64(query->statement, position, number));
}

/* See daybook.h. */
daybook_status daybook_bind_id(daybook_query *query, int position, const char *text)
{
    struct id id;
    if (text == NULL || !lock_unstepped(query)) {
        return DAYBOOK_MISUSE;
    }
    if (!dk_id_from_text(text, strnlen(text, ID_TEXT_SIZE), &id)) {
        pthread_mutex_unlock(&query->lock);
        return dk_error_text(&query->error, DAYBOOK_INVALID, "that is no UUID");
    }
    return bound(query, sqlite3_bind_blob(query->statement, position, id.bytes, sizeof id.bytes,
                                          SQLITE_TRANSIENT));
}

/* See daybook.h. */
daybook_status daybook_bind_null(daybook_query *query, int position)
{
    if (!lock_unstepped(query)) {
        return DAYBOOK_MISUSE;
    }
    return bound(query, sqlite3_bind_null(query->statement, position));
}

/* Moves to the next row. Lock held. */
static daybook_status step(struct daybook_query *query, bool *row)
{
    const daybook_platform *platform = &query->engine->platform;
    int64_t now = platform->steady_ms(platform->context);
    if (query->expired || (query->active && now - query->began_ms > SNAPSHOT_MAX_MS)) {
        end_snapshot(query);
        return dk_error_text(&query->error, DAYBOOK_INTERRUPTED, "the snapshot was held too long");
    }
    if (!query->active) {
        query->active = true;
        query->began_ms = now;
    }
    int result = sqlite3_step(query->statement);
    query->has_row = result == SQLITE_ROW;
    *row = query->has_row;
    if (query->has_row) {
        return DAYBOOK_OK;
    }
    daybook_status status = DAYBOOK_OK;
    if (result != SQLITE_DONE) {
        status = dk_database_status(&query->reader->database, result);
        status = (result & 0xFF) == SQLITE_ERROR ? DAYBOOK_BAD_SQL : status;
        (void)dk_error_text(&query->error, status, sqlite3_errmsg(query->reader->database.handle));
    }
    end_snapshot(query);
    return status;
}

/* See daybook.h. After the end another step runs the query again from the start. Where a text of
 * the row before could not be copied, it looked like NULL: the query ends with NO_MEMORY then. */
daybook_status daybook_step(daybook_query *query, bool *row)
{
    if (row != NULL) {
        *row = false;
    }
    if (row == NULL || !lock_query(query)) {
        return DAYBOOK_MISUSE;
    }
    bool short_of_memory = query->arena.failed;
    if (query->arena.used > 0 || short_of_memory) {
        dk_arena_reset(&query->arena);
        query->texts = NULL;
        query->saved = NULL;
    }
    query->has_row = false;
    daybook_status status;
    if (short_of_memory) {
        end_snapshot(query);
        status = dk_error_text(&query->error, DAYBOOK_NO_MEMORY, NULL);
    } else {
        status = step(query, row);
    }
    pthread_mutex_unlock(&query->lock);
    return status;
}

/* See daybook.h. */
daybook_status daybook_query_reset(daybook_query *query)
{
    if (!lock_query(query)) {
        return DAYBOOK_MISUSE;
    }
    end_snapshot(query);
    query->expired = false;
    pthread_mutex_unlock(&query->lock);
    return DAYBOOK_OK;
}

/* See daybook.h. */
void daybook_query_error(const daybook_query *query, daybook_error *error)
{
    if (query == NULL) {
        (void)dk_error_text(error, DAYBOOK_MISUSE, NULL);
        return;
    }
    dk_error_copy(error, &query->error);
}
