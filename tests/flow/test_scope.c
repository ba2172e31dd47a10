/* SPDX-License-Identifier: Apache-2.0
 *
 * Who sees what: not a byte of another territory comes down, in records, markers, verdicts or
 * conflicts; reps, managers, the back office; devices that are signed out.
 */
#include "tests/support/company.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Stands in every text field of the South. */
#define CANARY "kanarienvogel"

static struct company company;
static struct rep *wang, *tom, *eva, *office;

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    wang = company_hire(&company, "wang", "rep", "East");
    tom = company_hire(&company, "tom", "rep", "South");
    eva = company_hire(&company, "eva", "rep", "South");
    office = company_hire(&company, "office", "back_office", NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

/* A day in the South with everything in it: documents, conflicts, a rejection, deletes, revivals,
 * own keys and keys of a newer schema. */
static void day_in_the_south(char shop[DAYBOOK_ID_SIZE])
{
    char quote[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE], gone[DAYBOOK_ID_SIZE];
    rep_quote(tom, CANARY " shop", shop, quote, line);
    rep_putf(tom, "contact", NULL, "{\"customer_id\":\"%s\",\"name\":\"" CANARY " name\"}", shop);
    rep_patch(tom, "customer", shop,
              "{\"custom\":{\"" CANARY "\":\"" CANARY "\"},\"tags\":[\"" CANARY "\"],"
              "\"address_city\":\"" CANARY "\"}");
    rep_putf(tom, "visit", NULL, "{\"customer_id\":\"%s\",\"feedback\":\"" CANARY " feedback\"}",
             shop);
    rep_put(tom, "customer", "{\"name\":\"" CANARY " gone\"}", gone);
    rep_sync(tom);
    rep_sync(eva);
    rep_patch(tom, "quote", quote, "{\"note\":\"" CANARY " tom\"}");
    rep_patch(eva, "quote", quote, "{\"note\":\"" CANARY " eva\"}");
    rep_delete(tom, "quote_line", line);
    rep_patch(eva, "quote_line", line, "{\"sort_key\":\"" CANARY "\"}");
    rep_delete(tom, "customer", gone);
    rep_putf(eva, "visit", NULL, "{\"customer_id\":\"%s\",\"feedback\":\"" CANARY " refused\"}",
             gone);
    rep_sync(tom);
    rep_sync(eva);
    rep_sync(tom);
}

static void test_scope__no_byte_of_another_territory_comes_down(void **state)
{
    char shop[DAYBOOK_ID_SIZE], wire[CLIENT_ID_SIZE], mine[DAYBOOK_ID_SIZE], json[200];
    (void)state;
    tap_forget(&wang->tap);
    tap_forget(&tom->tap);
    for (int i = 0; i < 3; i++) {
        day_in_the_south(shop);
        rep_sync(wang);
        rep_put(wang, "customer", "{\"name\":\"in the East\"}", mine);
    }
    client_id(shop, wire);
    rep_sync(wang);
    company_settle(&company);

    /* Wang tries to get at it, and learns nothing. */
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\"}", shop);
    daybook_status status = rep_try_put(wang, "visit", json);
    if (status == DAYBOOK_OK) {
        rep_sync(wang);
        assert_string_equal(device_text(&wang->device, "SELECT code FROM inbox"), "REF_MISSING");
    }
    struct client client;
    client_init(&client, &company.server);
    client_enrol(&client, "wang");
    /* Claiming that the buckets are held already, or other ones, changes nothing. */
    static const char *const scopes[] = {"", ",\"scope\":[]", ",\"scope\":[1,2,3,4,5,6,7]",
                                         ",\"scope\":[3]"};
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
        char members[200];
        (void)snprintf(members, sizeof members,
                       "%s,\"loading\":[[1],[2],[3],[4],[5],[6],[7],[8],[9]]", scopes[i]);
        client.position = 1; /* the whole log, and all pages */
        assert_int_equal(client_sync(&client, members), 200);
        assert_non_null(strstr(dk_buffer_text(&client.text), "\"log\""));
        assert_non_null(strstr(dk_buffer_text(&client.text), "\"pages\""));
        assert_non_null(strstr(dk_buffer_text(&client.text), "in the East"));
        assert_null(strstr(dk_buffer_text(&client.text), CANARY));
        assert_null(strstr(dk_buffer_text(&client.text), wire));
    }
    client_clear(&client);

    /* What came down is not nothing, and holds the canary for those who may see it. */
    assert_true(tap_has_received(&tom->tap, CANARY));
    assert_true(tap_has_received(&wang->tap, "\"own\""));
    assert_false(tap_has_received(&wang->tap, CANARY));
    assert_false(tap_has_received(&wang->tap, wire));
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM field_conflict", NULL), 0);
    assert_true(rep_count(tom, "SELECT count(*) FROM field_conflict", NULL) > 0);
}

static void test_scope__names_of_other_territories_are_the_organisations(void **state)
{
    (void)state;
    /* Territories and colleagues are records of the organisation: everybody has them. Only the
     * buckets, which tell where there is something, are one's own. */
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM buckets", NULL), 2);
    assert_int_equal(rep_count(office, "SELECT count(*) FROM buckets", NULL),
                     server_int(&company.server, "SELECT count(*) FROM bucket"));
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM product", NULL), 2);
}

static void test_scope__office_works_in_all_territories(void **state)
{
    char shop[DAYBOOK_ID_SIZE];
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"East again\"}", shop);
    company_settle(&company);
    rep_patch(office, "customer", shop, "{\"kind\":\"by the office\"}");
    rep_putf(office, "visit", NULL, "{\"customer_id\":\"%s\",\"feedback\":\"phone\"}", shop);
    company_settle(&company);
    assert_field(wang, "customer", shop, "kind", "by the office");
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM visit WHERE customer_id = ?1", shop), 1);
}

/* A document cannot be carried over into a territory that its maker does not see. */
static void test_scope__record_stays_where_its_maker_sees_it(void **state)
{
    struct client client;
    char shop[DAYBOOK_ID_SIZE], south[DAYBOOK_ID_SIZE], id[CLIENT_ID_SIZE], target[CLIENT_ID_SIZE];
    char changes[400];
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"stays\"}", shop);
    rep_put(tom, "customer", "{\"name\":\"" CANARY "\"}", south);
    company_settle(&company);
    client_init(&client, &company.server);
    client_enrol(&client, "wang");
    client_id(south, target);
    /* A new contact at the other territory's customer; a move of an own one there. */
    client_new_id(id);
    (void)snprintf(changes, sizeof changes,
                   "[{\"entity\":\"contact\",\"op\":\"new\",\"fields\":[\"customer_id\",\"name\"],"
                   "\"rows\":[[0,\"%s\",\"%s\",\"spy\"]]}]",
                   id, target);
    assert_string_equal(client_push(&client, changes), "rejected");
    assert_string_equal(client_detail(&client, "code"), "REF_MISSING");
    client_new_id(id);
    char own[CLIENT_ID_SIZE];
    client_id(shop, own);
    (void)snprintf(changes, sizeof changes,
                   "[{\"entity\":\"contact\",\"op\":\"new\",\"fields\":[\"customer_id\",\"name\"],"
                   "\"rows\":[[0,\"%s\",\"%s\",\"own\"]]}]",
                   id, own);
    assert_string_equal(client_push(&client, changes), "accepted");
    (void)snprintf(changes, sizeof changes,
                   "[{\"entity\":\"contact\",\"op\":\"set\",\"fields\":[\"customer_id\"],"
                   "\"rows\":[[%lld,\"%s\",\"%s\"]]}]",
                   (long long)client_position(&client), id, target);
    assert_string_equal(client_push(&client, changes), "rejected");
    assert_string_equal(client_detail(&client, "code"), "REF_MISSING");
    client_clear(&client);
    company_settle(&company);
}

/* ---- signing in and out */

static void test_scope__unknown_token_and_none(void **state)
{
    struct client client;
    (void)state;
    client_init(&client, &company.server);
    (void)client_sync(&client, "");
    client_expect_error(&client, 401, "SIGN_IN");
    (void)snprintf(client.token, sizeof client.token, "%s",
                   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    (void)client_sync(&client, "");
    client_expect_error(&client, 401, "SIGN_IN");
    (void)client_post(&client, "/v1/lease",
                      "{\"protocol\":1,\"instance\":\"AZKfbDoAcACAAAAAAAAABQ\","
                      "\"old_instance\":\"AZKfbDoAcACAAAAAAAAABA\"}");
    client_expect_error(&client, 401, "SIGN_IN");
    client_clear(&client);
}

static void test_scope__enrolment_code_works_once(void **state)
{
    struct rep *second;
    char code[64];
    (void)state;
    second = company_add(&company, "zhao", "rep", "East");
    server_code(&company.server, "zhao", code);
    device_open(&second->device);
    device_sync_expect(&second->device, DAYBOOK_SIGN_IN);
    device_enrol(&second->device, code);
    device_sync(&second->device);

    struct client client;
    char json[300];
    client_init(&client, &company.server);
    (void)snprintf(json, sizeof json, "{\"protocol\":1,\"code\":\"%s\",\"instance\":\"%s\"}", code,
                   client.instance);
    (void)client_post(&client, "/v1/enrol", json);
    client_expect_error(&client, 403, "BAD_CODE");
    (void)snprintf(json, sizeof json,
                   "{\"protocol\":1,\"code\":\"0000-0000-0000\",\"instance\":\"%s\"}",
                   client.instance);
    (void)client_post(&client, "/v1/enrol", json);
    client_expect_error(&client, 403, "BAD_CODE");
    client_clear(&client);

    struct rep *third = company_add(&company, "qian", "rep", "East");
    device_open(&third->device);
    assert_int_equal(daybook_enrol(third->device.engine, code, "again", &third->device.error),
                     DAYBOOK_BAD_CODE);
    third->left = true;
    company_settle(&company);
}

/* The device's number, as `device list` shows it for a user. */
static void revoke_devices_of(const char *login)
{
    char out[8192], number[32] = "";
    const char *const list[] = {"device", "list", "--json", NULL};
    assert_int_equal(server_run(&company.server, out, sizeof out, list), 0);
    const char *problem = NULL;
    size_t offset = 0;
    cJSON *tree = NULL;
    assert_int_equal(dk_tree_parse(out, strlen(out), sizeof out, &tree, &problem, &offset),
                     DAYBOOK_OK);
    const cJSON *devices = cJSON_IsArray(tree) ? tree : dk_tree_member(tree, "devices");
    const cJSON *device;
    cJSON_ArrayForEach(device, devices)
    {
        const char *user = dk_tree_text(device, "login");
        int64_t no = 0;
        if (user != NULL && strcmp(user, login) == 0 &&
            dk_tree_integer(dk_tree_member(device, "device"), &no)) {
            (void)snprintf(number, sizeof number, "%lld", (long long)no);
        }
    }
    if (number[0] == '\0') {
        print_error("device list: %s\n", out);
    }
    cJSON_Delete(tree);
    assert_string_not_equal(number, "");
    const char *const revoke[] = {"device", "revoke", number, NULL};
    server_must(&company.server, revoke);
}

/* Given a rep who becomes a manager of another territory, when the device has synced, then it goes
 * by both: it lets its user take a manager's step, and what is made there is of the new territory.
 */
static void test_scope__role_and_territory_are_those_of_now(void **state)
{
    static const char approve[] = "{\"status\":\"approved\"}";
    const char *const rise[] = {"user", "change", "mei", "--role", "manager", NULL};
    const char *const move[] = {"user", "change", "mei", "--territory", "South", NULL};
    char shop[DAYBOOK_ID_SIZE], quote[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE], out[400];
    (void)state;
    struct rep *mei = company_hire(&company, "mei", "rep", "East");
    rep_quote(mei, "to be approved", shop, quote, line);
    rep_patch(mei, "quote", quote, "{\"status\":\"pending_approval\"}");
    company_settle(&company);
    assert_int_equal(rep_try_patch(mei, "quote", quote, DAYBOOK_ANY_VERSION, approve),
                     DAYBOOK_RULE);
    assert_int_equal(server_run(&company.server, out, sizeof out, rise), 0);
    rep_sync(mei);
    rep_patch(mei, "quote", quote, approve);
    company_settle(&company);
    assert_string_equal(company_field(&company, "quote", quote, "status"), "approved");
    assert_int_equal(server_run(&company.server, out, sizeof out, move), 0);
    rep_sync(mei);
    rep_put(mei, "customer", "{\"name\":\"in the South\"}", shop);
    rep_sync(mei);
    company_settle(&company);
    assert_field(tom, "customer", shop, "name", "in the South");
    rep_leave(mei);
}

static void test_scope__revoked_device_keeps_its_work_and_can_come_back(void **state)
{
    char shop[DAYBOOK_ID_SIZE], code[64];
    (void)state;
    struct rep *sun = company_hire(&company, "sun", "rep", "East");
    rep_put(sun, "customer", "{\"name\":\"before\"}", shop);
    rep_sync(sun);
    revoke_devices_of("sun");
    rep_patch(sun, "customer", shop, "{\"kind\":\"recorded without a token\"}");
    device_sync_expect(&sun->device, DAYBOOK_SIGN_IN);
    assert_int_equal(device_status(&sun->device).blocked, DAYBOOK_SIGN_IN);
    assert_int_equal(device_status(&sun->device).pending, 1);
    assert_field(sun, "customer", shop, "kind", "recorded without a token");
    assert_string_equal(company_field(&company, "customer", shop, "kind"), "");
    /* Somebody else's code is not for this store. */
    server_code(&company.server, "tom", code);
    assert_int_equal(daybook_enrol(sun->device.engine, code, "x", &sun->device.error),
                     DAYBOOK_INVALID);
    /* An own one is; nothing was lost. */
    server_code(&company.server, "sun", code);
    device_enrol(&sun->device, code);
    company_settle(&company);
    assert_field(wang, "customer", shop, "kind", "recorded without a token");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scope__no_byte_of_another_territory_comes_down),
        cmocka_unit_test(test_scope__names_of_other_territories_are_the_organisations),
        cmocka_unit_test(test_scope__office_works_in_all_territories),
        cmocka_unit_test(test_scope__record_stays_where_its_maker_sees_it),
        cmocka_unit_test(test_scope__unknown_token_and_none),
        cmocka_unit_test(test_scope__enrolment_code_works_once),
        cmocka_unit_test(test_scope__role_and_territory_are_those_of_now),
        cmocka_unit_test(test_scope__revoked_device_keeps_its_work_and_can_come_back),
    };
    return cmocka_run_group_tests_name("scope", tests, set_up, tear_down);
}
