/* SPDX-License-Identifier: Apache-2.0
 *
 * See client.h.
 */
#include "tests/support/client.h"

#include "engine/protocol/limits.h"

#include <daybook/posix.h>

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BODY_MAX ((size_t)64 * 1024 * 1024)

void client_init(struct client *client, struct server *server)
{
    const daybook_platform *platform = daybook_posix_platform();
    memset(client, 0, sizeof *client);
    client->server = server;
    client->connection = platform->transport_open(platform->context);
    client->codec = dk_frame_new();
    client->next_seq = 1;
    (void)snprintf(client->epoch, sizeof client->epoch, "0");
    dk_buffer_init(&client->frame, BODY_MAX);
    dk_buffer_init(&client->text, BODY_MAX);
    assert_non_null(client->connection);
    assert_non_null(client->codec);
    client_new_id(client->instance);
}

void client_clear(struct client *client)
{
    const daybook_platform *platform = daybook_posix_platform();
    platform->transport_close(platform->context, client->connection);
    dk_frame_free(client->codec);
    dk_buffer_clear(&client->frame);
    dk_buffer_clear(&client->text);
    cJSON_Delete(client->reply);
    memset(client, 0, sizeof *client);
}

/* ---- ids */

void client_new_id(char out[CLIENT_ID_SIZE])
{
    const daybook_platform *platform = daybook_posix_platform();
    struct id_maker maker = {0};
    uint8_t random[10];
    assert_true(platform->random(platform->context, random, sizeof random));
    struct id id = dk_id_make(&maker, platform->wall_ms(platform->context), random);
    dk_id_to_wire(&id, out);
    out[ID_WIRE_LENGTH] = '\0';
}

void client_id(const char *uuid, char out[CLIENT_ID_SIZE])
{
    struct id id;
    assert_true(dk_id_from_text(uuid, strlen(uuid), &id));
    dk_id_to_wire(&id, out);
    out[ID_WIRE_LENGTH] = '\0';
}

/* ---- exchanges */

/* Takes the answer apart: a frame of JSON, or JSON as it is. */
static void take_reply(struct client *client, const struct daybook_reply *reply)
{
    const char *problem = NULL;
    size_t offset = 0;
    const char *type = reply->content_type == NULL ? "" : reply->content_type;
    cJSON_Delete(client->reply);
    client->reply = NULL;
    (void)snprintf(client->content_type, sizeof client->content_type, "%s", type);
    dk_buffer_reset(&client->text);
    if (strcmp(type, "application/vnd.daybook+zstd") == 0) {
        (void)dk_frame_expand(client->codec, reply->body, reply->body_size, &client->text);
    } else if (strcmp(type, "application/json") == 0) {
        dk_buffer_append(&client->text, reply->body, reply->body_size);
    }
    if (client->text.status == DAYBOOK_OK && client->text.length > 0) {
        (void)dk_tree_parse(client->text.bytes, client->text.length, BODY_MAX, &client->reply,
                            &problem, &offset);
    }
}

int client_post_bytes(struct client *client, const char *path, const void *bytes, size_t size)
{
    const daybook_platform *platform = daybook_posix_platform();
    char url[200];
    (void)snprintf(url, sizeof url, "%s%s", client->server->url, path);
    struct daybook_request request = {
        .size = sizeof request,
        .method = bytes == NULL ? "GET" : "POST",
        .url = url,
        .token = client->token[0] == '\0' ? NULL : client->token,
        .ca_file = client->server->ca_file,
        .body = bytes,
        .body_size = size,
        .reply_max = BODY_MAX,
        .timeout_ms = 60000,
    };
    struct daybook_reply reply = {.size = sizeof reply, .retry_after_ms = -1};
    daybook_status status =
        platform->transport_exchange(platform->context, client->connection, &request, &reply);
    client->http_status = status == DAYBOOK_OK ? reply.http_status : 0;
    client->retry_after_ms = reply.retry_after_ms;
    if (status == DAYBOOK_OK) {
        take_reply(client, &reply);
    } else {
        cJSON_Delete(client->reply);
        client->reply = NULL;
        client->content_type[0] = '\0';
    }
    return client->http_status;
}

int client_post(struct client *client, const char *path, const char *json)
{
    dk_buffer_reset(&client->frame);
    assert_int_equal(dk_frame_compress(client->codec, json, strlen(json), 1, &client->frame),
                     DAYBOOK_OK);
    return client_post_bytes(client, path, client->frame.bytes, client->frame.length);
}

void client_check_error(const struct client *client, int http_status, const char *code,
                        const char *file, int line)
{
    const char *got = dk_tree_text(client->reply, "code");
    if (got == NULL) {
        got = dk_tree_text(client->reply, "error"); /* of the HTTP layer */
    }
    if (client->http_status != http_status || got == NULL || strcmp(got, code) != 0) {
        print_error("HTTP %d %s, expected %d %s\n", client->http_status, got == NULL ? "-" : got,
                    http_status, code);
        _fail(file, line);
    }
}

void client_enrol(struct client *client, const char *login)
{
    char code[64];
    char json[300];
    server_code(client->server, login, code);
    (void)snprintf(json, sizeof json,
                   "{\"protocol\":1,\"code\":\"%s\",\"instance\":\"%s\",\"device_name\":\"hand\"}",
                   code, client->instance);
    assert_int_equal(client_post(client, "/v1/enrol", json), 200);
    assert_non_null(dk_tree_text(client->reply, "token"));
    assert_non_null(dk_tree_text(client->reply, "epoch"));
    (void)snprintf(client->token, sizeof client->token, "%s", dk_tree_text(client->reply, "token"));
    (void)snprintf(client->epoch, sizeof client->epoch, "%s", dk_tree_text(client->reply, "epoch"));
    assert_true(dk_tree_integer(dk_tree_member(client->reply, "device_no"), &client->device_no));
}

int client_sync(struct client *client, const char *members)
{
    const daybook_platform *platform = daybook_posix_platform();
    struct buffer json;
    char head[400];
    (void)snprintf(head, sizeof head,
                   "{\"protocol\":1,\"schema\":%d,\"instance\":\"%s\",\"epoch\":\"%s\","
                   "\"position\":%" PRId64 ",\"settled\":%" PRId64 ",\"sent_ms\":\"%" PRId64 "\","
                   "\"boot\":\"7\",\"steady_ms\":\"1000\"",
                   SCHEMA_VERSION, client->instance, client->epoch, client->position,
                   client->settled, platform->wall_ms(platform->context));
    dk_buffer_init(&json, BODY_MAX);
    dk_buffer_append_text(&json, head);
    dk_buffer_append_text(&json, members);
    dk_buffer_append_char(&json, '}');
    assert_int_equal(json.status, DAYBOOK_OK);
    int http_status = client_post(client, "/v1/sync", dk_buffer_text(&json));
    dk_buffer_clear(&json);
    if (http_status == 200) {
        assert_true(dk_tree_integer(dk_tree_member(client->reply, "position"), &client->position));
    }
    return http_status;
}

void client_load(struct client *client)
{
    struct buffer members;
    const cJSON *bucket;
    dk_buffer_init(&members, BODY_MAX);
    client->position = 0;
    assert_int_equal(client_sync(client, ""), 200);
    assert_true(cJSON_IsTrue(dk_tree_member(client->reply, "reset")));
    const char *separator = ",\"loading\":[[";
    struct buffer scope;
    dk_buffer_init(&scope, BODY_MAX);
    cJSON_ArrayForEach(bucket, dk_tree_member(client->reply, "scope"))
    {
        int64_t number = (int64_t)cJSON_GetNumberValue(cJSON_GetArrayItem(bucket, 0));
        dk_buffer_append_text(&members, separator);
        dk_buffer_append_int(&members, number);
        dk_buffer_append_text(&scope, scope.length == 0 ? ",\"scope\":[" : ",");
        dk_buffer_append_int(&scope, number);
        separator = "],[";
    }
    dk_buffer_append_text(&members, "]]");
    dk_buffer_append(&members, scope.bytes, scope.length);
    dk_buffer_append_char(&members, ']');
    assert_int_equal(client_sync(client, dk_buffer_text(&members)), 200);
    assert_false(cJSON_IsTrue(dk_tree_member(client->reply, "more")));
    dk_buffer_clear(&members);
    dk_buffer_clear(&scope);
}

/* The last verdict's row, or NULL. */
static const cJSON *last_verdict(const struct client *client)
{
    const cJSON *verdicts = dk_tree_member(client->reply, "verdicts");
    int count = cJSON_IsArray(verdicts) ? cJSON_GetArraySize(verdicts) : 0;
    return count == 0 ? NULL : cJSON_GetArrayItem(verdicts, count - 1);
}

const char *client_push_as(struct client *client, struct client_changeset changeset)
{
    const daybook_platform *platform = daybook_posix_platform();
    struct buffer members;
    char head[400];
    int64_t now_ms = platform->wall_ms(platform->context);
    int64_t time_ms = changeset.time_ms == 0 ? now_ms : changeset.time_ms;
    int64_t seq = changeset.seq == 0 ? client->next_seq++ : changeset.seq;
    if (changeset.id == NULL) {
        client_new_id(client->changeset);
    } else {
        (void)snprintf(client->changeset, sizeof client->changeset, "%s", changeset.id);
    }
    (void)snprintf(head, sizeof head,
                   ",\"changesets\":[{\"id\":\"%s\",\"seq\":%" PRId64 ",\"epoch\":\"%s\","
                   "\"hlc\":\"%" PRId64 "\",\"boot\":\"7\",\"steady\":\"900\",\"schema\":%" PRId64
                   ",\"changes\":",
                   client->changeset, seq, client->epoch, time_ms * 65536,
                   changeset.schema == 0 ? (int64_t)SCHEMA_VERSION : changeset.schema);
    dk_buffer_init(&members, BODY_MAX);
    dk_buffer_append_text(&members, head);
    dk_buffer_append_text(&members, changeset.changes);
    dk_buffer_append_text(&members, "}]");
    assert_int_equal(members.status, DAYBOOK_OK);
    (void)client_sync(client, dk_buffer_text(&members));
    dk_buffer_clear(&members);
    const cJSON *kind = cJSON_GetArrayItem(last_verdict(client), 1);
    return cJSON_IsString(kind) ? kind->valuestring : "";
}

const char *client_push(struct client *client, const char *changes)
{
    return client_push_as(client, (struct client_changeset){.changes = changes});
}

const char *client_detail(const struct client *client, const char *name)
{
    const char *text = dk_tree_text(cJSON_GetArrayItem(last_verdict(client), 3), name);
    return text == NULL ? "" : text;
}

int64_t client_position(const struct client *client)
{
    int64_t position = -1;
    (void)dk_tree_integer(cJSON_GetArrayItem(last_verdict(client), 2), &position);
    return position;
}
