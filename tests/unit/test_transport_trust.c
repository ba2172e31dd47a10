/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom the default transport trusts, against a real TLS server: authorities, hosts, dates,
 * versions, and pins on each key of the chain. Whoever is not trusted sees no byte of a request.
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

/* The request is refused with this status, and no server saw it. */
static void assert_refused(struct transport_world *world, daybook_status status)
{
    world->request.token = "secret-token";
    assert_int_equal(transport_world_exchange(world), status);
    struct tls_seen seen = tls_server_seen(world->server);
    assert_int_equal(seen.requests, 0);
    assert_null(strstr(seen.last, "secret-token"));
}

/* The request is answered, over a connection made now. */
static void assert_trusted(struct transport_world *world)
{
    transport_world_answer(world, reply_ok);
    assert_int_equal(transport_world_exchange(world), DAYBOOK_OK);
    assert_int_equal(world->reply.http_status, 200);
    assert_int_equal(tls_server_seen(world->server).requests, 1);
}

/* A server certificate by the world's authority. */
static struct certificate issue(struct transport_world *world, const char *host, long from_s,
                                long until_s)
{
    return certificate_new(&(struct certificate_wish){.name = "Another server",
                                                      .host = host,
                                                      .issuer = &world->authority,
                                                      .from_s = from_s,
                                                      .until_s = until_s});
}

static void test_transport_trust__server_of_our_authority_is_trusted(void **state)
{
    assert_trusted(*state);
}

static void test_transport_trust__server_of_another_authority_is_not(void **state)
{
    struct transport_world *world = *state;
    struct certificate other = certificate_new(&(struct certificate_wish){
        .name = "Test authority", .authority = true, .from_s = -3600, .until_s = 86400});
    certificate_write(&other, world->ca_file);

    assert_refused(world, DAYBOOK_UNTRUSTED);

    certificate_clear(&other);
}

static void test_transport_trust__system_authorities_do_not_know_ours(void **state)
{
    struct transport_world *world = *state;
    world->request.ca_file = NULL;
    assert_refused(world, DAYBOOK_UNTRUSTED);
}

static void test_transport_trust__missing_ca_file_trusts_nobody(void **state)
{
    struct transport_world *world = *state;
    world->request.ca_file = "no-such-file.pem";
    assert_refused(world, DAYBOOK_UNTRUSTED);
}

static void test_transport_trust__replaced_ca_file_is_read_again(void **state)
{
    struct transport_world *world = *state;
    struct certificate other = certificate_new(&(struct certificate_wish){
        .name = "Other authority", .authority = true, .from_s = -3600, .until_s = 86400});
    certificate_write(&other, world->ca_file);
    assert_refused(world, DAYBOOK_UNTRUSTED);

    certificate_write(&world->authority, world->ca_file);
    assert_trusted(world);

    certificate_clear(&other);
}

static void test_transport_trust__certificate_for_another_host_is_refused(void **state)
{
    struct transport_world *world = *state;
    struct certificate other = issue(world, "DNS:sales.example", -3600, 86400);
    transport_world_serve(world, &other, NULL);

    assert_refused(world, DAYBOOK_UNTRUSTED);

    certificate_clear(&other);
}

static void test_transport_trust__common_name_alone_is_no_host(void **state)
{
    struct transport_world *world = *state;
    struct certificate other =
        certificate_new(&(struct certificate_wish){.name = "127.0.0.1",
                                                   .host = "DNS:sales.example",
                                                   .issuer = &world->authority,
                                                   .from_s = -3600,
                                                   .until_s = 86400});
    transport_world_serve(world, &other, NULL);

    assert_refused(world, DAYBOOK_UNTRUSTED);

    certificate_clear(&other);
}

static void test_transport_trust__expired_certificate_is_refused(void **state)
{
    struct transport_world *world = *state;
    struct certificate old = issue(world, "IP:127.0.0.1", -7200, -3600);
    transport_world_serve(world, &old, NULL);

    assert_refused(world, DAYBOOK_UNTRUSTED);

    certificate_clear(&old);
}

static void test_transport_trust__certificate_of_tomorrow_is_refused(void **state)
{
    struct transport_world *world = *state;
    struct certificate early = issue(world, "IP:127.0.0.1", 86400, 172800);
    transport_world_serve(world, &early, NULL);

    assert_refused(world, DAYBOOK_UNTRUSTED);

    certificate_clear(&early);
}

static void test_transport_trust__tls_1_2_is_too_old(void **state)
{
    struct transport_world *world = *state;
    tls_server_play(world->server, &(struct tls_play){.tls_version_max = TLS1_2_VERSION});
    assert_refused(world, DAYBOOK_BAD_REPLY);
    assert_int_equal(tls_server_seen(world->server).handshakes, 0);
}

static void test_transport_trust__pin_of_the_leaf_is_met(void **state)
{
    struct transport_world *world = *state;
    char pin[64];
    certificate_pin(&world->own, pin);
    world->request.pins = (const char *const[]){pin, NULL};
    assert_trusted(world);
}

static void test_transport_trust__pin_of_the_authority_is_met_though_it_is_not_sent(void **state)
{
    struct transport_world *world = *state;
    char pin[64];
    certificate_pin(&world->authority, pin);
    world->request.pins = (const char *const[]){pin, NULL};
    assert_trusted(world);
}

static void test_transport_trust__pin_of_an_intermediate_is_met(void **state)
{
    struct transport_world *world = *state;
    struct certificate middle =
        certificate_new(&(struct certificate_wish){.name = "Middle",
                                                   .issuer = &world->authority,
                                                   .authority = true,
                                                   .from_s = -3600,
                                                   .until_s = 86400});
    struct certificate own = certificate_new(&(struct certificate_wish){.name = "Own",
                                                                        .host = "IP:127.0.0.1",
                                                                        .issuer = &middle,
                                                                        .from_s = -3600,
                                                                        .until_s = 86400});
    transport_world_serve(world, &own, &middle);
    char pin[64];
    certificate_pin(&middle, pin);
    world->request.pins = (const char *const[]){"sha256//unknown", pin, NULL};

    assert_trusted(world);

    certificate_clear(&own);
    certificate_clear(&middle);
}

static void test_transport_trust__pin_of_nobody_is_refused(void **state)
{
    struct transport_world *world = *state;
    struct certificate other = issue(world, "IP:127.0.0.1", -3600, 86400);
    char pin[64];
    certificate_pin(&other, pin);
    world->request.pins = (const char *const[]){pin, NULL};

    assert_refused(world, DAYBOOK_UNTRUSTED);

    certificate_clear(&other);
}

static void test_transport_trust__pin_does_not_replace_the_authority(void **state)
{
    struct transport_world *world = *state;
    struct certificate other = certificate_new(&(struct certificate_wish){
        .name = "Other authority", .authority = true, .from_s = -3600, .until_s = 86400});
    certificate_write(&other, world->ca_file);
    char pin[64];
    certificate_pin(&world->own, pin);
    world->request.pins = (const char *const[]){pin, NULL};

    assert_refused(world, DAYBOOK_UNTRUSTED);

    certificate_clear(&other);
}

static void test_transport_trust__cut_or_empty_pins_are_met_by_nobody(void **state)
{
    struct transport_world *world = *state;
    char pin[64];
    certificate_pin(&world->own, pin);
    pin[strlen(pin) - 1] = '\0';
    const char *const lists[][2] = {{pin, NULL}, {"", NULL}, {"sha256//", NULL}, {NULL, NULL}};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        world->request.pins = lists[i];
        assert_refused(world, DAYBOOK_UNTRUSTED);
    }
}

static void test_transport_trust__new_pins_count_on_a_warm_connection(void **state)
{
    struct transport_world *world = *state;
    char pin[64];
    certificate_pin(&world->own, pin);
    world->request.pins = (const char *const[]){pin, NULL};
    assert_trusted(world);

    /* Neither the socket nor the TLS session of before may carry the next request. */
    struct certificate other = issue(world, "IP:127.0.0.1", -3600, 86400);
    char other_pin[64];
    certificate_pin(&other, other_pin);
    world->request.pins = (const char *const[]){other_pin, NULL};
    transport_world_answer(world, reply_ok);
    assert_refused(world, DAYBOOK_UNTRUSTED);

    world->request.pins = (const char *const[]){pin, NULL};
    assert_trusted(world);
    assert_int_equal(tls_server_seen(world->server).resumed, 0);
    certificate_clear(&other);
}

static void test_transport_trust__another_ca_file_counts_on_a_warm_connection(void **state)
{
    struct transport_world *world = *state;
    assert_trusted(world);
    world->request.ca_file = NULL;
    transport_world_answer(world, reply_ok);
    assert_refused(world, DAYBOOK_UNTRUSTED);
}

static void test_transport_trust__session_is_resumed_under_the_same_pins(void **state)
{
    struct transport_world *world = *state;
    char pin[64];
    certificate_pin(&world->own, pin);
    world->request.pins = (const char *const[]){pin, NULL};
    tls_server_play(world->server, &(struct tls_play){.reply = reply_ok,
                                                      .reply_size = sizeof(reply_ok) - 1,
                                                      .close_after = true});
    for (int i = 0; i < 3; i++) {
        assert_int_equal(transport_world_exchange(world), DAYBOOK_OK);
    }
    struct tls_seen seen = tls_server_seen(world->server);
    assert_int_equal(seen.connections, 3);
    assert_int_equal(seen.resumed, 2);
}

static void test_transport_trust__environment_cannot_switch_it_off(void **state)
{
    struct transport_world *world = *state;
    static const char *const names[] = {"SSL_CERT_FILE", "CURL_CA_BUNDLE", "SSL_CERT_DIR"};
    struct certificate other = certificate_new(&(struct certificate_wish){
        .name = "Other authority", .authority = true, .from_s = -3600, .until_s = 86400});
    char path[96];
    (void)snprintf(path, sizeof(path), "%s.env", world->ca_file);
    certificate_write(&world->authority, path);
    certificate_write(&other, world->ca_file);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(setenv(names[i], path, 1), 0);
    }

    assert_refused(world, DAYBOOK_UNTRUSTED);

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(unsetenv(names[i]), 0);
    }
    assert_int_equal(remove(path), 0);
    certificate_clear(&other);
}

#define STORY(name)                                                                                \
    cmocka_unit_test_setup_teardown(test_transport_trust__##name, transport_world_set_up,          \
                                    transport_world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(server_of_our_authority_is_trusted),
        STORY(server_of_another_authority_is_not),
        STORY(system_authorities_do_not_know_ours),
        STORY(missing_ca_file_trusts_nobody),
        STORY(replaced_ca_file_is_read_again),
        STORY(certificate_for_another_host_is_refused),
        STORY(common_name_alone_is_no_host),
        STORY(expired_certificate_is_refused),
        STORY(certificate_of_tomorrow_is_refused),
        STORY(tls_1_2_is_too_old),
        STORY(pin_of_the_leaf_is_met),
        STORY(pin_of_the_authority_is_met_though_it_is_not_sent),
        STORY(pin_of_an_intermediate_is_met),
        STORY(pin_of_nobody_is_refused),
        STORY(pin_does_not_replace_the_authority),
        STORY(cut_or_empty_pins_are_met_by_nobody),
        STORY(new_pins_count_on_a_warm_connection),
        STORY(another_ca_file_counts_on_a_warm_connection),
        STORY(session_is_resumed_under_the_same_pins),
        STORY(environment_cannot_switch_it_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
