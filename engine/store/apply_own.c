/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns settling: a changeset of this device takes effect on the base, as it was sent, at its place
 * in the log. Called by apply for markers, and for acceptances whose place has been passed.
 * Invariant: base values change here in log order only, so nothing older can overwrite an own
 * value; what the server decided otherwise follows in rows of the same position.
 */
#include "engine/store/visits.h"

#include <string.h>

/* ---- changesets that only made records which nobody has touched since: no need to decode */

/* Fields of the server that commit filled in by itself: the server's own values follow, or there
 * are none. What follows from the changeset's header stays. */
static uint64_t provisional_fields(const struct store *store, const struct entity *entity)
{
    uint64_t common = (uint64_t)1 << FIELD_CREATED_TS | (uint64_t)1 << FIELD_CREATED_BY |
                      (uint64_t)1 << FIELD_CREATED_DEV;
    return store->facts[entity->kind].server & ~common;
}

/* Takes a record away that is as the changeset left it, because it is out of scope by now. Its
 * document adds up anew. */
static daybook_status drop_made(struct apply *apply, const struct entity *entity,
                                const struct id *id, int64_t seq, bool *done)
{
    struct store *store = apply->store;
    struct stored stored;
    bool found;
    dk_arena_reset(&store->work);
    daybook_status status = dk_records_load(store, entity, id, &store->work, &stored, &found);
    *done = status == DAYBOOK_OK && found && stored.version == dk_version_made(seq);
    if (*done) {
        status = dk_touch_record(store, &apply->touched, &stored.record);
    }
    return *done && status == DAYBOOK_OK ? dk_records_remove(store, entity, id) : status;
}

/* A record that was settled by its row alone: a visit is judged as before, but for whether it
 * counts, and others by that alone. */
static daybook_status touch_made(struct apply *apply, const struct entity *entity,
                                 const struct id *id)
{
    struct store *store = apply->store;
    if (entity->kind != ENTITY_VISIT) {
        return dk_touch(store, &apply->touched, entity, id);
    }
    return store->sums.old_counted
               ? dk_visits_note_time(store, &apply->touched, store->sums.old_time_ms, id)
               : DAYBOOK_OK;
}

/* Settles one record by its row alone; *done false where it is not as the changeset left it. */
static daybook_status settle_made(struct apply *apply, const struct entity *entity,
                                  const struct id *id, int64_t seq, int64_t position,
                                  int64_t bucket, bool *done)
{
    struct store *store = apply->store;
    struct record nothing;
    uint64_t columns = provisional_fields(store, entity) | COLUMN_BUCKET;
    if (bucket == 0) {
        store->changed |= dk_store_bit((int)entity->kind);
        return drop_made(apply, entity, id, seq, done);
    }
    dk_records_empty(&nothing, entity, id);
    store->changed |= dk_store_bit((int)entity->kind);
    daybook_status status =
        dk_records_update_made(store, &nothing, columns, position, bucket, seq, done);
    if (status == DAYBOOK_OK && *done) {
        struct sum_key key = {entity->name, strlen(entity->name), id};
        dk_sums_move(store, &key, 0, 0, position, bucket);
        status = touch_made(apply, entity, id);
    }
    return status;
}

/* ---- one change */

/* The record that a creation makes, as it was sent, with what follows from the changeset's header.
 */
static daybook_status base_of_new(struct store *store, const struct changeset *changeset,
                                  const struct change *change, struct base *base)
{
    const struct store_state *state = &store->memory.state;
    struct record *record = &base->record;
    dk_records_empty(record, change->entity, &change->id);
    record->values[FIELD_CREATED_TS] =
        (struct value){.kind = VALUE_INT, .integer = dk_hlc_ms(changeset->time)};
    if (!dk_id_is_zero(&state->user)) {
        record->values[FIELD_CREATED_BY] = (struct value){.kind = VALUE_ID, .id = state->user};
    }
    record->values[FIELD_CREATED_DEV] =
        (struct value){.kind = VALUE_INT, .integer = (int64_t)state->device_no};
    base->state = BASE_HELD;
    daybook_status status = dk_records_replay(record, change, &store->work);
    int author = dk_sales_author_field(change->entity);
    if (author >= 0 && record->values[author].kind == VALUE_NULL) {
        record->values[author] = record->values[FIELD_CREATED_BY];
    }
    return status;
}

/* Moves the base to what it is after this change at this position. */
static daybook_status move_base(struct store *store, const struct changeset *changeset,
                                const struct change *change, int64_t position, int64_t bucket,
                                struct base *base)
{
    daybook_status status = DAYBOOK_OK;
    bool stale = base->state != BASE_ABSENT && base->bucket < 0;
    if (base->state != BASE_ABSENT && (stale || base->version >= position)) {
        return DAYBOOK_OK; /* a whole row says more, or will */
    }
    switch (change->op) {
    case BLOCK_NEW:
        if (bucket == 0) {
            return DAYBOOK_OK; /* out of scope by now; in scope, a whole row has come, or will */
        }
        status = base_of_new(store, changeset, change, base);
        base->bucket = bucket;
        break;
    case BLOCK_SET:
        if (base->state == BASE_ABSENT ||
            (base->state != BASE_HELD && (bucket == 0 || dk_change_is_sight(change)))) {
            return DAYBOOK_OK; /* out of scope; what it revives comes whole, where it is in scope */
        }
        base->state = BASE_HELD;
        base->bucket = bucket > 0 ? bucket : base->bucket; /* what is revived may come to another */
        status = dk_records_replay(&base->record, change, &store->work);
        break;
    default:
        base->state = BASE_ABSENT;
        base->bucket = 0;
        break;
    }
    base->version = position;
    return status;
}

/* The usual update: nothing else is pending, and the row shows exactly what was sent. */
static bool shows_change(const struct holding *holding, const struct change *change, int64_t seq,
                         int64_t position)
{
    uint64_t sent = dk_records_mask(change->values, change->value_count);
    return change->op == BLOCK_SET && holding->has_row && !holding->is_implied &&
           holding->first == seq && holding->last == seq && holding->base_state == BASE_HELD &&
           holding->base_bucket >= 0 && holding->base_version < position &&
           (holding->touched & ~sent) == 0;
}

/* Lets one change take effect on the base. One that is not pending any more is behind us. */
static daybook_status settle_change(struct apply *apply, const struct changeset *changeset,
                                    const struct change *change, int64_t seq, int64_t position,
                                    int64_t bucket)
{
    struct store *store = apply->store;
    struct holding holding;
    struct base base;
    dk_arena_reset(&store->work);
    daybook_status status =
        dk_pending_load(store, change->entity, &change->id, &store->work, &holding);
    if (status != DAYBOOK_OK || !holding.is_pending) {
        return status;
    }
    store->changed |= dk_store_bit((int)change->entity->kind);
    if (shows_change(&holding, change, seq, position)) {
        dk_sums_base(store, &holding, position, holding.base_bucket);
        status = dk_pending_remove(store, &holding);
        return status == DAYBOOK_OK ? dk_records_update(store, &holding.row.record, COLUMN_BUCKET,
                                                        position, holding.base_bucket)
                                    : status;
    }
    status = dk_pending_base(&holding, &store->work, &base);
    if (status == DAYBOOK_OK) {
        status = move_base(store, changeset, change, position, bucket, &base);
    }
    return status == DAYBOOK_OK ? dk_pending_rebuild(store, &holding, &base, &apply->touched)
                                : status;
}

/* ---- one changeset */

/* The long way: every change of the decoded changeset, one by one. */
static daybook_status settle_decoded(struct apply *apply, int64_t seq, int64_t position,
                                     int64_t bucket)
{
    struct store *store = apply->store;
    struct decoded *decoded;
    daybook_status status = dk_outbox_pin(store, seq, &decoded);
    if (status != DAYBOOK_OK) {
        return status;
    }
    for (int i = 0; i < decoded->changeset.change_count && status == DAYBOOK_OK; i++) {
        status = settle_change(apply, &decoded->changeset, &decoded->changeset.changes[i], seq,
                               position, bucket);
    }
    dk_outbox_unpin(decoded);
    return status;
}

/* By the list of what it made. Records that were changed since go the long way, one by one: *all
 * false. */
static daybook_status settle_list(struct apply *apply, const struct value *made, int64_t seq,
                                  int64_t position, int64_t bucket, bool *all)
{
    struct store *store = apply->store;
    const struct entity *entity;
    struct id id;
    size_t cursor = 0;
    daybook_status status = DAYBOOK_OK;
    *all = true;
    while (status == DAYBOOK_OK && dk_outbox_next_made(store, made, &cursor, &entity, &id)) {
        bool done = false;
        if (entity == NULL) {
            return DAYBOOK_CORRUPT;
        }
        status = settle_made(apply, entity, &id, seq, position, bucket, &done);
        *all = *all && done;
    }
    return status;
}

/* The changeset leaves the pending ones first, so that rebuilt overlays no longer have it. Records
 * that settle_list has done are not pending any more when the long way comes to them. With bucket 0
 * the records that it made are not in the base afterwards: they are out of scope, or whole rows
 * bring them. */
daybook_status dk_apply_settle(struct apply *apply, const struct outbox_row *outbox,
                               int64_t position, int64_t bucket)
{
    struct store *store = apply->store;
    struct decoded *decoded = NULL;
    struct value made;
    bool all = false;
    bool covered = position <= apply->reply->safe_position;
    daybook_status status = dk_outbox_texts(store, outbox->seq, &store->arena, &made, NULL);
    if (status == DAYBOOK_OK && outbox->only_makes) {
        status = settle_list(apply, &made, outbox->seq, position, bucket, &all);
    }
    if (status == DAYBOOK_OK && !all) {
        status = dk_outbox_pin(store, outbox->seq, &decoded);
    }
    if (status == DAYBOOK_OK) {
        status =
            covered ? dk_outbox_remove(store, outbox->seq, outbox->verdict)
                    : dk_outbox_note(store, outbox->seq, outbox->verdict, OUTBOX_SETTLED, position);
    }
    if (status == DAYBOOK_OK && !all) {
        status = settle_decoded(apply, outbox->seq, position, bucket);
    }
    if (decoded != NULL) {
        dk_outbox_unpin(decoded);
    }
    store->changed |= STORE_CHANGED_SYNC;
    return status;
}

/* ---- changesets whose records a snapshot has not brought yet */

/* Whether a change is to a record that is stale or not there, while buckets are loading: a page may
 * bring it with the change in it, and until then only the overlay shows it. Behind one that waits
 * so, what came later to the same record waits too: else the older one would show on top of it. */
static daybook_status waits_for_pages(struct store *store, const struct outbox_row *outbox,
                                      bool *waits)
{
    struct decoded *decoded;
    *waits = false;
    if (outbox->only_makes) {
        return DAYBOOK_OK;
    }
    daybook_status status = dk_outbox_pin(store, outbox->seq, &decoded);
    if (status != DAYBOOK_OK) {
        return status;
    }
    for (int i = 0; i < decoded->changeset.change_count && status == DAYBOOK_OK && !*waits; i++) {
        const struct change *change = &decoded->changeset.changes[i];
        struct holding holding;
        if (change->op == BLOCK_NEW) {
            continue;
        }
        dk_arena_reset(&store->work);
        status = dk_pending_load(store, change->entity, &change->id, &store->work, &holding);
        bool follows = holding.is_pending && holding.first < outbox->seq;
        *waits = status == DAYBOOK_OK &&
                 (follows || holding.base_state == BASE_ABSENT || holding.base_bucket < 0);
    }
    dk_outbox_unpin(decoded);
    return status;
}

/* Lets one change take effect on the base, where that is here, and leaves it in the overlay. */
static daybook_status place_change(struct apply *apply, const struct decoded *decoded,
                                   const struct change *change, int64_t position, int64_t bucket)
{
    struct store *store = apply->store;
    struct holding holding;
    struct base base;
    dk_arena_reset(&store->work);
    daybook_status status =
        dk_pending_load(store, change->entity, &change->id, &store->work, &holding);
    if (status != DAYBOOK_OK || !holding.is_pending) {
        return status;
    }
    store->changed |= dk_store_bit((int)change->entity->kind);
    status = dk_pending_base(&holding, &store->work, &base);
    if (status == DAYBOOK_OK) {
        status = move_base(store, &decoded->changeset, change, position, bucket, &base);
    }
    return status == DAYBOOK_OK ? dk_pending_rebuild(store, &holding, &base, &apply->touched)
                                : status;
}

/* Lets a changeset take effect on what is here of the base, at its place, and keeps it: it is
 * settled when the snapshot is complete. */
static daybook_status place(struct apply *apply, const struct outbox_row *outbox, int64_t position,
                            int64_t bucket)
{
    struct store *store = apply->store;
    struct decoded *decoded;
    daybook_status status = dk_outbox_pin(store, outbox->seq, &decoded);
    if (status != DAYBOOK_OK) {
        return status;
    }
    for (int i = 0; i < decoded->changeset.change_count && status == DAYBOOK_OK; i++) {
        status = place_change(apply, decoded, &decoded->changeset.changes[i], position, bucket);
    }
    dk_outbox_unpin(decoded);
    if (status == DAYBOOK_OK && outbox->verdict != OUTBOX_MERGED) {
        status = dk_outbox_note(store, outbox->seq, outbox->verdict, OUTBOX_ACCEPTED, position);
    }
    store->changed |= STORE_CHANGED_SYNC;
    return status;
}

/* ---- markers */

/* The changeset that a marker is about, by number, or by id where the store numbers anew. *copy: it
 * is of another file. */
static daybook_status find_own(struct store *store, const struct row *row,
                               struct outbox_row *outbox, bool *found, bool *copy)
{
    *copy = false;
    daybook_status status = dk_outbox_find(store, row->seq, outbox, found);
    if (status != DAYBOOK_OK || (*found && dk_id_compare(&outbox->id, &row->id) == 0)) {
        return status;
    }
    bool taken = *found;
    status = dk_outbox_find_id(store, &row->id, outbox, found);
    *copy = !*found && (taken || row->seq >= store->memory.state.next_seq);
    return status;
}

daybook_status dk_apply_own(struct apply *apply, const struct row *row)
{
    struct outbox_row outbox;
    bool found, copy;
    if (row->seq < 1) {
        return dk_apply_bad(apply, "a marker without a number");
    }
    daybook_status status = find_own(apply->store, row, &outbox, &found, &copy);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (copy) {
        apply->applied->copy_detected = true;
        return DAYBOOK_DIVERGED;
    }
    apply->own_position = row->number;
    if (!found || outbox.verdict == OUTBOX_SETTLED) {
        return DAYBOOK_OK; /* settled before */
    }
    bool placed = outbox.verdict == OUTBOX_ACCEPTED || outbox.verdict == OUTBOX_MERGED;
    if (placed && outbox.position != row->number) {
        return dk_apply_bad(apply, "a marker stands elsewhere than its verdict said");
    }
    bool waits = false;
    if (apply->store->memory.state.loading > 0) {
        status = waits_for_pages(apply->store, &outbox, &waits);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    return waits ? place(apply, &outbox, row->number, row->bucket)
                 : dk_apply_settle(apply, &outbox, row->number, row->bucket);
}
