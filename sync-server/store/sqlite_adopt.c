/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what a server with a newer schema makes of the fields that it had kept as extra before it
 * knew them: they become columns, with the stamps of whoever wrote them, in tombstones too; but
 * what devices had no business to send goes. Called by sqlite_schema.c, in the transaction that
 * upgrades. Invariants: 1. Nobody is told, because devices have the same under the same names, and
 * later changes merge as if the field had always been there. 2. For what LATEST was not right for,
 * table given has who gave it what: that is judged before anybody is served (convert_records.c).
 */
#include "engine/protocol/adopt.h"
#include "sync-server/store/sqlite.h"

#include "engine/base/text.h"

#include <string.h>

#define ADOPT_ARENA_MAX ((size_t)64 * 1024 * 1024) /* bytes of one record */

static const char extra_prefix[] = "extra."; /* of key stamps of fields that are not known */

/* Stamps of a map's keys: each is as old as the whole was. */
static bool stamp_keys(struct srv_record *row, int field, const struct stamp *stamp,
                       struct arena *arena)
{
    const char *map_name = row->record.entity->fields[field].name;
    const char *key, *raw;
    size_t cursor = 0, key_length, raw_length;
    while (dk_map_next(&row->record.values[field], &cursor, &key, &key_length, &raw, &raw_length)) {
        size_t count = (size_t)row->key_stamp_count;
        struct srv_key_stamp *stamps = dk_arena_new(arena, (count + 1) * sizeof *stamps);
        char *name = dk_arena_new(arena, strlen(map_name) + key_length + 2);
        if (stamps == NULL || name == NULL) {
            return false;
        }
        if (count > 0) {
            memcpy(stamps, row->key_stamps, count * sizeof *stamps);
        }
        memcpy(name, map_name, strlen(map_name));
        name[strlen(map_name)] = '.';
        memcpy(name + strlen(map_name) + 1, key, key_length);
        stamps[count] =
            (struct srv_key_stamp){name, (uint32_t)(strlen(map_name) + 1 + key_length), *stamp};
        row->key_stamps = stamps;
        row->key_stamp_count++;
    }
    return true;
}

/* Stamps of names that are fields now become those of the fields; also where the value is gone.
 * *any: there were some; *moved: which fields are added to it. */
static bool move_stamps(struct srv_record *row, struct arena *arena, bool *any, uint64_t *moved)
{
    const struct entity *entity = row->record.entity;
    const size_t skip = sizeof extra_prefix - 1;
    const int before = row->key_stamp_count;
    int kept = 0;
    for (int i = 0; i < before; i++) {
        const struct srv_key_stamp *key = &row->key_stamps[i];
        bool extra = key->key_length > skip && memcmp(key->key, extra_prefix, skip) == 0;
        int field =
            extra ? dk_entity_field(entity, key->key + skip, key->key_length - skip, -1) : -1;
        if (field < 0) {
            row->key_stamps[kept++] = *key;
            continue;
        }
        *moved |= (uint64_t)1 << field;
        if (!dk_adopt_is_ours(&entity->fields[field])) {
            row->stamps[field] = key->stamp;
        }
    }
    row->key_stamp_count = kept;
    *any = kept < before;
    for (int field = 0; *any && field < entity->field_count; field++) {
        if (entity->fields[field].type == FIELD_MAP && field != FIELD_CUSTOM &&
            !stamp_keys(row, field, &row->stamps[field], arena)) {
            return false;
        }
    }
    return true;
}

/* Whether LATEST, by which unknown fields merge, is not what the field goes by. */
static bool is_judged(const struct field *field)
{
    return field->policy == POLICY_PROPOSE || field->policy == POLICY_STATE ||
           dk_adopt_is_ours(field);
}

/* Sees to it that table given has something for each of these fields that LATEST was not right
 * for: at least who wrote it last, as far as the stamp tells. A state counts as given by that in
 * any case. */
static daybook_status note_given(struct sqlite_store *sqlite, int64_t org,
                                 const struct srv_record *row, uint64_t moved)
{
    const struct entity *entity = row->record.entity;
    struct buffer text;
    daybook_status status = DAYBOOK_OK;
    dk_buffer_init(&text, (size_t)LIMIT_TEXT_BYTES * 6 + 2);
    for (int i = 0; i < entity->field_count && status == DAYBOOK_OK; i++) {
        const struct field *field = &entity->fields[i];
        const struct stamp *stamp = &row->stamps[i];
        if ((moved >> i & 1) == 0 || !is_judged(field) || field->policy == POLICY_STATE) {
            continue;
        }
        struct statement *statement = srv_sqlite_statement(
            sqlite, &sqlite->statements.find_given,
            "INSERT INTO given SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, coalesce((SELECT"
            " d.user_id FROM device_instance i JOIN device d USING(device) WHERE i.device_no = ?7),"
            " zeroblob(16)), 0, zeroblob(16), ?9 WHERE NOT EXISTS(SELECT 1 FROM given"
            " WHERE org = ?1 AND entity = ?2 AND record = ?3 AND name = ?5)",
            &status);
        if (statement == NULL) {
            break;
        }
        dk_buffer_reset(&text);
        dk_value_write(&text, field, &row->record.values[i]);
        dk_bind_int(statement, 1, org);
        dk_bind_text(statement, 2, entity->name, strlen(entity->name));
        dk_bind_id(statement, 3, &row->record.id);
        dk_bind_int(statement, 4, stamp->position);
        dk_bind_text(statement, 5, field->name, strlen(field->name));
        dk_bind_int(statement, 6, (int64_t)stamp->time);
        dk_bind_int(statement, 7, stamp->device_no);
        dk_bind_int(statement, 8, stamp->position <= row->stamps[FIELD_CREATED_TS].position);
        dk_bind_text(statement, 9, text.bytes, text.length);
        status = text.status == DAYBOOK_OK ? srv_sqlite_run(sqlite, statement) : text.status;
    }
    dk_buffer_clear(&text);
    return status;
}

/* One record, read and, where something moves, written. */
static daybook_status adopt_record(struct sqlite_store *sqlite, const struct entity *entity,
                                   int64_t org, const struct id *id, struct arena *arena)
{
    struct srv_record row;
    uint64_t moved = 0;
    bool found = false, stamps = false;
    dk_arena_reset(arena);
    daybook_status status = srv_sqlite_get(&sqlite->base, org, entity, id, arena, &row, &found);
    if (status != DAYBOOK_OK || !found) {
        return status;
    }
    if (!dk_adopt_extra(&row.record, true, arena, &moved) ||
        !move_stamps(&row, arena, &stamps, &moved)) {
        return arena->failed ? DAYBOOK_NO_MEMORY : DAYBOOK_CORRUPT;
    }
    status = note_given(sqlite, org, &row, moved);
    return status == DAYBOOK_OK && moved != 0 ? srv_sqlite_put(&sqlite->base, org, &row, true)
                                              : status;
}

/* What was given for fields that LATEST was right for is known by now. */
static daybook_status forget_given(struct sqlite_store *sqlite, const struct entity *entity)
{
    daybook_status status = DAYBOOK_OK;
    for (int i = 0; i < entity->field_count && status == DAYBOOK_OK; i++) {
        char sql[300];
        if (!is_judged(&entity->fields[i])) {
            (void)dk_text_format(sql, sizeof sql,
                                 "DELETE FROM given WHERE entity = '%s' AND name = '%s'",
                                 entity->name, entity->fields[i].name);
            status = dk_database_run(&sqlite->database, sql);
        }
    }
    return status;
}

/* See sqlite.h. In the order of the key, each time the next one behind the last, so that no cursor
 * is open while rows are written. */
daybook_status srv_sqlite_adopt(struct sqlite_store *sqlite, const struct entity *entity)
{
    struct statement *slot = NULL;
    struct arena arena;
    char sql[256];
    struct id id = {{0}};
    int64_t org = 0;
    bool row = true;
    daybook_status status;
    (void)dk_text_format(sql, sizeof sql,
                         "SELECT org, id FROM s_%s WHERE (org, id) > (?1, ?2)"
                         " ORDER BY org, id LIMIT 1",
                         entity->name);
    dk_arena_init(&arena, ADOPT_ARENA_MAX);
    do {
        struct statement *next = srv_sqlite_statement(sqlite, &slot, sql, &status);
        if (next == NULL) {
            break;
        }
        dk_bind_int(next, 1, org);
        dk_bind_id(next, 2, &id);
        status = srv_sqlite_step(sqlite, next, &row);
        if (status == DAYBOOK_OK && row) {
            org = dk_column_int(next, 0);
            status = dk_column_id(next, 1, &id) ? DAYBOOK_OK : DAYBOOK_CORRUPT;
            dk_reset(next);
        }
        if (status == DAYBOOK_OK && row) {
            status = adopt_record(sqlite, entity, org, &id, &arena);
        }
    } while (status == DAYBOOK_OK && row);
    dk_arena_clear(&arena);
    return status == DAYBOOK_OK ? forget_given(sqlite, entity) : status;
}
