/* SPDX-License-Identifier: Apache-2.0
 *
 * Visits as apps meet them: whether one counts, and why it does not. Called by apps. Invariant: the
 * rule is the server's, over what the device shows; where nothing is pending, the server's word
 * stands.
 */
#include "engine/api/engine.h"

#include "engine/base/arena.h"
#include "engine/base/text.h"

#include <string.h>

#define VISIT_BYTES_MAX ((size_t)16 * 1024 * 1024) /* that one question may need */

/* What apps are told; see daybook_visit_count. */
static const char *reason_of(enum visit_flaw flaw)
{
    switch (flaw) {
    case FLAW_NONE: return "elsewhere";
    case FLAW_JOINED: return "joined";
    case FLAW_OPEN: return "open";
    case FLAW_SHORT: return "short";
    case FLAW_MOCK: return "mock";
    case FLAW_CLOCK: return "clock";
    case FLAW_NO_PLACE: return "no_place";
    case FLAW_VAGUE: return "vague";
    case FLAW_NO_CUSTOMER_PLACE: return "no_customer_place";
    case FLAW_FAR: return "far";
    case FLAW_NO_RESULT: return "no_result";
    case FLAW_COLLEAGUE: return "colleague";
    case FLAW_TOO_FAST: return "too_fast";
    case FLAW_TWIN: return "twin";
    }
    return "";
}

/* See daybook.h. */
daybook_status daybook_visit_counts(daybook *engine, const char *id, daybook_visit_count *count)
{
    struct store_visit visit;
    struct arena arena;
    struct id key;
    if (engine == NULL || id == NULL || count == NULL || count->size < sizeof *count) {
        return DAYBOOK_MISUSE;
    }
    if (!dk_id_from_text(id, strnlen(id, ID_TEXT_SIZE), &key)) {
        return DAYBOOK_INVALID;
    }
    if (!dk_engine_enter(engine)) {
        return DAYBOOK_MISUSE;
    }
    dk_arena_init(&arena, VISIT_BYTES_MAX);
    daybook_status status = dk_store_visit_counts(engine->store, &key, &arena, &visit);
    dk_arena_clear(&arena);
    dk_engine_leave(engine);
    if (status != DAYBOOK_OK || !visit.found) {
        return status == DAYBOOK_OK ? DAYBOOK_NOT_FOUND : status;
    }
    count->counts = visit.counts;
    count->provisional = visit.provisional;
    (void)dk_text_format(count->reason, sizeof count->reason, "%s",
                         visit.counts ? "" : reason_of(visit.flaw));
    return DAYBOOK_OK;
}
