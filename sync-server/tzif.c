/* SPDX-License-Identifier: Apache-2.0
 *
 * Time-zone files. Called by zone.c. Pure. Invariants: 1. Every length in the file is checked
 * against its bytes before anything behind it is looked at. 2. What srv_tzif_open takes needs no
 * further check.
 */
#include "sync-server/tzif.h"

#include "engine/sales/day.h"

#include <string.h>

#define HEADER_SIZE 44
#define TYPE_SIZE 6
#define DAY_S INT64_C(86400)
#define HOURS_MAX 167 /* of a time of day, which may lie a week away */

/* ---- the binary part */

/* A big-endian number of four bytes. */
static uint32_t read_32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Of eight. */
static int64_t read_64(const uint8_t *at)
{
    return (int64_t)((uint64_t)read_32(at) << 32 | read_32(at + 4));
}

/* How many of everything a block has. */
struct counts {
    uint64_t utc, standard, leaps, times, types, letters;
};

/* Reads a header, which lies within the bytes; false: it is none, or of version 1. */
static bool read_header(const uint8_t *at, struct counts *counts)
{
    *counts = (struct counts){read_32(at + 20), read_32(at + 24), read_32(at + 28),
                              read_32(at + 32), read_32(at + 36), read_32(at + 40)};
    return memcmp(at, "TZif", 4) == 0 && at[4] >= '2';
}

/* Bytes of the block behind a header, with moments of this size. */
static uint64_t block_size(const struct counts *counts, uint64_t time_size)
{
    return counts->times * (time_size + 1) + counts->types * TYPE_SIZE + counts->letters +
           counts->leaps * (time_size + 4) + counts->standard + counts->utc;
}

/* Every change is later than the one before it and has a type that is there. */
static bool check_changes(const struct tzif *tzif)
{
    for (size_t i = 0; i < tzif->count; i++) {
        const uint8_t *time = tzif->times + 8 * i;
        if (tzif->kinds[i] >= tzif->type_count || (i > 0 && read_64(time) <= read_64(time - 8))) {
            return false;
        }
    }
    return tzif->type_count > 0;
}

/* ---- the rule: "CET-1CEST,M3.5.0,M10.5.0/3" */

struct cursor {
    const char *at, *end;
};

/* Takes a character if it is the next one. */
static bool take(struct cursor *cursor, char wanted)
{
    bool there = cursor->at < cursor->end && *cursor->at == wanted;
    cursor->at += there ? 1 : 0;
    return there;
}

/* A number of one to three digits, between bounds. */
static bool take_number(struct cursor *cursor, int min, int max, int *number)
{
    int digits = 0;
    *number = 0;
    while (digits < 3 && cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9') {
        *number = *number * 10 + (*cursor->at++ - '0');
        digits++;
    }
    return digits > 0 && *number >= min && *number <= max;
}

/* The name of a zone: at least three letters, or anything in angle brackets. */
static bool take_name(struct cursor *cursor)
{
    const char *begin = cursor->at;
    if (take(cursor, '<')) {
        while (cursor->at < cursor->end && *cursor->at != '>') {
            cursor->at++;
        }
        return take(cursor, '>');
    }
    while (cursor->at < cursor->end && ((*cursor->at >= 'A' && *cursor->at <= 'Z') ||
                                        (*cursor->at >= 'a' && *cursor->at <= 'z'))) {
        cursor->at++;
    }
    return cursor->at - begin >= 3;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static bool take_time(struct cursor *cursor, int64_t *seconds)
{
    int hours;
    int minutes = 0;
    int rest = 0;
    bool negative = take(cursor, '-');
    if (!negative) {
        (void)take(cursor, '+');
    }
    if (!take_number(cursor, 0, HOURS_MAX, &hours) ||
        (take(cursor, ':') && (!take_number(cursor, 0, 59, &minutes) ||
                               (take(cursor, ':') && !take_number(cursor, 0, 59, &rest))))) {
        return false;
    }
    *seconds = (int64_t)hours * 3600 + minutes * 60 + rest;
    *seconds = negative ? -*seconds : *seconds;
    return true;
}

/* An offset, which the text counts west of UTC. */
static bool take_offset(struct cursor *cursor, int64_t *east_s)
{
    bool fine = take_time(cursor, east_s);
    *east_s = -*east_s;
    return fine;
}

/* ",M3.5.0/3": a day and, where it is not two o'clock, a time. */
static bool take_date(struct cursor *cursor, struct tzif_date *date)
{
    bool fine = take(cursor, ',');
    date->time_s = 2 * 3600;
    if (take(cursor, 'M')) {
        date->kind = 'M';
        fine = fine && take_number(cursor, 1, 12, &date->month) && take(cursor, '.') &&
               take_number(cursor, 1, 5, &date->week) && take(cursor, '.') &&
               take_number(cursor, 0, 6, &date->day);
    } else if (take(cursor, 'J')) {
        date->kind = 'J';
        fine = fine && take_number(cursor, 1, 365, &date->day);
    } else {
        date->kind = 'N';
        fine = fine && take_number(cursor, 0, 365, &date->day);
    }
    return fine && (!take(cursor, '/') || take_time(cursor, &date->time_s));
}

/* The whole rule. */
static bool read_rule(struct cursor cursor, struct tzif_rule *rule)
{
    memset(rule, 0, sizeof *rule);
    if (!take_name(&cursor) || !take_offset(&cursor, &rule->offset_s)) {
        return false;
    }
    if (cursor.at == cursor.end) {
        return true;
    }
    rule->has_summer = true;
    rule->summer_offset_s = rule->offset_s + 3600;
    if (!take_name(&cursor)) {
        return false;
    }
    if (cursor.at < cursor.end && *cursor.at != ',' &&
        !take_offset(&cursor, &rule->summer_offset_s)) {
        return false;
    }
    return take_date(&cursor, &rule->begin) && take_date(&cursor, &rule->end) &&
           cursor.at == cursor.end;
}

/* See the header. Behind the first block, whose moments have four bytes, comes all of it again with
 * eight, and behind that, between two line ends, the rule, which may be empty. */
bool srv_tzif_open(const void *bytes, size_t length, struct tzif *out)
{
    const uint8_t *begin = bytes;
    struct counts counts;
    memset(out, 0, sizeof *out);
    if (length < HEADER_SIZE || !read_header(begin, &counts)) {
        return false;
    }
    uint64_t at = HEADER_SIZE + block_size(&counts, 4);
    if (at > length || length - at < HEADER_SIZE || !read_header(begin + at, &counts)) {
        return false;
    }
    at += HEADER_SIZE;
    if (block_size(&counts, 8) > length - at) {
        return false;
    }
    out->count = (size_t)counts.times;
    out->type_count = (size_t)counts.types;
    out->times = begin + at;
    out->kinds = out->times + 8 * out->count;
    out->types = out->kinds + out->count;
    at += block_size(&counts, 8);
    struct cursor footer = {(const char *)begin + at, (const char *)begin + length};
    if (!check_changes(out) || !take(&footer, '\n')) {
        return false;
    }
    const char *close = memchr(footer.at, '\n', (size_t)(footer.end - footer.at));
    if (close == NULL) {
        return false;
    }
    footer.end = close;
    out->has_rule = footer.at < footer.end;
    return !out->has_rule || read_rule(footer, &out->rule);
}

/* ---- asking */

/* Whether the year has a 29th of February. */
static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* See the header. */
int64_t srv_tzif_year_s(int64_t year)
{
    int64_t before = year - 1;
    int64_t leaps = before / 4 - before / 100 + before / 400 - 477; /* 477 before 1970 */
    return (365 * (year - 1970) + leaps) * DAY_S;
}

/* The day of the year, from 0, on which a date of the kind 'M' falls. */
static int64_t month_day(const struct tzif_date *date, int64_t year)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t first = 0; /* of the month */
    for (int month = 1; month < date->month; month++) {
        first += lengths[month - 1] + (month == 2 && is_leap(year) ? 1 : 0);
    }
    int64_t length = lengths[date->month - 1] + (date->month == 2 && is_leap(year) ? 1 : 0);
    int64_t weekday = (srv_tzif_year_s(year) / DAY_S + first + 4) % 7; /* 1970 began on day 4 */
    int64_t day = (date->day - weekday + 7) % 7 + 7 * (date->week - 1);
    return first + (day < length ? day : day - 7);
}

/* The moment of a date in a year, by clocks that are this far east of UTC. */
static int64_t date_s(const struct tzif_date *date, int64_t year, int64_t offset_s)
{
    int64_t day = date->day;
    if (date->kind == 'M') {
        day = month_day(date, year);
    } else if (date->kind == 'J') {
        day = date->day - 1 + (is_leap(year) && date->day >= 60 ? 1 : 0);
    }
    return srv_tzif_year_s(year) + day * DAY_S + date->time_s - offset_s;
}

/* The offset by the rule. South of the equator summer begins late in a year and ends early. */
static int64_t rule_offset_s(const struct tzif_rule *rule, int64_t moment_s)
{
    if (!rule->has_summer) {
        return rule->offset_s;
    }
    int64_t year = dk_day_at((moment_s + rule->offset_s) * 1000, 0) / 10000;
    int64_t begin_s = date_s(&rule->begin, year, rule->offset_s);
    int64_t end_s = date_s(&rule->end, year, rule->summer_offset_s);
    bool summer = begin_s < end_s ? moment_s >= begin_s && moment_s < end_s
                                  : moment_s >= begin_s || moment_s < end_s;
    return summer ? rule->summer_offset_s : rule->offset_s;
}

/* See the header. */
int64_t srv_tzif_offset_s(const struct tzif *tzif, int64_t moment_s)
{
    size_t low = 0, high = tzif->count; /* changes before `low` have been, from `high` on not yet */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (read_64(tzif->times + 8 * middle) <= moment_s) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == tzif->count && tzif->has_rule) {
        return rule_offset_s(&tzif->rule, moment_s);
    }
    size_t type = low == 0 ? 0 : tzif->kinds[low - 1];
    return (int32_t)read_32(tzif->types + TYPE_SIZE * type);
}
