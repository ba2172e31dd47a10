/* SPDX-License-Identifier: Apache-2.0
 *
 * Cases of conflict that end the same whoever comes first, each told by a phone and a tablet of one
 * rep and the phone of another: X1 to X3, X13 (one visit as one record, and as two), X15, and what
 * X14 says of doubtful clocks. In all
 * permutations of arrival; each device's first reply is lost, so all is sent twice. In the end all
 * replicas agree, and what somebody typed is in the record, the conflict log or an inbox.
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

#define DEVICES 3
#define LATER_MS 3000
#define T0 "17952264"

/* The records of one permutation. */
struct scene {
    char shop[DAYBOOK_ID_SIZE];
    char fields[DAYBOOK_ID_SIZE], same[DAYBOOK_ID_SIZE]; /* quotes of X1, X2 */
    char lines[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];  /* X3 */
    char visit[DAYBOOK_ID_SIZE], bad_clock[DAYBOOK_ID_SIZE];
    char order[DAYBOOK_ID_SIZE];
};

static struct company company;
static struct rep *phone, *tablet, *li;

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    phone = company_hire(&company, "wang", "rep", "East");
    li = company_hire(&company, "li", "rep", "East");
    tablet = company_second_device(&company, phone);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

/* What all three have before they lose sight of each other. */
static void open_scene(struct scene *scene)
{
    memset(scene, 0, sizeof *scene);
    rep_put(phone, "customer", "{\"name\":\"shop\"}", scene->shop);
    rep_quote(phone, "one", NULL, scene->fields, NULL);
    rep_quote(phone, "two", NULL, scene->same, NULL);
    rep_quote(phone, "three", NULL, scene->lines, scene->line);
    rep_putf(phone, "visit", scene->visit, "{\"customer_id\":\"%s\"}", scene->shop);
    rep_putf(phone, "visit", scene->bad_clock, "{\"customer_id\":\"%s\"}", scene->shop);
    rep_putf(phone, "sales_order", scene->order, "{\"customer_id\":\"%s\",\"cur\":\"CNY\"}",
             scene->shop);
    company_settle(&company);
}

static void add_participant(struct rep *rep, const char *visit, const char *name)
{
    daybook_transaction *transaction = NULL;
    daybook_record *record = NULL;
    int64_t version = device_version(&rep->device, "visit", visit);
    device_must(daybook_begin(rep->device.engine, &transaction), NULL);
    device_must(daybook_patch(transaction, "visit", visit, version, &record), NULL);
    device_must(daybook_set_add(record, "participants", name), NULL);
    device_must(daybook_commit(transaction, &rep->device.error), &rep->device.error);
    daybook_end(&transaction);
}

static void add_line(struct rep *rep, const char *order, const char *product, int qty)
{
    rep_putf(rep, "order_line", NULL,
             "{\"order_id\":\"%s\",\"product_id\":\"%s\",\"qty\":%d,\"price_e4\":10000}", order,
             product, qty);
}

/* The phone: checked in first, wrote nothing on the quotes but what the others do not touch. */
static void on_the_phone(const struct scene *scene)
{
    rep_patch(phone, "quote", scene->fields, "{\"valid_to\":20261231}");
    rep_patch(phone, "quote", scene->same, "{\"note\":\"earliest\"}");
    rep_patch(phone, "quote_line", scene->line, "{\"qty\":10000}");
    rep_patch(phone, "visit", scene->visit,
              "{\"checkin_ts\":" T0 "10000,\"checkin_tz_min\":480,\"checkin_acc_m\":null}");
    add_participant(phone, scene->visit, "Li Na");
    rep_putf(phone, "visit_action", NULL, "{\"visit_id\":\"%s\",\"kind\":\"photo\"}", scene->visit);
    add_line(phone, scene->order, TEA, 1000);
}

/* The tablet: checked in later, checked out last; and made the latest note. */
static void on_the_tablet(const struct scene *scene)
{
    tap_set_ahead(&tablet->tap, 2 * LATER_MS);
    rep_patch(tablet, "quote", scene->fields, "{\"price_list_ver\":7}");
    rep_patch(tablet, "quote", scene->same, "{\"note\":\"latest\"}");
    rep_patch(tablet, "visit", scene->visit,
              "{\"checkin_ts\":" T0 "50000,\"checkout_ts\":" T0 "90000}");
    add_participant(tablet, scene->visit, "王芳");
    rep_putf(tablet, "visit_action", NULL, "{\"visit_id\":\"%s\",\"kind\":\"stock_count\"}",
             scene->visit);
    rep_patch(tablet, "visit", scene->bad_clock, "{\"checkin_ts\":" T0 "50000}");
    add_line(tablet, scene->order, COOKIE, 2000);
    tap_set_ahead(&tablet->tap, 0);
}

/* Li: came along, deletes a line, and her clock is a year ahead when she checks in elsewhere. */
static void on_lis_phone(const struct scene *scene)
{
    tap_set_ahead(&li->tap, LATER_MS);
    rep_patch(li, "quote", scene->fields, "{\"header_disc_bp\":200}");
    rep_patch(li, "quote", scene->same, "{\"note\":\"between\"}");
    rep_delete(li, "quote_line", scene->line);
    rep_patch(li, "visit", scene->visit,
              "{\"checkin_ts\":" T0 "20000,\"checkout_ts\":" T0 "80000}");
    add_participant(li, scene->visit, "Chen");
    add_line(li, scene->order, TEA, 3000);
    tap_set_ahead(&li->tap, INT64_C(365) * 24 * 3600 * 1000);
    rep_patch(li, "visit", scene->bad_clock, "{\"checkin_ts\":" T0 "00000}");
    tap_set_ahead(&li->tap, 0);
}

/* The server decides and the device does not hear of it; then it sends all once more. */
static void send_twice(struct rep *rep)
{
    tap_lose_replies(&rep->tap, 1);
    device_sync_expect(&rep->device, DAYBOOK_OFFLINE);
    rep_sync(rep);
}

static int64_t about(const char *what, const char *id)
{
    char sql[300];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM %s AND record_id = '%s'", what, id);
    return server_int(&company.server, sql);
}

static int64_t inbox(struct rep *rep, const char *id, const char *mine)
{
    char sql[300];
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM inbox WHERE record_id = '%s' AND instr(mine, '%s')", id,
                   mine);
    return device_int(&rep->device, sql);
}

static void all_see(const char *entity, const char *id, const char *field, const char *value)
{
    assert_field(phone, entity, id, field, value);
    assert_field(tablet, entity, id, field, value);
    assert_field(li, entity, id, field, value);
    assert_string_equal(company_field(&company, entity, id, field), value);
}

/* X1, X2, X3: quotes. */
static void check_quotes(const struct scene *scene)
{
    all_see("quote", scene->fields, "valid_to", "20261231");
    all_see("quote", scene->fields, "price_list_ver", "7");
    all_see("quote", scene->fields, "header_disc_bp", "200");
    assert_int_equal(about("field_conflict WHERE 1", scene->fields), 0);

    all_see("quote", scene->same, "note", "latest");
    assert_int_equal(about("field_conflict WHERE lost = '\"earliest\"'", scene->same), 1);
    assert_int_equal(about("field_conflict WHERE lost = '\"between\"'", scene->same), 1);
    assert_int_equal(inbox(phone, scene->same, "earliest"), 1);
    assert_int_equal(inbox(li, scene->same, "between"), 1);

    all_see("quote_line", scene->line, "qty", "10000");
    all_see("quote", scene->lines, "total", "11728");
    assert_int_equal(about("field_conflict WHERE lost = '\"delete\"'", scene->line), 1);
}

/* X13: one visit on three devices. X14: a doubtful clock. X15: lines by everybody. */
static void check_visits(const struct scene *scene)
{
    all_see("visit", scene->visit, "checkin_ts", T0 "10000");
    all_see("visit", scene->visit, "checkin_tz_min", "480");
    all_see("visit", scene->visit, "checkout_ts", T0 "90000");
    all_see("visit", scene->visit, "participants", "[\"Chen\",\"Li Na\",\"王芳\"]");
    assert_int_equal(
        rep_count(li, "SELECT count(*) FROM visit_action WHERE visit_id = ?1", scene->visit), 2);
    assert_int_equal(inbox(li, scene->visit, T0 "20000"), 1);
    assert_int_equal(about("field_conflict WHERE instr(lost, '" T0 "50000')", scene->visit), 1);
    assert_int_equal(about("field_conflict WHERE instr(lost, '" T0 "80000')", scene->visit), 1);

    all_see("visit", scene->bad_clock, "checkin_ts", T0 "50000");
    all_see("visit", scene->bad_clock, "checkin_suspect", "");
    assert_int_equal(about("field_conflict WHERE instr(lost, '" T0 "00000')", scene->bad_clock), 1);
    assert_int_equal(inbox(li, scene->bad_clock, T0 "00000"), 1);

    assert_int_equal(
        rep_count(phone, "SELECT count(*) FROM order_line WHERE order_id = ?1", scene->order), 3);
    all_see("sales_order", scene->order, "total", "600");
    assert_int_equal(about("hold WHERE code = 'DUP_LINE'", scene->order), 1);
}

/* One permutation. */
static void play(const int order[DEVICES])
{
    struct rep *const devices[DEVICES] = {phone, tablet, li};
    struct scene scene;
    open_scene(&scene);
    on_the_phone(&scene);
    on_the_tablet(&scene);
    on_lis_phone(&scene);
    for (int i = 0; i < DEVICES; i++) {
        send_twice(devices[order[i]]);
    }
    company_settle(&company);
    check_quotes(&scene);
    check_visits(&scene);
}

static void test_cases__end_the_same_in_every_order_of_arrival(void **state)
{
    static const int orders[][DEVICES] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                          {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        play(orders[i]);
        print_message("order %d %d %d\n", orders[i][0], orders[i][1], orders[i][2]);
    }
}

/* ---- X13: one visit, recorded ad hoc on two devices as two records */

/* One permutation's. */
struct pair {
    char shop[DAYBOOK_ID_SIZE], on_phone[DAYBOOK_ID_SIZE], on_tablet[DAYBOOK_ID_SIZE];
    char count[DAYBOOK_ID_SIZE], order[DAYBOOK_ID_SIZE], photo[DAYBOOK_ID_SIZE];
};

/* Both begin; neither hears of the other. The phone checked in first. */
static void begin_visits(struct pair *pair)
{
    rep_put(phone, "customer", "{\"name\":\"shop\"}", pair->shop);
    company_settle(&company);
    rep_putf(phone, "visit", pair->on_phone,
             "{\"customer_id\":\"%s\",\"status\":\"in_progress\",\"checkin_ts\":" T0
             "10000,\"checkin_tz_min\":480,\"feedback\":\"begun\","
             "\"custom\":{\"door\":\"left\",\"floor\":1}}",
             pair->shop);
    rep_putf(phone, "visit_action", pair->count, "{\"visit_id\":\"%s\",\"kind\":\"stock_count\"}",
             pair->on_phone);
    tap_set_ahead(&tablet->tap, LATER_MS);
    rep_putf(tablet, "visit", pair->on_tablet,
             "{\"customer_id\":\"%s\",\"status\":\"in_progress\",\"checkin_ts\":" T0
             "20000,\"checkin_tz_min\":420,\"feedback\":\"wants tea\","
             "\"custom\":{\"door\":\"right\"},\"outcome\":[\"order\"]}",
             pair->shop);
    rep_putf(tablet, "visit_action", pair->order, "{\"visit_id\":\"%s\",\"kind\":\"order\"}",
             pair->on_tablet);
    tap_set_ahead(&tablet->tap, 0);
}

/* Each goes on with its own record. */
static void go_on(struct pair *pair, struct rep *rep)
{
    if (rep == phone) {
        rep_patch(phone, "visit", pair->on_phone,
                  "{\"status\":\"completed\",\"checkout_ts\":" T0 "80000}");
        add_participant(phone, pair->on_phone, "Li Na");
        return;
    }
    tap_set_ahead(&tablet->tap, 2 * LATER_MS);
    rep_patch(tablet, "visit", pair->on_tablet,
              "{\"checkout_ts\":" T0 "90000,\"feedback\":\"wants six\"}");
    add_participant(tablet, pair->on_tablet, "Chen");
    rep_putf(tablet, "photo", pair->photo,
             "{\"visit_id\":\"%s\",\"sha256\":\"%064d\",\"media_type\":\"image/jpeg\"}",
             pair->on_tablet, 7);
    tap_set_ahead(&tablet->tap, 0);
}

static void check_pair(const struct pair *pair)
{
    static const struct {
        const char *field, *value;
    } expected[] = {
        {"checkin_ts", T0 "10000"},  {"checkin_tz_min", "480"},
        {"checkout_ts", T0 "90000"}, {"participants", "[\"Chen\",\"Li Na\"]"},
        {"outcome", "[\"order\"]"},  {"feedback", "wants six"},
        {"status", "completed"},     {"custom", "{\"door\":\"right\",\"floor\":1}"},
        {"redirect_to", ""},
    };
    const char *visit = pair->on_phone;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        all_see("visit", visit, expected[i].field, expected[i].value);
    }
    all_see("visit", pair->on_tablet, "redirect_to", visit);
    all_see("visit_action", pair->count, "visit_id", visit);
    all_see("visit_action", pair->order, "visit_id", visit);
    all_see("photo", pair->photo, "visit_id", visit);
    assert_int_equal(about("field_conflict WHERE lost = '\"begun\"'", visit), 1);
    assert_int_equal(about("field_conflict WHERE instr(lost, '" T0 "20000')", visit), 1);
    assert_int_equal(about("field_conflict WHERE instr(lost, '" T0 "80000')", visit), 1);
    assert_int_equal(about("field_conflict WHERE field_name = 'custom.door'", visit), 1);
}

/* Given one visit as two records on phone and tablet, when they come in either order, each reply
 * lost once, and each device goes on with its own before it hears of the other or after it has sent
 * it, then all have one visit with all of it, and who goes on with the other record is told. */
static void test_cases__twins_become_one_in_either_order(void **state)
{
    (void)state;
    for (int order = 0; order < 8; order++) {
        struct rep *first = order % 2 == 0 ? phone : tablet;
        struct rep *second = first == phone ? tablet : phone;
        struct pair pair;
        begin_visits(&pair);
        if (order & 2) {
            go_on(&pair, first);
        }
        send_twice(first);
        if ((order & 2) == 0) {
            go_on(&pair, first);
        }
        if (order & 4) {
            go_on(&pair, second);
        }
        tap_lose_replies(&second->tap, 1);
        device_sync_expect(&second->device, DAYBOOK_OFFLINE);
        if ((order & 4) == 0) {
            go_on(&pair, second);
        }
        company_settle(&company);
        check_pair(&pair);
        bool told = second == tablet || (order & 2) == 0;
        assert_int_equal(rep_count(tablet,
                                   "SELECT count(*) > 0 FROM inbox WHERE kind = 'remapped' AND"
                                   " record_id = ?1",
                                   pair.on_tablet),
                         told);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases__end_the_same_in_every_order_of_arrival),
        cmocka_unit_test(test_cases__twins_become_one_in_either_order),
    };
    return cmocka_run_group_tests_name("cases", tests, set_up, tear_down);
}
