/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the server's store share. They are a conformance suite: each runs once for
 * every backend of the list below, in a folder of its own, through the interface alone. Included
 * once by each of their files.
 */
#ifndef DAYBOOK_UNIT_SERVER_STORE_WORLD_H
#define DAYBOOK_UNIT_SERVER_STORE_WORLD_H

#include "sync-server/store/store.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define ok(call) assert_int_equal((call), DAYBOOK_OK)

struct store_backend {
    const char *name;
    daybook_status (*open)(const struct srv_store_options *options, struct srv_store **store,
                           char *problem, size_t problem_size);
};

static const struct store_backend store_backends[] = {
    {"sqlite", srv_store_open_sqlite},
};

/* One folder with a store in it, its writer open, and an organisation. */
struct world {
    const struct store_backend *backend;
    char folder[200];
    struct srv_store *store; /* the writer */
    struct srv_store *reader;
    struct arena arena;
    int64_t org;
    uint64_t random; /* state of world_random */
};

/* The next of a sequence that is the same in every run. */
static inline uint64_t world_random(struct world *world)
{
    uint64_t x = world->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    world->random = x;
    return x * UINT64_C(0x2545F4914F6CDD1D);
}

/* An id that the number tells, in the order of the numbers. */
static inline struct id id_of(uint64_t number)
{
    struct id id = {{0}};
    for (int i = 0; i < 8; i++) {
        id.bytes[i] = (uint8_t)(number >> (56 - 8 * i));
        id.bytes[15 - i] = (uint8_t)(0xA0 + i);
    }
    return id;
}

/* A hash that the number tells. */
static inline const uint8_t *hash_of(uint8_t number, uint8_t hash[SRV_HASH_SIZE])
{
    memset(hash, number, SRV_HASH_SIZE);
    return hash;
}

/* Opens another connection; the status tells. */
static inline daybook_status world_open(struct world *world, bool writer, struct srv_store **store)
{
    char problem[300] = "";
    struct srv_store_options options = {.folder = world->folder, .writer = writer};
    return world->backend->open(&options, store, problem, sizeof problem);
}

/* Closes reader and writer and opens the writer again, as a restart does. */
static inline void world_reopen(struct world *world)
{
    srv_store_close(world->reader);
    world->reader = NULL;
    srv_store_close(world->store);
    world->store = NULL;
    ok(world_open(world, true, &world->store));
}

/* The reader, opened at the first use. */
static inline struct srv_store *world_reader(struct world *world)
{
    if (world->reader == NULL) {
        ok(world_open(world, false, &world->reader));
    }
    return world->reader;
}

/* *state is the backend at first. */
static inline int world_set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    if (world == NULL) {
        return -1;
    }
    world->backend = *state;
    world->random = UINT64_C(0x9E3779B97F4A7C15);
    *state = world;
    dk_arena_init(&world->arena, (size_t)64 * 1024 * 1024);
    const char *base = getenv("TMPDIR");
    (void)snprintf(world->folder, sizeof world->folder, "%s/server_store.XXXXXX",
                   base == NULL ? "/tmp" : base);
    if (mkdtemp(world->folder) == NULL || world_open(world, true, &world->store) != DAYBOOK_OK) {
        return -1;
    }
    struct id id = id_of(1);
    if (srv_store_begin(world->store) != DAYBOOK_OK ||
        srv_store_add_organisation(world->store, &id, &world->org) != DAYBOOK_OK ||
        srv_store_commit(world->store) != DAYBOOK_OK) {
        return -1;
    }
    return 0;
}

/* Closes all and removes the folder with its files. */
static inline int world_tear_down(void **state)
{
    struct world *world = *state;
    srv_store_close(world->reader);
    srv_store_close(world->store);
    dk_arena_clear(&world->arena);
    DIR *folder = opendir(world->folder);
    for (struct dirent *entry = folder == NULL ? NULL : readdir(folder); entry != NULL;
         entry = readdir(folder)) {
        char path[600];
        (void)snprintf(path, sizeof path, "%s/%s", world->folder, entry->d_name);
        (void)unlink(path); /* "." and ".." stay */
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    int result = rmdir(world->folder);
    free(world);
    return result;
}

#define store_test(function)                                                                       \
    cmocka_unit_test_setup_teardown(function, world_set_up, world_tear_down)

/* Runs the tests for each backend; the number of failures. */
static inline int run_store_tests(const char *name, const struct CMUnitTest *tests, size_t count)
{
    int failed = 0;
    for (size_t i = 0; i < COUNT(store_backends); i++) {
        char group[100];
        struct CMUnitTest copies[100];
        assert_in_range(count, 1, COUNT(copies));
        (void)snprintf(group, sizeof group, "%s (%s)", name, store_backends[i].name);
        for (size_t k = 0; k < count; k++) {
            copies[k] = tests[k];
            copies[k].initial_state = (void *)(uintptr_t)&store_backends[i];
        }
        failed += _cmocka_run_group_tests(group, copies, count, NULL, NULL);
    }
    return failed;
}

#endif
