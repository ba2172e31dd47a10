/* SPDX-License-Identifier: Apache-2.0
 *
 * See proxy.h. One thread, one poll over all sockets and a pipe that wakes it. A direction holds no
 * bytes back: what was read is written before anything else is, blocking, since loopback partners
 * read, and after the time that a slow line takes.
 */
#include "tests/support/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define LINKS_MAX 64
#define CHUNK 16384
#define TICK_MS 20 /* of a slow line */

enum { CLIENT, SERVER }; /* sides of a link; bytes read from CLIENT go up */

/* One connection of a client and ours to the server. */
struct link {
    bool open;
    int sockets[2];
    bool ended[2]; /* nothing more is read from this side */
    bool planned;  /* the plan ended a direction */
};

struct proxy {
    pthread_t thread;
    int listener;
    int port;
    int server_port;
    int wake[2];
    pthread_mutex_t lock; /* guards what follows; links are the thread's, but for their closing */
    bool stopping;
    struct proxy_plan plan;
    int bytes_per_s, delay_ms; /* see proxy_slow */
    struct proxy_seen seen;
    struct link links[LINKS_MAX];
};

static void close_link(struct link *link, bool reset)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    if (!link->open) {
        return;
    }
    for (int side = 0; side < 2; side++) {
        if (reset) {
            (void)setsockopt(link->sockets[side], SOL_SOCKET, SO_LINGER, &now, sizeof now);
        }
        (void)close(link->sockets[side]);
    }
    link->open = false;
}

/* Writes all bytes; false where the partner has gone. */
static bool write_all(int to, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t done = send(to, bytes, length, MSG_NOSIGNAL);
        if (done <= 0 && errno != EINTR) {
            return false;
        }
        bytes += done > 0 ? (size_t)done : 0;
        length -= done > 0 ? (size_t)done : 0;
    }
    return true;
}

/* Lets the direction that reads from this side end as planned. Locked. */
static void end_direction(struct proxy *proxy, struct link *link, int side)
{
    proxy->seen.ends++;
    link->planned = true;
    switch (proxy->plan.end) {
    case PROXY_CLOSE: close_link(link, false); break;
    case PROXY_RESET: close_link(link, true); break;
    case PROXY_HALF_CLOSE:
        (void)shutdown(link->sockets[1 - side], SHUT_WR);
        link->ended[side] = true;
        break;
    case PROXY_STALL: link->ended[side] = true; break;
    }
}

static void pause_ms(int ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&wait, NULL);
}

/* How much may be passed at once. Locked; lets go of the lock while that takes the line its time,
 * so that a new plan may come between. */
static size_t take_time(struct proxy *proxy)
{
    size_t room = CHUNK;
    int wait_ms = proxy->delay_ms;
    if (proxy->bytes_per_s > 0) {
        size_t rate = (size_t)proxy->bytes_per_s, slice = rate * TICK_MS / 1000;
        room = slice == 0 ? 1 : slice < CHUNK ? slice : CHUNK;
        wait_ms += (int)(room * 1000 / rate);
    }
    if (wait_ms > 0) {
        pthread_mutex_unlock(&proxy->lock);
        pause_ms(wait_ms);
        pthread_mutex_lock(&proxy->lock);
    }
    return room;
}

/* Passes what has come from one side, as far as the plan lets it. Locked. */
static void pass(struct proxy *proxy, struct link *link, int side)
{
    char bytes[CHUNK];
    size_t room = take_time(proxy);
    if (!link->open || link->ended[side] || proxy->stopping) {
        return; /* meanwhile */
    }
    int64_t *passed = side == CLIENT ? &proxy->seen.up : &proxy->seen.down;
    int64_t limit = side == CLIENT ? proxy->plan.up_bytes : proxy->plan.down_bytes;
    ssize_t got = recv(link->sockets[side], bytes, room, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        close_link(link, got < 0);
        return;
    }
    bool cut = limit >= 0 && *passed + got > limit;
    size_t keep = cut ? (size_t)(limit - *passed) : (size_t)got;
    if (!write_all(link->sockets[1 - side], bytes, keep)) {
        close_link(link, true);
        return;
    }
    *passed += (int64_t)keep;
    if (cut) {
        end_direction(proxy, link, side);
    }
}

/* A socket to the server, or -1. */
static int connect_server(int port)
{
    const int yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int made = socket(AF_INET, SOCK_STREAM, 0);
    if (made >= 0 && connect(made, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(made);
        return -1;
    }
    if (made >= 0) {
        (void)setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    }
    return made;
}

/* Takes a client, where the server takes us. Locked. */
static void take_client(struct proxy *proxy)
{
    const int yes = 1;
    int client = accept(proxy->listener, NULL, NULL);
    if (client < 0) {
        return;
    }
    (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    proxy->seen.connections++;
    for (int i = 0; i < LINKS_MAX; i++) {
        struct link *link = &proxy->links[i];
        if (link->open) {
            continue;
        }
        int server = connect_server(proxy->server_port);
        if (server < 0) {
            break;
        }
        *link = (struct link){.open = true, .sockets = {client, server}};
        return;
    }
    (void)close(client);
}

/* Fills the list of sockets to wait for; places[] tells whose they are. Locked. */
static int gather(struct proxy *proxy, struct pollfd *waits, int *places)
{
    int count = 0;
    waits[count] = (struct pollfd){.fd = proxy->wake[0], .events = POLLIN};
    places[count++] = -1;
    waits[count] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
    places[count++] = -2;
    for (int i = 0; i < LINKS_MAX; i++) {
        for (int side = 0; side < 2 && proxy->links[i].open; side++) {
            if (!proxy->links[i].ended[side]) {
                waits[count] =
                    (struct pollfd){.fd = proxy->links[i].sockets[side], .events = POLLIN};
                places[count++] = i * 2 + side;
            }
        }
    }
    return count;
}

/* The thread. */
static void *run(void *argument)
{
    struct proxy *proxy = argument;
    struct pollfd waits[LINKS_MAX * 2 + 2];
    int places[LINKS_MAX * 2 + 2];
    char byte;
    pthread_mutex_lock(&proxy->lock);
    while (!proxy->stopping) {
        int count = gather(proxy, waits, places);
        pthread_mutex_unlock(&proxy->lock);
        (void)poll(waits, (nfds_t)count, -1);
        pthread_mutex_lock(&proxy->lock);
        for (int i = 0; i < count && !proxy->stopping; i++) {
            if (waits[i].revents == 0) {
                continue;
            }
            struct link *link = places[i] < 0 ? NULL : &proxy->links[places[i] / 2];
            if (places[i] == -1) {
                (void)!read(proxy->wake[0], &byte, 1);
            } else if (places[i] == -2) {
                take_client(proxy);
            } else if (link->open && link->sockets[places[i] % 2] == waits[i].fd &&
                       !link->ended[places[i] % 2]) {
                pass(proxy, link, places[i] % 2);
            }
        }
    }
    pthread_mutex_unlock(&proxy->lock);
    return NULL;
}

/* Makes the thread look again. */
static void wake(struct proxy *proxy)
{
    (void)!write(proxy->wake[1], "", 1);
}

struct proxy *proxy_start(int server_port)
{
    struct proxy *proxy = calloc(1, sizeof *proxy);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    assert_non_null(proxy);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    proxy->server_port = server_port;
    proxy->plan = PROXY_PLAN_CLEAN;
    assert_int_equal(pipe(proxy->wake), 0);
    proxy->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(proxy->listener >= 0);
    assert_int_equal(bind(proxy->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(proxy->listener, 64), 0);
    assert_int_equal(getsockname(proxy->listener, (struct sockaddr *)&address, &length), 0);
    proxy->port = ntohs(address.sin_port);
    assert_int_equal(pthread_mutex_init(&proxy->lock, NULL), 0);
    assert_int_equal(pthread_create(&proxy->thread, NULL, run, proxy), 0);
    return proxy;
}

int proxy_port(const struct proxy *proxy)
{
    return proxy->port;
}

void proxy_make_plan(struct proxy *proxy, struct proxy_plan plan)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->plan = plan;
    proxy->bytes_per_s = proxy->delay_ms = 0;
    memset(&proxy->seen, 0, sizeof proxy->seen);
    for (int i = 0; i < LINKS_MAX; i++) {
        if (proxy->links[i].open && proxy->links[i].planned) {
            close_link(&proxy->links[i], false);
        }
    }
    pthread_mutex_unlock(&proxy->lock);
    wake(proxy);
}

void proxy_slow(struct proxy *proxy, int bytes_per_s, int delay_ms)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->bytes_per_s = bytes_per_s;
    proxy->delay_ms = delay_ms;
    pthread_mutex_unlock(&proxy->lock);
}

struct proxy_seen proxy_look(struct proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    struct proxy_seen seen = proxy->seen;
    pthread_mutex_unlock(&proxy->lock);
    return seen;
}

void proxy_stop(struct proxy *proxy)
{
    if (proxy == NULL) {
        return;
    }
    pthread_mutex_lock(&proxy->lock);
    proxy->stopping = true;
    pthread_mutex_unlock(&proxy->lock);
    wake(proxy);
    (void)pthread_join(proxy->thread, NULL);
    for (int i = 0; i < LINKS_MAX; i++) {
        close_link(&proxy->links[i], false);
    }
    (void)close(proxy->listener);
    (void)close(proxy->wake[0]);
    (void)close(proxy->wake[1]);
    (void)pthread_mutex_destroy(&proxy->lock);
    free(proxy);
}
