/* SPDX-License-Identifier: Apache-2.0
 *
 * Garbage over TLS to the real server: bodies that are no frame, no JSON or not the protocol, and
 * HTTP that is not quite HTTP. Each gets a 4xx with a JSON error, or its connection closed, and
 * the server lives on with its memory.
 */
#include "tests/support/company.h"

#include "engine/protocol/limits.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

static struct company company;
static struct rep *wang;
static struct client client;

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    wang = company_hire(&company, "wang", "rep", "East");
    rep_put(wang, "customer", "{\"name\":\"shop\"}", NULL);
    company_settle(&company);
    client_init(&client, &company.server);
    client_enrol(&client, "wang");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    client_clear(&client);
    company_close(&company);
    return 0;
}

/* A good request still works, and the server is the same process. */
static void server_lives(void)
{
    assert_true(server_is_running(&company.server));
    assert_int_equal(client_sync(&client, ""), 200);
}

/* The body is refused as malformed, in JSON. */
static void refused(const void *bytes, size_t size, const char *what)
{
    int status = client_post_bytes(&client, "/v1/sync", bytes, size);
    const char *code = dk_tree_text(client.reply, "code");
    if (status < 400 || status > 499 || code == NULL) {
        print_error("%s: HTTP %d %s\n", what, status, code == NULL ? "-" : code);
    }
    assert_in_range(status, 400, 499);
    assert_non_null(code);
    assert_true(strcmp(code, "BAD_REQUEST") == 0 || strcmp(code, "TOO_LARGE") == 0);
}

/* ---- frames */

/* A frame of this text. */
static void compress(struct buffer *frame, const char *text, size_t length)
{
    dk_buffer_reset(frame);
    assert_int_equal(dk_frame_compress(client.codec, text, length, 1, frame), DAYBOOK_OK);
}

static void test_garbage__frames(void **state)
{
    static const char json[] =
        "{\"protocol\":1,\"schema\":1,\"instance\":\"AZKfbDoAcACAAAAAAAAABA\",\"epoch\":\"0\","
        "\"position\":0,\"settled\":0,\"sent_ms\":\"1\",\"boot\":\"1\",\"steady_ms\":\"1\"}";
    struct buffer frame, again;
    (void)state;
    dk_buffer_init(&frame, 1 << 26);
    dk_buffer_init(&again, 1 << 26);
    refused("", 0, "empty");
    refused("garbage", 7, "no frame");
    refused(json, sizeof json - 1, "JSON without a frame");

    /* Cut at each byte, one bit changed at each byte. */
    compress(&frame, json, sizeof json - 1);
    for (size_t i = 1; i < frame.length; i++) {
        refused(frame.bytes, i, "cut");
    }
    for (size_t i = 0; i < frame.length; i++) {
        frame.bytes[i] = (char)(frame.bytes[i] ^ 0x10);
        int status = client_post_bytes(&client, "/v1/sync", frame.bytes, frame.length);
        /* The checksum leaves no change unseen. */
        assert_in_range(status, 400, 499);
        frame.bytes[i] = (char)(frame.bytes[i] ^ 0x10);
    }
    /* Bytes behind, a second frame. */
    dk_buffer_append(&again, frame.bytes, frame.length);
    dk_buffer_append_char(&again, 'x');
    refused(again.bytes, again.length, "a byte behind");
    dk_buffer_reset(&again);
    dk_buffer_append(&again, frame.bytes, frame.length);
    dk_buffer_append(&again, frame.bytes, frame.length);
    refused(again.bytes, again.length, "two frames");
    dk_buffer_clear(&frame);
    dk_buffer_clear(&again);
    server_lives();
}

/* Memory of the server's process, in KiB, as the system counts it. */
static long server_memory(void)
{
    char path[64], line[200];
    long kib = 0;
    (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)company.server.process);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0) {
            kib = strtol(line + 6, NULL, 10);
        }
    }
    (void)fclose(file);
    return kib;
}

static void test_garbage__frames_that_want_memory(void **state)
{
    struct buffer frame;
    size_t size = (size_t)64 * 1024 * 1024;
    char *zeros = calloc(1, size);
    (void)state;
    assert_non_null(zeros);
    dk_buffer_init(&frame, 1 << 26);
    /* A few KiB that would be 64 MiB of spaces, or of zeros. */
    compress(&frame, zeros, size);
    assert_true(frame.length < 100000);
    long before = server_memory();
    for (int i = 0; i < 20; i++) {
        refused(frame.bytes, frame.length, "bomb");
    }
    memset(zeros, ' ', size);
    compress(&frame, zeros, size);
    refused(frame.bytes, frame.length, "spaces");
    /* A header that asks for a window of 128 MiB: magic, descriptor without content size, window
     * descriptor 2^(10 + 17), one empty last block. */
    static const unsigned char window[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x01, 0x00, 0x00};
    refused(window, sizeof window, "window");
    /* A content size of 2^63, and of 2^64 - 1. */
    unsigned char stated[] = {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x80, 1, 0, 0};
    refused(stated, sizeof stated, "content size");
    memset(stated + 5, 0xff, 8);
    refused(stated, sizeof stated, "content size");
#if !defined(DAYBOOK_SANITIZED)
    assert_true(server_memory() - before < 200 * 1024);
#else
    (void)before;
#endif
    /* More than a request may have at all. */
    size_t large = LIMIT_REQUEST_BYTES + 1;
    int status = client_post_bytes(&client, "/v1/sync", zeros, large);
    assert_true(status == 413 || status == 0);
    free(zeros);
    dk_buffer_clear(&frame);
    server_lives();
}

/* ---- JSON */

static void test_garbage__json(void **state)
{
    static const char good[] =
        "\"protocol\":1,\"schema\":1,\"instance\":\"%s\",\"epoch\":\"0\",\"position\":0,"
        "\"settled\":0,\"sent_ms\":\"1\",\"boot\":\"1\",\"steady_ms\":\"1\"";
    static const char *const cases[] = {
        "",
        " ",
        "null",
        "[]",
        "7",
        "{",
        "{}",
        "{\"protocol\":1}",
        "\xef\xbb\xbf{%s}",
        "{%s}x",
        "{%s}{}",
        "{%s,}",
        "{%s,\"protocol\":1}",
        "{%s,\"position\":0}",
        "{%s,\"page_bytes\":01}",
        "{%s,\"page_bytes\":1.5}",
        "{%s,\"page_bytes\":1e3}",
        "{%s,\"page_bytes\":-0}",
        "{%s,\"page_bytes\":+1}",
        "{%s,\"page_bytes\":9007199254740992}",
        "{%s,\"page_bytes\":\"1\"}",
        "{%s,\"page_bytes\":NaN}",
        "{%s,\"page_bytes\":-1}",
        "{%s,\"scope\":{}}",
        "{%s,\"scope\":[\"1\"]}",
        "{%s,\"scope\":[1,1]}",
        "{%s,\"scope\":[-1]}",
        "{%s,\"changesets\":{}}",
        "{%s,\"changesets\":[7]}",
        "{%s,\"changesets\":[{}]}",
        "{%s,\"changesets\":[{\"id\":\"short\"}]}",
        "{%s,\"x\":\"\x01\"}",
        "{%s,\"x\":\"\t\"}",
        "{%s,\"x\":\"\xff\xfe\"}",
        "{%s,\"x\":\"\xc0\x80\"}",
        "{%s,\"x\":\"\xed\xa0\x80\"}",
        "{%s,\"x\":\"\\u0000\"}",
        "{%s,\"x\":\"\\ud800\"}",
        "{%s,\"x\":\"\\q\"}",
        "{%s,\"x\":\"open}",
        "{%s,\"x\":tru}",
        "{%s,x:1}",
        "{%s,'x':1}",
        "{%s,\"x\":1 /* no */}",
    };
    char members[400], json[1000];
    (void)state;
    (void)snprintf(members, sizeof members, good, client.instance);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *place = strstr(cases[i], "%s");
        size_t head = place == NULL ? strlen(cases[i]) : (size_t)(place - cases[i]);
        (void)snprintf(json, sizeof json, "%.*s%s%s", (int)head, cases[i],
                       place == NULL ? "" : members, place == NULL ? "" : place + 2);
        dk_buffer_reset(&client.frame);
        compress(&client.frame, json, strlen(json));
        refused(client.frame.bytes, client.frame.length, cases[i]);
    }
    server_lives();
}

/* What is new in a request is skipped, another version of the protocol is not spoken. */
static void test_garbage__unknown_members_and_versions(void **state)
{
    char json[1000], members[400];
    (void)state;
    (void)snprintf(members, sizeof members,
                   "\"schema\":1,\"instance\":\"%s\",\"epoch\":\"0\",\"position\":0,"
                   "\"settled\":0,\"sent_ms\":\"1\",\"boot\":\"1\",\"steady_ms\":\"1\"",
                   client.instance);
    (void)snprintf(json, sizeof json, "{\"protocol\":1,%s,\"x\":{\"y\":[1,2.5e3,null]}}", members);
    assert_int_equal(client_post(&client, "/v1/sync", json), 200);
    (void)snprintf(json, sizeof json, "{\"protocol\":2,%s}", members);
    (void)client_post(&client, "/v1/sync", json);
    client_expect_error(&client, 426, "UPGRADE_NEEDED");
    server_lives();
}

static void test_garbage__json_that_is_deep_or_long(void **state)
{
    struct buffer json;
    (void)state;
    dk_buffer_init(&json, 1 << 26);
    for (int round = 0; round < 4; round++) {
        dk_buffer_reset(&json);
        dk_buffer_append_text(&json, round == 0 ? "" : "{\"x\":");
        for (int i = 0; i < (round < 2 ? 1000000 : 100); i++) {
            dk_buffer_append_text(&json, round == 3 ? "{\"a\":" : "[");
        }
        compress(&client.frame, json.bytes, json.length);
        refused(client.frame.bytes, client.frame.length, "deep");
    }
    /* More changesets than a request may have. */
    dk_buffer_reset(&json);
    dk_buffer_append_text(&json, ",\"changesets\":[");
    for (int i = 0; i <= LIMIT_CHANGESETS; i++) {
        dk_buffer_append_text(&json, i == 0 ? "{}" : ",{}");
    }
    dk_buffer_append_text(&json, "]");
    int status = client_sync(&client, dk_buffer_text(&json));
    assert_true(status == 400 || status == 413);
    dk_buffer_clear(&json);
    server_lives();
}

/* The good changesets of a request with a malformed one are not decided either. */
static void test_garbage__request_is_whole_or_nothing(void **state)
{
    char members[2000], id[2][CLIENT_ID_SIZE];
    (void)state;
    client_new_id(id[0]);
    client_new_id(id[1]);
    int64_t head = server_int(&company.server, "SELECT head FROM org");
    (void)snprintf(
        members, sizeof members,
        ",\"changesets\":[{\"id\":\"%s\",\"seq\":1,\"epoch\":\"0\",\"hlc\":\"65536\","
        "\"boot\":\"1\",\"steady\":\"1\",\"schema\":1,\"changes\":[{\"entity\":"
        "\"customer\",\"op\":\"new\",\"fields\":[\"name\"],\"rows\":[[0,\"%s\",\"half\"]]"
        "}]},{\"id\":\"%s\",\"seq\":2}]",
        id[0], id[1], id[0]);
    assert_int_equal(client_sync(&client, members), 400);
    assert_int_equal(server_int(&company.server, "SELECT head FROM org"), head);
    server_lives();
}

/* ---- HTTP */

/* A TLS connection to the server. */
struct line {
    int socket;
    SSL_CTX *context;
    SSL *ssl;
};

static void line_open(struct line *line)
{
    const struct timeval patience = {.tv_sec = 30};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)company.server.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    line->socket = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(line->socket >= 0);
    (void)setsockopt(line->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(line->socket, (struct sockaddr *)&address, sizeof address), 0);
    line->context = SSL_CTX_new(TLS_client_method());
    assert_non_null(line->context);
    line->ssl = SSL_new(line->context);
    assert_non_null(line->ssl);
    assert_int_equal(SSL_set_fd(line->ssl, line->socket), 1);
    assert_int_equal(SSL_connect(line->ssl), 1);
}

static void line_close(struct line *line)
{
    SSL_free(line->ssl);
    SSL_CTX_free(line->context);
    (void)close(line->socket);
    ERR_clear_error();
}

/* Sends the bytes and reads until the server closes; what came is in `answer`. */
static void ask(const char *request, size_t length, char *answer, size_t size)
{
    struct line line;
    size_t have = 0;
    int got = 0;
    line_open(&line);
    (void)SSL_write(line.ssl, request, (int)length);
    while (have + 1 < size &&
           (got = SSL_read(line.ssl, answer + have, (int)(size - 1 - have))) > 0) {
        have += (size_t)got;
    }
    answer[have] = '\0';
    line_close(&line);
}

static void test_garbage__http(void **state)
{
    static const struct {
        const char *request;
        const char *status; /* how the answer begins */
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404"},
        {"GET /v1/sync HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 405"},
        {"PUT /v1/sync HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 501"},
        {"POST /v1/sync HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 411"},
        {"POST /v1/sync HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
         "HTTP/1.1 400"},
        {"POST /v1/sync HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx", "HTTP/1.1 400"},
        {"POST /v1/sync HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nx", "HTTP/1.1 400"},
        {"POST /v1/sync HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nx",
         "HTTP/1.1 4"},
        {"POST /v1/sync HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         "HTTP/1.1 "},
        {"POST /v1/sync HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
         "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         "HTTP/1.1 "},
        {"POST /v1/sync HTTP/1.1\nHost: a\nContent-Length: 0\n\n", "HTTP/1.1 400"},
        {"POST /v1/sync HTTP/1.1\r\nHost : a\r\n\r\n", "HTTP/1.1 400"},
        {"POST /v1/sync HTTP/1.1\r\n folded: a\r\n\r\n", "HTTP/1.1 400"},
        {"GET /v1/health HTTP/2.0\r\nHost: a\r\n\r\n", "HTTP/1.1 505"},
        {"GET  /v1/health HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400"},
        {"GET http://a/v1/health HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400"},
        {"GET /v1/health HTTP/1.1\r\n\r\n", "HTTP/1.1 400"},
        {"GET /v1/health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "HTTP/1.1 400"},
        {"POST /v1/sync HTTP/1.1\r\nHost: a\r\nExpect: cake\r\nContent-Length: 1\r\n\r\nx",
         "HTTP/1.1 417"},
        {"GET /v1/health HTTP/1.1\r\nHost: a\x01\r\n\r\n", "HTTP/1.1 400"},
        {"\x16\x03\x01garbage", "HTTP/1.1 400"},
        {"\r\n\r\n\r\n\r\n", "HTTP/1.1 400"},
    };
    char answer[4096];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask(cases[i].request, strlen(cases[i].request), answer, sizeof answer);
        if (strncmp(answer, cases[i].status, strlen(cases[i].status)) != 0) {
            print_error("%s: %.60s\n", cases[i].request, answer);
            fail();
        }
        const char *body = strstr(answer, "\r\n\r\n");
        assert_non_null(body);
        if (strstr(answer, "application/json") != NULL) {
            assert_memory_equal(body + 4, "{\"", 2);
            assert_non_null(strstr(body, "\"error\""));
        }
    }
    server_lives();
}

/* A head that never ends, many headers, a long path. */
static void test_garbage__http_that_is_long(void **state)
{
    char answer[4096];
    struct buffer request;
    (void)state;
    dk_buffer_init(&request, 1 << 22);
    dk_buffer_append_text(&request, "GET /v1/health HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 20000; i++) {
        dk_buffer_append_text(&request, "X-Header: and another one\r\n");
    }
    ask(request.bytes, request.length, answer, sizeof answer);
    assert_true(strncmp(answer, "HTTP/1.1 431", 12) == 0 || answer[0] == '\0');
    dk_buffer_reset(&request);
    dk_buffer_append_text(&request, "GET /");
    for (int i = 0; i < 100000; i++) {
        dk_buffer_append_char(&request, 'a');
    }
    ask(request.bytes, request.length, answer, sizeof answer);
    assert_true(strncmp(answer, "HTTP/1.1 4", 10) == 0 || answer[0] == '\0');
    dk_buffer_clear(&request);
    server_lives();
}

/* Plain HTTP and noise on the TLS port, and connections that only come and go. */
static void test_garbage__not_tls(void **state)
{
    static const char *const greetings[] = {"GET /v1/health HTTP/1.1\r\nHost: a\r\n\r\n",
                                            "SSH-2.0-OpenSSH_9.2\r\n", "\x16\x03\x01\xff\xff", ""};
    char answer[256];
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)company.server.port)};
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int made = socket(AF_INET, SOCK_STREAM, 0);
        assert_true(made >= 0);
        assert_int_equal(connect(made, (struct sockaddr *)&address, sizeof address), 0);
        const char *greeting = greetings[i % 4];
        (void)!send(made, greeting, strlen(greeting), MSG_NOSIGNAL);
        if (i % 4 == 0) {
            const struct timeval patience = {.tv_sec = 30};
            (void)setsockopt(made, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
            ssize_t got = recv(made, answer, sizeof answer - 1, 0);
            answer[got > 0 ? got : 0] = '\0';
            assert_null(strstr(answer, "200"));
        }
        (void)close(made);
    }
    server_lives();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_garbage__frames),
        cmocka_unit_test(test_garbage__frames_that_want_memory),
        cmocka_unit_test(test_garbage__json),
        cmocka_unit_test(test_garbage__unknown_members_and_versions),
        cmocka_unit_test(test_garbage__json_that_is_deep_or_long),
        cmocka_unit_test(test_garbage__request_is_whole_or_nothing),
        cmocka_unit_test(test_garbage__http),
        cmocka_unit_test(test_garbage__http_that_is_long),
        cmocka_unit_test(test_garbage__not_tls),
    };
    return cmocka_run_group_tests_name("garbage", tests, set_up, tear_down);
}
