/* SPDX-License-Identifier: Apache-2.0
 *
 * Every policy against every kind of concurrent change, and every step that makes a document stand,
 * cancels or opens it again against every kind, from tables: two people do something to one record
 * without knowing of each other; `earlier` by clock and `later`. Real engines, the real server,
 * both orders of arrival. The tables say what both have in the end and how many entries the
 * conflict log gets; for every case it is checked that all replicas agree and that each value that
 * somebody typed is in the record, its next revision, the conflict log or a proposal.
 *
 * The tables are tests/support/merge_table.def and step_table.def, which say how to add to them.
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

#define LATER_MS 3000
#define STEPS_MAX 2
#define T "17952264" /* begins the times of check-ins: 13 digits */
#define STATUS(name) "{\"status\":\"" name "\"}"

/* Wang and Li are reps, Boss and Chief managers, Office and Clerk the back office. */
enum person { WANG, LI, BOSS, CHIEF, OFFICE, CLERK, PEOPLE };

/* What a case is about: a record as it is made, for documents with a line; from SUSPENDED on, one
 * whose state has moved on since. */
enum subject {
    CUSTOMER,
    DEAL,
    VISIT,
    QUOTE,
    ORDER,
    PLANNED,
    SUSPENDED,
    LOST,
    DONE,
    REFUSED,
    ASKED,
    SENT,
    SUBMITTED,
    CONFIRMED,
    OFFER,
    SUBJECTS
};

/* A child row; %s %s %d: the document, a product, a quantity. */
#define LINE(parent) "{\"" parent "\":\"%s\",\"product_id\":\"%s\",\"qty\":%d,\"price_e4\":10000}"

struct subject_row {
    const char *entity, *json; /* %s: the customer */
    const char *line, *line_entity, *line_field;
    const char *texts;  /* SQL: where else in the record typed texts may be */
    const char *shown;  /* SQL: what steps are judged by: the state, and the content */
    const char *begin;  /* moves the state; NULL: nothing does */
    enum person begins; /* who moves it */
};

#define DEAL_ROW                                                                                   \
    .entity = "opportunity",                                                                       \
    .json = "{\"customer_id\":\"%s\",\"subject\":\"s\",\"amount\":10000,\"cur\":\"CNY\"}",         \
    .texts = "json_array(amount, lost_reason)", .shown = "status || ' ' || amount"
#define VISIT_ROW                                                                                  \
    .entity = "visit", .texts = "json_array(checkin_ts, feedback)",                                \
    .shown = "status || coalesce(' ' || feedback, '')"
#define ACTION_ROW                                                                                 \
    .line = "{\"visit_id\":\"%s\",\"kind\":\"count\",\"product_id\":\"%s\",\"qty\":%d}",           \
    .line_entity = "visit_action", .line_field = "visit_id"
#define QUOTE_ROW                                                                                  \
    .entity = "quote", .json = "{\"customer_id\":\"%s\",\"cur\":\"CNY\",\"note\":\"old\"}",        \
    .line = LINE("quote_id"), .line_entity = "quote_line", .line_field = "quote_id",               \
    .texts = "note", .shown = "status || ' ' || note || ' ' || total"
#define ORDER_ROW(more)                                                                            \
    .entity = "sales_order",                                                                       \
    .json = "{\"customer_id\":\"%s\",\"cur\":\"CNY\",\"note\":\"old\",\"cancel_req\":[\"x\"]" more \
            "}",                                                                                   \
    .line = LINE("order_id"), .line_entity = "order_line", .line_field = "order_id",               \
    .texts = "note",                                                                               \
    .shown = "status || ' ' || note || ' ' || total || ' ' || json_array_length(cancel_req)"

static const struct subject_row subjects[SUBJECTS] = {
    [CUSTOMER] = {.entity = "customer",
                  .json = "{\"name\":\"C\",\"industry\":\"old\",\"address_city\":\"old\","
                          "\"address_street\":\"old\",\"tax_no\":\"1\",\"tags\":[\"a\",\"b\"],"
                          "\"custom\":{\"k\":1}}",
                  .texts = "json_array(industry, address_city, address_street, prefs)"},
    [DEAL] = {DEAL_ROW},
    [VISIT] = {VISIT_ROW, .json = "{\"customer_id\":\"%s\",\"checkin_ts\":" T
                                  "50000,\"checkin_acc_m\":null,"
                                  "\"checkout_ts\":" T "70000,\"outcome\":[\"a\",\"b\"]}"},
    [QUOTE] = {QUOTE_ROW},
    [ORDER] = {ORDER_ROW("")},
    [PLANNED] = {VISIT_ROW, ACTION_ROW, .json = "{\"customer_id\":\"%s\"}"},
    [SUSPENDED] = {DEAL_ROW, .begin = STATUS("suspended")},
    [LOST] = {DEAL_ROW, .begin = "{\"status\":\"lost\",\"lost_reason\":\"dear\"}"},
    [DONE] = {VISIT_ROW, ACTION_ROW, .json = "{\"customer_id\":\"%s\"}",
              .begin = STATUS("completed")},
    [REFUSED] = {VISIT_ROW, ACTION_ROW, .json = "{\"customer_id\":\"%s\",\"status\":\"completed\"}",
                 .begin = STATUS("rejected"), .begins = BOSS},
    [ASKED] = {QUOTE_ROW, .begin = STATUS("pending_approval")},
    [SENT] = {QUOTE_ROW, .begin = STATUS("sent")},
    [SUBMITTED] = {ORDER_ROW(""), .begin = STATUS("submitted")},
    [CONFIRMED] = {ORDER_ROW(",\"status\":\"submitted\""), .begin = STATUS("confirmed"),
                   .begins = OFFICE},
    /* Li's proposal about a customer; made.line is the customer. */
    [OFFER] = {.entity = "proposal",
               .texts = "proposed_value",
               .shown = "status || ' ' || (SELECT tax_no FROM customer c WHERE c.id = record_id)",
               .begin = "{\"tax_no\":\"2\"}",
               .begins = LI},
};

enum kind { NOTHING, SET, CANNOT, DELETE, ADD, REMOVE, LINE_NEW, LINE_SET, LINE_DELETE };

/* SET, LINE_SET: JSON of the patch; CANNOT: of one that the device refuses; ADD, REMOVE: an element
 * of the case's field; LINE_NEW: a product.
 */
struct step {
    enum kind kind;
    const char *what;
};

struct ends {
    const char *value; /* of the field, in the end; NULL: the record is gone */
    int lost;          /* values in the conflict log about the record and its lines */
    int lines;         /* documents: how many are left */
    int proposals;     /* about the record */
    int revisions;     /* quotes: that the server has made */
    int holds;         /* that stand on the record */
};

struct merge_case {
    const char *name; /* policy: earlier/later */
    enum subject subject;
    const char *field; /* NULL: what the subject's steps are judged by */
    enum person by[2];
    struct step earlier[STEPS_MAX], later[STEPS_MAX];
    struct ends ends[2];  /* where the earlier, where the later arrives first */
    const char *typed[2]; /* must be somewhere; NULL: nothing of this kind */
};

#define GONE NULL
#define NONE NULL
#define STEP_1(kind, what)                                                                         \
    {                                                                                              \
        {kind, what},                                                                              \
        {                                                                                          \
            NOTHING, NULL                                                                          \
        }                                                                                          \
    }
#define SETS(json) STEP_1(SET, json)
#define STEPS(name) STEP_1(SET, STATUS(name))
#define CANNOT_SET(json) STEP_1(CANNOT, json)
#define DELETES STEP_1(DELETE, NULL)
#define ADDS(element) STEP_1(ADD, element)
#define REMOVES(element) STEP_1(REMOVE, element)
#define ADDS_LINE(product) STEP_1(LINE_NEW, product)
#define SETS_LINE(json) STEP_1(LINE_SET, json)
#define DELETES_LINE STEP_1(LINE_DELETE, NULL)
#define BOTH(kind_a, what_a, kind_b, what_b)                                                       \
    {                                                                                              \
        {kind_a, what_a},                                                                          \
        {                                                                                          \
            kind_b, what_b                                                                         \
        }                                                                                          \
    }
#define PACK(...) __VA_ARGS__
#define ENDS(value, lost, lines, proposals, revisions, holds)                                      \
    {                                                                                              \
        value, lost, lines, proposals, revisions, holds                                            \
    }
#define ALWAYS(value, lost, lines, revisions, holds)                                               \
    ENDS(value, lost, lines, 0, revisions, holds), ENDS(value, lost, lines, 0, revisions, holds)
#define EITHER(earlier_first, later_first) ENDS earlier_first, ENDS later_first
#define ROW(name_, subject_, field_, by_a, earlier_, by_b, later_, ends_, a, b)                    \
    {.name = (name_),                                                                              \
     .subject = (subject_),                                                                        \
     .field = field_,                                                                              \
     .by = {(by_a), (by_b)},                                                                       \
     .earlier = earlier_,                                                                          \
     .later = later_,                                                                              \
     .ends = {ends_},                                                                              \
     .typed = {(a), (b)}},
#define BETWEEN(by_a, by_b, name, subject, field, earlier, later, value, lost, lines, proposals,   \
                a, b)                                                                              \
    ROW(name, subject, #field, by_a, PACK(earlier), by_b, PACK(later),                             \
        PACK(ENDS(value, lost, lines, proposals, 0, 0),                                            \
             ENDS(value, lost, lines, proposals, 0, 0)),                                           \
        a, b)
#define CASE(name, subject, field, earlier, later, value, lost, lines, proposals, a, b)            \
    BETWEEN(WANG, LI, name, subject, field, PACK(earlier), PACK(later), value, lost, lines,        \
            proposals, a, b)
#define STEP(name, subject, by_a, earlier, by_b, later, ends, a, b)                                \
    ROW(name, subject, NULL, by_a, PACK(earlier), by_b, PACK(later), PACK(ends), a, b)
static const struct merge_case cases[] = {
#include "tests/support/merge_table.def"
#include "tests/support/step_table.def"
};
#define CASES (sizeof cases / sizeof cases[0])

/* The record of a case, and its first line. */
struct made {
    char id[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
};

static struct company company;
static struct rep *people[PEOPLE];

static int set_up(void **state)
{
    static const struct {
        const char *login, *role, *territory;
    } hired[PEOPLE] = {
        [WANG] = {"wang", "rep", "East"},           [LI] = {"li", "rep", "East"},
        [BOSS] = {"boss", "manager", "East"},       [CHIEF] = {"chief", "manager", "East"},
        [OFFICE] = {"office", "back_office", NULL}, [CLERK] = {"clerk", "back_office", NULL},
    };
    (void)state;
    company_open(&company);
    for (int i = 0; i < PEOPLE; i++) {
        people[i] = company_hire(&company, hired[i].login, hired[i].role, hired[i].territory);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

/* ---- doing */

static void make(const struct merge_case *given, struct made *made)
{
    const struct subject_row *subject = &subjects[given->subject];
    char shop[DAYBOOK_ID_SIZE] = "";
    if (given->subject != CUSTOMER) {
        rep_put(people[WANG], "customer", "{\"name\":\"shop\",\"tax_no\":\"1\"}", shop);
    }
    if (given->subject == OFFER) {
        memcpy(made->line, shop, sizeof shop);
        return;
    }
    char json[600];
    (void)snprintf(json, sizeof json, subject->json, shop);
    rep_put(people[WANG], subject->entity, json, made->id);
    if (subject->line != NULL) {
        rep_putf(people[WANG], subject->line_entity, made->line, subject->line, made->id, TEA,
                 1000);
    }
}

/* Moves the state to where the case begins. */
static void begin(const struct merge_case *given, const struct made *made)
{
    const struct subject_row *subject = &subjects[given->subject];
    bool offer = given->subject == OFFER;
    if (subject->begin != NULL) {
        rep_patch(people[subject->begins], offer ? "customer" : subject->entity,
                  offer ? made->line : made->id, subject->begin);
    }
}

/* Adds one element to the case's field, or takes it away. */
static void change_set(struct rep *rep, const struct merge_case *given, const struct made *made,
                       const struct step *step)
{
    daybook_transaction *transaction = NULL;
    daybook_record *record = NULL;
    const char *entity = subjects[given->subject].entity;
    int64_t version = device_version(&rep->device, entity, made->id);
    device_must(daybook_begin(rep->device.engine, &transaction), NULL);
    device_must(daybook_patch(transaction, entity, made->id, version, &record), NULL);
    device_must(step->kind == ADD ? daybook_set_add(record, given->field, step->what)
                                  : daybook_set_remove(record, given->field, step->what),
                NULL);
    device_must(daybook_commit(transaction, &rep->device.error), &rep->device.error);
    daybook_end(&transaction);
}

static void do_step(struct rep *rep, const struct merge_case *given, const struct made *made,
                    const struct step *step)
{
    const struct subject_row *subject = &subjects[given->subject];
    switch (step->kind) {
    case NOTHING: break;
    case SET: rep_patch(rep, subject->entity, made->id, step->what); break;
    case CANNOT:
        if (rep_try_patch(rep, subject->entity, made->id,
                          device_version(&rep->device, subject->entity, made->id),
                          step->what) == DAYBOOK_OK) {
            fail_msg("%s: the device takes %s", given->name, step->what);
        }
        break;
    case DELETE: rep_delete(rep, subject->entity, made->id); break;
    case ADD:
    case REMOVE: change_set(rep, given, made, step); break;
    case LINE_NEW:
        rep_putf(rep, subject->line_entity, NULL, subject->line, made->id, step->what, 2000);
        break;
    case LINE_SET: rep_patch(rep, subject->line_entity, made->line, step->what); break;
    case LINE_DELETE: rep_delete(rep, subject->line_entity, made->line); break;
    }
}

/* What one of the two does in each case, by clocks that are so far ahead. */
static void do_all(const struct made *made, int which, int64_t ahead_ms)
{
    for (int i = 0; i < PEOPLE; i++) {
        tap_set_ahead(&people[i]->tap, ahead_ms);
    }
    for (size_t i = 0; i < CASES; i++) {
        const struct step *steps = which == 0 ? cases[i].earlier : cases[i].later;
        for (int step = 0; step < STEPS_MAX; step++) {
            do_step(people[cases[i].by[which]], &cases[i], &made[i], &steps[step]);
        }
    }
    for (int i = 0; i < PEOPLE; i++) {
        tap_set_ahead(&people[i]->tap, 0);
    }
}

/* ---- seeing */

/* The number that a query of the server gives. */
__attribute__((format(printf, 1, 2))) static int64_t count(const char *format, ...)
{
    char sql[900];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(sql, sizeof sql, format, list);
    va_end(list);
    assert_in_range(length, 1, (int)sizeof sql - 1);
    return server_int(&company.server, sql);
}

/* True where a document, or a revision of it, has a line with the typed text. */
static bool is_in_lines(const struct subject_row *subject, const char *id, const char *text)
{
    if (subject->line == NULL) {
        return false;
    }
    return count("SELECT count(*) FROM %s WHERE (%s = '%s' OR %s IN (SELECT id FROM quote WHERE"
                 " revision_of = '%s')) AND"
                 " '%s' IN (product_id, CAST(qty AS TEXT), CAST(price_e4 AS TEXT))",
                 subject->line_entity, subject->line_field, id, subject->line_field, id, text) > 0;
}

/* SQL for what a case is judged by; of what only grows, without the authors in front. */
static const char *shown_of(const struct merge_case *given)
{
    static const char texts[] = "(SELECT json_group_array(text) FROM (SELECT substr(value, 38) AS"
                                " text FROM json_each(cancel_req) ORDER BY text))";
    if (given->field == NULL) {
        return subjects[given->subject].shown;
    }
    return strcmp(given->field, "cancel_req") == 0 ? texts : given->field;
}

/* True where the typed text is somewhere: in the record, its lines or its next revision, in the
 * conflict log, in a proposal. */
static bool is_kept(const struct merge_case *given, const struct made *made, const char *text)
{
    const struct subject_row *subject = &subjects[given->subject];
    return count("SELECT count(*) FROM field_conflict WHERE record_id IN ('%s', '%s') AND"
                 " (instr(lost, '%s') OR instr(kept, '%s'))",
                 made->id, made->line, text, text) +
                   count("SELECT count(*) FROM proposal WHERE record_id = '%s' AND"
                         " instr(proposed_value, '%s')",
                         made->id, text) +
                   count("SELECT count(*) FROM %s WHERE id = '%s' AND"
                         " instr(json_array(%s, %s), '%s')",
                         subject->entity, made->id, subject->texts, shown_of(given), text) +
                   count("SELECT count(*) FROM quote WHERE revision_of = '%s' AND"
                         " instr(note, '%s')",
                         made->id, text) >
               0 ||
           is_in_lines(subject, made->id, text);
}

/* How a case has ended; the text is the caller's. */
static struct ends ends_of(const struct merge_case *given, const struct made *made)
{
    const struct subject_row *subject = &subjects[given->subject];
    struct ends ends = {.value = NULL};
    if (count("SELECT count(*) FROM %s WHERE id = '%s'", subject->entity, made->id) > 0) {
        ends.value = strdup(company_field(&company, subject->entity, made->id, shown_of(given)));
        assert_non_null(ends.value);
    }
    if (subject->line != NULL) {
        ends.lines = (int)count("SELECT count(*) FROM %s WHERE %s = '%s'", subject->line_entity,
                                subject->line_field, made->id);
        ends.lost = (int)count("SELECT count(*) FROM field_conflict WHERE record_id IN"
                               " (SELECT id FROM %s WHERE %s = '%s' AND id <> '%s')",
                               subject->line_entity, subject->line_field, made->id, made->line);
    }
    ends.lost += (int)count("SELECT count(DISTINCT field_name || coalesce(lost, '') || lost_dev)"
                            " FROM field_conflict WHERE record_id IN ('%s', '%s')",
                            made->id, made->line);
    ends.proposals = (int)count("SELECT count(*) FROM proposal WHERE record_id = '%s'", made->id);
    ends.revisions = (int)count("SELECT count(*) FROM quote WHERE revision_of = '%s'", made->id);
    ends.holds = (int)count("SELECT count(*) FROM hold WHERE record_id = '%s' AND cleared IS NOT 1",
                            made->id);
    return ends;
}

static void tell(const char *what, const struct ends *ends)
{
    print_error("    %s: '%s', %d lost, %d lines, %d proposals, %d revisions, %d holds\n", what,
                ends->value == GONE ? "gone" : ends->value, ends->lost, ends->lines,
                ends->proposals, ends->revisions, ends->holds);
}

/* Compares what became of a case with its row; returns the number of faults, each told. */
static int judge(const struct merge_case *given, const struct made *made, int first)
{
    int faults = 0;
    const struct ends *expected = &given->ends[first];
    struct ends ends = ends_of(given, made);
    bool alike = ends.value == GONE || expected->value == GONE
                     ? ends.value == expected->value
                     : strcmp(ends.value, expected->value) == 0;
    if (!alike || ends.lost != expected->lost || ends.lines != expected->lines ||
        ends.proposals != expected->proposals || ends.revisions != expected->revisions ||
        ends.holds != expected->holds) {
        print_error("%s, the %s arrives first\n", given->name, first == 0 ? "earlier" : "later");
        tell("is", &ends);
        tell("expected", expected);
        faults++;
    }
    for (int i = 0; i < 2 && given->typed[i] != NULL; i++) {
        if (!is_kept(given, made, given->typed[i])) {
            print_error("%s, the %s arrives first: '%s' is nowhere\n", given->name,
                        first == 0 ? "earlier" : "later", given->typed[i]);
            faults++;
        }
    }
    free((char *)ends.value);
    return faults;
}

/* Which of a case's two comes first in an order of arrival. */
static int first_of(const struct merge_case *given, const enum person arrivals[PEOPLE])
{
    for (int i = 0; i < PEOPLE; i++) {
        if (arrivals[i] == given->by[0] || arrivals[i] == given->by[1]) {
            return arrivals[i] == given->by[0] ? 0 : 1;
        }
    }
    return 0;
}

/* All cases at once, each with a record of its own; then everybody sends, in this order. */
static void run(const enum person arrivals[PEOPLE])
{
    static struct made made[CASES];
    int faults = 0;
    memset(made, 0, sizeof made);
    for (size_t i = 0; i < CASES; i++) {
        make(&cases[i], &made[i]);
    }
    company_settle(&company);
    for (size_t i = 0; i < CASES; i++) {
        begin(&cases[i], &made[i]);
    }
    company_settle(&company);
    for (size_t i = 0; i < CASES; i++) {
        if (cases[i].subject == OFFER) {
            (void)snprintf(made[i].id, sizeof made[i].id, "%s",
                           device_text_of(&people[LI]->device,
                                          "SELECT id FROM proposal WHERE record_id = ?1",
                                          made[i].line));
        }
    }
    do_all(made, 0, 0);
    do_all(made, 1, LATER_MS);
    for (int i = 0; i < PEOPLE; i++) {
        rep_sync(people[arrivals[i]]);
    }
    company_settle(&company);
    for (size_t i = 0; i < CASES; i++) {
        faults += judge(&cases[i], &made[i], first_of(&cases[i], arrivals));
    }
    assert_int_equal(faults, 0);
    print_message("%d cases\n", (int)CASES);
}

static void test_merge_table__one_order_of_arrival(void **state)
{
    static const enum person arrivals[PEOPLE] = {WANG, BOSS, OFFICE, LI, CHIEF, CLERK};
    (void)state;
    run(arrivals);
}

static void test_merge_table__the_other_order_of_arrival(void **state)
{
    static const enum person arrivals[PEOPLE] = {CLERK, CHIEF, LI, OFFICE, BOSS, WANG};
    (void)state;
    run(arrivals);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge_table__one_order_of_arrival),
        cmocka_unit_test(test_merge_table__the_other_order_of_arrival),
    };
    return cmocka_run_group_tests_name("merge_table", tests, set_up, tear_down);
}
