/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the lock file beside a store, which makes one process its only owner. Called by open and
 * close. Invariants: the lock is the open file description's, so it also keeps a second open of the
 * same process out, and ends with the process however it ends; the file itself stays, since
 * removing it would let two owners lock two files of one name.
 */
#include "engine/store/inside.h"

#include "engine/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 4096

/* Who holds the lock, as it wrote it; 0 where it has not yet. */
static long long read_owner(int file)
{
    char text[24];
    int64_t pid = 0;
    ssize_t length = pread(file, text, sizeof text, 0);
    while (length > 0 && text[length - 1] == '\n') {
        length--;
    }
    if (length <= 0 || !dk_text_to_int64(text, (size_t)length, &pid)) {
        return 0;
    }
    return (long long)pid;
}

/* Leaves our number for whoever comes second. That it cannot be written does not make the lock less
 * ours. */
static void write_owner(int file)
{
    char text[24];
    if (dk_text_format(text, sizeof text, "%lld\n", (long long)getpid()) &&
        ftruncate(file, 0) == 0) {
        ssize_t written = pwrite(file, text, strlen(text), 0);
        (void)written;
    }
}

/* Opens and locks `<path>.lock`. *file is -1 where there is no such folder and `needed` is false: a
 * VFS of its own need not have files on this disk. BUSY names the owner's process. */
daybook_status dk_lock_take(const char *path, bool needed, int *file, char *problem,
                            size_t problem_size)
{
    char name[PATH_SIZE];
    *file = -1;
    if (!dk_text_format(name, sizeof name, "%s.lock", path)) {
        (void)dk_text_format(problem, problem_size, "the path is too long");
        return DAYBOOK_CANNOT_OPEN;
    }
    int opened = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (opened < 0 && errno == ENOENT && !needed) {
        return DAYBOOK_OK;
    }
    if (opened < 0) {
        daybook_status status =
            errno == ENOSPC || errno == EDQUOT ? DAYBOOK_DISK_FULL : DAYBOOK_CANNOT_OPEN;
        (void)dk_text_format(problem, problem_size, "the lock file cannot be made (errno %d)",
                             errno);
        return status;
    }
    if (flock(opened, LOCK_EX | LOCK_NB) != 0) {
        (void)dk_text_format(problem, problem_size, "the store is open in process %lld",
                             read_owner(opened));
        (void)close(opened);
        return DAYBOOK_BUSY;
    }
    write_owner(opened);
    *file = opened;
    return DAYBOOK_OK;
}

/* -1 is fine. */
void dk_lock_release(int file)
{
    if (file >= 0) {
        (void)close(file);
    }
}
