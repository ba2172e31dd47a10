/* SPDX-License-Identifier: Apache-2.0
 *
 * See power.h. Each file has a whole copy in memory, which outlives its handles like an operating
 * system's page cache, and a list of the writes since its last sync. A sync puts those into the
 * real file. Locks and shared memory are the default VFS's, on the real file.
 */
#include "tests/support/power.h"

#include <sqlite3.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FILES_MAX 64
#define PATH_SIZE 512
#define FILE_BYTES_MAX ((sqlite3_int64)256 * 1024 * 1024)

/* One write, or one truncation (length -1), that was not synced. */
struct unsynced {
    sqlite3_int64 offset;
    int length;
    unsigned char *bytes;
    struct unsynced *next;
};

/* One path. */
struct content {
    char path[PATH_SIZE]; /* "": free */
    unsigned char *bytes;
    sqlite3_int64 size, capacity;
    struct unsynced *first, **end;
    int handles;
    bool loaded;
};

struct power {
    sqlite3_vfs vfs;
    sqlite3_vfs *below;
    char name[40];
    char only[PATH_SIZE];
    pthread_mutex_t lock; /* guards all below */
    struct content contents[FILES_MAX];
    bool cut;
    int operations, cut_at; /* cut_at 0: at none */
    uint64_t cut_seed;
    int64_t bytes_left; /* -1: not full */
    int64_t syncs;
};

/* An open file; the handle of the VFS below follows behind it. */
struct handle {
    sqlite3_file file;
    struct power *power;
    struct content *content; /* NULL: a temporary file, passed through */
    sqlite3_file *below;
};

/* ---- contents; all under the lock */

static void grow(struct content *content, sqlite3_int64 size)
{
    assert_true(size <= FILE_BYTES_MAX);
    if (size > content->capacity) {
        sqlite3_int64 capacity = size * 2 + 65536;
        content->bytes = realloc(content->bytes, (size_t)capacity);
        assert_non_null(content->bytes);
        content->capacity = capacity;
    }
    if (size > content->size) {
        memset(content->bytes + content->size, 0, (size_t)(size - content->size));
        content->size = size;
    }
}

static void forget_unsynced(struct content *content)
{
    while (content->first != NULL) {
        struct unsynced *next = content->first->next;
        free(content->first->bytes);
        free(content->first);
        content->first = next;
    }
    content->end = &content->first;
}

static void note(struct content *content, sqlite3_int64 offset, int length, const void *bytes)
{
    struct unsynced *write = calloc(1, sizeof *write);
    assert_non_null(write);
    write->offset = offset;
    write->length = length;
    if (length > 0) {
        write->bytes = malloc((size_t)length);
        assert_non_null(write->bytes);
        memcpy(write->bytes, bytes, (size_t)length);
    }
    *content->end = write;
    content->end = &write->next;
}

/* The next number of a small generator; never 0. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Puts the unsynced writes into the real file; with a seed each one by chance. */
static int flush(struct content *content, sqlite3_file *below, uint64_t *seed)
{
    int result = SQLITE_OK;
    for (struct unsynced *write = content->first; write != NULL && result == SQLITE_OK;
         write = write->next) {
        if (seed != NULL && next_random(seed) % 2 == 0) {
            continue;
        }
        result = write->length < 0
                     ? below->pMethods->xTruncate(below, write->offset)
                     : below->pMethods->xWrite(below, write->bytes, write->length, write->offset);
    }
    forget_unsynced(content);
    return result;
}

/* The entry of a path, made where it is missing. */
static struct content *find(struct power *power, const char *path, bool make)
{
    struct content *free_one = NULL;
    for (int i = 0; i < FILES_MAX; i++) {
        if (strcmp(power->contents[i].path, path) == 0) {
            return &power->contents[i];
        }
        if (power->contents[i].path[0] == '\0' && free_one == NULL) {
            free_one = &power->contents[i];
        }
    }
    if (!make) {
        return NULL;
    }
    assert_non_null(free_one);
    assert_true(strlen(path) < PATH_SIZE);
    (void)snprintf(free_one->path, PATH_SIZE, "%s", path);
    free_one->end = &free_one->first;
    return free_one;
}

static void drop(struct content *content)
{
    forget_unsynced(content);
    free(content->bytes);
    memset(content, 0, sizeof *content);
}

/* ---- losing power; all under the lock */

/* Opens the real file of a content for writing, and puts a chance part of the unsynced into it. */
static void lose_partly(struct power *power, struct content *content, uint64_t *seed)
{
    int out_flags;
    sqlite3_file *below = calloc(1, (size_t)power->below->szOsFile);
    assert_non_null(below);
    assert_int_equal(power->below->xOpen(power->below, content->path, below,
                                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_TEMP_JOURNAL,
                                         &out_flags),
                     SQLITE_OK);
    assert_int_equal(flush(content, below, seed), SQLITE_OK);
    (void)below->pMethods->xClose(below);
    free(below);
}

static void cut(struct power *power, uint64_t seed)
{
    power->cut = true;
    for (int i = 0; i < FILES_MAX && seed != 0; i++) {
        if (power->contents[i].path[0] != '\0' && power->contents[i].first != NULL) {
            lose_partly(power, &power->contents[i], &seed);
        }
    }
}

/* An operation is about to happen. */
static void count(struct power *power)
{
    if (++power->operations == power->cut_at && !power->cut) {
        cut(power, power->cut_seed);
    }
}

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

static int file_read(sqlite3_file *file, void *out, int length, sqlite3_int64 offset)
{
    struct handle *handle = handle_of(file);
    struct content *content = handle->content;
    if (content == NULL) {
        return handle->below->pMethods->xRead(handle->below, out, length, offset);
    }
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

static int file_write(sqlite3_file *file, const void *bytes, int length, sqlite3_int64 offset)
{
    struct handle *handle = handle_of(file);
    struct power *power = handle->power;
    struct content *content = handle->content;
    if (content == NULL) {
        return handle->below->pMethods->xWrite(handle->below, bytes, length, offset);
    }
    pthread_mutex_lock(&power->lock);
    count(power);
    sqlite3_int64 added = offset + length - content->size;
    bool full = power->bytes_left >= 0 && added > power->bytes_left;
    if (!full) {
        power->bytes_left -= power->bytes_left >= 0 && added > 0 ? added : 0;
        grow(content, offset + length);
        memcpy(content->bytes + offset, bytes, (size_t)length);
        note(content, offset, length, bytes);
    }
    pthread_mutex_unlock(&power->lock);
    return full ? SQLITE_FULL : SQLITE_OK;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct handle *handle = handle_of(file);
    struct content *content = handle->content;
    if (content == NULL) {
        return handle->below->pMethods->xTruncate(handle->below, size);
    }
    pthread_mutex_lock(&handle->power->lock);
    count(handle->power);
    if (size < content->size) {
        content->size = size;
    }
    note(content, size, -1, NULL);
    pthread_mutex_unlock(&handle->power->lock);
    return SQLITE_OK;
}

static int file_sync(sqlite3_file *file, int flags)
{
    struct handle *handle = handle_of(file);
    int result = SQLITE_OK;
    (void)flags;
    pthread_mutex_lock(&handle->power->lock);
    count(handle->power);
    handle->power->syncs += !handle->power->cut;
    if (handle->content != NULL && !handle->power->cut) {
        result = flush(handle->content, handle->below, NULL);
    }
    pthread_mutex_unlock(&handle->power->lock);
    return result;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    struct handle *handle = handle_of(file);
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
    return handle_of(file)->below->pMethods->xLock(handle_of(file)->below, level);
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
    sqlite3_file *below = handle_of(file)->below;
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
        grow(content, size);
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
    int result = power->below->xOpen(power->below, path, handle->below, flags, out_flags);
    if (result != SQLITE_OK) {
        return result;
    }
    int kept = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL;
    bool mine = path != NULL && strncmp(path, power->only, strlen(power->only)) == 0;
    if (mine && (flags & kept) != 0) {
        pthread_mutex_lock(&power->lock);
        handle->content = find(power, path, true);
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
    pthread_mutex_lock(&power->lock);
    count(power);
    struct content *content = find(power, path, false);
    bool is_cut = power->cut;
    if (content != NULL && content->handles == 0) {
        drop(content);
    }
    pthread_mutex_unlock(&power->lock);
    return is_cut ? SQLITE_OK : power->below->xDelete(power->below, path, sync_folder);
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *result)
{
    struct power *power = vfs->pAppData;
    return power->below->xAccess(power->below, path, flags, result);
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
    for (int i = 0; i < FILES_MAX; i++) {
        if (power->contents[i].path[0] != '\0') {
            assert_int_equal(power->contents[i].handles, 0);
            drop(&power->contents[i]);
        }
    }
    (void)pthread_mutex_destroy(&power->lock);
    free(power);
}

void power_cut(struct power *power, uint64_t seed)
{
    pthread_mutex_lock(&power->lock);
    cut(power, seed);
    pthread_mutex_unlock(&power->lock);
}

void power_cut_at(struct power *power, int operation, uint64_t seed)
{
    pthread_mutex_lock(&power->lock);
    power->cut_at = operation == 0 ? 0 : power->operations + operation;
    power->cut_seed = seed;
    pthread_mutex_unlock(&power->lock);
}

bool power_is_cut(struct power *power)
{
    pthread_mutex_lock(&power->lock);
    bool is_cut = power->cut;
    pthread_mutex_unlock(&power->lock);
    return is_cut;
}

int power_operations(struct power *power)
{
    pthread_mutex_lock(&power->lock);
    int operations = power->operations;
    pthread_mutex_unlock(&power->lock);
    return operations;
}

void power_return(struct power *power)
{
    pthread_mutex_lock(&power->lock);
    for (int i = 0; i < FILES_MAX; i++) {
        if (power->contents[i].path[0] != '\0') {
            assert_int_equal(power->contents[i].handles, 0);
            drop(&power->contents[i]);
        }
    }
    power->cut = false;
    pthread_mutex_unlock(&power->lock);
}

void power_fill(struct power *power, int64_t bytes_left)
{
    pthread_mutex_lock(&power->lock);
    power->bytes_left = bytes_left;
    pthread_mutex_unlock(&power->lock);
}

int64_t power_syncs(struct power *power)
{
    pthread_mutex_lock(&power->lock);
    int64_t syncs = power->syncs;
    pthread_mutex_unlock(&power->lock);
    return syncs;
}
