/* SPDX-License-Identifier: Apache-2.0
 *
 * What figures share, made when the first of them needs it: one server process, an enrolled device
 * without visits, and a territory with 100,000 visits.
 */
#ifndef DAYBOOK_TESTS_BENCH_WORLD_H
#define DAYBOOK_TESTS_BENCH_WORLD_H

#include "tests/bench/device.h"
#include "tests/bench/server.h"

#define WORLD_MANY_USER "many" /* whose territory has the 100,000 visits */

struct world {
    struct server server;
    int users;    /* so many were made: names for new ones */
    int64_t rows; /* numbers below were used: each row is written once */
    bool has_blank;
    char blank_path[BENCH_PATH_MAX]; /* closed store, enrolled, with nothing but customers */
    char blank_customers[ROWS_CUSTOMERS][DAYBOOK_ID_SIZE];
    bool has_many;
    char many_path[BENCH_PATH_MAX]; /* closed store that pushed the 100,000 visits, all settled */
};

/* The running server. */
struct world *world_get(struct bench *bench);
/* The same, with a store to copy for figures of the device alone. */
struct world *world_with_blank(struct bench *bench);
/* The same, with the 100,000 visits. */
struct world *world_with_many(struct bench *bench);
/* Opens a new store under this name and enrols it as the user. */
void world_device(struct bench *bench, struct device *device, const char *name, const char *user,
                  bool relaxed);
/* The same of a server of the figure's own. */
void world_device_of(const struct bench *bench, const struct server *server, struct device *device,
                     const char *name, const char *user, bool relaxed);
/* A new user with a territory of its own. */
void world_user(struct world *world, char login[32]);
/* Visits that no figure has used yet. */
struct rows *world_rows(struct world *world, int count);
/* Stops the server. */
void world_end(struct bench *bench);

#endif
