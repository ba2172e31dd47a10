/* SPDX-License-Identifier: Apache-2.0
 *
 * What was recorded under an older schema, in the words of this one. The schema only grows: a field
 * that is renamed, split or measured in another unit is a new field beside the old one, which stays
 * for those who know no better. So a conversion only ever adds values. The server converts a
 * changeset before it merges it, and once, when it learns a schema, the records that it has; a
 * device converts nothing, for what it replays is what it sent: it adds only to what it makes.
 */
#ifndef DAYBOOK_PROTOCOL_CONVERT_H
#define DAYBOOK_PROTOCOL_CONVERT_H

#include "engine/protocol/changeset.h"

/* One row of the table: how a change of this entity that is older than `schema` is to be read. */
struct conversion {
    int schema; /* the one that brought the new fields */
    int entity; /* enum entity_kind */
    /* Adds what follows from the values that the change has, op NEW or SET, with dk_convert_add.
     * All fields of a group or none. False: no memory. Pure: the same change gives the same. */
    bool (*convert)(struct change *change, struct arena *arena);
};

/* Ascending by schema; ends with a row of schema 0. */
extern const struct conversion dk_conversions[];

/* Converts the changes of a changeset whose schema is older than this one. False: arena. */
bool dk_convert(struct changeset *changeset, struct arena *arena);
/* Converts one change that is of this schema or older. False: arena. */
bool dk_convert_change(struct change *change, int schema, struct arena *arena);
/* Gives the change a value for a field that it has none for. False: arena. */
bool dk_convert_add(struct change *change, int field, const struct value *value,
                    struct arena *arena);

#endif
