/* SPDX-License-Identifier: Apache-2.0
 *
 * The database: settings as promised, statements prepared once, sticky binding, and one status for
 * each thing that can be wrong with a file, a folder or a disk. Files live in a folder of their own
 * that is removed at the end.
 */
#include "engine/base/database.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define NOBODY 65534

static const struct database_options writer = {.mode = DATABASE_WRITER, .sync_full = true};
static const struct database_options reader = {.mode = DATABASE_READER};

/* A folder and the path of a database in it that does not exist yet. */
struct fixture {
    char folder[200];
    char path[220];
    struct database database;
};

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

/* Opens the fixture's database for writing, with a table of an id, an integer, a text and a blob.
 */
static struct database *open_with_table(struct fixture *fixture)
{
    struct database *database = &fixture->database;
    assert_int_equal(dk_database_open(database, fixture->path, &writer), DAYBOOK_OK);
    assert_int_equal(dk_database_run(database, "CREATE TABLE IF NOT EXISTS visit (id BLOB PRIMARY "
                                               "KEY, n INTEGER, note TEXT, bytes BLOB)"),
                     DAYBOOK_OK);
    return database;
}

/* Writes these bytes as the fixture's file. */
static void write_file(struct fixture *fixture, const char *bytes, size_t length)
{
    FILE *file = fopen(fixture->path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
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

static void test_database__a_writer_is_set_as_promised(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = open_with_table(fixture);
    struct statement *slot = NULL;
    daybook_status status = DAYBOOK_OK;
    bool row = false;
    size_t length = 0;
    struct statement *mode = dk_statement(database, &slot, "PRAGMA journal_mode", &status);
    assert_int_equal(dk_step(mode, &row), DAYBOOK_OK);
    assert_string_equal(dk_column_text(mode, 0, &length), "wal");
    dk_reset(mode);
    assert_int_equal(query(database, "PRAGMA synchronous"), 2);
    assert_int_equal(query(database, "PRAGMA foreign_keys"), 0);
    assert_int_equal(query(database, "PRAGMA temp_store"), 2);
    assert_int_equal(query(database, "PRAGMA trusted_schema"), 0);
    assert_int_equal(query(database, "PRAGMA secure_delete"), 0);
    assert_int_equal(query(database, "PRAGMA cache_size"), -2048);
    /* defensive: the schema cannot be written as a table; strictly quoted: "x" is no text */
    assert_int_equal(dk_database_run(database, "PRAGMA writable_schema = ON"), DAYBOOK_OK);
    assert_int_equal(dk_database_run(database, "DELETE FROM sqlite_schema"), DAYBOOK_INTERNAL);
    assert_int_equal(dk_database_run(database, "SELECT \"nonsense\""), DAYBOOK_INTERNAL);
    assert_non_null(strstr(database->problem, "nonsense"));
    /* the relaxed option, there and back */
    assert_int_equal(dk_database_synchronous(database, false), DAYBOOK_OK);
    assert_int_equal(query(database, "PRAGMA synchronous /* again */"), 1);
    assert_int_equal(dk_database_synchronous(database, true), DAYBOOK_OK);
    assert_int_equal(query(database, "PRAGMA synchronous /* and again */"), 2);
    dk_database_close(database);
    /* the other values of the options */
    const struct database_options relaxed = {.mode = DATABASE_WRITER, .cache_kib = 512};
    assert_int_equal(dk_database_open(database, fixture->path, &relaxed), DAYBOOK_OK);
    assert_int_equal(query(database, "PRAGMA synchronous"), 1);
    assert_int_equal(query(database, "PRAGMA cache_size"), -512);
}

static void test_database__values_come_back(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = open_with_table(fixture);
    struct statement *slots[2] = {NULL, NULL};
    daybook_status status = DAYBOOK_OK;
    const struct id id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
    struct statement *insert =
        dk_statement(database, &slots[0],
                     "INSERT INTO visit (id, n, note, bytes) VALUES (?1, ?2, ?3, ?4)", &status);
    assert_non_null(insert);
    dk_bind_id(insert, 1, &id);
    dk_bind_int(insert, 2, INT64_MIN);
    dk_bind_text(insert, 3, "拜访xxx", strlen("拜访"));
    dk_bind_blob(insert, 4, "", 0);
    assert_int_equal(dk_step_done(insert), DAYBOOK_OK);
    assert_int_equal(dk_database_changes(database), 1);
    /* asked for again, the statement has forgotten what was bound */
    insert = dk_statement(database, &slots[0], "", &status);
    dk_bind_int(insert, 2, 7);
    dk_bind_text(insert, 3, NULL, 0);
    dk_bind_id(insert, 1, NULL);
    assert_int_equal(dk_step_done(insert), DAYBOOK_OK);

    struct statement *select = dk_statement(
        database, &slots[1], "SELECT id, n, note, bytes FROM visit ORDER BY n", &status);
    bool row = false;
    size_t length = 99;
    struct id read;
    assert_int_equal(dk_step(select, &row), DAYBOOK_OK);
    assert_true(row);
    assert_true(dk_column_id(select, 0, &read));
    assert_int_equal(dk_id_compare(&id, &read), 0);
    assert_true(dk_column_int(select, 1) == INT64_MIN);
    assert_string_equal(dk_column_text(select, 2, &length), "拜访");
    assert_int_equal(length, strlen("拜访"));
    assert_false(dk_column_is_null(select, 3));
    assert_non_null(dk_column_blob(select, 3, &length));
    assert_int_equal(length, 0);
    assert_false(dk_column_id(select, 3, &read));
    assert_int_equal(dk_step(select, &row), DAYBOOK_OK);
    assert_true(row);
    assert_int_equal(dk_column_int(select, 1), 7);
    for (int column = 0; column < 4; column++) {
        assert_int_equal(dk_column_is_null(select, column), column != 1);
    }
    length = 99;
    assert_null(dk_column_text(select, 2, &length));
    assert_int_equal(length, 0);
    assert_null(dk_column_blob(select, 3, &length));
    assert_false(dk_column_id(select, 0, &read));
    assert_int_equal(dk_step(select, &row), DAYBOOK_OK);
    assert_false(row);
    /* it has reset itself: a step begins again */
    assert_int_equal(dk_step(select, &row), DAYBOOK_OK);
    assert_true(row);
}

static void test_database__a_statement_is_prepared_once(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = open_with_table(fixture);
    struct statement *slot = NULL;
    daybook_status status = DAYBOOK_INTERNAL;
    int count = database->statement_count;
    struct statement *first = dk_statement(database, &slot, "SELECT ?1", &status);
    assert_int_equal(status, DAYBOOK_OK);
    assert_ptr_equal(first, slot);
    for (int i = 0; i < 100; i++) {
        bool row = false;
        status = DAYBOOK_INTERNAL;
        /* given a statement left in the middle, when it is asked for, then it comes reset and
         * unbound */
        assert_ptr_equal(dk_statement(database, &slot, "SELECT ?1", &status), first);
        assert_int_equal(status, DAYBOOK_OK);
        assert_int_equal(dk_step(first, &row), DAYBOOK_OK);
        assert_true(row);
        assert_true(dk_column_is_null(first, 0));
        dk_reset(first);
        dk_bind_int(first, 1, 5);
        assert_int_equal(dk_step(first, &row), DAYBOOK_OK);
        assert_int_equal(dk_column_int(first, 0), 5);
    }
    assert_int_equal(database->statement_count, count + 1);
    int handles = 0;
    sqlite3_stmt *handle = NULL;
    while ((handle = sqlite3_next_stmt(database->handle, handle)) != NULL) {
        handles++;
    }
    assert_int_equal(handles, database->statement_count);
}

static void test_database__statements_are_bounded_on_both_sides(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = open_with_table(fixture);
    daybook_status status = DAYBOOK_OK;
    while (database->statement_count < 1024) {
        struct statement *slot = NULL;
        assert_non_null(dk_statement(database, &slot, "SELECT 1", &status));
    }
    struct statement *slot = NULL;
    assert_null(dk_statement(database, &slot, "SELECT 1", &status));
    assert_null(slot);
    assert_int_equal(status, DAYBOOK_INTERNAL);
    /* what was prepared before still works, and so do transactions */
    assert_int_equal(dk_database_begin(database), DAYBOOK_OK);
    assert_int_equal(dk_database_commit(database), DAYBOOK_OK);
}

static void test_database__bad_sql_fills_no_slot(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = open_with_table(fixture);
    static const char *const refused[] = {"", "-- only a comment", "SELEC 1", "SELECT nowhere",
                                          "SELECT 1 FROM nothing"};
    int count = database->statement_count;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct statement *slot = NULL;
        daybook_status status = DAYBOOK_OK;
        database->problem[0] = '\0';
        assert_null(dk_statement(database, &slot, refused[i], &status));
        assert_null(slot);
        assert_int_equal(status, DAYBOOK_INTERNAL);
        assert_true(strlen(database->problem) > 0);
    }
    assert_int_equal(database->statement_count, count);
}

static void test_database__a_failed_bind_is_told_by_the_step(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = open_with_table(fixture);
    struct statement *slot = NULL;
    daybook_status status = DAYBOOK_OK;
    char note[101];
    memset(note, 'n', sizeof note);
    (void)sqlite3_limit(database->handle, SQLITE_LIMIT_LENGTH, 100);
    const char *sql = "INSERT INTO visit (id, note) VALUES (?1, ?2)";
    /* one byte too many: nothing is written, whatever is bound afterwards */
    struct statement *insert = dk_statement(database, &slot, sql, &status);
    dk_bind_text(insert, 2, note, 101);
    dk_bind_blob(insert, 1, "a", 1);
    assert_int_equal(dk_step_done(insert), DAYBOOK_TOO_LARGE);
    assert_int_equal(query(database, "SELECT count(*) FROM visit"), 0);
    /* the failure is told once; a position that is not there is a defect */
    insert = dk_statement(database, &slot, sql, &status);
    dk_bind_text(insert, 2, note, 60);
    dk_bind_int(insert, 3, 1);
    assert_int_equal(dk_step_done(insert), DAYBOOK_INTERNAL);
    insert = dk_statement(database, &slot, sql, &status);
    dk_bind_text(insert, 2, note, 60);
    assert_int_equal(dk_step_done(insert), DAYBOOK_OK);
    /* a row where none is expected, too */
    struct statement *select = NULL;
    assert_int_equal(dk_step_done(dk_statement(database, &select, "SELECT 1", &status)),
                     DAYBOOK_INTERNAL);
}

static void test_database__a_failed_step_leaves_the_statement_ready(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = open_with_table(fixture);
    struct statement *slot = NULL;
    daybook_status status = DAYBOOK_OK;
    struct statement *insert =
        dk_statement(database, &slot, "INSERT INTO visit (id) VALUES (?1)", &status);
    dk_bind_blob(insert, 1, "a", 1);
    assert_int_equal(dk_step_done(insert), DAYBOOK_OK);
    dk_bind_blob(insert, 1, "a", 1);
    assert_int_equal(dk_step_done(insert), DAYBOOK_INTERNAL);
    assert_non_null(strstr(database->problem, "UNIQUE"));
    dk_bind_blob(insert, 1, "b", 1);
    assert_int_equal(dk_step_done(insert), DAYBOOK_OK);
    assert_int_equal(query(database, "SELECT count(*) FROM visit"), 2);
}

static void test_database__transactions_are_all_or_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = open_with_table(fixture);
    dk_database_rollback(database); /* none open: nothing happens */
    assert_int_equal(dk_database_begin(database), DAYBOOK_OK);
    assert_int_equal(dk_database_begin(database), DAYBOOK_INTERNAL);
    assert_int_equal(dk_database_run(database, "INSERT INTO visit (n) VALUES (1)"), DAYBOOK_OK);
    dk_database_rollback(database);
    assert_int_equal(query(database, "SELECT count(*) FROM visit"), 0);
    assert_int_equal(dk_database_begin(database), DAYBOOK_OK);
    assert_int_equal(dk_database_run(database, "INSERT INTO visit (n) VALUES (1), (2)"),
                     DAYBOOK_OK);
    assert_int_equal(dk_database_changes(database), 2);
    assert_int_equal(dk_database_commit(database), DAYBOOK_OK);
    assert_int_equal(query(database, "SELECT count(*) FROM visit /* after */"), 2);
    /* without a transaction there is nothing to commit */
    assert_int_equal(dk_database_commit(database), DAYBOOK_INTERNAL);
    /* a commit that is refused leaves no transaction open, and the reason can be read */
    assert_int_equal(dk_database_run(database,
                                     "CREATE TABLE parent (a PRIMARY KEY); CREATE TABLE child "
                                     "(a REFERENCES parent DEFERRABLE INITIALLY DEFERRED);"
                                     "PRAGMA foreign_keys = ON"),
                     DAYBOOK_OK);
    assert_int_equal(dk_database_begin(database), DAYBOOK_OK);
    assert_int_equal(dk_database_run(database, "INSERT INTO child VALUES (1)"), DAYBOOK_OK);
    assert_int_equal(dk_database_commit(database), DAYBOOK_INTERNAL);
    assert_non_null(strstr(database->problem, "FOREIGN KEY"));
    assert_int_equal(sqlite3_get_autocommit(database->handle), 1);
    assert_int_equal(query(database, "SELECT count(*) FROM child"), 0);
}

static void test_database__a_reader_sees_and_cannot_write(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = open_with_table(fixture);
    struct database other;
    assert_int_equal(dk_database_run(database, "INSERT INTO visit (n) VALUES (1)"), DAYBOOK_OK);
    assert_int_equal(dk_database_open(&other, fixture->path, &reader), DAYBOOK_OK);
    assert_int_equal(query(&other, "SELECT count(*) FROM visit"), 1);
    assert_int_equal(dk_database_run(&other, "INSERT INTO visit (n) VALUES (2)"),
                     DAYBOOK_CANNOT_OPEN);
    assert_int_equal(dk_database_run(&other, "DROP TABLE visit"), DAYBOOK_CANNOT_OPEN);
    assert_int_equal(query(&other, "PRAGMA mmap_size"), 0);
    dk_database_close(&other);
    dk_database_close(&other);
}

static void test_database__a_second_writer_is_busy(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = open_with_table(fixture);
    struct database other;
    assert_int_equal(dk_database_open(&other, fixture->path, &writer), DAYBOOK_OK);
    assert_int_equal(dk_database_begin(database), DAYBOOK_OK);
    assert_int_equal(dk_database_begin(&other), DAYBOOK_BUSY);
    assert_int_equal(dk_database_commit(database), DAYBOOK_OK);
    assert_int_equal(dk_database_begin(&other), DAYBOOK_OK);
    dk_database_rollback(&other);
    dk_database_close(&other);
}

static void test_database__what_is_no_database_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = &fixture->database;
    char bytes[10000];
    static const size_t lengths[] = {2, 20, 100, 511, 512, 4096, sizeof bytes};
    for (int value = 0; value < 2; value++) {
        memset(bytes, value == 0 ? 0 : 'x', sizeof bytes);
        for (size_t i = 0; i < COUNT(lengths); i++) {
            write_file(fixture, bytes, lengths[i]);
            assert_int_equal(dk_database_open(database, fixture->path, &writer),
                             DAYBOOK_NOT_A_STORE);
            assert_null(database->handle);
            assert_int_equal(dk_database_open(database, fixture->path, &reader),
                             DAYBOOK_NOT_A_STORE);
            assert_null(database->handle);
            assert_true(strlen(database->problem) > 0);
            /* and is left as it was */
            struct stat info;
            assert_int_equal(stat(fixture->path, &info), 0);
            assert_int_equal(info.st_size, lengths[i]);
        }
    }
}

static void test_database__an_empty_file_becomes_a_database(void **state)
{
    struct fixture *fixture = *state;
    write_file(fixture, "", 0);
    struct database *database = open_with_table(fixture);
    assert_int_equal(query(database, "SELECT count(*) FROM visit"), 0);
}

static void test_database__missing_files_and_folders_are_told(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = &fixture->database;
    char path[240];
    assert_int_equal(dk_database_open(database, fixture->path, &reader), DAYBOOK_CANNOT_OPEN);
    assert_int_equal(access(fixture->path, F_OK), -1); /* a reader creates nothing */
    (void)snprintf(path, sizeof path, "%s/no/such/folder", fixture->folder);
    assert_int_equal(dk_database_open(database, path, &writer), DAYBOOK_CANNOT_OPEN);
    assert_int_equal(dk_database_open(database, fixture->folder, &writer), DAYBOOK_CANNOT_OPEN);
    assert_null(database->handle);
    const struct database_options odd = {.mode = DATABASE_WRITER, .vfs = "no such"};
    assert_int_not_equal(dk_database_open(database, fixture->path, &odd), DAYBOOK_OK);
    assert_null(database->handle);
}

/* Opens for writing as a user whom the modes of files concern, and closes: root may write
 * everywhere. */
static daybook_status open_as_user(struct fixture *fixture, const char *path)
{
    bool root = geteuid() == 0;
    assert_int_equal(root ? seteuid(NOBODY) : 0, 0);
    daybook_status status = dk_database_open(&fixture->database, path, &writer);
    dk_database_close(&fixture->database);
    assert_int_equal(root ? seteuid(0) : 0, 0);
    return status;
}

static void test_database__read_only_folders_and_files_are_told(void **state)
{
    struct fixture *fixture = *state;
    char missing[240];
    (void)snprintf(missing, sizeof missing, "%s2", fixture->path);
    dk_database_close(open_with_table(fixture));
    assert_int_equal(chmod(fixture->folder, 0777), 0);
    assert_int_equal(chmod(fixture->path, 0666), 0);
    assert_int_equal(open_as_user(fixture, fixture->path), DAYBOOK_OK);
    /* when the folder is read-only: the file could be written, but not the log beside it */
    assert_int_equal(chmod(fixture->folder, 0555), 0);
    assert_int_equal(open_as_user(fixture, fixture->path), DAYBOOK_CANNOT_OPEN);
    assert_int_equal(open_as_user(fixture, missing), DAYBOOK_CANNOT_OPEN);
    /* when the file is */
    assert_int_equal(chmod(fixture->folder, 0777), 0);
    assert_int_equal(chmod(fixture->path, 0444), 0);
    assert_int_equal(open_as_user(fixture, fixture->path), DAYBOOK_CANNOT_OPEN);
    assert_int_equal(chmod(fixture->path, 0666), 0);
    assert_int_equal(open_as_user(fixture, fixture->path), DAYBOOK_OK);
}

static void test_database__a_full_disk_is_told_and_undone(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = open_with_table(fixture);
    struct statement *slot = NULL;
    daybook_status status = DAYBOOK_OK;
    assert_int_equal(dk_database_run(database, "PRAGMA max_page_count = 20"), DAYBOOK_OK);
    assert_int_equal(dk_database_begin(database), DAYBOOK_OK);
    int rows = 0;
    while (status == DAYBOOK_OK && rows < 1000) {
        struct statement *insert = dk_statement(
            database, &slot, "INSERT INTO visit (bytes) VALUES (zeroblob(3000))", &status);
        status = dk_step_done(insert);
        rows++;
    }
    assert_int_equal(status, DAYBOOK_DISK_FULL);
    dk_database_rollback(database);
    assert_non_null(strstr(database->problem, "full"));
    assert_int_equal(query(database, "SELECT count(*) FROM visit"), 0);
}

/* An xOpen that fails for the log, as a disk without room for another file may. */
static int open_without_room(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                             int *out_flags)
{
    if ((flags & SQLITE_OPEN_WAL) != 0) {
        file->pMethods = NULL;
        return SQLITE_IOERR;
    }
    sqlite3_vfs *system = vfs->pAppData;
    return system->xOpen(system, name, file, flags, out_flags);
}

/* The last error of the system: no room. */
static int error_no_room(sqlite3_vfs *vfs, int size, char *text)
{
    (void)vfs;
    (void)size;
    (void)text;
    return ENOSPC;
}

/* The last error of the system: the disk itself. */
static int error_disk(sqlite3_vfs *vfs, int size, char *text)
{
    (void)vfs;
    (void)size;
    (void)text;
    return EIO;
}

static void test_database__an_io_error_without_room_is_a_full_disk(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = &fixture->database;
    static sqlite3_vfs vfs;
    vfs = *sqlite3_vfs_find(NULL);
    vfs.pAppData = sqlite3_vfs_find(NULL);
    vfs.zName = "test_database";
    vfs.xOpen = open_without_room;
    vfs.xGetLastError = error_no_room;
    assert_int_equal(sqlite3_vfs_register(&vfs, 0), SQLITE_OK);
    const struct database_options full = {.mode = DATABASE_WRITER, .vfs = "test_database"};
    daybook_status full_status = dk_database_open(database, fixture->path, &full);
    vfs.xGetLastError = error_disk;
    daybook_status broken_status = dk_database_open(database, fixture->path, &full);
    assert_int_equal(sqlite3_vfs_unregister(&vfs), SQLITE_OK);
    assert_int_equal(full_status, DAYBOOK_DISK_FULL);
    assert_int_equal(broken_status, DAYBOOK_IO);
    assert_null(database->handle);
}

static void test_database__damage_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = open_with_table(fixture);
    assert_int_equal(
        dk_database_run(database, "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c "
                                  "LIMIT 1000) INSERT INTO visit (n, note) SELECT n, 'x' FROM c"),
        DAYBOOK_OK);
    dk_database_close(database);
    FILE *file = fopen(fixture->path, "r+b");
    char page[4096];
    assert_non_null(file);
    memset(page, 0xFF, sizeof page);
    assert_int_equal(fseek(file, 4096, SEEK_SET), 0);
    assert_int_equal(fwrite(page, 1, sizeof page, file), sizeof page);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(dk_database_open(database, fixture->path, &writer), DAYBOOK_OK);
    struct statement *slot = NULL;
    daybook_status status = DAYBOOK_OK;
    bool row = true;
    struct statement *select = dk_statement(database, &slot, "SELECT sum(n) FROM visit", &status);
    assert_non_null(select);
    assert_int_equal(dk_step(select, &row), DAYBOOK_CORRUPT);
    assert_false(row);
    assert_non_null(strstr(database->problem, "malformed"));
}

static void test_database__an_interrupt_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct database *database = open_with_table(fixture);
    struct statement *slot = NULL;
    daybook_status status = DAYBOOK_OK;
    bool row = false;
    struct statement *count = dk_statement(
        database, &slot,
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c", &status);
    assert_int_equal(dk_step(count, &row), DAYBOOK_OK);
    assert_true(row);
    sqlite3_interrupt(database->handle);
    assert_int_equal(dk_step(count, &row), DAYBOOK_INTERRUPTED);
    assert_false(row);
    /* the next statement runs again */
    assert_int_equal(dk_step(count, &row), DAYBOOK_OK);
    assert_true(row);
}

static void test_database__each_result_has_one_status(void **state)
{
    (void)state;
    static const struct {
        int result;
        daybook_status status;
    } golden[] = {
        {SQLITE_OK, DAYBOOK_OK},
        {SQLITE_ROW, DAYBOOK_OK},
        {SQLITE_DONE, DAYBOOK_OK},
        {SQLITE_FULL, DAYBOOK_DISK_FULL},
        {SQLITE_NOMEM, DAYBOOK_NO_MEMORY},
        {SQLITE_IOERR_NOMEM, DAYBOOK_NO_MEMORY},
        {SQLITE_CORRUPT, DAYBOOK_CORRUPT},
        {SQLITE_CORRUPT_INDEX, DAYBOOK_CORRUPT},
        {SQLITE_NOTADB, DAYBOOK_NOT_A_STORE},
        {SQLITE_BUSY, DAYBOOK_BUSY},
        {SQLITE_BUSY_SNAPSHOT, DAYBOOK_BUSY},
        {SQLITE_LOCKED, DAYBOOK_BUSY},
        {SQLITE_INTERRUPT, DAYBOOK_INTERRUPTED},
        {SQLITE_READONLY, DAYBOOK_CANNOT_OPEN},
        {SQLITE_READONLY_DBMOVED, DAYBOOK_CANNOT_OPEN},
        {SQLITE_CANTOPEN, DAYBOOK_CANNOT_OPEN},
        {SQLITE_CANTOPEN_ISDIR, DAYBOOK_CANNOT_OPEN},
        {SQLITE_PERM, DAYBOOK_CANNOT_OPEN},
        {SQLITE_IOERR, DAYBOOK_IO},
        {SQLITE_IOERR_FSYNC, DAYBOOK_IO},
        {SQLITE_TOOBIG, DAYBOOK_TOO_LARGE},
        {SQLITE_CONSTRAINT_UNIQUE, DAYBOOK_INTERNAL},
        {SQLITE_MISUSE, DAYBOOK_INTERNAL},
        {SQLITE_ERROR, DAYBOOK_INTERNAL},
    };
    for (size_t i = 0; i < COUNT(golden); i++) {
        struct database closed = {.handle = NULL};
        assert_int_equal(dk_database_status(&closed, golden[i].result), golden[i].status);
        assert_int_equal(strlen(closed.problem) > 0, golden[i].status != DAYBOOK_OK);
    }
}

#define WITH_FOLDER(name) cmocka_unit_test_setup_teardown(test_database__##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(a_writer_is_set_as_promised),
        WITH_FOLDER(values_come_back),
        WITH_FOLDER(a_statement_is_prepared_once),
        WITH_FOLDER(statements_are_bounded_on_both_sides),
        WITH_FOLDER(bad_sql_fills_no_slot),
        WITH_FOLDER(a_failed_bind_is_told_by_the_step),
        WITH_FOLDER(a_failed_step_leaves_the_statement_ready),
        WITH_FOLDER(transactions_are_all_or_nothing),
        WITH_FOLDER(a_reader_sees_and_cannot_write),
        WITH_FOLDER(a_second_writer_is_busy),
        WITH_FOLDER(what_is_no_database_is_refused),
        WITH_FOLDER(an_empty_file_becomes_a_database),
        WITH_FOLDER(missing_files_and_folders_are_told),
        WITH_FOLDER(read_only_folders_and_files_are_told),
        WITH_FOLDER(a_full_disk_is_told_and_undone),
        WITH_FOLDER(an_io_error_without_room_is_a_full_disk),
        WITH_FOLDER(damage_is_told),
        WITH_FOLDER(an_interrupt_is_told),
        cmocka_unit_test(test_database__each_result_has_one_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
