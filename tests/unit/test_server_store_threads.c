/* SPDX-License-Identifier: Apache-2.0
 *
 * One writer and several readers of the server's store, each on a thread of its own: a reader never
 * sees half of a transaction, and never a gap.
 */
#include "tests/unit/server_store_world.h"

#include <pthread.h>
#include <stdatomic.h>

enum { READERS = 3, COMMITS = 150, PER_COMMIT = 4, BUCKETS = 3 };

/* What the threads share; results are looked at when all have ended. */
struct race {
    struct world *world;
    atomic_bool done;
};

/* A reader's thread: what went wrong first, NULL for nothing. */
struct runner {
    struct race *race;
    pthread_t thread;
    const char *problem;
    int64_t reads;
    int64_t last_head;
};

/* Reads all rows up to the head in one snapshot: position n is in bucket n % BUCKETS + 1, with a
 * part whose header is known. The text of a failure, or NULL. */
static const char *read_all(struct runner *runner, struct srv_store *store)
{
    static const int64_t buckets[] = {1, 2, 3};
    struct srv_log_cursor *cursor = NULL;
    struct srv_log_row row;
    int64_t head = -1;
    int64_t org = runner->race->world->org;
    bool found = true;
    if (srv_store_begin_read(store) != DAYBOOK_OK ||
        srv_store_get_head(store, org, &head) != DAYBOOK_OK) {
        return "begin_read";
    }
    if (head < runner->last_head || head % PER_COMMIT != 0) {
        return "part of a transaction";
    }
    runner->last_head = head;
    if (srv_store_log_open(store, org, buckets, BUCKETS, 0, INT64_MAX, &cursor) != DAYBOOK_OK) {
        return "log_open";
    }
    for (int64_t position = 1; position <= head && found; position++) {
        size_t at = 0;
        size_t length = 0;
        const char *text = NULL;
        int64_t header = 0;
        if (srv_store_log_next(cursor, &row, &found) != DAYBOOK_OK || !found) {
            return "a row is missing";
        }
        if (row.position != position || row.bucket != position % BUCKETS + 1 ||
            !srv_log_part_next(row.body, row.body_size, &at, &header, &text, &length) ||
            srv_store_header_text(store, header, &text, &length) != DAYBOOK_OK) {
            return "a row is wrong";
        }
    }
    if (srv_store_log_next(cursor, &row, &found) != DAYBOOK_OK || found) {
        return "a row too many";
    }
    srv_store_log_close(cursor);
    srv_store_end_read(store);
    runner->reads++;
    return NULL;
}

/* Reads until the writer is done, and once more. */
static void *run_reader(void *context)
{
    struct runner *runner = context;
    struct srv_store *store = NULL;
    if (world_open(runner->race->world, false, &store) != DAYBOOK_OK) {
        runner->problem = "open";
        return NULL;
    }
    bool last = false;
    while (!last && runner->problem == NULL) {
        last = atomic_load(&runner->race->done);
        runner->problem = read_all(runner, store);
    }
    if (runner->problem == NULL) {
        srv_store_close(store);
    }
    return NULL;
}

/* One group: PER_COMMIT rows in savepoints of their own, some undone first, and the head. */
static void write_group(struct race *race, int64_t *head)
{
    struct srv_store *store = race->world->store;
    ok(srv_store_begin(store));
    for (int i = 0; i < PER_COMMIT; i++) {
        char text[30];
        int64_t position = *head + 1;
        int64_t header = 0;
        struct buffer body;
        struct srv_log_row row = {.position = position, .bucket = position % BUCKETS + 1};
        dk_buffer_init(&body, 1000);
        for (int attempt = position % 5 == 0 ? 0 : 1; attempt < 2; attempt++) {
            ok(srv_store_savepoint(store));
            int length = snprintf(text, sizeof text, "header %d", (int)(position % 40) + attempt);
            ok(srv_store_header(store, text, (size_t)length, &header));
            dk_buffer_reset(&body);
            srv_log_part_append(&body, header, "tail", 4);
            row.body = body.bytes;
            row.body_size = body.length;
            ok(srv_store_append_log(store, race->world->org, &row));
            ok(attempt == 0 ? srv_store_rollback_to(store) : srv_store_release(store));
        }
        dk_buffer_clear(&body);
        *head = position;
    }
    ok(srv_store_set_head(store, race->world->org, *head));
    ok(srv_store_commit(store));
}

static void test_server_store_threads__readers_see_whole_transactions(void **state)
{
    struct world *world = *state;
    struct race race = {.world = world};
    struct runner runners[READERS] = {{0}};
    int64_t head = 0;
    ok(srv_store_begin(world->store));
    for (int i = 1; i <= BUCKETS; i++) {
        char label[30];
        int64_t bucket = 0;
        (void)snprintf(label, sizeof label, "territory:%d", i);
        if (srv_bucket_class(i) == CLASS_OPEN) {
            ok(srv_store_bucket(world->store, world->org, label, &bucket));
        } else {
            ok(srv_store_bucket_in(world->store, world->org, i - 1, srv_bucket_class(i), &bucket));
        }
    }
    ok(srv_store_commit(world->store));
    for (int i = 0; i < READERS; i++) {
        runners[i].race = &race;
        assert_int_equal(pthread_create(&runners[i].thread, NULL, run_reader, &runners[i]), 0);
    }
    for (int i = 0; i < COMMITS; i++) {
        write_group(&race, &head);
    }
    atomic_store(&race.done, true);
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(runners[i].thread, NULL), 0);
    }
    for (int i = 0; i < READERS; i++) {
        if (runners[i].problem != NULL) {
            fail_msg("reader %d: %s", i, runners[i].problem);
        }
        assert_true(runners[i].reads > 0);
        assert_int_equal(runners[i].last_head, COMMITS * PER_COMMIT);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        store_test(test_server_store_threads__readers_see_whole_transactions),
    };
    return run_store_tests("server_store_threads", tests, COUNT(tests));
}
