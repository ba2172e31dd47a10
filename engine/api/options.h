/* SPDX-License-Identifier: Apache-2.0
 *
 * Checking daybook_options before anything is opened.
 */
#ifndef DAYBOOK_API_OPTIONS_H
#define DAYBOOK_API_OPTIONS_H

#include <daybook/daybook.h>

#define OPTION_URL_MAX 500 /* bytes */
#define OPTION_PINS_MAX 16
#define OPTION_TIMEOUT_MS 60000

/* Copies options and platform of any size that this library knows, puts in the defaults, and
 * checks. `server_url` is written to `url` without a slash at its end. INVALID names the option in
 * error->field. */
daybook_status dk_options_read(const daybook_options *given, daybook_options *options,
                               daybook_platform *platform, char url[OPTION_URL_MAX + 1],
                               daybook_error *error);

#endif
