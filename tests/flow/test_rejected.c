/* SPDX-License-Identifier: Apache-2.0
 *
 * What the server refuses: the device undoes it exactly, keeps it in the inbox with what built on
 * it as one item, and lets everything else go through. A person mends and sends it anew, or drops
 * it.
 */
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

/* A customer that both have, and that Wang deletes without Li knowing yet. */
static void closed_shop(char shop[DAYBOOK_ID_SIZE])
{
    rep_put(wang, "customer", "{\"name\":\"closed\"}", shop);
    company_settle(&company);
    rep_delete(wang, "customer", shop);
    rep_sync(wang);
}

/* All that a device shows of some entities, as JSON; free with daybook_free. */
static char *picture(struct rep *rep)
{
    static const char sql[] =
        "SELECT 'c' AS what, id, version, name, kind, custom, tags, norm_name, NULL AS n"
        " FROM customer UNION ALL"
        " SELECT 'p', id, version, name, phone, custom, customer_id, NULL, NULL FROM contact"
        " UNION ALL SELECT 'q', id, version, note, cur, custom, customer_id, status, total"
        " FROM quote UNION ALL"
        " SELECT 'l', id, version, uom, price_e4, custom, quote_id, product_id, qty"
        " FROM quote_line ORDER BY 1, 2";
    char *json = NULL;
    device_must(daybook_query_json(rep->device.engine, sql, NULL, &json, &rep->device.error),
                &rep->device.error);
    return json;
}

static void test_rejected__undone_exactly_and_later_work_goes_through(void **state)
{
    char closed[DAYBOOK_ID_SIZE], shop[DAYBOOK_ID_SIZE], quote[DAYBOOK_ID_SIZE];
    char line[DAYBOOK_ID_SIZE], contact[DAYBOOK_ID_SIZE], id[DAYBOOK_ID_SIZE];
    daybook_transaction *transaction = NULL;
    daybook_error *error = &li->device.error;
    (void)state;
    rep_quote(wang, "open", shop, quote, line);
    rep_patch(wang, "customer", shop, "{\"custom\":{\"a\":1,\"b\":2},\"tags\":[\"x\",\"y\"]}");
    rep_putf(wang, "contact", contact, "{\"customer_id\":\"%s\",\"name\":\"Anna\"}", shop);
    closed_shop(closed);
    char *before = picture(li);

    /* One transaction: edits, a delete, a document with children, and a visit at the shop that is
     * gone. */
    device_must(daybook_begin(li->device.engine, &transaction), NULL);
    device_must(daybook_patch_json(transaction, "customer", shop,
                                   device_version(&li->device, "customer", shop),
                                   "{\"name\":\"renamed\",\"custom\":{\"a\":null,\"c\":3},"
                                   "\"tags\":[\"y\",\"z\"]}",
                                   error),
                error);
    device_must(daybook_delete(transaction, "contact", contact,
                               device_version(&li->device, "contact", contact)),
                NULL);
    device_must(daybook_patch_json(transaction, "quote_line", line,
                                   device_version(&li->device, "quote_line", line),
                                   "{\"qty\":1000}", error),
                error);
    char json[200];
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\"}", closed);
    device_must(daybook_put_json(transaction, "visit", NULL, DAYBOOK_NEW, json, id, error), error);
    device_must(daybook_commit(transaction, error), error);
    daybook_end(&transaction);
    assert_field(li, "customer", shop, "name", "renamed");
    assert_field(li, "quote", quote, "total", "1173");

    rep_sync(li);
    char *after = picture(li);
    /* The customer that Wang deleted has gone meanwhile; nothing else is different. */
    assert_string_equal(rep_field(li, "visit", id, "id"), "");
    assert_field(li, "customer", shop, "name", "open");
    assert_field(li, "customer", shop, "custom", "{\"a\":1,\"b\":2}");
    assert_field(li, "customer", shop, "tags", "[\"x\",\"y\"]");
    assert_field(li, "contact", contact, "name", "Anna");
    assert_field(li, "quote", quote, "total", "28148");
    char *cut = strstr(before, closed);
    assert_non_null(cut);
    assert_null(strstr(after, closed));
    assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox"), 1);
    assert_string_equal(device_text(&li->device, "SELECT kind FROM inbox"), "rejected");
    assert_string_equal(device_text(&li->device, "SELECT code FROM inbox"), "REF_MISSING");
    assert_int_equal(device_int(&li->device, "SELECT chain FROM inbox"), 0);
    daybook_free(before);
    daybook_free(after);
    company_settle(&company);
    device_must(
        daybook_inbox_discard(li->device.engine, device_int(&li->device, "SELECT item FROM inbox")),
        NULL);
    assert_int_equal(device_status(&li->device).inbox, 0);
}

/* The picture after a rejection is byte for byte the one before the transaction. */
static void test_rejected__nothing_else_changes_in_the_view(void **state)
{
    char shop[DAYBOOK_ID_SIZE], quote[DAYBOOK_ID_SIZE], deal[DAYBOOK_ID_SIZE];
    (void)state;
    rep_quote(wang, "still", shop, quote, NULL);
    rep_putf(wang, "opportunity", deal, "{\"subject\":\"s\",\"customer_id\":\"%s\"}", shop);
    company_settle(&company);
    /* Li names what Wang has deleted. */
    rep_delete(wang, "opportunity", deal);
    rep_sync(wang);
    char *before = picture(li);
    rep_patchf(li, "quote", quote,
               "{\"opportunity_id\":\"%s\",\"note\":\"x\",\"custom\":{\"k\":1}}", deal);
    char *changed = picture(li);
    assert_string_not_equal(before, changed);
    device_sync(&li->device);
    assert_string_equal(device_text(&li->device, "SELECT code FROM inbox"), "REF_MISSING");
    assert_field(li, "quote", quote, "opportunity_id", "");
    assert_field(li, "quote", quote, "note", "first");
    assert_field(li, "quote", quote, "custom", "");
    device_must(
        daybook_inbox_discard(li->device.engine, device_int(&li->device, "SELECT item FROM inbox")),
        NULL);
    company_settle(&company);
    daybook_free(before);
    daybook_free(changed);
}

static void test_rejected__pending_changes_on_top_stay(void **state)
{
    char closed[DAYBOOK_ID_SIZE], shop[DAYBOOK_ID_SIZE], json[200];
    daybook_transaction *transaction = NULL;
    daybook_error *error = &li->device.error;
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"base\",\"kind\":\"old\"}", shop);
    closed_shop(closed);
    /* First: name and kind, together with a contact at the shop that is gone. */
    device_must(daybook_begin(li->device.engine, &transaction), NULL);
    device_must(daybook_patch_json(transaction, "customer", shop,
                                   device_version(&li->device, "customer", shop),
                                   "{\"name\":\"refused\",\"kind\":\"refused\"}", error),
                error);
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\",\"name\":\"Bob\"}", closed);
    device_must(daybook_put_json(transaction, "contact", NULL, DAYBOOK_NEW, json, NULL, error),
                error);
    device_must(daybook_commit(transaction, error), error);
    daybook_end(&transaction);
    /* Then, on top: only the kind. */
    rep_patch(li, "customer", shop, "{\"kind\":\"on top\"}");
    company_settle(&company);
    assert_field(wang, "customer", shop, "name", "base");
    assert_field(wang, "customer", shop, "kind", "on top");
    assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox"), 1);
    device_must(
        daybook_inbox_discard(li->device.engine, device_int(&li->device, "SELECT item FROM inbox")),
        NULL);
}

/* A visit at a shop that is gone, an action of that visit, a change of it: one item. */
static void refused_chain(char visit[DAYBOOK_ID_SIZE], char other[DAYBOOK_ID_SIZE])
{
    char closed[DAYBOOK_ID_SIZE];
    closed_shop(closed);
    rep_putf(li, "visit", visit, "{\"customer_id\":\"%s\",\"feedback\":\"one\"}", closed);
    rep_putf(li, "visit_action", NULL, "{\"visit_id\":\"%s\",\"kind\":\"photo\"}", visit);
    rep_put(li, "customer", "{\"name\":\"independent\"}", other);
    rep_patch(li, "visit", visit, "{\"feedback\":\"two\"}");
    assert_int_equal(device_status(&li->device).pending, 4);
    rep_sync(li);
    assert_int_equal(device_status(&li->device).pending, 0);
    assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox"), 1);
    assert_string_equal(device_text(&li->device, "SELECT code FROM inbox"), "REF_MISSING");
    assert_int_equal(device_int(&li->device, "SELECT chain FROM inbox"), 2);
    assert_string_equal(rep_field(li, "visit", visit, "id"), "");
    assert_int_equal(rep_count(li, "SELECT count(*) FROM visit_action WHERE visit_id = ?1", visit),
                     0);
    assert_field(li, "customer", other, "name", "independent");
}

static void test_rejected__what_built_on_it_comes_back_as_one_item(void **state)
{
    char visit[DAYBOOK_ID_SIZE], other[DAYBOOK_ID_SIZE];
    (void)state;
    refused_chain(visit, other);
    company_settle(&company);
    assert_field(wang, "customer", other, "name", "independent");
    device_must(
        daybook_inbox_discard(li->device.engine, device_int(&li->device, "SELECT item FROM inbox")),
        NULL);
    assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox"), 0);
    assert_int_equal(daybook_inbox_discard(li->device.engine, 1), DAYBOOK_NOT_FOUND);
}

/* Builds on the visit that `context` names while it is being refused. */
static void build_on(void *context, int number, daybook_status status)
{
    (void)number, (void)status;
    li->tap.after = NULL;
    rep_putf(li, "visit_action", NULL,
             "{\"visit_id\":\"%s\",\"kind\":\"stock\",\"note\":\"seven left\"}",
             (const char *)context);
    rep_patchf(li, "visit", context, "{\"feedback\":\"wants a call back\"}");
}

/* A visit that was refused and has been opened to be mended, when what built on it joins it.
 * Returns its item. */
static int64_t open_visit(char visit[DAYBOOK_ID_SIZE], daybook_transaction **transaction)
{
    char closed[DAYBOOK_ID_SIZE];
    daybook_error *error = &li->device.error;
    closed_shop(closed);
    rep_putf(li, "visit", visit, "{\"customer_id\":\"%s\",\"feedback\":\"one\"}", closed);
    li->tap.after = build_on;
    li->tap.context = visit;
    tap_allow(&li->tap, 1);
    device_sync_expect(&li->device, DAYBOOK_OFFLINE);
    int64_t item = device_int(&li->device, "SELECT item FROM inbox WHERE chain = 0");
    device_must(daybook_inbox_reopen(li->device.engine, item, transaction, error), error);
    tap_allow(&li->tap, -1);
    rep_sync(li);
    assert_int_equal(device_int(&li->device, "SELECT chain FROM inbox"), 2);
    return item;
}

static void note_arrival(void *context, int64_t after)
{
    *(int64_t *)context = after;
}

static void test_rejected__what_joins_an_open_item_stays(void **state)
{
    char visit[DAYBOOK_ID_SIZE], shop[DAYBOOK_ID_SIZE], json[128];
    daybook_transaction *transaction = NULL;
    daybook_watch *watch = NULL;
    daybook_error *error = &li->device.error;
    int64_t after = -1;
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"open\"}", shop);
    int64_t item = open_visit(visit, &transaction);
    device_must(daybook_inbox_watch(li->device.engine, note_arrival, &after, &watch), NULL);
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\"}", shop);
    device_must(daybook_patch_json(transaction, "visit", visit, DAYBOOK_ANY_VERSION, json, error),
                error);
    device_must(daybook_commit(transaction, error), error);
    daybook_end(&transaction);

    /* what was not in the form is an item of its own, which nobody has been told of before */
    assert_int_equal(device_status(&li->device).inbox, 1);
    assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox WHERE chain = 1"), 1);
    int64_t left = device_int(&li->device, "SELECT item FROM inbox");
    assert_true(left > item && after >= item && left > after);
    daybook_watch_close(&watch);
    company_settle(&company);
    assert_field(wang, "visit", visit, "feedback", "one");
    device_must(daybook_inbox_keep_mine(li->device.engine, left, error), error);
    company_settle(&company);
    assert_field(wang, "visit", visit, "feedback", "wants a call back");
    assert_int_equal(rep_count(wang,
                               "SELECT count(*) FROM visit_action WHERE visit_id = ?1 AND"
                               " note = 'seven left'",
                               visit),
                     1);
    assert_int_equal(device_status(&li->device).inbox, 0);
    assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox"), 0);
}

/* Also where nothing is left to write of what was opened. */
static void test_rejected__what_joins_an_emptied_item_stays(void **state)
{
    char visit[DAYBOOK_ID_SIZE];
    daybook_transaction *transaction = NULL;
    daybook_error *error = &li->device.error;
    (void)state;
    (void)open_visit(visit, &transaction);
    device_must(daybook_delete(transaction, "visit", visit, DAYBOOK_ANY_VERSION), error);
    device_must(daybook_commit(transaction, error), error);
    daybook_end(&transaction);
    assert_int_equal(device_status(&li->device).inbox, 1);
    assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox WHERE chain = 1 AND code ="
                                             " 'DEPENDS'"),
                     1);
    device_must(
        daybook_inbox_discard(li->device.engine, device_int(&li->device, "SELECT item FROM inbox")),
        NULL);
    assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox"), 0);
    assert_int_equal(device_status(&li->device).inbox, 0);
    company_settle(&company);
}

static void test_rejected__reopened_mended_and_sent_again(void **state)
{
    char visit[DAYBOOK_ID_SIZE], other[DAYBOOK_ID_SIZE], json[200];
    daybook_transaction *transaction = NULL;
    daybook_record *record = NULL;
    daybook_error *error = &li->device.error;
    (void)state;
    refused_chain(visit, other);
    int64_t item = device_int(&li->device, "SELECT item FROM inbox");
    device_must(daybook_inbox_reopen(li->device.engine, item, &transaction, error), error);
    /* The visit is there as it was typed, the later change included. */
    device_must(daybook_read(transaction, "visit", visit, &record), NULL);
    const char *text = NULL;
    device_must(daybook_get_text(record, "feedback", &text), NULL);
    assert_string_equal(text, "two");
    /* Mended: at the other customer. */
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\"}", other);
    device_must(daybook_patch_json(transaction, "visit", visit, DAYBOOK_ANY_VERSION, json, error),
                error);
    assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox"), 1);
    device_must(daybook_commit(transaction, error), error);
    daybook_end(&transaction);
    assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox"), 0);
    company_settle(&company);
    assert_field(wang, "visit", visit, "feedback", "two");
    assert_field(wang, "visit", visit, "customer_id", other);
    assert_int_equal(
        rep_count(wang, "SELECT count(*) FROM visit_action WHERE visit_id = ?1", visit), 1);
    assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox"), 0);
}

/* One save: a visit, and a value of its customer, who has gone to another rep. The visit's customer
 * is mended; the value has no place any more, and is taken out. */
static void test_rejected__the_part_that_names_what_is_gone_is_taken_out(void **state)
{
    char gone[DAYBOOK_ID_SIZE], shop[DAYBOOK_ID_SIZE], visit[DAYBOOK_ID_SIZE], json[128];
    daybook_transaction *transaction = NULL;
    daybook_error *error = &li->device.error;
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"open\"}", shop);
    rep_put(wang, "customer", "{\"name\":\"goes\"}", gone);
    company_settle(&company);
    (void)company_hire(&company, "tom", "rep", "South");
    company_reassign(&company, gone, "South");
    device_must(daybook_begin(li->device.engine, &transaction), NULL);
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\",\"feedback\":\"long\"}", gone);
    device_must(daybook_put_json(transaction, "visit", NULL, DAYBOOK_NEW, json, visit, error),
                error);
    device_must(daybook_patch_json(transaction, "customer", gone,
                                   device_version(&li->device, "customer", gone),
                                   "{\"prefs\":\"p\",\"tags\":[\"a\"]}", error),
                error);
    device_must(daybook_commit(transaction, error), error);
    daybook_end(&transaction);
    rep_sync(li);

    int64_t item = device_int(&li->device, "SELECT max(item) FROM inbox WHERE kind = 'rejected'");
    device_must(daybook_inbox_reopen(li->device.engine, item, &transaction, error), error);
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\"}", shop);
    device_must(daybook_patch_json(transaction, "visit", visit, DAYBOOK_ANY_VERSION, json, error),
                error);
    assert_int_equal(daybook_commit(transaction, error), DAYBOOK_NOT_FOUND);
    assert_non_null(strstr(error->text, gone));
    assert_int_equal(daybook_delete(transaction, "customer", gone, DAYBOOK_ANY_VERSION),
                     DAYBOOK_NOT_FOUND);
    device_must(daybook_commit(transaction, error), error);
    daybook_end(&transaction);
    company_settle(&company);
    assert_field(wang, "visit", visit, "feedback", "long");
    assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox WHERE kind = 'rejected'"),
                     0);
    (void)rep_take_inbox(li, "moved", "");
}

/* A refused delete of a document is made again though one of its lines is gone by now. */
static void test_rejected__a_delete_of_a_document_whose_line_is_gone(void **state)
{
    char closed[DAYBOOK_ID_SIZE], shop[DAYBOOK_ID_SIZE], quote[DAYBOOK_ID_SIZE];
    char line[DAYBOOK_ID_SIZE], contact[DAYBOOK_ID_SIZE], json[128];
    daybook_transaction *transaction = NULL;
    daybook_error *error = &li->device.error;
    (void)state;
    rep_quote(wang, "open", shop, quote, line);
    closed_shop(closed);
    device_must(daybook_begin(li->device.engine, &transaction), NULL);
    device_must(
        daybook_delete(transaction, "quote", quote, device_version(&li->device, "quote", quote)),
        NULL);
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\",\"name\":\"Bob\"}", closed);
    device_must(daybook_put_json(transaction, "contact", NULL, DAYBOOK_NEW, json, contact, error),
                error);
    device_must(daybook_commit(transaction, error), error);
    daybook_end(&transaction);
    rep_sync(li);
    rep_delete(wang, "quote_line", line);
    company_settle(&company);

    int64_t item = device_int(&li->device, "SELECT max(item) FROM inbox WHERE kind = 'rejected'");
    device_must(daybook_inbox_reopen(li->device.engine, item, &transaction, error), error);
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\"}", shop);
    device_must(
        daybook_patch_json(transaction, "contact", contact, DAYBOOK_ANY_VERSION, json, error),
        error);
    device_must(daybook_commit(transaction, error), error);
    daybook_end(&transaction);
    company_settle(&company);
    assert_string_equal(rep_field(wang, "quote", quote, "id"), "");
    assert_field(wang, "contact", contact, "name", "Bob");
}

/* A value of the customer, in one save with a contact of a customer that is gone. */
static void refused_save(const char *closed, const char *shop, const char *patch)
{
    char json[128];
    daybook_transaction *transaction = NULL;
    daybook_error *error = &li->device.error;
    device_must(daybook_begin(li->device.engine, &transaction), NULL);
    device_must(daybook_patch_json(transaction, "customer", shop,
                                   device_version(&li->device, "customer", shop), patch, error),
                error);
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\",\"name\":\"Bob\"}", closed);
    device_must(daybook_put_json(transaction, "contact", NULL, DAYBOOK_NEW, json, NULL, error),
                error);
    device_must(daybook_commit(transaction, error), error);
    daybook_end(&transaction);
    rep_sync(li);
}

/* Two items about one record, made at two of its versions: the second does not wait for the verdict
 * on the first. */
static void test_rejected__two_items_of_one_record_are_sent_again_offline(void **state)
{
    char closed[DAYBOOK_ID_SIZE], shop[DAYBOOK_ID_SIZE];
    int64_t items[2];
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"open\"}", shop);
    closed_shop(closed);
    refused_save(closed, shop, "{\"prefs\":\"first\"}");
    rep_patch(wang, "customer", shop, "{\"kind\":\"x\"}");
    company_settle(&company);
    refused_save(closed, shop, "{\"channel\":\"second\"}");
    items[0] = device_int(&li->device, "SELECT min(item) FROM inbox");
    items[1] = device_int(&li->device, "SELECT max(item) FROM inbox");
    assert_true(items[1] > items[0]);
    for (int i = 0; i < 2; i++) {
        device_must(daybook_inbox_keep_mine(li->device.engine, items[i], &li->device.error),
                    &li->device.error);
    }
    assert_field(li, "customer", shop, "prefs", "first");
    assert_field(li, "customer", shop, "channel", "second");
    rep_sync(li); /* what is gone is still gone */
    assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox"), 2);
    for (int i = 0; i < 2; i++) {
        device_must(daybook_inbox_discard(li->device.engine,
                                          device_int(&li->device, "SELECT min(item) FROM inbox")),
                    NULL);
    }
    company_settle(&company);
}

static void test_rejected__reopened_unmended_is_refused_again(void **state)
{
    char visit[DAYBOOK_ID_SIZE], other[DAYBOOK_ID_SIZE];
    daybook_transaction *transaction = NULL;
    daybook_error *error = &li->device.error;
    (void)state;
    refused_chain(visit, other);
    int64_t item = device_int(&li->device, "SELECT item FROM inbox");
    device_must(daybook_inbox_reopen(li->device.engine, item, &transaction, error), error);
    daybook_end(&transaction); /* thought better of it: the item stays */
    assert_int_equal(device_int(&li->device, "SELECT item FROM inbox"), item);
    device_must(daybook_inbox_reopen(li->device.engine, item, &transaction, error), error);
    daybook_status status = daybook_commit(transaction, error);
    daybook_end(&transaction);
    if (status == DAYBOOK_OK) {
        rep_sync(li);
        assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox"), 1);
        assert_string_equal(device_text(&li->device, "SELECT code FROM inbox"), "REF_MISSING");
    } else {
        /* The device itself sees that the customer is not there. */
        assert_int_equal(status, DAYBOOK_RULE);
    }
    company_settle(&company);
    device_must(
        daybook_inbox_discard(li->device.engine, device_int(&li->device, "SELECT item FROM inbox")),
        NULL);
}

/* The reply with the rejection is lost, and the store is closed in between. */
static void test_rejected__survives_a_lost_reply_and_a_restart(void **state)
{
    char closed[DAYBOOK_ID_SIZE], visit[DAYBOOK_ID_SIZE];
    (void)state;
    closed_shop(closed);
    rep_putf(li, "visit", visit, "{\"customer_id\":\"%s\",\"feedback\":\"kept\"}", closed);
    tap_lose_replies(&li->tap, 1);
    device_sync_expect(&li->device, DAYBOOK_OFFLINE);
    device_close(&li->device);
    device_open(&li->device);
    assert_field(li, "visit", visit, "feedback", "kept");
    rep_sync(li);
    assert_string_equal(rep_field(li, "visit", visit, "id"), "");
    device_close(&li->device);
    device_open(&li->device);
    assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox WHERE body LIKE '%kept%'"),
                     1);
    company_settle(&company);
}

/* Loses the reply of the exchange after the next one, which is a larger one of the same sync. */
static void lose_second(void *context, int number, daybook_status status)
{
    const int *first = context;
    assert_int_equal(number == *first ? status : DAYBOOK_OK, DAYBOOK_OK);
    tap_lose_replies(&li->tap, number == *first ? 1 : 0);
}

/* A long request goes through and its reply is lost; the next one is shorter, and its reply brings
 * the markers of what it did not carry. What was refused among those has neither verdict nor
 * marker, and stands alone with its number. */
static void test_rejected__verdict_lost_while_later_ones_were_settled(void **state)
{
    char closed[DAYBOOK_ID_SIZE], shop[DAYBOOK_ID_SIZE], visit[DAYBOOK_ID_SIZE];
    char note[2001];
    (void)state;
    memset(note, 'n', sizeof note - 1);
    note[sizeof note - 1] = '\0';
    rep_put(wang, "customer", "{\"name\":\"long notes\"}", shop);
    closed_shop(closed);
    int64_t inbox = device_int(&li->device, "SELECT count(*) FROM inbox");
    for (int i = 0; i < 90; i++) {
        bool refused = i == 80;
        rep_putf(li, "visit", refused ? visit : NULL,
                 "{\"customer_id\":\"%s\",\"feedback\":\"%s\"}", refused ? closed : shop,
                 refused ? "short" : note);
    }
    int first = tap_exchanges(&li->tap) + 1;
    li->tap.context = &first;
    li->tap.after = lose_second;
    device_sync_expect(&li->device, DAYBOOK_OFFLINE);
    li->tap.after = NULL;
    assert_int_equal(tap_exchanges(&li->tap), first + 1);
    assert_in_range(device_status(&li->device).pending, 40, 85);
    device_close(&li->device); /* and with it what it had learnt about the line */
    device_open(&li->device);
    rep_putf(li, "visit", NULL, "{\"customer_id\":\"%s\",\"feedback\":\"last\"}", shop);
    company_settle(&company);
    assert_int_equal(device_status(&li->device).pending, 0);
    assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox"), inbox + 1);
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM visit WHERE customer_id = ?1", shop),
                     90);
    assert_string_equal(rep_field(li, "visit", visit, "id"), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rejected__undone_exactly_and_later_work_goes_through),
        cmocka_unit_test(test_rejected__nothing_else_changes_in_the_view),
        cmocka_unit_test(test_rejected__pending_changes_on_top_stay),
        cmocka_unit_test(test_rejected__what_built_on_it_comes_back_as_one_item),
        cmocka_unit_test(test_rejected__what_joins_an_open_item_stays),
        cmocka_unit_test(test_rejected__what_joins_an_emptied_item_stays),
        cmocka_unit_test(test_rejected__reopened_mended_and_sent_again),
        cmocka_unit_test(test_rejected__reopened_unmended_is_refused_again),
        cmocka_unit_test(test_rejected__the_part_that_names_what_is_gone_is_taken_out),
        cmocka_unit_test(test_rejected__a_delete_of_a_document_whose_line_is_gone),
        cmocka_unit_test(test_rejected__two_items_of_one_record_are_sent_again_offline),
        cmocka_unit_test(test_rejected__survives_a_lost_reply_and_a_restart),
        cmocka_unit_test(test_rejected__verdict_lost_while_later_ones_were_settled),
    };
    return cmocka_run_group_tests_name("rejected", tests, set_up, tear_down);
}
