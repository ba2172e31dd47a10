/* SPDX-License-Identifier: Apache-2.0
 *
 * The state machines: the table against the machines as the domain writes them down, ranks, roles,
 * ways of several steps, needs, and where content stands.
 */
#include "engine/sales/machines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ROWS_MAX 200

/* "from/from->to WHO[off],WHO v; …": the notation of the domain's table of machines; v: downwards,
 * ask: a request. */
static const struct {
    int entity;
    const char *ranks, *steps;
} machines[] = {
    {ENTITY_OPPORTUNITY, "tracking suspended invalid lost won",
     "tracking->suspended R[off],M; suspended->tracking R[off],M v; tracking/suspended->lost "
     "R[off]; tracking/suspended->invalid M; tracking/suspended->won R[off]; "
     "lost/invalid->tracking "
     "M v; won->tracking M v"},
    {ENTITY_VISIT, "planned cancelled missed in_progress abandoned completed rejected verified",
     "planned->in_progress R[off]; planned->cancelled R[off],M; planned->missed Y; "
     "cancelled/missed->in_progress R[off]; in_progress->completed R[off]; in_progress->abandoned "
     "R[off],Y; abandoned->completed R[off]; completed->verified M,B; completed->rejected M,B; "
     "rejected->completed M v"},
    {ENTITY_QUOTE,
     "draft pending_approval rejected approved withdrawn sent superseded expired declined accepted "
     "converted",
     "draft->sent R[off]; draft->pending_approval R[off]; pending_approval->approved M; "
     "pending_approval->rejected M; approved->sent R[off]; draft/pending_approval/approved->"
     "withdrawn R[off],M; sent->superseded Y; sent->expired Y; sent->declined R[off]; "
     "sent/declined->accepted R[off]; accepted->converted R[off]"},
    {ENTITY_SALES_ORDER,
     "draft submitted rejected confirmed picking cancelled part_shipped short_closed shipped "
     "delivered closed",
     "draft->submitted R[off]; draft->cancelled R[off]; submitted->confirmed Y,B; "
     "submitted->rejected B; submitted->cancelled R[off],M,B; confirmed/picking->cancelled M,B; "
     "confirmed/picking->cancelled R[off] ask; confirmed->picking B; picking->part_shipped B; "
     "part_shipped->shipped B; part_shipped->short_closed B,M; submitted->shipped R[off]; "
     "shipped/short_closed->delivered R[off],B; delivered->closed Y"},
    {ENTITY_PROPOSAL, "open withdrawn declined accepted",
     "open->withdrawn R[off]; open->declined M[off],B[off]; open->accepted M[off],B[off]"},
};

/* One row as text: "entity from to R12 …", for comparison as a set. */
struct rows {
    char text[ROWS_MAX][120];
    int count;
};

static void add_row(struct rows *rows, int entity, const char *from, const char *to, unsigned roles,
                    unsigned offline, enum machine_direction direction)
{
    assert_true(rows->count < ROWS_MAX);
    (void)snprintf(rows->text[rows->count++], 120, "%d %s->%s roles %u off %u way %d", entity, from,
                   to, roles, offline, (int)direction);
}

/* "R[off],M" */
static void read_roles(const char *who, unsigned *roles, unsigned *offline)
{
    static const char letters[] = "RMBY";
    *roles = *offline = 0;
    for (; *who != '\0'; who++) {
        const char *at = strchr(letters, *who);
        if (at == NULL) {
            continue;
        }
        unsigned role = 1U << (at - letters);
        *roles |= role;
        *offline |= strncmp(who + 1, "[off]", 5) == 0 ? role : 0;
        who += strncmp(who + 1, "[off]", 5) == 0 ? 5 : 0;
    }
}

/* One item between semicolons. */
static void read_item(struct rows *rows, int entity, char *item)
{
    char to[60], who[60], end[20] = "";
    unsigned roles, offline;
    char *arrow = strstr(item, "->");
    assert_non_null(arrow);
    *arrow = '\0';
    assert_in_range(sscanf(arrow + 2, "%59s %59s %19s", to, who, end), 2, 3);
    read_roles(who, &roles, &offline);
    enum machine_direction direction = strcmp(end, "v") == 0     ? MACHINE_DOWN
                                       : strcmp(end, "ask") == 0 ? MACHINE_ASK
                                                                 : MACHINE_UP;
    char *rest = NULL;
    for (char *from = strtok_r(item, "/ ", &rest); from != NULL;
         from = strtok_r(NULL, "/ ", &rest)) {
        add_row(rows, entity, from, to, roles, offline, direction);
    }
}

static bool has_row(const struct rows *rows, const char *text)
{
    for (int i = 0; i < rows->count; i++) {
        if (strcmp(rows->text[i], text) == 0) {
            return true;
        }
    }
    return false;
}

/* The name of a state of the step's machine. */
static const char *name_of(const struct machine_step *step, int rank)
{
    const struct entity *entity = dk_entity(step->entity);
    return entity->fields[dk_machine_field(entity)].choices[rank];
}

static void test_machines__table_is_that_of_the_domain(void **state)
{
    static struct rows wanted, found;
    (void)state;
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++) {
        char text[2000], *rest = NULL;
        (void)snprintf(text, sizeof text, "%s", machines[i].steps);
        for (char *item = strtok_r(text, ";", &rest); item != NULL;
             item = strtok_r(NULL, ";", &rest)) {
            read_item(&wanted, machines[i].entity, item);
        }
    }
    for (const struct machine_step *step = dk_machine_steps(); step->from >= 0; step++) {
        add_row(&found, step->entity, name_of(step, step->from), name_of(step, step->to),
                step->roles, step->offline, step->direction);
    }
    for (int i = 0; i < wanted.count; i++) {
        if (!has_row(&found, wanted.text[i])) {
            fail_msg("missing: %s", wanted.text[i]);
        }
    }
    for (int i = 0; i < found.count; i++) {
        if (!has_row(&wanted, found.text[i])) {
            fail_msg("not in the domain: %s", found.text[i]);
        }
    }
    assert_int_equal(wanted.count, found.count);
}

static void test_machines__states_are_in_the_order_of_their_ranks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++) {
        const struct entity *entity = dk_entity(machines[i].entity);
        const char *const *choices = entity->fields[dk_machine_field(entity)].choices;
        char text[400] = "";
        for (int rank = 0; choices[rank] != NULL; rank++) {
            (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s",
                           rank == 0 ? "" : " ", choices[rank]);
        }
        assert_string_equal(text, machines[i].ranks);
    }
}

static int rank_of(const struct entity *entity, const char *name)
{
    struct value value = {.kind = VALUE_TEXT, .length = (uint32_t)strlen(name)};
    value.text = name;
    return dk_machine_rank(&entity->fields[dk_machine_field(entity)], &value);
}

/* Every entity with a STATE field has a machine, one; what goes up goes up; ways end. */
static void test_machines__every_row_fits_its_entity(void **state)
{
    (void)state;
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        const struct entity *entity = dk_entity(kind);
        int fields = 0, rows = 0;
        for (int f = 0; f < entity->field_count; f++) {
            fields += entity->fields[f].policy == POLICY_STATE;
        }
        for (const struct machine_step *step = dk_machine_steps(); step->from >= 0; step++) {
            if (step->entity != kind) {
                continue;
            }
            assert_true(step->direction == MACHINE_DOWN ? step->to < step->from
                                                        : step->to > step->from);
            assert_int_equal(step->offline & ~step->roles, 0);
            rows++;
        }
        assert_in_range(fields, 0, 1);
        assert_int_equal(fields > 0, rows > 0);
    }
}

static void expect_step(const struct record *record, const char *from, const char *to,
                        const char *role, enum machine_answer answer, const char *word)
{
    const char *rule;
    const struct entity *entity = record->entity;
    enum machine_answer got = dk_machine_step(record, rank_of(entity, from), rank_of(entity, to),
                                              dk_machine_roles(role), 0, &rule);
    if (got != answer || strcmp(rule == NULL ? "" : rule, word) != 0) {
        fail_msg("%s: %s to %s as %s: %d %s", entity->name, from, to, role, (int)got,
                 rule == NULL ? "" : rule);
    }
}

static struct record record_of(int kind)
{
    struct record record;
    memset(&record, 0, sizeof record);
    record.entity = dk_entity(kind);
    return record;
}

static void test_machines__steps_by_role(void **state)
{
    (void)state;
    struct record order = record_of(ENTITY_SALES_ORDER), quote = record_of(ENTITY_QUOTE);
    struct record deal = record_of(ENTITY_OPPORTUNITY);
    expect_step(&order, "draft", "submitted", "rep", MACHINE_STEP_UP, "");
    expect_step(&order, "draft", "submitted", "manager", MACHINE_STEP_UP, "");
    expect_step(&order, "draft", "submitted", "back_office", MACHINE_REFUSED, "role");
    expect_step(&order, "submitted", "confirmed", "rep", MACHINE_REFUSED, "role");
    expect_step(&order, "submitted", "confirmed", "back_office", MACHINE_STEP_UP, "");
    expect_step(&order, "submitted", "cancelled", "rep", MACHINE_STEP_UP, "");
    expect_step(&order, "confirmed", "cancelled", "rep", MACHINE_REFUSED, "role");
    expect_step(&order, "confirmed", "cancelled", "manager", MACHINE_STEP_UP, "");
    expect_step(&order, "cancelled", "confirmed", "system", MACHINE_REFUSED, "step");
    expect_step(&order, "cancelled", "shipped", "system", MACHINE_REFUSED, "step");
    expect_step(&order, "draft", "closed", "system", MACHINE_STEP_UP, "");
    expect_step(&order, "draft", "draft", "rep", MACHINE_STAYS, "");
    expect_step(&quote, "draft", "accepted", "rep", MACHINE_STEP_UP, "");
    expect_step(&quote, "draft", "approved", "rep", MACHINE_REFUSED, "role");
    expect_step(&quote, "draft", "approved", "manager", MACHINE_STEP_UP, "");
    expect_step(&quote, "rejected", "sent", "manager", MACHINE_REFUSED, "step");
    expect_step(&quote, "sent", "draft", "system", MACHINE_REFUSED, "step");
    expect_step(&deal, "suspended", "tracking", "rep", MACHINE_STEP_DOWN, "");
    expect_step(&deal, "won", "tracking", "rep", MACHINE_REFUSED, "role");
    expect_step(&deal, "won", "tracking", "manager", MACHINE_STEP_DOWN, "");
    expect_step(&deal, "won", "lost", "manager", MACHINE_REFUSED, "step");
    expect_step(&deal, "lost", "won", "manager", MACHINE_REFUSED, "step");
}

static void put_int(struct record *record, int field, int64_t integer)
{
    record->values[field] = (struct value){.kind = VALUE_INT, .integer = integer};
}

static void test_machines__cancelled_visit_needs_a_check_in_of_its_day(void **state)
{
    (void)state;
    struct record visit = record_of(ENTITY_VISIT);
    expect_step(&visit, "planned", "completed", "rep", MACHINE_STEP_UP, "");
    expect_step(&visit, "cancelled", "in_progress", "rep", MACHINE_REFUSED, "check_in");
    put_int(&visit, VISIT_CHECKIN_TS, INT64_C(1795226400000)); /* 2026-11-21 02:00 UTC */
    expect_step(&visit, "cancelled", "in_progress", "rep", MACHINE_STEP_UP, "");
    put_int(&visit, VISIT_PLAN_DAY, 20261120);
    put_int(&visit, VISIT_CHECKIN_TZ, 480);
    expect_step(&visit, "missed", "in_progress", "rep", MACHINE_REFUSED, "check_in");
    put_int(&visit, VISIT_PLAN_DAY, 20261121);
    expect_step(&visit, "missed", "completed", "rep", MACHINE_STEP_UP, "");
    put_int(&visit, VISIT_CHECKIN_TZ, -180); /* 23:00 of the day before */
    expect_step(&visit, "missed", "completed", "rep", MACHINE_REFUSED, "check_in");
    expect_step(&visit, "missed", "in_progress", "rep", MACHINE_REFUSED, "check_in");
}

static void test_machines__van_sale_ships_at_once(void **state)
{
    (void)state;
    struct record order = record_of(ENTITY_SALES_ORDER);
    expect_step(&order, "submitted", "shipped", "rep", MACHINE_REFUSED, "van_sale");
    put_int(&order, SALES_ORDER_VAN_SALE, 1);
    expect_step(&order, "draft", "delivered", "rep", MACHINE_STEP_UP, "");
}

static void test_machines__request_is_for_who_may_not_any_more(void **state)
{
    (void)state;
    const struct entity *order = dk_entity(ENTITY_SALES_ORDER);
    int confirmed = rank_of(order, "confirmed"), cancelled = rank_of(order, "cancelled");
    assert_true(dk_machine_asks(order, confirmed, cancelled, dk_machine_roles("rep")));
    assert_false(dk_machine_asks(order, confirmed, cancelled, dk_machine_roles("manager")));
    assert_false(dk_machine_asks(order, rank_of(order, "submitted"), cancelled, MACHINE_R));
}

static void test_machines__content_stands_in_some_states(void **state)
{
    (void)state;
    const struct entity *quote = dk_entity(ENTITY_QUOTE), *order = dk_entity(ENTITY_SALES_ORDER);
    assert_int_equal(dk_machine_freeze(quote, rank_of(quote, "draft"), MACHINE_R), FREEZE_NOT);
    assert_int_equal(dk_machine_freeze(quote, rank_of(quote, "sent"), MACHINE_R), FREEZE_FORKS);
    assert_int_equal(dk_machine_freeze(order, rank_of(order, "confirmed"), MACHINE_R),
                     FREEZE_LOSES);
    assert_int_equal(dk_machine_freeze(order, rank_of(order, "confirmed"), MACHINE_B), FREEZE_NOT);
    assert_int_equal(dk_machine_freeze(order, rank_of(order, "cancelled"), MACHINE_B),
                     FREEZE_TAKES);
    assert_int_equal(dk_machine_freeze(dk_entity(ENTITY_CUSTOMER), -1, MACHINE_R), FREEZE_NOT);
    assert_true(dk_machine_is_content(&quote->fields[QUOTE_NOTE]));
    assert_false(dk_machine_is_content(&quote->fields[QUOTE_STATUS]));
    assert_false(dk_machine_is_content(&order->fields[SALES_ORDER_CANCEL_REQ]));
}

/* ---- PROTOCOL.md's table */

static char *read_protocol(void)
{
    static char text[400000];
    FILE *file = fopen(DAYBOOK_SOURCE_DIR "/engine/protocol/PROTOCOL.md", "rb");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    return text;
}

/* "R, M", or none. */
static const char *role_text(unsigned roles, char out[40])
{
    static const char letters[] = "RMBY";
    out[0] = '\0';
    for (int i = 0; i < 4; i++) {
        if ((roles >> i & 1) != 0) {
            size_t length = strlen(out);
            (void)snprintf(out + length, 40 - length, "%s%c", length == 0 ? "" : ", ", letters[i]);
        }
    }
    return out;
}

/* A row of the document for each row of the table, in its order, and nothing between. */
static void test_machines__protocol_lists_them(void **state)
{
    static const char *const needs[] = {
        [MACHINE_NEED_NONE] = "",
        [MACHINE_NEED_REASON] = "a `lost_reason`",
        [MACHINE_NEED_CHECK_IN] = "a check-in on `plan_day`",
        [MACHINE_NEED_VAN] = "`van_sale`",
        [MACHINE_NEED_EVIDENCE] = "evidence",
        [MACHINE_NEED_IN_TIME] = "in time",
        [MACHINE_NEED_NO_HOLD] = "no hold stands",
        [MACHINE_NEED_NO_ORDER] = "no order stands",
    };
    static const char *const ways[] = {"", "down", "ask"};
    char wanted[20000] = "";
    char roles[40], offline[40];
    (void)state;
    for (const struct machine_step *step = dk_machine_steps(); step->from >= 0; step++) {
        size_t length = strlen(wanted);
        (void)snprintf(wanted + length, sizeof wanted - length,
                       "| `%s` | `%s` | `%s` | %s | %s | %s | %s |\n",
                       dk_entity(step->entity)->name, name_of(step, step->from),
                       name_of(step, step->to), role_text(step->roles, roles),
                       role_text(step->offline, offline), ways[step->direction], needs[step->need]);
    }
    if (strstr(read_protocol(), wanted) == NULL) {
        (void)fputs(wanted, stderr);
        fail_msg("PROTOCOL.md does not have this table");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_machines__table_is_that_of_the_domain),
        cmocka_unit_test(test_machines__states_are_in_the_order_of_their_ranks),
        cmocka_unit_test(test_machines__every_row_fits_its_entity),
        cmocka_unit_test(test_machines__steps_by_role),
        cmocka_unit_test(test_machines__cancelled_visit_needs_a_check_in_of_its_day),
        cmocka_unit_test(test_machines__van_sale_ships_at_once),
        cmocka_unit_test(test_machines__request_is_for_who_may_not_any_more),
        cmocka_unit_test(test_machines__content_stands_in_some_states),
        cmocka_unit_test(test_machines__protocol_lists_them),
    };
    return cmocka_run_group_tests_name("machines", tests, NULL, NULL);
}
