/* SPDX-License-Identifier: Apache-2.0
 *
 * The business day, for apps. Called by apps. Invariant: the day is the one that the server reckons
 * with, by what this device has of the organisation; no time-zone data of the system is asked.
 */
#include "engine/api/staged.h"

#include "engine/base/memory.h"
#include "engine/sales/day.h"

#define DAY_FIRST 10101   /* of year 1 */
#define DAY_LAST 99991231 /* of year 9999 */

/* See daybook.h. */
daybook_status daybook_business_day(daybook *engine, int64_t ms, int32_t *day)
{
    struct store_state state;
    struct record organisation;
    struct arena arena;
    bool found = false;
    if (day != NULL) {
        *day = 0;
    }
    if (engine == NULL || day == NULL || !dk_engine_enter(engine)) {
        return DAYBOOK_MISUSE;
    }
    dk_arena_init(&arena, TRANSACTION_BYTES_MAX);
    dk_store_state(engine->store, &state);
    daybook_status status = dk_store_read(engine->store, dk_entity(ENTITY_ORGANISATION),
                                          &state.organisation, &arena, &organisation, &found);
    if (status == DAYBOOK_OK) {
        int64_t date = dk_day_at(ms, dk_day_offset_min(found ? &organisation : NULL, ms));
        status = date >= DAY_FIRST && date <= DAY_LAST ? DAYBOOK_OK : DAYBOOK_INVALID;
        *day = status == DAYBOOK_OK ? (int32_t)date : 0;
    }
    dk_arena_clear(&arena);
    dk_engine_leave(engine);
    return status;
}
