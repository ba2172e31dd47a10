/* SPDX-License-Identifier: Apache-2.0
 *
 * The business day: which date it is for the organisation at a moment. Pure, in both ends, out of
 * the organisation's record alone, since a device may have no time-zone data. Its `zone_offsets`
 * are [[from_ms,minutes],…]: minutes east of UTC from that moment on, up to the next one's.
 */
#ifndef DAYBOOK_SALES_DAY_H
#define DAYBOOK_SALES_DAY_H

#include "engine/protocol/value.h"

#define DAY_OFFSET_MAX 900         /* minutes, either side of UTC */
#define DAY_OFFSETS_BYTES_MAX 1000 /* of the list; the field's limit */

/* YYYYMMDD of a moment (ms since 1970, also before) where the clocks are `offset_min` minutes east
 * of UTC. Any moment is fine. */
int64_t dk_day_at(int64_t ms, int64_t offset_min);
/* How many minutes the organisation's clocks are east of UTC at this moment: by `zone_offsets`,
 * where before the first pair its own offset holds, and behind the last one that one's; else by
 * `tz_min`; else, and where `organisation` is NULL, 0. A list that is damaged is as if it were not
 * there. */
int64_t dk_day_offset_min(const struct record *organisation, int64_t ms);
/* True where the text is such a list: at least one pair, moments ascending, offsets in bounds. */
bool dk_day_offsets_valid(const char *text, size_t length);

#endif
