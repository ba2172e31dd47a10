/* SPDX-License-Identifier: Apache-2.0
 *
 * What follows from a step of a state machine beyond its record: holds for what needs somebody's
 * word, older revisions that a newer one replaces; and what other records say against a step.
 * Behind the merge. Invariant: both ends of each rule look for the other, so it does not matter
 * which of two steps came first.
 */
#include "engine/sales/day.h"
#include "engine/sales/machines.h"
#include "sync-server/decide/work.h"

#include <string.h>

#define FOLLOW_PAGE 200 /* records read at once */

/* What a walk over records asks of each; *met ends it. False: the decision has failed. */
typedef bool (*walk_ask)(struct decision *decision, const struct record *record, bool *met);

/* Asks the records of an entity that this decision concerns. */
static bool walk_works(struct decision *decision, const struct entity *entity, int field,
                       const struct id *id, walk_ask ask, bool *met)
{
    for (const struct named *at = srv_works_named(decision, id); at != NULL && !*met;
         at = srv_named_next(at)) {
        const struct record *record = &at->work->row.record;
        bool names = record->entity == entity && srv_work_is_live(at->work) &&
                     record->values[field].kind == VALUE_ID &&
                     dk_id_compare(&record->values[field].id, id) == 0;
        if (names && !ask(decision, record, met)) {
            return false;
        }
    }
    return true;
}

/* Walks over the live records of an entity whose ID field names `id`, as they will be, until one
 * meets what is asked for. */
static bool walk_related(struct decision *decision, int kind, int field, const struct id *id,
                         walk_ask ask, bool *met)
{
    const struct entity *entity = dk_entity(kind);
    struct id after = {{0}};
    struct srv_record *rows;
    int count = FOLLOW_PAGE;
    *met = false;
    if (!walk_works(decision, entity, field, id, ask, met)) {
        return false;
    }
    while (!*met && count == FOLLOW_PAGE) {
        daybook_status status =
            srv_store_related(decision->store, decision->org->org, entity, field, id, &after,
                              FOLLOW_PAGE, false, decision->arena, &rows, &count);
        if (status != DAYBOOK_OK) {
            return srv_decision_fail(decision, status);
        }
        for (int i = 0; !*met && i < count; i++) {
            after = rows[i].record.id;
            if (srv_work_find(decision, entity, &after) == NULL &&
                !ask(decision, &rows[i].record, met)) {
                return false;
            }
        }
    }
    return true;
}

/* ---- opportunities */

/* A quote that the customer accepted. */
static bool is_evidence(struct decision *decision, const struct record *quote, bool *met)
{
    (void)decision;
    *met = dk_machine_state(quote) >= RANK_QUOTE_accepted;
    return true;
}

static const struct sales_hold no_evidence = {"REQUIRED", "manager", NULL, NULL};

/* True where the state of the record is due to this changeset. */
static bool has_come(const struct work *work)
{
    return work->stepped || work->effect == EFFECT_NEW;
}

/* Won without a quote that was accepted: for the manager to say. One that is not won, or has come
 * back while a quote was accepted, waits for nobody. */
static bool follow_deal(struct decision *decision, const struct work *deal)
{
    bool met = true;
    bool won = dk_machine_state(&deal->row.record) == RANK_OPPORTUNITY_won;
    if (won && !walk_related(decision, ENTITY_QUOTE, QUOTE_OPPORTUNITY_ID, &deal->row.record.id,
                             is_evidence, &met)) {
        return false;
    }
    return met ? srv_decide_unhold(decision, deal, &no_evidence)
               : !has_come(deal) || srv_decide_hold(decision, deal, &no_evidence);
}

/* A quote that was accepted is what its opportunity may have been waiting for. */
static bool follow_evidence(struct decision *decision, const struct work *quote)
{
    const struct value *id = &quote->row.record.values[QUOTE_OPPORTUNITY_ID];
    if (id->kind != VALUE_ID) {
        return true;
    }
    const struct work *deal = srv_work_load(decision, dk_entity(ENTITY_OPPORTUNITY), &id->id);
    return deal != NULL && (!srv_work_is_live(deal) || follow_deal(decision, deal));
}

/* An order that stands. */
static bool is_standing(struct decision *decision, const struct record *order, bool *met)
{
    int state = dk_machine_state(order);
    (void)decision;
    *met = state != RANK_SALES_ORDER_cancelled && state != RANK_SALES_ORDER_rejected;
    return true;
}

/* A quote of which an order came that stands. */
static bool gave_order(struct decision *decision, const struct record *quote, bool *met)
{
    return walk_related(decision, ENTITY_SALES_ORDER, SALES_ORDER_QUOTE_ID, &quote->id, is_standing,
                        met);
}

/* ---- quotes and their revisions */

/* The quote's first revision. */
static struct id origin_of(const struct record *quote)
{
    const struct value *origin = &quote->values[QUOTE_REVISION_OF];
    return origin->kind == VALUE_ID ? origin->id : quote->id;
}

/* True where the quote has gone out to the customer. */
static bool was_sent(const struct record *quote)
{
    return dk_machine_state(quote) >= RANK_QUOTE_sent;
}

/* Whether a quote comes to this state, or past it, with this changeset. What follows from that
 * follows once: a hold that was cleared does not come back with a later step. */
static bool reaches(const struct work *quote, int rank)
{
    return has_come(quote) && quote->old_rank < rank &&
           dk_machine_state(&quote->row.record) >= rank;
}

/* What a revision that is out means for an older one of the same quote. */
static bool compare(struct decision *decision, struct work *older, const struct work *newer)
{
    static const struct sales_hold hold = {"REV_STALE", "manager", NULL, NULL};
    const struct record *record = &older->row.record;
    if (!srv_work_is_live(older) || !srv_work_is_live(newer) || !was_sent(&newer->row.record)) {
        return true;
    }
    int state = dk_machine_state(record);
    if (state == RANK_QUOTE_sent) {
        return srv_step_by_rule(decision, older, RANK_QUOTE_superseded);
    }
    bool stale = state >= RANK_QUOTE_accepted &&
                 (reaches(older, RANK_QUOTE_accepted) || reaches(newer, RANK_QUOTE_sent));
    return !stale || srv_decide_hold(decision, older, &hold);
}

/* Compares a quote with another revision. */
static bool compare_both(struct decision *decision, struct work *quote, struct work *other)
{
    int64_t rev = quote->row.record.values[QUOTE_REV].integer;
    int64_t other_rev = other->row.record.values[QUOTE_REV].integer;
    return rev == other_rev  ? true
           : rev > other_rev ? compare(decision, other, quote)
                             : compare(decision, quote, other);
}

/* Compares a quote with all other revisions. */
static bool follow_revisions(struct decision *decision, struct work *quote)
{
    const struct entity *entity = quote->row.record.entity;
    struct id origin = origin_of(&quote->row.record), after = {{0}};
    struct srv_record *rows;
    int count;
    struct work *first = srv_work_load(decision, entity, &origin);
    if (first == NULL || (first != quote && !compare_both(decision, quote, first))) {
        return false;
    }
    do {
        daybook_status status =
            srv_store_related(decision->store, decision->org->org, entity, QUOTE_REVISION_OF,
                              &origin, &after, FOLLOW_PAGE, false, decision->arena, &rows, &count);
        if (status != DAYBOOK_OK) {
            return srv_decision_fail(decision, status);
        }
        for (int i = 0; i < count; i++) {
            struct work *other = srv_work_adopt(decision, &rows[i]);
            after = rows[i].record.id;
            if (other == NULL || (other != quote && !compare_both(decision, quote, other))) {
                return false;
            }
        }
    } while (count == FOLLOW_PAGE);
    return true;
}

/* Whether the author of this changeset accepts the quote, or has it accepted on the way further;
 * somebody else may have done so before, unseen. */
static bool accepts(const struct work *quote)
{
    return quote->effect == EFFECT_NEW
               ? reaches(quote, RANK_QUOTE_accepted)
               : quote->taken_from < RANK_QUOTE_accepted && quote->taken >= RANK_QUOTE_accepted;
}

/* Accepted after the day up to which the quote was good: for the manager to say, unless somebody
 * else accepted it in time. The day is the organisation's, the time the true one. */
static bool follow_accepted(struct decision *decision, const struct work *quote)
{
    static const struct sales_hold hold = {"LATE", "manager", NULL, NULL};
    const struct value *valid_to = &quote->row.record.values[QUOTE_VALID_TO];
    if (valid_to->kind != VALUE_INT) {
        return true;
    }
    const struct work *org =
        srv_work_load(decision, dk_entity(ENTITY_ORGANISATION), &decision->org->id);
    if (org == NULL) {
        return false;
    }
    int64_t offset_min = dk_day_offset_min(&org->row.record, decision->true_ms);
    return dk_day_at(decision->true_ms, offset_min) <= valid_to->integer
               ? srv_decide_unhold(decision, quote, &hold)
               : !reaches(quote, RANK_QUOTE_accepted) || srv_decide_hold(decision, quote, &hold);
}

/* ---- all of them */

/* What follows from the step of one record, or from its return. */
static bool follow(struct decision *decision, struct work *work)
{
    switch (work->row.record.entity->kind) {
    case ENTITY_OPPORTUNITY: return follow_deal(decision, work);
    case ENTITY_QUOTE:
        if ((accepts(work) && !follow_accepted(decision, work)) ||
            (reaches(work, RANK_QUOTE_accepted) && !follow_evidence(decision, work))) {
            return false;
        }
        return !has_come(work) || !was_sent(&work->row.record) || follow_revisions(decision, work);
    default: return true;
    }
}

/* See the header. */
bool srv_decide_follow(struct decision *decision)
{
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        bool concerned = work->change != NULL && srv_work_is_live(work) &&
                         (has_come(work) || work->taken > 0 || work->revived) &&
                         dk_machine_field(work->row.record.entity) >= 0;
        if (concerned && !follow(decision, work)) {
            return false;
        }
    }
    return true;
}

/* See the header. */
bool srv_decide_barred(struct decision *decision, struct work *work, unsigned *barred)
{
    bool held = false, ordered = false;
    int kind = (int)work->row.record.entity->kind;
    *barred = 0;
    if (kind == ENTITY_SALES_ORDER && !srv_decide_is_held(decision, work, &held)) {
        return false;
    }
    if (kind == ENTITY_OPPORTUNITY && dk_machine_state(&work->row.record) == RANK_OPPORTUNITY_won &&
        !walk_related(decision, ENTITY_QUOTE, QUOTE_OPPORTUNITY_ID, &work->row.record.id,
                      gave_order, &ordered)) {
        return false;
    }
    *barred = (held ? 1U << MACHINE_NEED_NO_HOLD : 0) | (ordered ? 1U << MACHINE_NEED_NO_ORDER : 0);
    return true;
}
