/* SPDX-License-Identifier: Apache-2.0
 *
 * The state machines of the entities with a STATE field: which steps there are, who may take them,
 * and where a document's content stands. Pure, in both ends: the device judges from what it shows,
 * the server from what the device had seen. The rows are in machines.def.
 */
#ifndef DAYBOOK_SALES_MACHINES_H
#define DAYBOOK_SALES_MACHINES_H

#include "engine/protocol/value.h"

/* Who acts; sets of them are masks. */
enum machine_role {
    MACHINE_NONE = 0,
    MACHINE_R = 1, /* rep; also pre-sales and service */
    MACHINE_M = 2, /* manager, who may also do all that a rep may */
    MACHINE_B = 4, /* back office */
    MACHINE_Y = 8  /* the server's rules and timers */
};

enum machine_direction { MACHINE_UP, MACHINE_DOWN, MACHINE_ASK };

/* What else a step needs. The first kind follows from the record alone and is checked on both ends;
 * the other kind needs other records or the server's clock, and is the server's to decide. */
enum machine_need {
    MACHINE_NEED_NONE,
    MACHINE_NEED_REASON,   /* a reason; the entity's own check sees to it */
    MACHINE_NEED_CHECK_IN, /* a check-in; on the day that was planned, where one was */
    MACHINE_NEED_VAN,      /* the order is sold off the van */
    MACHINE_NEED_EVIDENCE, /* server: a quote accepted, or it is held */
    MACHINE_NEED_IN_TIME,  /* server: within valid_to and the newest sent revision, or it is held */
    MACHINE_NEED_NO_HOLD,  /* server: no hold stands on the record */
    MACHINE_NEED_NO_ORDER  /* server: no order stands that came of it */
};

struct machine_step {
    int entity;
    int from, to; /* ranks */
    unsigned roles, offline;
    enum machine_direction direction;
    enum machine_need need;
};

/* How content stands in a state. */
enum machine_freeze { FREEZE_NOT, FREEZE_FORKS, FREEZE_TAKES, FREEZE_LOSES };

/* What a step is, or why it is none. */
enum machine_answer {
    MACHINE_STAYS, /* from and to are one state */
    MACHINE_STEP_UP,
    MACHINE_STEP_DOWN,
    MACHINE_REFUSED
};

/* The rows, for tests and documentation; a row after the last has from -1. */
const struct machine_step *dk_machine_steps(void);
/* The roles of a user, by the name that `app_user.user_role` has; unknown ones are a rep's. */
unsigned dk_machine_roles(const char *role);
/* The STATE field of an entity; -1: it has no machine. */
int dk_machine_field(const struct entity *entity);
/* The rank of a state; -1: the value is none. */
int dk_machine_rank(const struct field *field, const struct value *value);
/* The state of a record; -1: none. */
int dk_machine_state(const struct record *record);
/* Whether somebody with these roles may bring the record (as it will be) from one state to another.
 * Several steps up may be taken at once, where each could be taken by itself; one step down.
 * `barred`: needs that other records keep from being met, a mask of 1 << enum machine_need; the
 * device knows of none. REFUSED: *rule is the word for it, "step" (there is no such step), "role"
 * (it is not theirs), or what is missing. */
enum machine_answer dk_machine_step(const struct record *record, int from, int to, unsigned roles,
                                    unsigned barred, const char **rule);
/* True where this would have become a request: the step is only for others to take by now. */
bool dk_machine_asks(const struct entity *entity, int from, int to, unsigned roles);
/* True where there are states in which the content of such documents stands. */
bool dk_machine_freezes(const struct entity *entity);
/* How the content stands in a state, for somebody with these roles. */
enum machine_freeze dk_machine_freeze(const struct entity *entity, int state, unsigned roles);
/* True where the field is content, which freezes: what people fill in, and not the state,
 * proposals, what only grows or what is not kept. */
bool dk_machine_is_content(const struct field *field);

#endif
