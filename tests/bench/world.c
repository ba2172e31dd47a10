/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what figures share. Called by the figures; ended by main. Invariant: whatever it
 * hands out is settled on both sides.
 */
#include "tests/bench/world.h"

#include "engine/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world *world_get(struct bench *bench)
{
    if (bench->world == NULL) {
        bench->world = bench_new(1, sizeof *bench->world);
        server_init(&bench->world->server, bench, "server");
        server_start(&bench->world->server);
    }
    return bench->world;
}

void world_user(struct world *world, char login[32])
{
    char territory[40];
    (void)dk_text_format(login, 32, "rep%d", ++world->users);
    (void)dk_text_format(territory, sizeof territory, "Territory %d", world->users);
    server_add_user(&world->server, login, territory);
}

void world_device_of(const struct bench *bench, const struct server *server, struct device *device,
                     const char *name, const char *user, bool relaxed)
{
    char path[BENCH_PATH_MAX], code[SERVER_CODE_MAX];
    bench_path(path, bench->folder, name);
    bench_remove_store(path);
    server_code(server, user, code);
    struct device_options options = {.path = path,
                                     .url = server->url,
                                     .ca_file = server->ca_file,
                                     .relaxed = relaxed,
                                     .cache_kib = BENCH_CACHE_KIB};
    device_open(device, &options);
    device_enrol(device, code);
}

void world_device(struct bench *bench, struct device *device, const char *name, const char *user,
                  bool relaxed)
{
    world_device_of(bench, &world_get(bench)->server, device, name, user, relaxed);
}

struct rows *world_rows(struct world *world, int count)
{
    /* Figures that stand alone use the numbers from 0. */
    struct rows *rows = rows_new(10 * (int64_t)ROWS_MANY + world->rows, count);
    world->rows += count;
    return rows;
}

/* Settles what the device has, twice, so that the server knows that all is settled, and closes. */
static void settle(struct device *device)
{
    (void)device_sync(device);
    (void)device_sync(device);
    device_expect_settled(device);
    device_close(device);
}

struct world *world_with_blank(struct bench *bench)
{
    struct world *world = world_get(bench);
    struct device *device;
    char login[32];
    if (world->has_blank) {
        return world;
    }
    device = bench_new(1, sizeof *device);
    world_user(world, login);
    world_device(bench, device, "blank.db", login, true);
    device_add_customers(device);
    memcpy(world->blank_customers, device->customers, sizeof device->customers);
    settle(device);
    (void)snprintf(world->blank_path, sizeof world->blank_path, "%s", device->path);
    free(device);
    world->has_blank = true;
    return world;
}

struct world *world_with_many(struct bench *bench)
{
    struct world *world = world_get(bench);
    struct device *device;
    if (world->has_many) {
        return world;
    }
    server_add_user(&world->server, WORLD_MANY_USER, "Territory of many");
    device = bench_new(1, sizeof *device);
    world_device(bench, device, "many.db", WORLD_MANY_USER, true);
    device_add_customers(device);
    struct rows *rows = world_rows(world, ROWS_MANY);
    (void)device_insert(device, rows, 1000);
    rows_free(rows);
    settle(device);
    (void)snprintf(world->many_path, sizeof world->many_path, "%s", device->path);
    free(device);
    world->has_many = true;
    return world;
}

void world_end(struct bench *bench)
{
    if (bench->world != NULL) {
        server_stop(&bench->world->server);
        free(bench->world);
        bench->world = NULL;
    }
}
