/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of a disk that can lose power need of each other; see power.h. For power*.c only.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_POWER_INSIDE_H
#define DAYBOOK_TESTS_SUPPORT_POWER_INSIDE_H

#include "tests/support/power.h"

#include <sqlite3.h>

#include <pthread.h>

#define POWER_FILES_MAX 64
#define POWER_PATH_SIZE 512

/* One write, or one truncation (length -1), that was not synced. */
struct unsynced {
    sqlite3_int64 offset;
    int length;
    unsigned char *bytes;
    struct unsynced *next;
};

/* One path. */
struct content {
    char path[POWER_PATH_SIZE]; /* "": free */
    unsigned char *bytes;
    sqlite3_int64 size, capacity;
    struct unsynced *first, **end;
    int handles;
    bool loaded;
    bool gone; /* deleted when the power was off: the real file is there still */
};

/* What fails, by its point, and how often it has. */
struct power_plan {
    enum power_fault fault;
    int at; /* 0: nothing */
    bool sticky;
    int struck;
};

struct power {
    sqlite3_vfs vfs;
    sqlite3_vfs *below;
    char name[40];
    char only[POWER_PATH_SIZE];
    pthread_mutex_t lock; /* guards all below */
    struct content contents[POWER_FILES_MAX];
    bool cut;
    int operations, cut_at; /* cut_at 0: at none */
    enum power_loss cut_loss;
    uint64_t cut_seed;
    int64_t bytes_left; /* -1: not full */
    int overflows;      /* see power_overflows */
    int64_t syncs;
    int points; /* see power_points */
    unsigned char acts[POWER_POINTS_MAX];
    struct power_plan plan;
    bool spared;
};

/* ---- power_content.c; all under the lock */

/* The entry of a path, made where it is missing; NULL: it is, and is not to be made. */
struct content *power_find(struct power *power, const char *path, bool make);
void power_drop(struct content *content);
/* Deletes it for whoever goes on without power. */
void power_forget(struct content *content);
/* Makes it at least so long. */
void power_grow(struct content *content, sqlite3_int64 size);
/* Remembers a write, or with length -1 a truncation, until the next sync. */
void power_note(struct content *content, sqlite3_int64 offset, int length, const void *bytes);
/* Puts the unsynced writes into the real file; with a seed each one by chance. */
int power_flush(struct content *content, sqlite3_file *below, uint64_t *seed);
/* An operation that changes something is about to happen; `write` NULL: it is no write. */
void power_operation(struct power *power, struct content *content, const struct unsynced *write);

/* ---- power_faults.c; it takes the lock */

/* An operation is about to happen: SQLITE_OK, or how it fails. */
int power_point(struct power *power, enum power_act act);

#endif
