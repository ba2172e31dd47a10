/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns an engine and drives it as an app would. Called by the figures. Invariant: what is timed is
 * calls of daybook.h only; rows and ids are ready before.
 */
#include "tests/bench/device.h"

#include "engine/base/text.h"

#include <stdlib.h>
#include <string.h>

/* Ends the run where a call failed. */
static void check(daybook_status status, const daybook_error *error, const char *call)
{
    if (status != DAYBOOK_OK) {
        bench_fail("%s: %s (%s%s%s %s)", call, daybook_status_name(status),
                   error == NULL ? "" : error->entity, error == NULL ? "" : " ",
                   error == NULL ? "" : error->field, error == NULL ? "" : error->text);
    }
}

/* Keeps a text; NULL as "". */
static void copy(char *out, size_t size, const char *text)
{
    if (!dk_text_format(out, size, "%s", text == NULL ? "" : text)) {
        bench_fail("%s is too long", text);
    }
}

void device_open(struct device *device, const struct device_options *options)
{
    daybook_error error = DAYBOOK_ERROR_INIT;
    daybook_options how = DAYBOOK_OPTIONS_INIT;
    wire_init(&device->wire);
    if (device->path != options->path) {
        copy(device->path, sizeof device->path, options->path);
        copy(device->url, sizeof device->url, options->url);
        copy(device->ca_file, sizeof device->ca_file, options->ca_file);
    }
    how.path = device->path;
    how.platform = options->platform != NULL ? options->platform : &device->wire.platform;
    how.server_url = options->url;
    how.ca_file = options->ca_file;
    how.relaxed = options->relaxed;
    how.cache_kib = options->cache_kib;
    check(daybook_open(&how, &device->engine, &error), &error, "daybook_open");
}

void device_close(struct device *device)
{
    daybook_close(&device->engine);
}

void device_reopen(struct device *device, bool relaxed)
{
    bool online = device->url[0] != '\0';
    struct device_options options = {.path = device->path,
                                     .url = online ? device->url : NULL,
                                     .ca_file = online ? device->ca_file : NULL,
                                     .relaxed = relaxed,
                                     .cache_kib = BENCH_CACHE_KIB};
    device_close(device);
    device_open(device, &options);
}

void device_enrol(struct device *device, const char *code)
{
    daybook_error error = DAYBOOK_ERROR_INIT;
    check(daybook_enrol(device->engine, code, "bench", &error), &error, "daybook_enrol");
}

double device_sync(struct device *device)
{
    daybook_error error = DAYBOOK_ERROR_INIT;
    long long inside = atomic_load(&device->wire.inside_ns);
    double began = bench_now();
    daybook_status status = daybook_sync(device->engine, 0, &error);
    device->sync_s = bench_now() - began;
    check(status, &error, "daybook_sync");
    device->wait_ns = (double)(atomic_load(&device->wire.inside_ns) - inside);
    return device->sync_s;
}

double device_sync_waiting(const struct device *device)
{
    return device->wait_ns / 1e9 / device->sync_s * 100;
}

int64_t device_expect_decided(struct device *device)
{
    daybook_sync_status status = DAYBOOK_SYNC_STATUS_INIT;
    check(daybook_get_status(device->engine, &status), NULL, "daybook_get_status");
    if (status.pending != 0 || status.unsettled != 0) {
        bench_fail("after the sync %lld changesets are pending, %lld unsettled",
                   (long long)status.pending, (long long)status.unsettled);
    }
    return status.inbox;
}

void device_expect_settled(struct device *device)
{
    int64_t inbox = device_expect_decided(device);
    if (inbox != 0) {
        bench_fail("after the sync %lld items are in the inbox", (long long)inbox);
    }
}

/* ---- writing ---- */

/* Ends the run where a call of this transaction failed. */
static void check_in(daybook_transaction *transaction, daybook_status status, const char *call)
{
    if (status != DAYBOOK_OK) {
        daybook_error error = DAYBOOK_ERROR_INIT;
        daybook_transaction_error(transaction, &error);
        check(status, &error, call);
    }
}

static daybook_transaction *begin(struct device *device)
{
    daybook_transaction *transaction = NULL;
    check(daybook_begin(device->engine, &transaction), NULL, "daybook_begin");
    return transaction;
}

static void commit(daybook_transaction *transaction)
{
    daybook_error error = DAYBOOK_ERROR_INIT;
    check(daybook_commit(transaction, &error), &error, "daybook_commit");
    daybook_end(&transaction);
}

void device_add_customers(struct device *device)
{
    daybook_transaction *transaction = begin(device);
    for (int i = 0; i < ROWS_CUSTOMERS; i++) {
        daybook_record *record = NULL;
        char name[64];
        (void)dk_text_format(name, sizeof name, "Customer %d of the round", i);
        check_in(transaction, daybook_put(transaction, "customer", NULL, DAYBOOK_NEW, &record),
                 "daybook_put");
        check_in(transaction, daybook_set_text(record, "name", name), "daybook_set_text");
        memcpy(device->customers[i], daybook_record_id(record), DAYBOOK_ID_SIZE);
    }
    commit(transaction);
}

/* Stages one new visit. The engine makes the id. */
static void put_visit(struct device *device, daybook_transaction *transaction,
                      const struct visit *visit)
{
    daybook_record *record = NULL;
    daybook_status status = daybook_put(transaction, "visit", NULL, DAYBOOK_NEW, &record);
    status =
        status ? status : daybook_set_id(record, "customer_id", device->customers[visit->customer]);
    status = status ? status : daybook_set_int(record, "plan_day", visit->plan_day);
    status = status ? status : daybook_set_text(record, "kind", visit->kind);
    status = status ? status : daybook_set_text(record, "status", visit->status);
    status = status ? status : daybook_set_int(record, "checkin_ts", visit->checkin_ts);
    status = status ? status : daybook_set_int(record, "checkin_tz_min", visit->checkin_tz_min);
    status = status ? status : daybook_set_int(record, "checkin_lat_e7", visit->checkin_lat_e7);
    status = status ? status : daybook_set_int(record, "checkin_lon_e7", visit->checkin_lon_e7);
    status = status ? status : daybook_set_int(record, "checkin_acc_m", visit->checkin_acc_m);
    status = status ? status : daybook_set_text(record, "feedback", visit->note);
    check_in(transaction, status, "staging a visit");
}

double device_insert(struct device *device, const struct rows *rows, int per_transaction)
{
    const struct visit *visits = rows_visits(rows);
    int count = rows_count(rows);
    double began = bench_now();
    for (int done = 0; done < count; done += per_transaction) {
        daybook_transaction *transaction = begin(device);
        for (int i = done; i < done + per_transaction; i++) {
            put_visit(device, transaction, &visits[i]);
        }
        commit(transaction);
    }
    return bench_now() - began;
}

void device_insert_one(struct device *device, const struct visit *visit)
{
    daybook_transaction *transaction = begin(device);
    put_visit(device, transaction, visit);
    commit(transaction);
}

/* Stages one update. */
static void patch_visit(daybook_transaction *transaction, const struct held *held,
                        const struct visit_update *update)
{
    daybook_record *record = NULL;
    daybook_status status = daybook_patch(transaction, "visit", held->id, held->version, &record);
    status = status ? status : daybook_set_int(record, "plan_day", update->plan_day);
    status = status ? status : daybook_set_text(record, "status", update->status);
    status = status ? status : daybook_set_text(record, "feedback", update->note);
    check_in(transaction, status, "staging an update");
}

double device_update(struct device *device, const struct held *held, const int *order,
                     const struct rows *updates, int count)
{
    const struct visit_update *update = rows_updates(updates);
    double began = bench_now();
    for (int done = 0; done < count; done += 1000) {
        daybook_transaction *transaction = begin(device);
        for (int i = done; i < done + 1000; i++) {
            patch_visit(transaction, &held[order[i]], &update[i]);
        }
        commit(transaction);
    }
    return bench_now() - began;
}

/* ---- reading ---- */

daybook_query *device_ask(struct device *device, const char *sql)
{
    daybook_error error = DAYBOOK_ERROR_INIT;
    daybook_query *query = NULL;
    check(daybook_query_open(device->engine, sql, &query, &error), &error, "daybook_query_open");
    return query;
}

struct held *device_visits(struct device *device, int *count)
{
    int capacity = (int)device_count(device, "visit");
    struct held *held = bench_new((size_t)capacity + 1, sizeof *held);
    daybook_query *query = device_ask(device, "SELECT id, version FROM visit ORDER BY id_key");
    bool row = false;
    *count = 0;
    for (;;) {
        check(daybook_step(query, &row), NULL, "daybook_step");
        if (!row || *count == capacity) {
            break;
        }
        (void)dk_text_format(held[*count].id, DAYBOOK_ID_SIZE, "%s", daybook_column_text(query, 0));
        held[(*count)++].version = daybook_column_int(query, 1);
    }
    daybook_query_close(&query);
    return held;
}

int64_t device_count(struct device *device, const char *view)
{
    char sql[128];
    bool row = false;
    (void)dk_text_format(sql, sizeof sql, "SELECT count(*) FROM %s", view);
    daybook_query *query = device_ask(device, sql);
    check(daybook_step(query, &row), NULL, "daybook_step");
    int64_t number = row ? daybook_column_int(query, 0) : -1;
    daybook_query_close(&query);
    return number;
}

int device_rows_of(daybook_query *query, const char *customer)
{
    int count = 0;
    bool row = true;
    check(daybook_query_reset(query), NULL, "daybook_query_reset");
    check(daybook_bind_id(query, 1, customer), NULL, "daybook_bind_id");
    for (;; count++) {
        check(daybook_step(query, &row), NULL, "daybook_step");
        if (!row) {
            return count;
        }
    }
}

int device_list(struct device *device, const char *sql)
{
    daybook_error error = DAYBOOK_ERROR_INIT;
    char *json = NULL;
    int rows = 0;
    check(daybook_query_json(device->engine, sql, NULL, &json, &error), &error,
          "daybook_query_json");
    for (const char *at = json; (at = strstr(at, "{\"id\":")) != NULL; at++) {
        rows++;
    }
    daybook_free(json);
    return rows;
}

void device_find_customers(struct device *device)
{
    daybook_query *query = device_ask(device, "SELECT id FROM customer ORDER BY id_key");
    bool row = false;
    for (int i = 0; i < ROWS_CUSTOMERS; i++) {
        check(daybook_step(query, &row), NULL, "daybook_step");
        if (!row) {
            bench_fail("the store has %d customers", i);
        }
        copy(device->customers[i], DAYBOOK_ID_SIZE, daybook_column_text(query, 0));
    }
    daybook_query_close(&query);
}
