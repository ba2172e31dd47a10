/* SPDX-License-Identifier: Apache-2.0
 *
 * Deciding one changeset, once: seen before, may they, merge, validate, verdict. Runs on the thread
 * that owns the store's writer, inside a transaction that the caller began and commits. The
 * order of the steps:
 *
 *   made.c    when it was made, and what its author knew of the log
 *   seen.c    decided before? then the stored answer
 *   rights.c  may this author touch these records and name those (history.c: or might they when
 *             they did)
 *   freeze.c  what is done to documents whose content stands is led elsewhere (fork.c)
 *   merge.c   each field, group, key, state against what stands (deletion.c: records as wholes)
 *   note.c    what lost
 *   given.c   what was given for fields before the server knew them
 *   redirect.c  what goes to another record than it names, because two were found to be one
 *   hold.c    what is applied and waits for somebody
 *   validate.c  fields of the server, domain rules, derived columns
 *   effective.c  visits that count
 *   place.c   the bucket of each record; what moves takes its dependents along
 *   write.c   records, log rows, conflict entries, the decision
 *   totals.c  the head and the sums of buckets, for the whole transaction
 *
 * Invariants: 1. A position is taken if and only if the changeset was accepted or merged. 2. All
 * records that an accepted changeset names and that are there afterwards have its position as their
 * version, and the log row names them, if need be without a field, so that all replicas agree on
 * versions too. 3. What is not accepted changes no record and no log row.
 */
#ifndef DAYBOOK_SERVER_DECIDE_H
#define DAYBOOK_SERVER_DECIDE_H

#include "engine/protocol/changeset.h"
#include "sync-server/hash.h"
#include "sync-server/scope/scope.h"
#include "sync-server/store/store.h"

/* By how much a bucket's version sum has moved. */
struct bucket_sum {
    int64_t bucket;
    uint64_t difference;
};

/* One organisation, as the decider holds it. What is not stored yet srv_decide_finish stores. */
struct decide_org {
    int64_t org;
    struct id id;
    int64_t head; /* last position given, also in the transaction under way */
    int64_t stored_head;
    struct bucket_sum *sums; /* not stored yet, of dk_memory; the holder frees it */
    int sum_count, sum_capacity;
};

/* Who sends changesets. */
struct decide_author {
    struct srv_account account;
    uint32_t device_no;
    bool is_server;      /* commands, import: may write what belongs to the server */
    bool has_quarantine; /* of this instance: later changesets may have to wait */
    /* what of the user waits: measured when it is first asked for, then counted on */
    bool measured;
    int64_t waiting, waiting_bytes;
    int64_t decided; /* highest seq decided; moves on with each decision */
    /* its clocks, as its request told them; boot 0: it told none */
    uint64_t boot;
    int64_t steady_ms;   /* at received_ms */
    int64_t received_ms; /* the server's wall clock */
    struct scope scope;  /* outlives the author */
};

/* One changeset as it came. */
struct decide_input {
    struct changeset changeset; /* changes only where refusal.code is 0 */
    uint8_t digest[HASH_SIZE];  /* srv_decide_digest */
    struct refusal refusal;     /* of the decoder: it can be answered, not applied */
    struct change refused;      /* the change that the refusal is about */
    /* refused: ids of the records that it would have made; of a newer schema, that it touches */
    const struct id *made;
    int made_count;
    /* The server's own: the documents that it names go to this class, whatever it is. All other
     * changesets bring what they touch back to the open one, which is 0. */
    enum srv_class class;
    /* The server's own, when it has learned a schema: adds what follows from what is there, which
     * no content that stands is against, and judges what was given before. */
    bool converts;
    /* Its text for the quarantine, borrowed. */
    daybook_status (*text)(void *context, const char **bytes, size_t *length);
    void *context;
};

enum decide_answer {
    DECIDE_VERDICT,  /* *verdict is the answer */
    DECIDE_DIVERGED, /* another changeset had this seq: the device's store is a copy */
    DECIDE_GAP,      /* a seq is missing before this one */
    DECIDE_FULL      /* it would have to wait, and too much of its user's waits already */
};

struct decide;

/* `memory_max`: bytes that one decision may take (tests make it small); 0: the default. NULL: no
 * memory. */
struct decide *srv_decide_new(struct srv_store *store, const struct log *log, size_t memory_max);
void srv_decide_free(struct decide *decide);
/* Whether each decision is in a savepoint of its own, as it is at first. Without, the few that fail
 * after they have written make the whole transaction fail, which is then to be decided once more
 * with savepoints; all others are cheaper. */
void srv_decide_use_savepoints(struct decide *decide, bool use);

/* Decides the author's next changeset. OK: *answer, and with DECIDE_VERDICT the verdict, and all
 * that follows from it is written. Otherwise the transaction cannot go on (disk, memory) and must
 * be rolled back. A changeset on which the server fails by itself is QUARANTINED(INTERNAL),
 * alone. */
daybook_status srv_decide(struct decide *decide, struct decide_org *org,
                          struct decide_author *author, const struct decide_input *input,
                          int64_t now_ms, struct verdict *verdict, enum decide_answer *answer);

/* Decides a changeset that is quarantined: in its author's name, with the rights that the author
 * has but for being disabled, as of when it was received (author->received_ms …). Its seq is the
 * one that it was decided under. `refused` not NONE: an operator turns it down with this code. The
 * verdict may be QUARANTINED once more. Statuses as for srv_decide. */
daybook_status srv_decide_waiting(struct decide *decide, struct decide_org *org,
                                  struct decide_author *author, const struct decide_input *input,
                                  enum reject_code refused, int64_t now_ms,
                                  struct verdict *verdict);

/* Computes the derived columns of these records, and of their children, anew and stores those that
 * have become other: a server of a newer schema derives more. They never travel, so nobody is told
 * and no position is taken. Statuses as for srv_decide, and OUT_OF_RANGE where an amount cannot be
 * computed. */
daybook_status srv_decide_derive_anew(struct decide *decide, struct decide_org *org,
                                      struct decide_author *author, const struct srv_record *rows,
                                      int count, int64_t now_ms);

/* Stores what the decisions of the transaction have moved in the organisation: before its commit.
 * Otherwise as srv_decide. */
daybook_status srv_decide_finish(struct decide *decide, struct decide_org *org);

/* SHA-256 of a changeset's text from its member "changes" on: what stands before it, the seq above
 * all, may be another when a device sends the changeset again under a new instance. False: no
 * memory. */
bool srv_decide_digest(const char *text, size_t length, uint8_t digest[HASH_SIZE]);

#endif
