/* SPDX-License-Identifier: Apache-2.0
 *
 * The listener with well-behaved clients over real TLS: keep-alive, bodies of all sizes, order,
 * half-close, limits, TLS versions, graceful stop. test_listener_abuse.c has the others.
 */
#include "tests/unit/listener_world.h"

/* Sends a POST with `size` bytes and expects them back. */
static void echo_once(struct client *client, size_t size)
{
    char head[256];
    struct reply reply;
    char *body = malloc(size + 1);
    for (size_t i = 0; i < size; i++) {
        body[i] = (char)(i * 31 + i / 251);
    }
    int length = snprintf(head, sizeof(head), "%sContent-Length: %zu\r\n\r\n", SYNC_HEAD, size);
    assert_true(client_write(client, head, (size_t)length));
    assert_true(client_write(client, body, size));
    assert_int_equal(client_read(client, &reply), 200);
    assert_int_equal(reply.body_size, size);
    assert_memory_equal(reply.body, body, size);
    free(reply.body);
    free(body);
}

static void test_listener__bodies_of_all_sizes_come_back_on_one_connection(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        0, 1, 100, 14335, 14336, 14337, 16384, 16385, 100000, 1048577, HTTP_BODY_BYTES_MAX};
    struct http_limits limits = srv_http_limits_default();
    struct world world;
    struct client client;
    for (int mode = ECHO_AT_ONCE; mode <= ECHO_FROM_THREAD; mode++) {
        world_open(&world, &limits, 2, false);
        world.service.mode = (enum echo_mode)mode;
        assert_true(client_open(&client, &world, 0));
        assert_string_equal(SSL_get_version(client.ssl), "TLSv1.3");
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            echo_once(&client, sizes[i]);
        }
        assert_string_equal(world.service.token, "abc");
        assert_string_equal(world.service.path, "POST /v1/sync");
        client_close(&client, GOODBYE_CLEAN);
        world_close(&world);
    }
}

static void test_listener__requests_sent_ahead_are_answered_in_order(void **state)
{
    (void)state;
    struct http_limits limits = srv_http_limits_default();
    struct world world;
    struct client client;
    static const char three[] =
        SYNC_HEAD "Content-Length: 3\r\n\r\none" SYNC_HEAD "Content-Length: 3\r\n\r\ntwo" HEALTH;
    world_open(&world, &limits, 1, false);
    world.service.mode = ECHO_FROM_THREAD;
    assert_true(client_open(&client, &world, 0));
    /* when three requests are sent before the first reply */
    assert_true(client_write(&client, three, sizeof(three) - 1));
    /* then the replies come one after the other */
    struct reply reply;
    assert_int_equal(client_read(&client, &reply), 200);
    assert_string_equal(reply.body, "one");
    free(reply.body);
    assert_int_equal(client_read(&client, &reply), 200);
    assert_string_equal(reply.body, "two");
    free(reply.body);
    expect_reply(&client, 200, "Content-Length: 0\r\n");
    client_close(&client, GOODBYE_CLEAN);
    world_close(&world);
}

static void test_listener__close_is_honoured_and_half_closed_clients_are_answered(void **state)
{
    (void)state;
    static const char closing[] =
        "GET /v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    struct http_limits limits = srv_http_limits_default();
    struct world world;
    struct client client;
    world_open(&world, &limits, 1, false);
    assert_true(client_open(&client, &world, 0));
    assert_true(client_write(&client, closing, sizeof(closing) - 1));
    expect_reply(&client, 200, "Connection: close\r\n");
    expect_goodbye(&client);
    client_close(&client, GOODBYE_CLEAN);
    /* given a client that says goodbye right behind its request, in one segment with it or later */
    for (int mode = ECHO_AT_ONCE; mode <= ECHO_FROM_THREAD; mode++) {
        world.service.mode = (enum echo_mode)mode;
        assert_true(client_open(&client, &world, 0));
        client_write_and_say_goodbye(&client, HEALTH, strlen(HEALTH));
        /* then it still gets its reply, and the end */
        expect_reply(&client, 200, NULL);
        expect_goodbye(&client);
        client_close(&client, GOODBYE_FIN);
        assert_true(client_open(&client, &world, 0));
        assert_true(client_write(&client, HEALTH, strlen(HEALTH)));
        sleep_ms(mode);
        (void)SSL_shutdown(client.ssl);
        (void)shutdown(client.socket, SHUT_WR);
        expect_reply(&client, 200, NULL);
        expect_end(&client);
        client_close(&client, GOODBYE_FIN);
    }
    wait_for_connections(&world, 0);
    world_close(&world);
}

static void test_listener__continue_is_said_before_a_body_that_waits(void **state)
{
    (void)state;
    struct http_limits limits = srv_http_limits_default();
    struct world world;
    struct client client;
    world_open(&world, &limits, 1, false);
    static const char head[] = SYNC_HEAD "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    assert_true(client_open(&client, &world, 0));
    assert_true(client_write(&client, head, sizeof(head) - 1));
    expect_reply(&client, 100, NULL);
    assert_true(client_write(&client, "hello", 5));
    expect_reply(&client, 200, "Content-Length: 5\r\n");
    client_close(&client, GOODBYE_CLEAN);
    /* and a refusal comes instead of it */
    static const char no_token[] =
        "POST /v1/sync HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        "Content-Length: 5\r\n\r\n";
    assert_true(client_open(&client, &world, 0));
    assert_true(client_write(&client, no_token, sizeof(no_token) - 1));
    expect_reply(&client, 401, "WWW-Authenticate: Bearer\r\n");
    expect_end(&client);
    client_close(&client, GOODBYE_CLEAN);
    assert_int_equal(service_submitted(&world.service), 1);
    world_close(&world);
}

static void test_listener__connections_are_limited_in_all_and_per_device(void **state)
{
    (void)state;
    struct http_limits limits = srv_http_limits_default();
    struct world world;
    struct client clients[6];
    struct client other;
    limits.connections_max = 6;
    limits.device_connections_max = 2;
    world_open(&world, &limits, 2, false);
    static const char request[] = SYNC_HEAD "Content-Length: 0\r\n\r\n";
    static const char foreign[] = "POST /v1/sync HTTP/1.1\r\nHost: localhost\r\nAuthorization: "
                                  "Bearer xyz\r\nContent-Length: 0\r\n\r\n";
    /* given two connections of one device, used twice each, and a third one */
    for (int i = 0; i < 3; i++) {
        assert_true(client_open(&clients[i], &world, 0));
        for (int use = 0; use < 2 && (i < 2 || use == 0); use++) {
            assert_true(client_write(&clients[i], request, sizeof(request) - 1));
            expect_reply(&clients[i], i < 2 ? 200 : 429, i < 2 ? NULL : "Retry-After: 1\r\n");
        }
    }
    client_close(&clients[2], GOODBYE_CLEAN);
    wait_for_connections(&world, 2);
    /* when one of them changes to another token, the first device has a place again */
    assert_true(client_write(&clients[0], foreign, sizeof(foreign) - 1));
    expect_reply(&clients[0], 200, NULL);
    for (int i = 2; i < 6; i++) {
        assert_true(client_open(&clients[i], &world, 0));
        const char *mine = i < 3 ? request : HEALTH;
        assert_true(client_write(&clients[i], mine, strlen(mine)));
        expect_reply(&clients[i], 200, NULL);
    }
    /* when all places are taken, the next is closed; when one leaves, it gets in */
    assert_false(client_open(&other, &world, 0));
    client_close(&other, GOODBYE_FIN);
    client_close(&clients[4], GOODBYE_RESET);
    wait_for_connections(&world, 5);
    assert_true(client_open(&clients[4], &world, 0));
    for (int i = 0; i < 6; i++) {
        client_close(&clients[i], GOODBYE_CLEAN);
    }
    wait_for_connections(&world, 0);
    world_close(&world);
}

static void test_listener__two_hundred_clients_at_once(void **state)
{
    (void)state;
    enum { CLIENTS = 200 };
    struct http_limits limits = srv_http_limits_default();
    struct world world;
    static struct client clients[CLIENTS];
    limits.connections_max = CLIENTS;
    world_open(&world, &limits, 3, false);
    world.service.mode = ECHO_WHEN_TOLD;
    for (int i = 0; i < CLIENTS; i++) {
        char request[256];
        assert_true(client_open(&clients[i], &world, 0));
        int length =
            snprintf(request, sizeof(request),
                     "POST /v1/sync HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer t%d\r\n"
                     "Content-Length: 4\r\n\r\n%04d",
                     i / 8, i);
        assert_true(client_write(&clients[i], request, (size_t)length));
    }
    wait_for_submitted(&world, CLIENTS);
    service_release(&world.service);
    for (int i = 0; i < CLIENTS; i++) {
        struct reply reply;
        assert_int_equal(client_read(&clients[i], &reply), 200);
        assert_int_equal(strtol(reply.body, NULL, 10), i); /* to whom it belongs */
        free(reply.body);
        client_close(&clients[i], i % 2 == 0 ? GOODBYE_CLEAN : GOODBYE_RESET);
    }
    wait_for_connections(&world, 0);
    world_close(&world);
}

static void test_listener__tls_is_1_3_and_1_2_only_when_allowed(void **state)
{
    (void)state;
    struct http_limits limits = srv_http_limits_default();
    struct world world;
    struct client client;
    for (int allowed = 0; allowed <= 1; allowed++) {
        world_open(&world, &limits, 1, allowed == 1);
        SSL_CTX_set_max_proto_version(world.client, TLS1_2_VERSION);
        assert_int_equal(client_open(&client, &world, 0), allowed == 1);
        if (allowed == 1) {
            assert_non_null(strstr(SSL_get_cipher_name(client.ssl), "ECDHE"));
            echo_once(&client, 100000);
            /* renegotiation is refused */
            (void)SSL_renegotiate(client.ssl);
            assert_int_not_equal(SSL_do_handshake(client.ssl), 1);
            ERR_clear_error();
        }
        client_close(&client, GOODBYE_FIN);
        /* neither old suites nor old versions, whatever is allowed */
        (void)SSL_CTX_set_cipher_list(world.client,
                                      "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA");
        assert_false(client_open(&client, &world, 0));
        client_close(&client, GOODBYE_FIN);
        world_close(&world);
    }
}

static void test_listener__the_wrong_ca_host_or_protocol_end_the_handshake(void **state)
{
    (void)state;
    static const unsigned char only_h2[] = {2, 'h', '2'};
    static const unsigned char both[] = {2, 'h', '2', 8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    struct http_limits limits = srv_http_limits_default();
    struct world world;
    struct client client;
    world_open(&world, &limits, 1, false);
    assert_int_equal(SSL_CTX_set_alpn_protos(world.client, only_h2, sizeof(only_h2)), 0);
    assert_false(client_open(&client, &world, 0));
    client_close(&client, GOODBYE_FIN);
    assert_int_equal(SSL_CTX_set_alpn_protos(world.client, both, sizeof(both)), 0);
    assert_true(client_open(&client, &world, 0));
    const unsigned char *chosen = NULL;
    unsigned length = 0;
    SSL_get0_alpn_selected(client.ssl, &chosen, &length);
    assert_int_equal(length, 8);
    client_close(&client, GOODBYE_CLEAN);
    /* a client that trusts others */
    SSL_CTX *trusted = world.client;
    world.client = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(world.client, SSL_VERIFY_PEER, NULL);
    assert_false(client_open(&client, &world, 0));
    client_close(&client, GOODBYE_FIN);
    SSL_CTX_free(world.client);
    world.client = trusted;
    /* and the server still serves */
    assert_true(client_open(&client, &world, 0));
    echo_once(&client, 10);
    client_close(&client, GOODBYE_CLEAN);
    world_close(&world);
}

static void test_listener__certificates_made_anew_are_used_without_a_restart(void **state)
{
    (void)state;
    char problem[512];
    bool made = false;
    struct http_limits limits = srv_http_limits_default();
    struct world world;
    struct client old_client;
    struct client client;
    SSL_CTX *renewed = NULL;
    world_open(&world, &limits, 2, false);
    assert_true(client_open(&old_client, &world, 0));
    int64_t later_s = (int64_t)time(NULL);
    assert_int_equal(srv_certificate_ensure(world.folder, "new.example", later_s, &made, problem,
                                            sizeof(problem)),
                     DAYBOOK_OK);
    assert_true(made);
    assert_int_equal(srv_tls_open(world.folder, false, &renewed, problem, sizeof(problem)),
                     DAYBOOK_OK);
    srv_listener_set_tls(world.listener, renewed);
    SSL_CTX_free(renewed);
    assert_true(client_open(&client, &world, 0));
    X509 *certificate = SSL_get1_peer_certificate(client.ssl);
    assert_int_equal(X509_check_host(certificate, "new.example", 0, 0, NULL), 1);
    X509_free(certificate);
    echo_once(&old_client, 10);
    echo_once(&client, 10);
    client_close(&old_client, GOODBYE_CLEAN);
    client_close(&client, GOODBYE_CLEAN);
    world_close(&world);
}

/* Releases the service's held calls after a while. */
static void *release_later(void *context)
{
    sleep_ms(150);
    service_release(context);
    return NULL;
}

static void test_listener__stop_finishes_requests_and_closes_the_idle(void **state)
{
    (void)state;
    struct http_limits limits = srv_http_limits_default();
    struct world world;
    struct client idle;
    struct client busy;
    pthread_t thread;
    world_open(&world, &limits, 2, false);
    assert_true(client_open(&idle, &world, 0));
    echo_once(&idle, 10);
    world.service.mode = ECHO_WHEN_TOLD;
    assert_true(client_open(&busy, &world, 0));
    assert_true(client_write(&busy, HEALTH, strlen(HEALTH)));
    wait_for_submitted(&world, 2);
    /* when it stops with one request under way that is answered meanwhile */
    assert_int_equal(pthread_create(&thread, NULL, release_later, &world.service), 0);
    int64_t begin_ms = now_ms();
    srv_listener_stop(world.listener, 10000);
    world.stopped = true;
    int64_t took_ms = now_ms() - begin_ms;
    (void)pthread_join(thread, NULL);
    /* then it took about that long (and the goodbye), the reply came, the idle one was closed, and
     * nobody gets in */
    assert_in_range(took_ms, 140, 9000);
    expect_reply(&busy, 200, "Connection: close\r\n");
    expect_end(&idle);
    struct client late;
    assert_false(client_open(&late, &world, 0));
    client_close(&late, GOODBYE_FIN);
    client_close(&busy, GOODBYE_CLEAN);
    client_close(&idle, GOODBYE_CLEAN);
    world_close(&world);
}

static void test_listener__stop_is_bounded_and_late_answers_find_nobody(void **state)
{
    (void)state;
    struct http_limits limits = srv_http_limits_default();
    struct world world;
    struct client busy;
    world_open(&world, &limits, 1, false);
    world.service.mode = ECHO_WHEN_TOLD;
    assert_true(client_open(&busy, &world, 0));
    assert_true(client_write(&busy, HEALTH, strlen(HEALTH)));
    wait_for_submitted(&world, 1);
    int64_t begin_ms = now_ms();
    srv_listener_stop(world.listener, 200);
    world.stopped = true;
    assert_in_range(now_ms() - begin_ms, 190, 5000);
    expect_end(&busy);
    client_close(&busy, GOODBYE_FIN);
    world_close(&world); /* answers now */
}

static void test_listener__a_port_in_use_or_a_wrong_host_is_said(void **state)
{
    (void)state;
    char problem[512];
    struct http_limits limits = srv_http_limits_default();
    struct world world;
    struct listener *second = NULL;
    world_open(&world, &limits, 1, false);
    struct listener_options options = {
        .host = "127.0.0.1", .port = world.port, .loops = 1, .limits = limits};
    assert_int_equal(srv_listener_open(&options, &second, problem, sizeof(problem)), DAYBOOK_BUSY);
    assert_non_null(strstr(problem, "127.0.0.1"));
    assert_non_null(strstr(problem, "in use"));
    assert_null(second);
    options.host = "192.0.2.1"; /* not ours (RFC 5737) */
    options.port = 0;
    assert_int_equal(srv_listener_open(&options, &second, problem, sizeof(problem)),
                     DAYBOOK_CANNOT_OPEN);
    options.host = "not a host";
    assert_int_equal(srv_listener_open(&options, &second, problem, sizeof(problem)),
                     DAYBOOK_INVALID);
    options.host = "::1";
    daybook_status status = srv_listener_open(&options, &second, problem, sizeof(problem));
    if (status == DAYBOOK_OK) { /* a machine may have no IPv6 */
        srv_listener_free(second);
    }
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listener__bodies_of_all_sizes_come_back_on_one_connection),
        cmocka_unit_test(test_listener__requests_sent_ahead_are_answered_in_order),
        cmocka_unit_test(test_listener__close_is_honoured_and_half_closed_clients_are_answered),
        cmocka_unit_test(test_listener__continue_is_said_before_a_body_that_waits),
        cmocka_unit_test(test_listener__connections_are_limited_in_all_and_per_device),
        cmocka_unit_test(test_listener__two_hundred_clients_at_once),
        cmocka_unit_test(test_listener__tls_is_1_3_and_1_2_only_when_allowed),
        cmocka_unit_test(test_listener__the_wrong_ca_host_or_protocol_end_the_handshake),
        cmocka_unit_test(test_listener__certificates_made_anew_are_used_without_a_restart),
        cmocka_unit_test(test_listener__stop_finishes_requests_and_closes_the_idle),
        cmocka_unit_test(test_listener__stop_is_bounded_and_late_answers_find_nobody),
        cmocka_unit_test(test_listener__a_port_in_use_or_a_wrong_host_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
