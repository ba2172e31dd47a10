/* SPDX-License-Identifier: Apache-2.0
 *
 * Backup and restore of a data folder: what a backup consists of, and how it takes the folder's
 * place. Making one is the command backup (commands_backup.c), which the running server does.
 */
#ifndef DAYBOOK_SERVER_BACKUP_H
#define DAYBOOK_SERVER_BACKUP_H

#include <daybook/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BACKUP_STORE "server.db"

/* The small files beside the store. */
struct backup_file {
    const char *name;
    bool secret;
    unsigned mode;
};
extern const struct backup_file srv_backup_files[]; /* ends with a NULL name */

/* Copies those that are there. `replace` false: files that `to` has already stay. */
daybook_status srv_backup_copy_files(const char *from, const char *to, bool replace, char *problem,
                                     size_t problem_size);

/* Puts a backup in the place of the data folder's store, as a new epoch: `source` is a folder that
 * the command backup made, or a file that is a store. The folder is made where it is missing; keys,
 * certificates and settings that it has stay, others come from the backup; a store that it has is
 * kept as server.db.replaced. *position is the head of the (first) organisation. BUSY: a server
 * runs. Whatever fails leaves the folder's store as it was. */
daybook_status srv_restore(const char *source, const char *folder, int64_t *position, char *problem,
                           size_t problem_size);

#endif
