/* SPDX-License-Identifier: Apache-2.0
 *
 * The system's time-zone files (TZif, RFC 8536), read from bytes in memory. The C library can only
 * be asked about the one zone of the whole process, which is not for a program with threads to
 * change; so the file is read here.
 */
#ifndef DAYBOOK_SERVER_TZIF_H
#define DAYBOOK_SERVER_TZIF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The day of a year on which the clocks change, and the time of it. */
struct tzif_date {
    char kind; /* 'M': month, week (5: the last) and weekday; 'J': day 1 to 365, never the 29th of
                  February; 'N': day 0 to 365 */
    int month, week, day;
    int64_t time_s; /* from midnight by the clocks before the change; may be of another day */
};

/* What holds behind the last change that is listed. */
struct tzif_rule {
    int64_t offset_s;        /* east of UTC */
    bool has_summer;         /* the rest: a second offset from `begin` to `end` of each year */
    int64_t summer_offset_s; /* east of UTC */
    struct tzif_date begin, end;
};

/* A file that was opened; borrows its bytes. */
struct tzif {
    const uint8_t *times; /* of the changes: `count` numbers of eight bytes, ascending */
    const uint8_t *kinds; /* the type that begins with each */
    const uint8_t *types; /* `type_count` of six bytes; the first holds before all changes */
    size_t count, type_count;
    bool has_rule;
    struct tzif_rule rule;
};

/* Reads a file of version 2 or later. False: the bytes are none, and nothing is read past them. */
bool srv_tzif_open(const void *bytes, size_t length, struct tzif *out);
/* Seconds east of UTC at a moment in seconds since 1970; rules hold for years from 1970 on. */
int64_t srv_tzif_offset_s(const struct tzif *tzif, int64_t moment_s);
/* The first moment of a year in UTC, from 1970 on. */
int64_t srv_tzif_year_s(int64_t year);

#endif
