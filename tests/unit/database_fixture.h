/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the database share: a folder of its own for each, and a database in it.
 * Included once by each of their files.
 */
#ifndef DAYBOOK_UNIT_DATABASE_FIXTURE_H
#define DAYBOOK_UNIT_DATABASE_FIXTURE_H

#include "engine/base/database.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct database_options writer = {.mode = DATABASE_WRITER, .sync_full = true};
static const struct database_options reader = {.mode = DATABASE_READER};

/* A folder and the path of a database in it that does not exist yet. */
struct fixture {
    char folder[200];
    char path[220];
    struct database database;
};

/* Makes the folder. */
static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (fixture == NULL) {
        return -1;
    }
    *state = fixture;
    const char *base = getenv("TMPDIR");
    (void)snprintf(fixture->folder, sizeof fixture->folder, "%s/test_database.XXXXXX",
                   base == NULL ? "/tmp" : base);
    if (mkdtemp(fixture->folder) == NULL) {
        return -1;
    }
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/store", fixture->folder);
    return 0;
}

/* Closes the database, and removes its files and the folder. */
static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
    dk_database_close(&fixture->database);
    for (size_t i = 0; i < COUNT(endings); i++) {
        char path[240];
        (void)snprintf(path, sizeof path, "%s%s", fixture->path, endings[i]);
        (void)unlink(path);
    }
    int result = rmdir(fixture->folder);
    free(fixture);
    return result;
}

/* Opens the fixture's database for writing, with a table of an id, an integer, a text and a
 * blob. */
static struct database *open_with_table(struct fixture *fixture)
{
    struct database *database = &fixture->database;
    assert_int_equal(dk_database_open(database, fixture->path, &writer), DAYBOOK_OK);
    assert_int_equal(dk_database_run(database, "CREATE TABLE IF NOT EXISTS visit (id BLOB PRIMARY "
                                               "KEY, n INTEGER, note TEXT, bytes BLOB)"),
                     DAYBOOK_OK);
    return database;
}

/* The first column of the first row, as an integer. */
static int64_t query(struct database *database, const char *sql)
{
    struct statement *slot = NULL;
    daybook_status status = DAYBOOK_OK;
    bool row = false;
    struct statement *statement = dk_statement(database, &slot, sql, &status);
    assert_non_null(statement);
    assert_int_equal(dk_step(statement, &row), DAYBOOK_OK);
    assert_true(row);
    int64_t number = dk_column_int(statement, 0);
    dk_reset(statement);
    return number;
}

#endif
