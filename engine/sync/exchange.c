/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns one connection of the platform's transport, the zstd contexts and the buffers of one
 * exchange. Called by syncer.c and enrol.c on the thread that syncs; dk_exchange_interrupt comes
 * from any other. Invariant: `connection` is opened and closed under `lock` only, so that an
 * interrupt never meets one that is gone.
 */
#include "engine/sync/exchange.h"

#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/sync/answer.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#define KEEP_BYTES ((size_t)2 * 1024 * 1024) /* larger buffers are given back after an exchange */
#define FRAME_LEVEL 3 /* of zstd: a tenth fewer bytes than 1, and the line is what is slow */
#define PINS_MAX 16

struct exchanger {
    const daybook_platform *platform;
    char *server_url;
    char *ca_file;
    char *pins[PINS_MAX + 1];
    struct frame_codec *codec;
    struct buffer request; /* JSON up */
    struct buffer packed;  /* its frame */
    struct buffer reply;   /* JSON down */

    pthread_mutex_t lock;
    void *connection; /* NULL: none */
    bool interrupted;
};

/* Copies the texts. False: no memory, or more pins than bounded. */
static bool copy_options(struct exchanger *exchanger, const struct exchange_options *options)
{
    const char *const *pins = options->pins;
    exchanger->platform = options->platform;
    exchanger->server_url = dk_memory_copy_text(options->server_url, strlen(options->server_url));
    if (exchanger->server_url == NULL) {
        return false;
    }
    if (options->ca_file != NULL) {
        exchanger->ca_file = dk_memory_copy_text(options->ca_file, strlen(options->ca_file));
        if (exchanger->ca_file == NULL) {
            return false;
        }
    }
    for (int i = 0; pins != NULL && pins[i] != NULL; i++) {
        if (i == PINS_MAX) {
            return false;
        }
        exchanger->pins[i] = dk_memory_copy_text(pins[i], strlen(pins[i]));
        if (exchanger->pins[i] == NULL) {
            return false;
        }
    }
    return true;
}

/* See the header. */
struct exchanger *dk_exchange_new(const struct exchange_options *options)
{
    struct exchanger *exchanger = dk_memory_new(1, sizeof *exchanger);
    if (exchanger == NULL) {
        return NULL;
    }
    dk_buffer_init(&exchanger->request, LIMIT_REQUEST_EXPANDED);
    dk_buffer_init(&exchanger->packed, LIMIT_REQUEST_BYTES);
    dk_buffer_init(&exchanger->reply, LIMIT_REPLY_EXPANDED);
    int result = pthread_mutex_init(&exchanger->lock, NULL);
    assert(result == 0);
    (void)result;
    exchanger->codec = dk_frame_new();
    if (exchanger->codec == NULL || !copy_options(exchanger, options)) {
        dk_exchange_free(exchanger);
        return NULL;
    }
    return exchanger;
}

/* Closes the connection, if there is one. */
static void disconnect(struct exchanger *exchanger)
{
    const daybook_platform *platform = exchanger->platform;
    pthread_mutex_lock(&exchanger->lock);
    void *connection = exchanger->connection;
    exchanger->connection = NULL;
    pthread_mutex_unlock(&exchanger->lock);
    if (connection != NULL) {
        platform->transport_close(platform->context, connection);
    }
}

/* See the header; NULL is fine. */
void dk_exchange_free(struct exchanger *exchanger)
{
    if (exchanger == NULL) {
        return;
    }
    disconnect(exchanger);
    pthread_mutex_destroy(&exchanger->lock);
    dk_frame_free(exchanger->codec);
    dk_buffer_clear(&exchanger->request);
    dk_buffer_clear(&exchanger->packed);
    dk_buffer_clear(&exchanger->reply);
    for (int i = 0; i < PINS_MAX; i++) {
        dk_memory_free(exchanger->pins[i]);
    }
    dk_memory_free(exchanger->ca_file);
    dk_memory_free(exchanger->server_url);
    dk_memory_free(exchanger);
}

/* See the header. The hook is called under the lock, which the exchanging thread does not hold
 * meanwhile. */
void dk_exchange_interrupt(struct exchanger *exchanger)
{
    pthread_mutex_lock(&exchanger->lock);
    exchanger->interrupted = true;
    if (exchanger->connection != NULL) {
        exchanger->platform->transport_interrupt(exchanger->platform->context,
                                                 exchanger->connection);
    }
    pthread_mutex_unlock(&exchanger->lock);
}

/* See the header. The connection is given up: the interrupt may wait in it for its next exchange.
 */
void dk_exchange_resume(struct exchanger *exchanger)
{
    disconnect(exchanger);
    pthread_mutex_lock(&exchanger->lock);
    exchanger->interrupted = false;
    pthread_mutex_unlock(&exchanger->lock);
}

/* The connection, opened where there is none. INTERRUPTED, NO_MEMORY. */
static daybook_status connect(struct exchanger *exchanger, void **connection)
{
    const daybook_platform *platform = exchanger->platform;
    daybook_status status = DAYBOOK_OK;
    pthread_mutex_lock(&exchanger->lock);
    if (exchanger->interrupted) {
        status = DAYBOOK_INTERRUPTED;
    } else if (exchanger->connection == NULL) {
        exchanger->connection = platform->transport_open(platform->context);
        status = exchanger->connection == NULL ? DAYBOOK_NO_MEMORY : DAYBOOK_OK;
    }
    *connection = exchanger->connection;
    pthread_mutex_unlock(&exchanger->lock);
    return status;
}

/* The request as one frame in `packed`. TOO_LARGE or NO_MEMORY where it does not get there. */
static daybook_status pack(struct exchanger *exchanger, const struct exchange_call *call)
{
    dk_buffer_reset(&exchanger->request);
    dk_buffer_reset(&exchanger->packed);
    dk_message_encode(&exchanger->request, call->request_table, call->request);
    if (exchanger->request.status != DAYBOOK_OK) {
        return exchanger->request.status;
    }
    return dk_frame_compress(exchanger->codec, exchanger->request.bytes, exchanger->request.length,
                             FRAME_LEVEL, &exchanger->packed);
}

/* Sends `packed` and waits for the answer, with the times around it. */
static daybook_status transfer(struct exchanger *exchanger, const struct exchange_call *call,
                               struct daybook_reply *answer, struct exchange_report *report)
{
    const daybook_platform *platform = exchanger->platform;
    void *connection = NULL;
    char url[EXCHANGE_URL_MAX];
    daybook_status status = connect(exchanger, &connection);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (!dk_text_format(url, sizeof url, "%s%s", exchanger->server_url, call->path)) {
        return DAYBOOK_INVALID;
    }
    struct daybook_request request = {
        .size = sizeof request,
        .method = "POST",
        .url = url,
        .token = call->token,
        .pins = exchanger->pins[0] != NULL ? (const char *const *)exchanger->pins : NULL,
        .ca_file = exchanger->ca_file,
        .body = exchanger->packed.bytes,
        .body_size = exchanger->packed.length,
        .reply_max = LIMIT_REPLY_BYTES,
        .timeout_ms = call->timeout_ms,
    };
    int64_t began_ms = platform->steady_ms(platform->context);
    status = platform->transport_exchange(platform->context, connection, &request, answer);
    report->elapsed_ms = platform->steady_ms(platform->context) - began_ms;
    report->received_ms = platform->wall_ms(platform->context);
    report->sent_ms = report->received_ms - report->elapsed_ms;
    report->bytes_up = exchanger->packed.length;
    return status;
}

/* Keeps code, detail and seq of an error. */
static void note_error(const struct error_reply *error, struct exchange_report *report)
{
    (void)dk_text_format(report->code, sizeof report->code, "%s", error->code);
    (void)dk_text_format(report->detail, sizeof report->detail, "%s",
                         error->detail != NULL ? error->detail : "");
    report->seq = error->seq;
}

/* A refusal from before the request was read: {"error":"CODE","text":"…"} without a frame. False:
 * it is not one. */
static bool read_refusal(char *bytes, size_t length, struct arena *arena, struct error_reply *error)
{
    struct json_reader reader;
    enum json_type type;
    dk_json_open(&reader, bytes, length);
    memset(error, 0, sizeof *error);
    if (dk_json_next(&reader) != JSON_OBJECT) {
        return false;
    }
    while ((type = dk_json_key(&reader)) == JSON_STRING) {
        const char **member = dk_text_equal(reader.text, reader.length, "error")  ? &error->code
                              : dk_text_equal(reader.text, reader.length, "text") ? &error->detail
                                                                                  : NULL;
        if (member == NULL) {
            if (!dk_json_skip(&reader, NULL, NULL)) {
                return false;
            }
        } else if (dk_json_next(&reader) != JSON_STRING) {
            return false;
        } else {
            *member = dk_arena_copy(arena, reader.text, reader.length);
        }
    }
    return type == JSON_END && dk_json_finish(&reader) && error->code != NULL;
}

/* The body of an answer that refuses, where it is the server's: an error_reply in a frame, or a
 * plain refusal. False: it is not. */
static bool read_error(struct exchanger *exchanger, struct daybook_reply *answer,
                       struct arena *arena, struct exchange_report *report)
{
    struct error_reply error;
    const char *problem = NULL;
    char *bytes = answer->body;
    size_t length = answer->body_size;
    enum answer_body kind = dk_answer_body(answer->content_type);
    if (kind == ANSWER_FOREIGN || bytes == NULL) {
        return false;
    }
    bool own = false;
    if (kind == ANSWER_JSON) {
        own = read_refusal(bytes, length, arena, &error);
    } else {
        dk_buffer_reset(&exchanger->reply);
        own = dk_frame_expand(exchanger->codec, bytes, length, &exchanger->reply) == DAYBOOK_OK &&
              dk_message_decode(&dk_error_reply_table, exchanger->reply.bytes,
                                exchanger->reply.length, &error, arena, &problem);
    }
    if (own) {
        note_error(&error, report);
    }
    return own;
}

/* The body of a 200: a frame with the message that is expected. */
static daybook_status read_reply(struct exchanger *exchanger, const struct exchange_call *call,
                                 const struct daybook_reply *answer, struct exchange_report *report)
{
    const char *problem = "its zstd frame is damaged";
    if (dk_answer_body(answer->content_type) != ANSWER_DAYBOOK ||
        (answer->body_size > 0 && !dk_answer_is_frame(answer->body, answer->body_size))) {
        return DAYBOOK_NOT_DAYBOOK;
    }
    dk_buffer_reset(&exchanger->reply);
    daybook_status status =
        answer->body_size == 0
            ? DAYBOOK_BAD_REPLY
            : dk_frame_expand(exchanger->codec, answer->body, answer->body_size, &exchanger->reply);
    if (status == DAYBOOK_OK &&
        !dk_message_decode(call->reply_table, exchanger->reply.bytes, exchanger->reply.length,
                           call->reply, call->arena, &problem)) {
        status = call->arena->failed ? DAYBOOK_NO_MEMORY : DAYBOOK_BAD_REPLY;
    }
    if (status == DAYBOOK_TOO_LARGE) {
        problem = "it expands to more than the limit";
        status = DAYBOOK_BAD_REPLY;
    }
    if (status == DAYBOOK_BAD_REPLY) {
        (void)dk_text_format(report->detail, sizeof report->detail, "%s",
                             problem != NULL ? problem : "");
    }
    return status;
}

/* Gives memory back that only an unusually large message needed. The reply stays: the caller reads
 * it. */
static void trim(struct exchanger *exchanger)
{
    if (exchanger->request.capacity > KEEP_BYTES) {
        dk_buffer_clear(&exchanger->request);
    }
    if (exchanger->packed.capacity > KEEP_BYTES) {
        dk_buffer_clear(&exchanger->packed);
    }
}

/* See the header. A connection on which an exchange failed is given up, except where the answer was
 * whole. */
daybook_status dk_exchange(struct exchanger *exchanger, const struct exchange_call *call,
                           struct exchange_report *report)
{
    struct daybook_reply answer = {.size = sizeof answer, .retry_after_ms = -1};
    memset(report, 0, sizeof *report);
    report->retry_after_ms = -1;
    if (exchanger->reply.capacity > KEEP_BYTES) {
        dk_buffer_clear(&exchanger->reply);
    }
    daybook_status status = pack(exchanger, call);
    if (status == DAYBOOK_OK) {
        status = transfer(exchanger, call, &answer, report);
        if (status != DAYBOOK_OK && status != DAYBOOK_INTERRUPTED) {
            disconnect(exchanger);
        }
    }
    trim(exchanger);
    if (status != DAYBOOK_OK) {
        return status;
    }
    report->http_status = answer.http_status;
    report->retry_after_ms = answer.retry_after_ms;
    report->bytes_down = answer.body_size;
    if (answer.http_status == 200) {
        return read_reply(exchanger, call, &answer, report);
    }
    bool own = read_error(exchanger, &answer, call->arena, report);
    return dk_answer_status(answer.http_status, own ? report->code : NULL);
}
