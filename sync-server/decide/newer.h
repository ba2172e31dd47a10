/* SPDX-License-Identifier: Apache-2.0
 *
 * Fields of newer schemas, and what is made of them when the schema is known. Internal to decide/;
 * the last part of work.h, with the same conventions.
 */
#ifndef DAYBOOK_SERVER_DECIDE_NEWER_H
#define DAYBOOK_SERVER_DECIDE_NEWER_H

#include "engine/protocol/block.h"
#include "sync-server/store/store.h"

struct decision;
struct work;

/* ---- extra.c: a JSON object {name: value} kept as text */
/* The raw value of a name; VALUE_NULL where there is none. */
struct value srv_extra_get(const struct value *extra, const char *name, size_t length);
/* Puts a raw value, or takes the name away for VALUE_NULL. False: arena. */
bool srv_extra_put(struct value *extra, const char *name, size_t length, const struct value *raw,
                   struct arena *arena);
int srv_extra_count(const struct value *extra);
/* The next field of a newer schema that another instance than the author's has written, or taken
 * away, above a position: as it stands, as raw JSON, "null" where it is gone. *cursor begins at
 * 0. */
bool srv_extra_next_unseen(const struct decision *decision, const struct work *work, int64_t seen,
                           int *cursor, struct field_value *value);
/* Puts a raw value back, or takes the name away for VALUE_NULL, with the stamp of this decision. */
bool srv_extra_put_back(struct decision *decision, struct work *work, const char *name,
                        size_t length, const struct value *raw);

/* ---- given.c */
/* Where the changeset converts records: what was given for their fields before these were known is
 * judged by the fields' policies. */
bool srv_decide_given(struct decision *decision);

/* ---- merge_state.c */
/* The register out of the steps that were given before the field was known, by position: those that
 * the machine had for what their authors saw. What comes to nothing is noted. */
bool srv_merge_given_states(struct decision *decision, struct work *work, int field,
                            const struct srv_given *rows, int count);

/* ---- proposal.c */
/* Whose proposal it is. */
struct proposer {
    const struct id *changeset; /* the proposal's id follows from it */
    const struct id *user;      /* zero: not known */
    const struct stamp *stamp;
};
/* Makes a proposal for a field whose value is `base`. NULL: the decision has failed. */
struct work *srv_make_proposal(struct decision *decision, struct work *work, int field,
                               const struct proposer *proposer, const struct value *base,
                               const struct value *proposed);

#endif
