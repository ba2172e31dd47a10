/* SPDX-License-Identifier: Apache-2.0
 *
 * Takes in the answer to one request. Called by libcurl piece by piece in the thread of the
 * exchange. Whatever the server sends, no more than the maximum is ever held.
 */
#include "platform/curl/answer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADER_MAX = 64 * 1024,         /* bytes of all header lines, interim answers included */
    CAPACITY_START = 4 * 1024,      /* bytes */
    CAPACITY_KEPT = 1024 * 1024,    /* bytes that a connection keeps for its next answer */
    RETRY_AFTER_MAX_S = 366 * 86400 /* longer waits count as this */
};

/* See answer.h. */
void dk_answer_begin(struct dk_answer *answer, size_t body_max)
{
    if (answer->capacity > CAPACITY_KEPT) {
        free(answer->body);
        answer->body = NULL;
        answer->capacity = 0;
    }
    answer->body_size = 0;
    answer->body_max = body_max;
    answer->header_size = 0;
    answer->header_done = false;
    answer->too_large = false;
    answer->no_memory = false;
}

/* See answer.h. */
void dk_answer_clear(struct dk_answer *answer)
{
    free(answer->body);
    *answer = (struct dk_answer){0};
}

/* Makes room for `more` bytes and a NUL by doubling; sets no_memory and returns false when that
 * fails. The caller has checked that the size stays within body_max. */
static bool grow(struct dk_answer *answer, size_t more)
{
    size_t needed = answer->body_size + more + 1;
    size_t capacity = answer->capacity > 0 ? answer->capacity : CAPACITY_START;
    while (capacity < needed) {
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    }
    if (capacity == answer->capacity) {
        return true;
    }
    char *body = realloc(answer->body, capacity);
    if (body == NULL) {
        answer->no_memory = true;
        return false;
    }
    answer->body = body;
    answer->capacity = capacity;
    return true;
}

/* libcurl hands over a piece of the body. Returning less than its length ends the transfer. */
static size_t take_body(char *bytes, size_t one, size_t length, void *pointer)
{
    (void)one; /* always 1 */
    struct dk_answer *answer = pointer;
    if (length > answer->body_max - answer->body_size) {
        answer->too_large = true;
        return 0;
    }
    if (length == 0 || !grow(answer, length)) {
        return 0;
    }
    memcpy(answer->body + answer->body_size, bytes, length);
    answer->body_size += length;
    return length;
}

/* libcurl hands over one header line, the status line and the empty one included. A status line
 * begins an answer anew: the one before was an interim one. */
static size_t take_header(char *bytes, size_t one, size_t length, void *pointer)
{
    (void)one; /* always 1 */
    struct dk_answer *answer = pointer;
    if (length > HEADER_MAX - answer->header_size) {
        answer->too_large = true;
        return 0;
    }
    answer->header_size += length;
    answer->header_done = bytes[0] == '\r' || bytes[0] == '\n';
    return length;
}

/* See answer.h. */
CURLcode dk_answer_apply(struct dk_answer *answer, CURL *curl)
{
    CURLcode code = curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    }
    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    }
    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_HEADERDATA, answer);
    }
    return code;
}

/* See answer.h. */
bool dk_answer_finish(struct dk_answer *answer)
{
    if (!grow(answer, 0)) {
        return false;
    }
    answer->body[answer->body_size] = '\0';
    return true;
}

/* The value of the named header of the last answer, borrowed from the curl handle, or NULL. */
static const char *header_value(CURL *curl, const char *name)
{
    struct curl_header *header = NULL;
    if (curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK) {
        return NULL;
    }
    return header->value;
}

/* See answer.h. RFC 9110, 10.2.3: digits are seconds, anything else is a date. A date is compared
 * with the server's own clock where it tells it, for a device's clock may be wrong by days. */
int64_t dk_answer_retry_after_ms(CURL *curl, int64_t wall_ms)
{
    const char *text = header_value(curl, "Retry-After");
    if (text == NULL || text[0] == '\0') {
        return -1;
    }
    int64_t seconds = 0;
    if (text[strspn(text, "0123456789")] == '\0') {
        for (; *text != '\0' && seconds <= RETRY_AFTER_MAX_S; text++) {
            seconds = seconds * 10 + (*text - '0');
        }
    } else {
        time_t until = curl_getdate(text, NULL);
        const char *date = header_value(curl, "Date");
        time_t now = date != NULL ? curl_getdate(date, NULL) : -1;
        if (until == -1) {
            return -1;
        }
        seconds = (int64_t)until - (now != -1 ? (int64_t)now : wall_ms / 1000);
    }
    if (seconds < 0) {
        seconds = 0;
    }
    return (seconds > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : seconds) * 1000;
}
