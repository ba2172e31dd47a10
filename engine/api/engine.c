/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening and closing, and the gate that every call on the store passes. Called by apps through
 * daybook.h and by all other files here. Invariants: a call inside the gate has an open store; the
 * store closes after the last of them, after its readers, and after the sync thread; the struct
 * goes with its last reference.
 */
#include "engine/api/engine.h"

#include "engine/api/options.h"
#include "engine/base/memory.h"

#include <assert.h>
#include <string.h>

/* Locks are made once and only fail for want of memory on exotic systems: a defect here. */
static void init_lock(pthread_mutex_t *lock)
{
    int result = pthread_mutex_init(lock, NULL);
    assert(result == 0);
    (void)result;
}

/* As init_lock. */
static void init_signal(pthread_cond_t *signal)
{
    int result = pthread_cond_init(signal, NULL);
    assert(result == 0);
    (void)result;
}

/* The store's news: notes it for the watches and lets go of old snapshots. Runs on the thread that
 * committed, off the store's lock. */
static void store_changed(void *context, uint64_t entities)
{
    struct daybook *engine = context;
    dk_watch_note(engine, entities);
    dk_queries_expire(engine);
}

/* The syncer's news: a reply was applied. */
static void reply_applied(void *context)
{
    dk_watch_deliver(context);
}

/* An engine without store and syncer, with one reference. */
static struct daybook *new_engine(const daybook_platform *platform)
{
    struct daybook *engine = dk_memory_new(1, sizeof *engine);
    if (engine == NULL) {
        return NULL;
    }
    engine->platform = *platform;
    engine->log = (struct log){platform->log, platform->context, LOG_DEBUG};
    engine->references = 1;
    atomic_init(&engine->closed, false);
    init_lock(&engine->gate);
    init_signal(&engine->left);
    init_lock(&engine->lifecycle);
    init_lock(&engine->worker_lock);
    init_lock(&engine->queries_lock);
    init_lock(&engine->watch_lock);
    init_signal(&engine->watch_ended);
    return engine;
}

/* Frees the struct; everything in it has ended. */
static void free_engine(struct daybook *engine)
{
    pthread_mutex_destroy(&engine->gate);
    pthread_cond_destroy(&engine->left);
    pthread_mutex_destroy(&engine->lifecycle);
    pthread_mutex_destroy(&engine->worker_lock);
    pthread_mutex_destroy(&engine->queries_lock);
    pthread_mutex_destroy(&engine->watch_lock);
    pthread_cond_destroy(&engine->watch_ended);
    dk_memory_free(engine);
}

/* See engine.h. */
bool dk_engine_enter(struct daybook *engine)
{
    pthread_mutex_lock(&engine->gate);
    bool open = !engine->closing;
    if (open) {
        engine->users++;
    }
    pthread_mutex_unlock(&engine->gate);
    return open;
}

/* See engine.h. */
void dk_engine_leave(struct daybook *engine)
{
    pthread_mutex_lock(&engine->gate);
    assert(engine->users > 0);
    engine->users--;
    if (engine->users == 0 && engine->closing) {
        pthread_cond_broadcast(&engine->left);
    }
    pthread_mutex_unlock(&engine->gate);
}

/* See engine.h. */
void dk_engine_hold(struct daybook *engine)
{
    pthread_mutex_lock(&engine->gate);
    engine->references++;
    pthread_mutex_unlock(&engine->gate);
}

/* See engine.h. */
void dk_engine_release(struct daybook *engine)
{
    pthread_mutex_lock(&engine->gate);
    assert(engine->references > 0);
    engine->references--;
    bool last = engine->references == 0;
    pthread_mutex_unlock(&engine->gate);
    if (last) {
        free_engine(engine);
    }
}

/* See engine.h. */
bool dk_engine_is_closed(const struct daybook *engine)
{
    return atomic_load_explicit(&engine->closed, memory_order_acquire);
}

/* Opens the store into the engine. */
static daybook_status open_store(struct daybook *engine, const daybook_options *options,
                                 daybook_error *error)
{
    char problem[256] = "";
    struct store_options store_options = {
        .path = options->path,
        .vfs = options->vfs,
        .relaxed = options->relaxed,
        .cache_kib = options->cache_kib,
        .platform = &engine->platform,
        .log = engine->log,
        .changed = store_changed,
        .context = engine,
    };
    daybook_status status = dk_store_open(&store_options, &engine->store, problem, sizeof problem);
    return status == DAYBOOK_OK ? status : dk_error_text(error, status, problem);
}

/* Makes the syncer where there is a server. */
static daybook_status open_syncer(struct daybook *engine, const daybook_options *options,
                                  daybook_error *error)
{
    if (options->server_url == NULL) {
        return DAYBOOK_OK;
    }
    struct syncer_options syncer_options = {
        .exchange = {&engine->platform, options->server_url, options->ca_file, options->pins},
        .store = engine->store,
        .log = engine->log,
        .page_bytes = options->page_bytes,
        .leave_recent = options->leave_recent,
        .timeout_ms = options->timeout_ms,
        .applied = reply_applied,
        .context = engine,
    };
    engine->syncer = dk_syncer_new(&syncer_options);
    return engine->syncer != NULL ? DAYBOOK_OK : dk_error_text(error, DAYBOOK_NO_MEMORY, NULL);
}

/* See daybook.h. */
daybook_status daybook_open(const daybook_options *given, daybook **out, daybook_error *error)
{
    daybook_options options;
    daybook_platform platform;
    char url[OPTION_URL_MAX + 1];
    if (out != NULL) {
        *out = NULL;
    }
    if (given == NULL || out == NULL) {
        return dk_error_text(error, DAYBOOK_MISUSE, NULL);
    }
    daybook_status status = dk_options_read(given, &options, &platform, url, error);
    if (status != DAYBOOK_OK) {
        return status;
    }
    struct daybook *engine = new_engine(&platform);
    if (engine == NULL) {
        return dk_error_text(error, DAYBOOK_NO_MEMORY, NULL);
    }
    status = open_store(engine, &options, error);
    if (status != DAYBOOK_OK) {
        goto free;
    }
    status = open_syncer(engine, &options, error);
    if (status != DAYBOOK_OK) {
        goto close;
    }
    *out = engine;
    return DAYBOOK_OK;

close:
    dk_store_close(engine->store);
free:
    free_engine(engine);
    return status;
}

/* Lets nobody in any more, ends what runs, and waits until the last call has left. */
static void shut_gate(struct daybook *engine)
{
    pthread_mutex_lock(&engine->gate);
    engine->closing = true;
    atomic_store_explicit(&engine->closed, true, memory_order_release);
    pthread_mutex_unlock(&engine->gate);
    daybook_stop(engine);
    if (engine->syncer != NULL) {
        dk_syncer_interrupt(engine->syncer);
    }
    dk_watches_end(engine);
    pthread_mutex_lock(&engine->gate);
    while (engine->users > 0) {
        pthread_cond_wait(&engine->left, &engine->gate);
    }
    pthread_mutex_unlock(&engine->gate);
}

/* See daybook.h. The handle's own callers are out when the store closes; children find `closing`
 * set. */
void daybook_close(daybook **handle)
{
    if (handle == NULL || *handle == NULL) {
        return;
    }
    struct daybook *engine = *handle;
    if (dk_watch_is_inside(engine)) {
        dk_log(&engine->log, LOG_ERROR, "api: daybook_close inside a callback does nothing");
        return;
    }
    *handle = NULL;
    shut_gate(engine);
    dk_queries_detach(engine);
    dk_readers_close(engine);
    dk_syncer_free(engine->syncer);
    engine->syncer = NULL;
    dk_store_close(engine->store);
    engine->store = NULL;
    dk_engine_release(engine);
}

/* See daybook.h. */
void daybook_free(void *block)
{
    dk_memory_free(block);
}
