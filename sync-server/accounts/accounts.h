/* SPDX-License-Identifier: Apache-2.0
 *
 * Organisations' users and devices as far as access goes: signing in by token, enrolling by
 * one-time code, leasing a new instance. What a user is called stands in the app_user records;
 * accounts are their projection, kept by the decision.
 */
#ifndef DAYBOOK_SERVER_ACCOUNTS_H
#define DAYBOOK_SERVER_ACCOUNTS_H

#include "sync-server/accounts/tokens.h"
#include "sync-server/store/store.h"

/* Who is calling. */
struct caller {
    struct srv_device device;
    struct srv_account account;
};

/* Token -> device -> account. SIGN_IN: unknown, revoked, malformed, NULL. A disabled account signs
 * in: its work is quarantined, not lost. */
daybook_status srv_sign_in(struct srv_store *store, const char *token, struct caller *caller);

/* Puts the instance that a request is of in the place of the device's present one. Copies of one
 * store share a token, and each lives on under an instance of its own. DIVERGED: the device was
 * never given this instance. */
daybook_status srv_take_instance(struct srv_store *store, const struct id *instance,
                                 struct srv_device *device);

/* Writer: a one-time code for a user, good for so many minutes. */
daybook_status srv_enrol_code(struct srv_store *store, int64_t org, const struct id *user,
                              int64_t now_ms, int minutes, char code[CODE_TEXT_SIZE],
                              int64_t *expires_ms);
/* Writer: uses up the code and adds a device. BAD_CODE: unknown, used, expired, malformed, or its
 * user is disabled. */
daybook_status srv_enrol(struct srv_store *store, const char *code, const struct id *instance,
                         const char *name, int64_t now_ms, char token[TOKEN_TEXT_SIZE],
                         struct caller *caller);
/* Writer: the account of an app_user record that is being written, as of its version; what it was
 * before is kept, with the time. A deleted user is disabled and in nobody's team. */
daybook_status srv_account_project(struct srv_store *store, int64_t org, const struct record *user,
                                   bool deleted, int64_t now_ms);

/* Writer: the device in whose name the server itself writes, made where it is missing. */
daybook_status srv_server_device(struct srv_store *store, int64_t org, struct arena *arena,
                                 struct caller *caller);

#endif
