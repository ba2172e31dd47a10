/* SPDX-License-Identifier: Apache-2.0
 *
 * One change from the app's commit to the server's durable verdict, over a warm connection: the
 * local commit, one round trip, the decision and its fsync, and the verdict applied on the device.
 */
#include "tests/bench/figures.h"

#include "tests/bench/world.h"

#include "engine/base/text.h"

#include <daybook/posix.h>

#include <stdlib.h>

#define CHANGES 100 /* of each run; its median is the run's value */

/* One run of changes; median milliseconds. */
static double run_changes(struct bench *bench, struct device *device)
{
    double values[CHANGES];
    struct rows *rows = world_rows(bench->world, CHANGES);
    const struct visit *visits = rows_visits(rows);
    for (int i = 0; i < CHANGES; i++) {
        double began = bench_now();
        device_insert_one(device, &visits[i]);
        (void)device_sync(device);
        values[i] = (bench_now() - began) * 1000;
    }
    rows_free(rows);
    device_expect_settled(device);
    return bench_rank(values, CHANGES, 0.5);
}

/* One run of round trips that decide nothing (GET /v1/health) over one connection; median
 * milliseconds. */
static double run_round_trips(const struct server *server)
{
    const daybook_platform *platform = daybook_posix_platform();
    void *connection = platform->transport_open(platform->context);
    double values[CHANGES];
    char url[128];
    (void)dk_text_format(url, sizeof url, "%s/v1/health", server->url);
    struct daybook_request request = {.size = sizeof request,
                                      .method = "GET",
                                      .url = url,
                                      .ca_file = server->ca_file,
                                      .reply_max = 65536,
                                      .timeout_ms = 10000};
    for (int i = -1; i < CHANGES; i++) { /* the one before the first makes the connection */
        struct daybook_reply reply = {.size = sizeof reply};
        double began = bench_now();
        daybook_status status =
            platform->transport_exchange(platform->context, connection, &request, &reply);
        if (status != DAYBOOK_OK || reply.http_status != 200) {
            bench_fail("GET /v1/health: status %d, HTTP %d", (int)status, reply.http_status);
        }
        if (i >= 0) {
            values[i] = (bench_now() - began) * 1000;
        }
    }
    platform->transport_close(platform->context, connection);
    return bench_rank(values, CHANGES, 0.5);
}

void figure_one_change_ms(struct bench *bench)
{
    struct series changes = {.count = 0}, trips = changes, raw = changes;
    struct world *world = world_get(bench);
    struct device *device = bench_new(1, sizeof *device);
    char login[32];
    world_user(world, login);
    world_device(bench, device, "one.db", login, false);
    device_add_customers(device);
    (void)device_sync(device);
    bench_settle();
    for (int run = 0; run < bench->runs; run++) {
        series_add(&changes, run_changes(bench, device));
        series_add(&trips, run_round_trips(&world->server));
        raw_run(bench, RAW_INSERT_1_FULL, &raw);
    }
    device_close(device);
    free(device);
    print_figure("one_change_ms", &changes, "ms");
    print_figure("raw_round_trip_ms", &trips, "ms");
    if (!bench->only_daybook) {
        double commit_ms = 1000 / series_median(&raw);
        print_ratio("one_change_ms", series_median(&changes) / (series_median(&trips) + commit_ms));
    }
}
