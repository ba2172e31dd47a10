/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands quarantine list, show, release and reject, called by srv_service_command; and what a
 * server releases by itself when it starts with a newer schema. Invariant: of one instance,
 * changesets leave the quarantine in the order of their seq; what waited behind one of them follows
 * it.
 */
#include "sync-server/inside.h"

#include "engine/base/text.h"
#include "engine/protocol/convert.h"
#include "sync-server/commands.h"

#include <string.h>

#define LIST_PAGE 500    /* rows that are read at once */
#define RELEASE_MAX 1000 /* changesets that one transaction decides */
#define TEXT_ARENA_BYTES_MAX ((size_t)64 * 1024 * 1024)

/* What the commands on one changeset share. */
struct quarantine_task {
    struct command_run *run; /* NULL: no operator has said so */
    struct id changeset;
    bool all; /* those behind it too, whatever they wait for */
    enum reject_code refused;
    int ended, waiting; /* counted */
    struct id *left;    /* those that have ended, room for RELEASE_MAX; NULL: not kept */
    bool first;
};

/* The organisation in which the changeset waits. */
static daybook_status find_waiting(struct decider *decider, struct quarantine_task *task,
                                   struct arena *arena, struct decide_org **org,
                                   struct srv_quarantined *row)
{
    bool found = false;
    daybook_status status = DAYBOOK_OK;
    for (int i = 0; i < decider->org_count && status == DAYBOOK_OK && !found; i++) {
        *org = &decider->orgs[i];
        status = srv_store_find_quarantine(decider->store, (*org)->org, &task->changeset, arena,
                                           row, &found);
    }
    return status == DAYBOOK_OK && !found
               ? srv_command_fail(task->run, DAYBOOK_NOT_FOUND, "no such changeset is waiting")
               : status;
}

/* The argument, a changeset's id. */
static bool read_changeset(struct command_run *run, struct quarantine_task *task)
{
    const char *text = run->line->arguments[0];
    *task = (struct quarantine_task){.run = run, .first = true};
    return dk_id_from_text(text, strlen(text), &task->changeset);
}

/* What the argument is, where it is not one. */
static daybook_status no_changeset(struct command_run *run)
{
    return srv_command_fail(run, DAYBOOK_INVALID,
                            "a changeset is a UUID, as quarantine list shows it");
}

/* ---- walking over what waits */

/* What waits in an organisation, by instance and seq, read in pages: what leaves the quarantine
 * meanwhile is passed over. */
struct waiting {
    struct srv_store *store;
    int64_t org;
    uint32_t device_no; /* of the last one that was read; the walk goes on behind it */
    int64_t seq;
    struct arena arena;
    struct srv_quarantined *rows; /* a page */
    int count, at;
};

/* Begins a walk behind an instance and seq; close_waiting ends it. */
static void open_waiting(struct waiting *waiting, const struct decider *decider, int64_t org,
                         uint32_t device_no, int64_t seq)
{
    *waiting =
        (struct waiting){.store = decider->store, .org = org, .device_no = device_no, .seq = seq};
    dk_arena_init(&waiting->arena, TEXT_ARENA_BYTES_MAX);
}

/* The next one without its text, valid until the call after. NULL: there is none, or *status is not
 * OK. */
static const struct srv_quarantined *next_waiting(struct waiting *waiting, daybook_status *status)
{
    if (waiting->at == waiting->count) {
        dk_arena_reset(&waiting->arena);
        waiting->at = 0;
        *status = srv_store_list_quarantine(waiting->store, waiting->org, waiting->device_no,
                                            waiting->seq, LIST_PAGE, &waiting->arena,
                                            &waiting->rows, &waiting->count);
    }
    if (*status != DAYBOOK_OK || waiting->count == 0) {
        return NULL;
    }
    const struct srv_quarantined *row = &waiting->rows[waiting->at++];
    waiting->device_no = row->device_no;
    waiting->seq = row->seq;
    return row;
}

/* Lets go of the page. */
static void close_waiting(struct waiting *waiting)
{
    dk_arena_clear(&waiting->arena);
}

/* ---- list and show */

/* One waiting changeset as a line or an object. */
static void write_waiting(struct command_run *run, const struct srv_quarantined *row,
                          const char *login, bool first)
{
    char changeset[ID_TEXT_SIZE], line[200], received[32];
    struct buffer *out = &run->out;
    dk_id_to_text(&row->changeset, changeset);
    srv_command_time(row->received_ms, received);
    if (!run->line->json) {
        (void)dk_text_format(line, sizeof line, "%s  %-10s  %8u  %8lld  %-20s  ", changeset,
                             row->why, (unsigned)row->device_no, (long long)row->seq, received);
        dk_buffer_append_text(out, line);
        dk_buffer_append_text(out, login);
        dk_buffer_append_char(out, '\n');
        return;
    }
    dk_buffer_append_text(out, first ? "{" : ",{");
    srv_command_member(out, true, "changeset", changeset);
    srv_command_member(out, false, "code", row->why);
    srv_command_number(out, false, "device_no", row->device_no);
    srv_command_number(out, false, "seq", row->seq);
    srv_command_number(out, false, "received_ms", row->received_ms);
    srv_command_member(out, false, "login", login);
    dk_buffer_append_char(out, '}');
}

/* The task of quarantine list: all organisations. */
static daybook_status list_run(struct decider *decider, void *context)
{
    struct quarantine_task *task = context;
    daybook_status status = DAYBOOK_OK;
    for (int i = 0; i < decider->org_count && status == DAYBOOK_OK; i++) {
        const struct srv_quarantined *row;
        struct waiting waiting;
        open_waiting(&waiting, decider, decider->orgs[i].org, 0, 0);
        while (status == DAYBOOK_OK && (row = next_waiting(&waiting, &status)) != NULL) {
            const char *login;
            status = srv_command_login(decider, waiting.org, &row->user, &login);
            if (status == DAYBOOK_OK) {
                write_waiting(task->run, row, login, task->first);
                task->first = false;
            }
        }
        close_waiting(&waiting);
    }
    return status;
}

/* See the header. */
daybook_status srv_command_quarantine_list(struct command_run *run)
{
    struct quarantine_task task = {.run = run, .first = true};
    bool json = run->line->json;
    dk_buffer_append_text(&run->out,
                          json ? "{\"quarantine\":["
                               : "changeset                             code          number       "
                                 "seq  received              login\n");
    daybook_status status = srv_run_task(run->service, list_run, &task);
    dk_buffer_append_text(&run->out, json ? "]}\n" : "");
    return status;
}

/* The task of quarantine show: the text as it came, which is JSON. */
static daybook_status show_run(struct decider *decider, void *context)
{
    struct quarantine_task *task = context;
    struct srv_quarantined row;
    struct decide_org *org;
    daybook_status status = find_waiting(decider, task, &decider->arena, &org, &row);
    if (status == DAYBOOK_OK) {
        dk_buffer_append(&task->run->out, row.body, row.length);
        dk_buffer_append_char(&task->run->out, '\n');
    }
    return status;
}

/* See the header. */
daybook_status srv_command_quarantine_show(struct command_run *run)
{
    struct quarantine_task task;
    return read_changeset(run, &task) ? srv_run_task(run->service, show_run, &task)
                                      : no_changeset(run);
}

/* ---- release and reject */

/* The author of a changeset that waits, as of when it came. An operator who lets it through
 * vouches for a user who is disabled. */
static daybook_status waiting_author(struct decider *decider, const struct quarantine_task *task,
                                     const struct srv_quarantined *row, struct arena *arena,
                                     struct decide_author *author)
{
    bool found;
    memset(author, 0, sizeof *author);
    daybook_status status =
        srv_store_get_account(decider->store, &row->user, &author->account, &found);
    if (status != DAYBOOK_OK || !found) {
        return status == DAYBOOK_OK ? DAYBOOK_CORRUPT : status;
    }
    author->account.disabled = author->account.disabled && task->run == NULL;
    author->device_no = row->device_no;
    author->decided = row->seq;
    author->boot = row->boot;
    author->steady_ms = row->steady_ms;
    author->received_ms = row->received_ms;
    status = srv_store_has_quarantine(decider->store, row->device_no, &author->has_quarantine);
    return status == DAYBOOK_OK ? srv_scope_rights(decider->store, &author->account, SCOPE_NOW,
                                                   arena, &author->scope)
                                : status;
}

/* How one ended, as a line or an object. */
static void write_verdict(struct quarantine_task *task, const struct srv_quarantined *row,
                          const struct verdict *verdict)
{
    char changeset[ID_TEXT_SIZE], explained[256] = "";
    struct buffer *out = &task->run->out;
    const char *kind = dk_verdict_name(verdict->kind);
    dk_id_to_text(&row->changeset, changeset);
    if (verdict->code != REJECT_NONE) {
        srv_draft_explain(verdict, explained, sizeof explained);
    }
    if (!task->run->line->json) {
        dk_buffer_append_text(out, changeset);
        dk_buffer_append_text(out, "  ");
        dk_buffer_append_text(out, kind);
        dk_buffer_append_text(out, explained[0] == '\0' ? "" : "  ");
        dk_buffer_append_text(out, explained);
        dk_buffer_append_char(out, '\n');
    } else {
        dk_buffer_append_text(out, task->first ? "{" : ",{");
        srv_command_member(out, true, "changeset", changeset);
        srv_command_member(out, false, "verdict", kind);
        srv_command_number(out, false, "position", verdict->position);
        srv_command_member(out, false, "code", dk_reject_name(verdict->code));
        dk_buffer_append_char(out, '}');
    }
    task->first = false;
}

/* Decides one that waits. `row` has its text. */
static daybook_status decide_waiting(struct decider *decider, struct quarantine_task *task,
                                     struct decide_org *org, const struct srv_quarantined *row,
                                     enum reject_code refused, struct arena *arena)
{
    struct decide_author author;
    struct decide_input input = {.text = NULL};
    struct verdict verdict;
    const char *problem = NULL;
    char *text = dk_arena_copy(arena, row->body, row->length);
    daybook_status status =
        text == NULL ? DAYBOOK_NO_MEMORY : waiting_author(decider, task, row, arena, &author);
    if (status != DAYBOOK_OK) {
        return status;
    }
    bool decoded = dk_changeset_decode(text, row->length, arena, &input.changeset, &input.refusal,
                                       &input.refused, &problem);
    if ((!decoded && problem != NULL) || (decoded && !dk_convert(&input.changeset, arena))) {
        return arena->failed ? DAYBOOK_NO_MEMORY : DAYBOOK_CORRUPT;
    }
    input.changeset.seq = row->seq; /* it may have gone over to another instance */
    status =
        srv_decide_waiting(decider->decide, org, &author, &input, refused, srv_now_ms(), &verdict);
    if (status == DAYBOOK_OK) {
        if (task->left != NULL && verdict.kind != VERDICT_QUARANTINED) {
            task->left[task->ended] = row->changeset;
        }
        task->waiting += verdict.kind == VERDICT_QUARANTINED ? 1 : 0;
        task->ended += verdict.kind == VERDICT_QUARANTINED ? 0 : 1;
        if (task->run != NULL) {
            write_verdict(task, row, &verdict);
        }
    }
    return status;
}

/* Whether one waits for a changeset that has left in this task, as its verdict says. */
static daybook_status waits_for_left(struct decider *decider, const struct quarantine_task *task,
                                     const struct decide_org *org, const struct id *changeset,
                                     struct arena *arena, bool *waits)
{
    struct srv_decision decision;
    struct verdict verdict;
    struct json_reader json;
    bool found;
    *waits = false;
    daybook_status status =
        srv_store_find_decision(decider->store, org->org, changeset, arena, &decision, &found);
    if (status != DAYBOOK_OK || !found || decision.verdict == NULL) {
        return status;
    }
    char *text = dk_arena_copy(arena, decision.verdict, decision.verdict_length);
    if (text == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    dk_json_open(&json, text, decision.verdict_length);
    if (dk_verdict_read(&json, &verdict) != 1) {
        return DAYBOOK_CORRUPT;
    }
    for (int i = 0; i < task->ended && !*waits; i++) {
        *waits = dk_id_compare(&task->left[i], &verdict.cause) == 0;
    }
    return DAYBOOK_OK;
}

/* Decides those of an organisation that follow what has left: behind it in its own instance all of
 * them, or what waited for something before it; of others what waited for one that has left, as
 * where a copy of the file has sent that anew. */
static daybook_status follow(struct decider *decider, struct quarantine_task *task,
                             struct decide_org *org, uint32_t device_no, int64_t after,
                             struct arena *arena)
{
    const struct srv_quarantined *next;
    struct srv_quarantined row;
    struct waiting waiting;
    daybook_status status = DAYBOOK_OK;
    open_waiting(&waiting, decider, org->org, 0, 0);
    while (status == DAYBOOK_OK && task->ended + task->waiting < RELEASE_MAX &&
           (next = next_waiting(&waiting, &status)) != NULL) {
        bool depends = strcmp(next->why, dk_reject_name(REJECT_DEPENDS)) == 0;
        bool behind = next->device_no == device_no && next->seq > after;
        bool follows = behind && (depends || task->all), found;
        dk_arena_reset(arena);
        if (depends && !behind) {
            status = waits_for_left(decider, task, org, &next->changeset, arena, &follows);
        }
        if (status == DAYBOOK_OK && follows) {
            status = srv_store_find_quarantine(decider->store, org->org, &next->changeset, arena,
                                               &row, &found);
        }
        if (status == DAYBOOK_OK && follows && found) {
            status = decide_waiting(decider, task, org, &row, depends ? REJECT_NONE : task->refused,
                                    arena);
        }
    }
    close_waiting(&waiting);
    return status;
}

/* Only the first that waits of an instance may leave. */
static daybook_status check_first(struct decider *decider, struct quarantine_task *task,
                                  const struct decide_org *org, const struct srv_quarantined *row)
{
    struct srv_quarantined *rows;
    int count;
    char text[ID_TEXT_SIZE];
    daybook_status status = srv_store_list_quarantine(decider->store, org->org, row->device_no, 0,
                                                      1, &decider->arena, &rows, &count);
    if (status != DAYBOOK_OK || (count == 1 && rows[0].seq == row->seq)) {
        return status;
    }
    dk_id_to_text(&rows[0].changeset, text);
    return srv_command_fail(task->run, DAYBOOK_RULE, "an earlier one of the same device waits: %s",
                            text);
}

/* The task of release and reject, in the given arena. */
static daybook_status end_waiting(struct decider *decider, struct quarantine_task *task,
                                  struct arena *arena)
{
    struct srv_quarantined row;
    struct decide_org *org = NULL;
    daybook_status status = find_waiting(decider, task, arena, &org, &row);
    if (status == DAYBOOK_OK) {
        status = check_first(decider, task, org, &row);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    uint32_t device_no = row.device_no;
    int64_t seq = row.seq;
    enum reject_code why = dk_reject_by_name(row.why, strlen(row.why));
    task->refused = task->refused == REJECT_NONE ? REJECT_NONE : why;
    status = decide_waiting(decider, task, org, &row, task->refused, arena);
    for (int ended = 0; status == DAYBOOK_OK && task->ended > ended;) {
        ended = task->ended; /* what has left may be waited for by what was passed over */
        status = follow(decider, task, org, device_no, seq, arena);
        seq = INT64_MAX; /* all that is behind it has been looked at */
    }
    return status;
}

/* See end_waiting; texts of changesets are let go one by one. */
static daybook_status end_run(struct decider *decider, void *context)
{
    struct quarantine_task *task = context;
    struct arena arena;
    dk_arena_init(&arena, TEXT_ARENA_BYTES_MAX);
    task->left = dk_arena_new(&decider->arena, RELEASE_MAX * sizeof *task->left);
    daybook_status status =
        task->left == NULL ? DAYBOOK_NO_MEMORY : end_waiting(decider, task, &arena);
    dk_arena_clear(&arena);
    return status;
}

/* Both commands. */
static daybook_status end_command(struct command_run *run, enum reject_code refused)
{
    struct quarantine_task task;
    if (!read_changeset(run, &task)) {
        return no_changeset(run);
    }
    task.refused = refused;
    task.all = srv_command_value(run->line, "all") != NULL;
    dk_buffer_append_text(&run->out, run->line->json ? "{\"verdicts\":[" : "");
    daybook_status status = srv_run_task(run->service, end_run, &task);
    dk_buffer_append_text(&run->out, run->line->json ? "]}\n" : "");
    return status;
}

/* See the header. */
daybook_status srv_command_quarantine_release(struct command_run *run)
{
    return end_command(run, REJECT_NONE);
}

/* See the header. */
daybook_status srv_command_quarantine_reject(struct command_run *run)
{
    return end_command(run, REJECT_AUTH);
}

/* ---- what waited for this schema */

/* Where the run is: organisation by organisation, instance by instance. */
struct learn_task {
    struct quarantine_task task;
    int org;
    uint32_t device_no; /* those up to it are done */
    uint32_t failed;    /* what waits of this instance could not be decided; 0: none */
    bool finished;
};

/* Decides the waiting changeset of a row without text. *stays: it waits on. */
static daybook_status learn_one(struct decider *decider, struct learn_task *learn,
                                struct decide_org *org, const struct id *changeset,
                                struct arena *arena, bool *stays)
{
    struct srv_quarantined row;
    bool found;
    int waiting = learn->task.waiting;
    dk_arena_reset(arena);
    daybook_status status =
        srv_store_find_quarantine(decider->store, org->org, changeset, arena, &row, &found);
    if (status == DAYBOOK_OK && found) {
        status = decide_waiting(decider, &learn->task, org, &row, REJECT_NONE, arena);
    }
    *stays = learn->task.waiting > waiting;
    return status;
}

/* Decides what of each instance waits for a schema, and what waits for that, up to the first
 * changeset that waits for something else or still has to. Ends before an instance that has made
 * an earlier run fail, and with as much as a transaction may decide; *rest: there is more. */
static daybook_status learn_org(struct decider *decider, struct learn_task *learn, bool *rest)
{
    struct decide_org *org = &decider->orgs[learn->org];
    const struct srv_quarantined *row;
    struct waiting waiting;
    struct arena arena;
    uint32_t failed = 0;
    int decided = 0;
    daybook_status status = DAYBOOK_OK;
    *rest = false;
    dk_arena_init(&arena, TEXT_ARENA_BYTES_MAX);
    open_waiting(&waiting, decider, org->org, learn->device_no, INT64_MAX);
    while (!*rest && status == DAYBOOK_OK && (row = next_waiting(&waiting, &status)) != NULL) {
        enum reject_code why = dk_reject_by_name(row->why, strlen(row->why));
        bool stays = why != REJECT_SCHEMA && why != REJECT_DEPENDS;
        uint32_t device_no = row->device_no;
        *rest = device_no == learn->failed || decided == RELEASE_MAX;
        if (device_no == learn->failed) {
            learn->device_no = device_no;
            learn->failed = 0;
        }
        if (*rest || device_no <= learn->device_no) {
            continue;
        }
        if (!stays) {
            decided++;
            status = learn_one(decider, learn, org, &row->changeset, &arena, &stays);
            failed = device_no;
        }
        learn->device_no = stays ? device_no : learn->device_no;
    }
    learn->failed = status == DAYBOOK_OK ? learn->failed : failed;
    close_waiting(&waiting);
    dk_arena_clear(&arena);
    return status;
}

/* The task: one transaction's worth of it. Where that fails, nothing of it has been. */
static daybook_status learn_run(struct decider *decider, void *context)
{
    struct learn_task *learn = context, next = *learn;
    bool rest = false;
    daybook_status status =
        next.org < decider->org_count ? learn_org(decider, &next, &rest) : DAYBOOK_OK;
    if (status != DAYBOOK_OK) {
        learn->failed = next.failed;
        return status;
    }
    if (!rest) {
        next.org++;
        next.device_no = 0;
    }
    next.finished = next.org >= decider->org_count;
    *learn = next;
    return DAYBOOK_OK;
}

/* Looks once at all that waits; *ended counts what has left. The first failure is returned. */
static daybook_status learn_once(struct service *service, int *ended)
{
    struct learn_task learn = {.org = 0};
    daybook_status status = DAYBOOK_OK, first = DAYBOOK_OK;
    bool again = true;
    while (again) {
        status = srv_run_task(service, learn_run, &learn);
        again = status == DAYBOOK_OK ? !learn.finished : learn.failed != 0;
        if (status != DAYBOOK_OK) {
            dk_log(&service->log, LOG_ERROR, "waits on, not decided device=%u status=%d",
                   (unsigned)learn.failed, (int)status);
            first = first == DAYBOOK_OK ? status : first;
        }
    }
    *ended = learn.task.ended;
    return first;
}

/* See service.h. What the server fails on is left for an operator, with what its instance has
 * behind it; the others go on. What has left may be waited for by an instance that was looked at
 * before it, so it looks again until nothing leaves. */
daybook_status srv_service_learn(struct service *service)
{
    int ended, count = 0;
    daybook_status status;
    do {
        status = learn_once(service, &ended);
        count += ended;
    } while (ended > 0);
    if (count > 0) {
        dk_log(&service->log, LOG_INFO, "released what waited for this schema count=%d", count);
    }
    return status;
}
