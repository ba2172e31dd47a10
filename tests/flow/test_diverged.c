/* SPDX-License-Identifier: Apache-2.0
 *
 * Devices that do not have what the server has, as no device should: they find out by the sums at
 * their next sync, read the bucket anew, and the operator is told.
 */
#include "engine/protocol/entities.h"
#include "tests/support/company.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <sqlite3.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct company company;
static struct rep *wang, *li;
static char shop[DAYBOOK_ID_SIZE], quote[DAYBOOK_ID_SIZE];

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    wang = company_hire(&company, "wang", "rep", "East");
    li = company_hire(&company, "li", "rep", "East");
    rep_quote(wang, "shop", shop, quote, NULL);
    company_settle(&company);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

/* Changes the closed store of a device behind its back, and opens it. */
static void spoil(struct rep *rep, const char *sql)
{
    sqlite3 *database = NULL;
    device_close(&rep->device);
    assert_int_equal(sqlite3_open(rep->device.path, &database), SQLITE_OK);
    int result = sqlite3_exec(database, sql, NULL, NULL, NULL);
    if (result != SQLITE_OK) {
        print_error("%s: %s\n", sql, sqlite3_errmsg(database));
    }
    assert_int_equal(result, SQLITE_OK);
    assert_true(sqlite3_changes(database) > 0);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    device_open(&rep->device);
}

/* Lets a device believe that it has read the log up to its head. */
static void pass_over(struct rep *rep)
{
    char sql[100];
    long long head = server_int(&company.server, "SELECT head FROM org");
    (void)snprintf(sql, sizeof sql, "UPDATE meta SET position = %lld, head = %lld", head, head);
    spoil(rep, sql);
}

/* What the server counts for all devices. */
static int64_t reported(void)
{
    return server_int(&company.server, "SELECT sum(divergences) FROM device_instance");
}

/* Expects that this sync finds one bucket, repairs it and tells the server; then all is well. */
static void expect_one_repair(struct rep *rep)
{
    int64_t before = reported();
    rep_sync(rep);
    daybook_sync_status status = device_status(&rep->device);
    assert_int_equal(status.divergences, 1);
    assert_int_equal(status.repaired, 1);
    assert_int_equal(reported(), before + 1);
    rep_sync(rep);
    assert_int_equal(device_status(&rep->device).divergences, 1);
    assert_int_equal(reported(), before + 1);
    device_close(&rep->device); /* counts begin anew */
    device_open(&rep->device);
    company_settle(&company);
}

/* Given records that were made, changed and deleted, when a device passes their entries over, then
 * the next sync finds out. */
static void test_diverged__entries_that_were_skipped_are_found(void **state)
{
    char visit[DAYBOOK_ID_SIZE], other[DAYBOOK_ID_SIZE];
    (void)state;
    rep_putf(wang, "visit", visit, "{\"customer_id\":\"%s\",\"feedback\":\"1\"}", shop);
    rep_putf(wang, "visit", other, "{\"customer_id\":\"%s\",\"feedback\":\"2\"}", shop);
    company_settle(&company);

    rep_putf(wang, "visit", NULL, "{\"customer_id\":\"%s\",\"feedback\":\"new\"}", shop);
    rep_sync(wang);
    pass_over(li);
    expect_one_repair(li);

    rep_patch(wang, "visit", visit, "{\"feedback\":\"changed\"}");
    rep_sync(wang);
    pass_over(li);
    expect_one_repair(li);
    assert_field(li, "visit", visit, "feedback", "changed");

    rep_delete(wang, "visit", other);
    rep_sync(wang);
    pass_over(li);
    expect_one_repair(li);
    assert_int_equal(rep_count(li, "SELECT count(*) FROM visit WHERE id = ?1", other), 0);
}

/* Given work of its own on other records, when the bucket is read anew, then it goes up all the
 * same. */
static void test_diverged__own_work_goes_on(void **state)
{
    (void)state;
    rep_patch(wang, "quote", quote, "{\"header_disc_bp\":300}");
    rep_sync(wang);
    pass_over(li);
    rep_patch(li, "customer", shop, "{\"prefs\":\"own\"}");
    rep_putf(li, "visit", NULL, "{\"customer_id\":\"%s\",\"feedback\":\"own\"}", shop);
    expect_one_repair(li);
    assert_field(wang, "customer", shop, "prefs", "own");
    assert_field(li, "quote", quote, "header_disc_bp", "300");
}

/* Given a sum that is wrong though the rows are right, when the device syncs, then it reads the
 * bucket anew and is right again. */
static void test_diverged__a_wrong_sum_is_mended_too(void **state)
{
    (void)state;
    spoil(li, "UPDATE scope SET sum = sum + 1 WHERE label = 'organisation'");
    expect_one_repair(li);
}

/* Changes the server's own sum of the organisation's bucket, while it is stopped. */
static void spoil_server(int by)
{
    char sql[120];
    sqlite3 *database = NULL;
    (void)snprintf(sql, sizeof sql,
                   "UPDATE bucket SET version_sum = version_sum + %d WHERE label = 'organisation'",
                   by);
    server_stop(&company.server);
    assert_int_equal(sqlite3_open(company.server.database, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    server_start(&company.server);
}

/* Syncs, and expects so many buckets found and mended since the device was opened. */
static void sync_and_expect(struct rep *rep, int64_t divergences, int64_t repaired)
{
    rep_sync(rep);
    daybook_sync_status status = device_status(&rep->device);
    assert_int_equal(status.divergences, divergences);
    assert_int_equal(status.repaired, repaired);
    assert_int_equal(status.pending, 0);
}

/* Given that the server's own sum of a bucket is wrong, when devices sync, then they try once a day
 * and go on working; what else is wrong is mended meanwhile. */
static void test_diverged__a_server_that_is_wrong_stops_nobody(void **state)
{
    char line[200];
    (void)state;
    spoil_server(1);
    rep_putf(li, "visit", NULL, "{\"customer_id\":\"%s\",\"feedback\":\"work\"}", shop);
    sync_and_expect(li, 1, 0);
    int64_t before = reported();
    sync_and_expect(li, 1, 0);
    sync_and_expect(li, 1, 0);
    (void)snprintf(line, sizeof line,
                   "{\"entity\":\"customer\",\"id\":\"%s\",\"prefs\":\"passed over\"}\n", shop);
    server_import(&company.server, line);
    pass_over(li);
    sync_and_expect(li, 1, 0); /* the other bucket: counts began anew */
    assert_field(li, "customer", shop, "prefs", "passed over");
    sync_and_expect(li, 1, 1);
    sync_and_expect(li, 1, 1);
    assert_int_equal(reported(), before + 1);
    tap_set_ahead(&li->tap, INT64_C(25) * 3600 * 1000);
    sync_and_expect(li, 2, 1);
    sync_and_expect(li, 2, 1);
    tap_set_ahead(&li->tap, 0);
    spoil_server(-1);
    sync_and_expect(li, 2, 2);
    device_close(&li->device);
    device_open(&li->device);
    company_settle(&company);
}

/* The first column of an entity's table that can be spoilt: a text or a number that is not derived.
 * NULL: none. */
static const char *spoilable(const struct entity *entity)
{
    for (int i = FIELD_CREATED_DEV; i < entity->field_count; i++) {
        const struct field *field = &entity->fields[i];
        if (field->policy != POLICY_DERIVED && field->type == FIELD_TEXT) {
            return field->name;
        }
    }
    return entity->fields[FIELD_CREATED_DEV].name;
}

/* Lets Li's next sync compare contents, and expects one repair. */
static void expect_found(const char *what, const char *entity)
{
    device_must(daybook_verify(li->device.engine), NULL);
    rep_sync(li);
    daybook_sync_status status = device_status(&li->device);
    if (status.divergences != 1 || status.repaired != 1) {
        print_error("%s %s: %lld found, %lld repaired\n", what, entity,
                    (long long)status.divergences, (long long)status.repaired);
        fail();
    }
    device_close(&li->device);
    device_open(&li->device);
    device_must(daybook_verify(li->device.engine), NULL);
    company_settle(&company);
}

/* Given a row of each entity that the device holds, when its version or a value is another, or it
 * is gone, then the comparison of contents finds it, and the bucket is loaded anew. */
static void test_diverged__whatever_is_planted_is_found(void **state)
{
    static const struct {
        const char *what, *sql; /* sql: entity, column, entity */
    } plants[] = {
        {"version", "UPDATE r_%1$s SET version = version - 1 WHERE id ="
                    " (SELECT min(id) FROM r_%1$s WHERE version > 1 AND bucket > 0)"},
        {"value", "UPDATE r_%1$s SET %2$s = coalesce(%2$s, 0) || 1 WHERE id ="
                  " (SELECT min(id) FROM r_%1$s WHERE version > 1 AND bucket > 0)"},
        {"row", "DELETE FROM r_%1$s WHERE id ="
                " (SELECT min(id) FROM r_%1$s WHERE version > 1 AND bucket > 0)"},
    };
    int kinds = 0;
    (void)state;
    rep_putf(wang, "visit", NULL, "{\"customer_id\":\"%s\",\"feedback\":\"planted\"}", shop);
    rep_putf(wang, "contact", NULL, "{\"customer_id\":\"%s\",\"name\":\"He\"}", shop);
    company_settle(&company);
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        const char *entity = dk_entity(kind)->name;
        char sql[400];
        (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM %s WHERE version > 1", entity);
        if (rep_count(li, sql, NULL) == 0) {
            continue;
        }
        kinds++;
        for (size_t i = 0; i < sizeof plants / sizeof plants[0]; i++) {
            (void)snprintf(sql, sizeof sql, plants[i].sql, entity, spoilable(dk_entity(kind)));
            spoil(li, sql);
            expect_found(plants[i].what, entity);
        }
    }
    assert_true(kinds >= 6);
}

/* Given an entry that was passed over, and a later change of the same record, then the versions
 * agree and the contents do not. */
static void test_diverged__what_versions_hide_contents_show(void **state)
{
    (void)state;
    rep_patch(wang, "quote", quote, "{\"header_disc_bp\":400}");
    rep_sync(wang);
    pass_over(li);
    rep_patch(li, "quote", quote, "{\"note\":\"by li\"}");
    rep_sync(li);
    assert_int_equal(device_status(&li->device).divergences, 0);
    assert_field(li, "quote", quote, "header_disc_bp", "300");
    expect_found("hidden", "quote");
    assert_field(li, "quote", quote, "header_disc_bp", "400");
    assert_field(wang, "quote", quote, "note", "by li");
}

/* Given divergences, when the operator lists the devices, then they are there. */
static void test_diverged__the_operator_sees_it(void **state)
{
    static const char *const list[] = {"device", "list", "--json", NULL};
    char out[4000], expected[40];
    (void)state;
    assert_true(reported() > 0);
    assert_int_equal(server_run(&company.server, out, sizeof out, list), 0);
    (void)snprintf(expected, sizeof expected, "\"divergences\":%lld", (long long)reported());
    assert_non_null(strstr(out, expected)); /* all are Li's */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_diverged__entries_that_were_skipped_are_found),
        cmocka_unit_test(test_diverged__own_work_goes_on),
        cmocka_unit_test(test_diverged__a_wrong_sum_is_mended_too),
        cmocka_unit_test(test_diverged__a_server_that_is_wrong_stops_nobody),
        cmocka_unit_test(test_diverged__whatever_is_planted_is_found),
        cmocka_unit_test(test_diverged__what_versions_hide_contents_show),
        cmocka_unit_test(test_diverged__the_operator_sees_it),
    };
    return cmocka_run_group_tests_name("diverged", tests, set_up, tear_down);
}
