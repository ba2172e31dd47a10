/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's answers to one changeset, and why it refuses: two lists, used by both ends, by
 * documentation and tests.
 */
#ifndef DAYBOOK_PROTOCOL_VERDICT_H
#define DAYBOOK_PROTOCOL_VERDICT_H

#include "engine/base/id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum verdict_kind {
    VERDICT_NONE,
    VERDICT_ACCEPTED,
    VERDICT_MERGED,
    VERDICT_REJECTED,
    VERDICT_QUARANTINED
};

/* X(NAME, text for developers): codes of REJECTED and QUARANTINED */
#define REJECT_CODE_LIST(X)                                                                        \
    X(NONE, "no refusal")                                                                          \
    X(SCHEMA, "unknown entity or field, or a value that does not fit the field")                   \
    X(REQUIRED, "a required field has no value")                                                   \
    X(READONLY, "the field or entity belongs to the server")                                       \
    X(IMMUTABLE, "the field is set at creation and never again")                                   \
    X(POLICY, "the field's policy knows no such change")                                           \
    X(REF_MISSING, "a record that this change names does not exist, or is out of scope")           \
    X(EXISTS, "a record with this id exists already")                                              \
    X(DEPENDS, "the changeset builds on one that was rejected")                                    \
    X(SCOPE, "the record would not be visible to its maker")                                       \
    X(AUTH, "the user may not do this")                                                            \
    X(TRANSITION, "the state machine has no such step")                                            \
    X(RULE, "a domain rule forbids this")                                                          \
    X(LIMIT, "too many lines, keys or elements")                                                   \
    X(INTERNAL, "the server failed on this changeset; an operator has been told")

enum reject_code {
#define REJECT_CODE_ENUM(name, text) REJECT_##name,
    REJECT_CODE_LIST(REJECT_CODE_ENUM)
#undef REJECT_CODE_ENUM
        REJECT_COUNT
};

/* X(member, name on the wire): what may be true of a verdict beside its kind
 *   duplicate      decided before; this is the stored answer
 *   clock_suspect  its stamp was clamped
 *   remapped       ACCEPTED, MERGED: something went to the record that another had become
 */
#define VERDICT_FLAG_LIST(X)                                                                       \
    X(duplicate, "duplicate")                                                                      \
    X(clock_suspect, "clock")                                                                      \
    X(remapped, "remapped")

struct verdict {
    int64_t seq;
    enum verdict_kind kind;
#define VERDICT_FLAG(member, name) bool member;
    VERDICT_FLAG_LIST(VERDICT_FLAG)
#undef VERDICT_FLAG
    int64_t position; /* ACCEPTED, MERGED */
    enum reject_code code;
    char field[64];   /* name, or "" */
    char rule[32];    /* short stable word, or "" */
    char entity[64];  /* of the record refused, moved or remapped, or "" */
    struct id record; /* of the record refused, moved or remapped, or zero */
    int64_t moved_ms; /* ACCEPTED, MERGED: the record has been others' since, 0: none has moved */
    struct id cause;  /* DEPENDS: the changeset rejected first */
};

const char *dk_verdict_name(enum verdict_kind kind); /* "accepted" … */
enum verdict_kind dk_verdict_by_name(const char *name, size_t length);
const char *dk_reject_name(enum reject_code code);                   /* "SCHEMA" … */
enum reject_code dk_reject_by_name(const char *name, size_t length); /* unknown: REJECT_INTERNAL */
const char *dk_reject_text(enum reject_code code);

#endif
