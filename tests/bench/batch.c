/* SPDX-License-Identifier: Apache-2.0
 *
 * What the server decides on one core without TLS: the very requests of a device that pushes
 * changesets of one visit each, kept once, then given to the service in this process, one after the
 * other, each run on the same copy of its folder. Time counts from the request to its answer, which
 * leaves only after its commit is on disk.
 */
#define _GNU_SOURCE /* sched_setaffinity */

#include "tests/bench/figures.h"

#include "tests/bench/device.h"
#include "tests/bench/loopback.h"
#include "tests/bench/talk.h"

#include "engine/base/memory.h"
#include "engine/base/text.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHANGESETS 20000

/* Keeps the requests of a device that has `CHANGESETS` visits to send, and a copy of the server's
 * folder from before. */
static void keep_requests(struct bench *bench, struct loopback *loopback, const char *folder,
                          const char *copy)
{
    struct device *device = bench_new(1, sizeof *device);
    struct rows *rows = rows_new(0, CHANGESETS);
    if (mkdir(folder, 0700) != 0) {
        bench_fail("cannot make %s: %s", folder, strerror(errno));
    }
    loopback_open(loopback, folder);
    loopback_found(loopback);
    loopback_device(bench, loopback, device, "batch.db");
    device_add_customers(device);
    (void)device_sync(device);
    loopback_close(loopback);
    bench_copy_folder(folder, copy);
    loopback_open(loopback, folder);
    (void)device_insert(device, rows, 1);
    loopback->recording = true;
    (void)device_sync(device);
    loopback->recording = false;
    device_expect_settled(device);
    device_close(device);
    loopback_close(loopback);
    bench_remove_store(device->path);
    rows_free(rows);
    free(device);
}

/* Binds this thread, and those that it starts, to one processor; the old set is put out. */
static void bind_to_one(cpu_set_t *before)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof *before, before) != 0) {
        bench_fail("cannot read the processors of this process");
    }
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++) {
        if (CPU_ISSET(i, before)) {
            CPU_SET(i, &one);
        }
    }
    if (sched_setaffinity(0, sizeof one, &one) != 0) {
        bench_fail("cannot bind to one processor");
    }
}

/* Sends all kept requests; changesets per second. Ends the run unless all were accepted. */
static double run_requests(struct loopback *loopback)
{
    static struct loopback_answer answers[LOOPBACK_RECORDED_MAX];
    struct frame_codec *codec = dk_frame_new();
    int accepted = 0;
    double began = bench_now();
    for (int i = 0; i < loopback->recorded_count; i++) {
        loopback_submit(loopback, &loopback->recorded[i], &answers[i]);
    }
    double elapsed = bench_now() - began;
    for (int i = 0; i < loopback->recorded_count; i++) {
        if (answers[i].http_status != 200) {
            bench_fail("a kept request was answered with HTTP %d", answers[i].http_status);
        }
        accepted += talk_count_accepted(codec, answers[i].body, answers[i].body_size);
        dk_memory_free(answers[i].body);
    }
    dk_frame_free(codec);
    if (accepted != CHANGESETS) {
        bench_fail("%d of %d changesets were accepted", accepted, CHANGESETS);
    }
    return CHANGESETS / elapsed;
}

void figure_decide_batch(struct bench *bench)
{
    struct series rates = {.count = 0}, raw = rates;
    struct loopback *loopback = bench_new(1, sizeof *loopback);
    char folder[BENCH_PATH_MAX], copy[BENCH_PATH_MAX], name[32];
    cpu_set_t processors;
    loopback_init(loopback);
    bench_path(folder, bench->folder, "batch");
    bench_path(copy, bench->folder, "batch-before");
    keep_requests(bench, loopback, folder, copy);
    for (int run = 0; run < bench->runs; run++) {
        (void)dk_text_format(name, sizeof name, "batch-%d", run);
        bench_path(folder, bench->folder, name);
        bench_copy_folder(copy, folder);
        bench_settle();
        bind_to_one(&processors);
        loopback_open(loopback, folder);
        (void)sched_setaffinity(0, sizeof processors, &processors);
        series_add(&rates, run_requests(loopback));
        loopback_close(loopback);
        raw_run(bench, RAW_INSERT_1000, &raw);
    }
    loopback_clear(loopback);
    free(loopback);
    print_figure("decide_batch", &rates, "changesets/s");
    raw_ratio(bench, "decide_batch", &rates, &raw);
}
