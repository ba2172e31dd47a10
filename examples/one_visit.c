/* SPDX-License-Identifier: Apache-2.0
 *
 * A visit, recorded without a network and synced when there is one.
 *
 *   one_visit STORE URL CA_FILE CODE CUSTOMER_NAME
 *
 * STORE is the file to keep it in, URL and CA_FILE say where the server is and whom to trust, CODE
 * comes from `daybook-server enrol`. Without a network the visit stays in STORE; run the program
 * again to send it.
 */
#include <daybook/daybook.h>

#include <stdio.h>

static daybook_status record_visit(daybook *engine, const char *customer_name, daybook_error *error)
{
    char customer[DAYBOOK_ID_SIZE], visit[DAYBOOK_ID_SIZE];
    daybook_transaction *transaction = NULL;
    daybook_record *record = NULL;
    daybook_status status = daybook_begin(engine, &transaction);
    if (!status)
        status = daybook_put(transaction, "customer", NULL, DAYBOOK_NEW, &record);
    if (!status)
        status = daybook_set_text(record, "name", customer_name);
    if (!status) {
        snprintf(customer, sizeof customer, "%s", daybook_record_id(record));
        status = daybook_put(transaction, "visit", NULL, DAYBOOK_NEW, &record);
    }
    if (!status)
        status = daybook_set_id(record, "customer_id", customer);
    if (!status)
        status = daybook_set_text(record, "feedback", "Shelf is half empty; wants 20 cartons.");
    if (!status) {
        snprintf(visit, sizeof visit, "%s", daybook_record_id(record));
        status = daybook_commit(transaction, error); /* from here on it survives anything */
    }
    daybook_end(&transaction);
    if (!status)
        printf("recorded visit %s\n", visit);
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: one_visit STORE URL CA_FILE CODE CUSTOMER_NAME\n");
        return 2;
    }
    daybook_options options = DAYBOOK_OPTIONS_INIT;
    options.path = argv[1];
    options.server_url = argv[2];
    options.ca_file = argv[3];

    daybook *engine = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    daybook_status status = daybook_open(&options, &engine, &error);
    if (!status)
        status = record_visit(engine, argv[5], &error);
    daybook_sync_status badge = DAYBOOK_SYNC_STATUS_INIT;
    if (!status)
        status = daybook_get_status(engine, &badge);
    if (!status && !badge.enrolled)
        status = daybook_enrol(engine, argv[4], "one_visit", &error);
    if (!status)
        status = daybook_sync(engine, 0, &error);
    if (!status)
        printf("synced: the server has it\n");
    else
        fprintf(stderr, "%s: %s\n", daybook_status_name(status), error.text);
    daybook_close(&engine);
    return status ? 1 : 0;
}
