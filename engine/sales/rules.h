/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of one entity, as rules.c lists them. Internal to engine/sales. A rule function reads
 * other records through the reader only and changes nothing but its record.
 */
#ifndef DAYBOOK_SALES_RULES_H
#define DAYBOOK_SALES_RULES_H

#include "engine/sales/sales.h"

/* What a rule function is given. */
struct sales_case {
    const struct sales_actor *actor; /* fill only */
    const struct sales_reader *reader;
    struct record *record;
    struct arena *arena;
    bool created; /* fill only */
};

/* NULL: the entity has no such rule. */
struct sales_rule {
    daybook_status (*fill)(const struct sales_case *given); /* beyond the common fields */
    bool (*check)(const struct record *record, struct refusal *refusal); /* beyond REQUIRED */
    daybook_status (*derive)(const struct sales_case *given); /* sets the DERIVED fields */
    /* adds to the holds that the record deserves */
    daybook_status (*hold)(const struct sales_case *given, struct sales_hold *holds, int *count);
};

/* fill.c */
/* created_ts, created_by, created_dev and first states of a new record; SERVER fields that a device
 * cannot have sent become NULL. */
void dk_fill_common(const struct sales_case *given);
daybook_status dk_fill_customer(const struct sales_case *given);
daybook_status dk_fill_opportunity(const struct sales_case *given);
daybook_status dk_fill_visit(const struct sales_case *given);
daybook_status dk_fill_quote(const struct sales_case *given);
daybook_status dk_fill_quote_line(const struct sales_case *given);
daybook_status dk_fill_order_line(const struct sales_case *given);

/* check.c */
/* Each of these fields that is REQUIRED has a value that is not empty. */
bool dk_check_required(const struct record *record, uint64_t fields, struct refusal *refusal);
bool dk_check_organisation(const struct record *record, struct refusal *refusal);
bool dk_check_user(const struct record *record, struct refusal *refusal);
bool dk_check_customer(const struct record *record, struct refusal *refusal);
bool dk_check_product(const struct record *record, struct refusal *refusal);
bool dk_check_price(const struct record *record, struct refusal *refusal);
bool dk_check_opportunity(const struct record *record, struct refusal *refusal);
bool dk_check_visit(const struct record *record, struct refusal *refusal);
bool dk_check_visit_action(const struct record *record, struct refusal *refusal);
bool dk_check_photo(const struct record *record, struct refusal *refusal);
bool dk_check_quote(const struct record *record, struct refusal *refusal);
bool dk_check_sales_order(const struct record *record, struct refusal *refusal);
bool dk_check_quote_line(const struct record *record, struct refusal *refusal);
bool dk_check_order_line(const struct record *record, struct refusal *refusal);
bool dk_check_hold(const struct record *record, struct refusal *refusal);

/* hold.c */
daybook_status dk_hold_sales_order(const struct sales_case *given, struct sales_hold *holds,
                                   int *count);

/* customer.c */
daybook_status dk_derive_customer(const struct sales_case *given);

/* document.c */
daybook_status dk_derive_quote(const struct sales_case *given);
daybook_status dk_derive_sales_order(const struct sales_case *given);
daybook_status dk_derive_quote_line(const struct sales_case *given);
daybook_status dk_derive_order_line(const struct sales_case *given);

#endif
