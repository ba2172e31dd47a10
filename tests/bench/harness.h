/* SPDX-License-Identifier: Apache-2.0
 *
 * What all figures share: time, series of runs, the lines that are printed, the folder that the
 * run works in. A failure anywhere ends the run: half a figure is none.
 */
#ifndef DAYBOOK_TESTS_BENCH_HARNESS_H
#define DAYBOOK_TESTS_BENCH_HARNESS_H

#include "tests/bench/rows.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_RUNS 5          /* of each figure; the median counts */
#define BENCH_PATH_MAX 4096   /* bytes of a path with NUL */
#define BENCH_CACHE_KIB 16384 /* page cache on both sides, of raw SQLite and of Daybook */
#define BENCH_SERIES_MAX 256  /* runs that a series can hold */

/* One value per run. */
struct series {
    double values[BENCH_SERIES_MAX];
    int count;
};

/* The raw figures, measured where a figure of the run needs them; rows/s, but RAW_BYTES. */
enum raw_kind {
    RAW_INSERT_1000,   /* 1,000 rows per transaction, synchronous=FULL */
    RAW_INSERT_1,      /* one row per transaction, NORMAL */
    RAW_INSERT_1_FULL, /* one row per transaction, FULL */
    RAW_INSERT_1_2MS,  /* one row per transaction, FULL, each fsync 2 ms longer */
    RAW_UPDATE_1000,   /* 3 columns of random rows, 1,000 per transaction, FULL */
    RAW_BYTES,         /* bytes of the file per row */
    RAW_COUNT
};

struct world; /* the server and the devices that network figures share, see world.h */

struct bench {
    const char *folder; /* everything that is written goes here; on a real disk */
    const char *server; /* path of daybook-server; NULL: no figure over the network */
    const char *self;   /* path of this program, for figures measured in a process of their own */
    bool only_daybook;  /* no raw side and no ratios: for a profiler */
    int runs;           /* of each figure */
    struct series raw[RAW_COUNT];
    struct world *world; /* NULL until a figure needs it */
};

/* Says what is wrong and ends the process with 1. */
_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Seconds of a steady clock. */
double bench_now(void);
/* Bytes from malloc, never NULL. */
void *bench_new(size_t count, size_t size);
/* "folder/name" in out; ends the run where it is too long. */
void bench_path(char out[BENCH_PATH_MAX], const char *folder, const char *name);

/* The value that this share of all does not exceed, 0.5 the median; puts them in order. */
double bench_rank(double *values, int count, double share);

void series_add(struct series *series, double value);
double series_median(const struct series *series);
/* FIG name median unit min max n */
void print_figure(const char *name, const struct series *series, const char *unit);
/* RATIO name value */
void print_ratio(const char *name, double value);
/* FIG name, of the large side; FIG name_small; RATIO name, the first by the second. */
void print_growth(const char *name, const struct series *large, const struct series *small,
                  const char *unit);

/* Ends the run where the folder is on a file system in memory: nothing durable is measured there.
 */
void bench_refuse_memory_disk(const char *folder);
/* Removes a file of the folder with its -wal, -shm and lock files; none is fine. */
void bench_remove_store(const char *path);
/* Copies one closed file. */
void bench_copy_file(const char *from, const char *to);
/* Copies the plain files of a folder into a new one, modes kept. */
void bench_copy_folder(const char *from, const char *to);
/* Lets writes of earlier figures reach the disk, so that they do not disturb the next one. */
void bench_settle(void);

/* One more run of a raw figure (raw.c), which goes to the run's series and to `beside`: figures
 * call it after each of their own runs, so that both sides meet the same machine. Nothing with
 * only_daybook. */
void raw_run(struct bench *bench, enum raw_kind kind, struct series *beside);
/* RATIO name, of the medians of a figure and of the raw runs beside it; nothing with only_daybook.
 */
void raw_ratio(const struct bench *bench, const char *name, const struct series *series,
               const struct series *beside);
/* Measures it where this run has not yet, and returns the median. With only_daybook: 0. */
double raw_median(struct bench *bench, enum raw_kind kind);
/* Prints FIG raw_… of all that were measured. */
void raw_print(const struct bench *bench);
/* Prints in plain words that the run does not count where raw inserts are below the least rate. */
void raw_judge(const struct bench *bench);
/* Bytes of the file per row: pages in use after a TRUNCATE checkpoint. The store must be closed. */
double raw_file_bytes(const char *path, int rows);

#endif
