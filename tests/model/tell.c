/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes what became of scenarios: the steps as they were played, the verdicts, and records,
 * conflicts and proposals as the server's file has them. See model.h.
 */
#include "tests/model/model.h"

#include "engine/protocol/entities.h"

#include <sqlite3.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ENTRIES_MAX 64
#define ENTRY_SIZE 2048
#define SQL_SIZE 1024
#define REVISIONS_MAX 8
#define SHOWN_MAX 48 /* records of a scenario, with those of revisions */

/* The server's file as it is read. */
struct telling {
    struct model_stage *stage;
    sqlite3 *database;
    int64_t org;
    FILE *file;
    const struct model_config *config; /* whose statements these are */
    sqlite3_stmt *rows[ENTITY_COUNT];
    sqlite3_stmt *conflicts, *proposals, *revisions, *lines;
    const struct model_scenario *scenario;
    struct model_made shown[SHOWN_MAX]; /* all its records */
    int shown_count;
};

/* A conflict or proposal, and by what it is sorted. */
struct entry {
    char key[ENTRY_SIZE];
    char json[ENTRY_SIZE];
};

static sqlite3_stmt *prepare(struct telling *telling, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(telling->database, sql, -1, &statement, NULL) != SQLITE_OK) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(telling->database));
    }
    (void)sqlite3_bind_int64(statement, 1, telling->org);
    return statement;
}

/* Binds a record's id and steps; the row stays until the next call. */
static bool find(sqlite3_stmt *statement, const char *id_text)
{
    struct id id;
    assert_true(dk_id_from_text(id_text, strlen(id_text), &id));
    (void)sqlite3_reset(statement);
    (void)sqlite3_bind_blob(statement, 2, id.bytes, ID_SIZE, SQLITE_TRANSIENT);
    return sqlite3_step(statement) == SQLITE_ROW;
}

static const char *text_of(sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    return text == NULL ? "null" : (const char *)text;
}

/* Whether the field is of the line. */
static bool is_told(const struct model_config *config, const char *field)
{
    char name[80];
    (void)snprintf(name, sizeof name, ",%s,", field);
    return strstr(config->fields, name) != NULL;
}

/* Writes text with the names of the scenario's records for their ids. */
static void name_ids(const struct telling *telling, const char *text, char *out, size_t size)
{
    size_t length = 0;
    while (*text != '\0') {
        const struct model_made *found = NULL;
        for (int i = 0; i < telling->shown_count && found == NULL; i++) {
            if (strncmp(text, telling->shown[i].id, ID_TEXT_SIZE - 1) == 0) {
                found = &telling->shown[i];
            }
        }
        char own[2] = {*text, '\0'};
        const char *more = found == NULL ? own : found->name;
        assert_true(length + strlen(more) < size);
        memcpy(out + length, more, strlen(more) + 1);
        length += strlen(more);
        text += found == NULL ? 1 : ID_TEXT_SIZE - 1;
    }
    out[length] = '\0';
}

/* ---- steps ---- */

static void tell_sync(FILE *file, int who, int32_t ms)
{
    (void)fprintf(file, ",{\"who\":\"%c\",\"do\":\"sync\",\"ms\":%d}", 'a' + who, (int)ms);
}

static void tell_letter(const struct telling *telling, int letter, int *fresh)
{
    const struct model_scenario *scenario = telling->scenario;
    uint8_t code = scenario->word->letters[letter];
    const struct model_op *op = &scenario->word->config->ops[MODEL_WHO(code)][MODEL_OP(code)];
    static const char *const verbs[] = {"", "new", "set", "set", "set", "delete"};
    char values[MODEL_TEXT] = "";
    const char *name =
        op->verb == MODEL_NEW ? scenario->made[(*fresh)++].name : scenario->made[op->record].name;
    if (op->verb == MODEL_ADD || op->verb == MODEL_REMOVE) {
        (void)snprintf(values, sizeof values, "{\"%s\":{\"%s\":[\"%s\"]}}", op->field,
                       op->verb == MODEL_ADD ? "add" : "remove", op->values);
    } else if (op->verb != MODEL_DELETE) {
        model_fill(telling->stage, scenario, true, op->values, letter, values);
    }
    (void)fprintf(telling->file, ",{\"who\":\"%c\",\"do\":\"%s\",\"record\":\"%s\",\"ms\":%d%s%s}",
                  'a' + MODEL_WHO(code), verbs[op->verb], name, (int)scenario->ms[letter],
                  values[0] == '\0' ? "" : ",\"values\":", values);
}

static void tell_steps(const struct telling *telling)
{
    const struct model_scenario *scenario = telling->scenario;
    const struct model_record *records = scenario->word->config->records;
    int fresh = 0;
    (void)fputs(",\"steps\":[", telling->file);
    for (; fresh < MODEL_SETUP && records[fresh].name != NULL; fresh++) {
        char values[MODEL_TEXT];
        model_fill(telling->stage, scenario, true, records[fresh].values, -1, values);
        (void)fprintf(
            telling->file,
            "%s{\"who\":\"a\",\"do\":\"new\",\"record\":\"%s\",\"ms\":1000,\"values\":%s}",
            fresh == 0 ? "" : ",", records[fresh].name, values);
    }
    for (int i = 0; i < 3; i++) {
        tell_sync(telling->file, i % 2, 2000 + i * 1000);
    }
    for (int i = 0; i < scenario->word->length; i++) {
        uint8_t code = scenario->word->letters[i];
        if (MODEL_OP(code) == MODEL_SYNC) {
            tell_sync(telling->file, MODEL_WHO(code), scenario->ms[i]);
        } else if (scenario->ms[i] > 0) {
            tell_letter(telling, i, &fresh);
        }
    }
    for (int i = 0; i < 4; i++) {
        tell_sync(telling->file, i % 2, scenario->end_ms + i * 1000);
    }
    (void)fputc(']', telling->file);
}

static const char *verdict_name(char first)
{
    switch (first) {
    case 'a': return "accepted";
    case 'm': return "merged";
    case 'r': return "rejected";
    default: return "quarantined";
    }
}

static void tell_verdicts(const struct telling *telling)
{
    const struct model_scenario *scenario = telling->scenario;
    (void)fputs(",\"verdicts\":{", telling->file);
    for (int who = 0; who < 2; who++) {
        const char *verdicts = telling->stage->told[who].verdicts;
        const char *comma = "";
        (void)fprintf(telling->file, "%s\"%c\":[", who == 0 ? "" : ",", 'a' + who);
        for (int i = 0; who == 0 && i < MODEL_SETUP; i++) {
            if (scenario->word->config->records[i].name != NULL) {
                (void)fprintf(telling->file, "%s\"%s\"", comma,
                              verdict_name(verdicts[scenario->setup_seq]));
                comma = ",";
            }
        }
        for (int i = 0; i < scenario->word->length; i++) {
            if (scenario->seq[i] > 0 && MODEL_WHO(scenario->word->letters[i]) == who) {
                (void)fprintf(telling->file, "%s\"%s\"", comma,
                              verdict_name(verdicts[scenario->seq[i]]));
                comma = ",";
            }
        }
        (void)fputc(']', telling->file);
    }
    (void)fputc('}', telling->file);
}

/* ---- records ---- */

/* The statement for rows of an entity: the told fields of it. */
static sqlite3_stmt *rows_of(struct telling *telling, const struct entity *entity)
{
    char sql[SQL_SIZE] = "SELECT 1";
    if (telling->rows[entity->kind] == NULL) {
        for (int i = 0; i < entity->field_count; i++) {
            if (is_told(telling->config, entity->fields[i].name)) {
                size_t length = strlen(sql);
                (void)snprintf(sql + length, sizeof sql - length, ", %s", entity->fields[i].name);
            }
        }
        size_t length = strlen(sql);
        (void)snprintf(sql + length, sizeof sql - length, " FROM %s WHERE org = ?1 AND id_key = ?2",
                       entity->name);
        telling->rows[entity->kind] = prepare(telling, sql);
    }
    return telling->rows[entity->kind];
}

/* Writes one value as the line has it. */
static void tell_value(const struct telling *telling, const struct field *field,
                       sqlite3_stmt *statement, int column)
{
    bool quoted = field->type == FIELD_TEXT || field->type == FIELD_CHOICE ||
                  field->type == FIELD_CURRENCY || field->type == FIELD_ID;
    const char *mark = quoted ? "\"" : "";
    const char *text = text_of(statement, column);
    if (field->type == FIELD_BOOL) {
        text = strcmp(text, "1") == 0 ? "true" : "false";
    }
    assert_true(!quoted || strpbrk(text, "\"\\") == NULL); /* no text of ours needs escapes */
    (void)fprintf(telling->file, "\"%s\":%s%s%s", field->name, mark, text, mark);
}

/* Whether the value is there: neither NULL nor a set or map without anything in it. */
static bool is_empty(sqlite3_stmt *statement, int column)
{
    const char *text = text_of(statement, column);
    return sqlite3_column_type(statement, column) == SQLITE_NULL || strcmp(text, "[]") == 0 ||
           strcmp(text, "{}") == 0;
}

static void tell_record(struct telling *telling, const struct model_made *made, const char *comma)
{
    const struct entity *entity = dk_entity_by_name(made->entity, strlen(made->entity));
    sqlite3_stmt *statement = rows_of(telling, entity);
    bool there = find(statement, made->id);
    int column = 1;
    const char *between = "";
    (void)fprintf(telling->file, "%s\"%s\":{\"deleted\":%s,\"values\":{", comma, made->name,
                  there ? "false" : "true");
    for (int i = 0; there && i < entity->field_count; i++) {
        if (is_told(telling->config, entity->fields[i].name)) {
            if (!is_empty(statement, column)) {
                (void)fputs(between, telling->file);
                tell_value(telling, &entity->fields[i], statement, column);
                between = ",";
            }
            column++;
        }
    }
    (void)fputs("}}", telling->file);
    (void)sqlite3_reset(statement);
}

static void show(struct telling *telling, const char *name, const char *id, const char *entity)
{
    assert_true(telling->shown_count < SHOWN_MAX);
    struct model_made *made = &telling->shown[telling->shown_count++];
    (void)snprintf(made->name, sizeof made->name, "%s", name);
    (void)snprintf(made->id, sizeof made->id, "%s", id);
    made->entity = entity;
}

/* Adds the revisions of a quote that the server made, R2 and so on, and their lines in the order of
 * products and quantities, L2a and so on. */
static void show_revisions(struct telling *telling, const char *quote)
{
    bool row = find(telling->revisions, quote);
    for (; row; row = sqlite3_step(telling->revisions) == SQLITE_ROW) {
        char name[MODEL_NAME];
        char number = (char)('0' + sqlite3_column_int(telling->revisions, 1) % 10);
        const char *id = text_of(telling->revisions, 0);
        (void)snprintf(name, sizeof name, "R%c", number);
        show(telling, name, id, "quote");
        bool line = find(telling->lines, id);
        for (char place = 'a'; line; line = sqlite3_step(telling->lines) == SQLITE_ROW) {
            (void)snprintf(name, sizeof name, "L%c%c", number, place++);
            show(telling, name, text_of(telling->lines, 0), "quote_line");
        }
    }
}

static void show_all(struct telling *telling)
{
    const struct model_scenario *scenario = telling->scenario;
    telling->shown_count = 0;
    for (int i = 0; i < scenario->made_count; i++) {
        const struct model_made *made = &scenario->made[i];
        show(telling, made->name, made->id, made->entity);
    }
    if (strcmp(scenario->made[0].entity, "quote") == 0) {
        show_revisions(telling, scenario->made[0].id);
    }
}

/* ---- conflicts and proposals ---- */

static const char *device_name(const struct telling *telling, int64_t device_no)
{
    return device_no == telling->stage->device_no[0]   ? "a"
           : device_no == telling->stage->device_no[1] ? "b"
                                                       : "server";
}

static int compare_entries(const void *left, const void *right)
{
    return strcmp(((const struct entry *)left)->key, ((const struct entry *)right)->key);
}

/* Writes a list of entries, sorted. */
static void tell_entries(const struct telling *telling, const char *name, struct entry *entries,
                         size_t count)
{
    qsort(entries, count, sizeof *entries, compare_entries);
    (void)fprintf(telling->file, ",\"%s\":[", name);
    for (size_t i = 0; i < count; i++) {
        (void)fprintf(telling->file, "%s%s", i == 0 ? "" : ",", entries[i].json);
    }
    (void)fputc(']', telling->file);
}

/* Makes an entry of the present row: field, two values, two devices. */
static void make_entry(const struct telling *telling, sqlite3_stmt *row, bool conflict,
                       const char *record, struct entry *entry)
{
    char field[200], first[ENTRY_SIZE / 2], second[ENTRY_SIZE / 2];
    name_ids(telling, text_of(row, 0), field, sizeof field);
    name_ids(telling, text_of(row, 1), first, sizeof first);
    name_ids(telling, text_of(row, 2), second, sizeof second);
    const char *device = device_name(telling, sqlite3_column_int64(row, 3));
    const char *last =
        conflict ? device_name(telling, sqlite3_column_int64(row, 4)) : text_of(row, 4);
    int length = snprintf(entry->key, sizeof entry->key, "%s\x01%s\x01%s\x01%s\x01%s\x01%s", record,
                          field, second, first, device, last);
    assert_in_range(length, 1, ENTRY_SIZE - 1);
    length = snprintf(entry->json, sizeof entry->json,
                      conflict ? "{\"record\":\"%s\",\"field\":\"%s\",\"kept\":%s,\"lost\":%s,"
                                 "\"kept_dev\":\"%s\",\"lost_dev\":\"%s\"}"
                               : "{\"record\":\"%s\",\"field\":\"%s\",\"base\":%s,\"proposed\":%s,"
                                 "\"by\":\"%s\",\"status\":\"%s\"}",
                      record, field, first, second, device, last);
    assert_in_range(length, 1, ENTRY_SIZE - 1);
}

static void tell_list(const struct telling *telling, const char *name, sqlite3_stmt *statement,
                      bool conflict)
{
    static struct entry entries[ENTRIES_MAX];
    size_t count = 0;
    for (int i = 0; i < telling->shown_count; i++) {
        bool row = find(statement, telling->shown[i].id);
        for (; row; row = sqlite3_step(statement) == SQLITE_ROW) {
            assert_true(count < ENTRIES_MAX);
            make_entry(telling, statement, conflict, telling->shown[i].name, &entries[count++]);
        }
    }
    (void)sqlite3_reset(statement);
    tell_entries(telling, name, entries, count);
}

/* ---- lines ---- */

static void tell_head(const struct telling *telling)
{
    const struct model_scenario *scenario = telling->scenario;
    const struct model_config *config = scenario->word->config;
    const char *comma = "";
    (void)fprintf(telling->file,
                  "{\"id\":%d,\"config\":\"%s\",\"role\":\"%s\",\"entity\":\"%s\",\"records\":{",
                  scenario->word->id, config->name, config->role, scenario->made[0].entity);
    for (int i = 0; i < scenario->made_count; i++) {
        (void)fprintf(telling->file, "%s\"%s\":\"%s\"", i == 0 ? "" : ",", scenario->made[i].name,
                      scenario->made[i].entity);
    }
    (void)fputs("},\"fields\":[", telling->file);
    for (const char *at = config->fields + 1; *at != '\0'; comma = ",") {
        int length = (int)strcspn(at, ",");
        (void)fprintf(telling->file, "%s\"%.*s\"", comma, length, at);
        at += length + 1;
    }
    (void)fputc(']', telling->file);
}

static void tell_one(struct telling *telling, const struct model_scenario *scenario)
{
    telling->scenario = scenario;
    if (telling->config != scenario->word->config) {
        for (int i = 0; i < ENTITY_COUNT; i++) {
            (void)sqlite3_finalize(telling->rows[i]);
            telling->rows[i] = NULL;
        }
        telling->config = scenario->word->config;
    }
    show_all(telling);
    tell_head(telling);
    tell_steps(telling);
    tell_verdicts(telling);
    (void)fputs(",\"outcome\":{\"records\":{", telling->file);
    for (int i = 0; i < telling->shown_count; i++) {
        tell_record(telling, &telling->shown[i], i == 0 ? "" : ",");
    }
    (void)fputc('}', telling->file);
    tell_list(telling, "conflicts", telling->conflicts, true);
    tell_list(telling, "proposals", telling->proposals, false);
    (void)fputs("}}\n", telling->file);
}

/* What is about the scenarios' records has no index by them on the server: copies it to where there
 * is one. */
static void copy_entries(struct telling *telling)
{
    char sql[SQL_SIZE];
    long long since = (long long)telling->stage->since;
    (void)snprintf(sql, sizeof sql,
                   "PRAGMA temp_store = memory;"
                   "CREATE TEMP TABLE conflicts AS SELECT org, record_id_key, field_name, kept,"
                   " lost, kept_dev, lost_dev FROM field_conflict WHERE version > %lld;"
                   "CREATE INDEX temp.conflicts_by ON conflicts(org, record_id_key);"
                   "CREATE TEMP TABLE proposals AS SELECT org, record_id_key, field_name,"
                   " base_value, proposed_value, proposed_dev, status FROM proposal"
                   " WHERE version > %lld;"
                   "CREATE INDEX temp.proposals_by ON proposals(org, record_id_key);"
                   "CREATE TEMP TABLE revisions AS SELECT org, revision_of_key, id, rev FROM quote"
                   " WHERE revision_of IS NOT NULL AND version > %lld;"
                   "CREATE INDEX temp.revisions_by ON revisions(org, revision_of_key);",
                   since, since, since);
    if (sqlite3_exec(telling->database, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fail_msg("%s", sqlite3_errmsg(telling->database));
    }
}

void model_tell(struct model_stage *stage, const struct model_scenario *scenarios, size_t count,
                FILE *file)
{
    struct telling telling = {.stage = stage, .file = file};
    telling.org = server_int(&stage->company.server, "SELECT org FROM org");
    assert_int_equal(sqlite3_open_v2(stage->company.server.database, &telling.database,
                                     SQLITE_OPEN_READONLY, NULL),
                     SQLITE_OK);
    (void)sqlite3_busy_timeout(telling.database, 20000);
    copy_entries(&telling);
    telling.conflicts = prepare(&telling, "SELECT field_name, kept, lost, kept_dev, lost_dev FROM"
                                          " temp.conflicts WHERE org = ?1 AND record_id_key = ?2");
    telling.proposals = prepare(&telling, "SELECT field_name, base_value, proposed_value,"
                                          " proposed_dev, status FROM temp.proposals WHERE org ="
                                          " ?1 AND record_id_key = ?2");
    telling.revisions = prepare(&telling, "SELECT id, rev FROM temp.revisions WHERE org = ?1 AND"
                                          " revision_of_key = ?2 ORDER BY rev");
    telling.lines = prepare(&telling, "SELECT id FROM quote_line WHERE org = ?1 AND quote_id_key ="
                                      " ?2 ORDER BY product_id, qty");
    for (size_t i = 0; i < count; i++) {
        tell_one(&telling, &scenarios[i]);
    }
    for (int i = 0; i < ENTITY_COUNT; i++) {
        (void)sqlite3_finalize(telling.rows[i]);
    }
    (void)sqlite3_finalize(telling.conflicts);
    (void)sqlite3_finalize(telling.proposals);
    (void)sqlite3_finalize(telling.revisions);
    (void)sqlite3_finalize(telling.lines);
    assert_int_equal(sqlite3_close(telling.database), SQLITE_OK);
}
