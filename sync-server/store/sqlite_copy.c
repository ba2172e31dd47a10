/* SPDX-License-Identifier: Apache-2.0
 *
 * Copies of the store's file, for backup and restore. Called by the commands, on connections of its
 * own. Invariant: a copy that is there is whole, checked and on the disk; one that failed is not
 * there.
 */
#include "sync-server/store/sqlite.h"

#include "engine/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUSY_MS 10000

/* Opens a file as a store of ours, for reading. */
static daybook_status open_reader(const char *path, struct sqlite_store *sqlite, char *problem,
                                  size_t problem_size)
{
    struct database_options options = {.mode = DATABASE_READER, .busy_ms = BUSY_MS};
    int64_t version = 0;
    char text[200] = "";
    memset(sqlite, 0, sizeof *sqlite);
    daybook_status status = dk_database_open(&sqlite->database, path, &options);
    if (status != DAYBOOK_OK) {
        (void)dk_text_format(problem, problem_size, "cannot open %s: %s", path,
                             sqlite->database.problem);
        return status;
    }
    status = srv_sqlite_check_file(sqlite, &version, text, sizeof text);
    if (status == DAYBOOK_OK && version == 0) {
        status = DAYBOOK_NOT_A_STORE;
        (void)dk_text_format(text, sizeof text, "it is empty");
    }
    if (status != DAYBOOK_OK) {
        (void)dk_text_format(problem, problem_size, "%s: %s", path, text);
        dk_database_close(&sqlite->database);
    }
    return status;
}

/* What a finding of integrity_check says of the file: it words a page that the disk did not give as
 * a fault of the page. Page numbers beyond the file, which no disk could give, are named before. */
static daybook_status judge_finding(const char *text)
{
    static const char words[] = "error code=";
    const char *code = text == NULL ? NULL : strstr(text, words);
    bool unread = text != NULL && strstr(text, "failed to get page") != NULL;
    if (code != NULL) {
        long number = strtol(code + strlen(words), NULL, 10) & 0xFF;
        unread = unread || number == SQLITE_IOERR || number == SQLITE_NOMEM;
    }
    return unread ? DAYBOOK_IO : DAYBOOK_CORRUPT;
}

/* Whether SQLite finds nothing wrong with any page of the file. */
static daybook_status check_pages(const char *path, char *problem, size_t problem_size)
{
    struct sqlite_store sqlite;
    struct statement *slot = NULL;
    bool row = false;
    size_t length = 0;
    daybook_status status = open_reader(path, &sqlite, problem, problem_size);
    if (status != DAYBOOK_OK) {
        return status;
    }
    struct statement *check =
        dk_statement(&sqlite.database, &slot, "PRAGMA integrity_check(1)", &status);
    if (check != NULL) {
        status = dk_step(check, &row);
    }
    const char *text = status == DAYBOOK_OK && row ? dk_column_text(check, 0, &length) : NULL;
    bool fine = text != NULL && dk_text_equal(text, length, "ok");
    if (!fine) {
        status = status == DAYBOOK_OK ? judge_finding(text) : status;
        (void)dk_text_format(problem, problem_size, "%s %s: %s", path,
                             status == DAYBOOK_CORRUPT ? "is damaged" : "cannot be checked",
                             text == NULL ? sqlite.database.problem : text);
    }
    dk_database_close(&sqlite.database);
    return status;
}

/* Writes the copy. VACUUM INTO reads one snapshot, whatever is committed meanwhile, and leaves
 * writers alone. */
static daybook_status write_copy(struct sqlite_store *sqlite, const char *to, char *problem,
                                 size_t problem_size)
{
    struct statement *slot = NULL;
    daybook_status status;
    struct statement *vacuum = dk_statement(&sqlite->database, &slot, "VACUUM INTO ?1", &status);
    if (vacuum != NULL) {
        dk_bind_text(vacuum, 1, to, strlen(to));
        status = dk_step_done(vacuum);
    }
    if (status != DAYBOOK_OK) {
        (void)dk_text_format(problem, problem_size, "cannot write %s: %s", to,
                             sqlite->database.problem);
    }
    return status;
}

/* Makes the file last. */
static daybook_status sync_file(const char *path, char *problem, size_t problem_size)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    bool fine = file >= 0 && fsync(file) == 0;
    if (!fine) {
        (void)dk_text_format(problem, problem_size, "cannot sync %s: %s", path, strerror(errno));
    }
    if (file >= 0) {
        (void)close(file);
    }
    return fine ? DAYBOOK_OK : DAYBOOK_IO;
}

/* See store.h. */
daybook_status srv_store_copy_sqlite(const char *from, const char *to, char *problem,
                                     size_t problem_size)
{
    struct sqlite_store sqlite;
    if (access(to, F_OK) == 0) {
        (void)dk_text_format(problem, problem_size, "%s exists already", to);
        return DAYBOOK_EXISTS;
    }
    daybook_status status = open_reader(from, &sqlite, problem, problem_size);
    if (status != DAYBOOK_OK) {
        return status;
    }
    status = write_copy(&sqlite, to, problem, problem_size);
    dk_database_close(&sqlite.database);
    if (status == DAYBOOK_OK) {
        status = sync_file(to, problem, problem_size);
    }
    if (status == DAYBOOK_OK) {
        status = check_pages(to, problem, problem_size);
    }
    if (status != DAYBOOK_OK) {
        (void)unlink(to);
    }
    return status;
}

/* See store.h. */
int64_t srv_store_last_number_sqlite(const char *path)
{
    struct sqlite_store sqlite;
    struct statement *slot = NULL;
    char problem[200];
    daybook_status status;
    int64_t number = 0;
    bool row = false;
    if (access(path, F_OK) != 0 ||
        open_reader(path, &sqlite, problem, sizeof problem) != DAYBOOK_OK) {
        return 0;
    }
    struct statement *last =
        dk_statement(&sqlite.database, &slot,
                     "SELECT seq FROM sqlite_sequence WHERE name = 'device_instance'", &status);
    if (last != NULL && dk_step(last, &row) == DAYBOOK_OK && row) {
        number = dk_column_int(last, 0);
    }
    dk_database_close(&sqlite.database);
    return number;
}
