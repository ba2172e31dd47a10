/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns one SQLite connection of the store: opening, transactions, and what all verbs need to run a
 * statement. The decider opens the one writer, each worker a reader; the writer is closed last.
 * Invariant: what a connection remembers of numbers (interns) never outlives the transaction or
 * savepoint that gave them, unless that is committed.
 */
#include "sync-server/store/sqlite.h"

#include "engine/base/memory.h"
#include "engine/base/text.h"

#include <assert.h>
#include <string.h>

#define PATH_SIZE 4096
#define CACHE_WRITER_KIB 65536
#define CACHE_READER_KIB 16384
#define BUSY_MS 10000
/* bytes of the stamps that one statement puts */
#define STAMPS_SIZE_MAX ((size_t)1024 * 1024 * SQLITE_INSERT_ROWS)

/* ---- statements ---- */

/* Where SQLite has ended the transaction by itself, remembers why. */
static void note_loss(struct sqlite_store *sqlite, daybook_status status)
{
    bool writing = sqlite->base.phase == STORE_WRITING || sqlite->base.phase == STORE_SAVEPOINT;
    if (writing && sqlite->lost == DAYBOOK_OK &&
        sqlite3_get_autocommit(sqlite->database.handle) != 0) {
        sqlite->lost = status;
    }
}

/* Turns a failed step into what the caller gets, once: uniqueness is the caller's to handle, all
 * else is logged with SQLite's text, which holds names and never values. A broken constraint has no
 * status of its own below, so only INTERNAL is looked at. */
static daybook_status fail(struct sqlite_store *sqlite, daybook_status status)
{
    int code = sqlite3_extended_errcode(sqlite->database.handle);
    if (status == DAYBOOK_INTERNAL &&
        (code == SQLITE_CONSTRAINT_PRIMARYKEY || code == SQLITE_CONSTRAINT_UNIQUE ||
         code == SQLITE_CONSTRAINT_ROWID)) {
        return DAYBOOK_EXISTS;
    }
    note_loss(sqlite, status);
    dk_log(&sqlite->log, LOG_ERROR, "store: status %d: %s", (int)status, sqlite->database.problem);
    return status;
}

/* See sqlite.h. */
struct statement *srv_sqlite_statement(struct sqlite_store *sqlite, struct statement **slot,
                                       const char *sql, daybook_status *status)
{
    if (sqlite->lost != DAYBOOK_OK) {
        *status = sqlite->lost;
        return NULL;
    }
    struct statement *statement = dk_statement(&sqlite->database, slot, sql, status);
    if (statement == NULL) {
        *status = fail(sqlite, *status);
    }
    return statement;
}

/* See sqlite.h. */
daybook_status srv_sqlite_step(struct sqlite_store *sqlite, struct statement *statement, bool *row)
{
    daybook_status status = dk_step(statement, row);
    return status == DAYBOOK_OK ? DAYBOOK_OK : fail(sqlite, status);
}

/* See sqlite.h. */
daybook_status srv_sqlite_run(struct sqlite_store *sqlite, struct statement *statement)
{
    daybook_status status = dk_step_done(statement);
    return status == DAYBOOK_OK ? DAYBOOK_OK : fail(sqlite, status);
}

/* Prepares, if need be, and runs a statement without parameters. */
static daybook_status run_literal(struct sqlite_store *sqlite, struct statement **slot,
                                  const char *sql)
{
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(sqlite, slot, sql, &status);
    return statement == NULL ? status : srv_sqlite_run(sqlite, statement);
}

/* ---- transactions ---- */

/* Notes how much each intern holds. */
static void mark_interns(const struct sqlite_store *sqlite, int marks[INTERN_COUNT])
{
    for (int i = 0; i < INTERN_COUNT; i++) {
        marks[i] = srv_intern_mark(&sqlite->interns[i]);
    }
}

/* Forgets what was added since the marks. */
static void undo_interns(struct sqlite_store *sqlite, const int marks[INTERN_COUNT])
{
    for (int i = 0; i < INTERN_COUNT; i++) {
        srv_intern_undo(&sqlite->interns[i], marks[i]);
    }
}

/* Empties interns that have grown past their bound: nothing of them is lent out. */
static void trim_interns(struct sqlite_store *sqlite)
{
    for (int i = 0; i < INTERN_COUNT; i++) {
        srv_intern_trim(&sqlite->interns[i]);
    }
}

/* Takes the write lock at once. */
static daybook_status sqlite_begin(struct srv_store *store)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    sqlite->lost = DAYBOOK_OK;
    sqlite->begin_epoch = sqlite->epoch;
    daybook_status status = dk_database_begin(&sqlite->database);
    if (status != DAYBOOK_OK) {
        return fail(sqlite, status);
    }
    mark_interns(sqlite, sqlite->begin_marks);
    return DAYBOOK_OK;
}

/* Forgets the transaction: what it numbered, and that it was lost. */
static void sqlite_rollback(struct srv_store *store)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    dk_database_rollback(&sqlite->database);
    undo_interns(sqlite, sqlite->begin_marks);
    sqlite->epoch = sqlite->begin_epoch;
    sqlite->lost = DAYBOOK_OK;
}

/* A transaction that SQLite gave up earlier fails here with the reason of that time. */
static daybook_status sqlite_commit(struct srv_store *store)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status = sqlite->lost;
    if (status == DAYBOOK_OK) {
        status = dk_database_commit(&sqlite->database);
        status = status == DAYBOOK_OK ? DAYBOOK_OK : fail(sqlite, status);
    }
    if (status != DAYBOOK_OK) {
        sqlite_rollback(store);
        return status;
    }
    trim_interns(sqlite);
    return DAYBOOK_OK;
}

/* Of all statements. */
static int64_t sqlite_writes(struct srv_store *store)
{
    return dk_database_writes(&srv_sqlite(store)->database);
}

/* Notes what interns hold, for sqlite_rollback_to. */
static daybook_status sqlite_savepoint(struct srv_store *store)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status =
        run_literal(sqlite, &sqlite->statements.savepoint, "SAVEPOINT changeset");
    if (status == DAYBOOK_OK) {
        mark_interns(sqlite, sqlite->savepoint_marks);
    }
    return status;
}

/* What was added in the savepoint is now the transaction's. */
static daybook_status sqlite_release(struct srv_store *store)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    return run_literal(sqlite, &sqlite->statements.release, "RELEASE changeset");
}

/* SQLite keeps a savepoint that it has rolled back to; the release takes it away. */
static daybook_status sqlite_rollback_to(struct srv_store *store)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status =
        run_literal(sqlite, &sqlite->statements.rollback_to, "ROLLBACK TO changeset");
    if (status == DAYBOOK_OK) {
        undo_interns(sqlite, sqlite->savepoint_marks);
        status = sqlite_release(store);
    }
    return status;
}

/* The snapshot is taken by the first statement that reads. */
static daybook_status sqlite_begin_read(struct srv_store *store)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    return run_literal(sqlite, &sqlite->statements.begin_read, "BEGIN");
}

/* Cannot fail in a way that matters: nothing was written, and the next begin_read would tell. After
 * an error SQLite may have ended it by itself. */
static void sqlite_end_read(struct srv_store *store)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    if (sqlite3_get_autocommit(sqlite->database.handle) == 0) {
        (void)run_literal(sqlite, &sqlite->statements.end_read, "COMMIT");
    }
    dk_database_rollback(&sqlite->database);
    trim_interns(sqlite);
}

/* ---- open and close ---- */

/* See store.h. */
static uint64_t sqlite_epoch(struct srv_store *store)
{
    return srv_sqlite(store)->epoch;
}

/* Frees all; also what a failed open has made so far. */
static void sqlite_close(struct srv_store *store)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    dk_database_close(&sqlite->database);
    for (int i = 0; i < INTERN_COUNT; i++) {
        srv_intern_clear(&sqlite->interns[i]);
    }
    dk_buffer_clear(&sqlite->stamps);
    dk_memory_free(sqlite);
}

static const struct srv_store_operations operations = {
    .close = sqlite_close,
    .epoch = sqlite_epoch,
    .new_epoch = srv_sqlite_new_epoch,
    .get_converted = srv_sqlite_get_converted,
    .set_converted = srv_sqlite_set_converted,
    .epoch_end = srv_sqlite_epoch_end,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .writes = sqlite_writes,
    .savepoint = sqlite_savepoint,
    .release = sqlite_release,
    .rollback_to = sqlite_rollback_to,
    .begin_read = sqlite_begin_read,
    .end_read = sqlite_end_read,
    .add_given = srv_sqlite_add_given,
    .given = srv_sqlite_given,
    .remove_given = srv_sqlite_remove_given,
    .list_given = srv_sqlite_list_given,
    .add_organisation = srv_sqlite_add_organisation,
    .organisations = srv_sqlite_organisations,
    .set_head = srv_sqlite_set_head,
    .get_head = srv_sqlite_get_head,
    .set_backup = srv_sqlite_set_backup,
    .get_backup = srv_sqlite_get_backup,
    .put_account = srv_sqlite_put_account,
    .get_account = srv_sqlite_get_account,
    .find_login = srv_sqlite_find_login,
    .account_moved = srv_sqlite_account_moved,
    .add_placement = srv_sqlite_add_placement,
    .placed_at = srv_sqlite_placed_at,
    .inherit_placements = srv_sqlite_inherit_placements,
    .add_account_state = srv_sqlite_add_account_state,
    .account_at = srv_sqlite_account_at,
    .reports_at = srv_sqlite_reports_at,
    .add_code = srv_sqlite_add_code,
    .take_code = srv_sqlite_take_code,
    .add_device = srv_sqlite_add_device,
    .find_device = srv_sqlite_find_device,
    .find_instance = srv_sqlite_find_instance,
    .owns_number = srv_sqlite_owns_number,
    .other_numbers = srv_sqlite_other_numbers,
    .lease = srv_sqlite_lease,
    .list_devices = srv_sqlite_list_devices,
    .revoke = srv_sqlite_revoke,
    .mark_device = srv_sqlite_mark_device,
    .add_divergences = srv_sqlite_add_divergences,
    .add_decision = srv_sqlite_add_decision,
    .adopt_decision = srv_sqlite_adopt_decision,
    .find_inherited = srv_sqlite_find_inherited,
    .find_decision = srv_sqlite_find_decision,
    .has_seq = srv_sqlite_has_seq,
    .markers = srv_sqlite_markers,
    .add_claim = srv_sqlite_add_claim,
    .find_claim = srv_sqlite_find_claim,
    .add_quarantine = srv_sqlite_add_quarantine,
    .has_quarantine = srv_sqlite_has_quarantine,
    .measure_quarantine = srv_sqlite_measure_quarantine,
    .list_quarantine = srv_sqlite_list_quarantine,
    .find_quarantine = srv_sqlite_find_quarantine,
    .end_quarantine = srv_sqlite_end_quarantine,
    .ended_quarantine = srv_sqlite_ended_quarantine,
    .remove_claims = srv_sqlite_remove_claims,
    .replace_verdict = srv_sqlite_replace_verdict,
    .get = srv_sqlite_get,
    .put = srv_sqlite_put,
    .put_new = srv_sqlite_put_new,
    .any_between = srv_sqlite_any_between,
    .related = srv_sqlite_related,
    .visits = srv_sqlite_visits,
    .visits_from = srv_sqlite_visits_from,
    .list = srv_sqlite_list,
    .bucket = srv_sqlite_bucket,
    .bucket_in = srv_sqlite_bucket_in,
    .buckets = srv_sqlite_buckets,
    .find_bucket = srv_sqlite_find_bucket,
    .next_bucket = srv_sqlite_next_bucket,
    .add_sum = srv_sqlite_add_sum,
    .get_sum = srv_sqlite_get_sum,
    .append_log = srv_sqlite_append_log,
    .add_eviction = srv_sqlite_add_eviction,
    .any_left = srv_sqlite_any_left,
    .has_left = srv_sqlite_has_left,
    .bucket_records = srv_sqlite_bucket_records,
    .get_floor = srv_sqlite_get_floor,
    .raise_floor = srv_sqlite_raise_floor,
    .position_before = srv_sqlite_position_before,
    .cut = srv_sqlite_cut,
    .log_open = srv_sqlite_log_open,
    .log_next = srv_sqlite_log_next,
    .log_close = srv_sqlite_log_close,
    .header = srv_sqlite_header,
    .header_text = srv_sqlite_header_text,
};

/* Opens folder/server.db with the house's pragmas. A failure is worded in `problem`. */
static daybook_status open_database(struct sqlite_store *sqlite,
                                    const struct srv_store_options *options, char *problem,
                                    size_t problem_size)
{
    char path[PATH_SIZE];
    if (!dk_text_format(path, sizeof path, "%s/server.db", options->folder)) {
        (void)dk_text_format(problem, problem_size, "the folder's path is too long");
        return DAYBOOK_INVALID;
    }
    struct database_options database = {
        .mode = options->writer ? DATABASE_WRITER : DATABASE_READER,
        .sync_full = true,
        .cache_kib = options->writer ? CACHE_WRITER_KIB : CACHE_READER_KIB,
        .busy_ms = BUSY_MS,
        .vfs = options->vfs,
    };
    daybook_status status = dk_database_open(&sqlite->database, path, &database);
    if (status == DAYBOOK_OK && options->writer) {
        /* Larger steps than SQLite's 1,000 pages: a checkpoint costs two more fsyncs. */
        status = dk_database_run(&sqlite->database, "PRAGMA wal_autocheckpoint = 16000;"
                                                    "PRAGMA journal_size_limit = 67108864");
    }
    if (status != DAYBOOK_OK) {
        (void)dk_text_format(problem, problem_size, "%s: %s", path, sqlite->database.problem);
    }
    return status;
}

/* See store.h. On failure *store is NULL and nothing stays open. */
daybook_status srv_store_open_sqlite(const struct srv_store_options *options,
                                     struct srv_store **store, char *problem, size_t problem_size)
{
    *store = NULL;
    struct sqlite_store *sqlite = dk_memory_new(1, sizeof *sqlite);
    if (sqlite == NULL) {
        (void)dk_text_format(problem, problem_size, "memory is used up");
        return DAYBOOK_NO_MEMORY;
    }
    sqlite->base.operations = &operations;
    sqlite->base.writer = options->writer;
    sqlite->log = options->log;
    dk_buffer_init(&sqlite->stamps, STAMPS_SIZE_MAX);
    uint64_t seed = 0;
    sqlite3_randomness((int)sizeof seed, &seed);
    for (int i = 0; i < INTERN_COUNT; i++) {
        srv_intern_init(&sqlite->interns[i], seed);
    }
    daybook_status status = open_database(sqlite, options, problem, problem_size);
    if (status == DAYBOOK_OK) {
        status = srv_sqlite_schema(sqlite, options->writer, problem, problem_size);
    }
    if (status != DAYBOOK_OK) {
        sqlite_close(&sqlite->base);
        return status;
    }
    *store = &sqlite->base;
    return DAYBOOK_OK;
}
