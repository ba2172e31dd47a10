/* SPDX-License-Identifier: Apache-2.0
 *
 * The command restore. Called by main, with no server running. The copy is made, checked and given
 * its new epoch aside; then one rename puts it in place. Invariant: at every moment the data folder
 * has a whole store, the old one or the new one, and never the one with the other's journal.
 */
#include "sync-server/backup.h"

#include "engine/base/arena.h"
#include "engine/base/database.h"
#include "engine/base/text.h"
#include "sync-server/folder.h"
#include "sync-server/store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ASIDE "restore.new" /* folder in the data folder where the copy is made ready */
#define REPLACED "server.db.replaced"

/* The paths of one restore. */
struct restore {
    const char *folder;
    char source[FOLDER_PATH_BYTES_MAX]; /* the store to be copied */
    char aside[FOLDER_PATH_BYTES_MAX];  /* the folder */
    char copy[FOLDER_PATH_BYTES_MAX];   /* the store in it */
    char store[FOLDER_PATH_BYTES_MAX];  /* of the data folder */
    char replaced[FOLDER_PATH_BYTES_MAX];
    char *problem;
    size_t problem_size;
};

/* Words errno for a path. */
static daybook_status fail(struct restore *restore, const char *verb, const char *path)
{
    daybook_status status = errno == ENOSPC ? DAYBOOK_DISK_FULL : DAYBOOK_CANNOT_OPEN;
    (void)dk_text_format(restore->problem, restore->problem_size, "cannot %s %s: %s", verb, path,
                         strerror(errno));
    return status;
}

/* Removes a store's file with its journal. */
static void remove_store(const char *path)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    char name[FOLDER_PATH_BYTES_MAX];
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (dk_text_format(name, sizeof name, "%s%s", path, ends[i])) {
            (void)unlink(name);
        }
    }
}

/* Finds the store that the source means, and puts the paths together. */
static daybook_status make_paths(struct restore *restore, const char *source)
{
    struct stat about;
    if (stat(source, &about) != 0) {
        return fail(restore, "read", source);
    }
    bool fits = (S_ISDIR(about.st_mode)
                     ? srv_folder_path(source, BACKUP_STORE, restore->source)
                     : dk_text_format(restore->source, sizeof restore->source, "%s", source)) &&
                srv_folder_path(restore->folder, ASIDE, restore->aside) &&
                srv_folder_path(restore->aside, BACKUP_STORE, restore->copy) &&
                srv_folder_path(restore->folder, BACKUP_STORE, restore->store) &&
                srv_folder_path(restore->folder, REPLACED, restore->replaced);
    if (!fits) {
        (void)dk_text_format(restore->problem, restore->problem_size, "a path is too long");
        return DAYBOOK_INVALID;
    }
    return DAYBOOK_OK;
}

/* The highest device number that the store which is replaced, or the one replaced before it, has
 * given: the same backup may have been restored before, and then has given numbers that it knows
 * nothing of. */
static int64_t last_number(const struct restore *restore)
{
    int64_t here = srv_store_last_number_sqlite(restore->store);
    int64_t before = srv_store_last_number_sqlite(restore->replaced);
    return here > before ? here : before;
}

/* Gives the copy its new epoch. Closing it leaves one file without a journal. */
static daybook_status begin_epoch(struct restore *restore, int64_t *position)
{
    struct srv_store_options options = {.folder = restore->aside, .writer = true};
    struct srv_store *store;
    struct srv_organisation *rows;
    struct arena arena;
    int count = 0;
    daybook_status status =
        srv_store_open_sqlite(&options, &store, restore->problem, restore->problem_size);
    if (status != DAYBOOK_OK) {
        return status;
    }
    dk_arena_init(&arena, 1024 * 1024);
    status = srv_store_organisations(store, &arena, &rows, &count);
    *position = status == DAYBOOK_OK && count > 0 ? rows[0].head : 0;
    if (status == DAYBOOK_OK) {
        status = srv_store_begin(store);
    }
    if (status == DAYBOOK_OK) {
        status = srv_store_new_epoch(store, last_number(restore));
        status = status == DAYBOOK_OK ? srv_store_commit(store) : status;
    }
    srv_store_close(store);
    dk_arena_clear(&arena);
    if (status != DAYBOOK_OK) {
        (void)dk_text_format(restore->problem, restore->problem_size,
                             "the copy cannot be given a new epoch, status %d", (int)status);
    }
    return status;
}

/* The copy, ready to take its place. What a restore that was cut has left goes first. */
static daybook_status make_copy(struct restore *restore, int64_t *position)
{
    remove_store(restore->copy);
    if (mkdir(restore->aside, 0700) != 0 && errno != EEXIST) {
        return fail(restore, "make the folder", restore->aside);
    }
    daybook_status status = srv_store_copy_sqlite(restore->source, restore->copy, restore->problem,
                                                  restore->problem_size);
    if (status == DAYBOOK_OK) {
        status = begin_epoch(restore, position);
    }
    if (status == DAYBOOK_OK) {
        status = srv_folder_sync(restore->copy, restore->problem, restore->problem_size);
    }
    return status;
}

/* Brings the old store's journal into its file, where that is still possible, so that the file
 * alone is the old store; one that cannot be read is kept with its journal. */
static daybook_status close_old(struct restore *restore)
{
    struct database database;
    struct database_options options = {.mode = DATABASE_WRITER, .sync_full = true};
    char wal[FOLDER_PATH_BYTES_MAX], kept[FOLDER_PATH_BYTES_MAX];
    if (access(restore->store, F_OK) == 0 &&
        dk_database_open(&database, restore->store, &options) == DAYBOOK_OK) {
        dk_database_close(&database);
    }
    bool fits = dk_text_format(wal, sizeof wal, "%s-wal", restore->store) &&
                dk_text_format(kept, sizeof kept, "%s-wal", restore->replaced);
    if (fits && access(wal, F_OK) == 0 && rename(wal, kept) != 0) {
        return fail(restore, "move", wal);
    }
    (void)dk_text_format(wal, sizeof wal, "%s-shm", restore->store);
    (void)unlink(wal);
    return DAYBOOK_OK;
}

/* Keeps the old store under another name and puts the copy in its place. */
static daybook_status put_in_place(struct restore *restore)
{
    remove_store(restore->replaced);
    daybook_status status = close_old(restore);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (access(restore->store, F_OK) == 0 && link(restore->store, restore->replaced) != 0) {
        return fail(restore, "keep", restore->store);
    }
    if (rename(restore->copy, restore->store) != 0) {
        return fail(restore, "replace", restore->store);
    }
    return srv_folder_sync(restore->folder, restore->problem, restore->problem_size);
}

/* See backup.h. */
daybook_status srv_restore(const char *source, const char *folder, int64_t *position, char *problem,
                           size_t problem_size)
{
    struct restore restore = {.folder = folder, .problem = problem, .problem_size = problem_size};
    struct stat about;
    int lock = -1;
    daybook_status status = make_paths(&restore, source);
    if (status == DAYBOOK_OK) {
        status = srv_folder_make(folder, problem, problem_size);
    }
    if (status == DAYBOOK_OK) {
        status = srv_folder_lock(folder, &lock, problem, problem_size);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    status = make_copy(&restore, position);
    if (status == DAYBOOK_OK && stat(source, &about) == 0 && S_ISDIR(about.st_mode)) {
        status = srv_backup_copy_files(source, folder, false, problem, problem_size);
    }
    if (status == DAYBOOK_OK) {
        status = put_in_place(&restore);
    }
    remove_store(restore.copy);
    (void)rmdir(restore.aside);
    (void)close(lock);
    return status;
}
