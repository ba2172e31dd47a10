/* SPDX-License-Identifier: Apache-2.0
 *
 * Small files of the data folder: made atomically, read with a bound. The store's own files are not
 * touched here.
 */
#ifndef DAYBOOK_SERVER_FOLDER_H
#define DAYBOOK_SERVER_FOLDER_H

#include <daybook/status.h>

#include <stdbool.h>
#include <stddef.h>

#define FOLDER_PATH_BYTES_MAX 4096
#define FOLDER_FILE_BYTES_MAX (64 * 1024)

/* Makes the folder with mode 0700 where it is missing (its parent must exist). A folder that is
 * there must be writable and not writable by others. CANNOT_OPEN with `problem` set. */
daybook_status srv_folder_make(const char *folder, char *problem, size_t problem_size);
/* "folder/name" in `out`; false where that is too long. */
bool srv_folder_path(const char *folder, const char *name, char out[FOLDER_PATH_BYTES_MAX]);
/* Replaces a file by these bytes: a temporary file with this mode, synced, renamed, the folder
 * synced. A crash leaves the old file or the new one. */
daybook_status srv_folder_write(const char *folder, const char *name, const char *bytes,
                                size_t length, unsigned mode, char *problem, size_t problem_size);
/* Makes what was written to a file, or renamed in a folder, last. */
daybook_status srv_folder_sync(const char *path, char *problem, size_t problem_size);
/* Takes the data folder's lock, which keeps a second server out: until *lock_file is closed, or the
 * process ends, however. BUSY names the process that has it. */
daybook_status srv_folder_lock(const char *folder, int *lock_file, char *problem,
                               size_t problem_size);
/* The whole file with a NUL behind it, the caller's (dk_memory_free). NOT_FOUND: there is none (no
 * `problem` then). `secret`: CANNOT_OPEN where group or others may read it. */
daybook_status srv_folder_read(const char *folder, const char *name, bool secret, char **bytes,
                               size_t *length, char *problem, size_t problem_size);

#endif
