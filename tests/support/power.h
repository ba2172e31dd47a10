/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk that can lose power: a SQLite VFS over the default one. What was written but not synced is
 * in memory only; power_cut makes it be gone, all of it or, with a seed, any part of it, as a disk
 * with a cache does. The disk can also be full. What the files really contain is what was synced.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_POWER_H
#define DAYBOOK_TESTS_SUPPORT_POWER_H

#include <stdbool.h>
#include <stdint.h>

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
bool power_is_cut(struct power *power);
/* Operations since power_new. */
int power_operations(struct power *power);
/* The files are as the disk has them. Every file has to be closed. */
void power_return(struct power *power);

/* While full, a write that makes a file longer fails as on a full disk. `bytes_left`: how much may
 * still be added to all files together; -1: not full. */
void power_fill(struct power *power, int64_t bytes_left);

/* Syncs of the write-ahead log and of the main file since power_new, as far as the power was on. */
int64_t power_syncs(struct power *power);

#endif
