/* SPDX-License-Identifier: Apache-2.0
 *
 * One sync run against the scripted server and a real store: what goes up and down, how often, and
 * when it ends.
 */
#include "tests/unit/api_world.h"

#include "engine/sync/push.h"

/* Enrolled. */
static int set_up_enrolled(void **state)
{
    if (set_up(state) != 0) {
        return -1;
    }
    struct world *world = *state;
    device_enrol(&world->device, SCRIPT_CODE);
    return 0;
}

#define RUN_TEST(test) cmocka_unit_test_setup_teardown(test, set_up_enrolled, tear_down)

static void test_sync_run__one_round_trip_does_it_all(void **state)
{
    struct world *world = *state;
    char id[DAYBOOK_ID_SIZE];
    device_customer(&world->device, "mine", id);
    (void)script_add_customer(&world->script, "theirs");
    device_sync(&world->device);
    struct script_seen seen = script_seen(&world->script);
    assert_int_equal(seen.syncs, 1);
    assert_int_equal(seen.changesets, 1);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM customer"), 2);
    daybook_sync_status status = device_status(&world->device);
    assert_int_equal(status.pending, 0);
    assert_int_equal(status.unsettled, 0);
    assert_int_equal(status.position, 2);
    assert_true(status.connected);
    assert_false(status.uploading);
    assert_false(status.downloading);
    assert_int_equal(status.round_trips, 2); /* the enrolment and this */
    assert_true(status.bytes_up > 100 && status.bytes_down > 100);
    assert_int_equal(status.last_synced_ms, world->script.wall_ms);
    /* with nothing to say it is one call, too */
    device_sync(&world->device);
    assert_int_equal(script_seen(&world->script).syncs, 2);
    assert_int_equal(script_seen(&world->script).settled, 1);
}

static void test_sync_run__pages_of_one_entry(void **state)
{
    struct world *world = *state;
    char id[DAYBOOK_ID_SIZE];
    world->script.page_entries = 1;
    for (int i = 0; i < 30; i++) {
        (void)script_add_customer(&world->script, "theirs");
    }
    device_customer(&world->device, "mine", id);
    device_sync(&world->device);
    assert_int_equal(script_seen(&world->script).syncs, 31);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM customer"), 31);
    assert_int_equal(device_status(&world->device).unsettled, 0);
    /* the value of its own was sent once and is settled at its place, the last */
    assert_int_equal(script_seen(&world->script).changesets_in_all, 1);
}

static void test_sync_run__the_first_request_is_small(void **state)
{
    struct world *world = *state;
    char customer[DAYBOOK_ID_SIZE];
    char feedback[2001];
    memset(feedback, 'x', sizeof feedback - 1);
    feedback[sizeof feedback - 1] = '\0';
    device_customer(&world->device, "Wu", customer);
    for (int i = 0; i < 100; i++) {
        device_visit(&world->device, customer, feedback, NULL);
    }
    /* when: the reply of the first request is lost */
    script_plan(&world->script,
                (struct script_fault){.trouble = SCRIPT_FAIL, .status = DAYBOOK_OFFLINE});
    device_sync_expect(&world->device, DAYBOOK_OFFLINE);
    device_sync(&world->device);
    struct script_seen seen = script_seen(&world->script);
    /* then: after a failure 16 KiB, then as much as the line carries */
    assert_in_range(seen.syncs, 2, 4);
    assert_int_equal(seen.changesets_in_all, 101);
    assert_int_equal(device_status(&world->device).pending, 0);
}

static void test_sync_run__what_is_known_about_a_line_gets_old(void **state)
{
    struct world *world = *state;
    char customer[DAYBOOK_ID_SIZE];
    char feedback[2001];
    memset(feedback, 'x', sizeof feedback - 1);
    feedback[sizeof feedback - 1] = '\0';
    device_customer(&world->device, "Wu", customer);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 40; i++) {
            device_visit(&world->device, customer, feedback, NULL);
        }
        if (round == 2) {
            script_pass(&world->script, 601000); /* ten minutes without a word */
        }
        int before = script_seen(&world->script).syncs;
        device_sync(&world->device);
        /* 80 KiB: in two requests at first, in one when the line is known */
        assert_int_equal(script_seen(&world->script).syncs - before, round == 1 ? 1 : 2);
    }
}

static void test_sync_run__a_slow_line_gets_small_requests(void **state)
{
    struct world *world = *state;
    char customer[DAYBOOK_ID_SIZE];
    char feedback[2001];
    memset(feedback, 'y', sizeof feedback - 1);
    feedback[sizeof feedback - 1] = '\0';
    device_customer(&world->device, "Wu", customer);
    for (int i = 0; i < 60; i++) {
        device_visit(&world->device, customer, feedback, NULL);
    }
    /* given: each exchange takes 20 s, for 32 KiB first */
    world->script.exchange_ms = 20000;
    device_sync(&world->device);
    struct script_seen seen = script_seen(&world->script);
    /* then: 16 KiB, 8 KiB, 4 KiB, 4 KiB … */
    assert_true(seen.syncs > 15);
    assert_true(seen.request_bytes < 8000);
    assert_int_equal(seen.changesets_in_all, 61);
}

static void test_sync_run__a_lost_reply_is_sent_again(void **state)
{
    struct world *world = *state;
    char id[DAYBOOK_ID_SIZE];
    device_customer(&world->device, "mine", id);
    script_plan(&world->script,
                (struct script_fault){.trouble = SCRIPT_LOSE_REPLY, .status = DAYBOOK_OFFLINE});
    device_sync_expect(&world->device, DAYBOOK_OFFLINE);
    assert_int_equal(device_status(&world->device).pending, 1);
    device_sync(&world->device);
    /* then: the server had it twice and has it once */
    assert_int_equal(script_seen(&world->script).changesets_in_all, 2);
    assert_int_equal(world->script.head, 1);
    assert_int_equal(device_status(&world->device).pending, 0);
    assert_int_equal(device_status(&world->device).unsettled, 0);
    assert_string_equal(device_text(&world->device, "SELECT name FROM customer"), "mine");
}

static void test_sync_run__a_budget_ends_it_between_rounds(void **state)
{
    struct world *world = *state;
    daybook_error error = DAYBOOK_ERROR_INIT;
    world->script.page_entries = 1;
    world->script.exchange_ms = 100;
    for (int i = 0; i < 50; i++) {
        (void)script_add_customer(&world->script, "theirs");
    }
    assert_int_equal(daybook_sync(world->engine, 1000, &error), DAYBOOK_INTERRUPTED);
    assert_true(error.retryable);
    /* then: what was done stays, and time-outs were no longer than what was left */
    assert_int_equal(device_status(&world->device).position, 10);
    assert_int_equal(script_seen(&world->script).timeout_ms, 100);
    assert_int_equal(device_status(&world->device).blocked, DAYBOOK_OK);
    while (daybook_sync(world->engine, 1000, &error) == DAYBOOK_INTERRUPTED) {
    }
    assert_int_equal(device_status(&world->device).position, 50);
    assert_int_equal(daybook_sync(world->engine, -1, &error), DAYBOOK_INVALID);
}

static void test_sync_run__a_timeout_that_is_the_budgets_is_no_timeout(void **state)
{
    struct world *world = *state;
    daybook_error error = DAYBOOK_ERROR_INIT;
    script_plan(&world->script, (struct script_fault){.trouble = SCRIPT_STALL});
    assert_int_equal(daybook_sync(world->engine, 50, &error), DAYBOOK_INTERRUPTED);
    script_plan(&world->script,
                (struct script_fault){.trouble = SCRIPT_FAIL, .status = DAYBOOK_TIMEOUT});
    assert_int_equal(daybook_sync(world->engine, 0, &error), DAYBOOK_TIMEOUT);
    assert_int_equal(script_seen(&world->script).timeout_ms, 60000);
}

static void test_sync_run__a_server_that_brings_nothing_ends_it(void **state)
{
    struct world *world = *state;
    char id[DAYBOOK_ID_SIZE];
    /* given: a server that says for ever that there is more */
    script_always(&world->script,
                  (struct script_fault){.trouble = SCRIPT_NOTHING, .retry_after_ms = -1});
    device_sync_expect(&world->device, DAYBOOK_BAD_REPLY);
    assert_int_equal(script_seen(&world->script).syncs, 1);
    /* or gives no verdict */
    device_customer(&world->device, "mine", id);
    device_sync_expect(&world->device, DAYBOOK_BAD_REPLY);
    assert_int_equal(script_seen(&world->script).syncs, 2);
    assert_int_equal(device_status(&world->device).pending, 1);
    script_always(&world->script, (struct script_fault){.trouble = SCRIPT_NONE});
    device_sync(&world->device);
    assert_int_equal(device_status(&world->device).pending, 0);
}

static void test_sync_run__rejections_come_to_the_inbox_and_the_rest_goes_through(void **state)
{
    struct world *world = *state;
    char first[DAYBOOK_ID_SIZE], second[DAYBOOK_ID_SIZE];
    device_customer(&world->device, "refused", first);
    device_customer(&world->device, "fine", second);
    script_reject(&world->script, 1, REJECT_RULE, "name", "forbidden");
    device_sync(&world->device);
    daybook_sync_status status = device_status(&world->device);
    assert_int_equal(status.pending, 0);
    assert_int_equal(status.inbox, 1);
    assert_string_equal(device_text(&world->device, "SELECT group_concat(name) FROM customer"),
                        "fine");
    assert_string_equal(device_text(&world->device, "SELECT code || rule || entity FROM inbox"),
                        "RULEforbiddencustomer");
}

static void test_sync_run__the_servers_clock_is_learnt(void **state)
{
    struct world *world = *state;
    world->script.wall_offset_ms = -90000;
    world->script.exchange_ms = 0;
    device_sync(&world->device);
    assert_int_equal(device_status(&world->device).clock_offset_ms, -90000);
    /* a round trip of 40 s says little: what was known stays, since it may be right */
    world->script.exchange_ms = 40000;
    world->script.wall_offset_ms = -95000;
    device_sync(&world->device);
    assert_int_equal(device_status(&world->device).clock_offset_ms, -90000);
    /* but a clock that is off by a day is off */
    world->script.wall_offset_ms = 24 * 3600 * 1000;
    device_sync(&world->device);
    assert_in_range(device_status(&world->device).clock_offset_ms, 24 * 3600 * 1000 - 20000,
                    24 * 3600 * 1000 + 20000);
}

static void test_sync_run__small_pages_after_failures(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 2; i++) {
        script_plan(&world->script,
                    (struct script_fault){.trouble = SCRIPT_FAIL, .status = DAYBOOK_TIMEOUT});
        device_sync_expect(&world->device, DAYBOOK_TIMEOUT);
    }
    device_sync(&world->device);
    assert_int_equal(script_seen(&world->script).page_bytes, LIMIT_PAGE_BYTES / 16);
    for (int i = 0; i < 4; i++) {
        device_sync(&world->device);
    }
    assert_int_equal(script_seen(&world->script).page_bytes, 0);
}

static void test_sync_run__the_apps_page_size_is_asked_for(void **state)
{
    struct world *world = *state;
    device_close(&world->device);
    world->device.options.page_bytes = 70000;
    world->device.options.timeout_ms = 12345;
    device_open(&world->device);
    device_sync(&world->device);
    assert_int_equal(script_seen(&world->script).page_bytes, 70000);
    assert_int_equal(script_seen(&world->script).timeout_ms, 12345);
}

static void test_sync_run__one_large_changeset_goes_alone(void **state)
{
    struct world *world = *state;
    daybook_transaction *transaction = NULL;
    daybook_record *record = NULL;
    char customer[DAYBOOK_ID_SIZE];
    char feedback[3001];
    memset(feedback, 'z', sizeof feedback - 1);
    feedback[sizeof feedback - 1] = '\0';
    device_customer(&world->device, "Wu", customer);
    device_must(daybook_begin(world->engine, &transaction), NULL);
    for (int i = 0; i < 1000; i++) {
        device_must(daybook_put(transaction, "visit", NULL, DAYBOOK_NEW, &record), NULL);
        device_must(daybook_set_id(record, "customer_id", customer), NULL);
        device_must(daybook_set_text(record, "feedback", feedback), NULL);
    }
    device_must(daybook_commit(transaction, NULL), NULL);
    daybook_end(&transaction);
    device_sync(&world->device);
    assert_int_equal(device_status(&world->device).pending, 0);
    assert_int_equal(script_seen(&world->script).changesets_in_all, 2);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM visit WHERE version = 2"),
                     1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_TEST(test_sync_run__one_round_trip_does_it_all),
        RUN_TEST(test_sync_run__pages_of_one_entry),
        RUN_TEST(test_sync_run__the_first_request_is_small),
        RUN_TEST(test_sync_run__what_is_known_about_a_line_gets_old),
        RUN_TEST(test_sync_run__a_slow_line_gets_small_requests),
        RUN_TEST(test_sync_run__a_lost_reply_is_sent_again),
        RUN_TEST(test_sync_run__a_budget_ends_it_between_rounds),
        RUN_TEST(test_sync_run__a_timeout_that_is_the_budgets_is_no_timeout),
        RUN_TEST(test_sync_run__a_server_that_brings_nothing_ends_it),
        RUN_TEST(test_sync_run__rejections_come_to_the_inbox_and_the_rest_goes_through),
        RUN_TEST(test_sync_run__the_servers_clock_is_learnt),
        RUN_TEST(test_sync_run__small_pages_after_failures),
        RUN_TEST(test_sync_run__the_apps_page_size_is_asked_for),
        RUN_TEST(test_sync_run__one_large_changeset_goes_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
