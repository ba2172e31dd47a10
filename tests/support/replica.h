/* SPDX-License-Identifier: Apache-2.0
 *
 * Compares a device's store with the server's, restricted to what the device's user may read:
 * entity by entity, row by row and column by column, through the documented views of both SQLite
 * files, which are opened read-only. It knows nothing of the engine but the names of the entities.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_REPLICA_H
#define DAYBOOK_TESTS_SUPPORT_REPLICA_H

#include "tests/support/device.h"
#include "tests/support/server.h"

#include <stdbool.h>
#include <stdint.h>

/* Whose replica it is: what the role of the user may read is worked out again from these. */
struct replica {
    const char *store;  /* the device's file */
    const char *server; /* the server's file */
    const char *login;  /* the device's user */
    bool leaves_recent; /* the device does without recent documents */
    bool shared;        /* the files are of different schemas: what both know is compared */
};

/* The number of rows that were compared, or -1 after the first difference, which is printed. Also a
 * difference: a record that is not settled, a wrong set of buckets, a position that is not the
 * head, nothing to compare. */
int64_t replica_compare(const struct replica *replica);
/* The same with the device's file read through this VFS. */
int64_t replica_compare_through(const struct replica *replica, const char *vfs);
/* Compares an open or closed device whose user is `login`; the test fails at a difference, and
 * where an open one has found its sums to differ since it was opened. */
#define replica_assert_equal(device, server, login)                                                \
    replica_check((device), (server), (login), __FILE__, __LINE__)
void replica_check(struct device *device, struct server *server, const char *login,
                   const char *file, int line);
/* The server's own invariants: positions are dense from 1 to the head, each changeset has at most
 * one entry, no record has a version above the head. The test fails where one is broken. */
void replica_check_server(struct server *server);

#endif
