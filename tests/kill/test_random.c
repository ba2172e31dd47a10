/* SPDX-License-Identifier: Apache-2.0
 *
 * Devices and server under load, killed at random moments: nothing that was acknowledged is lost,
 * nothing has its effect twice, and when the killing stops everybody agrees within three rounds.
 * DAYBOOK_KILL_SEED and DAYBOOK_KILLS replay a run, as far as chance is ours.
 */
#include "tests/kill/kill_world.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#define KILLS 50
#define SERVER_EVERY 4 /* one kill in so many is the server's */

static struct kill_world world;

static int set_up(void **state)
{
    (void)state;
    kill_world_open(&world);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kill_world_close(&world);
    return 0;
}

static void start(struct process *process)
{
    kill_start(&world, process, kill_next(&world, 1u << 30), "", NULL);
}

/* Kills one, lets the others go on without it for a while, and starts it again. */
static void kill_one(int *server_kills)
{
    kill_pause_ms(kill_next(&world, 120));
    if (kill_next(&world, SERVER_EVERY) == 0) {
        assert_true(server_is_running(&world.server));
        server_kill(&world.server);
        kill_pause_ms(kill_next(&world, 80));
        server_start(&world.server);
        (*server_kills)++;
    } else {
        struct process *process = &world.devices[kill_next(&world, (uint64_t)world.count)];
        kill_process(process);
        kill_pause_ms(kill_next(&world, 30));
        start(process);
    }
    world.kills++;
}

static void test_random__nothing_is_lost_and_nothing_twice(void **state)
{
    uint64_t kills = kill_setting("DAYBOOK_KILLS", KILLS);
    uint64_t chance = (uint64_t)time(NULL) * 1000003u + (uint64_t)getpid();
    int server_kills = 0;
    int64_t refused = 0;
    (void)state;
    uint64_t seed = kill_setting("DAYBOOK_KILL_SEED", chance % 1000000000u + 1);
    print_message("replay: DAYBOOK_KILL_SEED=%" PRIu64 " DAYBOOK_KILLS=%" PRIu64 " kill_random\n",
                  seed, kills);
    world.seed = seed;
    for (int i = 0; i < 4; i++) {
        (void)kill_world_hire(&world, i < 3 ? "East" : "South");
    }
    for (int i = 0; i < world.count; i++) {
        start(&world.devices[i]);
    }
    while ((uint64_t)world.kills < kills) {
        kill_one(&server_kills);
    }
    kill_pause_ms(300);
    for (int i = 0; i < world.count; i++) {
        kill_process(&world.devices[i]);
    }
    assert_true(server_is_running(&world.server));
    server_kill(&world.server);
    server_start(&world.server);

    int64_t acknowledged = kill_world_settle(&world, &refused);
    print_message("%d kills, %d of them the server's; %" PRId64
                  " transactions acknowledged, %" PRId64 " of them refused by the server\n",
                  world.kills, server_kills, acknowledged, refused);
    assert_true(acknowledged >= (int64_t)kills);
    assert_true(refused < acknowledged / 2);
    assert_true(kills < 20 || server_kills > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random__nothing_is_lost_and_nothing_twice),
    };
    return cmocka_run_group_tests_name("random", tests, set_up, tear_down);
}
