/* SPDX-License-Identifier: Apache-2.0
 *
 * A device as a process: history_worker STORE URL CA_FILE DEVICE ROLE FIRST SEED GAP_MS, or
 * history_worker STORE URL CA_FILE enrol CODE, which signs in, syncs and ends.
 *
 * Commits one transaction about every GAP_MS, numbered from FIRST, and looks at its store after
 * each, while the sync thread runs. Its history goes to stdout, an event per line: invoke (before
 * the commit), ok or fail, read (one snapshot), rest, end. On stdin it is told: "clock MS" (its
 * wall clock is so far off), "full 1" and "full 0" (its disk), "drain" (no more transactions; say
 * when all is settled) and "end". Exit status 1 and a line on stderr: the engine answered what it
 * never should.
 */
#include "tests/history/worker.h"

#include <daybook/posix.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#define SYNC_EVERY_MS 300
#define EXCHANGE_MS 3000  /* a silent server is given up after that: the faults are short, too */
#define LOOK_EVERY_MS 200 /* at what comes when there is nothing to do any more */
#define SMALL_PAGE 4096   /* every other device pulls many pages */
#define LINE_SIZE 200
#define SNAPSHOT_MAX_NS INT64_C(10000000000) /* daybook_step: a longer one may be interrupted */

/* ---- faults inside of the process */

static _Atomic int64_t clock_off_ms;
static atomic_bool disk_full;

/* The wall clock, as wrong as it was told to be. */
static int64_t wall_ms(void *context)
{
    return daybook_posix_platform()->wall_ms(context) + atomic_load(&clock_off_ms);
}

/* On a full disk no file grows; what it has already may be written anew. */
static bool fits(int file, off_t end)
{
    struct stat now;
    if (!atomic_load(&disk_full) || (fstat(file, &now) == 0 && end <= now.st_size)) {
        return true;
    }
    errno = ENOSPC;
    return false;
}

static ssize_t full_write(int file, const void *bytes, size_t length)
{
    off_t at = lseek(file, 0, SEEK_CUR);
    return fits(file, at + (off_t)length) ? write(file, bytes, length) : -1;
}

static ssize_t full_pwrite(int file, const void *bytes, size_t length, off_t at)
{
    return fits(file, at + (off_t)length) ? pwrite(file, bytes, length, at) : -1;
}

/* Puts the disk that can be full below SQLite. */
static void watch_disk(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    (void)vfs->xSetSystemCall(vfs, "write", (sqlite3_syscall_ptr)full_write);
    (void)vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)full_pwrite);
    (void)vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)full_pwrite);
}

/* ---- the history */

/* Nanoseconds of the clock that all processes of the machine share. */
static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void fail(const struct worker *worker, daybook_status status, const char *what)
{
    (void)fprintf(stderr, "device %d: %s: %s: %s [%s.%s %s]\n", worker->device, what,
                  daybook_status_name(status), worker->error.text, worker->error.entity,
                  worker->error.field, worker->error.rule);
    exit(1);
}

static void must(const struct worker *worker, daybook_status status, const char *what)
{
    if (status != DAYBOOK_OK) {
        fail(worker, status, what);
    }
}

/* An event is out before anything follows it. */
static void flush(const struct worker *worker)
{
    if (fputc('\n', stdout) == EOF || fflush(stdout) != 0) {
        fail(worker, DAYBOOK_IO, "the history cannot be written");
    }
}

static void event(const struct worker *worker, const char *name, const char *status)
{
    (void)printf("{\"t\":%" PRId64 ",\"event\":\"%s\",\"number\":%" PRId64 ",\"status\":\"%s\"}",
                 now_ns(), name, worker->number, status);
    flush(worker);
}

/* The badge, as members of an event. */
static void print_status(struct worker *worker)
{
    daybook_sync_status status = DAYBOOK_SYNC_STATUS_INIT;
    must(worker, daybook_get_status(worker->engine, &status), "status");
    (void)printf("\"pending\":%" PRId64 ",\"unsettled\":%" PRId64 ",\"position\":%" PRId64
                 ",\"divergences\":%" PRId64 ",\"retry_in_ms\":%" PRId64
                 ",\"loading\":%s,\"blocked\":\"%s\"",
                 status.pending, status.unsettled, status.position, status.divergences,
                 status.retry_in_ms, status.loading ? "true" : "false",
                 daybook_status_name(status.blocked));
}

/* Everything at rest: nothing to send, nothing to wait for. */
static bool is_at_rest(struct worker *worker)
{
    daybook_sync_status status = DAYBOOK_SYNC_STATUS_INIT;
    must(worker, daybook_get_status(worker->engine, &status), "status");
    return status.pending == 0 && status.unsettled == 0 && !status.loading &&
           status.blocked == DAYBOOK_OK;
}

/* ---- what it does */

uint64_t worker_next(struct worker *worker, uint64_t below)
{
    worker->seed ^= worker->seed << 13;
    worker->seed ^= worker->seed >> 7;
    worker->seed ^= worker->seed << 17;
    return worker->seed % below;
}

/* A commit may fail so: the sync thread has moved or removed what was looked at, or the disk is
 * full. Then it has changed nothing. */
static bool may_fail(daybook_status status)
{
    return status == DAYBOOK_BAD_VERSION || status == DAYBOOK_NOT_FOUND || status == DAYBOOK_RULE ||
           status == DAYBOOK_DISK_FULL;
}

static void transact(struct worker *worker)
{
    char visit[DAYBOOK_ID_SIZE];
    daybook_transaction *transaction = NULL;
    must(worker, daybook_begin(worker->engine, &transaction), "begin");
    daybook_status status = act(worker, transaction, visit);
    if (status == DAYBOOK_OK) {
        (void)printf("{\"t\":%" PRId64 ",\"event\":\"invoke\",\"number\":%" PRId64
                     ",\"acts\":[%s]}",
                     now_ns(), worker->number, worker->acts);
        flush(worker);
        status = daybook_commit(transaction, &worker->error);
        event(worker, status == DAYBOOK_OK ? "ok" : "fail", daybook_status_name(status));
    } else {
        daybook_transaction_error(transaction, &worker->error);
        event(worker, "none", daybook_status_name(status));
    }
    daybook_end(&transaction);
    if (status == DAYBOOK_OK) {
        memcpy(worker->visit, visit, sizeof visit);
    } else if (!may_fail(status)) {
        fail(worker, status, "transaction");
    }
    worker->number++;
}

/* One statement, so one snapshot: all customers, the newest documents with what hangs from them,
 * the own visit of last (m), and how many visits there are (n). */
static const char snapshot[] =
    "SELECT 'c' AS k, id, version AS v, kind AS a, channel AS b, industry AS c, prefs AS d,"
    " address_region AS e, address_city AS f, tags AS g FROM customer"
    " UNION ALL SELECT 'q', q.id, q.version, q.note, q.subtotal,"
    " (SELECT sum(amount) FROM quote_line WHERE quote_id_key = q.id_key), NULL, NULL, NULL, NULL"
    " FROM (SELECT * FROM quote ORDER BY id_key DESC LIMIT 4) q"
    " UNION ALL SELECT 'l', l.id, l.version, l.uom, l.qty, NULL, NULL, NULL, NULL, NULL"
    " FROM (SELECT * FROM quote_line ORDER BY id_key DESC LIMIT 6) l"
    " UNION ALL SELECT 'v', v.id, v.version, v.feedback,"
    " (SELECT count(*) FROM visit_action WHERE visit_id_key = v.id_key), NULL, NULL, NULL, NULL,"
    " NULL FROM (SELECT * FROM visit ORDER BY id_key DESC LIMIT 8) v"
    " UNION ALL SELECT 'm', m.id, m.version, m.feedback,"
    " (SELECT count(*) FROM visit_action WHERE visit_id_key = m.id_key), NULL, NULL, NULL, NULL,"
    " NULL FROM visit m WHERE m.id = ?1"
    " UNION ALL SELECT 'o', o.id, o.version, o.status,"
    " (SELECT count(*) FROM order_line WHERE order_id_key = o.id_key), NULL, NULL, NULL, NULL,"
    " NULL FROM (SELECT * FROM sales_order ORDER BY id_key DESC LIMIT 4) o"
    " UNION ALL SELECT 'n', '', 0, count(*), NULL, NULL, NULL, NULL, NULL, NULL FROM visit";

static void look_around(struct worker *worker)
{
    char parameters[60];
    char *json = NULL;
    (void)snprintf(parameters, sizeof parameters, "[\"%s\"]", worker->visit);
    daybook_status status;
    int64_t began;
    do { /* again where the process was stopped in the middle of it */
        began = now_ns();
        status = daybook_query_json(worker->engine, snapshot, parameters, &json, &worker->error);
    } while (status == DAYBOOK_INTERRUPTED && now_ns() - began > SNAPSHOT_MAX_NS);
    if (status == DAYBOOK_DISK_FULL) {
        return;
    }
    must(worker, status, "snapshot");
    (void)printf("{\"t\":%" PRId64 ",\"event\":\"read\",\"last\":\"%s\",\"rows\":%s,", now_ns(),
                 worker->visit, json);
    print_status(worker);
    (void)putchar('}');
    flush(worker);
    daybook_free(json);
}

/* ---- what it is told */

enum phase { WORK, DRAIN, END };

/* Does what one line says. */
static void obey(struct worker *worker, const char *line, enum phase *phase)
{
    if (strncmp(line, "clock ", 6) == 0) {
        atomic_store(&clock_off_ms, strtoll(line + 6, NULL, 10));
    } else if (strncmp(line, "full ", 5) == 0) {
        atomic_store(&disk_full, line[5] == '1');
    } else if (strcmp(line, "drain") == 0) {
        *phase = DRAIN;
    } else if (strcmp(line, "end") == 0) {
        *phase = END;
    } else {
        (void)fprintf(stderr, "device %d: what is \"%s\"?\n", worker->device, line);
        exit(1);
    }
}

/* Waits for at most so long and takes what has been said. The end of stdin is an end, too: whoever
 * gave orders has gone. */
static void listen_for(struct worker *worker, int64_t ms, enum phase *phase)
{
    static char line[LINE_SIZE];
    static size_t length;
    int64_t until = now_ns() + ms * 1000000;
    for (int64_t left = ms; left >= 0 && *phase != END;
         left = (until - now_ns() + 999999) / 1000000) {
        struct pollfd wait = {.fd = STDIN_FILENO, .events = POLLIN};
        if (poll(&wait, 1, (int)left) <= 0) {
            break;
        }
        char byte;
        if (read(STDIN_FILENO, &byte, 1) != 1) {
            exit(2);
        }
        if (byte != '\n' && length + 1 < sizeof line) {
            line[length++] = byte;
            continue;
        }
        line[length] = '\0';
        length = 0;
        obey(worker, line, phase);
    }
}

/* ---- life */

static void run(struct worker *worker, int64_t gap_ms)
{
    enum phase phase = WORK;
    bool told = false;
    must(worker, daybook_start(worker->engine, SYNC_EVERY_MS), "start");
    event(worker, "start", "OK");
    while (phase == WORK) {
        int64_t start_ns = now_ns();
        transact(worker);
        look_around(worker);
        int64_t wanted_ms = gap_ms / 2 + (int64_t)worker_next(worker, (uint64_t)gap_ms + 1);
        int64_t left_ms = wanted_ms - (now_ns() - start_ns) / 1000000;
        listen_for(worker, left_ms > 0 ? left_ms : 0, &phase);
    }
    while (phase == DRAIN) {
        if (!told && is_at_rest(worker)) {
            event(worker, "rest", "OK");
            told = true;
        }
        if (!told) {
            look_around(worker);
        }
        listen_for(worker, told ? 20 : LOOK_EVERY_MS, &phase);
    }
    daybook_stop(worker->engine);
    must(worker, daybook_verify(worker->engine), "verify");
    must(worker, daybook_sync(worker->engine, 0, &worker->error), "sync");
    look_around(worker);
    event(worker, "end", "OK");
}

int main(int argc, char **argv)
{
    struct worker worker = {.error = DAYBOOK_ERROR_INIT};
    daybook_options options = DAYBOOK_OPTIONS_INIT;
    daybook_platform platform = *daybook_posix_platform();
    if (argc != 6 && argc != 9) {
        (void)fprintf(stderr, "history_worker STORE URL CA_FILE DEVICE ROLE FIRST SEED GAP_MS\n");
        return 1;
    }
    platform.wall_ms = wall_ms;
    watch_disk();
    options.platform = &platform;
    options.path = argv[1];
    options.server_url = argv[2];
    options.ca_file = argv[3];
    options.timeout_ms = EXCHANGE_MS;
    worker.device = argc == 9 ? (int)strtol(argv[4], NULL, 10) : 0;
    options.page_bytes = worker.device % 2 == 0 ? 0 : SMALL_PAGE;
    must(&worker, daybook_open(&options, &worker.engine, &worker.error), "open");
    if (argc == 6) {
        must(&worker, daybook_enrol(worker.engine, argv[5], "a history", &worker.error), "enrol");
        must(&worker, daybook_sync(worker.engine, 0, &worker.error), "sync");
    } else {
        worker.role = argv[5];
        worker.number = strtoll(argv[6], NULL, 10);
        worker.seed = strtoull(argv[7], NULL, 10) * 2654435761u + 1;
        run(&worker, strtoll(argv[8], NULL, 10));
    }
    daybook_close(&worker.engine);
    return 0;
}
