/* SPDX-License-Identifier: Apache-2.0
 *
 * A company of 3,000 reps with a territory each: the back office, which sees everything, works as
 * in a small one, and so do the operator and the reps.
 */
#include "tests/support/company.h"

#include "engine/base/buffer.h"

#include <daybook/daybook.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define REPS 3000
#define IMPORT_BYTES_MAX ((size_t)4 * 1024 * 1024)

static struct company company;

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

/* Imports a line of this form for each rep, which has the rep's number so many times. */
static void import_all(const char *form, int times)
{
    struct buffer lines;
    dk_buffer_init(&lines, IMPORT_BYTES_MAX);
    for (int i = 0; i < REPS; i++) {
        const char *rest = form, *place;
        for (int n = 0; n < times; n++) {
            place = strchr(rest, '#');
            assert_non_null(place);
            dk_buffer_append(&lines, rest, (size_t)(place - rest));
            dk_buffer_append_int(&lines, i);
            rest = place + 1;
        }
        dk_buffer_append_text(&lines, rest);
    }
    assert_int_equal(lines.status, DAYBOOK_OK);
    server_import(&company.server, dk_buffer_text(&lines));
    dk_buffer_clear(&lines);
}

/* Given a company in which each of very many reps has a territory, targets of their own and a
 * customer, when its back office syncs for the first time, then it has all of them; what a rep does
 * comes to it, and what it does to the rep; the operator's commands work; and all replicas are
 * right. */
static void test_large__the_back_office_sees_everything(void **state)
{
    char shop[DAYBOOK_ID_SIZE];
    (void)state;
    import_all("{\"entity\":\"territory\",\"key\":\"t#\",\"name\":\"Territory #\"}\n", 2);
    import_all("{\"entity\":\"app_user\",\"key\":\"u#\",\"login\":\"u#\",\"name\":\"User #\","
               "\"user_role\":\"rep\",\"territory_id\":{\"key\":\"t#\"}}\n",
               4);
    import_all("{\"entity\":\"target\",\"key\":\"a#\",\"user_id\":{\"key\":\"u#\"},"
               "\"metric\":\"revenue\",\"period_from\":20260101,\"period_to\":20261231}\n",
               2);
    import_all("{\"entity\":\"customer\",\"key\":\"c#\",\"name\":\"Customer #\","
               "\"territory_id\":{\"key\":\"t#\"}}\n",
               3);
    struct rep *office = company_hire(&company, "office", "back_office", NULL);
    struct rep *rep = company_add_device(&company, "u7");
    rep_begin(rep);
    assert_int_equal(device_int(&office->device, "SELECT count(*) FROM customer"), REPS);
    assert_int_equal(device_int(&office->device, "SELECT count(*) FROM target"), REPS);
    assert_int_equal(device_int(&rep->device, "SELECT count(*) FROM customer"), 1);
    rep_put(rep, "customer", "{\"name\":\"shop\"}", shop);
    company_settle(&company);
    rep_patch(office, "customer", shop, "{\"prefs\":\"tea\"}");
    company_settle(&company);
    assert_field(rep, "customer", shop, "prefs", "tea");
    company_check(&company, __FILE__, __LINE__);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large__the_back_office_sees_everything),
    };
    return cmocka_run_group_tests_name("large", tests, set_up, tear_down);
}
