/* SPDX-License-Identifier: Apache-2.0
 *
 * The policies whose results are more than one of two values: MIN and MAX with their groups and
 * doubtful clocks, SET element by element; and the trace that an edit leaves which came to nothing.
 */
#include "tests/unit/decide_world.h"

/* ---- MIN and MAX */

/* A visit of li's with a check-in at `ms`; 0: none. */
static struct id make_visit(struct world *world, int64_t ms)
{
    struct id customer = make_customer(world, &world->li, "C");
    struct id visit = make_record(world, ENTITY_VISIT);
    put_id(world, VISIT_CUSTOMER_ID, &customer);
    if (ms != 0) {
        put_int(world, VISIT_CHECKIN_TS, ms);
    }
    return visit;
}

/* A change of the check-in group as an engine sends it: whole, but for the server's flag. */
static void put_checkin(struct world *world, const struct id *visit, int64_t seen, int64_t ms,
                        int64_t accuracy)
{
    edit_record(world, ENTITY_VISIT, visit, seen);
    put_int(world, VISIT_CHECKIN_TS, ms);
    put_int(world, VISIT_CHECKIN_TZ, 480);
    put_int(world, VISIT_CHECKIN_LAT, 312304160);
    put_int(world, VISIT_CHECKIN_LON, 1214737010);
    put_int(world, VISIT_CHECKIN_ACC, accuracy);
    put_null(world, VISIT_CHECKIN_MOCK);
}

/* Given a check-in, when another comes, then the earlier one stands as a whole, whoever had seen
 * what; only one that was replaced unseen, or did not come to stand, is a conflict. */
static void test_decide_policies__the_earliest_check_in_stands(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 4; i++) {
        bool seen = (i & 1) != 0, earlier = (i & 2) != 0;
        struct id visit = make_visit(world, 0);
        int64_t base = accept(world, &world->li);
        put_checkin(world, &visit, base, WORLD_NOW_MS - 5000, 10);
        int64_t first = accept(world, &world->li);
        put_checkin(world, &visit, seen ? first : base, WORLD_NOW_MS - (earlier ? 9000 : 1000), 20);
        struct verdict verdict = send_changeset(world, &world->wang);
        assert_int_equal(verdict.kind, seen && earlier ? VERDICT_ACCEPTED : VERDICT_MERGED);
        expect_int(world, ENTITY_VISIT, &visit, VISIT_CHECKIN_TS,
                   WORLD_NOW_MS - (earlier ? 9000 : 5000));
        expect_int(world, ENTITY_VISIT, &visit, VISIT_CHECKIN_ACC, earlier ? 20 : 10);
        const char *page = pull_all(world, &world->wang, verdict.position - 1);
        expect_in(page, earlier && seen ? "\"own\"" : "\"checkin_acc_m\"");
    }
}

/* Given a check-in, when the rest of its group is mended, then that stands; when it is taken away,
 * it stays. */
static void test_decide_policies__a_check_in_is_mended_not_taken_away(void **state)
{
    struct world *world = *state;
    struct id visit = make_visit(world, WORLD_NOW_MS - 5000);
    int64_t base = accept(world, &world->li);
    put_checkin(world, &visit, base, WORLD_NOW_MS - 5000, 10);
    base = accept(world, &world->wang);
    expect_int(world, ENTITY_VISIT, &visit, VISIT_CHECKIN_ACC, 10);
    edit_record(world, ENTITY_VISIT, &visit, base);
    for (int field = VISIT_CHECKIN_TS; field <= VISIT_CHECKIN_MOCK; field++) {
        put_null(world, field);
    }
    (void)merge(world, &world->li);
    expect_int(world, ENTITY_VISIT, &visit, VISIT_CHECKIN_TS, WORLD_NOW_MS - 5000);
}

/* Given a check-in by a clock that is years off, when one by a good clock comes, then that stands
 * though it is later; the flag says which is which, in either order of arrival. */
static void test_decide_policies__a_doubtful_clock_yields_to_a_good_one(void **state)
{
    struct world *world = *state;
    for (int order = 0; order < 2; order++) {
        struct id visit = make_visit(world, 0);
        int64_t base = accept(world, &world->li);
        for (int turn = 0; turn < 2; turn++) {
            bool bad = turn == order;
            put_checkin(world, &visit, base, WORLD_NOW_MS - (bad ? 9000 : 1000), bad ? 10 : 20);
            world->hlc_ms = world->now_ms + (bad ? INT64_C(400) * 24 * 3600 * 1000 : 0);
            struct verdict verdict = send_changeset(world, bad ? &world->li : &world->wang);
            assert_int_equal(verdict.clock_suspect, bad);
            assert_int_equal(verdict.kind, turn == 0 ? VERDICT_ACCEPTED : VERDICT_MERGED);
            if (turn == 0) {
                struct value flag = value_of(world, ENTITY_VISIT, &visit, VISIT_CHECKIN_SUSPECT);
                assert_int_equal(flag.kind, bad ? VALUE_INT : VALUE_NULL);
            }
        }
        expect_int(world, ENTITY_VISIT, &visit, VISIT_CHECKIN_TS, WORLD_NOW_MS - 1000);
        expect_int(world, ENTITY_VISIT, &visit, VISIT_CHECKIN_ACC, 20);
        assert_int_equal(value_of(world, ENTITY_VISIT, &visit, VISIT_CHECKIN_SUSPECT).kind,
                         VALUE_NULL);
    }
}

/* Given one time of a check-in by three, two good clocks and one that is years off, none knowing of
 * another, then in every order the later of the good ones stands, with its stamp and without a
 * flag. */
static void test_decide_policies__equal_times_of_good_and_bad_clocks_in_every_order(void **state)
{
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct world *world = *state;
    struct device *devices[] = {&world->li, &world->wang, &world->office};
    for (int i = 0; i < 12; i++) {
        bool alike = i >= 6; /* the rest of the group is equal, too */
        struct srv_record row;
        struct id visit = make_visit(world, 0);
        int64_t base = accept(world, &world->li);
        for (int turn = 0; turn < 3; turn++) {
            int who = orders[i % 6][turn];
            bool bad = who == 1;
            put_checkin(world, &visit, base, WORLD_NOW_MS - 1000, alike ? 10 : 10 * (who + 1));
            world->hlc_ms = world->now_ms + (bad ? INT64_C(400) * 24 * 3600 * 1000 : -who);
            (void)send_changeset(world, devices[who]);
        }
        assert_true(read_row(world, ENTITY_VISIT, &visit, &row));
        assert_int_equal(row.record.values[VISIT_CHECKIN_ACC].integer, 10);
        assert_int_equal(row.record.values[VISIT_CHECKIN_SUSPECT].kind, VALUE_NULL);
        for (int field = VISIT_CHECKIN_TS; field <= VISIT_CHECKIN_SUSPECT; field++) {
            assert_int_equal(row.stamps[field].device_no, world->li.author.device_no);
            assert_int_equal(row.stamps[field].time, (hlc)world->now_ms << 16);
        }
    }
}

/* Given a check-in by a doubtful clock, when its author mends the rest of it by a good one, then it
 * stays doubtful; one by a good clock stays good. */
static void test_decide_policies__mending_says_nothing_of_the_clock(void **state)
{
    struct world *world = *state;
    for (int bad_first = 0; bad_first < 2; bad_first++) {
        struct id visit = make_visit(world, 0);
        int64_t base = accept(world, &world->li);
        for (int turn = 0; turn < 2; turn++) {
            bool bad = (turn == 0) == (bad_first == 1);
            put_checkin(world, &visit, base, WORLD_NOW_MS - 1000, 10 + turn);
            world->hlc_ms = world->now_ms + (bad ? INT64_C(400) * 24 * 3600 * 1000 : 0);
            base = accept(world, &world->li);
        }
        expect_int(world, ENTITY_VISIT, &visit, VISIT_CHECKIN_ACC, 11);
        assert_int_equal(value_of(world, ENTITY_VISIT, &visit, VISIT_CHECKIN_SUSPECT).kind,
                         bad_first == 1 ? VALUE_INT : VALUE_NULL);
    }
}

/* Given a visit that is made with a time in the future, when it arrives, then it is flagged and its
 * author is told; a device cannot set the flag. */
static void test_decide_policies__a_time_in_the_future_is_flagged(void **state)
{
    struct world *world = *state;
    struct id visit = make_visit(world, WORLD_NOW_MS + 3600000);
    int64_t base = accept(world, &world->li);
    expect_int(world, ENTITY_VISIT, &visit, VISIT_CHECKIN_SUSPECT, 1);
    expect_in(pull_all(world, &world->li, base - 1), "\"checkin_suspect\"");
    expect_in(pull_all(world, &world->wang, base - 1), "\"checkin_suspect\"");
    put_checkin(world, &visit, base, WORLD_NOW_MS, 10);
    put_int(world, VISIT_CHECKIN_SUSPECT, 0);
    reject(world, &world->wang, REJECT_READONLY, "checkin_suspect", "server");
}

/* ---- SET */

/* Given a set, when one adds an element again or anew that another removes, then it stays, and the
 * removal is in the conflict log; who had seen it removes it. */
static void test_decide_policies__an_addition_stands_against_a_removal(void **state)
{
    struct world *world = *state;
    struct id id = make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_NAME, "C");
    put_text(world, CUSTOMER_TAGS, "[\"gold\",\"new\"]");
    int64_t base = accept(world, &world->li);
    edit_record(world, ENTITY_CUSTOMER, &id, base);
    put_text(world, CUSTOMER_TAGS, "{\"add\":[\"north\"],\"remove\":[\"gold\"]}");
    int64_t removed = accept(world, &world->li);
    expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_TAGS, "[\"new\",\"north\"]");
    edit_record(world, ENTITY_CUSTOMER, &id, base);
    put_text(world, CUSTOMER_TAGS, "{\"add\":[\"gold\"],\"remove\":[\"new\"]}");
    int64_t position = merge(world, &world->wang);
    expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_TAGS, "[\"gold\",\"north\"]");
    const char *page = pull_all(world, &world->li, position - 1);
    expect_in(page, "[\"gold\",\"north\"]]]");
    expect_in(page, "{\\\"remove\\\":[\\\"gold\\\"]}");

    /* li has not seen the addition, then has. */
    edit_record(world, ENTITY_CUSTOMER, &id, removed);
    put_text(world, CUSTOMER_TAGS, "{\"remove\":[\"gold\"]}");
    position = merge(world, &world->office);
    expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_TAGS, "[\"gold\",\"north\"]");
    expect_in(pull_all(world, &world->office, position - 1), "[\"gold\",\"north\"]");
    edit_record(world, ENTITY_CUSTOMER, &id, position);
    put_text(world, CUSTOMER_TAGS, "{\"remove\":[\"gold\"]}");
    (void)accept(world, &world->office);
    expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_TAGS, "[\"north\"]");
}

/* Given a set, when the server gives it whole, then what it had seen and left out goes, and nothing
 * else; a set that only grows cannot become smaller that way. */
static void test_decide_policies__a_whole_set_is_the_change_to_it(void **state)
{
    struct world *world = *state;
    struct id id = make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_NAME, "C");
    put_text(world, CUSTOMER_TAGS, "[\"a\",\"b\"]");
    int64_t base = accept(world, &world->li);
    edit_record(world, ENTITY_CUSTOMER, &id, base);
    put_text(world, CUSTOMER_TAGS, "{\"add\":[\"c\"]}");
    (void)accept(world, &world->li);
    edit_record(world, ENTITY_CUSTOMER, &id, base);
    put_text(world, CUSTOMER_TAGS, "[\"b\",\"d\"]");
    (void)merge(world, &world->server);
    expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_TAGS, "[\"b\",\"c\",\"d\"]");
    edit_record(world, ENTITY_CUSTOMER, &id, world->org.head);
    put_null(world, CUSTOMER_TAGS);
    (void)accept(world, &world->server);
    expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_TAGS, NULL);

    struct id order = make_record(world, ENTITY_SALES_ORDER);
    put_id(world, SALES_ORDER_CUSTOMER_ID, &id);
    put_text(world, SALES_ORDER_CUR, "CNY");
    put_text(world, SALES_ORDER_CANCEL_REQ, "[\"a\"]");
    base = accept(world, &world->li);
    edit_record(world, ENTITY_SALES_ORDER, &order, base);
    put_text(world, SALES_ORDER_CANCEL_REQ, "[\"b\"]");
    reject(world, &world->server, REJECT_POLICY, "cancel_req", "grow");
    edit_record(world, ENTITY_SALES_ORDER, &order, base);
    put_null(world, SALES_ORDER_CANCEL_REQ);
    reject(world, &world->server, REJECT_POLICY, "cancel_req", "grow");
}

/* Given an edit that lost, when somebody who has not seen it deletes the record, then the record
 * stays, as it would had the delete come first. */
static void test_decide_policies__an_edit_that_lost_still_meets_a_delete(void **state)
{
    struct world *world = *state;
    for (int order = 0; order < 2; order++) {
        struct id id = make_customer(world, &world->li, "C");
        int64_t base = world->org.head;
        edit_record(world, ENTITY_CUSTOMER, &id, base);
        put_text(world, CUSTOMER_PREFS, "later");
        world->hlc_ms = world->now_ms + 5000;
        int64_t seen = accept(world, &world->li);
        for (int turn = 0; turn < 2; turn++) {
            if (turn == order) {
                edit_record(world, ENTITY_CUSTOMER, &id, base);
                put_text(world, CUSTOMER_PREFS, "earlier");
                (void)merge(world, &world->wang);
            } else {
                delete_record(world, ENTITY_CUSTOMER, &id, seen);
                struct verdict verdict = send_changeset(world, &world->office);
                assert_true(verdict.position > 0);
            }
        }
        expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_PREFS, "later");
    }
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_decide_policies__##name, setup_world, teardown_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_earliest_check_in_stands),
        TEST(a_check_in_is_mended_not_taken_away),
        TEST(equal_times_of_good_and_bad_clocks_in_every_order),
        TEST(mending_says_nothing_of_the_clock),
        TEST(a_doubtful_clock_yields_to_a_good_one),
        TEST(a_time_in_the_future_is_flagged),
        TEST(an_addition_stands_against_a_removal),
        TEST(a_whole_set_is_the_change_to_it),
        TEST(an_edit_that_lost_still_meets_a_delete),
    };
    return cmocka_run_group_tests_name("decide_policies", tests, NULL, NULL);
}
