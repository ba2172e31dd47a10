/* SPDX-License-Identifier: Apache-2.0
 *
 * What the service's tests share: a service on a folder of its own, calls that wait for their
 * answer, frames and messages, enrolled devices that build changesets as text.
 */
#ifndef DAYBOOK_TESTS_SERVICE_WORLD_H
#define DAYBOOK_TESTS_SERVICE_WORLD_H

#include "engine/base/database.h"
#include "engine/base/frame.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/protocol/message.h"
#include "sync-server/service.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct answer {
    pthread_mutex_t mutex;
    pthread_cond_t arrived;
    bool done;
    int times;
    int http_status;
    int64_t retry_after_ms;
    char content_type[64];
    char *body; /* as it came */
    size_t size;
    char *text; /* expanded, NUL-terminated; "" where there is none */
    size_t length;
};

struct world {
    char folder[256];
    struct service *service;
    struct frame_codec *codec;
    struct arena arena;
    uint32_t next_id;
    int64_t page_bytes;
};

/* A device as its engine would be. */
struct phone {
    char token[64];
    struct id instance;
    uint64_t epoch;
    int64_t device_no;
    int64_t position, settled, seq;
    char scope[4096];
    const char *loading; /* of the next request; NULL: none */
};

static inline struct id new_id(struct world *world)
{
    struct id id = {{0x01, 0x93}};
    uint32_t number = ++world->next_id;
    id.bytes[6] = 0x70;
    id.bytes[8] = 0x80;
    for (int i = 0; i < 4; i++) {
        id.bytes[12 + i] = (uint8_t)(number >> (24 - 8 * i));
    }
    return id;
}

static inline const char *wire(struct world *world, const struct id *id)
{
    char text[ID_WIRE_LENGTH];
    dk_id_to_wire(id, text);
    return dk_arena_copy(&world->arena, text, sizeof text);
}

/* A text in the world's arena. */
__attribute__((format(printf, 2, 3))) static inline const char *format(struct world *world,
                                                                       const char *pattern, ...)
{
    va_list arguments, again;
    va_start(arguments, pattern);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, pattern, arguments);
    va_end(arguments);
    assert_true(length >= 0);
    char *text = dk_arena_new(&world->arena, (size_t)length + 1);
    assert_non_null(text);
    (void)vsnprintf(text, (size_t)length + 1, pattern, again);
    va_end(again);
    return text;
}

static inline void expect_in(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" is not in %s", part, text);
    }
}

static inline void expect_not_in(const char *text, const char *part)
{
    if (strstr(text, part) != NULL) {
        fail_msg("\"%s\" is in %s", part, text);
    }
}

/* ---- calls */

static inline void take_answer(void *context, const struct service_answer *given)
{
    struct answer *answer = context;
    pthread_mutex_lock(&answer->mutex);
    answer->times++;
    answer->http_status = given->http_status;
    answer->retry_after_ms = given->retry_after_ms;
    (void)snprintf(answer->content_type, sizeof answer->content_type, "%s",
                   given->content_type == NULL ? "" : given->content_type);
    answer->body = given->body;
    answer->size = given->body_size;
    answer->done = true;
    pthread_cond_signal(&answer->arrived);
    pthread_mutex_unlock(&answer->mutex);
}

static inline void init_answer(struct answer *answer)
{
    memset(answer, 0, sizeof *answer);
    pthread_mutex_init(&answer->mutex, NULL);
    pthread_cond_init(&answer->arrived, NULL);
}

/* Submits without waiting. The body is copied. */
static inline void submit(struct world *world, const char *method, const char *path,
                          const char *token, const void *body, size_t size, struct answer *answer)
{
    struct service_call call = {.method = method,
                                .path = path,
                                .token = token,
                                .body_size = size,
                                .done = take_answer,
                                .context = answer};
    init_answer(answer);
    if (size > 0) {
        call.body = dk_memory_copy_text(body, size);
        assert_non_null(call.body);
    }
    srv_service_submit(world->service, &call);
}

/* Waits for the answer and expands its body. */
static inline void await(struct world *world, struct answer *answer)
{
    struct buffer text;
    pthread_mutex_lock(&answer->mutex);
    while (!answer->done) {
        pthread_cond_wait(&answer->arrived, &answer->mutex);
    }
    pthread_mutex_unlock(&answer->mutex);
    dk_buffer_init(&text, LIMIT_REPLY_EXPANDED);
    if (strcmp(answer->content_type, "application/vnd.daybook+zstd") == 0) {
        assert_int_equal(dk_frame_expand(world->codec, answer->body, answer->size, &text),
                         DAYBOOK_OK);
    } else if (answer->size > 0) {
        dk_buffer_append(&text, answer->body, answer->size);
    }
    answer->length = text.length;
    answer->text = dk_arena_copy(&world->arena, text.length == 0 ? "" : text.bytes, text.length);
    assert_non_null(answer->text);
    dk_buffer_clear(&text);
    dk_memory_free(answer->body);
    answer->body = NULL;
    assert_int_equal(answer->times, 1);
    pthread_mutex_destroy(&answer->mutex);
    pthread_cond_destroy(&answer->arrived);
}

/* Compresses a JSON text and submits it. */
static inline void submit_json(struct world *world, const char *path, const char *token,
                               const char *json, size_t length, struct answer *answer)
{
    struct buffer frame;
    dk_buffer_init(&frame, (size_t)64 * 1024 * 1024);
    assert_int_equal(dk_frame_compress(world->codec, json, length, 1, &frame), DAYBOOK_OK);
    submit(world, "POST", path, token, frame.bytes, frame.length, answer);
    dk_buffer_clear(&frame);
}

/* One POST and its answer; the text of an error or reply stays in the world's arena. */
static inline struct answer post(struct world *world, const char *path, const char *token,
                                 const char *json)
{
    struct answer *answer = dk_arena_new(&world->arena, sizeof *answer);
    assert_non_null(answer);
    submit_json(world, path, token, json, strlen(json), answer);
    await(world, answer);
    return *answer;
}

static inline void expect_status(const struct answer *answer, int http_status, const char *code)
{
    if (answer->http_status != http_status) {
        fail_msg("%d: %s", answer->http_status, answer->text);
    }
    expect_in(answer->text, code);
}

/* ---- commands */

#define COMMAND_WORDS_MAX 16

/* The words of a command, in the arena; how many there are. */
static inline int split_words(struct world *world, const char *words,
                              const char *argv[COMMAND_WORDS_MAX])
{
    char *copy = dk_arena_copy(&world->arena, words, strlen(words)), *rest = NULL;
    int argc = 0;
    assert_non_null(copy);
    for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        assert_true(argc < COMMAND_WORDS_MAX);
        argv[argc++] = word;
    }
    return argc;
}

/* Runs a command; returns its text (in the arena). */
static inline const char *command(struct world *world, daybook_status expected, const char *words)
{
    const char *argv[COMMAND_WORDS_MAX];
    int argc = split_words(world, words, argv);
    char *text = NULL;
    daybook_status status = srv_service_command(world->service, argc, argv, false, &text);
    if (status != expected) {
        fail_msg("%s: status %d: %s", words, (int)status, text);
    }
    const char *result = dk_arena_copy(&world->arena, text, strlen(text));
    dk_memory_free(text);
    return result;
}

/* The last line of a command's text, without its end. */
static inline const char *last_line(struct world *world, const char *text)
{
    size_t end = strlen(text);
    while (end > 0 && text[end - 1] == '\n') {
        end--;
    }
    size_t begin = end;
    while (begin > 0 && text[begin - 1] != '\n') {
        begin--;
    }
    return dk_arena_copy(&world->arena, text + begin, end - begin);
}

/* ---- the store's file */

/* Runs SQL on it, beside the server. */
static inline void run_sql(struct world *world, const char *sql)
{
    sqlite3 *database;
    char *problem = NULL;
    const char *path = format(world, "%s/server.db", world->folder);
    assert_int_equal(sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(database, 5000), SQLITE_OK);
    if (sqlite3_exec(database, sql, NULL, NULL, &problem) != SQLITE_OK) {
        fail_msg("%s", problem);
    }
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

/* ---- phones */

/* A member of a reply's JSON as text, for members without nested quotes. */
static inline const char *member(struct world *world, const char *json, const char *name)
{
    const char *begin = strstr(json, format(world, "\"%s\":", name));
    if (begin == NULL) {
        return NULL;
    }
    begin += strlen(name) + 3;
    if (*begin == '"') {
        begin++;
        return dk_arena_copy(&world->arena, begin, strcspn(begin, "\""));
    }
    return dk_arena_copy(&world->arena, begin, strcspn(begin, ",}"));
}

static inline int64_t number_member(struct world *world, const char *json, const char *name)
{
    const char *text = member(world, json, name);
    return text == NULL ? -1 : strtoll(text, NULL, 10);
}

/* Enrols a device of this user. */
static inline struct phone enrol(struct world *world, const char *login)
{
    struct phone phone = {.instance = new_id(world)};
    const char *code =
        last_line(world, command(world, DAYBOOK_OK, format(world, "enrol %s", login)));
    struct answer answer =
        post(world, "/v1/enrol", NULL,
             format(world, "{\"protocol\":1,\"code\":\"%s\",\"instance\":\"%s\"}", code,
                    wire(world, &phone.instance)));
    expect_status(&answer, 200, "\"token\"");
    (void)snprintf(phone.token, sizeof phone.token, "%s", member(world, answer.text, "token"));
    phone.device_no = strtoll(member(world, answer.text, "device_no"), NULL, 10);
    phone.epoch = strtoull(member(world, answer.text, "epoch"), NULL, 10);
    return phone;
}

/* A sync request's JSON. `changesets` is the raw array, or NULL. */
static inline const char *request(struct world *world, const struct phone *phone,
                                  const char *changesets)
{
    return format(
        world,
        "{\"protocol\":1,\"schema\":1,\"instance\":\"%s\",\"epoch\":\"%llu\","
        "\"position\":%lld,\"settled\":%lld,\"sent_ms\":\"1\",\"boot\":\"1\","
        "\"steady_ms\":\"1\"%s%s%s%s%s%s}",
        wire(world, &phone->instance), (unsigned long long)phone->epoch, (long long)phone->position,
        (long long)phone->settled,
        world->page_bytes > 0 ? format(world, ",\"page_bytes\":%lld", (long long)world->page_bytes)
                              : "",
        phone->scope[0] == '\0' ? "" : ",\"scope\":", phone->scope,
        phone->loading == NULL ? "" : format(world, ",\"loading\":%s", phone->loading),
        changesets == NULL ? "" : ",\"changesets\":", changesets == NULL ? "" : changesets);
}

/* One changeset with this seq and these blocks. */
static inline const char *changeset(struct world *world, const struct phone *phone, int64_t seq,
                                    const char *blocks)
{
    struct id id = new_id(world);
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return format(world,
                  "{\"id\":\"%s\",\"seq\":%lld,\"epoch\":\"%llu\",\"hlc\":\"%lld\",\"boot\":\"1\","
                  "\"steady\":\"1\",\"schema\":1,\"changes\":%s}",
                  wire(world, &id), (long long)seq, (unsigned long long)phone->epoch,
                  (long long)((int64_t)now.tv_sec * 1000) << 16, blocks);
}

/* Blocks that make a customer of this name. */
static inline const char *customer_blocks(struct world *world, const struct id *id,
                                          const char *name)
{
    return format(world,
                  "[{\"entity\":\"customer\",\"op\":\"new\",\"fields\":[\"name\"],"
                  "\"rows\":[[0,\"%s\",\"%s\"]]}]",
                  wire(world, id), name);
}

/* Takes position, epoch and scope from a reply. */
static inline void follow(struct world *world, struct phone *phone, const char *reply)
{
    const char *scope = strstr(reply, "\"scope\":[[");
    phone->position = number_member(world, reply, "position");
    phone->epoch = strtoull(member(world, reply, "epoch"), NULL, 10);
    if (scope == NULL) {
        return;
    }
    scope += strlen("\"scope\":[");
    size_t length = 0;
    phone->scope[length++] = '[';
    while (*scope == '[' || *scope == ',') {
        scope += *scope == ',';
        long bucket = strtol(scope + 1, NULL, 10);
        length += (size_t)snprintf(phone->scope + length, sizeof phone->scope - length, "%s%ld",
                                   length > 1 ? "," : "", bucket);
        scope = strchr(scope, ']') + 1;
    }
    (void)snprintf(phone->scope + length, sizeof phone->scope - length, "]");
}

/* One sync that has to succeed; the reply's JSON. */
static inline const char *sync_phone(struct world *world, struct phone *phone,
                                     const char *changesets)
{
    struct answer answer = post(world, "/v1/sync", phone->token, request(world, phone, changesets));
    if (answer.http_status != 200) {
        fail_msg("%d: %s", answer.http_status, answer.text);
    }
    follow(world, phone, answer.text);
    return answer.text;
}

/* `loading` of a phone that asks for all buckets of its scope from their beginning. */
static inline const char *loading_all(struct world *world, const struct phone *phone)
{
    size_t size = 3 * strlen(phone->scope) + 1, length = 0;
    char *places = dk_arena_new(&world->arena, size);
    for (const char *at = phone->scope + 1; *at != '\0'; at++) {
        bool digit = *at >= '0' && *at <= '9';
        bool first = digit && !(at[-1] >= '0' && at[-1] <= '9');
        bool last = digit && !(at[1] >= '0' && at[1] <= '9');
        length += (size_t)snprintf(places + length, size - length, "%s%c%s", first ? "[" : "", *at,
                                   last ? "]" : "");
    }
    return format(world, "[%s", places);
}

/* The first reply of a new device, which begins a snapshot, and behind it the one with all pages of
 * its scope, which are small: that one's JSON. */
static inline const char *load_phone(struct world *world, struct phone *phone)
{
    const char *reply = sync_phone(world, phone, NULL);
    expect_in(reply, "\"reset\":true");
    expect_not_in(reply, "\"log\"");
    expect_not_in(reply, "\"pages\"");
    phone->loading = loading_all(world, phone);
    reply = sync_phone(world, phone, NULL);
    phone->loading = NULL;
    expect_not_in(reply, "\"next\"");
    expect_not_in(reply, "\"more\"");
    return reply;
}

/* Sends one customer as the phone's next changeset and returns the reply. */
static inline const char *push_customer(struct world *world, struct phone *phone,
                                        const struct id *id, const char *name)
{
    return sync_phone(
        world, phone,
        format(world, "[%s]",
               changeset(world, phone, ++phone->seq, customer_blocks(world, id, name))));
}

/* ---- the world */

static inline void open_service(struct world *world)
{
    char problem[300] = "";
    struct service_options options = {.data_folder = world->folder, .worker_threads = 3};
    if (srv_service_open(&options, &world->service, problem, sizeof problem) != DAYBOOK_OK) {
        fail_msg("%s", problem);
    }
}

static inline int setup_service(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    const char *base = getenv("TMPDIR");
    assert_non_null(world);
    (void)snprintf(world->folder, sizeof world->folder, "%s/test_service.XXXXXX",
                   base == NULL ? "/tmp" : base);
    assert_non_null(mkdtemp(world->folder));
    dk_arena_init(&world->arena, (size_t)1024 * 1024 * 1024);
    world->codec = dk_frame_new();
    assert_non_null(world->codec);
    open_service(world);
    (void)command(world, DAYBOOK_OK, "init --name Test --currency CNY");
    (void)command(world, DAYBOOK_OK, "user add li --territory East");
    (void)command(world, DAYBOOK_OK, "user add wang --territory East");
    (void)command(world, DAYBOOK_OK, "user add tom --territory West");
    (void)command(world, DAYBOOK_OK, "user add office --role back_office");
    *state = world;
    return 0;
}

/* The folder and the files in it. */
static inline void remove_folder(const char *folder)
{
    DIR *directory = opendir(folder);
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        char path[600];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        (void)unlink(path);
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
    (void)rmdir(folder);
}

static inline int teardown_service(void **state)
{
    struct world *world = *state;
    srv_service_close(world->service);
    dk_frame_free(world->codec);
    dk_arena_clear(&world->arena);
    remove_folder(world->folder);
    free(world);
    return 0;
}

#endif
