/* SPDX-License-Identifier: Apache-2.0
 *
 * The real daybook-server as a process of its own with its default store, and its command line.
 */
#ifndef DAYBOOK_TESTS_BENCH_SERVER_H
#define DAYBOOK_TESTS_BENCH_SERVER_H

#include "tests/bench/harness.h"

#include <sys/types.h>

#define SERVER_URL_MAX 64
#define SERVER_CODE_MAX 64

struct server {
    const char *program;
    char folder[BENCH_PATH_MAX]; /* its data */
    char ca_file[BENCH_PATH_MAX];
    char url[SERVER_URL_MAX]; /* empty before the first start; the same after a restart */
    pid_t process;            /* 0: not running */
};

/* Makes the data folder `name` in the bench's folder; does not start. */
void server_init(struct server *server, const struct bench *bench, const char *name);
/* Starts `serve` and waits until it listens: at a free port, later at the same one again. It ends
 * with this process, whatever happens. */
void server_start(struct server *server);
/* Stops it in the orderly way; nothing where it does not run. */
void server_stop(struct server *server);
/* `user add LOGIN` with a territory of this name. */
void server_add_user(const struct server *server, const char *login, const char *territory);
/* A one-time code for the user. */
void server_code(const struct server *server, const char *login, char code[SERVER_CODE_MAX]);

#endif
