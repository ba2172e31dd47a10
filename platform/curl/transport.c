/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTPS by libcurl. A connection owns one curl handle, which keeps the TLS session for reconnects,
 * and one multi handle, which keeps the socket and can be woken from another thread. Invariant:
 * whatever socket or session is kept was made under the trust that is set now; a request with
 * another CA file or other pins starts from nothing.
 */
#include "platform/curl/transport.h"

#include "platform/curl/answer.h"
#include "platform/curl/trust.h"
#include "platform/posix/system.h"

#include <curl/curl.h>

#include <assert.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    WAIT_MAX_MS = 1000,  /* the longest sleep without a look around */
    IDLE_MAX_MS = 60000, /* an older idle socket may be dead without a word: routers forget it,
                            devices sleep */
    POOL_MAX = 2,        /* sockets kept per connection */
    TOKEN_MAX = 8 * 1024 /* bytes */
};

struct curl_connection {
    CURL *curl;              /* NULL: made by the next exchange */
    pthread_mutex_t lock;    /* guards the pointer `multi` against interrupt while it is replaced */
    CURLM *multi;            /* NULL together with curl */
    atomic_bool interrupted; /* set by interrupt, taken by the exchange */
    struct dk_trust trust;   /* what curl and multi were made with */
    struct dk_answer answer; /* of the last exchange */
    int64_t used_ms;         /* steady time at the end of the last exchange */
};

/* The only state of this file that is not a connection's: libcurl wants one call per process. */
static pthread_once_t library_once = PTHREAD_ONCE_INIT;

/* Initialises libcurl. The result is not kept, for curl_easy_init tries again and says NULL. */
static void start_library(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* See transport.h. */
void *dk_curl_open(void *context)
{
    (void)context;
    (void)pthread_once(&library_once, start_library);
    struct curl_connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL) {
        return NULL;
    }
    if (pthread_mutex_init(&connection->lock, NULL) != 0) {
        free(connection);
        return NULL;
    }
    atomic_init(&connection->interrupted, false);
    return connection;
}

/* Closes the sockets and forgets the TLS sessions; the next exchange makes new handles. */
static void drop_handles(struct curl_connection *connection)
{
    (void)pthread_mutex_lock(&connection->lock);
    CURLM *multi = connection->multi;
    connection->multi = NULL;
    (void)pthread_mutex_unlock(&connection->lock);
    curl_easy_cleanup(connection->curl);
    connection->curl = NULL;
    (void)curl_multi_cleanup(multi);
}

/* See transport.h. */
void dk_curl_close(void *context, void *pointer)
{
    (void)context;
    struct curl_connection *connection = pointer;
    if (connection == NULL) {
        return;
    }
    drop_handles(connection);
    dk_trust_clear(&connection->trust);
    dk_answer_clear(&connection->answer);
    (void)pthread_mutex_destroy(&connection->lock);
    free(connection);
}

/* See transport.h. The flag comes first, so that the exchange that is woken sees it. */
void dk_curl_interrupt(void *context, void *pointer)
{
    (void)context;
    struct curl_connection *connection = pointer;
    atomic_store(&connection->interrupted, true);
    (void)pthread_mutex_lock(&connection->lock);
    if (connection->multi != NULL) {
        (void)curl_multi_wakeup(connection->multi);
    }
    (void)pthread_mutex_unlock(&connection->lock);
}

/* Makes the handles if there are none. False when out of memory; then there are none. */
static bool make_handles(struct curl_connection *connection)
{
    if (connection->curl != NULL) {
        return true;
    }
    CURLM *multi = curl_multi_init();
    connection->curl = curl_easy_init();
    (void)pthread_mutex_lock(&connection->lock);
    connection->multi = multi;
    (void)pthread_mutex_unlock(&connection->lock);
    if (multi == NULL || connection->curl == NULL ||
        curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)POOL_MAX) != CURLM_OK) {
        drop_handles(connection);
        return false;
    }
    return true;
}

/* Sets the connection to the CAs and pins of the request; where they are others than before,
 * sockets and sessions made under those are dropped. False when out of memory. */
static bool set_trust(struct curl_connection *connection, const struct daybook_request *request)
{
    if (!dk_trust_equals(&connection->trust, request->ca_file, request->pins)) {
        drop_handles(connection);
        if (!dk_trust_set(&connection->trust, request->ca_file, request->pins)) {
            return false;
        }
    }
    return make_handles(connection);
}

/* True when the request can be sent as it is: GET without or POST with a body, an https URL, and a
 * token that cannot add header lines. */
static bool is_valid(const struct daybook_request *request)
{
    bool post = request->method != NULL && strcmp(request->method, "POST") == 0;
    bool get = request->method != NULL && strcmp(request->method, "GET") == 0;
    if ((!post && !get) || (get && request->body_size > 0) ||
        (request->body_size > 0 && request->body == NULL)) {
        return false;
    }
    if (request->url == NULL || strncasecmp(request->url, "https://", 8) != 0) {
        return false;
    }
    size_t length = 0;
    for (const char *at = request->token; at != NULL && *at != '\0'; at++) {
        if (*at <= ' ' || *at > '~' || ++length > TOKEN_MAX) {
            return false;
        }
    }
    return request->reply_max < SIZE_MAX;
}

/* Appends a line to the header list; false when out of memory, the list then stays as it was. */
static bool add_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer == NULL) {
        return false;
    }
    *list = longer;
    return true;
}

/* The header lines of the request in *list, which the caller frees also on failure: the token, the
 * type of a body, and no "Expect: 100-continue", which would cost a round trip. False when out of
 * memory. */
static bool make_headers(const struct daybook_request *request, struct curl_slist **list)
{
    static const char bearer[] = "Authorization: Bearer ";
    if (!add_header(list, "Expect:")) {
        return false;
    }
    const char *type =
        request->body_size > 0 ? "Content-Type: application/vnd.daybook+zstd" : "Content-Type:";
    if (!add_header(list, type) || request->token == NULL) {
        return request->token == NULL;
    }
    size_t length = strlen(request->token);
    char *line = malloc(sizeof(bearer) + length);
    if (line == NULL) {
        return false;
    }
    memcpy(line, bearer, sizeof(bearer) - 1);
    memcpy(line + sizeof(bearer) - 1, request->token, length + 1);
    bool added = add_header(list, line);
    free(line);
    return added;
}

/* Keeps the first error of a chain of options. */
static void keep_first(CURLcode *first, CURLcode code)
{
    if (*first == CURLE_OK) {
        *first = code;
    }
}

/* The options that are the same for every request: how we speak HTTP, and what libcurl shall not do
 * by itself. */
static CURLcode set_manners(CURL *curl)
{
    CURLcode first = CURLE_OK;
    keep_first(&first, curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https"));
    keep_first(&first, curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L));
    keep_first(&first, curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1));
    keep_first(&first, curl_easy_setopt(curl, CURLOPT_HTTP09_ALLOWED, 0L));
    keep_first(&first, curl_easy_setopt(curl, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L));
    keep_first(&first, curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L));
    keep_first(&first, curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L));
    keep_first(&first, curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L));
    keep_first(&first, curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L));
    keep_first(&first, curl_easy_setopt(curl, CURLOPT_USERAGENT, "daybook"));
    /* A proxy gets its CONNECT and nothing of ours; its answer to that is not the server's. */
    keep_first(&first, curl_easy_setopt(curl, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE));
    keep_first(&first, curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L));
    return first;
}

/* The options of one request. `headers` must live until the transfer is over. */
static CURLcode set_request(struct curl_connection *connection,
                            const struct daybook_request *request, struct curl_slist *headers)
{
    CURL *curl = connection->curl;
    long timeout_ms = request->timeout_ms > LONG_MAX ? LONG_MAX : (long)request->timeout_ms;
    int64_t idle_ms = dk_posix_steady_ms(NULL) - connection->used_ms;
    CURLcode first = CURLE_OK;
    keep_first(&first, curl_easy_setopt(curl, CURLOPT_URL, request->url));
    keep_first(&first, curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers));
    keep_first(&first, curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms));
    /* libcurl's own limit on idle sockets does not count sleep. */
    keep_first(&first,
               curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, idle_ms > IDLE_MAX_MS ? 1L : 0L));
    if (strcmp(request->method, "GET") == 0) {
        keep_first(&first, curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L));
        return first;
    }
    keep_first(&first, curl_easy_setopt(curl, CURLOPT_POST, 1L));
    keep_first(&first,
               curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size));
    keep_first(&first, curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
                                        request->body_size > 0 ? request->body : ""));
    return first;
}

/* Sets all options anew. curl_easy_reset keeps sockets, sessions and names looked up. */
static CURLcode set_options(struct curl_connection *connection,
                            const struct daybook_request *request, struct curl_slist *headers)
{
    curl_easy_reset(connection->curl);
    CURLcode code = set_manners(connection->curl);
    if (code == CURLE_OK) {
        code = dk_trust_apply(&connection->trust, connection->curl);
    }
    if (code == CURLE_OK) {
        code = dk_answer_apply(&connection->answer, connection->curl);
    }
    if (code == CURLE_OK) {
        code = set_request(connection, request, headers);
    }
    return code;
}

/* What the end of a transfer means by the contract of platform.h. */
static daybook_status status_of(const struct curl_connection *connection, CURLcode code)
{
    switch (code) {
    case CURLE_OK: return connection->answer.header_done ? DAYBOOK_OK : DAYBOOK_OFFLINE;
    case CURLE_OPERATION_TIMEDOUT: return DAYBOOK_TIMEOUT;
    case CURLE_OUT_OF_MEMORY: return DAYBOOK_NO_MEMORY;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS: return DAYBOOK_UNTRUSTED;
    case CURLE_SSL_CONNECT_ERROR:
        if (dk_trust_refused(&connection->trust)) {
            return DAYBOOK_UNTRUSTED;
        }
        return dk_trust_peer_broke_tls(&connection->trust) ? DAYBOOK_BAD_REPLY : DAYBOOK_OFFLINE;
    case CURLE_WRITE_ERROR:
        return connection->answer.no_memory ? DAYBOOK_NO_MEMORY : DAYBOOK_BAD_REPLY;
    case CURLE_URL_MALFORMAT:
    case CURLE_LOGIN_DENIED: return DAYBOOK_INVALID;
    case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9: no status line */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_FILESIZE_EXCEEDED:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_HTTP2:
    case CURLE_SSL_CLIENTCERT: return DAYBOOK_BAD_REPLY;
    default: /* no name, no route, refused, reset, cut, a proxy that refuses: no way to the server
                now */
        return DAYBOOK_OFFLINE;
    }
}

/* Runs the transfer that was set up, until it ends or is interrupted. The handle is out of the
 * multi handle afterwards, and the socket of an unfinished transfer is closed. */
static daybook_status run_transfer(struct curl_connection *connection)
{
    CURLM *multi = connection->multi;
    if (curl_multi_add_handle(multi, connection->curl) != CURLM_OK) {
        return DAYBOOK_NO_MEMORY;
    }
    daybook_status status = DAYBOOK_INTERRUPTED;
    while (!atomic_exchange(&connection->interrupted, false)) {
        int running = 0;
        if (curl_multi_perform(multi, &running) != CURLM_OK) {
            status = DAYBOOK_NO_MEMORY;
            break;
        }
        if (running == 0) {
            int left = 0;
            const CURLMsg *message = curl_multi_info_read(multi, &left);
            assert(message != NULL && message->msg == CURLMSG_DONE);
            status = status_of(connection, message->data.result);
            break;
        }
        if (curl_multi_poll(multi, NULL, 0, WAIT_MAX_MS, NULL) != CURLM_OK) {
            status = DAYBOOK_NO_MEMORY;
            break;
        }
    }
    (void)curl_multi_remove_handle(multi, connection->curl);
    return status;
}

/* Fills the reply from the finished transfer. */
static daybook_status fill_reply(struct curl_connection *connection, struct daybook_reply *reply)
{
    long http_status = 0;
    char *content_type = NULL;
    if (!dk_answer_finish(&connection->answer)) {
        return DAYBOOK_NO_MEMORY;
    }
    (void)curl_easy_getinfo(connection->curl, CURLINFO_RESPONSE_CODE, &http_status);
    (void)curl_easy_getinfo(connection->curl, CURLINFO_CONTENT_TYPE, &content_type);
    if (http_status < 200 || http_status > 599) {
        return DAYBOOK_BAD_REPLY;
    }
    reply->http_status = (int)http_status;
    reply->content_type = content_type;
    reply->retry_after_ms = dk_answer_retry_after_ms(connection->curl, dk_posix_wall_ms(NULL));
    reply->body = connection->answer.body;
    reply->body_size = connection->answer.body_size;
    return DAYBOOK_OK;
}

/* See transport.h. After a server that was not trusted everything is dropped, so that a CA file
 * that has been replaced is read again. */
daybook_status dk_curl_exchange(void *context, void *pointer, const struct daybook_request *request,
                                struct daybook_reply *reply)
{
    (void)context;
    struct curl_connection *connection = pointer;
    assert(connection != NULL && request != NULL && reply != NULL);
    if (!is_valid(request)) {
        return DAYBOOK_INVALID;
    }
    if (atomic_exchange(&connection->interrupted, false)) {
        return DAYBOOK_INTERRUPTED;
    }
    if (request->timeout_ms <= 0) {
        return DAYBOOK_TIMEOUT;
    }
    dk_answer_begin(&connection->answer, request->reply_max);
    struct curl_slist *headers = NULL;
    daybook_status status = DAYBOOK_NO_MEMORY;
    if (!make_headers(request, &headers) || !set_trust(connection, request)) {
        goto done;
    }
    CURLcode code = set_options(connection, request, headers);
    if (code != CURLE_OK) {
        status = code == CURLE_OUT_OF_MEMORY ? DAYBOOK_NO_MEMORY : DAYBOOK_INTERNAL;
        goto done;
    }
    status = run_transfer(connection);
    if (status == DAYBOOK_OK) {
        status = fill_reply(connection, reply);
    }
    connection->used_ms = dk_posix_steady_ms(NULL);
done:
    if (status == DAYBOOK_UNTRUSTED) {
        drop_handles(connection);
    }
    curl_slist_free_all(headers);
    return status;
}
