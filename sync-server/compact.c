/* SPDX-License-Identifier: Apache-2.0
 *
 * Compaction: raises the log's floor as the settings say, then cuts what stands below it, a bounded
 * piece per transaction, so that devices are served in between. Called by the command and once a
 * night. Invariants: the floor is durable before anything below it is cut, so nobody reads a log
 * with holes; ids of changesets are never cut, since a copy of a device's file may send one again
 * at any age.
 */
#include "engine/base/text.h"
#include "sync-server/commands.h"
#include "sync-server/inside.h"

#include <string.h>

#define CUT_ROWS 2000           /* of one transaction */
#define CUT_ROUNDS_MAX 10000000 /* of one run */
#define DAY_MS ((int64_t)24 * 60 * 60 * 1000)

/* What the tasks of one run share. */
struct compaction {
    struct compact_report *report;
    int64_t log_days, log_positions;
    int64_t now_ms;
    int64_t removed; /* by the last task */
};

/* The floor that the settings ask for: below it, entries are older than the days kept, or more than
 * so many positions behind the head. */
static daybook_status wanted_floor(struct decider *decider, const struct compaction *compaction,
                                   const struct decide_org *org, int64_t *floor)
{
    int64_t by_age = 0;
    int64_t by_count = compaction->log_positions >= 0 ? org->head - compaction->log_positions : 0;
    daybook_status status = DAYBOOK_OK;
    if (compaction->log_days > 0) {
        status = srv_store_position_before(decider->store, org->org,
                                           compaction->now_ms - compaction->log_days * DAY_MS,
                                           org->head, &by_age);
    }
    *floor = by_age > by_count ? by_age : by_count;
    *floor = *floor > 0 ? *floor : 0;
    return status;
}

/* A task: raises the floors. */
static daybook_status raise_floors(struct decider *decider, void *context)
{
    struct compaction *compaction = context;
    daybook_status status = DAYBOOK_OK;
    compaction->report->floor = 0;
    for (int i = 0; i < decider->org_count && status == DAYBOOK_OK; i++) {
        const struct decide_org *org = &decider->orgs[i];
        int64_t floor;
        status = wanted_floor(decider, compaction, org, &floor);
        if (status == DAYBOOK_OK) {
            status = srv_store_raise_floor(decider->store, org->org, floor);
        }
        if (status == DAYBOOK_OK) {
            status = srv_store_get_floor(decider->store, org->org, &floor);
        }
        if (status == DAYBOOK_OK && floor > compaction->report->floor) {
            compaction->report->floor = floor;
        }
    }
    return status;
}

/* A task: cuts one piece. */
static daybook_status cut_piece(struct decider *decider, void *context)
{
    struct compaction *compaction = context;
    daybook_status status = DAYBOOK_OK;
    compaction->removed = 0;
    for (int i = 0; i < decider->org_count && status == DAYBOOK_OK && compaction->removed == 0;
         i++) {
        status =
            srv_store_cut(decider->store, decider->orgs[i].org, CUT_ROWS, &compaction->removed);
    }
    return status;
}

/* See the header. A server that stops in the middle goes on the next time. */
daybook_status srv_compact(struct service *service, int64_t log_days, int64_t log_positions,
                           struct compact_report *report)
{
    struct compaction compaction = {.report = report,
                                    .log_days = log_days,
                                    .log_positions = log_positions,
                                    .now_ms = srv_now_ms()};
    *report = (struct compact_report){0, 0};
    daybook_status status = srv_run_task(service, raise_floors, &compaction);
    for (int round = 0; status == DAYBOOK_OK && round < CUT_ROUNDS_MAX; round++) {
        status = srv_run_task(service, cut_piece, &compaction);
        if (compaction.removed == 0) {
            break;
        }
        report->removed += compaction.removed;
    }
    return status;
}

/* See the header. */
daybook_status srv_compact_by_settings(struct service *service)
{
    struct compact_report report;
    int64_t positions = service->log_positions > 0 ? service->log_positions : -1;
    if (service->log_days <= 0 && positions < 0) {
        return DAYBOOK_OK;
    }
    daybook_status status = srv_compact(service, service->log_days, positions, &report);
    dk_log(&service->log, status == DAYBOOK_OK ? LOG_INFO : LOG_ERROR,
           "compaction status=%d floor=%lld removed=%lld", (int)status, (long long)report.floor,
           (long long)report.removed);
    return status;
}

/* ---- the command */

/* An option that is a number of 0 or more; absent leaves *number as it is. */
static daybook_status read_option(struct command_run *run, const char *name, int64_t *number)
{
    const char *text = srv_command_value(run->line, name);
    if (text == NULL) {
        return DAYBOOK_OK;
    }
    if (!dk_text_to_int64(text, strlen(text), number) || *number < 0 || *number > INT32_MAX) {
        return srv_command_fail(run, DAYBOOK_INVALID, "--%s is no number from 0 to 2147483647",
                                name);
    }
    return DAYBOOK_OK;
}

/* compact [--days N] [--positions N]: what is not given is not looked at; neither: the settings. */
daybook_status srv_command_compact(struct command_run *run)
{
    struct compact_report report;
    int64_t days = 0, positions = -1;
    daybook_status status = read_option(run, "days", &days);
    if (status == DAYBOOK_OK) {
        status = read_option(run, "positions", &positions);
    }
    if (status == DAYBOOK_OK && srv_command_value(run->line, "days") == NULL &&
        srv_command_value(run->line, "positions") == NULL) {
        days = run->service->log_days;
        positions = run->service->log_positions > 0 ? run->service->log_positions : -1;
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    status = srv_compact(run->service, days, positions, &report);
    if (status != DAYBOOK_OK) {
        return srv_command_fail(run, status, "the log could not be cut");
    }
    if (run->line->json) {
        dk_buffer_append_char(&run->out, '{');
        srv_command_number(&run->out, true, "floor", report.floor);
        srv_command_number(&run->out, false, "removed", report.removed);
        dk_buffer_append_text(&run->out, "}\n");
    } else {
        dk_buffer_append_text(&run->out, "the log begins behind position ");
        dk_buffer_append_int(&run->out, report.floor);
        dk_buffer_append_text(&run->out, "; ");
        dk_buffer_append_int(&run->out, report.removed);
        dk_buffer_append_text(&run->out, " rows removed\n");
    }
    return run->out.status;
}
