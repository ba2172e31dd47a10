/* SPDX-License-Identifier: Apache-2.0
 *
 * What a device holds: documents go from open to recent to archive by one rule, and come back when
 * somebody works on them; what belongs to one person is with that person, the managers above and
 * the back office only.
 */
#include "tests/support/company.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct company company;
static struct rep *wang, *zhao, *boss, *office;

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    wang = company_hire(&company, "wang", "rep", "East");
    zhao = company_hire(&company, "zhao", "rep", "South");
    boss = company_hire(&company, "boss", "manager", NULL);
    office = company_hire(&company, "office", "back_office", NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

/* Does the night's work with these numbers; returns how many documents moved. */
static int64_t classify(const char *open_days, const char *recent_days, const char *last)
{
    const char *const command[] = {"classify",  "--open-days", open_days, "--recent-days",
                                   recent_days, "--last",      last,      NULL};
    char out[400];
    long long seen = -1, moved = -1;
    assert_int_equal(server_run(&company.server, out, sizeof out, command), 0);
    assert_int_equal(sscanf(out, "%lld documents, %lld moved", &seen, &moved), 2);
    return moved;
}

/* The class of a record's bucket on the server: the label behind the root, "" for open. */
static const char *class_of(const char *entity, const char *id)
{
    char sql[400];
    (void)snprintf(sql, sizeof sql,
                   "SELECT CASE WHEN instr(label, '/') THEN substr(label, instr(label, '/'))"
                   " ELSE '' END FROM %s r JOIN bucket b ON b.org = r.org AND b.bucket = r.bucket"
                   " WHERE id = '%s'",
                   entity, id);
    return server_text(&company.server, sql);
}

/* A customer with a visit that is over, with an action, and an order that was rejected, with a
 * line; and one of each that is not. */
struct past {
    char shop[DAYBOOK_ID_SIZE], visit[DAYBOOK_ID_SIZE], action[DAYBOOK_ID_SIZE];
    char order[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
    char plan[DAYBOOK_ID_SIZE], draft[DAYBOOK_ID_SIZE];
};

static void make_past(struct rep *rep, struct past *past)
{
    rep_put(rep, "customer", "{\"name\":\"shop\"}", past->shop);
    rep_putf(rep, "visit", past->visit, "{\"customer_id\":\"%s\",\"status\":\"planned\"}",
             past->shop);
    rep_putf(rep, "visit_action", past->action, "{\"visit_id\":\"%s\",\"kind\":\"photo\"}",
             past->visit);
    rep_putf(rep, "sales_order", past->order,
             "{\"customer_id\":\"%s\",\"cur\":\"CNY\",\"note\":\"old\"}", past->shop);
    rep_putf(rep, "order_line", past->line,
             "{\"order_id\":\"%s\",\"product_id\":\"" TEA "\",\"qty\":1000,\"uom\":\"box\","
             "\"price_e4\":100000}",
             past->order);
    rep_putf(rep, "visit", past->plan, "{\"customer_id\":\"%s\",\"status\":\"planned\"}",
             past->shop);
    rep_putf(rep, "sales_order", past->draft, "{\"customer_id\":\"%s\",\"cur\":\"CNY\"}",
             past->shop);
    rep_patch(rep, "visit", past->visit, "{\"status\":\"cancelled\"}");
    company_settle(&company);
    char line[200];
    (void)snprintf(line, sizeof line,
                   "{\"entity\":\"sales_order\",\"id\":\"%s\",\"status\":\"rejected\"}\n",
                   past->order);
    server_import(&company.server, line);
    company_settle(&company);
}

static int64_t rows_of(struct rep *rep, const struct past *past)
{
    char sql[700];
    (void)snprintf(sql, sizeof sql,
                   "SELECT (SELECT count(*) FROM visit WHERE id = '%s')"
                   " + (SELECT count(*) FROM visit_action WHERE id = '%s')"
                   " + (SELECT count(*) FROM sales_order WHERE id = '%s')"
                   " + (SELECT count(*) FROM order_line WHERE id = '%s')",
                   past->visit, past->action, past->order, past->line);
    return rep_count(rep, sql, NULL);
}

static void test_classes__what_is_over_goes_to_recent_and_to_the_archive(void **state)
{
    struct past past;
    (void)state;
    make_past(wang, &past);
    assert_int_equal(classify("30", "90", "0"), 0);
    assert_int_equal(classify("0", "90", "0"), 2);
    assert_string_equal(class_of("visit", past.visit), "/recent");
    assert_string_equal(class_of("visit_action", past.action), "/recent");
    assert_string_equal(class_of("order_line", past.line), "/recent");
    assert_string_equal(class_of("visit", past.plan), "");
    assert_string_equal(class_of("sales_order", past.draft), "");
    company_settle(&company);
    assert_int_equal(rows_of(wang, &past), 4);
    assert_int_equal(rows_of(office, &past), 4);
    assert_int_equal(
        rep_count(wang, "SELECT count(*) FROM buckets WHERE label LIKE '%/recent'", NULL), 1);
    /* Doing it again changes nothing. */
    int64_t head = server_int(&company.server, "SELECT head FROM org");
    assert_int_equal(classify("0", "90", "0"), 0);
    assert_int_equal(server_int(&company.server, "SELECT head FROM org"), head);
    assert_int_equal(classify("0", "0", "0"), 2);
    assert_string_equal(class_of("sales_order", past.order), "/archive");
    company_settle(&company);
    assert_int_equal(rows_of(wang, &past), 0);
    assert_int_equal(rows_of(office, &past), 0);
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM visit WHERE id = ?1", past.plan), 1);
    assert_int_equal(
        rep_count(wang, "SELECT count(*) FROM buckets WHERE label LIKE '%/archive'", NULL), 0);
    assert_string_equal(company_field(&company, "sales_order", past.order, "note"), "old");
}

/* Work that was under way brings the document back, whole and for everybody, with what is below
 * it: an edit of the document, one of a line, a new line. */
static void test_classes__work_under_way_brings_a_document_back(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct past past;
        make_past(wang, &past);
        switch (kind) {
        case 0: rep_patch(wang, "sales_order", past.order, "{\"note\":\"from the field\"}"); break;
        case 1:
            rep_patch(wang, "order_line", past.line, "{\"sort_key\":\"from the field\"}");
            break;
        case 2:
            rep_putf(wang, "order_line", NULL,
                     "{\"order_id\":\"%s\",\"product_id\":\"" COOKIE "\",\"qty\":1000,"
                     "\"uom\":\"box\",\"price_e4\":100000,\"sort_key\":\"from the field\"}",
                     past.order);
            break;
        default: rep_delete(wang, "order_line", past.line); break;
        }
        /* The one that came back in the turn before goes again. */
        assert_int_equal(classify("0", "0", "0"), kind == 0 ? 2 : 3);
        rep_sync(zhao);
        company_settle(&company);
        assert_string_equal(class_of("sales_order", past.order), "");
        assert_string_equal(class_of("visit", past.visit), "/archive");
        assert_field(wang, "sales_order", past.order, "status", "rejected");
        assert_field(office, "sales_order", past.order, "total",
                     kind == 2   ? "2000"
                     : kind == 3 ? "0"
                                 : "1000");
        assert_int_equal(rep_count(wang, "SELECT count(*) FROM inbox", NULL), 0);
        if (kind != 3) {
            assert_string_equal(class_of("order_line", past.line), "");
            assert_int_equal(
                rep_count(wang, "SELECT count(*) FROM order_line WHERE id = ?1", past.line), 1);
        }
    }
}

static void test_classes__the_last_of_each_customer_stay(void **state)
{
    char shop[DAYBOOK_ID_SIZE], visits[5][DAYBOOK_ID_SIZE];
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"regular\"}", shop);
    for (int i = 0; i < 5; i++) {
        rep_putf(wang, "visit", visits[i], "{\"customer_id\":\"%s\",\"status\":\"planned\"}", shop);
    }
    for (int i = 0; i < 5; i++) {
        rep_patch(wang, "visit", visits[i], "{\"status\":\"cancelled\"}");
    }
    company_settle(&company);
    (void)classify("0", "0", "3");
    for (int i = 0; i < 5; i++) {
        assert_string_equal(class_of("visit", visits[i]), i < 2 ? "/archive" : "");
    }
    company_settle(&company);
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM visit WHERE customer_id = ?1", shop), 3);
    /* One that is worked on again is the last: it pushes another out. */
    (void)classify("0", "0", "0");
    company_settle(&company);
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM visit WHERE customer_id = ?1", shop), 0);
}

/* A customer takes what is archived along; what comes back then is the new territory's. */
static void test_classes__the_archive_goes_where_its_customer_goes(void **state)
{
    struct past past;
    (void)state;
    make_past(wang, &past);
    (void)classify("0", "0", "0");
    company_settle(&company);
    const char *const reassign[] = {"customer", "reassign", past.shop, "--territory",
                                    "South",    "--owner",  "zhao",    NULL};
    server_must(&company.server, reassign);
    company_settle(&company);
    assert_string_equal(class_of("sales_order", past.order), "/archive");
    assert_int_equal(rep_count(zhao, "SELECT count(*) FROM customer WHERE id = ?1", past.shop), 1);
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM customer WHERE id = ?1", past.shop), 0);
    assert_int_equal(rows_of(zhao, &past), 0);
    char line[300];
    (void)snprintf(line, sizeof line,
                   "{\"entity\":\"sales_order\",\"id\":\"%s\",\"note\":\"looked at again\"}\n",
                   past.order);
    server_import(&company.server, line);
    company_settle(&company);
    assert_field(zhao, "sales_order", past.order, "note", "looked at again");
    assert_field(zhao, "sales_order", past.order, "total", "1000");
    assert_int_equal(rows_of(wang, &past), 0);
}

/* X30: a target is its person's, the managers' and the office's; nobody writes it on a device. */
static void test_classes__a_target_is_its_persons(void **state)
{
    char sql[200];
    struct client client;
    (void)state;
    const char *const report[] = {"user", "change", "wang", "--manager", "boss", NULL};
    server_must(&company.server, report);
    server_import(&company.server,
                  "{\"entity\":\"target\",\"key\":\"t1\",\"user_id\":{\"key\":\"wang\"},"
                  "\"metric\":\"kanarienvogel\",\"period_from\":20260101,\"period_to\":20260131,"
                  "\"cur\":\"CNY\",\"base_amount\":\"12500000000\"}\n");
    struct rep *li = company_hire(&company, "li", "rep", "East");
    company_settle(&company);
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM target WHERE base_amount = 12500000000");
    assert_int_equal(rep_count(wang, sql, NULL), 1);
    assert_int_equal(rep_count(boss, sql, NULL), 1);
    assert_int_equal(rep_count(office, sql, NULL), 1);
    assert_int_equal(rep_count(li, sql, NULL), 0);
    assert_false(tap_has_received(&li->tap, "kanarienvogel"));
    assert_false(tap_has_received(&zhao->tap, "kanarienvogel"));
    client_init(&client, &company.server);
    client_enrol(&client, "wang");
    char id[CLIENT_ID_SIZE], changes[300];
    client_new_id(id);
    (void)snprintf(changes, sizeof changes,
                   "[{\"entity\":\"target\",\"op\":\"new\",\"fields\":[\"metric\"],"
                   "\"rows\":[[0,\"%s\",\"mine\"]]}]",
                   id);
    assert_string_equal(client_push(&client, changes), "rejected");
    assert_string_equal(client_detail(&client, "code"), "READONLY");
    client_clear(&client);
    /* Handed over to somebody else, it goes there. */
    server_import(&company.server, "{\"entity\":\"target\",\"key\":\"t1\","
                                   "\"user_id\":{\"key\":\"li\"}}\n");
    company_settle(&company);
    assert_int_equal(rep_count(wang, sql, NULL), 0);
    assert_int_equal(rep_count(boss, sql, NULL), 0);
    assert_int_equal(rep_count(li, sql, NULL), 1);
}

/* A device that leaves recent documents out loses them, keeps its work on them, and has them again
 * when it asks for them. */
static void test_classes__a_device_may_leave_recent_documents_out(void **state)
{
    struct past past;
    (void)state;
    struct rep *sun = company_hire(&company, "sun", "rep", "East");
    make_past(wang, &past);
    rep_sync(sun);
    rep_patch(sun, "visit", past.visit, "{\"feedback\":\"pending\"}");
    (void)classify("0", "90", "0");
    rep_sync(wang);
    device_close(&sun->device);
    sun->device.options.leave_recent = true;
    device_open(&sun->device);
    rep_sync(sun);
    assert_int_equal(rep_count(sun, "SELECT count(*) FROM sales_order WHERE id = ?1", past.order),
                     0);
    assert_int_equal(
        rep_count(sun, "SELECT count(*) FROM buckets WHERE label LIKE '%/recent'", NULL), 0);
    assert_field(sun, "visit", past.visit, "feedback", "pending");
    assert_string_equal(class_of("visit", past.visit), "");
    device_close(&sun->device);
    sun->device.options.leave_recent = false;
    device_open(&sun->device);
    company_settle(&company);
    assert_field(sun, "sales_order", past.order, "note", "old");
    sun->left = true;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes__what_is_over_goes_to_recent_and_to_the_archive),
        cmocka_unit_test(test_classes__work_under_way_brings_a_document_back),
        cmocka_unit_test(test_classes__the_last_of_each_customer_stay),
        cmocka_unit_test(test_classes__the_archive_goes_where_its_customer_goes),
        cmocka_unit_test(test_classes__a_target_is_its_persons),
        cmocka_unit_test(test_classes__a_device_may_leave_recent_documents_out),
    };
    return cmocka_run_group_tests_name("classes", tests, set_up, tear_down);
}
