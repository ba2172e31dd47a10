/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what the inbox is told of records that the server makes beside its decisions: values that
 * lost, holds, and proposals; and what the store takes over from its user's record. Called by apply
 * for each of their rows. Invariant: one item per such
 * record, on each device whose work it is about.
 */
#include "engine/store/inside.h"

#include "engine/base/text.h"

#include <string.h>

#define TELL_TEXT_SIZE (LIMIT_LABEL_BYTES + 1)

/* The text of a field, or "". */
static void copy_text(const struct record *record, int field, char out[TELL_TEXT_SIZE])
{
    const struct value *value = &record->values[field];
    out[0] = '\0';
    if (value->kind == VALUE_TEXT && value->length < TELL_TEXT_SIZE) {
        memcpy(out, value->text, value->length);
        out[value->length] = '\0';
    }
}

/* The id in a text field. False: there is none. */
static bool read_id(const struct value *value, struct id *id)
{
    return value->kind == VALUE_TEXT && dk_id_from_text(value->text, value->length, id);
}

/* The UUID text of an ID field, or "". */
static void copy_id(const struct value *value, char out[ID_TEXT_SIZE])
{
    out[0] = '\0';
    if (value->kind == VALUE_ID) {
        dk_id_to_text(&value->id, out);
    }
}

/* A kind of record about two values of one field, and where it says so. */
struct told_value {
    const char *kind; /* of its inbox item */
    int entity, record, field, mine, theirs, device, changeset;
    int rest; /* what else mine's group lost; -1: there is no such field */
};

/* A value that lost against somebody else's. */
static const struct told_value superseded = {
    "superseded",  CONFLICT_ENTITY,   CONFLICT_RECORD,    CONFLICT_FIELD,    CONFLICT_LOST,
    CONFLICT_KEPT, CONFLICT_LOST_DEV, CONFLICT_CHANGESET, CONFLICT_LOST_REST};
/* What was done to a quote that had been sent is in another revision, which `mine` names. */
static const struct told_value revision = {"revision",        CONFLICT_ENTITY,    CONFLICT_RECORD,
                                           CONFLICT_FIELD,    CONFLICT_LOST,      CONFLICT_KEPT,
                                           CONFLICT_LOST_DEV, CONFLICT_CHANGESET, -1};
/* A value that somebody has to decide on; the record shows what stands. */
static const struct told_value proposed = {"proposed",      PROPOSAL_ENTITY,    PROPOSAL_RECORD,
                                           PROPOSAL_FIELD,  PROPOSAL_PROPOSED,  PROPOSAL_BASE,
                                           PROPOSAL_DEVICE, PROPOSAL_CHANGESET, -1};

/* Tells of it where the value was of this device, under whatever number. */
static daybook_status tell_value(struct apply *apply, const struct record *record,
                                 const struct told_value *told)
{
    const struct value *values = record->values;
    const struct value *device = &values[told->device];
    const struct value *mine = &values[told->mine], *theirs = &values[told->theirs];
    char entity[TELL_TEXT_SIZE], field[TELL_TEXT_SIZE], record_id[ID_TEXT_SIZE];
    struct id changeset;
    bool own = false;
    daybook_status status = device->kind == VALUE_INT
                                ? dk_identity_is_own(apply->store, device->integer, &own)
                                : DAYBOOK_OK;
    if (status != DAYBOOK_OK || !own) {
        return status;
    }
    copy_text(record, told->entity, entity);
    copy_text(record, told->field, field);
    copy_id(&values[told->record], record_id);
    bool has_changeset = read_id(&values[told->changeset], &changeset);
    struct inbox_item item = {.kind = told->kind,
                              .code = "",
                              .entity = entity,
                              .record_id = record_id,
                              .field = field,
                              .mine = mine->kind == VALUE_TEXT ? mine->text : NULL,
                              .mine_length = mine->length,
                              .theirs = theirs->kind == VALUE_TEXT ? theirs->text : NULL,
                              .theirs_length = theirs->length,
                              .changeset = has_changeset ? &changeset : NULL,
                              .subject = &record->id};
    if (told->rest >= 0 && values[told->rest].kind == VALUE_TEXT) {
        item.rest = values[told->rest].text;
        item.rest_length = values[told->rest].length;
    }
    apply->applied->conflicts++;
    return dk_inbox_add(apply->store, &item);
}

/* Tells of a conflict entry. No field of an entity is named as a revision is. */
static daybook_status tell_conflict(struct apply *apply, const struct record *record)
{
    const struct value *field = &record->values[CONFLICT_FIELD];
    bool is_revision =
        field->kind == VALUE_TEXT && dk_text_equal(field->text, field->length, "revision");
    return tell_value(apply, record, is_revision ? &revision : &superseded);
}

/* A hold that stands because of something that the store's user did. When it does not any more,
 * dk_inbox_drop_holds takes its item away. */
static daybook_status tell_held(struct apply *apply, const struct record *record)
{
    struct store *store = apply->store;
    const struct value *values = record->values;
    const struct value *detail = &values[HOLD_DETAIL], *by = &values[FIELD_CREATED_BY];
    char entity[TELL_TEXT_SIZE], code[TELL_TEXT_SIZE], rule[TELL_TEXT_SIZE];
    char record_id[ID_TEXT_SIZE];
    struct id changeset;
    bool stands = values[HOLD_CLEARED].kind != VALUE_INT || values[HOLD_CLEARED].integer == 0;
    if (!stands || by->kind != VALUE_ID || dk_id_compare(&by->id, &store->memory.state.user) != 0) {
        return DAYBOOK_OK;
    }
    copy_text(record, HOLD_ENTITY, entity);
    copy_text(record, HOLD_CODE, code);
    copy_text(record, HOLD_RULE, rule);
    copy_id(&values[HOLD_RECORD], record_id);
    bool has_changeset = read_id(&values[HOLD_CHANGESET], &changeset);
    struct inbox_item item = {.kind = "held",
                              .code = code,
                              .entity = entity,
                              .record_id = record_id,
                              .rule = rule,
                              .theirs = detail->kind == VALUE_TEXT ? detail->text : NULL,
                              .theirs_length = detail->length,
                              .changeset = has_changeset ? &changeset : NULL,
                              .subject = &record->id};
    apply->applied->conflicts++;
    return dk_inbox_add(store, &item);
}

/* The store's own user: role and territory are what the server says by now, and what is recorded
 * from now on goes by them. */
static daybook_status take_user(struct store *store, const struct record *record)
{
    struct store_state *state = &store->memory.state;
    const struct value *role = &record->values[USER_ROLE];
    const struct value *territory = &record->values[USER_TERRITORY_ID];
    if (dk_id_compare(&record->id, &state->user) != 0) {
        return DAYBOOK_OK;
    }
    if (role->kind == VALUE_TEXT && role->length < sizeof state->role) {
        memcpy(state->role, role->text, role->length);
        state->role[role->length] = '\0';
    }
    memset(&state->territory, 0, sizeof state->territory);
    if (territory->kind == VALUE_ID) {
        state->territory = territory->id;
    }
    return DAYBOOK_OK;
}

/* See inside.h. */
daybook_status dk_apply_tell(struct apply *apply, const struct record *record, bool inserted)
{
    switch (record->entity->kind) {
    case ENTITY_CONFLICT: return inserted ? tell_conflict(apply, record) : DAYBOOK_OK;
    case ENTITY_HOLD: return tell_held(apply, record);
    case ENTITY_PROPOSAL: return inserted ? tell_value(apply, record, &proposed) : DAYBOOK_OK;
    case ENTITY_USER: return take_user(apply->store, record);
    default: return DAYBOOK_OK;
    }
}

/* See inside.h. */
bool dk_apply_tells(const struct entity *entity)
{
    return entity->kind == ENTITY_CONFLICT || entity->kind == ENTITY_HOLD ||
           entity->kind == ENTITY_PROPOSAL || entity->kind == ENTITY_USER;
}

/* See inside.h. */
daybook_status dk_apply_tell_stored(struct apply *apply, const struct entity *entity,
                                    const struct id *id)
{
    struct stored stored;
    bool found;
    daybook_status status =
        dk_records_load(apply->store, entity, id, &apply->store->work, &stored, &found);
    return status == DAYBOOK_OK && found ? dk_apply_tell(apply, &stored.record, false) : status;
}
