/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what an engine with a newer schema makes of an older one's file: fields that were kept as
 * extra become columns, entities that were kept raw become tables, new DERIVED fields are computed.
 * Called by schema.c, in the transaction that upgrades. Invariants: nothing that was kept is lost;
 * what still fits nowhere stays where it is; rows and the bases beside them are treated alike.
 */
#include "engine/store/inside.h"
#include "engine/store/visits.h"

#include "engine/base/text.h"
#include "engine/protocol/adopt.h"

#include <string.h>

/* Moves members of extra that the schema knows now into their fields; *moved: which. */
static daybook_status adopt_extra(struct store *store, struct record *record, uint64_t *moved)
{
    if (dk_adopt_extra(record, false, &store->work, moved)) {
        return DAYBOOK_OK;
    }
    return store->work.failed ? DAYBOOK_NO_MEMORY : DAYBOOK_CORRUPT;
}

/* ---- fields */

/* The next record above *id that has extra fields. */
static daybook_status next_with_extra(struct store *store, const struct entity *entity,
                                      struct id *id, bool *found)
{
    daybook_status status;
    char sql[160];
    struct statement *slot = NULL;
    (void)dk_text_format(sql, sizeof sql,
                         "SELECT id FROM r_%s WHERE extra IS NOT NULL AND id>? ORDER BY id LIMIT 1",
                         entity->name);
    struct statement **kept = &store->entities[entity->kind].adopt;
    slot = dk_statement(&store->database, kept, sql, &status);
    *found = false;
    if (slot == NULL) {
        return status;
    }
    dk_bind_id(slot, 1, id);
    status = dk_step(slot, found);
    if (status == DAYBOOK_OK && *found) {
        status = dk_column_id(slot, 0, id) ? DAYBOOK_OK : DAYBOOK_CORRUPT;
        dk_reset(slot);
    }
    return status;
}

/* Moves what is known now out of extra, record by record in the order of ids. */
static daybook_status adopt_fields(struct store *store, const struct entity *entity)
{
    struct id id;
    bool found = true;
    daybook_status status = DAYBOOK_OK;
    memset(&id, 0, sizeof id);
    while (status == DAYBOOK_OK && found) {
        struct stored stored;
        uint64_t moved = 0;
        dk_arena_reset(&store->work);
        status = next_with_extra(store, entity, &id, &found);
        if (status != DAYBOOK_OK || !found) {
            break;
        }
        status = dk_records_load(store, entity, &id, &store->work, &stored, &found);
        if (status == DAYBOOK_OK) {
            status = adopt_extra(store, &stored.record, &moved);
        }
        if (status == DAYBOOK_OK && moved != 0) {
            status = dk_records_replace(store, &stored.record, stored.version, stored.bucket);
        }
    }
    return status;
}

/* ---- entities */

/* One raw record becomes a row: everything is extra first, and what is known moves. */
static daybook_status adopt_raw(struct store *store, struct statement *raw,
                                const struct entity *entity)
{
    struct record record;
    struct id id;
    uint64_t moved;
    size_t length;
    if (!dk_column_id(raw, 0, &id)) {
        return DAYBOOK_CORRUPT;
    }
    dk_arena_reset(&store->work);
    dk_records_empty(&record, entity, &id);
    const char *body = dk_column_text(raw, 3, &length);
    record.extra = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)length};
    record.extra.text = body == NULL ? NULL : dk_arena_copy(&store->work, body, length);
    if (record.extra.text == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    daybook_status status = adopt_extra(store, &record, &moved);
    return status == DAYBOOK_OK
               ? dk_records_replace(store, &record, dk_column_int(raw, 1), dk_column_int(raw, 2))
               : status;
}

/* Turns the raw records of an entity into rows. */
static daybook_status adopt_entity(struct store *store, const struct entity *entity)
{
    daybook_status status;
    bool row;
    struct statement *raw =
        dk_statement(&store->database, &store->slots.raw_list,
                     "SELECT id,version,bucket,body FROM raw_record WHERE entity=?", &status);
    if (raw == NULL) {
        return status;
    }
    dk_bind_text(raw, 1, entity->name, strlen(entity->name));
    while ((status = dk_step(raw, &row)) == DAYBOOK_OK && row) {
        status = adopt_raw(store, raw, entity);
        if (status != DAYBOOK_OK) {
            dk_reset(raw);
            return status;
        }
    }
    struct statement *clear = status != DAYBOOK_OK
                                  ? NULL
                                  : dk_statement(&store->database, &store->slots.raw_clear,
                                                 "DELETE FROM raw_record WHERE entity=?", &status);
    if (clear == NULL) {
        return status;
    }
    dk_bind_text(clear, 1, entity->name, strlen(entity->name));
    return dk_step_done(clear);
}

/* ---- pending rows */

/* The base of a record that has no row is whole: what it keeps as extra becomes values, too. */
static daybook_status adopt_base(struct store *store, struct holding *holding)
{
    struct base base;
    uint64_t moved = 0;
    daybook_status status = dk_pending_base(holding, &store->work, &base);
    if (status == DAYBOOK_OK) {
        status = adopt_extra(store, &base.record, &moved);
    }
    if (status != DAYBOOK_OK || moved == 0) {
        return status;
    }
    status = dk_pending_base_text(store, &base.record, holding->touched, true);
    holding->base_text = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)store->text.length};
    holding->base_text.text = store->text.bytes;
    return status == DAYBOOK_OK ? dk_pending_write(store, holding, false) : status;
}

/* Field numbers may have shifted: masks follow from the names in the base values again. */
static daybook_status renumber_touched(struct store *store, const struct entity *entity,
                                       const struct id *id)
{
    struct holding holding;
    struct json_reader json;
    dk_arena_reset(&store->work);
    daybook_status status = dk_pending_load(store, entity, id, &store->work, &holding);
    if (status != DAYBOOK_OK || holding.base_text.kind == VALUE_NULL) {
        return status;
    }
    if (!holding.has_row) {
        return adopt_base(store, &holding);
    }
    char *copy = dk_arena_copy(&store->work, holding.base_text.text, holding.base_text.length);
    if (copy == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    dk_json_open(&json, copy, holding.base_text.length);
    bool fine = dk_json_next(&json) == JSON_OBJECT;
    holding.touched = 0;
    while (fine && dk_json_key(&json) == JSON_STRING) {
        int field = dk_entity_field(entity, json.text, json.length, -1);
        holding.touched |= field < 0 ? 0 : (uint64_t)1 << field;
        fine = dk_json_skip(&json, NULL, NULL);
    }
    return fine ? dk_pending_write(store, &holding, true) : DAYBOOK_CORRUPT;
}

/* The masks of all pending rows. */
static daybook_status renumber_pending(struct store *store)
{
    daybook_status status;
    bool row;
    struct touched list = {.count = 0};
    struct statement *select = dk_statement(&store->database, &store->slots.pending_list,
                                            "SELECT entity,id FROM pending", &status);
    while (select != NULL && (status = dk_step(select, &row)) == DAYBOOK_OK && row) {
        struct id id;
        int kind = dk_schema_kind(store, dk_column_int(select, 0));
        if (kind < 0 || !dk_column_id(select, 1, &id)) {
            dk_reset(select);
            return DAYBOOK_CORRUPT;
        }
        status = dk_touch_any(store, &list, dk_entity(kind), &id);
        if (status != DAYBOOK_OK) {
            dk_reset(select);
            return status;
        }
    }
    for (int i = 0; i < list.count && status == DAYBOOK_OK; i++) {
        status = renumber_touched(store, list.items[i].entity, &list.items[i].id);
    }
    return status;
}

/* ---- derived fields */

/* Computes the DERIVED fields of an entity that a schema did not know. */
static daybook_status derive_more(struct store *store, const struct entity *entity, int64_t schema,
                                  struct touched *touched)
{
    struct statement *slot = NULL;
    char sql[100];
    daybook_status status = DAYBOOK_OK;
    bool row, more = false;
    for (int i = 0; i < entity->field_count; i++) {
        more = more ||
               (entity->fields[i].policy == POLICY_DERIVED && entity->fields[i].since > schema);
    }
    if (!more) {
        return DAYBOOK_OK;
    }
    (void)dk_text_format(sql, sizeof sql, "SELECT id FROM r_%s", entity->name);
    struct statement *ids = dk_statement(&store->database, &slot, sql, &status);
    while (ids != NULL && (status = dk_step(ids, &row)) == DAYBOOK_OK && row) {
        struct id id;
        status =
            dk_column_id(ids, 0, &id) ? dk_touch(store, touched, entity, &id) : DAYBOOK_CORRUPT;
        if (status != DAYBOOK_OK) {
            dk_reset(ids);
            break;
        }
    }
    return status;
}

/* Entities first: their rows may have been raw. */
daybook_status dk_upgrade_run(struct store *store, int64_t schema)
{
    struct touched touched = {.count = 0};
    store->memory.hidden_rows = 1; /* not counted yet: those without a row are looked for */
    daybook_status status = renumber_pending(store);
    for (int kind = 0; kind < ENTITY_COUNT && status == DAYBOOK_OK; kind++) {
        status = adopt_entity(store, dk_entity(kind));
        if (status == DAYBOOK_OK) {
            status = adopt_fields(store, dk_entity(kind));
        }
        if (status == DAYBOOK_OK) {
            status = derive_more(store, dk_entity(kind), schema, &touched);
        }
    }
    if (status == DAYBOOK_OK) {
        status = dk_touched_derive(store, &touched, true);
    }
    return status == DAYBOOK_OK ? dk_visits_reckon(store, NULL) : status;
}
