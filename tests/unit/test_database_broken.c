/* SPDX-License-Identifier: Apache-2.0
 *
 * The database as it fails: one status for each thing that can be wrong with a file, a folder, a
 * disk or a lock.
 */
#include "tests/unit/database_fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define NOBODY 65534

/* Writes these bytes as the fixture's file. */
static void write_file(struct fixture *fixture, const char *bytes, size_t length)
{
    FILE *file = fopen(fixture->path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void test_database_broken__a_second_writer_is_busy(void **state)
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

static void test_database_broken__what_is_no_database_is_refused(void **state)
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

static void test_database_broken__an_empty_file_becomes_a_database(void **state)
{
    struct fixture *fixture = *state;
    write_file(fixture, "", 0);
    struct database *database = open_with_table(fixture);
    assert_int_equal(query(database, "SELECT count(*) FROM visit"), 0);
}

static void test_database_broken__missing_files_and_folders_are_told(void **state)
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

static void test_database_broken__read_only_folders_and_files_are_told(void **state)
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

static void test_database_broken__a_full_disk_is_told_and_undone(void **state)
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

static void test_database_broken__an_io_error_without_room_is_a_full_disk(void **state)
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

static void test_database_broken__damage_is_told(void **state)
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

static void test_database_broken__an_interrupt_is_told(void **state)
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

static void test_database_broken__each_result_has_one_status(void **state)
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

#define WITH_FOLDER(name) \
    cmocka_unit_test_setup_teardown(test_database_broken__##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(a_second_writer_is_busy),
        WITH_FOLDER(what_is_no_database_is_refused),
        WITH_FOLDER(an_empty_file_becomes_a_database),
        WITH_FOLDER(missing_files_and_folders_are_told),
        WITH_FOLDER(read_only_folders_and_files_are_told),
        WITH_FOLDER(a_full_disk_is_told_and_undone),
        WITH_FOLDER(an_io_error_without_room_is_a_full_disk),
        WITH_FOLDER(damage_is_told),
        WITH_FOLDER(an_interrupt_is_told),
        cmocka_unit_test(test_database_broken__each_result_has_one_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
