/* SPDX-License-Identifier: Apache-2.0
 *
 * What grows with the server's log: a server with one device and 10,000 changes, and one with 2,000
 * devices and a hundred times as many, or as many as DAYBOOK_BENCH_CHANGES says. On both, a rep
 * with 5,000 visits of their own, written before all others, does the same.
 */
#include "tests/bench/figures.h"

#include "tests/bench/memory.h"
#include "tests/bench/talk.h"
#include "tests/bench/world.h"

#include "engine/base/text.h"

#include <stdlib.h>
#include <sys/stat.h>

#define CHANGES_SMALL 10000
#define CHANGES_LARGE 1000000
#define CHANGES_MAX 100000000
#define DEVICES_LARGE 2000
#define ROWS_OWN 5000  /* visits of the rep that is watched */
#define REQUEST 500    /* changesets of one visit in a request */
#define BATCH 100000   /* visits made at once */
#define CHANGES_RUN 50 /* of each run; their median is its value */

/* A server with a log of some length, and the rep's two devices. */
struct grown {
    const char *size; /* its name */
    int64_t changes;  /* in the log, of all devices */
    int devices;      /* besides the two */
    int64_t rows;     /* numbers below were used */
    struct server server;
    struct talk author;
    struct device reader;
};

/* The figures of one size. */
struct grown_series {
    struct series decide, pull, page, open, memory, file;
};

static struct rows *next_rows(struct grown *grown, int count)
{
    struct rows *rows = rows_new(grown->rows, count);
    grown->rows += count;
    return rows;
}

/* So many changesets of one visit each. */
static void add_visits(struct grown *grown, struct talk *talk, int64_t count)
{
    while (count > 0) {
        int batch = count < BATCH ? (int)count : BATCH;
        struct rows *rows = next_rows(grown, batch);
        for (int done = 0; done < batch; done += REQUEST) {
            int some = batch - done < REQUEST ? batch - done : REQUEST;
            (void)talk_add_visits(talk, rows_visits(rows) + done, some);
        }
        rows_free(rows);
        count -= batch;
    }
}

/* A new rep with a territory of their own, and a device. */
static void open_rep(const struct grown *grown, struct talk *talk, const char *login)
{
    char code[SERVER_CODE_MAX];
    server_add_user(&grown->server, login, login);
    server_code(&grown->server, login, code);
    talk_open(talk, &grown->server, code);
    talk_add_customer(talk);
}

/* Another device of the rep that is watched, its first sync done; seconds of that. */
static double open_reader(const struct bench *bench, const struct grown *grown,
                          struct device *device, const char *name)
{
    char file[64];
    (void)dk_text_format(file, sizeof file, "log_%s_%s.db", grown->size, name);
    world_device_of(bench, &grown->server, device, file, "own", false);
    double elapsed = device_sync(device);
    if (device_count(device, "visit") < ROWS_OWN) {
        bench_fail("the device did not get its %d visits", ROWS_OWN);
    }
    return elapsed;
}

static void close_reader(struct device *device)
{
    device_close(device);
    bench_remove_store(device->path);
}

static void grow(const struct bench *bench, struct grown *grown)
{
    char name[32];
    struct talk *other = bench_new(1, sizeof *other);
    (void)dk_text_format(name, sizeof name, "log_%s", grown->size);
    server_init(&grown->server, bench, name);
    server_start(&grown->server);
    open_rep(grown, &grown->author, "own");
    add_visits(grown, &grown->author, ROWS_OWN);
    (void)open_reader(bench, grown, &grown->reader, "reader");
    for (int i = 0; i < grown->devices; i++) {
        int64_t left = grown->changes - grown->rows;
        (void)dk_text_format(name, sizeof name, "rep%d", i);
        open_rep(grown, other, name);
        add_visits(grown, other, left / (grown->devices - i));
        talk_close(other);
    }
    free(other);
}

/* Bytes of the file of a server that has stopped, for each visit in it. */
static double file_bytes(const struct grown *grown)
{
    char path[BENCH_PATH_MAX];
    struct stat status;
    bench_path(path, grown->server.folder, "server.db");
    if (stat(path, &status) != 0) {
        bench_fail("the server has no file %s", path);
    }
    return (double)status.st_size / (double)grown->rows;
}

static void run(struct bench *bench, struct grown *grown, struct grown_series *series)
{
    double decide[CHANGES_RUN], pull[CHANGES_RUN];
    struct device *fresh = bench_new(1, sizeof *fresh);
    struct rows *rows = next_rows(grown, CHANGES_RUN);
    bench_settle();
    for (int i = 0; i < CHANGES_RUN; i++) {
        decide[i] = talk_add_visits(&grown->author, &rows_visits(rows)[i], 1) * 1000;
        double elapsed = device_sync(&grown->reader);
        pull[i] = elapsed * device_sync_waiting(&grown->reader) / 100 * 1000;
    }
    rows_free(rows);
    series_add(&series->decide, bench_rank(decide, CHANGES_RUN, 0.5));
    series_add(&series->pull, bench_rank(pull, CHANGES_RUN, 0.5));
    series_add(&series->page, open_reader(bench, grown, fresh, "fresh") * 1000);
    close_reader(fresh);
    free(fresh);
    series_add(&series->memory, (double)memory_anonymous(grown->server.process) / 1024);
    server_stop(&grown->server);
    series_add(&series->file, file_bytes(grown));
    double began = bench_now();
    server_start(&grown->server);
    series_add(&series->open, (bench_now() - began) * 1000);
    talk_hang_up(&grown->author);
}

static struct grown *new_grown(const char *size, int64_t changes, int devices)
{
    struct grown *grown = bench_new(1, sizeof *grown);
    *grown = (struct grown){.size = size, .changes = changes, .devices = devices};
    return grown;
}

static void end(struct grown *grown)
{
    talk_close(&grown->author);
    close_reader(&grown->reader);
    server_stop(&grown->server);
    free(grown);
}

/* How many changes the large log is to have. */
static int64_t wanted_changes(void)
{
    const char *text = getenv("DAYBOOK_BENCH_CHANGES");
    char *rest = NULL;
    long long count = text == NULL ? CHANGES_LARGE : strtoll(text, &rest, 10);
    if (count < CHANGES_SMALL || count > CHANGES_MAX || (rest != NULL && *rest != '\0')) {
        bench_fail("DAYBOOK_BENCH_CHANGES is %s, and must be %d to %d", text, CHANGES_SMALL,
                   CHANGES_MAX);
    }
    return count;
}

void figure_growth_log(struct bench *bench)
{
    static struct grown_series few, many;
    struct grown *small = new_grown("small", CHANGES_SMALL, 1);
    struct grown *large = new_grown("large", wanted_changes(), DEVICES_LARGE);
    grow(bench, small);
    grow(bench, large);
    for (int i = 0; i < bench->runs; i++) {
        run(bench, small, &few);
        run(bench, large, &many);
    }
    end(small);
    end(large);
    print_growth("growth_log_decide", &many.decide, &few.decide, "ms");
    print_growth("growth_log_pull", &many.pull, &few.pull, "ms");
    print_growth("growth_log_page", &many.page, &few.page, "ms");
    print_growth("growth_log_open", &many.open, &few.open, "ms");
    print_growth("growth_log_memory", &many.memory, &few.memory, "MiB");
    print_growth("growth_log_file", &many.file, &few.file, "bytes/change");
}
