/* SPDX-License-Identifier: Apache-2.0
 *
 * What both ends do with the fields that they have kept for a newer schema, when they learn it.
 */
#ifndef DAYBOOK_PROTOCOL_ADOPT_H
#define DAYBOOK_PROTOCOL_ADOPT_H

#include "engine/protocol/value.h"

/* Moves the members of record->extra whose names the schema knows now into record->values; the
 * others stay as they are. *moved: the fields that extra had a member for. A value of another type
 * than its field, which no engine writes, becomes NULL; and so does that of a DERIVED field, which
 * is computed, and, with `sent`, that of a SERVER one: what the record has was sent by devices.
 * False: extra is no object, or arena->failed. */
bool dk_adopt_extra(struct record *record, bool sent, struct arena *arena, uint64_t *moved);
/* True where a field is never sent by devices. */
bool dk_adopt_is_ours(const struct field *field);

#endif
