/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetching one document that this device does not hold. Called by the API's daybook_fetch.
 * Invariant: what comes goes into the store's table of fetched documents and nowhere else.
 */
#include "engine/base/text.h"
#include "engine/sync/run.h"

#include <string.h>

/* The exchange, and what it brings into the store; under the run lock. */
static daybook_status fetch(struct syncer *syncer, const struct entity *entity,
                            const struct id *document, const char *token,
                            struct sync_failure *failure)
{
    struct fetch_request request = {
        .protocol = PROTOCOL_VERSION, .entity = entity->name, .record = *document};
    struct fetch_reply reply;
    struct exchange_report report;
    struct exchange_call call = {
        .path = "/v1/fetch",
        .token = token,
        .request_table = &dk_fetch_request_table,
        .reply_table = &dk_fetch_reply_table,
        .request = &request,
        .reply = &reply,
        .arena = &syncer->arena,
    };
    daybook_status status = dk_sync_exchange(syncer, &call, 0, &report, failure);
    if (status == DAYBOOK_OK && reply.protocol != PROTOCOL_VERSION) {
        status = DAYBOOK_UPGRADE_NEEDED;
    }
    if (status == DAYBOOK_OK) {
        status = dk_store_fetched_put(syncer->options.store, entity, document, &reply.rows);
    }
    return status;
}

/* See syncer.h. */
daybook_status dk_syncer_fetch(struct syncer *syncer, const struct entity *entity,
                               const struct id *document, struct sync_failure *failure)
{
    struct store_state state;
    memset(failure, 0, sizeof *failure);
    failure->retry_after_ms = -1;
    pthread_mutex_lock(&syncer->run_lock);
    dk_store_state(syncer->options.store, &state);
    daybook_status status = DAYBOOK_SIGN_IN;
    if (state.token[0] != '\0') {
        status = fetch(syncer, entity, document, state.token, failure);
    }
    dk_arena_reset(&syncer->arena);
    pthread_mutex_unlock(&syncer->run_lock);
    return status;
}
