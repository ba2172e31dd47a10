/* SPDX-License-Identifier: Apache-2.0
 *
 * What grows with the store of a device: open, a query by index, and one change that comes from the
 * server, with 500,000 visits and with 5,000. Both stores came by first syncs, as they do.
 */
#include "tests/bench/figures.h"

#include "tests/bench/world.h"

#include "engine/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_SMALL 5000
#define ROWS_LARGE 500000
#define STEP 50000 /* visits that the author writes between two syncs */
#define OPENS 20   /* of each run; its median, as of changes, is the run's value */
#define CHANGES 50
#define QUERIES 2000

/* A device with so many visits, and another of the same user that makes changes for it. */
struct grown {
    struct device author, reader;
};

/* The three figures of one size. */
struct grown_series {
    struct series apply, open, query;
};

static void grow(struct bench *bench, struct grown *grown, const char *size, int count)
{
    char login[32], name[64];
    world_user(world_get(bench), login);
    (void)dk_text_format(name, sizeof name, "growth_%s_author.db", size);
    world_device(bench, &grown->author, name, login, true);
    device_add_customers(&grown->author);
    for (int done = 0; done < count; done += STEP) {
        struct rows *rows = world_rows(bench->world, count < STEP ? count : STEP);
        (void)device_insert(&grown->author, rows, 1000);
        (void)device_sync(&grown->author);
        rows_free(rows);
    }
    device_expect_settled(&grown->author);
    (void)dk_text_format(name, sizeof name, "growth_%s.db", size);
    world_device(bench, &grown->reader, name, login, false);
    (void)device_sync(&grown->reader);
    if (device_count(&grown->reader, "visit") != count) {
        bench_fail("the device did not get its %d visits", count);
    }
}

static void shrink(struct grown *grown)
{
    device_close(&grown->author);
    device_close(&grown->reader);
    bench_remove_store(grown->author.path);
    bench_remove_store(grown->reader.path);
}

/* Milliseconds of the reader's own work when one new visit comes. */
static double run_apply(struct bench *bench, struct grown *grown)
{
    double values[CHANGES];
    struct rows *rows = world_rows(bench->world, CHANGES);
    for (int i = 0; i < CHANGES; i++) {
        device_insert_one(&grown->author, &rows_visits(rows)[i]);
        (void)device_sync(&grown->author);
        double elapsed = device_sync(&grown->reader);
        values[i] = elapsed * (1 - device_sync_waiting(&grown->reader) / 100) * 1000;
    }
    rows_free(rows);
    return bench_rank(values, CHANGES, 0.5);
}

/* Milliseconds from closed to open. */
static double run_open(struct grown *grown)
{
    double values[OPENS];
    for (int i = 0; i < OPENS; i++) {
        struct device_options options = {.path = grown->reader.path,
                                         .url = grown->reader.url,
                                         .ca_file = grown->reader.ca_file,
                                         .cache_kib = BENCH_CACHE_KIB};
        device_close(&grown->reader);
        double began = bench_now();
        device_open(&grown->reader, &options);
        values[i] = (bench_now() - began) * 1000;
    }
    return bench_rank(values, OPENS, 0.5);
}

/* Milliseconds of the newest 20 visits of a customer, whichever it is. */
static double run_query(struct grown *grown)
{
    static const char sql[] = "SELECT id, kind, status, checkin_ts, feedback FROM visit WHERE"
                              " customer_id_key = ?1 ORDER BY id_key DESC LIMIT 20";
    daybook_query *query = device_ask(&grown->reader, sql);
    double began = bench_now();
    for (int i = 0; i < QUERIES; i++) {
        int rows = device_rows_of(query, grown->author.customers[i % ROWS_CUSTOMERS]);
        if (rows != 20) {
            bench_fail("a customer has %d visits", rows);
        }
    }
    double elapsed = bench_now() - began;
    daybook_query_close(&query);
    return elapsed / QUERIES * 1000;
}

static void run(struct bench *bench, struct grown *grown, struct grown_series *series)
{
    bench_settle();
    series_add(&series->open, run_open(grown));
    series_add(&series->query, run_query(grown));
    series_add(&series->apply, run_apply(bench, grown));
}

void figure_growth(struct bench *bench)
{
    struct grown *small = bench_new(1, sizeof *small), *large = bench_new(1, sizeof *large);
    struct grown_series few, many;
    memset(&few, 0, sizeof few);
    memset(&many, 0, sizeof many);
    grow(bench, small, "small", ROWS_SMALL);
    grow(bench, large, "large", ROWS_LARGE);
    for (int i = 0; i < bench->runs; i++) {
        run(bench, small, &few);
        run(bench, large, &many);
    }
    shrink(small);
    shrink(large);
    free(small);
    free(large);
    print_growth("growth_apply", &many.apply, &few.apply, "ms");
    print_growth("growth_open", &many.open, &few.open, "ms");
    print_growth("growth_query", &many.query, &few.query, "ms");
}
