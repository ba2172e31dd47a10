/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop of one sync run and the syncer's life. Called by daybook_sync and by the worker thread.
 * Invariants: the network is never used inside a transaction of the store; each step is safe to
 * repeat, so a run may end after any of them; a run that makes no progress ends.
 */
#include "engine/sync/run.h"

#include "engine/base/memory.h"
#include "engine/base/text.h"

#include <assert.h>
#include <string.h>

#define SCOPE_BYTES_MAX ((size_t)LIMIT_BUCKETS * 20 + 2)
#define LOADING_BYTES_MAX ((size_t)LIMIT_BUCKETS * (60 + 2 * LIMIT_LABEL_BYTES))

/* See run.h. */
int64_t dk_sync_now(const struct syncer *syncer)
{
    const daybook_platform *platform = syncer->options.exchange.platform;
    return platform->steady_ms(platform->context);
}

/* See the header. Texts of the options that the exchanger needs are copied by it. */
struct syncer *dk_syncer_new(const struct syncer_options *options)
{
    struct syncer *syncer = dk_memory_new(1, sizeof *syncer);
    if (syncer == NULL) {
        return NULL;
    }
    syncer->options = *options;
    syncer->exchanger = dk_exchange_new(&options->exchange);
    if (syncer->exchanger == NULL) {
        dk_memory_free(syncer);
        return NULL;
    }
    atomic_init(&syncer->interrupted, false);
    dk_arena_init(&syncer->arena, SYNC_ARENA_MAX);
    dk_buffer_init(&syncer->bodies, LIMIT_REQUEST_EXPANDED);
    dk_buffer_init(&syncer->scope, SCOPE_BYTES_MAX);
    dk_buffer_init(&syncer->loading, LOADING_BYTES_MAX);
    dk_push_begin(&syncer->push);
    dk_pull_begin(&syncer->pull, options->page_bytes);
    int result = pthread_mutex_init(&syncer->run_lock, NULL);
    assert(result == 0);
    result = pthread_mutex_init(&syncer->status_lock, NULL);
    assert(result == 0);
    (void)result;
    return syncer;
}

/* See the header. */
void dk_syncer_free(struct syncer *syncer)
{
    if (syncer == NULL) {
        return;
    }
    dk_exchange_free(syncer->exchanger);
    dk_arena_clear(&syncer->arena);
    dk_buffer_clear(&syncer->bodies);
    dk_buffer_clear(&syncer->scope);
    dk_buffer_clear(&syncer->loading);
    pthread_mutex_destroy(&syncer->run_lock);
    pthread_mutex_destroy(&syncer->status_lock);
    dk_memory_free(syncer);
}

/* See the header. */
void dk_syncer_interrupt(struct syncer *syncer)
{
    atomic_store(&syncer->interrupted, true);
    dk_exchange_interrupt(syncer->exchanger);
}

/* See the header. Waits for a run that is being interrupted to end. */
void dk_syncer_resume(struct syncer *syncer)
{
    pthread_mutex_lock(&syncer->run_lock);
    dk_exchange_resume(syncer->exchanger);
    atomic_store(&syncer->interrupted, false);
    pthread_mutex_unlock(&syncer->run_lock);
}

/* See the header. */
void dk_syncer_status(struct syncer *syncer, struct syncer_status *status)
{
    pthread_mutex_lock(&syncer->status_lock);
    *status = syncer->status;
    pthread_mutex_unlock(&syncer->status_lock);
}

/* What the badge says about the exchange that begins, or with false twice that it has ended. */
static void show_activity(struct syncer *syncer, bool uploading, bool downloading)
{
    pthread_mutex_lock(&syncer->status_lock);
    syncer->status.uploading = uploading;
    syncer->status.downloading = downloading;
    pthread_mutex_unlock(&syncer->status_lock);
}

/* Counts an exchange and copies what is known about a failure. */
static void note_exchange(struct syncer *syncer, daybook_status status,
                          const struct exchange_report *report, struct sync_failure *failure)
{
    pthread_mutex_lock(&syncer->status_lock);
    syncer->status.bytes_up += (int64_t)report->bytes_up;
    syncer->status.bytes_down += (int64_t)report->bytes_down;
    syncer->status.round_trips += report->http_status != 0;
    syncer->status.connected = status == DAYBOOK_OK;
    pthread_mutex_unlock(&syncer->status_lock);
    memset(failure, 0, sizeof *failure);
    failure->http_status = report->http_status;
    failure->retry_after_ms = report->retry_after_ms;
    (void)dk_text_format(failure->code, sizeof failure->code, "%s", report->code);
    (void)dk_text_format(failure->detail, sizeof failure->detail, "%s", report->detail);
}

/* See run.h. An exchange never outlives the budget: where it ends for that reason, that is no
 * time-out of the network. */
daybook_status dk_sync_exchange(struct syncer *syncer, struct exchange_call *call,
                                int64_t deadline_ms, struct exchange_report *report,
                                struct sync_failure *failure)
{
    const daybook_platform *platform = syncer->options.exchange.platform;
    memset(report, 0, sizeof *report);
    report->retry_after_ms = -1;
    if (atomic_load(&syncer->interrupted)) {
        return DAYBOOK_INTERRUPTED;
    }
    if (platform->network_up != NULL && !platform->network_up(platform->context)) {
        note_exchange(syncer, DAYBOOK_OFFLINE, report, failure);
        return DAYBOOK_OFFLINE;
    }
    call->timeout_ms = syncer->options.timeout_ms;
    bool bounded = false;
    if (deadline_ms != 0) {
        int64_t left = deadline_ms - dk_sync_now(syncer);
        if (left <= 0) {
            return DAYBOOK_INTERRUPTED;
        }
        bounded = left < call->timeout_ms;
        call->timeout_ms = bounded ? left : call->timeout_ms;
    }
    daybook_status status = dk_exchange(syncer->exchanger, call, report);
    if (call->token != NULL && (status == DAYBOOK_OK || status == DAYBOOK_SIGN_IN)) {
        syncer->token_refused = status == DAYBOOK_SIGN_IN;
    }
    if (status == DAYBOOK_TIMEOUT && bounded && report->http_status == 0) {
        status = DAYBOOK_INTERRUPTED;
    }
    note_exchange(syncer, status, report, failure);
    return status;
}

/* The request that says where we stand, with the changesets that are next. Pages are asked for when
 * the outbox goes up to its end: what was recorded here comes before what is loaded. Its spans
 * borrow the syncer's buffers. */
static daybook_status build_request(struct sync_run *run, const struct store_state *state,
                                    struct sync_request *request)
{
    struct syncer *syncer = run->syncer;
    const daybook_platform *platform = syncer->options.exchange.platform;
    struct store_batch batch = {0};
    *request = (struct sync_request){
        .protocol = PROTOCOL_VERSION,
        .schema = SCHEMA_VERSION,
        .instance = state->instance,
        .device_no = state->device_no,
        .epoch = state->epoch,
        .position = state->position,
        .settled = state->settled,
        .page_bytes = dk_pull_page_bytes(&syncer->pull),
        .leave_recent = syncer->options.leave_recent,
        .sums = (run->differs && run->diverged == 0) || run->contents,
        .contents = run->contents,
        .diverged = syncer->unreported,
    };
    dk_buffer_reset(&syncer->scope);
    daybook_status status = dk_store_write_scope(syncer->options.store, &syncer->scope);
    if (status == DAYBOOK_OK) {
        status = syncer->scope.status;
    }
    if (status == DAYBOOK_OK && !run->pull_only) {
        status = dk_push_collect(&syncer->push, syncer->options.store, &syncer->bodies, &batch);
    }
    dk_buffer_reset(&syncer->loading);
    if (status == DAYBOOK_OK && batch.count >= state->pending) {
        status = dk_store_write_loading(syncer->options.store, &syncer->loading);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    request->scope = (struct span){syncer->scope.bytes, syncer->scope.length};
    if (syncer->loading.length > 0) {
        request->loading = (struct span){syncer->loading.bytes, syncer->loading.length};
    }
    /* Behind the changesets, none of which may be later than the request. */
    request->sent_ms = platform->wall_ms(platform->context);
    request->boot = platform->boot_id(platform->context) & INT64_MAX;
    request->steady_ms = platform->steady_ms(platform->context);
    if (batch.count > 0) {
        request->changesets = (struct span){syncer->bodies.bytes, syncer->bodies.length};
    }
    run->sent_count = batch.count;
    run->sent_first = batch.first_seq;
    run->sent_bytes = batch.count > 0 ? syncer->bodies.length : 0;
    return DAYBOOK_OK;
}

/* Sends the request and adapts the pace to how it went. */
static daybook_status exchange_round(struct sync_run *run, const struct store_state *state,
                                     const struct sync_request *request, struct sync_reply *reply)
{
    struct syncer *syncer = run->syncer;
    struct exchange_call call = {
        .path = "/v1/sync",
        .token = state->token,
        .request_table = &dk_sync_request_table,
        .reply_table = &dk_sync_reply_table,
        .request = request,
        .reply = reply,
        .arena = &syncer->arena,
    };
    show_activity(syncer, run->sent_count > 0,
                  state->position < state->head || state->head == 0 || state->loading > 0);
    daybook_status status =
        dk_sync_exchange(syncer, &call, run->deadline_ms, &run->report, run->failure);
    show_activity(syncer, false, false);
    if (status == DAYBOOK_OK) {
        syncer->paced_ms = dk_sync_now(syncer);
        dk_push_learn(&syncer->push, run->sent_bytes, run->report.elapsed_ms);
        dk_pull_learn(&syncer->pull, run->report.elapsed_ms);
    } else if (status == DAYBOOK_OFFLINE || status == DAYBOOK_TIMEOUT ||
               status == DAYBOOK_BAD_REPLY) {
        dk_push_failed(&syncer->push);
        dk_pull_failed(&syncer->pull);
    }
    return status;
}

/* Whether the reply brought the run further: a verdict, a page, or a position that moved; or, a
 * bounded number of times, a snapshot that begins, a new epoch or another scope. A reply that
 * leaves nothing to do needs no progress. */
static bool is_progress(struct sync_run *run, const struct store_state *before,
                        const struct store_state *after, const struct sync_reply *reply,
                        const struct store_applied *applied)
{
    bool moves = applied->pages > 0 || (!reply->reset && after->position > before->position);
    /* What a second reset throws away is nothing that lasts, nor is a verdict heard before. */
    run->progressed =
        run->progressed || (run->resets <= 1 && (moves || after->pending < before->pending));
    if (applied->verdicts > 0 || moves) {
        return true;
    }
    if (reply->reset || after->epoch != before->epoch || reply->scope.bytes != NULL ||
        applied->diverged > 0) {
        run->resets++;
        return run->resets <= SYNC_RESETS_MAX;
    }
    return run->sent_count == 0 && !reply->more;
}

/* What the comparison of the sums gave. Buckets that differ are repaired once in a run; which of
 * those that differ after that too a later run tries again is the store's to say. */
static void note_sums(struct sync_run *run, const struct sync_request *request,
                      const struct store_applied *applied)
{
    struct syncer *syncer = run->syncer;
    syncer->unreported += applied->diverged - request->diverged;
    pthread_mutex_lock(&syncer->status_lock);
    syncer->status.divergences += applied->diverged;
    syncer->status.repaired += applied->repaired;
    pthread_mutex_unlock(&syncer->status_lock);
    if (applied->differs && run->diverged > 0) {
        dk_log(&syncer->options.log, LOG_ERROR, "sync: still differs from the server");
        return;
    }
    run->differs = applied->differs && applied->diverged == 0 && !request->sums;
    run->diverged += applied->diverged;
    run->done = run->done && !run->differs && applied->diverged == 0;
}

/* Once a day, and where somebody asked, a run does not end without comparing what every record
 * says: one more round at the head, and then the store looks. That round also asks what became of
 * changesets that wait in quarantine: the server tells whoever has them now, and that is another
 * file where a copy of this one has sent them again. */
static daybook_status verify_contents(struct sync_run *run, const struct sync_request *request,
                                      const struct sync_reply *reply, struct store_applied *applied)
{
    struct syncer *syncer = run->syncer;
    const daybook_platform *platform = syncer->options.exchange.platform;
    int diverged = 0;
    if (!run->done || applied->differs) {
        return DAYBOOK_OK;
    }
    if (!request->contents) {
        if (!atomic_exchange(&syncer->verify, false)) {
            return DAYBOOK_OK;
        }
        run->contents = true;
        run->done = false;
        return dk_store_ask_again(syncer->options.store);
    }
    run->contents = false;
    daybook_status status = dk_store_verify(syncer->options.store, reply, &diverged);
    if (status == DAYBOOK_OK) {
        status = dk_store_verified(syncer->options.store, platform->wall_ms(platform->context));
    }
    applied->diverged += diverged;
    return status;
}

/* Puts a text of the engine's own into the failure; returns the status. */
static daybook_status fail(struct sync_run *run, daybook_status status, const char *detail)
{
    (void)dk_text_format(run->failure->detail, sizeof run->failure->detail, "%s",
                         detail != NULL ? detail : "");
    return status;
}

/* One round trip: request, reply, apply. Sets run->done where nothing is left to do. */
static daybook_status run_round(struct sync_run *run)
{
    struct syncer *syncer = run->syncer;
    struct store *store = syncer->options.store;
    struct store_state before, after;
    struct sync_request request;
    struct sync_reply reply;
    struct store_applied applied = {0};
    const char *problem = NULL;
    dk_arena_reset(&syncer->arena);
    memset(run->failure, 0, sizeof *run->failure);
    run->failure->retry_after_ms = -1;
    dk_store_state(store, &before);
    if (before.token[0] == '\0') {
        return fail(run, DAYBOOK_SIGN_IN, "the device is not enrolled");
    }
    daybook_status status = build_request(run, &before, &request);
    if (status == DAYBOOK_OK) {
        status = exchange_round(run, &before, &request, &reply);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    status =
        dk_pull_apply(store, &request, &reply, &run->report, &syncer->arena, &applied, &problem);
    if (status != DAYBOOK_OK) {
        return fail(run, status, problem);
    }
    if (applied.copy_detected) {
        return fail(run, DAYBOOK_DIVERGED, "the server has a changeset that this store never sent");
    }
    if (syncer->options.applied != NULL) {
        syncer->options.applied(syncer->options.context);
    }
    dk_store_state(store, &after);
    if (!is_progress(run, &before, &after, &reply, &applied)) {
        return fail(run, DAYBOOK_BAD_REPLY, "the reply brings nothing further");
    }
    if (reply.upgrade && after.pending == 0) {
        return fail(run, DAYBOOK_UPGRADE_NEEDED,
                    "the server has no data for an app this old; what was recorded is safe");
    }
    run->done = !reply.more && after.pending == 0 && !run->pull_only;
    run->pull_only = false;
    status = verify_contents(run, &request, &reply, &applied);
    if (status != DAYBOOK_OK) {
        return fail(run, status, "the contents could not be compared");
    }
    note_sums(run, &request, &applied);
    dk_log(&syncer->options.log, LOG_DEBUG,
           "sync: %d up, %d verdicts, %d rows and %d pages down, %zu + %zu bytes", run->sent_count,
           applied.verdicts, applied.rows, applied.pages, run->report.bytes_up,
           run->report.bytes_down);
    return DAYBOOK_OK;
}

/* Rounds until nothing is left to do, with repairs in between. */
static daybook_status run_rounds(struct sync_run *run)
{
    struct syncer *syncer = run->syncer;
    const daybook_platform *platform = syncer->options.exchange.platform;
    while (!run->done) {
        if (run->rounds == SYNC_ROUNDS_MAX ||
            (run->rounds > 0 && run->deadline_ms != 0 && dk_sync_now(syncer) >= run->deadline_ms)) {
            return DAYBOOK_INTERRUPTED;
        }
        run->rounds++;
        daybook_status status = run_round(run);
        if (status != DAYBOOK_OK) {
            status = dk_sync_repair(run, status);
        }
        if (status != DAYBOOK_OK) {
            return status;
        }
    }
    return dk_store_synced(syncer->options.store, platform->wall_ms(platform->context));
}

/* Ends a run: what the badge says, and the memory of an unusually large one. */
static void finish_run(struct syncer *syncer, daybook_status status)
{
    pthread_mutex_lock(&syncer->status_lock);
    if (status != DAYBOOK_INTERRUPTED) {
        syncer->status.blocked = status;
    }
    pthread_mutex_unlock(&syncer->status_lock);
    dk_arena_clear(&syncer->arena);
    dk_arena_init(&syncer->arena, SYNC_ARENA_MAX);
    dk_buffer_clear(&syncer->bodies);
}

/* A day after contents were compared last it is time again; a store that has never synced has the
 * server's word for all that it gets. */
static void plan_verify(struct syncer *syncer)
{
    const daybook_platform *platform = syncer->options.exchange.platform;
    struct store_state state;
    int64_t now_ms = platform->wall_ms(platform->context);
    dk_store_state(syncer->options.store, &state);
    if (state.verified_ms == 0) {
        (void)dk_store_verified(syncer->options.store, now_ms);
    } else if (now_ms - state.verified_ms >= SYNC_VERIFY_MS || now_ms < state.verified_ms) {
        dk_syncer_verify(syncer);
    }
}

/* See the header. */
void dk_syncer_verify(struct syncer *syncer)
{
    atomic_store(&syncer->verify, true);
}

/* See the header. */
daybook_status dk_syncer_run(struct syncer *syncer, int64_t budget_ms, bool wait,
                             struct sync_failure *failure)
{
    struct sync_run run = {.syncer = syncer, .failure = failure};
    memset(failure, 0, sizeof *failure);
    failure->retry_after_ms = -1;
    if (wait) {
        pthread_mutex_lock(&syncer->run_lock);
    } else if (pthread_mutex_trylock(&syncer->run_lock) != 0) {
        return DAYBOOK_BUSY;
    }
    int64_t now = dk_sync_now(syncer);
    run.deadline_ms = budget_ms > 0 ? now + budget_ms : 0;
    if (now - syncer->paced_ms > PUSH_KEPT_MS) {
        dk_push_begin(&syncer->push); /* the device may be anywhere by now */
    }
    plan_verify(syncer);
    daybook_status status = run_rounds(&run);
    if (run.contents) {
        dk_syncer_verify(syncer); /* it did not get that far */
    }
    failure->progressed = run.progressed;
    finish_run(syncer, status);
    pthread_mutex_unlock(&syncer->run_lock);
    if (status != DAYBOOK_OK && status != DAYBOOK_INTERRUPTED) {
        dk_log(&syncer->options.log, LOG_INFO, "sync: ended with status %d, http %d", (int)status,
               failure->http_status);
    }
    return status;
}
