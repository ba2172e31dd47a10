/* SPDX-License-Identifier: Apache-2.0
 *
 * Who sees what. A bucket is a label on each record: a root ("organisation", "territory:<uuid>",
 * "territory:none", "user:<uuid>") and a class, "/recent" or "/archive" behind it for documents
 * that nobody works on any more. A scope is the set of buckets that a user may read; what has their
 * roots, in any class, may be written to or referred to. The server alone computes it.
 */
#ifndef DAYBOOK_SERVER_SCOPE_H
#define DAYBOOK_SERVER_SCOPE_H

#include "sync-server/store/store.h"

#define SCOPE_LABEL_SIZE 64 /* with NUL */
#define SCOPE_ORGANISATION "organisation"
/* records without a territory: for those who see everything */
#define SCOPE_NO_TERRITORY "territory:none"
#define ROLE_MANAGER "manager" /* whose scope follows from the accounts below it, too */
#define SCOPE_REPORTS_MAX 1000 /* users that report to one manager, also through others */
#define SCOPE_NOW INT64_MAX    /* as a time: at present */

/* Ascending by number, no twins; in an arena. */
struct scope {
    struct srv_bucket *buckets;
    int count;
    bool all; /* everything, and nothing is listed: srv_scope_rights */
};

/* The buckets of one account, in the arena: a rep's organisation, territory and own; a manager's
 * also those of the users who report to them, directly or through other managers; all for the back
 * office and the server itself; none for a disabled user; of no one's the archive. The account, and
 * who reported to it, are those of `time_ms`, SCOPE_NOW for the present. TOO_LARGE past
 * LIMIT_BUCKETS. */
daybook_status srv_scope_of(struct srv_store *store, const struct srv_account *account,
                            int64_t time_ms, struct arena *arena, struct scope *scope);
/* The same for whoever only asks srv_scope_has_root: of who sees everything nothing is listed,
 * however much there is. */
daybook_status srv_scope_rights(struct srv_store *store, const struct srv_account *account,
                                int64_t time_ms, struct arena *arena, struct scope *scope);
bool srv_scope_has(const struct scope *scope, int64_t bucket);
/* Whether the bucket, whatever its class, has a root of the scope. */
bool srv_scope_has_root(const struct scope *scope, int64_t bucket);
/* Takes the class out, for a device that leaves it out. */
void srv_scope_without(struct scope *scope, enum srv_class class);
/* The label of a territory's bucket; of those without one for NULL or a zero id. */
void srv_scope_territory_label(const struct id *territory, char label[SCOPE_LABEL_SIZE]);
/* The label of what belongs to one user. */
void srv_scope_user_label(const struct id *user, char label[SCOPE_LABEL_SIZE]);

/* A device's own idea of its scope: the array of bucket numbers of a request (absent: empty),
 * ascending without twins, in the arena. False with *problem: not such an array, or too many. */
bool srv_scope_read(const struct span *raw, struct arena *arena, int64_t **buckets, int *count,
                    const char **problem);
/* True where the device holds exactly these. */
bool srv_scope_equals(const struct scope *scope, const int64_t *buckets, int count);
/* True where the scope has a bucket that the device does not hold. */
bool srv_scope_gains(const struct scope *scope, const int64_t *buckets, int held);
/* [[1,"organisation"],…] */
void srv_scope_write(struct buffer *out, const struct scope *scope);

#endif
