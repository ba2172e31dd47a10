/* SPDX-License-Identifier: Apache-2.0
 *
 * What query.c, query_json.c, readers.c and watch.c share about queries.
 */
#ifndef DAYBOOK_API_QUERY_H
#define DAYBOOK_API_QUERY_H

#include "engine/api/engine.h"
#include "engine/base/arena.h"

#define QUERY_SQL_BYTES_MAX (1024 * 1024)
#define QUERY_TEXTS_MAX ((size_t)64 * 1024 * 1024) /* bytes of one row's texts */

/* A column of a row whose statement has been reset under it. Its text is in daybook_query.texts. */
struct saved_column {
    bool is_null;
    int64_t integer;
};

struct daybook_query {
    struct daybook *engine;
    struct daybook_query *next, *previous; /* engine->queries; guarded by queries_lock */

    pthread_mutex_t
        lock; /* guards what follows: the owner's calls, and whoever expires or detaches */
    struct reader *reader;   /* NULL: the engine was closed */
    sqlite3_stmt *statement; /* NULL: as reader */
    int column_count;
    bool active; /* holds a snapshot: stepped, and neither ended nor reset */
    bool has_row;
    bool expired;       /* the snapshot was taken away; the next step says INTERRUPTED */
    int64_t began_ms;   /* steady clock, where active */
    const char **texts; /* of the present row, by column, as far as asked for; in the arena */
    struct saved_column
        *saved; /* the present row, where its snapshot was taken away; in the arena */
    struct arena arena;
    daybook_error error; /* of the last call that failed */
};

/* The entities that this SQL reads (bits as in store.h). BAD_SQL … with *error. */
daybook_status dk_query_entities(struct daybook *engine, const char *sql, uint64_t *entities,
                                 daybook_error *error);
/* Takes the snapshot away from an idle query: saves the present row, then resets the statement.
 * Lock held. */
void dk_query_expire(struct daybook_query *query);
/* The text of a column of the present row, NULL for SQL NULL; blobs of 16 bytes as UUID text,
 * others as hex. Lock held. */
const char *dk_query_text(struct daybook_query *query, int column);
/* Opens a query without the public wrapping; as daybook_query_open. */
daybook_status dk_query_new(struct daybook *engine, const char *sql, struct daybook_query **out,
                            daybook_error *error);

#endif
