/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the form in which a change of the app goes up: sets and maps as what they are on the wire,
 * groups whole. Called by commit for each change. Invariant: the change does to the record what the
 * app's did; its values are copied before they are changed, since the array is the app's.
 */
#include "engine/store/inside.h"

#include <string.h>

/* Makes the change's values an array of our own with room for `more`. */
static daybook_status own_values(struct store *store, struct change *change, int more)
{
    int count = change->value_count + more;
    struct field_value *values = dk_arena_new(&store->arena, (size_t)count * sizeof *values);
    if (values == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    if (change->value_count > 0) {
        memcpy(values, change->values, (size_t)change->value_count * sizeof *values);
    }
    change->values = values;
    return DAYBOOK_OK;
}

/* Sets and maps go up whole where the record is new, and as a difference where it changes; the app
 * may have given either. */
daybook_status dk_forms_settle(struct store *store, struct change *change,
                               const struct record *before, const struct record *after)
{
    struct arena *arena = &store->arena;
    uint64_t gathered = store->facts[change->entity->kind].gathered;
    if ((dk_records_mask(change->values, change->value_count) & gathered) == 0) {
        return DAYBOOK_OK;
    }
    daybook_status status = own_values(store, change, 0);
    for (int i = 0; i < change->value_count && status == DAYBOOK_OK; i++) {
        struct field_value *value = &change->values[i];
        if ((gathered >> value->field & 1) == 0) {
            continue;
        }
        bool is_change = value->value.kind == VALUE_TEXT && value->value.length > 0 &&
                         value->value.text[0] == '{';
        bool is_set = change->entity->fields[value->field].type == FIELD_SET;
        if (change->op == BLOCK_NEW) {
            value->value = dk_value_copy(&after->values[value->field], arena);
        } else if (!is_change) {
            const struct value *from = &before->values[value->field];
            const struct value *to = &after->values[value->field];
            bool fine = is_set ? dk_set_difference(from, to, arena, &value->value)
                               : dk_map_difference(from, to, arena, &value->value);
            status = fine ? DAYBOOK_OK : DAYBOOK_TOO_LARGE;
        }
    }
    return arena->failed ? DAYBOOK_NO_MEMORY : status;
}

/* A change to one field of a group carries the group: adds the others as they stand, but for those
 * of the server. */
daybook_status dk_forms_carry_groups(struct store *store, struct change *change,
                                     const struct record *after)
{
    uint64_t sent = dk_records_mask(change->values, change->value_count);
    uint64_t wanted = sent;
    int more = 0;
    for (int i = 0; i < change->value_count; i++) {
        wanted |= dk_field_group_mask(change->entity, change->values[i].field);
    }
    wanted &= sent | ~store->facts[change->entity->kind].server;
    for (int f = 0; f < change->entity->field_count; f++) {
        more += ((wanted & ~sent) >> f & 1) != 0;
    }
    if (more == 0) {
        return DAYBOOK_OK;
    }
    daybook_status status = own_values(store, change, more);
    for (int f = 0; f < change->entity->field_count && status == DAYBOOK_OK; f++) {
        if (((wanted & ~sent) >> f & 1) != 0) {
            struct field_value *value = &change->values[change->value_count++];
            value->field = f;
            value->value = dk_value_copy(&after->values[f], &store->arena);
        }
    }
    return store->arena.failed ? DAYBOOK_NO_MEMORY : status;
}
