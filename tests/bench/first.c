/* SPDX-License-Identifier: Apache-2.0
 *
 * The first sync of a new device whose scope holds 100,000 visits: how long it takes and how much
 * memory the device needs for it. The device has enrolled; what is measured is its first
 * daybook_sync, to the head of the log.
 */
#include "tests/bench/figures.h"

#include "tests/bench/memory.h"
#include "tests/bench/process.h"
#include "tests/bench/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* One first sync into a new store; seconds. */
static double first_sync(struct bench *bench, struct device *device)
{
    world_device(bench, device, "first.db", WORLD_MANY_USER, false);
    bench_settle();
    double elapsed = device_sync(device);
    if (device_count(device, "visit") != ROWS_MANY) {
        bench_fail("the first sync brought %lld visits instead of %d",
                   (long long)device_count(device, "visit"), ROWS_MANY);
    }
    device_close(device);
    bench_remove_store(device->path);
    return elapsed;
}

/* Prints seconds, and how the rate compares to that of raw inserts. */
static void print_seconds(const struct bench *bench, const char *name, const struct series *seconds,
                          const struct series *raw)
{
    struct series rate = {.count = 0};
    print_figure(name, seconds, "s");
    series_add(&rate, ROWS_MANY / series_median(seconds));
    raw_ratio(bench, name, &rate, raw);
}

/* Cold: the server has just been started, so that whatever it keeps in memory is empty. Warm: the
 * same again from the running server. */
void figure_first_sync_100k(struct bench *bench)
{
    struct series cold = {.count = 0}, warm = cold, waiting = cold, raw = cold;
    struct world *world = world_with_many(bench);
    struct device *device = bench_new(1, sizeof *device);
    for (int run = 0; run < bench->runs; run++) {
        server_stop(&world->server);
        server_start(&world->server);
        series_add(&cold, first_sync(bench, device));
        series_add(&waiting, device_sync_waiting(device));
        series_add(&warm, first_sync(bench, device));
        raw_run(bench, RAW_INSERT_1000, &raw);
    }
    free(device);
    print_seconds(bench, "first_sync_100k", &cold, &raw);
    print_figure("first_sync_100k_waiting", &waiting, "%");
    print_seconds(bench, "first_sync_100k_warm", &warm, &raw);
}

/* ---- memory ---- */

/* A process of its own, so that nothing of the bench's memory is in the way, and with the default
 * cache, since an app has that. Enrolling is the first handshake. */
int child_first_sync(char **arguments)
{
    struct memory_watch watch;
    struct device *device = bench_new(1, sizeof *device);
    struct device_options options = {
        .path = arguments[0], .url = arguments[1], .ca_file = arguments[2]};
    device_open(device, &options);
    device_enrol(device, arguments[3]);
    memory_watch_start(&watch);
    long before = memory_anonymous(0);
    (void)device_sync(device);
    long peak = memory_watch_stop(&watch);
    device_close(device);
    free(device);
    (void)printf("%.3f\n", (double)(peak - before) / 1024);
    return EXIT_SUCCESS;
}

void figure_rss_first_sync_mib(struct bench *bench)
{
    struct series growth = {.count = 0};
    struct world *world = world_with_many(bench);
    char path[BENCH_PATH_MAX], code[SERVER_CODE_MAX], line[64];
    bench_path(path, bench->folder, "memory.db");
    for (int run = 0; run < bench->runs; run++) {
        server_code(&world->server, WORLD_MANY_USER, code);
        const char *const argv[] = {
            bench->self, CHILD_FIRST_SYNC, path, world->server.url, world->server.ca_file, code,
            NULL};
        process_run(argv, line, sizeof line);
        series_add(&growth, strtod(line, NULL));
        bench_remove_store(path);
    }
    print_figure("rss_first_sync_mib", &growth, "MiB");
}
