/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks: rows under headers are read whatever stands beside them, refusals leave the reader behind
 * the row, damage is damage, and the writer opens a block exactly where the header changes.
 */
#include "engine/protocol/block.h"
#include "engine/protocol/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define ID_1 "\"AZKfbDoAcACAAAAAAAAAAQ\""
#define ID_2 "\"AZKfbDoAcACAAAAAAAAAAg\""

/* A reader over a copy of its own size. */
struct world {
    struct block_reader reader;
    struct arena arena;
    char *bytes;
};

static void open_world(struct world *world, const char *json)
{
    size_t length = strlen(json);
    world->bytes = malloc(length == 0 ? 1 : length);
    assert_non_null(world->bytes);
    memcpy(world->bytes, json, length);
    dk_arena_init(&world->arena, 1 << 20);
    dk_block_open(&world->reader, world->bytes, length, &world->arena);
}

static void close_world(struct world *world)
{
    dk_arena_clear(&world->arena);
    free(world->bytes);
}

/* Reads to the end; the last result: 0, -1. Rows are counted. */
static int read_all(const char *json, int *rows, int *refused)
{
    struct world world;
    struct row row;
    bool new_block;
    int result;
    *rows = *refused = 0;
    open_world(&world, json);
    while ((result = dk_block_next(&world.reader, &row, &new_block)) == 1 || result == -2) {
        *rows += result == 1;
        *refused += result == -2;
    }
    /* the end stays the end, and damage damage */
    assert_int_equal(dk_block_next(&world.reader, &row, &new_block), result);
    assert_true((result == -1) == (world.reader.json.problem != NULL));
    close_world(&world);
    return result;
}

static void test_block__rows_are_read_block_by_block(void **state)
{
    (void)state;
    struct world world;
    struct row row;
    bool new_block;
    open_world(&world,
               " [ { \"entity\" : \"contact\" , \"op\" : \"set\", \"bucket\":7, \"fields\" : "
               "[\"name\",\"zz\"],"
               " \"rows\" : [ [ 3 , " ID_1 " , \"\\u0041\", [1.5] ] , [4," ID_2 ",null,null]] } ,"
               "{\"op\":\"delete\",\"entity\":\"visit\",\"rows\":[[5," ID_1 "]],\"later\":{}}] ");
    assert_int_equal(dk_block_next(&world.reader, &row, &new_block), 1);
    assert_true(new_block);
    assert_int_equal(world.reader.block.op, BLOCK_SET);
    assert_int_equal(world.reader.block.bucket, 7);
    assert_ptr_equal(world.reader.block.entity, dk_entity(ENTITY_CONTACT));
    assert_int_equal(row.number, 3);
    assert_int_equal(row.id.bytes[15], 1);
    assert_int_equal(row.value_count, 2);
    assert_int_equal(row.values[0].field, CONTACT_NAME);
    assert_memory_equal(row.values[0].value.text, "A", 1);
    assert_int_equal(row.values[1].field, -1);
    assert_memory_equal(row.values[1].name, "zz", 2);
    assert_int_equal(row.values[1].value.length, 5);
    assert_memory_equal(row.values[1].value.text, "[1.5]", 5);
    assert_int_equal(dk_block_next(&world.reader, &row, &new_block), 1);
    assert_false(new_block);
    assert_int_equal(row.number, 4);
    assert_int_equal(row.values[0].value.kind, VALUE_NULL);
    assert_memory_equal(row.values[1].value.text, "null", 4);
    assert_int_equal(dk_block_next(&world.reader, &row, &new_block), 1);
    assert_true(new_block);
    assert_int_equal(world.reader.block.op, BLOCK_DELETE);
    assert_int_equal(world.reader.block.bucket, 0);
    assert_int_equal(row.value_count, 0);
    assert_int_equal(dk_block_next(&world.reader, &row, &new_block), 0);
    close_world(&world);
}

static void test_block__a_marker_has_seq_and_bucket(void **state)
{
    (void)state;
    struct world world;
    struct row row;
    bool new_block;
    open_world(&world, "[{\"op\":\"own\",\"rows\":[[818," ID_2 ",7,2]]}]");
    assert_int_equal(dk_block_next(&world.reader, &row, &new_block), 1);
    assert_int_equal(world.reader.block.op, BLOCK_OWN);
    assert_null(world.reader.block.entity);
    assert_int_equal(row.number, 818);
    assert_int_equal(row.id.bytes[15], 2);
    assert_int_equal(row.seq, 7);
    assert_int_equal(row.bucket, 2);
    close_world(&world);
}

static void test_block__rows_of_an_unknown_entity_are_kept_as_they_are(void **state)
{
    (void)state;
    struct world world;
    struct row row;
    bool new_block;
    static const char raw[] = "[9 ," ID_1 ",\"\\u0041\",{\"a\":[1.5e3]}]";
    open_world(
        &world,
        "[{\"entity\":\"parcel\",\"op\":\"new\",\"fields\":[\"x\",\"y\"],\"rows\":[ [9 ," ID_1
        ",\"\\u0041\",{\"a\":[1.5e3]}] , [10," ID_2 "] ]},"
        "{\"entity\":\"visit\",\"op\":\"evict\",\"rows\":[[11," ID_1 "]]}]");
    assert_int_equal(dk_block_next(&world.reader, &row, &new_block), 1);
    assert_null(world.reader.block.entity);
    assert_int_equal(world.reader.block.entity_name_length, 6);
    assert_memory_equal(world.reader.block.entity_name, "parcel", 6);
    assert_int_equal(world.reader.block.column_count, 2);
    assert_int_equal(row.number, 9);
    assert_int_equal(row.id.bytes[15], 1);
    assert_int_equal(row.raw_length, sizeof raw - 1);
    assert_memory_equal(row.raw, raw, sizeof raw - 1);
    assert_int_equal(dk_block_next(&world.reader, &row, &new_block), 1);
    assert_int_equal(row.number, 10);
    assert_int_equal(dk_block_next(&world.reader, &row, &new_block), 1);
    assert_int_equal(world.reader.block.op, BLOCK_EVICT);
    assert_null(row.raw);
    assert_int_equal(dk_block_next(&world.reader, &row, &new_block), 0);
    close_world(&world);
}

static void test_block__a_refused_row_is_behind_the_reader(void **state)
{
    (void)state;
    struct world world;
    struct row row;
    bool new_block;
    open_world(&world, "[{\"entity\":\"quote_line\",\"op\":\"set\",\"fields\":[\"qty\",\"price_"
                       "e4\",\"uom\"],\"rows\":["
                       "[1," ID_1 ",\"1\",\"2\",\"kg\"],[1," ID_2 ",5,{\"a\":1},\"kg\"],[2," ID_1
                       ",\"3\",\"4\",\"kg\"]]}]");
    assert_int_equal(dk_block_next(&world.reader, &row, &new_block), 1);
    assert_int_equal(dk_block_next(&world.reader, &row, &new_block), -2);
    /* then the first fault is named, and which record */
    assert_int_equal(world.reader.refusal.code, REJECT_SCHEMA);
    assert_string_equal(world.reader.refusal.field, "qty");
    assert_string_equal(world.reader.refusal.rule, "type");
    assert_int_equal(row.id.bytes[15], 2);
    assert_int_equal(dk_block_next(&world.reader, &row, &new_block), 1);
    assert_int_equal(world.reader.refusal.code, 0);
    assert_int_equal(row.number, 2);
    assert_int_equal(row.values[1].value.integer, 4);
    assert_int_equal(dk_block_next(&world.reader, &row, &new_block), 0);
    close_world(&world);
}

static void test_block__changes_of_collections_belong_to_set(void **state)
{
    (void)state;
    int rows, refused;
    assert_int_equal(
        read_all(
            "[{\"entity\":\"customer\",\"op\":\"set\",\"fields\":[\"tags\",\"custom\"],\"rows\":["
            "[1," ID_1 ",{\"add\":[\"a\"]},{\"k\":null}],[1," ID_2 ",[\"a\"],{\"k\":1}]]}]",
            &rows, &refused),
        0);
    assert_int_equal(rows, 2);
    assert_int_equal(
        read_all(
            "[{\"entity\":\"customer\",\"op\":\"new\",\"fields\":[\"tags\",\"custom\"],\"rows\":["
            "[1," ID_1 ",{\"add\":[\"a\"]},{\"k\":1}],[1," ID_2 ",[\"a\"],{\"k\":null}],[1," ID_1
            ",[],{}]]}]",
            &rows, &refused),
        0);
    assert_int_equal(rows, 1);
    assert_int_equal(refused, 2);
}

static void test_block__what_is_no_block_is_damage(void **state)
{
    (void)state;
    static const char *const damaged[] = {
        "",
        "{}",
        "7",
        "[",
        "[]x",
        "[7]",
        "[[]]",
        "[{}]",
        "[{\"rows\":[]}]",
        "[{\"op\":\"new\",\"rows\":[]}]",
        "[{\"entity\":\"visit\",\"rows\":[]}]",
        "[{\"entity\":\"visit\",\"op\":\"new\",\"rows\":[]}]",
        "[{\"entity\":\"visit\",\"op\":\"delete\",\"fields\":[],\"rows\":[]}]",
        "[{\"entity\":\"visit\",\"op\":\"own\",\"rows\":[]}]",
        "[{\"entity\":\"visit\",\"op\":\"merge\",\"rows\":[]}]",
        "[{\"entity\":\"\",\"op\":\"delete\",\"rows\":[]}]",
        "[{\"entity\":7,\"op\":\"delete\",\"rows\":[]}]",
        "[{\"entity\":\"visit\",\"entity\":\"visit\",\"op\":\"delete\",\"rows\":[]}]",
        "[{\"entity\":\"visit\",\"op\":\"delete\",\"rows\":[],\"op\":\"delete\"}]",
        "[{\"op\":\"delete\",\"rows\":[],\"entity\":\"visit\"}]",
        "[{\"entity\":\"visit\",\"op\":\"delete\",\"rows\":{}}]",
        "[{\"entity\":\"visit\",\"op\":\"delete\",\"bucket\":0,\"rows\":[]}]",
        "[{\"entity\":\"visit\",\"op\":\"delete\",\"bucket\":\"2\",\"rows\":[]}]",
        "[{\"entity\":\"visit\",\"op\":\"set\",\"fields\":[\"kind\",\"kind\"],\"rows\":[]}]",
        "[{\"entity\":\"visit\",\"op\":\"set\",\"fields\":[\"zz\",\"zz\"],\"rows\":[]}]",
        "[{\"entity\":\"visit\",\"op\":\"set\",\"fields\":[7],\"rows\":[]}]",
        "[{\"entity\":\"visit\",\"op\":\"set\",\"fields\":{},\"rows\":[]}]",
        "[{\"entity\":\"visit\",\"op\":\"delete\",\"rows\":[7]}]",
        "[{\"entity\":\"visit\",\"op\":\"delete\",\"rows\":[[]]}]",
        "[{\"entity\":\"visit\",\"op\":\"delete\",\"rows\":[[-1," ID_1 "]]}]",
        "[{\"entity\":\"visit\",\"op\":\"delete\",\"rows\":[[1]]}]",
        "[{\"entity\":\"visit\",\"op\":\"delete\",\"rows\":[[1,7]]}]",
        "[{\"entity\":\"visit\",\"op\":\"delete\",\"rows\":[[1,\"AAAAAAAAAAAAAAAAAAAAAA\"]]}]",
        "[{\"entity\":\"visit\",\"op\":\"delete\",\"rows\":[[1," ID_1 ",7]]}]",
        "[{\"entity\":\"visit\",\"op\":\"set\",\"fields\":[\"kind\"],\"rows\":[[1," ID_1 "]]}]",
        "[{\"entity\":\"visit\",\"op\":\"set\",\"fields\":[\"zz\"],\"rows\":[[1," ID_1 "]]}]",
        "[{\"entity\":\"visit\",\"op\":\"set\",\"fields\":[\"kind\"],\"rows\":[[1," ID_1
        ",\"a\",\"b\"]]}]",
        "[{\"entity\":\"parcel\",\"op\":\"delete\",\"rows\":[[\"1\"," ID_1 "]]}]",
        "[{\"entity\":\"parcel\",\"op\":\"delete\",\"rows\":[7]}]",
        "[{\"op\":\"own\",\"rows\":[[1," ID_1 "]]}]",
        "[{\"op\":\"own\",\"rows\":[[1," ID_1 ",1]]}]",
        "[{\"op\":\"own\",\"rows\":[[1," ID_1 ",1,1,1]]}]",
    };
    for (size_t i = 0; i < COUNT(damaged); i++) {
        int rows, refused;
        if (read_all(damaged[i], &rows, &refused) != -1) {
            fail_msg("%s is not seen as damage", damaged[i]);
        }
    }
}

static void test_block__empty_blocks_and_arrays_are_fine(void **state)
{
    (void)state;
    int rows, refused;
    assert_int_equal(read_all("[]", &rows, &refused), 0);
    assert_int_equal(read_all(" [ ] ", &rows, &refused), 0);
    assert_int_equal(
        read_all("[{\"entity\":\"visit\",\"op\":\"delete\",\"rows\":[ ]},"
                 "{\"entity\":\"parcel\",\"op\":\"delete\",\"rows\":[]},"
                 "{\"entity\":\"visit\",\"op\":\"set\",\"fields\":[],\"rows\":[[5," ID_1 "]]}]",
                 &rows, &refused),
        0);
    assert_int_equal(rows, 1);
}

static void test_block__more_columns_than_an_entity_may_have_are_damage(void **state)
{
    (void)state;
    for (int count = LIMIT_FIELDS; count <= LIMIT_FIELDS + 1; count++) {
        struct buffer json;
        int rows, refused;
        dk_buffer_init(&json, 100000);
        dk_buffer_append_text(&json, "[{\"entity\":\"visit\",\"op\":\"set\",\"fields\":[");
        for (int i = 0; i < count; i++) {
            dk_buffer_append_text(&json, i == 0 ? "\"zz" : ",\"zz");
            dk_buffer_append_int(&json, i);
            dk_buffer_append_char(&json, '"');
        }
        dk_buffer_append_text(&json, "],\"rows\":[]}]");
        assert_int_equal(read_all(dk_buffer_text(&json), &rows, &refused),
                         count > LIMIT_FIELDS ? -1 : 0);
        dk_buffer_clear(&json);
    }
}

static void test_block__the_writer_opens_a_block_where_the_header_changes(void **state)
{
    (void)state;
    struct buffer out;
    struct block_writer writer;
    static const char *const headers[] = {"{\"a\":1", "{\"a\":1", "{\"a\":2", "{\"a\":1"};
    dk_buffer_init(&out, 100000);
    dk_block_begin(&writer, &out);
    dk_block_end(&writer);
    assert_string_equal(dk_buffer_text(&out), "[]");
    dk_buffer_reset(&out);
    dk_block_begin(&writer, &out);
    for (size_t i = 0; i < COUNT(headers); i++) {
        dk_block_row(&writer, headers[i], strlen(headers[i]));
        dk_buffer_append_text(&out, "[0]");
    }
    dk_block_end(&writer);
    assert_string_equal(
        dk_buffer_text(&out),
        "[{\"a\":1,\"rows\":[[0],[0]]},{\"a\":2,\"rows\":[[0]]},{\"a\":1,\"rows\":[[0]]}]");
    dk_buffer_clear(&out);
}

static void test_block__a_header_too_long_to_remember_begins_a_block_each_time(void **state)
{
    (void)state;
    struct buffer out;
    struct block_writer writer;
    static char header[8193];
    memset(header, 'x', sizeof header);
    dk_buffer_init(&out, 100000);
    dk_block_begin(&writer, &out);
    for (int i = 0; i < 2; i++) {
        dk_block_row(&writer, header, sizeof header);
        dk_buffer_append_text(&out, "[]");
    }
    for (int i = 0; i < 2; i++) {
        dk_block_row(&writer, header, sizeof header - 1);
        dk_buffer_append_text(&out, "[]");
    }
    dk_block_end(&writer);
    int blocks = 0;
    for (const char *at = dk_buffer_text(&out); (at = strstr(at, "\"rows\"")) != NULL; at++) {
        blocks++;
    }
    assert_int_equal(blocks, 3);
    dk_buffer_clear(&out);
}

static void test_block__unknown_names_come_behind_known_ones(void **state)
{
    (void)state;
    struct buffer out;
    const struct entity *contact = dk_entity(ENTITY_CONTACT);
    struct id id = {{1}};
    struct field_value values[] = {
        {.field = -1,
         .name = "z\"z",
         .name_length = 3,
         .value = {.kind = VALUE_TEXT, .length = 4, .text = "[ 1]"}},
        {.field = CONTACT_TITLE, .value = {.kind = VALUE_TEXT, .length = 1, .text = "t"}},
        {.field = -1,
         .name = "y",
         .name_length = 1,
         .value = {.kind = VALUE_TEXT, .length = 4, .text = "null"}},
        {.field = CONTACT_BIRTHDAY},
    };
    dk_buffer_init(&out, 10000);
    dk_block_header(&out, BLOCK_NEW, contact, 12, values, COUNT(values));
    assert_string_equal(dk_buffer_text(&out),
                        "{\"entity\":\"contact\",\"op\":\"new\",\"bucket\":12,\"fields\":"
                        "[\"title\",\"birthday\",\"z\\\"z\",\"y\"]");
    dk_buffer_reset(&out);
    dk_block_row_tail(&out, contact, &id, values, COUNT(values));
    assert_string_equal(dk_buffer_text(&out), ",\"AQAAAAAAAAAAAAAAAAAAAA\",\"t\",null,[ 1],null]");
    dk_buffer_reset(&out);
    dk_block_header(&out, BLOCK_OWN, NULL, 0, NULL, 0);
    assert_string_equal(dk_buffer_text(&out), "{\"op\":\"own\"");
    dk_buffer_reset(&out);
    dk_block_header(&out, BLOCK_SET, contact, 0, NULL, 0);
    assert_string_equal(dk_buffer_text(&out),
                        "{\"entity\":\"contact\",\"op\":\"set\",\"fields\":[]");
    dk_buffer_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_block__rows_are_read_block_by_block),
        cmocka_unit_test(test_block__a_marker_has_seq_and_bucket),
        cmocka_unit_test(test_block__rows_of_an_unknown_entity_are_kept_as_they_are),
        cmocka_unit_test(test_block__a_refused_row_is_behind_the_reader),
        cmocka_unit_test(test_block__changes_of_collections_belong_to_set),
        cmocka_unit_test(test_block__what_is_no_block_is_damage),
        cmocka_unit_test(test_block__empty_blocks_and_arrays_are_fine),
        cmocka_unit_test(test_block__more_columns_than_an_entity_may_have_are_damage),
        cmocka_unit_test(test_block__the_writer_opens_a_block_where_the_header_changes),
        cmocka_unit_test(test_block__a_header_too_long_to_remember_begins_a_block_each_time),
        cmocka_unit_test(test_block__unknown_names_come_behind_known_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
