/* SPDX-License-Identifier: Apache-2.0
 *
 * A release of the program, engine and server of one tree, by its functions. A laboratory calls
 * each of its devices and its server through the release that it has, so that releases with
 * different schemas can meet in one process: a tree linked in, another one as a module.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_RELEASE_H
#define DAYBOOK_TESTS_SUPPORT_RELEASE_H

#include "engine/store/store.h"
#include "sync-server/backup.h"
#include "sync-server/service.h"

#include <daybook/daybook.h>

#define RELEASE_ENGINE(X)                                                                          \
    X(open)                                                                                        \
    X(close)                                                                                       \
    X(enrol)                                                                                       \
    X(sync)                                                                                        \
    X(verify)                                                                                      \
    X(fetch)                                                                                       \
    X(get_status)                                                                                  \
    X(begin)                                                                                       \
    X(commit)                                                                                      \
    X(end)                                                                                         \
    X(read)                                                                                        \
    X(put)                                                                                         \
    X(patch)                                                                                       \
    X(patch_json)                                                                                  \
    X(delete)                                                                                      \
    X(get_int)                                                                                     \
    X(get_text)                                                                                    \
    X(set_add)                                                                                     \
    X(set_remove)                                                                                  \
    X(record_id)                                                                                   \
    X(record_version)                                                                              \
    X(clear_hold)                                                                                  \
    X(inbox_keep_mine)                                                                             \
    X(inbox_use_theirs)                                                                            \
    X(inbox_discard)                                                                               \
    X(inbox_reopen)
#define RELEASE_SERVER(X)                                                                          \
    X(service_open)                                                                                \
    X(service_judge)                                                                               \
    X(service_learn)                                                                               \
    X(service_convert)                                                                             \
    X(service_close)                                                                               \
    X(service_submit)                                                                              \
    X(service_rest)                                                                                \
    X(service_command)                                                                             \
    X(restore)

struct release {
    int schema;
#define RELEASE_CALL(name) __typeof__(daybook_##name) *name;
    RELEASE_ENGINE(RELEASE_CALL)
#undef RELEASE_CALL
#define RELEASE_CALL(name) __typeof__(srv_##name) *name;
    RELEASE_SERVER(RELEASE_CALL)
#undef RELEASE_CALL
    /* The engine's store, as dk_store_state and dk_store_check. */
    void (*state)(daybook *engine, struct store_state *state);
    bool (*check)(daybook *engine, char *problem, size_t size);
    /* The states that a record of this entity may be brought to from one, in one step that is no
     * request; from "": the first; `role` NULL: by anybody. Names of this release; returns how
     * many, at most `most`. */
    int (*steps)(const char *entity, const char *from, const char *role, const char **to, int most);
};

/* Of the tree that this is compiled in. A module exports it. */
extern const struct release daybook_release;

#endif
