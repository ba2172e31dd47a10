/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages: each is a struct and a table of its members, walked by one encoder and one decoder.
 * Members that hold rows stay raw JSON (struct span) and are read by their own readers. Unknown
 * members are skipped; a missing required one, a twin or a wrong type is an error that names it.
 */
#ifndef DAYBOOK_PROTOCOL_MESSAGE_H
#define DAYBOOK_PROTOCOL_MESSAGE_H

#include "engine/protocol/verdict.h"
#include "engine/protocol/block.h"

struct span {
    char *bytes; /* raw JSON, writable; NULL: absent */
    size_t length;
};

enum message_type {
    MESSAGE_INT,  /* int64_t: a JSON number up to 2^53 - 1 */
    MESSAGE_LONG, /* int64_t or uint64_t: a JSON string of decimals */
    MESSAGE_BOOL, /* bool */
    MESSAGE_TEXT, /* const char *: NUL-terminated in the arena; NULL: absent */
    MESSAGE_ID,   /* struct id; zero: absent */
    MESSAGE_RAW   /* struct span */
};

struct message_member {
    const char *name;
    enum message_type type;
    size_t offset;
    bool required;
};

struct message_table {
    const char *name;
    const struct message_member *members;
    int member_count;
};

/* POST /v1/sync, up */
struct sync_request {
    int64_t protocol;   /* PROTOCOL_VERSION */
    int64_t schema;     /* SCHEMA_VERSION of the engine */
    struct id instance; /* of the device's database file */
    int64_t device_no;  /* that the device has for the instance; 0: it does not say */
    uint64_t epoch;     /* of `position`; 0: none yet */
    int64_t position;
    int64_t settled; /* every seq up to here has been settled or its rejection undone; never goes
                        back */
    int64_t sent_ms; /* device wall clock */
    uint64_t boot;
    int64_t steady_ms;
    int64_t page_bytes;     /* wanted size of the log page; 0: the server's default */
    bool leave_recent;      /* the device does without the documents of class recent */
    struct span scope;      /* array of bucket numbers that the device holds */
    struct span loading;    /* array of [bucket] or [bucket, "entity", "id"]: where the pages of
                               buckets under way go on; absent: none is wanted */
    bool sums;              /* it wants the sums of each bucket */
    bool contents;          /* and those of what the records say */
    int64_t diverged;       /* buckets that were found to differ since the last request */
    struct span changesets; /* array of changesets in seq order */
};

/* What a reply's numbers must keep where a store remembers them. */
static inline bool dk_epoch_is_valid(uint64_t epoch)
{
    return epoch != 0 && epoch <= LIMIT_EPOCH;
}
static inline bool dk_server_ms_is_valid(int64_t server_ms)
{
    return server_ms > 0 && server_ms <= LIMIT_NUMBER;
}

/* POST /v1/sync, down */
struct sync_reply {
    int64_t protocol;
    uint64_t epoch;
    int64_t server_ms; /* server wall clock */
    int64_t position;  /* new cursor: the log has been examined up to here */
    int64_t head;      /* of the log */
    int64_t safe_position;
    bool more;            /* there is more of the log, or of pages: ask again at once */
    bool upgrade;         /* the device's schema is too old to be served: no log, position stays */
    bool reset;           /* a snapshot of the whole scope begins at `position`: rows held are
                             stale, every bucket is loading, nothing else comes */
    uint64_t sum;         /* version sum of the scope, where position is the head; 0: absent */
    struct span sums;     /* array of [bucket, "version sum"], where the request wants them */
    struct span contents; /* array of [bucket, "content sum"], likewise */
    int64_t shared;       /* with reset: last position that the request's epoch had in common with
                             this one */
    struct span scope;    /* array of [bucket, "label"]; absent: as the device said */
    struct span verdicts; /* array of verdict rows, see PROTOCOL.md */
    struct span pages;    /* array of snapshot pages, applied before the log */
    struct span log;      /* array of blocks */
};

/* POST /v1/enrol */
struct enrol_request {
    int64_t protocol;
    const char *code;
    struct id instance;
    const char *device_name; /* optional, shown to the operator */
};
struct enrol_reply {
    int64_t protocol;
    const char *token;
    int64_t device_no;
    struct id organisation, user, territory; /* territory: zero where the user has none */
    const char *role;
    uint64_t epoch;
    int64_t server_ms;
};

/* POST /v1/lease: a new device number for a new instance of the same device */
struct lease_request {
    int64_t protocol;
    struct id instance, old_instance;
};
struct lease_reply {
    int64_t protocol;
    int64_t device_no;
};

/* POST /v1/fetch: one document that is not on the device */
struct fetch_request {
    int64_t protocol;
    const char *entity;
    struct id record;
};
struct fetch_reply {
    int64_t protocol;
    int64_t server_ms;
    struct span rows; /* array of blocks; absent: there is no such document for this user */
};

/* X(CODE, HTTP status, meaning): what an answer other than 200 says. A code may come with another
 * status of its hundred; the code decides. */
#define ERROR_CODE_LIST(X)                                                                         \
    X(BAD_REQUEST, 400, "the request is malformed: HTTP, frame, JSON or a member")                 \
    X(SIGN_IN, 401, "no token, or one that is not accepted")                                       \
    X(BAD_CODE, 403, "the enrolment code is unknown, used or expired")                             \
    X(NOT_FOUND, 404, "there is nothing at this path")                                             \
    X(METHOD, 405, "the path has another method; see Allow")                                       \
    X(TIMEOUT, 408, "the request came too slowly")                                                 \
    X(DIVERGED, 409, "this database file is a copy: lease a new instance")                         \
    X(GAP, 409, "a changeset was left out; `seq` is the first one expected")                       \
    X(TOO_LARGE, 413, "the body, or what it expands to, passes a limit: send less")                \
    X(UPGRADE_NEEDED, 426, "no protocol version in common")                                        \
    X(BUSY, 503, "come back after Retry-After; also with 429")                                     \
    X(INTERNAL, 500,                                                                               \
      "the server failed; what of the request it had decided comes with the answer to the same "   \
      "request, sent again")

/* Body of every HTTP answer but 200 */
struct error_reply {
    const char *code;   /* a word of ERROR_CODE_LIST; others may be added */
    const char *detail; /* what is wrong, for developers */
    int64_t seq;        /* GAP: the first seq that the server expects */
};

extern const struct message_table dk_sync_request_table, dk_sync_reply_table,
    dk_enrol_request_table, dk_enrol_reply_table, dk_lease_request_table, dk_lease_reply_table,
    dk_fetch_request_table, dk_fetch_reply_table, dk_error_reply_table;

void dk_message_encode(struct buffer *out, const struct message_table *table, const void *message);
/* `message` is zeroed first. Text goes into the arena, spans point into `bytes`. False: *problem
 * (in the arena) names the member. */
bool dk_message_decode(const struct message_table *table, char *bytes, size_t length, void *message,
                       struct arena *arena, const char **problem);

/* Verdict rows: [seq,"accepted",position] …, see PROTOCOL.md. */
void dk_verdict_write(struct buffer *out, const struct verdict *verdict);
/* The next of an array that was entered by dk_json_next: 1 a verdict, 0 end, -1 damaged. */
int dk_verdict_read(struct json_reader *reader, struct verdict *verdict);

#endif
