/* SPDX-License-Identifier: Apache-2.0
 *
 * Proposals: what somebody without the right to decide wants a field under PROPOSE to be, as a
 * record about the record. Made by the third step of the decision, and answered in it. Invariants:
 * 1. A proposal changes nothing but what its author is told. 2. What is accepted takes effect in
 * the same changeset, or goes to the conflict log.
 */
#include "engine/sales/machines.h"
#include "sync-server/decide/redirect.h"
#include "sync-server/decide/work.h"

#include <string.h>

/* See the header. */
bool srv_decide_only_proposes(const struct decision *decision, const struct field *field)
{
    return field->policy == POLICY_PROPOSE &&
           (decision->roles & (MACHINE_M | MACHINE_B | MACHINE_Y)) == 0;
}

/* ---- made */

/* The id follows from the changeset, the field and the record that the change named: where records
 * became one, a changeset may propose something for each. */
static bool proposal_id(struct decision *decision, const struct id *changeset,
                        const struct work *work, const struct field *field, struct id *id)
{
    uint8_t hash[HASH_SIZE];
    const struct record *record =
        decision->from != NULL ? &decision->from->row.record : &work->row.record;
    const struct hash_part parts[] = {{changeset->bytes, ID_SIZE},
                                      {"proposal", 8},
                                      {record->entity->name, strlen(record->entity->name)},
                                      {record->id.bytes, ID_SIZE},
                                      {field->name, strlen(field->name)}};
    if (!srv_hash_parts(parts, (int)(sizeof parts / sizeof parts[0]), hash)) {
        return srv_decision_fail(decision, DAYBOOK_NO_MEMORY);
    }
    *id = dk_id_from_hash(hash);
    return true;
}

/* A text that lives as long as the decision, as a value. */
static struct value text_of(const char *text)
{
    return (struct value){.kind = VALUE_TEXT, .length = (uint32_t)strlen(text), .text = text};
}

/* See the header. */
struct work *srv_make_proposal(struct decision *decision, struct work *work, int field,
                               const struct proposer *proposer, const struct value *base,
                               const struct value *proposed)
{
    const struct record *record = &work->row.record;
    const struct field *definition = &record->entity->fields[field];
    char changeset[ID_TEXT_SIZE];
    struct id id;
    if (!proposal_id(decision, proposer->changeset, work, definition, &id)) {
        return NULL;
    }
    struct work *proposal = srv_work_load(decision, dk_entity(ENTITY_PROPOSAL), &id);
    dk_id_to_text(proposer->changeset, changeset);
    const char *text = dk_arena_copy(decision->arena, changeset, ID_TEXT_SIZE - 1);
    if (proposal == NULL || text == NULL) {
        (void)(proposal != NULL && srv_decision_out_of_memory(decision));
        return NULL;
    }
    struct value *values = proposal->row.record.values;
    proposal->effect = EFFECT_NEW;
    proposal->about = work;
    values[PROPOSAL_ENTITY] = text_of(record->entity->name);
    values[PROPOSAL_RECORD] = (struct value){.kind = VALUE_ID, .id = record->id};
    values[PROPOSAL_FIELD] = text_of(definition->name);
    if (!dk_id_is_zero(proposer->user)) {
        values[PROPOSAL_BY] = (struct value){.kind = VALUE_ID, .id = *proposer->user};
    }
    values[PROPOSAL_DEVICE] =
        (struct value){.kind = VALUE_INT, .integer = (int64_t)proposer->stamp->device_no};
    values[PROPOSAL_CHANGESET] = text_of(text);
    bool fine = srv_value_text(decision, definition, base, &values[PROPOSAL_BASE]) &&
                srv_value_text(decision, definition, proposed, &values[PROPOSAL_PROPOSED]) &&
                srv_merge_trace(decision, work, proposer->stamp);
    return fine ? proposal : NULL;
}

/* See the header. What the author's device shows gives way to what stands. */
bool srv_decide_propose(struct decision *decision, struct work *work, int field,
                        const struct value *proposed)
{
    struct stamp stamp = {decision->position, decision->time, decision->author->device_no};
    struct proposer author = {&decision->input->changeset.id, &decision->author->account.user,
                              &stamp};
    work->own |= (uint64_t)1 << field;
    decision->merged = true;
    return srv_make_proposal(decision, work, field, &author, &work->row.record.values[field],
                             proposed) != NULL;
}

/* ---- answered */

/* The value in a JSON text of the server's own. */
static bool read_value(struct decision *decision, const struct field *field,
                       const struct value *text, struct value *value)
{
    struct json_reader json;
    struct refusal refusal;
    *value = (struct value){.kind = VALUE_NULL};
    if (text->kind == VALUE_NULL) {
        return true;
    }
    char *copy = dk_arena_copy(decision->arena, text->text, text->length);
    if (copy == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    dk_json_open(&json, copy, text->length);
    return dk_value_read_app(&json, field, decision->arena, value, &refusal) ||
           srv_decision_fail(decision,
                             decision->arena->failed ? DAYBOOK_NO_MEMORY : DAYBOOK_CORRUPT);
}

/* Whether the changeset itself says something of the field. */
static bool is_given(const struct work *work, int field)
{
    return work->change != NULL && dk_change_value(work->change, field) != NULL;
}

/* The accepted value onto the record, by LATEST, as of the acceptance: what was given meanwhile and
 * its author had not seen is in conflict with it. Where the record was found to be another, it goes
 * there, of which nothing was before the author's eyes. Who gives the field another value in the
 * same changeset wants that one. */
static bool take_effect(struct decision *decision, const struct work *proposal)
{
    const struct value *values = proposal->row.record.values;
    const struct value *name = &values[PROPOSAL_ENTITY], *field_name = &values[PROPOSAL_FIELD];
    const struct entity *entity = dk_entity_by_name(name->text, name->length);
    int field =
        entity == NULL ? -1 : dk_entity_field(entity, field_name->text, field_name->length, 0);
    struct value value;
    if (field < 0) {
        return srv_decision_fail(decision, DAYBOOK_CORRUPT); /* tables only grow */
    }
    struct work *named = srv_work_load(decision, entity, &values[PROPOSAL_RECORD].id);
    struct work *work = named == NULL ? NULL : srv_redirect_target(decision, named);
    if (work == NULL) {
        return false;
    }
    bool moved = work != named;
    if (moved && !srv_redirect_lead_on(decision, named, work)) {
        return false;
    }
    bool hidden = moved && !work->past && !srv_decide_sees(decision, work->row.bucket);
    if (!srv_work_is_live(work) || hidden) {
        return srv_decide_missing(decision, proposal, "record_id", work);
    }
    if (moved) {
        srv_redirect_tell(decision, named);
    }
    if (is_given(named, field) || is_given(work, field)) {
        return true;
    }
    return read_value(decision, &entity->fields[field], &values[PROPOSAL_PROPOSED], &value) &&
           srv_merge_value(decision, work, field, &value,
                           moved ? 0 : srv_work_seen(decision, proposal->change));
}

/* True where the status has just become this one. */
static bool becomes(const struct work *proposal, const char *status)
{
    const struct value wanted = text_of(status);
    return (proposal->changed >> PROPOSAL_STATUS & 1) != 0 &&
           dk_value_equal(&proposal->row.record.values[PROPOSAL_STATUS], &wanted);
}

/* Who decided it, and when. */
static void sign(struct decision *decision, struct work *proposal)
{
    const struct value signature[2] = {
        {.kind = VALUE_ID, .id = decision->author->account.user},
        {.kind = VALUE_INT, .integer = dk_hlc_ms(decision->time)},
    };
    for (int i = 0; i < 2; i++) {
        int field = PROPOSAL_DECIDED_BY + i;
        proposal->row.record.values[field] = signature[i];
        proposal->row.stamps[field] = srv_merge_stamp(decision, &proposal->row.stamps[field], true);
        proposal->changed |= (uint64_t)1 << field;
        proposal->own |= (uint64_t)1 << field;
    }
    if (dk_id_is_zero(&decision->author->account.user)) {
        proposal->row.record.values[PROPOSAL_DECIDED_BY].kind = VALUE_NULL;
    }
}

/* Nobody withdraws what another has proposed. */
static bool check_author(struct decision *decision, const struct work *proposal)
{
    const struct record *record = &proposal->row.record;
    const struct value *by = &record->values[PROPOSAL_BY];
    bool own =
        decision->author->is_server ||
        (by->kind == VALUE_ID && dk_id_compare(&by->id, &decision->author->account.user) == 0);
    return own || srv_decision_reject(decision, REJECT_TRANSITION, record->entity, &record->id,
                                      "status", "author");
}

/* See the header. */
bool srv_decide_proposals(struct decision *decision)
{
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        if (work->row.record.entity->kind != ENTITY_PROPOSAL || work->change == NULL ||
            (work->changed >> PROPOSAL_STATUS & 1) == 0) {
            continue;
        }
        if ((becomes(work, "withdrawn") && !check_author(decision, work)) ||
            (becomes(work, "accepted") && !take_effect(decision, work))) {
            return false;
        }
        sign(decision, work);
    }
    return true;
}
