/* SPDX-License-Identifier: Apache-2.0
 *
 * What a record must satisfy by itself, after merging. Called on both ends before anything is
 * written. Invariants: a refusal names the field and a rule word of PROTOCOL.md; no rule refuses
 * work for a wrong clock; amounts that pass here cannot overflow in document.c.
 */
#include "engine/sales/rules.h"

#include "engine/base/wide.h"
#include "engine/protocol/verdict.h"
#include "engine/sales/day.h"
#include "engine/sales/money.h"

/* Most that one line may be worth: 10^12 major units, in units of quantity x price (10^-3 x 10^-4).
 * LIMIT_CHILDREN lines of it stay below 2^63 minor units of any currency. */
#define LINE_VALUE_MAX UINT64_C(10000000000000000000)

/* True where the field has no value. */
static bool is_null(const struct record *record, int field)
{
    return record->values[field].kind == VALUE_NULL;
}

/* The field's number; 0 where it has none. */
static int64_t number(const struct record *record, int field)
{
    return is_null(record, field) ? 0 : record->values[field].integer;
}

/* Notes why the record is refused; returns false. */
static bool refuse(const struct record *record, struct refusal *refusal, enum reject_code code,
                   int field, const char *rule)
{
    *refusal = (struct refusal){(int)code, record->entity->fields[field].name, rule};
    return false;
}

bool dk_check_required(const struct record *record, uint64_t fields, struct refusal *refusal)
{
    const struct entity *entity = record->entity;
    for (int field = 0; field < entity->field_count; field++) {
        const struct value *value = &record->values[field];
        if ((fields >> field & 1) != 0 && (entity->fields[field].flags & FIELD_REQUIRED) != 0 &&
            (value->kind == VALUE_NULL || (value->kind == VALUE_TEXT && value->length == 0))) {
            return refuse(record, refusal, REJECT_REQUIRED, field, "required");
        }
    }
    return true;
}

/* low <= number <= high, where there is one. */
static bool in_range(const struct record *record, struct refusal *refusal, int field, int64_t low,
                     int64_t high)
{
    int64_t n = number(record, field);
    return is_null(record, field) || (n >= low && n <= high) ||
           refuse(record, refusal, REJECT_RULE, field, "range");
}

/* Zero or more, where there is a number. */
static bool not_negative(const struct record *record, struct refusal *refusal, int field)
{
    return number(record, field) >= 0 || refuse(record, refusal, REJECT_RULE, field, "negative");
}

/* Where `field` has a value, `other` has one too: an amount has a currency, a latitude a longitude.
 * The field refused is the one that is missing. */
static bool needs(const struct record *record, struct refusal *refusal, int field, int other)
{
    return is_null(record, field) || !is_null(record, other) ||
           refuse(record, refusal, REJECT_RULE, other, "pair");
}

/* A record does not name itself. */
static bool not_itself(const struct record *record, struct refusal *refusal, int field)
{
    const struct value *value = &record->values[field];
    return value->kind != VALUE_ID || dk_id_compare(&value->id, &record->id) != 0 ||
           refuse(record, refusal, REJECT_RULE, field, "self");
}

/* Offsets are those of a zone, and a list that both ends can read (day.h). */
bool dk_check_organisation(const struct record *record, struct refusal *refusal)
{
    const struct value *offsets = &record->values[ORGANISATION_ZONE_OFFSETS];
    if (offsets->kind == VALUE_TEXT && !dk_day_offsets_valid(offsets->text, offsets->length)) {
        return refuse(record, refusal, REJECT_RULE, ORGANISATION_ZONE_OFFSETS, "offsets");
    }
    return needs(record, refusal, ORGANISATION_ZONE_OFFSETS, ORGANISATION_ZONE);
}

bool dk_check_user(const struct record *record, struct refusal *refusal)
{
    return not_itself(record, refusal, USER_MANAGER_ID);
}

bool dk_check_customer(const struct record *record, struct refusal *refusal)
{
    return needs(record, refusal, CUSTOMER_LAT, CUSTOMER_LON) &&
           needs(record, refusal, CUSTOMER_LON, CUSTOMER_LAT) &&
           not_itself(record, refusal, CUSTOMER_REDIRECT_TO);
}

/* A pack of nothing would divide by zero in suggested orders. */
bool dk_check_product(const struct record *record, struct refusal *refusal)
{
    if (!is_null(record, PRODUCT_PACK_QTY) && number(record, PRODUCT_PACK_QTY) <= 0) {
        return refuse(record, refusal, REJECT_RULE, PRODUCT_PACK_QTY, "positive");
    }
    return in_range(record, refusal, PRODUCT_TAX_BP, 0, MONEY_BP);
}

bool dk_check_price(const struct record *record, struct refusal *refusal)
{
    if (!is_null(record, PRICE_VALID_TO) &&
        number(record, PRICE_VALID_TO) < number(record, PRICE_VALID_FROM)) {
        return refuse(record, refusal, REJECT_RULE, PRICE_VALID_TO, "period");
    }
    return not_negative(record, refusal, PRICE_PRICE_E4) &&
           not_negative(record, refusal, PRICE_MIN_QTY);
}

/* A lost opportunity says why (the state machine's "lost with reason"). */
bool dk_check_opportunity(const struct record *record, struct refusal *refusal)
{
    const struct value *status = &record->values[OPPORTUNITY_STATUS];
    static const struct value lost = {.kind = VALUE_TEXT, .length = 4, .text = "lost"};
    if (dk_value_equal(status, &lost) && is_null(record, OPPORTUNITY_LOST_REASON)) {
        return refuse(record, refusal, REJECT_RULE, OPPORTUNITY_LOST_REASON, "reason");
    }
    return needs(record, refusal, OPPORTUNITY_AMOUNT, OPPORTUNITY_CUR) &&
           not_negative(record, refusal, OPPORTUNITY_AMOUNT) &&
           not_negative(record, refusal, OPPORTUNITY_PRIORITY) &&
           in_range(record, refusal, OPPORTUNITY_WIN_OVERRIDE, 0, MONEY_BP);
}

/* A place belongs to a time. That a check-out is before its check-in is no refusal: a clock may
 * have been set in between. */
bool dk_check_visit(const struct record *record, struct refusal *refusal)
{
    static const int places[][2] = {
        {VISIT_CHECKIN_TZ, VISIT_CHECKIN_TS},     {VISIT_CHECKIN_LAT, VISIT_CHECKIN_TS},
        {VISIT_CHECKIN_LAT, VISIT_CHECKIN_LON},   {VISIT_CHECKIN_LON, VISIT_CHECKIN_LAT},
        {VISIT_CHECKIN_ACC, VISIT_CHECKIN_LAT},   {VISIT_CHECKIN_MOCK, VISIT_CHECKIN_TS},
        {VISIT_CHECKOUT_TZ, VISIT_CHECKOUT_TS},   {VISIT_CHECKOUT_LAT, VISIT_CHECKOUT_TS},
        {VISIT_CHECKOUT_LAT, VISIT_CHECKOUT_LON}, {VISIT_CHECKOUT_LON, VISIT_CHECKOUT_LAT},
        {VISIT_CHECKOUT_ACC, VISIT_CHECKOUT_LAT}, {VISIT_CHECKOUT_MOCK, VISIT_CHECKOUT_TS},
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (!needs(record, refusal, places[i][0], places[i][1])) {
            return false;
        }
    }
    return not_negative(record, refusal, VISIT_CHECKIN_ACC) &&
           not_negative(record, refusal, VISIT_CHECKOUT_ACC);
}

bool dk_check_visit_action(const struct record *record, struct refusal *refusal)
{
    return not_negative(record, refusal, VISIT_ACTION_PRICE_E4);
}

/* The name of the picture's bytes, which travel on their own: 64 lower-case hexadecimal digits. */
static bool is_hash(const struct value *value)
{
    size_t digits = 0;
    while (digits < value->length && ((value->text[digits] >= '0' && value->text[digits] <= '9') ||
                                      (value->text[digits] >= 'a' && value->text[digits] <= 'f'))) {
        digits++;
    }
    return digits == 64 && value->length == 64;
}

bool dk_check_photo(const struct record *record, struct refusal *refusal)
{
    if (!is_hash(&record->values[PHOTO_SHA256])) {
        return refuse(record, refusal, REJECT_RULE, PHOTO_SHA256, "hash");
    }
    return needs(record, refusal, PHOTO_LAT, PHOTO_LON) &&
           needs(record, refusal, PHOTO_LON, PHOTO_LAT) &&
           not_negative(record, refusal, PHOTO_SIZE_BYTES) &&
           not_negative(record, refusal, PHOTO_WIDTH) &&
           not_negative(record, refusal, PHOTO_HEIGHT);
}

bool dk_check_quote(const struct record *record, struct refusal *refusal)
{
    if (!is_null(record, QUOTE_REV) && number(record, QUOTE_REV) < 1) {
        return refuse(record, refusal, REJECT_RULE, QUOTE_REV, "positive");
    }
    return in_range(record, refusal, QUOTE_HEADER_DISC_BP, 0, MONEY_BP);
}

/* A revision belongs to a quote. */
bool dk_check_sales_order(const struct record *record, struct refusal *refusal)
{
    return needs(record, refusal, SALES_ORDER_QUOTE_REV, SALES_ORDER_QUOTE_ID);
}

/* Lines of quotes and orders: something is sold or, below zero, returned; at a price that is not
 * negative. */
static bool check_line(const struct record *record, struct refusal *refusal, int qty_field,
                       int price_field, int disc_field, int tax_field)
{
    int64_t qty = number(record, qty_field);
    if (qty == 0) {
        return refuse(record, refusal, REJECT_RULE, qty_field, "zero");
    }
    if (!not_negative(record, refusal, price_field) ||
        !in_range(record, refusal, disc_field, 0, MONEY_BP) ||
        !in_range(record, refusal, tax_field, 0, MONEY_BP)) {
        return false;
    }
    uint64_t size = qty < 0 ? ~(uint64_t)qty + 1 : (uint64_t)qty;
    struct wide worth = dk_wide_multiply(size, (uint64_t)number(record, price_field));
    return (worth.high == 0 && worth.low <= LINE_VALUE_MAX) ||
           refuse(record, refusal, REJECT_RULE, qty_field, "amount");
}

bool dk_check_quote_line(const struct record *record, struct refusal *refusal)
{
    return check_line(record, refusal, QUOTE_LINE_QTY, QUOTE_LINE_PRICE_E4, QUOTE_LINE_DISC_BP,
                      QUOTE_LINE_TAX_BP);
}

bool dk_check_order_line(const struct record *record, struct refusal *refusal)
{
    return check_line(record, refusal, ORDER_LINE_QTY, ORDER_LINE_PRICE_E4, ORDER_LINE_DISC_BP,
                      ORDER_LINE_TAX_BP);
}

/* A hold that is cleared says when, and is never put back. */
bool dk_check_hold(const struct record *record, struct refusal *refusal)
{
    if (!is_null(record, HOLD_CLEARED) && number(record, HOLD_CLEARED) == 0) {
        return refuse(record, refusal, REJECT_RULE, HOLD_CLEARED, "cleared");
    }
    return needs(record, refusal, HOLD_CLEARED, HOLD_CLEARED_TS) &&
           needs(record, refusal, HOLD_CLEARED_BY, HOLD_CLEARED) &&
           needs(record, refusal, HOLD_NOTE, HOLD_CLEARED);
}
