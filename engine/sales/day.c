/* SPDX-License-Identifier: Apache-2.0
 *
 * Dates out of moments. Called by the rules of both ends and by the API. Invariant: the same record
 * and moment give the same day on every machine; no time-zone data of the system is asked.
 */
#include "engine/sales/day.h"

#include "engine/base/json.h"

#include <string.h>

#define DAY_MIN INT64_C(1440) /* minutes */

/* Division that rounds down, also below zero. */
static int64_t floor_divide(int64_t number, int64_t by)
{
    return number / by - (number % by < 0 ? 1 : 0);
}

/* See the header. The civil calendar out of days since 1970, in eras of 400 years that begin on the
 * first of March. */
int64_t dk_day_at(int64_t ms, int64_t offset_min)
{
    int64_t minutes = floor_divide(ms, 60000) + offset_min;
    int64_t z = floor_divide(minutes, DAY_MIN) + 719468;
    int64_t era = floor_divide(z, 146097);
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;
    int64_t year = yoe + era * 400 + (month <= 2 ? 1 : 0);
    return year * 10000 + month * 100 + (doy - (153 * mp + 2) / 5 + 1);
}

/* Reads "from,minutes]" of a pair that is open. */
static bool read_pair(struct json_reader *reader, int64_t *from_ms, int64_t *minutes)
{
    if (dk_json_next(reader) != JSON_INTEGER) {
        return false;
    }
    *from_ms = reader->integer;
    if (dk_json_next(reader) != JSON_INTEGER) {
        return false;
    }
    *minutes = reader->integer;
    return dk_json_next(reader) == JSON_END && *minutes >= -DAY_OFFSET_MAX &&
           *minutes <= DAY_OFFSET_MAX;
}

/* Reads the whole list, out of a copy since the reader may write to it; *minutes is the offset at
 * the moment. False: it is not such a list. */
static bool read_offsets(const char *text, size_t length, int64_t ms, int64_t *minutes)
{
    char copy[DAY_OFFSETS_BYTES_MAX];
    struct json_reader reader;
    enum json_type type;
    int64_t before_ms = 0;
    bool first = true;
    if (length > sizeof copy) {
        return false;
    }
    memcpy(copy, text, length);
    dk_json_open(&reader, copy, length);
    if (dk_json_next(&reader) != JSON_ARRAY) {
        return false;
    }
    while ((type = dk_json_next(&reader)) == JSON_ARRAY) {
        int64_t from_ms, offset_min;
        if (!read_pair(&reader, &from_ms, &offset_min) || (!first && from_ms <= before_ms)) {
            return false;
        }
        if (first || from_ms <= ms) {
            *minutes = offset_min;
        }
        before_ms = from_ms;
        first = false;
    }
    return type == JSON_END && !first && dk_json_finish(&reader);
}

/* See the header. */
int64_t dk_day_offset_min(const struct record *organisation, int64_t ms)
{
    int64_t minutes = 0;
    if (organisation == NULL) {
        return 0;
    }
    const struct value *offsets = &organisation->values[ORGANISATION_ZONE_OFFSETS];
    const struct value *tz_min = &organisation->values[ORGANISATION_TZ_MIN];
    if (offsets->kind == VALUE_TEXT && read_offsets(offsets->text, offsets->length, ms, &minutes)) {
        return minutes;
    }
    return tz_min->kind == VALUE_INT ? tz_min->integer : 0;
}

/* See the header. */
bool dk_day_offsets_valid(const char *text, size_t length)
{
    int64_t minutes;
    return read_offsets(text, length, 0, &minutes);
}
