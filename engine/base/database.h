/* SPDX-License-Identifier: Apache-2.0
 *
 * SQLite behind a few calls, the same for device and server: open with the house's pragmas, a cache
 * of prepared statements, sticky binding, status codes. The only header that includes sqlite3.h.
 *
 * One connection writes and checkpoints a file; all others are opened with DATABASE_READER. A
 * struct database is used by one thread at a time; its owner locks.
 */
#ifndef DAYBOOK_BASE_DATABASE_H
#define DAYBOOK_BASE_DATABASE_H

#include "engine/base/id.h"

#include <daybook/status.h>

#include <sqlite3.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum database_mode {
    DATABASE_WRITER, /* creates the file where it is missing */
    DATABASE_READER, /* SQLITE_OPEN_READONLY; the file must exist */
    DATABASE_LOOK    /* the same for a look at its head: nothing of the file has been read yet */
};

struct database_options {
    enum database_mode mode;
    bool sync_full;  /* writer: synchronous=FULL, else NORMAL */
    int cache_kib;   /* page cache; 0 = 2,048 */
    int busy_ms;     /* wait for another connection's lock (only ever a reader's recovery) */
    const char *vfs; /* NULL: SQLite's default; tests name their own */
};

struct statement; /* a prepared statement that lives with its database */

struct database {
    sqlite3 *handle;
    struct statement **statements; /* by statement key, see dk_database_prepare */
    int statement_count;
    char problem[200]; /* SQLite's text for the failure that was seen last; for logs */
};

/* For a program that is nobody else's process, before it opens the first database: SQLite does not
 * count the memory of the whole process, which takes a lock for each piece. */
void dk_database_own_process(void);

/* Opens and sets: WAL, synchronous, foreign_keys off, temp_store memory, trusted_schema off,
 * defensive on, secure_delete off, cache size, mmap off. The writer checks that the file is a
 * database (NOT_A_STORE) and writable (CANNOT_OPEN). On failure nothing stays open. */
daybook_status dk_database_open(struct database *database, const char *path,
                                const struct database_options *options);
/* Finalizes all statements. NULL handle is fine. */
void dk_database_close(struct database *database);

/* Runs literal SQL without results, several statements allowed. */
daybook_status dk_database_run(struct database *database, const char *sql);
/* The one number that a statement yields; 0 where it yields no row. */
daybook_status dk_database_number(struct database *database, const char *sql, int64_t *number);
/* Maps the handle's last SQLite result to a status and keeps its text: FULL -> DISK_FULL, NOMEM ->
 * NO_MEMORY, CORRUPT -> CORRUPT, NOTADB -> NOT_A_STORE, BUSY/LOCKED -> BUSY, INTERRUPT ->
 * INTERRUPTED, READONLY/CANTOPEN/PERM -> CANNOT_OPEN, IOERR -> IO (IOERR with ENOSPC -> DISK_FULL),
 * TOOBIG -> TOO_LARGE, else INTERNAL. */
daybook_status dk_database_status(struct database *database, int result);

/* BEGIN IMMEDIATE. */
daybook_status dk_database_begin(struct database *database);
/* On failure the transaction is rolled back. */
daybook_status dk_database_commit(struct database *database);
/* No transaction open: no-op. */
void dk_database_rollback(struct database *database);
/* FULL or NORMAL from here on; outside a transaction. */
daybook_status dk_database_synchronous(struct database *database, bool full);

/* A cached statement. `slot` is the address of a caller's member (struct statement *, NULL at
 * first), so each SQL literal stands where it is used and is prepared once per connection; the
 * cache owns it. NULL on failure, with *status set. The statement returned is reset and unbound. */
struct statement *dk_statement(struct database *database, struct statement **slot, const char *sql,
                               daybook_status *status);

/* Binding is by position from 1 and sticky: a failure is reported by the next step. Text and blob
 * are borrowed until the statement is reset or stepped to the end. A NULL pointer binds NULL. */
void dk_bind_int(struct statement *statement, int position, int64_t number);
void dk_bind_text(struct statement *statement, int position, const char *text, size_t length);
void dk_bind_blob(struct statement *statement, int position, const void *bytes, size_t length);
void dk_bind_id(struct statement *statement, int position, const struct id *id);
void dk_bind_null(struct statement *statement, int position);

/* One row: *row true and the columns readable until the next step or reset; at the end *row false
 * and it resets itself. */
daybook_status dk_step(struct statement *statement, bool *row);
/* Steps a statement that returns no row, and resets it. */
daybook_status dk_step_done(struct statement *statement);
void dk_reset(struct statement *statement);

bool dk_column_is_null(struct statement *statement, int column); /* columns from 0 */
int64_t dk_column_int(struct statement *statement, int column);
/* NULL for SQL NULL. */
const char *dk_column_text(struct statement *statement, int column, size_t *length);
const void *dk_column_blob(struct statement *statement, int column, size_t *length);
/* False unless a blob of 16 bytes. */
bool dk_column_id(struct statement *statement, int column, struct id *id);

/* Rows changed by the last statement. */
int dk_database_changes(struct database *database);
/* Rows changed since it was opened. */
int64_t dk_database_writes(struct database *database);
#endif
