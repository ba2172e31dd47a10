/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kill tests share: the real server, devices as processes of their own with a journal
 * each, and the account at the end: every transaction that was acknowledged has had exactly one
 * effect, or is one item of its device's inbox, and every replica is what the server has.
 */
#ifndef DAYBOOK_TESTS_KILL_WORLD_H
#define DAYBOOK_TESTS_KILL_WORLD_H

#include "tests/support/device.h"
#include "tests/support/replica.h"
#include "tests/support/server.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include <cmocka.h>

#define DEVICES_MAX 6
#define ROUNDS_MAX 3 /* of syncs after the faults, until nothing is left */

struct process {
    struct device device; /* its store; open in this process at the end only */
    char login[32];
    char name[16]; /* in its marks */
    char journal[320];
    pid_t pid; /* 0: does not run */
};

struct kill_world {
    struct server server;
    struct process devices[DEVICES_MAX];
    int count;
    uint64_t seed;
    int kills;
};

static inline uint64_t kill_next(struct kill_world *world, uint64_t below)
{
    world->seed ^= world->seed << 13;
    world->seed ^= world->seed >> 7;
    world->seed ^= world->seed << 17;
    return world->seed % below;
}

static inline void kill_pause_ms(uint64_t ms)
{
    const struct timespec pause = {.tv_sec = (time_t)(ms / 1000),
                                   .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&pause, NULL);
}

/* A number of the environment, or the fallback. */
static inline uint64_t kill_setting(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text == NULL || text[0] == '\0' ? fallback : strtoull(text, NULL, 10);
}

/* A running server with a catalogue. */
static inline void kill_world_open(struct kill_world *world)
{
    memset(world, 0, sizeof *world);
    server_init(&world->server);
    server_start(&world->server);
    server_import(&world->server,
                  "{\"entity\":\"product\",\"id\":\"0193f000-0000-7000-8000-000000000001\","
                  "\"code\":\"TEA\",\"name\":\"龙井茶\",\"uom\":\"box\",\"tax_bp\":1300}\n");
}

/* One more device, enrolled and with a first customer; its process is not started. */
static inline struct process *kill_world_hire(struct kill_world *world, const char *territory)
{
    char code[64];
    assert_true(world->count < DEVICES_MAX);
    struct process *process = &world->devices[world->count];
    (void)snprintf(process->login, sizeof process->login, "user%d", world->count);
    (void)snprintf(process->name, sizeof process->name, "w%d", world->count++);
    server_add_user(&world->server, process->login, "rep", territory);
    server_code(&world->server, process->login, code);
    device_init(&process->device, NULL, world->server.url, world->server.ca_file);
    size_t length = strlen(process->device.folder);
    memcpy(process->journal, process->device.folder, length);
    memcpy(process->journal + length, "/journal", sizeof "/journal");
    device_open(&process->device);
    device_enrol(&process->device, code);
    device_customer(&process->device, process->name, NULL);
    device_sync(&process->device);
    device_close(&process->device);
    return process;
}

/* A world with two devices of one territory. `page_bytes` as in struct server; 0: the server's own.
 */
static inline void kill_world_open_two(struct kill_world *world, int64_t page_bytes)
{
    kill_world_open(world);
    if (page_bytes > 0) {
        server_stop(&world->server);
        world->server.page_bytes = page_bytes;
        server_start(&world->server);
    }
    (void)kill_world_hire(world, "East");
    (void)kill_world_hire(world, "East");
}

/* Starts the device's process. `commits` "": it runs until it is killed. `at_write` NULL, or the
 * number of the write to the disk that it does not survive. */
static inline void kill_start(struct kill_world *world, struct process *process, uint64_t seed,
                              const char *commits, const char *at_write)
{
    char number[32];
    (void)snprintf(number, sizeof number, "%" PRIu64, seed);
    assert_int_equal(process->pid, 0);
    process->pid = fork();
    assert_true(process->pid >= 0);
    if (process->pid == 0) {
        if (at_write != NULL) {
            (void)setenv("LD_PRELOAD", KILL_AT_WRITE, 1);
            (void)setenv("KILL_AT_WRITE", at_write, 1);
        }
        (void)execl(KILL_WORKER, "kill_worker", process->device.path, world->server.url,
                    world->server.ca_file, process->journal, process->name, number,
                    commits[0] == '\0' ? NULL : commits, (char *)NULL);
        _exit(127);
    }
}

/* Kills the device's process. The test fails where it had ended by itself: then something was
 * answered that never should be. */
static inline void kill_process(struct process *process)
{
    int result = 0;
    assert_true(process->pid > 0);
    (void)kill(process->pid, SIGKILL);
    assert_int_equal(waitpid(process->pid, &result, 0), process->pid);
    process->pid = 0;
    assert_true(WIFSIGNALED(result) && WTERMSIG(result) == SIGKILL);
}

/* Waits for the end of a process; its exit status, or -1 where it was killed. */
static inline int kill_wait(struct process *process)
{
    int result = 0;
    assert_int_equal(waitpid(process->pid, &result, 0), process->pid);
    process->pid = 0;
    if (WIFSIGNALED(result)) {
        assert_int_equal(WTERMSIG(result), SIGKILL);
        return -1;
    }
    return WEXITSTATUS(result);
}

/* ---- the account */

/* The marks of one journal. */
struct marks {
    bool *acknowledged; /* by number */
    int64_t count;      /* numbers 1 to count were begun */
    int64_t acknowledged_count;
};

static inline struct marks read_marks(const struct process *process)
{
    char line[200];
    struct marks marks = {NULL, 0, 0};
    FILE *file = fopen(process->journal, "rb");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *dash = strrchr(line, '-');
        assert_non_null(dash);
        int64_t number = strtoll(dash + 1, NULL, 10);
        if (line[0] == 'A') {
            assert_true(number > marks.count);
            marks.acknowledged =
                realloc(marks.acknowledged, (size_t)(number + 1) * sizeof *marks.acknowledged);
            assert_non_null(marks.acknowledged);
            for (int64_t i = marks.count + 1; i <= number; i++) {
                marks.acknowledged[i] = false;
            }
            marks.count = number;
        } else {
            assert_int_equal(line[0], 'C');
            assert_int_equal(number, marks.count);
            assert_false(marks.acknowledged[number]);
            marks.acknowledged[number] = true;
            marks.acknowledged_count++;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return marks;
}

/* Adds to found[] how often each mark of the device is in the texts that the query gives. The mark
 * is "name-number" with no digit behind. */
static inline void count_marks(const char *database, const char *sql, const struct process *process,
                               int *found, int64_t count)
{
    sqlite3 *file = NULL;
    sqlite3_stmt *statement = NULL;
    char mark[32];
    int result;
    (void)snprintf(mark, sizeof mark, "\"%s-", process->name);
    assert_int_equal(sqlite3_open_v2(database, &file, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    (void)sqlite3_busy_timeout(file, 20000);
    assert_int_equal(sqlite3_prepare_v2(file, sql, -1, &statement, NULL), SQLITE_OK);
    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        while (text != NULL && (text = strstr(text, mark)) != NULL) {
            text += strlen(mark);
            int64_t number = strtoll(text, NULL, 10);
            assert_true(number >= 1 && number <= count);
            found[number]++;
        }
    }
    assert_int_equal(result, SQLITE_DONE);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(file);
}

/* Every acknowledged mark of the device is once on the server or once in its inbox, and a mark that
 * was begun and not acknowledged at most once. Returns the number of acknowledged ones. */
static inline int64_t account(struct kill_world *world, const struct process *process,
                              int64_t *refused)
{
    struct marks marks = read_marks(process);
    int *decided = calloc((size_t)marks.count + 1, sizeof *decided);
    int *inbox = calloc((size_t)marks.count + 1, sizeof *inbox);
    assert_non_null(decided);
    assert_non_null(inbox);
    count_marks(world->server.database, "SELECT '\"' || feedback FROM visit", process, decided,
                marks.count);
    count_marks(process->device.path, "SELECT body FROM inbox_item WHERE kind = 'rejected'",
                process, inbox, marks.count);
    int wrong = 0;
    for (int64_t i = 1; i <= marks.count; i++) {
        bool fine = marks.acknowledged[i] ? decided[i] + inbox[i] == 1 : decided[i] + inbox[i] <= 1;
        if (!fine) {
            print_error("%s-%" PRId64 " (%s): %d on the server, %d in the inbox\n", process->name,
                        i, marks.acknowledged[i] ? "acknowledged" : "begun", decided[i], inbox[i]);
            wrong++;
        }
        *refused += inbox[i];
    }
    assert_int_equal(wrong, 0);
    free(decided);
    free(inbox);
    free(marks.acknowledged);
    return marks.acknowledged_count;
}

/* The faults have stopped and no device runs: everything is settled within three rounds, and then
 * the account is right. Returns the number of acknowledged transactions. */
static inline int64_t kill_world_settle(struct kill_world *world, int64_t *refused)
{
    int64_t acknowledged = 0;
    for (int i = 0; i < world->count; i++) {
        device_open(&world->devices[i].device);
    }
    for (int round = 0; round < ROUNDS_MAX; round++) {
        for (int i = 0; i < world->count; i++) {
            device_sync(&world->devices[i].device);
        }
    }
    for (int i = 0; i < world->count; i++) {
        struct process *process = &world->devices[i];
        daybook_sync_status status = device_status(&process->device);
        assert_int_equal(status.pending, 0);
        assert_int_equal(status.unsettled, 0);
        replica_assert_equal(&process->device, &world->server, process->login);
        device_close(&process->device);
        acknowledged += account(world, process, refused);
    }
    replica_check_server(&world->server);
    return acknowledged;
}

/* Lets a device record so much and send it. */
static inline void kill_work(struct kill_world *world, struct process *process, uint64_t seed,
                             const char *commits)
{
    kill_start(world, process, seed, commits, NULL);
    assert_int_equal(kill_wait(process), 0);
}

/* Kills what still runs, and removes everything. */
static inline void kill_world_close(struct kill_world *world)
{
    for (int i = 0; i < world->count; i++) {
        if (world->devices[i].pid > 0) {
            (void)kill(world->devices[i].pid, SIGKILL);
            (void)waitpid(world->devices[i].pid, NULL, 0);
        }
        device_clear(&world->devices[i].device);
    }
    server_clear(&world->server);
}

#endif
