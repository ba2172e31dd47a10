/* SPDX-License-Identifier: Apache-2.0
 *
 * Many devices at once: groups, a commit that fails, one bad changeset among good ones, and a
 * service that is closed while calls are under way.
 */
#include "tests/unit/service_world.h"

#include <stdatomic.h>

#define PHONES 24
#define ROUNDS 5

/* ---- a disk that fails when told to: SQLite's default VFS with two methods of ours */

static sqlite3_vfs *real_vfs;
static sqlite3_vfs faulty_vfs;
static atomic_bool disk_fails;
static atomic_int refused_writes;

struct tail {
    const sqlite3_io_methods *real;
    sqlite3_io_methods methods;
};

static struct tail *tail_of(sqlite3_file *file)
{
    return (struct tail *)((char *)file + (real_vfs->szOsFile + 15) / 16 * 16);
}

static int faulty_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset)
{
    if (atomic_load(&disk_fails)) {
        atomic_fetch_add(&refused_writes, 1);
        return SQLITE_FULL;
    }
    return tail_of(file)->real->xWrite(file, bytes, size, offset);
}

static int faulty_sync(sqlite3_file *file, int flags)
{
    return atomic_load(&disk_fails) ? SQLITE_IOERR_FSYNC : tail_of(file)->real->xSync(file, flags);
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
        file->pMethods = &tail->methods;
    }
    return result;
}

/* Makes it SQLite's default in this process. */
static int install_disk(void **state)
{
    (void)state;
    real_vfs = sqlite3_vfs_find(NULL);
    if (real_vfs == NULL) {
        return -1;
    }
    faulty_vfs = *real_vfs;
    faulty_vfs.zName = "faulty";
    faulty_vfs.szOsFile = (real_vfs->szOsFile + 15) / 16 * 16 + (int)sizeof(struct tail);
    faulty_vfs.xOpen = faulty_open;
    return sqlite3_vfs_register(&faulty_vfs, 1) == SQLITE_OK ? 0 : -1;
}

/* ---- the crowd */

struct crowd {
    struct phone phones[PHONES];
    struct answer answers[PHONES];
    struct id ids[PHONES];
};

static void enrol_crowd(struct world *world, struct crowd *crowd)
{
    static const char *const logins[] = {"li", "wang", "tom", "office"};
    for (int i = 0; i < PHONES; i++) {
        crowd->phones[i] = enrol(world, logins[i % 4]);
    }
}

/* Every phone sends its next changeset, without waiting; the text of one may be its own. */
static void send_all(struct world *world, struct crowd *crowd, int odd, const char *odd_blocks)
{
    for (int i = 0; i < PHONES; i++) {
        struct phone *phone = &crowd->phones[i];
        crowd->ids[i] = new_id(world);
        const char *blocks = i == odd ? odd_blocks : customer_blocks(world, &crowd->ids[i], "C");
        const char *json = request(
            world, phone, format(world, "[%s]", changeset(world, phone, phone->seq + 1, blocks)));
        submit_json(world, "/v1/sync", phone->token, json, strlen(json), &crowd->answers[i]);
    }
}

/* Given many devices, when they send at the same time, round after round, then each is answered
 * once, and the positions given are dense. */
static void test_service_group__positions_are_dense(void **state)
{
    struct world *world = *state;
    struct crowd *crowd = calloc(1, sizeof *crowd);
    bool given[PHONES * ROUNDS] = {false};
    assert_non_null(crowd);
    enrol_crowd(world, crowd);
    for (int round = 0; round < ROUNDS; round++) {
        send_all(world, crowd, -1, NULL);
        for (int i = 0; i < PHONES; i++) {
            await(world, &crowd->answers[i]);
            expect_status(&crowd->answers[i], 200, "accepted");
            follow(world, &crowd->phones[i], crowd->answers[i].text);
            crowd->phones[i].seq++;
            const char *place = strstr(crowd->answers[i].text, "\"accepted\",");
            int64_t position = strtoll(place + strlen("\"accepted\","), NULL, 10) - 6;
            assert_true(position >= 0 && position < PHONES * ROUNDS && !given[position]);
            given[position] = true;
        }
    }
    const char *reply = sync_phone(world, &crowd->phones[3], NULL);
    assert_int_equal(number_member(world, reply, "head"), 5 + PHONES * ROUNDS);
    free(crowd);
}

/* Given a changeset that is refused among good ones, when they are decided together, then only that
 * one is. */
static void test_service_group__one_refused_among_many(void **state)
{
    struct world *world = *state;
    struct crowd *crowd = calloc(1, sizeof *crowd);
    assert_non_null(crowd);
    enrol_crowd(world, crowd);
    send_all(world, crowd, 7,
             "[{\"entity\":\"customer\",\"op\":\"new\",\"fields\":[\"prefs\"],"
             "\"rows\":[[0,\"AZKfbDoAcACAAAAAAAAACg\",\"no name\"]]}]");
    for (int i = 0; i < PHONES; i++) {
        await(world, &crowd->answers[i]);
        expect_status(&crowd->answers[i], 200, i == 7 ? "REQUIRED" : "accepted");
    }
    free(crowd);
}

/* From now on the server's database does this before it inserts a customer of this name. */
static void poison(struct world *world, const char *name, const char *sql)
{
    run_sql(world, format(world,
                          "CREATE TABLE ballast(bytes);"
                          "CREATE TRIGGER poison BEFORE INSERT ON s_customer"
                          " WHEN new.name = '%s' BEGIN %s; END",
                          name, sql));
}

/* Given a changeset of two records of which the server cannot write the second, when it comes
 * among good ones, then it alone is quarantined, nothing of it is there, and the others are decided
 * once. */
static void test_service_group__one_that_cannot_be_written_among_many(void **state)
{
    struct world *world = *state;
    struct crowd *crowd = calloc(1, sizeof *crowd);
    assert_non_null(crowd);
    enrol_crowd(world, crowd);
    poison(world, "Poison", "SELECT raise(ABORT, 'poison')");
    send_all(world, crowd, 7,
             "[{\"entity\":\"customer\",\"op\":\"new\",\"fields\":[\"name\"],"
             "\"rows\":[[0,\"AZKfbDoAcACAAAAAAAAACg\",\"Good\"],"
             "[0,\"AZKfbDoAcACAAAAAAAAACw\",\"Poison\"]]}]");
    for (int i = 0; i < PHONES; i++) {
        await(world, &crowd->answers[i]);
        expect_status(&crowd->answers[i], 200, i == 7 ? "INTERNAL" : "accepted");
    }
    const char *reply = load_phone(world, &crowd->phones[3]);
    expect_not_in(reply, "AZKfbDoAcACAAAAAAAAACg");
    assert_int_equal(number_member(world, reply, "head"), 5 + PHONES - 1);
    free(crowd);
}

/* Given a disk that fails, when many send, then all are told to come back and nothing is decided;
 * when it works again the same requests go through, once. */
static void test_service_group__a_commit_that_fails_decides_nothing(void **state)
{
    struct world *world = *state;
    struct crowd *crowd = calloc(1, sizeof *crowd);
    assert_non_null(crowd);
    enrol_crowd(world, crowd);
    const char *texts[PHONES];
    for (int i = 0; i < PHONES; i++) {
        struct phone *phone = &crowd->phones[i];
        crowd->ids[i] = new_id(world);
        texts[i] = request(
            world, phone,
            format(world, "[%s]",
                   changeset(world, phone, 1, customer_blocks(world, &crowd->ids[i], "C"))));
    }
    for (int attempt = 0; attempt < 3; attempt++) {
        atomic_store(&disk_fails, attempt == 0);
        for (int i = 0; i < PHONES; i++) {
            submit_json(world, "/v1/sync", crowd->phones[i].token, texts[i], strlen(texts[i]),
                        &crowd->answers[i]);
        }
        for (int i = 0; i < PHONES; i++) {
            await(world, &crowd->answers[i]);
            if (attempt == 0) {
                expect_status(&crowd->answers[i], 503, "BUSY");
                assert_true(crowd->answers[i].retry_after_ms > 0);
            } else {
                expect_status(&crowd->answers[i], 200, "accepted");
                assert_int_equal(strstr(crowd->answers[i].text, "duplicate") != NULL, attempt == 2);
            }
        }
        if (attempt == 0) {
            char *text = NULL;
            const char *const argv[] = {"user", "add", "late"};
            assert_int_not_equal(srv_service_command(world->service, 3, argv, false, &text),
                                 DAYBOOK_OK);
            dk_memory_free(text);
        }
    }
    const char *reply = sync_phone(world, &crowd->phones[0], NULL);
    assert_int_equal(number_member(world, reply, "head"), 5 + PHONES);
    (void)command(world, DAYBOOK_OK, "user add late");
    free(crowd);
}

/* Given a disk that is full, when a group of requests needs it before its commit, then the group is
 * not decided again in another way: all are told to come back. */
static void test_service_group__a_full_disk_is_asked_once(void **state)
{
    struct world *world = *state;
    struct crowd *crowd = calloc(1, sizeof *crowd);
    assert_non_null(crowd);
    enrol_crowd(world, crowd);
    /* More than the server keeps in memory before it writes to the log of the file. */
    poison(world, "C", "INSERT INTO ballast VALUES(zeroblob(80 * 1024 * 1024))");
    atomic_store(&refused_writes, 0);
    atomic_store(&disk_fails, true);
    send_all(world, crowd, -1, NULL);
    for (int i = 0; i < PHONES; i++) {
        await(world, &crowd->answers[i]);
        expect_status(&crowd->answers[i], 503, "BUSY");
    }
    atomic_store(&disk_fails, false);
    /* Once for each group, of which there may be as many as phones. */
    assert_in_range(atomic_load(&refused_writes), 1, PHONES);
    free(crowd);
}

/* Given calls under way, when the service closes, then each of them is answered before close
 * returns, and later ones are turned away. */
static void test_service_group__close_answers_what_was_accepted(void **state)
{
    struct world *world = *state;
    struct crowd *crowd = calloc(1, sizeof *crowd);
    assert_non_null(crowd);
    enrol_crowd(world, crowd);
    send_all(world, crowd, -1, NULL);
    srv_service_close(world->service);
    world->service = NULL;
    for (int i = 0; i < PHONES; i++) {
        assert_true(crowd->answers[i].done);
        await(world, &crowd->answers[i]);
        assert_int_equal(crowd->answers[i].http_status, 200);
    }
    open_service(world);
    const char *reply = sync_phone(world, &crowd->phones[0], NULL);
    assert_int_equal(number_member(world, reply, "head"), 5 + PHONES);
    free(crowd);
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_service_group__##name, setup_service, teardown_service)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(positions_are_dense),
        TEST(one_refused_among_many),
        TEST(one_that_cannot_be_written_among_many),
        TEST(a_commit_that_fails_decides_nothing),
        TEST(a_full_disk_is_asked_once),
        TEST(close_answers_what_was_accepted),
    };
    return cmocka_run_group_tests(tests, install_disk, NULL);
}
