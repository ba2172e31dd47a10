/* SPDX-License-Identifier: Apache-2.0
 *
 * What one transaction does. Each makes a visit with some actions, whose feedback is the mark: a
 * fact that tells where in the server's order the transaction stands, and whether it is there once.
 * Beside it there is by chance a register, a group of fields, a set, a document with lines or a
 * step of an order: of records that all devices of a territory fight for. Every change says what
 * was read before it (`base`) and the version that it was based on (`seen`).
 */
#include "tests/history/worker.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRODUCT "0193f000-0000-7000-8000-000000000001"
#define CONTENDED 12 /* so many of the newest records of an entity are fought for */
#define TAGS_WANTED 8

static const char customers[] = "SELECT id FROM customer ORDER BY id_key LIMIT ?1";
static const char quotes[] = "SELECT id FROM quote ORDER BY id_key DESC LIMIT ?1";
static const char lines[] = "SELECT id FROM quote_line ORDER BY id_key DESC LIMIT ?1";
static const char orders[] = "SELECT id FROM sales_order ORDER BY id_key DESC LIMIT ?1";

/* One more JSON object of worker->acts. */
__attribute__((format(printf, 2, 3))) static void tell(struct worker *worker, const char *format,
                                                       ...)
{
    va_list list;
    size_t length = strlen(worker->acts);
    if (length > 0) {
        worker->acts[length++] = ',';
    }
    va_start(list, format);
    int added = vsnprintf(worker->acts + length, sizeof worker->acts - length, format, list);
    va_end(list);
    if (added < 0 || (size_t)added >= sizeof worker->acts - length) {
        (void)fprintf(stderr, "a transaction says too much\n");
        exit(1);
    }
}

/* The text as JSON; all texts here are marks or states. */
static const char *quoted(const char *text, char out[64])
{
    (void)snprintf(out, 64, text == NULL ? "null" : "\"%s\"", text);
    return out;
}

/* The id of one of the records that the query names, by chance; "" where there is none. */
static daybook_status pick(struct worker *worker, const char *sql, char id[DAYBOOK_ID_SIZE])
{
    daybook_query *query = NULL;
    bool row = true;
    id[0] = '\0';
    daybook_status status = daybook_query_open(worker->engine, sql, &query, &worker->error);
    if (status == DAYBOOK_OK) {
        status = daybook_bind_int(query, 1, 1 + (int64_t)worker_next(worker, CONTENDED));
    }
    while (status == DAYBOOK_OK && row) {
        status = daybook_step(query, &row);
        if (status == DAYBOOK_OK && row) {
            (void)snprintf(id, DAYBOOK_ID_SIZE, "%s", daybook_column_text(query, 0));
        }
    }
    daybook_query_close(&query);
    return status;
}

/* A new record whose fields are the JSON that the format gives. */
__attribute__((format(printf, 5, 6))) static daybook_status make(struct worker *worker,
                                                                 daybook_transaction *transaction,
                                                                 const char *entity, char *id,
                                                                 const char *format, ...)
{
    char json[600];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(json, sizeof json, format, list);
    va_end(list);
    return daybook_put_json(transaction, entity, NULL, DAYBOOK_NEW, json, id, &worker->error);
}

/* Reads a field of one of the records that the query names, by chance; *record NULL where there is
 * none, or it is gone by now. */
static daybook_status look_at_some(struct worker *worker, daybook_transaction *transaction,
                                   const char *sql, const char *entity, const char *field,
                                   char id[DAYBOOK_ID_SIZE], daybook_record **record,
                                   const char **value)
{
    *record = NULL;
    *value = NULL;
    daybook_status status = pick(worker, sql, id);
    if (status != DAYBOOK_OK || id[0] == '\0') {
        return status;
    }
    status = daybook_read(transaction, entity, id, record);
    if (status == DAYBOOK_NOT_FOUND) {
        *record = NULL;
        return DAYBOOK_OK;
    }
    return status == DAYBOOK_OK ? daybook_get_text(*record, field, value) : status;
}

/* ---- what there is to do */

/* The visit, with one to three actions. */
static daybook_status visit(struct worker *worker, daybook_transaction *transaction,
                            char id[DAYBOOK_ID_SIZE])
{
    char customer[DAYBOOK_ID_SIZE];
    int actions = 1 + (int)worker_next(worker, 3);
    daybook_status status = pick(worker, customers, customer);
    if (status == DAYBOOK_OK) {
        status = make(worker, transaction, "visit", id,
                      "{\"customer_id\":\"%s\",\"feedback\":\"%s\"}", customer, worker->mark);
    }
    for (int i = 0; status == DAYBOOK_OK && i < actions; i++) {
        status = make(worker, transaction, "visit_action", NULL,
                      "{\"visit_id\":\"%s\",\"kind\":\"note\",\"note\":\"%s\"}", id, worker->mark);
    }
    tell(worker, "{\"act\":\"visit\",\"id\":\"%s\",\"customer\":\"%s\",\"children\":%d}", id,
         customer, actions);
    return status;
}

/* One text field gets the mark; `with`, where it is one of a group, another of the same. */
static daybook_status write_field(struct worker *worker, daybook_transaction *transaction,
                                  const char *entity, const char *sql, const char *field,
                                  const char *with)
{
    char id[DAYBOOK_ID_SIZE];
    char base[64];
    const char *value;
    daybook_record *record;
    daybook_status status =
        look_at_some(worker, transaction, sql, entity, field, id, &record, &value);
    if (status != DAYBOOK_OK || record == NULL) {
        return status;
    }
    int64_t seen = daybook_record_version(record);
    (void)quoted(value, base);
    status = daybook_patch(transaction, entity, id, seen, &record);
    if (status == DAYBOOK_OK) {
        status = daybook_set_text(record, field, worker->mark);
    }
    if (status == DAYBOOK_OK && with != NULL) {
        status = strcmp(with, "qty") == 0 ? daybook_set_int(record, with, worker->number * 1000)
                                          : daybook_set_text(record, with, worker->mark);
    }
    tell(worker,
         "{\"act\":\"write\",\"entity\":\"%s\",\"id\":\"%s\",\"field\":\"%s\",\"base\":%s,"
         "\"seen\":%" PRId64 "}",
         entity, id, field, base, seen);
    return status;
}

/* One of a customer's plain fields. */
static daybook_status write_register(struct worker *worker, daybook_transaction *transaction)
{
    static const char *const fields[] = {"kind", "channel", "industry", "prefs"};
    return write_field(worker, transaction, "customer", customers, fields[worker_next(worker, 4)],
                       NULL);
}

/* One element of the JSON array by chance; how many there are. */
static int choose_element(struct worker *worker, const char *array, char element[64])
{
    int count = 0;
    for (const char *at = array; at != NULL && (at = strchr(at, '"')) != NULL;) {
        const char *end = strchr(at + 1, '"');
        if (end == NULL) {
            break;
        }
        if (worker_next(worker, (uint64_t)++count) == 0) {
            (void)snprintf(element, 64, "%.*s", (int)(end - at - 1), at + 1);
        }
        at = end + 1;
    }
    return count;
}

/* The mark goes into a customer's tags, or another's mark out of them. */
static daybook_status tag(struct worker *worker, daybook_transaction *transaction)
{
    char id[DAYBOOK_ID_SIZE];
    char element[64] = "";
    const char *tags;
    daybook_record *record;
    daybook_status status =
        look_at_some(worker, transaction, customers, "customer", "tags", id, &record, &tags);
    if (status != DAYBOOK_OK || record == NULL) {
        return status;
    }
    int count = choose_element(worker, tags, element);
    int64_t seen = daybook_record_version(record);
    bool removes = worker_next(worker, TAGS_WANTED) < (uint64_t)count;
    status = daybook_patch(transaction, "customer", id, seen, &record);
    if (status == DAYBOOK_OK) {
        status = removes ? daybook_set_remove(record, "tags", element)
                         : daybook_set_add(record, "tags", worker->mark);
    }
    tell(worker, "{\"act\":\"%s\",\"id\":\"%s\",\"value\":\"%s\",\"seen\":%" PRId64 "}",
         removes ? "remove" : "add", id, removes ? element : worker->mark, seen);
    return status;
}

/* A line for a quote. */
static daybook_status line(struct worker *worker, daybook_transaction *transaction,
                           const char *quote)
{
    char id[DAYBOOK_ID_SIZE] = "";
    daybook_status status = make(worker, transaction, "quote_line", id,
                                 "{\"quote_id\":\"%s\",\"product_id\":\"" PRODUCT
                                 "\",\"qty\":%" PRId64 ",\"uom\":\"%s\",\"price_e4\":20000}",
                                 quote, worker->number * 1000, worker->mark);
    tell(worker, "{\"act\":\"line\",\"id\":\"%s\",\"quote\":\"%s\"}", id, quote);
    return status;
}

/* A quote with one to three lines. */
static daybook_status make_quote(struct worker *worker, daybook_transaction *transaction)
{
    char customer[DAYBOOK_ID_SIZE];
    char id[DAYBOOK_ID_SIZE] = "";
    int count = 1 + (int)worker_next(worker, 3);
    daybook_status status = pick(worker, customers, customer);
    if (status == DAYBOOK_OK) {
        status = make(worker, transaction, "quote", id,
                      "{\"customer_id\":\"%s\",\"cur\":\"CNY\",\"note\":\"%s\"}", customer,
                      worker->mark);
    }
    tell(worker, "{\"act\":\"quote\",\"id\":\"%s\"}", id);
    for (int i = 0; status == DAYBOOK_OK && i < count; i++) {
        status = line(worker, transaction, id);
    }
    return status;
}

/* A line for somebody's quote. */
static daybook_status add_line(struct worker *worker, daybook_transaction *transaction)
{
    char quote[DAYBOOK_ID_SIZE];
    daybook_status status = pick(worker, quotes, quote);
    return status != DAYBOOK_OK || quote[0] == '\0' ? status : line(worker, transaction, quote);
}

/* A line goes. */
static daybook_status delete_line(struct worker *worker, daybook_transaction *transaction)
{
    char id[DAYBOOK_ID_SIZE];
    char base[64];
    const char *uom;
    daybook_record *record;
    daybook_status status =
        look_at_some(worker, transaction, lines, "quote_line", "uom", id, &record, &uom);
    if (status != DAYBOOK_OK || record == NULL) {
        return status;
    }
    int64_t seen = daybook_record_version(record);
    tell(worker, "{\"act\":\"delete\",\"id\":\"%s\",\"base\":%s,\"seen\":%" PRId64 "}", id,
         quoted(uom, base), seen);
    return daybook_delete(transaction, "quote_line", id, seen);
}

/* An order with two lines. */
static daybook_status make_order(struct worker *worker, daybook_transaction *transaction)
{
    char customer[DAYBOOK_ID_SIZE];
    char id[DAYBOOK_ID_SIZE] = "";
    daybook_status status = pick(worker, customers, customer);
    if (status == DAYBOOK_OK) {
        status = make(worker, transaction, "sales_order", id,
                      "{\"customer_id\":\"%s\",\"cur\":\"CNY\",\"note\":\"%s\"}", customer,
                      worker->mark);
    }
    for (int i = 0; status == DAYBOOK_OK && i < 2; i++) {
        status = make(worker, transaction, "order_line", NULL,
                      "{\"order_id\":\"%s\",\"product_id\":\"" PRODUCT
                      "\",\"qty\":1000,\"price_e4\":20000}",
                      id);
    }
    tell(worker, "{\"act\":\"order\",\"id\":\"%s\",\"children\":2}", id);
    return status;
}

/* The next step of an order, as the role may take it. */
static daybook_status step(struct worker *worker, daybook_transaction *transaction)
{
    char id[DAYBOOK_ID_SIZE];
    const char *state;
    const char *next = NULL;
    daybook_record *record;
    bool is_rep = strcmp(worker->role, "rep") == 0;
    daybook_status status =
        look_at_some(worker, transaction, orders, "sales_order", "status", id, &record, &state);
    if (status != DAYBOOK_OK || record == NULL || state == NULL) {
        return status;
    }
    if (is_rep && strcmp(state, "draft") == 0) {
        next = "submitted";
    } else if (strcmp(state, "submitted") == 0) {
        next = strcmp(worker->role, "back_office") == 0 ? "confirmed" : "cancelled";
    }
    if (next == NULL) {
        return DAYBOOK_OK;
    }
    tell(worker, "{\"act\":\"step\",\"id\":\"%s\",\"value\":\"%s\"}", id, next);
    status = daybook_patch(transaction, "sales_order", id, daybook_record_version(record), &record);
    return status == DAYBOOK_OK ? daybook_set_text(record, "status", next) : status;
}

/* One more part of the transaction. */
static daybook_status part(struct worker *worker, daybook_transaction *transaction, uint64_t kind)
{
    switch (kind) {
    case 0: return write_register(worker, transaction);
    case 1:
        return write_field(worker, transaction, "customer", customers, "address_region",
                           "address_city");
    case 2: return tag(worker, transaction);
    case 3: return write_field(worker, transaction, "quote", quotes, "note", NULL);
    case 4: return make_quote(worker, transaction);
    case 5: return add_line(worker, transaction);
    case 6: return write_field(worker, transaction, "quote_line", lines, "uom", "qty");
    case 7: return delete_line(worker, transaction);
    case 8: return make_order(worker, transaction);
    default: return step(worker, transaction);
    }
}

daybook_status act(struct worker *worker, daybook_transaction *transaction,
                   char id[DAYBOOK_ID_SIZE])
{
    uint64_t first = worker_next(worker, 10);
    uint64_t parts = worker_next(worker, 4);
    (void)snprintf(worker->mark, sizeof worker->mark, "%d-%" PRId64, worker->device,
                   worker->number);
    worker->acts[0] = '\0';
    daybook_status status = visit(worker, transaction, id);
    for (uint64_t i = 0; status == DAYBOOK_OK && i < parts; i++) {
        status = part(worker, transaction, (first + i * 7) % 10);
    }
    return status;
}
