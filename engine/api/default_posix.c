/* SPDX-License-Identifier: Apache-2.0
 *
 * The default platform of a library that was built with platform/posix, curl and openssl.
 * default_none.c is its counterpart; the build takes one of them.
 */
#include "engine/api/default_platform.h"

#include <daybook/posix.h>

/* See the header. */
const daybook_platform *dk_default_platform(void)
{
    return daybook_posix_platform();
}
