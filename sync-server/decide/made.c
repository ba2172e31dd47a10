/* SPDX-License-Identifier: Apache-2.0
 *
 * When a changeset was made, and up to where its author knew the log. First of all in a decision;
 * the steps read what is set here. Invariant: no clock and no number that a device sends makes a
 * changeset be refused, or a value later than the server's present.
 */
#include "sync-server/decide/work.h"

/* When the changeset was made: counted back by the steady clock where it was made on the boot that
 * now sends it, else its stamp. */
static void set_true_time(struct decision *decision)
{
    const struct changeset *changeset = &decision->input->changeset;
    const struct decide_author *author = decision->author;
    bool same_boot = author->boot != 0 && changeset->boot == author->boot;
    decision->true_ms = dk_hlc_ms(decision->time);
    decision->true_suspect = decision->clamped;
    if (same_boot) {
        decision->true_suspect = !dk_true_time(author->received_ms, author->steady_ms,
                                               changeset->steady_ms, &decision->true_ms);
    }
}

/* Up to where the author's positions mean what they mean here: all of this epoch's; those of an
 * earlier one up to its end; none of an epoch that is not in this store's past. */
static daybook_status set_seen_max(struct decision *decision)
{
    uint64_t epoch = decision->input->changeset.epoch;
    decision->seen_max = epoch == decision->decide->epoch ? decision->org->head : 0;
    if (epoch == decision->decide->epoch || epoch == 0) {
        return DAYBOOK_OK;
    }
    return srv_store_epoch_end(decision->store, decision->org->org, epoch, &decision->seen_max);
}

/* See the header. */
daybook_status srv_decide_made(struct decision *decision)
{
    const struct decide_author *author = decision->author;
    int64_t received_ms = author->received_ms == 0 ? decision->now_ms : author->received_ms;
    decision->time = dk_hlc_clamp(decision->input->changeset.time, received_ms, &decision->clamped);
    set_true_time(decision);
    return set_seen_max(decision);
}
