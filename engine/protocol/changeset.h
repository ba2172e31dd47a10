/* SPDX-License-Identifier: Apache-2.0
 *
 * A changeset: all changes of one local transaction, as it stands in the outbox, on the wire and
 * before the decision. Encoded once at the commit, never altered:
 *
 *   {"id":"…","seq":7,"epoch":"…","hlc":"…","boot":"…","steady":"…","schema":1,"changes":[blocks]}
 */
#ifndef DAYBOOK_PROTOCOL_CHANGESET_H
#define DAYBOOK_PROTOCOL_CHANGESET_H

#include "engine/protocol/block.h"
#include "engine/protocol/stamp.h"

struct change {
    enum block_op op; /* NEW, SET, DELETE */
    const struct entity *entity;
    struct id id;
    int64_t seen; /* record version that it is based on; 0 for a record that the server has not
                     decided */
    int value_count;
    struct field_value *values; /* SET and MAP fields: a change, see value.h */
    uint64_t added; /* fields that the author did not give: dk_convert_add did */
};

/* True where a change changes nothing: it says what its author had seen of the record, and brings
 * back nothing that is deleted. */
static inline bool dk_change_is_sight(const struct change *change)
{
    return change->op == BLOCK_SET && change->value_count == 0;
}

struct changeset {
    struct id id;
    int64_t seq;
    uint64_t epoch; /* of the versions in `seen`; 0: none known yet */
    hlc time;
    uint64_t boot;     /* boot id of the device when it was made */
    int64_t steady_ms; /* steady clock when it was made */
    int schema;        /* SCHEMA_VERSION of the engine that made it */
    int change_count;
    struct change *changes; /* in order; one per record */
};

/* The value that a change gives a field; NULL: it says nothing of it. */
const struct value *dk_change_value(const struct change *change, int field);

void dk_changeset_encode(struct buffer *out, const struct changeset *changeset);
/* Decodes into the arena; text is borrowed from `bytes`, which are written to. True: *changeset is
 * whole. False: *problem says what is damaged (not JSON, missing member, bad row), or, where
 * problem is NULL, `refusal` and the changeset's header members are set: it can be answered with a
 * verdict (unknown entity or field, value that does not fit, DERIVED field, a record twice, too
 * much); *refused is the change that it is about. SERVER fields and entities pass: only the decider
 * knows whether the author may write them. In op SET, SET and MAP values are always changes. */
bool dk_changeset_decode(char *bytes, size_t length, struct arena *arena,
                         struct changeset *changeset, struct refusal *refusal,
                         struct change *refused, const char **problem);
/* The device's own text back. It was checked when it was made, with values of a newer schema in it
 * where a change carried its group: only types count, and nothing is refused. False: damage, or
 * memory (arena->failed). */
bool dk_changeset_read(char *bytes, size_t length, struct arena *arena,
                       struct changeset *changeset);
/* Only the header members and the number of rows are read; `bytes` stay as they are. For what
 * dk_changeset_encode wrote: it refuses a member's name with an escape, which decoding takes. */
bool dk_changeset_peek(const char *bytes, size_t length, struct changeset *header);

#endif
