/* SPDX-License-Identifier: Apache-2.0
 *
 * What all event loops share: the limits, and the counts that are held against them (connections in
 * all and per device, bytes of bodies under way). Any thread may call; one lock, held for a few
 * instructions.
 */
#ifndef DAYBOOK_SERVER_HTTP_GATE_H
#define DAYBOOK_SERVER_HTTP_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GATE_DEVICE_SIZE 16

/* Limits and deadlines of the listener. A deadline is absolute: progress does not move it. */
struct http_limits {
    int connections_max;        /* at once */
    int device_connections_max; /* at once, with one token */
    int64_t body_bytes_max;     /* of all request and reply bodies under way */
    int64_t head_ms;     /* TLS handshake and head of the first request; head of a later one */
    int64_t transfer_ms; /* body, or reply: this, and its size at transfer_bytes_per_s */
    int64_t transfer_bytes_per_s;
    int64_t idle_ms;   /* between requests */
    int64_t answer_ms; /* the service's time to answer */
    int64_t linger_ms; /* after the last reply, for the client to read it */
};

/* The limits of quality.md's server: 10 s, 10 s + size at 1 KiB/s, 75 s idle. */
struct http_limits srv_http_limits_default(void);

struct gate;

/* A device as the gate knows it: the beginning of the SHA-256 of its token. */
struct gate_device {
    bool known;
    uint8_t key[GATE_DEVICE_SIZE];
};

struct gate *srv_gate_new(const struct http_limits *limits); /* NULL: no memory */
void srv_gate_free(struct gate *gate);
const struct http_limits *srv_gate_limits(const struct gate *gate);
/* A connection comes; false where there are too many. */
bool srv_gate_enter(struct gate *gate);
/* It goes, and gives its device's place back; its bytes it has released. */
void srv_gate_leave(struct gate *gate, struct gate_device *device);
/* The connection belongs to the device of this token from now on; false (and none) where that has
 * too many. */
bool srv_gate_enter_device(struct gate *gate, struct gate_device *device, const char *token);
/* Counts bytes of bodies; false, and not counted, where there are too many. */
bool srv_gate_charge(struct gate *gate, int64_t bytes);
void srv_gate_release(struct gate *gate, int64_t bytes);
/* Waits until no connection is left, at most this long; true where none is. */
bool srv_gate_wait_empty(struct gate *gate, int64_t wait_ms);
/* For tests and logs. */
int srv_gate_connections(struct gate *gate);
int64_t srv_gate_bytes(struct gate *gate);

#endif
