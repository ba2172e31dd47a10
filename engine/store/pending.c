/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns table pending: what the server has of the records that this device has changed meanwhile.
 * Called by commit and apply. Invariants: those of store.h 1 and 2; a record made here by one
 * changeset, and not touched since, has no row here, but the version -seq.
 *
 * Base values are a JSON object by field name, as dk_value_write writes them, with "" for the
 * fields of newer schemas. While the record has a row they are those of the fields in `touched`;
 * without a row they are all that are not NULL.
 */
#include "engine/store/inside.h"

#include <assert.h>
#include <string.h>

/* ---- base values as text */

daybook_status dk_pending_base_text(struct store *store, const struct record *base, uint64_t fields,
                                    bool whole)
{
    const struct entity *entity = base->entity;
    struct buffer *out = &store->text;
    const char *separator = "{";
    dk_buffer_reset(out);
    for (int i = 0; i < entity->field_count; i++) {
        bool is_null = base->values[i].kind == VALUE_NULL;
        if ((fields >> i & 1) == 0 || (whole && is_null)) {
            continue;
        }
        dk_buffer_append_text(out, separator);
        dk_json_write_string(out, entity->fields[i].name, strlen(entity->fields[i].name));
        dk_buffer_append_char(out, ':');
        dk_value_write(out, &entity->fields[i], &base->values[i]);
        separator = ",";
    }
    if (whole && base->extra.kind == VALUE_TEXT) {
        dk_buffer_append_text(out, separator);
        dk_buffer_append_text(out, "\"\":");
        dk_buffer_append(out, base->extra.text, base->extra.length);
        separator = ",";
    }
    dk_buffer_append_text(out, *separator == '{' ? "{}" : "}");
    return out->status;
}

/* Puts the values of the text into the record. Members that the schema no longer knows are passed
 * over. */
static daybook_status read_base_text(const struct value *text, struct arena *arena,
                                     struct record *record)
{
    const struct entity *entity = record->entity;
    struct json_reader json;
    enum json_type type;
    struct refusal refusal = {0, NULL, NULL};
    char *copy = dk_arena_copy(arena, text->text, text->length);
    if (copy == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    dk_json_open(&json, copy, text->length);
    if (dk_json_next(&json) != JSON_OBJECT) {
        return DAYBOOK_CORRUPT;
    }
    int field = -1;
    while ((type = dk_json_key(&json)) == JSON_STRING) {
        const char *raw;
        size_t length;
        bool is_extra = json.length == 0;
        int found = dk_entity_field(entity, json.text, json.length, field + 1);
        if (found >= 0) {
            field = found;
            if (!dk_value_read_decided(&json, &entity->fields[found], arena, &record->values[found],
                                       &refusal)) {
                return arena->failed ? DAYBOOK_NO_MEMORY : DAYBOOK_CORRUPT;
            }
        } else if (!dk_json_skip(&json, &raw, &length)) {
            return DAYBOOK_CORRUPT;
        } else if (is_extra) {
            record->extra = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)length};
            record->extra.text = raw;
        }
    }
    return type == JSON_END ? DAYBOOK_OK : DAYBOOK_CORRUPT;
}

/* ---- rows */

/* Takes over the columns that both statements below select. */
static daybook_status take_row(struct statement *load, struct arena *arena, struct holding *holding)
{
    size_t length;
    holding->is_pending = true;
    holding->slot = dk_column_int(load, 0);
    holding->first = dk_column_int(load, 1);
    holding->last = dk_column_int(load, 2);
    holding->seen = dk_column_int(load, 3);
    holding->base_state = (enum base_state)dk_column_int(load, 4);
    holding->base_version = dk_column_int(load, 5);
    holding->base_bucket = dk_column_int(load, 6);
    holding->touched = (uint64_t)dk_column_int(load, 7);
    const char *text = dk_column_text(load, 8, &length);
    if (text != NULL) {
        holding->base_text = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)length};
        holding->base_text.text = dk_arena_copy(arena, text, length);
    }
    dk_reset(load);
    return arena->failed ? DAYBOOK_NO_MEMORY : DAYBOOK_OK;
}

/* The row in the slot that the record's version names. */
static daybook_status load_slot(struct store *store, int64_t slot, struct arena *arena,
                                struct holding *holding)
{
    daybook_status status;
    bool found;
    struct statement *load = dk_statement(
        &store->database, &store->slots.pending_load,
        "SELECT slot,seq_first,seq_last,seen,base_state,base_version,bucket,touched,base"
        " FROM pending WHERE slot=?",
        &status);
    if (load == NULL) {
        return status;
    }
    dk_bind_int(load, 1, slot);
    status = dk_step(load, &found);
    if (status != DAYBOOK_OK || !found) {
        return status == DAYBOOK_OK ? DAYBOOK_CORRUPT : status;
    }
    status = take_row(load, arena, holding);
    holding->row.record.version = holding->seen;
    return status;
}

/* The row of a record that has none of its own, where there is one. */
static daybook_status load_hidden(struct store *store, struct arena *arena, struct holding *holding)
{
    daybook_status status;
    bool found;
    struct statement *find = dk_statement(
        &store->database, &store->slots.pending_find,
        "SELECT p.slot,seq_first,seq_last,seen,base_state,base_version,bucket,touched,base"
        " FROM hidden h JOIN pending p ON p.slot=h.slot WHERE h.entity=? AND h.id=?",
        &status);
    if (find == NULL) {
        return status;
    }
    dk_bind_int(find, 1, store->facts[holding->entity->kind].number);
    dk_bind_id(find, 2, &holding->id);
    status = dk_step(find, &found);
    if (status != DAYBOOK_OK || !found) {
        return status;
    }
    holding->is_hidden = true;
    return take_row(find, arena, holding);
}

/* A record that nothing is pending for is its own base. */
daybook_status dk_pending_load_beside(struct store *store, struct arena *arena,
                                      struct holding *holding)
{
    int64_t version = holding->has_row ? holding->row.version : 0;
    bool made_here = dk_version_is_made(version);
    holding->is_pending = made_here;
    holding->is_implied = made_here;
    holding->is_hidden = false;
    holding->slot = 0;
    holding->touched = 0;
    holding->base_text = (struct value){.kind = VALUE_NULL};
    holding->first = holding->last = made_here ? (-version - 1) / 2 : 0;
    holding->base_state = holding->has_row && !made_here ? BASE_HELD : BASE_ABSENT;
    holding->base_version = made_here ? 0 : version;
    holding->base_bucket = holding->base_state == BASE_HELD ? holding->row.bucket : 0;
    holding->seen = holding->base_version;
    if (version < 0 && !made_here) {
        return load_slot(store, -(version / 2), arena, holding);
    }
    if (!holding->has_row && store->memory.hidden_rows > 0) {
        return load_hidden(store, arena, holding);
    }
    return DAYBOOK_OK;
}

daybook_status dk_pending_load(struct store *store, const struct entity *entity,
                               const struct id *id, struct arena *arena, struct holding *holding)
{
    holding->entity = entity;
    holding->id = *id;
    daybook_status status =
        dk_records_load(store, entity, id, arena, &holding->row, &holding->has_row);
    return status != DAYBOOK_OK ? status : dk_pending_load_beside(store, arena, holding);
}

/* Where the row shows pending changes, the base's own values are those of the text on the row's. */
daybook_status dk_pending_base(const struct holding *holding, struct arena *arena,
                               struct base *base)
{
    base->state = holding->base_state;
    base->version = holding->base_version;
    base->bucket = holding->base_bucket;
    if (holding->base_state == BASE_ABSENT || !holding->has_row) {
        dk_records_empty(&base->record, holding->entity, &holding->id);
    } else {
        base->record = holding->row.record;
    }
    base->record.version = base->version;
    if (holding->base_state == BASE_ABSENT || holding->base_text.kind == VALUE_NULL) {
        return DAYBOOK_OK;
    }
    return read_base_text(&holding->base_text, arena, &base->record);
}

/* Slots ascend, so rows are appended whatever the order of the records. */
static struct statement *begin_put(struct store *store, struct holding *holding,
                                   daybook_status *status)
{
    if (holding->slot == 0) {
        holding->slot = store->memory.next_slot++;
        store->memory.pending_rows++;
        return dk_statement(&store->database, &store->slots.pending_add,
                            "INSERT INTO pending(slot,entity,id,seq_first,seq_last,seen,base_state,"
                            "base_version,bucket,touched,base)"
                            " VALUES(?1,?9,?10,?2,?3,?4,?5,?6,?7,?8,?11)",
                            status);
    }
    return dk_statement(&store->database, &store->slots.pending_put,
                        "UPDATE pending SET seq_first=?2,seq_last=?3,seen=?4,base_state=?5,"
                        "base_version=?6,bucket=?7,touched=?8,base=?11 WHERE slot=?1",
                        status);
}

/* Enters the record into table hidden, or takes it out. */
static daybook_status hide(struct store *store, struct holding *holding, bool hidden)
{
    daybook_status status;
    if (hidden == holding->is_hidden) {
        return DAYBOOK_OK;
    }
    struct statement *statement =
        hidden ? dk_statement(&store->database, &store->slots.hidden_add,
                              "INSERT INTO hidden(entity,id,slot) VALUES(?1,?2,?3)", &status)
               : dk_statement(&store->database, &store->slots.hidden_remove,
                              "DELETE FROM hidden WHERE entity=?1 AND id=?2 AND slot=?3", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, store->facts[holding->entity->kind].number);
    dk_bind_id(statement, 2, &holding->id);
    dk_bind_int(statement, 3, holding->slot);
    status = dk_step_done(statement);
    if (status == DAYBOOK_OK) {
        store->memory.hidden_rows += hidden ? 1 : -1;
        holding->is_hidden = hidden;
    }
    return status;
}

daybook_status dk_pending_write(struct store *store, struct holding *holding, bool visible)
{
    daybook_status status;
    bool fresh = holding->slot == 0;
    struct statement *put = begin_put(store, holding, &status);
    if (put == NULL) {
        return status;
    }
    dk_bind_int(put, 1, holding->slot);
    dk_bind_int(put, 2, holding->first);
    dk_bind_int(put, 3, holding->last);
    dk_bind_int(put, 4, holding->seen);
    dk_bind_int(put, 5, holding->base_state);
    dk_bind_int(put, 6, holding->base_version);
    dk_bind_int(put, 7, holding->base_bucket);
    dk_bind_int(put, 8, (int64_t)holding->touched);
    if (fresh) {
        dk_bind_int(put, 9, store->facts[holding->entity->kind].number);
        dk_bind_id(put, 10, &holding->id);
    }
    if (holding->base_text.kind == VALUE_TEXT) {
        dk_bind_text(put, 11, holding->base_text.text, holding->base_text.length);
    }
    status = dk_step_done(put);
    return status == DAYBOOK_OK ? hide(store, holding, !visible) : status;
}

/* Adds the base values of fields that were not touched before: {"a":1} and {"b":2} become
 * {"a":1,"b":2}. */
daybook_status dk_pending_extend(struct store *store, struct holding *holding,
                                 const struct record *before, uint64_t fields)
{
    uint64_t fresh = fields & ~holding->touched & ~store->facts[holding->entity->kind].derived;
    struct value *text = &holding->base_text;
    holding->touched |= fresh;
    if (holding->base_state == BASE_ABSENT || (fresh == 0 && text->kind == VALUE_TEXT)) {
        return DAYBOOK_OK;
    }
    daybook_status status = dk_pending_base_text(store, before, fresh, false);
    if (status != DAYBOOK_OK) {
        return status;
    }
    size_t old = text->kind == VALUE_TEXT && text->length > 2 ? text->length - 1 : 0;
    size_t length = old + store->text.length;
    char *joined = dk_arena_new(&store->work, length + 1);
    if (joined == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    if (old > 0) {
        memcpy(joined, text->text, old);
    }
    memcpy(joined + old, store->text.bytes, store->text.length);
    if (old > 0) {
        joined[old] = store->text.length > 2 ? ',' : '}';
        length -= store->text.length > 2 ? 0 : 1;
    }
    *text = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)length};
    text->text = joined;
    return DAYBOOK_OK;
}

/* Implied ones have no row to remove. */
daybook_status dk_pending_remove(struct store *store, const struct holding *holding)
{
    daybook_status status;
    struct holding gone = *holding;
    if (holding->slot == 0) {
        return DAYBOOK_OK;
    }
    struct statement *statement = dk_statement(&store->database, &store->slots.pending_remove,
                                               "DELETE FROM pending WHERE slot=?", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, holding->slot);
    status = dk_step_done(statement);
    if (status == DAYBOOK_OK) {
        store->memory.pending_rows--;
        status = hide(store, &gone, false);
    }
    return status;
}

/* ---- the overlay, made anew */

struct overlay {
    struct record record;
    bool visible;
    bool made_here; /* one of the changes makes the record */
    int64_t seen;
    uint64_t sent; /* fields that the changes name */
    hlc time;      /* of the change that makes it, else of the last */
};

/* Puts the changes on top of the base, in order. A change of a record that is not there stays
 * hidden. */
static daybook_status replay(const struct base *base, const struct outbox_change *changes,
                             int count, struct arena *arena, struct overlay *overlay)
{
    bool known = base->state != BASE_ABSENT; /* there are values to change */
    overlay->record = base->record;
    overlay->visible = base->state == BASE_HELD;
    overlay->made_here = false;
    overlay->seen = INT64_MAX;
    overlay->sent = 0;
    for (int i = 0; i < count; i++) {
        const struct change *change = &changes[i].change;
        overlay->seen = change->seen < overlay->seen ? change->seen : overlay->seen;
        overlay->time = overlay->made_here ? overlay->time : changes[i].time;
        overlay->sent |= dk_records_mask(change->values, change->value_count);
        if (dk_change_is_sight(change)) {
            continue;
        }
        if (change->op == BLOCK_DELETE) {
            overlay->visible = false;
            continue;
        }
        if (change->op == BLOCK_NEW) {
            overlay->made_here = true;
            known = true;
        }
        overlay->visible = known;
        daybook_status status = dk_records_replay(&overlay->record, change, arena);
        if (status != DAYBOOK_OK) {
            return status;
        }
    }
    return DAYBOOK_OK;
}

/* The values that the rules set by themselves, as commit had set them. */
static daybook_status fill(struct store *store, const struct base *base, struct overlay *overlay,
                           struct arena *arena)
{
    struct sales_reader reader = dk_records_reader(store);
    struct sales_actor actor = {.user = store->memory.state.user,
                                .territory = store->memory.state.territory,
                                .device_no = store->memory.state.device_no,
                                .on_device = true,
                                .time_ms = dk_hlc_ms(overlay->time)};
    bool created = overlay->made_here && base->state == BASE_ABSENT;
    return dk_sales_fill(&actor, &reader, created, &overlay->record, arena);
}

/* The fields whose values differ from the base's though no change names them. */
static uint64_t filled_fields(const struct base *base, const struct overlay *overlay)
{
    const struct entity *entity = base->record.entity;
    uint64_t mask = 0;
    for (int i = 0; i < entity->field_count; i++) {
        bool same = dk_value_equal(&base->record.values[i], &overlay->record.values[i]);
        mask |= same ? 0 : (uint64_t)1 << i;
    }
    return mask;
}

/* Nothing is pending any more: the base is all. */
static daybook_status write_base(struct store *store, const struct holding *old,
                                 const struct base *base)
{
    daybook_status status = dk_pending_remove(store, old);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (base->state == BASE_HELD) {
        return dk_records_replace(store, &base->record, base->version, base->bucket);
    }
    return old->has_row ? dk_records_remove(store, old->entity, &old->id) : DAYBOOK_OK;
}

/* Row and pending row of an overlay over its base. */
static daybook_status write_overlay(struct store *store, const struct holding *old,
                                    const struct base *base, const struct overlay *overlay,
                                    int64_t first, int64_t last)
{
    struct holding new = *old;
    daybook_status status = DAYBOOK_OK;
    uint64_t derived = store->facts[old->entity->kind].derived;
    if (base->state == BASE_ABSENT && overlay->visible && overlay->made_here && first == last) {
        status = dk_pending_remove(store, old);
        return status == DAYBOOK_OK ? dk_records_replace(store, &overlay->record,
                                                         dk_version_made(first), base->bucket)
                                    : status;
    }
    new.first = first;
    new.last = last;
    new.seen = overlay->seen;
    new.base_state = base->state;
    new.base_version = base->version;
    new.base_bucket = base->bucket;
    new.base_text = (struct value){.kind = VALUE_NULL};
    new.touched = overlay->visible ? (overlay->sent | filled_fields(base, overlay)) & ~derived
                                   : ALL_FIELDS & ~derived;
    if (base->state != BASE_ABSENT) {
        status = dk_pending_base_text(store, &base->record, new.touched, !overlay->visible);
        new.base_text = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)store->text.length};
        new.base_text.text = store->text.bytes;
    }
    if (status == DAYBOOK_OK) {
        status = dk_pending_write(store, &new, overlay->visible);
    }
    if (status == DAYBOOK_OK && overlay->visible) {
        return dk_records_replace(store, &overlay->record, dk_version_pending(new.slot),
                                  base->bucket);
    }
    return status == DAYBOOK_OK && old->has_row ? dk_records_remove(store, old->entity, &old->id)
                                                : status;
}

/* The row as it was and as it becomes are remembered for derivation, so that a document adds up
 * whichever lines come and go. */
daybook_status dk_pending_rebuild(struct store *store, const struct holding *old,
                                  const struct base *base, struct touched *touched)
{
    struct outbox_change *changes = NULL;
    struct overlay overlay;
    int count = 0;
    struct arena *arena = &store->work;
    dk_sums_base(store, old, base->version, base->state == BASE_HELD ? base->bucket : 0);
    daybook_status status =
        old->has_row ? dk_touch_record(store, touched, &old->row.record) : DAYBOOK_OK;
    if (status == DAYBOOK_OK && old->last > 0) {
        status = dk_outbox_changes(store, old->entity, &old->id, old->first, old->last, arena,
                                   &changes, &count);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (count == 0) {
        status = dk_touch_record(store, touched, &base->record);
        return status == DAYBOOK_OK ? write_base(store, old, base) : status;
    }
    status = replay(base, changes, count, arena, &overlay);
    if (status == DAYBOOK_OK && overlay.visible) {
        status = fill(store, base, &overlay, arena);
    }
    if (status == DAYBOOK_OK) {
        status = dk_touch_record(store, touched, &overlay.record);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    return write_overlay(store, old, base, &overlay, changes[0].seq, changes[count - 1].seq);
}
