/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes HTTP/1.1 reply heads, without I/O. Every reply has a Content-Length.
 */
#ifndef DAYBOOK_SERVER_HTTP_REPLY_H
#define DAYBOOK_SERVER_HTTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_REPLY_HEAD_BYTES_MAX 512
#define HTTP_REFUSAL_BYTES_MAX 256
#define HTTP_CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

struct http_reply {
    int status;               /* 200 to 599 */
    const char *content_type; /* NULL: no body */
    const char *allow;        /* of a 405: "POST"; NULL: none */
    size_t body_size;         /* bytes */
    int64_t retry_after_ms;   /* rounded up to seconds; -1: none */
    int64_t now_s;            /* for Date: seconds since 1970 */
    bool close;               /* the connection ends with this reply */
};

/* Writes the head into `out`, returns its length (no NUL). It always fits where content_type has at
 * most 100 bytes. */
size_t srv_http_reply_head(const struct http_reply *reply, char out[HTTP_REPLY_HEAD_BYTES_MAX]);
/* Writes the JSON body of a refusal, {"error":CODE,"text":TEXT}; both are plain ASCII without
 * quotes. Returns its length. */
size_t srv_http_refusal_body(const char *code, const char *text, char out[HTTP_REFUSAL_BYTES_MAX]);
/* The reason phrase of a status, "Unknown" for one that is not ours. */
const char *srv_http_reason(int status);

#endif
