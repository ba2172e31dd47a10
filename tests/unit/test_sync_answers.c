/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers that are not what they should be, into a real store: portals, proxies, servers in
 * trouble, replies cut and damaged at each byte. Whatever comes, the store stays as it was and the
 * next good answer mends it.
 */
#include "tests/unit/api_world.h"

#include "engine/protocol/message.h"

#define FRAME "application/vnd.daybook+zstd"

/* All that a sync could change, as one text. */
static char *dump(struct world *world)
{
    char *json = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    daybook_sync_status status = device_status(&world->device);
    char *all = calloc(1, 100000);
    static const char *const queries[] = {
        "SELECT id, version, name, kind FROM customer ORDER BY id",
        "SELECT id, version, feedback FROM visit ORDER BY id",
        "SELECT * FROM sync_state ORDER BY id",
        "SELECT * FROM inbox ORDER BY item",
        "SELECT * FROM buckets ORDER BY bucket",
    };
    assert_non_null(all);
    size_t used = 0;
    for (size_t i = 0; i < COUNT(queries); i++) {
        device_must(daybook_query_json(world->engine, queries[i], NULL, &json, &error), &error);
        used += (size_t)snprintf(all + used, 100000 - used, "%s\n", json);
        daybook_free(json);
    }
    (void)snprintf(all + used, 100000 - used, "%lld %lld %lld %lld %lld %d",
                   (long long)status.position, (long long)status.pending,
                   (long long)status.unsettled, (long long)status.last_synced_ms,
                   (long long)status.clock_offset_ms, status.enrolled);
    return all;
}

/* Enrolled, with something to send and something to fetch. */
static void prepare(struct world *world)
{
    char id[DAYBOOK_ID_SIZE];
    world->script.wall_offset_ms = 5000;
    device_enrol(&world->device, SCRIPT_CODE);
    device_customer(&world->device, "synced", id);
    device_sync(&world->device);
    world->script.wall_offset_ms = 7000;
    device_patch_text(&world->device, "customer", id, "kind", "pending");
    device_customer(&world->device, "pending too", id);
    (void)script_add_customer(&world->script, "somebody else's");
    /* one try that got nowhere: from here on the changesets are "sending" */
    script_plan(&world->script,
                (struct script_fault){.trouble = SCRIPT_FAIL, .status = DAYBOOK_OFFLINE});
    device_sync_expect(&world->device, DAYBOOK_OFFLINE);
}

/* A sync whose token the server does not take. */
static void refuse_token(struct world *world)
{
    script_plan(&world->script, (struct script_fault){.trouble = SCRIPT_ERROR,
                                                      .http_status = 401,
                                                      .code = "SIGN_IN",
                                                      .retry_after_ms = -1});
    device_sync_expect(&world->device, DAYBOOK_SIGN_IN);
}

/* Expects that a sync meets the fault with this status and changes nothing. */
static void changes_nothing(struct world *world, struct script_fault fault, daybook_status status)
{
    char *before = dump(world);
    script_plan(&world->script, fault);
    device_sync_expect(&world->device, status);
    assert_int_equal(world->device.error.status, status);
    assert_int_equal(device_status(&world->device).blocked, status);
    char *after = dump(world);
    assert_string_equal(before, after);
    free(before);
    free(after);
}

/* Expects that the next sync does everything. */
static void mends(struct world *world)
{
    device_sync(&world->device);
    assert_int_equal(device_status(&world->device).pending, 0);
    assert_int_equal(device_status(&world->device).unsettled, 0);
    assert_int_equal(device_status(&world->device).blocked, DAYBOOK_OK);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM customer"), 3);
    assert_int_equal(
        device_int(&world->device, "SELECT count(*) FROM customer WHERE kind = 'pending'"), 1);
}

static void test_sync_answers__portals_and_strangers_are_not_daybook(void **state)
{
    struct world *world = *state;
    prepare(world);
    static const struct {
        int http_status;
        const char *content_type, *body;
    } portals[] = {
        {200, "text/html", "<html><body>Welcome to the hotel</body></html>"},
        {200, "text/html; charset=utf-8", ""},
        {200, NULL, "<html>"},
        {200, NULL, NULL},
        {200, "application/json", "{\"protocol\":1}"},
        {200, FRAME, "<html><body>Sign in to continue</body></html>"},
        {301, "text/html", "<a href='https://portal'>moved</a>"},
        {302, NULL, NULL},
        {303, FRAME, NULL},
        {307, "text/html", ""},
        {204, NULL, NULL},
        {206, FRAME, NULL},
        {401, "text/html", "<html>401</html>"},
        {403, "text/html", "<html>blocked by your company</html>"},
        {404, "text/plain", "not found"},
        {407, "text/html", "proxy"},
        {409, "text/html", "DIVERGED"},
        {413, "text/html", "<html>nginx</html>"},
        {426, "text/html", "<html>upgrade</html>"},
        {511, "text/html", "network authentication required"},
        {101, NULL, NULL},
    };
    for (size_t i = 0; i < COUNT(portals); i++) {
        struct script_fault fault = {.trouble = SCRIPT_ANSWER,
                                     .http_status = portals[i].http_status,
                                     .content_type = portals[i].content_type,
                                     .body = portals[i].body,
                                     .retry_after_ms = -1};
        changes_nothing(world, fault,
                        portals[i].http_status == 511 ? DAYBOOK_SERVER_ERROR : DAYBOOK_NOT_DAYBOOK);
    }
    /* the token is still believed: nobody was signed out by a portal */
    assert_true(device_status(&world->device).enrolled);
    mends(world);
}

static void test_sync_answers__the_servers_refusals(void **state)
{
    struct world *world = *state;
    prepare(world);
    static const struct {
        int http_status;
        const char *code;
        daybook_status status;
    } refusals[] = {
        {401, "SIGN_IN", DAYBOOK_SIGN_IN},
        {403, "SIGN_IN", DAYBOOK_SIGN_IN},
        {426, "UPGRADE_NEEDED", DAYBOOK_UPGRADE_NEEDED},
        {429, "BUSY", DAYBOOK_SERVER_BUSY},
        {503, "BUSY", DAYBOOK_SERVER_BUSY},
        {500, "INTERNAL", DAYBOOK_SERVER_ERROR},
        {408, "TIMEOUT", DAYBOOK_TIMEOUT},
        {404, "NOT_FOUND", DAYBOOK_NOT_DAYBOOK},
        {405, "METHOD", DAYBOOK_NOT_DAYBOOK},
    };
    for (size_t i = 0; i < COUNT(refusals); i++) {
        struct script_fault fault = {.trouble = SCRIPT_ERROR,
                                     .http_status = refusals[i].http_status,
                                     .code = refusals[i].code,
                                     .retry_after_ms = 3000};
        changes_nothing(world, fault, refusals[i].status);
        assert_non_null(strstr(world->device.error.text, refusals[i].code));
    }
    mends(world);
}

static void test_sync_answers__refusals_from_before_the_request_was_read(void **state)
{
    struct world *world = *state;
    prepare(world);
    struct script_fault fault = {.trouble = SCRIPT_ANSWER,
                                 .http_status = 401,
                                 .content_type = "application/json",
                                 .body = "{\"error\":\"SIGN_IN\",\"text\":\"no token\"}",
                                 .retry_after_ms = -1};
    changes_nothing(world, fault, DAYBOOK_SIGN_IN);
    assert_non_null(strstr(world->device.error.text, "no token"));
    /* JSON of somebody else says nothing about tokens */
    static const char *const foreign[] = {
        "{\"error\":401}",           "{\"message\":\"SIGN_IN\"}", "[]",
        "{\"error\":\"SIGN_IN\"} x", "{\"error\":\"SIGN_IN\"",    ""};
    for (size_t i = 0; i < COUNT(foreign); i++) {
        fault.body = foreign[i];
        changes_nothing(world, fault, DAYBOOK_NOT_DAYBOOK);
    }
    mends(world);
}

static void test_sync_answers__the_transports_failures(void **state)
{
    struct world *world = *state;
    prepare(world);
    static const daybook_status failures[] = {DAYBOOK_OFFLINE, DAYBOOK_TIMEOUT, DAYBOOK_UNTRUSTED,
                                              DAYBOOK_BAD_REPLY, DAYBOOK_NO_MEMORY};
    for (size_t i = 0; i < COUNT(failures); i++) {
        struct script_fault fault = {.trouble = SCRIPT_FAIL, .status = failures[i]};
        changes_nothing(world, fault, failures[i]);
        assert_false(device_status(&world->device).connected);
    }
    /* a system without a network is not even asked */
    script_set_network(&world->script, false);
    int exchanges = script_seen(&world->script).exchanges;
    device_sync_expect(&world->device, DAYBOOK_OFFLINE);
    assert_int_equal(script_seen(&world->script).exchanges, exchanges);
    script_set_network(&world->script, true);
    mends(world);
    assert_true(device_status(&world->device).connected);
}

static void test_sync_answers__a_reply_cut_at_each_byte(void **state)
{
    struct world *world = *state;
    prepare(world);
    /* given: the size of the good reply, which every lost one repeats as duplicates */
    struct script_fault fault = {
        .trouble = SCRIPT_LOSE_REPLY, .status = DAYBOOK_OFFLINE, .retry_after_ms = -1};
    changes_nothing(world, fault, DAYBOOK_OFFLINE);
    changes_nothing(world, fault, DAYBOOK_OFFLINE);
    size_t size = world->script.reply.length;
    assert_true(size > 100);
    for (size_t bytes = 0; bytes < size; bytes++) {
        fault = (struct script_fault){.trouble = SCRIPT_CUT, .bytes = bytes, .retry_after_ms = -1};
        changes_nothing(world, fault, DAYBOOK_BAD_REPLY);
    }
    mends(world);
}

static void test_sync_answers__a_reply_damaged_at_each_byte(void **state)
{
    struct world *world = *state;
    prepare(world);
    struct script_fault fault = {
        .trouble = SCRIPT_LOSE_REPLY, .status = DAYBOOK_TIMEOUT, .retry_after_ms = -1};
    changes_nothing(world, fault, DAYBOOK_TIMEOUT);
    changes_nothing(world, fault, DAYBOOK_TIMEOUT);
    size_t size = world->script.reply.length;
    for (size_t bytes = 0; bytes < size; bytes++) {
        fault =
            (struct script_fault){.trouble = SCRIPT_DAMAGE, .bytes = bytes, .retry_after_ms = -1};
        /* the first four bytes say whose frame it is */
        changes_nothing(world, fault, bytes < 4 ? DAYBOOK_NOT_DAYBOOK : DAYBOOK_BAD_REPLY);
    }
    mends(world);
}

/* Each changes one member of a good reply so that it breaks the protocol. */
static void no_epoch(void *reply)
{
    ((struct sync_reply *)reply)->epoch = 0;
}

static void negative_epoch(void *reply)
{
    ((struct sync_reply *)reply)->epoch = (uint64_t)-5;
}

static void other_epoch(void *reply)
{
    ((struct sync_reply *)reply)->epoch++;
}

static void position_back(void *reply)
{
    ((struct sync_reply *)reply)->position = 0;
}

static void position_beyond_head(void *reply)
{
    ((struct sync_reply *)reply)->position = ((struct sync_reply *)reply)->head + 1;
}

static void safe_beyond_head(void *reply)
{
    ((struct sync_reply *)reply)->safe_position = ((struct sync_reply *)reply)->head + 1;
}

static void no_time(void *reply)
{
    ((struct sync_reply *)reply)->server_ms = 0;
}

static void no_such_time(void *reply)
{
    ((struct sync_reply *)reply)->server_ms = LIMIT_NUMBER + 1;
}

static void junk_log(void *reply)
{
    static char junk[] = "[{\"entity\":\"customer\",\"op\":\"new\",\"rows\":[[2]]}]";
    ((struct sync_reply *)reply)->log = (struct span){junk, sizeof junk - 1};
}

static void junk_verdicts(void *reply)
{
    static char junk[] = "[[2,\"accepted\"]]";
    ((struct sync_reply *)reply)->verdicts = (struct span){junk, sizeof junk - 1};
}

static void other_protocol(void *reply)
{
    ((struct sync_reply *)reply)->protocol = PROTOCOL_VERSION + 1;
}

static void test_sync_answers__replies_that_break_the_protocol(void **state)
{
    struct world *world = *state;
    prepare(world);
    static void (*const twists[])(void *reply) = {
        no_epoch, other_epoch, position_back, position_beyond_head, safe_beyond_head,
        no_time,  junk_log,    junk_verdicts, negative_epoch,       no_such_time,
    };
    for (size_t i = 0; i < COUNT(twists); i++) {
        struct script_fault fault = {
            .trouble = SCRIPT_TWIST, .twist = twists[i], .retry_after_ms = -1};
        changes_nothing(world, fault, DAYBOOK_BAD_REPLY);
        assert_true(strlen(world->device.error.text) > 20);
    }
    changes_nothing(world,
                    (struct script_fault){
                        .trouble = SCRIPT_TWIST, .twist = other_protocol, .retry_after_ms = -1},
                    DAYBOOK_UPGRADE_NEEDED);
    mends(world);
}

/* One tag more for a record that has as many as it may have. */
static char one_too_many[512];
static char full_record[ID_WIRE_LENGTH + 1];

static void tag_too_many(void *reply)
{
    struct sync_reply *message = reply;
    (void)snprintf(one_too_many, sizeof one_too_many,
                   "[{\"entity\":\"customer\",\"op\":\"set\",\"bucket\":2,\"fields\":[\"tags\"],"
                   "\"rows\":[[%lld,\"%s\",{\"add\":[\"one more\"]}]]}]",
                   (long long)message->position, full_record);
    message->log = (struct span){one_too_many, strlen(one_too_many)};
}

static void test_sync_answers__a_row_past_a_limit_does_not_say_that_the_request_was(void **state)
{
    struct world *world = *state;
    char id[DAYBOOK_ID_SIZE], json[4000] = "{\"tags\":[", text[3501] = "";
    struct id customer;
    daybook_transaction *transaction = NULL;
    daybook_error *error = &world->device.error;
    prepare(world);
    mends(world);
    device_customer(&world->device, "full", id);
    device_sync(&world->device);
    for (int i = 0; i < LIMIT_SET_ELEMENTS; i++) {
        (void)snprintf(json + strlen(json), sizeof json - strlen(json), "%s\"t%d\"",
                       i == 0 ? "" : ",", i);
    }
    (void)snprintf(json + strlen(json), sizeof json - strlen(json), "]}");
    device_must(daybook_begin(world->engine, &transaction), NULL);
    device_must(daybook_patch_json(transaction, "customer", id, DAYBOOK_ANY_VERSION, json, error),
                error);
    device_must(daybook_commit(transaction, error), error);
    daybook_end(&transaction);
    device_sync(&world->device);
    memset(text, 'x', sizeof text - 1);
    device_visit(&world->device, id, text, NULL); /* two that could go one by one */
    device_visit(&world->device, id, text, NULL);
    script_plan(&world->script,
                (struct script_fault){.trouble = SCRIPT_FAIL, .status = DAYBOOK_OFFLINE});
    device_sync_expect(&world->device, DAYBOOK_OFFLINE);
    assert_true(dk_id_from_text(id, strlen(id), &customer));
    dk_id_to_wire(&customer, full_record);

    int syncs = script_seen(&world->script).syncs;
    changes_nothing(
        world,
        (struct script_fault){.trouble = SCRIPT_TWIST, .twist = tag_too_many, .retry_after_ms = -1},
        DAYBOOK_BAD_REPLY);
    assert_int_equal(script_seen(&world->script).syncs, syncs + 1); /* nothing was halved */
    assert_non_null(strstr(error->text, "past a limit"));
    device_sync(&world->device);
    assert_int_equal(device_status(&world->device).pending, 0);
}

/* The same for enrolments. */
static void no_token(void *reply)
{
    ((struct enrol_reply *)reply)->token = "";
}

static void long_token(void *reply)
{
    ((struct enrol_reply *)reply)->token =
        "0123456789012345678901234567890123456789012345678901234567890123456789";
}

static void no_device_no(void *reply)
{
    ((struct enrol_reply *)reply)->device_no = 0;
}

static void huge_device_no(void *reply)
{
    ((struct enrol_reply *)reply)->device_no = INT64_C(1) << 32;
}

static void no_enrol_epoch(void *reply)
{
    ((struct enrol_reply *)reply)->epoch = 0;
}

static void negative_enrol_epoch(void *reply)
{
    ((struct enrol_reply *)reply)->epoch = (uint64_t)-5;
}

static void no_such_enrol_time(void *reply)
{
    ((struct enrol_reply *)reply)->server_ms = LIMIT_NUMBER + 1;
}

static void somebody_else(void *reply)
{
    ((struct enrol_reply *)reply)->user.bytes[0] ^= 1;
}

static void test_sync_answers__enrolments_that_break_the_protocol(void **state)
{
    struct world *world = *state;
    static void (*const twists[])(void *reply) = {
        no_token,       long_token,           no_device_no,      huge_device_no,
        no_enrol_epoch, negative_enrol_epoch, no_such_enrol_time};
    for (size_t i = 0; i < COUNT(twists); i++) {
        script_plan(&world->script, (struct script_fault){.trouble = SCRIPT_TWIST,
                                                          .twist = twists[i],
                                                          .retry_after_ms = -1});
        assert_int_equal(daybook_enrol(world->engine, SCRIPT_CODE, NULL, NULL), DAYBOOK_BAD_REPLY);
        assert_false(device_status(&world->device).enrolled);
    }
    /* a store belongs to one user: whose token was refused cannot sign in as another */
    daybook_error error = DAYBOOK_ERROR_INIT;
    prepare(world);
    refuse_token(world);
    script_plan(&world->script, (struct script_fault){.trouble = SCRIPT_TWIST,
                                                      .twist = somebody_else,
                                                      .retry_after_ms = -1});
    assert_int_equal(daybook_enrol(world->engine, SCRIPT_CODE, NULL, &error), DAYBOOK_INVALID);
    assert_non_null(strstr(error.text, "another user"));
    mends(world);
}

static void test_sync_answers__enrolment_meets_the_same(void **state)
{
    struct world *world = *state;
    static const struct {
        struct script_fault fault;
        daybook_status status;
    } cases[] = {
        {{.trouble = SCRIPT_FAIL, .status = DAYBOOK_OFFLINE}, DAYBOOK_OFFLINE},
        {{.trouble = SCRIPT_FAIL, .status = DAYBOOK_UNTRUSTED}, DAYBOOK_UNTRUSTED},
        {{.trouble = SCRIPT_ANSWER,
          .http_status = 200,
          .content_type = "text/html",
          .body = "<html>",
          .retry_after_ms = -1},
         DAYBOOK_NOT_DAYBOOK},
        {{.trouble = SCRIPT_ERROR, .http_status = 403, .code = "BAD_CODE", .retry_after_ms = -1},
         DAYBOOK_BAD_CODE},
        {{.trouble = SCRIPT_ERROR,
          .http_status = 426,
          .code = "UPGRADE_NEEDED",
          .retry_after_ms = -1},
         DAYBOOK_UPGRADE_NEEDED},
        {{.trouble = SCRIPT_CUT, .bytes = 30, .retry_after_ms = -1}, DAYBOOK_BAD_REPLY},
        {{.trouble = SCRIPT_DAMAGE, .bytes = 30, .retry_after_ms = -1}, DAYBOOK_BAD_REPLY},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        daybook_error error = DAYBOOK_ERROR_INIT;
        script_plan(&world->script, cases[i].fault);
        assert_int_equal(daybook_enrol(world->engine, SCRIPT_CODE, NULL, &error), cases[i].status);
        assert_int_equal(error.status, cases[i].status);
        assert_false(device_status(&world->device).enrolled);
    }
    daybook_error error = DAYBOOK_ERROR_INIT;
    assert_int_equal(daybook_enrol(world->engine, "WRONG", NULL, &error), DAYBOOK_BAD_CODE);
    assert_int_equal(daybook_enrol(world->engine, "", NULL, &error), DAYBOOK_INVALID);
    assert_string_equal(error.field, "code");
    assert_int_equal(daybook_enrol(world->engine, NULL, NULL, &error), DAYBOOK_INVALID);
    assert_int_equal(daybook_enrol(world->engine, SCRIPT_CODE, "\xC3", &error), DAYBOOK_INVALID);
    assert_string_equal(error.field, "device_name");
    device_enrol(&world->device, SCRIPT_CODE);
    assert_true(device_status(&world->device).enrolled);
    assert_int_equal(daybook_enrol(world->engine, SCRIPT_CODE, NULL, &error), DAYBOOK_MISUSE);
}

static void test_sync_answers__a_refused_token_can_be_replaced(void **state)
{
    struct world *world = *state;
    daybook_error error = DAYBOOK_ERROR_INIT;
    prepare(world);
    refuse_token(world);
    device_must(daybook_enrol(world->engine, SCRIPT_CODE, NULL, &error), &error);
    mends(world);
}

/* As after a request that came to another server: the last word counts. */
static void test_sync_answers__a_refused_token_is_good_again(void **state)
{
    struct world *world = *state;
    daybook_error error = DAYBOOK_ERROR_INIT;
    prepare(world);
    refuse_token(world);
    script_plan(&world->script,
                (struct script_fault){.trouble = SCRIPT_FAIL, .status = DAYBOOK_OFFLINE});
    assert_int_equal(
        daybook_fetch(world->engine, "visit", "0193f000-0000-7000-8000-000000000001", &error),
        DAYBOOK_OFFLINE);
    mends(world);
    assert_int_equal(daybook_enrol(world->engine, SCRIPT_CODE, NULL, &error), DAYBOOK_MISUSE);
}

static void test_sync_answers__without_enrolment_or_server(void **state)
{
    struct world *world = *state;
    device_sync_expect(&world->device, DAYBOOK_SIGN_IN);
    assert_int_equal(script_seen(&world->script).exchanges, 0);
    device_close(&world->device);
    world->device.options.server_url = NULL;
    device_open(&world->device);
    device_sync_expect(&world->device, DAYBOOK_MISUSE);
    assert_int_equal(daybook_start(world->device.engine, 0), DAYBOOK_MISUSE);
    assert_int_equal(daybook_enrol(world->device.engine, SCRIPT_CODE, NULL, NULL), DAYBOOK_MISUSE);
    assert_int_equal(device_status(&world->device).blocked, DAYBOOK_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(test_sync_answers__portals_and_strangers_are_not_daybook),
        API_TEST(test_sync_answers__the_servers_refusals),
        API_TEST(test_sync_answers__refusals_from_before_the_request_was_read),
        API_TEST(test_sync_answers__the_transports_failures),
        API_TEST(test_sync_answers__a_reply_cut_at_each_byte),
        API_TEST(test_sync_answers__a_reply_damaged_at_each_byte),
        API_TEST(test_sync_answers__replies_that_break_the_protocol),
        API_TEST(test_sync_answers__a_row_past_a_limit_does_not_say_that_the_request_was),
        API_TEST(test_sync_answers__enrolments_that_break_the_protocol),
        API_TEST(test_sync_answers__enrolment_meets_the_same),
        API_TEST(test_sync_answers__a_refused_token_can_be_replaced),
        API_TEST(test_sync_answers__a_refused_token_is_good_again),
        API_TEST(test_sync_answers__without_enrolment_or_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
