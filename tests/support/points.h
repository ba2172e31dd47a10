/* SPDX-License-Identifier: Apache-2.0
 *
 * Plays flows again and again, and each time another operation on the disk goes wrong, in another
 * way. Each play is a process of its own, a copy of the one that has prepared the scene, so that
 * nothing stays of it and one that crashes or hangs is told of like any other.
 *
 *   DAYBOOK_VFS_PLAYS=n     at so many points of each flow and fault; 0: at all; 1
 *   DAYBOOK_VFS_FLOW=name   this flow only
 *   DAYBOOK_VFS_FAULT=name  this fault only
 *   DAYBOOK_VFS_POINT=n     this point only
 *   DAYBOOK_SIM_TRACE=1     tells what each call gives
 */
#ifndef DAYBOOK_TESTS_SUPPORT_POINTS_H
#define DAYBOOK_TESTS_SUPPORT_POINTS_H

#include "tests/support/scene.h"

/* The faults: those of the first lines lose power at an operation that changes a file, the others
 * make an operation fail. */
#define POINTS_FAULTS(X)                                                                           \
    X(LOST, "lost", "power lost, with all that was not synced")                                    \
    X(SOME, "some", "power lost, with a chance part of it")                                        \
    X(DIED, "died", "process gone, all that was written is there")                                 \
    X(TORN, "torn", "process gone in a write, of which the first part is there")                   \
    X(TWICE, "twice", "power lost, and again in the recovery")                                     \
    X(UNREADABLE, "unreadable", "power lost, and the recovery meets an error")                     \
    X(ERROR, "error", "an operation fails")                                                        \
    X(ERRORS, "errors", "it and all after it fail")                                                \
    X(SHORT, "short", "a read is short")                                                           \
    X(SHORTS, "shorts", "it and all after it are short")                                           \
    X(FULL, "full", "a write finds no room")                                                       \
    X(FULLS, "fulls", "it and all after it find none")

enum points_fault {
#define POINTS_FAULT_ENUM(name, word, text) POINTS_##name,
    POINTS_FAULTS(POINTS_FAULT_ENUM)
#undef POINTS_FAULT_ENUM
        POINTS_FAULT_COUNT
};

/* Plays the flows, up to one without a name; `program` is named in the line that plays a failure
 * again. The test fails where a play does, behind all plays. */
void points_play(const struct flow *flows, const char *program);

#endif
