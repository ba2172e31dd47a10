/* SPDX-License-Identifier: Apache-2.0
 *
 * Transactions of the server's store: what a commit keeps, what a rollback and a savepoint undo,
 * and that numbers given in what is undone are forgotten, also by the caches.
 */
#include "tests/unit/server_store_world.h"

/* The head that the connection sees. */
static int64_t head_of(struct world *world, struct srv_store *store)
{
    int64_t head = -1;
    ok(srv_store_get_head(store, world->org, &head));
    return head;
}

/* The number of a header, made where missing. */
static int64_t header_of(struct srv_store *store, const char *text)
{
    int64_t number = 0;
    ok(srv_store_header(store, text, strlen(text), &number));
    assert_true(number > 0);
    return number;
}

/* Asserts that the number stands for the text. */
static void assert_header(struct srv_store *store, int64_t number, const char *expected)
{
    const char *text = NULL;
    size_t length = 0;
    ok(srv_store_header_text(store, number, &text, &length));
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(text, expected, length);
}

static void test_server_store_transactions__a_commit_is_there_after_reopening(void **state)
{
    struct world *world = *state;
    ok(srv_store_begin(world->store));
    ok(srv_store_set_head(world->store, world->org, 7));
    ok(srv_store_commit(world->store));
    world_reopen(world);
    assert_int_equal(head_of(world, world->store), 7);
}

static void test_server_store_transactions__a_rollback_undoes_all(void **state)
{
    struct world *world = *state;
    ok(srv_store_begin(world->store));
    ok(srv_store_set_head(world->store, world->org, 7));
    assert_int_equal(head_of(world, world->store), 7);
    srv_store_rollback(world->store);
    assert_int_equal(head_of(world, world->store), 0);
    srv_store_rollback(world->store); /* without a transaction: nothing */
    ok(srv_store_begin(world->store));
    ok(srv_store_commit(world->store));
}

static void test_server_store_transactions__closing_undoes_what_is_open(void **state)
{
    struct world *world = *state;
    ok(srv_store_begin(world->store));
    ok(srv_store_set_head(world->store, world->org, 7));
    ok(srv_store_savepoint(world->store));
    ok(srv_store_set_head(world->store, world->org, 8));
    world_reopen(world);
    assert_int_equal(head_of(world, world->store), 0);
}

static void test_server_store_transactions__a_savepoint_undoes_its_part_only(void **state)
{
    struct world *world = *state;
    ok(srv_store_begin(world->store));
    ok(srv_store_set_head(world->store, world->org, 1));
    ok(srv_store_savepoint(world->store));
    ok(srv_store_set_head(world->store, world->org, 2));
    ok(srv_store_release(world->store));
    assert_int_equal(head_of(world, world->store), 2);
    for (int64_t head = 3; head < 6; head++) { /* again and again in one transaction */
        ok(srv_store_savepoint(world->store));
        ok(srv_store_set_head(world->store, world->org, head));
        ok(srv_store_rollback_to(world->store));
        assert_int_equal(head_of(world, world->store), 2);
    }
    ok(srv_store_commit(world->store));
    world_reopen(world);
    assert_int_equal(head_of(world, world->store), 2);
}

static void test_server_store_transactions__a_rollback_undoes_released_savepoints(void **state)
{
    struct world *world = *state;
    ok(srv_store_begin(world->store));
    ok(srv_store_savepoint(world->store));
    ok(srv_store_set_head(world->store, world->org, 2));
    ok(srv_store_release(world->store));
    ok(srv_store_savepoint(world->store));
    srv_store_rollback(world->store); /* with one open */
    assert_int_equal(head_of(world, world->store), 0);
}

static void test_server_store_transactions__readers_see_commits_only(void **state)
{
    struct world *world = *state;
    struct srv_store *reader = world_reader(world);
    ok(srv_store_begin(world->store));
    ok(srv_store_set_head(world->store, world->org, 4));
    assert_int_equal(head_of(world, reader), 0);
    ok(srv_store_commit(world->store));
    assert_int_equal(head_of(world, reader), 4);
}

static void test_server_store_transactions__a_read_has_one_snapshot(void **state)
{
    struct world *world = *state;
    struct srv_store *reader = world_reader(world);
    ok(srv_store_begin_read(reader));
    assert_int_equal(head_of(world, reader), 0);
    ok(srv_store_begin(world->store));
    ok(srv_store_set_head(world->store, world->org, 4));
    ok(srv_store_commit(world->store));
    assert_int_equal(head_of(world, reader), 0);
    srv_store_end_read(reader);
    srv_store_end_read(reader); /* none under way: nothing */
    assert_int_equal(head_of(world, reader), 4);
}

static void test_server_store_transactions__the_epoch_is_the_stores(void **state)
{
    struct world *world = *state;
    uint64_t epoch = srv_store_epoch(world->store);
    assert_true(epoch > 0 && epoch <= INT64_MAX);
    assert_int_equal(srv_store_epoch(world_reader(world)), epoch);
    world_reopen(world);
    assert_int_equal(srv_store_epoch(world->store), epoch);
}

/* Given a store with two organisations, when its epoch ends, and again, then each end is kept; what
 * is rolled back was never. */
static void test_server_store_transactions__ended_epochs_are_kept(void **state)
{
    struct world *world = *state;
    struct id id = id_of(2);
    uint64_t first = srv_store_epoch(world->store);
    int64_t other, end;
    ok(srv_store_begin(world->store));
    ok(srv_store_add_organisation(world->store, &id, &other));
    ok(srv_store_set_head(world->store, world->org, 5));
    ok(srv_store_new_epoch(world->store, 0));
    srv_store_rollback(world->store);
    assert_int_equal(srv_store_epoch(world->store), first);
    ok(srv_store_begin(world->store));
    ok(srv_store_add_organisation(world->store, &id, &other));
    ok(srv_store_set_head(world->store, world->org, 5));
    ok(srv_store_new_epoch(world->store, 0));
    ok(srv_store_commit(world->store));
    uint64_t second = srv_store_epoch(world->store);
    assert_true(second != first && second > 0 && second <= INT64_MAX);
    ok(srv_store_begin(world->store));
    ok(srv_store_set_head(world->store, world->org, 8));
    ok(srv_store_set_head(world->store, other, 3));
    ok(srv_store_new_epoch(world->store, 0));
    ok(srv_store_commit(world->store));
    world_reopen(world);
    assert_true(srv_store_epoch(world->store) != second);
    ok(srv_store_epoch_end(world->store, world->org, first, &end));
    assert_int_equal(end, 5);
    ok(srv_store_epoch_end(world->store, world->org, second, &end));
    assert_int_equal(end, 8);
    ok(srv_store_epoch_end(world->store, other, first, &end));
    assert_int_equal(end, 0);
    ok(srv_store_epoch_end(world->store, other, second, &end));
    assert_int_equal(end, 3);
    ok(srv_store_epoch_end(world->store, other, second ^ first, &end));
    assert_int_equal(end, 0);
}

/* Adds a device; returns its number. */
static int64_t add_device(struct world *world, uint8_t token)
{
    uint8_t hash[SRV_HASH_SIZE] = {token};
    struct srv_device device = {.org = world->org, .user = id_of(3), .instance = id_of(token)};
    ok(srv_store_add_device(world->store, &device, hash));
    return device.device_no;
}

/* Given a store of a device, when epochs begin from it, then each goes on behind the numbers that
 * are known to have been given, and no two at the same number. */
static void test_server_store_transactions__numbers_go_on_elsewhere(void **state)
{
    static const int64_t known[] = {0, 0, 500000};
    struct world *world = *state;
    int64_t numbers[3];
    ok(srv_store_begin(world->store));
    int64_t first = add_device(world, 1);
    ok(srv_store_commit(world->store));
    for (int i = 0; i < 3; i++) {
        ok(srv_store_begin(world->store));
        ok(srv_store_new_epoch(world->store, known[i]));
        numbers[i] = add_device(world, 2);
        assert_true(numbers[i] > (known[i] > first ? known[i] : first) + 100000);
        assert_true(numbers[i] <= (known[i] > first ? known[i] : first) + 1000000);
        srv_store_rollback(world->store);
    }
    assert_true(numbers[0] != numbers[1]);
}

/* ---- numbers of headers and buckets */

static void test_server_store_transactions__headers_have_one_number(void **state)
{
    struct world *world = *state;
    ok(srv_store_begin(world->store));
    int64_t visit = header_of(world->store, "{\"entity\":\"visit\"");
    int64_t quote = header_of(world->store, "{\"entity\":\"quote\"");
    assert_int_not_equal(visit, quote);
    assert_int_equal(header_of(world->store, "{\"entity\":\"visit\""), visit);
    ok(srv_store_commit(world->store));
    world_reopen(world);
    struct srv_store *reader = world_reader(world);
    assert_header(reader, visit, "{\"entity\":\"visit\"");
    assert_header(world->store, quote, "{\"entity\":\"quote\"");
    assert_int_equal(header_of(reader, "{\"entity\":\"quote\""), quote);
    const char *text = NULL;
    size_t length = 0;
    int64_t number = 0;
    assert_int_equal(srv_store_header_text(reader, quote + 100, &text, &length), DAYBOOK_CORRUPT);
    assert_int_equal(srv_store_header(reader, "{\"new\"", 6, &number), DAYBOOK_NOT_FOUND);
}

static void test_server_store_transactions__a_reader_learns_headers_made_later(void **state)
{
    struct world *world = *state;
    struct srv_store *reader = world_reader(world);
    ok(srv_store_begin(world->store));
    int64_t number = header_of(world->store, "first");
    const char *text = NULL;
    size_t length = 0;
    assert_int_equal(srv_store_header_text(reader, number, &text, &length), DAYBOOK_CORRUPT);
    ok(srv_store_commit(world->store));
    assert_header(reader, number, "first");
}

static void test_server_store_transactions__undone_headers_are_forgotten(void **state)
{
    struct world *world = *state;
    struct srv_store *store = world->store;
    ok(srv_store_begin(store));
    int64_t kept = header_of(store, "kept");
    ok(srv_store_savepoint(store));
    int64_t undone = header_of(store, "undone");
    assert_header(store, undone, "undone");
    ok(srv_store_rollback_to(store));
    int64_t other = header_of(store, "other"); /* a database gives the number again */
    assert_header(store, other, "other");
    assert_header(store, kept, "kept");
    int64_t again = header_of(store, "undone");
    assert_int_not_equal(again, other);
    ok(srv_store_commit(store));

    ok(srv_store_begin(store));
    (void)header_of(store, "lost");
    ok(srv_store_savepoint(store));
    (void)header_of(store, "lost too");
    ok(srv_store_release(store));
    srv_store_rollback(store);
    ok(srv_store_begin(store));
    int64_t last = header_of(store, "last");
    int64_t lost = header_of(store, "lost");
    ok(srv_store_commit(store));
    world_reopen(world);
    assert_header(world->store, kept, "kept");
    assert_header(world->store, other, "other");
    assert_header(world->store, again, "undone");
    assert_header(world->store, last, "last");
    assert_header(world->store, lost, "lost");
}

static void test_server_store_transactions__undone_buckets_are_forgotten(void **state)
{
    struct world *world = *state;
    struct srv_store *store = world->store;
    int64_t first = 0;
    int64_t second = 0;
    int64_t again = 0;
    ok(srv_store_begin(store));
    ok(srv_store_savepoint(store));
    ok(srv_store_bucket(store, world->org, "territory:a", &first));
    struct srv_log_row row = {.position = 1, .bucket = first, .body = "x", .body_size = 1};
    ok(srv_store_append_log(store, world->org, &row));
    ok(srv_store_rollback_to(store));
    assert_int_equal(srv_store_append_log(store, world->org, &row), DAYBOOK_NOT_FOUND);
    ok(srv_store_bucket(store, world->org, "territory:b", &second));
    ok(srv_store_bucket(store, world->org, "territory:a", &again));
    assert_int_not_equal(second, again);
    ok(srv_store_commit(store));
    world_reopen(world);
    struct srv_bucket *buckets = NULL;
    int count = 0;
    ok(srv_store_buckets(world->store, world->org, &world->arena, &buckets, &count));
    assert_int_equal(count, 2);
    assert_int_equal(buckets[0].bucket, second);
    assert_string_equal(buckets[0].label, "territory:b");
    assert_int_equal(buckets[1].bucket, again);
    assert_string_equal(buckets[1].label, "territory:a");
}

/* The buckets that there are of a root, all classes. */
static void expect_classes(struct world *world, struct srv_store *store, const char *root,
                           const char *labels)
{
    char found[200] = "";
    for (int class = 0; class < CLASS_COUNT; class ++) {
        struct srv_bucket bucket;
        daybook_status status = srv_store_find_bucket(
            store, world->org, root, (enum srv_class) class, &world->arena, &bucket);
        if (status != DAYBOOK_NOT_FOUND) {
            size_t length = strlen(found);
            ok(status);
            (void)snprintf(found + length, sizeof found - length, "%d %s ", (int)bucket.bucket,
                           bucket.label);
        }
    }
    assert_string_equal(found, labels);
}

static void test_server_store_transactions__buckets_count_within_their_organisation(void **state)
{
    struct world *world = *state;
    struct srv_store *store = world->store;
    int64_t other = 0;
    int64_t number = 0;
    struct id id = id_of(2);
    char label[LIMIT_LABEL_BYTES + 2];
    ok(srv_store_begin(store));
    ok(srv_store_add_organisation(store, &id, &other));
    for (int i = 1; i <= 3; i++) {
        (void)snprintf(label, sizeof label, "territory:%d", i);
        ok(srv_store_bucket(store, world->org, label, &number));
        assert_int_equal(number, 3 * i - 2);
        ok(srv_store_bucket_in(store, world->org, number, CLASS_OPEN, &number));
        assert_int_equal(number, 3 * i - 2);
        for (int class = CLASS_COUNT - 1; i != 2 && class > 0; class --) {
            for (int again = 0; again < 2; again++) {
                ok(srv_store_bucket_in(store, world->org, number, (enum srv_class) class, &number));
                assert_int_equal(number, 3 * i - 2 + class);
                assert_int_equal(srv_bucket_root(number), 3 * i - 2);
                assert_int_equal(srv_bucket_class(number), class);
            }
        }
    }
    assert_int_equal(srv_store_bucket_in(store, world->org, 10, CLASS_RECENT, &number),
                     DAYBOOK_NOT_FOUND);
    ok(srv_store_bucket(store, other, "territory:3", &number));
    assert_int_equal(number, 1);
    ok(srv_store_bucket(store, world->org, "territory:2", &number));
    assert_int_equal(number, 4);
    memset(label, 'x', sizeof label);
    label[LIMIT_LABEL_BYTES + 1] = '\0';
    assert_int_equal(srv_store_bucket(store, other, label, &number), DAYBOOK_TOO_LARGE);
    label[LIMIT_LABEL_BYTES] = '\0';
    ok(srv_store_bucket(store, other, label, &number));
    ok(srv_store_commit(store));
    struct srv_store *reader = world_reader(world);
    ok(srv_store_bucket(reader, world->org, "territory:3", &number));
    assert_int_equal(number, 7);
    ok(srv_store_bucket(reader, world->org, "territory:3/archive", &number));
    assert_int_equal(number, 9);
    ok(srv_store_bucket(reader, world->org, "territory:1/recent", &number));
    assert_int_equal(number, 2);
    assert_int_equal(srv_store_bucket(reader, other, "territory:2", &number), DAYBOOK_NOT_FOUND);
    for (int again = 0; again < 2; again++) { /* out of the file, then out of memory */
        expect_classes(world, reader, "territory:1",
                       "1 territory:1 2 territory:1/recent 3 territory:1/archive ");
        expect_classes(world, reader, "territory:2", "4 territory:2 ");
        expect_classes(world, reader, "territory:4", "");
    }
    static const int64_t next[] = {1, 2, 4, 4, 7, 7, 7, 8, 0, 0};
    for (int after = 0; after < 10; after++) {
        ok(srv_store_next_bucket(reader, world->org, after, &number));
        assert_int_equal(number, next[after]);
    }
}

/* Random transactions with savepoints, checked against a list that is undone in the same way. */
static void test_server_store_transactions__numbers_agree_after_any_undoing(void **state)
{
    enum { TEXTS = 40 };
    struct world *world = *state;
    int64_t numbers[TEXTS] = {0};
    int64_t at_begin[TEXTS];
    int64_t at_savepoint[TEXTS];
    for (int round = 0; round < 60; round++) {
        ok(srv_store_begin(world->store));
        memcpy(at_begin, numbers, sizeof numbers);
        for (int part = 0; part < 6; part++) {
            ok(srv_store_savepoint(world->store));
            memcpy(at_savepoint, numbers, sizeof numbers);
            for (int i = 0; i < 3; i++) {
                char text[20];
                size_t which = (size_t)(world_random(world) % TEXTS);
                (void)snprintf(text, sizeof text, "header %zu", which);
                int64_t number = header_of(world->store, text);
                assert_true(numbers[which] == 0 || numbers[which] == number);
                numbers[which] = number;
            }
            if (world_random(world) % 2 == 0) {
                ok(srv_store_rollback_to(world->store));
                memcpy(numbers, at_savepoint, sizeof numbers);
            } else {
                ok(srv_store_release(world->store));
            }
        }
        if (world_random(world) % 3 == 0) {
            srv_store_rollback(world->store);
            memcpy(numbers, at_begin, sizeof numbers);
        } else {
            ok(srv_store_commit(world->store));
        }
        for (size_t i = 0; i < TEXTS; i++) {
            char text[20];
            (void)snprintf(text, sizeof text, "header %zu", i);
            if (numbers[i] != 0) {
                assert_header(world->store, numbers[i], text);
                assert_header(world_reader(world), numbers[i], text);
            }
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        store_test(test_server_store_transactions__a_commit_is_there_after_reopening),
        store_test(test_server_store_transactions__a_rollback_undoes_all),
        store_test(test_server_store_transactions__closing_undoes_what_is_open),
        store_test(test_server_store_transactions__a_savepoint_undoes_its_part_only),
        store_test(test_server_store_transactions__a_rollback_undoes_released_savepoints),
        store_test(test_server_store_transactions__readers_see_commits_only),
        store_test(test_server_store_transactions__a_read_has_one_snapshot),
        store_test(test_server_store_transactions__the_epoch_is_the_stores),
        store_test(test_server_store_transactions__ended_epochs_are_kept),
        store_test(test_server_store_transactions__numbers_go_on_elsewhere),
        store_test(test_server_store_transactions__headers_have_one_number),
        store_test(test_server_store_transactions__a_reader_learns_headers_made_later),
        store_test(test_server_store_transactions__undone_headers_are_forgotten),
        store_test(test_server_store_transactions__undone_buckets_are_forgotten),
        store_test(test_server_store_transactions__buckets_count_within_their_organisation),
        store_test(test_server_store_transactions__numbers_agree_after_any_undoing),
    };
    return run_store_tests("server_store_transactions", tests, COUNT(tests));
}
