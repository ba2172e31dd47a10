/* SPDX-License-Identifier: Apache-2.0
 *
 * What the people of a laboratory do on their devices: random transactions through the public API,
 * each value with a number that the ledger knows; and what the office imports on the server.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_PEOPLE_H
#define DAYBOOK_TESTS_SUPPORT_PEOPLE_H

#include "tests/support/ledger.h"

#define PEOPLE_FORMS 5
#define PEOPLE_COMMITS_MAX 20000
#define PEOPLE_WAITING_MAX 1000                           /* changesets in quarantine */
#define PEOPLE_TEA "0193f000-0000-7000-8000-000000000001" /* products of the catalogue */
#define PEOPLE_RICE "0193f000-0000-7000-8000-000000000002"

/* A record as somebody looked at it. */
struct form {
    int kind; /* -1: no form */
    char id[DAYBOOK_ID_SIZE];
    int64_t version;
    uint64_t epoch; /* of the version */
    int customer;   /* its number; -1: none */
    char state[20]; /* of a document with a state machine */
    int shown[LEDGER_FEATURES];
};

/* A commit on a device that may be lost with its power. */
struct commit {
    int device;
    int64_t from, to;   /* orders of the ledger */
    char changeset[33]; /* hex digits */
    bool in_doubt;      /* the power had failed */
    int64_t syncs;      /* of the device's disk until then */
};

struct people {
    struct lab *lab;
    struct ledger ledger;
    struct commit *commits;
    int commit_count;
    int64_t noted;                                /* the order of the last one */
    struct form forms[LAB_DEVICES][PEOPLE_FORMS]; /* open for long */
    int64_t saved_order[LAB_DEVICES];             /* when the device's file was copied */
    int64_t backup_order;                         /* when the server's was */
    int64_t committed, refused;                   /* transactions */
};

void people_open(struct people *people, struct lab *lab);
void people_close(struct people *people);

/* One transaction of one to three acts, which the engine may refuse. */
void people_act(struct people *people, struct lab_device *device);
/* Does something about an inbox item, if there is one. */
void people_read_inbox(struct people *people, struct lab_device *device);
/* Clears a hold, where the device's user may. */
void people_clear_hold(struct people *people, struct lab_device *device);
/* Fetches a document that the server has, which the device may hold or not, or may not even see. */
void people_fetch(struct people *people, struct lab_device *device);
/* Changes on the server: catalogue, customers, who has which territory and role. */
void people_office(struct people *people);
/* Work of the server's operator: disabled users and what waits because of them, the classes of
 * documents, the log's retention, backups and a restore. */
void people_operate(struct people *people);
/* Nobody is disabled any more, and nothing waits: what goes on waiting for each other, of two
 * copies of a device, is turned down in the end. */
void people_calm(struct people *people);
/* The test fails where an engine answers what it never should. */
void people_check_status(struct lab_device *device, daybook_status status, const char *what);
/* What is open on the device is closed, because its file is another. */
void people_forget(struct people *people, const struct lab_device *device);
/* The device has lost power. What it had said was committed must be there, but for commits after
 * the power failed or, where its commits are relaxed, not synced: those may be gone. */
void people_lose_power(struct people *people, struct lab_device *device);

#endif
