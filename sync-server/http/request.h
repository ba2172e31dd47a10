/* SPDX-License-Identifier: Apache-2.0
 *
 * A strict reader of HTTP/1.1 request heads (RFC 9112), without I/O. It takes bytes in pieces of
 * any size and says when the head is complete or why the request is refused. It refuses whatever
 * two readers could understand differently; after a refusal the connection is closed, so no byte
 * behind it is ever read as another request.
 */
#ifndef DAYBOOK_SERVER_HTTP_REQUEST_H
#define DAYBOOK_SERVER_HTTP_REQUEST_H

#include "engine/protocol/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_BYTES_MAX 8192 /* request line, fields and every CRLF */
#define HTTP_FIELDS_MAX 64
#define HTTP_TARGET_BYTES_MAX 1024
#define HTTP_BODY_BYTES_MAX LIMIT_REQUEST_BYTES
#define HTTP_TOKEN_BYTES_MAX LIMIT_LABEL_BYTES

enum http_progress {
    HTTP_MORE, /* all bytes are taken; the head goes on */
    HTTP_HEAD, /* the head is complete; the bytes not taken are the body's or the next request's */
    HTTP_REFUSED
};

/* One request head. Invariants: 1. `used` <= HTTP_HEAD_BYTES_MAX. 2. `line` <= `used`. 3. the texts
 * point into `head`. */
struct http_request {
    const char *method;     /* "GET" or "POST"; static text */
    const char *target;     /* origin form: begins with '/' */
    const char *token;      /* of "Authorization: Bearer"; NULL: none, or not of that form */
    int64_t content_length; /* bytes of body; 0: none */
    bool close;             /* the client wants no further request on this connection */
    bool expects_continue;  /* the client waits for "100 Continue" before it sends the body */

    int refusal;         /* after HTTP_REFUSED: the HTTP status of the answer */
    const char *problem; /* after HTTP_REFUSED: what is wrong, static text */

    enum http_progress progress;
    bool has_host;
    bool has_length;
    bool has_authorization;
    int fields;
    size_t used; /* bytes in head */
    size_t line; /* where the line that is being read begins */
    char head[HTTP_HEAD_BYTES_MAX];
};

/* Makes it ready for the first byte of a head. */
void srv_http_request_init(struct http_request *request);
/* Reads bytes until the head ends; *taken is how many of them belong to it. May not be called after
 * HTTP_HEAD or HTTP_REFUSED. */
enum http_progress srv_http_request_feed(struct http_request *request, const char *bytes,
                                         size_t length, size_t *taken);

#endif
