/* SPDX-License-Identifier: Apache-2.0
 *
 * The request head's reader: what it takes, what it refuses and with which status; each request is
 * given whole, byte by byte and cut in two at every point, and always ends the same.
 */
#include "engine/protocol/message.h"
#include "sync-server/http/reply.h"
#include "sync-server/http/request.h"
#include "sync-server/http/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct refused {
    const char *story;
    int status;
    const char *bytes;
};

#define HOST "Host: localhost:8443\r\n"
#define POST "POST /v1/sync HTTP/1.1\r\n"
#define GET "GET /v1/health HTTP/1.1\r\n"

static const struct refused refused_requests[] = {
    {"an empty line before the request", 400, "\r\n" GET HOST "\r\n"},
    {"LF instead of CRLF after the request line", 400, "GET / HTTP/1.1\n" HOST "\r\n"},
    {"LF instead of CRLF after a field", 400, GET "Host: localhost\n\r\n"},
    {"LF instead of CRLF at the end", 400, GET HOST "\n"},
    {"CR without LF in a value", 400, GET HOST "A: b\rc\r\n\r\n"},
    {"CR CR LF", 400, GET "Host: localhost\r\r\n\r\n"},
    {"a second request hidden behind a lone CR", 400, GET HOST "A: b\r\rGET / HTTP/1.1\r\n\r\n"},
    {"a control character in a value", 400, GET HOST "A: b\x01\r\n\r\n"},
    {"DEL in a value", 400, GET HOST "A: b\x7f\r\n\r\n"},
    {"a folded field", 400, GET HOST "A: b\r\n c\r\n\r\n"},
    {"a folded field with TAB", 400, GET HOST "A: b\r\n\tc\r\n\r\n"},
    {"white space before the first field", 400, GET " Host: localhost\r\n\r\n"},
    {"white space before the colon", 400, GET HOST "Content-Length : 0\r\n\r\n"},
    {"TAB before the colon", 400, GET HOST "Content-Length\t: 0\r\n\r\n"},
    {"a field without a colon", 400, GET HOST "nonsense\r\n\r\n"},
    {"a field without a name", 400, GET HOST ": value\r\n\r\n"},
    {"a bracket in a field's name", 400, GET HOST "a(b: c\r\n\r\n"},
    {"a byte above 0x7f in a field's name", 400, GET HOST "a\xc3\xa4: c\r\n\r\n"},
    {"Content-Length twice, equal", 400,
     POST HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"},
    {"Content-Length twice, different", 400,
     POST HOST "Content-Length: 5\r\ncontent-length: 6\r\n\r\n"},
    {"Content-Length as a list", 400, POST HOST "Content-Length: 5, 5\r\n\r\n"},
    {"Content-Length with a sign", 400, POST HOST "Content-Length: +5\r\n\r\n"},
    {"a negative Content-Length", 400, POST HOST "Content-Length: -5\r\n\r\n"},
    {"Content-Length in hex", 400, POST HOST "Content-Length: 0x10\r\n\r\n"},
    {"Content-Length with a fraction", 400, POST HOST "Content-Length: 5.0\r\n\r\n"},
    {"Content-Length with a leading zero", 400, POST HOST "Content-Length: 010\r\n\r\n"},
    {"Content-Length with a space inside", 400, POST HOST "Content-Length: 1 0\r\n\r\n"},
    {"an empty Content-Length", 400, POST HOST "Content-Length: \r\n\r\n"},
    {"POST without Content-Length", 411, POST HOST "\r\n"},
    {"GET with a body", 400, GET HOST "Content-Length: 5\r\n\r\n"},
    {"a body one byte over the limit", 413, POST HOST "Content-Length: 4194305\r\n\r\n"},
    {"a length beyond 64 bits", 413,
     POST HOST "Content-Length: 99999999999999999999999999\r\n\r\n"},
    {"a length that would wrap to a small number", 413,
     POST HOST "Content-Length: 18446744073709551617\r\n\r\n"},
    {"Transfer-Encoding: chunked", 400, POST HOST "Transfer-Encoding: chunked\r\n\r\n"},
    {"Transfer-Encoding beside Content-Length", 400,
     POST HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"Transfer-Encoding: identity", 400,
     POST HOST "Content-Length: 5\r\nTransfer-Encoding: identity\r\n\r\n"},
    {"Transfer-Encoding in odd case on GET", 400, GET HOST "tRANSFER-eNCODING: xchunked\r\n\r\n"},
    {"Content-Encoding", 415, POST HOST "Content-Length: 5\r\nContent-Encoding: gzip\r\n\r\n"},
    {"no Host", 400, GET "\r\n"},
    {"Host twice", 400, GET HOST HOST "\r\n"},
    {"an empty Host", 400, GET "Host:\r\n\r\n"},
    {"a list as Host", 400, GET "Host: a, b\r\n\r\n"},
    {"user information in Host", 400, GET "Host: a@b\r\n\r\n"},
    {"a path in Host", 400, GET "Host: a/b\r\n\r\n"},
    {"absolute form", 400, "GET https://localhost/v1/health HTTP/1.1\r\n" HOST "\r\n"},
    {"authority form", 400, "CONNECT localhost:443 HTTP/1.1\r\n" HOST "\r\n"},
    {"asterisk form", 400, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n"},
    {"no target", 400, "GET HTTP/1.1\r\n" HOST "\r\n"},
    {"an empty target", 400, "GET  HTTP/1.1\r\n" HOST "\r\n"},
    {"a relative target", 400, "GET v1/health HTTP/1.1\r\n" HOST "\r\n"},
    {"a fragment in the target", 400, "GET /v1#x HTTP/1.1\r\n" HOST "\r\n"},
    {"a broken percent sign", 400, "GET /v1%2 HTTP/1.1\r\n" HOST "\r\n"},
    {"a percent sign with other letters", 400, "GET /v1%zz HTTP/1.1\r\n" HOST "\r\n"},
    {"a byte above 0x7f in the target", 400, "GET /v1\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n"},
    {"a quote in the target", 400, "GET /v1\" HTTP/1.1\r\n" HOST "\r\n"},
    {"a backslash in the target", 400, "GET \\v1 HTTP/1.1\r\n" HOST "\r\n"},
    {"two spaces before the version", 400, "GET /v1/health  HTTP/1.1\r\n" HOST "\r\n"},
    {"TAB between the parts", 400, "GET\t/v1/health\tHTTP/1.1\r\n" HOST "\r\n"},
    {"a space behind the version", 400, "GET /v1/health HTTP/1.1 \r\n" HOST "\r\n"},
    {"a space before the method", 400, " GET /v1/health HTTP/1.1\r\n" HOST "\r\n"},
    {"no version", 400, "GET /v1/health\r\n" HOST "\r\n"},
    {"HTTP/1.0", 505, "GET /v1/health HTTP/1.0\r\n" HOST "\r\n"},
    {"HTTP/1.2", 505, "GET /v1/health HTTP/1.2\r\n" HOST "\r\n"},
    {"HTTP/2.0", 505, "PRI / HTTP/2.0\r\n\r\n"},
    {"a version in lower case", 400, "GET /v1/health http/1.1\r\n" HOST "\r\n"},
    {"a version with two digits", 400, "GET /v1/health HTTP/1.10\r\n" HOST "\r\n"},
    {"a version with a comma", 400, "GET /v1/health HTTP/1,1\r\n" HOST "\r\n"},
    {"HEAD", 501, "HEAD /v1/health HTTP/1.1\r\n" HOST "\r\n"},
    {"PUT", 501, "PUT /v1/sync HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"},
    {"a method in lower case", 501, "get /v1/health HTTP/1.1\r\n" HOST "\r\n"},
    {"a method that is no token", 400, "G{T /v1/health HTTP/1.1\r\n" HOST "\r\n"},
    {"Authorization twice", 400,
     POST HOST "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n"},
    {"Connection that is no list", 400, GET HOST "Connection: clo se\r\n\r\n"},
    {"an unknown expectation", 417, POST HOST "Content-Length: 5\r\nExpect: tea\r\n\r\n"},
};

/* Feeds bytes in two pieces, the second byte by byte where `slowly`; the progress at the end, bytes
 * taken in *taken. */
static enum http_progress feed(struct http_request *request, const char *bytes, size_t length,
                               size_t split, bool slowly, size_t *taken)
{
    size_t step = 0;
    srv_http_request_init(request);
    *taken = 0;
    enum http_progress progress = HTTP_MORE;
    while (progress == HTTP_MORE && *taken < length) {
        size_t piece = *taken < split ? split - *taken : length - *taken;
        if (slowly) {
            piece = 1;
        }
        progress = srv_http_request_feed(request, bytes + *taken, piece, &step);
        *taken += step;
    }
    return progress;
}

/* Every way of cutting ends with this refusal. */
static void assert_refused(const char *story, const char *bytes, size_t length, int status)
{
    static struct http_request request;
    size_t taken_whole = 0;
    enum http_progress progress = feed(&request, bytes, length, length, false, &taken_whole);
    if (progress != HTTP_REFUSED || request.refusal != status) {
        print_error("%s: got %d (%s)\n", story, request.refusal,
                    request.problem != NULL ? request.problem : "no refusal");
    }
    assert_int_equal(progress, HTTP_REFUSED);
    assert_int_equal(request.refusal, status);
    assert_non_null(request.problem);
    const char *problem = request.problem;
    for (size_t split = 0; split <= length; split++) {
        size_t taken = 0;
        assert_int_equal(feed(&request, bytes, length, split, split == length, &taken),
                         HTTP_REFUSED);
        assert_int_equal(request.refusal, status);
        assert_ptr_equal(request.problem, problem);
        assert_int_equal(taken, taken_whole);
    }
}

static void test_http_request__malformed_and_ambiguous_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused_requests) / sizeof(refused_requests[0]); i++) {
        const struct refused *each = &refused_requests[i];
        assert_refused(each->story, each->bytes, strlen(each->bytes), each->status);
    }
}

static void test_http_request__nul_bytes_are_refused(void **state)
{
    (void)state;
    static const char in_target[] = "GET /v1\0 HTTP/1.1\r\n" HOST "\r\n";
    static const char in_name[] = GET HOST "A\0: b\r\n\r\n";
    static const char in_value[] = GET HOST "A: b\0c\r\n\r\n";
    assert_refused("NUL in the target", in_target, sizeof(in_target) - 1, 400);
    assert_refused("NUL in a name", in_name, sizeof(in_name) - 1, 400);
    assert_refused("NUL in a value", in_value, sizeof(in_value) - 1, 400);
}

static void test_http_request__a_good_post_is_taken_at_every_split(void **state)
{
    (void)state;
    /* given a request with body and another request behind it */
    static const char head[] =
        "POST /v1/sync HTTP/1.1\r\nHost: [::1]:8443\r\nauthorization:\tbEARER abc-._~+/09==  \r\n"
        "Content-Type: application/vnd.daybook+zstd\r\nX: \xe4\xbd\xa0\r\n"
        "Connection: keep-alive\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n";
    static const char bytes[] =
        "POST /v1/sync HTTP/1.1\r\nHost: [::1]:8443\r\nauthorization:\tbEARER abc-._~+/09==  \r\n"
        "Content-Type: application/vnd.daybook+zstd\r\nX: \xe4\xbd\xa0\r\n"
        "Connection: keep-alive\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n"
        "helloGET / HTTP/1.1\r\n";
    static struct http_request request;
    for (size_t split = 0; split <= sizeof(bytes) - 1; split++) {
        /* when it is cut anywhere */
        size_t taken = 0;
        assert_int_equal(feed(&request, bytes, sizeof(bytes) - 1, split, split % 2 == 1, &taken),
                         HTTP_HEAD);
        /* then the head ends where it ends, and says what it says */
        assert_int_equal(taken, sizeof(head) - 1);
        assert_string_equal(request.method, "POST");
        assert_string_equal(request.target, "/v1/sync");
        assert_string_equal(request.token, "abc-._~+/09==");
        assert_int_equal(request.content_length, 5);
        assert_false(request.close);
        assert_true(request.expects_continue);
    }
}

static void test_http_request__an_unfinished_head_wants_more(void **state)
{
    (void)state;
    static const char bytes[] = GET HOST "Accept: */*\r\n\r\n";
    static struct http_request request;
    for (size_t length = 0; length < sizeof(bytes) - 1; length++) {
        size_t taken = 0;
        assert_int_equal(feed(&request, bytes, length, length / 2, false, &taken), HTTP_MORE);
        assert_int_equal(taken, length);
    }
}

/* One complete head, whole. */
static enum http_progress read_head(struct http_request *request, const char *bytes)
{
    size_t taken = 0;
    return feed(request, bytes, strlen(bytes), strlen(bytes), false, &taken);
}

static void test_http_request__close_and_tokens_are_understood(void **state)
{
    (void)state;
    static struct http_request request;
    assert_int_equal(read_head(&request, GET HOST "Connection: Upgrade,  CLOSE\r\n\r\n"),
                     HTTP_HEAD);
    assert_true(request.close);
    assert_int_equal(
        read_head(&request, GET HOST "Connection: closed\r\nContent-Length: 0\r\n\r\n"), HTTP_HEAD);
    assert_false(request.close);
    assert_null(request.token);
    static const char *const no_tokens[] = {
        "Basic YTpi", "Bearer",     "Bearer ",         "Bearer  two", "Bearer a b",
        "Bearer =",   "Bearer a=b", "Bearer \xc3\xa4", "Bearera"};
    for (size_t i = 0; i < sizeof(no_tokens) / sizeof(no_tokens[0]); i++) {
        char bytes[256];
        (void)snprintf(bytes, sizeof(bytes), "%s%sAuthorization: %s\r\n\r\n", GET, HOST,
                       no_tokens[i]);
        assert_int_equal(read_head(&request, bytes), HTTP_HEAD);
        assert_null(request.token);
    }
}

static void test_http_request__limits_hold_on_both_sides(void **state)
{
    (void)state;
    static struct http_request request;
    static char bytes[2 * HTTP_HEAD_BYTES_MAX];
    /* the body's limit */
    assert_int_equal(read_head(&request, POST HOST "Content-Length: 4194304\r\n\r\n"), HTTP_HEAD);
    assert_int_equal(request.content_length, HTTP_BODY_BYTES_MAX);
    /* the number of fields: Host is one of them */
    for (int fields = HTTP_FIELDS_MAX; fields <= HTTP_FIELDS_MAX + 1; fields++) {
        int length = snprintf(bytes, sizeof(bytes), "%s%s", GET, HOST);
        for (int i = 1; i < fields; i++) {
            length += snprintf(bytes + length, sizeof(bytes) - (size_t)length, "f%d: v\r\n", i);
        }
        (void)snprintf(bytes + length, sizeof(bytes) - (size_t)length, "\r\n");
        assert_int_equal(read_head(&request, bytes),
                         fields <= HTTP_FIELDS_MAX ? HTTP_HEAD : HTTP_REFUSED);
    }
    assert_int_equal(request.refusal, 431);
    /* the head's size, to the byte */
    for (int over = 0; over <= 1; over++) {
        int length = snprintf(bytes, sizeof(bytes), "%s%sa: ", GET, HOST);
        int filler = HTTP_HEAD_BYTES_MAX - length - 4 + over;
        memset(bytes + length, 'x', (size_t)filler);
        (void)snprintf(bytes + length + filler, 8, "\r\n\r\n");
        assert_int_equal(read_head(&request, bytes), over == 0 ? HTTP_HEAD : HTTP_REFUSED);
    }
    assert_int_equal(request.refusal, 431);
    /* the target's size */
    for (int over = 0; over <= 1; over++) {
        (void)snprintf(bytes, sizeof(bytes), "GET /%0*d HTTP/1.1\r\n%s\r\n",
                       HTTP_TARGET_BYTES_MAX - 1 + over, 0, HOST);
        assert_int_equal(read_head(&request, bytes), over == 0 ? HTTP_HEAD : HTTP_REFUSED);
    }
    assert_int_equal(request.refusal, 414);
    /* a line that never ends */
    memset(bytes, 'G', sizeof(bytes));
    bytes[sizeof(bytes) - 1] = '\0';
    assert_int_equal(read_head(&request, bytes), HTTP_REFUSED);
    assert_int_equal(request.refusal, 414);
    assert_int_equal(request.used, HTTP_HEAD_BYTES_MAX);
}

static void test_http_request__random_bytes_never_read_past_the_head(void **state)
{
    (void)state;
    /* given mutations of a good head, from a fixed seed */
    static const char good[] = POST HOST "Authorization: Bearer abc\r\nContent-Length: 5\r\n\r\n";
    static struct http_request request;
    uint32_t seed = 12345;
    int taken_whole = 0;
    int refused_count = 0;
    for (int round = 0; round < 20000; round++) {
        char bytes[sizeof(good)];
        memcpy(bytes, good, sizeof(good));
        for (int change = 0; change < 1 + round % 3; change++) {
            seed = seed * 1664525u + 1013904223u;
            bytes[(seed >> 8) % (sizeof(good) - 1)] = (char)(seed >> 24);
        }
        size_t taken = 0;
        /* when they are read, then the reader ends in one of its three states with its invariants
         */
        enum http_progress progress =
            feed(&request, bytes, sizeof(good) - 1, (size_t)(seed % 60), false, &taken);
        assert_true(request.used <= HTTP_HEAD_BYTES_MAX && request.line <= request.used);
        if (progress == HTTP_HEAD) {
            taken_whole++;
            assert_true(request.content_length >= 0 &&
                        request.content_length <= HTTP_BODY_BYTES_MAX);
            assert_int_equal(request.target[0], '/');
        } else if (progress == HTTP_REFUSED) {
            refused_count++;
            assert_true(request.refusal >= 400 && request.refusal <= 505);
        }
    }
    assert_true(taken_whole > 100);
    assert_true(refused_count > 1000);
}

static void test_http_router__heads_are_refused_before_their_bodies(void **state)
{
    (void)state;
    static struct http_request request;
    struct http_refusal refusal;
    static const char *const codes[] = {
#define CODE(name, status, meaning) #name,
        ERROR_CODE_LIST(CODE)
#undef CODE
    };
    static const struct {
        const char *head;
        int status; /* 0: routed */
    } cases[] = {
        {POST HOST "Authorization: Bearer t\r\nContent-Length: 4194304\r\n\r\n", 0},
        {POST HOST "Content-Length: 4194304\r\n\r\n", 401},
        {"GET /v1/sync HTTP/1.1\r\n" HOST "\r\n", 405},
        {"POST /v1/sync/ HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 404},
        {"POST /v1/sync?a=b HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 404},
        {"POST /v1/%73ync HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 404},
        {"POST /v1/../v1/sync HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 404},
        {"POST /v1/enrol HTTP/1.1\r\n" HOST "Content-Length: 65536\r\n\r\n", 0},
        {"POST /v1/enrol HTTP/1.1\r\n" HOST "Content-Length: 65537\r\n\r\n", 413},
        {GET HOST "\r\n", 0},
        {"POST /v1/health HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 405},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(read_head(&request, cases[i].head), HTTP_HEAD);
        const struct http_route *route = srv_http_route(&request, &refusal);
        assert_int_equal(route == NULL ? refusal.status : 0, cases[i].status);
        bool known = route != NULL;
        for (size_t code = 0; code < sizeof(codes) / sizeof(codes[0]); code++) {
            known = known || strcmp(codes[code], refusal.code) == 0;
        }
        assert_true(known); /* the protocol has a word for it */
        if (cases[i].status == 405) {
            assert_non_null(refusal.allow);
        }
    }
}

static void test_http_reply__a_head_says_all_of_it(void **state)
{
    (void)state;
    char out[HTTP_REPLY_HEAD_BYTES_MAX];
    const struct http_reply busy = {.status = 503,
                                    .content_type = "application/json",
                                    .body_size = 17,
                                    .retry_after_ms = 1001,
                                    .now_s = 784111777,
                                    .close = true};
    size_t length = srv_http_reply_head(&busy, out);
    out[length] = '\0';
    assert_string_equal(
        out, "HTTP/1.1 503 Service Unavailable\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
             "Content-Length: 17\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
             "Retry-After: 2\r\nConnection: close\r\n\r\n");
    const struct http_reply method = {
        .status = 405, .allow = "POST", .retry_after_ms = -1, .now_s = 0};
    length = srv_http_reply_head(&method, out);
    out[length] = '\0';
    assert_string_equal(out,
                        "HTTP/1.1 405 Method Not Allowed\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                        "Content-Length: 0\r\nCache-Control: no-store\r\nAllow: POST\r\n\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_request__malformed_and_ambiguous_are_refused),
        cmocka_unit_test(test_http_request__nul_bytes_are_refused),
        cmocka_unit_test(test_http_request__a_good_post_is_taken_at_every_split),
        cmocka_unit_test(test_http_request__an_unfinished_head_wants_more),
        cmocka_unit_test(test_http_request__close_and_tokens_are_understood),
        cmocka_unit_test(test_http_request__limits_hold_on_both_sides),
        cmocka_unit_test(test_http_request__random_bytes_never_read_past_the_head),
        cmocka_unit_test(test_http_router__heads_are_refused_before_their_bodies),
        cmocka_unit_test(test_http_reply__a_head_says_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
