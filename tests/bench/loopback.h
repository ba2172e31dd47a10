/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's inner half in this process, reached without sockets: a platform whose transport
 * hands requests to srv_service_submit. It can keep the requests that pass, to be sent again.
 */
#ifndef DAYBOOK_TESTS_BENCH_LOOPBACK_H
#define DAYBOOK_TESTS_BENCH_LOOPBACK_H

#include "sync-server/service.h"
#include "tests/bench/device.h"

#include <daybook/platform.h>

#include <stdbool.h>
#include <stddef.h>

#define LOOPBACK_URL "https://loopback" /* the engine's server_url */
#define LOOPBACK_RECORDED_MAX 1024

/* A request that was kept. */
struct recorded {
    char *path, *token;
    char *body;
    size_t body_size;
};

/* What one request came to. */
struct loopback_answer {
    int http_status;
    const char *content_type;
    char *body; /* dk_memory_free */
    size_t body_size;
};

struct loopback {
    daybook_platform platform; /* hand this to the engine */
    struct service *service;
    bool recording;
    struct recorded recorded[LOOPBACK_RECORDED_MAX];
    int recorded_count;
};

void loopback_init(struct loopback *loopback);
/* Opens the service on a data folder that exists. */
void loopback_open(struct loopback *loopback, const char *folder);
void loopback_close(struct loopback *loopback);
/* Runs a command as the admin socket does and keeps its last line; argv ends with NULL. */
void loopback_command(struct loopback *loopback, const char *const *argv, char *line, size_t size);
/* Makes an organisation with one rep. */
void loopback_found(struct loopback *loopback);
/* How a device of the service opens its store. */
struct device_options loopback_options(const struct loopback *loopback, const char *path);
/* A new store under this name in the bench's folder, enrolled as the rep's. */
void loopback_device(struct bench *bench, struct loopback *loopback, struct device *device,
                     const char *name);
/* Submits a request and waits for its answer. */
void loopback_submit(struct loopback *loopback, const struct recorded *request,
                     struct loopback_answer *answer);
/* Frees what was kept. */
void loopback_clear(struct loopback *loopback);

#endif
