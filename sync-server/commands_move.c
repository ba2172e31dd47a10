/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands user change and customer reassign: who sees what from now on, written as changesets
 * of the server. Called by srv_service_command. Invariant: each command is one changeset; it takes
 * effect for all that it names or for nothing.
 */
#include "sync-server/inside.h"

#include "sync-server/commands.h"

#include <string.h>

/* Puts a rejection into the problem. */
static daybook_status decide(struct command_run *run, struct draft *draft)
{
    daybook_status status = srv_draft_decide(draft);
    if (status == DAYBOOK_RULE) {
        srv_draft_explain(&draft->verdict, run->problem, sizeof run->problem);
    }
    return status;
}

/* Begins the draft; says so where there is nothing to write to. */
static daybook_status begin(struct command_run *run, struct draft *draft, struct decider *decider)
{
    daybook_status status = srv_draft_begin(draft, decider);
    return status == DAYBOOK_NOT_FOUND
               ? srv_command_fail(run, status, "there is no organisation yet: init makes one")
               : status;
}

/* Looks up what an option names. */
static daybook_status find(struct command_run *run, struct draft *draft, int entity,
                           const char *name, struct id *id)
{
    daybook_status status = srv_draft_find(draft, entity, name, id);
    return status == DAYBOOK_NOT_FOUND
               ? srv_command_fail(run, status, "there is no %s %.100s",
                                  entity == ENTITY_USER ? "user" : "territory", name)
               : status;
}

/* Sets an ID field of the last change to what an option names, if it is given; an empty name takes
 * the value away. */
static daybook_status set_named(struct command_run *run, struct draft *draft, const char *option,
                                int field, int entity)
{
    const char *name = srv_command_value(run->line, option);
    struct value value = {.kind = VALUE_NULL};
    daybook_status status = DAYBOOK_OK;
    if (name == NULL) {
        return DAYBOOK_OK;
    }
    if (name[0] != '\0') {
        value.kind = VALUE_ID;
        status = find(run, draft, entity, name, &value.id);
    }
    if (status == DAYBOOK_OK && !srv_draft_value(draft, field, &value)) {
        status = DAYBOOK_NO_MEMORY;
    }
    return status;
}

/* ---- user change */

/* Sets role and disabled of the last change, if they are given. */
static daybook_status set_access(struct command_run *run, struct draft *draft)
{
    const char *role = srv_command_value(run->line, "role");
    const char *disabled = srv_command_value(run->line, "disabled");
    struct value value = {.kind = VALUE_INT};
    if (role != NULL &&
        !srv_draft_text(draft, USER_ROLE, strcmp(role, "office") == 0 ? "back_office" : role)) {
        return DAYBOOK_NO_MEMORY;
    }
    if (disabled == NULL) {
        return DAYBOOK_OK;
    }
    value.integer = strcmp(disabled, "yes") == 0;
    if (value.integer == 0 && strcmp(disabled, "no") != 0) {
        return srv_command_fail(run, DAYBOOK_INVALID, "--disabled is yes or no");
    }
    return srv_draft_value(draft, USER_DISABLED, &value) ? DAYBOOK_OK : DAYBOOK_NO_MEMORY;
}

/* The role is one of the field's texts. */
static bool check_role(struct command_run *run)
{
    const char *role = srv_command_value(run->line, "role");
    struct refusal refusal = {REJECT_NONE, NULL, NULL};
    if (role == NULL || strcmp(role, "office") == 0) {
        return true;
    }
    struct value value = {.kind = VALUE_TEXT, .length = (uint32_t)strlen(role), .text = role};
    if (dk_value_check(&dk_entity(ENTITY_USER)->fields[USER_ROLE], &value, &refusal)) {
        return true;
    }
    (void)srv_command_fail(run, DAYBOOK_INVALID, "there is no role %.100s", role);
    return false;
}

/* The task: one change of the user's record. */
static daybook_status user_run(struct decider *decider, void *context)
{
    struct command_run *run = context;
    struct draft draft;
    struct id user;
    daybook_status status = begin(run, &draft, decider);
    if (status == DAYBOOK_OK) {
        status = find(run, &draft, ENTITY_USER, run->line->arguments[0], &user);
    }
    if (status == DAYBOOK_OK &&
        srv_draft_add(&draft, BLOCK_SET, dk_entity(ENTITY_USER), &user, draft.org->head) == NULL) {
        status = DAYBOOK_NO_MEMORY;
    }
    if (status == DAYBOOK_OK) {
        status = set_named(run, &draft, "territory", USER_TERRITORY_ID, ENTITY_TERRITORY);
    }
    if (status == DAYBOOK_OK) {
        status = set_named(run, &draft, "manager", USER_MANAGER_ID, ENTITY_USER);
    }
    if (status == DAYBOOK_OK) {
        status = set_access(run, &draft);
    }
    if (status == DAYBOOK_OK && draft.changes[0].value_count == 0) {
        return srv_command_fail(run, DAYBOOK_INVALID,
                                "say what is to change: --role, --territory,"
                                " --manager or --disabled");
    }
    return status == DAYBOOK_OK ? decide(run, &draft) : status;
}

/* See the header. */
daybook_status srv_command_user_change(struct command_run *run)
{
    if (!check_role(run)) {
        return DAYBOOK_INVALID;
    }
    return srv_run_task(run->service, user_run, run);
}

/* ---- customer reassign */

/* Adds the change of one customer, who is there. */
static daybook_status add_customer(struct command_run *run, struct draft *draft, const char *text)
{
    const struct entity *entity = dk_entity(ENTITY_CUSTOMER);
    char into[ID_TEXT_SIZE];
    struct srv_record row;
    struct id id;
    bool found;
    if (!dk_id_from_text(text, strlen(text), &id)) {
        return srv_command_fail(run, DAYBOOK_INVALID, "%.60s is no id", text);
    }
    daybook_status status = srv_store_get(draft->decider->store, draft->org->org, entity, &id,
                                          draft->arena, &row, &found);
    if (status == DAYBOOK_OK && (!found || row.deleted)) {
        return srv_command_fail(run, DAYBOOK_NOT_FOUND, "there is no customer %s", text);
    }
    if (status == DAYBOOK_OK && row.record.values[CUSTOMER_REDIRECT_TO].kind == VALUE_ID) {
        dk_id_to_text(&row.record.values[CUSTOMER_REDIRECT_TO].id, into);
        return srv_command_fail(run, DAYBOOK_RULE, "customer %s goes where %s goes", text, into);
    }
    if (status == DAYBOOK_OK &&
        srv_draft_add(draft, BLOCK_SET, entity, &id, draft->org->head) == NULL) {
        status = DAYBOOK_NO_MEMORY;
    }
    if (status == DAYBOOK_OK) {
        status = set_named(run, draft, "territory", CUSTOMER_TERRITORY_ID, ENTITY_TERRITORY);
    }
    return status == DAYBOOK_OK ? set_named(run, draft, "owner", CUSTOMER_OWNER_ID, ENTITY_USER)
                                : status;
}

/* The task: all customers in one changeset. */
static daybook_status customer_run(struct decider *decider, void *context)
{
    struct command_run *run = context;
    struct draft draft;
    daybook_status status = begin(run, &draft, decider);
    for (int i = 0; status == DAYBOOK_OK && i < run->line->argument_count; i++) {
        status = add_customer(run, &draft, run->line->arguments[i]);
    }
    return status == DAYBOOK_OK ? decide(run, &draft) : status;
}

/* See the header. */
daybook_status srv_command_customer_reassign(struct command_run *run)
{
    if (srv_command_value(run->line, "territory") == NULL &&
        srv_command_value(run->line, "owner") == NULL) {
        return srv_command_fail(run, DAYBOOK_INVALID, "say to whom: --territory or --owner");
    }
    return srv_run_task(run->service, customer_run, run);
}
