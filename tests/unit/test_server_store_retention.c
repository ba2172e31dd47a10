/* SPDX-License-Identifier: Apache-2.0
 *
 * How far back the server's log reaches: the floor, positions by time, and what is cut below it;
 * and the records of a bucket in their order, which is what a device gets instead.
 */
#include "tests/unit/server_store_world.h"

#define BUCKETS 3

static int64_t buckets[BUCKETS];

/* Rows of 30 positions in turns over three buckets, one each 1,000 ms; an eviction at each tenth.
 */
static void fill(struct world *world)
{
    ok(srv_store_begin(world->store));
    for (int i = 0; i < BUCKETS; i++) {
        char label[16];
        (void)snprintf(label, sizeof label, "b%d", i);
        ok(srv_store_bucket(world->store, world->org, label, &buckets[i]));
    }
    for (int64_t position = 1; position <= 30; position++) {
        struct srv_log_row row = {.position = position,
                                  .bucket = buckets[position % BUCKETS],
                                  .time_ms = position * 1000,
                                  .body = "b",
                                  .body_size = 1};
        ok(srv_store_append_log(world->store, world->org, &row));
        if (position % 10 == 0) {
            struct id id = id_of((uint64_t)position);
            ok(srv_store_add_eviction(world->store, world->org, row.bucket, &id, position));
        }
    }
    ok(srv_store_set_head(world->store, world->org, 30));
    ok(srv_store_commit(world->store));
}

/* The lowest position that a cursor over all buckets gives; 0: none. */
static int64_t lowest(struct world *world)
{
    struct srv_log_cursor *cursor = NULL;
    struct srv_log_row row;
    bool found = false;
    ok(srv_store_log_open(world->store, world->org, buckets, BUCKETS, 0, 100, &cursor));
    ok(srv_store_log_next(cursor, &row, &found));
    srv_store_log_close(cursor);
    return found ? row.position : 0;
}

static void put(struct world *world, int kind, uint64_t number, int64_t bucket, int64_t version,
                bool deleted)
{
    struct srv_record *record = dk_arena_new(&world->arena, sizeof *record);
    assert_non_null(record);
    record->record.entity = dk_entity(kind);
    record->record.id = id_of(number);
    record->record.version = version;
    record->bucket = bucket;
    record->deleted = deleted;
    ok(srv_store_put(world->store, world->org, record, false));
}

static void test_server_store_retention__floor_only_goes_up(void **state)
{
    struct world *world = *state;
    int64_t floor = -1;
    ok(srv_store_get_floor(world->store, world->org, &floor));
    assert_int_equal(floor, 0);
    assert_int_equal(srv_store_get_floor(world->store, 77, &floor), DAYBOOK_NOT_FOUND);
    ok(srv_store_begin(world->store));
    ok(srv_store_raise_floor(world->store, world->org, 9));
    ok(srv_store_raise_floor(world->store, world->org, 5));
    assert_int_equal(srv_store_raise_floor(world->store, 77, 5), DAYBOOK_NOT_FOUND);
    ok(srv_store_commit(world->store));
    world_reopen(world);
    ok(srv_store_get_floor(world->store, world->org, &floor));
    assert_int_equal(floor, 9);
}

static void test_server_store_retention__positions_by_time(void **state)
{
    struct world *world = *state;
    fill(world);
    for (int64_t time_ms = 0; time_ms <= 32000; time_ms += 500) {
        int64_t position = -1;
        /* entry n was decided at n * 1000 */
        int64_t expected = time_ms <= 1000 ? 0 : (time_ms - 1) / 1000;
        ok(srv_store_position_before(world->store, world->org, time_ms, 30, &position));
        assert_int_equal(position, expected > 30 ? 30 : expected);
    }
}

static void test_server_store_retention__what_is_cut_is_below_the_floor(void **state)
{
    struct world *world = *state;
    fill(world);
    for (int64_t floor = 0; floor <= 30; floor += 3) {
        int64_t removed = 0, all = 0;
        ok(srv_store_begin(world->store));
        ok(srv_store_raise_floor(world->store, world->org, floor));
        do {
            ok(srv_store_cut(world->store, world->org, 2, &removed));
            assert_in_range(removed, 0, 4);
            all += removed;
        } while (removed > 0);
        ok(srv_store_commit(world->store));
        assert_int_equal(lowest(world), floor == 30 ? 0 : floor + 1);
        /* three positions, and an eviction with each tenth */
        int64_t tenths = floor / 10 - (floor == 0 ? 0 : (floor - 3) / 10);
        assert_int_equal(all, floor == 0 ? 0 : 3 + tenths);
    }
    bool any = true;
    ok(srv_store_any_left(world->store, world->org, buckets, BUCKETS, 0, 100, &any));
    assert_false(any);
}

/* Given evictions at known positions, when they are asked for by bucket and by record, then the
 * range is open at its beginning and closed at its end. */
static void test_server_store_retention__who_left_is_known_by_range(void **state)
{
    struct world *world = *state;
    struct id record = id_of(10), other = id_of(11);
    bool left;
    fill(world);
    for (int64_t after = 8; after <= 11; after++) {
        for (int64_t upto = after; upto <= 11; upto++) {
            bool within = after < 10 && upto >= 10;
            ok(srv_store_any_left(world->store, world->org, buckets, BUCKETS, after, upto, &left));
            assert_int_equal(left, within);
            ok(srv_store_any_left(world->store, world->org, buckets, 1, after, upto, &left));
            assert_false(left); /* it was another bucket's */
            ok(srv_store_has_left(world->store, world->org, &record, after, upto, &left));
            assert_int_equal(left, within);
            ok(srv_store_has_left(world->store, world->org, &other, after, upto, &left));
            assert_false(left);
        }
    }
}

static void test_server_store_retention__tombstones_go_when_all_have_passed_them(void **state)
{
    struct world *world = *state;
    struct srv_record row;
    int64_t removed = 0;
    bool found = true;
    ok(srv_store_begin(world->store));
    for (uint64_t i = 1; i <= 10; i++) {
        put(world, ENTITY_CUSTOMER, i, 1, (int64_t)i, i % 2 == 0);
        put(world, ENTITY_QUOTE, 100 + i, 1, (int64_t)i, i % 2 == 0);
    }
    ok(srv_store_raise_floor(world->store, world->org, 6));
    ok(srv_store_cut(world->store, world->org, 1000, &removed));
    assert_int_equal(removed, 6); /* 2, 4, 6 of both entities */
    ok(srv_store_commit(world->store));
    for (uint64_t i = 1; i <= 10; i++) {
        struct id id = id_of(i);
        ok(srv_store_get(world->store, world->org, dk_entity(ENTITY_CUSTOMER), &id, &world->arena,
                         &row, &found));
        assert_int_equal(found, i % 2 == 1 || i > 6);
    }
}

/* ---- the records of a bucket */

struct walk {
    uint64_t last;
    int count, stop_after;
};

static daybook_status step(void *context, const struct record *record, bool *stop)
{
    struct walk *walk = context;
    uint64_t number = 0;
    for (int i = 0; i < 8; i++) {
        number = number << 8 | record->id.bytes[i];
    }
    assert_true(number > walk->last);
    walk->last = number;
    walk->count++;
    *stop = walk->count == walk->stop_after;
    return DAYBOOK_OK;
}

static void test_server_store_retention__records_of_a_bucket_by_id(void **state)
{
    struct world *world = *state;
    const struct entity *entity = dk_entity(ENTITY_CUSTOMER);
    struct srv_record row;
    bool found = false;
    ok(srv_store_begin(world->store));
    for (uint64_t i = 1; i <= 40; i++) {
        put(world, ENTITY_CUSTOMER, 41 - i, (int64_t)i % 2 + 1, 1, i % 10 == 0);
    }
    /* one moves to the other bucket, as a decision does it: read, changed, put */
    struct id moved = id_of(40);
    ok(srv_store_get(world->store, world->org, entity, &moved, &world->arena, &row, &found));
    assert_int_equal(row.bucket, 2);
    row.bucket = 1;
    ok(srv_store_put(world->store, world->org, &row, true));
    ok(srv_store_commit(world->store));
    struct walk all = {0, 0, -1}, other = {0, 0, -1}, some = {0, 0, 3}, none = {0, 0, -1};
    struct id start = {{0}}, middle = id_of(20);
    ok(srv_store_bucket_records(world->store, world->org, 1, entity, &start, step, &all));
    assert_int_equal(all.count, 20 - 4 + 1);
    assert_int_equal(all.last, 40);
    ok(srv_store_bucket_records(world->store, world->org, 2, entity, &start, step, &other));
    assert_int_equal(other.count, 20 - 1);
    ok(srv_store_bucket_records(world->store, world->org, 2, entity, &middle, step, &some));
    assert_int_equal(some.count, 3);
    assert_true(some.last > 20);
    ok(srv_store_bucket_records(world->store, 77, 1, entity, &start, step, &none));
    assert_int_equal(none.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(test_server_store_retention__floor_only_goes_up),
        store_test(test_server_store_retention__positions_by_time),
        store_test(test_server_store_retention__what_is_cut_is_below_the_floor),
        store_test(test_server_store_retention__who_left_is_known_by_range),
        store_test(test_server_store_retention__tombstones_go_when_all_have_passed_them),
        store_test(test_server_store_retention__records_of_a_bucket_by_id),
    };
    return run_store_tests("retention", tests, COUNT(tests));
}
