/* SPDX-License-Identifier: Apache-2.0
 *
 * The service from outside, without a network: signing in, every refusal, push and pull, copies and
 * resets, and a service that opens and closes.
 */
#include "tests/unit/service_world.h"

#include "engine/base/database.h"

/* Given no token, a wrong one, wrong paths and methods, when they are called, then each is refused
 * in its own way, and health needs nothing. */
static void test_service__doors(void **state)
{
    struct world *world = *state;
    struct answer answer;
    static const struct {
        const char *method, *path, *token;
        int http_status;
        const char *code;
    } calls[] = {
        {"GET", "/v1/health", NULL, 200, "{\"status\":\"ok\"}"},
        {"POST", "/v1/health", NULL, 405, "METHOD"},
        {"GET", "/v1/nothing", NULL, 404, "NOT_FOUND"},
        {"GET", "/v1/sync", NULL, 405, "METHOD"},
        {"POST", "/v1/sync", NULL, 401, "SIGN_IN"},
        {"POST", "/v1/sync", "wrong", 401, "SIGN_IN"},
        {"POST", "/v1/sync", "q8nZ0V3mWJt1cQ5yXk7aB2dE4fG6hI8jK0lM2nO4pQ6", 401, "SIGN_IN"},
        {"POST", "/v1/lease", "q8nZ0V3mWJt1cQ5yXk7aB2dE4fG6hI8jK0lM2nO4pQ6", 401, "SIGN_IN"},
        {"POST", "/v1/enrol", NULL, 400, "BAD_REQUEST"},
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        submit(world, calls[i].method, calls[i].path, calls[i].token, NULL, 0, &answer);
        await(world, &answer);
        expect_status(&answer, calls[i].http_status, calls[i].code);
    }
}

/* Given a signed-in device, when its request is malformed, then the answer says what is wrong and
 * nothing is decided. */
static void test_service__malformed_requests(void **state)
{
    struct world *world = *state;
    struct phone phone = enrol(world, "li");
    struct answer answer;
    struct id id = new_id(world);
    const char *fine = changeset(world, &phone, 1, customer_blocks(world, &id, "C"));
    const struct {
        const char *json;
        int http_status;
        const char *part;
    } cases[] = {
        {"{}", 400, "BAD_REQUEST"},
        {"[]", 400, "BAD_REQUEST"},
        {"{\"protocol\":2}", 426, "UPGRADE_NEEDED"},
        {format(world, "%s ", request(world, &phone, "7")), 400, "changesets"},
        {format(world, "%sx", request(world, &phone, NULL)), 400, "BAD_REQUEST"},
        {request(world, &phone, "[7]"), 400, "changeset"},
        {request(world, &phone, "[{\"id\":\"x\"}]"), 400, "changeset"},
        {request(world, &phone, format(world, "[%s,%s]", fine, fine)), 400, "seq 1"},
        {request(world, &phone, format(world, "[%s,{\"seq\":2}]", fine)), 400, "changeset"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        answer = post(world, "/v1/sync", phone.token, cases[i].json);
        expect_status(&answer, cases[i].http_status, cases[i].part);
    }
    static const char *const scopes[] = {"[1,1]", "[0]", "[\"x\"]", "{}", "[-1]"};
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
        (void)snprintf(phone.scope, sizeof phone.scope, "%s", scopes[i]);
        answer = post(world, "/v1/sync", phone.token, request(world, &phone, NULL));
        expect_status(&answer, 400, "scope");
    }
    phone.scope[0] = '\0';
    submit(world, "POST", "/v1/sync", phone.token, "no frame", 8, &answer);
    await(world, &answer);
    expect_status(&answer, 400, "frame");
    const char *reply = sync_phone(world, &phone, NULL);
    expect_not_in(reply, wire(world, &id));
    assert_int_equal(number_member(world, reply, "head"), 5);
}

/* Given a frame that expands to more than a request may, when it comes, then 413, at no cost. */
static void test_service__a_bomb_is_too_large(void **state)
{
    struct world *world = *state;
    struct phone phone = enrol(world, "li");
    struct answer answer;
    char *zeros = calloc(1, LIMIT_REQUEST_EXPANDED + 1);
    assert_non_null(zeros);
    submit_json(world, "/v1/sync", phone.token, zeros, LIMIT_REQUEST_EXPANDED + 1, &answer);
    await(world, &answer);
    expect_status(&answer, 413, "TOO_LARGE");
    free(zeros);
}

/* Given a code, when it is used in another spelling, then it gives a token once; unknown, used and
 * malformed ones give none. */
static void test_service__a_code_is_used_once(void **state)
{
    struct world *world = *state;
    const char *code = last_line(world, command(world, DAYBOOK_OK, "enrol li"));
    char spelled[64] = "";
    for (size_t i = 0, at = 0; code[i] != '\0'; i++) {
        if (code[i] != '-') {
            spelled[at++] = (char)(code[i] >= 'A' ? code[i] - 'A' + 'a' : code[i]);
        }
    }
    static const char pattern[] = "{\"protocol\":1,\"code\":\"%s\",\"instance\":\"%s\","
                                  "\"device_name\":\"李娜's phone\"}";
    struct id instance = new_id(world);
    static const char *const wrong[] = {"", "x", "0000-0000-0000-0000-0000-0000-00"};
    for (size_t i = 0; i < 3; i++) {
        struct answer answer = post(world, "/v1/enrol", NULL,
                                    format(world, pattern, wrong[i], wire(world, &instance)));
        expect_status(&answer, 403, "BAD_CODE");
    }
    struct answer answer =
        post(world, "/v1/enrol", NULL, format(world, pattern, spelled, wire(world, &instance)));
    expect_status(&answer, 200, "\"role\":\"rep\"");
    answer = post(world, "/v1/enrol", NULL, format(world, pattern, code, wire(world, &instance)));
    expect_status(&answer, 403, "BAD_CODE");
    const char *list = command(world, DAYBOOK_OK, "device list");
    expect_in(list, "李娜's phone");
    expect_in(list, "active");
    (void)command(world, DAYBOOK_NOT_FOUND, "enrol nobody");
    (void)command(world, DAYBOOK_INVALID, "enrol li --minutes 16");
}

/* Given a new device, when it syncs, then it gets its scope, and the records in pages; when it
 * pushes, its verdicts and the marker; others get the record. */
static void test_service__push_and_pull(void **state)
{
    struct world *world = *state;
    struct phone li = enrol(world, "li"), wang = enrol(world, "wang");
    struct id id = new_id(world);
    struct phone again = li;
    const char *reply = sync_phone(world, &again, NULL);
    expect_in(reply, "\"scope\":[[");
    expect_in(reply, "\"organisation\"");
    reply = load_phone(world, &li);
    expect_in(reply, "\"pages\":[{\"bucket\":1,\"head\":5,\"rows\":[{\"entity\":\"organisation\"");
    expect_in(reply, "app_user");
    expect_not_in(reply, "\"reset\"");
    expect_not_in(reply, "\"scope\"");
    expect_not_in(reply, "\"log\"");
    (void)load_phone(world, &wang);
    reply = push_customer(world, &li, &id, "晨光");
    expect_in(reply, "\"verdicts\":[[1,\"accepted\",6]]");
    expect_in(reply, "\"op\":\"own\"");
    expect_not_in(reply, "scope");
    reply = sync_phone(world, &wang, NULL);
    expect_in(reply, "晨光");
    expect_not_in(reply, "verdicts");
    reply = sync_phone(world, &wang, NULL);
    expect_not_in(reply, "\"log\"");
    expect_not_in(reply, "more");
}

/* Given decided changesets, when they are repeated, one is left out, another takes a seq, settled
 * goes back or the instance is another, then the answers are those of the protocol. */
static void test_service__repeats_gaps_and_copies(void **state)
{
    struct world *world = *state;
    struct phone phone = enrol(world, "li");
    struct id ids[3] = {new_id(world), new_id(world), new_id(world)};
    const char *first = changeset(world, &phone, 1, customer_blocks(world, &ids[0], "1"));
    const char *second = changeset(world, &phone, 2, customer_blocks(world, &ids[1], "2"));
    const char *third = changeset(world, &phone, 3, customer_blocks(world, &ids[2], "3"));
    (void)sync_phone(world, &phone, format(world, "[%s]", first));
    struct answer answer =
        post(world, "/v1/sync", phone.token, request(world, &phone, format(world, "[%s]", third)));
    expect_status(&answer, 409, "\"GAP\"");
    expect_in(answer.text, "\"seq\":2");
    const char *reply = sync_phone(world, &phone, format(world, "[%s,%s]", first, second));
    expect_in(reply, "[1,\"accepted\",6,{\"duplicate\":true}],[2,\"accepted\",7]");
    const char *other = changeset(world, &phone, 2, customer_blocks(world, &ids[2], "other"));
    answer =
        post(world, "/v1/sync", phone.token, request(world, &phone, format(world, "[%s]", other)));
    expect_status(&answer, 409, "DIVERGED");
    phone.settled = 2;
    (void)sync_phone(world, &phone, NULL);
    phone.settled = 1;
    answer = post(world, "/v1/sync", phone.token, request(world, &phone, NULL));
    expect_status(&answer, 409, "DIVERGED");
    phone.settled = 2;
    struct phone copy = phone;
    copy.instance = new_id(world);
    answer = post(world, "/v1/sync", copy.token, request(world, &copy, NULL));
    expect_status(&answer, 409, "DIVERGED");
    for (int off = 0; off < 2; off++) { /* its number, and another one */
        const char *text = format(world, "{\"device_no\":%lld,%s", (long long)phone.device_no + off,
                                  request(world, &phone, NULL) + 1);
        answer = post(world, "/v1/sync", phone.token, text);
        expect_status(&answer, off == 0 ? 200 : 409, off == 0 ? "position" : "DIVERGED");
    }
    /* The copy leases, twice because the reply is lost, and begins anew. */
    const char *lease =
        format(world, "{\"protocol\":1,\"instance\":\"%s\",\"old_instance\":\"%s\"}",
               wire(world, &copy.instance), wire(world, &phone.instance));
    answer = post(world, "/v1/lease", copy.token, lease);
    expect_status(&answer, 200, "device_no");
    const char *number = member(world, answer.text, "device_no");
    answer = post(world, "/v1/lease", copy.token, lease);
    assert_string_equal(member(world, answer.text, "device_no"), number);
    copy.position = 5; /* not where a copy begins, but its marker stands behind it */
    copy.settled = 0;
    char *again = strdup(second);
    *strstr(again, "\"seq\":2") = '"';
    strstr(again, "\"seq\":")[6] = '1';
    reply = sync_phone(world, &copy, format(world, "[%s]", again));
    free(again);
    expect_in(reply, "[1,\"accepted\",7,{\"duplicate\":true}]");
    expect_in(reply, "\"op\":\"own\"");
    /* The original goes on as the instance that it is, and so does the copy. */
    for (int i = 0; i < 2; i++) {
        (void)sync_phone(world, &phone, NULL);
        (void)sync_phone(world, &copy, NULL);
    }
    other = changeset(world, &phone, 3, customer_blocks(world, &ids[2], "3"));
    reply = sync_phone(world, &phone, format(world, "[%s]", other));
    expect_in(reply, "[3,\"accepted\",8]");
    reply = sync_phone(world, &copy, NULL);
    expect_in(reply, "\"op\":\"new\"");
    /* An instance of another device is no copy of this one. */
    struct phone stranger = enrol(world, "li");
    answer = post(world, "/v1/sync", phone.token, request(world, &stranger, NULL));
    expect_status(&answer, 409, "DIVERGED");
}

/* Given a device at some position, when epoch or position are not the server's, or it has none,
 * then a snapshot begins at the head. */
static void test_service__resets(void **state)
{
    struct world *world = *state;
    struct phone office = enrol(world, "office");
    (void)load_phone(world, &office);
    struct phone stranger = office;
    stranger.epoch ^= 2;
    stranger.loading = "[[1]]";
    const char *reply = sync_phone(world, &stranger, NULL);
    expect_in(reply, "\"position\":5");
    expect_in(reply, "\"reset\":true");
    expect_in(reply, "\"more\":true");
    expect_not_in(reply, "\"log\"");
    expect_not_in(reply, "\"pages\"");
    assert_true(stranger.epoch == office.epoch);
    stranger = office;
    stranger.position = 1000;
    expect_in(sync_phone(world, &stranger, NULL), "\"reset\":true");
    stranger = office;
    stranger.position = 0;
    expect_in(sync_phone(world, &stranger, NULL), "\"reset\":true");
    stranger.position = 1;
    expect_not_in(sync_phone(world, &stranger, NULL), "\"reset\":true");
}

/* Given a bucket that the device does not hold, when it syncs, then the scope names it, the log
 * goes on where it was, and the pages bring what was before. */
static void test_service__a_gained_bucket(void **state)
{
    struct world *world = *state;
    struct phone office = enrol(world, "office"), tom = enrol(world, "tom");
    struct id before = new_id(world), after = new_id(world);
    (void)load_phone(world, &tom);
    (void)push_customer(world, &tom, &before, "before");
    (void)load_phone(world, &office);
    (void)snprintf(office.scope, sizeof office.scope, "[1,2]");
    (void)push_customer(world, &tom, &after, "after");
    const char *reply = sync_phone(world, &office, NULL);
    expect_in(reply, "\"scope\":[[");
    expect_in(reply, "\"more\":true");
    expect_in(reply, "after");
    expect_not_in(reply, "before");
    expect_not_in(reply, "\"reset\"");
    int64_t west = strtoll(strrchr(office.scope, ',') + 1, NULL, 10);
    office.loading = format(world, "[[%lld]]", (long long)west);
    reply = sync_phone(world, &office, NULL);
    expect_in(reply, format(world, "\"pages\":[{\"bucket\":%lld,\"head\":7", (long long)west));
    expect_in(reply, "before");
    expect_in(reply, "after");
    expect_not_in(reply, "\"scope\"");
    expect_not_in(reply, "\"log\"");
    expect_not_in(reply, "\"more\"");
    /* one that is out of the scope has no pages, and no name */
    tom.loading = "[[3]]";
    reply = sync_phone(world, &tom, NULL);
    expect_not_in(reply, "\"pages\"");
}

/* Given a page size of one byte, when a device catches up, then each reply has one position and
 * more to come. */
static void test_service__pages(void **state)
{
    struct world *world = *state;
    struct phone phone = enrol(world, "office");
    (void)load_phone(world, &phone);
    phone.position = 1;
    world->page_bytes = 1;
    for (int64_t position = 2; position <= 5; position++) {
        const char *reply = sync_phone(world, &phone, NULL);
        assert_int_equal(phone.position, position);
        assert_int_equal(strstr(reply, "\"more\":true") != NULL, position < 5);
    }
    expect_not_in(sync_phone(world, &phone, NULL), "log");
}

/* Given a page size of one byte, when a bucket is loaded, then each page has one record and names
 * where the next begins; asked again, it is the same; what names no place is refused, and what a
 * newer server has named begins again, in that place. */
static void test_service__snapshot_pages(void **state)
{
    struct world *world = *state;
    struct phone phone = enrol(world, "li");
    (void)load_phone(world, &phone);
    world->page_bytes = 1;
    phone.loading = "[[1]]";
    int pages = 0;
    const char *next;
    do {
        const char *reply = sync_phone(world, &phone, NULL);
        assert_string_equal(strstr(reply, "\"pages\""),
                            strstr(sync_phone(world, &phone, NULL), "\"pages\""));
        next = strstr(reply, "\"next\":[");
        assert_int_equal(strstr(reply, "\"more\":true") != NULL, next != NULL);
        assert_int_equal(strstr(reply, "\"after\":[") != NULL, pages > 0);
        if (next != NULL) {
            next += strlen("\"next\":[");
            phone.loading = format(world, "[[1,%.*s]]", (int)strcspn(next, "]"), next);
        }
        pages++;
    } while (next != NULL && pages < 100);
    /* organisation, two territories, four users and that of the server; and a page that finds no
     * more */
    assert_int_equal(pages, 9);
    phone.loading = "[[1,\"spaceship\",\"AZKfbDoAcACAAAAAAAAACg\"]]";
    expect_in(sync_phone(world, &phone, NULL),
              "\"after\":[\"spaceship\",\"AZKfbDoAcACAAAAAAAAACg\"],\"next\":[\"organisation\"");
    static const char *const wrong[] = {"{}",
                                        "[1]",
                                        "[[0]]",
                                        "[[1,2]]",
                                        "[[1,\"x\"]]",
                                        "[[1,\"visit\"]]",
                                        "[[1,\"visit\",\"AZ\"]]",
                                        "[[1,\"visit\",\"AZKfbDoAcACAAAAAAAAACg\",1]]"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        phone.loading = wrong[i];
        struct answer answer = post(world, "/v1/sync", phone.token, request(world, &phone, NULL));
        expect_status(&answer, 400, "loading");
    }
}

/* Given a changeset that cannot be read as records, when one that builds on it follows, then the
 * first is rejected with the field, the second depends on it. */
static void test_service__what_a_refused_changeset_would_have_made(void **state)
{
    struct world *world = *state;
    struct phone phone = enrol(world, "li");
    struct id customer = new_id(world), contact = new_id(world);
    const char *bad = changeset(
        world, &phone, 1,
        format(world,
               "[{\"entity\":\"customer\",\"op\":\"new\",\"fields\":[\"name\",\"lat_e7\"],"
               "\"rows\":[[0,\"%s\",\"a\\u4e2d\\\"b\",\"x\"]]}]",
               wire(world, &customer)));
    const char *next = changeset(
        world, &phone, 2,
        format(world,
               "[{\"entity\":\"contact\",\"op\":\"new\",\"fields\":[\"customer_id\",\"name\"],"
               "\"rows\":[[0,\"%s\",\"%s\",\"Anna\"]]}]",
               wire(world, &contact), wire(world, &customer)));
    const char *unknown =
        changeset(world, &phone, 3,
                  "[{\"entity\":\"spaceship\",\"op\":\"new\",\"fields\":[\"name\"],"
                  "\"rows\":[[0,\"AZKfbDoAcACAAAAAAAAACg\",\"x\"]]}]");
    const char *reply = sync_phone(world, &phone, format(world, "[%s,%s,%s]", bad, next, unknown));
    expect_in(reply, "[1,\"rejected\",0,{\"code\":\"SCHEMA\",\"entity\":\"customer\"");
    expect_in(reply, "\"field\":\"lat_e7\",\"rule\":\"type\"");
    expect_in(reply, "[2,\"rejected\",0,{\"code\":\"DEPENDS\",\"entity\":\"contact\"");
    expect_in(reply, "\"cause\"");
    expect_in(reply, "[3,\"rejected\",0,{\"code\":\"SCHEMA\"");
}

/* Given a user who was disabled, when their device sends work, then it is quarantined and its text
 * is in the store as it came; a device that was revoked is not let in at all. */
static void test_service__disabled_and_revoked(void **state)
{
    struct world *world = *state;
    struct phone phone = enrol(world, "li");
    struct id id = new_id(world);
    FILE *file = fopen(format(world, "%s/disable.jsonl", world->folder), "w");
    assert_non_null(file);
    (void)fputs("{\"entity\":\"app_user\",\"key\":\"li\",\"disabled\":true}\n", file);
    (void)fclose(file);
    (void)command(world, DAYBOOK_OK, format(world, "import %s/disable.jsonl", world->folder));
    const char *text =
        changeset(world, &phone, 1, customer_blocks(world, &id, "escaped \\u4e2d \\\" text"));
    const char *reply = sync_phone(world, &phone, format(world, "[ %s ]", text));
    expect_in(reply, "[1,\"quarantined\",0,{\"code\":\"AUTH\"");
    reply = sync_phone(world, &phone, format(world, "[%s]", text));
    expect_in(reply, "\"duplicate\":true");
    (void)command(world, DAYBOOK_OK, "device revoke 2");
    struct answer answer = post(world, "/v1/sync", phone.token, request(world, &phone, NULL));
    expect_status(&answer, 401, "SIGN_IN");
    (void)command(world, DAYBOOK_NOT_FOUND, "device revoke 99");
    (void)command(world, DAYBOOK_INVALID, "device revoke x");
    struct database database;
    struct statement *slot = NULL;
    struct database_options options = {.mode = DATABASE_READER};
    daybook_status status;
    bool row = false;
    size_t length = 0;
    assert_int_equal(
        dk_database_open(&database, format(world, "%s/server.db", world->folder), &options),
        DAYBOOK_OK);
    struct statement *statement =
        dk_statement(&database, &slot, "SELECT body FROM quarantine", &status);
    assert_non_null(statement);
    assert_int_equal(dk_step(statement, &row), DAYBOOK_OK);
    assert_true(row);
    const char *kept = dk_column_text(statement, 0, &length);
    assert_int_equal(length, strlen(text));
    assert_memory_equal(kept, text, length);
    dk_database_close(&database);
}

/* Given an open service, when another opens the folder, then it is told whose it is; after close
 * and open everything is as it was, the codes too. */
static void test_service__one_owner_and_reopening(void **state)
{
    struct world *world = *state;
    struct service *second = NULL;
    char problem[300] = "";
    struct service_options options = {.data_folder = world->folder};
    assert_int_equal(srv_service_open(&options, &second, problem, sizeof problem), DAYBOOK_BUSY);
    assert_null(second);
    expect_in(problem, format(world, "%ld", (long)getpid()));
    struct phone phone = enrol(world, "li");
    struct id id = new_id(world);
    (void)push_customer(world, &phone, &id, "C");
    srv_service_close(world->service);
    open_service(world);
    const char *reply = sync_phone(world, &phone, NULL);
    assert_int_equal(number_member(world, reply, "head"), 6);
    (void)command(world, DAYBOOK_EXISTS, "init");
    (void)command(world, DAYBOOK_EXISTS, "user add li");
    (void)command(world, DAYBOOK_INVALID, "user add x --role king");
    (void)command(world, DAYBOOK_NOT_FOUND, "user add x --manager nobody");
    (void)command(world, DAYBOOK_INVALID, "serve");
    options.data_folder = "no/such/folder";
    assert_int_equal(srv_service_open(&options, &second, problem, sizeof problem),
                     DAYBOOK_CANNOT_OPEN);
    expect_in(problem, "no/such/folder");
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_service__##name, setup_service, teardown_service)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(doors),
        TEST(malformed_requests),
        TEST(a_bomb_is_too_large),
        TEST(a_code_is_used_once),
        TEST(push_and_pull),
        TEST(repeats_gaps_and_copies),
        TEST(resets),
        TEST(a_gained_bucket),
        TEST(pages),
        TEST(snapshot_pages),
        TEST(what_a_refused_changeset_would_have_made),
        TEST(disabled_and_revoked),
        TEST(one_owner_and_reopening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
