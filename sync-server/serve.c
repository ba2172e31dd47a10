/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's life. Called by main. Order: port, certificates, store (which takes the folder's
 * lock), listener, admin socket; the reverse at the end. Invariant: nobody is told that the server
 * listens before it answers.
 */
#include "sync-server/serve.h"

#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "sync-server/admin_socket.h"
#include "sync-server/certificate.h"
#include "sync-server/folder.h"
#include "sync-server/http/listener.h"
#include "sync-server/http/tls.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define GRACE_MS 10000 /* for requests under way at a stop */
#define RENEWAL_S 3600 /* how often the certificate's age is looked at */

/* What a running server consists of. */
struct server {
    const char *folder;
    const struct server_options *options;
    struct log log;
    struct listener *listener;
    struct service *service;
    struct admin_socket *admin;
    char url[SERVE_URL_SIZE];
    char pin[CERTIFICATE_PIN_SIZE];
};

/* "2026-01-31T08:00:00Z warn text" on stderr; one write, so that lines of several threads do not
 * mix. */
static void log_line(void *context, int level, const char *text)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    char line[600];
    struct tm tm;
    time_t now = time(NULL);
    (void)context;
    if (gmtime_r(&now, &tm) == NULL) {
        return;
    }
    (void)dk_text_format(line, sizeof(line), "%04d-%02d-%02dT%02d:%02d:%02dZ %s %.500s\n",
                         tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                         tm.tm_sec,
                         levels[level >= LOG_ERROR && level <= LOG_DEBUG ? level - 1 : 0], text);
    (void)fputs(line, stderr);
}

struct log srv_serve_log(const struct server_options *options)
{
    struct log log = {.sink = log_line,
                      .context = NULL,
                      .level = (int)srv_options_number(options, OPTION_log_level)};
    return log;
}

struct class_rule srv_serve_classes(const struct server_options *options)
{
    struct class_rule rule = {.open_days = srv_options_number(options, OPTION_open_days),
                              .recent_days = srv_options_number(options, OPTION_recent_days),
                              .last = srv_options_number(options, OPTION_open_last)};
    rule.recent_days = rule.recent_days < rule.open_days ? rule.open_days : rule.recent_days;
    return rule;
}

/* An address that stands for all addresses of the machine. */
static bool is_wildcard(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

/* https://host:port of the listen address; a wildcard is reached as 127.0.0.1 from here. */
static void listen_url(const struct server_options *options, int port, char out[SERVE_URL_SIZE])
{
    const char *host = is_wildcard(options->listen_host) ? "127.0.0.1" : options->listen_host;
    bool bracketed = strchr(host, ':') != NULL;
    (void)dk_text_format(out, SERVE_URL_SIZE, "https://%s%s%s:%d", bracketed ? "[" : "", host,
                         bracketed ? "]" : "", port);
}

void srv_serve_public_url(const struct server_options *options, int port, char out[SERVE_URL_SIZE])
{
    const char *setting = srv_options_text(options, OPTION_public_url);
    out[0] = '\0';
    if (setting[0] != '\0') {
        (void)dk_text_format(out, SERVE_URL_SIZE, "%.300s", setting);
    } else if (port > 0) {
        listen_url(options, port, out);
    }
}

daybook_status srv_serve_prepare(const char *folder, const struct server_options *options,
                                 bool *renewed, char *problem, size_t problem_size)
{
    char hosts[OPTION_VALUE_BYTES_MAX + 300];
    const char *host = options->listen_host;
    *renewed = false;
    daybook_status status = srv_folder_make(folder, problem, problem_size);
    if (status != DAYBOOK_OK) {
        return status;
    }
    (void)dk_text_format(hosts, sizeof(hosts), "%s,%s", srv_options_text(options, OPTION_hosts),
                         is_wildcard(host) ? "" : host);
    return srv_certificate_ensure(folder, hosts, (int64_t)time(NULL), renewed, problem,
                                  problem_size);
}

/* A number of threads: the setting, or one per processor. */
static int thread_count(const struct server_options *options, enum option_number number, int max)
{
    int64_t count = srv_options_number(options, number);
    if (count == 0) {
        count = (int64_t)sysconf(_SC_NPROCESSORS_ONLN);
    }
    if (count < 1) {
        count = 1;
    }
    return count > max ? max : (int)count;
}

/* Takes the port. */
static daybook_status open_listener(struct server *server, char *problem, size_t problem_size)
{
    const struct server_options *options = server->options;
    struct listener_options listener = {.host = options->listen_host,
                                        .port = options->listen_port,
                                        .loops =
                                            thread_count(options, OPTION_loops, LISTENER_LOOPS_MAX),
                                        .limits = srv_http_limits_default(),
                                        .log = server->log};
    listener.limits.connections_max = (int)srv_options_number(options, OPTION_connections);
    listener.limits.device_connections_max =
        (int)srv_options_number(options, OPTION_device_connections);
    listener.limits.body_bytes_max =
        srv_options_number(options, OPTION_body_memory_mib) * 1024 * 1024;
    return srv_listener_open(&listener, &server->listener, problem, problem_size);
}

/* Opens the store, and makes the organisation where there is none. */
static daybook_status open_service(struct server *server, char *problem, size_t problem_size)
{
    static const char *const init[] = {"init"};
    struct service_options options = {
        .data_folder = server->folder,
        .worker_threads = thread_count(server->options, OPTION_workers, 64),
        .page_bytes = srv_options_number(server->options, OPTION_page_bytes),
        .log_days = srv_options_number(server->options, OPTION_log_days),
        .log_positions = srv_options_number(server->options, OPTION_log_positions),
        .snapshot_cache_mib = srv_options_number(server->options, OPTION_snapshot_cache_mib),
        .oldest_schema = srv_options_number(server->options, OPTION_oldest_schema),
        .classes = srv_serve_classes(server->options),
        .backups = srv_options_number(server->options, OPTION_backups) == 1,
        .log = server->log,
        .public_url = server->url[0] != '\0' ? server->url : NULL,
        .ca_pin = server->pin};
    daybook_status status = srv_service_open(&options, &server->service, problem, problem_size);
    if (status != DAYBOOK_OK) {
        return status;
    }
    char *text = NULL;
    status = srv_service_command(server->service, 1, init, false, &text);
    if (status != DAYBOOK_OK && status != DAYBOOK_EXISTS) {
        (void)dk_text_format(problem, problem_size, "cannot make the organisation: %s",
                             text != NULL ? text : "no reason given");
    } else {
        status = DAYBOOK_OK;
    }
    dk_memory_free(text);
    if (status == DAYBOOK_OK) {
        status = srv_service_judge(server->service);
        if (status != DAYBOOK_OK) {
            (void)dk_text_format(problem, problem_size, "cannot judge what was given: status %d",
                                 (int)status);
        }
    }
    if (status == DAYBOOK_OK) {
        (void)srv_service_learn(server->service); /* what fails now can be released by hand */
    }
    return status;
}

/* Begins to accept, and opens the admin socket. */
static daybook_status start_listener(struct server *server, char *problem, size_t problem_size)
{
    SSL_CTX *tls = NULL;
    bool tls12 = srv_options_number(server->options, OPTION_tls12) == 1;
    daybook_status status = srv_tls_open(server->folder, tls12, &tls, problem, problem_size);
    if (status != DAYBOOK_OK) {
        return status;
    }
    status = srv_listener_start(server->listener, tls, server->service, problem, problem_size);
    srv_tls_free(tls);
    if (status != DAYBOOK_OK) {
        return status;
    }
    return srv_admin_open(server->folder, server->service, &server->log, &server->admin, problem,
                          problem_size);
}

/* Writes the port file and the ready line. */
static daybook_status announce(struct server *server, char *problem, size_t problem_size)
{
    char text[16];
    char url[SERVE_URL_SIZE];
    int port = srv_listener_port(server->listener);
    (void)dk_text_format(text, sizeof(text), "%d\n", port);
    daybook_status status = srv_folder_write(server->folder, SERVE_PORT_FILE, text, strlen(text),
                                             0644, problem, problem_size);
    if (status != DAYBOOK_OK) {
        return status;
    }
    listen_url(server->options, port, url);
    (void)printf("listening on %s\n", url);
    (void)fflush(stdout);
    dk_log(&server->log, LOG_INFO, "ca pin %s", server->pin);
    return DAYBOOK_OK;
}

/* Removes the port file: of a run that was killed, or of this one. */
static void remove_port_file(const struct server *server)
{
    char path[FOLDER_PATH_BYTES_MAX];
    if (srv_folder_path(server->folder, SERVE_PORT_FILE, path)) {
        (void)unlink(path);
    }
}

/* Makes the certificate anew where its time has come, and uses it. A failure is logged: the old one
 * serves on. */
static void renew(struct server *server)
{
    char problem[512] = "";
    SSL_CTX *tls = NULL;
    bool renewed = false;
    bool tls12 = srv_options_number(server->options, OPTION_tls12) == 1;
    daybook_status status =
        srv_serve_prepare(server->folder, server->options, &renewed, problem, sizeof(problem));
    if (status == DAYBOOK_OK && renewed) {
        status = srv_tls_open(server->folder, tls12, &tls, problem, sizeof(problem));
        if (status == DAYBOOK_OK) {
            srv_listener_set_tls(server->listener, tls);
        }
        srv_tls_free(tls);
    }
    if (status != DAYBOOK_OK) {
        dk_log(&server->log, LOG_ERROR, "certificate: %s", problem);
    } else if (renewed) {
        dk_log(&server->log, LOG_INFO, "certificate made anew");
    }
}

/* True where a signal to stop waits. */
static bool is_stopping(void *context)
{
    sigset_t pending;
    (void)context;
    (void)sigemptyset(&pending);
    (void)sigpending(&pending);
    return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
}

/* Milliseconds of the wall clock. */
static int64_t wall_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Does the night's work where its time has come. A failure is logged: there is another night. */
static void pass_night(struct server *server, int64_t *night_ms)
{
    int64_t hour = srv_options_number(server->options, OPTION_night_hour);
    if (wall_ms() < *night_ms) {
        return;
    }
    (void)srv_service_night(server->service, is_stopping, NULL);
    *night_ms = srv_service_next_night(server->service, hour, wall_ms());
}

/* Waits for the signal to stop; looks at the certificate now and then, and works at night. */
static void wait_for_stop(struct server *server, const sigset_t *signals)
{
    int64_t hour = srv_options_number(server->options, OPTION_night_hour);
    int64_t night_ms = srv_service_next_night(server->service, hour, wall_ms());
    (void)srv_service_convert(server->service, is_stopping, NULL);
    for (;;) {
        int64_t left_s = (night_ms - wall_ms()) / 1000 + 1;
        struct timespec period = {.tv_sec = left_s < RENEWAL_S ? left_s : RENEWAL_S};
        int number = sigtimedwait(signals, NULL, &period);
        if (number == SIGTERM || number == SIGINT) {
            dk_log(&server->log, LOG_INFO, "stopping on signal %d", number);
            return;
        }
        renew(server);
        pass_night(server, &night_ms);
    }
}

/* Lets the process have as many descriptors as the system allows, for each connection is one. */
static void raise_descriptors(const struct server *server)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return;
    }
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    int64_t connections = srv_options_number(server->options, OPTION_connections);
    if (limit.rlim_max != RLIM_INFINITY && (uint64_t)connections + 100 > limit.rlim_max) {
        dk_log(&server->log, LOG_WARN, "only %llu descriptors for %lld connections",
               (unsigned long long)limit.rlim_max, (long long)connections);
    }
}

/* Starts all parts in order. */
static daybook_status start(struct server *server, char *problem, size_t problem_size)
{
    bool renewed = false;
    if (srv_admin_is_running(server->folder)) {
        (void)dk_text_format(problem, problem_size, "a server is running on the data folder %s",
                             server->folder);
        return DAYBOOK_BUSY;
    }
    daybook_status status =
        srv_serve_prepare(server->folder, server->options, &renewed, problem, problem_size);
    if (status == DAYBOOK_OK) {
        status = srv_certificate_pin(server->folder, server->pin, problem, problem_size);
    }
    if (status == DAYBOOK_OK) {
        status = open_listener(server, problem, problem_size);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    srv_serve_public_url(server->options, srv_listener_port(server->listener), server->url);
    status = open_service(server, problem, problem_size);
    if (status != DAYBOOK_OK) {
        return status;
    }
    remove_port_file(server);
    status = start_listener(server, problem, problem_size);
    if (status == DAYBOOK_OK) {
        status = announce(server, problem, problem_size);
    }
    return status;
}

daybook_status srv_serve(const char *folder, const struct server_options *options, char *problem,
                         size_t problem_size)
{
    struct server server = {.folder = folder, .options = options, .log = srv_serve_log(options)};
    sigset_t signals;
    /* Before any thread: all inherit it, so that signals come to wait_for_stop only. */
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    raise_descriptors(&server);
    daybook_status status = start(&server, problem, problem_size);
    if (status == DAYBOOK_OK) {
        wait_for_stop(&server, &signals);
    }
    bool owned = server.service != NULL;
    srv_admin_close(server.admin);
    if (server.listener != NULL) {
        srv_listener_stop(server.listener, GRACE_MS);
    }
    if (owned) {
        remove_port_file(&server);
    }
    srv_service_close(server.service);
    srv_listener_free(server.listener);
    return status;
}
