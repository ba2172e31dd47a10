/* SPDX-License-Identifier: Apache-2.0
 *
 * Every policy against every kind of concurrent change, from a table: two people do something to
 * one record without knowing of each other; `earlier` by clock and `later`. Real engines, the real
 * server, both orders of arrival. The table says what both have in the end and how many entries the
 * conflict log gets; for every case it is checked that all replicas agree and that each value that
 * somebody typed is in the record, the conflict log, a proposal or its author's inbox.
 *
 * The table is tests/support/merge_table.def, which says how to add to it.
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
#define STEPS_MAX 2
#define T "17952264" /* begins the times of check-ins: 13 digits */

/* What a case is about: the record, and for documents its line. */
enum subject { CUSTOMER, DEAL, VISIT, QUOTE, ORDER, SUBJECTS };

static const struct {
    const char *entity, *json; /* %s: the customer */
    const char *line;          /* its line, %s: the document */
    const char *line_entity, *line_field;
} subjects[SUBJECTS] = {
    [CUSTOMER] = {"customer",
                  "{\"name\":\"C\",\"industry\":\"old\",\"address_city\":\"old\","
                  "\"address_street\":\"old\",\"tax_no\":\"1\",\"tags\":[\"a\",\"b\"],"
                  "\"custom\":{\"k\":1}}",
                  NULL, NULL, NULL},
    [DEAL] = {"opportunity",
              "{\"customer_id\":\"%s\",\"subject\":\"s\",\"amount\":10000,\"cur\":\"CNY\"}", NULL,
              NULL, NULL},
    [VISIT] = {"visit",
               "{\"customer_id\":\"%s\",\"checkin_ts\":" T "50000,\"checkin_acc_m\":null,"
               "\"checkout_ts\":" T "70000,\"outcome\":[\"a\",\"b\"]}",
               NULL, NULL, NULL},
    [QUOTE] = {"quote", "{\"customer_id\":\"%s\",\"cur\":\"CNY\",\"note\":\"old\"}",
               "{\"quote_id\":\"%s\",\"product_id\":\"" TEA "\",\"qty\":1000,\"price_e4\":10000}",
               "quote_line", "quote_id"},
    [ORDER] = {"sales_order", "{\"customer_id\":\"%s\",\"cur\":\"CNY\",\"cancel_req\":[\"x\"]}",
               "{\"order_id\":\"%s\",\"product_id\":\"" TEA "\",\"qty\":1000,\"price_e4\":10000}",
               "order_line", "order_id"},
};

enum kind { NOTHING, SET, DELETE, ADD, REMOVE, LINE_NEW, LINE_SET, LINE_DELETE };

/* SET, LINE_SET: JSON of the patch; ADD, REMOVE: an element of the case's field; LINE_NEW: a
 * product.
 */
struct step {
    enum kind kind;
    const char *what;
};

struct merge_case {
    const char *name; /* policy: earlier/later */
    enum subject subject;
    const char *field;
    struct step earlier[STEPS_MAX], later[STEPS_MAX];
    const char *value; /* of the field, in the end; NULL: the record is gone */
    int lost;          /* values in the conflict log about the record and its lines */
    int lines;         /* documents: how many are left */
    int proposals;
    bool by_office;       /* the later one is the back office */
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
#define ROW(name_, subject_, field_, earlier_, later_, value_, lost_, lines_, proposals_, a, b,    \
            office_)                                                                               \
    {.name = (name_),                                                                              \
     .subject = (subject_),                                                                        \
     .field = #field_,                                                                             \
     .earlier = earlier_,                                                                          \
     .later = later_,                                                                              \
     .value = (value_),                                                                            \
     .lost = (lost_),                                                                              \
     .lines = (lines_),                                                                            \
     .proposals = (proposals_),                                                                    \
     .by_office = (office_),                                                                       \
     .typed = {(a), (b)}},
#define CASE(name, subject, field, earlier, later, value, lost, lines, proposals, a, b)            \
    ROW(name, subject, field, PACK(earlier), PACK(later), value, lost, lines, proposals, a, b,     \
        false)
#define BY_OFFICE(name, subject, field, earlier, later, value, lost, lines, proposals, a, b)       \
    ROW(name, subject, field, PACK(earlier), PACK(later), value, lost, lines, proposals, a, b, true)
#define PACK(...) __VA_ARGS__
static const struct merge_case cases[] = {
#include "tests/support/merge_table.def"
};
#define CASES (sizeof cases / sizeof cases[0])

/* The record of a case, and its first line. */
struct made {
    char id[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
};

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

/* ---- doing */

static void make(const struct merge_case *given, struct made *made)
{
    char shop[DAYBOOK_ID_SIZE] = "", json[600];
    if (given->subject != CUSTOMER) {
        rep_put(wang, "customer", "{\"name\":\"shop\"}", shop);
    }
    (void)snprintf(json, sizeof json, subjects[given->subject].json, shop);
    rep_put(wang, subjects[given->subject].entity, json, made->id);
    if (subjects[given->subject].line != NULL) {
        (void)snprintf(json, sizeof json, subjects[given->subject].line, made->id);
        rep_put(wang, subjects[given->subject].line_entity, json, made->line);
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
    const char *entity = subjects[given->subject].entity;
    const char *line_entity = subjects[given->subject].line_entity;
    switch (step->kind) {
    case NOTHING: break;
    case SET: rep_patch(rep, entity, made->id, step->what); break;
    case DELETE: rep_delete(rep, entity, made->id); break;
    case ADD:
    case REMOVE: change_set(rep, given, made, step); break;
    case LINE_NEW:
        rep_putf(rep, line_entity, NULL,
                 "{\"%s\":\"%s\",\"product_id\":\"%s\",\"qty\":2000,\"price_e4\":10000}",
                 subjects[given->subject].line_field, made->id, step->what);
        break;
    case LINE_SET: rep_patch(rep, line_entity, made->line, step->what); break;
    case LINE_DELETE: rep_delete(rep, line_entity, made->line); break;
    }
}

/* ---- seeing */

/* The number that a query of the server with the ids of record and line as %1$s and %2$s gives. */
static int64_t count(const char *format, const struct made *made)
{
    char sql[600];
    (void)snprintf(sql, sizeof sql, format, made->id,
                   made->line[0] == '\0' ? made->id : made->line);
    return server_int(&company.server, sql);
}

/* True where the typed text is somewhere: in the record or its lines, in the conflict log, in a
 * proposal, in an inbox. */
static bool is_kept(const struct merge_case *given, const struct made *made, const char *text)
{
    static const char *const fields[] = {"industry", "address_city", "address_street", "prefs"};
    char sql[900];
    const char *line_entity = subjects[given->subject].line_entity;
    const char *line_field = subjects[given->subject].line_field;
    (void)snprintf(sql, sizeof sql,
                   "SELECT (SELECT count(*) FROM field_conflict WHERE record_id IN ('%s', '%s') AND"
                   " (instr(lost, '%s') OR instr(kept, '%s'))) +"
                   " (SELECT count(*) FROM proposal WHERE record_id = '%s' AND"
                   " instr(proposed_value, '%s'))",
                   made->id, made->line, text, text, made->id, text);
    bool kept =
        server_int(&company.server, sql) > 0 ||
        strstr(company_field(&company, subjects[given->subject].entity, made->id, given->field),
               text) != NULL;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0] && given->subject == CUSTOMER; i++) {
        kept = kept || strstr(company_field(&company, "customer", made->id, fields[i]), text);
    }
    if (given->subject == DEAL) {
        kept = kept || strstr(company_field(&company, "opportunity", made->id, "amount"), text) ||
               strstr(company_field(&company, "opportunity", made->id, "lost_reason"), text);
    }
    if (given->subject == VISIT) {
        kept = kept || strstr(company_field(&company, "visit", made->id, "checkin_ts"), text);
    }
    if (line_entity != NULL) {
        (void)snprintf(sql, sizeof sql,
                       "SELECT count(*) FROM %s WHERE %s = '%s' AND"
                       " '%s' IN (product_id, CAST(qty AS TEXT), CAST(price_e4 AS TEXT))",
                       line_entity, line_field, made->id, text);
        kept = kept || server_int(&company.server, sql) > 0;
    }
    return kept;
}

/* Compares what became of a case with its row; returns the number of faults, each told. */
static int judge(const struct merge_case *given, const struct made *made, const char *order)
{
    const char *entity = subjects[given->subject].entity;
    char sql[300];
    int faults = 0;
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM %s WHERE id = '%%s'", entity);
    int64_t there = count(sql, made);
    int64_t conflicts = count("SELECT count(DISTINCT field_name || coalesce(lost, '') || lost_dev)"
                              " FROM field_conflict WHERE record_id IN ('%1$s', '%2$s')",
                              made);
    int64_t proposals = count("SELECT count(*) FROM proposal WHERE record_id = '%s'", made);
    const char *value = there > 0 ? company_field(&company, entity, made->id, given->field) : "";
    if (there != (given->value != GONE) || (there > 0 && strcmp(value, given->value) != 0)) {
        print_error("%s, %s: %s is '%s', expected '%s'\n", given->name, order, given->field,
                    there > 0 ? value : "gone", given->value == GONE ? "gone" : given->value);
        faults++;
    }
    if (conflicts != given->lost || proposals != given->proposals) {
        print_error("%s, %s: %lld conflicts and %lld proposals, expected %d and %d\n", given->name,
                    order, (long long)conflicts, (long long)proposals, given->lost,
                    given->proposals);
        faults++;
    }
    if (subjects[given->subject].line_entity != NULL) {
        (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM %s WHERE %s = '%%s'",
                       subjects[given->subject].line_entity, subjects[given->subject].line_field);
        int64_t lines = count(sql, made);
        if (lines != given->lines) {
            print_error("%s, %s: %lld lines, expected %d\n", given->name, order, (long long)lines,
                        given->lines);
            faults++;
        }
    }
    for (int i = 0; i < 2 && given->typed[i] != NULL; i++) {
        if (!is_kept(given, made, given->typed[i])) {
            print_error("%s, %s: '%s' is nowhere\n", given->name, order, given->typed[i]);
            faults++;
        }
    }
    return faults;
}

/* All cases at once, each with a record of its own; then everybody sends, in this order. */
static void run(struct rep *const arrivals[3], const char *order)
{
    static struct made made[CASES];
    int faults = 0;
    for (size_t i = 0; i < CASES; i++) {
        memset(&made[i], 0, sizeof made[i]);
        make(&cases[i], &made[i]);
    }
    company_settle(&company);
    for (size_t i = 0; i < CASES; i++) {
        for (int step = 0; step < STEPS_MAX; step++) {
            do_step(wang, &cases[i], &made[i], &cases[i].earlier[step]);
        }
    }
    tap_set_ahead(&li->tap, LATER_MS);
    tap_set_ahead(&office->tap, LATER_MS);
    for (size_t i = 0; i < CASES; i++) {
        for (int step = 0; step < STEPS_MAX; step++) {
            do_step(cases[i].by_office ? office : li, &cases[i], &made[i], &cases[i].later[step]);
        }
    }
    tap_set_ahead(&li->tap, 0);
    tap_set_ahead(&office->tap, 0);
    for (int i = 0; i < 3; i++) {
        rep_sync(arrivals[i]);
    }
    company_settle(&company);
    for (size_t i = 0; i < CASES; i++) {
        faults += judge(&cases[i], &made[i], order);
    }
    assert_int_equal(faults, 0);
    print_message("%d cases, %s\n", (int)CASES, order);
}

static void test_merge_table__the_earlier_arrives_first(void **state)
{
    (void)state;
    struct rep *const arrivals[3] = {wang, li, office};
    run(arrivals, "the earlier first");
}

static void test_merge_table__the_later_arrives_first(void **state)
{
    (void)state;
    struct rep *const arrivals[3] = {office, li, wang};
    run(arrivals, "the later first");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge_table__the_earlier_arrives_first),
        cmocka_unit_test(test_merge_table__the_later_arrives_first),
    };
    return cmocka_run_group_tests_name("merge_table", tests, set_up, tear_down);
}
