/* SPDX-License-Identifier: Apache-2.0
 *
 * Two devices edit one opportunity without a network: different fields both survive, and of the
 * same field the later edit stands while the earlier one is kept in the conflict log and in its
 * author's inbox.
 *
 *   two_devices FOLDER URL CA_FILE CODE_1 CODE_2
 *
 * Both codes are of users in one territory (`daybook-server enrol`).
 */
#define _POSIX_C_SOURCE 200809L

#include <daybook/daybook.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Ends the program with the reason when a call has failed. */
static void check(daybook_status status, const daybook_error *error, const char *what)
{
    if (status == DAYBOOK_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, daybook_status_name(status), error->text);
    exit(1);
}

static daybook *open_device(const char *folder, const char *name, char **argv, const char *code)
{
    char path[512];
    daybook_error error = DAYBOOK_ERROR_INIT;
    daybook_options options = DAYBOOK_OPTIONS_INIT;
    daybook *engine = NULL;
    snprintf(path, sizeof path, "%s/%s.db", folder, name);
    options.path = path;
    options.server_url = argv[2];
    options.ca_file = argv[3];
    check(daybook_open(&options, &engine, &error), &error, "open");
    check(daybook_enrol(engine, code, name, &error), &error, "enrol");
    check(daybook_sync(engine, 0, &error), &error, "first sync");
    return engine;
}

/* The version that this device's user has seen. */
static int64_t version_of(daybook *engine, const char *id)
{
    daybook_error error = DAYBOOK_ERROR_INIT;
    daybook_query *query = NULL;
    bool row = false;
    check(daybook_query_open(engine, "SELECT version FROM opportunity WHERE id_key = ?", &query,
                             &error),
          &error, "query");
    check(daybook_bind_id(query, 1, id), &error, "bind");
    check(daybook_step(query, &row), &error, "step");
    int64_t version = row ? daybook_column_int(query, 0) : 0;
    daybook_query_close(&query);
    return version;
}

static void patch(daybook *engine, const char *id, const char *json)
{
    daybook_error error = DAYBOOK_ERROR_INIT;
    daybook_transaction *transaction = NULL;
    check(daybook_begin(engine, &transaction), &error, "begin");
    check(daybook_patch_json(transaction, "opportunity", id, version_of(engine, id), json, &error),
          &error, "patch");
    check(daybook_commit(transaction, &error), &error, "commit");
    daybook_end(&transaction);
    nanosleep(&(struct timespec){0, 5000000}, NULL); /* the next edit is later by the clock, too */
}

static void show(daybook *engine, const char *who, const char *sql)
{
    daybook_error error = DAYBOOK_ERROR_INIT;
    char *json = NULL;
    check(daybook_query_json(engine, sql, NULL, &json, &error), &error, "query");
    printf("%-7s %s\n", who, json);
    daybook_free(json);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: two_devices FOLDER URL CA_FILE CODE_1 CODE_2\n");
        return 2;
    }
    daybook_error error = DAYBOOK_ERROR_INIT;
    daybook *phone = open_device(argv[1], "phone", argv, argv[4]);
    daybook *tablet = open_device(argv[1], "tablet", argv, argv[5]);

    char customer[DAYBOOK_ID_SIZE], id[DAYBOOK_ID_SIZE], json[200];
    daybook_transaction *transaction = NULL;
    check(daybook_begin(phone, &transaction), &error, "begin");
    check(daybook_put_json(transaction, "customer", NULL, DAYBOOK_NEW,
                           "{\"name\":\"Nordwind GmbH\"}", customer, &error),
          &error, "customer");
    snprintf(json, sizeof json,
             "{\"subject\":\"Spring campaign\",\"customer_id\":\"%s\",\"amount\":13000,"
             "\"cur\":\"USD\",\"priority\":2}",
             customer);
    check(daybook_put_json(transaction, "opportunity", NULL, DAYBOOK_NEW, json, id, &error), &error,
          "opportunity");
    check(daybook_commit(transaction, &error), &error, "commit");
    daybook_end(&transaction);
    check(daybook_sync(phone, 0, &error), &error, "sync");
    check(daybook_sync(tablet, 0, &error), &error, "sync");

    patch(phone, id, "{\"priority\":1}");                  /* another field than the tablet's … */
    patch(phone, id, "{\"amount\":9000,\"cur\":\"EUR\"}"); /* … and the same ones, earlier */
    patch(tablet, id, "{\"amount\":14500,\"subject\":\"Spring and summer campaign\"}");
    for (int round = 0; round < 2; round++) {
        check(daybook_sync(phone, 0, &error), &error, "sync");
        check(daybook_sync(tablet, 0, &error), &error, "sync");
    }
    show(phone, "phone", "SELECT subject, amount, cur, priority FROM opportunity");
    show(tablet, "tablet", "SELECT subject, amount, cur, priority FROM opportunity");
    show(phone, "inbox", "SELECT kind, field, mine, theirs FROM inbox");
    daybook_close(&phone);
    daybook_close(&tablet);
    return 0;
}
