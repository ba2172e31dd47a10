/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns table inbox_item: what needs a person or should be known. Called by apply, which adds, by
 * commit and the API, which take away. Invariants: a rejected changeset is in the inbox, whole,
 * until somebody discards or re-sends it; those that were rejected because they built on it hang
 * from its item as one chain, in the order in which they were made: the head, then by number.
 */
#include "engine/store/inside.h"

#include <string.h>

#define COLUMNS /* all but number and root */                                                      \
    "kind,code,entity,record_id,field,rule,mine,theirs,changeset,cause,created_ms,body,subject,rest"

/* ---- adding */

/* Binds a text; NULL and "" become NULL. */
static void bind_text(struct statement *statement, int position, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        dk_bind_text(statement, position, text, strlen(text));
    }
}

/* The head of the chain that an item of this changeset is in; 0: none. */
static daybook_status find_root(struct store *store, const struct id *changeset, int64_t *root)
{
    daybook_status status;
    bool row;
    *root = 0;
    if (changeset == NULL || dk_id_is_zero(changeset)) {
        return DAYBOOK_OK;
    }
    struct statement *find = dk_statement(
        &store->database, &store->slots.inbox_by_changeset,
        "SELECT coalesce(root,item) FROM inbox_item WHERE changeset=? AND kind='rejected'",
        &status);
    if (find == NULL) {
        return status;
    }
    dk_bind_id(find, 1, changeset);
    status = dk_step(find, &row);
    if (status == DAYBOOK_OK && row) {
        *root = dk_column_int(find, 0);
        dk_reset(find);
    }
    return status;
}

/* Notes that an item of this kind tells of a record of the server's, or of a changeset; *first
 * false where one has before. */
static daybook_status note_told(struct store *store, const struct id *subject, const char *kind,
                                bool *first)
{
    daybook_status status;
    struct statement *note =
        dk_statement(&store->database, &store->slots.inbox_told,
                     "INSERT OR IGNORE INTO inbox_told(subject,kind) VALUES(?,?)", &status);
    if (note == NULL) {
        return status;
    }
    dk_bind_id(note, 1, subject);
    dk_bind_text(note, 2, kind, strlen(kind));
    status = dk_step_done(note);
    *first = status == DAYBOOK_OK && dk_database_changes(&store->database) == 1;
    return status;
}

/* What was rejected has a body, and is there until somebody deals with it; all else is told once.
 */
daybook_status dk_inbox_add(struct store *store, const struct inbox_item *item)
{
    daybook_status status;
    int64_t root;
    bool first = true;
    const struct id *subject = item->subject != NULL ? item->subject : item->changeset;
    if (item->body == NULL && subject != NULL) {
        status = note_told(store, subject, item->kind, &first);
        if (status != DAYBOOK_OK || !first) {
            return status;
        }
    }
    struct statement *add = dk_statement(
        &store->database, &store->slots.inbox_add,
        "INSERT INTO inbox_item(root," COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", &status);
    if (add == NULL) {
        return status;
    }
    status = find_root(store, item->cause, &root);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (root != 0) {
        dk_bind_int(add, 1, root);
    }
    dk_bind_text(add, 2, item->kind, strlen(item->kind));
    dk_bind_text(add, 3, item->code, strlen(item->code));
    bind_text(add, 4, item->entity);
    bind_text(add, 5, item->record_id);
    bind_text(add, 6, item->field);
    bind_text(add, 7, item->rule);
    dk_bind_text(add, 8, item->mine, item->mine_length);
    dk_bind_text(add, 9, item->theirs, item->theirs_length);
    dk_bind_id(add, 10, item->changeset);
    dk_bind_id(add, 11, item->cause != NULL && dk_id_is_zero(item->cause) ? NULL : item->cause);
    dk_bind_int(add, 12, dk_store_wall_ms(store));
    dk_bind_text(add, 13, item->body, item->body_length);
    dk_bind_id(add, 14, item->subject);
    dk_bind_text(add, 15, item->rest, item->rest_length);
    status = dk_step_done(add);
    if (status == DAYBOOK_OK) {
        store->memory.state.inbox += root == 0;
        store->changed |= STORE_CHANGED_SYNC;
        if (root == 0) {
            store->memory.state.inbox_last = sqlite3_last_insert_rowid(store->database.handle);
        }
    }
    return status;
}

/* ---- taking away */

/* Runs a statement with the number of an item as its only parameter. */
static daybook_status run_for(struct store *store, struct statement **slot, const char *sql,
                              int64_t item)
{
    daybook_status status;
    struct statement *statement = dk_statement(&store->database, slot, sql, &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, item);
    return dk_step_done(statement);
}

/* What hung from an item that is gone becomes an item of its own, headed by its first member. That
 * gets a new number: nobody has been told of it. */
static daybook_status promote(struct store *store, int64_t gone)
{
    daybook_status status = run_for(store, &store->slots.inbox_promote,
                                    "INSERT INTO inbox_item(" COLUMNS ") SELECT " COLUMNS
                                    " FROM inbox_item WHERE root=? ORDER BY item LIMIT 1",
                                    gone);
    if (status != DAYBOOK_OK || dk_database_changes(&store->database) == 0) {
        return status;
    }
    int64_t head = sqlite3_last_insert_rowid(store->database.handle);
    status = run_for(store, &store->slots.inbox_first,
                     "DELETE FROM inbox_item WHERE item="
                     "(SELECT min(item) FROM inbox_item WHERE root=?)",
                     gone);
    struct statement *hang =
        status != DAYBOOK_OK ? NULL
                             : dk_statement(&store->database, &store->slots.inbox_hang,
                                            "UPDATE inbox_item SET root=?1 WHERE root=?2", &status);
    if (hang == NULL) {
        return status;
    }
    dk_bind_int(hang, 1, head);
    dk_bind_int(hang, 2, gone);
    store->memory.state.inbox++;
    store->memory.state.inbox_last = head;
    return dk_step_done(hang);
}

/* Without its chain; see promote. */
daybook_status dk_inbox_remove(struct store *store, int64_t item, bool *found)
{
    daybook_status status;
    struct statement *remove =
        dk_statement(&store->database, &store->slots.inbox_remove,
                     "DELETE FROM inbox_item WHERE item=? RETURNING root IS NULL", &status);
    *found = false;
    if (remove == NULL) {
        return status;
    }
    dk_bind_int(remove, 1, item);
    status = dk_step(remove, found);
    if (status != DAYBOOK_OK || !*found) {
        return status;
    }
    bool head = dk_column_int(remove, 0) != 0;
    dk_reset(remove);
    store->changed |= STORE_CHANGED_SYNC;
    store->memory.state.inbox -= head;
    return head ? promote(store, item) : DAYBOOK_OK;
}

/* Items of holds that do not stand any more, or are out of scope. One that this device has let go
 * stands until the server says so. */
#define IS_OVER                                                                                    \
    "kind='held' AND NOT EXISTS(SELECT 1 FROM r_hold h WHERE h.id=subject"                         \
    " AND (h.version<0 OR coalesce(h.cleared,0)=0))"

/* A hold that comes back is told again, unless somebody had taken its item away. Nothing hangs from
 * such items. */
daybook_status dk_inbox_drop_holds(struct store *store)
{
    daybook_status status =
        dk_database_run(&store->database, "DELETE FROM inbox_told WHERE kind='held' AND subject IN"
                                          " (SELECT subject FROM inbox_item WHERE " IS_OVER ")");
    if (status == DAYBOOK_OK) {
        status = dk_database_run(&store->database, "DELETE FROM inbox_item WHERE " IS_OVER);
    }
    if (status == DAYBOOK_OK && dk_database_changes(&store->database) > 0) {
        store->memory.state.inbox -= dk_database_changes(&store->database);
        store->changed |= STORE_CHANGED_SYNC;
    }
    return status;
}

/* An item with its chain; of a value that lost also what the rest of its group lost, so that no
 * part of it comes back without the others. */
static daybook_status remove_whole(struct store *store, int64_t item, bool *found)
{
    struct change change = {.value_count = 0};
    int64_t *items = &item;
    int count = 1;
    bool other;
    dk_arena_reset(&store->work);
    daybook_status status =
        dk_inbox_lost_change(store, item, &store->work, &change, &items, &count);
    if (status == DAYBOOK_NOT_FOUND || status == DAYBOOK_INVALID) {
        items = &item; /* it holds no value that could be written */
        count = 1;
        status = DAYBOOK_OK;
    }
    if (status == DAYBOOK_OK) {
        status =
            run_for(store, &store->slots.inbox_root, "DELETE FROM inbox_item WHERE root=?", item);
    }
    for (int i = 0; i < count && status == DAYBOOK_OK; i++) {
        status = dk_inbox_remove(store, items[i], i == 0 ? found : &other);
    }
    return status;
}

/* Whether the item is there, and is of a rejected changeset. */
static daybook_status find_kind(struct store *store, int64_t item, bool *found, bool *rejected)
{
    daybook_status status;
    struct statement *find = dk_statement(
        &store->database, &store->slots.inbox_kind,
        "SELECT kind='rejected' FROM inbox_item WHERE item=? AND root IS NULL", &status);
    *rejected = false;
    if (find == NULL) {
        return status;
    }
    dk_bind_int(find, 1, item);
    status = dk_step(find, found);
    if (status == DAYBOOK_OK && *found) {
        *rejected = dk_column_int(find, 0) != 0;
        dk_reset(find);
    }
    return status;
}

daybook_status dk_store_inbox_discard(struct store *store, int64_t item)
{
    bool found = false, rejected = false;
    daybook_status status = dk_store_begin(store);
    if (status != DAYBOOK_OK) {
        return status;
    }
    status = find_kind(store, item, &found, &rejected);
    if (status == DAYBOOK_OK) {
        status = found ? remove_whole(store, item, &found) : DAYBOOK_NOT_FOUND;
    }
    return dk_store_end(store, status);
}

daybook_status dk_store_inbox_acknowledge(struct store *store, int64_t item)
{
    bool found = false, rejected = false;
    daybook_status status = dk_store_begin(store);
    if (status != DAYBOOK_OK) {
        return status;
    }
    status = find_kind(store, item, &found, &rejected);
    if (status == DAYBOOK_OK && (!found || rejected)) {
        status = rejected ? DAYBOOK_INVALID : DAYBOOK_NOT_FOUND;
    }
    if (status == DAYBOOK_OK) {
        status = remove_whole(store, item, &found);
    }
    return dk_store_end(store, status);
}

int64_t dk_store_inbox_last(struct store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    int64_t last = store->memory.state.inbox_last;
    (void)pthread_mutex_unlock(&store->lock);
    return last;
}
