/* SPDX-License-Identifier: Apache-2.0
 *
 * What a service does with the quarantine beyond one changeset: all of it is listed, and a server
 * that starts with a newer schema lets go what waited for that, whatever else waits. The rows of
 * the quarantine are written from outside, as an older server would have left them.
 */
#include "tests/unit/service_world.h"

#include <sqlite3.h>

/* Runs SQL on the store's file. */
static void run_sql(struct world *world, const char *sql)
{
    sqlite3 *database;
    char *problem = NULL;
    const char *path = format(world, "%s/server.db", world->folder);
    assert_int_equal(sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(database, 5000), SQLITE_OK);
    if (sqlite3_exec(database, sql, NULL, NULL, &problem) != SQLITE_OK) {
        fail_msg("%s", problem);
    }
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

/* A customer with a field of a newer schema in a form that waits for it; the server's number of
 * the device. */
static void push_newer(struct world *world, struct phone *phone)
{
    struct id id = new_id(world);
    struct id changeset_id = new_id(world);
    const char *blocks = format(world,
                                "[{\"entity\":\"shiny\",\"op\":\"new\",\"fields\":[\"name\"],"
                                "\"rows\":[[0,\"%s\",\"C\"]]}]",
                                wire(world, &id));
    const char *reply = sync_phone(
        world, phone,
        format(world,
               "[{\"id\":\"%s\",\"seq\":%lld,\"epoch\":\"%llu\",\"hlc\":\"1\",\"boot\":\"1\","
               "\"steady\":\"1\",\"schema\":%d,\"changes\":%s}]",
               wire(world, &changeset_id), (long long)++phone->seq,
               (unsigned long long)phone->epoch, SCHEMA_VERSION + 1, blocks));
    expect_in(reply, "quarantined");
}

static int count_in(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part)) {
        count++;
    }
    return count;
}

/* Given a long quarantine of one phone, one changeset of another that cannot be read any more, and
 * one of a third, when the server has come to know the schema, then the third is decided, and all
 * that waits on is listed. */
static void test_service_quarantine__one_phone_does_not_keep_the_others(void **state)
{
    struct world *world = *state;
    struct phone phones[3];
    static const char *const logins[] = {"li", "wang", "tom"};
    for (int i = 0; i < 3; i++) {
        phones[i] = enrol(world, logins[i]);
        (void)load_phone(world, &phones[i]);
        push_newer(world, &phones[i]);
    }
    /* Li is disabled, say; wang's text is broken; what tom's says is known by now. */
    run_sql(world, "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 1300)"
                   " INSERT INTO quarantine(device_no, seq, org, changeset, user_id, why,"
                   " received_ms, boot, steady_ms, ended, size, body)"
                   " SELECT device_no, i, org, randomblob(16), user_id, 'AUTH', 1, 1, 1, 0, 2, '{}'"
                   " FROM quarantine, n WHERE device_no = (SELECT min(device_no) FROM quarantine);"
                   "UPDATE quarantine SET body = 'no text' WHERE device_no ="
                   " (SELECT min(device_no) + 1 FROM quarantine);"
                   "UPDATE quarantine SET body = replace(body, 'shiny', 'customer')"
                   " WHERE device_no = (SELECT max(device_no) FROM quarantine)");
    assert_int_equal(srv_service_learn(world->service), DAYBOOK_CORRUPT);
    const char *reply = sync_phone(world, &phones[2], NULL);
    expect_in(reply, "[1,\"accepted\"");
    const char *list = command(world, DAYBOOK_OK, "quarantine list");
    assert_int_equal(count_in(list, "  li\n"), 1300);
    assert_int_equal(count_in(list, "  wang\n"), 1);
    assert_int_equal(count_in(list, "  tom\n"), 0);
    /* The next start is no worse. */
    assert_int_equal(srv_service_learn(world->service), DAYBOOK_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_service_quarantine__one_phone_does_not_keep_the_others,
                                        setup_service, teardown_service),
    };
    return cmocka_run_group_tests_name("service_quarantine", tests, NULL, NULL);
}
