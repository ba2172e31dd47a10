/* SPDX-License-Identifier: Apache-2.0
 *
 * Push, pull and what they cost on the wire: engines and the real server over TLS, both durable.
 * Each run is a sync from its first byte, with the connection and the small first request, to the
 * last verdict or row applied.
 */
#include "tests/bench/figures.h"

#include "tests/bench/world.h"

#include "engine/base/text.h"

#include <stdlib.h>

#define ROWS_PUSH 20000 /* single-record changesets of one run */
#define ROWS_BULK 50000 /* rows of one run, in changesets of 1,000 */
#define ROWS_UPDATE 20000

/* Rates of syncs, and the share of their time that the device spent in the transport. */
struct sync_series {
    struct series rates, waiting, raw;
};

/* A sync of so many rows, and a raw run. */
static void add_sync(struct bench *bench, struct sync_series *series, struct device *device,
                     int rows)
{
    series_add(&series->rates, rows / device_sync(device));
    series_add(&series->waiting, device_sync_waiting(device));
    raw_run(bench, RAW_INSERT_1000, &series->raw);
}

/* Prints the rate, its ratio to raw inserts of 1,000 per transaction, and NAME_waiting. */
static void print_syncs(struct bench *bench, const char *name, const struct sync_series *series)
{
    char line[64];
    print_figure(name, &series->rates, "rows/s");
    raw_ratio(bench, name, &series->rates, &series->raw);
    (void)dk_text_format(line, sizeof line, "%s_waiting", name);
    print_figure(line, &series->waiting, "%");
}

/* A user with an author whose customers are on the server. */
static void new_author(struct bench *bench, struct device *author, const char *name, char login[32])
{
    world_user(world_get(bench), login);
    world_device(bench, author, name, login, true);
    device_add_customers(author);
    (void)device_sync(author);
}

/* Writes new visits while nothing is sent, with the relaxed option, which saves the bench's time;
 * then the store is open as apps open it by default. */
static void stage(struct bench *bench, struct device *author, int count, int per_transaction)
{
    struct rows *rows = world_rows(bench->world, count);
    device_reopen(author, true);
    (void)device_insert(author, rows, per_transaction);
    device_reopen(author, false);
    rows_free(rows);
    bench_settle();
}

/* One push figure: runs of `count` visits, so many per changeset. */
static void run_push(struct bench *bench, const char *name, int count, int per_changeset)
{
    struct sync_series syncs = {.rates = {.count = 0}};
    struct device *author = bench_new(1, sizeof *author);
    char login[32];
    new_author(bench, author, "push.db", login);
    for (int run = 0; run < bench->runs; run++) {
        stage(bench, author, count, per_changeset);
        add_sync(bench, &syncs, author, count);
        device_expect_settled(author);
    }
    device_close(author);
    free(author);
    print_syncs(bench, name, &syncs);
}

void figure_push_1000(struct bench *bench)
{
    run_push(bench, "push_1000", ROWS_PUSH, 1);
}

void figure_push_bulk_1000(struct bench *bench)
{
    run_push(bench, "push_bulk_1000", ROWS_BULK, 1000);
}

/* ---- pull ---- */

/* Pulls of what another device of the same user has pushed meanwhile. */
static void run_pull(struct bench *bench, const char *name, int count, int per_changeset)
{
    struct sync_series syncs = {.rates = {.count = 0}};
    struct device *author = bench_new(1, sizeof *author);
    struct device *reader = bench_new(1, sizeof *reader);
    char login[32];
    new_author(bench, author, "pull_author.db", login);
    world_device(bench, reader, "pull.db", login, false);
    (void)device_sync(reader);
    for (int run = 0; run < bench->runs; run++) {
        stage(bench, author, count, per_changeset);
        (void)device_sync(author);
        bench_settle();
        add_sync(bench, &syncs, reader, count);
        if (device_count(reader, "visit") != (int64_t)count * (run + 1)) {
            bench_fail("the reader did not get all visits");
        }
    }
    device_close(author);
    device_close(reader);
    free(author);
    free(reader);
    print_syncs(bench, name, &syncs);
}

void figure_pull(struct bench *bench)
{
    run_pull(bench, "pull", ROWS_BULK, 1000);
    run_pull(bench, "pull_single", ROWS_PUSH, 1);
}

/* ---- bytes ---- */

/* Bytes per row of the bodies, by direction. */
struct wire_series {
    struct series total, up, down;
};

/* Adds the bodies since the last reset. */
static void add_bodies(struct wire_series *series, const struct device *device, int rows)
{
    double up = (double)atomic_load(&device->wire.up) / rows;
    double down = (double)atomic_load(&device->wire.down) / rows;
    series_add(&series->total, up + down);
    series_add(&series->up, up);
    series_add(&series->down, down);
}

/* Prints NAME for the sum, NAME_up and NAME_down. */
static void print_bodies(const char *name, const struct wire_series *series)
{
    char line[64];
    print_figure(name, &series->total, "bytes/row");
    (void)dk_text_format(line, sizeof line, "%s_up", name);
    print_figure(line, &series->up, "bytes/row");
    (void)dk_text_format(line, sizeof line, "%s_down", name);
    print_figure(line, &series->down, "bytes/row");
}

/* Bytes of a push by the author, and of the pull of the same rows by another device. */
static void run_wire_insert(struct bench *bench, const char *push_name, const char *pull_name,
                            int per_changeset)
{
    struct wire_series push = {.total = {.count = 0}}, pull = push;
    struct device *author = bench_new(1, sizeof *author);
    struct device *reader = bench_new(1, sizeof *reader);
    char login[32];
    new_author(bench, author, "wire_author.db", login);
    world_device(bench, reader, "wire.db", login, true);
    (void)device_sync(reader);
    for (int run = 0; run < bench->runs; run++) {
        stage(bench, author, ROWS_PUSH, per_changeset);
        wire_reset(&author->wire);
        wire_reset(&reader->wire);
        (void)device_sync(author);
        device_expect_settled(author);
        (void)device_sync(reader);
        add_bodies(&push, author, ROWS_PUSH);
        add_bodies(&pull, reader, ROWS_PUSH);
    }
    device_close(author);
    device_close(reader);
    free(author);
    free(reader);
    print_bodies(push_name, &push);
    print_bodies(pull_name, &pull);
}

void figure_wire_insert(struct bench *bench)
{
    run_wire_insert(bench, "wire_insert", "wire_insert_pull", 1000);
    run_wire_insert(bench, "wire_insert_single", "wire_insert_single_pull", 1);
}

/* Each run updates other ones of 100,000 visits that are settled, in random order. */
void figure_wire_update(struct bench *bench)
{
    struct wire_series push = {.total = {.count = 0}};
    struct device *author = bench_new(1, sizeof *author);
    int count = 0;
    int *order = rows_shuffled(ROWS_MANY, 2);
    char login[32];
    new_author(bench, author, "wire_update.db", login);
    stage(bench, author, ROWS_MANY, 1000);
    (void)device_sync(author);
    device_expect_settled(author);
    struct held *held = device_visits(author, &count);
    if (count != ROWS_MANY) {
        bench_fail("the store has %d visits instead of %d", count, ROWS_MANY);
    }
    for (int run = 0; run < bench->runs; run++) {
        int first = run * ROWS_UPDATE;
        struct rows *updates = rows_new_updates(first, ROWS_UPDATE);
        (void)device_update(author, held, order + first, updates, ROWS_UPDATE);
        wire_reset(&author->wire);
        (void)device_sync(author);
        device_expect_settled(author);
        add_bodies(&push, author, ROWS_UPDATE);
        rows_free(updates);
    }
    device_close(author);
    free(held);
    free(order);
    free(author);
    print_bodies("wire_update", &push);
}
