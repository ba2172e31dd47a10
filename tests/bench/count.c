/* SPDX-License-Identifier: Apache-2.0
 *
 * The workload whose instructions count.py counts: always the same, in this process, device and
 * server, one phase after the other. It measures no time, so that neither the machine's load nor
 * its speed shows in it.
 */
#include "tests/bench/figures.h"

#include "tests/bench/device.h"
#include "tests/bench/loopback.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BULK 4000 /* visits in transactions of 1,000 */
#define SINGLE 2000
#define UPDATES 2000
#define OPENS 20

/* Valgrind dumps what it has counted whenever this is called: the phase that was. */
__attribute__((noinline)) void count_phase_ends(const char *name, int rows);

void count_phase_ends(const char *name, int rows)
{
    (void)printf("PHASE\t%s\t%d\n", name, rows);
    (void)fflush(stdout);
}

/* A line that is always as fast, since the engine fits its requests to what it measures. */
static int64_t steady_ms(void *context)
{
    static int64_t now = 1000000;
    (void)context;
    return now++;
}

static bool chance(void *context, void *bytes, size_t length)
{
    static uint64_t state = 1;
    (void)context;
    for (size_t i = 0; i < length; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
        ((uint8_t *)bytes)[i] = (uint8_t)(state >> 56);
    }
    return true;
}

static struct device *new_device(struct bench *bench, struct loopback *loopback, const char *name)
{
    struct device *device = bench_new(1, sizeof *device);
    loopback_device(bench, loopback, device, name);
    return device;
}

static void reopen(const struct loopback *loopback, struct device *device)
{
    struct device_options options = loopback_options(loopback, device->path);
    device_close(device);
    device_open(device, &options);
}

static void end_device(struct device *device)
{
    device_close(device);
    free(device);
}

static void write_and_push(struct device *device, const struct rows *rows, int per_transaction,
                           const char *written, const char *pushed)
{
    (void)device_insert(device, rows, per_transaction);
    count_phase_ends(written, rows_count(rows));
    (void)device_sync(device);
    count_phase_ends(pushed, rows_count(rows));
    device_expect_settled(device);
}

/* Changes the same visits with each round, to other values. */
static void update(struct device *device, int round)
{
    int count = 0;
    struct rows *updates = rows_new_updates((int64_t)round * UPDATES, UPDATES);
    struct held *held = device_visits(device, &count);
    int *order = rows_shuffled(count, 1);
    count_phase_ends("", 0);
    (void)device_update(device, held, order + (round == 0 ? 0 : UPDATES), updates, UPDATES);
    count_phase_ends(round == 0 ? "update_1000" : "", UPDATES);
    free(order);
    free(held);
    rows_free(updates);
}

/* The other device's changes come while one has its own of the same fields pending. */
static void conflict(struct device *other, struct device *device)
{
    update(device, 1);
    update(other, 2);
    (void)device_sync(other);
    count_phase_ends("", 0);
    (void)device_sync(device);
    count_phase_ends("conflict", UPDATES);
}

int child_count(char **arguments)
{
    struct bench bench = {.folder = arguments[0]};
    struct loopback *loopback = bench_new(1, sizeof *loopback);
    struct rows *bulk = rows_new(0, BULK), *single = rows_new(BULK, SINGLE);
    char folder[BENCH_PATH_MAX];
    loopback_init(loopback);
    loopback->platform.steady_ms = steady_ms;
    loopback->platform.random = chance;
    bench_path(folder, bench.folder, "server");
    if (mkdir(folder, 0700) != 0) {
        bench_fail("cannot make %s: %s", folder, strerror(errno));
    }
    loopback_open(loopback, folder);
    loopback_found(loopback);
    struct device *writer = new_device(&bench, loopback, "writer.db");
    struct device *reader = new_device(&bench, loopback, "reader.db");
    struct device *fresh = new_device(&bench, loopback, "fresh.db");
    device_add_customers(writer);
    (void)device_sync(writer);
    (void)device_sync(reader);
    count_phase_ends("", 0);
    write_and_push(writer, bulk, 1000, "insert_1000", "push_bulk");
    write_and_push(writer, single, 1, "insert_1", "push_single");
    update(writer, 0);
    (void)device_sync(writer);
    count_phase_ends("push_update", UPDATES);
    (void)device_sync(reader);
    count_phase_ends("pull", BULK + SINGLE + UPDATES);
    (void)device_sync(fresh);
    count_phase_ends("first_sync", BULK + SINGLE);
    conflict(writer, reader);
    for (int i = 0; i < OPENS; i++) {
        reopen(loopback, fresh);
    }
    count_phase_ends("open", OPENS);
    end_device(writer);
    end_device(reader);
    end_device(fresh);
    loopback_close(loopback);
    free(loopback);
    rows_free(bulk);
    rows_free(single);
    return EXIT_SUCCESS;
}
