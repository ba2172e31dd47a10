/* SPDX-License-Identifier: Apache-2.0
 *
 * The default platform of a library that was built without one, as for phones. default_posix.c is
 * its counterpart; the build takes one of them.
 */
#include "engine/api/default_platform.h"

#include <stddef.h>

/* See the header. */
const daybook_platform *dk_default_platform(void)
{
    return NULL;
}
