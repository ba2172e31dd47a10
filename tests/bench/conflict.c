/* SPDX-License-Identifier: Apache-2.0
 *
 * What a conflict costs the device: another device of the same user has changed the same fields of
 * the same records, and the server has its changes when this one syncs with its own still pending.
 * The sync sends them, and brings the other's changes, the verdicts and what came out.
 */
#include "tests/bench/figures.h"

#include "tests/bench/world.h"

#include <stdlib.h>

#define ROWS_CONFLICT 20000 /* of one run, changed on both devices, 1,000 per transaction */

/* A device of the user with the 100,000 visits, at the head. */
static struct device *new_device(struct bench *bench, const char *name)
{
    struct device *device = bench_new(1, sizeof *device);
    world_device(bench, device, name, WORLD_MANY_USER, false);
    (void)device_sync(device);
    return device;
}

static void end_device(struct device *device)
{
    device_close(device);
    bench_remove_store(device->path);
    free(device);
}

/* Changes the visits order[first..] on a device, unsent. */
static void change(struct device *device, const int *order, int first, int64_t number)
{
    int count = 0;
    struct rows *updates = rows_new_updates(number, ROWS_CONFLICT);
    struct held *held = device_visits(device, &count);
    if (count != ROWS_MANY) {
        bench_fail("the device has %d visits instead of %d", count, ROWS_MANY);
    }
    (void)device_update(device, held, order + first, updates, ROWS_CONFLICT);
    free(held);
    rows_free(updates);
}

void figure_apply_conflicts(struct bench *bench)
{
    struct series own = {.count = 0}, whole = own, raw = own;
    (void)world_with_many(bench);
    struct device *mine = new_device(bench, "conflict.db");
    struct device *other = new_device(bench, "conflict_other.db");
    int *order = rows_shuffled(ROWS_MANY, 3);
    int64_t inbox = 0;
    for (int run = 0; run < bench->runs; run++) {
        int first = run * ROWS_CONFLICT % ROWS_MANY;
        change(mine, order, first, 2 * (int64_t)run * ROWS_CONFLICT);
        change(other, order, first, (2 * (int64_t)run + 1) * ROWS_CONFLICT);
        (void)device_sync(other);
        bench_settle();
        double elapsed = device_sync(mine);
        series_add(&whole, ROWS_CONFLICT / elapsed);
        series_add(&own, ROWS_CONFLICT / (elapsed * (1 - device_sync_waiting(mine) / 100)));
        if (device_expect_decided(mine) <= inbox) {
            bench_fail("no value was lost to the other device's");
        }
        inbox = device_expect_decided(mine);
        (void)device_sync(other);
        raw_run(bench, RAW_UPDATE_1000, &raw);
    }
    end_device(mine);
    end_device(other);
    free(order);
    print_figure("apply_conflicts", &own, "rows/s");
    raw_ratio(bench, "apply_conflicts", &own, &raw);
    print_figure("apply_conflicts_sync", &whole, "rows/s");
}
