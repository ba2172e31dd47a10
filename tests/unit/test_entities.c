/* SPDX-License-Identifier: Apache-2.0
 *
 * The entity table: it is consistent with itself, look-ups find every name from every hint, and no
 * name needs quoting in the SQL of either store.
 */
#include "engine/protocol/entities.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sqlite3.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Reserved words of PostgreSQL 15 (its manual's appendix C: "reserved", with and without
 * exceptions), which an identifier may not be without quotes. */
static const char *const postgres_reserved[] = {
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
};

/* A plain identifier: small letters, digits and underscores, a letter first, at most 40 bytes; no
 * keyword. */
static void assert_plain(const char *name)
{
    size_t length = strlen(name);
    assert_in_range(length, 1, 40);
    assert_in_range(name[0], 'a', 'z');
    assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_"), length);
    if (sqlite3_keyword_check(name, (int)length) != 0) {
        fail_msg("%s is a keyword of SQLite", name);
    }
    for (size_t i = 0; i < COUNT(postgres_reserved); i++) {
        if (strcmp(name, postgres_reserved[i]) == 0) {
            fail_msg("%s is a reserved word of PostgreSQL", name);
        }
    }
}

static void test_entities__no_name_is_a_keyword(void **state)
{
    (void)state;
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        const struct entity *entity = dk_entity(kind);
        assert_plain(entity->name);
        for (int field = 0; field < entity->field_count; field++) {
            assert_plain(entity->fields[field].name);
        }
    }
    /* given a name that is one, the check fails: it is no decoration */
    assert_int_not_equal(sqlite3_keyword_check("order", 5), 0);
}

static void test_entities__lookups_find_every_name_from_every_hint(void **state)
{
    (void)state;
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        const struct entity *entity = dk_entity(kind);
        assert_int_equal(entity->kind, kind);
        assert_ptr_equal(dk_entity_by_name(entity->name, strlen(entity->name)), entity);
        for (int field = 0; field < entity->field_count; field++) {
            const char *name = entity->fields[field].name;
            for (int hint = -3; hint < entity->field_count + 3; hint++) {
                assert_int_equal(dk_entity_field(entity, name, strlen(name), hint), field);
            }
            assert_int_equal(dk_entity_field(entity, name, strlen(name), INT32_MAX), field);
            assert_int_equal(dk_entity_field(entity, name, strlen(name), INT32_MIN), field);
        }
    }
}

static void test_entities__near_misses_are_not_found(void **state)
{
    (void)state;
    const struct entity *visit = dk_entity(ENTITY_VISIT);
    assert_null(dk_entity_by_name("visi", 4));
    assert_null(dk_entity_by_name("visits", 6));
    assert_null(dk_entity_by_name("Visit", 5));
    assert_null(dk_entity_by_name("", 0));
    assert_null(dk_entity_by_name("visit\0", 6));
    assert_int_equal(dk_entity_field(visit, "statu", 5, VISIT_STATUS), -1);
    assert_int_equal(dk_entity_field(visit, "statuses", 8, VISIT_STATUS), -1);
    assert_int_equal(dk_entity_field(visit, "status\0x", 8, VISIT_STATUS), -1);
    assert_int_equal(dk_entity_field(visit, "", 0, 0), -1);
    /* a name that is longer than what it is borrowed from says nothing about what lies behind */
    assert_int_equal(dk_entity_field(visit, "statusX", 6, 0), VISIT_STATUS);
}

static void test_entities__every_entity_begins_with_the_common_fields(void **state)
{
    (void)state;
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        const struct entity *entity = dk_entity(kind);
        assert_string_equal(entity->fields[FIELD_CREATED_TS].name, "created_ts");
        assert_string_equal(entity->fields[FIELD_CREATED_BY].name, "created_by");
        assert_string_equal(entity->fields[FIELD_CREATED_DEV].name, "created_dev");
        assert_string_equal(entity->fields[FIELD_CUSTOM].name, "custom");
        assert_int_equal(entity->fields[FIELD_CUSTOM].type, FIELD_MAP);
        assert_int_equal(entity->fields[FIELD_CREATED_BY].target, ENTITY_USER);
        assert_in_range(entity->field_count, FIELD_COMMON_COUNT + 1, LIMIT_FIELDS);
    }
}

/* What must hold for one field. */
static void assert_field(const struct entity *entity, int number)
{
    const struct field *field = &entity->fields[number];
    assert_in_range(field->since, 1, SCHEMA_VERSION);
    assert_int_equal(field->type == FIELD_CHOICE, field->choices != NULL);
    assert_true(field->type == FIELD_ID || field->target == -1);
    bool any = entity->root_field == number && dk_entity_field(entity, "entity_name", 11, 0) >= 0;
    assert_true(field->type != FIELD_ID || any ||
                (field->target >= 0 && field->target < ENTITY_COUNT));
    assert_true(field->type != FIELD_TEXT || field->limit > 0);
    assert_true(field->policy != POLICY_SET || field->type == FIELD_SET);
    assert_true(field->policy != POLICY_GROW || field->type == FIELD_SET);
    assert_true(field->policy != POLICY_STATE || field->type == FIELD_CHOICE);
    if ((field->policy == POLICY_MIN || field->policy == POLICY_MAX) && field->group == 0) {
        assert_int_not_equal(field->type, FIELD_TEXT);
    }
    if (entity->writer == WRITER_SERVER && number >= FIELD_COMMON_COUNT) {
        assert_int_equal(field->policy, POLICY_SERVER);
    }
    for (int other = 0; other < number; other++) {
        assert_string_not_equal(field->name, entity->fields[other].name);
        if (field->group > 0 && entity->fields[other].group == field->group) {
            const enum merge_policy policy = entity->fields[other].policy;
            bool extreme = policy == POLICY_MIN || policy == POLICY_MAX;
            bool doubt = extreme && field->policy == POLICY_SERVER && field->type == FIELD_BOOL;
            assert_true(doubt || field->policy == policy);
        }
    }
}

static void test_entities__the_table_agrees_with_itself(void **state)
{
    (void)state;
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        const struct entity *entity = dk_entity(kind);
        for (int other = 0; other < kind; other++) {
            assert_string_not_equal(entity->name, dk_entity(other)->name);
        }
        for (int field = 0; field < entity->field_count; field++) {
            assert_field(entity, field);
        }
        assert_int_equal(entity->root == ROOT_RECORD || entity->root == ROOT_USER,
                         entity->root_field >= 0);
        if (entity->root_field >= 0) {
            assert_int_equal(entity->fields[entity->root_field].type, FIELD_ID);
        }
        if (entity->parent_field >= 0) {
            const struct field *parent = &entity->fields[entity->parent_field];
            assert_int_equal(parent->type, FIELD_ID);
            assert_int_equal(parent->policy, POLICY_IMMUTABLE);
            assert_int_not_equal(parent->flags & FIELD_REQUIRED, 0);
        }
    }
}

static void test_entities__a_bucket_is_found_from_every_record(void **state)
{
    (void)state;
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        const struct entity *entity = dk_entity(kind);
        int steps = 0;
        while (entity->root == ROOT_RECORD && entity->fields[entity->root_field].target >= 0) {
            entity = dk_entity(entity->fields[entity->root_field].target);
            assert_true(++steps < 8); /* no circle */
        }
        if (entity->root == ROOT_TERRITORY) {
            assert_true(dk_entity_field(entity, "territory_id", 12, 0) > 0);
        }
    }
}

static void test_entities__children_are_found_by_their_parents(void **state)
{
    (void)state;
    assert_ptr_equal(dk_entity_child(ENTITY_QUOTE, 0), dk_entity(ENTITY_QUOTE_LINE));
    assert_null(dk_entity_child(ENTITY_QUOTE, 1));
    assert_ptr_equal(dk_entity_child(ENTITY_SALES_ORDER, 0), dk_entity(ENTITY_ORDER_LINE));
    assert_ptr_equal(dk_entity_child(ENTITY_VISIT, 0), dk_entity(ENTITY_VISIT_ACTION));
    /* a contact names its customer but is no line of it */
    assert_null(dk_entity_child(ENTITY_CUSTOMER, 0));
}

static void test_entities__groups_and_what_is_sent(void **state)
{
    (void)state;
    const struct entity *line = dk_entity(ENTITY_QUOTE_LINE);
    uint64_t price = (uint64_t)1 << QUOTE_LINE_PRICE_E4 | (uint64_t)1 << QUOTE_LINE_DISC_BP |
                     (uint64_t)1 << QUOTE_LINE_LIST_VER | (uint64_t)1 << QUOTE_LINE_PROMO_ID;
    assert_true(dk_field_group_mask(line, QUOTE_LINE_PRICE_E4) == price);
    assert_true(dk_field_group_mask(line, QUOTE_LINE_PROMO_ID) == price);
    assert_true(dk_field_group_mask(line, QUOTE_LINE_SORT_KEY) == (uint64_t)1
                                                                      << QUOTE_LINE_SORT_KEY);
    assert_true(dk_field_is_sent(&line->fields[QUOTE_LINE_QTY]));
    assert_false(dk_field_is_sent(&line->fields[QUOTE_LINE_TAX_BP]));
    assert_false(dk_field_is_sent(&line->fields[QUOTE_LINE_AMOUNT]));
    assert_false(dk_field_is_sent(&line->fields[FIELD_CREATED_TS]));
    assert_true(dk_field_is_sent(&line->fields[FIELD_CUSTOM]));
}

static void test_entities__states_stand_in_the_order_of_their_ranks(void **state)
{
    (void)state;
    const struct field *visit = &dk_entity(ENTITY_VISIT)->fields[VISIT_STATUS];
    const struct field *order = &dk_entity(ENTITY_SALES_ORDER)->fields[SALES_ORDER_STATUS];
    const struct field *quote = &dk_entity(ENTITY_QUOTE)->fields[QUOTE_STATUS];
    const struct field *opportunity = &dk_entity(ENTITY_OPPORTUNITY)->fields[OPPORTUNITY_STATUS];
    assert_string_equal(visit->choices[0], "planned");
    assert_string_equal(visit->choices[5], "completed");
    assert_string_equal(visit->choices[7], "verified");
    assert_null(visit->choices[8]);
    assert_string_equal(order->choices[3], "confirmed");
    assert_string_equal(order->choices[5], "cancelled");
    assert_string_equal(order->choices[10], "closed");
    assert_null(order->choices[11]);
    assert_string_equal(quote->choices[5], "sent");
    assert_string_equal(quote->choices[10], "converted");
    assert_null(quote->choices[11]);
    assert_string_equal(opportunity->choices[0], "tracking");
    assert_string_equal(opportunity->choices[4], "won");
    assert_null(opportunity->choices[5]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entities__no_name_is_a_keyword),
        cmocka_unit_test(test_entities__lookups_find_every_name_from_every_hint),
        cmocka_unit_test(test_entities__near_misses_are_not_found),
        cmocka_unit_test(test_entities__every_entity_begins_with_the_common_fields),
        cmocka_unit_test(test_entities__the_table_agrees_with_itself),
        cmocka_unit_test(test_entities__a_bucket_is_found_from_every_record),
        cmocka_unit_test(test_entities__children_are_found_by_their_parents),
        cmocka_unit_test(test_entities__groups_and_what_is_sent),
        cmocka_unit_test(test_entities__states_stand_in_the_order_of_their_ranks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
