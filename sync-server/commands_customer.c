/* SPDX-License-Identifier: Apache-2.0
 *
 * The command customer merge: two records of one customer become one. Called by
 * srv_service_command. Invariant: all of it is one transaction; it is written by changesets of the
 * server, decided like everybody's.
 */
#include "sync-server/inside.h"

#include "engine/base/text.h"
#include "sync-server/commands.h"

#include <string.h>

#define MERGE_PAGE 500  /* records that one changeset moves */
#define MERGE_MAX 20000 /* records that one command moves */
#define PAGE_BYTES_MAX ((size_t)64 * 1024 * 1024)

struct merge_task {
    struct command_run *run;
    struct id from, into;
    int moved;
};

/* One of the two: it is there. */
static daybook_status load_customer(struct draft *draft, struct merge_task *task,
                                    const struct id *id, struct srv_record *row)
{
    bool found = false;
    char text[ID_TEXT_SIZE];
    struct decider *decider = draft->decider;
    daybook_status status = srv_store_get(
        decider->store, draft->org->org, dk_entity(ENTITY_CUSTOMER), id, draft->arena, row, &found);
    if (status == DAYBOOK_OK && (!found || row->deleted)) {
        dk_id_to_text(id, text);
        return srv_command_fail(task->run, DAYBOOK_NOT_FOUND, "there is no customer %s", text);
    }
    return status;
}

/* Both are there, the first is not merged yet, and who sees the one sees the other. */
static daybook_status check_customers(struct draft *draft, struct merge_task *task,
                                      struct srv_record *from)
{
    struct srv_record into;
    daybook_status status = load_customer(draft, task, &task->from, from);
    if (status == DAYBOOK_OK) {
        status = load_customer(draft, task, &task->into, &into);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (from->record.values[CUSTOMER_REDIRECT_TO].kind == VALUE_ID) {
        return srv_command_fail(task->run, DAYBOOK_EXISTS,
                                "the first customer has been merged before");
    }
    return from->bucket == into.bucket
               ? DAYBOOK_OK
               : srv_command_fail(task->run, DAYBOOK_RULE,
                                  "the customers are of two territories: move one of them first");
}

/* Decides what was drafted; says why where it is refused. */
static daybook_status decide(struct draft *draft, struct merge_task *task)
{
    daybook_status status = draft->count == 0 ? DAYBOOK_OK : srv_draft_decide(draft);
    if (status == DAYBOOK_RULE) {
        srv_draft_explain(&draft->verdict, task->run->problem, sizeof task->run->problem);
    }
    return status;
}

/* The next page of an entity's records that name the first customer, into a changeset. */
static daybook_status draft_page(struct draft *draft, struct merge_task *task,
                                 const struct entity *entity, struct id *after, int *count)
{
    struct value into = {.kind = VALUE_ID, .id = task->into};
    struct srv_record *rows;
    daybook_status status =
        srv_store_related(draft->decider->store, draft->org->org, entity, entity->root_field,
                          &task->from, after, MERGE_PAGE, false, draft->arena, &rows, count);
    for (int i = 0; status == DAYBOOK_OK && i < *count; i++) {
        *after = rows[i].record.id;
        bool added =
            srv_draft_add(draft, BLOCK_SET, entity, after, rows[i].record.version) != NULL &&
            srv_draft_value(draft, entity->root_field, &into);
        status = added ? DAYBOOK_OK : DAYBOOK_NO_MEMORY;
    }
    return status;
}

/* All records of an entity that name the first customer name the other from now on. A page is
 * forgotten once it is decided. */
static daybook_status move_entity(struct draft *draft, struct merge_task *task,
                                  const struct entity *entity)
{
    struct id after = {{0}};
    struct arena page, *whole = draft->arena;
    int count;
    daybook_status status;
    dk_arena_init(&page, PAGE_BYTES_MAX);
    draft->arena = &page;
    do {
        status = draft_page(draft, task, entity, &after, &count);
        task->moved += status == DAYBOOK_OK ? count : 0;
        if (status == DAYBOOK_OK && task->moved > MERGE_MAX) {
            status = srv_command_fail(task->run, DAYBOOK_TOO_LARGE,
                                      "more than %d records name the first customer", MERGE_MAX);
        }
        if (status == DAYBOOK_OK) {
            status = decide(draft, task);
            dk_arena_reset(&page);
        }
    } while (status == DAYBOOK_OK && count == MERGE_PAGE);
    draft->arena = whole;
    dk_arena_clear(&page);
    return status;
}

/* The task: the redirect first, so that what follows is led on by it. */
static daybook_status merge_run(struct decider *decider, void *context)
{
    struct merge_task *task = context;
    struct draft draft;
    struct srv_record from;
    struct value into = {.kind = VALUE_ID, .id = task->into};
    daybook_status status = srv_draft_begin(&draft, decider);
    if (status == DAYBOOK_OK) {
        status = check_customers(&draft, task, &from);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    bool added = srv_draft_add(&draft, BLOCK_SET, dk_entity(ENTITY_CUSTOMER), &task->from,
                               from.record.version) != NULL &&
                 srv_draft_value(&draft, CUSTOMER_REDIRECT_TO, &into);
    status = added ? decide(&draft, task) : DAYBOOK_NO_MEMORY;
    for (int kind = 0; kind < ENTITY_COUNT && status == DAYBOOK_OK; kind++) {
        const struct entity *entity = dk_entity(kind);
        bool named = entity->root == ROOT_RECORD &&
                     entity->fields[entity->root_field].target == ENTITY_CUSTOMER;
        status = named ? move_entity(&draft, task, entity) : DAYBOOK_OK;
    }
    return status;
}

/* See the header. */
daybook_status srv_command_customer_merge(struct command_run *run)
{
    struct merge_task task = {.run = run};
    const char *from = run->line->arguments[0], *into = run->line->arguments[1];
    if (!dk_id_from_text(from, strlen(from), &task.from) ||
        !dk_id_from_text(into, strlen(into), &task.into)) {
        return srv_command_fail(run, DAYBOOK_INVALID, "a customer is a UUID");
    }
    daybook_status status = srv_run_task(run->service, merge_run, &task);
    if (status == DAYBOOK_OK && run->line->json) {
        dk_buffer_append_char(&run->out, '{');
        srv_command_number(&run->out, true, "moved", task.moved);
        dk_buffer_append_text(&run->out, "}\n");
    }
    return status;
}
