/* SPDX-License-Identifier: Apache-2.0
 *
 * See replica.h. The server's file is looked into while the server runs: both are read within one
 * read transaction each, so a comparison sees one moment of each side.
 */
#include "tests/support/replica.h"

#include "engine/protocol/entities.h"

#include <sqlite3.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COLUMNS_MAX 200
#define SQL_SIZE 300
#define BUCKETS_SIZE 65536 /* numbers of all buckets of a large company */
#define LABELS_SIZE (512 * 1024)

/* Both files and what is being compared. */
struct comparison {
    const struct replica *replica;
    sqlite3 *mine;
    sqlite3 *theirs;
    char buckets[BUCKETS_SIZE]; /* of the device, with commas between */
    int place[COLUMNS_MAX];     /* of the device's column among the server's; -1: it has none */
    int64_t rows;
};

/* Opens a file read-only and begins to read. */
static sqlite3 *open_file(const char *path, const char *vfs)
{
    sqlite3 *database = NULL;
    int result = sqlite3_open_v2(path, &database, SQLITE_OPEN_READONLY, vfs);
    if (result == SQLITE_OK) {
        (void)sqlite3_busy_timeout(database, 20000);
        result =
            sqlite3_exec(database, "BEGIN; SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    }
    if (result != SQLITE_OK) {
        print_error("%s: %s\n", path, sqlite3_errmsg(database));
        (void)sqlite3_close(database);
        return NULL;
    }
    return database;
}

/* The first column of the first row as text; false where the query fails or has no row. */
static bool first_text(sqlite3 *database, const char *sql, char *out, size_t size)
{
    sqlite3_stmt *statement = NULL;
    bool found = false;
    out[0] = '\0';
    if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK) {
        print_error("%s: %s\n", sql, sqlite3_errmsg(database));
    } else if (sqlite3_step(statement) == SQLITE_ROW) {
        const unsigned char *text = sqlite3_column_text(statement, 0);
        (void)snprintf(out, size, "%s", text == NULL ? "" : (const char *)text);
        found = true;
    }
    (void)sqlite3_finalize(statement);
    return found;
}

static int find_column(sqlite3_stmt *statement, const char *name)
{
    for (int column = 0; column < sqlite3_column_count(statement); column++) {
        if (strcmp(sqlite3_column_name(statement, column), name) == 0) {
            return column;
        }
    }
    return -1;
}

/* Finds the server's column for each of the device's. They stand in the same order; the server's
 * view may have `org` and `bucket` beside them, and nothing else may differ, but where only what is
 * shared is compared. */
static bool same_columns(struct comparison *comparison, const char *entity, sqlite3_stmt *mine,
                         sqlite3_stmt *theirs)
{
    int count = sqlite3_column_count(mine), shared = 0, last = -1;
    int beside = (find_column(theirs, "org") >= 0) + (find_column(theirs, "bucket") >= 0);
    bool same = comparison->replica->shared || sqlite3_column_count(theirs) == count + beside;
    assert_in_range(count, 1, COLUMNS_MAX);
    for (int column = 0; same && column < count; column++) {
        int place = find_column(theirs, sqlite3_column_name(mine, column));
        comparison->place[column] = place;
        shared += place >= 0;
        same = place > last || (comparison->replica->shared && place < 0);
        last = place > last ? place : last;
    }
    if (!same || shared < 2) { /* the id alone says nothing */
        print_error("%s: the device's columns are not the server's\n", entity);
        return false;
    }
    return true;
}

/* Whether two values are of the same type and equal. */
static bool same_value(sqlite3_stmt *mine, int column, sqlite3_stmt *theirs, int place)
{
    int bytes = sqlite3_column_bytes(mine, column);
    if (sqlite3_column_type(mine, column) != sqlite3_column_type(theirs, place) ||
        bytes != sqlite3_column_bytes(theirs, place)) {
        return false;
    }
    return bytes == 0 || memcmp(sqlite3_column_blob(mine, column),
                                sqlite3_column_blob(theirs, place), (size_t)bytes) == 0;
}

/* Compares the present rows; says what differs. */
static bool same_row(const struct comparison *comparison, const char *entity, sqlite3_stmt *mine,
                     sqlite3_stmt *theirs)
{
    for (int column = 0; column < sqlite3_column_count(mine); column++) {
        int place = comparison->place[column];
        if (place < 0 || same_value(mine, column, theirs, place)) {
            continue;
        }
        /* As text only now: the conversion changes the value's type. */
        char id[64];
        (void)snprintf(id, sizeof id, "%s", (const char *)sqlite3_column_text(mine, 0));
        const unsigned char *left = sqlite3_column_text(mine, column);
        const unsigned char *right = sqlite3_column_text(theirs, place);
        print_error("%s: %s %s, %s: device \"%s\", server \"%s\"\n", comparison->replica->store,
                    entity, id, sqlite3_column_name(mine, column),
                    left == NULL ? "NULL" : (const char *)left,
                    right == NULL ? "NULL" : (const char *)right);
        return false;
    }
    return true;
}

/* Walks over both views in the order of the ids. */
static bool same_rows(struct comparison *comparison, const char *entity, sqlite3_stmt *mine,
                      sqlite3_stmt *theirs)
{
    for (;;) {
        int left = sqlite3_step(mine);
        int right = sqlite3_step(theirs);
        if (left == SQLITE_DONE && right == SQLITE_DONE) {
            return true;
        }
        if ((left != SQLITE_ROW && left != SQLITE_DONE) ||
            (right != SQLITE_ROW && right != SQLITE_DONE)) {
            print_error("%s: reading failed: %s, %s\n", entity, sqlite3_errmsg(comparison->mine),
                        sqlite3_errmsg(comparison->theirs));
            return false;
        }
        if (left == SQLITE_ROW && right == SQLITE_ROW) {
            if (!same_row(comparison, entity, mine, theirs)) {
                return false;
            }
            comparison->rows++;
            continue;
        }
        print_error("%s: %s has a row more than the other: %s\n", entity,
                    left == SQLITE_ROW ? comparison->replica->store : "the server",
                    (const char *)sqlite3_column_text(left == SQLITE_ROW ? mine : theirs, 0));
        return false;
    }
}

/* One entity. */
static bool same_entity(struct comparison *comparison, const char *entity)
{
    char sql[SQL_SIZE + BUCKETS_SIZE];
    sqlite3_stmt *mine = NULL;
    sqlite3_stmt *theirs = NULL;
    (void)snprintf(sql, sizeof sql, "SELECT * FROM %s ORDER BY id_key", entity);
    bool same = sqlite3_prepare_v2(comparison->mine, sql, -1, &mine, NULL) == SQLITE_OK;
    (void)snprintf(sql, sizeof sql, "SELECT * FROM %s WHERE bucket IN (%s) ORDER BY id_key", entity,
                   comparison->buckets);
    same = same && sqlite3_prepare_v2(comparison->theirs, sql, -1, &theirs, NULL) == SQLITE_OK;
    if (!same) {
        print_error("%s: %s, %s\n", entity, sqlite3_errmsg(comparison->mine),
                    sqlite3_errmsg(comparison->theirs));
    }
    same = same && same_columns(comparison, entity, mine, theirs) &&
           same_rows(comparison, entity, mine, theirs);
    (void)sqlite3_finalize(mine);
    (void)sqlite3_finalize(theirs);
    return same;
}

/* Whether a file has a view of the entity. */
static bool has_view(sqlite3 *database, const char *entity)
{
    char sql[200], views[40];
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM sqlite_schema WHERE type='view' AND name='%s'", entity);
    return first_text(database, sql, views, sizeof views) && strcmp(views, "1") == 0;
}

/* The entities that the device knows. */
static bool same_entities(struct comparison *comparison)
{
    char name[100], sql[200];
    bool same = true;
    int count = 0;
    for (;; count++) {
        (void)snprintf(sql, sizeof sql,
                       "SELECT name FROM entity_number ORDER BY number LIMIT 1 OFFSET %d", count);
        if (!same || !first_text(comparison->mine, sql, name, sizeof name)) {
            break;
        }
        bool passed_over = comparison->replica->shared && (!has_view(comparison->mine, name) ||
                                                           !has_view(comparison->theirs, name));
        same = passed_over || same_entity(comparison, name);
    }
    if (same && count < ENTITY_COUNT) {
        print_error("%s knows %d entities of %d\n", comparison->replica->store, count,
                    ENTITY_COUNT);
    }
    return same && count >= ENTITY_COUNT;
}

/* The labels of the buckets that the user's role may read, worked out from the records alone. */
static bool wanted_labels(struct comparison *comparison, char *out, size_t size)
{
    sqlite3_stmt *statement = NULL;
    static const char sql[] =
        "WITH RECURSIVE team(id_key, id, user_role, territory_id) AS ("
        "  SELECT id_key, id, user_role, territory_id FROM app_user WHERE login = ?1"
        "  UNION SELECT u.id_key, u.id, u.user_role, u.territory_id FROM app_user u"
        "   JOIN team t ON u.manager_id_key = t.id_key AND t.user_role = 'manager'),"
        " wanted(label) AS (SELECT 'organisation'"
        "  UNION SELECT 'territory:' || territory_id FROM team WHERE territory_id IS NOT NULL"
        "  UNION SELECT 'user:' || id FROM team"
        "  UNION SELECT label FROM bucket, app_user"
        "   WHERE login = ?1 AND user_role IN ('back_office', 'system'))"
        " SELECT group_concat(label) FROM (SELECT label FROM bucket"
        "  WHERE replace(label, '/recent', '') IN (SELECT label FROM wanted)"
        "  AND label NOT LIKE '%/archive' AND (label NOT LIKE '%/recent' OR NOT ?2)"
        "  ORDER BY label)";
    out[0] = '\0';
    if (sqlite3_prepare_v2(comparison->theirs, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_bind_text(statement, 1, comparison->replica->login, -1, SQLITE_STATIC) ==
            SQLITE_OK &&
        sqlite3_bind_int(statement, 2, comparison->replica->leaves_recent) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0) != NULL) {
        (void)snprintf(out, size, "%s", (const char *)sqlite3_column_text(statement, 0));
    } else {
        print_error("the scope of %s: %s\n", comparison->replica->login,
                    sqlite3_errmsg(comparison->theirs));
    }
    (void)sqlite3_finalize(statement);
    return out[0] != '\0';
}

/* The device holds the buckets of its user and no others, has reached the head, and has nothing
 * that is not settled. */
static bool same_standing(struct comparison *comparison)
{
    char mine[LABELS_SIZE];
    char theirs[LABELS_SIZE];
    if (!first_text(comparison->mine, "SELECT group_concat(bucket) FROM buckets",
                    comparison->buckets, sizeof comparison->buckets) ||
        !first_text(comparison->mine,
                    "SELECT group_concat(label) FROM (SELECT label FROM buckets ORDER BY label)",
                    mine, sizeof mine) ||
        !wanted_labels(comparison, theirs, sizeof theirs)) {
        return false;
    }
    if (strcmp(mine, theirs) != 0) {
        print_error("%s: buckets \"%s\", the server says \"%s\"\n", comparison->replica->store,
                    mine, theirs);
        return false;
    }
    if (!first_text(comparison->mine, "SELECT count(*) FROM sync_state WHERE state<>'held'", mine,
                    sizeof mine) ||
        strcmp(mine, "0") != 0) {
        print_error("%s: %s records are not settled\n", comparison->replica->store, mine);
        return false;
    }
    if (!first_text(comparison->mine, "SELECT position FROM meta", mine, sizeof mine) ||
        !first_text(comparison->theirs, "SELECT head FROM org", theirs, sizeof theirs) ||
        strcmp(mine, theirs) != 0) {
        print_error("%s: at position %s, the head is %s\n", comparison->replica->store, mine,
                    theirs);
        return false;
    }
    return true;
}

/* Everything, in one moment of each file. */
int64_t replica_compare_through(const struct replica *replica, const char *vfs)
{
    struct comparison comparison = {.replica = replica};
    comparison.mine = open_file(replica->store, vfs);
    comparison.theirs = open_file(replica->server, NULL);
    bool same = comparison.mine != NULL && comparison.theirs != NULL &&
                same_standing(&comparison) && same_entities(&comparison);
    (void)sqlite3_close(comparison.mine);
    (void)sqlite3_close(comparison.theirs);
    if (same && comparison.rows == 0) {
        print_error("%s: nothing to compare\n", replica->store);
    }
    return same && comparison.rows > 0 ? comparison.rows : -1;
}

int64_t replica_compare(const struct replica *replica)
{
    return replica_compare_through(replica, NULL);
}

void replica_check(struct device *device, struct server *server, const char *login,
                   const char *file, int line)
{
    const struct replica replica = {.store = device->path,
                                    .server = server->database,
                                    .login = login,
                                    .leaves_recent = device->options.leave_recent};
    if (replica_compare_through(&replica, device->options.vfs) < 0) {
        print_error("the replica of %s is not what the server has\n", login);
        _fail(file, line);
    }
    if (device->engine != NULL && device_status(device).divergences != 0) {
        print_error("the sums of %s have differed from the server's\n", login);
        _fail(file, line);
    }
}

void replica_check_server(struct server *server)
{
    /* The low 41 bits of a log key are the position; one position may stand in several buckets, and
     * in none where a changeset had nothing left to do: then only its decision tells of it. */
    static const char positions[] =
        "WITH taken(position) AS (SELECT key & 2199023255551 FROM log"
        " UNION SELECT position FROM decision WHERE position > 0)"
        " SELECT count(*) || ' ' || coalesce(max(position), 0) FROM taken";
    char wanted[64];
    int64_t head = server_int(server, "SELECT head FROM org");
    (void)snprintf(wanted, sizeof wanted, "%lld %lld", (long long)head, (long long)head);
    assert_string_equal(server_text(server, positions), wanted);
    assert_int_equal(server_int(server, "SELECT count(*) FROM (SELECT position FROM decision"
                                        " WHERE position > 0 GROUP BY position"
                                        " HAVING count(*) > 1)"),
                     0);
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        char sql[200];
        (void)snprintf(sql, sizeof sql, "SELECT coalesce(max(version), 0) FROM %s",
                       dk_entity(kind)->name);
        assert_true(server_int(server, sql) <= head);
    }
}
