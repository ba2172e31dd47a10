/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /v1/lease: a new instance and device number for a device whose store was copied or restored.
 * Parsed and answered by workers, done by the decider. Invariant: the same request again gives the
 * same number.
 */
#include "sync-server/inside.h"

/* Reads the request; the device must be signed in. */
static enum job_way parse_lease(struct worker *worker, struct job *job)
{
    struct caller caller;
    struct lease_request *request = &job->account.lease;
    daybook_status status = srv_sign_in(worker->reader, job->token, &caller);
    if (status != DAYBOOK_OK) {
        return srv_job_fail_status(job, status);
    }
    if (!srv_job_expand(job, worker->codec) ||
        !srv_job_decode(job, &dk_lease_request_table, request)) {
        return WAY_DONE;
    }
    if (dk_id_is_zero(&request->instance) ||
        dk_id_compare(&request->instance, &request->old_instance) == 0) {
        return srv_job_fail(job, 400, "BAD_REQUEST", "member \"instance\" is no new id");
    }
    return WAY_DECIDER;
}

/* Leases, after looking at the token once more. */
static daybook_status decide_lease(struct decider *decider, struct job *job)
{
    struct account_job *account = &job->account;
    daybook_status status = srv_sign_in(decider->store, job->token, &account->caller);
    if (status == DAYBOOK_SIGN_IN) {
        (void)srv_job_fail_status(job, status);
        return DAYBOOK_OK;
    }
    return status == DAYBOOK_OK ? srv_store_lease(decider->store, account->caller.device.device,
                                                  &account->lease.instance, &account->device_no)
                                : status;
}

/* The number, as a lease_reply. */
static void reply_lease(struct worker *worker, struct job *job)
{
    struct lease_reply reply = {.protocol = PROTOCOL_VERSION, .device_no = job->account.device_no};
    srv_job_answer(worker, job, &dk_lease_reply_table, &reply);
}

const struct endpoint srv_endpoint_lease = {"POST", "/v1/lease", parse_lease, decide_lease,
                                            reply_lease};
