/* SPDX-License-Identifier: Apache-2.0
 *
 * Classifies HTTP answers. Invariant: only an answer that is in the server's own form can say that
 * the device must sign in, upgrade or take a new instance; a portal or proxy on the way can at most
 * make it wait.
 */
#include "engine/sync/answer.h"

#include <string.h>

static const struct {
    const char *code;
    daybook_status status;
} CODES[] = {
    {"SIGN_IN", DAYBOOK_SIGN_IN},       {"UPGRADE_NEEDED", DAYBOOK_UPGRADE_NEEDED},
    {"DIVERGED", DAYBOOK_DIVERGED},     {"BAD_CODE", DAYBOOK_BAD_CODE},
    {"TOO_LARGE", DAYBOOK_TOO_LARGE},   {"BUSY", DAYBOOK_SERVER_BUSY},
    {"GAP", DAYBOOK_SERVER_ERROR},      {"BAD_REQUEST", DAYBOOK_SERVER_ERROR},
    {"INTERNAL", DAYBOOK_SERVER_ERROR}, {"TIMEOUT", DAYBOOK_TIMEOUT},
    {"NOT_FOUND", DAYBOOK_NOT_DAYBOOK}, {"METHOD", DAYBOOK_NOT_DAYBOOK},
};

/* ASCII letters compared without case: media types have none. */
static bool starts_with(const char *text, const char *start)
{
    for (; *start != '\0'; text++, start++) {
        char c = *text >= 'A' && *text <= 'Z' ? (char)(*text - 'A' + 'a') : *text;
        if (c != *start) {
            return false;
        }
    }
    return *text == '\0' || *text == ';' || *text == ' ' || *text == '\t';
}

/* See the header. Parameters behind the media type do not matter. */
enum answer_body dk_answer_body(const char *content_type)
{
    if (content_type == NULL) {
        return ANSWER_FOREIGN;
    }
    if (starts_with(content_type, "application/vnd.daybook+zstd")) {
        return ANSWER_DAYBOOK;
    }
    return starts_with(content_type, "application/json") ? ANSWER_JSON : ANSWER_FOREIGN;
}

/* See the header. The magic number of RFC 8878, little endian. */
bool dk_answer_is_frame(const char *bytes, size_t length)
{
    static const unsigned char magic[4] = {0x28, 0xB5, 0x2F, 0xFD};
    size_t compared = length < sizeof magic ? length : sizeof magic;
    return compared == 0 || memcmp(bytes, magic, compared) == 0;
}

/* The status of an answer in the server's own form whose code this engine does not know. */
static daybook_status own_status(int http_status)
{
    switch (http_status) {
    case 401:
    case 403: return DAYBOOK_SIGN_IN;
    case 408: return DAYBOOK_TIMEOUT;
    case 413: return DAYBOOK_TOO_LARGE;
    case 426: return DAYBOOK_UPGRADE_NEEDED;
    case 404:
    case 405: return DAYBOOK_NOT_DAYBOOK;
    default: return DAYBOOK_SERVER_ERROR;
    }
}

/* See the header. What says "later" is believed from anybody: waiting does no harm. */
daybook_status dk_answer_status(int http_status, const char *code)
{
    if (http_status == 429 || http_status == 503) {
        return DAYBOOK_SERVER_BUSY;
    }
    if (code == NULL) {
        return http_status >= 500   ? DAYBOOK_SERVER_ERROR
               : http_status == 408 ? DAYBOOK_TIMEOUT
                                    : DAYBOOK_NOT_DAYBOOK;
    }
    for (size_t i = 0; i < sizeof CODES / sizeof CODES[0]; i++) {
        if (strcmp(code, CODES[i].code) == 0) {
            return CODES[i].status;
        }
    }
    return own_status(http_status);
}
