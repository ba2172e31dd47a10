/* SPDX-License-Identifier: Apache-2.0
 *
 * The data folder's small files: keys, certificates, settings, the port. Called at start and by
 * commands, never on a hot path. Invariant: a reader sees a whole old file or a whole new one,
 * whatever happens to the writer.
 */
#include "sync-server/folder.h"

#include "engine/base/memory.h"
#include "engine/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME "server.lock"

/* Words errno as "cannot VERB PATH: reason" and as a status. */
static daybook_status fail(const char *verb, const char *path, int error, char *problem,
                           size_t problem_size)
{
    char reason[128];
    if (strerror_r(error, reason, sizeof(reason)) != 0) {
        (void)dk_text_format(reason, sizeof(reason), "error %d", error);
    }
    (void)dk_text_format(problem, problem_size, "cannot %s %s: %s", verb, path, reason);
    if (error == ENOSPC || error == EDQUOT) {
        return DAYBOOK_DISK_FULL;
    }
    return error == EIO ? DAYBOOK_IO : DAYBOOK_CANNOT_OPEN;
}

daybook_status srv_folder_make(const char *folder, char *problem, size_t problem_size)
{
    struct stat about;
    if (strlen(folder) > FOLDER_PATH_BYTES_MAX - 64) {
        (void)dk_text_format(problem, problem_size, "the data folder's path is too long");
        return DAYBOOK_INVALID;
    }
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        return fail("make the data folder", folder, errno, problem, problem_size);
    }
    if (stat(folder, &about) != 0) {
        return fail("look at the data folder", folder, errno, problem, problem_size);
    }
    if (!S_ISDIR(about.st_mode)) {
        return fail("use as data folder", folder, ENOTDIR, problem, problem_size);
    }
    if ((about.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        (void)dk_text_format(problem, problem_size,
                             "others may write to the data folder %s; run chmod 700 on it", folder);
        return DAYBOOK_CANNOT_OPEN;
    }
    if (access(folder, R_OK | W_OK | X_OK) != 0) {
        return fail("write to the data folder", folder, errno, problem, problem_size);
    }
    return DAYBOOK_OK;
}

bool srv_folder_path(const char *folder, const char *name, char out[FOLDER_PATH_BYTES_MAX])
{
    return dk_text_format(out, FOLDER_PATH_BYTES_MAX, "%s/%s", folder, name);
}

/* Writes all bytes; false with errno set. */
static bool write_all(int file, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(file, bytes, length);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        if (written > 0) {
            bytes += written;
            length -= (size_t)written;
        }
    }
    return true;
}

/* See the header. */
daybook_status srv_folder_sync(const char *path, char *problem, size_t problem_size)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    int error = file < 0 || fsync(file) != 0 ? errno : 0;
    if (file >= 0) {
        (void)close(file);
    }
    return error == 0 ? DAYBOOK_OK : fail("sync", path, error, problem, problem_size);
}

daybook_status srv_folder_write(const char *folder, const char *name, const char *bytes,
                                size_t length, unsigned mode, char *problem, size_t problem_size)
{
    char path[FOLDER_PATH_BYTES_MAX];
    char temporary[FOLDER_PATH_BYTES_MAX];
    if (!srv_folder_path(folder, name, path) ||
        !dk_text_format(temporary, sizeof(temporary), "%s.%ld.new", path, (long)getpid())) {
        return fail("write", name, ENAMETOOLONG, problem, problem_size);
    }
    (void)unlink(temporary); /* of a process with this number that died */
    int file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
    if (file < 0) {
        return fail("write", path, errno, problem, problem_size);
    }
    int error = 0;
    if (!write_all(file, bytes, length) || fchmod(file, (mode_t)mode) != 0 || fsync(file) != 0) {
        error = errno;
    }
    if (close(file) != 0 && error == 0) {
        error = errno;
    }
    if (error == 0 && rename(temporary, path) != 0) {
        error = errno;
    }
    if (error != 0) {
        (void)unlink(temporary);
        return fail("write", path, error, problem, problem_size);
    }
    return srv_folder_sync(folder, problem, problem_size);
}

/* Reads up to `size` bytes or the file's end; -1 with errno set. */
static ssize_t read_all(int file, char *bytes, size_t size)
{
    size_t length = 0;
    while (length < size) {
        ssize_t got = read(file, bytes + length, size - length);
        if (got < 0 && errno != EINTR) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        if (got > 0) {
            length += (size_t)got;
        }
    }
    return (ssize_t)length;
}

daybook_status srv_folder_read(const char *folder, const char *name, bool secret, char **bytes,
                               size_t *length, char *problem, size_t problem_size)
{
    char path[FOLDER_PATH_BYTES_MAX];
    struct stat about;
    daybook_status status = DAYBOOK_OK;
    char *room = NULL;
    *bytes = NULL;
    *length = 0;
    if (!srv_folder_path(folder, name, path)) {
        return fail("read", name, ENAMETOOLONG, problem, problem_size);
    }
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return errno == ENOENT ? DAYBOOK_NOT_FOUND
                               : fail("read", path, errno, problem, problem_size);
    }
    if (fstat(file, &about) != 0) {
        status = fail("read", path, errno, problem, problem_size);
        goto out;
    }
    if (secret && (about.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        (void)dk_text_format(problem, problem_size,
                             "others may read the key %s; run chmod 600 on it", path);
        status = DAYBOOK_CANNOT_OPEN;
        goto out;
    }
    room = dk_memory_new(1, FOLDER_FILE_BYTES_MAX + 1);
    if (room == NULL) {
        (void)dk_text_format(problem, problem_size, "no memory to read %s", path);
        status = DAYBOOK_NO_MEMORY;
        goto out;
    }
    ssize_t got = read_all(file, room, FOLDER_FILE_BYTES_MAX + 1);
    if (got < 0) {
        status = fail("read", path, errno, problem, problem_size);
        goto out;
    }
    if (got > FOLDER_FILE_BYTES_MAX) {
        (void)dk_text_format(problem, problem_size, "%s is larger than %d bytes", path,
                             FOLDER_FILE_BYTES_MAX);
        status = DAYBOOK_TOO_LARGE;
        goto out;
    }
    *bytes = room;
    *length = (size_t)got;
    room = NULL;
out:
    dk_memory_free(room);
    (void)close(file);
    return status;
}

/* ---- the folder's lock */

/* Says who has the lock, from what its owner wrote into the file. */
static daybook_status locked_by(int file, const char *folder, char *problem, size_t size)
{
    char text[24] = "";
    ssize_t length = pread(file, text, sizeof text - 1, 0);
    text[length > 0 ? strspn(text, "0123456789") : 0] = '\0';
    (void)dk_text_format(problem, size, "%s is in use by process %s", folder,
                         text[0] == '\0' ? "?" : text);
    return DAYBOOK_BUSY;
}

/* See the header. Our number is written into the file for whoever comes second. */
daybook_status srv_folder_lock(const char *folder, int *lock_file, char *problem, size_t size)
{
    char path[FOLDER_PATH_BYTES_MAX], text[24];
    if (!dk_text_format(path, sizeof path, "%s/%s", folder, LOCK_NAME)) {
        (void)dk_text_format(problem, size, "the data folder's path is too long");
        return DAYBOOK_INVALID;
    }
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) {
        (void)dk_text_format(problem, size, "cannot open %s: %s", path, strerror(errno));
        return DAYBOOK_CANNOT_OPEN;
    }
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
        daybook_status status = locked_by(file, folder, problem, size);
        (void)close(file);
        return status;
    }
    (void)dk_text_format(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(file, 0) != 0 || pwrite(file, text, strlen(text), 0) < 0) {
        (void)dk_text_format(problem, size, "cannot write %s: %s", path, strerror(errno));
        (void)close(file);
        return DAYBOOK_CANNOT_OPEN;
    }
    *lock_file = file;
    return DAYBOOK_OK;
}
