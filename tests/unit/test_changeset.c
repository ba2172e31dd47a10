/* SPDX-License-Identifier: Apache-2.0
 *
 * Changesets: what was encoded is decoded to the same; what can be answered is refused with its
 * header known; what cannot is damage; peeking changes no byte.
 */
#include "engine/protocol/changeset.h"
#include "engine/protocol/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define HEAD                                                                                       \
    "{\"id\":\"AZKfbDoAcACAAAAAAAAABg\",\"seq\":7,\"epoch\":\"5\",\"hlc\":\"9\",\"boot\":\"3\","   \
    "\"steady\":\"4\","
#define ID_1 "\"AZKfbDoAcACAAAAAAAAAAQ\""
#define ID_2 "\"AZKfbDoAcACAAAAAAAAAAg\""

/* One decoded text. */
struct world {
    struct arena arena;
    struct changeset changeset;
    struct refusal refusal;
    struct change refused;
    const char *problem;
    char *bytes;
};

/* Decodes a copy of its own size. */
static bool decode_size(struct world *world, const char *json, size_t length, size_t memory)
{
    memset(world, 0, sizeof *world);
    world->bytes = malloc(length == 0 ? 1 : length);
    assert_non_null(world->bytes);
    memcpy(world->bytes, json, length);
    dk_arena_init(&world->arena, memory);
    bool fine = dk_changeset_decode(world->bytes, length, &world->arena, &world->changeset,
                                    &world->refusal, &world->refused, &world->problem);
    /* it is whole, or refused, or damaged */
    assert_int_equal(fine + (world->refusal.code != 0) + (world->problem != NULL), 1);
    return fine;
}

static bool decode(struct world *world, const char *json)
{
    return decode_size(world, json, strlen(json), 1 << 24);
}

static void clear(struct world *world)
{
    dk_arena_clear(&world->arena);
    free(world->bytes);
}

static void test_changeset__members_may_stand_in_any_order(void **state)
{
    (void)state;
    struct world world;
    assert_true(decode(
        &world, "{\"changes\":[{\"entity\":\"visit\",\"op\":\"delete\",\"rows\":[[5," ID_1 "]]}],"
                "\"schema\":1,\"steady\":\"4\",\"boot\":\"9223372036854775807\",\"hlc\":\"9\","
                "\"epoch\":\"0\",\"seq\":7,"
                "\"id\":\"AZKfbDoAcACAAAAAAAAABg\"}"));
    assert_int_equal(world.changeset.seq, 7);
    assert_int_equal(world.changeset.id.bytes[15], 6);
    assert_true(world.changeset.boot == INT64_MAX);
    assert_true(world.changeset.time == 9);
    assert_int_equal(world.changeset.steady_ms, 4);
    assert_int_equal(world.changeset.schema, 1);
    assert_int_equal(world.changeset.change_count, 1);
    assert_int_equal(world.changeset.changes[0].op, BLOCK_DELETE);
    assert_int_equal(world.changeset.changes[0].seen, 5);
    assert_ptr_equal(world.changeset.changes[0].entity, dk_entity(ENTITY_VISIT));
    clear(&world);
}

static void test_changeset__what_can_be_answered_is_refused_with_its_header(void **state)
{
    (void)state;
    static const struct {
        const char *rest;
        int code;
        const char *field, *rule;
        int id; /* last byte of the record's id; 0: none */
    } cases[] = {
        {"\"schema\":1,\"changes\":[{\"entity\":\"parcel\",\"op\":\"new\",\"fields\":[],\"rows\":[["
         "0," ID_1 "]]}]}",
         REJECT_SCHEMA, NULL, "entity", 1},
        {"\"schema\":1,\"changes\":[{\"entity\":\"visit\",\"op\":\"set\",\"fields\":[\"zz\"],"
         "\"rows\":[[1," ID_2 ",7]]}]}",
         REJECT_SCHEMA, "zz", "field", 2},
        {"\"schema\":1,\"changes\":[{\"entity\":\"visit\",\"op\":\"set\",\"fields\":[\"kind\"],"
         "\"rows\":[[1," ID_2 ",7]]}]}",
         REJECT_SCHEMA, "kind", "type", 2},
        {"\"schema\":1,\"changes\":[{\"entity\":\"quote\",\"op\":\"set\",\"fields\":[\"total\"],"
         "\"rows\":[[1," ID_2 ",\"7\"]]}]}",
         REJECT_READONLY, "total", "derived", 2},
        {"\"schema\":1,\"changes\":[{\"entity\":\"customer\",\"op\":\"set\",\"fields\":[\"tags\"],"
         "\"rows\":[[1," ID_2 ",[\"a\"]]]}]}",
         REJECT_SCHEMA, "tags", "change", 2},
        {"\"schema\":1,\"changes\":[{\"entity\":\"customer\",\"op\":\"set\",\"fields\":[\"tags\"],"
         "\"rows\":[[1," ID_2 ",null]]}]}",
         REJECT_SCHEMA, "tags", "change", 2},
        {"\"schema\":1,\"changes\":[{\"entity\":\"customer\",\"op\":\"set\",\"fields\":[\"custom\"]"
         ",\"rows\":[[1," ID_2 ",null]]}]}",
         REJECT_SCHEMA, "custom", "change", 2},
        {"\"schema\":1,\"changes\":[{\"entity\":\"visit\",\"op\":\"delete\",\"rows\":[[1," ID_2
         "],[1," ID_2 "]]}]}",
         REJECT_SCHEMA, NULL, "twice", 2},
        {"\"schema\":1,\"changes\":[{\"entity\":\"visit\",\"op\":\"delete\",\"rows\":[[1," ID_2
         "],[1," ID_1 "]]},"
         "{\"entity\":\"quote\",\"op\":\"delete\",\"rows\":[[1," ID_1 "]]},"
         "{\"entity\":\"visit\",\"op\":\"set\",\"fields\":[],\"rows\":[[1," ID_1 "]]}]}",
         REJECT_SCHEMA, NULL, "twice", 1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct world world;
        char json[1000];
        (void)snprintf(json, sizeof json, "%s%s", HEAD, cases[i].rest);
        assert_false(decode(&world, json));
        assert_null(world.problem);
        assert_int_equal(world.refusal.code, cases[i].code);
        assert_string_equal(world.refusal.rule, cases[i].rule);
        if (cases[i].field == NULL) {
            assert_null(world.refusal.field);
        } else {
            assert_string_equal(world.refusal.field, cases[i].field);
        }
        assert_int_equal(world.refused.id.bytes[15], cases[i].id);
        assert_int_equal(world.changeset.seq, 7);
        assert_int_equal(world.changeset.id.bytes[15], 6);
        clear(&world);
    }
}

static void test_changeset__what_cannot_be_answered_is_damage(void **state)
{
    (void)state;
    static const char *const damaged[] = {
        "",
        "[]",
        "{}",
        "7",
        "{\"seq\":7,\"epoch\":\"5\",\"hlc\":\"9\",\"boot\":\"3\",\"steady\":\"4\",\"schema\":1,"
        "\"changes\":[]}",
        HEAD "\"changes\":[]}",
        HEAD "\"schema\":1}",
        HEAD "\"schema\":1,\"changes\":{}}",
        HEAD "\"schema\":1,\"changes\":[]}x",
        HEAD "\"schema\":1,\"schema\":1,\"changes\":[]}",
        HEAD "\"schema\":0,\"changes\":[]}",
        HEAD "\"schema\":\"1\",\"changes\":[]}",
        HEAD "\"schema\":4294967297,\"changes\":[]}",
        HEAD "\"s\\u0063hema\":1,\"changes\":[]}",
        HEAD "\"schema\":1,\"changes\":[{\"entity\":\"visit\",\"op\":\"evict\",\"rows\":[[1," ID_1
             "]]}]}",
        HEAD "\"schema\":1,\"changes\":[{\"op\":\"own\",\"rows\":[[1," ID_1 ",1,1]]}]}",
        HEAD
        "\"schema\":1,\"changes\":[{\"entity\":\"visit\",\"op\":\"delete\",\"rows\":[[1.5," ID_1
        "]]}]}",
        "{\"id\":\"AZKfbDoAcACAAAAAAAAABg\",\"seq\":0,\"epoch\":\"5\",\"hlc\":\"9\",\"boot\":\"3\","
        "\"steady\":\"4\",\"schema\":1,\"changes\":[]}",
        "{\"id\":\"AZKfbDoAcACAAAAAAAAABg\",\"seq\":9007199254740992,\"epoch\":\"5\",\"hlc\":\"9\","
        "\"boot\":\"3\",\"steady\":\"4\",\"schema\":1,\"changes\":[]}",
        "{\"id\":\"AZKfbDoAcACAAAAAAAAABg\",\"seq\":1,\"epoch\":\"-5\",\"hlc\":\"9\",\"boot\":"
        "\"3\",\"steady\":\"4\",\"schema\":1,\"changes\":[]}",
        "{\"id\":\"AZKfbDoAcACAAAAAAAAABg\",\"seq\":1,\"epoch\":\"5\",\"hlc\":"
        "\"9223372036854775808\",\"boot\":\"3\",\"steady\":\"4\",\"schema\":1,\"changes\":[]}",
        "{\"id\":\"AZKfbDoAcACAAAAAAAAABg\",\"seq\":1,\"epoch\":\"5\",\"hlc\":\"9\",\"boot\":3,"
        "\"steady\":\"4\",\"schema\":1,\"changes\":[]}",
        "{\"id\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"seq\":1,\"epoch\":\"5\",\"hlc\":\"9\",\"boot\":\"3\","
        "\"steady\":\"4\",\"schema\":1,\"changes\":[]}",
    };
    for (size_t i = 0; i < COUNT(damaged); i++) {
        struct world world;
        struct changeset header;
        if (decode(&world, damaged[i]) || world.problem == NULL) {
            fail_msg("%s is not seen as damage", damaged[i]);
        }
        (void)dk_changeset_peek(damaged[i], strlen(damaged[i]), &header);
        clear(&world);
    }
}

static void test_changeset__a_newer_device_may_send_unknown_fields(void **state)
{
    (void)state;
    struct world world;
    assert_true(decode(&world,
                       HEAD "\"schema\":2,\"changes\":[{\"entity\":\"visit\",\"op\":\"set\","
                            "\"fields\":[\"zz\"],\"rows\":[[1," ID_2 ",{\"a\":[1.5]}]]}]}"));
    assert_int_equal(world.changeset.changes[0].values[0].field, -1);
    assert_memory_equal(world.changeset.changes[0].values[0].value.text, "{\"a\":[1.5]}", 11);
    clear(&world);
}

/* A changeset that deletes `count` visits, whose ids ascend or not. The caller clears the buffer.
 */
static void build_many(struct buffer *out, int count, bool ascending, bool twin)
{
    struct change *changes = calloc((size_t)count, sizeof *changes);
    assert_non_null(changes);
    for (int i = 0; i < count; i++) {
        int n = ascending ? i : (int)(((int64_t)i * 7919) % count);
        changes[i] =
            (struct change){.op = BLOCK_DELETE, .entity = dk_entity(ENTITY_VISIT), .seen = 3};
        changes[i].id.bytes[0] = 1;
        changes[i].id.bytes[14] = (uint8_t)(n >> 8);
        changes[i].id.bytes[15] = (uint8_t)n;
    }
    if (twin) {
        changes[count - 1].id = changes[count / 2].id;
    }
    struct changeset changeset = {
        .id = {{9}}, .seq = 1, .schema = 1, .change_count = count, .changes = changes};
    dk_buffer_init(out, 16 << 20);
    dk_changeset_encode(out, &changeset);
    assert_int_equal(out->status, DAYBOOK_OK);
    free(changes);
}

static void test_changeset__many_records_are_told_apart_in_any_order(void **state)
{
    (void)state;
    for (int variant = 0; variant < 4; variant++) {
        struct buffer json;
        struct world world;
        build_many(&json, LIMIT_CHANGESET_CHANGES, variant % 2 == 0, variant >= 2);
        bool fine = decode_size(&world, json.bytes, json.length, 1 << 26);
        assert_int_equal(fine, variant < 2);
        assert_true(fine || strcmp(world.refusal.rule, "twice") == 0);
        clear(&world);
        dk_buffer_clear(&json);
    }
}

static void test_changeset__too_much_is_refused_and_not_damage(void **state)
{
    (void)state;
    struct buffer json;
    struct world world;
    build_many(&json, LIMIT_CHANGESET_CHANGES + 1, true, false);
    assert_false(decode_size(&world, json.bytes, json.length, 1 << 26));
    assert_int_equal(world.refusal.code, REJECT_LIMIT);
    assert_string_equal(world.refusal.rule, "changes");
    clear(&world);
    dk_buffer_clear(&json);
    /* and by its size: white space counts */
    dk_buffer_init(&json, LIMIT_CHANGESET_BYTES + 1000);
    dk_buffer_append_text(&json, HEAD "\"schema\":1,\"changes\":[");
    while (json.length <= LIMIT_CHANGESET_BYTES) {
        dk_buffer_append_char(&json, ' ');
    }
    dk_buffer_append_text(&json, "]}");
    assert_false(decode_size(&world, json.bytes, json.length, 1 << 26));
    assert_string_equal(world.refusal.rule, "bytes");
    assert_int_equal(world.changeset.seq, 7);
    clear(&world);
    dk_buffer_clear(&json);
}

static void test_changeset__without_memory_it_says_so(void **state)
{
    (void)state;
    struct buffer json;
    bool done = false;
    build_many(&json, 40, false, false);
    for (size_t memory = 0; !done; memory += 64) {
        struct world world;
        done = decode_size(&world, json.bytes, json.length, memory);
        assert_true(done || (world.arena.failed && world.problem != NULL));
        clear(&world);
        assert_true(memory < 100000);
    }
    dk_buffer_clear(&json);
}

static void test_changeset__peeking_reads_the_header_and_changes_nothing(void **state)
{
    (void)state;
    static const char json[] = HEAD
        "\"zz\":\"\\u0041\",\"schema\":3,\"changes\":[ "
        "{\"entity\":\"vi\\u0073it\",\"op\":\"new\",\"fields\":[\"kind\"],\"rows\":[[0," ID_1
        ",\"a\\n\"],[0," ID_2 ",\"]\"] ]} , {\"entity\":\"visit\",\"op\":\"delete\",\"rows\":[ ]},"
        "{\"rows\":[[1," ID_1 "]],\"x\":1}]}";
    struct changeset header;
    char *copy = malloc(sizeof json - 1);
    assert_non_null(copy);
    memcpy(copy, json, sizeof json - 1);
    assert_true(dk_changeset_peek(copy, sizeof json - 1, &header));
    assert_memory_equal(copy, json, sizeof json - 1);
    assert_int_equal(header.seq, 7);
    assert_int_equal(header.schema, 3);
    assert_true(header.time == 9 && header.epoch == 5 && header.boot == 3 && header.steady_ms == 4);
    assert_int_equal(header.change_count, 3);
    assert_null(header.changes);
    for (size_t length = 0; length < sizeof json - 1; length++) {
        assert_false(dk_changeset_peek(copy, length, &header));
    }
    assert_memory_equal(copy, json, sizeof json - 1);
    free(copy);
}

/* Where a string stands for an object or an array, too. */
static void test_changeset__peeking_at_damage_changes_nothing(void **state)
{
    static const char *const damaged[] = {
        "\"a\\u0041\"",
        HEAD "\"schema\":3,\"changes\":[\"a\\u0041\"]}",
        HEAD "\"schema\":3,\"changes\":[{\"rows\":\"a\\u0041\"}]}",
        HEAD "\"schema\":3,\"changes\":[{\"r\\u006fws\":[]}]}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        struct changeset header;
        size_t length = strlen(damaged[i]);
        char *copy = malloc(length);
        assert_non_null(copy);
        memcpy(copy, damaged[i], length);
        assert_false(dk_changeset_peek(copy, length, &header));
        assert_memory_equal(copy, damaged[i], length);
        free(copy);
    }
}

static void test_changeset__encoding_reports_a_full_buffer(void **state)
{
    (void)state;
    struct field_value value = {.field = VISIT_FEEDBACK,
                                .value = {.kind = VALUE_TEXT, .length = 4, .text = "text"}};
    struct change change = {BLOCK_SET, dk_entity(ENTITY_VISIT), {{1}}, 3, 1, &value, 0};
    struct changeset changeset = {
        .id = {{9}}, .seq = 1, .schema = 1, .change_count = 1, .changes = &change};
    struct buffer out;
    for (size_t size = 0; size < 150; size += 7) {
        dk_buffer_init(&out, size);
        dk_changeset_encode(&out, &changeset);
        assert_int_equal(out.status, DAYBOOK_TOO_LARGE);
        dk_buffer_clear(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changeset__members_may_stand_in_any_order),
        cmocka_unit_test(test_changeset__what_can_be_answered_is_refused_with_its_header),
        cmocka_unit_test(test_changeset__what_cannot_be_answered_is_damage),
        cmocka_unit_test(test_changeset__a_newer_device_may_send_unknown_fields),
        cmocka_unit_test(test_changeset__many_records_are_told_apart_in_any_order),
        cmocka_unit_test(test_changeset__too_much_is_refused_and_not_damage),
        cmocka_unit_test(test_changeset__without_memory_it_says_so),
        cmocka_unit_test(test_changeset__peeking_reads_the_header_and_changes_nothing),
        cmocka_unit_test(test_changeset__peeking_at_damage_changes_nothing),
        cmocka_unit_test(test_changeset__encoding_reports_a_full_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
