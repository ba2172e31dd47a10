/* SPDX-License-Identifier: Apache-2.0
 *
 * Filling a daybook_error: the one place that knows its layout grows.
 */
#ifndef DAYBOOK_API_ERROR_H
#define DAYBOOK_API_ERROR_H

#include <daybook/daybook.h>

/* An error that says nothing. */
void dk_error_clear(daybook_error *error);
/* Fills all members; NULL texts are "". `text` NULL: the status' own sentence. Too long texts are
 * cut between code points. `error` NULL is fine, and so is one whose size is not that of a
 * daybook_error: it is left alone. Returns the status. */
daybook_status dk_error_set(daybook_error *error, daybook_status status, const char *entity,
                            const char *field, const char *rule, const char *text);
/* The same without a place: only status and text. */
daybook_status dk_error_text(daybook_error *error, daybook_status status, const char *text);
/* Copies all but the size. */
void dk_error_copy(daybook_error *to, const daybook_error *from);

#endif
