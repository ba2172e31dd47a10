/* SPDX-License-Identifier: Apache-2.0
 *
 * What the device process of the history tests is made of: worker.c runs it, act.c makes up its
 * transactions. A value that a transaction writes is its mark, "DEVICE-NUMBER", which nobody else
 * ever writes; so each value that is read names the transaction that wrote it.
 */
#ifndef DAYBOOK_TESTS_HISTORY_WORKER_H
#define DAYBOOK_TESTS_HISTORY_WORKER_H

#include <daybook/daybook.h>

#include <stdint.h>

#define MARK_SIZE 16      /* as long as a unit of measure may be */
#define ACTIONS_SIZE 6000 /* what one transaction did, as JSON */

struct worker {
    daybook *engine;
    int device;
    const char *role;
    int64_t number; /* of the next transaction */
    uint64_t seed;
    char mark[MARK_SIZE];        /* of this transaction */
    char visit[DAYBOOK_ID_SIZE]; /* the last one that was committed, "" for none */
    char acts[ACTIONS_SIZE];     /* what is staged: JSON objects with commas between */
    daybook_error error;
};

/* A number below `below`, by the process's seed. */
uint64_t worker_next(struct worker *worker, uint64_t below);

/* Stages one transaction by chance and says in worker->acts what it is; its visit's id goes to
 * `visit`. */
daybook_status act(struct worker *worker, daybook_transaction *transaction,
                   char visit[DAYBOOK_ID_SIZE]);

#endif
