/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns how far the snapshot of each bucket has come, in table scope: which of its pages is next,
 * and from which position on it is complete. Called by apply, and for the request. Invariants:
 * memory.state.loading counts the buckets that are not complete; a row is stale only while its
 * bucket waits for pages.
 *
 * scope.loading: 1 pages are to come, from behind (after_entity, after_id) on; 2 all pages are in,
 * and the log is read up to `until`, the highest head that one of them had; 0 complete.
 */
#include "engine/store/inside.h"

#include "engine/base/text.h"

/* Runs SQL of our own making, then counts again. */
static daybook_status run_and_count(struct store *store, const char *sql)
{
    daybook_status status = dk_database_run(&store->database, sql);
    return status == DAYBOOK_OK ? dk_loading_count(store) : status;
}

daybook_status dk_loading_count(struct store *store)
{
    daybook_status status;
    bool row;
    struct statement *count =
        dk_statement(&store->database, &store->slots.loading_count,
                     "SELECT count(*) FILTER(WHERE loading<>0), count(*) FILTER(WHERE loading=1),"
                     " count(*) FILTER(WHERE repaired_ms<>0) FROM scope",
                     &status);
    if (count == NULL) {
        return status;
    }
    status = dk_step(count, &row);
    if (status != DAYBOOK_OK || !row) {
        return status == DAYBOOK_OK ? DAYBOOK_CORRUPT : status;
    }
    store->memory.state.loading = dk_column_int(count, 0);
    store->memory.paging = dk_column_int(count, 1);
    store->memory.repaired = dk_column_int(count, 2);
    dk_reset(count);
    return DAYBOOK_OK;
}

daybook_status dk_loading_all(struct store *store)
{
    return run_and_count(store,
                         "UPDATE scope SET loading=1,after_entity=NULL,after_id=NULL,until=0");
}

/* ---- one bucket */

daybook_status dk_loading_find(struct store *store, int64_t bucket, struct arena *arena,
                               struct page_key *after, bool *found)
{
    daybook_status status;
    struct statement *find = dk_statement(
        &store->database, &store->slots.loading_find,
        "SELECT after_entity,after_id FROM scope WHERE bucket=? AND loading=1", &status);
    *found = false;
    after->entity = NULL;
    after->entity_length = 0;
    if (find == NULL) {
        return status;
    }
    dk_bind_int(find, 1, bucket);
    status = dk_step(find, found);
    if (status != DAYBOOK_OK || !*found) {
        return status;
    }
    const char *entity = dk_column_text(find, 0, &after->entity_length);
    if (entity != NULL) {
        after->entity = dk_arena_copy(arena, entity, after->entity_length);
        status = after->entity == NULL               ? DAYBOOK_NO_MEMORY
                 : dk_column_id(find, 1, &after->id) ? DAYBOOK_OK
                                                     : DAYBOOK_CORRUPT;
    }
    dk_reset(find);
    return status;
}

daybook_status dk_loading_advance(struct store *store, int64_t bucket, const struct page_key *next,
                                  int64_t head)
{
    daybook_status status;
    struct statement *advance =
        dk_statement(&store->database, &store->slots.loading_advance,
                     "UPDATE scope SET loading=?2,after_entity=?3,after_id=?4,until=max(until,?5)"
                     " WHERE bucket=?1",
                     &status);
    if (advance == NULL) {
        return status;
    }
    dk_bind_int(advance, 1, bucket);
    dk_bind_int(advance, 2, next->entity != NULL ? 1 : 2);
    if (next->entity != NULL) {
        dk_bind_text(advance, 3, next->entity, next->entity_length);
        dk_bind_id(advance, 4, &next->id);
    }
    dk_bind_int(advance, 5, head);
    return dk_step_done(advance);
}

daybook_status dk_loading_begin(struct store *store, int64_t bucket)
{
    char sql[160];
    (void)dk_text_format(sql, sizeof sql,
                         "UPDATE scope SET loading=1,after_entity=NULL,after_id=NULL,until=0"
                         " WHERE bucket=%lld",
                         (long long)bucket);
    daybook_status status = dk_database_run(&store->database, sql);
    if (status == DAYBOOK_OK && dk_database_changes(&store->database) == 0) {
        status = DAYBOOK_NOT_FOUND;
    }
    if (status == DAYBOOK_OK) {
        status = dk_stale_bucket(store, bucket);
    }
    return status == DAYBOOK_OK ? dk_loading_count(store) : status;
}

/* What is stale by now no page of its bucket will bring; and buckets whose pages are in are
 * complete when the log has been read as far as they were. */
daybook_status dk_apply_loaded(struct apply *apply)
{
    struct store *store = apply->store;
    char sql[120];
    daybook_status status = DAYBOOK_OK;
    if (store->memory.state.loading > 0) {
        (void)dk_text_format(sql, sizeof sql,
                             "UPDATE scope SET loading=0 WHERE loading=2 AND until<=%lld",
                             (long long)apply->reply->position);
        status = run_and_count(store, sql);
    }
    if (status == DAYBOOK_OK && store->memory.stale &&
        (apply->bucket_ended || store->memory.paging == 0)) {
        status = dk_apply_drop_stale(apply);
    }
    return status;
}

/* ---- for the syncer */

daybook_status dk_store_write_loading(struct store *store, struct buffer *out)
{
    daybook_status status;
    bool row;
    const char *separator = "[";
    (void)pthread_mutex_lock(&store->lock);
    struct statement *list =
        dk_statement(&store->database, &store->slots.loading_list,
                     "SELECT bucket,after_entity,after_id FROM scope WHERE loading=1"
                     " ORDER BY bucket",
                     &status);
    while (list != NULL && (status = dk_step(list, &row)) == DAYBOOK_OK && row) {
        size_t length;
        struct id id;
        char wire[ID_WIRE_LENGTH];
        dk_buffer_append_text(out, separator);
        dk_buffer_append_char(out, '[');
        dk_buffer_append_int(out, dk_column_int(list, 0));
        const char *entity = dk_column_text(list, 1, &length);
        if (entity != NULL && dk_column_id(list, 2, &id)) {
            dk_buffer_append_char(out, ',');
            dk_json_write_string(out, entity, length);
            dk_id_to_wire(&id, wire);
            dk_buffer_append_text(out, ",\"");
            dk_buffer_append(out, wire, sizeof wire);
            dk_buffer_append_char(out, '"');
        }
        dk_buffer_append_char(out, ']');
        separator = ",";
    }
    (void)pthread_mutex_unlock(&store->lock);
    if (*separator == ',') {
        dk_buffer_append_char(out, ']');
    }
    return status != DAYBOOK_OK ? status : out->status;
}

daybook_status dk_store_reload(struct store *store, int64_t bucket)
{
    daybook_status status = dk_store_begin(store);
    if (status != DAYBOOK_OK) {
        return status;
    }
    status = dk_loading_begin(store, bucket);
    if (status == DAYBOOK_OK) {
        store->changed |= STORE_CHANGED_SYNC;
        status = dk_store_write_meta(store);
    }
    return dk_store_end(store, status);
}
