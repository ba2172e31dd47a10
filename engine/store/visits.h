/* SPDX-License-Identifier: Apache-2.0
 *
 * Visits that count, as this device reckons; see visits.c. Called by write.c when a visit is made,
 * and when a transaction that touched visits ends.
 */
#ifndef DAYBOOK_STORE_VISITS_H
#define DAYBOOK_STORE_VISITS_H

#include "engine/store/inside.h"

/* The first check-in; 0: none. */
int64_t dk_visits_time(const struct record *visit);

/* A check-in: visits from there on may be judged by what is new there. */
struct visit_time {
    int64_t time_ms;
    struct id visit; /* that is there then; zero: there was one */
};

/* Notes that what others are judged by has changed of a visit, or that it has come or goes. `is`:
 * it is as the record says; false: it was. */
daybook_status dk_visits_note(struct store *store, struct touched *touched,
                              const struct record *visit, bool is);
/* The same by the time of its check-in, 0 where it has none; visit NULL: there was one. */
daybook_status dk_visits_note_time(struct store *store, struct touched *touched, int64_t time_ms,
                                   const struct id *visit);
/* The fields of a visit that others are judged by. */
uint64_t dk_visits_judge(void);
/* Reckons anew which of the visits that have changes pending count: of those touched, and what is
 * judged by them; NULL: of all. */
daybook_status dk_visits_reckon(struct store *store, struct touched *visits);

#endif
