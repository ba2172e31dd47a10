/* SPDX-License-Identifier: Apache-2.0
 *
 * The endpoints, once: method, path, whether a token is needed, how large a body may be. What the
 * head alone shows to be wrong is refused here, before the body is read. Tests of authorisation are
 * made from this table.
 */
#ifndef DAYBOOK_SERVER_HTTP_ROUTER_H
#define DAYBOOK_SERVER_HTTP_ROUTER_H

#include "sync-server/http/request.h"

#include <stdbool.h>
#include <stdint.h>

struct http_route {
    const char *method;
    const char *path;
    bool needs_token;
    int64_t body_max; /* bytes */
};

struct http_refusal {
    int status;
    const char *code;  /* a word of ERROR_CODE_LIST */
    const char *text;  /* a sentence for developers */
    const char *allow; /* of a 405, else NULL */
};

/* The table; ends with a NULL path. */
const struct http_route *srv_http_routes(void);
/* The route of a complete head, or NULL with `refusal` filled in. */
const struct http_route *srv_http_route(const struct http_request *request,
                                        struct http_refusal *refusal);

#endif
