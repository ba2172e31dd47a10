/* SPDX-License-Identifier: Apache-2.0
 *
 * The state register (state.h says what it means). Called by the decider for each change of a STATE
 * field. Pure: results depend on the set of operations only. Invariant: dropping what dk_state_add
 * drops changes no later result, neither of the whole set nor of what any author saw.
 */
#include "engine/protocol/state.h"

#include <assert.h>
#include <string.h>

/* Which operations a view is made of. */
struct choice {
    bool all;
    int64_t seen, first; /* positions */
    uint32_t device_no;
};

/* True where the operation belongs to the view. */
static bool is_chosen(const struct state_op *op, const struct choice *choice)
{
    return choice->all || op->position <= choice->seen || op->position == choice->first ||
           op->device_no == choice->device_no;
}

/* The peak of an epoch; -1: it has no operation. */
static int peak_of(const struct state_op *ops, int count, const struct choice *choice, int epoch)
{
    int peak = -1;
    for (int i = 0; i < count; i++) {
        if (ops[i].epoch == epoch && ops[i].rank > peak && is_chosen(&ops[i], choice)) {
            peak = ops[i].rank;
        }
    }
    return peak;
}

/* True where somebody opened the epoch above `epoch` having seen its peak. */
static bool is_reopened(const struct state_op *ops, int count, const struct choice *choice,
                        int epoch, int peak)
{
    for (int i = 0; i < count; i++) {
        if (ops[i].epoch == epoch + 1 && ops[i].peak == peak && is_chosen(&ops[i], choice)) {
            return true;
        }
    }
    return false;
}

/* Climbs from the first epoch as far as epochs are valid, then adds what upward operations of void
 * ones say. */
static struct state_view view(const struct state_op *ops, int count, const struct choice *choice)
{
    struct state_view result = {0, peak_of(ops, count, choice, 0)};
    while (result.rank >= 0 && is_reopened(ops, count, choice, result.epoch, result.rank)) {
        result.epoch++;
        result.rank = peak_of(ops, count, choice, result.epoch);
    }
    for (int i = 0; i < count; i++) {
        if (ops[i].epoch > result.epoch && ops[i].peak < 0 && ops[i].rank > result.rank &&
            is_chosen(&ops[i], choice)) {
            result.rank = ops[i].rank;
        }
    }
    return result;
}

/* See the header. */
struct state_view dk_state_value(const struct state_op *ops, int count)
{
    return view(ops, count, &(struct choice){.all = true});
}

/* See the header. */
struct state_view dk_state_seen(const struct state_op *ops, int count, int64_t seen,
                                uint32_t device_no)
{
    struct choice choice = {.seen = seen, .first = INT64_MAX, .device_no = device_no};
    for (int i = 0; i < count; i++) {
        choice.first = ops[i].position < choice.first ? ops[i].position : choice.first;
    }
    return view(ops, count, &choice);
}

/* See the header. */
struct state_op dk_state_step(struct state_view seen, int rank, bool downward, int64_t position,
                              uint32_t device_no)
{
    assert(seen.rank >= 0 && rank >= 0 && rank <= STATE_RANK_MAX);
    return (struct state_op){.position = position,
                             .device_no = device_no,
                             .epoch = (uint16_t)(seen.epoch + (downward ? 1 : 0)),
                             .rank = (uint8_t)rank,
                             .peak = (int8_t)(downward ? seen.rank : -1)};
}

/* True where `b` says at least what `a` says, whatever else there is: it reaches as high in the
 * same epoch, and opens it for the same peak or, where `a` opens nothing, is no opener either (a
 * void opener counts nowhere). */
static bool covers(const struct state_op *b, const struct state_op *a)
{
    return b->epoch == a->epoch && b->rank >= a->rank && b->peak == a->peak;
}

/* True where an operation can be dropped: every view that has it by position also has one that
 * covers it, and so has every view of its own instance. The first of all stays, since every view
 * has it. */
static bool is_idle(const struct state_op *ops, int count, int at)
{
    bool by_position = false;
    bool by_device = false;
    bool first = true;
    for (int i = 0; i < count; i++) {
        if (i == at) {
            continue;
        }
        first = first && ops[i].position > ops[at].position;
        if (!covers(&ops[i], &ops[at])) {
            continue;
        }
        /* Of two twins the one that stands earlier in the array stays. */
        bool twin = covers(&ops[at], &ops[i]) && ops[i].position == ops[at].position &&
                    ops[i].device_no == ops[at].device_no;
        if (twin && i > at) {
            continue;
        }
        by_position = by_position || ops[i].position <= ops[at].position;
        by_device = by_device || ops[i].device_no == ops[at].device_no;
    }
    return by_position && by_device && !first;
}

/* See the header. */
int dk_state_add(struct state_op *ops, int count, const struct state_op *op)
{
    if (op->epoch > STATE_EPOCH_MAX) {
        return -1;
    }
    ops[count++] = *op;
    for (int i = count - 1; i >= 0; i--) {
        if (is_idle(ops, count, i)) {
            memmove(&ops[i], &ops[i + 1], (size_t)(count - 1 - i) * sizeof *ops);
            count--;
        }
    }
    return count <= STATE_OPS_MAX ? count : -1;
}
