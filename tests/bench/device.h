/* SPDX-License-Identifier: Apache-2.0
 *
 * One device of the bench: an engine as an app uses it, by the typed setters and the public calls
 * only. A failing call ends the run with its name, its status and the engine's text.
 */
#ifndef DAYBOOK_TESTS_BENCH_DEVICE_H
#define DAYBOOK_TESTS_BENCH_DEVICE_H

#include "tests/bench/harness.h"
#include "tests/bench/wire.h"

#include <daybook/daybook.h>

struct device {
    daybook *engine;
    struct wire wire;
    char path[BENCH_PATH_MAX];
    char url[64];   /* "": offline */
    double sync_s;  /* of the last sync */
    double wait_ns; /* of it, within the transport */
    char ca_file[BENCH_PATH_MAX];
    char customers[ROWS_CUSTOMERS][DAYBOOK_ID_SIZE]; /* of device_add_customers */
};

struct device_options {
    const char *path;
    const char *url;     /* NULL: offline */
    const char *ca_file; /* with url */
    bool relaxed;
    int cache_kib;                    /* 0: the engine's default */
    const daybook_platform *platform; /* NULL: the counting one */
};

/* Opens the store; an existing one is opened as it is. */
void device_open(struct device *device, const struct device_options *options);
void device_close(struct device *device);
/* Closes and opens again, with the bench's cache and the counting platform. */
void device_reopen(struct device *device, bool relaxed);
void device_enrol(struct device *device, const char *code);
/* One sync to the head of the log; seconds. */
double device_sync(struct device *device);
/* The share of the time of that sync, in percent, that the device spent in the transport: waiting
 * for the server, TLS, copying. The rest is its own work. */
double device_sync_waiting(const struct device *device);
/* Ends the run unless nothing is pending or unsettled; how many items are in the inbox. */
int64_t device_expect_decided(struct device *device);
/* Ends the run unless nothing is pending or unsettled and the inbox is empty. */
void device_expect_settled(struct device *device);

/* Makes the customers of a round, in one transaction. */
void device_add_customers(struct device *device);
/* Makes all visits, so many per transaction; seconds. */
double device_insert(struct device *device, const struct rows *rows, int per_transaction);
/* Makes one visit in a transaction of its own. */
void device_insert_one(struct device *device, const struct visit *visit);

/* Records as a query found them. */
struct held {
    char id[DAYBOOK_ID_SIZE];
    int64_t version;
};
/* All visits of the store by id; *count of them. The caller's (free). */
struct held *device_visits(struct device *device, int *count);
/* Sets three columns of the visits held[order[0..count)], 1,000 per transaction; seconds. */
double device_update(struct device *device, const struct held *held, const int *order,
                     const struct rows *updates, int count);
/* Opens a query on the device; the caller closes it. */
daybook_query *device_ask(struct device *device, const char *sql);
/* Runs it with a customer's id as its parameter; the number of rows. */
int device_rows_of(daybook_query *query, const char *customer);
/* Runs a query to one text of JSON; the number of its rows. */
int device_list(struct device *device, const char *sql);
/* Takes the first customers that the store has for those of a round. */
void device_find_customers(struct device *device);
/* The number of rows of a view. */
int64_t device_count(struct device *device, const char *view);

#endif
