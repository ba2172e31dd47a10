/* SPDX-License-Identifier: Apache-2.0
 *
 * The columns of a query's present row. Called by apps and query_json.c. Invariant: a text is
 * copied into the row's arena when it is first asked for, so it lives until the next step even
 * where the statement is reset under it.
 */
#include "engine/api/query.h"

#include "engine/base/text.h"

#include <string.h>

/* A blob as text in the arena: UUID text where it has the length of an id, hex otherwise. NULL: no
 * memory. */
static const char *blob_text(struct daybook_query *query, int column)
{
    const void *bytes = sqlite3_column_blob(query->statement, column);
    size_t length = (size_t)sqlite3_column_bytes(query->statement, column);
    char *text = dk_arena_new(&query->arena, 2 * length + ID_TEXT_SIZE);
    if (text != NULL && length == ID_SIZE) {
        struct id id;
        memcpy(id.bytes, bytes, ID_SIZE);
        dk_id_to_text(&id, text);
    } else if (text != NULL) {
        dk_text_to_hex(bytes, length, text);
    }
    return text;
}

/* See query.h. */
const char *dk_query_text(struct daybook_query *query, int column)
{
    if (query->texts == NULL) {
        query->texts =
            dk_arena_new(&query->arena, (size_t)query->column_count * sizeof *query->texts);
        if (query->texts == NULL) {
            return NULL;
        }
    }
    if (query->texts[column] != NULL || query->saved != NULL) {
        return query->texts[column];
    }
    int type = sqlite3_column_type(query->statement, column);
    if (type == SQLITE_NULL) {
        return NULL;
    }
    if (type == SQLITE_BLOB) {
        query->texts[column] = blob_text(query, column);
    } else {
        const unsigned char *text = sqlite3_column_text(query->statement, column);
        if (text != NULL) {
            size_t length = (size_t)sqlite3_column_bytes(query->statement, column);
            query->texts[column] = dk_arena_copy(&query->arena, (const char *)text, length);
        }
    }
    return query->texts[column];
}

/* See query.h. */
void dk_query_expire(struct daybook_query *query)
{
    if (query->has_row) {
        struct saved_column *saved =
            dk_arena_new(&query->arena, (size_t)query->column_count * sizeof *saved);
        for (int i = 0; saved != NULL && i < query->column_count; i++) {
            saved[i].is_null = sqlite3_column_type(query->statement, i) == SQLITE_NULL;
            saved[i].integer = sqlite3_column_int64(query->statement, i);
            (void)dk_query_text(query, i);
        }
        query->saved = saved;
        query->has_row = saved != NULL;
    }
    (void)sqlite3_reset(query->statement);
    query->active = false;
    query->expired = true;
}

/* Locks a query that stands on a row with such a column. False: it does not, and is not locked. */
static bool lock_row(struct daybook_query *query, int column)
{
    if (query == NULL || column < 0 || column >= query->column_count) {
        return false;
    }
    pthread_mutex_lock(&query->lock);
    if (query->statement != NULL && query->has_row) {
        return true;
    }
    pthread_mutex_unlock(&query->lock);
    return false;
}

/* See daybook.h; 0 for NULL. */
int daybook_column_count(const daybook_query *query)
{
    return query == NULL ? 0 : query->column_count;
}

/* See daybook.h; NULL where there is none. The name is the statement's, which lives as long as the
 * query or the engine. */
const char *daybook_column_name(const daybook_query *given, int column)
{
    struct daybook_query *query = (struct daybook_query *)given; /* only its lock changes */
    if (query == NULL || column < 0 || column >= query->column_count) {
        return NULL;
    }
    pthread_mutex_lock(&query->lock);
    const char *name =
        query->statement == NULL ? NULL : sqlite3_column_name(query->statement, column);
    pthread_mutex_unlock(&query->lock);
    return name;
}

/* See daybook.h; true also where there is no row or column. */
bool daybook_column_is_null(const daybook_query *given, int column)
{
    struct daybook_query *query = (struct daybook_query *)given; /* only its lock changes */
    bool is_null = true;
    if (lock_row(query, column)) {
        is_null = query->saved != NULL
                      ? query->saved[column].is_null
                      : sqlite3_column_type(query->statement, column) == SQLITE_NULL;
        pthread_mutex_unlock(&query->lock);
    }
    return is_null;
}

/* See daybook.h; 0 where there is no row or column, or it is NULL or no number. */
int64_t daybook_column_int(const daybook_query *given, int column)
{
    struct daybook_query *query = (struct daybook_query *)given; /* only its lock changes */
    int64_t number = 0;
    if (lock_row(query, column)) {
        number = query->saved != NULL ? query->saved[column].integer
                                      : sqlite3_column_int64(query->statement, column);
        pthread_mutex_unlock(&query->lock);
    }
    return number;
}

/* See daybook.h. */
const char *daybook_column_text(const daybook_query *given, int column)
{
    struct daybook_query *query =
        (struct daybook_query *)given; /* its lock and its copies change */
    const char *text = NULL;
    if (lock_row(query, column)) {
        text = dk_query_text(query, column);
        pthread_mutex_unlock(&query->lock);
    }
    return text;
}
