/* SPDX-License-Identifier: Apache-2.0
 *
 * The running server: starts its parts in order, waits for the signal to stop, stops them in
 * reverse.
 */
#ifndef DAYBOOK_SERVER_SERVE_H
#define DAYBOOK_SERVER_SERVE_H

#include "sync-server/options.h"
#include "sync-server/scope/class.h"
#include "sync-server/service.h"

#include <daybook/status.h>

#include <stddef.h>

#define SERVE_PORT_FILE                                                                            \
    "port" /* in the data folder while the server runs: the port in decimal and LF */
#define SERVE_URL_SIZE 320

/* Serves until SIGTERM or SIGINT; then finishes the requests under way for at most 10 s. Prints one
 * line "listening on URL" on stdout when it is ready. `problem` says why it could not start. */
daybook_status srv_serve(const char *folder, const struct server_options *options, char *problem,
                         size_t problem_size);
/* Makes folder and certificates where they are missing: `hosts` and the listen address (unless it
 * is a wildcard) are named. */
daybook_status srv_serve_prepare(const char *folder, const struct server_options *options,
                                 bool *renewed, char *problem, size_t problem_size);
/* The URL that devices are given: the setting, or made of the listen address with this port. ""
 * where neither is known (port 0). */
void srv_serve_public_url(const struct server_options *options, int port, char out[SERVE_URL_SIZE]);
/* The rule of classes that the settings give. */
struct class_rule srv_serve_classes(const struct server_options *options);
/* Log lines to stderr, with time and level. */
struct log srv_serve_log(const struct server_options *options);

#endif
