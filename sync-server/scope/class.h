/* SPDX-License-Identifier: Apache-2.0
 *
 * How far back a document lies, by one rule for everybody: what is open, or was touched lately, or
 * is among the last of its customer, is open; what has been closed for some weeks is recent; the
 * rest is archive. The class is part of the bucket; what hangs from a document is in the same.
 */
#ifndef DAYBOOK_SERVER_CLASS_H
#define DAYBOOK_SERVER_CLASS_H

#include "sync-server/store/store.h"

#define CLASS_DAY_MS INT64_C(86400000)
#define CLASS_OPEN_DAYS 30 /* usual numbers of the rule */
#define CLASS_RECENT_DAYS 90
#define CLASS_LAST 3

/* The numbers of the rule; settings of the server. */
struct class_rule {
    int64_t open_days;   /* a closed document stays open so long after it was touched last */
    int64_t recent_days; /* and recent up to so long; not less than open_days */
    int64_t last;        /* visits and orders that stay open of each customer */
};

/* Whether records of this entity have a class of their own: documents. */
bool srv_class_applies(const struct entity *entity);
/* Whether the last few of each customer stay open. */
bool srv_class_keeps_last(const struct entity *entity);
/* When anybody wrote to the record last, by its stamps. */
int64_t srv_class_touched_ms(const struct srv_record *row);
/* The class of a document that was touched at this time. A closed one that is not open by its age
 * is still open where it is one of the last; the caller finds out. */
enum srv_class srv_class_of(const struct class_rule *rule, const struct record *record,
                            int64_t touched_ms, int64_t now_ms);

#endif
