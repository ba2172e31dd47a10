/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers that are cut, foreign, too large or none, against a real TLS server. None of them may
 * pass as an answer, and each has the status that platform.h gives it.
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

/* Cuts the answer after each byte before `settled`, where nothing is open any more; gently and by a
 * reset: never an answer. */
static void cut_everywhere(struct transport_world *world, const char *answer, size_t settled)
{
    for (size_t cut = 1; cut < settled; cut++) {
        for (int abrupt = 0; abrupt < 2; abrupt++) {
            tls_server_play(world->server, &(struct tls_play){.reply = answer,
                                                              .reply_size = strlen(answer),
                                                              .cut_at = cut,
                                                              .abrupt = abrupt == 1});
            daybook_status status = transport_world_exchange(world);
            if (status != DAYBOOK_OFFLINE) {
                print_error("cut after %zu of %zu, abrupt %d\n", cut, strlen(answer), abrupt);
            }
            assert_int_equal(status, DAYBOOK_OFFLINE);
        }
    }
    expect(world, answer, DAYBOOK_OK);
}

static void test_transport_faults__answer_cut_at_each_byte_is_offline(void **state)
{
    static const char answer[] =
        "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 4\r\n\r\nbody";
    cut_everywhere(*state, answer, sizeof(answer) - 1);
}

static void test_transport_faults__chunked_answer_cut_at_each_byte_is_offline(void **state)
{
    /* All is said when only the last line feed is missing. */
    static const char answer[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                 "3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
    cut_everywhere(*state, answer, sizeof(answer) - 2);
}

static void test_transport_faults__interim_answer_alone_is_offline(void **state)
{
    static const char answer[] = "HTTP/1.1 103 Early Hints\r\n\r\n";
    expect_play(
        *state,
        (struct tls_play){.reply = answer, .reply_size = sizeof(answer) - 1, .close_after = true},
        DAYBOOK_OFFLINE);
}

static void test_transport_faults__close_without_an_answer_is_offline(void **state)
{
    expect_play(*state, (struct tls_play){.reply = "", .reply_size = 0, .close_after = true},
                DAYBOOK_OFFLINE);
    expect_play(
        *state,
        (struct tls_play){.reply = "", .reply_size = 0, .close_after = true, .abrupt = true},
        DAYBOOK_OFFLINE);
}

static void test_transport_faults__something_else_than_http_is_a_bad_reply(void **state)
{
    static const char *const answers[] = {"SSH-2.0-OpenSSH_9.2\r\n", "<html>hello</html>",
                                          "220 mail ready\r\n\r\n"};
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        expect_play(*state,
                    (struct tls_play){
                        .reply = answers[i], .reply_size = strlen(answers[i]), .close_after = true},
                    DAYBOOK_BAD_REPLY);
    }
}

static void test_transport_faults__plain_http_on_the_port_is_a_bad_reply(void **state)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    struct transport_world *world = *state;
    world->request.token = "secret";
    /* The server answers whatever comes first, as plain servers do to a TLS greeting. */
    expect_play(
        world,
        (struct tls_play){
            .plain = true, .greet = true, .reply = answer, .reply_size = sizeof(answer) - 1},
        DAYBOOK_BAD_REPLY);
    assert_null(strstr(tls_server_seen(world->server).last, "secret"));
}

static void test_transport_faults__cut_in_the_handshake_is_offline(void **state)
{
    expect_play(*state, (struct tls_play){.drop_handshake = true}, DAYBOOK_OFFLINE);
    expect_play(*state, (struct tls_play){.drop_handshake = true, .abrupt = true}, DAYBOOK_OFFLINE);
}

static void test_transport_faults__nobody_there_is_offline(void **state)
{
    struct transport_world *world = *state;
    tls_server_stop(world->server);
    world->server = NULL;
    assert_int_equal(transport_world_exchange(world), DAYBOOK_OFFLINE);
    world->request.url = "https://server.invalid/";
    assert_int_equal(transport_world_exchange(world), DAYBOOK_OFFLINE);
}

static void test_transport_faults__reset_while_sending_is_offline_and_no_signal(void **state)
{
    struct transport_world *world = *state;
    size_t size = (size_t)3 * 1024 * 1024;
    char *body = calloc(1, size);
    assert_non_null(body);
    world->request.method = "POST";
    world->request.body = body;
    world->request.body_size = size;
    for (int i = 0; i < 10; i++) {
        expect_play(world, (struct tls_play){.reset_upload = true}, DAYBOOK_OFFLINE);
    }
    free(body);
}

static void test_transport_faults__largest_reply_is_taken_and_one_byte_more_is_not(void **state)
{
    struct transport_world *world = *state;
    world->request.reply_max = 5;
    expect(world, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345", DAYBOOK_OK);
    expect(world, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n123456", DAYBOOK_BAD_REPLY);
    expect(world, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n123456",
           DAYBOOK_BAD_REPLY);
    expect(world, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n0\r\n\r\n",
           DAYBOOK_BAD_REPLY);
    world->request.reply_max = 0;
    expect(world, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", DAYBOOK_OK);
    expect(world, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1", DAYBOOK_BAD_REPLY);
}

static void
test_transport_faults__large_reply_comes_whole_and_its_memory_is_given_back(void **state)
{
    struct transport_world *world = *state;
    enum { BODY_SIZE = 2 * 1024 * 1024 };
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n";
    size_t size = sizeof(head) - 1 + BODY_SIZE;
    char *answer = malloc(size);
    assert_non_null(answer);
    memcpy(answer, head, sizeof(head) - 1);
    for (size_t i = sizeof(head) - 1; i < size; i++) {
        answer[i] = (char)('a' + i % 26);
    }
    world->request.reply_max = BODY_SIZE;
    expect_play(world, (struct tls_play){.reply = answer, .reply_size = size}, DAYBOOK_OK);
    assert_int_equal(world->reply.body_size, BODY_SIZE);
    assert_memory_equal(world->reply.body, answer + sizeof(head) - 1, BODY_SIZE);
    expect(world, reply_ok, DAYBOOK_OK);
    assert_memory_equal(world->reply.body, "ok", 3);
    free(answer);
}

static void test_transport_faults__endless_header_is_a_bad_reply(void **state)
{
    struct transport_world *world = *state;
    enum { LINES = 4000 };
    static const char start[] = "HTTP/1.1 200 OK\r\n";
    static const char line[] = "X-Padding: 0123456789\r\n";
    static const char end[] = "Content-Length: 0\r\n\r\n";
    char *answer = malloc(sizeof(start) + LINES * sizeof(line) + sizeof(end));
    assert_non_null(answer);
    char *at = answer;
    memcpy(at, start, sizeof(start) - 1);
    at += sizeof(start) - 1;
    for (int i = 0; i < LINES; i++, at += sizeof(line) - 1) {
        memcpy(at, line, sizeof(line) - 1);
    }
    memcpy(at, end, sizeof(end));
    expect(world, answer, DAYBOOK_BAD_REPLY);
    free(answer);
}

#define STORY(name)                                                                                \
    cmocka_unit_test_setup_teardown(test_transport_faults__##name, transport_world_set_up,         \
                                    transport_world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(answer_cut_at_each_byte_is_offline),
        STORY(chunked_answer_cut_at_each_byte_is_offline),
        STORY(interim_answer_alone_is_offline),
        STORY(close_without_an_answer_is_offline),
        STORY(something_else_than_http_is_a_bad_reply),
        STORY(plain_http_on_the_port_is_a_bad_reply),
        STORY(cut_in_the_handshake_is_offline),
        STORY(nobody_there_is_offline),
        STORY(reset_while_sending_is_offline_and_no_signal),
        STORY(largest_reply_is_taken_and_one_byte_more_is_not),
        STORY(large_reply_comes_whole_and_its_memory_is_given_back),
        STORY(endless_header_is_a_bad_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
