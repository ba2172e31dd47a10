/* SPDX-License-Identifier: Apache-2.0
 *
 * A device whose log was cut loads a snapshot, record by record, and is killed at a later write
 * each time, while somebody else goes on: it resumes where it stood, and ends with what the server
 * has, nothing lost of its own.
 */
#include "tests/kill/kill_world.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#if defined(DAYBOOK_SANITIZED)
#define SANITIZED true /* nothing can be loaded before a sanitizer's own library */
#else
#define SANITIZED false
#endif
#define RUNS_MAX 300
#define INTERRUPTED_MIN 5

static struct kill_world world;

static int set_up(void **state)
{
    (void)state;
    kill_world_open_two(&world, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kill_world_close(&world);
    return 0;
}

/* Whether the device is in the middle of its snapshot: some of it has come, and it says that it
 * loads. */
static bool is_loading(struct process *process)
{
    device_open(&process->device);
    bool loading = device_status(&process->device).loading != 0;
    assert_true(device_int(&process->device, "SELECT count(*) FROM visit") >= 0);
    device_close(&process->device);
    return loading;
}

static void test_snapshot__killed_at_later_and_later_writes(void **state)
{
    static const char *const compact[] = {"compact", "--positions", "0", NULL};
    struct process *process = &world.devices[0];
    char at[32];
    int result = -1, runs = 0, interrupted = 0;
    int64_t refused = 0;
    (void)state;
    if (SANITIZED) {
        skip();
    }
    kill_work(&world, &world.devices[1], 1, "25");
    server_must(&world.server, compact);
    while (result == -1) {
        assert_true(++runs < RUNS_MAX);
        (void)snprintf(at, sizeof at, "%d", runs);
        kill_start(&world, process, (uint64_t)runs, "1", at);
        result = kill_wait(process);
        interrupted += result == -1 && is_loading(process);
        if (runs % 8 == 0 && result == -1) {
            kill_work(&world, &world.devices[1], (uint64_t)runs, "2");
        }
    }
    assert_int_equal(result, 0);
    assert_true(interrupted >= INTERRUPTED_MIN);
    int64_t acknowledged = kill_world_settle(&world, &refused);
    print_message("%d runs, %d ended in the middle of the snapshot; %" PRId64
                  " transactions acknowledged, %" PRId64 " refused\n",
                  runs, interrupted, acknowledged, refused);
    assert_true(acknowledged > 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshot__killed_at_later_and_later_writes),
    };
    return cmocka_run_group_tests_name("snapshot", tests, set_up, tear_down);
}
