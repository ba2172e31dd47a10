/* SPDX-License-Identifier: Apache-2.0
 *
 * The one table of domain rules, by entity, and the calls that go through it. Called by the
 * store's commit on the device and by the decider on the server. Invariant: an entity without a row
 * has the common rules only.
 */
#include "engine/sales/rules.h"

#include <string.h>

static const struct sales_rule rules[ENTITY_COUNT] = {
    [ENTITY_ORGANISATION] = {.check = dk_check_organisation},
    [ENTITY_USER] = {.check = dk_check_user},
    [ENTITY_CUSTOMER] = {dk_fill_customer, dk_check_customer, dk_derive_customer, NULL},
    [ENTITY_PRODUCT] = {.check = dk_check_product},
    [ENTITY_PRICE] = {.check = dk_check_price},
    [ENTITY_OPPORTUNITY] = {.fill = dk_fill_opportunity, .check = dk_check_opportunity},
    [ENTITY_VISIT] = {.fill = dk_fill_visit, .check = dk_check_visit},
    [ENTITY_VISIT_ACTION] = {.check = dk_check_visit_action},
    [ENTITY_PHOTO] = {.check = dk_check_photo},
    [ENTITY_QUOTE] = {dk_fill_quote, dk_check_quote, dk_derive_quote, NULL},
    [ENTITY_QUOTE_LINE] = {dk_fill_quote_line, dk_check_quote_line, dk_derive_quote_line, NULL},
    [ENTITY_SALES_ORDER] = {NULL, dk_check_sales_order, dk_derive_sales_order, dk_hold_sales_order},
    [ENTITY_ORDER_LINE] = {dk_fill_order_line, dk_check_order_line, dk_derive_order_line, NULL},
    [ENTITY_HOLD] = {.check = dk_check_hold},
};

/* See sales.h. */
daybook_status dk_sales_fill(const struct sales_actor *actor, const struct sales_reader *reader,
                             bool created, struct record *record, struct arena *arena)
{
    struct sales_case given = {actor, reader, record, arena, created};
    const struct sales_rule *rule = &rules[record->entity->kind];
    if (created) {
        dk_fill_common(&given);
    }
    return rule->fill == NULL ? DAYBOOK_OK : rule->fill(&given);
}

/* The DERIVED fields of an entity, as a mask. */
static uint64_t derived_mask(const struct entity *entity)
{
    uint64_t mask = 0;
    for (int field = FIELD_COMMON_COUNT; field < entity->field_count; field++) {
        if (entity->fields[field].policy == POLICY_DERIVED) {
            mask |= (uint64_t)1 << field;
        }
    }
    return mask;
}

/* See sales.h. The old values are kept aside, so that the rule only sets. */
daybook_status dk_sales_derive(const struct sales_reader *reader, struct record *record,
                               struct arena *arena, uint64_t *changed)
{
    struct sales_case given = {NULL, reader, record, arena, false};
    const struct entity *entity = record->entity;
    const struct sales_rule *rule = &rules[entity->kind];
    struct value before[LIMIT_FIELDS];
    *changed = 0;
    if (rule->derive == NULL) {
        return DAYBOOK_OK;
    }
    memcpy(before, record->values, (size_t)entity->field_count * sizeof before[0]);
    daybook_status status = rule->derive(&given);
    if (status != DAYBOOK_OK) {
        return status;
    }
    uint64_t mask = derived_mask(entity);
    for (int field = FIELD_COMMON_COUNT; field < entity->field_count; field++) {
        if ((mask >> field & 1) != 0 && !dk_value_equal(&before[field], &record->values[field])) {
            *changed |= (uint64_t)1 << field;
        }
    }
    return DAYBOOK_OK;
}

/* See sales.h. */
bool dk_sales_can_hold(int entity)
{
    return rules[entity].hold != NULL;
}

/* See sales.h. */
daybook_status dk_sales_holds(const struct sales_reader *reader, struct record *record,
                              struct arena *arena, struct sales_hold *holds, int *count)
{
    struct sales_case given = {NULL, reader, record, arena, false};
    const struct sales_rule *rule = &rules[record->entity->kind];
    *count = 0;
    return rule->hold == NULL ? DAYBOOK_OK : rule->hold(&given, holds, count);
}

/* See sales.h. */
bool dk_sales_check(const struct record *record, uint64_t fields, struct refusal *refusal)
{
    const struct sales_rule *rule = &rules[record->entity->kind];
    *refusal = (struct refusal){0, NULL, NULL};
    return dk_check_required(record, fields, refusal) &&
           (rule->check == NULL || rule->check(record, refusal));
}
