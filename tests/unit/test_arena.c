/* SPDX-License-Identifier: Apache-2.0
 *
 * The arena: slices do not overlap, are aligned and zeroed, and the bound holds on both sides.
 */
#include "engine/base/arena.h"
#include "engine/base/memory.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SLICES 2000

/* True where all of the bytes are this value. */
static bool all(const char *bytes, size_t length, char value)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != value) {
            return false;
        }
    }
    return true;
}

static void test_arena__slices_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    struct arena arena;
    char *slices[SLICES];
    /* given an arena, when slices of many sizes are taken, twice, the second time from used memory
     */
    dk_arena_init(&arena, (size_t)16 * 1024 * 1024);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < SLICES; i++) {
            size_t size = i * 7 % 1000 + (i % 100 == 99 ? 20000 : 0);
            slices[i] = dk_arena_new(&arena, size);
            assert_non_null(slices[i]);
            assert_int_equal((uintptr_t)slices[i] % alignof(max_align_t), 0);
            assert_true(all(slices[i], size, 0));
            memset(slices[i], (int)(i % 127 + 1), size);
        }
        /* then each still holds what was written into it */
        for (size_t i = 0; i < SLICES; i++) {
            size_t size = i * 7 % 1000 + (i % 100 == 99 ? 20000 : 0);
            assert_true(all(slices[i], size, (char)(i % 127 + 1)));
        }
        dk_arena_reset(&arena);
        assert_int_equal(arena.used, 0);
    }
    dk_arena_clear(&arena);
}

static void test_arena__the_bound_holds_on_both_sides(void **state)
{
    (void)state;
    struct arena arena;
    size_t step = alignof(max_align_t);
    dk_arena_init(&arena, 4 * step);
    /* exactly the bound fits */
    assert_non_null(dk_arena_new(&arena, 3 * step));
    assert_non_null(dk_arena_new(&arena, 1));
    assert_int_equal(arena.used, 4 * step);
    assert_false(arena.failed);
    /* one byte more does not, and the failure sticks until reset */
    assert_null(dk_arena_new(&arena, 1));
    assert_true(arena.failed);
    dk_arena_reset(&arena);
    assert_non_null(dk_arena_new(&arena, 4 * step));
    dk_arena_reset(&arena);
    assert_null(dk_arena_new(&arena, 4 * step + 1));
    assert_null(dk_arena_new(&arena, 1));
    dk_arena_clear(&arena);
    assert_null(arena.chunks);
}

static void test_arena__absurd_sizes_fail_without_wrapping(void **state)
{
    (void)state;
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2, MEMORY_MAX,
                                   MEMORY_MAX + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct arena arena;
        dk_arena_init(&arena, SIZE_MAX);
        assert_null(dk_arena_new(&arena, sizes[i]));
        assert_true(arena.failed);
        dk_arena_reset(&arena);
        assert_null(dk_arena_copy(&arena, "x", sizes[i]));
        assert_true(arena.failed);
        assert_int_equal(arena.used, 0);
        dk_arena_clear(&arena);
    }
}

static void test_arena__copies_end_with_nul(void **state)
{
    (void)state;
    struct arena arena;
    dk_arena_init(&arena, 1000);
    const char *copy = dk_arena_copy(&arena, "a\0bcd", 4);
    assert_memory_equal(copy, "a\0bc\0", 5);
    assert_string_equal(dk_arena_copy(&arena, NULL, 0), "");
    assert_ptr_not_equal(dk_arena_new(&arena, 0), dk_arena_new(&arena, 0));
    dk_arena_clear(&arena);
}

static void test_arena__reset_keeps_one_chunk_for_reuse(void **state)
{
    (void)state;
    struct arena arena;
    /* given many chunks, one of them much larger than the others */
    dk_arena_init(&arena, (size_t)1 << 24);
    for (int i = 0; i < 300; i++) {
        assert_non_null(dk_arena_new(&arena, 1000));
    }
    const char *large = dk_arena_new(&arena, (size_t)4 << 20);
    assert_non_null(large);
    /* when it is reset, then the next slice comes from the largest */
    dk_arena_reset(&arena);
    assert_ptr_equal(dk_arena_new(&arena, (size_t)4 << 20), large);
    dk_arena_clear(&arena);
    dk_arena_clear(&arena);
}

static void test_memory__requests_are_bounded(void **state)
{
    (void)state;
    assert_null(dk_memory_new(SIZE_MAX, 2));
    assert_null(dk_memory_new(2, SIZE_MAX));
    assert_null(dk_memory_new(1, MEMORY_MAX + 1));
    assert_null(dk_memory_resize(NULL, MEMORY_MAX + 1));
    assert_null(dk_memory_copy_text("x", MEMORY_MAX));
    char *block = dk_memory_new(3, 5);
    assert_true(all(block, 15, 0));
    /* a refused resize leaves the block as it was */
    block[14] = 'x';
    assert_null(dk_memory_resize(block, SIZE_MAX));
    assert_int_equal(block[14], 'x');
    dk_memory_free(block);
    /* nothing is something: NULL only ever means that memory is used up */
    void *nothing = dk_memory_new(0, 8);
    assert_non_null(nothing);
    dk_memory_free(nothing);
    nothing = dk_memory_resize(NULL, 0);
    assert_non_null(nothing);
    dk_memory_free(nothing);
    dk_memory_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena__slices_are_zeroed_aligned_and_apart),
        cmocka_unit_test(test_arena__the_bound_holds_on_both_sides),
        cmocka_unit_test(test_arena__absurd_sizes_fail_without_wrapping),
        cmocka_unit_test(test_arena__copies_end_with_nul),
        cmocka_unit_test(test_arena__reset_keeps_one_chunk_for_reuse),
        cmocka_unit_test(test_memory__requests_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
