/* SPDX-License-Identifier: Apache-2.0
 *
 * Work of a user who was disabled: the server keeps it, the device goes on showing it, an operator
 * lets it through or turns it down, and the device learns of it whatever happened meanwhile: a
 * restart, a lost reply, a new instance of its file.
 */
#include "tests/support/company.h"

#include "engine/protocol/limits.h"

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
static struct rep *wang, *li;

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    wang = company_hire(&company, "wang", "rep", "East");
    li = company_hire(&company, "li", "rep", "East");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

static void set_disabled(const char *login, bool disabled)
{
    char line[120];
    (void)snprintf(line, sizeof line, "{\"entity\":\"app_user\",\"key\":\"%s\",\"disabled\":%s}\n",
                   login, disabled ? "true" : "false");
    server_import(&company.server, line);
}

/* Runs a quarantine command with a changeset (may be NULL) and an option (may be NULL). */
static int quarantine(const char *command, const char *changeset, const char *option,
                      char out[4000])
{
    const char *arguments[5] = {"quarantine", command};
    int count = 2;
    if (changeset != NULL) {
        arguments[count++] = changeset;
    }
    if (option != NULL) {
        arguments[count++] = option;
    }
    return server_run(&company.server, out, 4000, arguments);
}

/* The id of the changeset that is nth in the quarantine, in the order of seq, counted from 0. */
static void waiting_id(int nth, char id[DAYBOOK_ID_SIZE])
{
    char out[4000];
    assert_int_equal(quarantine("list", NULL, NULL, out), 0);
    const char *line = out;
    for (int i = 0; i <= nth; i++) {
        line = strchr(line, '\n');
        assert_non_null(line);
        line++;
    }
    assert_true(strlen(line) > 36);
    (void)snprintf(id, DAYBOOK_ID_SIZE, "%.36s", line);
}

static int64_t waiting(void)
{
    return server_int(&company.server, "SELECT count(*) FROM quarantine WHERE ended = 0");
}

static int64_t inbox_of(struct rep *rep, const char *kind, const char *code)
{
    char sql[200];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM inbox WHERE kind = '%s' AND code = '%s'",
                   kind, code);
    return device_int(&rep->device, sql);
}

static const char *state_of(struct rep *rep, const char *id)
{
    return device_text_of(&rep->device, "SELECT state FROM sync_state WHERE id = ?1", id);
}

/* What li has recorded while disabled: a customer, an edit of a known one, a visit at the first. */
struct work {
    char known[DAYBOOK_ID_SIZE], made[DAYBOOK_ID_SIZE], visit[DAYBOOK_ID_SIZE];
    char first[DAYBOOK_ID_SIZE]; /* the changeset of the first */
};

/* Given a known customer, when li is disabled, records and syncs, then all of it waits and is seen;
 * li is let in again and records more: what touches that waits too, all else goes through. */
static void work_while_disabled(struct work *work)
{
    char other[DAYBOOK_ID_SIZE];
    rep_put(wang, "customer", "{\"name\":\"known\"}", work->known);
    company_settle(&company);
    set_disabled("li", true);
    rep_put(li, "customer", "{\"name\":\"made\"}", work->made);
    rep_patch(li, "customer", work->known, "{\"prefs\":\"tea\"}");
    rep_sync(li);
    assert_int_equal(waiting(), 2);
    set_disabled("li", false);
    rep_sync(li);
    assert_field(li, "customer", work->made, "name", "made");
    assert_field(li, "customer", work->known, "prefs", "tea");
    assert_string_equal(state_of(li, work->made), "quarantined");
    assert_string_equal(state_of(li, work->known), "quarantined");
    rep_putf(li, "visit", work->visit, "{\"customer_id\":\"%s\",\"feedback\":\"liked it\"}",
             work->made);
    rep_put(li, "customer", "{\"name\":\"other\"}", other);
    rep_sync(li);
    assert_int_equal(waiting(), 3);
    assert_string_equal(state_of(li, work->visit), "quarantined");
    assert_string_equal(state_of(li, other), "");
    assert_string_equal(company_field(&company, "customer", other, "name"), "other");
    assert_string_equal(company_field(&company, "customer", work->made, "name"), "");
    waiting_id(0, work->first);
}

static void test_quarantine__released_with_what_waited_behind_it(void **state)
{
    struct work work;
    char out[4000], second[DAYBOOK_ID_SIZE];
    (void)state;
    work_while_disabled(&work);
    assert_int_equal(quarantine("show", work.first, NULL, out), 0);
    assert_non_null(strstr(out, "\"made\""));
    /* In order only. */
    waiting_id(1, second);
    assert_int_not_equal(quarantine("release", second, NULL, out), 0);
    assert_non_null(strstr(out, work.first));
    /* The visit depends on the first and follows; the edit of the known one is on its own. */
    assert_int_equal(quarantine("release", work.first, NULL, out), 0);
    assert_non_null(strstr(out, "accepted"));
    assert_int_equal(waiting(), 1);
    rep_sync(li);
    assert_string_equal(state_of(li, work.made), "");
    assert_string_equal(state_of(li, work.visit), "");
    assert_string_equal(state_of(li, work.known), "quarantined");
    assert_int_equal(quarantine("release", second, NULL, out), 0);
    company_settle(&company);
    assert_field(wang, "customer", work.made, "name", "made");
    assert_field(wang, "customer", work.known, "prefs", "tea");
    assert_field(wang, "visit", work.visit, "feedback", "liked it");
    assert_int_equal(device_status(&li->device).unsettled, 0);
    /* The author is who recorded it, not who let it through. */
    const char *li_id = server_text(&company.server, "SELECT id FROM app_user WHERE login = 'li'");
    assert_string_equal(company_field(&company, "customer", work.made, "created_by"), li_id);
    /* Acknowledged, it is forgotten; a second release finds nothing. */
    rep_put(li, "customer", "{\"name\":\"later\"}", NULL);
    company_settle(&company);
    rep_put(li, "customer", "{\"name\":\"later still\"}", NULL);
    company_settle(&company);
    assert_int_equal(server_int(&company.server, "SELECT count(*) FROM quarantine"), 0);
    assert_int_not_equal(quarantine("release", work.first, NULL, out), 0);
    assert_non_null(strstr(out, "no such changeset"));
}

static void test_quarantine__turned_down_comes_back_as_one_item(void **state)
{
    struct work work;
    char out[4000], second[DAYBOOK_ID_SIZE];
    daybook_transaction *transaction = NULL;
    (void)state;
    work_while_disabled(&work);
    assert_int_equal(quarantine("reject", work.first, NULL, out), 0);
    assert_int_equal(waiting(), 1);
    rep_sync(li);
    assert_field(li, "customer", work.made, "name", "");
    assert_field(li, "visit", work.visit, "feedback", "");
    assert_string_equal(state_of(li, work.known), "quarantined");
    assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox"), 1);
    assert_int_equal(inbox_of(li, "rejected", "AUTH"), 1);
    assert_string_equal(device_text(&li->device, "SELECT rule FROM inbox"), "operator");
    assert_int_equal(device_int(&li->device, "SELECT chain FROM inbox"), 1);
    waiting_id(0, second);
    assert_int_equal(quarantine("reject", second, NULL, out), 0);
    company_settle(&company);
    assert_field(li, "customer", work.known, "prefs", "");
    /* Mended and sent anew, the chain goes through as one. */
    device_must(
        daybook_inbox_reopen(li->device.engine,
                             device_int(&li->device, "SELECT item FROM inbox WHERE chain = 1"),
                             &transaction, &li->device.error),
        &li->device.error);
    device_must(daybook_commit(transaction, &li->device.error), &li->device.error);
    daybook_end(&transaction);
    company_settle(&company);
    assert_field(wang, "customer", work.made, "name", "made");
    assert_field(wang, "visit", work.visit, "feedback", "liked it");
    device_must(
        daybook_inbox_discard(li->device.engine, device_int(&li->device, "SELECT item FROM inbox")),
        NULL);
}

/* The operator works while the server is stopped, and decides all of a device at once; meanwhile
 * the device has edited on. */
static void test_quarantine__released_while_the_server_is_stopped(void **state)
{
    struct work work;
    char out[4000];
    (void)state;
    work_while_disabled(&work);
    rep_patch(li, "customer", work.made, "{\"prefs\":\"coffee\"}");
    rep_sync(li);
    assert_int_equal(waiting(), 4);
    rep_patch(li, "customer", work.known, "{\"prefs\":\"milk\"}");
    server_stop(&company.server);
    assert_int_equal(quarantine("release", work.first, "--all", out), 0);
    server_start(&company.server);
    assert_int_equal(waiting(), 0);
    company_settle(&company);
    assert_field(wang, "customer", work.made, "prefs", "coffee");
    assert_field(wang, "customer", work.known, "prefs", "milk");
    assert_field(wang, "visit", work.visit, "feedback", "liked it");
    assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox"), 0);
}

/* The device never heard that its work waits, and sends it again after it was released. */
static void test_quarantine__sent_again_after_a_lost_reply(void **state)
{
    char made[DAYBOOK_ID_SIZE], id[DAYBOOK_ID_SIZE], out[4000];
    (void)state;
    for (int released = 0; released < 2; released++) {
        company_settle(&company);
        set_disabled("li", true);
        rep_put(li, "customer", "{\"name\":\"lost\"}", made);
        tap_lose_replies(&li->tap, 1);
        (void)daybook_sync(li->device.engine, 0, &li->device.error);
        assert_int_equal(waiting(), 1);
        set_disabled("li", false);
        waiting_id(0, id);
        if (released == 0) {
            assert_int_equal(quarantine("release", id, NULL, out), 0);
            tap_lose_replies(&li->tap, 1);
            (void)daybook_sync(li->device.engine, 0, &li->device.error);
        } else {
            rep_sync(li);
            assert_string_equal(state_of(li, made), "quarantined");
            assert_int_equal(quarantine("release", id, NULL, out), 0);
            tap_lose_replies(&li->tap, 1);
            (void)daybook_sync(li->device.engine, 0, &li->device.error);
            assert_string_equal(state_of(li, made), "quarantined");
        }
        company_settle(&company);
        assert_field(wang, "customer", made, "name", "lost");
        assert_field(li, "customer", made, "name", "lost");
    }
    assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox"), 0);
}

/* A copy of the device's store goes on in its place: under its new instance the changesets wait
 * where they did, whether it has sent them again or not when they are decided. */
static void released_to_a_copy(bool sent_again, bool rejected)
{
    char out[4000];
    struct work work;
    work_while_disabled(&work);
    struct rep *copy = company_copy(&company, li);
    rep_put(li, "customer", "{\"name\":\"made by the original\"}", NULL);
    rep_sync(li);
    rep_leave(li);
    device_open(&copy->device);
    if (sent_again) {
        rep_sync(copy);
        assert_string_equal(state_of(copy, work.made), "quarantined");
    }
    waiting_id(0, work.first);
    assert_int_equal(quarantine(rejected ? "reject" : "release", work.first, "--all", out), 0);
    assert_int_equal(waiting(), 0);
    company_settle(&company);
    assert_field(wang, "customer", work.made, "name", rejected ? "" : "made");
    assert_field(copy, "customer", work.made, "name", rejected ? "" : "made");
    assert_field(copy, "customer", work.known, "prefs", rejected ? "" : "tea");
    assert_field(copy, "visit", work.visit, "feedback", rejected ? "" : "liked it");
    assert_int_equal(device_int(&copy->device, "SELECT count(*) FROM inbox"), rejected ? 2 : 0);
    li = copy;
}

/* Given a copy of the device's store that only reads, when the original's work was turned down
 * since, then the copy notices that it is one by the verdict, which is not for it. */
static void test_quarantine__a_copy_that_only_reads_hears_of_the_original(void **state)
{
    char made[DAYBOOK_ID_SIZE], id[DAYBOOK_ID_SIZE], out[4000];
    (void)state;
    company_settle(&company);
    struct rep *copy = company_copy(&company, li);
    int64_t before = server_int(&company.server, "SELECT count(*) FROM device_instance");
    set_disabled("li", true);
    rep_put(li, "customer", "{\"name\":\"of the original\"}", made);
    rep_sync(li);
    set_disabled("li", false);
    waiting_id(0, id);
    assert_int_equal(quarantine("reject", id, NULL, out), 0);
    device_open(&copy->device);
    rep_sync(copy);
    assert_int_equal(server_int(&company.server, "SELECT count(*) FROM device_instance"),
                     before + 1);
    company_settle(&company);
    assert_int_equal(device_int(&copy->device, "SELECT count(*) FROM inbox WHERE kind='rejected'"),
                     0);
    assert_int_equal(inbox_of(li, "rejected", "AUTH"), 1);
    device_must(
        daybook_inbox_discard(li->device.engine, device_int(&li->device, "SELECT item FROM inbox")),
        NULL);
    rep_leave(copy);
}

/* Given two copies of a store at work with the same changeset in quarantine, when it is let through
 * or turned down, then the one that sent it again is told at once, and the one that sent it first
 * when it asks, as it does once a day. */
static void test_quarantine__both_copies_hear_how_it_ended(void **state)
{
    char made[DAYBOOK_ID_SIZE], id[DAYBOOK_ID_SIZE], out[4000];
    (void)state;
    for (int rejected = 0; rejected < 2; rejected++) {
        set_disabled("li", true);
        rep_put(li, "customer", "{\"name\":\"of both\"}", made);
        rep_sync(li);
        set_disabled("li", false);
        struct rep *copy = company_copy(&company, li);
        rep_put(li, "customer", "{\"name\":\"of the original\"}", NULL);
        rep_sync(li);
        device_open(&copy->device);
        rep_sync(copy);
        waiting_id(0, id);
        assert_int_equal(quarantine(rejected != 0 ? "reject" : "release", id, NULL, out), 0);
        rep_sync(li);
        rep_sync(copy);
        assert_string_equal(state_of(copy, made), "");
        assert_string_equal(state_of(li, made), "quarantined");
        device_must(daybook_verify(li->device.engine), NULL);
        rep_sync(li);
        assert_string_equal(state_of(li, made), "");
        assert_int_equal(device_status(&li->device).divergences, 0);
        company_settle(&company);
        for (int i = 0; i < 2; i++) {
            struct rep *rep = i == 0 ? li : copy;
            assert_field(rep, "customer", made, "name", rejected != 0 ? "" : "of both");
            assert_int_equal(device_status(&rep->device).inbox, rejected);
        }
        rep_leave(copy);
    }
    device_must(
        daybook_inbox_discard(li->device.engine, device_int(&li->device, "SELECT item FROM inbox")),
        NULL);
}

/* Given a user who reads nothing any more, when the day's comparison is due, then there is nothing
 * to compare, and the sync ends well. */
static void test_quarantine__who_reads_nothing_compares_nothing(void **state)
{
    (void)state;
    set_disabled("li", true);
    for (int i = 0; i < 2; i++) {
        device_must(daybook_verify(li->device.engine), NULL);
        rep_sync(li);
        assert_int_equal(device_int(&li->device, "SELECT count(*) FROM buckets"), 0);
    }
    assert_true(tap_has_received(&li->tap, "\"sums\":[],\"contents\":[]"));
    set_disabled("li", false);
    company_settle(&company);
}

static void test_quarantine__goes_over_to_a_new_instance(void **state)
{
    (void)state;
    released_to_a_copy(true, false);
    released_to_a_copy(false, false);
    released_to_a_copy(true, true);
}

/* Sends so many changesets in one request, each of which makes a customer. Returns how many of them
 * were answered with a verdict; -1: none, the request was. */
static int push_many(struct client *client, int count)
{
    struct buffer members;
    dk_buffer_init(&members, LIMIT_REQUEST_EXPANDED);
    for (int i = 0; i < count; i++) {
        char text[500], changeset[CLIENT_ID_SIZE], record[CLIENT_ID_SIZE];
        client_new_id(changeset);
        client_new_id(record);
        (void)snprintf(text, sizeof text,
                       "%s{\"id\":\"%s\",\"seq\":%lld,\"epoch\":\"%s\",\"hlc\":\"1\",\"boot\":"
                       "\"7\",\"steady\":\"900\",\"schema\":1,\"changes\":[{\"entity\":"
                       "\"customer\",\"op\":\"new\",\"fields\":[\"name\"],\"rows\":"
                       "[[0,\"%s\",\"C\"]]}]}",
                       i == 0 ? ",\"changesets\":[" : ",", changeset,
                       (long long)client->next_seq + i, client->epoch, record);
        dk_buffer_append_text(&members, text);
    }
    dk_buffer_append_char(&members, ']');
    int http_status = client_sync(client, dk_buffer_text(&members));
    dk_buffer_clear(&members);
    const cJSON *verdicts = dk_tree_member(client->reply, "verdicts");
    int answered = http_status == 200 ? cJSON_GetArraySize(verdicts) : -1;
    client->next_seq += answered > 0 ? answered : 0;
    return answered;
}

/* Given a user of whom as much waits as may, but for two changesets, when four come in one request,
 * then two are kept and answered; the others, sent again, are answered with a time to come back at,
 * which an engine tells its app at once, keeping the work; once an operator has looked at one,
 * there is room for one. */
static void test_quarantine__what_has_no_room_stays_on_its_device(void **state)
{
    struct rep *full = company_hire(&company, "full", "rep", "East");
    char out[4000], first[DAYBOOK_ID_SIZE];
    struct client client;
    (void)state;
    client_init(&client, &company.server);
    client_enrol(&client, "full");
    set_disabled("full", true);
    int64_t before = waiting();
    for (int left = LIMIT_QUARANTINED - 2; left > 0; left -= LIMIT_CHANGESETS) {
        int count = left < LIMIT_CHANGESETS ? left : LIMIT_CHANGESETS;
        assert_int_equal(push_many(&client, count), count);
    }
    assert_int_equal(push_many(&client, 4), 2);
    assert_int_equal(push_many(&client, 2), -1);
    client_expect_error(&client, 503, "BUSY");
    assert_in_range(client.retry_after_ms, 1000, 3600 * 1000);
    assert_int_equal(waiting() - before, LIMIT_QUARANTINED);
    rep_put(full, "customer", "{\"name\":\"kept\"}", NULL);
    int exchanges = tap_exchanges(&full->tap);
    device_sync_expect(&full->device, DAYBOOK_SERVER_BUSY);
    assert_int_equal(tap_exchanges(&full->tap), exchanges + 1);
    assert_int_equal(device_status(&full->device).pending, 1);
    (void)snprintf(
        first, sizeof first, "%s",
        server_text(&company.server,
                    "SELECT substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-' || substr(h, 13, 4)"
                    " || '-' || substr(h, 17, 4) || '-' || substr(h, 21) FROM"
                    " (SELECT lower(hex(changeset)) AS h FROM quarantine WHERE ended = 0"
                    " ORDER BY device_no DESC, seq LIMIT 1)"));
    assert_int_equal(quarantine("reject", first, NULL, out), 0);
    rep_sync(full);
    assert_int_equal(waiting() - before, LIMIT_QUARANTINED);
    assert_int_equal(push_many(&client, 2), -1);
    client_clear(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quarantine__released_with_what_waited_behind_it),
        cmocka_unit_test(test_quarantine__turned_down_comes_back_as_one_item),
        cmocka_unit_test(test_quarantine__released_while_the_server_is_stopped),
        cmocka_unit_test(test_quarantine__sent_again_after_a_lost_reply),
        cmocka_unit_test(test_quarantine__a_copy_that_only_reads_hears_of_the_original),
        cmocka_unit_test(test_quarantine__both_copies_hear_how_it_ended),
        cmocka_unit_test(test_quarantine__who_reads_nothing_compares_nothing),
        cmocka_unit_test(test_quarantine__goes_over_to_a_new_instance),
        cmocka_unit_test(test_quarantine__what_has_no_room_stays_on_its_device),
    };
    return cmocka_run_group_tests_name("quarantine", tests, set_up, tear_down);
}
