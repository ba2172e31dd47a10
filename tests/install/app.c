/* SPDX-License-Identifier: Apache-2.0
 *
 * The app that is built against an installed Daybook: opens a store, commits one record, reads it
 * back by SQL. Exit code 0 when all of that works.
 */
#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <stdio.h>
#include <string.h>

/* Commits one customer. */
static daybook_status save(daybook *engine, daybook_error *error)
{
    daybook_transaction *transaction = NULL;
    daybook_record *record = NULL;
    daybook_status status = daybook_begin(engine, &transaction);
    if (status == DAYBOOK_OK) {
        status = daybook_put(transaction, "customer", NULL, DAYBOOK_NEW, &record);
    }
    if (status == DAYBOOK_OK) {
        status = daybook_set_text(record, "name", "Bakery Nord");
    }
    if (status == DAYBOOK_OK) {
        status = daybook_commit(transaction, error);
    }
    daybook_end(&transaction);
    return status;
}

/* Reads the customer; DAYBOOK_NOT_FOUND when the answer is not the one row. */
static daybook_status read_back(daybook *engine, daybook_error *error)
{
    daybook_query *query = NULL;
    bool row = false;
    daybook_status status =
        daybook_query_open(engine, "SELECT count(*), max(name) FROM customer", &query, error);
    if (status == DAYBOOK_OK) {
        status = daybook_step(query, &row);
    }
    if (status == DAYBOOK_OK && (!row || daybook_column_int(query, 0) != 1 ||
                                 strcmp(daybook_column_text(query, 1), "Bakery Nord") != 0)) {
        status = DAYBOOK_NOT_FOUND;
    }
    daybook_query_close(&query);
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: app STORE\n");
        return 2;
    }
    daybook_options options = DAYBOOK_OPTIONS_INIT;
    options.path = argv[1];
    options.platform = daybook_posix_platform();
    daybook *engine = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    daybook_status status = daybook_open(&options, &engine, &error);
    if (status == DAYBOOK_OK) {
        status = save(engine, &error);
    }
    if (status == DAYBOOK_OK) {
        status = read_back(engine, &error);
    }
    daybook_close(&engine);
    printf("daybook %s: %s %s\n", daybook_version(), daybook_status_name(status), error.text);
    return status == DAYBOOK_OK ? 0 : 1;
}
