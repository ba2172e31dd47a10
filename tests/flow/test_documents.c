/* SPDX-License-Identifier: Apache-2.0
 *
 * Documents with lines that two devices work on at once: lines added on both sides all stay, an
 * edit wins against a delete, and a deleted document comes back with its lines when somebody still
 * worked on it.
 */
#include "tests/support/company.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct company company;
static struct rep *wang, *li;

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    wang = company_hire(&company, "wang", "rep", "East");
    li = company_hire(&company, "li", "rep", "East");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

/* Forgets the inboxes of earlier stories. */
static int clean_inboxes(void **state)
{
    (void)state;
    for (int i = 0; i < company.count; i++) {
        struct device *device = &company.reps[i].device;
        int64_t item;
        while ((item = device_int(device, "SELECT item FROM inbox LIMIT 1")) >= 0) {
            device_must(daybook_inbox_discard(device->engine, item), NULL);
        }
    }
    return 0;
}

/* A quote with one line of 28,148 fen that both have. */
static void new_quote(char quote[DAYBOOK_ID_SIZE], char line[DAYBOOK_ID_SIZE])
{
    rep_quote(wang, "好邻居", NULL, quote, line);
    company_settle(&company);
}

static void add_line(struct rep *rep, const char *quote, int qty, char *line)
{
    rep_putf(rep, "quote_line", line,
             "{\"quote_id\":\"%s\",\"product_id\":\"" COOKIE "\",\"qty\":%d,\"price_e4\":10000}",
             quote, qty);
}

/* `first` syncs before `second`, then everybody. */
static void meet(struct rep *first, struct rep *second)
{
    rep_sync(first);
    rep_sync(second);
    company_settle(&company);
}

static int64_t lines(struct rep *rep, const char *quote)
{
    return rep_count(rep, "SELECT count(*) FROM quote_line WHERE quote_id = ?1", quote);
}

static int64_t has(struct rep *rep, const char *entity, const char *id)
{
    return rep_field(rep, entity, id, "id")[0] != '\0';
}

static void both_have(const char *quote, int64_t count, const char *total)
{
    assert_int_equal(lines(wang, quote), count);
    assert_int_equal(lines(li, quote), count);
    assert_field(wang, "quote", quote, "total", total);
    assert_field(li, "quote", quote, "total", total);
    assert_string_equal(company_field(&company, "quote", quote, "total"), total);
}

static void test_documents__lines_added_on_both_sides_all_stay(void **state)
{
    char quote[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
    (void)state;
    new_quote(quote, line);
    add_line(wang, quote, 1000, NULL);
    add_line(wang, quote, 2000, NULL);
    add_line(li, quote, 3000, NULL);
    assert_field(wang, "quote", quote, "total", "28448");
    assert_field(li, "quote", quote, "total", "28448");
    meet(li, wang);
    both_have(quote, 4, "28748");
}

static void line_edited_and_deleted(struct rep *editor, struct rep *deleter, struct rep *first)
{
    char quote[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
    (void)clean_inboxes(NULL);
    new_quote(quote, line);
    rep_patch(editor, "quote_line", line, "{\"qty\":48000}");
    rep_delete(deleter, "quote_line", line);
    assert_int_equal(lines(deleter, quote), 0);
    meet(first, first == editor ? deleter : editor);
    both_have(quote, 1, "56296");
    assert_field(deleter, "quote_line", line, "qty", "48000");
    assert_field(deleter, "quote_line", line, "disc_bp", "500");
    /* Who deleted it is told. */
    assert_int_equal(rep_count(editor, "SELECT count(*) FROM inbox", NULL), 0);
    assert_int_equal(rep_count(deleter,
                               "SELECT count(*) FROM inbox WHERE kind = 'superseded'"
                               " AND entity = 'quote_line' AND record_id = ?1",
                               line),
                     1);
}

static void test_documents__line_edited_here_and_deleted_there_stays(void **state)
{
    (void)state;
    line_edited_and_deleted(wang, li, wang);
    line_edited_and_deleted(wang, li, li);
    line_edited_and_deleted(li, wang, wang);
}

static void test_documents__line_deleted_on_both_sides_is_gone(void **state)
{
    char quote[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
    (void)state;
    new_quote(quote, line);
    add_line(wang, quote, 1000, NULL);
    company_settle(&company);
    rep_delete(wang, "quote_line", line);
    rep_delete(li, "quote_line", line);
    meet(wang, li);
    both_have(quote, 1, "100");
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM inbox", NULL), 0);
    assert_int_equal(rep_count(li, "SELECT count(*) FROM inbox", NULL), 0);
}

static void test_documents__deleted_with_all_lines(void **state)
{
    char quote[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
    (void)state;
    new_quote(quote, line);
    add_line(li, quote, 1000, NULL);
    company_settle(&company);
    rep_delete(wang, "quote", quote);
    assert_int_equal(lines(wang, quote), 0);
    company_settle(&company);
    assert_false(has(li, "quote", quote));
    assert_int_equal(lines(li, quote), 0);
    assert_string_equal(company_field(&company, "quote", quote, "id"), "");
}

/* Deleted here; there a line is added, a line edited or the head edited: it comes back. */
static void revived(int edit, struct rep *deleter, struct rep *editor, struct rep *first)
{
    char quote[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE], gone[DAYBOOK_ID_SIZE];
    new_quote(quote, line);
    add_line(wang, quote, 5000, gone);
    company_settle(&company);
    /* A line that was deleted on its own stays deleted. */
    rep_delete(li, "quote_line", gone);
    company_settle(&company);

    rep_delete(deleter, "quote", quote);
    if (edit == 0) {
        add_line(editor, quote, 1000, NULL);
    } else if (edit == 1) {
        rep_patch(editor, "quote_line", line, "{\"sort_key\":\"b\"}");
    } else {
        rep_patch(editor, "quote", quote, "{\"note\":\"still wanted\"}");
    }
    meet(first, first == deleter ? editor : deleter);
    both_have(quote, edit == 0 ? 2 : 1, edit == 0 ? "28248" : "28148");
    assert_true(has(deleter, "quote_line", line));
    assert_false(has(deleter, "quote_line", gone));
    assert_field(deleter, "quote", quote, "cur", "CNY");
    assert_field(deleter, "quote", quote, "note", edit == 2 ? "still wanted" : "first");
}

static void test_documents__deleted_document_is_revived_by_an_edit(void **state)
{
    (void)state;
    for (int edit = 0; edit < 3; edit++) {
        revived(edit, wang, li, wang);
        revived(edit, wang, li, li);
    }
}

/* Sets the line while wang's exchange is under way, so that its reply goes in under the value. */
static char edited[DAYBOOK_ID_SIZE];

static void edit_meanwhile(void *context, int number, daybook_status status)
{
    (void)context;
    (void)number;
    (void)status;
    wang->tap.after = NULL;
    rep_patch(wang, "quote_line", edited, "{\"qty\":2000}");
}

/* Li's quantity has reached the device, but under a value of its own; whoever deletes the document
 * has seen only that. */
static void test_documents__deleted_over_a_hidden_edit_of_a_line_comes_back(void **state)
{
    char quote[DAYBOOK_ID_SIZE];
    (void)state;
    new_quote(quote, edited);
    rep_patch(li, "quote_line", edited, "{\"qty\":5000}");
    rep_sync(li);
    wang->tap.after = edit_meanwhile;
    tap_allow(&wang->tap, 1);
    (void)daybook_sync(wang->device.engine, 0, &wang->device.error);
    assert_string_equal(rep_field(wang, "quote_line", edited, "qty"), "2000");
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM outbox", NULL), 1);
    rep_delete(wang, "quote", quote);
    tap_allow(&wang->tap, -1);
    rep_sync(wang);
    company_settle(&company);
    assert_true(has(wang, "quote", quote));
    assert_true(has(li, "quote_line", edited));
}

/* Who cancels an order says which version of a line was seen, and does not bring it back by that.
 */
static void test_documents__line_deleted_while_its_order_is_cancelled_stays_away(void **state)
{
    char shop[DAYBOOK_ID_SIZE], order[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
    (void)state;
    rep_put(wang, "customer", "{\"name\":\"shop\"}", shop);
    rep_putf(wang, "sales_order", order, "{\"customer_id\":\"%s\",\"cur\":\"CNY\"}", shop);
    company_settle(&company);
    int64_t version = device_version(&li->device, "sales_order", order);
    rep_putf(wang, "order_line", line,
             "{\"order_id\":\"%s\",\"product_id\":\"" TEA "\",\"qty\":1000,\"price_e4\":50000}",
             order);
    company_settle(&company);
    assert_true(device_version(&li->device, "order_line", line) > version);
    assert_int_equal(rep_try_patch(li, "sales_order", order, version, "{\"status\":\"cancelled\"}"),
                     DAYBOOK_OK);
    rep_delete(wang, "order_line", line);
    rep_sync(wang);
    company_settle(&company);
    assert_field(wang, "sales_order", order, "status", "cancelled");
    assert_false(has(wang, "order_line", line));
    assert_false(has(li, "order_line", line));
}

static void test_documents__edit_after_the_delete_was_seen_is_refused_on_the_device(void **state)
{
    char quote[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
    (void)state;
    new_quote(quote, line);
    int64_t version = device_version(&li->device, "quote", quote);
    rep_delete(wang, "quote", quote);
    company_settle(&company);
    assert_int_equal(rep_try_patch(li, "quote", quote, version, "{\"note\":\"too late\"}"),
                     DAYBOOK_NOT_FOUND);
}

/* One document made, edited, given a line and deleted before anything was sent. */
static void test_documents__made_and_deleted_offline(void **state)
{
    char shop[DAYBOOK_ID_SIZE], order[DAYBOOK_ID_SIZE];
    (void)state;
    rep_put(li, "customer", "{\"name\":\"Kiosk\"}", shop);
    rep_putf(li, "sales_order", order, "{\"customer_id\":\"%s\",\"cur\":\"JPY\"}", shop);
    rep_putf(li, "order_line", NULL,
             "{\"order_id\":\"%s\",\"product_id\":\"" TEA "\",\"qty\":1000,\"price_e4\":1230000}",
             order);
    assert_field(li, "sales_order", order, "total", "123");
    rep_patch(li, "sales_order", order, "{\"note\":\"morning only\"}");
    rep_delete(li, "sales_order", order);
    company_settle(&company);
    assert_false(has(wang, "sales_order", order));
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM order_line WHERE order_id = ?1", order),
                     0);
    assert_true(has(wang, "customer", shop));
    assert_int_equal(rep_count(li, "SELECT count(*) FROM inbox", NULL), 0);
}

static void test_documents__totals_follow_merged_lines(void **state)
{
    char quote[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
    (void)state;
    new_quote(quote, line);
    /* Discount here, lines there: the total is of both. */
    rep_patch(wang, "quote", quote, "{\"header_disc_bp\":1000}");
    add_line(li, quote, 10000, NULL);
    rep_patch(li, "quote_line", line, "{\"disc_bp\":0}");
    meet(li, wang);
    /* 29,629 + 1,000 = 30,629; 10 % are 3,063. */
    both_have(quote, 2, "27566");
    assert_field(wang, "quote", quote, "subtotal", "30629");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_documents__lines_added_on_both_sides_all_stay, clean_inboxes),
        cmocka_unit_test_setup(test_documents__line_edited_here_and_deleted_there_stays,
                               clean_inboxes),
        cmocka_unit_test_setup(test_documents__line_deleted_on_both_sides_is_gone, clean_inboxes),
        cmocka_unit_test_setup(test_documents__deleted_with_all_lines, clean_inboxes),
        cmocka_unit_test_setup(test_documents__deleted_document_is_revived_by_an_edit,
                               clean_inboxes),
        cmocka_unit_test_setup(test_documents__deleted_over_a_hidden_edit_of_a_line_comes_back,
                               clean_inboxes),
        cmocka_unit_test_setup(test_documents__line_deleted_while_its_order_is_cancelled_stays_away,
                               clean_inboxes),
        cmocka_unit_test_setup(
            test_documents__edit_after_the_delete_was_seen_is_refused_on_the_device, clean_inboxes),
        cmocka_unit_test_setup(test_documents__made_and_deleted_offline, clean_inboxes),
        cmocka_unit_test_setup(test_documents__totals_follow_merged_lines, clean_inboxes),
    };
    return cmocka_run_group_tests_name("documents", tests, set_up, tear_down);
}
