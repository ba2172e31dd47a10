/* SPDX-License-Identifier: Apache-2.0
 *
 * Faults: a full disk, a commit that fails at its last step, a process that is killed, several
 * threads. Whatever happens, the file has all of a transaction or nothing, and memory says what the
 * file says.
 */
#include "tests/support/desk.h"

#include "engine/base/text.h"
#include "engine/store/inside.h"

#include <stdarg.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

/* What the store says of itself, with the clock taken out: time goes on also where nothing happens.
 */
static struct store_state state_without_clock(struct desk *desk)
{
    struct store_state state = desk_state(desk);
    memset(&state.clock, 0, sizeof state.clock);
    return state;
}

static void run(struct desk *desk, const char *sql)
{
    assert_int_equal(sqlite3_exec(desk->store->database.handle, sql, NULL, NULL, NULL), SQLITE_OK);
}

/* Limits the file to as many pages as it has and `more`; 0 more: none are left. */
static void limit_pages(struct desk *desk, int64_t more)
{
    char sql[64];
    int64_t pages = desk_number(desk, "PRAGMA page_count");
    (void)dk_text_format(sql, sizeof sql, "PRAGMA max_page_count=%lld", (long long)(pages + more));
    run(desk, sql);
}

static void stage_many(struct desk *desk, int count)
{
    static const char note[] =
        "a note that takes some room, so that a few of these fill a page of the file";
    for (int i = 0; i < count; i++) {
        struct id id = desk_id(desk);
        desk_new(desk, ENTITY_CUSTOMER, &id);
        desk_text(desk, CUSTOMER_NAME, "A");
        desk_text(desk, CUSTOMER_PREFS, note);
    }
}

static void test_store_faults__a_full_disk_refuses_a_commit_whole(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    stage_many(&desk, 10);
    desk_commit(&desk);
    /* given a disk that is full after none, one, two … more pages */
    for (int64_t pages = 0;; pages++) {
        struct store_state before = desk_state(&desk);
        limit_pages(&desk, pages);
        stage_many(&desk, 100);
        daybook_status status = desk_try_commit(&desk);
        if (status == DAYBOOK_OK) {
            assert_true(pages > 5);
            break;
        }
        assert_int_equal(status, DAYBOOK_DISK_FULL);
        struct store_state after = desk_state(&desk);
        assert_memory_equal(&before, &after, sizeof before);
        assert_int_equal(desk_number(&desk, "SELECT count(*) FROM customer"), 10);
        desk_check(&desk);
    }
    desk_clear(&desk);
}

static void test_store_faults__a_full_disk_refuses_a_reply_whole(void **state)
{
    struct desk desk;
    struct id ids[100];
    (void)state;
    desk_begin(&desk);
    stage_many(&desk, 20);
    desk_commit(&desk);
    stage_many(&desk, 20);
    desk_commit(&desk);
    desk_send(&desk);
    for (int i = 0; i < 100; i++) {
        ids[i] = desk_id(&desk);
    }
    for (int64_t pages = 0;; pages++) {
        struct store_state before = desk_state(&desk);
        limit_pages(&desk, pages);
        desk_own(&desk, 1, 1, 2);
        for (int i = 0; i < 100; i++) {
            desk_row(&desk, BLOCK_NEW, ENTITY_CUSTOMER, 2, 2, &ids[i]);
            desk_text(&desk, CUSTOMER_NAME, "from the server, at some length, to fill pages");
        }
        desk_rejected(&desk, 2, REJECT_RULE, NULL);
        daybook_status status = desk_try_apply(&desk, 2, 2);
        if (status == DAYBOOK_OK) {
            assert_true(pages > 0);
            break;
        }
        assert_int_equal(status, DAYBOOK_DISK_FULL);
        struct store_state after = desk_state(&desk);
        assert_memory_equal(&before, &after, sizeof before);
        assert_int_equal(desk_number(&desk, "SELECT count(*) FROM customer"), 40);
        desk_check(&desk);
    }
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM customer"), 120);
    assert_int_equal(desk_state(&desk).inbox, 1);
    desk_check(&desk);
    desk_clear(&desk);
}

/* sqlite3_commit_hook: the commit becomes a rollback. */
static int refuse_commit(void *context)
{
    (*(int *)context)++;
    return 1;
}

static void test_store_faults__a_commit_that_fails_last_leaves_memory_as_it_was(void **state)
{
    struct desk desk;
    int refused = 0;
    (void)state;
    desk_begin(&desk);
    struct id known = desk_id(&desk);
    desk_row(&desk, BLOCK_NEW, ENTITY_CUSTOMER, 2, 3, &known);
    desk_text(&desk, CUSTOMER_NAME, "A");
    desk_apply(&desk, 3);
    desk_set(&desk, ENTITY_CUSTOMER, &known, 3);
    desk_text(&desk, CUSTOMER_NAME, "B");
    desk_commit(&desk);
    desk_send(&desk);
    struct store_state before = desk_state(&desk);
    (void)sqlite3_commit_hook(desk.store->database.handle, refuse_commit, &refused);
    desk.told = 0;
    /* each kind of transaction fails at its very end */
    stage_many(&desk, 3);
    assert_int_not_equal(desk_try_commit(&desk), DAYBOOK_OK);
    desk_rejected(&desk, 1, REJECT_RULE, NULL);
    assert_int_not_equal(desk_try_apply(&desk, 4, 4), DAYBOOK_OK);
    struct id instance = desk_fixed_id(0x99);
    assert_int_not_equal(dk_store_new_instance(desk.store, &instance, 8), DAYBOOK_OK);
    assert_int_equal(refused, 3);
    assert_int_equal(desk.told, 0);
    struct store_state after = desk_state(&desk);
    assert_memory_equal(&before, &after, sizeof before);
    (void)sqlite3_commit_hook(desk.store->database.handle, NULL, NULL);
    desk_check(&desk);
    /* and all of it works when the fault is over */
    desk_rejected(&desk, 1, REJECT_RULE, NULL);
    desk_apply(&desk, 4);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &known, CUSTOMER_NAME, "A");
    stage_many(&desk, 3);
    desk_commit(&desk);
    desk_check(&desk);
    desk_clear(&desk);
}

/* The child's work: commits, and says so after each. */
static void commit_for_ever(struct desk *desk, int out)
{
    for (uint32_t done = 1;; done++) {
        stage_many(desk, 3);
        if (desk_try_commit(desk) != DAYBOOK_OK ||
            write(out, &done, sizeof done) != (ssize_t)sizeof done) {
            _exit(1);
        }
    }
}

static void test_store_faults__a_killed_process_loses_nothing_that_was_said_to_be_done(void **state)
{
    struct desk desk;
    uint32_t total = 0;
    (void)state;
    desk_begin(&desk);
    desk_close(&desk);
    for (int round = 0; round < 12; round++) {
        int told[2];
        uint32_t done = 0;
        assert_int_equal(pipe(told), 0);
        pid_t child = fork();
        if (child == 0) {
            desk.random += (uint64_t)round * 7919 + 1;
            desk.now_ms += round * 1000000;
            if (dk_store_open(&desk.options, &desk.store, desk.problem, sizeof desk.problem) !=
                DAYBOOK_OK) {
                _exit(1);
            }
            commit_for_ever(&desk, told[1]);
        }
        (void)close(told[1]);
        for (int i = 0; i <= round % 4; i++) {
            assert_int_equal(read(told[0], &done, sizeof done), sizeof done);
        }
        struct timespec moment = {0, round * 317000L};
        (void)nanosleep(&moment, NULL);
        (void)kill(child, SIGKILL);
        while (read(told[0], &done, sizeof done) == (ssize_t)sizeof done) {
        }
        (void)close(told[0]);
        assert_int_equal(waitpid(child, NULL, 0), child);
        desk_open(&desk);
        desk_check(&desk);
        total += done;
        /* at most the one that was under way came beside those that were told */
        int64_t changesets = desk_number(&desk, "SELECT count(*) FROM outbox");
        assert_true(changesets >= total && changesets <= total + 1);
        assert_int_equal(desk_number(&desk, "SELECT count(*) FROM customer"), 3 * changesets);
        assert_int_equal(desk_state(&desk).next_seq, changesets + 1);
        total = (uint32_t)changesets;
        desk_close(&desk);
    }
    desk_clear(&desk);
}

/* One thread's work: its own customers, in transactions of its own. */
struct worker {
    struct desk *desk;
    struct id ids[40];
    daybook_status status;
};

static void *work(void *context)
{
    struct worker *worker = context;
    for (int i = 0; i < 40 && worker->status == DAYBOOK_OK; i++) {
        struct store_failure failure;
        struct field_value value = {.field = CUSTOMER_NAME,
                                    .value = {.kind = VALUE_TEXT, .length = 1, .text = "A"}};
        worker->status = dk_store_new_id(worker->desk->store, &worker->ids[i]);
        struct change change = {.op = BLOCK_NEW,
                                .entity = dk_entity(ENTITY_CUSTOMER),
                                .id = worker->ids[i],
                                .value_count = 1,
                                .values = &value};
        if (worker->status == DAYBOOK_OK) {
            worker->status =
                dk_store_commit(worker->desk->store, &change, 1,
                                dk_store_epoch(worker->desk->store), NULL, 0, &failure);
        }
        struct store_state now;
        dk_store_state(worker->desk->store, &now);
        if (now.pending < i) {
            worker->status = DAYBOOK_INTERNAL;
        }
    }
    return NULL;
}

/* The desk's own observer and clock are not made for threads. */
static void test_store_faults__threads_take_turns(void **state)
{
    struct desk desk;
    struct worker workers[4];
    pthread_t threads[4];
    (void)state;
    desk_init(&desk);
    desk.options.changed = NULL;
    desk.options.relaxed = true;
    desk_open(&desk);
    desk_enrol(&desk, 5);
    for (int i = 0; i < 4; i++) {
        workers[i] = (struct worker){.desk = &desk, .status = DAYBOOK_OK};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].status, DAYBOOK_OK);
    }
    struct store_state now = state_without_clock(&desk);
    assert_int_equal(now.next_seq, 161);
    assert_int_equal(now.pending, 160);
    assert_int_equal(desk_number(&desk, "SELECT count(DISTINCT id) FROM customer"), 160);
    desk_check(&desk);
    desk_clear(&desk);
}

static void test_store_faults__a_damaged_body_is_corruption_and_changes_nothing(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = desk_customer(&desk, "A");
    desk_set(&desk, ENTITY_CUSTOMER, &id, 0);
    desk_text(&desk, CUSTOMER_NAME, "B");
    desk_commit(&desk);
    desk_send(&desk);
    run(&desk, "UPDATE outbox SET body=replace(body,'\"new\"','\"nex\"') WHERE seq=1");
    desk_rejected(&desk, 2, REJECT_RULE, NULL);
    assert_int_equal(desk_try_apply(&desk, 0, 0), DAYBOOK_CORRUPT);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "B");
    assert_int_equal(desk_state(&desk).pending, 2);
    run(&desk, "UPDATE outbox SET body=replace(body,'\"nex\"','\"new\"') WHERE seq=1");
    desk_rejected(&desk, 2, REJECT_RULE, NULL);
    desk_apply(&desk, 0);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "A");
    desk_clear(&desk);
}

static void test_store_faults__a_damaged_counter_is_corruption(void **state)
{
    static const char *const damages[] = {
        "INSERT INTO doc_number(device_no,entity,last) SELECT 5,number,9007199254740991"
        " FROM entity_number WHERE name='visit'",
        "UPDATE doc_number SET last=-9"};
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id customer = desk_customer(&desk, "A");
    for (int i = 0; i < 2; i++) {
        struct id visit = desk_id(&desk);
        run(&desk, damages[i]);
        desk_new(&desk, ENTITY_VISIT, &visit);
        desk_ref(&desk, VISIT_CUSTOMER_ID, &customer);
        desk_commit_expect(&desk, DAYBOOK_CORRUPT);
    }
    run(&desk, "UPDATE doc_number SET last=7");
    struct id visit = desk_id(&desk);
    desk_new(&desk, ENTITY_VISIT, &visit);
    desk_ref(&desk, VISIT_CUSTOMER_ID, &customer);
    desk_commit(&desk);
    desk_expect_text(&desk, ENTITY_VISIT, &visit, VISIT_DOC_NO, "VI-00005-000008");
    desk_clear(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_faults__a_full_disk_refuses_a_commit_whole),
        cmocka_unit_test(test_store_faults__a_full_disk_refuses_a_reply_whole),
        cmocka_unit_test(test_store_faults__a_commit_that_fails_last_leaves_memory_as_it_was),
        cmocka_unit_test(
            test_store_faults__a_killed_process_loses_nothing_that_was_said_to_be_done),
        cmocka_unit_test(test_store_faults__threads_take_turns),
        cmocka_unit_test(test_store_faults__a_damaged_body_is_corruption_and_changes_nothing),
        cmocka_unit_test(test_store_faults__a_damaged_counter_is_corruption),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
