/* SPDX-License-Identifier: Apache-2.0
 *
 * The conversions of the tests' schema 2, one of each kind. Schema 2 also knows customer.website,
 * customer.segments, customer.credit_note (the server's), customer.credit_class (proposed),
 * customer.initial (derived), contact.stage (a machine), the choice "dormant" of customer.status,
 * contact.title up to 300, and the entity survey.
 */
#include "engine/protocol/convert.h"

#include <string.h>

/* A text as a value of another field. */
static bool add_text(struct change *change, int field, const char *text, size_t length,
                     struct arena *arena)
{
    struct value value = {.kind = VALUE_NULL};
    if (length > 0) {
        value = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)length, .text = text};
    }
    return dk_convert_add(change, field, &value, arena);
}

/* The same value under another name. */
static bool convert_renamed(struct change *change, int from, int to, struct arena *arena)
{
    const struct value *value = dk_change_value(change, from);
    return value == NULL || dk_convert_add(change, to, value, arena);
}

/* Renamed: `phone` is `phone_e164` now. Split: `name` is `first_name` and `last_name`, at the last
 * blank. */
static bool convert_contact(struct change *change, struct arena *arena)
{
    const struct value *name = dk_change_value(change, CONTACT_NAME);
    if (!convert_renamed(change, CONTACT_PHONE, CONTACT_PHONE_E164, arena)) {
        return false;
    }
    if (name == NULL || name->kind != VALUE_TEXT) {
        return true;
    }
    size_t blank = name->length;
    while (blank > 0 && name->text[blank - 1] != ' ') {
        blank--;
    }
    size_t first = blank > 0 ? blank - 1 : 0;
    const char *text = name->text;
    size_t length = name->length;
    return add_text(change, CONTACT_FIRST_NAME, text, first, arena) &&
           add_text(change, CONTACT_LAST_NAME, text + blank, length - blank, arena);
}

/* Renamed, in documents that come to stand: `note` is `remark` now, a line's `uom` is `unit`. */
static bool convert_quote(struct change *change, struct arena *arena)
{
    return convert_renamed(change, QUOTE_NOTE, QUOTE_REMARK, arena);
}

static bool convert_quote_line(struct change *change, struct arena *arena)
{
    return convert_renamed(change, QUOTE_LINE_UOM, QUOTE_LINE_UNIT, arena);
}

static bool convert_order(struct change *change, struct arena *arena)
{
    return convert_renamed(change, SALES_ORDER_NOTE, SALES_ORDER_REMARK, arena);
}

/* Another unit: thousandths become whole pieces. */
static bool convert_action(struct change *change, struct arena *arena)
{
    const struct value *qty = dk_change_value(change, VISIT_ACTION_QTY);
    if (qty == NULL) {
        return true;
    }
    struct value pieces = {.kind = qty->kind};
    if (qty->kind == VALUE_INT) {
        int64_t whole = qty->integer / 1000;
        pieces.integer = whole > INT32_MAX ? INT32_MAX : whole < -INT32_MAX ? -INT32_MAX : whole;
    }
    return dk_convert_add(change, VISIT_ACTION_QTY_PIECES, &pieces, arena);
}

/* Must have a value now: what older apps make has the default. */
static bool convert_opportunity(struct change *change, struct arena *arena)
{
    static const char fallback[] = "unknown";
    return change->op != BLOCK_NEW ||
           add_text(change, OPPORTUNITY_SOURCE, fallback, strlen(fallback), arena);
}

const struct conversion dk_conversions[] = {
    {2, ENTITY_CONTACT, convert_contact},
    {2, ENTITY_VISIT_ACTION, convert_action},
    {2, ENTITY_OPPORTUNITY, convert_opportunity},
    {2, ENTITY_QUOTE, convert_quote},
    {2, ENTITY_QUOTE_LINE, convert_quote_line},
    {2, ENTITY_SALES_ORDER, convert_order},
    {0},
};
