/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the bare protocol client. Called by single.c, one thread per client, by log.c, and its reply
 * reader by batch.c. Invariant: it does what PROTOCOL.md asks of a device: one seq after the other,
 * settled marks that never go back, positions of the server's epoch.
 */
#include "tests/bench/talk.h"

#include "engine/base/text.h"
#include "engine/protocol/changeset.h"

#include <daybook/posix.h>

#include <stdlib.h>
#include <string.h>

#define ARENA_MAX ((size_t)16 * 1024 * 1024)

/* A fresh id by the system's clock and random numbers. */
static struct id new_id(struct talk *talk)
{
    const daybook_platform *platform = daybook_posix_platform();
    uint8_t random[10];
    if (!platform->random(platform->context, random, sizeof random)) {
        bench_fail("no random numbers");
    }
    return dk_id_make(&talk->ids, platform->wall_ms(platform->context), random);
}

/* Sends `json` to the path and leaves the reply's JSON in `expanded`; seconds of the exchange. */
static double post(struct talk *talk, const char *path)
{
    const daybook_platform *platform = daybook_posix_platform();
    char url[128];
    dk_buffer_reset(&talk->packed);
    daybook_status status =
        dk_frame_compress(talk->codec, talk->json.bytes, talk->json.length, 1, &talk->packed);
    if (status != DAYBOOK_OK || talk->json.status != DAYBOOK_OK ||
        !dk_text_format(url, sizeof url, "%s%s", talk->server->url, path)) {
        bench_fail("a request cannot be made");
    }
    struct daybook_request request = {.size = sizeof request,
                                      .method = "POST",
                                      .url = url,
                                      .token = talk->token[0] != '\0' ? talk->token : NULL,
                                      .ca_file = talk->server->ca_file,
                                      .body = talk->packed.bytes,
                                      .body_size = talk->packed.length,
                                      .reply_max = LIMIT_REPLY_BYTES,
                                      .timeout_ms = 30000};
    struct daybook_reply reply = {.size = sizeof reply};
    double began = bench_now();
    status = platform->transport_exchange(platform->context, talk->connection, &request, &reply);
    double elapsed = bench_now() - began;
    if (status != DAYBOOK_OK || reply.http_status != 200) {
        bench_fail("POST %s: status %d, HTTP %d", path, (int)status, reply.http_status);
    }
    dk_buffer_reset(&talk->expanded);
    if (dk_frame_expand(talk->codec, reply.body, reply.body_size, &talk->expanded) != DAYBOOK_OK) {
        bench_fail("POST %s: the reply is no frame", path);
    }
    return elapsed;
}

/* Decodes what `post` left. */
static void decode(struct talk *talk, const struct message_table *table, void *message)
{
    const char *problem = NULL;
    dk_arena_reset(&talk->arena);
    if (!dk_message_decode(table, talk->expanded.bytes, talk->expanded.length, message,
                           &talk->arena, &problem)) {
        bench_fail("a reply is damaged: %s", problem == NULL ? "" : problem);
    }
}

/* ---- enrolling ---- */

static void enrol(struct talk *talk, const char *code)
{
    struct enrol_request request = {.protocol = PROTOCOL_VERSION,
                                    .code = code,
                                    .instance = talk->instance,
                                    .device_name = "bench"};
    struct enrol_reply reply;
    dk_buffer_reset(&talk->json);
    dk_message_encode(&talk->json, &dk_enrol_request_table, &request);
    (void)post(talk, "/v1/enrol");
    decode(talk, &dk_enrol_reply_table, &reply);
    if (reply.token == NULL ||
        !dk_text_format(talk->token, sizeof talk->token, "%s", reply.token)) {
        bench_fail("the enrolment brought no token");
    }
    talk->epoch = reply.epoch;
}

/* ---- syncing ---- */

/* Takes the bucket numbers out of [[bucket,"label"],…]. */
static void take_scope(struct talk *talk, const struct span *scope)
{
    struct json_reader reader;
    dk_json_open(&reader, scope->bytes, scope->length);
    dk_buffer_reset(&talk->scope);
    dk_buffer_append_char(&talk->scope, '[');
    if (dk_json_next(&reader) != JSON_ARRAY) {
        bench_fail("a scope is no array");
    }
    while (dk_json_next(&reader) == JSON_ARRAY) {
        if (dk_json_next(&reader) != JSON_INTEGER) {
            bench_fail("a scope has no bucket");
        }
        if (talk->scope.length > 1) {
            dk_buffer_append_char(&talk->scope, ',');
        }
        dk_buffer_append_int(&talk->scope, reader.integer);
        while (dk_json_next(&reader) != JSON_END) {
            if (reader.problem != NULL) {
                bench_fail("a scope is damaged: %s", reader.problem);
            }
        }
    }
    dk_buffer_append_char(&talk->scope, ']');
}

/* Counts accepted verdicts; *position is that of the last one. -1: damaged. */
static int count_verdicts(struct span *verdicts, int64_t *position)
{
    struct json_reader reader;
    struct verdict verdict;
    int count = 0, next;
    if (verdicts->bytes == NULL) {
        return 0;
    }
    dk_json_open(&reader, verdicts->bytes, verdicts->length);
    if (dk_json_next(&reader) != JSON_ARRAY) {
        return -1;
    }
    while ((next = dk_verdict_read(&reader, &verdict)) == 1) {
        count += verdict.kind == VERDICT_ACCEPTED;
        *position = verdict.position;
    }
    return next == 0 ? count : -1;
}

/* One round trip with the changesets in `body`, so many, each of which must be accepted. */
static double sync_round(struct talk *talk, int changesets, bool *more)
{
    const daybook_platform *platform = daybook_posix_platform();
    int64_t decided = 0;
    struct sync_request request = {
        .protocol = PROTOCOL_VERSION,
        .schema = SCHEMA_VERSION,
        .instance = talk->instance,
        .epoch = talk->epoch,
        .position = talk->position,
        .settled = talk->settled,
        .sent_ms = platform->wall_ms(platform->context),
        .boot = platform->boot_id(platform->context) & INT64_MAX,
        .steady_ms = platform->steady_ms(platform->context),
        .scope = {talk->scope.bytes, talk->scope.length},
    };
    struct sync_reply reply;
    if (changesets > 0) {
        request.changesets = (struct span){talk->body.bytes, talk->body.length};
    }
    dk_buffer_reset(&talk->json);
    dk_message_encode(&talk->json, &dk_sync_request_table, &request);
    double elapsed = post(talk, "/v1/sync");
    decode(talk, &dk_sync_reply_table, &reply);
    if (count_verdicts(&reply.verdicts, &decided) != changesets) {
        bench_fail("a changeset was not accepted");
    }
    if (reply.scope.bytes != NULL) {
        take_scope(talk, &reply.scope);
    }
    talk->epoch = reply.epoch;
    talk->position = reply.position;
    if (changesets > 0 && reply.position >= decided) {
        talk->settled = talk->seq;
    }
    *more = reply.more;
    return elapsed;
}

/* Puts a changeset with this one change behind those in `body`. */
static void write_changeset(struct talk *talk, struct change *change)
{
    const daybook_platform *platform = daybook_posix_platform();
    struct changeset changeset = {
        .id = new_id(talk),
        .seq = ++talk->seq,
        .epoch = talk->epoch,
        .time = dk_hlc_tick(&talk->clock, platform->wall_ms(platform->context)),
        .boot = platform->boot_id(platform->context) & INT64_MAX,
        .steady_ms = platform->steady_ms(platform->context),
        .schema = SCHEMA_VERSION,
        .change_count = 1,
        .changes = change,
    };
    dk_buffer_append_char(&talk->body, talk->body.length == 0 ? '[' : ',');
    dk_changeset_encode(&talk->body, &changeset);
}

/* ---- the calls ---- */

void talk_open(struct talk *talk, const struct server *server, const char *code)
{
    const daybook_platform *platform = daybook_posix_platform();
    bool more = true;
    *talk = (struct talk){.server = server};
    talk->codec = dk_frame_new();
    talk->connection = platform->transport_open(platform->context);
    if (talk->codec == NULL || talk->connection == NULL) {
        bench_fail("no memory for a client");
    }
    dk_buffer_init(&talk->body, LIMIT_REQUEST_EXPANDED);
    dk_buffer_init(&talk->scope, LIMIT_CHANGESET_BYTES);
    dk_buffer_init(&talk->json, LIMIT_REQUEST_EXPANDED);
    dk_buffer_init(&talk->packed, LIMIT_REQUEST_BYTES);
    dk_buffer_init(&talk->expanded, LIMIT_REPLY_EXPANDED);
    dk_arena_init(&talk->arena, ARENA_MAX);
    talk->instance = new_id(talk);
    enrol(talk, code);
    dk_buffer_append_text(&talk->scope, "[]");
    while (more) {
        (void)sync_round(talk, 0, &more);
    }
}

void talk_hang_up(struct talk *talk)
{
    const daybook_platform *platform = daybook_posix_platform();
    platform->transport_close(platform->context, talk->connection);
    talk->connection = platform->transport_open(platform->context);
    if (talk->connection == NULL) {
        bench_fail("no memory for a connection");
    }
}

void talk_close(struct talk *talk)
{
    const daybook_platform *platform = daybook_posix_platform();
    platform->transport_close(platform->context, talk->connection);
    dk_frame_free(talk->codec);
    dk_buffer_clear(&talk->body);
    dk_buffer_clear(&talk->scope);
    dk_buffer_clear(&talk->json);
    dk_buffer_clear(&talk->packed);
    dk_buffer_clear(&talk->expanded);
    dk_arena_clear(&talk->arena);
}

static struct field_value text_value(int field, const char *text, size_t length)
{
    struct field_value value = {.field = field,
                                .value = {.kind = VALUE_TEXT, .length = (uint32_t)length}};
    value.value.text = text;
    return value;
}

static struct field_value int_value(int field, int64_t integer)
{
    return (struct field_value){.field = field, .value = {.kind = VALUE_INT, .integer = integer}};
}

/* Writes one new record, in a changeset of its own. */
static void add(struct talk *talk, enum entity_kind kind, const struct id *id,
                struct field_value *values, int count)
{
    struct change change = {.op = BLOCK_NEW,
                            .entity = dk_entity((int)kind),
                            .id = *id,
                            .value_count = count,
                            .values = values};
    write_changeset(talk, &change);
}

/* Sends what was written; seconds of the exchange. */
static double send_all(struct talk *talk, int changesets)
{
    bool more;
    dk_buffer_append_char(&talk->body, ']');
    double elapsed = sync_round(talk, changesets, &more);
    dk_buffer_reset(&talk->body);
    return elapsed;
}

void talk_add_customer(struct talk *talk)
{
    struct field_value name = text_value(CUSTOMER_NAME, "Customer", strlen("Customer"));
    talk->customer = new_id(talk);
    add(talk, ENTITY_CUSTOMER, &talk->customer, &name, 1);
    (void)send_all(talk, 1);
}

static void write_visit(struct talk *talk, const struct visit *visit)
{
    struct id id = new_id(talk);
    struct field_value customer = {.field = VISIT_CUSTOMER_ID,
                                   .value = {.kind = VALUE_ID, .id = talk->customer}};
    struct field_value values[] = {
        customer,
        int_value(VISIT_PLAN_DAY, visit->plan_day),
        text_value(VISIT_KIND, visit->kind, strlen(visit->kind)),
        text_value(VISIT_STATUS, visit->status, strlen(visit->status)),
        int_value(VISIT_CHECKIN_TS, visit->checkin_ts),
        int_value(VISIT_CHECKIN_TZ, visit->checkin_tz_min),
        int_value(VISIT_CHECKIN_LAT, visit->checkin_lat_e7),
        int_value(VISIT_CHECKIN_LON, visit->checkin_lon_e7),
        int_value(VISIT_CHECKIN_ACC, visit->checkin_acc_m),
        text_value(VISIT_FEEDBACK, visit->note, (size_t)visit->note_length),
    };
    add(talk, ENTITY_VISIT, &id, values, (int)(sizeof values / sizeof values[0]));
}

double talk_add_visits(struct talk *talk, const struct visit *visits, int count)
{
    for (int i = 0; i < count; i++) {
        write_visit(talk, &visits[i]);
    }
    return send_all(talk, count);
}

int talk_count_accepted(struct frame_codec *codec, const void *frame, size_t length)
{
    struct buffer json;
    struct arena arena;
    struct sync_reply reply;
    const char *problem;
    int64_t position;
    int count = -1;
    dk_buffer_init(&json, LIMIT_REPLY_EXPANDED);
    dk_arena_init(&arena, ARENA_MAX);
    if (dk_frame_expand(codec, frame, length, &json) == DAYBOOK_OK &&
        dk_message_decode(&dk_sync_reply_table, json.bytes, json.length, &reply, &arena,
                          &problem)) {
        count = count_verdicts(&reply.verdicts, &position);
    }
    dk_arena_clear(&arena);
    dk_buffer_clear(&json);
    return count;
}
