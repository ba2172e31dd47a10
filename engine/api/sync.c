/* SPDX-License-Identifier: Apache-2.0
 *
 * The sync entry points of daybook.h: enrolment, one run in the foreground, the thread, the badge.
 * Invariant: there is at most one worker, and it is started, stopped and replaced under `lifecycle`
 * only.
 */
#include "engine/api/engine.h"

#include "engine/base/text.h"
#include "engine/protocol/limits.h"

#include <string.h>

#define INTERVAL_MS_MAX ((int64_t)7 * 24 * 60 * 60 * 1000)

/* Words a failure of the network or the server. */
static daybook_status fail(daybook_error *error, daybook_status status,
                           const struct sync_failure *failure)
{
    char text[256];
    if (failure->http_status == 0) {
        return dk_error_text(error, status, failure->detail);
    }
    (void)dk_text_format(text, sizeof text, "%s (HTTP %d%s%s%s%s)", daybook_status_text(status),
                         failure->http_status, failure->code[0] != '\0' ? " " : "", failure->code,
                         failure->detail[0] != '\0' ? ": " : "", failure->detail);
    return dk_error_text(error, status, text);
}

/* Goes in, for calls that need a server. The caller leaves after OK. */
static daybook_status enter_for_sync(struct daybook *engine, daybook_error *error)
{
    if (engine == NULL || !dk_engine_enter(engine)) {
        return dk_error_text(error, DAYBOOK_MISUSE, NULL);
    }
    if (engine->syncer == NULL) {
        dk_engine_leave(engine);
        return dk_error_text(error, DAYBOOK_MISUSE, "the engine was opened without a server_url");
    }
    return DAYBOOK_OK;
}

/* Whether the thread runs. */
static bool is_running(struct daybook *engine)
{
    pthread_mutex_lock(&engine->worker_lock);
    bool running = engine->worker != NULL;
    pthread_mutex_unlock(&engine->worker_lock);
    return running;
}

/* Wakes the thread, if there is one. */
static void wake(struct daybook *engine)
{
    pthread_mutex_lock(&engine->worker_lock);
    if (engine->worker != NULL) {
        dk_worker_wake(engine->worker);
    }
    pthread_mutex_unlock(&engine->worker_lock);
}

/* See engine.h. */
void dk_engine_committed(struct daybook *engine)
{
    pthread_mutex_lock(&engine->worker_lock);
    if (engine->worker != NULL) {
        dk_worker_nudge(engine->worker);
    }
    pthread_mutex_unlock(&engine->worker_lock);
    dk_watch_deliver(engine);
}

/* A text for the wire: present, not empty where required, bounded, UTF-8. */
static bool is_label(const char *text, bool required)
{
    if (text == NULL) {
        return !required;
    }
    size_t length = strnlen(text, LIMIT_LABEL_BYTES + 1);
    return length <= LIMIT_LABEL_BYTES && (length > 0 || !required) &&
           dk_text_is_utf8(text, length);
}

/* See daybook.h. The thread is woken, so that what was recorded before goes up at once. */
daybook_status daybook_enrol(daybook *engine, const char *code, const char *device_name,
                             daybook_error *error)
{
    struct sync_failure failure;
    daybook_status status = enter_for_sync(engine, error);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (!is_label(code, true)) {
        status = dk_error_set(error, DAYBOOK_INVALID, NULL, "code", NULL,
                              "the code is empty, too long or not text");
    } else if (!is_label(device_name, false)) {
        status = dk_error_set(error, DAYBOOK_INVALID, NULL, "device_name", NULL,
                              "the name is too long or not text");
    } else if (dk_watch_is_inside(engine)) {
        status = dk_error_text(error, DAYBOOK_BUSY, "not from within a callback");
    } else {
        status = dk_syncer_enrol(engine->syncer, code, device_name, &failure);
        status = status == DAYBOOK_OK ? status : fail(error, status, &failure);
    }
    if (status == DAYBOOK_OK) {
        wake(engine);
        dk_watch_deliver(engine);
    }
    dk_engine_leave(engine);
    return status;
}

/* See daybook.h. */
daybook_status daybook_sync(daybook *engine, int64_t budget_ms, daybook_error *error)
{
    struct sync_failure failure;
    daybook_status status = enter_for_sync(engine, error);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (budget_ms < 0) {
        status = dk_error_set(error, DAYBOOK_INVALID, NULL, "budget_ms", NULL, NULL);
    } else if (is_running(engine)) {
        status = dk_error_text(error, DAYBOOK_BUSY, "the sync thread runs");
    } else {
        status = dk_syncer_run(engine->syncer, budget_ms, false, &failure);
        status = status == DAYBOOK_OK ? status : fail(error, status, &failure);
        dk_watch_deliver(engine);
    }
    dk_engine_leave(engine);
    return status;
}

/* Reads which document is meant; not OK: *error says what is wrong. */
static daybook_status read_document(const char *entity_name, const char *id,
                                    const struct entity **entity, struct id *document,
                                    daybook_error *error)
{
    *entity = entity_name == NULL ? NULL : dk_entity_by_name(entity_name, strlen(entity_name));
    if (*entity == NULL) {
        return dk_error_set(error, DAYBOOK_INVALID, NULL, "entity", NULL, "no such entity");
    }
    if (id == NULL || !dk_id_from_text(id, strlen(id), document)) {
        return dk_error_set(error, DAYBOOK_INVALID, (*entity)->name, "id", NULL, "not an id");
    }
    return DAYBOOK_OK;
}

/* See daybook.h. */
daybook_status daybook_fetch(daybook *engine, const char *entity_name, const char *id,
                             daybook_error *error)
{
    struct sync_failure failure;
    const struct entity *entity;
    struct id document;
    daybook_status status = enter_for_sync(engine, error);
    if (status != DAYBOOK_OK) {
        return status;
    }
    status = read_document(entity_name, id, &entity, &document, error);
    if (status == DAYBOOK_OK && dk_watch_is_inside(engine)) {
        status = dk_error_text(error, DAYBOOK_BUSY, "not from within a callback");
    } else if (status == DAYBOOK_OK) {
        status = dk_syncer_fetch(engine->syncer, entity, &document, &failure);
        status = status == DAYBOOK_OK ? status : fail(error, status, &failure);
        dk_watch_deliver(engine);
    }
    dk_engine_leave(engine);
    return status;
}

/* See daybook.h. */
daybook_status daybook_forget(daybook *engine, const char *id)
{
    struct id document;
    if (engine == NULL || !dk_engine_enter(engine)) {
        return DAYBOOK_MISUSE;
    }
    daybook_status status = DAYBOOK_INVALID;
    if (id != NULL && dk_id_from_text(id, strlen(id), &document)) {
        status = dk_store_fetched_forget(engine->store, &document);
    }
    dk_watch_deliver(engine);
    dk_engine_leave(engine);
    return status;
}

/* See daybook.h. */
daybook_status daybook_verify(daybook *engine)
{
    daybook_status status = enter_for_sync(engine, NULL);
    if (status == DAYBOOK_OK) {
        dk_syncer_verify(engine->syncer);
        dk_engine_leave(engine);
    }
    return status;
}

/* See daybook.h. It waits for nobody: a stop under way waits for a callback, which may be here. */
daybook_status daybook_start(daybook *engine, int64_t interval_ms)
{
    if (interval_ms < 0 || interval_ms > INTERVAL_MS_MAX) {
        return engine == NULL ? DAYBOOK_MISUSE : DAYBOOK_INVALID;
    }
    daybook_status status = enter_for_sync(engine, NULL);
    if (status != DAYBOOK_OK) {
        return status;
    }
    struct worker_options options = {&engine->platform, engine->syncer, engine->log, interval_ms};
    struct worker *worker = NULL;
    if (pthread_mutex_trylock(&engine->lifecycle) != 0) {
        dk_engine_leave(engine);
        return DAYBOOK_BUSY;
    }
    if (dk_engine_is_closed(engine) || engine->platform.thread_start == NULL) {
        status = DAYBOOK_MISUSE;
    } else if (is_running(engine)) {
        status = DAYBOOK_BUSY;
    } else {
        status = dk_worker_start(&options, &worker);
    }
    if (status == DAYBOOK_OK) {
        pthread_mutex_lock(&engine->worker_lock);
        engine->worker = worker;
        pthread_mutex_unlock(&engine->worker_lock);
    }
    pthread_mutex_unlock(&engine->lifecycle);
    dk_engine_leave(engine);
    return status;
}

/* See daybook.h. */
daybook_status daybook_wake(daybook *engine)
{
    daybook_status status = enter_for_sync(engine, NULL);
    if (status == DAYBOOK_OK) {
        wake(engine);
        dk_engine_leave(engine);
    }
    return status;
}

/* See daybook.h. A callback may run on the very thread that would be waited for, so within one
 * nothing is done. */
void daybook_stop(daybook *engine)
{
    if (engine == NULL) {
        return;
    }
    if (dk_watch_is_inside(engine)) {
        dk_log(&engine->log, LOG_ERROR, "api: daybook_stop inside a callback does nothing");
        return;
    }
    pthread_mutex_lock(&engine->lifecycle);
    pthread_mutex_lock(&engine->worker_lock);
    struct worker *worker = engine->worker;
    engine->worker = NULL;
    pthread_mutex_unlock(&engine->worker_lock);
    if (worker != NULL) {
        dk_worker_stop(worker);
    }
    pthread_mutex_unlock(&engine->lifecycle);
}

/* What store, syncer and worker know, put together. */
static void read_status(struct daybook *engine, daybook_sync_status *status)
{
    struct store_state state;
    struct syncer_status sync = {.blocked = DAYBOOK_OK};
    dk_store_state(engine->store, &state);
    if (engine->syncer != NULL) {
        dk_syncer_status(engine->syncer, &sync);
    }
    status->enrolled = state.token[0] != '\0';
    status->connected = sync.connected;
    status->uploading = sync.uploading;
    status->downloading = sync.downloading;
    status->loading = state.loading > 0;
    status->pending = state.pending;
    status->unsettled = state.unsettled;
    status->inbox = state.inbox;
    status->last_synced_ms = state.last_synced_ms;
    status->clock_offset_ms = state.clock.offset_ms;
    status->position = state.position;
    status->oldest_pending_ms = state.oldest_pending_ms;
    status->bytes_up = sync.bytes_up;
    status->bytes_down = sync.bytes_down;
    status->round_trips = sync.round_trips;
    status->divergences = sync.divergences;
    status->repaired = sync.repaired;
    status->blocked = sync.blocked;
    pthread_mutex_lock(&engine->worker_lock);
    status->running = engine->worker != NULL;
    status->retry_in_ms = status->running ? dk_worker_retry_in(engine->worker) : 0;
    pthread_mutex_unlock(&engine->worker_lock);
}

/* See daybook.h. */
daybook_status daybook_get_status(daybook *engine, daybook_sync_status *status)
{
    if (engine == NULL || status == NULL) {
        return DAYBOOK_MISUSE;
    }
    if (status->size < sizeof *status) {
        return DAYBOOK_INVALID;
    }
    if (!dk_engine_enter(engine)) {
        return DAYBOOK_MISUSE;
    }
    read_status(engine, status);
    dk_engine_leave(engine);
    return DAYBOOK_OK;
}

/* See daybook.h. */
daybook_status daybook_pending_count(daybook *engine, int64_t *count)
{
    struct store_state state;
    if (engine == NULL || count == NULL || !dk_engine_enter(engine)) {
        return DAYBOOK_MISUSE;
    }
    dk_store_state(engine->store, &state);
    *count = state.pending;
    dk_engine_leave(engine);
    return DAYBOOK_OK;
}
