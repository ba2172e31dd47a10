/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts that the database gave numbers (headers of log parts, labels of buckets), kept in memory
 * both ways. Entries are added and taken away like a stack: a number that was given in a
 * transaction or savepoint that is undone must be forgotten with it, since the database gives it
 * again.
 */
#ifndef DAYBOOK_SERVER_STORE_INTERN_H
#define DAYBOOK_SERVER_STORE_INTERN_H

#include <daybook/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INTERN_ENTRIES_MAX 65536             /* kept beyond the end of a transaction */
#define INTERN_BYTES_MAX (32u * 1024 * 1024) /* of text, likewise */

struct srv_intern_entry;

struct srv_intern {
    struct srv_intern_entry *entries; /* oldest first */
    int count, capacity;
    int *by_text, *by_number; /* heads of chains, newest entry first; -1: none */
    int slot_count;           /* of each; a power of two, at least capacity */
    size_t bytes;             /* of all texts */
    uint64_t seed;            /* random: nobody outside can choose texts of one chain */
};

void srv_intern_init(struct srv_intern *intern, uint64_t seed);
void srv_intern_clear(struct srv_intern *intern);

/* The number of a text within `scope` (numbers of different scopes are unrelated). */
bool srv_intern_number(const struct srv_intern *intern, int64_t scope, const char *text,
                       size_t length, int64_t *number);
/* The text of a number, NUL-terminated; borrowed until the entry is undone or trimmed. */
bool srv_intern_text(const struct srv_intern *intern, int64_t scope, int64_t number,
                     const char **text, size_t *length);
/* Adds a pair that is not there yet. NO_MEMORY. */
daybook_status srv_intern_add(struct srv_intern *intern, int64_t scope, int64_t number,
                              const char *text, size_t length);

/* What srv_intern_undo takes to forget all that is added from here on. */
int srv_intern_mark(const struct srv_intern *intern);
void srv_intern_undo(struct srv_intern *intern, int mark);
bool srv_intern_is_full(const struct srv_intern *intern);
/* Forgets everything where the bounds are passed. Nothing may be borrowed and no mark in use. */
void srv_intern_trim(struct srv_intern *intern);

#endif
