/* SPDX-License-Identifier: Apache-2.0
 *
 * What the rules set by themselves: the author of a record, its owner and territory, the first
 * state, revision 1, the tax rate of a line. Called for every write, provisionally on the device
 * and finally in the decision. Invariant: a value that its author was allowed to give stays.
 */
#include "engine/sales/rules.h"

#include <string.h>

/* True where the field has no value. */
static bool is_null(const struct sales_case *given, int field)
{
    return given->record->values[field].kind == VALUE_NULL;
}

/* Puts an integer in the field. */
static void set_int(const struct sales_case *given, int field, int64_t integer)
{
    given->record->values[field] = (struct value){.kind = VALUE_INT, .integer = integer};
}

/* A zero id (no such person, no territory) leaves the field as it is. */
static void set_id(const struct sales_case *given, int field, const struct id *id)
{
    if (!dk_id_is_zero(id)) {
        given->record->values[field] = (struct value){.kind = VALUE_ID, .id = *id};
    }
}

/* Puts the first of the field's choices where it has no value. */
static void set_first_choice(const struct sales_case *given, int field)
{
    const char *first = given->record->entity->fields[field].choices[0];
    if (is_null(given, field)) {
        struct value *value = &given->record->values[field];
        *value = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)strlen(first)};
        value->text = first;
    }
}

/* A device cannot send SERVER fields, so that what stands there is taken away, but for those of a
 * group, which the merge has set; a server actor's values stay, and what it left open is filled.
 * State registers begin in their first state; on a device those of schema 1, for of later ones its
 * changesets say it. */
void dk_fill_common(const struct sales_case *given)
{
    const struct sales_actor *actor = given->actor;
    const struct entity *entity = given->record->entity;
    for (int field = 0; field < entity->field_count; field++) {
        bool is_servers =
            entity->fields[field].policy == POLICY_SERVER && entity->fields[field].group == 0;
        if (is_servers && !actor->is_server) {
            given->record->values[field].kind = VALUE_NULL;
        }
        bool is_known = !actor->on_device || entity->fields[field].since == 1;
        if (entity->fields[field].policy == POLICY_STATE && is_known) {
            set_first_choice(given, field);
        }
    }
    if (is_null(given, FIELD_CREATED_TS)) {
        set_int(given, FIELD_CREATED_TS, actor->time_ms);
    }
    if (is_null(given, FIELD_CREATED_BY)) {
        set_id(given, FIELD_CREATED_BY, &actor->user);
    }
    if (is_null(given, FIELD_CREATED_DEV) && actor->device_no <= INT32_MAX) {
        set_int(given, FIELD_CREATED_DEV, actor->device_no);
    }
}

/* A customer made by a rep is the rep's, and in the rep's territory at once; one made by the server
 * has the owner that was given, or none. */
daybook_status dk_fill_customer(const struct sales_case *given)
{
    if (given->created && !given->actor->is_server && is_null(given, CUSTOMER_OWNER_ID)) {
        set_id(given, CUSTOMER_OWNER_ID, &given->actor->user);
    }
    if (given->created && is_null(given, CUSTOMER_TERRITORY_ID)) {
        set_id(given, CUSTOMER_TERRITORY_ID, &given->actor->territory);
    }
    if (given->created) {
        set_first_choice(given, CUSTOMER_STATUS);
    }
    return DAYBOOK_OK;
}

daybook_status dk_fill_opportunity(const struct sales_case *given)
{
    if (given->created && !given->actor->is_server && is_null(given, OPPORTUNITY_OWNER_ID)) {
        set_id(given, OPPORTUNITY_OWNER_ID, &given->actor->user);
    }
    return DAYBOOK_OK;
}

/* See sales.h. */
int dk_sales_author_field(const struct entity *entity)
{
    return entity->kind == ENTITY_VISIT ? VISIT_REP_ID : -1;
}

int dk_sales_redirect_field(const struct entity *entity)
{
    return entity->kind == ENTITY_CUSTOMER ? CUSTOMER_REDIRECT_TO
           : entity->kind == ENTITY_VISIT  ? VISIT_REDIRECT_TO
                                           : -1;
}

/* A visit is its author's unless another rep is named. */
daybook_status dk_fill_visit(const struct sales_case *given)
{
    int field = dk_sales_author_field(given->record->entity);
    if (given->created && !given->actor->is_server && is_null(given, field)) {
        set_id(given, field, &given->actor->user);
    }
    return DAYBOOK_OK;
}

daybook_status dk_fill_quote(const struct sales_case *given)
{
    if (given->created && is_null(given, QUOTE_REV)) {
        set_int(given, QUOTE_REV, 1);
    }
    return DAYBOOK_OK;
}

/* The product's tax rate, where the line has none yet; a product that is not there leaves it open.
 */
static daybook_status fill_tax(const struct sales_case *given, int product_field, int tax_field)
{
    struct record product;
    bool found;
    const struct value *id = &given->record->values[product_field];
    if (!is_null(given, tax_field) || id->kind != VALUE_ID) {
        return DAYBOOK_OK;
    }
    daybook_status status = given->reader->get(given->reader->context, ENTITY_PRODUCT, &id->id,
                                               given->arena, &product, &found);
    if (status == DAYBOOK_OK && found) {
        given->record->values[tax_field] = product.values[PRODUCT_TAX_BP];
    }
    return status;
}

daybook_status dk_fill_quote_line(const struct sales_case *given)
{
    return fill_tax(given, QUOTE_LINE_PRODUCT_ID, QUOTE_LINE_TAX_BP);
}

daybook_status dk_fill_order_line(const struct sales_case *given)
{
    return fill_tax(given, ORDER_LINE_PRODUCT_ID, ORDER_LINE_TAX_BP);
}
