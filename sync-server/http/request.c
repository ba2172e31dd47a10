/* SPDX-License-Identifier: Apache-2.0
 *
 * The request head's reader. Bytes are copied into the head's fixed room and checked one by one
 * (CRLF only, no control characters); each line is understood as soon as it is complete. Called by
 * the connection, the unit tests and the fuzzer. Invariant: whatever is not plainly right is
 * refused, and a refusal is final.
 */
#include "sync-server/http/request.h"

#include <assert.h>
#include <string.h>

/* Sets the refusal; always returns false, so that a check can end with it. */
static bool refuse(struct http_request *request, int status, const char *problem)
{
    request->progress = HTTP_REFUSED;
    request->refusal = status;
    request->problem = problem;
    return false;
}

/* "0" to "9". */
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* An ASCII digit or letter, whatever the locale. */
static bool is_alphanumeric(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A hex digit of either case. */
static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* A letter, a digit or one of the characters of `others`, which is not NUL. */
static bool is_one_of(char c, const char *others)
{
    return is_alphanumeric(c) || (c != '\0' && strchr(others, c) != NULL);
}

/* tchar of RFC 9110 section 5.6.2. */
static bool is_token_char(char c)
{
    return is_one_of(c, "!#$%&'*+-.^_`|~");
}

/* Whether text[0..length) is `name`, without regard to ASCII case; `name` is in lower case. */
static bool equals_ignoring_case(const char *text, size_t length, const char *name)
{
    if (strlen(name) != length) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c >= 'A' && c <= 'Z') {
            c = (char)(c - 'A' + 'a');
        }
        if (c != name[i]) {
            return false;
        }
    }
    return true;
}

/* Origin form (RFC 9112 section 3.2.1): '/' and then path and query characters, each "%" with two
 * hex digits. */
static bool check_target(struct http_request *request, const char *target, size_t length)
{
    if (length == 0 || target[0] != '/') {
        return refuse(request, 400, "the target is not in origin form");
    }
    if (length > HTTP_TARGET_BYTES_MAX) {
        return refuse(request, 414, "the target is too long");
    }
    for (size_t i = 0; i < length; i++) {
        if (target[i] == '%') {
            if (length - i < 3 || !is_hex(target[i + 1]) || !is_hex(target[i + 2])) {
                return refuse(request, 400, "a percent sign without two hex digits in the target");
            }
        } else if (!is_one_of(target[i], "/?-._~!$&'()*+,;=:@")) {
            return refuse(request, 400, "a character in the target that may not stand there");
        }
    }
    return true;
}

/* "METHOD SP target SP HTTP/1.1", one space each. GET and POST only; a method has to be known to
 * know its framing. */
static bool take_request_line(struct http_request *request, char *line, size_t length)
{
    char *method_end = memchr(line, ' ', length);
    if (method_end == NULL || method_end == line) {
        return refuse(request, 400, "the request line has no method");
    }
    for (char *c = line; c < method_end; c++) {
        if (!is_token_char(*c)) {
            return refuse(request, 400, "the method is not a token");
        }
    }
    char *target = method_end + 1;
    char *target_end = memchr(target, ' ', length - (size_t)(target - line));
    if (target_end == NULL) {
        return refuse(request, 400, "the request line has no version");
    }
    const char *version = target_end + 1;
    size_t version_length = length - (size_t)(version - line);
    if (version_length != 8 || memcmp(version, "HTTP/", 5) != 0 || !is_digit(version[5]) ||
        version[6] != '.' || !is_digit(version[7])) {
        return refuse(request, 400, "the version is malformed");
    }
    if (memcmp(version, "HTTP/1.1", 8) != 0) {
        return refuse(request, 505, "only HTTP/1.1 is spoken here");
    }
    if (!check_target(request, target, (size_t)(target_end - target))) {
        return false;
    }
    size_t method_length = (size_t)(method_end - line);
    if (method_length == 3 && memcmp(line, "GET", 3) == 0) {
        request->method = "GET";
    } else if (method_length == 4 && memcmp(line, "POST", 4) == 0) {
        request->method = "POST";
    } else {
        return refuse(request, 501, "only GET and POST are known here");
    }
    *target_end = '\0';
    request->target = target;
    return true;
}

/* Exactly once, a name or address with an optional port; no list. */
static bool take_host(struct http_request *request, char *value, size_t length)
{
    if (request->has_host) {
        return refuse(request, 400, "Host is given twice");
    }
    if (length == 0 || length > 255) {
        return refuse(request, 400, "Host is empty or too long");
    }
    for (size_t i = 0; i < length; i++) {
        if (!is_one_of(value[i], "-._:[]")) {
            return refuse(request, 400, "a character in Host that may not stand there");
        }
    }
    request->has_host = true;
    return true;
}

/* Once, digits only, no sign, list or leading zero. Too many digits are a number that is too large.
 */
static bool take_content_length(struct http_request *request, char *value, size_t length)
{
    if (request->has_length) {
        return refuse(request, 400, "Content-Length is given twice");
    }
    if (length == 0 || (length > 1 && value[0] == '0')) {
        return refuse(request, 400, "Content-Length is not a plain number");
    }
    for (size_t i = 0; i < length; i++) {
        if (!is_digit(value[i])) {
            return refuse(request, 400, "Content-Length is not a plain number");
        }
        if (request->content_length <= HTTP_BODY_BYTES_MAX) {
            request->content_length = request->content_length * 10 + (value[i] - '0');
        }
    }
    request->has_length = true;
    return true;
}

/* Requests have a length; any coding of the transfer is refused, "identity" too. */
static bool take_transfer_encoding(struct http_request *request, char *value, size_t length)
{
    (void)value;
    (void)length;
    return refuse(request, 400, "Transfer-Encoding is not accepted in requests");
}

/* Bodies are compressed by their content type, never by a content coding. */
static bool take_content_encoding(struct http_request *request, char *value, size_t length)
{
    if (!equals_ignoring_case(value, length, "identity")) {
        return refuse(request, 415, "Content-Encoding is not accepted");
    }
    return true;
}

/* "Bearer SP token68" gives the token; any other scheme or form counts as no token. Once. */
static bool take_authorization(struct http_request *request, char *value, size_t length)
{
    if (request->has_authorization) {
        return refuse(request, 400, "Authorization is given twice");
    }
    request->has_authorization = true;
    if (length < 8 || !equals_ignoring_case(value, 7, "bearer ")) {
        return true;
    }
    char *token = value + 7;
    size_t token_length = length - 7;
    size_t i = 0;
    while (i < token_length && is_one_of(token[i], "-._~+/")) {
        i++;
    }
    size_t padding = i;
    while (padding < token_length && token[padding] == '=') {
        padding++;
    }
    if (i == 0 || padding != token_length || token_length > HTTP_TOKEN_BYTES_MAX) {
        return true;
    }
    token[token_length] =
        '\0'; /* on the line's CR or the white space before it: both are done with */
    request->token = token;
    return true;
}

/* A list of tokens, of which only "close" means something here. */
static bool take_connection(struct http_request *request, char *value, size_t length)
{
    size_t begin = 0;
    while (begin <= length) {
        size_t end = begin;
        while (end < length && value[end] != ',') {
            end++;
        }
        size_t first = begin;
        size_t last = end;
        while (first < last && (value[first] == ' ' || value[first] == '\t')) {
            first++;
        }
        while (last > first && (value[last - 1] == ' ' || value[last - 1] == '\t')) {
            last--;
        }
        for (size_t i = first; i < last; i++) {
            if (!is_token_char(value[i])) {
                return refuse(request, 400, "Connection is not a list of tokens");
            }
        }
        if (equals_ignoring_case(value + first, last - first, "close")) {
            request->close = true;
        }
        begin = end + 1;
    }
    return true;
}

/* "100-continue" is the one expectation there is. */
static bool take_expect(struct http_request *request, char *value, size_t length)
{
    if (!equals_ignoring_case(value, length, "100-continue")) {
        return refuse(request, 417, "only 100-continue can be expected");
    }
    request->expects_continue = true;
    return true;
}

/* The fields that mean something to the reader; all others are checked in form and passed over. */
static const struct field {
    const char *name; /* lower case */
    bool (*take)(struct http_request *request, char *value, size_t length);
} known_fields[] = {
    {"host", take_host},
    {"content-length", take_content_length},
    {"transfer-encoding", take_transfer_encoding},
    {"content-encoding", take_content_encoding},
    {"authorization", take_authorization},
    {"connection", take_connection},
    {"expect", take_expect},
};

/* "name:" OWS value OWS. No fold (a line that begins with white space), no white space before the
 * colon. */
static bool take_field(struct http_request *request, char *line, size_t length)
{
    if (++request->fields > HTTP_FIELDS_MAX) {
        return refuse(request, 431, "too many header fields");
    }
    if (line[0] == ' ' || line[0] == '\t') {
        return refuse(request, 400, "a folded header field");
    }
    size_t name_length = 0;
    while (name_length < length && is_token_char(line[name_length])) {
        name_length++;
    }
    if (name_length == 0 || name_length == length || line[name_length] != ':') {
        return refuse(request, 400, "a header field's name is malformed");
    }
    char *value = line + name_length + 1;
    char *end = line + length;
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    for (size_t i = 0; i < sizeof(known_fields) / sizeof(known_fields[0]); i++) {
        if (equals_ignoring_case(line, name_length, known_fields[i].name)) {
            return known_fields[i].take(request, value, (size_t)(end - value));
        }
    }
    return true;
}

/* What can only be said of the whole head: Host is there, and the body's framing fits the method.
 */
static bool finish_head(struct http_request *request)
{
    bool is_post = strcmp(request->method, "POST") == 0;
    if (!request->has_host) {
        return refuse(request, 400, "Host is missing");
    }
    if (is_post && !request->has_length) {
        return refuse(request, 411, "POST needs Content-Length");
    }
    if (!is_post && request->content_length > 0) {
        return refuse(request, 400, "GET takes no body");
    }
    if (request->content_length > HTTP_BODY_BYTES_MAX) {
        return refuse(request, 413, "the body is too large");
    }
    if (request->content_length == 0) {
        request->expects_continue = false;
    }
    request->progress = HTTP_HEAD;
    return true;
}

/* One complete line without its CRLF. */
static bool take_line(struct http_request *request, char *line, size_t length)
{
    if (request->target == NULL) {
        return take_request_line(request, line, length);
    }
    if (length == 0) {
        return finish_head(request);
    }
    return take_field(request, line, length);
}

/* Appends one byte, checks it against the one before, and takes the line when it is complete. */
static bool take_byte(struct http_request *request, char c)
{
    bool after_cr = request->used > request->line && request->head[request->used - 1] == '\r';
    if (request->used == HTTP_HEAD_BYTES_MAX) {
        return request->target == NULL ? refuse(request, 414, "the request line is too long")
                                       : refuse(request, 431, "the header fields are too long");
    }
    if (after_cr && c != '\n') {
        return refuse(request, 400, "a CR without LF");
    }
    if (!after_cr && c == '\n') {
        return refuse(request, 400, "an LF without CR");
    }
    if (((unsigned char)c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7f) {
        return refuse(request, 400, "a control character in the head");
    }
    request->head[request->used++] = c;
    if (c != '\n') {
        return true;
    }
    char *line = request->head + request->line;
    size_t length = request->used - request->line - 2;
    request->line = request->used;
    return take_line(request, line, length);
}

void srv_http_request_init(struct http_request *request)
{
    /* The head's room stays as it is: nothing behind `used` is ever read. */
    memset(request, 0, offsetof(struct http_request, head));
    request->progress = HTTP_MORE;
}

enum http_progress srv_http_request_feed(struct http_request *request, const char *bytes,
                                         size_t length, size_t *taken)
{
    assert(request->progress == HTTP_MORE);
    size_t i = 0;
    while (i < length && request->progress == HTTP_MORE) {
        if (!take_byte(request, bytes[i])) {
            break;
        }
        i++;
    }
    *taken = i;
    return request->progress;
}
