/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets and maps near their limits: a change that fitted when it was recorded and does not fit on
 * what others have made of the record since. It does not show, the server decides on it, and
 * nothing else waits for it.
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

#define LONG_VISITS 14 /* so many do not fit into a first request */

static struct company company;
static struct rep *wang, *li;
static char shop[DAYBOOK_ID_SIZE];

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

/* {"tags":["t0060",…]}, valid until the next call. */
static const char *tags(int from, int to)
{
    static char json[4000];
    int length = snprintf(json, sizeof json, "{\"tags\":[");
    for (int i = from; i < to; i++) {
        length += snprintf(json + length, sizeof json - (size_t)length, "%s\"t%04d\"",
                           i == from ? "" : ",", i);
    }
    (void)snprintf(json + length, sizeof json - (size_t)length, "]}");
    return json;
}

/* {"custom":{"a00":value,…}}, valid until the next call. */
static const char *keys(const char *prefix, int count, const char *value)
{
    static char json[4000];
    int length = snprintf(json, sizeof json, "{\"custom\":{");
    for (int i = 0; i < count; i++) {
        length += snprintf(json + length, sizeof json - (size_t)length, "%s\"%s%02d\":%s",
                           i == 0 ? "" : ",", prefix, i, value);
    }
    (void)snprintf(json + length, sizeof json - (size_t)length, "}}");
    return json;
}

/* Visits with long texts. */
static void long_visits(struct rep *rep)
{
    char feedback[3501] = "";
    memset(feedback, 'x', sizeof feedback - 1);
    for (int i = 0; i < LONG_VISITS; i++) {
        rep_visit(rep, shop, feedback, NULL);
    }
}

/* Elements of the set, or keys of the map, that the device shows. */
static int64_t shown(struct rep *rep, const char *field)
{
    char sql[160];
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM customer c, json_each(c.%s) WHERE c.id = ?1", field);
    return rep_count(rep, sql, shop);
}

static void test_limits__set_that_others_filled_meanwhile(void **state)
{
    char theirs[DAYBOOK_ID_SIZE];
    (void)state;
    rep_patch(wang, "customer", shop, tags(100, 250));
    company_settle(&company);
    rep_patch(li, "customer", shop, tags(60, 250)); /* 190 of 200 */
    rep_visit(li, shop, "of Li's", theirs);
    rep_sync(li);

    long_visits(wang);
    rep_patch(wang, "customer", shop, tags(100, 280)); /* 30 more, which do not fit with Li's */
    assert_int_equal(shown(wang, "tags"), 180);

    device_close(&wang->device); /* how fast the line is, is not known any more */
    device_open(&wang->device);
    /* Li's come with the answer to the first part of Wang's work, before the tags are decided on */
    rep_sync(wang);
    assert_field(wang, "visit", theirs, "feedback", "of Li's");
    assert_int_equal(device_status(&wang->device).pending, 0);
    assert_int_equal(shown(wang, "tags"), 190);
    assert_int_equal(server_int(&company.server, "SELECT count(*) FROM s_visit"), LONG_VISITS + 1);
    assert_int_equal(rep_count(wang,
                               "SELECT count(*) FROM inbox WHERE kind = 'rejected' AND code ="
                               " 'LIMIT' AND field = 'tags' AND record_id = ?1",
                               shop),
                     1);
    company_settle(&company);
}

static void test_limits__map_that_an_undo_fills_again(void **state)
{
    char closed[DAYBOOK_ID_SIZE], json[128], id[DAYBOOK_ID_SIZE];
    daybook_transaction *transaction = NULL;
    daybook_error *error = &li->device.error;
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"closed\"}", closed);
    rep_patch(wang, "customer", shop, keys("k", 100, "1"));
    company_settle(&company);
    rep_delete(wang, "customer", closed);
    rep_patch(wang, "customer", shop, "{\"prefs\":\"news for Li\"}");
    rep_sync(wang);

    /* Li takes keys away in a transaction that will be rejected, and fills the room */
    device_must(daybook_begin(li->device.engine, &transaction), NULL);
    device_must(daybook_patch_json(transaction, "customer", shop,
                                   device_version(&li->device, "customer", shop),
                                   keys("k", 30, "null"), error),
                error);
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\",\"name\":\"Bob\"}", closed);
    device_must(daybook_put_json(transaction, "contact", NULL, DAYBOOK_NEW, json, id, error),
                error);
    device_must(daybook_commit(transaction, error), error);
    daybook_end(&transaction);
    rep_patch(li, "customer", shop, keys("n", 30, "2"));
    rep_visit(li, shop, "the work of the day", NULL);
    assert_int_equal(shown(li, "custom"), 100);

    rep_sync(li);
    assert_int_equal(device_status(&li->device).pending, 0);
    assert_field(li, "customer", shop, "prefs", "news for Li");
    assert_int_equal(shown(li, "custom"), 100);
    assert_int_equal(company_visits(&company, "the work of the day"), 1);
    company_settle(&company);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_limits__set_that_others_filled_meanwhile, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_limits__map_that_an_undo_fills_again, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
