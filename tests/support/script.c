/* SPDX-License-Identifier: Apache-2.0
 *
 * See script.h. Invariant: everything is done under the script's lock, so that the sync thread and
 * the test see a consistent server.
 */
#include "tests/support/script.h"

#include "engine/base/text.h"
#include "engine/protocol/changeset.h"
#include "engine/protocol/message.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ARENA_MAX ((size_t)64 * 1024 * 1024)
#define START_MS INT64_C(1730968000000)

static const struct id ORGANISATION = {
    {1, 2, 3, 4, 5, 6, 0x70, 8, 0x80, 10, 11, 12, 13, 14, 15, 1}};
static const struct id USER = {{1, 2, 3, 4, 5, 6, 0x70, 8, 0x80, 10, 11, 12, 13, 14, 15, 2}};

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

/* ---- the server */

/* The position that a changeset of this id has, or 0. */
static int64_t position_of(const struct script *script, const struct id *changeset)
{
    for (int64_t i = 1; i <= script->head; i++) {
        if (dk_id_compare(&script->log[i].changeset, changeset) == 0) {
            return i;
        }
    }
    return 0;
}

/* A new last entry. */
static struct script_entry *append(struct script *script)
{
    script->head++;
    if (script->head >= script->log_capacity) {
        script->log_capacity = script->log_capacity * 2 + 16;
        script->log = realloc(script->log, (size_t)script->log_capacity * sizeof *script->log);
        assert(script->log != NULL);
    }
    memset(&script->log[script->head], 0, sizeof script->log[0]);
    return &script->log[script->head];
}

/* Decides one changeset by its header and appends the verdict. */
static void decide(struct script *script, const struct changeset *header, const char *body,
                   size_t body_size, struct buffer *verdicts)
{
    struct verdict verdict = {.seq = header->seq, .kind = VERDICT_ACCEPTED};
    for (int i = 0; i < script->verdict_count; i++) {
        if (script->verdicts[i].seq == header->seq) {
            verdict = script->verdicts[i];
        }
    }
    if (verdict.kind == VERDICT_REJECTED && verdict.code == REJECT_DEPENDS) {
        verdict.cause = script->cause;
    } else if (verdict.kind == VERDICT_REJECTED) {
        script->cause = header->id;
    }
    int64_t position = position_of(script, &header->id);
    verdict.duplicate = position != 0 || header->seq < script->next_seq;
    if (verdict.kind == VERDICT_ACCEPTED && position == 0) {
        struct script_entry *entry = append(script);
        entry->changeset = header->id;
        entry->seq = header->seq;
        entry->device_no = script->device_no;
        entry->body = malloc(body_size);
        assert(entry->body != NULL);
        memcpy(entry->body, body, body_size);
        entry->body_size = body_size;
        position = script->head;
    } else if (verdict.kind == VERDICT_ACCEPTED) {
        script->log[position].seq = header->seq;
        script->log[position].device_no = script->device_no;
    }
    verdict.position = verdict.kind == VERDICT_ACCEPTED ? position : 0;
    if (header->seq >= script->next_seq) {
        script->next_seq = header->seq + 1;
    }
    dk_buffer_append_text(verdicts, verdicts->length > 1 ? "," : "");
    dk_verdict_write(verdicts, &verdict);
}

/* Decides all changesets of a request, in order. False: there is a gap. */
static bool decide_all(struct script *script, const struct sync_request *request,
                       struct buffer *verdicts)
{
    struct json_reader reader;
    const char *raw;
    size_t length;
    dk_buffer_append_char(verdicts, '[');
    if (request->changesets.bytes != NULL) {
        dk_json_open(&reader, request->changesets.bytes, request->changesets.length);
        enum json_type type = dk_json_next(&reader);
        assert(type == JSON_ARRAY);
        while (*reader.next != ']') {
            bool read = dk_json_skip(&reader, &raw, &length);
            assert(read);
            struct changeset header;
            bool peeked = dk_changeset_peek(raw, length, &header);
            assert(peeked);
            script->seen.changesets++;
            script->seen.changesets_in_all++;
            script->seen.first_seq =
                script->seen.first_seq == 0 ? header.seq : script->seen.first_seq;
            script->seen.last_seq = header.seq;
            if (header.seq > script->next_seq) {
                return false;
            }
            decide(script, &header, raw, length, verdicts);
        }
    }
    dk_buffer_append_char(verdicts, ']');
    return true;
}

/* Appends the marker of a changeset that the reader still has. */
static void write_marker(const struct script_entry *entry, int64_t position, struct buffer *out)
{
    char id[ID_WIRE_LENGTH + 1] = "";
    char row[200];
    dk_id_to_wire(&entry->changeset, id);
    (void)snprintf(row, sizeof row, "{\"op\":\"own\",\"rows\":[[%lld,\"%s\",%lld,2]]}",
                   (long long)position, id, (long long)entry->seq);
    dk_buffer_append_text(out, row);
}

/* Appends one change as a block of its own, with the territory that the server fills into
 * customers. */
static void write_change(const struct script *script, const struct change *change, int64_t position,
                         struct buffer *out)
{
    struct field_value values[LIMIT_FIELDS];
    char number[60];
    int count = change->value_count;
    assert(count < LIMIT_FIELDS);
    if (count > 0) {
        memcpy(values, change->values, (size_t)count * sizeof values[0]);
    }
    if (change->op == BLOCK_NEW && change->entity->kind == ENTITY_CUSTOMER) {
        values[count++] = (struct field_value){
            .field = CUSTOMER_TERRITORY_ID,
            .value = {.kind = VALUE_ID, .id = script->territory},
        };
    }
    dk_block_header(out, change->op, change->entity, 2, values, count);
    (void)snprintf(number, sizeof number, ",\"rows\":[[%lld", (long long)position);
    dk_buffer_append_text(out, number);
    dk_block_row_tail(out, change->entity, &change->id, values, count);
    dk_buffer_append_text(out, "]}");
}

/* Appends what a changeset did, as another device sees it. */
static void write_changes(const struct script *script, const struct script_entry *entry,
                          int64_t position, struct buffer *out)
{
    struct arena arena;
    struct changeset changeset;
    struct refusal refusal = {0};
    struct change refused;
    const char *problem = NULL;
    dk_arena_init(&arena, ARENA_MAX);
    char *copy = dk_arena_copy(&arena, entry->body, entry->body_size);
    bool decoded = copy != NULL && dk_changeset_decode(copy, entry->body_size, &arena, &changeset,
                                                       &refusal, &refused, &problem);
    assert(decoded);
    for (int i = 0; i < changeset.change_count; i++) {
        dk_buffer_append_text(out, i > 0 ? "," : "");
        write_change(script, &changeset.changes[i], position, out);
    }
    dk_arena_clear(&arena);
}

/* Appends the log from behind `position` on, as blocks; returns the last position told of.
 * Changesets above `settled` of the present instance are markers. */
static int64_t write_log(const struct script *script, int64_t position, int64_t settled,
                         struct buffer *out)
{
    int entries = 0;
    dk_buffer_append_char(out, '[');
    while (position < script->head &&
           (script->page_entries == 0 || entries < script->page_entries)) {
        const struct script_entry *entry = &script->log[++position];
        dk_buffer_append_text(out, entries > 0 ? "," : "");
        if (entry->block != NULL) {
            dk_buffer_append_text(out, entry->block);
        } else if (entry->device_no == script->device_no && entry->seq > settled) {
            write_marker(entry, position, out);
        } else {
            write_changes(script, entry, position, out);
        }
        entries++;
    }
    dk_buffer_append_char(out, ']');
    return position;
}

/* Packs a message as the answer. */
static void answer_with(struct script *script, int http_status, const struct message_table *table,
                        const void *message, struct daybook_reply *reply)
{
    struct buffer json;
    dk_buffer_init(&json, LIMIT_REPLY_EXPANDED);
    dk_message_encode(&json, table, message);
    assert(json.status == DAYBOOK_OK);
    dk_buffer_reset(&script->reply);
    daybook_status status =
        dk_frame_compress(script->codec, json.bytes, json.length, 1, &script->reply);
    assert(status == DAYBOOK_OK);
    dk_buffer_clear(&json);
    reply->http_status = http_status;
    reply->content_type = "application/vnd.daybook+zstd";
    reply->body = script->reply.bytes;
    reply->body_size = script->reply.length;
}

static void answer_error(struct script *script, int http_status, const char *code, int64_t seq,
                         struct daybook_reply *reply)
{
    struct error_reply error = {.code = code, .detail = "as the script says", .seq = seq};
    answer_with(script, http_status, &dk_error_reply_table, &error, reply);
}

/* /v1/sync */
static void serve_sync(struct script *script, struct sync_request *request, bool nothing,
                       bool foreign, struct daybook_reply *reply)
{
    struct buffer verdicts, log, scope;
    dk_buffer_init(&verdicts, LIMIT_REPLY_EXPANDED);
    dk_buffer_init(&log, LIMIT_REPLY_EXPANDED);
    dk_buffer_init(&scope, 1000);
    script->seen.syncs++;
    script->seen.instance = request->instance;
    script->seen.position = request->position;
    script->seen.settled = request->settled;
    script->seen.page_bytes = request->page_bytes;
    script->seen.changesets = 0;
    script->seen.first_seq = 0;
    script->seen.last_seq = 0;
    struct sync_reply answer = {.protocol = PROTOCOL_VERSION,
                                .epoch = script->epoch,
                                .server_ms = script->wall_ms + script->wall_offset_ms,
                                .position = request->position,
                                .more = true};
    bool reset = request->position > script->head ||
                 (request->epoch != 0 && request->epoch != script->epoch);
    if (nothing) {
        /* as it stands */
    } else if (reset) {
        answer.position = 0;
        answer.reset = true;
    } else if (!decide_all(script, request, &verdicts)) {
        answer_error(script, 409, "GAP", script->next_seq, reply);
        goto clear;
    } else {
        answer.position = write_log(script, request->position, request->settled, &log);
        answer.more = answer.position < script->head;
        answer.verdicts = (struct span){verdicts.bytes, verdicts.length};
        if (foreign) {
            struct script_entry stranger = {.changeset = USER, .seq = 900};
            stranger.changeset.bytes[0] = 99;
            answer.position++; /* this reply speaks of an entry that the log does not have */
            dk_buffer_reset(&log);
            dk_buffer_append_char(&log, '[');
            write_marker(&stranger, answer.position, &log);
            dk_buffer_append_char(&log, ']');
        }
        answer.log = (struct span){log.bytes, log.length};
    }
    if (!nothing && request->scope.length <= 2 && !reset) {
        char label[ID_TEXT_SIZE];
        char text[120];
        dk_id_to_text(&script->territory, label);
        (void)snprintf(text, sizeof text, "[[1,\"organisation\"],[2,\"territory:%s\"]]", label);
        dk_buffer_append_text(&scope, text);
        answer.scope = (struct span){scope.bytes, scope.length};
    }
    answer.head = script->head > answer.position ? script->head : answer.position;
    answer.safe_position = script->safe_position < 0 ? script->head : script->safe_position;
    answer_with(script, 200, &dk_sync_reply_table, &answer, reply);

clear:
    dk_buffer_clear(&verdicts);
    dk_buffer_clear(&log);
    dk_buffer_clear(&scope);
}

/* /v1/enrol */
static void serve_enrol(struct script *script, const struct enrol_request *request,
                        struct daybook_reply *reply)
{
    script->seen.enrols++;
    if (strcmp(request->code, SCRIPT_CODE) != 0) {
        answer_error(script, 403, "BAD_CODE", 0, reply);
        return;
    }
    struct enrol_reply answer = {.protocol = PROTOCOL_VERSION,
                                 .token = SCRIPT_TOKEN,
                                 .device_no = script->device_no,
                                 .organisation = ORGANISATION,
                                 .user = USER,
                                 .territory = script->territory,
                                 .role = "rep",
                                 .epoch = script->epoch,
                                 .server_ms = script->wall_ms + script->wall_offset_ms};
    answer_with(script, 200, &dk_enrol_reply_table, &answer, reply);
}

/* Serves one request whose frame is whole. */
static void serve(struct script *script, const struct daybook_request *request, bool nothing,
                  bool foreign, struct daybook_reply *reply)
{
    struct buffer json;
    struct arena arena;
    const char *problem = "";
    const char *path = strstr(request->url, "/v1/");
    dk_arena_init(&arena, ARENA_MAX);
    dk_buffer_init(&json, LIMIT_REQUEST_EXPANDED);
    daybook_status status =
        dk_frame_expand(script->codec, request->body, request->body_size, &json);
    assert(status == DAYBOOK_OK && path != NULL);
    script->seen.request_bytes = json.length;
    bool signed_in = request->token != NULL && strcmp(request->token, SCRIPT_TOKEN) == 0;
    bool decoded = true;
    if (strcmp(path, "/v1/enrol") == 0) {
        struct enrol_request message;
        decoded = dk_message_decode(&dk_enrol_request_table, json.bytes, json.length, &message,
                                    &arena, &problem);
        serve_enrol(script, &message, reply);
    } else if (!signed_in) {
        answer_error(script, 401, "SIGN_IN", 0, reply);
    } else if (strcmp(path, "/v1/lease") == 0) {
        struct lease_request message;
        decoded = dk_message_decode(&dk_lease_request_table, json.bytes, json.length, &message,
                                    &arena, &problem);
        struct lease_reply answer = {.protocol = PROTOCOL_VERSION,
                                     .device_no = ++script->device_no};
        script->seen.leases++;
        script->next_seq = 1;
        answer_with(script, 200, &dk_lease_reply_table, &answer, reply);
    } else {
        struct sync_request message;
        assert(strcmp(path, "/v1/sync") == 0);
        decoded = dk_message_decode(&dk_sync_request_table, json.bytes, json.length, &message,
                                    &arena, &problem);
        if (decoded) {
            serve_sync(script, &message, nothing, foreign, reply);
        }
    }
    if (!decoded) {
        (void)fprintf(stderr, "script: %s\n", problem);
    }
    assert(decoded);
    dk_buffer_clear(&json);
    dk_arena_clear(&arena);
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
        answer_error(script, fault->http_status, fault->code, fault->seq, reply);
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
    serve(script, request, fault->trouble == SCRIPT_NOTHING, fault->trouble == SCRIPT_FOREIGN_OWN,
          reply);
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

static daybook_status transport_exchange(void *context, void *connection,
                                         const struct daybook_request *request,
                                         struct daybook_reply *reply)
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
        .transport_exchange = transport_exchange,
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
    script->territory = USER;
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
    struct id customer = USER;
    struct script_entry *entry = append(script);
    customer.bytes[0] = 2;
    customer.bytes[1] = (unsigned char)(script->head >> 8);
    customer.bytes[2] = (unsigned char)script->head;
    dk_id_to_wire(&customer, id);
    dk_id_to_wire(&USER, user);
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
