/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the counting transport. The other hooks are those of the default platform, which need no
 * context. Invariant: what is counted is what the default transport sent and received.
 */
#include "tests/bench/wire.h"

#include "tests/bench/harness.h"

#include <daybook/posix.h>

/* As the default transport; adds the sizes of the bodies and the time. */
static daybook_status exchange(void *context, void *connection,
                               const struct daybook_request *request, struct daybook_reply *reply)
{
    struct wire *wire = context;
    double began = bench_now();
    daybook_status status =
        daybook_posix_platform()->transport_exchange(NULL, connection, request, reply);
    atomic_fetch_add(&wire->inside_ns, (long long)((bench_now() - began) * 1e9));
    atomic_fetch_add(&wire->up, (long long)request->body_size);
    if (status == DAYBOOK_OK) {
        atomic_fetch_add(&wire->down, (long long)reply->body_size);
    }
    atomic_fetch_add(&wire->exchanges, 1);
    return status;
}

void wire_init(struct wire *wire)
{
    wire->platform = *daybook_posix_platform();
    wire->platform.context = wire;
    wire->platform.transport_exchange = exchange;
    wire_reset(wire);
}

void wire_reset(struct wire *wire)
{
    atomic_store(&wire->up, 0);
    atomic_store(&wire->down, 0);
    atomic_store(&wire->exchanges, 0);
    atomic_store(&wire->inside_ns, 0);
}
