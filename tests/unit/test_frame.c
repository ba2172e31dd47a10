/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames: what is compressed comes back; each cut, each changed byte, each trailing byte, each lie
 * of the header and each bomb is refused at a bounded price. Hostile frames are put together by
 * hand from RFC 8878, not by the library.
 */
#include "engine/base/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define BLOCK ((size_t)128 * 1024) /* the most that one block holds */
#define WINDOW_MAX ((size_t)1 << 20)

static const char magic[4] = {'\x28', '\xB5', '\x2F', '\xFD'};

/* A codec and a place for its output, made anew for each test. */
struct fixture {
    struct frame_codec *codec;
    struct buffer frame;
    struct buffer out;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (fixture == NULL) {
        return -1;
    }
    fixture->codec = dk_frame_new();
    dk_buffer_init(&fixture->frame, (size_t)8 << 20);
    dk_buffer_init(&fixture->out, (size_t)8 << 20);
    *state = fixture;
    return fixture->codec == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    dk_frame_free(fixture->codec);
    dk_buffer_clear(&fixture->frame);
    dk_buffer_clear(&fixture->out);
    free(fixture);
    return 0;
}

/* Appends `count` low bytes of the number, the lowest first. */
static void append_number(struct buffer *frame, uint64_t number, int count)
{
    for (int i = 0; i < count; i++) {
        dk_buffer_append_char(frame, (char)(number >> 8 * i & 0xFF));
    }
}

/* Begins a frame whose content size is unknown, with this window byte. */
static void begin_unknown(struct buffer *frame, int window)
{
    dk_buffer_append(frame, magic, sizeof magic);
    append_number(frame, 0, 1);
    append_number(frame, (uint64_t)window, 1);
}

/* Begins a frame that states its content size in 8 bytes; one segment, or a window of 2^20. */
static void begin_known(struct buffer *frame, bool one_segment, uint64_t size)
{
    dk_buffer_append(frame, magic, sizeof magic);
    append_number(frame, one_segment ? 0xE0 : 0xC0, 1);
    append_number(frame, 10 << 3, one_segment ? 0 : 1);
    append_number(frame, size, 8);
}

/* A block of one byte that is repeated: 4 bytes for up to 128 KiB. */
static void append_block(struct buffer *frame, size_t size, bool last)
{
    append_number(frame, (uint64_t)size << 3 | 1U << 1 | (last ? 1 : 0), 3);
    append_number(frame, 'z', 1);
}

/* Blocks for `size` bytes, the last marked. */
static void append_blocks(struct buffer *frame, size_t size)
{
    for (; size > BLOCK; size -= BLOCK) {
        append_block(frame, BLOCK, false);
    }
    append_block(frame, size, true);
}

/* Expands a copy of just that size into an emptied `out` with this maximum. */
static daybook_status expand(struct fixture *fixture, const char *bytes, size_t length,
                             size_t size_max)
{
    dk_buffer_clear(&fixture->out);
    dk_buffer_init(&fixture->out, size_max);
    char *copy = malloc(length == 0 ? 1 : length);
    assert_non_null(copy);
    memcpy(copy, bytes, length);
    daybook_status status = dk_frame_expand(fixture->codec, copy, length, &fixture->out);
    free(copy);
    return status;
}

/* The same for the frame of the fixture, which is emptied. */
static daybook_status expand_frame(struct fixture *fixture, size_t size_max)
{
    daybook_status status = expand(fixture, fixture->frame.bytes, fixture->frame.length, size_max);
    dk_buffer_reset(&fixture->frame);
    return status;
}

/* A page of JSON rows of at least this size. */
static void write_page(struct buffer *page, size_t size)
{
    uint64_t seed = 1;
    while (page->length < size) {
        seed = seed * UINT64_C(6364136223846793005) + 1;
        dk_buffer_append_text(page, "[\"visit\",\"拜访客户\",");
        dk_buffer_append_int(page, (int64_t)(seed >> 40));
        dk_buffer_append_text(page, "],");
    }
}

static void test_frame__content_comes_back(void **state)
{
    struct fixture *fixture = *state;
    static const size_t sizes[] = {0, 1, 100, 1000, 70000, 1 << 20, 3 << 20};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (int level = 1; level <= 3; level++) {
            struct buffer page;
            dk_buffer_init(&page, (size_t)4 << 20);
            write_page(&page, sizes[i]);
            assert_int_equal(
                dk_frame_compress(fixture->codec, page.bytes, page.length, level, &fixture->frame),
                DAYBOOK_OK);
            assert_true(page.length < 300 || fixture->frame.length < page.length / 3);
            /* into a buffer of just its size, and not into a smaller one */
            assert_int_equal(
                expand(fixture, fixture->frame.bytes, fixture->frame.length, page.length),
                DAYBOOK_OK);
            assert_int_equal(fixture->out.length, page.length);
            assert_memory_equal(dk_buffer_text(&fixture->out), dk_buffer_text(&page), page.length);
            if (page.length > 0) {
                assert_int_equal(expand_frame(fixture, page.length - 1), DAYBOOK_TOO_LARGE);
            }
            dk_buffer_reset(&fixture->frame);
            dk_buffer_clear(&page);
        }
    }
}

static void test_frame__frames_are_appended(void **state)
{
    struct fixture *fixture = *state;
    dk_buffer_append_text(&fixture->frame, "head");
    assert_int_equal(dk_frame_compress(fixture->codec, "visit", 5, 1, &fixture->frame), DAYBOOK_OK);
    assert_memory_equal(fixture->frame.bytes, "head\x28\xB5\x2F\xFD", 8);
    dk_buffer_append_text(&fixture->out, "body ");
    assert_int_equal(dk_frame_expand(fixture->codec, fixture->frame.bytes + 4,
                                     fixture->frame.length - 4, &fixture->out),
                     DAYBOOK_OK);
    assert_string_equal(dk_buffer_text(&fixture->out), "body visit");
}

static void test_frame__a_frame_that_does_not_fit_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char noise[1000];
    uint64_t seed = 5;
    for (size_t i = 0; i < sizeof noise; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        noise[i] = (char)(seed >> 56);
    }
    assert_int_equal(dk_frame_compress(fixture->codec, noise, sizeof noise, 1, &fixture->frame),
                     DAYBOOK_OK);
    size_t size = fixture->frame.length;
    assert_true(size > sizeof noise);
    /* just its size is enough, though the library would want more at worst */
    struct buffer out;
    dk_buffer_init(&out, size);
    assert_int_equal(dk_frame_compress(fixture->codec, noise, sizeof noise, 1, &out), DAYBOOK_OK);
    dk_buffer_clear(&out);
    dk_buffer_init(&out, size - 1);
    assert_int_equal(dk_frame_compress(fixture->codec, noise, sizeof noise, 1, &out),
                     DAYBOOK_TOO_LARGE);
    assert_int_equal(out.length, 0);
    /* and the failure sticks */
    assert_int_equal(dk_frame_compress(fixture->codec, "", 0, 1, &out), DAYBOOK_TOO_LARGE);
    assert_int_equal(dk_frame_expand(fixture->codec, fixture->frame.bytes, size, &out),
                     DAYBOOK_TOO_LARGE);
    dk_buffer_clear(&out);
}

static void test_frame__each_cut_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct buffer page;
    dk_buffer_init(&page, 100000);
    write_page(&page, 3000);
    assert_int_equal(dk_frame_compress(fixture->codec, page.bytes, page.length, 3, &fixture->frame),
                     DAYBOOK_OK);
    for (size_t length = 0; length < fixture->frame.length; length++) {
        assert_int_equal(expand(fixture, fixture->frame.bytes, length, 100000), DAYBOOK_BAD_REPLY);
    }
    /* what stands behind it as well: a byte, a frame without content, a skippable one, a second */
    static const struct {
        const char *bytes;
        size_t length;
    } tails[] = {
        {"\0", 1},
        {"\x28\xB5\x2F\xFD\x20\x00\x01\x00\x00", 9},
        {"\x50\x2A\x4D\x18\x00\x00\x00\x00", 8},
    };
    size_t whole = fixture->frame.length;
    for (size_t i = 0; i < COUNT(tails); i++) {
        fixture->frame.length = whole;
        dk_buffer_append(&fixture->frame, tails[i].bytes, tails[i].length);
        assert_int_equal(expand(fixture, fixture->frame.bytes, fixture->frame.length, 100000),
                         DAYBOOK_BAD_REPLY);
    }
    assert_int_equal(expand(fixture, fixture->frame.bytes, whole, 100000), DAYBOOK_OK);
    assert_int_equal(expand(fixture, tails[1].bytes, tails[1].length, 100000), DAYBOOK_OK);
    dk_buffer_reset(&fixture->frame);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(dk_frame_compress(fixture->codec, "x", 1, 1, &fixture->frame), DAYBOOK_OK);
    }
    assert_int_equal(expand_frame(fixture, 100000), DAYBOOK_BAD_REPLY);
    dk_buffer_clear(&page);
}

static void test_frame__no_changed_byte_changes_the_content(void **state)
{
    struct fixture *fixture = *state;
    struct buffer page;
    size_t refused = 0;
    dk_buffer_init(&page, 100000);
    write_page(&page, 1500);
    assert_int_equal(dk_frame_compress(fixture->codec, page.bytes, page.length, 1, &fixture->frame),
                     DAYBOOK_OK);
    struct buffer *frame = &fixture->frame;
    for (size_t i = 0; i < frame->length; i++) {
        for (int flip = 1; flip < 256; flip++) {
            frame->bytes[i] = (char)(frame->bytes[i] ^ flip);
            daybook_status status = expand(fixture, frame->bytes, frame->length, 100000);
            frame->bytes[i] = (char)(frame->bytes[i] ^ flip);
            /* an unused bit may change, but no content passes that was not sent */
            if (status == DAYBOOK_OK) {
                assert_int_equal(fixture->out.length, page.length);
                assert_memory_equal(fixture->out.bytes, page.bytes, page.length);
                continue;
            }
            assert_true(status == DAYBOOK_BAD_REPLY || status == DAYBOOK_TOO_LARGE);
            refused++;
        }
    }
    assert_true(refused >= frame->length * 255 - 255);
    /* the codec is as good as before */
    assert_int_equal(expand(fixture, frame->bytes, frame->length, 100000), DAYBOOK_OK);
    dk_buffer_clear(&page);
}

static void test_frame__what_is_no_frame_is_refused(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *bytes;
        size_t length;
    } refused[] = {
        {"", 0},
        {"{\"a\":1}", 7},
        {"<html><body>Please sign in</body></html>", 40},
        {"\x28\xB5\x2F\xFD", 4},
        {"\x50\x2A\x4D\x18\x04\x00\x00\x00skip", 12},      /* a skippable frame */
        {"\x27\xB5\x2F\xFD\x00\x00\x00\x00\x00\x00", 10},  /* an old format */
        {"\x28\xB5\x2F\xFD\x28\x00\x01\x00\x00", 9},       /* the reserved bit */
        {"\x28\xB5\x2F\xFD\x21\x07\x01\x09\x00\x00z", 11}, /* wants a dictionary */
        {"\x28\xB5\x2F\xFD\x20\x01\x0F\x00\x00z", 10},     /* a block of the reserved type */
        {"\x28\xB5\x2F\xFD\x24\x01\x09\x00\x00z\x00\x00\x00\x00", 14}, /* a wrong checksum */
    };
    for (size_t i = 0; i < COUNT(refused); i++) {
        assert_int_equal(expand(fixture, refused[i].bytes, refused[i].length, 1000),
                         DAYBOOK_BAD_REPLY);
    }
    /* the last but one as it should be, so that the table does not refuse for another reason */
    assert_int_equal(expand(fixture, "\x28\xB5\x2F\xFD\x20\x01\x09\x00\x00z", 10, 1000),
                     DAYBOOK_OK);
    assert_string_equal(dk_buffer_text(&fixture->out), "z");
}

static void test_frame__windows_are_bounded_on_both_sides(void **state)
{
    struct fixture *fixture = *state;
    /* 2^20 exactly, then an eighth more, then up to the 3.75 TiB that the format can ask for */
    static const int windows[] = {10 << 3 | 1, 10 << 3 | 7, 11 << 3, 17 << 3, 21 << 3, 31 << 3 | 7};
    begin_unknown(&fixture->frame, 10 << 3);
    append_block(&fixture->frame, 10, true);
    assert_int_equal(expand_frame(fixture, 1000), DAYBOOK_OK);
    assert_string_equal(dk_buffer_text(&fixture->out), "zzzzzzzzzz");
    for (size_t i = 0; i < COUNT(windows); i++) {
        begin_unknown(&fixture->frame, windows[i]);
        append_block(&fixture->frame, 10, true);
        assert_int_equal(expand_frame(fixture, 1000), DAYBOOK_BAD_REPLY);
        assert_null(fixture->out.bytes);
    }
    /* the window of a single segment is its content */
    begin_known(&fixture->frame, true, WINDOW_MAX);
    append_blocks(&fixture->frame, WINDOW_MAX);
    assert_int_equal(expand_frame(fixture, 2 * WINDOW_MAX), DAYBOOK_OK);
    begin_known(&fixture->frame, true, WINDOW_MAX + 1);
    append_blocks(&fixture->frame, WINDOW_MAX + 1);
    assert_int_equal(expand_frame(fixture, 2 * WINDOW_MAX), DAYBOOK_BAD_REPLY);
    begin_known(&fixture->frame, false, WINDOW_MAX + 1);
    append_blocks(&fixture->frame, WINDOW_MAX + 1);
    assert_int_equal(expand_frame(fixture, 2 * WINDOW_MAX), DAYBOOK_OK);
    assert_int_equal(fixture->out.length, WINDOW_MAX + 1);
}

static void test_frame__bombs_cost_no_more_than_the_maximum(void **state)
{
    struct fixture *fixture = *state;
    /* given frames of unknown content size, of just the maximum and one byte more */
    static const size_t maxima[] = {0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 5 * BLOCK + 77};
    for (size_t i = 0; i < COUNT(maxima); i++) {
        begin_unknown(&fixture->frame, 10 << 3);
        append_blocks(&fixture->frame, maxima[i]);
        assert_int_equal(expand_frame(fixture, maxima[i]), DAYBOOK_OK);
        assert_int_equal(fixture->out.length, maxima[i]);
        begin_unknown(&fixture->frame, 10 << 3);
        append_blocks(&fixture->frame, maxima[i] + 1);
        assert_int_equal(expand_frame(fixture, maxima[i]), DAYBOOK_TOO_LARGE);
        assert_true(fixture->out.capacity <= maxima[i]);
    }
    /* 1 GiB in 32 KiB, the size stated or not: refused, early where it is stated */
    begin_unknown(&fixture->frame, 10 << 3);
    append_blocks(&fixture->frame, (size_t)1 << 30);
    assert_int_equal(expand_frame(fixture, (size_t)4 << 20), DAYBOOK_TOO_LARGE);
    begin_known(&fixture->frame, false, (uint64_t)1 << 30);
    append_blocks(&fixture->frame, (size_t)1 << 30);
    assert_int_equal(expand_frame(fixture, (size_t)4 << 20), DAYBOOK_TOO_LARGE);
    assert_null(fixture->out.bytes);
}

static void test_frame__stated_sizes_must_be_true(void **state)
{
    struct fixture *fixture = *state;
    static const uint64_t sizes[] = {0, 1, 9, 11, 1000, 100000};
    begin_known(&fixture->frame, false, 10);
    append_block(&fixture->frame, 10, true);
    assert_int_equal(expand_frame(fixture, 100000), DAYBOOK_OK);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        begin_known(&fixture->frame, false, sizes[i]);
        append_block(&fixture->frame, 10, true);
        assert_int_equal(expand_frame(fixture, 100000), DAYBOOK_BAD_REPLY);
    }
    /* no memory is taken for a size that so few bytes cannot hold */
    begin_known(&fixture->frame, false, (uint64_t)200 << 20);
    append_block(&fixture->frame, 10, true);
    assert_int_equal(expand_frame(fixture, (size_t)255 << 20), DAYBOOK_BAD_REPLY);
    assert_null(fixture->out.bytes);
    /* the largest numbers do not wrap */
    for (uint64_t size = UINT64_MAX; size > UINT64_MAX - 4; size--) {
        begin_known(&fixture->frame, false, size);
        append_block(&fixture->frame, 10, true);
        assert_int_not_equal(expand_frame(fixture, 100000), DAYBOOK_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_frame__content_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_frame__frames_are_appended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_frame__a_frame_that_does_not_fit_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_frame__each_cut_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_frame__no_changed_byte_changes_the_content, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_frame__what_is_no_frame_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_frame__windows_are_bounded_on_both_sides, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_frame__bombs_cost_no_more_than_the_maximum, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_frame__stated_sizes_must_be_true, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
