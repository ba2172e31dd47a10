/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands device list, device revoke and enrol. Called by srv_service_command. Invariant: a
 * code is printed once and never stored.
 */
#include "sync-server/inside.h"

#include "engine/base/text.h"
#include "sync-server/commands.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* See the header. */
void srv_command_time(int64_t time_ms, char out[32])
{
    struct tm parts;
    time_t seconds = (time_t)(time_ms / 1000);
    out[0] = '\0';
    if (gmtime_r(&seconds, &parts) != NULL) {
        (void)strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
}

/* ---- device list */

struct list_task {
    struct command_run *run;
};

/* See the header. */
daybook_status srv_command_login(struct decider *decider, int64_t org, const struct id *user,
                                 const char **login)
{
    struct srv_record row;
    bool found;
    *login = "";
    daybook_status status = srv_store_get(decider->store, org, dk_entity(ENTITY_USER), user,
                                          &decider->arena, &row, &found);
    if (status == DAYBOOK_OK && found && row.record.values[USER_LOGIN].kind == VALUE_TEXT) {
        const struct value *value = &row.record.values[USER_LOGIN];
        *login = dk_arena_copy(&decider->arena, value->text, value->length);
    }
    return *login == NULL ? DAYBOOK_NO_MEMORY : status;
}

/* One device as a line or an object. */
static void write_device(struct command_run *run, const struct srv_device *device,
                         const char *login, bool first)
{
    struct buffer *out = &run->out;
    char seen[32], line[256];
    srv_command_time(device->seen_ms, seen);
    if (!run->line->json) {
        (void)dk_text_format(
            line, sizeof line, "%6lld  %-24s %8u  %8lld  %8lld  %-20s  %8lld  %-8s ",
            (long long)device->device, login, (unsigned)device->device_no,
            (long long)device->decided, (long long)device->settled, seen,
            (long long)device->divergences, device->revoked ? "revoked" : "active");
        dk_buffer_append_text(out, line);
        dk_buffer_append_text(out, device->name);
        dk_buffer_append_char(out, '\n');
        return;
    }
    dk_buffer_append_text(out, first ? "{" : ",{");
    srv_command_number(out, true, "device", device->device);
    srv_command_member(out, false, "login", login);
    srv_command_member(out, false, "name", device->name);
    srv_command_number(out, false, "device_no", device->device_no);
    srv_command_number(out, false, "decided", device->decided);
    srv_command_number(out, false, "settled", device->settled);
    srv_command_number(out, false, "enrolled_ms", device->enrolled_ms);
    srv_command_number(out, false, "seen_ms", device->seen_ms);
    srv_command_number(out, false, "divergences", device->divergences);
    dk_buffer_append_text(out, device->revoked ? ",\"revoked\":true}" : ",\"revoked\":false}");
}

/* All devices of an organisation but the server's own. */
static daybook_status list_devices(struct decider *decider, struct command_run *run, int64_t org,
                                   bool *first)
{
    struct srv_device *rows;
    int count;
    daybook_status status =
        srv_store_list_devices(decider->store, org, &decider->arena, &rows, &count);
    for (int i = 0; status == DAYBOOK_OK && i < count; i++) {
        struct srv_account account;
        const char *login;
        bool found;
        status = srv_store_get_account(decider->store, &rows[i].user, &account, &found);
        if (status != DAYBOOK_OK || (found && strcmp(account.role, "system") == 0)) {
            continue;
        }
        status = srv_command_login(decider, org, &rows[i].user, &login);
        if (status == DAYBOOK_OK) {
            write_device(run, &rows[i], login, *first);
            *first = false;
        }
    }
    return status;
}

/* The task of device list: all organisations. */
static daybook_status list_run(struct decider *decider, void *context)
{
    struct list_task *task = context;
    bool first = true;
    daybook_status status = DAYBOOK_OK;
    for (int i = 0; i < decider->org_count && status == DAYBOOK_OK; i++) {
        status = list_devices(decider, task->run, decider->orgs[i].org, &first);
    }
    return status;
}

/* See the header. */
daybook_status srv_command_device_list(struct command_run *run)
{
    struct list_task task = {run};
    bool json = run->line->json;
    dk_buffer_append_text(&run->out,
                          json ? "{\"devices\":["
                               : "device  login                    number     decided   settled   "
                                 "seen                  diverged  state    name\n");
    daybook_status status = srv_run_task(run->service, list_run, &task);
    dk_buffer_append_text(&run->out, json ? "]}\n" : "");
    return status;
}

/* ---- device revoke */

struct revoke_task {
    struct command_run *run;
    int64_t device;
};

/* The task of device revoke. */
static daybook_status revoke_run(struct decider *decider, void *context)
{
    struct revoke_task *task = context;
    daybook_status status = srv_store_revoke(decider->store, task->device);
    return status == DAYBOOK_NOT_FOUND
               ? srv_command_fail(task->run, status, "there is no device %lld",
                                  (long long)task->device)
               : status;
}

/* See the header. */
daybook_status srv_command_device_revoke(struct command_run *run)
{
    struct revoke_task task = {.run = run};
    const char *number = run->line->arguments[0];
    if (!dk_text_to_int64(number, strlen(number), &task.device) || task.device < 1) {
        return srv_command_fail(run, DAYBOOK_INVALID,
                                "a device is a number, as device list shows it");
    }
    daybook_status status = srv_run_task(run->service, revoke_run, &task);
    if (status == DAYBOOK_OK && run->line->json) {
        dk_buffer_append_char(&run->out, '{');
        srv_command_number(&run->out, true, "revoked", task.device);
        dk_buffer_append_text(&run->out, "}\n");
    }
    return status;
}

/* ---- enrol */

struct enrol_task {
    struct command_run *run;
    const char *login;
    int minutes;
    char code[CODE_TEXT_SIZE];
    int64_t expires_ms;
};

/* The task of enrol: finds the user by login and makes the code. */
static daybook_status enrol_run(struct decider *decider, void *context)
{
    struct enrol_task *task = context;
    struct id user;
    bool found = false;
    daybook_status status = DAYBOOK_OK;
    int64_t org = 0;
    for (int i = 0; i < decider->org_count && status == DAYBOOK_OK && !found; i++) {
        org = decider->orgs[i].org;
        status = srv_store_find_login(decider->store, org, task->login, &user, &found);
    }
    if (status == DAYBOOK_OK && !found) {
        return srv_command_fail(task->run, DAYBOOK_NOT_FOUND, "there is no user %s", task->login);
    }
    return status == DAYBOOK_OK ? srv_enrol_code(decider->store, org, &user, srv_now_ms(),
                                                 task->minutes, task->code, &task->expires_ms)
                                : status;
}

/* The answer; the code is the last line of the text. */
static void write_code(struct command_run *run, const struct enrol_task *task)
{
    const struct service *service = run->service;
    struct buffer *out = &run->out;
    if (run->line->json) {
        dk_buffer_append_char(out, '{');
        srv_command_member(out, true, "code", task->code);
        srv_command_member(out, false, "login", task->login);
        srv_command_number(out, false, "expires_ms", task->expires_ms);
        if (service->public_url != NULL) {
            srv_command_member(out, false, "url", service->public_url);
        }
        if (service->ca_pin != NULL) {
            srv_command_member(out, false, "pin", service->ca_pin);
        }
        dk_buffer_append_text(out, "}\n");
        return;
    }
    if (service->public_url != NULL) {
        dk_buffer_append_text(out, "server ");
        dk_buffer_append_text(out, service->public_url);
        dk_buffer_append_char(out, '\n');
    }
    if (service->ca_pin != NULL) {
        dk_buffer_append_text(out, "pin    ");
        dk_buffer_append_text(out, service->ca_pin);
        dk_buffer_append_char(out, '\n');
    }
    dk_buffer_append_text(out, task->code);
    dk_buffer_append_char(out, '\n');
}

/* See the header. */
daybook_status srv_command_enrol(struct command_run *run)
{
    struct enrol_task task = {
        .run = run, .login = run->line->arguments[0], .minutes = CODE_MINUTES_DEFAULT};
    const char *minutes = srv_command_value(run->line, "minutes");
    int64_t number = CODE_MINUTES_DEFAULT;
    if (minutes != NULL && (!dk_text_to_int64(minutes, strlen(minutes), &number) || number < 1 ||
                            number > CODE_MINUTES_DEFAULT)) {
        return srv_command_fail(run, DAYBOOK_INVALID, "--minutes is 1 to %d", CODE_MINUTES_DEFAULT);
    }
    task.minutes = (int)number;
    daybook_status status = srv_run_task(run->service, enrol_run, &task);
    if (status == DAYBOOK_OK) {
        write_code(run, &task);
    }
    memset(task.code, 0, sizeof task.code);
    return status;
}
