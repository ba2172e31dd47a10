/* SPDX-License-Identifier: Apache-2.0
 *
 * The same as by chance, but at every moment: a process is killed instead of its first write to the
 * disk, then instead of its second, and so on, until it comes to its end. Each time it goes on with
 * what the last one left. First the device's process, then the server's. DAYBOOK_KILL_STEP=n (3):
 * only at each n-th write, from another one on in each run, or from DAYBOOK_KILL_FIRST on.
 */
#include "tests/kill/kill_world.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#if defined(DAYBOOK_SANITIZED)
#define SANITIZED true /* nothing can be loaded before a sanitizer's own library */
#else
#define SANITIZED false
#endif
#define WRITES_MAX 2000
#define DEVICE_COMMITS "4"
#define SERVER_COMMITS "2"
#define STEP 3

static struct kill_world world;

static int set_up(void **state)
{
    (void)state;
    kill_world_open_two(&world, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kill_world_close(&world);
    return 0;
}

/* How far the writes lie apart; in *writes the first one, less that. */
static int begin_writes(int *writes)
{
    int step = (int)kill_setting("DAYBOOK_KILL_STEP", STEP);
    assert_in_range(step, 1, WRITES_MAX);
    int first = (int)kill_setting("DAYBOOK_KILL_FIRST", 1 + (uint64_t)time(NULL) % (uint64_t)step);
    assert_in_range(first, 1, step);
    *writes = first - step;
    print_message("replay: DAYBOOK_KILL_FIRST=%d DAYBOOK_KILL_STEP=%d kill_every_write\n", first,
                  step);
    return step;
}

static void test_every_write__of_a_device(void **state)
{
    struct process *process = &world.devices[0];
    char at[32];
    int64_t refused = 0;
    (void)state;
    if (SANITIZED) {
        skip();
    }
    int result = -1;
    int writes, kills = 0;
    int step = begin_writes(&writes);
    while (result == -1) {
        assert_true((writes += step) < WRITES_MAX);
        if (++kills % 4 == 0) {
            /* So that there is something to pull. */
            kill_work(&world, &world.devices[1], (uint64_t)writes, "1");
        }
        (void)snprintf(at, sizeof at, "%d", writes);
        kill_start(&world, process, (uint64_t)writes, DEVICE_COMMITS, at);
        result = kill_wait(process);
    }
    assert_int_equal(result, 0);
    assert_true(writes > 20);
    int64_t acknowledged = kill_world_settle(&world, &refused);
    print_message("killed at %d writes; %" PRId64 " transactions acknowledged, %" PRId64
                  " refused\n",
                  kills - 1, acknowledged, refused);
    assert_true(acknowledged > kills / 2);
}

static void test_every_write__of_the_server(void **state)
{
    struct process *process = &world.devices[0];
    static const char preload[] = "LD_PRELOAD=" KILL_AT_WRITE;
    char at[64];
    int64_t refused = 0;
    (void)state;
    if (SANITIZED) {
        skip();
    }
    server_kill(&world.server);
    bool alive = false;
    int writes, kills = 0;
    int step = begin_writes(&writes);
    while (!alive) {
        assert_true((writes += step) < WRITES_MAX);
        kills++;
        (void)snprintf(at, sizeof at, "KILL_AT_WRITE=%d", writes);
        world.server.environment[0] = preload;
        world.server.environment[1] = at;
        alive = server_try_start(&world.server);
        world.server.environment[0] = NULL;
        if (!alive) {
            continue;
        }
        kill_start(&world, process, (uint64_t)writes, SERVER_COMMITS, NULL);
        int result = kill_wait(process);
        assert_true(result == 0 || result == 2);
        alive = result == 0 && server_is_running(&world.server);
        server_kill(&world.server);
    }
    assert_true(writes > 10);
    server_start(&world.server);
    int64_t acknowledged = kill_world_settle(&world, &refused);
    print_message("killed at %d writes; %" PRId64 " transactions acknowledged, %" PRId64
                  " refused\n",
                  kills - 1, acknowledged, refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_write__of_a_device),
        cmocka_unit_test(test_every_write__of_the_server),
    };
    return cmocka_run_group_tests_name("every_write", tests, set_up, tear_down);
}
