/* SPDX-License-Identifier: Apache-2.0
 *
 * See deal.h.
 */
#include "tests/support/deal.h"

static void order_line(struct rep *rep, const char *order, int qty, char *id)
{
    rep_putf(rep, "order_line", id,
             "{\"order_id\":\"%s\",\"product_id\":\"" TEA "\",\"qty\":%d,\"uom\":\"box\","
             "\"price_e4\":100000}",
             order, qty);
}

void deal_make(struct rep *rep, struct deal *deal)
{
    rep_put(rep, "customer", "{\"name\":\"shop\",\"prefs\":\"old\"}", deal->shop);
    rep_putf(rep, "sales_order", deal->order,
             "{\"customer_id\":\"%s\",\"cur\":\"CNY\",\"note\":\"old\"}", deal->shop);
    order_line(rep, deal->order, 1000, deal->line);
    rep_sync(rep);
}

void deal_old_rep_works(struct rep *rep, struct deal *deal)
{
    rep_putf(rep, "sales_order", deal->fresh,
             "{\"customer_id\":\"%s\",\"cur\":\"CNY\",\"note\":\"fresh\"}", deal->shop);
    order_line(rep, deal->fresh, 7000, NULL);
    rep_patch(rep, "sales_order", deal->order, "{\"note\":\"old rep\",\"deliver_by\":20270101}");
    order_line(rep, deal->order, 2000, NULL);
    rep_patch(rep, "order_line", deal->line, "{\"qty\":4000,\"uom\":\"box\"}");
    rep_visit(rep, deal->shop, "old rep", deal->visit);
    rep_patch(rep, "customer", deal->shop, "{\"prefs\":\"old rep\"}");
}

void deal_new_rep_works(struct rep *rep, const struct deal *deal, const char *text)
{
    rep_patchf(rep, "sales_order", deal->order, "{\"note\":\"%s\"}", text);
    order_line(rep, deal->order, 16000, NULL);
    rep_patchf(rep, "customer", deal->shop, "{\"prefs\":\"%s\"}", text);
}
