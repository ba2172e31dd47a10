/* SPDX-License-Identifier: Apache-2.0
 *
 * A naive model of a store, and the definition of the overlay: the server's state at the device's
 * position, with the changesets on top that are neither rejected nor passed by the position. It
 * shares no code with the store.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_OVERLAY_MODEL_H
#define DAYBOOK_TESTS_SUPPORT_OVERLAY_MODEL_H

#include "tests/support/desk.h"

enum { CUSTOMERS = 5, QUOTES = 2, LINES = 4, RECORDS = CUSTOMERS + QUOTES + LINES };
enum { SCALARS = 4, KEYS = 3, ELEMENTS = 4, POSITIONS = 400, CHANGES = 4, SETS = 200 };
enum { ABSENT, LIVE, DELETED };

/* A record's values: 0 is "no value". set: bits of elements; map: values of keys. */
struct values {
    int scalar[SCALARS];
    int map[KEYS];
    unsigned set;
};

struct state {
    int life;
    bool seen; /* in the device's scope */
    int64_t version;
    struct values values;
};

struct model_change {
    int record;
    enum block_op op;
    int64_t seen;
    unsigned scalars; /* fields sent */
    int key;          /* -1: none */
    bool set;         /* `add` and `remove` are sent */
    unsigned add, remove;
    struct values values;
};

struct model_set {
    int64_t position;                  /* 0: not accepted */
    bool rejected, quarantined, heard; /* heard: the device has its final verdict */
    int depends; /* seq of the rejected changeset that it builds on; 0: none */
    int count;
    struct model_change changes[CHANGES];
};

struct entry_row {
    int record;
    enum block_op op;
    unsigned scalars;
    bool map, set;
    struct values values;
};

struct entry {
    int64_t seq; /* own; 0: somebody else's */
    int count;
    struct entry_row rows[RECORDS];
};

struct model {
    struct desk desk;
    struct id ids[RECORDS];
    struct state server[RECORDS];
    struct state history[POSITIONS][RECORDS];
    struct entry log[POSITIONS];
    struct model_set sets[SETS]; /* by seq */
    int64_t seq, decided, head, position;
    uint64_t seed;
};

int overlay_draw(struct model *model, int count); /* 0 … count - 1 */
bool overlay_chance(struct model *model, int percent);

/* ---- records and their fields */
int overlay_entity_of(int record);
int overlay_parent_of(int record);        /* the document of a line, or -1 */
const int *overlay_fields_of(int record); /* of the scalars; -1: the entity has none here */
int overlay_tags_of(int record);          /* the SET field, or -1 */
/* The scalars with all that merge with them as one: bits. */
unsigned overlay_group_of(int record, unsigned scalars);
/* Adds a scalar to the desk's change or row. */
void overlay_put_scalar(struct model *model, int record, int scalar, int value);
/* What every new record needs beside its own fields. */
void overlay_put_fixed(struct model *model, int record);
/* ["a","c"] of the bits, or NULL. */
const char *overlay_set_text(unsigned bits, char text[40]);
/* {"x":3} of the keys that have a value, or NULL; with_null: keys without one as null. */
const char *overlay_map_text(const int map[KEYS], bool with_null, char text[60]);

/* ---- what must be seen */
/* What a change does to a record; one that is not there stays so. */
void overlay_apply(const struct model_change *change, struct state *state);
bool overlay_is_pending(const struct model *model, int64_t seq);
/* The record as it must be seen; *pending: something is on top. */
struct state overlay_expected(const struct model *model, int record, bool *pending);
/* Fails the test where the store shows anything else, or breaks its own invariants. */
void overlay_compare(struct model *model);

#endif
