/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that fails in the server: each kind of request and command comes again and again, and each
 * time another allocation of the server's or of SQLite's fails, once or from then on, until one
 * comes through. Each is answered, with what it asked for or that the server is busy; the same then
 * comes once more, with good memory, and is answered as if nothing had been. In the end everything
 * was decided once.
 */
#include "tests/unit/faulty_memory.h"
#include "tests/unit/service_world.h"

#define MANY 60 /* rows of a changeset that has many */
/* Of so many first allocations each fails, of those behind them some. */
#if defined(DAYBOOK_SANITIZED)
#define EACH_OF_REQUEST 12
#define EACH_OF_COMMAND 12
#define SOME 4
#else
#define EACH_OF_REQUEST 1000 /* all of them */
#define EACH_OF_COMMAND 120  /* a backup has tens of thousands */
#define SOME 20
#endif
#define STRIKES_MAX 100000

/* What is asked, and with whose token; from the world's arena. */
struct question {
    const char *path, *token, *json;
};

struct stage {
    struct world *world;
    struct phone li, wang, wide;
    struct id shop; /* a customer that all of them see */
    struct id visit;
    int made; /* customers */
    int commands;
    struct question question;
};

/* One kind of request: makes the next of its kind, and follows its good answer, or NULL. */
struct kind {
    const char *name;
    void (*make)(struct stage *stage);
    void (*follow)(struct stage *stage, const char *reply);
};

/* ---- kinds */

static void ask(struct stage *stage, const char *path, const struct phone *phone, const char *json)
{
    stage->question = (struct question){path, phone == NULL ? NULL : phone->token, json};
}

static void make_customer(struct stage *stage)
{
    struct world *world = stage->world;
    struct id id = new_id(world);
    const char *one =
        changeset(world, &stage->li, stage->li.seq + 1, customer_blocks(world, &id, "c"));
    ask(stage, "/v1/sync", &stage->li, request(world, &stage->li, format(world, "[%s]", one)));
}

static void follow_customer(struct stage *stage, const char *reply)
{
    struct world *world = stage->world;
    expect_in(reply, format(world, "[%lld,\"accepted\",", (long long)++stage->li.seq));
    stage->made++;
    follow(world, &stage->li, reply);
}

/* Many rows with all that is made of other values, so that decoding needs memory of its own. */
static void make_many(struct stage *stage)
{
    struct world *world = stage->world;
    struct buffer rows;
    dk_buffer_init(&rows, LIMIT_CHANGESET_BYTES);
    dk_buffer_append_text(&rows, "[{\"entity\":\"customer\",\"op\":\"new\",\"fields\":[\"name\","
                                 "\"tags\",\"custom\"],\"rows\":[");
    for (int i = 0; i < MANY; i++) {
        struct id id = new_id(world);
        dk_buffer_append_text(&rows, format(world,
                                            "%s[0,\"%s\",\"many\",[\"gold\",\"north\"],"
                                            "{\"vip\":true,\"shelf\":\"%d\"}]",
                                            i == 0 ? "" : ",", wire(world, &id), i));
    }
    dk_buffer_append_text(&rows, "]}]");
    assert_int_equal(rows.status, DAYBOOK_OK);
    const char *one = changeset(world, &stage->li, stage->li.seq + 1, dk_buffer_text(&rows));
    ask(stage, "/v1/sync", &stage->li, request(world, &stage->li, format(world, "[%s]", one)));
    dk_buffer_clear(&rows);
}

static void follow_many(struct stage *stage, const char *reply)
{
    follow_customer(stage, reply);
    stage->made += MANY - 1;
}

/* Two phones change the customer's name, and neither has seen the other's. */
static void make_conflict(struct stage *stage)
{
    struct world *world = stage->world;
    struct phone *phones[] = {&stage->wang, &stage->li};
    for (int i = 0; i < 2; i++) {
        const char *patch =
            format(world,
                   "[{\"entity\":\"customer\",\"op\":\"set\",\"fields\":[\"name\",\"kind\"],"
                   "\"rows\":[[%lld,\"%s\",\"n%lld\",\"shop\"]]}]",
                   (long long)stage->li.position, wire(world, &stage->shop),
                   (long long)(phones[i]->seq * 2 + i));
        const char *one = changeset(world, phones[i], phones[i]->seq + 1, patch);
        const char *json = request(world, phones[i], format(world, "[%s]", one));
        if (i == 0) {
            struct answer answer = post(world, "/v1/sync", phones[i]->token, json);
            expect_status(&answer, 200, "\"verdicts\"");
            phones[i]->seq++;
        } else {
            ask(stage, "/v1/sync", phones[i], json);
        }
    }
}

static void follow_conflict(struct stage *stage, const char *reply)
{
    expect_in(reply, format(stage->world, "[%lld,\"", (long long)++stage->li.seq));
    expect_not_in(reply, "\"rejected\"");
    follow(stage->world, &stage->li, reply);
}

static void make_refused(struct stage *stage)
{
    struct world *world = stage->world;
    struct id id = new_id(world), nobody = new_id(world);
    const char *blocks =
        format(world,
               "[{\"entity\":\"visit\",\"op\":\"new\",\"fields\":[\"customer_id\"],"
               "\"rows\":[[0,\"%s\",\"%s\"]]}]",
               wire(world, &id), wire(world, &nobody));
    const char *one = changeset(world, &stage->li, stage->li.seq + 1, blocks);
    ask(stage, "/v1/sync", &stage->li, request(world, &stage->li, format(world, "[%s]", one)));
}

static void follow_refused(struct stage *stage, const char *reply)
{
    expect_in(reply, format(stage->world, "[%lld,\"rejected\"", (long long)++stage->li.seq));
    follow(stage->world, &stage->li, reply);
}

/* From where a phone has been since the beginning: the log, and how its scope came to be. */
static void make_pull(struct stage *stage)
{
    ask(stage, "/v1/sync", &stage->wang, request(stage->world, &stage->wang, NULL));
}

static void follow_pull(struct stage *stage, const char *reply)
{
    (void)stage;
    expect_in(reply, "\"head\"");
}

/* All buckets from their beginning. */
static void make_snapshot(struct stage *stage)
{
    struct phone *phone = &stage->wide;
    phone->loading = loading_all(stage->world, phone);
    ask(stage, "/v1/sync", phone, request(stage->world, phone, NULL));
}

static void follow_snapshot(struct stage *stage, const char *reply)
{
    (void)stage;
    expect_in(reply, "\"pages\"");
}

static void make_fetch(struct stage *stage)
{
    struct world *world = stage->world;
    ask(stage, "/v1/fetch", &stage->li,
        format(world, "{\"protocol\":1,\"entity\":\"visit\",\"record\":\"%s\"}",
               wire(world, &stage->visit)));
}

static void follow_fetch(struct stage *stage, const char *reply)
{
    expect_in(reply, wire(stage->world, &stage->visit));
}

static void make_lease(struct stage *stage)
{
    struct world *world = stage->world;
    struct id instance = new_id(world);
    ask(stage, "/v1/lease", &stage->wang,
        format(world, "{\"protocol\":1,\"instance\":\"%s\",\"old_instance\":\"%s\"}",
               wire(world, &instance), wire(world, &stage->wang.instance)));
}

static void follow_lease(struct stage *stage, const char *reply)
{
    (void)stage;
    expect_in(reply, "\"device_no\"");
}

static void make_enrolment(struct stage *stage)
{
    struct world *world = stage->world;
    struct id instance = new_id(world);
    const char *code = last_line(world, command(world, DAYBOOK_OK, "enrol tom"));
    ask(stage, "/v1/enrol", NULL,
        format(world, "{\"protocol\":1,\"code\":\"%s\",\"instance\":\"%s\"}", code,
               wire(world, &instance)));
}

static void follow_enrolment(struct stage *stage, const char *reply)
{
    (void)stage;
    expect_in(reply, "\"token\"");
}

/* ---- the world */

static struct stage *open_stage(struct world *world)
{
    struct stage *stage = dk_arena_new(&world->arena, sizeof *stage);
    assert_non_null(stage);
    memset(stage, 0, sizeof *stage);
    stage->world = world;
    stage->li = enrol(world, "li");
    stage->wang = enrol(world, "wang");
    stage->wide = enrol(world, "office");
    (void)load_phone(world, &stage->li);
    (void)load_phone(world, &stage->wang);
    (void)load_phone(world, &stage->wide);
    stage->shop = new_id(world);
    (void)push_customer(world, &stage->li, &stage->shop, "shop");
    stage->made = 1;
    stage->visit = new_id(world);
    const char *blocks =
        format(world,
               "[{\"entity\":\"visit\",\"op\":\"new\",\"fields\":[\"customer_id\"],"
               "\"rows\":[[0,\"%s\",\"%s\"]]}]",
               wire(world, &stage->visit), wire(world, &stage->shop));
    const char *one = changeset(world, &stage->li, ++stage->li.seq, blocks);
    expect_in(sync_phone(world, &stage->li, format(world, "[%s]", one)), "\"accepted\"");
    return stage;
}

/* ---- strikes */

/* Which allocation fails next. */
static long next_strike(long n, long each)
{
    assert_true(n < STRIKES_MAX);
    return n + 1 + (n > each ? n / SOME : 0);
}

/* Posts the question while the n-th allocation fails; *struck: so many were made. */
static struct answer post_struck(struct stage *stage, long n, bool for_good, bool *struck)
{
    struct world *world = stage->world;
    const struct question *question = &stage->question;
    struct answer *answer = dk_arena_new(&world->arena, sizeof *answer);
    struct buffer frame;
    assert_non_null(answer);
    dk_buffer_init(&frame, (size_t)1024 * 1024);
    assert_int_equal(
        dk_frame_compress(world->codec, question->json, strlen(question->json), 1, &frame),
        DAYBOOK_OK);
    struct service_call call = {.method = "POST",
                                .path = question->path,
                                .token = question->token,
                                .body = dk_memory_copy_text(frame.bytes, frame.length),
                                .body_size = frame.length,
                                .done = take_answer,
                                .context = answer};
    init_answer(answer);
    memory_plan(n, for_good);
    memory_spared = false;
    srv_service_submit(world->service, &call);
    srv_service_rest(world->service);
    memory_spared = true;
    *struck = atomic_load(&memory_calls) >= n;
    memory_plan(0, false);
    await(world, answer);
    dk_buffer_clear(&frame);
    return *answer;
}

/* Each allocation of the kind fails; returns the first number that was one too many. */
static long strike_kind(struct stage *stage, const struct kind *kind, bool of_sqlite, bool for_good)
{
    struct world *world = stage->world;
    bool struck = true;
    long n = 0;
    atomic_store(&memory_of_sqlite, of_sqlite);
    while (struck) {
        n = next_strike(n, EACH_OF_REQUEST);
        kind->make(stage);
        struct answer answer = post_struck(stage, n, for_good, &struck);
        if (answer.http_status != 200 && answer.http_status != 503) {
            fail_msg("%s: allocation %ld fails: %d: %s", kind->name, n, answer.http_status,
                     answer.text);
        }
        /* A code is used up by an enrolment, also where nobody has got the answer. */
        if (strcmp(stage->question.path, "/v1/enrol") == 0) {
            kind->make(stage);
        }
        const struct question *again = &stage->question;
        answer = post(world, again->path, again->token, again->json);
        if (answer.http_status != 200) {
            fail_msg("%s, after allocation %ld: %d: %s", kind->name, n, answer.http_status,
                     answer.text);
        }
        kind->follow(stage, answer.text);
    }
    atomic_store(&memory_of_sqlite, false);
    return n;
}

static void strike(struct stage *stage, const struct kind *kind)
{
    long counts[4];
    for (int way = 0; way < 4; way++) {
        counts[way] = strike_kind(stage, kind, way >= 2, way % 2 != 0);
    }
    print_message("%-10s %5ld of the server's, %5ld of SQLite's\n", kind->name, counts[0],
                  counts[2]);
    assert_true(counts[0] > 3);
}

/* ---- commands */

/* Runs a command while the n-th allocation fails; where it says so, it has done nothing, and is run
 * once more with good memory. True: so many were made. */
static bool command_struck(struct stage *stage, const char *pattern, long n, bool for_good)
{
    struct world *world = stage->world;
    bool territory = strstr(pattern, " T%d") != NULL; /* there are two */
    int number = territory ? ++stage->commands % 2 : ++stage->commands;
    const char *words = format(world, pattern, number), *argv[COMMAND_WORDS_MAX];
    int argc = split_words(world, words, argv);
    char *text = NULL;
    memory_plan(n, for_good);
    memory_spared = false;
    daybook_status status = srv_service_command(world->service, argc, argv, false, &text);
    srv_service_rest(world->service);
    memory_spared = true;
    bool struck = atomic_load(&memory_calls) >= n;
    memory_plan(0, false);
    if (status != DAYBOOK_OK && (!struck || status != DAYBOOK_NO_MEMORY)) {
        fail_msg("%s, allocation %ld: status %d: %s", words, n, (int)status, text);
    }
    dk_memory_free(text);
    if (status != DAYBOOK_OK) {
        status = srv_service_command(world->service, argc, argv, false, &text);
        if (status != DAYBOOK_OK) {
            fail_msg("%s, after allocation %ld: status %d: %s", words, n, (int)status, text);
        }
        dk_memory_free(text);
    }
    if (strcmp(argv[0], "backup") == 0) {
        remove_folder(argv[1]);
    }
    return struck;
}

static void test_service_memory__each_allocation_of_a_command_fails(void **state)
{
    struct stage *stage = open_stage(*state);
    struct world *world = stage->world;
    char shop[ID_TEXT_SIZE];
    dk_id_to_text(&stage->shop, shop);
    const char *commands[] = {
        "user add u%d --territory East",
        "user change tom --territory T%d",
        format(world, "customer reassign %s --territory T%%d", shop),
        "device list",
        "quarantine list",
        "hold list",
        "classify --open-days 0 --recent-days 0",
        "compact --positions 1",
        format(world, "import %s/lines", world->folder),
        format(world, "backup %s/backup%%d", world->folder),
    };
    (void)command(world, DAYBOOK_OK, "user add t0 --territory T0");
    (void)command(world, DAYBOOK_OK, "user add t1 --territory T1");
    FILE *lines = fopen(format(world, "%s/lines", world->folder), "w");
    assert_non_null(lines);
    (void)fputs("{\"entity\":\"product\",\"id\":\"0193f000-0000-7000-8000-000000000001\","
                "\"code\":\"A\",\"name\":\"Tea\",\"uom\":\"box\",\"tax_bp\":1300}\n"
                "{\"entity\":\"customer\",\"id\":\"0193f000-0000-7000-8000-000000000002\","
                "\"name\":\"Ho\",\"territory_id\":{\"key\":\"T0\"},"
                "\"tags\":[\"gold\"],\"custom\":{\"vip\":true}}\n",
                lines);
    assert_int_equal(fclose(lines), 0);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        for (int way = 0; way < 4; way++) {
            long n = next_strike(0, EACH_OF_COMMAND);
            atomic_store(&memory_of_sqlite, way >= 2);
            while (command_struck(stage, commands[i], n, way % 2 != 0)) {
                n = next_strike(n, EACH_OF_COMMAND);
            }
            atomic_store(&memory_of_sqlite, false);
            if (way == 0 || way == 2) {
                print_message("%-40.40s %5ld of %s\n", commands[i], n,
                              way == 0 ? "the server's" : "SQLite's");
            }
        }
    }
}

static void test_service_memory__each_allocation_of_a_request_fails(void **state)
{
    static const struct kind kinds[] = {
        {"customer", make_customer, follow_customer},
        {"conflict", make_conflict, follow_conflict},
        {"refused", make_refused, follow_refused},
        {"pull", make_pull, follow_pull},
        {"snapshot", make_snapshot, follow_snapshot},
        {"fetch", make_fetch, follow_fetch},
        {"lease", make_lease, follow_lease},
        {"enrolment", make_enrolment, follow_enrolment},
        {"many", make_many, follow_many},
    };
    struct stage *stage = open_stage(*state);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        strike(stage, &kinds[i]);
    }
    const char *count = format(stage->world,
                               "SELECT CASE (SELECT count(*) FROM customer) WHEN %d"
                               " THEN 1 ELSE abs(-9223372036854775808) END",
                               stage->made);
    run_sql(stage->world, count);
}

static int set_up(void **state)
{
    memory_spared = true;
    return setup_service(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_service_memory__each_allocation_of_a_request_fails,
                                        set_up, teardown_service),
        cmocka_unit_test_setup_teardown(test_service_memory__each_allocation_of_a_command_fails,
                                        set_up, teardown_service),
    };
    return cmocka_run_group_tests(tests, memory_replace_sqlites, NULL);
}
