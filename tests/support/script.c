/* SPDX-License-Identifier: Apache-2.0
 *
 * The platform of a script, its transport, and what tests call; see script.h. Invariant: everything
 * is done under the script's lock, so that the sync thread and the test see a consistent server.
 */
#include "tests/support/script.h"

#include "engine/protocol/limits.h"
#include "tests/support/script_server.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define START_MS INT64_C(1730968000000)

/* ---- clock and random numbers */

static int64_t wall_ms(void *context)
{
    struct script *script = context;
    pthread_mutex_lock(&script->lock);
    int64_t now = script->wall_ms;
    pthread_mutex_unlock(&script->lock);
    return now;
}

static int64_t steady_ms(void *context)
{
    struct script *script = context;
    pthread_mutex_lock(&script->lock);
    int64_t now = script->steady_ms;
    pthread_mutex_unlock(&script->lock);
    return now;
}

static uint64_t boot_id(void *context)
{
    (void)context;
    return 42;
}

/* xorshift64*: the same numbers in each run. */
static bool random_bytes(void *context, void *bytes, size_t length)
{
    struct script *script = context;
    unsigned char *out = bytes;
    pthread_mutex_lock(&script->lock);
    for (size_t i = 0; i < length; i++) {
        script->random ^= script->random >> 12;
        script->random ^= script->random << 25;
        script->random ^= script->random >> 27;
        out[i] = (unsigned char)((script->random * UINT64_C(0x2545F4914F6CDD1D)) >> 56);
    }
    pthread_mutex_unlock(&script->lock);
    return true;
}

static bool network_up(void *context)
{
    struct script *script = context;
    pthread_mutex_lock(&script->lock);
    bool up = script->network_up;
    pthread_mutex_unlock(&script->lock);
    return up;
}

/* ---- threads */

struct script_thread {
    pthread_t id;
    void (*work)(void *argument);
    void *argument;
};

static void *run(void *pointer)
{
    struct script_thread *thread = pointer;
    thread->work(thread->argument);
    return NULL;
}

static bool thread_start(void *context, void (*work)(void *argument), void *argument, void **out)
{
    (void)context;
    struct script_thread *thread = calloc(1, sizeof *thread);
    assert(thread != NULL);
    thread->work = work;
    thread->argument = argument;
    int result = pthread_create(&thread->id, NULL, run, thread);
    assert(result == 0);
    *out = thread;
    return true;
}

static void thread_join(void *context, void *pointer)
{
    (void)context;
    struct script_thread *thread = pointer;
    int result = pthread_join(thread->id, NULL);
    assert(result == 0);
    free(thread);
}

/* ---- the transport */

static void *transport_open(void *context)
{
    struct script *script = context;
    pthread_mutex_lock(&script->lock);
    script->seen.connections_open++;
    script->interrupted = false;
    pthread_mutex_unlock(&script->lock);
    return script;
}

static void transport_close(void *context, void *connection)
{
    struct script *script = context;
    assert(connection == NULL || connection == context);
    pthread_mutex_lock(&script->lock);
    script->seen.connections_open -= connection != NULL;
    pthread_mutex_unlock(&script->lock);
}

static void transport_interrupt(void *context, void *connection)
{
    struct script *script = context;
    assert(connection == context);
    pthread_mutex_lock(&script->lock);
    script->interrupted = true;
    pthread_cond_broadcast(&script->wake);
    pthread_mutex_unlock(&script->lock);
}

/* Waits until interrupted, at most the time-out. Lock held. */
static daybook_status stall(struct script *script, int64_t timeout_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(timeout_ms / 1000);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (!script->interrupted) {
        if (pthread_cond_timedwait(&script->wake, &script->lock, &until) != 0) {
            return DAYBOOK_TIMEOUT;
        }
    }
    script->interrupted = false;
    return DAYBOOK_INTERRUPTED;
}

/* The answer of a server that is not ours, or ours in trouble. */
static void answer_as_planned(struct script *script, const struct script_fault *fault,
                              struct daybook_reply *reply)
{
    if (fault->trouble == SCRIPT_ERROR) {
        script_answer_error(script, fault->http_status, fault->code, fault->seq, reply);
    } else {
        size_t length = fault->body == NULL ? 0 : strlen(fault->body);
        dk_buffer_reset(&script->reply);
        dk_buffer_append(&script->reply, fault->body, length);
        reply->http_status = fault->http_status;
        reply->content_type = fault->content_type;
        reply->body = script->reply.bytes;
        reply->body_size = script->reply.length;
    }
    reply->retry_after_ms = fault->retry_after_ms;
}

/* Serves the request as the fault says. Lock held. */
static daybook_status answer_exchange(struct script *script, const struct script_fault *fault,
                                      const struct daybook_request *request,
                                      struct daybook_reply *reply)
{
    switch (fault->trouble) {
    case SCRIPT_FAIL: return fault->status;
    case SCRIPT_STALL: return stall(script, request->timeout_ms);
    case SCRIPT_ERROR:
    case SCRIPT_ANSWER: answer_as_planned(script, fault, reply); return DAYBOOK_OK;
    default: break;
    }
    script->twist = fault->trouble == SCRIPT_TWIST ? fault->twist : NULL;
    script_serve(script, request, fault->trouble == SCRIPT_NOTHING,
                 fault->trouble == SCRIPT_FOREIGN_OWN, reply);
    if (fault->trouble == SCRIPT_LOSE_REPLY) {
        return fault->status;
    }
    if (fault->trouble == SCRIPT_CUT && fault->bytes < reply->body_size) {
        reply->body_size = fault->bytes;
    }
    if (fault->trouble == SCRIPT_DAMAGE && fault->bytes < reply->body_size) {
        reply->body[fault->bytes] = (char)(reply->body[fault->bytes] ^ 0x55);
    }
    return DAYBOOK_OK;
}

daybook_status script_exchange(void *context, void *connection,
                               const struct daybook_request *request, struct daybook_reply *reply)
{
    struct script *script = context;
    assert(connection == context && request->size == sizeof *request);
    pthread_mutex_lock(&script->lock);
    script->seen.exchanges++;
    script->seen.timeout_ms = request->timeout_ms;
    script->wall_ms += script->exchange_ms;
    script->steady_ms += script->exchange_ms;
    struct script_fault fault = script->always;
    daybook_status status;
    if (script->interrupted) {
        script->interrupted = false;
        status = DAYBOOK_INTERRUPTED;
    } else {
        if (script->fault_count > 0) {
            fault = script->faults[0];
            script->fault_count--;
            memmove(script->faults, script->faults + 1, (size_t)script->fault_count * sizeof fault);
        }
        reply->retry_after_ms = -1;
        status = answer_exchange(script, &fault, request, reply);
    }
    pthread_mutex_unlock(&script->lock);
    return status;
}

/* ---- what tests call */

void script_init(struct script *script)
{
    memset(script, 0, sizeof *script);
    script->platform = (daybook_platform){
        .size = sizeof(daybook_platform),
        .context = script,
        .wall_ms = wall_ms,
        .steady_ms = steady_ms,
        .boot_id = boot_id,
        .random = random_bytes,
        .transport_open = transport_open,
        .transport_exchange = script_exchange,
        .transport_interrupt = transport_interrupt,
        .transport_close = transport_close,
        .network_up = network_up,
        .thread_start = thread_start,
        .thread_join = thread_join,
    };
    pthread_mutex_init(&script->lock, NULL);
    pthread_cond_init(&script->wake, NULL);
    script->wall_ms = START_MS;
    script->steady_ms = 1000000;
    script->exchange_ms = 20;
    script->random = UINT64_C(0x9E3779B97F4A7C15);
    script->network_up = true;
    script->epoch = 5577006791947779410;
    script->device_no = 43;
    script->next_seq = 1;
    script->safe_position = -1;
    script->territory = SCRIPT_USER;
    script->territory.bytes[15] = 3;
    script->codec = dk_frame_new();
    assert(script->codec != NULL);
    dk_buffer_init(&script->reply, LIMIT_REPLY_BYTES);
}

void script_clear(struct script *script)
{
    for (int64_t i = 1; i <= script->head; i++) {
        free(script->log[i].block);
        free(script->log[i].body);
    }
    free(script->log);
    free(script->verdicts);
    dk_buffer_clear(&script->reply);
    dk_frame_free(script->codec);
    pthread_mutex_destroy(&script->lock);
    pthread_cond_destroy(&script->wake);
}

void script_plan(struct script *script, struct script_fault fault)
{
    pthread_mutex_lock(&script->lock);
    assert(script->fault_count < SCRIPT_FAULTS_MAX);
    script->faults[script->fault_count++] = fault;
    pthread_mutex_unlock(&script->lock);
}

void script_always(struct script *script, struct script_fault fault)
{
    pthread_mutex_lock(&script->lock);
    script->always = fault;
    pthread_mutex_unlock(&script->lock);
}

struct script_seen script_seen(struct script *script)
{
    pthread_mutex_lock(&script->lock);
    struct script_seen seen = script->seen;
    pthread_mutex_unlock(&script->lock);
    return seen;
}

void script_set_network(struct script *script, bool up)
{
    pthread_mutex_lock(&script->lock);
    script->network_up = up;
    pthread_mutex_unlock(&script->lock);
}

void script_pass(struct script *script, int64_t ms)
{
    pthread_mutex_lock(&script->lock);
    script->wall_ms += ms;
    script->steady_ms += ms;
    pthread_mutex_unlock(&script->lock);
}

int64_t script_steady_ms(struct script *script)
{
    return steady_ms(script);
}

struct id script_add_customer(struct script *script, const char *name)
{
    static const char format[] =
        "{\"entity\":\"customer\",\"op\":\"new\",\"bucket\":2,\"fields\":[\"created_ts\","
        "\"created_by\",\"created_dev\",\"name\",\"territory_id\"],"
        "\"rows\":[[%lld,\"%s\",\"1730966000123\",\"%s\",7,\"%s\",\"%s\"]]}";
    char id[ID_WIRE_LENGTH + 1] = "";
    char user[ID_WIRE_LENGTH + 1] = "";
    char territory[ID_WIRE_LENGTH + 1] = "";
    size_t size = sizeof format + strlen(name) + 100;
    pthread_mutex_lock(&script->lock);
    struct id customer = SCRIPT_USER;
    struct script_entry *entry = script_append(script);
    customer.bytes[0] = 2;
    customer.bytes[1] = (unsigned char)(script->head >> 8);
    customer.bytes[2] = (unsigned char)script->head;
    dk_id_to_wire(&customer, id);
    dk_id_to_wire(&SCRIPT_USER, user);
    dk_id_to_wire(&script->territory, territory);
    entry->block = malloc(size);
    assert(entry->block != NULL);
    (void)snprintf(entry->block, size, format, (long long)script->head, id, user, name, territory);
    pthread_mutex_unlock(&script->lock);
    return customer;
}

void script_reject(struct script *script, int64_t seq, enum reject_code code, const char *field,
                   const char *rule)
{
    struct verdict verdict = {.seq = seq, .kind = VERDICT_REJECTED, .code = code};
    (void)snprintf(verdict.field, sizeof verdict.field, "%s", field);
    (void)snprintf(verdict.rule, sizeof verdict.rule, "%s", rule);
    pthread_mutex_lock(&script->lock);
    script->verdicts =
        realloc(script->verdicts, (size_t)(script->verdict_count + 1) * sizeof *script->verdicts);
    assert(script->verdicts != NULL);
    script->verdicts[script->verdict_count++] = verdict;
    pthread_mutex_unlock(&script->lock);
}

void script_restore(struct script *script, int64_t position)
{
    pthread_mutex_lock(&script->lock);
    while (script->head > position) {
        free(script->log[script->head].block);
        free(script->log[script->head].body);
        script->head--;
    }
    script->next_seq = 1;
    for (int64_t i = 1; i <= script->head; i++) {
        if (script->log[i].seq >= script->next_seq) {
            script->next_seq = script->log[i].seq + 1;
        }
    }
    script->epoch++;
    pthread_mutex_unlock(&script->lock);
}
