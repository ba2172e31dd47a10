/* SPDX-License-Identifier: Apache-2.0
 *
 * The state machines through real engines and the real server: what may happen offline happens and
 * is kept, what the machine does not have the device refuses, and races end as the domain says, in
 * all orders of arrival.
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

static struct company company;
static struct rep *wang, *li, *boss, *office;
static char shop[DAYBOOK_ID_SIZE];

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    wang = company_hire(&company, "wang", "rep", "East");
    li = company_hire(&company, "li", "rep", "East");
    boss = company_hire(&company, "boss", "manager", "East");
    office = company_hire(&company, "office", "back_office", NULL);
    rep_put(wang, "customer", "{\"name\":\"shop\"}", shop);
    company_settle(&company);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

/* Makes a record of the entity, in its first state, on Wang's device. */
static void make_here(const char *entity, char id[DAYBOOK_ID_SIZE])
{
    const char *more = strcmp(entity, "visit") == 0         ? ""
                       : strcmp(entity, "opportunity") == 0 ? ",\"subject\":\"deal\""
                                                            : ",\"cur\":\"CNY\"";
    rep_putf(wang, entity, id, "{\"customer_id\":\"%s\"%s}", shop, more);
}

/* The same, and everybody has it. */
static void make(const char *entity, char id[DAYBOOK_ID_SIZE])
{
    make_here(entity, id);
    company_settle(&company);
}

static daybook_status try_step(struct rep *rep, const char *entity, const char *id, const char *to)
{
    char json[200];
    (void)snprintf(json, sizeof json, "{\"status\":\"%s\"%s}", to,
                   strcmp(to, "lost") == 0 ? ",\"lost_reason\":\"price\"" : "");
    return rep_try_patch(rep, entity, id, device_version(&rep->device, entity, id), json);
}

static void step(struct rep *rep, const char *entity, const char *id, const char *to)
{
    daybook_status status = try_step(rep, entity, id, to);
    if (status != DAYBOOK_OK) {
        print_error("%s %s %s: %s\n", rep->login, entity, to, rep->device.error.text);
    }
    assert_int_equal(status, DAYBOOK_OK);
}

static void all_see(const char *entity, const char *id, const char *state)
{
    for (int i = 0; i < company.count; i++) {
        assert_field(&company.reps[i], entity, id, "status", state);
    }
    assert_string_equal(company_field(&company, entity, id, "status"), state);
}

/* ---- what may happen offline */

static const struct {
    const char *entity;
    const char *steps[5];
} days[] = {
    {"visit", {"in_progress", "completed"}},
    {"visit", {"in_progress", "abandoned", "completed"}},
    {"opportunity", {"suspended", "tracking", "suspended", "tracking", "lost"}},
    {"quote", {"pending_approval", "withdrawn"}},
    {"quote", {"sent", "declined", "accepted", "converted"}},
    {"sales_order", {"submitted", "cancelled"}},
};

static void test_machines__a_day_offline_is_kept(void **state)
{
    char id[DAYBOOK_ID_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof days / sizeof days[0]; i++) {
        const char *last = "";
        make(days[i].entity, id);
        for (int n = 0; n < 5 && days[i].steps[n] != NULL; n++) {
            last = days[i].steps[n];
            step(li, days[i].entity, id, last);
            assert_field(li, days[i].entity, id, "status", last);
        }
        company_settle(&company);
        all_see(days[i].entity, id, last);
        assert_int_equal(device_int(&li->device, "SELECT count(*) FROM inbox"), 0);
    }
}

/* A visit that nobody had planned: made, begun and ended before the first sync. */
static void test_machines__visit_is_made_where_it_ended(void **state)
{
    char id[DAYBOOK_ID_SIZE];
    (void)state;
    rep_putf(li, "visit", id, "{\"customer_id\":\"%s\",\"status\":\"completed\"}", shop);
    company_settle(&company);
    all_see("visit", id, "completed");
}

/* A record that is replaced as a whole keeps its state where the app does not name one. */
static void test_machines__replacing_a_record_keeps_its_state(void **state)
{
    char id[DAYBOOK_ID_SIZE];
    char json[100];
    daybook_transaction *transaction = NULL;
    (void)state;
    make("visit", id);
    step(li, "visit", id, "completed");
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\",\"feedback\":\"new\"}", shop);
    device_must(daybook_begin(li->device.engine, &transaction), NULL);
    device_must(daybook_put_json(transaction, "visit", id, DAYBOOK_ANY_VERSION, json, NULL,
                                 &li->device.error),
                &li->device.error);
    device_must(daybook_commit(transaction, &li->device.error), &li->device.error);
    daybook_end(&transaction);
    company_settle(&company);
    all_see("visit", id, "completed");
}

/* ---- what the device refuses */

static const struct {
    const char *entity, *from;
    int who; /* 0: a rep, 1: the manager, 2: the office */
    const char *to, *rule;
} refused[] = {
    {"visit", NULL, 0, "verified", "role"},
    {"visit", "completed", 0, "in_progress", "step"},
    {"visit", "cancelled", 0, "in_progress", "check_in"},
    {"visit", "completed", 2, "in_progress", "step"},
    {"opportunity", NULL, 0, "invalid", "role"},
    {"opportunity", "lost", 0, "tracking", "role"},
    {"opportunity", "won", 1, "lost", "step"},
    {"quote", NULL, 0, "approved", "role"},
    {"quote", "sent", 1, "draft", "step"},
    {"quote", "sent", 1, "superseded", "role"},
    {"sales_order", NULL, 0, "confirmed", "role"},
    {"sales_order", NULL, 2, "submitted", "role"},
    {"sales_order", "submitted", 0, "shipped", "van_sale"},
    {"sales_order", "cancelled", 0, "submitted", "step"},
};

#define REFUSED (sizeof refused / sizeof refused[0])

static void test_machines__device_refuses_what_the_machine_does_not_have(void **state)
{
    struct rep *people[] = {li, boss, office};
    char ids[REFUSED][DAYBOOK_ID_SIZE];
    (void)state;
    for (size_t i = 0; i < REFUSED; i++) {
        make_here(refused[i].entity, ids[i]);
        if (refused[i].from != NULL) {
            step(wang, refused[i].entity, ids[i], refused[i].from);
        }
    }
    company_settle(&company);
    for (size_t i = 0; i < REFUSED; i++) {
        struct rep *rep = people[refused[i].who];
        assert_int_equal(try_step(rep, refused[i].entity, ids[i], refused[i].to), DAYBOOK_RULE);
        assert_string_equal(rep->device.error.entity, refused[i].entity);
        assert_string_equal(rep->device.error.field, "status");
        assert_string_equal(rep->device.error.rule, refused[i].rule);
        assert_int_equal(device_status(&rep->device).pending, 0);
    }
    assert_int_equal(try_step(li, "sales_order", ids[REFUSED - 1], ""), DAYBOOK_INVALID);
    assert_int_equal(rep_try_put(li, "visit",
                                 "{\"customer_id\":\"0193f000-0000-7000-8000-000000000001\","
                                 "\"status\":\"verified\"}"),
                     DAYBOOK_RULE);
}

/* ---- races */

struct race {
    const char *entity, *start;
    struct {
        int who; /* 0: wang, 1: li, 2: the manager, 3: the office */
        const char *to;
    } steps[3];
    const char *result;
};

static const struct race races[] = {
    {"visit", NULL, {{1, "in_progress"}, {2, "cancelled"}}, "in_progress"},
    {"visit", "completed", {{2, "rejected"}, {3, "verified"}}, "verified"},
    {"opportunity", NULL, {{1, "won"}, {0, "lost"}}, "won"},
    {"opportunity", "suspended", {{2, "tracking"}, {1, "won"}}, "won"},
    {"opportunity", "suspended", {{2, "tracking"}, {1, "lost"}, {0, "won"}}, "won"},
    {"quote", NULL, {{1, "sent"}, {2, "withdrawn"}}, "sent"},
    {"quote", "sent", {{1, "declined"}, {0, "accepted"}}, "accepted"},
    {"sales_order", "submitted", {{3, "confirmed"}, {2, "cancelled"}}, "cancelled"},
    {"sales_order", "submitted", {{3, "confirmed"}, {2, "cancelled"}, {3, "picking"}}, "cancelled"},
};

/* The result, and that of two steps the one that does not stand is in the log; of three, one may
 * have lost against one that lost. */
static void judge_race(const struct race *race, const char *id)
{
    all_see(race->entity, id, race->result);
    for (int i = 0; i < 2 && race->steps[2].to == NULL; i++) {
        char sql[500];
        (void)snprintf(sql, sizeof sql,
                       "SELECT count(*) FROM field_conflict WHERE record_id = '%s' AND"
                       " field_name = 'status' AND lost = '\"%s\"'",
                       id, race->steps[i].to);
        bool stands = strcmp(race->steps[i].to, race->result) == 0;
        assert_int_equal(server_int(&company.server, sql), stands ? 0 : 1);
    }
}

#define RACES (sizeof races / sizeof races[0])

/* Each makes a race's record, brings it to its start and steps offline, in all races at once; then
 * people arrive in this order, each with all of theirs. */
static void run_races(const int order[4])
{
    struct rep *people[] = {wang, li, boss, office};
    char ids[RACES][DAYBOOK_ID_SIZE];
    for (size_t i = 0; i < RACES; i++) {
        make_here(races[i].entity, ids[i]);
    }
    company_settle(&company);
    for (size_t i = 0; i < RACES; i++) {
        if (races[i].start != NULL) {
            struct rep *author = strcmp(races[i].start, "completed") == 0 ? li : wang;
            step(author, races[i].entity, ids[i], races[i].start);
        }
    }
    company_settle(&company);
    for (size_t i = 0; i < RACES; i++) {
        for (int k = 0; k < 3 && races[i].steps[k].to != NULL; k++) {
            step(people[races[i].steps[k].who], races[i].entity, ids[i], races[i].steps[k].to);
        }
    }
    for (int i = 0; i < 4; i++) {
        rep_sync(people[order[i]]);
    }
    company_settle(&company);
    int64_t head = server_int(&company.server, "SELECT head FROM org");
    company_settle(&company); /* once more changes nothing */
    assert_int_equal(server_int(&company.server, "SELECT head FROM org"), head);
    for (size_t i = 0; i < RACES; i++) {
        judge_race(&races[i], ids[i]);
    }
}

/* So that any three of the four arrive in each of their six orders. */
static void test_machines__races_end_the_same_in_every_order(void **state)
{
    static const int orders[][4] = {{0, 1, 2, 3}, {0, 3, 2, 1}, {1, 3, 0, 2},
                                    {2, 1, 0, 3}, {2, 3, 0, 1}, {3, 1, 2, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        run_races(orders[i]);
    }
}

/* The rep cancels what she saw submitted; the office has confirmed it meanwhile. */
static void test_machines__late_cancel_becomes_a_request(void **state)
{
    char id[DAYBOOK_ID_SIZE];
    (void)state;
    make("sales_order", id);
    step(wang, "sales_order", id, "submitted");
    company_settle(&company);
    step(office, "sales_order", id, "confirmed");
    step(li, "sales_order", id, "cancelled");
    rep_sync(office);
    rep_sync(li);
    company_settle(&company);
    all_see("sales_order", id, "confirmed");
    assert_int_equal(rep_count(boss,
                               "SELECT count(*) FROM sales_order WHERE id = ?1"
                               " AND json_array_length(cancel_req) = 1",
                               id),
                     1);
    assert_string_equal(device_text(&li->device, "SELECT kind FROM inbox ORDER BY item DESC"),
                        "superseded");
    step(boss, "sales_order", id, "cancelled");
    company_settle(&company);
    all_see("sales_order", id, "cancelled");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_machines__a_day_offline_is_kept),
        cmocka_unit_test(test_machines__visit_is_made_where_it_ended),
        cmocka_unit_test(test_machines__replacing_a_record_keeps_its_state),
        cmocka_unit_test(test_machines__device_refuses_what_the_machine_does_not_have),
        cmocka_unit_test(test_machines__races_end_the_same_in_every_order),
        cmocka_unit_test(test_machines__late_cancel_becomes_a_request),
    };
    return cmocka_run_group_tests_name("machines", tests, set_up, tear_down);
}
