/* SPDX-License-Identifier: Apache-2.0
 *
 * Internal to tests/support: what script.c asks of the scripted server. The script's lock is held.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_SCRIPT_SERVER_H
#define DAYBOOK_TESTS_SUPPORT_SCRIPT_SERVER_H

#include "tests/support/script.h"

/* Whom the enrolment code signs in. */
extern const struct id SCRIPT_USER, SCRIPT_ORGANISATION;

/* A new last entry of the log, empty. */
struct script_entry *script_append(struct script *script);
/* Serves one whole request. `nothing`: a sync is answered as SCRIPT_NOTHING; `foreign`: as
 * SCRIPT_FOREIGN_OWN. */
void script_serve(struct script *script, const struct daybook_request *request, bool nothing,
                  bool foreign, struct daybook_reply *reply);
/* Makes an error_reply the answer. */
void script_answer_error(struct script *script, int http_status, const char *code, int64_t seq,
                         struct daybook_reply *reply);

#endif
