/* SPDX-License-Identifier: Apache-2.0
 *
 * The platform that an engine gets whose app names none. Which file implements it, the build
 * chooses.
 */
#ifndef DAYBOOK_API_DEFAULT_PLATFORM_H
#define DAYBOOK_API_DEFAULT_PLATFORM_H

#include <daybook/platform.h>

/* NULL: the library was built without one, and every app brings its own. */
const daybook_platform *dk_default_platform(void);

#endif
