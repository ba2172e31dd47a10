/* SPDX-License-Identifier: Apache-2.0
 *
 * A query's rows as one JSON text, for bridges to other languages. Called by apps. Invariant: the
 * text is strict JSON whatever the columns hold; whole numbers that a double cannot hold are
 * strings.
 */
#include "engine/api/query.h"

#include "engine/base/text.h"
#include "engine/base/tree.h"

#include <string.h>

#define PARAMETERS_BYTES_MAX (1024 * 1024)
#define RESULT_BYTES_MAX ((size_t)64 * 1024 * 1024)

/* Binds one parameter. */
static daybook_status bind_node(struct daybook_query *query, int position, const cJSON *node)
{
    int64_t number;
    if (cJSON_IsNull(node)) {
        return daybook_bind_null(query, position);
    }
    if (cJSON_IsString(node)) {
        return daybook_bind_text(query, position, node->valuestring);
    }
    if (dk_tree_integer(node, &number)) {
        return daybook_bind_int(query, position, number);
    }
    return dk_error_text(&query->error, DAYBOOK_WRONG_TYPE,
                         "a parameter is a string, a whole number or null");
}

/* Binds the members of a JSON array. */
static daybook_status bind_all(struct daybook_query *query, const char *parameters)
{
    cJSON *tree = NULL;
    const char *problem = NULL;
    size_t offset = 0;
    char text[200];
    daybook_status status = dk_tree_parse(parameters, strnlen(parameters, PARAMETERS_BYTES_MAX + 1),
                                          PARAMETERS_BYTES_MAX, &tree, &problem, &offset);
    if (status == DAYBOOK_OK && !cJSON_IsArray(tree)) {
        problem = "an array is expected";
        status = DAYBOOK_BAD_JSON;
    }
    if (status != DAYBOOK_OK) {
        (void)dk_text_format(text, sizeof text, "parameters: %s, at byte %zu", problem, offset);
        (void)dk_error_text(&query->error, status, text);
        cJSON_Delete(tree);
        return status;
    }
    int position = 0;
    for (const cJSON *node = tree->child; node != NULL && status == DAYBOOK_OK; node = node->next) {
        position++;
        status = bind_node(query, position, node);
    }
    cJSON_Delete(tree);
    return status;
}

/* Appends one column's value. Real numbers are given as SQLite words them, infinities as null. */
static void append_column(struct daybook_query *query, int column, struct buffer *out)
{
    int type = sqlite3_column_type(query->statement, column);
    if (type == SQLITE_INTEGER) {
        int64_t number = sqlite3_column_int64(query->statement, column);
        if (number >= -LIMIT_NUMBER && number <= LIMIT_NUMBER) {
            dk_buffer_append_int(out, number);
        } else {
            dk_json_write_int64(out, number);
        }
        return;
    }
    const char *text = dk_query_text(query, column);
    if (text == NULL || (type == SQLITE_FLOAT && strpbrk(text, "0123456789") == NULL)) {
        dk_buffer_append_text(out, "null");
    } else if (type == SQLITE_FLOAT) {
        dk_buffer_append_text(out, text);
    } else if (dk_text_is_utf8(text, strlen(text))) {
        dk_json_write_string(out, text, strlen(text));
    } else {
        dk_buffer_append_text(out, "null");
    }
}

/* Appends the present row as an object. The lock is taken as any accessor does. */
static daybook_status append_row(struct daybook_query *query, bool first, struct buffer *out)
{
    daybook_status status = DAYBOOK_OK;
    dk_buffer_append_text(out, first ? "{" : ",{");
    pthread_mutex_lock(&query->lock);
    if (query->statement == NULL || query->saved != NULL) {
        status = dk_error_text(&query->error, DAYBOOK_INTERRUPTED, NULL);
    }
    for (int i = 0; status == DAYBOOK_OK && i < query->column_count; i++) {
        const char *name = sqlite3_column_name(query->statement, i);
        if (name == NULL) {
            status = dk_error_text(&query->error, DAYBOOK_NO_MEMORY, NULL);
            break;
        }
        dk_buffer_append_text(out, i == 0 ? "" : ",");
        dk_json_write_string(out, name, strlen(name));
        dk_buffer_append_char(out, ':');
        append_column(query, i, out);
    }
    pthread_mutex_unlock(&query->lock);
    dk_buffer_append_char(out, '}');
    if (status == DAYBOOK_OK && out->status != DAYBOOK_OK) {
        status = dk_error_text(&query->error, out->status, NULL);
    }
    return status;
}

/* All rows as an array. */
static daybook_status append_rows(struct daybook_query *query, struct buffer *out)
{
    daybook_status status = DAYBOOK_OK;
    bool row = true;
    bool first = true;
    dk_buffer_append_char(out, '[');
    while (status == DAYBOOK_OK && row) {
        status = daybook_step(query, &row);
        if (status == DAYBOOK_OK && row) {
            status = append_row(query, first, out);
            first = false;
        }
    }
    dk_buffer_append_char(out, ']');
    if (status == DAYBOOK_OK && out->status != DAYBOOK_OK) {
        status = dk_error_text(&query->error, out->status, NULL);
    }
    return status;
}

/* See daybook.h. */
daybook_status daybook_query_json(daybook *engine, const char *sql, const char *parameters,
                                  char **json, daybook_error *error)
{
    daybook_query *query = NULL;
    struct buffer out;
    size_t length;
    if (json != NULL) {
        *json = NULL;
    }
    if (json == NULL) {
        return dk_error_text(error, DAYBOOK_MISUSE, NULL);
    }
    daybook_status status = daybook_query_open(engine, sql, &query, error);
    if (status != DAYBOOK_OK) {
        return status;
    }
    dk_buffer_init(&out, RESULT_BYTES_MAX);
    if (parameters != NULL) {
        status = bind_all(query, parameters);
    }
    if (status == DAYBOOK_OK) {
        status = append_rows(query, &out);
    }
    if (status == DAYBOOK_OK) {
        *json = dk_buffer_take(&out, &length);
    } else {
        dk_error_copy(error, &query->error);
    }
    dk_buffer_clear(&out);
    daybook_query_close(&query);
    return status;
}
