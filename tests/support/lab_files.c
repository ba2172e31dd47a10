/* SPDX-License-Identifier: Apache-2.0
 *
 * See lab.h. The files of a laboratory, and what stands in its databases.
 */
#include "tests/support/lab_inside.h"
#include "tests/support/power.h"

#include <sqlite3.h>

#include <dirent.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define TEXT_SIZE 65536
#define FILE_SIZE_MAX (64 * 1024 * 1024)

/* ---- files */

void lab_remove_folder(const char *path)
{
    char name[700];
    DIR *folder = opendir(path);
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        struct stat status;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (stat(name, &status) == 0 && S_ISDIR(status.st_mode)) {
            lab_remove_folder(name);
        } else {
            (void)unlink(name);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    (void)rmdir(path);
}

char *lab_read_file(struct lab *lab, const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *bytes = file == NULL ? NULL : malloc(FILE_SIZE_MAX);
    if (bytes == NULL) {
        lab_fail(lab, "cannot read %s", path);
    }
    *size = fread(bytes, 1, FILE_SIZE_MAX, file);
    (void)fclose(file);
    char *fitting = realloc(bytes, *size + 1);
    return fitting == NULL ? bytes : fitting;
}

void lab_write_file(struct lab *lab, const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
        lab_fail(lab, "cannot write %s", path);
    }
}

/* ---- looking into databases */

/* The disk that the file is on. */
static struct power *disk_of(const struct lab *lab, const char *path)
{
    for (int i = 0; i < lab->device_count; i++) {
        if (strcmp(lab->devices[i].path, path) == 0) {
            return lab->devices[i].disk;
        }
    }
    return lab->disk;
}

/* The connection to the database in this file, which stays open. */
static struct lab_reader *reader_of(struct lab *lab, const char *path)
{
    struct lab_reader *reader = lab->readers;
    while (reader->path[0] != '\0' && strcmp(reader->path, path) != 0) {
        reader++;
        assert_in_range(reader - lab->readers, 0, LAB_READERS - 1);
    }
    if (reader->database == NULL) {
        (void)snprintf(reader->path, sizeof reader->path, "%s", path);
        if (sqlite3_open_v2(path, &reader->database, SQLITE_OPEN_READONLY,
                            power_name(disk_of(lab, path))) != SQLITE_OK) {
            lab_fail(lab, "%s: %s", path, sqlite3_errmsg(reader->database));
        }
        (void)sqlite3_busy_timeout(reader->database, 10000);
    }
    return reader;
}

sqlite3_stmt *lab_query(struct lab *lab, const char *path, const char *sql)
{
    struct lab_reader *reader = reader_of(lab, path);
    uint64_t hash = lab_hash(LAB_HASH, sql);
    sqlite3_stmt **place = &reader->asked[(hash >> 32) % LAB_QUERIES];
    assert_false(*place != NULL && sqlite3_stmt_busy(*place)); /* nobody is within it */
    if (*place == NULL || strcmp(sqlite3_sql(*place), sql) != 0) {
        (void)sqlite3_finalize(*place);
        if (sqlite3_prepare_v2(reader->database, sql, -1, place, NULL) != SQLITE_OK) {
            lab_fail(lab, "%s: %s: %s", path, sql, sqlite3_errmsg(reader->database));
        }
    }
    return *place;
}

/* Before the file is closed by its owner, who is to leave one file without a journal. */
void lab_close_reader(struct lab *lab, const char *path)
{
    for (int i = 0; i < LAB_READERS; i++) {
        struct lab_reader *reader = &lab->readers[i];
        if (strcmp(reader->path, path) == 0) {
            for (int query = 0; query < LAB_QUERIES; query++) {
                (void)sqlite3_finalize(reader->asked[query]);
                reader->asked[query] = NULL;
            }
            (void)sqlite3_close(reader->database);
            reader->database = NULL;
        }
    }
}

static const char *first_text(struct lab *lab, const char *path, const char *sql)
{
    static char text[TEXT_SIZE];
    struct power *disk = disk_of(lab, path);
    power_spare(disk, true);
    sqlite3_stmt *statement = lab_query(lab, path, sql);
    text[0] = '\0';
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW && sqlite3_column_text(statement, 0) != NULL) {
        (void)snprintf(text, sizeof text, "%s", (const char *)sqlite3_column_text(statement, 0));
    }
    if (result != SQLITE_ROW && result != SQLITE_DONE) {
        lab_fail(lab, "%s: %s: %s", path, sql, sqlite3_errmsg(sqlite3_db_handle(statement)));
    }
    (void)sqlite3_reset(statement);
    power_spare(disk, false);
    return text;
}

const char *lab_device_text(struct lab_device *device, const char *sql)
{
    return first_text(device->lab, device->path, sql);
}

const char *lab_server_text(struct lab *lab, const char *sql)
{
    return first_text(lab, lab->database, sql);
}
