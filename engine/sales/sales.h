/* SPDX-License-Identifier: Apache-2.0
 *
 * The domain rules: pure functions over records, compiled into both ends. On the device they give a
 * provisional result at once, on the server the same code is final. One table, by entity: what
 * fills the fields of the server, what checks, what derives. They read other records only through
 * struct sales_reader and change nothing but the record they are given.
 */
#ifndef DAYBOOK_SALES_H
#define DAYBOOK_SALES_H

#include "engine/protocol/changeset.h"

#include <daybook/status.h>

/* How a rule sees other records: the overlay on the device, the state inside the deciding
 * transaction on the server. */
struct sales_reader {
    void *context;
    /* One record, or *found false. Text lives in the arena. */
    daybook_status (*get)(void *context, int entity, const struct id *id, struct arena *arena,
                          struct record *record, bool *found);
    /* All live child rows of `entity` whose parent field names `parent`, ordered by id; the array
     * is in the arena. */
    daybook_status (*children)(void *context, int entity, const struct id *parent,
                               struct arena *arena, struct record **records, int *count);
};

/* Who acts, and when. */
struct sales_actor {
    struct id user;
    struct id territory; /* zero: none */
    uint32_t device_no;
    bool is_server;  /* back office, import, timers: may write SERVER fields and entities */
    bool on_device;  /* whose server may not know what came with a later schema */
    int64_t time_ms; /* of the changeset's stamp (clamped) */
};

/* Sets the SERVER fields that follow from the record, its author and other records. `created`: the
 * record is new (common fields, owner, territory, first state, revision 1 …). Fields that a server
 * actor sent stay. */
daybook_status dk_sales_fill(const struct sales_actor *actor, const struct sales_reader *reader,
                             bool created, struct record *record, struct arena *arena);
/* The field that a creation fills with its author where no device named anybody: what follows from
 * the changeset's header, the author's device need not be told. -1: none. */
int dk_sales_author_field(const struct entity *entity);
/* The field that names the record which one of these has become; -1: these do not become one. */
int dk_sales_redirect_field(const struct entity *entity);
/* Recomputes the record's own DERIVED fields. For a document the children are read through the
 * reader; for a line, its document. Result texts in the arena. *changed: mask of fields whose value
 * differs now. */
daybook_status dk_sales_derive(const struct sales_reader *reader, struct record *record,
                               struct arena *arena, uint64_t *changed);
/* What stands against a record's next steps: the server makes a hold record of it, the device tells
 * beforehand. Texts are static or in the arena. */
struct sales_hold {
    const char *code;   /* DUP_LINE … */
    const char *role;   /* that may clear it, one of app_user.user_role */
    const char *rule;   /* a short stable word, or NULL */
    const char *detail; /* a JSON object of arguments, or NULL */
};
#define SALES_HOLDS_MAX 4

/* True where records of this entity can deserve holds by the rules below. */
bool dk_sales_can_hold(int entity);
/* The holds that the record deserves as it stands, at most SALES_HOLDS_MAX. */
daybook_status dk_sales_holds(const struct sales_reader *reader, struct record *record,
                              struct arena *arena, struct sales_hold *holds, int *count);
/* Visits of one rep to one customer whose check-ins are closer are one visit, and count once. */
#define SALES_TWIN_MS ((int64_t)2 * 60 * 60 * 1000)
/* Whether a visit, as it was recorded, can be the same as another record: nobody had planned it,
 * and its check-in is not in doubt. */
bool dk_visit_is_ad_hoc(const struct record *visit);
/* Whether a visit can become one with another: it was not called off. What somebody has judged can,
 * too: who judges one has seen that one, whether the other has come by then or not. */
bool dk_visit_may_join(const struct record *visit);
/* Whether two ad hoc visits are one, if two devices recorded them. */
bool dk_visit_is_twin(const struct record *a, const struct record *b);
/* Whether a visit can count at all, by what it says of itself: nothing up to FLAW_VAGUE speaks
 * against it, and it has a customer. */
bool dk_visit_may_count(const struct record *visit);
/* Why a visit does not count, the first of these that holds. */
enum visit_flaw {
    FLAW_NONE,
    FLAW_JOINED,            /* it has become another one */
    FLAW_OPEN,              /* neither completed nor verified */
    FLAW_SHORT,             /* from check-in to check-out, or one of them is missing */
    FLAW_MOCK,              /* the next six unless it is verified: a place that was made up */
    FLAW_CLOCK,             /* the device's clock is in doubt */
    FLAW_NO_PLACE,          /* nobody knows where the check-in was */
    FLAW_VAGUE,             /* nor how exactly that is known */
    FLAW_NO_CUSTOMER_PLACE, /* or where the customer is */
    FLAW_FAR,               /* not at the customer */
    FLAW_NO_RESULT,         /* no feedback, order or stock count */
    FLAW_COLLEAGUE,         /* another rep recorded it */
    FLAW_TOO_FAST,          /* the rep cannot have come there in time; not where it is verified */
    FLAW_TWIN               /* one that counts, of the same rep and customer, was close before */
};
/* What speaks against a visit by itself, up to FLAW_NO_RESULT. */
daybook_status dk_visit_flaw(const struct sales_reader *reader, const struct record *visit,
                             struct arena *arena, enum visit_flaw *flaw);
/* The fields of a visit that it is judged by, or its way from others. */
uint64_t dk_visit_facts(void);
/* Who has had so long can have come from anywhere: visits further back say nothing of the way. */
#define SALES_WAY_MS ((int64_t)24 * 60 * 60 * 1000)
/* Whether a visit shows for sure where its rep was, and when. */
bool dk_visit_is_trace(const struct record *visit);
/* Whether a visit whose place and times stay as they are says the same of where its rep was in two
 * states of its machine. */
bool dk_visit_same_way(int rank, int other);
/* Whether other visits of the rep are judged otherwise by the one than by the other state of a
 * visit, as far as the way to them goes; NULL: it is not there. */
bool dk_visit_way_differs(const struct record *before, const struct record *after);
/* Whether the rep can have come to a visit from the trace right before it; NULL: none in
 * SALES_WAY_MS. Nobody asks where it is verified. */
bool dk_visit_is_reached(const struct record *visit, const struct record *before);
/* Whether the rep cannot have come to a visit in time: neither from the trace before it, nor from
 * the last one to which that one can have come. `run`: the visit, the trace before it, and so on
 * back to the first that dk_visit_is_reached from the one before; at most SALES_RUN_MAX. */
#define SALES_RUN_MAX 64
bool dk_visit_is_too_fast(const struct record *const *run, int count);
/* Checks that those of these fields that are required have values, and rules between fields of the
 * merged record. `fields`: all of a new record, else those that are given or change: one that came
 * with a later schema may still be missing in an old record, which keeps nobody from changing the
 * rest. True where fine. */
bool dk_sales_check(const struct record *record, uint64_t fields, struct refusal *refusal);

#endif
