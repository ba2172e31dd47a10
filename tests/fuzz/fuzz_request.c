/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as an HTTP request's head. However they are cut into pieces, the head is the same, or the
 * same refusal; it holds what request.h says; and the router answers it.
 */
#include "tests/fuzz/fuzz.h"

#include "sync-server/http/reply.h"
#include "sync-server/http/router.h"

#include <assert.h>

/* Feeds all bytes in pieces of this size; returns how many belong to the head. */
static size_t feed(struct http_request *request, const uint8_t *bytes, size_t size, size_t piece)
{
    size_t used = 0, taken = 0;
    srv_http_request_init(request);
    while (used < size && request->progress == HTTP_MORE) {
        size_t length = size - used < piece ? size - used : piece;
        char *copy = fuzz_copy(bytes + used, length);
        enum http_progress progress = srv_http_request_feed(request, copy, length, &taken);
        free(copy);
        assert(progress == request->progress && taken <= length);
        assert(progress != HTTP_MORE || taken == length);
        used += taken;
    }
    assert(request->used <= HTTP_HEAD_BYTES_MAX && request->line <= request->used);
    return used;
}

static void check_text(const struct http_request *request, const char *text, size_t length_max)
{
    size_t length = strlen(text);
    assert(text >= request->head && text + length < request->head + request->used);
    assert(length > 0 && length <= length_max);
    for (size_t i = 0; i < length; i++) {
        assert(text[i] > ' ' && text[i] < 0x7f);
    }
}

static void check_refusal(int status, const char *code, const char *text)
{
    char body[HTTP_REFUSAL_BYTES_MAX];
    assert(status >= 400 && status < 600 && strcmp(srv_http_reason(status), "Unknown") != 0);
    assert(srv_http_refusal_body(code, text, body) < sizeof body);
}

static void check_head(const struct http_request *request)
{
    struct http_refusal refusal;
    assert(strcmp(request->method, "GET") == 0 || strcmp(request->method, "POST") == 0);
    assert(request->has_host && request->fields <= HTTP_FIELDS_MAX);
    assert(request->content_length >= 0 && request->content_length <= HTTP_BODY_BYTES_MAX);
    assert(request->method[0] == 'P' || request->content_length == 0);
    check_text(request, request->target, HTTP_TARGET_BYTES_MAX);
    assert(request->target[0] == '/');
    if (request->token != NULL) {
        check_text(request, request->token, HTTP_TOKEN_BYTES_MAX);
    }
    const struct http_route *route = srv_http_route(request, &refusal);
    if (route == NULL) {
        check_refusal(refusal.status, refusal.code, refusal.text);
        return;
    }
    assert(strcmp(route->path, request->target) == 0 &&
           strcmp(route->method, request->method) == 0);
    assert(!route->needs_token || request->token != NULL);
    assert(request->content_length <= route->body_max);
}

/* The two heads are the same. */
static void compare(const struct http_request *a, const struct http_request *b)
{
    assert(a->progress == b->progress && a->used == b->used && a->fields == b->fields);
    assert(memcmp(a->head, b->head, a->used) == 0);
    assert(a->refusal == b->refusal && a->problem == b->problem);
    assert(a->content_length == b->content_length && a->close == b->close);
    assert(a->expects_continue == b->expects_continue && a->method == b->method);
    assert((a->token == NULL) == (b->token == NULL));
    assert(a->token == NULL || strcmp(a->token, b->token) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct http_request whole, pieces;
    struct input input = {bytes, size};
    size_t piece = 1 + input_byte(&input);
    size_t used = feed(&whole, input.bytes, input.size, SIZE_MAX);
    assert(feed(&pieces, input.bytes, input.size, piece) == used);
    compare(&whole, &pieces);
    if (whole.progress == HTTP_HEAD) {
        check_head(&whole);
        check_head(&pieces);
    } else if (whole.progress == HTTP_REFUSED) {
        check_refusal(whole.refusal, "BAD_REQUEST", whole.problem);
    }
    return 0;
}
