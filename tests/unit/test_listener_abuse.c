/* SPDX-License-Identifier: Apache-2.0
 *
 * The listener with clients that misbehave: slow, cut, oversized, malformed, gone. After each the
 * server has no connection and no byte left, and a healthy client is served.
 */
#include "tests/unit/listener_world.h"

/* A healthy client beside the others. */
static void assert_healthy(struct world *world)
{
    struct client client;
    assert_true(client_open(&client, world, 0));
    assert_true(client_write(&client, HEALTH, strlen(HEALTH)));
    expect_reply(&client, 200, NULL);
    client_close(&client, GOODBYE_CLEAN);
}

/* Drips bytes one by one until the server has closed, at most 5 s; the time it took. */
static int64_t drip(struct client *client, const char *bytes, size_t length, int64_t pause_ms)
{
    int64_t begin_ms = now_ms();
    for (size_t i = 0; now_ms() - begin_ms < 5000; i++) {
        char byte = i < length ? bytes[i] : 'x';
        if (!client_write(client, &byte, 1)) {
            break;
        }
        sleep_ms(pause_ms);
    }
    return now_ms() - begin_ms;
}

static void test_listener_abuse__a_request_cut_at_each_byte_leaves_nothing(void **state)
{
    (void)state;
    static const char request[] = SYNC_HEAD "Content-Length: 20\r\n\r\n01234567890123456789";
    struct http_limits limits = srv_http_limits_default();
    struct world world;
    struct client client;
    world_open(&world, &limits, 2, false);
    /* when a client sends each beginning of a request and leaves in each way */
    for (size_t length = 0; length < sizeof(request) - 1; length++) {
        assert_true(client_open(&client, &world, 0));
        assert_true(client_write(&client, request, length));
        client_close(&client, (enum goodbye)(length % 3));
    }
    /* then no request came to be, and nothing is left */
    wait_for_connections(&world, 0);
    assert_int_equal(service_submitted(&world.service), 0);
    assert_int_equal(srv_gate_bytes(srv_listener_gate(world.listener)), 0);
    assert_healthy(&world);
    world_close(&world);
}

static void test_listener_abuse__a_request_in_two_packets_is_answered_at_each_cut(void **state)
{
    (void)state;
    static const char request[] = SYNC_HEAD "Content-Length: 20\r\n\r\n01234567890123456789";
    struct http_limits limits = srv_http_limits_default();
    struct world world;
    struct client client;
    world_open(&world, &limits, 1, false);
    assert_true(client_open(&client, &world, 0));
    for (size_t cut = 1; cut < sizeof(request) - 1; cut++) {
        assert_true(client_write(&client, request, cut));
        assert_true(client_write(&client, request + cut, sizeof(request) - 1 - cut));
        struct reply reply;
        assert_int_equal(client_read(&client, &reply), 200);
        assert_string_equal(reply.body, "01234567890123456789");
        free(reply.body);
    }
    client_close(&client, GOODBYE_CLEAN);
    world_close(&world);
}

static void test_listener_abuse__slow_handshakes_heads_and_bodies_are_cut_off(void **state)
{
    (void)state;
    struct http_limits limits = quick_limits();
    struct world world;
    struct client client;
    char byte = 0;
    world_open(&world, &limits, 2, false);
    /* a client that never shakes hands */
    client.ssl = NULL;
    client.socket = tcp_connect(world.port, 0);
    int64_t begin_ms = now_ms();
    assert_true(recv(client.socket, &byte, 1, 0) <= 0);
    assert_in_range(now_ms() - begin_ms, 300, 3000);
    client_close(&client, GOODBYE_FIN);
    /* one that shakes hands and is silent */
    assert_true(client_open(&client, &world, 0));
    expect_end(&client);
    client_close(&client, GOODBYE_FIN);
    /* one that drips its head: progress does not move the deadline */
    assert_true(client_open(&client, &world, 0));
    assert_in_range(drip(&client, SYNC_HEAD "X: ", strlen(SYNC_HEAD "X: "), 20), 300, 3000);
    client_close(&client, GOODBYE_FIN);
    /* one that drips its body: it is told, where it listens */
    static const char head[] = SYNC_HEAD "Content-Length: 1000\r\n\r\n";
    assert_true(client_open(&client, &world, 0));
    assert_true(client_write(&client, head, sizeof(head) - 1));
    for (int i = 0; i < 10; i++) {
        assert_true(client_write(&client, "x", 1));
        sleep_ms(20);
    }
    expect_reply(&client, 408, "Connection: close\r\n");
    expect_end(&client);
    client_close(&client, GOODBYE_FIN);
    /* one that rests between requests for too long */
    assert_true(client_open(&client, &world, 0));
    assert_true(client_write(&client, HEALTH, strlen(HEALTH)));
    expect_reply(&client, 200, NULL);
    begin_ms = now_ms();
    expect_end(&client);
    assert_in_range(now_ms() - begin_ms, 300, 3000);
    client_close(&client, GOODBYE_FIN);
    wait_for_connections(&world, 0);
    assert_healthy(&world);
    world_close(&world);
}

static void test_listener_abuse__a_reader_that_does_not_read_is_cut_off(void **state)
{
    (void)state;
    struct http_limits limits = quick_limits();
    struct world world;
    struct client client;
    limits.transfer_bytes_per_s = (int64_t)8 * 1024 * 1024; /* two seconds for the reply */
    world_open(&world, &limits, 1, false);
    world.service.reply_size = (size_t)16 * 1024 * 1024;
    assert_true(client_open(&client, &world, 4096));
    assert_true(client_write(&client, HEALTH, strlen(HEALTH)));
    wait_for_submitted(&world, 1);
    for (int i = 0; i < 5000 && srv_gate_bytes(srv_listener_gate(world.listener)) == 0; i++) {
        sleep_ms(1); /* a slow machine takes its time over so large a reply */
    }
    assert_int_equal(srv_gate_bytes(srv_listener_gate(world.listener)), 16 * 1024 * 1024);
    wait_for_connections(&world, 0);
    assert_int_equal(srv_gate_bytes(srv_listener_gate(world.listener)), 0);
    client_close(&client, GOODBYE_FIN);
    /* one that reads gets it all */
    struct reply reply;
    assert_true(client_open(&client, &world, 0));
    assert_true(client_write(&client, HEALTH, strlen(HEALTH)));
    assert_int_equal(client_read(&client, &reply), 200);
    assert_int_equal(reply.body_size, 16 * 1024 * 1024);
    free(reply.body);
    client_close(&client, GOODBYE_CLEAN);
    world_close(&world);
}

static void test_listener_abuse__refusals_reach_a_client_that_is_still_sending(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        int status;
        const char *code;
    } cases[] = {
        {SYNC_HEAD "Content-Length: 1073741824\r\n\r\n", 413, "{\"error\":\"TOO_LARGE\","},
        {SYNC_HEAD "Transfer-Encoding: chunked\r\n\r\n", 400, "{\"error\":\"BAD_REQUEST\","},
        {"POST /v1/sync HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n", 401,
         "{\"error\":\"SIGN_IN\","},
        {"POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n", 404,
         "{\"error\":\"NOT_FOUND\","},
        {"POST /v1/health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n", 405,
         "{\"error\":\"METHOD\","},
        {"POST /v1/enrol HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n", 413,
         "{\"error\":\"TOO_LARGE\","},
        {"GET / HTTP/1.0\r\n\r\n", 505, "{\"error\":\"BAD_REQUEST\","},
    };
    static char junk[256 * 1024];
    struct http_limits limits = srv_http_limits_default();
    struct world world;
    struct client client;
    memset(junk, 'j', sizeof(junk));
    world_open(&world, &limits, 2, false);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(client_open(&client, &world, 0));
        assert_true(client_write(&client, cases[i].head, strlen(cases[i].head)));
        (void)client_write(&client, junk, sizeof(junk));
        struct reply reply;
        assert_int_equal(client_read(&client, &reply), cases[i].status);
        assert_non_null(strstr(reply.head, "Connection: close\r\n"));
        assert_non_null(strstr(reply.head, "Content-Type: application/json\r\n"));
        assert_non_null(strstr(reply.body, cases[i].code));
        free(reply.body);
        expect_goodbye(&client);
        client_close(&client, GOODBYE_FIN);
    }
    /* a head without end */
    assert_true(client_open(&client, &world, 0));
    assert_true(client_write(&client, "GET / HTTP/1.1\r\nA: ", 19));
    (void)client_write(&client, junk, 65536);
    expect_reply(&client, 431, NULL);
    expect_goodbye(&client);
    client_close(&client, GOODBYE_FIN);
    assert_int_equal(service_submitted(&world.service), 0);
    wait_for_connections(&world, 0);
    assert_healthy(&world);
    world_close(&world);
}

static void test_listener_abuse__nothing_behind_a_refusal_is_read_as_a_request(void **state)
{
    (void)state;
    /* given a request that two servers would cut differently, with another one inside */
    static const char smuggled[] =
        "POST /v1/sync HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer abc\r\n"
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" HEALTH;
    struct http_limits limits = srv_http_limits_default();
    struct world world;
    struct client client;
    world_open(&world, &limits, 1, false);
    assert_true(client_open(&client, &world, 0));
    assert_true(client_write(&client, smuggled, sizeof(smuggled) - 1));
    expect_reply(&client, 400, "Connection: close\r\n");
    expect_goodbye(&client);
    client_close(&client, GOODBYE_FIN);
    assert_int_equal(service_submitted(&world.service), 0);
    world_close(&world);
}

static void test_listener_abuse__answers_after_the_client_left_find_nobody(void **state)
{
    (void)state;
    enum { CLIENTS = 60 };
    struct http_limits limits = srv_http_limits_default();
    struct world world;
    static struct client clients[CLIENTS];
    world_open(&world, &limits, 3, false);
    world.service.mode = ECHO_WHEN_TOLD;
    static const char request[] =
        "POST /v1/enrol HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\nanswer";
    for (int i = 0; i < CLIENTS; i++) {
        assert_true(client_open(&clients[i], &world, 0));
        assert_true(client_write(&clients[i], request, sizeof(request) - 1));
    }
    wait_for_submitted(&world, CLIENTS);
    /* when they leave in each way, and then their answers come */
    for (int i = 0; i < CLIENTS; i++) {
        client_close(&clients[i], (enum goodbye)(i % 3));
    }
    service_release(&world.service);
    wait_for_connections(&world, 0);
    world.service.mode = ECHO_AT_ONCE;
    assert_healthy(&world);
    world_close(&world);
}

static void test_listener_abuse__a_late_answer_is_replaced_by_503(void **state)
{
    (void)state;
    struct http_limits limits = quick_limits();
    struct world world;
    struct client client;
    world_open(&world, &limits, 1, false);
    world.service.mode = ECHO_WHEN_TOLD;
    assert_true(client_open(&client, &world, 0));
    assert_true(client_write(&client, HEALTH, strlen(HEALTH)));
    expect_reply(&client, 503, "Retry-After: 1\r\n");
    service_release(&world.service);
    expect_end(&client);
    client_close(&client, GOODBYE_FIN);
    world_close(&world);
}

static void test_listener_abuse__memory_of_bodies_is_bounded_in_all(void **state)
{
    (void)state;
    static char body[400000];
    struct http_limits limits = srv_http_limits_default();
    struct world world;
    struct client clients[4];
    char head[256];
    limits.body_bytes_max = 1000000;
    limits.device_connections_max = 100;
    world_open(&world, &limits, 1, false);
    world.service.mode = ECHO_WHEN_TOLD;
    int length =
        snprintf(head, sizeof(head), "%sContent-Length: %zu\r\n\r\n", SYNC_HEAD, sizeof(body));
    /* given two large requests whose answers are awaited */
    for (int i = 0; i < 2; i++) {
        assert_true(client_open(&clients[i], &world, 0));
        assert_true(client_write(&clients[i], head, (size_t)length));
        assert_true(client_write(&clients[i], body, sizeof(body)));
    }
    wait_for_submitted(&world, 2);
    /* when a third comes, then it is asked to come back, also when it only announced its body */
    assert_true(client_open(&clients[2], &world, 0));
    assert_true(client_write(&clients[2], head, (size_t)length));
    (void)client_write(&clients[2], body, sizeof(body));
    expect_reply(&clients[2], 503, "Retry-After: 1\r\n");
    assert_int_equal(srv_gate_bytes(srv_listener_gate(world.listener)) <= limits.body_bytes_max, 1);
    /* and the two are answered, and give their memory back */
    service_release(&world.service);
    for (int i = 0; i < 2; i++) {
        expect_reply(&clients[i], 200, NULL);
    }
    for (int i = 0; i < 3; i++) {
        client_close(&clients[i], GOODBYE_CLEAN);
    }
    wait_for_connections(&world, 0);
    assert_int_equal(srv_gate_bytes(srv_listener_gate(world.listener)), 0);
    world_close(&world);
}

static void test_listener_abuse__what_is_not_tls_is_closed(void **state)
{
    (void)state;
    static const char *const greetings[] = {HEALTH, "SSH-2.0-x\r\n", "\x16\x03\x01 hello",
                                            "\x16\x03\x01\xff\xff"};
    struct http_limits limits = quick_limits();
    struct world world;
    char bytes[256];
    world_open(&world, &limits, 1, false);
    for (size_t i = 0; i < sizeof(greetings) / sizeof(greetings[0]); i++) {
        struct client client = {.socket = tcp_connect(world.port, 0), .ssl = NULL};
        (void)send(client.socket, greetings[i], strlen(greetings[i]), MSG_NOSIGNAL);
        int64_t begin_ms = now_ms();
        while (recv(client.socket, bytes, sizeof(bytes), 0) > 0) {
        }
        assert_true(now_ms() - begin_ms < 4000);
        client_close(&client, GOODBYE_FIN);
    }
    wait_for_connections(&world, 0);
    assert_healthy(&world);
    world_close(&world);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listener_abuse__a_request_cut_at_each_byte_leaves_nothing),
        cmocka_unit_test(test_listener_abuse__a_request_in_two_packets_is_answered_at_each_cut),
        cmocka_unit_test(test_listener_abuse__slow_handshakes_heads_and_bodies_are_cut_off),
        cmocka_unit_test(test_listener_abuse__a_reader_that_does_not_read_is_cut_off),
        cmocka_unit_test(test_listener_abuse__refusals_reach_a_client_that_is_still_sending),
        cmocka_unit_test(test_listener_abuse__nothing_behind_a_refusal_is_read_as_a_request),
        cmocka_unit_test(test_listener_abuse__answers_after_the_client_left_find_nobody),
        cmocka_unit_test(test_listener_abuse__a_late_answer_is_replaced_by_503),
        cmocka_unit_test(test_listener_abuse__memory_of_bodies_is_bounded_in_all),
        cmocka_unit_test(test_listener_abuse__what_is_not_tls_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
