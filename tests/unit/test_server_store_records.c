/* SPDX-License-Identifier: Apache-2.0
 *
 * Records in the server's store: what is put is what is got, for every entity and kind of value,
 * with stamps, tombstones and fields of newer schemas; look-ups by parent and by other records.
 */
#include "tests/unit/server_store_world.h"

#include "sync-server/store/sqlite.h"

/* ---- random records */

static const char *const texts[] = {
    "",    "a",    "王先生 — 上海", "it's \"quoted\"\\", "line\nbreak", "😀", "-17",
    "1e3", "null", "0x00"};

/* A random value of the field, also unusual ones: the store checks nothing. */
static struct value random_value(struct world *world, const struct field *field)
{
    struct value value = {.kind = VALUE_NULL};
    static const int64_t numbers[] = {
        0, 1, -1, 127, 128, -129, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 281474976710656};
    uint64_t random = world_random(world);
    if (random % 4 == 0) {
        return value;
    }
    random /= 4;
    switch (field->type) {
    case FIELD_ID:
        value.kind = VALUE_ID;
        value.id = id_of(random);
        break;
    case FIELD_TEXT:
    case FIELD_CHOICE:
    case FIELD_CURRENCY:
    case FIELD_SET:
    case FIELD_MAP:
        value.kind = VALUE_TEXT;
        value.text = texts[random % COUNT(texts)];
        value.length = (uint32_t)strlen(value.text);
        break;
    default:
        value.kind = VALUE_INT;
        value.integer = random % 2 == 0 ? (int64_t)random : numbers[random % COUNT(numbers)];
        break;
    }
    return value;
}

/* One of a few stamps, so that many fields share one, or none at all. */
static struct stamp random_stamp(struct world *world)
{
    uint64_t random = world_random(world) % 8;
    if (random == 0) {
        return (struct stamp){0};
    }
    return (struct stamp){.position = (int64_t)(random * random * 1000),
                          .time = random == 7 ? UINT64_MAX : random << 40,
                          .device_no = random == 6 ? UINT32_MAX : (uint32_t)random};
}

/* Stamps of up to 40 keys, in the world's arena. */
static void random_keys(struct world *world, struct srv_record *record)
{
    size_t count = (size_t)(world_random(world) % 41);
    record->key_stamp_count = (int)count;
    record->key_stamps = dk_arena_new(&world->arena, (count + 1) * sizeof *record->key_stamps);
    assert_non_null(record->key_stamps);
    for (size_t i = 0; i < count; i++) {
        char key[40];
        int length = snprintf(key, sizeof key, "%s.k%zu", i % 2 == 0 ? "custom" : "extra", i);
        record->key_stamps[i].key = dk_arena_copy(&world->arena, key, (size_t)length);
        record->key_stamps[i].key_length = (uint32_t)length;
        record->key_stamps[i].stamp = random_stamp(world);
    }
}

/* Fills a record of the entity with all that it can hold. */
static void random_record(struct world *world, const struct entity *entity, struct id id,
                          struct srv_record *record)
{
    memset(record, 0, sizeof *record);
    record->record.entity = entity;
    record->record.id = id;
    record->record.version = (int64_t)(world_random(world) >> 12);
    record->bucket = (int64_t)(world_random(world) % 5);
    record->deleted = world_random(world) % 3 == 0;
    record->deletion = random_stamp(world);
    for (int i = 0; i < entity->field_count; i++) {
        record->record.values[i] = random_value(world, &entity->fields[i]);
        record->stamps[i] = random_stamp(world);
    }
    if (world_random(world) % 2 == 0) {
        record->record.extra =
            (struct value){.kind = VALUE_TEXT, .length = 11, .text = "{\"later\":1}"};
    }
    random_keys(world, record);
}

static void assert_stamp(const struct stamp *stamp, const struct stamp *expected)
{
    assert_true(stamp->position == expected->position && stamp->time == expected->time &&
                stamp->device_no == expected->device_no);
}

/* Member by member. */
static void assert_record(const struct srv_record *record, const struct srv_record *expected)
{
    const struct entity *entity = expected->record.entity;
    assert_ptr_equal(record->record.entity, entity);
    assert_memory_equal(&record->record.id, &expected->record.id, sizeof record->record.id);
    assert_int_equal(record->record.version, expected->record.version);
    assert_int_equal(record->bucket, expected->bucket);
    assert_int_equal(record->deleted, expected->deleted);
    assert_stamp(&record->deletion, &expected->deletion);
    assert_true(dk_value_equal(&record->record.extra, &expected->record.extra));
    for (int i = 0; i < entity->field_count; i++) {
        assert_int_equal(record->record.values[i].kind, expected->record.values[i].kind);
        assert_true(dk_value_equal(&record->record.values[i], &expected->record.values[i]));
        assert_stamp(&record->stamps[i], &expected->stamps[i]);
    }
    assert_int_equal(record->key_stamp_count, expected->key_stamp_count);
    for (int i = 0; i < expected->key_stamp_count; i++) {
        const struct srv_key_stamp *key = &record->key_stamps[i];
        assert_int_equal(key->key_length, expected->key_stamps[i].key_length);
        assert_memory_equal(key->key, expected->key_stamps[i].key, key->key_length);
        assert_stamp(&key->stamp, &expected->key_stamps[i].stamp);
    }
}

/* Gets the record and compares it. */
static void assert_stored(struct world *world, struct srv_store *store,
                          const struct srv_record *expected)
{
    static struct srv_record record;
    bool found = false;
    memset(&record, 0x5A, sizeof record); /* the store sets all that it gives */
    ok(srv_store_get(store, world->org, expected->record.entity, &expected->record.id,
                     &world->arena, &record, &found));
    assert_true(found);
    assert_record(&record, expected);
}

/* ---- stories */

static void test_server_store_records__every_entity_and_value_comes_back(void **state)
{
    enum { ROUNDS = 12 };
    struct world *world = *state;
    static struct srv_record records[ENTITY_COUNT];
    for (int round = 0; round < ROUNDS; round++) {
        dk_arena_reset(&world->arena);
        ok(srv_store_begin(world->store));
        for (int kind = 0; kind < ENTITY_COUNT; kind++) {
            struct id id = id_of(1000u + (uint64_t)round / 3); /* each id is put three times */
            random_record(world, dk_entity(kind), id, &records[kind]);
            ok(srv_store_put(world->store, world->org, &records[kind], round % 3 != 0));
            assert_stored(world, world->store, &records[kind]);
        }
        ok(srv_store_commit(world->store));
        if (round % 4 == 3) {
            world_reopen(world);
        }
        for (int kind = 0; kind < ENTITY_COUNT; kind++) {
            assert_stored(world, world_reader(world), &records[kind]);
        }
    }
}

static void test_server_store_records__long_texts_come_back(void **state)
{
    struct world *world = *state;
    static struct srv_record record;
    static char text[LIMIT_TEXT_BYTES];
    memset(text, 'x', sizeof text);
    random_record(world, dk_entity(ENTITY_VISIT), id_of(8), &record);
    record.record.values[VISIT_FEEDBACK] =
        (struct value){.kind = VALUE_TEXT, .length = sizeof text, .text = text};
    record.record.values[FIELD_CUSTOM] =
        (struct value){.kind = VALUE_TEXT, .length = sizeof text, .text = text};
    ok(srv_store_begin(world->store));
    ok(srv_store_put(world->store, world->org, &record, false));
    ok(srv_store_commit(world->store));
    assert_stored(world, world_reader(world), &record);
}

static void test_server_store_records__what_never_was_is_not_found(void **state)
{
    struct world *world = *state;
    static struct srv_record record;
    static struct srv_record other;
    struct id unknown = id_of(9);
    bool found = true;
    random_record(world, dk_entity(ENTITY_QUOTE), id_of(8), &record);
    ok(srv_store_begin(world->store));
    ok(srv_store_put(world->store, world->org, &record, false));
    ok(srv_store_commit(world->store));
    struct srv_store *reader = world_reader(world);
    ok(srv_store_get(reader, world->org, dk_entity(ENTITY_QUOTE), &unknown, &world->arena, &other,
                     &found));
    assert_false(found);
    ok(srv_store_get(reader, world->org, dk_entity(ENTITY_VISIT), &record.record.id, &world->arena,
                     &other, &found));
    assert_false(found); /* ids are per entity */
    ok(srv_store_get(reader, world->org + 1, dk_entity(ENTITY_QUOTE), &record.record.id,
                     &world->arena, &other, &found));
    assert_false(found); /* and per organisation */
}

static void test_server_store_records__insert_and_update_are_told_apart(void **state)
{
    struct world *world = *state;
    static struct srv_record record;
    random_record(world, dk_entity(ENTITY_QUOTE), id_of(8), &record);
    ok(srv_store_begin(world->store));
    assert_int_equal(srv_store_put(world->store, world->org, &record, true), DAYBOOK_NOT_FOUND);
    ok(srv_store_put(world->store, world->org, &record, false));
    assert_int_equal(srv_store_put(world->store, world->org, &record, false), DAYBOOK_EXISTS);
    ok(srv_store_put(world->store, world->org + 1, &record, false)); /* a row of its own */
    ok(srv_store_commit(world->store));
    assert_stored(world, world->store, &record);
}

static void test_server_store_records__a_savepoint_undoes_a_put(void **state)
{
    struct world *world = *state;
    static struct srv_record first;
    static struct srv_record second;
    static struct srv_record got;
    bool found = true;
    random_record(world, dk_entity(ENTITY_VISIT), id_of(8), &first);
    random_record(world, dk_entity(ENTITY_VISIT), id_of(8), &second);
    ok(srv_store_begin(world->store));
    ok(srv_store_savepoint(world->store));
    ok(srv_store_put(world->store, world->org, &first, false));
    ok(srv_store_rollback_to(world->store));
    ok(srv_store_get(world->store, world->org, first.record.entity, &first.record.id, &world->arena,
                     &got, &found));
    assert_false(found);
    ok(srv_store_put(world->store, world->org, &first, false));
    ok(srv_store_savepoint(world->store));
    ok(srv_store_put(world->store, world->org, &second, true));
    ok(srv_store_rollback_to(world->store));
    ok(srv_store_commit(world->store));
    assert_stored(world, world_reader(world), &first);
}

/* More than one statement puts, and some that are left over. */
#define NEW_ROWS (2 * SQLITE_INSERT_ROWS + 3)

static void test_server_store_records__many_new_ones_come_back(void **state)
{
    struct world *world = *state;
    static struct srv_record records[NEW_ROWS];
    const struct srv_record *pointers[NEW_ROWS];
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        dk_arena_reset(&world->arena);
        for (int i = 0; i < NEW_ROWS; i++) {
            random_record(world, dk_entity(kind), id_of(100 - (uint64_t)i), &records[i]);
            pointers[i] = &records[i];
        }
        ok(srv_store_begin(world->store));
        ok(srv_store_put_new(world->store, world->org, pointers, NEW_ROWS));
        ok(srv_store_commit(world->store));
        for (int i = 0; i < NEW_ROWS; i++) {
            assert_stored(world, world->store, &records[i]);
        }
    }
}

static void test_server_store_records__one_of_many_that_is_there_is_told(void **state)
{
    struct world *world = *state;
    static struct srv_record records[NEW_ROWS];
    const struct srv_record *pointers[NEW_ROWS];
    for (int i = 0; i < NEW_ROWS; i++) {
        random_record(world, dk_entity(ENTITY_VISIT), id_of(100 + (uint64_t)i), &records[i]);
        pointers[i] = &records[i];
    }
    static const int there[] = {0, SQLITE_INSERT_ROWS - 1, SQLITE_INSERT_ROWS, NEW_ROWS - 1};
    for (size_t i = 0; i < COUNT(there); i++) {
        ok(srv_store_begin(world->store));
        ok(srv_store_put(world->store, world->org, &records[there[i]], false));
        assert_int_equal(srv_store_put_new(world->store, world->org, pointers, NEW_ROWS),
                         DAYBOOK_EXISTS);
        srv_store_rollback(world->store);
    }
    ok(srv_store_begin(world->store));
    ok(srv_store_put_new(world->store, world->org, pointers, 0));
    ok(srv_store_put_new(world->store, world->org, pointers, NEW_ROWS)); /* nothing was left */
    ok(srv_store_commit(world->store));
}

/* Whether there are visits with ids in a range. */
static bool any_visit(struct world *world, int64_t org, uint64_t first, uint64_t last)
{
    struct id low = id_of(first), high = id_of(last);
    bool any = true;
    ok(srv_store_any_id(world->store, org, dk_entity(ENTITY_VISIT), &low, &high, &any));
    return any;
}

/* Whether there are visits with numbers in a range. */
static bool any_number(struct world *world, int64_t org, const char *first, const char *last)
{
    const struct value low = {.kind = VALUE_TEXT, .text = first, .length = (uint32_t)strlen(first)};
    const struct value high = {.kind = VALUE_TEXT, .text = last, .length = (uint32_t)strlen(last)};
    bool any = true;
    ok(srv_store_any_number(world->store, org, dk_entity(ENTITY_VISIT), VISIT_DOC_NO, &low, &high,
                            &any));
    return any;
}

static void test_server_store_records__a_range_tells_what_lies_in_it(void **state)
{
    struct world *world = *state;
    static struct srv_record record;
    random_record(world, dk_entity(ENTITY_VISIT), id_of(50), &record);
    record.record.values[VISIT_DOC_NO] =
        (struct value){.kind = VALUE_TEXT, .length = 4, .text = "V-10"};
    record.deleted = true; /* tombstones count */
    ok(srv_store_begin(world->store));
    ok(srv_store_put(world->store, world->org, &record, false));
    ok(srv_store_commit(world->store));
    assert_true(any_visit(world, world->org, 50, 50));
    assert_true(any_visit(world, world->org, 50, 60));
    assert_true(any_visit(world, world->org, 40, 50));
    assert_false(any_visit(world, world->org, 40, 49));
    assert_false(any_visit(world, world->org, 51, 60));
    assert_false(any_visit(world, world->org + 1, 40, 60));
    assert_true(any_number(world, world->org, "V-10", "V-10"));
    assert_true(any_number(world, world->org, "V-1", "V-2")); /* by bytes */
    assert_false(any_number(world, world->org, "V-2", "V-9"));
    assert_false(any_number(world, world->org, "V-100", "V-9"));
    assert_false(any_number(world, world->org + 1, "V-1", "V-2"));
}

/* Puts a record of the entity whose field names `value`. */
static void put_naming(struct world *world, const struct entity *entity, int field, uint64_t number,
                       struct id value, bool deleted)
{
    static struct srv_record record;
    random_record(world, entity, id_of(number), &record);
    record.record.values[field] = (struct value){.kind = VALUE_ID, .id = value};
    record.deleted = deleted;
    ok(srv_store_put(world->store, world->org, &record, false));
}

static void test_server_store_records__children_are_the_live_ones_by_id(void **state)
{
    struct world *world = *state;
    const struct entity *line = dk_entity(ENTITY_QUOTE_LINE);
    struct id quote = id_of(70);
    struct id other = id_of(71);
    struct srv_record *rows = NULL;
    int count = 0;
    ok(srv_store_begin(world->store));
    for (uint64_t n = 30; n > 0; n--) { /* put in another order */
        put_naming(world, line, QUOTE_LINE_QUOTE_ID, n, n % 2 == 0 ? quote : other, n % 5 == 0);
    }
    ok(srv_store_children(world->store, world->org, line, &quote, &world->arena, &rows, &count));
    ok(srv_store_commit(world->store));
    assert_int_equal(count, 12); /* 2, 4 … 30 without 10, 20, 30 */
    uint64_t last = 0;
    for (int i = 0; i < count; i++) {
        uint64_t number = rows[i].record.id.bytes[7];
        assert_true(number > last && number % 2 == 0 && number % 5 != 0);
        assert_stored(world, world->store, &rows[i]);
        last = number;
    }
    struct id nobody = id_of(72);
    ok(srv_store_children(world_reader(world), world->org, line, &nobody, &world->arena, &rows,
                          &count));
    assert_int_equal(count, 0);
    ok(srv_store_children(world_reader(world), world->org + 1, line, &quote, &world->arena, &rows,
                          &count));
    assert_int_equal(count, 0);
}

static void test_server_store_records__related_ones_come_in_pages(void **state)
{
    struct world *world = *state;
    const struct entity *visit = dk_entity(ENTITY_VISIT);
    struct id customer = id_of(70);
    struct id after = {{0}};
    struct srv_record *rows = NULL;
    int count = 0;
    int pages = 0;
    uint64_t last = 0;
    ok(srv_store_begin(world->store));
    for (uint64_t n = 25; n > 0; n--) {
        put_naming(world, visit, VISIT_CUSTOMER_ID, n, customer, n % 5 == 0);
        put_naming(world, visit, VISIT_CUSTOMER_ID, n + 100, id_of(71), false);
    }
    ok(srv_store_commit(world->store));
    do { /* with tombstones: 1 … 25 in pages of 10 */
        ok(srv_store_related(world->store, world->org, visit, VISIT_CUSTOMER_ID, &customer, &after,
                             10, true, &world->arena, &rows, &count));
        for (int i = 0; i < count; i++) {
            assert_int_equal(rows[i].record.id.bytes[7], ++last);
            assert_int_equal(rows[i].deleted, last % 5 == 0);
            after = rows[i].record.id;
        }
        pages++;
    } while (count == 10);
    assert_int_equal(last, 25);
    assert_int_equal(pages, 3);
    after = id_of(21);
    ok(srv_store_related(world_reader(world), world->org, visit, VISIT_CUSTOMER_ID, &customer,
                         &after, 10, false, &world->arena, &rows, &count));
    assert_int_equal(count, 3); /* 22, 23, 24 */
    assert_int_equal(rows[0].record.id.bytes[7], 22);
}

static void test_server_store_records__a_record_that_moves_is_found_at_its_new_place(void **state)
{
    struct world *world = *state;
    const struct entity *contact = dk_entity(ENTITY_CONTACT);
    static struct srv_record record;
    struct id customers[] = {id_of(70), id_of(71)};
    struct id start = {{0}};
    struct srv_record *rows = NULL;
    int count = 0;
    ok(srv_store_begin(world->store));
    put_naming(world, contact, CONTACT_CUSTOMER_ID, 1, customers[0], false);
    put_naming(world, contact, CONTACT_CUSTOMER_ID, 2, customers[0], false);
    random_record(world, contact, id_of(1), &record);
    record.deleted = false;
    static const int steps[] = {0, 1, 1, -1, 0}; /* stays, moves, stays, names nobody, comes back */
    for (size_t i = 0; i < COUNT(steps); i++) {
        struct value *value = &record.record.values[CONTACT_CUSTOMER_ID];
        *value = (struct value){.kind = VALUE_NULL};
        if (steps[i] >= 0) {
            *value = (struct value){.kind = VALUE_ID, .id = customers[steps[i]]};
        }
        record.record.version++;
        ok(srv_store_put(world->store, world->org, &record, true));
        assert_stored(world, world->store, &record);
        for (int k = 0; k < 2; k++) {
            ok(srv_store_related(world->store, world->org, contact, CONTACT_CUSTOMER_ID,
                                 &customers[k], &start, 9, false, &world->arena, &rows, &count));
            assert_int_equal(count, (steps[i] == k ? 1 : 0) + (k == 0 ? 1 : 0));
        }
    }
    ok(srv_store_commit(world->store));
}

static void test_server_store_records__managers_find_their_team(void **state)
{
    struct world *world = *state;
    const struct entity *user = dk_entity(ENTITY_USER);
    struct id manager = id_of(70);
    struct id start = {{0}};
    struct srv_record *rows = NULL;
    int count = 0;
    ok(srv_store_begin(world->store));
    put_naming(world, user, USER_MANAGER_ID, 1, manager, false);
    put_naming(world, user, USER_MANAGER_ID, 2, id_of(71), false);
    put_naming(world, user, USER_MANAGER_ID, 3, manager, false);
    ok(srv_store_commit(world->store));
    ok(srv_store_related(world->store, world->org, user, USER_MANAGER_ID, &manager, &start, 100,
                         false, &world->arena, &rows, &count));
    assert_int_equal(count, 2);
    assert_int_equal(rows[1].record.id.bytes[7], 3);
}

static void test_server_store_records__a_small_arena_is_no_memory(void **state)
{
    struct world *world = *state;
    static struct srv_record record;
    static struct srv_record got;
    struct arena small;
    bool found = false;
    daybook_status status = DAYBOOK_NO_MEMORY;
    random_record(world, dk_entity(ENTITY_VISIT), id_of(8), &record);
    record.record.values[VISIT_FEEDBACK] =
        (struct value){.kind = VALUE_TEXT, .length = 5, .text = "hello"};
    ok(srv_store_begin(world->store));
    ok(srv_store_put(world->store, world->org, &record, false));
    ok(srv_store_commit(world->store));
    size_t size = 0;
    for (; status == DAYBOOK_NO_MEMORY && size < 100000;
         size += 16) { /* every allocation fails once */
        dk_arena_init(&small, size);
        status = srv_store_get(world->store, world->org, record.record.entity, &record.record.id,
                               &small, &got, &found);
        assert_int_equal(found, status == DAYBOOK_OK);
        if (status == DAYBOOK_OK) {
            assert_record(&got, &record);
        }
        dk_arena_clear(&small);
    }
    ok(status);
    assert_true(size > 32); /* it had failed before */
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        store_test(test_server_store_records__every_entity_and_value_comes_back),
        store_test(test_server_store_records__long_texts_come_back),
        store_test(test_server_store_records__what_never_was_is_not_found),
        store_test(test_server_store_records__insert_and_update_are_told_apart),
        store_test(test_server_store_records__a_savepoint_undoes_a_put),
        store_test(test_server_store_records__many_new_ones_come_back),
        store_test(test_server_store_records__one_of_many_that_is_there_is_told),
        store_test(test_server_store_records__a_range_tells_what_lies_in_it),
        store_test(test_server_store_records__children_are_the_live_ones_by_id),
        store_test(test_server_store_records__related_ones_come_in_pages),
        store_test(test_server_store_records__a_record_that_moves_is_found_at_its_new_place),
        store_test(test_server_store_records__managers_find_their_team),
        store_test(test_server_store_records__a_small_arena_is_no_memory),
    };
    return run_store_tests("server_store_records", tests, COUNT(tests));
}
