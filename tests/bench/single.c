/* SPDX-License-Identifier: Apache-2.0
 *
 * Fifty devices at once, each sending changesets of one visit, one request after the other, over
 * TLS to the real server. A device here is the bare protocol (talk.h), so that the load does not
 * wait for fifty stores on the same disk.
 */
#include "tests/bench/figures.h"

#include "tests/bench/talk.h"
#include "tests/bench/world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define DEVICES 50
#define RUN_S 2.0         /* of each run */
#define CHANGES_MAX 20000 /* of one device in one run */
#define TAIL 0.99

/* One device and its run. */
struct caller {
    struct talk talk;
    pthread_t thread;
    atomic_bool *stop;
    const struct rows *rows;
    int first;         /* row of its first visit; the others follow at distances of DEVICES */
    double *latencies; /* seconds */
    int count;
};

/* Sends until it is told to stop. */
static void *call(void *argument)
{
    struct caller *caller = argument;
    const struct visit *visits = rows_visits(caller->rows);
    caller->count = 0;
    for (int row = caller->first; !atomic_load(caller->stop); row += DEVICES) {
        if (caller->count == CHANGES_MAX || row >= rows_count(caller->rows)) {
            bench_fail("the run has too few rows");
        }
        caller->latencies[caller->count++] = talk_add_visits(&caller->talk, &visits[row], 1);
    }
    return NULL;
}

/* Signs all devices in, each as a rep with a territory of its own. */
static struct caller *open_callers(struct world *world)
{
    struct caller *callers = bench_new(DEVICES, sizeof *callers);
    for (int i = 0; i < DEVICES; i++) {
        char login[32], code[SERVER_CODE_MAX];
        world_user(world, login);
        server_code(&world->server, login, code);
        talk_open(&callers[i].talk, &world->server, code);
        talk_add_customer(&callers[i].talk);
        callers[i].latencies = bench_new(CHANGES_MAX, sizeof(double));
    }
    return callers;
}

static void close_callers(struct caller *callers)
{
    for (int i = 0; i < DEVICES; i++) {
        talk_close(&callers[i].talk);
        free(callers[i].latencies);
    }
    free(callers);
}

/* The latency that 99 of 100 changes of all callers do not pass; milliseconds. */
static double tail_ms(const struct caller *callers, int total)
{
    double *all = bench_new((size_t)total, sizeof *all);
    int count = 0;
    for (int i = 0; i < DEVICES; i++) {
        for (int n = 0; n < callers[i].count; n++) {
            all[count++] = callers[i].latencies[n];
        }
    }
    double tail = bench_rank(all, count, TAIL) * 1000;
    free(all);
    return tail;
}

/* One run of all devices: changesets decided per second, and the tail of their latencies. */
static void run_callers(struct world *world, struct caller *callers, struct series *rates,
                        struct series *tails)
{
    atomic_bool stop;
    const struct timespec pause = {.tv_sec = (time_t)RUN_S};
    struct rows *rows = world_rows(world, ROWS_MANY);
    int total = 0;
    atomic_init(&stop, false);
    bench_settle();
    double began = bench_now();
    for (int i = 0; i < DEVICES; i++) {
        callers[i].stop = &stop;
        callers[i].rows = rows;
        callers[i].first = i;
        if (pthread_create(&callers[i].thread, NULL, call, &callers[i]) != 0) {
            bench_fail("cannot start a thread");
        }
    }
    (void)nanosleep(&pause, NULL);
    atomic_store(&stop, true);
    for (int i = 0; i < DEVICES; i++) {
        (void)pthread_join(callers[i].thread, NULL);
        total += callers[i].count;
    }
    series_add(rates, total / (bench_now() - began));
    series_add(tails, tail_ms(callers, total));
    rows_free(rows);
}

void figure_decide_single(struct bench *bench)
{
    struct series rates = {.count = 0}, tails = rates, raw = rates;
    struct world *world = world_get(bench);
    struct caller *callers = open_callers(world);
    for (int run = 0; run < bench->runs; run++) {
        run_callers(world, callers, &rates, &tails);
        raw_run(bench, RAW_INSERT_1_FULL, &raw);
    }
    close_callers(callers);
    print_figure("decide_single", &rates, "changesets/s");
    raw_ratio(bench, "decide_single", &rates, &raw);
    print_figure("decide_single_p99_ms", &tails, "ms");
}
