/* SPDX-License-Identifier: Apache-2.0
 *
 * See server.h.
 */
#include "tests/support/server.h"

#include "tests/support/folder.h"

#include <sqlite3.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* A start takes tens of milliseconds; sanitizers and full machines take more. */
#define START_MS 60000
#define ARGUMENTS_MAX 16

/* Path of the program, or ends the process as skipped. */
static const char *program(void)
{
    const char *path = getenv("DAYBOOK_SERVER");
    if (path == NULL || path[0] == '\0') {
        (void)printf("DAYBOOK_SERVER does not name a daybook-server\n");
        exit(77);
    }
    return path;
}

void server_init(struct server *server)
{
    (void)program();
    memset(server, 0, sizeof *server);
    folder_make(server->folder, sizeof server->folder, "daybook_server");
    (void)snprintf(server->data, sizeof server->data, "%s/data", server->folder);
    (void)snprintf(server->database, sizeof server->database, "%s/server.db", server->data);
    (void)snprintf(server->ca_file, sizeof server->ca_file, "%s/ca.crt", server->data);
    (void)snprintf(server->errors, sizeof server->errors, "%s/errors", server->folder);
}

/* Shows the end of what the server wrote to stderr. */
static void print_errors(const struct server *server)
{
    char text[4096];
    FILE *file = fopen(server->errors, "rb");
    if (file == NULL) {
        return;
    }
    if (fseek(file, -(long)(sizeof text - 1), SEEK_END) != 0) {
        rewind(file);
    }
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    print_error("the server wrote:\n%s\n", text);
}

/* In the child: the program with these arguments, output as given; does not return. */
static void run_program(const struct server *server, const char *const *arguments, int out,
                        int errors)
{
    char *words[ARGUMENTS_MAX + 4];
    char page_bytes[64];
    int count = 0;
    words[count++] = (char *)(uintptr_t)(server->program != NULL ? server->program : program());
    for (; *arguments != NULL && count < ARGUMENTS_MAX; arguments++) {
        words[count++] = (char *)(uintptr_t)*arguments;
    }
    words[count++] = (char *)(uintptr_t) "--data";
    words[count++] = (char *)(uintptr_t)server->data;
    words[count] = NULL;
    if (server->page_bytes > 0) {
        (void)snprintf(page_bytes, sizeof page_bytes, "%lld", (long long)server->page_bytes);
        (void)setenv("DAYBOOK_PAGE_BYTES", page_bytes, 1);
    }
    for (int i = 0; i < 4 && server->environment[i] != NULL; i++) {
        char name[64];
        size_t length = strcspn(server->environment[i], "=");
        (void)snprintf(name, sizeof name, "%.*s", (int)length, server->environment[i]);
        (void)setenv(name, server->environment[i] + length + 1, 1);
    }
    (void)signal(SIGXFSZ, server->ignore_file_size ? SIG_IGN : SIG_DFL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)dup2(out, STDOUT_FILENO);
    (void)dup2(errors, STDERR_FILENO);
    (void)execv(words[0], words);
    _exit(127);
}

/* Milliseconds of a clock that only goes forward. */
static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Reads from the pipe until the text has `until` in it, the other side has closed it or time is
 * up. */
static void read_until(int from, char *text, size_t size, const char *until, int64_t limit_ms)
{
    size_t length = 0;
    int64_t end_ms = now_ms() + limit_ms;
    text[0] = '\0';
    while (length + 1 < size && (until == NULL || strstr(text, until) == NULL)) {
        struct pollfd wait = {.fd = from, .events = POLLIN};
        int64_t left_ms = end_ms - now_ms();
        if (left_ms <= 0 || poll(&wait, 1, (int)left_ms) == 0) {
            break;
        }
        ssize_t got = read(from, text + length, size - 1 - length);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            break;
        }
        length += got > 0 ? (size_t)got : 0;
        text[length] = '\0';
    }
}

/* Starts the program; *out is the reading end of its stdout. Its stderr goes where its stdout
 * goes, or to the errors file. */
static pid_t spawn(struct server *server, const char *const *arguments, bool join_errors, int *out)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    int errors = join_errors
                     ? ends[1]
                     : open(server->errors, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(errors >= 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        run_program(server, arguments, ends[1], errors);
    }
    (void)close(ends[1]);
    if (!join_errors) {
        (void)close(errors);
    }
    *out = ends[0];
    return child;
}

/* Another file may take the place of server.db while no server runs; and one that stops has it to
 * itself. */
static void close_reader(struct server *server)
{
    (void)sqlite3_close(server->reader);
    server->reader = NULL;
}

bool server_try_start(struct server *server)
{
    char listen[64];
    char text[512];
    int out;
    const char *const arguments[] = {"serve", "--listen", listen, NULL};
    assert_int_equal(server->process, 0);
    close_reader(server);
    (void)snprintf(listen, sizeof listen, "127.0.0.1:%d", server->port);
    server->process = spawn(server, arguments, false, &out);
    read_until(out, text, sizeof text, "\n", START_MS);
    (void)close(out);
    const char *url = strstr(text, "listening on https://127.0.0.1:");
    if (url == NULL) {
        server_kill(server);
        return false;
    }
    server->port = (int)strtol(url + strlen("listening on https://127.0.0.1:"), NULL, 10);
    assert_in_range(server->port, 1, 65535);
    (void)snprintf(server->url, sizeof server->url, "https://127.0.0.1:%d", server->port);
    return true;
}

void server_start(struct server *server)
{
    if (!server_try_start(server)) {
        print_error("the server does not listen\n");
        print_errors(server);
        fail();
    }
}

void server_stop(struct server *server)
{
    int result = 0;
    assert_true(server->process > 0);
    close_reader(server);
    assert_int_equal(kill(server->process, SIGTERM), 0);
    assert_int_equal(waitpid(server->process, &result, 0), server->process);
    server->process = 0;
    if (!WIFEXITED(result) || WEXITSTATUS(result) != 0) {
        print_errors(server);
    }
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), 0);
}

void server_kill(struct server *server)
{
    close_reader(server);
    if (server->process > 0) {
        (void)kill(server->process, SIGKILL);
        (void)waitpid(server->process, NULL, 0);
        server->process = 0;
    }
}

bool server_is_running(struct server *server)
{
    int result = 0;
    if (server->process > 0 && waitpid(server->process, &result, WNOHANG) == server->process) {
        print_error("the server has ended, status %d\n", result);
        print_errors(server);
        server->process = 0;
    }
    return server->process > 0;
}

/* Removes a folder and what is in it. */
static void remove_folder(const char *folder)
{
    pid_t child = fork();
    if (child == 0) {
        (void)execlp("rm", "rm", "-rf", "--", folder, (char *)NULL);
        _exit(127);
    }
    (void)waitpid(child, NULL, 0);
}

void server_clear(struct server *server)
{
    bool was_running = server->process > 0;
    bool runs = server_is_running(server);
    if (runs) {
        server_stop(server);
    }
    close_reader(server);
    remove_folder(server->folder);
    assert_int_equal(runs, was_running);
}

int server_run(struct server *server, char *out, size_t out_size, const char *const *arguments)
{
    int from;
    int result = 0;
    pid_t child = spawn(server, arguments, true, &from);
    read_until(from, out, out_size, NULL, START_MS);
    (void)close(from);
    assert_int_equal(waitpid(child, &result, 0), child);
    return WIFEXITED(result) ? WEXITSTATUS(result) : 128 + WTERMSIG(result);
}

void server_must(struct server *server, const char *const *arguments)
{
    char out[4096];
    int result = server_run(server, out, sizeof out, arguments);
    if (result != 0) {
        print_error("%s %s: exit status %d: %s\n", arguments[0],
                    arguments[1] == NULL ? "" : arguments[1], result, out);
        print_errors(server);
    }
    assert_int_equal(result, 0);
}

void server_add_user(struct server *server, const char *login, const char *role,
                     const char *territory)
{
    const char *const arguments[] = {"user",    "add", login,
                                     "--role",  role,  territory == NULL ? NULL : "--territory",
                                     territory, NULL};
    server_must(server, arguments);
}

void server_code(struct server *server, const char *login, char code[64])
{
    char out[4096];
    const char *const arguments[] = {"enrol", login, NULL};
    int result = server_run(server, out, sizeof out, arguments);
    if (result != 0) {
        print_error("enrol %s: exit status %d: %s\n", login, result, out);
    }
    assert_int_equal(result, 0);
    /* The code stands alone in the last line. */
    size_t length = strlen(out);
    while (length > 0 && out[length - 1] == '\n') {
        out[--length] = '\0';
    }
    const char *line = strrchr(out, '\n');
    (void)snprintf(code, 64, "%.60s", line == NULL ? out : line + 1);
    assert_in_range(strlen(code), 8, 40);
    assert_null(strchr(code, ' '));
}

void server_import(struct server *server, const char *lines)
{
    char path[300];
    const char *const arguments[] = {"import", path, NULL};
    (void)snprintf(path, sizeof path, "%s/import.jsonl", server->folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fputs(lines, file) >= 0);
    assert_int_equal(fclose(file), 0);
    server_must(server, arguments);
}

const char *server_text(struct server *server, const char *sql)
{
    static char text[8192];
    sqlite3_stmt *statement = NULL;
    int result = SQLITE_OK;
    if (server->reader == NULL) {
        result = sqlite3_open_v2(server->database, &server->reader, SQLITE_OPEN_READONLY, NULL);
        (void)sqlite3_busy_timeout(server->reader, 10000);
    }
    if (result == SQLITE_OK) {
        result = sqlite3_prepare_v2(server->reader, sql, -1, &statement, NULL);
    }
    text[0] = '\0';
    if (result == SQLITE_OK) {
        result = sqlite3_step(statement);
    }
    if (result == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL) {
        (void)snprintf(text, sizeof text, "%s", (const char *)sqlite3_column_text(statement, 0));
    } else if (result != SQLITE_ROW && result != SQLITE_DONE) {
        print_error("%s: %s\n", sql, sqlite3_errmsg(server->reader));
        fail();
    }
    (void)sqlite3_finalize(statement);
    if (server->process == 0) {
        close_reader(server);
    }
    return text;
}

int64_t server_int(struct server *server, const char *sql)
{
    const char *text = server_text(server, sql);
    return text[0] == '\0' ? -1 : strtoll(text, NULL, 10);
}
