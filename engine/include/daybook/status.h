/* SPDX-License-Identifier: Apache-2.0
 *
 * Every result code of Daybook, once: its name, number, retry class and one English sentence for
 * developers. The numbers are part of the ABI and never change; new codes get new numbers. The
 * engine returns codes and arguments, never sentences for end users: an app words them in its own
 * language.
 */
#ifndef DAYBOOK_STATUS_H
#define DAYBOOK_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

/* Marks what the shared library exports; its export list is made of these declarations. */
#if defined(_WIN32)
#define DAYBOOK_API
#else
#define DAYBOOK_API __attribute__((visibility("default")))
#endif

/* What a caller should do about a result. */
enum daybook_class {
    DAYBOOK_CLASS_OK = 0,
    DAYBOOK_CLASS_CALLER = 1,  /* the call is wrong; the same call will fail again */
    DAYBOOK_CLASS_OFFLINE = 2, /* no way to the server now; work goes on, the engine retries */
    DAYBOOK_CLASS_RETRY = 3,   /* passing fault; the engine retries with backoff */
    DAYBOOK_CLASS_SIGN_IN = 4, /* the device must be enrolled (again) */
    DAYBOOK_CLASS_UPGRADE = 5, /* this engine or this server is too old */
    DAYBOOK_CLASS_FULL = 6,    /* disk, memory or a limit is used up; free some and call again */
    DAYBOOK_CLASS_BROKEN = 7   /* store or program is damaged; keep the file and ask for help */
};

/* X(NAME, number, class, text) */
#define DAYBOOK_STATUS_LIST(X)                                                                     \
    X(OK, 0, OK, "no error")                                                                       \
    X(MISUSE, 1, CALLER, "the function was called in a wrong state or with a null argument")       \
    X(INVALID, 2, CALLER, "an argument or option has an invalid value")                            \
    X(UNKNOWN_ENTITY, 3, CALLER, "there is no entity of this name")                                \
    X(UNKNOWN_FIELD, 4, CALLER, "the entity has no field of this name")                            \
    X(WRONG_TYPE, 5, CALLER, "the value has another type than the field")                          \
    X(OUT_OF_RANGE, 6, CALLER, "the number is outside of the field's range")                       \
    X(TOO_LONG, 7, CALLER, "the text is longer than the field allows")                             \
    X(NOT_UTF8, 8, CALLER, "the text is not valid UTF-8 or contains NUL")                          \
    X(REQUIRED, 9, CALLER, "a required field has no value")                                        \
    X(READONLY, 10, CALLER, "the field or entity may not be written by this device")               \
    X(NOT_FOUND, 11, CALLER, "there is no such record")                                            \
    X(EXISTS, 12, CALLER, "a record with this id exists already")                                  \
    X(BAD_VERSION, 13, CALLER, "the version named is not one that this record has had here")       \
    X(RULE, 14, CALLER, "a domain rule forbids this; see the error's rule")                        \
    X(TOO_LARGE, 15, CALLER, "the transaction or value exceeds a limit")                           \
    X(BAD_JSON, 16, CALLER, "the text is not the strict JSON that is expected here")               \
    X(BAD_SQL, 17, CALLER, "the query is not valid or does more than read the documented views")   \
    X(BUSY, 18, CALLER, "the store is open elsewhere, or the operation is running already")        \
    X(OFFLINE, 30, OFFLINE, "the server cannot be reached")                                        \
    X(TIMEOUT, 31, OFFLINE, "the server did not answer in time")                                   \
    X(NOT_DAYBOOK, 32, OFFLINE, "something else than a Daybook server answered")                   \
    X(SERVER_BUSY, 40, RETRY, "the server asks to come back later")                                \
    X(SERVER_ERROR, 41, RETRY, "the server failed on the request")                                 \
    X(BAD_REPLY, 42, RETRY, "the server's answer is damaged or breaks the protocol")               \
    X(INTERRUPTED, 43, RETRY, "the operation was stopped or its time budget is used up")           \
    X(DIVERGED, 44, RETRY, "this store is a copy of another one; it takes a new instance number")  \
    X(SIGN_IN, 50, SIGN_IN, "the device is not enrolled or its token is not accepted")             \
    X(UNTRUSTED, 51, SIGN_IN, "the server's certificate, host name or pin is not trusted")         \
    X(BAD_CODE, 52, SIGN_IN, "the enrolment code is unknown, used or expired")                     \
    X(UPGRADE_NEEDED, 60, UPGRADE, "this engine is too old for the server, or the server for it")  \
    X(NEWER_STORE, 61, UPGRADE, "the store was written by a newer engine")                         \
    X(DISK_FULL, 70, FULL, "the disk is full; nothing of this call was written")                   \
    X(NO_MEMORY, 71, FULL, "memory is used up; nothing of this call was written")                  \
    X(NOT_A_STORE, 80, BROKEN, "the file is not a Daybook store")                                  \
    X(CORRUPT, 81, BROKEN, "the store is damaged")                                                 \
    X(CANNOT_OPEN, 82, BROKEN, "the store's file or folder cannot be opened or written")           \
    X(IO, 83, BROKEN, "the disk reported an error")                                                \
    X(INTERNAL, 84, BROKEN, "a defect in Daybook; please report it")

/* What a function answers; 0 is success. */
typedef enum daybook_status {
#define DAYBOOK_STATUS_ENUM(name, number, class_, text) DAYBOOK_##name = number,
    DAYBOOK_STATUS_LIST(DAYBOOK_STATUS_ENUM)
#undef DAYBOOK_STATUS_ENUM
} daybook_status;

#ifdef __cplusplus
}
#endif
#endif
