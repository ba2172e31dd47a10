/* SPDX-License-Identifier: Apache-2.0
 *
 * Holds: records of the server that stand on another record and block its next steps until somebody
 * of the role that they name clears them. Part of the fourth step of the decision. Invariants: 1. A
 * hold is never put back; the same reason (record, code, detail) makes one hold at a time. 2. Those
 * that the domain rules make follow from the record as it stands, so that they do not depend on who
 * came first; what a person has cleared stays cleared, what was withdrawn comes back as a new one.
 */
#include "sync-server/decide/work.h"

#include <string.h>

#define HOLD_PAGE 100 /* holds of one record read at once */

/* A text that lives as long as the decision, as a value. */
static struct value text_of(const char *text)
{
    return (struct value){.kind = text == NULL ? VALUE_NULL : VALUE_TEXT,
                          .length = text == NULL ? 0 : (uint32_t)strlen(text),
                          .text = text};
}

/* Whether the hold blocks: it is there, and nobody has cleared it. */
static bool stands(const struct work *hold)
{
    const struct value *cleared = &hold->row.record.values[HOLD_CLEARED];
    return srv_work_is_live(hold) && (cleared->kind != VALUE_INT || cleared->integer == 0);
}

/* Whether a work is a hold about this record. */
static bool is_about(const struct work *hold, const struct entity *entity, const struct id *id)
{
    const struct record *record = &hold->row.record;
    struct value name = text_of(entity->name);
    return record->entity->kind == ENTITY_HOLD &&
           dk_value_equal(&record->values[HOLD_ENTITY], &name) &&
           dk_id_compare(&record->values[HOLD_RECORD].id, id) == 0;
}

/* Draws in the holds of a record that the store has. A record that is being made has none. */
static bool adopt_holds(struct decision *decision, const struct entity *entity, const struct id *id)
{
    const struct entity *hold = dk_entity(ENTITY_HOLD);
    struct id after = {{0}};
    struct srv_record *rows;
    int count;
    do {
        daybook_status status =
            srv_store_related(decision->store, decision->org->org, hold, HOLD_RECORD, id, &after,
                              HOLD_PAGE, false, decision->arena, &rows, &count);
        if (status != DAYBOOK_OK) {
            return srv_decision_fail(decision, status);
        }
        for (int i = 0; i < count; i++) {
            struct value name = text_of(entity->name);
            after = rows[i].record.id;
            if (dk_value_equal(&rows[i].record.values[HOLD_ENTITY], &name) &&
                srv_work_adopt(decision, &rows[i]) == NULL) {
                return false;
            }
        }
    } while (count == HOLD_PAGE);
    return true;
}

/* The same, where the record was there before this changeset. */
static bool need_holds(struct decision *decision, const struct work *about)
{
    return !about->found || adopt_holds(decision, about->row.record.entity, &about->row.record.id);
}

/* Whether the hold was withdrawn: nobody has cleared it, its reason was gone. */
static bool is_withdrawn(const struct work *hold)
{
    return !stands(hold) && hold->row.record.values[HOLD_CLEARED_BY].kind == VALUE_NULL;
}

/* The hold about this record for this reason that stands, else one that somebody has cleared; NULL:
 * none. */
static struct work *find_hold(const struct decision *decision, const struct work *about,
                              const char *code, const char *detail)
{
    struct value code_value = text_of(code), detail_value = text_of(detail);
    const struct record *record = &about->row.record;
    struct work *found = NULL;
    for (const struct named *at = srv_works_named(decision, &record->id); at != NULL;
         at = srv_named_next(at)) {
        struct work *work = at->work;
        const struct value *values = work->row.record.values;
        if (is_about(work, record->entity, &record->id) && !is_withdrawn(work) &&
            dk_value_equal(&values[HOLD_CODE], &code_value) &&
            dk_value_equal(&values[HOLD_DETAIL], &detail_value)) {
            found = found == NULL || stands(work) ? work : found;
        }
    }
    return found;
}

/* The hold's id follows from the changeset, the record and the reason. */
static bool hold_id(struct decision *decision, const struct work *about,
                    const struct sales_hold *reason, struct id *id)
{
    const struct record *record = &about->row.record;
    const char *detail = reason->detail == NULL ? "" : reason->detail;
    uint8_t hash[HASH_SIZE];
    const struct hash_part parts[] = {{decision->input->changeset.id.bytes, ID_SIZE},
                                      {"hold", 4},
                                      {record->entity->name, strlen(record->entity->name)},
                                      {record->id.bytes, ID_SIZE},
                                      {reason->code, strlen(reason->code)},
                                      {detail, strlen(detail)}};
    if (!srv_hash_parts(parts, (int)(sizeof parts / sizeof parts[0]), hash)) {
        return srv_decision_fail(decision, DAYBOOK_NO_MEMORY);
    }
    *id = dk_id_from_hash(hash);
    return true;
}

/* Makes the hold record beside the decision. */
static bool make_hold(struct decision *decision, const struct work *about,
                      const struct sales_hold *reason)
{
    struct id id;
    char changeset[ID_TEXT_SIZE];
    if (!hold_id(decision, about, reason, &id)) {
        return false;
    }
    struct work *work = srv_work_load(decision, dk_entity(ENTITY_HOLD), &id);
    if (work == NULL) {
        return false;
    }
    struct value *values = work->row.record.values;
    dk_id_to_text(&decision->input->changeset.id, changeset);
    const char *text = dk_arena_copy(decision->arena, changeset, ID_TEXT_SIZE - 1);
    if (text == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    work->effect = EFFECT_NEW;
    work->about = about;
    values[HOLD_ENTITY] = text_of(about->row.record.entity->name);
    values[HOLD_RECORD] = (struct value){.kind = VALUE_ID, .id = about->row.record.id};
    values[HOLD_CODE] = text_of(reason->code);
    values[HOLD_ROLE] = text_of(reason->role);
    values[HOLD_RULE] = text_of(reason->rule);
    values[HOLD_DETAIL] = text_of(reason->detail);
    values[HOLD_CHANGESET] = text_of(text);
    return srv_work_name_fields(decision, work, UINT64_MAX);
}

/* See the header. */
bool srv_decide_hold(struct decision *decision, const struct work *about,
                     const struct sales_hold *reason)
{
    if (!need_holds(decision, about)) {
        return false;
    }
    const struct work *hold = find_hold(decision, about, reason->code, reason->detail);
    return (hold != NULL && stands(hold)) || make_hold(decision, about, reason);
}

/* See the header. */
bool srv_decide_is_held(struct decision *decision, const struct work *about, bool *held)
{
    const struct record *record = &about->row.record;
    *held = false;
    if (!need_holds(decision, about)) {
        return false;
    }
    for (const struct named *at = srv_works_named(decision, &record->id); at != NULL && !*held;
         at = srv_named_next(at)) {
        *held = is_about(at->work, record->entity, &record->id) && stands(at->work);
    }
    return true;
}

/* ---- what the domain rules hold up */

/* Takes back a hold whose reason is gone: cleared by nobody. */
static void withdraw(struct decision *decision, struct work *hold)
{
    struct value *values = hold->row.record.values;
    const struct value cleared[][2] = {
        {{.kind = VALUE_INT, .integer = HOLD_CLEARED}, {.kind = VALUE_INT, .integer = 1}},
        {{.kind = VALUE_INT, .integer = HOLD_CLEARED_TS},
         {.kind = VALUE_INT, .integer = decision->now_ms}},
    };
    for (size_t i = 0; i < sizeof cleared / sizeof cleared[0]; i++) {
        values[cleared[i][0].integer] = cleared[i][1];
    }
    for (int field = HOLD_CLEARED; field <= HOLD_NOTE; field++) {
        struct stamp *stamp = &hold->row.stamps[field];
        *stamp = srv_merge_stamp(decision, stamp, true);
        hold->changed |= (uint64_t)1 << field;
    }
    hold->effect = hold->effect == EFFECT_NONE ? EFFECT_SET : hold->effect;
}

/* See the header. */
bool srv_decide_unhold(struct decision *decision, const struct work *about,
                       const struct sales_hold *reason)
{
    if (!need_holds(decision, about)) {
        return false;
    }
    struct work *hold = find_hold(decision, about, reason->code, reason->detail);
    if (hold != NULL && stands(hold)) {
        withdraw(decision, hold);
    }
    return true;
}

/* Whether one of the reasons is this hold's. */
static bool is_deserved(const struct work *hold, const struct sales_hold *reasons, int count)
{
    const struct value *values = hold->row.record.values;
    for (int i = 0; i < count; i++) {
        struct value code = text_of(reasons[i].code), detail = text_of(reasons[i].detail);
        if (dk_value_equal(&values[HOLD_CODE], &code) &&
            dk_value_equal(&values[HOLD_DETAIL], &detail)) {
            return true;
        }
    }
    return false;
}

/* Whether the hold was made by a domain rule: those have a rule word. */
static bool is_by_rule(const struct work *hold)
{
    return hold->row.record.values[HOLD_RULE].kind == VALUE_TEXT;
}

/* Makes the holds that a record deserves and does not have or had, withdraws those whose reason is
 * gone. */
static bool judge(struct decision *decision, struct work *about)
{
    struct sales_hold reasons[SALES_HOLDS_MAX];
    const struct record *record = &about->row.record;
    int count;
    daybook_status status =
        dk_sales_holds(&decision->reader, &about->row.record, decision->arena, reasons, &count);
    if (status != DAYBOOK_OK) {
        return srv_decision_fail(decision, status);
    }
    if (!need_holds(decision, about)) {
        return false;
    }
    for (const struct named *at = srv_works_named(decision, &record->id); at != NULL;
         at = srv_named_next(at)) {
        struct work *work = at->work;
        if (is_about(work, record->entity, &record->id) && stands(work) && is_by_rule(work) &&
            !is_deserved(work, reasons, count)) {
            withdraw(decision, work);
        }
    }
    for (int i = 0; i < count; i++) {
        if (find_hold(decision, about, reasons[i].code, reasons[i].detail) == NULL &&
            !make_hold(decision, about, &reasons[i])) {
            return false;
        }
    }
    return true;
}

/* The document that a work changes by its lines or itself, where the rules can hold that up. *about
 * NULL: none. */
static bool judged_document(struct decision *decision, const struct work *work, struct work **about)
{
    const struct entity *entity = work->row.record.entity;
    const struct id *parent = srv_work_parent(work);
    *about = NULL;
    if (work->effect == EFFECT_NONE || work->effect == EFFECT_STORED || parent == NULL) {
        return true;
    }
    int document = entity->fields[entity->parent_field].target;
    if (!dk_sales_can_hold(document)) {
        return true;
    }
    *about = srv_work_load(decision, dk_entity(document), parent);
    return *about != NULL;
}

/* See the header. */
bool srv_decide_holds(struct decision *decision)
{
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        struct work *about;
        if (!judged_document(decision, work, &about)) {
            return false;
        }
        if (about == NULL || about->judged || !srv_work_is_live(about)) {
            continue;
        }
        about->judged = true;
        if (!judge(decision, about)) {
            return false;
        }
    }
    return true;
}

/* ---- clearing */

/* See the header. */
bool srv_decide_may_clear(struct decision *decision, const struct work *hold)
{
    const struct record *record = &hold->row.record;
    const struct srv_account *account = &decision->author->account;
    struct value now = text_of(account->role), then = text_of(decision->account.role);
    const struct value *cleared = dk_change_value(hold->change, HOLD_CLEARED);
    const struct value *by = dk_change_value(hold->change, HOLD_CLEARED_BY);
    if (decision->author->is_server) {
        return true;
    }
    if (!dk_value_equal(&record->values[HOLD_ROLE], &now) ||
        !dk_value_equal(&record->values[HOLD_ROLE], &then)) {
        return srv_decision_reject(decision, REJECT_AUTH, record->entity, &record->id, NULL,
                                   "role");
    }
    if (cleared == NULL || cleared->kind != VALUE_INT || cleared->integer == 0) {
        return srv_decision_reject(decision, REJECT_RULE, record->entity, &record->id, "cleared",
                                   "cleared");
    }
    bool self = by != NULL && by->kind == VALUE_ID && dk_id_compare(&by->id, &account->user) == 0;
    return self || srv_decision_reject(decision, REJECT_AUTH, record->entity, &record->id,
                                       "cleared_by", "self");
}
