/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the service in this process and the requests that were kept. Called by batch.c, and by the
 * engine through the platform. Invariant: a request is answered by the same code that answers it
 * behind the server's sockets.
 */
#include "tests/bench/loopback.h"

#include "tests/bench/harness.h"

#include "engine/base/memory.h"
#include "engine/base/text.h"

#include <daybook/posix.h>

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Where a submitted request is waited for. */
struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool done;
    struct loopback_answer *answer;
};

/* The service's answer, on a thread of its own. */
static void answered(void *context, const struct service_answer *answer)
{
    struct waiting *waiting = context;
    pthread_mutex_lock(&waiting->lock);
    *waiting->answer = (struct loopback_answer){answer->http_status, answer->content_type,
                                                answer->body, answer->body_size};
    waiting->done = true;
    pthread_cond_signal(&waiting->answered);
    pthread_mutex_unlock(&waiting->lock);
}

/* A copy that the service may free. */
static char *copy_bytes(const void *bytes, size_t length)
{
    char *copy = dk_memory_new(1, length + 1);
    if (copy == NULL) {
        bench_fail("no memory for %zu bytes", length);
    }
    if (length > 0) {
        memcpy(copy, bytes, length);
    }
    return copy;
}

void loopback_submit(struct loopback *loopback, const struct recorded *request,
                     struct loopback_answer *answer)
{
    struct waiting waiting = {.answer = answer};
    (void)pthread_mutex_init(&waiting.lock, NULL);
    (void)pthread_cond_init(&waiting.answered, NULL);
    struct service_call call = {.method = "POST",
                                .path = request->path,
                                .token = request->token,
                                .body = copy_bytes(request->body, request->body_size),
                                .body_size = request->body_size,
                                .done = answered,
                                .context = &waiting};
    srv_service_submit(loopback->service, &call);
    pthread_mutex_lock(&waiting.lock);
    while (!waiting.done) {
        pthread_cond_wait(&waiting.answered, &waiting.lock);
    }
    pthread_mutex_unlock(&waiting.lock);
    pthread_cond_destroy(&waiting.answered);
    pthread_mutex_destroy(&waiting.lock);
}

/* ---- the platform ---- */

/* A connection holds the body of its last answer. */
static void *open_connection(void *context)
{
    (void)context;
    return dk_memory_new(1, sizeof(struct loopback_answer));
}

static void close_connection(void *context, void *connection)
{
    struct loopback_answer *last = connection;
    (void)context;
    if (last != NULL) {
        dk_memory_free(last->body);
        dk_memory_free(last);
    }
}

static void interrupt(void *context, void *connection)
{
    (void)context;
    (void)connection;
}

/* Keeps a copy of the request. */
static void record(struct loopback *loopback, const struct recorded *request)
{
    if (loopback->recorded_count == LOOPBACK_RECORDED_MAX) {
        bench_fail("more than %d requests to keep", LOOPBACK_RECORDED_MAX);
    }
    const char *token = request->token == NULL ? "" : request->token;
    loopback->recorded[loopback->recorded_count++] = (struct recorded){
        copy_bytes(request->path, strlen(request->path)), copy_bytes(token, strlen(token)),
        copy_bytes(request->body, request->body_size), request->body_size};
}

static daybook_status exchange(void *context, void *connection,
                               const struct daybook_request *request, struct daybook_reply *reply)
{
    struct loopback *loopback = context;
    struct loopback_answer *last = connection;
    assert(strncmp(request->url, LOOPBACK_URL, strlen(LOOPBACK_URL)) == 0);
    struct recorded copy = {(char *)request->url + strlen(LOOPBACK_URL), (char *)request->token,
                            (char *)request->body, request->body_size};
    if (loopback->recording) {
        record(loopback, &copy);
    }
    dk_memory_free(last->body);
    loopback_submit(loopback, &copy, last);
    reply->http_status = last->http_status;
    reply->content_type = last->content_type;
    reply->retry_after_ms = -1;
    reply->body = last->body;
    reply->body_size = last->body_size;
    return DAYBOOK_OK;
}

void loopback_init(struct loopback *loopback)
{
    memset(loopback, 0, sizeof *loopback);
    loopback->platform = *daybook_posix_platform();
    loopback->platform.context = loopback;
    loopback->platform.transport_open = open_connection;
    loopback->platform.transport_exchange = exchange;
    loopback->platform.transport_interrupt = interrupt;
    loopback->platform.transport_close = close_connection;
}

/* ---- the service ---- */

void loopback_open(struct loopback *loopback, const char *folder)
{
    char problem[512] = "";
    struct service_options options = {.data_folder = folder};
    if (srv_service_open(&options, &loopback->service, problem, sizeof problem) != DAYBOOK_OK) {
        bench_fail("the service does not open: %s", problem);
    }
}

void loopback_close(struct loopback *loopback)
{
    srv_service_close(loopback->service);
    loopback->service = NULL;
}

void loopback_command(struct loopback *loopback, const char *const *argv, char *line, size_t size)
{
    char *text = NULL;
    int argc = 0;
    while (argv[argc] != NULL) {
        argc++;
    }
    daybook_status status = srv_service_command(loopback->service, argc, argv, false, &text);
    if (status != DAYBOOK_OK || text == NULL) {
        bench_fail("the command %s failed: %s", argv[0], text == NULL ? "" : text);
    }
    size_t end = strlen(text);
    while (end > 0 && text[end - 1] == '\n') {
        text[--end] = '\0';
    }
    const char *last = strrchr(text, '\n');
    if (!dk_text_format(line, size, "%s", last == NULL ? text : last + 1)) {
        bench_fail("the command %s printed a line that is too long", argv[0]);
    }
    dk_memory_free(text);
}

void loopback_found(struct loopback *loopback)
{
    static const char *const init[] = {"init", NULL};
    static const char *const user[] = {"user",      "add", "--role", "rep", "--territory",
                                       "Territory", "--",  "rep",    NULL};
    char line[512];
    loopback_command(loopback, init, line, sizeof line);
    loopback_command(loopback, user, line, sizeof line);
}

struct device_options loopback_options(const struct loopback *loopback, const char *path)
{
    return (struct device_options){.path = path,
                                   .url = LOOPBACK_URL,
                                   .relaxed = true,
                                   .cache_kib = BENCH_CACHE_KIB,
                                   .platform = &loopback->platform};
}

void loopback_device(struct bench *bench, struct loopback *loopback, struct device *device,
                     const char *name)
{
    static const char *const enrol[] = {"enrol", "--", "rep", NULL};
    char code[512], path[BENCH_PATH_MAX];
    loopback_command(loopback, enrol, code, sizeof code);
    bench_path(path, bench->folder, name);
    bench_remove_store(path);
    struct device_options options = loopback_options(loopback, path);
    device_open(device, &options);
    device_enrol(device, code);
}

void loopback_clear(struct loopback *loopback)
{
    for (int i = 0; i < loopback->recorded_count; i++) {
        dk_memory_free(loopback->recorded[i].path);
        dk_memory_free(loopback->recorded[i].token);
        dk_memory_free(loopback->recorded[i].body);
    }
    loopback->recorded_count = 0;
}
