/* SPDX-License-Identifier: Apache-2.0
 *
 * A bad network on loopback: a thread that passes bytes between clients and the server, without
 * knowing what they mean, as slowly as the test's plan says, until it lets a direction end at a
 * certain byte.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_PROXY_H
#define DAYBOOK_TESTS_SUPPORT_PROXY_H

#include <stdint.h>

enum proxy_end {
    PROXY_CLOSE,      /* both sides are closed */
    PROXY_RESET,      /* both sides are reset */
    PROXY_HALF_CLOSE, /* the receiver is told that no more comes; the other direction goes on */
    PROXY_STALL       /* no byte more, and no word; the other direction goes on */
};

/* Bytes are counted over all connections from the moment that the plan is made. With 0 the first
 * byte in that direction is one too many. */
struct proxy_plan {
    int64_t up_bytes;   /* passed from clients to the server; -1: all */
    int64_t down_bytes; /* passed from the server to clients; -1: all */
    enum proxy_end end;
};
#define PROXY_PLAN_CLEAN                                                                           \
    (struct proxy_plan)                                                                            \
    {                                                                                              \
        -1, -1, PROXY_CLOSE                                                                        \
    }

/* Since the plan was made. */
struct proxy_seen {
    int connections; /* accepted */
    int64_t up;      /* bytes passed */
    int64_t down;    /* bytes passed */
    int ends;        /* how often the plan let a direction end */
};

struct proxy;

/* Listens on a free port of 127.0.0.1 and passes everything to this port there. */
struct proxy *proxy_start(int server_port);
int proxy_port(const struct proxy *proxy);
/* Makes a new plan, on a fast line. Connections that the last one stalled or half closed are
 * closed. */
void proxy_make_plan(struct proxy *proxy, struct proxy_plan plan);
/* Until the next plan the line passes so many bytes a second, both directions together, 0: as they
 * come; and each time waits so long before it does. */
void proxy_slow(struct proxy *proxy, int bytes_per_s, int delay_ms);
struct proxy_seen proxy_look(struct proxy *proxy);
/* Closes all connections and ends; NULL is fine. */
void proxy_stop(struct proxy *proxy);

#endif
