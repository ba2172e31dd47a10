/* SPDX-License-Identifier: Apache-2.0
 *
 * SQLite's memory while libFuzzer runs: free lists, one for each size. To read the schema of a file
 * takes thousands of small pieces, and with AddressSanitizer's own allocator they take longer than
 * all else. A step out of a piece is still found, or into one that is free, until it is taken
 * again; what SQLite does not free is not. The corpora, as plain tests, have the sanitizer's
 * allocator.
 */
#ifndef DAYBOOK_TESTS_FUZZ_POOL_H
#define DAYBOOK_TESTS_FUZZ_POOL_H

#include <sqlite3.h>

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef DAYBOOK_FUZZ
#include <sanitizer/asan_interface.h>

/* What it does says nothing of the input, and it alone may look at the heads of pieces. */
#define POOL_PLAIN __attribute__((no_sanitize("address", "undefined", "coverage"))) static
#define POOL_STEP 64   /* sizes differ by so much */
#define POOL_LISTS 128 /* what is larger than all comes from malloc */
#define POOL_BLOCK ((size_t)POOL_STEP << 13)

/* Stands before the bytes, which begin at a multiple of 16. */
struct pool_piece {
    struct pool_piece *next; /* of those that are free */
    size_t size;             /* of its bytes, as asked for */
};

static struct {
    atomic_flag lock;
    struct pool_piece *free[POOL_LISTS];
    struct pool_piece *blocks; /* all, each by its first piece; they are never given back */
    char *block;               /* what is left of the last one */
    size_t left;
} pool = {.lock = ATOMIC_FLAG_INIT};

POOL_PLAIN size_t pool_list(size_t size)
{
    return (size + sizeof(struct pool_piece) - 1) / POOL_STEP;
}

/* NULL: there is no memory. */
POOL_PLAIN struct pool_piece *pool_cut(size_t list)
{
    struct pool_piece *piece = pool.free[list];
    size_t size = (list + 1) * POOL_STEP;
    if (piece != NULL) {
        pool.free[list] = piece->next;
        return piece;
    }
    if (pool.left < size) {
        struct pool_piece *block = malloc(POOL_BLOCK);
        if (block == NULL) {
            return NULL;
        }
        block->next = pool.blocks;
        pool.blocks = block;
        pool.block = (char *)(block + 1);
        pool.left = POOL_BLOCK - sizeof *block;
        ASAN_POISON_MEMORY_REGION(pool.block, pool.left);
    }
    piece = (struct pool_piece *)(void *)pool.block;
    pool.block += size;
    pool.left -= size;
    return piece;
}

POOL_PLAIN void pool_lock(void)
{
    while (atomic_flag_test_and_set(&pool.lock)) {
    }
}

POOL_PLAIN void *pool_take(int size)
{
    size_t list = pool_list((size_t)size);
    struct pool_piece *piece = NULL;
    if (list < POOL_LISTS) {
        pool_lock();
        piece = pool_cut(list);
        atomic_flag_clear(&pool.lock);
    } else {
        piece = malloc(sizeof *piece + (size_t)size);
    }
    if (piece == NULL) {
        return NULL;
    }
    piece->size = (size_t)size;
    ASAN_POISON_MEMORY_REGION(piece, sizeof *piece);
    ASAN_UNPOISON_MEMORY_REGION(piece + 1, (size_t)size);
    return piece + 1;
}

POOL_PLAIN void pool_give(void *bytes)
{
    struct pool_piece *piece = (struct pool_piece *)bytes - 1;
    size_t list = pool_list(piece->size);
    if (list >= POOL_LISTS) {
        ASAN_UNPOISON_MEMORY_REGION(piece, sizeof *piece);
        free(piece);
        return;
    }
    ASAN_POISON_MEMORY_REGION(bytes, piece->size);
    pool_lock();
    piece->next = pool.free[list];
    pool.free[list] = piece;
    atomic_flag_clear(&pool.lock);
}

POOL_PLAIN int pool_size(void *bytes)
{
    return bytes == NULL ? 0 : (int)((struct pool_piece *)bytes - 1)->size;
}

POOL_PLAIN void *pool_again(void *bytes, int size)
{
    int had = pool_size(bytes);
    void *next = pool_take(size);
    if (next != NULL) {
        memcpy(next, bytes, (size_t)(had < size ? had : size));
        pool_give(bytes);
    }
    return next;
}

POOL_PLAIN int pool_round(int size)
{
    return (size + 7) & ~7;
}

POOL_PLAIN int pool_begin(void *context)
{
    (void)context;
    return SQLITE_OK;
}

POOL_PLAIN void pool_end(void *context)
{
    (void)context;
}

/* Before anything is opened; a second call does nothing. */
POOL_PLAIN void pool_install(void)
{
    static const sqlite3_mem_methods methods = {pool_take,  pool_give,  pool_again, pool_size,
                                                pool_round, pool_begin, pool_end,   NULL};
    static bool installed;
    if (!installed) {
        installed = true;
        int result = sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
        assert(result == SQLITE_OK);
        (void)result;
    }
}

#else

static inline void pool_install(void)
{
}

#endif

#endif
