/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of state machines and the questions that both ends ask it. Called by the device's
 * commit and by the decider's merge. Pure. Invariant: rows UP go up in rank and rows DOWN go down,
 * which a test checks; so every way ends.
 */
#include "engine/sales/machines.h"

#include "engine/base/text.h"
#include "engine/sales/day.h"

#include <string.h>

enum {
    NONE = MACHINE_NONE,
    R = MACHINE_R,
    M = MACHINE_M,
    B = MACHINE_B,
    Y = MACHINE_Y,
};

struct freeze_row {
    int entity;
    int state;
    enum machine_freeze way;
    unsigned roles;
};

#define STEP(entity_, from_, to_, roles_, offline_, direction_, need_)                             \
    {ENTITY_##entity_, RANK_##entity_##_##from_, RANK_##entity_##_##to_, roles_,                   \
     offline_,         MACHINE_##direction_,     MACHINE_NEED_##need_},
#define FREEZE(entity_, state_, way_, roles_)
static const struct machine_step steps[] = {
#include "engine/sales/machines.def"
    {.from = -1},
};
#undef STEP
#undef FREEZE

#define STEP(entity_, from_, to_, roles_, offline_, direction_, need_)
#define FREEZE(entity_, state_, way_, roles_)                                                      \
    {ENTITY_##entity_, RANK_##entity_##_##state_, FREEZE_##way_, roles_},
static const struct freeze_row freezes[] = {
#include "engine/sales/machines.def"
};
#undef STEP
#undef FREEZE

const struct machine_step *dk_machine_steps(void)
{
    return steps;
}

unsigned dk_machine_roles(const char *role)
{
    if (strcmp(role, "manager") == 0) {
        return R | M;
    }
    if (strcmp(role, "back_office") == 0) {
        return B;
    }
    return strcmp(role, "system") == 0 ? R | M | B | Y : R;
}

int dk_machine_field(const struct entity *entity)
{
    return entity->state_field;
}

int dk_machine_rank(const struct field *field, const struct value *value)
{
    for (int rank = 0; value->kind == VALUE_TEXT && field->choices[rank] != NULL; rank++) {
        if (dk_text_equal(value->text, value->length, field->choices[rank])) {
            return rank;
        }
    }
    return -1;
}

int dk_machine_state(const struct record *record)
{
    int field = dk_machine_field(record->entity);
    return field < 0 ? -1 : dk_machine_rank(&record->entity->fields[field], &record->values[field]);
}

/* A check-in that was made on the day that was planned. Without a time zone the day cannot be told,
 * and a check-in is enough. */
static bool has_check_in(const struct record *record)
{
    const struct value *ts = &record->values[VISIT_CHECKIN_TS];
    const struct value *tz = &record->values[VISIT_CHECKIN_TZ];
    const struct value *day = &record->values[VISIT_PLAN_DAY];
    if (ts->kind != VALUE_INT || ts->integer < 0) {
        return false;
    }
    return day->kind != VALUE_INT || tz->kind != VALUE_INT ||
           dk_day_at(ts->integer, tz->integer) == day->integer;
}

/* The word for what a step lacks; NULL: nothing. */
static const char *missing(const struct record *record, enum machine_need need, unsigned barred)
{
    const struct value *van = &record->values[SALES_ORDER_VAN_SALE];
    if ((barred >> need & 1) != 0) {
        return need == MACHINE_NEED_NO_HOLD ? "held" : "order";
    }
    switch (need) {
    case MACHINE_NEED_CHECK_IN: return has_check_in(record) ? NULL : "check_in";
    case MACHINE_NEED_VAN: return van->kind == VALUE_INT && van->integer != 0 ? NULL : "van_sale";
    case MACHINE_NEED_NONE:
    case MACHINE_NEED_REASON:
    case MACHINE_NEED_EVIDENCE:
    case MACHINE_NEED_IN_TIME:
    case MACHINE_NEED_NO_HOLD:
    case MACHINE_NEED_NO_ORDER: break;
    }
    return NULL;
}

/* The states that can be reached by steps up from `from`: a mask of ranks. `unmet` NULL: by those
 * whose needs are met; else by all, and *unmet is the word of the first need on the way that is
 * not. */
static uint64_t reach(const struct record *record, int from, unsigned roles, unsigned barred,
                      const char **unmet)
{
    const struct entity *entity = record->entity;
    uint64_t reached = (uint64_t)1 << from;
    uint64_t before;
    do {
        before = reached;
        for (const struct machine_step *step = steps; step->from >= 0; step++) {
            if (step->entity != (int)entity->kind || step->direction != MACHINE_UP ||
                (step->roles & roles) == 0 || (reached >> step->from & 1) == 0) {
                continue;
            }
            const char *word = missing(record, step->need, barred);
            if (word == NULL || unmet != NULL) {
                reached |= (uint64_t)1 << step->to;
            }
            if (unmet != NULL && *unmet == NULL) {
                *unmet = word;
            }
        }
    } while (reached != before);
    return reached;
}

/* The row for exactly this step in this direction, or NULL. */
static const struct machine_step *row_of(const struct entity *entity, int from, int to,
                                         enum machine_direction direction, unsigned roles)
{
    for (const struct machine_step *step = steps; step->from >= 0; step++) {
        if (step->entity == (int)entity->kind && step->direction == direction &&
            (step->roles & roles) != 0 && step->from == from && step->to == to) {
            return step;
        }
    }
    return NULL;
}

enum machine_answer dk_machine_step(const struct record *record, int from, int to, unsigned roles,
                                    unsigned barred, const char **rule)
{
    static const unsigned everybody = R | M | B | Y;
    const struct entity *entity = record->entity;
    *rule = NULL;
    if (from == to) {
        return MACHINE_STAYS;
    }
    if (from < 0 || to < 0) {
        *rule = "step";
        return MACHINE_REFUSED;
    }
    if (to < from) {
        const struct machine_step *row = row_of(entity, from, to, MACHINE_DOWN, roles);
        *rule = row == NULL ? NULL : missing(record, row->need, barred);
        if (row != NULL) {
            return *rule == NULL ? MACHINE_STEP_DOWN : MACHINE_REFUSED;
        }
        *rule = row_of(entity, from, to, MACHINE_DOWN, everybody) != NULL ? "role" : "step";
        return MACHINE_REFUSED;
    }
    const struct machine_step *step = row_of(entity, from, to, MACHINE_UP, roles);
    bool direct = step != NULL && missing(record, step->need, barred) == NULL;
    if (direct || (reach(record, from, roles, barred, NULL) >> to & 1) != 0) {
        return MACHINE_STEP_UP;
    }
    if ((reach(record, from, roles, barred, rule) >> to & 1) == 0) {
        const char *unmet = NULL;
        bool others = (reach(record, from, everybody, barred, &unmet) >> to & 1) != 0;
        *rule = others ? "role" : "step";
    }
    return MACHINE_REFUSED;
}

bool dk_machine_asks(const struct entity *entity, int from, int to, unsigned roles)
{
    return row_of(entity, from, to, MACHINE_ASK, roles) != NULL &&
           row_of(entity, from, to, MACHINE_UP, roles) == NULL;
}

bool dk_machine_freezes(const struct entity *entity)
{
    for (size_t i = 0; i < sizeof freezes / sizeof freezes[0]; i++) {
        if (freezes[i].entity == (int)entity->kind) {
            return true;
        }
    }
    return false;
}

enum machine_freeze dk_machine_freeze(const struct entity *entity, int state, unsigned roles)
{
    for (size_t i = 0; i < sizeof freezes / sizeof freezes[0]; i++) {
        const struct freeze_row *row = &freezes[i];
        if (row->entity == (int)entity->kind && row->state == state) {
            return (row->roles & roles) != 0 ? FREEZE_NOT : row->way;
        }
    }
    return FREEZE_NOT;
}

bool dk_machine_is_content(const struct field *field)
{
    return (field->policy == POLICY_LATEST || field->policy == POLICY_SET) &&
           (field->flags & FIELD_PASSING) == 0;
}
