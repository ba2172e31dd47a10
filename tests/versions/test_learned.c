/* SPDX-License-Identifier: Apache-2.0
 *
 * What a server that learns a schema makes of what it had kept by LATEST where another policy, or
 * the server itself, has the word; what it adds to documents whose content stands. In every order
 * in which the changes and the schema may come; a device of the older app holds the same as the
 * newer ones.
 */
#include "tests/versions/version_world.h"

static struct company company;
static struct rep *wang; /* the older app, East */
static struct pocket li; /* the newer app, East */
static char shop[DAYBOOK_ID_SIZE], contact[DAYBOOK_ID_SIZE];

static int set_up(void **state)
{
    (void)state;
    world_open(&company, &wang, &li);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pocket_end(&li);
    company_close(&company);
    return 0;
}

/* Li makes a shop that everybody has. */
static void open_shop(void)
{
    (void)pocket_run(&li, "put customer {\"name\":\"Shop\"}\nsync\necho $last");
    (void)snprintf(shop, sizeof shop, "%.36s", li.out);
    rep_sync(wang);
}

static struct pocket zhao, boss; /* newer apps: a rep of the East, and the manager */
static struct pocket *const with_zhao[] = {&li, &zhao, NULL};
static struct pocket *const with_boss[] = {&li, &boss, NULL};

static void begin_another(struct pocket *pocket, const char *login, const char *role)
{
    server_add_user(&company.server, login, role, "East");
    pocket_begin(pocket, &company, NEWER_DEVICE, login);
}

/* Three things in this order: Wang's device takes no part but to hold what the server says. */
static void in_order(const int order[3], struct pocket *other)
{
    for (int i = 0; i < 3; i++) {
        switch (order[i]) {
        case 0: (void)pocket_run(&li, "sync"); break;
        case 1: (void)pocket_run(other, "sync"); break;
        default: server_become(&company.server, NEWER_SERVER); break;
        }
        rep_sync(wang);
    }
}

/* Given a field that people may only propose values for, when Li, who is a rep, and the manager
 * give it to a server that does not know it, or does, then in every order what Li gave with the
 * record and what the manager gave stands, and what Li gave later is proposed. */
static void proposals_in(const int order[3])
{
    char other[DAYBOOK_ID_SIZE], text[200];
    begin_another(&boss, "boss", "manager");
    (void)pocket_run(&li, "put customer {\"name\":\"Shop\",\"credit_class\":\"B\"}\n"
                          "let shop SELECT id FROM customer\nput customer {\"name\":\"Other\"}\n"
                          "sync\necho $shop $last");
    assert_int_equal(sscanf(li.out, "%36s %36s", shop, other), 2);
    (void)pocket_runf(&boss, "sync\npatch customer %s {\"credit_class\":\"D\"}", other);
    (void)pocket_runf(&li,
                      "patch customer %s {\"credit_class\":\"A\"}\n"
                      "patch customer %s {\"credit_class\":\"C\"}",
                      shop, other);
    in_order(order, &boss);
    world_settle(&company, with_boss);
    assert_server(&company, "customer", shop, "credit_class", "B");
    assert_server(&company, "customer", other, "credit_class", "D");
    assert_string_equal(store_extra(wang->device.path, "customer", shop),
                        "{\"credit_class\":\"B\"}");
    static const char proposals[] =
        "SELECT group_concat(record_id || proposed_value || status || (SELECT login FROM app_user u"
        " WHERE u.id = proposed_by)) FROM (SELECT * FROM proposal ORDER BY proposed_value)";
    char wanted[300];
    (void)snprintf(wanted, sizeof wanted, "%s\"A\"openli,%s\"C\"openli", shop, other);
    assert_string_equal(server_text(&company.server, proposals), wanted);
    assert_string_equal(device_file_text(li.store,
                                         "SELECT group_concat(mine || theirs) FROM inbox"
                                         " WHERE kind = 'proposed' AND mine = '\"A\"'",
                                         text, sizeof text),
                        "\"A\"\"B\"");
    (void)pocket_run(&boss, "let wish SELECT id FROM proposal WHERE proposed_value = '\"A\"'\n"
                            "patch proposal $wish {\"status\":\"accepted\"}\nsync");
    world_settle(&company, with_boss);
    assert_server(&company, "customer", shop, "credit_class", "A");
    assert_string_equal(store_extra(wang->device.path, "customer", shop),
                        "{\"credit_class\":\"A\"}");
    assert_int_equal(server_int(&company.server, "SELECT count(*) FROM given"), 0);
    pocket_end(&boss);
}

/* Given a contact of Wang's old app, when two newer ones take steps of its machine, of which the
 * server does not know yet, then in every order it is in the state that the machine has for both:
 * the higher, though the lower step was taken later. */
static void steps_in(const int order[3])
{
    open_shop();
    begin_another(&zhao, "zhao", "rep");
    rep_putf(wang, "contact", contact, "{\"customer_id\":\"%s\",\"name\":\"Bo\"}", shop);
    rep_sync(wang);
    (void)pocket_runf(&zhao, "sync\npatch contact %s {\"stage\":\"gone\"}", contact);
    (void)pocket_runf(&li, "sync\npatch contact %s {\"stage\":\"trusted\"}", contact);
    in_order(order, &zhao);
    world_settle(&company, with_zhao);
    assert_server(&company, "contact", contact, "stage", "gone");
    assert_pocket(&li, "contact", contact, "stage", "gone");
    assert_non_null(
        strstr(store_extra(wang->device.path, "contact", contact), "\"stage\":\"gone\""));
    assert_int_equal(server_int(&company.server, "SELECT count(*) FROM field_conflict WHERE lost ="
                                                 " '\"trusted\"' AND kept = '\"gone\"'"),
                     1);
    pocket_end(&zhao);
}

/* Given a contact that a rep has marked as gone, and the manager, who had seen that, as met again,
 * when the server learns the machine, then it knows that it was reopened: a step on from there is
 * one, and one that a rep takes down is none. */
static void test_learned__reopened_before_the_server_knew_the_machine(void **state)
{
    (void)state;
    open_shop();
    begin_another(&boss, "boss", "manager");
    (void)pocket_runf(&li,
                      "put contact {\"customer_id\":\"%s\",\"name\":\"Bo\",\"stage\":\"gone\"}"
                      "\nsync\necho $last",
                      shop);
    (void)snprintf(contact, sizeof contact, "%.36s", li.out);
    (void)pocket_runf(&boss, "sync\npatch contact %s {\"stage\":\"met\"}\nsync", contact);
    (void)pocket_runf(&li, "sync\npatch contact %s {\"stage\":\"trusted\"}", contact);
    server_become(&company.server, NEWER_SERVER);
    assert_server(&company, "contact", contact, "stage", "met");
    world_settle(&company, with_boss);
    assert_server(&company, "contact", contact, "stage", "trusted");
    assert_pocket(&boss, "contact", contact, "stage", "trusted");
    char script[200];
    (void)snprintf(script, sizeof script, "patch contact %s {\"stage\":\"met\"}", contact);
    assert_int_not_equal(pocket_try(&li, script), 0);
    pocket_end(&boss);
}

/* Given a stranger who gives what is the server's, or derived, in a schema that the server does not
 * know, when it learns that, then nobody has it any more, whether they know the field or not, and
 * what people may give stays. */
static void test_learned__nobody_has_what_is_the_servers(void **state)
{
    char id[CLIENT_ID_SIZE], changes[400];
    struct client stranger;
    struct pocket updated;
    (void)state;
    open_shop();
    client_init(&stranger, &company.server);
    client_enrol(&stranger, "wang");
    client_id(shop, id);
    (void)snprintf(changes, sizeof changes,
                   "[{\"entity\":\"customer\",\"op\":\"set\",\"fields\":[\"credit_note\","
                   "\"initial\",\"website\"],\"rows\":[[%lld,\"%s\",\"a gift\",\"?\",\"w\"]]}]",
                   (long long)server_int(&company.server, "SELECT head FROM org"), id);
    assert_string_equal(
        client_push_as(&stranger, (struct client_changeset){.changes = changes, .schema = 2}),
        "accepted");
    client_clear(&stranger);
    (void)pocket_run(&li, "sync");
    rep_sync(wang);
    assert_pocket(&li, "customer", shop, "credit_note", "a gift");
    assert_non_null(strstr(store_extra(wang->device.path, "customer", shop), "\"initial\":\"?\""));
    struct rep *tablet = company_second_device(&company, wang);
    pocket_take(&updated, tablet, NEWER_DEVICE);
    (void)pocket_run(&updated, "status"); /* updated before the server */
    server_become(&company.server, NEWER_SERVER);
    struct pocket *const all[] = {&li, &updated, NULL};
    world_settle(&company, all);
    assert_server(&company, "customer", shop, "credit_note", "");
    assert_server(&company, "customer", shop, "website", "w");
    assert_pocket(&li, "customer", shop, "credit_note", "");
    assert_pocket(&updated, "customer", shop, "credit_note", "");
    assert_pocket(&updated, "customer", shop, "initial", "S");
    assert_string_equal(store_extra(wang->device.path, "customer", shop), "{\"website\":\"w\"}");
}

/* ---- documents whose content stands */

/* Given a quote that was sent, an order that was confirmed, and a quote that is being sent while
 * the server learns the schema, then each says the same in the new fields as in the old ones, for
 * every device; what was sent stays what was sent, and there is no revision and no conflict. */
static void test_learned__what_stands_is_said_in_the_new_fields_too(void **state)
{
    char sent[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE], late[DAYBOOK_ID_SIZE];
    char order[DAYBOOK_ID_SIZE];
    struct pocket office;
    (void)state;
    begin_another(&office, "office", "back_office");
    rep_quote(wang, "Shop", shop, sent, line);
    rep_quote(wang, "Other", NULL, late, NULL);
    rep_putf(
        wang, "sales_order", order,
        "{\"customer_id\":\"%s\",\"cur\":\"CNY\",\"note\":\"by ten\",\"status\":\"submitted\"}",
        shop);
    rep_sync(wang);
    rep_patch(wang, "quote", sent, "{\"status\":\"sent\"}");
    rep_sync(wang);
    (void)pocket_runf(&office, "sync\npatch sales_order %s {\"status\":\"confirmed\"}\nsync",
                      order);
    rep_sync(wang);
    rep_patch(wang, "quote", late, "{\"status\":\"sent\"}"); /* has not seen what is added */
    server_become(&company.server, NEWER_SERVER);
    struct pocket *const all[] = {&li, &office, NULL};
    world_settle(&company, all);
    assert_server(&company, "quote", sent, "status", "sent");
    assert_server(&company, "quote", late, "status", "sent");
    assert_server(&company, "sales_order", order, "status", "confirmed");
    assert_pocket(&li, "quote", sent, "remark", "first");
    assert_pocket(&li, "quote_line", line, "unit", "box");
    assert_pocket(&li, "quote", late, "remark", "first");
    assert_pocket(&office, "sales_order", order, "remark", "by ten");
    assert_string_equal(store_extra(wang->device.path, "quote", sent), "{\"remark\":\"first\"}");
    assert_int_equal(server_int(&company.server, "SELECT count(*) FROM quote"), 2);
    assert_int_equal(server_int(&company.server, "SELECT count(*) FROM field_conflict"), 0);
    assert_int_equal(server_int(&company.server, "SELECT count(*) FROM hold"), 0);
    pocket_end(&office);
}

#define ORDER(number)                                                                              \
    static void test_learned__proposals_in_order_##number(void **state)                            \
    {                                                                                              \
        (void)state;                                                                               \
        proposals_in(arrival_orders[number]);                                                      \
    }                                                                                              \
    static void test_learned__steps_in_order_##number(void **state)                                \
    {                                                                                              \
        (void)state;                                                                               \
        steps_in(arrival_orders[number]);                                                          \
    }
ORDER(0)
ORDER(1)
ORDER(2)
ORDER(3)
ORDER(4)
ORDER(5)

/* Given an app that is updated before the server, when a contact that it had recorded before and
 * one that it makes then come there, then both ends say the same of them, and once the server is
 * updated, too, both have the first state of the machine that is new. */
static void test_learned__an_update_ahead_of_the_server(void **state)
{
    static const char stages[] = "SELECT group_concat(name || '=' || coalesce(stage, ''))"
                                 " FROM (SELECT * FROM contact ORDER BY name)";
    struct pocket updated;
    struct pocket *const both[] = {&li, &updated, NULL};
    char text[200];
    (void)state;
    open_shop();
    rep_putf(wang, "contact", contact, "{\"customer_id\":\"%s\",\"name\":\"Ann\"}", shop);
    pocket_take(&updated, wang, NEWER_DEVICE);
    (void)pocket_runf(&updated, "put contact {\"customer_id\":\"%s\",\"name\":\"Bo\"}", shop);
    world_settle(&company, both);
    assert_string_equal(device_file_text(updated.store, stages, text, sizeof text), "Ann=,Bo=met");
    server_become(&company.server, NEWER_SERVER);
    world_settle(&company, both);
    assert_string_equal(device_file_text(li.store, stages, text, sizeof text), "Ann=met,Bo=met");
    pocket_end(&updated);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_learned__##name, set_up, tear_down)
#define EACH_ORDER(name)                                                                           \
    TEST(name##_0), TEST(name##_1), TEST(name##_2), TEST(name##_3), TEST(name##_4), TEST(name##_5)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH_ORDER(proposals_in_order),
        EACH_ORDER(steps_in_order),
        TEST(what_stands_is_said_in_the_new_fields_too),
        TEST(nobody_has_what_is_the_servers),
        TEST(reopened_before_the_server_knew_the_machine),
        TEST(an_update_ahead_of_the_server),
    };
    return cmocka_run_group_tests_name("learned", tests, NULL, NULL);
}
