/* SPDX-License-Identifier: Apache-2.0
 *
 * The state register of one STATE field: its value as a pure function of the set of operations, so
 * that neither the order of their arrival nor repeats matter.
 *
 * The operations lie in epochs. An upward operation names the epoch that its author saw and a rank;
 * an epoch's peak is its highest rank. A downward one (reopen, resume) opens the next epoch and
 * names the peak that its author saw. An epoch above the first is valid if the one below is and one
 * of its openers saw that one's peak as it is now: so a resume that was made without knowing of
 * "won" is void. The upward operations of void epochs count in the last valid one, so that a win is
 * never lost. The state is the peak of the last valid epoch.
 */
#ifndef DAYBOOK_PROTOCOL_STATE_H
#define DAYBOOK_PROTOCOL_STATE_H

#include <stdbool.h>
#include <stdint.h>

#define STATE_OPS_MAX 255    /* kept of one register */
#define STATE_EPOCH_MAX 1000 /* a register is reopened no more often */
#define STATE_RANK_MAX 62

struct state_op {
    int64_t position;   /* of the log entry that brought it; > 0 */
    uint32_t device_no; /* whose it is; 0: a rule's of the server */
    uint16_t epoch;
    uint8_t rank;
    int8_t peak; /* openers: the peak of the epoch below that the author saw; -1: upward */
};

/* What a set of operations amounts to. */
struct state_view {
    int epoch; /* the last valid one */
    int rank;  /* its peak: the state; -1: there are no operations */
};

/* The value of all operations, in any order, with or without repeats. */
struct state_view dk_state_value(const struct state_op *ops, int count);
/* What the author of a change saw: operations at or below `seen`, those of its own instance, and
 * the first of all, without which there would be no record. */
struct state_view dk_state_seen(const struct state_op *ops, int count, int64_t seen,
                                uint32_t device_no);
/* The operation that leads from what the author saw to `rank`. */
struct state_op dk_state_step(struct state_view seen, int rank, bool downward, int64_t position,
                              uint32_t device_no);
/* Adds an operation and drops those that can never again make a difference to any view. Returns the
 * new count; -1: the register is full, and `ops` (room for STATE_OPS_MAX + 1) is as it was. */
int dk_state_add(struct state_op *ops, int count, const struct state_op *op);

#endif
