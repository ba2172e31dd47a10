/* SPDX-License-Identifier: Apache-2.0
 *
 * A platform for tests of the engine without sockets: a clock that the test moves, numbers from a
 * seed, and behind the transport hook a small server in memory. It speaks the protocol with the
 * project's own codecs, accepts every changeset unless told otherwise, keeps a log, and misbehaves
 * as the test says: exchange by exchange, or always.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_SCRIPT_H
#define DAYBOOK_TESTS_SUPPORT_SCRIPT_H

#include "engine/base/frame.h"
#include "engine/base/id.h"
#include "engine/protocol/verdict.h"

#include <daybook/platform.h>

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCRIPT_FAULTS_MAX 64
#define SCRIPT_CODE                                                                                \
    "K7QF-2M9D-XWTR" /* the enrolment code that the server takes, again and again                  \
                      */
#define SCRIPT_TOKEN "q8nZ0V3mWJt1cQ5yXk7aB2dE4fG6hI8jK0lM2nO4pQ6"

/* What happens to one exchange. */
enum script_trouble {
    SCRIPT_NONE,        /* it is answered as it should be */
    SCRIPT_FAIL,        /* `status` comes back; the server has seen nothing */
    SCRIPT_LOSE_REPLY,  /* the server has done its work; `status` comes back */
    SCRIPT_ERROR,       /* an error_reply: http_status, code, seq, retry_after_ms */
    SCRIPT_ANSWER,      /* http_status, content_type, body and retry_after_ms as given */
    SCRIPT_CUT,         /* the right reply, cut to `bytes` bytes */
    SCRIPT_DAMAGE,      /* the right reply with the byte at `bytes` changed */
    SCRIPT_STALL,       /* nothing, until transport_interrupt or the time-out in real time */
    SCRIPT_NOTHING,     /* a valid reply that brings nothing and says that there is more */
    SCRIPT_FOREIGN_OWN, /* the right reply, and a marker of a changeset that was never made */
    SCRIPT_TWIST        /* the right reply, after `twist` has changed its message */
};

struct script_fault {
    enum script_trouble trouble;
    daybook_status status;
    int http_status;
    const char *code;
    const char *content_type;
    const char *body;
    size_t bytes;
    int64_t seq;
    int64_t retry_after_ms;       /* -1: none */
    void (*twist)(void *message); /* struct sync_reply, enrol_reply or lease_reply */
};

/* What the last requests were. */
struct script_seen {
    int exchanges;             /* that reached the transport hook */
    int syncs, leases, enrols; /* that reached the server */
    struct id instance;        /* of the last sync */
    int64_t position, settled, page_bytes;
    int changesets; /* in the last sync */
    int64_t first_seq, last_seq;
    size_t request_bytes; /* JSON of the last request */
    int64_t timeout_ms;
    int64_t changesets_in_all; /* as sent, repeats counted */
    int connections_open;
};

struct script_entry {    /* one position of the log */
    struct id changeset; /* of the device, or zero */
    int64_t seq;
    int64_t device_no; /* the instance that made it */
    char *body;        /* of a changeset: its text */
    size_t body_size;
    char *block; /* of somebody else: JSON, or NULL */
};

struct script {
    daybook_platform platform; /* its context is the script */
    pthread_mutex_t lock;      /* guards what follows */
    pthread_cond_t wake;
    int64_t wall_ms, steady_ms;
    int64_t exchange_ms; /* both clocks go on by so much in each exchange */
    uint64_t random;
    bool network_up;
    bool interrupted;

    uint64_t epoch;
    int64_t device_no;
    int64_t next_seq;       /* of the instance */
    int64_t safe_position;  /* covered by a backup; -1: the head */
    int64_t wall_offset_ms; /* server minus device */
    int page_entries;       /* of one reply; 0: no bound */
    struct id territory;
    struct script_entry *log;
    int64_t head, log_capacity;
    struct verdict *verdicts; /* to be given instead of ACCEPTED, by seq */
    int verdict_count;
    struct id cause; /* of DEPENDS: the changeset that was rejected last for another reason */

    struct script_fault faults[SCRIPT_FAULTS_MAX]; /* of the next exchanges */
    int fault_count;
    struct script_fault always;   /* of all others */
    void (*twist)(void *message); /* of the exchange under way */
    struct script_seen seen;

    struct frame_codec *codec;
    struct buffer reply; /* the frame of the last answer */
};

/* A fresh server with an empty log, and clocks that stand. */
void script_init(struct script *script);
void script_clear(struct script *script);
/* The transport's exchange, for tests that wrap it. */
daybook_status script_exchange(void *context, void *connection,
                               const struct daybook_request *request, struct daybook_reply *reply);
/* What happens to the next exchange that has nothing planned yet. */
void script_plan(struct script *script, struct script_fault fault);
/* What happens to all exchanges for which nothing is planned. */
void script_always(struct script *script, struct script_fault fault);
struct script_seen script_seen(struct script *script);
void script_set_network(struct script *script, bool up);
/* Moves both clocks. */
void script_pass(struct script *script, int64_t ms);
int64_t script_steady_ms(struct script *script);
/* Somebody else makes a customer; returns its id. */
struct id script_add_customer(struct script *script, const char *name);
/* The changeset of this seq is rejected with the code, field and rule; REJECT_DEPENDS names the one
 * that was rejected before it as the cause. */
void script_reject(struct script *script, int64_t seq, enum reject_code code, const char *field,
                   const char *rule);
/* The server loses everything above `position` and takes a new epoch, as after a restored backup.
 */
void script_restore(struct script *script, int64_t position);

#endif
