/* SPDX-License-Identifier: Apache-2.0
 *
 * What the decider's tests of documents that are sent share: a quote with two lines, the copy of it
 * that its sender's device adds, and readers for what stands and what became the next revision.
 */
#ifndef DAYBOOK_TESTS_PAPER_WORLD_H
#define DAYBOOK_TESTS_PAPER_WORLD_H

#include "tests/unit/decide_world.h"

/* The record loses a value, as one that was stored before the field was known. */
static inline void take_value(struct world *world, int entity, const struct id *id, int field)
{
    struct srv_record row;
    assert_true(read_row(world, entity, id, &row));
    row.record.values[field].kind = VALUE_NULL;
    hold_transaction(world);
    assert_int_equal(srv_store_put(world->store, world->org.org, &row, true), DAYBOOK_OK);
    let_go(world);
}

/* A quote with two lines that everybody has. */
struct paper {
    struct id customer, product, quote, lines[2];
    int64_t seen;
};

static inline struct paper make_paper(struct world *world)
{
    struct paper paper = {.customer = make_customer(world, &world->wang, "shop")};
    static int number;
    char code[20];
    (void)snprintf(code, sizeof code, "P%d", ++number);
    paper.product = make_product(world, code);
    paper.quote = add_quote(world, &paper.customer);
    put_text(world, QUOTE_NOTE, "first");
    paper.lines[0] = add_line(world, &paper.quote, &paper.product, 1000);
    paper.lines[1] = add_line(world, &paper.quote, &paper.product, 2000);
    paper.seen = accept(world, &world->wang);
    return paper;
}

/* One record of the copy, as it is stored. */
static inline void copy_record(struct world *world, struct change *change, int entity,
                               const struct id *id)
{
    struct srv_record row;
    assert_true(read_row(world, entity, id, &row));
    *change = (struct change){.op = BLOCK_NEW, .entity = dk_entity(entity), .id = *id};
    change->values = dk_arena_new(&world->arena, LIMIT_FIELDS * sizeof *change->values);
    for (int i = 0; i < change->entity->field_count; i++) {
        enum merge_policy policy = change->entity->fields[i].policy;
        if (policy == POLICY_LATEST && row.record.values[i].kind != VALUE_NULL) {
            change->values[change->value_count++] =
                (struct field_value){.field = i, .value = row.record.values[i]};
        }
    }
    struct field_value extra = {.field = -1};
    const char *raw;
    size_t cursor = 0, name_length, length;
    while (dk_map_next(&row.record.extra, &cursor, &extra.name, &name_length, &raw, &length)) {
        extra.name_length = (uint32_t)name_length;
        extra.value = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)length, .text = raw};
        change->values[change->value_count++] = extra;
    }
}

/* What a device sends with the step to "sent": the quote and its lines as they are now, or, kept by
 * the test, as they were. */
static inline const char *copy_text(struct world *world, const struct paper *paper)
{
    struct buffer text;
    struct change changes[3];
    struct changeset copy = {
        .id = paper->quote, .seq = 1, .schema = SCHEMA_VERSION + 1, .change_count = 3};
    copy.changes = changes;
    copy_record(world, &changes[0], ENTITY_QUOTE, &paper->quote);
    copy_record(world, &changes[1], ENTITY_QUOTE_LINE, &paper->lines[0]);
    copy_record(world, &changes[2], ENTITY_QUOTE_LINE, &paper->lines[1]);
    dk_buffer_init(&text, 1 << 20);
    dk_changeset_encode(&text, &copy);
    const char *kept = dk_arena_copy(&world->arena, text.bytes, text.length);
    dk_buffer_clear(&text);
    assert_non_null(kept);
    return kept;
}

static inline void send_quote(struct world *world, const struct paper *paper, const char *copy)
{
    edit_record(world, ENTITY_QUOTE, &paper->quote, paper->seen);
    put_text(world, QUOTE_STATUS, "sent");
    put_text(world, QUOTE_SENT_COPY, copy);
}

/* The revision that was made of a quote; false: none. */
static inline bool find_fork(struct world *world, const struct paper *paper,
                             struct srv_record *fork)
{
    struct srv_record *rows;
    int count;
    struct id none = {{0}};
    assert_int_equal(srv_store_related(world->store, world->org.org, dk_entity(ENTITY_QUOTE),
                                       QUOTE_REVISION_OF, &paper->quote, &none, 10, false,
                                       &world->arena, &rows, &count),
                     DAYBOOK_OK);
    assert_in_range(count, 0, 1);
    if (count == 1) {
        *fork = rows[0];
    }
    return count == 1;
}

/* Quantities of the live lines of a quote, sorted, as text. */
static inline const char *quantities(struct world *world, const struct id *quote)
{
    struct srv_record *rows;
    int count;
    int64_t sorted[20];
    char text[200] = "";
    assert_int_equal(srv_store_children(world->store, world->org.org, dk_entity(ENTITY_QUOTE_LINE),
                                        quote, &world->arena, &rows, &count),
                     DAYBOOK_OK);
    for (int i = 0; i < count; i++) {
        int at = i;
        int64_t qty = rows[i].record.values[QUOTE_LINE_QTY].integer;
        while (at > 0 && sorted[at - 1] > qty) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = qty;
    }
    for (int i = 0; i < count; i++) {
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%lld", i == 0 ? "" : " ",
                       (long long)sorted[i]);
    }
    return dk_arena_copy(&world->arena, text, strlen(text));
}

#endif
