/* SPDX-License-Identifier: Apache-2.0
 *
 * What a connection costs the server while nobody speaks: as many as its default limit allows, each
 * with TLS and one answered request behind it, as a device leaves it between two syncs.
 */
#include "tests/bench/figures.h"

#include "tests/bench/memory.h"
#include "tests/bench/server.h"

#include "engine/base/text.h"

#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS 10000
#define WARM 100 /* before the first measure: what the server makes once for all is there */

/* Each connection is a descriptor of this process, too. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max < CONNECTIONS + 200) {
        bench_fail("this process may not have %d descriptors", CONNECTIONS + 200);
    }
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static SSL_CTX *new_context(const struct server *server)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL || SSL_CTX_load_verify_locations(context, server->ca_file, NULL) != 1) {
        bench_fail("OpenSSL does not take %s", server->ca_file);
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    (void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    return context;
}

/* One answered request. */
static void ask(SSL *tls)
{
    static const char request[] = "GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    static const char good[] = "HTTP/1.1 200 ";
    char reply[65536] = "";
    size_t sent, length = 0, more;
    if (SSL_write_ex(tls, request, sizeof request - 1, &sent) != 1) {
        bench_fail("the server took no request");
    }
    do {
        if (SSL_read_ex(tls, reply + length, sizeof reply - 1 - length, &more) != 1) {
            bench_fail("the server did not answer");
        }
        length += more;
        reply[length] = '\0';
    } while (strchr(reply, '}') == NULL);
    if (strncmp(reply, good, sizeof good - 1) != 0) {
        bench_fail("the server answered %.40s", reply);
    }
}

static SSL *connect_one(SSL_CTX *context, const struct server *server)
{
    long port = strtol(strrchr(server->url, ':') + 1, NULL, 10);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SSL *tls = SSL_new(context);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (file < 0 || tls == NULL ||
        connect(file, (struct sockaddr *)&address, sizeof address) != 0 ||
        SSL_set_fd(tls, file) != 1 || SSL_connect(tls) != 1) {
        bench_fail("no connection to %s", server->url);
    }
    ask(tls);
    return tls;
}

static void close_one(SSL *tls)
{
    int file = SSL_get_fd(tls);
    SSL_free(tls);
    (void)close(file);
}

/* KiB of the server for each connection. */
static double run(SSL_CTX *context, const struct server *server)
{
    SSL **all = bench_new(CONNECTIONS, sizeof(SSL *));
    long before = 0;
    for (int i = 0; i < CONNECTIONS; i++) {
        before = i == WARM ? memory_anonymous(server->process) : before;
        all[i] = connect_one(context, server);
    }
    long after = memory_anonymous(server->process);
    for (int i = 0; i < CONNECTIONS; i++) {
        close_one(all[i]);
    }
    free(all);
    return (double)(after - before) / (CONNECTIONS - WARM);
}

void figure_idle_connection_kib(struct bench *bench)
{
    struct series kib = {.count = 0};
    struct server *server = bench_new(1, sizeof *server);
    raise_descriptors();
    server_init(server, bench, "idle");
    for (int i = 0; i < bench->runs; i++) {
        server_start(server);
        SSL_CTX *context = new_context(server);
        series_add(&kib, run(context, server));
        SSL_CTX_free(context);
        server_stop(server);
    }
    free(server);
    print_figure("idle_connection_kib", &kib, "KiB");
}
