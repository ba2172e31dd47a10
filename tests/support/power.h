/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk that can lose power: a SQLite VFS over the default one. What was written but not synced is
 * in memory only; power_cut makes it be gone, all of it or, with a seed, any part of it, as a disk
 * with a cache does. The disk can also be full, and any operation on it can fail. What the files
 * really contain is what was synced.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_POWER_H
#define DAYBOOK_TESTS_SUPPORT_POWER_H

#include <stdbool.h>
#include <stdint.h>

#define POWER_POINTS_MAX 65536

/* The kinds of operations, with the error by which each fails. */
#define POWER_ACTS(X)                                                                              \
    X(OPEN, SQLITE_CANTOPEN, "open")                                                               \
    X(READ, SQLITE_IOERR_READ, "read")                                                             \
    X(WRITE, SQLITE_IOERR_WRITE, "write")                                                          \
    X(TRUNCATE, SQLITE_IOERR_TRUNCATE, "truncate")                                                 \
    X(SYNC, SQLITE_IOERR_FSYNC, "sync")                                                            \
    X(SIZE, SQLITE_IOERR_FSTAT, "size")                                                            \
    X(LOCK, SQLITE_IOERR_LOCK, "lock")                                                             \
    X(MAP, SQLITE_IOERR_SHMMAP, "map")                                                             \
    X(ACCESS, SQLITE_IOERR_ACCESS, "access")                                                       \
    X(DELETE, SQLITE_IOERR_DELETE, "delete")

enum power_act {
#define POWER_ACT_ENUM(name, error, text) POWER_##name,
    POWER_ACTS(POWER_ACT_ENUM)
#undef POWER_ACT_ENUM
        POWER_ACT_COUNT
};

/* What is lost of that which was not synced when the power goes. */
enum power_loss {
    POWER_LOSES_ALL,
    POWER_LOSES_SOME, /* each write since the last sync of its file, or not, by chance */
    POWER_LOSES_NONE, /* as where only the process dies */
    POWER_TEARS       /* nothing but the end of the write under way */
};

enum power_fault {
    POWER_FAILS, /* the error of the operation's kind; nothing is done */
    POWER_SHORT, /* a read brings the first half */
    POWER_FULL   /* a write finds no room */
};

struct power;

/* Registers the VFS; its name is for daybook_options.vfs, valid until power_free. */
struct power *power_new(void);
const char *power_name(const struct power *power);
/* Whatever opens a database without a name for its VFS has it on this disk. To be freed last. */
void power_be_default(struct power *power);
/* Only files whose paths begin so are on this disk; all others are real ones. */
void power_only(struct power *power, const char *path);
/* Unregisters it. Every file has to be closed. NULL is fine. */
void power_free(struct power *power);

/* From now on nothing reaches the disk, though every call succeeds, as in a process that runs on
 * for its last microseconds. `seed` 0: all that was not synced is lost; else each write since the
 * last sync of its file is lost or not by chance. Close the store, then power_return. */
void power_cut(struct power *power, uint64_t seed);
/* The same instead of an operation from now on, counted from 1: a write, a truncation, a sync or a
 * deletion. 0: not at all. */
void power_cut_at(struct power *power, int operation, uint64_t seed);
/* The same with what is lost said; for POWER_LOSES_SOME and POWER_TEARS the seed is not 0. */
void power_lose_at(struct power *power, int operation, enum power_loss loss, uint64_t seed);
bool power_is_cut(struct power *power);
/* Operations since power_new. */
int power_operations(struct power *power);
/* The files are as the disk has them. Every file has to be closed. */
void power_return(struct power *power);

/* While full, a write that makes a file longer fails as on a full disk. `bytes_left`: how much may
 * still be added to all files together; -1: not full. */
void power_fill(struct power *power, int64_t bytes_left);
/* How many writes have found no room since then, those that POWER_FULL struck among them. */
int power_overflows(struct power *power);

/* The operation at this point from now on, counted from 1, fails, and with `sticky` all behind it,
 * as far as the fault is one of their kind. Points are operations of all kinds, on files that are
 * passed through too. 0: none fails any more. */
void power_fail_at(struct power *power, int point, enum power_fault fault, bool sticky);
/* What the test itself does on the disk meanwhile is no point, and does not fail. */
void power_spare(struct power *power, bool spared);
/* How many have failed since then. */
int power_struck(struct power *power);
/* Points since power_new; and what each of the first POWER_POINTS_MAX was, counted from 1. */
int power_points(struct power *power);
enum power_act power_act_at(struct power *power, int point);

/* Syncs of the write-ahead log and of the main file since power_new, as far as the power was on. */
int64_t power_syncs(struct power *power);

#endif
