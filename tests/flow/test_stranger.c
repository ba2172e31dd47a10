/* SPDX-License-Identifier: Apache-2.0
 *
 * A client that is none of ours, or a hostile one, speaks the protocol to the real server: writes
 * that are not its to make, numbers out of order, references out of its scope, fields of a newer
 * schema. The server refuses with the right word, changes nothing, and lives on.
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

static struct company company;
static struct rep *wang, *tom;
static struct client client; /* of Wang's user */
static char shop[DAYBOOK_ID_SIZE], quote[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
static char secret_shop[DAYBOOK_ID_SIZE]; /* of Tom's territory */

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    wang = company_hire(&company, "wang", "rep", "East");
    tom = company_hire(&company, "tom", "rep", "South");
    rep_quote(wang, "shop", shop, quote, line);
    rep_put(tom, "customer", "{\"name\":\"secret\"}", secret_shop);
    company_settle(&company);
    client_init(&client, &company.server);
    client_enrol(&client, "wang");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    client_clear(&client);
    company_close(&company);
    return 0;
}

/* One block with one row: {"entity":…,"op":…,"fields":[…],"rows":[[seen,"id",…]]}. */
static const char *block(const char *entity, const char *op, const char *fields, int64_t seen,
                         const char *id, const char *values)
{
    static char json[8192];
    bool is_delete = strcmp(op, "delete") == 0;
    (void)snprintf(json, sizeof json,
                   "[{\"entity\":\"%s\",\"op\":\"%s\"%s%s%s,\"rows\":[[%lld,\"%s\"%s%s]]}]", entity,
                   op, is_delete ? "" : ",\"fields\":[", is_delete ? "" : fields,
                   is_delete ? "" : "]", (long long)seen, id, values[0] == '\0' ? "" : ",", values);
    return json;
}

/* Pushes one change to a new record or, with a UUID, to one that is there, as seen at the head. */
static const char *push(const char *entity, const char *op, const char *uuid, const char *fields,
                        const char *values)
{
    char id[CLIENT_ID_SIZE];
    if (uuid == NULL) {
        client_new_id(id);
    } else {
        client_id(uuid, id);
    }
    int64_t head = server_int(&company.server, "SELECT head FROM org");
    return client_push(&client,
                       block(entity, op, fields, strcmp(op, "new") == 0 ? 0 : head, id, values));
}

static void rejected(const char *kind, const char *code, const char *field, const char *what)
{
    if (strcmp(kind, "rejected") != 0 || strcmp(client_detail(&client, "code"), code) != 0 ||
        strcmp(client_detail(&client, "field"), field) != 0) {
        print_error("%s: HTTP %d, %s %s %s\n", what, client.http_status, kind,
                    client_detail(&client, "code"), client_detail(&client, "field"));
    }
    assert_int_equal(client.http_status, 200);
    assert_string_equal(kind, "rejected");
    assert_string_equal(client_detail(&client, "code"), code);
    assert_string_equal(client_detail(&client, "field"), field);
}

static void test_stranger__writes_of_fields_that_are_not_its_own(void **state)
{
    static const struct {
        const char *entity, *op, *field, *value, *code;
    } cases[] = {
        {"quote", "set", "cur", "\"EUR\"", "IMMUTABLE"},
        {"quote", "set", "rev", "7", "IMMUTABLE"},
        {"quote", "set", "total", "\"1\"", "READONLY"},
        {"quote", "set", "subtotal", "\"1\"", "READONLY"},
        {"quote", "set", "status", "\"approved\"", "TRANSITION"},
        {"quote", "set", "status", "null", "TRANSITION"},
        {"quote_line", "set", "tax_bp", "0", "READONLY"},
        {"quote_line", "set", "amount", "\"0\"", "READONLY"},
        {"customer", "set", "tier", "\"A\"", "READONLY"},
        {"customer", "set", "owner_id", "null", "READONLY"},
        {"customer", "set", "norm_name", "\"x\"", "READONLY"},
        {"customer", "set", "created_ts", "\"1\"", "READONLY"},
        {"customer", "set", "nonsense", "1", "SCHEMA"},
        {"customer", "set", "name", "7", "SCHEMA"},
        {"customer", "set", "name", "null", "REQUIRED"},
        {"customer", "set", "name", "\"\"", "REQUIRED"},
        {"customer", "set", "phone_e164", "\"012345678901234567890\"", "SCHEMA"},
        {"customer", "set", "lat_e7", "900000001", "SCHEMA"},
        {"customer", "set", "consent", "\"true\"", "SCHEMA"},
        {"quote_line", "set", "sort_key", "[1]", "SCHEMA"},
        {"quote", "set", "valid_to", "20260231", "SCHEMA"},
        {"quote", "set", "header_disc_bp", "10001", "SCHEMA"},
        {"quote", "set", "header_disc_bp", "-1", "RULE"},
        {"customer", "set", "tags", "{\"add\":[\"a\"],\"remove\":[\"a\"]}", "SCHEMA"},
        {"customer", "set", "custom", "{\"a\":[1]}", "SCHEMA"},
        {"product", "set", "name", "\"mine\"", "READONLY"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char field[60];
        const char *id = strcmp(cases[i].entity, "quote") == 0        ? quote
                         : strcmp(cases[i].entity, "quote_line") == 0 ? line
                         : strcmp(cases[i].entity, "product") == 0    ? TEA
                                                                      : shop;
        (void)snprintf(field, sizeof field, "\"%s\"", cases[i].field);
        const char *kind = push(cases[i].entity, cases[i].op, id, field, cases[i].value);
        if (strcmp(cases[i].entity, "product") == 0) {
            assert_string_equal(kind, "rejected");
            assert_string_equal(client_detail(&client, "code"), cases[i].code);
        } else {
            rejected(kind, cases[i].code, cases[i].field, cases[i].value);
        }
    }
    company_settle(&company);
    assert_string_equal(company_field(&company, "quote", quote, "cur"), "CNY");
    assert_string_equal(company_field(&company, "customer", shop, "name"), "shop");
}

static void test_stranger__entities_and_records_that_are_not_its_own(void **state)
{
    char ref[100], id[CLIENT_ID_SIZE];
    (void)state;
    rejected(push("organisation", "new", NULL, "\"name\",\"cur\"", "\"x\",\"EUR\""), "READONLY", "",
             "organisation");
    rejected(push("app_user", "new", NULL, "\"name\",\"login\",\"user_role\"",
                  "\"x\",\"x\",\"back_office\""),
             "READONLY", "", "app_user");
    rejected(push("field_conflict", "new", NULL, "\"entity_name\"", "\"x\""), "READONLY", "",
             "field_conflict");
    rejected(push("nonsense", "new", NULL, "\"name\"", "\"x\""), "SCHEMA", "", "nonsense");
    rejected(push("customer", "new", NULL, "\"kind\"", "\"x\""), "REQUIRED", "name", "no name");

    /* A child without a parent, a line of a document that is none. */
    client_id(TEA, id);
    (void)snprintf(ref, sizeof ref, "\"%s\",\"1\",\"1\"", id);
    rejected(push("quote_line", "new", NULL, "\"product_id\",\"qty\",\"price_e4\"", ref),
             "REQUIRED", "quote_id", "no document");
    client_id(shop, id);
    (void)snprintf(ref, sizeof ref, "\"%s\",\"%s\",\"1000\",\"1\"", id, id);
    rejected(
        push("quote_line", "new", NULL, "\"quote_id\",\"product_id\",\"qty\",\"price_e4\"", ref),
        "REF_MISSING", "quote_id", "a customer is no quote");
    rejected(push("customer", "new", shop, "\"name\"", "\"again\""), "EXISTS", "", "twice");
    company_settle(&company);
}

static void test_stranger__what_is_out_of_scope_is_as_if_it_were_not(void **state)
{
    char ref[2][100], id[CLIENT_ID_SIZE], nobody[CLIENT_ID_SIZE];
    char answers[2][3][400];
    (void)state;
    client_new_id(nobody);
    client_id(secret_shop, id);
    (void)snprintf(ref[0], sizeof ref[0], "\"%s\"", id);
    (void)snprintf(ref[1], sizeof ref[1], "\"%s\"", nobody);
    int64_t head = server_int(&company.server, "SELECT head FROM org");
    for (int i = 0; i < 2; i++) {
        const char *target = i == 0 ? id : nobody;
        rejected(push("visit", "new", NULL, "\"customer_id\"", ref[i]), "REF_MISSING",
                 "customer_id", "visit");
        (void)snprintf(answers[i][0], sizeof answers[i][0], "%s|%s|%s",
                       client_detail(&client, "code"), client_detail(&client, "field"),
                       client_detail(&client, "rule"));
        assert_string_equal(client_push(&client, block("customer", "set", "\"name\"", head, target,
                                                       "\"taken over\"")),
                            "rejected");
        (void)snprintf(answers[i][1], sizeof answers[i][1], "%s|%s|%s",
                       client_detail(&client, "code"), client_detail(&client, "field"),
                       client_detail(&client, "rule"));
        assert_string_equal(client_push(&client, block("customer", "delete", "", head, target, "")),
                            "rejected");
        (void)snprintf(answers[i][2], sizeof answers[i][2], "%s|%s|%s",
                       client_detail(&client, "code"), client_detail(&client, "field"),
                       client_detail(&client, "rule"));
    }
    for (int i = 0; i < 3; i++) {
        assert_string_equal(answers[0][i], answers[1][i]);
        assert_memory_equal(answers[0][i], "REF_MISSING", strlen("REF_MISSING"));
    }
    assert_string_equal(company_field(&company, "customer", secret_shop, "name"), "secret");
    /* Making a record with the id of one that is out of scope does not overwrite it either. */
    assert_string_equal(
        client_push(&client, block("customer", "new", "\"name\"", 0, id, "\"mine now\"")),
        "rejected");
    assert_string_equal(company_field(&company, "customer", secret_shop, "name"), "secret");
    company_settle(&company);
}

static void test_stranger__numbers_out_of_order(void **state)
{
    struct client other;
    char id[CLIENT_ID_SIZE], changes[300];
    (void)state;
    client_init(&other, &company.server);
    client_enrol(&other, "wang");
    client_new_id(id);
    (void)snprintf(changes, sizeof changes, "%s",
                   block("customer", "new", "\"name\"", 0, id, "\"gap\""));
    (void)client_push_as(&other, (struct client_changeset){.changes = changes, .seq = 2});
    client_expect_error(&other, 409, "GAP");
    int64_t expected = 0;
    assert_true(dk_tree_integer(dk_tree_member(other.reply, "seq"), &expected));
    assert_int_equal(expected, 1);
    assert_string_equal(client_push(&other, changes), "accepted");

    /* The same number with other contents, the same id under another number: a copied store. */
    client_new_id(id);
    (void)client_push_as(
        &other, (struct client_changeset){
                    .changes = block("customer", "new", "\"name\"", 0, id, "\"other\""), .seq = 1});
    client_expect_error(&other, 409, "DIVERGED");
    char changeset[CLIENT_ID_SIZE];
    (void)snprintf(changeset, sizeof changeset, "%s", other.changeset);
    (void)client_push_as(&other,
                         (struct client_changeset){.changes = changes, .id = changeset, .seq = 2});
    assert_true(other.http_status == 409 || other.http_status == 200);
    assert_int_equal(
        server_int(&company.server, "SELECT count(*) FROM customer WHERE name IN ('gap', 'other')"),
        1);
    client_clear(&other);
    company_settle(&company);
}

static void test_stranger__group_in_part_over_somebody_elses_is_refused(void **state)
{
    char id[CLIENT_ID_SIZE];
    (void)state;
    int64_t seen = server_int(&company.server, "SELECT head FROM org");
    rep_patch(wang, "quote_line", line, "{\"disc_bp\":100}");
    rep_sync(wang);
    client_id(line, id);
    rejected(client_push(&client, block("quote_line", "set", "\"price_e4\"", seen, id, "\"999\"")),
             "SCHEMA", "price_e4", "part of a group");
    assert_string_equal(client_detail(&client, "rule"), "group");
    assert_string_equal(company_field(&company, "quote_line", line, "price_e4"), "123456");
    company_settle(&company);
}

/* The clock of a phone that is years ahead does not win for years. */
static void test_stranger__stamp_of_the_far_future_is_clamped(void **state)
{
    char id[CLIENT_ID_SIZE], note[DAYBOOK_ID_SIZE];
    (void)state;
    client_id(quote, id);
    int64_t head = server_int(&company.server, "SELECT head FROM org");
    struct client_changeset changeset = {
        .changes = block("quote", "set", "\"note\"", head, id, "\"from the future\""),
        .time_ms = 4102444800000};
    assert_string_equal(client_push_as(&client, changeset), "accepted");
    const cJSON *verdict = cJSON_GetArrayItem(dk_tree_member(client.reply, "verdicts"), 0);
    assert_true(cJSON_IsTrue(dk_tree_member(cJSON_GetArrayItem(verdict, 3), "clock")));
    /* Wang has not seen it, and is later by the server's clock. */
    int64_t shown = device_version(&wang->device, "quote", quote);
    tap_set_ahead(&wang->tap, 5000);
    rep_patch_at(wang, "quote", quote, shown, "{\"note\":\"from now\"}");
    tap_set_ahead(&wang->tap, 0);
    company_settle(&company);
    assert_field(wang, "quote", quote, "note", "from now");
    (void)note;
}

/* Fields that this server does not know, from a newer app: kept, merged by key, given to others. */
static void test_stranger__fields_of_a_newer_schema_survive(void **state)
{
    struct client reader;
    char id[CLIENT_ID_SIZE];
    (void)state;
    client_id(shop, id);
    int64_t head = server_int(&company.server, "SELECT head FROM org");
    struct client_changeset newer = {.changes = block("customer", "set",
                                                      "\"kind\",\"pronoun\",\"scores\"", head, id,
                                                      "\"chain\",\"she\",[1,2.5e3,{\"a\":null}]"),
                                     .schema = 1000};
    assert_string_equal(client_push_as(&client, newer), "accepted");
    /* The same from a client of this schema is an error of its own. */
    rejected(push("customer", "set", shop, "\"pronoun\"", "\"he\""), "SCHEMA", "pronoun",
             "unknown field");
    assert_string_equal(client_detail(&client, "rule"), "field");

    /* Wang's engine does not know them either; it edits the record and syncs. */
    rep_sync(wang);
    assert_field(wang, "customer", shop, "kind", "chain");
    rep_patch(wang, "customer", shop, "{\"kind\":\"kiosk\"}");
    company_settle(&company);
    device_close(&wang->device);
    device_open(&wang->device);
    company_settle(&company);

    /* A reader that knows them finds them as they were. */
    client_init(&reader, &company.server);
    client_enrol(&reader, "wang");
    client_load(&reader);
    const char *text = dk_buffer_text(&reader.text);
    assert_non_null(strstr(text, "\"pronoun\""));
    assert_non_null(strstr(text, "\"she\""));
    assert_non_null(strstr(text, "[1,2.5e3,{\"a\":null}]"));
    assert_non_null(strstr(text, "\"kiosk\""));
    client_clear(&reader);
    assert_string_equal(company_field(&company, "customer", shop, "kind"), "kiosk");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stranger__writes_of_fields_that_are_not_its_own),
        cmocka_unit_test(test_stranger__entities_and_records_that_are_not_its_own),
        cmocka_unit_test(test_stranger__what_is_out_of_scope_is_as_if_it_were_not),
        cmocka_unit_test(test_stranger__numbers_out_of_order),
        cmocka_unit_test(test_stranger__group_in_part_over_somebody_elses_is_refused),
        cmocka_unit_test(test_stranger__stamp_of_the_far_future_is_clamped),
        cmocka_unit_test(test_stranger__fields_of_a_newer_schema_survive),
    };
    return cmocka_run_group_tests_name("stranger", tests, set_up, tear_down);
}
