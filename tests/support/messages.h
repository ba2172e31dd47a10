/* SPDX-License-Identifier: Apache-2.0
 *
 * Every message of PROTOCOL.md, for tests that do the same with all of them.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_MESSAGES_H
#define DAYBOOK_TESTS_SUPPORT_MESSAGES_H

#include "engine/protocol/message.h"

#define MESSAGES(X)                                                                                \
    X(sync_request)                                                                                \
    X(sync_reply)                                                                                  \
    X(enrol_request)                                                                               \
    X(enrol_reply)                                                                                 \
    X(lease_request)                                                                               \
    X(lease_reply)                                                                                 \
    X(fetch_request)                                                                               \
    X(fetch_reply)                                                                                 \
    X(error_reply)

union any_message {
#define MESSAGE_MEMBER(name) struct name name;
    MESSAGES(MESSAGE_MEMBER)
#undef MESSAGE_MEMBER
};

/* For the initialiser of an array of all tables: MESSAGES(MESSAGE_TABLE). */
#define MESSAGE_TABLE(name) &dk_##name##_table,

#endif
