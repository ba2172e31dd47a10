/* SPDX-License-Identifier: Apache-2.0
 *
 * The nightly job: documents that nobody works on go from open to recent to archive. Called by the
 * server's timer and the command classify; the work is done on the decider's thread, a bounded step
 * at a time, so that devices wait for one step at most. What moves is written as changesets of the
 * server. Invariants: 1. A step that is cut off has done nothing; the next run does it again. 2. A
 * run over documents that are where they belong writes nothing. 3. A document that no changeset can
 * move is passed over; it does not keep the others.
 */
#include "sync-server/inside.h"

#include "engine/base/text.h"
#include "engine/sales/day.h"
#include "sync-server/commands.h"

#include <string.h>

#define STEP_DOCUMENTS_MAX 100
#define SCRATCH_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define DAYS_MAX 3650
#define LAST_MAX 100

/* Where the run is: bucket by bucket, entity by entity, id by id. */
struct classify_step {
    struct class_rule rule;
    int64_t now_ms;
    int64_t bucket; /* 0: before the first */
    int kind;
    struct id after;
    int page;       /* documents of the next step; fewer after one that was too large */
    bool pass_over; /* the next one alone cannot be moved */
    bool finished;
    int64_t seen, moved;
};

/* The last documents of one customer, latest first. */
struct last_few {
    struct id customer;
    struct last_one {
        int64_t touched_ms;
        struct id id;
    } * ones;
    int count;
    struct last_few *next;
};

/* One step's documents. */
struct step {
    struct classify_step *run;
    struct decider *decider;
    struct decide_org *org;
    struct last_few *few;
    struct arena scratch; /* of one read */
    struct id ids[STEP_DOCUMENTS_MAX];
    enum srv_class classes[STEP_DOCUMENTS_MAX];
    int count;
};

/* ---- where it goes on */

/* Moves on to the next entity that has classes, in this bucket or the next. */
static daybook_status move_on(struct step *step)
{
    struct classify_step *run = step->run;
    memset(&run->after, 0, sizeof run->after);
    do {
        run->kind++;
    } while (run->kind < ENTITY_COUNT && !srv_class_applies(dk_entity(run->kind)));
    if (run->kind < ENTITY_COUNT && run->bucket != 0) {
        return DAYBOOK_OK;
    }
    run->kind = 0;
    while (!srv_class_applies(dk_entity(run->kind))) {
        run->kind++;
    }
    daybook_status status =
        srv_store_next_bucket(step->decider->store, step->org->org, run->bucket, &run->bucket);
    run->finished = run->bucket == 0;
    return status;
}

/* ---- what belongs where */

/* True where `one` was touched after `other`; ids break ties. */
static bool is_later(const struct last_one *one, const struct last_one *other)
{
    return one->touched_ms > other->touched_ms ||
           (one->touched_ms == other->touched_ms && dk_id_compare(&one->id, &other->id) > 0);
}

/* Enters a document into the list of the last ones, latest first, of at most `max`. */
static void enter(struct last_few *few, int64_t max, struct last_one one)
{
    int at = few->count;
    while (at > 0 && is_later(&one, &few->ones[at - 1])) {
        at--;
    }
    if (at >= max) {
        return;
    }
    few->count += few->count < max;
    memmove(&few->ones[at + 1], &few->ones[at], (size_t)(few->count - at - 1) * sizeof one);
    few->ones[at] = one;
}

/* Reads all documents of the customer, for the last ones. */
static daybook_status read_last(struct step *step, const struct entity *entity,
                                struct last_few *few)
{
    struct id after = {{0}};
    struct srv_record *rows;
    int count;
    daybook_status status;
    do {
        dk_arena_reset(&step->scratch);
        status = srv_store_related(step->decider->store, step->org->org, entity, entity->root_field,
                                   &few->customer, &after, STEP_DOCUMENTS_MAX, false,
                                   &step->scratch, &rows, &count);
        for (int i = 0; status == DAYBOOK_OK && i < count; i++) {
            after = rows[i].record.id;
            enter(few, step->run->rule.last,
                  (struct last_one){srv_class_touched_ms(&rows[i]), rows[i].record.id});
        }
    } while (status == DAYBOOK_OK && count == STEP_DOCUMENTS_MAX);
    return status;
}

/* The last documents of a customer, read once per step. */
static daybook_status find_last(struct step *step, const struct entity *entity,
                                const struct id *customer, struct last_few **out)
{
    struct arena *arena = &step->decider->arena;
    struct last_few *few = step->few;
    while (few != NULL && dk_id_compare(&few->customer, customer) != 0) {
        few = few->next;
    }
    *out = few;
    if (few != NULL) {
        return DAYBOOK_OK;
    }
    few = dk_arena_new(arena, sizeof *few);
    if (few == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    few->customer = *customer;
    few->ones = dk_arena_new(arena, ((size_t)step->run->rule.last + 1) * sizeof *few->ones);
    if (few->ones == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    few->next = step->few;
    step->few = *out = few;
    return read_last(step, entity, few);
}

/* Whether the document is one of the last of its customer. */
static daybook_status is_last(struct step *step, const struct record *record, bool *last)
{
    const struct value *customer = &record->values[record->entity->root_field];
    struct last_few *few;
    *last = false;
    if (customer->kind != VALUE_ID || step->run->rule.last == 0) {
        return DAYBOOK_OK;
    }
    daybook_status status = find_last(step, record->entity, &customer->id, &few);
    for (int i = 0; status == DAYBOOK_OK && i < few->count; i++) {
        *last = *last || dk_id_compare(&few->ones[i].id, &record->id) == 0;
    }
    return status;
}

/* Puts a document on the list where it is in the wrong class. */
static daybook_status look_at(struct step *step, const struct id *id)
{
    struct classify_step *run = step->run;
    struct srv_record row;
    bool found;
    bool last = false;
    daybook_status status =
        srv_store_get(step->decider->store, step->org->org, dk_entity(run->kind), id,
                      &step->decider->arena, &row, &found);
    if (status != DAYBOOK_OK || !found || row.deleted) {
        return status;
    }
    int64_t touched = srv_class_touched_ms(&row);
    enum srv_class class = srv_class_of(&run->rule, &row.record, touched, run->now_ms);
    if (class != CLASS_OPEN && srv_class_keeps_last(row.record.entity)) {
        status = is_last(step, &row.record, &last);
        class = last ? CLASS_OPEN : class;
    }
    run->seen++;
    if (status == DAYBOOK_OK && class != srv_bucket_class(row.bucket)) {
        step->ids[step->count] = *id;
        step->classes[step->count++] = class;
    }
    return status;
}

/* ---- one step, on the decider's thread */

/* Moves the listed documents that go to this class, as one changeset. */
static daybook_status move_to(struct step *step, struct draft *draft, enum srv_class class)
{
    for (int i = 0; i < step->count; i++) {
        if (step->classes[i] == class && srv_draft_add(draft, BLOCK_SET, dk_entity(step->run->kind),
                                                       &step->ids[i], step->org->head) == NULL) {
            return DAYBOOK_NO_MEMORY;
        }
    }
    step->run->moved += draft->count;
    draft->class = class;
    return draft->count == 0 ? DAYBOOK_OK : srv_draft_decide(draft);
}

/* Moves what is on the list. */
static daybook_status move_all(struct step *step)
{
    struct draft draft;
    daybook_status status = step->count == 0 ? DAYBOOK_OK : srv_draft_begin(&draft, step->decider);
    for (int class = 0; status == DAYBOOK_OK && step->count > 0 && class < CLASS_COUNT; class ++) {
        status = move_to(step, &draft, (enum srv_class) class);
    }
    return status;
}

/* Collects the ids of a page; they are looked at when the store is free again. */
struct page_ids {
    struct id ids[STEP_DOCUMENTS_MAX];
    int count, wanted;
};

/* Takes one record's id; see srv_each_record. */
static daybook_status take_id(void *context, const struct record *record, bool *stop)
{
    struct page_ids *page = context;
    page->ids[page->count++] = record->id;
    *stop = page->count == page->wanted;
    return DAYBOOK_OK;
}

/* One page of documents: each is looked at, and what is on the list moves. */
static daybook_status do_page(struct step *step)
{
    struct classify_step *run = step->run;
    struct page_ids page = {.wanted = run->page};
    daybook_status status =
        srv_store_bucket_records(step->decider->store, step->org->org, run->bucket,
                                 dk_entity(run->kind), &run->after, take_id, &page);
    for (int i = 0; status == DAYBOOK_OK && i < page.count && !run->pass_over; i++) {
        status = look_at(step, &page.ids[i]);
    }
    if (status == DAYBOOK_OK) {
        status = move_all(step);
    }
    if (status == DAYBOOK_OK && page.count == page.wanted) {
        run->after = page.ids[page.count - 1];
        return DAYBOOK_OK;
    }
    return status == DAYBOOK_OK ? move_on(step) : status;
}

/* The task: one step. */
static daybook_status step_run(struct decider *decider, void *context)
{
    struct step step = {.run = context, .decider = decider, .org = decider->orgs};
    daybook_status status = DAYBOOK_OK;
    if (decider->org_count == 0) {
        step.run->finished = true;
        return DAYBOOK_OK;
    }
    dk_arena_reset(&decider->arena);
    if (step.run->bucket == 0) {
        status = move_on(&step);
    }
    if (status == DAYBOOK_OK && !step.run->finished) {
        dk_arena_init(&step.scratch, SCRATCH_BYTES_MAX);
        status = do_page(&step);
        bool bound = step.scratch.full || decider->arena.full;
        status = status == DAYBOOK_NO_MEMORY && bound ? DAYBOOK_TOO_LARGE : status;
        dk_arena_clear(&step.scratch);
    }
    return status;
}

/* ---- nights */

/* A night that is asked for. */
struct night {
    int64_t hour, now_ms;
    int64_t next_ms; /* out */
};

/* The next moment at which it is the night's hour by the organisation's clocks (NULL: UTC's). In
 * the night in which they skip that hour, it is the moment when they do or an hour before it. */
static int64_t next_night(const struct record *organisation, int64_t hour, int64_t now_ms)
{
    int64_t offset_ms = dk_day_offset_min(organisation, now_ms) * 60000;
    int64_t local_ms = now_ms + offset_ms;
    int64_t hour_ms = local_ms - local_ms % CLASS_DAY_MS + hour * 3600000;
    int64_t night_ms;
    do {
        night_ms = hour_ms - dk_day_offset_min(organisation, hour_ms - offset_ms) * 60000;
        hour_ms += CLASS_DAY_MS;
    } while (night_ms <= now_ms);
    return night_ms;
}

/* The task: the next night of the first organisation. */
static daybook_status night_run(struct decider *decider, void *context)
{
    struct night *night = context;
    struct srv_record row;
    bool found;
    if (decider->org_count == 0) {
        return DAYBOOK_OK;
    }
    daybook_status status =
        srv_store_get(decider->store, decider->orgs[0].org, dk_entity(ENTITY_ORGANISATION),
                      &decider->orgs[0].id, &decider->arena, &row, &found);
    if (status == DAYBOOK_OK && found) {
        night->next_ms = next_night(&row.record, night->hour, night->now_ms);
    }
    return status;
}

/* See the header. Where the zone cannot be read, it is UTC's hour. */
int64_t srv_service_next_night(struct service *service, int64_t hour, int64_t now_ms)
{
    struct night night = {hour, now_ms, next_night(NULL, hour, now_ms)};
    (void)srv_run_task(service, night_run, &night);
    return night.next_ms;
}

/* See the header. */
daybook_status srv_service_night(struct service *service, bool (*stop)(void *context),
                                 void *context)
{
    int64_t seen, moved;
    char problem[300];
    daybook_status zone = srv_zone_renew(service, srv_now_ms(), problem, sizeof problem);
    if (zone != DAYBOOK_OK) {
        dk_log(&service->log, LOG_ERROR, "zone offsets stay as they are, status=%d: %s", (int)zone,
               problem);
    }
    daybook_status status =
        srv_classify(service, &service->classes, srv_now_ms(), stop, context, &seen, &moved);
    dk_log(&service->log, status == DAYBOOK_OK ? LOG_INFO : LOG_ERROR,
           "classified status=%d seen=%lld moved=%lld", (int)status, (long long)seen,
           (long long)moved);
    daybook_status cut = srv_compact_by_settings(service);
    status = status == DAYBOOK_OK ? cut : status;
    return status == DAYBOOK_OK ? zone : status;
}

/* ---- runs */

/* What comes after a step that was refused or too large, which has done nothing: half of it, and at
 * last the document that is at fault is passed over. Not OK: the run ends with that. */
static daybook_status retry(struct service *service, struct classify_step *run,
                            daybook_status status)
{
    bool bounds = status == DAYBOOK_RULE || status == DAYBOOK_TOO_LARGE;
    if (!bounds || run->pass_over) {
        return status;
    }
    if (run->page == 1) {
        run->pass_over = true;
        dk_log(&service->log, LOG_ERROR, "classify passes over a document of %s, status=%d",
               dk_entity(run->kind)->name, (int)status);
    }
    run->page = run->page > 1 ? run->page / 2 : 1;
    return DAYBOOK_OK;
}

/* See the header. */
daybook_status srv_classify(struct service *service, const struct class_rule *rule, int64_t now_ms,
                            bool (*stop)(void *context), void *context, int64_t *seen,
                            int64_t *moved)
{
    struct classify_step run = {.rule = *rule, .now_ms = now_ms, .page = STEP_DOCUMENTS_MAX};
    daybook_status status = DAYBOOK_OK;
    while (status == DAYBOOK_OK && !run.finished && (stop == NULL || !stop(context))) {
        struct classify_step before = run;
        status = srv_run_task(service, step_run, &run);
        if (status == DAYBOOK_OK) {
            run.pass_over = false;
            run.page = run.page * 2 < STEP_DOCUMENTS_MAX ? run.page * 2 : STEP_DOCUMENTS_MAX;
            continue;
        }
        run = before;
        status = retry(service, &run, status);
    }
    *seen = run.seen;
    *moved = run.moved;
    return status;
}

/* ---- the command */

/* A number of the command line in the place of the rule's. */
static bool read_number(struct command_run *run, const char *name, int64_t max, int64_t *number)
{
    const char *text = srv_command_value(run->line, name);
    if (text == NULL ||
        (dk_text_to_int64(text, strlen(text), number) && *number >= 0 && *number <= max)) {
        return true;
    }
    (void)srv_command_fail(run, DAYBOOK_INVALID, "--%s is 0 to %lld", name, (long long)max);
    return false;
}

/* See the header. */
daybook_status srv_command_classify(struct command_run *run)
{
    struct class_rule rule = run->service->classes;
    int64_t seen, moved;
    char text[120];
    if (!read_number(run, "open-days", DAYS_MAX, &rule.open_days) ||
        !read_number(run, "recent-days", DAYS_MAX, &rule.recent_days) ||
        !read_number(run, "last", LAST_MAX, &rule.last)) {
        return DAYBOOK_INVALID;
    }
    if (rule.recent_days < rule.open_days) {
        return srv_command_fail(run, DAYBOOK_INVALID, "--recent-days is less than --open-days");
    }
    daybook_status status =
        srv_zone_renew(run->service, srv_now_ms(), run->problem, sizeof run->problem);
    if (status != DAYBOOK_OK) {
        return status;
    }
    status = srv_classify(run->service, &rule, srv_now_ms(), NULL, NULL, &seen, &moved);
    (void)dk_text_format(text, sizeof text,
                         run->line->json ? "{\"seen\":%lld,\"moved\":%lld}\n"
                                         : "%lld documents, %lld moved\n",
                         (long long)seen, (long long)moved);
    dk_buffer_append_text(&run->out, text);
    return status;
}
