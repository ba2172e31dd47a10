/* SPDX-License-Identifier: Apache-2.0
 *
 * Records given as JSON: the typed setters driven by an object. Called by bridges to other
 * languages. Invariant: the text passes the strict gate before anything is staged, and a failure in
 * any member leaves the transaction as it was.
 */
#include "engine/api/staged.h"

#include "engine/base/text.h"
#include "engine/base/tree.h"

#include <math.h>
#include <string.h>

/* A record before its members were staged, to go back to. */
struct saved_record {
    bool was_staged;
    struct daybook_record record;
    struct field_value *values; /* copy in the arena */
};

/* Keeps what a failure must bring back. */
static daybook_status save(struct daybook_transaction *transaction,
                           const struct daybook_record *staged, struct saved_record *saved)
{
    memset(saved, 0, sizeof *saved);
    if (staged == NULL) {
        return DAYBOOK_OK;
    }
    size_t size = (size_t)staged->value_count * sizeof *saved->values;
    saved->was_staged = true;
    saved->record = *staged;
    saved->values = dk_arena_new(&transaction->arena, size);
    if (saved->values == NULL) {
        return dk_stage_no_memory(transaction);
    }
    if (size > 0) {
        memcpy(saved->values, staged->values, size);
    }
    return DAYBOOK_OK;
}

/* Undoes what was staged since save. */
static void restore(struct daybook_record *record, const struct saved_record *saved)
{
    if (!saved->was_staged) {
        dk_stage_drop(record);
        return;
    }
    struct daybook_record *next = record->next;
    struct daybook_record *previous = record->previous;
    *record = saved->record;
    record->next = next;
    record->previous = previous;
    if (record->value_count > 0) {
        memcpy(record->values, saved->values, (size_t)record->value_count * sizeof *saved->values);
    }
    record->texts = NULL;
}

/* Notes a failure at a member. */
static daybook_status fail(struct daybook_record *record, daybook_status status, int field,
                           const char *rule)
{
    return dk_stage_fail(record->transaction, status, record->entity,
                         record->entity->fields[field].name, rule, NULL);
}

/* A JSON string: text, id, or an int64 in decimals. */
static daybook_status set_string(struct daybook_record *record, int field, const char *text)
{
    const char *name = record->entity->fields[field].name;
    int64_t number;
    switch (record->entity->fields[field].type) {
    case FIELD_ID: return daybook_set_id(record, name, text);
    case FIELD_MONEY:
    case FIELD_PRICE:
    case FIELD_QUANTITY:
    case FIELD_TIME:
        return dk_text_to_int64(text, strlen(text), &number)
                   ? daybook_set_int(record, name, number)
                   : fail(record, DAYBOOK_WRONG_TYPE, field, "type");
    default: return daybook_set_text(record, name, text);
    }
}

/* A JSON number: whole, within 2^53, and only where numbers belong. */
static daybook_status set_number(struct daybook_record *record, int field, const cJSON *node)
{
    int64_t number;
    if (!dk_tree_integer(node, &number)) {
        bool whole = trunc(node->valuedouble) == node->valuedouble;
        return whole ? fail(record, DAYBOOK_OUT_OF_RANGE, field, "range")
                     : fail(record, DAYBOOK_WRONG_TYPE, field, "type");
    }
    return daybook_set_int(record, record->entity->fields[field].name, number);
}

/* An array for a set, an object for the custom map: printed and read as a whole value. In a patch,
 * single keys of the map. */
static daybook_status set_collection(struct daybook_record *record, int field, const cJSON *node)
{
    enum field_type type = record->entity->fields[field].type;
    if (type != (cJSON_IsArray(node) ? FIELD_SET : FIELD_MAP)) {
        return fail(record, DAYBOOK_WRONG_TYPE, field, "type");
    }
    bool keys = type == FIELD_MAP && record->kind == STAGE_SET;
    daybook_status status = DAYBOOK_OK;
    const cJSON *member = keys ? node->child : NULL;
    for (; member != NULL && status == DAYBOOK_OK; member = member->next) {
        char *json = cJSON_PrintUnformatted(member);
        status = json == NULL ? fail(record, DAYBOOK_NO_MEMORY, field, NULL)
                              : dk_stage_key(record, field, member->string, strlen(member->string),
                                             json, strlen(json));
        cJSON_free(json);
    }
    if (!keys) {
        char *json = cJSON_PrintUnformatted(node);
        status = json == NULL ? fail(record, DAYBOOK_NO_MEMORY, field, NULL)
                              : dk_stage_whole(record, field, json, strlen(json));
        cJSON_free(json);
    }
    return status;
}

/* One member of the object. */
static daybook_status set_member(struct daybook_record *record, const cJSON *node)
{
    int field;
    daybook_status status = dk_stage_field(record, node->string, &field);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (cJSON_IsNull(node)) {
        return dk_stage_set_null(record, field);
    }
    if (cJSON_IsString(node)) {
        return set_string(record, field, node->valuestring);
    }
    if (cJSON_IsNumber(node)) {
        return set_number(record, field, node);
    }
    if (cJSON_IsBool(node)) {
        return daybook_set_bool(record, record->entity->fields[field].name, cJSON_IsTrue(node));
    }
    return set_collection(record, field, node);
}

/* The tree of the text, which must be an object. */
static daybook_status parse(struct daybook_transaction *transaction, const char *json, cJSON **tree)
{
    const char *problem = NULL;
    size_t offset = 0;
    char text[200];
    daybook_status status = dk_tree_parse(json, strnlen(json, LIMIT_CHANGESET_BYTES + 1),
                                          LIMIT_CHANGESET_BYTES, tree, &problem, &offset);
    if (status == DAYBOOK_OK && !cJSON_IsObject(*tree)) {
        cJSON_Delete(*tree);
        *tree = NULL;
        problem = "an object is expected";
        status = DAYBOOK_BAD_JSON;
    }
    if (status == DAYBOOK_OK) {
        return status;
    }
    (void)dk_text_format(text, sizeof text, "%s, at byte %zu", problem, offset);
    return dk_stage_fail(transaction, status, NULL, NULL, NULL, text);
}

/* Stages the record by `stage` (put or patch) and then all members. */
static daybook_status stage_json(struct daybook_transaction *transaction, const char *entity_name,
                                 const char *id, int64_t version, const char *json,
                                 daybook_status (*stage)(daybook_transaction *, const char *,
                                                         const char *, int64_t, daybook_record **),
                                 struct daybook_record **out)
{
    struct saved_record saved;
    struct daybook_record *staged = NULL;
    struct id parsed;
    cJSON *tree = NULL;
    daybook_status status = parse(transaction, json, &tree);
    if (status != DAYBOOK_OK) {
        return status;
    }
    const struct entity *entity =
        entity_name == NULL ? NULL : dk_entity_by_name(entity_name, strlen(entity_name));
    if (entity != NULL && id != NULL && dk_id_from_text(id, strnlen(id, ID_TEXT_SIZE), &parsed)) {
        staged = dk_stage_find(transaction, entity, &parsed);
    }
    status = save(transaction, staged, &saved);
    if (status == DAYBOOK_OK) {
        status = stage(transaction, entity_name, id, version, out);
    }
    if (status != DAYBOOK_OK) {
        goto end;
    }
    for (const cJSON *node = tree->child; node != NULL && status == DAYBOOK_OK; node = node->next) {
        status = set_member(*out, node);
    }
    if (status != DAYBOOK_OK) {
        restore(*out, &saved);
    }

end:
    cJSON_Delete(tree);
    return status;
}

/* See daybook.h. */
daybook_status daybook_put_json(daybook_transaction *transaction, const char *entity,
                                const char *id, int64_t version, const char *json, char *id_out,
                                daybook_error *error)
{
    struct daybook_record *record = NULL;
    if (transaction == NULL || json == NULL) {
        return dk_error_text(error, DAYBOOK_MISUSE, NULL);
    }
    daybook_status status =
        stage_json(transaction, entity, id, version, json, daybook_put, &record);
    if (status != DAYBOOK_OK) {
        dk_error_copy(error, &transaction->error);
        return status;
    }
    if (id_out != NULL) {
        memcpy(id_out, record->id_text, DAYBOOK_ID_SIZE);
    }
    return DAYBOOK_OK;
}

/* See daybook.h. */
daybook_status daybook_patch_json(daybook_transaction *transaction, const char *entity,
                                  const char *id, int64_t version, const char *json,
                                  daybook_error *error)
{
    struct daybook_record *record = NULL;
    if (transaction == NULL || json == NULL) {
        return dk_error_text(error, DAYBOOK_MISUSE, NULL);
    }
    daybook_status status =
        stage_json(transaction, entity, id, version, json, daybook_patch, &record);
    if (status != DAYBOOK_OK) {
        dk_error_copy(error, &transaction->error);
    }
    return status;
}
