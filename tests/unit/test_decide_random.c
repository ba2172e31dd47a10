/* SPDX-License-Identifier: Apache-2.0
 *
 * Some thousand random changesets of four devices, each of which knows the log up to some point, on
 * a few documents with lines: after each the invariants of what is stored hold, and at the end a
 * reader who applies the log from the beginning has what the server has.
 */
#include "tests/unit/decide_world.h"

#define QUOTES 6
#define LINES_MAX 400
#define STEPS 1500

struct random_world {
    struct world *world;
    uint64_t random;
    struct id product, customers[2], quotes[QUOTES], lines[LINES_MAX];
    int line_quote[LINES_MAX];
    int line_count;
    struct device *devices[4];
    int64_t known[4]; /* position up to which each has pulled */
};

/* The next number below a bound. */
static int next(struct random_world *random, int bound)
{
    random->random ^= random->random << 13;
    random->random ^= random->random >> 7;
    random->random ^= random->random << 17;
    return (int)((random->random >> 11) % (uint64_t)bound);
}

/* Lines of a quote are live only where it is; its sum is that of its lines; all are in one bucket;
 * no version is above the head. */
static void check_quote(struct random_world *random, const struct id *id)
{
    struct world *world = random->world;
    struct srv_record quote;
    struct srv_record *rows;
    int count;
    int64_t sum = 0;
    assert_true(read_row(world, ENTITY_QUOTE, id, &quote));
    assert_int_equal(srv_store_children(world->store, world->org.org, dk_entity(ENTITY_QUOTE_LINE),
                                        id, &world->arena, &rows, &count),
                     DAYBOOK_OK);
    assert_true(count == 0 || !quote.deleted);
    for (int i = 0; i < count; i++) {
        sum += rows[i].record.values[QUOTE_LINE_AMOUNT].integer;
        assert_int_equal(rows[i].bucket, quote.bucket);
        assert_true(rows[i].record.version <= world->org.head);
    }
    if (!quote.deleted) {
        assert_int_equal(quote.record.values[QUOTE_SUBTOTAL].integer, sum);
    }
}

/* Adds one random change to the changeset being built; false where the record is in it already. */
static bool add_change(struct random_world *random, int device, uint64_t *used)
{
    struct world *world = random->world;
    int64_t seen = random->known[device];
    int kind = next(random, 10);
    int quote = next(random, QUOTES);
    if (kind < 3) {
        if (random->line_count == LINES_MAX) {
            return false;
        }
        random->line_quote[random->line_count] = quote;
        random->lines[random->line_count++] =
            add_line(world, &random->quotes[quote], &random->product, 1000 * (1 + next(random, 9)));
        return true;
    }
    if (kind < 5) {
        if ((*used >> quote & 1) != 0) {
            return false;
        }
        *used |= (uint64_t)1 << quote;
        edit_record(world, ENTITY_QUOTE, &random->quotes[quote], seen);
        put_text(world, QUOTE_NOTE, next(random, 2) == 0 ? "a" : "b");
        return true;
    }
    if (random->line_count == 0) {
        return false;
    }
    int line = next(random, random->line_count);
    if ((*used >> (8 + line % 56) & 1) != 0) {
        return false;
    }
    *used |= (uint64_t)1 << (8 + line % 56);
    if (kind < 8) {
        edit_record(world, ENTITY_QUOTE_LINE, &random->lines[line], seen);
        put_qty(world, 1000 * (1 + next(random, 9)));
    } else {
        delete_record(world, ENTITY_QUOTE_LINE, &random->lines[line], seen);
    }
    return true;
}

/* A delete of a quote with the lines that the device knows, as its engine would send it. */
static void add_delete(struct random_world *random, int device, int quote)
{
    struct world *world = random->world;
    struct srv_record row;
    delete_record(world, ENTITY_QUOTE, &random->quotes[quote], random->known[device]);
    for (int i = 0; i < random->line_count; i++) {
        bool known = random->line_quote[i] == quote &&
                     read_row(world, ENTITY_QUOTE_LINE, &random->lines[i], &row) && !row.deleted &&
                     row.record.version <= random->known[device];
        if (known) {
            delete_record(world, ENTITY_QUOTE_LINE, &random->lines[i], random->known[device]);
        }
    }
}

/* One changeset of a random device; whatever the verdict, the invariants hold. */
static void step(struct random_world *random, int counts[VERDICT_QUARANTINED + 1])
{
    struct world *world = random->world;
    int device = next(random, 4);
    int64_t head = world->org.head;
    uint64_t used = 0;
    if (next(random, 3) == 0) {
        random->known[device] = head;
    }
    if (next(random, 12) == 0) {
        add_delete(random, device, next(random, QUOTES));
    } else {
        for (int i = 1 + next(random, 3); i > 0; i--) {
            (void)add_change(random, device, &used);
        }
    }
    if (world->count == 0) {
        return;
    }
    world->now_ms += 1000;
    world->hlc_ms = world->now_ms - 5000 + next(random, 10000);
    struct verdict verdict = send_changeset(world, random->devices[device]);
    assert_true(verdict.kind != VERDICT_QUARANTINED);
    assert_int_equal(world->org.head, verdict.position > 0 ? head + 1 : head);
    counts[verdict.kind]++;
    for (int i = 0; i < QUOTES; i++) {
        check_quote(random, &random->quotes[i]);
    }
}

/* What a reader has of one record after the log: a naive replica of versions. */
struct replica_row {
    struct id id;
    int64_t version;
    bool live;
};

/* Applies one log row to the replica. */
static void apply_row(struct replica_row *rows, int *count, const struct block *block,
                      const struct row *row)
{
    int at = 0;
    while (at < *count && dk_id_compare(&rows[at].id, &row->id) != 0) {
        at++;
    }
    if (at == *count) {
        if (block->op != BLOCK_NEW) {
            return;
        }
        rows[(*count)++] = (struct replica_row){.id = row->id};
    }
    if (!rows[at].live && block->op == BLOCK_SET) {
        return;
    }
    rows[at].version = row->number;
    rows[at].live = block->op == BLOCK_NEW || block->op == BLOCK_SET;
}

/* Reads the whole log as a stranger to all changesets and compares each line with the store. */
static void compare_replica(struct random_world *random)
{
    struct world *world = random->world;
    struct replica_row *rows = calloc(LINES_MAX * 4, sizeof *rows);
    struct block_reader reader;
    struct row row;
    struct device stranger = world->office;
    bool new_block;
    int count = 0;
    assert_non_null(rows);
    stranger.author.device_no = 0x7fffffff;
    const char *page = pull_all(world, &stranger, 0);
    char *copy = dk_arena_copy(&world->arena, page, strlen(page));
    dk_block_open(&reader, copy, strlen(page), &world->arena);
    while (dk_block_next(&reader, &row, &new_block) == 1) {
        if (reader.block.entity->kind == ENTITY_QUOTE_LINE) {
            apply_row(rows, &count, &reader.block, &row);
        }
    }
    assert_null(reader.json.problem);
    int live = 0;
    for (int i = 0; i < random->line_count; i++) {
        struct srv_record stored;
        bool there = read_row(world, ENTITY_QUOTE_LINE, &random->lines[i], &stored);
        int at = 0;
        while (at < count && dk_id_compare(&rows[at].id, &random->lines[i]) != 0) {
            at++;
        }
        assert_int_equal(at < count, there);
        if (there) {
            assert_int_equal(rows[at].live, !stored.deleted);
            assert_int_equal(rows[at].version, stored.record.version);
            live += rows[at].live;
        }
    }
    assert_true(live > 0);
    free(rows);
}

/* Given random changesets, when they are decided one after the other, then the invariants hold
 * after each, and a replica made from the log alone has every version that the server has. */
static void test_decide_random__invariants_hold(void **state)
{
    struct world *world = *state;
    struct random_world random = {.world = world, .random = UINT64_C(0x9E3779B97F4A7C15)};
    int counts[VERDICT_QUARANTINED + 1] = {0};
    random.devices[0] = &world->li;
    random.devices[1] = &world->wang;
    random.devices[2] = &world->office;
    random.devices[3] = &world->tom; /* sees nothing of it */
    random.customers[0] = make_customer(world, &world->li, "A");
    random.product = make_product(world, "TEA");
    for (int i = 0; i < QUOTES; i++) {
        random.quotes[i] = add_quote(world, &random.customers[0]);
    }
    (void)accept(world, &world->li);
    for (int i = 0; i < STEPS; i++) {
        step(&random, counts);
    }
    assert_true(counts[VERDICT_ACCEPTED] > 100);
    assert_true(counts[VERDICT_MERGED] > 20);
    assert_true(counts[VERDICT_REJECTED] > 100);
    compare_replica(&random);
    assert_string_equal(pull_all(world, &world->tom, 12), "");
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_decide_random__##name, setup_world, teardown_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(invariants_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
