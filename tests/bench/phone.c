/* SPDX-License-Identifier: Apache-2.0
 *
 * What a rep feels on a small phone: a process that may have 32 MiB of memory of its own, a disk
 * that takes 10 ms more for each fsync, and for the sync of a day a line of 300 kbit/s on which a
 * reply is 300 ms away.
 */
#include "tests/bench/figures.h"

#include "tests/bench/disk.h"
#include "tests/bench/line.h"
#include "tests/bench/process.h"
#include "tests/bench/world.h"

#include "engine/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define CUSTOMERS 300
#define VISITS 5000 /* of the weeks before */
#define DAY 230     /* changes of a day */
#define LISTS 50
#define MEMORY_BYTES (32 << 20)
#define FSYNC_MS 10
#define LINE_BYTES_PER_S (300000 / 8)
#define LINE_DELAY_MS 150 /* in each direction */

/* ---- the phone, a process of its own */

/* Milliseconds from the first call of a change to its being durable, the median of a day's. */
static double act(struct device *device, const struct rows *rows)
{
    double values[DAY];
    for (int i = 0; i < DAY; i++) {
        double began = bench_now();
        device_insert_one(device, &rows_visits(rows)[i]);
        values[i] = (bench_now() - began) * 1000;
    }
    return bench_rank(values, DAY, 0.5);
}

/* Milliseconds until the list of all customers is there as JSON. */
static double list(struct device *device)
{
    static const char sql[] = "SELECT id, name, kind, industry, status, address_city, version FROM"
                              " customer ORDER BY name";
    double values[LISTS];
    for (int i = 0; i < LISTS; i++) {
        double began = bench_now();
        int rows = device_list(device, sql);
        values[i] = (bench_now() - began) * 1000;
        if (rows < CUSTOMERS) {
            bench_fail("the list has %d customers", rows);
        }
    }
    return bench_rank(values, LISTS, 0.5);
}

/* Arguments: STORE URL CA_FILE FIRST, the number of its first visit. */
int child_phone(char **arguments)
{
    struct rlimit limit = {.rlim_cur = MEMORY_BYTES, .rlim_max = MEMORY_BYTES};
    struct device *device = bench_new(1, sizeof *device);
    struct device_options options = {
        .path = arguments[0], .url = arguments[1], .ca_file = arguments[2]};
    if (setrlimit(RLIMIT_DATA, &limit) != 0) {
        bench_fail("the memory of this process cannot be limited");
    }
    struct rows *rows = rows_new(strtoll(arguments[3], NULL, 10), DAY);
    disk_slow(FSYNC_MS);
    device_open(device, &options);
    device_find_customers(device);
    double act_ms = act(device, rows), list_ms = list(device), sync_s = device_sync(device);
    device_expect_settled(device);
    (void)printf("%.6f %.6f %.6f %lld %lld %lld\n", act_ms, list_ms, sync_s,
                 atomic_load(&device->wire.up), atomic_load(&device->wire.down),
                 atomic_load(&device->wire.exchanges));
    device_close(device);
    rows_free(rows);
    free(device);
    return EXIT_SUCCESS;
}

/* ---- its company */

/* A phone with its customers and the visits of the last weeks, closed. */
static void prepare(struct bench *bench, struct device *phone)
{
    struct device *office = bench_new(1, sizeof *office);
    char login[32];
    world_user(world_get(bench), login);
    world_device(bench, office, "phone_office.db", login, true);
    for (int done = 0; done < CUSTOMERS; done += ROWS_CUSTOMERS) {
        device_add_customers(office);
    }
    struct rows *rows = world_rows(bench->world, VISITS);
    (void)device_insert(office, rows, 1000);
    (void)device_sync(office);
    device_expect_settled(office);
    device_close(office);
    bench_remove_store(office->path);
    world_device(bench, phone, "phone.db", login, false);
    (void)device_sync(phone);
    (void)device_sync(phone);
    device_close(phone);
    rows_free(rows);
    free(office);
}

/* What the phone prints, in its order, and behind it what the line has seen. */
static const struct {
    const char *name, *unit;
} figures[] = {{"phone_act_ms", "ms"},      {"phone_list_ms", "ms"},
               {"phone_day_s", "s"},        {"phone_day_up", "bytes"},
               {"phone_day_down", "bytes"}, {"phone_day_trips", "requests"},
               {"phone_day_line", "bytes"}};
#define FIGURES ((int)(sizeof figures / sizeof figures[0]))

void figure_phone(struct bench *bench)
{
    struct series series[FIGURES];
    struct device *phone = bench_new(1, sizeof *phone);
    char url[SERVER_URL_MAX], first[32], line[256];
    memset(series, 0, sizeof series);
    prepare(bench, phone);
    int port = (int)strtol(strrchr(bench->world->server.url, ':') + 1, NULL, 10);
    struct line *road = line_start(port, LINE_BYTES_PER_S, LINE_DELAY_MS);
    (void)dk_text_format(url, sizeof url, "https://127.0.0.1:%d", line_port(road));
    for (int run = 0; run < bench->runs; run++) {
        (void)dk_text_format(first, sizeof first, "%lld", 20LL * ROWS_MANY + run * DAY);
        const char *const argv[] = {bench->self,    CHILD_PHONE, phone->path, url,
                                    phone->ca_file, first,       NULL};
        process_run(argv, line, sizeof line);
        char *at = line;
        for (int i = 0; i < FIGURES - 1; i++) {
            series_add(&series[i], strtod(at, &at));
        }
        series_add(&series[FIGURES - 1], (double)line_bytes(road));
    }
    line_stop(road);
    bench_remove_store(phone->path);
    free(phone);
    for (int i = 0; i < FIGURES; i++) {
        print_figure(figures[i].name, &series[i], figures[i].unit);
    }
}
