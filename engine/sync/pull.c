/* SPDX-License-Identifier: Apache-2.0
 *
 * Takes one decoded reply into the store. Called by syncer.c after each exchange. Invariant:
 * verdicts, log page and new position become visible together or not at all; a reply that breaks
 * the protocol changes nothing, the clock included.
 */
#include "engine/sync/pull.h"

#include <assert.h>
#include <stdlib.h>

#define CLOCK_CERTAIN_MS 2000 /* round trips up to here always teach the clock */

/* See the header. */
void dk_pull_begin(struct pull_pace *pace, int64_t wanted)
{
    pace->wanted = wanted;
    pace->bytes = 0;
}

/* See the header. */
int64_t dk_pull_page_bytes(const struct pull_pace *pace)
{
    return pace->bytes != 0 ? pace->bytes : pace->wanted;
}

/* What the page has where nothing made it smaller. */
static int64_t full_size(const struct pull_pace *pace)
{
    return pace->wanted != 0 ? pace->wanted : LIMIT_PAGE_BYTES;
}

/* See the header. */
void dk_pull_failed(struct pull_pace *pace)
{
    int64_t present = pace->bytes != 0 ? pace->bytes : full_size(pace);
    if (present > PULL_LEAST_BYTES) {
        pace->bytes = present / 4 > PULL_LEAST_BYTES ? present / 4 : PULL_LEAST_BYTES;
    }
}

/* See the header. */
void dk_pull_learn(struct pull_pace *pace, int64_t elapsed_ms)
{
    if (elapsed_ms > PULL_SLOW_MS) {
        int64_t present = pace->bytes != 0 ? pace->bytes : full_size(pace);
        if (present > PULL_LEAST_BYTES) {
            pace->bytes = present / 2 > PULL_LEAST_BYTES ? present / 2 : PULL_LEAST_BYTES;
        }
    } else if (elapsed_ms < PULL_FAST_MS && pace->bytes != 0) {
        pace->bytes = pace->bytes * 2 < full_size(pace) ? pace->bytes * 2 : 0;
    }
}

/* What the reply itself must keep, whatever the store knows. NULL: it does. */
static const char *check_reply(const struct sync_request *request, const struct sync_reply *reply)
{
    if (!dk_epoch_is_valid(reply->epoch)) {
        return "epoch is out of range";
    }
    if (reply->position < 0 || reply->head < reply->position || reply->safe_position < 0 ||
        reply->safe_position > reply->head) {
        return "position, head and safe_position are out of order";
    }
    bool same_epoch = request->epoch == reply->epoch || request->epoch == 0;
    if (same_epoch && !reply->reset && reply->position < request->position) {
        return "position goes back";
    }
    if (!same_epoch && !reply->reset && request->position > 0) {
        return "another epoch without reset";
    }
    return dk_server_ms_is_valid(reply->server_ms) ? NULL : "server_ms is not a time";
}

/* Whether the midpoint of this round trip knows the server's clock better than we do: a long upload
 * leaves half of its duration open, and what we believe may lie within. */
static bool clock_is_news(struct store *store, const struct exchange_report *report,
                          int64_t server_ms)
{
    struct store_state state;
    int64_t trip = report->received_ms - report->sent_ms;
    if (trip <= CLOCK_CERTAIN_MS) {
        return true;
    }
    dk_store_state(store, &state);
    int64_t offset = server_ms - (report->sent_ms + trip / 2);
    return llabs(offset - state.clock.offset_ms) > trip / 2;
}

/* See the header. */
daybook_status dk_pull_apply(struct store *store, const struct sync_request *request,
                             struct sync_reply *reply, const struct exchange_report *report,
                             struct arena *arena, struct store_applied *applied,
                             const char **problem)
{
    if (reply->protocol != PROTOCOL_VERSION) {
        *problem = "another protocol version";
        return DAYBOOK_UPGRADE_NEEDED;
    }
    *problem = check_reply(request, reply);
    if (*problem != NULL) {
        return DAYBOOK_BAD_REPLY;
    }
    daybook_status status = dk_store_apply(store, reply, arena, applied, problem);
    if (status != DAYBOOK_OK || applied->copy_detected ||
        !clock_is_news(store, report, reply->server_ms)) {
        return status;
    }
    return dk_store_learn_clock(store, report->sent_ms, report->received_ms, reply->server_ms);
}
