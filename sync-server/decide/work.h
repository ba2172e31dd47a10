/* SPDX-License-Identifier: Apache-2.0
 *
 * The state of one decision: the records that it concerns, as they stand and as they will be.
 * Internal to decide/.
 *
 * A step returns true to go on. False ends the decision: `status` is not OK (the server failed), or
 * the verdict is set. All memory is the decision's arena.
 */
#ifndef DAYBOOK_SERVER_DECIDE_WORK_H
#define DAYBOOK_SERVER_DECIDE_WORK_H

#include "engine/base/memory.h"
#include "engine/protocol/merge.h"
#include "engine/protocol/sum.h"
#include "engine/sales/sales.h"
#include "sync-server/decide/decide.h"

/* the first part of the keys of stamps of fields of newer schemas */
#define SRV_EXTRA "extra"
/* of a key's stamp, which is what a conflict entry can name */
#define KEY_BYTES_MAX 100
/* records that one decision may concern */
#define DECIDE_WORKS_MAX (5 * LIMIT_CHANGESET_CHANGES)
/* of one changeset's rows in a page. A page never splits them, so they must fit into a reply even
 * where they do not compress. */
#define DECIDE_ENTRY_BYTES_MAX ((size_t)LIMIT_REPLY_BYTES - LIMIT_PAGE_BYTES - 512 * 1024)
/* steps from a record to the root of its bucket */
#define DECIDE_ROOTS_MAX 8
/* fields of newer schemas of one record */
#define DECIDE_EXTRA_BYTES_MAX ((size_t)64 * 1024)
/* of one record: keys of maps and elements of sets, removed ones included; more than can be there
 */
#define DECIDE_KEY_STAMPS_MAX (4 * LIMIT_CUSTOM_KEYS + 3 * LIMIT_SET_ELEMENTS)

/* In a device number of a stamp: it is the author's own, but of later. Numbers are below 2^31. */
#define DECIDE_LATER_SELF UINT32_C(0x80000000)
/* In one of an element's addition, also in the store: it came by another record, which this one's
 * authors do not see. What they do here does not undo it before they have seen that it came. */
#define DECIDE_OTHER_RECORD UINT32_C(0x80000000)

enum effect {
    EFFECT_NONE,   /* only read */
    EFFECT_STORED, /* columns that nobody is sent: derived ones, a tombstone's bucket */
    EFFECT_SET,    /* some fields change, or only the version */
    EFFECT_NEW,
    EFFECT_WHOLE, /* revived, or moved to another bucket: readers get the whole record */
    EFFECT_DELETE
};

/* A field of a newer schema that this changeset sets. */
struct work_extra {
    const char *name;
    uint32_t length;
    bool changed; /* the stored value is another now */
    bool own;     /* it is not what the author sent */
    bool given;   /* the author gave it, having seen so much of the record: */
    int64_t seen;
    struct value value; /* raw JSON; VALUE_NULL: taken away */
    struct work_extra *next;
};

/* What a changeset did to a MAP field: objects {key: value, or null where it is gone}; VALUE_NULL:
 * no such keys. */
struct work_map {
    int field;
    struct value changed; /* keys with another value now */
    struct value own;     /* keys that are not as the author sent them, as they are stored */
    struct work_map *next;
};

/* A changeset that the author had sent under an earlier instance, whose number the stamps have. */
struct inherited {
    int64_t position;
    uint32_t former;
    struct inherited *next;
};

struct work {
    struct srv_record row;       /* as it will be stored */
    const struct change *change; /* of the changeset; NULL: a rule drew it in */
    const struct work *about;    /* conflict entries, holds: the record that they are about */
    bool found;                  /* the store has a row of it, perhaps a tombstone */
    bool revived;
    bool dropped;              /* the author's delete lost against an edit */
    bool stepped;              /* its state is another now */
    int old_rank;              /* and was this before; of a record that is made, the first */
    bool was_frozen;           /* and its content stood before */
    int taken_from, taken;     /* a step of the author's own; both 0: none */
    struct value sent_copy;    /* of a quote that is sent: how its sender had it */
    bool sent_before;          /* somebody else had sent it */
    const struct change *copy; /* what was sent of it or, of a child, with it */
    bool past;         /* out of the author's scope, but in it when the changeset was made */
    int64_t past_seen; /* past: the last position at which its author can have seen it */
    const struct work *past_as; /* past: what its author saw in its place; NULL: itself */
    bool touched;               /* a document that this changeset is about, or something below it */
    bool placed;                /* row.bucket is final */
    bool relocated;             /* so are those of its dependents */
    bool derive;                /* derived columns are to be computed */
    bool grows;                 /* a document that gets children */
    bool judged;                /* holds of the domain rules are made */
    bool renewed;               /* a visit: whether it counts by itself is found anew */
    bool counts;                /* renewed: it does */
    bool traced;                /* a visit: decision.trail has it, or it is not on one any more */
    bool leads;                 /* traced: those behind it are looked at for its sake */
    bool marked;                /* a visit: which ones count around it may be others now */
    bool remapped;              /* its change goes to the record that it is redirected to */
    bool own_whole;             /* the author needs the whole record */
    int64_t old_bucket;         /* 0: none */
    /* of the row as it was; 0: none, or a tombstone's */
    int64_t old_version;
    enum effect effect;
    uint64_t changed; /* fields with another value than before */
    uint64_t own;     /* fields that are not as the author sent them */
    struct work_extra *extra;
    struct work_map *map;
    struct work *next;             /* in the order of drawing in */
    struct work *same_slot;        /* by entity and id */
    struct work *same_parent_slot; /* child rows: by parent */
};

/* A work under the id of something else, by which it is looked for. */
struct named {
    struct id id;
    struct work *work;
    struct named *next; /* in the slot */
};

/* What one changeset does to a bucket's version sum. */
struct moved_sum {
    struct bucket_sum sum;
    struct moved_sum *next;
};

/* What one changeset does in one bucket. */
struct entry {
    int64_t bucket;
    struct buffer body, own;
    int64_t last_header[2]; /* of the part added last to body, and to own */
};

/* The header of the part that was made last: parts that follow each other often share it. */
struct part_header {
    const struct entity *entity; /* NULL: none is known */
    enum block_op op;
    int64_t bucket;
    uint64_t fields; /* of columns, all known to this schema */
    int64_t number;
    size_t length; /* of its text */
};

struct decision {
    struct decide *decide;
    struct srv_store *store;
    struct arena *arena;
    struct decide_org *org;
    struct decide_author *author;
    const struct decide_input *input;
    int64_t now_ms;

    int64_t position; /* that it takes if it is accepted */
    hlc time;         /* its stamp, clamped */
    bool clamped;
    int64_t true_ms;            /* when it was made: what facts go by, while values go by `time` */
    bool true_suspect;          /* true_ms is a guess: its clocks contradict each other, or ours */
    int64_t seen_max;           /* positions above mean other entries than the author's */
    bool merged;                /* something was superseded or combined */
    struct srv_account account; /* the author's, as it was at true_ms */
    struct scope *past_scope;   /* what that saw; NULL: not asked yet */
    int64_t past_end;           /* and at which position it may have become another */
    bool waited;                /* it was quarantined, and is decided now */
    /* then: what its instance sent behind it and was applied meanwhile, by position */
    struct srv_decision *later;
    int later_count;
    struct inherited *inherited; /* those met so far */
    struct stamp stranger;    /* the last stamp that turned out to be nobody's but its device's */
    enum reject_code refused; /* not NONE: an operator turns it down */
    struct work_change *late, **late_end; /* changes that go to another record than they name */
    struct work *from;                    /* that record, while such a change is merged */
    struct sales_actor actor;
    unsigned roles;             /* of the author, then and now, as the state machines know them */
    struct sales_reader reader; /* sees the works over the store */
    daybook_status status;
    struct verdict *verdict;

    struct work **trail; /* visits that are renewed, by rep and time: see trail.c */
    int trail_count;
    struct moved_sum *sums; /* the one moved last is first */
    struct work *works, **works_end;
    int work_count;
    struct work **by_id, **by_parent; /* slots, a power of two */
    struct named **by_name;           /* likewise */
    size_t slot_count;
};

struct decide {
    struct srv_store *store;
    struct log log;
    uint64_t epoch;
    struct arena arena;
    size_t memory_max;
    bool savepoints;                  /* one per decision */
    uint64_t seeds[2];                /* random: slots of ids */
    struct buffer header, tail, text; /* being built */
    struct entry *entries;            /* reused; entry_count of them are in use */
    int entry_count, entry_capacity;
    struct part_header last[2]; /* of this changeset, in bodies, and in own rows */
    size_t page_bytes;          /* of all bodies and own rows, as they stand in a page */
};

/* ---- work.c */
/* The decision ends with this status; NO_MEMORY becomes TOO_LARGE where the decision's own bound is
 * what was reached, for then the machine has not failed. Returns false. */
bool srv_decision_fail(struct decision *decision, daybook_status status);
/* The same with NO_MEMORY. */
bool srv_decision_out_of_memory(struct decision *decision);
/* The record that the verdict is about; either may be NULL. */
void srv_verdict_name(struct verdict *verdict, const struct entity *entity,
                      const struct id *record);
/* REJECTED; texts are static or live in the arena. Returns false. */
bool srv_decision_reject(struct decision *decision, enum reject_code code,
                         const struct entity *entity, const struct id *record, const char *field,
                         const char *rule);
/* Makes the tables of works for a changeset of this size. */
bool srv_works_init(struct decision *decision);
/* The work of a record if it is concerned already, else NULL. */
struct work *srv_work_find(const struct decision *decision, const struct entity *entity,
                           const struct id *id);
/* The work of a record, loaded from the store where it is not concerned yet (`found` tells). NULL:
 * the decision has failed. */
struct work *srv_work_load(struct decision *decision, const struct entity *entity,
                           const struct id *id);
/* The same of a record that the store is known not to have. */
struct work *srv_work_make(struct decision *decision, const struct entity *entity,
                           const struct id *id);
/* The stamps of a row that comes from the store are what they are to the author: those of what the
 * author's instance sent behind this changeset, which has waited, are somebody else's
 * (DECIDE_LATER_SELF), for the author had not seen it; those of what it had sent under an earlier
 * instance are its own. This turns them back. */
void srv_work_turn_back(struct decision *decision, struct srv_record *row);
/* The work of a row that was just read from the store. NULL: the decision has failed. */
struct work *srv_work_adopt(struct decision *decision, const struct srv_record *row);
/* Enters a child row into its parent's list, once its parent field is known. */
void srv_work_link_parent(struct decision *decision, struct work *work);
/* Gives a child row another parent. */
void srv_work_move(struct decision *decision, struct work *work, const struct id *parent);
/* The first work in the list of a parent's possible children; the caller compares entity and
 * parent, and goes on by same_parent_slot. */
struct work *srv_work_children(const struct decision *decision, const struct id *parent);
/* Enters a work under an id. A work may be there twice, and under ids that it names no more: who
 * looks compares. */
bool srv_work_name(struct decision *decision, struct work *work, const struct id *id);
/* Enters a work under what it names in the fields of this mask by which records are looked for:
 * holds, revisions and orders of quotes, quotes of opportunities, redirects. */
bool srv_work_name_fields(struct decision *decision, struct work *work, uint64_t mask);
/* The first that is entered under an id, and the next; NULL: there is none. */
const struct named *srv_works_named(const struct decision *decision, const struct id *id);
const struct named *srv_named_next(const struct named *named);
/* There, deleted or not, after what is decided so far. */
static inline bool srv_work_exists(const struct work *work)
{
    return work->found || work->effect == EFFECT_NEW;
}
/* There and not deleted. */
bool srv_work_is_live(const struct work *work);
/* The parent's id of a child row; NULL for other records and where there is none. */
const struct id *srv_work_parent(const struct work *work);
/* The position that the author had seen of the record when the change was made, as a position of
 * the present epoch: at most the last that the author's epoch and this one share. */
int64_t srv_work_seen(const struct decision *decision, const struct change *change);
/* The reader of the domain rules: works over the store. */
struct sales_reader srv_work_reader(struct decision *decision);

/* ---- made.c */
/* Sets time, clamped, true_ms, true_suspect and seen_max. */
daybook_status srv_decide_made(struct decision *decision);

/* ---- seen.c */
enum seen {
    SEEN_NEW,
    SEEN_REPEAT, /* the same (instance, seq) again */
    SEEN_RESENT, /* decided under an earlier instance, sent again under a new one */
    /* another text under an id that was decided: the verdict is REJECTED, and nothing is recorded
     * of it but its seq */
    SEEN_IMPOSTOR,
    SEEN_DIVERGED,
    SEEN_GAP
};
/* Whether the changeset was decided before; REPEAT and RESENT fill the verdict and *before. */
daybook_status srv_decide_seen(struct decision *decision, enum seen *seen,
                               struct srv_decision *before);

/* ---- history.c */
/* Who the author was when the changeset was made, and what rights they had and still have. */
bool srv_decide_author(struct decision *decision);
/* Whether a record that is found but out of the author's scope was in it when the changeset was
 * made: what was recorded then stays valid. Notes in the verdict that it has moved, and in the work
 * that it is past. */
bool srv_decide_saw(struct decision *decision, struct work *work, bool *saw);
/* The same for the bucket that a new record gets from its author. */
bool srv_decide_saw_bucket(struct decision *decision, struct work *work, bool *saw);
/* The change of a past record: its author can have seen nothing of that from where it left them on,
 * whatever was sent. Rejects what would be answered by what has become of the record since. */
bool srv_decide_change_past(struct decision *decision, struct work *work);
/* Keeps that a record, which moves, leaves its bucket's root with this changeset. */
bool srv_decide_keep_placement(struct decision *decision, const struct work *work);

/* ---- rights.c */
/* Draws in the records that the changeset touches and checks each. */
bool srv_decide_attach(struct decision *decision);
/* After merging: every record named exists and is in scope. */
bool srv_decide_references(struct decision *decision);
/* A value that names a record: that is live, and in scope unless it is being made here. */
bool srv_decide_reference(struct decision *decision, const struct work *work,
                          const struct field *field, const struct value *value);
/* Rejects for `named`, a record that is missing, deleted or out of scope; DEPENDS where its
 * creation was rejected. Returns false. */
bool srv_decide_missing(struct decision *decision, const struct work *work, const char *field,
                        const struct work *named);
/* True where the author may see the bucket. */
bool srv_decide_sees(const struct decision *decision, int64_t bucket);

/* ---- merge.c, merge_set.c, merge_keys.c */
bool srv_decide_merge(struct decision *decision);
/* The change's fields onto the work's row, which is live. */
bool srv_merge_set(struct decision *decision, struct work *work);
/* One value of a field without a group, by LATEST, for a rule: as if somebody who had seen the
 * record up to `seen` had given it. */
bool srv_merge_value(struct decision *decision, struct work *work, int field,
                     const struct value *value, int64_t seen);
/* The change's keys of a MAP field, one by one; fields of newer schemas likewise. */
bool srv_merge_map(struct decision *decision, struct work *work, int field,
                   const struct value *change);
bool srv_merge_extra(struct decision *decision, struct work *work, const struct field_value *value);
/* Remembers for the log the keys of a MAP field that have become other, and those that are not as
 * the author sent them (VALUE_NULL: none), beside what is remembered already. */
bool srv_map_remember(struct decision *decision, struct work *work, int field,
                      const struct value *changed, const struct value *own);
/* Stamps the keys of a MAP field that are about to become other than they are. */
bool srv_stamp_keys(struct decision *decision, struct work *work, int field,
                    const struct value *wanted);
/* The change's elements of a SET field, one by one. */
bool srv_merge_elements(struct decision *decision, struct work *work, int field,
                        const struct value *change);
/* The elements of a field under GROW that a new record is made with. */
bool srv_begin_elements(struct decision *decision, struct work *work, int field,
                        const struct value *whole);
/* Remembers that this edit has been, though its stamp stands nowhere: a delete by somebody who had
 * not seen it must lose. */
bool srv_merge_trace(struct decision *decision, struct work *work, const struct stamp *stamp);
/* Keys of stamps: "custom.colour" for a map's key, which has one; "tags.gold" for a set's element,
 * which has one for each addition that nobody who removed it had seen. */
/* "custom" and "colour" to "custom.colour"; the length, 0 where it is too long. */
size_t srv_key_join(char out[KEY_BYTES_MAX], const char *map, const char *key, size_t length);
bool srv_key_stamp_is(const struct srv_key_stamp *stamp, const char *key, size_t length);
/* The key of an element of a SET field; its length. */
size_t srv_element_key(char key[LIMIT_LABEL_BYTES + LIMIT_SET_ELEMENT_BYTES + 1], const char *field,
                       const struct element *element);
/* What is known of an element of a SET field: the stamps of its own or, where it is there, the
 * field's. */
void srv_element_load(const struct srv_record *row, int field, const char *key, size_t length,
                      bool there, struct merge_element *element);
/* All stamps of a key, instead of those that it has. */
bool srv_key_stamps_put(struct decision *decision, struct srv_record *row, const char *key,
                        size_t length, const struct stamp *stamps, int count);
/* The stamp of a key, or a zero stamp. */
struct stamp srv_key_stamp_get(const struct srv_record *row, const char *key, size_t length);
bool srv_key_stamp_put(struct decision *decision, struct srv_record *row, const char *key,
                       size_t length, const struct stamp *stamp);
/* The incoming stamp, above `stored` where the author had seen that. */
struct stamp srv_merge_stamp(const struct decision *decision, const struct stamp *stored,
                             bool seen);
/* The same for a change that is made at `time`. */
struct stamp srv_merge_stamp_at(const struct decision *decision, hlc time,
                                const struct stamp *stored, bool seen);
/* A value as JSON text (VALUE_TEXT in the arena), VALUE_NULL as it is. False: the decision has
 * failed. */
bool srv_value_text(struct decision *decision, const struct field *field, const struct value *value,
                    struct value *text);

/* ---- note.c */
/* Adds a conflict entry: values as JSON texts, NULL for none. */
bool srv_decide_note(struct decision *decision, const struct work *about, const char *field,
                     size_t field_length, const struct value *kept, uint32_t kept_device,
                     const struct value *lost, uint32_t lost_device);
/* The same for a field by its number. `rest`: what else its group lost, see srv_lost_rest;
 * VALUE_NULL: nothing. */
bool srv_decide_note_field(struct decision *decision, const struct work *about, int field,
                           const struct value *kept, uint32_t kept_device, const struct value *lost,
                           uint32_t lost_device, const struct value *rest);
/* The values of the side of a group that loses in all of its fields (bits in `mask`) but `field`,
 * as a JSON object; VALUE_NULL: there are none. With the field's they are what its author had
 * given, whatever stands later and whichever other entries somebody has. `values`: by field number.
 */
bool srv_lost_rest(struct decision *decision, const struct entity *entity, uint64_t mask, int field,
                   const struct value *values, struct value *rest);
/* An entry about an element of a SET field, whose addition stands against its removal; the verdict
 * is MERGED. */
bool srv_decide_note_element(struct decision *decision, const struct work *about,
                             const struct field *field, const char *element, size_t length,
                             uint32_t adder, uint32_t remover);

/* ---- merge_state.c */
/* The operations of a record's state register, the one that is only implied included. `ops` has
 * room for STATE_OPS_MAX + 1. */
int srv_state_ops(const struct srv_record *row, int field, struct state_op *ops);
/* A step of the record's machine, from what the author saw; other fields are merged already. */
bool srv_merge_state(struct decision *decision, struct work *work, int field,
                     const struct value *value);
/* The steps of a record that goes into another one's register. */
bool srv_join_state(struct decision *decision, const struct work *from, struct work *into,
                    int field);
/* A step up that a rule of the server takes, in nobody's name. */
bool srv_step_by_rule(struct decision *decision, struct work *work, int rank);
/* A record that is being made may begin where its maker can have brought it. */
bool srv_merge_first_state(struct decision *decision, struct work *work);

/* ---- proposal.c */
/* True where the author may only propose values of a field under PROPOSE. */
bool srv_decide_only_proposes(const struct decision *decision, const struct field *field);
/* Makes the author's value of a field (by number) a proposal; the record keeps its own. */
bool srv_decide_propose(struct decision *decision, struct work *work, int field,
                        const struct value *proposed);
/* Last in merging: proposals that are being answered; what is accepted takes effect. */
bool srv_decide_proposals(struct decision *decision);

/* ---- freeze.c */
/* Leads elsewhere, or refuses, what is done to documents whose content stands. */
bool srv_decide_freeze(struct decision *decision);
/* Behind the merge: what documents that came to stand just now got from others, unseen. */
bool srv_decide_frozen(struct decision *decision);
/* Notes that the state of a document stood against these values of it or a child: a device's. */
bool srv_note_standing(struct decision *decision, const struct work *work,
                       const struct work *document, const struct field_value *values, int count,
                       uint32_t lost_device);
/* Splits the content off a work's change, groups whole: what is left stays the work's, *content
 * gets the values. The author's device learns that they are not as it sent them. */
bool srv_split_content(struct decision *decision, struct work *work, struct change *content);
/* A new child of the author's does not come to be, and the author's device is told. */
void srv_refuse_child(struct decision *decision, struct work *work, const struct work *document);
/* The author's delete does not happen. */
void srv_refuse_delete(struct work *work);
/* A child that is gone stays so, whatever the change says: one of the author's that did not come to
 * be, or one that was deleted before. Nothing where it is there. */
void srv_leave_deleted(struct work *work);

/* ---- fork.c */
/* A change to a quote that was sent, or to a child of it, goes to its next revision. */
bool srv_decide_fork(struct decision *decision, struct work *work, struct work *document);
/* A quote that was sent just now stays as its sender had it; what others had done to it, unseen,
 * goes to its next revision. */
bool srv_decide_part(struct decision *decision, struct work *document);
/* A quote that somebody else had sent before, unseen: how its second sender had it goes to the
 * conflict log, so far as it is other than what stands. */
bool srv_decide_sent_before(struct decision *decision, struct work *document);

/* ---- follow.c */
/* What follows from the steps of state machines: holds, older revisions that are superseded. */
bool srv_decide_follow(struct decision *decision);
/* The needs that other records keep from being met for steps of this one: a mask of 1 << enum
 * machine_need. */
bool srv_decide_barred(struct decision *decision, struct work *work, unsigned *barred);

/* ---- deletion.c */
/* The latest stamp on a record that another instance wrote, in fields that people give; position 0:
 * none. */
struct stamp srv_latest_other(const struct srv_record *row, uint32_t device_no);
/* Notes that the delete of one device lost against the edit of another: the field "*" stands for
 * the whole record. */
bool srv_note_delete(struct decision *decision, const struct work *work, uint32_t editor,
                     uint32_t deleter);
/* Makes a tombstone live again, for everybody whole; a record a tombstone of this changeset's. */
void srv_revive_row(struct work *work);
void srv_delete_row(struct decision *decision, struct work *work);
/* Draws in the live children of a document that the store has. */
bool srv_decide_adopt_children(struct decision *decision, const struct work *document);
/* Draws in its children that were deleted, from one position on up to another. */
bool srv_decide_adopt_deleted(struct decision *decision, const struct work *document,
                              int64_t position, int64_t upto);
/* An edit, or an added child, meets a tombstone: revives it, or rejects where the author had seen
 * the delete. */
bool srv_decide_revive(struct decision *decision, struct work *work);
/* Deletes, against concurrent edits, with children. */
bool srv_decide_deletes(struct decision *decision);
/* Documents whose children were edited or added come back too. */
bool srv_decide_revive_parents(struct decision *decision);

/* ---- validate.c */
/* Fields of the server, domain rules, of the works behind `last`; NULL: of all. */
bool srv_decide_fill(struct decision *decision, const struct work *last);
bool srv_decide_derive(struct decision *decision); /* derived columns, number of children */
/* Draws in these records, as they stand now, with their children, to be derived. */
bool srv_decide_mark_derived(struct decision *decision, const struct srv_record *rows, int count);

/* ---- effective.c */
bool srv_decide_effective(struct decision *decision); /* visits that count */

/* ---- trail.c */
/* A visit's first check-in; 0: none. Visits are in the order of check-in, then id. */
int64_t srv_visit_time(const struct record *visit);
int srv_visit_order(const struct record *a, const struct record *b);
/* Whether the visit is the rep's own record, or was planned by somebody who may plan for reps: one
 * rep could otherwise make another's visit a twin of an invented one, or the way to it too long. */
bool srv_visit_is_trusted(struct decision *decision, const struct record *visit, bool *trusted);
/* Before the others: the visits that are renewed are where they will be in their reps' trails. */
bool srv_trail_begin(struct decision *decision);
/* Whether the rep cannot have come to a visit of the trail in time. */
bool srv_trail_is_too_fast(struct decision *decision, const struct record *visit, bool *too_fast);
/* A visit has come to the place that its record says, or was there: marks and renews those behind
 * it that are too fast now, or no more. */
bool srv_trail_look_behind(struct decision *decision, const struct record *place);

/* ---- twin.c */
/* Visits that turn out to be one become one. Behind srv_decide_fill. */
bool srv_decide_twins(struct decision *decision);

/* ---- join.c */
/* The values of a record that goes into the one that stays. */
bool srv_join(struct decision *decision, const struct work *from, struct work *into);

/* ---- hold.c */
/* Holds of the domain rules on the documents whose lines change. */
bool srv_decide_holds(struct decision *decision);
/* Puts a hold on a record of the decision, unless one stands for this reason (code and detail).
 * Before srv_decide_fill; texts live as long as the decision. */
bool srv_decide_hold(struct decision *decision, const struct work *about,
                     const struct sales_hold *reason);
/* Takes back the hold that stands for this reason, if there is one: it is gone. */
bool srv_decide_unhold(struct decision *decision, const struct work *about,
                       const struct sales_hold *reason);
/* Whether any hold stands on the record. False: the decision has failed. */
bool srv_decide_is_held(struct decision *decision, const struct work *about, bool *held);
/* Whether the author may do to the hold what its change says: clear it, in the author's own name,
 * with the role that it names, then and now. */
bool srv_decide_may_clear(struct decision *decision, const struct work *hold);

/* ---- place.c */
bool srv_decide_place(struct decision *decision);
/* The number of a bucket's label. */
bool srv_decide_bucket(struct decision *decision, const char *label, int64_t *bucket);

/* ---- number.c */
bool srv_decide_numbers(struct decision *decision); /* new documents have numbers of their own */
/* The revision of the quote `origin` that a new quote is: *rev, where it says one (not 0) and no
 * other is that, else the next after all others. */
bool srv_decide_revision(struct decision *decision, const struct work *quote,
                         const struct id *origin, int64_t *rev);

/* ---- write.c, entry.c */
bool srv_decide_write(struct decision *decision);   /* records, log rows, projections */
bool srv_decide_entries(struct decision *decision); /* log rows only */
/* Whether a changeset that has to wait may not, because too much of its author's waits already. */
daybook_status srv_decide_is_full(struct decision *decision, bool *full);
/* The decision itself, whatever it is, and what is kept for later ones. */
daybook_status srv_decide_record(struct decision *decision);
/* Nothing waits for this changeset any more, or counts as rejected by it. */
daybook_status srv_decide_forget(struct decision *decision);

/* ---- totals.c */
/* What a record's new state does to the sums of the bucket where it was, and of that where it
 * is. */
bool srv_totals_count(struct decision *decision, const struct work *work);
/* The changeset is applied: the organisation has moved. */
daybook_status srv_totals_keep(struct decision *decision);

#include "sync-server/decide/newer.h"

#endif
