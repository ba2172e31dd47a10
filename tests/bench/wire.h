/* SPDX-License-Identifier: Apache-2.0
 *
 * The default platform with a transport that counts: bytes of request and reply bodies, exchanges,
 * and the time spent in them. Everything still goes over TLS.
 */
#ifndef DAYBOOK_TESTS_BENCH_WIRE_H
#define DAYBOOK_TESTS_BENCH_WIRE_H

#include <daybook/platform.h>

#include <stdatomic.h>

/* Stays where it is while an engine uses it: its address is the hooks' context. */
struct wire {
    daybook_platform platform; /* hand this to the engine */
    atomic_llong up;           /* bytes of request bodies */
    atomic_llong down;         /* bytes of reply bodies */
    atomic_llong exchanges;
    atomic_llong inside_ns; /* time between calling the transport and its answer */
};

void wire_init(struct wire *wire);
/* Sets all counts to 0. */
void wire_reset(struct wire *wire);

#endif
