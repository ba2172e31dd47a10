/* SPDX-License-Identifier: Apache-2.0
 *
 * Time and the default transport, against a real TLS server: limits, interruption from another
 * thread, and what is kept between exchanges.
 */
#include "tests/support/transport_world.h"

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>
#include <time.h>

static const char reply_ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

enum {
    PROMPT_MS = 500
}; /* on a busy machine; the transport looks around by itself once a second */

static int64_t now_ms(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void sleep_ms(long wait_ms)
{
    struct timespec wait = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000};
    (void)nanosleep(&wait, NULL);
}

/* A second thread that interrupts the world's connection after a while. */
struct interrupter {
    struct transport_world *world;
    pthread_t thread;
    long wait_ms;
    int64_t called_ms; /* when it did */
};

static void *interrupt_later(void *pointer)
{
    struct interrupter *self = pointer;
    sleep_ms(self->wait_ms);
    self->called_ms = now_ms();
    self->world->platform->transport_interrupt(self->world->platform->context,
                                               self->world->connection);
    return NULL;
}

/* Exchanges while another thread interrupts after wait_ms; returns how long the exchange went on
 * after that. */
static int64_t exchange_interrupted(struct transport_world *world, long wait_ms)
{
    struct interrupter self = {.world = world, .wait_ms = wait_ms};
    assert_int_equal(pthread_create(&self.thread, NULL, interrupt_later, &self), 0);
    daybook_status status = transport_world_exchange(world);
    int64_t ended_ms = now_ms();
    assert_int_equal(pthread_join(self.thread, NULL), 0);
    assert_int_equal(status, DAYBOOK_INTERRUPTED);
    return ended_ms - self.called_ms;
}

/* Exchanges with a limit of 300 ms against a server that says nothing more. */
static void expect_timeout(struct transport_world *world, struct tls_play play)
{
    tls_server_play(world->server, &play);
    world->request.timeout_ms = 300;
    int64_t begun_ms = now_ms();
    assert_int_equal(transport_world_exchange(world), DAYBOOK_TIMEOUT);
    assert_in_range(now_ms() - begun_ms, 280, 1500);
}

static void test_transport_time__silent_server_is_a_timeout(void **state)
{
    expect_timeout(*state, (struct tls_play){.stall_reply = true});
}

static void test_transport_time__silent_handshake_is_a_timeout(void **state)
{
    expect_timeout(*state, (struct tls_play){.stall_handshake = true});
}

static void test_transport_time__dripping_server_does_not_stretch_the_limit(void **state)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n"
                                 "0123456789012345678901234567890123456789";
    expect_timeout(*state, (struct tls_play){
                               .reply = answer, .reply_size = sizeof(answer) - 1, .drip_ms = 50});
}

static void test_transport_time__no_time_left_is_a_timeout_at_once(void **state)
{
    struct transport_world *world = *state;
    world->request.timeout_ms = 0;
    assert_int_equal(transport_world_exchange(world), DAYBOOK_TIMEOUT);
    world->request.timeout_ms = -1;
    assert_int_equal(transport_world_exchange(world), DAYBOOK_TIMEOUT);
    assert_int_equal(tls_server_seen(world->server).connections, 0);
}

static void test_transport_time__connection_works_after_a_timeout(void **state)
{
    struct transport_world *world = *state;
    expect_timeout(world, (struct tls_play){.stall_reply = true});
    world->request.timeout_ms = 20000;
    transport_world_answer(world, reply_ok);
    assert_int_equal(transport_world_exchange(world), DAYBOOK_OK);
}

static void test_transport_time__interrupt_ends_a_waiting_exchange_soon(void **state)
{
    struct transport_world *world = *state;
    tls_server_play(world->server, &(struct tls_play){.stall_reply = true});
    assert_in_range(exchange_interrupted(world, 400), 0, PROMPT_MS);
    tls_server_play(world->server, &(struct tls_play){.stall_handshake = true});
    assert_in_range(exchange_interrupted(world, 400), 0, PROMPT_MS);
}

static void test_transport_time__interrupt_at_any_moment_is_not_lost(void **state)
{
    struct transport_world *world = *state;
    for (long wait_ms = 0; wait_ms < 12; wait_ms++) {
        tls_server_play(world->server, &(struct tls_play){.stall_reply = true});
        assert_in_range(exchange_interrupted(world, wait_ms), 0, PROMPT_MS);
        transport_world_reconnect(world);
    }
}

static void test_transport_time__interrupt_before_ends_the_next_exchange_only(void **state)
{
    struct transport_world *world = *state;
    transport_world_answer(world, reply_ok);
    world->platform->transport_interrupt(world->platform->context, world->connection);
    assert_int_equal(transport_world_exchange(world), DAYBOOK_INTERRUPTED);
    assert_int_equal(tls_server_seen(world->server).connections, 0);
    assert_int_equal(transport_world_exchange(world), DAYBOOK_OK);

    /* Also when handles are there already. */
    world->platform->transport_interrupt(world->platform->context, world->connection);
    assert_int_equal(transport_world_exchange(world), DAYBOOK_INTERRUPTED);
    assert_int_equal(transport_world_exchange(world), DAYBOOK_OK);
}

static void test_transport_time__interrupted_answer_is_not_taken_for_the_next(void **state)
{
    struct transport_world *world = *state;
    static const char half[] = "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nold old old";
    tls_server_play(
        world->server,
        &(struct tls_play){.reply = half, .reply_size = sizeof(half) - 1, .stall_after = true});
    assert_in_range(exchange_interrupted(world, 100), 0, PROMPT_MS);

    transport_world_answer(world, reply_ok);
    assert_int_equal(transport_world_exchange(world), DAYBOOK_OK);
    assert_int_equal(world->reply.body_size, 2);
    assert_memory_equal(world->reply.body, "ok", 2);
}

static void test_transport_time__exchanges_share_one_socket(void **state)
{
    struct transport_world *world = *state;
    transport_world_answer(world, reply_ok);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(transport_world_exchange(world), DAYBOOK_OK);
    }
    struct tls_seen seen = tls_server_seen(world->server);
    assert_int_equal(seen.connections, 1);
    assert_int_equal(seen.requests, 5);
}

static void test_transport_time__closed_socket_is_replaced_without_a_word(void **state)
{
    struct transport_world *world = *state;
    world->request.method = "POST";
    world->request.body = "abc";
    world->request.body_size = 3;
    /* Closed by the server's goodbye. */
    tls_server_play(world->server, &(struct tls_play){.reply = reply_ok,
                                                      .reply_size = sizeof(reply_ok) - 1,
                                                      .close_after = true});
    assert_int_equal(transport_world_exchange(world), DAYBOOK_OK);
    assert_int_equal(transport_world_exchange(world), DAYBOOK_OK);
    assert_int_equal(tls_server_seen(world->server).requests, 2);

    /* Reset while idle. */
    transport_world_answer(world, reply_ok);
    assert_int_equal(transport_world_exchange(world), DAYBOOK_OK);
    tls_server_play(world->server, &(struct tls_play){.reset_idle = true});
    sleep_ms(60);
    transport_world_answer(world, reply_ok);
    assert_int_equal(transport_world_exchange(world), DAYBOOK_OK);
    assert_int_equal(tls_server_seen(world->server).connections, 1);
}

static void test_transport_time__close_of_nothing_is_fine(void **state)
{
    struct transport_world *world = *state;
    world->platform->transport_close(world->platform->context, NULL);
}

#define STORY(name)                                                                                \
    cmocka_unit_test_setup_teardown(test_transport_time__##name, transport_world_set_up,           \
                                    transport_world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(silent_server_is_a_timeout),
        STORY(silent_handshake_is_a_timeout),
        STORY(dripping_server_does_not_stretch_the_limit),
        STORY(no_time_left_is_a_timeout_at_once),
        STORY(connection_works_after_a_timeout),
        STORY(interrupt_ends_a_waiting_exchange_soon),
        STORY(interrupt_at_any_moment_is_not_lost),
        STORY(interrupt_before_ends_the_next_exchange_only),
        STORY(interrupted_answer_is_not_taken_for_the_next),
        STORY(exchanges_share_one_socket),
        STORY(closed_socket_is_replaced_without_a_word),
        STORY(close_of_nothing_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
