/* SPDX-License-Identifier: Apache-2.0
 *
 * Signing a device in: a one-time code up, token and device number down. Called by the API's
 * daybook_enrol. Invariant: the store learns all of the reply in one transaction, or nothing.
 */
#include "engine/base/text.h"
#include "engine/sync/run.h"

#include <string.h>

/* What the reply itself must have. NULL: it does. */
static const char *check_reply(const struct enrol_reply *reply)
{
    if (reply->token == NULL || reply->token[0] == '\0' ||
        strlen(reply->token) >= sizeof((struct store_state *)0)->token) {
        return "token is empty or too long";
    }
    if (reply->device_no <= 0 || reply->device_no > (int64_t)UINT32_MAX) {
        return "device_no is not a device number";
    }
    if (dk_id_is_zero(&reply->organisation) || dk_id_is_zero(&reply->user)) {
        return "organisation or user is missing";
    }
    if (!dk_server_ms_is_valid(reply->server_ms)) {
        return "server_ms is not a time";
    }
    return dk_epoch_is_valid(reply->epoch) ? NULL : "epoch is out of range";
}

/* A store belongs to one user of one organisation for good: pending work must not change hands. */
static bool is_owner(const struct store_state *state, const struct enrol_reply *reply)
{
    return dk_id_is_zero(&state->user) ||
           (dk_id_compare(&state->user, &reply->user) == 0 &&
            dk_id_compare(&state->organisation, &reply->organisation) == 0);
}

/* Puts a text of the engine's own into the failure; returns the status. */
static daybook_status fail(struct sync_failure *failure, daybook_status status, const char *detail)
{
    (void)dk_text_format(failure->detail, sizeof failure->detail, "%s", detail);
    return status;
}

/* The exchange and the check of its reply, under the run lock. */
static daybook_status enrol(struct syncer *syncer, const struct enrol_request *request,
                            const struct store_state *state, struct sync_failure *failure)
{
    struct enrol_reply reply;
    struct exchange_report report;
    struct exchange_call call = {
        .path = "/v1/enrol",
        .request_table = &dk_enrol_request_table,
        .reply_table = &dk_enrol_reply_table,
        .request = request,
        .reply = &reply,
        .arena = &syncer->arena,
    };
    daybook_status status = dk_sync_exchange(syncer, &call, 0, &report, failure);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (reply.protocol != PROTOCOL_VERSION) {
        return fail(failure, DAYBOOK_UPGRADE_NEEDED, "another protocol version");
    }
    const char *problem = check_reply(&reply);
    if (problem != NULL) {
        return fail(failure, DAYBOOK_BAD_REPLY, problem);
    }
    if (!is_owner(state, &reply)) {
        return fail(failure, DAYBOOK_INVALID, "the code belongs to another user than this store");
    }
    status = dk_store_enrolled(syncer->options.store, &reply);
    if (status == DAYBOOK_OK) {
        (void)dk_store_learn_clock(syncer->options.store, report.sent_ms, report.received_ms,
                                   reply.server_ms);
    }
    return status;
}

/* See syncer.h. */
daybook_status dk_syncer_enrol(struct syncer *syncer, const char *code, const char *device_name,
                               struct sync_failure *failure)
{
    struct store_state state;
    daybook_status status = DAYBOOK_OK;
    memset(failure, 0, sizeof *failure);
    failure->retry_after_ms = -1;
    pthread_mutex_lock(&syncer->run_lock);
    dk_store_state(syncer->options.store, &state);
    struct enrol_request request = {
        .protocol = PROTOCOL_VERSION,
        .code = code,
        .instance = state.instance,
        .device_name = device_name,
    };
    if (state.token[0] != '\0' && !syncer->token_refused) {
        status = fail(failure, DAYBOOK_MISUSE, "the device is enrolled already");
    } else {
        status = enrol(syncer, &request, &state, failure);
    }
    if (status == DAYBOOK_OK) {
        syncer->token_refused = false;
    }
    dk_arena_reset(&syncer->arena);
    pthread_mutex_unlock(&syncer->run_lock);
    return status;
}
