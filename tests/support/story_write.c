/* SPDX-License-Identifier: Apache-2.0
 *
 * What the people of a story write: the values of its sentences as the engine takes and shows them,
 * and the transaction that each sentence makes. Called by story_stage.c and story_check.c.
 * Invariant: time goes on by STEP_MS from write to write, so the later sentence is the later write
 * on any machine.
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

#include <cmocka.h>

/* More than any delay of a test, and STORY_STEPS_MAX of them lie below the server's clamp. */
#define STEP_MS 3000
#define DAY_MS INT64_C(1736899200000) /* the day of the first story's times like 09:05; past */
#define APART_MS INT64_C(172800000)   /* each story is two days earlier: nobody came from another */

/* ---- names and values */

const struct entity *story_entity(const struct story_stage *stage, int name)
{
    return stage->story->names[name].entity;
}

const struct field *story_field(const struct entity *entity, const char *name)
{
    int field = dk_entity_field(entity, name, strlen(name), 0);
    return field < 0 ? NULL : &entity->fields[field];
}

void story_server_id(struct story_stage *stage, const char *entity, const char *column,
                     const char *value, char out[STORY_TEXT_SIZE])
{
    char sql[400];
    (void)snprintf(sql, sizeof sql, "SELECT id FROM %s WHERE %s = '%s'", entity, column, value);
    (void)snprintf(out, STORY_TEXT_SIZE, "%s", server_text(&stage->company.server, sql));
}

/* The id that a word or the name of a territory stands for. */
static bool id_text(struct story_stage *stage, const struct story_value *value,
                    char out[STORY_TEXT_SIZE])
{
    out[0] = '\0';
    if (value->kind == VALUE_IS_TEXT) {
        story_server_id(stage, "territory", "name", value->text, out);
    } else if (strcmp(value->text, "tea") == 0 || strcmp(value->text, "cookies") == 0) {
        (void)snprintf(out, STORY_TEXT_SIZE, "%s", value->text[0] == 't' ? TEA : COOKIE);
    }
    for (int i = 0; i < stage->story->name_count && value->kind == VALUE_IS_WORD; i++) {
        if (strcmp(stage->story->names[i].name, value->text) == 0) {
            (void)snprintf(out, STORY_TEXT_SIZE, "%s", stage->ids[i]);
        }
    }
    return out[0] != '\0' || story_untrue(stage, "no record is called %s", value->text);
}

/* A decimal number in units of 10^-digits: "90.5" with 2 digits is 9050. */
static bool scaled(struct story_stage *stage, const char *text, int digits,
                   char out[STORY_TEXT_SIZE])
{
    const char *point = strchr(text, '.');
    size_t whole = point == NULL ? strlen(text) : (size_t)(point - text);
    size_t behind = point == NULL ? 0 : strlen(point + 1);
    int64_t number;
    if (behind > (size_t)digits) {
        return story_untrue(stage, "%s has more than %d decimals", text, digits);
    }
    int length =
        snprintf(out, STORY_TEXT_SIZE, "%.*s%s", (int)whole, text, point == NULL ? "" : point + 1);
    for (size_t i = behind; i < (size_t)digits; i++) {
        out[length++] = '0';
    }
    out[length] = '\0';
    const char *first = out + strspn(out, "0");
    (void)memmove(out, *first == '\0' ? first - 1 : first, strlen(first) + 1);
    return dk_text_to_int64(out, strlen(out), &number) ||
           story_untrue(stage, "%s is no number", text);
}

/* 09:05 on the day of this story. */
static bool time_text(struct story_stage *stage, const char *text, char out[STORY_TEXT_SIZE])
{
    int hour, minute;
    if (sscanf(text, "%2d:%2d", &hour, &minute) != 2) {
        return story_untrue(stage, "%s is no time like 09:05", text);
    }
    (void)snprintf(out, STORY_TEXT_SIZE, "%" PRId64,
                   DAY_MS - stage->shown.told * APART_MS + (hour * 60 + minute) * INT64_C(60000));
    return true;
}

/* The same text without this character, but inside of quotes. */
static void without(const char *text, char left_out, char out[STORY_TEXT_SIZE])
{
    size_t length = 0;
    bool quoted = false;
    for (; *text != '\0' && length + 1 < STORY_TEXT_SIZE; text++) {
        quoted = quoted != (*text == '"');
        if (quoted || *text != left_out) {
            out[length++] = *text;
        }
    }
    out[length] = '\0';
}

bool story_value_text(struct story_stage *stage, const struct field *field,
                      const struct story_value *value, char out[STORY_TEXT_SIZE])
{
    if (value->kind == VALUE_IS_WORD && strcmp(value->text, "nothing") == 0) {
        out[0] = '\0';
        return true;
    }
    switch (field == NULL ? FIELD_TEXT : field->type) {
    case FIELD_ID: return id_text(stage, value, out);
    case FIELD_MONEY: return scaled(stage, value->text, 2, out);
    case FIELD_QUANTITY: return scaled(stage, value->text, 3, out);
    case FIELD_PRICE: return scaled(stage, value->text, 4, out);
    case FIELD_TIME: return time_text(stage, value->text, out);
    case FIELD_DAY: without(value->text, '-', out); return true;
    case FIELD_SET: without(value->text, ' ', out); return true;
    case FIELD_BOOL:
        (void)snprintf(out, STORY_TEXT_SIZE, "%d", strcmp(value->text, "true") == 0);
        return true;
    default: (void)snprintf(out, STORY_TEXT_SIZE, "%s", value->text); return true;
    }
}

/* The same as JSON, for a write. */
static bool value_json(struct story_stage *stage, const struct field *field,
                       const struct story_value *value, char out[STORY_TEXT_SIZE])
{
    char text[STORY_TEXT_SIZE];
    if (!story_value_text(stage, field, value, text)) {
        return false;
    }
    bool quoted = field == NULL ? value->kind == VALUE_IS_TEXT
                                : field->type == FIELD_TEXT || field->type == FIELD_CHOICE ||
                                      field->type == FIELD_CURRENCY || field->type == FIELD_ID;
    bool nothing = value->kind == VALUE_IS_WORD && strcmp(value->text, "nothing") == 0;
    if (nothing || (field != NULL && field->type == FIELD_BOOL)) {
        (void)snprintf(out, STORY_TEXT_SIZE, "%s", nothing ? "null" : value->text);
    } else {
        (void)snprintf(out, STORY_TEXT_SIZE, quoted ? "\"%.900s\"" : "%.900s", text);
    }
    return true;
}

void story_append(char json[STORY_JSON_SIZE], const char *format, ...)
{
    size_t used = strlen(json);
    va_list list;
    va_start(list, format);
    int length = vsnprintf(json + used, STORY_JSON_SIZE - used, format, list);
    va_end(list);
    assert_in_range(length, 0, STORY_JSON_SIZE - used - 1);
}

bool story_fields_json(struct story_stage *stage, const struct entity *entity,
                       char json[STORY_JSON_SIZE])
{
    const struct story_step *step = stage->step;
    for (int i = 0; i < step->field_count; i++) {
        const char *name = step->fields[i].name;
        const struct field *field = story_field(entity, name);
        char value[STORY_TEXT_SIZE];
        const struct story_value *given =
            step->value.text[0] != '\0' ? &step->value : &step->fields[i].value;
        if (!value_json(stage, field, given, value)) {
            return false;
        }
        story_append(json, field == NULL ? "%s\"custom\":{\"%s\":%s}" : "%s\"%s\":%s",
                     json[1] != '\0' ? "," : "", field == NULL ? name + strlen("custom.") : name,
                     value);
    }
    return true;
}

/* ---- writes */

/* What a record of an entity has where a story does not say. */
static const char *usual(int entity)
{
    switch (entity) {
    case ENTITY_CUSTOMER: return "\"name\":\"好邻居 Good Neighbours\"";
    case ENTITY_CONTACT: return "\"name\":\"Anna Chen\"";
    case ENTITY_OPPORTUNITY: return "\"subject\":\"Shelf for the new season\"";
    case ENTITY_VISIT_ACTION: return "\"kind\":\"stock_count\"";
    case ENTITY_QUOTE:
    case ENTITY_SALES_ORDER: return "\"cur\":\"CNY\"";
    case ENTITY_QUOTE_LINE:
    case ENTITY_ORDER_LINE: return "\"product_id\":\"" TEA "\",\"qty\":1000,\"price_e4\":100000";
    default: return "";
    }
}

/* Appends each member of `usual` whose name the object does not have yet. No value has a comma. */
static void add_usual(char json[STORY_JSON_SIZE], const char *members)
{
    while (*members != '\0') {
        size_t length = strcspn(members, ",");
        char name[64];
        (void)snprintf(name, sizeof name, "%.*s", (int)(strcspn(members, ":") + 1), members);
        if (strstr(json, name) == NULL) {
            story_append(json, "%s%.*s", json[1] != '\0' ? "," : "", (int)length, members);
        }
        members += length + (members[length] == ',');
    }
}

/* Begins a transaction at the story's time. */
static daybook_transaction *begin(struct story_stage *stage, int person)
{
    struct rep *rep = stage->reps[person];
    daybook_transaction *transaction = NULL;
    tap_set_ahead(&rep->tap, stage->ahead_ms[person] + STEP_MS * ++stage->writes);
    device_must(daybook_begin(rep->device.engine, &transaction), NULL);
    return transaction;
}

/* Commits where `status` is OK, and ends. */
static daybook_status end(struct story_stage *stage, int person, daybook_status status,
                          daybook_transaction *transaction)
{
    struct rep *rep = stage->reps[person];
    if (status == DAYBOOK_OK) {
        status = daybook_commit(transaction, &rep->device.error);
    }
    if (status != DAYBOOK_OK) {
        (void)story_untrue(stage, "%s: %s", daybook_status_name(status), rep->device.error.text);
    }
    daybook_end(&transaction);
    tap_set_ahead(&rep->tap, stage->ahead_ms[person]);
    return status;
}

static bool put(struct story_stage *stage, int person, const struct entity *entity,
                const char *json, char id[DAYBOOK_ID_SIZE])
{
    daybook_transaction *transaction = begin(stage, person);
    daybook_status status = daybook_put_json(transaction, entity->name, NULL, DAYBOOK_NEW, json, id,
                                             &stage->reps[person]->device.error);
    return end(stage, person, status, transaction) == DAYBOOK_OK;
}

/* The id of the record that a new one belongs to; whoever says nothing means a shop of the story's,
 * which is made here. */
static bool root_of(struct story_stage *stage, int person, const struct entity *entity,
                    const char **id)
{
    const struct story_step *step = stage->step;
    *id = NULL;
    if (entity->root != ROOT_RECORD) {
        return true;
    }
    if (step->name_count > 0 && step->names[0] >= 0) {
        *id = stage->ids[step->names[0]];
        return true;
    }
    if (step->kind != STORY_HAVE || entity->fields[entity->root_field].target != ENTITY_CUSTOMER) {
        return story_untrue(stage, "of what is this %s?", entity->name);
    }
    char json[STORY_JSON_SIZE] = "{";
    add_usual(json, usual(ENTITY_CUSTOMER));
    story_append(json, "}");
    *id = stage->shop;
    return stage->shop[0] != '\0' ||
           put(stage, person, dk_entity(ENTITY_CUSTOMER), json, stage->shop);
}

bool story_make(struct story_stage *stage, int person, int name)
{
    const struct entity *entity = stage->step->entity;
    char json[STORY_JSON_SIZE] = "{";
    const char *root;
    if (!root_of(stage, person, entity, &root) || !story_fields_json(stage, entity, json)) {
        return false;
    }
    if (root != NULL) {
        story_append(json, "%s\"%s\":\"%s\"", json[1] != '\0' ? "," : "",
                     entity->fields[entity->root_field].name, root);
    }
    add_usual(json, usual(entity->kind));
    story_append(json, "}");
    return put(stage, person, entity, json, stage->ids[name]);
}

/* One adds or takes an element; else the sentence's fields are set. */
static daybook_status change(struct story_stage *stage, int person, const char *json)
{
    const struct story_step *step = stage->step;
    struct rep *rep = stage->reps[person];
    int name = step->names[0];
    const char *entity = story_entity(stage, name)->name, *id = stage->ids[name];
    int64_t version = stage->opened[person][name];
    if (version < 0) {
        version = device_version(&rep->device, entity, id);
    }
    daybook_transaction *transaction = begin(stage, person);
    daybook_record *record = NULL;
    daybook_status status;
    if (step->kind == STORY_DELETE) {
        status = daybook_delete(transaction, entity, id, version);
    } else if (step->kind == STORY_ADD || step->kind == STORY_REMOVE) {
        status = daybook_patch(transaction, entity, id, version, &record);
        if (status == DAYBOOK_OK) {
            status = (step->kind == STORY_ADD ? daybook_set_add : daybook_set_remove)(
                record, step->fields[0].name, step->value.text);
        }
    } else {
        status = daybook_patch_json(transaction, entity, id, version, json, &rep->device.error);
    }
    stage->opened[person][name] = -1;
    return end(stage, person, status, transaction);
}

bool story_change(struct story_stage *stage, int person)
{
    const struct story_step *step = stage->step;
    char json[STORY_JSON_SIZE] = "{";
    if (step->kind != STORY_ADD && step->kind != STORY_REMOVE &&
        !story_fields_json(stage, story_entity(stage, step->names[0]), json)) {
        return false;
    }
    story_append(json, "}");
    daybook_status status = change(stage, person, json);
    if (step->kind != STORY_CANNOT) {
        return status == DAYBOOK_OK;
    }
    return strcmp(daybook_status_name(status), step->words[0]) == 0 ||
           story_untrue(stage, "%s: %s", daybook_status_name(status),
                        stage->reps[person]->device.error.text);
}

/* The item of the inbox that is about a record; -1: none. */
static int64_t find_item(struct rep *rep, const char *id)
{
    const char *text =
        device_text_of(&rep->device, "SELECT item FROM inbox WHERE record_id = ?1", id);
    return text[0] == '\0' ? -1 : strtoll(text, NULL, 10);
}

bool story_mend(struct story_stage *stage, int person)
{
    struct rep *rep = stage->reps[person];
    int name = stage->step->names[0];
    const char *entity = story_entity(stage, name)->name;
    char json[STORY_JSON_SIZE] = "{";
    daybook_transaction *transaction = NULL;
    if (!story_fields_json(stage, story_entity(stage, name), json)) {
        return false;
    }
    story_append(json, "}");
    daybook_status status = daybook_inbox_reopen(
        rep->device.engine, find_item(rep, stage->ids[name]), &transaction, &rep->device.error);
    if (status == DAYBOOK_OK) {
        status = daybook_patch_json(transaction, entity, stage->ids[name], DAYBOOK_ANY_VERSION,
                                    json, &rep->device.error);
    }
    return end(stage, person, status, transaction) == DAYBOOK_OK;
}

bool story_deal(struct story_stage *stage, int person)
{
    const struct story_step *step = stage->step;
    struct rep *rep = stage->reps[person];
    daybook *engine = rep->device.engine;
    int64_t item = find_item(rep, stage->ids[step->names[0]]);
    tap_set_ahead(&rep->tap, stage->ahead_ms[person] + STEP_MS * ++stage->writes);
    daybook_status status =
        step->kind == STORY_KEEP_MINE    ? daybook_inbox_keep_mine(engine, item, &rep->device.error)
        : step->kind == STORY_USE_THEIRS ? daybook_inbox_use_theirs(engine, item)
                                         : daybook_inbox_discard(engine, item);
    tap_set_ahead(&rep->tap, stage->ahead_ms[person]);
    return status == DAYBOOK_OK || story_untrue(stage, "%s", daybook_status_name(status));
}
