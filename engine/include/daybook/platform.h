/* SPDX-License-Identifier: Apache-2.0
 *
 * All that a platform must supply: one struct of hooks. Porting Daybook is filling it. Every hook
 * gets `context` first. A hook that is NULL where "required" is said makes daybook_open fail with
 * DAYBOOK_INVALID. Defaults for POSIX with libcurl and OpenSSL come from daybook_posix_platform()
 * in <daybook/posix.h>.
 */
#ifndef DAYBOOK_PLATFORM_H
#define DAYBOOK_PLATFORM_H

#include <daybook/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One HTTPS request. All pointers are borrowed for the duration of the call. */
struct daybook_request {
    size_t size;        /* sizeof(struct daybook_request) */
    const char *method; /* "GET" or "POST" */
    const char *url;    /* https://host[:port]/path */
    const char *token;  /* sent as "Authorization: Bearer <token>"; NULL: none */
    /* NULL-terminated "sha256//<base64>" public key pins, one of which must be in the chain; NULL:
     * none */
    const char *const *pins;
    /* PEM file with the CAs to trust instead of the system's; NULL: the system's */
    const char *ca_file;
    /* NULL with body_size 0: none. Content-Type is application/vnd.daybook+zstd */
    const void *body;
    size_t body_size;   /* bytes */
    size_t reply_max;   /* bytes; a larger reply is an error (DAYBOOK_BAD_REPLY) */
    int64_t timeout_ms; /* for the whole exchange */
};

/* The answer. `body` is the transport's, valid until the next exchange with the same connection, or
 * its close. */
struct daybook_reply {
    size_t size;              /* sizeof(struct daybook_reply), set by the engine */
    int http_status;          /* 100 to 599 */
    const char *content_type; /* NULL: none; borrowed like body */
    int64_t retry_after_ms;   /* of the Retry-After header; -1: none */
    char *body;               /* the engine may write to it (it reads in place) */
    size_t body_size;         /* bytes */
};

/* The hooks. Any thread may call them, at the same time too, but for what is said about
 * connections, and while the engine holds locks: a hook must not call the engine. */
typedef struct daybook_platform {
    size_t size;   /* sizeof(struct daybook_platform) */
    void *context; /* given to every hook */

    /* Milliseconds since 1970-01-01 UTC by the wall clock. Required. */
    int64_t (*wall_ms)(void *context);
    /* Milliseconds of a clock that only goes forward and counts sleep; any start. Required. */
    int64_t (*steady_ms)(void *context);
    /* A number that differs between boots of the machine; 0: not known. Required. */
    uint64_t (*boot_id)(void *context);
    /* Fills with cryptographically strong bytes; false on failure. Required. */
    bool (*random)(void *context, void *bytes, size_t length);

    /* Makes a connection, which is used by one thread at a time and may keep sockets open between
     * exchanges; NULL when out of memory. Required. */
    void *(*transport_open)(void *context);
    /* Sends the request and takes the answer. DAYBOOK_OK with any complete HTTP answer (redirects
     * are not followed); DAYBOOK_OFFLINE (no route, refused, reset, cut in the middle),
     * DAYBOOK_TIMEOUT, DAYBOOK_UNTRUSTED (certificate, host, pin), DAYBOOK_INTERRUPTED
     * (transport_interrupt), DAYBOOK_BAD_REPLY (too large, not HTTP), DAYBOOK_NO_MEMORY. Required.
     */
    daybook_status (*transport_exchange)(void *context, void *connection,
                                         const struct daybook_request *request,
                                         struct daybook_reply *reply);
    /* From any thread: makes a running exchange end soon; none running: the next one ends at once.
     * Required. */
    void (*transport_interrupt)(void *context, void *connection);
    /* Closes the sockets and frees the connection; NULL is fine. Required. */
    void (*transport_close)(void *context, void *connection);

    /* False while the system says that there is no network; the engine then does not try. NULL:
     * always true. */
    bool (*network_up)(void *context);
    /* One line for a developer's log, without field values; level 1 error .. 4 debug; any thread.
     * NULL: silent. */
    void (*log)(void *context, int level, const char *line);
    /* Starts a thread that runs work(argument); *thread is a handle for thread_join. NULL:
     * daybook_start answers DAYBOOK_MISUSE. */
    bool (*thread_start)(void *context, void (*work)(void *argument), void *argument,
                         void **thread);
    /* Waits for the thread and frees its handle. NULL where thread_start is. */
    void (*thread_join)(void *context, void *thread);
} daybook_platform;

#ifdef __cplusplus
}
#endif
#endif
