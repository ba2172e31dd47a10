/* SPDX-License-Identifier: Apache-2.0
 *
 * Fills error structs for all of engine/api. Invariant: texts are whole UTF-8 and end with NUL,
 * whatever their source, and a struct of another size than ours is never written to.
 */
#include "engine/api/error.h"

#include "engine/base/text.h"

#include <string.h>

/* True where the struct may be written to. */
static bool is_usable(const daybook_error *error)
{
    return error != NULL && error->size >= sizeof *error;
}

/* Copies as much of the text as fits. A code point that was cut, here or by whoever made the text,
 * is left out; other bytes that are not UTF-8 (an app's own words come back here) become '?'. */
static void put_text(char *out, size_t size, const char *text)
{
    size_t length = text == NULL ? 0 : strnlen(text, size - 1);
    if (length > 0) {
        memcpy(out, text, length);
    }
    for (size_t cut = 0; cut < 4 && cut < length; cut++) {
        if (dk_text_is_utf8(out, length - cut)) {
            out[length - cut] = '\0';
            return;
        }
    }
    for (size_t i = 0; i < length; i++) {
        out[i] = (unsigned char)out[i] < 0x80 ? out[i] : '?';
    }
    out[length] = '\0';
}

/* See the header. */
void dk_error_clear(daybook_error *error)
{
    *error = (daybook_error)DAYBOOK_ERROR_INIT;
}

/* See the header. */
daybook_status dk_error_set(daybook_error *error, daybook_status status, const char *entity,
                            const char *field, const char *rule, const char *text)
{
    if (is_usable(error)) {
        enum daybook_class class = daybook_status_class(status);
        error->status = status;
        error->retryable = class == DAYBOOK_CLASS_OFFLINE || class == DAYBOOK_CLASS_RETRY;
        put_text(error->entity, sizeof error->entity, entity);
        put_text(error->field, sizeof error->field, field);
        put_text(error->rule, sizeof error->rule, rule);
        put_text(error->text, sizeof error->text,
                 text != NULL && text[0] != '\0' ? text : daybook_status_text(status));
    }
    return status;
}

/* See the header. */
daybook_status dk_error_text(daybook_error *error, daybook_status status, const char *text)
{
    return dk_error_set(error, status, NULL, NULL, NULL, text);
}

/* See the header. */
void dk_error_copy(daybook_error *to, const daybook_error *from)
{
    if (is_usable(to)) {
        size_t size = to->size;
        *to = *from;
        to->size = size;
    }
}
