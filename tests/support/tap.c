/* SPDX-License-Identifier: Apache-2.0
 *
 * See tap.h. Connections, clocks and threads are the default platform's.
 */
#include "tests/support/tap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define KEPT_MAX ((size_t)64 * 1024 * 1024)

static int64_t tap_wall_ms(void *context)
{
    struct tap *tap = context;
    const daybook_platform *below = daybook_posix_platform();
    pthread_mutex_lock(&tap->lock);
    int64_t ahead_ms = tap->ahead_ms;
    pthread_mutex_unlock(&tap->lock);
    return below->wall_ms(below->context) + ahead_ms;
}

static void *tap_open(void *context)
{
    struct tap *tap = context;
    const daybook_platform *below = daybook_posix_platform();
    void *connection = below->transport_open(below->context);
    pthread_mutex_lock(&tap->lock);
    tap->connections += connection != NULL ? 1 : 0;
    pthread_mutex_unlock(&tap->lock);
    return connection;
}

static void tap_close(void *context, void *connection)
{
    struct tap *tap = context;
    const daybook_platform *below = daybook_posix_platform();
    below->transport_close(below->context, connection);
    pthread_mutex_lock(&tap->lock);
    tap->connections -= connection != NULL ? 1 : 0;
    pthread_mutex_unlock(&tap->lock);
}

static void tap_interrupt(void *context, void *connection)
{
    const daybook_platform *below = daybook_posix_platform();
    (void)context;
    below->transport_interrupt(below->context, connection);
}

/* Keeps a body, expanded, and a line feed. Bodies that are no frame are none of ours. Locked. */
static void keep(struct tap *tap, struct buffer *kept, const void *body, size_t size)
{
    struct buffer text;
    dk_buffer_init(&text, KEPT_MAX);
    if (size > 0 && dk_frame_expand(tap->codec, body, size, &text) == DAYBOOK_OK) {
        dk_buffer_append(kept, text.bytes, text.length);
        dk_buffer_append_char(kept, '\n');
    }
    dk_buffer_clear(&text);
}

/* One exchange below, with what the test wants of it. */
static daybook_status tap_exchange(void *context, void *connection,
                                   const struct daybook_request *request,
                                   struct daybook_reply *reply)
{
    struct tap *tap = context;
    const daybook_platform *below = daybook_posix_platform();
    daybook_status status = DAYBOOK_OFFLINE;
    pthread_mutex_lock(&tap->lock);
    int number = ++tap->exchanges;
    bool offline = tap->offline || tap->allowed == 0;
    tap->allowed -= tap->allowed > 0 ? 1 : 0;
    pthread_mutex_unlock(&tap->lock);
    if (tap->before != NULL) {
        tap->before(tap->context, number);
    }
    if (!offline) {
        status = below->transport_exchange(below->context, connection, request, reply);
        pthread_mutex_lock(&tap->lock);
        keep(tap, &tap->up, request->body, request->body_size);
        if (status == DAYBOOK_OK && reply->http_status == 200) {
            keep(tap, &tap->down, reply->body, reply->body_size);
        }
        if (tap->lose_replies > 0) {
            tap->lose_replies--;
            tap->losses += status == DAYBOOK_OK ? 1 : 0;
            status = DAYBOOK_OFFLINE;
        }
        pthread_mutex_unlock(&tap->lock);
    }
    if (tap->after != NULL) {
        tap->after(tap->context, number, status);
    }
    return status;
}

static int64_t tap_steady_ms(void *context)
{
    struct tap *tap = context;
    const daybook_platform *below = daybook_posix_platform();
    pthread_mutex_lock(&tap->lock);
    int64_t ago_ms = tap->ago_ms;
    pthread_mutex_unlock(&tap->lock);
    return below->steady_ms(below->context) - ago_ms;
}

/* The other hooks need no context of ours. */
static uint64_t tap_boot_id(void *context)
{
    const daybook_platform *below = daybook_posix_platform();
    (void)context;
    return below->boot_id(below->context);
}

static bool tap_random(void *context, void *bytes, size_t length)
{
    const daybook_platform *below = daybook_posix_platform();
    (void)context;
    return below->random(below->context, bytes, length);
}

static bool tap_thread_start(void *context, void (*work)(void *argument), void *argument,
                             void **thread)
{
    const daybook_platform *below = daybook_posix_platform();
    (void)context;
    return below->thread_start(below->context, work, argument, thread);
}

static void tap_thread_join(void *context, void *thread)
{
    const daybook_platform *below = daybook_posix_platform();
    (void)context;
    below->thread_join(below->context, thread);
}

void tap_init(struct tap *tap)
{
    memset(tap, 0, sizeof *tap);
    tap->platform = (daybook_platform){
        .size = sizeof(daybook_platform),
        .context = tap,
        .wall_ms = tap_wall_ms,
        .steady_ms = tap_steady_ms,
        .boot_id = tap_boot_id,
        .random = tap_random,
        .transport_open = tap_open,
        .transport_exchange = tap_exchange,
        .transport_interrupt = tap_interrupt,
        .transport_close = tap_close,
        .thread_start = tap_thread_start,
        .thread_join = tap_thread_join,
    };
    tap->allowed = -1;
    assert_int_equal(pthread_mutex_init(&tap->lock, NULL), 0);
    dk_buffer_init(&tap->up, KEPT_MAX);
    dk_buffer_init(&tap->down, KEPT_MAX);
    tap->codec = dk_frame_new();
    assert_non_null(tap->codec);
}

void tap_clear(struct tap *tap)
{
    assert_int_equal(tap->connections, 0);
    dk_buffer_clear(&tap->up);
    dk_buffer_clear(&tap->down);
    dk_frame_free(tap->codec);
    (void)pthread_mutex_destroy(&tap->lock);
}

void tap_set_ahead(struct tap *tap, int64_t ahead_ms)
{
    pthread_mutex_lock(&tap->lock);
    tap->ahead_ms = ahead_ms;
    pthread_mutex_unlock(&tap->lock);
}

void tap_set_ago(struct tap *tap, int64_t ago_ms)
{
    pthread_mutex_lock(&tap->lock);
    tap->ago_ms = ago_ms;
    pthread_mutex_unlock(&tap->lock);
}

void tap_set_offline(struct tap *tap, bool offline)
{
    pthread_mutex_lock(&tap->lock);
    tap->offline = offline;
    pthread_mutex_unlock(&tap->lock);
}

void tap_allow(struct tap *tap, int exchanges)
{
    pthread_mutex_lock(&tap->lock);
    tap->allowed = exchanges;
    pthread_mutex_unlock(&tap->lock);
}

void tap_lose_replies(struct tap *tap, int count)
{
    pthread_mutex_lock(&tap->lock);
    tap->lose_replies = count;
    pthread_mutex_unlock(&tap->lock);
}

void tap_forget(struct tap *tap)
{
    pthread_mutex_lock(&tap->lock);
    dk_buffer_reset(&tap->up);
    dk_buffer_reset(&tap->down);
    pthread_mutex_unlock(&tap->lock);
}

/* Whether the bytes have the text in them. */
static bool has(const struct buffer *kept, const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i + length <= kept->length; i++) {
        if (memcmp(kept->bytes + i, text, length) == 0) {
            return true;
        }
    }
    return false;
}

bool tap_has_received(struct tap *tap, const char *text)
{
    pthread_mutex_lock(&tap->lock);
    assert_int_equal(tap->down.status, DAYBOOK_OK);
    bool found = has(&tap->down, text);
    pthread_mutex_unlock(&tap->lock);
    return found;
}

bool tap_has_sent(struct tap *tap, const char *text)
{
    pthread_mutex_lock(&tap->lock);
    assert_int_equal(tap->up.status, DAYBOOK_OK);
    bool found = has(&tap->up, text);
    pthread_mutex_unlock(&tap->lock);
    return found;
}

int tap_exchanges(struct tap *tap)
{
    pthread_mutex_lock(&tap->lock);
    int exchanges = tap->exchanges;
    pthread_mutex_unlock(&tap->lock);
    return exchanges;
}
