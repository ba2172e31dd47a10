/* SPDX-License-Identifier: Apache-2.0
 *
 * Random concurrent changesets of three devices, under every policy that merges, decided twice: on
 * two records that are alike, in two random orders of arrival. Afterwards the two are alike again,
 * lines and liveness included: what stands does not depend on who came first.
 */
#include "tests/unit/decide_world.h"

#include "engine/sales/machines.h"

#define TRIALS 400
#define DEVICES 3
#define STEPS_MAX 4   /* changesets of one device */
#define VALUES_MAX 16 /* of one change */
#define CANDIDATES_MAX 20
#define STORY_SIZE 6000
#define LINES 4 /* two of the document, two that are added */

/* One changeset: a change of the document or of one of its lines, or a delete of either. */
struct act {
    enum block_op op;
    int line; /* -1: the document */
    int64_t hlc_ms;
    struct field_value values[VALUES_MAX];
    int count;
};

/* What one device does, in this order; it never sees what others do. */
struct plan {
    struct act acts[STEPS_MAX];
    int count;
    int state;                   /* that the device shows */
    bool gone, line_gone[LINES]; /* that it has deleted */
};

/* One of the two documents. */
struct twin {
    struct id id, lines[LINES];
    int64_t base;           /* the version that all devices have seen */
    char story[STORY_SIZE]; /* what was decided, in its order */
};

struct trial {
    struct world *world;
    uint64_t random;
    int entity, line_entity; /* -1: it has no lines */
    struct plan plans[DEVICES];
    struct twin twins[2];
    struct id product;
    int number;
    int added;    /* lines, by any device */
    bool refused; /* some act */
};

static int next(struct trial *trial, int bound)
{
    trial->random ^= trial->random << 13;
    trial->random ^= trial->random >> 7;
    trial->random ^= trial->random << 17;
    return (int)((trial->random >> 11) % (uint64_t)bound);
}

static struct device *device_of(struct trial *trial, int number)
{
    struct world *world = trial->world;
    return number == 0 ? &world->li : number == 1 ? &world->wang : &world->office;
}

static struct value text_value(const char *text)
{
    return (struct value){.kind = VALUE_TEXT, .length = (uint32_t)strlen(text), .text = text};
}

/* ---- random values */

static const char *one_of(struct trial *trial, const char *const *texts, int count)
{
    return texts[next(trial, count)];
}

/* Out of few, so that two devices often mean the same. Times lie near the stamp, since the clock of
 * others would be doubtful. */
static struct value random_value(struct trial *trial, const struct field *field, int64_t hlc_ms)
{
    static const char *const words[] = {"a", "b", "c", "d"};
    static const char *const currencies[] = {"CNY", "USD", "JPY"};
    static const char *const sets[] = {"{\"add\":[\"x\"]}", "{\"add\":[\"y\",\"z\"]}",
                                       "{\"remove\":[\"base\"]}",
                                       "{\"add\":[\"x\"],\"remove\":[\"base\"]}"};
    static const char *const growths[] = {"{\"add\":[\"x\"]}", "{\"add\":[\"y\",\"z\"]}"};
    static const char *const maps[] = {"{\"k1\":\"a\"}", "{\"k1\":null}", "{\"k1\":1,\"k2\":\"b\"}",
                                       "{\"k2\":true}"};
    struct value number = {.kind = VALUE_INT, .integer = 1 + next(trial, 4)};
    switch (field->type) {
    case FIELD_TEXT: return text_value(one_of(trial, words, 4));
    case FIELD_CURRENCY: return text_value(one_of(trial, currencies, 3));
    case FIELD_SET:
        return text_value(field->policy == POLICY_GROW ? one_of(trial, growths, 2)
                                                       : one_of(trial, sets, 4));
    case FIELD_MAP: return text_value(one_of(trial, maps, 4));
    case FIELD_BOOL: number.integer = next(trial, 2); return number;
    case FIELD_DAY: number.integer += 20260100; return number;
    case FIELD_TIME: number.integer = hlc_ms - 60000 + 1000 * next(trial, 60); return number;
    default: return number;
    }
}

/* Whether people fill the field in, and it merges by itself. */
static bool is_mergeable(const struct entity *entity, int number)
{
    const struct field *field = &entity->fields[number];
    bool merges = field->policy == POLICY_LATEST || field->policy == POLICY_MIN ||
                  field->policy == POLICY_MAX || field->policy == POLICY_SET ||
                  field->policy == POLICY_GROW;
    return merges && field->type != FIELD_ID && (field->flags & FIELD_PASSING) == 0;
}

/* A field with all of its group; false where it is in the change already. */
static bool add_field(struct trial *trial, struct act *act, const struct entity *entity, int number)
{
    uint64_t mask = dk_field_group_mask(entity, number);
    for (int i = 0; i < act->count; i++) {
        if ((mask >> act->values[i].field & 1) != 0) {
            return false;
        }
    }
    for (int field = 0; field < entity->field_count; field++) {
        if ((mask >> field & 1) != 0 && is_mergeable(entity, field)) {
            assert_in_range(act->count, 0, VALUES_MAX - 1);
            act->values[act->count++] = (struct field_value){
                .field = field, .value = random_value(trial, &entity->fields[field], act->hlc_ms)};
        }
    }
    return true;
}

/* One to three fields. */
static void add_fields(struct trial *trial, struct act *act, const struct entity *entity)
{
    for (int wanted = 1 + next(trial, 3), tries = 0; wanted > 0 && tries < 50; tries++) {
        int number = next(trial, entity->field_count);
        bool fits = is_mergeable(entity, number) && act->count < VALUES_MAX - 8;
        wanted -= fits && add_field(trial, act, entity, number) ? 1 : 0;
    }
}

/* ---- random acts */

/* A step that the device's user may take from what it shows. Left out is what a document needs more
 * for, and a rep's cancel of an order: that is a request where it comes second. */
static bool add_step(struct trial *trial, struct plan *plan, struct act *act, unsigned roles)
{
    const struct entity *entity = dk_entity(trial->entity);
    const struct field *field = &entity->fields[dk_machine_field(entity)];
    const struct machine_step *found[CANDIDATES_MAX];
    int count = 0;
    for (const struct machine_step *step = dk_machine_steps(); step->from >= 0; step++) {
        if (step->entity != trial->entity) {
            continue;
        }
        const char *to = field->choices[step->to];
        bool fits = step->from == plan->state && (step->roles & roles) != 0 &&
                    step->need == MACHINE_NEED_NONE && step->direction != MACHINE_ASK &&
                    strcmp(to, "sent") != 0 &&
                    !(roles == MACHINE_R && strcmp(to, "cancelled") == 0);
        if (fits && count < CANDIDATES_MAX) {
            found[count++] = step;
        }
    }
    if (count == 0) {
        return false;
    }
    const struct machine_step *step = found[next(trial, count)];
    act->values[act->count++] = (struct field_value){.field = dk_machine_field(entity),
                                                     .value = text_value(field->choices[step->to])};
    plan->state = step->to;
    return true;
}

/* An act on a line: one more, one less, or another quantity or price. */
static void act_on_line(struct trial *trial, struct plan *plan, struct act *act)
{
    const struct entity *entity = dk_entity(trial->line_entity);
    act->line = next(trial, 2);
    if (next(trial, 3) == 0 && trial->added < LINES - 2) {
        act->op = BLOCK_NEW;
        act->line = 2 + trial->added++;
        (void)add_field(trial, act, entity, ORDER_LINE_QTY);
        (void)add_field(trial, act, entity, ORDER_LINE_PRICE_E4);
    } else if (plan->line_gone[act->line] || next(trial, 4) == 0) {
        act->op = BLOCK_DELETE;
    } else {
        add_fields(trial, act, entity);
    }
}

/* Fills in the next act of a device; false where there is nothing for it to do any more. */
static bool plan_act(struct trial *trial, int device, struct act *act)
{
    struct plan *plan = &trial->plans[device];
    unsigned roles = device == 2 ? MACHINE_B : MACHINE_R;
    *act = (struct act){.op = BLOCK_SET, .line = -1};
    act->hlc_ms = trial->world->now_ms + 1000 * plan->count + next(trial, 4000);
    if (plan->count > 0 && act->hlc_ms <= plan->acts[plan->count - 1].hlc_ms) {
        act->hlc_ms = plan->acts[plan->count - 1].hlc_ms + 1;
    }
    if (plan->gone) {
        return false;
    }
    int what = next(trial, 20);
    if (what == 0) {
        act->op = BLOCK_DELETE;
        plan->gone = true;
    } else if (what < 8 && trial->line_entity >= 0) {
        act_on_line(trial, plan, act);
        bool twice = act->op == BLOCK_DELETE && plan->line_gone[act->line];
        plan->line_gone[act->line] = plan->line_gone[act->line] || act->op == BLOCK_DELETE;
        return !twice;
    } else if (what < 12) {
        return add_step(trial, plan, act, roles);
    } else {
        add_fields(trial, act, dk_entity(trial->entity));
    }
    return true;
}

/* ---- deciding them */

/* Adds a line to the twin's story, for whoever reads a failure. */
static void tell(struct trial *trial, struct twin *twin, int device, const struct act *act,
                 const struct verdict *verdict)
{
    static const char *const names[] = {"li", "wang", "office"};
    static const char *const verbs[] = {"makes", "sets", "deletes"};
    const struct entity *entity = dk_entity(act->line < 0 ? trial->entity : trial->line_entity);
    size_t length = strlen(twin->story);
    int used = snprintf(twin->story + length, sizeof twin->story - length,
                        "  %s %s %s %d at %lld:", names[device], verbs[act->op], entity->name,
                        act->line, (long long)(act->hlc_ms - WORLD_NOW_MS));
    for (int i = 0; i < act->count && used > 0; i++) {
        const struct value *value = &act->values[i].value;
        length = strlen(twin->story);
        used = snprintf(twin->story + length, sizeof twin->story - length, " %s %.*s%lld",
                        entity->fields[act->values[i].field].name, (int)value->length,
                        value->length > 0 ? value->text : "",
                        (long long)(value->kind == VALUE_INT ? value->integer : 0));
    }
    length = strlen(twin->story);
    (void)snprintf(twin->story + length, sizeof twin->story - length, " -> %s %s %s\n",
                   dk_verdict_name(verdict->kind),
                   verdict->code == REJECT_NONE ? "" : dk_reject_name(verdict->code),
                   verdict->rule);
}

/* Sends one act of a device about one of the twins. */
static struct verdict send_act(struct trial *trial, struct twin *twin, int device,
                               const struct act *act)
{
    struct world *world = trial->world;
    struct plan *plan = &trial->plans[device];
    int entity = act->line < 0 ? trial->entity : trial->line_entity;
    const struct id *id = act->line < 0 ? &twin->id : &twin->lines[act->line];
    change_record(world, act->op, entity, id, act->op == BLOCK_NEW ? 0 : twin->base);
    struct change *change = &world->changes[world->count - 1];
    memcpy(change->values, act->values, (size_t)act->count * sizeof act->values[0]);
    change->value_count = act->count;
    if (act->op == BLOCK_NEW) {
        put_id(world, dk_entity(entity)->parent_field, &twin->id);
        put_id(world, ORDER_LINE_PRODUCT_ID, &trial->product);
    }
    for (int i = 0; act->op == BLOCK_DELETE && act->line < 0 && i < 2; i++) {
        if (trial->line_entity >= 0 && !plan->line_gone[i]) {
            delete_record(world, trial->line_entity, &twin->lines[i], twin->base);
        }
    }
    world->hlc_ms = act->hlc_ms;
    struct verdict verdict = send_changeset(world, device_of(trial, device));
    tell(trial, twin, device, act, &verdict);
    return verdict;
}

/* Makes one of the twins, with what all devices have seen of it. */
static void make_twin(struct trial *trial, struct twin *twin, const struct id *customer,
                      const char *state)
{
    struct world *world = trial->world;
    const struct entity *entity = dk_entity(trial->entity);
    twin->id = make_record(world, trial->entity);
    if (trial->entity == ENTITY_CUSTOMER) {
        put_text(world, CUSTOMER_NAME, "base");
    } else {
        put_id(world, entity->root_field, customer);
    }
    if (trial->entity == ENTITY_OPPORTUNITY) {
        put_text(world, OPPORTUNITY_SUBJECT, "base");
        put_text(world, OPPORTUNITY_COMPETITORS, "[\"base\"]");
    } else if (trial->entity == ENTITY_SALES_ORDER || trial->entity == ENTITY_QUOTE) {
        put_text(world, trial->entity == ENTITY_QUOTE ? QUOTE_CUR : SALES_ORDER_CUR, "CNY");
    }
    if (state != NULL) {
        put_text(world, dk_machine_field(entity), state);
    }
    for (int i = 0; i < LINES; i++) {
        twin->lines[i] = new_id(world);
        if (i < 2 && trial->line_entity >= 0) {
            change_record(world, BLOCK_NEW, trial->line_entity, &twin->lines[i], 0);
            put_id(world, dk_entity(trial->line_entity)->parent_field, &twin->id);
            put_id(world, ORDER_LINE_PRODUCT_ID, &trial->product);
            put_int(world, ORDER_LINE_QTY, 1000);
            put_int(world, ORDER_LINE_PRICE_E4, 100000);
        }
    }
    twin->base = accept(world, &world->li);
}

/* All acts on one twin, in a random order that keeps each device's own. */
static void decide_twin(struct trial *trial, struct twin *twin, int counts[])
{
    int done[DEVICES] = {0};
    int left = 0;
    for (int i = 0; i < DEVICES; i++) {
        left += trial->plans[i].count;
    }
    while (left > 0) {
        int device = next(trial, DEVICES);
        if (done[device] == trial->plans[device].count) {
            continue;
        }
        struct verdict verdict =
            send_act(trial, twin, device, &trial->plans[device].acts[done[device]++]);
        counts[verdict.kind]++;
        if (verdict.kind != VERDICT_ACCEPTED && verdict.kind != VERDICT_MERGED) {
            trial->refused = true;
        }
        left--;
    }
}

/* ---- comparing */

/* Whether the field is one that merges, so that it may not depend on the order. */
static bool is_compared(const struct field *field)
{
    return field->policy != POLICY_SERVER && field->policy != POLICY_IMMUTABLE &&
           field->policy != POLICY_DERIVED;
}

static void tell_both(const struct trial *trial)
{
    print_error("one order:\n%sthe other:\n%s", trial->twins[0].story, trial->twins[1].story);
}

static void compare_rows(struct trial *trial, int entity, const struct id *one,
                         const struct id *other)
{
    struct world *world = trial->world;
    struct srv_record rows[2];
    bool there = read_row(world, entity, one, &rows[0]);
    bool there_too = read_row(world, entity, other, &rows[1]);
    bool live = there && !rows[0].deleted, live_too = there_too && !rows[1].deleted;
    if (live != live_too) {
        tell_both(trial);
        fail_msg("trial %d: a %s is %s in one order and %s in the other", trial->number,
                 dk_entity(entity)->name, live ? "there" : "gone", live_too ? "there" : "gone");
    }
    for (int i = 0; live && i < dk_entity(entity)->field_count; i++) {
        const struct field *field = &dk_entity(entity)->fields[i];
        const struct value *a = &rows[0].record.values[i], *b = &rows[1].record.values[i];
        if (is_compared(field) && field->type != FIELD_ID && !dk_value_equal(a, b)) {
            tell_both(trial);
            fail_msg("trial %d: %s.%s: %lld \"%.*s\" in one order, %lld \"%.*s\" in the other",
                     trial->number, dk_entity(entity)->name, field->name, (long long)a->integer,
                     a->kind == VALUE_TEXT ? (int)a->length : 0,
                     a->kind == VALUE_TEXT ? a->text : "", (long long)b->integer,
                     b->kind == VALUE_TEXT ? (int)b->length : 0,
                     b->kind == VALUE_TEXT ? b->text : "");
        }
    }
}

/* ---- trials */

static const struct scene {
    int entity, line_entity;
    const char *state; /* from which they begin; NULL: it has none */
} scenes[] = {
    {ENTITY_CUSTOMER, -1, NULL},
    {ENTITY_OPPORTUNITY, -1, "tracking"},
    {ENTITY_OPPORTUNITY, -1, "suspended"},
    {ENTITY_VISIT, -1, "planned"},
    {ENTITY_VISIT, -1, "in_progress"},
    {ENTITY_QUOTE, ENTITY_QUOTE_LINE, "draft"},
    {ENTITY_SALES_ORDER, ENTITY_ORDER_LINE, "draft"},
    {ENTITY_SALES_ORDER, ENTITY_ORDER_LINE, "submitted"},
};

static int first_state(const struct scene *scene)
{
    const struct entity *entity = dk_entity(scene->entity);
    if (scene->state == NULL) {
        return -1;
    }
    struct value state = text_value(scene->state);
    return dk_machine_rank(&entity->fields[dk_machine_field(entity)], &state);
}

/* Given acts of three devices that know nothing of each other, when they arrive in two orders, then
 * both records are alike. */
static void run_trial(struct trial *trial, const struct scene *scene, const struct id *customer,
                      int counts[])
{
    trial->entity = scene->entity;
    trial->line_entity = scene->line_entity;
    trial->added = 0;
    trial->refused = false;
    for (int i = 0; i < 2; i++) {
        trial->twins[i].story[0] = '\0';
        make_twin(trial, &trial->twins[i], customer, scene->state);
    }
    for (int i = 0; i < DEVICES; i++) {
        struct plan *plan = &trial->plans[i];
        *plan = (struct plan){.state = first_state(scene)};
        for (int acts = next(trial, STEPS_MAX + 1); plan->count < acts;) {
            if (!plan_act(trial, i, &plan->acts[plan->count])) {
                break;
            }
            plan->count++;
        }
    }
    trial->world->now_ms += 60000;
    for (int i = 0; i < 2; i++) {
        decide_twin(trial, &trial->twins[i], counts);
    }
    if (trial->refused) {
        return;
    }
    compare_rows(trial, trial->entity, &trial->twins[0].id, &trial->twins[1].id);
    for (int i = 0; trial->line_entity >= 0 && i < LINES; i++) {
        compare_rows(trial, trial->line_entity, &trial->twins[0].lines[i],
                     &trial->twins[1].lines[i]);
    }
}

static void test_decide_permuted__orders_of_arrival_end_alike(void **state)
{
    struct world *world = *state;
    struct trial *trial = calloc(1, sizeof *trial);
    int counts[VERDICT_QUARANTINED + 1] = {0};
    assert_non_null(trial);
    trial->world = world;
    trial->random = UINT64_C(0x9E3779B97F4A7C15);
    struct id customer = make_customer(world, &world->li, "A");
    trial->product = make_product(world, "TEA");
    hold_transaction(world);
    for (trial->number = 0; trial->number < TRIALS; trial->number++) {
        const struct scene *scene =
            &scenes[trial->number % (int)(sizeof scenes / sizeof scenes[0])];
        run_trial(trial, scene, &customer, counts);
    }
    let_go(world);
    free(trial);
    print_message("%d accepted, %d merged, %d rejected\n", counts[VERDICT_ACCEPTED],
                  counts[VERDICT_MERGED], counts[VERDICT_REJECTED]);
    assert_true(counts[VERDICT_ACCEPTED] > 500);
    assert_true(counts[VERDICT_MERGED] > 200);
    assert_int_equal(counts[VERDICT_QUARANTINED], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_decide_permuted__orders_of_arrival_end_alike,
                                        setup_world, teardown_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
