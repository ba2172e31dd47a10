/* SPDX-License-Identifier: Apache-2.0
 *
 * Decisions in the server's store: found by changeset, kept once, listed as markers, shortened when
 * they are acknowledged; rejected records and the quarantine.
 */
#include "tests/unit/server_store_world.h"

#include "sync-server/store/sqlite.h"

/* A decision whose verdict and digest tell its seq. */
static daybook_status decide(struct world *world, int64_t org, uint32_t device_no, int64_t seq,
                             uint64_t changeset, int64_t position)
{
    char verdict[60];
    struct srv_decision decision = {
        .device_no = device_no, .seq = seq, .changeset = id_of(changeset), .position = position};
    (void)hash_of((uint8_t)(seq % 251 + 1), decision.digest);
    decision.verdict_length =
        (size_t)snprintf(verdict, sizeof verdict, "[%d,\"accepted\",%d]", (int)seq, (int)position);
    decision.verdict = verdict;
    return srv_store_add_decision(world->store, org, &decision);
}

/* Finds a decision and compares it; `kept`: its verdict is there still. */
static void assert_decision(struct world *world, struct srv_store *store, uint32_t device_no,
                            int64_t seq, uint64_t changeset, int64_t position, bool kept)
{
    uint8_t hash[SRV_HASH_SIZE];
    char verdict[60];
    struct srv_decision decision;
    struct id id = id_of(changeset);
    bool found = false;
    ok(srv_store_find_decision(store, world->org, &id, &world->arena, &decision, &found));
    assert_true(found);
    assert_int_equal(decision.device_no, device_no);
    assert_int_equal(decision.seq, seq);
    assert_int_equal(decision.position, position);
    assert_memory_equal(&decision.changeset, &id, sizeof id);
    (void)hash_of((uint8_t)(seq % 251 + 1), hash);
    assert_memory_equal(decision.digest, hash, SRV_HASH_SIZE);
    (void)snprintf(verdict, sizeof verdict, "[%d,\"accepted\",%d]", (int)seq, (int)position);
    if (kept) {
        assert_int_equal(decision.verdict_length, strlen(verdict));
        assert_string_equal(decision.verdict, verdict);
    } else {
        assert_null(decision.verdict);
        assert_int_equal(decision.verdict_length, 0);
    }
}

/* A device number to decide for. */
static uint32_t enrol(struct world *world, uint8_t token)
{
    uint8_t hash[SRV_HASH_SIZE];
    struct srv_device device = {.org = world->org, .name = "phone", .instance = id_of(token)};
    ok(srv_store_add_device(world->store, &device, hash_of(token, hash)));
    return device.device_no;
}

static void test_server_store_decisions__a_decision_is_found_by_its_changeset(void **state)
{
    struct world *world = *state;
    struct id unknown = id_of(999);
    struct srv_decision decision;
    bool found = true;
    ok(srv_store_begin(world->store));
    ok(decide(world, world->org, 1, 1, 100, 5));
    ok(decide(world, world->org, 1, 2, 101, 0)); /* rejected */
    assert_decision(world, world->store, 1, 1, 100, 5, true);
    ok(srv_store_commit(world->store));
    world_reopen(world);
    assert_decision(world, world_reader(world), 1, 1, 100, 5, true);
    assert_decision(world, world_reader(world), 1, 2, 101, 0, true);
    ok(srv_store_find_decision(world->store, world->org, &unknown, &world->arena, &decision,
                               &found));
    assert_false(found);
    struct id known = id_of(100);
    ok(srv_store_find_decision(world->store, world->org + 1, &known, &world->arena, &decision,
                               &found));
    assert_false(found); /* of another organisation */
}

static void test_server_store_decisions__nothing_is_decided_twice(void **state)
{
    struct world *world = *state;
    ok(srv_store_begin(world->store));
    ok(decide(world, world->org, 1, 1, 100, 5));
    assert_int_equal(decide(world, world->org, 1, 2, 100, 6), DAYBOOK_EXISTS); /* changeset */
    assert_int_equal(decide(world, world->org, 1, 1, 101, 6), DAYBOOK_EXISTS); /* seq */
    ok(decide(world, world->org + 1, 2, 1, 100, 1)); /* another organisation */
    ok(srv_store_savepoint(world->store));
    ok(decide(world, world->org, 1, 2, 101, 6));
    ok(srv_store_rollback_to(world->store));
    ok(decide(world, world->org, 1, 2, 102, 6)); /* what was undone was never decided */
    ok(srv_store_commit(world->store));
    assert_decision(world, world->store, 1, 1, 100, 5, true);
    assert_decision(world, world->store, 1, 2, 102, 6, true);
}

static void test_server_store_decisions__markers_are_the_instances_accepted_ones(void **state)
{
    struct world *world = *state;
    struct srv_decision *rows = NULL;
    int count = 0;
    ok(srv_store_begin(world->store));
    for (int64_t seq = 1; seq <= 40; seq++) { /* every fourth is rejected; another device between */
        ok(decide(world, world->org, 1, seq, 100u + (uint64_t)seq, seq % 4 == 0 ? 0 : 10 * seq));
        ok(decide(world, world->org, 2, seq, 300u + (uint64_t)seq, 10 * seq + 5));
    }
    ok(srv_store_commit(world->store));
    struct srv_store *reader = world_reader(world);
    ok(srv_store_markers(reader, 1, 0, 0, INT64_MAX, &world->arena, &rows, &count));
    assert_int_equal(count, 30);
    ok(srv_store_markers(reader, 1, 6, 90, 150, &world->arena, &rows, &count));
    static const int64_t expected[] = {10, 11, 13, 14, 15}; /* (90, 150] without 12 */
    assert_int_equal(count, COUNT(expected));
    for (size_t i = 0; i < COUNT(expected); i++) {
        struct id id = id_of(100u + (uint64_t)expected[i]);
        assert_int_equal(rows[i].seq, expected[i]);
        assert_int_equal(rows[i].position, 10 * expected[i]);
        assert_int_equal(rows[i].device_no, 1);
        assert_memory_equal(&rows[i].changeset, &id, sizeof id);
    }
    ok(srv_store_markers(reader, 1, 14, 0, 150, &world->arena, &rows, &count));
    assert_int_equal(count, 1); /* above the acknowledgement only */
    ok(srv_store_markers(reader, 1, 0, -1, 10, &world->arena, &rows, &count));
    assert_int_equal(count, 1); /* a rejection has no position */
    ok(srv_store_markers(reader, 3, 0, 0, INT64_MAX, &world->arena, &rows, &count));
    assert_int_equal(count, 0);
}

static void test_server_store_decisions__a_decision_goes_over_to_another_instance(void **state)
{
    struct world *world = *state;
    struct srv_decision *rows = NULL;
    int count = 0;
    struct id first = id_of(100);
    struct id unknown = id_of(999);
    ok(srv_store_begin(world->store));
    ok(decide(world, world->org, 1, 7, 100, 5));
    ok(decide(world, world->org, 2, 1, 101, 6));
    ok(srv_store_adopt_decision(world->store, world->org, &first, 2,
                                7)); /* seq 7 as verdict says */
    assert_int_equal(srv_store_adopt_decision(world->store, world->org, &unknown, 2, 3),
                     DAYBOOK_NOT_FOUND);
    assert_int_equal(srv_store_adopt_decision(world->store, world->org + 1, &first, 2, 3),
                     DAYBOOK_NOT_FOUND);
    assert_int_equal(srv_store_adopt_decision(world->store, world->org, &first, 2, 1),
                     DAYBOOK_EXISTS);
    ok(srv_store_commit(world->store));
    assert_decision(world, world->store, 2, 7, 100, 5, true);
    ok(srv_store_markers(world_reader(world), 2, 0, 0, 100, &world->arena, &rows, &count));
    assert_int_equal(count, 2);
    assert_int_equal(rows[0].seq, 7); /* by position */
    ok(srv_store_markers(world_reader(world), 1, 0, 0, 100, &world->arena, &rows, &count));
    assert_int_equal(count, 0);
}

/* ---- acknowledgement */

static void test_server_store_decisions__acknowledged_ones_keep_their_id(void **state)
{
    struct world *world = *state;
    ok(srv_store_begin(world->store));
    uint32_t mine = enrol(world, 1);
    uint32_t other = enrol(world, 2);
    for (int64_t seq = 1; seq <= 10; seq++) {
        ok(decide(world, world->org, mine, seq, 100u + (uint64_t)seq, seq));
        ok(decide(world, world->org, other, seq, 200u + (uint64_t)seq, 50 + seq));
    }
    ok(srv_store_mark_device(world->store, mine, 10, 4, 1));
    ok(srv_store_commit(world->store));
    for (int64_t seq = 1; seq <= 10; seq++) {
        assert_decision(world, world->store, mine, seq, 100u + (uint64_t)seq, seq, seq > 4);
        assert_decision(world, world->store, other, seq, 200u + (uint64_t)seq, 50 + seq, true);
    }
    ok(srv_store_begin(world->store));
    ok(srv_store_mark_device(world->store, mine, 10, 4, 2));
    ok(srv_store_mark_device(world->store, mine, 10, 7, 3));
    assert_int_equal(decide(world, world->org, mine, 11, 101, 99), DAYBOOK_EXISTS);
    ok(srv_store_commit(world->store));
    for (int64_t seq = 1; seq <= 10; seq++) {
        assert_decision(world, world_reader(world), mine, seq, 100u + (uint64_t)seq, seq, seq > 7);
    }
}

static void test_server_store_decisions__one_call_drops_a_bounded_number(void **state)
{
    enum { DECIDED = 4500, PER_CALL = 2000 };
    struct world *world = *state;
    ok(srv_store_begin(world->store));
    uint32_t device_no = enrol(world, 1);
    for (int64_t seq = 1; seq <= DECIDED; seq++) {
        ok(decide(world, world->org, device_no, seq, 10000u + (uint64_t)seq, seq));
    }
    static const int64_t gone_after[] = {PER_CALL, 2 * PER_CALL, DECIDED, DECIDED};
    for (size_t call = 0; call < COUNT(gone_after); call++) {
        ok(srv_store_mark_device(world->store, device_no, DECIDED, DECIDED, 1));
        int64_t gone = gone_after[call];
        assert_decision(world, world->store, device_no, 1, 10001, 1, false);
        assert_decision(world, world->store, device_no, gone, 10000u + (uint64_t)gone, gone, false);
        if (gone < DECIDED) {
            assert_decision(world, world->store, device_no, gone + 1, 10001u + (uint64_t)gone,
                            gone + 1, true);
        }
    }
    ok(srv_store_commit(world->store));
}

/* ---- claims, quarantine */

/* The claim on record 50 that counts for this seq of instance 4 is this changeset's. */
static void assert_claim(struct world *world, int64_t seq, uint64_t changeset, bool waits,
                         bool before)
{
    struct id record = id_of(50), expected = id_of(changeset);
    struct srv_claim claim;
    bool found;
    ok(srv_store_find_claim(world->store, world->org, &record, 4, seq, &claim, &found));
    assert_true(found);
    assert_memory_equal(&claim.changeset, &expected, sizeof expected);
    assert_int_equal(claim.waits, waits);
    assert_int_equal(claim.before, before);
}

/* A claim of a changeset of this instance on record 50. */
static void add_claim(struct world *world, uint64_t changeset, uint32_t device_no, int64_t seq,
                      bool makes)
{
    struct id record = id_of(50), id = id_of(changeset);
    ok(srv_store_add_claim(world->store, world->org, &record, &id, device_no, seq, makes));
}

/* Given changesets that were rejected and others that wait, all about one record, when it is asked
 * for, then what waits comes first, before it what the instance itself sent earlier; of what was
 * rejected the last of the instance's own; a claim that is taken back leaves those of the others.
 */
static void test_server_store_decisions__claims_stand_beside_each_other(void **state)
{
    struct world *world = *state;
    struct id own = id_of(60), other = id_of(61);
    ok(srv_store_begin(world->store));
    add_claim(world, 64, 3, 0, true);
    assert_claim(world, 10, 64, false, false);
    add_claim(world, 62, 4, 0, true);
    add_claim(world, 63, 4, 0, true);
    add_claim(world, 63, 4, 0, true);
    add_claim(world, 65, 5, 0, true);
    assert_claim(world, 10, 63, false, false);
    add_claim(world, 60, 4, 9, true);
    add_claim(world, 61, 5, 9, true);
    assert_claim(world, 10, 60, true, true);
    assert_claim(world, 9, 61, true, false);
    ok(srv_store_remove_claims(world->store, world->org, &own));
    assert_claim(world, 10, 61, true, false);
    ok(srv_store_remove_claims(world->store, world->org, &other));
    assert_claim(world, 10, 63, false, false);
    add_claim(world, 61, 3, 9, true);
    assert_claim(world, 10, 61, true, false);
    ok(srv_store_commit(world->store));
}

/* Given a changeset that waits and only touches a record, when the record is asked for, then what
 * the same instance sends later waits for it, and nobody else does; once another instance has it,
 * that one's does. */
static void test_server_store_decisions__who_touches_makes_nobody_else_wait(void **state)
{
    struct world *world = *state;
    struct srv_decision decision = {.device_no = 5, .seq = 9, .changeset = id_of(60)};
    struct id record = id_of(50);
    struct srv_claim claim;
    bool found;
    ok(srv_store_begin(world->store));
    add_claim(world, 60, 5, 9, false);
    ok(srv_store_find_claim(world->store, world->org, &record, 4, 10, &claim, &found));
    assert_false(found);
    ok(srv_store_add_decision(world->store, world->org, &decision));
    ok(srv_store_adopt_decision(world->store, world->org, &decision.changeset, 4, 7));
    assert_claim(world, 8, 60, true, true);
    ok(srv_store_find_claim(world->store, world->org, &record, 4, 7, &claim, &found));
    assert_false(found);
    ok(srv_store_find_claim(world->store, world->org, &record, 5, 10, &claim, &found));
    assert_false(found);
    ok(srv_store_commit(world->store));
}

/* SQLite's steps of a search for the claim on record 50 that counts for seq 1 of instance 4. */
static int count_steps(void *context)
{
    ++*(int *)context;
    return 0;
}

static int steps_of_search(struct world *world)
{
    struct id record = id_of(50);
    struct srv_claim claim;
    bool found;
    int steps = 0;
    sqlite3 *handle = srv_sqlite(world->store)->database.handle;
    sqlite3_progress_handler(handle, 1, count_steps, &steps);
    ok(srv_store_find_claim(world->store, world->org, &record, 4, 1, &claim, &found));
    sqlite3_progress_handler(handle, 0, NULL, NULL);
    return steps;
}

/* Given a record that very many changesets have to do with, rejected ones and ones that wait, of
 * the instance that asks and of others, when it is asked for, then that takes no more steps than
 * with a few. */
static void test_server_store_decisions__many_claims_take_no_longer(void **state)
{
    struct world *world = *state;
    int steps[2];
    uint64_t changeset = 60;
    ok(srv_store_begin(world->store));
    for (int n = 0; n < 2; n++) {
        for (int i = 0; i < (n == 0 ? 4 : 1000); i++) {
            add_claim(world, ++changeset, 4, 0, true);
            add_claim(world, ++changeset, (uint32_t)(5 + i), 0, true);
            add_claim(world, ++changeset, 4, 10 + i, i % 2 == 0);
            add_claim(world, ++changeset, 5, 10 + i, false);
        }
        steps[n] = steps_of_search(world);
    }
    assert_in_range(steps[1], 1, steps[0] + steps[0] / 4);
    ok(srv_store_commit(world->store));
}

static void test_server_store_decisions__a_claim_is_of_its_organisation(void **state)
{
    struct world *world = *state;
    struct id record = id_of(50);
    struct id first = id_of(60);
    struct srv_claim claim;
    bool found = true;
    ok(srv_store_begin(world->store));
    ok(srv_store_find_claim(world->store, world->org, &record, 4, 1, &claim, &found));
    assert_false(found);
    add_claim(world, 60, 4, 0, true);
    ok(srv_store_commit(world->store));
    ok(srv_store_find_claim(world_reader(world), world->org, &record, 4, 1, &claim, &found));
    assert_true(found);
    assert_memory_equal(&claim.changeset, &first, sizeof first);
    ok(srv_store_find_claim(world->store, world->org + 1, &record, 4, 1, &claim, &found));
    assert_false(found);
}

static void test_server_store_decisions__a_quarantine_is_known_by_its_instance(void **state)
{
    struct world *world = *state;
    struct srv_quarantined waiting = {.device_no = 4,
                                      .seq = 9,
                                      .changeset = id_of(70),
                                      .user = id_of(72),
                                      .why = "AUTH",
                                      .received_ms = 1,
                                      .boot = 2,
                                      .steady_ms = 3,
                                      .body = "{\"id\":1}",
                                      .length = 8};
    bool has = true;
    ok(srv_store_has_quarantine(world->store, 4, &has));
    assert_false(has);
    ok(srv_store_begin(world->store));
    ok(srv_store_add_quarantine(world->store, world->org, &waiting));
    assert_int_equal(srv_store_add_quarantine(world->store, world->org, &waiting), DAYBOOK_EXISTS);
    waiting.changeset = id_of(71);
    assert_int_equal(srv_store_add_quarantine(world->store, world->org, &waiting), DAYBOOK_EXISTS);
    ok(srv_store_commit(world->store));
    world_reopen(world);
    ok(srv_store_has_quarantine(world->store, 4, &has));
    assert_true(has);
    ok(srv_store_has_quarantine(world->store, 5, &has));
    assert_false(has);
}

/* Given two that wait, when one waits for another reason and one ends, then the lists say so, until
 * the end is acknowledged; both go over to another instance. */
static void test_server_store_decisions__the_quarantine_until_it_is_acknowledged(void **state)
{
    struct world *world = *state;
    struct arena *arena = &world->arena;
    struct srv_quarantined *rows, row,
        waiting = {.device_no = 0,
                   .user = id_of(72),
                   .why = "AUTH",
                   .received_ms = 11,
                   .boot = 12,
                   .steady_ms = 13,
                   .body = "{}",
                   .length = 2};
    struct srv_decision *ended,
        decision = {.verdict = "[1,\"quarantined\",0]", .verdict_length = 19};
    struct srv_device device = {.org = world->org, .user = id_of(72), .instance = id_of(73)};
    uint8_t hash[SRV_HASH_SIZE] = {7};
    int count;
    bool found;
    ok(srv_store_begin(world->store));
    ok(srv_store_add_device(world->store, &device, hash));
    for (int seq = 1; seq <= 2; seq++) {
        waiting.device_no = decision.device_no = device.device_no;
        waiting.seq = decision.seq = seq;
        waiting.changeset = decision.changeset = id_of(73 + (uint64_t)seq);
        ok(srv_store_add_decision(world->store, world->org, &decision));
        ok(srv_store_add_quarantine(world->store, world->org, &waiting));
    }
    ok(srv_store_end_quarantine(world->store, world->org, &waiting.changeset, "INTERNAL"));
    ok(srv_store_list_quarantine(world->store, world->org, 0, 0, 10, arena, &rows, &count));
    assert_int_equal(count, 2);
    assert_string_equal(rows[1].why, "INTERNAL");
    ok(srv_store_find_quarantine(world->store, world->org, &rows[0].changeset, arena, &row,
                                 &found));
    assert_true(found && row.received_ms == 11 && row.boot == 12 && row.steady_ms == 13);
    assert_int_equal(row.length, 2);
    decision.changeset = rows[0].changeset;
    decision.position = 5;
    decision.verdict = "[1,\"accepted\",5]";
    decision.verdict_length = 16;
    ok(srv_store_replace_verdict(world->store, world->org, &decision));
    ok(srv_store_end_quarantine(world->store, world->org, &decision.changeset, NULL));
    ok(srv_store_find_quarantine(world->store, world->org, &decision.changeset, arena, &row,
                                 &found));
    assert_false(found);
    ok(srv_store_list_quarantine(world->store, world->org, device.device_no, 1, 10, arena, &rows,
                                 &count));
    assert_int_equal(count == 1 ? rows[0].seq : 0, 2);
    ok(srv_store_list_quarantine(world->store, world->org, device.device_no, 2, 10, arena, &rows,
                                 &count));
    assert_int_equal(count, 0);
    ok(srv_store_ended_quarantine(world->store, device.device_no, 0, 10, arena, &ended, &count));
    assert_int_equal(count, 1);
    assert_memory_equal(ended[0].verdict, decision.verdict, decision.verdict_length);
    ok(srv_store_adopt_decision(world->store, world->org, &decision.changeset, device.device_no,
                                9));
    ok(srv_store_ended_quarantine(world->store, device.device_no, 8, 10, arena, &ended, &count));
    assert_int_equal(count == 1 ? ended[0].seq : 0, 9);
    ok(srv_store_mark_device(world->store, device.device_no, 9, 9, 1));
    ok(srv_store_ended_quarantine(world->store, device.device_no, 0, 10, arena, &ended, &count));
    assert_int_equal(count, 0);
    ok(srv_store_list_quarantine(world->store, world->org, 0, 0, 10, arena, &rows, &count));
    assert_int_equal(count, 1); /* the one that waits stays */
    struct id unknown = id_of(99);
    assert_int_equal(srv_store_end_quarantine(world->store, world->org, &unknown, NULL),
                     DAYBOOK_NOT_FOUND);
    assert_int_equal(srv_store_adopt_decision(world->store, world->org, &unknown, 1, 1),
                     DAYBOOK_NOT_FOUND);
    ok(srv_store_commit(world->store));
}

/* What leaves the quarantine has a later position than what followed it: markers come in the order
 * of the log. */
static void test_server_store_decisions__markers_are_in_the_order_of_the_log(void **state)
{
    struct world *world = *state;
    static const int64_t positions[] = {9, 3, 7, 4};
    struct srv_decision *rows;
    int count;
    ok(srv_store_begin(world->store));
    for (int i = 0; i < 4; i++) {
        struct srv_decision decision = {.device_no = 77,
                                        .seq = i + 1,
                                        .changeset = id_of(200 + (uint64_t)i),
                                        .position = positions[i],
                                        .verdict = "x",
                                        .verdict_length = 1};
        ok(srv_store_add_decision(world->store, world->org, &decision));
    }
    ok(srv_store_commit(world->store));
    ok(srv_store_markers(world->store, 77, 0, 0, 100, &world->arena, &rows, &count));
    assert_int_equal(count, 4);
    for (int i = 1; i < count; i++) {
        assert_true(rows[i - 1].position < rows[i].position);
    }
    assert_int_equal(rows[3].seq, 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        store_test(test_server_store_decisions__a_decision_is_found_by_its_changeset),
        store_test(test_server_store_decisions__nothing_is_decided_twice),
        store_test(test_server_store_decisions__markers_are_the_instances_accepted_ones),
        store_test(test_server_store_decisions__a_decision_goes_over_to_another_instance),
        store_test(test_server_store_decisions__acknowledged_ones_keep_their_id),
        store_test(test_server_store_decisions__one_call_drops_a_bounded_number),
        store_test(test_server_store_decisions__claims_stand_beside_each_other),
        store_test(test_server_store_decisions__who_touches_makes_nobody_else_wait),
        store_test(test_server_store_decisions__many_claims_take_no_longer),
        store_test(test_server_store_decisions__a_claim_is_of_its_organisation),
        store_test(test_server_store_decisions__a_quarantine_is_known_by_its_instance),
        store_test(test_server_store_decisions__the_quarantine_until_it_is_acknowledged),
        store_test(test_server_store_decisions__markers_are_in_the_order_of_the_log),
    };
    return run_store_tests("server_store_decisions", tests, COUNT(tests));
}
