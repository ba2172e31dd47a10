/* SPDX-License-Identifier: Apache-2.0
 *
 * Whatever happens on the way, the end is the same as if nothing had happened: replies that are
 * lost, requests that are repeated, a connection that is cut at any byte in either direction, a
 * server that is killed in between. Each changeset has one effect, and each replica is right.
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

/* Sanitizers make each exchange several times slower: they look at every so many-th byte only. */
#if defined(DAYBOOK_SANITIZED)
#define STRIDE 17
#define HANDSHAKE_STRIDE 97
#else
#define STRIDE 1
#define HANDSHAKE_STRIDE 29
#endif

static struct company company;
static struct rep *wang; /* on a clean line */
static struct rep *li;   /* behind the proxy */
static struct proxy *proxy;
static char proxy_url[64];
static char shop[DAYBOOK_ID_SIZE];

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    proxy = company_pair_behind(&company, &wang, &li, proxy_url);
    rep_put(wang, "customer", "{\"name\":\"好邻居\"}", shop);
    company_settle(&company);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    proxy_stop(proxy);
    return 0;
}

static void visit(struct rep *rep, const char *feedback)
{
    rep_putf(rep, "visit", NULL, "{\"customer_id\":\"%s\",\"feedback\":\"%s\"}", shop, feedback);
}

/* How many visits the server has whose feedback begins like this. */
static int64_t visits(const char *begin)
{
    char sql[200];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM visit WHERE feedback LIKE '%s%%'", begin);
    return server_int(&company.server, sql);
}

static void test_faults__lost_reply_is_asked_for_again(void **state)
{
    (void)state;
    visit(wang, "lost once");
    rep_patch(wang, "customer", shop, "{\"kind\":\"lost\"}");
    tap_forget(&wang->tap);
    tap_lose_replies(&wang->tap, 1);
    int losses = wang->tap.losses;
    device_sync_expect(&wang->device, DAYBOOK_OFFLINE);
    assert_int_equal(wang->tap.losses, losses + 1);

    /* The server has decided; the device does not know. */
    assert_int_equal(visits("lost once"), 1);
    assert_int_equal(device_status(&wang->device).pending, 2);
    int64_t head = server_int(&company.server, "SELECT head FROM org");

    rep_sync(wang);
    assert_true(tap_has_received(&wang->tap, "\"duplicate\":true"));
    assert_int_equal(device_status(&wang->device).pending, 0);
    assert_int_equal(server_int(&company.server, "SELECT head FROM org"), head);
    company_settle(&company);
    assert_int_equal(visits("lost once"), 1);
}

static void test_faults__many_replies_lost_in_a_row_change_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        char text[40];
        (void)snprintf(text, sizeof text, "row %d", i);
        visit(wang, text);
        tap_lose_replies(&wang->tap, 1);
        device_sync_expect(&wang->device, DAYBOOK_OFFLINE);
    }
    company_settle(&company);
    assert_int_equal(visits("row "), 5);
}

static void test_faults__request_sent_twice_is_answered_with_the_same_verdict(void **state)
{
    struct client client;
    char id[CLIENT_ID_SIZE], record[CLIENT_ID_SIZE], changes[400];
    (void)state;
    client_init(&client, &company.server);
    client_enrol(&client, "wang");
    client_new_id(id);
    client_new_id(record);
    (void)snprintf(changes, sizeof changes,
                   "[{\"entity\":\"customer\",\"op\":\"new\",\"fields\":[\"name\"],"
                   "\"rows\":[[0,\"%s\",\"twice\"]]}]",
                   record);
    struct client_changeset changeset = {changes, id, 1, 0, 1795226400000};
    assert_string_equal(client_push_as(&client, changeset), "accepted");
    int64_t position = client_position(&client);
    assert_true(position > 0);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(client_push_as(&client, changeset), "accepted");
        assert_int_equal(client_position(&client), position);
        assert_true(cJSON_IsTrue(dk_tree_member(
            cJSON_GetArrayItem(cJSON_GetArrayItem(dk_tree_member(client.reply, "verdicts"), 0), 3),
            "duplicate")));
    }
    client_clear(&client);
    assert_int_equal(
        server_int(&company.server, "SELECT count(*) FROM customer WHERE name = 'twice'"), 1);
    company_settle(&company);
}

static void test_faults__reply_dropped_by_the_network_after_the_request_went_through(void **state)
{
    (void)state;
    rep_sync(li); /* the connection stands */
    visit(li, "dropped");
    proxy_make_plan(proxy, (struct proxy_plan){-1, 0, PROXY_CLOSE});
    device_sync_expect(&li->device, DAYBOOK_OFFLINE);
    assert_true(proxy_look(proxy).ends > 0);
    proxy_make_plan(proxy, PROXY_PLAN_CLEAN);
    company_settle(&company);
    assert_int_equal(visits("dropped"), 1);
}

static void test_faults__stalled_and_half_closed_lines_end_in_a_typed_error(void **state)
{
    (void)state;
    device_close(&li->device);
    li->device.options.timeout_ms = 300;
    device_open(&li->device);
    rep_sync(li);
    visit(li, "stall up");
    proxy_make_plan(proxy, (struct proxy_plan){100, -1, PROXY_STALL});
    device_sync_expect(&li->device, DAYBOOK_TIMEOUT);
    proxy_make_plan(proxy, PROXY_PLAN_CLEAN);
    rep_sync(li);

    visit(li, "stall down");
    proxy_make_plan(proxy, (struct proxy_plan){-1, 10, PROXY_STALL});
    device_sync_expect(&li->device, DAYBOOK_TIMEOUT);
    proxy_make_plan(proxy, PROXY_PLAN_CLEAN);
    rep_sync(li);

    visit(li, "half down");
    proxy_make_plan(proxy, (struct proxy_plan){-1, 10, PROXY_HALF_CLOSE});
    device_sync_expect(&li->device, DAYBOOK_OFFLINE);
    proxy_make_plan(proxy, PROXY_PLAN_CLEAN);
    rep_sync(li);

    device_close(&li->device);
    li->device.options.timeout_ms = 0;
    device_open(&li->device);
    company_settle(&company);
    assert_int_equal(visits("stall ") + visits("half "), 3);
}

/* One changeset up over a line that ends at this byte, then over a clean one. True where the cut
 * was met. The connection stands before, so that only request and reply are counted, unless `fresh`
 * lets the handshake count too. */
static bool cut_once(struct proxy_plan plan, bool fresh, int number)
{
    char text[40];
    proxy_make_plan(proxy, PROXY_PLAN_CLEAN);
    if (fresh) {
        device_close(&li->device);
        device_open(&li->device);
    } else {
        rep_sync(li);
    }
    (void)snprintf(text, sizeof text, "cut %06d", number);
    visit(li, text);
    proxy_make_plan(proxy, plan);
    daybook_status status = daybook_sync(li->device.engine, 0, &li->device.error);
    bool met = proxy_look(proxy).ends > 0;
    if ((status != DAYBOOK_OK && status != DAYBOOK_OFFLINE) ||
        (status == DAYBOOK_OFFLINE && !met)) {
        print_error("cut at %lld up, %lld down: %s\n", (long long)plan.up_bytes,
                    (long long)plan.down_bytes, daybook_status_name(status));
        fail();
    }
    proxy_make_plan(proxy, PROXY_PLAN_CLEAN);
    rep_sync(li);
    assert_int_equal(device_status(&li->device).pending, 0);
    return met;
}

/* Cuts one direction at each stride-th byte until the exchange is through untouched. */
static int cut_everywhere(bool up, bool fresh, int stride, int *number)
{
    int cuts = 0;
    for (int64_t byte = 0; byte < 20000; byte += stride) {
        struct proxy_plan plan = {up ? byte : -1, up ? -1 : byte,
                                  byte % 2 == 0 ? PROXY_CLOSE : PROXY_RESET};
        if (!cut_once(plan, fresh, (*number)++)) {
            return cuts;
        }
        cuts++;
    }
    fail_msg("no exchange came through");
    return cuts;
}

static void test_faults__cut_at_any_byte_ends_like_no_cut(void **state)
{
    int number = 0;
    (void)state;
    int up = cut_everywhere(true, false, STRIDE, &number);
    int down = cut_everywhere(false, false, STRIDE, &number);
    int hello_up = cut_everywhere(true, true, HANDSHAKE_STRIDE, &number);
    int hello_down = cut_everywhere(false, true, HANDSHAKE_STRIDE, &number);
    print_message("cuts: %d in requests, %d in replies, %d and %d with handshakes\n", up, down,
                  hello_up, hello_down);
    assert_true(up > 200 / STRIDE && down > 200 / STRIDE && hello_up > 2 && hello_down > 2);

    company_settle(&company);
    assert_int_equal(visits("cut "), number);
    assert_int_equal(server_int(&company.server, "SELECT count(DISTINCT feedback) FROM visit"
                                                 " WHERE feedback LIKE 'cut %'"),
                     number);
    assert_int_equal(rep_count(li, "SELECT count(*) FROM inbox", NULL), 0);
}

/* Kills the server before, or after, a certain exchange. */
struct killing {
    int number;
    bool after;
};

static void kill_before(void *context, int number)
{
    const struct killing *killing = context;
    if (!killing->after && number == killing->number) {
        server_kill(&company.server);
    }
}

static void kill_after(void *context, int number, daybook_status status)
{
    const struct killing *killing = context;
    (void)status;
    if (killing->after && number == killing->number) {
        server_kill(&company.server);
    }
}

static void test_faults__server_killed_between(void **state)
{
    (void)state;
    for (int round = 0; round < 4; round++) {
        char text[40];
        (void)snprintf(text, sizeof text, "kill %d", round);
        visit(wang, text);
        struct killing killing = {tap_exchanges(&wang->tap) + 1, round % 2 == 1};
        wang->tap.context = &killing;
        wang->tap.before = kill_before;
        wang->tap.after = kill_after;
        if (round >= 2) {
            tap_lose_replies(&wang->tap, 1);
        }
        (void)daybook_sync(wang->device.engine, 0, &wang->device.error);
        wang->tap.before = NULL;
        wang->tap.after = NULL;
        tap_lose_replies(&wang->tap, 0);
        if (company.server.process > 0) {
            server_kill(&company.server);
        }
        /* Offline: the store is as it was, and goes on taking work. */
        device_sync_expect(&wang->device, DAYBOOK_OFFLINE);
        visit(wang, "while it was dead");
        server_start(&company.server);
        rep_sync(wang);
    }
    company_settle(&company);
    assert_int_equal(visits("kill "), 4);
    assert_int_equal(visits("while it was dead"), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults__lost_reply_is_asked_for_again),
        cmocka_unit_test(test_faults__many_replies_lost_in_a_row_change_nothing),
        cmocka_unit_test(test_faults__request_sent_twice_is_answered_with_the_same_verdict),
        cmocka_unit_test(test_faults__reply_dropped_by_the_network_after_the_request_went_through),
        cmocka_unit_test(test_faults__stalled_and_half_closed_lines_end_in_a_typed_error),
        cmocka_unit_test(test_faults__cut_at_any_byte_ends_like_no_cut),
        cmocka_unit_test(test_faults__server_killed_between),
    };
    return cmocka_run_group_tests_name("faults", tests, set_up, tear_down);
}
