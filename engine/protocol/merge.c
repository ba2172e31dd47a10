/* SPDX-License-Identifier: Apache-2.0
 *
 * The merge of one field, group or element. Called by the decider for everything that a change
 * touches. Pure: the result depends on the arguments only. Invariant: a policy without a rule for
 * conflicts refuses them.
 */
#include "engine/protocol/merge.h"

/* See the header. */
bool dk_merge_known(const struct stamp *stored, uint32_t device_no, int64_t seen)
{
    return stored->position <= seen || stored->device_no == device_no;
}

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

/* < 0, 0, > 0 by the stamps of the two sides. */
static int compare_stamps(const struct merge_side *a, const struct merge_side *b)
{
    return dk_stamp_compare(a->stamp.time, a->stamp.device_no, b->stamp.time, b->stamp.device_no);
}

/* > 0 where `a` is the better unit under MIN or MAX, 0 where they are equally good: one with a
 * first value before one without, one of a trusted clock before a doubtful one, then the smaller,
 * or larger, first value. */
static int compare_first(enum merge_policy policy, const struct merge_side *a,
                         const struct merge_side *b)
{
    bool has_a = a->values[0].kind != VALUE_NULL, has_b = b->values[0].kind != VALUE_NULL;
    if (!has_a || !has_b) {
        return has_a - has_b;
    }
    if (a->doubtful != b->doubtful) {
        return a->doubtful ? -1 : 1;
    }
    int64_t x = a->values[0].integer, y = b->values[0].integer;
    int order = x == y ? 0 : x < y ? -1 : 1;
    return policy == POLICY_MIN ? -order : order;
}

/* MIN and MAX are the best of all values ever given, also against somebody who had seen a better
 * one: were it otherwise, a third value could come between the two in one order of arrival and not
 * in another. Equally good ones go by LATEST, so the rest of a group can be mended. */
static enum merge_result merge_first(enum merge_policy policy, const struct merge_side *stored,
                                     const struct merge_side *incoming, bool known)
{
    int order = compare_first(policy, incoming, stored);
    if (order == 0) {
        order = known ? 1 : compare_stamps(incoming, stored);
    }
    if (order < 0) {
        return MERGE_LOSES;
    }
    return known ? MERGE_APPLY : MERGE_WINS;
}

/* See the header. */
bool dk_merge_stands(enum merge_policy policy, const struct merge_side *a,
                     const struct merge_side *b)
{
    bool by_first = policy == POLICY_MIN || policy == POLICY_MAX;
    int order = by_first ? compare_first(policy, a, b) : 0;
    return (order != 0 ? order : compare_stamps(a, b)) > 0;
}

/* PROTOCOL.md, section "Merge", has the rule and an example of each policy. A SERVER value is
 * computed inside the decision, so the decision under way stands. SET and GROW merge element by
 * element. */
enum merge_result dk_merge(enum merge_policy policy, const struct merge_side *stored,
                           const struct merge_side *incoming, int count, int64_t seen)
{
    if (same_values(stored, incoming, count)) {
        return MERGE_SAME;
    }
    bool known = dk_merge_known(&stored->stamp, incoming->stamp.device_no, seen);
    if (policy == POLICY_MIN || policy == POLICY_MAX) {
        return merge_first(policy, stored, incoming, known);
    }
    if (known) {
        return MERGE_APPLY;
    }
    switch (policy) {
    case POLICY_LATEST:
    case POLICY_PROPOSE: /* by somebody who may decide */
        return compare_stamps(incoming, stored) > 0 ? MERGE_WINS : MERGE_LOSES;
    case POLICY_SERVER: return MERGE_APPLY;
    case POLICY_IMMUTABLE:
    case POLICY_MIN:
    case POLICY_MAX:
    case POLICY_SET:
    case POLICY_GROW:
    case POLICY_STATE:
    case POLICY_DERIVED: break;
    }
    return MERGE_REFUSED;
}

/* ---- sets */

/* Drops the additions that the author of a change had seen. */
static void drop_known(struct merge_element *element, uint32_t device_no, int64_t seen)
{
    int left = 0;
    for (int i = 0; i < element->count; i++) {
        if (!dk_merge_known(&element->stamps[i], device_no, seen)) {
            element->stamps[left++] = element->stamps[i];
        }
    }
    element->count = left;
}

/* Puts one more addition behind the others, which are in the order of arrival. */
static void put_addition(struct merge_element *element, const struct stamp *incoming)
{
    if (element->count == MERGE_ADDITIONS_MAX) {
        element->stamps[1].device_no = 0;
        element->count--;
        for (int i = 0; i < element->count; i++) {
            element->stamps[i] = element->stamps[i + 1];
        }
    }
    element->stamps[element->count++] = *incoming;
}

/* An addition to what is not there: it is all that is known of the element now. */
static enum merge_result add_again(struct merge_element *element, const struct stamp *incoming,
                                   bool known)
{
    element->there = true;
    element->count = 1;
    element->stamps[0] = *incoming;
    return known ? MERGE_APPLY : MERGE_WINS;
}

/* See the header. */
enum merge_result dk_merge_unseen(struct merge_element *element, bool add,
                                  const struct stamp *incoming)
{
    if (!element->there) {
        return add ? add_again(element, incoming, element->count == 0) : MERGE_SAME;
    }
    if (add) {
        put_addition(element, incoming);
        return MERGE_SAME;
    }
    if (element->count > 0) {
        return MERGE_LOSES;
    }
    element->there = false;
    element->count = 1;
    element->stamps[0] = *incoming;
    return MERGE_APPLY;
}

/* See the header. An addition stands for those that it had seen: who has seen it has seen them. */
enum merge_result dk_merge_element(struct merge_element *element, bool add,
                                   const struct stamp *incoming, int64_t seen)
{
    if (element->there) {
        drop_known(element, incoming->device_no, seen);
    } else if (add && element->count > 0 &&
               dk_merge_known(&element->stamps[0], incoming->device_no, seen)) {
        return add_again(element, incoming, true);
    }
    return dk_merge_unseen(element, add, incoming);
}
