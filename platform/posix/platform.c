/* SPDX-License-Identifier: Apache-2.0
 *
 * The default platform: the one struct with the hooks of posix/, curl/ and openssl/. Apps hand it
 * to the engine, or copy it and replace single hooks. It is constant; the hooks need no context.
 */
#include <daybook/posix.h>

#include "platform/curl/transport.h"
#include "platform/openssl/random.h"
#include "platform/posix/system.h"

#include <stddef.h>

/* See posix.h. No network state is known here (always try), and nothing is logged. */
const daybook_platform *daybook_posix_platform(void)
{
    static const daybook_platform platform = {
        .size = sizeof(daybook_platform),
        .context = NULL,
        .wall_ms = dk_posix_wall_ms,
        .steady_ms = dk_posix_steady_ms,
        .boot_id = dk_posix_boot_id,
        .random = dk_openssl_random,
        .transport_open = dk_curl_open,
        .transport_exchange = dk_curl_exchange,
        .transport_interrupt = dk_curl_interrupt,
        .transport_close = dk_curl_close,
        .network_up = NULL,
        .log = NULL,
        .thread_start = dk_posix_thread_start,
        .thread_join = dk_posix_thread_join,
    };
    return &platform;
}
