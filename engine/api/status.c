/* SPDX-License-Identifier: Apache-2.0
 *
 * Names, texts and classes of the result codes, all made from the one list of status.h, and the
 * library's version. No state; any thread.
 */
#include <daybook/daybook.h>

/* See daybook.h. */
const char *daybook_version(void)
{
    return DAYBOOK_VERSION;
}

/* See daybook.h; "UNKNOWN" for a number that is no code. */
const char *daybook_status_name(daybook_status status)
{
    switch (status) {
#define STATUS_NAME(name, number, class_, text)                                                    \
    case DAYBOOK_##name: return #name;
        DAYBOOK_STATUS_LIST(STATUS_NAME)
#undef STATUS_NAME
    }
    return "UNKNOWN";
}

/* See daybook.h. */
const char *daybook_status_text(daybook_status status)
{
    switch (status) {
#define STATUS_TEXT(name, number, class_, text)                                                    \
    case DAYBOOK_##name: return text;
        DAYBOOK_STATUS_LIST(STATUS_TEXT)
#undef STATUS_TEXT
    }
    return "this engine does not know the code";
}

/* See daybook.h; BROKEN for a number that is no code. */
enum daybook_class daybook_status_class(daybook_status status)
{
    switch (status) {
#define STATUS_CLASS(name, number, class_, text)                                                   \
    case DAYBOOK_##name: return DAYBOOK_CLASS_##class_;
        DAYBOOK_STATUS_LIST(STATUS_CLASS)
#undef STATUS_CLASS
    }
    return DAYBOOK_CLASS_BROKEN;
}
