/* SPDX-License-Identifier: Apache-2.0
 *
 * What the rules fill, check and derive: authors and first states, refusals that name field and
 * rule, totals that equal their parts, names that compare.
 */
#include "engine/protocol/limits.h"
#include "tests/unit/sales_world.h"

/* ---- fill */

static void fill(struct sales_world *world, struct record *record, bool created)
{
    assert_int_equal(dk_sales_fill(&world->actor, &world->reader, created, record, &world->arena),
                     DAYBOOK_OK);
}

static void test_sales__a_new_record_has_its_author(void **state)
{
    (void)state;
    struct sales_world world;
    world_open(&world);
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        struct record record = new_record(kind, 9);
        fill(&world, &record, true);
        assert_number(&record, FIELD_CREATED_TS, INT64_C(1730968140000));
        assert_int_equal(record.values[FIELD_CREATED_BY].id.bytes[15], 2);
        assert_number(&record, FIELD_CREATED_DEV, 43);
        /* a change of it later fills nothing anew */
        struct record changed = new_record(kind, 9);
        fill(&world, &changed, false);
        for (int field = 0; field < changed.entity->field_count; field++) {
            assert_int_equal(changed.values[field].kind, VALUE_NULL);
        }
    }
    world_close(&world);
}

static void test_sales__a_device_cannot_bring_fields_of_the_server(void **state)
{
    (void)state;
    struct sales_world world;
    world_open(&world);
    struct record customer = new_record(ENTITY_CUSTOMER, 9);
    customer.values[CUSTOMER_TIER] = text_value("A");
    customer.values[CUSTOMER_OWNER_ID] = id_value(77);
    customer.values[FIELD_CREATED_BY] = id_value(77);
    fill(&world, &customer, true);
    assert_int_equal(customer.values[CUSTOMER_TIER].kind, VALUE_NULL);
    assert_int_equal(customer.values[CUSTOMER_OWNER_ID].id.bytes[15], 2);
    assert_int_equal(customer.values[CUSTOMER_TERRITORY_ID].id.bytes[15], 3);
    assert_int_equal(customer.values[FIELD_CREATED_BY].id.bytes[15], 2);
    assert_text(&customer, CUSTOMER_STATUS, "prospect");
    world_close(&world);
}

static void test_sales__what_the_server_sent_stays(void **state)
{
    (void)state;
    struct sales_world world;
    world_open(&world);
    world.actor.is_server = true;
    struct record customer = new_record(ENTITY_CUSTOMER, 9);
    customer.values[CUSTOMER_TIER] = text_value("A");
    customer.values[CUSTOMER_TERRITORY_ID] = id_value(5);
    customer.values[CUSTOMER_STATUS] = text_value("active");
    fill(&world, &customer, true);
    assert_text(&customer, CUSTOMER_TIER, "A");
    assert_text(&customer, CUSTOMER_STATUS, "active");
    assert_int_equal(customer.values[CUSTOMER_TERRITORY_ID].id.bytes[15], 5);
    /* an import owns no customers */
    assert_int_equal(customer.values[CUSTOMER_OWNER_ID].kind, VALUE_NULL);
    world_close(&world);
}

static void test_sales__somebody_without_territory_leaves_it_open(void **state)
{
    (void)state;
    struct sales_world world;
    world_open(&world);
    memset(&world.actor.territory, 0, sizeof world.actor.territory);
    struct record customer = new_record(ENTITY_CUSTOMER, 9);
    fill(&world, &customer, true);
    assert_int_equal(customer.values[CUSTOMER_TERRITORY_ID].kind, VALUE_NULL);
    world_close(&world);
}

static void test_sales__registers_begin_in_their_first_state(void **state)
{
    (void)state;
    static const struct {
        int entity, field;
        const char *first;
    } registers[] = {
        {ENTITY_OPPORTUNITY, OPPORTUNITY_STATUS, "tracking"},
        {ENTITY_VISIT, VISIT_STATUS, "planned"},
        {ENTITY_QUOTE, QUOTE_STATUS, "draft"},
        {ENTITY_SALES_ORDER, SALES_ORDER_STATUS, "draft"},
    };
    struct sales_world world;
    world_open(&world);
    for (int i = 0; i < COUNT(registers); i++) {
        struct record record = new_record(registers[i].entity, 9);
        fill(&world, &record, true);
        assert_text(&record, registers[i].field, registers[i].first);
        record.values[registers[i].field] = text_value("won");
        fill(&world, &record, true);
        assert_text(&record, registers[i].field, "won");
    }
    struct record quote = new_record(ENTITY_QUOTE, 9);
    fill(&world, &quote, true);
    assert_number(&quote, QUOTE_REV, 1);
    struct record visit = new_record(ENTITY_VISIT, 9);
    fill(&world, &visit, true);
    assert_int_equal(visit.values[VISIT_REP_ID].id.bytes[15], 2);
    world_close(&world);
}

static void test_sales__every_state_field_is_filled(void **state)
{
    (void)state;
    struct sales_world world;
    world_open(&world);
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        struct record record = new_record(kind, 9);
        fill(&world, &record, true);
        for (int field = 0; field < record.entity->field_count; field++) {
            if (record.entity->fields[field].policy == POLICY_STATE) {
                assert_text(&record, field, record.entity->fields[field].choices[0]);
            }
        }
    }
    world_close(&world);
}

static void test_sales__a_line_has_the_tax_of_its_product(void **state)
{
    (void)state;
    struct sales_world world;
    world_open(&world);
    world_add(&world, ENTITY_PRODUCT, 13)->values[PRODUCT_TAX_BP] = int_value(1300);
    struct record line = new_record(ENTITY_QUOTE_LINE, 9);
    line.values[QUOTE_LINE_PRODUCT_ID] = id_value(13);
    fill(&world, &line, true);
    assert_number(&line, QUOTE_LINE_TAX_BP, 1300);
    /* a product that is not there leaves it open, until it is */
    struct record other = new_record(ENTITY_ORDER_LINE, 10);
    other.values[ORDER_LINE_PRODUCT_ID] = id_value(14);
    fill(&world, &other, true);
    assert_int_equal(other.values[ORDER_LINE_TAX_BP].kind, VALUE_NULL);
    world_add(&world, ENTITY_PRODUCT, 14)->values[PRODUCT_TAX_BP] = int_value(600);
    fill(&world, &other, false);
    assert_number(&other, ORDER_LINE_TAX_BP, 600);
    /* a rate that stands is not taken anew */
    world.records[0].values[PRODUCT_TAX_BP] = int_value(900);
    fill(&world, &line, false);
    assert_number(&line, QUOTE_LINE_TAX_BP, 1300);
    /* a reader that fails is reported */
    world.failure = DAYBOOK_IO;
    struct record third = new_record(ENTITY_ORDER_LINE, 11);
    third.values[ORDER_LINE_PRODUCT_ID] = id_value(14);
    assert_int_equal(dk_sales_fill(&world.actor, &world.reader, true, &third, &world.arena),
                     DAYBOOK_IO);
    world_close(&world);
}

/* ---- check */

/* A record of the entity that passes: all required fields have a fitting value. */
static struct record valid_record(int kind)
{
    struct record record = new_record(kind, 9);
    for (int field = 0; field < record.entity->field_count; field++) {
        const struct field *f = &record.entity->fields[field];
        if ((f->flags & FIELD_REQUIRED) == 0) {
            continue;
        }
        switch (f->type) {
        case FIELD_TEXT: record.values[field] = text_value("x"); break;
        case FIELD_CHOICE: record.values[field] = text_value(f->choices[0]); break;
        case FIELD_CURRENCY: record.values[field] = text_value("CNY"); break;
        case FIELD_ID: record.values[field] = id_value(100); break;
        case FIELD_DAY: record.values[field] = int_value(20241107); break;
        default: record.values[field] = int_value(1000); break;
        }
    }
    if (kind == ENTITY_PHOTO) {
        record.values[PHOTO_SHA256] =
            text_value("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08");
    }
    return record;
}

/* The record is refused at this field by this rule. */
static void assert_refused(const struct record *record, int field, int code, const char *rule)
{
    struct refusal refusal;
    if (dk_sales_check(record, UINT64_MAX, &refusal)) {
        fail_msg("%s passes; %s was expected", record->entity->name, rule);
    }
    assert_int_equal(refusal.code, code);
    assert_string_equal(refusal.field, record->entity->fields[field].name);
    assert_string_equal(refusal.rule, rule);
}

static void test_sales__each_required_field_is_asked_for(void **state)
{
    (void)state;
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        struct record record = valid_record(kind);
        struct refusal refusal = {99, "x", "x"};
        assert_true(dk_sales_check(&record, UINT64_MAX, &refusal));
        assert_int_equal(refusal.code, 0);
        for (int field = 0; field < record.entity->field_count; field++) {
            struct record broken = record;
            if ((record.entity->fields[field].flags & FIELD_REQUIRED) == 0) {
                continue;
            }
            broken.values[field] = (struct value){.kind = VALUE_NULL};
            assert_refused(&broken, field, REJECT_REQUIRED, "required");
            (void)dk_sales_check(&broken, ~((uint64_t)1 << field), &refusal);
            assert_int_not_equal(refusal.code, REJECT_REQUIRED); /* it does not change */
            if (record.values[field].kind == VALUE_TEXT) {
                broken.values[field] = text_value("");
                assert_refused(&broken, field, REJECT_REQUIRED, "required");
            }
        }
    }
}

static void test_sales__numbers_are_refused_with_field_and_rule(void **state)
{
    (void)state;
    static const struct {
        int entity, field;
        int64_t good, bad;
        const char *rule;
    } cases[] = {
        {ENTITY_QUOTE_LINE, QUOTE_LINE_QTY, -1, 0, "zero"},
        {ENTITY_ORDER_LINE, ORDER_LINE_QTY, 1, 0, "zero"},
        {ENTITY_QUOTE_LINE, QUOTE_LINE_PRICE_E4, 0, -1, "negative"},
        {ENTITY_QUOTE_LINE, QUOTE_LINE_DISC_BP, 10000, -1, "range"},
        {ENTITY_ORDER_LINE, ORDER_LINE_DISC_BP, 0, 10001, "range"},
        {ENTITY_ORDER_LINE, ORDER_LINE_TAX_BP, 0, -1, "range"},
        /* worth 10^12 with the price of 0.1: 10^13 pieces, and a thousandth more */
        {ENTITY_ORDER_LINE, ORDER_LINE_QTY, INT64_C(10000000000000000), INT64_C(10000000000000001),
         "amount"},
        {ENTITY_ORDER_LINE, ORDER_LINE_QTY, -INT64_C(10000000000000000), INT64_MIN, "amount"},
        {ENTITY_QUOTE, QUOTE_HEADER_DISC_BP, 10000, 10001, "range"},
        {ENTITY_QUOTE, QUOTE_HEADER_DISC_BP, 0, -1, "range"},
        {ENTITY_QUOTE, QUOTE_REV, 1, 0, "positive"},
        {ENTITY_PRODUCT, PRODUCT_PACK_QTY, 1, 0, "positive"},
        {ENTITY_PRODUCT, PRODUCT_TAX_BP, 0, -1, "range"},
        {ENTITY_PRICE, PRICE_VALID_TO, 20241107, 20241106, "period"},
        {ENTITY_PRICE, PRICE_PRICE_E4, 0, -1, "negative"},
        {ENTITY_PRICE, PRICE_MIN_QTY, 0, -1, "negative"},
        {ENTITY_OPPORTUNITY, OPPORTUNITY_PRIORITY, 0, -1, "negative"},
        {ENTITY_OPPORTUNITY, OPPORTUNITY_WIN_OVERRIDE, 10000, 10001, "range"},
        {ENTITY_VISIT_ACTION, VISIT_ACTION_PRICE_E4, 0, -1, "negative"},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        struct record record = valid_record(cases[i].entity);
        struct refusal refusal;
        record.values[cases[i].field] = int_value(cases[i].good);
        assert_true(dk_sales_check(&record, UINT64_MAX, &refusal));
        record.values[cases[i].field] = int_value(cases[i].bad);
        assert_refused(&record, cases[i].field, REJECT_RULE, cases[i].rule);
    }
}

static void test_sales__one_half_of_a_pair_is_refused_at_the_other(void **state)
{
    (void)state;
    static const struct {
        int entity, given, missing;
    } pairs[] = {
        {ENTITY_CUSTOMER, CUSTOMER_LAT, CUSTOMER_LON},
        {ENTITY_CUSTOMER, CUSTOMER_LON, CUSTOMER_LAT},
        {ENTITY_OPPORTUNITY, OPPORTUNITY_AMOUNT, OPPORTUNITY_CUR},
        {ENTITY_VISIT, VISIT_CHECKIN_TZ, VISIT_CHECKIN_TS},
        {ENTITY_VISIT, VISIT_CHECKIN_MOCK, VISIT_CHECKIN_TS},
        {ENTITY_VISIT, VISIT_CHECKIN_ACC, VISIT_CHECKIN_LAT},
        {ENTITY_VISIT, VISIT_CHECKOUT_LAT, VISIT_CHECKOUT_TS},
        {ENTITY_VISIT, VISIT_CHECKOUT_LON, VISIT_CHECKOUT_LAT},
        {ENTITY_SALES_ORDER, SALES_ORDER_QUOTE_REV, SALES_ORDER_QUOTE_ID},
    };
    for (int i = 0; i < COUNT(pairs); i++) {
        struct record record = valid_record(pairs[i].entity);
        record.values[pairs[i].given] = int_value(1);
        assert_refused(&record, pairs[i].missing, REJECT_RULE, "pair");
    }
    struct record opportunity = valid_record(ENTITY_OPPORTUNITY);
    struct refusal refusal;
    opportunity.values[OPPORTUNITY_CUR] = text_value("CNY"); /* a currency alone is fine */
    assert_true(dk_sales_check(&opportunity, UINT64_MAX, &refusal));
}

static void test_sales__a_visit_is_not_refused_for_its_clock(void **state)
{
    (void)state;
    struct record visit = valid_record(ENTITY_VISIT);
    struct refusal refusal;
    visit.values[VISIT_CHECKIN_TS] = int_value(INT64_C(1730968140000));
    visit.values[VISIT_CHECKOUT_TS] = int_value(0);
    assert_true(dk_sales_check(&visit, UINT64_MAX, &refusal));
}

static void test_sales__a_loss_has_a_reason_and_nobody_names_himself(void **state)
{
    (void)state;
    struct record opportunity = valid_record(ENTITY_OPPORTUNITY);
    struct refusal refusal;
    opportunity.values[OPPORTUNITY_STATUS] = text_value("lost");
    assert_refused(&opportunity, OPPORTUNITY_LOST_REASON, REJECT_RULE, "reason");
    opportunity.values[OPPORTUNITY_LOST_REASON] = text_value("price");
    assert_true(dk_sales_check(&opportunity, UINT64_MAX, &refusal));
    struct record customer = valid_record(ENTITY_CUSTOMER);
    customer.values[CUSTOMER_REDIRECT_TO] = id_value(9);
    assert_refused(&customer, CUSTOMER_REDIRECT_TO, REJECT_RULE, "self");
    struct record user = valid_record(ENTITY_USER);
    user.values[USER_MANAGER_ID] = id_value(9);
    assert_refused(&user, USER_MANAGER_ID, REJECT_RULE, "self");
    user.values[USER_MANAGER_ID] = id_value(8);
    assert_true(dk_sales_check(&user, UINT64_MAX, &refusal));
}

/* ---- derive */

/* Derives and returns the mask of what changed. */
static uint64_t derive(struct sales_world *world, struct record *record)
{
    uint64_t changed = 99;
    assert_int_equal(dk_sales_derive(&world->reader, record, &world->arena, &changed), DAYBOOK_OK);
    return changed;
}

/* A line of document 20. */
static struct record *add_line(struct sales_world *world, int entity, uint8_t id, int64_t qty,
                               int64_t price, int64_t disc)
{
    struct record *line = world_add(world, entity, id);
    bool quote = entity == ENTITY_QUOTE_LINE;
    line->values[line->entity->parent_field] = id_value(20);
    line->values[quote ? QUOTE_LINE_QTY : ORDER_LINE_QTY] = int_value(qty);
    line->values[quote ? QUOTE_LINE_PRICE_E4 : ORDER_LINE_PRICE_E4] = int_value(price);
    line->values[quote ? QUOTE_LINE_DISC_BP : ORDER_LINE_DISC_BP] = int_value(disc);
    line->values[quote ? QUOTE_LINE_TAX_BP : ORDER_LINE_TAX_BP] = int_value(1300);
    return line;
}

static void test_sales__a_line_has_its_amount_in_the_documents_currency(void **state)
{
    (void)state;
    static const struct {
        const char *cur;
        int64_t amount;
    } cases[] = {{"CNY", 28148}, {"JPY", 281}, {"KWD", 281480}, {"CLF", 2814797}};
    for (int i = 0; i < COUNT(cases); i++) {
        struct sales_world world;
        world_open(&world);
        world_add(&world, ENTITY_QUOTE, 20)->values[QUOTE_CUR] = text_value(cases[i].cur);
        struct record *line = add_line(&world, ENTITY_QUOTE_LINE, 21, 24000, 123456, 500);
        assert_true(derive(&world, line) == (uint64_t)1 << QUOTE_LINE_AMOUNT);
        assert_number(line, QUOTE_LINE_AMOUNT, cases[i].amount);
        assert_true(derive(&world, line) == 0);
        world_close(&world);
    }
}

static void test_sales__a_line_without_its_document_has_no_amount(void **state)
{
    (void)state;
    struct sales_world world;
    world_open(&world);
    struct record *line = add_line(&world, ENTITY_ORDER_LINE, 21, 24000, 123456, 500);
    line->values[ORDER_LINE_AMOUNT] = int_value(5);
    assert_true(derive(&world, line) == (uint64_t)1 << ORDER_LINE_AMOUNT);
    assert_int_equal(line->values[ORDER_LINE_AMOUNT].kind, VALUE_NULL);
    world_close(&world);
}

static void test_sales__totals_equal_their_parts(void **state)
{
    (void)state;
    struct sales_world world;
    world_open(&world);
    struct record *quote = world_add(&world, ENTITY_QUOTE, 20);
    quote->values[QUOTE_CUR] = text_value("CNY");
    (void)add_line(&world, ENTITY_QUOTE_LINE, 21, 24000, 123456, 500); /* 28148 */
    (void)add_line(&world, ENTITY_QUOTE_LINE, 22, 1000, 500000, 0);    /* 5000 */
    (void)add_line(&world, ENTITY_QUOTE_LINE, 23, 1000, 99900, 0);     /* 999 */
    assert_true(derive(&world, quote) == ((uint64_t)1 << QUOTE_SUBTOTAL | (uint64_t)1 << QUOTE_TAX |
                                          (uint64_t)1 << QUOTE_TOTAL));
    assert_number(quote, QUOTE_SUBTOTAL, 34147);
    assert_number(quote, QUOTE_TOTAL, 34147);
    assert_number(quote, QUOTE_TAX, 3238 + 575 + 115);
    /* a header discount of 1,001 over them: 825, 147, 29 */
    quote->values[QUOTE_HEADER_DISC_BP] = int_value(293);
    assert_true(derive(&world, quote) == ((uint64_t)1 << QUOTE_TAX | (uint64_t)1 << QUOTE_TOTAL));
    assert_number(quote, QUOTE_SUBTOTAL, 34147);
    assert_number(quote, QUOTE_TOTAL, 33146);
    assert_number(quote, QUOTE_TAX, 3143 + 558 + 112);
    /* all of it away */
    quote->values[QUOTE_HEADER_DISC_BP] = int_value(10000);
    (void)derive(&world, quote);
    assert_number(quote, QUOTE_TOTAL, 0);
    assert_number(quote, QUOTE_TAX, 0);
    world_close(&world);
}

static void test_sales__a_document_of_returns_mirrors_one_of_sales(void **state)
{
    (void)state;
    int64_t totals[2], taxes[2];
    for (int sign = 0; sign < 2; sign++) {
        struct sales_world world;
        world_open(&world);
        struct record *quote = world_add(&world, ENTITY_QUOTE, 20);
        quote->values[QUOTE_CUR] = text_value("CNY");
        quote->values[QUOTE_HEADER_DISC_BP] = int_value(333);
        (void)add_line(&world, ENTITY_QUOTE_LINE, 21, sign == 0 ? 24000 : -24000, 123456, 500);
        (void)add_line(&world, ENTITY_QUOTE_LINE, 22, sign == 0 ? 7000 : -7000, 33333, 0);
        (void)derive(&world, quote);
        totals[sign] = quote->values[QUOTE_TOTAL].integer;
        taxes[sign] = quote->values[QUOTE_TAX].integer;
        world_close(&world);
    }
    assert_true(totals[0] > 0 && taxes[0] > 0);
    assert_int_equal(totals[0], -totals[1]);
    assert_int_equal(taxes[0], -taxes[1]);
}

static void test_sales__an_empty_document_is_worth_nothing(void **state)
{
    (void)state;
    struct sales_world world;
    world_open(&world);
    struct record *order = world_add(&world, ENTITY_SALES_ORDER, 20);
    (void)derive(&world, order);
    assert_number(order, SALES_ORDER_SUBTOTAL, 0);
    assert_number(order, SALES_ORDER_TAX, 0);
    assert_number(order, SALES_ORDER_TOTAL, 0);
    assert_text(order, SALES_ORDER_DELIVERY_STATUS, "none");
    world_close(&world);
}

static void test_sales__delivery_follows_what_was_shipped(void **state)
{
    (void)state;
    static const struct {
        int64_t first, second;
        const char *delivery;
    } cases[] = {{0, 0, "none"},        {1000, 0, "part"},      {24000, 0, "part"},
                 {24000, -500, "part"}, {24000, -1000, "full"}, {25000, -1000, "full"},
                 {0, -1000, "part"}};
    for (int i = 0; i < COUNT(cases); i++) {
        struct sales_world world;
        world_open(&world);
        struct record *order = world_add(&world, ENTITY_SALES_ORDER, 20);
        order->values[SALES_ORDER_CUR] = text_value("CNY");
        add_line(&world, ENTITY_ORDER_LINE, 21, 24000, 10000, 0)->values[ORDER_LINE_SHIPPED] =
            int_value(cases[i].first);
        add_line(&world, ENTITY_ORDER_LINE, 22, -1000, 10000, 0)->values[ORDER_LINE_SHIPPED] =
            int_value(cases[i].second);
        (void)derive(&world, order);
        assert_text(order, SALES_ORDER_DELIVERY_STATUS, cases[i].delivery);
        world_close(&world);
    }
}

static void test_sales__lines_that_pass_the_check_never_overflow(void **state)
{
    (void)state;
    static const char *const curs[] = {"CNY", "JPY", "KWD", "CLF"};
    for (int i = 0; i < COUNT(curs); i++) {
        struct sales_world world;
        struct refusal refusal;
        world_open(&world);
        struct record *order = world_add(&world, ENTITY_SALES_ORDER, 20);
        order->values[SALES_ORDER_CUR] = text_value(curs[i]);
        struct record *line =
            add_line(&world, ENTITY_ORDER_LINE, 21, INT64_C(1000000000000), INT64_C(10000000), 0);
        line->values[ORDER_LINE_PRODUCT_ID] = id_value(5);
        assert_true(dk_sales_check(line, UINT64_MAX, &refusal));
        (void)derive(&world, order);
        /* then a document may have as many of them as it may have lines */
        assert_true(order->values[SALES_ORDER_SUBTOTAL].integer <= INT64_MAX / LIMIT_CHILDREN);
        world_close(&world);
    }
}

static void test_sales__what_does_not_fit_is_reported(void **state)
{
    (void)state;
    struct sales_world world;
    uint64_t changed;
    world_open(&world);
    struct record *order = world_add(&world, ENTITY_SALES_ORDER, 20);
    struct record *line = add_line(&world, ENTITY_ORDER_LINE, 21, INT64_MAX, INT64_MAX, 0);
    assert_int_equal(dk_sales_derive(&world.reader, line, &world.arena, &changed),
                     DAYBOOK_OUT_OF_RANGE);
    assert_int_equal(dk_sales_derive(&world.reader, order, &world.arena, &changed),
                     DAYBOOK_OUT_OF_RANGE);
    world.failure = DAYBOOK_CORRUPT;
    assert_int_equal(dk_sales_derive(&world.reader, order, &world.arena, &changed),
                     DAYBOOK_CORRUPT);
    assert_int_equal(dk_sales_derive(&world.reader, line, &world.arena, &changed), DAYBOOK_CORRUPT);
    world_close(&world);
}

static void test_sales__names_compare_by_what_tells_them_apart(void **state)
{
    (void)state;
    static const struct {
        const char *name, *norm; /* NULL: no value */
    } cases[] = {
        {"Acme (China) Co., Ltd.", "acmechina"},
        {"ACME CHINA", "acmechina"},
        {"Ａｃｍｅ　Ｃｈｉｎａ", "acmechina"},
        {"Tesco", "tesco"},
        {"TES Co", "tes"},
        {"Müller GmbH & Co", "müller"},
        {"Smith, Inc.", "smith"},
        {"上海和记贸易有限公司", "上海和记贸易"},
        {"上海和记贸易股份有限公司", "上海和记贸易"},
        {"上海和记贸易有限责任公司", "上海和记贸易"},
        {"和记（集团）股份 有限公司", "和记"},
        {"和记贸易 Co.,Ltd", "和记贸易"},
        {"和记贸易ltd", "和记贸易"},
        {"集团", "集团"},
        {"有限公司", "有限公司"},
        {"Ltd", "ltd"},
        {"Co Ltd", "co"},
        {" 7-Eleven #１２３ ", "7eleven123"},
        {"佐々木商店", "佐々木商店"},
        {"——", NULL},
        {"  ", NULL},
        {"", NULL},
        {"A·B・C", "abc"},
        {"😀 Shop", "😀shop"},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        struct sales_world world;
        world_open(&world);
        struct record customer = new_record(ENTITY_CUSTOMER, 9);
        customer.values[CUSTOMER_NAME] = text_value(cases[i].name);
        (void)derive(&world, &customer);
        if (cases[i].norm == NULL) {
            assert_int_equal(customer.values[CUSTOMER_NORM_NAME].kind, VALUE_NULL);
        } else {
            assert_text(&customer, CUSTOMER_NORM_NAME, cases[i].norm);
        }
        world_close(&world);
    }
}

static void test_sales__without_memory_nothing_is_derived(void **state)
{
    (void)state;
    struct sales_world world;
    uint64_t changed;
    world_open(&world);
    struct record customer = new_record(ENTITY_CUSTOMER, 9);
    customer.values[CUSTOMER_NAME] = text_value("Acme");
    dk_arena_init(&world.arena, 0);
    assert_int_equal(dk_sales_derive(&world.reader, &customer, &world.arena, &changed),
                     DAYBOOK_NO_MEMORY);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sales__a_new_record_has_its_author),
        cmocka_unit_test(test_sales__a_device_cannot_bring_fields_of_the_server),
        cmocka_unit_test(test_sales__what_the_server_sent_stays),
        cmocka_unit_test(test_sales__somebody_without_territory_leaves_it_open),
        cmocka_unit_test(test_sales__registers_begin_in_their_first_state),
        cmocka_unit_test(test_sales__every_state_field_is_filled),
        cmocka_unit_test(test_sales__a_line_has_the_tax_of_its_product),
        cmocka_unit_test(test_sales__each_required_field_is_asked_for),
        cmocka_unit_test(test_sales__numbers_are_refused_with_field_and_rule),
        cmocka_unit_test(test_sales__one_half_of_a_pair_is_refused_at_the_other),
        cmocka_unit_test(test_sales__a_visit_is_not_refused_for_its_clock),
        cmocka_unit_test(test_sales__a_loss_has_a_reason_and_nobody_names_himself),
        cmocka_unit_test(test_sales__a_line_has_its_amount_in_the_documents_currency),
        cmocka_unit_test(test_sales__a_line_without_its_document_has_no_amount),
        cmocka_unit_test(test_sales__totals_equal_their_parts),
        cmocka_unit_test(test_sales__a_document_of_returns_mirrors_one_of_sales),
        cmocka_unit_test(test_sales__an_empty_document_is_worth_nothing),
        cmocka_unit_test(test_sales__delivery_follows_what_was_shipped),
        cmocka_unit_test(test_sales__lines_that_pass_the_check_never_overflow),
        cmocka_unit_test(test_sales__what_does_not_fit_is_reported),
        cmocka_unit_test(test_sales__names_compare_by_what_tells_them_apart),
        cmocka_unit_test(test_sales__without_memory_nothing_is_derived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
