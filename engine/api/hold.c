/* SPDX-License-Identifier: Apache-2.0
 *
 * Holds as apps meet them: what the server will hold up, told beforehand, and letting go what is
 * held. Called by apps. Invariant: the rules are those of the server, over what the device shows.
 */
#include "engine/api/staged.h"

#include "engine/base/memory.h"

#include <string.h>

#define HOLDS_JSON_MAX ((size_t)64 * 1024)

/* One hold as an object; the detail is JSON already. */
static void write_hold(struct buffer *out, const struct sales_hold *hold, bool first)
{
    dk_buffer_append_text(out, first ? "{\"code\":" : ",{\"code\":");
    dk_json_write_string(out, hold->code, strlen(hold->code));
    dk_buffer_append_text(out, ",\"user_role\":");
    dk_json_write_string(out, hold->role, strlen(hold->role));
    dk_buffer_append_text(out, ",\"detail\":");
    dk_buffer_append_text(out, hold->detail == NULL ? "null" : hold->detail);
    dk_buffer_append_char(out, '}');
}

/* The list as a text of its own. */
static daybook_status write_holds(const struct sales_hold *holds, int count, char **json)
{
    struct buffer out;
    size_t length;
    dk_buffer_init(&out, HOLDS_JSON_MAX);
    dk_buffer_append_char(&out, '[');
    for (int i = 0; i < count; i++) {
        write_hold(&out, &holds[i], i == 0);
    }
    dk_buffer_append_text(&out, "]");
    dk_buffer_append_char(&out, '\0');
    daybook_status status = out.status;
    if (status == DAYBOOK_OK) {
        *json = dk_buffer_take(&out, &length);
        status = *json == NULL ? DAYBOOK_NO_MEMORY : DAYBOOK_OK;
    }
    dk_buffer_clear(&out);
    return status;
}

/* See daybook.h. */
daybook_status daybook_expected_holds(daybook *engine, const char *entity, const char *id,
                                      char **json)
{
    struct sales_hold holds[SALES_HOLDS_MAX];
    struct arena arena;
    struct id key;
    bool found = false;
    int count = 0;
    if (json != NULL) {
        *json = NULL;
    }
    if (engine == NULL || entity == NULL || id == NULL || json == NULL) {
        return DAYBOOK_MISUSE;
    }
    const struct entity *kind = dk_entity_by_name(entity, strlen(entity));
    if (kind == NULL || !dk_id_from_text(id, strnlen(id, ID_TEXT_SIZE), &key)) {
        return kind == NULL ? DAYBOOK_UNKNOWN_ENTITY : DAYBOOK_INVALID;
    }
    if (!dk_engine_enter(engine)) {
        return DAYBOOK_MISUSE;
    }
    dk_arena_init(&arena, TRANSACTION_BYTES_MAX);
    daybook_status status =
        dk_store_holds(engine->store, kind, &key, &arena, holds, &count, &found);
    if (status == DAYBOOK_OK) {
        status = found ? write_holds(holds, count, json) : DAYBOOK_NOT_FOUND;
    }
    dk_arena_clear(&arena);
    dk_engine_leave(engine);
    return status;
}

/* ---- letting go */

/* Stages that the store's user clears the hold; refused where the user's role may not. */
static daybook_status stage_clearing(struct daybook_transaction *transaction, const char *hold,
                                     const char *note)
{
    struct store_state state;
    daybook_record *record = NULL;
    const char *role = NULL;
    char user[ID_TEXT_SIZE];
    dk_store_state(transaction->engine->store, &state);
    daybook_status status = daybook_read(transaction, "hold", hold, &record);
    if (status == DAYBOOK_OK) {
        status = daybook_get_text(record, "user_role", &role);
    }
    if (status == DAYBOOK_OK && (role == NULL || strcmp(role, state.role) != 0)) {
        status = dk_stage_fail(transaction, DAYBOOK_RULE, dk_entity(ENTITY_HOLD), NULL, "role",
                               "the hold is for another role to clear");
    }
    if (status == DAYBOOK_OK) {
        status = daybook_patch(transaction, "hold", hold, daybook_record_version(record), &record);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    int64_t now_ms = transaction->engine->platform.wall_ms(transaction->engine->platform.context) +
                     state.clock.offset_ms;
    dk_id_to_text(&state.user, user);
    status = daybook_set_bool(record, "cleared", true);
    if (status == DAYBOOK_OK) {
        status = daybook_set_id(record, "cleared_by", user);
    }
    if (status == DAYBOOK_OK) {
        status = daybook_set_int(record, "cleared_ts", now_ms);
    }
    if (status == DAYBOOK_OK && note != NULL) {
        status = daybook_set_text(record, "note", note);
    }
    return status;
}

/* See daybook.h. */
daybook_status daybook_clear_hold(daybook *engine, const char *hold, const char *note,
                                  daybook_error *error)
{
    daybook_transaction *transaction = NULL;
    if (engine == NULL || hold == NULL || !dk_engine_enter(engine)) {
        return dk_error_text(error, DAYBOOK_MISUSE, NULL);
    }
    daybook_status status = daybook_begin(engine, &transaction);
    if (status == DAYBOOK_OK) {
        status = stage_clearing(transaction, hold, note);
        if (status == DAYBOOK_OK) {
            status = daybook_commit(transaction, error);
        } else {
            dk_error_copy(error, &transaction->error);
        }
    }
    daybook_end(&transaction);
    dk_engine_leave(engine);
    return status;
}
