/* SPDX-License-Identifier: Apache-2.0
 *
 * The local transaction under way, shared by write.c and write_delete.c.
 */
#ifndef DAYBOOK_STORE_WRITE_H
#define DAYBOOK_STORE_WRITE_H

#include "engine/store/inside.h"

struct write {
    struct store *store;
    struct sales_actor actor;
    struct sales_reader reader;
    unsigned roles;             /* of the user, as the state machines know them */
    uint64_t epoch;             /* when the transaction began */
    struct changeset changeset; /* changes: in the store's arena, as they go up */
    int capacity;
    struct touched touched;
    struct touched parents; /* documents that got a line */
    bool cascaded;          /* a document took its lines with it */
    struct touched stepped; /* documents whose content stands from this transaction on */
    /* the document that a line was written for last, and how it stood; NULL: none yet */
    const struct entity *looked_at;
    struct id looked_id;
    bool looked_frozen;
    struct store_failure *failure;
};

/* ---- write.c */

/* Notes why and for which record the commit fails; returns the status. */
daybook_status dk_write_fail(struct write *write, const struct change *change,
                             daybook_status status, enum reject_code code, const char *field,
                             const char *rule);
/* Appends a copy of a change to the changeset; pointers to earlier ones may dangle. */
daybook_status dk_write_add_change(struct write *write, const struct change *change,
                                   struct change **added);
/* Loads the record that a change is about and settles what version it has seen. */
daybook_status dk_write_load_seen(struct write *write, struct change *change,
                                  struct holding *holding);
/* Of a version that is seen in this record: lowered to what the present epoch has, where it is of
 * a former one. */
daybook_status dk_write_present_seen(struct write *write, const struct holding *holding,
                                     int64_t *seen);
/* Adds this changeset to what is pending for the record. */
void dk_write_extend(struct write *write, const struct change *change, struct holding *holding);
/* Remembers what must be derived when all rows are written. */
daybook_status dk_write_touch(struct write *write, const struct change *change,
                              const struct record *before, const struct record *record);

/* Puts a changed record: its base values aside, its pending row, its changed columns. */
daybook_status dk_write_put(struct write *write, const struct change *change,
                            struct holding *holding, const struct record *record);

/* ---- write_frozen.c */

/* Refuses to change content that stands: of the record, or of the document that it is a line of.
 * `before` is the record as it was, or the one that is being made; `changed`: which fields. */
daybook_status dk_write_check_frozen(struct write *write, const struct change *change,
                                     const struct record *before, uint64_t changed);
/* Remembers a document that the change made stand. `from` is the state before. */
daybook_status dk_write_note_step(struct write *write, const struct change *change, int from,
                                  const struct record *record);
/* Adds to the changes that send documents how those look here, and behind those that make others
 * stand what was seen of their lines. */
daybook_status dk_write_copies(struct write *write);

/* ---- write_delete.c */

/* The change of a record that this transaction has already written, or NULL. */
struct change *dk_write_find(struct write *write, const struct entity *entity, const struct id *id);
/* A delete that the app asked for, or that follows from one of the document. *seen is what goes up.
 */
daybook_status dk_write_delete(struct write *write, struct change *change, int64_t *seen);

#endif
