/* SPDX-License-Identifier: Apache-2.0
 *
 * What a person does about the inbox: mine once more, theirs, mended, dropped; and the hook that
 * tells an app what has arrived.
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

#define LATER_MS 3000

static struct company company;
static struct rep *wang, *li, *office;

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    wang = company_hire(&company, "wang", "rep", "East");
    li = company_hire(&company, "li", "rep", "East");
    office = company_hire(&company, "office", "back_office", NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

static int64_t inbox(struct rep *rep)
{
    return device_int(&rep->device, "SELECT count(*) FROM inbox");
}

static int64_t item_of(struct rep *rep, const char *field)
{
    char sql[120];
    (void)snprintf(sql, sizeof sql, "SELECT item FROM inbox WHERE field = '%s'", field);
    return device_int(&rep->device, sql);
}

static void keep_mine(struct rep *rep, int64_t item)
{
    device_must(daybook_inbox_keep_mine(rep->device.engine, item, &rep->device.error),
                &rep->device.error);
}

/* Both patch what they see; li's value is the earlier one and loses. */
static void lose(const char *entity, const char *id, const char *mine, const char *theirs)
{
    rep_patch(li, entity, id, mine);
    tap_set_ahead(&wang->tap, LATER_MS);
    rep_patch(wang, entity, id, theirs);
    tap_set_ahead(&wang->tap, 0);
    company_settle(&company);
}

/* A group comes back as a group, in one commit that takes both items away. */
static void test_inbox__keep_mine_writes_the_whole_group(void **state)
{
    char shop[DAYBOOK_ID_SIZE], chance[DAYBOOK_ID_SIZE];
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"shop\"}", shop);
    rep_putf(wang, "opportunity", chance, "{\"customer_id\":\"%s\",\"subject\":\"s\"}", shop);
    company_settle(&company);
    lose("opportunity", chance, "{\"amount\":\"130\",\"cur\":\"USD\"}",
         "{\"amount\":\"90\",\"cur\":\"EUR\"}");
    assert_field(li, "opportunity", chance, "amount", "90");
    assert_int_equal(inbox(li), 2);
    assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox i JOIN field_conflict c"
                                             " ON c.id = i.subject"),
                     2);
    keep_mine(li, item_of(li, "cur"));
    assert_int_equal(inbox(li), 0);
    company_settle(&company);
    assert_field(wang, "opportunity", chance, "amount", "130");
    assert_field(wang, "opportunity", chance, "cur", "USD");
    assert_int_equal(inbox(li) + inbox(wang), 0);
    /* It goes as a group, too: no part stays that could come back alone. */
    for (int discards = 0; discards < 2; discards++) {
        lose("opportunity", chance, "{\"amount\":\"7\",\"cur\":\"JPY\"}",
             discards == 0 ? "{\"amount\":\"8\",\"cur\":\"EUR\"}"
                           : "{\"amount\":\"9\",\"cur\":\"USD\"}");
        assert_int_equal(inbox(li), 2);
        int64_t item = item_of(li, "amount");
        device_must(discards == 1 ? daybook_inbox_discard(li->device.engine, item)
                                  : daybook_inbox_use_theirs(li->device.engine, item),
                    NULL);
        assert_int_equal(inbox(li), 0);
    }
}

/* Where only one field of a group differed, the others come back with it all the same, as li had
 * them, though somebody has changed the whole group since; whoever came first. */
static void test_inbox__keep_mine_brings_what_was_the_same_too(void **state)
{
    char shop[DAYBOOK_ID_SIZE], chance[DAYBOOK_ID_SIZE];
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"shop\"}", shop);
    for (int first = 0; first < 2; first++) {
        rep_putf(wang, "opportunity", chance,
                 "{\"customer_id\":\"%s\",\"subject\":\"s\",\"amount\":\"100\",\"cur\":\"USD\"}",
                 shop);
        company_settle(&company);
        rep_patch(li, "opportunity", chance, "{\"amount\":\"130\"}");
        tap_set_ahead(&wang->tap, LATER_MS);
        rep_patch(wang, "opportunity", chance, "{\"amount\":\"90\"}");
        rep_sync(first == 0 ? li : wang);
        rep_sync(first == 0 ? wang : li);
        company_settle(&company);
        rep_patch(wang, "opportunity", chance, "{\"amount\":\"80\",\"cur\":\"EUR\"}");
        tap_set_ahead(&wang->tap, 0);
        company_settle(&company);
        assert_int_equal(inbox(li), 1);
        keep_mine(li, item_of(li, "amount"));
        company_settle(&company);
        assert_field(wang, "opportunity", chance, "amount", "130");
        assert_field(wang, "opportunity", chance, "cur", "USD");
        assert_int_equal(inbox(li) + inbox(wang), 0);
    }
}

/* Own keys, and a delete that lost; what the other side has written stands where it is left. */
static void test_inbox__keep_mine_of_a_key_and_of_a_delete(void **state)
{
    char shop[DAYBOOK_ID_SIZE], contact[DAYBOOK_ID_SIZE];
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"shop\",\"custom\":{\"floor\":1}}", shop);
    rep_putf(wang, "contact", contact, "{\"customer_id\":\"%s\",\"name\":\"Anna\"}", shop);
    company_settle(&company);
    lose("customer", shop, "{\"custom\":{\"floor\":2}}", "{\"custom\":{\"floor\":3,\"b\":1}}");
    assert_int_equal(inbox(li), 1);
    keep_mine(li, item_of(li, "custom.floor"));
    company_settle(&company);
    assert_field(wang, "customer", shop, "custom", "{\"b\":1,\"floor\":2}");

    rep_patch(wang, "contact", contact, "{\"title\":\"Buyer\"}");
    rep_delete(li, "contact", contact);
    rep_sync(wang);
    company_settle(&company);
    assert_field(li, "contact", contact, "title", "Buyer");
    keep_mine(li, item_of(li, "*"));
    assert_field(li, "contact", contact, "title", "");
    company_settle(&company);
    assert_field(wang, "contact", contact, "name", "");
    assert_int_equal(inbox(li) + inbox(wang), 0);
}

/* Given an element of a set that li takes away while wang, who has not seen that, takes it away and
 * puts it back, then it stays, and li may take it away once more; other elements are not touched.
 */
static void test_inbox__keep_mine_of_an_element(void **state)
{
    char shop[DAYBOOK_ID_SIZE];
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"shop\",\"tags\":[\"gold\",\"north\"]}", shop);
    company_settle(&company);
    rep_patch(li, "customer", shop, "{\"tags\":[\"north\"]}");
    rep_patch(wang, "customer", shop, "{\"tags\":[\"north\"]}");
    rep_patch(wang, "customer", shop, "{\"tags\":[\"gold\",\"north\"]}");
    rep_sync(wang);
    company_settle(&company);
    assert_field(li, "customer", shop, "tags", "[\"gold\",\"north\"]");
    assert_int_equal(inbox(li), 1);
    rep_patch(wang, "customer", shop, "{\"tags\":[\"gold\",\"north\",\"web\"]}");
    company_settle(&company);
    keep_mine(li, item_of(li, "tags"));
    assert_int_equal(inbox(li), 0);
    company_settle(&company);
    assert_field(wang, "customer", shop, "tags", "[\"north\",\"web\"]");
    assert_int_equal(inbox(li) + inbox(wang), 0);
}

/* Theirs: the item goes and nothing else; not for what would be lost. Mended: staged, changed,
 * committed. Gone: the record is not there any more, and the item stays. */
static void test_inbox__theirs_mended_and_gone(void **state)
{
    char shop[DAYBOOK_ID_SIZE], closed[DAYBOOK_ID_SIZE];
    daybook_transaction *transaction = NULL;
    daybook_record *record = NULL;
    struct device *device = &li->device;
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"shop\"}", shop);
    rep_put(wang, "customer", "{\"name\":\"closed\"}", closed);
    company_settle(&company);
    lose("customer", shop, "{\"prefs\":\"mine\"}", "{\"prefs\":\"theirs\"}");
    assert_int_equal(daybook_inbox_use_theirs(device->engine, item_of(li, "prefs")), DAYBOOK_OK);
    assert_int_equal(inbox(li), 0);
    assert_field(li, "customer", shop, "prefs", "theirs");
    assert_int_equal(device_status(device).pending, 0);

    lose("customer", shop, "{\"prefs\":\"mine 2\"}", "{\"prefs\":\"theirs 2\"}");
    device_must(
        daybook_inbox_reopen(device->engine, item_of(li, "prefs"), &transaction, &device->error),
        &device->error);
    device_must(daybook_patch(transaction, "customer", shop, DAYBOOK_ANY_VERSION, &record), NULL);
    device_must(daybook_set_text(record, "prefs", "mended"), NULL);
    device_must(daybook_commit(transaction, &device->error), &device->error);
    daybook_end(&transaction);
    assert_int_equal(inbox(li), 0);
    company_settle(&company);
    assert_field(wang, "customer", shop, "prefs", "mended");

    lose("customer", shop, "{\"prefs\":\"mine 3\"}", "{\"prefs\":\"theirs 3\"}");
    rep_delete(wang, "customer", shop);
    company_settle(&company);
    int64_t item = item_of(li, "prefs");
    assert_int_equal(daybook_inbox_keep_mine(device->engine, item, &device->error),
                     DAYBOOK_NOT_FOUND);
    assert_int_equal(inbox(li), 1);
    assert_int_equal(daybook_inbox_discard(device->engine, item), DAYBOOK_OK);
    assert_int_equal(daybook_inbox_use_theirs(device->engine, item), DAYBOOK_NOT_FOUND);
    assert_int_equal(daybook_inbox_keep_mine(device->engine, item, NULL), DAYBOOK_NOT_FOUND);
    assert_int_equal(daybook_inbox_keep_mine(NULL, item, NULL), DAYBOOK_MISUSE);
    assert_int_equal(daybook_inbox_use_theirs(NULL, item), DAYBOOK_MISUSE);

    rep_delete(wang, "customer", closed);
    rep_sync(wang);
    rep_putf(li, "visit", NULL, "{\"customer_id\":\"%s\"}", closed);
    company_settle(&company);
    item = device_int(device, "SELECT item FROM inbox WHERE kind = 'rejected'");
    assert_int_equal(daybook_inbox_use_theirs(device->engine, item), DAYBOOK_INVALID);
    assert_int_equal(inbox(li), 1);
    assert_int_equal(daybook_inbox_discard(device->engine, item), DAYBOOK_OK);
}

struct hook {
    struct rep *rep;
    int calls;
    int64_t after, new; /* of the last call: the bound, and how many items are above it */
};

static void arrived(void *context, int64_t after)
{
    struct hook *hook = context;
    char sql[100];
    hook->calls++;
    hook->after = after;
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM inbox WHERE item > %lld",
                   (long long)after);
    hook->new = device_int(&hook->rep->device, sql);
}

/* The hook is called for what a sync brings, and for nothing else; never after its close. */
static void test_inbox__the_hook_tells_what_arrives(void **state)
{
    char shop[DAYBOOK_ID_SIZE];
    struct hook hook = {.rep = li};
    daybook_watch *watch = NULL;
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"shop\"}", shop);
    company_settle(&company);
    lose("customer", shop, "{\"prefs\":\"before\"}", "{\"prefs\":\"x\"}");
    assert_int_equal(daybook_inbox_watch(NULL, arrived, &hook, &watch), DAYBOOK_MISUSE);
    assert_int_equal(daybook_inbox_watch(li->device.engine, NULL, &hook, &watch), DAYBOOK_MISUSE);
    assert_int_equal(daybook_inbox_watch(li->device.engine, arrived, &hook, &watch), DAYBOOK_OK);
    rep_patch(li, "customer", shop, "{\"kind\":\"local\"}");
    company_settle(&company);
    assert_int_equal(hook.calls, 0);
    lose("customer", shop, "{\"prefs\":\"mine\",\"industry\":\"a\"}",
         "{\"prefs\":\"theirs\",\"industry\":\"b\"}");
    assert_int_equal(hook.calls, 1);
    assert_int_equal(hook.new, 2);
    assert_int_equal(daybook_inbox_use_theirs(li->device.engine, item_of(li, "industry")),
                     DAYBOOK_OK);
    assert_int_equal(hook.calls, 1);
    daybook_watch_close(&watch);
    daybook_watch_close(&watch);
    lose("customer", shop, "{\"prefs\":\"again\"}", "{\"prefs\":\"once more\"}");
    assert_int_equal(hook.calls, 1);
    int64_t item;
    while ((item = device_int(&li->device, "SELECT item FROM inbox LIMIT 1")) >= 0) {
        device_must(daybook_inbox_discard(li->device.engine, item), NULL);
    }
}

/* A hold is let go by its role, in one call; by another role it is refused at once. */
static void test_inbox__a_hold_is_cleared_by_its_role(void **state)
{
    char shop[DAYBOOK_ID_SIZE], order[DAYBOOK_ID_SIZE], hold[DAYBOOK_ID_SIZE];
    static const char line[] =
        "{\"order_id\":\"%s\",\"product_id\":\"" TEA "\",\"qty\":1000,\"price_e4\":10000}";
    char *json = NULL;
    (void)state;
    rep_put(li, "customer", "{\"name\":\"shop\"}", shop);
    rep_putf(li, "sales_order", order, "{\"customer_id\":\"%s\",\"cur\":\"CNY\"}", shop);
    rep_putf(li, "order_line", NULL, line, order);
    device_must(daybook_expected_holds(li->device.engine, "sales_order", order, &json), NULL);
    assert_string_equal(json, "[]");
    daybook_free(json);
    rep_putf(li, "order_line", NULL, line, order);
    /* The device knows before the server does. */
    device_must(daybook_expected_holds(li->device.engine, "sales_order", order, &json), NULL);
    assert_non_null(strstr(json, "\"code\":\"DUP_LINE\""));
    assert_non_null(strstr(json, TEA));
    daybook_free(json);
    assert_int_equal(daybook_expected_holds(li->device.engine, "nothing", order, &json),
                     DAYBOOK_UNKNOWN_ENTITY);
    assert_int_equal(daybook_expected_holds(li->device.engine, "sales_order", "x", &json),
                     DAYBOOK_INVALID);
    assert_int_equal(daybook_expected_holds(li->device.engine, "sales_order", shop, &json),
                     DAYBOOK_NOT_FOUND);
    company_settle(&company);
    assert_string_equal(device_text(&li->device, "SELECT kind FROM inbox"), "held");
    (void)snprintf(hold, sizeof hold, "%s", device_text(&li->device, "SELECT subject FROM inbox"));
    assert_int_equal(daybook_clear_hold(li->device.engine, hold, "mine", &li->device.error),
                     DAYBOOK_RULE);
    assert_string_equal(li->device.error.rule, "role");
    assert_int_equal(daybook_clear_hold(office->device.engine, order, NULL, NULL),
                     DAYBOOK_NOT_FOUND);
    device_must(daybook_clear_hold(office->device.engine, hold, "fine", &office->device.error),
                &office->device.error);
    company_settle(&company);
    assert_field(li, "hold", hold, "note", "fine");
    assert_int_equal(inbox(li), 0);
}

/* Given values with ids that lost, a reference and a line of an order that stands, when the app
 * reads them, then the ids are as the views have them; and the reference comes back. */
static void test_inbox__ids_are_as_the_views_have_them(void **state)
{
    char shop[DAYBOOK_ID_SIZE], mine[DAYBOOK_ID_SIZE], theirs[DAYBOOK_ID_SIZE];
    char quote[DAYBOOK_ID_SIZE], order[DAYBOOK_ID_SIZE], json[100];
    (void)state;
    rep_put(li, "customer", "{\"name\":\"shop\"}", shop);
    rep_putf(li, "opportunity", mine, "{\"customer_id\":\"%s\",\"subject\":\"mine\"}", shop);
    rep_putf(li, "opportunity", theirs, "{\"customer_id\":\"%s\",\"subject\":\"theirs\"}", shop);
    rep_putf(li, "quote", quote, "{\"customer_id\":\"%s\",\"cur\":\"CNY\"}", shop);
    rep_putf(li, "sales_order", order,
             "{\"customer_id\":\"%s\",\"cur\":\"CNY\",\"status\":\"submitted\"}", shop);
    company_settle(&company);
    char patch[100];
    (void)snprintf(patch, sizeof patch, "{\"opportunity_id\":\"%s\"}", mine);
    (void)snprintf(json, sizeof json, "{\"opportunity_id\":\"%s\"}", theirs);
    rep_patch(office, "sales_order", order, "{\"status\":\"confirmed\"}");
    rep_sync(office);
    rep_putf(li, "order_line", NULL,
             "{\"order_id\":\"%s\",\"product_id\":\"" TEA "\",\"qty\":1000,\"price_e4\":10000}",
             order);
    lose("quote", quote, patch, json);
    (void)snprintf(json, sizeof json, "\"%s\"", mine);
    assert_string_equal(
        device_text(&li->device, "SELECT mine FROM inbox WHERE field = 'opportunity_id'"), json);
    assert_string_equal(
        device_text_of(&li->device,
                       "SELECT json_extract(lost, '$.product_id') FROM field_conflict"
                       " WHERE record_id = ?1 AND json_extract(lost, '$.order_id') = record_id",
                       order),
        TEA);
    keep_mine(li, item_of(li, "opportunity_id"));
    company_settle(&company);
    assert_field(wang, "quote", quote, "opportunity_id", mine);
    device_must(
        daybook_inbox_discard(li->device.engine, device_int(&li->device, "SELECT item FROM inbox")),
        NULL);
}

/* Given a device that gets its territory back page by page, and a group that lost on it meanwhile,
 * of which no entry has come yet. */
static void lose_behind(struct rep *rep, const char *shop)
{
    rep_patch(
        rep, "customer", shop,
        "{\"address_region\":\"Gansu\",\"address_city\":\"Lanzhou\",\"address_street\":\"mine\"}");
    rep_sync(rep);
    company_change_user(&company, "zhao", "\"territory_id\":{\"key\":\"South\"}");
    rep_sync(rep);
    tap_set_ahead(&wang->tap, LATER_MS);
    rep_patch(
        wang, "customer", shop,
        "{\"address_region\":\"Hebei\",\"address_city\":\"Handan\",\"address_street\":\"his\"}");
    rep_sync(wang);
    tap_set_ahead(&wang->tap, 0);
    rep_sync(rep); /* past it, so that pages bring it */
    company_change_user(&company, "zhao", "\"territory_id\":{\"key\":\"East\"}");
    assert_int_equal(inbox(rep), 0);
}

/* Each item has all that its group lost, also while the others have not come: nothing is filled
 * from the other side. `leaves`: the first one that comes is left to it. */
static void test_inbox__half_a_group_is_not_kept(void **state)
{
    char shop[DAYBOOK_ID_SIZE];
    (void)state;
    (void)company_hire(&company, "tom", "rep", "South");
    struct rep *zhao = company_add(&company, "zhao", "rep", "East");
    zhao->device.options.page_bytes = 1;
    rep_begin(zhao);
    for (int leaves = 0; leaves < 2; leaves++) {
        rep_put(wang, "customer", "{\"name\":\"shop\",\"address_postcode\":\"730\"}", shop);
        company_settle(&company);
        lose_behind(zhao, shop);
        for (int left = leaves; left >= 0; left--) {
            bool end = false;
            while (inbox(zhao) == 0 && !end) {
                end = rep_exchange(zhao);
            }
            assert_int_equal(inbox(zhao), 1);
            assert_true(device_status(&zhao->device).loading);
            int64_t item = device_int(&zhao->device, "SELECT item FROM inbox");
            if (left > 0) {
                device_must(daybook_inbox_use_theirs(zhao->device.engine, item), NULL);
            } else {
                keep_mine(zhao, item);
            }
        }
        company_settle(&company);
        assert_field(wang, "customer", shop, "address_region", "Gansu");
        assert_field(wang, "customer", shop, "address_city", "Lanzhou");
        assert_field(wang, "customer", shop, "address_street", "mine");
        assert_field(wang, "customer", shop, "address_postcode", "730");
        /* What has come since tells of what stands again. */
        while (inbox(zhao) > 0) {
            int64_t item = device_int(&zhao->device, "SELECT item FROM inbox LIMIT 1");
            device_must(daybook_inbox_use_theirs(zhao->device.engine, item), NULL);
        }
    }
}

/* What li did to two customers that have become one loses twice by one changeset: each comes back
 * by itself, and the other one's items stay. */
static void test_inbox__two_losses_of_one_changeset(void **state)
{
    static const char *const item_of_city[] = {
        "SELECT item FROM inbox WHERE field='address_street' AND rest LIKE '%Anshan%'",
        "SELECT item FROM inbox WHERE field='address_street' AND rest LIKE '%Changsha%'"};
    char from[DAYBOOK_ID_SIZE], into[DAYBOOK_ID_SIZE], out[1000];
    (void)state;
    for (int run = 0; run < 4; run++) { /* with two streets, and with one */
        const int keep = run % 2;
        const char *const streets[] = {"one", run < 2 ? "two" : "one"};
        rep_put(wang, "customer", "{\"name\":\"A\",\"address_city\":\"Anshan\"}", from);
        rep_put(wang, "customer", "{\"name\":\"C\",\"address_city\":\"Changsha\"}", into);
        company_settle(&company);
        daybook_transaction *transaction = NULL;
        daybook_record *record = NULL;
        device_must(daybook_begin(li->device.engine, &transaction), NULL);
        for (int i = 0; i < 2; i++) {
            device_must(daybook_patch(transaction, "customer", i == 0 ? from : into,
                                      DAYBOOK_ANY_VERSION, &record),
                        NULL);
            device_must(daybook_set_text(record, "address_street", streets[i]), NULL);
        }
        device_must(daybook_commit(transaction, &li->device.error), &li->device.error);
        daybook_end(&transaction);
        assert_int_equal(server_run(&company.server, out, sizeof out,
                                    (const char *[]){"customer", "merge", from, into, NULL}),
                         0);
        tap_set_ahead(&wang->tap, LATER_MS);
        rep_sync(wang);
        rep_patch(wang, "customer", into, "{\"address_street\":\"hers\"}");
        rep_sync(wang);
        tap_set_ahead(&wang->tap, 0);
        company_settle(&company);
        keep_mine(li, device_int(&li->device, item_of_city[keep]));
        assert_int_equal(device_int(&li->device, item_of_city[keep]), -1);
        assert_true(device_int(&li->device, item_of_city[1 - keep]) > 0);
        company_settle(&company);
        assert_field(wang, "customer", into, "address_street", streets[keep]);
        assert_field(wang, "customer", into, "address_city", keep == 0 ? "Anshan" : "Changsha");
        while (inbox(li) > 0) {
            device_must(
                daybook_inbox_use_theirs(li->device.engine,
                                         device_int(&li->device, "SELECT item FROM inbox LIMIT 1")),
                NULL);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inbox__keep_mine_writes_the_whole_group),
        cmocka_unit_test(test_inbox__keep_mine_brings_what_was_the_same_too),
        cmocka_unit_test(test_inbox__keep_mine_of_a_key_and_of_a_delete),
        cmocka_unit_test(test_inbox__keep_mine_of_an_element),
        cmocka_unit_test(test_inbox__theirs_mended_and_gone),
        cmocka_unit_test(test_inbox__the_hook_tells_what_arrives),
        cmocka_unit_test(test_inbox__a_hold_is_cleared_by_its_role),
        cmocka_unit_test(test_inbox__ids_are_as_the_views_have_them),
        cmocka_unit_test(test_inbox__half_a_group_is_not_kept),
        cmocka_unit_test(test_inbox__two_losses_of_one_changeset),
    };
    return cmocka_run_group_tests_name("inbox", tests, set_up, tear_down);
}
