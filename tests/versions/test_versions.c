/* SPDX-License-Identifier: Apache-2.0
 *
 * Conflict case X29: two schemas in one company. Fields and entities that one side does not know
 * go through it unharmed, edits, deletes, rejections and upgrades included; what the older server
 * cannot read waits for the newer one; what an older device recorded is converted.
 */
#include "tests/versions/version_world.h"

static struct company company;
static struct rep *wang; /* the older app, East */
static struct pocket li; /* the newer app, East */
static struct pocket *const everybody[] = {&li, NULL};
static char shop[DAYBOOK_ID_SIZE];

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

/* Li's newer app makes a shop with fields that nobody else knows, and everybody has it. */
static void open_shop(void)
{
    (void)pocket_run(&li, "put customer {\"name\":\"Shop\",\"website\":\"shop.example\","
                          "\"segments\":[\"gold\",\"north\"]}\nsync\necho $last");
    (void)snprintf(shop, sizeof shop, "%.36s", li.out);
    rep_sync(wang);
}

/* The older device and the older server keep what they do not know, whatever they do with the
 * record, and the newer device gets it back. */
static void test_versions__unknown_fields_survive_an_older_device_and_server(void **state)
{
    (void)state;
    open_shop();
    static const char extra[] = "{\"segments\":[\"gold\",\"north\"],\"website\":\"shop.example\"}";
    assert_string_equal(store_extra(wang->device.path, "customer", shop), extra);
    /* edited */
    rep_patch(wang, "customer", shop, "{\"name\":\"Shop of Wang\"}");
    assert_string_equal(store_extra(wang->device.path, "customer", shop), extra);
    world_settle(&company, everybody);
    assert_string_equal(store_extra(wang->device.path, "customer", shop), extra);
    assert_pocket(&li, "customer", shop, "name", "Shop of Wang");
    assert_pocket(&li, "customer", shop, "website", "shop.example");
    assert_pocket(&li, "customer", shop, "segments", "[\"gold\",\"north\"]");
    /* both at once, on different fields */
    rep_patch(wang, "customer", shop, "{\"kind\":\"store\"}");
    (void)pocket_runf(&li, "patch customer %s {\"website\":\"shop2.example\"}\nsync", shop);
    world_settle(&company, everybody);
    assert_pocket(&li, "customer", shop, "website", "shop2.example");
    assert_pocket(&li, "customer", shop, "kind", "store");
    /* deleted by the older device, and edited by the newer one that had not seen it */
    rep_delete(wang, "customer", shop);
    rep_sync(wang);
    (void)pocket_runf(&li, "patch customer %s {\"channel\":\"direct\"}\nsync", shop);
    world_settle(&company, everybody);
    assert_pocket(&li, "customer", shop, "website", "shop2.example");
    assert_pocket(&li, "customer", shop, "segments", "[\"gold\",\"north\"]");
    assert_field(wang, "customer", shop, "channel", "direct");
}

/* A rejection is undone to a base with unknown fields in it, later changes stay on top, and a
 * delete that is undone brings them back. */
static void test_versions__undo_and_replay_keep_unknown_fields(void **state)
{
    char gone[DAYBOOK_ID_SIZE];
    (void)state;
    open_shop();
    char before[200];
    (void)snprintf(before, sizeof before, "%.199s",
                   store_extra(wang->device.path, "customer", shop));
    assert_true(before[0] == '{');
    /* Wang renames the shop and deletes another record together; that one is gone at the server. */
    rep_put(wang, "customer", "{\"name\":\"Gone\"}", gone);
    world_settle(&company, everybody);
    (void)pocket_runf(&li, "delete customer %s\nsync", gone);
    daybook_transaction *transaction = NULL;
    device_must(daybook_begin(wang->device.engine, &transaction), NULL);
    device_must(daybook_delete(transaction, "customer", shop,
                               device_version(&wang->device, "customer", shop)),
                NULL);
    char contact[200];
    (void)snprintf(contact, sizeof contact, "{\"customer_id\":\"%s\",\"name\":\"N\"}", gone);
    device_must(daybook_put_json(transaction, "contact", NULL, DAYBOOK_NEW, contact, NULL,
                                 &wang->device.error),
                &wang->device.error);
    device_must(daybook_commit(transaction, &wang->device.error), &wang->device.error);
    daybook_end(&transaction);
    assert_field(wang, "customer", shop, "name", "");
    rep_sync(wang);
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM inbox WHERE kind = 'rejected'", NULL),
                     1);
    assert_field(wang, "customer", shop, "name", "Shop");
    assert_string_equal(store_extra(wang->device.path, "customer", shop), before);
    world_settle(&company, everybody);
    assert_pocket(&li, "customer", shop, "website", "shop.example");
    device_must(daybook_inbox_discard(
                    wang->device.engine,
                    rep_count(wang, "SELECT item FROM inbox WHERE kind = 'rejected'", NULL)),
                NULL);
}

/* A quote of Wang's old app, to which Li's new one gives a field that neither that nor the server
 * knows. Where Wang had not seen it when he sends the quote, it is in the next revision and not in
 * what was sent; where he had, what was sent has it. */
static void sent_by_the_older_device(bool seen)
{
    char customer[DAYBOOK_ID_SIZE], quote[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
    rep_quote(wang, "Shop", customer, quote, line);
    rep_sync(wang);
    (void)pocket_runf(&li,
                      "sync\nbegin\npatch quote %s {\"remark\":\"by Li\"}\n"
                      "patch quote_line %s {\"unit\":\"box\"}\ncommit\nsync",
                      quote, line);
    if (seen) {
        rep_sync(wang);
    }
    rep_patch(wang, "quote", quote, "{\"status\":\"sent\"}");
    world_settle(&company, everybody);
    assert_pocket(&li, "quote", quote, "status", "sent");
    assert_pocket(&li, "quote", quote, "remark", seen ? "by Li" : "");
    assert_pocket(&li, "quote_line", line, "unit", seen ? "box" : "");
    char text[100];
    assert_string_equal(
        device_file_text(li.store,
                         "SELECT q.status || ' ' || q.remark || ' ' || l.unit FROM quote q"
                         " JOIN quote_line l ON l.quote_id = q.id WHERE q.rev = 2",
                         text, sizeof text),
        seen ? "" : "draft by Li box");
    server_become(&company.server, NEWER_SERVER);
    world_settle(&company, everybody);
    assert_server(&company, "quote", quote, "remark", seen ? "by Li" : "");
}

static void test_versions__unknown_field_is_parted_from_what_an_older_device_sends(void **state)
{
    (void)state;
    sent_by_the_older_device(false);
}

static void test_versions__unknown_field_that_an_older_device_had_seen_is_sent(void **state)
{
    (void)state;
    sent_by_the_older_device(true);
}

/* ---- the server learns */

/* Stamps go into columns with the values: an older edit that comes late still loses against one
 * that the server had kept without knowing what it was; and a tombstone keeps what it had. */
static void test_versions__server_that_learns_moves_what_it_kept(void **state)
{
    char gone[DAYBOOK_ID_SIZE];
    struct pocket zhao;
    (void)state;
    open_shop();
    server_add_user(&company.server, "zhao", "rep", "East");
    pocket_begin(&zhao, &company, NEWER_DEVICE, "zhao");
    /* Zhao edits first and sends last; Li's later edit reaches the server before it learns. */
    (void)pocket_runf(&zhao, "patch customer %s {\"website\":\"zhao.example\"}", shop);
    (void)pocket_runf(&li, "patch customer %s {\"website\":\"li.example\"}\nsync", shop);
    /* A shop that Li deletes while Wang, offline, edits it. */
    (void)pocket_run(&li, "put customer {\"name\":\"Gone\",\"website\":\"gone.example\"}\nsync\n"
                          "echo $last");
    (void)snprintf(gone, sizeof gone, "%.36s", li.out);
    rep_sync(wang);
    rep_patch(wang, "customer", gone, "{\"channel\":\"direct\"}");
    (void)pocket_runf(&li, "delete customer %s\nsync", gone);

    server_become(&company.server, NEWER_SERVER);
    assert_server(&company, "customer", shop, "website", "li.example");
    assert_server(&company, "customer", shop, "segments", "[\"gold\",\"north\"]");
    assert_string_equal(
        server_text(&company.server, "SELECT count(*) FROM s_customer WHERE extra IS NOT NULL"),
        "0");
    assert_string_equal(
        server_text(&company.server, "SELECT website FROM s_customer WHERE deleted = 1"),
        "gone.example");
    (void)pocket_run(&zhao, "sync");
    rep_sync(wang);
    static struct pocket *all[] = {&li, NULL, NULL};
    all[1] = &zhao;
    world_settle(&company, all);
    assert_server(&company, "customer", shop, "website", "li.example");
    assert_pocket(&zhao, "customer", shop, "website", "li.example");
    assert_string_equal(server_text(&company.server, "SELECT lost FROM field_conflict"
                                                     " WHERE field_name LIKE '%website'"),
                        "\"zhao.example\"");
    assert_server(&company, "customer", gone, "website", "gone.example");
    assert_pocket(&li, "customer", gone, "website", "gone.example");
    assert_field(wang, "customer", gone, "channel", "direct");
    pocket_end(&zhao);
}

/* ---- the server converts */

static char opportunity[DAYBOOK_ID_SIZE], contact[DAYBOOK_ID_SIZE], action[DAYBOOK_ID_SIZE];

/* Wang's old app records a contact, an opportunity and a count, and sends them. */
static void record_in_old_words(void)
{
    char visit[DAYBOOK_ID_SIZE];
    rep_putf(wang, "contact", contact,
             "{\"customer_id\":\"%s\",\"name\":\"Wei Min Chen\",\"phone\":\"+86 1380\"}", shop);
    rep_putf(wang, "opportunity", opportunity, "{\"customer_id\":\"%s\",\"subject\":\"Shelves\"}",
             shop);
    rep_putf(wang, "visit", visit, "{\"customer_id\":\"%s\"}", shop);
    rep_putf(wang, "visit_action", action,
             "{\"visit_id\":\"%s\",\"kind\":\"stock_count\",\"qty\":\"18000\"}", visit);
}

static void test_versions__what_an_old_app_recorded_is_converted(void **state)
{
    (void)state;
    open_shop();
    server_become(&company.server, NEWER_SERVER);
    record_in_old_words();
    /* The first reply is lost: the same verdicts come again, and the same difference. */
    tap_lose_replies(&wang->tap, 1);
    device_sync_expect(&wang->device, DAYBOOK_OFFLINE);
    world_settle(&company, everybody);
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM inbox", NULL), 0);
    assert_int_equal(server_int(&company.server, "SELECT count(*) FROM field_conflict"), 0);
    assert_pocket(&li, "contact", contact, "phone_e164", "+86 1380"); /* renamed */
    assert_pocket(&li, "contact", contact, "first_name", "Wei Min");  /* split */
    assert_pocket(&li, "contact", contact, "last_name", "Chen");
    assert_pocket(&li, "visit_action", action, "qty_pieces", "18");      /* another unit */
    assert_pocket(&li, "opportunity", opportunity, "source", "unknown"); /* has to have one */
    /* What was sent stands as it was sent, and behind the marker came what else stands. */
    assert_field(wang, "contact", contact, "phone", "+86 1380");
    assert_string_equal(store_extra(wang->device.path, "contact", contact),
                        "{\"phone_e164\":\"+86 1380\",\"first_name\":\"Wei Min\","
                        "\"last_name\":\"Chen\",\"stage\":\"met\"}");
    assert_string_equal(store_extra(wang->device.path, "opportunity", opportunity),
                        "{\"source\":\"unknown\"}");
    /* An edit is converted too. */
    rep_patch(wang, "contact", contact, "{\"phone\":null}");
    rep_patch(wang, "visit_action", action, "{\"qty\":\"-2000\"}");
    world_settle(&company, everybody);
    assert_pocket(&li, "contact", contact, "phone_e164", "");
    assert_pocket(&li, "visit_action", action, "qty_pieces", "-2");
}

/* An old edit and a new one of the same thing meet in the new field, and the later stands whoever
 * comes first. */
static void old_and_new_edit(bool old_first)
{
    /* So much may two clocks differ that were set over a slow line. */
    const struct timespec moment = {.tv_sec = 1};
    open_shop();
    server_become(&company.server, NEWER_SERVER);
    record_in_old_words();
    world_settle(&company, everybody);
    rep_patch(wang, "contact", contact, "{\"phone\":\"old app\"}");
    (void)nanosleep(&moment, NULL);
    (void)pocket_runf(&li, "patch contact %s {\"phone_e164\":\"new app\"}", contact);
    if (old_first) {
        rep_sync(wang);
        (void)pocket_run(&li, "sync");
    } else {
        (void)pocket_run(&li, "sync");
        rep_sync(wang);
    }
    world_settle(&company, everybody);
    assert_server(&company, "contact", contact, "phone_e164", "new app");
    assert_server(&company, "contact", contact, "phone", "old app");
    assert_string_equal(server_text(&company.server, "SELECT group_concat(field_name || lost)"
                                                     " FROM field_conflict"),
                        "phone_e164\"old app\"");
    assert_string_equal(rep_field(wang, "contact", contact, "phone"), "old app");
}

static void test_versions__old_and_new_edit_of_one_thing_old_first(void **state)
{
    (void)state;
    old_and_new_edit(true);
}

static void test_versions__old_and_new_edit_of_one_thing_new_first(void **state)
{
    (void)state;
    old_and_new_edit(false);
}

/* ---- in every order */

/* Wang with the old app and Li with the new one work on the same records, each without knowing of
 * the other, and the server learns the newer schema: whatever comes first, the end is the same. */
static void every_order(const int order[3])
{
    char gone[DAYBOOK_ID_SIZE];
    open_shop();
    (void)pocket_run(&li, "put customer {\"name\":\"Gone\",\"website\":\"gone.example\"}\nsync\n"
                          "echo $last");
    (void)snprintf(gone, sizeof gone, "%.36s", li.out);
    rep_sync(wang);
    rep_patch(wang, "customer", shop, "{\"name\":\"of Wang\",\"kind\":\"store\"}");
    rep_delete(wang, "customer", gone);
    (void)pocket_runf(&li,
                      "patch customer %s {\"name\":\"of Li\",\"website\":\"li.example\"}\n"
                      "patch customer %s {\"website\":\"alive.example\"}",
                      shop, gone);
    for (int i = 0; i < 3; i++) {
        switch (order[i]) {
        case 0: rep_sync(wang); break;
        case 1: (void)pocket_run(&li, "sync"); break;
        default: server_become(&company.server, NEWER_SERVER); break;
        }
    }
    world_settle(&company, everybody);
    assert_server(&company, "customer", shop, "name", "of Li");
    assert_server(&company, "customer", shop, "kind", "store");
    assert_server(&company, "customer", shop, "website", "li.example");
    assert_server(&company, "customer", shop, "segments", "[\"gold\",\"north\"]");
    assert_server(&company, "customer", gone, "website", "alive.example");
    assert_field(wang, "customer", gone, "name", "Gone");
    assert_pocket(&li, "customer", shop, "kind", "store");
    assert_string_equal(server_text(&company.server,
                                    "SELECT group_concat(field_name || lost) FROM (SELECT DISTINCT"
                                    " field_name, lost FROM field_conflict ORDER BY field_name)"),
                        "*\"delete\",name\"of Wang\"");
}

#define ORDER(number)                                                                              \
    static void test_versions__in_order_##number(void **state)                                     \
    {                                                                                              \
        (void)state;                                                                               \
        every_order(arrival_orders[number]);                                                       \
    }
ORDER(0)
ORDER(1)
ORDER(2)
ORDER(3)
ORDER(4)
ORDER(5)

/* ---- more choices, larger limits */

/* What a newer app may say and the older one may not: the older device shows it, carries it along
 * when it edits other fields, and goes on. */
static void
test_versions__older_device_takes_choices_and_lengths_that_it_may_not_write(void **state)
{
    char title[300];
    (void)state;
    open_shop();
    memset(title, 't', 250);
    title[250] = '\0';
    server_become(&company.server, NEWER_SERVER);
    (void)pocket_runf(&li,
                      "begin\nput customer {\"name\":\"Asleep\",\"status\":\"dormant\"}\n"
                      "put contact {\"customer_id\":\"%s\",\"name\":\"N\",\"title\":\"%s\"}\n"
                      "commit\nsync\nlet asleep SELECT id FROM customer WHERE status = "
                      "'dormant'\nlet whom SELECT id FROM contact\necho $asleep $whom",
                      shop, title);
    char asleep[DAYBOOK_ID_SIZE], whom[DAYBOOK_ID_SIZE];
    assert_int_equal(sscanf(li.out, "%36s %36s", asleep, whom), 2);
    rep_sync(wang);
    assert_field(wang, "customer", asleep, "status", "dormant");
    assert_field(wang, "contact", whom, "title", title);
    rep_patch(wang, "customer", asleep, "{\"name\":\"Fast asleep\"}");
    rep_patch(wang, "contact", whom, "{\"email\":\"n@shop.example\"}");
    device_close(&wang->device);
    device_open(&wang->device);
    world_settle(&company, everybody);
    assert_pocket(&li, "customer", asleep, "status", "dormant");
    assert_pocket(&li, "customer", asleep, "name", "Fast asleep");
    assert_pocket(&li, "contact", whom, "title", title);
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM inbox", NULL), 0);
}

/* Given an older server that has kept what a device sent under the name of a field that is the
 * server's in the newer schema, when the server learns that, then the value is gone, and that of a
 * field of people's stays. */
static void test_versions__nobody_gives_what_is_the_servers(void **state)
{
    char path[400];
    sqlite3 *store = NULL;
    (void)state;
    open_shop();
    server_stop(&company.server);
    (void)snprintf(path, sizeof path, "%s/server.db", company.server.data);
    assert_int_equal(sqlite3_open(path, &store), SQLITE_OK);
    assert_int_equal(sqlite3_exec(store,
                                  "UPDATE s_customer SET extra = '{\"credit_note\":\"a gift\","
                                  "\"website\":\"theirs.example\"}'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(store), SQLITE_OK);
    company.server.program = NEWER_SERVER;
    server_start(&company.server);
    assert_server(&company, "customer", shop, "credit_note", "");
    assert_server(&company, "customer", shop, "website", "theirs.example");
}

/* Given records that an older server decided, when it learns the newer schema, then what follows
 * from their values is added, for the newer and the older devices; what somebody gave already
 * stays; what is derived is computed, and nobody needs to be told; and it is done once. */
static void test_versions__what_was_decided_before_is_converted(void **state)
{
    char anna[DAYBOOK_ID_SIZE], bo[DAYBOOK_ID_SIZE], deal[DAYBOOK_ID_SIZE];
    static const char sql[] = "SELECT count(*) FROM log";
    (void)state;
    open_shop();
    rep_putf(wang, "contact", anna,
             "{\"customer_id\":\"%s\",\"name\":\"Anna Maria Li\",\"phone\":\"+861\"}", shop);
    rep_putf(wang, "contact", bo, "{\"customer_id\":\"%s\",\"name\":\"Bo\",\"phone\":\"+862\"}",
             shop);
    rep_putf(wang, "opportunity", deal, "{\"customer_id\":\"%s\",\"subject\":\"deal\"}", shop);
    world_settle(&company, everybody);
    (void)pocket_runf(&li, "patch contact %s {\"phone_e164\":\"+863\"}\nsync", bo);
    /* What is required only in new ones keeps nobody from changing the rest. */
    (void)pocket_runf(&li, "patch opportunity %s {\"priority\":3}\nsync", deal);
    int64_t before = server_int(&company.server, sql);
    server_become(&company.server, NEWER_SERVER);
    assert_server(&company, "customer", shop, "initial", "S");
    assert_server(&company, "contact", anna, "phone_e164", "+861");
    assert_server(&company, "contact", anna, "first_name", "Anna Maria");
    assert_server(&company, "contact", anna, "last_name", "Li");
    assert_server(&company, "contact", bo, "phone_e164", "+863");
    assert_server(&company, "opportunity", deal, "source", "unknown");
    assert_int_equal(server_int(&company.server, sql), before + 3);
    world_settle(&company, everybody);
    assert_pocket(&li, "contact", anna, "first_name", "Anna Maria");
    assert_pocket(&li, "opportunity", deal, "source", "unknown");
    assert_non_null(strstr(store_extra(wang->device.path, "contact", anna), "\"Anna Maria\""));
    /* Once is enough. */
    server_become(&company.server, NEWER_SERVER);
    assert_int_equal(server_int(&company.server, sql), before + 3);
}

/* ---- what the older server cannot read */

static int64_t quarantined(void)
{
    return server_int(&company.server, "SELECT count(*) FROM quarantine WHERE ended = 0");
}

/* An unknown entity, an unknown choice, a text that is too long here, a change of a set that is not
 * known: nothing of it is refused for good. It waits, with what builds on it, and all else goes on.
 */
static void what_waits(void)
{
    open_shop();
    (void)pocket_runf(&li,
                      "put survey {\"customer_id\":\"%s\",\"score\":4,\"remark\":\"friendly\"}\n"
                      "patch survey $last {\"score\":5}\n"
                      "put customer {\"name\":\"Asleep\",\"status\":\"dormant\"}\n"
                      "put contact {\"customer_id\":\"$last\",\"name\":\"Of the sleeper\"}\n"
                      "patch customer %s {\"segments\":[\"gold\",\"south\"]}\n"
                      "put visit {\"customer_id\":\"%s\",\"feedback\":\"goes on\"}\n"
                      "sync\nstatus",
                      shop, shop, shop);
}

static void test_versions__older_server_keeps_what_it_cannot_read(void **state)
{
    (void)state;
    what_waits();
    assert_non_null(strstr(li.out, "pending 0, unsettled 5, inbox 0"));
    assert_int_equal(quarantined(), 5);
    assert_string_equal(server_text(&company.server, "SELECT group_concat(why) FROM (SELECT why"
                                                     " FROM quarantine ORDER BY seq)"),
                        "SCHEMA,SCHEMA,SCHEMA,DEPENDS,SCHEMA");
    /* What is quarantined stays in view. */
    char text[100];
    assert_string_equal(
        device_file_text(li.store, "SELECT score || remark FROM survey", text, sizeof text),
        "5friendly");
    rep_sync(wang);
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM visit", NULL), 1);
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM customer", NULL), 1);
}

/* When the server has the schema, what waited is decided, in order, and nothing of it is lost. */
static void test_versions__what_waited_is_decided_by_the_newer_server(void **state)
{
    (void)state;
    what_waits();
    assert_int_equal(quarantined(), 5);
    server_become(&company.server, NEWER_SERVER);
    assert_int_equal(quarantined(), 0);
    world_settle(&company, everybody);
    assert_string_equal(server_text(&company.server, "SELECT score || remark FROM survey"),
                        "5friendly");
    assert_string_equal(server_text(&company.server, "SELECT name FROM customer"
                                                     " WHERE status = 'dormant'"),
                        "Asleep");
    assert_string_equal(server_text(&company.server, "SELECT name FROM contact"), "Of the sleeper");
    assert_server(&company, "customer", shop, "segments", "[\"gold\",\"south\"]");
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM customer", NULL), 2);
    (void)pocket_run(&li, "status");
    assert_non_null(strstr(li.out, "pending 0, unsettled 0, inbox 0"));
}

/* Given a user who was disabled before the server has the schema, when it has, then what waits
 * stays for an operator; an older server that starts again decides nothing. */
static void test_versions__what_waits_for_an_operator_still_does(void **state)
{
    static const char *const disable[] = {"user", "change", "li", "--disabled", "yes", NULL};
    (void)state;
    what_waits();
    server_become(&company.server, OLDER_SERVER);
    assert_int_equal(quarantined(), 5);
    server_must(&company.server, disable);
    server_become(&company.server, NEWER_SERVER);
    assert_int_equal(quarantined(), 5);
    assert_string_equal(server_text(&company.server, "SELECT why FROM quarantine ORDER BY seq"),
                        "AUTH");
}

/* ---- too old */

/* A device that is too old may still send, and is told; nothing of it is lost, and after an update
 * of the app it has everything. */
static void test_versions__too_old_a_device_sends_and_waits_for_its_update(void **state)
{
    char visit[DAYBOOK_ID_SIZE];
    struct pocket updated;
    (void)state;
    open_shop();
    company.server.environment[0] = "DAYBOOK_OLDEST_SCHEMA=2";
    server_become(&company.server, NEWER_SERVER);
    (void)pocket_runf(&li, "patch customer %s {\"name\":\"Renamed\"}\nsync", shop);
    rep_putf(wang, "visit", visit, "{\"customer_id\":\"%s\",\"feedback\":\"safe\"}", shop);
    device_sync_expect(&wang->device, DAYBOOK_UPGRADE_NEEDED);
    assert_int_equal(daybook_status_class(DAYBOOK_UPGRADE_NEEDED), DAYBOOK_CLASS_UPGRADE);
    daybook_sync_status status = device_status(&wang->device);
    assert_int_equal(status.blocked, DAYBOOK_UPGRADE_NEEDED);
    assert_int_equal(status.pending, 0);
    assert_server(&company, "visit", visit, "feedback", "safe");
    assert_field(wang, "customer", shop, "name", "Shop"); /* nothing comes down */
    /* It works on, and sends on. */
    rep_patch(wang, "visit", visit, "{\"feedback\":\"still safe\"}");
    device_sync_expect(&wang->device, DAYBOOK_UPGRADE_NEEDED);
    assert_server(&company, "visit", visit, "feedback", "still safe");
    pocket_take(&updated, wang, NEWER_DEVICE);
    struct pocket *const both[] = {&li, &updated, NULL};
    world_settle(&company, both);
    assert_pocket(&updated, "customer", shop, "name", "Renamed");
    assert_pocket(&updated, "customer", shop, "website", "shop.example");
    assert_pocket(&updated, "visit", visit, "feedback", "still safe");
    company.server.environment[0] = NULL;
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_versions__##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(unknown_fields_survive_an_older_device_and_server),
        TEST(undo_and_replay_keep_unknown_fields),
        TEST(unknown_field_is_parted_from_what_an_older_device_sends),
        TEST(unknown_field_that_an_older_device_had_seen_is_sent),
        TEST(server_that_learns_moves_what_it_kept),
        TEST(what_an_old_app_recorded_is_converted),
        TEST(old_and_new_edit_of_one_thing_old_first),
        TEST(old_and_new_edit_of_one_thing_new_first),
        TEST(in_order_0),
        TEST(in_order_1),
        TEST(in_order_2),
        TEST(in_order_3),
        TEST(in_order_4),
        TEST(in_order_5),
        TEST(older_device_takes_choices_and_lengths_that_it_may_not_write),
        TEST(older_server_keeps_what_it_cannot_read),
        TEST(nobody_gives_what_is_the_servers),
        TEST(what_was_decided_before_is_converted),
        TEST(what_waited_is_decided_by_the_newer_server),
        TEST(what_waits_for_an_operator_still_does),
        TEST(too_old_a_device_sends_and_waits_for_its_update),
    };
    return cmocka_run_group_tests_name("versions", tests, NULL, NULL);
}
