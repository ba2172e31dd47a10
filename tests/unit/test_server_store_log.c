/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's log: parts of a row's body, rows as they were appended, and cursors that merge any
 * number of buckets in position order.
 */
#include "tests/unit/server_store_world.h"

/* ---- parts */

static void test_server_store_log__parts_come_back(void **state)
{
    (void)state;
    static const int64_t headers[] = {1, 127, 128, 16384, INT64_MAX};
    static char tails[3][20000];
    static const size_t lengths[] = {0, 1, 127, 128, 20000};
    struct buffer body;
    size_t cursor = 0;
    int64_t header = 0;
    const char *tail = NULL;
    size_t length = 0;
    memset(tails, 'x', sizeof tails);
    dk_buffer_init(&body, 100000);
    assert_false(srv_log_part_next(body.bytes, 0, &cursor, &header, &tail, &length));
    for (size_t i = 0; i < COUNT(headers); i++) {
        srv_log_part_append(&body, headers[i], tails[i % 3], lengths[i]);
    }
    ok(body.status);
    for (size_t i = 0; i < COUNT(headers); i++) {
        assert_true(srv_log_part_next(body.bytes, body.length, &cursor, &header, &tail, &length));
        assert_int_equal(header, headers[i]);
        assert_int_equal(length, lengths[i]);
        assert_memory_equal(tail, tails[i % 3], length);
    }
    assert_int_equal(cursor, body.length);
    assert_false(srv_log_part_next(body.bytes, body.length, &cursor, &header, &tail, &length));
    assert_int_equal(cursor, body.length);
    dk_buffer_clear(&body);
}

static void test_server_store_log__damaged_parts_end_the_walk(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } damaged[] = {
        {"\x01", 1},                                             /* no length */
        {"\x81", 1},                                             /* half a number */
        {"\x01\x02x", 3},                                        /* shorter than it says */
        {"\x00\x01x", 3},                                        /* header 0 */
        {"\x81\x00\x01x", 4},                                    /* a needless byte */
        {"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", 12},   /* a length of 2^64 - 1 */
        {"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7fx", 12},   /* past 64 bits */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01x", 12},   /* a header past int64 */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01", 12} /* a number without an end */
    };
    for (size_t i = 0; i < COUNT(damaged); i++) {
        size_t cursor = 0;
        int64_t header = 0;
        const char *tail = NULL;
        size_t length = 0;
        assert_false(
            srv_log_part_next(damaged[i].bytes, damaged[i].size, &cursor, &header, &tail, &length));
        assert_int_equal(cursor, 0);
    }
}

/* ---- rows */

/* Makes buckets 1 … count, roots with all their classes, in a transaction of their own. */
static void make_buckets(struct world *world, int count)
{
    ok(srv_store_begin(world->store));
    for (int i = 1; i <= count; i++) {
        char label[40];
        int64_t bucket = 0;
        enum srv_class class = srv_bucket_class(i);
        (void)snprintf(label, sizeof label, "territory:%d", i);
        if (class == CLASS_OPEN) {
            ok(srv_store_bucket(world->store, world->org, label, &bucket));
        } else {
            ok(srv_store_bucket_in(world->store, world->org, i - (int)class, class, &bucket));
        }
        assert_int_equal(bucket, i);
    }
    ok(srv_store_commit(world->store));
}

/* Appends a row whose content tells bucket and position. */
static daybook_status append(struct world *world, int64_t bucket, int64_t position)
{
    char body[60];
    char own[60];
    struct srv_log_row row = {.position = position,
                              .bucket = bucket,
                              .device_no = (uint32_t)(position % 7 + 1),
                              .time_ms = 1000 + position,
                              .body = body,
                              .own = own};
    row.body_size =
        (size_t)snprintf(body, sizeof body, "body %d of %d", (int)position, (int)bucket);
    row.own_size =
        position % 3 == 0 ? 0 : (size_t)snprintf(own, sizeof own, "own %d", (int)position);
    return srv_store_append_log(world->store, world->org, &row);
}

/* Asserts that the row is what append has written for this bucket and position. */
static void assert_row(const struct srv_log_row *row, int64_t bucket, int64_t position)
{
    char text[60];
    assert_int_equal(row->position, position);
    assert_int_equal(row->bucket, bucket);
    assert_int_equal(row->device_no, position % 7 + 1);
    assert_int_equal(row->time_ms, 1000 + position);
    size_t length =
        (size_t)snprintf(text, sizeof text, "body %d of %d", (int)position, (int)bucket);
    assert_int_equal(row->body_size, length);
    assert_memory_equal(row->body, text, length);
    length = position % 3 == 0 ? 0 : (size_t)snprintf(text, sizeof text, "own %d", (int)position);
    assert_int_equal(row->own_size, length);
    if (length > 0) {
        assert_memory_equal(row->own, text, length);
    }
}

/* Which buckets have a row at a position: bit n of rows[position] is bucket n + 1. */
enum { POSITIONS = 600, BUCKETS = 60 };
struct pattern {
    uint64_t rows[POSITIONS + 1];
};

/* Appends a random pattern: mostly one bucket per position, now and then several, or a run in one.
 */
static void append_pattern(struct world *world, struct pattern *pattern)
{
    uint64_t run = 0;
    ok(srv_store_begin(world->store));
    for (int64_t position = 1; position <= POSITIONS; position++) {
        uint64_t random = world_random(world);
        if (random % 3 != 0 || run == 0) {
            run = UINT64_C(1) << (random / 16 % BUCKETS);
        }
        pattern->rows[position] = run;
        if (random % 16 == 7) {
            pattern->rows[position] |= world_random(world) & world_random(world);
            pattern->rows[position] &= (UINT64_C(1) << BUCKETS) - 1;
        }
        for (int bucket = 1; bucket <= BUCKETS; bucket++) {
            if ((pattern->rows[position] >> (bucket - 1) & 1) != 0) {
                ok(append(world, bucket, position));
            }
        }
    }
    ok(srv_store_commit(world->store));
}

/* Walks a cursor over the buckets of a mask and compares each row with the pattern. */
static void assert_merge(struct srv_store *store, struct world *world,
                         const struct pattern *pattern, uint64_t mask, int64_t after, int64_t upto)
{
    int64_t buckets[BUCKETS];
    int count = 0;
    struct srv_log_cursor *cursor = NULL;
    struct srv_log_row row;
    bool found = false;
    for (int bucket = BUCKETS; bucket > 0; bucket--) { /* given in another order */
        if ((mask >> (bucket - 1) & 1) != 0) {
            buckets[count++] = bucket;
        }
    }
    ok(srv_store_log_open(store, world->org, buckets, count, after, upto, &cursor));
    int64_t first = after < 0 ? 1 : after + 1;
    int64_t last = upto > POSITIONS ? POSITIONS : upto;
    for (int64_t position = first; position <= last; position++) {
        for (int bucket = 1; bucket <= BUCKETS; bucket++) {
            if ((pattern->rows[position] & mask) >> (bucket - 1) & 1) {
                ok(srv_store_log_next(cursor, &row, &found));
                assert_true(found);
                assert_row(&row, bucket, position);
            }
        }
    }
    for (int i = 0; i < 2; i++) { /* the end stays the end */
        ok(srv_store_log_next(cursor, &row, &found));
        assert_false(found);
    }
    srv_store_log_close(cursor);
}

static void test_server_store_log__any_merge_is_in_order(void **state)
{
    struct world *world = *state;
    static struct pattern pattern;
    make_buckets(world, BUCKETS);
    append_pattern(world, &pattern);
    struct srv_store *reader = world_reader(world);
    const uint64_t all = (UINT64_C(1) << BUCKETS) - 1;
    struct srv_log_cursor *others[6];
    assert_merge(reader, world, &pattern, all, 0, POSITIONS);
    assert_merge(reader, world, &pattern, all, -1, INT64_MAX);
    assert_merge(reader, world, &pattern, 0, 0, POSITIONS);
    assert_merge(reader, world, &pattern, all, 300, 300);
    assert_merge(reader, world, &pattern, all, POSITIONS, INT64_MAX);
    /* the more cursors are open, the fewer statements has another one for its buckets */
    for (size_t i = 0; i < COUNT(others); i++) {
        ok(srv_store_log_open(reader, world->org, NULL, 0, 0, POSITIONS, &others[i]));
        assert_merge(reader, world, &pattern, all, 0, POSITIONS);
    }
    for (size_t i = 0; i < COUNT(others); i++) {
        srv_store_log_close(others[i]);
    }
    for (int round = 0; round < 40; round++) {
        uint64_t mask = world_random(world) & all;
        int64_t after = (int64_t)(world_random(world) % POSITIONS);
        int64_t upto = after + (int64_t)(world_random(world) % 200);
        mask &= round % 3 == 0 ? all : world_random(world);
        mask &= round % 3 == 1 ? all : world_random(world);
        ok(srv_store_begin_read(reader));
        assert_merge(reader, world, &pattern, mask, after, upto);
        srv_store_end_read(reader);
    }
}

static void test_server_store_log__as_many_buckets_as_a_scope_may_have(void **state)
{
    struct world *world = *state;
    static int64_t buckets[LIMIT_BUCKETS];
    struct srv_log_cursor *cursor = NULL;
    struct srv_log_row row;
    bool found = false;
    make_buckets(world, LIMIT_BUCKETS);
    ok(srv_store_begin(world->store));
    for (int i = 0; i < LIMIT_BUCKETS; i++) {
        buckets[i] = i + 1;
        ok(append(world, i + 1, LIMIT_BUCKETS - i));
    }
    ok(srv_store_commit(world->store));
    ok(srv_store_log_open(world->store, world->org, buckets, LIMIT_BUCKETS, 0, LIMIT_BUCKETS,
                          &cursor));
    for (int i = 1; i <= LIMIT_BUCKETS; i++) {
        ok(srv_store_log_next(cursor, &row, &found));
        assert_true(found);
        assert_row(&row, LIMIT_BUCKETS + 1 - i, i);
    }
    ok(srv_store_log_next(cursor, &row, &found));
    assert_false(found);
    srv_store_log_close(cursor);
}

static void test_server_store_log__buckets_are_their_organisations(void **state)
{
    struct world *world = *state;
    int64_t other = 0;
    int64_t bucket = 0;
    struct id id = id_of(2);
    struct srv_log_cursor *cursor = NULL;
    struct srv_log_row row;
    bool found = true;
    make_buckets(world, 2);
    ok(srv_store_begin(world->store));
    ok(srv_store_add_organisation(world->store, &id, &other));
    ok(append(world, 1, 1));
    ok(srv_store_bucket(world->store, other, "organisation", &bucket));
    ok(srv_store_commit(world->store));
    assert_int_equal(bucket, 1); /* the same number, another bucket */
    static const int64_t buckets[] = {1, 2, 3, INT64_MAX, -1, 0};
    ok(srv_store_log_open(world->store, other, buckets, COUNT(buckets), 0, 100, &cursor));
    ok(srv_store_log_next(cursor, &row, &found));
    assert_false(found);
    srv_store_log_close(cursor);
    ok(srv_store_log_open(world->store, world->org, buckets, COUNT(buckets), 0, 100, &cursor));
    ok(srv_store_log_next(cursor, &row, &found));
    assert_true(found);
    assert_row(&row, 1, 1);
    srv_store_log_close(cursor); /* in the middle */
}

static void test_server_store_log__a_row_is_appended_once(void **state)
{
    struct world *world = *state;
    make_buckets(world, 2);
    ok(srv_store_begin(world->store));
    ok(append(world, 1, 5));
    ok(append(world, 2, 5));
    assert_int_equal(append(world, 1, 5), DAYBOOK_EXISTS);
    assert_int_equal(append(world, 3, 5), DAYBOOK_NOT_FOUND);
    assert_int_equal(append(world, 1, INT64_C(1) << 41), DAYBOOK_TOO_LARGE);
    ok(append(world, 1, (INT64_C(1) << 41) - 1));
    ok(srv_store_commit(world->store));
}

static void test_server_store_log__large_bodies_come_back(void **state)
{
    struct world *world = *state;
    static char body[3000000];
    struct srv_log_cursor *cursor = NULL;
    struct srv_log_row row = {.position = 1, .bucket = 1, .body = body, .own = body};
    bool found = false;
    make_buckets(world, 1);
    for (size_t i = 0; i < sizeof body; i++) {
        body[i] = (char)world_random(world); /* zeros too */
    }
    ok(srv_store_begin(world->store));
    row.body_size = sizeof body;
    row.own_size = 100000;
    ok(srv_store_append_log(world->store, world->org, &row));
    row.position = 2;
    row.body_size = 0;
    row.own_size = 0;
    ok(srv_store_append_log(world->store, world->org, &row));
    ok(srv_store_commit(world->store));
    ok(srv_store_log_open(world_reader(world), world->org, &row.bucket, 1, 0, 2, &cursor));
    ok(srv_store_log_next(cursor, &row, &found));
    assert_true(found);
    assert_int_equal(row.body_size, sizeof body);
    assert_memory_equal(row.body, body, sizeof body);
    assert_int_equal(row.own_size, 100000);
    assert_memory_equal(row.own, body, 100000);
    ok(srv_store_log_next(cursor, &row, &found));
    assert_true(found);
    assert_int_equal(row.body_size, 0);
    assert_int_equal(row.own_size, 0);
    srv_store_log_close(cursor);
}

static void test_server_store_log__several_cursors_at_once(void **state)
{
    enum { CURSORS = 8 };
    struct world *world = *state;
    struct srv_log_cursor *cursors[CURSORS + 1] = {NULL};
    int64_t buckets[BUCKETS];
    struct srv_log_row row;
    bool found = false;
    make_buckets(world, BUCKETS);
    ok(srv_store_begin(world->store));
    for (int i = 0; i < BUCKETS; i++) {
        buckets[i] = i + 1;
        ok(append(world, i + 1, i + 1));
        ok(append(world, i + 1, BUCKETS + i + 1));
    }
    ok(srv_store_commit(world->store));
    struct srv_store *reader = world_reader(world);
    for (int i = 0; i < CURSORS; i++) {
        ok(srv_store_log_open(reader, world->org, buckets, BUCKETS, 0, 1000, &cursors[i]));
    }
    assert_int_equal(
        srv_store_log_open(reader, world->org, buckets, BUCKETS, 0, 1000, &cursors[CURSORS]),
        DAYBOOK_BUSY);
    for (int position = 1; position <= 2 * BUCKETS; position++) {
        for (int i = 0; i < CURSORS; i++) { /* one row of each in turn */
            ok(srv_store_log_next(cursors[i], &row, &found));
            assert_true(found);
            assert_row(&row, (position - 1) % BUCKETS + 1, position);
        }
    }
    srv_store_log_close(cursors[3]);
    ok(srv_store_log_open(reader, world->org, buckets, BUCKETS, 0, 1000, &cursors[3]));
    for (int i = 0; i < CURSORS; i++) {
        srv_store_log_close(cursors[i]);
    }
    srv_store_log_close(NULL);
}

static void test_server_store_log__a_read_does_not_see_later_rows(void **state)
{
    struct world *world = *state;
    struct srv_log_cursor *cursor = NULL;
    struct srv_log_row row;
    bool found = false;
    static const int64_t bucket = 1;
    make_buckets(world, 1);
    struct srv_store *reader = world_reader(world);
    ok(srv_store_begin(world->store));
    ok(append(world, 1, 1));
    ok(srv_store_commit(world->store));
    ok(srv_store_begin_read(reader));
    ok(srv_store_log_open(reader, world->org, &bucket, 1, 0, 100, &cursor));
    ok(srv_store_log_next(cursor, &row, &found));
    ok(srv_store_begin(world->store));
    ok(append(world, 1, 2));
    ok(srv_store_commit(world->store));
    assert_row(&row, 1, 1); /* borrowed, and not touched by a writer */
    ok(srv_store_log_next(cursor, &row, &found));
    assert_false(found);
    srv_store_log_close(cursor);
    srv_store_end_read(reader);
    ok(srv_store_log_open(reader, world->org, &bucket, 1, 1, 100, &cursor));
    ok(srv_store_log_next(cursor, &row, &found));
    assert_true(found);
    assert_row(&row, 1, 2);
    srv_store_log_close(cursor);
}

int main(void)
{
    static const struct CMUnitTest parts[] = {
        cmocka_unit_test(test_server_store_log__parts_come_back),
        cmocka_unit_test(test_server_store_log__damaged_parts_end_the_walk),
    };
    static const struct CMUnitTest tests[] = {
        store_test(test_server_store_log__any_merge_is_in_order),
        store_test(test_server_store_log__as_many_buckets_as_a_scope_may_have),
        store_test(test_server_store_log__buckets_are_their_organisations),
        store_test(test_server_store_log__a_row_is_appended_once),
        store_test(test_server_store_log__large_bodies_come_back),
        store_test(test_server_store_log__several_cursors_at_once),
        store_test(test_server_store_log__a_read_does_not_see_later_rows),
    };
    int failed = cmocka_run_group_tests_name("server_store_log parts", parts, NULL, NULL);
    return failed + run_store_tests("server_store_log", tests, COUNT(tests));
}
