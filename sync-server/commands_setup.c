/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands init and user add: the organisation, its territories and users, written as
 * changesets of the server. Called by srv_service_command. Invariant: each command is one
 * transaction.
 */
#include "sync-server/inside.h"

#include "engine/base/text.h"
#include "sync-server/commands.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_DEFAULT "Daybook"
#define CURRENCY_DEFAULT "EUR"
#define TERRITORY_DEFAULT "Main" /* of users for whom none is named */

/* See the header. */
daybook_status srv_command_fail(struct command_run *run, daybook_status status, const char *format,
                                ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(run->problem, sizeof run->problem, format, arguments);
    va_end(arguments);
    return status;
}

/* See the header. */
void srv_command_member(struct buffer *out, bool first, const char *name, const char *text)
{
    dk_buffer_append_text(out, first ? "\"" : ",\"");
    dk_buffer_append_text(out, name);
    dk_buffer_append_text(out, "\":");
    dk_json_write_string(out, text, strlen(text));
}

/* See the header. */
void srv_command_number(struct buffer *out, bool first, const char *name, int64_t number)
{
    dk_buffer_append_text(out, first ? "\"" : ",\"");
    dk_buffer_append_text(out, name);
    dk_buffer_append_text(out, "\":");
    dk_buffer_append_int(out, number);
}

/* Checks a text given on the command line as a value of a field; the value borrows it. */
static bool check_text(struct command_run *run, const struct entity *entity, int field,
                       const char *text)
{
    struct refusal refusal = {REJECT_NONE, NULL, NULL};
    struct value value = {.kind = VALUE_TEXT, .length = (uint32_t)strlen(text), .text = text};
    if (text[0] != '\0' && dk_value_check(&entity->fields[field], &value, &refusal)) {
        return true;
    }
    (void)srv_command_fail(run, DAYBOOK_INVALID, "this %s is not possible: %s",
                           entity->fields[field].name,
                           refusal.rule == NULL ? "it is empty" : refusal.rule);
    return false;
}

/* Puts a rejection into the problem. */
static daybook_status explain(struct command_run *run, const struct draft *draft,
                              daybook_status status)
{
    if (status == DAYBOOK_RULE) {
        srv_draft_explain(&draft->verdict, run->problem, sizeof run->problem);
    }
    return status;
}

/* ---- init */

struct init_task {
    struct command_run *run;
    const char *name, *currency, *zone; /* zone NULL: tz_min holds */
    char offsets[DAY_OFFSETS_BYTES_MAX + 1];
    int64_t tz_min;
    struct id organisation;
};

/* Adds a territory to the draft, unless it is there: *id is derived from its name. */
static daybook_status add_territory(struct draft *draft, const char *name, struct id *id)
{
    const struct entity *entity = dk_entity(ENTITY_TERRITORY);
    struct srv_record row;
    bool found;
    if (!srv_key_id(draft->org, entity, name, strlen(name), id)) {
        return DAYBOOK_NO_MEMORY;
    }
    daybook_status status = srv_store_get(draft->decider->store, draft->org->org, entity, id,
                                          draft->arena, &row, &found);
    if (status != DAYBOOK_OK || found) {
        return status;
    }
    bool added = srv_draft_add(draft, BLOCK_NEW, entity, id, 0) != NULL &&
                 srv_draft_text(draft, TERRITORY_NAME, name);
    return added ? DAYBOOK_OK : DAYBOOK_NO_MEMORY;
}

/* Adds the organisation's record to the draft. */
static bool add_organisation(struct draft *draft, const struct init_task *task)
{
    struct value tz_min = {.kind = VALUE_INT, .integer = task->tz_min};
    return srv_draft_add(draft, BLOCK_NEW, dk_entity(ENTITY_ORGANISATION), &draft->org->id, 0) !=
               NULL &&
           srv_draft_text(draft, ORGANISATION_NAME, task->name) &&
           srv_draft_text(draft, ORGANISATION_CUR, task->currency) &&
           (task->zone == NULL
                ? srv_draft_value(draft, ORGANISATION_TZ_MIN, &tz_min)
                : srv_draft_text(draft, ORGANISATION_ZONE, task->zone) &&
                      srv_draft_text(draft, ORGANISATION_ZONE_OFFSETS, task->offsets));
}

/* The organisation's row and the buckets that are there from the beginning. */
static daybook_status make_organisation(struct decider *decider, struct init_task *task)
{
    struct id_maker maker = {0, 0};
    uint8_t random[10];
    int64_t org, bucket;
    if (!srv_random(random, sizeof random)) {
        return DAYBOOK_INTERNAL;
    }
    task->organisation = dk_id_make(&maker, srv_now_ms(), random);
    daybook_status status = srv_store_add_organisation(decider->store, &task->organisation, &org);
    if (status == DAYBOOK_OK) {
        status = srv_store_bucket(decider->store, org, SCOPE_ORGANISATION, &bucket);
    }
    if (status == DAYBOOK_OK) {
        status = srv_store_bucket(decider->store, org, SCOPE_NO_TERRITORY, &bucket);
    }
    return status == DAYBOOK_OK ? srv_decider_load(decider) : status;
}

/* The task of init: the organisation, the buckets that are always there, its record and the first
 * territory. */
static daybook_status init_run(struct decider *decider, void *context)
{
    struct init_task *task = context;
    struct draft draft;
    struct id territory;
    if (decider->org_count > 0) {
        return srv_command_fail(task->run, DAYBOOK_EXISTS, "there is an organisation already");
    }
    daybook_status status = make_organisation(decider, task);
    if (status == DAYBOOK_OK) {
        status = srv_draft_begin(&draft, decider);
    }
    if (status == DAYBOOK_OK && !add_organisation(&draft, task)) {
        status = DAYBOOK_NO_MEMORY;
    }
    if (status == DAYBOOK_OK) {
        status = add_territory(&draft, TERRITORY_DEFAULT, &territory);
    }
    if (status == DAYBOOK_OK) {
        status = explain(task->run, &draft, srv_draft_decide(&draft));
    }
    return status;
}

/* Takes the zone, or the minutes, from the command line. */
static daybook_status read_zone(struct command_run *run, struct init_task *task)
{
    const char *tz_min = srv_command_value(run->line, "tz-min");
    task->zone = srv_command_value(run->line, "zone");
    if (task->zone != NULL && tz_min != NULL) {
        return srv_command_fail(run, DAYBOOK_INVALID, "give --zone or --tz-min, not both");
    }
    if (task->zone != NULL) {
        return srv_zone_offsets(task->zone, srv_now_ms(), task->offsets, run->problem,
                                sizeof run->problem);
    }
    if (tz_min != NULL && (!dk_text_to_int64(tz_min, strlen(tz_min), &task->tz_min) ||
                           task->tz_min < -DAY_OFFSET_MAX || task->tz_min > DAY_OFFSET_MAX)) {
        return srv_command_fail(run, DAYBOOK_INVALID, "--tz-min is -900 to 900 minutes");
    }
    return DAYBOOK_OK;
}

/* See the header. */
daybook_status srv_command_init(struct command_run *run)
{
    const char *name = srv_command_value(run->line, "name");
    const char *currency = srv_command_value(run->line, "currency");
    struct init_task task = {.run = run,
                             .name = name == NULL ? NAME_DEFAULT : name,
                             .currency = currency == NULL ? CURRENCY_DEFAULT : currency};
    const struct entity *entity = dk_entity(ENTITY_ORGANISATION);
    char id[ID_TEXT_SIZE];
    if (!check_text(run, entity, ORGANISATION_NAME, task.name) ||
        !check_text(run, entity, ORGANISATION_CUR, task.currency)) {
        return DAYBOOK_INVALID;
    }
    daybook_status status = read_zone(run, &task);
    if (status == DAYBOOK_OK) {
        status = srv_run_task(run->service, init_run, &task);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    dk_id_to_text(&task.organisation, id);
    if (run->line->json) {
        dk_buffer_append_char(&run->out, '{');
        srv_command_member(&run->out, true, "organisation", id);
        dk_buffer_append_text(&run->out, "}\n");
    } else {
        dk_buffer_append_text(&run->out, "organisation ");
        dk_buffer_append_text(&run->out, id);
        dk_buffer_append_char(&run->out, '\n');
    }
    return DAYBOOK_OK;
}

/* ---- user add */

struct user_task {
    struct command_run *run;
    const char *login, *name, *role, *territory, *manager;
    struct id user;
};

/* Adds the user's record to the draft. */
static bool add_user(struct draft *draft, const struct user_task *task, const struct id *territory,
                     const struct id *manager)
{
    struct value territory_id = {.kind = VALUE_ID, .id = *territory};
    struct value manager_id = {.kind = dk_id_is_zero(manager) ? VALUE_NULL : VALUE_ID,
                               .id = *manager};
    return srv_draft_add(draft, BLOCK_NEW, dk_entity(ENTITY_USER), &task->user, 0) != NULL &&
           srv_draft_text(draft, USER_NAME, task->name) &&
           srv_draft_text(draft, USER_LOGIN, task->login) &&
           srv_draft_text(draft, USER_ROLE, task->role) &&
           srv_draft_value(draft, USER_TERRITORY_ID, &territory_id) &&
           srv_draft_value(draft, USER_MANAGER_ID, &manager_id);
}

/* Looks up who is named by a login; a zero id for NULL. */
static daybook_status find_manager(struct decider *decider, struct user_task *task,
                                   const struct decide_org *org, struct id *manager)
{
    bool found = true;
    daybook_status status = DAYBOOK_OK;
    memset(manager, 0, sizeof *manager);
    if (task->manager != NULL) {
        status = srv_store_find_login(decider->store, org->org, task->manager, manager, &found);
    }
    if (status == DAYBOOK_OK && !found) {
        return srv_command_fail(task->run, DAYBOOK_NOT_FOUND, "there is no user %s", task->manager);
    }
    return status;
}

/* The task of user add: the territory where it is missing, and the user, in one changeset. */
static daybook_status user_run(struct decider *decider, void *context)
{
    struct user_task *task = context;
    struct draft draft;
    struct id territory, manager, other;
    bool found = false;
    daybook_status status = srv_draft_begin(&draft, decider);
    if (status == DAYBOOK_NOT_FOUND) {
        return srv_command_fail(task->run, status, "there is no organisation yet: init makes one");
    }
    if (status == DAYBOOK_OK) {
        status = srv_store_find_login(decider->store, draft.org->org, task->login, &other, &found);
    }
    if (status == DAYBOOK_OK && found) {
        return srv_command_fail(task->run, DAYBOOK_EXISTS, "there is a user %s already",
                                task->login);
    }
    if (status == DAYBOOK_OK) {
        status = find_manager(decider, task, draft.org, &manager);
    }
    if (status == DAYBOOK_OK) {
        status = add_territory(&draft, task->territory, &territory);
    }
    if (status == DAYBOOK_OK && (!srv_key_id(draft.org, dk_entity(ENTITY_USER), task->login,
                                             strlen(task->login), &task->user) ||
                                 !add_user(&draft, task, &territory, &manager))) {
        status = DAYBOOK_NO_MEMORY;
    }
    return status == DAYBOOK_OK ? explain(task->run, &draft, srv_draft_decide(&draft)) : status;
}

/* See the header. */
daybook_status srv_command_user_add(struct command_run *run)
{
    const char *name = srv_command_value(run->line, "name");
    const char *role = srv_command_value(run->line, "role");
    const char *territory = srv_command_value(run->line, "territory");
    struct user_task task = {.run = run,
                             .login = run->line->arguments[0],
                             .name = name == NULL ? run->line->arguments[0] : name,
                             .role = role == NULL                  ? "rep"
                                     : strcmp(role, "office") == 0 ? "back_office"
                                                                   : role,
                             .territory = territory == NULL ? TERRITORY_DEFAULT : territory,
                             .manager = srv_command_value(run->line, "manager")};
    const struct entity *user = dk_entity(ENTITY_USER);
    char id[ID_TEXT_SIZE];
    if (!check_text(run, user, USER_LOGIN, task.login) ||
        !check_text(run, user, USER_NAME, task.name) ||
        !check_text(run, user, USER_ROLE, task.role) ||
        !check_text(run, dk_entity(ENTITY_TERRITORY), TERRITORY_NAME, task.territory)) {
        return DAYBOOK_INVALID;
    }
    daybook_status status = srv_run_task(run->service, user_run, &task);
    if (status != DAYBOOK_OK) {
        return status;
    }
    dk_id_to_text(&task.user, id);
    if (run->line->json) {
        dk_buffer_append_char(&run->out, '{');
        srv_command_member(&run->out, true, "user", id);
        srv_command_member(&run->out, false, "login", task.login);
        srv_command_member(&run->out, false, "role", task.role);
        srv_command_member(&run->out, false, "territory", task.territory);
        dk_buffer_append_text(&run->out, "}\n");
    } else {
        dk_buffer_append_text(&run->out, id);
        dk_buffer_append_char(&run->out, '\n');
    }
    return DAYBOOK_OK;
}
