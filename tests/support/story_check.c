/* SPDX-License-Identifier: Apache-2.0
 *
 * The sentences of a story that state something: compared with what devices and server show through
 * their documented views, and with the verdicts that came down the wire. Called by story_stage.c.
 * Invariant: what was found to be true is noted in `shown`, and nothing else is.
 */
#include "tests/support/story_inside.h"

#include "engine/base/text.h"
#include "engine/base/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SQL_SIZE 2048
#define TOLD_MAX 1000
#define COLUMN_SIZE 280
#define BINDINGS_MAX (2 * (STORY_FIELDS_MAX + 2))

/* ---- the views */

/* A SELECT that is put together, with its texts to be bound. */
struct question {
    char sql[SQL_SIZE];
    char bindings[BINDINGS_MAX][STORY_TEXT_SIZE];
    int count;
};

static void ask(struct question *question, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void ask(struct question *question, const char *format, ...)
{
    size_t used = strlen(question->sql);
    va_list list;
    va_start(list, format);
    int length = vsnprintf(question->sql + used, SQL_SIZE - used, format, list);
    va_end(list);
    assert_in_range(length, 0, SQL_SIZE - used - 1);
}

/* AND column is this text, or this text as JSON; "" is no value. */
static void ask_column(struct question *question, const char *column, const char *text)
{
    if (text[0] == '\0') {
        ask(question, " AND %s IS NULL", column);
        return;
    }
    assert_in_range(question->count, 0, BINDINGS_MAX - 2);
    (void)snprintf(question->bindings[question->count++], STORY_TEXT_SIZE, "%s", text);
    (void)snprintf(question->bindings[question->count++], STORY_TEXT_SIZE, "\"%.1000s\"", text);
    ask(question, " AND CAST(%s AS TEXT) IN (?%d, ?%d)", column, question->count - 1,
        question->count);
}

/* The number of rows (first column) and the text of the second column. */
static int64_t answer(struct rep *rep, const struct question *question, char text[STORY_TEXT_SIZE])
{
    daybook_query *query = NULL;
    struct device *device = &rep->device;
    bool row = false;
    device_must(daybook_query_open(device->engine, question->sql, &query, &device->error),
                &device->error);
    for (int i = 0; i < question->count; i++) {
        device_must(daybook_bind_text(query, i + 1, question->bindings[i]), NULL);
    }
    device_must(daybook_step(query, &row), NULL);
    assert_true(row);
    int64_t count = daybook_column_int(query, 0);
    const char *second = daybook_column_text(query, 1);
    (void)snprintf(text, STORY_TEXT_SIZE, "%s", second == NULL ? "" : second);
    daybook_query_close(&query);
    return count;
}

/* Rows of a query as JSON, to show what is there instead. */
static bool instead(struct story_stage *stage, int person, const char *sql)
{
    struct device *device = &stage->reps[person]->device;
    char *json = NULL;
    device_must(daybook_query_json(device->engine, sql, NULL, &json, &device->error),
                &device->error);
    (void)story_untrue(stage, "%s has %.700s", story_people[person].name, json);
    daybook_free(json);
    return false;
}

/* ---- records */

/* A field of such a policy was shown, below a heading that names the policy. */
static void note_field(struct story_stage *stage, const struct field *field)
{
    if (field != NULL && strstr(stage->story->title, dk_policy_name(field->policy)) != NULL) {
        stage->shown.policies[field->policy] = true;
    }
}

/* Writes the SQL of a field: a column, or a key of the app's own; of what only grows, the elements
 * with the login of each one's author instead of the id. */
static void column_of(const struct field *field, const char *name, char out[COLUMN_SIZE])
{
    const char *key = strncmp(name, "custom.", 7) == 0 ? name + 7 : NULL;
    bool grows = field != NULL && field->policy == POLICY_GROW;
    (void)snprintf(out, COLUMN_SIZE,
                   grows ? "(SELECT json_group_array(t) FROM (SELECT login || substr(value, 37) t"
                           " FROM json_each(%.80s) e, app_user u WHERE u.id = substr(value, 1, 36)"
                           " ORDER BY t))"
                   : key == NULL ? "%.80s"
                                 : "json_extract(custom, '$.%.60s')",
                   key == NULL ? name : key);
}

/* One field of a record on one device and, where everybody is meant, on the server. */
static bool check_field(struct story_stage *stage, int person, int name,
                        const struct story_field *stated)
{
    const struct entity *entity = story_entity(stage, name);
    const struct field *field = story_field(entity, stated->name);
    char wanted[STORY_TEXT_SIZE], column[COLUMN_SIZE];
    if (!story_value_text(stage, field, &stated->value, wanted)) {
        return false;
    }
    column_of(field, stated->name, column);
    const char *got = rep_field(stage->reps[person], entity->name, stage->ids[name], column);
    if (strcmp(got, wanted) != 0) {
        return story_untrue(stage, "%s sees %s \"%s\", not \"%s\"", story_people[person].name,
                            stated->name, got, wanted);
    }
    if (stage->step->source[0] == 'e') {
        got = company_field(&stage->company, entity->name, stage->ids[name], column);
        if (strcmp(got, wanted) != 0) {
            return story_untrue(stage, "the server has %s \"%s\", not \"%s\"", stated->name, got,
                                wanted);
        }
    }
    note_field(stage, field);
    return true;
}

/* Whether a record is there for somebody. */
static bool sees(struct story_stage *stage, int person, int name)
{
    return rep_field(stage->reps[person], story_entity(stage, name)->name, stage->ids[name],
                     "id")[0] != '\0';
}

static bool check_see(struct story_stage *stage, int person)
{
    const struct story_step *step = stage->step;
    bool wanted = step->kind != STORY_SEE_NOT;
    if (sees(stage, person, step->names[0]) != wanted) {
        return story_untrue(stage, "%s %s it", story_people[person].name,
                            wanted ? "does not see" : "sees");
    }
    for (int i = 0; i < step->field_count; i++) {
        if (!check_field(stage, person, step->names[0], &step->fields[i])) {
            return false;
        }
    }
    return true;
}

/* Exactly one such record; it has the name of the sentence from now on. */
static bool check_see_one(struct story_stage *stage, int person, int bound)
{
    const struct story_step *step = stage->step;
    struct question question = {.count = 0};
    char text[STORY_TEXT_SIZE], column[COLUMN_SIZE], sql[100];
    ask(&question, "SELECT count(*), min(id) FROM %s WHERE 1", step->entity->name);
    if (step->name_count > 0 && step->names[0] >= 0) {
        ask_column(&question, "record_id", stage->ids[step->names[0]]);
    }
    for (int i = 0; i < step->field_count; i++) {
        const struct field *field = story_field(step->entity, step->fields[i].name);
        if (!story_value_text(stage, field, &step->fields[i].value, text)) {
            return false;
        }
        column_of(field, step->fields[i].name, column);
        ask_column(&question, column, text);
    }
    int64_t count = answer(stage->reps[person], &question, text);
    if (count != 1) {
        (void)snprintf(sql, sizeof sql, "SELECT * FROM %s", step->entity->name);
        return instead(stage, person, sql);
    }
    if (stage->ids[bound][0] != '\0' && strcmp(stage->ids[bound], text) != 0) {
        return story_untrue(stage, "%s sees another one", story_people[person].name);
    }
    (void)snprintf(stage->ids[bound], DAYBOOK_ID_SIZE, "%.36s", text);
    return true;
}

/* ---- what devices know about their own work */

/* A value in an inbox item: as the field is shown that the sentence names. */
static bool inbox_text(struct story_stage *stage, const struct story_field *column,
                       char out[STORY_TEXT_SIZE])
{
    const struct story_step *step = stage->step;
    const struct field *field = NULL;
    bool is_value = strcmp(column->name, "mine") == 0 || strcmp(column->name, "theirs") == 0;
    for (int i = 0; i < step->field_count && is_value; i++) {
        if (strcmp(step->fields[i].name, "field") == 0) {
            field = story_field(story_entity(stage, step->names[0]), step->fields[i].value.text);
        }
    }
    note_field(stage, field);
    return story_value_text(stage, field, &column->value, out);
}

static bool check_inbox(struct story_stage *stage, int person)
{
    static const char all[] = "SELECT kind, code, entity, record_id, field, rule, mine, theirs,"
                              " chain FROM inbox";
    const struct story_step *step = stage->step;
    struct question question = {.count = 0};
    char text[STORY_TEXT_SIZE];
    ask(&question, "SELECT count(*), NULL FROM inbox WHERE 1");
    if (step->kind == STORY_INBOX) {
        ask_column(&question, "kind", step->words[0]);
        ask_column(&question, "record_id", stage->ids[step->names[0]]);
        for (int i = 0; i < step->field_count; i++) {
            if (!inbox_text(stage, &step->fields[i], text)) {
                return false;
            }
            ask_column(&question, step->fields[i].name, text);
        }
    }
    int64_t wanted = step->kind == STORY_INBOX ? 1 : 0;
    return answer(stage->reps[person], &question, text) == wanted || instead(stage, person, all);
}

/* A record's state; "settled" is none. */
static bool check_state(struct story_stage *stage, int person)
{
    const struct story_step *step = stage->step;
    const char *state =
        device_text_of(&stage->reps[person]->device, "SELECT state FROM sync_state WHERE id = ?1",
                       stage->ids[step->names[0]]);
    return strcmp(state[0] == '\0' ? "settled" : state, step->words[0]) == 0 ||
           story_untrue(stage, "it is %s", state[0] == '\0' ? "settled" : state);
}

/* Whether a visit counts, why not, and who says so; the field says the same. */
static bool check_counts(struct story_stage *stage, int person)
{
    const struct story_step *step = stage->step;
    const char *id = stage->ids[step->names[0]];
    struct device *device = &stage->reps[person]->device;
    daybook_visit_count count = DAYBOOK_VISIT_COUNT_INIT;
    bool counts = step->kind == STORY_COUNTS || step->kind == STORY_COUNTS_SO_FAR;
    bool so_far = step->kind == STORY_COUNTS_SO_FAR || step->kind == STORY_COUNTS_NOT_SO_FAR;
    device_must(daybook_visit_counts(device->engine, id, &count), NULL);
    const char *field =
        device_text_of(device, "SELECT ifnull(effective, 0) FROM visit WHERE id = ?1", id);
    bool same = strcmp(field, count.counts ? "1" : "0") == 0;
    return (count.counts == counts && count.provisional == so_far && same &&
            strcmp(count.reason, step->words[0]) == 0) ||
           story_untrue(stage, "it %s%s: %s, and shows effective %s",
                        count.counts ? "counts" : "does not count",
                        count.provisional ? " so far" : "", count.reason, field);
}

/* ---- verdicts */

#define FLAG_NAME(member, name) name,
const char *const story_flags[STORY_FLAGS] = {VERDICT_FLAG_LIST(FLAG_NAME) "moved"};
#undef FLAG_NAME

/* Appends a detail that is a flag. */
static void tell_flag(struct story_shown *shown, const cJSON *detail, char out[TOLD_MAX])
{
    size_t used = strlen(out);
    for (int i = 0; i < STORY_FLAGS; i++) {
        if (strcmp(detail->string, story_flags[i]) == 0) {
            (void)snprintf(out + used, TOLD_MAX - used, " %s", detail->string);
            shown->flags[i] = true;
        }
    }
}

/* Appends one verdict as a story tells it: its kind, its code, its flags. */
static void tell_verdict(struct story_shown *shown, const cJSON *row, char out[TOLD_MAX])
{
    const char *kind = cJSON_GetStringValue(cJSON_GetArrayItem(row, 1));
    const cJSON *details = cJSON_GetArrayItem(row, 3);
    const char *code = dk_tree_text(details, "code");
    const cJSON *detail;
    size_t used = strlen(out);
    assert_non_null(kind);
    (void)snprintf(out + used, TOLD_MAX - used, "%s%s%s%s", used > 0 ? ", " : "", kind,
                   code == NULL ? "" : " ", code == NULL ? "" : code);
    shown->verdicts[dk_verdict_by_name(kind, strlen(kind))] = true;
    cJSON_ArrayForEach(detail, details)
    {
        tell_flag(shown, detail, out);
    }
}

/* Reads all verdicts that have come down since anybody asked last. */
static void tell_verdicts(struct tap *tap, struct story_shown *shown, char out[TOLD_MAX])
{
    const char *at = dk_buffer_text(&tap->down);
    out[0] = '\0';
    while (*at != '\0') {
        size_t length = strcspn(at, "\n"), offset = 0;
        const char *problem = NULL;
        cJSON *reply = NULL;
        const cJSON *row;
        assert_int_equal(dk_tree_parse(at, length, length, &reply, &problem, &offset), DAYBOOK_OK);
        cJSON_ArrayForEach(row, dk_tree_member(reply, "verdicts"))
        {
            tell_verdict(shown, row, out);
        }
        cJSON_Delete(reply);
        at += length + (at[length] == '\n');
    }
}

static bool check_told(struct story_stage *stage, int person)
{
    struct rep *rep = stage->reps[person];
    struct story_shown shown = stage->shown;
    char told[TOLD_MAX];
    const char *rest = stage->step->rest;
    tell_verdicts(&rep->tap, &shown, told);
    tap_forget(&rep->tap);
    if (!dk_text_equal(rest, strcspn(rest, "\n"), told)) {
        return story_untrue(stage, "%s was told: %s", story_people[person].name,
                            told[0] == '\0' ? "nothing" : told);
    }
    stage->shown = shown;
    return true;
}

/* ---- all of them */

bool story_check(struct story_stage *stage)
{
    const struct story_step *step = stage->step;
    int bound = STORY_PEOPLE;
    while (bound < stage->story->name_count && stage->ids[bound][0] != '\0') {
        bound++;
    }
    for (int i = 0; i < step->who_count; i++) {
        int person = step->who[i];
        bool is_true = step->kind == STORY_TOLD      ? check_told(stage, person)
                       : step->kind == STORY_SEE_ONE ? check_see_one(stage, person, bound)
                       : step->kind == STORY_STATE   ? check_state(stage, person)
                       : step->kind >= STORY_COUNTS && step->kind <= STORY_COUNTS_NOT_SO_FAR
                           ? check_counts(stage, person)
                       : step->kind == STORY_INBOX || step->kind == STORY_EMPTY
                           ? check_inbox(stage, person)
                           : check_see(stage, person);
        if (!is_true) {
            return false;
        }
        stage->shown.statements++;
    }
    return true;
}
