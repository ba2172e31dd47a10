/* SPDX-License-Identifier: Apache-2.0
 *
 * A client that speaks the protocol by hand, as PROTOCOL.md describes it and with nothing of the
 * engine: for requests that no engine would send. It goes through the default transport, so TLS
 * and HTTP are right and the rest is the test's. One connection, one thread.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_CLIENT_H
#define DAYBOOK_TESTS_SUPPORT_CLIENT_H

#include "engine/base/buffer.h"
#include "engine/base/frame.h"
#include "engine/base/id.h"
#include "engine/base/tree.h"
#include "tests/support/server.h"

#include <daybook/platform.h>

#include <stdint.h>

#define CLIENT_ID_SIZE (ID_WIRE_LENGTH + 1) /* an id as it stands on the wire, with NUL */

struct client {
    struct server *server;
    void *connection;
    struct frame_codec *codec;
    struct buffer frame, text;
    char token[64];
    char instance[CLIENT_ID_SIZE];
    char epoch[24];
    int64_t device_no;
    int64_t position, settled, next_seq;
    char changeset[CLIENT_ID_SIZE]; /* id of the last one that client_push made */
    /* of the last answer */
    int http_status;
    char content_type[64];
    int64_t retry_after_ms; /* -1: it names none */
    cJSON *reply; /* NULL: no JSON */
};

void client_init(struct client *client, struct server *server);
void client_clear(struct client *client);

/* A fresh id of version 7 in the form of the wire. */
void client_new_id(char out[CLIENT_ID_SIZE]);
/* The wire's form of a UUID text. */
void client_id(const char *uuid, char out[CLIENT_ID_SIZE]);

/* Sends these bytes as the body of a POST, or a GET where `bytes` is NULL, with the client's token.
 * Returns the HTTP status; 0 where the exchange itself failed. */
int client_post_bytes(struct client *client, const char *path, const void *bytes, size_t size);
/* The same with a JSON text, compressed. */
int client_post(struct client *client, const char *path, const char *json);
/* Expects the error answer, in JSON, with this status and code. */
#define client_expect_error(client, http_status, code)                                             \
    client_check_error((client), (http_status), (code), __FILE__, __LINE__)
void client_check_error(const struct client *client, int http_status, const char *code,
                        const char *file, int line);

/* Enrols a user's device under a fresh instance; the test fails where that does. */
void client_enrol(struct client *client, const char *login);
/* A sync request with these members behind the required ones ("" or ",\"scope\":[1]"). Returns the
 * HTTP status; a 200 moves the position. */
int client_sync(struct client *client, const char *members);
/* Begins a snapshot and pulls all pages of the scope in one reply; the test fails where that is not
 * enough. */
void client_load(struct client *client);
/* Sends one changeset with the next seq, a fresh id and these changes (an array of blocks), stamped
 * now. Returns its verdict's kind, such as "accepted"; "" where the answer has none. */
const char *client_push(struct client *client, const char *changes);
/* The same with all that a changeset says; zero values stand for the usual ones. */
struct client_changeset {
    const char *changes;
    const char *id;  /* NULL: a fresh one */
    int64_t seq;     /* 0: the next */
    int64_t schema;  /* 0: the present one */
    int64_t time_ms; /* of the stamp; 0: now */
};
const char *client_push_as(struct client *client, struct client_changeset changeset);
/* A detail of the last verdict such as "code" or "rule"; "" where there is none. */
const char *client_detail(const struct client *client, const char *name);
/* Position of the last verdict. */
int64_t client_position(const struct client *client);

#endif
