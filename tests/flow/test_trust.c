/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is at the other end: a server whose authority, name or key is not the one that the device
 * trusts gets nothing from it; what answers in a server's place (a portal, a proxy's page, nothing)
 * is told apart from it; and work goes on in each case.
 */
#include "tests/support/certificates.h"
#include "tests/support/company.h"
#include "tests/support/tls_server.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct company company;
static struct rep *wang;
static struct certificate authority, own; /* of the false server */
static char false_ca[330];
static struct tls_server *false_server;
static char false_url[64];

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    wang = company_hire(&company, "wang", "rep", "East");
    authority = certificate_new(&(struct certificate_wish){
        .name = "another authority", .authority = true, .from_s = -3600, .until_s = 86400});
    own = certificate_new(&(struct certificate_wish){.name = "127.0.0.1",
                                                     .host = "IP:127.0.0.1",
                                                     .issuer = &authority,
                                                     .from_s = -3600,
                                                     .until_s = 86400});
    (void)snprintf(false_ca, sizeof false_ca, "%s/false.crt", company.server.folder);
    certificate_write(&authority, false_ca);
    false_server = tls_server_start(&own, NULL);
    (void)snprintf(false_url, sizeof false_url, "https://127.0.0.1:%d",
                   tls_server_port(false_server));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tls_server_stop(false_server);
    certificate_clear(&own);
    certificate_clear(&authority);
    company_close(&company);
    return 0;
}

/* The device with these options; work is recorded, a sync has this status, nothing is lost. */
static void sync_with(const char *url, const char *ca_file, const char *const *pins,
                      daybook_status status)
{
    device_close(&wang->device);
    daybook_options before = wang->device.options;
    wang->device.options.server_url = url;
    wang->device.options.ca_file = ca_file;
    wang->device.options.pins = pins;
    wang->device.options.timeout_ms = 3000;
    device_open(&wang->device);
    rep_put(wang, "customer", "{\"name\":\"recorded meanwhile\"}", NULL);
    int64_t pending = device_status(&wang->device).pending;
    int64_t position = device_status(&wang->device).position;
    device_sync_expect(&wang->device, status);
    if (status != DAYBOOK_OK) {
        assert_int_equal(device_status(&wang->device).pending, pending);
        assert_int_equal(device_status(&wang->device).position, position);
        assert_int_equal(device_status(&wang->device).blocked, status);
        assert_true(device_status(&wang->device).enrolled);
    }
    device_close(&wang->device);
    wang->device.options = before;
    device_open(&wang->device);
}

static void test_trust__other_authority_gets_nothing(void **state)
{
    (void)state;
    /* The real server, for a device that trusts somebody else, or the system's authorities. */
    sync_with(company.server.url, false_ca, NULL, DAYBOOK_UNTRUSTED);
    sync_with(company.server.url, NULL, NULL, DAYBOOK_UNTRUSTED);
    /* A false server, for a device that trusts the real one: not a byte of a request. */
    tls_server_play(false_server, &(struct tls_play){.close_after = true});
    sync_with(false_url, company.server.ca_file, NULL, DAYBOOK_UNTRUSTED);
    assert_int_equal(tls_server_seen(false_server).requests, 0);
    company_settle(&company);
}

static void test_trust__other_host_name_is_refused(void **state)
{
    (void)state;
    struct certificate elsewhere =
        certificate_new(&(struct certificate_wish){.name = "elsewhere.example",
                                                   .host = "DNS:elsewhere.example",
                                                   .issuer = &authority,
                                                   .from_s = -3600,
                                                   .until_s = 86400});
    struct tls_server *server = tls_server_start(&elsewhere, NULL);
    char url[64];
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%d", tls_server_port(server));
    sync_with(url, false_ca, NULL, DAYBOOK_UNTRUSTED);
    assert_int_equal(tls_server_seen(server).requests, 0);
    tls_server_stop(server);
    certificate_clear(&elsewhere);
    company_settle(&company);
}

/* The server prints its authority's pin with each enrolment code. */
static void test_trust__pins(void **state)
{
    char out[2048], pin[64] = "";
    const char *const enrol[] = {"enrol", "wang", NULL};
    (void)state;
    assert_int_equal(server_run(&company.server, out, sizeof out, enrol), 0);
    const char *found = strstr(out, "sha256//");
    assert_non_null(found);
    (void)snprintf(pin, sizeof pin, "%.52s", found);
    const char *const right[] = {pin, NULL};
    const char *const wrong[] = {"sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", NULL};
    const char *const either[] = {wrong[0], pin, NULL};
    sync_with(company.server.url, company.server.ca_file, right, DAYBOOK_OK);
    sync_with(company.server.url, company.server.ca_file, either, DAYBOOK_OK);
    sync_with(company.server.url, company.server.ca_file, wrong, DAYBOOK_UNTRUSTED);
    company_settle(&company);
}

/* Answers that no Daybook server gives. */
static void test_trust__portal_is_not_daybook(void **state)
{
    static const struct {
        const char *answer;
        daybook_status status;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 29\r\n\r\n"
         "<html>Please sign in.</html>\n",
         DAYBOOK_NOT_DAYBOOK},
        {"HTTP/1.1 302 Found\r\nLocation: https://portal.example/\r\nContent-Length: 0\r\n\r\n",
         DAYBOOK_NOT_DAYBOOK},
        {"HTTP/1.1 401 Unauthorized\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nno",
         DAYBOOK_NOT_DAYBOOK},
        {"HTTP/1.1 409 Conflict\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno",
         DAYBOOK_NOT_DAYBOOK},
        {"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.daybook+zstd\r\n"
         "Content-Length: 2\r\n\r\nno",
         DAYBOOK_NOT_DAYBOOK},
        {"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\nRetry-After: 7\r\n"
         "Content-Length: 2\r\n\r\nno",
         DAYBOOK_SERVER_BUSY},
        {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", DAYBOOK_OFFLINE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tls_server_play(false_server, &(struct tls_play){.reply = cases[i].answer,
                                                         .reply_size = strlen(cases[i].answer),
                                                         .close_after = true});
        sync_with(false_url, false_ca, NULL, cases[i].status);
        assert_true(tls_server_seen(false_server).requests >= 1);
    }
    company_settle(&company);
}

static void test_trust__what_is_not_tls_or_not_there(void **state)
{
    (void)state;
    static const char page[] = "HTTP/1.0 302 Found\r\nLocation: http://portal/\r\n\r\n";
    tls_server_play(false_server, &(struct tls_play){.plain = true,
                                                     .greet = true,
                                                     .reply = page,
                                                     .reply_size = sizeof page - 1,
                                                     .close_after = true});
    sync_with(false_url, false_ca, NULL, DAYBOOK_BAD_REPLY);
    tls_server_play(false_server, &(struct tls_play){.drop_handshake = true});
    sync_with(false_url, false_ca, NULL, DAYBOOK_OFFLINE);
    /* Nobody listens. */
    int port = company.server.port;
    char url[64];
    server_stop(&company.server);
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%d", port);
    sync_with(url, company.server.ca_file, NULL, DAYBOOK_OFFLINE);
    server_start(&company.server);
    sync_with("https://no-such-host.invalid", NULL, NULL, DAYBOOK_OFFLINE);
    company_settle(&company);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trust__other_authority_gets_nothing),
        cmocka_unit_test(test_trust__other_host_name_is_refused),
        cmocka_unit_test(test_trust__pins),
        cmocka_unit_test(test_trust__portal_is_not_daybook),
        cmocka_unit_test(test_trust__what_is_not_tls_or_not_there),
    };
    return cmocka_run_group_tests_name("trust", tests, set_up, tear_down);
}
