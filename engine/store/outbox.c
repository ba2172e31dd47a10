/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns table outbox: the changesets of this device that are not settled, each with its body as it
 * goes up. Called by commit, collect and apply. Invariants: bodies are never altered but for their
 * number under a new instance; memory.state counts what the table holds.
 */
#include "engine/store/inside.h"

#include "engine/base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MADE_SIZE (1 + ID_SIZE) /* bytes in outbox.made per record */

/* ---- counting */

/* Keeps the counts of memory: step 1 for a changeset that has this verdict now, -1 for one that
 * had. */
static void count_verdict(struct store *store, enum outbox_verdict verdict, int64_t step)
{
    struct store_state *state = &store->memory.state;
    if (verdict == OUTBOX_NONE) {
        state->pending += step;
    } else if (verdict != OUTBOX_SETTLED) {
        state->unsettled += step;
    } else {
        store->memory.kept += step;
    }
}

/* One number out of a statement without parameters; `otherwise` where there is no row or it is
 * NULL. */
static daybook_status query_number(struct store *store, struct statement **slot, const char *sql,
                                   int64_t otherwise, int64_t *number)
{
    daybook_status status;
    bool row;
    struct statement *statement = dk_statement(&store->database, slot, sql, &status);
    *number = otherwise;
    if (statement == NULL) {
        return status;
    }
    status = dk_step(statement, &row);
    if (status == DAYBOOK_OK && row) {
        *number = dk_column_is_null(statement, 0) ? otherwise : dk_column_int(statement, 0);
        dk_reset(statement);
    }
    return status;
}

daybook_status dk_outbox_refresh(struct store *store)
{
    struct store_state *state = &store->memory.state;
    int64_t first;
    daybook_status status = query_number(
        store, &store->slots.outbox_first_open,
        "SELECT seq FROM outbox WHERE verdict<9 ORDER BY seq LIMIT 1", state->next_seq, &first);
    if (status != DAYBOOK_OK) {
        return status;
    }
    state->settled = first - 1 > state->settled ? first - 1 : state->settled;
    state->oldest_pending_ms = 0;
    if (state->pending == 0) {
        return DAYBOOK_OK;
    }
    return query_number(store, &store->slots.outbox_oldest,
                        "SELECT made_ms FROM outbox WHERE verdict=0 ORDER BY seq LIMIT 1", 0,
                        &state->oldest_pending_ms);
}

/* ---- rows */

daybook_status dk_outbox_add(struct store *store, const struct changeset *changeset,
                             const struct buffer *made, const struct buffer *body, int64_t now_ms)
{
    daybook_status status;
    struct statement *add = dk_statement(
        &store->database, &store->slots.outbox_add,
        "INSERT INTO outbox(seq,id,verdict,position,made_ms,stamp,others,size,made,body)"
        " VALUES(?,?,0,0,?,?,?,?,?,?)",
        &status);
    if (add == NULL) {
        return status;
    }
    dk_bind_int(add, 1, changeset->seq);
    dk_bind_id(add, 2, &changeset->id);
    dk_bind_int(add, 3, now_ms);
    dk_bind_int(add, 4, (int64_t)changeset->time);
    dk_bind_int(add, 5, changeset->change_count - (int64_t)(made->length / MADE_SIZE));
    dk_bind_int(add, 6, (int64_t)body->length);
    if (made->length > 0) {
        dk_bind_blob(add, 7, made->bytes, made->length);
    }
    dk_body_bind(store, add, 8, body);
    status = dk_step_done(add);
    if (status == DAYBOOK_OK) {
        if (store->memory.state.pending == 0) {
            store->memory.state.oldest_pending_ms = now_ms;
        }
        count_verdict(store, OUTBOX_NONE, 1);
    }
    return status;
}

/* The columns seq, id, verdict, position, others; false: damaged. */
static bool take_row(struct statement *statement, struct outbox_row *row)
{
    row->seq = dk_column_int(statement, 0);
    row->verdict = (enum outbox_verdict)dk_column_int(statement, 2);
    row->position = dk_column_int(statement, 3);
    row->only_makes = dk_column_int(statement, 4) == 0;
    return dk_column_id(statement, 1, &row->id);
}

/* Steps a statement that yields at most one row of the outbox. */
static daybook_status read_row(struct statement *statement, struct outbox_row *row, bool *found)
{
    daybook_status status = dk_step(statement, found);
    if (status != DAYBOOK_OK || !*found) {
        return status;
    }
    bool fine = take_row(statement, row);
    dk_reset(statement);
    return fine ? DAYBOOK_OK : DAYBOOK_CORRUPT;
}

daybook_status dk_outbox_find(struct store *store, int64_t seq, struct outbox_row *row, bool *found)
{
    daybook_status status;
    struct statement *find =
        dk_statement(&store->database, &store->slots.outbox_find,
                     "SELECT seq,id,verdict,position,others FROM outbox WHERE seq=?", &status);
    if (find == NULL) {
        return status;
    }
    dk_bind_int(find, 1, seq);
    return read_row(find, row, found);
}

/* A scan: needed only where numbers and ids disagree, after the store took a new instance. */
daybook_status dk_outbox_find_id(struct store *store, const struct id *id, struct outbox_row *row,
                                 bool *found)
{
    daybook_status status;
    struct statement *find =
        dk_statement(&store->database, &store->slots.outbox_find_id,
                     "SELECT seq,id,verdict,position,others FROM outbox WHERE id=?", &status);
    if (find == NULL) {
        return status;
    }
    dk_bind_id(find, 1, id);
    return read_row(find, row, found);
}

daybook_status dk_outbox_note(struct store *store, int64_t seq, enum outbox_verdict from,
                              enum outbox_verdict verdict, int64_t position)
{
    daybook_status status;
    struct statement *note =
        dk_statement(&store->database, &store->slots.outbox_note,
                     "UPDATE outbox SET verdict=?,position=? WHERE seq=?", &status);
    if (note == NULL) {
        return status;
    }
    dk_bind_int(note, 1, verdict);
    dk_bind_int(note, 2, position);
    dk_bind_int(note, 3, seq);
    status = dk_step_done(note);
    if (status == DAYBOOK_OK) {
        count_verdict(store, from, -1);
        count_verdict(store, verdict, 1);
    }
    return status;
}

daybook_status dk_outbox_remove(struct store *store, int64_t seq, enum outbox_verdict from)
{
    daybook_status status;
    struct statement *statement = dk_statement(&store->database, &store->slots.outbox_remove,
                                               "DELETE FROM outbox WHERE seq=?", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, seq);
    status = dk_step_done(statement);
    if (status == DAYBOOK_OK) {
        count_verdict(store, from, -1);
    }
    return status;
}

/* Reads the statement's rows (seq, id, verdict, position, others) to the end. */
static daybook_status read_rows(struct statement *list, struct arena *arena,
                                struct outbox_row **rows, int *count)
{
    daybook_status status;
    bool row;
    int capacity = 0;
    while ((status = dk_step(list, &row)) == DAYBOOK_OK && row) {
        if (*count == capacity) {
            capacity = capacity == 0 ? 64 : capacity * 2;
            struct outbox_row *grown = dk_arena_new(arena, (size_t)capacity * sizeof *grown);
            if (grown == NULL) {
                dk_reset(list);
                return DAYBOOK_NO_MEMORY;
            }
            if (*count > 0) {
                memcpy(grown, *rows, (size_t)*count * sizeof *grown);
            }
            *rows = grown;
        }
        if (!take_row(list, &(*rows)[(*count)++])) {
            dk_reset(list);
            return DAYBOOK_CORRUPT;
        }
    }
    return status;
}

daybook_status dk_outbox_list(struct store *store, struct arena *arena, struct outbox_row **rows,
                              int *count)
{
    daybook_status status;
    struct statement *list =
        dk_statement(&store->database, &store->slots.outbox_list,
                     "SELECT seq,id,verdict,position,others FROM outbox ORDER BY seq", &status);
    *rows = NULL;
    *count = 0;
    return list == NULL ? status : read_rows(list, arena, rows, count);
}

/* Where nothing waits for its place there is nothing to look for. */
daybook_status dk_outbox_due(struct store *store, int64_t position, struct outbox_row **rows,
                             int *count)
{
    daybook_status status;
    *rows = NULL;
    *count = 0;
    if (store->memory.state.unsettled == 0) {
        return DAYBOOK_OK;
    }
    struct statement *due = dk_statement(
        &store->database, &store->slots.outbox_due,
        "SELECT seq,id,verdict,position,others FROM outbox WHERE verdict IN (1,2) AND position<=?"
        " ORDER BY position",
        &status);
    if (due == NULL) {
        return status;
    }
    dk_bind_int(due, 1, position);
    return read_rows(due, &store->arena, rows, count);
}

daybook_status dk_outbox_purge(struct store *store)
{
    daybook_status status;
    if (store->memory.kept == 0) {
        return DAYBOOK_OK;
    }
    struct statement *purge =
        dk_statement(&store->database, &store->slots.outbox_purge,
                     "DELETE FROM outbox WHERE verdict=9 AND position<=?", &status);
    if (purge == NULL) {
        return status;
    }
    dk_bind_int(purge, 1, store->memory.state.safe_position);
    status = dk_step_done(purge);
    if (status == DAYBOOK_OK) {
        store->memory.kept -= dk_database_changes(&store->database);
    }
    return status;
}

/* ---- texts */

/* A column's bytes, in the arena; NULL stays NULL. */
static struct value copy_column(struct statement *statement, int column, struct arena *arena)
{
    struct value value = {.kind = VALUE_NULL};
    size_t length;
    const void *bytes = dk_column_blob(statement, column, &length);
    if (bytes != NULL) {
        value.kind = VALUE_TEXT;
        value.length = (uint32_t)length;
        value.text = dk_arena_copy(arena, bytes, length);
    }
    return value;
}

daybook_status dk_outbox_texts(struct store *store, int64_t seq, struct arena *arena,
                               struct value *made, struct value *body)
{
    daybook_status status;
    bool row;
    struct statement *texts =
        dk_statement(&store->database, &store->slots.outbox_texts,
                     "SELECT made,size,body FROM outbox WHERE seq=?", &status);
    if (texts == NULL) {
        return status;
    }
    dk_bind_int(texts, 1, seq);
    status = dk_step(texts, &row);
    if (status != DAYBOOK_OK || !row) {
        return status == DAYBOOK_OK ? DAYBOOK_CORRUPT : status;
    }
    if (made != NULL) {
        *made = copy_column(texts, 0, arena);
    }
    if (body != NULL) {
        const char *text;
        size_t length;
        status = dk_body_read(store, texts, 1, 2, &text, &length);
        *body = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)length};
        body->text = status == DAYBOOK_OK ? dk_arena_copy(arena, text, length) : NULL;
    }
    dk_reset(texts);
    if (status != DAYBOOK_OK) {
        return status;
    }
    return arena->failed ? DAYBOOK_NO_MEMORY : DAYBOOK_OK;
}

bool dk_outbox_next_made(const struct store *store, const struct value *made, size_t *cursor,
                         const struct entity **entity, struct id *id)
{
    if (made->kind != VALUE_TEXT || *cursor + MADE_SIZE > made->length) {
        return false;
    }
    int kind = dk_schema_kind(store, (unsigned char)made->text[*cursor]);
    memcpy(id->bytes, made->text + *cursor + 1, ID_SIZE);
    *cursor += MADE_SIZE;
    *entity = kind < 0 ? NULL : dk_entity(kind);
    return true;
}

/* ---- decoded changesets */

/* Frees one place of the cache. */
static void forget(struct decoded *decoded)
{
    dk_arena_clear(&decoded->arena);
    decoded->seq = 0;
    decoded->pins = 0;
}

void dk_outbox_forget(struct store *store)
{
    for (int i = 0; i < STORE_DECODED; i++) {
        if (store->decoded[i].seq != 0) {
            forget(&store->decoded[i]);
        }
    }
}

/* A change against an entity and id, in the order of the sorted array. */
static int compare_key(const struct change *change, const struct entity *entity,
                       const struct id *id)
{
    if (change->entity != entity) {
        return change->entity->kind < entity->kind ? -1 : 1;
    }
    return dk_id_compare(&change->id, id);
}

/* By entity and id, for qsort over pointers. */
static int compare_changes(const void *a, const void *b)
{
    const struct change *const *left = a;
    const struct change *const *right = b;
    return compare_key(*left, (*right)->entity, &(*right)->id);
}

/* Decodes `length` bytes of a body, which are copied, into a free place of the cache. Whatever
 * commit has written decodes, so anything else is the file's damage. */
static daybook_status decode(struct decoded *decoded, const char *body, size_t length)
{
    dk_arena_init(&decoded->arena, STORE_ARENA_MAX);
    char *copy = dk_arena_copy(&decoded->arena, body, length);
    if (copy == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    if (!dk_changeset_read(copy, length, &decoded->arena, &decoded->changeset)) {
        return decoded->arena.failed ? DAYBOOK_NO_MEMORY : DAYBOOK_CORRUPT;
    }
    size_t count = (size_t)decoded->changeset.change_count;
    decoded->sorted = dk_arena_new(&decoded->arena, count * sizeof *decoded->sorted);
    if (decoded->sorted == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        decoded->sorted[i] = &decoded->changeset.changes[i];
    }
    qsort(decoded->sorted, count, sizeof *decoded->sorted, compare_changes);
    return DAYBOOK_OK;
}

/* The place that holds this changeset, or NULL. */
static struct decoded *find_decoded(struct store *store, int64_t seq)
{
    for (int i = 0; i < STORE_DECODED; i++) {
        if (store->decoded[i].seq == seq) {
            store->decoded[i].used = ++store->decoded_clock;
            return &store->decoded[i];
        }
    }
    return NULL;
}

/* Decodes into the place that was not used for longest. */
static daybook_status take_body(struct store *store, int64_t seq, const char *body, size_t length,
                                const struct decoded **decoded)
{
    struct decoded *place = NULL;
    for (int i = 0; i < STORE_DECODED; i++) {
        struct decoded *other = &store->decoded[i];
        if (other->pins == 0 && (place == NULL || other->used < place->used)) {
            place = other;
        }
    }
    assert(place != NULL); /* at most one is pinned at a time */
    forget(place);
    place->used = ++store->decoded_clock;
    daybook_status status = decode(place, body, length);
    if (status != DAYBOOK_OK) {
        forget(place);
        return status;
    }
    place->seq = seq;
    *decoded = place;
    return DAYBOOK_OK;
}

daybook_status dk_outbox_decode(struct store *store, int64_t seq, const struct decoded **decoded)
{
    daybook_status status;
    bool row;
    *decoded = find_decoded(store, seq);
    if (*decoded != NULL) {
        return DAYBOOK_OK;
    }
    struct statement *statement = dk_statement(&store->database, &store->slots.outbox_body,
                                               "SELECT size,body FROM outbox WHERE seq=?", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, seq);
    status = dk_step(statement, &row);
    if (status != DAYBOOK_OK) {
        return status;
    }
    size_t length;
    const char *body;
    status = row ? dk_body_read(store, statement, 0, 1, &body, &length) : DAYBOOK_CORRUPT;
    if (status == DAYBOOK_OK) {
        status = take_body(store, seq, body, length, decoded);
    }
    dk_reset(statement);
    return status;
}

daybook_status dk_outbox_pin(struct store *store, int64_t seq, struct decoded **decoded)
{
    const struct decoded *found;
    daybook_status status = dk_outbox_decode(store, seq, &found);
    if (status == DAYBOOK_OK) {
        *decoded = &store->decoded[found - store->decoded];
        (*decoded)->pins++;
    }
    return status;
}

void dk_outbox_unpin(struct decoded *decoded)
{
    assert(decoded->pins > 0);
    decoded->pins--;
}

/* A deep copy of a change, since the cache may drop what it is in. */
static bool copy_change(const struct change *change, struct arena *arena, struct change *copy)
{
    *copy = *change;
    if (change->value_count == 0) {
        return true;
    }
    copy->values = dk_arena_new(arena, (size_t)change->value_count * sizeof *copy->values);
    for (int i = 0; i < change->value_count && copy->values != NULL; i++) {
        copy->values[i] = change->values[i];
        copy->values[i].value = dk_value_copy(&change->values[i].value, arena);
    }
    return !arena->failed;
}

/* The change of this record in a decoded changeset, or NULL. */
static const struct change *find_change(const struct decoded *decoded, const struct entity *entity,
                                        const struct id *id)
{
    int low = 0, high = decoded->changeset.change_count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        int order = compare_key(decoded->sorted[middle], entity, id);
        if (order == 0) {
            return decoded->sorted[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* The seqs of the range whose bodies may name the id, ascending: long bodies without looking,
 * because the cache pays for those. */
static daybook_status list_seqs(struct store *store, const struct id *id, int64_t first,
                                int64_t last, struct arena *arena, int64_t **seqs, int *count)
{
    daybook_status status;
    bool row;
    int capacity = 0;
    char wire[ID_WIRE_LENGTH];
    struct statement *list =
        dk_statement(&store->database, &store->slots.outbox_seqs,
                     "SELECT seq FROM outbox WHERE seq BETWEEN ? AND ? AND verdict<9"
                     " AND (size>? OR instr(body,?)>0) ORDER BY seq",
                     &status);
    *seqs = NULL;
    *count = 0;
    if (list == NULL) {
        return status;
    }
    dk_id_to_wire(id, wire);
    dk_bind_int(list, 1, first);
    dk_bind_int(list, 2, last);
    dk_bind_int(list, 3, (int64_t)BODY_PLAIN_MAX);
    dk_bind_text(list, 4, wire, sizeof wire);
    while ((status = dk_step(list, &row)) == DAYBOOK_OK && row) {
        if (*count == capacity) {
            capacity = capacity == 0 ? 8 : capacity * 2;
            int64_t *grown = dk_arena_new(arena, (size_t)capacity * sizeof *grown);
            if (grown == NULL) {
                dk_reset(list);
                return DAYBOOK_NO_MEMORY;
            }
            if (*count > 0) {
                memcpy(grown, *seqs, (size_t)*count * sizeof *grown);
            }
            *seqs = grown;
        }
        (*seqs)[(*count)++] = dk_column_int(list, 0);
    }
    return status;
}

daybook_status dk_outbox_changes(struct store *store, const struct entity *entity,
                                 const struct id *id, int64_t first, int64_t last,
                                 struct arena *arena, struct outbox_change **changes, int *count)
{
    int64_t *seqs;
    int seq_count;
    daybook_status status = list_seqs(store, id, first, last, arena, &seqs, &seq_count);
    *count = 0;
    *changes = NULL;
    if (status != DAYBOOK_OK || seq_count == 0) {
        return status;
    }
    *changes = dk_arena_new(arena, (size_t)seq_count * sizeof **changes);
    if (*changes == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    for (int i = 0; i < seq_count; i++) {
        const struct decoded *decoded;
        status = dk_outbox_decode(store, seqs[i], &decoded);
        if (status != DAYBOOK_OK) {
            return status;
        }
        const struct change *change = find_change(decoded, entity, id);
        if (change == NULL) {
            continue;
        }
        struct outbox_change *slot = &(*changes)[(*count)++];
        slot->seq = seqs[i];
        slot->time = decoded->changeset.time;
        if (!copy_change(change, arena, &slot->change)) {
            return DAYBOOK_NO_MEMORY;
        }
        status = dk_stale_seen(store, decoded->changeset.epoch, &slot->change.seen);
        if (status != DAYBOOK_OK) {
            return status;
        }
    }
    return DAYBOOK_OK;
}
