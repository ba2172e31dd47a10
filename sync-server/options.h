/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's settings: one table. A value comes from the command line, else the environment
 * (DAYBOOK_NAME), else the file daybook.conf of the data folder ("name = value" lines, # begins a
 * comment line), else the default. The table also prints the help and the output of `config check`.
 */
#ifndef DAYBOOK_SERVER_OPTIONS_H
#define DAYBOOK_SERVER_OPTIONS_H

#include "engine/base/buffer.h"

#include <daybook/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTIONS_FILE "daybook.conf"
#define OPTION_VALUE_BYTES_MAX 1023
#define OPTION_PROBLEM_SIZE 256

/* X(name, kind, default, minimum, maximum, help); the place in this list is the setting's number.
 */
#define OPTION_LIST(X)                                                                             \
    X(listen, ADDRESS, "127.0.0.1:8443", 0, 0,                                                     \
      "address and port to serve on; port 0 takes any free one")                                   \
    X(hosts, HOSTS, "", 0, 0,                                                                      \
      "host names and addresses that devices use, for the certificate; commas between them")       \
    X(public_url, URL, "", 0, 0,                                                                   \
      "what devices are told to connect to; empty: https:// and the listen address")               \
    X(tls12, SWITCH, "no", 0, 1, "yes allows TLS 1.2 (AEAD only) beside TLS 1.3")                  \
    X(loops, INTEGER, "0", 0, 64, "event loops; 0: one per processor")                             \
    X(workers, INTEGER, "0", 0, 64, "threads that read the store; 0: one per processor")           \
    X(page_bytes, INTEGER, "1048576", 1, 8388608, "size of a pull page before compression")        \
    X(oldest_schema, INTEGER, "1", 1, 1000000,                                                     \
      "devices of an older schema may still send, but get nothing until they are updated")         \
    X(log_days, INTEGER, "90", 0, 36500,                                                           \
      "days that the log reaches back; a device away for longer takes a snapshot; 0: all")         \
    X(log_positions, INTEGER, "0", 0, 2147483647,                                                  \
      "changesets that the log has at most; 0: any number")                                        \
    X(snapshot_cache_mib, INTEGER, "64", 0, 65536,                                                 \
      "memory for pages of snapshots that several devices get, in MiB")                            \
    X(backups, SWITCH, "yes", 0, 1,                                                                \
      "after the first backup, devices keep what the last one does not cover")                     \
    X(connections, INTEGER, "10000", 1, 1000000, "connections at once")                            \
    X(device_connections, INTEGER, "8", 1, 1000, "connections of one device at once")              \
    X(body_memory_mib, INTEGER, "256", 8, 65536, "memory for all bodies under way, in MiB")        \
    X(night_hour, INTEGER, "2", 0, 23,                                                             \
      "full hour of the organisation's zone at which old documents go to their classes")           \
    X(open_days, INTEGER, "30", 0, 3650, "a closed document is old so long after its last change") \
    X(recent_days, INTEGER, "90", 1, 3650, "up to so long it is recent, then archive")             \
    X(open_last, INTEGER, "3", 0, 100, "visits and orders of each customer that are never old")    \
    X(log_level, LEVEL, "info", 1, 4, "error, warn, info or debug")

enum option_number {
#define OPTION_NUMBER(name, kind, fallback, minimum, maximum, help) OPTION_##name,
    OPTION_LIST(OPTION_NUMBER)
#undef OPTION_NUMBER
        OPTION_COUNT
};

enum option_source { OPTION_DEFAULT, OPTION_FILE, OPTION_ENVIRONMENT, OPTION_ARGUMENT };

struct option_value {
    char text[OPTION_VALUE_BYTES_MAX + 1];
    enum option_source source;
    int line;                          /* of the file; 0: not from there */
    int64_t number;                    /* of INTEGER, SWITCH and LEVEL */
    char problem[OPTION_PROBLEM_SIZE]; /* "" where the value is fine */
};

struct server_options {
    struct option_value values[OPTION_COUNT];
    char listen_host[256];
    int listen_port;
    char file_problem[OPTION_PROBLEM_SIZE]; /* of the file as a whole, or of a line that names no
                                               setting */
};

/* The environment, as getenv; tests give their own. */
typedef const char *(*option_environment)(void *context, const char *name);

/* Fills all values from default, file and environment. INVALID where anything is wrong: the first
 * problem in words is in `problem`, each one stands with its value. A missing file is fine.
 * `folder` may be one that does not exist yet. */
daybook_status srv_options_load(const char *folder, option_environment environment, void *context,
                                struct server_options *options, char *problem, size_t problem_size);
/* A value from the command line, which wins over all others. */
daybook_status srv_options_set(struct server_options *options, enum option_number number,
                               const char *text, char *problem, size_t problem_size);
int64_t srv_options_number(const struct server_options *options, enum option_number number);
const char *srv_options_text(const struct server_options *options, enum option_number number);
/* One line per setting: name, value, source, and what is wrong with it; or a JSON object. */
void srv_options_print(const struct server_options *options, bool json, struct buffer *out);
/* The table as help: name, environment variable, default, meaning. */
void srv_options_help(struct buffer *out);

#endif
