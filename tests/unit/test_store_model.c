/* SPDX-License-Identifier: Apache-2.0
 *
 * A store against a naive model, at random: local transactions, somebody else's entries, verdicts
 * that come, come twice or are lost, pages of any size, restarts. After each step every record is
 * what the model says, and the store's own invariants hold.
 *
 * The model is the definition of the overlay: the server's state at the device's position, with the
 * changesets on top that are neither rejected nor passed by the position. It shares no code with
 * the store. A failing seed is printed; DAYBOOK_SEED runs it alone.
 */
#include "tests/support/desk.h"

#include "engine/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

enum { CUSTOMERS = 5, QUOTES = 2, LINES = 4, RECORDS = CUSTOMERS + QUOTES + LINES };
enum { SCALARS = 4, KEYS = 3, ELEMENTS = 4, POSITIONS = 400, CHANGES = 4, SETS = 200 };
enum { ABSENT, LIVE, DELETED };

/* A record's values: 0 is "no value". set: bits of elements; map: values of keys. */
struct values {
    int scalar[SCALARS];
    int map[KEYS];
    unsigned set;
};

struct state {
    int life;
    bool seen; /* in the device's scope */
    int64_t version;
    struct values values;
};

struct model_change {
    int record;
    enum block_op op;
    int64_t seen;
    unsigned scalars; /* fields sent */
    int key;          /* -1: none */
    bool set;         /* `add` and `remove` are sent */
    unsigned add, remove;
    struct values values;
};

struct model_set {
    int64_t position;                  /* 0: not accepted */
    bool rejected, quarantined, heard; /* heard: the device has its final verdict */
    int depends; /* seq of the rejected changeset that it builds on; 0: none */
    int count;
    struct model_change changes[CHANGES];
};

struct entry_row {
    int record;
    enum block_op op;
    unsigned scalars;
    bool map, set;
    struct values values;
};

struct entry {
    int64_t seq; /* own; 0: somebody else's */
    int count;
    struct entry_row rows[RECORDS];
};

struct model {
    struct desk desk;
    struct id ids[RECORDS];
    struct state server[RECORDS];
    struct state history[POSITIONS][RECORDS];
    struct entry log[POSITIONS];
    struct model_set sets[SETS]; /* by seq */
    int64_t seq, decided, head, position;
    uint64_t seed;
};

static int draw(struct model *model, int count)
{
    return (int)((desk_random(&model->desk) >> 33) % (uint64_t)count);
}

static bool chance(struct model *model, int percent)
{
    return draw(model, 100) < percent;
}

/* ---- records and their fields */

static int entity_of(int record)
{
    return record < CUSTOMERS            ? ENTITY_CUSTOMER
           : record < CUSTOMERS + QUOTES ? ENTITY_QUOTE
                                         : ENTITY_QUOTE_LINE;
}

/* Lines alternate between the quotes; all quotes are of customer 0. */
static int parent_of(int record)
{
    return entity_of(record) == ENTITY_QUOTE_LINE ? CUSTOMERS + record % QUOTES : -1;
}

static const int *fields_of(int record)
{
    static const int customer[SCALARS] = {CUSTOMER_NAME, CUSTOMER_INDUSTRY, CUSTOMER_LAT,
                                          CUSTOMER_LON};
    static const int quote[SCALARS] = {QUOTE_NOTE, QUOTE_HEADER_DISC_BP, QUOTE_PRICE_LIST_VER, -1};
    static const int line[SCALARS] = {QUOTE_LINE_QTY, QUOTE_LINE_PRICE_E4, QUOTE_LINE_LIST_VER,
                                      QUOTE_LINE_SORT_KEY};
    int entity = entity_of(record);
    return entity == ENTITY_CUSTOMER ? customer : entity == ENTITY_QUOTE ? quote : line;
}

/* Fields that are merged as one: bits of scalars. */
static unsigned group_of(int record, unsigned scalars)
{
    unsigned pair = entity_of(record) == ENTITY_CUSTOMER     ? 0xC
                    : entity_of(record) == ENTITY_QUOTE_LINE ? 0x6
                                                             : 0;
    return (scalars & pair) != 0 ? scalars | pair : scalars;
}

static bool is_text(int record, int scalar)
{
    const struct field *field = &dk_entity(entity_of(record))->fields[fields_of(record)[scalar]];
    return field->type == FIELD_TEXT;
}

static void put_scalar(struct model *model, int record, int scalar, int value)
{
    char text[16];
    int field = fields_of(record)[scalar];
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
static const char *set_text(unsigned bits, char text[40])
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
static const char *map_text(const int map[KEYS], bool with_null, char text[60])
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
static void put_fixed(struct model *model, int record)
{
    struct id product = desk_fixed_id(0x77);
    if (entity_of(record) == ENTITY_QUOTE) {
        desk_ref(&model->desk, QUOTE_CUSTOMER_ID, &model->ids[0]);
        desk_text(&model->desk, QUOTE_CUR, "CNY");
    } else if (entity_of(record) == ENTITY_QUOTE_LINE) {
        desk_ref(&model->desk, QUOTE_LINE_QUOTE_ID, &model->ids[parent_of(record)]);
        desk_ref(&model->desk, QUOTE_LINE_PRODUCT_ID, &product);
    }
}

static int tags_of(int record)
{
    return entity_of(record) == ENTITY_CUSTOMER ? CUSTOMER_TAGS : -1;
}

/* ---- the definition of the overlay */

static void apply_change(const struct model_change *change, struct state *state)
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

static bool is_pending(const struct model *model, int64_t seq)
{
    const struct model_set *set = &model->sets[seq];
    if (set->rejected) {
        return !set->heard;
    }
    return set->position == 0 || set->position > model->position;
}

/* The record as it must be seen; *pending: something is on top. */
static struct state expected(const struct model *model, int record, bool *pending)
{
    struct state state = model->history[model->position][record];
    int64_t seen = INT64_MAX;
    if (!state.seen) {
        state.life = ABSENT;
    }
    *pending = false;
    int base = state.life;
    for (int64_t seq = 1; seq <= model->seq; seq++) {
        for (int c = 0; is_pending(model, seq) && c < model->sets[seq].count; c++) {
            const struct model_change *change = &model->sets[seq].changes[c];
            if (change->record == record) {
                *pending = true;
                seen = change->seen < seen ? change->seen : seen;
                apply_change(change, &state);
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
    struct state want = expected(model, record, &pending);
    int entity = entity_of(record);
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
        int field = fields_of(record)[i], value = want.values.scalar[i];
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
    const char *map = map_text(want.values.map, false, text);
    if (map == NULL) {
        desk_expect_null(&model->desk, entity, id, FIELD_CUSTOM);
    } else {
        desk_expect_text(&model->desk, entity, id, FIELD_CUSTOM, map);
    }
    const char *set = set_text(want.values.set, text);
    if (tags_of(record) >= 0 && set != NULL) {
        desk_expect_text(&model->desk, entity, id, tags_of(record), set);
    } else if (tags_of(record) >= 0) {
        desk_expect_null(&model->desk, entity, id, tags_of(record));
    }
}

static void compare(struct model *model)
{
    for (int record = 0; record < RECORDS; record++) {
        compare_record(model, record);
    }
    desk_check(&model->desk);
    int64_t open = 0;
    for (int64_t seq = 1; seq <= model->seq; seq++) {
        open += is_pending(model, seq);
    }
    struct store_state now = desk_state(&model->desk);
    assert_int_equal(now.pending + now.unsettled, open);
    dk_arena_reset(&model->desk.arena);
}

/* ---- local transactions */

static struct model_change *take(struct model *model, int record, enum block_op op)
{
    struct model_set *set = &model->sets[model->seq + 1];
    struct model_change *change = &set->changes[set->count++];
    *change = (struct model_change){.record = record, .op = op, .key = -1};
    return change;
}

/* Random values for the fields that are sent; a name, quantity and price always have one, a place
 * has both or none. */
static void random_values(struct model *model, int record, struct values *values)
{
    for (int i = 0; i < SCALARS; i++) {
        bool required = i == 0 || (entity_of(record) == ENTITY_QUOTE_LINE && i == 1);
        values->scalar[i] = required || chance(model, 70) ? 1 + draw(model, 90) : 0;
    }
    if (entity_of(record) == ENTITY_CUSTOMER) {
        values->scalar[3] = values->scalar[2] == 0 ? 0 : 1 + draw(model, 90);
    }
    for (int i = 0; i < KEYS; i++) {
        values->map[i] = chance(model, 60) ? 1 + draw(model, 90) : 0;
    }
    values->set = tags_of(record) >= 0 ? (unsigned)draw(model, 16) : 0;
    if (fields_of(record)[3] < 0) {
        values->scalar[3] = 0;
    }
}

static unsigned known_scalars(int record)
{
    return fields_of(record)[3] < 0 ? 0x7 : 0xF;
}

static void stage_new(struct model *model, int record)
{
    struct model_change *change = take(model, record, BLOCK_NEW);
    char text[60];
    random_values(model, record, &change->values);
    change->scalars = known_scalars(record);
    change->set = change->values.set != 0;
    change->add = change->values.set;
    change->key = 0;
    change->values.map[1] = change->values.map[2] = 0;
    desk_new(&model->desk, entity_of(record), &model->ids[record]);
    put_fixed(model, record);
    for (int i = 0; i < SCALARS; i++) {
        if ((change->scalars >> i & 1) != 0) {
            put_scalar(model, record, i, change->values.scalar[i]);
        }
    }
    if (change->set) {
        desk_text(&model->desk, tags_of(record), set_text(change->add, text));
    }
    if (change->values.map[0] != 0) {
        desk_text(&model->desk, FIELD_CUSTOM, map_text(change->values.map, false, text));
    }
}

/* {"add":[…],"remove":[…]} */
static void put_set_change(struct model *model, const struct model_change *change)
{
    char text[120], add[40], remove[40];
    const char *adds = set_text(change->add, add), *removes = set_text(change->remove, remove);
    (void)dk_text_format(text, sizeof text, "{\"add\":%s,\"remove\":%s}",
                         adds == NULL ? "[]" : adds, removes == NULL ? "[]" : removes);
    desk_text(&model->desk, tags_of(change->record), text);
}

static void stage_set(struct model *model, int record, const struct state *now)
{
    struct model_change *change = take(model, record, BLOCK_SET);
    char text[60];
    int64_t below = now->version > 0 && chance(model, 20) ? 1 : 0;
    change->seen = now->version - below;
    random_values(model, record, &change->values);
    unsigned given = 1u << draw(model, fields_of(record)[3] < 0 ? 3 : 4);
    if (entity_of(record) == ENTITY_CUSTOMER && (given & 0xC) != 0) {
        given = 0xC;
    }
    change->scalars = group_of(record, given);
    for (int i = 0; i < SCALARS; i++) {
        if (((change->scalars & ~given) >> i & 1) != 0) {
            change->values.scalar[i] = now->values.scalar[i];
        }
    }
    desk_set(&model->desk, entity_of(record), &model->ids[record], change->seen);
    for (int i = 0; i < SCALARS; i++) {
        if ((given >> i & 1) != 0) {
            put_scalar(model, record, i, change->values.scalar[i]);
        }
    }
    if (tags_of(record) >= 0 && chance(model, 40)) {
        change->set = true;
        change->add = (unsigned)draw(model, 16);
        change->remove = (unsigned)draw(model, 16) & ~change->add;
        put_set_change(model, change);
    }
    if (chance(model, 40)) {
        int only[KEYS] = {0};
        change->key = draw(model, KEYS);
        only[change->key] = change->values.map[change->key];
        (void)dk_text_format(text, sizeof text,
                             only[change->key] == 0 ? "{\"%c\":null}" : "{\"%c\":%d}",
                             'x' + change->key, only[change->key]);
        desk_text(&model->desk, FIELD_CUSTOM, text);
    }
}

static bool is_staged(const struct model *model, int record)
{
    const struct model_set *set = &model->sets[model->seq + 1];
    for (int i = 0; i < set->count; i++) {
        if (set->changes[i].record == record) {
            return true;
        }
    }
    return false;
}

/* A document goes with its lines, which the store adds by itself. */
static void stage_delete(struct model *model, int record, const struct state *now)
{
    take(model, record, BLOCK_DELETE)->seen = now->version;
    desk_delete(&model->desk, entity_of(record), &model->ids[record], now->version);
    for (int line = 0; line < RECORDS && entity_of(record) == ENTITY_QUOTE; line++) {
        bool pending;
        struct state below = expected(model, line, &pending);
        if (parent_of(line) == record && below.life == LIVE) {
            struct state base = model->history[model->position][line];
            take(model, line, BLOCK_DELETE)->seen =
                base.seen && base.life != ABSENT ? base.version : 0;
        }
    }
}

/* Whether a pending changeset made the record, or anything is pending that keeps its id taken. */
static bool is_taken(const struct model *model, int record)
{
    bool pending;
    struct state now = expected(model, record, &pending);
    return now.life == LIVE || pending;
}

static void step_commit(struct model *model)
{
    struct model_set *set = &model->sets[model->seq + 1];
    int wanted = 1 + draw(model, 2);
    if (model->seq + 2 >= SETS) {
        return;
    }
    memset(set, 0, sizeof *set);
    for (int i = 0; i < wanted && set->count == i; i++) {
        int record = draw(model, RECORDS);
        bool pending;
        struct state now = expected(model, record, &pending);
        if (is_staged(model, record)) {
            break;
        }
        if (now.life == LIVE && set->count == 0 && chance(model, 15)) {
            stage_delete(model, record, &now);
            break; /* its lines may not be named again */
        }
        if (now.life == LIVE) {
            stage_set(model, record, &now);
        } else if (!is_taken(model, record) && model->server[record].life == ABSENT &&
                   model->server[record].version == 0) {
            stage_new(model, record);
        }
    }
    if (set->count == 0) {
        return;
    }
    desk_commit(&model->desk);
    model->seq++;
}

/* ---- the server */

static struct entry *begin_entry(struct model *model, int64_t seq)
{
    struct entry *entry = &model->log[++model->head];
    memset(entry, 0, sizeof *entry);
    entry->seq = seq;
    return entry;
}

static void end_entry(struct model *model)
{
    memcpy(model->history[model->head], model->server, sizeof model->server);
}

static void add_row(struct model *model, struct entry *entry, int record, enum block_op op,
                    unsigned scalars, bool map, bool set)
{
    struct state *state = &model->server[record];
    state->version = model->head;
    if (state->seen) {
        entry->rows[entry->count++] =
            (struct entry_row){record, op, scalars, map, set, state->values};
    }
}

/* Of a record that it deleted itself the device keeps no values. */
static void delete_on_server(struct model *model, struct entry *entry, int record, bool tell)
{
    model->server[record].life = tell ? DELETED : ABSENT;
    if (tell) {
        add_row(model, entry, record, BLOCK_DELETE, 0, false, false);
    } else {
        model->server[record].version = model->head;
    }
}

/* Somebody else does something. */
static void step_foreign(struct model *model)
{
    int record = draw(model, RECORDS);
    struct state *state = &model->server[record];
    if (model->head + 2 >= POSITIONS) {
        return;
    }
    struct entry *entry = begin_entry(model, 0);
    if (state->life != LIVE || !state->seen) {
        /* made, revived, or moved into view */
        bool fresh = state->life != LIVE && state->version == 0;
        bool promised = false;
        for (int64_t seq = 1; fresh && seq <= model->seq; seq++) {
            for (int c = 0; c < model->sets[seq].count; c++) {
                promised = promised || model->sets[seq].changes[c].record == record;
            }
        }
        if (promised) {
            end_entry(model); /* the device's own id: nobody else makes that one */
            return;
        }
        if (state->life != LIVE) {
            random_values(model, record, &state->values);
        }
        state->life = LIVE;
        state->seen = true;
        add_row(model, entry, record, BLOCK_NEW, known_scalars(record), true, true);
    } else if (chance(model, 20)) {
        delete_on_server(model, entry, record, true);
        for (int line = 0; line < RECORDS; line++) {
            if (parent_of(line) == record && model->server[line].life == LIVE) {
                delete_on_server(model, entry, line, true);
            }
        }
    } else if (chance(model, 15)) {
        add_row(model, entry, record, BLOCK_EVICT, 0, false, false);
        state->seen = false;
    } else {
        struct values fresh;
        unsigned scalars = group_of(record, 1u << draw(model, fields_of(record)[3] < 0 ? 3 : 4));
        random_values(model, record, &fresh);
        for (int i = 0; i < SCALARS; i++) {
            state->values.scalar[i] =
                (scalars >> i & 1) != 0 ? fresh.scalar[i] : state->values.scalar[i];
        }
        bool map = chance(model, 40), set = tags_of(record) >= 0 && chance(model, 40);
        if (map) {
            memcpy(state->values.map, fresh.map, sizeof fresh.map);
        }
        state->values.set = set ? fresh.set : state->values.set;
        add_row(model, entry, record, BLOCK_SET, scalars, map, set);
    }
    end_entry(model);
}

/* Why the server cannot accept the changeset: -1 nothing stands against it, 0 it is simply wrong,
 * else the seq of the rejected changeset that it builds on. */
static int64_t obstacle(const struct model *model, const struct model_set *set)
{
    for (int c = 0; c < set->count; c++) {
        const struct model_change *change = &set->changes[c];
        const struct state *state = &model->server[change->record];
        bool exists = state->version != 0;
        if (change->op == BLOCK_NEW && exists) {
            return 0;
        }
        for (int64_t seq = 1; change->op != BLOCK_NEW && !exists && seq <= model->decided; seq++) {
            for (int i = 0; i < model->sets[seq].count; i++) {
                if (model->sets[seq].rejected &&
                    model->sets[seq].changes[i].record == change->record) {
                    return seq;
                }
            }
        }
        if (change->op != BLOCK_NEW && !exists) {
            return 0;
        }
    }
    return -1;
}

/* One change of an accepted changeset; now and then somebody else's value wins. */
static void accept_change(struct model *model, struct entry *entry,
                          const struct model_change *change)
{
    struct state *state = &model->server[change->record];
    int before = state->life;
    if (change->op == BLOCK_DELETE) {
        delete_on_server(model, entry, change->record, false);
        return;
    }
    if (change->op == BLOCK_NEW) {
        state->seen = true;
    }
    state->life = before == ABSENT && change->op == BLOCK_SET ? before : LIVE;
    struct state after = *state;
    apply_change(change, &after);
    state->values = after.values;
    state->version = model->head;
    if (before == DELETED) {
        add_row(model, entry, change->record, BLOCK_NEW, known_scalars(change->record), true, true);
    } else if (chance(model, 30)) {
        unsigned lost = change->scalars & group_of(change->record, 1);
        for (int i = 0; i < SCALARS; i++) {
            state->values.scalar[i] =
                (lost >> i & 1) != 0 ? 1 + draw(model, 90) : state->values.scalar[i];
        }
        add_row(model, entry, change->record, BLOCK_SET, lost, false, false);
    }
}

/* Decides the next changeset of the device, or one that waits in quarantine. */
static void step_decide(struct model *model)
{
    int64_t seq = model->decided + 1;
    for (int64_t old = 1; old <= model->decided; old++) {
        if (model->sets[old].quarantined) {
            seq = old;
            break;
        }
    }
    if (seq > model->seq || model->head + 2 >= POSITIONS || model->sets[seq].count == 0) {
        return;
    }
    struct model_set *set = &model->sets[seq];
    bool first = seq > model->decided;
    model->decided = first ? seq : model->decided;
    int64_t depends = obstacle(model, set);
    set->quarantined = first && depends < 0 && seq == model->seq && chance(model, 10);
    if (set->quarantined) {
        return;
    }
    if (depends >= 0 || chance(model, 20)) {
        set->rejected = true;
        set->depends = depends > 0 ? (int)depends : 0;
        return;
    }
    struct entry *entry = begin_entry(model, seq);
    set->position = model->head;
    for (int c = 0; c < set->count; c++) {
        accept_change(model, entry, &set->changes[c]);
    }
    end_entry(model);
}

/* ---- replies */

static void tell_row(struct model *model, int64_t position, const struct entry_row *row)
{
    char text[60];
    desk_row(&model->desk, row->op, entity_of(row->record), 2, position, &model->ids[row->record]);
    if (row->op == BLOCK_DELETE || row->op == BLOCK_EVICT) {
        return;
    }
    if (row->op == BLOCK_NEW) {
        put_fixed(model, row->record);
    }
    for (int i = 0; i < SCALARS; i++) {
        if ((row->scalars >> i & 1) != 0 && fields_of(row->record)[i] >= 0) {
            put_scalar(model, row->record, i, row->values.scalar[i]);
        }
    }
    if (row->map) {
        desk_text(&model->desk, FIELD_CUSTOM,
                  map_text(row->values.map, row->op == BLOCK_SET, text));
    }
    if (row->set && tags_of(row->record) >= 0) {
        desk_text(&model->desk, tags_of(row->record), set_text(row->values.set, text));
    }
}

/* The verdict of a decided changeset, where the device gets to hear it this time. */
static void tell_verdict(struct model *model, int64_t seq)
{
    struct model_set *set = &model->sets[seq];
    struct verdict verdict = {.seq = seq, .position = set->position};
    if (chance(model, 30)) {
        return; /* lost */
    }
    if (set->quarantined) {
        verdict.kind = VERDICT_QUARANTINED;
        verdict.code = REJECT_INTERNAL;
    } else if (set->rejected) {
        verdict.kind = VERDICT_REJECTED;
        verdict.code = set->depends != 0 ? REJECT_DEPENDS : REJECT_RULE;
        set->heard = true;
    } else {
        verdict.kind = chance(model, 50) ? VERDICT_ACCEPTED : VERDICT_MERGED;
    }
    desk_verdict(&model->desk, &verdict);
}

static void step_sync(struct model *model)
{
    int64_t upto = model->position;
    desk_send(&model->desk);
    if (model->head > model->position) {
        upto += chance(model, 50) ? 1 : 1 + draw(model, (int)(model->head - model->position));
    }
    for (int64_t position = model->position + 1; position <= upto; position++) {
        const struct entry *entry = &model->log[position];
        if (entry->seq != 0) {
            desk_own(&model->desk, position, entry->seq, 2);
        }
        for (int i = 0; i < entry->count; i++) {
            tell_row(model, position, &entry->rows[i]);
        }
    }
    for (int64_t seq = 1; seq <= model->decided; seq++) {
        if (is_pending(model, seq) || chance(model, 10)) {
            tell_verdict(model, seq);
        }
    }
    model->position = upto;
    model->desk.reply.safe_position = upto - draw(model, 5);
    model->desk.reply.safe_position -= model->desk.reply.safe_position == 0 ? 1 : 0;
    daybook_status status = desk_try_apply(&model->desk, upto, model->head);
    if (status != DAYBOOK_OK) {
        print_error("apply: %s\n", model->desk.reply_problem);
    }
    assert_int_equal(status, DAYBOOK_OK);
}

static void step_reopen(struct model *model)
{
    desk_close(&model->desk);
    desk_open(&model->desk);
}

/* ---- running */

static void run_seed(uint64_t seed, int steps)
{
    struct model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    desk_init(&model->desk);
    model->desk.options.relaxed = true; /* waiting for the disk is not what is tested */
    desk_open(&model->desk);
    desk_enrol(&model->desk, 5);
    model->seed = seed;
    model->desk.random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    for (int i = 0; i < RECORDS; i++) {
        model->ids[i] = desk_id(&model->desk);
    }
    for (int step = 0; step < steps; step++) {
        int what = draw(model, 100);
        if (what < 30) {
            step_commit(model);
        } else if (what < 55) {
            step_foreign(model);
        } else if (what < 75) {
            step_decide(model);
        } else if (what < 97) {
            step_sync(model);
        } else {
            step_reopen(model);
        }
        compare(model);
    }
    /* at the end everything is decided and read, and nothing is pending */
    for (int i = 0; i < 4 * SETS && model->decided < model->seq; i++) {
        step_decide(model);
    }
    for (int round = 0; round < 3 * SETS; round++) {
        step_decide(model);
        step_sync(model);
        compare(model);
        struct store_state now = desk_state(&model->desk);
        if (now.pending + now.unsettled == 0 && model->position == model->head) {
            break;
        }
    }
    struct store_state now = desk_state(&model->desk);
    assert_int_equal(now.pending + now.unsettled, 0);
    assert_int_equal(now.settled, model->seq);
    assert_int_equal(desk_number(&model->desk, "SELECT count(*) FROM pending"), 0);
    desk_clear(&model->desk);
    free(model);
}

/* The seed under way, so that a failure can name it. */
static int begin_seed(void **state)
{
    *state = calloc(1, sizeof(int));
    return *state == NULL ? -1 : 0;
}

static int end_seed(void **state)
{
    int *running = *state;
    if (*running != 0) {
        print_error("failed with DAYBOOK_SEED=%d\n", *running);
    }
    free(running);
    return 0;
}

static void test_store_model__every_step_is_what_the_model_says(void **state)
{
    const char *only = getenv("DAYBOOK_SEED");
    const char *count = getenv("DAYBOOK_SEEDS");
    int seeds = count == NULL ? 25 : atoi(count);
    int *running = *state;
    if (only != NULL) {
        run_seed(strtoull(only, NULL, 10), 160);
        return;
    }
    for (int seed = 1; seed <= seeds; seed++) {
        *running = seed;
        run_seed((uint64_t)seed, 160);
    }
    *running = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_store_model__every_step_is_what_the_model_says,
                                        begin_seed, end_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
