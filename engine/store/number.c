/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns table doc_number: how many document numbers this file has given out, by device number and
 * entity. Called by commit, and when the device gets its first number. Invariant: no number is
 * given out twice. When a transaction ends, the table is ahead of what memory has given out, so a
 * crash leaves a gap; a copy of the file gets another device number, and a rejection gives nothing
 * back.
 */
#include "engine/store/inside.h"

#include "engine/sales/number.h"

#include <string.h>

/* Reserved beyond what a transaction gives out, so that the next ones need not write: at most so
 * many are skipped after a crash. */
#define NUMBERS_SKIPPED 15

/* Reads how many numbers the file has given out under the present device number. CORRUPT: so many
 * cannot be. */
static daybook_status load_counter(struct store *store, int entity, int64_t *last)
{
    daybook_status status;
    bool found;
    struct statement *load =
        dk_statement(&store->database, &store->slots.number_load,
                     "SELECT last FROM doc_number WHERE device_no=? AND entity=?", &status);
    if (load == NULL) {
        return status;
    }
    dk_bind_int(load, 1, store->memory.state.device_no);
    dk_bind_int(load, 2, store->facts[entity].number);
    status = dk_step(load, &found);
    *last = 0;
    if (status == DAYBOOK_OK && found) {
        *last = dk_column_int(load, 0);
        dk_reset(load);
    }
    return status == DAYBOOK_OK && (*last < 0 || *last >= LIMIT_NUMBER) ? DAYBOOK_CORRUPT : status;
}

/* Writes that all numbers up to `last` are given out. */
static daybook_status save_counter(struct store *store, int entity, int64_t last)
{
    daybook_status status;
    struct statement *save = dk_statement(
        &store->database, &store->slots.number_save,
        "INSERT OR REPLACE INTO doc_number(device_no,entity,last) VALUES(?,?,?)", &status);
    if (save == NULL) {
        return status;
    }
    dk_bind_int(save, 1, store->memory.state.device_no);
    dk_bind_int(save, 2, store->facts[entity].number);
    dk_bind_int(save, 3, last);
    return dk_step_done(save);
}

/* The next number of this kind of document; the end of the transaction reserves it. */
static daybook_status next_number(struct store *store, int entity, int64_t *counter)
{
    struct number_range *range = &store->memory.numbers[entity];
    daybook_status status = DAYBOOK_OK;
    if (range->device_no != store->memory.state.device_no) {
        *range = (struct number_range){.device_no = store->memory.state.device_no};
        status = load_counter(store, entity, &range->last);
        range->reserved = range->last;
    }
    if (status == DAYBOOK_OK) {
        *counter = ++range->last;
    }
    return status;
}

/* See inside.h. */
daybook_status dk_number_reserve(struct store *store)
{
    daybook_status status = DAYBOOK_OK;
    for (int entity = 0; entity < ENTITY_COUNT && status == DAYBOOK_OK; entity++) {
        struct number_range *range = &store->memory.numbers[entity];
        if (range->last > range->reserved) {
            range->reserved = range->last + NUMBERS_SKIPPED;
            status = save_counter(store, entity, range->reserved);
        }
    }
    return status;
}

/* Whether the change gives the field a value. */
static bool is_given(const struct change *change, int field)
{
    const struct value *value = dk_change_value(change, field);
    return value != NULL && value->kind != VALUE_NULL;
}

/* Values and text are put into the arena; the app's array stays as it is. */
daybook_status dk_number_give(struct store *store, struct change *change, struct arena *arena,
                              bool *given)
{
    int entity = change->entity->kind;
    int field = dk_number_field(entity);
    *given = false;
    if (change->op != BLOCK_NEW || field < 0 || store->memory.state.device_no == 0 ||
        is_given(change, field)) {
        return DAYBOOK_OK;
    }
    char text[NUMBER_SIZE];
    int64_t counter;
    daybook_status status = next_number(store, entity, &counter);
    if (status != DAYBOOK_OK) {
        return status;
    }
    size_t length = dk_number_write(entity, store->memory.state.device_no, counter, text);
    struct field_value *values =
        dk_arena_new(arena, ((size_t)change->value_count + 1) * sizeof *values);
    const char *copy = dk_arena_copy(arena, text, length);
    if (values == NULL || copy == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    int count = 0;
    for (int i = 0; i < change->value_count; i++) {
        if (change->values[i].field != field) {
            values[count++] = change->values[i];
        }
    }
    values[count] = (struct field_value){
        .field = field, .value = {.kind = VALUE_TEXT, .length = (uint32_t)length, .text = copy}};
    change->values = values;
    change->value_count = count + 1;
    *given = true;
    return DAYBOOK_OK;
}

/* Whether numbers of this entity are reserved that were not given out. */
static bool is_reserved(const struct store *store, int entity)
{
    const struct number_range *range = &store->memory.numbers[entity];
    return range->device_no != 0 && range->device_no == store->memory.state.device_no &&
           range->reserved > range->last;
}

bool dk_number_is_reserved(const struct store *store)
{
    bool any = false;
    for (int entity = 0; entity < ENTITY_COUNT; entity++) {
        any = any || is_reserved(store, entity);
    }
    return any;
}

daybook_status dk_number_return(struct store *store)
{
    daybook_status status = DAYBOOK_OK;
    for (int entity = 0; entity < ENTITY_COUNT && status == DAYBOOK_OK; entity++) {
        struct number_range *range = &store->memory.numbers[entity];
        if (is_reserved(store, entity)) {
            status = save_counter(store, entity, range->last);
            range->reserved = range->last;
        }
    }
    return status;
}

/* ---- documents that were made before the device had a number */

/* Makes the changeset's text anew. One that would pass the limit stays as it is. */
static daybook_status rewrite(struct store *store, const struct changeset *changeset)
{
    daybook_status status;
    dk_buffer_reset(&store->body);
    dk_changeset_encode(&store->body, changeset);
    if (store->body.status != DAYBOOK_OK) {
        return store->body.status == DAYBOOK_TOO_LARGE ? DAYBOOK_OK : store->body.status;
    }
    struct statement *write = dk_statement(&store->database, &store->slots.number_rewrite,
                                           "UPDATE outbox SET size=?,body=? WHERE seq=?", &status);
    if (write == NULL) {
        return status;
    }
    dk_bind_int(write, 1, (int64_t)store->body.length);
    dk_body_bind(store, write, 2, &store->body);
    dk_bind_int(write, 3, changeset->seq);
    return dk_step_done(write);
}

/* Numbers the documents of one changeset. */
static daybook_status number_changeset(struct store *store, int64_t seq)
{
    struct decoded *decoded;
    bool any = false;
    daybook_status status = dk_outbox_pin(store, seq, &decoded);
    if (status != DAYBOOK_OK) {
        return status;
    }
    struct changeset *changeset = &decoded->changeset;
    for (int i = 0; i < changeset->change_count && status == DAYBOOK_OK; i++) {
        bool given;
        status = dk_number_give(store, &changeset->changes[i], &decoded->arena, &given);
        any = any || given;
    }
    if (status == DAYBOOK_OK && any) {
        status = rewrite(store, changeset);
    }
    dk_outbox_unpin(decoded);
    return status;
}

/* See inside.h. */
daybook_status dk_number_all(struct store *store)
{
    struct outbox_row *rows;
    int count;
    daybook_status status = dk_outbox_list(store, &store->arena, &rows, &count);
    for (int i = 0; status == DAYBOOK_OK && i < count; i++) {
        status = number_changeset(store, rows[i].seq);
    }
    dk_outbox_forget(store);
    return status;
}
