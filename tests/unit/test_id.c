/* SPDX-License-Identifier: Apache-2.0
 *
 * Ids: always later, whatever the clock does; one text and one wire form each.
 */
#include "engine/base/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS INT64_C(1750000000000)
#define TIME_MAX_MS INT64_C(0xFFFFFFFFFFFF)

/* The next ten bytes of a fixed sequence that looks random. */
static void next_random(uint64_t *seed, uint8_t random[10])
{
    for (int i = 0; i < 10; i++) {
        *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        random[i] = (uint8_t)(*seed >> 56);
    }
}

/* The milliseconds in an id. */
static int64_t time_of(const struct id *id)
{
    int64_t time_ms = 0;
    for (int i = 0; i < 6; i++) {
        time_ms = time_ms << 8 | id->bytes[i];
    }
    return time_ms;
}

/* Makes `count` ids at one time; each must be later than *last, of version 7 and variant 10. */
static void make_later(struct id_maker *maker, uint64_t *seed, int64_t now_ms, int count,
                       struct id *last)
{
    for (int i = 0; i < count; i++) {
        uint8_t random[10];
        next_random(seed, random);
        struct id id = dk_id_make(maker, now_ms, random);
        assert_true(dk_id_compare(&id, last) > 0);
        assert_int_equal(id.bytes[6] >> 4, 7);
        assert_int_equal(id.bytes[8] >> 6, 2);
        assert_memory_equal(id.bytes + 9, random + 3, 7);
        *last = id;
    }
}

static void test_id__ids_sort_as_they_were_made(void **state)
{
    (void)state;
    struct id_maker maker = {0};
    struct id last = {{0}};
    uint64_t seed = 1;
    /* the clock goes on */
    make_later(&maker, &seed, NOW_MS, 3, &last);
    assert_true(time_of(&last) == NOW_MS);
    make_later(&maker, &seed, NOW_MS + 1, 3, &last);
    assert_true(time_of(&last) == NOW_MS + 1);
    /* it stands still for more ids than the counter has numbers: the time runs ahead */
    make_later(&maker, &seed, NOW_MS + 1, 10000, &last);
    assert_true(time_of(&last) > NOW_MS + 1 && time_of(&last) < NOW_MS + 7);
    /* it goes back by a millisecond, by ten years, below zero */
    make_later(&maker, &seed, NOW_MS, 100, &last);
    make_later(&maker, &seed, NOW_MS - INT64_C(315360000000), 5000, &last);
    make_later(&maker, &seed, INT64_MIN, 100, &last);
    /* and comes back */
    make_later(&maker, &seed, NOW_MS + 1000, 100, &last);
    assert_true(time_of(&last) == NOW_MS + 1000);
}

static void test_id__the_ends_of_time_are_kept(void **state)
{
    (void)state;
    struct id_maker maker = {0};
    struct id last = {{0}};
    uint64_t seed = 2;
    make_later(&maker, &seed, -1, 3, &last);
    assert_true(time_of(&last) == 0);
    make_later(&maker, &seed, TIME_MAX_MS, 3, &last);
    assert_true(time_of(&last) == TIME_MAX_MS);
    make_later(&maker, &seed, INT64_MAX, 3, &last);
    assert_true(time_of(&last) == TIME_MAX_MS);
    /* when even the counter is full the time stays in its 48 bits and does not wrap */
    for (int i = 0; i < 10000; i++) {
        uint8_t random[10];
        next_random(&seed, random);
        last = dk_id_make(&maker, INT64_MAX, random);
    }
    assert_true(time_of(&last) == TIME_MAX_MS);
}

static void test_id__a_full_counter_borrows_the_next_millisecond(void **state)
{
    (void)state;
    struct id_maker maker = {.last_ms = NOW_MS, .counter = 0x0FFE};
    const uint8_t random[10] = {0xFF, 0xFF, 1, 2, 3, 4, 5, 6, 7, 8};
    struct id full = dk_id_make(&maker, NOW_MS, random);
    assert_true(time_of(&full) == NOW_MS);
    assert_int_equal(full.bytes[6], 0x7F);
    assert_int_equal(full.bytes[7], 0xFF);
    struct id next = dk_id_make(&maker, NOW_MS, random);
    assert_true(time_of(&next) == NOW_MS + 1);
    /* a new millisecond starts in the lower half, so that there is room to count */
    assert_int_equal(next.bytes[6], 0x77);
    assert_int_equal(next.bytes[7], 0xFF);
}

static void test_id__a_hash_gives_one_id_of_version_8(void **state)
{
    (void)state;
    uint8_t hash[16];
    memset(hash, 0xFF, sizeof hash);
    struct id id = dk_id_from_hash(hash);
    char text[ID_TEXT_SIZE];
    dk_id_to_text(&id, text);
    assert_string_equal(text, "ffffffff-ffff-8fff-bfff-ffffffffffff");
    memset(hash, 0, sizeof hash);
    id = dk_id_from_hash(hash);
    dk_id_to_text(&id, text);
    assert_string_equal(text, "00000000-0000-8000-8000-000000000000");
    assert_false(dk_id_is_zero(&id));
    memset(&id, 0, sizeof id);
    assert_true(dk_id_is_zero(&id));
}

static void test_id__the_text_is_strict(void **state)
{
    (void)state;
    const char *text = "0190163d-8694-739b-aea5-966c26f8ad91";
    struct id id;
    struct id other;
    char out[ID_TEXT_SIZE];
    assert_true(dk_id_from_text(text, 36, &id));
    assert_memory_equal(id.bytes,
                        "\x01\x90\x16\x3d\x86\x94\x73\x9b\xae\xa5\x96\x6c\x26\xf8\xad\x91", 16);
    dk_id_to_text(&id, out);
    assert_string_equal(out, text);
    assert_true(dk_id_from_text("0190163D-8694-739B-AEA5-966C26F8AD91", 36, &other));
    assert_int_equal(dk_id_compare(&id, &other), 0);
    for (size_t i = 0; i < 36; i++) {
        /* each place refuses what belongs to the other kind, and each shorter text is refused */
        char changed[37];
        memcpy(changed, text, sizeof changed);
        changed[i] = text[i] == '-' ? '0' : '-';
        assert_false(dk_id_from_text(changed, 36, &other));
        changed[i] = 'g';
        assert_false(dk_id_from_text(changed, 36, &other));
        changed[i] = '\0';
        assert_false(dk_id_from_text(changed, 36, &other));
        assert_false(dk_id_from_text(text, i, &other));
    }
    assert_false(dk_id_from_text("0190163d-8694-739b-aea5-966c26f8ad910", 37, &other));
    assert_false(dk_id_from_text("0190163d8694739baea5966c26f8ad91", 32, &other));
    assert_false(dk_id_from_text("{0190163d-8694-739b-aea5-966c26f8a}", 36, &other));
}

static void test_id__the_wire_form_is_strict(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (int i = 0; i < 1000; i++) {
        struct id id;
        struct id read;
        uint8_t random[10];
        char wire[ID_WIRE_LENGTH];
        next_random(&seed, random);
        memcpy(id.bytes, random, 10);
        memcpy(id.bytes + 6, random, 10);
        dk_id_to_wire(&id, wire);
        assert_true(dk_id_from_wire(wire, sizeof wire, &read));
        assert_int_equal(dk_id_compare(&id, &read), 0);
    }
    struct id id;
    assert_true(dk_id_from_wire("AZAWPYaUc5uupZZsJvitkQ", 22, &id));
    assert_int_equal(id.bytes[15], 0x91);
    assert_false(dk_id_from_wire("AZAWPYaUc5uupZZsJvitkR", 22, &id)); /* spare bits */
    assert_false(dk_id_from_wire("AZAWPYaUc5uupZZsJvitk", 21, &id));
    assert_false(dk_id_from_wire("AZAWPYaUc5uupZZsJvitkQA", 23, &id));
    assert_false(dk_id_from_wire("AZAWPYaUc5uupZZsJvitkQ==", 24, &id));
    assert_false(dk_id_from_wire("AZAWPYaUc5uupZZsJv tkQ", 22, &id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_id__ids_sort_as_they_were_made),
        cmocka_unit_test(test_id__the_ends_of_time_are_kept),
        cmocka_unit_test(test_id__a_full_counter_borrows_the_next_millisecond),
        cmocka_unit_test(test_id__a_hash_gives_one_id_of_version_8),
        cmocka_unit_test(test_id__the_text_is_strict),
        cmocka_unit_test(test_id__the_wire_form_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
