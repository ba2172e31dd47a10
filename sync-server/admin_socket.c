/* SPDX-License-Identifier: Apache-2.0
 *
 * Both ends of the admin socket. The server's end is a thread of its own with blocking calls, all
 * bounded in size and time; the client's end is called by main. Invariant: a request is one line
 * that ends with LF; whatever else comes is refused.
 */
#include "sync-server/admin_socket.h"

#include "engine/base/buffer.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/base/tree.h"
#include "sync-server/commands.h"
#include "sync-server/folder.h"
#include "sync-server/local.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SOCKET_NAME "admin.sock"
#define REQUEST_MS 5000       /* for the whole line to come, and for the reply to be taken */
#define REPLY_MS (30 * 60000) /* for a command to be done: an import may be long */

struct admin_socket {
    char folder[FOLDER_PATH_BYTES_MAX];
    struct service *service;
    struct log log;
    int socket;
    int stop[2]; /* a pipe: its reading end is readable when the thread has to end */
    pthread_t thread;
};

/* Milliseconds of a clock that only goes forward. */
static int64_t steady_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until the socket is ready for `events`; false at the deadline or on an error. */
static bool wait_ready(int socket, short events, int64_t until_ms)
{
    for (;;) {
        struct pollfd poll_socket = {.fd = socket, .events = events};
        int64_t left_ms = until_ms - steady_ms();
        if (left_ms <= 0) {
            return false;
        }
        int ready = poll(&poll_socket, 1, (int)left_ms);
        if (ready > 0) {
            return true;
        }
        if (ready < 0 && errno != EINTR) {
            return false;
        }
    }
}

/* Reads one line with its LF until the deadline; false where it does not come, is too long, or
 * something follows it. */
static bool read_line(int socket, struct buffer *line, int64_t within_ms)
{
    int64_t until_ms = steady_ms() + within_ms;
    while (wait_ready(socket, POLLIN, until_ms)) {
        char *room = dk_buffer_reserve(line, line->length < 4096 ? 4096 : 1);
        size_t size = line->capacity - line->length;
        if (room == NULL) {
            return false;
        }
        if (size > line->size_max - line->length) {
            size = line->size_max - line->length;
        }
        ssize_t got = recv(socket, room, size, MSG_DONTWAIT);
        if (got == 0) {
            return false;
        }
        if (got < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                return false;
            }
            continue;
        }
        const char *end = memchr(room, '\n', (size_t)got);
        dk_buffer_advance(line, (size_t)got);
        if (end != NULL) {
            return end == line->bytes + line->length - 1;
        }
    }
    return false;
}

/* Writes all until the deadline. */
static bool write_all(int socket, const char *bytes, size_t length, int64_t within_ms)
{
    int64_t until_ms = steady_ms() + within_ms;
    while (length > 0 && wait_ready(socket, POLLOUT, until_ms)) {
        ssize_t written = send(socket, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (written < 0 && errno != EAGAIN && errno != EINTR) {
            return false;
        }
        if (written > 0) {
            bytes += written;
            length -= (size_t)written;
        }
    }
    return length == 0;
}

/* The words of a request; borrowed from the tree. False with `problem` set. */
static bool read_words(cJSON *tree, const char *words[COMMAND_WORDS_MAX], int *count, bool *json,
                       const char **problem)
{
    const cJSON *command = dk_tree_member(tree, "command");
    *problem = "the request has to be {\"command\":[words]}";
    *count = 0;
    if (!cJSON_IsObject(tree) || !cJSON_IsArray(command)) {
        return false;
    }
    for (const cJSON *word = command->child; word != NULL; word = word->next) {
        if (!cJSON_IsString(word) || *count == COMMAND_WORDS_MAX) {
            return false;
        }
        words[(*count)++] = word->valuestring;
    }
    *json = cJSON_IsTrue(dk_tree_member(tree, "json"));
    return *count > 0;
}

/* Appends the reply line. */
static void write_answer(struct buffer *reply, bool ok, const char *text)
{
    dk_buffer_append_text(reply, ok ? "{\"ok\":true,\"text\":" : "{\"ok\":false,\"error\":");
    dk_json_write_string(reply, text, strlen(text));
    dk_buffer_append_text(reply, "}\n");
}

/* Does what one request line says, and words the reply. */
static void answer(struct admin_socket *admin, const struct buffer *line, struct buffer *reply)
{
    const char *words[COMMAND_WORDS_MAX];
    const char *problem = NULL;
    size_t offset = 0;
    cJSON *tree = NULL;
    char *text = NULL;
    int count = 0;
    bool json = false;
    daybook_status status =
        dk_tree_parse(line->bytes, line->length, ADMIN_REQUEST_BYTES_MAX, &tree, &problem, &offset);
    if (status != DAYBOOK_OK || !read_words(tree, words, &count, &json, &problem)) {
        write_answer(reply, false, problem != NULL ? problem : "the request cannot be read");
    } else {
        status = srv_service_command(admin->service, count, words, json, &text);
        dk_log(&admin->log, LOG_INFO, "admin command %d", (int)status);
        write_answer(reply, status == DAYBOOK_OK, text != NULL ? text : "the command failed");
    }
    dk_memory_free(text);
    cJSON_Delete(tree);
}

/* One connection, from its request to its reply. */
static void serve_one(struct admin_socket *admin, int socket)
{
    struct buffer line;
    struct buffer reply;
    dk_buffer_init(&line, ADMIN_REQUEST_BYTES_MAX);
    dk_buffer_init(&reply, ADMIN_REPLY_BYTES_MAX);
    if (!srv_local_peer_is_us(socket)) {
        write_answer(&reply, false, "this socket is for the server's own user");
    } else if (!read_line(socket, &line, REQUEST_MS)) {
        write_answer(&reply, false, "no complete request line came");
    } else {
        answer(admin, &line, &reply);
    }
    if (reply.status != DAYBOOK_OK) {
        dk_buffer_reset(&reply);
        write_answer(&reply, false, "the answer is too large");
    }
    (void)write_all(socket, reply.bytes, reply.length, REQUEST_MS);
    dk_buffer_clear(&line);
    dk_buffer_clear(&reply);
}

/* The thread: until the pipe says stop. */
static void *run(void *context)
{
    struct admin_socket *admin = context;
    for (;;) {
        struct pollfd files[2] = {{.fd = admin->stop[0], .events = POLLIN},
                                  {.fd = admin->socket, .events = POLLIN}};
        if (poll(files, 2, -1) < 0 && errno != EINTR) {
            break;
        }
        if (files[0].revents != 0) {
            break;
        }
        if ((files[1].revents & POLLIN) == 0) {
            continue;
        }
        int socket = accept(admin->socket, NULL, NULL);
        if (socket < 0) {
            /* Out of descriptors it would come back at once. */
            const struct timespec rest = {.tv_nsec = 100000000};
            (void)nanosleep(&rest, NULL);
            continue;
        }
        (void)fcntl(socket, F_SETFD, FD_CLOEXEC);
        serve_one(admin, socket);
        (void)close(socket);
    }
    return NULL;
}

/* Frees what is open; the thread does not run. */
static void clear(struct admin_socket *admin)
{
    if (admin->socket >= 0) {
        (void)close(admin->socket);
    }
    for (int i = 0; i < 2; i++) {
        if (admin->stop[i] >= 0) {
            (void)close(admin->stop[i]);
        }
    }
    dk_memory_free(admin);
}

daybook_status srv_admin_open(const char *folder, struct service *service, const struct log *log,
                              struct admin_socket **out, char *problem, size_t problem_size)
{
    *out = NULL;
    struct admin_socket *admin = dk_memory_new(1, sizeof(*admin));
    if (admin == NULL) {
        (void)dk_text_format(problem, problem_size, "no memory for the admin socket");
        return DAYBOOK_NO_MEMORY;
    }
    admin->stop[0] = -1;
    admin->stop[1] = -1;
    admin->service = service;
    admin->log = *log;
    admin->socket = srv_local_listen(folder, SOCKET_NAME);
    if (!dk_text_format(admin->folder, sizeof(admin->folder), "%s", folder) || admin->socket < 0 ||
        pipe(admin->stop) != 0 || fcntl(admin->stop[0], F_SETFD, FD_CLOEXEC) != 0 ||
        fcntl(admin->stop[1], F_SETFD, FD_CLOEXEC) != 0 ||
        pthread_create(&admin->thread, NULL, run, admin) != 0) {
        char reason[128] = "";
        (void)strerror_r(errno, reason, sizeof(reason));
        (void)dk_text_format(problem, problem_size, "cannot open the admin socket in %s: %s",
                             folder, reason);
        clear(admin);
        return DAYBOOK_CANNOT_OPEN;
    }
    *out = admin;
    return DAYBOOK_OK;
}

void srv_admin_close(struct admin_socket *admin)
{
    char path[FOLDER_PATH_BYTES_MAX];
    if (admin == NULL) {
        return;
    }
    (void)close(admin->stop[1]); /* the reading end sees the end */
    admin->stop[1] = -1;
    (void)pthread_join(admin->thread, NULL);
    if (srv_folder_path(admin->folder, SOCKET_NAME, path)) {
        (void)unlink(path);
    }
    clear(admin);
}

/* Writes the request line. */
static void write_request(struct buffer *request, int argc, const char *const *argv, bool json)
{
    dk_buffer_append_text(request, "{\"command\":[");
    for (int i = 0; i < argc; i++) {
        if (i > 0) {
            dk_buffer_append_char(request, ',');
        }
        dk_json_write_string(request, argv[i], strlen(argv[i]));
    }
    dk_buffer_append_text(request, json ? "],\"json\":true}\n" : "],\"json\":false}\n");
}

/* Takes the reply line apart; *text is the caller's. */
static daybook_status read_answer(const struct buffer *line, bool *ok, char **text, char *problem,
                                  size_t problem_size)
{
    const char *reason = NULL;
    size_t offset = 0;
    cJSON *tree = NULL;
    const char *found = NULL;
    if (dk_tree_parse(line->bytes, line->length, ADMIN_REPLY_BYTES_MAX, &tree, &reason, &offset) ==
        DAYBOOK_OK) {
        *ok = cJSON_IsTrue(dk_tree_member(tree, "ok"));
        found = dk_tree_text(tree, *ok ? "text" : "error");
    }
    if (found != NULL) {
        *text = dk_memory_copy_text(found, strlen(found));
    }
    cJSON_Delete(tree);
    if (*text != NULL) {
        return DAYBOOK_OK;
    }
    (void)dk_text_format(problem, problem_size, "the running server's answer cannot be read");
    return DAYBOOK_BAD_REPLY;
}

daybook_status srv_admin_call(const char *folder, int argc, const char *const *argv, bool json,
                              bool *ok, char **text, char *problem, size_t problem_size)
{
    struct buffer request;
    struct buffer line;
    daybook_status status = DAYBOOK_OK;
    *ok = false;
    *text = NULL;
    int socket = srv_local_connect(folder, SOCKET_NAME);
    if (socket < 0 && (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR)) {
        return DAYBOOK_NOT_FOUND;
    }
    if (socket < 0) {
        char reason[128] = "";
        (void)strerror_r(errno, reason, sizeof(reason));
        (void)dk_text_format(problem, problem_size, "cannot reach the running server in %s: %s",
                             folder, reason);
        return DAYBOOK_CANNOT_OPEN;
    }
    dk_buffer_init(&request, ADMIN_REQUEST_BYTES_MAX);
    dk_buffer_init(&line, ADMIN_REPLY_BYTES_MAX);
    write_request(&request, argc, argv, json);
    if (request.status != DAYBOOK_OK) {
        (void)dk_text_format(problem, problem_size, "the command is too long");
        status = request.status;
    } else if (!write_all(socket, request.bytes, request.length, REQUEST_MS) ||
               !read_line(socket, &line, REPLY_MS)) {
        (void)dk_text_format(problem, problem_size, "the running server in %s did not answer",
                             folder);
        status = DAYBOOK_TIMEOUT;
    } else {
        status = read_answer(&line, ok, text, problem, problem_size);
    }
    dk_buffer_clear(&request);
    dk_buffer_clear(&line);
    (void)close(socket);
    return status;
}

bool srv_admin_is_running(const char *folder)
{
    int socket = srv_local_connect(folder, SOCKET_NAME);
    if (socket >= 0) {
        (void)close(socket);
    }
    return socket >= 0;
}
