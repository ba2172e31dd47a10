/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the local write: one transaction of an app becomes records, pending rows and one outbox
 * entry, all or nothing. Called by the API's commit. Invariant: what the outbox body says is
 * exactly what was put on top of the base, so that replaying the bodies gives the rows again.
 *
 * The transaction is the SQLite transaction of dk_store_commit; nothing before it touches the file,
 * and the network is outside.
 */
#include "engine/store/write.h"
#include "engine/store/visits.h"

#include "engine/protocol/convert.h"
#include "engine/sales/machines.h"

#include <assert.h>
#include <string.h>

/* ---- failures */

/* Notes why and for which record the commit fails; returns the status. */
daybook_status dk_write_fail(struct write *write, const struct change *change,
                             daybook_status status, enum reject_code code, const char *field,
                             const char *rule)
{
    write->failure->entity = change->entity;
    write->failure->id = change->id;
    write->failure->refusal = (struct refusal){(int)code, field, rule};
    return status;
}

/* The status that a refusal of the rules has for the app. */
static daybook_status refused(struct write *write, const struct change *change,
                              const struct refusal *refusal)
{
    daybook_status status = DAYBOOK_RULE;
    switch ((enum reject_code)refusal->code) {
    case REJECT_REQUIRED: status = DAYBOOK_REQUIRED; break;
    case REJECT_READONLY:
    case REJECT_IMMUTABLE: status = DAYBOOK_READONLY; break;
    case REJECT_LIMIT: status = DAYBOOK_TOO_LARGE; break;
    default: break;
    }
    return dk_write_fail(write, change, status, (enum reject_code)refusal->code, refusal->field,
                         refusal->rule);
}

/* Whether a device may do this to this entity and these fields. */
static daybook_status check_rights(struct write *write, const struct change *change)
{
    const struct entity *entity = change->entity;
    bool grows = entity->growth == GROWTH_APPEND && change->op != BLOCK_NEW;
    bool shared = entity->writer == WRITER_BOTH && change->op == BLOCK_SET;
    if ((entity->writer != WRITER_DEVICE && !shared) || grows) {
        return dk_write_fail(write, change, DAYBOOK_READONLY, REJECT_READONLY, NULL, "entity");
    }
    for (int i = 0; i < change->value_count; i++) {
        assert(change->values[i].field >= 0 && change->values[i].field < entity->field_count);
        const struct field *field = &entity->fields[change->values[i].field];
        if (!dk_field_is_sent(field)) {
            return dk_write_fail(write, change, DAYBOOK_READONLY, REJECT_READONLY, field->name,
                                 NULL);
        }
        if (change->op == BLOCK_SET && field->policy == POLICY_IMMUTABLE) {
            return dk_write_fail(write, change, DAYBOOK_READONLY, REJECT_IMMUTABLE, field->name,
                                 NULL);
        }
    }
    return DAYBOOK_OK;
}

/* ---- the changeset under way */

/* Appends a copy of a change; the array doubles. Its values stay the caller's. */
daybook_status dk_write_add_change(struct write *write, const struct change *change,
                                   struct change **added)
{
    struct changeset *changeset = &write->changeset;
    if (changeset->change_count == LIMIT_CHANGESET_CHANGES) {
        return dk_write_fail(write, change, DAYBOOK_TOO_LARGE, REJECT_LIMIT, NULL, "changes");
    }
    if (changeset->change_count == write->capacity) {
        int capacity = write->capacity * 2 < 16 ? 16 : write->capacity * 2;
        struct change *changes =
            dk_arena_new(&write->store->arena, (size_t)capacity * sizeof *changes);
        if (changes == NULL) {
            return DAYBOOK_NO_MEMORY;
        }
        if (changeset->change_count > 0) {
            memcpy(changes, changeset->changes, (size_t)changeset->change_count * sizeof *changes);
        }
        changeset->changes = changes;
        write->capacity = capacity;
    }
    *added = &changeset->changes[changeset->change_count++];
    **added = *change;
    return DAYBOOK_OK;
}

/* ---- rules */

/* Puts the change's values into the record; a set or map past its limit is TOO_LARGE. */
static daybook_status assign_all(struct write *write, const struct change *change,
                                 struct record *record)
{
    for (int i = 0; i < change->value_count; i++) {
        daybook_status status = dk_records_assign(record, &change->values[i], &write->store->work);
        if (status != DAYBOOK_OK) {
            const struct field *field = &change->entity->fields[change->values[i].field];
            return dk_write_fail(write, change, status, REJECT_LIMIT, field->name, NULL);
        }
    }
    return DAYBOOK_OK;
}

/* A step of the record's state machine, judged from what this device shows. Where there was no
 * state (-1), it is one from the first. */
static daybook_status check_step(struct write *write, const struct change *change, int before,
                                 const struct record *record)
{
    const char *rule;
    int after = dk_machine_state(record);
    if (before < 0 && after < 0) {
        return DAYBOOK_OK;
    }
    const struct field *field = &record->entity->fields[dk_machine_field(record->entity)];
    if (dk_machine_step(record, before < 0 ? 0 : before, after, write->roles, 0, &rule) !=
        MACHINE_REFUSED) {
        return DAYBOOK_OK;
    }
    return dk_write_fail(write, change, DAYBOOK_RULE, REJECT_TRANSITION, field->name, rule);
}

/* Fills, checks and, where that needs no other record, derives. `state` is the record's before; -1:
 * it had none. */
static daybook_status run_rules(struct write *write, const struct change *change, int state,
                                struct record *record)
{
    struct refusal refusal;
    uint64_t changed;
    struct arena *work = &write->store->work;
    daybook_status status =
        dk_sales_fill(&write->actor, &write->reader, change->op == BLOCK_NEW, record, work);
    if (status != DAYBOOK_OK) {
        return dk_write_fail(write, change, status, REJECT_RULE, NULL, NULL);
    }
    status = check_step(write, change, state, record);
    if (status != DAYBOOK_OK) {
        return status;
    }
    uint64_t fields =
        change->op == BLOCK_NEW ? ALL_FIELDS : dk_records_mask(change->values, change->value_count);
    if (!dk_sales_check(record, fields, &refusal)) {
        return refused(write, change, &refusal);
    }
    if (!write->store->facts[record->entity->kind].derives_alone) {
        return DAYBOOK_OK;
    }
    status = dk_sales_derive(&write->reader, record, work, &changed);
    return status == DAYBOOK_OK ? DAYBOOK_OK
                                : dk_write_fail(write, change, status, REJECT_RULE, NULL, NULL);
}

/* What a change of a visit is to the reckoning: nothing where it is not judged by what changes. One
 * that is gone or does not count by itself is only looked behind, where others are judged by it: by
 * its way, or as twins of one that counts; where it was before, too. */
static daybook_status touch_visit(struct write *write, const struct change *change,
                                  const struct record *before, const struct record *record)
{
    const struct record *after = change->op == BLOCK_DELETE ? NULL : record;
    const struct value *shown = &record->values[VISIT_EFFECTIVE];
    bool counts = shown->kind == VALUE_INT && shown->integer != 0;
    bool was = before != NULL && (counts || dk_visit_is_trace(before));
    bool leaves = was && (after == NULL || !dk_value_equal(&before->values[VISIT_CHECKIN_TS],
                                                           &record->values[VISIT_CHECKIN_TS]));
    daybook_status status = after != NULL && dk_visit_way_differs(before, after)
                                ? dk_visits_note(write->store, &write->touched, record, true)
                                : DAYBOOK_OK;
    if (status == DAYBOOK_OK && leaves) {
        status = dk_visits_note(write->store, &write->touched, before, false);
    }
    uint64_t sent = dk_records_mask(change->values, change->value_count);
    bool open = dk_visit_may_count(record) || counts;
    bool judged =
        change->op == BLOCK_NEW || (change->op == BLOCK_SET && (sent & dk_visit_facts()) != 0);
    return status == DAYBOOK_OK && judged && open
               ? dk_touch(write->store, &write->touched, record->entity, &record->id)
               : status;
}

/* Remembers what must be derived when all rows are written, and the document that a line belongs
 * to. */
daybook_status dk_write_touch(struct write *write, const struct change *change,
                              const struct record *before, const struct record *record)
{
    struct store *store = write->store;
    const struct entity *entity = record->entity;
    store->changed |= dk_store_bit((int)entity->kind);
    if (entity->parent_field >= 0 && record->values[entity->parent_field].kind == VALUE_ID) {
        const struct id *parent = &record->values[entity->parent_field].id;
        const struct entity *document = dk_entity(entity->fields[entity->parent_field].target);
        daybook_status status = dk_touch(store, &write->touched, document, parent);
        if (status == DAYBOOK_OK && change->op == BLOCK_NEW) {
            status = dk_touch_any(store, &write->parents, entity, parent);
        }
        if (status != DAYBOOK_OK) {
            return status;
        }
    }
    if (entity->kind == ENTITY_VISIT) {
        return touch_visit(write, change, before, record);
    }
    if (store->facts[entity->kind].derives_alone || change->op == BLOCK_DELETE) {
        return DAYBOOK_OK;
    }
    return dk_touch(store, &write->touched, entity, &record->id);
}

/* ---- new */

/* A record that is deleted here, or was evicted with changes pending, has no row, but its id is
 * taken. */
static daybook_status check_free(struct write *write, const struct change *change)
{
    struct holding holding;
    if (write->store->memory.hidden_rows == 0) {
        return DAYBOOK_OK;
    }
    holding.entity = change->entity;
    holding.id = change->id;
    holding.has_row = false;
    daybook_status status = dk_pending_load_beside(write->store, &write->store->work, &holding);
    if (status == DAYBOOK_OK && holding.is_pending) {
        return dk_write_fail(write, change, DAYBOOK_EXISTS, REJECT_EXISTS, NULL, NULL);
    }
    return status;
}

/* The first state of a machine that came after schema 1 is said: a server that does not know it
 * keeps it as it is, as this device does. */
static daybook_status name_state(struct write *write, struct change *change)
{
    int field = dk_machine_field(change->entity);
    if (field < 0 || change->entity->fields[field].since == 1) {
        return DAYBOOK_OK;
    }
    const char *first = change->entity->fields[field].choices[0];
    struct value value = {.kind = VALUE_TEXT, .length = (uint32_t)strlen(first), .text = first};
    bool said = dk_convert_add(change, field, &value, &write->store->arena);
    return said ? DAYBOOK_OK : DAYBOOK_NO_MEMORY;
}

/* A record that is made: rules, then one INSERT, whose row says by its version what is pending. */
static daybook_status write_new(struct write *write, struct change *change)
{
    struct record record, before;
    bool inserted, numbered;
    dk_records_empty(&record, change->entity, &change->id);
    dk_records_empty(&before, change->entity, &change->id);
    daybook_status status = dk_number_give(write->store, change, &write->store->arena, &numbered);
    if (status == DAYBOOK_OK) {
        status = name_state(write, change);
    }
    if (status == DAYBOOK_OK) {
        status = assign_all(write, change, &record);
    }
    if (status == DAYBOOK_OK) {
        status = dk_forms_settle(write->store, change, &before, &record);
    }
    if (status == DAYBOOK_OK) {
        status = run_rules(write, change, -1, &record);
    }
    if (status == DAYBOOK_OK) {
        status = dk_write_check_frozen(write, change, &record, ALL_FIELDS);
    }
    if (status == DAYBOOK_OK) {
        status = check_free(write, change);
    }
    if (status == DAYBOOK_OK) {
        status = dk_records_insert(write->store, &record, dk_version_made(write->changeset.seq), 0,
                                   &inserted);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (!inserted) {
        return dk_write_fail(write, change, DAYBOOK_EXISTS, REJECT_EXISTS, NULL, NULL);
    }
    change->seen = 0;
    status = dk_write_note_step(write, change, 0, &record);
    return status == DAYBOOK_OK ? dk_write_touch(write, change, NULL, &record) : status;
}

/* ---- set and delete */

/* There is no such record. A document that was fetched is none: it can be read only. */
static daybook_status missing(struct write *write, const struct change *change)
{
    bool fetched = false;
    daybook_status status = dk_fetched_has(write->store, change->entity, &change->id, &fetched);
    if (status != DAYBOOK_OK) {
        return status;
    }
    return fetched
               ? dk_write_fail(write, change, DAYBOOK_READONLY, REJECT_READONLY, NULL, "fetched")
               : dk_write_fail(write, change, DAYBOOK_NOT_FOUND, REJECT_NONE, NULL, NULL);
}

/* What a version that the app named says in the present log. One of an earlier epoch says only that
 * what both logs have was seen. Where an app read it the version does not say: after an epoch has
 * ended, one that may be of its log counts as such, except where it is the record's present one. */
static daybook_status named_seen(struct write *write, const struct holding *holding, int64_t *seen)
{
    const struct store_memory *memory = &write->store->memory;
    if (write->epoch != memory->state.epoch) {
        return dk_stale_seen(write->store, write->epoch, seen);
    }
    bool is_present = *seen == holding->row.record.version || *seen == holding->base_version;
    if (*seen > memory->former_shared && *seen <= memory->former_position && !is_present) {
        *seen = memory->former_shared;
    }
    return DAYBOOK_OK;
}

/* Loads the record that a change is about and settles what version it has seen. The newest version
 * that can have been seen is the base's, though the record shows the oldest that is pending. */
daybook_status dk_write_load_seen(struct write *write, struct change *change,
                                  struct holding *holding)
{
    daybook_status status =
        dk_pending_load(write->store, change->entity, &change->id, &write->store->work, holding);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (!holding->has_row) {
        return missing(write, change);
    }
    if (holding->is_pending && holding->last == write->changeset.seq) {
        return dk_write_fail(write, change, DAYBOOK_MISUSE, REJECT_SCHEMA, NULL, "twice");
    }
    if (change->seen == -1) { /* blind: over whatever the server has */
        change->seen = holding->base_version;
    } else {
        int64_t shown = holding->row.record.version;
        int64_t newest = shown > holding->base_version ? shown : holding->base_version;
        status = named_seen(write, holding, &change->seen);
        if (status != DAYBOOK_OK) {
            return status;
        }
        if (change->seen < 0 || change->seen > newest) {
            return dk_write_fail(write, change, DAYBOOK_BAD_VERSION, REJECT_NONE, NULL, NULL);
        }
    }
    return dk_write_present_seen(write, holding, &change->seen);
}

daybook_status dk_write_present_seen(struct write *write, const struct holding *holding,
                                     int64_t *seen)
{
    uint64_t epoch = holding->base_bucket < 0 ? write->store->memory.stale_epoch : 0;
    return epoch == 0 ? DAYBOOK_OK : dk_stale_seen(write->store, epoch, seen);
}

/* Adds this changeset to what is pending for the record. */
void dk_write_extend(struct write *write, const struct change *change, struct holding *holding)
{
    if (!holding->is_pending) {
        holding->first = write->changeset.seq;
        holding->seen = change->seen;
    }
    holding->last = write->changeset.seq;
    holding->seen = change->seen < holding->seen ? change->seen : holding->seen;
}

/* Fields of which two states of a record differ. */
static uint64_t difference(const struct record *a, const struct record *b)
{
    uint64_t mask = 0;
    for (int i = 0; i < a->entity->field_count; i++) {
        mask |= dk_value_equal(&a->values[i], &b->values[i]) ? 0 : (uint64_t)1 << i;
    }
    return mask;
}

/* Puts a changed record: its base values aside, its pending row, its changed columns. */
daybook_status dk_write_put(struct write *write, const struct change *change,
                            struct holding *holding, const struct record *record)
{
    uint64_t sent = dk_records_mask(change->values, change->value_count);
    uint64_t changed = difference(&holding->row.record, record);
    dk_write_extend(write, change, holding);
    daybook_status status =
        dk_pending_extend(write->store, holding, &holding->row.record, sent | changed);
    if (status == DAYBOOK_OK) {
        status = dk_pending_write(write->store, holding, true);
    }
    if (status == DAYBOOK_OK) {
        status =
            dk_records_update(write->store, record, changed, dk_version_pending(holding->slot), 0);
    }
    return status == DAYBOOK_OK ? dk_write_touch(write, change, &holding->row.record, record)
                                : status;
}

/* Single fields of a record that is seen: rules, base values, pending row, changed columns. */
static daybook_status write_set(struct write *write, struct change *change)
{
    struct holding holding;
    struct record record;
    daybook_status status = dk_write_load_seen(write, change, &holding);
    if (status != DAYBOOK_OK) {
        return status;
    }
    record = holding.row.record;
    status = assign_all(write, change, &record);
    if (status == DAYBOOK_OK) {
        status = dk_forms_settle(write->store, change, &holding.row.record, &record);
    }
    if (status == DAYBOOK_OK) {
        status = dk_forms_carry_groups(write->store, change, &record);
    }
    if (status == DAYBOOK_OK) {
        status = run_rules(write, change, dk_machine_state(&holding.row.record), &record);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    int state = dk_machine_state(&holding.row.record);
    status = dk_write_check_frozen(write, change, &holding.row.record,
                                   difference(&holding.row.record, &record));
    if (status == DAYBOOK_OK) {
        status = dk_write_put(write, change, &holding, &record);
    }
    return status == DAYBOOK_OK ? dk_write_note_step(write, change, state, &record) : status;
}

/* One change of the app. `given->seen` becomes what goes up. */
static daybook_status write_change(struct write *write, struct change *given)
{
    struct change *change;
    daybook_status status = check_rights(write, given);
    dk_arena_reset(&write->store->work);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (given->op == BLOCK_DELETE && write->cascaded) {
        change = dk_write_find(write, given->entity, &given->id);
        if (change != NULL && change->op == BLOCK_DELETE) {
            given->seen = change->seen; /* went with its document */
            return DAYBOOK_OK;
        }
    }
    status = dk_write_add_change(write, given, &change);
    if (status != DAYBOOK_OK) {
        return status;
    }
    switch (given->op) {
    case BLOCK_NEW: status = write_new(write, change); break;
    case BLOCK_SET: status = write_set(write, change); break;
    case BLOCK_DELETE: return dk_write_delete(write, change, &given->seen);
    default: return dk_write_fail(write, given, DAYBOOK_MISUSE, REJECT_SCHEMA, NULL, "op");
    }
    given->seen = change->seen;
    return status;
}

/* ---- the end of the transaction */

/* No document has more lines than the limit. `entity` of the parents is that of the lines. */
static daybook_status check_children(struct write *write)
{
    for (int i = 0; i < write->parents.count; i++) {
        const struct touched_record *parent = &write->parents.items[i];
        struct id *ids;
        int count;
        dk_arena_reset(&write->store->work);
        daybook_status status = dk_records_children(write->store, parent->entity, &parent->id,
                                                    &write->store->work, &ids, &count);
        if (status != DAYBOOK_OK) {
            return status;
        }
        if (count > LIMIT_CHILDREN) {
            struct change change = {.entity = parent->entity, .id = ids[count - 1]};
            return dk_write_fail(write, &change, DAYBOOK_TOO_LARGE, REJECT_LIMIT, NULL, "children");
        }
    }
    return DAYBOOK_OK;
}

/* Which records the changeset makes: entity number and id, see schema.c. */
static daybook_status list_made(struct write *write, struct buffer *made)
{
    const struct changeset *changeset = &write->changeset;
    for (int i = 0; i < changeset->change_count; i++) {
        const struct change *change = &changeset->changes[i];
        if (change->op == BLOCK_NEW) {
            dk_buffer_append_char(made, (char)write->store->facts[change->entity->kind].number);
            dk_buffer_append(made, change->id.bytes, ID_SIZE);
        }
    }
    return made->status;
}

/* Encodes the changeset and appends it to the outbox. */
static daybook_status append_outbox(struct write *write, int64_t now_ms)
{
    struct store *store = write->store;
    struct store_state *state = &store->memory.state;
    struct changeset *changeset = &write->changeset;
    daybook_status status = dk_store_random_id(store, &changeset->id);
    if (status != DAYBOOK_OK) {
        return status;
    }
    changeset->epoch = state->epoch;
    /* Numbers of the wire stay below 2^63. */
    changeset->boot = store->boot;
    changeset->steady_ms = store->platform.steady_ms(store->platform.context);
    changeset->schema = SCHEMA_VERSION;
    dk_buffer_reset(&store->body);
    dk_buffer_reset(&store->text);
    dk_changeset_encode(&store->body, changeset);
    status = store->body.status;
    if (status == DAYBOOK_OK) {
        status = list_made(write, &store->text);
    }
    if (status == DAYBOOK_OK) {
        status = dk_outbox_add(store, changeset, &store->text, &store->body, now_ms);
    }
    if (status == DAYBOOK_OK) {
        state->next_seq++;
        store->changed |= STORE_CHANGED_SYNC;
    }
    return status;
}

/* Inbox items that the app has dealt with by this commit; one that is gone already is no failure.
 */
static daybook_status discard(struct write *write, const int64_t *items, int count)
{
    daybook_status status = DAYBOOK_OK;
    for (int i = 0; i < count && status == DAYBOOK_OK; i++) {
        bool found;
        status = dk_inbox_remove(write->store, items[i], &found);
    }
    return status;
}

/* The number, stamp and author of the transaction under way. */
static void begin_write(struct write *write, int64_t now_ms)
{
    struct store *store = write->store;
    struct store_state *state = &store->memory.state;
    write->changeset.seq = state->next_seq;
    write->changeset.time = dk_hlc_tick(&state->clock, now_ms);
    write->reader = dk_records_reader(store);
    write->actor = (struct sales_actor){.user = state->user,
                                        .territory = state->territory,
                                        .device_no = state->device_no,
                                        .on_device = true,
                                        .time_ms = dk_hlc_ms(write->changeset.time)};
    write->roles = dk_machine_roles(state->role);
}

daybook_status dk_store_commit(struct store *store, struct change *changes, int count,
                               uint64_t epoch, const int64_t *discard_items, int discard_count,
                               struct store_failure *failure)
{
    struct write write = {
        .store = store, .failure = failure, .epoch = epoch, .touched = {.noted = true}};
    memset(failure, 0, sizeof *failure);
    if (count == 0 && discard_count == 0) {
        return DAYBOOK_OK;
    }
    daybook_status status = dk_store_begin(store);
    if (status != DAYBOOK_OK) {
        return status;
    }
    int64_t now_ms = dk_store_wall_ms(store);
    begin_write(&write, now_ms);
    for (int i = 0; i < count && status == DAYBOOK_OK; i++) {
        status = write_change(&write, &changes[i]);
    }
    if (status == DAYBOOK_OK) {
        status = check_children(&write);
    }
    if (status == DAYBOOK_OK) {
        status = dk_write_copies(&write);
    }
    if (status == DAYBOOK_OK) {
        status = dk_touched_derive(store, &write.touched, false);
    }
    if (status == DAYBOOK_OK && write.changeset.change_count > 0) {
        status = append_outbox(&write, now_ms);
    }
    if (status == DAYBOOK_OK) {
        status = discard(&write, discard_items, discard_count);
    }
    return dk_store_end(store, status);
}
