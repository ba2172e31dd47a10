/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads. A handle belongs to whoever started the thread, until dk_posix_thread_join frees it;
 * every thread that was started is joined.
 */
#include "platform/posix/system.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct posix_thread {
    pthread_t id;
    void (*work)(void *argument);
    void *argument; /* borrowed from the starter */
};

/* The thread's first function: runs the work. */
static void *run_thread(void *pointer)
{
    struct posix_thread *thread = pointer;
    thread->work(thread->argument);
    return NULL;
}

/* See system.h. The new thread inherits the blocked signals; the caller's own are restored. */
bool dk_posix_thread_start(void *context, void (*work)(void *argument), void *argument,
                           void **thread)
{
    (void)context;
    assert(work != NULL && thread != NULL);
    *thread = NULL;
    struct posix_thread *started = malloc(sizeof(*started));
    if (started == NULL) {
        return false;
    }
    started->work = work;
    started->argument = argument;
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    int masked = pthread_sigmask(SIG_SETMASK, &all, &before);
    assert(masked == 0);
    (void)masked;
    int result = pthread_create(&started->id, NULL, run_thread, started);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result != 0) {
        free(started);
        return false;
    }
    *thread = started;
    return true;
}

/* See system.h. A join can only fail for a handle that is not one, or from the thread itself:
 * defects. */
void dk_posix_thread_join(void *context, void *thread)
{
    (void)context;
    if (thread == NULL) {
        return;
    }
    struct posix_thread *started = thread;
    int result = pthread_join(started->id, NULL);
    assert(result == 0);
    (void)result;
    free(started);
}
