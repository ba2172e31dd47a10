/* SPDX-License-Identifier: Apache-2.0
 *
 * See power.h. The VFS itself: locks and shared memory are the default VFS's, on the real file.
 */
#include "tests/support/power_inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* An open file; the handle of the VFS below follows behind it. */
struct handle {
    sqlite3_file file;
    struct power *power;
    struct content *content; /* NULL: a file that is passed through */
    sqlite3_file *below;
    bool is_log; /* the write-ahead log */
};

/* ---- files */

static struct handle *handle_of(sqlite3_file *file)
{
    return (struct handle *)(void *)file;
}

static int file_close(sqlite3_file *file)
{
    struct handle *handle = handle_of(file);
    pthread_mutex_lock(&handle->power->lock);
    if (handle->content != NULL) {
        handle->content->handles--;
    }
    pthread_mutex_unlock(&handle->power->lock);
    return handle->below->pMethods->xClose(handle->below);
}

/* Out of the copy in memory; what is behind its end is 0. */
static int read_content(struct handle *handle, void *out, int length, sqlite3_int64 offset)
{
    struct content *content = handle->content;
    pthread_mutex_lock(&handle->power->lock);
    sqlite3_int64 left = content->size - offset;
    int have = left <= 0 ? 0 : left < length ? (int)left : length;
    if (have > 0) {
        memcpy(out, content->bytes + offset, (size_t)have);
    }
    pthread_mutex_unlock(&handle->power->lock);
    memset((char *)out + have, 0, (size_t)(length - have));
    return have == length ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

/* A short read fails. Of a file other than the log SQLite would take it for the end of the file,
 * and what is missing for zeros, which no disk does; so there it is an error half-way. */
static int file_read(sqlite3_file *file, void *out, int length, sqlite3_int64 offset)
{
    struct handle *handle = handle_of(file);
    int failure = power_point(handle->power, POWER_READ);
    if (failure == SQLITE_IOERR_SHORT_READ) {
        memset((char *)out + length / 2, 0, (size_t)(length - length / 2));
        length /= 2;
        failure = handle->is_log ? SQLITE_IOERR_SHORT_READ : SQLITE_IOERR_READ;
    } else if (failure != SQLITE_OK) {
        return failure;
    }
    int result = handle->content == NULL
                     ? handle->below->pMethods->xRead(handle->below, out, length, offset)
                     : read_content(handle, out, length, offset);
    return failure == SQLITE_OK ? result : failure;
}

static int file_write(sqlite3_file *file, const void *bytes, int length, sqlite3_int64 offset)
{
    struct handle *handle = handle_of(file);
    struct power *power = handle->power;
    struct content *content = handle->content;
    int failure = power_point(handle->power, POWER_WRITE);
    if (failure != SQLITE_OK) {
        return failure;
    }
    if (content == NULL) {
        return handle->below->pMethods->xWrite(handle->below, bytes, length, offset);
    }
    pthread_mutex_lock(&power->lock);
    const struct unsynced write = {offset, length, (unsigned char *)bytes, NULL};
    power_operation(power, content, &write);
    sqlite3_int64 added = offset + length - content->size;
    bool full = power->bytes_left >= 0 && added > power->bytes_left;
    power->overflows += full;
    if (!full) {
        power->bytes_left -= power->bytes_left >= 0 && added > 0 ? added : 0;
        power_grow(content, offset + length);
        memcpy(content->bytes + offset, bytes, (size_t)length);
        power_note(content, offset, length, bytes);
    }
    pthread_mutex_unlock(&power->lock);
    return full ? SQLITE_FULL : SQLITE_OK;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct handle *handle = handle_of(file);
    struct content *content = handle->content;
    int failure = power_point(handle->power, POWER_TRUNCATE);
    if (failure != SQLITE_OK) {
        return failure;
    }
    if (content == NULL) {
        return handle->below->pMethods->xTruncate(handle->below, size);
    }
    pthread_mutex_lock(&handle->power->lock);
    power_operation(handle->power, content, NULL);
    if (size < content->size) {
        content->size = size;
    }
    power_note(content, size, -1, NULL);
    pthread_mutex_unlock(&handle->power->lock);
    return SQLITE_OK;
}

static int file_sync(sqlite3_file *file, int flags)
{
    struct handle *handle = handle_of(file);
    int result = power_point(handle->power, POWER_SYNC);
    (void)flags;
    if (result != SQLITE_OK) {
        return result;
    }
    pthread_mutex_lock(&handle->power->lock);
    power_operation(handle->power, handle->content, NULL);
    handle->power->syncs += !handle->power->cut;
    if (handle->content != NULL && !handle->power->cut) {
        result = power_flush(handle->content, handle->below, NULL);
    }
    pthread_mutex_unlock(&handle->power->lock);
    return result;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    struct handle *handle = handle_of(file);
    int failure = power_point(handle->power, POWER_SIZE);
    if (failure != SQLITE_OK) {
        return failure;
    }
    if (handle->content == NULL) {
        return handle->below->pMethods->xFileSize(handle->below, size);
    }
    pthread_mutex_lock(&handle->power->lock);
    *size = handle->content->size;
    pthread_mutex_unlock(&handle->power->lock);
    return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int operation, void *argument)
{
    struct handle *handle = handle_of(file);
    /* What would write to the real file, or name what is below, stays here. */
    if (operation == SQLITE_FCNTL_SIZE_HINT || operation == SQLITE_FCNTL_CHUNK_SIZE ||
        operation == SQLITE_FCNTL_MMAP_SIZE) {
        return SQLITE_OK;
    }
    return handle->below->pMethods->xFileControl(handle->below, operation, argument);
}

static int file_lock(sqlite3_file *file, int level)
{
    struct handle *handle = handle_of(file);
    int failure = power_point(handle->power, POWER_LOCK);
    if (failure != SQLITE_OK) {
        return failure;
    }
    return handle->below->pMethods->xLock(handle->below, level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    return handle_of(file)->below->pMethods->xUnlock(handle_of(file)->below, level);
}

static int file_check_reserved(sqlite3_file *file, int *result)
{
    return handle_of(file)->below->pMethods->xCheckReservedLock(handle_of(file)->below, result);
}

static int file_sector_size(sqlite3_file *file)
{
    sqlite3_file *below = handle_of(file)->below;
    return below->pMethods->xSectorSize(below);
}

/* Promises nothing beyond what any disk does. */
static int file_characteristics(sqlite3_file *file)
{
    (void)file;
    return 0;
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **memory)
{
    struct handle *handle = handle_of(file);
    int failure = power_point(handle->power, POWER_MAP);
    if (failure != SQLITE_OK) {
        return failure;
    }
    sqlite3_file *below = handle->below;
    return below->pMethods->xShmMap(below, page, size, extend, memory);
}

static int file_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    sqlite3_file *below = handle_of(file)->below;
    return below->pMethods->xShmLock(below, offset, count, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
    sqlite3_file *below = handle_of(file)->below;
    below->pMethods->xShmBarrier(below);
}

static int file_shm_unmap(sqlite3_file *file, int remove)
{
    sqlite3_file *below = handle_of(file)->below;
    return below->pMethods->xShmUnmap(below, remove);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* ---- the VFS */

/* The one of the system, also where a disk is the default one. */
static sqlite3_vfs *real_vfs(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    while (strncmp(vfs->zName, "power-", strlen("power-")) == 0) {
        vfs = ((struct power *)vfs->pAppData)->below;
    }
    return vfs;
}

/* Reads the real file into memory, once. */
static int load(struct content *content, sqlite3_file *below)
{
    sqlite3_int64 size = 0;
    int result = below->pMethods->xFileSize(below, &size);
    if (result == SQLITE_OK && !content->loaded) {
        power_grow(content, size);
        result =
            size == 0 ? SQLITE_OK : below->pMethods->xRead(below, content->bytes, (int)size, 0);
        content->loaded = result == SQLITE_OK;
    }
    return result;
}

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags,
                    int *out_flags)
{
    struct power *power = vfs->pAppData;
    struct handle *handle = handle_of(file);
    memset(handle, 0, sizeof *handle);
    handle->power = power;
    handle->below = (sqlite3_file *)(void *)(handle + 1);
    int failure = power_point(power, POWER_OPEN);
    if (failure != SQLITE_OK) {
        return failure;
    }
    int result = power->below->xOpen(power->below, path, handle->below, flags, out_flags);
    if (result != SQLITE_OK) {
        return result;
    }
    int kept = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL;
    handle->is_log = (flags & SQLITE_OPEN_WAL) != 0;
    bool mine = path != NULL && strncmp(path, power->only, strlen(power->only)) == 0;
    if (mine && (flags & kept) != 0) {
        pthread_mutex_lock(&power->lock);
        handle->content = power_find(power, path, true);
        handle->content->gone = false;
        result = load(handle->content, handle->below);
        handle->content->handles++;
        pthread_mutex_unlock(&power->lock);
    }
    handle->file.pMethods = &methods;
    return result;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
    struct power *power = vfs->pAppData;
    int failure = power_point(power, POWER_DELETE);
    if (failure != SQLITE_OK) {
        return failure;
    }
    pthread_mutex_lock(&power->lock);
    power_operation(power, NULL, NULL);
    bool is_cut = power->cut;
    struct content *content = power_find(power, path, is_cut);
    if (content != NULL && content->handles == 0) {
        if (is_cut) {
            power_forget(content);
        } else {
            power_drop(content);
        }
    }
    pthread_mutex_unlock(&power->lock);
    return is_cut ? SQLITE_OK : power->below->xDelete(power->below, path, sync_folder);
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *result)
{
    struct power *power = vfs->pAppData;
    int failure = power_point(power, POWER_ACCESS);
    if (failure != SQLITE_OK) {
        return failure;
    }
    pthread_mutex_lock(&power->lock);
    const struct content *content = power_find(power, path, false);
    bool gone = content != NULL && content->gone;
    pthread_mutex_unlock(&power->lock);
    *result = 0;
    return gone ? SQLITE_OK : power->below->xAccess(power->below, path, flags, result);
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *path, int size, char *out)
{
    struct power *power = vfs->pAppData;
    return power->below->xFullPathname(power->below, path, size, out);
}

static int vfs_randomness(sqlite3_vfs *vfs, int length, char *out)
{
    struct power *power = vfs->pAppData;
    return power->below->xRandomness(power->below, length, out);
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    struct power *power = vfs->pAppData;
    return power->below->xSleep(power->below, microseconds);
}

static int vfs_time(sqlite3_vfs *vfs, double *time)
{
    struct power *power = vfs->pAppData;
    return power->below->xCurrentTime(power->below, time);
}

static int vfs_last_error(sqlite3_vfs *vfs, int size, char *out)
{
    struct power *power = vfs->pAppData;
    return power->below->xGetLastError(power->below, size, out);
}

struct power *power_new(void)
{
    struct power *power = calloc(1, sizeof *power);
    assert_non_null(power);
    power->below = real_vfs();
    power->bytes_left = -1;
    (void)snprintf(power->name, sizeof power->name, "power-%p", (void *)power);
    assert_int_equal(pthread_mutex_init(&power->lock, NULL), 0);
    power->vfs = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = (int)sizeof(struct handle) + power->below->szOsFile,
        .mxPathname = power->below->mxPathname,
        .zName = power->name,
        .pAppData = power,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
        .xGetLastError = vfs_last_error,
    };
    assert_int_equal(sqlite3_vfs_register(&power->vfs, 0), SQLITE_OK);
    return power;
}

const char *power_name(const struct power *power)
{
    return power->name;
}

void power_only(struct power *power, const char *path)
{
    (void)snprintf(power->only, sizeof power->only, "%s", path);
}

void power_be_default(struct power *power)
{
    assert_int_equal(sqlite3_vfs_register(&power->vfs, 1), SQLITE_OK);
}

void power_free(struct power *power)
{
    if (power == NULL) {
        return;
    }
    assert_int_equal(sqlite3_vfs_unregister(&power->vfs), SQLITE_OK);
    for (int i = 0; i < POWER_FILES_MAX; i++) {
        if (power->contents[i].path[0] != '\0') {
            assert_int_equal(power->contents[i].handles, 0);
            power_drop(&power->contents[i]);
        }
    }
    (void)pthread_mutex_destroy(&power->lock);
    free(power);
}
