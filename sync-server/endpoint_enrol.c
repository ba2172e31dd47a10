/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /v1/enrol: trades a one-time code for a token. Parsed and answered by workers, done by the
 * decider. Invariant: the token is in the reply and nowhere else; the code is used up in the
 * transaction that adds the device.
 */
#include "sync-server/inside.h"

#include <string.h>

/* Reads the request; it needs no token. */
static enum job_way parse_enrol(struct worker *worker, struct job *job)
{
    struct enrol_request *request = &job->account.enrol;
    if (!srv_job_expand(job, worker->codec) ||
        !srv_job_decode(job, &dk_enrol_request_table, request)) {
        return WAY_DONE;
    }
    if (dk_id_is_zero(&request->instance)) {
        return srv_job_fail(job, 400, "BAD_REQUEST", "member \"instance\" is no id");
    }
    return WAY_DECIDER;
}

/* Uses the code up and adds the device, both or neither: a savepoint undoes a code taken for a user
 * who is disabled. */
static daybook_status decide_enrol(struct decider *decider, struct job *job)
{
    struct account_job *account = &job->account;
    daybook_status status = srv_store_savepoint(decider->store);
    if (status != DAYBOOK_OK) {
        return status;
    }
    status = srv_enrol(decider->store, account->enrol.code, &account->enrol.instance,
                       account->enrol.device_name, srv_now_ms(), account->token, &account->caller);
    if (status == DAYBOOK_OK) {
        const struct decide_org *org = srv_decider_org(decider, account->caller.account.org);
        account->organisation = org == NULL ? (struct id){{0}} : org->id;
        return srv_store_release(decider->store);
    }
    daybook_status undone = srv_store_rollback_to(decider->store);
    if (status != DAYBOOK_BAD_CODE || undone != DAYBOOK_OK) {
        return status != DAYBOOK_BAD_CODE ? status : undone;
    }
    (void)srv_job_fail_status(job, DAYBOOK_BAD_CODE);
    return DAYBOOK_OK;
}

/* The token and who the device is, as an enrol_reply; then forgets the token. */
static void reply_enrol(struct worker *worker, struct job *job)
{
    struct account_job *account = &job->account;
    struct enrol_reply reply = {.protocol = PROTOCOL_VERSION,
                                .token = account->token,
                                .device_no = account->caller.device.device_no,
                                .organisation = account->organisation,
                                .user = account->caller.account.user,
                                .territory = account->caller.account.territory,
                                .role = account->caller.account.role,
                                .epoch = srv_store_epoch(worker->reader),
                                .server_ms = srv_now_ms()};
    srv_job_answer(worker, job, &dk_enrol_reply_table, &reply);
    memset(account->token, 0, sizeof account->token);
    if (worker->json.bytes != NULL) {
        memset(worker->json.bytes, 0, worker->json.length);
    }
}

const struct endpoint srv_endpoint_enrol = {"POST", "/v1/enrol", parse_enrol, decide_enrol,
                                            reply_enrol};
