/* SPDX-License-Identifier: Apache-2.0
 *
 * What the server keeps, as an interface: SQLite embedded is the default (sqlite*.c), PostgreSQL is meant to follow with the same
 * operations. One struct srv_store is one connection: a writer (the decider's, the only one) or a reader (one per worker thread). Used by one thread at a time.
 *
 * Everything is per organisation (org: small number). Positions are dense per organisation: the decider holds the head in memory, takes
 * head + 1 for each accepted changeset, and stores it in the same transaction.
 */
#ifndef DAYBOOK_SERVER_STORE_H
#define DAYBOOK_SERVER_STORE_H

#include "engine/base/arena.h"
#include "engine/base/log.h"
#include "engine/protocol/message.h"
#include "engine/protocol/stamp.h"
#include "engine/protocol/value.h"

#include <daybook/status.h>

#define SRV_HASH_SIZE 32 /* SHA-256 */

/* ---- rows */

struct srv_organisation {
    int64_t org;
    struct id id; /* of its organisation record */
    int64_t head; /* last position given */
};

struct srv_account { /* what access decisions need of a user; the app_user record says the rest */
    struct id user;
    int64_t org;
    char role[32];       /* rep, manager, back_office, system */
    struct id territory; /* zero: none */
    bool disabled;
};

struct srv_device {
    int64_t device;   /* row number; one physical device, one token */
    int64_t org;
    struct id user;
    char name[64];
    bool revoked;
    int64_t enrolled_ms, seen_ms;
    /* its present instance */
    struct id instance;
    uint32_t device_no; /* never reused */
    int64_t decided;  /* highest seq decided */
    int64_t settled;  /* highest acknowledgement mark */
};

struct srv_decision {
    uint32_t device_no;
    int64_t seq;
    struct id changeset;
    uint8_t digest[SRV_HASH_SIZE]; /* SHA-256 of the body */
    int64_t position;              /* 0: rejected */
    const char *verdict;           /* the verdict row as JSON (dk_verdict_write), NULL: acknowledged and dropped */
    size_t verdict_length;
};

/* Who wrote each field last; keys of custom and extra maps have stamps of their own. */
struct srv_key_stamp {
    const char *key; /* "custom.colour" or "extra.name"; in the arena */
    uint32_t key_length;
    struct stamp stamp;
};
struct srv_record {
    struct record record;  /* values as stored; record.version = position of the last change */
    int64_t bucket;
    bool deleted;          /* a tombstone: values are those before the delete */
    struct stamp deletion; /* who deleted it */
    struct stamp stamps[LIMIT_FIELDS];
    struct srv_key_stamp *key_stamps; /* arena */
    int key_stamp_count;
};

/* One log row: what one changeset did in one bucket. body and own are sequences of parts; a part is one row of a block for readers. */
struct srv_log_row {
    int64_t position;
    int64_t bucket;
    uint32_t device_no;   /* author */
    int64_t time_ms;      /* server wall clock at the decision */
    const void *body;     /* for everybody else; see srv_log_part_* */
    size_t body_size;
    const void *own;      /* for the author: what is not as it was sent; may be empty */
    size_t own_size;
};

/* ---- opening */

struct srv_store;

struct srv_store_options {
    const char *folder;  /* holds server.db */
    bool writer;
    const char *vfs;     /* tests; NULL: the default */
    struct log log;
};

/* Writer: creates the schema where missing, NEWER_STORE, NOT_A_STORE, CANNOT_OPEN … with a text. */
daybook_status srv_store_open_sqlite(const struct srv_store_options *options, struct srv_store **store,
                                     char *problem, size_t problem_size);
void srv_store_close(struct srv_store *store);
uint64_t srv_store_epoch(struct srv_store *store); /* random at creation, never 0, < 2^63 */

/* ---- transactions (writer). Readers wrap a reply in begin_read/end_read for one snapshot. */
daybook_status srv_store_begin(struct srv_store *store);
daybook_status srv_store_commit(struct srv_store *store); /* durable when it returns OK; on failure rolled back */
void srv_store_rollback(struct srv_store *store);
daybook_status srv_store_savepoint(struct srv_store *store);
daybook_status srv_store_release(struct srv_store *store);
daybook_status srv_store_rollback_to(struct srv_store *store); /* undoes to the savepoint and removes it */
daybook_status srv_store_begin_read(struct srv_store *store);
void srv_store_end_read(struct srv_store *store);

/* ---- organisations, accounts, devices */
daybook_status srv_store_add_organisation(struct srv_store *store, const struct id *id, int64_t *org);
daybook_status srv_store_organisations(struct srv_store *store, struct arena *arena,
                                       struct srv_organisation **rows, int *count);
daybook_status srv_store_set_head(struct srv_store *store, int64_t org, int64_t head);
daybook_status srv_store_get_head(struct srv_store *store, int64_t org, int64_t *head);
/* The accounts are a projection of the app_user records, kept by the decider in the same transaction. */
daybook_status srv_store_put_account(struct srv_store *store, const struct srv_account *account);
daybook_status srv_store_get_account(struct srv_store *store, const struct id *user,
                                     struct srv_account *account, bool *found);
/* By login (unique per organisation; org 0: any, found only if one). */
daybook_status srv_store_find_login(struct srv_store *store, int64_t org, const char *login, struct id *user,
                                    bool *found);
daybook_status srv_store_add_code(struct srv_store *store, const uint8_t code_hash[SRV_HASH_SIZE],
                                  int64_t org, const struct id *user, int64_t expires_ms);
/* Uses the code up: *found false where unknown, used or expired at now_ms. */
daybook_status srv_store_take_code(struct srv_store *store, const uint8_t code_hash[SRV_HASH_SIZE], int64_t now_ms,
                                   int64_t *org, struct id *user, bool *found);
/* Adds a device with its first instance; fills device->device and device->device_no (1, 2, 3 … over all organisations). */
daybook_status srv_store_add_device(struct srv_store *store, struct srv_device *device,
                                    const uint8_t token_hash[SRV_HASH_SIZE]);
daybook_status srv_store_find_device(struct srv_store *store, const uint8_t token_hash[SRV_HASH_SIZE],
                                     struct srv_device *device, bool *found);
/* Gives the device another instance and device number; decided and settled start at 0. The same instance again: the same number. */
daybook_status srv_store_lease(struct srv_store *store, int64_t device, const struct id *instance, uint32_t *device_no);
daybook_status srv_store_list_devices(struct srv_store *store, int64_t org, struct arena *arena,
                                      struct srv_device **rows, int *count);
/* The device's token is not accepted any more. */
daybook_status srv_store_revoke(struct srv_store *store, int64_t device);
/* decided and settled marks of the present instance, and when it was seen. Verdicts and digests up to `settled` may be dropped. */
daybook_status srv_store_mark_device(struct srv_store *store, uint32_t device_no, int64_t decided, int64_t settled, int64_t seen_ms);

/* ---- decisions */
daybook_status srv_store_add_decision(struct srv_store *store, int64_t org, const struct srv_decision *decision);
daybook_status srv_store_find_decision(struct srv_store *store, int64_t org, const struct id *changeset, struct arena *arena,
                                       struct srv_decision *decision, bool *found);
/* The instance's decisions with a position in (after, upto], seq > settled, by seq: its markers. */
daybook_status srv_store_markers(struct srv_store *store, uint32_t device_no, int64_t settled, int64_t after, int64_t upto,
                                 struct arena *arena, struct srv_decision **rows, int *count);
/* Records whose creation was rejected, for REJECTED(DEPENDS). */
daybook_status srv_store_add_rejected_record(struct srv_store *store, int64_t org, const struct id *record,
                                             const struct id *changeset);
daybook_status srv_store_find_rejected_record(struct srv_store *store, int64_t org, const struct id *record,
                                              struct id *changeset, bool *found);

/* ---- records */
/* Texts in the arena. *found false: never existed; a tombstone is found with deleted set. */
daybook_status srv_store_get(struct srv_store *store, int64_t org, const struct entity *entity, const struct id *id,
                             struct arena *arena, struct srv_record *record, bool *found);
/* Inserts or replaces the row. `existed`: the caller has read it before (chooses INSERT or UPDATE). */
daybook_status srv_store_put(struct srv_store *store, int64_t org, const struct srv_record *record, bool existed);
/* Live children by id order. */
daybook_status srv_store_children(struct srv_store *store, int64_t org, const struct entity *entity, const struct id *parent,
                                  struct arena *arena, struct srv_record **rows, int *count);
/* Records of `entity` whose ID field `field` names `value`, by id order, ids above `after` (zero: from the start), at most `limit`.
 * Tombstones (whose values are those before the delete) only with `tombstones`. For root fields, parent fields and managers. */
daybook_status srv_store_related(struct srv_store *store, int64_t org, const struct entity *entity, int field, const struct id *value,
                                 const struct id *after, int limit, bool tombstones, struct arena *arena,
                                 struct srv_record **rows, int *count);
/* Bucket number of a label ("organisation", "territory:<uuid>"), made where missing. */
daybook_status srv_store_bucket(struct srv_store *store, int64_t org, const char *label, int64_t *bucket);
/* All buckets of the organisation, by number; labels in the arena. */
struct srv_bucket {
    int64_t bucket;
    const char *label;
};
daybook_status srv_store_buckets(struct srv_store *store, int64_t org, struct arena *arena, struct srv_bucket **rows, int *count);

/* ---- log */
daybook_status srv_store_append_log(struct srv_store *store, int64_t org, const struct srv_log_row *row);
/* A merge over several buckets in position order, streaming: rows with position in (after, upto]. */
struct srv_log_cursor;
daybook_status srv_store_log_open(struct srv_store *store, int64_t org, const int64_t *buckets, int bucket_count,
                                  int64_t after, int64_t upto, struct srv_log_cursor **cursor);
/* The row is borrowed until the next call. *found false: end. */
daybook_status srv_store_log_next(struct srv_log_cursor *cursor, struct srv_log_row *row, bool *found);
void srv_store_log_close(struct srv_log_cursor *cursor);

/* Parts of a log row's body: (header number, row tail). The header is a block's header text (dk_block_header), interned by number; the tail is the
 * row behind its position (dk_block_row_tail). The page builder writes "[" position tail. */
daybook_status srv_store_header(struct srv_store *store, const char *text, size_t length, int64_t *number); /* made where missing */
daybook_status srv_store_header_text(struct srv_store *store, int64_t number, const char **text, size_t *length); /* cached; borrowed while the store is open */
void srv_log_part_append(struct buffer *body, int64_t header, const char *tail, size_t tail_length);
bool srv_log_part_next(const void *body, size_t body_size, size_t *cursor, int64_t *header, const char **tail,
                       size_t *tail_length);

/* ---- quarantine */
daybook_status srv_store_add_quarantine(struct srv_store *store, int64_t org, uint32_t device_no, int64_t seq,
                                        const struct id *changeset, const char *body, size_t length, const char *why);
/* Whether any changeset of this instance is quarantined. */
daybook_status srv_store_has_quarantine(struct srv_store *store, uint32_t device_no, bool *has);

/* ---- for tests and proofs: views `<entity>` over live records with org, bucket, id and ref columns as UUID text, readable by the sqlite3 shell, named and
 * ordered like the engine's views. The schema makes them. */

#endif
