/* SPDX-License-Identifier: Apache-2.0
 *
 * The reply head's writer. Pure. Called by the connection for answers and refusals.
 * Invariant: a head never exceeds HTTP_REPLY_HEAD_BYTES_MAX, and its Content-Length is the body's
 * size.
 */
#include "sync-server/http/reply.h"

#include "engine/base/text.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {204, "No Content"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {411, "Length Required"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *srv_http_reason(int status)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return "Unknown";
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7), in no locale. False for a time that has
 * no such form. */
static bool format_date(int64_t now_s, char out[32])
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)now_s;
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL || tm.tm_year < 0 || tm.tm_year > 8000) {
        return false;
    }
    return dk_text_format(out, 32, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday],
                          tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
                          tm.tm_sec);
}

/* Appends formatted text at *length; the sizes are the caller's guarantee. */
static void append(char out[HTTP_REPLY_HEAD_BYTES_MAX], size_t *length, const char *name,
                   const char *value)
{
    bool fits = dk_text_format(out + *length, HTTP_REPLY_HEAD_BYTES_MAX - *length, "%s: %s\r\n",
                               name, value);
    assert(fits);
    (void)fits;
    *length += strlen(out + *length);
}

size_t srv_http_reply_head(const struct http_reply *reply, char out[HTTP_REPLY_HEAD_BYTES_MAX])
{
    char text[32];
    assert(reply->content_type == NULL || strlen(reply->content_type) <= 100);
    assert(reply->status >= 200 && reply->status <= 599);
    (void)dk_text_format(out, HTTP_REPLY_HEAD_BYTES_MAX, "HTTP/1.1 %d %s\r\n", reply->status,
                         srv_http_reason(reply->status));
    size_t length = strlen(out);
    if (format_date(reply->now_s, text)) {
        append(out, &length, "Date", text);
    }
    (void)dk_text_format(text, sizeof(text), "%zu", reply->body_size);
    append(out, &length, "Content-Length", text);
    if (reply->content_type != NULL) {
        append(out, &length, "Content-Type", reply->content_type);
    }
    append(out, &length, "Cache-Control", "no-store");
    if (reply->retry_after_ms >= 0) {
        int64_t seconds = reply->retry_after_ms / 1000 + (reply->retry_after_ms % 1000 > 0 ? 1 : 0);
        (void)dk_text_format(text, sizeof(text), "%" PRId64, seconds);
        append(out, &length, "Retry-After", text);
    }
    if (reply->allow != NULL) {
        append(out, &length, "Allow", reply->allow);
    }
    if (reply->status == 401) {
        append(out, &length, "WWW-Authenticate", "Bearer");
    }
    if (reply->close) {
        append(out, &length, "Connection", "close");
    }
    memcpy(out + length, "\r\n", 2);
    return length + 2;
}

size_t srv_http_refusal_body(const char *code, const char *text, char out[HTTP_REFUSAL_BYTES_MAX])
{
    bool fits = dk_text_format(out, HTTP_REFUSAL_BYTES_MAX, "{\"error\":\"%s\",\"text\":\"%s\"}",
                               code, text);
    assert(fits);
    (void)fits;
    return strlen(out);
}
