/* SPDX-License-Identifier: Apache-2.0
 *
 * The default platform: POSIX clocks and threads, libcurl as transport (TLS 1.3, verification that
 * cannot be switched off), OpenSSL for random numbers.
 */
#ifndef DAYBOOK_POSIX_H
#define DAYBOOK_POSIX_H

#include <daybook/platform.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The hooks of this system; static data, any thread, never NULL. Copy it to replace single hooks.
 */
DAYBOOK_API const daybook_platform *daybook_posix_platform(void);

#ifdef __cplusplus
}
#endif
#endif
