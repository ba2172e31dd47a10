/* SPDX-License-Identifier: Apache-2.0
 *
 * A device that is broken or means harm: requests with bytes changed, cut, doubled and moved about.
 * Every one is answered, with a status of the protocol's, nothing of other devices changes, and
 * afterwards an honest device is served as before.
 */
#include "tests/unit/service_world.h"

#define TRIES 2500
#define UNDER_WAY 16

static uint64_t random_state = UINT64_C(0x2545F4914F6CDD1D);

/* The next number below a bound. */
static size_t next(size_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return bound == 0 ? 0 : (size_t)((random_state >> 11) % bound);
}

/* Changes a text in one of several ways; it has room for twice its length. */
static size_t twist(char *text, size_t length)
{
    static const char bits[] = "{}[]\",:0123456789-\\u\x80\xff nulltrue.eE";
    static const char *const words[] = {"null",
                                        "[]",
                                        "{}",
                                        "-1",
                                        "9007199254740993",
                                        "\"\"",
                                        "true",
                                        "\"\\u0000\"",
                                        "1.5",
                                        "[[[[[[[[[[[[[[[[",
                                        "99999999999999999999"};
    size_t at = next(length), from = next(length), size = next(40);
    const char *word = words[next(sizeof words / sizeof words[0])];
    switch (next(6)) {
    case 0: text[at] = bits[next(sizeof bits - 1)]; return length;
    case 1: text[at] = (char)next(256); return length;
    case 2: return at;
    case 3:
        size = size < length - from ? size : length - from;
        memmove(text + at + size, text + at, length - at);
        memmove(text + at, text + from + (from >= at ? size : 0), size);
        return length + size;
    case 4:
        size = size < length - at ? size : length - at;
        memmove(text + at, text + at + size, length - at - size);
        return length - size;
    default:
        memmove(text + at + strlen(word), text + at, length - at);
        memcpy(text + at, word, strlen(word));
        return length + strlen(word);
    }
}

/* A request with changes of every kind in it. */
static const char *rich_request(struct world *world, const struct phone *phone, int64_t seq,
                                const struct id *customer)
{
    struct id quote = new_id(world);
    const char *blocks = format(
        world,
        "[{\"entity\":\"customer\",\"op\":\"set\",\"fields\":[\"name\",\"tags\",\"custom\"],"
        "\"rows\":[[6,\"%s\",\"n\",{\"add\":[\"a\"],\"remove\":[\"b\"]},{\"k\":1,\"z\":null}]]},"
        "{\"entity\":\"quote\",\"op\":\"new\",\"fields\":[\"customer_id\",\"cur\",\"valid_to\"],"
        "\"rows\":[[0,\"%s\",\"%s\",\"CNY\",20261231]]},"
        "{\"entity\":\"customer\",\"op\":\"delete\",\"rows\":[[3,\"%s\"]]}]",
        wire(world, customer), wire(world, &quote), wire(world, customer),
        wire(world, &phone->instance));
    return request(world, phone,
                   format(world, "[%s,%s]", changeset(world, phone, seq, blocks),
                          changeset(world, phone, seq + 1, "[]")));
}

static bool is_known_status(int http_status)
{
    static const int known[] = {200, 400, 401, 403, 409, 413, 426};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i] == http_status) {
            return true;
        }
    }
    return false;
}

/* Sends twisted copies of a text, several at a time; counts the answers by their hundreds. */
static void send_twisted(struct world *world, const char *path, const char *token, const char *text,
                         int counts[6])
{
    struct answer answers[UNDER_WAY];
    size_t length = strlen(text);
    char *copy = malloc(length * 2 + 256);
    assert_non_null(copy);
    for (int done = 0; done < TRIES; done += UNDER_WAY) {
        for (int i = 0; i < UNDER_WAY; i++) {
            memcpy(copy, text, length);
            size_t size = twist(copy, length);
            size = next(2) == 0 && size > 1 && size < length + 64 ? twist(copy, size) : size;
            submit_json(world, path, token, copy, size, &answers[i]);
        }
        for (int i = 0; i < UNDER_WAY; i++) {
            await(world, &answers[i]);
            if (!is_known_status(answers[i].http_status)) {
                fail_msg("%d: %s", answers[i].http_status, answers[i].text);
            }
            counts[answers[i].http_status / 100]++;
        }
    }
    free(copy);
}

/* Given an honest device's record, when another device of the same user sends thousands of twisted
 * requests, then all are answered, and the honest one goes on. */
static void test_service_hostile__twisted_requests(void **state)
{
    struct world *world = *state;
    struct phone honest = enrol(world, "tom"), hostile = enrol(world, "li");
    struct id id = new_id(world), own = new_id(world);
    int counts[6] = {0};
    (void)sync_phone(world, &honest, NULL);
    (void)push_customer(world, &honest, &id, "honest");
    struct phone other = enrol(world, "li");
    (void)push_customer(world, &other, &own, "own");
    for (int64_t seq = 1, i = 0; i < TRIES; i++) {
        struct answer answer;
        const char *text = rich_request(world, &hostile, seq, &own);
        size_t length = strlen(text);
        char *copy = malloc(length * 2 + 256);
        assert_non_null(copy);
        memcpy(copy, text, length);
        submit_json(world, "/v1/sync", hostile.token, copy, twist(copy, length), &answer);
        await(world, &answer);
        free(copy);
        if (!is_known_status(answer.http_status)) {
            fail_msg("%d: %s", answer.http_status, answer.text);
        }
        counts[answer.http_status / 100]++;
        /* Whatever of it was decided, the next one has the seq behind that. */
        seq += strstr(answer.text, format(world, "[%lld,\"", (long long)seq)) != NULL;
        seq += strstr(answer.text, format(world, "[%lld,\"", (long long)seq)) != NULL;
        if (strstr(answer.text, "\"GAP\"") != NULL) {
            seq = number_member(world, answer.text, "seq");
        }
    }
    assert_true(counts[4] > TRIES / 4);
    assert_true(counts[2] > TRIES / 20);
    assert_int_equal(counts[5], 0);
    const char *reply = sync_phone(world, &honest, NULL);
    expect_not_in(reply, "\"reset\"");
    struct id more = new_id(world);
    reply = push_customer(world, &honest, &more, "still here");
    expect_in(reply, "[2,\"accepted\",");
}

/* Given no token at all, when twisted enrolments and leases come, then none of them is let in. */
static void test_service_hostile__twisted_sign_ins(void **state)
{
    struct world *world = *state;
    struct id instance = new_id(world);
    int counts[6] = {0};
    const char *text = format(world,
                              "{\"protocol\":1,\"code\":\"7KQF-0ZM3-9XTR-ABCD-EFGH-JKMN-PQ\","
                              "\"instance\":\"%s\",\"device_name\":\"x\"}",
                              wire(world, &instance));
    send_twisted(world, "/v1/enrol", NULL, text, counts);
    assert_int_equal(counts[2], 0);
    struct phone phone = enrol(world, "li");
    text = format(world, "{\"protocol\":1,\"instance\":\"%s\",\"old_instance\":\"%s\"}",
                  wire(world, &instance), wire(world, &phone.instance));
    send_twisted(world, "/v1/lease", phone.token, text, counts);
    assert_int_equal(counts[5], 0);
    expect_in(command(world, DAYBOOK_OK, "device list"), "li");
}

/* Given frames with bytes changed, when they come, then each is refused or read as what it is. */
static void test_service_hostile__twisted_frames(void **state)
{
    struct world *world = *state;
    struct phone phone = enrol(world, "li");
    struct id id = new_id(world);
    struct buffer frame;
    const char *text = rich_request(world, &phone, 1, &id);
    dk_buffer_init(&frame, (size_t)1024 * 1024);
    assert_int_equal(dk_frame_compress(world->codec, text, strlen(text), 3, &frame), DAYBOOK_OK);
    char *copy = malloc(frame.length * 2 + 256);
    assert_non_null(copy);
    for (int i = 0; i < TRIES; i++) {
        struct answer answer;
        memcpy(copy, frame.bytes, frame.length);
        size_t size = twist(copy, frame.length);
        submit(world, "POST", "/v1/sync", phone.token, copy, size, &answer);
        await(world, &answer);
        assert_true(is_known_status(answer.http_status));
    }
    free(copy);
    dk_buffer_clear(&frame);
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_service_hostile__##name, setup_service, teardown_service)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(twisted_requests),
        TEST(twisted_sign_ins),
        TEST(twisted_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
