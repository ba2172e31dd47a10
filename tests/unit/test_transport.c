/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract of the transport, case by case, against a real TLS server: what is sent, what comes
 * back, and what is not sent at all. Broken answers and time have files of their own.
 */
#include "tests/support/transport_world.h"

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char reply_ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/* Answers with the text, exchanges, expects the status. */
static void expect(struct transport_world *world, const char *answer, daybook_status status)
{
    transport_world_answer(world, answer);
    daybook_status got = transport_world_exchange(world);
    if (got != status) {
        print_error("answer: %.200s\n", answer);
    }
    assert_int_equal(got, status);
}

/* Plays this instead of answering well, exchanges, expects the status. */
static void expect_play(struct transport_world *world, struct tls_play play, daybook_status status)
{
    tls_server_play(world->server, &play);
    assert_int_equal(transport_world_exchange(world), status);
}

/* ---- what is sent ------------------------------------------------------------------------- */

static void test_transport__post_sends_body_type_and_token(void **state)
{
    struct transport_world *world = *state;
    world->request.method = "POST";
    world->request.token = "a-token_1.2~3";
    world->request.body = "a\0b";
    world->request.body_size = 3;

    expect(world, reply_ok, DAYBOOK_OK);

    struct tls_seen seen = tls_server_seen(world->server);
    assert_int_equal(strncmp(seen.last, "POST /v1/sync HTTP/1.1\r\n", 24), 0);
    assert_non_null(strstr(seen.last, "\r\nAuthorization: Bearer a-token_1.2~3\r\n"));
    assert_non_null(strstr(seen.last, "\r\nContent-Type: application/vnd.daybook+zstd\r\n"));
    assert_non_null(strstr(seen.last, "\r\nContent-Length: 3\r\n"));
    assert_null(strstr(seen.last, "Expect"));
    assert_null(strstr(seen.last, "Cookie"));
    assert_memory_equal(seen.last + seen.last_size - 7, "\r\n\r\na\0b", 7);
}

static void test_transport__large_body_goes_without_asking_first(void **state)
{
    struct transport_world *world = *state;
    size_t size = (size_t)3 * 1024 * 1024;
    char *body = malloc(size);
    assert_non_null(body);
    memset(body, 'x', size);
    world->request.method = "POST";
    world->request.body = body;
    world->request.body_size = size;

    expect(world, reply_ok, DAYBOOK_OK);

    struct tls_seen seen = tls_server_seen(world->server);
    assert_null(strstr(seen.last, "Expect"));
    assert_true(seen.last_size > size);
    free(body);
}

static void test_transport__post_without_body_says_length_zero(void **state)
{
    struct transport_world *world = *state;
    world->request.method = "POST";
    expect(world, reply_ok, DAYBOOK_OK);
    struct tls_seen seen = tls_server_seen(world->server);
    assert_non_null(strstr(seen.last, "\r\nContent-Length: 0\r\n"));
    assert_null(strstr(seen.last, "Content-Type"));
}

static void test_transport__get_has_neither_body_nor_token_of_before(void **state)
{
    struct transport_world *world = *state;
    world->request.method = "POST";
    world->request.token = "secret";
    world->request.body = "abc";
    world->request.body_size = 3;
    expect(world, reply_ok, DAYBOOK_OK);
    world->request.method = "GET";
    world->request.token = NULL;
    world->request.body = NULL;
    world->request.body_size = 0;

    expect(world, reply_ok, DAYBOOK_OK);

    struct tls_seen seen = tls_server_seen(world->server);
    assert_int_equal(strncmp(seen.last, "GET /v1/sync HTTP/1.1\r\n", 23), 0);
    assert_null(strstr(seen.last, "Content-"));
    assert_null(strstr(seen.last, "Authorization"));
}

static void test_transport__request_that_is_none_is_not_sent(void **state)
{
    struct transport_world *world = *state;
    const struct daybook_request good = world->request;
    char plain_url[80];
    char user_url[80];
    (void)snprintf(plain_url, sizeof(plain_url), "http%s", world->url + 5);
    (void)snprintf(user_url, sizeof(user_url), "https://name:word@%s", world->url + 8);
    const char *const urls[] = {NULL, "", "/v1/sync", "file:///etc/hosts", plain_url, user_url};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        world->request.url = urls[i];
        expect(world, reply_ok, DAYBOOK_INVALID);
    }
    world->request = good;
    const char *const tokens[] = {"a b", "a\r\nX: y", "\t", "\x7f", "\xc3\xa9"};
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        world->request.token = tokens[i];
        expect(world, reply_ok, DAYBOOK_INVALID);
    }
    world->request = good;
    world->request.method = "PUT";
    expect(world, reply_ok, DAYBOOK_INVALID);
    world->request.method = "GET";
    world->request.body = "abc";
    world->request.body_size = 3;
    expect(world, reply_ok, DAYBOOK_INVALID);
    assert_int_equal(tls_server_seen(world->server).connections, 0);
}

static void test_transport__proxy_sees_no_token(void **state)
{
    struct transport_world *world = *state;
    char proxy[64];
    (void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", tls_server_port(world->server));
    assert_int_equal(setenv("https_proxy", proxy, 1), 0);
    world->request.url = "https://server.invalid/v1/sync";
    world->request.token = "secret";
    static const char refusal[] = "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n";

    expect_play(
        world,
        (struct tls_play){.plain = true, .reply = refusal, .reply_size = sizeof(refusal) - 1},
        DAYBOOK_OFFLINE);

    assert_int_equal(unsetenv("https_proxy"), 0);
    struct tls_seen seen = tls_server_seen(world->server);
    assert_int_equal(strncmp(seen.last, "CONNECT server.invalid:443 ", 27), 0);
    assert_null(strstr(seen.last, "secret"));
}

/* ---- what comes back ---------------------------------------------------------------------- */

static void test_transport__reply_has_status_type_and_writable_body(void **state)
{
    struct transport_world *world = *state;
    expect(world,
           "HTTP/1.1 409 Conflict\r\nContent-Type: application/vnd.daybook+zstd\r\n"
           "Content-Length: 5\r\n\r\nhello",
           DAYBOOK_OK);
    assert_int_equal(world->reply.http_status, 409);
    assert_string_equal(world->reply.content_type, "application/vnd.daybook+zstd");
    assert_int_equal(world->reply.retry_after_ms, -1);
    assert_int_equal(world->reply.body_size, 5);
    assert_memory_equal(world->reply.body, "hello", 6);
    world->reply.body[0] = 'H';
}

static void test_transport__empty_reply_has_a_body_of_no_bytes(void **state)
{
    struct transport_world *world = *state;
    expect(world, "HTTP/1.1 204 No Content\r\n\r\n", DAYBOOK_OK);
    assert_int_equal(world->reply.body_size, 0);
    assert_non_null(world->reply.body);
    assert_null(world->reply.content_type);
}

static void test_transport__every_final_status_is_an_answer(void **state)
{
    struct transport_world *world = *state;
    const int statuses[] = {200, 304, 400, 401, 403, 404, 413, 426, 429, 500, 502, 503, 599};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        char answer[80];
        (void)snprintf(answer, sizeof(answer), "HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n",
                       statuses[i]);
        expect(world, answer, DAYBOOK_OK);
        assert_int_equal(world->reply.http_status, statuses[i]);
    }
}

static void test_transport__chunks_are_joined(void **state)
{
    struct transport_world *world = *state;
    expect(world,
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
           "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
           DAYBOOK_OK);
    assert_int_equal(world->reply.body_size, 5);
    assert_memory_equal(world->reply.body, "abcde", 5);
}

static void test_transport__interim_answers_are_passed_over(void **state)
{
    struct transport_world *world = *state;
    expect(world,
           "HTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\n"
           "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
           DAYBOOK_OK);
    assert_int_equal(world->reply.http_status, 200);
    assert_int_equal(world->reply.retry_after_ms, -1);
}

static void test_transport__redirect_is_an_answer_and_not_followed(void **state)
{
    struct transport_world *world = *state;
    char answer[200];
    (void)snprintf(answer, sizeof(answer),
                   "HTTP/1.1 302 Found\r\nLocation: %s/other\r\nContent-Length: 0\r\n\r\n",
                   world->url);
    expect(world, answer, DAYBOOK_OK);
    assert_int_equal(world->reply.http_status, 302);
    assert_int_equal(tls_server_seen(world->server).requests, 1);
}

static void test_transport__retry_after_is_read_as_seconds_and_as_date(void **state)
{
    struct transport_world *world = *state;
    static const struct {
        const char *header;
        int64_t expected_ms;
    } cases[] = {
        {"Retry-After: 0", 0},
        {"Retry-After: 7", 7000},
        {"retry-after:  120 ", 120000},
        {"Retry-After: 99999999999999999999999999", INT64_C(366) * 86400 * 1000},
        {"Retry-After: -5", -1},
        {"Retry-After: soon", -1},
        {"Retry-After: 1.5", -1},
        {"Retry-After:", -1},
        {"Date: Mon, 02 Mar 2026 08:00:00 GMT\r\nRetry-After: Mon, 02 Mar 2026 08:00:30 GMT",
         30000},
        {"Date: Mon, 02 Mar 2026 08:00:00 GMT\r\nRetry-After: Mon, 02 Mar 2026 07:00:00 GMT", 0},
        {"Retry-After: Thu, 01 Jan 1970 00:00:10 GMT", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char answer[300];
        (void)snprintf(answer, sizeof(answer), "HTTP/1.1 503 No\r\n%s\r\nContent-Length: 0\r\n\r\n",
                       cases[i].header);
        expect(world, answer, DAYBOOK_OK);
        if (world->reply.retry_after_ms != cases[i].expected_ms) {
            print_error("%s\n", cases[i].header);
        }
        assert_int_equal(world->reply.retry_after_ms, cases[i].expected_ms);
    }
}

static void test_transport__date_without_server_clock_is_compared_with_ours(void **state)
{
    struct transport_world *world = *state;
    time_t until = time(NULL) + 100;
    struct tm parts;
    char date[64];
    char answer[200];
    assert_non_null(gmtime_r(&until, &parts));
    assert_true(strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &parts) > 0);
    (void)snprintf(answer, sizeof(answer),
                   "HTTP/1.1 503 No\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n", date);
    expect(world, answer, DAYBOOK_OK);
    assert_in_range(world->reply.retry_after_ms, 90000, 100000);
}

#define STORY(name)                                                                 \
    cmocka_unit_test_setup_teardown(test_transport__##name, transport_world_set_up, \
                                    transport_world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(post_sends_body_type_and_token),
        STORY(large_body_goes_without_asking_first),
        STORY(post_without_body_says_length_zero),
        STORY(get_has_neither_body_nor_token_of_before),
        STORY(request_that_is_none_is_not_sent),
        STORY(proxy_sees_no_token),
        STORY(reply_has_status_type_and_writable_body),
        STORY(empty_reply_has_a_body_of_no_bytes),
        STORY(every_final_status_is_an_answer),
        STORY(chunks_are_joined),
        STORY(interim_answers_are_passed_over),
        STORY(redirect_is_an_answer_and_not_followed),
        STORY(retry_after_is_read_as_seconds_and_as_date),
        STORY(date_without_server_clock_is_compared_with_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
