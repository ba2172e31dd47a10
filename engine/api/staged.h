/* SPDX-License-Identifier: Apache-2.0
 *
 * A transaction as it is staged in memory, shared by transaction.c (begin, commit, end), stage.c
 * (which records), record.c (setters), collection.c (sets and the custom map), getter.c and
 * record_json.c.
 *
 * Invariants:
 *  1. A record that the transaction writes is in `table` and in the list once; dropped ones are in
 * neither.
 *  2. values[slots[f] - 1] is the staged value of field f; slots[f] 0: none is staged. A staged SET
 * or MAP is the whole value that the record shall have.
 *  3. All texts are in the arena. Nothing else is allocated per record or value.
 */
#ifndef DAYBOOK_API_STAGED_H
#define DAYBOOK_API_STAGED_H

#include "engine/api/engine.h"
#include "engine/base/arena.h"

#define TRANSACTION_BYTES_MAX ((size_t)96 * 1024 * 1024) /* of its arena */
#define COMMITS_ITEMS_MAX 10000

enum stage_kind {
    STAGE_NEW,     /* a record that is made */
    STAGE_SET,     /* single fields of one that exists */
    STAGE_REPLACE, /* all fields of one that exists: those not set become empty */
    STAGE_DELETE,
    STAGE_DROPPED, /* nothing any more: made and deleted again, or gone with its document */
    STAGE_READ     /* only shown by daybook_read */
};

/* A change of a set or map that goes up again, whatever the store shows by now. */
struct said {
    int field;
    struct value change;
    struct said *next;
};

struct daybook_record {
    struct daybook_transaction *transaction;
    const struct entity *entity;
    struct id id;
    enum stage_kind kind;
    int hint;                  /* where dk_entity_field looks first */
    int64_t seen;              /* version named: -1 for a blind write */
    const struct record *base; /* as the store showed it; NULL for STAGE_NEW, or while unread */
    bool unread;               /* STAGE_SET: the store has not been asked for `base` yet */
    int value_count, value_capacity;
    struct field_value *values;
    const char **texts;                     /* by field, NUL-terminated, as far as asked for */
    struct daybook_record *next, *previous; /* in the order of staging */
    bool has_collections;
    struct said *said; /* the last first */
    uint8_t slots[LIMIT_FIELDS];
    char id_text[DAYBOOK_ID_SIZE];
};

struct daybook_transaction {
    struct daybook *engine;
    struct arena arena;
    uint64_t epoch; /* of the server's log when it began */
    bool ended;     /* committed */
    int count;      /* records in the list */
    struct daybook_record *first, *last;
    struct daybook_record *
        *table; /* by (entity, id), open addressing; entries of dropped records stay */
    size_t table_size, table_used; /* size: a power of two */
    int64_t *items;                /* inbox items that the commit takes away; in the arena */
    int item_count;
    daybook_error error; /* of the last call that failed */
};

/* ---- transaction.c */

/* Notes a failure with its place and returns the status. */
daybook_status dk_stage_fail(struct daybook_transaction *transaction, daybook_status status,
                             const struct entity *entity, const char *field, const char *rule,
                             const char *text);
/* After an arena gave NULL: TOO_LARGE where its bound was met, NO_MEMORY else. The arena is usable
 * again. */
daybook_status dk_stage_no_memory(struct daybook_transaction *transaction);
/* MISUSE, noted, where the transaction has been committed or its engine is closed. */
daybook_status dk_stage_check_open(struct daybook_transaction *transaction);

/* ---- stage.c */

/* The staged record of this id, or NULL. */
struct daybook_record *dk_stage_find(struct daybook_transaction *transaction,
                                     const struct entity *entity, const struct id *id);
/* Adds an empty record. TOO_LARGE, NO_MEMORY. */
daybook_status dk_stage_add(struct daybook_transaction *transaction, const struct entity *entity,
                            const struct id *id, enum stage_kind kind,
                            struct daybook_record **record);
/* A record that is in no list, for STAGE_READ. */
struct daybook_record *dk_stage_new_record(struct daybook_transaction *transaction,
                                           const struct entity *entity, const struct id *id);
/* Takes the record out: nothing of it is committed. */
void dk_stage_drop(struct daybook_record *record);
/* Drops what is staged for the lines of this document: they go with it. */
daybook_status dk_stage_drop_children(struct daybook_transaction *transaction,
                                      const struct entity *entity, const struct id *id);
/* The store's view of a record in the arena, or *base NULL. */
daybook_status dk_stage_load(struct daybook_transaction *transaction, const struct entity *entity,
                             const struct id *id, const struct record **base);
/* Fails because the store has no such record: NOT_FOUND, or READONLY for what was only fetched. */
daybook_status dk_stage_missing(struct daybook_transaction *transaction,
                                const struct entity *entity, const struct id *id);
/* Reads the base of a patch that has done without it until now; fails where there is none. A plain
 * patch never needs it, and so costs no read before the commit's. */
daybook_status dk_stage_need_base(struct daybook_record *record);

/* ---- record.c */

/* The place of a field's staged value, made where there is none. NULL: no memory. */
struct value *dk_stage_slot(struct daybook_record *record, int field);
/* The staged value, or NULL. */
const struct value *dk_stage_value(const struct daybook_record *record, int field);
/* What the field is as this transaction sees it: staged, else the base's, which must have been
 * read; NULL value where neither.
 */
struct value dk_stage_effective(const struct daybook_record *record, int field);
/* Looks up and checks that a device may write it now. */
daybook_status dk_stage_field(struct daybook_record *record, const char *name, int *field);
/* Checks a value, copies its text and stages it. */
daybook_status dk_stage_set(struct daybook_record *record, int field, const struct value *value);
/* Notes why a value was refused and returns the status of daybook.h for it. */
daybook_status dk_stage_refused(struct daybook_record *record, const struct refusal *refusal);
/* Empties the field. */
daybook_status dk_stage_set_null(struct daybook_record *record, int field);

/* ---- collection.c */

/* Stages the set or map that is the present one changed by `change` (wire form). */
daybook_status dk_stage_apply(struct daybook_record *record, int field, const struct value *change);
/* Stages a whole set or map given as JSON. */
daybook_status dk_stage_whole(struct daybook_record *record, int field, const char *json,
                              size_t length);
/* Stages one key of the custom map; `json` is a strict scalar. */
daybook_status dk_stage_key(struct daybook_record *record, int field, const char *key,
                            size_t key_length, const char *json, size_t json_length);

/* ---- commit.c */

/* The record as a change for the store, in the arena; *empty where it changes nothing. */
daybook_status dk_stage_to_change(struct daybook_record *record, struct change *change,
                                  bool *empty);

#endif
