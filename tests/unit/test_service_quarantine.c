/* SPDX-License-Identifier: Apache-2.0
 *
 * What a service does with the quarantine beyond one changeset: all of it is listed, and a server
 * that starts with a newer schema lets go what waited for that, whatever else waits. The rows of
 * the quarantine are written from outside, as an older server would have left them.
 */
#include "tests/unit/service_world.h"

/* Sends the making of a record of a kind that the server does not know, which waits, as a changeset
 * of this id. */
static void push_newer(struct world *world, struct phone *phone, const struct id *changeset_id,
                       const struct id *id)
{
    const char *blocks = format(world,
                                "[{\"entity\":\"shiny\",\"op\":\"new\",\"fields\":[\"name\"],"
                                "\"rows\":[[0,\"%s\",\"C\"]]}]",
                                wire(world, id));
    const char *reply = sync_phone(
        world, phone,
        format(world,
               "[{\"id\":\"%s\",\"seq\":%lld,\"epoch\":\"%llu\",\"hlc\":\"1\",\"boot\":\"1\","
               "\"steady\":\"1\",\"schema\":%d,\"changes\":%s}]",
               wire(world, changeset_id), (long long)++phone->seq, (unsigned long long)phone->epoch,
               SCHEMA_VERSION + 1, blocks));
    expect_in(reply, "quarantined");
}

/* Sends a customer's edit, based on nothing; it waits. */
static void push_waiting_edit(struct world *world, struct phone *phone, const struct id *id)
{
    const char *blocks = format(world,
                                "[{\"entity\":\"customer\",\"op\":\"set\",\"fields\":[\"prefs\"],"
                                "\"rows\":[[0,\"%s\",\"tea\"]]}]",
                                wire(world, id));
    const char *edit = changeset(world, phone, ++phone->seq, blocks);
    expect_in(sync_phone(world, phone, format(world, "[%s]", edit)),
              "\"quarantined\",0,{\"code\":\"DEPENDS\"");
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
        struct id changeset_id = new_id(world), id = new_id(world);
        push_newer(world, &phones[i], &changeset_id, &id);
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

/* Given a changeset that waits, what depends on it, and a copy of the phone that has sent the first
 * anew, so that it is the copy's, when an operator lets it go, then the other follows. */
static void test_service_quarantine__what_waits_for_a_copys_follows(void **state)
{
    struct world *world = *state;
    struct phone original = enrol(world, "li"), copy = enrol(world, "li");
    struct id changeset_id = new_id(world), id = new_id(world);
    char text[ID_TEXT_SIZE];
    (void)load_phone(world, &original);
    (void)load_phone(world, &copy);
    push_newer(world, &original, &changeset_id, &id);
    push_waiting_edit(world, &original, &id);
    push_newer(world, &copy, &changeset_id, &id);
    run_sql(world, "UPDATE quarantine SET body = replace(body, 'shiny', 'customer')");
    dk_id_to_text(&changeset_id, text);
    const char *out = command(world, DAYBOOK_OK, format(world, "quarantine release %s", text));
    assert_int_equal(count_in(out, "accepted"), 2);
    expect_in(sync_phone(world, &original, NULL), "[2,\"accepted\"");
}

/* Given three phones of which each has what waits for something of the next one's, when the server
 * has come to know the schema that the last one's waits for, then all of it is decided at that
 * start, not one phone's with each. */
static void test_service_quarantine__what_waits_for_a_later_phone_is_released_with_it(void **state)
{
    struct world *world = *state;
    static const char *const logins[] = {"li", "wang", "li"};
    struct phone phones[3];
    struct id made[3];
    for (int i = 0; i < 3; i++) {
        phones[i] = enrol(world, logins[i]);
        (void)load_phone(world, &phones[i]);
        made[i] = new_id(world);
    }
    for (int i = 2; i >= 0; i--) {
        if (i < 2) {
            push_waiting_edit(world, &phones[i], &made[i + 1]);
        }
        if (i > 0) {
            struct id changeset_id = new_id(world);
            push_newer(world, &phones[i], &changeset_id, &made[i]);
        }
    }
    run_sql(world, "UPDATE quarantine SET body = replace(body, 'shiny', 'customer')");
    assert_int_equal(srv_service_learn(world->service), DAYBOOK_OK);
    const char *list = command(world, DAYBOOK_OK, "quarantine list");
    assert_int_equal(count_in(list, "DEPENDS") + count_in(list, "SCHEMA"), 0);
    for (int i = 0; i < 3; i++) {
        expect_in(sync_phone(world, &phones[i], NULL), "[1,\"accepted\"");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_service_quarantine__one_phone_does_not_keep_the_others,
                                        setup_service, teardown_service),
        cmocka_unit_test_setup_teardown(test_service_quarantine__what_waits_for_a_copys_follows,
                                        setup_service, teardown_service),
        cmocka_unit_test_setup_teardown(
            test_service_quarantine__what_waits_for_a_later_phone_is_released_with_it,
            setup_service, teardown_service),
    };
    return cmocka_run_group_tests_name("service_quarantine", tests, NULL, NULL);
}
