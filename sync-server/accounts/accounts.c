/* SPDX-License-Identifier: Apache-2.0
 *
 * Sign-in, enrolment, the server's own device. Called by workers (sign-in) and on the decider's
 * thread (all that writes). Invariant: no token and no code is stored or logged, only its hash.
 */
#include "sync-server/accounts/accounts.h"

#include "engine/base/text.h"

#include <string.h>

#define ROLE_SYSTEM "system"

/* See the header. */
daybook_status srv_sign_in(struct srv_store *store, const char *token, struct caller *caller)
{
    uint8_t hash[HASH_SIZE];
    bool found;
    if (token == NULL || !srv_token_hash(token, hash)) {
        return DAYBOOK_SIGN_IN;
    }
    daybook_status status = srv_store_find_device(store, hash, &caller->device, &found);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (!found || caller->device.revoked) {
        return DAYBOOK_SIGN_IN;
    }
    status = srv_store_get_account(store, &caller->device.user, &caller->account, &found);
    if (status == DAYBOOK_OK && (!found || caller->account.org != caller->device.org)) {
        return DAYBOOK_SIGN_IN;
    }
    return status;
}

/* See the header. */
daybook_status srv_take_instance(struct srv_store *store, const struct id *instance,
                                 struct srv_device *device)
{
    bool found = true;
    daybook_status status = DAYBOOK_OK;
    if (dk_id_compare(instance, &device->instance) != 0) {
        status = srv_store_find_instance(store, instance, device, &found);
    }
    return status == DAYBOOK_OK && !found ? DAYBOOK_DIVERGED : status;
}

/* See the header. */
daybook_status srv_enrol_code(struct srv_store *store, int64_t org, const struct id *user,
                              int64_t now_ms, int minutes, char code[CODE_TEXT_SIZE],
                              int64_t *expires_ms)
{
    uint8_t hash[HASH_SIZE];
    if (!srv_code_make(code) || !srv_code_hash(code, hash)) {
        return DAYBOOK_INTERNAL;
    }
    *expires_ms = now_ms + (int64_t)minutes * 60 * 1000;
    return srv_store_add_code(store, hash, org, user, *expires_ms);
}

/* Copies a device's name, cut between code points to what fits. */
static void copy_name(char out[64], const char *name)
{
    size_t length = name == NULL ? 0 : strnlen(name, 64);
    if (length > 63) {
        length = 63;
        while (length > 0 && ((unsigned char)name[length] & 0xC0) == 0x80) {
            length--;
        }
    }
    if (length > 0) {
        memcpy(out, name, length);
    }
    out[length] = '\0';
}

/* Adds a device of the account with this instance and a new token. */
static daybook_status add_device(struct srv_store *store, const struct id *instance,
                                 const char *name, int64_t now_ms, char token[TOKEN_TEXT_SIZE],
                                 struct caller *caller)
{
    uint8_t hash[HASH_SIZE];
    if (!srv_token_make(token) || !srv_token_hash(token, hash)) {
        return DAYBOOK_INTERNAL;
    }
    memset(&caller->device, 0, sizeof caller->device);
    caller->device.org = caller->account.org;
    caller->device.user = caller->account.user;
    caller->device.instance = *instance;
    caller->device.enrolled_ms = now_ms;
    caller->device.seen_ms = now_ms;
    copy_name(caller->device.name, name);
    return srv_store_add_device(store, &caller->device, hash);
}

/* See the header. */
daybook_status srv_enrol(struct srv_store *store, const char *code, const struct id *instance,
                         const char *name, int64_t now_ms, char token[TOKEN_TEXT_SIZE],
                         struct caller *caller)
{
    uint8_t hash[HASH_SIZE];
    int64_t org;
    struct id user;
    bool found;
    if (!srv_code_hash(code, hash)) {
        return DAYBOOK_BAD_CODE;
    }
    daybook_status status = srv_store_take_code(store, hash, now_ms, &org, &user, &found);
    if (status == DAYBOOK_OK && found) {
        status = srv_store_get_account(store, &user, &caller->account, &found);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (!found || caller->account.disabled || caller->account.org != org) {
        return DAYBOOK_BAD_CODE;
    }
    return add_device(store, instance, name, now_ms, token, caller);
}

/* True where both see and may the same. */
static bool same_access(const struct srv_account *a, const struct srv_account *b)
{
    return strcmp(a->role, b->role) == 0 && a->disabled == b->disabled &&
           dk_id_compare(&a->territory, &b->territory) == 0 &&
           dk_id_compare(&a->manager, &b->manager) == 0;
}

/* See the header. A user's first state holds from the beginning: a device whose clock is behind
 * was nobody else before. */
daybook_status srv_account_project(struct srv_store *store, int64_t org, const struct record *user,
                                   bool deleted, int64_t now_ms)
{
    struct srv_account account = {.user = user->id, .org = org};
    struct srv_account before;
    const struct value *role = &user->values[USER_ROLE];
    const struct value *territory = &user->values[USER_TERRITORY_ID];
    const struct value *manager = &user->values[USER_MANAGER_ID];
    const struct value *disabled = &user->values[USER_DISABLED];
    bool found;
    if (role->kind != VALUE_TEXT || role->length >= sizeof account.role) {
        return DAYBOOK_INTERNAL;
    }
    memcpy(account.role, role->text, role->length);
    if (territory->kind == VALUE_ID) {
        account.territory = territory->id;
    }
    if (manager->kind == VALUE_ID && !deleted) {
        account.manager = manager->id;
    }
    account.disabled = deleted || (disabled->kind == VALUE_INT && disabled->integer != 0);
    daybook_status status = srv_store_get_account(store, &user->id, &before, &found);
    if (status != DAYBOOK_OK || (found && same_access(&account, &before))) {
        return status;
    }
    account.since_ms = found ? now_ms : 0;
    status = srv_store_put_account(store, &account);
    return status == DAYBOOK_OK ? srv_store_add_account_state(store, user->version, &account)
                                : status;
}

/* An account for the server itself, and its device; nobody knows the device's token. */
static daybook_status make_server_device(struct srv_store *store, int64_t org,
                                         struct caller *caller)
{
    char token[TOKEN_TEXT_SIZE];
    uint8_t random[ID_SIZE * 2];
    struct id instance;
    if (!srv_random(random, sizeof random)) {
        return DAYBOOK_INTERNAL;
    }
    caller->account =
        (struct srv_account){.user = dk_id_from_hash(random), .org = org, .role = ROLE_SYSTEM};
    instance = dk_id_from_hash(random + ID_SIZE);
    daybook_status status = srv_store_put_account(store, &caller->account);
    if (status == DAYBOOK_OK) {
        status = add_device(store, &instance, "server", 0, token, caller);
    }
    memset(token, 0, sizeof token);
    return status;
}

/* See the header. */
daybook_status srv_server_device(struct srv_store *store, int64_t org, struct arena *arena,
                                 struct caller *caller)
{
    struct srv_device *rows;
    int count;
    daybook_status status = srv_store_list_devices(store, org, arena, &rows, &count);
    for (int i = 0; status == DAYBOOK_OK && i < count; i++) {
        bool found;
        status = srv_store_get_account(store, &rows[i].user, &caller->account, &found);
        if (status == DAYBOOK_OK && found && strcmp(caller->account.role, ROLE_SYSTEM) == 0) {
            caller->device = rows[i];
            return DAYBOOK_OK;
        }
    }
    return status == DAYBOOK_OK ? make_server_device(store, org, caller) : status;
}
