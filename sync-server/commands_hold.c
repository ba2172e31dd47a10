/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands hold list and hold clear. Called by srv_service_command. Invariant: a hold is
 * cleared by a changeset of the server, decided like everybody's.
 */
#include "sync-server/inside.h"

#include "engine/base/text.h"
#include "sync-server/commands.h"

#include <string.h>

#define HOLD_PAGE 500

struct hold_task {
    struct command_run *run;
    const char *login, *note; /* clear; may be NULL */
    struct id hold;
    bool first;
};

/* A text value as a string in the arena; "" for none. NULL: no memory. */
static const char *text_of(const struct value *value, struct arena *arena)
{
    return value->kind == VALUE_TEXT ? dk_arena_copy(arena, value->text, value->length) : "";
}

/* Whether nobody has cleared it. */
static bool stands(const struct record *hold)
{
    const struct value *cleared = &hold->values[HOLD_CLEARED];
    return cleared->kind != VALUE_INT || cleared->integer == 0;
}

/* ---- list */

/* One hold as a line or an object. */
static daybook_status write_hold(struct decider *decider, struct hold_task *task,
                                 const struct record *hold, const char *login)
{
    struct buffer *out = &task->run->out;
    struct arena *arena = &decider->arena;
    const struct value *values = hold->values;
    const char *entity = text_of(&values[HOLD_ENTITY], arena);
    const char *code = text_of(&values[HOLD_CODE], arena);
    const char *role = text_of(&values[HOLD_ROLE], arena);
    const char *detail = text_of(&values[HOLD_DETAIL], arena);
    char id[ID_TEXT_SIZE], record[ID_TEXT_SIZE], line[300];
    if (entity == NULL || code == NULL || role == NULL || detail == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    dk_id_to_text(&hold->id, id);
    dk_id_to_text(&values[HOLD_RECORD].id, record);
    if (!task->run->line->json) {
        (void)dk_text_format(line, sizeof line, "%s  %-10s  %-11s  %s %s  %s  ", id, code, role,
                             entity, record, login);
        dk_buffer_append_text(out, line);
        dk_buffer_append_text(out, detail);
        dk_buffer_append_char(out, '\n');
        return out->status;
    }
    dk_buffer_append_text(out, task->first ? "{" : ",{");
    srv_command_member(out, true, "hold", id);
    srv_command_member(out, false, "code", code);
    srv_command_member(out, false, "role", role);
    srv_command_member(out, false, "entity", entity);
    srv_command_member(out, false, "record", record);
    srv_command_member(out, false, "login", login);
    srv_command_member(out, false, "detail", detail);
    dk_buffer_append_char(out, '}');
    return out->status;
}

/* All standing holds of an organisation. */
static daybook_status list_org(struct decider *decider, struct hold_task *task, int64_t org)
{
    struct id after = {{0}};
    struct srv_record *rows;
    int count;
    daybook_status status;
    do {
        status = srv_store_list(decider->store, org, dk_entity(ENTITY_HOLD), &after, HOLD_PAGE,
                                &decider->arena, &rows, &count);
        for (int i = 0; i < count && status == DAYBOOK_OK; i++) {
            const struct record *hold = &rows[i].record;
            const struct value *by = &hold->values[FIELD_CREATED_BY];
            const char *login = "";
            after = hold->id;
            if (!stands(hold)) {
                continue;
            }
            if (by->kind == VALUE_ID) {
                status = srv_command_login(decider, org, &by->id, &login);
            }
            if (status == DAYBOOK_OK) {
                status = write_hold(decider, task, hold, login);
                task->first = false;
            }
        }
    } while (status == DAYBOOK_OK && count == HOLD_PAGE);
    return status;
}

/* The task of hold list: all organisations. */
static daybook_status list_run(struct decider *decider, void *context)
{
    struct hold_task *task = context;
    daybook_status status = DAYBOOK_OK;
    for (int i = 0; i < decider->org_count && status == DAYBOOK_OK; i++) {
        status = list_org(decider, task, decider->orgs[i].org);
    }
    return status;
}

/* See the header. */
daybook_status srv_command_hold_list(struct command_run *run)
{
    struct hold_task task = {.run = run, .first = true};
    bool json = run->line->json;
    dk_buffer_append_text(&run->out, json ? "{\"holds\":["
                                          : "hold                                  code        "
                                            "role         record, by, detail\n");
    daybook_status status = srv_run_task(run->service, list_run, &task);
    dk_buffer_append_text(&run->out, json ? "]}\n" : "");
    return status;
}

/* ---- clear */

/* Adds who, when and why to the draft. */
static daybook_status add_clearing(struct draft *draft, struct hold_task *task,
                                   const struct srv_record *hold)
{
    struct value cleared = {.kind = VALUE_INT, .integer = 1};
    struct value now = {.kind = VALUE_INT, .integer = srv_now_ms()};
    struct value by = {.kind = VALUE_ID}, note = {.kind = VALUE_NULL};
    bool found = false;
    daybook_status status =
        srv_store_find_login(draft->decider->store, draft->org->org, task->login, &by.id, &found);
    if (status == DAYBOOK_OK && !found) {
        return srv_command_fail(task->run, DAYBOOK_NOT_FOUND, "there is no user %s", task->login);
    }
    if (task->note != NULL) {
        note = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)strlen(task->note)};
        note.text = task->note;
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    bool added = srv_draft_add(draft, BLOCK_SET, hold->record.entity, &hold->record.id,
                               hold->record.version) != NULL &&
                 srv_draft_value(draft, HOLD_CLEARED, &cleared) &&
                 srv_draft_value(draft, HOLD_CLEARED_BY, &by) &&
                 srv_draft_value(draft, HOLD_CLEARED_TS, &now) &&
                 srv_draft_value(draft, HOLD_NOTE, &note);
    return added ? DAYBOOK_OK : DAYBOOK_NO_MEMORY;
}

/* The task of hold clear. */
static daybook_status clear_run(struct decider *decider, void *context)
{
    struct hold_task *task = context;
    struct draft draft;
    struct srv_record hold;
    bool found = false;
    daybook_status status = srv_draft_begin(&draft, decider);
    if (status == DAYBOOK_OK) {
        status = srv_store_get(decider->store, draft.org->org, dk_entity(ENTITY_HOLD), &task->hold,
                               &decider->arena, &hold, &found);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (!found || hold.deleted || !stands(&hold.record)) {
        return srv_command_fail(task->run, DAYBOOK_NOT_FOUND, "no such hold stands");
    }
    status = add_clearing(&draft, task, &hold);
    if (status == DAYBOOK_OK) {
        status = srv_draft_decide(&draft);
    }
    if (status == DAYBOOK_RULE) {
        srv_draft_explain(&draft.verdict, task->run->problem, sizeof task->run->problem);
    }
    return status;
}

/* See the header. */
daybook_status srv_command_hold_clear(struct command_run *run)
{
    struct hold_task task = {.run = run,
                             .login = srv_command_value(run->line, "by"),
                             .note = srv_command_value(run->line, "note")};
    const char *text = run->line->arguments[0];
    if (!dk_id_from_text(text, strlen(text), &task.hold)) {
        return srv_command_fail(run, DAYBOOK_INVALID, "a hold is a UUID, as hold list shows it");
    }
    /* A hold that is cleared by nobody counts as withdrawn, and the rule would make another. */
    if (task.login == NULL) {
        return srv_command_fail(run, DAYBOOK_INVALID, "--by LOGIN is missing: who decided it");
    }
    daybook_status status = srv_run_task(run->service, clear_run, &task);
    if (status == DAYBOOK_OK && run->line->json) {
        dk_buffer_append_char(&run->out, '{');
        srv_command_member(&run->out, true, "cleared", text);
        dk_buffer_append_text(&run->out, "}\n");
    }
    return status;
}
