/* SPDX-License-Identifier: Apache-2.0
 *
 * See overlay_model.h.
 */
#include "tests/support/overlay_model.h"

#include "engine/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

int overlay_draw(struct model *model, int count)
{
    return (int)((desk_random(&model->desk) >> 33) % (uint64_t)count);
}

bool overlay_chance(struct model *model, int percent)
{
    return overlay_draw(model, 100) < percent;
}

/* ---- records and their fields */

int overlay_entity_of(int record)
{
    return record < CUSTOMERS            ? ENTITY_CUSTOMER
           : record < CUSTOMERS + QUOTES ? ENTITY_QUOTE
                                         : ENTITY_QUOTE_LINE;
}

/* Lines alternate between the quotes; all quotes are of customer 0. */
int overlay_parent_of(int record)
{
    return overlay_entity_of(record) == ENTITY_QUOTE_LINE ? CUSTOMERS + record % QUOTES : -1;
}

const int *overlay_fields_of(int record)
{
    static const int customer[SCALARS] = {CUSTOMER_NAME, CUSTOMER_INDUSTRY, CUSTOMER_LAT,
                                          CUSTOMER_LON};
    static const int quote[SCALARS] = {QUOTE_NOTE, QUOTE_HEADER_DISC_BP, QUOTE_PRICE_LIST_VER, -1};
    static const int line[SCALARS] = {QUOTE_LINE_QTY, QUOTE_LINE_PRICE_E4, QUOTE_LINE_LIST_VER,
                                      QUOTE_LINE_SORT_KEY};
    int entity = overlay_entity_of(record);
    return entity == ENTITY_CUSTOMER ? customer : entity == ENTITY_QUOTE ? quote : line;
}

/* Fields that are merged as one: bits of scalars. */
unsigned overlay_group_of(int record, unsigned scalars)
{
    unsigned pair = overlay_entity_of(record) == ENTITY_CUSTOMER     ? 0xC
                    : overlay_entity_of(record) == ENTITY_QUOTE_LINE ? 0x6
                                                                     : 0;
    return (scalars & pair) != 0 ? scalars | pair : scalars;
}

static bool is_text(int record, int scalar)
{
    const struct field *field =
        &dk_entity(overlay_entity_of(record))->fields[overlay_fields_of(record)[scalar]];
    return field->type == FIELD_TEXT;
}

void overlay_put_scalar(struct model *model, int record, int scalar, int value)
{
    char text[16];
    int field = overlay_fields_of(record)[scalar];
    (void)dk_text_format(text, sizeof text, "v%d", value);
    if (is_text(record, scalar)) {
        desk_text(&model->desk, field, value == 0 ? NULL : text);
    } else if (value == 0) {
        desk_text(&model->desk, field, NULL);
    } else {
        desk_int(&model->desk, field, value);
    }
}

/* ["a","c"] of the bits, or NULL. */
const char *overlay_set_text(unsigned bits, char text[40])
{
    char *next = text;
    for (int i = 0; i < ELEMENTS; i++) {
        if ((bits >> i & 1) != 0) {
            next += snprintf(next, 8, "%s\"%c\"", next == text ? "[" : ",", 'a' + i);
        }
    }
    (void)snprintf(next, 4, "]");
    return bits == 0 ? NULL : text;
}

/* {"x":3} of the keys that have a value, or NULL; with_null: keys without one as null. */
const char *overlay_map_text(const int map[KEYS], bool with_null, char text[60])
{
    char *next = text;
    for (int i = 0; i < KEYS; i++) {
        if (map[i] != 0) {
            next += snprintf(next, 16, "%s\"%c\":%d", next == text ? "{" : ",", 'x' + i, map[i]);
        } else if (with_null) {
            next += snprintf(next, 16, "%s\"%c\":null", next == text ? "{" : ",", 'x' + i);
        }
    }
    (void)snprintf(next, 4, "}");
    return next == text ? NULL : text;
}

/* What every new record needs beside its own fields. */
void overlay_put_fixed(struct model *model, int record)
{
    struct id product = desk_fixed_id(0x77);
    if (overlay_entity_of(record) == ENTITY_QUOTE) {
        desk_ref(&model->desk, QUOTE_CUSTOMER_ID, &model->ids[0]);
        desk_text(&model->desk, QUOTE_CUR, "CNY");
    } else if (overlay_entity_of(record) == ENTITY_QUOTE_LINE) {
        desk_ref(&model->desk, QUOTE_LINE_QUOTE_ID, &model->ids[overlay_parent_of(record)]);
        desk_ref(&model->desk, QUOTE_LINE_PRODUCT_ID, &product);
    }
}

int overlay_tags_of(int record)
{
    return overlay_entity_of(record) == ENTITY_CUSTOMER ? CUSTOMER_TAGS : -1;
}

/* ---- the definition of the overlay */

void overlay_apply(const struct model_change *change, struct state *state)
{
    if (change->op == BLOCK_DELETE) {
        state->life = ABSENT;
        return;
    }
    if (change->op == BLOCK_NEW) {
        memset(&state->values, 0, sizeof state->values);
    } else if (state->life == ABSENT) {
        return;
    }
    state->life = LIVE;
    for (int i = 0; i < SCALARS; i++) {
        if ((change->scalars >> i & 1) != 0) {
            state->values.scalar[i] = change->values.scalar[i];
        }
    }
    if (change->key >= 0) {
        state->values.map[change->key] = change->values.map[change->key];
    }
    if (change->set) {
        state->values.set = (state->values.set & ~change->remove) | change->add;
    }
}

bool overlay_is_pending(const struct model *model, int64_t seq)
{
    const struct model_set *set = &model->sets[seq];
    if (set->rejected) {
        return !set->heard;
    }
    return set->position == 0 || set->position > model->position;
}

/* The record as it must be seen; *pending: something is on top. */
struct state overlay_expected(const struct model *model, int record, bool *pending)
{
    struct state state = model->history[model->position][record];
    int64_t seen = INT64_MAX;
    if (!state.seen) {
        state.life = ABSENT;
    }
    *pending = false;
    int base = state.life;
    for (int64_t seq = 1; seq <= model->seq; seq++) {
        for (int c = 0; overlay_is_pending(model, seq) && c < model->sets[seq].count; c++) {
            const struct model_change *change = &model->sets[seq].changes[c];
            if (change->record == record) {
                *pending = true;
                seen = change->seen < seen ? change->seen : seen;
                overlay_apply(change, &state);
            }
        }
    }
    if (!*pending && base == DELETED) {
        state.life = ABSENT;
    }
    state.version = *pending ? seen : state.version;
    return state;
}

/* ---- comparing */

static void compare_record(struct model *model, int record)
{
    bool pending;
    struct state want = overlay_expected(model, record, &pending);
    int entity = overlay_entity_of(record);
    const struct id *id = &model->ids[record];
    char text[60];
    if (desk_has(&model->desk, entity, id) != (want.life == LIVE)) {
        print_error("record %d is %s\n", record, want.life == LIVE ? "missing" : "there");
        fail();
    }
    if (want.life != LIVE) {
        return;
    }
    desk_expect_version(&model->desk, entity, id, want.version);
    for (int i = 0; i < SCALARS; i++) {
        int field = overlay_fields_of(record)[i], value = want.values.scalar[i];
        if (field < 0) {
            continue;
        }
        (void)dk_text_format(text, sizeof text, "v%d", value);
        if (value == 0) {
            desk_expect_null(&model->desk, entity, id, field);
        } else if (is_text(record, i)) {
            desk_expect_text(&model->desk, entity, id, field, text);
        } else {
            desk_expect_int(&model->desk, entity, id, field, value);
        }
    }
    const char *map = overlay_map_text(want.values.map, false, text);
    if (map == NULL) {
        desk_expect_null(&model->desk, entity, id, FIELD_CUSTOM);
    } else {
        desk_expect_text(&model->desk, entity, id, FIELD_CUSTOM, map);
    }
    const char *set = overlay_set_text(want.values.set, text);
    if (overlay_tags_of(record) >= 0 && set != NULL) {
        desk_expect_text(&model->desk, entity, id, overlay_tags_of(record), set);
    } else if (overlay_tags_of(record) >= 0) {
        desk_expect_null(&model->desk, entity, id, overlay_tags_of(record));
    }
}

void overlay_compare(struct model *model)
{
    for (int record = 0; record < RECORDS; record++) {
        compare_record(model, record);
    }
    desk_check(&model->desk);
    int64_t open = 0;
    for (int64_t seq = 1; seq <= model->seq; seq++) {
        open += overlay_is_pending(model, seq);
    }
    struct store_state now = desk_state(&model->desk);
    assert_int_equal(now.pending + now.unsettled, open);
    dk_arena_reset(&model->desk.arena);
}
