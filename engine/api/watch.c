/* SPDX-License-Identifier: Apache-2.0
 *
 * Watches: which tables a query reads, noted commits, and calling back. Called by the store's hook
 * (note), by whatever committed (deliver) and by apps. Invariants: one thread delivers at a time
 * and holds no lock while it calls; a noted watch is called after the note; once
 * daybook_watch_close has returned its callback does not run.
 */
#include "engine/api/engine.h"

#include "engine/api/query.h"
#include "engine/base/memory.h"

#include <assert.h>

struct daybook_watch {
    struct daybook *engine;
    struct daybook_watch *next, *previous;
    uint64_t entities;                             /* bits as in store.h */
    void (*changed)(void *context);                /* NULL: it watches the inbox */
    void (*arrived)(void *context, int64_t after); /* then this is called */
    int64_t after;                                 /* items up to here have been told */
    void *context;
    bool noted;    /* a commit touched it and it has not been called since */
    bool unlinked; /* closed from inside its own callback: whoever calls it frees it */
};

/* See engine.h. */
bool dk_watch_is_inside(struct daybook *engine)
{
    pthread_mutex_lock(&engine->watch_lock);
    bool inside = engine->delivering && pthread_equal(engine->deliverer, pthread_self());
    pthread_mutex_unlock(&engine->watch_lock);
    return inside;
}

/* See engine.h. */
void dk_watch_note(struct daybook *engine, uint64_t entities)
{
    pthread_mutex_lock(&engine->watch_lock);
    for (struct daybook_watch *watch = engine->watches; watch != NULL; watch = watch->next) {
        watch->noted = watch->noted || (watch->entities & entities) != 0;
    }
    pthread_mutex_unlock(&engine->watch_lock);
}

/* Takes the watch out of the list. watch_lock held. */
static void unlink_watch(struct daybook *engine, struct daybook_watch *watch)
{
    if (watch->previous != NULL) {
        watch->previous->next = watch->next;
    } else {
        engine->watches = watch->next;
    }
    if (watch->next != NULL) {
        watch->next->previous = watch->previous;
    } else {
        engine->watches_last = watch->previous;
    }
    watch->next = NULL;
    watch->previous = NULL;
    engine->watch_count--;
}

/* Puts the watch at the end of the list. watch_lock held. */
static void link_watch(struct daybook *engine, struct daybook_watch *watch)
{
    watch->next = NULL;
    watch->previous = engine->watches_last;
    if (engine->watches_last != NULL) {
        engine->watches_last->next = watch;
    } else {
        engine->watches = watch;
    }
    engine->watches_last = watch;
    engine->watch_count++;
}

/* The first noted watch, moved to the list's end so that all get their turn; NULL: none. watch_lock
 * held. */
static struct daybook_watch *next_noted(struct daybook *engine)
{
    struct daybook_watch *watch = engine->watches;
    while (watch != NULL && !watch->noted) {
        watch = watch->next;
    }
    if (watch != NULL) {
        unlink_watch(engine, watch);
        link_watch(engine, watch);
    }
    return watch;
}

/* Calls back. A watch of the inbox that finds no new item was noted for something else. */
static void call(struct daybook_watch *watch)
{
    if (watch->changed != NULL) {
        watch->changed(watch->context);
        return;
    }
    int64_t after = watch->after;
    int64_t last = dk_store_inbox_last(watch->engine->store);
    if (last > after) {
        watch->after = last;
        watch->arrived(watch->context, after);
    }
}

/* See engine.h. Whoever finds another thread delivering leaves its notes to it, so that a slow
 * callback makes nobody else wait; what a callback commits is delivered by the loop that called it.
 */
void dk_watch_deliver(struct daybook *engine)
{
    pthread_mutex_lock(&engine->watch_lock);
    if (engine->delivering) {
        pthread_mutex_unlock(&engine->watch_lock);
        return;
    }
    struct daybook_watch *watch;
    struct daybook_watch *unlinked = NULL;
    engine->delivering = true;
    engine->deliverer = pthread_self();
    while (!engine->watches_ended && (watch = next_noted(engine)) != NULL) {
        watch->noted = false;
        engine->calling = watch;
        pthread_mutex_unlock(&engine->watch_lock);
        call(watch);
        pthread_mutex_lock(&engine->watch_lock);
        engine->calling = NULL;
        pthread_cond_broadcast(&engine->watch_ended);
        if (watch->unlinked) {
            watch->next = unlinked;
            unlinked = watch;
        }
    }
    engine->delivering = false;
    pthread_mutex_unlock(&engine->watch_lock);
    while (unlinked != NULL) {
        watch = unlinked;
        unlinked = watch->next;
        dk_memory_free(watch);
        dk_engine_release(engine);
    }
}

/* See engine.h. */
void dk_watches_end(struct daybook *engine)
{
    pthread_mutex_lock(&engine->watch_lock);
    engine->watches_ended = true;
    while (engine->calling != NULL) {
        pthread_cond_wait(&engine->watch_ended, &engine->watch_lock);
    }
    pthread_mutex_unlock(&engine->watch_lock);
}

/* Puts a watch like this one into the list. */
static daybook_status add_watch(struct daybook *engine, const struct daybook_watch *like,
                                struct daybook_watch **out)
{
    struct daybook_watch *watch = dk_memory_new(1, sizeof *watch);
    if (watch == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    *watch = *like;
    watch->engine = engine;
    pthread_mutex_lock(&engine->watch_lock);
    bool room = engine->watch_count < WATCHES_MAX;
    if (room) {
        link_watch(engine, watch);
    }
    pthread_mutex_unlock(&engine->watch_lock);
    if (!room) {
        dk_memory_free(watch);
        return DAYBOOK_TOO_LARGE;
    }
    dk_engine_hold(engine);
    *out = watch;
    return DAYBOOK_OK;
}

/* See daybook.h. */
daybook_status daybook_watch_open(daybook *engine, const char *sql, void (*changed)(void *context),
                                  void *context, daybook_watch **watch, daybook_error *error)
{
    uint64_t entities = 0;
    if (watch != NULL) {
        *watch = NULL;
    }
    if (engine == NULL || sql == NULL || changed == NULL || watch == NULL ||
        !dk_engine_enter(engine)) {
        return dk_error_text(error, DAYBOOK_MISUSE, NULL);
    }
    daybook_status status = dk_query_entities(engine, sql, &entities, error);
    if (status == DAYBOOK_OK) {
        struct daybook_watch like = {.entities = entities, .changed = changed, .context = context};
        status = add_watch(engine, &like, watch);
        if (status != DAYBOOK_OK) {
            (void)dk_error_text(error, status, NULL);
        }
    }
    dk_engine_leave(engine);
    return status;
}

/* See daybook.h. What is in the inbox already is not new. */
daybook_status daybook_inbox_watch(daybook *engine, void (*arrived)(void *context, int64_t after),
                                   void *context, daybook_watch **watch)
{
    if (watch != NULL) {
        *watch = NULL;
    }
    if (engine == NULL || arrived == NULL || watch == NULL || !dk_engine_enter(engine)) {
        return DAYBOOK_MISUSE;
    }
    struct daybook_watch like = {.entities = STORE_CHANGED_SYNC,
                                 .arrived = arrived,
                                 .after = dk_store_inbox_last(engine->store),
                                 .context = context};
    daybook_status status = add_watch(engine, &like, watch);
    dk_engine_leave(engine);
    return status;
}

/* See daybook.h. From inside the watch's own callback there is nothing to wait for, and the memory
 * stays until it returns. */
void daybook_watch_close(daybook_watch **handle)
{
    if (handle == NULL || *handle == NULL) {
        return;
    }
    struct daybook_watch *watch = *handle;
    struct daybook *engine = watch->engine;
    *handle = NULL;
    pthread_mutex_lock(&engine->watch_lock);
    assert(!watch->unlinked);
    unlink_watch(engine, watch);
    bool inside = engine->calling == watch && engine->delivering &&
                  pthread_equal(engine->deliverer, pthread_self());
    watch->unlinked = inside;
    while (!inside && engine->calling == watch) {
        pthread_cond_wait(&engine->watch_ended, &engine->watch_lock);
    }
    pthread_mutex_unlock(&engine->watch_lock);
    if (!inside) {
        dk_memory_free(watch);
        dk_engine_release(engine);
    }
}
