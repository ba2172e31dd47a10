/* SPDX-License-Identifier: Apache-2.0
 *
 * The SQLite backend when memory or disk fail: the n-th allocation of SQLite, the n-th write, sync
 * or truncation of a file fails, once or from then on. Whatever fails, a transaction is there as a
 * whole or not at all, the same work succeeds afterwards, and nothing is left open.
 */
#include "tests/unit/server_store_world.h"

#include "engine/base/database.h"

/* Counts down to the failure; 0: no fault is set. */
struct fault {
    int64_t countdown;
    bool sticky; /* fails from there on, not once */
    bool struck;
};

static struct fault memory_fault;
static struct fault file_fault;
static sqlite3_mem_methods real_memory;

/* Whether this call is one that fails. */
static bool strikes(struct fault *fault)
{
    if (fault->countdown == 0 || (--fault->countdown > 0)) {
        return false;
    }
    fault->countdown = fault->sticky ? 1 : 0;
    fault->struck = true;
    return true;
}

/* ---- memory */

static void *faulty_malloc(int size)
{
    return strikes(&memory_fault) ? NULL : real_memory.xMalloc(size);
}

static void *faulty_realloc(void *block, int size)
{
    return strikes(&memory_fault) ? NULL : real_memory.xRealloc(block, size);
}

/* Puts the two into SQLite, which must not be in use yet. */
static int install_memory(void)
{
    sqlite3_mem_methods faulty;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory) != SQLITE_OK) {
        return -1;
    }
    faulty = real_memory;
    faulty.xMalloc = faulty_malloc;
    faulty.xRealloc = faulty_realloc;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &faulty) == SQLITE_OK ? 0 : -1;
}

/* ---- files: SQLite's own, with methods of ours in place of those that change something */

static sqlite3_vfs *real_vfs;
static sqlite3_vfs faulty_vfs;

/* Stands behind SQLite's own struct of the file. */
struct tail {
    const sqlite3_io_methods *real;
    sqlite3_io_methods methods; /* the real ones but for three */
};

static struct tail *tail_of(sqlite3_file *file)
{
    return (struct tail *)((char *)file + (real_vfs->szOsFile + 15) / 16 * 16);
}

static int faulty_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset)
{
    if (strikes(&file_fault)) {
        return offset / 4096 % 2 == 0 ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    }
    return tail_of(file)->real->xWrite(file, bytes, size, offset);
}

/* What is not struck is not done either: no power is lost here, and thousands of syncs take time.
 */
static int faulty_sync(sqlite3_file *file, int flags)
{
    (void)file;
    (void)flags;
    return strikes(&file_fault) ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int faulty_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return strikes(&file_fault) ? SQLITE_IOERR_TRUNCATE
                                : tail_of(file)->real->xTruncate(file, size);
}

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                       int *out_flags)
{
    (void)vfs;
    int result = real_vfs->xOpen(real_vfs, name, file, flags, out_flags);
    if (result == SQLITE_OK && file->pMethods != NULL) {
        struct tail *tail = tail_of(file);
        tail->real = file->pMethods;
        tail->methods = *file->pMethods;
        tail->methods.xWrite = faulty_write;
        tail->methods.xSync = faulty_sync;
        tail->methods.xTruncate = faulty_truncate;
        file->pMethods = &tail->methods;
    }
    return result;
}

/* Registers "faulty", which is SQLite's default but for the faults. */
static int install_files(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    if (real_vfs == NULL) {
        return -1;
    }
    faulty_vfs = *real_vfs;
    faulty_vfs.zName = "faulty";
    faulty_vfs.szOsFile = (real_vfs->szOsFile + 15) / 16 * 16 + (int)sizeof(struct tail);
    faulty_vfs.xOpen = faulty_open;
    return sqlite3_vfs_register(&faulty_vfs, 0) == SQLITE_OK ? 0 : -1;
}

/* ---- the work */

static daybook_status open_store(struct world *world, bool writer, struct srv_store **store)
{
    char problem[300] = "";
    struct srv_store_options options = {.folder = world->folder, .writer = writer, .vfs = "faulty"};
    daybook_status status = srv_store_open_sqlite(&options, store, problem, sizeof problem);
    assert_true((status == DAYBOOK_OK) == (*store != NULL));
    assert_true(status == DAYBOOK_OK || problem[0] != '\0');
    return status;
}

/* What one changeset writes, n of them numbered 1, 2, 3 …; the first status that is not OK. */
static daybook_status write_parts(struct world *world, int64_t n)
{
    static struct srv_record record;
    static const char filling[30000] = "";
    struct srv_store *store = world->store;
    struct srv_decision decision = {.device_no = 1,
                                    .seq = n,
                                    .changeset = id_of((uint64_t)n),
                                    .position = n,
                                    .verdict = "[1]",
                                    .verdict_length = 3};
    struct srv_log_row row = {.position = n, .body = filling, .body_size = sizeof filling};
    int64_t header = 0;
    char text[40];
    int length = snprintf(text, sizeof text, "header %d", (int)n);
    record.record.entity = dk_entity(ENTITY_VISIT);
    record.record.id = id_of((uint64_t)n);
    record.record.version = n;
    record.record.values[VISIT_CUSTOMER_ID] = (struct value){.kind = VALUE_ID, .id = id_of(1)};
    daybook_status status = srv_store_bucket(store, world->org, text, &row.bucket);
    if (status == DAYBOOK_OK) {
        status = srv_store_header(store, text, (size_t)length, &header);
    }
    if (status == DAYBOOK_OK) {
        status = srv_store_add_decision(store, world->org, &decision);
    }
    if (status == DAYBOOK_OK) {
        status = srv_store_put(store, world->org, &record, false);
    }
    if (status == DAYBOOK_OK) {
        record.bucket = row.bucket;
        status = srv_store_put(store, world->org, &record, true);
    }
    if (status == DAYBOOK_OK) {
        status = srv_store_append_log(store, world->org, &row);
    }
    return status;
}

/* One changeset in a savepoint in a transaction; nothing is open afterwards. */
static daybook_status write_changeset(struct world *world, int64_t n)
{
    struct srv_store *store = world->store;
    daybook_status status = srv_store_begin(store);
    if (status != DAYBOOK_OK) {
        return status;
    }
    status = srv_store_savepoint(store);
    if (status == DAYBOOK_OK) {
        status = write_parts(world, n);
    }
    if (status == DAYBOOK_OK) {
        status = srv_store_release(store);
    }
    if (status == DAYBOOK_OK) {
        status = srv_store_set_head(store, world->org, n);
    }
    if (status == DAYBOOK_OK) {
        return srv_store_commit(store);
    }
    srv_store_rollback(store);
    return status;
}

/* Whether changeset n is there: as a whole or not at all. */
static bool is_written(struct world *world, struct srv_store *store, int64_t n)
{
    static struct srv_record record;
    struct srv_decision decision;
    struct srv_bucket *buckets = NULL;
    struct srv_log_cursor *cursor = NULL;
    struct srv_log_row row;
    struct id id = id_of((uint64_t)n);
    int64_t head = -1;
    int64_t bucket = 0;
    int count = 0;
    bool found = false;
    bool has_record = false;
    bool has_row = false;
    char text[40];
    (void)snprintf(text, sizeof text, "header %d", (int)n);
    ok(srv_store_get_head(store, world->org, &head));
    ok(srv_store_find_decision(store, world->org, &id, &world->arena, &decision, &found));
    ok(srv_store_get(store, world->org, dk_entity(ENTITY_VISIT), &id, &world->arena, &record,
                     &has_record));
    ok(srv_store_buckets(store, world->org, &world->arena, &buckets, &count));
    for (int i = 0; i < count; i++) {
        bucket = strcmp(buckets[i].label, text) == 0 ? buckets[i].bucket : bucket;
    }
    ok(srv_store_log_open(store, world->org, &bucket, 1, n - 1, n, &cursor));
    ok(srv_store_log_next(cursor, &row, &has_row));
    srv_store_log_close(cursor);
    assert_int_equal(has_record, found);
    assert_int_equal(has_row, found);
    assert_int_equal(bucket != 0, found);
    assert_int_equal(head == n, found);
    assert_true(!has_record || record.bucket == bucket);
    return found;
}

/* Does the work with the fault set at its 1st, 2nd, 3rd … point (from the 100th on every second,
 * from the 200th on every third …) until it is not reached any more, each time on a connection that
 * was opened anew (statements not prepared, nothing cached). */
static void fail_at_every_point(struct world *world, struct fault *fault, bool sticky,
                                int64_t points_min)
{
    int64_t point = 0;
    int64_t n = 0;
    do {
        dk_arena_reset(&world->arena);
        srv_store_close(world->store);
        world->store = NULL;
        ok(open_store(world, true, &world->store));
        point += 1 + point / 100;
        n++;
        *fault = (struct fault){.countdown = point, .sticky = sticky};
        daybook_status status = write_changeset(world, n);
        fault->countdown = 0;
        if (status == DAYBOOK_OK) {
            assert_true(is_written(world, world->store, n)); /* also where a fault did not matter */
            continue;
        }
        assert_true(fault->struck);
        assert_true(status == DAYBOOK_NO_MEMORY || status == DAYBOOK_DISK_FULL ||
                    status == DAYBOOK_IO);
        assert_int_equal(status == DAYBOOK_NO_MEMORY, fault == &memory_fault);
        assert_false(is_written(world, world->store, n));
        ok(write_changeset(world, n)); /* on the same connection, with its caches */
        assert_true(is_written(world, world->store, n));
    } while (fault->struck);
    assert_in_range(point, points_min, 5000);
}

/* The same for opening, with an empty folder or a store in it. Opening has thousands of points,
 * most in SQLite's parser: each of the first hundred is taken, then steps grow. */
static void fail_opening(struct world *world, struct fault *fault, bool writer, bool empty)
{
    int64_t point = 0;
    do {
        char path[300];
        struct srv_store *store = NULL;
        if (empty) {
            static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
            for (size_t i = 0; i < COUNT(endings); i++) {
                (void)snprintf(path, sizeof path, "%s/server.db%s", world->folder, endings[i]);
                (void)unlink(path);
            }
        }
        point += 1 + point / 100 * 5;
        *fault = (struct fault){.countdown = point, .sticky = point % 2 == 0};
        daybook_status status = open_store(world, writer, &store);
        fault->countdown = 0;
        assert_true(status == DAYBOOK_OK || fault->struck);
        if (status == DAYBOOK_OK) {
            srv_store_close(store);
        }
        ok(open_store(world, writer, &store)); /* what was left behind can be opened */
        srv_store_close(store);
    } while (fault->struck);
    assert_in_range(point, 2, 20000);
}

/* ---- stories */

static void test_server_store_faults__memory_fails_once(void **state)
{
    fail_at_every_point(*state, &memory_fault, false, 100);
}

static void test_server_store_faults__memory_fails_from_there_on(void **state)
{
    fail_at_every_point(*state, &memory_fault, true, 100);
}

static void test_server_store_faults__a_file_fails_once(void **state)
{
    fail_at_every_point(*state, &file_fault, false, 10);
}

static void test_server_store_faults__a_file_fails_from_there_on(void **state)
{
    fail_at_every_point(*state, &file_fault, true, 10);
}

static void test_server_store_faults__opening_a_store_fails_cleanly(void **state)
{
    struct world *world = *state;
    fail_opening(world, &memory_fault, false, false); /* a reader beside the writer */
    srv_store_close(world->store);
    world->store = NULL;
    fail_opening(world, &memory_fault, true, false);
}

static void test_server_store_faults__making_a_store_fails_cleanly(void **state)
{
    struct world *world = *state;
    srv_store_close(world->store);
    world->store = NULL;
    fail_opening(world, &file_fault, true, true);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        store_test(test_server_store_faults__memory_fails_once),
        store_test(test_server_store_faults__memory_fails_from_there_on),
        store_test(test_server_store_faults__a_file_fails_once),
        store_test(test_server_store_faults__a_file_fails_from_there_on),
        store_test(test_server_store_faults__opening_a_store_fails_cleanly),
        store_test(test_server_store_faults__making_a_store_fails_cleanly),
    };
    if (install_memory() != 0 || install_files() != 0) {
        return 1;
    }
    struct CMUnitTest copies[COUNT(tests)];
    for (size_t i = 0; i < COUNT(tests); i++) { /* this backend only */
        copies[i] = tests[i];
        copies[i].initial_state = (void *)(uintptr_t)&store_backends[0];
    }
    return cmocka_run_group_tests_name("server_store_faults", copies, NULL, NULL);
}
