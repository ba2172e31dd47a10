/* SPDX-License-Identifier: Apache-2.0
 *
 * The pool of read-only connections, and the rule that no query holds a snapshot for long while
 * others write: an old snapshot keeps the log of the database from being folded back into the file.
 * Invariant: every connection is in the pool or in one query, so the engine closes them all before
 * the store.
 */
#include "engine/api/query.h"

#include "engine/base/memory.h"

#include <assert.h>

/* Opens another connection. queries_lock held: opening is rare, and closing must not overtake it.
 */
static daybook_status open_reader(struct daybook *engine, struct reader **out)
{
    struct reader *reader = dk_memory_new(1, sizeof *reader);
    if (reader == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    daybook_status status = dk_store_reader_open(engine->store, &reader->database, &reader->used);
    if (status != DAYBOOK_OK) {
        dk_memory_free(reader);
        return status;
    }
    engine->reader_count++;
    *out = reader;
    return DAYBOOK_OK;
}

/* See engine.h. */
daybook_status dk_reader_take(struct daybook *engine, struct reader **out)
{
    daybook_status status = DAYBOOK_OK;
    pthread_mutex_lock(&engine->queries_lock);
    struct reader *reader = engine->idle_readers;
    if (reader != NULL) {
        engine->idle_readers = reader->next;
        engine->idle_count--;
        reader->next = NULL;
        reader->used = 0;
        *out = reader;
    } else if (engine->reader_count >= READERS_MAX) {
        status = DAYBOOK_BUSY;
    } else {
        status = open_reader(engine, out);
    }
    pthread_mutex_unlock(&engine->queries_lock);
    return status;
}

/* See engine.h. A connection goes back as it came: without statements and handlers. */
void dk_reader_give(struct daybook *engine, struct reader *reader)
{
    sqlite3_progress_handler(reader->database.handle, 0, NULL, NULL);
    if (engine->idle_count < READERS_IDLE_MAX) {
        reader->next = engine->idle_readers;
        engine->idle_readers = reader;
        engine->idle_count++;
        return;
    }
    engine->reader_count--;
    dk_store_reader_close(engine->store, &reader->database);
    dk_memory_free(reader);
}

/* See engine.h. */
void dk_readers_close(struct daybook *engine)
{
    pthread_mutex_lock(&engine->queries_lock);
    while (engine->idle_readers != NULL) {
        struct reader *reader = engine->idle_readers;
        engine->idle_readers = reader->next;
        engine->idle_count--;
        engine->reader_count--;
        dk_store_reader_close(engine->store, &reader->database);
        dk_memory_free(reader);
    }
    assert(engine->reader_count == 0);
    pthread_mutex_unlock(&engine->queries_lock);
}

/* See engine.h. A query whose owner is in a call right now is looked after by that call. No commit
 * waits here: where the list is in use, the next one looks. */
void dk_queries_expire(struct daybook *engine)
{
    if (pthread_mutex_trylock(&engine->queries_lock) != 0) {
        return;
    }
    if (engine->queries == NULL) {
        pthread_mutex_unlock(&engine->queries_lock);
        return;
    }
    int64_t now = engine->platform.steady_ms(engine->platform.context);
    for (struct daybook_query *query = engine->queries; query != NULL; query = query->next) {
        if (pthread_mutex_trylock(&query->lock) != 0) {
            continue;
        }
        if (query->active && now - query->began_ms > SNAPSHOT_MAX_MS) {
            dk_query_expire(query);
        }
        pthread_mutex_unlock(&query->lock);
    }
    pthread_mutex_unlock(&engine->queries_lock);
}

/* See engine.h. A step that runs meanwhile finds the engine closed and ends soon. */
void dk_queries_detach(struct daybook *engine)
{
    pthread_mutex_lock(&engine->queries_lock);
    while (engine->queries != NULL) {
        struct daybook_query *query = engine->queries;
        engine->queries = query->next;
        query->next = NULL;
        query->previous = NULL;
        pthread_mutex_lock(&query->lock);
        query->active = false;
        query->has_row = false;
        sqlite3_finalize(query->statement);
        query->statement = NULL;
        dk_reader_give(engine, query->reader);
        query->reader = NULL;
        pthread_mutex_unlock(&query->lock);
    }
    pthread_mutex_unlock(&engine->queries_lock);
}
