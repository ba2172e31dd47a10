/* SPDX-License-Identifier: Apache-2.0
 *
 * A company in which two versions of the program meet. Reps of tests/support/company.h have the
 * older engine, which is linked into the test. A pocket is a device as a program of its own, of
 * either version; a store can go from one to the other, as in an update of the app. The server
 * changes its version by a restart.
 */
#ifndef DAYBOOK_TESTS_VERSIONS_WORLD_H
#define DAYBOOK_TESTS_VERSIONS_WORLD_H

#include "tests/support/company.h"

#include <sqlite3.h>

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define POCKET_TEXT 16384

struct pocket {
    struct company *company;
    const char *program; /* OLDER_DEVICE or NEWER_DEVICE */
    const char *login;
    struct device device; /* its folder; never opened here */
    bool borrowed;        /* the folder is a rep's */
    const char *store;    /* path of the file */
    /* NAME=VALUE for the program's environment, up to the first NULL */
    const char *environment[3];
    char out[POCKET_TEXT]; /* of the last run */
};

/* ---- the server */

/* Another version of the server on the same data; it has gone over all that it had. */
static inline void server_become(struct server *server, const char *program)
{
    const struct timespec moment = {.tv_nsec = 20000000};
    const int schema = strcmp(program, NEWER_SERVER) == 0 ? 2 : 1;
    server_stop(server);
    server->program = program;
    server_start(server);
    for (int i = 0; i < 1000; i++) {
        if (server_int(server, "SELECT value FROM meta WHERE name = 'converted'") >= schema) {
            return;
        }
        (void)nanosleep(&moment, NULL);
    }
    fail_msg("the server does not end converting");
}

/* ---- pockets */

/* In the child: the program, with the script as its input and `out` as its output. */
static inline void pocket_exec(const struct pocket *pocket, int script, int out)
{
    const struct server *server = &pocket->company->server;
    for (int i = 0; i < 3 && pocket->environment[i] != NULL; i++) {
        char name[64];
        size_t length = strcspn(pocket->environment[i], "=");
        (void)snprintf(name, sizeof name, "%.*s", (int)length, pocket->environment[i]);
        (void)setenv(name, pocket->environment[i] + length + 1, 1);
    }
    (void)dup2(script, STDIN_FILENO);
    (void)dup2(out, STDOUT_FILENO);
    (void)dup2(out, STDERR_FILENO);
    (void)execl(pocket->program, pocket->program, pocket->store, server->url, server->ca_file,
                (char *)NULL);
    _exit(127);
}

/* Runs a script and gives the exit status; what the program printed is in pocket->out. */
static inline int pocket_try(struct pocket *pocket, const char *script)
{
    int ends[2], result = 0;
    size_t length = 0;
    ssize_t got;
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_true(fputs(script, file) >= 0 && fputs("\n", file) >= 0);
    assert_int_equal(fflush(file), 0);
    assert_int_equal(lseek(fileno(file), 0, SEEK_SET), 0);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(ends[0]);
        pocket_exec(pocket, fileno(file), ends[1]);
    }
    (void)close(ends[1]);
    while ((got = read(ends[0], pocket->out + length, sizeof pocket->out - 1 - length)) > 0) {
        length += (size_t)got;
    }
    pocket->out[length] = '\0';
    (void)close(ends[0]);
    (void)fclose(file);
    assert_int_equal(waitpid(child, &result, 0), child);
    return WIFEXITED(result) ? WEXITSTATUS(result) : 128 + WTERMSIG(result);
}

/* Runs a script that has to succeed. */
static inline const char *pocket_run(struct pocket *pocket, const char *script)
{
    int result = pocket_try(pocket, script);
    if (result != 0) {
        print_error("%s: exit status %d\n%s\nprinted:\n%s\n", pocket->login, result, script,
                    pocket->out);
    }
    assert_int_equal(result, 0);
    return pocket->out;
}

/* The same with texts put into the script. */
static inline const char *pocket_runf(struct pocket *pocket, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline const char *pocket_runf(struct pocket *pocket, const char *format, ...)
{
    char script[POCKET_TEXT];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(script, sizeof script, format, list);
    va_end(list);
    assert_in_range(length, 1, (int)sizeof script - 1);
    return pocket_run(pocket, script);
}

/* A pocket with a store of its own, enrolled as this user and in step. */
static inline void pocket_begin(struct pocket *pocket, struct company *company, const char *program,
                                const char *login)
{
    char code[64];
    *pocket = (struct pocket){.company = company, .program = program, .login = login};
    device_init(&pocket->device, NULL, company->server.url, company->server.ca_file);
    pocket->store = pocket->device.path;
    server_code(&company->server, login, code);
    (void)pocket_runf(pocket, "enrol %s\nsync", code);
}

/* A rep's store in the hands of another version: the rep's engine is closed. */
static inline void pocket_take(struct pocket *pocket, struct rep *rep, const char *program)
{
    *pocket = (struct pocket){
        .company = rep->company, .program = program, .login = rep->login, .borrowed = true};
    device_close(&rep->device);
    rep->left = true;
    pocket->store = rep->device.path;
}

static inline void pocket_end(struct pocket *pocket)
{
    if (!pocket->borrowed) {
        device_clear(&pocket->device);
    }
}

/* A company with Wang, who has the older app, and Li, who has the newer one; both of the East. */
static inline void world_open(struct company *company, struct rep **wang, struct pocket *li)
{
    company_open(company);
    *wang = company_hire(company, "wang", "rep", "East");
    server_add_user(&company->server, "li", "rep", "East");
    pocket_begin(li, company, NEWER_DEVICE, "li");
}

/* ---- looking */

/* One field of one record in a store, "" for none; whatever version wrote it. */
static inline const char *store_field(const char *path, const char *entity, const char *id,
                                      const char *field)
{
    static char text[POCKET_TEXT];
    char sql[400];
    (void)snprintf(sql, sizeof sql, "SELECT %s FROM %s WHERE id = '%s'", field, entity, id);
    return device_file_text(path, sql, text, sizeof text);
}

#define assert_pocket(pocket, entity, id, field, value)                                            \
    assert_string_equal(store_field((pocket)->store, (entity), (id), (field)), (value))
#define assert_server(company, entity, id, field, value)                                           \
    assert_string_equal(company_field((company), (entity), (id), (field)), (value))

/* What a store keeps of fields that it does not know, by the record's table. */
static inline const char *store_extra(const char *path, const char *entity, const char *id)
{
    static char text[POCKET_TEXT];
    char sql[400];
    (void)snprintf(sql, sizeof sql,
                   "SELECT r.extra FROM r_%s r JOIN %s v ON v.id_key = r.id WHERE v.id = '%s'",
                   entity, entity, id);
    return device_file_text(path, sql, text, sizeof text);
}

/* Everybody is in step and has what the server has, as far as both know it, and nobody has had to
 * read anything anew, though all compare what every record says. */
static inline void world_settle(struct company *company, struct pocket *const *pockets)
{
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < company->count; i++) {
            struct rep *rep = &company->reps[i];
            if (!rep->left) {
                device_must(round == 1 ? daybook_verify(rep->device.engine) : DAYBOOK_OK, NULL);
                rep_sync(rep);
            }
        }
        for (int i = 0; pockets[i] != NULL; i++) {
            (void)pocket_run(pockets[i], round == 1 ? "verify\nsync" : "sync");
        }
    }
    assert_int_equal(server_int(&company->server, "SELECT sum(divergences) FROM device_instance"),
                     0);
    for (int i = 0; i < company->count; i++) {
        struct rep *rep = &company->reps[i];
        const struct replica replica = {.store = rep->device.path,
                                        .server = company->server.database,
                                        .login = rep->login,
                                        .shared = true};
        assert_true(rep->left || replica_compare(&replica) > 0);
    }
    for (int i = 0; pockets[i] != NULL; i++) {
        const struct replica replica = {.store = pockets[i]->store,
                                        .server = company->server.database,
                                        .login = pockets[i]->login,
                                        .shared = true};
        assert_true(replica_compare(&replica) > 0);
    }
    replica_check_server(&company->server);
}

#endif
