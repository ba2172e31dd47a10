/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots in pages of one record, while everybody goes on working: a first sync, a gained bucket
 * and a device that is too far behind, cut wherever a snapshot can be cut. After each reply the
 * device's store is checked; in the end it equals the server's. Told by the programs that include
 * this: to a device that asks for small pages, and by a server that makes only such.
 */
#ifndef DAYBOOK_TESTS_FLOW_SNAPSHOT_STORIES_H
#define DAYBOOK_TESTS_FLOW_SNAPSHOT_STORIES_H

#include "engine/api/engine.h"
#include "engine/store/inside.h"
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

#define SHOPS 4
#define EXCHANGES_MAX 600

static int64_t server_page_bytes; /* 0: its default */
static struct company company;
static struct rep *wang, *tom; /* of East and South; they sync in large pages */
static char shops[SHOPS][DAYBOOK_ID_SIZE], visits[SHOPS][DAYBOOK_ID_SIZE];
static int happened;
static char quotes[SHOPS][DAYBOOK_ID_SIZE], lines[SHOPS][DAYBOOK_ID_SIZE];

/* Records of all kinds in the East, one deleted. */
static int set_up(void **state)
{
    char gone[DAYBOOK_ID_SIZE];
    (void)state;
    happened = 0;
    company_open(&company);
    if (server_page_bytes > 0) {
        server_stop(&company.server);
        company.server.page_bytes = server_page_bytes;
        server_start(&company.server);
    }
    wang = company_hire(&company, "wang", "rep", "East");
    tom = company_hire(&company, "tom", "rep", "South");
    for (int i = 0; i < SHOPS; i++) {
        rep_quote(wang, "shop", shops[i], quotes[i], lines[i]);
        rep_putf(wang, "visit", visits[i], "{\"customer_id\":\"%s\",\"feedback\":\"first\"}",
                 shops[i]);
        rep_putf(wang, "contact", NULL, "{\"customer_id\":\"%s\",\"name\":\"Anna\"}", shops[i]);
    }
    rep_put(wang, "customer", "{\"name\":\"gone\"}", gone);
    rep_sync(wang);
    rep_delete(wang, "customer", gone);
    company_settle(&company);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

/* ---- a device that loads record by record */

/* Enrolled, and nothing synced yet. */
static struct rep *newcomer(const char *login, const char *role, const char *territory)
{
    char code[64];
    struct rep *rep = company_add(&company, login, role, territory);
    rep->device.options.page_bytes = 1;
    device_open(&rep->device);
    server_code(&company.server, login, code);
    device_enrol(&rep->device, code);
    return rep;
}

static void check_store(struct rep *rep)
{
    char problem[300] = "";
    if (!dk_store_check(rep->device.engine->store, problem, sizeof problem)) {
        fail_msg("%s: %s", rep->login, problem);
    }
}

/* One exchange of a sync, so at most one page and one position. True where nothing is left. */
static bool one_exchange(struct rep *rep)
{
    bool end = rep_exchange(rep);
    check_store(rep);
    return end;
}

static int64_t loading(struct rep *rep)
{
    int64_t count = device_int(&rep->device, "SELECT count(*) FROM buckets WHERE loading");
    assert_int_equal(device_status(&rep->device).loading, count > 0);
    return count;
}

/* ---- what happens meanwhile */

static void send_to(const char *login, const char *territory)
{
    char members[100];
    (void)snprintf(members, sizeof members, "\"territory_id\":{\"key\":\"%s\"}", territory);
    company_change_user(&company, login, members);
}

/* Something that a page before, a page to come, or none has: made, changed, deleted, moved away and
 * back, by somebody in each territory. */
static void something_happens(void)
{
    int number = happened++;
    char line[200];
    int i = number / 12 % SHOPS;
    switch (number % 12) {
    case 0: rep_patchf(wang, "customer", shops[i], "{\"kind\":\"%d\"}", number); break;
    case 1:
        rep_putf(wang, "contact", NULL, "{\"customer_id\":\"%s\",\"name\":\"Li\"}", shops[i]);
        break;
    case 2: rep_put(wang, "customer", "{\"name\":\"new\"}", NULL); break;
    case 3: rep_patchf(wang, "visit", visits[i], "{\"feedback\":\"%d\"}", number); break;
    case 4: company_reassign(&company, shops[i], "South"); break;
    case 5:
        rep_sync(tom);
        rep_patchf(tom, "customer", shops[i], "{\"channel\":\"%d\"}", number);
        rep_sync(tom);
        break;
    case 6:
        rep_putf(tom, "visit", NULL, "{\"customer_id\":\"%s\",\"feedback\":\"S\"}", shops[i]);
        break;
    case 7:
        rep_sync(tom);
        company_reassign(&company, shops[i], "East");
        break;
    case 8: rep_patchf(wang, "quote_line", lines[i], "{\"qty\":\"%d000\"}", number + 1); break;
    case 9: rep_delete(wang, "visit", visits[i]); break;
    case 10:
        (void)snprintf(line, sizeof line,
                       "{\"entity\":\"product\",\"id\":\"" TEA "\",\"name\":\"Tea %d\"}\n", number);
        server_import(&company.server, line);
        break;
    default:
        rep_sync(wang);
        rep_putf(wang, "visit", visits[i], "{\"customer_id\":\"%s\",\"feedback\":\"again\"}",
                 shops[i]);
        break;
    }
    rep_sync(wang);
}

/* Loads to the end; `happens` so many things in between, one after each exchange. */
static int load(struct rep *rep, int happens)
{
    int exchanges = 0;
    while (!one_exchange(rep)) {
        assert_true(exchanges < EXCHANGES_MAX);
        if (exchanges < happens) {
            something_happens();
        }
        exchanges++;
    }
    assert_int_equal(loading(rep), 0);
    return exchanges;
}

/* ---- tests */

static void test_snapshot__first_sync_record_by_record_while_others_write(void **state)
{
    (void)state;
    struct rep *li = newcomer("li", "rep", "East");
    (void)one_exchange(li);
    assert_true(loading(li) > 0);
    assert_true(load(li, 60) > 60);
    company_settle(&company);
    /* whose scope has both territories sees records move between two buckets that it loads */
    struct rep *office = newcomer("office", "back_office", NULL);
    assert_true(load(office, 60) > 60);
    company_settle(&company);
}

/* Everything that a snapshot brings is there at once, page by page, and says so. */
static void test_snapshot__what_is_there_is_shown_while_it_loads(void **state)
{
    int64_t seen = 0;
    bool worked = false;
    (void)state;
    struct rep *li = newcomer("li", "rep", "East");
    while (!one_exchange(li)) {
        int64_t rows = device_int(&li->device, "SELECT (SELECT count(*) FROM customer)"
                                               "+(SELECT count(*) FROM visit)"
                                               "+(SELECT count(*) FROM quote_line)");
        /* one by a page, one by the log; and the log takes one away */
        assert_true(rows - seen >= -1 && rows - seen <= 2);
        seen = rows;
        /* work is done meanwhile, also on what has come already */
        if (rows >= 3 && !worked) {
            worked = true;
            rep_patch(li, "customer", shops[0], "{\"kind\":\"while loading\"}");
            rep_putf(li, "visit", NULL, "{\"customer_id\":\"%s\",\"feedback\":\"loading\"}",
                     shops[0]);
            seen++;
        }
    }
    assert_int_equal(seen, 3 * SHOPS + 1);
    company_settle(&company);
    assert_field(wang, "customer", shops[0], "kind", "while loading");
}

/* Before each reply that arrives one is lost, and behind each the device is closed. */
static void test_snapshot__lost_replies_and_closed_devices(void **state)
{
    bool end = false;
    (void)state;
    struct rep *li = newcomer("li", "rep", "East");
    for (int i = 0; !end; i++) {
        assert_true(i < EXCHANGES_MAX);
        tap_lose_replies(&li->tap, 1);
        device_sync_expect(&li->device, DAYBOOK_OFFLINE);
        check_store(li);
        end = one_exchange(li);
        device_close(&li->device);
        device_open(&li->device);
        check_store(li);
        if (i < 24) {
            something_happens();
        }
    }
    company_settle(&company);
}

/* Before each reply that arrives one is cut, each at another byte, of the handshake or the page. */
static void test_snapshot__replies_cut_at_bytes_of_all_regions(void **state)
{
    char url[64], code[64];
    int cuts = 0;
    (void)state;
    struct proxy *proxy = proxy_start(company.server.port);
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%d", proxy_port(proxy));
    struct rep *li = company_add(&company, "li", "rep", "East");
    li->device.options.page_bytes = 1;
    li->device.options.server_url = url;
    device_open(&li->device);
    server_code(&company.server, "li", code);
    device_enrol(&li->device, code);
    for (int i = 0; i < EXCHANGES_MAX; i++) {
        int64_t byte = (int64_t)i * 37 % 2600;
        proxy_make_plan(proxy,
                        (struct proxy_plan){-1, byte, i % 2 == 0 ? PROXY_CLOSE : PROXY_RESET});
        tap_allow(&li->tap, 1);
        (void)daybook_sync(li->device.engine, 0, &li->device.error);
        tap_allow(&li->tap, -1);
        cuts += proxy_look(proxy).ends > 0;
        check_store(li);
        proxy_make_plan(proxy, PROXY_PLAN_CLEAN);
        if (one_exchange(li)) {
            break;
        }
    }
    assert_true(cuts > 10);
    company_settle(&company);
    device_close(&li->device);
    proxy_stop(proxy);
}

static void test_snapshot__server_killed_between_pages(void **state)
{
    (void)state;
    struct rep *li = newcomer("li", "rep", "East");
    for (int i = 0; !one_exchange(li); i++) {
        assert_true(i < EXCHANGES_MAX);
        if (i % 3 == 0) {
            server_kill(&company.server);
            device_sync_expect(&li->device, DAYBOOK_OFFLINE);
            server_start(&company.server);
        }
    }
    company_settle(&company);
}

/* Sent to another territory and back while the first is loading, with work on both. */
static void test_snapshot__buckets_gained_and_lost_while_they_load(void **state)
{
    char south[DAYBOOK_ID_SIZE];
    (void)state;
    struct rep *li = newcomer("li", "rep", "East");
    (void)load(li, 0);
    rep_patch(li, "customer", shops[1], "{\"industry\":\"li\"}");
    rep_putf(li, "visit", NULL, "{\"customer_id\":\"%s\",\"feedback\":\"li\"}", shops[1]);
    rep_put(tom, "customer", "{\"name\":\"south\"}", south);
    rep_sync(tom);
    rep_sync(li);
    static const char *const places[] = {"South", "East", "South", "East"};
    for (int place = 0; place < 4; place++) {
        if (place % 2 == 0) {
            rep_patchf(li, "customer", shops[0], "{\"industry\":\"%d\"}", place);
        }
        send_to("li", places[place]);
        for (int i = 0; i < 4 + 3 * place; i++) {
            (void)one_exchange(li);
            something_happens();
        }
        bool in_the_east = place % 2 == 1;
        if (!in_the_east) {
            assert_int_equal(rep_count(li, "SELECT count(*) FROM customer WHERE id = ?1", shops[2]),
                             0);
        }
        if (place < 3) {
            (void)load(li, 0);
            assert_int_equal(rep_count(li, "SELECT count(*) FROM customer WHERE id = ?1", south),
                             in_the_east ? 0 : 1);
        }
    }
    (void)load(li, 12);
    company_settle(&company);
    assert_field(li, "customer", shops[1], "industry", "li");
    assert_int_equal(
        server_int(&company.server, "SELECT count(*) FROM visit WHERE feedback = 'li'"), 1);
}

/* What was recorded goes with the bucket that it was about and comes back with it. */
static void test_snapshot__pending_work_in_a_bucket_that_is_lost_and_gained(void **state)
{
    char mine[DAYBOOK_ID_SIZE];
    (void)state;
    struct rep *li = newcomer("li", "rep", "East");
    (void)load(li, 0);
    tap_set_offline(&li->tap, true);
    rep_patch(li, "customer", shops[0], "{\"kind\":\"offline\"}");
    rep_putf(li, "visit", mine, "{\"customer_id\":\"%s\",\"feedback\":\"offline\"}", shops[0]);
    tap_set_offline(&li->tap, false);
    send_to("li", "South");
    send_to("li", "East");
    /* a reply that is lost, so that the work is decided and the device does not know */
    tap_lose_replies(&li->tap, 1);
    device_sync_expect(&li->device, DAYBOOK_OFFLINE);
    device_must(dk_store_reload(li->device.engine->store,
                                device_int(&li->device, "SELECT bucket FROM buckets"
                                                        " WHERE label LIKE 'territory:%'")),
                NULL);
    check_store(li);
    bool end = false;
    for (int i = 0; !end; i++) {
        assert_true(i < EXCHANGES_MAX);
        assert_field(li, "customer", shops[0], "kind", "offline");
        assert_field(li, "visit", mine, "feedback", "offline");
        end = one_exchange(li);
    }
    company_settle(&company);
    assert_field(wang, "customer", shops[0], "kind", "offline");
}

/* A bucket that is begun anew gets right what was wrong in it, and keeps what is pending. */
static void test_snapshot__a_bucket_read_anew_is_right_again(void **state)
{
    char sql[300];
    (void)state;
    struct rep *li = newcomer("li", "rep", "East");
    (void)load(li, 0);
    rep_patch(li, "customer", shops[3], "{\"channel\":\"kept\"}");
    int64_t bucket =
        device_int(&li->device, "SELECT bucket FROM buckets WHERE label LIKE 'territory:%'");
    struct database *database = &li->device.engine->store->database;
    (void)snprintf(sql, sizeof sql,
                   "UPDATE r_customer SET kind='wrong' WHERE version>0;"
                   "DELETE FROM r_visit;"
                   "UPDATE r_contact SET version=version+100000");
    device_must(dk_database_run(database, sql), NULL);
    device_must(dk_store_reload(li->device.engine->store, bucket), NULL);
    assert_int_equal(dk_store_reload(li->device.engine->store, 4711), DAYBOOK_NOT_FOUND);
    assert_int_equal(loading(li), 1);
    (void)load(li, 24);
    company_settle(&company);
    assert_field(wang, "customer", shops[3], "channel", "kept");
}

/* ---- a log that was cut */

static void compact(const char *positions)
{
    const char *const argv[] = {"compact", "--positions", positions, NULL};
    server_must(&company.server, argv);
}

/* Work of somebody who was away: on what others changed, deleted and moved away meanwhile. */
static void work_offline(struct rep *rep, char made[DAYBOOK_ID_SIZE])
{
    rep_patch(rep, "customer", shops[0], "{\"kind\":\"away\",\"industry\":\"away\"}");
    rep_putf(rep, "visit", made, "{\"customer_id\":\"%s\",\"feedback\":\"away\"}", shops[0]);
    rep_patch(rep, "visit", visits[1], "{\"feedback\":\"away\"}");
    rep_patch(rep, "customer", shops[2], "{\"industry\":\"away\"}");
    rep_putf(rep, "contact", NULL, "{\"customer_id\":\"%s\",\"name\":\"away\"}", shops[3]);
    rep_delete(rep, "quote_line", lines[3]);
}

/* The device was away for longer than the log reaches back. Its work goes up before the pages come,
 * is seen at every moment, and ends where it would have: merged, or told in inbox and conflicts. */
static void test_snapshot__too_far_behind_with_work_of_its_own(void **state)
{
    char made[DAYBOOK_ID_SIZE];
    bool end = false, loaded = false;
    (void)state;
    struct rep *li = newcomer("li", "rep", "East");
    (void)load(li, 0);
    rep_patch(wang, "customer", shops[0], "{\"kind\":\"wang\"}");
    rep_delete(wang, "visit", visits[1]);
    rep_patch(wang, "quote_line", lines[3], "{\"sort_key\":\"b\"}");
    rep_sync(wang);
    work_offline(li, made);
    company_reassign(&company, shops[2], "South");
    for (int i = 0; i < 8; i++) {
        something_happens();
    }
    compact("0");
    assert_int_equal(server_int(&company.server, "SELECT count(*) FROM log"), 0);
    assert_int_equal(server_int(&company.server, "SELECT head - floor FROM org"), 0);
    tap_forget(&li->tap);
    int64_t rows = device_int(&li->device, "SELECT count(*) FROM quote_line");
    for (int i = 0; !end; i++) {
        assert_true(i < EXCHANGES_MAX);
        end = one_exchange(li);
        if (!loaded && tap_has_received(&li->tap, "\"pages\"")) {
            loaded = true;
            assert_int_equal(device_status(&li->device).pending, 0);
        }
        assert_field(li, "visit", made, "feedback", "away");
        assert_field(li, "customer", shops[0], "industry", "away");
        assert_true(device_int(&li->device, "SELECT count(*) FROM quote_line") >= rows);
    }
    assert_true(tap_has_received(&li->tap, "\"reset\":true"));
    company_settle(&company);
    assert_field(wang, "visit", made, "feedback", "away");
    assert_field(wang, "customer", shops[0], "industry", "away");
    /* each value is in the record, or in the conflicts, or in an inbox */
    assert_true(strcmp(company_field(&company, "customer", shops[0], "kind"), "away") == 0 ||
                server_int(&company.server, "SELECT count(*) FROM field_conflict"
                                            " WHERE lost = '\"away\"'") > 0);
    int64_t kept =
        server_int(&company.server, "SELECT count(*) FROM visit WHERE feedback = 'away'");
    int64_t told = device_int(&li->device, "SELECT count(*) FROM inbox WHERE kind = 'rejected'"
                                           " AND entity = 'visit'");
    assert_int_equal(kept + told, 2);
    assert_int_equal(
        server_int(&company.server, "SELECT count(*) FROM contact WHERE name = 'away'"), 1);
}

/* A device that has the log from the floor on goes on; one below it takes a snapshot; and pages of
 * a snapshot that was under way when the log was cut are begun anew. */
static void test_snapshot__cut_behind_and_before_a_device(void **state)
{
    (void)state;
    struct rep *li = newcomer("li", "rep", "East"), *zhao = newcomer("zhao", "rep", "East");
    (void)load(li, 0);
    for (int i = 0; i < 7; i++) {
        (void)one_exchange(zhao);
    }
    int64_t position = device_status(&li->device).position;
    for (int i = 0; i < 12; i++) {
        something_happens();
    }
    char keep[24];
    int64_t head = server_int(&company.server, "SELECT head FROM org");
    (void)snprintf(keep, sizeof keep, "%lld", (long long)(head - position));
    compact(keep);
    tap_forget(&li->tap);
    (void)load(li, 0);
    assert_false(tap_has_received(&li->tap, "\"reset\""));
    (void)load(zhao, 0);
    (void)snprintf(keep, sizeof keep, "%lld", (long long)(head - position - 1));
    for (int i = 0; i < 3; i++) {
        something_happens();
    }
    compact("2");
    tap_forget(&li->tap);
    (void)load(li, 6);
    assert_true(tap_has_received(&li->tap, "\"reset\":true"));
    compact("1000000");
    company_settle(&company);
}

/* An organisation in which nothing has happened yet. */
static void test_snapshot__an_empty_organisation(void **state)
{
    struct server server;
    struct device device;
    char code[64];
    (void)state;
    server_init(&server);
    server_start(&server);
    server_add_user(&server, "li", "rep", "East");
    server_code(&server, "li", code);
    device_init(&device, NULL, server.url, server.ca_file);
    device_open(&device);
    device_enrol(&device, code);
    device_sync(&device);
    replica_assert_equal(&device, &server, "li");
    assert_int_equal(device_int(&device, "SELECT count(*) FROM buckets WHERE loading"), 0);
    assert_int_equal(device_int(&device, "SELECT count(*) FROM app_user"), 1);
    device_clear(&device);
    server_clear(&server);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_snapshot__##name, set_up, tear_down)

/* Tells all stories; the server's pages have so many bytes, 0: its default. */
static int tell_all(const char *name, int64_t page_bytes)
{
    const struct CMUnitTest tests[] = {
        TEST(first_sync_record_by_record_while_others_write),
        TEST(what_is_there_is_shown_while_it_loads),
        TEST(lost_replies_and_closed_devices),
        TEST(replies_cut_at_bytes_of_all_regions),
        TEST(server_killed_between_pages),
        TEST(buckets_gained_and_lost_while_they_load),
        TEST(pending_work_in_a_bucket_that_is_lost_and_gained),
        TEST(a_bucket_read_anew_is_right_again),
        TEST(too_far_behind_with_work_of_its_own),
        TEST(cut_behind_and_before_a_device),
        cmocka_unit_test(test_snapshot__an_empty_organisation),
    };
    server_page_bytes = page_bytes;
    return _cmocka_run_group_tests(name, tests, sizeof tests / sizeof tests[0], NULL, NULL);
}

#endif
