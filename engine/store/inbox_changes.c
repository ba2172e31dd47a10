/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what is taken out of the inbox to be mended: the changes of a rejected changeset and of
 * those that hang from it, as one transaction. Called by the API. Invariant: one change per record,
 * which does what the single ones did one after the other; of a set or map it says
 * something more than once where one change has no room for all.
 */
#include "engine/store/inside.h"

#include <string.h>

struct collected {
    struct store *store;
    struct arena *arena;
    struct change *changes;
    int count, capacity;
};

/* ---- two changes as one */

/* The last of the change's values of this field, or NULL. */
static struct field_value *find_value(struct change *change, const struct field_value *like)
{
    for (int i = change->value_count - 1; i >= 0; i--) {
        struct field_value *value = &change->values[i];
        if (value->field == like->field && like->field >= 0) {
            return value;
        }
    }
    return NULL;
}

/* Puts a later value over an earlier one of the same field. `whole`: the earlier change makes the
 * record, so its sets and maps are whole. False without a failed arena: one has no room for both.
 */
static bool join_value(const struct field *field, bool whole, struct field_value *earlier,
                       const struct field_value *later, struct arena *arena)
{
    struct value joined = later->value;
    bool steps = earlier->value.kind == VALUE_TEXT && later->value.kind == VALUE_TEXT;
    bool fine = true;
    if (field->type == FIELD_SET && (whole || steps)) {
        fine = (whole ? dk_set_apply : dk_set_join)(&earlier->value, &later->value, arena, &joined);
    } else if (field->type == FIELD_MAP && (whole || steps)) {
        fine = (whole ? dk_map_apply : dk_map_join)(&earlier->value, &later->value, arena, &joined);
    }
    if (fine) {
        earlier->value = joined;
    }
    return fine;
}

/* Adds a value of a later change. What one change of a set or map cannot say stays beside it, as a
 * second one. False: no memory, or a new record's set or map would be too large. */
static bool add_later(struct change *earlier, const struct field_value *later, struct arena *arena)
{
    bool whole = earlier->op == BLOCK_NEW;
    struct field_value *place = find_value(earlier, later);
    if (place == NULL && whole && later->field >= 0) {
        place = &earlier->values[earlier->value_count++];
        *place = (struct field_value){.field = later->field};
    }
    bool fine = place != NULL &&
                join_value(&earlier->entity->fields[later->field], whole, place, later, arena);
    if (!fine && !arena->failed && (place == NULL || !whole)) {
        earlier->values[earlier->value_count++] = *later;
        fine = true;
    }
    return fine;
}

/* The later change of the same record on top of the earlier one. */
static bool join(struct change *earlier, const struct change *later, struct arena *arena)
{
    if (later->op == BLOCK_DELETE) {
        earlier->op =
            earlier->op == BLOCK_NEW ? BLOCK_EVICT : BLOCK_DELETE; /* made and deleted: nothing */
        earlier->value_count = 0;
        return true;
    }
    if (earlier->op == BLOCK_DELETE) {
        earlier->op = later->op; /* it was there again */
    }
    int capacity = earlier->value_count + later->value_count;
    struct field_value *values = dk_arena_new(arena, (size_t)capacity * sizeof *values);
    if (values == NULL) {
        return false;
    }
    if (earlier->value_count > 0) {
        memcpy(values, earlier->values, (size_t)earlier->value_count * sizeof *values);
    }
    earlier->values = values;
    for (int i = 0; i < later->value_count; i++) {
        if (!add_later(earlier, &later->values[i], arena)) {
            return false;
        }
    }
    return true;
}

/* ---- collecting */

/* The change of the same record that was collected before, or NULL. */
static struct change *find_change(struct collected *collected, const struct change *like)
{
    for (int i = 0; i < collected->count; i++) {
        struct change *change = &collected->changes[i];
        if (change->entity == like->entity && dk_id_compare(&change->id, &like->id) == 0) {
            return change;
        }
    }
    return NULL;
}

/* `first` changesets cannot meet records of their own twice, so only later ones are looked up. */
static daybook_status add_change(struct collected *collected, const struct change *change,
                                 bool first)
{
    struct change *earlier = first ? NULL : find_change(collected, change);
    if (earlier != NULL) {
        bool fine = join(earlier, change, collected->arena);
        return fine ? DAYBOOK_OK : collected->arena->failed ? DAYBOOK_NO_MEMORY : DAYBOOK_TOO_LARGE;
    }
    struct change *grown = dk_arena_grow(collected->arena, collected->changes, collected->count,
                                         &collected->capacity, sizeof *grown);
    if (grown == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    collected->changes = grown;
    collected->changes[collected->count++] = *change;
    return DAYBOOK_OK;
}

/* The changes of one body, which is copied into the arena; what only says what was seen is written
 * anew. What was seen of a log that has ended counts as far as the present one has it. */
static daybook_status add_body(struct collected *collected, const char *body, size_t length,
                               bool first)
{
    struct changeset changeset;
    char *copy = dk_arena_copy(collected->arena, body, length);
    if (copy == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    if (!dk_changeset_read(copy, length, collected->arena, &changeset)) {
        return collected->arena->failed ? DAYBOOK_NO_MEMORY : DAYBOOK_CORRUPT;
    }
    daybook_status status = DAYBOOK_OK;
    for (int i = 0; i < changeset.change_count && status == DAYBOOK_OK; i++) {
        struct change *change = &changeset.changes[i];
        if (change->op != BLOCK_SET || change->value_count > 0) {
            status = dk_stale_seen(collected->store, changeset.epoch, &change->seen);
            status = status == DAYBOOK_OK ? add_change(collected, change, first) : status;
        }
    }
    return status;
}

/* Head and chain, in the order in which they were rejected. Their numbers are noted from the last
 * to the first, so that a head goes after what hangs from it. */
static daybook_status add_bodies(struct collected *collected, int64_t item, int64_t **items,
                                 int *bodies)
{
    struct store *store = collected->store;
    daybook_status status;
    bool row;
    struct statement *chain = dk_statement(&store->database, &store->slots.inbox_chain,
                                           "SELECT body,item,count(*) OVER () FROM inbox_item"
                                           " WHERE (item=?1 AND root IS NULL OR root=?1)"
                                           " AND kind='rejected' ORDER BY root IS NOT NULL,item",
                                           &status);
    *bodies = 0;
    if (chain == NULL) {
        return status;
    }
    dk_bind_int(chain, 1, item);
    while ((status = dk_step(chain, &row)) == DAYBOOK_OK && row) {
        size_t length;
        const char *body = dk_column_text(chain, 0, &length);
        int64_t count = dk_column_int(chain, 2);
        if (*bodies == 0) {
            *items = dk_arena_new(collected->arena, (size_t)count * sizeof **items);
        }
        status = *items == NULL ? DAYBOOK_NO_MEMORY
                 : body == NULL ? DAYBOOK_CORRUPT
                                : add_body(collected, body, length, *bodies == 0);
        if (status == DAYBOOK_OK) {
            (*bodies)++;
            (*items)[count - *bodies] = dk_column_int(chain, 1);
        }
        if (status != DAYBOOK_OK) {
            dk_reset(chain);
            return status;
        }
    }
    return status;
}

/* Records that were made and deleted again within the chain are left out. */
static void drop_nothing(struct collected *collected)
{
    int kept = 0;
    for (int i = 0; i < collected->count; i++) {
        if (collected->changes[i].op != BLOCK_EVICT) {
            collected->changes[kept++] = collected->changes[i];
        }
    }
    collected->count = kept;
}

/* What lost, as one change; see dk_inbox_lost_change. */
static daybook_status lost_changes(struct store *store, int64_t item, struct arena *arena,
                                   struct change **changes, int *count, int64_t **items,
                                   int *item_count)
{
    *changes = dk_arena_new(arena, sizeof **changes);
    if (*changes == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    *count = 1;
    (void)pthread_mutex_lock(&store->lock);
    daybook_status status = dk_inbox_lost_change(store, item, arena, *changes, items, item_count);
    (void)pthread_mutex_unlock(&store->lock);
    return status;
}

/* Only items of what was rejected or lost hold changes: NOT_FOUND for all others. */
daybook_status dk_store_inbox_changes(struct store *store, int64_t item, struct arena *arena,
                                      struct change **changes, int *count, int64_t **items,
                                      int *item_count)
{
    struct collected collected = {.store = store, .arena = arena};
    int bodies;
    (void)pthread_mutex_lock(&store->lock);
    daybook_status status = add_bodies(&collected, item, items, &bodies);
    (void)pthread_mutex_unlock(&store->lock);
    if (status == DAYBOOK_OK && bodies == 0) {
        return lost_changes(store, item, arena, changes, count, items, item_count);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    drop_nothing(&collected);
    *item_count = bodies;
    *changes = collected.changes;
    *count = collected.count;
    return DAYBOOK_OK;
}
