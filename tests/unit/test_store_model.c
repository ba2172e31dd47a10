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
#include "tests/support/overlay_model.h"

#include "engine/base/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

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
        bool required = i == 0 || (overlay_entity_of(record) == ENTITY_QUOTE_LINE && i == 1);
        values->scalar[i] = required || overlay_chance(model, 70) ? 1 + overlay_draw(model, 90) : 0;
    }
    if (overlay_entity_of(record) == ENTITY_CUSTOMER) {
        values->scalar[3] = values->scalar[2] == 0 ? 0 : 1 + overlay_draw(model, 90);
    }
    for (int i = 0; i < KEYS; i++) {
        values->map[i] = overlay_chance(model, 60) ? 1 + overlay_draw(model, 90) : 0;
    }
    values->set = overlay_tags_of(record) >= 0 ? (unsigned)overlay_draw(model, 16) : 0;
    if (overlay_fields_of(record)[3] < 0) {
        values->scalar[3] = 0;
    }
}

static unsigned known_scalars(int record)
{
    return overlay_fields_of(record)[3] < 0 ? 0x7 : 0xF;
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
    desk_new(&model->desk, overlay_entity_of(record), &model->ids[record]);
    overlay_put_fixed(model, record);
    for (int i = 0; i < SCALARS; i++) {
        if ((change->scalars >> i & 1) != 0) {
            overlay_put_scalar(model, record, i, change->values.scalar[i]);
        }
    }
    if (change->set) {
        desk_text(&model->desk, overlay_tags_of(record), overlay_set_text(change->add, text));
    }
    if (change->values.map[0] != 0) {
        desk_text(&model->desk, FIELD_CUSTOM, overlay_map_text(change->values.map, false, text));
    }
}

/* {"add":[…],"remove":[…]} */
static void put_set_change(struct model *model, const struct model_change *change)
{
    char text[120], add[40], remove[40];
    const char *adds = overlay_set_text(change->add, add),
               *removes = overlay_set_text(change->remove, remove);
    (void)dk_text_format(text, sizeof text, "{\"add\":%s,\"remove\":%s}",
                         adds == NULL ? "[]" : adds, removes == NULL ? "[]" : removes);
    desk_text(&model->desk, overlay_tags_of(change->record), text);
}

static void stage_set(struct model *model, int record, const struct state *now)
{
    struct model_change *change = take(model, record, BLOCK_SET);
    char text[60];
    int64_t below = now->version > 0 && overlay_chance(model, 20) ? 1 : 0;
    change->seen = now->version - below;
    random_values(model, record, &change->values);
    unsigned given = 1u << overlay_draw(model, overlay_fields_of(record)[3] < 0 ? 3 : 4);
    if (overlay_entity_of(record) == ENTITY_CUSTOMER && (given & 0xC) != 0) {
        given = 0xC;
    }
    change->scalars = overlay_group_of(record, given);
    for (int i = 0; i < SCALARS; i++) {
        if (((change->scalars & ~given) >> i & 1) != 0) {
            change->values.scalar[i] = now->values.scalar[i];
        }
    }
    desk_set(&model->desk, overlay_entity_of(record), &model->ids[record], change->seen);
    for (int i = 0; i < SCALARS; i++) {
        if ((given >> i & 1) != 0) {
            overlay_put_scalar(model, record, i, change->values.scalar[i]);
        }
    }
    if (overlay_tags_of(record) >= 0 && overlay_chance(model, 40)) {
        change->set = true;
        change->add = (unsigned)overlay_draw(model, 16);
        change->remove = (unsigned)overlay_draw(model, 16) & ~change->add;
        put_set_change(model, change);
    }
    if (overlay_chance(model, 40)) {
        int only[KEYS] = {0};
        change->key = overlay_draw(model, KEYS);
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
    desk_delete(&model->desk, overlay_entity_of(record), &model->ids[record], now->version);
    for (int line = 0; line < RECORDS && overlay_entity_of(record) == ENTITY_QUOTE; line++) {
        bool pending;
        struct state below = overlay_expected(model, line, &pending);
        if (overlay_parent_of(line) == record && below.life == LIVE) {
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
    struct state now = overlay_expected(model, record, &pending);
    return now.life == LIVE || pending;
}

static void step_commit(struct model *model)
{
    struct model_set *set = &model->sets[model->seq + 1];
    int wanted = 1 + overlay_draw(model, 2);
    if (model->seq + 2 >= SETS) {
        return;
    }
    memset(set, 0, sizeof *set);
    for (int i = 0; i < wanted && set->count == i; i++) {
        int record = overlay_draw(model, RECORDS);
        bool pending;
        struct state now = overlay_expected(model, record, &pending);
        if (is_staged(model, record)) {
            break;
        }
        if (now.life == LIVE && set->count == 0 && overlay_chance(model, 15)) {
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
    int record = overlay_draw(model, RECORDS);
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
    } else if (overlay_chance(model, 20)) {
        delete_on_server(model, entry, record, true);
        for (int line = 0; line < RECORDS; line++) {
            if (overlay_parent_of(line) == record && model->server[line].life == LIVE) {
                delete_on_server(model, entry, line, true);
            }
        }
    } else if (overlay_chance(model, 15)) {
        add_row(model, entry, record, BLOCK_EVICT, 0, false, false);
        state->seen = false;
    } else {
        struct values fresh;
        unsigned scalars = overlay_group_of(
            record, 1u << overlay_draw(model, overlay_fields_of(record)[3] < 0 ? 3 : 4));
        random_values(model, record, &fresh);
        for (int i = 0; i < SCALARS; i++) {
            state->values.scalar[i] =
                (scalars >> i & 1) != 0 ? fresh.scalar[i] : state->values.scalar[i];
        }
        bool map = overlay_chance(model, 40),
             set = overlay_tags_of(record) >= 0 && overlay_chance(model, 40);
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
    overlay_apply(change, &after);
    state->values = after.values;
    state->version = model->head;
    if (before == DELETED) {
        add_row(model, entry, change->record, BLOCK_NEW, known_scalars(change->record), true, true);
    } else if (overlay_chance(model, 30)) {
        unsigned lost = change->scalars & overlay_group_of(change->record, 1);
        for (int i = 0; i < SCALARS; i++) {
            state->values.scalar[i] =
                (lost >> i & 1) != 0 ? 1 + overlay_draw(model, 90) : state->values.scalar[i];
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
    set->quarantined = first && depends < 0 && seq == model->seq && overlay_chance(model, 10);
    if (set->quarantined) {
        return;
    }
    if (depends >= 0 || overlay_chance(model, 20)) {
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
    desk_row(&model->desk, row->op, overlay_entity_of(row->record), 2, position,
             &model->ids[row->record]);
    if (row->op == BLOCK_DELETE || row->op == BLOCK_EVICT) {
        return;
    }
    if (row->op == BLOCK_NEW) {
        overlay_put_fixed(model, row->record);
    }
    for (int i = 0; i < SCALARS; i++) {
        if ((row->scalars >> i & 1) != 0 && overlay_fields_of(row->record)[i] >= 0) {
            overlay_put_scalar(model, row->record, i, row->values.scalar[i]);
        }
    }
    if (row->map) {
        desk_text(&model->desk, FIELD_CUSTOM,
                  overlay_map_text(row->values.map, row->op == BLOCK_SET, text));
    }
    if (row->set && overlay_tags_of(row->record) >= 0) {
        desk_text(&model->desk, overlay_tags_of(row->record),
                  overlay_set_text(row->values.set, text));
    }
}

/* The verdict of a decided changeset, where the device gets to hear it this time. */
static void tell_verdict(struct model *model, int64_t seq)
{
    struct model_set *set = &model->sets[seq];
    struct verdict verdict = {.seq = seq, .position = set->position};
    if (overlay_chance(model, 30)) {
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
        verdict.kind = overlay_chance(model, 50) ? VERDICT_ACCEPTED : VERDICT_MERGED;
    }
    desk_verdict(&model->desk, &verdict);
}

static void step_sync(struct model *model)
{
    int64_t upto = model->position;
    desk_send(&model->desk);
    if (model->head > model->position) {
        upto += overlay_chance(model, 50)
                    ? 1
                    : 1 + overlay_draw(model, (int)(model->head - model->position));
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
        if (overlay_is_pending(model, seq) || overlay_chance(model, 10)) {
            tell_verdict(model, seq);
        }
    }
    model->position = upto;
    model->desk.reply.safe_position = upto - overlay_draw(model, 5);
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
        int what = overlay_draw(model, 100);
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
        overlay_compare(model);
    }
    /* at the end everything is decided and read, and nothing is pending */
    for (int i = 0; i < 4 * SETS && model->decided < model->seq; i++) {
        step_decide(model);
    }
    for (int round = 0; round < 3 * SETS; round++) {
        step_decide(model);
        step_sync(model);
        overlay_compare(model);
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

/* Sanitizers make a seed up to ten times slower. */
#if defined(DAYBOOK_SANITIZED)
#define SEEDS 5
#else
#define SEEDS 25
#endif

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
    int seeds = count == NULL ? SEEDS : (int)strtol(count, NULL, 10);
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
