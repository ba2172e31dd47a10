/* SPDX-License-Identifier: Apache-2.0
 *
 * Merging one field, one group of fields or one element of a set: pure functions, the heart of the
 * decision. What stands after some changes is the same in whatever order they arrived, given what
 * each of their authors had seen. A policy without a rule says so (MERGE_REFUSED) and is never
 * silently treated as another.
 */
#ifndef DAYBOOK_PROTOCOL_MERGE_H
#define DAYBOOK_PROTOCOL_MERGE_H

#include "engine/protocol/stamp.h"
#include "engine/protocol/value.h"

enum merge_result {
    MERGE_SAME,   /* the stored value is what the change wants: nothing to do */
    MERGE_APPLY,  /* no conflict: the change's value applies */
    MERGE_WINS,   /* conflict: the change's value applies, the stored one is the loser */
    MERGE_LOSES,  /* the stored value stands, the change's is the loser */
    MERGE_REFUSED /* conflict under a policy without a rule for it: REJECTED(POLICY) */
};

struct merge_side {
    struct stamp stamp; /* stored: who wrote the field (or the latest of its group); incoming: time
                           and device of the changeset */
    const struct value *values; /* of the group's fields, in field order */
    bool doubtful;              /* MIN, MAX: the clock that gave the first value is not trusted */
};

/* True where the author of a change had seen what is stored, or wrote it. */
bool dk_merge_known(const struct stamp *stored, uint32_t device_no, int64_t seen);

/* `seen`: record version that the change is based on. Conflict: the stored value is not known, and
 * values differ. MIN and MAX go by the first value also without a conflict. */
enum merge_result dk_merge(enum merge_policy policy, const struct merge_side *stored,
                           const struct merge_side *incoming, int count, int64_t seen);

/* True where `a` stands and `b` loses when two records become one: neither author had seen what the
 * other had given. MIN and MAX go by the first value, then, like all others, by the stamps. */
bool dk_merge_stands(enum merge_policy policy, const struct merge_side *a,
                     const struct merge_side *b);

#define MERGE_ADDITIONS_MAX 8 /* of one element, by devices that had not seen each other's */

/* One element of a SET. It is there as long as some addition was seen by no removal. */
struct merge_element {
    bool there;
    int count;
    /* there: the additions that no removal has seen; else who removed it last (0 or 1) */
    struct stamp stamps[MERGE_ADDITIONS_MAX];
};

/* Adds or removes the element. APPLY, WINS: it is there, or gone, by this; WINS: an addition undoes
 * a removal that its author had not seen. LOSES: a removal meets an addition that its author had
 * not seen, stamps[0]. SAME: it was so already. Where there are too many additions, two become one
 * of device_no 0, which nobody has: to remove the element one must have seen the later. */
enum merge_result dk_merge_element(struct merge_element *element, bool add,
                                   const struct stamp *incoming, int64_t seen);
/* The same for an author who had seen none of what is there, not even if it is the device's own. */
enum merge_result dk_merge_unseen(struct merge_element *element, bool add,
                                  const struct stamp *incoming);

#endif
