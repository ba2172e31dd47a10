/* SPDX-License-Identifier: Apache-2.0
 *
 * What holds a record up although it is applied: an order that names a product twice. Called by the
 * decision for documents whose lines change, and by the device to tell beforehand. Invariant: a
 * pure function of the record and its lines, so the order in which they came does not matter.
 */
#include "engine/sales/rules.h"

#include "engine/base/buffer.h"

#define DETAIL_MAX 4000 /* bytes, the limit of hold.detail */
#define DETAIL_LINES 20 /* lines that a detail names */

/* A return is no twin of a sale. */
static bool are_twins(const struct record *a, const struct record *b)
{
    const struct value *first = &a->values[ORDER_LINE_QTY], *second = &b->values[ORDER_LINE_QTY];
    return dk_value_equal(&a->values[ORDER_LINE_PRODUCT_ID], &b->values[ORDER_LINE_PRODUCT_ID]) &&
           first->kind == VALUE_INT && second->kind == VALUE_INT &&
           (first->integer < 0) == (second->integer < 0);
}

/* Appends an id in quotes. */
static void append_id(struct buffer *out, const struct id *id)
{
    char text[ID_TEXT_SIZE];
    dk_id_to_text(id, text);
    dk_buffer_append_char(out, '"');
    dk_buffer_append_text(out, text);
    dk_buffer_append_char(out, '"');
}

/* {"product":"…","count":2,"lines":["…","…"]}: all twins of the line at `first`. NULL: no memory.
 */
static const char *twins_detail(struct arena *arena, const struct record *lines, int line_count,
                                int first, int twins)
{
    struct buffer out;
    int named = 0;
    dk_buffer_init(&out, DETAIL_MAX);
    dk_buffer_append_text(&out, "{\"product\":");
    append_id(&out, &lines[first].values[ORDER_LINE_PRODUCT_ID].id);
    dk_buffer_append_text(&out, ",\"count\":");
    dk_buffer_append_int(&out, twins);
    dk_buffer_append_text(&out, ",\"lines\":[");
    for (int i = first; i < line_count && named < DETAIL_LINES; i++) {
        if (are_twins(&lines[first], &lines[i])) {
            dk_buffer_append_text(&out, named++ == 0 ? "" : ",");
            append_id(&out, &lines[i].id);
        }
    }
    dk_buffer_append_text(&out, "]}");
    const char *detail =
        out.status == DAYBOOK_OK ? dk_arena_copy(arena, out.bytes, out.length) : NULL;
    dk_buffer_clear(&out);
    return detail;
}

/* How many lines from `first` on are twins of it; 0 where one stands before it. */
static int count_twins(const struct record *lines, int line_count, int first)
{
    int twins = 0;
    for (int i = 0; i < line_count; i++) {
        bool twin = are_twins(&lines[first], &lines[i]);
        if (twin && i < first) {
            return 0;
        }
        twins += twin;
    }
    return twins;
}

/* One hold per product that stands on several lines. Lines of several hands are never summed up:
 * somebody has to say that they are meant. */
daybook_status dk_hold_sales_order(const struct sales_case *given, struct sales_hold *holds,
                                   int *count)
{
    struct record *lines;
    int line_count;
    daybook_status status =
        given->reader->children(given->reader->context, ENTITY_ORDER_LINE, &given->record->id,
                                given->arena, &lines, &line_count);
    for (int i = 0; status == DAYBOOK_OK && i < line_count && *count < SALES_HOLDS_MAX; i++) {
        int twins = count_twins(lines, line_count, i);
        if (twins < 2) {
            continue;
        }
        const char *detail = twins_detail(given->arena, lines, line_count, i, twins);
        holds[(*count)++] = (struct sales_hold){"DUP_LINE", "back_office", "twice", detail};
        status = detail == NULL ? DAYBOOK_NO_MEMORY : DAYBOOK_OK;
    }
    return status;
}
