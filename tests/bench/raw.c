/* SPDX-License-Identifier: Apache-2.0
 *
 * The same work by SQLite alone, without tracking, as somebody who knows SQLite writes it: prepared
 * statements, borrowed bindings, a WITHOUT ROWID table with 16-byte keys, the engine's pragmas and
 * cache. Called by the figures. Invariant: nothing but the work is within the measured time.
 */
#include "tests/bench/harness.h"

#include "tests/bench/disk.h"

#include <sqlite3.h>

#include <stdio.h>
#include <stdlib.h>

#define RAW_LEAST 150000 /* inserts/s, 1,000 per transaction; below it the machine is too busy */
#define ROWS_SINGLE 20000
#define ROWS_SINGLE_FULL 3000
#define ROWS_SINGLE_SLOW 1000

/* An open raw database. */
struct raw {
    sqlite3 *handle;
    sqlite3_stmt *begin, *commit;
};

static const char *const raw_names[RAW_COUNT] = {"raw_insert_1000",   "raw_insert_1",
                                                 "raw_insert_1_full", "raw_insert_1_full_2ms",
                                                 "raw_update_1000",   "raw_bytes"};

/* Ends the run unless the result is the one wanted. */
static void expect(sqlite3 *handle, int result, int wanted)
{
    if (result != wanted) {
        bench_fail("raw SQLite: %s", sqlite3_errmsg(handle));
    }
}

static void run(sqlite3 *handle, const char *sql)
{
    expect(handle, sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
}

static sqlite3_stmt *prepare(sqlite3 *handle, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    expect(handle, sqlite3_prepare_v3(handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL),
           SQLITE_OK);
    return statement;
}

static void step(struct raw *raw, sqlite3_stmt *statement)
{
    expect(raw->handle, sqlite3_step(statement), SQLITE_DONE);
    (void)sqlite3_reset(statement);
}

/* A new file with the table; the pragmas are those of engine/base/database.c. */
static void open_raw(struct raw *raw, const char *path, bool full)
{
    char cache[64];
    bench_remove_store(path);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    expect(NULL, sqlite3_open_v2(path, &raw->handle, flags, NULL), SQLITE_OK);
    (void)snprintf(cache, sizeof cache, "PRAGMA cache_size = -%d", BENCH_CACHE_KIB);
    run(raw->handle, cache);
    run(raw->handle, "PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF;"
                     "PRAGMA mmap_size = 0; PRAGMA secure_delete = OFF;"
                     "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL;");
    run(raw->handle, full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
    run(raw->handle, rows_ddl);
    raw->begin = prepare(raw->handle, "BEGIN IMMEDIATE");
    raw->commit = prepare(raw->handle, "COMMIT");
}

static void close_raw(struct raw *raw)
{
    (void)sqlite3_finalize(raw->begin);
    (void)sqlite3_finalize(raw->commit);
    expect(raw->handle, sqlite3_close(raw->handle), SQLITE_OK);
}

static void bind_visit(sqlite3_stmt *insert, const struct visit *visit, const struct id *customers)
{
    (void)sqlite3_bind_blob(insert, 1, visit->id.bytes, ID_SIZE, SQLITE_STATIC);
    (void)sqlite3_bind_blob(insert, 2, customers[visit->customer].bytes, ID_SIZE, SQLITE_STATIC);
    (void)sqlite3_bind_int(insert, 3, visit->plan_day);
    (void)sqlite3_bind_text(insert, 4, visit->kind, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(insert, 5, visit->status, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(insert, 6, visit->checkin_ts);
    (void)sqlite3_bind_int(insert, 7, visit->checkin_tz_min);
    (void)sqlite3_bind_int(insert, 8, visit->checkin_lat_e7);
    (void)sqlite3_bind_int(insert, 9, visit->checkin_lon_e7);
    (void)sqlite3_bind_int(insert, 10, visit->checkin_acc_m);
    (void)sqlite3_bind_text(insert, 11, visit->note, visit->note_length, SQLITE_STATIC);
}

/* Inserts all rows, so many per transaction; rows/s. A single row commits by itself. */
static double insert_rows(struct raw *raw, const struct rows *rows, int per_transaction)
{
    struct id customers[ROWS_CUSTOMERS];
    const struct visit *visits = rows_visits(rows);
    int count = rows_count(rows);
    sqlite3_stmt *insert = prepare(raw->handle, "INSERT INTO visit VALUES(?,?,?,?,?,?,?,?,?,?,?)");
    for (int i = 0; i < ROWS_CUSTOMERS; i++) {
        customers[i] = rows_customer(i);
    }
    double began = bench_now();
    for (int done = 0; done < count; done += per_transaction) {
        if (per_transaction > 1) {
            step(raw, raw->begin);
        }
        for (int i = done; i < done + per_transaction; i++) {
            bind_visit(insert, &visits[i], customers);
            step(raw, insert);
        }
        if (per_transaction > 1) {
            step(raw, raw->commit);
        }
    }
    double elapsed = bench_now() - began;
    (void)sqlite3_finalize(insert);
    return count / elapsed;
}

/* Sets three columns of all rows in random order, 1,000 per transaction; rows/s. */
static double update_rows(struct raw *raw, const struct rows *rows, const struct rows *updates,
                          const int *order)
{
    const struct visit *visits = rows_visits(rows);
    const struct visit_update *update = rows_updates(updates);
    int count = rows_count(rows);
    sqlite3_stmt *statement =
        prepare(raw->handle, "UPDATE visit SET plan_day=?, status=?, feedback=? WHERE id=?");
    double began = bench_now();
    for (int done = 0; done < count; done += 1000) {
        step(raw, raw->begin);
        for (int i = done; i < done + 1000; i++) {
            (void)sqlite3_bind_int(statement, 1, update[i].plan_day);
            (void)sqlite3_bind_text(statement, 2, update[i].status, -1, SQLITE_STATIC);
            (void)sqlite3_bind_text(statement, 3, update[i].note, update[i].note_length,
                                    SQLITE_STATIC);
            (void)sqlite3_bind_blob(statement, 4, visits[order[i]].id.bytes, ID_SIZE,
                                    SQLITE_STATIC);
            step(raw, statement);
        }
        step(raw, raw->commit);
    }
    double elapsed = bench_now() - began;
    (void)sqlite3_finalize(statement);
    return count / elapsed;
}

/* One run of an insert figure in a new file; leaves the file closed. */
static double run_insert(const char *path, int count, int per_transaction, bool full)
{
    struct raw raw;
    struct rows *rows = rows_new(0, count);
    open_raw(&raw, path, full);
    double rate = insert_rows(&raw, rows, per_transaction);
    close_raw(&raw);
    rows_free(rows);
    return rate;
}

/* One run of the update figure, on rows inserted before. */
static double run_update(const char *path)
{
    struct raw raw;
    struct rows *rows = rows_new(0, ROWS_MANY);
    struct rows *updates = rows_new_updates(0, ROWS_MANY);
    int *order = rows_shuffled(ROWS_MANY, 1);
    open_raw(&raw, path, true);
    (void)insert_rows(&raw, rows, 1000);
    run(raw.handle, "PRAGMA wal_checkpoint(TRUNCATE)");
    bench_settle();
    double rate = update_rows(&raw, rows, updates, order);
    close_raw(&raw);
    free(order);
    rows_free(updates);
    rows_free(rows);
    return rate;
}

void raw_run(struct bench *bench, enum raw_kind kind, struct series *beside)
{
    char path[BENCH_PATH_MAX];
    double value = 0;
    if (bench->only_daybook) {
        return;
    }
    bench_path(path, bench->folder, "raw.db");
    bench_settle();
    switch (kind) {
    case RAW_INSERT_1000: value = run_insert(path, ROWS_MANY, 1000, true); break;
    case RAW_INSERT_1: value = run_insert(path, ROWS_SINGLE, 1, false); break;
    case RAW_INSERT_1_FULL: value = run_insert(path, ROWS_SINGLE_FULL, 1, true); break;
    case RAW_INSERT_1_2MS:
        disk_slow(2);
        value = run_insert(path, ROWS_SINGLE_SLOW, 1, true);
        disk_slow(0);
        break;
    case RAW_UPDATE_1000: value = run_update(path); break;
    case RAW_BYTES:
        (void)run_insert(path, ROWS_MANY, 1000, true);
        value = raw_file_bytes(path, ROWS_MANY);
        break;
    default: bench_fail("no such raw figure");
    }
    series_add(&bench->raw[kind], value);
    series_add(beside, value);
    bench_remove_store(path);
}

double raw_median(struct bench *bench, enum raw_kind kind)
{
    if (bench->only_daybook) {
        return 0;
    }
    int runs = kind == RAW_BYTES ? 1 : bench->runs; /* the size is the same in each run */
    while (bench->raw[kind].count < runs) {
        struct series beside = {.count = 0};
        raw_run(bench, kind, &beside);
    }
    return series_median(&bench->raw[kind]);
}

void raw_ratio(const struct bench *bench, const char *name, const struct series *series,
               const struct series *beside)
{
    if (!bench->only_daybook) {
        print_ratio(name, series_median(series) / series_median(beside));
    }
}

void raw_print(const struct bench *bench)
{
    for (int kind = 0; kind < RAW_COUNT; kind++) {
        if (bench->raw[kind].count > 0) {
            print_figure(raw_names[kind], &bench->raw[kind],
                         kind == RAW_BYTES ? "bytes/row" : "rows/s");
        }
    }
}

void raw_judge(const struct bench *bench)
{
    const struct series *inserts = &bench->raw[RAW_INSERT_1000];
    if (inserts->count > 0 && series_median(inserts) < RAW_LEAST) {
        (void)printf("VOID\tThis run does not count: raw SQLite inserted %.0f rows/s, and below "
                     "%d the machine is too busy to measure anything.\n",
                     series_median(inserts), RAW_LEAST);
    }
}

/* One number of a PRAGMA. */
static int64_t pragma(sqlite3 *handle, const char *sql)
{
    sqlite3_stmt *statement = prepare(handle, sql);
    expect(handle, sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return number;
}

double raw_file_bytes(const char *path, int rows)
{
    sqlite3 *handle = NULL;
    expect(NULL, sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    (void)pragma(handle, "PRAGMA wal_checkpoint(TRUNCATE)");
    int64_t pages = pragma(handle, "PRAGMA page_count") - pragma(handle, "PRAGMA freelist_count");
    double bytes = (double)(pages * pragma(handle, "PRAGMA page_size"));
    expect(handle, sqlite3_close(handle), SQLITE_OK);
    return bytes / rows;
}
