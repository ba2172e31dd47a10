/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of snapshots (sync.md, section 9), each shown by itself; what happens where all of them
 * are at work at once is told in snapshot_stories.h. Where the tests of each are:
 *
 *   pages, their keys     here, pages_go_on_from_their_keys; test_service__snapshot_pages
 *   resumed after a cut   snapshot_stories.h; tests/kill/test_snapshot.c
 *   made once, and kept   here, pages_that_are_kept; unit/test_snapshot_cache.c
 *   1 versions            here, a_page_may_be_ahead_of_the_log; test_store_apply__entries_at_or_
 *                         below_the_version_are_skipped
 *   2 whole or in part    here, an_entry_says_what_has_come_of_it
 *   3 gained buckets      here, a_partial_change_of_what_is_not_there_is_skipped
 *   4 stale rows          test_store_loading__what_happens_to_stale_rows; snapshot_stories.h, too
 * far behind 5 where a page goes   here, pages_go_on_from_their_keys;
 * test_store_loading__a_page_is_taken_ where_the_bucket_stands, …__pages_that_break_the_protocol 6
 * the end             here, pages_go_on_from_their_keys and a_page_may_be_ahead_of_the_log;
 *                         test_store_loading__it_ends_at_the_highest_head_of_its_pages
 *   7 tombstones          here, a_tombstone_stays_until_all_have_passed_it
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

#define EXCHANGES_MAX 400
#define CANARY "kanarienvogel"

static struct company company;
static struct rep *wang, *li, *tom; /* two of the East, one of the South */
static char shop[DAYBOOK_ID_SIZE];

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    company_pair(&company, &wang, &li, shop);
    tom = company_hire(&company, "tom", "rep", "South");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

static void send_to(const char *login, const char *territory)
{
    char members[100];
    (void)snprintf(members, sizeof members, "\"territory_id\":{\"key\":\"%s\"}", territory);
    company_change_user(&company, login, members);
}

/* Enrolled, nothing synced yet, with pages of so many bytes; 0: the server's. */
static struct rep *newcomer(const char *login, const char *territory, int64_t page_bytes)
{
    char code[64];
    struct rep *rep = company_add(&company, login, "rep", territory);
    rep->device.options.page_bytes = page_bytes;
    device_open(&rep->device);
    server_code(&company.server, login, code);
    device_enrol(&rep->device, code);
    return rep;
}

/* ---- rule 2 */

/* What a client gets of what has happened since it asked last. */
static const char *next_log(struct client *client)
{
    assert_int_equal(client_sync(client, ""), 200);
    return dk_buffer_text(&client->text);
}

static void expect_log(struct client *client, const char *entity, const char *op,
                       const char *fields, const char *value)
{
    char block[200];
    const char *text = next_log(client);
    (void)snprintf(block, sizeof block, "\"entity\":\"%s\",\"op\":\"%s\"", entity, op);
    if (strstr(text, block) == NULL || strstr(text, fields) == NULL ||
        strstr(text, value) == NULL) {
        fail_msg("no %s of %s with %s, %s in %s", op, entity, fields, value, text);
    }
}

/* Given a client at the head, when a record appears for it (made, revived, moved here), then the
 * entry is the whole record; when it changes, the fields that did, as they are now: all elements of
 * a set, the state that was reached, of a map the key. A change of a line is the line's. */
static void test_rules__an_entry_says_what_has_come_of_it(void **state)
{
    struct client east, south;
    char id[DAYBOOK_ID_SIZE], quote[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
    (void)state;
    client_init(&east, &company.server);
    client_enrol(&east, "wang");
    client_load(&east);
    client_init(&south, &company.server);
    client_enrol(&south, "tom");
    client_load(&south);

    rep_put(wang, "customer", "{\"name\":\"" CANARY "\",\"tags\":[\"a\"],\"custom\":{\"k\":1}}",
            id);
    rep_sync(wang);
    expect_log(&east, "customer", "new", "\"tags\"", CANARY);
    rep_sync(li);
    rep_patch(wang, "customer", id, "{\"kind\":\"bakery\"}");
    rep_sync(wang);
    expect_log(&east, "customer", "set", "\"fields\":[\"kind\"]", "\"bakery\"");
    assert_null(strstr(dk_buffer_text(&east.text), CANARY));
    rep_patch(wang, "customer", id, "{\"tags\":[\"a\",\"b\"]}");
    rep_sync(wang);
    expect_log(&east, "customer", "set", "\"fields\":[\"tags\"]", "[\"a\",\"b\"]");
    rep_patch(wang, "customer", id, "{\"custom\":{\"m\":2}}");
    rep_sync(wang);
    expect_log(&east, "customer", "set", "\"fields\":[\"custom\"]", "{\"m\":2}");
    rep_quote(wang, "quoted", NULL, quote, line);
    rep_sync(wang);
    (void)next_log(&east);
    rep_patch(wang, "quote_line", line, "{\"qty\":7000}");
    rep_sync(wang);
    expect_log(&east, "quote_line", "set", "\"qty\"", "\"7000\"");
    assert_null(strstr(dk_buffer_text(&east.text), "\"entity\":\"quote\""));
    rep_patch(wang, "quote", quote, "{\"status\":\"sent\"}");
    rep_sync(wang);
    expect_log(&east, "quote", "set", "\"fields\":[\"status\"]", "\"sent\"");

    rep_delete(wang, "customer", id);
    rep_sync(wang);
    expect_log(&east, "customer", "delete", "", "");
    rep_patch(li, "customer", id, "{\"prefs\":\"tea\"}");
    rep_sync(li);
    expect_log(&east, "customer", "new", "\"name\"", CANARY);

    (void)next_log(&south);
    company_reassign(&company, id, "South");
    expect_log(&east, "customer", "evict", "", "");
    assert_null(strstr(dk_buffer_text(&east.text), CANARY));
    expect_log(&south, "customer", "new", "\"name\"", CANARY);
    client_clear(&east);
    client_clear(&south);
    company_settle(&company);
}

/* ---- rules 5 and 6, on the server's side */

/* Given a client that loads in the smallest pages while others write, then a reset has no page,
 * each page begins behind the key that was asked for and is no older than the client's position,
 * none is empty, the last one says so, and a page that is asked for again comes again. */
static void test_rules__pages_go_on_from_their_keys(void **state)
{
    struct client client;
    char key[200] = "", again[200] = "";
    int pages = 0;
    int64_t bucket =
        device_int(&wang->device, "SELECT bucket FROM buckets WHERE label LIKE 'territory:%'");
    (void)state;
    for (int i = 0; i < 5; i++) {
        rep_put(wang, "customer", "{\"name\":\"on a page\"}", NULL);
    }
    rep_sync(wang);
    client_init(&client, &company.server);
    client_enrol(&client, "wang");
    client.position = 0;
    assert_int_equal(client_sync(&client, ""), 200);
    assert_true(cJSON_IsTrue(dk_tree_member(client.reply, "reset")));
    assert_null(dk_tree_member(client.reply, "pages"));
    for (bool last = false; !last; pages++) {
        char members[400];
        int64_t head = 0, position = client.position;
        assert_true(pages < EXCHANGES_MAX);
        (void)snprintf(members, sizeof members, ",\"page_bytes\":1,\"loading\":[[%lld%s]]",
                       (long long)bucket,
                       pages == 3 ? again : key); /* once, one that has come already */
        assert_int_equal(client_sync(&client, members), 200);
        const cJSON *page = cJSON_GetArrayItem(dk_tree_member(client.reply, "pages"), 0);
        assert_non_null(page);
        assert_true(dk_tree_integer(dk_tree_member(page, "head"), &head) && head >= position);
        int rows = cJSON_GetArraySize(dk_tree_member(page, "rows"));
        char *after = cJSON_PrintUnformatted(dk_tree_member(page, "after"));
        char *next = cJSON_PrintUnformatted(dk_tree_member(page, "next"));
        const char *asked = pages == 3 ? again : key;
        assert_int_equal(after == NULL, asked[0] == '\0');
        assert_true(after == NULL || (strlen(after) == strlen(asked) + 1 &&
                                      memcmp(after + 1, asked + 1, strlen(asked) - 1) == 0));
        memcpy(again, key, sizeof again);
        last = next == NULL;
        assert_true(rows == 1 || (rows == 0 && last));
        if (!last) { /* ["entity","id"] becomes ,"entity","id" */
            (void)snprintf(key, sizeof key, ",%.*s", (int)strlen(next) - 2, next + 1);
        }
        cJSON_free(after);
        cJSON_free(next);
        rep_patchf(wang, "customer", shop, "{\"kind\":\"%d\"}", pages);
        rep_sync(wang);
    }
    assert_true(pages > 5);
    client_clear(&client);
}

/* ---- rules 1 and 3, on the device's side */

/* Given a device that loads the South record by record, when one is changed before its page has
 * come, then the change, which is in part, is skipped, and the page brings all of it; and when one
 * has come, in the state of a change whose place in the log is still ahead, then that changes
 * nothing again. */
static void test_rules__a_partial_change_of_what_is_not_there_is_skipped(void **state)
{
    char id[4][DAYBOOK_ID_SIZE], line[80];
    (void)state;
    for (int i = 0; i < 4; i++) {
        rep_putf(tom, "customer", id[i], "{\"name\":\"south %d\",\"kind\":\"0\"}", i);
    }
    rep_sync(tom);
    struct rep *zhao = newcomer("zhao", "East", 1);
    rep_sync(zhao);
    send_to("zhao", "South");
    while (device_int(&zhao->device, "SELECT count(*) FROM customer WHERE kind = '0'") < 1) {
        assert_false(rep_exchange(zhao));
    }
    assert_int_equal(device_status(&zhao->device).loading, 1);
    assert_field(zhao, "customer", id[0], "name", "south 0");
    assert_field(zhao, "customer", id[3], "name", "");
    tap_forget(&zhao->tap);
    for (int i = 0; i < 4; i++) {
        rep_patchf(tom, "customer", id[i], "{\"kind\":\"later %d\"}", i);
    }
    rep_sync(tom);
    bool skipped = false;
    for (int i = 0; !rep_exchange(zhao); i++) {
        assert_true(i < EXCHANGES_MAX);
        skipped = skipped || (tap_has_received(&zhao->tap, "\"set\"") &&
                              rep_field(zhao, "customer", id[3], "name")[0] == '\0');
        for (int k = 0; k < 4; k++) { /* whole, or not at all */
            const char *name = rep_field(zhao, "customer", id[k], "name");
            (void)snprintf(line, sizeof line, "south %d", k);
            assert_true(name[0] == '\0' || strcmp(name, line) == 0);
        }
    }
    assert_true(skipped);
    for (int i = 0; i < 4; i++) {
        (void)snprintf(line, sizeof line, "later %d", i);
        assert_field(zhao, "customer", id[i], "kind", line);
    }
    company_settle(&company);
}

/* Given a bucket whose pages are read at the head while the device's log is far behind, when the
 * log comes to what the pages have shown already, then it changes nothing again (no view goes
 * back), its markers count all the same, and the bucket loads until the log is there. */
static void test_rules__a_page_may_be_ahead_of_the_log(void **state)
{
    char south[DAYBOOK_ID_SIZE];
    int64_t seen = -1;
    bool ahead = false;
    (void)state;
    rep_put(tom, "customer", "{\"name\":\"south\",\"kind\":\"0\"}", south);
    rep_sync(tom);
    struct rep *zhao = newcomer("zhao", "South", 1);
    (void)rep_exchange(zhao); /* the log goes on from here */
    for (int i = 1; i <= 12; i++) {
        rep_patchf(tom, "customer", south, "{\"kind\":\"%d\"}", i);
        rep_sync(tom);
    }
    rep_put(zhao, "customer", "{\"name\":\"zhao's\"}", NULL);
    for (int i = 0; !rep_exchange(zhao); i++) {
        assert_true(i < EXCHANGES_MAX);
        int64_t kind = rep_count(zhao,
                                 "SELECT coalesce(max(CAST(kind AS INTEGER)), -1) FROM customer"
                                 " WHERE id = ?1",
                                 south);
        assert_true(kind >= seen);
        seen = kind;
        daybook_sync_status status = device_status(&zhao->device);
        if (kind == 12 && status.position < server_int(&company.server, "SELECT head FROM org")) {
            ahead = true;
            assert_int_equal(status.loading, 1);
        }
    }
    assert_true(ahead);
    assert_int_equal(device_status(&zhao->device).unsettled, 0);
    company_settle(&company);
}

/* ---- pages that are kept */

/* Given pages that a newcomer made the server keep, when a third comes, then it gets them, with
 * the log from where they were made; when a record has left the bucket since, then a fourth does
 * not: not a byte of what is not theirs any more. */
static void test_rules__pages_that_are_kept(void **state)
{
    char secret[DAYBOOK_ID_SIZE], head[40];
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"" CANARY "\"}", secret);
    rep_sync(wang);
    server_stop(&company.server); /* which forgets the pages of before */
    server_start(&company.server);
    rep_sync(newcomer("a", "East", 0));
    (void)snprintf(head, sizeof head, "\"head\":%lld,\"rows\"",
                   (long long)server_int(&company.server, "SELECT head FROM org"));
    rep_sync(newcomer("b", "East", 0));
    rep_put(tom, "customer", "{\"name\":\"meanwhile\"}", NULL);
    rep_sync(tom);
    struct rep *third = newcomer("c", "East", 0);
    rep_sync(third);
    assert_true(tap_has_received(&third->tap, head));
    assert_true(tap_has_received(&third->tap, CANARY));
    company_reassign(&company, secret, "South");
    struct rep *fourth = newcomer("d", "East", 0);
    rep_sync(fourth);
    assert_false(tap_has_received(&fourth->tap, CANARY));
    assert_true(rep_count(fourth, "SELECT count(*) FROM customer WHERE id = ?1", shop) == 1);
    company_settle(&company);
}

/* ---- rule 7 */

static void compact(int64_t positions)
{
    char keep[24];
    const char *const argv[] = {"compact", "--positions", keep, NULL};
    (void)snprintf(keep, sizeof keep, "%lld", (long long)positions);
    server_must(&company.server, argv);
}

static int64_t tombstones(void)
{
    return server_int(&company.server, "SELECT count(*) FROM s_customer WHERE deleted = 1");
}

/* Given a record that two devices hold when a third deletes it, then its tombstone stays while the
 * log reaches back to them: the one that comes sees the delete. It goes when the log is cut above
 * it; the one that was away for longer takes a snapshot, and does not have the record either. */
static void test_rules__a_tombstone_stays_until_all_have_passed_it(void **state)
{
    char gone[DAYBOOK_ID_SIZE];
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"gone\"}", gone);
    rep_sync(wang);
    struct rep *zhao = newcomer("zhao", "East", 0);
    rep_sync(zhao);
    rep_sync(li);
    int64_t before = server_int(&company.server, "SELECT head FROM org");
    rep_delete(wang, "customer", gone);
    rep_sync(wang);
    for (int i = 0; i < 4; i++) {
        rep_patchf(wang, "customer", shop, "{\"kind\":\"%d\"}", i);
    }
    rep_sync(wang);
    compact(server_int(&company.server, "SELECT head FROM org") - before);
    assert_int_equal(tombstones(), 1);
    tap_forget(&li->tap);
    rep_sync(li);
    assert_true(tap_has_received(&li->tap, "\"delete\""));
    assert_false(tap_has_received(&li->tap, "\"reset\""));
    assert_int_equal(rep_count(li, "SELECT count(*) FROM customer WHERE id = ?1", gone), 0);
    compact(1);
    assert_int_equal(tombstones(), 0);
    tap_forget(&zhao->tap);
    assert_int_equal(rep_count(zhao, "SELECT count(*) FROM customer WHERE id = ?1", gone), 1);
    rep_sync(zhao);
    assert_true(tap_has_received(&zhao->tap, "\"reset\":true"));
    assert_false(tap_has_received(&zhao->tap, "\"delete\""));
    assert_int_equal(rep_count(zhao, "SELECT count(*) FROM customer WHERE id = ?1", gone), 0);
    company_settle(&company);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_rules__##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_entry_says_what_has_come_of_it),
        TEST(pages_go_on_from_their_keys),
        TEST(a_partial_change_of_what_is_not_there_is_skipped),
        TEST(a_page_may_be_ahead_of_the_log),
        TEST(pages_that_are_kept),
        TEST(a_tombstone_stays_until_all_have_passed_it),
    };
    return cmocka_run_group_tests_name("snapshot_rules", tests, NULL, NULL);
}
