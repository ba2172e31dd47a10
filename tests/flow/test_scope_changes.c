/* SPDX-License-Identifier: Apache-2.0
 *
 * Every change of what a person may see, from a table: territory, role, team, a team's team;
 * gained, lost, both at one position. Each with work under way on both sides, on the person's
 * device and on those of who stays there, in every order of arrival: all work is kept, who has lost
 * sight has nothing of it left, is told, and gets no byte of what others write from then on, and
 * who has gained sight has all of it. Likewise where the night's work takes documents from a device
 * that does without recent ones.
 */
#include "tests/support/company.h"
#include "tests/support/deal.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum place { EAST, SOUTH, PLACES };
#define CHANGES_MAX 2

struct user_change {
    const char *login, *members;
};

/* A person, what makes them see what they see at first, and what changes that. */
static const struct scope_change {
    const char *login, *role, *territory;
    struct user_change before[CHANGES_MAX], change[CHANGES_MAX];
    bool saw[PLACES], sees[PLACES];
} changes[] = {
    {"moves",
     "rep",
     "East",
     {{NULL, NULL}},
     {{"moves", "\"territory_id\":{\"key\":\"South\"}"}},
     {true, false},
     {false, true}},
    {"left",
     "rep",
     "East",
     {{NULL, NULL}},
     {{"left", "\"territory_id\":null"}},
     {true, false},
     {false, false}},
    {"promoted",
     "rep",
     "East",
     {{NULL, NULL}},
     {{"promoted", "\"user_role\":\"manager\""},
      {"south1", "\"manager_id\":{\"key\":\"promoted\"}"}},
     {true, false},
     {true, true}},
    {"called",
     "rep",
     "East",
     {{NULL, NULL}},
     {{"called", "\"user_role\":\"back_office\",\"territory_id\":null"}},
     {true, false},
     {true, true}},
    {"sent",
     "back_office",
     NULL,
     {{NULL, NULL}},
     {{"sent", "\"user_role\":\"rep\",\"territory_id\":{\"key\":\"East\"}"}},
     {true, true},
     {true, false}},
    {"swaps",
     "manager",
     NULL,
     {{"east1", "\"manager_id\":{\"key\":\"swaps\"}"}},
     {{"east1", "\"manager_id\":null"}, {"south2", "\"manager_id\":{\"key\":\"swaps\"}"}},
     {true, false},
     {false, true}},
    {"above",
     "manager",
     NULL,
     {{"below", "\"manager_id\":{\"key\":\"above\"}"},
      {"east2", "\"manager_id\":{\"key\":\"below\"}"}},
     {{"below", "\"manager_id\":null"}},
     {true, false},
     {false, false}},
};
#define PEOPLE (int)(sizeof changes / sizeof changes[0])

static struct company company;
static struct rep *owners[PLACES], *people[PEOPLE];

static void change_users(const struct user_change list[CHANGES_MAX])
{
    for (int i = 0; i < CHANGES_MAX && list[i].login != NULL; i++) {
        company_change_user(&company, list[i].login, list[i].members);
    }
}

static int set_up(void **state)
{
    static const char *const others[][3] = {
        {"east1", "rep", "East"},   {"east2", "rep", "East"},   {"south1", "rep", "South"},
        {"south2", "rep", "South"}, {"below", "manager", NULL},
    };
    (void)state;
    company_open(&company);
    owners[EAST] = company_hire(&company, "wang", "rep", "East");
    owners[SOUTH] = company_hire(&company, "zhao", "rep", "South");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        server_add_user(&company.server, others[i][0], others[i][1], others[i][2]);
    }
    for (int i = 0; i < PEOPLE; i++) {
        people[i] = company_hire(&company, changes[i].login, changes[i].role, changes[i].territory);
        change_users(changes[i].before);
    }
    company_settle(&company);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

static struct deal deals[PEOPLE][PLACES];

/* What the owner writes into a deal meanwhile. */
static const char *text_of(int person, enum place place)
{
    static char text[40];
    (void)snprintf(text, sizeof text, "kanarienvogel-%s-%d", changes[person].login, place);
    return text;
}

/* A deal as it is in the end, whoever came first; `with_work`: the person has worked on it. */
static void expect_deal(struct rep *rep, const struct deal *deal, const char *text, bool with_work)
{
    assert_field(rep, "sales_order", deal->order, "note", text);
    assert_field(rep, "customer", deal->shop, "prefs", text);
    assert_field(rep, "sales_order", deal->order, "total", with_work ? "22000" : "17000");
    if (with_work) {
        assert_field(rep, "sales_order", deal->order, "deliver_by", "20270101");
        assert_field(rep, "sales_order", deal->fresh, "total", "7000");
        assert_field(rep, "visit", deal->visit, "feedback", "old rep");
    }
}

/* One person in the end. `late`: the change came before the work did; `heard`: the person heard of
 * the others' work before it. */
static void judge(int person, bool late, bool heard)
{
    const struct scope_change *given = &changes[person];
    struct rep *rep = people[person];
    int64_t moved = 0;
    for (enum place place = EAST; place < PLACES; place++) {
        const struct deal *deal = &deals[person][place];
        const char *text = text_of(person, place);
        expect_deal(owners[place], deal, text, given->saw[place]);
        if (given->sees[place]) {
            expect_deal(rep, deal, text, given->saw[place]);
            continue;
        }
        moved += given->saw[place] && late ? DEAL_WORKS : 0;
        assert_int_equal(rep_count(rep, "SELECT count(*) FROM customer WHERE id = ?1", deal->shop),
                         0);
        assert_int_equal(
            rep_count(rep, "SELECT count(*) FROM sales_order WHERE customer_id = ?1", deal->shop),
            0);
        assert_int_equal(
            rep_count(rep, "SELECT count(*) FROM visit WHERE customer_id = ?1", deal->shop), 0);
        assert_int_equal(tap_has_received(&rep->tap, text), heard && given->saw[place]);
    }
    assert_int_equal(rep_count(rep, "SELECT count(*) FROM inbox WHERE kind = 'rejected'", NULL), 0);
    int64_t told = rep_take_inbox(rep, "moved", "");
    if (told != moved) {
        fail_msg("%s is told of %lld that have moved, not of %lld", given->login, (long long)told,
                 (long long)moved);
    }
}

/* Everybody works offline; then the persons send it (P), their sight changes (C), and those who
 * stay (S) do, in this order. */
static void run(const char *order)
{
    const struct timespec pause = {.tv_sec = 1, .tv_nsec = 200000000}; /* a request travels less */
    for (int i = 0; i < PEOPLE; i++) {
        for (enum place place = EAST; place < PLACES; place++) {
            deal_make(owners[place], &deals[i][place]);
        }
    }
    company_settle(&company);
    for (int i = 0; i < PEOPLE; i++) {
        tap_forget(&people[i]->tap);
        for (enum place place = EAST; place < PLACES; place++) {
            if (changes[i].saw[place]) {
                deal_old_rep_works(people[i], &deals[i][place]);
            }
        }
    }
    (void)nanosleep(&pause, NULL);
    for (int i = 0; i < PEOPLE; i++) {
        for (enum place place = EAST; place < PLACES; place++) {
            deal_new_rep_works(owners[place], &deals[i][place], text_of(i, place));
        }
    }
    for (const char *step = order; *step != '\0'; step++) {
        for (int i = 0; i < PEOPLE && *step == 'P'; i++) {
            rep_sync(people[i]);
        }
        for (int i = 0; i < PEOPLE && *step == 'C'; i++) {
            change_users(changes[i].change);
        }
        for (enum place place = EAST; place < PLACES && *step == 'S'; place++) {
            rep_sync(owners[place]);
        }
    }
    company_settle(&company);
    for (int i = 0; i < PEOPLE; i++) {
        judge(i, strchr(order, 'C') < strchr(order, 'P'), strcmp(order, "SPC") == 0);
    }
}

/* ---- leave_recent */

static struct rep *leaver, *keeper;
static char shop[DAYBOOK_ID_SIZE], over[DAYBOOK_ID_SIZE], refused[DAYBOOK_ID_SIZE],
    line[DAYBOOK_ID_SIZE];

/* A visit that was cancelled and an order that was rejected, which a device that does without
 * recent documents has as well as one that does not. */
static int set_up_leaver(void **state)
{
    char import[200];
    (void)state;
    company_open(&company);
    keeper = company_hire(&company, "keeper", "rep", "East");
    leaver = company_add(&company, "leaver", "rep", "East");
    leaver->device.options.leave_recent = true;
    rep_begin(leaver);
    rep_put(keeper, "customer", "{\"name\":\"shop\"}", shop);
    rep_putf(keeper, "visit", over, "{\"customer_id\":\"%s\"}", shop);
    rep_patch(keeper, "visit", over, "{\"status\":\"cancelled\"}");
    rep_putf(keeper, "sales_order", refused, "{\"customer_id\":\"%s\",\"cur\":\"CNY\"}", shop);
    rep_putf(keeper, "order_line", line,
             "{\"order_id\":\"%s\",\"product_id\":\"" TEA "\",\"qty\":1000,\"price_e4\":100000}",
             refused);
    company_settle(&company);
    (void)snprintf(import, sizeof import,
                   "{\"entity\":\"sales_order\",\"id\":\"%s\",\"status\":\"rejected\"}\n", refused);
    server_import(&company.server, import);
    company_settle(&company);
    return 0;
}

/* The night's work: what is closed is recent, however young. */
static void pass_night(void)
{
    const char *const command[] = {"classify", "--open-days", "0", "--last", "0", NULL};
    char out[200];
    assert_int_equal(server_run(&company.server, out, sizeof out, command), 0);
    assert_non_null(strstr(out, " 2 moved"));
}

/* Both documents with the work of both, as everybody has them in the end who has them at all. */
static void expect_both(struct rep *rep)
{
    assert_field(rep, "visit", over, "status", "cancelled");
    assert_field(rep, "visit", over, "feedback", "closed for good");
    assert_field(rep, "visit", over, "outcome", "[\"shelf\"]");
    assert_int_equal(rep_count(rep, "SELECT count(*) FROM visit_action WHERE visit_id = ?1", over),
                     2);
    assert_field(rep, "sales_order", refused, "note", "keeper's");
    assert_field(rep, "sales_order", refused, "deliver_by", "20270101");
    assert_field(rep, "sales_order", refused, "total", "500");
    assert_int_equal(rep_count(rep,
                               "SELECT count(*) FROM field_conflict WHERE record_id = ?1"
                               " AND field_name = 'note' AND lost = '\"leaver''s\"'",
                               refused),
                     1);
}

/* The leaver and the keeper work offline on both; then the leaver sends it (P), a night passes (C),
 * and the keeper sends (S), in this order. What somebody works on is open again, so in the end they
 * are out of the leaver's sight only where the night came last. */
static void run_leaver(const char *order)
{
    const struct timespec pause = {.tv_sec = 1, .tv_nsec = 200000000}; /* a request travels less */
    bool gone = order[2] == 'C';
    rep_patch(leaver, "visit", over, "{\"feedback\":\"closed for good\"}");
    rep_putf(leaver, "visit_action", NULL, "{\"visit_id\":\"%s\",\"kind\":\"photo\"}", over);
    rep_patch(leaver, "sales_order", refused, "{\"note\":\"leaver's\",\"deliver_by\":20270101}");
    rep_patch(leaver, "order_line", line, "{\"qty\":500}");
    (void)nanosleep(&pause, NULL);
    rep_patch(keeper, "visit", over, "{\"outcome\":[\"shelf\"]}");
    rep_putf(keeper, "visit_action", NULL, "{\"visit_id\":\"%s\",\"kind\":\"intel\"}", over);
    rep_patch(keeper, "sales_order", refused, "{\"note\":\"keeper's\"}");
    for (const char *step = order; *step != '\0'; step++) {
        if (*step == 'C') {
            pass_night();
        } else {
            rep_sync(*step == 'P' ? leaver : keeper);
        }
    }
    company_settle(&company);
    expect_both(keeper);
    if (gone) {
        assert_field(leaver, "visit", over, "status", "");
        assert_field(leaver, "sales_order", refused, "status", "");
        assert_int_equal(rep_count(leaver, "SELECT count(*) FROM visit_action", NULL), 0);
        assert_int_equal(rep_count(leaver, "SELECT count(*) FROM order_line", NULL), 0);
    } else {
        expect_both(leaver);
    }
    /* Whoever has no part in a document any more is not told of it; the conflict log has it. */
    bool told = strcmp(order, "PSC") != 0;
    assert_int_equal(rep_take_inbox(leaver, "superseded", refused), told);
    assert_int_equal(rep_count(leaver, "SELECT count(*) FROM inbox", NULL), 0);
    assert_int_equal(rep_count(keeper, "SELECT count(*) FROM inbox", NULL), 0);
}

#define ORDER(order)                                                                               \
    static void test_scope_changes__in_order_##order(void **state)                                 \
    {                                                                                              \
        (void)state;                                                                               \
        run(#order);                                                                               \
    }                                                                                              \
    static void test_scope_changes__leave_recent_in_order_##order(void **state)                    \
    {                                                                                              \
        (void)state;                                                                               \
        run_leaver(#order);                                                                        \
    }
ORDER(CPS)
ORDER(CSP)
ORDER(PCS)
ORDER(PSC)
ORDER(SCP)
ORDER(SPC)

#define TEST(order)                                                                                \
    cmocka_unit_test_setup_teardown(test_scope_changes__in_order_##order, set_up, tear_down),      \
        cmocka_unit_test_setup_teardown(test_scope_changes__leave_recent_in_order_##order,         \
                                        set_up_leaver, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(CPS), TEST(CSP), TEST(PCS), TEST(PSC), TEST(SCP), TEST(SPC),
    };
    return cmocka_run_group_tests_name("scope_changes", tests, NULL, NULL);
}
