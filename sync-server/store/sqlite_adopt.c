/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what a server with a newer schema makes of the fields that it had kept as extra before it
 * knew them: they become columns, with the stamps of whoever wrote them, in tombstones too; but
 * what devices had no business to send goes. Called by sqlite_schema.c, in the transaction that
 * upgrades. Invariant: nobody is told, because devices have the same under the same names, and
 * later changes merge as if the field had always been there.
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
 * *any: there were some. */
static bool move_stamps(struct srv_record *row, struct arena *arena, bool *any)
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
        } else if (!dk_adopt_is_ours(&entity->fields[field])) {
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
    if (!dk_adopt_extra(&row.record, true, arena, &moved) || !move_stamps(&row, arena, &stamps)) {
        return arena->failed ? DAYBOOK_NO_MEMORY : DAYBOOK_CORRUPT;
    }
    return moved != 0 || stamps ? srv_sqlite_put(&sqlite->base, org, &row, true) : DAYBOOK_OK;
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
    return status;
}
