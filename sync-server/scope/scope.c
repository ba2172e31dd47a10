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

/* A label of a prefix and an id. */
static void id_label(const char *prefix, const struct id *id, char label[SCOPE_LABEL_SIZE])
{
    size_t length = strlen(prefix);
    memcpy(label, prefix, length);
    dk_id_to_text(id, label + length);
}

/* See the header. */
void srv_scope_territory_label(const struct id *territory, char label[SCOPE_LABEL_SIZE])
{
    if (territory == NULL || dk_id_is_zero(territory)) {
        memcpy(label, SCOPE_NO_TERRITORY, sizeof SCOPE_NO_TERRITORY);
        return;
    }
    id_label("territory:", territory, label);
}

/* See the header. */
void srv_scope_user_label(const struct id *user, char label[SCOPE_LABEL_SIZE])
{
    id_label("user:", user, label);
}

/* Everything the account's role sees, before it is cut down to what exists: labels in the arena, or
 * all. */
struct wish {
    const char **labels;
    int count, capacity;
    bool all;
};

/* Adds a label; twins do no harm. */
static bool wish_label(struct wish *wish, const char *label, struct arena *arena)
{
    assert(wish->count < wish->capacity);
    wish->labels[wish->count] = dk_arena_copy(arena, label, strlen(label));
    return wish->labels[wish->count++] != NULL;
}

/* Adds what one user works with: what is the user's own, and the territory where there is one. */
static bool wish_user(struct wish *wish, const struct srv_account *account, struct arena *arena)
{
    char label[SCOPE_LABEL_SIZE];
    srv_scope_user_label(&account->user, label);
    if (!wish_label(wish, label, arena)) {
        return false;
    }
    if (dk_id_is_zero(&account->territory)) {
        return true;
    }
    srv_scope_territory_label(&account->territory, label);
    return wish_label(wish, label, arena);
}

/* The people below a manager: each once, whatever circles their records describe. */
struct team {
    struct srv_account *members; /* the manager first */
    int count;
};

/* True where the user is in the team already. */
static bool is_member(const struct team *team, const struct id *user)
{
    for (int i = 0; i < team->count; i++) {
        if (dk_id_compare(&team->members[i].user, user) == 0) {
            return true;
        }
    }
    return false;
}

/* Adds those who report to one member. Past the bound the rest is left out. */
static daybook_status add_reports(struct srv_store *store, const struct srv_account *member,
                                  int64_t time_ms, struct arena *arena, struct team *team)
{
    struct srv_account *rows;
    int count;
    daybook_status status = srv_store_reports_at(store, member->org, &member->user, time_ms,
                                                 SCOPE_REPORTS_MAX, arena, &rows, &count);
    for (int i = 0; status == DAYBOOK_OK && i < count && team->count <= SCOPE_REPORTS_MAX; i++) {
        if (!is_member(team, &rows[i].user)) {
            team->members[team->count++] = rows[i];
        }
    }
    return status;
}

/* Adds what the users below a manager work with. */
static daybook_status wish_team(struct srv_store *store, const struct srv_account *manager,
                                int64_t time_ms, struct arena *arena, struct wish *wish)
{
    struct team team = {.count = 1};
    daybook_status status = DAYBOOK_OK;
    team.members = dk_arena_new(arena, (SCOPE_REPORTS_MAX + 1) * sizeof *team.members);
    if (team.members == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    team.members[0] = *manager;
    for (int i = 0; status == DAYBOOK_OK && i < team.count; i++) {
        const struct srv_account *member = &team.members[i];
        if (i > 0 && !wish_user(wish, member, arena)) {
            return DAYBOOK_NO_MEMORY;
        }
        if (strcmp(member->role, ROLE_MANAGER) == 0) {
            status = add_reports(store, member, time_ms, arena, &team);
        }
    }
    return status;
}

/* What the role says. An unknown role sees what a rep sees. */
static daybook_status make_wish(struct srv_store *store, const struct srv_account *account,
                                int64_t time_ms, struct arena *arena, struct wish *wish)
{
    memset(wish, 0, sizeof *wish);
    if (account->disabled) {
        return DAYBOOK_OK;
    }
    wish->all = strcmp(account->role, "back_office") == 0 || strcmp(account->role, "system") == 0;
    if (wish->all) {
        return DAYBOOK_OK;
    }
    bool manages = strcmp(account->role, ROLE_MANAGER) == 0;
    wish->capacity = 3 + (manages ? 2 * SCOPE_REPORTS_MAX : 0);
    wish->labels = dk_arena_new(arena, (size_t)wish->capacity * sizeof *wish->labels);
    if (wish->labels == NULL || !wish_label(wish, SCOPE_ORGANISATION, arena) ||
        !wish_user(wish, account, arena)) {
        return DAYBOOK_NO_MEMORY;
    }
    return manages ? wish_team(store, account, time_ms, arena, wish) : DAYBOOK_OK;
}

/* For qsort. */
static int compare_labels(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The same, by number. */
static int compare_buckets(const void *a, const void *b)
{
    const struct srv_bucket *x = a, *y = b;
    return x->bucket < y->bucket ? -1 : x->bucket > y->bucket;
}

/* Adds a bucket, unless it is an archive. */
static daybook_status add_bucket(struct scope *scope, const struct srv_bucket *bucket,
                                 struct arena *arena, int *capacity)
{
    if (srv_bucket_class(bucket->bucket) == CLASS_ARCHIVE) {
        return DAYBOOK_OK;
    }
    struct srv_bucket *grown =
        dk_arena_grow(arena, scope->buckets, scope->count, capacity, sizeof *grown);
    if (grown == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    scope->buckets = grown;
    scope->buckets[scope->count++] = *bucket;
    return DAYBOOK_OK;
}

/* Lists all buckets of the organisation. */
static daybook_status list_all(struct srv_store *store, int64_t org, struct arena *arena,
                               struct scope *scope)
{
    struct srv_bucket *rows;
    int count, capacity = 0;
    daybook_status status = srv_store_buckets(store, org, arena, &rows, &count);
    for (int i = 0; i < count && status == DAYBOOK_OK; i++) {
        status = add_bucket(scope, &rows[i], arena, &capacity);
    }
    return status;
}

/* Lists the buckets of the labels, each once: what the organisation has besides costs nothing. */
static daybook_status list_labels(struct srv_store *store, int64_t org, const struct wish *wish,
                                  struct arena *arena, struct scope *scope)
{
    int capacity = 0;
    daybook_status status = DAYBOOK_OK;
    if (wish->count == 0) {
        return DAYBOOK_OK;
    }
    qsort(wish->labels, (size_t)wish->count, sizeof *wish->labels, compare_labels);
    for (int i = 0; i < wish->count; i++) {
        bool twin = i > 0 && strcmp(wish->labels[i], wish->labels[i - 1]) == 0;
        for (int class = CLASS_OPEN; class < CLASS_ARCHIVE && !twin; class ++) {
            struct srv_bucket bucket;
            status = srv_store_find_bucket(store, org, wish->labels[i], (enum srv_class) class,
                                           arena, &bucket);
            if (status == DAYBOOK_NOT_FOUND) {
                break; /* there is no class without its root */
            }
            status = status == DAYBOOK_OK ? add_bucket(scope, &bucket, arena, &capacity) : status;
            if (status != DAYBOOK_OK) {
                return status;
            }
        }
    }
    if (scope->count > 0) {
        qsort(scope->buckets, (size_t)scope->count, sizeof *scope->buckets, compare_buckets);
    }
    return DAYBOOK_OK;
}

/* Lists the buckets that are wished for. */
static daybook_status list_wished(struct srv_store *store, int64_t org, const struct wish *wish,
                                  struct arena *arena, struct scope *scope)
{
    daybook_status status = wish->all ? list_all(store, org, arena, scope)
                                      : list_labels(store, org, wish, arena, scope);
    if (status != DAYBOOK_OK) {
        return status;
    }
    return scope->count <= LIMIT_BUCKETS ? DAYBOOK_OK : DAYBOOK_TOO_LARGE;
}

/* See the header. */
daybook_status srv_scope_of(struct srv_store *store, const struct srv_account *account,
                            int64_t time_ms, struct arena *arena, struct scope *scope)
{
    struct wish wish;
    memset(scope, 0, sizeof *scope);
    daybook_status status = make_wish(store, account, time_ms, arena, &wish);
    return status == DAYBOOK_OK ? list_wished(store, account->org, &wish, arena, scope) : status;
}

/* See the header. */
daybook_status srv_scope_rights(struct srv_store *store, const struct srv_account *account,
                                int64_t time_ms, struct arena *arena, struct scope *scope)
{
    struct wish wish;
    memset(scope, 0, sizeof *scope);
    daybook_status status = make_wish(store, account, time_ms, arena, &wish);
    scope->all = status == DAYBOOK_OK && wish.all;
    return status != DAYBOOK_OK || wish.all ? status
                                            : list_wished(store, account->org, &wish, arena, scope);
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

/* See the header. */
bool srv_scope_has_root(const struct scope *scope, int64_t bucket)
{
    return bucket > 0 && (scope->all || srv_scope_has(scope, srv_bucket_root(bucket)));
}

/* See the header. */
void srv_scope_without(struct scope *scope, enum srv_class class)
{
    int kept = 0;
    for (int i = 0; i < scope->count; i++) {
        if (srv_bucket_class(scope->buckets[i].bucket) != class) {
            scope->buckets[kept++] = scope->buckets[i];
        }
    }
    scope->count = kept;
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
    size_t room = raw->length / 2 + 1; /* a digit and a comma each */
    room = room < LIMIT_BUCKETS ? room : LIMIT_BUCKETS;
    *count = 0;
    *buckets = dk_arena_new(arena, room * sizeof **buckets);
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
           (size_t)*count < room) {
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
bool srv_scope_gains(const struct scope *scope, const int64_t *buckets, int held)
{
    for (int i = 0, next = 0; i < scope->count; i++) {
        while (next < held && buckets[next] < scope->buckets[i].bucket) {
            next++;
        }
        if (next == held || buckets[next] != scope->buckets[i].bucket) {
            return true;
        }
    }
    return false;
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
