/* SPDX-License-Identifier: Apache-2.0
 *
 * Time, series, output and files of the bench. Called by every figure. Invariant: a figure that was
 * printed comes from runs that all succeeded.
 */
#define _DEFAULT_SOURCE /* sync */

#include "tests/bench/harness.h"

#include "engine/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

/* Magic numbers of statfs for file systems that live in memory. */
#define TMPFS_NUMBER 0x01021994
#define RAMFS_NUMBER 0x858458f6

void bench_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fflush(stdout);
    (void)fprintf(stderr, "bench: ");
    (void)vfprintf(stderr, format, arguments);
    (void)fprintf(stderr, "\n");
    va_end(arguments);
    exit(EXIT_FAILURE);
}

double bench_now(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        bench_fail("no steady clock");
    }
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void *bench_new(size_t count, size_t size)
{
    void *block = calloc(count, size);
    if (block == NULL) {
        bench_fail("no memory for %zu times %zu bytes", count, size);
    }
    return block;
}

void bench_path(char out[BENCH_PATH_MAX], const char *folder, const char *name)
{
    if (!dk_text_format(out, BENCH_PATH_MAX, "%s/%s", folder, name)) {
        bench_fail("the path %s is too long", folder);
    }
}

/* ---- series and lines ---- */

void series_add(struct series *series, double value)
{
    if (series->count == BENCH_SERIES_MAX) {
        bench_fail("a series has more than %d runs", BENCH_SERIES_MAX);
    }
    series->values[series->count++] = value;
}

/* Ascending, for qsort. */
static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double bench_rank(double *values, int count, double share)
{
    qsort(values, (size_t)count, sizeof values[0], compare);
    return values[(int)(share * (count - 1))];
}

double series_median(const struct series *series)
{
    double sorted[BENCH_SERIES_MAX];
    int count = series->count;
    if (count == 0) {
        bench_fail("a series has no run");
    }
    memcpy(sorted, series->values, (size_t)count * sizeof sorted[0]);
    qsort(sorted, (size_t)count, sizeof sorted[0], compare);
    return count % 2 == 1 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

/* As many digits as tell something: rates without decimals, times of milliseconds with three. */
static int decimals(double value)
{
    return value >= 1000 ? 0 : value >= 10 ? 1 : 3;
}

void print_figure(const char *name, const struct series *series, const char *unit)
{
    double median = series_median(series);
    double min = series->values[0], max = series->values[0];
    for (int i = 1; i < series->count; i++) {
        min = series->values[i] < min ? series->values[i] : min;
        max = series->values[i] > max ? series->values[i] : max;
    }
    int digits = decimals(median);
    (void)printf("FIG\t%s\t%.*f\t%s\t%.*f\t%.*f\t%d\n", name, digits, median, unit, digits, min,
                 digits, max, series->count);
    (void)fflush(stdout);
}

void print_ratio(const char *name, double value)
{
    (void)printf("RATIO\t%s\t%.3f\n", name, value);
    (void)fflush(stdout);
}

void print_growth(const char *name, const struct series *large, const struct series *small,
                  const char *unit)
{
    char line[64];
    print_figure(name, large, unit);
    (void)dk_text_format(line, sizeof line, "%s_small", name);
    print_figure(line, small, unit);
    print_ratio(name, series_median(large) / series_median(small));
}

/* ---- files ---- */

void bench_refuse_memory_disk(const char *folder)
{
    struct statfs about;
    if (statfs(folder, &about) != 0) {
        bench_fail("cannot look at the folder %s: %s", folder, strerror(errno));
    }
    if (about.f_type == TMPFS_NUMBER || (unsigned long)about.f_type == RAMFS_NUMBER) {
        bench_fail("%s is on a file system in memory, where nothing durable can be measured; "
                   "set DAYBOOK_BENCH_FOLDER to a folder on a disk",
                   folder);
    }
}

void bench_remove_store(const char *path)
{
    static const char *const endings[] = {"", "-wal", "-shm", "-journal", "-lock", ".lock"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        char name[BENCH_PATH_MAX + 16];
        if (!dk_text_format(name, sizeof name, "%s%s", path, endings[i]) ||
            (unlink(name) != 0 && errno != ENOENT)) {
            bench_fail("cannot remove %s%s", path, endings[i]);
        }
    }
}

void bench_copy_file(const char *from, const char *to)
{
    char block[65536];
    struct stat about;
    ssize_t length = 0;
    int in = open(from, O_RDONLY);
    if (in < 0 || fstat(in, &about) != 0) {
        bench_fail("cannot read %s: %s", from, strerror(errno));
    }
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC, about.st_mode & 0777);
    if (out < 0) {
        bench_fail("cannot write %s: %s", to, strerror(errno));
    }
    while ((length = read(in, block, sizeof block)) > 0) {
        if (write(out, block, (size_t)length) != length) {
            bench_fail("cannot write %s: %s", to, strerror(errno));
        }
    }
    if (length < 0 || fsync(out) != 0 || close(out) != 0) {
        bench_fail("cannot copy %s to %s: %s", from, to, strerror(errno));
    }
    (void)close(in);
}

void bench_copy_folder(const char *from, const char *to)
{
    char source[BENCH_PATH_MAX], target[BENCH_PATH_MAX];
    struct stat about;
    const struct dirent *entry;
    DIR *folder = opendir(from);
    if (folder == NULL || mkdir(to, 0700) != 0) {
        bench_fail("cannot copy the folder %s to %s: %s", from, to, strerror(errno));
    }
    while ((entry = readdir(folder)) != NULL) {
        bench_path(source, from, entry->d_name);
        bench_path(target, to, entry->d_name);
        if (stat(source, &about) == 0 && S_ISREG(about.st_mode)) {
            bench_copy_file(source, target);
        }
    }
    (void)closedir(folder);
}

void bench_settle(void)
{
    sync();
}
