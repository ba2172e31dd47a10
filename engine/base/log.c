/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns nothing: makes one line and gives it to the owner's sink. Called from any layer and thread.
 * Invariant: the sink sees one terminated line without a line break, of at most LINE_SIZE - 1
 * bytes.
 */
#include "engine/base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#define LINE_SIZE 512 /* bytes with NUL; longer lines are cut */

/* Drops what is above the level or has no sink; control characters become spaces, so that a line
 * stays a line. */
void dk_log(const struct log *log, int level, const char *format, ...)
{
    if (log == NULL || log->sink == NULL || level > log->level) {
        return;
    }
    char line[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length < 0) {
        return;
    }
    for (char *c = line; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7F) {
            *c = ' ';
        }
    }
    log->sink(log->context, level, line);
}
