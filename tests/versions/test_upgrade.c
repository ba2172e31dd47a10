/* SPDX-License-Identifier: Apache-2.0
 *
 * The update of an app: a store of the older schema is opened by the newer engine. Its outbox is
 * not touched, byte for byte, and goes up under the schema that it was made under; what the older
 * engine had kept without knowing it is there; and a process that is killed at any write of the
 * upgrade, or a device that loses power at any, leaves a store that either engine can open. A disk
 * that goes wrong is told of by name.
 */
#include "tests/versions/version_world.h"

#if defined(DAYBOOK_SANITIZED)
#define SANITIZED true /* nothing can be loaded before a sanitizer's own library */
#else
#define SANITIZED false
#endif
#define WRITES_MAX 400
#define FAULT_STRIDE 17 /* every so many-th operation of an upgrade fails */

static struct company company;
static struct rep *wang; /* the older app, East */
static struct pocket li; /* the newer app, East */
static char shop[DAYBOOK_ID_SIZE], gone[DAYBOOK_ID_SIZE];

/* Wang's old app, offline, has seen what Li's newer one made: a shop with unknown fields and a
 * survey. It has changed the shop, deleted another one with unknown fields, made a visit and a
 * contact, and has a changeset whose verdict it does not know. */
static int set_up(void **state)
{
    char dummy[DAYBOOK_ID_SIZE];
    (void)state;
    company_open(&company);
    company.server.program = NEWER_SERVER;
    server_stop(&company.server);
    server_start(&company.server);
    wang = company_hire(&company, "wang", "rep", "East");
    server_add_user(&company.server, "li", "rep", "East");
    pocket_begin(&li, &company, NEWER_DEVICE, "li");
    (void)pocket_run(&li,
                     "put customer {\"name\":\"Shop\",\"website\":\"shop.example\","
                     "\"segments\":[\"gold\"]}\nlet shop SELECT id FROM customer\n"
                     "put survey {\"customer_id\":\"$shop\",\"score\":4,\"remark\":\"friendly\"}\n"
                     "put customer {\"name\":\"Gone\",\"website\":\"gone.example\"}\n"
                     "sync\necho $shop $last");
    assert_int_equal(sscanf(li.out, "%36s %36s", shop, gone), 2);
    rep_sync(wang);
    rep_patch(wang, "customer", shop, "{\"name\":\"Shop of Wang\",\"custom\":{\"floor\":3}}");
    tap_lose_replies(&wang->tap, 1);
    device_sync_expect(&wang->device, DAYBOOK_OFFLINE);
    rep_delete(wang, "customer", gone);
    rep_putf(wang, "visit", dummy, "{\"customer_id\":\"%s\",\"feedback\":\"by the old app\"}",
             shop);
    rep_putf(wang, "contact", dummy,
             "{\"customer_id\":\"%s\",\"name\":\"Wei Chen\",\"phone\":\"1380\"}", shop);
    device_close(&wang->device);
    wang->left = true;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pocket_end(&li);
    company_close(&company);
    return 0;
}

/* All columns of the outbox, in one text. */
static void read_outbox(const char *store, char *out, size_t size)
{
    (void)device_file_text(
        store,
        "SELECT group_concat(seq || ' ' || hex(id) || ' ' || verdict || ' ' || position"
        " || ' ' || made_ms || ' ' || stamp || ' ' || others || ' ' || size || ' ' ||"
        " coalesce(hex(made), '-') || ' ' || hex(body), char(10))"
        " FROM (SELECT * FROM outbox ORDER BY seq)",
        out, size);
    assert_in_range(strlen(out), 100, size - 2);
}

static int64_t user_version(const char *store)
{
    char text[40];
    return strtoll(device_file_text(store, "PRAGMA user_version", text, sizeof text), NULL, 10);
}

/* The store shows under the newer engine what it should, and all of it arrives. */
static void check_upgraded(struct pocket *pocket)
{
    char text[200];
    assert_pocket(pocket, "customer", shop, "name", "Shop of Wang");
    assert_pocket(pocket, "customer", shop, "website", "shop.example");
    assert_pocket(pocket, "customer", shop, "segments", "[\"gold\"]");
    assert_pocket(pocket, "customer", shop, "initial", "S");
    assert_pocket(pocket, "customer", gone, "name", "");
    assert_string_equal(store_extra(pocket->store, "customer", shop), "");
    assert_string_equal(
        device_file_text(pocket->store, "SELECT score || remark FROM survey", text, sizeof text),
        "4friendly");
    assert_string_equal(
        device_file_text(pocket->store, "SELECT count(*) FROM raw_record", text, sizeof text), "0");
}

static void check_arrived(struct pocket *pocket)
{
    struct pocket *const both[] = {&li, pocket, NULL};
    world_settle(&company, both);
    assert_server(&company, "customer", shop, "name", "Shop of Wang");
    assert_server(&company, "customer", shop, "website", "shop.example");
    assert_server(&company, "customer", gone, "name", "");
    assert_int_equal(server_int(&company.server, "SELECT count(*) FROM visit"), 1);
    assert_string_equal(server_text(&company.server, "SELECT last_name || phone_e164 FROM contact"),
                        "Chen1380");
    assert_int_equal(server_int(&company.server, "SELECT count(*) FROM quarantine"), 0);
}

static void test_upgrade__touches_no_byte_of_the_outbox(void **state)
{
    static char before[100000], after[100000];
    struct pocket updated;
    (void)state;
    read_outbox(wang->device.path, before, sizeof before);
    assert_non_null(strstr(before, "22736368656D61223A31")); /* "schema":1 */
    int64_t version = user_version(wang->device.path);
    pocket_take(&updated, wang, NEWER_DEVICE);
    (void)pocket_run(&updated, "status");
    assert_non_null(strstr(updated.out, "pending 4,"));
    assert_int_equal(user_version(updated.store), version + 1);
    read_outbox(updated.store, after, sizeof after);
    assert_string_equal(after, before);
    check_upgraded(&updated);
    /* The newer engine writes on top of what the older one left undecided. */
    (void)pocket_runf(&updated, "patch customer %s {\"website\":\"wang.example\",\"kind\":\"x\"}",
                      shop);
    (void)pocket_run(&updated, "sync");
    assert_server(&company, "customer", shop, "website", "wang.example");
    (void)pocket_runf(&li, "sync\npatch customer %s {\"website\":\"shop.example\"}\nsync", shop);
    check_arrived(&updated);
    /* The older engine refuses the file, and leaves it as it is. */
    struct pocket older = updated;
    older.program = OLDER_DEVICE;
    assert_int_not_equal(pocket_try(&older, "status"), 0);
    assert_non_null(strstr(older.out, "NEWER_STORE"));
    check_arrived(&updated);
}

/* Given a record with fields that the older engine did not know, which that one has deleted, when
 * the delete is turned down after the update, then the record is back with those fields. */
static void test_upgrade__undone_delete_brings_back_what_was_kept(void **state)
{
    struct pocket older, updated;
    char vain[DAYBOOK_ID_SIZE];
    (void)state;
    pocket_take(&older, wang, OLDER_DEVICE);
    (void)pocket_run(&older, "sync\nput customer {\"name\":\"Vain\"}\nsync\necho $last");
    (void)snprintf(vain, sizeof vain, "%.36s", older.out);
    (void)pocket_runf(&older,
                      "begin\ndelete customer %s\n"
                      "put contact {\"customer_id\":\"%s\",\"name\":\"N\"}\ncommit",
                      shop, vain);
    (void)pocket_runf(&li, "sync\ndelete customer %s\nsync", vain);
    updated = older;
    updated.program = NEWER_DEVICE;
    updated.store = older.store;
    (void)pocket_run(&updated, "status");
    assert_pocket(&updated, "customer", shop, "name", "");
    (void)pocket_run(&updated, "sync");
    assert_pocket(&updated, "customer", shop, "name", "Shop of Wang");
    assert_pocket(&updated, "customer", shop, "website", "shop.example");
    assert_string_equal(store_extra(updated.store, "customer", shop), "");
    (void)pocket_run(&updated, "let item SELECT item FROM inbox WHERE kind = 'rejected'\n"
                               "discard $item");
    struct pocket *const both[] = {&li, &updated, NULL};
    world_settle(&company, both);
}

/* The process is killed instead of its first write, its second, …, until the upgrade ends. After
 * each the outbox is as it was and the older engine can still open the file, or the newer one has
 * finished. */
static void test_upgrade__killed_at_any_write_loses_nothing(void **state)
{
    static char before[100000], after[100000];
    static char at[40];
    static struct pocket updated, older;
    int writes = 0, result = 137, reopened = 0;
    (void)state;
    if (SANITIZED) {
        skip();
    }
    read_outbox(wang->device.path, before, sizeof before);
    int64_t version = user_version(wang->device.path);
    pocket_take(&updated, wang, NEWER_DEVICE);
    older = updated;
    older.program = OLDER_DEVICE;
    updated.environment[0] = "LD_PRELOAD=" KILL_AT_WRITE;
    updated.environment[1] = at;
    while (result != 0) {
        assert_true(++writes < WRITES_MAX);
        (void)snprintf(at, sizeof at, "KILL_AT_WRITE=%d", writes);
        result = pocket_try(&updated, "status");
        assert_true(result == 0 || result == 128 + SIGKILL);
        read_outbox(updated.store, after, sizeof after);
        assert_string_equal(after, before);
        if (result != 0 && writes % 3 == 0 && user_version(updated.store) == version) {
            older.store = updated.store;
            assert_int_equal(pocket_try(&older, "status"), 0);
            reopened++;
        }
    }
    assert_true(writes > 3 && reopened > 0);
    print_message("killed at each of %d writes of the upgrade\n", writes - 1);
    updated.environment[0] = NULL;
    check_upgraded(&updated);
    check_arrived(&updated);
}

/* The bytes of a file. */
static unsigned char *read_bytes(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*size);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    (void)fclose(file);
    return bytes;
}

/* Puts a store back: this is all of it, without a log beside it. */
static void put_back(const char *path, const unsigned char *bytes, size_t size)
{
    char log[sizeof((struct device *)0)->path + 8];
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    (void)snprintf(log, sizeof log, "%s-wal", path);
    (void)remove(log);
    (void)snprintf(log, sizeof log, "%s-shm", path);
    (void)remove(log);
}

/* The power fails instead of the first operation of the disk, the second, …, until the upgrade
 * ends; with all that was not synced, and with a part of it. After each the outbox is as it was and
 * the store of either version, and what is left can be opened and upgraded. */
static void test_upgrade__power_lost_at_any_operation_loses_nothing(void **state)
{
    static char before[100000], after[100000];
    char at[40], seed[40];
    struct pocket cut, updated, older;
    bool whole = false;
    int operation = 0, finished = 0, begun_anew = 0;
    size_t size;
    (void)state;
    read_outbox(wang->device.path, before, sizeof before);
    int64_t version = user_version(wang->device.path);
    pocket_take(&updated, wang, NEWER_DEVICE);
    cut = older = updated;
    cut.program = NEWER_POWER_DEVICE;
    older.program = OLDER_DEVICE;
    cut.environment[0] = at;
    cut.environment[1] = seed;
    unsigned char *bytes = read_bytes(updated.store, &size);
    while (!whole) {
        assert_true(++operation < WRITES_MAX);
        for (int partly = 0; partly <= 1; partly++) {
            put_back(updated.store, bytes, size);
            (void)snprintf(at, sizeof at, "POWER_AT=%d", operation);
            (void)snprintf(seed, sizeof seed, "POWER_SEED=%d", partly * operation);
            (void)pocket_run(&cut, "");
            whole = strncmp(cut.out, "whole", 5) == 0;
            read_outbox(updated.store, after, sizeof after);
            assert_string_equal(after, before);
            bool is_new = user_version(updated.store) == version + 1;
            assert_true(is_new || user_version(updated.store) == version);
            finished += is_new;
            if (!is_new && operation % 5 == 0) {
                assert_int_equal(pocket_try(&older, "status"), 0);
                begun_anew++;
            }
            if (operation % 5 == 0 || is_new) {
                (void)pocket_run(&updated, "status");
                check_upgraded(&updated);
                read_outbox(updated.store, after, sizeof after);
                assert_string_equal(after, before);
            }
        }
    }
    free(bytes);
    assert_true(operation > 10 && finished > 0 && begun_anew > 0);
    print_message("power lost at each of %d operations of the upgrade\n", operation - 1);
    check_arrived(&updated);
}

/* What an upgrade on a disk that goes wrong came to. */
struct failure {
    char name[40]; /* of the status */
    int struck, points;
};

static struct failure fail_at(const struct pocket *updated, int point, int fault, int sticky)
{
    char plan[60];
    struct failure failure;
    struct pocket bad = *updated;
    (void)snprintf(plan, sizeof plan, "POWER_FAIL=%d %d %d", point, fault, sticky);
    bad.program = NEWER_POWER_DEVICE;
    bad.environment[0] = plan;
    bad.environment[1] = NULL;
    (void)pocket_run(&bad, "");
    assert_int_equal(sscanf(bad.out, "%39s %d %d", failure.name, &failure.struck, &failure.points),
                     3);
    const bool known = strcmp(failure.name, "OK") == 0 || strcmp(failure.name, "IO") == 0 ||
                       strcmp(failure.name, "DISK_FULL") == 0 ||
                       strcmp(failure.name, "CANNOT_OPEN") == 0;
    if (!known) {
        print_error("%s: %s\n", plan, bad.out);
    }
    assert_true(known);
    return failure;
}

/* An operation of the disk fails, or is short, or finds no room, once or with all that follow: the
 * upgrade says so by name, or was done without it, and the next one on a good disk ends. */
static void fail_everywhere(struct rep *rep, struct pocket *updated, int fault, int sticky)
{
    static char before[100000], after[100000];
    size_t size;
    int refused = 0, struck = 0;
    read_outbox(rep->device.path, before, sizeof before);
    unsigned char *bytes = read_bytes(updated->store, &size);
    int points = fail_at(updated, 0, 0, 0).points;
    for (int point = 1 + 2 * fault + sticky; point <= points; point += FAULT_STRIDE) {
        put_back(updated->store, bytes, size);
        struct failure failure = fail_at(updated, point, fault, sticky);
        struck += failure.struck > 0;
        refused += strcmp(failure.name, "OK") != 0;
        read_outbox(updated->store, after, sizeof after);
        assert_string_equal(after, before);
        (void)pocket_run(updated, "status");
        check_upgraded(updated);
    }
    put_back(updated->store, bytes, size);
    free(bytes);
    print_message("%d points, fault %d%s: %d struck, %d refused\n", points, fault,
                  sticky ? " for good" : "", struck, refused);
    assert_true(struck > 0 && refused > 0);
}

static void test_upgrade__fails_by_name_at_any_operation(void **state)
{
    struct pocket updated;
    (void)state;
    pocket_take(&updated, wang, NEWER_DEVICE);
    for (int fault = 0; fault < 3; fault++) {
        fail_everywhere(wang, &updated, fault, 0);
        fail_everywhere(wang, &updated, fault, 1);
    }
    (void)pocket_run(&updated, "status");
    check_arrived(&updated);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_upgrade__touches_no_byte_of_the_outbox, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_upgrade__undone_delete_brings_back_what_was_kept,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_upgrade__killed_at_any_write_loses_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_upgrade__power_lost_at_any_operation_loses_nothing,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_upgrade__fails_by_name_at_any_operation, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("upgrade", tests, NULL, NULL);
}
