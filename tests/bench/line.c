/* SPDX-License-Identifier: Apache-2.0
 *
 * Each direction of a connection has a thread that takes what comes, with the time at which it is
 * due at the other end, and one that waits for that time. Called by phone.c.
 */
#include "tests/bench/line.h"

#include "tests/bench/harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PIECE 1400 /* bytes that travel together */

struct piece {
    struct piece *next;
    double due; /* by bench_now */
    size_t length;
    char bytes[PIECE];
};

/* One direction of a connection. */
struct road {
    struct line *line;
    int from, to;
    double begins, free; /* it takes nothing before; passes what it has until then */
    pthread_mutex_t lock;
    pthread_cond_t came;
    struct piece *first, **last;
};

struct line {
    int listener, port, server_port, bytes_per_s;
    double delay_s;
    atomic_llong bytes;
    pthread_t thread;
};

static void start_thread(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, argument) != 0) {
        bench_fail("cannot start a thread");
    }
    (void)pthread_detach(thread);
}

/* Takes what comes in, up to the end, which is a piece without bytes. */
static void *take(void *argument)
{
    struct road *road = argument;
    ssize_t length;
    do {
        struct piece *piece = bench_new(1, sizeof *piece);
        length = recv(road->from, piece->bytes, PIECE, 0);
        piece->length = length > 0 ? (size_t)length : 0;
        atomic_fetch_add(&road->line->bytes, (long long)piece->length);
        double now = bench_now();
        road->free = road->free > now ? road->free : now;
        road->free = road->free > road->begins ? road->free : road->begins;
        road->free += (double)piece->length / road->line->bytes_per_s;
        piece->due = road->free + road->line->delay_s;
        pthread_mutex_lock(&road->lock);
        *road->last = piece;
        road->last = &piece->next;
        pthread_cond_signal(&road->came);
        pthread_mutex_unlock(&road->lock);
    } while (length > 0);
    return NULL;
}

static void wait_until(double due)
{
    double left = due - bench_now();
    if (left > 0) {
        struct timespec pause = {.tv_sec = (time_t)left,
                                 .tv_nsec = (long)((left - (double)(time_t)left) * 1e9)};
        (void)nanosleep(&pause, NULL);
    }
}

/* Lets out what is due; in the end says that no more comes. */
static void *let_out(void *argument)
{
    struct road *road = argument;
    size_t length;
    do {
        pthread_mutex_lock(&road->lock);
        while (road->first == NULL) {
            pthread_cond_wait(&road->came, &road->lock);
        }
        struct piece *piece = road->first;
        road->first = piece->next;
        road->last = road->first == NULL ? &road->first : road->last;
        pthread_mutex_unlock(&road->lock);
        length = piece->length;
        wait_until(piece->due);
        for (size_t done = 0; done < length;) {
            ssize_t sent = send(road->to, piece->bytes + done, length - done, MSG_NOSIGNAL);
            done = sent < 0 ? length : done + (size_t)sent;
        }
        free(piece);
    } while (length > 0);
    (void)shutdown(road->to, SHUT_WR);
    return NULL;
}

/* A connection's sockets and roads are kept to the end of the process: a run has few of them. */
static void open_road(struct line *line, int from, int to)
{
    struct road *road = bench_new(1, sizeof *road);
    road->line = line;
    road->from = from;
    road->to = to;
    road->begins = bench_now() + 2 * line->delay_s;
    road->last = &road->first;
    (void)pthread_mutex_init(&road->lock, NULL);
    (void)pthread_cond_init(&road->came, NULL);
    start_thread(take, road);
    start_thread(let_out, road);
}

static struct sockaddr_in local(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void *accept_all(void *argument)
{
    struct line *line = argument;
    const int yes = 1;
    for (;;) {
        struct sockaddr_in address = local(line->server_port);
        int client = accept(line->listener, NULL, NULL);
        int server = socket(AF_INET, SOCK_STREAM, 0);
        if (client < 0) {
            (void)close(server);
            return NULL;
        }
        if (server < 0 || connect(server, (struct sockaddr *)&address, sizeof address) != 0) {
            bench_fail("no connection to the server");
        }
        (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        (void)setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        open_road(line, client, server);
        open_road(line, server, client);
    }
}

struct line *line_start(int server_port, int bytes_per_s, int delay_ms)
{
    struct line *line = bench_new(1, sizeof *line);
    struct sockaddr_in address = local(0);
    socklen_t length = sizeof address;
    line->server_port = server_port;
    line->bytes_per_s = bytes_per_s;
    line->delay_s = delay_ms / 1000.0;
    line->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (line->listener < 0 ||
        bind(line->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(line->listener, 16) != 0 ||
        getsockname(line->listener, (struct sockaddr *)&address, &length) != 0) {
        bench_fail("cannot listen on loopback");
    }
    line->port = ntohs(address.sin_port);
    if (pthread_create(&line->thread, NULL, accept_all, line) != 0) {
        bench_fail("cannot start a thread");
    }
    return line;
}

int line_port(const struct line *line)
{
    return line->port;
}

long long line_bytes(struct line *line)
{
    return atomic_exchange(&line->bytes, 0);
}

void line_stop(struct line *line)
{
    (void)shutdown(line->listener, SHUT_RDWR);
    (void)pthread_join(line->thread, NULL);
    (void)close(line->listener);
}
