/* SPDX-License-Identifier: Apache-2.0
 *
 * What a server with a newer schema makes of the records that were decided under an older one: it
 * judges what was given for fields before they were known (decide/given.c), before anybody is
 * served; gives them the values that follow from theirs, by the conversions that changesets go
 * through, and their first states; and computes the derived fields that are new. Called once a
 * start, by the thread that waits for the end; the work is done on the decider's thread, a bounded
 * step at a time. What is added is written as changesets of the server, so devices of every schema
 * get it, but for what is derived, which each computes by itself. Invariants: 1. A value counts as
 * given when the record was last written to, so that it is later than nothing that anybody has
 * given, and makes no old document a fresh one. 2. A field that anybody has written to stays as it
 * is. 3. A run that was cut off begins anew, and adds nothing twice.
 */
#include "sync-server/inside.h"

#include "engine/protocol/convert.h"

#include <string.h>

#define STEP_RECORDS_MAX 50

/* Where the run is: entity by entity, id by id. */
struct convert_step {
    int64_t schema; /* of the records; 0: not read yet */
    bool given;     /* only records for which something was given that is to be judged */
    int kind;
    struct id after;
    int page;       /* records of the next step; fewer after one that failed */
    bool pass_over; /* the next one alone cannot be converted */
    bool finished;
    int64_t converted, passed_over;
};

/* Whether any conversion is about records of this entity and schema. */
static bool is_converted(int kind, int64_t schema)
{
    const struct conversion *row = dk_conversions;
    while (row->schema != 0 && (row->entity != kind || row->schema <= schema)) {
        row++;
    }
    return row->schema != 0;
}

/* Whether records of this entity have fields of this policy that this schema did not know. */
static bool has_new(int kind, int64_t schema, enum merge_policy policy)
{
    const struct entity *entity = dk_entity(kind);
    bool more = false;
    for (int i = 0; i < entity->field_count; i++) {
        more = more || (entity->fields[i].policy == policy && entity->fields[i].since > schema);
    }
    return more;
}

/* The record as the change that would make it. False: no memory. */
static bool as_change(const struct record *record, struct arena *arena, struct change *change)
{
    const struct entity *entity = record->entity;
    *change = (struct change){.op = BLOCK_NEW, .entity = entity, .id = record->id};
    change->values = dk_arena_new(arena, (size_t)entity->field_count * sizeof *change->values);
    for (int field = 0; field < entity->field_count && change->values != NULL; field++) {
        if (record->values[field].kind != VALUE_NULL) {
            change->values[change->value_count++] =
                (struct field_value){.field = field, .value = record->values[field]};
        }
    }
    return change->values != NULL;
}

/* Adds the values that the record lacks to a draft of its own, and decides that. */
static daybook_status convert(struct convert_step *run, struct draft *draft,
                              const struct srv_record *row)
{
    struct change change;
    int state = row->record.entity->state_field;
    bool any = run->given || (state >= 0 && row->record.values[state].kind == VALUE_NULL);
    if (!as_change(&row->record, draft->arena, &change) ||
        !dk_convert_change(&change, (int)run->schema, draft->arena) ||
        srv_draft_add(draft, BLOCK_SET, row->record.entity, &row->record.id, row->record.version) ==
            NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    for (int i = 0; i < change.value_count; i++) {
        const struct field_value *value = &change.values[i];
        bool added = (change.added >> value->field & 1) != 0 && value->value.kind != VALUE_NULL &&
                     row->stamps[value->field].position == 0;
        if (added && !srv_draft_value(draft, value->field, &value->value)) {
            return DAYBOOK_NO_MEMORY;
        }
        any = any || added;
    }
    if (!any) {
        draft->count = 0;
        return DAYBOOK_OK;
    }
    draft->converts = true;
    draft->class = srv_bucket_class(row->bucket);
    draft->time_ms = srv_class_touched_ms(row);
    run->converted++;
    return srv_draft_decide(draft);
}

/* One page of records of one entity. */
static daybook_status do_records(struct convert_step *run, struct draft *draft, int *count)
{
    struct decider *decider = draft->decider;
    struct srv_record *rows;
    bool converted =
        is_converted(run->kind, run->schema) || has_new(run->kind, run->schema, POLICY_STATE);
    daybook_status status = srv_store_list(decider->store, draft->org->org, dk_entity(run->kind),
                                           &run->after, run->page, &decider->arena, &rows, count);
    for (int i = 0; status == DAYBOOK_OK && i < *count; i++) {
        run->after = rows[i].record.id;
        status = run->pass_over || !converted ? DAYBOOK_OK : convert(run, draft, &rows[i]);
    }
    if (status == DAYBOOK_OK && !run->pass_over &&
        has_new(run->kind, run->schema, POLICY_DERIVED)) {
        status = srv_decide_derive_anew(decider->decide, draft->org, &draft->author, rows, *count,
                                        srv_now_ms());
    }
    return status;
}

/* Whether all that was given for a record is of fields that are not known yet. */
static daybook_status is_open(struct draft *draft, const struct entity *entity, const struct id *id,
                              bool *open)
{
    struct srv_given *rows;
    int count;
    daybook_status status = srv_store_given(draft->decider->store, draft->org->org, entity, id,
                                            draft->arena, &rows, &count);
    *open = true;
    for (int i = 0; status == DAYBOOK_OK && i < count; i++) {
        *open = *open && dk_entity_field(entity, rows[i].name, rows[i].name_length, -1) < 0;
    }
    return status;
}

/* What was given for fields that are known by now is not judged any more. */
static daybook_status forget(struct draft *draft, const struct entity *entity, const struct id *id)
{
    daybook_status status = DAYBOOK_OK;
    for (int i = 0; status == DAYBOOK_OK && i < entity->field_count; i++) {
        status = srv_store_remove_given(draft->decider->store, draft->org->org, entity, id,
                                        entity->fields[i].name);
    }
    return status;
}

/* One page of records for which something was given. A tombstone stays as it is; if it comes back,
 * it has what came of it by LATEST. */
static daybook_status do_given(struct convert_step *run, struct draft *draft, int *count)
{
    const struct entity *entity = dk_entity(run->kind);
    struct srv_store *store = draft->decider->store;
    struct id *ids;
    daybook_status status = srv_store_list_given(store, draft->org->org, entity, &run->after,
                                                 run->page, draft->arena, &ids, count);
    for (int i = 0; status == DAYBOOK_OK && i < *count; i++) {
        struct srv_record row;
        bool open, found = false;
        run->after = ids[i];
        status = is_open(draft, entity, &ids[i], &open);
        if (status == DAYBOOK_OK && !open) {
            status =
                srv_store_get(store, draft->org->org, entity, &ids[i], draft->arena, &row, &found);
        }
        if (status == DAYBOOK_OK && found && !row.deleted && !run->pass_over) {
            status = convert(run, draft, &row);
        }
        if (status == DAYBOOK_OK && !open) {
            status = forget(draft, entity, &ids[i]);
        }
    }
    return status;
}

/* One page. */
static daybook_status do_page(struct convert_step *run, struct decider *decider)
{
    struct draft draft;
    int count = 0;
    daybook_status status = srv_draft_begin(&draft, decider);
    if (status == DAYBOOK_OK) {
        status = run->given ? do_given(run, &draft, &count) : do_records(run, &draft, &count);
    }
    if (status == DAYBOOK_OK && count < run->page) {
        run->kind++;
        memset(&run->after, 0, sizeof run->after);
    }
    return status;
}

/* Whether there may be something to do for records of the entity under way. */
static bool is_concerned(const struct convert_step *run)
{
    return run->given || is_converted(run->kind, run->schema) ||
           has_new(run->kind, run->schema, POLICY_STATE) ||
           has_new(run->kind, run->schema, POLICY_DERIVED);
}

/* The task: one step; the last one notes that all is done. */
static daybook_status step_run(struct decider *decider, void *context)
{
    struct convert_step *run = context;
    daybook_status status = DAYBOOK_OK;
    dk_arena_reset(&decider->arena);
    if (run->schema == 0) {
        status = srv_store_get_converted(decider->store, &run->schema);
    }
    while (run->kind < ENTITY_COUNT && !is_concerned(run)) {
        run->kind++;
    }
    if (status == DAYBOOK_OK && run->given && run->schema == SCHEMA_VERSION) {
        run->kind = ENTITY_COUNT; /* it was done when the schema was learned */
    }
    if (status != DAYBOOK_OK || (run->kind < ENTITY_COUNT && decider->org_count > 0)) {
        status = status == DAYBOOK_OK ? do_page(run, decider) : status;
        bool bound = status == DAYBOOK_NO_MEMORY && decider->arena.full;
        return bound ? DAYBOOK_TOO_LARGE : status;
    }
    run->finished = true;
    return run->schema < SCHEMA_VERSION && !run->given
               ? srv_store_set_converted(decider->store, SCHEMA_VERSION)
               : DAYBOOK_OK;
}

/* What comes after a step that was refused or too large, which has done nothing: one record at a
 * time, and the one that is at fault is passed over. Not OK: the run ends with that. */
static daybook_status retry(struct convert_step *run, daybook_status status)
{
    bool bounds =
        status == DAYBOOK_RULE || status == DAYBOOK_TOO_LARGE || status == DAYBOOK_OUT_OF_RANGE;
    if (!bounds || run->pass_over) {
        return status;
    }
    run->pass_over = run->page == 1;
    run->passed_over += run->pass_over;
    run->page = 1;
    return DAYBOOK_OK;
}

/* All steps of one kind of run. */
static daybook_status run_all(struct service *service, bool given, bool (*stop)(void *context),
                              void *context)
{
    struct convert_step run = {.page = STEP_RECORDS_MAX, .given = given};
    daybook_status status = DAYBOOK_OK;
    while (status == DAYBOOK_OK && !run.finished && (stop == NULL || !stop(context))) {
        struct convert_step before = run;
        status = srv_run_task(service, step_run, &run);
        if (status == DAYBOOK_OK) {
            run.pass_over = false;
            run.page = run.page * 2 < STEP_RECORDS_MAX ? run.page * 2 : STEP_RECORDS_MAX;
            continue;
        }
        run = before;
        status = retry(&run, status);
    }
    if (run.converted + run.passed_over > 0 || status != DAYBOOK_OK) {
        dk_log(&service->log, status == DAYBOOK_OK ? LOG_INFO : LOG_ERROR,
               "%s records=%lld passed_over=%lld status=%d", given ? "judged" : "converted",
               (long long)run.converted, (long long)run.passed_over, (int)status);
    }
    return status;
}

/* See service.h. */
daybook_status srv_service_judge(struct service *service)
{
    return run_all(service, true, NULL, NULL);
}

/* See service.h. */
daybook_status srv_service_convert(struct service *service, bool (*stop)(void *context),
                                   void *context)
{
    return run_all(service, false, stop, context);
}
