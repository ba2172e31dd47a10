/* SPDX-License-Identifier: Apache-2.0
 *
 * Stores that are copies, servers that were restored, requests that are refused as a whole: what a
 * run mends by itself, and where it stops.
 */
#include "tests/unit/api_world.h"

/* Enrolled, with two customers synced and one pending. */
static int set_up_pending(void **state)
{
    if (set_up(state) != 0) {
        return -1;
    }
    struct world *world = *state;
    world->script.safe_position = 1; /* a backup was made after the first entry */
    device_enrol(&world->device, SCRIPT_CODE);
    device_customer(&world->device, "first", NULL);
    device_sync(&world->device);
    device_customer(&world->device, "second", NULL);
    device_sync(&world->device);
    device_customer(&world->device, "third", NULL);
    return 0;
}

#define REPAIR_TEST(test) cmocka_unit_test_setup_teardown(test, set_up_pending, tear_down)

/* Expects that everything has arrived on both sides, once. */
static void is_whole(struct world *world, int64_t customers)
{
    daybook_sync_status status = device_status(&world->device);
    assert_int_equal(status.pending, 0);
    assert_int_equal(status.unsettled, 0);
    assert_int_equal(status.inbox, 0);
    assert_int_equal(status.position, world->script.head);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM customer"), customers);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM sync_state"), 0);
}

static struct script_fault error(int http_status, const char *code, int64_t seq)
{
    return (struct script_fault){.trouble = SCRIPT_ERROR,
                                 .http_status = http_status,
                                 .code = code,
                                 .seq = seq,
                                 .retry_after_ms = -1};
}

static void test_sync_repair__diverged_takes_a_new_instance(void **state)
{
    struct world *world = *state;
    struct id before = script_seen(&world->script).instance;
    script_plan(&world->script, error(409, "DIVERGED", 0));
    device_sync(&world->device);
    struct script_seen seen = script_seen(&world->script);
    assert_int_equal(seen.leases, 1);
    assert_int_not_equal(dk_id_compare(&before, &seen.instance), 0);
    assert_int_equal(world->script.head, 3);
    is_whole(world, 3);
    /* and it stays that instance */
    device_close(&world->device);
    device_open(&world->device);
    device_sync(&world->device);
    assert_int_equal(script_seen(&world->script).leases, 1);
}

static void test_sync_repair__a_lost_lease_is_asked_for_again(void **state)
{
    struct world *world = *state;
    script_plan(&world->script, error(409, "DIVERGED", 0));
    script_plan(&world->script,
                (struct script_fault){.trouble = SCRIPT_LOSE_REPLY, .status = DAYBOOK_OFFLINE});
    device_sync_expect(&world->device, DAYBOOK_OFFLINE);
    assert_int_equal(device_status(&world->device).pending, 1);
    script_plan(&world->script, error(409, "DIVERGED", 0));
    device_sync(&world->device);
    is_whole(world, 3);
}

static void test_sync_repair__a_store_that_stays_diverged_ends_the_run(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 20; i++) {
        /* every sync is refused, every lease is granted */
        script_plan(&world->script, error(409, "DIVERGED", 0));
        script_plan(&world->script, (struct script_fault){.trouble = SCRIPT_NONE});
    }
    device_sync_expect(&world->device, DAYBOOK_DIVERGED);
    assert_int_equal(script_seen(&world->script).leases, 4);
    /* the third, and the second, which no backup has */
    assert_int_equal(device_status(&world->device).pending, 2);
}

static void test_sync_repair__a_marker_of_a_stranger_shows_a_copy(void **state)
{
    struct world *world = *state;
    script_plan(&world->script,
                (struct script_fault){.trouble = SCRIPT_FOREIGN_OWN, .retry_after_ms = -1});
    device_sync(&world->device);
    /* then: it took a new instance, and what was not settled went up again under its ids */
    assert_int_equal(script_seen(&world->script).leases, 1);
    assert_int_equal(world->script.head, 3);
    is_whole(world, 3);
}

static void test_sync_repair__a_restored_server_shows_its_epoch(void **state)
{
    struct world *world = *state;
    device_sync(&world->device);
    is_whole(world, 3);
    /* when: the server comes back from a backup that has one of the three */
    script_restore(&world->script, 1);
    device_customer(&world->device, "fourth", NULL);
    device_sync(&world->device);
    /* then: it has them all again */
    assert_int_equal(world->script.head, 4);
    is_whole(world, 4);
}

static void test_sync_repair__a_gap_is_looked_into_once_and_then_renumbered(void **state)
{
    struct world *world = *state;
    /* given: a server that expects 2 where the device sends 3, in the same epoch */
    world->script.next_seq = 2;
    device_sync(&world->device);
    struct script_seen seen = script_seen(&world->script);
    /* then: one request without changesets, and when that brought nothing, a new instance */
    assert_int_equal(seen.leases, 1);
    assert_int_equal(world->script.head, 3);
    is_whole(world, 3);
}

static void test_sync_repair__refused_requests_are_halved(void **state)
{
    struct world *world = *state;
    char customer[DAYBOOK_ID_SIZE];
    device_customer(&world->device, "Wu", customer);
    for (int i = 0; i < 40; i++) {
        device_visit(&world->device, customer,
                     "quite a long text, so that it counts, and counts, "
                     "and counts, until four kilobytes are full",
                     NULL);
    }
    script_plan(&world->script, error(413, "TOO_LARGE", 0));
    script_plan(&world->script, error(400, "BAD_REQUEST", 0));
    device_sync(&world->device);
    assert_int_equal(device_status(&world->device).pending, 0);
    assert_true(script_seen(&world->script).syncs >= 3);
}

static void test_sync_repair__one_changeset_that_is_refused_ends_the_run(void **state)
{
    struct world *world = *state;
    script_always(&world->script, error(400, "BAD_REQUEST", 0));
    device_sync_expect(&world->device, DAYBOOK_SERVER_ERROR);
    script_always(&world->script, error(413, "TOO_LARGE", 0));
    device_sync_expect(&world->device, DAYBOOK_TOO_LARGE);
    assert_int_equal(device_status(&world->device).pending, 1);
}

static void test_sync_repair__a_copied_file_goes_its_own_way(void **state)
{
    struct world *world = *state;
    struct device copy;
    char id[DAYBOOK_ID_SIZE];
    device_sync(&world->device);
    /* given: a clone of the store, as a phone's backup makes it */
    device_init(&copy, &world->script.platform, "https://script.test", NULL);
    device_close(&world->device);
    device_copy(&world->device, &copy);
    device_open(&world->device);
    device_open(&copy);
    device_customer(&world->device, "on the phone", id);
    device_sync(&world->device);
    /* when: the clone sends another changeset under the same number, and the server says so */
    device_customer(&copy, "on the clone", id);
    script_plan(&world->script, error(409, "DIVERGED", 0));
    device_sync(&copy);
    /* then: nothing of either is lost; the clone's first records settle by their ids */
    assert_int_equal(device_int(&copy, "SELECT count(*) FROM customer WHERE name = 'on the clone'"),
                     1);
    assert_int_equal(device_status(&copy).pending, 0);
    device_clear(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPAIR_TEST(test_sync_repair__diverged_takes_a_new_instance),
        REPAIR_TEST(test_sync_repair__a_lost_lease_is_asked_for_again),
        REPAIR_TEST(test_sync_repair__a_store_that_stays_diverged_ends_the_run),
        REPAIR_TEST(test_sync_repair__a_marker_of_a_stranger_shows_a_copy),
        REPAIR_TEST(test_sync_repair__a_restored_server_shows_its_epoch),
        REPAIR_TEST(test_sync_repair__a_gap_is_looked_into_once_and_then_renumbered),
        REPAIR_TEST(test_sync_repair__refused_requests_are_halved),
        REPAIR_TEST(test_sync_repair__one_changeset_that_is_refused_ends_the_run),
        REPAIR_TEST(test_sync_repair__a_copied_file_goes_its_own_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
