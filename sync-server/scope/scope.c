/* SPDX-License-Identifier: Apache-2.0
 *
 * Scopes of accounts, computed from the accounts and the user records in the store. Called by the
 * decider before it decides and by workers before they read. Invariant: a scope names buckets of
 * the account's organisation only, ascending.
 */
#include "sync-server/scope/scope.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* See the header. */
void srv_scope_territory_label(const struct id *territory, char label[SCOPE_LABEL_SIZE])
{
    static const char prefix[] = "territory:";
    if (territory == NULL || dk_id_is_zero(territory)) {
        memcpy(label, SCOPE_NO_TERRITORY, sizeof SCOPE_NO_TERRITORY);
        return;
    }
    memcpy(label, prefix, sizeof prefix - 1);
    dk_id_to_text(territory, label + sizeof prefix - 1);
}

/* Everything the account's role sees, before it is cut down to what exists: NULL-terminated labels
 * in the arena, or *all. */
struct wish {
    const char **labels;
    int count, capacity;
    bool all;
};

/* Adds the label of a territory; twins do no harm. A user without a territory adds nothing. */
static bool wish_territory(struct wish *wish, const struct id *territory, struct arena *arena)
{
    char label[SCOPE_LABEL_SIZE];
    if (dk_id_is_zero(territory)) {
        return true;
    }
    assert(wish->count < wish->capacity);
    srv_scope_territory_label(territory, label);
    wish->labels[wish->count] = dk_arena_copy(arena, label, strlen(label));
    return wish->labels[wish->count++] != NULL;
}

/* Adds the territories of the users whose records name this manager. */
static daybook_status wish_reports(struct srv_store *store, const struct srv_account *account,
                                   struct arena *arena, struct wish *wish)
{
    struct srv_record *rows;
    int count;
    struct id start = {{0}};
    daybook_status status =
        srv_store_related(store, account->org, dk_entity(ENTITY_USER), USER_MANAGER_ID,
                          &account->user, &start, SCOPE_REPORTS_MAX, false, arena, &rows, &count);
    for (int i = 0; status == DAYBOOK_OK && i < count; i++) {
        const struct value *territory = &rows[i].record.values[USER_TERRITORY_ID];
        if (territory->kind == VALUE_ID && !wish_territory(wish, &territory->id, arena)) {
            status = DAYBOOK_NO_MEMORY;
        }
    }
    return status;
}

/* What the role says. An unknown role sees what a rep sees. */
static daybook_status make_wish(struct srv_store *store, const struct srv_account *account,
                                struct arena *arena, struct wish *wish)
{
    memset(wish, 0, sizeof *wish);
    wish->all = strcmp(account->role, "back_office") == 0 || strcmp(account->role, "system") == 0;
    if (wish->all) {
        return DAYBOOK_OK;
    }
    bool manages = strcmp(account->role, "manager") == 0;
    wish->capacity = 2 + (manages ? SCOPE_REPORTS_MAX : 0);
    wish->labels = dk_arena_new(arena, (size_t)wish->capacity * sizeof *wish->labels);
    if (wish->labels == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    wish->labels[wish->count++] = SCOPE_ORGANISATION;
    if (!wish_territory(wish, &account->territory, arena)) {
        return DAYBOOK_NO_MEMORY;
    }
    return manages ? wish_reports(store, account, arena, wish) : DAYBOOK_OK;
}

/* True where the role sees this label. */
static bool wished(const struct wish *wish, const char *label)
{
    for (int i = 0; i < wish->count; i++) {
        if (strcmp(wish->labels[i], label) == 0) {
            return true;
        }
    }
    return wish->all;
}

/* See the header. */
daybook_status srv_scope_of(struct srv_store *store, const struct srv_account *account,
                            struct arena *arena, struct scope *scope)
{
    struct wish wish;
    struct srv_bucket *rows;
    int count;
    memset(scope, 0, sizeof *scope);
    daybook_status status = make_wish(store, account, arena, &wish);
    if (status == DAYBOOK_OK) {
        status = srv_store_buckets(store, account->org, arena, &rows, &count);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    scope->buckets = dk_arena_new(arena, (size_t)count * sizeof *scope->buckets);
    if (scope->buckets == NULL && count > 0) {
        return DAYBOOK_NO_MEMORY;
    }
    for (int i = 0; i < count; i++) {
        if (wished(&wish, rows[i].label)) {
            assert(scope->count == 0 || scope->buckets[scope->count - 1].bucket < rows[i].bucket);
            scope->buckets[scope->count++] = rows[i];
        }
    }
    return scope->count <= LIMIT_BUCKETS ? DAYBOOK_OK : DAYBOOK_TOO_LARGE;
}

/* See the header. */
bool srv_scope_has(const struct scope *scope, int64_t bucket)
{
    int low = 0;
    int high = scope->count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (scope->buckets[middle].bucket == bucket) {
            return true;
        }
        if (scope->buckets[middle].bucket < bucket) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

/* For qsort. */
static int compare_numbers(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

/* See the header. */
bool srv_scope_read(const struct span *raw, struct arena *arena, int64_t **buckets, int *count,
                    const char **problem)
{
    struct json_reader json;
    enum json_type type;
    *count = 0;
    *buckets = dk_arena_new(arena, LIMIT_BUCKETS * sizeof **buckets);
    if (*buckets == NULL) {
        *problem = "out of memory";
        return false;
    }
    if (raw->bytes == NULL) {
        return true;
    }
    dk_json_open(&json, raw->bytes, raw->length);
    if (dk_json_next(&json) != JSON_ARRAY) {
        *problem = "scope is no array";
        return false;
    }
    while ((type = dk_json_next(&json)) == JSON_INTEGER && json.integer > 0 &&
           *count < LIMIT_BUCKETS) {
        (*buckets)[(*count)++] = json.integer;
    }
    if (type != JSON_END) {
        *problem = "scope has an element that is no bucket, or too many";
        return false;
    }
    qsort(*buckets, (size_t)*count, sizeof **buckets, compare_numbers);
    for (int i = 1; i < *count; i++) {
        if ((*buckets)[i] == (*buckets)[i - 1]) {
            *problem = "scope names a bucket twice";
            return false;
        }
    }
    return true;
}

/* See the header. */
bool srv_scope_equals(const struct scope *scope, const int64_t *buckets, int count)
{
    if (scope->count != count) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        if (scope->buckets[i].bucket != buckets[i]) {
            return false;
        }
    }
    return true;
}

/* See the header. */
int64_t *srv_scope_gained(const struct scope *scope, const int64_t *buckets, int held,
                          struct arena *arena, int *count)
{
    *count = 0;
    int64_t *gained = dk_arena_new(arena, ((size_t)scope->count + 1) * sizeof *gained);
    if (gained == NULL) {
        *count = -1;
        return NULL;
    }
    for (int i = 0, next = 0; i < scope->count; i++) {
        while (next < held && buckets[next] < scope->buckets[i].bucket) {
            next++;
        }
        if (next == held || buckets[next] != scope->buckets[i].bucket) {
            gained[(*count)++] = scope->buckets[i].bucket;
        }
    }
    return gained;
}

/* See the header. */
void srv_scope_write(struct buffer *out, const struct scope *scope)
{
    dk_buffer_append_char(out, '[');
    for (int i = 0; i < scope->count; i++) {
        dk_buffer_append_text(out, i == 0 ? "[" : ",[");
        dk_buffer_append_int(out, scope->buckets[i].bucket);
        dk_buffer_append_char(out, ',');
        dk_json_write_string(out, scope->buckets[i].label, strlen(scope->buckets[i].label));
        dk_buffer_append_char(out, ']');
    }
    dk_buffer_append_char(out, ']');
}
