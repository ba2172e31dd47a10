/* SPDX-License-Identifier: Apache-2.0
 *
 * The door between the two halves of the server. Outside: sockets, TLS, HTTP, the command line.
 * Inside: the organisations' store, the decider thread, the readers, accounts. The outer half calls
 * these functions only; the inner half never sees a socket. Every call is answered exactly once.
 */
#ifndef DAYBOOK_SERVER_SERVICE_H
#define DAYBOOK_SERVER_SERVICE_H

#include "engine/base/log.h"
#include "sync-server/scope/class.h"

#include <daybook/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct service; /* the organisations' store, the decider thread, the readers */

/* Text is borrowed until srv_service_open returns. */
struct service_options {
    const char *data_folder;    /* exists, 0700; the store's files and the lock file live in it */
    int worker_threads;         /* readers; 0: the inner half's default */
    int64_t page_bytes;         /* of a pull page before compression; 0: the inner half's default */
    int64_t log_days;           /* that the log reaches back; 0: all */
    int64_t log_positions;      /* that the log has at most; 0: any number */
    int64_t snapshot_cache_mib; /* for pages of snapshots; 0: none are kept */
    int64_t oldest_schema;      /* devices of an older one are not served; 0: none is too old */
    struct class_rule classes;  /* which documents are old; all 0: the rule's usual numbers */
    bool backups;               /* once there is a backup, devices keep what it does not cover */
    struct log log;
    const char
        *public_url; /* https://host:port that devices reach; printed by `enrol`. NULL: not known */
    const char
        *ca_pin; /* sha256//<base64> of the CA's public key; printed by `enrol`. NULL: not known */
};

/* Takes the folder's lock (DAYBOOK_BUSY, with the owner's pid in `problem`), opens or creates the
 * store, starts the decider and the workers. On failure nothing stays open and `problem` says what
 * is wrong with what. */
daybook_status srv_service_open(const struct service_options *options, struct service **out,
                                char *problem, size_t problem_size);

/* Answers what was accepted, joins all threads, closes the store, gives the lock back. After it
 * returns no `done` runs. NULL is fine. */
void srv_service_close(struct service *service);

/* What one endpoint call came to. */
struct service_answer {
    int http_status;
    const char *content_type; /* static text; NULL: no body */
    int64_t retry_after_ms;   /* -1: none */
    char *body;               /* the receiver's: dk_memory_free; NULL with body_size 0: none */
    size_t body_size;         /* bytes */
};

/* One endpoint call. Text is borrowed for the duration of srv_service_submit. */
struct service_call {
    const char *method; /* "GET" or "POST" */
    const char *path;   /* origin form without query, "/v1/sync" */
    const char *token;  /* of "Authorization: Bearer <token>", or NULL */
    char *body;         /* taken over (dk_memory_free); NULL with body_size 0: none */
    size_t body_size;   /* bytes */
    /* Called exactly once, from any thread, perhaps before submit returns. `answer` is borrowed;
     * its body is the receiver's. */
    void (*done)(void *context, const struct service_answer *answer);
    void *context;
};

/* Routes /v1/sync, /v1/fetch, /v1/enrol, /v1/lease (POST) and /v1/health (GET); unknown path 404,
 * wrong method 405. Any thread. */
void srv_service_submit(struct service *service, const struct service_call *call);
/* Waits until nothing is under way, also what workers do behind an answer. Not on a thread of
 * the service's own. */
void srv_service_rest(struct service *service);

/* When the next night's work is due, by the clock of the organisation's zone: the next time that it
 * is this full hour there. */
int64_t srv_service_next_night(struct service *service, int64_t hour, int64_t now_ms);
/* The night's work: the zone's offsets are renewed, documents go to their classes, and the log is
 * cut as the settings say; what it came to is logged. `stop` is asked between its steps and may end
 * it; the next night goes on. The caller's thread waits. */
daybook_status srv_service_night(struct service *service, bool (*stop)(void *context),
                                 void *context);

/* A command of the admin socket or the command line: argv without the program name, argv[0] and
 * where the command has two words argv[1] name it (see commands.h). *text is the caller's
 * (dk_memory_free) and is set on failure too: the result, or what is wrong, in JSON where `json` is
 * set. `init` on a store that has an organisation is DAYBOOK_EXISTS. Any thread. */
daybook_status srv_service_command(struct service *service, int argc, const char *const *argv,
                                   bool json, char **text);

/* Gives the records that were decided under an older schema what they need to have under this one
 * (protocol/convert.h), while devices are served. `stop` as above: the next start begins anew. */
daybook_status srv_service_convert(struct service *service, bool (*stop)(void *context),
                                   void *context);

/* Judges by its own policy what was given for a field before this server knew it
 * (decide/given.c). Before it serves; what it came to is logged. */
daybook_status srv_service_judge(struct service *service);

/* Decides what waits in the quarantine for a schema that this server has by now. Before it serves;
 * what it came to is logged. What of a device cannot be decided waits on, and is the first failure
 * returned; the others' are decided all the same. */
daybook_status srv_service_learn(struct service *service);

#endif
