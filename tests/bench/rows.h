/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of all figures: visits of about 10 columns and 300 bytes, whose notes are sentences over
 * 2,000 words. The same seed gives the same rows on every machine; other `first` numbers give other
 * rows, so that no note comes twice in a run of the bench.
 */
#ifndef DAYBOOK_TESTS_BENCH_ROWS_H
#define DAYBOOK_TESTS_BENCH_ROWS_H

#include "engine/base/id.h"

#include <stddef.h>
#include <stdint.h>

#define ROWS_CUSTOMERS 50 /* of a rep's round, visited at random */
#define ROWS_MANY 100000  /* rows of the larger figures */

/* One visit, and what an update changes of it. Texts are the rows'. */
struct visit {
    struct id id; /* time-ordered */
    int customer; /* 0 to ROWS_CUSTOMERS - 1 */
    int plan_day; /* YYYYMMDD */
    const char *kind;
    const char *status; /* as in the entity table */
    int64_t checkin_ts; /* ms UTC */
    int checkin_tz_min;
    int checkin_lat_e7; /* degrees x 10^7 */
    int checkin_lon_e7;
    int checkin_acc_m;
    const char *note; /* two or three sentences */
    int note_length;  /* bytes */
};

/* The three columns that an update sets. */
struct visit_update {
    int plan_day;
    const char *status;
    const char *note; /* one short sentence */
    int note_length;
};

struct rows; /* rows and their texts */

/* `count` visits with the numbers first, first + 1, …; free with rows_free. */
struct rows *rows_new(int64_t first, int count);
/* `count` updates with the numbers first, first + 1, … */
struct rows *rows_new_updates(int64_t first, int count);
void rows_free(struct rows *rows);
const struct visit *rows_visits(const struct rows *rows);
const struct visit_update *rows_updates(const struct rows *rows);
int rows_count(const struct rows *rows);

/* The id that raw SQLite uses for a customer. */
struct id rows_customer(int customer);
/* The numbers 0 to count - 1 in random order, the same for the same seed; the caller's (free). */
int *rows_shuffled(int count, uint64_t seed);

/* The tables of the raw side: the columns of a visit, the key and the index as the engine has them.
 */
extern const char rows_ddl[];

#endif
