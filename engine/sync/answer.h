/* SPDX-License-Identifier: Apache-2.0
 *
 * What an HTTP answer means to the engine: pure functions over status, content type and the
 * server's error code. Called by exchange.c; tested with every status.
 */
#ifndef DAYBOOK_SYNC_ANSWER_H
#define DAYBOOK_SYNC_ANSWER_H

#include <daybook/status.h>

#include <stdbool.h>
#include <stddef.h>

/* What a body claims to be. */
enum answer_body {
    ANSWER_DAYBOOK, /* application/vnd.daybook+zstd */
    ANSWER_JSON,   /* application/json: refusals that the server writes before it has read a request
                    */
    ANSWER_FOREIGN /* anything else, or nothing */
};

enum answer_body dk_answer_body(const char *content_type);
/* True where the bytes begin as a zstd frame does, also where they are cut within its first four.
 */
bool dk_answer_is_frame(const char *bytes, size_t length);
/* The status of an answer other than 200. `code` is that of the server's error_reply; NULL: the
 * body was not one, so somebody else may have answered. */
daybook_status dk_answer_status(int http_status, const char *code);

#endif
