/* SPDX-License-Identifier: Apache-2.0
 *
 * A handful of records in memory behind struct sales_reader, for tests of the domain rules.
 */
#ifndef DAYBOOK_TESTS_UNIT_SALES_WORLD_H
#define DAYBOOK_TESTS_UNIT_SALES_WORLD_H

#include "engine/protocol/verdict.h"
#include "engine/sales/sales.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))
#define WORLD_RECORDS_MAX 16

struct sales_world {
    struct record records[WORLD_RECORDS_MAX];
    int count;
    daybook_status failure; /* what the reader answers; OK: the records */
    struct arena arena;
    struct sales_reader reader;
    struct sales_actor actor;
};

/* The id whose last byte is n. */
static inline struct id world_id(uint8_t n)
{
    struct id id = {{1}};
    id.bytes[15] = n;
    return id;
}

static inline struct value int_value(int64_t integer)
{
    return (struct value){.kind = VALUE_INT, .integer = integer};
}

static inline struct value id_value(uint8_t n)
{
    return (struct value){.kind = VALUE_ID, .id = world_id(n)};
}

static inline struct value text_value(const char *text)
{
    struct value value = {.kind = VALUE_TEXT, .length = (uint32_t)strlen(text)};
    value.text = text;
    return value;
}

/* The field holds this text. */
static inline void assert_text(const struct record *record, int field, const char *text)
{
    const struct value *value = &record->values[field];
    assert_int_equal(value->kind, VALUE_TEXT);
    if (value->length != strlen(text) || memcmp(value->text, text, value->length) != 0) {
        fail_msg("%.*s is not %s", (int)value->length, value->text, text);
    }
}

/* The field holds this number. */
static inline void assert_number(const struct record *record, int field, int64_t integer)
{
    assert_int_equal(record->values[field].kind, VALUE_INT);
    assert_int_equal(record->values[field].integer, integer);
}

static inline daybook_status world_get(void *context, int entity, const struct id *id,
                                       struct arena *arena, struct record *record, bool *found)
{
    struct sales_world *world = context;
    (void)arena;
    *found = false;
    for (int i = 0; i < world->count; i++) {
        if (world->records[i].entity == dk_entity(entity) &&
            dk_id_compare(&world->records[i].id, id) == 0) {
            *record = world->records[i];
            *found = true;
        }
    }
    return world->failure;
}

static inline daybook_status world_children(void *context, int entity, const struct id *parent,
                                            struct arena *arena, struct record **records,
                                            int *count)
{
    struct sales_world *world = context;
    int field = dk_entity(entity)->parent_field;
    *count = 0;
    *records = dk_arena_new(arena, WORLD_RECORDS_MAX * sizeof **records);
    assert_non_null(*records);
    for (int i = 0; i < world->count; i++) {
        if (world->records[i].entity == dk_entity(entity) &&
            dk_id_compare(&world->records[i].values[field].id, parent) == 0) {
            (*records)[(*count)++] = world->records[i];
        }
    }
    return world->failure;
}

/* An empty record. */
static inline struct record new_record(int entity, uint8_t id)
{
    struct record record;
    memset(&record, 0, sizeof record);
    record.entity = dk_entity(entity);
    record.id = world_id(id);
    return record;
}

/* A further record of the world; stays valid. */
static inline struct record *world_add(struct sales_world *world, int entity, uint8_t id)
{
    assert_true(world->count < WORLD_RECORDS_MAX);
    world->records[world->count] = new_record(entity, id);
    return &world->records[world->count++];
}

/* A rep, user 2 of territory 3 on device 43, and no records. */
static inline void world_open(struct sales_world *world)
{
    memset(world, 0, sizeof *world);
    dk_arena_init(&world->arena, 1 << 20);
    world->reader = (struct sales_reader){world, world_get, world_children};
    world->actor =
        (struct sales_actor){world_id(2), world_id(3), 43, false, false, INT64_C(1730968140000)};
}

static inline void world_close(struct sales_world *world)
{
    dk_arena_clear(&world->arena);
}

#endif
