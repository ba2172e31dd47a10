/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the server's process and folder. Called by world.c and the figures. Invariant: it is the
 * program that users run, by its command line, with no setting changed but address and log level.
 */
#include "tests/bench/server.h"

#include "tests/bench/process.h"

#include "engine/base/text.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READY "listening on "

void server_init(struct server *server, const struct bench *bench, const char *name)
{
    char line[512];
    if (bench->server == NULL || access(bench->server, X_OK) != 0) {
        bench_fail("there is no daybook-server at %s", bench->server ? bench->server : "(none)");
    }
    (void)setenv("DAYBOOK_LOG_LEVEL", "warn", 0); /* for the server and its commands */
    *server = (struct server){.program = bench->server};
    bench_path(server->folder, bench->folder, name);
    bench_path(server->ca_file, server->folder, "ca.crt");
    const char *const argv[] = {server->program, "init", "--data", server->folder, NULL};
    process_run(argv, line, sizeof line);
}

void server_start(struct server *server)
{
    char line[512] = "";
    int output;
    const char *address = server->url[0] != '\0' ? server->url + strlen("https://") : "127.0.0.1:0";
    const char *const argv[] = {server->program, "serve", "--data", server->folder,
                                "--listen",      address, NULL};
    server->process = process_start(argv, &output);
    while (strncmp(line, READY, strlen(READY)) != 0) {
        if (!process_line(output, line, sizeof line)) {
            bench_fail("the server did not start");
        }
    }
    if (!dk_text_format(server->url, sizeof server->url, "%s", line + strlen(READY))) {
        bench_fail("the server's address is too long: %s", line);
    }
    (void)close(output); /* it prints nothing further */
}

void server_stop(struct server *server)
{
    if (server->process > 0) {
        (void)kill(server->process, SIGTERM);
        process_wait(server->process, "the server");
        server->process = 0;
    }
}

void server_add_user(const struct server *server, const char *login, const char *territory)
{
    char line[512];
    const char *const argv[] = {server->program, "user",         "add",         login,
                                "--role",        "rep",          "--territory", territory,
                                "--data",        server->folder, NULL};
    process_run(argv, line, sizeof line);
}

void server_code(const struct server *server, const char *login, char code[SERVER_CODE_MAX])
{
    char line[512];
    const char *const argv[] = {server->program, "enrol", login, "--data", server->folder, NULL};
    process_run(argv, line, sizeof line);
    if (!dk_text_format(code, SERVER_CODE_MAX, "%s", line)) {
        bench_fail("this is not a code: %s", line);
    }
}
