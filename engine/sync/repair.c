/* SPDX-License-Identifier: Apache-2.0
 *
 * What a run does when server and store disagree about who the store is: a new instance after a
 * copy, a look at the epoch after a gap, a smaller request. Called by syncer.c. Invariant: no
 * repair drops a changeset, and a run makes a bounded number of them.
 */
#include "engine/base/text.h"
#include "engine/sync/run.h"

#include <string.h>

/* 16 random bytes that are not all zero. */
static daybook_status random_id(const daybook_platform *platform, struct id *id)
{
    if (!platform->random(platform->context, id->bytes, sizeof id->bytes) || dk_id_is_zero(id)) {
        return DAYBOOK_INTERNAL;
    }
    return DAYBOOK_OK;
}

/* See run.h. The new instance is kept until the store has it: where the reply of the lease is lost,
 * the next try asks for the same one and gets the same number. */
daybook_status dk_sync_new_instance(struct sync_run *run)
{
    struct syncer *syncer = run->syncer;
    struct store_state state;
    struct lease_reply reply;
    daybook_status status = DAYBOOK_OK;
    dk_store_state(syncer->options.store, &state);
    if (dk_id_is_zero(&syncer->lease)) {
        status = random_id(syncer->options.exchange.platform, &syncer->lease);
        if (status != DAYBOOK_OK) {
            return status;
        }
    }
    struct lease_request request = {
        .protocol = PROTOCOL_VERSION,
        .instance = syncer->lease,
        .old_instance = state.instance,
    };
    struct exchange_call call = {
        .path = "/v1/lease",
        .token = state.token,
        .request_table = &dk_lease_request_table,
        .reply_table = &dk_lease_reply_table,
        .request = &request,
        .reply = &reply,
        .arena = &syncer->arena,
    };
    dk_arena_reset(&syncer->arena);
    status = dk_sync_exchange(syncer, &call, run->deadline_ms, &run->report, run->failure);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (reply.protocol != PROTOCOL_VERSION || reply.device_no <= 0 ||
        reply.device_no > (int64_t)UINT32_MAX) {
        (void)dk_text_format(run->failure->detail, sizeof run->failure->detail,
                             "device_no is not a device number");
        return DAYBOOK_BAD_REPLY;
    }
    status =
        dk_store_new_instance(syncer->options.store, &syncer->lease, (uint32_t)reply.device_no);
    if (status == DAYBOOK_OK) {
        memset(&syncer->lease, 0, sizeof syncer->lease);
        dk_log(&syncer->options.log, LOG_WARN,
               "sync: this store is a copy; new instance, device %u", (unsigned)reply.device_no);
    }
    return status;
}

/* The server expects another number than what we sent first. A lower one means that it has lost
 * some, as one that was restored from a backup has: it says so with a new epoch, which a request
 * without changesets brings, and the store then sends again what it still has above the restored
 * head. If the gap is there after that too, or the server expects a higher number than we have, the
 * store's numbers are of no use: a new instance numbers what is unsettled anew. */
static daybook_status repair_gap(struct sync_run *run)
{
    if (run->report.seq > 0 && run->report.seq < run->sent_first && run->repairs == 1) {
        run->pull_only = true;
        return DAYBOOK_OK;
    }
    return dk_sync_new_instance(run);
}

/* See run.h. A request of several changesets that is too large to be sent, or that the server
 * refuses as a whole, for its size or for one malformed member, is halved until it is accepted or
 * the one at fault is alone. A reply that came but is too much for the store says nothing of it. */
daybook_status dk_sync_repair(struct sync_run *run, daybook_status status)
{
    struct syncer *syncer = run->syncer;
    bool gap = strcmp(run->failure->code, "GAP") == 0;
    bool too_large = status == DAYBOOK_TOO_LARGE && run->report.http_status != 200;
    bool refused = too_large || strcmp(run->failure->code, "BAD_REQUEST") == 0;
    if (refused && run->sent_count > 1 && run->shrinks < SYNC_SHRINKS_MAX &&
        dk_push_shrink(&syncer->push, run->sent_bytes)) {
        run->shrinks++;
        return DAYBOOK_OK;
    }
    if ((!gap && status != DAYBOOK_DIVERGED) || run->repairs == SYNC_REPAIRS_MAX) {
        return status;
    }
    run->repairs++;
    dk_log(&syncer->options.log, LOG_INFO, "sync: repair %d after %s", run->repairs,
           run->failure->code[0] != '\0' ? run->failure->code : "a reply");
    return gap ? repair_gap(run) : dk_sync_new_instance(run);
}
