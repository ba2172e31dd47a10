/* SPDX-License-Identifier: Apache-2.0
 *
 * A server that is restored from a backup: what it has lost comes back from the devices that made
 * it, once, and all replicas agree again.
 */
#include "tests/support/company.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <sqlite3.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define POINTS 13 /* backups */
#define ROUNDS 4

static struct company company;
static struct rep *wang, *li;
static char shop[DAYBOOK_ID_SIZE];
static char backups[POINTS][400];

/* Runs backup or restore, which has to end with this status. */
static void run(const char *command, const char *folder, int expected)
{
    char out[2000];
    const char *const arguments[] = {command, folder, NULL};
    int status = server_run(&company.server, out, sizeof out, arguments);
    if (status != expected) {
        print_error("%s %s: %d %s\n", command, folder, status, out);
    }
    assert_int_equal(status, expected);
}

static void backup(int point)
{
    (void)snprintf(backups[point], sizeof backups[point], "%s/backup%d", company.server.folder,
                   point);
    run("backup", backups[point], 0);
}

static void restore(int point)
{
    server_stop(&company.server);
    run("restore", backups[point], 0);
    server_start(&company.server);
}

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    company_pair(&company, &wang, &li, shop);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

/* Changesets that are settled and kept. */
static int64_t kept(struct rep *rep)
{
    char number[24];
    return strtoll(device_file_text(rep->device.path,
                                    "SELECT count(*) FROM outbox WHERE verdict = 9", number,
                                    sizeof number),
                   NULL, 10);
}

/* Runs SQL on the closed store of a device. */
static void execute(struct rep *rep, const char *sql)
{
    sqlite3 *database = NULL;
    assert_int_equal(sqlite3_open(rep->device.path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

/* Given a server without a backup, when a changeset settles, then the device forgets it; with one,
 * it keeps what came later until the next. */
static void test_restore__devices_keep_what_the_backup_lacks(void **state)
{
    (void)state;
    rep_visit(wang, shop, "before any backup", NULL);
    company_settle(&company);
    assert_int_equal(kept(wang), 0);
    backup(0);
    rep_visit(wang, shop, "kept 1", NULL);
    rep_visit(wang, shop, "kept 2", NULL);
    company_settle(&company);
    assert_int_equal(kept(wang), 2);
    backup(1);
    rep_visit(wang, shop, "kept 3", NULL);
    company_settle(&company);
    assert_int_equal(kept(wang), 1);
}

/* Expects this visit on the server and on both devices, once. */
static void expect_everywhere(const char *feedback)
{
    char sql[200];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM visit WHERE feedback = '%s'", feedback);
    if (company_visits(&company, feedback) != 1 || rep_count(wang, sql, NULL) != 1 ||
        rep_count(li, sql, NULL) != 1) {
        print_error("%s: %lld on the server, %lld with wang, %lld with li\n", feedback,
                    (long long)company_visits(&company, feedback),
                    (long long)rep_count(wang, sql, NULL), (long long)rep_count(li, sql, NULL));
        fail();
    }
}

/* Given work of two devices behind a backup, settled and not, when the server is restored again and
 * again, also twice from the same backup, then everything comes back, once, and each sees the
 * other's work again. */
static void test_restore__everything_comes_back(void **state)
{
    char text[40], mine[DAYBOOK_ID_SIZE], gone[DAYBOOK_ID_SIZE];
    (void)state;
    rep_putf(wang, "visit", mine, "{\"customer_id\":\"%s\",\"feedback\":\"0\"}", shop);
    rep_putf(wang, "visit", gone, "{\"customer_id\":\"%s\",\"feedback\":\"0\"}", shop);
    company_settle(&company);
    int64_t point = 1;
    for (int round = 0; round < ROUNDS; round++) {
        if (round % 2 == 0) {
            backup((int)++point);
        }
        (void)snprintf(text, sizeof text, "wang %d", round);
        rep_visit(wang, shop, text, NULL);
        (void)snprintf(text, sizeof text, "li %d", round);
        rep_visit(li, shop, text, NULL);
        company_settle(&company);
        rep_patchf(wang, "visit", mine, "{\"feedback\":\"changed %d\"}", round);
        if (round == 1) {
            rep_delete(wang, "visit", gone);
        }
        company_settle(&company);
        (void)snprintf(text, sizeof text, "offline %d", round);
        rep_visit(li, shop, text, NULL);
        restore((int)point);
        (void)snprintf(text, sizeof text, "li %d", round);
        assert_int_equal(company_visits(&company, text), 0);
        company_settle(&company);
        for (int i = 0; i <= round; i++) {
            static const char *const works[] = {"wang %d", "li %d", "offline %d"};
            for (int k = 0; k < 3; k++) {
                (void)snprintf(text, sizeof text, works[k], i);
                expect_everywhere(text);
            }
        }
        (void)snprintf(text, sizeof text, "changed %d", round);
        assert_field(li, "visit", mine, "feedback", text);
        assert_int_equal(rep_count(li, "SELECT count(*) FROM visit WHERE id = ?1", gone),
                         round == 0);
        assert_int_equal(rep_count(wang, "SELECT count(*) FROM inbox", NULL), 0);
        assert_int_equal(rep_count(li, "SELECT count(*) FROM inbox", NULL), 0);
    }
}

/* Given a record that the server has lost, and an edit of it by somebody else that it has lost too,
 * when the editor comes back first or last, then the edit is in the record or in the editor's
 * inbox. */
static void test_restore__edits_of_lost_records(void **state)
{
    (void)state;
    for (int order = 0; order < 2; order++) {
        char id[DAYBOOK_ID_SIZE];
        int64_t inbox = rep_count(li, "SELECT count(*) FROM inbox WHERE kind = 'rejected'", NULL);
        backup(5 + order);
        rep_putf(wang, "visit", id, "{\"customer_id\":\"%s\",\"feedback\":\"lost\"}", shop);
        company_settle(&company);
        rep_patch(li, "visit", id, "{\"feedback\":\"edited\"}");
        company_settle(&company);
        restore(5 + order);
        rep_sync(order == 0 ? wang : li);
        company_settle(&company);
        bool kept_in_record = strcmp(rep_field(wang, "visit", id, "feedback"), "edited") == 0;
        bool kept_in_inbox =
            rep_count(li, "SELECT count(*) FROM inbox WHERE kind = 'rejected'", NULL) > inbox;
        assert_true(order == 0 ? kept_in_record && !kept_in_inbox : kept_in_inbox);
        assert_int_equal(rep_count(li, "SELECT count(*) FROM visit WHERE id = ?1", id), 1);
    }
}

/* Given a device that was enrolled after the backup, when the server is restored, then it signs in
 * anew, brings all its work, and no number of a document is given twice. */
static void test_restore__a_device_that_the_server_does_not_know(void **state)
{
    char code[64];
    (void)state;
    backup(7);
    struct rep *zhao = company_hire(&company, "zhao", "rep", "East");
    rep_visit(zhao, shop, "by zhao", NULL);
    company_settle(&company);
    int64_t numbers = server_int(&company.server, "SELECT max(device_no) FROM device_instance");
    restore(7);
    device_sync_expect(&zhao->device, DAYBOOK_SIGN_IN);
    zhao->left = true;
    company_settle(&company);
    assert_int_equal(company_visits(&company, "by zhao"), 0);
    server_add_user(&company.server, "zhao", "rep", "East");
    server_code(&company.server, "zhao", code);
    device_enrol(&zhao->device, code);
    zhao->left = false;
    company_settle(&company);
    expect_everywhere("by zhao");
    assert_int_equal(rep_count(zhao, "SELECT count(*) FROM inbox", NULL), 0);
    struct rep *second = company_second_device(&company, wang);
    assert_true(server_int(&company.server, "SELECT max(device_no) FROM device_instance") >
                numbers + 1000);
    rep_visit(second, shop, "second device", NULL);
    company_settle(&company);
    assert_int_equal(server_int(&company.server, "SELECT count(*) - count(DISTINCT doc_no)"
                                                 " FROM visit WHERE doc_no IS NOT NULL"),
                     0);
}

/* Given a backup that is restored, twice, when a device is enrolled after each, then its number is
 * behind all that were given before. */
static void test_restore__the_same_backup_gives_no_number_twice(void **state)
{
    int64_t last = 0;
    (void)state;
    backup(10);
    for (int times = 0; times < 3; times++) {
        restore(10);
        struct rep *phone = company_second_device(&company, times % 2 == 0 ? wang : li);
        int64_t number = server_int(&company.server, "SELECT max(device_no) FROM device_instance");
        assert_true(number > last + 100000);
        last = number;
        rep_leave(phone);
    }
}

/* Given work behind a backup, settled with a device whose store turns out to be a copy, when the
 * server is restored to that backup, then the work comes back, once. */
static void test_restore__a_new_instance_keeps_what_the_backup_lacks(void **state)
{
    (void)state;
    backup(8);
    rep_visit(wang, shop, "before the copy", NULL);
    company_settle(&company);
    struct rep *copy = company_copy(&company, wang);
    rep_visit(wang, shop, "lost with the phone", NULL);
    rep_sync(wang);
    rep_leave(wang);
    device_open(&copy->device);
    wang = copy;
    int64_t instances = server_int(&company.server, "SELECT count(*) FROM device_instance");
    rep_visit(wang, shop, "on the copy", NULL);
    rep_sync(wang);
    assert_int_equal(server_int(&company.server, "SELECT count(*) FROM device_instance"),
                     instances + 1);
    company_settle(&company);
    assert_int_equal(kept(wang), 2);
    /* What its number stood for before, a bucket may not be any more. */
    device_close(&li->device);
    execute(li, "UPDATE scope SET label = 'of before'");
    device_open(&li->device);
    restore(8);
    assert_int_equal(company_visits(&company, "before the copy"), 0);
    company_settle(&company);
    expect_everywhere("before the copy");
    expect_everywhere("on the copy");
    assert_int_equal(rep_count(li, "SELECT count(*) FROM buckets WHERE label = 'of before'", NULL),
                     0);
}

/* Given a running server, a folder that is there, a damaged copy, or none, when somebody backs up
 * or restores, then nothing happens, and the reason is told. */
static void test_restore__what_cannot_be_done_changes_nothing(void **state)
{
    char path[420];
    (void)state;
    int64_t head = server_int(&company.server, "SELECT head FROM org");
    run("backup", backups[7], 1);
    run("restore", backups[7], 1);
    server_stop(&company.server);
    (void)snprintf(path, sizeof path, "%s/nothing", company.server.folder);
    run("restore", path, 1);
    (void)snprintf(path, sizeof path, "%s/server.db", backups[7]);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 20000, SEEK_SET), 0);
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(fputc('x', file), 'x');
    }
    assert_int_equal(fclose(file), 0);
    run("restore", backups[7], 1);
    (void)snprintf(path, sizeof path, "%s/ca.crt", backups[6]);
    run("restore", path, 1);
    server_start(&company.server);
    assert_int_equal(server_int(&company.server, "SELECT head FROM org"), head);
    company_settle(&company);
}

/* Given an order whose line the office saw in a version that the backup lacks, when the office
 * confirms the order before it has the restored server's rows, then a line that somebody edits
 * meanwhile, at a position of the new epoch below that version, does not count as seen. */
static void test_restore__lines_seen_before_are_not_seen_in_the_new_epoch(void **state)
{
    char order[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE], sql[200];
    (void)state;
    struct rep *office = company_hire(&company, "office", "back_office", NULL);
    rep_putf(wang, "sales_order", order,
             "{\"customer_id\":\"%s\",\"cur\":\"CNY\",\"status\":\"submitted\"}", shop);
    rep_putf(wang, "order_line", line,
             "{\"order_id\":\"%s\",\"product_id\":\"" TEA "\",\"qty\":1000,\"price_e4\":50000}",
             order);
    company_settle(&company);
    backup(9);
    for (int i = 0; i < 8; i++) {
        rep_visit(wang, shop, "behind the backup", NULL);
    }
    rep_patch(wang, "order_line", line, "{\"qty\":2000}");
    company_settle(&company);
    restore(9);
    /* when: the office learns of the new epoch, and no more */
    tap_allow(&office->tap, 1);
    (void)daybook_sync(office->device.engine, 0, &office->device.error);
    rep_patch(office, "sales_order", order, "{\"status\":\"confirmed\"}");
    rep_patch(li, "order_line", line, "{\"qty\":3000}");
    rep_sync(li);
    rep_sync(wang);
    tap_allow(&office->tap, -1);
    rep_sync(office);
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM s_hold WHERE code = 'REV_STALE' AND deleted = 0");
    assert_int_equal(server_int(&company.server, sql), 1);
}

/* A transaction of Li's with a value of the customer at a version and a contact of a closed one,
 * which the server refuses. Returns the inbox item. */
static int64_t refused_save(const char *customer, int64_t seen, const char *closed,
                            char contact[DAYBOOK_ID_SIZE])
{
    char json[128];
    daybook_transaction *transaction = NULL;
    daybook_error *error = &li->device.error;
    device_must(daybook_begin(li->device.engine, &transaction), NULL);
    device_must(daybook_patch_json(transaction, "customer", customer, seen,
                                   "{\"prefs\":\"in the item\"}", error),
                error);
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\",\"name\":\"Bob\"}", closed);
    device_must(daybook_put_json(transaction, "contact", NULL, DAYBOOK_NEW, json, contact, error),
                error);
    device_must(daybook_commit(transaction, error), error);
    daybook_end(&transaction);
    rep_sync(li);
    return device_int(&li->device, "SELECT max(item) FROM inbox WHERE kind = 'rejected'");
}

/* Li's value replaced Qian's, which he had not seen: that is noted. */
static void expect_noted(const char *customer, const char *field, const char *value)
{
    char sql[160];
    assert_field(li, "customer", customer, field, value);
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM field_conflict WHERE record_id = ?1 AND field_name = '%s'",
                   field);
    assert_int_equal(rep_count(li, sql, customer), 1);
}

/* Positions that the lost log had are given again. What somebody had seen at one of them, in a form
 * that is still open, in a version that the app has kept, or in an item of the inbox, is not what
 * is there now. The last test: Wang leaves. */
static void test_restore__what_was_seen_of_the_lost_log_counts_no_more(void **state)
{
    char closed[DAYBOOK_ID_SIZE], customer[DAYBOOK_ID_SIZE], contact[DAYBOOK_ID_SIZE], json[128];
    daybook_transaction *form = NULL, *item = NULL;
    daybook_error *error = &li->device.error;
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"closed\"}", closed);
    rep_put(wang, "customer", "{\"name\":\"seen\"}", customer);
    company_settle(&company);
    backup(11);
    for (int i = 0; i < 8; i++) {
        rep_patchf(wang, "customer", shop, "{\"kind\":\"k%d\"}", i);
    }
    rep_patch(wang, "customer", customer, "{\"channel\":\"lost\"}");
    company_settle(&company);
    rep_delete(wang, "customer", closed);
    rep_sync(wang);
    int64_t seen = device_version(&li->device, "customer", customer);
    int64_t number = refused_save(customer, seen, closed, contact);
    device_must(daybook_begin(li->device.engine, &form), NULL);
    device_must(daybook_patch_json(form, "customer", customer, seen,
                                   "{\"industry\":\"in the form\"}", error),
                error);

    rep_leave(wang);
    restore(11);
    struct rep *qian = company_hire(&company, "qian", "rep", "East");
    company_settle(&company);
    rep_patch(qian, "customer", customer,
              "{\"prefs\":\"Qian's\",\"industry\":\"Qian's\",\"kind\":\"Qian's\"}");
    company_settle(&company);
    assert_true(device_version(&qian->device, "customer", customer) <= seen);
    for (int i = 0; i < 12; i++) {
        rep_patchf(qian, "customer", shop, "{\"kind\":\"z%d\"}", i);
    }
    rep_patch(qian, "customer", customer, "{\"channel\":\"phone\"}");
    company_settle(&company);
    assert_true(device_version(&li->device, "customer", customer) > seen);

    device_must(daybook_commit(form, error), error);
    daybook_end(&form);
    rep_patch_at(li, "customer", customer, seen, "{\"kind\":\"kept version\"}");
    device_must(daybook_inbox_reopen(li->device.engine, number, &item, error), error);
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\"}", shop);
    device_must(daybook_patch_json(item, "contact", contact, DAYBOOK_ANY_VERSION, json, error),
                error);
    device_must(daybook_commit(item, error), error);
    daybook_end(&item);
    company_settle(&company);
    expect_noted(customer, "industry", "in the form");
    expect_noted(customer, "kind", "kept version");
    expect_noted(customer, "prefs", "in the item");
}

/* The instance in a device's file as the wire has it, and its token. */
static void read_identity(struct rep *rep, char instance[CLIENT_ID_SIZE], char token[64])
{
    char hex[33], uuid[DAYBOOK_ID_SIZE];
    (void)device_file_text(rep->device.path, "SELECT token FROM meta", token, 64);
    (void)device_file_text(rep->device.path, "SELECT lower(hex(instance)) FROM meta", hex,
                           sizeof hex);
    (void)snprintf(uuid, sizeof uuid, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
                   hex + 20);
    client_id(uuid, instance);
}

/* The lease of before comes once more, to the restored server: that gives the instance another
 * number than the device has. Who made what is the same at both, all the same. */
static void test_restore__a_lease_of_before_comes_late(void **state)
{
    (void)state;
    struct client late;
    char former[CLIENT_ID_SIZE], instance[CLIENT_ID_SIZE], json[200];
    company_settle(&company);
    backup(12);
    client_init(&late, &company.server);
    read_identity(li, former, late.token);
    struct rep *copy = company_copy(&company, li);
    rep_visit(li, shop, "on the phone that was copied", NULL);
    rep_sync(li);
    device_open(&copy->device);
    rep_visit(copy, shop, "on the copy that leased", NULL);
    tap_allow(&copy->tap, 2); /* it is told, and leases */
    assert_int_equal(daybook_sync(copy->device.engine, 0, &copy->device.error), DAYBOOK_OFFLINE);
    tap_allow(&copy->tap, -1);
    read_identity(copy, instance, late.token);
    assert_string_not_equal(former, instance);
    restore(12);
    (void)snprintf(json, sizeof json,
                   "{\"protocol\":1,\"instance\":\"%s\",\"old_instance\":\"%s\"}", instance,
                   former);
    assert_int_equal(client_post(&late, "/v1/lease", json), 200);
    client_clear(&late);
    company_settle(&company);
    rep_visit(copy, shop, "on the copy, behind the restore", NULL);
    company_settle(&company);
    assert_int_equal(company_visits(&company, "on the phone that was copied"), 1);
    assert_int_equal(company_visits(&company, "on the copy that leased"), 1);
    assert_int_equal(company_visits(&company, "on the copy, behind the restore"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restore__devices_keep_what_the_backup_lacks),
        cmocka_unit_test(test_restore__everything_comes_back),
        cmocka_unit_test(test_restore__edits_of_lost_records),
        cmocka_unit_test(test_restore__a_device_that_the_server_does_not_know),
        cmocka_unit_test(test_restore__the_same_backup_gives_no_number_twice),
        cmocka_unit_test(test_restore__a_new_instance_keeps_what_the_backup_lacks),
        cmocka_unit_test(test_restore__lines_seen_before_are_not_seen_in_the_new_epoch),
        cmocka_unit_test(test_restore__what_cannot_be_done_changes_nothing),
        cmocka_unit_test(test_restore__what_was_seen_of_the_lost_log_counts_no_more),
        cmocka_unit_test(test_restore__a_lease_of_before_comes_late),
    };
    return cmocka_run_group_tests_name("restore", tests, set_up, tear_down);
}
