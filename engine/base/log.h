/* SPDX-License-Identifier: Apache-2.0
 *
 * Log lines by allow-list: a level, a code word and numbers; never field values, never ids of
 * persons.
 */
#ifndef DAYBOOK_BASE_LOG_H
#define DAYBOOK_BASE_LOG_H

enum log_level { LOG_ERROR = 1, LOG_WARN = 2, LOG_INFO = 3, LOG_DEBUG = 4 };

struct log {
    void (*sink)(void *context, int level, const char *line); /* NULL: silent; any thread */
    void *context;
    int level; /* lines above it are dropped */
};

void dk_log(const struct log *log, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
