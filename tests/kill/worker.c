/* SPDX-License-Identifier: Apache-2.0
 *
 * A device as a process: worker STORE URL CA_FILE JOURNAL NAME SEED [COMMITS]
 *
 * Records one transaction after the other on an enrolled store while the sync thread runs, for
 * ever, until it is killed; with COMMITS it records so many, syncs to the end and exits 0. Each
 * transaction makes one visit whose feedback is a mark of its own, "NAME-number", beside whatever
 * else it does. The journal gets "A mark" before each commit and "C mark" after the commit was
 * acknowledged, so that whoever kills can count. Exit status 1 and a line on stderr: the engine
 * answered what it never should.
 */
#include <daybook/daybook.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct worker {
    daybook *engine;
    const char *name;
    int journal;
    int64_t number; /* of the next transaction */
    uint64_t seed;
    daybook_error error;
};

static uint64_t next(struct worker *worker, uint64_t below)
{
    worker->seed ^= worker->seed << 13;
    worker->seed ^= worker->seed >> 7;
    worker->seed ^= worker->seed << 17;
    return worker->seed % below;
}

/* Ends the process where the status is none that this program can meet. */
static void must(struct worker *worker, daybook_status status, const char *what)
{
    if (status != DAYBOOK_OK) {
        (void)fprintf(stderr, "worker %s: %s: %s: %s [%s.%s %s]\n", worker->name, what,
                      daybook_status_name(status), worker->error.text, worker->error.entity,
                      worker->error.field, worker->error.rule);
        exit(1);
    }
}

/* One line of the journal, in one write. */
static void note(struct worker *worker, char kind)
{
    char line[100];
    int length =
        snprintf(line, sizeof line, "%c %s-%" PRId64 "\n", kind, worker->name, worker->number);
    if (length < 0 || write(worker->journal, line, (size_t)length) != length) {
        (void)fprintf(stderr, "worker %s: the journal cannot be written\n", worker->name);
        exit(1);
    }
}

/* The number behind the last one in the journal. */
static int64_t first_number(const char *path)
{
    char line[200];
    int64_t number = 0;
    FILE *file = fopen(path, "rb");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *dash = strrchr(line, '-');
        number = line[0] == 'A' && dash != NULL ? strtoll(dash + 1, NULL, 10) : number;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return number + 1;
}

/* A record of the entity by chance, with the version that is shown; false where there is none. */
static bool pick(struct worker *worker, const char *entity, char id[DAYBOOK_ID_SIZE],
                 int64_t *version)
{
    char sql[200];
    daybook_query *query = NULL;
    bool row = false;
    (void)snprintf(
        sql, sizeof sql,
        "SELECT id, version FROM %s LIMIT 1 OFFSET ?1 %% max(1, (SELECT count(*) FROM %s))", entity,
        entity);
    must(worker, daybook_query_open(worker->engine, sql, &query, &worker->error), sql);
    must(worker, daybook_bind_int(query, 1, (int64_t)next(worker, 1000000)), "bind");
    must(worker, daybook_step(query, &row), "step");
    if (row) {
        (void)snprintf(id, DAYBOOK_ID_SIZE, "%s", daybook_column_text(query, 0));
        *version = daybook_column_int(query, 1);
    }
    daybook_query_close(&query);
    return row;
}

/* Between the look at a record and the commit the sync thread may have moved or removed it. */
static bool is_race(daybook_status status)
{
    return status == DAYBOOK_BAD_VERSION || status == DAYBOOK_NOT_FOUND || status == DAYBOOK_RULE;
}

/* A patch by chance of some entity's text and own key. */
static daybook_status patch(struct worker *worker, daybook_transaction *transaction,
                            const char *entity, const char *field)
{
    char id[DAYBOOK_ID_SIZE], json[200];
    int64_t version;
    if (!pick(worker, entity, id, &version)) {
        return DAYBOOK_OK;
    }
    (void)snprintf(json, sizeof json, "{\"%s\":\"%s %" PRId64 "\",\"custom\":{\"%s\":%" PRId64 "}}",
                   field, worker->name, worker->number, worker->name, worker->number);
    return daybook_patch_json(transaction, entity, id, version, json, &worker->error);
}

/* A quote with a line for a customer. */
static daybook_status quote(struct worker *worker, daybook_transaction *transaction,
                            const char *customer)
{
    char json[300], id[DAYBOOK_ID_SIZE], product[DAYBOOK_ID_SIZE];
    int64_t version;
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\",\"cur\":\"CNY\"}", customer);
    daybook_status status =
        daybook_put_json(transaction, "quote", NULL, DAYBOOK_NEW, json, id, &worker->error);
    if (status == DAYBOOK_OK && pick(worker, "product", product, &version)) {
        (void)snprintf(json, sizeof json,
                       "{\"quote_id\":\"%s\",\"product_id\":\"%s\",\"qty\":%d,\"price_e4\":123456}",
                       id, product, 1000 + (int)next(worker, 9) * 500);
        status = daybook_put_json(transaction, "quote_line", NULL, DAYBOOK_NEW, json, NULL,
                                  &worker->error);
    }
    return status;
}

/* A line for a quote by chance. */
static daybook_status line(struct worker *worker, daybook_transaction *transaction)
{
    char json[300], id[DAYBOOK_ID_SIZE], product[DAYBOOK_ID_SIZE];
    int64_t version;
    if (!pick(worker, "quote", id, &version) || !pick(worker, "product", product, &version)) {
        return DAYBOOK_OK;
    }
    (void)snprintf(json, sizeof json,
                   "{\"quote_id\":\"%s\",\"product_id\":\"%s\",\"qty\":1000,\"price_e4\":20000}",
                   id, product);
    return daybook_put_json(transaction, "quote_line", NULL, DAYBOOK_NEW, json, NULL,
                            &worker->error);
}

/* A delete by chance. */
static daybook_status delete_some(struct worker *worker, daybook_transaction *transaction,
                                  const char *entity)
{
    char id[DAYBOOK_ID_SIZE];
    int64_t version;
    if (!pick(worker, entity, id, &version)) {
        return DAYBOOK_OK;
    }
    return daybook_delete(transaction, entity, id, version);
}

/* Stages what the mark stands beside. */
static daybook_status stage(struct worker *worker, daybook_transaction *transaction,
                            const char *customer)
{
    switch (next(worker, 12)) {
    case 0:
    case 1:
    case 2: return patch(worker, transaction, "customer", "kind");
    case 3:
    case 4: return patch(worker, transaction, "quote", "note");
    case 5:
    case 6: return quote(worker, transaction, customer);
    case 7:
    case 8: return line(worker, transaction);
    case 9: return delete_some(worker, transaction, next(worker, 4) == 0 ? "quote" : "quote_line");
    case 10:
        return next(worker, 6) == 0 ? delete_some(worker, transaction, "customer") : DAYBOOK_OK;
    default: return DAYBOOK_OK;
    }
}

/* One transaction with its mark; true where it was acknowledged. */
static bool record(struct worker *worker)
{
    char customer[DAYBOOK_ID_SIZE], json[300];
    int64_t version;
    daybook_transaction *transaction = NULL;
    daybook_status status = DAYBOOK_OK;
    must(worker, daybook_begin(worker->engine, &transaction), "begin");
    if (next(worker, 10) == 0 || !pick(worker, "customer", customer, &version)) {
        (void)snprintf(json, sizeof json, "{\"name\":\"%s %" PRId64 "\"}", worker->name,
                       worker->number);
        must(worker,
             daybook_put_json(transaction, "customer", NULL, DAYBOOK_NEW, json, customer,
                              &worker->error),
             "put");
    }
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\",\"feedback\":\"%s-%" PRId64 "\"}",
                   customer, worker->name, worker->number);
    must(worker,
         daybook_put_json(transaction, "visit", NULL, DAYBOOK_NEW, json, NULL, &worker->error),
         "put");
    status = stage(worker, transaction, customer);
    if (status == DAYBOOK_OK) {
        note(worker, 'A');
        status = daybook_commit(transaction, &worker->error);
        if (status == DAYBOOK_OK) {
            note(worker, 'C');
        }
        worker->number++;
    }
    daybook_end(&transaction);
    if (!is_race(status)) {
        must(worker, status, "commit");
    }
    return status == DAYBOOK_OK;
}

/* Syncs until everything has its verdict and its place; 2 where there is no way to the server. */
static int finish(struct worker *worker)
{
    daybook_sync_status status = DAYBOOK_SYNC_STATUS_INIT;
    for (int i = 0; i < 3; i++) {
        if (daybook_sync(worker->engine, 0, &worker->error) != DAYBOOK_OK) {
            return 2;
        }
        must(worker, daybook_get_status(worker->engine, &status), "status");
        if (status.pending == 0 && status.unsettled == 0) {
            return 0;
        }
    }
    return 3;
}

int main(int argc, char **argv)
{
    struct worker worker = {.error = DAYBOOK_ERROR_INIT};
    daybook_options options = DAYBOOK_OPTIONS_INIT;
    if (argc < 7) {
        (void)fprintf(stderr, "worker STORE URL CA_FILE JOURNAL NAME SEED [COMMITS]\n");
        return 1;
    }
    options.path = argv[1];
    options.server_url = argv[2];
    options.ca_file = argv[3];
    worker.journal = open(argv[4], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    worker.number = first_number(argv[4]);
    worker.name = argv[5];
    worker.seed = strtoull(argv[6], NULL, 10) * 2654435761u + (uint64_t)worker.number + 1;
    int64_t commits = argc > 7 ? strtoll(argv[7], NULL, 10) : -1;
    must(&worker, daybook_open(&options, &worker.engine, &worker.error), "open");
    if (commits < 0) {
        must(&worker, daybook_start(worker.engine, 100), "start");
    }
    while (commits != 0) {
        commits -= record(&worker) && commits > 0 ? 1 : 0;
        if (commits < 0) {
            const struct timespec pause = {.tv_nsec = (long)next(&worker, 4000000)};
            (void)nanosleep(&pause, NULL);
        }
    }
    int result = finish(&worker);
    daybook_close(&worker.engine);
    (void)close(worker.journal);
    return result;
}
