/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs the table of conversions over changes of an older schema. Called by the server, for
 * changesets as they come and for records when it learns a schema. Invariant: what the author sent
 * stays as it is; what is added is marked, so that the author is told of it behind the marker.
 */
#include "engine/protocol/convert.h"

#include <assert.h>
#include <string.h>

/* The list moves to a longer one; what the author named is left alone. */
bool dk_convert_add(struct change *change, int field, const struct value *value,
                    struct arena *arena)
{
    assert(field >= 0 && field < change->entity->field_count);
    if (dk_change_value(change, field) != NULL || change->value_count >= LIMIT_FIELDS) {
        return true;
    }
    size_t count = (size_t)change->value_count;
    struct field_value *values = dk_arena_new(arena, (count + 1) * sizeof *values);
    if (values == NULL) {
        return false;
    }
    if (count > 0) {
        memcpy(values, change->values, count * sizeof *values);
    }
    values[count] = (struct field_value){.field = field, .value = *value};
    change->values = values;
    change->value_count++;
    change->added |= (uint64_t)1 << field;
    return true;
}

/* Row by row, so that a later step finds what an earlier one has added. */
bool dk_convert_change(struct change *change, int schema, struct arena *arena)
{
    if (change->op != BLOCK_NEW && change->op != BLOCK_SET) {
        return true;
    }
    for (const struct conversion *row = dk_conversions; row->schema != 0; row++) {
        if (row->schema > schema && row->entity == change->entity->kind &&
            !row->convert(change, arena)) {
            return false;
        }
    }
    return true;
}

bool dk_convert(struct changeset *changeset, struct arena *arena)
{
    for (int i = 0; changeset->schema < SCHEMA_VERSION && i < changeset->change_count; i++) {
        if (!dk_convert_change(&changeset->changes[i], changeset->schema, arena)) {
            return false;
        }
    }
    return true;
}
