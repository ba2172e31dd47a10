/* SPDX-License-Identifier: Apache-2.0
 *
 * What follows from the lines of a quote or an order: line amounts, totals, delivery. Called after
 * every write of a line or a document, on both ends. Invariants: derived amounts equal their parts;
 * a total is never merged nor taken from the wire.
 *
 * Prices include tax. Rounding is per line, never per total:
 *   amount   = half_up(qty * price * (100 % - disc))            of each line, in minor units
 *   subtotal = sum of amounts
 *   discount = half_up(subtotal * header_disc)                   split over the lines by their
 * amounts, largest remainder tax      = sum of half_up((amount - share) * tax / (100 % + tax))
 *   total    = subtotal - discount
 */
#include "engine/sales/rules.h"

#include "engine/sales/money.h"

#include <string.h>

/* Where a document and its lines keep what the formulas need. */
struct document_shape {
    int document; /* entity kinds */
    int line;
    int cur, header_disc_bp, subtotal, tax,
        total; /* fields of the document; header_disc_bp -1: none */
    int parent, qty, price_e4, disc_bp, tax_bp, amount,
        shipped; /* fields of the line; shipped -1: none */
};

static const struct document_shape quote_shape = {
    .document = ENTITY_QUOTE,
    .line = ENTITY_QUOTE_LINE,
    .cur = QUOTE_CUR,
    .header_disc_bp = QUOTE_HEADER_DISC_BP,
    .subtotal = QUOTE_SUBTOTAL,
    .tax = QUOTE_TAX,
    .total = QUOTE_TOTAL,
    .parent = QUOTE_LINE_QUOTE_ID,
    .qty = QUOTE_LINE_QTY,
    .price_e4 = QUOTE_LINE_PRICE_E4,
    .disc_bp = QUOTE_LINE_DISC_BP,
    .tax_bp = QUOTE_LINE_TAX_BP,
    .amount = QUOTE_LINE_AMOUNT,
    .shipped = -1,
};

static const struct document_shape order_shape = {
    .document = ENTITY_SALES_ORDER,
    .line = ENTITY_ORDER_LINE,
    .cur = SALES_ORDER_CUR,
    .header_disc_bp = -1,
    .subtotal = SALES_ORDER_SUBTOTAL,
    .tax = SALES_ORDER_TAX,
    .total = SALES_ORDER_TOTAL,
    .parent = ORDER_LINE_ORDER_ID,
    .qty = ORDER_LINE_QTY,
    .price_e4 = ORDER_LINE_PRICE_E4,
    .disc_bp = ORDER_LINE_DISC_BP,
    .tax_bp = ORDER_LINE_TAX_BP,
    .amount = ORDER_LINE_AMOUNT,
    .shipped = ORDER_LINE_SHIPPED,
};

/* The field's number; 0 where it has none or the document has no such field. */
static int64_t number(const struct record *record, int field)
{
    return field < 0 || record->values[field].kind != VALUE_INT ? 0 : record->values[field].integer;
}

/* A value of an integer type. */
static struct value integer_value(int64_t integer)
{
    return (struct value){.kind = VALUE_INT, .integer = integer};
}

/* The amount of one line in a currency with this exponent; 0 without quantity or price. False:
 * overflow, or a discount that no check lets pass. */
static bool line_amount(const struct document_shape *shape, const struct record *line, int exponent,
                        int64_t *amount)
{
    int64_t disc_bp = number(line, shape->disc_bp);
    return disc_bp >= 0 && disc_bp <= MONEY_BP &&
           dk_money_line_amount(number(line, shape->qty), number(line, shape->price_e4), disc_bp,
                                exponent, amount);
}

/* *sum += number; false on overflow. */
static bool add(int64_t *sum, int64_t n)
{
    if (n > 0 ? *sum > INT64_MAX - n : *sum < INT64_MIN - n) {
        return false;
    }
    *sum += n;
    return true;
}

/* Digits behind the point of the document's currency. */
static int exponent_of(const struct document_shape *shape, const struct record *document)
{
    const struct value *cur = &document->values[shape->cur];
    return cur->kind == VALUE_TEXT ? dk_money_exponent(cur->text, cur->length) : 2;
}

/* The amount of a line, in the currency of its document; NULL while the document is not there. */
static daybook_status derive_line(const struct sales_case *given,
                                  const struct document_shape *shape)
{
    struct record document;
    bool found = false;
    int64_t amount;
    struct record *line = given->record;
    const struct value *parent = &line->values[shape->parent];
    line->values[shape->amount].kind = VALUE_NULL;
    if (parent->kind != VALUE_ID) {
        return DAYBOOK_OK;
    }
    daybook_status status = given->reader->get(given->reader->context, shape->document, &parent->id,
                                               given->arena, &document, &found);
    if (status != DAYBOOK_OK || !found) {
        return status;
    }
    if (!line_amount(shape, line, exponent_of(shape, &document), &amount)) {
        return DAYBOOK_OUT_OF_RANGE;
    }
    line->values[shape->amount] = integer_value(amount);
    return DAYBOOK_OK;
}

/* Amounts of all lines as weights of the shares, and their sum. */
static bool sum_lines(const struct document_shape *shape, const struct record *lines, int count,
                      int exponent, struct money_share *shares, int64_t *subtotal)
{
    *subtotal = 0;
    for (int i = 0; i < count; i++) {
        if (!line_amount(shape, &lines[i], exponent, &shares[i].weight) ||
            !add(subtotal, shares[i].weight)) {
            return false;
        }
    }
    return true;
}

/* The tax included in what is left of each line after its share of the header discount. */
static bool sum_tax(const struct document_shape *shape, const struct record *lines, int count,
                    const struct money_share *shares, int64_t *tax)
{
    *tax = 0;
    for (int i = 0; i < count; i++) {
        int64_t part;
        int64_t rest = shares[i].weight;
        int64_t tax_bp = number(&lines[i], shape->tax_bp);
        if (tax_bp < 0 || shares[i].part == INT64_MIN || !add(&rest, -shares[i].part) ||
            !dk_money_included_tax(rest, tax_bp, &part) || !add(tax, part)) {
            return false;
        }
    }
    return true;
}

/* Subtotal, tax and total of a document from its lines. */
static daybook_status derive_totals(const struct sales_case *given,
                                    const struct document_shape *shape, struct record *lines,
                                    int count)
{
    struct record *document = given->record;
    int64_t subtotal;
    int64_t discount;
    int64_t tax;
    struct money_share *shares = dk_arena_new(given->arena, (size_t)count * sizeof *shares + 1);
    if (shares == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    if (!sum_lines(shape, lines, count, exponent_of(shape, document), shares, &subtotal) ||
        !dk_money_rate(subtotal, number(document, shape->header_disc_bp), &discount) ||
        !dk_money_split(discount, shares, count) || !sum_tax(shape, lines, count, shares, &tax)) {
        return DAYBOOK_OUT_OF_RANGE;
    }
    document->values[shape->subtotal] = integer_value(subtotal);
    document->values[shape->tax] = integer_value(tax);
    document->values[shape->total] = integer_value(subtotal - discount);
    return DAYBOOK_OK;
}

/* The lines of the document under the rules. */
static daybook_status read_lines(const struct sales_case *given, const struct document_shape *shape,
                                 struct record **lines, int *count)
{
    *lines = NULL;
    *count = 0;
    return given->reader->children(given->reader->context, shape->line, &given->record->id,
                                   given->arena, lines, count);
}

daybook_status dk_derive_quote(const struct sales_case *given)
{
    struct record *lines;
    int count;
    daybook_status status = read_lines(given, &quote_shape, &lines, &count);
    return status != DAYBOOK_OK ? status : derive_totals(given, &quote_shape, lines, count);
}

/* "none" where nothing has been shipped, "full" where every line has been, else "part". A return
 * (quantity below zero) is shipped by a quantity below zero. */
static const char *delivery_of(const struct document_shape *shape, const struct record *lines,
                               int count)
{
    bool any = false;
    bool all = count > 0;
    for (int i = 0; i < count; i++) {
        int64_t qty = number(&lines[i], shape->qty);
        int64_t shipped = number(&lines[i], shape->shipped);
        any = any || shipped != 0;
        all = all && (qty < 0 ? shipped <= qty : shipped >= qty);
    }
    return !any ? "none" : all ? "full" : "part";
}

daybook_status dk_derive_sales_order(const struct sales_case *given)
{
    struct record *lines;
    int count;
    daybook_status status = read_lines(given, &order_shape, &lines, &count);
    if (status != DAYBOOK_OK) {
        return status;
    }
    const char *delivery = delivery_of(&order_shape, lines, count);
    struct value *value = &given->record->values[SALES_ORDER_DELIVERY_STATUS];
    *value = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)strlen(delivery)};
    value->text = delivery;
    return derive_totals(given, &order_shape, lines, count);
}

daybook_status dk_derive_quote_line(const struct sales_case *given)
{
    return derive_line(given, &quote_shape);
}

daybook_status dk_derive_order_line(const struct sales_case *given)
{
    return derive_line(given, &order_shape);
}
