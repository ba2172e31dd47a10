/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the store itself: opening and closing, the one transaction that each call makes, and the
 * state that memory keeps of the file. Called by the API and the syncer. Invariant: outside of a
 * transaction, memory says what the file says, but for the clock and the time of the last sync,
 * which are written with the next transaction that writes meta.
 */
#include "engine/store/inside.h"

#include "engine/base/memory.h"
#include "engine/base/text.h"

#include <assert.h>
#include <string.h>

#define CACHE_KIB_DEFAULT 4096
#define BUSY_MS 2000
#define CLOCK_WRITE_MS 1000   /* a change of the clock's offset by more is written at once */
#define SYNCED_WRITE_MS 60000 /* the time of the last sync is written at most once in this time */

uint64_t dk_store_bit(int kind)
{
    return (uint64_t)1 << kind;
}

int64_t dk_store_wall_ms(struct store *store)
{
    return store->platform.wall_ms(store->platform.context);
}

/* ---- ids */

/* Random bytes are fetched in bulk: a call into the system per record would show. */
daybook_status dk_store_random_id(struct store *store, struct id *id)
{
    enum { EACH = 10 };
    if (store->random_left < EACH) {
        if (!store->platform.random(store->platform.context, store->random, sizeof store->random)) {
            return DAYBOOK_IO;
        }
        store->random_left = sizeof store->random;
    }
    store->random_left -= EACH;
    *id = dk_id_make(&store->ids, dk_store_wall_ms(store), store->random + store->random_left);
    return DAYBOOK_OK;
}

daybook_status dk_store_new_id(struct store *store, struct id *id)
{
    (void)pthread_mutex_lock(&store->lock);
    daybook_status status = dk_store_random_id(store, id);
    (void)pthread_mutex_unlock(&store->lock);
    return status;
}

/* ---- transactions */

daybook_status dk_store_begin(struct store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    store->saved = store->memory;
    store->changed = 0;
    dk_arena_reset(&store->arena);
    dk_arena_reset(&store->work);
    daybook_status status = dk_database_begin(&store->database);
    if (status != DAYBOOK_OK) {
        (void)pthread_mutex_unlock(&store->lock);
    }
    return status;
}

daybook_status dk_store_end(struct store *store, daybook_status status)
{
    status = status == DAYBOOK_OK ? dk_sums_write(store) : status;
    status = status == DAYBOOK_OK ? dk_number_reserve(store) : status;
    if (status == DAYBOOK_OK) {
        status = dk_database_commit(&store->database);
    } else {
        dk_database_rollback(&store->database);
    }
    if (status != DAYBOOK_OK) {
        dk_sums_forget(store);
        store->memory = store->saved;
        store->changed = 0;
        dk_log(&store->options.log, LOG_WARN, "store: transaction rolled back, status %d: %s",
               (int)status, store->database.problem);
    }
    dk_outbox_forget(store);
    atomic_store(&store->epoch, store->memory.state.epoch);
    uint64_t changed = store->changed;
    (void)pthread_mutex_unlock(&store->lock);
    if (changed != 0 && store->options.changed != NULL) {
        store->options.changed(store->options.context, changed);
    }
    return status;
}

/* ---- the row of meta */

/* An id column; NULL is the zero id. */
static void read_optional_id(struct statement *statement, int column, struct id *id)
{
    if (!dk_column_id(statement, column, id)) {
        memset(id, 0, sizeof *id);
    }
}

/* A text column into a fixed text; false where it is NULL or too long. */
static bool copy_text(struct statement *statement, int column, char *out, size_t size)
{
    const char *text = dk_column_text(statement, column, NULL);
    return text != NULL && dk_text_format(out, size, "%s", text);
}

/* Whether a number that the file has can be a count: a position, a seq. */
static bool is_count(int64_t number)
{
    return number >= 0 && number <= LIMIT_NUMBER;
}

/* Whether what other code reckons with lies where it must, whatever has become of the file. */
static bool check_state(const struct store *store)
{
    const struct store_state *state = &store->memory.state;
    const int64_t counts[] = {state->position,      state->head,
                              state->safe_position, state->next_seq,
                              state->settled,       store->memory.sent_seq,
                              state->inbox_last,    store->memory.next_slot};
    bool fine = state->epoch <= LIMIT_EPOCH && store->memory.stale_epoch <= LIMIT_EPOCH &&
                state->clock.last <= INT64_MAX;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        fine = fine && is_count(counts[i]);
    }
    return fine;
}

/* Times come from clocks, which may be set to anything. One that cannot be is as if it were not
 * known: the next sync brings it again. */
static void mend_times(struct store_state *state)
{
    int64_t *const times[] = {&state->clock.offset_ms, &state->last_synced_ms, &state->verified_ms};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        if (*times[i] < -LIMIT_NUMBER || *times[i] > LIMIT_NUMBER) {
            *times[i] = 0;
        }
    }
}

/* The columns of meta, in the order of write_meta. *stamp_seq: outbox rows from here on may have
 * later stamps than the clock. */
static daybook_status load_meta(struct store *store, int64_t *stamp_seq)
{
    struct store_state *state = &store->memory.state;
    daybook_status status;
    bool row;
    struct statement *load = dk_statement(
        &store->database, &store->slots.meta_load,
        "SELECT "
        "instance,device_no,token,organisation,user_id,territory,role,epoch,stale_epoch,stale,"
        "position,head,safe_position,next_seq,settled,sent_seq,stamp,stamp_seq,offset_ms,synced_ms,"
        "verified_ms"
        " FROM meta",
        &status);
    if (load == NULL) {
        return status;
    }
    status = dk_step(load, &row);
    if (status != DAYBOOK_OK || !row) {
        return status == DAYBOOK_OK ? DAYBOOK_CORRUPT : status;
    }
    bool fine = dk_column_id(load, 0, &state->instance);
    state->device_no = (uint32_t)dk_column_int(load, 1);
    fine = copy_text(load, 2, state->token, sizeof state->token) && fine;
    read_optional_id(load, 3, &state->organisation);
    read_optional_id(load, 4, &state->user);
    read_optional_id(load, 5, &state->territory);
    fine = copy_text(load, 6, state->role, sizeof state->role) && fine;
    state->epoch = (uint64_t)dk_column_int(load, 7);
    store->memory.stale_epoch = (uint64_t)dk_column_int(load, 8);
    store->memory.stale = dk_column_int(load, 9) != 0;
    state->position = dk_column_int(load, 10);
    state->head = dk_column_int(load, 11);
    state->safe_position = dk_column_int(load, 12);
    state->next_seq = dk_column_int(load, 13);
    state->settled = dk_column_int(load, 14);
    store->memory.sent_seq = dk_column_int(load, 15);
    state->clock.last = (hlc)dk_column_int(load, 16);
    *stamp_seq = dk_column_int(load, 17);
    state->clock.offset_ms = dk_column_int(load, 18);
    state->last_synced_ms = dk_column_int(load, 19);
    state->verified_ms = dk_column_int(load, 20);
    dk_reset(load);
    return fine ? DAYBOOK_OK : DAYBOOK_CORRUPT;
}

/* The counterpart of read_optional_id. */
static void bind_optional_id(struct statement *statement, int position, const struct id *id)
{
    if (!dk_id_is_zero(id)) {
        dk_bind_id(statement, position, id);
    }
}

daybook_status dk_store_write_meta(struct store *store)
{
    const struct store_state *state = &store->memory.state;
    daybook_status status;
    struct statement *write = dk_statement(
        &store->database, &store->slots.meta_write,
        "UPDATE meta SET "
        "instance=?,device_no=?,token=?,organisation=?,user_id=?,territory=?,role=?,epoch=?,"
        "stale_epoch=?,stale=?,position=?,head=?,safe_position=?,next_seq=?,settled=?,sent_seq=?,"
        "stamp=?,"
        "stamp_seq=?,offset_ms=?,synced_ms=?,verified_ms=?",
        &status);
    if (write == NULL) {
        return status;
    }
    dk_bind_id(write, 1, &state->instance);
    dk_bind_int(write, 2, state->device_no);
    dk_bind_text(write, 3, state->token, strlen(state->token));
    bind_optional_id(write, 4, &state->organisation);
    bind_optional_id(write, 5, &state->user);
    bind_optional_id(write, 6, &state->territory);
    dk_bind_text(write, 7, state->role, strlen(state->role));
    dk_bind_int(write, 8, (int64_t)state->epoch);
    dk_bind_int(write, 9, (int64_t)store->memory.stale_epoch);
    dk_bind_int(write, 10, store->memory.stale);
    dk_bind_int(write, 11, state->position);
    dk_bind_int(write, 12, state->head);
    dk_bind_int(write, 13, state->safe_position);
    dk_bind_int(write, 14, state->next_seq);
    dk_bind_int(write, 15, state->settled);
    dk_bind_int(write, 16, store->memory.sent_seq);
    dk_bind_int(write, 17, (int64_t)state->clock.last);
    dk_bind_int(write, 18, state->next_seq);
    dk_bind_int(write, 19, state->clock.offset_ms);
    dk_bind_int(write, 20, state->last_synced_ms);
    dk_bind_int(write, 21, state->verified_ms);
    status = dk_step_done(write);
    if (status == DAYBOOK_OK) {
        store->memory.meta_dirty = false;
        store->synced_written_ms = state->last_synced_ms;
    }
    return status;
}

/* ---- opening */

/* What memory derives from the outbox and the other tables: see struct store_memory. */
static daybook_status load_counts(struct store *store, int64_t stamp_seq)
{
    struct store_state *state = &store->memory.state;
    daybook_status status;
    bool row;
    struct statement *count = dk_statement(
        &store->database, &store->slots.outbox_count,
        "SELECT coalesce(max(seq),0), count(*) FILTER(WHERE verdict=0),"
        " count(*) FILTER(WHERE verdict BETWEEN 1 AND 8), (SELECT count(*) FROM pending),"
        " (SELECT count(*) FROM inbox_item WHERE root IS NULL),"
        " (SELECT stamp FROM outbox WHERE seq>=? ORDER BY seq DESC LIMIT 1),"
        " count(*) FILTER(WHERE verdict=9), (SELECT count(*) FROM hidden),"
        " (SELECT coalesce(max(slot),0)+1 FROM pending),"
        " (SELECT coalesce(max(item),0) FROM inbox_item), coalesce(min(seq),1) FROM outbox",
        &status);
    if (count == NULL) {
        return status;
    }
    dk_bind_int(count, 1, stamp_seq);
    status = dk_step(count, &row);
    if (status != DAYBOOK_OK || !row) {
        return status == DAYBOOK_OK ? DAYBOOK_CORRUPT : status;
    }
    int64_t first = dk_column_int(count, 10), last = dk_column_int(count, 0);
    if (first < 1 || !is_count(last)) {
        return DAYBOOK_CORRUPT;
    }
    hlc stamp = (hlc)dk_column_int(count, 5);
    store->memory.kept = dk_column_int(count, 6);
    store->memory.hidden_rows = dk_column_int(count, 7);
    store->memory.next_slot = dk_column_int(count, 8);
    state->next_seq = last >= state->next_seq ? last + 1 : state->next_seq;
    state->pending = dk_column_int(count, 1);
    state->unsettled = dk_column_int(count, 2);
    store->memory.pending_rows = dk_column_int(count, 3);
    state->inbox = dk_column_int(count, 4);
    state->inbox_last = dk_column_int(count, 9);
    state->clock.last = stamp > state->clock.last ? stamp : state->clock.last;
    dk_reset(count);
    if (!check_state(store)) {
        return DAYBOOK_CORRUPT;
    }
    mend_times(state);
    status = dk_loading_count(store);
    return status == DAYBOOK_OK ? dk_outbox_refresh(store) : status;
}

/* A database of somebody else must not be changed by so much as its journal mode. Only what shows
 * clearly that it is one counts here; whatever else is wrong the writer will find. To count the
 * tables reads the whole schema, so that is done only where the mark does not say enough. */
static daybook_status check_foreign(const struct store_options *options, char *problem,
                                    size_t problem_size)
{
    struct database file;
    struct database_options how = {.mode = DATABASE_LOOK, .vfs = options->vfs, .busy_ms = BUSY_MS};
    int64_t application = 0, tables = 0;
    daybook_status status = dk_database_open(&file, options->path, &how);
    if (status == DAYBOOK_OK) {
        status = dk_database_number(&file, "PRAGMA application_id", &application);
    }
    if (status == DAYBOOK_OK && application == 0) {
        status = dk_database_number(&file, "SELECT count(*) FROM sqlite_schema", &tables);
    }
    dk_database_close(&file);
    if (status == DAYBOOK_NOT_A_STORE) {
        (void)dk_text_format(problem, problem_size, "the file is not a database");
        return status;
    }
    if (status == DAYBOOK_OK && dk_schema_is_foreign(application, tables)) {
        (void)dk_text_format(problem, problem_size,
                             "the file is a database, but not a Daybook store");
        return DAYBOOK_NOT_A_STORE;
    }
    return DAYBOOK_OK;
}

/* Opens the file and brings memory up to it. On failure the caller closes. */
static daybook_status open_file(struct store *store, char *problem, size_t problem_size)
{
    struct database_options how = {
        .mode = DATABASE_WRITER,
        .sync_full = !store->options.relaxed,
        .cache_kib = store->options.cache_kib > 0 ? store->options.cache_kib : CACHE_KIB_DEFAULT,
        .busy_ms = BUSY_MS,
        .vfs = store->options.vfs};
    int64_t stamp_seq = 0;
    daybook_status status = check_foreign(&store->options, problem, problem_size);
    if (status != DAYBOOK_OK) {
        return status;
    }
    status = dk_database_open(&store->database, store->options.path, &how);
    if (status == DAYBOOK_OK) {
        status = dk_sums_open(store);
    }
    if (status == DAYBOOK_OK) {
        dk_schema_facts(store);
        status = dk_schema_open(store, problem, problem_size);
    }
    if (status == DAYBOOK_OK) {
        status = load_meta(store, &stamp_seq);
    }
    if (status == DAYBOOK_OK) {
        status = load_counts(store, stamp_seq);
    }
    if (status != DAYBOOK_OK && problem[0] == '\0') {
        (void)dk_text_format(problem, problem_size, "%s",
                             store->database.problem[0] != '\0' ? store->database.problem
                                                                : "the file is damaged");
    }
    return status;
}

/* Frees everything that open has made so far, file and lock included. */
static void free_store(struct store *store)
{
    dk_outbox_forget(store);
    dk_database_close(&store->database);
    dk_lock_release(store->lock_file);
    dk_arena_clear(&store->arena);
    dk_arena_clear(&store->work);
    dk_arena_clear(&store->row_arena);
    dk_buffer_clear(&store->body);
    dk_buffer_clear(&store->packed);
    dk_frame_free(store->codec);
    dk_memory_free(store->sums.slots);
    dk_buffer_clear(&store->text);
    (void)pthread_mutex_destroy(&store->lock);
    dk_memory_free((char *)store->options.path);
    dk_memory_free((char *)store->options.vfs);
    dk_memory_free(store);
}

/* A store that is not open yet, or NULL: no memory. */
static struct store *new_store(const struct store_options *options)
{
    struct store *store = dk_memory_new(1, sizeof *store);
    if (store == NULL) {
        return NULL;
    }
    if (pthread_mutex_init(&store->lock, NULL) != 0) {
        dk_memory_free(store);
        return NULL;
    }
    store->options = *options;
    store->platform = *options->platform;
    store->boot = store->platform.boot_id(store->platform.context) & INT64_MAX;
    store->lock_file = -1;
    dk_arena_init(&store->arena, STORE_ARENA_MAX);
    dk_arena_init(&store->work, STORE_ARENA_MAX);
    dk_arena_init(&store->row_arena, STORE_ARENA_MAX);
    dk_buffer_init(&store->body, LIMIT_CHANGESET_BYTES);
    dk_buffer_init(&store->packed, LIMIT_CHANGESET_BYTES + 4096);
    dk_buffer_init(&store->text, LIMIT_REPLY_EXPANDED);
    store->options.path = dk_memory_copy_text(options->path, strlen(options->path));
    store->options.vfs =
        options->vfs == NULL ? NULL : dk_memory_copy_text(options->vfs, strlen(options->vfs));
    if (store->options.path == NULL || (options->vfs != NULL && store->options.vfs == NULL)) {
        free_store(store);
        return NULL;
    }
    return store;
}

daybook_status dk_store_open(const struct store_options *options, struct store **store,
                             char *problem, size_t problem_size)
{
    *store = NULL;
    problem[0] = '\0';
    struct store *opened = new_store(options);
    if (opened == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    daybook_status status = dk_lock_take(options->path, options->vfs == NULL, &opened->lock_file,
                                         problem, problem_size);
    if (status == DAYBOOK_OK) {
        status = open_file(opened, problem, problem_size);
    }
    if (status != DAYBOOK_OK) {
        free_store(opened);
        return status;
    }
    atomic_store(&opened->epoch, opened->memory.state.epoch);
    *store = opened;
    return DAYBOOK_OK;
}

/* What is not written yet is the clock and the time of the last sync, and that reserved document
 * numbers are free; that this fails is no loss. */
void dk_store_close(struct store *store)
{
    if (store == NULL) {
        return;
    }
    bool reserved = dk_number_is_reserved(store);
    if ((store->memory.meta_dirty || reserved) && dk_store_begin(store) == DAYBOOK_OK) {
        daybook_status status = dk_store_write_meta(store);
        (void)dk_store_end(store, status == DAYBOOK_OK ? dk_number_return(store) : status);
    }
    free_store(store);
}

/* ---- state */

void dk_store_state(struct store *store, struct store_state *state)
{
    (void)pthread_mutex_lock(&store->lock);
    *state = store->memory.state;
    (void)pthread_mutex_unlock(&store->lock);
}

uint64_t dk_store_epoch(const struct store *store)
{
    return atomic_load(&store->epoch);
}

/* Writes meta in a transaction of its own. */
static daybook_status write_meta_now(struct store *store)
{
    daybook_status status = dk_store_begin(store);
    return status == DAYBOOK_OK ? dk_store_end(store, dk_store_write_meta(store)) : status;
}

/* In memory, and with the next transaction that writes meta; at once where the clock was off by so
 * much that stamps made after a restart would be wrong. */
daybook_status dk_store_learn_clock(struct store *store, int64_t sent_ms, int64_t received_ms,
                                    int64_t server_ms)
{
    (void)pthread_mutex_lock(&store->lock);
    int64_t before_ms = store->memory.state.clock.offset_ms;
    dk_hlc_learn(&store->memory.state.clock, sent_ms, received_ms, server_ms);
    store->memory.meta_dirty = true;
    int64_t after_ms = store->memory.state.clock.offset_ms;
    (void)pthread_mutex_unlock(&store->lock);
    bool far = after_ms > before_ms ? after_ms - before_ms > CLOCK_WRITE_MS
                                    : before_ms - after_ms > CLOCK_WRITE_MS;
    return far ? write_meta_now(store) : DAYBOOK_OK;
}

/* Written at most once a minute: it is worth no commit of its own after each change. */
daybook_status dk_store_synced(struct store *store, int64_t wall_ms)
{
    (void)pthread_mutex_lock(&store->lock);
    store->memory.state.last_synced_ms = wall_ms;
    store->memory.meta_dirty = true;
    int64_t written_ms = store->synced_written_ms;
    (void)pthread_mutex_unlock(&store->lock);
    if (wall_ms - written_ms < SYNCED_WRITE_MS && wall_ms >= written_ms) {
        return DAYBOOK_OK;
    }
    return write_meta_now(store);
}

/* At once: it happens once a day. */
daybook_status dk_store_verified(struct store *store, int64_t wall_ms)
{
    (void)pthread_mutex_lock(&store->lock);
    store->memory.state.verified_ms = wall_ms;
    (void)pthread_mutex_unlock(&store->lock);
    return write_meta_now(store);
}

/* ---- reading one record */

daybook_status dk_store_read(struct store *store, const struct entity *entity, const struct id *id,
                             struct arena *arena, struct record *record, bool *found)
{
    struct holding holding;
    (void)pthread_mutex_lock(&store->lock);
    daybook_status status = dk_pending_load(store, entity, id, arena, &holding);
    (void)pthread_mutex_unlock(&store->lock);
    *found = status == DAYBOOK_OK && holding.has_row;
    if (*found) {
        *record = holding.row.record;
    }
    return status;
}

daybook_status dk_store_holds(struct store *store, const struct entity *entity, const struct id *id,
                              struct arena *arena, struct sales_hold holds[SALES_HOLDS_MAX],
                              int *count, bool *found)
{
    struct sales_reader reader = dk_records_reader(store);
    struct holding holding;
    *count = 0;
    (void)pthread_mutex_lock(&store->lock);
    daybook_status status = dk_pending_load(store, entity, id, arena, &holding);
    *found = status == DAYBOOK_OK && holding.has_row;
    if (*found) {
        status = dk_sales_holds(&reader, &holding.row.record, arena, holds, count);
    }
    (void)pthread_mutex_unlock(&store->lock);
    return status;
}
