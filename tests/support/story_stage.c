/* SPDX-License-Identifier: Apache-2.0
 *
 * Tells stories: brings the people of a story together around a real server, and does sentence by
 * sentence what it says. Called by tests. Invariants: whoever a story does not name does nothing in
 * it; at its end all its devices equal the server; what an operator did, or a story that broke off
 * left behind, is not there for the next one.
 */
#include "tests/support/story_inside.h"

#include "engine/base/text.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define ARGUMENTS_MAX 16

bool story_untrue(struct story_stage *stage, const char *format, ...)
{
    const char *source = stage->step->source;
    va_list list;
    int used = snprintf(stage->problem, STORY_PROBLEM_SIZE, "line %d, order %d: %.*s\n    ",
                        stage->step->line, stage->order, (int)strcspn(source, "\n"), source);
    va_start(list, format);
    (void)vsnprintf(stage->problem + used, (size_t)(STORY_PROBLEM_SIZE - used), format, list);
    va_end(list);
    return false;
}

/* ---- people */

struct story_stage *story_stage_new(void)
{
    struct story_stage *stage = calloc(1, sizeof *stage);
    assert_non_null(stage);
    return stage;
}

static void close_company(struct story_stage *stage)
{
    if (stage->is_open) {
        company_close(&stage->company);
    }
    memset(stage->reps, 0, sizeof stage->reps);
    stage->is_open = stage->is_spent = false;
}

void story_stage_free(struct story_stage *stage)
{
    if (stage != NULL) {
        close_company(stage);
        free(stage);
    }
}

const struct story_shown *story_shown(const struct story_stage *stage)
{
    return &stage->shown;
}

/* Brings somebody, and whose device it is before. Nobody cuts the power in a story, so devices need
 * not wait for the disk. */
static void hire(struct story_stage *stage, int person)
{
    const struct story_role *role = &story_people[person];
    if (stage->reps[person] != NULL) {
        return;
    }
    if (role->device_of >= 0) {
        hire(stage, role->device_of);
        stage->reps[person] = company_second_device(&stage->company, stage->reps[role->device_of]);
    } else {
        struct rep *rep = company_add(&stage->company, role->name, role->role, role->territory);
        rep->device.options.relaxed = true;
        rep_begin(rep);
        stage->reps[person] = rep;
    }
}

static void empty_inbox(struct rep *rep)
{
    int64_t item;
    while ((item = device_int(&rep->device, "SELECT item FROM inbox LIMIT 1")) >= 0) {
        device_must(daybook_inbox_discard(rep->device.engine, item), NULL);
    }
}

/* Everybody of the story is there, in step, with nothing to deal with; whoever else there is does
 * not take part. */
static void gather(struct story_stage *stage)
{
    if (stage->is_spent) {
        close_company(stage);
    }
    if (!stage->is_open) {
        company_open(&stage->company);
        stage->is_open = true;
    }
    /* Whatever ends this story before its end, the next one begins anew. */
    stage->is_spent = true;
    for (int i = 0; i < stage->company.count; i++) {
        stage->company.reps[i].left = true;
    }
    for (int person = 0; person < STORY_PEOPLE; person++) {
        for (int name = 0; name < STORY_NAMES_MAX; name++) {
            stage->opened[person][name] = -1;
        }
        stage->ahead_ms[person] = 0;
        if (stage->story->people[person]) {
            hire(stage, person);
            struct rep *rep = stage->reps[person];
            rep->left = false;
            rep_sync(rep);
            empty_inbox(rep);
            tap_forget(&rep->tap);
        }
    }
    stage->shop[0] = '\0';
    stage->writes = 0;
}

/* ---- the other sentences */

static void sync_each(struct story_stage *stage, int rounds)
{
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < stage->step->who_count; i++) {
            rep_sync(stage->reps[stage->step->who[i]]);
        }
    }
}

/* The people of the sentence in the order of this telling: of those who are left, the one with the
 * number that the order's last digit names comes next. */
static void sync_in_order(struct story_stage *stage)
{
    int left[STORY_WHO_MAX];
    int order = stage->order;
    memcpy(left, stage->step->who, sizeof left);
    for (int count = stage->step->who_count; count > 0; count--) {
        int next = order % count;
        order /= count;
        rep_sync(stage->reps[left[next]]);
        for (int i = next; i + 1 < count; i++) {
            left[i] = left[i + 1];
        }
    }
}

/* Made by the first, known to all who have it; nobody is told anything of it. */
static bool have(struct story_stage *stage, int name)
{
    if (!story_make(stage, stage->step->who[0], name)) {
        return false;
    }
    sync_each(stage, 1);
    for (int i = 0; i < stage->step->who_count; i++) {
        tap_forget(&stage->reps[stage->step->who[i]]->tap);
    }
    return true;
}

static bool set_clock(struct story_stage *stage)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"minute", 60000}, {"hour", 3600000}, {"day", 86400000}, {"year", 31536000000}};
    const struct story_step *step = stage->step;
    int64_t count;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t length = strlen(units[i].name);
        if (strncmp(step->words[0], units[i].name, length) == 0 &&
            dk_text_to_int64(step->value.text, strlen(step->value.text), &count)) {
            int64_t ms = count * units[i].ms * (strcmp(step->words[1], "ahead") == 0 ? 1 : -1);
            stage->ahead_ms[step->who[0]] = ms;
            tap_set_ahead(&stage->reps[step->who[0]]->tap, ms);
            return true;
        }
    }
    return story_untrue(stage, "no such time");
}

/* True time places an act no better than its request travels: what people do and what the operator
 * does lie further apart than that. */
static void some_time_passes(void)
{
    struct timespec pause = {.tv_sec = 1, .tv_nsec = 200000000};
    (void)nanosleep(&pause, NULL);
}

/* The changeset that waits first in the quarantine. */
static bool waiting_changeset(struct story_stage *stage, char id[DAYBOOK_ID_SIZE])
{
    static const char member[] = "\"changeset\":\"";
    const char *const list[] = {"quarantine", "list", "--json", NULL};
    char out[4096];
    int result = server_run(&stage->company.server, out, sizeof out, list);
    const char *first = result == 0 ? strstr(out, member) : NULL;
    if (first == NULL) {
        return story_untrue(stage, "nothing is in quarantine: %s", out);
    }
    (void)snprintf(id, DAYBOOK_ID_SIZE, "%.36s", first + sizeof member - 1);
    return true;
}

/* Runs one of the server's commands; the story's names stand for ids, CHANGESET for what waits
 * first. */
static bool run_command(struct story_stage *stage)
{
    char line[STORY_TEXT_SIZE], out[4096], changeset[DAYBOOK_ID_SIZE];
    const char *arguments[ARGUMENTS_MAX + 1] = {0};
    int count = 0;
    (void)snprintf(line, sizeof line, "%.*s", (int)strcspn(stage->step->rest, "\n"),
                   stage->step->rest);
    for (char *word = line; *word != '\0' && count < ARGUMENTS_MAX;) {
        size_t length = strcspn(word, " ");
        char *next = word + length + (word[length] == ' ');
        word[length] = '\0';
        arguments[count] = word;
        for (int name = STORY_PEOPLE; name < stage->story->name_count; name++) {
            if (strcmp(word, stage->story->names[name].name) == 0) {
                arguments[count] = stage->ids[name];
            }
        }
        if (strcmp(word, "CHANGESET") == 0) {
            if (!waiting_changeset(stage, changeset)) {
                return false;
            }
            arguments[count] = changeset;
        }
        count++;
        word = next;
    }
    int result = server_run(&stage->company.server, out, sizeof out, arguments);
    return result == 0 || story_untrue(stage, "exit status %d: %s", result, out);
}

/* Writes master data as the operator does. */
static bool import(struct story_stage *stage)
{
    int name = stage->step->names[0];
    const struct entity *entity = story_entity(stage, name);
    char json[STORY_JSON_SIZE];
    (void)snprintf(json, sizeof json, "{\"entity\":\"%s\",\"id\":\"%s\"", entity->name,
                   stage->ids[name]);
    if (!story_fields_json(stage, entity, json)) {
        return false;
    }
    story_append(json, "}\n");
    server_import(&stage->company.server, json);
    return true;
}

static bool operate(struct story_stage *stage)
{
    some_time_passes();
    bool done = stage->step->kind == STORY_RUN ? run_command(stage) : import(stage);
    some_time_passes();
    return done;
}

/* ---- telling */

/* The name that the present sentence binds: of those of its entity the first without an id. */
static int bound_name(const struct story_stage *stage)
{
    int name = STORY_PEOPLE;
    while (name < stage->story->name_count && stage->ids[name][0] != '\0') {
        name++;
    }
    return name;
}

/* What each of the sentence's people does, one after the other. */
static bool act(struct story_stage *stage, int person)
{
    const struct story_step *step = stage->step;
    struct device *device = &stage->reps[person]->device;
    int name = step->name_count > 0 ? step->names[0] : -1;
    switch (step->kind) {
    case STORY_MAKE: return story_make(stage, person, bound_name(stage));
    case STORY_OPEN:
        stage->opened[person][name] =
            device_version(device, story_entity(stage, name)->name, stage->ids[name]);
        return true;
    case STORY_LOST_ANSWER:
        tap_lose_replies(&stage->reps[person]->tap, 1);
        device_sync_expect(device, DAYBOOK_OFFLINE);
        tap_forget(&stage->reps[person]->tap);
        return true;
    case STORY_MEND: return story_mend(stage, person);
    case STORY_DISCARD:
    case STORY_KEEP_MINE:
    case STORY_USE_THEIRS: return story_deal(stage, person);
    case STORY_CLEAR:
        return daybook_clear_hold(device->engine, stage->ids[name], NULL, &device->error) ==
                   DAYBOOK_OK ||
               story_untrue(stage, "%s", device->error.text);
    default: return story_change(stage, person);
    }
}

static bool do_step(struct story_stage *stage)
{
    const struct story_step *step = stage->step;
    bool is_everybody = strncmp(step->source, "everybody", strlen("everybody")) == 0;
    switch (step->kind) {
    case STORY_HAVE: return have(stage, bound_name(stage));
    case STORY_CLOCK: return set_clock(stage);
    case STORY_ANY_ORDER: sync_in_order(stage); return true;
    case STORY_SYNC: sync_each(stage, is_everybody ? 3 : 1); return true;
    case STORY_IMPORT:
    case STORY_RUN: return operate(stage);
    case STORY_TOLD:
    case STORY_SEE_ONE:
    case STORY_SEE_NOT:
    case STORY_SEE_FIELDS:
    case STORY_SEE:
    case STORY_EMPTY:
    case STORY_INBOX:
    case STORY_STATE: return story_check(stage);
    default:
        for (int i = 0; i < step->who_count; i++) {
            if (!act(stage, step->who[i])) {
                return false;
            }
        }
        return true;
    }
}

/* Everybody comes into step and equals the server; but for those who are disabled, and for what an
 * operator has to release. */
static void settle(struct story_stage *stage)
{
    for (int i = 0; i < stage->company.count; i++) {
        struct rep *rep = &stage->company.reps[i];
        char sql[200];
        (void)snprintf(sql, sizeof sql,
                       "SELECT count(*) FROM app_user WHERE login = '%s' AND disabled", rep->login);
        rep->left = rep->left || server_int(&stage->company.server, sql) > 0 ||
                    device_int(&rep->device, "SELECT count(*) FROM sync_state"
                                             " WHERE state = 'quarantined'") > 0;
        tap_set_ahead(&rep->tap, 0);
    }
    company_settle(&stage->company);
}

bool story_tell(struct story_stage *stage, const struct story *story, int order,
                char problem[STORY_PROBLEM_SIZE])
{
    bool operated = false;
    stage->story = story;
    stage->order = order;
    stage->problem = problem;
    memset(stage->ids, 0, sizeof stage->ids);
    gather(stage);
    for (int person = 0; person < STORY_PEOPLE; person++) {
        char id[STORY_TEXT_SIZE];
        story_server_id(
            stage, "app_user", "login",
            story_people[story_people[person].device_of < 0 ? person
                                                            : story_people[person].device_of]
                .name,
            id);
        (void)snprintf(stage->ids[person], DAYBOOK_ID_SIZE, "%.36s", id);
    }
    for (int i = 0; i < story->step_count; i++) {
        stage->step = &story->steps[i];
        operated = operated || stage->step->kind == STORY_IMPORT || stage->step->kind == STORY_RUN;
        if (!do_step(stage)) {
            return false;
        }
    }
    settle(stage);
    stage->is_spent = operated;
    stage->shown.told++;
    return true;
}
