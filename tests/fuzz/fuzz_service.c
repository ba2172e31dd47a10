/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as the body of a call to the real service: the first says which endpoint, whose token and
 * whether the rest is compressed here. Every call is answered once, with what the endpoint says it
 * answers, and never with a failure of the server's own.
 */
#include "tests/support/lab_system.h"

#include "tests/fuzz/fuzz.h"

#include "engine/api/engine.h"
#include "engine/base/memory.h"
#include "engine/protocol/message.h"
#include "sync-server/http/reply.h"
#include "sync-server/http/router.h"
#include "sync-server/service.h"
#include "tests/support/lab_inside.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#define FILE_MAX ((size_t)16 << 20)
enum { CALL_RAW = 64, CALL_BAD_TOKEN = 128 };

/* A laboratory whose server knows one device, and the server's file as it is then. */
struct world {
    struct lab lab;
    int64_t counts[LAB_FAULT_COUNT];
    struct frame_codec *codec;
    char token[64];
    uint8_t *file;
    size_t file_size;
    bool changed; /* the server may know more by now */
};

static void load_file(struct world *world)
{
    FILE *file = fopen(world->lab.database, "rb");
    world->file = malloc(FILE_MAX);
    assert(file != NULL && world->file != NULL);
    world->file_size = fread(world->file, 1, FILE_MAX, file);
    (void)fclose(file);
}

static void write_json(daybook *engine, const char *entity, const char *json, char *id)
{
    daybook_transaction *transaction = NULL;
    assert(daybook_begin(engine, &transaction) == DAYBOOK_OK);
    assert(daybook_put_json(transaction, entity, NULL, DAYBOOK_NEW, json, id, NULL) == DAYBOOK_OK);
    assert(daybook_commit(transaction, NULL) == DAYBOOK_OK);
    daybook_end(&transaction);
}

static struct world *make_world(void)
{
    struct world *world = calloc(1, sizeof *world);
    struct store_state state;
    char customer[DAYBOOK_ID_SIZE], visit[200];
    assert(world != NULL);
    lab_seed_sqlite(1);
    lab_open(&world->lab, 1, world->counts);
    world->lab.again[0] = '\0';
    struct lab_device *device = lab_hire(&world->lab, 1);
    lab_enrol(device);
    assert(lab_sync(device, 0) == DAYBOOK_OK);
    write_json(device->engine, "customer", "{\"name\":\"He\"}", customer);
    (void)snprintf(visit, sizeof visit, "{\"customer_id\":\"%s\",\"feedback\":\"more\"}", customer);
    write_json(device->engine, "visit", visit, NULL);
    assert(lab_sync(device, 0) == DAYBOOK_OK);
    dk_store_state(device->engine->store, &state);
    (void)snprintf(world->token, sizeof world->token, "%s", state.token);
    world->codec = dk_frame_new();
    lab_stop(&world->lab);
    load_file(world);
    lab_open_server(&world->lab);
    return world;
}

/* The server is as it was at first. */
static void reset(struct world *world)
{
    if (world->changed) {
        lab_stop(&world->lab);
        lab_write_file(&world->lab, world->lab.database, world->file, world->file_size);
        lab_open_server(&world->lab);
        world->changed = false;
    }
    lab_set_now_ms(LAB_START_MS + 1000000);
    lab_set_chance(1);
    lab_seed_sqlite(1);
}

/* ---- a call */

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t done;
    int times;
    struct service_answer answer;
};

static void take_answer(void *context, const struct service_answer *answer)
{
    struct waiter *waiter = context;
    pthread_mutex_lock(&waiter->lock);
    waiter->answer = *answer;
    waiter->times++;
    pthread_cond_signal(&waiter->done);
    pthread_mutex_unlock(&waiter->lock);
}

static struct service_answer call(struct world *world, const struct http_route *route,
                                  const char *token, const void *body, size_t size)
{
    struct waiter waiter = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, {0}};
    struct service_call call = {.method = route->method,
                                .path = route->path,
                                .token = token,
                                .body = size == 0 ? NULL : dk_memory_copy_text(body, size),
                                .body_size = size,
                                .done = take_answer,
                                .context = &waiter};
    srv_service_submit(world->lab.service, &call);
    pthread_mutex_lock(&waiter.lock);
    while (waiter.times == 0) {
        pthread_cond_wait(&waiter.done, &waiter.lock);
    }
    pthread_mutex_unlock(&waiter.lock);
    return waiter.answer;
}

/* ---- what must hold of the answer */

static const struct message_table *reply_table(const char *path)
{
    static const struct {
        const char *path;
        const struct message_table *table;
    } tables[] = {{"/v1/sync", &dk_sync_reply_table},
                  {"/v1/fetch", &dk_fetch_reply_table},
                  {"/v1/enrol", &dk_enrol_reply_table},
                  {"/v1/lease", &dk_lease_reply_table}};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        if (strcmp(tables[i].path, path) == 0) {
            return tables[i].table;
        }
    }
    return NULL;
}

union any_reply {
    struct sync_reply sync;
    struct enrol_reply enrol;
    struct lease_reply lease;
    struct fetch_reply fetch;
    struct error_reply error;
};

static void check_answer(struct world *world, const struct http_route *route,
                         const struct service_answer *answer)
{
    struct arena arena;
    struct buffer text;
    union any_reply reply;
    const char *problem;
    bool good = answer->http_status == 200;
    const struct message_table *table = good ? reply_table(route->path) : &dk_error_reply_table;
    assert(good || (answer->http_status >= 400 && answer->http_status < 500));
    assert(strcmp(srv_http_reason(answer->http_status), "Unknown") != 0);
    dk_arena_init(&arena, (size_t)1 << 20);
    dk_buffer_init(&text, LIMIT_REPLY_EXPANDED);
    if (strcmp(answer->content_type, "application/vnd.daybook+zstd") == 0) {
        assert(dk_frame_expand(world->codec, answer->body, answer->body_size, &text) == DAYBOOK_OK);
    } else {
        dk_buffer_append(&text, answer->body, answer->body_size);
    }
    assert(table == NULL ||
           dk_message_decode(table, text.bytes, text.length, &reply, &arena, &problem));
    assert(world->lab.errors[0] == '\0');
    dk_buffer_clear(&text);
    dk_arena_clear(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct world *world;
    struct input input = {bytes, size};
    struct buffer frame;
    if (world == NULL) {
        world = make_world();
    }
    reset(world);
    unsigned choice = input_byte(&input);
    const struct http_route *route = &srv_http_routes()[choice % 5];
    const char *token = (choice & CALL_BAD_TOKEN) != 0 ? "q8nZ0V3mWJt1cQ5yXk7aB2dE" : world->token;
    dk_buffer_init(&frame, LIMIT_REQUEST_BYTES);
    if ((choice & CALL_RAW) != 0) {
        dk_buffer_append(&frame, input.bytes, input.size);
    } else {
        assert(dk_frame_compress(world->codec, input.bytes, input.size, 1, &frame) == DAYBOOK_OK);
    }
    struct service_answer answer =
        call(world, route, route->needs_token ? token : NULL, frame.bytes, frame.length);
    check_answer(world, route, &answer);
    world->changed = answer.http_status == 200;
    dk_memory_free(answer.body);
    dk_buffer_clear(&frame);
    return 0;
}
