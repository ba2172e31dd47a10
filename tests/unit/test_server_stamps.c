/* SPDX-License-Identifier: Apache-2.0
 *
 * The stored form of stamps: what is written is read, golden bytes, and every damaged form is
 * refused without reading past it.
 */
#include "sync-server/store/stamps.h"
#include "sync-server/store/varint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define ok(call) assert_int_equal((call), DAYBOOK_OK)

/* A record of the entity without any stamp. */
static void clear(struct srv_record *record, int kind)
{
    memset(record, 0, sizeof *record);
    record->record.entity = dk_entity(kind);
}

static void assert_stamp(struct stamp stamp, struct stamp expected)
{
    assert_true(stamp.position == expected.position && stamp.time == expected.time &&
                stamp.device_no == expected.device_no);
}

/* Writes, reads and compares; the bytes used. The bytes are read from a block of exactly their
 * size, so that a sanitizer sees a read past it. */
static size_t round_trip(const struct srv_record *record)
{
    static struct srv_record got;
    struct buffer out;
    struct arena arena;
    dk_buffer_init(&out, 1 << 20);
    dk_arena_init(&arena, 1 << 24);
    ok(srv_stamps_write(&out, record));
    char *bytes = malloc(out.length);
    assert_non_null(bytes);
    memcpy(bytes, out.bytes, out.length);
    memset(&got, 0x5A, sizeof got);
    got.record.entity = record->record.entity;
    ok(srv_stamps_read(bytes, out.length, &arena, &got));
    assert_stamp(got.deletion, record->deletion);
    for (int i = 0; i < record->record.entity->field_count; i++) {
        assert_stamp(got.stamps[i], record->stamps[i]);
    }
    assert_int_equal(got.key_stamp_count, record->key_stamp_count);
    for (int i = 0; i < record->key_stamp_count; i++) {
        assert_int_equal(got.key_stamps[i].key_length, record->key_stamps[i].key_length);
        assert_memory_equal(got.key_stamps[i].key, record->key_stamps[i].key,
                            got.key_stamps[i].key_length);
        assert_stamp(got.key_stamps[i].stamp, record->key_stamps[i].stamp);
    }
    assert_int_equal(got.state_op_count, record->state_op_count);
    for (int i = 0; i < record->state_op_count; i++) {
        const struct state_op *a = &got.state_ops[i], *b = &record->state_ops[i];
        assert_true(a->position == b->position && a->device_no == b->device_no &&
                    a->epoch == b->epoch && a->rank == b->rank && a->peak == b->peak);
    }
    size_t length = out.length;
    free(bytes);
    dk_arena_clear(&arena);
    dk_buffer_clear(&out);
    return length;
}

static void test_server_stamps__the_form_is_this(void **state)
{
    (void)state;
    static struct srv_record record;
    struct buffer out;
    clear(&record, ENTITY_TERRITORY);
    record.stamps[FIELD_CREATED_TS] = (struct stamp){.position = 5, .time = 300, .device_no = 2};
    record.stamps[FIELD_CUSTOM] = (struct stamp){.position = 6, .time = 1, .device_no = 200};
    struct srv_key_stamp key = {
        .key = "custom.a", .key_length = 8, .stamp = record.stamps[FIELD_CREATED_TS]};
    record.key_stamps = &key;
    record.key_stamp_count = 1;
    struct state_op ops[] = {{5, 2, 0, 3, -1}, {300, 200, 1, 0, 3}};
    record.state_ops = ops;
    record.state_op_count = 2;
    static const uint8_t expected[] = {
        1,   2,   5,   0xAC, 2,   2,   6, 1, 0xC8, 1, 0, 4, 1, 0,    0, 2,    1, 8, 'c', 'u',
        's', 't', 'o', 'm',  '.', 'a', 1, 2, 5,    2, 0, 3, 0, 0xAC, 2, 0xC8, 1, 1, 0,   4};
    dk_buffer_init(&out, 1000);
    ok(srv_stamps_write(&out, &record));
    assert_int_equal(out.length, sizeof expected);
    assert_memory_equal(out.bytes, expected, sizeof expected);
    dk_buffer_clear(&out);
    (void)round_trip(&record);
}

static void test_server_stamps__no_stamps_take_six_bytes(void **state)
{
    (void)state;
    static struct srv_record record;
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        clear(&record, kind);
        assert_int_equal(round_trip(&record), 6);
    }
}

static void test_server_stamps__a_new_record_takes_few_bytes(void **state)
{
    (void)state;
    static struct srv_record record;
    clear(&record, ENTITY_VISIT);
    for (int i = 0; i < VISIT_FIELD_COUNT; i++) {
        record.stamps[i] = (struct stamp){
            .position = 100000, .time = UINT64_C(1700000000000) << 16, .device_no = 17};
    }
    assert_in_range(round_trip(&record), VISIT_FIELD_COUNT, VISIT_FIELD_COUNT + 20);
}

static void test_server_stamps__the_ends_of_each_range(void **state)
{
    (void)state;
    static struct srv_record record;
    clear(&record, ENTITY_VISIT);
    record.deletion =
        (struct stamp){.position = INT64_MAX, .time = UINT64_MAX, .device_no = UINT32_MAX};
    record.stamps[0] = (struct stamp){.position = 0, .time = 0, .device_no = 1};
    record.stamps[1] = (struct stamp){.position = 0, .time = 1, .device_no = 0};
    record.stamps[2] = (struct stamp){.position = 1, .time = 0, .device_no = 0};
    record.stamps[VISIT_FIELD_COUNT - 1] = record.deletion;
    struct state_op ops[STATE_OPS_MAX];
    for (int i = 0; i < STATE_OPS_MAX; i++) {
        ops[i] = (struct state_op){INT64_MAX, UINT32_MAX, STATE_EPOCH_MAX, STATE_RANK_MAX,
                                   (int8_t)(i == 0 ? STATE_RANK_MAX : -1)};
    }
    record.state_ops = ops;
    record.state_op_count = STATE_OPS_MAX;
    (void)round_trip(&record);
}

static void test_server_stamps__all_different_and_many_keys(void **state)
{
    (void)state;
    static struct srv_record record;
    static struct srv_key_stamp keys[STAMPS_KEYS_MAX + 1];
    struct buffer out;
    clear(&record, ENTITY_VISIT);
    record.key_stamps = keys;
    for (int i = 0; i < VISIT_FIELD_COUNT; i++) {
        record.stamps[i] = (struct stamp){.position = i + 1, .time = 1, .device_no = 1};
    }
    static const int counts[] = {1, 36, 37, 38, 126, 127, 128, 400, 3000};
    for (size_t i = 0; i < COUNT(counts); i++) { /* around the sizes where forms change */
        record.key_stamp_count = counts[i];
        for (int k = 0; k < counts[i]; k++) {
            keys[k] =
                (struct srv_key_stamp){.key = "extra.key",
                                       .key_length = (uint32_t)(k % 10),
                                       .stamp = {.position = 1000 + k, .time = 2, .device_no = 3}};
        }
        (void)round_trip(&record);
    }
    record.key_stamp_count = STAMPS_KEYS_MAX + 1;
    dk_buffer_init(&out, 1 << 20);
    assert_int_equal(srv_stamps_write(&out, &record), DAYBOOK_TOO_LARGE);
    dk_buffer_clear(&out);
}

static void test_server_stamps__a_full_buffer_says_so(void **state)
{
    (void)state;
    static struct srv_record record;
    struct buffer out;
    clear(&record, ENTITY_VISIT);
    dk_buffer_init(&out, 3);
    assert_int_equal(srv_stamps_write(&out, &record), DAYBOOK_TOO_LARGE);
    dk_buffer_clear(&out);
}

/* Reads bytes from a block of exactly their size. */
static daybook_status read_exactly(const uint8_t *bytes, size_t length)
{
    static struct srv_record record;
    struct arena arena;
    clear(&record, ENTITY_TERRITORY);
    dk_arena_init(&arena, 1 << 20);
    uint8_t *copy = malloc(length + (length == 0));
    assert_non_null(copy);
    memcpy(copy, bytes, length);
    daybook_status status = srv_stamps_read(copy, length, &arena, &record);
    free(copy);
    dk_arena_clear(&arena);
    return status;
}

static void test_server_stamps__damage_is_refused(void **state)
{
    (void)state;
    /* version, list of 1: (5, 9, 2), deletion, fields, keys, state */
    static const uint8_t good[] = {1, 1, 5,   9,   2, 0, 5, 1, 0, 0, 0, 1,
                                   1, 2, 'k', '1', 1, 1, 5, 2, 0, 3, 0};
    ok(read_exactly(good, sizeof good));
    for (size_t length = 0; length < sizeof good; length++) { /* cut at every byte */
        assert_int_equal(read_exactly(good, length), DAYBOOK_CORRUPT);
    }
    static const struct {
        size_t at;
        uint8_t byte;
    } changes[] = {
        {0, 0},
        {0, 2}, /* another version */
        {1, 2},
        {1, 0x7F},
        {1, 0}, /* another number of stamps */
        {5, 2}, /* a stamp that is not listed */
        {6, 6},
        {6, 0x7F}, /* more fields than the entity has */
        {7, 2},    /* a stamp that is not listed */
        {12, 2},
        {12, 0x7F}, /* more keys than there are bytes for */
        {13, 3},
        {13, 0x7F},
        {13, 1},    /* a key that is longer, shorter */
        {16, 2},    /* a stamp that is not listed */
        {16, 0x81}, /* a number without an end */
        {17, 2},
        {17, 0x7F},
        {17, 0},                  /* another number of operations */
        {21, STATE_RANK_MAX + 1}, /* a rank too high */
        {22, STATE_RANK_MAX + 2}, /* a peak too high */
    };
    for (size_t i = 0; i < COUNT(changes); i++) {
        uint8_t bytes[sizeof good];
        memcpy(bytes, good, sizeof good);
        bytes[changes[i].at] = changes[i].byte;
        assert_int_equal(read_exactly(bytes, sizeof bytes), DAYBOOK_CORRUPT);
    }
    uint8_t longer[sizeof good + 1] = {0};
    memcpy(longer, good, sizeof good);
    assert_int_equal(read_exactly(longer, sizeof longer), DAYBOOK_CORRUPT); /* trailing bytes */
}

static void test_server_stamps__any_bytes_are_read_safely(void **state)
{
    (void)state;
    uint64_t x = UINT64_C(0x9E3779B97F4A7C15);
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[40];
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        size_t length = (size_t)(x % sizeof bytes);
        uint64_t y = x;
        for (size_t i = 0; i < length; i++) {
            y = y * UINT64_C(6364136223846793005) + 1;
            bytes[i] = (uint8_t)((y >> 60) == 0 ? y >> 32 : (y >> 32) % 6);
        }
        if (length > 0) {
            bytes[0] = 1;
        }
        daybook_status status = read_exactly(bytes, length);
        assert_true(status == DAYBOOK_OK || status == DAYBOOK_CORRUPT);
    }
}

static void test_server_stamps__numbers_have_one_form(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0,          1,          127,       128,
                                       16383,      16384,      INT64_MAX, UINT64_MAX - 1,
                                       UINT64_MAX, UINT32_MAX, 1u << 28,  UINT64_C(1) << 63};
    for (size_t i = 0; i < COUNT(numbers); i++) {
        uint8_t bytes[VARINT_MAX];
        uint64_t number = 77;
        size_t cursor = 0;
        size_t length = srv_varint_write(bytes, numbers[i]);
        assert_in_range(length, 1, VARINT_MAX);
        assert_true(srv_varint_read(bytes, length, &cursor, &number));
        assert_true(number == numbers[i]);
        assert_int_equal(cursor, length);
        cursor = 0;
        assert_false(srv_varint_read(bytes, length - 1, &cursor, &number));
        assert_int_equal(cursor, 0);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_stamps__the_form_is_this),
        cmocka_unit_test(test_server_stamps__no_stamps_take_six_bytes),
        cmocka_unit_test(test_server_stamps__a_new_record_takes_few_bytes),
        cmocka_unit_test(test_server_stamps__the_ends_of_each_range),
        cmocka_unit_test(test_server_stamps__all_different_and_many_keys),
        cmocka_unit_test(test_server_stamps__a_full_buffer_says_so),
        cmocka_unit_test(test_server_stamps__damage_is_refused),
        cmocka_unit_test(test_server_stamps__any_bytes_are_read_safely),
        cmocka_unit_test(test_server_stamps__numbers_have_one_form),
    };
    return cmocka_run_group_tests_name("server_stamps", tests, NULL, NULL);
}
