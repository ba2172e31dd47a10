/* SPDX-License-Identifier: Apache-2.0
 *
 * The real server for tests: the program daybook-server as a process of its own, with a fresh data
 * folder, a free port that it keeps over restarts, and its commands. Whatever fails ends the test
 * with what the server said.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_SERVER_H
#define DAYBOOK_TESTS_SUPPORT_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct server {
    char folder[256];      /* of its own; removed by server_clear */
    char data[280];        /* the data folder */
    char database[300];    /* server.db in it */
    char ca_file[300];     /* ca.crt in it */
    char errors[300];      /* what the server wrote to stderr, of all runs */
    char url[64];          /* https://127.0.0.1:port */
    int port;              /* 0: not started yet */
    pid_t process;         /* 0: does not run */
    int64_t page_bytes;    /* of a pull page; 0: the server's default */
    const char *program;   /* another one than the environment names; NULL: that */
    bool ignore_file_size; /* a write past RLIMIT_FSIZE fails instead of ending the process */
    /* NAME=VALUE for its environment, up to the first NULL; borrowed */
    const char *environment[4];
    struct sqlite3 *reader; /* on server.db while it runs, from the first look on; else NULL */
};

/* A fresh folder; nothing runs yet. Skips the test program where the environment names no server
 * program. */
void server_init(struct server *server);
/* Starts it and waits until it says that it listens. */
void server_start(struct server *server);
/* The same where the start may fail; then nothing runs. */
bool server_try_start(struct server *server);
/* Ends it as an operator does, and expects exit status 0. */
void server_stop(struct server *server);
/* Ends it at once, as a power cut does. Does nothing where it does not run. */
void server_kill(struct server *server);
/* Whether the process is still there. */
bool server_is_running(struct server *server);
/* Stops it and removes the folder. */
void server_clear(struct server *server);

/* Runs one command of the program on the data folder, and gives its exit status; what it printed
 * (stdout and stderr) is in `out`, NUL-terminated. The last argument is NULL. */
int server_run(struct server *server, char *out, size_t out_size, const char *const *arguments);
/* The same for a command that has to succeed; what it printed is thrown away. */
void server_must(struct server *server, const char *const *arguments);
/* Adds a user. NULL territory: none. */
void server_add_user(struct server *server, const char *login, const char *role,
                     const char *territory);
/* Makes an enrolment code for a user. */
void server_code(struct server *server, const char *login, char code[64]);
/* Imports records, one JSON object per line. */
void server_import(struct server *server, const char *lines);
/* The first number of a query on the server's file; -1 where there is no row or it is NULL. */
int64_t server_int(struct server *server, const char *sql);
/* The first text of a query on the server's file, "" where there is none. Valid until the next
 * call in this process. */
const char *server_text(struct server *server, const char *sql);

#endif
