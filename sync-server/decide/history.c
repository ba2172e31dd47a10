/* SPDX-License-Identifier: Apache-2.0
 *
 * The history rule: what was recorded by somebody who saw the record at that time stays valid after
 * a reassignment. Called by the steps that check scope, and only for what is out of the author's
 * present scope, so a changeset in scope reads no history. Invariant: it tells the author nothing
 * but that, and when, a record that they had seen left them: of what has become of it since they
 * have seen nothing, whatever the changeset says.
 */
#include "engine/sales/machines.h"
#include "sync-server/decide/work.h"

#include <string.h>

/* Leaves the author the rights that go with both roles, then and now, or a rep's: facts count for
 * their time, but neither does a promotion reach back, nor a clock set back undo a demotion. */
static void take_common_rights(struct decision *decision, const char *past_role)
{
    decision->roles &= dk_machine_roles(past_role);
    if (decision->roles == 0) {
        decision->roles = dk_machine_roles("rep");
    }
}

/* See the header. The account's present state is also that of then, unless it is younger than the
 * changeset. */
bool srv_decide_author(struct decision *decision)
{
    const struct srv_account *present = &decision->author->account;
    bool found = false;
    decision->account = *present;
    if (decision->true_ms >= present->since_ms || decision->author->is_server) {
        return true;
    }
    struct srv_account past;
    daybook_status status = srv_store_account_at(decision->store, decision->org->org,
                                                 &present->user, decision->true_ms, &past, &found);
    if (status != DAYBOOK_OK) {
        return srv_decision_fail(decision, status);
    }
    if (found) {
        decision->account = past;
        decision->actor.territory = past.territory;
        take_common_rights(decision, past.role);
    }
    return true;
}

/* What the author saw then, read once, and up to which position: the scope of a manager follows
 * from many accounts, anybody else's from their own. */
static bool load_past_scope(struct decision *decision)
{
    const struct id *user = &decision->account.user;
    bool manages = strcmp(decision->account.role, ROLE_MANAGER) == 0, moved;
    if (decision->past_scope != NULL) {
        return true;
    }
    decision->past_scope = dk_arena_new(decision->arena, sizeof *decision->past_scope);
    if (decision->past_scope == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    daybook_status status = srv_scope_rights(decision->store, &decision->account, decision->true_ms,
                                             decision->arena, decision->past_scope);
    if (status == DAYBOOK_OK) {
        status = srv_store_account_moved(decision->store, decision->org->org, manages ? NULL : user,
                                         decision->true_ms, &decision->past_end, &moved);
        decision->past_end = status == DAYBOOK_OK && moved ? decision->past_end : INT64_MAX;
    }
    return status == DAYBOOK_OK || srv_decision_fail(decision, status);
}

/* Tells the author that the record is out of their scope, the first one of the changeset, and since
 * when: it was reassigned, or they were; or, where neither is known, by now. */
static void note_moved(struct decision *decision, struct work *work, int64_t left_ms)
{
    const struct srv_account *present = &decision->author->account;
    const struct record *record = &work->row.record;
    work->past = true;
    if (decision->verdict->moved_ms != 0) {
        return;
    }
    if (left_ms == 0) {
        left_ms = decision->true_ms < present->since_ms ? present->since_ms : decision->now_ms;
    }
    srv_verdict_name(decision->verdict, record->entity, &record->id);
    decision->verdict->moved_ms = left_ms;
}

/* Whether the record can have been there when the changeset was made: what others made later, by
 * more than clocks may differ, its author cannot have seen. */
static bool was_there(const struct decision *decision, const struct work *work)
{
    const struct value *values = work->row.record.values;
    const struct value *by = &values[FIELD_CREATED_BY], *made = &values[FIELD_CREATED_TS];
    bool own = by->kind == VALUE_ID && dk_id_compare(&by->id, &decision->account.user) == 0;
    return own || made->kind != VALUE_INT ||
           made->integer <= decision->true_ms + STAMP_AHEAD_MAX_MS;
}

/* See the header. */
bool srv_decide_saw(struct decision *decision, struct work *work, bool *saw)
{
    struct srv_placement placement = {.bucket = work->old_bucket, .position = INT64_MAX};
    bool found;
    *saw = work->past;
    if (work->past || !work->found || !was_there(decision, work)) {
        return true;
    }
    daybook_status status =
        srv_store_placed_at(decision->store, decision->org->org, &work->row.record.id,
                            decision->true_ms, &placement, &found);
    if (status != DAYBOOK_OK) {
        return srv_decision_fail(decision, status);
    }
    if (!load_past_scope(decision)) {
        return false;
    }
    *saw = srv_scope_has_root(decision->past_scope, placement.bucket);
    if (*saw) {
        int64_t end =
            placement.position < decision->past_end ? placement.position : decision->past_end;
        work->past_seen = end == INT64_MAX ? 0 : end - 1;
        note_moved(decision, work, placement.left_ms);
    }
    return true;
}

/* Whether the change of a work carries whole groups, but for what is the server's. */
static bool carries_groups(struct decision *decision, const struct work *work)
{
    const struct change *change = work->change;
    const struct entity *entity = change->entity;
    uint64_t sent = 0;
    for (int i = 0; i < change->value_count; i++) {
        sent |= change->values[i].field < 0 ? 0 : (uint64_t)1 << change->values[i].field;
    }
    for (int first = 0; first < entity->field_count; first++) {
        uint64_t group = dk_field_group_mask(entity, first);
        for (int field = first; field < entity->field_count; field++) {
            bool wanted = (group >> field & 1) != 0 && (group & sent) != 0 &&
                          entity->fields[field].policy != POLICY_SERVER;
            if (wanted && (sent >> field & 1) == 0) {
                return srv_decision_reject(decision, REJECT_SCHEMA, entity, &change->id,
                                           entity->fields[first].name, "group");
            }
        }
    }
    return true;
}

/* See the header. Devices send whole groups; of a part the answer would tell whether the group is
 * another by now. */
bool srv_decide_change_past(struct decision *decision, struct work *work)
{
    if (!work->past) {
        return true;
    }
    struct change *change = dk_arena_new(decision->arena, sizeof *change);
    if (change == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    *change = *work->change;
    change->seen = change->seen < work->past_seen ? change->seen : work->past_seen;
    work->change = change;
    return change->op != BLOCK_SET || carries_groups(decision, work);
}

/* See the header. */
bool srv_decide_saw_bucket(struct decision *decision, struct work *work, bool *saw)
{
    if (!load_past_scope(decision)) {
        return false;
    }
    *saw = srv_scope_has_root(decision->past_scope, work->row.bucket);
    if (*saw) {
        note_moved(decision, work, 0);
    }
    return true;
}

/* See the header. */
bool srv_decide_keep_placement(struct decision *decision, const struct work *work)
{
    struct srv_placement left = {.bucket = srv_bucket_root(work->old_bucket),
                                 .left_ms = decision->now_ms,
                                 .position = decision->position};
    if (left.bucket == srv_bucket_root(work->row.bucket)) {
        return true;
    }
    daybook_status status =
        srv_store_add_placement(decision->store, decision->org->org, &work->row.record.id, &left);
    return status == DAYBOOK_OK || srv_decision_fail(decision, status);
}
