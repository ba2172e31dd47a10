/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the proof that a store is right: recomputes what the tables must say and compares. Called by
 * tests after each step. It changes nothing: all that it writes to compare is rolled back.
 */
#include "engine/store/inside.h"

#include "engine/base/text.h"

#include <stdio.h>
#include <string.h>

struct check {
    struct store *store;
    char *problem;
    size_t size;
    daybook_status status; /* of the database; not OK: the check itself failed */
};

/* Notes what is wrong, with the record concerned. */
static bool wrong(struct check *check, const char *what, const struct entity *entity,
                  const struct id *id)
{
    char text[ID_TEXT_SIZE] = "";
    if (id != NULL) {
        dk_id_to_text(id, text);
    }
    (void)dk_text_format(check->problem, check->size, "%s: %s %s", what,
                         entity == NULL ? "" : entity->name, text);
    return false;
}

/* Notes that the check itself could not go on; returns false. */
static bool failed(struct check *check, daybook_status status)
{
    check->status = status;
    (void)dk_text_format(check->problem, check->size, "the check failed, status %d: %s",
                         (int)status, check->store->database.problem);
    return false;
}

/* ---- what the outbox says */

/* One (record, changeset) pair. */
struct touch {
    const struct entity *entity;
    struct id id;
    int64_t first, last, seen;
    uint64_t fields;
    int changes;
};

struct touches {
    struct touch *items;
    int count, capacity;
};

/* What the outbox says about a record so far, or NULL. */
static struct touch *find_touch(struct touches *touches, const struct entity *entity,
                                const struct id *id)
{
    for (int i = touches->count - 1; i >= 0; i--) {
        if (touches->items[i].entity == entity && dk_id_compare(&touches->items[i].id, id) == 0) {
            return &touches->items[i];
        }
    }
    return NULL;
}

/* Counts one change of the outbox for its record. */
static bool add_touch(struct check *check, struct touches *touches,
                      const struct changeset *changeset, const struct change *change)
{
    int64_t seen = change->seen;
    daybook_status status = dk_stale_seen(check->store, changeset->epoch, &seen);
    if (status != DAYBOOK_OK) {
        return failed(check, status);
    }
    struct touch *touch = find_touch(touches, change->entity, &change->id);
    if (touch == NULL) {
        struct touch *grown = dk_arena_grow(&check->store->arena, touches->items, touches->count,
                                            &touches->capacity, sizeof *grown);
        if (grown == NULL) {
            return failed(check, DAYBOOK_NO_MEMORY);
        }
        touches->items = grown;
        touch = &touches->items[touches->count++];
        *touch = (struct touch){
            .entity = change->entity, .id = change->id, .first = changeset->seq, .seen = INT64_MAX};
    }
    touch->last = changeset->seq;
    touch->changes++;
    touch->seen = seen < touch->seen ? seen : touch->seen;
    touch->fields |= dk_records_mask(change->values, change->value_count);
    return true;
}

/* Walks the outbox: order, counts, and which records it touches. */
static bool read_outbox(struct check *check, struct touches *touches)
{
    struct store *store = check->store;
    struct store_state *state = &store->memory.state;
    struct outbox_row *rows;
    int count;
    int64_t pending = 0, unsettled = 0, kept = 0;
    daybook_status status = dk_outbox_list(store, &store->arena, &rows, &count);
    for (int i = 0; status == DAYBOOK_OK && i < count; i++) {
        const struct decoded *decoded;
        pending += rows[i].verdict == OUTBOX_NONE;
        kept += rows[i].verdict == OUTBOX_SETTLED;
        unsettled += rows[i].verdict != OUTBOX_NONE && rows[i].verdict != OUTBOX_SETTLED;
        if (rows[i].seq >= state->next_seq) {
            return wrong(check, "an outbox number is not below next_seq", NULL, &rows[i].id);
        }
        if (rows[i].verdict != OUTBOX_SETTLED && rows[i].seq <= state->settled) {
            return wrong(check, "settled covers a changeset that is not", NULL, &rows[i].id);
        }
        status = dk_outbox_decode(store, rows[i].seq, &decoded);
        if (status != DAYBOOK_OK) {
            break;
        }
        if (decoded->changeset.seq != rows[i].seq ||
            dk_id_compare(&decoded->changeset.id, &rows[i].id) != 0) {
            return wrong(check, "a body has another number or id than its row", NULL, &rows[i].id);
        }
        for (int c = 0; rows[i].verdict != OUTBOX_SETTLED && c < decoded->changeset.change_count;
             c++) {
            if (!add_touch(check, touches, &decoded->changeset, &decoded->changeset.changes[c])) {
                return false;
            }
        }
    }
    if (status != DAYBOOK_OK) {
        return failed(check, status);
    }
    return (pending == state->pending && unsettled == state->unsettled &&
            kept == store->memory.kept) ||
           wrong(check, "the counts of the outbox are not what it holds", NULL, NULL);
}

/* ---- records with something pending */

/* Fields that only the rules set: they follow other records, which may have changed since. */
static uint64_t compared_fields(const struct store *store, const struct holding *holding)
{
    const struct entity_facts *facts = &store->facts[holding->entity->kind];
    return ~(facts->server | facts->derived);
}

/* Whether two records agree on these fields, and on those of newer schemas. */
static bool same_fields(const struct record *a, const struct record *b, uint64_t fields)
{
    for (int i = 0; i < a->entity->field_count; i++) {
        if ((fields >> i & 1) != 0 && !dk_value_equal(&a->values[i], &b->values[i])) {
            return false;
        }
    }
    return dk_value_equal(&a->extra, &b->extra);
}

/* Whether row and pending row say what the outbox says: numbers, version, fields touched. */
static bool check_bounds(struct check *check, const struct touch *touch,
                         const struct holding *holding)
{
    uint64_t derived = check->store->facts[touch->entity->kind].derived;
    int64_t version =
        holding->is_implied ? dk_version_made(touch->first) : dk_version_pending(holding->slot);
    if (!holding->is_pending) {
        return wrong(check, "an unsettled change is not pending", touch->entity, &touch->id);
    }
    if (holding->first != touch->first || holding->last != touch->last ||
        holding->seen != touch->seen) {
        return wrong(check, "a pending row has other bounds than the outbox", touch->entity,
                     &touch->id);
    }
    if (holding->has_row && holding->row.version != version) {
        return wrong(check, "a pending record's version does not say what is pending",
                     touch->entity, &touch->id);
    }
    if (holding->has_row && !holding->is_implied && holding->base_state != BASE_ABSENT &&
        ((touch->fields & ~derived) & ~holding->touched) != 0) {
        return wrong(check, "touched lacks a field", touch->entity, &touch->id);
    }
    return true;
}

/* Rebuilds the record from its base and the outbox, and compares with what was there. */
static bool check_touch(struct check *check, const struct touch *touch)
{
    struct store *store = check->store;
    struct holding before, after;
    struct base base, base_after;
    struct touched touched = {.count = 0};
    dk_arena_reset(&store->work);
    daybook_status status =
        dk_pending_load(store, touch->entity, &touch->id, &store->work, &before);
    if (status != DAYBOOK_OK) {
        return failed(check, status);
    }
    if (!check_bounds(check, touch, &before)) {
        return false;
    }
    status = dk_pending_base(&before, &store->work, &base);
    if (status == DAYBOOK_OK) {
        status = dk_pending_rebuild(store, &before, &base, &touched);
    }
    if (status == DAYBOOK_OK) {
        status = dk_pending_load(store, touch->entity, &touch->id, &store->work, &after);
    }
    if (status == DAYBOOK_OK) {
        status = dk_pending_base(&after, &store->work, &base_after);
    }
    if (status != DAYBOOK_OK) {
        return failed(check, status);
    }
    uint64_t fields = compared_fields(store, &before);
    if (before.has_row != after.has_row || after.is_implied != before.is_implied) {
        return wrong(check, "a pending record is shown where it should not be, or is not",
                     touch->entity, &touch->id);
    }
    if (before.has_row && !same_fields(&before.row.record, &after.row.record, fields)) {
        return wrong(check, "a record is not its base with the changes on top", touch->entity,
                     &touch->id);
    }
    if (base.state != base_after.state || base.version != base_after.version ||
        !same_fields(&base.record, &base_after.record,
                     ~store->facts[touch->entity->kind].derived)) {
        return wrong(check, "a base does not survive", touch->entity, &touch->id);
    }
    return true;
}

/* ---- rows of the tables */

/* One number out of SQL of our own making. */
static bool ask(struct check *check, const char *sql, int64_t *number)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(check->store->database.handle, sql, -1, &statement, NULL);
    if (result == SQLITE_OK) {
        result = sqlite3_step(statement);
        *number = result == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    }
    daybook_status status = dk_database_status(&check->store->database, result);
    (void)sqlite3_finalize(statement);
    return status == DAYBOOK_OK || failed(check, status);
}

/* Nothing is pending that the outbox does not say. */
static bool check_counts(struct check *check, const struct touches *touches)
{
    struct store *store = check->store;
    int64_t rows = 0, hidden = 0, marked = 0, inbox = 0;
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        char sql[128];
        int64_t count = 0;
        (void)dk_text_format(sql, sizeof sql, "SELECT count(*) FROM r_%s WHERE version<0",
                             dk_entity(kind)->name);
        if (!ask(check, sql, &count)) {
            return false;
        }
        marked += count;
    }
    if (!ask(check, "SELECT count(*) FROM pending", &rows) ||
        !ask(check, "SELECT count(*) FROM hidden", &hidden) ||
        !ask(check, "SELECT count(*) FROM inbox_item WHERE root IS NULL", &inbox)) {
        return false;
    }
    if (rows != store->memory.pending_rows || hidden != store->memory.hidden_rows) {
        return wrong(check, "the count of pending rows is off", NULL, NULL);
    }
    if (inbox != store->memory.state.inbox) {
        return wrong(check, "the count of inbox items is off", NULL, NULL);
    }
    return marked + hidden == touches->count ||
           wrong(check, "something is pending that is not in the outbox", NULL, NULL);
}

/* DERIVED fields of every record. */
static bool check_derived(struct check *check, const struct entity *entity)
{
    struct store *store = check->store;
    struct sales_reader reader = dk_records_reader(store);
    sqlite3_stmt *ids = NULL;
    char sql[64];
    bool fine = true;
    if (store->facts[entity->kind].derived == 0) {
        return true;
    }
    (void)dk_text_format(sql, sizeof sql, "SELECT id FROM r_%s", entity->name);
    int result = sqlite3_prepare_v2(store->database.handle, sql, -1, &ids, NULL);
    while (fine && result == SQLITE_OK && sqlite3_step(ids) == SQLITE_ROW) {
        struct id id;
        struct stored stored;
        uint64_t changed = 0;
        bool found;
        memcpy(id.bytes, sqlite3_column_blob(ids, 0), ID_SIZE);
        dk_arena_reset(&store->work);
        daybook_status status = dk_records_load(store, entity, &id, &store->work, &stored, &found);
        if (status == DAYBOOK_OK) {
            status = dk_sales_derive(&reader, &stored.record, &store->work, &changed);
        }
        if (status != DAYBOOK_OK && status != DAYBOOK_OUT_OF_RANGE) {
            fine = failed(check, status);
        } else if (status == DAYBOOK_OK && changed != 0) {
            fine = wrong(check, "a DERIVED field is not what its record gives", entity, &id);
        }
    }
    (void)sqlite3_finalize(ids);
    return fine;
}

/* Which buckets are loading, and that whatever is stale waits for a page. */
static bool check_loading(struct check *check)
{
    static const char waits[] = "bucket<0 AND ~bucket NOT IN"
                                " (SELECT bucket FROM scope WHERE loading=1)";
    struct store *store = check->store;
    int64_t loading = 0, over = 0;
    char sql[256];
    if (!ask(check, "SELECT count(*) FROM scope WHERE loading<>0", &loading)) {
        return false;
    }
    if (loading != store->memory.state.loading) {
        return wrong(check, "the count of loading buckets is off", NULL, NULL);
    }
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        (void)dk_text_format(sql, sizeof sql, "SELECT count(*) FROM r_%s WHERE version>=0 AND %s",
                             dk_entity(kind)->name, waits);
        if (!ask(check, sql, &over)) {
            return false;
        }
        if (over > 0) {
            return wrong(check, "a row is stale that no page will replace", dk_entity(kind), NULL);
        }
    }
    return true;
}

/* The version sums that were kept up are those of the rows. */
static bool check_sums(struct check *check)
{
    uint64_t kept = 0, reckoned = 0;
    daybook_status status = dk_sums_write(check->store);
    if (status == DAYBOOK_OK) {
        status = dk_sums_scope(check->store, &kept);
    }
    if (status == DAYBOOK_OK) {
        status = dk_sums_reckon(check->store);
    }
    if (status == DAYBOOK_OK) {
        status = dk_sums_scope(check->store, &reckoned);
    }
    if (status != DAYBOOK_OK) {
        return failed(check, status);
    }
    return kept == reckoned || wrong(check, "a version sum is not that of the rows", NULL, NULL);
}

/* All checks, in the order in which later ones rely on earlier ones. */
static bool check_all(struct check *check)
{
    struct touches touches = {NULL, 0, 0};
    if (!read_outbox(check, &touches) || !check_counts(check, &touches) || !check_loading(check)) {
        return false;
    }
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        if (!check_derived(check, dk_entity(kind))) {
            return false;
        }
    }
    for (int i = 0; i < touches.count; i++) {
        if (!check_touch(check, &touches.items[i])) {
            return false;
        }
    }
    return check_sums(check);
}

/* The observer hears nothing, and memory stays what it was: the transaction is rolled back. */
bool dk_store_check(struct store *store, char *problem, size_t problem_size)
{
    struct check check = {store, problem, problem_size, DAYBOOK_OK};
    problem[0] = '\0';
    (void)pthread_mutex_lock(&store->lock);
    store->saved = store->memory;
    uint64_t changed = store->changed;
    dk_arena_reset(&store->arena);
    bool fine = dk_database_begin(&store->database) == DAYBOOK_OK && check_all(&check);
    dk_database_rollback(&store->database);
    dk_sums_forget(store);
    dk_outbox_forget(store);
    store->memory = store->saved;
    store->changed = changed;
    (void)pthread_mutex_unlock(&store->lock);
    return fine;
}
