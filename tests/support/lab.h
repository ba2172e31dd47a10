/* SPDX-License-Identifier: Apache-2.0
 *
 * A laboratory for random tests: the server's real inner half and several real engines in one
 * process, on real files. The engines' transport is a function call into the server, so the
 * network is the test's: it loses, doubles, delays, cuts and damages what it likes. Time is the
 * test's too, the server's and each device's. One call runs at a time, so a seed gives one run.
 *
 * Whatever should not happen ends the test and says which step it was.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_LAB_H
#define DAYBOOK_TESTS_SUPPORT_LAB_H

#include "engine/base/buffer.h"
#include "engine/base/frame.h"

#include <daybook/daybook.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAB_DEVICES 12
#define LAB_USERS 5
#define LAB_CUSTOMERS 200
#define LAB_READERS (LAB_DEVICES + 1)
#define LAB_QUERIES 256 /* that stay prepared, of a database */
#define LAB_START_MS INT64_C(1795000000000)

/* What the laboratory does to a device or to the server; each is counted. */
#define LAB_FAULTS(X)                                                                              \
    X(UNSENT, "request lost")                                                                      \
    X(LOST, "reply lost after the commit")                                                         \
    X(DOUBLED, "request doubled")                                                                  \
    X(LATE, "old request came late")                                                               \
    X(CUT, "reply truncated")                                                                      \
    X(FLIPPED, "reply damaged")                                                                    \
    X(BUSY, "server busy")                                                                         \
    X(PORTAL, "captive portal")                                                                    \
    X(STRAYED, "another organisation's server answered")                                           \
    X(BUDGET, "budget used up")                                                                    \
    X(BETWEEN, "work during an exchange")                                                          \
    X(REOPENED, "engine reopened")                                                                 \
    X(RESTARTED, "server restarted")                                                               \
    X(RESTORED, "file restored")                                                                   \
    X(CLONED, "file cloned")                                                                       \
    X(DIVERGED, "new instance")                                                                    \
    X(CLOCK, "clock jumped")                                                                       \
    X(SCOPE, "scope changed")                                                                      \
    X(MOVED, "customer moved")                                                                     \
    X(REJECTED, "changeset rejected")                                                              \
    X(SUPERSEDED, "value superseded")                                                              \
    X(BACKUP, "backup made")                                                                       \
    X(RECOVERED, "server restored")                                                                \
    X(COMPACTED, "log cut")                                                                        \
    X(CLASSED, "documents classified")                                                             \
    X(FETCHED, "document fetched")                                                                 \
    X(JOINED, "customers merged")                                                                  \
    X(ROLE, "role changed")                                                                        \
    X(DISABLED, "user disabled")                                                                   \
    X(RELEASED, "quarantine released")                                                             \
    X(TURNED_DOWN, "quarantine turned down")                                                       \
    X(CLEARED, "hold cleared")                                                                     \
    X(CRASHED, "device crashed")                                                                   \
    X(FELL, "server crashed")                                                                      \
    X(PARTED, "request in a partition")                                                            \
    X(HALF_PARTED, "reply in a one-way partition")                                                 \
    X(FULL, "disk of a device full")                                                               \
    X(DISK, "disk of a device failed")                                                             \
    X(SERVER_FULL, "disk of the server full")                                                      \
    X(SERVER_DISK, "disk of the server failed")                                                    \
    X(LEAPT, "days passed")                                                                        \
    X(KEPT, "value kept")                                                                          \
    X(UPDATED, "device updated")                                                                   \
    X(SERVER_UPDATED, "server updated")

enum lab_fault {
#define LAB_FAULT_ENUM(name, text) LAB_##name,
    LAB_FAULTS(LAB_FAULT_ENUM)
#undef LAB_FAULT_ENUM
        LAB_FAULT_COUNT
};

struct lab;

struct lab_user {
    const char *login;
    char role[20]; /* as app_user.user_role */
    int territory; /* place in lab_territories; -1: none */
    int manager;   /* place in lab->users; -1: none */
    bool disabled;
};

struct power;
struct release;

struct lab_device {
    struct lab *lab;
    const struct release *release; /* that is installed; its engine */
    int number;                    /* place in lab->devices */
    int user;
    bool hired, enrolled;
    bool strayed; /* another organisation's server has answered in this call */
    char path[300];
    struct power *disk;
    int64_t syncs; /* of the disk, until it last lost power */
    daybook_options options;
    daybook_platform platform;
    daybook *engine;
    daybook_error error;
    int64_t ahead_ms; /* of the device's wall clock; may be negative */
    int64_t steady_ms;
    uint64_t boot;
    uint64_t random;
    int parted_until;    /* the step of the day from which on it reaches the server again */
    bool parted_one_way; /* what it sends arrives, and no reply comes back */
    char *saved;         /* the file as it was */
    size_t saved_size;
    struct { /* a request that may come late */
        char path[32], token[64];
        char *body;
        size_t size;
    } late;
    char *reply; /* the transport's */
    int depth;   /* exchanges under way */
};

/* A customer: its number is in its name and in what hangs from it. */
struct lab_customer {
    char id[DAYBOOK_ID_SIZE];
    int territory; /* -1: not on the server; where compaction took it away, that where it was */
    int into;      /* the customer that it was merged into; -1: none */
    int kin;       /* the same for all that ever were one, also where a restore has parted them */
};

/* A read-only connection to a database of a device or the server, and what was asked of it. */
struct lab_reader {
    char path[320];
    struct sqlite3 *database; /* NULL: not open now */
    struct sqlite3_stmt *asked[LAB_QUERIES];
};

struct lab {
    uint64_t seed, random;
    uint64_t hash; /* of all that was traced */
    char folder[256];
    char data[300], database[320];
    const struct release *release; /* of the server */
    const struct release *newer;   /* what it and devices can be updated to; NULL: nothing */
    struct service *service;
    struct service
        *other;         /* of another organisation, with users of the same names; NULL: not yet */
    struct power *disk; /* the server's */
    int64_t page_bytes, cache_mib;
    char backup[300]; /* the last one's folder; "": none */
    int backups;
    unsigned covered;     /* bits by device: enrolled when it was made */
    int steps;            /* of the day until now */
    bool faults;          /* the network misbehaves */
    bool bad_server_disk; /* just now */
    bool bare;            /* replies are not searched, and a server that lost power stays down */
    char again[200];      /* how to run this again; "": the test says so itself */
    struct lab_user users[LAB_USERS];
    struct lab_device devices[LAB_DEVICES];
    int device_count;
    struct lab_reader readers[LAB_READERS];
    struct lab_customer customers[LAB_CUSTOMERS];
    int customer_count;
    struct frame_codec *codec;
    struct buffer text;
    int64_t *counts;  /* LAB_FAULT_COUNT of them, over all seeds */
    char errors[400]; /* the first error that server or engine logged */
    bool trace;
    /* Called in the middle of an exchange with its context, before the server has the request or
     * behind it. */
    void (*between)(void *context, struct lab_device *device);
    void *context;
};

/* Given by the test program, since they replace the system's in all of it (lab_system.h): the true
 * time in milliseconds, which the server has, 0 while no laboratory is open; and where the server's
 * random numbers begin. */
int64_t lab_now_ms(void);
void lab_set_now_ms(int64_t now_ms);
void lab_set_chance(uint64_t seed);
/* Where SQLite's begin, which makes epochs. */
void lab_seed_sqlite(uint64_t seed);
/* The next number of a generator whose state is not 0. */
uint64_t lab_next(uint64_t *state);

/* A server with an organisation, three territories, five users and a small catalogue. */
void lab_open(struct lab *lab, uint64_t seed, int64_t *counts);
void lab_close(struct lab *lab);

/* 0 to bound - 1. */
int lab_random(struct lab *lab, int bound);
bool lab_chance(struct lab *lab, int percent);
void lab_trace(struct lab *lab, const char *format, ...) __attribute__((format(printf, 2, 3)));
void lab_fail(struct lab *lab, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* A new device of a user: open, not enrolled. NULL: there are enough. */
struct lab_device *lab_hire(struct lab *lab, int user);
void lab_enrol(struct lab_device *device);
daybook_status lab_sync(struct lab_device *device, int64_t budget_ms);
/* The same without a budget, when nothing may be in its way. */
void lab_must_sync(struct lab_device *device);
void lab_reopen(struct lab_device *device);
/* The device loses power at one of its next operations on the disk: what was not synced is gone, or
 * by chance some of it. lab_rises then opens it again, once it has; else it is safe from now on. */
void lab_threaten(struct lab_device *device);
bool lab_has_fallen(const struct lab_device *device);
bool lab_rises(struct lab_device *device);
/* The device, or with all of them the server, is cut off for some steps, in both directions or in
 * one. */
void lab_part(struct lab_device *device);
void lab_part_all(struct lab *lab);
/* Until lab_mend_disk the device's disk is full, or one of its next operations fails, alone or with
 * all behind it: calls may say so, and have done nothing then. */
void lab_spoil_disk(struct lab_device *device);
void lab_mend_disk(struct lab_device *device);
/* Whether a call that uses a bad network may end so. */
bool lab_may_end(const struct lab_device *device, daybook_status status);
/* Whether a call may end so, because the device's disk has failed, or had no room, since then. */
bool lab_is_disk_trouble(const struct lab_device *device, daybook_status status);
void lab_restart(struct lab *lab);
/* The server stops, and nobody has its file open; lab_restart starts it again. */
void lab_stop(struct lab *lab);
daybook_status lab_try_server(struct lab *lab, char *problem, size_t problem_size);
/* The server stops, and its disk stays as it is. */
void lab_end(struct lab *lab);
/* The engine opens, which may fail; it closes, and its disk has power again. */
daybook_status lab_try_open(struct lab_device *device);
void lab_let_go(struct lab_device *device);
/* All engines and the server close, so that the files are all that there is; and open again. */
void lab_rest(struct lab *lab);
void lab_wake(struct lab *lab);
/* The device, or the server, gets the newer release; it may lose power while it opens its file with
 * that, and the server may be stopped before all its records are converted. */
void lab_update(struct lab_device *device);
void lab_update_server(struct lab *lab);
/* Keeps a copy of the device's file; puts it back; makes another device out of the present file. */
void lab_save(struct lab_device *device);
void lab_restore(struct lab_device *device);
struct lab_device *lab_clone(struct lab_device *device);
/* Runs a command of the server; `out` gets what it says. */
daybook_status lab_command(struct lab *lab, char *out, size_t size, int argc,
                           const char *const *argv);
/* Imports lines on the server; OK or RULE. */
daybook_status lab_import(struct lab *lab, const char *lines);
/* A backup, which takes the place of the one before; the server is restored from it. False: there
 * is none that would do. */
void lab_backup(struct lab *lab);
bool lab_recover(struct lab *lab);
/* Looks where customers and users are now. */
void lab_look(struct lab *lab);
/* The customer with this id, -1: none; and the one that it is by now. */
int lab_find_customer(const struct lab *lab, const char *id);
int lab_root(const struct lab *lab, int customer);
/* The territories that a user sees, as bits; and whether the user may be sent what has the
 * customer's number: that customer's, or of one that it is the same as. */
unsigned lab_scope(const struct lab *lab, int user);
bool lab_may_see(const struct lab *lab, int user, int customer);

/* The store's invariants, and those that SQL over the views can see. */
void lab_check(struct lab_device *device);
/* The server has decided all that the device has, and the device knows. */
void lab_check_rest(struct lab_device *device);
/* The device's store is the server's, restricted to the scope of its user. */
void lab_compare(struct lab_device *device);
/* Begins a step: what is drawn in it depends on its number alone, not on the steps before it. */
void lab_begin_step(struct lab *lab, int step);

/* What must hold of the server at any time. */
void lab_check_server(struct lab *lab);

/* A query over the database in this file, to be stepped through and then reset: it stays prepared,
 * which costs more than most queries take. */
struct sqlite3_stmt *lab_query(struct lab *lab, const char *path, const char *sql);
/* The first column of the first row, "" for none. Valid until the next call. */
const char *lab_device_text(struct lab_device *device, const char *sql);
const char *lab_server_text(struct lab *lab, const char *sql);

extern const char *const lab_territories[3];

#endif
