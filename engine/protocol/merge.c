/* SPDX-License-Identifier: Apache-2.0
 *
 * The merge of one field or group. Called by the decider for every field that a change touches.
 * Pure: the result depends on the arguments only. Invariant: a policy without a rule for conflicts
 * refuses them.
 */
#include "engine/protocol/merge.h"

/* True where all `count` values are the same on both sides. */
static bool same_values(const struct merge_side *a, const struct merge_side *b, int count)
{
    for (int i = 0; i < count; i++) {
        if (!dk_value_equal(&a->values[i], &b->values[i])) {
            return false;
        }
    }
    return true;
}

/* PROTOCOL.md, section "Merge", has the rule and an example of each policy. A SERVER value is
 * computed inside the decision, so the decision under way stands. GROW is a union that the caller
 * has made, so it cannot lose anything. */
enum merge_result dk_merge(enum merge_policy policy, const struct merge_side *stored,
                           const struct merge_side *incoming, int count, int64_t seen)
{
    if (same_values(stored, incoming, count)) {
        return MERGE_SAME;
    }
    if (stored->stamp.position <= seen || stored->stamp.device_no == incoming->stamp.device_no) {
        return MERGE_APPLY;
    }
    switch (policy) {
    case POLICY_LATEST:
        return dk_stamp_compare(incoming->stamp.time, incoming->stamp.device_no, stored->stamp.time,
                                stored->stamp.device_no) > 0
                   ? MERGE_WINS
                   : MERGE_LOSES;
    case POLICY_GROW:
    case POLICY_SERVER: return MERGE_APPLY;
    case POLICY_IMMUTABLE:
    case POLICY_PROPOSE:
    case POLICY_MIN:
    case POLICY_MAX:
    case POLICY_SET:
    case POLICY_STATE:
    case POLICY_DERIVED: break;
    }
    return MERGE_REFUSED;
}
