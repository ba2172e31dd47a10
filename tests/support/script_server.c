/* SPDX-License-Identifier: Apache-2.0
 *
 * The server of a script: decides changesets, keeps the log, answers the three endpoints with the
 * project's own codecs. Called by script.c, which holds the script's lock.
 */
#include "tests/support/script_server.h"

#include "engine/base/text.h"
#include "engine/protocol/changeset.h"
#include "engine/protocol/message.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_MAX ((size_t)64 * 1024 * 1024)

const struct id SCRIPT_ORGANISATION = {
    {1, 2, 3, 4, 5, 6, 0x70, 8, 0x80, 10, 11, 12, 13, 14, 15, 1}};
const struct id SCRIPT_USER = {{1, 2, 3, 4, 5, 6, 0x70, 8, 0x80, 10, 11, 12, 13, 14, 15, 2}};

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
struct script_entry *script_append(struct script *script)
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
        struct script_entry *entry = script_append(script);
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

void script_answer_error(struct script *script, int http_status, const char *code, int64_t seq,
                         struct daybook_reply *reply)
{
    struct error_reply error = {.code = code, .detail = "as the script says", .seq = seq};
    answer_with(script, http_status, &dk_error_reply_table, &error, reply);
}

/* Lets the test change a message before it goes out. */
static void twist(struct script *script, void *message)
{
    if (script->twist != NULL) {
        script->twist(message);
    }
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
        script_answer_error(script, 409, "GAP", script->next_seq, reply);
        goto clear;
    } else {
        answer.position = write_log(script, request->position, request->settled, &log);
        answer.more = answer.position < script->head;
        answer.verdicts = (struct span){verdicts.bytes, verdicts.length};
        if (foreign) {
            struct script_entry stranger = {.changeset = SCRIPT_USER, .seq = 900};
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
    twist(script, &answer);
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
        script_answer_error(script, 403, "BAD_CODE", 0, reply);
        return;
    }
    struct enrol_reply answer = {.protocol = PROTOCOL_VERSION,
                                 .token = SCRIPT_TOKEN,
                                 .device_no = script->device_no,
                                 .organisation = SCRIPT_ORGANISATION,
                                 .user = SCRIPT_USER,
                                 .territory = script->territory,
                                 .role = "rep",
                                 .epoch = script->epoch,
                                 .server_ms = script->wall_ms + script->wall_offset_ms};
    twist(script, &answer);
    answer_with(script, 200, &dk_enrol_reply_table, &answer, reply);
}

/* Serves one request whose frame is whole. */
void script_serve(struct script *script, const struct daybook_request *request, bool nothing,
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
        script_answer_error(script, 401, "SIGN_IN", 0, reply);
    } else if (strcmp(path, "/v1/lease") == 0) {
        struct lease_request message;
        decoded = dk_message_decode(&dk_lease_request_table, json.bytes, json.length, &message,
                                    &arena, &problem);
        struct lease_reply answer = {.protocol = PROTOCOL_VERSION,
                                     .device_no = ++script->device_no};
        script->seen.leases++;
        script->next_seq = 1;
        twist(script, &answer);
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
