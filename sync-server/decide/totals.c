/* SPDX-License-Identifier: Apache-2.0
 *
 * What every decision moves a little: the organisation's head and the version sums of its buckets.
 * They are kept in memory and stored once per transaction. Called by write.c for each record, by
 * decide.c for each changeset that was applied, and by the decider before a commit. Invariant: what
 * a changeset moves counts when it is applied as a whole, and only then.
 */
#include "sync-server/decide/work.h"

#include "engine/base/memory.h"

#include <string.h>

#define SUMS_FIRST 16

/* Adds to what the changeset does to a bucket's sum. */
static bool move_sum(struct decision *decision, int64_t bucket, uint64_t difference)
{
    struct moved_sum **place = &decision->sums;
    while (*place != NULL && (*place)->sum.bucket != bucket) {
        place = &(*place)->next;
    }
    struct moved_sum *moved = *place;
    if (moved == NULL) {
        moved = dk_arena_new(decision->arena, sizeof *moved);
        if (moved == NULL) {
            return srv_decision_out_of_memory(decision);
        }
        *moved = (struct moved_sum){.sum = {.bucket = bucket}};
    } else {
        *place = moved->next;
    }
    moved->sum.difference = dk_sum_add(moved->sum.difference, difference);
    moved->next = decision->sums;
    decision->sums = moved;
    return true;
}

/* See the header. Tombstones are in no sum. */
bool srv_totals_count(struct decision *decision, const struct work *work)
{
    const struct record *record = &work->row.record;
    const char *name = record->entity->name;
    size_t length = strlen(name);
    if (work->old_version > 0) {
        uint64_t old = dk_sum_version(name, length, &record->id, work->old_version);
        if (!move_sum(decision, work->old_bucket, dk_sum_subtract(0, old))) {
            return false;
        }
    }
    return work->row.deleted ||
           move_sum(decision, work->row.bucket,
                    dk_sum_version(name, length, &record->id, record->version));
}

/* The place of a bucket's sum among the organisation's. NULL: no memory. */
static struct bucket_sum *place_of(struct decide_org *org, int64_t bucket)
{
    for (int i = org->sum_count; i > 0; i--) {
        if (org->sums[i - 1].bucket == bucket) {
            return &org->sums[i - 1];
        }
    }
    if (org->sum_count == org->sum_capacity) {
        int capacity = org->sum_capacity == 0 ? SUMS_FIRST : 2 * org->sum_capacity;
        struct bucket_sum *sums = dk_memory_resize(org->sums, (size_t)capacity * sizeof *org->sums);
        if (sums == NULL) {
            return NULL;
        }
        org->sums = sums;
        org->sum_capacity = capacity;
    }
    org->sums[org->sum_count] = (struct bucket_sum){.bucket = bucket};
    return &org->sums[org->sum_count++];
}

/* See the header. */
daybook_status srv_totals_keep(struct decision *decision)
{
    struct decide_org *org = decision->org;
    for (const struct moved_sum *moved = decision->sums; moved != NULL; moved = moved->next) {
        struct bucket_sum *sum = place_of(org, moved->sum.bucket);
        if (sum == NULL) {
            return DAYBOOK_NO_MEMORY;
        }
        sum->difference = dk_sum_add(sum->difference, moved->sum.difference);
    }
    org->head = decision->position;
    return DAYBOOK_OK;
}

/* See the header. */
daybook_status srv_decide_finish(struct decide *decide, struct decide_org *org)
{
    daybook_status status = DAYBOOK_OK;
    if (org->head != org->stored_head) {
        status = srv_store_set_head(decide->store, org->org, org->head);
    }
    for (int i = 0; i < org->sum_count && status == DAYBOOK_OK; i++) {
        const struct bucket_sum *sum = &org->sums[i];
        status = srv_store_add_sum(decide->store, org->org, sum->bucket, sum->difference);
    }
    org->stored_head = org->head;
    org->sum_count = 0;
    return status;
}
