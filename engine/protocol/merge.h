/* SPDX-License-Identifier: Apache-2.0
 *
 * Merging one field or group of fields: pure functions, the heart of the decision. A policy that
 * cannot merge a concurrent change yet says so (MERGE_REFUSED) and is never silently treated as
 * another.
 */
#ifndef DAYBOOK_PROTOCOL_MERGE_H
#define DAYBOOK_PROTOCOL_MERGE_H

#include "engine/protocol/stamp.h"
#include "engine/protocol/value.h"

enum merge_result {
    MERGE_SAME,   /* the stored value is what the change wants: nothing to do */
    MERGE_APPLY,  /* no conflict: the change's value applies */
    MERGE_WINS,   /* conflict: the change's value applies, the stored one is the loser */
    MERGE_LOSES,  /* conflict: the stored value stands, the change's is the loser */
    MERGE_REFUSED /* conflict under a policy without a rule for it: REJECTED(POLICY) */
};

struct merge_side {
    struct stamp stamp; /* stored: who wrote the field (or the latest of its group); incoming: time
                           and device of the changeset */
    const struct value *values; /* of the group's fields, in field order */
};

/* `seen`: record version that the change is based on. Conflict: stored.stamp.position > seen,
 * another device, and values differ. */
enum merge_result dk_merge(enum merge_policy policy, const struct merge_side *stored,
                           const struct merge_side *incoming, int count, int64_t seen);

#endif
