/* SPDX-License-Identifier: Apache-2.0
 *
 * The command backup: a folder with all that a server needs to go on, made while it runs. Called by
 * srv_service_command. Invariant: devices are told that a backup covers a position only when the
 * copy that has it is checked and on the disk.
 */
#include "sync-server/inside.h"

#include "engine/base/text.h"
#include "sync-server/backup.h"
#include "sync-server/commands.h"
#include "sync-server/folder.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const struct backup_file srv_backup_files[] = {
    {"ca.key", true, 0600},      {"ca.crt", false, 0644},       {"server.key", true, 0600},
    {"server.crt", false, 0644}, {"daybook.conf", false, 0600}, {NULL, false, 0},
};

/* See backup.h. */
daybook_status srv_backup_copy_files(const char *from, const char *to, bool replace, char *problem,
                                     size_t problem_size)
{
    char path[FOLDER_PATH_BYTES_MAX];
    daybook_status status = DAYBOOK_OK;
    for (const struct backup_file *file = srv_backup_files;
         file->name != NULL && status == DAYBOOK_OK; file++) {
        char *bytes;
        size_t length;
        if (!srv_folder_path(to, file->name, path)) {
            (void)dk_text_format(problem, problem_size, "the path %s is too long", to);
            return DAYBOOK_INVALID;
        }
        if (!replace && access(path, F_OK) == 0) {
            continue;
        }
        status =
            srv_folder_read(from, file->name, file->secret, &bytes, &length, problem, problem_size);
        if (status == DAYBOOK_NOT_FOUND) {
            status = DAYBOOK_OK;
        } else if (status == DAYBOOK_OK) {
            status =
                srv_folder_write(to, file->name, bytes, length, file->mode, problem, problem_size);
            dk_memory_free(bytes);
        }
    }
    return status;
}

struct backup_task {
    struct srv_organisation *rows; /* as the copy has them */
    int count;
};

/* Notes how far the copy covers the log of each organisation. */
static daybook_status note_run(struct decider *decider, void *context)
{
    struct backup_task *task = context;
    daybook_status status = DAYBOOK_OK;
    for (int i = 0; i < task->count && status == DAYBOOK_OK; i++) {
        status = srv_store_set_backup(decider->store, task->rows[i].org, task->rows[i].head);
    }
    return status;
}

/* The organisations with their heads, out of the copy. */
static daybook_status read_copy(const char *folder, struct arena *arena, struct backup_task *task,
                                char *problem, size_t problem_size)
{
    struct srv_store_options options = {.folder = folder, .writer = false};
    struct srv_store *store;
    daybook_status status = srv_store_open_sqlite(&options, &store, problem, problem_size);
    if (status == DAYBOOK_OK) {
        status = srv_store_organisations(store, arena, &task->rows, &task->count);
        srv_store_close(store);
    }
    return status;
}

/* Says what was done. */
static void write_answer(struct command_run *run, const char *folder,
                         const struct backup_task *task)
{
    struct buffer *out = &run->out;
    for (int i = 0; i < task->count; i++) {
        long long head = (long long)task->rows[i].head;
        char text[64];
        if (run->line->json) {
            dk_buffer_append_char(out, '{');
            srv_command_number(out, true, "position", head);
            srv_command_member(out, false, "folder", folder);
            dk_buffer_append_text(out, "}\n");
            continue;
        }
        (void)dk_text_format(text, sizeof text, "backed up to position %lld in ", head);
        dk_buffer_append_text(out, text);
        dk_buffer_append_text(out, folder);
        dk_buffer_append_char(out, '\n');
    }
}

/* Makes the folder, which must not be there: a backup is never written over another. */
static daybook_status make_folder(struct command_run *run, const char *folder)
{
    if (mkdir(folder, 0700) == 0) {
        return DAYBOOK_OK;
    }
    return errno == EEXIST
               ? srv_command_fail(run, DAYBOOK_EXISTS, "%s exists already", folder)
               : srv_command_fail(run, DAYBOOK_CANNOT_OPEN, "cannot make the folder %s: %s", folder,
                                  strerror(errno));
}

/* Removes what a backup that failed has left. */
static void remove_folder(const char *folder)
{
    char path[FOLDER_PATH_BYTES_MAX];
    for (const struct backup_file *file = srv_backup_files; file->name != NULL; file++) {
        if (srv_folder_path(folder, file->name, path)) {
            (void)unlink(path);
        }
    }
    if (srv_folder_path(folder, BACKUP_STORE, path)) {
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

/* See the header. Writers are not held up: the copy is read beside them. */
daybook_status srv_command_backup(struct command_run *run)
{
    const char *folder = run->line->arguments[0];
    char from[FOLDER_PATH_BYTES_MAX], to[FOLDER_PATH_BYTES_MAX];
    struct backup_task task = {NULL, 0};
    struct arena arena;
    if (!srv_folder_path(run->service->data_folder, BACKUP_STORE, from) ||
        !srv_folder_path(folder, BACKUP_STORE, to)) {
        return srv_command_fail(run, DAYBOOK_INVALID, "the folder's path is too long");
    }
    daybook_status status = make_folder(run, folder);
    if (status != DAYBOOK_OK) {
        return status;
    }
    dk_arena_init(&arena, 1024 * 1024);
    status = srv_store_copy_sqlite(from, to, run->problem, sizeof run->problem);
    if (status == DAYBOOK_OK) {
        status = srv_backup_copy_files(run->service->data_folder, folder, true, run->problem,
                                       sizeof run->problem);
    }
    if (status == DAYBOOK_OK) {
        status = srv_folder_sync(folder, run->problem, sizeof run->problem);
    }
    if (status == DAYBOOK_OK) {
        status = read_copy(folder, &arena, &task, run->problem, sizeof run->problem);
    }
    if (status == DAYBOOK_OK) {
        status = srv_run_task(run->service, note_run, &task);
    }
    if (status == DAYBOOK_OK) {
        write_answer(run, folder, &task);
    } else {
        remove_folder(folder);
    }
    dk_arena_clear(&arena);
    return status;
}
