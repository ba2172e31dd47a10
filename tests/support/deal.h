/* SPDX-License-Identifier: Apache-2.0
 *
 * A deal for stories of handover: a customer with a draft order, on which two people work without
 * knowing of each other, the one who is to lose it and the one who is to have it.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_DEAL_H
#define DAYBOOK_TESTS_SUPPORT_DEAL_H

#include "tests/support/company.h"

struct deal {
    char shop[DAYBOOK_ID_SIZE], order[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
    char fresh[DAYBOOK_ID_SIZE], visit[DAYBOOK_ID_SIZE]; /* what the old rep makes */
};

#define DEAL_WORKS 7 /* changesets of deal_old_rep_works */

/* A customer with a draft order of one line, on the server and with this rep. */
void deal_make(struct rep *rep, struct deal *deal);
/* What the old rep does offline: a new order, changes of the draft, a line more, a visit. */
void deal_old_rep_works(struct rep *rep, struct deal *deal);
/* What the new rep does: other values, this text, for some that the old one gave, and a line. */
void deal_new_rep_works(struct rep *rep, const struct deal *deal, const char *text);

#endif
