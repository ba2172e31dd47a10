/* SPDX-License-Identifier: Apache-2.0
 *
 * The inner half of the server: jobs, the workers that parse and answer them, the decider that
 * decides them in groups. Shared by service.c, jobs.c, workers.c, decider.c, the endpoints and the
 * commands, and nobody else.
 *
 * The life of a call: submitted -> a worker parses it -> (what writes) the decider takes it into a
 * group, and commits -> a worker replies -> done. No thread waits for another: between the steps a
 * job lies in a queue. Commands wait for their task.
 */
#ifndef DAYBOOK_SERVER_INSIDE_H
#define DAYBOOK_SERVER_INSIDE_H

#include "engine/base/frame.h"
#include "engine/base/memory.h"
#include "engine/sales/day.h"
#include "sync-server/accounts/accounts.h"
#include "sync-server/decide/decide.h"
#include "sync-server/service.h"

#include <pthread.h>

#define WORKERS_DEFAULT 4
#define WORKERS_MAX 64
/* calls in all queues; more are answered BUSY */
#define JOBS_MAX 20000
#define JOBS_BYTES_MAX ((int64_t)512 * 1024 * 1024) /* memory of all calls that were parsed */
#define JOB_ARENA_BYTES_MAX ((size_t)192 * 1024 * 1024)
#define GROUP_CHANGESETS_MAX 1000
#define GROUP_BYTES_MAX (4 * 1024 * 1024)
#define BUSY_RETRY_MS 1000
/* a device that only reads is noted this often */
#define SEEN_INTERVAL_MS (60 * 60 * 1000)

struct worker;
struct decider;
struct job;

/* Where a job goes from a step. */
enum job_way { WAY_DONE, WAY_DECIDER, WAY_REPLY };

/* One endpoint: the steps of its calls. The answer, or an error, is set on the job. */
struct endpoint {
    const char *method;
    const char *path;
    enum job_way (*parse)(struct worker *worker, struct job *job);
    /* In the group's transaction. Not OK: the group cannot go on. May be called again after a
     * rollback. */
    daybook_status (*decide)(struct decider *decider, struct job *job);
    void (*reply)(struct worker *worker, struct job *job);
};

/* A place in the order of a bucket's records: behind this one. */
struct snapshot_key {
    int kind; /* of an entity */
    struct id id;
};
#define SNAPSHOT_NO_KEY (-1) /* kind: the beginning, or the end */

/* Where the snapshot of a bucket goes on for one device. */
struct snapshot_place {
    int64_t bucket;
    struct snapshot_key after;
    const char *unknown; /* entity of a newer schema, for which `after` is the beginning; or NULL */
    size_t unknown_length;
    struct id unknown_id;
};

/* What a sync call carries between its steps. */
struct sync_job {
    struct sync_request request;
    int64_t received_ms; /* wall clock */
    int64_t *held;       /* buckets that the device holds */
    int held_count;
    struct snapshot_place *loading; /* where its snapshots go on */
    int loading_count;
    struct decide_input *inputs;
    size_t *offsets, *lengths; /* of each changeset's text in the expanded body */
    int count;
    int answered;           /* the first ones, whose verdicts are below */
    struct id *made;        /* LIMIT_CHANGESET_CHANGES: of the refused one under way; NULL: none */
    struct buffer verdicts; /* rows, with commas between */
};

/* What enrolment and lease carry. */
struct account_job {
    struct enrol_request enrol;
    struct lease_request lease;
    char token[TOKEN_TEXT_SIZE];
    struct caller caller;
    uint32_t device_no;
    struct id organisation;
};

struct job {
    struct service *service;
    struct job *next; /* in a queue */
    const struct endpoint *endpoint;
    char *token; /* a copy; NULL: none */
    char *body;  /* as it came */
    size_t body_size;
    void (*done)(void *context, const struct service_answer *answer);
    void *context;

    struct arena arena;  /* all that is decoded */
    struct buffer text;  /* the body expanded; written to while it is decoded */
    struct buffer again; /* the same once more, unwritten, where somebody needs it */
    int64_t bytes;       /* counted in the service */
    int weight;          /* changesets */
    bool decided;        /* a decide step is behind it */

    int http_status;  /* 0: no error so far */
    const char *code; /* of an error */
    char detail[160];
    int64_t seq; /* of GAP */
    int64_t retry_after_ms;
    struct service_answer answer;

    union {
        struct sync_job sync;
        struct account_job account;
        struct fetch_request fetch;
    };
};

struct queue {
    struct job *first, **end;
    int count;
};

/* Work of a command on the decider's thread, in a transaction of its own. */
struct task {
    daybook_status (*run)(struct decider *decider, void *context);
    void *context;
    daybook_status status;
    bool finished;
    struct task *next;
};

/* A page that a device will ask for next; bucket 0: none. */
struct snapshot_ahead {
    int64_t org;
    struct snapshot_place place;
};

struct worker {
    struct service *service;
    struct snapshot_ahead ahead; /* of the job under way */
    pthread_t thread;
    struct srv_store *reader;
    struct frame_codec *codec;
    struct arena arena; /* of one reply */
    struct buffer log, pages, json, rows;
    struct buffer sums, contents; /* [[bucket,"sum"],…] of the reply */
};

struct decider {
    struct service *service;
    pthread_t thread;
    struct srv_store *store; /* the writer */
    struct decide *decide;
    struct frame_codec *codec;
    struct arena arena; /* of one job or task */
    struct decide_org *orgs;
    int org_count;
};

/* ---- snapshot_cache.c */
#define SNAPSHOT_SETS_MAX 256 /* buckets of which pages are kept, or first asks counted */
struct snapshot_set;
struct snapshot_cache {
    pthread_mutex_t lock; /* all below */
    size_t bytes, bytes_max;
    uint64_t clock;
    struct snapshot_set *sets;
    int count;
    int64_t made, served; /* pages put, and pages got */
};
void srv_snapshot_cache_open(struct snapshot_cache *cache, size_t bytes_max);
void srv_snapshot_cache_close(struct snapshot_cache *cache);
/* The head at which the first page of the bucket's set was read; 0: there is none. */
int64_t srv_snapshot_cache_head(struct snapshot_cache *cache, int64_t org, int64_t bucket);
/* A device asks for the bucket's first page. Pages of a bucket that is `shared`, or was asked for
 * before, are the last to make room. False: none is kept. */
bool srv_snapshot_cache_ask(struct snapshot_cache *cache, int64_t org, int64_t bucket, bool shared);
/* Appends the rows of the page behind this key, where it was read at or after the position and is
 * not larger than wanted. */
bool srv_snapshot_cache_get(struct snapshot_cache *cache, int64_t org, int64_t bucket,
                            const struct snapshot_key *after, int64_t position, size_t size_max,
                            struct buffer *rows, struct snapshot_key *next, int64_t *head);
/* Keeps a page where it begins a newer set, or follows the last one of its set. */
void srv_snapshot_cache_put(struct snapshot_cache *cache, int64_t org, int64_t bucket,
                            const struct snapshot_key *after, const struct snapshot_key *next,
                            int64_t head, const char *rows, size_t length);
/* Whether the page behind this key is there and was read at or after the position. */
bool srv_snapshot_cache_has(struct snapshot_cache *cache, int64_t org, int64_t bucket,
                            const struct snapshot_key *after, int64_t position);
/* The lowest head of the kept pages that follow the one behind this key, as far as they can serve
 * a reader at the position; INT64_MAX: there is none, or that one is not there. */
int64_t srv_snapshot_cache_least(struct snapshot_cache *cache, int64_t org, int64_t bucket,
                                 const struct snapshot_key *after, int64_t position);
/* The bucket's pages are of no use any more. */
void srv_snapshot_cache_drop(struct snapshot_cache *cache, int64_t org, int64_t bucket);

struct service {
    struct log log;
    struct snapshot_cache snapshots;
    int64_t page_bytes;
    int64_t log_days, log_positions; /* of the log that is kept; 0: any */
    int64_t oldest_schema;           /* that is served */
    struct class_rule classes;
    bool backups; /* devices are told how far they cover the log */
    char *data_folder;
    char *public_url, *ca_pin; /* NULL: not known */
    int lock_file;
    struct worker *workers;
    int worker_count;
    bool decider_runs; /* its thread was started */
    struct decider decider;

    pthread_mutex_t lock;  /* all below */
    pthread_cond_t work;   /* for workers */
    pthread_cond_t decide; /* for the decider */
    pthread_cond_t rest;   /* for whoever waits until jobs is 0, and for commands */
    struct queue work_queue, decide_queue;
    struct task *tasks, **tasks_end;
    int jobs;      /* calls and tasks that are not done, with what workers do behind an answer */
    int64_t bytes; /* of parsed jobs */
    bool closing;  /* no new calls */
    bool stopping; /* threads end when their queues are empty */
};

/* ---- jobs.c */
int64_t srv_now_ms(void);
/* A job of this call, or NULL. The body is the job's either way. */
struct job *srv_job_new(struct service *service, const struct service_call *call,
                        const struct endpoint *endpoint);
/* Frees a job that was not taken; its body stays the call's. */
void srv_job_drop(struct job *job);
/* Calls done, once, and frees the job. */
void srv_job_finish(struct job *job);
/* Counts a job's memory; false, and an error set, where too much is under way. */
bool srv_job_charge(struct job *job, int64_t bytes);
/* Sets the error that the job is answered with; returns WAY_DONE. `detail` is for developers and
 * holds no values. */
enum job_way srv_job_fail(struct job *job, int http_status, const char *code, const char *format,
                          ...) __attribute__((format(printf, 4, 5)));
/* The error that stands for a failure of the server. */
enum job_way srv_job_fail_status(struct job *job, daybook_status status);
/* Expands the body into text. */
bool srv_job_expand(struct job *job, struct frame_codec *codec);
/* The text as it came, not written to. */
daybook_status srv_job_original(struct job *job, struct frame_codec *codec, const char **text);
/* Decodes the text as this message and checks the protocol version, whose place in the message is
 * first. */
bool srv_job_decode(struct job *job, const struct message_table *table, void *message);
/* Turns the message, or the error, into the answer. */
void srv_job_answer(struct worker *worker, struct job *job, const struct message_table *table,
                    const void *message);
void srv_queue_init(struct queue *queue);
void srv_queue_push(struct queue *queue, struct job *job);
struct job *srv_queue_pop(struct queue *queue); /* NULL: empty */

/* ---- workers.c, decider.c: thread bodies, and what they pass on */
void *srv_worker_run(void *worker);
void *srv_decider_run(void *decider);
/* Puts a job that has been decided, or not, before the workers. */
void srv_to_workers(struct service *service, struct job *job);
/* Runs a task on the decider's thread and waits for its commit. */
daybook_status srv_run_task(struct service *service,
                            daybook_status (*run)(struct decider *decider, void *context),
                            void *context);
/* Reads the organisations and their heads again: at the start, and after a rollback. */
daybook_status srv_decider_load(struct decider *decider);
/* Frees them: none are known. */
void srv_decider_forget(struct decider *decider);
/* NULL: no such organisation. */
struct decide_org *srv_decider_org(struct decider *decider, int64_t org);
/* The author that the server itself is; scope in the arena. */
daybook_status srv_decider_server(struct decider *decider, const struct decide_org *org,
                                  struct arena *arena, struct decide_author *author);
/* The author that a caller is. */
daybook_status srv_decider_author(struct decider *decider, const struct caller *caller,
                                  struct arena *arena, struct decide_author *author);

/* ---- endpoint_*.c */
extern const struct endpoint srv_endpoint_sync, srv_endpoint_enrol, srv_endpoint_lease,
    srv_endpoint_fetch;

/* ---- page.c */
struct page {
    struct srv_store *reader; /* in a snapshot */
    int64_t org;
    uint32_t device_no;
    int64_t settled, after, head;
    int64_t upto; /* the log is read so far, at most to the head */
    int64_t page_bytes;
    bool full_size; /* page_bytes is the server's own: pages of snapshots may serve others */
    struct snapshot_cache *cache;
    struct snapshot_ahead *ahead; /* out: the page behind the last one */
    const struct scope *scope;
    struct arena *arena;
    struct buffer *rows;     /* scratch */
    struct buffer *out;      /* the array of blocks */
    struct buffer *verdicts; /* rows of the reply, with commas between; NULL: not wanted */
    int64_t answered_first;  /* changesets whose verdicts are among them already */
    int answered;
};
/* Appends the decision's verdict, under its seq, to rows of verdicts. */
daybook_status srv_page_verdict(struct buffer *verdicts, const struct srv_decision *decision);
/* Builds a page; *position is the reader's new cursor. */
daybook_status srv_page_build(const struct page *page, int64_t *position);

/* ---- snapshot.c */
/* The places of a request, in the arena. False with *problem: no such array, or too many. */
bool srv_snapshot_read_places(const struct span *raw, struct arena *arena,
                              struct snapshot_place **places, int *count, const char **problem);
/* Whole records as an array of blocks: begin, row by row, end (also after a failure). */
struct snapshot_rows {
    struct block_writer writer;
    struct buffer *out;
    struct buffer header; /* of the block under way */
    size_t begin, size_max;
    uint64_t columns; /* of the block under way, by field */
    int kind;         /* its entity; -1: none yet */
    struct snapshot_key last;
};
void srv_snapshot_begin(struct snapshot_rows *rows, struct buffer *out);
daybook_status srv_snapshot_row(struct snapshot_rows *rows, const struct record *record);
void srv_snapshot_end(struct snapshot_rows *rows);
/* Appends the bucket's live records behind `after`, up to about this size and at least one, as an
 * array of blocks; *next is the last one's key where there may be more. */
daybook_status srv_snapshot_rows(struct srv_store *reader, int64_t org, int64_t bucket,
                                 const struct snapshot_key *after, size_t size_max,
                                 struct buffer *out, struct snapshot_key *next);
/* Where the log of a device that takes a snapshot of its whole scope begins: at the head, or where
 * the pages that are kept of the organisation's bucket begin. */
daybook_status srv_snapshot_start(const struct page *page, int64_t floor, int64_t *position);
/* How far the log may be read for a device at these places: no further than pages that are kept,
 * and that it will get, were read. */
int64_t srv_snapshot_upto(const struct page *page, const struct snapshot_place *places, int count);
/* Reads the page that the worker's device will ask for next, while the device is busy with the last
 * one, and keeps it. A failure is no harm: the page is read when it is asked for. */
void srv_snapshot_read_ahead(struct worker *worker);
/* Appends the pages of a reply whose log has been built, as an array; nothing where there is none.
 * *more: there are further ones. */
daybook_status srv_snapshot_write(const struct page *page, const struct snapshot_place *places,
                                  int count, struct buffer *out, bool *more);

/* ---- compact.c */
struct compact_report {
    int64_t floor;   /* the log begins behind it */
    int64_t removed; /* rows */
};
/* Cuts what is older than so many days (0: of any age) or further than so many positions behind the
 * head (-1: any number). On the caller's thread, which waits for each piece. */
daybook_status srv_compact(struct service *service, int64_t log_days, int64_t log_positions,
                           struct compact_report *report);
/* The same as the settings say; what it came to is logged. */
daybook_status srv_compact_by_settings(struct service *service);

/* ---- refused.c */
/* True where the array under way has no further element. */
bool srv_at_close(const struct json_reader *json);
/* Ids of the records that a refused changeset would have made, or of all that it touches, so far as
 * its text can be understood: what depends on them is answered with the cause. `text` is written
 * to. */
void srv_read_made(char *text, size_t length, bool all, struct id *ids, int *count);

/* ---- sums.c */
/* The scope's sum, and where the request wants them those of its buckets, in worker->sums and
 * worker->contents. In the reply's snapshot, whose position is the head. */
daybook_status srv_sums_read(struct worker *worker, const struct sync_request *request, int64_t org,
                             const struct scope *scope, struct sync_reply *reply);

/* ---- drafts.c: changesets of the server itself, decided like a device's. On the decider's thread,
 * in a task. */
struct draft {
    struct decider *decider;
    struct decide_org *org;
    struct decide_author author;
    struct arena *arena; /* the task's; all values are borrowed until the decision */
    struct change *changes;
    int count, capacity;
    enum srv_class class;   /* where documents go that it names; open unless it is set */
    int64_t time_ms;        /* when it counts as made; 0: now */
    bool converts;          /* see struct decide_input */
    struct verdict verdict; /* after srv_draft_decide */
};
/* Begins with the server as author. NOT_FOUND: there is no organisation yet. */
daybook_status srv_draft_begin(struct draft *draft, struct decider *decider);
/* Adds a change without values; NULL: no memory. `seen` is the version that it is based on, 0 for a
 * new record. */
struct change *srv_draft_add(struct draft *draft, enum block_op op, const struct entity *entity,
                             const struct id *id, int64_t seen);
/* Adds a value to the last change. NULL values stay out of new records. False: no memory. */
bool srv_draft_value(struct draft *draft, int field, const struct value *value);
bool srv_draft_text(struct draft *draft, int field, const char *text);
/* Decides what was added and begins anew. RULE: rejected, with draft->verdict; the task then must
 * fail. */
daybook_status srv_draft_decide(struct draft *draft);
/* The record that a name of an import or a command stands for: a territory by its name, a user by
 * the login. NOT_FOUND where it is not there. */
daybook_status srv_draft_find(struct draft *draft, int entity, const char *name, struct id *id);
/* "product 0193…: REQUIRED name": a rejection in words. */
void srv_draft_explain(const struct verdict *verdict, char *out, size_t size);
/* The id of a record that is known by a name of its own, such as a territory's: the same name
 * always gives the same id. */
bool srv_key_id(const struct decide_org *org, const struct entity *entity, const char *key,
                size_t length, struct id *id);

/* ---- classify.c */
/* Puts every document into the class that the rule gives it at this time, in bounded steps; ends
 * early where `stop` (may be NULL) says so between two. *seen, *moved: documents. */
daybook_status srv_classify(struct service *service, const struct class_rule *rule, int64_t now_ms,
                            bool (*stop)(void *context), void *context, int64_t *seen,
                            int64_t *moved);

/* ---- zone.c */
/* The offsets of a time zone by the system's data, as organisation.zone_offsets has them: from the
 * beginning of the year before this one on, and three years beyond this one. INVALID: it is no name
 * of a zone, or its data is no use; NOT_FOUND; CANNOT_OPEN …, with `problem` set. */
daybook_status srv_zone_offsets(const char *name, int64_t now_ms,
                                char out[DAY_OFFSETS_BYTES_MAX + 1], char *problem,
                                size_t problem_size);
/* Writes the organisation's offsets anew where they are others by now: with another year, other
 * data or another zone. On failure they stay as they are, and `problem` says why where anything is
 * wrong with the zone. */
daybook_status srv_zone_renew(struct service *service, int64_t now_ms, char *problem,
                              size_t problem_size);

/* ---- commands_*.c: each writes its answer, or says what is wrong in `problem` */
struct command_line;
struct command_run {
    struct service *service;
    const struct command_line *line;
    struct buffer out; /* the answer */
    char problem[400]; /* of a failure */
};
daybook_status srv_command_init(struct command_run *run);
daybook_status srv_command_user_add(struct command_run *run);
daybook_status srv_command_device_list(struct command_run *run);
daybook_status srv_command_device_revoke(struct command_run *run);
daybook_status srv_command_quarantine_list(struct command_run *run);
daybook_status srv_command_quarantine_show(struct command_run *run);
daybook_status srv_command_quarantine_release(struct command_run *run);
daybook_status srv_command_quarantine_reject(struct command_run *run);
daybook_status srv_command_customer_merge(struct command_run *run);
daybook_status srv_command_hold_list(struct command_run *run);
daybook_status srv_command_hold_clear(struct command_run *run);
daybook_status srv_command_enrol(struct command_run *run);
daybook_status srv_command_import(struct command_run *run);
daybook_status srv_command_user_change(struct command_run *run);
daybook_status srv_command_customer_reassign(struct command_run *run);
daybook_status srv_command_classify(struct command_run *run);
daybook_status srv_command_compact(struct command_run *run);
daybook_status srv_command_backup(struct command_run *run);
/* Sets the problem and passes the status on. */
daybook_status srv_command_fail(struct command_run *run, daybook_status status, const char *format,
                                ...) __attribute__((format(printf, 3, 4)));
/* ,"name":"text" into an object under way; `first` without the comma. */
void srv_command_member(struct buffer *out, bool first, const char *name, const char *text);
void srv_command_number(struct buffer *out, bool first, const char *name, int64_t number);
/* "2026-11-21T08:05:00Z" */
void srv_command_time(int64_t time_ms, char out[32]);
/* The login of a user, in the decider's arena; "" where there is no such record. */
daybook_status srv_command_login(struct decider *decider, int64_t org, const struct id *user,
                                 const char **login);

/* ---- import_line.c: one line of an import file */
struct import_row {
    int64_t line;
    const struct entity *entity;
    bool has_id, has_key;
    struct id id;
    const char *key; /* in the arena */
    size_t key_length;
    uint64_t present; /* fields given */
    struct value values[LIMIT_FIELDS];
    struct import_key { /* references by the key of another record */
        int field;
        const char *key;
        size_t length;
        struct import_key *next;
    } * references;
};
/* Reads a line, whose text is written to; values in the arena. False with a text in `problem`, or
 * where the arena has failed. */
bool srv_import_line(char *text, size_t length, struct arena *arena, struct import_row *row,
                     char *problem, size_t problem_size);

#endif
