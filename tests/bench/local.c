/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures of the device alone: local writes and the size of the store. Each run takes a new store
 * and is followed by a raw run, so that both sides see the same disk at the same time.
 */
#include "tests/bench/figures.h"

#include "tests/bench/device.h"
#include "tests/bench/disk.h"
#include "tests/bench/world.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_SINGLE 20000
#define ROWS_SINGLE_FULL 3000
#define ROWS_SINGLE_SLOW 1000

/* An insert figure. */
struct insert_figure {
    const char *name;
    int rows;
    int per_transaction;
    bool relaxed;
    int fsync_ms; /* more than the disk takes */
    enum raw_kind raw;
};

/* Opens a new store as a rep has it in the morning: enrolled, with customers, nothing to send. */
static void open_new(struct bench *bench, struct device *device, bool relaxed)
{
    struct world *world = world_with_blank(bench);
    char path[BENCH_PATH_MAX];
    bench_path(path, bench->folder, "local.db");
    bench_remove_store(path);
    bench_copy_file(world->blank_path, path);
    struct device_options options = {
        .path = path, .relaxed = relaxed, .cache_kib = BENCH_CACHE_KIB};
    device_open(device, &options);
    memcpy(device->customers, world->blank_customers, sizeof device->customers);
    bench_settle();
}

/* Runs both sides in turn and prints the figure with its ratio. */
static void run_insert(struct bench *bench, const struct insert_figure *figure)
{
    struct series rates = {.count = 0}, raw = rates;
    struct device device;
    for (int run = 0; run < bench->runs; run++) {
        struct rows *rows = rows_new(0, figure->rows);
        open_new(bench, &device, figure->relaxed);
        disk_slow(figure->fsync_ms);
        series_add(&rates, figure->rows / device_insert(&device, rows, figure->per_transaction));
        disk_slow(0);
        device_close(&device);
        bench_remove_store(device.path);
        rows_free(rows);
        raw_run(bench, figure->raw, &raw);
    }
    print_figure(figure->name, &rates, "rows/s");
    raw_ratio(bench, figure->name, &rates, &raw);
}

void figure_local_insert_1000(struct bench *bench)
{
    static const struct insert_figure figure = {"local_insert_1000", ROWS_MANY, 1000, false, 0,
                                                RAW_INSERT_1000};
    run_insert(bench, &figure);
}

void figure_local_insert_1(struct bench *bench)
{
    static const struct insert_figure figure = {"local_insert_1", ROWS_SINGLE, 1, true, 0,
                                                RAW_INSERT_1};
    run_insert(bench, &figure);
}

void figure_local_insert_1_full(struct bench *bench)
{
    static const struct insert_figure figure = {
        "local_insert_1_full", ROWS_SINGLE_FULL, 1, false, 0, RAW_INSERT_1_FULL};
    run_insert(bench, &figure);
}

void figure_local_insert_1_full_2ms(struct bench *bench)
{
    static const struct insert_figure figure = {
        "local_insert_1_full_2ms", ROWS_SINGLE_SLOW, 1, false, 2, RAW_INSERT_1_2MS};
    run_insert(bench, &figure);
}

/* Updates of records that the server has decided, as nearly all of a rep's records are: each run
 * takes a copy of the store that pushed them. */
void figure_local_update_1000(struct bench *bench)
{
    struct series rates = {.count = 0}, raw = rates;
    struct world *world = world_with_many(bench);
    struct rows *updates = rows_new_updates(0, ROWS_MANY);
    int *order = rows_shuffled(ROWS_MANY, 1);
    char path[BENCH_PATH_MAX];
    bench_path(path, bench->folder, "update.db");
    for (int run = 0; run < bench->runs; run++) {
        struct device device;
        struct device_options options = {.path = path, .cache_kib = BENCH_CACHE_KIB};
        int count = 0;
        bench_copy_file(world->many_path, path);
        device_open(&device, &options);
        struct held *held = device_visits(&device, &count);
        if (count != ROWS_MANY) {
            bench_fail("the store to update has %d visits instead of %d", count, ROWS_MANY);
        }
        bench_settle();
        series_add(&rates, ROWS_MANY / device_update(&device, held, order, updates, ROWS_MANY));
        device_close(&device);
        bench_remove_store(path);
        free(held);
        raw_run(bench, RAW_UPDATE_1000, &raw);
    }
    free(order);
    rows_free(updates);
    print_figure("local_update_1000", &rates, "rows/s");
    raw_ratio(bench, "local_update_1000", &rates, &raw);
}

/* Prints bytes per row of closed store files. */
static void print_size(struct bench *bench, const char *name, const struct series *bytes)
{
    print_figure(name, bytes, "bytes/row");
    if (!bench->only_daybook) {
        print_ratio(name, series_median(bytes) / raw_median(bench, RAW_BYTES));
    }
}

void figure_db_unsent(struct bench *bench)
{
    struct series bytes = {.count = 0};
    for (int run = 0; run < bench->runs; run++) {
        struct device device;
        struct rows *rows = rows_new((int64_t)run * ROWS_MANY, ROWS_MANY);
        open_new(bench, &device, true);
        (void)device_insert(&device, rows, 1000);
        device_close(&device);
        series_add(&bytes, raw_file_bytes(device.path, ROWS_MANY));
        bench_remove_store(device.path);
        rows_free(rows);
    }
    print_size(bench, "db_unsent", &bytes);
}

/* The store that pushed the 100,000 visits and has applied their markers. The file is the same
 * whenever it is looked at, so that it is made once. */
void figure_db_acked(struct bench *bench)
{
    struct series bytes = {.count = 0};
    struct world *world = world_with_many(bench);
    char path[BENCH_PATH_MAX];
    bench_path(path, bench->folder, "acked.db");
    bench_copy_file(world->many_path, path);
    series_add(&bytes, raw_file_bytes(path, ROWS_MANY));
    bench_remove_store(path);
    print_size(bench, "db_acked", &bytes);
}
