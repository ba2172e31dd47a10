/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts with numbers: labels of buckets and headers of log parts. The decider makes them, everybody
 * looks them up; each look-up is made in memory first. Invariants: the roots of buckets count 1, 4,
 * 7 … within their organisation, so that numbers tell nothing of others; lanes and headers count
 * over all.
 */
#include "sync-server/store/sqlite.h"

#include <assert.h>
#include <string.h>

#define HEADER_SIZE_MAX ((size_t)256 * 1024)

/* Runs a SELECT of one number; *found false where it has no row. */
static daybook_status select_number(struct sqlite_store *sqlite, struct statement *statement,
                                    int64_t *number, bool *found)
{
    daybook_status status = srv_sqlite_step(sqlite, statement, found);
    if (status == DAYBOOK_OK && *found) {
        *number = dk_column_int(statement, 0);
        dk_reset(statement);
    }
    return status;
}

/* Remembers a number unless there are too many already: then the next transaction starts afresh. */
static daybook_status remember(struct sqlite_store *sqlite, enum sqlite_intern which, int64_t scope,
                               int64_t number, const char *text, size_t length)
{
    struct srv_intern *intern = &sqlite->interns[which];
    if (srv_intern_is_full(intern)) {
        return DAYBOOK_OK;
    }
    return srv_intern_add(intern, scope, number, text, length);
}

/* ---- buckets ---- */

static const char *const suffixes[CLASS_COUNT] = {"", "/recent", "/archive"};

/* The number of a label; *found false: none yet. */
static daybook_status look_up(struct sqlite_store *sqlite, int64_t org, const char *label,
                              int64_t *bucket, bool *found)
{
    daybook_status status;
    size_t length = strlen(label);
    *found = srv_intern_number(&sqlite->interns[INTERN_BUCKETS], org, label, length, bucket);
    if (*found) {
        return DAYBOOK_OK;
    }
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.find_bucket,
                             "SELECT bucket FROM bucket WHERE org = ?1 AND label = ?2", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_text(statement, 2, label, length);
    status = select_number(sqlite, statement, bucket, found);
    return status == DAYBOOK_OK && *found
               ? remember(sqlite, INTERN_BUCKETS, org, *bucket, label, length)
               : status;
}

_Static_assert(CLASS_COUNT == 3, "the SQL below says so");

/* Makes the organisation's next root. */
static daybook_status add_bucket(struct sqlite_store *sqlite, int64_t org, const char *label,
                                 int64_t *bucket)
{
    bool found = false;
    int64_t number = 0;
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.new_bucket,
        "SELECT coalesce((max(bucket) - 1) / 3 * 3 + 4, 1) FROM bucket WHERE org = ?1", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    status = select_number(sqlite, statement, &number, &found);
    if (status != DAYBOOK_OK) {
        return status;
    }
    statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.add_bucket,
                             "INSERT INTO bucket(org, bucket, label) VALUES(?1, ?2, ?3)", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_int(statement, 2, number);
    dk_bind_text(statement, 3, label, strlen(label));
    status = srv_sqlite_run(sqlite, statement);
    if (status == DAYBOOK_OK) {
        *bucket = number;
    }
    return status;
}

/* A reader makes nothing: NOT_FOUND. */
daybook_status srv_sqlite_bucket(struct srv_store *store, int64_t org, const char *label,
                                 int64_t *bucket)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    size_t length = strlen(label);
    bool found;
    if (length > LIMIT_LABEL_BYTES) {
        return DAYBOOK_TOO_LARGE;
    }
    daybook_status status = look_up(sqlite, org, label, bucket, &found);
    if (status != DAYBOOK_OK || found) {
        return status;
    }
    status = store->writer ? add_bucket(sqlite, org, label, bucket) : DAYBOOK_NOT_FOUND;
    return status == DAYBOOK_OK ? remember(sqlite, INTERN_BUCKETS, org, *bucket, label, length)
                                : status;
}

/* See store.h. In memory, but for a class that is not there. */
daybook_status srv_sqlite_find_bucket(struct srv_store *store, int64_t org, const char *root,
                                      enum srv_class class, struct arena *arena,
                                      struct srv_bucket *bucket)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    size_t length = strlen(root), suffix_length = strlen(suffixes[class]);
    int64_t number, lane;
    bool found;
    daybook_status status = look_up(sqlite, org, root, &number, &found);
    if (status == DAYBOOK_OK && found && class != CLASS_OPEN) {
        number += (int64_t) class;
        status = srv_sqlite_lane(sqlite, org, number, &lane, &found);
    }
    if (status != DAYBOOK_OK || !found) {
        return status == DAYBOOK_OK ? DAYBOOK_NOT_FOUND : status;
    }
    char *label = dk_arena_new(arena, length + suffix_length + 1);
    if (label == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    memcpy(label, root, length);
    memcpy(label + length, suffixes[class], suffix_length);
    *bucket = (struct srv_bucket){number, label};
    return DAYBOOK_OK;
}

/* See store.h. Few are made, once each. */
daybook_status srv_sqlite_bucket_in(struct srv_store *store, int64_t org, int64_t root,
                                    enum srv_class class, int64_t *number)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    int64_t lane;
    bool found;
    *number = root + (int64_t) class;
    daybook_status status = srv_sqlite_lane(sqlite, org, *number, &lane, &found);
    if (status != DAYBOOK_OK || found) {
        return status;
    }
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.add_class,
        "INSERT INTO bucket(org, bucket, label) SELECT org, ?3, label || ?4 FROM bucket"
        " WHERE org = ?1 AND bucket = ?2",
        &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_int(statement, 2, root);
    dk_bind_int(statement, 3, *number);
    dk_bind_text(statement, 4, suffixes[class], strlen(suffixes[class]));
    status = srv_sqlite_run(sqlite, statement);
    return status == DAYBOOK_OK && dk_database_changes(&sqlite->database) == 0 ? DAYBOOK_NOT_FOUND
                                                                               : status;
}

/* See store.h. */
daybook_status srv_sqlite_buckets(struct srv_store *store, int64_t org, struct arena *arena,
                                  struct srv_bucket **rows, int *count)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    struct srv_bucket *list = NULL;
    int used = 0;
    int capacity = 0;
    bool row = false;
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.buckets,
        "SELECT bucket, label FROM bucket WHERE org = ?1 ORDER BY bucket", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    status = srv_sqlite_step(sqlite, statement, &row);
    while (status == DAYBOOK_OK && row) {
        size_t length = 0;
        const char *label = dk_column_text(statement, 1, &length);
        list = dk_arena_grow(arena, list, used, &capacity, sizeof *list);
        if (list == NULL || label == NULL) {
            status = DAYBOOK_NO_MEMORY;
            break;
        }
        list[used].bucket = dk_column_int(statement, 0);
        list[used].label = dk_arena_copy(arena, label, length);
        if (list[used].label == NULL) {
            status = DAYBOOK_NO_MEMORY;
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

/* See store.h. */
daybook_status srv_sqlite_next_bucket(struct srv_store *store, int64_t org, int64_t after,
                                      int64_t *bucket)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    bool found;
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.next_bucket,
                             "SELECT bucket FROM bucket WHERE org = ?1 AND bucket > ?2"
                             " AND bucket % 3 <> 0 ORDER BY bucket LIMIT 1",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_int(statement, 2, after);
    return select_number(sqlite, statement, bucket, &found);
}

/* See sqlite.h. */
daybook_status srv_sqlite_lane(struct sqlite_store *sqlite, int64_t org, int64_t bucket,
                               int64_t *lane, bool *found)
{
    char key[sizeof bucket];
    memcpy(key, &bucket, sizeof bucket);
    *found = srv_intern_number(&sqlite->interns[INTERN_LANES], org, key, sizeof key, lane);
    if (*found) {
        return DAYBOOK_OK;
    }
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.find_lane,
                             "SELECT lane FROM bucket WHERE org = ?1 AND bucket = ?2", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_int(statement, 2, bucket);
    status = select_number(sqlite, statement, lane, found);
    if (status == DAYBOOK_OK && *found) {
        status = remember(sqlite, INTERN_LANES, org, *lane, key, sizeof key);
    }
    return status;
}

/* ---- headers ---- */

/* Finds the header's row or, as the writer, makes it. */
static daybook_status find_or_add_header(struct sqlite_store *sqlite, const char *text,
                                         size_t length, int64_t *number)
{
    bool found = false;
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.find_header,
                             "SELECT number FROM header WHERE text = ?1", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_text(statement, 1, text, length);
    status = select_number(sqlite, statement, number, &found);
    if (status != DAYBOOK_OK || found) {
        return status;
    }
    if (!sqlite->base.writer) {
        return DAYBOOK_NOT_FOUND;
    }
    statement = srv_sqlite_statement(sqlite, &sqlite->statements.add_header,
                                     "INSERT INTO header(text) VALUES(?1)", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_text(statement, 1, text, length);
    status = srv_sqlite_run(sqlite, statement);
    if (status == DAYBOOK_OK) {
        *number = sqlite3_last_insert_rowid(sqlite->database.handle);
    }
    return status;
}

/* See store.h. */
daybook_status srv_sqlite_header(struct srv_store *store, const char *text, size_t length,
                                 int64_t *number)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    assert(length > 0);
    if (length > HEADER_SIZE_MAX) {
        return DAYBOOK_TOO_LARGE;
    }
    if (srv_intern_number(&sqlite->interns[INTERN_HEADERS], 0, text, length, number)) {
        return DAYBOOK_OK;
    }
    daybook_status status = find_or_add_header(sqlite, text, length, number);
    if (status == DAYBOOK_OK) {
        status = remember(sqlite, INTERN_HEADERS, 0, *number, text, length);
    }
    return status;
}

/* The text is lent out, so it is kept also past the bound, until the transaction or read ends. A
 * number that no row has is CORRUPT: numbers come from log rows of this file. */
daybook_status srv_sqlite_header_text(struct srv_store *store, int64_t number, const char **text,
                                      size_t *length)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    struct srv_intern *headers = &sqlite->interns[INTERN_HEADERS];
    bool row = false;
    if (srv_intern_text(headers, 0, number, text, length)) {
        return DAYBOOK_OK;
    }
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.header_text,
                             "SELECT text FROM header WHERE number = ?1", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, number);
    status = srv_sqlite_step(sqlite, statement, &row);
    if (status != DAYBOOK_OK) {
        return status;
    }
    size_t found_length = 0;
    const char *found = row ? dk_column_text(statement, 0, &found_length) : NULL;
    status = DAYBOOK_CORRUPT;
    if (found != NULL) {
        status = srv_intern_add(headers, 0, number, found, found_length);
    }
    dk_reset(statement);
    if (status == DAYBOOK_OK && !srv_intern_text(headers, 0, number, text, length)) {
        status = DAYBOOK_INTERNAL;
    }
    return status;
}
