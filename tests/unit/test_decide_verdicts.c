/* SPDX-License-Identifier: Apache-2.0
 *
 * Random changesets to the decider: all entities and fields that devices write, several people and
 * devices that have seen anything, ids used again, looks at records, work of the server between,
 * and compaction that takes away what is deleted. Whatever comes gets a verdict, none of them
 * "a defect"; DAYBOOK_RANDOM_WORLDS says how often, and DAYBOOK_RANDOM_FIRST with which seeds.
 */
#include "tests/unit/decide_world.h"

#include "engine/base/text.h"

#include <stdlib.h>

#define WORLDS 20
#define STEPS 300
#define POOL 200
#define TEXTS 3
#define DEVICES 6

/* Records that are or were; the later ones are picked more often. */
struct pool {
    struct id ids[POOL];
    int count;
};

struct chance {
    struct world *world;
    uint64_t seed, state;
    struct pool pools[ENTITY_COUNT];
    struct device tablet, boss, *devices[DEVICES];
    int *counts; /* of verdicts, in all worlds */
};

static const char *const texts[TEXTS] = {"one", "two", "three"};
static const char hash[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/* xorshift64; 0 to below - 1. */
static int draw(struct chance *chance, int below)
{
    chance->state ^= chance->state << 13;
    chance->state ^= chance->state >> 7;
    chance->state ^= chance->state << 17;
    return (int)(chance->state >> 33) % below;
}

static bool one_in(struct chance *chance, int many)
{
    return draw(chance, many) == 0;
}

/* ---- records */

static void remember(struct chance *chance, int kind, const struct id *id)
{
    struct pool *pool = &chance->pools[kind];
    if (pool->count < POOL) {
        pool->ids[pool->count++] = *id;
    }
}

/* A record of this kind, mostly a live one of the last; false: there is none. */
static bool pick(struct chance *chance, int kind, struct id *id)
{
    const struct pool *pool = &chance->pools[kind];
    for (int i = 0; i < 5 && pool->count > 0; i++) {
        int first = pool->count > 6 && !one_in(chance, 4) ? pool->count - 6 : 0;
        *id = pool->ids[first + draw(chance, pool->count - first)];
        if (one_in(chance, 6) || is_live(chance->world, kind, id)) {
            break;
        }
    }
    return pool->count > 0;
}

/* Whether the changeset being built names it. */
static bool is_named(const struct world *world, int kind, const struct id *id)
{
    bool named = false;
    for (int i = 0; i < world->count; i++) {
        const struct change *change = &world->changes[i];
        named = named || (change->entity->kind == kind && dk_id_compare(&change->id, id) == 0);
    }
    return named;
}

/* What the server has made, too: holds, proposals, revisions. */
static void look_around(struct chance *chance, int kind)
{
    struct world *world = chance->world;
    struct id after = {{0}};
    struct srv_record *rows;
    int count;
    chance->pools[kind].count = 0;
    do {
        assert_int_equal(srv_store_list(world->store, world->org.org, dk_entity(kind), &after, 50,
                                        &world->arena, &rows, &count),
                         DAYBOOK_OK);
        for (int i = 0; i < count; i++) {
            after = rows[i].record.id;
            remember(chance, kind, &after);
        }
    } while (count == 50);
}

/* A position that the author may have seen. */
static int64_t seen(struct chance *chance)
{
    int64_t head = chance->world->org.head;
    int64_t ago = draw(chance, one_in(chance, 3) ? 30 : 4);
    return one_in(chance, 6) || ago > head ? 0 : head - ago;
}

/* ---- changes */

/* Gives the field some value. */
static void put_some(struct chance *chance, const struct entity *entity, int number, bool is_new)
{
    struct world *world = chance->world;
    const struct field *field = &entity->fields[number];
    struct id id;
    int choices = 0;
    switch (field->type) {
    case FIELD_TEXT:
        put_text(world, number,
                 strcmp(field->name, "sha256") == 0 ? hash : texts[draw(chance, TEXTS)]);
        break;
    case FIELD_CURRENCY: put_text(world, number, "CNY"); break;
    case FIELD_CHOICE:
        while (field->choices[choices] != NULL) {
            choices++;
        }
        put_text(world, number, field->choices[draw(chance, choices)]);
        break;
    case FIELD_ID:
        if (field->target >= 0 && pick(chance, field->target, &id)) {
            put_id(world, number, &id);
        } else {
            put_null(world, number);
        }
        break;
    case FIELD_SET: put_text(world, number, is_new ? "[\"x\"]" : "{\"add\":[\"x\"]}"); break;
    case FIELD_MAP: put_text(world, number, "{\"key\":1}"); break;
    case FIELD_DAY: put_int(world, number, 20260101 + draw(chance, 28)); break;
    case FIELD_TIME: put_int(world, number, INT64_C(8640000000) + draw(chance, 5) * 3600000); break;
    case FIELD_BOOL: put_int(world, number, draw(chance, 2)); break;
    case FIELD_INT:
    case FIELD_RATE: put_int(world, number, 1 + draw(chance, 3)); break;
    default: put_int(world, number, 1000 * (1 + draw(chance, 3))); break;
    }
}

/* Gives all fields of the mask a value, or none, groups whole. */
static void put_fields(struct chance *chance, const struct entity *entity, uint64_t mask,
                       bool is_new)
{
    for (int i = 0; i < entity->field_count; i++) {
        mask |= (mask >> i & 1) != 0 ? dk_field_group_mask(entity, i) : 0;
    }
    for (int i = 0; i < entity->field_count; i++) {
        const struct field *field = &entity->fields[i];
        if ((mask >> i & 1) == 0 || !dk_field_is_sent(field)) {
            continue;
        }
        bool gathered = field->type == FIELD_SET || field->type == FIELD_MAP;
        if ((field->flags & FIELD_REQUIRED) == 0 && !gathered && one_in(chance, 8)) {
            put_null(chance->world, i);
        } else {
            put_some(chance, entity, i, is_new);
        }
    }
}

/* A new record, seldom under an id that was used before. */
static void add_new(struct chance *chance, const struct entity *entity)
{
    struct world *world = chance->world;
    uint64_t mask = 0;
    struct id id = new_id(world);
    if (one_in(chance, 12) && (!pick(chance, entity->kind, &id) || dk_id_is_derived(&id) ||
                               is_named(world, entity->kind, &id))) {
        return;
    }
    for (int i = 0; i < entity->field_count; i++) {
        bool needed = (entity->fields[i].flags & FIELD_REQUIRED) != 0 || i == entity->root_field ||
                      i == entity->parent_field;
        mask |= needed || (i != entity->state_field && one_in(chance, 12)) ? (uint64_t)1 << i : 0;
    }
    change_record(world, BLOCK_NEW, entity->kind, &id, 0);
    put_fields(chance, entity, mask, true);
}

/* A change of a field or two, or a look. */
static void add_set(struct chance *chance, const struct entity *entity)
{
    struct id id;
    uint64_t mask = 0;
    if (!pick(chance, entity->kind, &id) || is_named(chance->world, entity->kind, &id)) {
        return;
    }
    for (int i = draw(chance, 6) + 1; i > 0; i -= 2) {
        mask |= (uint64_t)1 << draw(chance, entity->field_count);
    }
    if (entity->state_field >= 0 && one_in(chance, 3)) {
        mask = (uint64_t)1 << entity->state_field;
    }
    edit_record(chance->world, entity->kind, &id, seen(chance));
    put_fields(chance, entity, one_in(chance, 8) ? 0 : mask, false);
}

static void add_delete(struct chance *chance, const struct entity *entity)
{
    struct id id;
    if (pick(chance, entity->kind, &id) && !is_named(chance->world, entity->kind, &id)) {
        delete_record(chance->world, entity->kind, &id,
                      one_in(chance, 2) ? chance->world->org.head : seen(chance));
    }
}

/* Whatever a device may send. */
static void work(struct chance *chance)
{
    struct world *world = chance->world;
    struct device *device = chance->devices[draw(chance, DEVICES)];
    for (int i = draw(chance, 4); i >= 0; i--) {
        const struct entity *entity = dk_entity(draw(chance, ENTITY_COUNT));
        int what = draw(chance, 100);
        if (entity->writer == WRITER_DEVICE && what < 40) {
            add_new(chance, entity);
        } else if (entity->writer != WRITER_SERVER && what < 92) {
            add_set(chance, entity);
        } else if (entity->writer == WRITER_DEVICE &&
                   (entity->kind != ENTITY_CUSTOMER || one_in(chance, 4))) {
            add_delete(chance, entity);
        }
    }
    if (world->count == 0) {
        return;
    }
    int count = world->count;
    struct verdict verdict = send_changeset(world, device);
    chance->counts[verdict.kind]++;
    for (int i = 0; i < count && verdict.position > 0; i++) {
        const struct change *change = &world->changes[i];
        if (change->op == BLOCK_NEW) {
            remember(chance, change->entity->kind, &change->id);
        }
    }
    if (verdict.kind == VERDICT_QUARANTINED && verdict.code == REJECT_INTERNAL) {
        fail_msg("seed %llu: a defect: %s", (unsigned long long)chance->seed, world->last_text);
    }
}

/* ---- the server */

/* Decides the changeset being built as the server's, its documents to lie in this class. */
static void serve(struct chance *chance, enum srv_class class)
{
    struct world *world = chance->world;
    struct verdict verdict;
    enum decide_answer answer;
    struct decide_input input = {.class = class,
                                 .changeset = {.id = new_id(world),
                                               .seq = world->server.author.decided + 1,
                                               .epoch = srv_store_epoch(world->store),
                                               .time = (hlc)world->now_ms << 16,
                                               .schema = SCHEMA_VERSION,
                                               .change_count = world->count,
                                               .changes = world->changes}};
    world->count = 0;
    daybook_status status = srv_decide(world->decide, &world->org, &world->server.author, &input,
                                       world->now_ms, &verdict, &answer);
    if (status != DAYBOOK_OK) {
        fail_msg("seed %llu: the server's own change gives %d", (unsigned long long)chance->seed,
                 (int)status);
    }
}

/* Two customers become one, or one goes to another territory. */
static void move_customer(struct chance *chance)
{
    struct world *world = chance->world;
    struct id from, into;
    if (!pick(chance, ENTITY_CUSTOMER, &from) || !pick(chance, ENTITY_CUSTOMER, &into) ||
        !is_live(world, ENTITY_CUSTOMER, &from)) {
        return;
    }
    edit_record(world, ENTITY_CUSTOMER, &from, world->org.head);
    if (one_in(chance, 3)) {
        put_id(world, CUSTOMER_TERRITORY_ID, &world->territories[draw(chance, 2)]);
    } else {
        put_id(world, CUSTOMER_REDIRECT_TO, &into);
    }
    serve(chance, CLASS_OPEN);
}

static int document(struct chance *chance)
{
    static const int kinds[] = {ENTITY_VISIT, ENTITY_QUOTE, ENTITY_SALES_ORDER, ENTITY_OPPORTUNITY};
    return kinds[draw(chance, 4)];
}

/* Documents go to another class. */
static void classify(struct chance *chance)
{
    struct id id;
    int kind = document(chance);
    for (int i = 0; i < 3; i++) {
        if (pick(chance, kind, &id) && is_live(chance->world, kind, &id) &&
            !is_named(chance->world, kind, &id)) {
            edit_record(chance->world, kind, &id, chance->world->org.head);
        }
    }
    if (chance->world->count > 0) {
        serve(chance, (enum srv_class)draw(chance, CLASS_COUNT));
    }
}

static void hold(struct chance *chance)
{
    struct world *world = chance->world;
    struct id id;
    int kind = document(chance);
    if (!pick(chance, kind, &id)) {
        return;
    }
    (void)make_record(world, ENTITY_HOLD);
    put_text(world, HOLD_ENTITY, dk_entity(kind)->name);
    put_id(world, HOLD_RECORD, &id);
    put_text(world, HOLD_CODE, "CREDIT");
    put_text(world, HOLD_ROLE, one_in(chance, 2) ? "back_office" : "manager");
    serve(chance, CLASS_OPEN);
}

/* Takes away what was deleted, all of it or some. */
static void compact(struct chance *chance)
{
    struct world *world = chance->world;
    int64_t removed, floor = world->org.head - draw(chance, 12);
    assert_int_equal(srv_store_raise_floor(world->store, world->org.org, floor < 0 ? 0 : floor),
                     DAYBOOK_OK);
    assert_int_equal(srv_store_cut(world->store, world->org.org,
                                   one_in(chance, 2) ? 1000 : 1 + draw(chance, 3), &removed),
                     DAYBOOK_OK);
    look_around(chance, ENTITY_HOLD);
    look_around(chance, ENTITY_PROPOSAL);
}

/* ---- the test */

/* What is part of a document is there with it alone. */
static void expect_whole_documents(struct chance *chance)
{
    struct world *world = chance->world;
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        const struct entity *entity = dk_entity(kind);
        int parent = entity->parent_field;
        for (int i = 0; i < chance->pools[kind].count && parent >= 0; i++) {
            struct srv_record row;
            if (read_row(world, kind, &chance->pools[kind].ids[i], &row) && !row.deleted &&
                !is_live(world, entity->fields[parent].target, &row.record.values[parent].id)) {
                fail_msg("seed %llu: a %s without its document", (unsigned long long)chance->seed,
                         entity->name);
            }
        }
    }
}

static void play(struct chance *chance)
{
    struct world *world = chance->world;
    make_device(world, &chance->tablet, &world->li.author.account.user);
    make_user(world, &chance->boss, "boss", "manager", &world->territories[0]);
    for (int i = 0; i < 2; i++) {
        struct id product = make_product(world, texts[i]);
        remember(chance, ENTITY_PRODUCT, &product);
    }
    look_around(chance, ENTITY_USER);
    hold_transaction(world);
    for (int i = 0; i < STEPS; i++) {
        int what = draw(chance, 100);
        world->now_ms += draw(chance, 600000);
        if (what < 78) {
            work(chance);
        } else if (what < 86) {
            move_customer(chance);
        } else if (what < 90) {
            classify(chance);
        } else if (what < 93) {
            hold(chance);
        } else {
            compact(chance);
        }
        dk_arena_reset(&world->arena);
    }
    let_go(world);
    expect_whole_documents(chance);
}

/* A number out of the environment. */
static int wanted(const char *name, int otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : (int)strtol(text, NULL, 10);
}

static void test_decide_verdicts__whatever_comes_gets_one(void **state)
{
    int first = wanted("DAYBOOK_RANDOM_FIRST", 1), worlds = wanted("DAYBOOK_RANDOM_WORLDS", WORLDS);
    int counts[VERDICT_QUARANTINED + 1] = {0};
    struct chance *chance = calloc(1, sizeof *chance);
    assert_non_null(chance);
    for (int i = 0; i < worlds; i++) {
        assert_int_equal(setup_world(state), 0);
        struct world *world = *state;
        *chance = (struct chance){.world = world, .seed = (uint64_t)(first + i), .counts = counts};
        chance->state = chance->seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
        struct device *devices[DEVICES] = {&world->li,     &world->wang,    &world->tom,
                                           &world->office, &chance->tablet, &chance->boss};
        memcpy(chance->devices, devices, sizeof devices);
        play(chance);
        assert_int_equal(teardown_world(state), 0);
    }
    free(chance);
    print_message("accepted %d, merged %d, rejected %d\n", counts[VERDICT_ACCEPTED],
                  counts[VERDICT_MERGED], counts[VERDICT_REJECTED]);
    assert_true(counts[VERDICT_ACCEPTED] > worlds * 10);
    assert_true(counts[VERDICT_MERGED] > worlds);
    assert_true(counts[VERDICT_REJECTED] > worlds * 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decide_verdicts__whatever_comes_gets_one),
    };
    return cmocka_run_group_tests_name("decide_verdicts", tests, NULL, NULL);
}
