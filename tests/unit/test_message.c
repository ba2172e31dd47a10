/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages and verdict rows: faults are named by member, nothing is left over from an earlier
 * message, and details of newer servers are passed over. (That all members make the round trip:
 * tests/wire.)
 */
#include "engine/protocol/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define ID_1 "AZKfbDoAcACAAAAAAAAAAQ"
#define ID_2 "AZKfbDoAcACAAAAAAAAAAg"

/* Decodes a copy of its own size; spans then point into *bytes, which the caller frees. */
static bool decode(const struct message_table *table, const char *json, void *message,
                   struct arena *arena, char **bytes, const char **problem)
{
    size_t length = strlen(json);
    *bytes = malloc(length == 0 ? 1 : length);
    assert_non_null(*bytes);
    memcpy(*bytes, json, length);
    dk_arena_init(arena, 1 << 16);
    bool fine = dk_message_decode(table, *bytes, length, message, arena, problem);
    assert_int_equal(fine, *problem == NULL);
    return fine;
}

/* The text is refused, and the problem contains `word`. */
static void assert_refused(const struct message_table *table, const char *json, const char *word)
{
    struct sync_reply room; /* the largest of those used here */
    struct arena arena;
    const char *problem;
    char *bytes;
    if (decode(table, json, &room, &arena, &bytes, &problem)) {
        fail_msg("%s is read", json);
    }
    if (strstr(problem, word) == NULL) {
        fail_msg("%s: \"%s\" does not say \"%s\"", json, problem, word);
    }
    dk_arena_clear(&arena);
    free(bytes);
}

static void test_message__faults_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *json, *word;
    } cases[] = {
        {"", "text ends"},
        {"[]", "not an object"},
        {"{", "text ends"},
        {"{}", "\"protocol\" is missing"},
        {"{\"protocol\":1,\"instance\":\"" ID_1 "\"}", "\"old_instance\" is missing"},
        {"{\"protocol\":\"1\",\"instance\":\"" ID_1 "\",\"old_instance\":\"" ID_2 "\"}",
         "\"protocol\""},
        {"{\"protocol\":-1,\"instance\":\"" ID_1 "\",\"old_instance\":\"" ID_2 "\"}",
         "\"protocol\""},
        {"{\"protocol\":1.0,\"instance\":\"" ID_1 "\",\"old_instance\":\"" ID_2 "\"}",
         "\"protocol\""},
        {"{\"protocol\":9007199254740992,\"instance\":\"" ID_1 "\",\"old_instance\":\"" ID_2 "\"}",
         "\"protocol\""},
        {"{\"protocol\":1,\"protocol\":1,\"instance\":\"" ID_1 "\",\"old_instance\":\"" ID_2 "\"}",
         "\"protocol\" is there twice"},
        {"{\"protocol\":1,\"instance\":\"short\",\"old_instance\":\"" ID_2 "\"}", "\"instance\""},
        {"{\"protocol\":1,\"instance\":null,\"old_instance\":\"" ID_2 "\"}", "\"instance\""},
        {"{\"protocol\":1,\"instance\":[\"" ID_1 "\"],\"old_instance\":\"" ID_2 "\"}",
         "\"instance\""},
        {"{\"protocol\":1,\"instance\":\"" ID_1 "\",\"old_instance\":\"" ID_2 "\"}}",
         "behind the value"},
        {"{\"protocol\":1,\"instance\":\"" ID_1 "\",\"old_instance\":\"" ID_2 "\",\"zz\":[}",
         "value"},
        {"{\"Protocol\":1,\"instance\":\"" ID_1 "\",\"old_instance\":\"" ID_2 "\"}",
         "\"protocol\" is missing"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_refused(&dk_lease_request_table, cases[i].json, cases[i].word);
    }
}

static void test_message__each_type_has_its_form(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "\"epoch\":5",    "\"epoch\":\"x\"", "\"epoch\":\"9223372036854775808\"",
        "\"epoch\":\"\"", "\"more\":1",      "\"more\":\"true\"",
        "\"more\":null",  "\"log\":{}",      "\"log\":\"[]\"",
        "\"log\":null",   "\"log\":[",       "\"head\":\"7\"",
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        char json[300], member[20];
        (void)snprintf(json, sizeof json, "{%s}", wrong[i]);
        (void)snprintf(member, sizeof member, "%.*s", (int)strcspn(wrong[i], ":"), wrong[i]);
        assert_refused(&dk_sync_reply_table, json, member);
    }
}

static void test_message__absent_members_are_empty_whatever_stood_there(void **state)
{
    (void)state;
    struct sync_reply reply;
    struct arena arena;
    const char *problem;
    char *bytes;
    memset(&reply, 0xA5, sizeof reply);
    assert_true(decode(&dk_sync_reply_table,
                       " {\"zz\":{\"head\":1},\"protocol\":1,\"epoch\":\"5\",\"server_ms\":\"-6\","
                       "\"position\":7,\"head\":8,\"safe_position\":0,"
                       "\"log\": [ {\"a\" : \"\\n\"} ] } ",
                       &reply, &arena, &bytes, &problem));
    assert_true(reply.epoch == 5 && reply.server_ms == -6 && reply.position == 7 &&
                reply.head == 8);
    assert_false(reply.more);
    assert_false(reply.reset);
    assert_null(reply.scope.bytes);
    assert_null(reply.verdicts.bytes);
    /* a span is the raw text, in the message's own bytes */
    assert_int_equal(reply.log.length, strlen("[ {\"a\" : \"\\n\"} ]"));
    assert_memory_equal(reply.log.bytes, "[ {\"a\" : \"\\n\"} ]", reply.log.length);
    assert_true(reply.log.bytes > bytes);
    dk_arena_clear(&arena);
    free(bytes);
}

static void test_message__texts_are_bounded_on_both_sides(void **state)
{
    (void)state;
    char text[LIMIT_LABEL_BYTES + 4];
    struct error_reply message = {.code = "BUSY", .detail = text};
    struct buffer out;
    memset(text, 'x', sizeof text);
    memcpy(text + LIMIT_LABEL_BYTES - 1, "中", 4); /* its three bytes cross the bound */
    dk_buffer_init(&out, 10000);
    dk_message_encode(&out, &dk_error_reply_table, &message);
    /* then it is cut before the character that does not fit */
    assert_int_equal(out.length,
                     strlen("{\"code\":\"BUSY\",\"detail\":\"\"}") + LIMIT_LABEL_BYTES - 1);
    struct arena arena;
    const char *problem;
    char *bytes;
    assert_true(
        decode(&dk_error_reply_table, dk_buffer_text(&out), &message, &arena, &bytes, &problem));
    assert_int_equal(strlen(message.detail), LIMIT_LABEL_BYTES - 1);
    dk_arena_clear(&arena);
    free(bytes);
    dk_buffer_reset(&out);
    dk_buffer_append_text(&out, "{\"code\":\"");
    for (int i = 0; i <= LIMIT_LABEL_BYTES; i++) {
        dk_buffer_append_char(&out, 'X');
    }
    dk_buffer_append_text(&out, "\"}");
    assert_refused(&dk_error_reply_table, dk_buffer_text(&out), "\"code\"");
    dk_buffer_clear(&out);
}

static void test_message__without_memory_it_is_refused(void **state)
{
    (void)state;
    char bytes[] = "{\"code\":\"BUSY\",\"detail\":\"later\"}";
    struct error_reply message;
    struct arena arena;
    const char *problem = NULL;
    dk_arena_init(&arena, 16);
    assert_false(dk_message_decode(&dk_error_reply_table, bytes, sizeof bytes - 1, &message, &arena,
                                   &problem));
    assert_string_equal(problem, "out of memory");
    dk_arena_clear(&arena);
}

/* ---- verdict rows */

/* Reads one row out of [row]; the result of dk_verdict_read. */
static int read_verdict(const char *row, struct verdict *verdict)
{
    char json[1000];
    struct json_reader reader;
    (void)snprintf(json, sizeof json, "[%s]", row);
    dk_json_open(&reader, json, strlen(json));
    assert_int_equal(dk_json_next(&reader), JSON_ARRAY);
    int result = dk_verdict_read(&reader, verdict);
    struct verdict none;
    if (result == 1) {
        assert_int_equal(dk_verdict_read(&reader, &none), 0);
    }
    return result;
}

static void test_message__details_of_newer_servers_are_passed_over(void **state)
{
    (void)state;
    struct verdict verdict;
    assert_int_equal(read_verdict("[3,\"rejected\",0,{\"zz\":[{}],\"code\":\"WEATHER\",\"rule\":"
                                  "\"rain\",\"duplicate\":true}]",
                                  &verdict),
                     1);
    assert_int_equal(verdict.kind, VERDICT_REJECTED);
    assert_int_equal(verdict.code, REJECT_INTERNAL);
    assert_string_equal(verdict.rule, "rain");
    assert_true(verdict.duplicate);
    assert_int_equal(read_verdict("[3,\"accepted\",9,{}]", &verdict), 1);
    assert_int_equal(read_verdict("", &verdict), 0);
}

static void test_message__names_longer_than_ours_are_cut_between_characters(void **state)
{
    (void)state;
    struct verdict verdict;
    assert_int_equal(
        read_verdict("[3,\"rejected\",0,{\"rule\":\"123456789012345678901234567890中\"}]",
                     &verdict),
        1);
    assert_string_equal(verdict.rule, "123456789012345678901234567890");
}

static void test_message__what_has_moved_comes_back(void **state)
{
    (void)state;
    static const char row[] = "[3,\"merged\",9,{\"entity\":\"customer\","
                              "\"record\":\"AZKfbDoAcACAAAAAAAAADw\",\"moved\":\"1730968000000\"}]";
    struct verdict verdict;
    struct buffer out;
    assert_int_equal(read_verdict(row, &verdict), 1);
    assert_int_equal(verdict.moved_ms, INT64_C(1730968000000));
    assert_string_equal(verdict.entity, "customer");
    dk_buffer_init(&out, 1000);
    dk_verdict_write(&out, &verdict);
    assert_string_equal(dk_buffer_text(&out), row);
    dk_buffer_clear(&out);
}

static void test_message__what_is_no_verdict_is_damage(void **state)
{
    (void)state;
    static const char *const damaged[] = {
        "7",
        "{}",
        "[]",
        "[3]",
        "[3,\"accepted\"]",
        "[0,\"accepted\",1]",
        "[\"3\",\"accepted\",1]",
        "[3,\"maybe\",1]",
        "[3,7,1]",
        "[3,\"accepted\",0]",
        "[3,\"merged\",-1]",
        "[3,\"rejected\",5]",
        "[3,\"quarantined\",5]",
        "[3,\"accepted\",1,7]",
        "[3,\"accepted\",1,{},{}]",
        "[3,\"rejected\",0,{\"code\":7}]",
        "[3,\"rejected\",0,{\"record\":\"x\"}]",
        "[3,\"rejected\",0,{\"clock\":1}]",
        "[3,\"rejected\",0,{\"field\":null}]",
        "[3,\"accepted\",1,{\"moved\":true}]",
        "[3,\"accepted\",1,{\"moved\":\"0\"}]",
        "[3,\"accepted\",1,{\"moved\":\"x\"}]",
        "[3,\"none\",0]",
    };
    for (size_t i = 0; i < COUNT(damaged); i++) {
        struct verdict verdict;
        if (read_verdict(damaged[i], &verdict) != -1) {
            fail_msg("%s is read", damaged[i]);
        }
    }
}

static void test_message__names_of_codes_go_both_ways(void **state)
{
    (void)state;
    for (int code = 0; code < REJECT_COUNT; code++) {
        const char *name = dk_reject_name((enum reject_code)code);
        assert_int_equal(dk_reject_by_name(name, strlen(name)), code);
        assert_true(strlen(dk_reject_text((enum reject_code)code)) > 5);
    }
    for (int kind = VERDICT_ACCEPTED; kind <= VERDICT_QUARANTINED; kind++) {
        const char *name = dk_verdict_name((enum verdict_kind)kind);
        assert_int_equal(dk_verdict_by_name(name, strlen(name)), kind);
    }
    assert_int_equal(dk_verdict_by_name("Accepted", 8), VERDICT_NONE);
    assert_int_equal(dk_verdict_by_name("accepte", 7), VERDICT_NONE);
    assert_int_equal(dk_reject_by_name("schema", 6), REJECT_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message__faults_are_named),
        cmocka_unit_test(test_message__each_type_has_its_form),
        cmocka_unit_test(test_message__absent_members_are_empty_whatever_stood_there),
        cmocka_unit_test(test_message__texts_are_bounded_on_both_sides),
        cmocka_unit_test(test_message__without_memory_it_is_refused),
        cmocka_unit_test(test_message__details_of_newer_servers_are_passed_over),
        cmocka_unit_test(test_message__names_longer_than_ours_are_cut_between_characters),
        cmocka_unit_test(test_message__what_has_moved_comes_back),
        cmocka_unit_test(test_message__what_is_no_verdict_is_damage),
        cmocka_unit_test(test_message__names_of_codes_go_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
