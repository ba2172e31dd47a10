/* SPDX-License-Identifier: Apache-2.0
 *
 * The book of all that a laboratory's people have entered: each value has a number of its own, so
 * that it is found again wherever it went. In the end every value must be in its record, in the
 * conflict log or in an inbox, or have been replaced by somebody who had seen it.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_LEDGER_H
#define DAYBOOK_TESTS_SUPPORT_LEDGER_H

#include "tests/support/lab.h"

#define LEDGER_FEATURES 14 /* of one entity */
#define LEDGER_ENTRIES 40000
#define LEDGER_STAGED 128
#define LEDGER_WIRE_SIZE 24

/* What a feature of an entity is, and how its values carry their number n. */
enum feature_kind {
    FEATURE_NONE,
    FEATURE_TEXT,    /* "t<n>~…" */
    FEATURE_AMOUNT,  /* amount and cur */
    FEATURE_PRICE,   /* price_e4, disc_bp, list_ver, promo_id */
    FEATURE_QTY,     /* qty, uom */
    FEATURE_ADDRESS, /* four texts "a<n>~" with this prefix */
    FEATURE_KEY,     /* a key of custom */
    /* Those below carry no number. */
    FEATURE_INT,
    FEATURE_DAY,
    FEATURE_WORD, /* a short text, or none */
    FEATURE_CHOICE,
    FEATURE_STATE,   /* a state machine's; words: in which a new record may be */
    FEATURE_PLACE,   /* lat_e7 and lon_e7 */
    FEATURE_SIGN,    /* expected_sign and win_override_bp */
    FEATURE_CHECKIN, /* a group under MIN */
    FEATURE_REF,     /* another record */
    FEATURE_SET      /* elements "e<n>~" */
};

struct feature {
    enum feature_kind kind;
    const char *field; /* the first of a group; of FEATURE_KEY the key */
    const char *words; /* CHOICE: with spaces between; REF: the entity */
    int bound;         /* of numbers; TEXT: 1 where the customer's number is in it */
    int since;         /* the first schema that has it */
};

struct kind { /* an entity that devices write */
    const char *name;
    const char *parent; /* the document of a line, or what it always names; NULL: none */
    const char *parent_field;
    int since; /* as a feature's */
    struct feature features[LEDGER_FEATURES];
};

/* Ends with a NULL name. Customers come first; parents come before their children. */
extern const struct kind ledger_kinds[];
#define LEDGER_KINDS 10    /* that people make */
#define LEDGER_PROPOSAL 10 /* what the server makes, and people write a note to */
#define LEDGER_HOLD 11
const struct kind *ledger_kind(const char *name);
/* The feature that is a kind's state; NULL: it has none. */
const struct feature *ledger_state(int kind);
/* The feature that a field, or "custom.<key>", belongs to; -1: none. */
int ledger_feature(const struct kind *kind, const char *field);

struct entry {
    int number; /* 0: a value taken away */
    int kind, feature;
    char id[DAYBOOK_ID_SIZE];
    char before[DAYBOOK_ID_SIZE]; /* in the end: the id of a record that has become `id` */
    int device;                   /* -1: the server */
    int shown;                    /* the number that its author saw in this place; 0: none */
    bool blind;
    bool discarded; /* by a person, out of the inbox or a set */
    bool lost;      /* it went with its file, or never left its transaction */
    int64_t order;  /* of commits */
};

/* A delete, with what its author saw. */
struct removal {
    char id[DAYBOOK_ID_SIZE];
    char wire[LEDGER_WIRE_SIZE];
    int kind;
    int device;
    int schema; /* what is newer goes with the record unseen */
    bool blind;
    int64_t order;
    int shown[LEDGER_FEATURES];
};

/* A document brought from one state to another. */
struct step {
    int kind;
    char id[DAYBOOK_ID_SIZE], before[DAYBOOK_ID_SIZE]; /* as an entry's */
    char wire[LEDGER_WIRE_SIZE];                       /* the id as changesets have it */
    char from[20], to[20];
    int device;
    bool blind, lost;
    int64_t order;
};

/* Texts one after the other; a row of a table is a line. */
struct ledger_text {
    char *text;
    size_t length, capacity;
};

struct ledger {
    struct lab *lab;
    int last_number;
    int64_t order;
    struct entry *entries;
    int count;
    struct entry staged[LEDGER_STAGED];
    int staged_count;
    struct removal *removals;
    int removal_count;
    struct removal staged_removals[LEDGER_STAGED];
    int staged_removal_count;
    int staged_takings[LEDGER_STAGED];
    int staged_taking_count;
    struct step *steps;
    int step_count;
    struct step staged_steps[LEDGER_STAGED];
    int staged_step_count;
    int origins[LAB_DEVICES];       /* 1 + the device whose file this one's is a copy of; 0: none */
    int64_t cloned_at[LAB_DEVICES]; /* the order then */
    int64_t restored_at;            /* the order when the server was restored last */
    struct ledger_text log; /* what the conflict log and the proposals had before the log was cut */
};

void ledger_open(struct ledger *ledger, struct lab *lab);
void ledger_close(struct ledger *ledger);
/* The device is a copy of the other's file from now on: what that one has entered is its own, too.
 */
void ledger_clone(struct ledger *ledger, int from, int to);
/* Whether what a device entered at this order is the later device's own. */
bool ledger_is_own(const struct ledger *ledger, int later_device, int device, int64_t order);
/* A value is about to be written; the entry is the caller's to fill in further. */
struct entry *ledger_stage(struct ledger *ledger, int kind, const char *id, int feature,
                           int device);
/* The same for a value that is there already. */
struct entry *ledger_stage_number(struct ledger *ledger, int kind, const char *id, int feature,
                                  int device, int number);
/* The element of this number is about to be taken out of its set; a step to be taken. */
void ledger_stage_taking(struct ledger *ledger, int number);
void ledger_stage_step(struct ledger *ledger, const struct step *step);
struct removal *ledger_stage_removal(struct ledger *ledger, int kind, const char *id, int device);
/* What was staged was written, or not. */
void ledger_commit(struct ledger *ledger);
void ledger_drop(struct ledger *ledger);
/* The values in the text of an inbox item were committed again by this device, or thrown away by a
 * person. */
void ledger_again(struct ledger *ledger, const char *text, int device);
void ledger_discard(struct ledger *ledger, const char *text);
/* What the device wrote in these commits went with its file. */
void ledger_lose(struct ledger *ledger, int device, int64_t from, int64_t to);
/* The number in a value of this feature as text; 0: none. */
int ledger_number(const struct feature *feature, const char *text);
/* For ledger*.c only: whether two values were of one field of one record; whether a text has the
 * value. */
bool ledger_same_place(const struct entry *a, const struct entry *b);
bool ledger_has_number(const struct entry *entry, const char *text);
/* Keeps what the conflict log says: tombstones, and what is about them, are about to be cut. */
void ledger_keep(struct ledger *ledger);
/* Accounts for every value. */
void ledger_check(struct ledger *ledger);
/* No group of fields is mixed of two, in the file of a device or of the server. */
void ledger_check_groups(struct ledger *ledger, const char *path);

#endif
