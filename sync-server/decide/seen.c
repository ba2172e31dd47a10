/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a changeset was decided before, by (instance, seq) and by id. First step of the decision.
 * Invariant: one changeset has one effect, whatever was lost, repeated or sent again under a new
 * instance.
 */
#include "sync-server/decide/work.h"

#include <string.h>

/* The stored verdict, answered again under this seq. One whose text was dropped, because another
 * instance had acknowledged it, says what still is known: whether it was applied. */
static bool repeat_verdict(struct decision *decision, const struct srv_decision *before)
{
    struct verdict *verdict = decision->verdict;
    struct json_reader json;
    memset(verdict, 0, sizeof *verdict);
    if (before->verdict != NULL) {
        char *text = dk_arena_copy(decision->arena, before->verdict, before->verdict_length);
        if (text == NULL) {
            return srv_decision_out_of_memory(decision);
        }
        dk_json_open(&json, text, before->verdict_length);
        if (dk_verdict_read(&json, verdict) != 1) {
            return srv_decision_fail(decision, DAYBOOK_CORRUPT);
        }
    } else if (before->position > 0) {
        verdict->kind = VERDICT_ACCEPTED;
        verdict->position = before->position;
    } else {
        (void)srv_decision_reject(decision, REJECT_RULE, NULL, NULL, NULL, "decided_before");
    }
    verdict->seq = decision->input->changeset.seq;
    verdict->duplicate = true;
    return true;
}

/* An id that was decided before: the same changeset, or another one that claims its id. */
static bool same_content(const struct decision *decision, const struct srv_decision *before)
{
    return memcmp(before->digest, decision->input->digest, HASH_SIZE) == 0;
}

/* See the header. */
daybook_status srv_decide_seen(struct decision *decision, enum seen *seen,
                               struct srv_decision *before)
{
    const struct changeset *changeset = &decision->input->changeset;
    bool found;
    if (changeset->seq > decision->author->decided + 1) {
        *seen = SEEN_GAP;
        return DAYBOOK_OK;
    }
    daybook_status status = srv_store_find_decision(
        decision->store, decision->org->org, &changeset->id, decision->arena, before, &found);
    if (status != DAYBOOK_OK) {
        return status;
    }
    bool repeat = changeset->seq <= decision->author->decided;
    bool own = found && before->device_no == decision->author->device_no;
    bool same = found && same_content(decision, before);
    /* By another changeset. What others have adopted of this instance is not under its seq. */
    bool taken = own && before->seq != changeset->seq;
    if (repeat && same && !own) {
        status =
            srv_store_has_seq(decision->store, decision->author->device_no, changeset->seq, &taken);
        if (status != DAYBOOK_OK) {
            return status;
        }
    }
    if (found && !own && !same) {
        *seen = SEEN_IMPOSTOR;
        (void)srv_decision_reject(decision, REJECT_EXISTS, NULL, NULL, NULL, "changeset_id");
        return DAYBOOK_OK;
    }
    if (repeat) {
        *seen = same && !taken ? SEEN_REPEAT : SEEN_DIVERGED;
    } else if (own) {
        *seen = SEEN_DIVERGED; /* one instance sends an id under one seq */
    } else {
        *seen = found ? SEEN_RESENT : SEEN_NEW;
    }
    if ((*seen == SEEN_REPEAT || *seen == SEEN_RESENT) && !repeat_verdict(decision, before)) {
        return decision->status;
    }
    return DAYBOOK_OK;
}
